"""The outer look at laws 13 to 15 sees each of them broken: without that it would prove nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from actions import enter, playing, settings, tomorrow
from harness import fault
from told import untold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage


@pytest.fixture
def held(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1, broker_side_failsafe=False)
        enter(stage)
        yield stage


def rewrite(stage: Stage, *statements: str) -> None:
    with closing(sqlite3.connect(stage.database)) as db, db:
        for statement in statements:
            db.execute(statement)


LAST_RUN_WAS_GOOD = "UPDATE runs SET exit_code = 0 WHERE id = (SELECT max(id) FROM runs)"


def test_a_difference_that_was_told_is_no_break_and_one_that_was_not_is(held):
    assert untold(held) == []
    (spx,) = held.sql("SELECT con_id FROM orders WHERE leg = 'SPX'")
    held.sim.control.script([fault("foreign_position", side="BUY", quantity=1, con_id=spx["con_id"])])
    assert held.run("monitor").code == 6
    assert untold(held) == []
    rewrite(held, LAST_RUN_WAS_GOOD, "UPDATE matters SET resolved_at = since")
    (found,) = untold(held)
    assert found.startswith("exit 0, and the account holds +2 of contract")


def test_a_matter_that_is_open_or_gone_is_seen(held):
    (spy,) = held.sql("SELECT con_id FROM orders WHERE leg = 'SPY'")
    held.sim.control.script([fault("foreign_fill", side="BUY", quantity=4, con_id=spy["con_id"])])
    assert held.run("monitor").code == 6
    assert untold(held) == []
    rewrite(held, LAST_RUN_WAS_GOOD)
    assert [found.partition(":")[0] for found in untold(held)] == ["exit 0 with a matter open"]
    rewrite(held, "UPDATE matters SET id = 7")
    assert "of the matters only [7] are left" in untold(held)


@pytest.mark.parametrize("code", [0, 4, 5])
def test_an_exit_that_is_due_and_was_passed_over_is_seen(held, code):
    assert held.run("monitor").code == 0
    assert untold(held) == []
    rewrite(held, f"UPDATE runs SET exit_code = {code}", "UPDATE trades SET exit_reason = 'TIME'")
    (found,) = untold(held)
    assert found.startswith(f"`monitor` ended with {code}, and the exit of trade 1")


def test_calls_and_shares_that_nobody_explains_after_the_close_are_told_and_else_seen(held):
    """The trade was closed; SPY calls appear in its contract, and the next morning they are shares."""
    assert held.run("close-all", "--yes").code == 0
    (spy,) = {row["con_id"] for row in held.sql("SELECT con_id FROM orders WHERE leg = 'SPY'")}
    held.sim.control.script([fault("foreign_position", side="BUY", quantity=10, con_id=spy)])
    held.at("16:06")
    done = held.run("settle")
    assert (done.code, "10 long SPY calls after the close" in done.err) == (6, True), done.err
    assert untold(held) == []
    rewrite(held, LAST_RUN_WAS_GOOD, "UPDATE matters SET resolved_at = since")
    assert [found.partition(", and")[0] for found in untold(held)] == ["exit 0 after the close"]
    tomorrow(held)
    assert ["SPY shares" in found for found in untold(held)] == [True]


def test_what_a_human_acknowledged_excuses_its_own_trade_alone(held):
    (spx,) = held.sql("SELECT con_id FROM orders WHERE leg = 'SPX'")
    held.sim.control.script([fault("foreign_position", side="BUY", quantity=1, con_id=spx["con_id"])])
    assert held.run("monitor").code == 6
    rewrite(held, LAST_RUN_WAS_GOOD, "UPDATE matters SET acknowledged_at = since")
    assert untold(held) == []
    rewrite(held, "UPDATE matters SET trade_id = 2")
    assert len(untold(held)) == 1
