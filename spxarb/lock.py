"""One writer at a time: a file lock that dies with its process, and a way past a holder that hangs.

The kernel's lock (flock) decides; the text in the file only names its holder. The file is never removed, or
two jobs could hold two locks under one name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import stat
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from spxarb import files
from spxarb.core.model import NEW_YORK
from spxarb.errors import LockedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POLL_SECONDS = 0.05
SIGNATURE_BYTES = 10_000
_SIGNED = b'{"pid":'
"""How the text begins that names the holder."""
KILL_SECONDS = 5.0  # after SIGKILL a process is gone at once, unless the kernel itself hangs


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock. `started`: when its process started, clock ticks since boot; None where unknown.

    A process id is reused after its process has ended; the id together with the start time is not.
    """

    pid: int
    command: str
    since: str
    started: int | None

    def __str__(self) -> str:
        return f"`{self.command}` (process {self.pid}, since {self.since})"


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
    try:
        _sign(handle, command)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
        os.close(handle)


def holder(path: Path) -> Holder | None:
    """Who holds the lock at `path`; None when nobody does or its process has ended.

    The lock itself is not touched, so asking never makes another job wait.
    """
    found = _read(path)
    if found is None or found.started is None:
        return found
    return found if process_start(found.pid) == found.started else None


def terminate_holder(path: Path, grace: float) -> Holder | None:
    """Terminate the job that holds the lock: SIGTERM, then SIGKILL after `grace` seconds.

    Only a process that is proven to have taken the lock, and to be spxarb, is signalled. Returns who was
    terminated, None when nobody held the lock. Raises LockedError when the holder is not proven to be ours,
    or survives.
    """
    found = holder(path)
    if found is None:
        return None
    try:
        process = os.pidfd_open(found.pid)
    except ProcessLookupError:
        return None
    except OSError as error:
        raise _not_ours(found, str(error)) from error
    try:
        if doubt := _doubt(found):
            raise _not_ours(found, doubt)
        if not (_end(process, signal.SIGTERM, grace) or _end(process, signal.SIGKILL, KILL_SECONDS)):
            raise LockedError(f"The job {found} holds the lock and could not be terminated", mend=_MEND)
    except PermissionError as error:
        raise _not_ours(found, "it belongs to another user") from error
    finally:
        os.close(process)
    return found


def process_start(pid: int) -> int | None:
    """When the process started, clock ticks since boot (proc(5), stat field 22); None: no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command name, in parentheses, may itself contain spaces and parentheses.
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else int(rest[18])


_MEND = "Check it (ps, the log) and terminate it yourself if it hangs"


def _acquire(path: Path, deadline: float, on_wait: Callable[[Holder | None], None] | None) -> int:
    """A descriptor that holds the lock."""
    while True:
        handle = _open(path)
        try:
            if _try(handle, path) and _still_there(handle, path):
                return handle
            if on_wait is not None:
                on_wait(holder(path))
                on_wait = None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            who = holder(path)
            raise LockedError(
                f"Another spxarb job holds the lock: {who or path}",
                risk="This job changed nothing",
                mend="Wait until it has finished and run this again; `close-all` terminates a job that hangs",
            )
        time.sleep(min(POLL_SECONDS, remaining))


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


def _read(path: Path) -> Holder | None:
    """The holder named in the file; None when it is empty, half written or not ours."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe keeps nobody waiting
        with os.fdopen(handle, encoding="utf-8") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            signature = json.loads(file.read(SIGNATURE_BYTES))
        started = signature["started"]
        return Holder(
            int(signature["pid"]),
            str(signature["command"]),
            str(signature["since"]),
            None if started is None else int(started),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _doubt(found: Holder) -> str:
    """Why the process may not be the job that took the lock; empty when it is proven."""
    if found.pid == os.getpid():
        return "it is this job itself"
    if found.started is None or process_start(found.pid) != found.started:
        return "its start time does not match"
    try:
        command_line = Path(f"/proc/{found.pid}/cmdline").read_bytes()
    except OSError as error:
        return f"its command line cannot be read: {error.strerror}"
    return "" if b"spxarb" in command_line else "it is not spxarb"


def _end(process: int, sign: signal.Signals, seconds: float) -> bool:
    """Send the signal; whether the process ended within `seconds`."""
    try:
        signal.pidfd_send_signal(process, sign)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _not_ours(found: Holder, why: str) -> LockedError:
    return LockedError(f"The holder of the lock, {found}, was not terminated: {why}", mend=_MEND)


def _unusable(path: Path, error: OSError) -> RefusedError:
    return RefusedError(
        f"The lock {path} cannot be used: {error.strerror or error}",
        risk="Nothing was changed",
        mend=files.mend_of(error, "Give this user write permission there; it must be on a local disk"),
    )
