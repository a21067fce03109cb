"""Starting the program's processes without paying for its imports each time.

The scenarios start some thousands of commands, and most of what one costs is Python's start and its imports.
While `warm()` lasts, ``python -m spxarb ...`` and ``python -m spxarb.sim ...`` that `subprocess` is asked for
are forked by a parent that has imported them: see `tests/scenarios/warm_parent.py`. Everything else about such a process
is its own. What the parent cannot give truly (another interpreter's options, a changed locale, limits, more
descriptors) is started anew; so is everything with COLD_STARTS=1, and where the system lacks the means.
The tests of starting itself (`tests/test_startup.py`, `tests/cli/`, the pages' examples) are never warm.

One parent serves all workers of a run; the first of them that needs it finds it ready, because pytest starts it
while they collect (`tests/conftest.py`). A process forked by it is its child, not ours: how it ended comes by a pipe.
"""

from __future__ import annotations

import atexit
import inspect
import json
import os
import resource
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ADDRESS = "SPXARB_WARM_PARENT"
"""The variable that tells a run's workers where its parent listens."""
WARM_PARENT = Path(__file__).with_name("warm_parent.py")
MODULES = ("spxarb", "spxarb.sim")
SAFE = "-P"
"""The interpreter's option that leaves the folder out of the path: the one that the warm parent can give."""
DECIDES_A_START = (
    "PYTHON",
    "LC_",
    "LANG",
    "LD_",
    "TERMINAL_WIDTH",
    "FORCE_",
    "NO_COLOR",
    "PY_COLORS",
    "GITHUB_",
)
"""Variables that are read while Python starts or libraries are imported: they must be as the parent's."""
SET_LATER = "PYTHONDONTWRITEBYTECODE"
"""The one of them that a running Python can be given."""
CLOCK = Path(__file__).with_name("clock")
"""Of PYTHONPATH a running Python can be given this alone: it sets the process's clock."""
LIMITS = [number for name, number in vars(resource).items() if name.startswith("RLIMIT_")]
READY_SECONDS = 60.0
LOOK_SECONDS = 1.0
"""So often who waits for a process looks whether another thread has been told already."""

Cold = subprocess.Popen
SIGNATURE = tuple(inspect.signature(Cold._execute_child).parameters)  # type: ignore[attr-defined]
KNOWN = (
    *("self", "args", "executable", "preexec_fn", "close_fds", "pass_fds", "cwd", "env", "startupinfo"),
    *("creationflags", "shell", "p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite"),
    *("restore_signals", "gid", "gids", "uid", "umask", "start_new_session", "process_group"),
)
STAYS = (None, None, None), (-1, -1, None)
"""The ids that Popen passes on where it was given none, before and since Python 3.12."""
CODE_BYTES = 4
UNKNOWN = 255
scripts: set[str] = set()
"""Texts for ``python -c`` that may be run warm: they must not mind that the program is imported."""


@dataclass(frozen=True)
class FilesUpTo:
    """A `preexec_fn` of which the parent knows what it does: no file of the process can have more bytes."""

    size: int

    def __call__(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.size))


class Warm(Cold):  # type: ignore[type-arg]
    """A Popen whose process is forked by the warm parent where that makes no difference."""

    _ended: int | None = None
    """Of a process that the parent forked: where it tells how that ended."""

    def _execute_child(self, *arguments: Any) -> None:
        given = dict(zip(KNOWN[1:], arguments, strict=True))
        forked = self._forked(given)
        if forked is None:
            super()._execute_child(*arguments)  # type: ignore[misc]
            return
        parent, wanted = forked
        streams = [given["p2cread"], given["c2pwrite"], given["errwrite"]]
        folder = os.fspath(given["cwd"] or Path.cwd())
        order = {
            "words": wanted,
            "environment": _environment(given),
            "folder": folder,
            "session": given["start_new_session"],
            "safe": SAFE in given["args"][1:2],
            "user": _another_user(given),
            "files_up_to": given["preexec_fn"].size if given["preexec_fn"] else None,
        }
        standard = [own if own != -1 else at for at, own in enumerate(streams)]
        self.pid, self._ended = parent.child(order, standard)
        self._child_created = True
        ends = [given[name] for name in KNOWN[11:17]]
        self._close_pipe_fds(*ends)  # type: ignore[attr-defined]

    def _forked(self, given: dict[str, Any]) -> tuple[Parent, list[str]] | None:
        """Which parent forks it, and its words after the interpreter; None where it is started anew."""
        words = _wanted(given)
        return None if words is None else (_parent(), words)

    def _internal_poll(self, *arguments: Any, **options: Any) -> int | None:
        if self._ended is None:
            code: int | None = super()._internal_poll(*arguments, **options)  # type: ignore[misc]
            return code
        return self._told(0)

    def _wait(self, timeout: float | None) -> int:
        if self._ended is None:
            return int(super()._wait(timeout=timeout))  # type: ignore[misc]
        until = None if timeout is None else monotonic() + timeout
        while (
            code := self._told(LOOK_SECONDS if until is None else min(until - monotonic(), LOOK_SECONDS))
        ) is None:
            if until is not None and monotonic() >= until:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def _told(self, seconds: float) -> int | None:
        """How it ended, as `returncode` says it; None if that is not known within these seconds."""
        ended = self._ended
        if self.returncode is None and ended is not None:
            told = select.poll()
            told.register(ended, select.POLLIN)
            if not told.poll(max(seconds, 0) * 1000):
                return None
            with self._waitpid_lock:  # type: ignore[attr-defined]
                if self.returncode is None:
                    code = os.read(ended, CODE_BYTES)
                    os.close(ended)
                    # Without a word the parent is gone, and nobody knows any more.
                    self.returncode = int.from_bytes(code, "little", signed=True) if code else UNKNOWN
        return self.returncode


def _environment(given: dict[str, Any]) -> dict[str, str]:
    return dict(os.environ if given["env"] is None else given["env"])


@cache
def closed_to_others() -> tuple[str, ...]:
    """The folders above the program, its Python and its libraries that not every user may enter, outermost first."""
    modules = (find_spec(name) for name in ("os", "pytest", "spxarb"))
    files = [sys.executable, os.path.realpath(sys.executable)]
    files += [module.origin for module in modules if module is not None and module.origin is not None]
    folders = dict.fromkeys(folder for file in files for folder in reversed(Path(file).parents))
    return tuple(str(folder) for folder in folders if folder.stat().st_mode & 0o005 != 0o005)


def _another_user(given: dict[str, Any]) -> tuple[int, int, list[int]] | None:
    """The ids of the user and of his groups; None where it stays as it is."""
    ids = given["uid"], given["gid"], given["gids"]
    return None if ids in STAYS else ids


def _wanted(given: dict[str, Any]) -> list[str] | None:
    """The words after the interpreter; None for what must be started anew."""
    words = given["args"]
    if isinstance(words, str | bytes | os.PathLike):
        return None
    interpreter, *rest = map(os.fspath, words)
    rest = rest[1:] if rest[:1] == [SAFE] else rest
    known = rest[:1] == ["-m"] and rest[1:2] != [] and rest[1] in MODULES
    known = known or (rest[:1] == ["-c"] and rest[1:2] != [] and rest[1] in scripts)
    plain = given["close_fds"] and given["restore_signals"] and given["umask"] == -1
    odd = ("pass_fds", "startupinfo", "creationflags", "shell")
    if interpreter != sys.executable or not known or not plain or any(given[name] for name in odd):
        return None
    if not isinstance(given["preexec_fn"], FilesUpTo | None):
        return None
    other = _another_user(given)
    if other is not None and (other[2] != [] or None in other or closed_to_others()):
        return None
    if given["process_group"] not in (None, -1) or not Path(given["cwd"] or ".").is_dir():
        return None
    if (limits(), user()) != (_parent().limits, _parent().user):
        return None
    asked, ours = _deciding(_environment(given)), _deciding(dict(os.environ))
    if sets_clock(asked):
        del asked["PYTHONPATH"]
    return rest if asked == ours else None


def sets_clock(environment: Mapping[str, str]) -> bool:
    return environment.get("PYTHONPATH") == str(CLOCK)


def user() -> tuple[int, int]:
    return os.geteuid(), os.getegid()


def limits() -> list[tuple[int, int]]:
    return [resource.getrlimit(number) for number in LIMITS]


def _deciding(environment: dict[str, str]) -> dict[str, str]:
    deciding = (name for name in environment if name.startswith(DECIDES_A_START) and name != SET_LATER)
    return {name: environment[name] for name in deciding}


class Parent:
    """A parent that forks for us, as seen from here."""

    def __init__(self, address: str) -> None:
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        atexit.register(self._socket.close)
        self._socket.settimeout(READY_SECONDS)
        self._socket.connect(address)
        of_it = json.loads(self._socket.recv(1 << 16) or b"{}")
        if not of_it:
            raise RuntimeError("the warm parent did not come up")
        self.limits, self.user = [tuple(pair) for pair in of_it["limits"]], tuple(of_it["user"])

    def child(self, order: dict[str, Any], streams: list[int]) -> tuple[int, int]:
        """Its process id, and from where it will be told how it ended."""
        ended, tells = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._socket, [json.dumps(order).encode()], [*streams, tells])
                child = self._socket.recv(64)
        finally:
            os.close(tells)
        if not child:
            os.close(ended)
            raise RuntimeError("the warm parent is gone")
        return int(child), ended


def start(program: Path = WARM_PARENT, *words: str) -> str:
    """Start a parent, which is ready a few seconds later: the address to give to others. It ends with us.

    `program` gets the number of the socket where it is to listen, then `words`.
    """
    folder = tempfile.mkdtemp(prefix="spxarb-warm-")
    address = str(Path(folder, "parent"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listens:
        listens.bind(address)
        listens.listen(64)
        # The name: a lock's holder is proven by its command line, and a child keeps its parent's.
        command = [sys.executable, program, str(listens.fileno()), "spxarb", *words]
        process = Cold(command, pass_fds=[listens.fileno()], stdin=subprocess.PIPE)

    def end() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        process.wait(timeout=READY_SECONDS)

    atexit.register(end)
    return address


@cache
def _parent() -> Parent:
    return Parent(os.environ.get(ADDRESS) or start())


def possible() -> bool:
    """Whether starts can be warm here."""
    return not os.environ.get("COLD_STARTS") and sys.platform == "linux" and SIGNATURE == KNOWN


@contextmanager
def warm() -> Iterator[None]:
    """Until its end `subprocess` starts the program's processes warm."""
    if not possible():
        yield
        return
    subprocess.Popen = Warm  # type: ignore[misc]
    try:
        yield
    finally:
        subprocess.Popen = Cold  # type: ignore[misc]
