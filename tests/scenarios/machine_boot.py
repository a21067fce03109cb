"""Boots a real systemd on a throw-away copy of this machine: the inside of `machine.py`, a program of its own.

`keep FOLDER` runs as root in new mount, network, IPC and UTS namespaces whose mounts are private. It puts the
upper layer of an overlay on a tmpfs and starts `become FOLDER` as PID 1 of new PID, cgroup and mount
namespaces, which lays that overlay over the root file system and turns into systemd. When its standard input
ends, by the test's will or with the test, every process of the machine is killed and its control groups are
removed. Its files have never been on a disk.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import stat
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 300.0
"""Seconds after which a machine is ended whatever its test does."""
PR_SET_CHILD_SUBREAPER = 36
"""linux/prctl.h: who inherits orphans."""
GROUP = "spxarb-booted-"
"""What the name of a machine's control group begins with; its keeper's process id follows."""
NODES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}
"""The minor numbers of the devices (major 1) that a machine has: nothing of the hardware."""
DROPPED = "sys_time sys_module sys_rawio syslog mac_admin mac_override audit_control block_suspend wake_alarm"
"""Capabilities that could change the kernel, which is shared: systemd goes without."""
READ_ONLY = ("sys", "sysrq-trigger", "irq", "bus")
"""Parts of /proc that belong to the shared kernel."""
TEMPORARY = {"tmp": "1777", "var/tmp": "1777", "run": "755", "var/log": "755"}
"""Folders with a tmpfs of the machine's own, and their modes: at its start systemd cleans the first two."""
SYSTEMD = "/lib/systemd/systemd"
JOIN = 'echo 0 >"$1/cgroup.procs" && shift && exec "$@"'
DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL"]
NAMESPACES = ["unshare", "--cgroup", "--pid", "--mount", "--propagation", "private", "--fork", "--kill-child"]


def mount(*words: object) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


# --- outside of the machine: its keeper -------------------------------------------------------------------


def keep(folder: Path) -> None:
    """Boot the machine, print its PID 1, and end everything with the standard input."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of every `finally`
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    stage = folder / "stage"
    mount("-t", "tmpfs", "-o", "mode=755", "spxarb-booted", stage)
    for place in ("groups", "root", "work"):
        (stage / place).mkdir()
    subprocess.run(["cp", "-a", folder / "upper", stage / "upper"], check=True)
    mount("-t", "cgroup2", "cgroup2", stage / "groups")
    parent = stage / "groups" / _own_group().lstrip("/")
    _sweep(parent)
    own = parent / f"{GROUP}{os.getpid()}"
    own.mkdir()
    try:
        with _started(folder, own) as init:
            print(_child_of(init.pid), flush=True)
            select.select([sys.stdin, os.pidfd_open(init.pid)], [], [], LONGEST)
    finally:
        _remove(own)
        with suppress(ChildProcessError):
            while True:  # PID 1 of the machine, whose parent is gone
                os.wait()


@contextmanager
def _started(folder: Path, group: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`unshare` with PID 1 of the machine as its child, which dies with it; once that one's root is another.

    Raises RuntimeError where the machine's mounts could not be made.
    """

    moved, moves = os.pipe()
    become = [sys.executable, "-I", __file__, "become", str(folder), str(moves)]
    process = subprocess.Popen(
        ["sh", "-c", JOIN, "sh", str(group), *DIES_WITH_US, *NAMESPACES, *become],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        pass_fds=[moves],
    )
    os.close(moves)
    try:
        if os.read(moved, 1) != b"1":
            raise RuntimeError("the machine's mounts could not be made")
        yield process
    finally:
        process.kill()
        process.wait()


def _own_group() -> str:
    """This process's group in the unified hierarchy: the line of number 0, see cgroups(7)."""
    lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    return next((line[3:] for line in lines if line.startswith("0::")), "/")


def _child_of(pid: int) -> int:
    """The process that `unshare` forked."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])


def _sweep(parent: Path) -> None:
    """Remove the groups of machines whose keeper was killed."""
    for group in parent.glob(f"{GROUP}*"):
        try:
            Path("/proc", group.name.removeprefix(GROUP), "exe").readlink()
        except OSError:  # no such process, or one that is dead and that nobody has waited for
            _remove(group)


def _remove(group: Path) -> None:
    """A group and all below it; its processes are killed, for which the kernel takes a moment."""
    deadline = time.monotonic() + 10
    while group.exists() and time.monotonic() < deadline:
        with suppress(OSError):
            (group / "cgroup.kill").write_text("1", encoding="ascii")
        for folder, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
        time.sleep(0.02)


# --- PID 1 ------------------------------------------------------------------------------------------------


def become(folder: Path, moved: int) -> None:
    """The machine's mounts, then systemd in this process; `moved` hears when the root is another."""
    stage, root = folder / "stage", folder / "stage/root"
    mount("-t", "overlay", "-o", f"lowerdir=/,upperdir={stage}/upper,workdir={stage}/work", "overlay", root)
    for place, mode in TEMPORARY.items():
        mount("-t", "tmpfs", "-o", f"mode={mode},nosuid,nodev", "tmpfs", root / place)
    mount("-t", "proc", "-o", "nosuid,nodev,noexec", "proc", root / "proc")
    for part in (root / "proc" / name for name in READ_ONLY):
        if part.exists():
            _bind_read_only(part, part)
    mount("-t", "sysfs", "-o", "ro,nosuid,nodev,noexec", "sysfs", root / "sys")
    mount("-t", "cgroup2", "-o", "nosuid,nodev,noexec", "cgroup2", root / "sys/fs/cgroup")
    _devices(root / "dev")
    mount("--bind", folder / "console.log", root / "dev/console")
    for line in (folder / "binds").read_text(encoding="utf-8").splitlines():
        source, _, place = line.partition("\t")
        _bind_read_only(source, root / place.lstrip("/"))
    os.chdir(root)
    subprocess.run(["pivot_root", ".", "."], check=True)
    subprocess.run(["umount", "--lazy", "."], check=True)
    os.chdir("/")
    mount("--make-rshared", "/")  # within the machine: systemd's credentials need it
    os.write(moved, b"1")
    os.close(moved)
    without = ",".join(f"-{name}" for name in DROPPED.split())
    options = ["--unit=booted.target", "--log-target=console", "--show-status=no"]
    command = ["setpriv", f"--bounding-set={without}", SYSTEMD, "--system", *options]
    os.execvpe(command[0], command, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "container": "spxarb-booted"})


def _bind_read_only(source: Path | str, place: Path) -> None:
    mount("--bind", source, place)
    mount("-o", "remount,bind,ro", place)


def _devices(place: Path) -> None:
    mount("-t", "tmpfs", "-o", "mode=755,nosuid", "dev", place)
    os.umask(0)
    for name, minor in NODES.items():
        os.mknod(place / name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
    os.mknod(place / "tty", stat.S_IFCHR | 0o666, os.makedev(5, 0))
    os.umask(0o022)
    for folder in ("shm", "pts"):
        (place / folder).mkdir()
    mount("-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "tmpfs", place / "shm")
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=620,gid=5", "devpts", place / "pts")
    (place / "ptmx").symlink_to("pts/ptmx")
    for name, target in {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}.items():
        (place / name).symlink_to(f"/proc/self/fd{target}")
    (place / "console").touch()


if __name__ == "__main__":
    if sys.argv[1] == "keep":
        keep(Path(sys.argv[2]))
    else:
        become(Path(sys.argv[2]), int(sys.argv[3]))
