"""The way to an open ledger: a file that is proven ours and whole, or a refusal that leaves it untouched.

A look over a read-only connection comes first. This module is the one door to SQLite: it makes every
connection that writes to a ledger, and says in words what SQLite could not do.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from spxarb.errors import RefusedError
from spxarb.ledger import schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlite_utils.db import Database

BUSY_SECONDS = 10.0
CHECKED_BYTES = 20_000_000  # a file up to this size is checked whole at every opening, in milliseconds


def look(path: Path) -> os.stat_result | None:
    """What is at `path`, None for nothing. Raises RefusedError for what is no plain file, or is hidden."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    for is_kind, kind in ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a folder")):
        if is_kind(found.st_mode):
            raise _unusable(path, f"it is {kind}", mend="Name the file itself in storage.database")
    if not stat.S_ISREG(found.st_mode):
        raise _unusable(path, "it is no plain file", mend="Name another file in storage.database")
    return found


def create(path: Path) -> None:
    """An empty file, 0600, in a folder that is made 0700 when there is none."""
    try:
        missing = [folder for folder in path.parents if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
        schema.new_file(path)
    except FileExistsError:
        look(path)  # another job was faster
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error


def refuse_orphan(path: Path) -> None:
    """SQLite drops a write-ahead log whose database is empty: what is in it would be lost."""
    log = path.with_name(path.name + "-wal")
    with contextlib.suppress(OSError):
        if log.stat().st_size > 0:
            raise RefusedError(
                f"The ledger {path} is gone or empty, but its write-ahead log {log.name} holds data",
                risk="Nothing was changed",
                mend=f"Put the ledger back beside it or restore a backup; else move {log.name} away",
            )


def writable(path: Path) -> bool:
    """SQLite also makes files beside the ledger, so that its folder matters too."""
    needed = ((path, os.R_OK | os.W_OK), (path.parent, os.W_OK | os.X_OK))
    return all(os.access(file, right, effective_ids=True) for file, right in needed)


def require_writable(path: Path) -> None:
    if not writable(path):
        raise _unusable(path, "this user may not write it or its folder")
    with contextlib.suppress(OSError):  # another user's file that we may write
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            file = path.with_name(name)
            if stat.S_IMODE(file.lstat().st_mode) != 0o600:
                file.chmod(0o600)


def inspect(path: Path, mode: str) -> int:
    """The version of the tables, 0 for a file without any; nothing is written. Raises RefusedError."""
    size = path.stat().st_size
    if size == 0:
        refuse_orphan(path)
        return 0
    try:
        return _look_inside(path, mode, whole=size <= CHECKED_BYTES, frozen=True)
    except sqlite3.OperationalError as error:
        if _primary(error) != sqlite3.SQLITE_READONLY or not writable(path):
            raise
        # A process died while it made the file: SQLite must first undo what that left half done.
        return _look_inside(path, mode, whole=True, frozen=False)


def _look_inside(path: Path, mode: str, *, whole: bool, frozen: bool) -> int:
    with closing(connect(path, frozen=frozen)) as db:
        if whole:
            problems = [str(row[0]) for row in db.execute("PRAGMA quick_check(1)").fetchall()]
            if problems != ["ok"]:
                raise _damaged(path, "; ".join(problems))
        meta = schema.read_meta(db)
        if not meta and not db.table_names():
            return 0
        return _check_facts(path, meta, mode)


def _check_facts(path: Path, meta: dict[str, str], mode: str) -> int:
    """The version of the tables. Raises RefusedError when this program and mode may not use them."""
    try:
        version = schema.version_of(meta)
        theirs = meta["mode"]
    except (KeyError, ValueError, TypeError):
        raise _unusable(
            path, "it is no ledger of spxarb", mend="Name another file in storage.database"
        ) from None
    newest = schema.newest_version()
    if version > newest:
        raise RefusedError(
            f"The ledger {path} was made by a newer spxarb (version {version}; this one knows {newest})",
            risk="Nothing was changed",
            mend="Install that spxarb again, or restore a backup from before",
        )
    if theirs != mode:
        raise RefusedError(
            f"The ledger {path} belongs to mode {theirs}, not to {mode}",
            risk="Nothing was changed",
            mend="Set trading.mode to it, or name another file in storage.database",
        )
    return version


def prepare(db: Database, path: Path, mode: str, *, upgrade: bool, frozen: bool) -> None:
    """The connection's settings, and this version's tables."""
    if frozen:
        if upgrade:
            raise _unusable(path, "an older spxarb made it, and bringing it up to date means writing")
        return
    _use_wal(db, path)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    if upgrade:
        try:
            schema.upgrade(db, path, mode)
        except OSError as error:
            raise _unusable(path, f"no backup could be made before its tables change: {error}") from error
    _check_facts(path, schema.read_meta(db), mode)


def _use_wal(db: Database, path: Path) -> None:
    """Switch to WAL, which the file remembers. While others switch, SQLite does not wait by itself."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            (answer,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if _primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    if answer != "wal":
        raise _unusable(path, f"SQLite offers {answer} there instead of WAL", mend="Keep it on a local disk")


def connect(path: Path, *, frozen: bool) -> Database:
    """`frozen`: nothing can be changed through it, and where nothing may be written, nothing need be."""
    options = "mode=ro" if frozen else "mode=rw"
    log = path.with_name(path.name + "-wal")
    if frozen and not writable(path) and not log.exists():
        options += "&immutable=1"
    return _database(
        sqlite3.connect(f"{path.as_uri()}?{options}", uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    )


def empty(path: Path, mode: str) -> Database:
    """What an absent ledger would say, in memory."""
    db = _database(sqlite3.connect(":memory:", isolation_level=None))
    schema.upgrade(db, path, mode)
    db.execute("PRAGMA query_only = ON")
    return db


def _database(connection: sqlite3.Connection) -> Database:
    """sqlite-utils over the connection, without its plugins.

    It imports numpy and pandas, when they are there, only to know their numbers; ours are plain. That import
    is most of a command's start.
    """
    first = "sqlite_utils.db" not in sys.modules
    heavy = [name for name in ("numpy", "pandas") if first and name not in sys.modules]
    for name in heavy:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        from sqlite_utils.db import Database  # noqa: PLC0415
    finally:
        for name in heavy:
            del sys.modules[name]
    return Database(connection, recursive_triggers=False, execute_plugins=False)


@contextmanager
def sqlite_errors_as_refusals(path: Path) -> Iterator[None]:
    """What SQLite cannot do with the file, as RefusedError; a mistake of ours stays what it is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        match _primary(error):
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                why = f"another program has kept it locked for {BUSY_SECONDS:.0f} seconds"
                raise _unusable(path, why, mend="Close what holds it (an SQL shell, a copy)") from error
            case sqlite3.SQLITE_FULL:
                raise _unusable(path, "the disk is full", mend="Free some space") from error
            case sqlite3.SQLITE_IOERR:
                raise _unusable(path, f"{error}", mend="Check the disk and its log") from error
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                raise _unusable(path, str(error)) from error
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                raise _damaged(path, str(error)) from error
        raise


def _primary(error: sqlite3.Error) -> int:
    """SQLite's primary result code, 0 for an error of Python's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _unusable(path: Path, why: str, *, mend: str = "") -> RefusedError:
    return RefusedError(
        f"The ledger {path} cannot be used: {why}",
        risk="It was not changed",
        mend=mend or "Give this user the right to write the file and its folder, on a local disk",
    )


def _damaged(path: Path, why: str) -> RefusedError:
    return RefusedError(
        f"The ledger {path} is damaged: {why}",
        risk="It was not changed",
        mend="Keep the file, and restore a backup with `spxarb restore`",
    )
