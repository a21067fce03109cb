"""How one order is worked and seen over, without a socket and without a clock: events in, actions out.

Each procedure is a generator: it yields what is to be done now and receives the next event. Whoever drives
it performs the actions in order (an intent is committed before its order is sent), then waits for one event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from spxarb.core.broker_codes import CANCEL_REFUSALS
from spxarb.core.model import (
    ZERO,
    FillReport,
    LinkChange,
    NotSent,
    OrderMessage,
    OrderTicket,
    OrderUpdate,
    Quote,
    QuoteUpdate,
    Side,
    SnapshotFailed,
    SnapshotTaken,
    StopRequested,
    Timer,
)
from spxarb.core.orders import ABSENCE_SECONDS, OrderEvent, OrderState, Track
from spxarb.core.records import OrderName

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.model import Contract, Event, LegName
    from spxarb.core.records import Purpose

T = TypeVar("T")

CANCEL_SECONDS = 5.0
"""How long to wait for the word that a cancelled order is over, before the books are asked."""
LOOKS = 5
"""How often the books are asked for the end of one order before a human must."""
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
    """Commit the new limit, then send the live order again under its own id."""

    ref: str
    limit: Decimal


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask for the end of an order."""

    ref: str


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Ask for the broker's books: BooksSeen or LookFailed will follow."""


@dataclass(frozen=True, slots=True)
class Wake:
    """`Timer(name)` is wanted after so many seconds."""

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

    `base` are the contracts held by executions of orders that are not followed here.
    """

    tag: str
    trade_id: int
    base: dict[LegName, int] = field(default_factory=dict)
    attempts: dict[tuple[LegName, Purpose], int] = field(default_factory=dict)  # numbers used so far
    tracks: dict[str, Track] = field(default_factory=dict)
    quotes: dict[int, Quote] = field(default_factory=dict)
    overnight: dict[int, Decimal] = field(default_factory=dict)  # by contract id: `BrokerSnapshot.overnight`
    link_up: bool = True
    cut_off: bool = False  # the connection itself is gone: only a new one can help
    stop: str = ""
    timers: int = 0

    def take(self, event: Event) -> None:
        """Learn from an event; what is not ours is passed over."""
        match event:
            case QuoteUpdate():
                self.quotes[event.con_id] = event.quote
            case LinkChange():
                self.link_up = event.up
                self.cut_off = not event.up and not event.code
            case StopRequested():
                self.stop = event.reason or "asked to stop"
            case _:
                if isinstance(event, NotSent):
                    self.link_up = False  # the news of that is behind it
                for track in self.tracks.values():
                    _deliver(track, event)

    def held(self, leg: LegName) -> int:
        """Contracts of the leg that are ours now, by executions alone: long positive, short negative."""
        traded = (each.filled * each.ticket.side.sign for each in self.tracks.values() if each.leg is leg)
        return self.base.get(leg, 0) + int(sum(traded, start=ZERO))

    def unproven(self) -> list[Track]:
        """Orders whose end is not proven, oldest first: they may fill, or have filled, unknown to us."""
        return [track for track in self.tracks.values() if not track.proven]

    def wait(self, *actions: Action) -> Steps[Event]:
        """Do the actions, then take one event."""
        event = yield actions
        self.take(event)
        return event

    def timer(self) -> str:
        """A name that no earlier timer had."""
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
    ) -> Track:
        """A new order with a name of its own, followed from now on; nothing is sent yet."""
        number = self.attempts.get((leg, purpose), 0) + 1
        self.attempts[leg, purpose] = number
        ref = str(OrderName(self.tag, self.trade_id, leg, purpose, number))
        ticket = OrderTicket(ref, contract, side, quantity, limit, good_after=good_after)
        overnight = self.overnight.get(contract.con_id)
        track = Track(ticket, leg, purpose, number, limit=limit, overnight=overnight)
        self.tracks[ref] = track
        return track

    def quote(self, contract: Contract) -> Quote:
        return self.quotes.get(contract.con_id) or Quote()

    def touch(self, contract: Contract, side: Side) -> Decimal | None:
        """The price at which the order would fill now: the ask for a purchase, the bid for a sale."""
        quote = self.quote(contract)
        return quote.ask if side is Side.BUY else quote.bid


def _deliver(track: Track, event: Event) -> None:
    """Let an order hear what is meant for it."""
    match event:
        case SnapshotTaken():
            track.on_snapshot(event)
        case FillReport() if track.matches_execution(event.execution):
            track.on_execution(event.execution)
        case OrderUpdate() if event.order_ref == track.ref:
            track.on_status(event.status, event.filled, event.perm_id)
        case OrderMessage() if event.order_ref == track.ref:
            track.on_message(event.code, event.text)
        case NotSent() if event.order_ref == track.ref:
            track.on_not_sent(event.why)
        case _:
            pass


# --- one order ------------------------------------------------------------------------------------


def work_order(
    spread: SpreadState,
    track: Track,
    seconds: float,
    next_limit: Callable[[int], Decimal | None],
    halted: Callable[[], bool],
) -> Steps[bool]:
    """Send an order and let it work: every `seconds` a new limit, until `next_limit(n)` has none.

    Then, or when `halted` says so, see it over. Returns whether its end is proven; its fills are then in the
    track for good. Nothing may have happened since the order was made: it is for what was held then.
    """
    timer, rung = spread.timer(), 0
    track.apply(OrderEvent.SENT)
    event = yield from spread.wait(
        Place(track.ticket, track.leg, track.purpose, track.attempt), Wake(timer, seconds)
    )
    while not (track.over or halted()):
        actions: tuple[Action, ...] = ()
        if isinstance(event, LinkChange) and event.up:
            yield from take_snapshot(spread)  # what was said meanwhile is lost
            event = Timer(timer)  # the look may have passed it over
            continue
        if event == Timer(timer):
            rung += 1
            limit = next_limit(rung)
            if limit is None or not _changeable(spread, track):
                break
            timer = spread.timer()
            actions = (Wake(timer, seconds),)
            if limit != track.limit:
                track.reprice(limit)
                actions = (Reprice(track.ref, limit), *actions)
        event = yield from spread.wait(*actions)
    return (yield from finish(spread, track))


def _changeable(spread: SpreadState, track: Track) -> bool:
    """Whether it makes sense to ask for another price: it lives, and nobody objected before."""
    lives = track.state is OrderState.LIVE and not track.reported_whole
    return lives and not track.change_refused and spread.link_up


def finish(spread: SpreadState, track: Track) -> Steps[bool]:
    """See an order over: cancel it while it may fill, then look until the books prove its end.

    Returns whether they did. An order that cannot be proven over is never followed by another.
    """
    for turn in range(LOOKS):
        if not (yield from linked(spread)):
            break
        if track.proven:
            return True
        was_over = track.over
        if track.cancellable:
            yield from _cancel(spread, track)
        if turn and (was_over or not track.over or track.fills_missing):
            yield from _pause(spread, ABSENCE_SECONDS)
        yield from take_snapshot(spread)
    return track.proven


def _cancel(spread: SpreadState, track: Track) -> Steps[None]:
    """Ask for the end, and wait a little for the word that it came."""
    timer = spread.timer()
    track.apply(OrderEvent.CANCEL_SENT)
    event = yield from spread.wait(Cancel(track.ref), Wake(timer, CANCEL_SECONDS))
    while not (track.over or event == Timer(timer) or _cancel_refused(track, event)) and spread.link_up:
        event = yield from spread.wait()


def _cancel_refused(track: Track, event: Event) -> bool:
    return isinstance(event, OrderMessage) and event.order_ref == track.ref and event.code in CANCEL_REFUSALS


def take_snapshot(spread: SpreadState) -> Steps[bool]:
    """Ask for the broker's books once; False when they were not told."""
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
    """Wait for the link to be whole; False when it does not come back."""
    if spread.link_up or spread.cut_off:
        return spread.link_up
    timer = spread.timer()
    event = yield from spread.wait(Wake(timer, LINK_SECONDS))
    while not (spread.link_up or spread.cut_off or event == Timer(timer)):
        event = yield from spread.wait()
    return spread.link_up
