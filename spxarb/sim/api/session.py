"""One client's connection as a protocol without a socket: bytes in, bytes out.

States of a connection, in order: GREETING (API and NUL), VERSION (``vMIN..MAX``), START (startApi), READY,
CLOSED. Only READY answers requests. Until startApi nothing but the version frame is sent: the official client
throws away whatever else comes with it. A request that cannot be read gets an error frame and the connection
lives on; bytes that are no protocol at all (another greeting, an impossible length) end it.
"""

from __future__ import annotations

import contextlib
from enum import Enum, auto
from typing import TYPE_CHECKING

from spxarb.sim.api import answers_account, answers_contracts, answers_market, answers_orders, layouts
from spxarb.sim.api.wire import (
    GREETING,
    NOT_A_REQUEST,
    Ask,
    Fields,
    FrameReader,
    Say,
    WireError,
    frame,
    message_id,
    negotiate,
    split_fields,
)
from spxarb.sim.faults.readers import GREETING as GREETING_NUMBER
from spxarb.sim.faults.simple import ORDERLY, Cut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from spxarb.sim.api.history import HistoryStream
    from spxarb.sim.api.streams import Stream
    from spxarb.sim.api.wire import Value
    from spxarb.sim.faults.kinds import Parcel
    from spxarb.sim.gateway import Gateway

    Handler = Callable[["Session", Fields], None]

HANDLERS: Mapping[int, Handler] = {
    **answers_account.HANDLERS,
    **answers_contracts.HANDLERS,
    **answers_market.HANDLERS,
    **answers_orders.HANDLERS,
}
_FARMS = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefil"),
)


class State(Enum):
    """Where a connection stands; see the module."""

    GREETING = auto()
    VERSION = auto()
    START = auto()
    READY = auto()
    CLOSED = auto()


class Session:
    """A client's side of the gateway. The owner moves bytes: `receive_data` in, `data_to_send` out."""

    def __init__(self, gateway: Gateway) -> None:
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
        self._gone = False
        self._reader = FrameReader()
        self._out = bytearray()
        gateway.connections.append(self)

    @property
    def closed(self) -> bool:
        """True once the connection must end, after what `data_to_send` still holds."""
        return self.state is State.CLOSED

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the client, cut anywhere, and answer every whole request in them. Never raises."""
        self._reader.feed(data)
        trouble = self.gateway.trouble
        try:
            while not trouble.deaf(self) and self._step():
                trouble.settle()
        except WireError as problem:
            if self.state is State.READY:
                self.error(NOT_A_REQUEST, 320, f"Server error when reading an API client request: {problem}")
            self.close()
        if self._gone and not trouble.deaf(self):
            self.close()

    def end(self) -> None:
        """The client has gone. While a fault keeps its bytes unread, nobody notices: its id stays taken."""
        self._gone = True
        self.receive_data(b"")

    def data_to_send(self) -> bytes:
        """The bytes for the client since the last call."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def send(self, *frames: bytes) -> None:
        """Queue whole frames for the client; after the end they are dropped."""
        faults = self.gateway.faults
        for item in frames:
            number = message_id(item)
            if self.closed or faults.cuts(Cut.BEFORE_MESSAGE, number):
                self.close()
                return
            parcel = self.gateway.trouble.message(self, item)
            if parcel is None:
                self.put(item)
            else:
                self._send_parcel(parcel)
            if faults.cuts(Cut.AFTER_MESSAGE, number):
                self.close()

    def _send_parcel(self, parcel: Parcel) -> None:
        """Send what a fault has made of a message, now or when its time has come."""
        if parcel.seconds is None or parcel.seconds > 0:
            self.gateway.trouble.hold(parcel)
            return
        self.put(*parcel.out)
        if parcel.close:
            self.close()

    def put(self, *frames: bytes) -> None:
        """Queue frames past the script of faults; what is muted or comes after the end is dropped."""
        faults = self.gateway.faults
        for item in frames:
            if not self.closed and not faults.mute and message_id(item) not in faults.suppress:
                self._out += item

    def error(self, request: int, code: int, text: str) -> None:
        """Queue an error or notice; `request` is the request or order id, -1 for none."""
        self.send(layouts.error(self.version, request, code, text))

    def close(self) -> None:
        """End this connection: what is queued still goes out. The book keeps its orders."""
        self.state = State.CLOSED
        if self in self.gateway.connections:
            self.gateway.connections.remove(self)
        self.gateway.leave(self)

    def refresh(self) -> None:
        """Send what changed with the clock: quotes, profit and loss, account values."""
        if self.state is not State.READY:
            return
        answers_market.refresh(self)
        answers_account.refresh(self)

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
        if self.state is State.VERSION:
            self._intercepted(GREETING_NUMBER, split_fields(payload), lambda: self._agree(payload))
        elif self.state is State.START:
            values = split_fields(payload)
            self._intercepted(_number(values), values, lambda: self._start(Fields(values)))
        else:
            self._answer(split_fields(payload))
        return True

    def _agree(self, payload: bytes) -> None:
        version = negotiate(payload.decode("ascii", errors="replace"))
        if version is None:
            self.close()
            return
        self.version = version
        now = self.gateway.now
        self.send(frame(version, f"{now:%Y%m%d %H:%M:%S} {now:%Z}"))
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
            handler = HANDLERS.get(number)
            if handler is None:
                text = f"Server error when reading an API client request: message id {number} is not offered"
                self.error(request_id(values), 320, text)
                return
            self._perform(number, handler, fields, values)
        except WireError as problem:
            text = f"Server error when reading an API client request: {problem}"
            self.error(request_id(values), 320, text)

    def _perform(self, number: int, handler: Handler, fields: Fields, values: list[str]) -> None:
        """Run a handler, unless a fault comes between."""
        faults, sent = self.gateway.faults, len(self._out)
        if faults.cuts(Cut.BEFORE_REQUEST, number):
            self.close()
        elif faults.read_only and number in ORDERLY:
            text = "Error validating request: cause - The API interface is currently in Read-Only mode."
            request = fields.integer("orderId") if number == Ask.PLACE_ORDER else None
            self.error(NOT_A_REQUEST if request is None else request, 321, text)
        else:
            self._intercepted(number, values, lambda: handler(self, fields))
            if faults.cuts(Cut.BEFORE_ANSWER, number):
                del self._out[sent:]
                self.close()

    def _intercepted(self, number: int, values: list[str], effect: Callable[[], None]) -> None:
        """Let a request take effect, unless the script of faults has other plans for it."""
        if number == Ask.START_API and self.state is State.START:
            self.client_id = Fields(values[2:3]).integer("clientId") or 0
        sent = len(self._out)
        call = self.gateway.trouble.request(self, number, values)
        if call is None:
            effect()
            return
        if not call.refused and not self.closed:
            effect()
        if call.unanswered:
            del self._out[sent:]
        for act in call.after:
            act()
        if call.close:
            self.close()

    def perform(self, number: int, values: list[str]) -> None:
        """Let a request that was kept back take effect now, whatever has become of the connection."""
        handler = HANDLERS.get(number)
        if handler is not None:
            with contextlib.suppress(WireError):
                fields = Fields(values)
                fields.skip(1)
                handler(self, fields)


def _number(values: list[str]) -> int:
    """The message id of a request; -1 when it has none."""
    return int(values[0]) if values and values[0].isascii() and values[0].isdigit() else -1


def request_id(values: list[str]) -> int:
    """The request id of a request that could not be read, as far as it can be told; else -1."""
    unversioned = {Ask.PLACE_ORDER, Ask.HISTORICAL_DATA, Ask.OPTION_CHAINS, Ask.MATCHING_SYMBOLS, Ask.PNL}
    try:
        number = int(values[0])
        place = 1 if number in unversioned | {Ask.CANCEL_PNL, Ask.PNL_SINGLE, Ask.CANCEL_PNL_SINGLE} else 2
        return int(values[place])
    except (ValueError, IndexError):
        return NOT_A_REQUEST
