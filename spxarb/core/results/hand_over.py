"""What `hand-over` answers: what the human holds now, and how each order of ours ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.result import Result

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.contracts import Contract
    from spxarb.core.model import LegName, Side, TradeStatus


@dataclass(frozen=True)
class HandedLeg:
    """A leg of the trade, and what is held of it."""

    leg: LegName
    trading_class: str
    expiration: date | None
    strike: Decimal | None
    right: str | None
    quantity: int
    """Contracts, short negative; 0: nothing is held."""

    @classmethod
    def of(cls, leg: LegName, contract: Contract, quantity: int) -> HandedLeg:
        return cls(leg, contract.trading_class, contract.expiry, contract.strike, contract.right, quantity)


@dataclass(frozen=True)
class EndedOrder:
    """An order of ours that could still trade when the human took the trade."""

    order_ref: str
    """As TWS shows it in the column Order Ref."""
    side: Side
    leg: LegName
    quantity: int
    filled: Decimal | None
    """Contracts; null while its end is not proven."""
    proven: bool
    """Whether nothing more can come of it; false: it may still trade."""


@dataclass(frozen=True, kw_only=True)
class HandOverResult(Result):
    """A trade that a human takes."""

    trade_id: int | None = None
    status: TradeStatus | None = None
    """Afterwards: ACTIVE, CLOSED where nothing of it is left, ERROR while an order is unproven."""
    handed_over_at: datetime | None = None
    """When the human took it; spxarb sends no order of it after that. Null: it is still spxarb's."""
    complete: bool = False
    """Whether every order of ours is proven over: nothing of ours can trade it any more."""
    legs: tuple[HandedLeg, ...] = ()
    """What is his."""
    orders: tuple[EndedOrder, ...] = ()
    """Orders of ours that were to be ended, and how they did."""
    reconciliation: tuple[str, ...] = ()
    """Differences found between ledger and broker, a sentence each; empty when there were none."""
