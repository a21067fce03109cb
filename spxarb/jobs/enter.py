"""`enter`: one attempt to open one spread."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from spxarb.core.execution import Ending, opening
from spxarb.core.margin import margin_not_told
from spxarb.core.results.enter import EntryOutcome, Verdict
from spxarb.core.sentences import lower_first, sentence, upper_first
from spxarb.core.trades import TradeState
from spxarb.errors import GatewayError, HumanNeededError, RefusedError
from spxarb.trading import bookkeeping, recovery
from spxarb.trading.entry import (
    Decision,
    conclude,
    decide,
    decide_offline,
    decide_unanswered,
    entry_result,
    in_the_brokers_words,
    looked_at_again,
    new_trade,
    not_to_be_opened,
    open_plan,
)
from spxarb.trading.escalation import alarm_of, escalated, human_needed
from spxarb.trading.failsafe import keep_failsafe, keep_failsafes
from spxarb.trading.margin import ask_margin
from spxarb.trading.marks import mark_trade

if TYPE_CHECKING:
    from decimal import Decimal

    from spxarb.core.records import Trade
    from spxarb.core.results.enter import EnterResult
    from spxarb.errors import SpxarbError
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.context import JobContext


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What came of a decision; `notes` are sentences on what was repaired before.

    `error`: the broker did not answer, and nothing was sent.
    """

    decision: Decision
    outcome: EntryOutcome
    trade_id: int | None = None
    why: str = ""
    notes: list[str] = field(default_factory=list)
    error: GatewayError | None = None


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
    return context.finish(result, decided=True, daily_pnl=lambda: decision.view.daily_pnl)


def _unanswered_dry_run(context: JobContext, silence: GatewayError) -> EnterResult:
    """What could be evaluated though the gateway did not answer: entry window, calendar, limits."""
    decision = decide_unanswered(context)
    result = entry_result(context, decision, None, decision.view.now)
    failed = any(check.ok is False for check in decision.checks)
    result = replace(result, would=Verdict.SKIP if failed else None)
    return context.finish(result, errors=[silence], dry_run=True)


async def _enter(context: JobContext, *, dry_run: bool) -> EnterResult:
    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- ib_insync comes with it

    async with connect_job(context, dry_run=dry_run) as job:
        _require_one_clock(job)
        await job.reconcile()
        notes = [] if dry_run else await recovery.recover(job)
        notes += await keep_failsafes(job, _spreads(job))
        decision = await decide(job)
        attempt = _Attempt(decision, EntryOutcome.DRY_RUN if dry_run else EntryOutcome.SKIPPED, notes=notes)
        if not dry_run and decision.would is Verdict.ENTER:
            attempt = await _attempt(job, decision, notes)
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


async def _attempt(job: ConnectedJob, decision: Decision, notes: list[str]) -> _Attempt:
    """Ask for the margin, then open the spread."""
    error: GatewayError | None = None
    try:
        margin = await ask_margin(job, decision.view.market)
    except GatewayError as silence:  # every other check is answered, and is kept
        margin, error = margin_not_told(silence.what), silence
    decision = replace(decision, checks=(*decision.checks[:-1], margin))
    if margin.ok is not True:
        return _Attempt(decision, EntryOutcome.SKIPPED, notes=notes, error=error)
    if (stopped := job.stop_reason()) is not None:  # while the broker was asked
        why = f"Trading was stopped meanwhile: {stopped}"
        return _Attempt(decision, EntryOutcome.SKIPPED, why=why, notes=notes)
    if why := not_to_be_opened(job, decision.view.market):
        return _Attempt(decision, EntryOutcome.SKIPPED, why=why, notes=notes)
    decision, market = looked_at_again(job, decision)
    if decision.would is not Verdict.ENTER:
        return _Attempt(decision, EntryOutcome.SKIPPED, notes=notes)
    trade = job.ledger.trades.create(new_trade(job, decision))
    spread = job.spread(trade)
    plan = open_plan(job.context, market)
    outcome = await job.drive(opening(spread, plan), spread, entering=True)
    outcome = in_the_brokers_words(job, trade, outcome)
    refused = job.heard.about(record.ref for record in job.ledger.orders.of_trade(trade.id))
    if refused and outcome.ending is not Ending.OPENED:
        job.context.alert(sentence(f"trade {trade.id} was not entered: {outcome.why}"))
    trade = await conclude(job, trade, outcome)
    if trade.state is TradeState.OPEN or not job.counts_receipts:
        notes = [*notes, *await keep_failsafe(job, trade)]  # also where it is not known what was sold
    if trade.state is not TradeState.OPEN:
        return _Attempt(decision, EntryOutcome.ABORTED, trade.id, outcome.why, notes)
    return _Attempt(decision, EntryOutcome.ENTERED, trade.id, outcome.why, notes)


async def _second_try(context: JobContext, attempt: _Attempt) -> EnterResult:
    """An entry that is neither whole nor undone is looked at over a fresh connection, and unwound if need be.

    Raises HumanNeededError when that fails too.
    """
    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- loaded already

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


def _finish(job: ConnectedJob, attempt: _Attempt) -> EnterResult:
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
        notes=[*attempt.notes, *job.findings.all, *([attempt.why] if attempt.why else [])],
        decided=True,
        dry_run=job.dry_run,
        daily_pnl=daily_pnl,
    )


def _trade_of(job: ConnectedJob, attempt: _Attempt) -> Trade | None:
    """The trade that the attempt began, as it is now; None when it began none."""
    return None if attempt.trade_id is None else job.ledger.trades.get(attempt.trade_id)


def _unanswered(job: ConnectedJob, attempt: _Attempt) -> list[SpxarbError]:
    """The silence that ended the attempt; it needs a human while something is open that must not be."""
    if attempt.error is None:
        return []
    return [alarm_of(job.context, attempt.error, everything=False) or attempt.error]


def _errors(job: ConnectedJob, attempt: _Attempt, trade: Trade | None) -> list[HumanNeededError]:
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
    return human_needed(sentences, mend="No entry is made until this is resolved")
