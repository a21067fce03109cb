"""When the account was last compared with the ledger, and the newest time that the gateway told.

A look counts only with the mark that it left in a file beside the ledger. A ledger that was put back from an
older copy does not know what happened since: its newest look is not the marked one, so the account is asked
again. One that `restore` put in place says so itself, until the broker's lists have been replayed into it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from spxarb import files
from spxarb.core.own_names import mark_of
from spxarb.errors import RefusedError
from spxarb.ledger.rows import known_moment, to_moment

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from spxarb.ledger.file import LedgerFile


_RESTORED, _COPIED = "restored_at", "restored_copy_of"


class Looks:
    """The columns `account_seen` and `market_time` of the table `runs`, and when the ledger was restored."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    @property
    def mark(self) -> Path:
        """The file beside the ledger that names the newest look."""
        return mark_of(self._file.path)

    def add(self, run_id: int, at: datetime) -> None:
        """A job that may act has compared the whole account with the ledger; `at`: the market's time.

        A mark that cannot be written is none: the next command looks again.
        """
        self._file.update("runs", {"account_seen": to_moment(at)}, id=run_id)
        with suppress(OSError), os.fdopen(files.open_to_write(self.mark), "w", encoding="utf-8") as file:
            file.truncate()
            file.write(self._text(run_id, to_moment(at)))

    def note_restored(self, at: datetime, copied: datetime | None = None) -> None:
        """The ledger was restored from a copy made at `copied`: what happened since it does not know.

        A copy that was itself never compared after a restore is as old as the one it came from.
        """
        older = [moment for moment in (copied, self.copied()) if moment is not None]
        self._file.upsert("meta", {"key": _RESTORED, "value": to_moment(at)}, "key")
        if older:
            self._file.upsert("meta", {"key": _COPIED, "value": to_moment(min(older))}, "key")
        self.mark.unlink(missing_ok=True)

    def note_replayed(self) -> None:
        """What the broker lists of the day has been looked through for what the restored ledger lost."""
        if self.restored():
            self._file.execute("DELETE FROM meta WHERE key IN (?, ?)", _RESTORED, _COPIED)

    def restored(self) -> bool:
        """Whether it was restored, and the broker's lists have not been replayed since."""
        return self._restored_at() is not None

    def _restored_at(self) -> str | None:
        found = self._file.value("SELECT value FROM meta WHERE key = ?", _RESTORED)
        return None if found is None else str(found)

    def copied(self) -> datetime | None:
        """When the copy was made that was restored; None where `restored` is, or nobody knows."""
        moment = self._file.value("SELECT value FROM meta WHERE key = ?", _COPIED)
        return known_moment(moment)

    def warning(self) -> list[str]:
        """A sentence while a restored ledger does not know what happened since its copy was made."""
        with suppress(RefusedError):
            if (text := self._restored_at()) is not None:
                at = known_moment(text)
                when = f" at {at:%Y-%m-%d %H:%M}" if at else ""
                what = f"The ledger was restored{when}, and what it lacks was not asked of the broker yet"
                return [f"{what}: run `spxarb monitor`."]
        return []

    def last(self) -> datetime | None:
        """When the account was compared last; None: never, or the ledger is not the one that knows of it."""
        if self.restored():
            return None
        rows = self._file.rows(
            "SELECT id, account_seen FROM runs WHERE account_seen IS NOT NULL ORDER BY id DESC LIMIT 1"
        )
        if not rows:
            return None
        run_id, moment = rows[0]["id"], rows[0]["account_seen"]
        try:
            with self._opened() as file:
                marked = file.read() == self._text(run_id, moment)
        except (OSError, ValueError):
            return None
        return known_moment(moment) if marked else None

    def _opened(self) -> IO[str]:
        """The mark, to be read. Raises OSError; a pipe in its place is not waited for."""
        return os.fdopen(os.open(self.mark, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), encoding="utf-8")

    def _text(self, run_id: int, moment: str) -> str:
        return f"{self._file.tag} {run_id} {moment}\n"

    # --- the gateway's time ---------------------------------------------------------------------

    def hear(self, run_id: int, at: datetime) -> None:
        """The gateway told this time."""
        self._file.update("runs", {"market_time": to_moment(at)}, id=run_id)

    def heard(self) -> datetime | None:
        """The time that a gateway told last; None: none ever did."""
        return known_moment(
            self._file.value(
                "SELECT market_time FROM runs WHERE market_time IS NOT NULL ORDER BY id DESC LIMIT 1"
            )
        )

    def heard_and_ended(self) -> tuple[datetime | None, datetime | None]:
        """The time that a gateway told last, and when the command that heard it ended by the machine's clock.

        None for what is not known.
        """
        rows = self._file.rows(
            "SELECT market_time, ended_at FROM runs WHERE market_time IS NOT NULL ORDER BY id DESC LIMIT 1"
        )
        return (
            (known_moment(rows[0]["market_time"]), known_moment(rows[0]["ended_at"]))
            if rows
            else (None, None)
        )
