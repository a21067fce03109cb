"""Matters for a human: each is kept until it is resolved by evidence or acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.ledger.file import readable_only
from spxarb.ledger.rows import matter_from_row, to_moment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from spxarb.core.matters import Matter
    from spxarb.ledger.file import LedgerFile


class Matters:
    """The table `matters`."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file
        self.unread: set[str] = set()
        """Why matters could not be read so far; the others are given all the same."""

    def raise_(self, key: str, text: str, trade_id: int | None, at: datetime) -> Matter:
        """Keep a matter, once for its key until it is resolved: then the same trouble is another matter.

        One that was acknowledged stays so while it is found again and again.
        """
        with self._file.joined():
            known = self._matters("WHERE key = ? AND resolved_at IS NULL", key)
            if known:
                self._file.update("matters", {"text": text, "last_seen": to_moment(at)}, id=known[0].id)
                return self._get(known[0].id)
            row = {"key": key, "text": text, "trade_id": trade_id, "since": to_moment(at)}
            return self._get(self._file.insert("matters", {**row, "last_seen": to_moment(at)}))

    def resolve(self, key: str, how: str, at: datetime) -> bool:
        """Evidence has ended it, whether or not it was acknowledged. False when there is none."""
        return bool(
            self._file.execute(
                "UPDATE matters SET resolved_at = ?, resolution = ? WHERE key = ? AND resolved_at IS NULL",
                to_moment(at),
                how,
                key,
            )
        )

    def acknowledge(self, matter_id: int, note: str | None, at: datetime) -> Matter:
        """A human has dealt with it. Raises KeyError when it is not open."""
        with self._file.joined():
            if matter_id not in {matter.id for matter in self.open()}:
                raise KeyError(f"No matter {matter_id} is open")
            row = {"acknowledged_at": to_moment(at), "note": note}
            self._file.update("matters", row, id=matter_id)
            return self._get(matter_id)

    def alerted(self, ids: Iterable[int], to: str, at: datetime) -> None:
        """An alert about these matters went out by the way `to`."""
        with self._file.joined():
            for matter_id in ids:
                self._file.update("matters", {"alerted_at": to_moment(at), "alerted_to": to}, id=matter_id)

    def open(self) -> list[Matter]:
        """Those that are neither resolved nor acknowledged, oldest first."""
        return self._matters("WHERE resolved_at IS NULL AND acknowledged_at IS NULL ORDER BY id")

    def unresolved(self) -> list[Matter]:
        """Those that no evidence has ended, acknowledged ones too, oldest first."""
        return self._matters("WHERE resolved_at IS NULL ORDER BY id")

    def open_rows(self) -> list[dict[str, object]]:
        """As `open`, as stored, for reports."""
        return self._file.rows(
            "SELECT * FROM matters WHERE resolved_at IS NULL AND acknowledged_at IS NULL ORDER BY id"
        )

    def _get(self, matter_id: int) -> Matter:
        (matter,) = self._matters("WHERE id = ?", matter_id)
        return matter

    def _matters(self, which: str, *values: object) -> list[Matter]:
        rows = self._file.rows(f"SELECT * FROM matters {which}", *values)  # noqa: S608 -- our own words
        return readable_only(rows, matter_from_row, self.unread)
