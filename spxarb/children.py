"""The processes that spxarb starts of itself: what they get of this one, which is little.

A process of Python imports what lies in its folder, or where PYTHONPATH points: `sqlite3.py` in somebody's
folder would run as whoever calls `spxarb demo` there. So a child starts with a safe path (`-P`), with the
few variables that it needs, and in a folder that is its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT_VARIABLES = frozenset(
    {
        *("PATH", "HOME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    }
)
"""All that a child gets of the environment."""
KILLED_SECONDS = 2.0
"""How long a child that was killed is waited for."""
ANYBODYS = "/"
"""The folder of a child for which none can be made: only root makes files there."""


def python(module: str, *words: str) -> list[str]:
    """The command that runs a module of ours."""
    return [sys.executable, "-P", "-m", module, *words]


def environment() -> dict[str, str]:
    """What a child gets of the environment; PYTHONPATH says where spxarb is, if it is not installed."""
    kept = {name: text for name, text in os.environ.items() if name in KEPT_VARIABLES}
    source = str(Path(__file__).resolve().parents[1])
    if source not in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        kept["PYTHONPATH"] = source
    return {**kept, "PYTHONSAFEPATH": "1"}


@contextmanager
def private_folder(prefix: str = "spxarb-") -> Iterator[str]:
    """A new folder that only this user may enter, for as long as the block lasts; where none can be made,
    `/`.
    """
    try:
        made = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    except OSError:  # a full disk keeps no alert back
        yield ANYBODYS
        return
    with made as folder:
        yield folder


def end(process: subprocess.Popen[str]) -> None:
    """A child that leads a session is over, with all that it has started; nobody waits for its words."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError, ValueError):
                pipe.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(KILLED_SECONDS)
