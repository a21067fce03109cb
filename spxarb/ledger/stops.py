"""Days on which no more is entered, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spxarb.ledger.rows import to_moment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from spxarb.ledger.file import LedgerFile


class EntryStops:
    """The table `entry_stops`: a limit that was exceeded stays so, whatever the day makes of it later."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def add(self, day: date, at: datetime, reason: str) -> None:
        """No more is entered on that day; `reason` is a phrase, and the first one stays."""
        with self._file.joined():
            if not self.reason(day):
                row = {"date": day.isoformat(), "at": to_moment(at), "reason": reason}
                self._file.insert("entry_stops", row)

    def rows(self) -> list[dict[str, Any]]:
        """All days, as stored."""
        return self._file.rows("SELECT date, at, reason FROM entry_stops")

    def keep(self, rows: Iterable[dict[str, Any]]) -> None:
        """What stopped a day in the ledger that this one replaces; a reason known here stays."""
        with self._file.joined():
            known = {row["date"] for row in self.rows()}
            for row in rows:
                if row["date"] not in known:
                    self._file.insert("entry_stops", row)

    def reason(self, day: date) -> str:
        """Why no more is entered on that day, with the time; empty when nothing stops it."""
        rows = self._file.rows("SELECT at, reason FROM entry_stops WHERE date = ?", day.isoformat())
        return f"{rows[0]['reason']} (at {rows[0]['at'][11:19]})" if rows else ""
