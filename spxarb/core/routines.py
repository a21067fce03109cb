"""When each timed command is due, by the day's timetable. Pure.

As the timers have it: `enter` every five minutes of the entry window, `monitor` every five minutes from five
past its beginning to the close, `settle` five minutes after the close.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from spxarb.core.sessions import TradingDay

ROUTINES = ("enter", "monitor", "settle")
"""The commands that timers start."""
PACE = timedelta(minutes=5)
GRACE = timedelta(minutes=5)
"""How late a command may be before it counts as missed: it waits for the lock, and takes its time."""


def due_times(command: str, day: TradingDay) -> Iterator[datetime]:
    """When the command is due on that day, in order; none for a command that no timer starts."""
    match command:
        case "enter":
            first, end = day.entry_open, day.entry_cutoff
        case "monitor":
            first, end = day.entry_open + PACE, day.close + timedelta(seconds=1)
        case "settle":
            first, end = day.settle_at, day.settle_at + timedelta(seconds=1)
        case _:
            return
    while first < end:
        yield first
        first += PACE


def next_due(command: str, now: datetime, day: TradingDay | None, later: TradingDay) -> datetime | None:
    """When the command is due next: on `day`, today's timetable (None: no session), else on `later`."""
    today = () if day is None else due_times(command, day)
    return next((at for at in today if at > now), next(due_times(command, later), None))


def missed(command: str, now: datetime, day: TradingDay | None, last_run: datetime | None) -> datetime | None:
    """The newest time today at which the command was due and did not run; None: none, or it may still run."""
    if day is None:
        return None
    over = [at for at in due_times(command, day) if at + GRACE <= now]
    if not over or (last_run is not None and last_run >= over[-1]):
        return None
    return over[-1]
