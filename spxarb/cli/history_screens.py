"""What `log` and `report --explain` show: one row a command, one row an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.cli.blocks import BAD, GOOD, HEAD, WARN, Block, Cell, Columns, Hanging, Line, Part, grid, moment
from spxarb.core.events import count

if TYPE_CHECKING:
    from spxarb.core.events import Explained
    from spxarb.core.results.log import LogEntry, LogResult
    from spxarb.core.results.report import ReportResult

CLOCK = "%H:%M:%S"
STYLES = {"decision": "bold", "veto": WARN, "difference": WARN, "matter": BAD, "alert": BAD, "fill": GOOD}
"""By kind of event."""
WEIGHTY = frozenset({"fill", "veto", "difference", "matter", "alert", "trade", "settlement"})
"""Events that a terminal without room for all shows, the newest of them."""


def _what(event: Explained) -> Cell:
    return event.what, STYLES.get(event.what, "")


_EVENTS: Columns[Explained] = (
    ("at", lambda event: moment(event.at, CLOCK)),
    ("", _what),
    ("what happened", lambda event: event.text),
)


def explanation(result: ReportResult) -> list[Block]:
    """The day, event by event."""
    title, events = f"What happened on {result.explained}", result.explanation
    weighty = [event for event in events if event.what in WEIGHTY]
    return [
        Part(
            "the rest of the day's events",
            (grid(title, _EVENTS, events),),
            brief=(grid(f"{title}: {len(weighty)} of {count(len(events), 'event')}", _EVENTS, weighty),),
            rows_leave="first",
        )
    ]


def log(result: LogResult) -> list[Block]:
    """A line a command, newest last."""
    entries = result.entries
    if not entries:
        return [Line(f"Nothing ran on {result.day}." if result.day else "Nothing ever ran.")]
    width = max(len(entry.command) for entry in entries)
    gaps = [*(result.missing_runs or ()), *(result.failing_runs or ())]
    return [
        Line(f"{entries[0].at[:10]}", HEAD),
        Part("commands", tuple(_entry(entry, width) for entry in entries), brief=None, rows_leave="first"),
        *(Hanging("      ", f"{gap}.", WARN) for gap in gaps),
    ]


def _entry(entry: LogEntry, width: int) -> Hanging:
    """`09:35 enter  skipped: ...`; one that failed has its exit code, and why."""
    ended = f"exit {entry.exit_code}{f': {entry.error}' if entry.error else ''}" if entry.exit_code else ""
    told = "" if ended and entry.brief == "failed" else entry.brief
    head = f"{moment(entry.at, '%H:%M')} {entry.command:<{width}}  "
    text = "; ".join(filter(None, [told, ended]))
    return Hanging(head, text, BAD if entry.exit_code else "", one_line=True)
