"""The schedule as a contract: what happens when a timer fires twice, late, on a holiday, after a sleep or a reboot."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from actions import check_of, enter, failed, held_terminal, live_orders, playing, settings, wait_until
from crash import broken_laws
from harness import Stage, fault, read_object

from spxarb.core.model import NEW_YORK
from spxarb.core.sessions import previous_trading_day
from spxarb.sim.control import RunningSim
from spxarb.trading.market_calendar import closures

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60
SPX_WAITS = [fault("hold_fills", when={"symbol": "SPX"}, lasts="always")]
"""The SPX order of the entry rests until the script is taken away."""


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        made.settings["trading"] = {"max_spreads_per_day": 1, "min_entry_credit": 200}
        made.write_config()
        yield made


def ended(process: subprocess.Popen[str]) -> dict:
    out, err = process.communicate(timeout=SECONDS)
    assert out, err
    return read_object(out)


def runs(stage: Stage) -> list[tuple[str, int]]:
    return [
        (row["command"], row["exit_code"])
        for row in stage.sql("SELECT command, exit_code FROM runs ORDER BY id")
    ]


def entry_that_waits(stage: Stage) -> subprocess.Popen[str]:
    stage.sim.control.script(SPX_WAITS)
    process = stage.start("enter")
    wait_until(lambda: any(":SPX:e1" in ref for ref in live_orders(stage)), SECONDS)
    return process


def fill(stage: Stage) -> None:
    stage.sim.control.script()
    stage.sim.control.advance(1)


# --- twice, and one over the other ------------------------------------------------------------------


def test_two_monitors_of_one_second_exit_a_spread_once(stage):
    cash = stage.cash()
    enter(stage)
    stage.at("15:45")
    jobs = [ended(process) for process in (stage.start("monitor"), stage.start("monitor"))]
    assert [job["exit_code"] for job in jobs] == [0, 0]
    actions = [position["action"] for job in jobs for position in job["positions"]]
    assert actions.count("closed") == 1
    assert stage.positions() == {}
    assert broken_laws(stage, cash) == []


def test_a_monitor_that_fires_while_enter_works_runs_after_it_and_sees_the_whole_spread(stage):
    settings(stage, order_timeout_seconds=4)
    first = entry_that_waits(stage)
    second = stage.start("monitor")
    wait_until(lambda: ("monitor", None) in runs(stage), SECONDS)
    assert (first.poll(), second.poll()) == (None, None)
    fill(stage)
    assert ended(first)["outcome"] == "entered"
    looked = ended(second)
    assert (looked["exit_code"], [p["action"] for p in looked["positions"]]) == (0, ["held"])


# --- late, asleep ----------------------------------------------------------------------------------


def test_a_machine_that_slept_over_the_start_enters_at_the_next_firing_in_the_window(tmp_path):
    """Asleep at 9:35, awake at 9:52: the firing of 9:55 is in the window."""
    with playing(tmp_path, at="09:55") as stage:
        settings(stage, min_entry_credit=200)
        assert enter(stage)["outcome"] == "entered"


@pytest.mark.parametrize("clock", ["10:07", "10:20"])
def test_an_enter_that_fires_after_the_window_does_nothing_and_says_why(stage, clock):
    stage.at(clock)
    done = stage.run("enter")
    assert (done.code, done["outcome"], stage.positions()) == (0, "skipped", {})
    assert "time_window" in failed(done)


def test_a_monitor_that_comes_late_exits_at_once_and_tells_which_runs_are_missing(stage):
    """The last one at 15:38, the next at 15:58: 13 minutes after the exit was due."""
    cash = stage.cash()
    enter(stage)
    stage.at("15:38")
    assert stage.run("monitor")["positions"][0]["action"] == "held"
    stage.at("15:58")
    done = stage.run("monitor")
    assert (done.code, done["positions"][0]["exit_reason"], stage.positions()) == (0, "TIME", {}), done.err
    late = [gap for gap in done["missing_runs"] if gap["command"] == "monitor"]
    assert late[-1]["last"][11:16] == "15:53"
    assert broken_laws(stage, cash) == []


# --- days without a session, and after the close of a half-day --------------------------------------


@pytest.mark.parametrize(("day", "clock"), [("2026-02-16", "09:35"), ("2026-02-14", "09:35")])
def test_on_a_day_without_a_session_every_timer_is_exit_0_and_trades_nothing(tmp_path, day, clock):
    with RunningSim(date="2026-02-13", regime="rich-spy", at="16:30", speed=0) as sim:
        stage = Stage(tmp_path, sim)
        stage.write_config()
        now = stage.sim.control.time()
        wanted = now.fromisoformat(f"{day}T{clock}").replace(tzinfo=now.tzinfo)
        sim.control.set_time(wanted)
        for verb in ("monitor", "enter", "settle"):
            done = stage.run(verb)
            assert done.code == 0, (verb, done.err)
        assert sim.control.book()["orders"] == []
        assert stage.sql("SELECT date FROM daily_summary WHERE date = ?", day) == []
        assert stage.run("watchdog").code == 0


def test_on_a_half_day_the_firings_after_its_close_find_nothing_to_do(tmp_path):
    with playing(tmp_path, date="2026-11-27") as stage:
        enter(stage)
        stage.at("12:45")
        assert stage.run("monitor")["positions"][0]["exit_reason"] == "TIME"
        stage.at("13:05")
        assert stage.run("settle").code == 0
        orders = stage.sim.control.book()["orders"]
        (summary,) = stage.sql("SELECT * FROM daily_summary")
        stage.at("15:45")
        for verb in ("monitor", "enter"):
            assert stage.run(verb).code == 0
        stage.at("16:05")
        assert stage.run("settle").code == 0
        assert stage.sim.control.book()["orders"] == orders
        assert stage.sql("SELECT * FROM daily_summary") == [summary]


# --- clocks that jump ------------------------------------------------------------------------------


def test_a_clock_that_jumps_back_into_the_window_after_an_entry_enters_no_second_time(stage):
    stage.at("09:50")
    enter(stage)
    stage.at("10:05")
    stage.sim.control.script([fault("clock_off", seconds=-1500, lasts="always")])
    done = stage.run("enter")
    assert (done.code, done["outcome"]) == (0, "skipped"), done.err
    assert check_of(done, "time_window")["ok"] is True
    assert "max_trades" in failed(done)
    assert sorted(stage.positions().values()) == [-10, 1]
    assert stage.run("monitor").code == 0


def test_a_clock_that_jumps_forwards_over_the_exit_leaves_spy_and_settles_spx(stage):
    """From 9:35 to 16:05: SPX trades no more, SPY does. Its calls are gone, and SPX is left to cash settlement."""
    enter(stage)
    stage.at("16:05")
    done = stage.run("monitor")
    (position,) = done["positions"]
    assert (done.code, position["exit_reason"], position["residual"]) == (0, "EXPIRATION", ["SPX"]), done.err
    assert not [quantity for quantity in stage.positions().values() if quantity < 0]
    settled = stage.run("settle")
    assert (settled.code, settled["provisional"]) == (0, True)
    assert stage.sql("SELECT status FROM trades") == [{"status": "CLOSED"}]


def test_a_step_of_half_a_minute_against_the_gateways_clock_stops_an_entry_and_no_exit(tmp_path):
    """In paper the clock is the machine's. The gateway's runs beside it, half a minute away, as after a step of NTP."""
    now = datetime.now(NEW_YORK)
    day = previous_trading_day(now.date() + timedelta(days=1), closed=closures(now.year, now.year - 1).closed)
    with playing(tmp_path, account="DU1234567", date=f"{day}", at="09:35") as stage:
        stage.write_config(trading={"mode": "paper"})
        off = (datetime.now(NEW_YORK) - stage.sim.control.time()).total_seconds() + 30
        stage.sim.control.speed(1)
        stage.sim.control.script([fault("clock_off", seconds=off, lasts="always")])
        done = stage.run("enter", "--dry-run")
        assert (done.code, stage.sim.control.book()["orders"]) == (5, []), done.err
        assert "s apart" in done.err
        assert stage.run("monitor").code == 0
        closer = [fault("clock_off", seconds=off - 30, lasts="always")]
        stage.sim.control.script(closer)
        assert stage.run("enter", "--dry-run").code == 0


# --- a reboot with an open position ----------------------------------------------------------------


def test_after_power_was_lost_amid_an_entry_the_next_monitor_mends_what_it_finds(stage):
    """The state folder as the disk has it: -wal and -shm, a lock that names a process of the last boot."""
    settings(stage, order_timeout_seconds=30)
    cash = stage.cash()
    entry = entry_that_waits(stage)
    entry.send_signal(signal.SIGSTOP)
    files = [*stage.folder.glob("trading.db*")]
    assert {"trading.db-wal", "trading.db-shm"} <= {file.name for file in files}
    after = stage.folder / "after"
    after.mkdir()
    for file in files:
        shutil.copy(file, after / file.name)
    entry.kill()
    entry.communicate()
    for file in files:
        file.unlink(missing_ok=True)
    for file in after.iterdir():
        shutil.copy(file, stage.folder / file.name)
    lock = stage.folder / "trading.db.lock"
    signed = json.loads(lock.read_text())
    lock.write_text(json.dumps({**signed, "pid": os.getpid()}))  # another process has that number by now
    began = time.monotonic()
    done = stage.run("monitor")
    assert done.code == 0, done.err
    assert time.monotonic() - began < 30
    assert live_orders(stage) == []
    assert stage.sql("SELECT status FROM trades") == [{"status": "CLOSED"}]
    fill(stage)
    assert stage.run("monitor").code == 0
    assert (stage.positions(), broken_laws(stage, cash)) == ({}, [])


def test_a_ledger_without_its_shared_memory_file_is_read_whole_after_a_reboot(stage):
    """-shm is memory, and need not survive: the rows of -wal are all there."""
    enter(stage)
    job = entry = stage.start("monitor")
    ended(job)
    for file in stage.folder.glob("trading.db-shm"):
        file.unlink()
    stage.at("15:45")
    assert (stage.run("monitor")["positions"][0]["exit_reason"], entry.returncode) == ("TIME", 0)


# --- what hangs beside a job -----------------------------------------------------------------------


def test_an_answer_that_nobody_takes_is_given_up_and_the_process_ends(stage):
    """A stopped terminal, or a full pipe, where stdout and stderr go: what was to be done is done, and then it ends."""
    enter(stage)
    stage.at("15:46")
    with held_terminal() as terminal:
        jobs = {
            verb: subprocess.Popen(
                stage.command(verb),
                stdout=terminal,
                stderr=terminal,
                cwd=stage.folder,
                env=stage.environment(),
            )
            for verb in ("monitor", "settle", "enter", "watchdog")
        }
        began = time.monotonic()
        codes = {verb: job.wait(SECONDS) for verb, job in jobs.items()}
        assert time.monotonic() - began < 40
    assert stage.positions() == {}
    assert ("monitor", 0) in runs(stage)
    assert codes["monitor"] == 1
    assert stage.run("monitor").code == 0
