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
from typing import TYPE_CHECKING, Any, NamedTuple

from spxarb.config.problems import Problem
from spxarb.config.variables import WIRE_VARIABLE
from spxarb.core.own_names import ALARMS, BESIDE, LOCK, MARK, old_lock_of, older_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from spxarb.config.schema import Sections

LOG_KEY, FOLDER_KEY, DATABASE_KEY = "logging.path", "backup.folder", "storage.database"
Inode = tuple[int, int]
"""Device and inode."""
READ_KEYS = ("trading.blackout_file", "notifications.smtp_password_file", "notifications.urls_file")


class OwnFile(NamedTuple):
    """A path of the program's. `what`: its name in a sentence; `key`: the setting to change, may be empty.

    Files of one `role` may be the same.
    """

    text: str
    what: str
    key: str = ""
    role: str = ""

    @property
    def path(self) -> Path:
        return Path(self.text)

    def __str__(self) -> str:
        return f"{self.what} {self.text}"


@dataclass(slots=True)
class PathLooks:
    """Paths as the system resolves them, each looked at once; for what is compared at one time."""

    files: dict[str, tuple[str, Inode | None]] = field(default_factory=dict)
    folders: dict[str, tuple[str, bool]] = field(default_factory=dict)

    def at(self, path: str) -> tuple[str, Inode | None]:
        """The name by which it is compared; device and inode where a regular file is there."""
        if path not in self.files:
            text, inode = self._file(path)
            self.files[path] = _folded(text), inode
        return self.files[path]

    def has_place(self, path: str) -> bool:
        """Whether anything may be there: its folder is not known to be missing."""
        return self._folder(os.path.dirname(path))[1]  # noqa: PTH120 -- a path's object costs more than this

    def _file(self, path: str) -> tuple[str, Inode | None]:
        folder, name = os.path.split(path)
        if name in _NO_NAMES:
            return os.path.realpath(path), inode_of(path)
        above, may_hold = self._folder(folder)
        found = _at_itself(path) if may_hold else None
        if found is not None and stat.S_ISLNK(found.st_mode):
            return os.path.realpath(path), inode_of(path)
        return os.path.join(above, name), _inode(found) if found else None  # noqa: PTH118 -- likewise

    def _folder(self, folder: str) -> tuple[str, bool]:
        """Resolved, and whether it may hold anything; each folder above it is looked at once for all."""
        if folder in self.folders:
            return self.folders[folder]
        names = folder.split("/")[1:]
        if not folder.startswith("/") or not _NO_NAMES.isdisjoint(names):
            self.folders[folder] = os.path.realpath(folder), True
            return self.folders[folder]
        text, above, may_hold = "", "/", True
        for name in names:
            text = f"{text}/{name}"
            if text not in self.folders:
                self.folders[text] = _below(above, name, text) if may_hold else (text, False)
            above, may_hold = self.folders[text]
        return above, may_hold


_NO_NAMES = frozenset({"", ".", ".."})


def _at_itself(path: str) -> os.stat_result | None:
    """What is there, be it a link; None where nothing is, and where it may not be looked at."""
    try:
        return os.lstat(path)
    except (OSError, ValueError):
        return None


def _below(above: str, name: str, text: str) -> tuple[str, bool]:
    """A folder in one that is resolved. Only where no link led to it, it is sure that nothing is in it."""
    path = os.path.join(above, name)  # noqa: PTH118 -- likewise
    try:
        found = os.lstat(path)
    except OSError:
        return path, path != text
    return (os.path.realpath(path) if stat.S_ISLNK(found.st_mode) else path), True


@dataclass(slots=True)
class _Known:
    """The files so far, by their resolved names and by device and inode."""

    looks: PathLooks
    names: dict[str, OwnFile] = field(default_factory=dict)
    inodes: dict[Inode, OwnFile] = field(default_factory=dict)

    def add(self, file: OwnFile) -> OwnFile | None:
        """Know this file too; the one known before, of another role, that is the same."""
        name, inode = self.looks.at(file.text)
        other = self.names.setdefault(name, file)
        twin = self.inodes.setdefault(inode, file) if inode else file
        if other.role != file.role:
            return other
        return twin if twin.role != file.role else None


def resolved(path: Path) -> Path:
    """Without links and `..`, in small letters: there are file systems to which those are the same."""
    return Path(PathLooks().at(os.fspath(path))[0])


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    import unicodedata  # noqa: PLC0415 -- seldom needed

    return unicodedata.normalize("NFC", text).casefold()


def inode_of(path: Path | str) -> Inode | None:
    """Device and inode of a regular file; None for any other: two names of /dev/null do no harm."""
    try:
        return _inode(os.stat(path))  # noqa: PTH116 -- likewise
    except (OSError, ValueError):
        return None


def _inode(found: os.stat_result) -> Inode | None:
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def of_ledger(database: Path, what: str, looks: PathLooks, key: str = "") -> Iterator[OwnFile]:
    """The ledger and what lies beside it."""
    text = str(database)
    yield OwnFile(text, what, key, what)
    yield OwnFile(f"{text}{LOCK}", f"the lock of {what}", key, what)
    yield OwnFile(f"{text}{MARK}", f"the mark of {what}", key, what)
    yield OwnFile(f"{text}{ALARMS}", f"the watchdog's file of {what}", key, what)
    for suffix in BESIDE:
        yield OwnFile(f"{text}{suffix}", f"the {suffix[1:]} file of {what}", key, what)
    if looks.has_place(text) and (old := old_lock_of(database)) is not None and os.path.lexists(old):
        yield OwnFile(str(old), f"the old lock of {what}", key, what)


def own_files(
    sections: Sections,
    database: Path | None,
    sources: Iterable[Path],
    others: Iterable[Path],
    looks: PathLooks,
) -> Iterator[OwnFile]:
    """Every file of the program but the log, the weightiest first. `others`: where ledgers may be."""
    for source in sources:
        yield OwnFile(str(source), "the configuration's", role="sources")
    if database is not None:
        yield from of_ledger(database, DATABASE_KEY, looks, DATABASE_KEY)
    own = None if database is None else looks.at(str(database))[0]
    for other in others:
        if looks.at(str(other))[0] != own:
            yield from of_ledger(other, "another mode's ledger", looks)
    for key in READ_KEYS:
        section, _, name = key.partition(".")
        path = getattr(getattr(sections, section), name)
        if path is not None:
            yield OwnFile(str(path), key, key, "read")


def clashes(
    sections: Sections, log: Path | None, wire_folder: Path | None, known: Sequence[OwnFile], looks: PathLooks
) -> list[Problem]:
    """A problem for each path that is another one's too; its key is the one to leave out."""
    files, problems = _Known(looks), list[Problem]()
    outputs = [OwnFile(str(log), LOG_KEY, LOG_KEY, LOG_KEY)] if log else []
    older = older_names(str(log)) if log else []
    outputs += [OwnFile(name, "an older log", LOG_KEY, LOG_KEY) for name in older]
    if sections.backup.folder is not None:
        outputs.append(OwnFile(str(sections.backup.folder), FOLDER_KEY, FOLDER_KEY, "folders"))
    if wire_folder is not None:
        outputs.append(OwnFile(str(wire_folder), WIRE_VARIABLE, WIRE_VARIABLE, "folders"))
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
