"""The timed commands' runs as the ledger has them, by the market's clock; dry runs do not count."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from spxarb.core.run_gaps import RecordedRun, run_moment
from spxarb.ledger.rows import known_moment

if TYPE_CHECKING:
    from datetime import datetime

    from spxarb.core.events import Row
    from spxarb.ledger.ledger import Ledger


def recorded_runs(ledger: Ledger, mode: str, since: datetime) -> list[RecordedRun]:
    """The runs of jobs from `since` on, oldest first. Raises RefusedError when the ledger cannot be read."""
    found = (_recorded(row, mode) for row in ledger.runs.of_jobs(since))
    return [run for run in found if run is not None]


def _recorded(row: Row, mode: str) -> RecordedRun | None:
    """None for one that does not count, or cannot be read."""
    try:
        at = run_moment(row)
        if at.tzinfo is None or "--dry-run" in json.loads(row["arguments"]):
            return None
    except (TypeError, ValueError):
        return None
    # A simulated day is not the machine's, whose time the end of a run is.
    until = None if mode == "sim" else known_moment(row["ended_at"])
    code = row["exit_code"]
    looked = row["account_seen"] is not None
    return RecordedRun(str(row["command"]), at, until, None if code is None else int(code), looked)


def first_use(ledger: Ledger) -> datetime | None:
    """When the ledger was first used; None: never, or that cannot be read."""
    first = ledger.runs.first()
    at = None
    with suppress(TypeError, ValueError):
        at = None if first is None else run_moment(first)
    return at if at is not None and at.tzinfo is not None else None
