"""When each timed command is due, and which of them did not run."""

from __future__ import annotations

from datetime import date, datetime, time

import pytest

from spxarb.core.model import NEW_YORK
from spxarb.core.routines import due_times, missed, next_due
from spxarb.core.sessions import session_times

FRIDAY, HALF_DAY, MONDAY = date(2026, 2, 13), date(2026, 11, 27), date(2026, 2, 16)


def timetable(day: date):
    times = {"entry_time": time(9, 35), "entry_cutoff": time(10, 0), "exit_check_time": time(15, 45)}
    return session_times(day, early={HALF_DAY}, **times)


def at(clock: str, day: date = FRIDAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=NEW_YORK)


def clocks(command: str, day: date) -> list[str]:
    return [f"{moment:%H:%M}" for moment in due_times(command, timetable(day))]


def test_each_command_is_due_as_its_timer_has_it():
    assert clocks("enter", FRIDAY) == ["09:35", "09:40", "09:45", "09:50", "09:55"]
    monitor = clocks("monitor", FRIDAY)
    assert (monitor[:2], monitor[-2:], len(monitor)) == (["09:40", "09:45"], ["15:55", "16:00"], 77)
    assert clocks("settle", FRIDAY) == ["16:05"]
    assert clocks("close-all", FRIDAY) == []


def test_on_a_short_day_the_last_monitor_is_at_its_close_and_settle_five_minutes_later():
    assert clocks("monitor", HALF_DAY)[-1] == "13:00"
    assert clocks("settle", HALF_DAY) == ["13:05"]


@pytest.mark.parametrize(
    ("command", "now", "due"),
    [
        ("enter", at("09:34"), at("09:35")),
        ("enter", at("09:35"), at("09:40")),
        ("enter", at("09:55"), at("09:35", MONDAY)),
        ("monitor", at("16:00"), at("09:40", MONDAY)),
        ("settle", at("16:04"), at("16:05")),
        ("settle", at("16:05"), at("16:05", MONDAY)),
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
        ("09:41", None, None),
    ],
)
def test_a_command_that_was_due_and_did_not_run_is_missed_once_five_minutes_are_over(now, last, found):
    ran = None if last is None else at(last)
    wanted = None if found is None else at(found)
    assert missed("monitor", at(now), timetable(FRIDAY), ran) == wanted
    assert missed("monitor", at(now), None, ran) is None
