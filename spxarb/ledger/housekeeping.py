"""The ledger's house-keeping: runs, the state of trading, flags, decisions, baselines, the days."""

from __future__ import annotations

import os
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import spxarb
from spxarb.errors import Exit
from spxarb.ledger.file import LedgerFile
from spxarb.ledger.rows import (
    SUMMARY,
    from_moment,
    from_real,
    from_row,
    readable,
    to_json,
    to_moment,
    to_real,
    to_row,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

FIRST_DAY = "0001-01-01"
LAST_DAY = "9999-12-31"


def span(since: date | None, until: date | None) -> tuple[str, str]:
    """Both days inclusive, None: without an end, as text that compares with the ledger's days."""
    return (since.isoformat() if since else FIRST_DAY, until.isoformat() if until else LAST_DAY)


class Housekeeping(LedgerFile):
    """What the ledger knows beside trades."""

    # --- runs: one a command ------------------------------------------------------------------------

    def begin_run(self, command: str, arguments: Sequence[str], at: datetime) -> int:
        """Note that a command began; the run's id."""
        row = {
            "command": command,
            "arguments": to_json(list(arguments)),
            "started_at": to_moment(at),
            "pid": os.getpid(),
            "version": spxarb.__version__,
        }
        return self._insert("runs", row)

    def end_run(
        self, run_id: int, at: datetime, exit_code: int, error: str | None, *, day_of: datetime | None = None
    ) -> None:
        """Note its end; a failure (not a wrong command line) counts among the errors of its day.

        `day_of`: the market's time, where that is not the machine's.
        """
        row = {"ended_at": to_moment(at), "exit_code": int(exit_code), "error": error}
        with self._writing():
            self._change("runs", row, id=run_id)
            if exit_code not in {Exit.DONE, Exit.USAGE}:
                self._set_state(day_of or at)
                self._db.execute("UPDATE system_state SET errors_today = errors_today + 1")

    # --- the state of trading -----------------------------------------------------------------------

    def is_trading(self) -> bool:
        """Whether new entries are allowed."""
        return bool(self.state()["is_trading"])

    def trading_reason(self) -> str:
        """Why they were last allowed or forbidden, as given; '' for no reason."""
        return str(self.state()["trading_reason"])

    def state(self) -> dict[str, Any]:
        """The one row of `system_state`, as stored."""
        (row,) = self._rows("SELECT * FROM system_state")
        return row

    def set_trading(self, on: bool, reason: str | None, at: datetime) -> None:
        """Allow or forbid new entries."""
        self._set_state(at, is_trading=int(on), trading_reason=reason or "", trading_set_at=to_moment(at))

    def refresh_state(
        self, at: datetime, open_positions: int, daily_pnl: Decimal | None, trades_today: int
    ) -> None:
        """What users read in `system_state`; `daily_pnl` dollars, None where unknown."""
        pnl = None if daily_pnl is None else to_real(daily_pnl)
        self._set_state(at, open_positions=open_positions, daily_pnl=pnl, trades_today=trades_today)

    def _set_state(self, at: datetime, **columns: object) -> None:
        """Change the row; what counts for a day begins anew when the New York date has changed."""
        moment = to_moment(at)
        with self._writing():
            if str(self.state()["last_updated"] or "")[:10] != moment[:10]:
                columns = {"daily_pnl": None, "trades_today": 0, "errors_today": 0} | columns
            self._change("system_state", {**columns, "last_updated": moment}, id=1)

    # --- flags: what one job asks of another ----------------------------------------------------------

    def raise_flag(self, name: str, reason: str | None, at: datetime) -> None:
        """Raise it, or give it a newer reason."""
        self._put(
            "flags", {"name": name, "value": 1, "reason": reason or "", "set_at": to_moment(at)}, "name"
        )

    def lower_flag(self, name: str) -> None:
        """Lower it; nothing when it is not raised."""
        with self._writing():
            self._db.execute("DELETE FROM flags WHERE name = ?", [name])

    def flag(self, name: str) -> str | None:
        """Its reason, '' when none was given; None when it is not raised."""
        reason = self._value("SELECT reason FROM flags WHERE name = ?", name)
        return None if reason is None else str(reason)

    # --- decisions ------------------------------------------------------------------------------------

    def add_decision(
        self,
        run_id: int | None,
        command: str,
        at: datetime,
        *,
        dry_run: bool,
        outcome: str | None,
        would: str | None,
        payload: Mapping[str, object],
    ) -> int:
        """What a job decided and why; `payload` is kept as JSON, its `checks` apart. The decision's id."""
        rest = {key: value for key, value in payload.items() if key != "checks"}
        row = {
            "run_id": run_id,
            "command": command,
            "at": to_moment(at),
            "dry_run": int(dry_run),
            "outcome": outcome,
            "would": would,
            "checks": to_json(payload.get("checks", [])),
            "payload": to_json(rest),
        }
        return self._insert("decisions", row)

    def decisions_of(self, day: date) -> list[dict[str, Any]]:
        """The decisions of a New York day, oldest first; `checks` and `payload` opened."""
        rows = self._rows("SELECT * FROM decisions WHERE substr(at, 1, 10) = ? ORDER BY id", day.isoformat())
        return [readable(row) for row in rows]

    # --- SPY shares held, against which an assignment shows -------------------------------------------

    def store_baseline(self, day: date, account: str, spy_shares: Decimal, at: datetime) -> None:
        """The account's SPY shares on `day`; a later look at the same day replaces an earlier one."""
        row = {
            "date": day.isoformat(),
            "account": account,
            "spy_shares": to_real(spy_shares),
            "taken_at": to_moment(at),
        }
        self._put("baselines", row, "date", "account")

    def baseline_before(self, day: date, account: str) -> tuple[date, Decimal] | None:
        """The newest baseline of a day before `day`: its day, and shares."""
        rows = self._rows(
            "SELECT date, spy_shares FROM baselines WHERE date < ? AND account = ? "
            "ORDER BY date DESC LIMIT 1",
            day.isoformat(),
            account,
        )
        return (date.fromisoformat(rows[0]["date"]), from_real(rows[0]["spy_shares"])) if rows else None

    def baseline_of(self, day: date, account: str) -> Decimal | None:
        """The baseline of `day` itself, shares."""
        shares = self._value(
            "SELECT spy_shares FROM baselines WHERE date = ? AND account = ?", day.isoformat(), account
        )
        return None if shares is None else from_real(shares)

    # --- the days -------------------------------------------------------------------------------------

    def add_day_mark(self, day: date, at: datetime, net_pnl: Decimal) -> None:
        """The day's net P&L at a moment, closed and open trades together, dollars."""
        self._insert("day_marks", {"date": day.isoformat(), "at": to_moment(at), "net_pnl": to_real(net_pnl)})

    def day_marks(self, day: date) -> list[tuple[datetime, Decimal]]:
        """In the order in which they were taken."""
        rows = self._rows("SELECT at, net_pnl FROM day_marks WHERE date = ? ORDER BY id", day.isoformat())
        return [(from_moment(row["at"]), from_real(row["net_pnl"])) for row in rows]

    def write_summary(self, row: Mapping[str, object]) -> None:
        """A day's row, or new values in it. Keys are columns of `daily_summary`; `date` must be there.

        Raises TypeError for a key that is no column.
        """
        given = {key: value for key, value in row.items() if key != "id"}
        day = given["date"]
        given["date"] = date.fromisoformat(day) if isinstance(day, str) else day
        self._put("daily_summary", to_row(SUMMARY, given), "date")

    def summary(self, day: date) -> dict[str, Any] | None:
        """The day's row: `date` a date, money Decimal dollars."""
        return next(iter(self.summaries_between(day, day)), None)

    def summaries_between(self, since: date | None = None, until: date | None = None) -> list[dict[str, Any]]:
        """As `summary`, oldest first; both days inclusive, None: without an end."""
        return [from_row(SUMMARY, row) for row in self.summary_rows(since, until)]

    def summary_rows(self, since: date | None = None, until: date | None = None) -> list[dict[str, Any]]:
        """The rows as stored, for reports."""
        return self._rows(
            "SELECT * FROM daily_summary WHERE date BETWEEN ? AND ? ORDER BY date", *span(since, until)
        )
