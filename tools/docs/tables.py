"""Writes spxarb/ledger/tables.py: what all migrations together make of an empty file, for a new ledger."""

from __future__ import annotations

import sqlite3
import textwrap
from contextlib import closing
from typing import TYPE_CHECKING

from sqlite_utils.db import Database

from spxarb.ledger.migrations import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = "spxarb/ledger/tables.py"
HEAD = '''"""The tables of a new ledger, as they are now; `python -m tools.docs` writes this file.

They are what the migrations of `migrations.py` make of an empty file, one after the other.
"""

VERSION = {version}
"""So many migrations are in these tables."""
TABLES = (
{tables})
'''


def text() -> str:
    """The whole file."""
    tables = "".join(f'    """\\\n{readable(statement)}\n""",\n' for statement in migrated())
    return HEAD.format(version=len(MIGRATIONS), tables=tables)


def migrated() -> list[str]:
    """The statements of tables, indexes and triggers that migrations lead to, as SQLite keeps them."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        db = Database(connection, execute_plugins=False)
        for migration in MIGRATIONS:
            migration(db)
        rows = db.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
        )
        return [sql for (sql,) in rows.fetchall()]


def readable(statement: str) -> str:
    """A table with a line for each column, for one that came later too: SQLite puts it on the last line."""
    table, later, columns = statement.partition("\n, ")
    if not later:
        return statement
    added = [
        textwrap.fill(" ".join(column.split()), 100, initial_indent=" " * 4, subsequent_indent=" " * 8)
        for column in parts(columns.removesuffix(")"))
    ]
    return ",\n".join([table, *added]) + "\n)"


def parts(body: str) -> Iterator[str]:
    """What stands between the commas outside of parentheses and quotation marks."""
    depth, quoted, begun = 0, False, 0
    for at, letter in enumerate(body):
        quoted ^= letter == "'"
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if letter == "," and not depth and not quoted:
            yield body[begun:at]
            begun = at + 1
    yield body[begun:]


def write(root: Path) -> None:
    """Write the file."""
    (root / FILE).write_text(text(), encoding="utf-8")
