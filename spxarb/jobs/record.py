"""`record`: today's quotes of SPX, SPY and both chains around the money, and the wire itself, into files.

Reads only. It sleeps between two samples; the gateway is asked for its time at each of them, which proves
that the link is alive. A link that was lost is made anew within bounds; nothing is written meanwhile.
"""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from spxarb.core.model import NEW_YORK
from spxarb.core.order_events import LinkChange
from spxarb.core.results.record import RecordingEnd, RecordResult
from spxarb.errors import GatewayError, RefusedError
from spxarb.trading.context import with_errors
from spxarb.trading.own_files import refuse_own_file
from spxarb.trading.recording import Recording, check_name, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import time as clock_time
    from decimal import Decimal
    from pathlib import Path

    from spxarb.broker.chains import Chain
    from spxarb.core.contracts import Contract
    from spxarb.core.sessions import TradingDay
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.context import JobContext
    from spxarb.trading.recording import Row
    from spxarb.trading.wire_tour import WireTour

OWN_CLIENT_ID_ABOVE = 2
"""Beside a job that works and a status that looks, it has a client id of its own."""
MARKET_DATA_LINES = 100
"""What an account has unless it bought more; shared by everything that is connected."""
LINES_FOR_OTHERS = 10
"""Left free for the jobs that trade."""
LONGEST_PAUSE = 30.0
_RIGHTS: tuple[Literal["C", "P"], ...] = ("C", "P")
_LATE = 0.005  # a timer may ring a little before its time


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """What to record: quotes into `output`, the connection itself into `wire`, either or both.

    `until` is a New York time of day, `seconds` and `patience` are on the machine's clock.
    """

    output: Path | None = None
    until: clock_time | None = None
    seconds: float | None = None
    strikes: int = 10
    every: float = 60.0
    patience: float = 300.0
    wire: Path | None = None


def run(context: JobContext, options: RecordOptions) -> RecordResult:
    """Record until the close, `until`, `seconds`, Ctrl-C or SIGTERM; exit 4 keeps what there is.

    Raises UsageError for an output that cannot be, RefusedError on a day without trading or after its end
    and for a file that is something else, GatewayError when nothing could be recorded at all.
    """
    for output in filter(None, (options.output, options.wire)):
        refuse_own_file(output, context.config)
    if options.output is not None:
        check_name(options.output)
    if options.wire is None:
        return asyncio.run(_Recorder(context, options).record())
    from spxarb.trading.wire_file import recorded_wire  # noqa: PLC0415 -- only `--wire` needs it

    with recorded_wire(options.wire, context.config.trading.mode) as file:
        recorder = _Recorder(context, options) if options.output else _WireRecorder(context, options)
        result = asyncio.run(recorder.record())
    wire, counts = str(options.wire), (file.messages, file.connections)
    if file.why:
        what = f"{options.wire} can no longer be written: {file.why}"
        result = with_errors(result, [RefusedError(what, risk="What was recorded so far is intact")])
    return replace(result, wire=wire, messages=counts[0], connections=counts[1])


class _WireRecorder:
    """One connection, recorded as it is: all questions once, then the account's lists in every interval."""

    def __init__(self, context: JobContext, options: RecordOptions) -> None:
        self._context, self._options = context, options
        self._woken = asyncio.Event()
        self._interrupted = False

    async def record(self) -> RecordResult:
        """Until `seconds`, `until`, the close or Ctrl-C; on a closed day one round. Raises GatewayError."""
        from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- ib_insync comes with it
        from spxarb.trading.wire_tour import WireTour  # noqa: PLC0415

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt)
        stop_at = None if self._options.seconds is None else time.monotonic() + self._options.seconds
        async with connect_job(self._context, dry_run=True, client_id_offset=OWN_CLIENT_ID_ABOVE) as job:
            tour = WireTour(job.broker, self._context.config.execution.quote_timeout_seconds)
            await tour.once(job.now)
            listener = asyncio.create_task(_forget_events(job))
            try:
                ended_by = await self._rounds(job, tour, stop_at)
            finally:
                listener.cancel()
            return self._finish(ended_by, tour, job)

    def _interrupt(self) -> None:
        self._interrupted = True
        self._woken.set()

    async def _rounds(self, job: ConnectedJob, tour: WireTour, stop_at: float | None) -> RecordingEnd:
        while True:
            await tour.again()
            if self._interrupted:
                return RecordingEnd.INTERRUPTED
            if not job.broker.link_up:
                return RecordingEnd.GATEWAY
            left = self._options.every
            if stop_at is not None:
                left = min(left, stop_at - time.monotonic())
            if self._over(job) or left <= 0:
                return RecordingEnd.TIME
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), left)

    def _over(self, job: ConnectedJob) -> bool:
        """Whether `until`, or without any other end the close, is reached."""
        if self._options.until is not None:
            return job.now >= datetime.combine(job.now.date(), self._options.until, NEW_YORK)
        return self._options.seconds is None and (job.day is None or job.now >= job.day.close)

    def _finish(self, ended_by: RecordingEnd, tour: WireTour, job: ConnectedJob) -> RecordResult:
        lost = [GatewayError("The link was lost; what was recorded until then is kept")]
        return self._context.finish(
            RecordResult(*self._context.head(), ended_by=ended_by),
            errors=lost if ended_by is RecordingEnd.GATEWAY else (),
            notes=[*tour.notes, *job.broker.notices],
        )


async def _forget_events(job: ConnectedJob) -> None:
    """So that none pile up: they are recorded already."""
    while True:
        await job.broker.events.get()


class _Recorder:
    """One recording: it outlives its connections."""

    def __init__(self, context: JobContext, options: RecordOptions) -> None:
        self._context, self._options = context, options
        self._stop_at = None if options.seconds is None else time.monotonic() + options.seconds
        self._interrupted = False
        self._woken = asyncio.Event()
        self._file: Recording | None = None
        self._lines: list[Contract] = []
        self._left_out: list[Contract] = []
        self._written: dict[int, Row] = {}
        self._slot = -1
        self._first: datetime | None = None
        self._newest: datetime | None = None
        self._heard = time.monotonic()
        self._reconnects = 0
        self._notes: dict[str, None] = {}

    @property
    def _output(self) -> Path:
        assert self._options.output is not None  # else there is nothing to record quotes into
        return self._options.output

    async def record(self) -> RecordResult:
        """Connection after connection until the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt)
        async with AsyncExitStack() as stack:
            pause = 1.0
            while True:
                heard = self._heard
                try:
                    return self._finish(await self._connection(stack))
                except GatewayError as error:
                    pause = 1.0 if self._heard > heard else min(2 * pause, LONGEST_PAUSE)
                    left = self._heard + self._options.patience - time.monotonic()
                    if self._file is None or left <= 0:
                        return self._given_up(error)
                    self._note(f"the link was lost and made anew: {error}")
                    await self._wake(min(pause, left))
                    if self._ended():
                        return self._finish(self._end())
                    self._reconnects += 1

    async def _connection(self, stack: AsyncExitStack) -> RecordingEnd:
        """Record over one connection. Returns why it ended; raises GatewayError when the link did."""
        from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- ib_insync comes with it

        async with connect_job(self._context, dry_run=True, client_id_offset=OWN_CLIENT_ID_ABOVE) as job:
            day = job.day
            if day is None or job.now >= day.close:
                return self._too_late(job, day)
            listener = asyncio.create_task(self._listen(job))
            try:
                if not self._lines and not await self._choose(job, day):
                    return self._end()
                if self._file is None:
                    self._file = stack.enter_context(Recording(self._output, job.now))
                timeout = self._context.config.execution.quote_timeout_seconds
                await job.broker.quotes(self._lines, timeout, lambda _, quote: quote.received is not None)
                return await self._sample(job, day)
            finally:
                listener.cancel()
                for notice in job.broker.notices:
                    self._note(notice)

    def _too_late(self, job: ConnectedJob, day: TradingDay | None) -> RecordingEnd:
        """The day ended while the link was lost; raises RefusedError when there never was one to record."""
        if self._file is not None:
            return RecordingEnd.CLOSE
        if day is None:
            raise RefusedError(f"{job.now:%Y-%m-%d} is no trading day: there is nothing to record")
        raise RefusedError(f"The market has closed at {day.close:%H:%M}: there is nothing to record")

    async def _listen(self, job: ConnectedJob) -> None:
        """Read the events, so that none pile up; wake the recorder for what cannot wait.

        In the sim mode the clock moves as it likes, and quotes tell that it did.
        """
        moves = self._context.config.trading.mode == "sim"
        while True:
            event = await job.broker.events.get()
            if moves or (isinstance(event, LinkChange) and not event.up):
                self._woken.set()

    # --- what to record ------------------------------------------------------------------------

    async def _choose(self, job: ConnectedJob, day: TradingDay) -> bool:
        """Wait for the open, then choose the lines. False: it was ended before."""
        from spxarb.trading.market import underlyings  # noqa: PLC0415
        from spxarb.trading.marks import enough  # noqa: PLC0415

        job.broker.watch(await job.broker.underlyings())
        while (now := await job.clock.ask(job.broker)) < day.open:
            if self._ended():
                return False
            await self._wake(self._until_next(now, day.open))
        under = await underlyings(job.broker, self._context.config.execution.quote_timeout_seconds, enough)
        if under.spx_price is None or under.spy_price is None:
            raise GatewayError("The gateway tells no price of SPX or SPY", mend="Look at its market data")
        chains = []
        for right in _RIGHTS:  # one after the other: a price rule is asked for by one at a time
            chains.append((await job.broker.option_chain("SPX", "SPXW", now.date(), right), under.spx_price))
            chains.append((await job.broker.option_chain("SPY", "SPY", now.date(), right), under.spy_price))
        wanted = list(_by_distance(chains, 2 * self._options.strikes + 1))
        room = MARKET_DATA_LINES - LINES_FOR_OTHERS - 2
        self._lines, self._left_out = [under.spx, under.spy, *wanted[:room]], wanted[room:]
        return True

    # --- sampling ------------------------------------------------------------------------------

    async def _sample(self, job: ConnectedJob, day: TradingDay) -> RecordingEnd:
        until = self._options.until
        end = day.close
        if until is not None:
            end = min(end, datetime.combine(day.day, until, NEW_YORK))
        while True:
            now = await job.clock.ask(job.broker)
            self._heard = time.monotonic()
            over = now >= end or self._ended()
            if now <= end + timedelta(seconds=1):
                self._write(job, now, whenever=over)
            if over:
                return RecordingEnd.CLOSE if now >= day.close else self._end()
            await self._wake(self._until_next(now, end))

    def _write(self, job: ConnectedJob, now: datetime, *, whenever: bool) -> None:
        """The lines that changed, once in each interval."""
        slot = int(now.timestamp() // self._options.every)
        if slot == self._slot and not whenever:
            return
        self._slot = slot
        source = "sim" if self._context.config.trading.mode == "sim" else "ib"
        changed: dict[int, Row] = {}
        for contract in self._lines:
            line = line_of(contract, job.broker.quote(contract.con_id), source)
            if line is not None and self._written.get(contract.con_id) != line:
                changed[contract.con_id] = line
        if changed and self._file is not None:
            self._file.write(now, list(changed.values()))
            self._written.update(changed)
            self._first, self._newest = self._first or now, now

    def _until_next(self, now: datetime, end: datetime) -> float:
        """Seconds to sleep: to the next interval or the end, whichever comes first."""
        every = self._options.every
        if self._context.config.trading.mode == "sim":  # its clock runs at another pace: quotes wake us
            return every
        return max(0.0, min(every - now.timestamp() % every, (end - now).total_seconds())) + _LATE

    async def _wake(self, seconds: float) -> None:
        """Sleep; an interruption, a lost link and in the sim mode a quote end it early."""
        if self._stop_at is not None:
            seconds = min(seconds, max(0.0, self._stop_at - time.monotonic()))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()

    def _ended(self) -> bool:
        late = self._stop_at is not None and time.monotonic() >= self._stop_at
        return self._interrupted or late

    def _end(self) -> RecordingEnd:
        return RecordingEnd.INTERRUPTED if self._interrupted else RecordingEnd.TIME

    def _interrupt(self) -> None:
        self._interrupted = True
        self._woken.set()

    # --- the end -------------------------------------------------------------------------------

    def _note(self, text: str) -> None:
        self._notes.setdefault(text)

    def _given_up(self, error: GatewayError) -> RecordResult:
        """Exit 4: with what was recorded. Raises the error when nothing was."""
        if self._file is None:
            raise error
        kept = f"What was recorded until then is in {self._output}"
        risk = ". ".join(filter(None, (error.risk.rstrip("."), kept)))
        return self._finish(RecordingEnd.GATEWAY, [GatewayError(error.what, risk=risk, mend=error.mend)])

    def _finish(self, ended_by: RecordingEnd, errors: Sequence[GatewayError] = ()) -> RecordResult:
        result = RecordResult(
            *self._context.head(),
            file=str(self._output),
            rows=self._file.rows if self._file else 0,
            lines=len(self._lines),
            left_out=len(self._left_out),
            first=self._first,
            last=self._newest,
            ended_by=ended_by,
            reconnects=self._reconnects,
        )
        left_out = [_left_out(self._left_out)] if self._left_out else []
        return self._context.finish(result, errors=errors, notes=[*self._notes, *left_out])


def _by_distance(chains: Sequence[tuple[Chain, Decimal]], count: int) -> Iterator[Contract]:
    """The `count` contracts of each chain that are nearest to its price: of all chains the nearest first."""

    def nearest(chain: Chain, price: Decimal) -> list[Contract]:
        return sorted(chain.contracts, key=lambda c: abs((c.strike or price) - price))[:count]

    ranked = [nearest(chain, price) for chain, price in chains]
    for rank in range(count):
        for contracts in ranked:
            yield from contracts[rank : rank + 1]


def _left_out(contracts: Sequence[Contract]) -> str:
    strikes = {
        name: sorted(f"{c.strike:f}" for c in contracts if c.trading_class == name and c.strike)
        for name in dict.fromkeys(c.trading_class for c in contracts)
    }
    names = "; ".join(f"{name} {', '.join(dict.fromkeys(listed))}" for name, listed in strikes.items())
    return f"left out, beyond {MARKET_DATA_LINES - LINES_FOR_OTHERS} market data lines: {names}"
