"""From the close to the settled result: a trade moves by what the account shows, never by a date."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from actions import dump, enter, playing, settings, tomorrow
from contract import DAY
from harness import Stage, fault

from spxarb.sim.market.instruments import SPY_ID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A spread whose short calls end in the money; no fail-safe rests at the broker."""
    with playing(tmp_path) as stage:
        settings(stage, broker_side_failsafe=False)
        enter(stage)
        yield stage


@pytest.fixture
def worthless(tmp_path: Path) -> Iterator[Stage]:
    """A spread whose calls all end worthless; no fail-safe rests at the broker."""
    with playing(tmp_path, "crash", seed=9) as stage:
        settings(stage, min_entry_credit=-1000, broker_side_failsafe=False)
        enter(stage)
        yield stage


def next_day(stage: Stage, hour: int = 9, minute: int = 40) -> None:
    moment = stage.sim.control.time() + timedelta(days=1)
    stage.sim.control.set_time(moment.replace(hour=hour, minute=minute))


def trade_of(stage: Stage) -> dict[str, object]:
    (trade,) = stage.sql("SELECT * FROM trades")
    return trade


def short_spy(stage: Stage) -> float:
    return sum(quantity for (name, _), quantity in stage.positions().items() if name == "SPY")


@pytest.mark.parametrize("moneyness", ["stage", "worthless"])
def test_short_spy_calls_that_the_account_still_shows_keep_their_trade_active_whatever_their_worth(
    request, moneyness
):
    stage: Stage = request.getfixturevalue(moneyness)
    stage.at("16:05")
    for _ in range(2):
        done = stage.run("settle")
        assert (done.code, done["provisional"]) == (6, True), done.err
        assert "the account still shows 10 short SPY calls" in done.err
        trade = trade_of(stage)
        assert (trade["state"], trade["status"], trade["final_pnl"]) == ("expired", "ACTIVE", None)
        assert stage.sql("SELECT * FROM settlements") == []
    stage.at("16:20")
    assert stage.run("monitor").code == 6


def test_close_all_buys_spy_back_after_the_close_while_it_trades_though_settle_has_run(stage):
    stage.at("16:05")
    assert stage.run("settle").code == 6
    stage.at("16:06")
    done = stage.run("close-all", "--yes")
    assert (done.code, done["flat"]) == (0, True), done.err
    assert short_spy(stage) == 0
    trade = trade_of(stage)
    assert (trade["state"], trade["provisional"]) == ("provisional", 1)
    assert stage.cash() == pytest.approx(1_000_000 + trade["final_pnl"], abs=1e-6)
    assert stage.sql("SELECT id FROM matters WHERE resolved_at IS NULL") == []


def test_a_settled_spx_call_that_the_account_still_lists_is_no_call_too_many(tmp_path):
    """SPY was bought back; the list of positions drops the SPX call some minutes after the close."""
    with playing(tmp_path) as stage:
        enter(stage)
        stage.at("16:01")
        for words in (("settle",), ("settle",), ("monitor",), ("status",)):
            done = stage.run(*words)
            assert done.code == 0, (words, done.err)
            assert {name for name, _ in stage.positions()} == {"SPXW"}
            assert trade_of(stage)["state"] == "provisional"
        assert stage.sql("SELECT key FROM matters") == []


def test_when_nothing_trades_any_more_close_all_is_not_flat_while_the_account_shows_short_calls(stage):
    stage.at("16:20")
    done = stage.run("close-all", "--yes")
    assert (done.code, done["flat"]) == (6, False), done.err
    assert short_spy(stage) == -10


def test_worthless_calls_settle_once_the_account_no_longer_shows_them_and_the_next_open_proves_it(worthless):
    stage = worthless
    stage.at("16:05")
    assert stage.run("settle").code == 6
    stage.at("18:00")
    done = stage.run("settle")
    assert (done.code, done["provisional"]) == (0, True), done.err
    trade = trade_of(stage)
    assert (trade["state"], trade["status"], trade["exit_reason"]) == ("provisional", "CLOSED", "EXPIRATION")
    assert trade["final_pnl"] == trade["entry_credit"]
    before = dump(stage, "matters", "decisions")
    assert stage.run("settle").code == 0
    assert dump(stage, "matters", "decisions") == before, "settling again changes nothing"
    next_day(stage, 9, 0)
    assert stage.run("settle", "--date", DAY)["provisional"] is True, "before the open nothing is proven"
    stage.sim.control.advance(40 * 60)
    assert stage.run("monitor").code == 0
    assert trade_of(stage)["state"] == "settled"


def test_an_unknown_stock_position_of_the_evening_is_unknown_and_not_zero(worthless):
    """Nobody settled on the day: nothing tells whether shares were assigned."""
    stage = worthless
    tomorrow(stage)
    for words in (("status",), ("monitor",), ("settle", "--date", DAY), ("status",)):
        done = stage.run(*words)
        assert done.code == 6, (words, done.err)
        assert "compare with the statement" in done.err
        assert "final" not in done.out.replace("final_pnl", "")
    assert trade_of(stage)["state"] == "provisional"
    (matter,) = stage.sql("SELECT * FROM matters")
    assert stage.run("ack", str(matter["id"]), "--note", "no shares").code == 0
    done = stage.run("monitor")
    assert (done.code, trade_of(stage)["state"]) == (0, "settled"), done.err


@pytest.mark.parametrize("calls", ["stage", "worthless"], ids=["assigned", "not assigned"])
def test_the_owners_own_shares_are_neither_called_assigned_nor_final_when_nobody_settled(request, calls):
    """He holds 300; what the account held that evening is not known, so neither is what changed overnight."""
    stage: Stage = request.getfixturevalue(calls)
    stage.sim.control.script([fault("foreign_fill", con_id=SPY_ID, side="BUY", quantity=300)])
    stage.sim.control.advance(1)
    stage.sim.control.script()
    tomorrow(stage)
    done = stage.run("monitor")
    assert (done.code, trade_of(stage)["state"]) == (6, "provisional"), done.err
    assert "how many SPY shares the account held that evening is not known" in done.err
    assert "shares since" not in done.err


def test_assigned_shares_are_told_two_days_later_too_until_a_human_has_dealt_with_them(stage):
    stage.at("16:05")
    assert stage.run("settle").code == 6
    tomorrow(stage)
    first = stage.run("status")  # before any job that works: it asks the account itself
    assert (first.code, "compare with the statement" in first.err, stage.sql("SELECT * FROM matters")) == (
        6, True, stage.sql("SELECT * FROM matters WHERE key NOT LIKE 'shares%'"),
    )  # fmt: skip
    stage.sim.control.advance(24 * 3600)
    for _ in range(2):
        done = stage.run("monitor")
        assert done.code == 6
        assert "changed by -1000 shares" in done.err
        assert trade_of(stage)["provisional"] == 1
    entered = stage.run("enter")
    assert (entered.code, entered["outcome"]) == (6, "skipped")
    (matter,) = stage.run("ack")["matters"]
    stage.run("ack", str(matter["id"]))
    assert stage.run("status").code == 0
    assert stage.run("monitor").code == 0
    assert trade_of(stage)["state"] == "settled"


@pytest.mark.parametrize("settled", [False, True], ids=["no job that evening", "settled that evening"])
def test_close_all_is_not_flat_the_morning_after_an_assignment(stage, settled):
    stage.at("16:05")
    if settled:
        assert stage.run("settle").code == 6
    tomorrow(stage)
    for _ in range(2):
        done = stage.run("close-all", "--yes")
        assert (done.code, done["flat"]) == (6, False), done.out
        assert "compare with the statement" in done.err


def test_shares_that_the_owner_trades_the_next_day_are_no_assignment(worthless):
    stage = worthless
    stage.at("18:00")
    assert stage.run("settle").code == 0
    next_day(stage)
    stage.sim.control.script([fault("foreign_fill", con_id=SPY_ID, side="BUY", quantity=100)])
    stage.sim.control.advance(1)
    stage.sim.control.script()
    assert stage.run("monitor").code == 0
    assert trade_of(stage)["state"] == "settled"


def test_a_buy_back_that_shows_late_replaces_the_settlement_of_its_contracts(worthless):
    """SPY is bought back at 15:45, and that evening's lists show neither the fill nor the position."""
    stage = worthless
    stage.at("15:45")
    done = stage.run("monitor")
    assert done.code == 0, done.err
    buy_back = stage.sql("SELECT * FROM executions WHERE leg = 'SPY' AND side = 'BUY'")
    assert sum(row["quantity"] for row in buy_back) == 10
    forget_the_exit(stage)
    stage.at("16:05")
    for _ in range(3):
        assert stage.run("settle").code == 0
        assert [
            (row["leg"], row["quantity"]) for row in stage.sql("SELECT leg, quantity FROM settlements")
        ] == [("SPX", 1)]
    trade = trade_of(stage)
    assert stage.cash() == pytest.approx(1_000_000 + trade["final_pnl"], abs=1e-6)


def forget_the_exit(stage: Stage) -> None:
    """As if the trade had been settled with its short calls before its buy-back was seen."""
    with closing(sqlite3.connect(stage.database)) as db, db:
        db.execute("DELETE FROM executions WHERE leg = 'SPY' AND side = 'BUY'")
        db.execute(
            "UPDATE trades SET state = 'provisional', status = 'CLOSED', provisional = 1, residual = '[]'"
        )
        for leg, quantity in (("SPX", 1), ("SPY", -10)):
            db.execute(
                "INSERT INTO settlements VALUES (1, ?, ?, 6700, 0, 'last trade', ?, 1)",
                [leg, quantity, f"{DAY}T16:01:00-05:00"],
            )


def test_a_fee_that_is_reported_late_replaces_its_estimate_at_the_next_settle(tmp_path):
    with playing(tmp_path) as stage:
        settings(stage, broker_side_failsafe=False)
        stage.sim.control.script([fault("no_commission", lasts="always")])
        enter(stage)
        stage.at("15:45")
        assert stage.run("monitor").code == 0
        assert trade_of(stage)["commissions_estimated"] == 1
        stage.sim.control.script()
        stage.at("16:05")
        assert stage.run("settle").code == 0
        trade = trade_of(stage)
        assert trade["commissions_estimated"] == 0
        fees = sum(fill["commission"] for fill in stage.sim.control.book()["fills"])
        assert trade["commissions"] == pytest.approx(fees, abs=1e-6)
        assert stage.cash() == pytest.approx(1_000_000 + trade["final_pnl"], abs=1e-6)
        (summary,) = stage.sql("SELECT net_pnl FROM daily_summary")
        assert summary["net_pnl"] == trade["final_pnl"]


def test_fees_of_a_trade_that_is_over_are_replaced_while_another_is_worked(tmp_path):
    with playing(tmp_path) as stage:
        settings(stage, broker_side_failsafe=False, max_position_loss=50)
        stage.sim.control.script([fault("no_commission", lasts="always")])
        enter(stage)
        stage.at("09:40")
        assert stage.run("monitor").code == 0
        stage.sim.control.script()
        settings(stage, max_position_loss=5000)
        enter(stage)
        first, second = stage.sql("SELECT commissions, commissions_estimated FROM trades ORDER BY id")
        assert (first["commissions_estimated"], second["commissions_estimated"]) == (0, 0)
        total = sum(fill["commission"] for fill in stage.sim.control.book()["fills"])
        assert first["commissions"] + second["commissions"] == pytest.approx(total, abs=1e-6)


def test_a_correction_keeps_the_reported_fee_until_its_own_is_reported(tmp_path):
    with playing(tmp_path) as stage:
        settings(stage, broker_side_failsafe=False)
        enter(stage)
        stage.sim.control.script([fault("no_commission", lasts="always"), fault("correction")])
        stage.sim.control.advance(timedelta(minutes=1).total_seconds())
        stage.run("monitor")
        (reported,) = stage.sql("SELECT * FROM executions WHERE superseded = 1")
        (corrected,) = stage.sql(
            "SELECT * FROM executions WHERE superseded = 0 AND family = ?", reported["family"]
        )
        assert reported["commission_estimated"] == 0
        assert (corrected["commission"], corrected["commission_estimated"]) == (reported["commission"], 1)
