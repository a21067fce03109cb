"""Several days as the ledger kept them: the rows behind the statistics of `report`. Reads only."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from spxarb.ledger.rows import day_range

if TYPE_CHECKING:
    from spxarb.ledger.file import LedgerFile

Rows = list[dict[str, Any]]

JOBS = "('enter', 'monitor', 'settle', 'close-all', 'hand-over', 'reconcile')"
"""Commands that look after trades; what only reads or prints is none of them."""
RUN_DAY = "substr(coalesce(market_time, started_at), 1, 10)"


class Periods:
    """What happened from one day to another, both inclusive; None: without an end. Days are New York's."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def span(self, *, simulated: bool) -> tuple[date, date] | None:
        """The first and the last day of which the ledger knows anything; None: of none.

        `simulated`: the machine's days are not the market's, so a command counts by the market's time alone.
        """
        run = "substr(market_time, 1, 10)" if simulated else RUN_DAY
        row = self._file.rows(
            f"""
            SELECT min(day) AS first, max(day) AS last FROM (
                SELECT substr(trade_date, 1, 10) AS day FROM trades
                UNION ALL SELECT substr(at, 1, 10) FROM decisions WHERE command = 'enter'
                UNION ALL SELECT {run} FROM runs WHERE command IN {JOBS}
            ) WHERE day IS date(day)
            """  # noqa: S608 -- our own words
        )[0]
        if row["first"] is None:
            return None
        return date.fromisoformat(row["first"]), date.fromisoformat(row["last"])

    def entry_decisions(self, since: date | None, until: date | None) -> Rows:
        """What `enter` decided, dry runs included, oldest first."""
        return self._between(
            "SELECT * FROM decisions WHERE command = 'enter' AND substr(at, 1, 10) BETWEEN ? AND ? "
            "ORDER BY at, id",
            since,
            until,
        )

    def runs(self, since: date | None, until: date | None) -> Rows:
        """The commands that look after trades, each with its `day` and the moment `at` of its beginning."""
        return self._between(
            f"SELECT *, {RUN_DAY} AS day, coalesce(market_time, started_at) AS at FROM runs "  # noqa: S608
            f"WHERE command IN {JOBS} AND {RUN_DAY} BETWEEN ? AND ? ORDER BY id",
            since,
            until,
        )

    def entry_stops(self, since: date | None, until: date | None) -> Rows:
        """The days on which entries were stopped, and why."""
        return self._between(
            "SELECT * FROM entry_stops WHERE date BETWEEN ? AND ? ORDER BY date", since, until
        )

    def matters(self, since: date | None, until: date | None) -> Rows:
        """Matters for a human that began in the period, whatever became of them."""
        return self._between(
            "SELECT * FROM matters WHERE substr(since, 1, 10) BETWEEN ? AND ? ORDER BY id", since, until
        )

    def unsent_alerts(self, since: date | None, until: date | None) -> Rows:
        """Alerts of the period that did not go out."""
        return self._between(
            "SELECT * FROM alerts WHERE failure IS NOT NULL AND failure <> '' "
            "AND substr(at, 1, 10) BETWEEN ? AND ? ORDER BY id",
            since,
            until,
        )

    def _between(self, sql: str, since: date | None, until: date | None) -> Rows:
        return self._file.rows(sql, *day_range(since, until))
