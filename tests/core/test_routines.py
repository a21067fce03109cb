"""When each timed command is due, and which of them did not run."""

from __future__ import annotations

from datetime import date, datetime, time

import pytest

from spxarb.core.firings import TimerTimes, due_on, firings
from spxarb.core.model import NEW_YORK
from spxarb.core.routines import missed, next_due
from spxarb.core.sessions import session_times

FRIDAY, HALF_DAY, MONDAY = date(2026, 2, 13), date(2026, 11, 27), date(2026, 2, 16)


def timetable(day: date):
    times = {"entry_time": time(9, 35), "entry_cutoff": time(10, 0), "exit_check_time": time(15, 45)}
    return session_times(day, early={HALF_DAY}, **times)


def at(clock: str, day: date = FRIDAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=NEW_YORK)


def clocks(command: str, day: date) -> list[str]:
    return [f"{moment:%H:%M}" for moment in due_on(command, timetable(day))]


def test_each_command_is_due_when_the_day_needs_it():
    assert clocks("enter", FRIDAY) == ["09:35", "09:40", "09:45", "09:50", "09:55"]
    monitor = clocks("monitor", FRIDAY)
    every_five = [f"{h:02}:{m:02}" for h in range(9, 16) for m in range(0, 60, 5)]
    until = every_five.index("15:45")
    minutes = [f"15:{m}" for m in range(45, 60)] + [f"16:{m:02}" for m in range(16)]
    assert monitor == ["09:25", *every_five[every_five.index("09:40") : until], *minutes]
    assert clocks("settle", FRIDAY) == ["09:00", "16:05"]
    assert clocks("close-all", FRIDAY) == []


def test_on_a_short_day_monitor_looks_every_minute_around_its_close_and_settle_follows_it():
    monitor = clocks("monitor", HALF_DAY)
    minutes = [f"12:{m}" for m in range(45, 60)] + [f"13:{m:02}" for m in range(16)]
    assert monitor[-len(minutes) - 1 :] == ["12:40", *minutes]
    assert clocks("settle", HALF_DAY) == ["09:00", "13:05"]


@pytest.mark.parametrize("day", [FRIDAY, HALF_DAY])
@pytest.mark.parametrize("command", ["enter", "monitor", "settle"])
def test_a_timer_fires_whenever_the_day_needs_its_command(command, day):
    fired = firings(command, TimerTimes())
    assert {moment.time() for moment in due_on(command, timetable(day))} <= set(fired)


@pytest.mark.parametrize(
    ("command", "now", "due"),
    [
        ("enter", at("09:34"), at("09:35")),
        ("enter", at("09:35"), at("09:40")),
        ("enter", at("09:55"), at("09:35", MONDAY)),
        ("monitor", at("09:20"), at("09:25")),
        ("monitor", at("15:45"), at("15:46")),
        ("monitor", at("16:00"), at("16:01")),
        ("monitor", at("16:15"), at("09:25", MONDAY)),
        ("settle", at("08:00"), at("09:00")),
        ("settle", at("16:04"), at("16:05")),
        ("settle", at("16:05"), at("09:00", MONDAY)),
    ],
)
def test_the_next_is_today_or_else_on_the_next_trading_day(command, now, due):
    assert next_due(command, now, timetable(FRIDAY), timetable(MONDAY)) == due
    assert next_due(command, now, None, timetable(MONDAY)).date() == MONDAY


@pytest.mark.parametrize(
    ("now", "last", "found"),
    [
        ("10:45", "10:40", None),
        ("10:49", "10:40", None),  # it may be waiting for the lock
        ("10:50", "10:40", "10:45"),
        ("10:50", "10:45", None),
        ("10:50", None, "10:45"),
        ("09:29", None, None),
        ("09:41", None, "09:25"),
        ("15:53", "15:46:30", "15:48"),  # by then it is due every minute
    ],
)
def test_a_command_that_was_due_and_did_not_run_is_missed_once_five_minutes_are_over(now, last, found):
    ran = None if last is None else at(last)
    wanted = None if found is None else at(found)
    assert missed("monitor", at(now), timetable(FRIDAY), ran) == wanted
    assert missed("monitor", at(now), None, ran) is None
