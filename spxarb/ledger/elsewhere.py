"""Open trades in other ledgers: those of other modes, or the one used before `storage.database` was changed.

They are only looked at: nothing is written, upgraded or locked there, and what cannot be read is told.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, time
from typing import TYPE_CHECKING

from spxarb import files
from spxarb.core.model import NEW_YORK, TradeStatus
from spxarb.core.own_names import beside
from spxarb.core.sessions import STORED_TIMETABLE, day_from_stored
from spxarb.core.trades import TradeState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

MOST_FILES = 12
"""No more other ledgers than this are looked into: a command must not pay for a folder full of copies."""
BUSY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class OtherLedger:
    """One other ledger. `trades`: ids of its open trades; `unreadable`: why they are not known, empty else.

    `due`: when the first of them must be exited by the timetable stored with it, or is over by its date.
    """

    path: Path
    mode: str
    trades: tuple[int, ...] = ()
    due: datetime | None = None
    unreadable: str = ""

    def is_due(self, now: datetime) -> bool:
        """Whether the exit of one of its trades is due."""
        return self.due is not None and now >= self.due


def has_readable_trades(path: Path) -> bool:
    """Whether trades of a ledger can be read at all: then an empty answer says that none is open."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        db.execute("SELECT count(*) FROM trades").fetchone()
        return True
    return False


def other_ledgers(paths: Iterable[Path], *, but: Path | None = None, tag: str = "") -> list[OtherLedger]:
    """Those of the files that are ledgers with open trades, or cannot be read; each ledger once.

    `but` and `tag` are the command's own: a copy of it is no other ledger.
    """
    found: list[OtherLedger] = []
    seen = {tag}
    looked = 0
    for path in dict.fromkeys(paths):
        if path == but or looked >= MOST_FILES or not _is_file(path):
            continue
        looked += 1
        try:
            with closing(_reading(path)) as db:
                meta = dict(db.execute("SELECT key, value FROM meta").fetchall())
                if not {"tag", "mode"} <= meta.keys() or meta["tag"] in seen:
                    continue
                seen.add(meta["tag"])
                found.append(_looked_at(path, str(meta["mode"]), db))
        except sqlite3.Error as error:
            if "no such table: meta" not in str(error):  # else it is another program's
                found.append(OtherLedger(path, "", unreadable=str(error)))
    return [ledger for ledger in found if ledger.trades or ledger.unreadable]


def _is_file(path: Path) -> bool:
    """Whether it is a database; what cannot be seen is none of ours."""
    try:
        for file in (path, *beside(path)):
            files.check(file)
        return files.is_database(path)
    except OSError:
        return False


def _reading(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    db.row_factory = None
    return db


def _looked_at(path: Path, mode: str, db: sqlite3.Connection) -> OtherLedger:
    cursor = db.execute("SELECT * FROM trades WHERE status IS NOT ? ORDER BY id", [TradeStatus.CLOSED.value])
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    rows = [row for row in rows if row.get("state") != TradeState.LOST.value]  # no command can help it
    return OtherLedger(path, mode, tuple(int(row["id"]) for row in rows), min(_exits(rows), default=None))


def _exits(rows: Iterable[Mapping[str, str]]) -> Iterator[datetime]:
    for row in (row for row in rows if not row.get("handed_over_at")):  # a human's exit is his own
        try:
            yield day_from_stored(json.loads(row["limits"])[STORED_TIMETABLE]).exit_at
        except (KeyError, TypeError, ValueError):
            with suppress(TypeError, ValueError):
                yield _close_of(row["trade_date"])


def _close_of(day: str) -> datetime:
    """When the regular session ends of a day, with or without a time beside it."""
    return datetime.combine(datetime.fromisoformat(day), time(16), NEW_YORK)
