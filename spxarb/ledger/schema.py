"""Bringing a ledger's tables to this version, and the facts in them.

Each migration is one transaction, those of a new ledger are one together; an existing ledger is copied beside
itself before the first one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from contextlib import closing, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from spxarb import files
from spxarb.core.model import NEW_YORK
from spxarb.ledger import views
from spxarb.ledger.migrations import MIGRATIONS
from spxarb.ledger.rows import to_moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlite_utils.db import Database


ROWS_NAMED = 5


def newest_version() -> int:
    return len(MIGRATIONS)


def read_meta(db: Database) -> dict[str, str]:
    """The ledger's own facts; empty for a new file, or one of another program."""
    columns = {row[1] for row in db.execute("PRAGMA table_info(meta)").fetchall()}
    if not columns >= {"key", "value"}:
        return {}
    return dict(db.execute("SELECT key, value FROM meta").fetchall())


def version_of(meta: dict[str, str]) -> int:
    """0 for a file without tables. Raises ValueError for what is not a number."""
    return int(meta.get("schema_version", "0"))


def upgrade(db: Database, path: Path, mode: str, *, saved: bool = True) -> None:
    """Bring the ledger to this version; an empty file becomes a ledger. `saved`: with a copy beside it first.

    Another process may be doing the same: each step reads the version again once it may write. Foreign keys
    are not enforced meanwhile, or a row whose parent something else deleted would keep a table from being
    rebuilt; `orphans` finds it afterwards.
    """
    db.execute("PRAGMA foreign_keys = OFF")
    copied = not saved
    while version_of(read_meta(db)) < newest_version():
        with immediate(db):
            done = version_of(read_meta(db))
            if done >= newest_version():
                return
            with contextlib.nullcontext() if copied or done == 0 else _saved(path, done):
                views.drop(db)
                reached = done + 1 if done else newest_version()  # a new ledger is whole or not there
                for migration in MIGRATIONS[done or _made(db) : reached]:
                    migration(db)
            if reached == newest_version():
                views.create(db)
            if done == 0:
                _write_facts(db, mode)
            put_meta(db, "schema_version", str(reached))
        copied = True


def _made(db: Database) -> int:
    """Make the tables of a new ledger; the version that they are of."""
    from spxarb.ledger.tables import TABLES, VERSION  # noqa: PLC0415 -- only a new ledger needs them

    if newest_version() < VERSION:
        return 0
    for statement in TABLES:
        db.execute(statement)
    return VERSION


def orphans(db: Database) -> list[str]:
    """A sentence for each table in which rows point at a row that does not exist."""
    found: dict[tuple[str, str], list[int]] = {}
    for table, row, parent, _ in db.execute("PRAGMA foreign_key_check").fetchall():
        found.setdefault((table, parent), []).append(row)
    return [
        f"The ledger's {table} has {len(rows)} row{'s' * (len(rows) > 1)} without its row in {parent} "
        f"(rowid {', '.join(map(str, rows[:ROWS_NAMED]))}{', ...' if len(rows) > ROWS_NAMED else ''}): "
        "something else has written there; no command counts them."
        for (table, parent), rows in found.items()
    ]


@contextmanager
def snapshot(db: Database) -> Iterator[None]:
    """All that the block reads is of one moment, whatever another process writes meanwhile."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.conn.in_transaction:
            db.execute("ROLLBACK")


@contextmanager
def immediate(db: Database) -> Iterator[None]:
    """One transaction that holds the write lock from its beginning; any exception rolls it back."""
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.conn.in_transaction:
            db.execute("ROLLBACK")
        raise


def put_meta(db: Database, key: str, value: str) -> None:
    db.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [key, value],
    )


def copy_to(path: Path, target: Path) -> None:
    """A consistent copy of what is committed at `path`, as a new file, readable by its owner only.

    Read through a connection of its own: over one with an open transaction it would wait for itself for ever.
    Raises FileExistsError, OSError.
    """
    files.create(target)
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
    except BaseException:
        target.unlink()
        raise


@contextmanager
def _saved(path: Path, version: int) -> Iterator[None]:
    """A copy beside the ledger before the block; removed again when the block raises, and is rolled back."""
    backup = _backup_path(path, version)
    copy_to(path, backup)
    try:
        yield
    except BaseException:
        backup.unlink()
        raise


def _write_facts(db: Database, mode: str) -> None:
    """A new ledger's own facts. A live one does not trade until `start`."""
    now = to_moment(datetime.now(NEW_YORK))
    for key, value in {"mode": mode, "tag": secrets.token_hex(3), "created_at": now}.items():
        put_meta(db, key, value)
    db.execute("INSERT INTO system_state (id, is_trading) VALUES (1, ?)", [int(mode != "live")])


def _backup_path(path: Path, version: int) -> Path:
    """A name that is free: `trading.db.v1-20260213T160500.bak`."""
    stem = f"{path.name}.v{version}-{datetime.now(NEW_YORK):%Y%m%dT%H%M%S}"
    names = (f"{stem}{extra}.bak" for extra in ("", *(f"-{number}" for number in range(2, 100))))
    return next(backup for backup in map(path.with_name, names) if not os.path.lexists(backup))
