"""Putting a ledger back: a copy is unpacked beside it, proven, marked as restored, and takes its place.

The ledger that was there is kept. The copy knows nothing of what happened since it was made, so it is marked:
until a job that may act has compared the account with it, nothing counts as quiet and nothing is entered.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from spxarb import files, logs
from spxarb.core.model import NEW_YORK
from spxarb.core.own_names import mark_of
from spxarb.core.results.backup import RestoreResult
from spxarb.core.sentences import lower_first
from spxarb.errors import RefusedError, UsageError
from spxarb.ledger.copies import LedgerCopy, proven, put_in_place, sealed
from spxarb.ledger.ledger import Ledger
from spxarb.trading import archive

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from spxarb.config.load import Config
    from spxarb.core.matters import Matter

_SQLITE = b"SQLite format 3\x00"
_GZIP = b"\x1f\x8b"
STOPPED = "entries were stopped"


@dataclass(frozen=True, slots=True)
class _Present:
    """The ledger that is there now; `why`: it cannot be read, and so nothing is known of it."""

    account: str | None = None
    tag: str = ""
    digest: str = ""
    open_trades: tuple[str, ...] = ()
    handed_over: tuple[int, ...] = ()
    stopped: str | None = None
    matters: tuple[Matter, ...] = ()
    day_stops: tuple[dict[str, Any], ...] = ()
    why: str = ""


class Restoring:
    """One copy on its way into the ledger's place."""

    def __init__(self, config: Config, file: Path) -> None:
        self._config, self._file = config, file
        self._path = config.database_path().absolute()
        self._mode = config.trading.mode
        self._now = datetime.now(NEW_YORK)

    @contextmanager
    def logged(self) -> Iterator[None]:
        """The log as configured, and files that are the owner's alone."""
        os.umask(0o077)
        logs.setup(self._config)
        try:
            yield
        finally:
            logs.shutdown()

    def check(self) -> RestoreResult:
        """Restore elsewhere and compare the digest. Raises RefusedError for a copy that is not whole."""
        try:
            with files.private_folder("spxarb-check-") as scratch:
                copy, manifest = self._unpacked(scratch)
                what = self._proven(copy, manifest, force=False)
                present = self._present(look_into=False)
                self._must_be_ours(what, present)
                return self._result(copy, what, manifest, present, check=True)
        except OSError as error:
            raise RefusedError(
                f"{self._file} could not be checked: {error.strerror or error}",
                risk="Nothing was changed",
                mend="Free some space in the folder for temporary files ($TMPDIR), and run this again",
            ) from error

    def restore(self, *, force: bool) -> RestoreResult:
        """Put the copy in place, under the lock. Raises RefusedError, and has changed nothing then."""
        try:
            files.make_folder(self._path.parent)
            with files.private_folder(".restore-", self._path.parent) as scratch:
                copy, manifest = self._unpacked(scratch)
                what = self._proven(copy, manifest, force=force)
                present = self._present()
                self._must_be_ours(what, present)
                if present.open_trades and not force:
                    raise self._over_open(present)
                result = self._result(copy, what, manifest, present, check=False)
                self._prepare(copy, present, result.made_at)
                return self._swapped(copy, result, present)
        except OSError as error:
            raise RefusedError(
                f"The ledger could not be restored to {self._path}: {error.strerror or error}",
                risk="The ledger that was there is still there",
                mend="Free some space, or give this user the right to write there, and run this again",
            ) from error

    # --- the copy ---------------------------------------------------------------------------------

    def _unpacked(self, scratch: Path) -> tuple[Path, archive.Manifest | None]:
        """The copy as a file of its own, and its manifest, which a plain copy has not."""
        copy = scratch / archive.LEDGER
        try:
            kind = self._file.stat().st_mode
            if not stat.S_ISREG(kind):
                raise UsageError(f"{self._file} is not a file")
            with self._file.open("rb") as file:
                head = file.read(len(_SQLITE))
        except OSError as error:
            raise UsageError(f"{self._file} cannot be read: {error.strerror or error}") from None
        if self._file.resolve() == self._path.resolve():
            raise UsageError(f"{self._file} is the ledger itself: name a copy of it")
        if head.startswith(_GZIP):
            return copy, archive.unpack(self._file, copy)
        if head != _SQLITE:
            raise archive.no_backup(self._file, "it is neither a backup nor a SQLite file")
        files.copy_new(self._file, copy)
        log = self._file.with_name(f"{self._file.name}-wal")
        if log.is_file():
            files.copy_new(log, copy.with_name(f"{copy.name}-wal"))
        return copy, None

    def _proven(self, copy: Path, manifest: archive.Manifest | None, *, force: bool) -> LedgerCopy:
        try:
            what = proven(copy, self._mode)
        except RefusedError as error:
            why = error.what.replace(str(copy), str(self._file)).replace(f"{copy.name} ", f"{self._file} ")
            raise RefusedError(
                why, risk="Nothing was changed", mend=error.mend or "Take another copy"
            ) from error
        if manifest is not None and what.digest != manifest.digest:
            raise RefusedError(
                f"The backup {self._file} is damaged: the digest of its content is another",
                risk="Nothing was changed",
                mend="Take another backup",
            )
        if what.broken and not force:
            raise RefusedError(
                f"{self._file} is not consistent: {what.broken} rows name another that is not there",
                risk="Nothing was changed",
                mend="Take another copy, or restore this one all the same with --force",
            )
        return what

    # --- the ledger that is there -----------------------------------------------------------------

    def _present(self, *, look_into: bool = True) -> _Present:
        """What the ledger that is there says; one that cannot be read can be used by no command either.

        `look_into`: its trades too, for which an older one is upgraded.
        """
        try:
            if not Ledger.exists(self._path):
                return _Present(why="there was none")
            what = proven(self._path, self._mode)
            if not look_into:
                return _Present(what.account, what.tag, what.digest)
            with Ledger.open(self._path, mode=self._mode, read_only=True) as ledger:
                handed_over = tuple(trade.id for trade in ledger.trades.open() if trade.handed_over)
                trades = [str(trade.id) for trade in ledger.trades.open()]
                trades += [f"{row}" for row in ledger.trades.unreadable_open()]
                on, reason = ledger.state.is_trading(), ledger.state.trading_reason()
                matters, day_stops = tuple(ledger.matters.open()), tuple(ledger.stops.rows())
        except RefusedError as error:
            return _Present(why=f"it could not be read: {lower_first(error.what)}")
        stopped = None if on else reason or STOPPED
        seen = what.account, what.tag, what.digest
        return _Present(*seen, tuple(trades), handed_over, stopped, matters, day_stops)

    def _must_be_ours(self, what: LedgerCopy, present: _Present) -> None:
        """Raises RefusedError for the ledger of another account."""
        own = present.account or self._config.ib.account
        if own and what.account and own != what.account:
            raise RefusedError(
                f"{self._file} is the ledger of account {what.account}, and this one is of {own}",
                risk="Nothing was changed",
                mend="Name the other account's storage.database, or another copy",
            )

    def _over_open(self, present: _Present) -> RefusedError:
        trades = ", ".join(present.open_trades)
        return RefusedError(
            f"The ledger {self._path} has open trades ({trades}), which an older copy may not know",
            risk="Nothing was changed",
            mend="Close them first (`spxarb close-all`), or restore all the same with --force",
        )

    # --- taking its place -------------------------------------------------------------------------

    def _prepare(self, copy: Path, present: _Present, made_at: datetime | None) -> None:
        """Mark the copy as restored, and keep what holds entries back: stopped, or for a human to see."""
        with Ledger.open(copy, mode=self._mode) as ledger, ledger.write():
            # A simulated day is not the machine's: there the newest time told counts.
            at = (ledger.looks.heard() if self._mode == "sim" else None) or self._now
            ledger.looks.note_restored(at, made_at)
            ledger.runs.end(ledger.runs.begin("restore", [str(self._file)], at), at, 0, None)
            if present.stopped is not None:
                ledger.state.set_trading(False, present.stopped, at)
            elif present.why and self._mode == "live":
                ledger.state.set_trading(False, "restored: `start` allows entries", at)
            ledger.stops.keep(present.day_stops)
            for matter in present.matters:
                known = matter.trade_id if ledger.trades.knows(matter.trade_id) else None
                ledger.matters.raise_(matter.key, matter.text, known, at)
        with sealed(copy):
            pass

    def _swapped(self, copy: Path, result: RestoreResult, present: _Present) -> RestoreResult:
        stem = f"{self._path.name}.before-restore-{self._now:%Y%m%dT%H%M%S}"
        aside = self._path.with_name(stem)
        number = 1
        while aside.exists():
            number += 1
            aside = self._path.with_name(f"{stem}-{number}")
        with sealed(self._path) as db:
            if db is not None and not present.why:
                self._must_be_as_seen(db, present)
            mark_of(self._path).unlink(missing_ok=True)
            kept = put_in_place(copy, self._path, aside)
        return replace(result, restored=True, kept=str(aside) if kept else None)

    def _must_be_as_seen(self, db: sqlite3.Connection, present: _Present) -> None:
        """Raises RefusedError when entries were stopped or allowed since: `stop` waits for no lock."""
        on, reason = db.execute("SELECT is_trading, trading_reason FROM system_state").fetchone()
        if (None if on else reason or STOPPED) != present.stopped:
            raise RefusedError(
                f"Entries were {'allowed' if on else 'stopped'} in the ledger {self._path} meanwhile",
                risk="Nothing was changed",
                mend="Run this again",
            )

    # --- the result -------------------------------------------------------------------------------

    def _result(
        self,
        copy: Path,
        what: LedgerCopy,
        manifest: archive.Manifest | None,
        present: _Present,
        *,
        check: bool,
    ) -> RestoreResult:
        with Ledger.open(copy, mode=self._mode, read_only=True) as ledger:
            open_trades = tuple(trade.id for trade in ledger.trades.open())
        made_at = datetime.fromisoformat(manifest.made_at) if manifest else what.newest
        return RestoreResult(
            "restore",
            self._now,
            self._mode,
            file=str(self._file),
            check=check,
            ledger=str(self._path),
            made_at=made_at,
            digest=what.digest,
            digest_matches=None if manifest is None else what.digest == manifest.digest,
            same_as_ledger=None if present.why else what.digest == present.digest,
            open_trades=open_trades,
            left_out=manifest.left_out if manifest else (),
            notes=tuple(self._notes(what, manifest, present, check=check)),
        )

    def _notes(
        self, what: LedgerCopy, manifest: archive.Manifest | None, present: _Present, *, check: bool
    ) -> Sequence[str]:
        notes = []
        if manifest is None:
            notes.append(
                "This is a plain copy: it tells no digest of its own, and every page of it is whole."
            )
        if present.tag and present.tag != what.tag:
            notes.append("The ledger that is there is another one than the copy is of.")
        if present.why:
            notes.append(f"Of the ledger at {self._path} nothing is known: {present.why}.")
        if what.broken:
            notes.append(f"{what.broken} rows name another that is not there.")
        if check:
            return notes
        notes.append(
            "What happened since the copy was made is not in it. The next command that connects compares "
            "the account with it before anything is entered: run `spxarb monitor` now."
        )
        notes += [
            f"Trade {trade} was handed over, which the copy may not know: run `spxarb hand-over {trade}` "
            "before `spxarb monitor`, or it is traded again."
            for trade in present.handed_over
        ]
        if present.matters:
            notes.append(f"Open matters of the ledger that was there are kept: {len(present.matters)}.")
        if present.stopped is not None:
            notes.append("Entries stay stopped, as they were.")
        elif present.why and self._mode == "live":
            notes.append("Entries are stopped until `spxarb start`: whether they were is not known.")
        return notes
