"""What the watchdog shouts at: something is open and nobody looks after it. Pure.

What is open is what the ledger says: trades, orders whose end is not proven, matters for a human. While SPY's
options trade (09:30 to 16:15, on a short day to 13:15) a `monitor` must have succeeded lately; and what has
expired must have been settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.core.firings import due_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime

    from spxarb.core.run_gaps import RecordedRun
    from spxarb.core.sessions import TradingDay

SETTLE_PATIENCE = timedelta(minutes=30)
"""So long after its time `settle` may still come: a server that starts late."""
LOOKING_AFTER = frozenset({"monitor", "close-all"})
"""The commands that exit positions."""


@dataclass(frozen=True, slots=True)
class OpenThing:
    """A trade, an order or a matter that is open. `what`: a phrase; `since`: None where not known.

    `hours`: the timetable of its last session, None for what does not expire.
    """

    what: str
    since: datetime | None = None
    hours: TradingDay | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a human must hear of; `trouble` is the same for the same."""

    trouble: str
    text: str


def last_success(runs: Iterable[RecordedRun], commands: Iterable[str]) -> datetime | None:
    """When one of the commands last ended with success; of one without a known end, when it began."""
    wanted = frozenset(commands)
    return max((run.until or run.at for run in runs if run.command in wanted and run.succeeded), default=None)


def session_of(day: TradingDay | None, things: Iterable[OpenThing], today: date) -> TradingDay | None:
    """Today's session: the one stored with what expires today, whatever the calendar says by now."""
    stored = [thing.hours for thing in things if thing.hours is not None and thing.hours.day == today]
    return stored[0] if stored else day


def alarms(
    things: Sequence[OpenThing],
    runs: Sequence[RecordedRun],
    session: TradingDay | None,
    now: datetime,
    *,
    patience: timedelta,
) -> tuple[Alarm, ...]:
    """What to shout at `now`; nothing where nothing is open.

    `runs`: of jobs, by the market's clock. `session`: today's, None on a day without one.
    """
    found = [
        *_not_looked_after(things, runs, session, now, patience),
        *_not_settled(things, runs, now),
    ]
    return tuple(found)


def _not_looked_after(
    things: Sequence[OpenThing],
    runs: Sequence[RecordedRun],
    session: TradingDay | None,
    now: datetime,
    patience: timedelta,
) -> list[Alarm]:
    held = [thing for thing in things if thing.hours is None or thing.hours.day >= now.date()]
    if session is None or not held or not session.open <= now <= session.spy_until:
        return []
    seen = last_success(runs, LOOKING_AFTER)
    known = [thing.since for thing in held if thing.since is not None]
    opened = min(known) if len(known) == len(held) else session.open
    first = next((at for at in due_on("monitor", session) if at >= session.open), session.open)
    begin = max(filter(None, [seen, opened, first]))
    if now - begin < patience:
        return []
    if seen is None:
        last = "No `monitor` ever succeeded"
    elif seen.date() < now.date():
        last = f"No `monitor` has succeeded today (the last one at {seen:%Y-%m-%d %H:%M})"
    else:
        minutes = int((now - seen).total_seconds() // 60)
        last = f"No `monitor` has succeeded for {minutes} minutes (the last one at {seen:%H:%M})"
    text = f"{last}, and {_listed(held)}: nothing looks after it."
    return [Alarm("monitor", text)]


def _not_settled(things: Iterable[OpenThing], runs: Sequence[RecordedRun], now: datetime) -> list[Alarm]:
    settled = last_success(runs, ["settle"])
    found = []
    for thing in things:
        if thing.hours is None or now < thing.hours.settle_at + SETTLE_PATIENCE:
            continue
        if settled is None or settled < thing.hours.settle_at:
            day = thing.hours.day
            text = f"No `settle` has succeeded since {day}, and {thing.what} of that day is not settled."
            found.append(Alarm(f"settle {thing.what} {day}", text))
    return found


def _listed(things: Sequence[OpenThing]) -> str:
    """`trade 1 and matter 2 are open`."""
    names = [thing.what for thing in things]
    if len(names) == 1:
        return f"{names[0]} is open"
    return f"{', '.join(names[:-1])} and {names[-1]} are open"
