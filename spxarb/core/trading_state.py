"""Whether spxarb enters: ACTIVE or STOPPED, by whom, since when and why, and what still goes on beside it.

One function decides, for `status`, `start`, `stop`, `doctor` and `log`. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from spxarb.core.model import NEW_YORK

if TYPE_CHECKING:
    from datetime import datetime

DAILY_LOSS = "the daily loss limit"
FAILED_JOBS = "failed jobs"
BLACKOUT = "trading.blackout_file"
NEVER_STARTED = "a live ledger begins so: `spxarb start` allows entries"


class StillTrue(StrEnum):
    """What goes on, or holds, beside the state."""

    EXITS = "exits go on"
    """Open spreads are looked after and exited, or would be."""
    FAILURES = "off after failures"
    """So many jobs failed today that they end its entries."""
    HANDED_OVER = "handed over"
    """A trade is a human's: spxarb does not exit it."""


@dataclass(frozen=True)
class TradingResult:
    """Whether entries are allowed: `ACTIVE`, or `STOPPED` and why."""

    state: Literal["ACTIVE", "STOPPED"] | None = None
    reason: str | None = None
    """Why it is stopped, or as given when it was started; null for no reason."""
    by: str | None = None
    """What stopped or started it last: a command, or a limit of the day; null: it began so."""
    since: datetime | None = None
    """Null: since the ledger was made, or for the whole day."""
    beside: tuple[StillTrue, ...] = ()

    @property
    def details(self) -> str:
        """Who, since when, and what goes on: `by spxarb stop since 2026-02-10 10:02; exits go on`."""
        by = f"by {self.by}" if self.by else ""
        since = f"since {self.since.astimezone(NEW_YORK):%Y-%m-%d %H:%M}" if self.since else ""
        return "; ".join(filter(None, [" ".join(filter(None, [by, since])), ", ".join(self.beside)]))

    def __str__(self) -> str:
        """In one phrase: `STOPPED: CPI day (by spxarb stop since 2026-02-10 10:02; exits go on)`."""
        why = f": {self.reason}" if self.reason else ""
        details = f" ({self.details})" if self.details else ""
        return f"{self.state or 'not known'}{why}{details}"


@dataclass(frozen=True, slots=True)
class Switch:
    """The switch of `start` and `stop`. `at`: when it was set last, None: it is as the ledger began.

    `by`: the command that set it, where it is known.
    """

    on: bool
    reason: str = ""
    at: datetime | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class EndOfEntries:
    """What ends the entries of a day: a phrase, and since when where that is known."""

    reason: str
    at: datetime | None = None


def trading_state(
    switch: Switch,
    *,
    failures: EndOfEntries | None = None,
    stopped_today: EndOfEntries | None = None,
    blackout: str = "",
    open_trades: int = 0,
    handed_over: int = 0,
) -> TradingResult:
    """The state on a day.

    A human's word comes first, then the failed jobs that only a human ends, then what ends with the day.
    `open_trades`: all of them, `handed_over` of them a human's; where that is all of them, no exit goes on.
    """
    beside = [
        *([StillTrue.FAILURES] if failures else []),
        *([StillTrue.HANDED_OVER] if handed_over else []),
    ]
    exits = [] if handed_over and handed_over >= open_trades else [StillTrue.EXITS]
    stopped = (*exits, *beside)
    if not switch.on:
        reason = switch.reason or (NEVER_STARTED if switch.at is None else None)
        return TradingResult("STOPPED", reason, switch.by, switch.at, stopped)
    if failures:
        return TradingResult("STOPPED", failures.reason, FAILED_JOBS, failures.at, stopped)
    if stopped_today:
        why = f"for today: {stopped_today.reason}"
        return TradingResult("STOPPED", why, DAILY_LOSS, stopped_today.at, stopped)
    if blackout:
        return TradingResult("STOPPED", f"for today: {blackout}", BLACKOUT, None, stopped)
    return TradingResult("ACTIVE", switch.reason or None, switch.by, switch.at, tuple(beside))
