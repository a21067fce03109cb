"""Every verb against the contract: a real process, a real wire, a real file. Numbers in dollars."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from actions import (
    check_of,
    dump,
    enter,
    failed,
    live_orders,
    lonely,
    playing,
    seen_today,
    settings,
    tapped,
    tomorrow,
    wait_until,
)
from contract import (
    CHECKS,
    CLOSE_ALL,
    COMMON,
    DAY,
    DAYS,
    ENTER,
    MONITOR,
    NEW_YORK_TIME,
    NUMBER,
    REPORT,
    SETTLE,
    STATE,
    STATUS,
    TRADES,
    assert_fits,
)
from harness import Stage, fault, read_object, withheld
from relay import CHANGING, free_port, listening, say_nothing

from spxarb.sim.api.wire import Ask, Say
from spxarb.sim.control import RunningSim
from spxarb.sim.market.instruments import SPX_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness import Done


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """9:35 on a day on which SPY calls are quoted too high: the strategy finds its credit."""
    with playing(tmp_path) as stage:
        yield stage


# --- enter ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def entered(tmp_path_factory) -> Iterator[tuple[Stage, Done]]:
    """One spread, entered at 9:35; read only."""
    with playing(tmp_path_factory.mktemp("entered")) as stage:
        yield stage, stage.run("enter")


def test_enter_says_everything_that_the_contract_promises(entered):
    _, done = entered
    assert_fits(done.json, ENTER)
    assert done["at"] == "2026-02-10T09:35:00-05:00"
    assert (done["command"], done["exit_code"], done["error"], done["would"]) == ("enter", 0, None, "enter")
    assert [check["name"] for check in done["checks"]] == CHECKS
    assert all(check["ok"] is True for check in done["checks"])
    spx, spy = done["legs"]
    assert (spx["symbol"], spx["trading_class"], spx["action"], spx["quantity"]) == ("SPX", "SPXW", "BUY", 1)
    assert (spy["symbol"], spy["trading_class"], spy["action"], spy["quantity"]) == ("SPY", "SPY", "SELL", 10)
    assert done["prices"]["ratio"] == pytest.approx(done["prices"]["spx"] / done["prices"]["spy"])
    assert spx["bid"] < spx["ask"]
    assert abs(spx["strike"] - done["prices"]["spx"]) <= 2.5
    assert abs(spy["strike"] - done["prices"]["spy"]) <= 0.5
    mismatch = spx["strike"] - done["prices"]["ratio"] * spy["strike"]
    assert done["risk"]["strike_mismatch_points"] == pytest.approx(mismatch)


def test_fill_prices_and_credit_are_the_executions_and_the_account_agrees_to_the_cent(entered):
    stage, done = entered
    fills = stage.sim.control.book()["fills"]
    for leg in done["legs"]:
        own = [fill for fill in fills if fill["symbol"] == leg["symbol"]]
        assert {fill["price"] for fill in own} == {leg["fill_price"]}
        assert sum(fill["shares"] for fill in own) == leg["quantity"]
    spx, spy = done["legs"]
    assert done["credit"]["gross"] == round(1000 * spy["fill_price"] - 100 * spx["fill_price"], 2)
    assert done["credit"]["commissions"] == pytest.approx(sum(fill["commission"] for fill in fills), abs=1e-9)
    assert done["credit"]["net"] == round(done["credit"]["gross"] - done["credit"]["commissions"], 2)
    assert stage.cash() == pytest.approx(1_000_000 + done["credit"]["net"], abs=1e-6)


def test_after_an_entry_the_ledger_knows_the_trade_its_orders_its_decision_and_the_run(entered):
    stage, done = entered
    (trade,) = stage.sql(f"SELECT {', '.join(TRADES)} FROM trades")
    assert (trade["id"], trade["trade_date"], trade["status"]) == (
        done["trade_id"],
        f"{DAY} 09:35:00",
        "ACTIVE",
    )
    assert trade["entry_credit"] == done["credit"]["net"]
    assert trade["commissions"] == done["credit"]["commissions"]
    assert (trade["spy_price"], trade["spx_price"]) == (done["prices"]["spy"], done["prices"]["spx"])
    spx, spy = done["legs"]
    for name, leg in (("spx", spx), ("spy", spy)):
        seen = trade[f"{name}_strike"], trade[f"{name}_entry_bid"], trade[f"{name}_entry_ask"]
        assert seen == (leg["strike"], leg["bid"], leg["ask"])
    assert trade["entry_filled"] == 1
    assert NEW_YORK_TIME.fullmatch(trade["entry_time"])
    left = ("spy_exit_price", "spx_exit_price", "exit_cost", "exit_time", "exit_reason", "final_pnl")
    assert [trade[column] for column in left] == [None] * 6
    refs = {row["order_ref"] for row in stage.sim.control.book()["orders"]}
    assert refs == {row["order_ref"] for row in stage.sql("SELECT order_ref FROM orders")}
    name = re.compile(rf"spxarb:\w+:{trade['id']}:(SPX|SPY):[a-z]\d+")
    assert all(name.fullmatch(ref) for ref in refs)
    (decision,) = stage.sql("SELECT * FROM decisions")
    assert (decision["dry_run"], decision["outcome"], decision["would"]) == (0, "entered", "enter")
    assert json.loads(decision["checks"]) == done["checks"]
    assert stage.sql("SELECT command, exit_code, error FROM runs") == [
        {"command": "enter", "exit_code": 0, "error": None}
    ]


def test_a_second_spread_opens_beside_the_first_and_a_third_is_one_too_many(stage):
    enter(stage)
    stage.at("09:36")
    assert enter(stage)["trade_id"] == 2
    stage.at("09:37")
    third = stage.run("enter")
    assert (third.code, third["outcome"], third["would"], third["trade_id"]) == (0, "skipped", "skip", None)
    assert failed(third) == ["max_trades"]
    assert (check_of(third, "max_trades")["value"], check_of(third, "max_trades")["limit"]) == (2, 2)
    assert check_of(third, "margin")["ok"] is None
    assert stage.positions() == {("SPXW", 6665.0): 1, ("SPXW", 6670.0): 1, ("SPY", 665.0): -20}
    assert stage.sql("SELECT count(*) AS n FROM trades") == [{"n": 2}]


def test_a_dry_run_of_enter_decides_and_sends_the_broker_nothing_that_changes_anything(stage):
    with tapped(stage) as tap:
        done = stage.run("enter", "--dry-run")
    assert_fits(done.json, ENTER)
    assert (done.code, done["outcome"], done["would"], done["trade_id"]) == (0, "dry_run", "enter", None)
    assert [check["name"] for check in done["checks"]] == CHECKS
    assert check_of(done, "margin")["ok"] is None
    assert [leg["fill_price"] for leg in done["legs"]] == [None, None]
    assert tap.asked, "the tap heard nothing"
    assert not tap.asked & CHANGING
    book = stage.sim.control.book()
    assert (book["orders"], book["fills"], stage.positions()) == ([], [], {})
    assert [row["dry_run"] for row in stage.sql("SELECT dry_run FROM decisions")] == [1]
    written = {name for name, rows in dump(stage, "meta", "system_state", "decisions").items() if rows}
    assert written == set()
    assert stage.sql("SELECT value FROM meta WHERE key = 'account'") == []
    (state,) = stage.sql("SELECT * FROM system_state")
    assert (state["is_trading"], state["last_updated"]) == (1, None)


@pytest.mark.parametrize(
    ("clock", "inside"), [("09:34:59", False), ("09:35:00", True), ("09:59:59", True), ("10:00:00", False)]
)
def test_the_entry_window_is_half_open(stage_before, clock, inside):
    stage_before.at(clock)
    done = stage_before.run("enter", "--dry-run")
    assert check_of(done, "time_window")["ok"] is inside
    assert (done["would"] == "enter") is inside, done["checks"]


@pytest.fixture(scope="module")
def stage_before(tmp_path_factory) -> Iterator[Stage]:
    with playing(tmp_path_factory.mktemp("window"), at="09:34") as stage:
        yield stage


def test_outside_the_window_nothing_is_bought(tmp_path):
    with playing(tmp_path, at="09:34:59") as stage:
        done = stage.run("enter")
        assert (done.code, done["outcome"], done["would"]) == (0, "skipped", "skip")
        assert failed(done) == ["time_window"]
        assert stage.sim.control.book()["orders"] == []


def test_stop_forbids_entries_with_its_reason_and_start_allows_them_again(stage):
    stopped = stage.run("stop", "--reason", "the news at ten")
    assert_fits(stopped.json, COMMON | {"is_trading": False, "reason": "the news at ten"})
    done = stage.run("enter")
    assert (done.code, done["outcome"]) == (0, "skipped")
    assert failed(done) == ["trading_enabled"]
    assert "the news at ten" in check_of(done, "trading_enabled")["message"]
    assert stage.sim.control.book()["orders"] == []
    started = stage.run("start")
    assert_fits(started.json, COMMON | {"is_trading": True})
    enter(stage)


def test_every_failed_check_is_told_and_kept_not_only_the_first(stage):
    settings(
        stage,
        max_spreads_per_day=0,
        min_ratio=10.04,
        max_spx_spread=0.1,
        max_spy_spread=0.01,
        max_strike_distance_spx=0.01,
        min_entry_credit=5000,
    )
    stage.run("stop")
    stage.at("10:00")
    done = stage.run("enter")
    wrong = [
        "time_window", "trading_enabled", "max_trades", "strikes", "tracking_ratio", "spx_spread", "spy_spread",
        "net_credit",
    ]  # fmt: skip
    assert failed(done) == wrong
    assert check_of(done, "margin")["ok"] is None
    (decision,) = stage.sql("SELECT checks, outcome FROM decisions WHERE command = 'enter'")
    assert [check["name"] for check in json.loads(decision["checks"]) if check["ok"] is False] == wrong
    assert decision["outcome"] == "skipped"


def test_without_quotes_nothing_is_known_and_nothing_is_bought(stage):
    stage.sim.control.script(["no_quotes"])
    done = stage.run("enter")
    assert (done.code, done["outcome"]) == (0, "skipped"), done.err
    assert "market_data" in failed(done)
    for name in ("spx_spread", "spy_spread", "net_credit", "margin"):
        assert (check_of(done, name)["ok"], check_of(done, name)["value"]) == (None, None)
    assert set(done["credit"].values()) == {None}
    for leg in done["legs"]:
        assert (leg["bid"], leg["ask"], leg["fill_price"]) == (None, None, None)
    assert stage.sim.control.book()["orders"] == []


def test_delayed_data_is_no_market_data(stage):
    stage.sim.control.script([fault("delayed", minutes=0)])
    done = stage.run("enter")
    assert (done.code, done["outcome"]) == (0, "skipped"), done.err
    assert failed(done) == ["market_data"]
    assert "delayed" in check_of(done, "market_data")["message"]
    assert check_of(done, "margin")["ok"] is None
    assert stage.sim.control.book()["orders"] == []


def test_too_little_margin_is_seen_before_anything_is_bought(tmp_path):
    with playing(tmp_path, cash=50_000) as stage:
        done = stage.run("enter")
        assert (done.code, done["outcome"], done["would"]) == (0, "skipped", "enter")
        assert failed(done) == ["margin"]
        margin = check_of(done, "margin")
        assert done["checks"][-1] == margin
        assert margin["value"] > margin["limit"]
        assert stage.sim.control.book()["fills"] == []
        assert stage.sql("SELECT count(*) AS n FROM trades") == [{"n": 0}]


@pytest.fixture
def thin(tmp_path) -> Iterator[Stage]:
    """SPY calls are shown by ones and twos, and the clock stands still: ten cannot be sold."""
    with playing(tmp_path, "thin") as stage:
        stage.settings["execution"] = {
            "order_timeout_seconds": 0.5,
            "exit_rung_seconds": 0.2,
            "max_retry_attempts": 0,
        }
        settings(stage, min_entry_credit=-1000)
        yield stage


def test_an_entry_that_fills_only_in_part_is_undone_whole_and_counts_as_one(thin):
    thin.at("09:35:10")  # 3 can be sold, 4 bought back
    done = thin.run("enter")
    assert_fits(done.json, ENTER)
    assert (done.code, done["outcome"], done["would"], done["trade_id"]) == (0, "aborted", "enter", 1), (
        done.err
    )
    assert any("3 of 10" in note for note in done["notes"])
    assert (thin.positions(), live_orders(thin)) == ({}, [])
    (trade,) = thin.sql("SELECT * FROM trades")
    assert (trade["status"], trade["exit_reason"], trade["exit_cost"]) == ("CLOSED", "ENTRY_UNWOUND", 0)
    assert trade["entry_credit"] == trade["final_pnl"] == done["credit"]["net"] < 0
    assert thin.cash() == pytest.approx(1_000_000 + trade["final_pnl"], abs=1e-6)
    settings(thin, min_entry_credit=-1000, max_spreads_per_day=1)
    assert failed(thin.run("enter")) == ["max_trades"]


def test_an_entry_that_can_be_neither_finished_nor_undone_is_an_alarm_until_a_monitor_has_undone_it(thin):
    done = thin.run("enter")  # 4 can be sold, 3 bought back
    assert (done.code, done["outcome"]) == (6, "aborted")
    assert "half done" in done.err
    assert thin.positions() == {("SPXW", 6880.0): 1, ("SPY", 686.0): -1}
    skipped = thin.run("enter")
    assert (skipped.code, skipped["outcome"]) == (6, "skipped")
    assert "trading_enabled" in failed(skipped)
    thin.at("09:36")
    mended = thin.run("monitor")
    assert mended.code == 0, mended.err
    assert thin.positions() == {}
    (trade,) = thin.sql("SELECT * FROM trades")
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "ENTRY_UNWOUND")
    assert thin.cash() == pytest.approx(1_000_000 + trade["final_pnl"], abs=1e-6)


@pytest.mark.parametrize("words", [("stop", "--reason", "enough"), ("close-all", "--yes")])
def test_an_enter_at_work_makes_way_for_stop_and_close_all(thin, words):
    """It waits at the broker for ten SPY calls to be sold; what it has begun it undoes first."""
    thin.settings["execution"] = {"order_timeout_seconds": 60, "exit_rung_seconds": 0.2}
    settings(thin, min_entry_credit=-1000)
    thin.at("09:35:10")
    job = thin.start("enter")
    wait_until(lambda: thin.positions().get(("SPY", 686.0)) == -3)
    done = thin.run(*words)
    out, err = job.communicate(timeout=30)
    assert (done.code, job.returncode) == (0, 0), done.err + err
    assert read_object(out)["outcome"] == "aborted"
    assert (words[0] == "stop") or done["flat"]
    assert (thin.positions(), live_orders(thin)) == ({}, [])
    assert thin.sql("SELECT status, exit_reason FROM trades") == [
        {"status": "CLOSED", "exit_reason": "ENTRY_UNWOUND"}
    ]
    assert thin.sql("SELECT is_trading FROM system_state") == [{"is_trading": 0}]


def test_a_stop_while_enter_still_asks_for_the_margin_lets_nothing_be_bought(stage):
    with tapped(stage, hold_at=Ask.PLACE_ORDER) as tap:
        job = stage.start("enter")
        assert tap.held.wait(20)
        assert stage.run("stop", "--reason", "enough").code == 0
        tap.let_go()
        out, err = job.communicate(timeout=30)
    assert (job.returncode, read_object(out)["outcome"]) == (0, "skipped"), err
    assert stage.sim.control.book()["orders"] == []
    assert stage.sql("SELECT count(*) AS n FROM trades") == [{"n": 0}]


def test_the_environment_alone_is_configuration_enough(stage):
    environment = {
        "IB_PORT": str(stage.sim.port),
        "TRADING_MODE": "sim",
        "SPXARB_DATABASE": str(stage.database),
        "MIN_ENTRY_CREDIT": "405.50",
    }
    stage.config.unlink()
    command = [sys.executable, "-m", "spxarb", "enter", "--json"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=stage.folder,
        env=stage.environment(**environment),
    )
    (limit,) = [
        check["limit"] for check in read_object(done.stdout)["checks"] if check["name"] == "net_credit"
    ]
    assert (read_object(done.stdout)["outcome"], limit) == ("entered", 405.5)


def test_logs_go_to_stderr_and_stdout_is_one_object(stage):
    stage.write_config(logging={"console": True, "level": "DEBUG"})
    done = stage.run("enter")
    assert done["outcome"] == "entered"
    assert done.out.count("\n") == 1
    assert " INFO " in done.err


# --- monitor ----------------------------------------------------------------------------------------

NOTHING_IMPORTED = """
import sys
from spxarb.cli.commands import main
code = main(sys.argv[1:])
print([name for name in ("ib_insync", "rich") if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("words", [("monitor",), ("monitor", "--dry-run")])
def test_with_nothing_open_monitor_needs_no_gateway_and_does_not_even_load_its_client(tmp_path, words):
    with listening(say_nothing) as (port, seen):
        stage = lonely(tmp_path, port)
        seen_today(stage)
        command = [sys.executable, "-c", NOTHING_IMPORTED, "--config", str(stage.config), *words, "--json"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env=stage.environment()
        )
        assert (done.returncode, done.stderr) == (0, "[]\n")
        assert_fits(
            read_object(done.stdout), MONITOR | {"mode": "paper", "positions": [], "reconciliation": []}
        )
        assert seen == []
    ended = stage.sql("SELECT command, exit_code FROM runs WHERE ended_at IS NOT NULL")
    assert ended == [{"command": "monitor", "exit_code": 0}]


@pytest.fixture(scope="module")
def nine_forty(tmp_path_factory) -> Iterator[tuple[Stage, Done]]:
    with playing(tmp_path_factory.mktemp("held")) as stage:
        entered = enter(stage)
        stage.at("09:40")
        yield stage, entered


@pytest.fixture
def held(nine_forty) -> Stage:
    """9:40, a spread is open, and no test closes it."""
    nine_forty[0].write_config()
    return nine_forty[0]


def test_a_held_spread_is_marked_and_its_result_is_what_closing_costs_now(held, nine_forty):
    stage, entered = nine_forty
    done = stage.run("monitor")
    assert_fits(done.json, MONITOR)
    (position,) = done["positions"]
    assert (done.code, position["action"], position["exit_reason"], position["residual"]) == (
        0,
        "held",
        None,
        [],
    )
    assert (position["trade_id"], position["status"]) == (1, "ACTIVE")
    assert done["reconciliation"] == []
    (trade,) = stage.sql("SELECT * FROM trades")
    quote = {
        name: stage.sim.control.quote(json.loads(trade[f"{name}_contract"])["con_id"])
        for name in ("spx", "spy")
    }
    gross = 1000 * quote["spy"]["ask"] - 100 * quote["spx"]["bid"]
    fees = entered["credit"]["net"] - gross - position["current_pnl"]
    assert 10 < fees < 15
    (mark,) = stage.sql("SELECT * FROM marks ORDER BY id DESC LIMIT 1")
    assert (mark["pnl"], mark["spy_ask"], mark["spx_bid"]) == (
        position["current_pnl"],
        quote["spy"]["ask"],
        quote["spx"]["bid"],
    )
    assert stage.sql("SELECT date, net_pnl FROM day_marks ORDER BY id DESC LIMIT 1") == [
        {"date": DAY, "net_pnl": position["current_pnl"]}
    ]


EXITS = {
    "TIME": {},
    "ASSIGNMENT_RISK": {"assignment_risk_threshold": 2},
    "LOSS_LIMIT": {"max_position_loss": 50},
    "DAILY_LOSS": {"max_daily_loss": 50, "max_position_loss": 5000},
}
EXIT_CLOCK = {"TIME": "15:45", "ASSIGNMENT_RISK": "15:30", "LOSS_LIMIT": "09:40", "DAILY_LOSS": "09:40"}


@pytest.mark.parametrize("reason", EXITS)
def test_each_reason_closes_the_spread_and_the_account_changes_by_its_result_to_the_cent(stage, reason):
    """SPY is bought back before SPX is sold; the sleeping buy-back at the broker ends with the spread."""
    enter(stage)
    (asleep,) = live_orders(stage)
    assert re.fullmatch(r"spxarb:\w+:1:SPY:f1", asleep)
    settings(stage, **EXITS[reason])
    stage.at(EXIT_CLOCK[reason])
    done = stage.run("monitor")
    assert_fits(done.json, MONITOR)
    (position,) = done["positions"]
    told = done.code, position["action"], position["exit_reason"], position["status"], position["residual"]
    assert told == (0, "closed", reason, "CLOSED", []), done.err
    assert stage.positions() == {}
    assert live_orders(stage) == []
    (trade,) = stage.sql("SELECT * FROM trades")
    fills = stage.sim.control.book()["fills"]
    assert (trade["status"], trade["exit_reason"]) == ("CLOSED", reason)
    assert trade["exit_time"] == done["at"]
    assert trade["final_pnl"] == round(trade["entry_credit"] - trade["exit_cost"], 2)
    assert trade["commissions"] == pytest.approx(sum(fill["commission"] for fill in fills), abs=1e-9)
    assert trade["commissions_estimated"] == 0
    assert stage.cash() == pytest.approx(1_000_000 + trade["final_pnl"], abs=1e-6)
    order = [(fill["side"], fill["symbol"]) for fill in fills]
    assert order == [("BOT", "SPX"), ("SLD", "SPY"), ("BOT", "SPY"), ("SLD", "SPX")]
    assert (trade["spy_exit_price"], trade["spx_exit_price"]) == (fills[2]["price"], fills[3]["price"])
    (state,) = stage.sql(f"SELECT {', '.join(STATE)} FROM system_state")
    assert (state["open_positions"], state["daily_pnl"], state["trades_today"]) == (0, trade["final_pnl"], 1)
    assert state["is_trading"] == 1


def test_time_is_due_at_15_45_and_not_a_second_before(stage):
    enter(stage)
    stage.at("15:44:59")
    assert [position["action"] for position in stage.run("monitor")["positions"]] == ["held"]
    stage.at("15:45:00")
    assert [position["action"] for position in stage.run("monitor")["positions"]] == ["closed"]


def test_loss_limits_compare_strictly(held):
    (position,) = held.run("monitor", "--dry-run")["positions"]
    for more, action in ((0, "held"), (-0.01, "would_close")):
        limit = round(-position["current_pnl"] + more, 2)
        settings(held, max_position_loss=limit, max_daily_loss=limit)
        assert [position["action"] for position in held.run("monitor", "--dry-run")["positions"]] == [action]


def test_without_the_emergency_exit_the_daily_limit_closes_nothing(held):
    settings(held, emergency_exit_enabled=False, **EXITS["DAILY_LOSS"])
    assert [position["action"] for position in held.run("monitor")["positions"]] == ["held"]


def test_the_daily_limit_counts_what_is_realized_and_closes_all_that_is_open(stage):
    enter(stage)
    settings(stage, max_position_loss=50)
    stage.at("09:40")
    (lost,) = stage.run("monitor")["positions"]
    assert (lost["exit_reason"], lost["action"]) == ("LOSS_LIMIT", "closed")
    settings(stage, max_position_loss=5000)
    enter(stage)
    settings(stage, max_position_loss=5000, max_daily_loss=-lost["current_pnl"])
    (left,) = stage.run("monitor")["positions"]
    assert (left["trade_id"], left["exit_reason"], left["action"]) == (2, "DAILY_LOSS", "closed")
    skipped = stage.run("enter")
    assert "daily_loss" in failed(skipped)


def test_a_dry_run_of_monitor_says_what_it_would_close_and_sends_nothing(held):
    stage = held
    settings(stage, **EXITS["LOSS_LIMIT"])
    before, book = dump(stage, "decisions"), stage.sim.control.book()
    with tapped(stage) as tap:
        done = stage.run("monitor", "--dry-run")
    assert_fits(done.json, MONITOR)
    (position,) = done["positions"]
    assert (done.code, position["action"], position["exit_reason"]) == (0, "would_close", "LOSS_LIMIT")
    assert position["status"] == "ACTIVE"
    assert tap.asked, "the tap heard nothing"
    assert not tap.asked & CHANGING
    assert stage.sim.control.book() == book
    assert dump(stage, "decisions") == before
    assert stage.sql("SELECT dry_run FROM decisions ORDER BY id DESC LIMIT 1") == [{"dry_run": 1}]


def test_a_worthless_spx_call_is_offered_once_and_left_to_settlement(tmp_path):
    with playing(tmp_path, "crash", seed=9) as stage:
        settings(stage, min_entry_credit=-1000)
        enter(stage)
        stage.at("15:45")
        done = stage.run("monitor")
        (position,) = done["positions"]
        told = (
            done.code,
            position["action"],
            position["residual"],
            position["status"],
            position["exit_reason"],
        )
        assert told == (0, "closed", ["SPX"], "ACTIVE", "TIME"), done.err
        assert stage.positions() == {("SPXW", 6835.0): 1}
        offers = [
            row
            for row in stage.sim.control.book()["orders"]
            if (row["symbol"], row["side"]) == ("SPX", "SELL")
        ]
        assert [(row["limit"], row["status"]) for row in offers] == [(0.05, "Cancelled")]
        assert live_orders(stage) == []

        stage.at("15:50")
        again = stage.run("monitor")
        assert [(p["action"], p["residual"]) for p in again["positions"]] == [("closed", ["SPX"])]
        count = len(stage.sim.control.book()["orders"])
        flat = stage.run("close-all", "--yes")
        assert_fits(flat.json, CLOSE_ALL)
        assert (flat.code, [p["residual"] for p in flat["positions"]]) == (0, [["SPX"]])
        assert flat["flat"] is False, "a call is still held"
        assert len(stage.sim.control.book()["orders"]) == count

        stage.at("16:05")
        settled = stage.run("settle")
        (trade,) = stage.sql("SELECT * FROM trades")
        assert (settled.code, trade["status"], trade["exit_reason"]) == (0, "CLOSED", "TIME")
        assert trade["spx_exit_price"] is None
        assert trade["exit_time"] == "2026-02-10T15:45:00-05:00"
        assert stage.cash() == pytest.approx(1_000_000 + trade["final_pnl"], abs=1e-6)


@pytest.mark.parametrize(("market_exit", "action"), [(True, "closed"), (False, "failed")])
def test_a_missing_quote_hides_the_result_but_never_the_exit_by_time(stage, market_exit, action):
    """The last rung is a market order, which needs no quote; a human looks at it all the same."""
    stage.write_config(execution={"market_exit": market_exit, "quote_timeout_seconds": 1})
    enter(stage)
    stage.at("12:00")
    stage.sim.control.script(["no_quotes"])
    done = stage.run("monitor")
    (position,) = done["positions"]
    assert (done.code, position["action"], position["current_pnl"]) == (0, "held", None)
    assert any("quote" in note for note in done["notes"]), "nobody is told that the limits are blind"
    stage.at("15:45")
    done = stage.run("monitor")
    (position,) = done["positions"]
    assert (done.code, position["exit_reason"], position["action"]) == (6, "TIME", action)
    assert (stage.positions() == {}) is market_exit
    stage.sim.control.script()
    done = stage.run("monitor")
    assert (done.code, stage.positions()) == (0, {})


def test_an_exit_that_was_begun_is_gone_on_with_although_its_reason_has_passed(stage):
    enter(stage)
    settings(stage, max_position_loss=50)
    stage.at("09:40")
    stage.sim.control.script([fault("close", requests=Ask.PLACE_ORDER)])
    done = stage.run("monitor")
    assert done.code == 6, done.err
    assert stage.positions() == {("SPXW", 6665.0): 1, ("SPY", 665.0): -10}
    settings(stage, max_position_loss=5000)
    done = stage.run("monitor")
    (position,) = done["positions"]
    assert (done.code, position["exit_reason"], position["status"]) == (0, "LOSS_LIMIT", "CLOSED"), done.err
    assert stage.positions() == {}


def test_an_exit_that_broke_off_between_the_legs_is_finished_by_the_next_monitor(stage):
    """SPY was bought back, then the link was cut before a word of it came."""
    settings(stage, broker_side_failsafe=False)
    enter(stage)
    stage.at("15:45")
    stage.sim.control.script([fault("close", requests=Ask.PLACE_ORDER, point="unanswered")])
    done = stage.run("monitor")
    assert (done.code, [(p["action"], p["status"]) for p in done["positions"]]) == (6, [("failed", "ERROR")])
    assert stage.positions() == {("SPXW", 6665.0): 1}
    done = stage.run("monitor")
    assert (done.code, [p["action"] for p in done["positions"]]) == (0, ["closed"]), done.err
    assert "SPY" in done["reconciliation"][0]
    assert stage.positions() == {}
    (trade,) = stage.sql("SELECT * FROM trades")
    assert (trade["status"], trade["exit_reason"], trade["note"]) == ("CLOSED", "TIME", "")
    assert stage.cash() == pytest.approx(1_000_000 + trade["final_pnl"], abs=1e-6)


def test_on_a_short_day_time_is_due_at_12_45_and_the_day_is_settled_after_13_00(tmp_path):
    with RunningSim(date="2026-11-27", regime="rich-spy", at="09:35", speed=0) as sim:
        stage = Stage(tmp_path, sim)
        settings(stage, min_entry_credit=-1000, max_strike_distance_spx=5, max_strike_distance_spy=1)
        enter(stage)
        stage.at("12:44:59")
        assert [p["action"] for p in stage.run("monitor")["positions"]] == ["held"]
        stage.at("12:45")
        (position,) = stage.run("monitor")["positions"]
        assert (position["action"], position["exit_reason"]) == ("closed", "TIME")
        stage.at("13:05")
        done = stage.run("settle")
        assert (done.code, done["provisional"], done["summary"]["date"]) == (0, False, "2026-11-27")


def test_an_exit_by_time_does_not_need_to_know_what_spx_and_spy_cost(stage):
    """The broker does not answer the question for the contracts of the underlyings."""
    stage.write_config(execution={"question_timeout_seconds": 1})
    enter(stage)
    stage.at("15:45")
    stage.sim.control.script([withheld(Say.CONTRACT_DETAILS, Say.CONTRACT_DETAILS_END)])
    done = stage.run("monitor")
    assert (done.code, done["positions"][0]["action"]) == (0, "closed"), done.err
    assert stage.positions() == {}


# --- settle -----------------------------------------------------------------------------------------


def test_before_the_close_nothing_is_settled(stage):
    enter(stage)
    stage.at("15:59:59")
    done = stage.run("settle")
    assert_fits(done.json, SETTLE)
    assert (done.code, done["provisional"], done["summary"]["net_pnl"]) == (0, True, None)
    assert stage.sql("SELECT status FROM trades") == [{"status": "ACTIVE"}]
    assert stage.sql("SELECT * FROM settlements") == []


def test_calls_that_expire_are_closed_provisionally_and_the_next_morning_makes_it_final(tmp_path):
    """Both calls end worthless: the fall of the day took them; nobody exited, no fail-safe was left."""
    with playing(tmp_path, "crash", seed=9) as stage:
        settings(stage, min_entry_credit=-1000, broker_side_failsafe=False)
        credit = enter(stage)["credit"]["net"]
        stage.at("16:05")
        assert stage.run("settle").code == 6, "the account still shows the short calls"
        stage.at("17:45")
        done = stage.run("settle")
        assert_fits(done.json, SETTLE)
        assert (done.code, done["provisional"]) == (0, True), done.err
        (trade,) = stage.sql("SELECT * FROM trades")
        assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "EXPIRATION")
        assert (trade["exit_cost"], trade["final_pnl"]) == (0, credit)
        assert [row["provisional"] for row in stage.sql("SELECT provisional FROM daily_summary")] == [1]
        assert "-0.00" not in done.out

        stage.sim.control.set_time((stage.sim.control.time() + timedelta(days=1)).replace(hour=9, minute=40))
        morning = stage.run("monitor")
        assert (morning.code, morning["positions"]) == (0, []), morning.err
        (trade,) = stage.sql("SELECT * FROM trades")
        assert (trade["provisional"], trade["final_pnl"]) == (0, credit)
        assert [row["provisional"] for row in stage.sql("SELECT provisional FROM daily_summary")] == [0]
        assert stage.cash() == pytest.approx(1_000_000 + credit, abs=1e-6)
        done = stage.run("settle", "--date", DAY)
        assert (done.code, done["provisional"]) == (0, False)


def test_an_spx_call_in_the_money_is_settled_in_cash_at_the_close(stage):
    """The fail-safe buys SPY back at 15:50; the SPX call is held into its settlement."""
    enter(stage)
    stage.at("16:05")
    done = stage.run("settle")
    assert (done.code, done["provisional"]) == (0, True), done.err
    (trade,) = stage.sql("SELECT * FROM trades")
    close = stage.sim.control.quote(SPX_ID)["last"]
    (settlement,) = stage.sql("SELECT * FROM settlements")
    assert (settlement["leg"], settlement["price"]) == ("SPX", close)
    assert settlement["cash"] == pytest.approx(100 * (close - 6665), abs=1e-6)
    assert settlement["cash"] > 0
    assert stage.cash() == pytest.approx(1_000_000 + trade["final_pnl"], abs=1e-6)
    tomorrow(stage)
    stage.run("monitor")
    (trade,) = stage.sql("SELECT * FROM trades")
    assert trade["provisional"] == 0
    assert stage.cash() == pytest.approx(1_000_000 + trade["final_pnl"], abs=1e-6)
    (summary,) = stage.sql("SELECT * FROM daily_summary")
    assert (summary["net_pnl"], summary["provisional"]) == (trade["final_pnl"], 0)


def test_short_calls_that_expire_in_the_money_are_a_humans_business_that_evening_and_the_next_morning(stage):
    settings(stage, broker_side_failsafe=False)
    enter(stage)
    stage.at("16:05")
    done = stage.run("settle")
    assert done.code == 6
    assert "assigned" in done.err
    assert done["provisional"] is True
    tomorrow(stage)
    morning = stage.run("monitor")
    assert morning.code == 6
    assert "-1000 shares" in morning.err
    assert stage.positions() == {("SPY", 0.0): -1000} or stage.positions() == {("SPY", None): -1000}


def test_the_day_in_one_row_means_what_the_contract_says(stage):
    """A loser closed at 9:40 and a winner closed at 15:45; the curve of net results falls and rises between."""
    enter(stage)
    settings(stage, max_position_loss=50)
    stage.at("09:40")
    (lost,) = stage.run("monitor")["positions"]
    settings(stage, max_position_loss=5000)
    enter(stage)
    curve = [0.0, lost["current_pnl"]]
    for clock in ("09:45", "12:00", "15:45"):
        stage.at(clock)
        positions = stage.run("monitor")["positions"]
        curve.append(lost["current_pnl"] + positions[0]["current_pnl"])
    stage.at("16:05")
    done = stage.run("settle")
    assert (done.code, done["provisional"]) == (0, False)
    trades = stage.sql("SELECT * FROM trades ORDER BY id")
    curve.append(sum(trade["final_pnl"] for trade in trades))
    summary = done["summary"]
    assert (summary["date"], summary["trades_count"]) == (DAY, 2)
    assert (summary["winning_trades"], summary["losing_trades"]) == (1, 1), [t["final_pnl"] for t in trades]
    assert summary["net_pnl"] == pytest.approx(curve[-1], abs=1e-9)
    assert summary["total_commissions"] == pytest.approx(sum(t["commissions"] for t in trades), abs=1e-9)
    assert summary["total_pnl"] == pytest.approx(curve[-1] + summary["total_commissions"], abs=1e-9)
    peaks = [max(curve[: number + 1]) for number in range(len(curve))]
    deepest = max(peak - value for peak, value in zip(peaks, curve, strict=True))
    assert summary["max_drawdown"] == pytest.approx(deepest, abs=1e-9)
    assert summary["max_drawdown"] > 0
    assert done["trades"] == [
        {
            **trade,
            "trade_date": trade["trade_date"][:10],  # the day alone, as in every other object
            **{
                name: json.loads(trade[name])
                for name in ("spx_contract", "spy_contract", "residual", "limits")
            },
        }
        for trade in trades
    ]
    assert stage.sql(f"SELECT {', '.join(DAYS)} FROM daily_summary") == [
        {name: summary[name] for name in DAYS}
    ]

    before = dump(stage, "decisions")
    again = stage.run("settle")
    assert (again["summary"], again["trades"]) == (done["summary"], done["trades"])
    assert dump(stage, "decisions") == before
    by_date = stage.run("settle", "--date", DAY)
    assert by_date["summary"] == done["summary"]
    assert dump(stage, "decisions") == before

    tomorrow(stage, 17)
    later = stage.run("settle", "--date", DAY)
    assert (later["summary"], later["provisional"]) == (done["summary"], False)
    empty = stage.run("settle")
    assert (empty["summary"]["date"], empty["summary"]["trades_count"], empty["summary"]["net_pnl"]) == (
        "2026-02-11",
        0,
        0,
    )
    assert stage.sql("SELECT date FROM daily_summary ORDER BY date") == [
        {"date": DAY},
        {"date": "2026-02-11"},
    ]


@pytest.mark.parametrize(("day", "said"), [("2026-02-08", "no trading day"), ("2026-02-11", "not begun")])
def test_a_day_that_is_none_gets_no_row(stage, day, said):
    stage.at("16:05")
    done = stage.run("settle", "--date", day)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert stage.sql("SELECT * FROM daily_summary") == []


def test_a_day_that_nobody_settled_gets_its_row_when_somebody_does(tmp_path):
    with playing(tmp_path, "crash", seed=9) as stage:
        settings(stage, min_entry_credit=-1000, broker_side_failsafe=False)
        enter(stage)
        tomorrow(stage)
        morning = stage.run("monitor")
        assert morning.code == 6, "nobody knows how many SPY shares the account held that evening"
        (trade,) = stage.sql("SELECT * FROM trades")
        assert (trade["status"], trade["exit_reason"]) == ("CLOSED", "EXPIRATION")
        (summary,) = stage.sql("SELECT * FROM daily_summary")
        assert (summary["date"], summary["net_pnl"]) == (DAY, trade["final_pnl"])
        assert stage.cash() == pytest.approx(1_000_000 + trade["final_pnl"], abs=1e-6)


def test_a_fill_that_nobody_saw_yesterday_is_told_to_a_human_for_the_broker_tells_of_today_alone(stage):
    """The fail-safe bought SPY back at 15:50 and every job of that afternoon was missed."""
    enter(stage)
    tomorrow(stage)
    morning = stage.run("monitor")
    assert morning.code == 6
    assert re.search(r"spxarb:\w+:1:SPY:f1", morning.err)
    entered = stage.run("enter")
    assert (entered.code, entered["outcome"]) == (6, "skipped")
    assert stage.sql("SELECT status, final_pnl FROM trades") == [{"status": "ERROR", "final_pnl": None}]
    assert stage.sql("SELECT count(*) AS n FROM settlements") == [{"n": 0}]
    stage.sim.control.advance(24 * 3600)
    assert stage.run("monitor").code == 6
    assert stage.run("ack", "1").code == 0
    assert stage.run("monitor").code == 0, "a human has dealt with it"


# --- close-all --------------------------------------------------------------------------------------


def test_close_all_asks_and_without_a_terminal_changes_nothing(held):
    stage = held
    before, book = dump(stage), stage.sim.control.book()
    done = stage.run("close-all")
    assert (done.code, done.out) == (2, "")
    assert "--yes" in done.err
    assert (dump(stage), stage.sim.control.book()) == (before, book)


def test_close_all_flattens_every_spread_stops_trading_and_again_has_nothing_to_do(stage):
    enter(stage)
    stage.at("09:36")
    enter(stage)
    done = stage.run("close-all", "--yes")
    assert_fits(done.json, CLOSE_ALL)
    assert (done.code, done["flat"], done["error"]) == (0, True, None), done.err
    told = [(p["trade_id"], p["action"], p["exit_reason"], p["status"]) for p in done["positions"]]
    assert told == [(1, "closed", "EMERGENCY", "CLOSED"), (2, "closed", "EMERGENCY", "CLOSED")]
    assert stage.positions() == {}
    assert live_orders(stage) == []
    trades = stage.sql("SELECT * FROM trades")
    assert stage.cash() == pytest.approx(1_000_000 + sum(t["final_pnl"] for t in trades), abs=1e-6)
    (state,) = stage.sql("SELECT * FROM system_state")
    assert (state["is_trading"], state["open_positions"], state["trades_today"]) == (0, 0, 2)
    assert state["daily_pnl"] == pytest.approx(sum(t["final_pnl"] for t in trades), abs=1e-9)

    again = stage.run("close-all", "--yes")
    assert_fits(again.json, CLOSE_ALL | {"positions": [], "flat": True})
    assert again.code == 0
    assert failed(stage.run("enter")) == ["trading_enabled", "max_trades"]


def test_a_dry_run_of_close_all_asks_nobody_and_changes_nothing(held):
    stage = held
    before, book = dump(stage, "decisions"), stage.sim.control.book()
    with tapped(stage) as tap:
        done = stage.run("close-all", "--dry-run")
    assert_fits(done.json, CLOSE_ALL)
    assert (done.code, done["flat"]) == (0, False)
    assert [position["action"] for position in done["positions"]] == ["would_close"]
    assert not tap.asked & CHANGING
    assert (dump(stage, "decisions"), stage.sim.control.book()) == (before, book)


def test_close_all_leaves_a_worthless_call_to_settlement_and_says_so(tmp_path):
    with playing(tmp_path, "crash", seed=9) as stage:
        settings(stage, min_entry_credit=-1000)
        enter(stage)
        stage.at("15:00")
        done = stage.run("close-all", "--yes")
        (position,) = done["positions"]
        assert (done.code, position["action"], position["residual"]) == (0, "closed", ["SPX"])
        assert (done["flat"], position["status"]) == (False, "ACTIVE")
        assert stage.positions() == {("SPXW", 6835.0): 1}


def test_close_all_after_the_close_buys_back_what_still_trades_and_settles_the_rest(stage):
    """SPY calls trade until 16:15, SPX calls until 16:00."""
    settings(stage, broker_side_failsafe=False)
    enter(stage)
    stage.at("16:05")
    done = stage.run("close-all", "--yes")
    assert (done.code, done["flat"]) == (0, True), done.err
    assert stage.positions() == {}
    (trade,) = stage.sql("SELECT * FROM trades")
    assert (trade["status"], trade["exit_reason"], trade["provisional"]) == ("CLOSED", "EMERGENCY", 1)
    assert stage.cash() == pytest.approx(1_000_000 + trade["final_pnl"], abs=1e-6)


FOREIGNER = """
import asyncio, sys
asyncio.set_event_loop(asyncio.new_event_loop())
from ib_insync import IB, LimitOrder, MarketOrder, Option
ib = IB()
ib.connect("127.0.0.1", int(sys.argv[1]), clientId=77, timeout=5)
(call,) = ib.qualifyContracts(Option("SPX", "20260210", 6665, "C", "SMART", tradingClass="SPXW"))
ib.placeOrder(call, MarketOrder("BUY", 2))
ib.placeOrder(call, LimitOrder("BUY", 1, 0.05))
ib.sleep(0.5)
ib.disconnect()
"""


def test_what_is_not_ours_is_left_alone_even_in_the_same_contract(stage):
    enter(stage)
    subprocess.run([sys.executable, "-c", FOREIGNER, str(stage.sim.port)], check=True, timeout=60)
    assert stage.positions() == {("SPXW", 6665.0): 3, ("SPY", 665.0): -10}
    done = stage.run("close-all", "--yes")
    assert (done.code, done["flat"]) == (0, True), done.err
    assert stage.positions() == {("SPXW", 6665.0): 2}
    book = stage.sim.control.book()
    assert [row["client_id"] for row in book["orders"] if row["status"] in {"Submitted", "PreSubmitted"}] == [
        77
    ]


@pytest.mark.parametrize(("mode", "words"), [("paper", ("--yes",)), ("sim", ("--dry-run",))])
def test_close_all_without_a_gateway_does_not_call_the_account_flat(tmp_path, words, mode):
    """It always asks the broker, also when the ledger knows of nothing."""
    stage = lonely(tmp_path, free_port(), mode)
    done = stage.run("close-all", *words)
    assert_fits(done.json, CLOSE_ALL | {"mode": mode, "positions": [], "flat": None, "asked_broker": False})
    assert done.code == 4
    assert ("Entries are stopped until `spxarb start`." in done["error"]) is (words == ("--yes",))
    assert stage.sql("SELECT is_trading FROM system_state") == [{"is_trading": int(words == ("--dry-run",))}]


# --- start, stop, status, report --------------------------------------------------------------------


def test_live_begins_switched_off_and_the_others_on(tmp_path):
    for mode, on in (("live", 0), ("paper", 1), ("sim", 1)):
        folder = tmp_path / mode
        folder.mkdir()
        stage = lonely(folder, free_port(), mode)
        stage.write_config(trading={"mode": mode}, ib={"account": "U1234567" if mode == "live" else None})
        done = stage.run("monitor")
        assert (done.code, done["mode"]) == (4, mode)
        assert stage.sql("SELECT is_trading FROM system_state") == [{"is_trading": on}]


def test_the_switch_leaves_the_figures_of_the_day_as_they_are(held):
    stage = held
    (before,) = stage.sql("SELECT * FROM system_state")
    for verb, on in (("stop", 0), ("start", 1)):
        done = stage.run(verb)
        assert done.code == 0
        (after,) = stage.sql("SELECT * FROM system_state")
        kept = ("open_positions", "daily_pnl", "trades_today", "errors_today")
        assert [after[name] for name in kept] == [before[name] for name in kept]
        assert after["is_trading"] == on
        assert after["last_updated"][:10] == DAY


def test_status_shows_account_market_positions_and_the_day(held):
    stage = held
    marked = stage.run("monitor")
    before = dump(stage)
    with tapped(stage) as tap:
        done = stage.run("status")
    assert_fits(done.json, STATUS)
    assert not tap.asked & CHANGING
    assert dump(stage) == before
    assert done["status"] == {
        "is_trading": True,
        "is_connected": True,
        "open_positions": 1,
        "trades_today": 1,
    }
    assert done["account"]["account_id"] == "SIM0000001"
    assert done["account"]["total_cash"] == pytest.approx(stage.cash(), abs=0.01)
    assert all(isinstance(value, NUMBER) for name, value in done["account"].items() if name != "account_id")
    assert done["market"]["ratio"] == pytest.approx(done["market"]["spx_price"] / done["market"]["spy_price"])
    (position,) = done["positions"]
    assert position["current_pnl"] == marked["positions"][0]["current_pnl"]
    assert done["performance"] == {
        "daily_realized_pnl": 0,
        "unrealized_pnl": position["current_pnl"],
        "total_pnl": position["current_pnl"],
        "max_daily_loss": 1000,
        "risk_breached": False,
        "trades_count": 1,
        "active_positions": 1,
    }
    assert [(t["id"], t["status"], t["final_pnl"]) for t in done["trades"]] == [(1, "ACTIVE", None)]

    offline = stage.run("status", "--offline")
    assert_fits(offline.json, STATUS)
    assert (offline.code, offline["status"]["is_connected"]) == (0, False)
    assert set(offline["account"].values()) | set(offline["market"].values()) == {None}
    assert offline["positions"] == done["positions"]
    assert offline["performance"] == done["performance"]
    assert offline["trades"] == done["trades"]


def test_status_after_the_close_does_not_wait_for_quotes_that_cannot_come(stage):
    stage.at("16:30")
    stage.write_config(execution={"quote_timeout_seconds": 60})
    done = stage.run("status", timeout=20)
    assert (done.code, done["market"]["spy_price"] is None) == (0, False)


def test_status_without_a_gateway_is_exit_4_and_still_whole(tmp_path):
    stage = lonely(tmp_path, free_port(), "sim")
    done = stage.run("status")
    assert_fits(done.json, STATUS)
    assert (done.code, done["exit_code"], done["status"]["is_connected"]) == (4, 4, False)
    assert done["error"] in done.err
    assert done["market"] == {"spy_price": None, "spx_price": None, "ratio": None}


@pytest.fixture(scope="module")
def traded(tmp_path_factory) -> Iterator[Stage]:
    """A day with two closed trades, a loser and a winner, settled; read only from here on."""
    with playing(tmp_path_factory.mktemp("traded")) as stage:
        enter(stage)
        settings(stage, max_position_loss=50)
        stage.at("09:40")
        stage.run("monitor")
        settings(stage, max_position_loss=5000)
        enter(stage)
        stage.at("15:45")
        stage.run("monitor")
        stage.at("16:05")
        stage.run("settle")
        yield stage


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_report_shows_trades_days_and_statistics(traded):
    done = traded.run("report")
    assert_fits(done.json, REPORT)
    assert (done.code, len(done["trades"]), len(done["days"])) == (0, 2, 1)
    pnls = [trade["final_pnl"] for trade in done["trades"]]
    flat = flattened(done["statistics"])
    assert flat["trades"] == 2, flat
    assert flat["win_rate"] == pytest.approx(0.5), flat
    assert flat["expectancy"] == pytest.approx(sum(pnls) / 2), flat


def flattened(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flattened(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return found


@pytest.mark.parametrize(
    ("since", "until", "trades"),
    [(DAY, DAY, 2), ("2026-02-11", None, 0), (None, "2026-02-09", 0)],
)
def test_report_takes_both_days_inclusive(traded, since, until, trades):
    words = [*(["--since", since] if since else []), *(["--until", until] if until else [])]
    done = traded.run("report", *words)
    assert (len(done["trades"]), len(done["days"])) == (trades, min(trades, 1))


@pytest.mark.parametrize(
    ("table", "columns", "count"),
    [(None, TRADES, 2), ("trades", TRADES, 2), ("days", DAYS, 1), ("executions", ["exec_id"], 8)],
)
def test_report_writes_each_table_as_csv_to_stdout(traded, table, columns, count):
    done = traded.run("report", "--csv", *(["--table", table] if table else []), as_json=False)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0].split(",")[: len(columns)] == columns
    assert len(rows(done.out)) == count


def test_report_writes_csv_into_a_file_for_its_owner_alone(traded, tmp_path):
    file = tmp_path / "trades.csv"
    file.write_text("old")
    file.chmod(0o666)
    done = traded.run("report", "--csv", "--output", str(file))
    assert done.code == 0
    assert_fits(done.json, REPORT)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = rows(file.read_text())
    assert [float(row["final_pnl"]) for row in found] == [trade["final_pnl"] for trade in done["trades"]]
    assert [row["exit_reason"] for row in found] == ["LOSS_LIMIT", "TIME"]


@pytest.mark.parametrize("place", ["nowhere/trades.csv", "."])
def test_a_file_that_cannot_be_written_is_wrong_use(traded, tmp_path, place):
    done = traded.run("report", "--csv", "--output", str(tmp_path / place), as_json=False)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "cannot be written" in done.err


def test_the_users_own_sql_works_as_written(traded, tmp_path):
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(traded.database)) as db:
        assert db.execute(
            "SELECT * FROM trades WHERE date(trade_date) = date('now') ORDER BY trade_date DESC;"
        )
        days = db.execute(
            "SELECT date, trades_count, total_pnl, net_pnl FROM daily_summary ORDER BY date DESC LIMIT 10;"
        ).fetchall()
        db.execute("VACUUM INTO ?", [str(copy)])
    ((day, count, total, net),) = days
    assert (day, count) == (DAY, 2)
    assert total > net
    with closing(sqlite3.connect(copy)) as db:
        assert {row[0] for row in db.execute("SELECT date(trade_date) FROM trades")} == {DAY}
        today = (
            "SELECT id FROM trades WHERE date(trade_date) = (SELECT today FROM v_today) ORDER BY trade_date"
        )
        assert db.execute(today).fetchall() == [(1,), (2,)], "the simulator's day is the gateway's"
        db.execute("UPDATE trades SET trade_date = date('now')")
        found = db.execute(
            "SELECT * FROM trades WHERE date(trade_date) = date('now') ORDER BY trade_date DESC;"
        )
        assert len(found.fetchall()) == 2


def test_the_three_public_tables_keep_their_columns(traded):
    for table, columns in (("trades", TRADES), ("daily_summary", DAYS), ("system_state", STATE)):
        names = [row["name"] for row in traded.sql(f"PRAGMA table_info({table})")]
        assert names[: len(columns)] == columns
    assert traded.sql("SELECT count(*) AS n FROM system_state") == [{"n": 1}]


# --- what every command leaves behind ---------------------------------------------------------------


def test_the_state_row_follows_the_day(stage):
    def state() -> dict[str, Any]:
        (row,) = stage.sql("SELECT * FROM system_state")
        return {name: row[name] for name in ("open_positions", "trades_today", "is_trading", "last_updated")}

    enter(stage)
    assert state() == {
        "open_positions": 1,
        "trades_today": 1,
        "is_trading": 1,
        "last_updated": "2026-02-10T09:35:00-05:00",
    }
    stage.at("09:36")
    enter(stage)
    assert (state()["open_positions"], state()["trades_today"]) == (2, 2)
    stage.at("12:00")
    done = stage.run("monitor")
    assert state()["last_updated"] == "2026-02-10T12:00:00-05:00"
    (row,) = stage.sql("SELECT daily_pnl FROM system_state")
    assert row["daily_pnl"] == pytest.approx(sum(p["current_pnl"] for p in done["positions"]), abs=1e-9)
    stage.at("15:45")
    stage.run("monitor")
    assert (state()["open_positions"], state()["trades_today"]) == (0, 2)
    stage.at("16:05")
    stage.run("settle")
    (row,) = stage.sql("SELECT daily_pnl FROM system_state")
    (total,) = stage.sql("SELECT sum(final_pnl) AS pnl FROM trades")
    assert row["daily_pnl"] == pytest.approx(total["pnl"], abs=1e-9)
    tomorrow(stage)
    stage.run("enter")
    assert (state()["open_positions"], state()["trades_today"]) == (0, 0)


def test_a_quiet_morning_begins_a_new_row_of_the_state(tmp_path):
    """A monitor with nothing open writes what users read: yesterday's figures are not today's."""
    stage = lonely(tmp_path, free_port())
    seen_today(stage)
    assert stage.run("monitor").code == 0
    (row,) = stage.sql("SELECT * FROM system_state")
    assert row["last_updated"] is not None
    with closing(sqlite3.connect(stage.database)) as db, db:
        db.execute(
            "UPDATE system_state SET last_updated = '2026-02-10T15:00:00-05:00', trades_today = 2, daily_pnl = 7"
        )
    assert stage.run("monitor").code == 0
    (row,) = stage.sql("SELECT * FROM system_state")
    assert (row["trades_today"], row["daily_pnl"]) == (0, 0)


def test_every_command_leaves_its_run_with_its_exit_code(tmp_path):
    stage = lonely(tmp_path, free_port(), "sim")
    wanted = []
    for words, code in (
        (("enter",), 4),
        (("enter", "--dry-run"), 4),
        (("monitor",), 4),
        (("settle",), 4),
        (("close-all", "--yes"), 4),
        (("start",), 0),
        (("stop",), 0),
        (("status",), 4),
        (("status", "--offline"), 0),
        (("report",), 0),
        (("log",), 0),
        (("ack",), 0),
    ):
        done = stage.run(*words)
        assert (done.code, done["exit_code"]) == (code, code), (words, done.err)
        assert (done["error"] is None) is (code == 0)
        if words[0] not in {"status", "report", "log"}:  # they only read
            wanted.append({"command": words[0], "exit_code": code, "told": code != 0, "ended": 1})
    found = stage.sql(
        "SELECT command, exit_code, error IS NOT NULL AS told, ended_at IS NOT NULL AS ended FROM runs ORDER BY id"
    )
    assert found == wanted


SCREENS: dict[str, Callable[[Stage], Done]] = {
    "enter": lambda stage: stage.run("enter", "--dry-run", as_json=False),
    "monitor": lambda stage: stage.run("monitor", "--dry-run", as_json=False),
    "settle": lambda stage: stage.run("settle", as_json=False),
    "close-all": lambda stage: stage.run("close-all", "--dry-run", as_json=False),
    "status": lambda stage: stage.run("status", "--offline", as_json=False),
    "report": lambda stage: stage.run("report", as_json=False),
}


@pytest.mark.parametrize("verb", SCREENS)
def test_every_verb_also_has_a_screen_for_people(traded, verb):
    done = SCREENS[verb](traded)
    assert (done.code, done.err) == (0, "")
    assert verb in done.out
    assert "None" not in done.out
    assert "Decimal" not in done.out


def test_the_whole_folder_is_its_owners_alone(traded):
    for name in ("trading.db", "trading.log", "trading.db.lock"):
        file = traded.folder / name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, name
