"""Days: summaries, the day's net result over time, and the SPY shares held overnight."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from spxarb.ledger.rows import (
    SUMMARY,
    day_range,
    from_moment,
    from_real,
    from_row,
    to_moment,
    to_real,
    to_row,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from spxarb.ledger.file import LedgerFile


class Days:
    """The tables `daily_summary`, `day_marks` and `baselines`."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def write_summary(self, row: Mapping[str, object]) -> None:
        """A day's row, or new values in it. Keys are columns of `daily_summary`; `date` must be there.

        Raises TypeError for a key that is no column.
        """
        given = {key: value for key, value in row.items() if key != "id"}
        day = given["date"]
        given["date"] = date.fromisoformat(day) if isinstance(day, str) else day
        self._file.upsert("daily_summary", to_row(SUMMARY, given), "date")

    def summary(self, day: date) -> dict[str, Any] | None:
        """The day's row: `date` a date, money Decimal dollars."""
        return next(iter(self.summaries(day, day)), None)

    def summaries(self, since: date | None = None, until: date | None = None) -> list[dict[str, Any]]:
        """As `summary`, oldest first; both days inclusive, None: without an end."""
        return [from_row(SUMMARY, row) for row in self.summary_rows(since, until)]

    def summary_rows(self, since: date | None = None, until: date | None = None) -> list[dict[str, Any]]:
        """The summaries as stored, for reports, oldest first; both days inclusive, None: without an end."""
        return self._file.rows(
            "SELECT * FROM daily_summary WHERE date BETWEEN ? AND ? ORDER BY date", *day_range(since, until)
        )

    def add_mark(self, day: date, at: datetime, net_pnl: Decimal) -> None:
        """The day's net P&L at a moment, closed and open trades together, dollars."""
        row = {"date": day.isoformat(), "at": to_moment(at), "net_pnl": to_real(net_pnl)}
        self._file.insert("day_marks", row)

    def marks(self, day: date) -> list[tuple[datetime, Decimal]]:
        """In the order in which they were taken."""
        rows = self._file.rows(
            "SELECT at, net_pnl FROM day_marks WHERE date = ? ORDER BY id", day.isoformat()
        )
        return [(from_moment(row["at"]), from_real(row["net_pnl"])) for row in rows]

    def set_baseline(self, day: date, account: str, spy_shares: Decimal, at: datetime) -> None:
        """The account's SPY shares on `day`, against which an assignment shows; a later one replaces it."""
        row = {
            "date": day.isoformat(),
            "account": account,
            "spy_shares": to_real(spy_shares),
            "taken_at": to_moment(at),
        }
        self._file.upsert("baselines", row, "date", "account")

    def baseline(self, day: date, account: str) -> Decimal | None:
        """The account's SPY shares on `day`, short negative; None where they were not taken."""
        shares = self._file.value(
            "SELECT spy_shares FROM baselines WHERE date = ? AND account = ?", day.isoformat(), account
        )
        return None if shares is None else from_real(shares)

    def baseline_before(self, day: date, account: str) -> tuple[date, Decimal] | None:
        """The newest baseline of a day before `day`: its day, and shares."""
        rows = self._file.rows(
            "SELECT date, spy_shares FROM baselines WHERE date < ? AND account = ? "
            "ORDER BY date DESC LIMIT 1",
            day.isoformat(),
            account,
        )
        return (date.fromisoformat(rows[0]["date"]), from_real(rows[0]["spy_shares"])) if rows else None
