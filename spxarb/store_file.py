"""The ledger's file: opened only when it is proven ours and whole, written in one transaction at a time.

SQLite in WAL mode with synchronous=FULL: what a committed transaction wrote survives a crash of the machine.
A look over a read-only connection comes first, so that a file that is refused is not touched at all.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Self

from spxarb import store_schema
from spxarb.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sqlite_utils.db import Database

BUSY_SECONDS = 10.0
CHECKED_BYTES = 20_000_000  # a file up to this size is checked whole at every opening, in milliseconds


class LedgerFile:
    """An open ledger: its own facts, its transactions, its rows."""

    def __init__(self, db: Database, path: Path, *, read_only: bool) -> None:
        """Not called directly: `open` it."""
        self.path = path
        self.read_only = read_only
        self._db = db
        self._meta = store_schema.read_meta(db)

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether there is something at `path`. Raises RefusedError when that cannot be seen."""
        return _look(path) is not None

    @classmethod
    def open(cls, path: Path, *, mode: str, read_only: bool = False) -> Self:
        """The ledger at `path`, made when there is none; `read_only` makes nothing: an absent one is empty.

        Raises RefusedError, and leaves the file as it is, when it is damaged, of another mode, made by a
        newer version or by another program, or cannot be written.
        """
        path = path.absolute()
        found = _look(path)
        if found is None:
            _refuse_orphan(path)
            if read_only:
                return cls(_empty(path, mode), path, read_only=True)
            _create(path)
        with told(path):
            version = _inspect(path, mode)
            frozen = read_only and not _writable(path)
            if not frozen:
                _require_writable(path)
            db = _connect(path, frozen=frozen)
            try:
                _prepare(db, path, mode, upgrade=version < store_schema.newest_version(), frozen=frozen)
                if read_only:
                    db.execute("PRAGMA query_only = ON")
                return cls(db, path, read_only=read_only)
            except BaseException:
                db.close()
                raise

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def tag(self) -> str:
        """Six hexadecimal digits that tell this ledger's orders from those of every other."""
        return self._meta["tag"]

    @property
    def mode(self) -> str:
        return self._meta["mode"]

    @property
    def account(self) -> str | None:
        """The account that it is bound to, None before the first use."""
        return self._meta.get("account")

    def bind_account(self, account: str) -> None:
        """Remember the account at first use. Raises RefusedError for another one ever after."""
        if self.account is None and not self.read_only:
            with self._writing():
                self._meta = store_schema.read_meta(self._db)
                if self.account is None:
                    store_schema.put_meta(self._db, "account", account)
                    self._meta["account"] = account
        if self.account not in {None, account}:
            raise RefusedError(
                f"The ledger {self.path} belongs to account {self.account}, not to {account}",
                risk="Nothing was sent",
                mend="Log the gateway in to that account, or name another file in storage.database",
            )

    @contextmanager
    def write(self) -> Iterator[None]:
        """One transaction: all that the block writes, or nothing. Never held across the network.

        Raises RefusedError when the file cannot be written, RuntimeError inside another `write()`.
        """
        if self.read_only:
            raise RuntimeError("The ledger was opened for reading")
        if self._db.conn.in_transaction:
            raise RuntimeError("A transaction is open already")
        with told(self.path), store_schema.immediate(self._db):
            yield

    def copy_to(self, target: Path) -> None:
        """A consistent copy of what is committed, as a new file. Raises FileExistsError, OSError."""
        store_schema.copy_to(self.path, target)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The open transaction, else one of its own."""
        if self._db.conn.in_transaction:
            yield
        else:
            with self.write():
                yield

    def _rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        with told(self.path):
            return list(self._db.query(sql, values))

    def _value(self, sql: str, *values: object) -> Any:
        """The first column of the first row, None when there is no row."""
        rows = self._rows(sql, *values)
        return next(iter(rows[0].values())) if rows else None

    def _insert(self, table: str, row: Mapping[str, object]) -> int:
        """Its rowid. Raises sqlite3.IntegrityError when it is there already."""
        with self._writing():
            return int(self._db.table(table).insert(dict(row)).last_rowid or 0)

    def _put(self, table: str, row: Mapping[str, object], *key: str) -> None:
        """Insert the row, or give the one with the same key these columns."""
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        changes = ", ".join(f"{name} = excluded.{name}" for name in row)
        with self._writing():
            self._db.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({marks}) "  # noqa: S608 -- our own names
                f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}",
                list(row.values()),
            )

    def _change(self, table: str, row: Mapping[str, object], **key: object) -> None:
        """Give the row with this key these columns. Raises KeyError when there is none."""
        changes, named = (", ".join(f"{name} = ?" for name in names) for names in (row, key))
        with self._writing():
            done = self._db.execute(
                f"UPDATE {table} SET {changes} WHERE {named}",  # noqa: S608 -- our own names
                [*row.values(), *key.values()],
            )
            if done.rowcount != 1:
                raise KeyError(f"The ledger has nothing in {table} with {key}")


def _look(path: Path) -> os.stat_result | None:
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


def _create(path: Path) -> None:
    """An empty file, 0600, in a folder that is made 0700 when there is none."""
    try:
        missing = [folder for folder in path.parents if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
        store_schema.new_file(path)
    except FileExistsError:
        _look(path)  # another job was faster
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error


def _refuse_orphan(path: Path) -> None:
    """SQLite drops a write-ahead log whose database is empty: what is in it would be lost."""
    log = path.with_name(path.name + "-wal")
    with contextlib.suppress(OSError):
        if log.stat().st_size > 0:
            raise RefusedError(
                f"The ledger {path} is gone or empty, but its write-ahead log {log.name} holds data",
                risk="Nothing was changed",
                mend=f"Put the ledger back beside it or restore a backup; else move {log.name} away",
            )


def _writable(path: Path) -> bool:
    """SQLite also makes files beside the ledger, so that its folder matters too."""
    return os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)


def _require_writable(path: Path) -> None:
    if not _writable(path):
        raise _unusable(path, "this user may not write it or its folder")
    with contextlib.suppress(OSError):  # another user's file that we may write
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            file = path.with_name(name)
            if stat.S_IMODE(file.lstat().st_mode) != 0o600:
                file.chmod(0o600)


def _inspect(path: Path, mode: str) -> int:
    """The version of the tables, 0 for a file without any; nothing is written. Raises RefusedError."""
    size = path.stat().st_size
    if size == 0:
        _refuse_orphan(path)
        return 0
    try:
        return _look_inside(path, mode, whole=size <= CHECKED_BYTES, frozen=True)
    except sqlite3.OperationalError as error:
        if _primary(error) != sqlite3.SQLITE_READONLY or not _writable(path):
            raise
        # A process died while it made the file: SQLite must first undo what that left half done.
        return _look_inside(path, mode, whole=True, frozen=False)


def _look_inside(path: Path, mode: str, *, whole: bool, frozen: bool) -> int:
    with closing(_connect(path, frozen=frozen)) as db:
        if whole:
            problems = [str(row[0]) for row in db.execute("PRAGMA quick_check(1)").fetchall()]
            if problems != ["ok"]:
                raise _damaged(path, "; ".join(problems))
        meta = store_schema.read_meta(db)
        if not meta and not db.table_names():
            return 0
        return _check_facts(path, meta, mode)


def _check_facts(path: Path, meta: dict[str, str], mode: str) -> int:
    """The version of the tables. Raises RefusedError when this program and mode may not use them."""
    try:
        version = store_schema.version_of(meta)
        theirs = meta["mode"]
    except (KeyError, ValueError):
        raise _unusable(
            path, "it is no ledger of spxarb", mend="Name another file in storage.database"
        ) from None
    newest = store_schema.newest_version()
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


def _prepare(db: Database, path: Path, mode: str, *, upgrade: bool, frozen: bool) -> None:
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
            store_schema.upgrade(db, path, mode)
        except OSError as error:
            raise _unusable(path, f"no backup could be made before its tables change: {error}") from error
    _check_facts(path, store_schema.read_meta(db), mode)


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


def _connect(path: Path, *, frozen: bool) -> Database:
    """`frozen`: nothing can be changed through it, and where nothing may be written, nothing need be."""
    options = "mode=ro" if frozen else "mode=rw"
    log = path.with_name(path.name + "-wal")
    if frozen and not _writable(path) and not log.exists():
        options += "&immutable=1"
    return _database(
        sqlite3.connect(f"{path.as_uri()}?{options}", uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    )


def _empty(path: Path, mode: str) -> Database:
    """What an absent ledger would say, in memory."""
    db = _database(sqlite3.connect(":memory:", isolation_level=None))
    store_schema.upgrade(db, path, mode)
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
def told(path: Path) -> Iterator[None]:
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
