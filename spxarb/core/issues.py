"""What went wrong in a period: commands that did not end with 0, and matters for a human, each kind once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from spxarb.core.sentences import trouble_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spxarb.core.events import Row


class IssueKind(StrEnum):
    """Where an issue comes from."""

    COMMAND = "command"
    MATTER = "matter"
    ALERT = "alert not sent"


@dataclass(frozen=True)
class Issue:
    """One kind of trouble, however often it came."""

    kind: IssueKind
    first: datetime
    last: datetime
    times: int
    command: str | None
    exit_code: int | None
    text: str
    """As it was told last."""
    open: bool | None
    """Of a matter, whether it is neither resolved nor acknowledged; null of all else."""


def issues(runs: Iterable[Row], matters: Iterable[Row], alerts: Iterable[Row]) -> tuple[Issue, ...]:
    """Every issue, the latest last. A row whose time cannot be read is left out: it is in the ledger."""
    found: dict[tuple[object, ...], Issue] = {}

    def add(issue: Issue, key: tuple[object, ...]) -> None:
        known = found.get(key)
        times, first = (1, issue.first) if known is None else (known.times + 1, known.first)
        found[key] = replace(issue, times=times, first=min(first, issue.first))

    for row in runs:
        at = _moment(row["at"])
        if at is not None and row["exit_code"]:
            text, code = str(row["error"] or ""), int(row["exit_code"])
            issue = Issue(IssueKind.COMMAND, at, at, 1, row["command"], code, text, None)
            add(issue, (IssueKind.COMMAND, row["command"], code, trouble_of(text)))
    for row in matters:
        at = _moment(row["since"])
        if at is not None:
            still = row["resolved_at"] is None and row["acknowledged_at"] is None
            issue = Issue(
                IssueKind.MATTER, at, _moment(row["last_seen"]) or at, 1, None, None, str(row["text"]), still
            )
            add(issue, (IssueKind.MATTER, row["id"]))
    for row in alerts:
        at = _moment(row["at"])
        if at is not None:
            text = str(row["failure"])
            issue = Issue(IssueKind.ALERT, at, at, 1, None, None, text, None)
            add(issue, (IssueKind.ALERT, trouble_of(text)))
    return tuple(sorted(found.values(), key=lambda issue: issue.last))


def _moment(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else None
