"""Figures of the project: `make bench`. Ratios against a bare script of the same run: machines are noisy."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from spxarb.broker.broker import Endpoint, connect
from spxarb.core.model import NEW_YORK, Contract, LegName, OrderTicket, Side, TradeStatus
from spxarb.core.records import OrderRecord, Purpose, Trade
from spxarb.ledger.ledger import Ledger
from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    from pathlib import Path

DAY = date(2026, 2, 10)
BARE = """
import ib_insync
ib = ib_insync.IB()
ib.connect("127.0.0.1", {port}, clientId={client})
ib.positions()
ib.disconnect()
"""
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


def command(config: Path, *words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "spxarb", "--config", str(config), *words, "--json"],
        check=True,
        capture_output=True,
    )


@pytest.mark.benchmark(group="a process that connects, against a bare script")
def test_a_bare_ib_insync_script(benchmark, sim):
    def bare() -> None:
        text = BARE.format(port=sim.port, client=next(_clients))
        subprocess.run([sys.executable, "-c", text], check=True, capture_output=True)

    benchmark.pedantic(bare, rounds=8, warmup_rounds=1)


@pytest.mark.benchmark(group="a process that connects, against a bare script")
def test_status(benchmark, config):
    benchmark.pedantic(lambda: command(config, "status"), rounds=8, warmup_rounds=1)


@pytest.mark.benchmark(group="a process that connects, against a bare script")
def test_enter_dry_run(benchmark, config):
    benchmark.pedantic(lambda: command(config, "enter", "--dry-run"), rounds=8, warmup_rounds=1)


@pytest.mark.benchmark(group="a process that does not connect")
def test_a_bare_interpreter(benchmark):
    benchmark.pedantic(
        lambda: subprocess.run([sys.executable, "-c", "pass"], check=True), rounds=8, warmup_rounds=1
    )


@pytest.mark.benchmark(group="a process that does not connect")
def test_monitor_with_nothing_open(benchmark, config):
    benchmark.pedantic(lambda: command(config, "monitor"), rounds=8, warmup_rounds=1)


@pytest.mark.benchmark(group="a process that does not connect")
def test_help(benchmark):
    words = [sys.executable, "-m", "spxarb", "--help"]

    def run() -> None:
        subprocess.run(words, check=True, capture_output=True)

    benchmark.pedantic(run, rounds=8, warmup_rounds=1)


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
        trade = store.trades.create(Trade(0, DAY, TradeStatus.PENDING, "SIM1", call, call, 1, 10))

        def intend() -> None:
            number = next(numbers)
            ticket = OrderTicket(f"spxarb:{store.tag}:1:SPY:e{number}", call, Side.SELL, 10, Decimal("3.02"))
            now = datetime(2026, 2, 10, 9, 35, tzinfo=NEW_YORK)
            store.orders.intend(
                OrderRecord(ticket, trade.id, LegName.SPY, Purpose.ENTRY, number, 1, number, now)
            )

        benchmark.pedantic(intend, rounds=200, warmup_rounds=5)
