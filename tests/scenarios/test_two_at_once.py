"""Two jobs at once: one writer, bounded waiting, and the panic verbs get through."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from crash import broken_laws
from harness import Stage, read_object
from ib_insync import IB, LimitOrder, Option

from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with RunningSim(date="2026-02-10", regime="rich-spy", at="09:35", speed=0) as sim:
        made = Stage(tmp_path, sim)
        made.settings["trading"] = {"mode": "sim", "max_spreads_per_day": 1}
        made.settings["execution"] = {"order_timeout_seconds": 30, "exit_rung_seconds": 0.5}
        made.write_config()
        yield made


def ended(process: subprocess.Popen[str]) -> dict:
    out, err = process.communicate(timeout=SECONDS)
    assert out, err
    return read_object(out)


def take_the_whole_offer(stage: Stage, symbol: str, strike: float, trading_class: str) -> None:
    """Another client buys all that is displayed: for this second of the market nobody offers any more."""

    async def buy() -> None:
        ib = IB()
        await ib.connectAsync("127.0.0.1", stage.sim.port, clientId=77)
        call = Option(symbol, "20260210", strike, "C", "SMART", "100", "USD", tradingClass=trading_class)
        await ib.qualifyContractsAsync(call)
        ticker = ib.reqMktData(call)
        while not ticker.ask > 0 or not ticker.askSize > 0:  # noqa: ASYNC110 -- the library's own state
            await asyncio.sleep(0.01)
        trade = ib.placeOrder(
            call, LimitOrder("BUY", ticker.askSize, ticker.ask, account="SIM0000001", tif="DAY")
        )
        while not trade.isDone():  # noqa: ASYNC110 -- likewise
            await asyncio.sleep(0.01)
        ib.disconnect()

    asyncio.run(asyncio.wait_for(buy(), 20))


def spx_strike(stage: Stage) -> float:
    seen = stage.run("enter", "--dry-run")
    return next(leg["strike"] for leg in seen["legs"] if leg["symbol"] == "SPX")


def an_enter_that_waits_for_its_fill(stage: Stage) -> subprocess.Popen[str]:
    """`enter`, started, with its SPX order resting at the broker."""
    take_the_whole_offer(stage, "SPX", spx_strike(stage), "SPXW")
    process = stage.start("enter")
    limit = time.monotonic() + SECONDS
    while not [o for o in stage.sim.control.book()["orders"] if ":SPX:e1" in o["order_ref"]]:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.02)
    return process


def ours(stage: Stage) -> list[dict]:
    return [fill for fill in stage.sim.control.book()["fills"] if fill["order_ref"].startswith("spxarb:")]


def test_two_enters_at_once_open_one_spread_where_one_is_allowed(stage):
    cash = stage.cash()
    first, second = stage.start("enter"), stage.start("enter")
    outcomes = sorted(ended(process)["outcome"] for process in (first, second))
    assert outcomes == ["entered", "skipped"]
    assert sorted(stage.positions().values()) == [-10, 1]
    assert broken_laws(stage, cash) == []


def test_an_enter_and_a_monitor_of_the_same_second_both_do_their_job(stage):
    cash = stage.cash()
    jobs = [stage.start("enter"), stage.start("monitor")]
    assert [ended(process)["exit_code"] for process in jobs] == [0, 0]
    assert broken_laws(stage, cash) == []


@pytest.mark.parametrize("words", [("stop", "--reason", "enough"), ("close-all", "--yes")])
def test_a_panic_verb_gets_through_while_an_enter_works_its_order(stage, words):
    enter = an_enter_that_waits_for_its_fill(stage)
    began = time.monotonic()
    done = stage.run(*words)
    assert done.code == 0, done.err
    entered = ended(enter)
    assert time.monotonic() - began < 15
    assert (entered["outcome"], entered["exit_code"]) == ("aborted", 0)
    assert ours(stage) == []
    assert stage.sql("SELECT status, exit_reason, entry_credit FROM trades") == [
        {"status": "CLOSED", "exit_reason": "ENTRY_UNWOUND", "entry_credit": 0}
    ]
    assert stage.run("enter")["outcome"] == "skipped"


def test_close_all_ends_a_holder_that_hangs_and_mends_what_it_left(stage):
    enter = an_enter_that_waits_for_its_fill(stage)
    enter.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    done = stage.run("close-all", "--yes")
    assert done.code == 0, done.err
    assert time.monotonic() - began < 45
    assert enter.wait(timeout=SECONDS) in {-signal.SIGTERM, -signal.SIGKILL}
    enter.communicate()
    assert done["flat"] is True
    assert ours(stage) == []
    alive = {"Submitted", "PreSubmitted", "PendingSubmit"}
    assert not [o for o in stage.sim.control.book()["orders"] if o["status"] in alive]


def test_a_lock_left_by_a_dead_job_holds_nobody_up(stage):
    enter = an_enter_that_waits_for_its_fill(stage)
    enter.kill()
    enter.communicate()
    began = time.monotonic()
    done = stage.run("monitor")
    assert done.code == 0, done.err
    assert time.monotonic() - began < 20
    assert ours(stage) == []
    assert stage.sql("SELECT status FROM trades") == [{"status": "CLOSED"}]


HANGS_IN_A_WRITE = """
import sys, time
from pathlib import Path
from spxarb.core.own_names import lock_of
from spxarb.lock import job_lock
from spxarb.ledger.ledger import Ledger
path = Path(sys.argv[1])
with job_lock(lock_of(path), command="spxarb enter", timeout=5), Ledger.open(path, mode="sim") as store:
    with store.write():
        print("hangs", flush=True)
        time.sleep(600)
"""


def test_close_all_ends_a_holder_that_hangs_in_the_middle_of_a_write(stage):
    assert stage.run("enter")["outcome"] == "entered"
    words = [sys.executable, "-c", HANGS_IN_A_WRITE, str(stage.database)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "hangs\n"
        done = stage.run("close-all", "--yes")
        assert (done.code, done.json and done["flat"]) == (0, True), done.err
        assert holder.wait(timeout=SECONDS) == -signal.SIGTERM
    assert stage.positions() == {}
