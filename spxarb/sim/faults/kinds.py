"""What a fault is: its name, its parameters, the places where it acts, and one firing of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from spxarb.sim.api.wire import frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from spxarb.sim.api.session import Session
    from spxarb.sim.api.streams import Stream
    from spxarb.sim.exchange.exchange import Event
    from spxarb.sim.exchange.orders import Fill, Order, Ticket
    from spxarb.sim.faults.engine import Trouble
    from spxarb.sim.market.instruments import Quote

Values = dict[str, Any]
REQUIRED = object()
"""The default of a parameter that has none."""


class Place(StrEnum):
    """Where a fault acts. In brackets: what its act is given besides the firing."""

    NOW = "at once"
    """When it fires, once what caused it has been dealt with."""
    END = "at its end"
    """When its time is over."""
    REQUEST = "requests"
    """Before a client's request takes effect [Call]."""
    MESSAGE = "messages"
    """Before a message is sent [Parcel]."""
    READ = "reading"
    """While clients' bytes lie unread."""
    WRITE = "writing"
    """As bytes go to a client's socket [Chunks]."""
    NEWS = "news"
    """Before the exchange's news are told [News]."""
    ACCEPT = "acceptance"
    """As the exchange accepts or rejects an order [Verdict]."""
    FILL = "matching"
    """As an order may fill [Offer]."""
    QUOTE = "quotes"
    """As a client is shown a quote [Look]."""


@dataclass(frozen=True)
class Parameter:
    """One setting of a fault. `type` names a reader of `fault_script`; `choices` are all that is allowed."""

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
class Kind:
    """One fault of the table.

    `lasting`: once fired it goes on until `for` is over, without `for` to the end. Others act once for each
    firing, with `for` on everything that fits during that time. `personal`: fired by a client's request or
    message, it concerns that client alone.
    """

    name: str
    says: str
    acts: Mapping[Place, Callable[..., bool]]
    parameters: tuple[Parameter, ...] = ()
    lasting: bool = False
    personal: bool = False
    needs_message: bool = False
    """True when `messages` must be given, or stand in `when`."""
    needs_request: bool = False
    everywhere: bool = False
    """True when it concerns all that goes on, whatever fired it."""

    @property
    def quotes_only(self) -> bool:
        """True when orders have nothing to do with it: `symbol` in `when` says whose quotes."""
        return Place.QUOTE in self.acts and not {Place.REQUEST, Place.MESSAGE, Place.ACCEPT} & set(self.acts)


@dataclass(frozen=True)
class Subject:
    """The order or contract that a request or message is about, as far as it can be told."""

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


@dataclass
class Run:
    """One firing of a fault. `request` and `message` are the ids that fired it."""

    kind: Kind
    args: Values
    trouble: Trouble
    since: datetime
    until: datetime | None = None
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


@dataclass
class Call:
    """A request that has come in; an act may keep it from taking effect, or let something follow it."""

    session: Session
    number: int
    values: list[str]
    subject: Subject | None
    refused: bool = False
    """It takes no effect."""
    unanswered: bool = False
    """It takes effect, and nothing that it says is sent."""
    close: bool = False
    """The connection ends after it."""
    after: list[Callable[[], None]] = field(default_factory=list)


@dataclass
class Parcel:
    """A message about to be sent; an act may change what goes out, and when."""

    session: Session
    number: int
    whole: bytes
    fields: list[str]
    subject: Subject | None
    out: list[bytes] = field(default_factory=list)
    seconds: float | None = 0.0
    """How long what is to go out is held back; None: until the fault ends, which releases it."""
    held_by: Run | None = None
    close: bool = False

    def wait(self, seconds: float) -> None:
        """Hold it back so long, or as long as it is already held back."""
        if self.seconds is not None:
            self.seconds = max(self.seconds, seconds)

    def rewrite(self, fields: list[str]) -> None:
        """Let it say something else, however often it goes out."""
        new = frame(*fields)
        self.out = [new if each == self.whole else each for each in self.out]
        self.whole, self.fields = new, fields


@dataclass
class Chunks:
    """Bytes about to be written, and the pieces in which they are."""

    session: Session
    pieces: list[bytes]


@dataclass
class News:
    """What the exchange has to tell about one order."""

    subject: Subject | None
    events: list[Event]


@dataclass
class Verdict:
    """An order at the door. An act says why not, and in which state it then is."""

    ticket: Ticket
    new: bool
    why: str = ""
    status: str = "Inactive"
    code: int | None = 201
    told: bool = True
    """False: the error only, no orderStatus."""
    dormant: bool = False
    """True: it may come back to life."""


@dataclass
class Offer:
    """An order that could fill `count` contracts now."""

    order: Order
    count: int
    now: datetime


@dataclass
class Look:
    """A client's look at a contract's quote: when it was true, of which kind, and what is changed in it."""

    session: Session
    stream: Stream
    moment: datetime
    kind: int
    silent: bool = False
    changes: list[Callable[[Quote], Quote]] = field(default_factory=list)


@dataclass(frozen=True)
class Correction:
    """What an execution should have been."""

    fill: Fill
    shares: int
    price: float
    listed: bool
    """True: both executions are listed afterwards."""
