"""Which runs of a day are missing, and which commands had no success."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest

from spxarb.core.model import NEW_YORK
from spxarb.core.run_gaps import FailingRuns, RecordedRun, failing_runs, missing_runs
from spxarb.core.sessions import session_times

FRIDAY, HALF_DAY = date(2026, 2, 13), date(2026, 11, 27)
LONG_AGO = datetime(2026, 1, 5, 9, 35, tzinfo=NEW_YORK)


def timetable(day: date = FRIDAY, **more: time):
    times = {"entry_time": time(9, 35), "entry_cutoff": time(10, 0), "exit_check_time": time(15, 45)} | more
    return session_times(day, early={HALF_DAY}, **times)


def at(clock: str, day: date = FRIDAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=NEW_YORK)


def ran(text: str, day: date = FRIDAY, code: int | None = 0, **more: object) -> list[RecordedRun]:
    """`enter 09:35 monitor 09:40 09:45`."""
    found: list[RecordedRun] = []
    command = ""
    for word in text.split():
        if word[0].isdigit():
            found.append(RecordedRun(command, at(word, day), exit_code=code, **more))
        else:
            command = word
    return found


def missing(text: str, now: str, *, since: datetime | None = LONG_AGO, day: date = FRIDAY) -> list[str]:
    return [str(gap) for gap in missing_runs(timetable(day), ran(text, day), at(now, day), since=since)]


MORNING = "settle 09:00 monitor 09:25 "
EVERY = "settle 09:00 monitor 09:25 enter 09:35 09:40 09:45 09:50 09:55"


@pytest.mark.parametrize(
    ("runs", "now", "told"),
    [
        (EVERY + " monitor 09:40 09:45 09:50 09:55", "10:00", []),
        (EVERY + " monitor 09:40", "09:49", []),  # one that waits for the lock is not missing yet
        (EVERY + " monitor 09:40", "09:50", ["monitor did not run at 09:45"]),
        ("", "09:39", []),
        ("enter 09:50 09:55", "09:52", ["enter did not run from 09:35 to 09:45 (3 times)"]),
        ("enter 09:35:02 09:40:59 09:45 09:50 09:55", "09:44", []),
        ("enter 09:36:30", "09:44", []),  # late, or by hand: it is a run
    ],
)
def test_what_was_due_and_did_not_run_is_missing_once_its_grace_is_over(runs, now, told):
    found = missing(MORNING + runs, now)
    assert [text for text in found if "09:40 to" not in text or "monitor" not in text] == told


def test_a_machine_asleep_at_935_misses_entries_and_monitors_until_it_wakes():
    assert missing("enter 09:50 09:55 monitor 09:50 09:55 settle 09:49", "10:00") == [
        "enter did not run from 09:35 to 09:45 (3 times)",
        "monitor did not run from 09:25 to 09:45 (3 times)",
    ]


def clocks(first: str, last: str, step: int) -> str:
    count = (at(last) - at(first)) // timedelta(minutes=step)
    return " ".join(f"{at(first) + n * timedelta(minutes=step):%H:%M}" for n in range(count + 1))


WHOLE_DAY = f"{EVERY} monitor {clocks('09:40', '15:40', 5)} {clocks('15:45', '16:15', 1)} settle 16:05"


def test_a_day_of_timers_misses_nothing_and_of_minutes_each_one_counts():
    assert missing(WHOLE_DAY, "16:30") == []
    gap = WHOLE_DAY.replace(clocks("15:50", "15:53", 1), "")
    assert missing(gap, "16:30") == ["monitor did not run from 15:50 to 15:53 (4 times)"]
    late = WHOLE_DAY.replace(" 15:50 ", " 15:50:45 ")
    assert missing(late, "16:30") == []


@pytest.mark.parametrize("clock", ["09:00", "09:20"])
def test_a_settle_of_the_morning_is_made_up_for_later_and_makes_up_for_no_evening(clock):
    day = WHOLE_DAY.replace("settle 09:00", f"settle {clock}").replace("settle 16:05", "settle 13:05")
    assert missing(day, "16:30") == ["settle did not run at 16:05"]


def test_two_gaps_are_two_stretches_and_a_settle_later_on_makes_up_for_one_that_did_not_run():
    monitors = f"{clocks('09:40', '15:40', 5)} {clocks('15:45', '16:15', 1)}".split()
    kept = [clock for clock in monitors if not ("11:00" <= clock < "11:20" or clock == "14:00")]
    day = f"{EVERY} monitor {' '.join(kept)}"
    gaps = ["monitor did not run from 11:00 to 11:15 (4 times)", "monitor did not run at 14:00"]
    assert missing(day, "16:30") == [*gaps, "settle did not run at 16:05"]
    assert missing(f"{day} settle 16:25", "16:30") == gaps


def test_what_was_due_before_the_ledgers_first_use_is_nobodys():
    assert missing("monitor 12:00", "12:04", since=at("12:00")) == []
    assert missing("monitor 12:00", "12:10", since=at("12:00")) == ["monitor did not run at 12:05"]
    assert missing("", "12:04", since=None) == []


def test_a_holiday_misses_nothing_and_a_short_day_ends_at_one():
    assert missing_runs(None, [], at("12:00"), since=LONG_AGO) == ()
    found = missing("", "16:30", day=HALF_DAY)
    assert found[1:] == [
        "monitor did not run from 09:25 to 13:15 (69 times)",
        "settle did not run from 09:00 to 13:05 (2 times)",
    ]


def test_the_times_in_force_count():
    day = timetable(entry_time=time(9, 45), entry_cutoff=time(9, 55))
    found = missing_runs(day, ran("monitor 09:40 settle 09:00"), at("10:00"), since=at("09:30"))
    assert [str(gap) for gap in found] == [
        "enter did not run from 09:45 to 09:50 (2 times)",
        "monitor did not run from 09:45 to 09:55 (3 times)",
    ]


def test_a_run_that_was_at_work_serves_what_was_due_meanwhile():
    long = [RecordedRun("monitor", at("09:40"), at("09:52"), 0)]
    found = missing_runs(timetable(), [*ran(EVERY), *long], at("10:00"), since=LONG_AGO)
    assert [str(gap) for gap in found] == ["monitor did not run at 09:55"]


def test_a_run_that_failed_is_not_missing_but_without_success():
    runs = [*ran("monitor 09:40"), *ran("monitor 09:45 09:50", code=4)]
    assert missing_runs(timetable(), [*ran(EVERY), *runs], at("09:54"), since=LONG_AGO) == ()
    assert failing_runs(runs) == (FailingRuns("monitor", at("09:45"), 2, at("09:40")),)
    assert str(failing_runs(runs)[0]) == "monitor ran 2 times from 09:45 on, without success since 09:40"
    assert failing_runs([*runs, *ran("monitor 09:55")]) == ()
    assert str(failing_runs(ran("enter 09:35", code=3))[0]) == (
        "enter ran once from 09:35 on, without success that day"
    )


@pytest.mark.parametrize(
    ("code", "looked", "good"),
    [
        (0, False, True),
        (6, True, True),
        (3, True, True),
        (6, False, False),
        (4, True, False),
        (1, True, False),
    ],
)
def test_a_run_that_looked_after_all_succeeded_though_a_matter_waits_for_a_human(code, looked, good):
    assert RecordedRun("monitor", at("10:00"), exit_code=code, looked=looked).succeeded is good


def test_one_that_is_at_work_or_was_called_wrongly_is_no_failure_and_one_that_was_killed_is():
    assert failing_runs(ran("monitor 10:00", code=None)) == ()
    assert failing_runs(ran("settle 16:05", code=2)) == ()
    assert len(failing_runs([*ran("monitor 10:00 10:05", code=None)])) == 1
