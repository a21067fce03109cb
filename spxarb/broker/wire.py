"""One connection to the gateway: questions with deadlines, orders, and what it says unasked.

Of ib_insync it takes the client (framing, versions, requests, pacing) and the decoder of the long frames;
not its wrapper, which infers order states, wipes its caches to "nothing" when the link is lost, and waits
without end or for too short a time.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from spxarb.broker import convert
from spxarb.broker.frames import Fields, ib_contract, ib_order, make_client, unescaped
from spxarb.broker.questions import (
    COMPLETED_ORDERS,
    EXECUTIONS,
    OPEN_ORDERS,
    POSITIONS,
    TIME,
    Link,
    Questions,
    RefusalError,
)
from spxarb.broker.quotes import Feed
from spxarb.core import broker_codes
from spxarb.core.model import (
    NEW_YORK,
    BrokerEvent,
    CommissionReport,
    Contract,
    FillReport,
    LinkChange,
    OrderMessage,
    OrderTicket,
    OrderUpdate,
    QuoteUpdate,
)
from spxarb.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from decimal import Decimal

    from ib_insync import contract as ibc
    from ib_insync import order as ibo


log = logging.getLogger("spxarb.broker.broker")

FIRST_QUESTION = 1_000_000_000
"""Ids of questions begin here, far above order ids: an error frame tells of one or the other."""

_MOST_NOTICES = 200
_MOST_EVENTS = 10_000
_CLOSING_SECONDS = 1.0
_PACED_SECONDS = 2.0  # ib_insync sends at most 45 requests a second and holds back the rest


@dataclass(frozen=True, slots=True)
class StatusRow:
    """An orderStatus frame of any client."""

    client_id: int
    order_id: int
    perm_id: int
    status: str
    filled: Decimal | None


class Wire:
    """One connection. Make it inside the running loop; `open` it once, `close` it once."""

    def __init__(self, host: str, port: int, client_id: int) -> None:
        self.host, self.port, self.client_id = host, port, client_id
        self._loop = asyncio.get_running_loop()
        asyncio.set_event_loop(self._loop)  # ib_insync asks the policy for it
        self.accounts: tuple[str, ...] = ()
        self.events: asyncio.Queue[BrokerEvent] = asyncio.Queue()
        self.notices: list[str] = []
        self.link = Link(f"{host}:{port}")
        self.questions = Questions(self.link)
        self.commissions: dict[str, Decimal | None] = {}
        self.feed = Feed()
        self.quotes_moved = asyncio.Event()
        self.id_taken = False
        self.reached = ""  # how far a failed opening came: '' (no TCP), 'tcp', 'version'
        self.last_words = ""  # why ib_insync will not speak with this gateway
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._leaving = False
        self._refs: dict[int, str] = {}
        self._what_ifs: set[int] = set()
        self._live_fills: set[str] = set()
        self._next_order_id = 1
        self._next_question = FIRST_QUESTION
        self._typed = False
        self._paced = asyncio.Event()
        self._paced.set()
        self._client = self._make_client()

    def _make_client(self) -> Any:
        wrapper = SimpleNamespace(
            connectAck=lambda: None,
            setEventsDone=self._on_closed,
            connectionClosed=lambda: None,
            tcpDataProcessed=self._on_data_processed,
            openOrder=self._on_open_order,
            completedOrder=self._on_completed_order,
            contractDetails=self.questions.row,
        )
        client = make_client(wrapper, self._frames(), self._on_unreadable)
        client.apiError += self._on_api_error
        client.throttleStart += self._paced.clear
        client.throttleEnd += self._paced.set
        return client

    def _frames(self) -> dict[int, Callable[[Fields], None]]:
        feed, now = self.feed, time.monotonic
        return {
            1: lambda f: feed.price(f, now()),
            2: lambda f: feed.size(f, now()),
            3: self._on_order_status,
            4: self._on_error,
            9: lambda f: self.seen_order_id(int(f[2]) - 1),
            11: self._on_execution,
            15: self._on_accounts,
            21: lambda f: feed.greeks(f, now()),
            45: lambda f: feed.generic(f, now()),
            49: lambda f: self.questions.end(TIME, datetime.fromtimestamp(int(f[2]), NEW_YORK)),
            52: lambda f: self.questions.end(int(f[2])),
            53: lambda _: self.questions.end(OPEN_ORDERS),
            55: lambda f: self.questions.end(int(f[2])),
            58: feed.data_type,
            59: self._on_commission,
            61: lambda f: self.questions.row(POSITIONS, convert.position(f)),
            62: lambda _: self.questions.end(POSITIONS),
            63: lambda f: self.questions.row(int(f[2]), f),
            64: lambda f: self.questions.end(int(f[2])),
            93: lambda f: self.questions.end(("market rule", int(f[1])), convert.tick_rule(f)),
            102: lambda _: self.questions.end(COMPLETED_ORDERS),
        }

    # --- the connection ----------------------------------------------------------------------

    async def open(self) -> None:
        """TCP, version, startApi; returns once the accounts and the first order id are known.

        Raises OSError when TCP fails and ConnectionError when the gateway closes first. It has no
        deadline of its own: wrap it in one. After a failure the wire is finished: make another.
        """
        self.link.up = True  # until a frame or the socket says otherwise
        steps = self._client.connectAsync(self.host, self.port, self.client_id, 0)
        connecting = self._loop.create_task(steps)
        try:
            await asyncio.wait({connecting, self.closed}, return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                raise ConnectionError("closed by the gateway")  # noqa: TRY301 (one way out for both)
            connecting.result()
        except BaseException:
            self._leaving = True
            self._note_how_far()
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            if self.reached:
                self._client.disconnect()
                await asyncio.wait({self.closed}, timeout=_CLOSING_SECONDS)
            raise

    def _note_how_far(self) -> None:
        tcp = self._client.conn.numMsgSent > 0 or self._client.conn.isConnected()
        self.reached = "version" if self._client.serverVersion() else "tcp" if tcp else ""

    def _on_api_error(self, text: str) -> None:
        if "version" in text:
            self.last_words = text

    async def close(self) -> None:
        """Send what waits, end our half, read until the gateway ends its own, all within a few seconds.

        Reading on matters: closing over unread data resets the socket, and a reset can eat an order.
        """
        self._leaving = True
        try:
            async with asyncio.timeout(_PACED_SECONDS):
                await self._paced.wait()
        except TimeoutError:
            self.notice("some requests were still waiting to be sent when the connection was closed")
        transport = self._client.conn.transport
        if transport is not None and not self.closed.done():
            transport.write_eof()
            await asyncio.wait({self.closed}, timeout=_CLOSING_SECONDS)
        if self._client.conn.isConnected():
            self._client.disconnect()
            await asyncio.wait({self.closed}, timeout=_CLOSING_SECONDS)
        self._link(LinkChange(up=False, code=0, text="closed"))

    def _on_closed(self) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
            self._link(LinkChange(up=False, code=0, text="the gateway closed the connection"))

    def _link(self, change: LinkChange) -> None:
        if change.up:
            self.link.up = True
        else:
            self.link.lose(f"{change.code} {change.text}" if change.code else change.text)
            self.questions.fail_all()
        if self._leaving:
            return
        self.events.put_nowait(change)
        self.quotes_moved.set()
        if change.code:
            self.notice(f"{change.code} {change.text}")
        if change.data_lost:
            for contract in self.feed.contracts():
                self._subscribe(contract)

    def notice(self, text: str) -> None:
        """Keep a sentence for a human, once."""
        if text not in self.notices and len(self.notices) < _MOST_NOTICES:
            self.notices.append(text)
            log.info("gateway: %s", text)

    # --- questions ---------------------------------------------------------------------------

    async def ask(
        self,
        key: Hashable,
        name: str,
        send: Callable[[Any], None],
        timeout: float,  # noqa: ASYNC109 (its end is an answer in words, not a TimeoutError)
        *,
        some_will_do: bool = False,
    ) -> list[Any]:
        """`Questions.ask`, where `send` gets ib_insync's client."""

        def ask() -> None:
            send(self._client)

        return await self.questions.ask(key, name, ask, timeout, some_will_do=some_will_do)

    def new_question(self) -> int:
        """A fresh id for a question."""
        self._next_question += 1
        return self._next_question

    def _on_unreadable(self, fields: Fields, error: Exception) -> None:
        frame, text = fields[:1], f"{type(error).__name__}: {error}"
        log.debug("unreadable frame %s: %s", fields, text)
        place = _QUESTION_OF.get(frame[0] if frame else "")
        key: Hashable = place
        if isinstance(place, int):
            key = int(fields[place]) if fields[place : place + 1] and fields[place].isdigit() else None
        what = f"The gateway sent a frame {' '.join(frame)} that cannot be read ({text})"
        asked = self.questions.name(key)
        self.questions.fail(key, GatewayError(f"{what}, in answer to the question for {asked}"))
        self.notice(what)

    def end_positions(self) -> None:
        """Each question for positions stands alone: no stream of changes after it."""
        self._client.cancelPositions()

    def end_summary(self, req_id: int) -> None:
        """Free one of the two account summaries that the gateway allows."""
        self._client.cancelAccountSummary(req_id)

    # --- orders ------------------------------------------------------------------------------

    def next_order_id(self) -> int:
        """Reserve an order id, above every one seen."""
        self._next_order_id += 1
        return self._next_order_id - 1

    def follow(self, order_ref: str, order_id: int) -> None:
        """Name the order of an earlier connection of this client id."""
        self._refs.setdefault(order_id, order_ref)
        self.seen_order_id(order_id)

    def seen_order_id(self, order_id: int) -> None:
        """Never give out this id or a lower one."""
        self._next_order_id = max(self._next_order_id, order_id + 1)

    def place(self, ticket: OrderTicket, order_id: int, account: str, *, what_if: bool = False) -> None:
        """Send an order once, or modify the one of that id. GatewayError: nothing was sent."""
        self.link.require(f"order {ticket.order_ref} was not sent")
        if what_if:
            self._what_ifs.add(order_id)
        else:
            self._refs[order_id] = ticket.order_ref
        self.seen_order_id(order_id)
        order = ib_order(ticket, account, what_if=what_if)
        self._client.placeOrder(order_id, ib_contract(ticket.contract), order)

    def cancel(self, order_id: int) -> None:
        """Ask for the end of an order of this client id, once. GatewayError: nothing was sent."""
        if self.closed.done():
            raise self.link.lost(f"order {order_id} was not cancelled")
        self._client.cancelOrder(order_id)

    def _on_order_status(self, f: Fields) -> None:
        row = StatusRow(int(f[9] or 0), int(f[1]), int(f[6] or 0), f[2], convert.number(f[3]))
        self.questions.row(OPEN_ORDERS, row)
        if row.client_id == self.client_id:
            self.events.put_nowait(
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
            self.questions.row(order_id, answer)
            if answer.initial_change is not None or answer.initial_after is not None:
                self.questions.end(order_id)
            return
        row = convert.broker_order(contract, order, state)
        self.questions.row(OPEN_ORDERS, row)
        if row.client_id == self.client_id:
            self._refs[order_id] = row.order_ref
            self.seen_order_id(order_id)
            self.events.put_nowait(OrderUpdate(row.order_ref, order_id, row.status, perm_id=row.perm_id))

    def _on_completed_order(self, contract: ibc.Contract, order: ibo.Order, state: ibo.OrderState) -> None:
        self.questions.row(COMPLETED_ORDERS, convert.broker_order(contract, order, state))

    def _on_execution(self, f: Fields) -> None:
        execution, doubt = convert.execution(f)
        if doubt:
            self.notice(doubt)
        if int(f[1]) >= 0:
            self.questions.row(int(f[1]), execution)
        else:
            self._live_fills.add(execution.exec_id)
            self.events.put_nowait(FillReport(execution))

    def _on_commission(self, f: Fields) -> None:
        exec_id, commission = f[2], convert.number(f[3])
        self.commissions[exec_id] = commission
        told_with_answer = EXECUTIONS in self.questions.names() and exec_id not in self._live_fills
        if not told_with_answer:
            self.events.put_nowait(CommissionReport(exec_id, commission))

    def _on_accounts(self, f: Fields) -> None:
        self.accounts = tuple(part for part in f[2].split(",") if part)

    # --- messages ----------------------------------------------------------------------------

    def _on_error(self, f: Fields) -> None:
        req_id, code, text = int(f[2]), int(f[3]), unescaped(f[4])
        if code in broker_codes.LINK_DOWN | broker_codes.LINK_UP:
            up, lost = code in broker_codes.LINK_UP, code == broker_codes.LINK_RESTORED_DATA_LOST
            self._link(LinkChange(up=up, code=code, text=text, data_lost=lost))
        elif req_id in self.questions:
            self._on_refusal(req_id, code, text)
        elif 0 < req_id < FIRST_QUESTION and req_id not in self._what_ifs:
            self.events.put_nowait(OrderMessage(self._refs.get(req_id, ""), req_id, code, text))
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
        self.id_taken = self.id_taken or code == broker_codes.CLIENT_ID_IN_USE
        if code == broker_codes.VALIDATION_FAILED and re.search(r"read.?only", text, re.IGNORECASE):
            for key in (OPEN_ORDERS, COMPLETED_ORDERS):
                self.questions.fail(key, _read_only(self.link.where))
        if code not in broker_codes.ROUTINE_NOTICES:
            self.notice(f"{code} {text}")

    # --- quotes ------------------------------------------------------------------------------

    def watch(self, contract: Contract) -> None:
        """Start streaming; nothing happens when it streams already."""
        if contract.con_id not in self.feed:
            self._subscribe(contract)

    def _subscribe(self, contract: Contract) -> None:
        if not self._typed:
            self._client.reqMarketDataType(1)  # per session, before the first request
            self._typed = True
        req_id = self.new_question()
        self.feed.add(req_id, contract)
        self._client.reqMktData(req_id, ib_contract(contract), "", False, False, [])

    def _on_data_processed(self) -> None:
        for line in self.feed.moved():
            if self.events.qsize() < _MOST_EVENTS:  # else nobody reads them: `quote` has the latest
                self.events.put_nowait(QuoteUpdate(line.contract.con_id, line.quote()))
            self.quotes_moved.set()


# Whose answer a frame belongs to: a name, or the field that holds the id.
_QUESTION_OF: dict[str, str | int] = {
    "3": OPEN_ORDERS, "5": OPEN_ORDERS, "10": 1, "11": 1, "49": TIME, "61": POSITIONS, "63": 2,
    "101": COMPLETED_ORDERS,
}  # fmt: skip


def _read_only(where: str) -> GatewayError:
    return GatewayError(
        f"The gateway at {where} is set to Read-Only API: it shows no orders and takes none",
        mend='Clear "Read-Only API" in the Gateway under Configure, Settings, API, Settings',
    )
