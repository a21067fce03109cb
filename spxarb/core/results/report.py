"""What `report` and `demo` answer: trades, days, executions, statistics, and where the P&L came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spxarb.core.attribution import Attribution, TradeAnalysis
from spxarb.core.claims import CAPITAL, DocumentClaim
from spxarb.core.fees import FeeComparison
from spxarb.core.result import Result
from spxarb.core.results.report_rows import DayRow, ExecutionRow, SettlementRow, TradeRow
from spxarb.core.statistics import Statistics
from spxarb.core.tax import TaxRow, TaxTotals

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from spxarb.core.entry_reasons import QuietDay, SkipReason
    from spxarb.core.events import Explained
    from spxarb.core.issues import Issue
    from spxarb.core.performance import DayResult
    from spxarb.core.results.rows import MatterRow, Row

TABLES: dict[str, type[Row]] = {
    "trades": TradeRow,
    "days": DayRow,
    "executions": ExecutionRow,
    "settlements": SettlementRow,
    "tax": TaxRow,
}
"""The fields of a report that `--csv` can write, and the rows of each."""


@dataclass(frozen=True)
class Period:
    """The days that the report is of, both inclusive."""

    since: date | None = None
    """As asked for; null: from the ledger's first day."""
    until: date | None = None
    """As asked for; null: to the ledger's last day."""
    last: int | None = None
    """Only so many trades, the newest; null: all."""
    first_day: date | None = None
    """The first day that the report covers; null: the ledger knows of none in the period."""
    last_day: date | None = None
    trading_days: int = 0
    """Of the exchange, from the first to the last day."""


@dataclass(frozen=True)
class ExitCount:
    """How many trades ended for one reason, and with what."""

    reason: str
    """`unknown` where only the account's statement knows."""
    trades: int
    wins: int
    net_pnl: Decimal | None
    """Dollars; null where the results are not known."""
    average: Decimal | None
    by_hand: int
    """Of these trades, those that a human closed, or part of them."""


@dataclass(frozen=True)
class UnknownResult:
    """A trade whose result is not known here: the account's statement has it."""

    trade_id: int
    day: date
    state: str
    note: str


@dataclass(frozen=True, kw_only=True)
class ReportResult(Result):
    """Trades, days, executions and statistics of the days asked for."""

    period: Period = field(default_factory=Period)
    trades: tuple[TradeRow, ...] = ()
    days: tuple[DayRow, ...] = ()
    executions: tuple[ExecutionRow, ...] = ()
    settlements: tuple[SettlementRow, ...] = ()
    """What each stage says of the legs that expired, the first stage first."""
    statistics: Statistics = field(default_factory=Statistics)
    daily: tuple[DayResult, ...] = ()
    """The net P&L of each trading day from the closed trades, 0 without one; days with a trade that is open,
    or of unknown result, are left out."""
    analyses: tuple[TradeAnalysis, ...] = ()
    """Where each trade's P&L came from, in the order of `trades`."""
    attribution: Attribution = field(default_factory=Attribution)
    exits: tuple[ExitCount, ...] = ()
    """By reason, the most frequent first."""
    skips: tuple[SkipReason, ...] = ()
    """What stopped attempts to enter, the most frequent first."""
    quiet_days: tuple[QuietDay, ...] = ()
    """Trading days without a trade, and why."""
    issues: tuple[Issue, ...] = ()
    """Commands that did not end with 0, matters for a human, alerts that did not go out; the latest last."""
    unknown: tuple[UnknownResult, ...] = ()
    """Trades whose result is not known here: they are in no statistic."""
    capital: Decimal = CAPITAL
    """Dollars: what the yearly claim and the risk of ruin stand on."""
    claims: tuple[DocumentClaim, ...] = ()
    """What the strategy's document promises, beside what was measured."""
    fees: FeeComparison = field(default_factory=FeeComparison)
    """The schedule's estimates beside the commissions reported."""
    matters: tuple[MatterRow, ...] = ()
    """Matters for a human that are open, oldest first."""
    tax_year: int | None = None
    """The year of `tax`; null where none was asked for."""
    tax: tuple[TaxRow, ...] = ()
    """One row an execution, and one a settlement, of that year."""
    tax_totals: TaxTotals = field(default_factory=TaxTotals)
    explained: date | None = None
    """The day of which `explanation` tells; null where none was asked for."""
    explanation: tuple[Explained, ...] = ()
    """What happened on that day, in order."""


@dataclass(frozen=True, kw_only=True)
class DemoResult(ReportResult):
    """The report of the simulated day."""
