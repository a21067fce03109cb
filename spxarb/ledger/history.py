"""A day as the ledger kept it: the rows behind `log` and `report --explain`. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from spxarb.core.events import Row
    from spxarb.core.explanation import DayRows
    from spxarb.ledger.file import LedgerFile


class History:
    """Every table that says what happened, by New York's day."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def last_day(self) -> date | None:
        """The day of the newest command; None: none ever ran."""
        from spxarb.core.run_gaps import run_moment  # noqa: PLC0415 -- only who looks back needs it

        rows = self._file.rows("SELECT * FROM runs ORDER BY id DESC LIMIT 1")
        return run_moment(rows[0]).date() if rows else None

    def of_day(self, day: date) -> DayRows:
        """What happened on that day, as stored; orders also of other days, if something happened to them."""
        from spxarb.core.explanation import DayRows  # noqa: PLC0415 -- likewise
        from spxarb.core.run_gaps import run_moment  # noqa: PLC0415 -- likewise

        on = day.isoformat()
        runs = self._file.rows(
            "SELECT * FROM runs WHERE ? IN (substr(started_at, 1, 10), substr(market_time, 1, 10)) "
            "ORDER BY id",
            on,
        )
        steps = (
            "SELECT s.* FROM order_steps s JOIN orders o USING (order_ref) "
            "WHERE substr(coalesce(s.at, o.created_at), 1, 10) = ? ORDER BY s.id"
        )
        orders = (
            "SELECT * FROM orders WHERE substr(created_at, 1, 10) = ? "
            "OR order_ref IN (SELECT order_ref FROM order_steps WHERE substr(at, 1, 10) = ?) "
            "OR order_ref IN (SELECT order_ref FROM executions WHERE substr(time, 1, 10) = ?) ORDER BY rowid"
        )
        return DayRows(
            runs=[row for row in runs if run_moment(row).date() == day],
            decisions=self._of(on, "decisions", "at"),
            trades=self._of(on, "trades", "entry_time", "exit_time"),
            orders=self._file.rows(orders, on, on, on),
            order_steps=self._file.rows(steps, on),
            executions=self._of(on, "executions", "time", order="time, rowid"),
            settlement_stages=self._of(on, "settlement_stages", "at"),
            entry_stops=self._of(on, "entry_stops", "at"),
            marks=self._of(on, "marks", "at"),
            day_marks=self._of(on, "day_marks", "at"),
            baselines=self._of(on, "baselines", "taken_at"),
            matters=self._of(on, "matters", "since", "resolved_at", "acknowledged_at"),
            alerts=self._of(on, "alerts", "at"),
        )

    def last_run(self, *commands: str, dry_runs: bool = True) -> tuple[Row, Row | None] | None:
        """The newest run of these commands, and the newest decision that it wrote down; None: none ran."""
        words = ", ".join("?" * len(commands))
        wet = "" if dry_runs else "AND instr(arguments, '\"--dry-run\"') = 0"
        runs = self._file.rows(
            f"SELECT * FROM runs WHERE command IN ({words}) {wet} ORDER BY id DESC LIMIT 1",  # noqa: S608 -- ours
            *commands,
        )
        if not runs:
            return None
        made = self._file.rows(
            "SELECT * FROM decisions WHERE run_id = ? ORDER BY id DESC LIMIT 1", runs[0]["id"]
        )
        return runs[0], made[0] if made else None

    def _of(self, day: str, table: str, *moments: str, order: str = "rowid") -> list[dict[str, object]]:
        """The rows of which one of these moments is on that day."""
        columns = ", ".join(f"substr({moment}, 1, 10)" for moment in moments)
        return self._file.rows(f"SELECT * FROM {table} WHERE ? IN ({columns}) ORDER BY {order}", day)  # noqa: S608 -- our own words
