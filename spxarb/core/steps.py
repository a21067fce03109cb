"""How one order is worked until its end is proven, without a socket or a clock: events in, actions out.

Each procedure is a generator: it yields what is to be done now and receives the next event. Its driver
performs the actions in order (an intent is committed before its order is sent), then waits for one event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from spxarb.core.broker_books import OrderTicket, latest_revisions
from spxarb.core.contracts import Quote
from spxarb.core.model import ZERO, LegName, Side
from spxarb.core.order_events import (
    FillReport,
    LinkChange,
    NotSent,
    OrderMessage,
    OrderUpdate,
    QuoteUpdate,
    SnapshotFailed,
    SnapshotTaken,
    StopRequested,
    Timer,
)
from spxarb.core.order_words import PREFIX
from spxarb.core.orders import ABSENCE_SECONDS, SILENCE_SECONDS, CancelState, OrderEvent, OrderState
from spxarb.core.records import OrderName
from spxarb.core.tracking import TrackedOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.broker_books import Execution
    from spxarb.core.contracts import Contract
    from spxarb.core.order_events import Event
    from spxarb.core.order_words import Purpose

T = TypeVar("T")

CANCEL_SECONDS = 5.0
"""How long to wait for the broker to report a cancelled order done, before a snapshot is taken.

Usually a second; but cancels have gone unanswered for minutes (Lean.Brokerages.InteractiveBrokers#256).
"""
SNAPSHOTS = 5
"""How many snapshots are taken to prove the end of one order, before it is left unproven."""
LINK_SECONDS = 20.0
"""How long to wait for the gateway's link to come back before anything is asked or sent."""


# --- actions --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Commit the intent, then send the order."""

    ticket: OrderTicket
    leg: LegName
    purpose: Purpose
    attempt: int


@dataclass(frozen=True, slots=True)
class Reprice:
    """Commit the new limit, then send the order again under its own id, which changes it.

    (IBKR, TWS API, modifying orders: the same order id and fields, but for the price.) One that nobody has
    heard of goes out so too: if it never arrived it is new, else a change, and never a second order.
    """

    ref: str
    limit: Decimal | None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Send the cancel of an order."""

    ref: str


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Ask what the broker holds: SnapshotTaken or SnapshotFailed will follow."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Ask for `Timer(name)` after so many seconds."""

    name: str
    seconds: float


Action = Place | Reprice | Cancel | TakeSnapshot | Wake
if TYPE_CHECKING:
    Steps = Generator[tuple[Action, ...], Event, T]


# --- what is known --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tactics:
    """How orders are worked; see section `execution` of the configuration. Seconds, counts."""

    order_timeout: float = 30.0
    attempts: int = 3
    use_limit_orders: bool = True
    exit_rungs: int = 6
    rung_seconds: float = 5.0
    market_exit: bool = True
    quote_timeout: float = 10.0


@dataclass(slots=True)
class SpreadState:
    """What one procedure knows: its orders, the quotes, the link, whether it was asked to stop.

    `base` are the contracts held by executions of orders that are not tracked here. `attempts` are the
    numbers used so far by leg and purpose, `overnight` is `BrokerSnapshot.overnight` by contract id. `legs`
    are the legs by contract id and `known_executions` the day's executions that `base` has taken into
    account: with them, what others close meanwhile is seen (`taken`, contracts, signed as traded).
    `disconnected`: the connection itself is gone, so that only a new one can help. `unwanted`: two looks have
    shown that nobody bids for the SPX call because it is worth nothing (`exits.worthless`).
    """

    tag: str
    trade_id: int
    base: dict[LegName, int] = field(default_factory=dict)
    attempts: dict[tuple[LegName, Purpose], int] = field(default_factory=dict)
    orders: dict[str, TrackedOrder] = field(default_factory=dict)
    quotes: dict[int, Quote] = field(default_factory=dict)
    overnight: dict[int, Decimal] = field(default_factory=dict)
    legs: Mapping[int, LegName] = field(default_factory=dict)
    known_executions: frozenset[str] = frozenset()
    taken: dict[LegName, int] = field(default_factory=dict)
    link_up: bool = True
    disconnected: bool = False
    stop: str = ""
    unwanted: bool = False
    timers: int = 0

    def take(self, event: Event) -> None:
        """Learn from an event; others' events change nothing."""
        match event:
            case QuoteUpdate():
                self.quotes[event.con_id] = event.quote
            case LinkChange():
                self.link_up = event.up
                self.disconnected = not event.up and not event.code
            case StopRequested():
                self.stop = event.reason or "asked to stop"
            case Timer():
                pass
            case _:
                if isinstance(event, NotSent):
                    self.link_up = False  # the LinkChange that says so is still in the queue
                if isinstance(event, SnapshotTaken):
                    self._see_others(event.snapshot.executions)
                for order in self.orders.values():
                    _deliver(order, event)

    def _see_others(self, executions: Iterable[Execution]) -> None:
        """Sum up what others traded in our contracts since; orders of this ledger carry its tag."""
        ours = f"{PREFIX}{self.tag}:"
        new = [
            row for row in executions if row.con_id in self.legs and row.exec_id not in self.known_executions
        ]
        self.taken = dict.fromkeys(LegName, 0)
        for row in latest_revisions(new):
            if not row.order_ref.startswith(ours):
                self.taken[self.legs[row.con_id]] += int(row.quantity * row.side.sign)

    def held(self, leg: LegName) -> int:
        """Contracts of the leg that are ours now, by executions alone: long positive, short negative.

        What others have closed of them meanwhile is not.
        """
        traded = ZERO
        for order in self.orders.values():
            if order.leg is leg and order.executions:
                traded += order.filled * order.ticket.side.sign
        own, taken = self.base.get(leg, 0) + int(traded), self.taken.get(leg, 0)
        if own * taken >= 0:
            return own
        return own + max(min(taken, abs(own)), -abs(own))

    def unproven(self) -> list[TrackedOrder]:
        """Orders whose end is not proven, oldest first: they may still fill, or have filled unknown to us."""
        return [order for order in self.orders.values() if not order.proven]

    def wait(self, *actions: Action) -> Steps[Event]:
        """Do the actions, then take one event."""
        event = yield actions
        self.take(event)
        return event

    def timer(self) -> str:
        """A name that no earlier timer had, so that a late one is not taken for it."""
        self.timers += 1
        return f"t{self.timers}"

    def new_order(
        self,
        contract: Contract,
        leg: LegName,
        side: Side,
        quantity: int,
        limit: Decimal | None,
        purpose: Purpose,
        good_after: datetime | None = None,
    ) -> TrackedOrder:
        """A new order with a reference of its own, tracked from now on; nothing is sent yet."""
        number = self.attempts.get((leg, purpose), 0) + 1
        self.attempts[leg, purpose] = number
        ref = str(OrderName(self.tag, self.trade_id, leg, purpose, number))
        ticket = OrderTicket(ref, contract, side, quantity, limit, good_after=good_after)
        overnight = self.overnight.get(contract.con_id)
        order = TrackedOrder(ticket, leg, purpose, number, limit=limit, overnight=overnight)
        self.orders[ref] = order
        return order

    def quote(self, contract: Contract) -> Quote:
        return self.quotes.get(contract.con_id) or Quote()

    def touch(self, contract: Contract, side: Side) -> Decimal | None:
        """The price at which the order would fill now: the ask for a purchase, the bid for a sale."""
        quote = self.quote(contract)
        return quote.ask if side is Side.BUY else quote.bid


def _deliver(order: TrackedOrder, event: Event) -> None:
    """Hand an event to an order, if it concerns it."""
    match event:
        case SnapshotTaken():
            order.on_snapshot(event)
        case FillReport() if order.matches_execution(event.execution):
            order.on_execution(event.execution)
        case OrderUpdate() if event.order_ref == order.ref:
            order.on_status(event.status, event.filled, event.perm_id)
        case OrderMessage() if event.order_ref == order.ref:
            order.on_message(event.code, event.text)
        case NotSent() if event.order_ref == order.ref:
            order.on_not_sent(event.why)
        case _:
            pass


# --- one order ------------------------------------------------------------------------------------


def work_order(
    spread: SpreadState,
    order: TrackedOrder,
    seconds: float,
    next_limit: Callable[[int], Decimal | None],
    halted: Callable[[], bool],
) -> Steps[bool]:
    """Send an order and let it work: every `seconds` a new limit, until `next_limit(n)` has none.

    Then, or when `halted` says so, finish it. Returns whether its end is proven; its fills are then complete.
    No event may come between `new_order` and this: the order's quantity is what was held then. An order that
    an earlier run may have sent, and nobody has heard of, goes out again under its own id.
    """
    timer, rung = spread.timer(), 0
    event = yield from spread.wait(_send(order), Wake(timer, seconds))
    while not (order.over or order.doubted or halted()):
        actions: tuple[Action, ...] = ()
        if isinstance(event, LinkChange) and event.up:
            yield from take_snapshot(spread)  # what was sent while the link was down is lost
            event = Timer(timer)  # it may have passed while the snapshot was awaited
            continue
        if event == Timer(timer):
            if spread.legs and not order.purpose.opens:
                yield from take_snapshot(spread)  # others may have closed it meanwhile
                if order.over or order.doubted or halted():
                    break
            rung += 1
            limit = next_limit(rung)
            if limit is None or not (order.repriceable and spread.link_up):
                break
            timer = spread.timer()
            actions = (Wake(timer, seconds),)
            if limit != order.limit or order.silent:
                order.reprice(limit)
                actions = (Reprice(order.ref, limit), *actions)
        event = yield from spread.wait(*actions)
    return (yield from finish(spread, order))


def _send(order: TrackedOrder) -> Place | Reprice:
    """The action that sends an order, for the first time or under the id that it has."""
    if order.resendable:
        order.reprice(order.limit)
        return Reprice(order.ref, order.limit)
    order.apply(OrderEvent.SENT)
    return Place(order.ticket, order.leg, order.purpose, order.attempt)


def finish(spread: SpreadState, order: TrackedOrder) -> Steps[bool]:
    """Bring an order to its end: cancel it while it may fill, then take snapshots until one proves the end.

    Returns whether one did. An order whose end is not proven is never followed by another. One of which the
    broker has not said a word is waited for once, for as long as an order was ever seen to be late.
    """
    may_wait = order.can_be_missed or order.state is not OrderState.INTENDED
    for turn in range(SNAPSHOTS):
        if not (yield from linked(spread)):
            break
        if order.proven:
            return True
        was_over = order.over
        if order.cancellable and not (order.waited_for and order.cancel is CancelState.NOT_FOUND):
            yield from _cancel(spread, order)
        if turn and order.waited_for:
            if not may_wait:
                break
            may_wait = False
            yield from _until_heard(spread, order)
        elif turn and (was_over or not order.over or order.fills_missing):
            yield from _pause(spread, ABSENCE_SECONDS)
        yield from take_snapshot(spread)
    return order.proven


def finish_all(spread: SpreadState) -> Steps[list[TrackedOrder]]:
    """Bring every order of the spread to its end, and send nothing but cancels.

    Returns those whose end is not proven.
    """
    for order in spread.unproven():
        yield from finish(spread, order)
    return spread.unproven()


def _until_heard(spread: SpreadState, order: TrackedOrder) -> Steps[None]:
    """Wait until the broker says anything of the order, `SILENCE_SECONDS` at the most."""
    timer = spread.timer()
    event = yield from spread.wait(Wake(timer, SILENCE_SECONDS))
    while order.waited_for and spread.link_up and event != Timer(timer):
        event = yield from spread.wait()


def _cancel(spread: SpreadState, order: TrackedOrder) -> Steps[None]:
    """Send the cancel, and wait a little until the broker reports the order done or refuses."""
    timer = spread.timer()
    order.apply(OrderEvent.CANCEL_SENT)
    event = yield from spread.wait(Cancel(order.ref), Wake(timer, CANCEL_SECONDS))
    while not (_cancel_answered(order) or event == Timer(timer)) and spread.link_up:
        event = yield from spread.wait()


def _cancel_answered(order: TrackedOrder) -> bool:
    return order.over or order.cancel in {CancelState.REFUSED, CancelState.NOT_FOUND}


def take_snapshot(spread: SpreadState) -> Steps[bool]:
    """Take one snapshot of what the broker holds; False when it failed."""
    event = yield from spread.wait(TakeSnapshot())
    while not isinstance(event, SnapshotTaken | SnapshotFailed):
        event = yield from spread.wait()
    return isinstance(event, SnapshotTaken)


def _pause(spread: SpreadState, seconds: float) -> Steps[None]:
    timer = spread.timer()
    event = yield from spread.wait(Wake(timer, seconds))
    while event != Timer(timer):
        event = yield from spread.wait()


def linked(spread: SpreadState) -> Steps[bool]:
    """Wait until the link is whole; False when it does not come back."""
    if spread.link_up or spread.disconnected:
        return spread.link_up
    timer = spread.timer()
    event = yield from spread.wait(Wake(timer, LINK_SECONDS))
    while not (spread.link_up or spread.disconnected or event == Timer(timer)):
        event = yield from spread.wait()
    return spread.link_up
