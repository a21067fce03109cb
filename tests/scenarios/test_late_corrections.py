"""The exchange takes a sale back after the trade was closed: the calls bought back are held, and a job sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from actions import enter, playing, settings
from harness import fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

SOLD = {"message": "execution", "symbol": "SPY", "side": "SELL"}


@pytest.fixture
def held(tmp_path) -> Iterator[Stage]:
    """One spread, entered at 09:35, held at 11:00."""
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1)
        enter(stage)
        stage.at("11:00")
        yield stage


def bust(stage: Stage, nth: int = 1) -> None:
    """The sale is taken back when the broker tells of it for the n-th time."""
    stage.sim.control.script([fault("bust", when=SOLD | {"nth": nth}, listed="corrected")])


def calls(stage: Stage) -> dict[str, float]:
    return {name: quantity for (name, _), quantity in stage.positions().items()}


@pytest.mark.parametrize(
    "nth", [1, 4, 5], ids=["before its orders", "at its last look", "after its last look"]
)
def test_a_bust_while_close_all_works_is_no_flat_account_and_the_next_monitor_sells_what_is_left(held, nth):
    """Whenever it is heard, also when every figure of the trade was written already."""
    bust(held, nth)
    done = held.run("close-all", "--yes")
    held.sim.control.script()
    assert (calls(held), done.code, done["flat"]) == ({"SPY": 10}, 6, False), done.err
    held.at("11:05")
    held.run("monitor")
    assert calls(held) == {}
    assert held.sql("SELECT state, final_pnl IS NULL AS unknown FROM trades") == [
        {"state": "closed", "unknown": 0}
    ]


def test_a_bust_after_the_trade_was_closed_is_seen_by_the_monitors_that_follow(held):
    """Nothing is open, no job works; the day's own trades are looked at again all the same."""
    assert held.run("close-all", "--yes").code == 0
    held.at("11:40")
    bust(held)
    held.run("status")  # its question for executions sets the correction off
    held.sim.control.script()
    assert calls(held) == {"SPY": 10}
    held.at("11:45")
    done = held.run("monitor")
    assert calls(held) == {}, done.err
    assert [position["action"] for position in done["positions"]] == ["closed"]


def test_a_bust_after_the_last_monitor_is_seen_by_settle_and_needs_a_human(held):
    assert held.run("close-all", "--yes").code == 0
    held.at("15:58")
    assert held.run("monitor").code == 0
    held.at("16:01")
    bust(held)
    held.run("status")
    held.sim.control.script()
    held.at("16:06")
    done = held.run("settle")
    assert (done.code, calls(held)) == (6, {"SPY": 10}), done.out
    assert "still shows 10 long SPY calls" in done["error"]
