"""Writing a file whole or not at all: who reads it never meets half of it."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = ".spxarb-"
"""What the name of a file begins with that is not whole yet."""


def write_whole(path: Path, text: str) -> None:
    """Write the text to `path`, readable by its owner alone, in place of what was there.

    A link stays one: the file that it leads to is replaced. What is no regular file, a pipe or a device, is
    written into. Raises OSError, and then leaves what was there as it was.
    """
    target = path.resolve()
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(target.stat().st_mode):
            with target.open("w", encoding="utf-8", newline="") as stream:
                stream.write(text)
            return
    handle, name = tempfile.mkstemp(prefix=PREFIX, dir=target.parent)  # 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
