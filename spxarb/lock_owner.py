"""Which process holds a locked file, by the kernel's own word, and how that process is ended.

Nothing here believes a name or a text. A process holds the file when the kernel says so, now:

* by the record lock: beside its flock every job locks one byte far behind the end of the file (`marked_byte`)
  with fcntl(2), and F_GETLK tells the process that has it. POSIX has that, so it needs neither /proc nor a
  pidfd, and it sees through what hides or guards /proc: ProtectProc=, PrivateUsers=, a process that changed
  its user. An editor that locks the file has other bytes of it;
* on Linux also by /proc/<pid>/fdinfo (proc(5)): a descriptor of that process is that very file, and its
  line says that an exclusive flock on it was taken by that process. A child that has inherited the
  descriptor has the line of its parent, so it is not proven.

The record lock alone would make a poor lock: it is gone as soon as the process closes any descriptor of the
file. So it proves, and flock locks; `lock.py` never opens a file twice that it holds. Where both are of one
kind (macOS and the BSDs by their fcntl(2): a flock stands in the way even of its own process, and F_GETLK
answers -1 for it) the byte is locked in an empty file beside the lock, at a place that names the lock's
inode. On a system whose `struct flock` is not known here this proves nothing, and nothing is signalled.

A signal goes through a pidfd, which cannot meet another process that got the same id. Where there is none the
kernel is asked again right before the signal: a process keeps its record lock until it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MARK, INODES = 0x7370_7861 << 32, 1 << 32
"""Where the bytes begin that jobs lock, and how many there are: no other program locks one of them alone."""
BESIDE = ".holder"
"""What the name of the file beside the lock ends with, where the lock itself takes no record lock."""
POLL_SECONDS = 0.05
FLOCK = {"linux": ("hhqqi4x", 0, 2), "darwin": ("qqihh", 3, 0)}
"""`struct flock` by system: layout, places of type and start; length and process follow the start."""


def marked_byte(lock: int) -> int:
    """The byte that the holder of a lock file locks, another for each inode; `lock`: a descriptor of it."""
    return MARK + os.fstat(lock).st_ino % INODES


def mark(handle: int, byte: int) -> bool:
    """Lock the byte by which this process is known; False where the system or another program forbids it."""
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except OSError:
        return False
    return True


def marked_by(handle: int, byte: int) -> int | None:
    """The process that has locked the byte, by fcntl's F_GETLK; None: nobody, or this system does not tell.

    A process never hears of its own. One of another container or machine has no id here.
    """
    known = FLOCK.get(sys.platform)
    if known is None:
        return None
    layout, kind, start = known
    question: list[int] = [0] * len(struct.unpack(layout, bytes(struct.calcsize(layout))))
    question[kind], question[start], question[start + 1] = fcntl.F_WRLCK, byte, 1
    try:
        answer = struct.unpack(layout, fcntl.fcntl(handle, fcntl.F_GETLK, struct.pack(layout, *question)))
    except OSError:
        return None
    exactly = answer[kind] == fcntl.F_WRLCK and answer[start : start + 2] == (byte, 1)
    pid = int(answer[start + 2])
    return pid if exactly and pid > 0 else None


def flocked_by(pid: int, file: os.stat_result) -> bool | None:
    """Whether the process itself has an exclusive flock on the file, by its fdinfo; None: not to be seen."""
    folder = _proc(pid)
    try:
        descriptors = os.listdir(folder / "fd")  # noqa: PTH208 -- names alone, which may vanish
    except OSError:
        return None
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            if not os.path.samestat((folder / "fd" / descriptor).stat(), file):
                continue
            for line in (folder / "fdinfo" / descriptor).read_text(encoding="ascii").splitlines():
                # lock:  1: FLOCK  ADVISORY  WRITE 4711 fe:00:2146511 0 EOF
                if line.startswith("lock:") and line.split()[2:6] == ["FLOCK", "ADVISORY", "WRITE", str(pid)]:
                    return True
    return False


def _proc(pid: int) -> Path:
    """Where the process is seen; nowhere where /proc has the ids of another namespace than signals have.

    So it is in a container that was given the machine's /proc: there the id is another process's.
    """
    with contextlib.suppress(OSError):
        if str(Path("/proc/self").readlink()) == str(os.getpid()):
            return Path(f"/proc/{pid}")
    return Path("/proc/nowhere")


def process_start(pid: int) -> int | None:
    """When the process started, clock ticks since boot (proc(5), stat field 22); None: none is seen."""
    try:
        stat = (_proc(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command name, in parentheses, may itself contain spaces and parentheses.
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else int(rest[18])


def user_of(pid: int) -> int | None:
    """The user as whom the process works (proc(5), status); None: that cannot be seen.

    Not the owner of /proc/<pid>: that is root where a process has changed its user.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        status = (_proc(pid) / "status").read_text(encoding="utf-8", errors="replace")
        for line in status.splitlines():
            if line.startswith("Uid:"):
                return int(line.split()[2])
    return None


def end(pid: int, seconds: dict[signal.Signals, float], *, holds: Callable[[], bool]) -> bool:
    """Send each signal in turn until the process is gone or `holds` nothing more; whether that came to pass.

    `seconds`: how long each signal is waited for. Nothing is sent once it holds nothing. Raises
    PermissionError when it is another user's, OSError when the system forbids to signal it.
    """
    process = _pidfd(pid)
    try:
        for number, patience in seconds.items():
            if not holds():
                return True
            try:
                _send(pid, process, number)
            except ProcessLookupError:
                return True
            if _over(process, patience, holds):
                return True
    finally:
        if process is not None:
            os.close(process)
    return not holds()


def _pidfd(pid: int) -> int | None:
    """A descriptor of the process (Linux 5.3 or newer); None where there is none to be had."""
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        return None
    with contextlib.suppress(OSError):  # gone, or the kernel or a filter of system calls does not know it
        return os.pidfd_open(pid)
    return None


def _send(pid: int, process: int | None, number: signal.Signals) -> None:
    if process is None:
        os.kill(pid, number)
    else:
        signal.pidfd_send_signal(process, number)


def _over(process: int | None, patience: float, holds: Callable[[], bool]) -> bool:
    """Whether the process ends, or gives up what it holds, within so many seconds."""
    poll = select.poll()
    if process is not None:
        poll.register(process, select.POLLIN)
    deadline = time.monotonic() + patience
    while True:
        left = deadline - time.monotonic()
        if poll.poll(max(0.0, min(POLL_SECONDS, left)) * 1000) or not holds():
            return True
        if left <= 0:
            return False
