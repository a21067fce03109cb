"""Which timed commands of a day did not run, or without success: for results, `status` and `log`.

The calendar, which takes a while to load, is asked only where a run seems to be missing on a weekday.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from spxarb.core.model import NEW_YORK
from spxarb.core.run_gaps import failing_runs, missing_runs
from spxarb.core.sessions import SATURDAY, session_times
from spxarb.trading.recorded_runs import first_use, recorded_runs

if TYPE_CHECKING:
    from datetime import date

    from spxarb.config.load import Config
    from spxarb.core.run_gaps import FailingRuns, MissingRuns
    from spxarb.ledger.ledger import Ledger


def of_day(
    ledger: Ledger, config: Config, day: date, now: datetime
) -> tuple[tuple[MissingRuns, ...], tuple[FailingRuns, ...]]:
    """What is missing of `day` by `now`, and what had no success on it. Raises RefusedError."""
    begin = datetime.combine(day, time(), NEW_YORK)
    runs = recorded_runs(ledger, config.trading.mode, begin)
    runs = [run for run in runs if run.at.astimezone(NEW_YORK).date() == day]
    since, now = first_use(ledger), min(now, begin + timedelta(days=1))
    times = config.trading
    usual = session_times(
        day,
        early=(),
        entry_time=times.entry_time,
        entry_cutoff=times.entry_cutoff,
        exit_check_time=times.exit_check_time,
    )
    missing: tuple[MissingRuns, ...] = ()
    if day.weekday() < SATURDAY and missing_runs(usual, runs, now, since=since):
        from spxarb.trading.market_calendar import timetable  # noqa: PLC0415 -- only where a run seems missing

        missing = missing_runs(timetable(day, config), runs, now, since=since)
    return missing, failing_runs(runs)
