"""A Linux that shows its programs neither /proc nor pidfds: what the program has on any other POSIX system."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

HIDE = 'mount -t tmpfs none /proc && exec "$@"'
BEFORE = ("unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-c", HIDE, "sh")
"""What stands before a command: its own empty /proc, under the same process id."""
ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).parent / "without_pidfd")}
LOOK = "import os, signal; print(os.path.exists('/proc/self'), hasattr(os, 'pidfd_open'), hasattr(signal, 'pidfd_send_signal'))"


@functools.cache
def required() -> None:
    """Skip the test, and say so, where this machine does not let its users hide /proc; check that it is hidden."""
    try:
        done = subprocess.run(
            [*BEFORE, sys.executable, "-c", LOOK],
            env={**os.environ, **ENVIRONMENT},
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        pytest.skip(f"NOT RUN: without util-linux nothing hides /proc ({error})")
    if done.returncode:
        pytest.skip(f"NOT RUN: this machine lets nobody hide /proc ({done.stderr.strip()})")
    assert done.stdout == "False False False\n"
