"""Ledger and account are compared again once the last order is out: no final state is written against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from actions import enter, playing, settings
from harness import fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        settings(made, max_spreads_per_day=1)
        yield made


def moves_with(stage: Stage, order: str) -> None:
    """As this order of ours comes in, the account's position in its contract moves, and nobody traded."""
    when = {"request": "place_order", "order_ref": f"spxarb:*:{order}"}
    stage.sim.control.script([fault("foreign_position", when=when, side="SELL", quantity=1)])


def test_what_moves_with_the_last_order_of_an_entry_is_named_by_it(stage):
    """The fail-safe is placed after the spread was seen to be whole."""
    moves_with(stage, "SPY:f1")
    done = stage.run("enter")
    assert (done.code, done["outcome"]) == (6, "entered"), done.err
    assert "1 short SPY call more than all executions add up to" in done["error"]
    (matter,) = stage.run("ack")["matters"]
    assert "1 short SPY call more" in matter["text"]


def test_a_spread_that_the_account_does_not_bear_out_is_not_active(stage):
    moves_with(stage, "SPY:e1")
    done = stage.run("enter")
    assert (done.code, done["outcome"]) == (6, "aborted"), done.err
    assert "1 short SPY call more than all executions add up to" in done["error"]
    assert stage.sql("SELECT status FROM trades") != [{"status": "ACTIVE"}]
    assert sorted(stage.positions().values()) == [-11, 1]


@pytest.mark.parametrize("verb", [("monitor",), ("close-all", "--yes")], ids=" ".join)
def test_an_exit_that_the_account_does_not_bear_out_is_not_closed(stage, verb):
    enter(stage)
    stage.at("15:46")
    moves_with(stage, "SPX:x1")
    done = stage.run(*verb)
    assert done.code == 6, done.err
    (trade,) = stage.sql("SELECT status, note FROM trades")
    assert trade["status"] != "CLOSED", trade
    assert list(stage.positions().values()) == [-1]
