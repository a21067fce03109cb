"""A look at the whole of a ledger's file that changes nothing in it, whatever it finds."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from spxarb.ledger import schema
from spxarb.ledger.opening import connect_to_look, inspect, sqlite_errors_as_refusals

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MOST = 5
"""Faults that are told of one file; there are more where there is one."""


def faults(path: Path) -> list[str]:
    """What is wrong with pages, indexes and references of the file, in SQLite's words; empty when nothing is.

    Raises RefusedError when it cannot be read.
    """
    with sqlite_errors_as_refusals(path), closing(connect_to_look(path.absolute())) as db:
        pages = [str(row[0]) for row in db.execute(f"PRAGMA integrity_check({MOST})").fetchall()]
        rows = db.execute("PRAGMA foreign_key_check").fetchmany(MOST)
        return [
            *(text for text in pages if text != "ok"),
            *(f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there" for row in rows),
        ]


def is_older(path: Path, mode: str) -> bool:
    """Whether an older version made it. Raises RefusedError when it cannot be used in this mode at all."""
    with sqlite_errors_as_refusals(path):
        return inspect(path.absolute(), mode) < schema.newest_version()


def messages_of_orders(path: Path, codes: Iterable[int], newest: int = MOST) -> list[tuple[str, str]]:
    """When the broker answered an order with one of the codes, and its words; the newest first."""
    wanted = {str(code) for code in codes}
    with sqlite_errors_as_refusals(path), closing(connect_to_look(path.absolute())) as db:
        steps = db.execute("SELECT at, detail FROM order_steps WHERE step = 'message' ORDER BY id DESC")
        found = ((str(at), str(detail)) for at, detail in steps if str(detail).partition(" ")[0] in wanted)
        return [said for said, _ in zip(found, range(newest), strict=False)]
