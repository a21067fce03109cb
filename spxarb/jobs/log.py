"""`log`: the commands of a day in order, from the ledger alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.results.log import LogResult
from spxarb.core.runlog import log_entries
from spxarb.trading.day_runs import of_day

if TYPE_CHECKING:
    from datetime import date

    from spxarb.trading.context import JobContext


def run(context: JobContext, *, day: date | None, last: int | None) -> LogResult:
    """The commands of `day` (None: the latest on which any ran); `last`: only so many, the newest."""
    history = context.ledger.history
    day = day or history.last_day()
    entries = () if day is None else log_entries(history.of_day(day))
    kept = entries if last is None else entries[-last:]
    missing, failing = ((), ()) if day is None else of_day(context.ledger, context.config, day, context.now())
    return context.finish(
        LogResult(*context.head(), missing_runs=missing, failing_runs=failing, day=day, entries=kept)
    )
