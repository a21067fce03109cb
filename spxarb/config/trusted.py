"""How files of somebody's choosing are read: bounded, never waited for, and only from hands that are trusted.

What decides about money or holds a secret (configuration, `.env`, blackouts, passwords, addresses) is read
only where nobody but this user and root could have written it: the file, and each folder on the way to it,
belong to one of them and can be written by no other, as sshd's StrictModes wants it. A folder such as /tmp,
where everybody may make files and nobody may touch another's (its sticky bit), keeps a file that was named
safe; a file that is merely looked for there (`.env`, `./config.yaml`) may be a trap, and is refused.

Symbolic links are followed, for /etc is full of them: a link's own folder is judged like any other on the
way, so nobody else can turn it. What was judged is then opened without following any more, and compared on
the handle.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ROOT = 0
MOST_BYTES = 1_000_000
"""No file that is read whole is as large, unless its reader says so."""
MOST_LINKS = 40
"""As the kernel's own limit (path_resolution(7))."""
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_ID_MAP, _NO_ID = Path("/proc/self/uid_map"), Path("/proc/sys/kernel/overflowuid")


_kept: dict[Path, Content] = {}
"""What was read as another user: see `keep`."""
_handles: dict[Path, int] = {}
"""Open descriptors of it."""


class Trust(Enum):
    """Who may have written a file that is read.

    ANYBODY: data that the user names on the command line. NAMED: this user or root alone. FOUND: likewise,
    and its folder is one in which nobody else makes files.
    """

    ANYBODY = "anybody"
    NAMED = "named"
    FOUND = "found"


class UntrustedError(OSError):
    """A file that others may have written; `strerror` says why, and how to mend it"""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds, and its permissions. `cut`: it is longer than that."""

    raw: bytes
    mode: int
    cut: bool = False

    @property
    def for_everybody(self) -> bool:
        """Whether every user of the machine may read it."""
        return bool(self.mode & stat.S_IROTH)


def read_bytes(path: Path, trust: Trust = Trust.NAMED, most: int = MOST_BYTES) -> bytes:
    """The bytes of a regular file. Raises OSError, also for what is too large, and UntrustedError."""
    found = read(path, trust, most)
    if found.cut:
        raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes")
    return found.raw


def read(path: Path, trust: Trust = Trust.NAMED, most: int = MOST_BYTES) -> Content:
    """Likewise; of a larger file its beginning. Raises OSError and UntrustedError."""
    if trust is not Trust.ANYBODY and (kept := _kept.get(path.absolute())) is not None:
        return kept
    handle = open_regular(path, trust)
    try:
        return _content_of(handle, most)
    finally:
        os.close(handle)


def _content_of(handle: int, most: int) -> Content:
    with os.fdopen(handle, "rb", closefd=False) as file:
        raw = file.read(most + 1)
    if raw is None:  # /proc/kmsg calls itself a regular file, and would be waited for
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return Content(raw[:most], stat.S_IMODE(os.fstat(handle).st_mode), len(raw) > most)


def keep(path: Path, trust: Trust) -> None:
    """Remember a file that is trusted now: this process may become a user who cannot read it.

    Raises OSError and UntrustedError.
    """
    whole = path.absolute()
    _handles[whole] = open_regular(path, trust)
    _kept[whole] = _content_of(_handles[whole], MOST_BYTES)


def is_kept(path: Path) -> bool:
    """Whether what a file holds is known, whoever this process is by now."""
    return path.absolute() in _kept


def pass_on() -> dict[str, int]:
    """What was kept, for the program that takes this process's place: open descriptors by their paths."""
    for handle in _handles.values():
        os.set_inheritable(handle, True)
    return {str(path): handle for path, handle in _handles.items()}


def take_over(passed: Mapping[str, int]) -> None:
    """Keep what this process's program before has passed on. Raises OSError."""
    for path, handle in passed.items():
        os.set_inheritable(handle, False)
        os.lseek(handle, 0, os.SEEK_SET)
        _judge_handle(handle, Path(path), None)
        _kept[Path(path)] = _content_of(handle, MOST_BYTES)
        os.close(handle)


def open_regular(path: Path, trust: Trust = Trust.NAMED) -> int:
    """A descriptor that reads a regular file. Raises OSError, also for a pipe or a device, and
    UntrustedError.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    if trust is Trust.ANYBODY:
        place, seen, handle = path, None, os.open(path, flags)
    else:
        place, seen = _judged(path, trust)
        if not stat.S_ISREG(seen.st_mode) and not stat.S_ISDIR(seen.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")  # before a device is opened: that may act
        handle = os.open(place, flags | os.O_NOFOLLOW)
    try:
        _judge_handle(handle, place, seen)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _judge_handle(handle: int, place: Path, seen: os.stat_result | None) -> None:
    """Raises OSError, and UntrustedError where it is not what was `seen`; None: whoever wrote it."""
    found = os.fstat(handle)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if seen is not None:
        if (found.st_dev, found.st_ino) != (seen.st_dev, seen.st_ino):
            raise UntrustedError(errno.EPERM, "it was replaced while it was looked at: try again")
        _judge_file(place, found)


def is_ours_alone(path: Path) -> bool:
    """Whether it is a regular file of this very user, which nobody else but root can have written.

    Its folder does not matter: who may write there can take it away, but put nothing in its place that was
    not this user's already.
    """
    try:
        seen = path.lstat()
        _judge_mode(path, seen, "it")
    except OSError:
        return False
    return stat.S_ISREG(seen.st_mode) and seen.st_uid == os.geteuid()


# --- whose it is ----------------------------------------------------------------------------------------


def _judged(path: Path, trust: Trust) -> tuple[Path, os.stat_result]:
    """Where the path leads, and what is there. Raises OSError; UntrustedError where others may have turned
    it.
    """
    here, links = Path("/"), 0
    _judge_folder(here, os.lstat(here))
    waiting = list(reversed(path.absolute().parts[1:]))
    while waiting:
        name = waiting.pop()
        if name == "..":
            here = here.parent
            continue
        place = here / name
        found = os.lstat(place)
        if not waiting and trust is Trust.FOUND:
            _judge_place(here)
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            _judge_owner(place, found, f"the link {place}")
            target = str(place.readlink())
            here = Path("/") if target.startswith("/") else here
            waiting += [part for part in reversed(target.split("/")) if part not in {"", "."}]
            continue
        if not waiting:
            return place, found
        _judge_folder(place, found)
        here = place
    return here, os.lstat(here)


def _judge_place(folder: Path) -> None:
    """Raises UntrustedError where others may make files, for one that is merely looked for there."""
    mode = os.lstat(folder).st_mode
    if mode & _OTHERS_WRITE:
        raise UntrustedError(
            errno.EPERM,
            f"others may make files in its folder {folder} (mode {stat.S_IMODE(mode):04o}): "
            + ("use a folder of your own" if mode & stat.S_ISVTX else f"`chmod go-w {folder}`"),
        )


def _judge_folder(path: Path, found: os.stat_result) -> None:
    """Raises UntrustedError where others may put another file into the place of one in it."""
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    _judge_owner(path, found, f"the folder {path}")
    if not found.st_mode & stat.S_ISVTX:
        _judge_mode(path, found, f"the folder {path}")


def _judge_file(path: Path, found: os.stat_result) -> None:
    """Raises UntrustedError where others may write it."""
    _judge_owner(path, found, "it")
    _judge_mode(path, found, "it")


def _judge_owner(path: Path, found: os.stat_result, what: str) -> None:
    if found.st_uid in _trusted():
        return
    # Where this name space of users has no root, nobody's number stands for his (systemd's PrivateUsers= in a
    # unit of a user). A folder is then taken for his; a file only where none but he makes any.
    may_be_roots = stat.S_ISDIR(found.st_mode) or path.parts[:2] == ("/", "etc")
    if may_be_roots and found.st_uid in _unknown_owners():
        return
    owner = _user(found.st_uid)
    raise UntrustedError(errno.EPERM, f"{what} belongs to {owner}, and neither to this user nor to root")


def _judge_mode(path: Path, found: os.stat_result, what: str) -> None:
    if found.st_mode & _OTHERS_WRITE:
        mode = f"{stat.S_IMODE(found.st_mode):04o}"
        raise UntrustedError(errno.EPERM, f"others may write {what} (mode {mode}): `chmod go-w {path}`")


def _trusted() -> Collection[int]:
    return {os.geteuid(), ROOT}


def _unknown_owners() -> Collection[int]:
    """The number that stands for owners without one here, where root is one of them."""
    with suppress(OSError, ValueError):
        ranges = [tuple(map(int, line.split())) for line in _ID_MAP.read_text().splitlines()]
        if not any(first <= ROOT < first + count for first, _, count in ranges):
            return {int(_NO_ID.read_text())}
    return ()


def _user(number: int) -> str:
    import pwd  # noqa: PLC0415 -- only a refusal needs it

    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except (KeyError, OSError):
        return f"user {number}"
