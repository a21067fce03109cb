"""`report`: trades, days and statistics, from the ledger alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.fees import compare_fees
from spxarb.core.results.report import ReportResult
from spxarb.core.results.rows import (
    DayRow,
    ExecutionRow,
    MatterRow,
    SettlementRow,
    TradeRow,
    readable_rows,
)
from spxarb.core.statistics import statistics

if TYPE_CHECKING:
    from datetime import date

    from spxarb.core.events import Explained
    from spxarb.trading.context import JobContext


def run(
    context: JobContext, *, since: date | None, until: date | None, explained: date | None = None
) -> ReportResult:
    """Everything of the days from `since` to `until`, both inclusive; None: without an end.

    A row that cannot be read is left out, by name. `explained`: a day that is told event by event.
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
    trade_rows, no_trades = readable_rows(TradeRow, ledger.trades.rows(since, until), "Trade")
    days, no_days = readable_rows(DayRow, ledger.days.summary_rows(since, until), "The summary")
    executions, no_fills = readable_rows(ExecutionRow, ledger.fills.rows(since, until), "Execution")
    settlements, no_settlements = readable_rows(
        SettlementRow, ledger.settlements.figure_rows(since, until), "The settlement"
    )
    open_matters, no_matters = readable_rows(MatterRow, ledger.matters.open_rows(), "Matter")
    result = ReportResult(
        *context.head(),
        trades=trade_rows,
        days=days,
        executions=executions,
        settlements=settlements,
        statistics=statistics(pnls, [trade.edge for trade in ended], unknown=len(unknown)),
        fees=compare_fees(fill for trade in trades for fill in ledger.fills.of_trade(trade.id)),
        matters=open_matters,
        explained=explained,
        explanation=() if explained is None else _explanation(context, explained),
    )
    return context.finish(result, notes=[*no_trades, *no_days, *no_fills, *no_settlements, *no_matters])


def _explanation(context: JobContext, day: date) -> tuple[Explained, ...]:
    from spxarb.core.explanation import explain  # noqa: PLC0415 -- only a day that is explained needs it

    return explain(day.isoformat(), context.ledger.history.of_day(day))
