"""The buy-back that rests at the broker, for the case that nothing of ours runs any more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.core.execution import failsafe
from spxarb.core.model import LegName
from spxarb.core.orders import Life

if TYPE_CHECKING:
    from spxarb.core.records import Trade
    from spxarb.trading.connected import Work

BEFORE_CLOSE = timedelta(minutes=10)
"""It sleeps until then: after the exit by time, before the close."""


async def leave_failsafe(work: Work, trade: Trade) -> list[str]:
    """Let the broker hold a sleeping market order that buys the short calls back.

    Returns a sentence when it should rest there and does not; nobody's exit depends on it.
    """
    board, day = work.board(trade), work.day
    if not work.env.config.execution.broker_side_failsafe or board.held(LegName.SPY) >= 0:
        return []
    if day is None or work.now >= day.close - BEFORE_CLOSE:
        return []
    why = "the link is down"
    if work.broker.link_up:
        track = await work.drive(failsafe(board, trade.spy, day.close - BEFORE_CLOSE), board)
        if track.life is Life.LIVE:
            return []
        why = track.words[-1] if track.words else "it did not answer"
    told = f"trade {trade.id} has no buy-back resting at the broker ({why}): only this machine will leave it"
    work.env.alert(f"{told[0].upper()}{told[1:]}.")
    return [told]
