"""Summaries, marks and baselines of a day."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest
from samples import DAY, NOW, D

from spxarb.core.model import LegName


def test_a_day_has_one_summary(ledger):
    assert ledger.days.summary_rows(DAY, DAY) == []
    figures = {
        "trades_count": 2, "winning_trades": 1, "losing_trades": 1, "total_pnl": D("40.35"),
        "total_commissions": D("52.1"), "net_pnl": D("-11.75"), "max_drawdown": D(30), "provisional": True,
    }  # fmt: skip
    stored = {
        "id": 1, "date": "2026-02-13", "trades_count": 2, "winning_trades": 1, "losing_trades": 1,
        "total_pnl": 40.35, "total_commissions": 52.1, "net_pnl": -11.75, "max_drawdown": 30.0, "provisional": 1,
    }  # fmt: skip
    ledger.days.write_summary({"date": DAY, **figures})
    assert ledger.days.summary_rows(DAY, DAY) == [stored]
    ledger.days.write_summary({"date": DAY, "net_pnl": D("-10.00"), "provisional": False})
    assert ledger.days.summary_rows(DAY, DAY) == [{**stored, "net_pnl": -10.0, "provisional": 0}]
    ledger.days.write_summary({"date": DAY - timedelta(days=1)})
    assert [row["date"] for row in ledger.days.summary_rows()] == ["2026-02-12", "2026-02-13"]
    assert [row["date"] for row in ledger.days.summary_rows(DAY, DAY)] == ["2026-02-13"]
    with pytest.raises(TypeError):
        ledger.days.write_summary({"date": DAY, "profit": D(1)})
    with pytest.raises(sqlite3.IntegrityError):
        ledger.days.write_summary({"net_pnl": D(1)})


def test_a_days_marks_come_back_in_their_order(ledger):
    ledger.days.add_mark(DAY, NOW, D("-5.25"))
    ledger.days.add_mark(DAY, NOW, D("0.1"))
    assert ledger.days.marks(DAY) == [(NOW, D("-5.25")), (NOW, D("0.1"))]
    assert ledger.days.marks(DAY + timedelta(days=1)) == []


def test_a_baseline_is_of_one_day_and_account_and_the_first_look_after_the_close_counts(ledger):
    for day, account, shares in ((10, "DU1", 5), (12, "DU1", 7), (12, "DU2", 9), (13, "DU1", 100)):
        ledger.days.add_baseline(DAY.replace(day=day), account, D(shares), NOW)
    ledger.days.add_baseline(DAY.replace(day=12), "DU1", D("8.5"), NOW)
    assert ledger.days.baseline(DAY.replace(day=12), "DU1") == 7
    assert ledger.days.baseline(DAY.replace(day=12), "DU2") == 9
    assert ledger.days.baseline(DAY.replace(day=11), "DU1") is None
    assert ledger.days.baseline(DAY, "DU1") == 100
    assert ledger.days.baseline(DAY, "DU2") is None


def test_closing_prices_stand_beside_the_baseline_and_the_first_ones_stay(ledger):
    ledger.days.add_baseline(DAY, "DU1", D(0), NOW)
    ledger.days.add_closes(DAY, "DU1", {LegName.SPX: D("6840.12"), LegName.SPY: None})
    ledger.days.add_closes(DAY, "DU1", {LegName.SPX: D("6841"), LegName.SPY: D("683.5")})
    assert ledger.days.closes(DAY, "DU1") == {LegName.SPX: D("6840.12"), LegName.SPY: D("683.5")}
    assert ledger.days.closes(DAY, "DU2") == {LegName.SPX: None, LegName.SPY: None}
