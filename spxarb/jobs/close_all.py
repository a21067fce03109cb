"""`close-all`: close every position that spxarb owns, now, and stop trading."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.core.matters import MatterKind
from spxarb.core.model import ExitReason, LegName
from spxarb.core.reconcile import mend_of
from spxarb.core.results.actions import Action
from spxarb.core.results.close_all import CloseAllResult
from spxarb.core.results.positions import ManagedPosition
from spxarb.core.sentences import sentence
from spxarb.errors import GatewayError, LockedError, SpxarbError
from spxarb.trading import bookkeeping, hand_over, recovery, settlement
from spxarb.trading.context import GRACE_SECONDS
from spxarb.trading.escalation import escalated, human_needed
from spxarb.trading.exits import ExitResult, exit_alone, nothing_trades
from spxarb.trading.failsafe import keep_failsafes
from spxarb.trading.ledger_lock import terminate_holder_of
from spxarb.trading.marks import closed_unseen, data_trouble, mark_trades, not_live
from spxarb.trading.open_spreads import closing_preview, way_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from spxarb.core.records import Trade
    from spxarb.core.results.close_all import ClosingPreview
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.context import JobContext
    from spxarb.trading.marks import MarkedTrade

YIELD_SECONDS = 20.0
"""How long another job may take to yield before it is terminated."""
REASON = "close-all"
STOPPED = "Entries are stopped until `spxarb start`"


def preview(config_file: Path | None, *, at_market: bool) -> ClosingPreview:
    """What is to be told before it asks whether to act; nothing is changed, nobody asked."""
    return closing_preview(config_file, at_market=at_market)


def run(context: JobContext, *, dry_run: bool, at_market: bool = False) -> CloseAllResult:
    """Forbid entries first, so that a working `enter` yields; then close until the broker shows flat.

    `at_market`: by market orders at once, else by the tactics of every exit.

    A job that holds the lock and does not yield is terminated, and what it left is reconciled. Raises
    HumanNeededError when anything is open and, for whatever reason, cannot be closed. The broker is always
    asked, also when the ledger knows of nothing: flat is what its account shows.
    """
    if at_market:
        context.tactics = replace(context.tactics, use_limit_orders=False)
    if dry_run:
        return context.in_time(_close(context, dry_run=True))
    with escalated(context, everything=True):
        context.ledger.state.set_trading(False, REASON, context.now())
    try:
        with escalated(context, everything=True), _locked(context):
            return context.in_time(_close(context, dry_run=False))
    except SpxarbError as error:  # whatever came of the exits, this much is done
        error.risk = ". ".join(filter(None, [error.risk.rstrip("."), STOPPED]))
        raise


@contextmanager
def _locked(context: JobContext) -> Iterator[None]:
    try:
        with context.locked(YIELD_SECONDS):
            yield
            return
    except LockedError:
        if context.holds_lock:
            raise
    for terminated in terminate_holder_of(context.config.database_path(), GRACE_SECONDS):
        context.alert(f"{terminated} did not yield to close-all and was terminated.")
    with context.locked(YIELD_SECONDS):
        yield


async def _close(context: JobContext, *, dry_run: bool) -> CloseAllResult:
    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- ib_insync comes with it

    async with connect_job(context, dry_run=dry_run) as job:
        job.broker.accept_delayed()
        await job.reconcile()
        trades = bookkeeping.open_trades(job.ledger)
        marked_trades = await mark_trades(job, [trade for trade in trades if not nothing_trades(job, trade)])
        with suppress(GatewayError):  # the time that the connection began with is enough to leave
            await job.clock.ask(job.broker)
        exits = [(marked, await _exit(job, marked)) for marked in marked_trades]
        notes = await keep_failsafes(job, [marked.trade for marked, exited in exits if not exited.failed])
        if not dry_run:
            notes += await hand_over.complete(job)
            with context.beside():  # what is over stands in no exit's way, and is told with it
                notes += [*await settlement.settle_expired(job), *await settlement.finalize(job)]
        await job.reported_fees()
        await job.take_snapshot()
        await job.verify()
        return _finish(job, exits, notes)


async def _exit(job: ConnectedJob, marked: MarkedTrade) -> ExitResult:
    trade = marked.trade
    if trade.handed_over:
        action, note = hand_over.looked_after(job, marked)  # not ours to close any more
        return ExitResult(action, why=sentence(note))
    if not trade.can_exit:
        return ExitResult(Action.CLOSED, trade.residual)
    if job.dry_run:
        return ExitResult(Action.WOULD_CLOSE)
    with job.context.beside():  # a spread that was whole is exited, not undone
        trade = recovery.opened_if_whole(job, trade)
    reason = ExitReason.ENTRY_UNWOUND if trade.state.entry_interrupted else ExitReason.EMERGENCY
    purpose = recovery.PURPOSES[reason]
    return await exit_alone(job, trade, reason, purpose)


def _finish(
    job: ConnectedJob, exits: Sequence[tuple[MarkedTrade, ExitResult]], notes: Sequence[str]
) -> CloseAllResult:
    context, ledger = job.context, job.ledger
    shown = [*job.still_there(), *_shares(job)]
    positions = (
        ManagedPosition.managed(
            ledger.trades.get(marked.trade.id),
            marked.pnl,
            exited.action,
            None,
            exited.residual,
            marked.states,
        )
        for marked, exited in exits
    )
    result = CloseAllResult(
        *context.head(job.now),
        positions=tuple(positions),
        flat=not shown,
        asked_broker=True,
        reconciliation=job.findings.all,
    )
    watched = [marked for marked, _ in exits if marked.trade.can_exit]
    told = [*data_trouble(job, watched), *not_live(watched)]
    for alert in told:
        context.alert(alert)
    kept = [exited.why for marked, exited in exits if _left_to_a_human(job, marked.trade, exited)]
    return context.finish(
        result,
        errors=_errors(job, exits, kept),
        notes=[
            *notes,
            *told,
            *(exited.why for _, exited in exits if not exited.failed and exited.why not in kept),
            *_remaining(shown, exits),
            *_way(job, exits),
        ],
        decided=True,
        dry_run=job.dry_run,
        daily_pnl=lambda: bookkeeping.pnl_known(ledger, job.now.date()),
    )


def _errors(
    job: ConnectedJob, exits: Sequence[tuple[MarkedTrade, ExitResult]], kept: Sequence[str]
) -> list[SpxarbError]:
    """What a human must look at: exits that failed, trades `kept` by him, and what was closed unseen."""
    failed = [exited.why for _, exited in exits if exited.failed]
    unproven = job.findings.unproven
    again = "Look at the broker now, then run `spxarb close-all` again"
    off = "" if job.dry_run else "Trading is off. "
    unseen = (
        closed_unseen(marked)
        for marked, exited in exits
        if exited.action is Action.CLOSED
        and marked.trade.can_exit
        and marked.quote_missing
        and not settlement.has_expired(job, marked.trade)
    )
    return [
        *human_needed([*failed, *unproven], mend=mend_of(unproven, first=again)),
        *human_needed(kept, mend=f"{off}Close what is left of it at the broker: spxarb does not trade it"),
        *unseen,
    ]


def _left_to_a_human(job: ConnectedJob, trade: Trade, exited: ExitResult) -> bool:
    """Whether the trade stays open because a human has taken it.

    An SPX call alone that trades no more is only waiting for its cash.
    """
    if job.dry_run or not trade.handed_over or exited.action is not Action.HELD:
        return False
    spy_held = job.spread(job.ledger.trades.get(trade.id)).held(LegName.SPY)
    return bool(spy_held) or not settlement.has_expired(job, trade)


def _shares(job: ConnectedJob) -> list[str]:
    """Shares that calls of ours may have become, as far as no human has dealt with them."""
    return [matter.text for matter in job.ledger.matters.open() if matter.kind is MatterKind.SHARES]


def _way(job: ConnectedJob, exits: Sequence[tuple[MarkedTrade, ExitResult]]) -> list[str]:
    """How spreads were or would be left, and that nothing is entered any more."""
    way = way_out(job.context.tactics)
    if job.dry_run:
        would = any(exited.action is Action.WOULD_CLOSE for _, exited in exits)
        return [f"It would stop entries and leave {way}."] if would else []
    tried = any(marked.trade.can_exit and not marked.trade.handed_over for marked, _ in exits)
    left = f" Spreads are left {way}." if tried else ""
    return [f"{STOPPED}.{left}"]


def _remaining(shown: Sequence[str], exits: Sequence[tuple[MarkedTrade, ExitResult]]) -> list[str]:
    """What the account still shows, and that nothing was open where that is so."""
    if shown:
        return [f"The account still shows {'; '.join(shown)}."]
    return [] if exits else ["Nothing is open, and the account shows none of our calls."]
