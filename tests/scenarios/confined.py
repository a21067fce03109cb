"""A program that tries what a confined service must not do, and prints what became of each try as JSON.

It runs in place of the command, under the restrictions of its unit: `test_timers_fire.py` puts it there. Each
try ends as "done" or as the name of the error that stopped it (errno).
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000
ADDR_NO_RANDOMIZE = 0x0040000
STATE = "/var/lib/spxarb"
OUTSIDE = "192.0.2.1"
"""An address of the machine that stands for any host but the gateway's (RFC 5737): its ports are closed."""


def called(function: str, *arguments: object) -> None:
    """A function of the C library. Raises OSError where it failed."""
    ctypes.set_errno(0)
    if getattr(LIBC, function)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), function)


def write(folder: str) -> None:
    with tempfile.TemporaryFile(dir=folder):
        pass


def connect(host: str, port: int) -> None:
    socket.create_connection((host, port), timeout=1).close()


def run_a_copy(folder: str) -> None:
    copy = Path(folder, "copy-of-true")
    shutil.copy("/usr/bin/true", copy)
    try:
        subprocess.run([str(copy)], check=True)
    finally:
        copy.unlink()


def set_user_id() -> None:
    path = Path(STATE, "set-user-id")
    path.touch()
    try:
        path.chmod(0o4700)
    finally:
        path.unlink()


FACTS = ("Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Umask")
"""Lines of /proc/PID/status, see proc(5)."""
TRIES: dict[str, Callable[[], object]] = {
    "write its state": lambda: write(STATE),
    "write /tmp": lambda: write("/tmp"),
    "write /etc": lambda: write("/etc"),
    "write /usr/local/bin": lambda: write("/usr/local/bin"),
    "write /opt/spxarb": lambda: write("/opt/spxarb"),
    "write /var/lib": lambda: write("/var/lib"),
    "list /root": lambda: list(Path("/root").iterdir()),
    "list /home": lambda: list(Path("/home").iterdir()),
    "read /etc/shadow": lambda: Path("/etc/shadow").read_bytes(),
    "see PID 1": lambda: Path("/proc/1").stat(),
    "read the kernel's symbols": lambda: Path("/proc/kallsyms").read_bytes(),
    "open the console": lambda: os.close(os.open("/dev/console", os.O_RDONLY)),
    "make memory that is written and run": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
    "run a program of its state": lambda: run_a_copy(STATE),
    "run a program of /tmp": lambda: run_a_copy("/tmp"),
    "make a program set-user-id": set_user_id,
    "mount": lambda: called("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "make a user namespace": lambda: called("unshare", CLONE_NEWUSER),
    "set the host name": lambda: called("sethostname", b"confined", 8),
    "change its personality": lambda: called("personality", ADDR_NO_RANDOMIZE),
    "run in real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "open a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "reach the gateway": lambda: connect("127.0.0.1", 4002),
    "reach another host": lambda: connect(OUTSIDE, 4002),
}


def places() -> dict[str, str]:
    """The mounts, each with its options; where two lie upon each other, the upper one."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return {line.split()[4]: line.split()[5] for line in lines}


def tried(how: Callable[[], object]) -> str:
    try:
        how()
    except TimeoutError:
        return "ETIMEDOUT"
    except OSError as problem:
        return errno.errorcode.get(problem.errno or 0, str(problem))
    return "done"


def main() -> None:
    wanted = sys.argv[1:] or list(TRIES)
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    facts = {name: " ".join(status[name].split()) for name in FACTS}
    tries = {what: tried(TRIES[what]) for what in wanted}
    print(json.dumps({"status": facts, "places": places(), "tries": tries}), flush=True)


if __name__ == "__main__":
    main()
