"""What `doctor --facts` found in a recording of a paper account, kept in the paper ledger for going live."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import spxarb
from spxarb.config.load import salvage
from spxarb.core.gateway_claims import Sighting
from spxarb.core.live_facts import KeptFact
from spxarb.core.model import NEW_YORK
from spxarb.core.sentences import sentence
from spxarb.errors import SpxarbError
from spxarb.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spxarb.core.gateway_claims import Judged
    from spxarb.core.wire_record import WireRecord


def keep_facts(config_file: Path | None, record: WireRecord, judged: Sequence[Judged]) -> str:
    """Keep what was seen and what was contradicted; a sentence on what became of it.

    Only a recording of paper alone counts: the simulated gateway does what is assumed of real ones, and live
    must not be where an assumption breaks first. No ledger is made for it.
    """
    if record.mode != "paper":
        return f"Nothing was kept for going live: this is a recording of mode {record.mode}, not of paper."
    try:
        path = salvage(config_file).paper_ledger()
        if not Ledger.exists(path):
            return f"Nothing was kept for going live: there is no paper ledger at {path}."
        with Ledger.open(path, mode="paper") as ledger:
            ledger.evidence.keep(_told(record, judged), datetime.now(NEW_YORK))
    except SpxarbError as error:
        return sentence(f"Nothing was kept for going live: {error}")
    counts = [sum(one.evidence is word for one in judged) for word in (Sighting.SEEN, Sighting.CONTRADICTED)]
    return f"Kept for going live in {path}: {counts[0]} seen, {counts[1]} contradicted."


def _told(record: WireRecord, judged: Sequence[Judged]) -> list[tuple[KeptFact, int]]:
    return [
        (
            KeptFact(
                one.claim.name,
                one.evidence,
                one.what,
                record.started,
                record.server_version,
                spxarb.__version__,
            ),
            one.times,
        )
        for one in judged
        if one.evidence is not Sighting.NOT_SEEN
    ]
