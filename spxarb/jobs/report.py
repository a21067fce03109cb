"""`report`: trades, days and statistics, from the ledger alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from spxarb.core.attribution import attribution
from spxarb.core.claims import CAPITAL, claims
from spxarb.core.entry_reasons import attempts_of, quiet_days, skip_reasons
from spxarb.core.fees import compare_fees
from spxarb.core.issues import issues
from spxarb.core.results.report import ReportResult
from spxarb.core.results.report_rows import DayRow, ExecutionRow, SettlementRow, TradeRow
from spxarb.core.results.rows import MatterRow, readable_rows
from spxarb.core.statistics import statistics, with_days
from spxarb.core.tax import tax_doubts, tax_totals
from spxarb.trading.own_files import refuse_own_file
from spxarb.trading.reporting import (
    Covered,
    analyses,
    covered,
    day_differences,
    day_of,
    exit_counts,
    runs_by_day,
    tax_of,
    unknown_results,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal
    from pathlib import Path

    from spxarb.core.events import Explained
    from spxarb.core.issues import Issue
    from spxarb.trading.context import JobContext


def run(
    context: JobContext,
    *,
    since: date | None = None,
    until: date | None = None,
    last: int | None = None,
    capital: Decimal = CAPITAL,
    tax_year: int | None = None,
    explained: date | None = None,
    outputs: Sequence[Path] = (),
) -> ReportResult:
    """Everything of the days from `since` to `until`, both inclusive; None: without an end.

    A row that cannot be read is left out, by name. `last`: only so many trades, the newest. `capital`: the
    dollars of the yearly claim. `explained`: a day that is told event by event. `outputs`: the files that are
    to be written: raises UsageError where one is the program's own.
    """
    for output in outputs:
        refuse_own_file(output, context.config)
    if tax_year is not None:
        since, until = date(tax_year, 1, 1), date(tax_year, 12, 31)
    of = covered(context, since, until, last)
    result, notes = _with_rows(context, ReportResult(*context.head(), period=of.period), of)
    ended, daily, by_trade = of.ended, of.daily(), analyses(context, of)
    pnls = [trade.final_pnl for trade in ended if trade.final_pnl is not None]
    figures = statistics(pnls, [trade.edge for trade in ended], unknown=len(of.unknown))
    results = [(day_of(trade), trade.final_pnl) for trade in ended if trade.final_pnl is not None]
    attempts, unread = attempts_of(context.ledger.periods.entry_decisions(of.since, until))
    if last is None:
        notes += day_differences(result.days, daily)
    result = replace(
        result,
        statistics=with_days(figures, results, daily),
        daily=tuple(daily),
        analyses=by_trade,
        attribution=attribution(by_trade),
        exits=exit_counts(of, by_trade),
        skips=skip_reasons(attempts),
        quiet_days=quiet_days(of.days, of.traded, attempts, runs_by_day(context.ledger, of.since, until)),
        issues=_issues(context, of, until),
        unknown=unknown_results(of),
        capital=capital,
        claims=claims(pnls, [day.net_pnl for day in daily], of.trades_a_day(), capital),
        fees=compare_fees(fill for fills in of.fills.values() for fill in fills),
        explained=explained,
        explanation=() if explained is None else _explanation(context, explained),
    )
    if tax_year is not None:
        rows = tax_of(context, tax_year)
        result = replace(result, tax_year=tax_year, tax=rows, tax_totals=tax_totals(rows))
        notes += tax_doubts(rows, [trade.trade_id for trade in result.unknown])
    return context.finish(result, notes=[*notes, *unread])


def _with_rows(context: JobContext, result: ReportResult, of: Covered) -> tuple[ReportResult, list[str]]:
    """The result with the rows of the period as stored, and a sentence on each that cannot be read."""
    ledger, since, until = context.ledger, of.since, of.period.until
    trades, no_trades = readable_rows(TradeRow, ledger.trades.rows(since, until), "Trade")
    days, no_days = readable_rows(DayRow, ledger.days.summary_rows(since, until), "The summary")
    fills, no_fills = readable_rows(ExecutionRow, ledger.fills.rows(since, until), "Execution")
    figures = ledger.settlements.figure_rows(since, until)
    settlements, no_settlements = readable_rows(SettlementRow, figures, "The settlement")
    matters, no_matters = readable_rows(MatterRow, ledger.matters.open_rows(), "Matter")
    if of.period.last is not None:
        ids = {trade.id for trade in of.trades}
        trades = tuple(row for row in trades if row.id in ids)
        fills = tuple(row for row in fills if row.trade_id in ids)
        settlements = tuple(row for row in settlements if row.trade_id in ids)
    rows = replace(
        result, trades=trades, days=days, executions=fills, settlements=settlements, matters=matters
    )
    return rows, [*no_trades, *no_days, *no_fills, *no_settlements, *no_matters]


def _issues(context: JobContext, of: Covered, until: date | None) -> tuple[Issue, ...]:
    periods = context.ledger.periods
    return issues(
        periods.runs(of.since, until),
        periods.matters(of.since, until),
        periods.unsent_alerts(of.since, until),
    )


def _explanation(context: JobContext, day: date) -> tuple[Explained, ...]:
    from spxarb.core.explanation import explain  # noqa: PLC0415 -- only a day that is explained needs it

    return explain(day.isoformat(), context.ledger.history.of_day(day))
