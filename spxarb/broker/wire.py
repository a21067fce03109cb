"""One connection to the gateway: questions with deadlines, orders, and what the gateway sends unasked.

It uses ib_insync's client (framing, versions, requests, pacing) and its decoder of the long frames, but not
its wrapper. That one infers order states (any code that it takes for an error makes a live order Cancelled),
empties its caches when the link is lost (`positions()` is then `[]`), and waits without end or for 1 s.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from spxarb.broker import bounds, convert
from spxarb.broker.chains import WITHOUT_VERSION, odd_details
from spxarb.broker.commissions import Commissions
from spxarb.broker.frames import Ears, Fields, half_close, ib_contract, ib_order, make_client
from spxarb.broker.questions import QUESTION_OF, TIME, Link, Questions, RefusalError, Rows, read_only_error
from spxarb.broker.quotes import Feed
from spxarb.broker.times import zone_named
from spxarb.core import broker_codes
from spxarb.core.broker_words import Message
from spxarb.core.farms import Farms
from spxarb.core.model import NEW_YORK
from spxarb.core.order_events import (
    BrokerEvent,
    CommissionReport,
    FillReport,
    LinkChange,
    OrderMessage,
    OrderUpdate,
    QuoteUpdate,
)
from spxarb.core.printable import from_outside
from spxarb.core.unreadable import COMPLETED_ORDERS, EXECUTIONS, OPEN_ORDERS, POSITIONS, STATUSES
from spxarb.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from datetime import tzinfo

    from ib_insync import contract as ibc
    from ib_insync import order as ibo

    from spxarb.broker.times import ClockReading
    from spxarb.core.broker_books import OrderTicket
    from spxarb.core.contracts import Contract


log = logging.getLogger("spxarb.broker.broker")

FIRST_QUESTION = 1_000_000_000
"""Request ids begin here, far above order ids: the id in an error frame may be either."""

_MAX_NOTICES, _MAX_EVENTS = 200, 10_000
_CLOSING_SECONDS = 1.0
_PACING_SECONDS = 2.0  # ib_insync sends at most 45 requests a second and queues the rest


class Wire:
    """One connection. Make it inside the running loop; `open` it once, `close` it once."""

    def __init__(self, host: str, port: int, client_id: int, user: str | None = None) -> None:
        self.host, self.port, self.client_id, self._user = host, port, client_id, user
        self._loop = asyncio.get_running_loop()
        asyncio.set_event_loop(self._loop)  # ib_insync asks the policy for it
        self.accounts: tuple[str, ...] = ()
        self.events: asyncio.Queue[BrokerEvent] = asyncio.Queue()
        self.notices: list[str] = []
        self.messages: list[Message] = []
        """What the gateway said without a request or an order and that is not routine, each once."""
        self.link = Link(f"{host}:{port}")
        self.questions = Questions(self.link)
        self.commissions = Commissions()
        self.feed = Feed()
        self.farms = Farms()
        self.quotes_moved = asyncio.Event()
        self.client_id_in_use = False
        self.progress = ""  # how far a failed logon came: '' (no TCP), 'tcp', 'version'
        self.version_error = ""  # why ib_insync cannot talk to this gateway
        self.clock_reading: ClockReading | None = None
        self.zones: set[tzinfo | None] = set()
        """Zones that the gateway may live in, by its greeting and its executions; None: one not known."""
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._closing = False
        self._refs: dict[int, str] = {}
        self._what_ifs: set[int] = set()
        self._next_order_id = 1
        self.told_order_id: int | None = None
        """The next valid order id that the gateway told when the connection was made."""
        self._next_question = FIRST_QUESTION
        self.accept_delayed = False
        """Whether delayed quotes will do where the account has no live ones."""
        self._data_type_requested = False
        self._queue_sent = asyncio.Event()  # clear while ib_insync holds requests back
        self._queue_sent.set()
        self._allowance = bounds.Allowance()
        self._client = self._make_client()

    @property
    def server_version(self) -> int:
        """Of the API, as agreed on; 0 before that."""
        return int(self._client.serverVersion() or 0)

    def _make_client(self) -> Any:
        wrapper = SimpleNamespace(
            connectAck=lambda: None,
            setEventsDone=self._on_closed,
            connectionClosed=lambda: None,
            tcpDataProcessed=self._on_data_processed,
            openOrder=self._on_open_order,
            completedOrder=self._on_completed_order,
            contractDetails=lambda req_id, row: self._row(req_id, row, Rows.CONTRACTS),
        )
        ears = Ears(self._on_unreadable, self._note_zone, self._drop)
        client, self._reader = make_client(wrapper, self._frames(), ears, self._user)
        client.apiError += self._on_api_error
        client.throttleStart += self._queue_sent.clear
        client.throttleEnd += self._queue_sent.set
        return client

    def _frames(self) -> dict[int, Callable[[Fields], object]]:
        """Handlers of the short frames by message id (class `IN` of IBKR's client)."""
        feed, now = self.feed, time.monotonic
        return {
            1: lambda f: feed.price(f, now()),
            2: lambda f: feed.size(f, now()),
            3: self._on_order_status,
            4: self._on_error,
            9: self._on_next_valid_id,
            11: self._on_execution,
            15: self._on_accounts,
            17: lambda f: self.questions.end(int(f[1]), convert.daily_closes(f), by=Rows.BARS),
            21: lambda f: feed.greeks(f, now()),
            45: lambda f: feed.generic(f, now()),
            46: lambda f: feed.text(f, now()),
            # With this machine's clock at the arrival: what waits in our own queue is not late.
            49: lambda f: self.questions.end(TIME, (convert.gateway_time(f), datetime.now(NEW_YORK))),
            52: lambda f: self.questions.end(int(f[2]), by=Rows.CONTRACTS),
            53: lambda _: self.questions.end(OPEN_ORDERS),
            55: lambda f: self.questions.end(int(f[2]), by=Rows.FILLS),
            58: feed.data_type,
            59: self._on_commission,
            61: lambda f: self._row(POSITIONS, convert.position(f)),
            62: lambda _: self.questions.end(POSITIONS),
            63: lambda f: self._row(int(f[2]), convert.account_row(f, 7), Rows.SUMMARY),
            64: lambda f: self.questions.end(int(f[2]), by=Rows.SUMMARY),
            73: lambda f: self._row(int(f[2]), convert.account_row(f, 8), Rows.UPDATES),
            74: lambda f: self.questions.end(int(f[2]), by=Rows.UPDATES),
            93: lambda f: self.questions.end(("market rule", int(f[1])), convert.tick_rule(f)),
            102: lambda _: self.questions.end(COMPLETED_ORDERS),
        }

    # --- the connection ----------------------------------------------------------------------

    async def open(self) -> None:
        """TCP, version, startApi; returns once the accounts and the first order id have arrived.

        Raises OSError when TCP fails and ConnectionError when the gateway closes first. It has no deadline of
        its own: the caller sets one. After a failure the wire is useless: make another.
        """
        self.link.up = True  # until a frame or the socket shows otherwise
        steps = self._client.connectAsync(self.host, self.port, self.client_id, 0)
        connecting = self._loop.create_task(steps)
        try:
            # On a duplicate client id the gateway sends 326 and closes; ib_insync would wait on until its own
            # timeout, so the close ends the attempt here.
            await asyncio.wait({connecting, self.closed}, return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                raise ConnectionError("closed by the gateway")  # noqa: TRY301 (one way out for both)
            connecting.result()
        except BaseException:
            self._closing = True
            self._note_progress()
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            if self.progress:
                self._client.disconnect()
                await asyncio.wait({self.closed}, timeout=_CLOSING_SECONDS)
            raise

    def _note_progress(self) -> None:
        tcp = self._client.conn.numMsgSent > 0 or self._client.conn.isConnected()
        self.progress = "version" if self._client.serverVersion() else "tcp" if tcp else ""

    def _on_api_error(self, text: str) -> None:
        if "version" in text:
            self.version_error = text

    async def close(self) -> None:
        """Send what is queued, close our half, read until the gateway closes its own, within seconds."""
        self._closing = True
        try:
            async with asyncio.timeout(_PACING_SECONDS):
                await self._queue_sent.wait()
        except TimeoutError:
            self.notice("some requests were still queued when the connection was closed")
        transport = self._client.conn.transport
        # Closing a socket with unread data in it sends a reset (RFC 1122, 4.2.2.13), and a reset may discard
        # what we sent last: an order. So our half is closed first, and the rest is read.
        if transport is not None and not self.closed.done():
            half_close(transport)
            await asyncio.wait({self.closed}, timeout=_CLOSING_SECONDS)
        if self._client.conn.isConnected():
            self._client.disconnect()
            await asyncio.wait({self.closed}, timeout=_CLOSING_SECONDS)
        self._on_link(LinkChange(up=False, code=0, text="closed"))

    def _on_closed(self) -> None:
        if not self.closed.done():
            self._reader.ended()
            self.closed.set_result(None)
            if not self.link.cut:
                self._on_link(LinkChange(up=False, code=0, text="the gateway closed the connection"))

    def _drop(self, did: str) -> None:
        """The gateway went past a bound: nothing of it is believed or kept any more."""
        self.link.cut = f"the gateway {did}, and was cut off"
        log.error("gateway: %s", self.link.cut)
        if transport := self._client.conn.transport:
            transport.abort()
        self._on_link(LinkChange(up=False, code=0, text=self.link.cut))

    def _row(self, key: Hashable, row: Any, by: Rows | None = None) -> bool:
        """A row of an answer, of the frame at hand; False where nobody asked."""
        taken = self.questions.row(key, row, self._reader.size, by)
        if taken:
            self._reader.asked_for()
        return taken

    def _event(self, event: BrokerEvent) -> None:
        """One about an order: kept however many wait, but not without end."""
        self._allowance.count(bounds.ORDER_EVENTS)
        self.events.put_nowait(event)

    def _on_link(self, change: LinkChange) -> None:
        if change.up:
            self.link.up = True
        else:
            self.link.lose(f"{change.code} {change.text}" if change.code else change.text)
            self.questions.fail_all()
        if self._closing:
            return
        self._allowance.count(bounds.LINK_CHANGES)
        self.events.put_nowait(change)
        self.quotes_moved.set()
        if change.code:
            self.notice(f"{change.code} {change.text}")
        if change.data_lost:  # 1101: the gateway has forgotten our market data subscriptions
            for contract in self.feed.contracts():
                self._subscribe(contract)

    def notice(self, text: str) -> None:
        """Keep a sentence for a human; the same one once."""
        if text not in self.notices and len(self.notices) < _MAX_NOTICES:
            self.notices.append(text)
            log.info("gateway: %s", text)

    # --- questions ---------------------------------------------------------------------------

    async def ask(
        self,
        key: Hashable,
        name: str,
        send: Callable[[Any], None],
        timeout: float,  # noqa: ASYNC109 (a timeout is reported in words, not as a TimeoutError)
        **how: Any,
    ) -> list[Any]:
        """`Questions.ask`; `send` is given ib_insync's client."""
        return await self.questions.ask(key, name, lambda: send(self._client), timeout, **how)

    def new_question(self) -> int:
        """A fresh id."""
        self._next_question += 1
        return self._next_question

    def _on_unreadable(self, fields: Fields, error: Exception) -> None:
        """A row of a list is kept as one that cannot be read; any other answer with a hole is no answer."""
        frame, text = fields[:1], from_outside(f"{type(error).__name__}: {error}")
        if self._allowance.within(bounds.LOGGED):
            log.debug("unreadable frame %s: %s", fields[: bounds.FIELDS_LOGGED], text)
        row = convert.unreadable(fields, text)
        if row is not None:
            # The rows of executions have a request id, which may be what cannot be read.
            key = OPEN_ORDERS if row.list == STATUSES else self.questions.key_of(row.list)
            if not self._row(key, row, Rows.FILLS if row.list == EXECUTIONS else None):
                self._allowance.count(bounds.UNREADABLE)
            self.notice(str(row))
            return
        self._allowance.count(bounds.UNREADABLE)
        place = QUESTION_OF.get(frame[0] if frame else "")
        if frame == ["10"] and self._client.serverVersion() < WITHOUT_VERSION:
            place = 2
        key = convert.whole_number(fields, place) if isinstance(place, int) else place
        what = f"The gateway sent a frame {' '.join(frame)} that cannot be read ({text})"
        if frame == ["10"] and key is not None:  # one contract of perhaps hundreds
            self._row(key, odd_details(fields, text, server=self._client.serverVersion()), Rows.CONTRACTS)
            self.notice(what)
            return
        asked = self.questions.name(key)
        self.questions.fail(key, GatewayError(f"{what}, in answer to the request for {asked}"))
        self.notice(what)

    def end_positions(self) -> None:
        """End the subscription that reqPositions is: each question for positions stands alone."""
        self._client.cancelPositions()

    def end_summary(self, req_id: int) -> None:
        """End an account summary subscription: the gateway allows two at a time (322 for a third)."""
        self._client.cancelAccountSummary(req_id)

    def end_account_updates(self, req_id: int) -> None:
        """End an account updates subscription."""
        self._client.cancelAccountUpdatesMulti(req_id)

    # --- orders ------------------------------------------------------------------------------

    def next_order_id(self) -> int:
        """Reserve an order id, above every one seen so far."""
        self._next_order_id += 1
        return self._next_order_id - 1

    def follow(self, order_ref: str, order_id: int) -> None:
        """Give the reference of an order that an earlier connection of this client id sent."""
        self._refs.setdefault(order_id, order_ref)
        self.seen_order_id(order_id)

    def seen_order_id(self, order_id: int) -> None:
        """Never hand out this id or a lower one."""
        self._next_order_id = max(self._next_order_id, order_id + 1)

    def place(self, ticket: OrderTicket, order_id: int, account: str, *, what_if: bool = False) -> None:
        """Send an order once, or modify the live one under that id. GatewayError: nothing was sent."""
        # Not while the gateway is cut off from IB (1100): by "maintain and resubmit orders when connection is
        # restored", the default since Gateway 10.28, it would keep the order and send it whenever IB is back.
        self.link.require(f"order {ticket.order_ref} was not sent")
        if what_if:
            self._what_ifs.add(order_id)
        else:
            self._refs[order_id] = ticket.order_ref
        self.seen_order_id(order_id)
        order = ib_order(ticket, account, what_if=what_if)
        self._client.placeOrder(order_id, ib_contract(ticket.contract), order)

    def cancel(self, order_id: int) -> None:
        """Send one cancel for an order of this client id. GatewayError: nothing was sent."""
        # Unlike an order, a cancel may go out while the gateway is cut off: late is better than never.
        if self.closed.done():
            raise self.link.lost(f"order {order_id} was not cancelled")
        self._client.cancelOrder(order_id)

    def _on_next_valid_id(self, f: Fields) -> None:
        told = convert.whole(f[2])
        if self.told_order_id is None:
            self.told_order_id = told
        self.seen_order_id(told - 1)

    def _on_order_status(self, f: Fields) -> None:
        row = convert.order_status(f)
        self._row(OPEN_ORDERS, row)
        # Order ids are counted per client: another client's order may have the same one.
        if row.client_id == self.client_id:
            self._event(
                OrderUpdate(
                    order_ref=self._refs.get(row.order_id, ""),
                    order_id=row.order_id,
                    status=row.status,
                    filled=row.filled,
                    remaining=convert.number(f[4]),
                    perm_id=row.perm_id,
                )
            )

    def _on_open_order(
        self, order_id: int, contract: ibc.Contract, order: ibo.Order, state: ibo.OrderState
    ) -> None:
        if order.whatIf:
            answer = convert.margin(state)
            self._row(order_id, answer, Rows.WHAT_IF)
            # A what-if has no end frame: the first openOrder with numbers in it ends the answer.
            if answer.initial_change is not None or answer.initial_after is not None:
                self.questions.end(order_id, by=Rows.WHAT_IF)
            return
        row = convert.broker_order(contract, order, state)
        self._row(OPEN_ORDERS, row)
        if row.client_id == self.client_id:
            # Some rows come without the client's reference (node-ib#110): the order keeps its own.
            self._refs[order_id] = row.order_ref or self._refs.get(order_id, "")
            self.seen_order_id(order_id)
            self._event(OrderUpdate(self._refs[order_id], order_id, row.status, perm_id=row.perm_id))

    def _on_completed_order(self, contract: ibc.Contract, order: ibo.Order, state: ibo.OrderState) -> None:
        self._row(COMPLETED_ORDERS, convert.broker_order(contract, order, state))

    def _on_execution(self, f: Fields) -> None:
        execution = convert.execution(f, self._gateway_now())
        self._note_zone(f[15])
        if execution.time_doubt:
            self.notice(execution.time_doubt)
        # Request id -1: a fill as it happens; else a row of an answer to reqExecutions.
        if int(f[1]) >= 0:
            if self._row(int(f[1]), execution, Rows.FILLS):
                self.commissions.listed(execution.exec_id)
        else:
            self.commissions.live(execution.exec_id)
            self._event(FillReport(execution))

    def _gateway_now(self) -> datetime:
        """The gateway's clock, as last read and counted on, in whole seconds like the times of fills."""
        now = self.clock_reading.now() if self.clock_reading else datetime.now(NEW_YORK)
        return now.replace(microsecond=0)

    def _note_zone(self, text: str) -> None:
        self.zones |= zone_named(text)

    def _on_commission(self, f: Fields) -> None:
        """A commissionReport carries no request id: it may belong to an answer or to a fill just now."""
        exec_id, commission = f[2], convert.number(f[3])
        if self.commissions.is_due(exec_id):
            self._reader.asked_for()
        if not self.commissions.learn(exec_id, commission):
            return
        self._allowance.count(bounds.COMMISSIONS)
        if EXECUTIONS not in self.questions.names() or self.commissions.is_live(exec_id):
            self.events.put_nowait(CommissionReport(exec_id, commission))

    def _on_accounts(self, f: Fields) -> None:
        # A login with several accounts gets a trailing comma.
        self.accounts = tuple(part for part in f[2].split(",") if part)

    # --- messages ----------------------------------------------------------------------------

    def _on_error(self, f: Fields) -> None:
        """An error frame: failure, warning or notice, tied to a request, to an order or to nothing (-1)."""
        self._allowance.count(bounds.MESSAGES)
        req_id, code, text = convert.whole(f[2]), convert.whole(f[3]), convert.plain_text(f[4])
        if code in broker_codes.LINK_DOWN | broker_codes.LINK_UP:
            up, lost = code in broker_codes.LINK_UP, code == broker_codes.LINK_RESTORED_DATA_LOST
            self._on_link(LinkChange(up=up, code=code, text=text, data_lost=lost))
        elif req_id in self.questions:
            self._on_refusal(req_id, code, text)
        elif 0 < req_id < FIRST_QUESTION and req_id not in self._what_ifs:
            self._event(OrderMessage(self._refs.get(req_id, ""), req_id, code, text))
        elif line := self.feed.error(req_id, code, text):
            self.notice(f"{line.contract}: {code} {text}")
        else:
            self._on_message(code, text)

    def _on_refusal(self, key: int, code: int, text: str) -> None:
        name = self.questions.name(key)
        if code in broker_codes.WARNINGS:
            self.notice(f"{name}: {code} {text}")
        else:
            self.questions.fail(key, RefusalError(name, code, text))

    def _on_message(self, code: int, text: str) -> None:
        message = Message(code, text)
        self.farms.on_message(code, text)
        if message.blocks:
            self.link.blocked = message
        if not message.is_routine and message not in self.messages and len(self.messages) < _MAX_NOTICES:
            self.messages.append(message)
        self.client_id_in_use = self.client_id_in_use or code == broker_codes.CLIENT_ID_IN_USE
        if code == broker_codes.VALIDATION_FAILED and re.search(r"read.?only", text, re.IGNORECASE):
            # The refusal names no request (id -1), and nothing else will come in answer to these two.
            for key in (OPEN_ORDERS, COMPLETED_ORDERS):
                self.questions.fail(key, read_only_error(self.link.where))
        if code not in broker_codes.ROUTINE_NOTICES:
            self.notice(f"{code} {text}")

    # --- quotes ------------------------------------------------------------------------------

    def watch(self, contract: Contract) -> None:
        """Start streaming the contract's quotes, unless they stream already."""
        if contract.con_id not in self.feed:
            self._subscribe(contract)

    def _subscribe(self, contract: Contract) -> None:
        # To enter, live data or none (1). With 3 the gateway turns to delayed quotes when an entitlement
        # lapses (IBKR, reqMarketDataType): better than none to leave. The type holds for the session and must
        # precede the first reqMktData.
        if not self._data_type_requested:
            self._client.reqMarketDataType(3 if self.accept_delayed else 1)
            self._data_type_requested = True
        req_id = self.new_question()
        self.feed.add(req_id, contract)
        self._client.reqMktData(req_id, ib_contract(contract), "", False, False, [])

    def _on_data_processed(self) -> None:
        for line in self.feed.moved():
            if self.events.qsize() < _MAX_EVENTS:  # beyond that nobody reads them; `quote` has the latest
                self.events.put_nowait(QuoteUpdate(line.contract.con_id, line.quote()))
            self.quotes_moved.set()
