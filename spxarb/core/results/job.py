"""What the results of jobs, of `status` and of `log` have in common: the runs of their day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.result import Result

if TYPE_CHECKING:
    from spxarb.core.run_gaps import FailingRuns, MissingRuns


@dataclass(frozen=True, kw_only=True)
class RunsOfDayResult(Result):
    """A result that tells which timed commands of its day did not run, or not with success."""

    missing_runs: tuple[MissingRuns, ...] | None = None
    """Times of the day at which a command was due and did not run; null where that was not looked at."""
    failing_runs: tuple[FailingRuns, ...] | None = None
    """Commands whose newest runs of the day had no success; null likewise."""

    def own(self) -> dict[str, object]:
        """The command's own fields; those of the day are no decision of its."""
        return {name: value for name, value in super().own().items() if name not in _OF_THE_DAY}


_OF_THE_DAY = frozenset({"missing_runs", "failing_runs"})
