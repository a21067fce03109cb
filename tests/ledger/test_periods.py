"""The rows behind the statistics of `report`."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from traded_days import Days, at

if TYPE_CHECKING:
    from spxarb.ledger.ledger import Ledger

WEDNESDAY, THURSDAY, FRIDAY = date(2026, 2, 11), date(2026, 2, 12), date(2026, 2, 13)


@pytest.fixture
def days(ledger: Ledger) -> Days:
    return Days(ledger)


def test_an_empty_ledger_knows_of_no_day(ledger):
    assert ledger.periods.span(simulated=False) is None


def test_the_span_is_from_the_first_to_the_last_day_on_which_a_job_did_anything(days):
    days.skipped(THURSDAY, "net_credit")
    days.traded(WEDNESDAY)
    days.ran("monitor", at(FRIDAY, 10, 0))
    days.ran("report", at(date(2026, 3, 2), 10, 0))
    assert days.ledger.periods.span(simulated=False) == (WEDNESDAY, FRIDAY)


def test_of_a_simulated_market_the_machines_days_say_nothing(days):
    days.traded(WEDNESDAY)
    days.ran("monitor", at(FRIDAY, 10, 0))
    assert days.ledger.periods.span(simulated=True) == (WEDNESDAY, WEDNESDAY)


def test_a_day_that_cannot_be_read_is_no_end_of_the_span(days):
    days.traded(WEDNESDAY)
    with days.ledger.write():
        days.ledger._file.update("trades", {"trade_date": "someday"}, id=1)
    days.ran("monitor", at(FRIDAY, 10, 0))
    assert days.ledger.periods.span(simulated=False) == (FRIDAY, FRIDAY)


def test_a_trades_day_may_have_its_time_with_it(days):
    days.traded(WEDNESDAY)
    with days.ledger.write():
        days.ledger._file.update("trades", {"trade_date": "2026-02-11 09:36:00"}, id=1)
    assert days.ledger.periods.span(simulated=True) == (WEDNESDAY, WEDNESDAY)


def test_rows_are_of_their_days_both_inclusive(days):
    for day in (WEDNESDAY, THURSDAY, FRIDAY):
        days.skipped(day, "net_credit")
    periods = days.ledger.periods
    assert [row["at"][:10] for row in periods.entry_decisions(THURSDAY, FRIDAY)] == [
        "2026-02-12",
        "2026-02-13",
    ]
    assert [row["day"] for row in periods.runs(None, THURSDAY)] == ["2026-02-11", "2026-02-12"]


def test_only_alerts_that_did_not_go_out_are_told(days):
    for failure in (None, "", "refused"):
        days.ledger.runs.add_alert(0, at(FRIDAY, 10, 0), "title", "text", "mail", failure)
    assert [row["failure"] for row in days.ledger.periods.unsent_alerts(None, None)] == ["refused"]
