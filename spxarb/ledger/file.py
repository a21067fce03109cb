"""The open file under every part of the ledger: one transaction at a time, rows in and out.

SQLite in WAL mode with synchronous=FULL: what a committed transaction wrote survives a crash of the machine.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

from spxarb.errors import RefusedError
from spxarb.files import descriptors
from spxarb.ledger import schema
from spxarb.ledger.opening import (
    BUSY_SECONDS,
    connect,
    connect_to_look,
    connect_to_write,
    create,
    empty,
    exists,
    inspect,
    prepare,
    refuse_orphan,
    require_opened,
    require_writable,
    sqlite_errors_as_refusals,
    upgraded_copy,
    writable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from sqlite_utils.db import Database

T = TypeVar("T")

AFTER_A_REFUSAL_SECONDS = 2.0
"""How long a write waits for another program's lock once one did in vain; until then `BUSY_SECONDS`."""


class LedgerFile:
    """One open SQLite file. What writes joins the open `write()`, or is a transaction of its own.

    Everything here raises RefusedError when the file cannot be read or written.
    """

    def __init__(self, db: Database, path: Path, *, read_only: bool) -> None:
        """Not called directly: `open` it."""
        self.path = path
        self.read_only = read_only
        self.note = ""
        """A sentence where this is not the file itself as it is; empty otherwise."""
        self.tag = schema.read_meta(db)["tag"]
        self.orphans: tuple[str, ...] = ()
        """Sentences about rows without what they point at, where this opening has upgraded the file."""
        self._waits = BUSY_SECONDS
        self._db = db

    @classmethod
    def open(cls, path: Path, *, mode: str, read_only: bool = False) -> Self:
        """The file at `path`, made when there is none; `read_only` makes nothing: an absent one is empty.

        Raises RefusedError, and leaves the file as it is, when it is damaged, of another mode, made by a
        newer version or by another program, or cannot be written.
        """
        path = path.absolute()
        if not exists(path):
            refuse_orphan(path)
            if read_only:
                return cls._absent(path, mode)
            create(path)
        if not read_only:
            return cls._opened(path, mode, read_only=False, frozen=False)
        if writable(path):
            with suppress(RefusedError):  # a full disk, say: what can still be read is read below
                return cls._opened(path, mode, read_only=True, frozen=False)
        return cls._opened(path, mode, read_only=True, frozen=True)

    @classmethod
    def _absent(cls, path: Path, mode: str) -> Self:
        found = cls(empty(path, mode), path, read_only=True)
        found.note = f"There is no ledger at {path}: nothing was traded with it yet, or it is elsewhere."
        return found

    @classmethod
    def look(cls, path: Path, *, mode: str) -> Self:
        """The file at `path` as it is; nothing is changed, not even its permissions or an older version.

        Raises RefusedError as `open` does.
        """
        path = path.absolute()
        with sqlite_errors_as_refusals(path):
            inspect(path, mode)
            db = connect_to_look(path)
        return cls(db, path, read_only=True)

    @classmethod
    def _opened(cls, path: Path, mode: str, *, read_only: bool, frozen: bool) -> Self:
        """`frozen`: nothing can be written, not even what SQLite wants beside a file that is only read."""
        with sqlite_errors_as_refusals(path):
            before = descriptors()
            version = inspect(path, mode)
            if not read_only:
                require_writable(path)
            db = connect(path, frozen=frozen) if read_only else connect_to_write(path)
            try:
                if not read_only:
                    require_opened(path, before)
                    prepare(db, path, mode, upgrade=version < schema.newest_version())
                    file = cls(db, path, read_only=False)
                    if 0 < version < schema.newest_version():
                        file.orphans = tuple(schema.orphans(db))
                    return file
                return cls._to_read(db, path, mode, version)
            except BaseException:
                db.close()
                raise

    @classmethod
    def _to_read(cls, db: Database, path: Path, mode: str, version: int) -> Self:
        """Reading changes no table: one of an older version is read by way of an upgraded copy in memory."""
        if version == schema.newest_version():
            db.execute("PRAGMA query_only = ON")
            return cls(db, path, read_only=True)
        found = cls(upgraded_copy(db, path, mode), path, read_only=True)
        db.close()
        if version:
            found.note = (
                f"The ledger {path} was made by an older spxarb and is read as it is: the next command that "
                "writes to it upgrades it."
            )
            return found
        found.note = f"The ledger {path} is an empty file: nothing was written to it yet."
        return found

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def write(self) -> Iterator[None]:
        """One transaction: all that the block writes, or nothing. Never held across the network.

        Raises RuntimeError inside another `write()`, and for a file that was opened for reading.
        """
        if self.read_only:
            raise RuntimeError("The ledger was opened for reading")
        if self._db.conn.in_transaction:
            raise RuntimeError("A transaction is open already")
        try:
            with sqlite_errors_as_refusals(self.path), schema.immediate(self._db):
                yield
        except RefusedError:
            self._wait_for_others(AFTER_A_REFUSAL_SECONDS)
            raise
        if self._waits < BUSY_SECONDS:
            self._wait_for_others(BUSY_SECONDS)

    def _wait_for_others(self, seconds: float) -> None:
        """How long the next write waits for another program's lock: no job waits the whole time at each."""
        self._waits = seconds
        with suppress(sqlite3.Error):
            self._db.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")

    @contextmanager
    def joined(self) -> Iterator[None]:
        """The open transaction, else one of its own."""
        if self._db.conn.in_transaction:
            yield
        else:
            with self.write():
                yield

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """What a SELECT or a PRAGMA gives, each row by the names of its columns."""
        with sqlite_errors_as_refusals(self.path):
            found = self._db.execute(sql, values)
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found]

    def changed_by_others(self) -> int:
        """Another number than before when another connection has written since."""
        return int(self.rows("PRAGMA data_version")[0]["data_version"])

    def value(self, sql: str, *values: object) -> Any:
        """The first column of the first row, None when there is no row."""
        rows = self.rows(sql, *values)
        return next(iter(rows[0].values())) if rows else None

    def execute(self, sql: str, *values: object) -> int:
        """Run one statement; how many rows it changed."""
        with self.joined():
            return int(self._db.execute(sql, values).rowcount)

    def insert(self, table: str, row: Mapping[str, object]) -> int:
        """Its rowid. Raises sqlite3.IntegrityError when it is there already."""
        with self.joined():
            done = self._db.execute(_insertion(table, row), list(as_utf8(row).values()))
            return int(done.lastrowid or 0)

    def upsert(self, table: str, row: Mapping[str, object], *key: str) -> None:
        """Insert the row, or give the one with the same values in the columns `key` these columns."""
        changes = ", ".join(f"{name} = excluded.{name}" for name in row)
        self.execute(
            f"{_insertion(table, row)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}",
            *as_utf8(row).values(),
        )

    def update(self, table: str, row: Mapping[str, object], **key: object) -> None:
        """Give the row with this key these columns. Raises KeyError when there is none."""
        changes = ", ".join(f"{name} = ?" for name in row)
        named = " AND ".join(f"{name} = ?" for name in key)
        changed = self.execute(
            f"UPDATE {table} SET {changes} WHERE {named}",  # noqa: S608 -- our own names
            *as_utf8(row).values(),
            *key.values(),
        )
        if changed != 1:
            raise KeyError(f"The ledger has nothing in {table} with {key}")


def _insertion(table: str, row: Mapping[str, object]) -> str:
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608 -- our own names


def readable_only(
    rows: Iterable[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], T], unread: set[str]
) -> list[T]:
    """What is read from the rows; of one that cannot be read, `unread` gets the reason: it hides no other."""
    found = []
    for row in rows:
        try:
            found.append(read(row))
        except RefusedError as error:
            unread.add(error.what)
    return found


def as_utf8(row: Mapping[str, object]) -> dict[str, object]:
    """The row with every text in UTF-8: a name or message that came as other bytes stops no record."""
    return {
        name: value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
        for name, value in row.items()
    }
