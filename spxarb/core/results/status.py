"""What `status` answers: the account, the market, the open spreads and the day so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from spxarb.core.result import Result

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from spxarb.core.model import AccountValues, ExitReason, TradeStatus
    from spxarb.core.price_state import PriceState
    from spxarb.core.records import Trade
    from spxarb.core.results.positions import PositionResult
    from spxarb.core.results.rows import MatterRow


@dataclass(frozen=True)
class SystemResult:
    """Whether spxarb may enter, is connected, and how much it holds."""

    is_trading: bool | None = None
    """Whether new entries are allowed."""
    is_connected: bool | None = None
    open_positions: int | None = None
    trades_today: int | None = None
    """Trades of the day with any fill."""


@dataclass(frozen=True)
class AccountResult:
    """The account at the broker, dollars; all null without a connection."""

    account_id: str | None = None
    net_liquidation: Decimal | None = None
    total_cash: Decimal | None = None
    available_funds: Decimal | None = None
    buying_power: Decimal | None = None
    initial_margin: Decimal | None = None
    excess_liquidity: Decimal | None = None

    @classmethod
    def of(cls, values: AccountValues) -> Self:
        return cls(**{name: getattr(values, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class MarketResult:
    """The underlyings now: SPY in dollars, SPX in index points."""

    spy_price: Decimal | None = None
    spx_price: Decimal | None = None
    ratio: Decimal | None = None
    """SPX / SPY."""


@dataclass(frozen=True)
class PositionPrices:
    """What the P&L and the limits of an open spread rest on."""

    trade_id: int
    prices: tuple[PriceState, ...]


@dataclass(frozen=True)
class TradeResult:
    """A trade of the day, dollars."""

    id: int
    trade_date: date
    entry_credit: Decimal | None
    final_pnl: Decimal | None
    """Null while it is open."""
    exit_reason: ExitReason | None
    status: TradeStatus

    @classmethod
    def of(cls, trade: Trade) -> Self:
        return cls(**{name: getattr(trade, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class PerformanceResult:
    """The day so far, dollars."""

    daily_realized_pnl: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    """Null when what an open spread is worth is not known."""
    total_pnl: Decimal | None = None
    max_daily_loss: Decimal | None = None
    risk_breached: bool | None = None
    """Whether the loss exceeds the limit; null when the total is not known."""
    trades_count: int | None = None
    """Trades of the day with any fill."""
    active_positions: int | None = None


@dataclass(frozen=True, kw_only=True)
class StatusResult(Result):
    """The account, the market, the open spreads and the day so far."""

    status: SystemResult = field(default_factory=SystemResult)
    account: AccountResult = field(default_factory=AccountResult)
    market: MarketResult = field(default_factory=MarketResult)
    positions: tuple[PositionResult, ...] = ()
    market_prices: tuple[PriceState, ...] = ()
    """What the prices of SPX and SPY are worth; empty without a connection."""
    prices: tuple[PositionPrices, ...] = ()
    """Of each position; without a connection those of its newest mark."""
    trades: tuple[TradeResult, ...] = ()
    """The trades of the day."""
    performance: PerformanceResult = field(default_factory=PerformanceResult)
    reconciliation: tuple[str, ...] = ()
    """Where ledger and broker differ; empty when they agree, or when the broker was not asked."""
    matters: tuple[MatterRow, ...] = ()
    """Matters for a human that are open, oldest first."""
