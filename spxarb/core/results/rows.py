"""Rows of the ledger as reports show them: every column of the table, as stored.

Days and moments are text, flags 0 or 1. `Annotated[str, ...]` names the type that the text is of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping  # noqa: TC003 -- `get_type_hints` reads them
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from spxarb.core.model import ExitReason, LegName, Side, TradeStatus
from spxarb.core.records import FillSource, Purpose
from spxarb.core.settlement import Stage
from spxarb.core.trades import TradeState

DayText = Annotated[str, date]
TimeText = Annotated[str, datetime]
StatusText = Annotated[str, TradeStatus]
StateText = Annotated[str, TradeState]
ReasonText = Annotated[str, ExitReason]
LegText = Annotated[str, LegName]
SideText = Annotated[str, Side]
StageText = Annotated[str, Stage]
PurposeText = Annotated[str, Purpose]
SourceText = Annotated[str, FillSource]


@dataclass(frozen=True)
class Row:
    """A row of a table: a field a column, in the table's order."""

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        return tuple(cls.__dataclass_fields__)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """From a row as the ledger stores it. Raises KeyError when a column is missing."""
        return cls(**{name: row[name] for name in cls.columns()})


R = TypeVar("R", bound=Row)


def readable_rows(
    rows_of: type[R], rows: Iterable[Mapping[str, Any]], what: str
) -> tuple[tuple[R, ...], list[str]]:
    """The rows that hold what their table may hold, and a sentence for each other one; `what`: what a row is.

    A value that something else wrote there is no reason to show the rest of a row as if it could be believed.
    """
    good, left_out = [], []
    hints = get_type_hints(rows_of, include_extras=True)
    for row in rows:
        wrong = next((name for name, hint in hints.items() if not _fits(row[name], hint)), None)
        if wrong is None:
            good.append(rows_of.of(row))
        else:
            name = row[rows_of.columns()[0]]
            left_out.append(f"{what} {name} is left out: its {wrong} {row[wrong]!r} cannot be read.")
    return tuple(good), left_out


def _fits(value: object, hint: Any) -> bool:
    """Whether a value as stored is of the field's type: the text of a day, a moment or a word included."""
    origin = get_origin(hint)
    if origin in {Union, UnionType}:
        return any(_fits(value, one) for one in get_args(hint))
    if origin is Annotated:
        text, *kinds = get_args(hint)
        return _fits(value, text) and all(_reads_as(kind, str(value)) for kind in kinds)
    if origin is tuple:
        return isinstance(value, list | tuple) and all(_fits(item, get_args(hint)[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(value, origin or hint)


def _reads_as(kind: type[StrEnum | date], text: str) -> bool:
    try:
        read = kind(text) if issubclass(kind, StrEnum) else kind.fromisoformat(text)
    except ValueError:
        return False
    return not isinstance(read, datetime) or read.tzinfo is not None


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
class MatterRow(Row):
    """A row of `matters`: something that needs a human."""

    id: int
    """For `spxarb ack`."""
    key: str
    """Its kind, a colon, and what it is about."""
    trade_id: int | None
    text: str
    since: TimeText
    last_seen: TimeText
    alerted_at: TimeText | None
    alerted_to: str | None
    resolved_at: TimeText | None
    resolution: str | None
    """By which evidence."""
    acknowledged_at: TimeText | None
    note: str | None
    """As given with the acknowledgement."""


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
