"""Rows of trades, days, settlements and executions, as `report` and `settle` show them."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 -- `get_type_hints` reads it
from dataclasses import dataclass

from spxarb.core.results.rows import (
    DayText,
    LegText,
    PurposeText,
    ReasonText,
    Row,
    SideText,
    SourceText,
    StageText,
    StateText,
    StatusText,
    TimeText,
)


@dataclass(frozen=True)
class TradeRow(Row):
    """A row of `trades`. Dollars; prices as quoted or filled."""

    id: int
    trade_date: DayText
    spy_price: float | None
    spx_price: float | None
    spy_strike: float | None
    spx_strike: float | None
    spy_entry_bid: float | None
    spy_entry_ask: float | None
    spx_entry_bid: float | None
    spx_entry_ask: float | None
    entry_credit: float | None
    """Net of the entry's commissions, from fills."""
    entry_time: TimeText | None
    entry_filled: int
    spy_exit_price: float | None
    spx_exit_price: float | None
    exit_cost: float | None
    """Positive when paid; includes the exit's commissions and any settlement."""
    exit_time: TimeText | None
    exit_reason: ReasonText | None
    final_pnl: float | None
    """Entry credit less exit cost."""
    commissions: float | None
    """Both sides."""
    status: StatusText
    account: str
    spx_contract: Mapping[str, object]
    spy_contract: Mapping[str, object]
    spx_contracts: int
    spy_contracts: int
    commissions_estimated: int
    """1 until the broker has reported every commission."""
    provisional: int
    """1 until the next morning has confirmed the settlement."""
    residual: tuple[LegText, ...]
    """Legs left to cash settlement."""
    ratio: float | None
    """SPX / SPY at entry."""
    strike_mismatch: float | None
    """Index points."""
    edge: float | None
    worst_case: float | None
    limits: Mapping[str, object]
    """The configuration in force at entry."""
    note: str
    state: StateText
    """Where the trade stands; `status` is derived from it: see trade-life.md."""
    handed_over_at: TimeText | None
    """When a human took it with `hand-over`; null: nobody did."""
    at_hand_over: Mapping[str, object] | None
    """What others had done in its contracts by then."""


@dataclass(frozen=True)
class DayRow(Row):
    """A row of `daily_summary`, dollars; all null for a day without one."""

    id: int | None = None
    date: DayText | None = None
    trades_count: int | None = None
    winning_trades: int | None = None
    losing_trades: int | None = None
    total_pnl: float | None = None
    """Before commissions."""
    total_commissions: float | None = None
    net_pnl: float | None = None
    max_drawdown: float | None = None
    """The day's deepest fall of net P&L from its peak, never negative."""
    provisional: int | None = None
    """1 while a later look may change the figures."""


@dataclass(frozen=True)
class SettlementRow(Row):
    """A row of `settlement_stages`: what one stage says of one leg that expired. Dollars."""

    trade_id: int
    leg: LegText
    stage: StageText
    quantity: float
    """Contracts, short negative."""
    price: float | None
    """The underlying's; null where a statement tells cash alone."""
    cash: float
    difference: float | None
    """To the stage before; null in the first."""
    source: str
    at: TimeText


@dataclass(frozen=True)
class ExecutionRow(Row):
    """A row of `executions`: one fill that stands. Dollars."""

    exec_id: str
    trade_id: int
    leg: LegText
    order_ref: str
    time: TimeText
    account: str
    con_id: int
    symbol: str
    side: SideText
    quantity: float
    price: float
    commission: float
    commission_estimated: int
    """1 until the broker has reported the commission."""
    purpose: PurposeText
    """e: entry, u: undoes an entry, x: exit, f: fail-safe, h: by hand, after a hand-over."""
    family: str
    """What all corrections of one execution share."""
    sec_type: str
    client_id: int
    order_id: int
    perm_id: int
    superseded: int
    commission_estimate: float | None
    """What the schedule of fees expected, kept beside what was reported."""
    source: SourceText
    """api: the gateway reported it; statement: it was supplied from the account's statement."""
    own_order: str | None
    """The order of ours that it filled; null: a human's, by hand."""
