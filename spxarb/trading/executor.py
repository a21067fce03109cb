"""Runs a procedure of `core.execution`: performs its actions at the broker and feeds it what happens.

The ledger comes first: an intent is on disk before its order is sent, an execution before the procedure
receives it. Whatever the broker reports of our orders is recorded, whatever the procedure makes of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from spxarb.core.broker_codes import CANCELLATION
from spxarb.core.broker_words import Message
from spxarb.core.fees import commission_share
from spxarb.core.identity import OrderIndex
from spxarb.core.model import ZERO
from spxarb.core.order_events import (
    CommissionReport,
    FillReport,
    NotSent,
    OrderMessage,
    OrderUpdate,
    SnapshotFailed,
    SnapshotTaken,
    StopRequested,
    Timer,
)
from spxarb.core.order_words import ABSENT, Purpose
from spxarb.core.reconcile import completed
from spxarb.core.records import Fill, OrderRecord, order_name
from spxarb.core.steps import Cancel, Place, Reprice, TakeSnapshot, Wake
from spxarb.errors import GatewayError
from spxarb.trading.by_hand import fills_by_hand

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from decimal import Decimal

    from spxarb.broker.broker import Broker
    from spxarb.core.broker_books import BrokerSnapshot, Execution, OrderTicket
    from spxarb.core.fees import FeeSchedule
    from spxarb.core.order_events import Event
    from spxarb.core.steps import Action, SpreadState, Steps
    from spxarb.core.tracking import TrackedOrder
    from spxarb.ledger.ledger import Ledger
    from spxarb.trading.waits import WaitClock

T = TypeVar("T")

OVERDUE_SECONDS = 0.25
"""A timer this late goes before waiting events, so that a flood of quotes cannot hold it up."""
STOP_POLL_SECONDS = 0.25
"""How often the ledger is checked for a stop of trading."""


class OrderExecutor:
    """Performs one procedure at a time over one connection, recording it in the ledger."""

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        fees: FeeSchedule,
        now: Callable[[], datetime],
        waits: WaitClock,
        on_send: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_send` is called before anything that changes something is sent."""
        self.broker, self.ledger, self.fees, self.now, self.waits = broker, ledger, fees, now, waits
        self._on_send = on_send
        broker.skip_order_ids(ledger.orders.highest_id(broker.client_id))
        for record in ledger.orders.unproven():
            if record.client_id == broker.client_id and record.order_id:
                broker.follow(record.ref, record.order_id)
        self.said: dict[str, list[Message]] = {}
        """What the broker said of each order over this connection, by reference; oldest first, each once."""
        self.cancelled: set[str] = set()
        self._fills_told: set[str] = set()
        self.doubts: dict[str, None] = {}
        """What is doubtful about fills that are new to the ledger, in words."""
        self._ready: deque[Event] = deque()
        self._deadlines: dict[str, float] = {}
        self._snapshot: asyncio.Task[Event] | None = None
        self._stop_reason: Callable[[], str | None] | None = None
        self._next_poll = 0.0
        self._unrecorded: deque[Event] = deque()
        self._failure: Exception | None = None
        self.acted = 0
        """How many orders, changes and cancels went out."""

    async def run(
        self, steps: Steps[T], spread: SpreadState, stop_reason: Callable[[], str | None] | None = None
    ) -> T:
        """Drive a procedure to its end; it is stopped once `stop_reason`, polled, returns a reason.

        Events that the ledger cannot take are written down later, and hold nothing up. Raises what kept them
        out when they are not in it at the end, and at once when an intent cannot be written.
        """
        self._deadlines.clear()
        self._stop_reason, self._next_poll = stop_reason, 0.0
        try:
            actions = next(steps)
            while True:
                for action in actions:
                    self._perform(action, spread)
                event = self._named(await self._event(spread))
                self._unrecorded.append(event)
                self._catch_up()
                try:
                    actions = steps.send(event)
                finally:
                    self._record_ends(spread)
        except StopIteration as done:
            result: T = done.value
        finally:
            await self._drop_snapshot()
            failed, self._failure = self._failure, None
            self._catch_up()
            self._record_ends(spread)
            left, self._failure = self._failure, None
            self._unrecorded.clear()
        if left is not None:
            raise left
        if failed is not None:
            log.warning("the ledger has it all by now; it could not be written: %s", failed)
        return result

    # --- actions -----------------------------------------------------------------------------

    def _perform(self, action: Action, spread: SpreadState) -> None:
        match action:
            case Place():
                self._place(action, spread)
            case Reprice():
                self._reprice(action, spread.orders[action.ref])
            case Cancel():
                self._cancel(spread.orders[action.ref])
            case TakeSnapshot():
                self._snapshot = asyncio.create_task(self._take_snapshot())
            case Wake():
                self._deadlines[action.name] = self.waits.now() + action.seconds

    def _place(self, action: Place, spread: SpreadState) -> None:
        ticket, order_id = action.ticket, self.broker.next_order_id()
        record = OrderRecord(
            ticket=ticket,
            trade_id=spread.trade_id,
            leg=action.leg,
            purpose=action.purpose,
            attempt=action.attempt,
            client_id=self.broker.client_id,
            order_id=order_id,
            created_at=self.now(),
            overnight=spread.orders[ticket.order_ref].overnight,
        )
        self.ledger.orders.intend(record)
        self._writable_again()
        self.acted += 1
        log.info("order %s: %s", ticket.order_ref, _words(ticket))
        track = spread.orders[ticket.order_ref]
        track.client_id, track.order_id = self.broker.client_id, order_id
        self._on_send()
        try:
            self.broker.place(ticket, order_id)
        except GatewayError as error:
            self._ready.append(NotSent(ticket.order_ref, str(error)))

    def _reprice(self, action: Reprice, track: TrackedOrder) -> None:
        self.ledger.orders.reprice(action.ref, action.limit, self.now())
        self._writable_again()
        self.acted += 1
        log.info("order %s: limit %s", action.ref, action.limit)
        self._on_send()
        try:
            self.broker.place(replace(track.ticket, limit=action.limit), track.order_id)
        except GatewayError as error:
            self._ready.append(NotSent(action.ref, str(error)))

    def _cancel(self, track: TrackedOrder) -> None:
        if not track.own_client or not track.order_id:
            log.warning("order %s: only client id %s can cancel it", track.ref, track.client_id)
            return
        self.ledger.orders.add_step(track.ref, "cancel", self.now())
        self.cancelled.add(track.ref)
        self.acted += 1
        log.info("order %s: cancel", track.ref)
        self._on_send()
        with suppress(GatewayError):  # the link is down: the procedure sees that and takes a snapshot later
            self.broker.cancel(track.order_id)

    async def _take_snapshot(self) -> Event:
        epoch = self.broker.link_epoch
        try:
            snapshot = await self.snapshot()
        except GatewayError as error:
            return SnapshotFailed(str(error))
        return SnapshotTaken(snapshot, self.waits.now(), epoch)

    # --- whose it is -------------------------------------------------------------------------

    def follow(self, tracks: Iterable[TrackedOrder]) -> None:
        """Hear of orders of this client id whose ids only the broker's list told."""
        for track in tracks:
            if track.own_client and track.order_id:
                self.broker.follow(track.ref, track.order_id)

    def own_orders(self, more: Iterable[Fill] = ()) -> OrderIndex:
        """The orders that today's executions and order lists can belong to.

        With what humans traded of trades that they took; `more`: likewise, not in the ledger yet.
        """
        today = self.now().date()
        fills = [fill for fill in self.ledger.fills.of_day(today) if fill.purpose is Purpose.BY_HAND]
        return OrderIndex(self.ledger.orders.since(today), [*fills, *more])

    async def snapshot(self) -> BrokerSnapshot:
        """What the broker holds now, as `own` shows it. Raises GatewayError."""
        return self.own(await self.broker.snapshot())

    def own(self, snapshot: BrokerSnapshot) -> BrokerSnapshot:
        """The snapshot with our reference on every row of ours, and today's fills from before its list."""
        fills = self.ledger.fills.of_day(snapshot.time.date())
        return completed(self.own_orders().named_snapshot(snapshot), fills)

    def _named(self, event: Event) -> Event:
        """A fill with our reference on it, where it is ours and came without."""
        if isinstance(event, FillReport) and not event.execution.order_ref:
            return FillReport(self.own_orders().named(event.execution))
        return event

    # --- events ------------------------------------------------------------------------------

    async def _event(self, spread: SpreadState) -> Event:
        """The next event, whatever it is."""
        while True:
            if event := self._at_hand(spread):
                return event
            getter = asyncio.ensure_future(self.broker.events.get())
            waiting: set[asyncio.Future[Any]] = {getter, *([self._snapshot] if self._snapshot else [])}
            await asyncio.wait(waiting, timeout=self._patience(), return_when=asyncio.FIRST_COMPLETED)
            if getter.done():
                self._ready.append(getter.result())
            else:
                getter.cancel()

    def _at_hand(self, spread: SpreadState) -> Event | None:
        """An event that is due already: broker events before a snapshot, a snapshot before timers."""
        if self._ready:
            return self._ready.popleft()
        if overdue := self._timer_due(late=OVERDUE_SECONDS):
            return overdue
        with suppress(asyncio.QueueEmpty):
            return self.broker.events.get_nowait()
        # After the events: what arrived before the snapshot's answer must be known before it is judged.
        if self._snapshot is not None and self._snapshot.done():
            answer, self._snapshot = self._snapshot.result(), None
            return answer
        if self._stop_reason is not None and not spread.stop and self.waits.now() >= self._next_poll:
            self._next_poll = self.waits.now() + STOP_POLL_SECONDS
            reason = self._stop_reason()
            if reason is not None:
                return StopRequested(reason)
        return self._timer_due()

    def _timer_due(self, late: float = 0.0) -> Event | None:
        name = min(self._deadlines, key=self._deadlines.__getitem__, default=None)
        if name is None or self._deadlines[name] + late > self.waits.now():
            return None
        del self._deadlines[name]
        return Timer(name)

    def _patience(self) -> float | None:
        """Real seconds until the next timer or poll; None when there is none."""
        moments = [*self._deadlines.values(), *([self._next_poll] if self._stop_reason else [])]
        return self.waits.real(max(0.0, min(moments) - self.waits.now())) if moments else None

    async def _drop_snapshot(self) -> None:
        if self._snapshot is not None:
            self._snapshot.cancel()
            await asyncio.gather(self._snapshot, return_exceptions=True)
            self._snapshot = None

    # --- what is recorded --------------------------------------------------------------------

    def take(self, event: Event, *, record: bool) -> None:
        """Take an event that no procedure waits for: into the ledger, or the broker's words alone."""
        named = self._named(event)
        if record:
            self.record_event(named)
        elif isinstance(named, OrderMessage):
            self._hear(named)

    def _catch_up(self) -> None:
        """Write down what happened. Once that fails, not before an intent could be written, or at the end.

        What the broker did is done all the same, and the procedure knows it: an exit goes on, as far as its
        intents can be written; an entry is stopped and undone.
        """
        while self._unrecorded and self._failure is None:
            try:
                self.record_event(self._unrecorded[0])
            except Exception as error:  # noqa: BLE001 -- raised by `run`, unless it can be written by then
                log.warning("the ledger cannot be written: %s", error)
                self._failure = error
                if self._stop_reason is not None:
                    self._ready.append(StopRequested(f"the ledger cannot be written: {error}"))
            else:
                self._unrecorded.popleft()

    def _writable_again(self) -> None:
        """An intent was written: what could not be before may be now."""
        self._failure = None
        self._catch_up()

    def record_event(self, event: Event) -> None:
        """Record what an event says about our orders."""
        match event:
            case FillReport():
                self.record_executions([event.execution])
            case SnapshotTaken():
                self.record_snapshot(event.snapshot)
            case CommissionReport() if event.commission is not None:
                self.ledger.fills.record_commission(event.exec_id, event.commission)
            case OrderUpdate() if event.order_ref and self._is_ours(event.order_ref):
                self.ledger.orders.seen(event.order_ref, event.status, event.perm_id, self.now())
            case OrderMessage():
                self._record_message(event)
            case _:
                pass

    def _record_message(self, event: OrderMessage) -> None:
        message = self._hear(event)
        if event.order_ref and self._is_ours(event.order_ref):
            self.ledger.orders.add_step(event.order_ref, "message", self.now(), str(message))

    def _hear(self, event: OrderMessage) -> Message:
        """Keep the broker's words on an order; one whose id is not known here is told all the same."""
        words = self.said.setdefault(event.order_ref or f"id {event.order_id}", [])
        message = Message(event.code, event.text)
        if message not in words:
            words.append(message)
        # The answer to our own cancel is what was asked for; any other word of the broker's may not be.
        wanted = event.code == CANCELLATION and event.order_ref in self.cancelled
        level = logging.INFO if wanted else logging.WARNING
        log.log(level, "order %s: the broker reports %s", event.order_ref or event.order_id, message)
        return message

    def record_snapshot(self, snapshot: BrokerSnapshot) -> None:
        """Record what a snapshot shows of our orders; one recorded as done may be listed as open."""
        self.record_executions(snapshot.executions)
        for fill in self.by_hand(snapshot):
            self.ledger.fills.recount(fill)
        for order in snapshot.open_orders:
            record = self._own_order(order.order_ref)
            if record is None:
                continue
            if record.final and record.filled != record.ticket.quantity:
                log.warning("order %s: open after all (%s)", record.ref, order.status)
                self.ledger.orders.revive(record.ref, order.status, self.now())
            self.ledger.orders.seen(record.ref, order.status, order.perm_id, self.now())

    def _is_ours(self, ref: str) -> bool:
        return self.ledger.orders.find(ref) is not None

    def _own_order(self, ref: str) -> OrderRecord | None:
        """The order that this ledger sent under the reference; None for anybody else's."""
        name = order_name(ref)
        return self.ledger.orders.find(ref) if name and name.tag == self.ledger.tag else None

    def record_executions(self, executions: Iterable[Execution]) -> None:
        """Record executions of our orders; one recorded already changes nothing."""
        for execution in executions:
            fill = self.fill_of(execution)
            new = fill is not None and self._is_new(execution)
            if fill is not None and self.ledger.fills.record(fill):
                if execution.time_doubt:
                    self.doubts[execution.time_doubt] = None
                    self.ledger.orders.add_step(
                        execution.order_ref, "message", self.now(), execution.time_doubt
                    )
                if new:
                    what = execution.order_ref, execution.quantity, execution.price
                    log.info("order %s: filled %s at %s", *what)

    def _is_new(self, execution: Execution) -> bool:
        """Whether nobody has told of it: the ledger takes it again when its commission is reported."""
        if execution.exec_id in self._fills_told:
            return False
        self._fills_told.add(execution.exec_id)
        return not self.ledger.fills.knows(execution.exec_id)

    def by_hand(self, snapshot: BrokerSnapshot) -> list[Fill]:
        """What humans traded today of trades that they took, whether or not it is in the ledger yet."""
        return fills_by_hand(self.ledger, snapshot, self.own_orders, self.fees)

    def fill_of(self, execution: Execution) -> Fill | None:
        """The execution as a fill of ours; None when its order is not in this ledger.

        Its commission, dollars, is estimated until it was reported; the estimate is kept beside it.
        """
        record = self._own_order(execution.order_ref)
        if record is None or record.ticket.contract.con_id != execution.con_id:
            return None
        reported = execution.commission
        commission = reported
        if commission is None:  # a correction keeps the fee of what it corrects, until its own is reported
            commission = self.ledger.fills.reported_fee(execution.family)
        estimate = self._estimate(execution, record)
        known = estimate if commission is None else commission
        return Fill(execution, record.trade_id, record.leg, record.purpose, known, reported is None, estimate)

    def _estimate(self, execution: Execution, record: OrderRecord) -> Decimal:
        """Expected commission of one execution, dollars, given the order's other executions."""
        others = [
            fill.execution.quantity
            for fill in self.ledger.fills.of_order(record.ref)
            if fill.execution.family != execution.family
        ]
        before = sum(others, start=ZERO)
        side, quantity, price = execution.side, execution.quantity, execution.price
        return commission_share(self.fees, record.leg, side, before, quantity, price)

    def _record_ends(self, spread: SpreadState) -> None:
        """Bring the ledger in line: orders proven done are final, those that are live again are not."""
        try:
            if self._failure is None:
                final = {record.ref: record.final for record in self.ledger.orders.with_refs(spread.orders)}
                for track in spread.orders.values():
                    if final.get(track.ref, track.proven) != track.proven:
                        self.record_end(track)
        except Exception as error:  # noqa: BLE001 -- as in `_catch_up`: each time all ends are looked at
            self._failure = error

    def record_end(self, track: TrackedOrder) -> None:
        """Record the proven end of an order, or that it has none after all."""
        record = self.ledger.orders.find(track.ref)
        if record is None or record.final == track.proven:
            return
        if not track.proven:
            self.ledger.orders.revive(track.ref, track.state.value, self.now())
            return
        if track.filled != track.ticket.quantity:  # else its fills were told one by one
            log.info("order %s: %s, %s filled", track.ref, track.state, track.filled)
        status = ABSENT if track.absent else track.state.value
        self.ledger.orders.finish(track.ref, status, track.filled, self.now(), _proof(track))


def _words(ticket: OrderTicket) -> str:
    """An order as a trader would say it."""
    price = "at the market" if ticket.limit is None else f"at {ticket.limit}"
    later = "" if ticket.good_after is None else f", inactive until {ticket.good_after:%H:%M}"
    return f"{ticket.side} {ticket.quantity} {ticket.contract} {price}{later}"


def _proof(track: TrackedOrder) -> str:
    return "; ".join(track.messages[-3:]) or track.state.value
