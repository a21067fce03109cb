"""A machine with a real systemd, for what only systemd can prove: its timers, its hardening, its journal.

`booted` runs systemd as PID 1 of namespaces of its own (`unshare` of util-linux) on an overlay of the root file
system, with a network that has a loopback and nothing else. `/opt/spxarb` is an environment like one that pip
makes, with this tree's program; `spxarb` is linked into /usr/local/bin. Nothing of the machine below is changed:
its files are seen through the overlay, its kernel's settings and devices are read-only or absent, and what runs
inside ends with the test, however that ends.
"""

from __future__ import annotations

import compileall
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent
BOOT = HERE / "machine_boot.py"
PACKAGE = HERE.parents[1] / "spxarb"
OUTER = ["unshare", "--mount", "--net", "--ipc", "--uts", "--propagation", "private"]
SYSTEMD = "/lib/systemd/systemd"
PROGRAMS = ("unshare", "nsenter", "setpriv", "mount", "umount", "pivot_root", "journalctl", SYSTEMD)
INNER = ["unshare", "--pid", "--cgroup", "--fork", "--kill-child"]
NAMESPACES = ("cgroup", "ipc", "uts", "net", "pid", "mnt")
"""As in /proc/PID/ns; the mount namespace last, for the paths of the others are of this one."""
OPTIONS = {"mnt": "mount"}
"""Where nsenter's word is not that of /proc."""
SITE = f"/opt/spxarb/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
TARGET = """\
[Unit]
Description=A machine for a test
Requires=basic.target systemd-journald.service
Wants=timers.target
After=basic.target systemd-journald.service
"""
SCRIPT = """\
#!/opt/spxarb/bin/python
import sys
from spxarb.__main__ import main
sys.exit(main())
"""
OVERLAY = "mount -t overlay -o lowerdir=/,upperdir={0}/u,workdir={0}/w overlay {0}/r"
GROUP = "mkdir {0}/c/spxarb-trial-$$ && rmdir {0}/c/spxarb-trial-$$"
TRIALS = (
    ("new namespaces", "true"),
    ("a tmpfs", "mount -t tmpfs tmpfs {0}"),
    ("an overlay of the root file system", f"mkdir {{0}}/u {{0}}/w {{0}}/r && {OVERLAY}"),
    ("a cgroup2 hierarchy", f"mkdir {{0}}/c && mount -t cgroup2 cgroup2 {{0}}/c && {GROUP}"),
    ("device nodes", "mknod {0}/null c 1 3 && : > {0}/null"),
    ("another root", "cd {0}/r && pivot_root . ."),
)
"""What a machine needs of the one below, and how it is tried, each after those before it."""


def unfit(folder: Path) -> str | None:
    """Why no machine can be booted here, as tried; None where it can."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        return "only root of a Linux machine may"
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"not installed: {', '.join(missing)}"
    steps = ((what, how.format(folder)) for what, how in TRIALS)
    script = "\n".join(f"{{ {how}; }} 2>&1 || {{ echo 'no {what}'; exit 1; }}" for what, how in steps)
    folder.mkdir(exist_ok=True)
    command = [*OUTER, *INNER, "sh", "-c", script]
    tried = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return None if tried.returncode == 0 else f"{tried.stdout}{tried.stderr}".strip().replace("\n", "; ")


class Machine:
    """One that has booted: commands in it, its files, its journal."""

    PATIENCE = 60.0
    """Seconds after which what is waited for has not come."""

    def __init__(self, folder: Path, pid: int, keeper: int) -> None:
        self.folder, self.keeper = folder, keeper
        # Held open, so that a process id given to another process never leads out of the machine.
        self._spaces = {name: os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in NAMESPACES}
        self._root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY)

    def close(self) -> None:
        for descriptor in (*self._spaces.values(), self._root):
            os.close(descriptor)

    def run(self, *words: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """A command as root of the machine."""
        spaces = [f"--{OPTIONS.get(name, name)}=/proc/self/fd/{self._spaces[name]}" for name in NAMESPACES]
        done = subprocess.run(
            ["nsenter", *spaces, "--", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            pass_fds=tuple(self._spaces.values()),
            env={"PATH": "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin", "LANG": "C.UTF-8"},
            cwd="/",
            umask=0o022,
        )
        assert not check or done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def path(self, inside: str) -> Path:
        """A file of the machine, for root of the one below."""
        return Path(f"/proc/self/fd/{self._root}") / inside.lstrip("/")

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        path = self.path(inside)
        if not path.parent.exists():
            self.run("mkdir", "--parents", f"/{inside.lstrip('/').rpartition('/')[0]}")
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    def journal(self, *words: str) -> list[dict[str, Any]]:
        """The entries that journalctl finds with these words, oldest first."""
        lines = self.run("journalctl", "--output=json", "--no-pager", "--quiet", *words, check=False).stdout
        return [json.loads(line) for line in lines.splitlines()]

    def wait(self, what: str, true: Callable[[], object]) -> Any:
        """Look again and again until it is true; fails with the journal when the time is over."""
        end = time.monotonic() + self.PATIENCE
        while not (found := true()):
            if time.monotonic() > end:
                told = self.run("journalctl", "--no-pager", "--lines=60", check=False).stdout
                console = (self.folder / "console.log").read_text(encoding="utf-8", errors="replace")
                pytest.fail(f"never: {what}\n{told}\n{console[-3000:]}")
            time.sleep(0.1)
        return found

    def await_boot(self) -> None:
        """Until systemd has started its target. Raises AssertionError where this is not a machine of its own."""
        assert os.fstat(self._root).st_dev != Path("/").stat().st_dev, "the machine's root is this one's"
        for name, descriptor in self._spaces.items():
            own = Path("/proc/self/ns", name).stat().st_ino
            assert os.fstat(descriptor).st_ino != own, f"{name} is shared"
        assert self.path("/etc/systemd/system/booted.target").exists()

        def is_up() -> bool:
            told = self.run("systemctl", "is-system-running", check=False).stdout.strip()
            return told in {"running", "degraded"}

        self.wait("systemd is up", is_up)

    @property
    def process_space(self) -> int:
        """What names the machine's PID namespace in `/proc/PID/ns/pid` of each of its processes."""
        return os.fstat(self._spaces["pid"]).st_ino


@contextmanager
def booted(folder: Path) -> Iterator[Machine]:
    """A machine that has booted to a target with timers and the journal, and nothing else of this one's services."""
    _prepare(folder)
    with (folder / "keeper.log").open("wb") as log:
        keeper = subprocess.Popen(
            [*OUTER, sys.executable, "-I", str(BOOT), "keep", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            umask=0o022,
            start_new_session=True,  # Ctrl-C is the test's, which then closes the pipe
        )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    machine = None
    try:
        pid = keeper.stdout.readline()
        assert pid, (folder / "keeper.log").read_text(encoding="utf-8")
        machine = Machine(folder, int(pid), keeper.pid)
        machine.await_boot()
        yield machine
    finally:
        if machine:
            machine.close()
        keeper.stdin.close()
        try:
            keeper.wait(30)
        finally:
            keeper.kill()
            keeper.stdout.close()


# --- what is laid over the root file system ---------------------------------------------------------------


def _prepare(folder: Path) -> None:
    """The overlay's upper layer, and what is bound into it: without this machine's services, with the program."""
    upper = folder / "upper"
    for place in ("stage", "upper"):
        (folder / place).mkdir(parents=True)
    (folder / "console.log").touch()
    # An opaque folder hides what is below it: this machine's own services, mounts and generators.
    hidden = ["etc/systemd/system", "usr/local/lib/systemd", "usr/lib/systemd/system-generators"]
    hidden += [str(path).lstrip("/") for path in Path("/usr/lib/systemd/system").glob("*.wants")]
    for place in hidden:
        (upper / place).mkdir(parents=True)
        os.setxattr(upper / place, "trusted.overlay.opaque", b"y")
    interpreter = f"/opt/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    for place, text in {
        "etc/fstab": "",
        "etc/machine-id": f"{1:032x}\n",
        "etc/hostname": "booted\n",
        "etc/systemd/system/booted.target": TARGET,
        "etc/systemd/journald.conf.d/booted.conf": "[Journal]\nStorage=volatile\nForwardToSyslog=no\n",
        "opt/spxarb/bin/spxarb": SCRIPT,
        "opt/spxarb/pyvenv.cfg": "home = /opt/python/bin\ninclude-system-site-packages = false\n",
        f"{SITE[1:]}/dependencies.pth": "/opt/spxarb/dependencies\n",
    }.items():
        (upper / place).parent.mkdir(parents=True, exist_ok=True)
        (upper / place).write_text(text, encoding="utf-8")
    (upper / "opt/spxarb/bin/spxarb").chmod(0o755)
    (upper / "opt/spxarb/bin/python").symlink_to(interpreter)
    _interpreters_library(upper)
    (upper / "usr/local/bin").mkdir(parents=True)
    (upper / "usr/local/bin/spxarb").symlink_to("/opt/spxarb/bin/spxarb")
    shutil.copytree(PACKAGE, upper / SITE[1:] / "spxarb")
    compileall.compile_dir(upper / SITE[1:], quiet=2)  # services may not; what is compiled is left as it is
    binds = {sys.base_prefix: "/opt/python", sysconfig.get_path("purelib"): "/opt/spxarb/dependencies"}
    for place in binds.values():
        (upper / place[1:]).mkdir(parents=True)
    subprocess.run(
        ["chmod", "--recursive", "go=u-w", upper], check=True
    )  # whatever the checkout and the umask say
    (folder / "binds").write_text("".join(f"{source}\t{place}\n" for source, place in binds.items()))


def _interpreters_library(upper: Path) -> None:
    """The interpreter's shared library where every program finds it: its own path may lead into a home.

    It also takes the place of a library of that name that the system brings.
    """
    for library in Path(sys.base_prefix, "lib").glob("libpython3*.so.*"):
        places = {Path("/usr/lib"), *(path.parent for path in Path("/usr/lib").glob(f"*/{library.name}"))}
        for place in places:
            link = upper / place.relative_to("/") / library.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(f"/opt/python/lib/{library.name}")
