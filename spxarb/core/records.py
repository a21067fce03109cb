"""What the ledger keeps, as values: trades, orders, executions, settlements, and their references.

Every order of ours carries a reference `spxarb:<ledger>:<trade>:<leg>:<purpose><attempt>`, such as
`spxarb:4f1c:12:SPY:x2`: the ledger's own tag, trade 12, its SPY leg, the second order that closes it. Of all
ids only the reference survives a crash between "sent" and "acknowledged"; IB repeats it in open orders and
in executions, though some executions of real gateways came without (node-ib#110, nautilus_trader#4970).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spxarb.core.greeks import UNKNOWN_GREEKS
from spxarb.core.model import ZERO, LegName, Side
from spxarb.core.order_words import PREFIX, FillSource, Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.broker_books import Execution, OrderTicket
    from spxarb.core.contracts import Contract
    from spxarb.core.greeks import PositionGreeks
    from spxarb.core.model import ExitReason, TradeStatus
    from spxarb.core.price_state import PriceState
    from spxarb.core.trades import TradeState

_REF = re.compile(
    r"spxarb:(?P<tag>[0-9a-z]+):(?P<trade>\d+):(?P<leg>SPX|SPY):(?P<purpose>[euxf])(?P<attempt>\d+)"
)


@dataclass(frozen=True, slots=True)
class OrderName:
    """What an order reference says."""

    tag: str
    trade_id: int
    leg: LegName
    purpose: Purpose
    attempt: int

    def __str__(self) -> str:
        return f"{PREFIX}{self.tag}:{self.trade_id}:{self.leg}:{self.purpose}{self.attempt}"


def order_name(ref: str) -> OrderName | None:
    """The parts of a reference of ours (of any ledger); None for every other text."""
    found = _REF.fullmatch(ref)
    if found is None:
        return None
    return OrderName(
        found["tag"],
        int(found["trade"]),
        LegName(found["leg"]),
        Purpose(found["purpose"]),
        int(found["attempt"]),
    )


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as the ledger has it: committed before it was sent.

    `status` is the wire's last status, '' before any. `final`: its end is proven, and `filled` are then its
    contracts filled. `overnight`: `BrokerSnapshot.overnight` of its contract, by the last snapshot before it
    was sent; None: not known.
    """

    ticket: OrderTicket
    trade_id: int
    leg: LegName
    purpose: Purpose
    attempt: int
    client_id: int
    order_id: int
    created_at: datetime
    perm_id: int = 0
    status: str = ""
    final: bool = False
    filled: Decimal | None = None
    overnight: Decimal | None = None

    @property
    def ref(self) -> str:
        return self.ticket.order_ref


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution of ours in the ledger. `commission_estimated` until the broker reported it.

    `commission_estimate`: what the schedule of fees expected, dollars; None: not kept.
    """

    execution: Execution
    trade_id: int
    leg: LegName
    purpose: Purpose
    commission: Decimal  # dollars
    commission_estimated: bool
    commission_estimate: Decimal | None = None
    source: FillSource = FillSource.API

    @property
    def signed_quantity(self) -> Decimal:
        """Contracts: bought positive, sold negative."""
        return self.execution.quantity * self.execution.side.sign


@dataclass(frozen=True, slots=True)
class Settlement:
    """A leg that expired: `cash` dollars to us (negative: from us) for `quantity` contracts, signed.

    `price` is the underlying's closing price used, None where a statement tells cash alone; `provisional`
    until the next morning.
    """

    trade_id: int
    leg: LegName
    quantity: Decimal
    price: Decimal | None
    cash: Decimal
    source: str
    at: datetime
    provisional: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """An open spread marked to the market: prices and the result if closed, dollars; None where unknown.

    `spy_iv` and `spx_iv` are the yearly volatilities behind the greeks. `states` say what each price is
    worth: data type, halt, age.
    """

    trade_id: int
    at: datetime
    spy: Decimal | None
    spx: Decimal | None
    spy_bid: Decimal | None
    spy_ask: Decimal | None
    spx_bid: Decimal | None
    spx_ask: Decimal | None
    pnl: Decimal | None
    greeks: PositionGreeks = UNKNOWN_GREEKS
    spy_iv: float | None = None
    spx_iv: float | None = None
    states: tuple[PriceState, ...] = ()


@dataclass(frozen=True, slots=True)
class AtHandOver:
    """What others had done in a trade's contracts when a human took it.

    `gone`: contracts of each leg, signed as held, that the account did not hold any more. `seen`: the
    executions of others by then, by family: none of them is the human's exit.
    """

    gone: Mapping[LegName, int] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Trade:
    """One row of `trades`. Dollars; prices as quoted; None where not (yet) known.

    `spx` and `spy` are the legs' contracts as qualified at entry; `spx_contracts` and `spy_contracts` what
    the entry wanted. `limits` is the configuration in force at entry. `residual`: legs left to settlement.
    `handed_over_at`: when a human took it, for good; `at_hand_over` what others had done until then.
    """

    id: int
    trade_date: date
    state: TradeState
    account: str
    spx: Contract
    spy: Contract
    spx_contracts: int
    spy_contracts: int
    spy_price: Decimal | None = None
    spx_price: Decimal | None = None
    spy_entry_bid: Decimal | None = None
    spy_entry_ask: Decimal | None = None
    spx_entry_bid: Decimal | None = None
    spx_entry_ask: Decimal | None = None
    entry_credit: Decimal | None = None
    entry_time: datetime | None = None
    entry_filled: bool = False
    spy_exit_price: Decimal | None = None
    spx_exit_price: Decimal | None = None
    exit_cost: Decimal | None = None
    exit_time: datetime | None = None
    exit_reason: ExitReason | None = None
    final_pnl: Decimal | None = None
    commissions: Decimal | None = None
    commissions_estimated: bool = True
    residual: tuple[LegName, ...] = ()
    ratio: Decimal | None = None
    strike_mismatch: Decimal | None = None
    edge: Decimal | None = None
    worst_case: Decimal | None = None
    limits: Mapping[str, object] = field(default_factory=dict)
    note: str = ""
    handed_over_at: datetime | None = None
    at_hand_over: AtHandOver | None = None

    @property
    def handed_over(self) -> bool:
        """Whether a human has taken it: nothing of ours trades it ever again."""
        return self.handed_over_at is not None

    @property
    def can_exit(self) -> bool:
        """Whether there may be something of it that is ours to trade away."""
        return self.state.can_exit and not self.handed_over

    @property
    def is_open(self) -> bool:
        """Whether anything of it may still be held or working."""
        return self.state.is_open

    @property
    def status(self) -> TradeStatus:
        """The word of the `status` column."""
        return self.state.status

    @property
    def expiry(self) -> date:
        """The last day of its calls."""
        return self.spx.expiry or self.trade_date

    def contract(self, leg: LegName) -> Contract:
        return self.spx if leg is LegName.SPX else self.spy

    def opening_side(self, leg: LegName) -> Side:
        return Side.BUY if leg is LegName.SPX else Side.SELL

    def wanted(self, leg: LegName) -> int:
        """Contracts of the leg, unsigned."""
        return self.spx_contracts if leg is LegName.SPX else self.spy_contracts


def held(fills: Iterable[Fill], leg: LegName) -> Decimal:
    """Contracts of a leg that our own executions add up to: long positive, short negative."""
    return sum((fill.signed_quantity for fill in fills if fill.leg is leg), start=ZERO)
