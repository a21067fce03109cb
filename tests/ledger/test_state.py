"""The state of trading is one row, whose figures are the day's."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest
from samples import NOW, D


def test_trading_is_switched_with_its_reason(ledger):
    assert ledger.state.is_trading()
    assert ledger.state.trading_reason() == ""
    ledger.state.set_trading(False, "holiday", NOW)
    assert not ledger.state.is_trading()
    assert ledger.state.trading_reason() == "holiday"
    ledger.state.set_trading(True, None, NOW)
    assert ledger.state.is_trading()
    assert ledger.state.trading_reason() == ""


def test_the_state_is_one_row_with_the_days_figures(ledger):
    ledger.state.refresh(NOW, 1, D("-12.5"), 2)
    state = ledger.state.row()
    names = "id", "last_updated", "is_trading", "open_positions", "daily_pnl", "trades_today", "errors_today"
    assert [state[name] for name in names] == [1, "2026-02-13T09:35:00-05:00", 1, 1, -12.5, 2, 0]
    ledger.state.refresh(NOW, 1, None, 2)
    assert ledger.state.row()["daily_pnl"] is None
    with pytest.raises(sqlite3.IntegrityError):
        ledger._file.insert("system_state", {"id": 2, "is_trading": 1})


def test_what_counted_for_a_day_does_not_outlive_it(ledger):
    ledger.state.refresh(NOW, 1, D(10), 2)
    ledger.state.set_trading(False, "", NOW + timedelta(days=1))
    state = ledger.state.row()
    assert (state["trades_today"], state["daily_pnl"], state["open_positions"]) == (0, None, 1)
