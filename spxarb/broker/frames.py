"""Everything that imports ib_insync: its client with our decoder, its contracts and orders made from ours."""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from functools import cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from spxarb.broker.bounds import FrameSplitter, TooMuchError, clean_fields
from spxarb.broker.tap import attach
from spxarb.core.model import NEW_YORK
from spxarb.imports import trimmed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from spxarb.core.broker_books import OrderTicket
    from spxarb.core.contracts import Contract


@contextmanager
def _an_event_loop() -> Iterator[None]:
    """The library asks for an event loop while it is imported; from Python 3.14 on none appears by itself."""
    try:
        asyncio.set_event_loop(asyncio.get_running_loop())
    except RuntimeError:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            yield
        finally:
            asyncio.set_event_loop(None)
            loop.close()
    else:
        yield


with trimmed("ib_insync"), _an_event_loop():
    from ib_insync import contract as ibc
    from ib_insync import order as ibo
    from ib_insync.client import Client
    from ib_insync.decoder import Decoder

Fields = list[str]
EARLY = "spoke before it was spoken to"
_EARLY_SECONDS = 0.1
"""How long a proven program is listened to before anything is sent: a Gateway says nothing then."""


class FrameDecoder(Decoder):
    """ib_insync decodes the long frames, we decode the short ones; an unreadable frame is reported."""

    def __init__(
        self,
        wrapper: Any,
        frames: Mapping[int, Callable[[Fields], object]],
        unreadable: Callable[[Fields, Exception], None],
    ) -> None:
        super().__init__(wrapper, 0)
        self._unreadable = unreadable
        self.handlers = {
            5: self.openOrder,
            10: self.contractDetails,
            101: self.completedOrder,
            **frames,
        }

    def parse(self, obj: Any) -> None:
        """As the library's, but that a class's fields are looked up once: a chain has hundreds of rows."""
        kind: Any = type(obj)
        for name, default, read in _numbers(kind):
            text = getattr(obj, name)
            setattr(obj, name, read(text) if text else default)

    def interpret(self, fields: Fields) -> None:
        # The library's own decoder logs such an error and goes on, so that whoever waits for the frame waits
        # for ever and a fill in it is lost.
        try:
            handler = self.handlers.get(int(fields[0]))
            if handler:
                fields = clean_fields(fields)
                handler(list(fields))
        except TooMuchError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it raises, the frame is at fault)
            self._unreadable(clean_fields(fields), error)


@cache
def _numbers(kind: type) -> tuple[tuple[str, Any, Callable[[str], Any]], ...]:
    """The fields of a dataclass of the library that are numbers: name, default, how their text is read."""
    read: dict[type, Callable[[str], Any]] = {int: int, float: float, bool: lambda text: bool(int(text))}
    numbers = (field for field in fields(kind) if type(field.default) in read)
    return tuple((field.name, field.default, read[type(field.default)]) for field in numbers)


class BoundedReader:
    """What a connection receives, given to ib_insync's client frame by frame and within bounds.

    The client by itself keeps whatever comes until it is whole, however long that is said to be.
    """

    def __init__(self, client: Any, ears: Ears) -> None:
        self._client, self._ears = client, ears
        self._splitter = FrameSplitter()
        self._processed = client.wrapper.tcpDataProcessed
        client._tcpDataProcessed = None  # noqa: SLF001 (it would be told of each frame)
        self._dropped = False
        self.proof_pending = False
        """Whether it is not known yet whose program answers: then nothing that it says is even looked at."""
        self._spoke = False

    @property
    def size(self) -> int:
        """What the frame at hand takes in memory, bytes, as an estimate."""
        return self._splitter.size

    def asked_for(self) -> None:
        """As the splitter's."""
        self._splitter.asked_for()

    def __call__(self, data: bytes) -> None:
        """Bytes from the socket, cut anywhere."""
        if self._dropped:
            return
        if self.proof_pending:
            self._spoke = True
            return
        try:
            if not self._client.conn.numMsgSent:
                raise TooMuchError(EARLY)  # noqa: TRY301 (one way out)
            for frame in self._splitter.feed(data):
                self._read(frame)
        except TooMuchError as error:
            self._dropped = True
            self._ears.too_much(str(error))
        else:
            self._processed()

    def proven(self) -> None:
        """It is the right user's program."""
        self.ended()
        self.proof_pending = False

    def ended(self) -> None:
        """The connection is over, or begins: what spoke before its user was known is no Gateway."""
        if self.proof_pending and self._spoke and not self._dropped:
            self._dropped = True
            self._ears.too_much(EARLY)

    def _read(self, frame: bytes) -> None:
        if not self._client.serverVersion():
            self._greeting(frame)
        try:
            if len(frame) == 4:
                raise ValueError("a message without a field")  # noqa: TRY301 (one way out)
            self._client._onSocketHasData(frame)  # noqa: SLF001
        except TooMuchError:
            raise
        except Exception as error:  # noqa: BLE001 (the library reads some fields itself during the logon)
            fields = frame[4:].decode(errors="backslashreplace").split("\0")[:-1]
            self._ears.unreadable(clean_fields(fields), error)

    def _greeting(self, frame: bytes) -> None:
        """The first message: the version agreed on and a time. Raises TooMuchError for anything else."""
        fields = frame[4:].decode(errors="backslashreplace").split("\0")[:-1]
        if len(fields) != 2 or not re.fullmatch(r"[0-9]{1,4}", fields[0]):
            raise TooMuchError("began with what is no greeting of an IB Gateway")
        if int(fields[0]) > Client.MaxClientVersion:
            raise TooMuchError(f"agreed on version {fields[0]} of the API, which was not offered")
        self._ears.greeted(*clean_fields(fields[1:]))


@dataclass(frozen=True, slots=True)
class Ears:
    """Who hears what of a connection beside its frames.

    `unreadable`: a frame that cannot be read, and the error. `greeted`: the time of the gateway's greeting,
    `20261124 09:30:00 EST`, in the gateway's own zone. `too_much`: what the gateway did past a bound; nothing
    more of it is read then.
    """

    unreadable: Callable[[Fields, Exception], None]
    greeted: Callable[[str], None]
    too_much: Callable[[str], None]


def make_client(
    wrapper: Any, frames: Mapping[int, Callable[[Fields], object]], ears: Ears, user: str | None = None
) -> tuple[Any, BoundedReader]:
    """ib_insync's client, and what reads for it.

    Long frames go to `wrapper`, short ones to `frames` by message id; a message id in neither is ignored.
    Nothing is sent before a program of `user` has been seen to answer, where one is named.
    """
    build: Any = Client
    client = build(wrapper)
    client.decoder = FrameDecoder(wrapper, frames, ears.unreadable)
    reader = BoundedReader(client, ears)
    attach(client.conn)
    client.conn.disconnect = partial(_disconnect, client.conn)
    if user:
        _prove_first(client.conn, reader, user)
    client.conn.hasData.disconnect(client._onSocketHasData)  # noqa: SLF001 (the reader calls it)
    client.conn.hasData.connect(reader, keep_ref=True)
    return client, reader


def half_close(transport: Any) -> None:
    """Say that nothing more will be sent. After a reset nobody hears it, and the reader learns of that."""
    with suppress(OSError):  # ENOTCONN, shutdown(2)
        transport.write_eof()


def _disconnect(connection: Any) -> None:
    if connection.transport:
        half_close(connection.transport)
        connection.transport.close()


def _prove_first(connection: Any, reader: BoundedReader, user: str) -> None:
    """Let ib_insync's connection be made only with a program of that user; RefusedError otherwise."""
    from spxarb.broker.peer import prove_owner  # noqa: PLC0415 (only where it is asked for)

    connect = connection.connectAsync

    async def connect_and_prove(host: str, port: int) -> None:
        reader.proof_pending = True
        await connect(host, port)
        await prove_owner(connection.transport, user)
        await asyncio.sleep(_EARLY_SECONDS)
        reader.proven()

    connection.connectAsync = connect_and_prove


def ib_query(**attributes: Any) -> ibc.Contract:
    """A contract to look up; attributes not given match anything."""
    return ibc.Contract(**attributes)


def every_execution() -> Any:
    """The filter that passes today's executions of all clients."""
    return SimpleNamespace(clientId=0, acctCode="", time="", symbol="", secType="", exchange="", side="")


def ib_contract(contract: Contract) -> ibc.Contract:
    """The contract as a request names it."""
    return ibc.Contract(
        conId=contract.con_id,
        symbol=contract.symbol,
        secType=contract.sec_type,
        lastTradeDateOrContractMonth=f"{contract.expiry:%Y%m%d}" if contract.expiry else "",
        strike=float(contract.strike or 0),
        right=contract.right or "",
        multiplier=str(contract.multiplier) if contract.sec_type == "OPT" else "",
        exchange=contract.exchange,
        currency=contract.currency,
        localSymbol=contract.local_symbol,
        tradingClass=contract.trading_class,
    )


def ib_order(ticket: OrderTicket, account: str, *, what_if: bool) -> ibo.Order:
    """Our order in ib_insync's class; `good_after` is sent as goodAfterTime in US/Eastern."""
    # The Gateway's order presets fill in what is not given (10349: "Order TIF was set to DAY based on order
    # preset"), so time in force, account and trading hours are always stated.
    order = ibo.Order(
        action=str(ticket.side),
        totalQuantity=ticket.quantity,
        orderType="MKT" if ticket.limit is None else "LMT",
        tif=ticket.tif,
        account=account,
        orderRef=ticket.order_ref,
        outsideRth=False,
        transmit=True,
        whatIf=what_if,
    )
    if ticket.limit is not None:
        order.lmtPrice = float(ticket.limit)
    if ticket.good_after is not None:
        # Without a zone the Gateway takes its own (warning 2174); one that it cannot read is refused (391).
        order.goodAfterTime = f"{ticket.good_after.astimezone(NEW_YORK):%Y%m%d %H:%M:%S} US/Eastern"
    return order
