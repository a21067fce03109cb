"""The files that spxarb itself lives by: what a user asks to be written never takes their place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from spxarb.errors import UsageError

if TYPE_CHECKING:
    from spxarb.config.load import Config

ENVIRONMENT_FILE = ".env"


def refuse_own_file(target: Path, config: Config, lock: Path) -> None:
    """Raise UsageError where `target` is one of the program's own files, by whatever name or link.

    Beside ledger and log lie files whose names begin with theirs: SQLite's, older logs, backups.
    """
    database, log = config.database_path(), config.log_path()
    beside = [database.with_suffix(suffix) for suffix in (".seen", ".watchdog")]
    single = [lock, *beside, *([config.source] if config.source else [])]
    single += [folder / ENVIRONMENT_FILE for folder in {Path(), *(file.parent for file in single)}]
    if config.trading.blackout_file is not None:
        single.append(config.trading.blackout_file)
    meant = _real(target)
    families = [_real(database), _real(log)]
    if (
        any(meant.parent == own.parent and meant.name.startswith(own.name) for own in families)
        or meant in {_real(file) for file in single}
        or any(_same(target, file) for file in [database, log, *single, *_beside(database), *_beside(log)])
    ):
        raise UsageError(f"{target} is a file that spxarb itself needs: name another; nothing was written")


def _beside(file: Path) -> list[Path]:
    try:
        return [other for other in file.parent.iterdir() if other.name.startswith(file.name)]
    except OSError:
        return []


def _real(file: Path) -> Path:
    """Without links, also where it does not exist yet."""
    return Path(os.path.normcase(file.expanduser().resolve(strict=False)))


def _same(one: Path, other: Path) -> bool:
    """Whether both are one file, by a hard link, say."""
    try:
        return one.samefile(other)
    except OSError:
        return False
