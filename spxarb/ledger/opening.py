"""Opening the ledger's file: it is proven ours and whole, or refused and left untouched.

A read-only connection looks first. Every connection that writes to a ledger is made here, and what SQLite
cannot do with the file is refused here in words.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import time
from contextlib import closing, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from spxarb import files
from spxarb.core.own_names import beside
from spxarb.errors import RefusedError
from spxarb.imports import trimmed
from spxarb.ledger import schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlite_utils.db import Database

BUSY_SECONDS = 10.0
_patience: ContextVar[float | None] = ContextVar("patience", default=None)
REPLACED_AT_MOST = 5
FULL_BYTES = 100_000  # less than SQLite needs beside a ledger to write one row
CHECKED_BYTES = 20_000_000  # a file up to this size is checked whole at every opening, in milliseconds


def exists(path: Path) -> bool:
    """Whether there is a file at `path`. Raises RefusedError for anything else, or what cannot be seen."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    for is_kind, name in ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a folder")):
        if is_kind(kind):
            raise _unusable(path, f"it is {name}", mend="Name the file itself in storage.database")
    if not stat.S_ISREG(kind):
        raise _unusable(path, "it is not a regular file", mend="Name another file in storage.database")
    return True


def create(path: Path) -> None:
    """Make an empty file, 0600; missing folders are made 0700."""
    try:
        files.make_folder(path.parent)
        files.create(path)
    except FileExistsError:
        exists(path)  # another job was faster
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error


def refuse_orphan(path: Path) -> None:
    """Refuse a write-ahead log without its database: SQLite would delete it, and with it what it holds."""
    if log_bytes(path):
        name = f"{path.name}-wal"
        raise RefusedError(
            f"The ledger {path} is missing or empty, but its write-ahead log {name} holds data",
            risk="Nothing was changed",
            mend=f"Put the ledger back, `spxarb restore FILE` a backup, or move {name} away",
        )


def log_bytes(path: Path) -> int:
    """The size of the write-ahead log; 0 where there is none."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except OSError:
        return 0


def writable(path: Path) -> bool:
    """Whether this user may write the file, and its folder, in which SQLite makes files too."""
    needed = ((path, os.R_OK | os.W_OK), (path.parent, os.W_OK | os.X_OK))
    return all(os.access(file, right, effective_ids=True) for file, right in needed)


def require_writable(path: Path) -> None:
    """Raise RefusedError unless the file is ours and `writable`, with all beside it; close it to others."""
    if not writable(path):
        raise _not_writable(path)
    for file in (path, *beside(path)):
        try:
            files.check(file)
        except OSError as error:
            raise _not_to_be_opened(path, file, error) from error
    for file in (path, *beside(path)):
        with contextlib.suppress(OSError):
            files.close_to_others(file)


def require_opened(path: Path, before: frozenset[int]) -> None:
    """Raise RefusedError where SQLite has opened a stranger's file since `before`, put there meanwhile."""
    try:
        files.check_opened(before)
    except OSError as error:
        raise _not_to_be_opened(path, path, error) from error


def require_files(path: Path) -> None:
    """Raise RefusedError for a link, a pipe or a device beside the ledger: SQLite would follow or wait.

    And for a file of another user than the ledger's: what a log holds that lies there, SQLite takes for the
    ledger's own.
    """
    for file in beside(path):
        try:
            files.check_beside(file, path)
        except OSError as error:
            raise _not_to_be_opened(path, file, error) from error


def inspect(path: Path, mode: str) -> int:
    """The version of the tables, 0 for a file without any; nothing is written. Raises RefusedError."""
    require_files(path)
    size = path.stat().st_size
    if size == 0:
        refuse_orphan(path)
        return 0
    try:
        return _inspect(path, mode, whole=size <= CHECKED_BYTES, frozen=True)
    except sqlite3.OperationalError as error:
        if _result_code(error) != sqlite3.SQLITE_READONLY or not writable(path):
            raise
        # A process died while it made the file: SQLite must roll that back first, which means writing.
        return _inspect(path, mode, whole=True, frozen=False)


def _inspect(path: Path, mode: str, *, whole: bool, frozen: bool) -> int:
    """`whole`: check every page."""
    with closing(connect(path, frozen=frozen)) as db:
        if whole:
            problems = [str(row[0]) for row in db.execute("PRAGMA quick_check(1)").fetchall()]
            if problems != ["ok"]:
                raise _damaged(path, "; ".join(problems))
        with schema.snapshot(db):  # another job may be making the tables
            meta = schema.read_meta(db)
            if not meta and not db.table_names():
                return 0
        return _check_meta(path, meta, mode)


def _check_meta(path: Path, meta: dict[str, str], mode: str) -> int:
    """The version of the tables. Raises RefusedError when this program and mode may not use them."""
    try:
        version = schema.version_of(meta)
        own_mode = meta["mode"]
    except (KeyError, ValueError, TypeError):
        raise _unusable(
            path, "it is not a ledger of spxarb", mend="Name another file in storage.database"
        ) from None
    newest = schema.newest_version()
    if version > newest:
        raise RefusedError(
            f"The ledger {path} was made by a newer spxarb (version {version}; this one knows {newest})",
            risk="Nothing was changed",
            mend="Install that version again, or `spxarb restore FILE` an older backup",
        )
    if own_mode != mode:
        raise RefusedError(
            f"The ledger {path} belongs to mode {own_mode}, not to {mode}",
            risk="Nothing was changed",
            mend="Set trading.mode to it, or name another file in storage.database",
        )
    return version


def prepare(db: Database, path: Path, mode: str, *, upgrade: bool) -> None:
    """The settings of a connection that writes, and this version's tables."""
    _use_wal(db, path)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA fullfsync = ON")  # macOS: fsync(2) leaves data in the drive's cache; elsewhere nothing
    if upgrade:
        try:
            schema.upgrade(db, path, mode)
        except OSError as error:
            raise _unusable(path, f"no backup could be made before its upgrade: {error}") from error
    db.execute("PRAGMA foreign_keys = ON")
    _check_meta(path, schema.read_meta(db), mode)


def _use_wal(db: Database, path: Path) -> None:
    """Switch to WAL, which the file remembers. SQLite's busy timeout does not cover the switch: retry it."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            (answer,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if _result_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    if answer != "wal":
        raise _unusable(path, f"SQLite uses {answer} there, not WAL", mend="Keep it on a local disk")


def connect(path: Path, *, frozen: bool) -> Database:
    """A connection; `frozen` can change nothing, and works where nothing can be written.

    To read a ledger in WAL mode SQLite makes a file of shared memory beside it. Where it cannot (no right, a
    full disk) and no log holds anything, the file alone is the whole ledger.
    """
    options = "mode=ro" if frozen else "mode=rw"
    alone = not log_bytes(path)
    if frozen and alone and not writable(path):
        options += "&immutable=1"
    db = _connected(path, options)
    if not (frozen and alone):
        return db
    try:
        db.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError as error:
        db.close()
        if _result_code(error) not in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN}:
            raise
        return _connected(path, options + "&immutable=1")
    return db


def connect_to_write(path: Path) -> Database:
    """A connection to the file that has this name, also when `restore` put another there meanwhile.

    One that was opened before would write into the file that was put aside, and its log beside the new one.
    """
    for _ in range(REPLACED_AT_MOST):
        before = path.stat().st_ino
        db = connect(path, frozen=False)
        try:
            db.execute("PRAGMA schema_version").fetchone()  # waits while the file is being replaced
            if path.stat().st_ino == before:
                return db
        except BaseException:
            db.close()
            raise
        db.close()
    raise _unusable(path, "it is replaced again and again", mend="Run this again")


def connect_to_look(path: Path) -> Database:
    """A connection that changes nothing, and after which no file is there that was not there before.

    One that may not write leaves the files behind that SQLite makes beside a ledger in WAL mode. One that may
    write removes them; where no log holds anything it has nothing else to do.
    """
    if log_bytes(path) or not writable(path):
        return connect(path, frozen=True)
    db = _connected(path, "mode=rw")
    db.execute("PRAGMA query_only = ON")
    return db


def _connected(path: Path, options: str) -> Database:
    uri = f"{path.as_uri()}?{options}"
    return _database(sqlite3.connect(uri, uri=True, timeout=_busy_seconds(), isolation_level=None))


def _busy_seconds() -> float:
    seconds = _patience.get()
    return BUSY_SECONDS if seconds is None else seconds


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Within it no connection waits longer than this for another program's lock: for a ledger not our own."""
    before = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(before)


def empty(path: Path, mode: str) -> Database:
    """A new ledger in memory, for reading: what an absent one amounts to."""
    db = _database(sqlite3.connect(":memory:", isolation_level=None))
    schema.upgrade(db, path, mode)
    db.execute("PRAGMA query_only = ON")
    return db


def upgraded_copy(db: Database, path: Path, mode: str) -> Database:
    """What `db` holds, in memory and in this version's tables, for reading; `db` stays as it is."""
    copy = _database(sqlite3.connect(":memory:", isolation_level=None))
    db.conn.backup(copy.conn)
    schema.upgrade(copy, path, mode, saved=False)
    copy.execute("PRAGMA query_only = ON")
    return copy


def _database(connection: sqlite3.Connection) -> Database:
    """sqlite-utils over the connection, without its plugins."""
    with trimmed("sqlite_utils"):
        from sqlite_utils.db import Database  # noqa: PLC0415
    return Database(connection, recursive_triggers=False, execute_plugins=False)


@contextmanager
def sqlite_errors_as_refusals(path: Path) -> Iterator[None]:
    """Raise RefusedError for what SQLite cannot do with the file; our own mistakes pass unchanged."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        match _result_code(error):
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                why = f"another program has kept it locked for {_busy_seconds():.0f} seconds"
                raise _unusable(path, why, mend="Close what holds it (an SQL shell, a copy)") from error
            case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR if _is_full(path, error):
                raise _unusable(path, "the disk is full", mend="Free some space") from error
            case sqlite3.SQLITE_IOERR:
                raise _unusable(path, f"{error}", mend="Check the disk and its log") from error
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                _require_ours(path)
                raise _unusable(path, str(error)) from error
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                raise _damaged(path, str(error)) from error
        raise


def _is_full(path: Path, error: sqlite3.Error) -> bool:
    """Whether the disk is; beside a ledger in WAL mode that can show as a failure of its shared memory."""
    if _result_code(error) == sqlite3.SQLITE_FULL:
        return True
    with contextlib.suppress(OSError):
        return shutil.disk_usage(path.parent).free < FULL_BYTES
    return False


def _result_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, 0 for an error that Python raised."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _unusable(path: Path, why: str, *, mend: str = "") -> RefusedError:
    return RefusedError(
        f"The ledger {path} cannot be used: {why}",
        risk="It was not changed",
        mend=mend or "Give this user the right to write the file and its folder, on a local disk",
    )


def _not_to_be_opened(path: Path, file: Path, error: OSError, before: str = "") -> RefusedError:
    what = "" if file == path else f"{file.name} beside it: "
    return _unusable(path, f"{before}{what}{error.strerror or error}", mend=files.mend_of(error, ""))


def _require_ours(path: Path) -> None:
    """Raise RefusedError, with its owner, for the ledger of another user."""
    try:
        files.check(path)
    except OSError as error:
        raise _not_to_be_opened(path, path, error, "this user may not write it, and ") from None


def _not_writable(path: Path) -> RefusedError:
    """That file system, or this user's rights."""
    with contextlib.suppress(OSError):
        if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
            return _unusable(path, "its file system is mounted read-only", mend="Mount it writable")
    _require_ours(path)
    return _unusable(path, "this user may not write the file or its folder")


def _damaged(path: Path, why: str) -> RefusedError:
    return RefusedError(
        f"The ledger {path} is damaged: {why}",
        risk="It was not changed",
        mend="`spxarb restore FILE` puts a backup in its place and keeps this file",
    )
