"""What a fault is: its name, its parameters, the hooks at which it acts, and one firing of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from spxarb.sim.api.wire import frame
from spxarb.sim.exchange.orders import LIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from random import Random

    from spxarb.sim.api.session import Session, SharedGateway
    from spxarb.sim.api.streams import Stream
    from spxarb.sim.exchange.orders import Event, Order, Ticket
    from spxarb.sim.faults.schedule import Schedule
    from spxarb.sim.market.instruments import MarketQuote

Values = dict[str, Any]
REQUIRED = object()
"""The default of a parameter that has none."""


class Hook(StrEnum):
    """Where a fault acts. In brackets: what its act is given besides the firing."""

    NOW = "at once"
    """When it fires, once the request or message that fired it has been dealt with."""
    END = "at its end"
    """When its time is over."""
    REQUEST = "requests"
    """Before a client's request takes effect [ClientRequest]."""
    MESSAGE = "messages"
    """Before a message is sent [OutgoingMessage]."""
    READ = "reading"
    """While clients' bytes lie unread."""
    WRITE = "writing"
    """As bytes go to a client's socket [Chunks]."""
    UPDATES = "order updates"
    """Before clients are sent the exchange's events [OrderUpdates]."""
    ACCEPT = "acceptance"
    """As the exchange accepts or rejects an order [Rejection]."""
    FILL = "matching"
    """As an order may fill [Offer]."""
    QUOTE = "quotes"
    """As a client is shown a quote [QuoteView]."""


@dataclass(frozen=True)
class Parameter:
    """One setting of a fault. `type` names a reader of `readers`; `choices` are all that is allowed."""

    name: str
    type: str
    default: object = None
    says: str = ""
    choices: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        """True when a script must give it."""
        return self.default is REQUIRED


@dataclass(frozen=True)
class FaultKind:
    """One fault of the table.

    `lasting`: once fired it stays in force until `for` is over, without `for` to the end of the script.
    Others act once for each firing, with `for` on everything that fits during that time. `personal`: fired
    by a client's request or message, it concerns that client alone.
    """

    name: str
    says: str
    acts: Mapping[Hook, Callable[..., bool]]
    parameters: tuple[Parameter, ...] = ()
    lasting: bool = False
    personal: bool = False
    needs_message: bool = False
    """True when `messages` must be given, or a message stand in `when`."""
    needs_request: bool = False
    everywhere: bool = False
    """True when it concerns everything, whatever fired it."""

    @property
    def momentary(self) -> bool:
        """True when it happens at one moment and is over."""
        return set(self.acts) == {Hook.NOW}

    @property
    def quotes_only(self) -> bool:
        """True when it does not concern orders: `symbol` in `when` says whose quotes."""
        return Hook.QUOTE in self.acts and not {Hook.REQUEST, Hook.MESSAGE, Hook.ACCEPT} & set(self.acts)


@dataclass(frozen=True)
class Subject:
    """The order or contract that a request or message is about, as far as that is known."""

    client_id: int | None = None
    order_id: int | None = None
    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    side: str = ""
    order_ref: str = ""

    @property
    def order(self) -> tuple[int, int] | None:
        """Client and order id; None when it is about no order."""
        if self.client_id is None or self.order_id is None:
            return None
        return self.client_id, self.order_id

    @classmethod
    def of(cls, ticket: Ticket) -> Subject:
        """A known order."""
        item = ticket.instrument
        return cls(
            *(ticket.client_id, ticket.order_id, item.con_id, item.symbol, item.sec_type),
            *(ticket.side, ticket.order_ref),
        )


@dataclass(eq=False)
class ActiveFault:
    """One firing of a fault, with what its acts need. `request` and `message` are the ids that fired it."""

    kind: FaultKind
    args: Values
    gateway: SharedGateway
    schedule: Schedule
    rng: Random
    since: datetime
    until: datetime | None = None
    lasting: bool = False
    """True when it does not end by acting."""
    session: Session | None = None
    subject: Subject | None = None
    request: int | None = None
    message: int | None = None
    exec_id: str = ""
    fits: Callable[[Subject], bool] = lambda _: True
    client_id: int | None = None
    memory: Values = field(default_factory=dict)

    def wants(self, number: int, given: str) -> bool:
        """True when a message or request id is among those named by the parameter `given`, or fired this."""
        named: Iterable[int] | None = self.args.get(given)
        if named:
            return number in named
        return number == (self.message if given == "messages" else self.request)

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Do `act` after `seconds` of market time; with 0 once the present request is dealt with."""
        self.schedule.later(seconds, act)

    def order(self, *, live: bool = False) -> Order | None:
        """The order that fired this; else the newest one that fits. With `live` only a live one."""
        orders = self.gateway.exchange.orders
        if self.subject is not None and self.subject.order is not None:
            found = orders.find(*self.subject.order)
            return found if found is not None and (found.status in LIVE or not live) else None
        for state in reversed(orders.all()):
            if self.fits(Subject.of(state.ticket)) and (state.status in LIVE or not live):
                return orders.find(state.ticket.client_id, state.ticket.order_id)
        return None

    def audience(self) -> list[Session]:
        """The clients that this concerns: the one that fired it, else those that fit."""
        if self.session is not None:
            return [self.session]
        return [s for s in self.gateway.sessions if self.client_id in {None, s.client_id}]

    def concerns(self, session: Session | None, subject: Subject | None) -> bool:
        """True when something of this client, about this order or contract, is a matter for it."""
        client = session.client_id if session is not None else subject.client_id if subject else None
        if client is not None and self.client_id not in {None, client}:
            return False
        if self.kind.personal:
            return self.session is None or session is None or self.session is session
        if subject is None or self.kind.everywhere:
            return True
        caused_by = self.subject.order if self.subject is not None else None
        if caused_by is not None and subject.order is not None:
            return caused_by == subject.order
        return self.fits(subject)

    def covers(self, other: ActiveFault) -> bool:
        """True when `other` would change nothing: the same fault, for the same ones, no longer than this."""
        same_fault = self.kind is other.kind and self.args == other.args and self.fits == other.fits
        mine, theirs = ((f.session, f.subject, f.client_id) for f in (self, other))
        if not same_fault or mine != theirs:
            return False
        return self.until is None or (other.until is not None and self.until >= other.until)


@dataclass
class ClientRequest:
    """A request that has come in; an act may keep it from taking effect, or let something follow it."""

    session: Session
    number: int
    values: list[str]
    subject: Subject | None
    refused: bool = False
    """It takes no effect."""
    unanswered: bool = False
    """It takes effect, and no answer is sent."""
    close: bool = False
    """The connection ends after it."""
    after: list[Callable[[], None]] = field(default_factory=list)


@dataclass
class OutgoingMessage:
    """A message about to be sent; an act may change what goes out, and when."""

    session: Session
    number: int
    whole: bytes
    fields: list[str]
    subject: Subject | None
    out: list[bytes] = field(default_factory=list)
    seconds: float | None = 0.0
    """How long what is to go out is held back; None: until the fault ends, which releases it."""
    held_by: ActiveFault | None = None
    close: bool = False

    def wait(self, seconds: float) -> None:
        """Hold it back for so long, or as long as it is already held back."""
        if self.seconds is not None:
            self.seconds = max(self.seconds, seconds)

    def rewrite(self, fields: list[str]) -> None:
        """Change its fields, in every copy that goes out."""
        new = frame(*fields)
        self.out = [new if whole == self.whole else whole for whole in self.out]
        self.whole, self.fields = new, fields

    def release(self) -> None:
        """Send what is to go out."""
        self.session.put(*self.out)
        if self.close:
            self.session.close()


@dataclass
class Chunks:
    """Bytes about to be written, and the pieces in which they are."""

    session: Session
    pieces: list[bytes]


@dataclass
class OrderUpdates:
    """The exchange's events about one order, before they are sent."""

    subject: Subject | None
    events: list[Event]


@dataclass
class Offer:
    """An order that could fill `count` contracts now."""

    order: Order
    count: int
    now: datetime


@dataclass
class QuoteView:
    """What a line is to show of a contract: the moment of the quote, its data type, changes to it."""

    session: Session
    stream: Stream
    moment: datetime
    kind: int
    silent: bool = False
    last_age: float = 0.0
    """How many seconds before `moment` the last price is said to have been made."""
    changes: list[Callable[[MarketQuote], MarketQuote]] = field(default_factory=list)
