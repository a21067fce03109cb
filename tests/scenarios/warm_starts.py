"""Starting the program's processes without paying for its imports each time.

The scenarios start some thousands of commands, and most of what one costs is Python's start and its imports.
While `warm()` lasts, ``python -m spxarb ...`` and ``python -m spxarb.sim ...`` that `subprocess` is asked for
are forked by a parent that has imported them: see `tests/scenarios/warm_parent.py`. Everything else about such a process
is its own. What the parent cannot give truly (another interpreter's options, a changed locale, limits, more
descriptors) is started anew; so is everything with COLD_STARTS=1, and where the system lacks the means.
The tests of starting itself (`tests/test_startup.py`, `tests/cli/`, the pages' examples) are never warm.
"""

from __future__ import annotations

import atexit
import ctypes
import inspect
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PR_SET_CHILD_SUBREAPER = 36
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
LIMITS = [number for name, number in vars(resource).items() if name.startswith("RLIMIT_")]
READY_SECONDS = 60.0

Cold = subprocess.Popen
SIGNATURE = tuple(inspect.signature(Cold._execute_child).parameters)  # type: ignore[attr-defined]
KNOWN = (
    *("self", "args", "executable", "preexec_fn", "close_fds", "pass_fds", "cwd", "env", "startupinfo"),
    *("creationflags", "shell", "p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite"),
    *("restore_signals", "gid", "gids", "uid", "umask", "start_new_session", "process_group"),
)
scripts: set[str] = set()
"""Texts for ``python -c`` that may be run warm: they must not mind that the program is imported."""


class Warm(Cold):  # type: ignore[type-arg]
    """A Popen whose process is forked by the warm parent where that makes no difference."""

    def _execute_child(self, *arguments: Any) -> None:
        given = dict(zip(KNOWN[1:], arguments, strict=True))
        wanted = _wanted(given)
        if wanted is None:
            super()._execute_child(*arguments)  # type: ignore[misc]
            return
        streams = [given["p2cread"], given["c2pwrite"], given["errwrite"]]
        folder = os.fspath(given["cwd"] or Path.cwd())
        order = {
            "words": wanted,
            "environment": _environment(given),
            "folder": folder,
            "session": given["start_new_session"],
            "safe": SAFE in given["args"][1:2],
        }
        self.pid = _parent().child(order, [own if own != -1 else at for at, own in enumerate(streams)])
        self._child_created = True
        ends = [given[name] for name in KNOWN[11:17]]
        self._close_pipe_fds(*ends)  # type: ignore[attr-defined]


def _environment(given: dict[str, Any]) -> dict[str, str]:
    return dict(os.environ if given["env"] is None else given["env"])


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
    odd = ("preexec_fn", "pass_fds", "startupinfo", "creationflags", "shell", "gid", "gids", "uid")
    if interpreter != sys.executable or not known or not plain or any(given[name] for name in odd):
        return None
    if given["process_group"] not in (None, -1) or not Path(given["cwd"] or ".").is_dir():
        return None
    if (_limits(), _user()) != (_parent().limits, _parent().user):
        return None
    return rest if _deciding(_environment(given)) == _deciding(dict(os.environ)) else None


def _user() -> tuple[int, int]:
    return os.geteuid(), os.getegid()


def _limits() -> list[tuple[int, int]]:
    return [resource.getrlimit(number) for number in LIMITS]


def _deciding(environment: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if name.startswith(DECIDES_A_START)}


class _Parent:
    """The warm parent, as seen from here. It ends when we hang up, at our end by any means."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self.limits, self.user = _limits(), _user()
        with theirs:
            # The name: a lock's holder is proven by its command line, and a child keeps its parent's.
            command = [
                sys.executable,
                Path(__file__).with_name("warm_parent.py"),
                str(theirs.fileno()),
                "spxarb",
            ]
            self._process = Cold(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        atexit.register(self.end)
        self._ours.settimeout(READY_SECONDS)
        ready = self._ours.recv(64)
        if ready != b"ready\n":
            raise RuntimeError(f"the warm parent did not come up: {ready!r}")

    def child(self, order: dict[str, Any], streams: list[int]) -> int:
        with self._lock:
            socket.send_fds(self._ours, [json.dumps(order).encode()], streams)
            return int(self._ours.recv(64))

    def end(self) -> None:
        self._ours.close()
        self._process.wait(timeout=READY_SECONDS)


@cache
def _parent() -> _Parent:
    """Raises OSError where a process cannot be made the parent of orphans."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    return _Parent()


@contextmanager
def warm() -> Iterator[None]:
    """Until its end `subprocess` starts the program's processes warm."""
    if os.environ.get("COLD_STARTS") or sys.platform != "linux" or SIGNATURE != KNOWN:
        yield
        return
    subprocess.Popen = Warm  # type: ignore[misc]
    try:
        yield
    finally:
        subprocess.Popen = Cold  # type: ignore[misc]
