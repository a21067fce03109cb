"""A value that something else wrote into a settled trade: what reports is as its schema says, and names the row."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from actions import enter, playing, settings

if TYPE_CHECKING:
    from harness import Done, Stage

TRADES = {
    "status": "active",
    "entry_credit": "408,19",
    "exit_reason": "WHY",
    "trade_date": "tuesday",
    "spy_strike": "x",
    "entry_time": "noon",
    "commissions_estimated": "x",
    "state": "weird",
    "limits": "{",
    "spx_contract": "?",
}
OTHERS = [
    ("executions", "price", "dear"),
    ("executions", "time", "yesterday"),
    ("executions", "side", "SHORT"),
    ("daily_summary", "net_pnl", "408,19"),
]


def spoilt(stage: Stage, table: str, column: str, value: str, *verbs: tuple[str, ...]) -> list[Done]:
    """What the commands say while one value of the first row is this."""
    with closing(sqlite3.connect(stage.database)) as db:
        row, old = db.execute(f"SELECT rowid, {column} FROM {table} LIMIT 1").fetchone()
        with db:
            db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))
        try:
            return [stage.run(*words) for words in verbs]
        finally:
            with db:
                db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (old, row))


def test_a_settled_trade_with_an_unreadable_value_is_left_out_by_name_and_stops_nothing(tmp_path):
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1)
        enter(stage)
        stage.at("15:46")
        assert stage.run("monitor").code == 0
        stage.at("16:06")
        assert stage.run("settle").code == 0
        whole = stage.run("report")
        rows = len(whole["trades"]), len(whole["days"]), len(whole["executions"])
        assert rows == (1, 1, 4)
        for column, value in TRADES.items():
            report, monitor = spoilt(stage, "trades", column, value, ("report",), ("monitor",))
            assert (report.code, report["trades"], monitor.code) == (0, [], 0), (
                column,
                report.err,
                monitor.err,
            )
            assert "rade 1 " in " ".join(report["notes"]), column
        for table, column, value in OTHERS:
            (report,) = spoilt(stage, table, column, value, ("report",))
            short = len(report["trades"]), len(report["days"]), len(report["executions"])
            assert (report.code, sum(short)) == (0, sum(rows) - 1), (column, report.err)
            assert any("is left out" in note for note in report["notes"]), column
        for words in (("settle",), ("status", "--offline")):  # they show trades too
            (done,) = spoilt(stage, "trades", "status", "active", words)
            assert (done.code, "Trade 1" in " ".join(done["notes"])) == (0, True), done.err
        assert stage.run("report").json["notes"] == []
