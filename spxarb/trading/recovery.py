"""What earlier jobs left unfinished: an interrupted entry is open if both legs filled, else it is unwound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.model import ExitReason, LegName
from spxarb.core.records import Purpose
from spxarb.core.steps import finish
from spxarb.trading import bookkeeping, settlement
from spxarb.trading.exits import exit_trade, not_proven
from spxarb.trading.failsafe import place_failsafe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spxarb.core.records import Trade
    from spxarb.core.steps import SpreadState, Steps
    from spxarb.core.tracking import TrackedOrder
    from spxarb.trading.connected import ConnectedJob


PURPOSES = {ExitReason.ENTRY_UNWOUND: Purpose.UNWIND, ExitReason.EMERGENCY: Purpose.EXIT}
"""To what the cash of leaving counts: an entry that is undone has no exit."""


def entry_interrupted(trade: Trade) -> bool:
    """Whether the entry came to no end, or to one that is not proven."""
    return trade.is_open and not trade.entry_filled and not trade.residual


async def recover(job: ConnectedJob) -> list[str]:
    """Finish what earlier jobs left: interrupted entries, settlements of earlier days. Returns sentences."""
    told = await recover_entries(job)
    told += await settlement.finalize(job)
    if any(trade.expiry < job.now.date() for trade in bookkeeping.open_trades(job.ledger)):
        told += await settlement.settle_expired(job)
    return told


async def recover_entries(job: ConnectedJob) -> list[str]:
    """Bring every interrupted entry to an end. Returns what was done, in sentences.

    The rule: both legs filled as wanted is an open spread; anything else is unwound, nothing is hedged late.
    What could not be unwound is noted as a human's business.
    """
    trades = [trade for trade in bookkeeping.open_trades(job.ledger) if entry_interrupted(trade)]
    return [await _recover_entry(job, trade) for trade in trades]


async def _recover_entry(job: ConnectedJob, trade: Trade) -> str:
    spread = job.spread(trade)
    proven = await job.drive(_all_over(spread), spread)
    trade = bookkeeping.update_pnl(job.ledger, trade)
    if proven and _complete(trade, spread):
        trade = bookkeeping.opened(job.ledger, trade, job.now)
        told = [f"trade {trade.id} was found open: both legs filled", *await place_failsafe(job, trade)]
        return "; ".join(told)
    exited = not_proven(job, trade)
    if proven:
        exited = await exit_trade(job, trade, ExitReason.ENTRY_UNWOUND, Purpose.UNWIND)
    if exited.failed:
        job.human_needed(f"an entry was cut off and could not be undone: {exited.why}")
        return exited.why
    return f"trade {trade.id} was cut off while entering and is undone"


def _complete(trade: Trade, spread: SpreadState) -> bool:
    return (
        spread.held(LegName.SPX) == trade.spx_contracts and spread.held(LegName.SPY) == -trade.spy_contracts
    )


def _all_over(spread: SpreadState) -> Steps[bool]:
    """See every order of the board over; whether all were proven."""
    tracks: Sequence[TrackedOrder] = list(spread.orders.values())
    proven = True
    for track in tracks:
        proven = (yield from finish(spread, track)) and proven
    return proven
