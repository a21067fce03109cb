"""Making a backup: the ledger as it is now, with configuration and log, and older backups deleted."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import time
from typing import TYPE_CHECKING

import spxarb
from spxarb import files
from spxarb.config.secrets import files_without_secrets, secret_values
from spxarb.core.backup_names import backup_name, of_day, too_old
from spxarb.errors import RefusedError, UsageError, as_failure
from spxarb.ledger.copies import copy_ledger, proven
from spxarb.ledger.ledger import Ledger
from spxarb.trading import archive

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

    from spxarb.config.load import Config
    from spxarb.ledger.copies import LedgerCopy

log = logging.getLogger(__name__)

MOST_OF_ONE_SECOND = 100


@dataclass(frozen=True, slots=True)
class MadeBackup:
    """A backup on the disk. `deleted`: older ones that went; `notes`: sentences."""

    file: Path
    size: int
    manifest: archive.Manifest
    deleted: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def folder_of(config: Config) -> Path:
    """`backup.folder`, else `backups` beside the ledger."""
    return config.backup.folder or config.database_path().absolute().parent / "backups"


def make_backup(config: Config, now: datetime, output: Path | None = None) -> MadeBackup:
    """Back the ledger up while others may write it, read the backup back, delete those that are too old.

    Raises RefusedError when there is no ledger, when it is not whole or nothing can be written, UsageError
    for an `output` that exists. `now`: the market's time.
    """
    path, mode = config.database_path().absolute(), config.trading.mode
    if not Ledger.exists(path):
        raise RefusedError(f"There is no ledger at {path}", mend="The first job makes it; look at `doctor`")
    folder = output.absolute().parent if output else folder_of(config)
    try:
        if output is None:
            files.make_folder(folder)
        elif os.path.lexists(output):
            raise UsageError(f"{output} exists: name another file")
        with files.private_folder(".backup-", folder) as scratch:
            copy = scratch / archive.LEDGER
            copy_ledger(path, copy)
            what = proven(copy, mode)
            manifest, target = _pack(config, now, what, copy, output)
            _read_back(target, manifest, scratch / "read-back.db")
        deleted = () if output else tuple(_prune(folder, what, now.date(), config.backup.keep_days))
    except OSError as error:
        raise RefusedError(
            f"No backup could be made in {folder}: {error.strerror or error}",
            risk="The ledger was not changed",
            mend="Free some space, or set backup.folder to a place that this user may write",
        ) from error
    notes = [f"{what.broken} rows of the ledger name another that is not there"] if what.broken else []
    return MadeBackup(target, target.stat().st_size, manifest, deleted, tuple(notes))


def _pack(
    config: Config, now: datetime, what: LedgerCopy, copy: Path, output: Path | None
) -> tuple[archive.Manifest, Path]:
    """Write the archive, under a name that is free."""
    settings, left_out = files_without_secrets(config)
    texts = {name: text.encode() for name, text in settings.items()}
    with suppress(OSError):  # no log, or one that may not be read; a pipe or a device has no end
        if config.log_path().is_file():
            texts[archive.LOG] = _without(config.log_path().read_bytes(), secret_values(config))
    digests = {archive.LEDGER: archive.digest_of(copy)}
    digests |= {name: archive.digest_of_bytes(text) for name, text in texts.items()}
    manifest = archive.Manifest(
        format=archive.FORMAT,
        program=spxarb.__version__,
        made_at=now.isoformat(),
        mode=what.mode,
        account=what.account,
        tag=what.tag,
        version=what.version,
        digest=what.digest,
        files=digests,
        left_out=tuple(left_out),
    )
    if output is not None:
        archive.pack(output.absolute(), manifest, copy, texts)
        return manifest, output.absolute()
    for number in range(1, MOST_OF_ONE_SECOND):
        target = folder_of(config) / backup_name(what.mode, what.tag, now, number)
        with suppress(FileExistsError):
            archive.pack(target, manifest, copy, texts)
            return manifest, target
    raise FileExistsError(f"{MOST_OF_ONE_SECOND} backups of one second")


def _without(text: bytes, secrets: list[str]) -> bytes:
    for secret in secrets:
        text = text.replace(secret.encode(), b"***")
    return text


def _read_back(target: Path, manifest: archive.Manifest, scratch: Path) -> None:
    """What was written can be read, and is what it should be; else it is removed again."""
    try:
        same = archive.unpack(target, scratch) == manifest
    except RefusedError:
        same = False
    if not same:
        target.unlink(missing_ok=True)
        raise RefusedError(
            f"The backup {target} did not read back as it was written, and is removed",
            risk="The ledger was not changed",
            mend="Check the disk and its log",
        )


def _prune(folder: Path, what: LedgerCopy, today: date, keep_days: int) -> list[Path]:
    """Delete this ledger's backups that are too old; one that cannot be deleted stays."""
    deleted = []
    for name in too_old((file.name for file in folder.iterdir()), what.mode, what.tag, today, keep_days):
        with suppress(OSError):
            (folder / name).unlink()
            deleted.append(folder / name)
    return deleted


def daily_backup(
    config: Config, ledger: Ledger, now: datetime, close: time = time.min
) -> tuple[Path | None, str]:
    """The day's backup, unless there is one of after its close: the file, and a sentence. Nothing is raised.

    Without a file the sentence says why there is none; it is empty where none was wanted.
    """
    if not config.backup.daily:
        return None, ""
    folder, mode = folder_of(config), config.trading.mode
    try:
        names = [file.name for file in folder.iterdir()] if folder.is_dir() else []
        if made := of_day(names, mode, ledger.tag, now.date(), close if now.time() >= close else time.min):
            return folder / made[-1], ""
        backup = make_backup(config, now)
    except Exception as error:  # noqa: BLE001 -- whatever it is, what was settled is settled
        failure = as_failure(error)
        log.warning("no backup was made: %s", failure)
        return None, f"No backup was made today: {failure}"
    return backup.file, f"Backed up to {backup.file}."
