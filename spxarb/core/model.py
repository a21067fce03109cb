"""The nouns of the program, frozen: contracts, quotes, orders, executions, positions, checks.

Prices are dollars per share or index points, money is dollars, both `Decimal`; a missing number is None
and never 0. Datetimes are aware, in America/New_York unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from spxarb.core.greeks import Greeks
    from spxarb.core.unreadable import UnreadableRow

NEW_YORK = ZoneInfo("America/New_York")
CENT = Decimal("0.01")
ZERO = Decimal(0)


def dec(value: float | str | Decimal) -> Decimal:
    """A Decimal that reads as the number prints: `dec(17.9) == Decimal("17.9")`."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def cents(value: Decimal) -> Decimal:
    """Dollars rounded to the cent, half to even."""
    return value.quantize(CENT, ROUND_HALF_EVEN)


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a purchase, -1 for a sale."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class LegName(StrEnum):
    SPX = "SPX"
    SPY = "SPY"


class TradeStatus(StrEnum):
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"
    ERROR = "ERROR"


class ExitReason(StrEnum):
    ASSIGNMENT_RISK = "ASSIGNMENT_RISK"
    TIME = "TIME"
    LOSS_LIMIT = "LOSS_LIMIT"
    EXPIRATION = "EXPIRATION"
    EMERGENCY = "EMERGENCY"
    DAILY_LOSS = "DAILY_LOSS"
    ENTRY_UNWOUND = "ENTRY_UNWOUND"
    HANDED_OVER = "HANDED_OVER"


@dataclass(frozen=True, slots=True)
class TickRule:
    """Market-rule rows `(low edge, increment)`, ascending: the increment holds from its edge up."""

    rows: tuple[tuple[Decimal, Decimal], ...]

    def increment(self, price: Decimal) -> Decimal:
        """The legal step at `price`."""
        step = self.rows[0][1]
        for edge, inc in self.rows:
            if price >= edge:
                step = inc
        return step

    def legal(self, price: Decimal) -> bool:
        return price > 0 and price % self.increment(price) == 0

    def down(self, price: Decimal) -> Decimal:
        """The highest legal price at or below `price` (0 when there is none)."""
        step = self.increment(price)
        return max(price // step * step, ZERO)

    def up(self, price: Decimal) -> Decimal:
        """The lowest legal price at or above `price`."""
        low = self.down(price)
        return low if low == price and low > 0 else self.above(price)

    def above(self, price: Decimal) -> Decimal:
        """The lowest legal price above `price`."""
        low = self.down(price)
        return low + self.increment(low)

    def below(self, price: Decimal) -> Decimal:
        """The highest legal price below `price` (0 when there is none)."""
        low = self.down(price)
        if low < price:
            return low
        # At an edge the step below the edge is the smaller one.
        step = self.increment(price - min(inc for _, inc in self.rows))
        return max(price - step, ZERO)

    @property
    def lowest(self) -> Decimal:
        """The lowest legal price, dollars."""
        return self.rows[0][1]


PENNY = TickRule(((ZERO, CENT),))
SPX_OPTION_TICKS = TickRule(((ZERO, Decimal("0.05")), (Decimal(3), Decimal("0.10"))))


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract as the broker qualified it."""

    con_id: int
    symbol: str
    sec_type: str  # IND | STK | OPT
    exchange: str = "SMART"
    currency: str = "USD"
    trading_class: str = ""
    local_symbol: str = ""
    expiry: date | None = None
    strike: Decimal | None = None
    right: str | None = None  # C | P
    multiplier: int = 1
    ticks: TickRule = PENNY

    def __str__(self) -> str:
        if self.sec_type != "OPT":
            return self.symbol
        kind = {"C": "call", "P": "put"}.get(self.right or "", "?")
        return f"{self.trading_class} {self.expiry} {(self.strike or ZERO).normalize():f} {kind}"


@dataclass(frozen=True, slots=True)
class Quote:
    """One line of market data. None: never seen, or withdrawn (the wire's -1 and size 0)."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    close: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    greeks: Greeks | None = None  # of the gateway's model
    halted: bool = False
    data_type: int | None = None  # 1 live, 2 frozen, 3 delayed, 4 delayed-frozen
    received: float | None = None  # monotonic seconds of the newest tick of any kind
    priced: float | None = None  # of the newest bid or ask, or their sizes; of an index its last price
    bid_told: bool = False  # the broker has sent something of the bid, be it only -1
    no_bid: bool = False  # the broker has sent a bid of 0: nobody bids. Of -1 nothing is known
    no_size: tuple[str, ...] = ()  # sides ("bid", "ask") that have a price and a size of 0: withdrawn
    last_time: datetime | None = None  # when `last` was traded, or the index computed

    @property
    def mid(self) -> Decimal | None:
        if self.bid is None or self.ask is None:
            return None
        return (self.bid + self.ask) / 2

    @property
    def width(self) -> Decimal | None:
        return None if self.bid is None or self.ask is None else self.ask - self.bid

    @property
    def two_sided(self) -> bool:
        return self.bid is not None and self.ask is not None and self.bid > 0

    @property
    def crossed(self) -> bool:
        return self.bid is not None and self.ask is not None and self.bid > self.ask


@dataclass(frozen=True, slots=True)
class OrderTicket:
    """An order as it is sent; committed to the ledger before that.

    `limit` None is a market order. `good_after` delays activation (aware datetime).
    """

    order_ref: str
    contract: Contract
    side: Side
    quantity: int
    limit: Decimal | None
    tif: str = "DAY"
    good_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker lists it, open or completed. `order_id` is 0 in completed orders."""

    order_ref: str
    order_id: int
    client_id: int
    perm_id: int
    con_id: int
    symbol: str
    side: Side
    quantity: Decimal
    limit: Decimal | None
    status: str  # the wire's own word
    filled: Decimal | None = None
    account: str = ""
    completed_status: str = ""

    @property
    def key(self) -> tuple[int, int, int, str]:
        return (self.perm_id, self.client_id, self.order_id, self.order_ref)


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill. A correction comes under the same `exec_id` but for its last dotted group.

    Such as `0000e0d5.6554b4d5.01.01`, corrected by `0000e0d5.6554b4d5.01.02` (IBKR, TWS API, execId).
    """

    exec_id: str
    order_ref: str
    order_id: int
    client_id: int
    perm_id: int
    con_id: int
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    time: datetime
    account: str = ""
    sec_type: str = "OPT"
    commission: Decimal | None = None  # dollars, None until reported
    liquidation: bool = False  # IB closed the position itself (the execution's liquidation flag)
    time_doubt: str = ""  # why `time` may be wrong, in words

    @property
    def family(self) -> str:
        """What all corrections of one execution share."""
        return self.exec_id.rpartition(".")[0] or self.exec_id

    @property
    def revision(self) -> str:
        """The last dotted group of its id: `01`, or `02` and up for a correction."""
        return self.exec_id.rpartition(".")[2]

    @property
    def revision_rank(self) -> tuple[int, str]:
        """What revisions are ordered by: as numbers, decimal or hexadecimal, with or without leading zeros.

        IB's other groups are hexadecimal and nobody has recorded a tenth correction, so neither is assumed.
        """
        digits = self.revision.lstrip("0").lower()
        return len(digits), digits


def latest_revisions(executions: Iterable[Execution]) -> list[Execution]:
    """One execution a family, its latest correction, in whatever order they come.

    Corrections replace, they never add. Of one revision listed twice the later row stands.
    """
    newest: dict[str, Execution] = {}
    for execution in executions:
        known = newest.get(execution.family)
        if known is None or execution.revision_rank >= known.revision_rank:
            newest[execution.family] = execution
    return list(newest.values())


@dataclass(frozen=True, slots=True)
class Position:
    account: str
    con_id: int
    symbol: str
    sec_type: str
    quantity: Decimal
    average_cost: Decimal | None = None
    expiry: date | None = None
    strike: Decimal | None = None
    right: str | None = None
    trading_class: str = ""


MARGIN = "margin"
"""The check that comes last, from the job that asks the broker; the others are in `checks`."""


@dataclass(frozen=True, slots=True)
class Check:
    """One entry check. `ok` None: it could not be evaluated, or need not be."""

    name: str
    ok: bool | None
    value: object
    limit: object
    message: str


@dataclass(frozen=True, slots=True)
class BrokerSnapshot:
    """What the broker holds: its answers of one moment, asked in parallel.

    `completed_orders` is None when that list did not come: it is evidence, and nothing waits for it.
    `unreadable`: rows of these lists that cannot be read. `listed_since`: how far back the executions go;
    None: to the midnight of New York.
    """

    time: datetime
    executions: tuple[Execution, ...]
    open_orders: tuple[BrokerOrder, ...]
    completed_orders: tuple[BrokerOrder, ...] | None
    positions: tuple[Position, ...]
    unreadable: tuple[UnreadableRow, ...] = ()
    listed_since: datetime | None = None

    @property
    def todays_executions(self) -> list[Execution]:
        """The executions of New York's day: a gateway in another zone lists some of the day before too."""
        return [row for row in self.executions if row.time.date() == self.time.date()]

    def reaches(self, moment: datetime) -> bool:
        """Whether the list of executions must have one of that moment."""
        return moment.date() == self.time.date() and not (self.listed_since and moment < self.listed_since)

    @property
    def listed_orders(self) -> tuple[BrokerOrder, ...]:
        """Open and completed orders, as far as they are known."""
        return (*self.open_orders, *(self.completed_orders or ()))

    def overnight(self, con_id: int) -> Decimal:
        """The account's contracts before today's executions, anybody's: the same figure all day long.

        It moves only while the position shows a fill that the list of executions does not, or the other way
        round: the position row of a fill comes before its execution.
        """
        position = sum((row.quantity for row in self.positions if row.con_id == con_id), start=ZERO)
        executions = latest_revisions(row for row in self.todays_executions if row.con_id == con_id)
        return position - sum((row.quantity * row.side.sign for row in executions), start=ZERO)


# --- events while an order works -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QuoteUpdate:
    con_id: int
    quote: Quote


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """An orderStatus or openOrder frame, its status as on the wire; None where the frame had no number."""

    order_ref: str
    order_id: int
    status: str
    filled: Decimal | None = None
    remaining: Decimal | None = None
    perm_id: int = 0


@dataclass(frozen=True, slots=True)
class FillReport:
    execution: Execution


@dataclass(frozen=True, slots=True)
class CommissionReport:
    exec_id: str
    commission: Decimal | None


@dataclass(frozen=True, slots=True)
class OrderMessage:
    """An error or warning frame tied to an order. See `broker_codes` for what a code proves."""

    order_ref: str
    order_id: int
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class LinkChange:
    """`up` False: the link is down, the socket (code 0) or the gateway's own to IB (`broker_codes`)."""

    up: bool
    code: int
    text: str
    data_lost: bool = False


@dataclass(frozen=True, slots=True)
class Timer:
    """A deadline that a procedure had set has passed."""

    name: str


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Entries were forbidden meanwhile: `stop` or `close-all` was run."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class NotSent:
    """An order, or a change of one, that never reached the socket because the link was down."""

    order_ref: str
    why: str


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """A snapshot over a link that stayed whole (`epoch` names it); `at` is monotonic seconds."""

    snapshot: BrokerSnapshot
    at: float = 0.0
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class SnapshotFailed:
    """A snapshot that the broker did not answer in time, or during which the link was lost."""

    why: str


BrokerEvent = QuoteUpdate | OrderUpdate | FillReport | CommissionReport | OrderMessage | LinkChange
Event = BrokerEvent | Timer | StopRequested | NotSent | SnapshotTaken | SnapshotFailed
