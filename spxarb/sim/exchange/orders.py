"""Orders, executions and positions as the gateway sees them, and the events about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from spxarb.sim.exchange.fees import ZERO, Tally
from spxarb.sim.market.ticks import is_legal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from spxarb.sim.market.instruments import Instrument

CANCELLED_BY_CLIENT = "Cancelled by Trader"
LIQUIDATION_ID = -1
"""The order id of an order by which the broker itself closes a position; its client id is 0."""
LIVE = frozenset({"PendingSubmit", "PreSubmitted", "Submitted"})
"""The states in which an order can still change. PendingSubmit: not transmitted by its client yet."""


def dec(number: float) -> Decimal:
    """A float of the wire as the decimal that its shortest text reads as."""
    return Decimal(repr(float(number)))


@dataclass(frozen=True)
class Ticket:
    """An order as a client sends it. Prices are dollars per share or index points, None for a market order.

    `good_after`: the order is inactive until that moment. `extra` holds wire fields that are only echoed.
    """

    client_id: int
    order_id: int
    instrument: Instrument
    side: str
    quantity: int
    order_type: str = "LMT"
    limit: float | None = None
    tif: str = "DAY"
    order_ref: str = ""
    account: str = ""
    good_after: datetime | None = None
    what_if: bool = False
    transmit: bool = True
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def sign(self) -> int:
        """+1 to buy, -1 to sell."""
        return 1 if self.side == "BUY" else -1

    @property
    def terms(self) -> tuple[object, ...]:
        """What a modification must leave as it is."""
        return self.instrument, self.side, self.order_type, self.order_ref, self.account, self.good_after

    @property
    def priced(self) -> bool:
        """True for a market order and for a limit on the instrument's grid."""
        return self.limit is None or is_legal(self.instrument.market_rule_id, self.limit)

    def reaches(self, touch: float) -> bool:
        """True when the order may trade at `touch`."""
        if self.limit is None:
            return True
        return touch <= self.limit if self.side == "BUY" else touch >= self.limit


@dataclass(frozen=True)
class OrderSnapshot:
    """An order at one moment. `commission` in dollars, None until it is known; `why`: the reason."""

    ticket: Ticket
    perm_id: int
    status: str
    filled: int
    remaining: int
    avg_fill_price: float
    last_fill_price: float
    commission: float | None
    why: str
    completed_at: datetime | None


@dataclass(frozen=True)
class ExecutionReport:
    """One execution. Money in dollars; `realized_pnl` is None when nothing of a position was closed."""

    ticket: Ticket
    perm_id: int
    exec_id: str
    time: datetime
    exchange: str
    shares: int
    price: float
    cum_qty: int
    avg_price: float
    commission: float
    realized_pnl: float | None
    commission_id: str = ""
    """The execution id under which its commission is reported, when that is another one."""

    @property
    def side(self) -> str:
        """BOT or SLD."""
        return "BOT" if self.ticket.side == "BUY" else "SLD"

    @property
    def is_liquidation(self) -> bool:
        """True when the broker itself closed a position with it."""
        return self.ticket.order_id == LIQUIDATION_ID


@dataclass(frozen=True)
class Holding:
    """A position. `avg_cost` is dollars a contract (or share), with its commissions; money in dollars."""

    instrument: Instrument
    quantity: int
    avg_cost: float
    market_price: float
    market_value: float
    unrealized: float
    realized: float


@dataclass(frozen=True)
class WhatIf:
    """Margins and equity with loan value before, by and after an order that is not sent, dollars."""

    init_before: float
    maint_before: float
    elv_before: float
    init_change: float
    maint_change: float
    elv_change: float
    init_after: float
    maint_after: float
    elv_after: float
    commission: float
    min_commission: float
    max_commission: float
    currency: str = "USD"
    warning: str = ""


@dataclass(frozen=True)
class OrderChanged:
    """An order is new or has changed; the same state may come twice."""

    state: OrderSnapshot


@dataclass(frozen=True)
class Filled:
    """An execution."""

    fill: ExecutionReport


@dataclass(frozen=True)
class Commission:
    """The costs of an execution are known."""

    fill: ExecutionReport


@dataclass(frozen=True)
class OrderError:
    """An error or notice for a client about an order id."""

    client_id: int
    order_id: int
    code: int
    text: str


@dataclass(frozen=True)
class PositionChanged:
    """The account holds more or less of an instrument than before."""

    instrument: Instrument


Event = OrderChanged | Filled | Commission | OrderError | PositionChanged


@dataclass
class Order:
    """An order in the book, with everything that has happened to it."""

    ticket: Ticket
    perm_id: int
    status: str
    ends: datetime | None
    """When a DAY order expires; None for an order that is good till cancelled."""
    filled: int = 0
    notional: Decimal = ZERO
    """Sum of price times contracts."""
    last_price: float = 0.0
    commission: Decimal | None = None
    why: str = ""
    completed_at: datetime | None = None
    dormant: bool = False
    """True for an Inactive order that may become live: it is listed as open and can be cancelled."""
    sealed: bool = False
    """True while it has filled at the exchange unreported: it cannot be cancelled or changed."""
    tally: Tally = field(default_factory=Tally)

    @property
    def live(self) -> bool:
        """True while it can still fill or be cancelled."""
        return self.status in LIVE

    @property
    def remaining(self) -> int:
        """Contracts not filled."""
        return self.ticket.quantity - self.filled

    @property
    def avg_price(self) -> float:
        """Mean price of what filled, 0 when nothing did."""
        return round(float(self.notional / self.filled), 6) if self.filled else 0.0

    def snapshot(self) -> OrderSnapshot:
        """The order as it is now."""
        commission = None if self.commission is None else float(self.commission)
        return OrderSnapshot(
            self.ticket,
            self.perm_id,
            self.status,
            self.filled,
            self.remaining,
            self.avg_price,
            self.last_price,
            commission,
            self.why,
            self.completed_at,
        )
