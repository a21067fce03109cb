"""What `log` and `report --explain` show: one row a command, one row an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.cli.blocks import BAD, GOOD, WARN, Block, Cell, Columns, grid, moment, words

if TYPE_CHECKING:
    from spxarb.core.events import Explained
    from spxarb.core.results.log import LogEntry, LogResult
    from spxarb.core.results.report import ReportResult

CLOCK = "%H:%M:%S"
STYLES = {"decision": "bold", "veto": WARN, "difference": WARN, "matter": BAD, "alert": BAD, "fill": GOOD}
"""By kind of event."""


def _what(event: Explained) -> Cell:
    return event.what, STYLES.get(event.what, "")


_EVENTS: Columns[Explained] = (
    ("at", lambda event: moment(event.at, CLOCK)),
    ("", _what),
    ("what happened", lambda event: event.text),
)
_ENTRIES: Columns[LogEntry] = (
    ("at", lambda entry: moment(entry.at, CLOCK)),
    ("command", lambda entry: f"{entry.command}{' (dry run)' if entry.dry_run else ''}"),
    ("outcome", lambda entry: entry.outcome),
    (">exit", lambda entry: (words(entry.exit_code), BAD if entry.exit_code else "")),
    ("why", lambda entry: words(" ".join(filter(None, [entry.text, entry.error])))),
)


def explanation(result: ReportResult) -> list[Block]:
    """The day, event by event."""
    return [grid(f"What happened on {result.explained}", _EVENTS, result.explanation)]


def log(result: LogResult) -> list[Block]:
    return [grid(f"Commands of {words(result.day)}", _ENTRIES, result.entries)]
