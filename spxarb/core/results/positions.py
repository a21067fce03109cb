"""An open spread in the answers of `monitor`, `close-all` and `status`, and what was done with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.model import ExitReason, LegName, TradeStatus
    from spxarb.core.price_state import PriceState
    from spxarb.core.records import Trade
    from spxarb.core.results.actions import Action


@dataclass(frozen=True)
class PositionResult:
    """An open spread; strikes in dollars (SPY) and index points (SPX)."""

    trade_id: int
    entry_time: datetime | None
    spy_strike: Decimal | None
    spx_strike: Decimal | None
    entry_credit: Decimal | None
    """Dollars net of the entry's commissions, from fills."""
    current_pnl: Decimal | None
    """Dollars: the entry credit less what closing costs now, commissions included; null when not known."""
    status: TradeStatus

    @classmethod
    def of(cls, trade: Trade, pnl: Decimal | None) -> Self:
        return cls(*_position(trade, pnl))


@dataclass(frozen=True)
class ManagedPosition(PositionResult):
    """An open spread, and what was done with it."""

    exit_reason: ExitReason | None
    """Why it was or is to be closed; null while it is held."""
    action: Action
    residual: tuple[LegName, ...]
    """Legs left to cash settlement; usually empty."""
    prices: tuple[PriceState, ...] = ()
    """What its P&L and its limits rest on."""
    final_pnl: Decimal | None = None
    """Dollars by its fills, commissions included; null while it is open. `current_pnl` is of before."""

    @classmethod
    def managed(
        cls,
        trade: Trade,
        pnl: Decimal | None,
        action: Action,
        reason: ExitReason | None,
        residual: Sequence[LegName],
        prices: Sequence[PriceState] = (),
    ) -> Self:
        """The trade as it is afterwards; `pnl` was measured before."""
        reason = reason or trade.exit_reason
        left = tuple(residual) or trade.residual
        return cls(*_position(trade, pnl), reason, action, left, tuple(prices), trade.final_pnl)


def _position(
    trade: Trade, pnl: Decimal | None
) -> tuple[int, datetime | None, Decimal | None, Decimal | None, Decimal | None, Decimal | None, TradeStatus]:
    spy, spx = trade.spy.strike, trade.spx.strike
    return trade.id, trade.entry_time, spy, spx, trade.entry_credit, pnl, trade.status


# --- before close-all acts ------------------------------------------------------------------------
