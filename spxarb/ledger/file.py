"""The ledger as a file: opened or refused, written in one transaction at a time, read row by row.

SQLite in WAL mode with synchronous=FULL: what a committed transaction wrote survives a crash of the machine.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from spxarb.errors import RefusedError
from spxarb.ledger import schema
from spxarb.ledger.opening import (
    connect,
    create,
    empty,
    inspect,
    look,
    prepare,
    refuse_orphan,
    require_writable,
    told,
    writable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sqlite_utils.db import Database


class LedgerFile:
    """An open ledger: its own facts, its transactions, its rows."""

    def __init__(self, db: Database, path: Path, *, read_only: bool) -> None:
        """Not called directly: `open` it."""
        self.path = path
        self.read_only = read_only
        self._db = db
        self._meta = schema.read_meta(db)

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether there is something at `path`. Raises RefusedError when that cannot be seen."""
        return look(path) is not None

    @classmethod
    def open(cls, path: Path, *, mode: str, read_only: bool = False) -> Self:
        """The ledger at `path`, made when there is none; `read_only` makes nothing: an absent one is empty.

        Raises RefusedError, and leaves the file as it is, when it is damaged, of another mode, made by a
        newer version or by another program, or cannot be written.
        """
        path = path.absolute()
        found = look(path)
        if found is None:
            refuse_orphan(path)
            if read_only:
                return cls(empty(path, mode), path, read_only=True)
            create(path)
        with told(path):
            version = inspect(path, mode)
            frozen = read_only and not writable(path)
            if not frozen:
                require_writable(path)
            db = connect(path, frozen=frozen)
            try:
                prepare(db, path, mode, upgrade=version < schema.newest_version(), frozen=frozen)
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
        found = self._value("SELECT value FROM meta WHERE key = 'account'")
        return None if found is None else str(found)

    def bind_account(self, account: str) -> None:
        """Remember the account at first use. Raises RefusedError for another one ever after."""
        if self.account is None and not self.read_only:
            with self._writing():
                if self.account is None:  # another job may have been faster
                    schema.put_meta(self._db, "account", account)
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
        with told(self.path), schema.immediate(self._db):
            yield

    def copy_to(self, target: Path) -> None:
        """A consistent copy of what is committed, as a new file. Raises FileExistsError, OSError."""
        schema.copy_to(self.path, target)

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
            return int(self._db.table(table).insert(_sayable(row)).last_rowid or 0)

    def _put(self, table: str, row: Mapping[str, object], *key: str) -> None:
        """Insert the row, or give the one with the same key these columns."""
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        changes = ", ".join(f"{name} = excluded.{name}" for name in row)
        with self._writing():
            self._db.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({marks}) "  # noqa: S608 -- our own names
                f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}",
                list(_sayable(row).values()),
            )

    def _change(self, table: str, row: Mapping[str, object], **key: object) -> None:
        """Give the row with this key these columns. Raises KeyError when there is none."""
        changes, named = (", ".join(f"{name} = ?" for name in names) for names in (row, key))
        with self._writing():
            done = self._db.execute(
                f"UPDATE {table} SET {changes} WHERE {named}",  # noqa: S608 -- our own names
                [*_sayable(row).values(), *key.values()],
            )
            if done.rowcount != 1:
                raise KeyError(f"The ledger has nothing in {table} with {key}")


def _sayable(row: Mapping[str, object]) -> dict[str, object]:
    """The row with every text in UTF-8: bytes that were none, in a name or a message, stop no record."""
    return {
        name: value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
        for name, value in row.items()
    }
