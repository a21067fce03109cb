"""Ctrl-C, SIGTERM, SIGHUP: what was begun is undone or named, the run is closed, and the next command goes on."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from actions import enter, live_orders, lonely, playing, settings, wait_until
from harness import fault, read_object
from relay import listening, say_nothing

from spxarb.core.own_names import lock_of
from spxarb.lock import job_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

SECONDS = 30
"""A quarter of what these stages let an order work: who waited for it would be too late."""
SPY_HELD = fault("hold_fills", when={"order_ref": "spxarb:*:SPY:e1"}, lasts=600)
TERM, HUP, INT = signal.SIGTERM, signal.SIGHUP, signal.SIGINT


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        made.write_config(
            trading={"max_spreads_per_day": 1},
            execution={"order_timeout_seconds": 120, "exit_rung_seconds": 120, "broker_side_failsafe": False},
        )
        yield made


def ended(job: subprocess.Popen[str], *words: str) -> dict:
    """One line on stderr with these words, a whole object with the process's own code, a run that is closed."""
    out, err = job.communicate(timeout=SECONDS)
    assert (err.count("\n"), "Traceback" in err) == (1, False), err
    for word in words:
        assert word in err, err
    done = read_object(out)
    assert done["exit_code"] == job.returncode, (done, err)
    return done


def last_run(stage: Stage) -> dict:
    (row,) = stage.sql("SELECT exit_code, ended_at IS NOT NULL AS ended FROM runs ORDER BY id DESC LIMIT 1")
    return row


def working(stage: Stage, *words: str, order: str) -> subprocess.Popen[str]:
    """The command, started, with that order of it resting at the broker."""
    job = stage.start(*words)
    wait_until(lambda: any(order in ref for ref in live_orders(stage)) or job.poll() is not None)
    assert job.poll() is None, job.communicate()
    return job


@pytest.mark.parametrize("number", [TERM, HUP, INT])
def test_an_entry_whose_spy_is_not_sold_yet_is_undone(stage, number):
    stage.sim.control.script([SPY_HELD])
    job = working(stage, "enter", order=":SPY:e1")
    assert stage.positions() == {("SPXW", stage.sql("SELECT spx_strike FROM trades")[0]["spx_strike"]): 1}
    job.send_signal(number)
    done = ended(job, "interrupted by", "nothing is half done")
    assert (done["exit_code"], done["outcome"]) == (6, "aborted")
    assert (stage.positions(), live_orders(stage)) == ({}, [])
    assert stage.sql("SELECT status, exit_reason FROM trades") == [
        {"status": "CLOSED", "exit_reason": "ENTRY_UNWOUND"}
    ]
    assert last_run(stage) == {"exit_code": 6, "ended": 1}
    assert stage.run("monitor").code == 0


def test_an_entry_of_which_nothing_is_filled_yet_is_withdrawn(stage):
    stage.sim.control.script([fault("hold_fills", lasts="always")])
    job = working(stage, "enter", order=":SPX:e1")
    job.send_signal(TERM)
    done = ended(job, "interrupted by SIGTERM")
    assert (done["exit_code"], done["outcome"], live_orders(stage)) == (6, "aborted", [])
    assert stage.run("status", "--offline")["positions"] == []


def test_a_second_signal_ends_an_entry_that_cannot_be_undone_and_names_what_is_begun(stage):
    stage.sim.control.script([SPY_HELD])
    job = working(stage, "enter", order=":SPY:e1")
    stage.sim.control.script([fault("hold_fills", lasts="always")])
    job.send_signal(TERM)
    wait_until(lambda: any(":SPX:u1" in ref for ref in live_orders(stage)))
    job.send_signal(TERM)
    done = ended(job, "interrupted by SIGTERM: trade 1 may be half open", ":SPX:u1", "spxarb monitor")
    assert done["exit_code"] == 6
    assert last_run(stage) == {"exit_code": 6, "ended": 1}
    stage.sim.control.script([])
    stage.write_config(execution={"order_timeout_seconds": 1})
    assert stage.run("monitor").code == 0
    assert stage.positions() == {}


@pytest.mark.parametrize("signals", [1, 2, 3])
@pytest.mark.parametrize("verb", [("monitor",), ("close-all", "--yes")], ids=" ".join)
def test_an_exit_is_ended_at_once_named_and_finished_by_the_next_monitor(stage, verb, signals):
    """Its orders stay where they are: buying SPY back is what is wanted."""
    enter(stage)
    stage.sim.control.script([fault("hold_fills", lasts="always")])
    stage.at("15:45")
    job = working(stage, *verb, order=":SPY:x1")
    for _ in range(signals):
        job.send_signal(TERM)
    done = ended(job, "interrupted by SIGTERM: the exit of trade 1 is not complete", ":SPY:x1")
    assert done["exit_code"] == 6
    assert last_run(stage) == {"exit_code": 6, "ended": 1}
    stage.sim.control.script([])
    stage.write_config(execution={"order_timeout_seconds": 1, "exit_rung_seconds": 0.5})
    assert stage.run("monitor").code == 0
    assert stage.positions() == {}
    assert stage.sql("SELECT status FROM trades") == [{"status": "CLOSED"}]


@pytest.mark.parametrize("number", [TERM, HUP, INT])
@pytest.mark.parametrize("verb", ["enter", "monitor", "settle", "status"])
def test_before_anything_is_sent_it_is_the_shells_own_code(tmp_path, verb, number):
    with listening(say_nothing) as (port, seen):
        alone = lonely(tmp_path, port, "sim")
        alone.write_config(trading={"mode": "sim"}, execution={"connect_timeout_seconds": 30})
        job = alone.start(verb)
        wait_until(lambda: bool(seen))
        job.send_signal(number)
        done = ended(job, f"spxarb {verb}: interrupted by", "nothing is at risk")
    assert done["exit_code"] == 128 + number
    if verb == "status":  # it only reads
        assert not alone.database.exists()
    else:
        assert last_run(alone) == {"exit_code": 128 + number, "ended": 1}


def test_while_it_waits_for_the_lock(stage):
    with job_lock(lock_of(stage.database), command="spxarb enter", timeout=1):
        job = stage.start("monitor")
        wait_until(stage.database.exists)
        time.sleep(1)
        job.send_signal(TERM)
        done = ended(job, "spxarb monitor: interrupted by SIGTERM", "nothing is at risk")
    assert done["exit_code"] == 143
    assert last_run(stage) == {"exit_code": 143, "ended": 1}


@pytest.mark.parametrize(("verb", "clock"), [(("monitor",), "15:45"), (("close-all", "--yes"), "11:00")])
def test_an_exit_that_is_due_is_a_human_matter_though_nothing_was_sent(stage, verb, clock):
    enter(stage)
    stage.at(clock)
    assert stage.run("enter", "--dry-run").code == 0  # the ledger knows the time
    with listening(say_nothing) as (port, seen):
        stage.write_config(ib={"port": port}, execution={"connect_timeout_seconds": 30})
        job = stage.start(*verb)
        wait_until(lambda: bool(seen))
        job.send_signal(TERM)
        done = ended(job, "interrupted by SIGTERM", "trade 1")
    assert done["exit_code"] == 6
    assert last_run(stage) == {"exit_code": 6, "ended": 1}


def test_a_command_without_a_ledger_yet_ends_with_a_line_too(tmp_path):
    """`close-all` asks first; nobody has answered yet."""
    with listening(say_nothing) as (port, _):
        alone = lonely(tmp_path, port, "sim")
        settings(alone)
        job = subprocess.Popen(
            [*alone.command("enter")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=alone.folder, env=alone.environment(),
        )  # fmt: skip
        wait_until(alone.database.exists)
        job.send_signal(TERM)
        out, err = job.communicate(timeout=SECONDS)
    assert job.returncode == 143
    assert err.count("\n") == 1
    assert read_object(out)["exit_code"] == 143


def test_a_close_all_that_ends_an_enter_finds_its_run_closed_and_mends_the_rest(stage):
    """The flag of `close-all` has asked already: SIGTERM after that ends the enter within its grace."""
    stage.sim.control.script([SPY_HELD])
    job = working(stage, "enter", order=":SPY:e1")
    stage.sim.control.script([fault("hold_fills", lasts="always")])
    assert stage.run("stop").code == 0
    wait_until(lambda: any(":SPX:u1" in ref for ref in live_orders(stage)))
    job.send_signal(TERM)
    done = ended(job, "interrupted by SIGTERM: trade 1 may be half open")
    assert done["exit_code"] == 6
