"""Copies of a ledger: made while others write, proven whole, and put in the place of the ledger itself.

A copy is SQLite's own online backup: what is committed at one moment, whoever writes meanwhile. It is one
file, without a write-ahead log beside it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb import files
from spxarb.core.model import NEW_YORK
from spxarb.core.own_names import BESIDE
from spxarb.errors import RefusedError
from spxarb.ledger import schema
from spxarb.ledger.opening import connect, inspect, log_bytes, sqlite_errors_as_refusals, writable
from spxarb.ledger.rows import from_moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from sqlite_utils.db import Database


@dataclass(frozen=True, slots=True)
class LedgerCopy:
    """What a copy is. `digest` is that of its content: every row of every table, whatever the file's pages.

    `broken`: how many rows name another that is not there. `newest`: when its newest command began.
    """

    mode: str
    tag: str
    account: str | None
    version: int
    digest: str
    broken: int
    newest: datetime | None


def copy_ledger(path: Path, target: Path) -> None:
    """A copy of the ledger at `path` as a new file, 0600. Raises RefusedError, OSError."""
    with sqlite_errors_as_refusals(path), closing(_reading(path)) as source:
        files.create(target)
        try:
            with closing(sqlite3.connect(target, isolation_level=None)) as copy:
                source.conn.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
        except BaseException:
            target.unlink()
            raise


def proven(path: Path, mode: str) -> LedgerCopy:
    """What the file is, once every page and index of it is found whole. Nothing is written.

    Raises RefusedError for one that is damaged, no ledger, of another mode or of a newer version.
    """
    with sqlite_errors_as_refusals(path):
        version = inspect(path, mode)
        if version == 0:
            raise RefusedError(f"{path.name} holds no ledger", risk="Nothing was changed")
        with closing(_reading(path)) as db:
            problems = [str(row[0]) for row in db.execute("PRAGMA integrity_check(3)").fetchall()]
            if problems != ["ok"]:
                raise RefusedError(
                    f"{path.name} is damaged: {'; '.join(problems)}", risk="Nothing was changed"
                )
            with schema.snapshot(db):
                meta = schema.read_meta(db)
                broken = len(db.execute("PRAGMA foreign_key_check").fetchall())
                (newest,) = db.execute("SELECT max(started_at) FROM runs").fetchone()
                digest = _digest(db.conn)
    moment = None
    with suppress(ValueError, TypeError, RefusedError):
        moment = None if newest is None else from_moment(newest).astimezone(NEW_YORK)
    return LedgerCopy(mode, meta["tag"], meta.get("account"), version, digest, broken, moment)


def _reading(path: Path) -> Database:
    """A connection that reads, and leaves nothing beside the file that was not there before.

    What SQLite makes there while it is open only a connection that may write takes away again.
    """
    db = connect(path, frozen=bool(log_bytes(path)) or not writable(path))
    db.execute("PRAGMA query_only = ON")
    return db


def _digest(db: sqlite3.Connection) -> str:
    """SHA-256 of all rows, table by table, in an order of their own values."""
    total = hashlib.sha256()
    db.text_factory = bytes  # text that is no UTF-8 counts too
    try:
        names = [row[0].decode() for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in sorted(names):
            columns = [row[1].decode() for row in db.execute(f'PRAGMA table_info("{name}")')]
            order = ", ".join(str(number) for number in range(1, len(columns) + 1))
            total.update(repr((name, columns)).encode())
            for row in db.execute(f'SELECT * FROM "{name}" ORDER BY {order}'):  # noqa: S608 -- its own names
                total.update(repr(tuple(row)).encode())
    finally:
        db.text_factory = str
    return total.hexdigest()


@contextmanager
def sealed(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Hold the ledger alone, all of it in its one file, so that it can be replaced.

    Raises RefusedError while another program has it open: it would write its log beside the new one. A file
    that cannot be read is held by nobody, and there is no connection to it.
    """
    try:
        db = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=3.0, isolation_level=None)
    except sqlite3.Error:
        yield None
        return
    with closing(db):
        try:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            db.execute("PRAGMA journal_mode = DELETE").fetchone()
            db.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise RefusedError(
                    f"Another program has the ledger {path} open",
                    risk="Nothing was changed",
                    mend="Close it (an SQL shell, datasette, litestream, a copy), and run this again",
                ) from None
        except sqlite3.DatabaseError:
            pass  # damaged: nobody can use it
        yield db


def put_in_place(new: Path, path: Path, aside: Path) -> bool:
    """Put the file `new` at `path`; what was there is kept at `aside`. Whether there was anything.

    At every moment there is a whole ledger at `path`, and none beside the log of another. Raises OSError.
    """
    for suffix in BESIDE:
        with suppress(FileNotFoundError):
            files.rename(path.with_name(path.name + suffix), aside.with_name(aside.name + suffix))
    there = path.exists()
    if there:
        files.keep_aside(path, aside)
    files.rename(new, path)
    files.sync_folder(path.parent)
    return there
