"""Trades are found by day and state, and changed field by field."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from samples import DAY, NOW, SPY, D, a_fill, a_trade

from spxarb.core.greeks import GreekSource, PositionGreeks
from spxarb.core.records import Mark
from spxarb.core.trades import TradeState


def test_a_trades_id_is_never_given_twice(ledger):
    assert [ledger.trades.create(a_trade(id=7)).id for _ in range(2)] == [1, 2]
    ledger._file._db.execute("DELETE FROM trades WHERE id = 2")
    assert ledger.trades.create(a_trade()).id == 3


def test_open_trades_are_all_that_are_not_closed(ledger):
    for state in TradeState:
        ledger.trades.create(a_trade(state=state))
    assert [trade.state for trade in ledger.trades.open()] == [state for state in TradeState if state.is_open]


@pytest.mark.parametrize("state", TradeState)
def test_users_find_the_state_and_the_word_derived_from_it_side_by_side(ledger, state):
    trade = ledger.trades.create(a_trade())
    assert ledger.trades.move(trade.id, state, note="moved").note == "moved"
    (row,) = ledger.trades.rows()
    assert (row["state"], row["status"]) == (state.value, state.status.value)
    assert row["provisional"] == (state is TradeState.PROVISIONAL)


def test_trades_are_found_by_day(ledger):
    assert ledger.trades.last_day() is None
    for day in (11, 13, 12, 13):
        ledger.trades.create(
            a_trade(
                trade_date=DAY.replace(day=day),
                state=TradeState.PROVISIONAL if day == 12 else TradeState.CLOSED,
            )
        )
    assert [trade.id for trade in ledger.trades.of_day(DAY)] == [2, 4]
    assert [trade.id for trade in ledger.trades.between(DAY.replace(day=12), DAY)] == [2, 3, 4]
    assert [trade.id for trade in ledger.trades.between()] == [1, 2, 3, 4]
    assert [row["id"] for row in ledger.trades.rows(until=DAY.replace(day=12))] == [1, 3]
    assert [trade.id for trade in ledger.trades.provisional()] == [3]
    assert ledger.trades.last_day() == DAY


def test_an_update_of_what_there_is_not_is_a_mistake(ledger):
    trade = ledger.trades.create(a_trade())
    for wrong in (
        {"entry_kredit": D(1)},
        {"id": 2},
        {"state": TradeState.CLOSED},
        {"status": "CLOSED"},
        {"spy_strike": D(683)},
    ):
        with pytest.raises(TypeError):
            ledger.trades.update(trade.id, **wrong)
    with pytest.raises(KeyError):
        ledger.trades.update(99, note="x")
    with pytest.raises(KeyError):
        ledger.trades.get(99)
    assert ledger.trades.update(trade.id) == trade


def test_a_new_contract_brings_its_strike(ledger):
    trade = ledger.trades.create(a_trade())
    ledger.trades.update(trade.id, spy=dataclasses.replace(SPY, strike=D(684)))
    assert ledger.trades.rows()[0]["spy_strike"] == 684.0
    assert ledger.trades.rows()[0]["spx_strike"] == 6835.0


def test_any_fill_counts_a_trade_once_toward_the_days_maximum(ledger):
    filled, unfilled, yesterday = (
        ledger.trades.create(a_trade(trade_date=day)) for day in (DAY, DAY, DAY - timedelta(days=1))
    )
    ledger.fills.record(a_fill(filled, "1.01"))
    ledger.fills.record(a_fill(filled, "2.01"))
    ledger.fills.record(a_fill(yesterday, "3.01"))
    assert ledger.trades.count_filled(DAY) == 1
    assert ledger.fills.of_trade(unfilled.id) == []


def test_marks_come_back_in_their_order(ledger):
    trade = ledger.trades.create(a_trade())
    seen = Mark(trade.id, NOW, D("683.1"), None, D("1.5"), D("1.52"), None, D("15.2"), None)
    greeks = PositionGreeks(GreekSource.OWN, 2.25, -0.00312345, 0.5, -12.5)
    later = dataclasses.replace(
        seen, at=NOW + timedelta(minutes=5), pnl=D("-12.35"), greeks=greeks, spy_iv=0.15, spx_iv=0.1499
    )
    ledger.trades.add_mark(seen)
    ledger.trades.add_mark(later)
    assert ledger.trades.marks(trade.id) == [seen, later]


def test_the_newest_trades_are_of_any_day_newest_first(ledger):
    for back in (1, 0, 3, 0):
        ledger.trades.create(a_trade(trade_date=DAY - timedelta(days=back)))
    assert [trade.id for trade in ledger.trades.newest(50)] == [4, 2, 1, 3]
    assert [trade.id for trade in ledger.trades.newest(2)] == [4, 2]
