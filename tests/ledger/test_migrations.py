"""Older ledgers become this version's, whole: whatever is in them, and whenever the process dies."""

from __future__ import annotations

import re
import signal
import sqlite3
from contextlib import closing

import pytest
from disk import python
from samples import D, a_fill, a_trade, an_order, record

from spxarb.core.order_words import Purpose
from spxarb.ledger import schema
from spxarb.ledger.ledger import Ledger
from spxarb.ledger.migrations import ledger_for_people
from spxarb.ledger.views import VIEWS
from tests.markdown import ROOT
from tools.docs import tables

NAMES = (
    "id, trade_date, entry_time, status, entry_filled, account, spx_contract, spy_contract, spx_contracts, "
    "spy_contracts"
)
OLD = [  # id, day, entry_time, first order; what its time is
    (
        1,
        "2026-02-13",
        "2026-02-13T09:36:10.250000-05:00",
        "2026-02-13T09:35:02.5-05:00",
        "2026-02-13 09:35:02",
    ),
    (2, "2026-02-13", "2026-02-13T09:41:00-05:00", None, "2026-02-13 09:41:00"),
    (3, "2026-07-01", None, "2026-07-01T09:55:01-04:00", "2026-07-01 09:55:01"),
    (4, "2026-02-13", None, None, "2026-02-13 00:00:00"),
    (5, "2026-02-13", "noon", "yesterday", "2026-02-13 00:00:00"),
    (6, "2026-02-13", "2026-02-14T09:41:00-05:00", None, "2026-02-13 00:00:00"),
    (7, "tuesday", "2026-02-13T09:41:00-05:00", None, "tuesday"),
]


def insert_order(db, ref, trade, created_at):
    db.execute(
        "INSERT INTO orders (order_ref, trade_id, leg, purpose, attempt, con_id, contract, side, quantity, "
        "tif, client_id, order_id, created_at) VALUES (?, ?, 'SPX', 'e', 1, 1, '{}', 'BUY', 1, 'DAY', 1, 0, ?)",
        (ref, trade, created_at),
    )


def insert_execution(db, exec_id, trade, ref, purpose="e"):
    db.execute(
        "INSERT INTO executions (exec_id, trade_id, leg, order_ref, time, account, con_id, symbol, side, "
        "quantity, price, commission, commission_estimated, purpose, family, sec_type, client_id, order_id, "
        "perm_id) VALUES (?, ?, 'SPX', ?, '2026-02-13T09:36:00-05:00', 'DU1', 1, 'SPX', 'BUY', 1, 17.9, 1.3, "
        "0, ?, ?, 'OPT', 1, 1, 9)",
        (exec_id, trade, ref, purpose, exec_id),
    )


def older(path, version, monkeypatch):
    """An empty ledger of an older version."""
    with monkeypatch.context() as past:
        past.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:version])
        past.setattr(schema.views, "VIEWS", {})
        Ledger.open(path, mode="paper").close()


def fill_old(db):
    for number, day, entry_time, ordered, _ in OLD:
        db.execute(
            f"INSERT INTO trades ({NAMES}) VALUES (?, ?, ?, 'CLOSED', 1, 'DU1', '{{}}', '{{}}', 1, 10)",
            (number, day, entry_time),
        )
        if ordered is not None:
            insert_order(db, f"r{number}", number, ordered)
    insert_execution(db, "1.01", 1, "r1")


def logical_dump(path):
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


FOR_PEOPLE = schema.MIGRATIONS.index(ledger_for_people)
"""The newest version whose days have no time yet."""


@pytest.mark.parametrize("version", range(1, FOR_PEOPLE + 1))
def test_a_ledger_of_any_older_version_gets_the_time_of_each_trade_and_loses_no_row(
    path, monkeypatch, version
):
    older(path, version, monkeypatch)
    with closing(sqlite3.connect(path)) as db, db:
        fill_old(db)
    with Ledger.open(path, mode="paper") as ledger:
        found = ledger._file.rows("SELECT id, trade_date FROM trades ORDER BY id")
        assert [(row["id"], row["trade_date"]) for row in found] == [(row[0], row[-1]) for row in OLD]
        assert [row["own_order"] for row in ledger.fills.rows()] == ["r1"]
        assert ledger.orphans == ()
        for view in VIEWS:
            ledger._file.rows(f"SELECT * FROM {view}")
    with (
        Ledger.open(path.with_name("new.db"), mode="paper") as new,
        Ledger.open(path, mode="paper") as ledger,
    ):
        tables = "SELECT type, name FROM sqlite_master ORDER BY 1, 2"
        assert ledger._file.rows(tables) == new._file.rows(tables)


@pytest.mark.parametrize("version", range(1, FOR_PEOPLE + 1))
def test_rows_without_what_they_point_at_stop_no_upgrade_and_are_told_once(path, monkeypatch, version):
    older(path, version, monkeypatch)
    with closing(sqlite3.connect(path)) as db, db:
        fill_old(db)
        insert_order(db, "lost", 99, "2026-02-13T09:35:00-05:00")
        insert_execution(db, "2.01", 99, "lost")
        insert_execution(db, "3.01", 1, "never sent")
        db.execute(
            "INSERT INTO settlements (trade_id, leg, quantity, price, cash, source, at, provisional) VALUES "
            "(99, 'SPX', 1, 6840, 500, 'close', '2026-02-13T16:05:00-05:00', 1)"
        )
    with Ledger.open(path, mode="paper") as ledger:
        told = "\n".join(ledger.orphans)
        assert "executions has 1 row without its row in trades (rowid 2)" in told
        assert "executions has 1 row without its row in orders (rowid 3)" in told
        assert "orders has 1 row without its row in trades" in told
        assert "settlements has 1 row without its row in trades" in told
        assert len(ledger.fills.rows()) == 3, "nothing was thrown away"
        assert [trade.id for trade in ledger.trades.between()] == []  # their contracts are not readable
    with Ledger.open(path, mode="paper") as ledger:
        assert ledger.orphans == ()


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_process_that_dies_in_the_middle_of_an_upgrade_leaves_the_old_ledger_whole(
    path, monkeypatch, after
):
    older(path, FOR_PEOPLE, monkeypatch)
    with closing(sqlite3.connect(path)) as db, db:
        fill_old(db)
    before = logical_dump(path)
    code = f"""
import os, signal, sys
from pathlib import Path
from spxarb.ledger import schema
from spxarb.ledger.ledger import Ledger
class Dying:
    def __init__(self, db):
        self.db, self.left = db, {after}
    def execute(self, *words):
        self.db.execute(*words)
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
last = schema.MIGRATIONS[{FOR_PEOPLE}]
def dying(db):
    last(Dying(db))
    os.kill(os.getpid(), signal.SIGKILL)
schema.MIGRATIONS[{FOR_PEOPLE}] = dying
Ledger.open(Path(sys.argv[1]), mode="paper")
"""
    dead = python(code, path)
    dead.communicate(timeout=60)
    assert dead.returncode == -signal.SIGKILL
    assert logical_dump(path) == before
    with Ledger.open(path, mode="paper") as ledger:
        assert ledger._file.value("SELECT trade_date FROM trades WHERE id = 1") == "2026-02-13 09:35:02"


# --- foreign keys ---------------------------------------------------------------------------------

POINTS_AT = {"trade_id": ("trades", "id"), "run_id": ("runs", "id"), "own_order": ("orders", "order_ref")}
"""Wherever a column of this name stands. `order_ref` of an execution is the broker's word: a human's too."""


def test_every_column_that_names_a_row_of_another_table_is_a_foreign_key(ledger):
    rows = ledger._file.rows
    tables = [row["name"] for row in rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = 0
    for table in tables:
        keys = {key["from"]: (key["table"], key["to"]) for key in rows(f"PRAGMA foreign_key_list({table})")}
        names = {row["name"] for row in rows(f"PRAGMA table_xinfo({table})")}
        points = {name: target for name, target in POINTS_AT.items() if name in names}
        if table == "order_steps":
            points["order_ref"] = ("orders", "order_ref")
        assert keys == points, table
        found += len(keys)
    assert found >= 10


def test_an_execution_of_ours_needs_its_order_and_a_humans_needs_none(ledger):
    trade = ledger.trades.create(a_trade())
    with pytest.raises(sqlite3.IntegrityError):
        ledger.fills.record(a_fill(trade))
    ledger.orders.intend(an_order(trade))
    assert ledger.fills.record(a_fill(trade))
    his = a_fill(trade, "2.01", order_ref="my own order", quantity=D(2))
    assert record(ledger, type(his)(his.execution, trade.id, his.leg, Purpose.BY_HAND, D(1), False))
    assert [row["own_order"] for row in ledger.fills.rows()] == ["spxarb:4f1c:1:SPX:e1", None]
    assert ledger._file.rows("PRAGMA foreign_key_check") == []


def test_foreign_keys_hold_after_an_upgrade_too(path, monkeypatch):
    older(path, 5, monkeypatch)
    with Ledger.open(path, mode="paper") as ledger, pytest.raises(sqlite3.IntegrityError):
        ledger.orders.intend(an_order(a_trade(id=7)))


# --- a new ledger ------------------------------------------------------------------------------------


def plain(statement):
    """Without blanks and remarks, which make no difference to SQLite."""
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(re.sub("--.*", "", statement).split()))


def test_the_tables_of_a_new_ledger_are_those_that_the_migrations_make(path):
    """The file is as `python -m tools.docs` writes it, and a ledger made of it is as one that grew."""
    assert (ROOT / tables.FILE).read_text(encoding="utf-8") == tables.text()
    with Ledger.open(path, mode="paper") as ledger:
        found = ledger._file.rows(
            "SELECT sql FROM sqlite_master WHERE type <> 'view' AND sql IS NOT NULL "
            "AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
        )
    assert [plain(row["sql"]) for row in found] == [plain(sql) for sql in tables.migrated()]


def test_a_version_that_is_newer_than_the_tables_of_a_new_ledger_is_reached_too(path, monkeypatch):
    added = [lambda db: db.execute("CREATE TABLE colours (name TEXT)")]
    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, *added])
    with Ledger.open(path, mode="paper") as ledger:
        assert ledger._file.rows("SELECT * FROM colours") == []
        assert ledger._file.value("SELECT value FROM meta WHERE key = 'schema_version'") == str(
            len(schema.MIGRATIONS)
        )
