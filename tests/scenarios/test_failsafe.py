"""If the machine dies with short calls: a sleeping buy-back rests at the broker, and never trades twice."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from crash import broken_laws
from harness import Stage, withheld

from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    from collections.abc import Iterator

ALIVE = {"Submitted", "PreSubmitted", "PendingSubmit"}


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with RunningSim(date="2026-02-10", regime="rich-spy", at="09:35", speed=0) as sim:
        made = Stage(tmp_path, sim)
        made.settings["trading"] = {"mode": "sim", "max_spreads_per_day": 1}
        made.write_config()
        yield made


def orders(stage: Stage, purpose: str) -> list[dict]:
    """Ours of a purpose: e entry, x exit, f fail-safe."""
    return [o for o in stage.sim.control.book()["orders"] if f":SPY:{purpose}" in o["order_ref"]]


def bought_back(stage: Stage) -> float:
    fills = stage.sim.control.book()["fills"]
    return sum(f["shares"] for f in fills if f["symbol"] == "SPY" and f["side"] == "BOT")


def test_an_entry_leaves_a_buy_back_of_all_its_short_calls_asleep_at_the_broker(stage):
    assert stage.run("enter")["outcome"] == "entered"
    (order,) = orders(stage, "f")
    assert (order["side"], order["quantity"], order["order_type"], order["status"]) == (
        "BUY",
        10,
        "MKT",
        "PreSubmitted",
    )
    (row,) = stage.sql("SELECT good_after, final FROM orders WHERE purpose = 'f'")
    assert (row["good_after"], row["final"]) == ("2026-02-10T15:50:00-05:00", 0)
    stage.at("15:44")
    assert orders(stage, "f")[0]["status"] == "PreSubmitted"


def test_with_the_machine_dead_the_short_calls_are_gone_before_the_close_and_the_next_monitor_knows(stage):
    cash = stage.cash()
    stage.run("enter")
    stage.at("15:55")  # nothing of ours has run since
    held = stage.positions()
    assert not [quantity for quantity in held.values() if quantity < 0]
    done = stage.run("monitor")
    (position,) = done["positions"]
    assert (done.code, position["exit_reason"], position["status"]) == (0, "TIME", "CLOSED"), done.err
    assert any(":SPY:f1" in told for told in done["reconciliation"])
    assert (stage.positions(), bought_back(stage)) == ({}, 10)
    assert broken_laws(stage, cash) == []


def test_an_exit_in_time_ends_the_sleeping_order_before_it_buys(stage):
    cash = stage.cash()
    stage.run("enter")
    stage.at("15:45")
    assert stage.run("monitor").code == 0
    assert {o["status"] for o in orders(stage, "f")} == {"Cancelled"}
    steps = stage.sql("SELECT order_ref, step FROM order_steps ORDER BY id")
    names = [
        (row["order_ref"].rpartition(":")[2], row["step"]) for row in steps if ":SPY:" in row["order_ref"]
    ]
    assert names.index(("f1", "cancel")) < names.index(("f1", "final")) < names.index(("x1", "intent"))
    stage.at("15:55")
    assert (bought_back(stage), stage.positions()) == (10, {})
    assert broken_laws(stage, cash) == []


def test_close_all_leaves_no_sleeping_order_behind(stage):
    stage.run("enter")
    assert stage.run("close-all", "--yes")["flat"] is True
    assert not [o for o in stage.sim.control.book()["orders"] if o["status"] in ALIVE]
    stage.at("15:55")
    assert bought_back(stage) == 10


def test_it_can_be_switched_off(stage):
    stage.settings["execution"] = {"broker_side_failsafe": False}
    stage.write_config()
    assert stage.run("enter")["outcome"] == "entered"
    assert orders(stage, "f") == []


def test_no_buy_back_is_left_for_an_entry_that_was_undone(stage):
    stage.sim.control.script([withheld(3, 5, 11, 59)])
    stage.run("enter")
    stage.sim.control.script()
    stage.sim.control.advance(2)
    stage.run("monitor")
    stage.run("close-all", "--yes")
    assert stage.positions() == {}
    assert not [o for o in stage.sim.control.book()["orders"] if o["status"] in ALIVE]


ROWS = [3, 5, 11, 59]
"""What tells of orders and fills; withheld, the lists of orders and executions come empty, but come."""
UNSEEN = ["order_status", "open_order", "execution", "commission", "completed_order"]


def test_a_sleeping_order_that_empty_lists_do_not_show_is_not_taken_for_over(stage):
    """Else the exit buys the calls back, and it buys them once more at 15:50."""
    cash = stage.cash()
    stage.run("enter")
    stage.at("15:45")
    stage.sim.control.script([withheld(*ROWS)])
    done = stage.run("monitor", timeout=120)
    assert (done.code, done["positions"][0]["action"], orders(stage, "x")) == (6, "failed", [])
    assert ":SPY:f1 ended is not known" in done.err
    stage.sim.control.script()
    done = stage.run("monitor")
    assert (done.code, done["positions"][0]["action"]) == (0, "closed"), done.err
    stage.at("15:55")
    assert (stage.positions(), bought_back(stage)) == ({}, 10)
    assert broken_laws(stage, cash) == []


def test_an_entry_that_filled_unseen_is_not_taken_for_nothing_and_is_undone_when_it_shows(stage):
    """Only the account's position tells of it, for the rows of every list are lost."""
    cash = stage.cash()
    stage.settings["execution"] = {"order_timeout_seconds": 1, "max_retry_attempts": 0}
    stage.write_config()
    silence = {
        "what": {"withhold": {"messages": UNSEEN}},
        "when": {"request": "place_order", "nth": 2},
        "for": 600,
    }
    stage.sim.control.script([silence])  # the first order was a question for the margin
    done = stage.run("enter", timeout=120)
    assert (done.code, list(stage.positions().values())) == (6, [1]), done.err
    stage.sim.control.script()
    done = stage.run("monitor")
    assert (done.code, stage.positions()) == (0, {}), done.err
    assert broken_laws(stage, cash) == []


@pytest.mark.parametrize("status", ["ACTIVE", "CLOSED"])
def test_an_order_that_lives_after_it_was_taken_for_over_is_followed_again(stage, status):
    """It is open at the broker, whatever proved its end: its trade is open again, and is left."""
    cash = stage.cash()
    stage.run("enter")
    with closing(sqlite3.connect(stage.database)) as ledger, ledger:
        ledger.execute("UPDATE orders SET final = 1, filled = 0, status = 'absent' WHERE purpose = 'f'")
        state = "open" if status == "ACTIVE" else "closed"
        ledger.execute("UPDATE trades SET status = ?, state = ?", [status, state])
    done = stage.run("monitor")
    told = [line for line in done["reconciliation"] if "is open again" in line]
    closed = status == "CLOSED"  # a human hears of an exit that was believed to be complete
    assert (done.code, bool(told)) == (6 if closed else 0, closed), done.err
    assert stage.sql("SELECT final FROM orders WHERE purpose = 'f'") == [{"final": 0}]
    assert stage.sql("SELECT status FROM trades") == [{"status": "ACTIVE"}]
    stage.at("15:45")
    assert stage.run("monitor").code == 0
    stage.at("15:55")
    assert (stage.positions(), bought_back(stage)) == ({}, 10)
    assert broken_laws(stage, cash) == []
