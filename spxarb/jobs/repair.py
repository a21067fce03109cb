"""Entries that were cut off half way: completed on paper when both legs filled, else unwound to flat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.book import Purpose
from spxarb.core.model import ExitReason, LegName
from spxarb.core.steps import finish
from spxarb.jobs import bookkeeping
from spxarb.jobs.failsafe import leave_failsafe
from spxarb.jobs.positions import leave, not_proven

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from spxarb.core.book import Trade
    from spxarb.core.orders import Track
    from spxarb.core.steps import Board, Steps
    from spxarb.jobs.work import Work
    from spxarb.ledger.ledger import Store


PURPOSES = {ExitReason.ENTRY_UNWOUND: Purpose.UNWIND, ExitReason.EMERGENCY: Purpose.EXIT}
"""To what the cash of leaving counts: an entry that is undone has no exit."""


def all_quiet(store: Store, today: date) -> bool:
    """Nothing is open, every order is proven over, no settlement is provisional: no need to connect.

    An order that was nowhere to be seen is looked for again until its day is over.
    """
    unsure = store.unproven_orders() or store.absent_orders(today)
    return not (bookkeeping.open_trades(store) or unsure or store.provisional_trades())


def cut_off(trade: Trade) -> bool:
    """Whether the trade is an entry that came to no end, or to one that is not proven."""
    return trade.is_open and not trade.entry_filled and not trade.residual


async def repair(work: Work) -> list[str]:
    """Bring every entry that was cut off to an end. Returns what was done, in sentences.

    The rule: both legs filled as wanted is an open spread; anything else is unwound, nothing is hedged late.
    What could not be unwound is noted as a human's business.
    """
    return [await _repair(work, trade) for trade in bookkeeping.open_trades(work.store) if cut_off(trade)]


async def _repair(work: Work, trade: Trade) -> str:
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
