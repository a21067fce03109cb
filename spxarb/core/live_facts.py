"""Which assumptions about gateways a live entry depends on, and how paper shows each of them.

An assumption is left out where nothing is lost if it is wrong: then the program does the careful thing and a
human hears of it. One that was contradicted keeps the gate shut all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.gateway_claims import CLAIMS, Sighting

if TYPE_CHECKING:
    from collections.abc import Iterable

TOUR = (
    "on paper in trading hours: `spxarb record --wire FILE --seconds 120`, then `spxarb doctor --facts FILE`"
)
ENTRY = (
    "set SPXARB_WIRE_FOLDER on paper, let `enter`, `monitor` and `settle` run through a day with an entry (a "
    "low trading.min_entry_credit makes one), then `spxarb doctor --facts FOLDER`"
)
SECOND = (
    "set SPXARB_WIRE_FOLDER on paper and run `enter` twice within a minute, so that two spreads of one day "
    "have the same SPY strike (trading.max_spreads_per_day at 2), then `spxarb doctor --facts FOLDER`"
)
CLASH = (
    "on paper, let `spxarb record --wire FILE` run twice at the same time, into two files of one folder, "
    "then `spxarb doctor --facts FOLDER`"
)
FAR = (
    "on paper in the last ten minutes before the close: `spxarb record --wire FILE --output DAY.csv "
    "--strikes 10 --seconds 300`, then `spxarb doctor --facts FILE`"
)
HOW = {
    **dict.fromkeys(
        (
            *("server_version", "option_expiry", "spxw_zone", "hours_form", "spxw_last_minute"),
            *("spy_last_minute", "spxw_ticks", "spx_no_sides", "spx_time", "data_type", "executions_end"),
            *("completed_end", "daily_bars"),
        ),
        TOUR,
    ),
    **dict.fromkeys(
        (
            *("next_order_id", "acknowledged", "order_reference", "execution_reference"),
            *("completed_reference", "execution_time", "commission", "good_after_form", "good_after_waits"),
            *("order_statuses", "cancel_answered", "what_if", "executions_whole", "position_fields"),
        ),
        ENTRY,
    ),
    "both_sides": SECOND,
    "duplicate_client_id": CLASH,
    "no_bid": FAR,
}
"""How each assumption that live depends on is seen."""
NOT_NEEDED = {
    "refused_order": (
        "no refusal can be had on demand; an order whose refusal is not understood stays unproven, stops "
        "entries, and a human is called"
    ),
    "post_expiration": "only `doctor --margin` tells it; nothing is decided by it",
}
"""What live does not wait for, and why nothing is lost by that."""


@dataclass(frozen=True, slots=True)
class KeptFact:
    """What one recording of a paper account said of one assumption, as the paper ledger keeps it.

    `recorded_at`: when the recording began, ISO 8601. `judged_by`: the version that judged it.
    """

    name: str
    evidence: Sighting
    what: str
    recorded_at: str
    server_version: int | None
    judged_by: str


def needed_facts(*, spreads_per_day: int, failsafe: bool) -> tuple[str, ...]:
    """The names of what live depends on, in the order in which a day meets them.

    `failsafe`: whether a buy-back rests at the broker; without it no order waits for its time. A second
    spread may meet the first one's.
    """
    without = set() if failsafe else {"good_after_form", "good_after_waits"}
    if not failsafe or spreads_per_day < 2:
        without.add("both_sides")
    return tuple(claim.name for claim in CLAIMS if claim.name in HOW and claim.name not in without)


def contradicting(facts: Iterable[KeptFact]) -> KeptFact | None:
    """Of what is kept of one assumption the newest contradiction that still counts; None: there is none.

    It counts until a later recording bears the assumption out with something changed: another version of the
    gateway's API, or of spxarb. That it went well once more with the same two proves nothing.
    """
    kept = list(facts)
    seen = [fact for fact in kept if fact.evidence is Sighting.SEEN]
    standing = [
        fact
        for fact in kept
        if fact.evidence is Sighting.CONTRADICTED
        and not any(
            later.recorded_at > fact.recorded_at
            and (later.server_version, later.judged_by) != (fact.server_version, fact.judged_by)
            for later in seen
        )
    ]
    return max(standing, key=lambda fact: fact.recorded_at, default=None)
