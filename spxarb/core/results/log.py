"""What `log` answers: the commands of a day, and what came of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.results.job import RunsOfDayResult

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from spxarb.core.results.rows import TimeText


@dataclass(frozen=True)
class LogEntry:
    """One command of the day, or one decision where it made several."""

    at: TimeText
    """When it ran, by the market's clock."""
    run_id: int | None
    command: str
    dry_run: bool | None
    """Null where nothing was decided."""
    outcome: str
    """What came of it, in a word or two."""
    brief: str
    """What was decided, in a few words with its figures: the line of the list."""
    text: str
    """The decision in sentences; empty where none was made."""
    figures: Mapping[str, object]
    """The decision's figures, dollars where nothing else is said."""
    exit_code: int | None
    """Null where its end was not written down: it is running, or was killed."""
    error: str | None


@dataclass(frozen=True, kw_only=True)
class LogResult(RunsOfDayResult):
    """The commands of a day in order."""

    day: date | None = None
    """Null where nothing ever ran."""
    entries: tuple[LogEntry, ...] = ()
