"""`report`: trades, days and statistics, from the ledger alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.results.report import ReportResult
from spxarb.core.results.rows import DayRow, ExecutionRow, MatterRow, TradeRow
from spxarb.core.statistics import statistics

if TYPE_CHECKING:
    from datetime import date

    from spxarb.core.events import Explained
    from spxarb.trading.context import JobContext


def run(
    context: JobContext, *, since: date | None, until: date | None, explained: date | None = None
) -> ReportResult:
    """Everything of the days from `since` to `until`, both inclusive; None: without an end.

    `explained`: a day that is told event by event.
    """
    ledger = context.ledger
    trades = ledger.trades.between(since, until)
    unknown = [trade for trade in trades if not trade.state.result_known]
    ended = [
        trade
        for trade in trades
        if not trade.is_open and trade.final_pnl is not None and ledger.fills.of_trade(trade.id)
    ]
    ended.sort(key=lambda trade: (trade.exit_time is None, trade.exit_time, trade.id))
    pnls = [trade.final_pnl for trade in ended if trade.final_pnl is not None]
    result = ReportResult(
        *context.head(),
        trades=tuple(map(TradeRow.of, ledger.trades.rows(since, until))),
        days=tuple(map(DayRow.of, ledger.days.summary_rows(since, until))),
        executions=tuple(map(ExecutionRow.of, ledger.fills.rows(since, until))),
        statistics=statistics(pnls, [trade.edge for trade in ended], unknown=len(unknown)),
        matters=tuple(map(MatterRow.of, ledger.matters.open_rows())),
        explained=explained,
        explanation=() if explained is None else _explanation(context, explained),
    )
    return context.finish(result)


def _explanation(context: JobContext, day: date) -> tuple[Explained, ...]:
    from spxarb.core.explanation import explain  # noqa: PLC0415 -- only a day that is explained needs it

    return explain(day.isoformat(), context.ledger.history.of_day(day))
