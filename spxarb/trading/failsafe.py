"""The fail-safe: a buy-back of SPY that rests at the broker, in case nothing of ours runs any more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.core.execution import failsafe
from spxarb.core.model import LegName
from spxarb.core.orders import OrderState
from spxarb.core.sentences import sentence

if TYPE_CHECKING:
    from spxarb.core.records import Trade
    from spxarb.trading.connected import ConnectedJob

BEFORE_CLOSE = timedelta(minutes=10)
"""It is inactive until then: later than the time exit, earlier than the close."""


async def place_failsafe(job: ConnectedJob, trade: Trade) -> list[str]:
    """Rest a good-after-time market order at the broker that buys the short calls back.

    Returns a sentence when the order should be resting and is not, else nothing.
    """
    spread, day = job.spread(trade), job.day
    if not job.context.config.execution.broker_side_failsafe or spread.held(LegName.SPY) >= 0:
        return []
    if day is None or job.now >= day.close - BEFORE_CLOSE:
        return []
    why = "the link is down"
    if job.broker.link_up:
        track = await job.drive(failsafe(spread, trade.spy, day.close - BEFORE_CLOSE), spread)
        if track.state is OrderState.LIVE:
            return []
        why = track.messages[-1] if track.messages else "it did not answer"
    note = f"trade {trade.id} has no buy-back resting at the broker ({why}): only this machine will exit it"
    job.context.alert(sentence(note))
    return [note]
