"""Trading days, half-days, closures and the day's timetable."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from time import tzset

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.config.load import Config
from spxarb.core.model import NEW_YORK
from spxarb.core.sessions import (
    TradingHours,
    day_from_stored,
    look_is_due,
    next_trading_day,
    previous_trading_day,
    stored_day,
    trading_day,
    with_hours,
)
from spxarb.trading.market import calendar_doubt
from spxarb.trading.market_calendar import closures, closures_around, session_on, timetable
from tests.announced import CLOSED, EARLY, days, sessions

TIMES = {"entry_time": time(9, 35), "entry_cutoff": time(10, 0), "exit_check_time": time(15, 45)}


def day_of(day: date, *, closed=(), early=(), **times):
    return trading_day(day, closed=closed, early=early, **{**TIMES, **times})


def clock(moment: datetime) -> str:
    assert moment.tzinfo is NEW_YORK
    return moment.strftime("%H:%M")


@pytest.mark.parametrize("year", CLOSED)
def test_the_calendar_knows_every_closure_that_the_exchange_announced(year):
    known = closures(year)
    assert known.closed == days(year, CLOSED[year])
    assert known.early == days(year, EARLY[year])


def test_every_day_of_four_years_opens_and_closes_as_the_exchange_announced():
    announced = {day: hours for year in CLOSED for day, hours in sessions(year).items()}
    every = [date(2025, 1, 1) + timedelta(days=n) for n in range(4 * 365 + 1)]
    ours = {day: timetable(day, Config()) for day in every}
    assert {day: (hours.open, hours.close) for day, hours in ours.items() if hours} == announced
    assert len(announced) == 1003
    assert {day for day, hours in ours.items() if hours and hours.early} == {
        day for day, (_, close) in announced.items() if close.astimezone(NEW_YORK).time() == time(13)
    }


CLOCK_CHANGES = [
    "2025-03-09",
    "2025-11-02",
    "2026-03-08",
    "2026-11-01",
    "2027-03-14",
    "2027-11-07",
    "2028-03-12",
]


@pytest.mark.parametrize("machine", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_a_timetable_is_new_yorks_around_every_clock_change_wherever_the_machine_is(machine, monkeypatch):
    """The week around each change, one day after the other: 9:30 to 16:00 there, and stored as that."""
    monkeypatch.setenv("TZ", machine)
    tzset()
    try:
        for change in map(date.fromisoformat, CLOCK_CHANGES):
            for day in (change + timedelta(days=n) for n in range(-6, 7)):
                hours = timetable(day, Config())
                if hours is None:
                    continue
                summer = date(day.year, 3, 8) <= day and (day >= change) == (change.month == 3)
                utc = [hours.open.astimezone(UTC).hour, hours.close.astimezone(UTC).hour]
                assert utc == ([13, 20] if summer else [14, 21]), day
                assert day_from_stored(json.loads(json.dumps(stored_day(hours)))) == hours
                assert hours.settle_at - hours.exit_at == timedelta(minutes=20)
    finally:
        monkeypatch.undo()
        tzset()


def test_an_ordinary_day_runs_from_half_past_nine_to_four():
    day = day_of(date(2026, 11, 25))
    assert day is not None
    assert [clock(moment) for moment in (day.open, day.entry_open, day.entry_cutoff)] == [
        "09:30",
        "09:35",
        "10:00",
    ]
    assert [clock(moment) for moment in (day.exit_at, day.close, day.settle_at)] == [
        "15:45",
        "16:00",
        "16:05",
    ]
    assert not day.early


def test_on_a_half_day_exit_close_and_settlement_come_three_hours_earlier():
    day = timetable(date(2026, 11, 27), Config())
    assert day is not None
    assert day.early
    assert [clock(moment) for moment in (day.exit_at, day.close, day.settle_at)] == [
        "12:45",
        "13:00",
        "13:05",
    ]
    assert [clock(moment) for moment in (day.entry_open, day.entry_cutoff)] == ["09:35", "10:00"]


def test_there_is_no_timetable_for_weekends_and_holidays():
    assert day_of(date(2026, 11, 28)) is None
    assert day_of(date(2026, 11, 29)) is None
    assert timetable(date(2026, 11, 26), Config()) is None


def test_an_exit_is_never_later_than_a_quarter_of_an_hour_before_the_close():
    late = day_of(date(2026, 11, 25), exit_check_time=time(15, 58))
    early = day_of(date(2026, 11, 25), exit_check_time=time(14, 0))
    assert late is not None
    assert early is not None
    assert clock(late.exit_at) == "15:45"
    assert clock(early.exit_at) == "14:00"


def test_no_entry_window_reaches_beyond_the_exit():
    day = day_of(date(2026, 11, 27), early={date(2026, 11, 27)}, entry_cutoff=time(15, 0))
    assert day is not None
    assert day.entry_cutoff == day.exit_at


def test_the_entry_window_includes_its_start_and_excludes_its_end():
    day = day_of(date(2026, 11, 25))
    assert day is not None
    assert day.in_entry_window(day.entry_open)
    assert day.in_entry_window(day.entry_cutoff - timedelta(microseconds=1))
    assert not day.in_entry_window(day.entry_cutoff)
    assert not day.in_entry_window(day.entry_open - timedelta(microseconds=1))


def test_the_entry_window_is_the_same_seen_from_any_zone():
    day = day_of(date(2026, 7, 6))
    assert day is not None
    assert day.in_entry_window(datetime(2026, 7, 6, 13, 40, tzinfo=UTC))
    assert not day.in_entry_window(datetime(2026, 7, 6, 9, 40, tzinfo=UTC))


@pytest.mark.parametrize(
    ("day", "utc_hour"),
    [(date(2026, 3, 6), 14), (date(2026, 3, 9), 13), (date(2026, 10, 30), 13), (date(2026, 11, 2), 14)],
)
def test_the_open_follows_new_york_through_both_clock_changes(day, utc_hour):
    found = day_of(day)
    assert found is not None
    assert found.open.astimezone(UTC).hour == utc_hour


def test_the_configuration_adds_closures_that_the_package_does_not_know():
    config = Config.model_validate({"calendar": {"closed": ["2026-12-01"], "early_close": ["2026-12-02"]}})
    assert timetable(date(2026, 12, 1), config) is None
    short = timetable(date(2026, 12, 2), config)
    assert short is not None
    assert short.early


def test_a_day_that_is_both_closed_and_short_is_closed():
    known = closures(2026, closed=[date(2026, 11, 27)])
    assert date(2026, 11, 27) in known.closed
    assert date(2026, 11, 27) not in known.early


def test_the_trading_day_before_the_new_year_is_found_across_it():
    closed = closures_around(date(2027, 1, 4), Config()).closed
    assert previous_trading_day(date(2027, 1, 4), closed=closed) == date(2026, 12, 31)
    assert next_trading_day(date(2026, 12, 31), closed=closed) == date(2027, 1, 4)


def test_a_year_without_trading_days_is_an_error_and_no_endless_search():
    everything = {date(2026, 1, 1) + timedelta(days=n) for n in range(365)}
    with pytest.raises(ValueError, match="no trading day within 60 days after 2026-02-01"):
        next_trading_day(date(2026, 2, 1), closed=everything)


@given(
    st.dates(date(2024, 1, 1), date(2030, 12, 31)), st.sets(st.dates(date(2024, 1, 1), date(2030, 12, 31)))
)
def test_next_and_previous_trading_day_are_inverse_to_each_other(day, closed):
    after = next_trading_day(day, closed=closed)
    assert after > day
    assert previous_trading_day(after, closed=closed) <= day
    assert next_trading_day(previous_trading_day(after, closed=closed), closed=closed) == after


@given(
    st.dates(date(2024, 1, 1), date(2030, 12, 31)),
    st.booleans(),
    st.times(time(9, 30), time(15, 0)),
    st.times(time(15, 1), time(15, 59)),
)
def test_every_timetable_is_in_the_order_of_the_day(day, short, cutoff, exit_trade):
    found = day_of(day, early={day} if short else (), entry_cutoff=cutoff, exit_check_time=exit_trade)
    if found is None:
        assert day.weekday() >= 5
        return
    assert found.open < found.exit_at < found.close < found.settle_at
    assert found.entry_cutoff <= found.exit_at <= found.close - timedelta(minutes=15)


# --- the broker's own hours ------------------------------------------------------------------------------


def told(opens, closes, until=None, day=date(2026, 11, 27)):
    moments = (datetime.combine(day, clock, NEW_YORK) if clock else None for clock in (opens, closes, until))
    return TradingHours(day, *moments)


def test_spy_calls_trade_a_quarter_of_an_hour_longer_unless_their_own_hours_say_otherwise():
    half, whole = timetable(date(2026, 11, 27), Config()), timetable(date(2026, 11, 25), Config())
    assert (clock(half.spy_until), clock(whole.spy_until)) == ("13:15", "16:15")
    assert clock(with_hours(half, told(time(9, 30), time(13), time(13))).spy_until) == "13:00"
    for nothing in (
        None,
        told(None, None),
        told(time(9, 30), time(13)),
        told(time(9, 30), time(16), time(16, 15), date(2026, 11, 25)),
    ):
        assert with_hours(half, nothing) == half


def test_a_timetable_of_an_older_version_has_no_end_of_spy_and_is_given_one():
    half = timetable(date(2026, 11, 27), Config())
    old = {name: value for name, value in stored_day(half).items() if name != "spy_until"}
    assert day_from_stored(old) == half


OPENS = (None, time(8, 30), time(9, 30), time(9, 31))
CLOSES = (None, time(12, 59), time(13), time(13, 15), time(13, 16), time(16), time(16, 15))


@pytest.mark.parametrize("day", [date(2026, 11, 25), date(2026, 11, 26), date(2026, 11, 27)])
@pytest.mark.parametrize("opens", OPENS)
@pytest.mark.parametrize("closes", CLOSES)
def test_calendar_and_broker_agree_when_the_hours_cover_the_session_and_end_with_it(day, opens, closes):
    """An ordinary day, a holiday and a half-day against every kind of hours: up to 15 minutes longer is the same."""
    if (opens is None) != (closes is None):
        return
    hours = timetable(day, Config())
    end = {25: (time(16), time(16, 15)), 26: (), 27: (time(13), time(13, 15))}[day.day]
    agree = opens is None if hours is None else (opens in {time(8, 30), time(9, 30)} and closes in end)
    assert (calendar_doubt(hours, told(opens, closes, day=day)) == "") is agree
    if hours is not None:
        assert calendar_doubt(hours, None) == "The broker sends no trading hours for today"


@pytest.mark.parametrize(
    ("day", "why"),
    [
        ("2026-11-25", ""),
        ("2026-11-26", "Thanksgiving Day"),
        ("2026-11-27", "Day after Thanksgiving Day"),
        ("2026-11-28", "Saturday"),
        ("2025-01-09", "National Day of Mourning for former President Jimmy Carter"),
        ("2026-12-01", "calendar.closed in the configuration"),
        ("2026-12-02", "calendar.early_close in the configuration"),
    ],
)
def test_a_day_that_is_not_an_ordinary_one_says_why(day, why):
    config = Config.model_validate({"calendar": {"closed": ["2026-12-01"], "early_close": ["2026-12-02"]}})
    assert session_on(date.fromisoformat(day), config).why == why


# --- when the account is looked at again ----------------------------------------------------------------


def at(clock: str) -> datetime:
    return datetime.combine(date(2026, 2, 10), time.fromisoformat(clock), NEW_YORK)


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        ("10:00", "10:29", False),
        ("10:00", "10:30", True),
        ("15:40", "15:44", False),
        ("15:40", "15:45", True),  # the exit time
        ("15:45", "15:50", False),
        ("15:50", "15:54", True),  # what is found now still trades
        ("15:55", "15:59", False),
        ("15:59", "16:05", True),  # `settle`
        ("16:05", "16:30", False),
    ],
)
def test_a_day_that_traded_is_looked_at_again_each_half_hour_and_at_its_last_moments(last, now, due):
    day = day_of(date(2026, 2, 10))
    assert look_is_due(day, at(last), at(now)) is due
