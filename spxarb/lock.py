"""One writer at a time: a file lock that dies with its process, and a way past a holder that hangs.

The kernel's lock (flock) decides. Who holds it is the kernel's word too (`lock_owner.py`): the text in the
file only gives a process that is proven its command and time. What a text names, what has the file open, what
is called spxarb, is never signalled for that. The file is never removed, or two jobs could hold two locks
under one name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import stat
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from spxarb import files, lock_owner
from spxarb.core.model import NEW_YORK
from spxarb.errors import LockedError, RefusedError
from spxarb.lock_owner import process_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POLL_SECONDS = 0.05
UNSIGNED = "spxarb"
"""The command of a holder that the lock names by its process alone."""
OTHER_USER = "it belongs to another user"
SIGNATURE_BYTES = 10_000
_SIGNED = b'{"pid":'
"""How the text begins that names the holder."""
KILL_SECONDS = 5.0  # after SIGKILL a process is gone at once, unless the kernel itself hangs


_HELD: list[int] = []
"""The descriptors by which this process holds locks."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock. `started`: when its process started, clock ticks since boot; None where unknown.

    A process id is reused after its process has ended; the id together with the start time is not. So a
    signature is that of the process that the kernel names only when both are the same.
    """

    pid: int
    command: str
    since: str
    started: int | None

    def __str__(self) -> str:
        since = f", since {self.since}" if self.since else ""
        return f"`{self.command}` (process {self.pid}{since})"


@contextmanager
def job_lock(
    path: Path,
    *,
    command: str,
    timeout: float,
    on_wait: Callable[[Holder | None], None] | None = None,
) -> Iterator[None]:
    """Hold the lock at `path` while the block runs; wait for it at most `timeout` seconds.

    If there is a wait, `on_wait` is called once, with the holder. Raises LockedError (exit 7) naming the
    holder after `timeout`, RefusedError (exit 5) when the file cannot be used.
    """
    handle = _acquire(path, time.monotonic() + timeout, on_wait)
    beside: int | None = None
    try:
        _HELD.append(handle)
        beside = _prove(handle, path)
        _sign(handle, command)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
        if beside is not None:
            os.close(beside)
        with contextlib.suppress(ValueError):  # a signal may have come before it was there
            _HELD.remove(handle)
        os.close(handle)


def holder(path: Path) -> Holder | None:
    """Who holds the lock at `path`, as far as the kernel tells; None when nobody does.

    The lock itself is not touched, so asking never makes another job wait. A job that could not sign the file
    (a full disk), or whose signature was overwritten, is known by its process alone.
    """
    if (own := _own(path)) is not None:
        return _signature(own) or Holder(os.getpid(), UNSIGNED, "", process_start(os.getpid()))
    with _looked_at(path) as handle:
        if handle is None:
            return None
        signed, pid = _signature(handle), _marked_by(path, handle)
        if pid is not None:
            return signed if _is_of(signed, pid) else Holder(pid, UNSIGNED, "", process_start(pid))
        if signed is None or signed.started is None or process_start(signed.pid) != signed.started:
            return None
        return None if lock_owner.flocked_by(signed.pid, os.fstat(handle)) is False else signed


def terminate_holder(path: Path, grace: float) -> Holder | None:
    """Terminate the job that holds the lock: SIGTERM, then SIGKILL after `grace` seconds.

    Only a process of this user's that is proven by the lock itself is signalled. Returns who was terminated,
    None when nobody held the lock. Raises LockedError when the holder is not proven, or survives.
    """
    if _free(path):
        return None
    found = holder(path)
    if found is None:
        raise LockedError(
            f"The lock {path} is held by a process that is not proven to be a job of this user's, so nothing "
            "was signalled",
            mend=f"`lsof {path}` names who has the file open: end it yourself if it hangs",
        )
    try:
        if doubt := _doubt(path, found):
            raise _not_ours(found, doubt)
        patience = {signal.SIGTERM: grace, signal.SIGKILL: KILL_SECONDS}
        if not lock_owner.end(found.pid, patience, holds=lambda: _is_holder(path, found)):
            raise LockedError(f"The job {found} holds the lock and could not be terminated", mend=_MEND)
    except PermissionError as error:
        raise _not_ours(found, OTHER_USER) from error
    except OSError as error:
        raise _not_ours(found, error.strerror or str(error)) from error
    return found


_MEND = "Check it (ps, the log) and terminate it yourself if it hangs"


def _acquire(path: Path, deadline: float, on_wait: Callable[[Holder | None], None] | None) -> int:
    """A descriptor that holds the lock."""
    while True:
        handle = _taken(path)
        if handle is not None:
            return handle
        if on_wait is not None:
            on_wait(holder(path))
            on_wait = None
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            who = holder(path)
            raise LockedError(
                f"Another spxarb job holds the lock: {who or path}",
                risk="This job changed nothing",
                mend="Wait until it has finished and run this again; `close-all` terminates a job that hangs",
            )
        time.sleep(min(POLL_SECONDS, remaining))


def _taken(path: Path) -> int | None:
    """A descriptor that holds the lock; None while another does."""
    if _own(path) is not None:
        return None
    handle = _open(path)
    try:
        if _try(handle, path) and _still_there(handle, path):
            return handle
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _open(path: Path) -> int:
    """A descriptor of the lock's file, made where there is none. Raises RefusedError."""
    try:
        files.make_folder(path.parent)
        handle = files.open_to_write(path, read=True, alone=False)
    except OSError as error:
        raise _unusable(path, error) from error
    if _is_a_lock(files.head_of(handle)):
        return handle
    os.close(handle)
    raise _unusable(path, files.FileRefusedError("it is not a lock of spxarb", "Move that file away"))


def _is_a_lock(head: bytes) -> bool:
    """Whether a file that begins so is a lock: empty, signed, or what a crash leaves of that."""
    text = head.rstrip(b"\0")
    return text.startswith(_SIGNED) or _SIGNED.startswith(text)


def _try(handle: int, path: Path) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno == errno.EINTR:
            return False
        raise _unusable(path, error) from error
    return True


def _still_there(handle: int, path: Path) -> bool:
    """Whether the locked file is still the one at `path`: it may have been removed or replaced."""
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(handle)
    return (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)


def _sign(handle: int, command: str) -> None:
    since = datetime.now(NEW_YORK).isoformat(timespec="seconds")
    pid = os.getpid()
    text = json.dumps(asdict(Holder(pid, command, since, process_start(pid))))
    with contextlib.suppress(OSError):  # a full disk: the lock holds without a name too
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(), 0)


def _prove(handle: int, path: Path) -> int | None:
    """Lock the byte by which the kernel names this process, in the lock or beside it; the file beside it.

    Without it the lock holds all the same.
    """
    byte = lock_owner.marked_byte(handle)
    if lock_owner.mark(handle, byte):
        return None
    beside = None
    with contextlib.suppress(RefusedError):
        beside = _open(_beside(path))
        lock_owner.mark(beside, byte)
    return beside


def _beside(path: Path) -> Path:
    return path.with_name(path.name + lock_owner.BESIDE)


def _own(path: Path) -> int | None:
    """The descriptor by which this process holds the lock at `path`; None where it does not.

    A second descriptor must not be opened then: to close it would undo the record lock.
    """
    with contextlib.suppress(OSError):
        named = path.stat()
        return next((handle for handle in _HELD if os.path.samestat(os.fstat(handle), named)), None)
    return None


@contextmanager
def _looked_at(path: Path) -> Iterator[int | None]:
    """A descriptor that reads the file; None where there is no file to read. A pipe keeps nobody waiting."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        yield None
        return
    try:
        yield handle if stat.S_ISREG(os.fstat(handle).st_mode) else None
    finally:
        os.close(handle)


def _marked_by(path: Path, handle: int) -> int | None:
    """The process that has locked the byte of the lock's holder, in the lock or beside it."""
    byte = lock_owner.marked_byte(handle)
    if (pid := lock_owner.marked_by(handle, byte)) is not None:
        return pid
    with _looked_at(_beside(path)) as beside:
        return None if beside is None else lock_owner.marked_by(beside, byte)


def _signature(handle: int) -> Holder | None:
    """The holder named in the file; None when it is empty, half written or not ours."""
    try:
        signature = json.loads(os.pread(handle, SIGNATURE_BYTES, 0))
        started = signature["started"]
        return Holder(
            int(signature["pid"]),
            str(signature["command"]),
            str(signature["since"]),
            None if started is None else int(started),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _is_of(signed: Holder | None, pid: int) -> bool:
    """Whether this process has signed, and not an earlier one with its id, as far as start times are seen."""
    if signed is None or signed.pid != pid:
        return False
    started = process_start(pid)
    return signed.started == started or None in {signed.started, started}


def _free(path: Path) -> bool:
    """Whether nobody holds the lock; also where it cannot be looked at: whoever takes it is told why."""
    if _own(path) is not None:
        return False
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        return _try(handle, path)
    finally:
        os.close(handle)


def _is_holder(path: Path, found: Holder) -> bool:
    """Whether the process holds the lock now, by the kernel's word."""
    with _looked_at(path) as handle:
        if handle is None:
            return False
        if (pid := _marked_by(path, handle)) is not None:
            return pid == found.pid
        same = found.started is not None and process_start(found.pid) == found.started
        return same and lock_owner.flocked_by(found.pid, os.fstat(handle)) is True


def _doubt(path: Path, found: Holder) -> str:
    """Why the process is not proven to be this user's job that holds the lock; empty when it is."""
    if found.pid == os.getpid():
        return "it is this job itself"
    if not _is_holder(path, found):
        return "the system does not say that it holds the lock"
    user = lock_owner.user_of(found.pid)
    with contextlib.suppress(OSError):
        if user is None:  # the file is its owner's alone
            user = path.stat().st_uid
    return "" if user == os.geteuid() else OTHER_USER


def _not_ours(found: Holder, why: str) -> LockedError:
    return LockedError(f"The holder of the lock, {found}, was not terminated: {why}", mend=_MEND)


def _unusable(path: Path, error: OSError) -> RefusedError:
    return RefusedError(
        f"The lock {path} cannot be used: {error.strerror or error}",
        risk="Nothing was changed",
        mend=files.mend_of(error, "Give this user write permission there; it must be on a local disk"),
    )
