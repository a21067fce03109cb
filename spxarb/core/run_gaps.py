"""Which runs of a day are missing, and which commands ran without success. Pure.

A run serves the newest time at which its command was due, and every such time while it worked: a timer does
not start a second one beside it. Where a missed firing is made up for, each later run does that. A run that
failed is no missing one; it counts among those without success.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from spxarb.core.firings import JOBS, PACE, due_on
from spxarb.core.routines import EARLY, GRACE, ROUTINES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import timedelta

    from spxarb.core.events import Row
    from spxarb.core.sessions import TradingDay

MADE_UP = frozenset(job.name for job in JOBS if job.persistent)
"""The commands of which a later run makes up for a missed one."""
DONE, USAGE, WORKED_ALL_THE_SAME = 0, 2, frozenset({3, 6})
"""Exit codes: of success, of a wrong command line, and those that a run may have which looked after all."""


def run_moment(row: Row) -> datetime:
    """When a command began, by the market's clock.

    A simulated day is not the machine's: what the gateway told then, else what was known of it at the start.
    """
    if row["market_time"] is None:
        return datetime.fromisoformat(row["started_at"])
    told = (datetime.fromisoformat(row[name]) for name in ("market_time", "account_seen") if row[name])
    return min(told)


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One run of a timed command, no dry run, by the market's clock.

    `until`: when it ended, None: it has not, or was killed. `looked`: it compared account and ledger.
    """

    command: str
    at: datetime
    until: datetime | None = None
    exit_code: int | None = None
    looked: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether it did its work, though a matter may wait for a human, or the configuration be broken."""
        return self.exit_code == DONE or (self.looked and self.exit_code in WORKED_ALL_THE_SAME)


@dataclass(frozen=True, slots=True)
class MissingRuns:
    """Times of a day, one after the other, at which a command was due and did not run."""

    command: str
    first: datetime
    last: datetime
    times: int

    def __str__(self) -> str:
        if self.times == 1:
            return f"{self.command} did not run at {self.first:%H:%M}"
        return f"{self.command} did not run from {self.first:%H:%M} to {self.last:%H:%M} ({self.times} times)"


@dataclass(frozen=True, slots=True)
class FailingRuns:
    """The newest runs of a command on a day, none of which succeeded; `last_success`: on that day."""

    command: str
    since: datetime
    times: int
    last_success: datetime | None

    def __str__(self) -> str:
        runs = "once" if self.times == 1 else f"{self.times} times"
        last = f"since {self.last_success:%H:%M}" if self.last_success else "that day"
        return f"{self.command} ran {runs} from {self.since:%H:%M} on, without success {last}"


def missing_runs(
    day: TradingDay | None, runs: Sequence[RecordedRun], now: datetime, *, since: datetime | None
) -> tuple[MissingRuns, ...]:
    """The runs of `day` that are missing by `now`; none on a day without a session.

    `since`: when the ledger was first used, None: never. What was due before that is nobody's.
    """
    if day is None or since is None:
        return ()
    found: list[MissingRuns] = []
    for command in ROUTINES:
        own = [run for run in runs if run.command == command]
        times = due_on(command, day)
        over = [at for at in times if since - EARLY <= at and at + GRACE <= now]
        spacing = {at: _spacing(at, times) for at in over}
        served = {at for at in over if any(_serves(run, at, spacing[at]) for run in own)}
        found += _stretches(command, over, served)
    return tuple(found)


def _serves(run: RecordedRun, due: datetime, spacing: timedelta) -> bool:
    """Whether it began around that time, or was at work then, or makes up for it."""
    if run.at < due - min(EARLY, spacing / 2):
        return run.until is not None and run.at <= due <= run.until
    return run.at < due + spacing or run.command in MADE_UP


def _spacing(due: datetime, times: Sequence[datetime]) -> timedelta:
    """How long until the next of the times, which are in order; five minutes at the most."""
    later = bisect_right(times, due)
    return min(PACE, times[later] - due) if later < len(times) else PACE


def _stretches(command: str, due: Iterable[datetime], served: set[datetime]) -> Iterator[MissingRuns]:
    for ran, moments in groupby(due, key=served.__contains__):
        times = list(moments)
        if not ran:
            yield MissingRuns(command, times[0], times[-1], len(times))


def failing_runs(runs: Sequence[RecordedRun]) -> tuple[FailingRuns, ...]:
    """The commands whose newest runs of a day (`runs`, oldest first) had no success.

    One whose end is not written down is at work where it is the newest, and else was killed.
    """
    found = []
    for command in ROUTINES:
        own = [run for run in runs if run.command == command and run.exit_code != USAGE]
        if own and own[-1].exit_code is None:
            own = own[:-1]
        good = [place for place, run in enumerate(own) if run.succeeded]
        failed = own[good[-1] + 1 :] if good else own
        if failed:
            found.append(FailingRuns(command, failed[0].at, len(failed), own[good[-1]].at if good else None))
    return tuple(found)
