"""What the account holds no more with no execution to say why, and our closing orders that may have done it.

A fill can be late: its position comes before its execution. So what is missing may be what an order of ours
has closed, and to take it off twice would trade it the other way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.account import Break
from spxarb.core.orders import OrderState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from spxarb.core.account import Finding
    from spxarb.core.model import LegName
    from spxarb.core.records import Trade
    from spxarb.core.tracking import TrackedOrder


def missing(found: Iterable[Finding], leg: LegName) -> int:
    """Contracts of the leg, unsigned, that no execution explains, by what was found of its trade."""
    return sum(finding.quantity for finding in found if (finding.kind, finding.leg) == (Break.MISSING, leg))


def awaited(
    trade: Trade, leg: LegName, found: Iterable[Finding], tracks: Iterable[TrackedOrder], now: datetime
) -> int:
    """Contracts, unsigned, that are missing and that an order of ours may have closed.

    Its execution may still be on its way.
    """
    coming = sum(
        track.remaining
        for track in tracks
        if track.leg is leg and track.ticket.side is not trade.opening_side(leg)
        if track.ticket.good_after is None or track.ticket.good_after <= now
    )
    return min(missing(found, leg), int(coming))


def said_over(tracks: Iterable[TrackedOrder], found: Iterable[Finding]) -> list[TrackedOrder]:
    """Closing orders of which the broker said that they are over, beside which contracts went missing.

    Each may have filled for all that is known, so its end has no proof, and nothing could follow it. Once two
    jobs have missed the contracts, what is held is what the account shows, whoever traded it, and by the
    broker's word no more can come of the order. Not of one that opens: there a late fill leaves calls short.
    """
    seen = list(found)
    return [
        track
        for track in tracks
        if track.state is OrderState.REPORTED_DONE and not (track.fills_missing or track.purpose.opens)
        if missing(seen, track.leg)
    ]
