"""`monitor`: reconcile, mark, exit what must be exited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.exits import ExitView, exit_signal
from spxarb.core.model import ExitReason
from spxarb.core.sentences import sentence
from spxarb.errors import Exit
from spxarb.trading import bookkeeping, recovery
from spxarb.trading.escalation import escalated
from spxarb.trading.exits import KEPT, ExitResult, MarkedTrade, can_exit, exit_trade, mark_trades, position
from spxarb.trading.market_calendar import timetable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.result import Result
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.context import JobContext

    Outcomes = list[tuple[MarkedTrade, ExitReason | None, ExitResult]]


def run(context: JobContext, *, dry_run: bool) -> Result:
    """Look after everything that is open; with nothing open there is nothing to connect for.

    Raises GatewayError, RefusedError, LockedError, and HumanNeededError when an exit that is due cannot even
    be tried.
    """
    if dry_run:
        return _quiet(context, dry_run=True) or context.in_time(_monitor(context, dry_run=True))
    with escalated(context), context.locked():
        return _quiet(context, dry_run=False) or context.in_time(_monitor(context, dry_run=False))


def _quiet(context: JobContext, *, dry_run: bool) -> Result | None:
    """The result when there is nothing to look after, else None."""
    if not bookkeeping.all_quiet(context.ledger, context.now().date()):
        return None
    now = context.now()
    data: dict[str, object] = {"positions": [], "reconciliation": []}
    if dry_run:
        _record(context, data, now, dry_run=True)
    else:
        bookkeeping.refresh_state(
            context.ledger, now.date(), now, bookkeeping.pnl_of_day(context.ledger, now.date())
        )
    return context.result(data, at=now, notes=["Nothing is open."])


async def _monitor(context: JobContext, *, dry_run: bool) -> Result:
    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- ib_insync comes with it

    async with connect_job(context, dry_run=dry_run) as job:
        await job.reconcile()
        told = [] if dry_run else await recovery.recover(job)
        marked_trades = await mark_trades(job, bookkeeping.open_trades(job.ledger))
        await job.clock.ask(job.broker)
        total = _daily_pnl(job, marked_trades)
        if not dry_run:
            _mark(job, marked_trades, total)
        outcomes: Outcomes = [await _consider(job, marked, total) for marked in marked_trades]
        if not dry_run:
            _refresh(job, outcomes)
        return _result(job, outcomes, told)


def _daily_pnl(job: ConnectedJob, marked_trades: Sequence[MarkedTrade]) -> Decimal | None:
    return bookkeeping.pnl_of_day(job.ledger, job.now.date(), [marked.pnl for marked in marked_trades])


async def _consider(
    job: ConnectedJob, marked: MarkedTrade, total: Decimal | None
) -> tuple[MarkedTrade, ExitReason | None, ExitResult]:
    """Hold or leave one spread."""
    trade = marked.trade
    if not can_exit(trade):
        return marked, None, ExitResult("closed", trade.residual)
    if recovery.entry_interrupted(trade):  # in a dry run not tried, else tried and not achieved
        exited = (
            ExitResult("would_close")
            if job.dry_run
            else ExitResult("failed", why=f"Trade {trade.id}: {trade.note}")
        )
        return marked, ExitReason.ENTRY_UNWOUND, exited
    reason = _reason(job, marked, total)
    if reason is None:
        return marked, None, KEPT
    if job.dry_run:
        return marked, reason, ExitResult("would_close")
    return marked, reason, await exit_trade(job, trade, reason)


def _reason(job: ConnectedJob, marked: MarkedTrade, total: Decimal | None) -> ExitReason | None:
    """Why the spread must be left now; an exit that was begun is gone on with."""
    trade = marked.trade
    if trade.exit_reason is not None:
        return trade.exit_reason
    view = ExitView(
        now=job.now,
        day=timetable(trade.expiry, job.context.config),
        spy_price=marked.spy_price,
        spy_strike=trade.spy.strike,
        pnl=marked.pnl,
        daily_pnl=total,
    )
    return exit_signal(view, job.context.exit_limits(trade))


def _mark(job: ConnectedJob, marked_trades: Sequence[MarkedTrade], total: Decimal | None) -> None:
    """Keep what was seen, for the day's drawdown and the report."""
    for marked in marked_trades:
        job.ledger.trades.add_mark(marked.mark(job.now))
    if total is not None:
        job.ledger.days.add_mark(job.now.date(), job.now, total)


def _refresh(job: ConnectedJob, outcomes: Outcomes) -> None:
    """The state after what was done: a closed trade counts with its result, an open one with its look."""
    today = job.now.date()
    still = [marked.pnl for marked, _, _ in outcomes if job.ledger.trades.get(marked.trade.id).is_open]
    total = bookkeeping.pnl_of_day(job.ledger, today, still)
    bookkeeping.refresh_state(job.ledger, today, job.now, total)


def _result(job: ConnectedJob, outcomes: Outcomes, told: Sequence[str]) -> Result:
    context, ledger = job.context, job.ledger
    positions = []
    for marked, reason, exited in outcomes:
        shown = position(marked, exited, reason)
        shown["status"] = ledger.trades.get(marked.trade.id).status
        positions.append(shown)
    data: dict[str, object] = {"positions": positions, "reconciliation": list(job.findings.all)}
    _record(context, data, job.now, dry_run=job.dry_run)
    errors, alerts = _errors(job, outcomes), _alerts(outcomes)
    for alert in alerts:
        context.alert(alert)
    code = Exit.HUMAN if errors else Exit.DONE
    notes = [*told, *alerts, *(exited.why for _, _, exited in outcomes if exited.why and not exited.failed)]
    return context.result(data, at=job.now, exit_code=code, error=" ".join(errors) or None, notes=notes)


def _record(context: JobContext, data: dict[str, object], at: datetime, *, dry_run: bool) -> None:
    context.ledger.runs.add_decision(
        context.run_id, context.command, at, dry_run=dry_run, outcome=None, would=None, payload=data
    )


def _errors(job: ConnectedJob, outcomes: Outcomes) -> list[str]:
    """Whatever needs a human now, a sentence each."""
    begun = [(reason, exited) for _, reason, exited in outcomes if exited.failed]
    failed = [
        exited.why for reason, exited in begun if reason is not ExitReason.ENTRY_UNWOUND
    ]  # told already
    found = [sentence(text) for text in job.findings.unproven]
    if found:
        found.append("Compare the account at the broker with `spxarb report --csv --table executions`.")
    found += [f"{why}. Look at the broker now; `spxarb close-all` tries again." for why in failed]
    found += [
        f"Trade {marked.trade.id} was left without quotes, because they are missing: look at its fills."
        for marked, reason, exited in outcomes
        if exited.action == "closed" and marked.pnl is None and reason not in {None, ExitReason.EXPIRATION}
    ]
    return found


def _alerts(outcomes: Outcomes) -> list[str]:
    """What a human should hear though it is no emergency."""
    return [
        f"Trade {marked.trade.id}: a quote is missing, so its loss limit cannot be checked."
        for marked, reason, _ in outcomes
        if marked.pnl is None and reason is None and can_exit(marked.trade)
    ]
