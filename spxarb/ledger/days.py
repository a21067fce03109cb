"""Days: summaries, the net result over time, and what an evening left: SPY shares, closing prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spxarb.core.model import LegName
from spxarb.ledger.rows import (
    SUMMARY,
    day_range,
    from_moment,
    from_real,
    to_moment,
    to_real,
    to_row,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.ledger.file import LedgerFile


class Days:
    """The tables `daily_summary`, `day_marks` and `baselines`."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def write_summary(self, row: Mapping[str, object]) -> None:
        """The summary of the day `row["date"]`, or new values in it; keys are columns, money Decimal dollars.

        Raises TypeError for a key that is no column, sqlite3.IntegrityError without a date.
        """
        self._file.upsert("daily_summary", to_row(SUMMARY, row), "date")

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

    def add_baseline(self, day: date, account: str, spy_shares: Decimal, at: datetime) -> None:
        """The account's SPY shares after the close of `day`, against which an assignment shows.

        The first one stays: later in the evening assigned shares may be among them.
        """
        if self.baseline(day, account) is not None:
            return
        row = {
            "date": day.isoformat(),
            "account": account,
            "spy_shares": to_real(spy_shares),
            "taken_at": to_moment(at),
        }
        self._file.insert("baselines", row)

    def add_closes(self, day: date, account: str, closes: Mapping[LegName, Decimal | None]) -> None:
        """The underlyings' prices after the close, beside the day's baseline; what is known stays."""
        known = self.closes(day, account)
        row = {
            f"{leg.lower()}_close": to_real(price)
            for leg, price in closes.items()
            if price is not None and known[leg] is None
        }
        if row:
            self._file.update("baselines", row, date=day.isoformat(), account=account)

    def closes(self, day: date, account: str) -> dict[LegName, Decimal | None]:
        """The underlyings' prices after the close of `day`; None where they were not taken."""
        rows = self._file.rows(
            "SELECT spx_close, spy_close FROM baselines WHERE date = ? AND account = ?",
            day.isoformat(),
            account,
        )
        row = rows[0] if rows else {"spx_close": None, "spy_close": None}
        prices = {leg: row[f"{leg.lower()}_close"] for leg in LegName}
        return {leg: None if price is None else from_real(price) for leg, price in prices.items()}

    def baseline(self, day: date, account: str) -> Decimal | None:
        """The account's SPY shares on `day`, short negative; None where they were not taken."""
        shares = self._file.value(
            "SELECT spy_shares FROM baselines WHERE date = ? AND account = ?", day.isoformat(), account
        )
        return None if shares is None else from_real(shares)
