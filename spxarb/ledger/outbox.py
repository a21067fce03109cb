"""The outbox: alerts that did not go out, until a later job has sent them, or they are too old."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.ledger.rows import from_moment, to_moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from spxarb.ledger.file import LedgerFile

MOST = 50
"""So many wait at the most. Of a kind that matters less, then the oldest, make room."""


@dataclass(frozen=True)
class Waiting:
    """An alert that did not go out by these ways; texts and names alone, no address with a secret."""

    id: int
    key: str
    kind: str
    text: str
    created_at: datetime
    ways: tuple[str, ...]
    failure: str = ""


class Outbox:
    """The table `outbox`."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def waiting(self) -> list[Waiting]:
        """What waits, oldest first; a row that cannot be read waits no longer."""
        found = []
        for row in self._file.rows("SELECT * FROM outbox ORDER BY id"):
            try:
                ways = tuple(map(str, json.loads(row["ways"])))
                created = from_moment(row["created_at"])
            except (ValueError, TypeError):
                continue
            found.append(
                Waiting(row["id"], row["key"], row["kind"], row["text"], created, ways, row["failure"])
            )
        return found

    def put(
        self,
        key: str,
        kind: str,
        text: str,
        at: datetime,
        ways: Sequence[str],
        failure: str,
        order: Sequence[str],
    ) -> None:
        """Keep an alert that failed; `order`: the kinds, the one that matters most first.

        The same trouble waits once, with its newest words.
        """
        with self._file.joined():
            known = self._file.rows("SELECT created_at, attempts FROM outbox WHERE key = ?", key)
            row = {
                "key": key,
                "kind": kind,
                "text": text,
                "created_at": known[0]["created_at"] if known else to_moment(at),
                "ways": json.dumps(list(ways)),
                "attempts": (known[0]["attempts"] if known else 0) + 1,
                "tried_at": to_moment(at),
                "failure": failure,
            }
            self._file.upsert("outbox", row, "key")
            self._make_room(order)

    def drop(self, *ids: int) -> None:
        """These wait no longer."""
        with self._file.joined():
            for number in ids:
                self._file.execute("DELETE FROM outbox WHERE id = ?", number)

    def _make_room(self, order: Sequence[str]) -> None:
        rows = self._file.rows("SELECT id, kind FROM outbox")
        rank = {kind: place for place, kind in enumerate(order)}
        rows.sort(key=lambda row: (rank.get(row["kind"], len(rank)), -row["id"]))
        self.drop(*(row["id"] for row in rows[MOST:]))
