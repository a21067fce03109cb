"""Fills: every execution as the broker reported it, its corrections and its commission."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.order_words import FillSource
from spxarb.ledger.file import readable_only
from spxarb.ledger.rows import day_range, fill_from_row, fill_to_row, from_real, to_real

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from spxarb.core.records import Fill
    from spxarb.ledger.file import LedgerFile


class Fills:
    """The table `executions`."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file
        self.unread: set[str] = set()
        """Why executions could not be read so far."""

    def record(self, fill: Fill) -> bool:
        """Keep an execution; whether that changed anything. The same one may come any number of times.

        A correction supersedes its family's earlier executions, in whatever order they come, and the API's
        row that of a statement which gave its id without the last group. An estimated commission never
        replaces a reported one.
        """
        execution = fill.execution
        with self._file.joined():
            rows = self._file.rows("SELECT * FROM executions WHERE exec_id = ?", execution.exec_id)
            known = readable_only(rows, fill_from_row, self.unread)
            if rows and not known:
                return False  # what cannot be read is left as it is
            if not known:
                self._file.insert("executions", fill_to_row(fill))
                self._supersede(execution.family)
                self._supersede_short(execution.family, execution.exec_id)
                return True
            row: dict[str, object] = {}
            if execution.perm_id and not known[0].execution.perm_id:
                row["perm_id"] = execution.perm_id
            if known[0].commission_estimated or not fill.commission_estimated:
                row |= _commission_change(known[0], fill.commission, estimated=fill.commission_estimated)
            if row:
                self._file.update("executions", row, exec_id=execution.exec_id)
            return bool(row)

    def knows(self, exec_id: str) -> bool:
        """Whether the execution is here, readable or not."""
        return bool(self._file.rows("SELECT 1 FROM executions WHERE exec_id = ?", exec_id))

    def recount(self, fill: Fill) -> bool:
        """As `record`, of an execution of others that counts to a trade in part: that part may change."""
        with self._file.joined():
            changed, quantity = self.record(fill), to_real(fill.execution.quantity)
            others = "UPDATE executions SET quantity = ? WHERE exec_id = ? AND quantity <> ?"
            return bool(self._file.execute(others, quantity, fill.execution.exec_id, quantity)) or changed

    def record_commission(self, exec_id: str, commission: Decimal) -> bool:
        """The commission as reported, dollars; False when the execution is unknown, or has it already."""
        with self._file.joined():
            rows = self._file.rows("SELECT * FROM executions WHERE exec_id = ?", exec_id)
            known = readable_only(rows, fill_from_row, self.unread)
            row = _commission_change(known[0], commission, estimated=False) if known else {}
            if row:
                self._file.update("executions", row, exec_id=exec_id)
            return bool(row)

    def of_trade(self, trade_id: int) -> list[Fill]:
        """The trade's executions that stand, corrected ones left out, oldest first."""
        return self._fills("WHERE trade_id = ? AND superseded = 0 ORDER BY time, rowid", trade_id)

    def of_day(self, day: date) -> list[Fill]:
        """The day's executions that stand and can be read, of all trades, oldest first."""
        rows = self._file.rows(
            "SELECT * FROM executions WHERE superseded = 0 AND substr(time, 1, 10) BETWEEN ? AND ? "
            "ORDER BY time, rowid",
            *day_range(day, day),
        )
        return readable_only(rows, fill_from_row, self.unread)

    def estimated(self, day: date | None = None) -> list[Fill]:
        """Executions that stand and whose commission the broker has not reported; of one day, or of all.

        The broker lists a day's executions on that day only: later it reports no commission any more.
        """
        rows = self._file.rows(
            "SELECT * FROM executions WHERE commission_estimated = 1 AND superseded = 0 "
            "AND substr(time, 1, 10) BETWEEN ? AND ? ORDER BY time, rowid",
            *day_range(day, day),
        )
        return readable_only(rows, fill_from_row, self.unread)

    def reported_fee(self, family: str) -> Decimal | None:
        """The commission last reported for an execution or a correction of it, dollars; None: for none.

        A statement's id may lack the last group: it is the family then.
        """
        rows = self._file.rows(
            "SELECT commission FROM executions WHERE (family = ? OR exec_id = ? AND source = ?) "
            "AND commission_estimated = 0 ORDER BY rowid DESC LIMIT 1",
            family,
            family,
            FillSource.STATEMENT.value,
        )
        return from_real(rows[0]["commission"]) if rows else None

    def exec_ids(self) -> set[str]:
        """Every execution ever kept, superseded ones too."""
        return {str(row["exec_id"]) for row in self._file.rows("SELECT exec_id FROM executions")}

    def rows(self, since: date | None = None, until: date | None = None) -> list[dict[str, object]]:
        """The rows that stand, as stored, for reports, oldest first; both days inclusive."""
        return self._file.rows(
            "SELECT * FROM executions WHERE superseded = 0 AND "
            "(substr(time, 1, 10) BETWEEN ? AND ? OR date(substr(time, 1, 10)) IS NULL) ORDER BY time, rowid",
            *day_range(since, until),
        )

    def _supersede(self, family: str) -> None:
        """Only the latest revision of the family stands."""
        from spxarb.core.broker_books import latest_revisions  # noqa: PLC0415 -- only a correction needs it

        fills = self._fills("WHERE family = ?", family)
        (latest,) = latest_revisions(fill.execution for fill in fills)
        self._file.execute(
            "UPDATE executions SET superseded = (exec_id <> ?) WHERE family = ?", latest.exec_id, family
        )

    def _supersede_short(self, *exec_ids: str) -> None:
        """Under such an id a statement's row stands only while no row has it as its family."""
        self._file.execute(
            "UPDATE executions SET superseded = 1 WHERE source = ? AND exec_id IN (?, ?) AND EXISTS ("
            "SELECT 1 FROM executions AS longer WHERE longer.family = executions.exec_id "
            "AND longer.trade_id = executions.trade_id AND longer.leg = executions.leg "
            "AND longer.side = executions.side AND longer.purpose = executions.purpose)",
            FillSource.STATEMENT.value,
            *exec_ids,
        )

    def _fills(self, which: str, *values: object) -> list[Fill]:
        rows = self._file.rows(f"SELECT * FROM executions {which}", *values)  # noqa: S608 -- our own words
        return [fill_from_row(row) for row in rows]


def _commission_change(known: Fill, commission: Decimal, *, estimated: bool) -> dict[str, object]:
    """The columns that change, none when the ledger has this commission already."""
    new, old = to_real(commission), to_real(known.commission)
    if (new, estimated) == (old, known.commission_estimated):
        return {}
    return {"commission": new, "commission_estimated": int(estimated)}
