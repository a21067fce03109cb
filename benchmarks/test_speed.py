"""Figures of the project: `make bench`. Ratios against bare programs of the same run: machines are noisy."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING

import pytest

from spxarb.broker.broker import Endpoint, connect
from spxarb.core.broker_books import OrderTicket
from spxarb.core.contracts import Contract
from spxarb.core.model import NEW_YORK, LegName, Side
from spxarb.core.order_words import Purpose
from spxarb.core.records import OrderRecord, Trade
from spxarb.core.trades import TradeState
from spxarb.ledger.ledger import Ledger
from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAY = date(2026, 2, 10)
ROUNDS = 15
PARSER = """
import typer
app = typer.Typer()
@app.command()
def main(name: str = "x") -> None:
    print(name)
app()
"""
CONNECTION = """
import ib_insync
ib = ib_insync.IB()
ib.connect("127.0.0.1", {port}, clientId={client})
ib.positions()
ib.disconnect()
"""
GOALS = (
    # command, against, at most so many times its CPU time, and its wall time
    ("--version", "one command of typer", 1.0, None),
    ("--help", "one command of typer", None, None),
    ("monitor", "one command of typer", 1.6, None),
    ("monitor --json", "one command of typer", 1.6, None),
    ("report", "one command of typer", 2.0, None),
    ("status --offline", "one command of typer", 2.0, None),
    ("enter --dry-run", "a bare ib_insync script", 1.5, 2.0),
    ("enter --dry-run --json", "a bare ib_insync script", 1.5, 2.0),
    ("status", "a bare ib_insync script", None, None),
)
_clients = itertools.count(50)


@pytest.fixture(scope="module")
def sim():
    with RunningSim(date=str(DAY), regime="rich-spy", at="09:35", speed=0) as running:
        yield running


@pytest.fixture
def config(sim, tmp_path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(
        f"ib: {{port: {sim.port}}}\ntrading: {{mode: sim}}\n"
        f"storage: {{database: {tmp_path / 'trading.db'}}}\nlogging: {{console: false}}\n"
    )
    return path


# --- processes: ratios of medians, all of them in turn so that a busy moment meets each ----------------


@dataclass
class Timed:
    """A program as it was timed: CPU seconds of the process, user and system, and wall seconds."""

    words: Callable[[], list[str]]
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def run(self, environment: dict[str, str]) -> None:
        began = time.perf_counter()
        process = subprocess.Popen(
            self.words(), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, self.words()
        self.wall.append(time.perf_counter() - began)
        self.cpu.append(usage.ru_utime + usage.ru_stime)


def programs(sim: RunningSim, folder: Path) -> dict[str, Timed]:
    parser = folder / "parser.py"
    parser.write_text(PARSER)

    def connection() -> list[str]:
        return [sys.executable, "-c", CONNECTION.format(port=sim.port, client=next(_clients))]

    bare = {
        "one command of typer": Timed(lambda: [sys.executable, str(parser)]),
        "a bare ib_insync script": Timed(connection),
    }

    def spxarb(words: str) -> Timed:
        return Timed(lambda: [sys.executable, "-m", "spxarb", *words.split()])

    return bare | {name: spxarb(name) for name, *_ in GOALS}


def table(timed: dict[str, Timed]) -> Iterator[str]:
    yield f"{'':26}{'CPU ms':>8}{'wall ms':>9}{'CPU x':>8}{'goal':>6}{'wall x':>8}{'goal':>6}"
    for name in ("one command of typer", "a bare ib_insync script"):
        yield f"{name:26}{median(timed[name].cpu) * 1000:8.0f}{median(timed[name].wall) * 1000:9.0f}"
    for name, against, *goals in GOALS:
        line = f"{name:26}{median(timed[name].cpu) * 1000:8.0f}{median(timed[name].wall) * 1000:9.0f}"
        ratios = (
            median(timed[name].cpu) / median(timed[against].cpu),
            median(timed[name].wall) / median(timed[against].wall),
        )
        for ratio, goal in zip(ratios, goals, strict=True):
            line += f"{ratio:8.2f}{goal or '':>6}"
        yield f"{line}  of {against}"


@pytest.mark.timeout(600)
def test_processes_against_bare_programs(sim, config, tmp_path, capsys):
    """A report and no claim: other work of the machine would decide it."""
    timed = programs(sim, tmp_path)
    environment = {**os.environ, "SPXARB_CONFIG": str(config)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # the first round, which is not counted, compiles
    for _ in range(ROUNDS + 1):
        for program in timed.values():
            program.run(environment)
    for program in timed.values():
        del program.cpu[0], program.wall[0]
    with capsys.disabled():
        print("", *table(timed), sep="\n")


# --- within one process ---------------------------------------------------------------------------------


@pytest.mark.benchmark(group="one connection with all books")
def test_connect_and_ask_for_the_books(benchmark, sim):
    async def once() -> None:
        endpoint = Endpoint("127.0.0.1", sim.port, next(_clients), None, "sim")
        async with connect(endpoint):
            pass

    benchmark.pedantic(lambda: asyncio.run(once()), rounds=20, warmup_rounds=2)


@pytest.mark.benchmark(group="the ledger")
def test_an_intent_on_disk(benchmark, tmp_path):
    call = Contract(1, "SPY", "OPT", expiry=DAY, strike=Decimal(665), right="C", multiplier=100)
    numbers = itertools.count(1)
    with Ledger.open(tmp_path / "trading.db", mode="sim") as store:
        trade = store.trades.create(Trade(0, DAY, TradeState.ENTERING, "SIM1", call, call, 1, 10))

        def intend() -> None:
            number = next(numbers)
            ticket = OrderTicket(f"spxarb:{store.tag}:1:SPY:e{number}", call, Side.SELL, 10, Decimal("3.02"))
            now = datetime(2026, 2, 10, 9, 35, tzinfo=NEW_YORK)
            store.orders.intend(
                OrderRecord(ticket, trade.id, LegName.SPY, Purpose.ENTRY, number, 1, number, now)
            )

        benchmark.pedantic(intend, rounds=200, warmup_rounds=5)
