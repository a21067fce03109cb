"""What `report` and `demo` answer: trades, days, executions and statistics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spxarb.core.fees import FeeComparison
from spxarb.core.result import Result
from spxarb.core.results.rows import DayRow, ExecutionRow, SettlementRow, TradeRow
from spxarb.core.statistics import Statistics

if TYPE_CHECKING:
    from datetime import date

    from spxarb.core.events import Explained
    from spxarb.core.results.rows import MatterRow, Row

TABLES: dict[str, type[Row]] = {
    "trades": TradeRow,
    "days": DayRow,
    "executions": ExecutionRow,
    "settlements": SettlementRow,
}
"""The fields of a report that `--csv` can write, and the rows of each."""


@dataclass(frozen=True, kw_only=True)
class ReportResult(Result):
    """Trades, days, executions and statistics of the days asked for."""

    trades: tuple[TradeRow, ...] = ()
    days: tuple[DayRow, ...] = ()
    executions: tuple[ExecutionRow, ...] = ()
    settlements: tuple[SettlementRow, ...] = ()
    """What each stage says of the legs that expired, the first stage first."""
    statistics: Statistics = field(default_factory=Statistics)
    fees: FeeComparison = field(default_factory=FeeComparison)
    """The schedule's estimates beside the commissions reported."""
    matters: tuple[MatterRow, ...] = ()
    """Matters for a human that are open, oldest first."""
    explained: date | None = None
    """The day of which `explanation` tells; null where none was asked for."""
    explanation: tuple[Explained, ...] = ()
    """What happened on that day, in order."""


@dataclass(frozen=True, kw_only=True)
class DemoResult(ReportResult):
    """The report of the simulated day."""
