"""What ends the entries of a day: its losses, its failed jobs, and dates without entries. Pure."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Protocol

from spxarb.core.entry_check import Check
from spxarb.core.model import ZERO
from spxarb.core.sentences import sentence, usd

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal


class LossLimits(Protocol):
    """The configured limits of a day, dollars; None: no limit."""

    @property
    def max_daily_loss(self) -> Decimal: ...
    @property
    def max_position_loss(self) -> Decimal: ...
    @property
    def worst_case_within_daily_loss(self) -> bool: ...
    @property
    def max_losses_per_day(self) -> int | None: ...
    @property
    def max_failed_jobs_per_day(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class OpenRisk:
    """An open spread: its result if it were closed now, and at worst at expiry, dollars; None: not known."""

    trade_id: int
    pnl: Decimal | None
    worst_case: Decimal | None

    @property
    def may_still_cost(self) -> Decimal | None:
        """How much worse than now it may become, dollars, not negative; None where that is not known."""
        if self.pnl is None or self.worst_case is None:
            return None
        return max(self.pnl - self.worst_case, ZERO)


@dataclass(frozen=True, slots=True)
class DayRecord:
    """What has happened on a day that bears on another entry.

    `stopped`: why no more is entered on it, a phrase; `blackout`: why it is a date without entries, or why
    that cannot be known. `losses`: spreads with a final loss.
    """

    stopped: str = ""
    losses: int = 0
    failed_jobs: int = 0
    open: tuple[OpenRisk, ...] = ()
    blackout: str = ""


NOTHING_HAPPENED = DayRecord()


def daily_loss_check(
    pnl: Decimal | None, record: DayRecord, limits: LossLimits, new_worst_case: Decimal | None, *, later: bool
) -> Check:
    """Whether the day's losses allow another entry.

    `pnl`: its net result, open spreads at what closing them costs now, dollars. `later`: it is not the first
    entry of the day, and the market was asked, so that its worst case, `new_worst_case`, must fit into what
    the limit leaves when every open spread does its worst.
    """
    name, most = "daily_loss", limits.max_daily_loss
    obstacles = _obstacles(record, limits)
    if pnl is None:
        said = [*obstacles, "the day's result is not known, so its loss may be too large"]
        return Check(name, False if obstacles else None, None, most, " ".join(map(sentence, said)))
    loss = max(-pnl, ZERO)
    within = loss <= most
    result = f"the day's net result is {usd(pnl)}"
    text = f"{result}, {'within' if within else 'beyond'} the loss limit of {usd(most)}"
    ok: bool | None = within and not obstacles
    if ok and later and limits.worst_case_within_daily_loss:
        ok, why = _fits(most + pnl, record.open, new_worst_case)
        obstacles += [why] if why else []
    said = [*obstacles, text] if within else [text, *obstacles]  # what speaks against it comes first
    return Check(name, ok, loss, most, " ".join(map(sentence, said)))


def _obstacles(record: DayRecord, limits: LossLimits) -> list[str]:
    found = []
    if record.stopped:
        found.append(f"entries are stopped for today: {record.stopped}")
    if limits.max_losses_per_day is not None and record.losses >= limits.max_losses_per_day:
        found.append(
            f"{_counted(record.losses, 'spread')} lost money today, and so many end the day's entries"
        )
    found += [
        f"trade {spread.trade_id} has lost {usd(-spread.pnl)}, more than its limit of "
        f"{usd(limits.max_position_loss)}: it is to be closed before anything is opened"
        for spread in record.open
        if spread.pnl is not None and -spread.pnl > limits.max_position_loss
    ]
    return found


def _fits(left: Decimal, spreads: Iterable[OpenRisk], worst_case: Decimal | None) -> tuple[bool | None, str]:
    """Whether the worst case of another spread fits into what the daily limit leaves, and why not.

    `left`: of the limit by the day's result so far, dollars. What is known of the open spreads may forbid it.
    """
    if worst_case is None:
        return None, "the worst case of another spread is not known"
    costs = {spread.trade_id: spread.may_still_cost for spread in spreads}
    room = left - sum((cost for cost in costs.values() if cost is not None), start=ZERO)
    if -worst_case > room:
        left_over = (
            f"{usd(room)} of the limit remain" if room >= 0 else f"the limit is passed by {usd(-room)}"
        )
        remain = f"at the worst of what is open, {left_over}"
        return False, f"{remain}, and another spread would at worst come to {usd(worst_case)}"
    unknown = [f"trade {trade_id}" for trade_id, cost in costs.items() if cost is None]
    if unknown:
        of = ", ".join(unknown)
        return None, f"what {of} may still cost is not known, so nobody can say if another spread fits in"
    return True, ""


def failed_jobs_obstacle(record: DayRecord, limits: LossLimits) -> str:
    """Why failed jobs forbid entries, a phrase; empty when they do not."""
    most = limits.max_failed_jobs_per_day
    if most is None or record.failed_jobs < most:
        return ""
    failed = _counted(record.failed_jobs, "job")
    return f"{failed} failed today, and so many end the day's entries: look at them, then `spxarb start`"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# --- dates without entries ----------------------------------------------------------------------------


def blackouts(text: str) -> dict[date, str]:
    """The dates of a blackout file, each with its reason: lines such as `2026-03-18, FOMC`.

    Empty lines, lines that begin with # and a heading are passed over. Raises ValueError naming the first
    line that is none of these.
    """
    found: dict[date, str] = {}
    for number, cells in enumerate(csv.reader(text.splitlines(), skipinitialspace=True), start=1):
        first = cells[0].strip() if cells else ""
        if (
            not any(map(str.strip, cells))
            or first.startswith("#")
            or (number == 1 and first.lower() == "date")
        ):
            continue
        try:
            day = date.fromisoformat(first)
        except ValueError:
            raise ValueError(f"line {number}: {first!r} is not a date such as 2026-03-18") from None
        reason = ", ".join(cell.strip() for cell in cells[1:] if cell.strip()) or "no reason given"
        found[day] = f"{found[day]}; {reason}" if day in found else reason
    return found
