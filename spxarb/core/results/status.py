"""What `status` answers: the account, the market, the open spreads and the day so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from spxarb.core.result import Result
from spxarb.core.results.positions import PositionResult

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.greeks import PositionGreeks
    from spxarb.core.margin import AccountValues
    from spxarb.core.model import ExitReason, TradeStatus
    from spxarb.core.price_state import PriceState
    from spxarb.core.records import Trade
    from spxarb.core.results.rows import MatterRow
    from spxarb.core.risk import LegGreeks, StressRow
    from spxarb.core.sessions import TradingDay
    from spxarb.core.trades import TradeState


@dataclass(frozen=True)
class SystemResult:
    """Whether spxarb may enter, is connected, and how much it holds."""

    is_trading: bool | None = None
    """Whether new entries are allowed."""
    is_connected: bool | None = None
    open_positions: int | None = None
    """Spreads of which the account may hold calls."""
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
class SessionResult:
    """Today's session and timetable, New York; all times null without a session."""

    day: date | None = None
    open: datetime | None = None
    close: datetime | None = None
    half_day: bool | None = None
    """Null without a session."""
    why: str | None = None
    """Why there is no session, or a short one; null on an ordinary day."""
    entry_open: datetime | None = None
    entry_cutoff: datetime | None = None
    exit_at: datetime | None = None
    """When the exit by time is due."""
    settle_at: datetime | None = None
    doubt: str | None = None
    """How the broker's own hours disagree; null when they agree, or when the broker was not asked."""

    @classmethod
    def of(cls, day: date, hours: TradingDay | None, why: str, doubt: str) -> Self:
        if hours is None:
            return cls(day=day, why=why or None, doubt=doubt or None)
        times = (hours.entry_open, hours.entry_cutoff, hours.exit_at, hours.settle_at)
        return cls(day, hours.open, hours.close, hours.early, why or None, *times, doubt or None)


@dataclass(frozen=True)
class StatusPosition(PositionResult):
    """A spread that has no result yet, and its greeks."""

    greeks: PositionGreeks
    state: TradeState
    may_be_held: bool
    """False once it was lost from sight, or its calls expired on an earlier day: only its result is open."""

    @classmethod
    def at(cls, trade: Trade, pnl: Decimal | None, greeks: PositionGreeks, *, may_be_held: bool) -> Self:
        known = {"greeks": greeks, "state": trade.state, "may_be_held": may_be_held}
        return cls(**{**vars(PositionResult.of(trade, pnl)), **known})


@dataclass(frozen=True)
class RiskResult:
    """The risk of all open spreads; filled by `status --risk` alone."""

    legs: tuple[LegGreeks, ...] = ()
    """The greeks of each leg that is held."""
    stress: tuple[StressRow, ...] = ()
    """What all open spreads together make where SPX and SPY move; empty with nothing open."""


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
    session: SessionResult = field(default_factory=SessionResult)
    positions: tuple[StatusPosition, ...] = ()
    risk: RiskResult = field(default_factory=RiskResult)
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
