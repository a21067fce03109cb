"""What `backup` and `restore` answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.result import Result

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class BackupResult(Result):
    """A backup that was made, and read back."""

    file: str | None = None
    bytes: int | None = None
    digest: str | None = None
    """SHA-256 of the ledger's content: every row of every table."""
    contents: tuple[str, ...] = ()
    """The files in it."""
    left_out: tuple[str, ...] = ()
    """Settings that are secrets, or may be: they are in no backup."""
    deleted: tuple[str, ...] = ()
    """Backups that were older than `backup.keep_days` days."""


@dataclass(frozen=True, kw_only=True)
class RestoreResult(Result):
    """A ledger that was put back from a copy, or with `--check` only proven whole."""

    file: str | None = None
    check: bool = False
    """Whether the copy was only looked at."""
    restored: bool = False
    ledger: str | None = None
    """Where the ledger is."""
    kept: str | None = None
    """Where the ledger that was there before is now; null when there was none."""
    made_at: datetime | None = None
    """When the copy was made; of a plain copy, when its newest command began."""
    digest: str | None = None
    """SHA-256 of the content of the restored ledger."""
    digest_matches: bool | None = None
    """Whether the content is what it was when the backup was made; a plain copy tells none: null."""
    same_as_ledger: bool | None = None
    """Whether the ledger that was there had the same content; null when there was none to compare."""
    open_trades: tuple[int, ...] = ()
    """Trades that are open in the copy."""
    left_out: tuple[str, ...] = ()
    """Settings that are not in the backup: secrets."""
