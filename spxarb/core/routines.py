"""Which timed command is due next, and which was due last and did not run. Pure; the times: `firings`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.core.firings import due_on

if TYPE_CHECKING:
    from datetime import datetime

    from spxarb.core.sessions import TradingDay

ROUTINES = ("enter", "monitor", "settle")
"""The commands that timers start."""
EARLY = timedelta(minutes=1)
"""So much before its time a run counts as the one that was due: clocks differ, and cron's may be ahead."""
GRACE = timedelta(minutes=5)
"""How late a command may be before it counts as missed: it waits for the lock, and takes its time."""


def next_due(command: str, now: datetime, day: TradingDay | None, later: TradingDay) -> datetime | None:
    """When the command is due next: on `day`, today's timetable (None: no session), else on `later`."""
    today = () if day is None else due_on(command, day)
    return next((at for at in (*today, *due_on(command, later)) if at > now), None)


def missed(command: str, now: datetime, day: TradingDay | None, last_run: datetime | None) -> datetime | None:
    """The newest time today at which the command was due and did not run; None: none, or it may still run."""
    if day is None:
        return None
    over = [at for at in due_on(command, day) if at + GRACE <= now]
    if not over or (last_run is not None and last_run >= over[-1] - EARLY):
        return None
    return over[-1]
