"""The tables: the promised ones stay, older ones are migrated after a copy."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from disk import as_nobody, mode_of, python, refused
from samples import DAY, NOW, D, a_fill, a_trade, an_order, commands, record

from spxarb.core.model import LegName
from spxarb.core.results.report_rows import DayRow, ExecutionRow, SettlementRow, TradeRow
from spxarb.core.results.rows import MatterRow
from spxarb.core.settlement import SettlementFigure
from spxarb.core.stages import Stage
from spxarb.core.trades import TradeState
from spxarb.ledger import schema
from spxarb.ledger.ledger import Ledger


def columns(ledger, table):
    return [row["name"] for row in ledger._file.rows(f"PRAGMA table_info({table})")]


TRADES = (
    "id, trade_date, spy_price, spx_price, spy_strike, spx_strike, spy_entry_bid, spy_entry_ask, "
    "spx_entry_bid, spx_entry_ask, entry_credit, entry_time, entry_filled, spy_exit_price, spx_exit_price, "
    "exit_cost, exit_time, exit_reason, final_pnl, commissions, status"
)
DAYS = "id, date, trades_count, winning_trades, losing_trades, total_pnl, total_commissions, net_pnl, max_drawdown"
STATE = "id, last_updated, is_trading, open_positions, daily_pnl, trades_today, errors_today"


@pytest.mark.parametrize(
    ("table", "promised"), [("trades", TRADES), ("daily_summary", DAYS), ("system_state", STATE)]
)
def test_the_promised_columns_come_first_in_their_order(ledger, table, promised):
    names = promised.split(", ")
    assert columns(ledger, table)[: len(names)] == names


def test_every_column_of_a_table_is_a_field_of_its_row_in_a_report(ledger):
    trade = ledger.trades.create(a_trade())
    record(ledger, a_fill(trade))
    ledger.days.write_summary({"date": DAY})
    ledger.matters.raise_("lost:1", "compare", trade.id, NOW)
    ledger.settlements.add_figure(
        SettlementFigure(trade.id, LegName.SPX, Stage.LAST_PRINT, D(1), D(6840), D(500), "daily bars", NOW)
    )
    for rows, fields in (
        (ledger.trades.rows(DAY, DAY), TradeRow.columns()),
        (ledger.days.summary_rows(DAY, DAY), DayRow.columns()),
        (ledger.fills.rows(DAY, DAY), ExecutionRow.columns()),
        (ledger.matters.open_rows(), MatterRow.columns()),
        (ledger.settlements.figure_rows(DAY, DAY), SettlementRow.columns()),
    ):
        assert tuple(rows[0]) == fields


def test_users_own_statements_work(ledger, path):
    today = datetime.now(UTC).date()
    ledger.trades.create(a_trade(trade_date=today, entry_credit=D("412.35")))
    ledger.trades.create(a_trade(trade_date=today - timedelta(days=2)))
    for ago in range(12):
        ledger.days.write_summary(
            {"date": today - timedelta(days=ago), "trades_count": 1, "total_pnl": D("40.5"), "net_pnl": D(30)}
        )
    with closing(sqlite3.connect(path)) as db:
        trades = db.execute(
            "SELECT * FROM trades WHERE date(trade_date) = date('now') ORDER BY trade_date DESC;"
        ).fetchall()
        days = db.execute(
            "SELECT date, trades_count, total_pnl, net_pnl FROM daily_summary ORDER BY date DESC LIMIT 10;"
        ).fetchall()
    assert [row[0] for row in trades] == [1]
    assert trades[0][1] == f"{today} 00:00:00"
    assert len(days) == 10
    assert days[0] == (today.isoformat(), 1, 40.5, 30.0)


def add_column(db):
    db.execute("ALTER TABLE trades ADD COLUMN colour TEXT NOT NULL DEFAULT 'green'")


def add_table(db):
    db.execute("CREATE TABLE colours (name TEXT)")


def fail(db):
    db.execute("CREATE TABLE halves (name TEXT)")
    raise ZeroDivisionError


@pytest.fixture
def newer(monkeypatch):
    """A program that knows more versions of the tables."""

    def grow(*migrations):
        monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, *migrations])

    return grow


def backups(path):
    return sorted(path.parent.glob(f"{path.name}.v*.bak"))


def table_names(ledger):
    return [row["name"] for row in ledger._file.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]


OLD_TRADES = [  # status, entry_filled, exit_reason, residual, provisional; settled, an order lost from sight
    (("PENDING", 0, None, "[]", 0), (), "entering"),
    (("PENDING", 0, "ENTRY_UNWOUND", '["SPX"]', 0), (), "residual"),
    (("ACTIVE", 1, None, "[]", 0), (), "open"),
    (("ACTIVE", 1, "TIME", "[]", 0), (), "exiting"),
    (("ACTIVE", 1, "TIME", '["SPX"]', 0), (), "residual"),
    (("ERROR", 0, None, "[]", 0), (), "entry unproven"),
    (("ERROR", 1, "TIME", "[]", 0), (), "unproven"),
    (("ERROR", 1, None, "[]", 0), ("lost",), "lost"),
    (("CLOSED", 0, "ENTRY_UNWOUND", "[]", 0), (), "unwound"),
    (("CLOSED", 1, "TIME", "[]", 0), (), "closed"),
    (("CLOSED", 1, "EXPIRATION", "[]", 1), ("settled",), "provisional"),
    (("CLOSED", 1, "TIME", '["SPX"]', 0), ("settled",), "settled"),
]


def insert_old_trade(db, values, more):
    names = "status, entry_filled, exit_reason, residual, provisional"
    db.execute(
        f"INSERT INTO trades ({names}, trade_date, account, spx_contract, spy_contract, spx_contracts, "
        "spy_contracts) VALUES (?, ?, ?, ?, ?, '2026-02-13', 'DU1', '{}', '{}', 1, 10)",
        values,
    )
    (number,) = db.execute("SELECT max(id) FROM trades").fetchone()
    if "settled" in more:
        db.execute(
            "INSERT INTO settlements VALUES (?, 'SPX', 1, 6840, 500, 'close', '2026-02-13T16:05:00-05:00', 1)",
            [number],
        )
    if "lost" in more:
        db.execute(
            "INSERT INTO orders (order_ref, trade_id, leg, purpose, attempt, con_id, contract, side, quantity, "
            "tif, client_id, order_id, status, final, created_at) VALUES "
            "('r', ?, 'SPY', 'f', 1, 1, '{}', 'BUY', 10, 'DAY', 1, 7, 'lost sight', 1, '2026-02-13')",
            [number],
        )


def test_a_ledger_of_version_2_loses_its_flags_and_nothing_else(path, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:2])
        with Ledger.open(path, mode="paper") as ledger:
            insert_old_trade(ledger._file._db, ("ACTIVE", 1, None, "[]", 0), ())
            order = an_order(a_trade(id=1), overnight=D(3))
            ledger.orders.intend(order)
            ledger.state.set_trading(False, "as found", NOW)
            ledger._file.execute("INSERT INTO flags (name, set_at) VALUES ('close-all', '2026-02-13')")
            tables = table_names(ledger)
    assert "flags" in tables
    with Ledger.open(path, mode="paper") as ledger, Ledger.open(path.with_name("new"), mode="paper") as new:
        assert [name for name in tables if name not in table_names(ledger)] == ["flags"]
        assert sorted(table_names(ledger)) == sorted(table_names(new))
        version = ledger._file.value("SELECT value FROM meta WHERE key = 'schema_version'")
        assert version == str(schema.newest_version())
        assert ledger.orders.unproven() == [order]
        assert ledger.state.trading_reason() == "as found"
    (backup,) = backups(path)
    assert ".v2-" in backup.name
    with closing(sqlite3.connect(backup)) as db:
        assert db.execute("SELECT name FROM flags").fetchall() == [("close-all",)]
        assert db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == ("2",)


def test_a_settlement_of_an_older_version_is_its_own_first_stage(path, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:7])
        with Ledger.open(path, mode="paper") as ledger:
            insert_old_trade(ledger._file._db, ("CLOSED", 1, "EXPIRATION", "[]", 1), ("settled",))
            (before,) = ledger.settlements.of_trade(1)
    with Ledger.open(path, mode="paper") as ledger:
        assert ledger.settlements.of_trade(1) == [before]
        (figure,) = ledger.settlements.figures(1)
    assert (figure.stage, figure.cash, figure.difference) == (Stage.LAST_PRINT, before.cash, None)


def test_a_ledger_of_version_3_says_of_every_trade_in_one_word_where_it_stands(path, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:3])
        Ledger.open(path, mode="paper").close()
    with closing(sqlite3.connect(path)) as db, db:
        for values, more, _ in OLD_TRADES:
            insert_old_trade(db, values, more)
    with Ledger.open(path, mode="paper") as ledger:
        rows = ledger._file.rows("SELECT state, status FROM trades ORDER BY id")
    assert [row["state"] for row in rows] == [state for _, _, state in OLD_TRADES]
    assert [row["status"] for row in rows] == [TradeState(row["state"]).status.value for row in rows]


def test_a_reader_reads_an_older_ledger_as_it_is_and_changes_nothing(existing, newer):
    newer(add_column, add_table)
    before = {file: file.read_bytes() for file in existing.parent.iterdir()}
    with Ledger.open(existing, mode="paper", read_only=True) as ledger:
        assert ledger.state.trading_reason() == "as found"
        assert ledger._file.rows("SELECT colour FROM trades") == []
        assert "older spxarb" in ledger.note
        assert str(existing) in ledger.note
        with pytest.raises(RuntimeError):
            ledger.state.set_trading(False, None, NOW)
    assert {file: file.read_bytes() for file in existing.parent.iterdir()} == before


def test_an_older_ledger_is_copied_once_and_then_brought_up_to_date(existing, newer):
    old = schema.newest_version()
    newer(add_column, add_table)
    with Ledger.open(existing, mode="paper") as ledger:
        assert ledger.state.trading_reason() == "as found"
        assert ledger._file.rows("SELECT colour FROM trades") == []
        assert ledger._file.rows("SELECT name FROM colours") == []
        assert ledger._file.value("SELECT value FROM meta WHERE key = 'schema_version'") == str(old + 2)
    (backup,) = backups(existing)
    assert f".v{old}-" in backup.name
    assert mode_of(backup) == 0o600
    with closing(sqlite3.connect(backup)) as db:
        assert db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == (str(old),)
        assert db.execute("SELECT trading_reason FROM system_state").fetchone() == ("as found",)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    Ledger.open(existing, mode="paper").close()
    assert backups(existing) == [backup]


def test_the_copy_holds_what_only_the_log_of_a_crash_has(existing, tmp_path, newer):
    crashed = tmp_path / "crashed" / "trading.db"
    crashed.parent.mkdir()
    with Ledger.open(existing, mode="paper") as ledger:
        ledger.runs.begin("only in the log", [], NOW)
        for file in existing.parent.iterdir():
            shutil.copy(file, crashed.parent)
    newer(add_table)
    with Ledger.open(crashed, mode="paper") as ledger:
        assert commands(ledger) == ["only in the log"]
    with closing(sqlite3.connect(backups(crashed)[0])) as db:
        assert db.execute("SELECT command FROM runs").fetchone() == ("only in the log",)


def test_a_new_ledger_needs_no_copy(path, newer):
    newer(add_table)
    with Ledger.open(path, mode="paper") as ledger:
        assert ledger._file.rows("SELECT name FROM colours") == []
    assert backups(path) == []


def test_a_migration_that_fails_leaves_the_version_before_it(existing, newer):
    newer(add_table, fail)
    with pytest.raises(ZeroDivisionError):
        Ledger.open(existing, mode="paper")
    assert len(backups(existing)) == 1
    with closing(sqlite3.connect(existing)) as db:
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
        version = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    assert "colours" in names
    assert "halves" not in names
    assert version == (str(schema.newest_version() - 1),)


def test_a_migration_that_fails_at_every_start_does_not_fill_the_disk_with_copies(existing, newer):
    newer(fail)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            Ledger.open(existing, mode="paper")
    assert backups(existing) == []


def test_without_a_copy_there_is_no_migration(existing, newer, monkeypatch):
    def no_room(path):
        raise OSError(28, "No space left on device")

    newer(add_table)
    monkeypatch.setattr(schema.files, "create", no_room)
    refused(existing, "no backup could be made", "No space left")
    with closing(sqlite3.connect(existing)) as db:
        assert db.execute("SELECT name FROM sqlite_master WHERE name = 'colours'").fetchone() is None


def test_an_older_ledger_that_may_not_be_written_is_read_and_not_written(public, newer):
    path = public / "trading.db"
    Ledger.open(path, mode="paper").close()
    path.chmod(0o444)
    public.chmod(0o555)
    newer(add_table)
    with as_nobody():
        with Ledger.open(path, mode="paper", read_only=True) as ledger:
            assert ledger._file.rows("SELECT name FROM colours") == []
            assert "older spxarb" in ledger.note
        refused(path, "may not write")


def test_jobs_that_start_together_after_an_upgrade_migrate_once(existing):
    code = """
import sys, time
from pathlib import Path
from spxarb.ledger import schema
from spxarb.ledger.ledger import Ledger
def slowly(db):
    db.execute("CREATE TABLE colours (name TEXT)")
    time.sleep(0.2)
schema.MIGRATIONS.append(slowly)
sys.stdin.read()
Ledger.open(Path(sys.argv[1]), mode="paper").close()
"""
    jobs = [python(code, existing) for _ in range(4)]
    for job in jobs:
        job.stdin.close()
        job.stdin = None
    for job in jobs:
        job.communicate(timeout=60)
    assert [job.returncode for job in jobs] == [0] * 4
    assert len(backups(existing)) == 1


def test_a_copy_is_whole_private_and_replaces_nothing(existing, tmp_path):
    target = tmp_path / "copy.db"
    with Ledger.open(existing, mode="paper") as ledger:
        ledger.runs.begin("still in the log", [], NOW)
        schema.copy_to(existing, target)
        with pytest.raises(FileExistsError):
            schema.copy_to(existing, target)
    assert mode_of(target) == 0o600
    with Ledger.open(target, mode="paper") as copy:
        assert commands(copy) == ["still in the log"]
