"""What `monitor` and `close-all` answer: the open spreads, and what was done with each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from spxarb.core.results.job import RunsOfDayResult

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.model import ExitReason, LegName, TradeStatus
    from spxarb.core.price_state import PriceState
    from spxarb.core.records import Trade


class Action(StrEnum):
    """What was done with a spread."""

    HELD = "held"
    CLOSED = "closed"
    WOULD_CLOSE = "would_close"
    FAILED = "failed"


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


@dataclass(frozen=True, kw_only=True)
class MonitorResult(RunsOfDayResult):
    """The open spreads, and what was done with each."""

    positions: tuple[ManagedPosition, ...] = ()
    asked_broker: bool = False
    """Whether the broker was asked: only then do no differences mean that there are none."""
    reconciliation: tuple[str, ...] = ()
    """Differences found between ledger and broker, a sentence each; empty when there were none."""


@dataclass(frozen=True, kw_only=True)
class CloseAllResult(RunsOfDayResult):
    """Every spread that was open, and whether anything of ours is left."""

    positions: tuple[ManagedPosition, ...] = ()
    flat: bool | None = None
    """Whether nothing of ours is held any more; null when that could not be found out."""
    asked_broker: bool = False
    reconciliation: tuple[str, ...] = ()
    """Differences found between ledger and broker, a sentence each; empty when there were none."""


# --- before close-all acts ------------------------------------------------------------------------


@dataclass(frozen=True)
class OpenSpread:
    """An open spread as the ledger has it; dollars, strikes as in `PositionResult`."""

    trade_id: int
    spx_strike: Decimal | None
    spy_strike: Decimal | None
    entry_credit: Decimal | None
    pnl: Decimal | None
    """Of the newest mark; null where there is none, or where a price was missing in it."""
    marked_at: datetime | None
    age_seconds: float | None
    """Of that mark, by the clock of the command; null without one."""
    left_alone: str
    """Why `close-all` will not trade it, a phrase; empty where it will."""


@dataclass(frozen=True)
class ClosingPreview:
    """What `close-all` tells before it asks: by configuration and ledger alone, nobody was asked."""

    mode: str
    account: str | None
    ledger: str
    spreads: tuple[OpenSpread, ...]
    way: str
    """How it will leave, a phrase."""
    doubt: str = ""
    """Why the ledger could not be read, or what is wrong with the configuration; empty for nothing."""
