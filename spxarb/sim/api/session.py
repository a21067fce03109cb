"""One client's connection as a protocol without a socket: bytes in, bytes out.

States of a connection, in order: GREETING (API and NUL), VERSION (``vMIN..MAX``), START (startApi), READY,
CLOSED. Only READY answers requests. Until startApi nothing but the version frame is sent: the official client
discards whatever else arrives with it. A request that cannot be read gets an error frame and the connection
stays open; bytes that are no protocol at all (another greeting, an impossible length) end it.

What answers the requests (`RequestHandlers`), what may come between a request and its effect, or between a
frame and its client (`TrafficInterceptor`), and what all sessions share (`SharedGateway`) are handed in.
"""

from __future__ import annotations

import contextlib
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import (
    GREETING,
    NOT_A_REQUEST,
    VERSION_REQUEST,
    Ask,
    Fields,
    FrameReader,
    Say,
    WireError,
    frame,
    negotiate,
    split_fields,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from spxarb.sim.api.history import HistoryStream
    from spxarb.sim.api.streams import ShownQuote, Stream
    from spxarb.sim.api.wire import Value
    from spxarb.sim.exchange.exchange import Exchange
    from spxarb.sim.exchange.orders import Event
    from spxarb.sim.market.instruments import Market

    Handler = Callable[["Session", Fields], None]

_FARMS = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefil"),
)


class RequestHandlers(Protocol):
    """What answers the requests of a ready client; see `dispatch`."""

    def handler(self, number: int) -> Handler | None:
        """The handler of a message id; None when the request is not offered."""

    def refresh(self, session: Session) -> None:
        """Send a client what has changed with the clock."""


class TrafficInterceptor(Protocol):
    """What may come between a client and the gateway; with nothing wrong everything passes as it is."""

    def settle(self) -> None:
        """Do what is due by now."""

    def ignores(self, session: Session) -> bool:
        """True while nothing that a client sends is read."""

    def request(self, session: Session, number: int, values: list[str], effect: Callable[[], None]) -> None:
        """Let a request take effect, unless it is to go otherwise."""

    def message(self, session: Session, whole: bytes) -> None:
        """Pass a frame on to `Session.put`, unless it is to go otherwise."""

    def shown(self, session: Session, stream: Stream, moment: datetime, kind: int) -> ShownQuote | None:
        """What a market data line shows of its contract at a moment; None when it is silent."""


class SharedGateway(Protocol):
    """What all sessions share: the market, the exchange, the account, the time, each other."""

    zone: ZoneInfo
    zone_name: str
    """Where the gateway runs."""

    @property
    def market(self) -> Market:
        """The day's market."""

    @property
    def exchange(self) -> Exchange:
        """Orders, executions and positions."""

    @property
    def account(self) -> str:
        """The account id."""

    @property
    def now(self) -> datetime:
        """The market time, aware."""

    @property
    def sessions(self) -> Sequence[Session]:
        """Clients past startApi."""

    @property
    def connections(self) -> Sequence[Session]:
        """Everyone who has connected."""

    @property
    def interceptor(self) -> TrafficInterceptor:
        """What may come between."""

    def join(self, session: Session) -> bool:
        """Admit a client past startApi; False when its client id is taken."""

    def leave(self, session: Session) -> None:
        """Forget a connection; its orders stay in the book."""

    def publish(self, events: Iterable[Event]) -> None:
        """Send every client the events that concern it."""


class State(Enum):
    """Where a connection stands; see the module."""

    GREETING = auto()
    VERSION = auto()
    START = auto()
    READY = auto()
    CLOSED = auto()


class Session:
    """A client's side of the gateway. The owner moves bytes: `receive_data` in, `data_to_send` out."""

    def __init__(self, gateway: SharedGateway, handlers: RequestHandlers) -> None:
        """A fresh connection to `gateway`: nothing received, nothing to send."""
        self.gateway = gateway
        self.state = State.GREETING
        self.version = 0
        self.client_id = -1
        self.market_data_type = 1
        self.streams: dict[int, Stream] = {}
        self.histories: dict[int, HistoryStream] = {}
        self.wants_positions = False
        self.account_updates = False
        self.summaries: dict[int, tuple[str, ...]] = {}
        self.account_multis: set[int] = set()
        self.pnl: dict[int, int | None] = {}
        self.pnl_sent: dict[int, tuple[Value, ...]] = {}
        self.account_sent: datetime | None = None
        self._handlers = handlers
        self._peer_gone = False
        self._reader = FrameReader()
        self._out = bytearray()

    # --- for the owner of the socket ---------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True once the connection must end, after what `data_to_send` still holds."""
        return self.state is State.CLOSED

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the client, cut anywhere, and answer every whole request in them. Never raises."""
        self._reader.feed(data)
        interceptor = self.gateway.interceptor
        try:
            while not interceptor.ignores(self) and self._step():
                interceptor.settle()
        except WireError as problem:
            if self.state is State.READY:
                self.error(NOT_A_REQUEST, 320, f"Server error when reading an API client request: {problem}")
            self.close()
        if self._peer_gone and not interceptor.ignores(self):
            self.close()

    def end(self) -> None:
        """The client has gone. While a fault leaves its bytes unread nobody notices: its id stays taken."""
        self._peer_gone = True
        self.receive_data(b"")

    def data_to_send(self) -> bytes:
        """The bytes for the client since the last call."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def refresh(self) -> None:
        """Send what changed with the clock: quotes, profit and loss, account values."""
        if self.state is State.READY:
            self._handlers.refresh(self)

    # --- for the handlers --------------------------------------------------------------------------------

    def send(self, *frames: bytes) -> None:
        """Queue whole frames for the client, by way of the interceptor; after the end they are dropped."""
        for whole in frames:
            if self.closed:
                return
            self.gateway.interceptor.message(self, whole)

    def put(self, *frames: bytes) -> None:
        """Queue frames without asking the interceptor; after the end they are dropped."""
        if not self.closed:
            self._out += b"".join(frames)

    def error(self, request: int, code: int, text: str) -> None:
        """Queue an error or notice; `request` is the request or order id, -1 for none."""
        self.send(layouts.error(self.version, request, code, text))

    def close(self) -> None:
        """End this connection: what is queued still goes out. The book keeps its orders."""
        self.state = State.CLOSED
        self.gateway.leave(self)

    def queued(self) -> int:
        """How many bytes are queued: a mark for `forget`."""
        return len(self._out)

    def forget(self, mark: int) -> None:
        """Drop what was queued since `queued` gave this mark."""
        del self._out[mark:]

    def perform(self, number: int, values: list[str]) -> None:
        """Let a request that was kept back take effect now, even if the connection has ended."""
        handler = self._handlers.handler(number)
        if handler is not None:
            with contextlib.suppress(WireError):
                fields = Fields(values)
                fields.skip(1)
                handler(self, fields)

    # --- the protocol ------------------------------------------------------------------------------------

    def _step(self) -> bool:
        """One greeting or frame; False when more bytes are needed or none are wanted."""
        if self.state is State.CLOSED:
            return False
        if self.state is State.GREETING:
            greeting = self._reader.raw(len(GREETING))
            if greeting is None:
                return False
            if greeting != GREETING:
                raise WireError("not an API client")
            self.state = State.VERSION
            return True
        payload = self._reader.payload()
        if payload is None:
            return False
        values = split_fields(payload)
        if self.state is State.VERSION:
            self._intercepted(VERSION_REQUEST, values, lambda: self._agree(payload))
        elif self.state is State.START:
            self._intercepted(_number(values), values, lambda: self._start(Fields(values)))
        else:
            self._answer(values)
        return True

    def _agree(self, payload: bytes) -> None:
        version = negotiate(payload.decode("ascii", errors="replace"))
        if version is None:
            self.close()
            return
        self.version = version
        now = self.gateway.now.astimezone(self.gateway.zone)
        name = self.gateway.zone_name or f"{now:%Z}"
        self.send(frame(version, f"{now:%Y%m%d %H:%M:%S} {name}"))
        self.state = State.START

    def _start(self, fields: Fields) -> None:
        if fields.must_integer("message id") != Ask.START_API:
            raise WireError("a request before startApi")
        fields.skip(1)
        fields.must_integer("clientId")
        self.state = State.READY
        if not self.gateway.join(self):
            text = "Unable to connect as the client id is already in use. Retry with a unique client id."
            self.error(NOT_A_REQUEST, 326, text)
            self.close()
            return
        self.send(frame(Say.MANAGED_ACCOUNTS, 1, self.gateway.account))
        self.send(frame(Say.NEXT_VALID_ID, 1, self.gateway.exchange.next_order_id(self.client_id)))
        for code, text in _FARMS:
            self.error(NOT_A_REQUEST, code, text)

    def _answer(self, values: list[str]) -> None:
        """One request of a ready client. What cannot be read is answered with 320, never with silence."""
        fields = Fields(values)
        try:
            number = fields.must_integer("message id")
            handler = self._handlers.handler(number)
            if handler is None:
                raise WireError(f"message id {number} is not offered")  # noqa: TRY301  one answer to all
            self._intercepted(number, values, lambda: handler(self, fields))
        except WireError as problem:
            text = f"Server error when reading an API client request: {problem}"
            self.error(request_id(values), 320, text)

    def _intercepted(self, number: int, values: list[str], effect: Callable[[], None]) -> None:
        """Let a request take effect, unless a fault wants otherwise."""
        if number == Ask.START_API and self.state is State.START:
            self.client_id = Fields(values[2:3]).integer("clientId") or 0
        self.gateway.interceptor.request(self, number, values, effect)


def _number(values: list[str]) -> int:
    """The message id of a request; -1 when it has none."""
    return int(values[0]) if values and values[0].isascii() and values[0].isdigit() else -1


def request_id(values: list[str]) -> int:
    """The request id of a request that could not be read, as far as it can be read; else -1."""
    unversioned = {Ask.PLACE_ORDER, Ask.HISTORICAL_DATA, Ask.OPTION_CHAINS, Ask.MATCHING_SYMBOLS, Ask.PNL}
    try:
        number = int(values[0])
        place = 1 if number in unversioned | {Ask.CANCEL_PNL, Ask.PNL_SINGLE, Ask.CANCEL_PNL_SINGLE} else 2
        return int(values[place])
    except (ValueError, IndexError):
        return NOT_A_REQUEST
