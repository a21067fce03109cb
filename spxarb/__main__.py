"""The way in, of ``spxarb`` and of ``python -m spxarb``: a process that does one thing and ends.

A timer pays for start and end some eighty times a day. So the version is told before the parser is imported,
garbage is hardly looked for while modules are loaded, and the end does not wait until every object is freed.
"""

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

from spxarb import __version__
from spxarb.imports import trimmed

COLLECTED_ABOVE = 200_000
"""New objects before garbage is looked for: more than a command makes that ends by itself.

With Python's own 700 imports alone look a hundred times, and one look at all of them takes a twentieth of a
command's time.
"""


def main() -> NoReturn:
    """Run the command of this process's words, and end the process with its exit code."""
    _open_standard_descriptors()
    if sys.argv[1:] == ["--version"]:
        if sys.stdout is not None:
            with suppress(OSError):
                sys.stdout.write(f"spxarb {__version__}\n")
        _end(0)
    gc.set_threshold(COLLECTED_ABOVE)
    # A plugin of pydantic could change what a configuration means; the parser uses pydantic too.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    with trimmed("pydantic"):
        from spxarb.cli.commands import main as run_command  # noqa: PLC0415 -- not for the version

        code = run_command()
    _end(code)


def _open_standard_descriptors() -> None:
    """A descriptor that was closed leads nowhere: else the next file, the log or the lock, would get it.

    Whatever then writes to stdout or stderr by number would write into that file. The streams stay closed.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one


def _end(code: int) -> NoReturn:
    """End the process here: freeing what the system frees anyway takes a tenth of a command's time.

    Whatever mattered is on the disk or told by now; `view` has told of an output that could not be written.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
