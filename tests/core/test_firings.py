"""When timers fire: the exact minutes, and the same by systemd's own reading of the expressions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from spxarb.core.firings import JOBS, TimerTimes, calendar_lines, firings, next_firings, times_of
from spxarb.core.model import NEW_YORK

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze here")
DEFAULTS = TimerTimes()
TUNED = TimerTimes(entry_time=time(9, 45), entry_cutoff=time(10, 20), exit_check_time=time(15, 30))
ODD = TimerTimes(entry_time=time(9, 33, 30), entry_cutoff=time(9, 50), exit_check_time=time(11, 7, 15))
SCHEDULES = pytest.mark.parametrize("schedule", [DEFAULTS, TUNED, ODD], ids=["defaults", "tuned", "odd"])
NAMES = [job.name for job in JOBS]


def texts(job: str, schedule: TimerTimes = DEFAULTS) -> list[str]:
    return [f"{at:%H:%M}" for at in firings(job, schedule)]


def minutes(first: str, last: str, step: int = 1) -> set[str]:
    at, end = (datetime.strptime(text, "%H:%M") for text in (first, last))
    found = set()
    while at <= end:
        found.add(f"{at:%H:%M}")
        at += timedelta(minutes=step)
    return found


def test_enter_fires_every_five_minutes_of_the_entry_window_and_not_at_its_end():
    assert texts("enter") == ["09:35", "09:40", "09:45", "09:50", "09:55"]
    assert texts("enter", TUNED) == ["09:45", "09:50", "09:55", "10:00", "10:05", "10:10", "10:15"]
    assert firings("enter", ODD) == (time(9, 33, 30), time(9, 38, 30), time(9, 43, 30), time(9, 48, 30))


def test_monitor_looks_once_before_the_open_then_every_five_minutes_and_every_minute_around_each_close():
    half_day, whole_day = minutes("12:45", "13:15"), minutes("15:45", "16:15")
    assert set(texts("monitor")) == {"09:25"} | minutes("09:40", "16:00", 5) | half_day | whole_day


def test_monitor_fires_every_minute_from_an_earlier_exit_check_on():
    assert set(texts("monitor", TUNED)) - set(texts("monitor")) == minutes("15:30", "15:44") - {
        "15:30",
        "15:35",
        "15:40",
    }
    found = texts("monitor", ODD)  # from 11:08, the first full minute, to the end of SPY's options
    assert minutes("11:08", "16:15") <= set(found)
    assert "11:07" not in found


def test_monitor_follows_an_earlier_entry_within_five_minutes():
    assert "09:35" in texts("monitor", TimerTimes(entry_time=time(9, 30)))
    assert "09:35" not in texts("monitor")


def test_settle_fires_after_both_kinds_of_close_and_in_the_morning():
    assert texts("settle") == ["09:00", "13:05", "16:05"]


def test_the_watchdog_watches_the_session_and_alerts_wait_ten_minutes_at_the_most():
    assert set(texts("watchdog")) == minutes("09:30", "16:40", 5)
    assert len(texts("alerts")) == 24 * 6


def test_settle_alone_makes_up_for_a_missed_firing():
    assert {job.name for job in JOBS if job.persistent} == {"settle"}


@SCHEDULES
@pytest.mark.parametrize("job", NAMES)
def test_the_expressions_say_the_same_times_and_can_be_read_back(job, schedule):
    lines = calendar_lines(firings(job, schedule))
    assert times_of(lines) == firings(job, schedule)
    assert all(line.startswith("Mon..Fri *-*-* ") and line.endswith(" America/New_York") for line in lines)


@pytest.mark.parametrize(
    "text", ["hourly", "*:0/5", "Mon *-*-* 09:35:00", "Mon..Fri *-*-* 09:61:00 America/New_York"]
)
def test_an_expression_of_another_form_is_not_guessed_at(text):
    assert times_of([text]) is None


def test_the_next_firings_step_over_a_weekend():
    friday = datetime(2026, 7, 10, 9, 52, tzinfo=NEW_YORK)
    assert [f"{at:%a %H:%M}" for at in next_firings("enter", DEFAULTS, friday, 3)] == [
        "Fri 09:55",
        "Mon 09:35",
        "Mon 09:40",
    ]


# --- by systemd itself --------------------------------------------------------------------------------

DST_WEEKS = [date(2026, 3, 6), date(2026, 10, 30), date(2026, 7, 10)]
"""The Friday before each change of New York's clocks (Sundays 2026-03-08 and 2026-11-01), and one in summer."""


def elapses(expression: str, base: datetime, count: int, zone: str) -> list[datetime]:
    """The next moments by `systemd-analyze calendar`, on a machine in that zone."""
    done = subprocess.run(
        [
            str(ANALYZE),
            "calendar",
            f"--base-time={base.astimezone(UTC) - timedelta(seconds=1):%Y-%m-%d %H:%M:%S} UTC",
            f"--iterations={count}",
            expression,
        ],
        capture_output=True,
        text=True,
        check=True,
        env={"TZ": zone, "PATH": os.defpath, "LC_ALL": "C"},
    )
    stamps = re.findall(r"\(in UTC\): \w+ (\S+ \S+) UTC", done.stdout)
    if not stamps:  # the machine's own zone is UTC
        stamps = re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ (\S+ \S+) UTC", done.stdout)
    return [datetime.fromisoformat(stamp).replace(tzinfo=UTC) for stamp in stamps]


@needs_systemd
@pytest.mark.parametrize("friday", DST_WEEKS, ids=str)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Tokyo"])
@pytest.mark.parametrize("job", ["enter", "monitor", "settle", "watchdog"])
def test_systemd_fires_at_the_same_moments_over_both_changes_of_the_clocks_in_any_zone(job, zone, friday):
    begin = datetime.combine(friday, time(0), NEW_YORK)
    due = [at for at in next_firings(job, DEFAULTS, begin, 400) if at < begin + timedelta(days=5)]
    fired: set[datetime] = set()
    for line in calendar_lines(firings(job, DEFAULTS)):
        count = 3 * len(times_of([line]) or ())
        fired |= {at for at in elapses(line, begin, count, zone) if at < begin + timedelta(days=5)}
    assert sorted(fired) == due
    offsets = {at.utcoffset() for at in due}
    assert len(offsets) == (1 if friday.month == 7 else 2), "the clocks change within these days"
    assert ZoneInfo(zone) is not None


@needs_systemd
@pytest.mark.parametrize("schedule", [TUNED, ODD], ids=["tuned", "odd"])
def test_systemd_reads_the_expressions_of_any_schedule_as_they_are_meant(schedule):
    monday = datetime(2026, 7, 6, tzinfo=NEW_YORK)
    for job in NAMES:
        fired: set[datetime] = set()
        for line in calendar_lines(firings(job, schedule)):
            fired |= set(elapses(line, monday, len(times_of([line]) or ()), "UTC"))
        assert [at.astimezone(NEW_YORK).time() for at in sorted(fired)] == list(firings(job, schedule)), job
