"""The simulated gateway on loopback sockets: clients on one port, its control on another, one clock.

Only this file knows asyncio. A client's bytes go through its `Session`; after every step all sessions are
written to, because one client's order may concern another.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import signal
import time
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from spxarb.sim.controller import Controller
from spxarb.sim.exchange.exchange import Exchange
from spxarb.sim.faults.file import read_file
from spxarb.sim.gateway import Gateway
from spxarb.sim.market.recorded import RecordedDay
from spxarb.sim.market.regimes import REGIMES
from spxarb.sim.market.trading_days import NEW_YORK, is_open, next_day
from spxarb.sim.token import forget, keep, new_token

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spxarb.sim.api.session import Session
    from spxarb.sim.market.instruments import Market

TICK_SECONDS = 0.25
"""How often a running clock moves the market, machine seconds."""
MAX_SPEED = 100_000.0
READ_BYTES = 1 << 16
MAX_LINE = 1 << 20
MAX_CLIENTS = 32
"""Clients at once, as the real Gateway allows; the next one is cut off."""
MAX_CONTROLS = 16
TOKEN_SECONDS = 5.0
"""How long a control connection may take to show its token."""
MAX_UNREAD = 1 << 26
"""Bytes that a client may leave unread before its connection is cut."""
LAST_WORDS_SECONDS = 1.0
"""How long the shutdown waits for a control client to read its answer."""


def regimes() -> dict[str, str]:
    """The kinds of synthetic days, each in a sentence."""
    return {name: regime.sentence for name, regime in REGIMES.items()}


@dataclass(frozen=True)
class SimOptions:
    """What to simulate and where to listen. Port 0 takes a free one; speed 0 stands still until it is moved.

    `day_file` plays a recorded day, with `trust_last` its last trades as quotes; without it a synthetic one
    is made from `date`, `seed` and `regime`. Without a date it is today's, or the next trading day's when the
    exchange is closed today.
    `at` is the New York time of day at which the clock starts. `faults` is a script of faults. `wire` plays a
    recorded connection back instead of all that: then there is no market and no control.
    """

    host: str = "127.0.0.1"
    port: int = 4002
    control_port: int = 0
    day_file: Path | None = None
    trust_last: bool = False
    date: dt.date | None = None
    seed: int = 7
    regime: str = "quiet"
    at: str = "09:30"
    speed: float = 1.0
    account: str = "SIM0000001"
    cash: float = 1_000_000.0
    margin: str = "reg-t"
    faults: Path | None = None
    wire: Path | None = None


@dataclass(frozen=True)
class Listening:
    """Where a started server listens, what it plays and what its control wants; as text, lines for people."""

    host: str
    port: int
    control_port: int
    market: str
    control_token: str = ""

    def __str__(self) -> str:
        """What is printed once clients may connect."""
        control = f" control {self.host}:{self.control_port}," if self.control_port else ""
        token = f"\ncontrol token {self.control_token}" if self.control_token else ""
        return f"listening on {self.host}:{self.port},{control} {self.market}{token}"


class MarketClock:
    """Market time: a start, plus machine time at a speed. Machine time is monotonic: it never jumps."""

    def __init__(
        self, start: dt.datetime, speed: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Start at the aware time `start`, running `speed` times as fast as the machine; 0 stands still."""
        self._base = start
        self._speed = speed
        self._monotonic = monotonic
        self._since = monotonic()

    @property
    def speed(self) -> float:
        """Market seconds in one machine second."""
        return self._speed

    def now(self) -> dt.datetime:
        """The market time."""
        return self._base + dt.timedelta(seconds=(self._monotonic() - self._since) * self._speed)

    def set(self, moment: dt.datetime) -> None:
        """Continue from `moment`."""
        self._base, self._since = moment, self._monotonic()

    def set_speed(self, speed: float) -> None:
        """Continue from now at another speed. Raises ValueError as `check_speed`."""
        check_speed(speed)
        self.set(self.now())
        self._speed = speed


def build_market(options: SimOptions) -> Market:
    """The day to play. Raises ValueError with one line for a wrong file, date or regime."""
    if options.day_file is not None:
        return RecordedDay(options.day_file, trust_last=options.trust_last)
    from spxarb.sim.market.market import SyntheticDay  # noqa: PLC0415  a recorded day does not need the model

    today = dt.datetime.now(NEW_YORK).date()
    date = options.date or (today if is_open(today) else next_day(today))
    return SyntheticDay(date, options.seed, options.regime)


def build_gateway(options: SimOptions) -> Gateway:
    """Market, exchange and gateway at the starting time. Raises ValueError as `build_market`."""
    market = build_market(options)
    try:
        at = dt.time.fromisoformat(options.at)
    except ValueError:
        raise ValueError(f"not a time of day: {options.at!r}; expected HH:MM or HH:MM:SS") from None
    check_speed(options.speed)
    start = dt.datetime.combine(market.day, at, NEW_YORK)
    exchange = Exchange(
        market, account=options.account, cash=options.cash, margin=options.margin, seed=options.seed
    )
    gateway = Gateway(market, exchange, options.account, start)
    if options.faults is not None:
        gateway.faults.play(read_file(options.faults, options.seed))
    return gateway


def check_speed(speed: float) -> None:
    """Raises ValueError unless `speed` is 0 to MAX_SPEED: the clock only goes forward."""
    if not 0 <= speed <= MAX_SPEED:
        raise ValueError(f"speed {speed} is not between 0 and {MAX_SPEED:,.0f} market seconds per second")


def check_loopback(host: str) -> None:
    """Raises ValueError unless `host` is a loopback address: this gateway asks for no password."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(f"the simulated gateway listens on loopback only, not on {host!r}: use 127.0.0.1")


class Server:
    """The sockets of a gateway, inside a running event loop."""

    def __init__(self, gateway: Gateway, clock: MarketClock) -> None:
        """Nothing listens before `start`."""
        self.gateway = gateway
        self.clock = clock
        self._token = new_token()
        self._kept: Path | None = None
        self.controller = Controller(self, self._token)
        self.stopping = asyncio.Event()
        self._runs = asyncio.Event()
        """Set while the clock runs: one that stands still wakes nobody."""
        if clock.speed:
            self._runs.set()
        self._links: dict[Session, asyncio.StreamWriter] = {}
        self._controls: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._servers: list[asyncio.Server] = []
        self._ticker: asyncio.Task[None] | None = None

    async def start(self, options: SimOptions) -> Listening:
        """Listen for clients and control. Raises OSError when a port is taken."""
        check_loopback(options.host)
        for handler, port in ((self._client, options.port), (self._control, options.control_port)):
            host = "127.0.0.1" if options.host == "localhost" else options.host
            server = await asyncio.start_server(handler, host, port, limit=MAX_LINE)
            self._servers.append(server)
        self._ticker = asyncio.create_task(self._tick())
        port, control = (server.sockets[0].getsockname()[1] for server in self._servers)
        self._kept = keep(options.host, control, self._token)
        return Listening(options.host, port, control, self.gateway.market.description, self._token)

    async def stop(self) -> None:
        """Close every socket and wait until all is closed."""
        forget(self._kept, self._token)
        for server in self._servers:
            server.close()
        for session in list(self._links):
            self.drop(session)
        await self._hang_up()
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait({self._ticker})

    async def _hang_up(self) -> None:
        """End the control connections, each after its last answer unless nobody reads it."""
        for writer in self._controls:
            writer.close()
        tasks = [task for task in self._controls.values() if task is not None]
        if tasks and (await asyncio.wait(tasks, timeout=LAST_WORDS_SECONDS))[1]:
            for writer in self._controls:
                writer.transport.abort()
            await asyncio.wait(tasks)

    @property
    def speed(self) -> float:
        """Market seconds in one machine second."""
        return self.clock.speed

    def set_speed(self, speed: float) -> None:
        """Continue at another speed. Raises ValueError as `check_speed`."""
        self.clock.set_speed(speed)
        if speed:
            self._runs.set()
        else:
            self._runs.clear()

    def request_stop(self) -> None:
        """Let `serve` end."""
        self.stopping.set()

    def check(self) -> None:
        """After the end: raises what made the market fail, if anything did."""
        if self._ticker is not None and not self._ticker.cancelled():
            self._ticker.result()

    def move(self, moment: dt.datetime | None = None) -> None:
        """Bring the market to the clock, or clock and market to `moment`, and write to the clients.

        Raises ValueError when `moment` lies in the past.
        """
        if moment is not None:
            if moment < self.gateway.now:
                self.gateway.advance(moment)
            self.clock.set(moment)
        now = moment or self.clock.now()
        if now > self.gateway.now:
            self.gateway.advance(now)
        self.flush()

    def flush(self) -> None:
        """Write what the sessions have queued; end those that are closed."""
        for session, writer in list(self._links.items()):
            for piece in self.gateway.faults.pieces(session, session.data_to_send()):
                if not writer.is_closing():
                    writer.write(piece)
            if session.closed:
                writer.close()
            elif writer.transport.get_write_buffer_size() > MAX_UNREAD:
                self.drop(session)

    def drop(self, session: Session) -> None:
        """End a client's connection at once, as a cut cable would; its orders stay."""
        session.close()
        writer = self._links.pop(session, None)
        if writer is not None:
            writer.transport.abort()

    async def _tick(self) -> None:
        """Move a running market; one that fails ends the server, for frozen quotes would look live."""
        try:
            while await self._runs.wait():
                await asyncio.sleep(TICK_SECONDS)
                if self.clock.speed:
                    self.move()
        finally:
            self.stopping.set()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._links) >= MAX_CLIENTS:
            writer.transport.abort()
            return
        session = self.gateway.connect()
        self._links[session] = writer
        try:
            with contextlib.suppress(ConnectionError):
                while not session.closed and (data := await reader.read(READ_BYTES)):
                    self.move()
                    session.receive_data(data)
                    self.flush()
        finally:
            session.end()
            self._links.pop(session, None)
            writer.close()

    async def _control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._controls) >= MAX_CONTROLS:
            writer.transport.abort()
            return
        self._controls[writer] = asyncio.current_task()
        try:
            with contextlib.suppress(ConnectionError, ValueError, TimeoutError):
                line, trusted = await asyncio.wait_for(reader.readline(), TOKEN_SECONDS), False
                while line:
                    answer, trusted = self.controller.answer(line, trusted=trusted)
                    writer.write(answer)
                    await writer.drain()
                    line = await reader.readline() if trusted else b""
        finally:
            del self._controls[writer]
            writer.close()


def serve(options: SimOptions, announce: Callable[[Listening], None]) -> None:
    """Run a simulated gateway until SIGTERM, SIGINT or a stop by its control.

    `announce` is called once, when clients may connect; ``str()`` of what it gets is the line to print.
    Raises ValueError for options that make no sense and OSError for a port that is taken.
    """
    check_loopback(options.host)
    if options.wire is not None:
        _check_played(options)
        asyncio.run(_play(options.wire, options, announce))
        return
    gateway = build_gateway(options)
    asyncio.run(_serve(gateway, options, announce))


def _check_played(options: SimOptions) -> None:
    """Raise ValueError for options that a recorded wire makes meaningless."""
    names = {"control_port": "control", "day_file": "day"}
    of_use = {"host", "port", "speed", "wire"}
    given = [
        f"--{names.get(field.name, field.name).replace('_', '-')}"
        for field in fields(options)
        if field.name not in of_use and getattr(options, field.name) != field.default
    ]
    if given:
        raise ValueError(f"--wire plays what was recorded: leave out {', '.join(given)}")


async def _play(wire: Path, options: SimOptions, announce: Callable[[Listening], None]) -> None:
    from spxarb.sim.wire_replay import serve_recording  # noqa: PLC0415  a simulated day does not need it

    check_speed(options.speed)
    host = "127.0.0.1" if options.host == "localhost" else options.host
    await serve_recording(
        wire,
        host,
        options.port,
        options.speed,
        lambda port: announce(Listening(options.host, port, 0, f"the recorded wire {wire}")),
    )


async def _serve(gateway: Gateway, options: SimOptions, announce: Callable[[Listening], None]) -> None:
    server = Server(gateway, MarketClock(gateway.now, options.speed))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stopping.set)
    try:
        announce(await server.start(options))
        await server.stopping.wait()
    finally:
        await server.stop()
    server.check()
