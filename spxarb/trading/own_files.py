"""The files that spxarb itself lives by: what a user asks to be written never takes their place."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from spxarb.config.load import default_ledgers
from spxarb.config.own_paths import PathLooks, inode_of, own_files, resolved
from spxarb.core.own_names import alarms_of, lock_of, mark_of, old_lock_of
from spxarb.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from spxarb.config.load import Config

ENVIRONMENT_FILE = ".env"
OTHERS_WRITE = 0o022


def refuse_own_file(target: Path, config: Config) -> None:
    """Raise UsageError where `target` is one of the program's own files, by whatever name or link.

    Beside ledger and log lie files whose names begin with theirs: SQLite's, older logs, backups.
    """
    meant, inode = resolved(target.expanduser()), inode_of(target)
    for own in _own(config):
        if meant == resolved(own) or (inode is not None and inode == inode_of(own)):
            raise _ours(target, f", {own}")
    for own in (config.database_path(), config.log_path()):
        family = resolved(own)
        if meant.parent == family.parent and meant.name.startswith(family.name):
            raise _ours(target, f" beside {own}")


def shared_folder(folder: Path) -> str:
    """A warning where other users may put files beside the ledger; empty where they may not."""
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError:
        return ""
    if not mode & OTHERS_WRITE:
        return ""
    return f"Other users may write in the state folder {folder} (mode {mode:04o}): chmod 700 {folder}"


def _ours(target: Path, which: str) -> UsageError:
    what = f"{target} is a file that spxarb itself needs{which}"
    return UsageError(f"{what}: name another; nothing was written")


def _own(config: Config) -> list[Path]:
    database, log = config.database_path(), config.log_path()
    try:
        others = default_ledgers(config.state_directory)
    except ConfigError:
        others = []
    sources = [config.source] if config.source else []
    found = [file.path for file in own_files(config, database, sources, others, PathLooks())]
    found += [log, lock_of(database), mark_of(database), alarms_of(database)]
    found += filter(None, [old_lock_of(database)])
    found.append(database.with_suffix(".seen"))  # the mark of earlier versions
    found += [folder / ENVIRONMENT_FILE for folder in {Path(), *(file.parent for file in found)}]
    return [*found, *_beside(database), *_beside(log)]


def _beside(file: Path) -> list[Path]:
    try:
        return [other for other in file.parent.iterdir() if other.name.startswith(file.name)]
    except OSError:
        return []
