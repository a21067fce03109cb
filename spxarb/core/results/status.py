"""What `status` answers: the account, the market, the open spreads and the day so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from spxarb.core.model import TradeStatus
from spxarb.core.results.going_live import LiveGateResult
from spxarb.core.results.job import RunsOfDayResult
from spxarb.core.results.positions import PositionResult
from spxarb.core.trades import TradeState
from spxarb.core.trading_state import TradingResult

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.distances import ExitDistances
    from spxarb.core.greeks import PositionGreeks
    from spxarb.core.margin import AccountValues
    from spxarb.core.model import ExitReason
    from spxarb.core.price_state import PriceState
    from spxarb.core.records import Trade
    from spxarb.core.results.rows import MatterRow
    from spxarb.core.risk import LegGreeks, StressRow
    from spxarb.core.sessions import TradingDay


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
    """An open spread: its greeks, what stands behind its credit, and where it stands."""

    greeks: PositionGreeks
    state: TradeState = TradeState.OPEN
    """Where the trade stands; `status` is derived from it: see trade-life.md."""
    needs_human: bool = False
    """Whether a matter of it is open, or what is held of it cannot be shown."""
    may_be_held: bool = True
    """False once it was lost from sight, or its calls expired on an earlier day: only its result is open."""
    what: str | None = None
    """What the state means, where it is not simply open; null where it is."""
    spx_contracts: int | None = None
    spy_contracts: int | None = None
    strike_mismatch_points: Decimal | None = None
    """Index points; positive: the short strike lies lower."""
    worst_case: Decimal | None = None
    """Dollars: the least that it brings if held to the close, by its strikes and its fills."""

    @classmethod
    def at(
        cls,
        trade: Trade,
        pnl: Decimal | None,
        greeks: PositionGreeks,
        *,
        may_be_held: bool = True,
        needs_human: bool = False,
        under_way: bool = False,
    ) -> Self:
        """`under_way`: a job works on it now, so that what is not whole yet is no trouble."""
        from spxarb.core.distances import worst_at_expiry  # noqa: PLC0415 -- only an open trade needs it

        unsettled = trade.status is TradeStatus.ERROR or trade.state in {
            TradeState.ENTERING,
            TradeState.EXITING,
        }
        return cls(
            **vars(PositionResult.of(trade, pnl)),
            greeks=greeks,
            state=trade.state,
            may_be_held=may_be_held,
            needs_human=needs_human or (unsettled and not under_way),
            what="a job works on it now" if under_way and unsettled else STATES.get(trade.state),
            spx_contracts=trade.spx_contracts,
            spy_contracts=trade.spy_contracts,
            strike_mismatch_points=trade.strike_mismatch,
            worst_case=worst_at_expiry(trade),
        )


STATES = {
    TradeState.ENTERING: "its entry is neither whole nor undone",
    TradeState.ENTRY_UNPROVEN: "what its entry filled is not known",
    TradeState.EXITING: "its exit is not complete",
    TradeState.HANDING_OVER: "its hand-over is not complete",
    TradeState.HANDED_OVER: "handed over: yours to close",
    TradeState.RESIDUAL: "SPY is bought back, SPX waits for its cash settlement",
    TradeState.EXPIRED: "its calls have expired and are not settled yet",
    TradeState.UNPROVEN: "what is held of it is not known",
    TradeState.LOST: "how its orders ended is lost: only the statement knows",
}
"""What a state means to whoever looks at a list of open spreads."""


@dataclass(frozen=True)
class PositionExits:
    """How far an open spread is from its exits, and what rests at the broker in case nothing of ours runs."""

    trade_id: int
    as_of: datetime | None
    """When its prices were looked at; without a connection the time of its newest mark, null without one."""
    distances: ExitDistances | None
    """Null where spxarb will not exit it: handed over, left to settlement, or lost."""
    failsafe: FailsafeResult


@dataclass(frozen=True)
class FailsafeResult:
    """The buy-back of SPY that rests at the broker, inactive until shortly before the close."""

    wanted: bool
    """Whether one should rest: `execution.broker_side_failsafe`, while calls are short."""
    resting: int | None = None
    """Contracts that rest at the broker, 0 for none; null where the broker was not asked."""
    sent: int | None = None
    """Contracts of the newest one that the ledger does not know to be over; null for none."""
    active_from: datetime | None = None
    order_ref: str | None = None


@dataclass(frozen=True)
class ConnectionResult:
    """Where the gateway is looked for, and which account it serves."""

    host: str | None = None
    port: int | None = None
    client_id: int | None = None
    """Null without a connection."""
    account: str | None = None
    """The account that is connected, else the one of the ledger or of the configuration; null: none known."""


@dataclass(frozen=True)
class RoutineResult:
    """A command that timers start: what it said last, and when it is due."""

    command: str
    last_run: datetime | None = None
    """By the market's clock; null: it never ran with this ledger."""
    said: str | None = None
    """What that run came to, in a few words."""
    exit_code: int | None = None
    """Null where its end was not written down: it is running, or was killed."""
    error: str | None = None
    next_due: datetime | None = None
    """By the calendar and the configuration's times."""
    missed: datetime | None = None
    """The newest time of today at which it was due and did not run; null where there is none."""


@dataclass(frozen=True)
class LockResult:
    """Who holds the lock of all jobs; all null: nobody."""

    pid: int | None = None
    command: str | None = None
    since: str | None = None


@dataclass(frozen=True)
class PathsResult:
    """The files in use."""

    ledger: str | None = None
    ledger_exists: bool | None = None
    configuration: str | None = None
    """Null: no file, the defaults are in force."""
    log: str | None = None


@dataclass(frozen=True)
class LastPrices:
    """The newest prices of SPX and SPY in the ledger; all null where there are none."""

    at: datetime | None = None
    spx_price: Decimal | None = None
    spy_price: Decimal | None = None
    states: tuple[PriceState, ...] = ()


@dataclass(frozen=True)
class PnlPoint:
    """The day's net P&L at a moment, dollars."""

    at: datetime
    net_pnl: Decimal


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
    """One of the newest trades, dollars."""

    id: int
    trade_date: date
    entry_credit: Decimal | None
    final_pnl: Decimal | None
    """Null while it is open."""
    exit_reason: ExitReason | None
    status: TradeStatus
    state: TradeState
    entry_time: datetime | None
    exit_time: datetime | None

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
class StatusResult(RunsOfDayResult):
    """The account, the market, the open spreads and the day so far."""

    status: SystemResult = field(default_factory=SystemResult)
    account: AccountResult = field(default_factory=AccountResult)
    market: MarketResult = field(default_factory=MarketResult)
    session: SessionResult = field(default_factory=SessionResult)
    positions: tuple[StatusPosition, ...] = ()
    risk: RiskResult = field(default_factory=RiskResult)
    market_prices: tuple[PriceState, ...] = ()
    """What the prices of SPX and SPY are worth; empty without a connection."""
    data_trouble: str | None = None
    """What the gateway said of prices that are missing or in doubt; null where neither is so."""
    prices: tuple[PositionPrices, ...] = ()
    """Of each position; without a connection those of its newest mark."""
    trades: tuple[TradeResult, ...] = ()
    """The newest trades of any day, newest first, 50 at the most."""
    performance: PerformanceResult = field(default_factory=PerformanceResult)
    reconciliation: tuple[str, ...] = ()
    """Where ledger and broker differ; empty when they agree, or when the broker was not asked."""
    matters: tuple[MatterRow, ...] = ()
    """Matters for a human that are open, oldest first."""
    connection: ConnectionResult = field(default_factory=ConnectionResult)
    trading: TradingResult = field(default_factory=TradingResult)
    routines: tuple[RoutineResult, ...] = ()
    """`enter`, `monitor`, `settle`."""
    lock: LockResult = field(default_factory=LockResult)
    paths: PathsResult = field(default_factory=PathsResult)
    exits: tuple[PositionExits, ...] = ()
    """Of each position."""
    last_prices: LastPrices = field(default_factory=LastPrices)
    pnl_line: tuple[PnlPoint, ...] = ()
    """The day's net P&L as its jobs marked it, oldest first."""
    going_live: LiveGateResult = field(default_factory=LiveGateResult)
    """In mode live: whether entries are let through by what paper has shown."""
    show_greeks: bool = True
    """`dashboard.show_greeks`: whether the screen shows them."""
    show_pnl_chart: bool = True
    """`dashboard.show_pnl_chart`: whether the live screen draws the line of the day."""
