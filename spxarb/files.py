"""Every file that spxarb writes is opened, made and put in place here, and nowhere else.

No link is followed, nothing but a regular file is opened (a device only where one is allowed, by name),
nothing waits for who reads a pipe, and a file of another user is refused: in a folder where others may write,
a name can stand for anything. What is refused is an OSError: a caller tells it as it tells a full disk.

Files are their owner's alone (0600), folders too (0700). SQLite opens its files itself: `check` looks first.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = ".spxarb-"
"""What the name of a file begins with that is not whole yet."""
SQLITE = b"SQLite format 3\x00"
"""How every database of SQLite begins."""
_DEVICES = frozenset({"/dev/null", "/dev/full", "/dev/zero", "/dev/tty", "/dev/console"})
_STREAM = re.compile(r"/dev/(?:fd/(\d+)|std(out|err))|/proc/self/fd/(\d+)")
_HEAD = 4096
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_NOT_IN_TEXT = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1b") | {127}


class FileRefusedError(OSError):
    """A file that is not opened for writing, whatever the rights say. `mend`: what to do, may be empty."""

    def __init__(self, why: str, mend: str = "") -> None:
        super().__init__(errno.EPERM, why)
        self.mend = mend


def mend_of(error: OSError, otherwise: str) -> str:
    """What to do about a failure to open a file; `otherwise` where the refusal does not say."""
    return getattr(error, "mend", "") or otherwise


# --- opening --------------------------------------------------------------------------------------


def open_to_write(
    path: Path, *, append: bool = False, new: bool = False, read: bool = False, alone: bool = True
) -> int:
    """A descriptor of a regular file of ours, 0600, made where there is none.

    `append`: every write goes to its end. `new`: it must not exist yet (FileExistsError). `read`: readable
    too. `alone`: refused where another name stands for the same file. Raises OSError.
    """
    if new and os.path.lexists(path):  # a link too, wherever it leads
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    check(path, alone=alone)
    flags = _FLAGS | os.O_CREAT | (os.O_RDWR if read else os.O_WRONLY)
    handle = os.open(path, flags | (os.O_APPEND if append else 0) | (os.O_EXCL if new else 0), 0o600)
    try:
        found = os.fstat(handle)
        _judge(found, alone=alone)  # what is open, not what had the name a moment ago
        if stat.S_IMODE(found.st_mode) != 0o600:
            os.fchmod(handle, 0o600)
    except BaseException:
        os.close(handle)
        raise
    return handle


def stream_of(path: Path) -> int | None:
    """The number of the open stream of this process that `path` names, such as /dev/stdout; else None."""
    found = _STREAM.fullmatch(os.path.normpath(path.absolute()))
    return int(found[1] or found[3] or {"out": 1, "err": 2}[found[2]]) if found else None


def open_stream(path: Path) -> int | None:
    """A descriptor where `path` names an allowed device or an open stream of this process; else None.

    A device keeps its mode. Raises OSError.
    """
    named = os.path.normpath(path.absolute())
    if (number := stream_of(path)) is not None:
        return os.dup(number)
    try:
        kind = path.lstat().st_mode
    except OSError:
        return None
    if not stat.S_ISCHR(kind) or not (named in _DEVICES or named.startswith("/dev/pts/")):
        return None
    handle = os.open(path, os.O_WRONLY | _FLAGS)
    if stat.S_ISCHR(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise FileRefusedError("it is not a regular file")


def check(path: Path, *, alone: bool = False) -> None:
    """Raise OSError unless the name is free or stands for a regular file of ours; nothing is opened."""
    with suppress(FileNotFoundError):
        _judge(path.lstat(), alone=alone)


def descriptors() -> frozenset[int]:
    """The descriptors that this process has open; empty where the system does not list them."""
    with suppress(OSError, ValueError):
        listed = map(int, os.listdir("/dev/fd"))  # noqa: PTH208 -- numbers, not paths
        return frozenset(number for number in listed if _is_open(number))
    return frozenset()


def _is_open(number: int) -> bool:
    """Whether it still is: that which listed them all is not."""
    with suppress(OSError):
        os.fstat(number)
        return True
    return False


def check_opened(before: frozenset[int]) -> None:
    """Raise OSError where a regular file that was opened since `before` is neither ours nor root's.

    For what a library opens by its name: the name may have been given to another file since it was checked.
    """
    owners = set[int]()
    for number in descriptors() - before if before else ():
        with suppress(OSError):
            found = os.fstat(number)
            owners |= {found.st_uid} if stat.S_ISREG(found.st_mode) else set()
    if strangers := owners - {os.geteuid(), 0}:
        raise FileRefusedError(f"a file of {user_name(min(strangers))} was put in its place")


def check_kind(path: Path) -> None:
    """As `check`, whoever owns the file: for one that is only read."""
    with suppress(FileNotFoundError):
        _judge_kind(path.lstat())


def check_beside(path: Path, main: Path) -> None:
    """As `check_kind`, and whose it is: ours, root's, or his whose `main` is."""
    with suppress(FileNotFoundError):
        found = path.lstat()
        _judge_kind(found)
        if found.st_uid not in {os.geteuid(), 0, main.lstat().st_uid}:
            raise FileRefusedError(f"it belongs to {user_name(found.st_uid)}", "Move it away")


def _judge(found: os.stat_result, *, alone: bool) -> None:
    _judge_kind(found)
    if found.st_uid != os.geteuid():
        me = user_name(os.geteuid())
        raise FileRefusedError(
            f"it belongs to {user_name(found.st_uid)}, not to {me}",
            f"Run this as its owner, or give the file to {me} (`chown`, as root) while no job runs",
        )
    if alone and found.st_nlink > 1:
        raise FileRefusedError("another name stands for the same file (a hard link)", "Remove the other name")


def _judge_kind(found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise FileRefusedError("it is a symbolic link, and none is followed", "Name the file itself")
    if stat.S_ISDIR(found.st_mode):
        raise FileRefusedError("it is a folder: Is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise FileRefusedError("it is not a regular file")


def user_name(uid: int) -> str:
    """The user's name, or his number where he has none here."""
    import pwd  # noqa: PLC0415 -- only a refusal needs it

    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"user {uid}"


# --- content --------------------------------------------------------------------------------------


def head_of(handle: int) -> bytes:
    """How an open regular file begins; empty for what cannot be read."""
    with suppress(OSError):
        return os.pread(handle, _HEAD, 0)
    return b""


def not_text(head: bytes) -> str:
    """Why a file that begins so holds no lines of text, in words; empty where it may."""
    if head.startswith(SQLITE):
        return "it is a database"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3 or len(head) < _HEAD:  # else a letter that the head's end cuts
            return "it holds no text"
    return "" if _NOT_IN_TEXT.isdisjoint(head) else "it holds no text"


def is_database(path: Path) -> bool:
    """Whether a file that is there and can be read is a database of SQLite."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY | _FLAGS)
        try:
            return stat.S_ISREG(os.fstat(handle).st_mode) and head_of(handle).startswith(SQLITE)
        finally:
            os.close(handle)
    return False


# --- making and putting in place ------------------------------------------------------------------


def create(path: Path) -> None:
    """Make an empty file, 0600. No descriptor: closing one would drop this process's locks on the file.

    Raises FileExistsError, also for a link that leads nowhere, OSError.
    """
    try:
        os.mknod(path, 0o600)
    except PermissionError:  # on macOS it is root's alone
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600))


def make_folder(path: Path, *, mode: int = 0o700) -> None:
    """Make a folder and those above it that are missing, each with that mode. Raises OSError."""
    for folder in reversed([path, *path.parents]):
        if not folder.exists():
            folder.mkdir(mode=mode, exist_ok=True)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def close_to_others(path: Path) -> None:
    """A file of ours becomes 0600, without being opened. Raises OSError."""
    found = path.lstat()
    if stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) != 0o600:
        path.chmod(0o600)


@contextmanager
def private_folder(prefix: str, place: Path | None = None) -> Iterator[Path]:
    """A new folder, 0700, in `place` (else where the system keeps such), gone after the block."""
    import tempfile  # noqa: PLC0415 -- few commands need it

    with tempfile.TemporaryDirectory(prefix=prefix, dir=place) as name:
        yield Path(name)


def write_new(path: Path, text: str) -> None:
    """Write a file that must not exist yet. Raises FileExistsError, OSError."""
    with os.fdopen(open_to_write(path, new=True), "w", encoding="utf-8") as file:
        file.write(text)


def write_whole(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write the text to `path` whole or not at all, in place of a file of ours that was there.

    Who reads it never meets half of it. A device, or a stream such as /dev/stdout, is written into. Raises
    OSError, and then leaves what was there as it was; also for a database, which no text replaces.
    """
    if (stream := open_stream(path)) is not None:
        with os.fdopen(stream, "w", encoding="utf-8", newline="") as device:
            device.write(text)
        return
    check(path)
    if is_database(path):
        raise FileRefusedError("it is a database", "Name another file")
    import tempfile  # noqa: PLC0415 -- likewise

    handle, name = tempfile.mkstemp(prefix=PREFIX, dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            if mode != 0o600:  # a unit of systemd is everybody's to read
                os.fchmod(handle, mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def copy_new(source: Path, target: Path) -> None:
    """The bytes of a regular file as a new one, 0600. Raises FileExistsError, OSError."""
    with source.open("rb") as content, os.fdopen(open_to_write(target, new=True), "wb") as file:
        while block := content.read(1 << 20):
            file.write(block)


def name_finished(part: Path, target: Path) -> None:
    """Give a finished file its name, but never over another. Raises FileExistsError, OSError."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise FileExistsError(target) from None
        part.rename(target)


def keep_aside(path: Path, aside: Path) -> None:
    """A second name for a file, so that at every moment one is at `path`. Raises OSError."""
    try:
        os.link(path, aside, follow_symlinks=False)
    except OSError:  # a file system without links: for a moment there is none
        path.rename(aside)


def rename(path: Path, target: Path) -> None:
    """Another name for a file, in place of what had it. Raises OSError."""
    path.replace(target)


def sync_folder(folder: Path) -> None:
    """What was renamed there stays so after a crash of the machine."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
