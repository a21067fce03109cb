"""Figures of the simulated gateway: `make bench`. Each goal stands beside its figure and is held to."""

from __future__ import annotations

import asyncio
import csv
import itertools
import socket
import threading
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from spxarb.core.model import NEW_YORK
from spxarb.sim.api.wire import frame, frames_in, prefixed
from spxarb.sim.control import RunningSim
from spxarb.sim.market.instruments import SPX_ID, Instrument, option
from spxarb.sim.market.market import SyntheticDay
from spxarb.sim.market.recorded import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DAY = date(2026, 2, 10)
OPEN = datetime(2026, 2, 10, 9, 30, tzinfo=NEW_YORK)
MINUTES, LINES = 390, 60
CONNECT_SECONDS = 0.010
UPDATES_A_SECOND = 20_000
MEGABYTES = 150
DAY_SECONDS = 10.0
_clients = itertools.count(50)


class Listener:
    """A client that asks for lines and takes whatever comes, without understanding it: it costs nothing."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._heard = bytearray()
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self._socket.sendall(b"API\0" + prefixed(b"v157..176"))
        self._wait(b"\0")
        self._socket.sendall(frame(71, 2, next(_clients), ""))
        self.settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while data := self._socket.recv(1 << 20):
            with self._news:
                self._heard += data
                self._news.notify()

    def _wait(self, text: bytes, since: int = 0) -> None:
        with self._news:
            assert self._news.wait_for(lambda: text in self._heard[since:], 30)

    def settle(self) -> None:
        """Return once everything that was sent before has arrived."""
        since = len(self._heard)
        self._socket.sendall(frame(49, 1))
        self._wait(frame(49, 1, 0)[4:8], since)

    def watch(self, instruments: Sequence[Instrument]) -> None:
        for number, item in enumerate(instruments, 1):
            wanted = (item.con_id, "", "", "", 0.0, "", "", "SMART", "", "USD", "", "")
            self._socket.sendall(frame(1, 11, number, *wanted, 0, "", 0, 0, ""))
        self.settle()

    def take(self) -> int:
        """The number of ticks since the last call."""
        heard, self._heard = bytes(self._heard), bytearray()
        return sum(fields[0] in {"1", "2", "21", "45", "46"} for fields in frames_in(heard))


def around_the_money(spx: float) -> list[Instrument]:
    level = 5 * round(spx / 5)
    strikes = range(level - 5 * LINES // 4, level + 5 * LINES // 4, 5)
    return [option("SPXW", DAY, float(strike), right) for strike in strikes for right in ("C", "P")]


def megabytes(sim: RunningSim) -> float:
    """Resident memory of the gateway's process."""
    assert sim._process is not None  # noqa: SLF001 -- nobody else needs its number
    status = Path(f"/proc/{sim._process.pid}/status").read_text()  # noqa: SLF001
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


@pytest.fixture
def sim() -> Iterator[RunningSim]:
    with RunningSim(date=str(DAY), regime="rich-spy", at="09:30", speed=0) as running:
        yield running


@pytest.fixture(scope="module")
def day_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic day as a recorded one: 60 options, the index and the fund, every minute."""
    market, path = SyntheticDay(DAY, regime="rich-spy"), tmp_path_factory.mktemp("days") / "day.csv"
    chain = around_the_money(market.quote(SPX_ID, OPEN).last or 0)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for minute in range(MINUTES):
            moment = OPEN + timedelta(minutes=minute)
            for item in (*market.instruments()[:2], *chain):
                quote = market.quote(item.con_id, moment)
                terms = (item.expiry, item.strike, item.right) if item.expiry else ("", "", "")
                kind = "opt" if item.expiry else "und"
                rows.writerow((moment, kind, item.symbol, *terms, quote.bid, quote.ask, quote.last, "x"))
    return path


@pytest.mark.benchmark(group="gateway: a client of ib_insync connects, in full")
def test_connecting(benchmark, sim):
    from spxarb.broker.broker import Broker  # noqa: F401, PLC0415 -- it imports ib_insync with an event loop

    async def once() -> None:
        import ib_insync  # noqa: PLC0415

        ib = ib_insync.IB()
        await ib.connectAsync("127.0.0.1", sim.port, clientId=next(_clients), timeout=5)
        ib.disconnect()

    with asyncio.Runner() as runner:
        benchmark.pedantic(lambda: runner.run(once()), rounds=50, warmup_rounds=5)
    assert benchmark.stats.stats.median < CONNECT_SECONDS


@pytest.fixture
def listener(sim) -> Iterator[Listener]:
    """Sixty lines of options around the money, streaming."""
    with Listener(sim.port) as made:
        made.watch(around_the_money(sim.control.quote(SPX_ID)["last"]))
        made.take()
        yield made


@pytest.mark.benchmark(group="gateway: 10 minutes in steps of a second, 60 lines streaming")
def test_quote_updates(benchmark, sim, listener):
    moments = (OPEN + timedelta(seconds=second) for second in itertools.count(1))

    def ten_minutes() -> None:
        for moment in itertools.islice(moments, 600):
            sim.control.set_time(moment)
        listener.settle()

    benchmark.pedantic(ten_minutes, rounds=5)
    rate = listener.take() / benchmark.stats.stats.total
    benchmark.extra_info["updates a second"] = round(rate)
    assert rate > UPDATES_A_SECOND


@pytest.mark.parametrize("seconds", [60, 10])
@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "synthetic"])
@pytest.mark.benchmark(group="gateway: a whole day in steps of so many seconds, 60 lines streaming")
def test_a_whole_day(benchmark, day_file, recorded, seconds):
    played = {"day": day_file} if recorded else {"date": str(DAY), "regime": "rich-spy"}
    with RunningSim(**played, at="09:30", speed=0) as sim, Listener(sim.port) as listener:
        listener.watch(around_the_money(sim.control.quote(SPX_ID)["last"]))

        def whole_day() -> None:
            for second in range(seconds, MINUTES * 60 + 1, seconds):
                sim.control.set_time(OPEN + timedelta(seconds=second))
            listener.settle()

        benchmark.pedantic(whole_day, rounds=1)
        used = megabytes(sim)
        benchmark.extra_info |= {"megabytes": round(used), "ticks": listener.take()}
    assert used < MEGABYTES
    assert benchmark.stats.stats.max < DAY_SECONDS * 60 / seconds
