"""Recovery of what earlier jobs left unfinished: an interrupted entry is completed or unwound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb import logs
from spxarb.core.model import ExitReason, LegName
from spxarb.core.order_words import Purpose
from spxarb.core.sentences import lower_first
from spxarb.core.steps import finish
from spxarb.errors import GatewayError, SpxarbError, as_failure
from spxarb.trading import bookkeeping, hand_over, matters, settlement
from spxarb.trading.exits import exit_alone, not_proven
from spxarb.trading.failsafe import keep_failsafe

if TYPE_CHECKING:
    from spxarb.core.records import Trade
    from spxarb.core.steps import SpreadState, Steps
    from spxarb.trading.connected import ConnectedJob


PURPOSES = {ExitReason.ENTRY_UNWOUND: Purpose.UNWIND, ExitReason.EMERGENCY: Purpose.EXIT}
"""Where the cash of the closing orders counts: an entry that was undone has no exit."""


async def recover(job: ConnectedJob) -> list[str]:
    """Finish interrupted entries, hand-overs, and settlements of earlier days. Returns what was done."""
    notes = [*await recover_entries(job), *await hand_over.complete(job)]
    return [*notes, *await settle_earlier_days(job)]


async def settle_earlier_days(job: ConnectedJob) -> list[str]:
    """Settle what earlier days left. Returns sentences; what fails is told with the result."""
    notes: list[str] = []
    with job.context.beside():
        if any(trade.expiry < job.now.date() for trade in bookkeeping.open_trades(job.ledger)):
            notes += await settlement.settle_expired(job)
    with job.context.beside():
        notes += await settlement.finalize(job)
    with job.context.beside():
        matters.review(job.ledger, job.now)
    return notes


async def recover_entries(job: ConnectedJob) -> list[str]:
    """Finish every interrupted entry. Returns what was done, in sentences.

    With both legs filled in full it is an open spread; anything else is unwound, for a hedge is never bought
    late. An entry that cannot be unwound needs a human.
    """
    trades = [trade for trade in bookkeeping.open_trades(job.ledger) if trade.state.entry_interrupted]
    return [await _recover_alone(job, trade) for trade in trades]


async def _recover_alone(job: ConnectedJob, trade: Trade) -> str:
    """As `_recover_entry`; whatever fails is this trade's failure, and no other trade waits for it."""
    try:
        return await _recover_entry(job, trade)
    except GatewayError:
        raise
    except Exception as error:  # noqa: BLE001 -- exits of other trades must be tried all the same
        if not isinstance(error, SpxarbError):
            logs.write_traceback(error)
        failure = lower_first(as_failure(error).what)
        why = f"the interrupted entry of trade {trade.id} was not finished: {failure}"
        job.human_needed(why)
        return why


async def _recover_entry(job: ConnectedJob, trade: Trade) -> str:
    spread = job.spread(trade)
    proven = await job.drive(_finish_all(spread), spread)
    trade = bookkeeping.update_pnl(job.ledger, trade)
    if proven and _complete(trade, spread):
        if doubt := await job.doubt_about(trade):
            bookkeeping.not_proven(job.ledger, trade, doubt)
            job.human_needed(doubt)
            await keep_failsafe(job, trade)
            return doubt
        trade = bookkeeping.opened(job.ledger, trade, job.now)
        notes = [f"Trade {trade.id} is open: both legs had filled.", *await keep_failsafe(job, trade)]
        return " ".join(notes)
    if proven:
        exited = await exit_alone(job, trade, ExitReason.ENTRY_UNWOUND, Purpose.UNWIND)
    else:
        exited = not_proven(job, trade)
        await keep_failsafe(job, trade)
    if exited.failed:
        job.human_needed(f"an interrupted entry could not be unwound: {exited.why}")
        return exited.why
    return f"trade {trade.id} was interrupted during its entry and is unwound"


def opened_if_whole(job: ConnectedJob, trade: Trade) -> Trade:
    """An interrupted entry of which both legs are filled, and of which nothing can fill any more, is open.

    For verbs that leave entries alone, from what the reconciliation found: nothing is asked or sent.
    """
    records = job.ledger.orders.of_trade(trade.id)
    over = all(record.final or record.purpose is Purpose.FAILSAFE for record in records)
    if not (trade.state.entry_interrupted and over) or job.differences(trade):
        return trade
    return bookkeeping.opened(job.ledger, trade, job.now) if _complete(trade, job.spread(trade)) else trade


def _complete(trade: Trade, spread: SpreadState) -> bool:
    return (
        spread.held(LegName.SPX) == trade.spx_contracts and spread.held(LegName.SPY) == -trade.spy_contracts
    )


def _finish_all(spread: SpreadState) -> Steps[bool]:
    """Cancel every order that may still fill and prove its end; whether all were proven.

    But not the fail-safe: it rests for what may be short, whatever the others come to.
    """
    tracks = [track for track in spread.orders.values() if track.purpose is not Purpose.FAILSAFE]
    proven = True
    for track in tracks:
        proven = (yield from finish(spread, track)) and proven
    return proven
