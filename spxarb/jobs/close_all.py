"""`close-all`: close every position that spxarb owns, now, and stop trading."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from spxarb.core.model import ExitReason
from spxarb.core.sentences import sentence
from spxarb.errors import Exit, LockedError
from spxarb.lock import terminate_holder
from spxarb.trading import bookkeeping, recovery, settlement
from spxarb.trading.context import GRACE_SECONDS
from spxarb.trading.escalation import escalated
from spxarb.trading.exits import (
    ExitResult,
    MarkedTrade,
    can_exit,
    exit_trade,
    mark_trades,
    nothing_trades,
    position,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from spxarb.core.result import Result
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.context import JobContext

YIELD_SECONDS = 20.0
"""How long another job may take to make way before it is ended."""
REASON = "close-all"


def run(context: JobContext, *, dry_run: bool) -> Result:
    """Forbid entries first, so that a working `enter` makes way; then close until the broker shows flat.

    A job that holds the lock and does not make way is ended, and what it left is reconciled. Raises
    HumanNeededError when anything is open and, for whatever reason, cannot be closed.
    """
    if dry_run:
        return _quiet(context, dry_run=True) or context.in_time(_close(context, dry_run=True))
    context.ledger.state.set_trading(False, REASON, context.now())
    with escalated(context, everything=True), _locked(context):
        return _quiet(context, dry_run=False) or context.in_time(_close(context, dry_run=False))


def _quiet(context: JobContext, *, dry_run: bool) -> Result | None:
    """The result when there is nothing to close, else None."""
    if not bookkeeping.all_quiet(context.ledger, context.now().date()):
        return None
    now = context.now()
    data: dict[str, object] = {"positions": [], "flat": True, "asked_broker": False}
    _record(context, data, now, dry_run=dry_run)
    if not dry_run:
        bookkeeping.refresh_state(
            context.ledger, now.date(), now, bookkeeping.pnl_of_day(context.ledger, now.date())
        )
    off = "" if dry_run else "; trading is off"
    told = f"Nothing is open in the ledger {context.config.database_path()}{off}. The broker was not asked."
    return context.result(data, at=now, notes=[told])


@contextmanager
def _locked(context: JobContext) -> Iterator[None]:
    try:
        with context.locked(YIELD_SECONDS):
            yield
            return
    except LockedError:
        if context.holds_lock:
            raise
    ended = terminate_holder(context.lock_path, GRACE_SECONDS)
    if ended is not None:
        context.alert(f"{ended} did not make way for close-all and was ended.")
    with context.locked(YIELD_SECONDS):
        yield


async def _close(context: JobContext, *, dry_run: bool) -> Result:
    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- ib_insync comes with it

    async with connect_job(context, dry_run=dry_run) as job:
        await job.reconcile()
        trades = bookkeeping.open_trades(job.ledger)
        marked_trades = await mark_trades(job, [trade for trade in trades if not nothing_trades(job, trade)])
        await job.clock.ask(job.broker)
        outcomes = [(marked, await _leave(job, marked)) for marked in marked_trades]
        told = [] if dry_run else await settlement.settle_expired(job)
        return _result(job, outcomes, told)


async def _leave(job: ConnectedJob, marked: MarkedTrade) -> ExitResult:
    trade = marked.trade
    if not can_exit(trade):
        return ExitResult("closed", trade.residual)
    if job.dry_run:
        return ExitResult("would_close")
    reason = ExitReason.ENTRY_UNWOUND if recovery.entry_interrupted(trade) else ExitReason.EMERGENCY
    purpose = recovery.PURPOSES[reason]
    return await exit_trade(job, trade, reason, purpose)


def _result(job: ConnectedJob, outcomes: list[tuple[MarkedTrade, ExitResult]], told: list[str]) -> Result:
    context, ledger = job.context, job.ledger
    positions = []
    for marked, exited in outcomes:
        trade = ledger.trades.get(marked.trade.id)
        shown = position(marked, exited, trade.exit_reason)
        shown["status"] = trade.status
        positions.append(shown)
    failed = [exited.why for _, exited in outcomes if exited.failed]
    data: dict[str, object] = {
        "positions": positions,
        "asked_broker": True,
        "flat": not (bookkeeping.open_trades(ledger) or job.findings.unproven),
        "reconciliation": list(job.findings.all),
    }
    _record(context, data, job.now, dry_run=job.dry_run)
    if not job.dry_run:
        today = job.now.date()
        bookkeeping.refresh_state(ledger, today, job.now, bookkeeping.pnl_known(ledger, today))
    sentences = [*failed, *job.findings.unproven]
    error = " ".join(map(sentence, sentences)) or None
    if error:
        off = "" if job.dry_run else "Trading is off. "
        error += f" {off}Look at the broker now, then run close-all again."
    notes = [*told, *(exited.why for _, exited in outcomes if exited.why and not exited.failed)]
    code = Exit.HUMAN if error else Exit.DONE
    return context.result(data, at=job.now, exit_code=code, error=error, notes=notes)


def _record(context: JobContext, data: dict[str, object], at: datetime, *, dry_run: bool) -> None:
    context.ledger.runs.add_decision(
        context.run_id, context.command, at, dry_run=dry_run, outcome=None, would=None, payload=data
    )
