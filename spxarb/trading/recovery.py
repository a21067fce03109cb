"""What earlier jobs left unfinished: an interrupted entry is open if both legs filled, else it is unwound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.model import ExitReason, LegName
from spxarb.core.records import Purpose
from spxarb.core.steps import finish
from spxarb.trading import bookkeeping, settlement
from spxarb.trading.exits import leave, not_proven
from spxarb.trading.failsafe import leave_failsafe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spxarb.core.orders import Track
    from spxarb.core.records import Trade
    from spxarb.core.steps import Board, Steps
    from spxarb.trading.connected import Work


PURPOSES = {ExitReason.ENTRY_UNWOUND: Purpose.UNWIND, ExitReason.EMERGENCY: Purpose.EXIT}
"""To what the cash of leaving counts: an entry that is undone has no exit."""


def entry_interrupted(trade: Trade) -> bool:
    """Whether the entry came to no end, or to one that is not proven."""
    return trade.is_open and not trade.entry_filled and not trade.residual


async def recover(work: Work) -> list[str]:
    """Finish what earlier jobs left: interrupted entries, settlements of earlier days. Returns sentences."""
    told = await recover_entries(work)
    told += await settlement.finalize(work)
    if any(trade.expiry < work.now.date() for trade in bookkeeping.open_trades(work.store)):
        told += await settlement.settle_expired(work)
    return told


async def recover_entries(work: Work) -> list[str]:
    """Bring every interrupted entry to an end. Returns what was done, in sentences.

    The rule: both legs filled as wanted is an open spread; anything else is unwound, nothing is hedged late.
    What could not be unwound is noted as a human's business.
    """
    trades = [trade for trade in bookkeeping.open_trades(work.store) if entry_interrupted(trade)]
    return [await _recover_entry(work, trade) for trade in trades]


async def _recover_entry(work: Work, trade: Trade) -> str:
    board = work.board(trade)
    proven = await work.drive(_all_over(board), board)
    trade = bookkeeping.refigure(work.store, trade)
    if proven and _complete(trade, board):
        trade = bookkeeping.opened(work.store, trade, work.now)
        told = [f"trade {trade.id} was found open: both legs filled", *await leave_failsafe(work, trade)]
        return "; ".join(told)
    left = not_proven(work, trade)
    if proven:
        left = await leave(work, trade, ExitReason.ENTRY_UNWOUND, Purpose.UNWIND)
    if left.failed:
        work.human_needed(f"an entry was cut off and could not be undone: {left.why}")
        return left.why
    return f"trade {trade.id} was cut off while entering and is undone"


def _complete(trade: Trade, board: Board) -> bool:
    return (
        board.held(LegName.SPX) == trade.spx_contracts and board.held(LegName.SPY) == -trade.spy_contracts
    )


def _all_over(board: Board) -> Steps[bool]:
    """See every order of the board over; whether all were proven."""
    tracks: Sequence[Track] = list(board.tracks.values())
    proven = True
    for track in tracks:
        proven = (yield from finish(board, track)) and proven
    return proven
