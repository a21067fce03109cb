"""Looking after open spreads: hold or exit each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.account import UNHEDGED
from spxarb.core.exits import ExitView, exit_signal
from spxarb.core.model import ExitReason
from spxarb.core.results.positions import Action
from spxarb.trading import bookkeeping
from spxarb.trading.exits import KEPT, ExitResult, exit_trade
from spxarb.trading.market_calendar import timetable_of
from spxarb.trading.marks import mark_trades

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.marks import MarkedTrade


@dataclass(frozen=True, slots=True)
class Managed:
    """One open spread: as it was marked, why it had to be exited (None: it is held), and what came of it."""

    marked: MarkedTrade
    reason: ExitReason | None
    exited: ExitResult


async def manage_open(job: ConnectedJob) -> list[Managed]:
    """Mark every open spread, keep what was seen, then hold or exit each."""
    marked_trades = await mark_trades(job, bookkeeping.open_trades(job.ledger))
    await job.clock.ask(job.broker)
    total = _daily_pnl(job, marked_trades)
    if not job.dry_run:
        _mark(job, marked_trades, total)
    return [await _manage(job, marked, total) for marked in marked_trades]


def _daily_pnl(job: ConnectedJob, marked_trades: Sequence[MarkedTrade]) -> Decimal | None:
    return bookkeeping.pnl_of_day(job.ledger, job.now.date(), [marked.pnl for marked in marked_trades])


async def _manage(job: ConnectedJob, marked: MarkedTrade, total: Decimal | None) -> Managed:
    """Hold or exit one spread."""
    trade = marked.trade
    if not trade.state.can_exit:
        return Managed(marked, None, ExitResult(Action.CLOSED, trade.residual))
    if trade.state.entry_interrupted:  # in a dry run not tried, else tried and not achieved
        failed = ExitResult(Action.FAILED, why=f"Trade {trade.id}: {trade.note}")
        exited = ExitResult(Action.WOULD_CLOSE) if job.dry_run else failed
        return Managed(marked, ExitReason.ENTRY_UNWOUND, exited)
    reason = _reason(job, marked, total)
    if reason is None:
        return Managed(marked, None, KEPT)
    exited = ExitResult(Action.WOULD_CLOSE) if job.dry_run else await exit_trade(job, trade, reason)
    return Managed(marked, reason, exited)


def _reason(job: ConnectedJob, marked: MarkedTrade, total: Decimal | None) -> ExitReason | None:
    """Why the spread must be exited now; an exit that was begun is continued."""
    trade = marked.trade
    if trade.exit_reason is not None:
        return trade.exit_reason
    view = ExitView(
        now=job.now,
        day=timetable_of(trade, job.context.config),
        spy_price=marked.spy_price,
        spy_strike=trade.spy.strike,
        pnl=marked.pnl,
        daily_pnl=total,
    )
    due = exit_signal(view, job.context.exit_limits(trade))
    if due is None and any(finding.kind in UNHEDGED for finding in job.differences(trade)):
        return ExitReason.EMERGENCY
    return due


def _mark(job: ConnectedJob, marked_trades: Sequence[MarkedTrade], total: Decimal | None) -> None:
    """Keep what was seen, for the day's drawdown and the report."""
    for marked in marked_trades:
        job.ledger.trades.add_mark(marked.mark(job.now))
    if total is not None:
        job.ledger.days.add_mark(job.now.date(), job.now, total)
