"""No two of the program's paths may name one file: one of them would destroy the other.

Names are compared as the system resolves them (links, `..`, letters that a file system may mix), and
files that are there by device and inode (hard links). What is found is a problem of the configuration: an
exit goes on all the same, without the less important of the two.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spxarb.config.problems import Problem
from spxarb.config.variables import WIRE_VARIABLE
from spxarb.core.own_names import alarms_of, beside, lock_of, mark_of, old_lock_of, older_logs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from spxarb.config.schema import Sections

LOG_KEY, FOLDER_KEY, DATABASE_KEY = "logging.path", "backup.folder", "storage.database"
READ_KEYS = ("trading.blackout_file", "notifications.smtp_password_file", "notifications.urls_file")


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A path of the program's. `what`: its name in a sentence; `key`: the setting to change, may be empty.

    Files of one `role` may be the same.
    """

    path: Path
    what: str
    key: str = ""
    role: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.path}"


@dataclass(slots=True)
class _Known:
    """The files so far, by their resolved names and by device and inode."""

    names: dict[str, OwnFile] = field(default_factory=dict)
    inodes: dict[tuple[int, int], OwnFile] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    """Each folder as it is resolved: most of the files share one."""

    def add(self, file: OwnFile) -> OwnFile | None:
        """Know this file too; the one known before, of another role, that is the same."""
        name, inode = _name(file.path, self.folders), inode_of(file.path)
        found = [self.names.setdefault(name, file), self.inodes.setdefault(inode, file) if inode else None]
        return next((other for other in found if other is not None and other.role != file.role), None)


def resolved(path: Path) -> Path:
    """Without links and `..`, in small letters: there are file systems to which those are the same."""
    return Path(_name(path, {}))


def _name(path: Path, folders: dict[str, str]) -> str:
    """`folders`: as resolved before, for paths that are resolved at one time; it learns this one's."""
    text = _real(os.fspath(path), folders)
    if text.isascii():
        return text.lower()
    import unicodedata  # noqa: PLC0415 -- seldom needed

    return unicodedata.normalize("NFC", text).casefold()


def _real(path: str, folders: dict[str, str]) -> str:
    folder, name = os.path.split(path)
    if name in {"", ".", ".."} or os.path.islink(path):  # noqa: PTH114 -- a path's object costs more than this
        return os.path.realpath(path)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    return os.path.join(folders[folder], name)  # noqa: PTH118 -- likewise


def inode_of(path: Path) -> tuple[int, int] | None:
    """Device and inode of a regular file; None for any other: two names of /dev/null do no harm."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- likewise
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def of_ledger(database: Path, what: str, key: str = "") -> Iterator[OwnFile]:
    """The ledger and what lies beside it."""
    named = [
        (database, what),
        (lock_of(database), f"the lock of {what}"),
        (mark_of(database), f"the mark of {what}"),
        (alarms_of(database), f"the watchdog's file of {what}"),
    ]
    named += [(file, f"the {file.name.rpartition('-')[2]} file of {what}") for file in beside(database)]
    if (old := old_lock_of(database)) is not None and os.path.lexists(old):
        named.append((old, f"the old lock of {what}"))
    return (OwnFile(path, name, key, what) for path, name in named)


def own_files(
    sections: Sections, database: Path | None, sources: Iterable[Path], others: Iterable[Path]
) -> Iterator[OwnFile]:
    """Every file of the program but the log, the weightiest first. `others`: where ledgers may be."""
    for source in sources:
        yield OwnFile(source, "the configuration's", role="sources")
    if database is not None:
        yield from of_ledger(database, DATABASE_KEY, DATABASE_KEY)
    folders: dict[str, str] = {}
    for other in others:
        if database is None or _name(other, folders) != _name(database, folders):
            yield from of_ledger(other, "another mode's ledger")
    for key in READ_KEYS:
        section, _, name = key.partition(".")
        path = getattr(getattr(sections, section), name)
        if path is not None:
            yield OwnFile(path, key, key, "read")


def clashes(
    sections: Sections, log: Path | None, wire_folder: Path | None, known: Sequence[OwnFile]
) -> list[Problem]:
    """A problem for each path that is another one's too; its key is the one to leave out."""
    files, problems = _Known(), list[Problem]()
    outputs = [OwnFile(log, LOG_KEY, LOG_KEY, LOG_KEY)] if log else []
    outputs += [OwnFile(file, "an older log", LOG_KEY, LOG_KEY) for file in (older_logs(log) if log else [])]
    if sections.backup.folder is not None:
        outputs.append(OwnFile(sections.backup.folder, FOLDER_KEY, FOLDER_KEY, "folders"))
    if wire_folder is not None:
        outputs.append(OwnFile(wire_folder, WIRE_VARIABLE, WIRE_VARIABLE, "folders"))
    for file in (*known, *outputs):
        other = files.add(file)
        if other is not None and (key := file.key or other.key):
            problems.append(Problem(f"{file} and {other} are one file: each needs a name of its own", key))
    return list({problem.key: problem for problem in reversed(problems)}.values())


def without_clashes(sections: Sections, problems: Sequence[Problem], *, log_has_place: bool) -> Sections:
    """The sections without what would destroy another file; a log without a place of its own has none."""
    keys = {problem.key for problem in problems}
    changed: dict[str, Any] = {}
    if LOG_KEY in keys:
        update: Mapping[str, Any] = {"path": None} if log_has_place else {"file": False}
        changed["logging"] = sections.logging.model_copy(update=update)
    if FOLDER_KEY in keys:
        changed["backup"] = sections.backup.model_copy(update={"folder": None})
    return sections.model_copy(update=changed) if changed else sections
