"""When the watchdog shouts, minute by minute."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest

from spxarb.core.model import NEW_YORK
from spxarb.core.run_gaps import RecordedRun
from spxarb.core.sessions import session_times
from spxarb.core.watching import OpenThing, alarms, session_of

THURSDAY, FRIDAY, HALF_DAY = date(2026, 2, 12), date(2026, 2, 13), date(2026, 11, 27)
TEN = timedelta(minutes=10)


def timetable(day: date = FRIDAY):
    return session_times(
        day, early={HALF_DAY}, entry_time=time(9, 35), entry_cutoff=time(10, 0), exit_check_time=time(15, 45)
    )


def at(clock: str, day: date = FRIDAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=NEW_YORK)


def ran(*clocks: str, command: str = "monitor", day: date = FRIDAY, code: int = 0) -> list[RecordedRun]:
    return [RecordedRun(command, at(clock, day), exit_code=code) for clock in clocks]


def trade(entered: str = "09:36", day: date = FRIDAY) -> OpenThing:
    return OpenThing("trade 1", at(entered, day), timetable(day))


def shouted(things, runs, now: str, day: date = FRIDAY, session=None) -> list[str]:
    found = alarms(things, runs, session or timetable(day), at(now, day), patience=TEN)
    return [alarm.trouble for alarm in found]


@pytest.mark.parametrize(
    ("runs", "now", "shouts"),
    [
        ((), "09:36", False),
        ((), "09:49", False),  # the first monitor is due at 9:40
        ((), "09:50", True),
        (("09:40",), "09:49", False),
        (("09:40",), "09:50", True),
        (("09:40", "09:45"), "09:54", False),
        (("15:55", "16:00"), "16:09", False),
        (("15:55", "16:00"), "16:15", True),
        (("15:55", "16:00"), "16:16", False),  # SPY's options trade no more
        ((), "09:29", False),
    ],
)
def test_it_shouts_once_no_monitor_has_succeeded_for_ten_minutes_while_spy_options_trade(runs, now, shouts):
    assert (shouted([trade()], ran(*runs), now) == ["monitor"]) is shouts


def test_a_monitor_that_fails_is_no_success_and_another_command_looks_after_nothing():
    assert shouted([trade()], ran("10:00", "10:05", "10:10", code=4), "10:12") == ["monitor"]
    assert shouted([trade()], ran("10:10", command="enter"), "10:12") == ["monitor"]
    assert shouted([trade()], ran("10:10", command="close-all"), "10:12") == []
    looked = [RecordedRun("monitor", at("10:05"), at("10:06"), 6, looked=True)]
    assert shouted([trade()], looked, "10:12") == []
    assert shouted([trade()], looked, "10:16") == ["monitor"]  # ten minutes after its end


def test_what_was_opened_late_has_ten_minutes_from_then_on():
    assert shouted([trade("11:00")], ran("09:40"), "11:09") == []
    assert shouted([trade("11:00")], ran("09:40"), "11:10") == ["monitor"]


def test_nothing_open_is_quiet_whatever_ran_and_so_is_a_day_without_a_session():
    assert shouted([], [], "11:00") == []
    matter = OpenThing("matter 2", at("15:00", THURSDAY))
    assert alarms([matter], [], None, at("11:00"), patience=TEN) == ()


def test_an_order_or_a_matter_is_open_too_also_of_an_earlier_day():
    matter = OpenThing("matter 2", at("15:00", THURSDAY))
    assert shouted([matter], ran("15:55", day=THURSDAY), "09:49") == []
    assert shouted([matter], ran("15:55", day=THURSDAY), "09:50") == ["monitor"]
    assert shouted([OpenThing("a row that cannot be read")], [], "11:00") == ["monitor"]


def test_a_short_day_ends_at_a_quarter_past_one():
    held = [trade(day=HALF_DAY)]
    assert shouted(held, [], "13:15", HALF_DAY) == ["monitor"]
    assert shouted(held, [], "13:16", HALF_DAY) == []
    assert shouted(held, [], "13:34", HALF_DAY) == []
    assert shouted(held, [], "13:35", HALF_DAY) == [f"settle trade 1 {HALF_DAY}"]


def test_what_expired_and_was_never_settled_is_told_also_on_a_day_without_a_session():
    held = [trade(day=THURSDAY)]
    assert shouted(held, ran("15:55", day=THURSDAY), "16:34", THURSDAY) == []
    assert shouted(held, [], "16:35", THURSDAY) == [f"settle trade 1 {THURSDAY}"]
    (alarm,) = alarms(held, [], None, at("11:00"), patience=TEN)
    assert (
        alarm.text == f"No `settle` has succeeded since {THURSDAY}, and trade 1 of that day is not settled."
    )
    assert shouted(held, ran("16:05", command="settle", day=THURSDAY), "09:50") == []
    assert shouted(held, ran("16:05", command="settle", day=THURSDAY, code=4), "09:50") == [
        f"settle trade 1 {THURSDAY}"
    ]


def test_the_alarm_says_since_when_and_what_is_open():
    things = [trade(), OpenThing("matter 2", at("10:00"))]
    texts = [
        alarms(things, runs, timetable(), at("10:30"), patience=TEN)[0].text
        for runs in ([], ran("15:55", day=THURSDAY), ran("10:05"))
    ]
    rest = "and trade 1 and matter 2 are open: nothing looks after it."
    assert texts == [
        f"No `monitor` ever succeeded, {rest}",
        f"No `monitor` has succeeded today (the last one at 2026-02-12 15:55), {rest}",
        f"No `monitor` has succeeded for 25 minutes (the last one at 10:05), {rest}",
    ]


def test_the_timetable_stored_with_a_trade_counts_where_the_calendar_was_edited_to_a_holiday():
    assert session_of(None, [trade()], FRIDAY) == timetable()
    assert session_of(timetable(), [trade(day=THURSDAY)], FRIDAY) == timetable()
    assert session_of(None, [trade(day=THURSDAY)], FRIDAY) is None
