"""When the jobs are due, by the configured times: the one source of units, agents and missing runs.

`firings` are a timer's, `due_on` are those that one day needs. All times are New York's, Monday to Friday. A
timer knows no holidays and no half-days: it fires on each of them, and the command decides. So what a
half-day needs is fired on every day, where it finds nothing to do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from spxarb.core.model import NEW_YORK
from spxarb.core.sessions import CLOSE, EARLY_CLOSE, SATURDAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spxarb.core.sessions import TradingDay

PACE, MINUTE = timedelta(minutes=5), timedelta(minutes=1)
MORNING_LOOK = time(9, 25)
"""`monitor` sees the account before the open: what the night has changed."""
MONITORS_FROM = time(9, 40)
SETTLE_MORNING = time(9, 0)
"""The day's first `settle`: what was provisional is final by then, or assigned."""
WATCH_FROM, WATCH_UNTIL = time(9, 30), time(16, 40)
"""To the end of what `settle` may take: by then it must have succeeded."""
ZONE = "America/New_York"
DAYS_AHEAD = 10


@dataclass(frozen=True, slots=True)
class TimerTimes:
    """What of the configuration decides when timers fire; New York wall-clock times."""

    entry_time: time = time(9, 35)
    entry_cutoff: time = time(10, 0)
    exit_check_time: time = time(15, 45)


@dataclass(frozen=True, slots=True)
class Job:
    """A command that a timer starts. `persistent`: a firing that was missed is made up for."""

    name: str
    verb: str
    persistent: bool
    purpose: str


JOBS = (
    Job("enter", "enter", persistent=False, purpose="one attempt to open a spread"),
    Job("monitor", "monitor", persistent=False, purpose="reconcile, mark, exit what is due"),
    Job("settle", "settle", persistent=True, purpose="settlement and the day's summary"),
    Job("watchdog", "watchdog", persistent=False, purpose="shout when a position is open and nothing looks"),
    Job("alerts", "send-alerts", persistent=False, purpose="send the alerts that wait in the ledger"),
)
"""The timed commands, by the name of their timer."""


def firings(job: str, schedule: TimerTimes) -> tuple[time, ...]:
    """When the job's timer fires on a weekday, in order. Raises KeyError for a name that is no job."""
    return tuple(sorted(set(_TIMES[job](schedule))))


def _enter(schedule: TimerTimes) -> Iterator[time]:
    return _every(PACE, schedule.entry_time, schedule.entry_cutoff, last=False)


def _monitor(schedule: TimerTimes) -> Iterator[time]:
    """Once before the open; every five minutes while anything may be open; every minute while an exit is due.

    The minutes around the close of a half-day are fired on every day.
    """
    for close in (EARLY_CLOSE, CLOSE):
        yield from _monitor_until(close, _later(close, QUARTER), schedule)


def _monitor_until(close: time, until: time, schedule: TimerTimes) -> Iterator[time]:
    """As a session needs it that closes then; SPY's options trade `until`."""
    yield MORNING_LOOK
    entered = _up(_later(schedule.entry_time, PACE), 5)
    yield from _every(PACE, min(MONITORS_FROM, entered), close, last=True)
    exit_from = _up(min(schedule.exit_check_time, _later(close, -QUARTER)), 1)
    yield from _every(MINUTE, exit_from, until, last=True)


QUARTER = timedelta(minutes=15)
"""So long before the close an exit by time is due, and so long after it SPY's options trade."""


def _settle(_: TimerTimes) -> Iterator[time]:
    yield SETTLE_MORNING
    yield _later(EARLY_CLOSE, PACE)
    yield _later(CLOSE, PACE)


def _watchdog(_: TimerTimes) -> Iterator[time]:
    return _every(PACE, WATCH_FROM, WATCH_UNTIL, last=True)


def _alerts(_: TimerTimes) -> Iterator[time]:
    return (time(hour, minute) for hour in range(24) for minute in range(0, 60, 10))


_TIMES = {
    "enter": _enter,
    "monitor": _monitor,
    "settle": _settle,
    "watchdog": _watchdog,
    "alerts": _alerts,
}


def due_on(job: str, day: TradingDay) -> tuple[datetime, ...]:
    """When the day needs `enter`, `monitor` or `settle`, in order; none for another name.

    Timers fire at each of these times, and also at those that a day of the other length needs.
    """
    schedule = TimerTimes(day.entry_open.time(), day.entry_cutoff.time(), day.exit_at.time())
    match job:
        case "enter":
            times = set(_enter(schedule))
        case "monitor":
            times = set(_monitor_until(day.close.time(), day.spy_until.time(), schedule))
        case "settle":
            times = {SETTLE_MORNING, day.settle_at.time()}
        case _:
            times = set()
    return tuple(datetime.combine(day.day, clock, NEW_YORK) for clock in sorted(times))


def next_firings(job: str, schedule: TimerTimes, now: datetime, count: int) -> list[datetime]:
    """The next `count` firings after `now` (aware, any zone), in New York.

    No session lies near the hour that daylight saving time leaves out or repeats, at 02:00.
    """
    here, times = now.astimezone(NEW_YORK), firings(job, schedule)
    found: list[datetime] = []
    for ahead in range(DAYS_AHEAD):
        day = here.date() + timedelta(days=ahead)
        if day.weekday() < SATURDAY:
            moments = (datetime.combine(day, clock, NEW_YORK) for clock in times)
            found += [moment for moment in moments if moment > here]
        if len(found) >= count:
            break
    return found[:count]


# --- systemd's calendar expressions -----------------------------------------------------------------


def calendar_lines(times: Sequence[time]) -> list[str]:
    """The times as expressions of systemd.time(7), hours with the same minutes in one."""
    parts: list[tuple[str, list[int]]] = []
    for (hour, second), of_hour in groupby(times, key=lambda clock: (clock.hour, clock.second)):
        text = f"{_numbers([clock.minute for clock in of_hour])}:{second:02}"
        if parts and parts[-1][0] == text and parts[-1][1][-1] == hour - 1:
            parts[-1][1].append(hour)
        else:
            parts.append((text, [hour]))
    return [f"Mon..Fri *-*-* {_hours(hours)}:{text} {ZONE}" for text, hours in parts]


def times_of(expressions: Iterable[str]) -> tuple[time, ...] | None:
    """The times of a weekday at which expressions of our own form fire; None for any other form."""
    found: set[time] = set()
    for expression in expressions:
        match = _EXPRESSION.fullmatch(expression.strip())
        if match is None:
            return None
        try:
            found |= {
                time(hour, minute, int(match[3]))
                for hour in _spelled_out(match[1])
                for minute in _spelled_out(match[2])
            }
        except ValueError:
            return None
    return tuple(sorted(found))


_EXPRESSION = re.compile(rf"Mon\.\.Fri \*-\*-\* ([\d,./]+):([\d,./]+):(\d\d) {ZONE}")


def _spelled_out(text: str) -> Iterator[int]:
    """The numbers of `05`, `40..55/5`, `0,13`. Raises ValueError for any other text."""
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("..")
        yield from range(int(first), int(last or first) + 1, int(step or 1))


def _numbers(values: list[int]) -> str:
    """`05`, `35..55/5`, `45..59`, `00,07,31`: minutes of an hour in systemd's own short form."""
    steps = {after - before for before, after in pairwise(values)}
    if len(values) > MOST_BY_NAME and len(steps) == 1:
        step = steps.pop()
        return f"{values[0]:02}..{values[-1]:02}" + (f"/{step}" if step > 1 else "")
    return ",".join(_pieces(values))


MOST_BY_NAME = 2


def _pieces(values: list[int]) -> list[str]:
    """Minutes in runs that follow one another, else one by one."""
    runs: list[list[int]] = []
    for value in values:
        if runs and runs[-1][-1] == value - 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return [
        f"{run[0]:02}..{run[-1]:02}"
        if len(run) > MOST_BY_NAME
        else ",".join(f"{minute:02}" for minute in run)
        for run in runs
    ]


def _hours(hours: list[int]) -> str:
    return f"{hours[0]:02}" if len(hours) == 1 else f"{hours[0]:02}..{hours[-1]:02}"


# --- clock times ------------------------------------------------------------------------------------


def _every(pace: timedelta, first: time, end: time, *, last: bool) -> Iterator[time]:
    """From `first` to `end`; `last`: the end itself too."""
    day = datetime(2000, 1, 1)  # noqa: DTZ001 -- wall-clock arithmetic within a day
    at, until = datetime.combine(day, first), datetime.combine(day, end)
    while at < until or (last and at == until):
        yield at.time()
        at += pace


def _later(clock: time, by: timedelta) -> time:
    return (datetime.combine(datetime(2000, 1, 1), clock) + by).time()  # noqa: DTZ001 -- likewise


def _up(clock: time, minutes: int) -> time:
    """The next full minute, or the next that `minutes` divides; the time itself where it is one."""
    seconds = clock.hour * 3600 + clock.minute * 60 + clock.second
    whole = -(-seconds // (60 * minutes)) * minutes
    return time(min(whole // 60, 23), whole % 60 if whole < 24 * 60 else 59)
