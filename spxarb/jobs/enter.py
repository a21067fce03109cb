"""`enter`: one attempt to open one spread."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.core.reconcile import mend_of
from spxarb.core.results.enter import EntryOutcome, Verdict
from spxarb.core.sentences import lower_first, upper_first
from spxarb.core.trades import TradeState
from spxarb.errors import GatewayError, HumanNeededError, RefusedError
from spxarb.trading import bookkeeping
from spxarb.trading.entry import (
    Attempt,
    decide,
    decide_offline,
    decide_unanswered,
    entry_result,
)
from spxarb.trading.escalation import alarm_of, escalated, human_needed
from spxarb.trading.failsafe import keep_failsafes
from spxarb.trading.marks import mark_trade

if TYPE_CHECKING:
    from decimal import Decimal

    from spxarb.core.records import Trade
    from spxarb.core.results.enter import EnterResult
    from spxarb.errors import SpxarbError
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.context import JobContext


def run(context: JobContext, *, dry_run: bool) -> EnterResult:
    """Check everything, and enter when every check passes; a dry run only says what the checks say.

    Raises GatewayError, RefusedError, LockedError; a spread that is half done is no exception but exit 6.
    """
    if dry_run:
        try:
            return context.in_time(_enter(context, dry_run=True))
        except GatewayError as silence:
            return _unanswered_dry_run(context, silence)
    with escalated(context), context.locked():
        return _offline(context) or context.in_time(_enter(context, dry_run=False))


def _offline(context: JobContext) -> EnterResult | None:
    """The result when the ledger and the calendar alone forbid an entry, else None."""
    decision = decide_offline(context)
    if decision is None:
        return None
    result = entry_result(context, decision, EntryOutcome.SKIPPED, decision.view.now)
    notes = _live_notes(context)
    return context.finish(result, notes=notes, decided=True, daily_pnl=lambda: decision.view.daily_pnl)


def _unanswered_dry_run(context: JobContext, silence: GatewayError) -> EnterResult:
    """What could be evaluated though the gateway did not answer: entry window, calendar, limits."""
    decision = decide_unanswered(context)
    result = entry_result(context, decision, None, decision.view.now)
    failed = any(check.ok is False for check in decision.checks)
    result = replace(result, would=Verdict.SKIP if failed else None)
    return context.finish(result, errors=[silence], notes=_live_notes(context), dry_run=True)


async def _enter(context: JobContext, *, dry_run: bool) -> EnterResult:
    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- ib_insync comes with it

    if not dry_run:  # before the link, so that nothing is loaded between the decision and its orders
        from spxarb.trading import entry_attempt, recovery  # noqa: PLC0415 -- a dry run needs neither
    async with connect_job(context, dry_run=dry_run) as job:
        _require_one_clock(job)
        await job.reconcile()
        notes = [] if dry_run else await recovery.recover(job)
        notes += await keep_failsafes(job, _spreads(job))
        decision = await decide(job)
        attempt = Attempt(decision, EntryOutcome.DRY_RUN if dry_run else EntryOutcome.SKIPPED, notes=notes)
        if not dry_run and decision.would is Verdict.ENTER:
            attempt = await entry_attempt.attempt(job, decision, notes)
        trade = _trade_of(job, attempt)
        if trade is None or not trade.state.entry_interrupted:
            await job.verify()
            return _finish(job, attempt)
    return await _second_try(context, attempt)


def _require_one_clock(job: ConnectedJob) -> None:
    if job.clock.doubt:
        raise RefusedError(
            upper_first(job.clock.doubt),
            risk="Nothing was entered",
            mend="Set this machine's clock (timedatectl), or the gateway's",
        )


def _spreads(job: ConnectedJob) -> list[Trade]:
    """The open spreads beside which another may be opened; recovery has looked after the other trades."""
    return [trade for trade in bookkeeping.open_trades(job.ledger) if not trade.state.entry_interrupted]


async def _second_try(context: JobContext, attempt: Attempt) -> EnterResult:
    """An entry that is neither whole nor undone is looked at over a fresh connection, and unwound if need be.

    Raises HumanNeededError when that fails too.
    """
    from spxarb.trading import recovery  # noqa: PLC0415 -- loaded already, as the next
    from spxarb.trading.connected import connect_job  # noqa: PLC0415

    try:
        async with connect_job(context) as job:
            await job.reconcile()
            attempt = replace(attempt, notes=[*attempt.notes, *await recovery.recover_entries(job)])
            trade = _trade_of(job, attempt)
            if trade is not None and trade.state is TradeState.OPEN:  # both legs had filled after all
                attempt = replace(attempt, outcome=EntryOutcome.ENTERED)
            await job.verify()
            return _finish(job, attempt)
    except GatewayError as error:
        raise HumanNeededError(
            f"The entry of trade {attempt.trade_id} is not complete ({attempt.why}), and {error}",
            risk="A leg may be without its hedge",
            mend="Look at the broker now; `spxarb monitor` tries again",
        ) from error


# --- the result -----------------------------------------------------------------------------------


def _finish(job: ConnectedJob, attempt: Attempt) -> EnterResult:
    """Write the decision down, with what became of it."""
    context, ledger = job.context, job.ledger
    trade = _trade_of(job, attempt)
    if not job.dry_run and (doubt := attempt.decision.view.market.calendar_doubt):
        context.alert(f"No entry: {lower_first(doubt)}.")

    def daily_pnl() -> Decimal | None:
        marked = [mark_trade(job, trade).pnl for trade in bookkeeping.open_trades(ledger)]
        return bookkeeping.pnl_of_day(ledger, job.now.date(), marked)

    return context.finish(
        entry_result(context, attempt.decision, attempt.outcome, job.now, trade),
        errors=[*_unanswered(job, attempt), *_errors(job, attempt, trade)],
        notes=[
            *_live_notes(context),
            *attempt.notes,
            *job.findings.all,
            *([attempt.why] if attempt.why else []),
        ],
        decided=True,
        dry_run=job.dry_run,
        daily_pnl=daily_pnl,
    )


def _live_notes(context: JobContext) -> list[str]:
    """What an entry of mode live tells of its evidence; none in other modes."""
    if context.config.trading.mode != "live":
        return []
    from spxarb.trading.going_live import entry_notes  # noqa: PLC0415 -- only mode live has a gate

    notes: list[str] = []
    with context.beside():
        today = context.now().date()
        notes += entry_notes(context.live_gate, context.ledger, context.config, today)
    return notes


def _trade_of(job: ConnectedJob, attempt: Attempt) -> Trade | None:
    """The trade that the attempt began, as it is now; None when it began none."""
    return None if attempt.trade_id is None else job.ledger.trades.get(attempt.trade_id)


def _unanswered(job: ConnectedJob, attempt: Attempt) -> list[SpxarbError]:
    """The silence that ended the attempt; it needs a human while something is open that must not be."""
    if attempt.error is None:
        return []
    return [alarm_of(job.context, attempt.error, everything=False) or attempt.error]


UNRESOLVED = "No entry is made until this is resolved"


def _errors(job: ConnectedJob, attempt: Attempt, trade: Trade | None) -> list[HumanNeededError]:
    if trade is not None and trade.state.entry_interrupted:
        return [
            HumanNeededError(
                f"Trade {trade.id} is half done and could not be undone: {trade.note or attempt.why}",
                risk="A leg may be without its hedge",
                mend="Look at the broker now; `spxarb monitor` tries again",
            )
        ]
    unproven = "; ".join(job.findings.unproven)
    sentences = [f"Ledger and broker disagree: {unproven}"] if unproven else []
    return human_needed(sentences, mend=mend_of(job.findings.unproven, first=UNRESOLVED))
