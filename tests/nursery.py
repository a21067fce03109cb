"""Workers that need not import the tests once more: forked by a process that has collected them.

Ten workers that each import and compile what the tests import take a core half a minute. A run by many workers
(`pytest -n 10`) has one process collect the tests first, ``python tests/nursery.py FD spxarb ARGUMENT...``, and each
worker is forked by it. All else is as in `tests/scenarios/warm_starts.py`.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

SCENARIOS = str(Path(__file__).with_name("scenarios"))
if __name__ == "__main__":
    sys.path.insert(0, SCENARIOS)

from warm_starts import Parent, Warm, possible, start  # noqa: E402 -- it lies there

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MANY = 3
"""Of fewer workers each has a core for itself: they are up as soon without this."""
UNBUFFERED = ["-u", "-c"]
"""The options of the interpreter with which xdist starts a worker."""


@contextmanager
def nursed(arguments: Sequence[str], workers: int) -> Iterator[None]:
    """Until its end a worker that is started is forked by a process that has collected what `arguments` name."""
    if workers < MANY or not possible():
        yield
        return
    try:
        parent = Parent(start(Path(__file__), *arguments))
    except (OSError, RuntimeError) as error:
        sys.stderr.write(f"each worker imports the tests itself: {error}\n")
        yield
        return

    class Worker(Warm):
        """A Popen of a worker."""

        def _forked(self, given: dict[str, Any]) -> tuple[Parent, list[str]] | None:
            interpreter, *words = map(os.fspath, given["args"])
            if interpreter != sys.executable or words[:2] != UNBUFFERED:
                return None
            return parent, words[1:]

    cold = subprocess.Popen
    subprocess.Popen = Worker  # type: ignore[misc]
    try:
        yield
    finally:
        subprocess.Popen = cold  # type: ignore[misc]


def _collected(arguments: list[str]) -> None:
    """Import all tests, in pytest's own way; what is wrong with them is told by the workers."""
    import pytest

    with (
        Path(os.devnull).open("w") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
        suppress(Exception),  # likewise
    ):
        pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *arguments])
    gc.disable()
    gc.collect()
    gc.freeze()


def main() -> NoReturn:
    """Collect, then serve; in a child be a worker."""
    from warm_parent import Served, become, end_process

    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C ends the run, which then hangs up
    _collected(sys.argv[3:])
    order = Served(socket.socket(fileno=int(sys.argv[1]))).serve()
    if order is not None:
        become(order)
    end_process(0)


if __name__ == "__main__":
    main()
