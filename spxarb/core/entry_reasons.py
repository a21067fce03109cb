"""Why nothing was entered: the checks that stopped attempts, and each trading day without a trade.

A dry run is no attempt. Money is dollars.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from spxarb.core.decisions import ASKED_LAST, StoredDecision
from spxarb.core.model import dec
from spxarb.core.sentences import lower_first, sentence, usd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from spxarb.core.events import Row

NO_ANSWER = "no decision"
UNDONE = "entry undone"


@dataclass(frozen=True)
class EntryAttempt:
    """One `enter` that decided: when, what came of it, which checks stopped it, the credit as quoted."""

    at: datetime
    outcome: str | None
    stopped_by: tuple[str, ...]
    credit: Decimal | None


@dataclass(frozen=True)
class SkipReason:
    """A check that stopped attempts to enter."""

    reason: str
    """The check's name, as in `enter --json`; `entry undone` and `no decision` beside them."""
    attempts: int
    """Attempts that it stopped, alone or with others."""
    alone: int
    """Of these, how many nothing else spoke against."""
    days: int
    """On how many days it stopped any."""


@dataclass(frozen=True)
class QuietDay:
    """A trading day without a trade, and why."""

    day: date
    attempts: int
    reasons: tuple[str, ...]
    """Checks that stopped its attempts, the most frequent first."""
    best_credit: Decimal | None
    """The highest net credit that was quoted to any of them; null where none was seen."""
    why: str
    """In a sentence."""


@dataclass
class DayRuns:
    """What the ledger knows of a day beside attempts: how often `enter` ran, others, what they failed by."""

    enters: int = 0
    others: int = 0
    errors: list[str] = field(default_factory=list)
    stop: str = ""
    """Why no more was to be entered on it."""


def attempts_of(rows: Iterable[Row]) -> tuple[list[EntryAttempt], list[str]]:
    """The attempts in rows of `decisions`, dry runs left out; and sentences on rows that cannot be read."""
    found, unread = [], []
    for row in rows:
        try:
            decision = StoredDecision(row)
            at = datetime.fromisoformat(decision.at)
        except (ValueError, TypeError):
            unread.append(f"Decision {row['id']} is left out: it cannot be read.")
            continue
        if decision.command == "enter" and not decision.dry_run:
            found.append(EntryAttempt(at, decision.outcome, _stopped_by(decision), _credit(decision)))
    return found, unread


def _stopped_by(decision: StoredDecision) -> tuple[str, ...]:
    """The checks that failed; where none did, those that could not be evaluated."""
    checks = [check for check in decision.checks if isinstance(check, dict)]
    if decision.outcome == "aborted":
        return (UNDONE,)
    if decision.outcome == "entered":
        return ()
    failed = [str(check.get("name")) for check in checks if check.get("ok") is False]
    unanswered = [
        str(check.get("name"))
        for check in checks
        if check.get("ok") is None and check.get("name") not in ASKED_LAST
    ]
    return tuple(failed) or (tuple(unanswered) if decision.outcome else ()) or (NO_ANSWER,)


def _credit(decision: StoredDecision) -> Decimal | None:
    net = decision.figures("credit").get("net")
    return dec(net) if isinstance(net, int | float) else None


def skip_reasons(attempts: Sequence[EntryAttempt]) -> tuple[SkipReason, ...]:
    """Every reason, the most frequent first."""
    counts: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    days: defaultdict[str, set[date]] = defaultdict(set)
    for attempt in attempts:
        counts.update(attempt.stopped_by)
        if len(attempt.stopped_by) == 1:
            alone.update(attempt.stopped_by)
        for reason in attempt.stopped_by:
            days[reason].add(attempt.at.date())
    return tuple(
        SkipReason(reason, count, alone[reason], len(days[reason])) for reason, count in counts.most_common()
    )


def quiet_days(
    days: Iterable[date], traded: set[date], attempts: Sequence[EntryAttempt], runs: Mapping[date, DayRuns]
) -> tuple[QuietDay, ...]:
    """Of the trading days those without a trade. `traded`: days with one, whatever became of it."""
    of_day: defaultdict[date, list[EntryAttempt]] = defaultdict(list)
    for attempt in attempts:
        of_day[attempt.at.date()].append(attempt)
    nothing = DayRuns()
    return tuple(_quiet(day, of_day[day], runs.get(day, nothing)) for day in days if day not in traded)


def _quiet(day: date, attempts: Sequence[EntryAttempt], runs: DayRuns) -> QuietDay:
    counts = Counter(reason for attempt in attempts for reason in attempt.stopped_by)
    best = max((attempt.credit for attempt in attempts if attempt.credit is not None), default=None)
    if attempts:
        many = "1 attempt" if len(attempts) == 1 else f"{len(attempts)} attempts"
        stopped = ", ".join(f"{in_words(reason)} ({count})" for reason, count in counts.most_common())
        why = f"{many}, stopped by {stopped}" if stopped else many
        why += "" if best is None else f"; best credit {usd(best)}"
    elif runs.errors:
        why = f"enter failed: {lower_first(runs.errors[0])}"
    elif runs.enters:
        why = "enter came to no decision"
    else:
        why = "enter did not run" if runs.others else "no command ran"
    if runs.stop:
        why = f"entries were stopped: {lower_first(runs.stop)}; {lower_first(why)}"
    return QuietDay(
        day, len(attempts), tuple(reason for reason, _ in counts.most_common()), best, sentence(why)
    )


def in_words(reason: str) -> str:
    """A check's name as people read it."""
    return reason.replace("_", " ")
