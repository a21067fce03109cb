"""Whatever fails between the SPX fill and the SPY sale of an entry: SPY is never short alone, and a human hears."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from actions import enter, held_terminal, live_orders, playing, settings, wait_until
from harness import Done, fault
from sink import listening_sink
from test_exit_matrix import LEDGER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

SPX_WAITS = [fault("hold_fills", when={"symbol": "SPX"}, lasts="always")]
"""The SPX order of the entry rests until the script is taken away."""


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        made.settings["execution"] = {"order_timeout_seconds": 6, "quote_timeout_seconds": 1}
        made.settings["trading"] = {"max_spreads_per_day": 1}
        made.write_config()
        yield made


def calls(stage: Stage) -> dict[str, float]:
    return {name: quantity for (name, _), quantity in stage.positions().items()}


@contextmanager
def entering(stage: Stage, stderr: int = subprocess.PIPE, **env: str) -> Iterator[subprocess.Popen[str]]:
    """An `enter` whose SPX order rests at the broker inside the block, and fills after it."""
    stage.sim.control.script(SPX_WAITS)
    process = subprocess.Popen(
        stage.command("enter"), stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=stage.folder,
        env=stage.environment(**env),
    )  # fmt: skip
    wait_until(lambda: any(":SPX:e1" in ref for ref in live_orders(stage)))
    time.sleep(0.2)
    yield process
    stage.sim.control.script()
    stage.sim.control.advance(1)


@pytest.mark.parametrize("trouble", ["locked", "full"])
def test_a_ledger_that_takes_no_intent_amid_an_entry_sells_no_spy_and_the_next_run_undoes_spx(stage, trouble):
    """What cannot be recorded is not sent, the unwinding neither: one alarm, and one SPX call is held."""
    with listening_sink() as sink:
        with entering(stage, **sink.variables) as process:
            lasting = LEDGER[trouble](stage, process.pid)
            lasting.__enter__()
        try:
            out, err = process.communicate(timeout=90)
        finally:
            lasting.__exit__(None, None, None)
        done = Done(process.returncode, out, err)
        assert (done.code, len(sink.alerts), calls(stage)) == (6, 1, {"SPXW": 1}), err
        assert "Trade 1 may be half open" in sink.alerts[0]
    assert (stage.run("monitor").code, calls(stage)) == (0, {})
    assert stage.sql("SELECT state FROM trades") == [{"state": "unwound"}]


def test_a_terminal_that_is_held_amid_an_entry_leaves_no_leg_alone(stage):
    """Ctrl-S: stderr takes nothing more, and the log goes there too; SPY is sold at once all the same."""
    stage.write_config(logging={"console": True, "level": "DEBUG"})
    with held_terminal() as terminal:
        with entering(stage, stderr=terminal) as process:
            pass
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, calls(stage)) == (0, {"SPXW": 1, "SPY": -10}), out


def test_a_standard_output_that_takes_nothing_stands_in_no_orders_way(stage):
    """The answer cannot be printed: the entry is whole before that, and the lock is free for the next job."""
    assert stage.run("start").code == 0
    with held_terminal() as terminal:
        process = subprocess.Popen(
            stage.command("enter"),
            stdout=terminal,
            stderr=subprocess.DEVNULL,
            cwd=stage.folder,
            env=stage.environment(),
        )
        wait_until(
            lambda: stage.sql("SELECT 1 FROM runs WHERE command = 'enter' AND ended_at IS NOT NULL") != [], 60
        )
        assert calls(stage) == {"SPXW": 1, "SPY": -10}
        assert stage.run("monitor").code == 0
    process.wait(30)


@pytest.mark.parametrize(
    ("order", "at_once", "left"),
    [("SPX:e1", {"SPXW": 1}, {"SPXW": 1}), ("SPX:x1", {}, {}), ("SPY:x1", {"SPXW": 1}, {})],
)
def test_an_order_that_was_refused_and_is_held_all_the_same_is_neither_repeated_nor_followed(
    tmp_path, order, at_once, left
):
    """201 for it, and the position moves: no execution says so, so one job builds nothing on it; a human hears.

    SPX that is left alone is sold once a second job, a minute later, has missed the other leg.
    """
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1, broker_side_failsafe=False)
        if ":x" in order:
            enter(stage)
            stage.at("15:46")
        when = {"request": "place_order", "order_ref": f"spxarb:*:{order}"}
        stage.sim.control.script([fault("rejected_but_held", when=when)])
        done = stage.run("monitor" if ":x" in order else "enter")
        assert (done.code, calls(stage)) == (6, at_once), done.err
        stage.sim.control.script()
        stage.sim.control.advance(120)
        for verb in (("monitor",), ("close-all", "--yes")):
            done = stage.run(*verb)
            assert (done.code, calls(stage)) == (6, left), done.err
        assert done["flat"] is (left == {})
