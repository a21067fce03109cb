"""What `log` and `report --explain` show: one row a command, one row an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.cli.blocks import BAD, GOOD, HEAD, WARN, Block, Cell, Columns, Hanging, Line, grid, moment

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


def explanation(result: ReportResult) -> list[Block]:
    """The day, event by event."""
    return [grid(f"What happened on {result.explained}", _EVENTS, result.explanation)]


def log(result: LogResult) -> list[Block]:
    """A line a command, newest last."""
    entries = result.entries
    if not entries:
        return [Line(f"Nothing ran on {result.day}." if result.day else "Nothing ever ran.")]
    width = max(len(entry.command) for entry in entries)
    gaps = [*(result.missing_runs or ()), *(result.failing_runs or ())]
    return [
        Line(f"{entries[0].at[:10]}", HEAD),
        *(_entry(entry, width) for entry in entries),
        *(Hanging("      ", f"{gap}.", WARN) for gap in gaps),
    ]


def _entry(entry: LogEntry, width: int) -> Hanging:
    """`09:35 enter  skipped: ...`; one that failed has its exit code, and why."""
    ended = f"exit {entry.exit_code}{f': {entry.error}' if entry.error else ''}" if entry.exit_code else ""
    told = "" if ended and entry.brief == "failed" else entry.brief
    head = f"{moment(entry.at, '%H:%M')} {entry.command:<{width}}  "
    return Hanging(head, "; ".join(filter(None, [told, ended])), BAD if entry.exit_code else "")
