"""What spxarb assumes of a real gateway and nobody has verified; a recording proves each or breaks it.

A claim is judged by what a recording holds, never by what it lacks: without its evidence it is not seen. How
it is judged is in `gateway_evidence.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from spxarb.core import gateway_evidence as evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spxarb.core.gateway_evidence import Piece
    from spxarb.core.wire_record import WireRecord


class Sighting(StrEnum):
    """What a recording says of a claim."""

    SEEN = "seen"
    CONTRADICTED = "contradicted"
    NOT_SEEN = "not seen"


@dataclass(frozen=True, slots=True)
class Assumption:
    """An assumption. `why`: what of the program rests on it."""

    name: str
    text: str
    why: str
    pieces: Callable[[WireRecord], Iterator[Piece]]


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim by one recording. `times`: how many pieces of evidence say so, `what` is the first."""

    claim: Assumption
    evidence: Sighting
    what: str
    times: int


def judge(claim: Assumption, record: WireRecord) -> Judged:
    """What the recording says of the claim: any contradiction outweighs what bears it out."""
    found = list(claim.pieces(record))
    against = [piece for piece in found if not piece.holds]
    if against:
        return Judged(claim, Sighting.CONTRADICTED, against[0].what, len(against))
    if found:
        return Judged(claim, Sighting.SEEN, found[0].what, len(found))
    return Judged(claim, Sighting.NOT_SEEN, "", 0)


def judge_all(record: WireRecord) -> tuple[Judged, ...]:
    """Every claim by one recording."""
    return tuple(judge(claim, record) for claim in CLAIMS)


CLAIMS = (
    Assumption(
        "server_version",
        "The gateway agrees on a server version from 157 to 176 with this client",
        "ib_insync speaks no newer one",
        evidence.version,
    ),
    Assumption(
        "next_order_id",
        "A later connection is told a nextValidId above every order that the gateway has of its client id",
        "whether a silent order was received at all",
        evidence.next_id,
    ),
    Assumption(
        "duplicate_client_id",
        "A client id in use is told 326, and neither accounts nor an order id",
        "a logon is tried again without harm",
        evidence.duplicate_id,
    ),
    Assumption(
        "option_expiry",
        "Contract details of options give the last trading day as a bare date",
        "the expiry is today",
        evidence.option_expiry,
    ),
    Assumption(
        "spxw_zone",
        "Contract details of SPXW give their hours in Chicago's or New York's zone",
        "the calendar check",
        evidence.spxw_zone,
    ),
    Assumption(
        "hours_form",
        "Liquid hours are dates with times or CLOSED, such as 20260213:0830-20260213:1500",
        "the calendar check",
        evidence.hours_form,
    ),
    Assumption(
        "spxw_last_minute",
        "An SPXW option's liquid hours end at 16:00 or 16:15 on its last day (13:00 or 13:15 on a short one)",
        "the exit by time, the settlement",
        evidence.spxw_end,
    ),
    Assumption(
        "spy_last_minute",
        "A SPY option's liquid hours end at 16:00 or 16:15 on its last day (13:00 or 13:15 on a short one)",
        "how long SPY can be bought back",
        evidence.spy_end,
    ),
    Assumption(
        "spxw_ticks",
        "The market rule of SPXW has steps of 0.05 below 3.00 and of 0.10 from there on",
        "no order of a price that is refused",
        evidence.ticks,
    ),
    Assumption(
        "spx_no_sides",
        "SPX has a last price and neither bid nor ask",
        "which price counts",
        evidence.spx_without_sides,
    ),
    Assumption(
        "spx_time",
        "The line of SPX carries the time of each price (tick 45)",
        "the age of the index",
        evidence.spx_time,
    ),
    Assumption(
        "data_type",
        "The type of a line's data is told before its first price",
        "delayed prices are never taken for live",
        evidence.data_type,
    ),
    Assumption(
        "no_bid",
        "An option without a bid has a bid of 0 or -1 and a size of 0",
        "an SPX call that nobody bids for counts as worthless",
        evidence.no_bid,
    ),
    Assumption(
        "acknowledged",
        "An order is first heard of within 60 s",
        "how long a silent order is waited for",
        evidence.acknowledged,
    ),
    Assumption(
        "both_sides",
        "A sale of SPY calls is accepted while a buy-back of the same call rests with a good-after time",
        "a second spread at the strike of the first",
        evidence.both_sides,
    ),
    Assumption(
        "order_reference",
        "An open order is listed with the whole reference that it was sent with",
        "which orders are ours",
        evidence.whole_reference,
    ),
    Assumption(
        "execution_reference",
        "An execution carries the reference of its order",
        "which fills are ours; without it the permanent id decides",
        evidence.reference_in_execution,
    ),
    Assumption(
        "completed_reference",
        "A completed order is listed with the reference of the order",
        "the proof that an order is over",
        evidence.reference_in_completed,
    ),
    Assumption(
        "execution_time",
        "The time of an execution can be read: a date, a time, a zone by name or none",
        "the order of fills",
        evidence.execution_time,
    ),
    Assumption(
        "commission", "The commission of an execution comes within 30 s", "final figures", evidence.commission
    ),
    Assumption(
        "good_after_form",
        "A good-after time is read back as a date, a time and a zone",
        "the fail-safe",
        evidence.good_after,
    ),
    Assumption(
        "good_after_waits",
        "An order with a good-after time is never listed as Inactive",
        "the fail-safe that rests counts as live",
        evidence.inactive_until,
    ),
    Assumption(
        "order_statuses", "An order's status is one of nine words", "the life of an order", evidence.statuses
    ),
    Assumption(
        "cancel_answered", "A cancel is answered within 30 s", "an order's end is proven", evidence.cancel
    ),
    Assumption(
        "refused_order",
        "An order that is refused (201) has the status Inactive or Cancelled",
        "a refused order is over",
        evidence.refused,
    ),
    Assumption(
        "what_if",
        "A what-if order is answered with an initial margin",
        "the check `margin`",
        evidence.what_if,
    ),
    Assumption(
        "executions_end",
        "The list of executions ends within 30 s",
        "every comparison",
        evidence.executions_end,
    ),
    Assumption(
        "executions_whole",
        "The list of executions has every execution that was told live",
        "an empty list is no proof alone",
        evidence.executions_whole,
    ),
    Assumption(
        "completed_end", "The list of completed orders ends within 30 s", "an entry", evidence.completed_end
    ),
    Assumption(
        "position_fields", "A position has 16 fields", "what the account holds", evidence.position_fields
    ),
    Assumption(
        "daily_bars", "Daily bars are dated as YYYYMMDD", "the official close of SPX", evidence.daily_bars
    ),
    Assumption(
        "post_expiration",
        "Account updates tell PostExpirationMargin",
        "`doctor --margin` tells what expiration would need",
        evidence.post_expiration,
    ),
)
"""In the order in which a day meets them."""
