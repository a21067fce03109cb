"""The commands of a day, each with what it decided: what `log` lists, from the rows of the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.brief import brief
from spxarb.core.decisions import decision_events, outcome_of
from spxarb.core.events import EventKind
from spxarb.core.results.log import LogEntry
from spxarb.core.run_gaps import run_moment

if TYPE_CHECKING:
    from spxarb.core.events import Row
    from spxarb.core.explanation import DayRows

TOLD = frozenset({EventKind.DECISION, EventKind.VETO})
"""What stands in a line of the list; the rest is for `report --explain`."""


def log_entries(rows: DayRows) -> tuple[LogEntry, ...]:
    """A line a command, by the time at which it ran; one more for every further decision of it."""
    decisions: dict[int | None, list[Row]] = {}
    for row in rows.decisions:
        decisions.setdefault(row["run_id"], []).append(row)
    runs = {row["id"]: row for row in rows.runs}
    found = []
    for row in sorted(rows.runs, key=lambda row: (run_moment(row), row["id"])):
        made = decisions.get(row["id"], [])
        found += [_decided(row, decision) for decision in made] or [_undecided(row)]
    lost = [row for run_id, made in decisions.items() if run_id not in runs for row in made]
    return (*found, *(_decided(None, row) for row in lost))


def _decided(run: Row | None, decision: Row) -> LogEntry:
    events = list(decision_events(decision))
    figures: dict[str, object] = {}
    for event in events:
        figures |= event.figures if event.what is EventKind.DECISION else {}
    return LogEntry(
        at=str(decision["at"]) if run is None else run_moment(run).isoformat(),
        run_id=decision["run_id"],
        command=decision["command"],
        dry_run=bool(decision["dry_run"]),
        outcome=outcome_of(decision),
        brief=brief(decision),
        text=" ".join(event.text for event in events if event.what in TOLD),
        figures=figures,
        exit_code=None if run is None else run["exit_code"],
        error=None if run is None else run["error"],
    )


def _undecided(run: Row) -> LogEntry:
    """A command that only looked, found nothing to do, failed before it decided, or never ended."""
    ended = {None: "not ended", 0: "nothing to decide"}
    outcome = ended.get(run["exit_code"], "failed")
    return LogEntry(
        *(run_moment(run).isoformat(), run["id"], run["command"], None, outcome, outcome, "", {}),
        exit_code=run["exit_code"],
        error=run["error"],
    )
