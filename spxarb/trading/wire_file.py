"""The file of a recorded wire: each message redacted, on disk as it comes, one connection after another."""

from __future__ import annotations

import logging
import os
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import spxarb
from spxarb import files
from spxarb.broker.tap import tapped
from spxarb.config.trusted import Trust, open_regular
from spxarb.core.model import NEW_YORK
from spxarb.core.wire_record import (
    GREETING,
    SENT,
    Redaction,
    WireMessage,
    as_line,
    header,
    joined,
    read_record,
)
from spxarb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spxarb.core.wire_record import WireRecord


log = logging.getLogger(__name__)


class WireFile:
    """The open file. `messages` and `connections` are those of this process."""

    def __init__(self, path: Path, handle: int) -> None:
        """Not called directly: see `recorded_wire`."""
        self.path = path
        self.messages = self.connections = 0
        self.why = ""
        self._handle = handle
        self._redaction = Redaction()
        self._started = time.monotonic()

    def hear(self, direction: str, name: str, fields: list[str]) -> None:
        """One message of a connection: what the client says first begins another connection."""
        if (direction, name) == (SENT, GREETING):
            self.connections += 1
        seconds = time.monotonic() - self._started
        redacted = self._redaction.redacted(name, fields)
        message = WireMessage(seconds, direction, name, redacted, self.connections)
        try:
            os.write(self._handle, as_line(message).encode())
        except OSError as error:
            self.why = error.strerror or str(error)
            raise
        self.messages += 1


@contextmanager
def recorded_wire(path: Path, mode: str) -> Iterator[WireFile]:
    """Every connection made in the block goes into a new file, 0600.

    Raises UsageError for a file that exists or cannot be written.
    """
    try:
        handle = files.open_to_write(path, append=True, new=True)
    except FileExistsError:
        raise UsageError(f"{path} exists: name another file") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None
    try:
        started = datetime.now(NEW_YORK).isoformat(timespec="seconds")
        os.write(handle, header(started, spxarb.__version__, mode).encode())
        file = WireFile(path, handle)
        with tapped(file.hear):
            yield file
        os.fsync(handle)
    finally:
        os.close(handle)
        if not file_has_messages(path):
            path.unlink(missing_ok=True)


def file_has_messages(path: Path) -> bool:
    """Whether there is more than the first line in it."""
    with path.open("rb") as file:
        return bool(file.readline() and file.readline())


@contextmanager
def wire_in_folder(folder: Path | None, command: str, mode: str) -> Iterator[None]:
    """Record every connection of a command into a file of its own in the folder, if there is one.

    What cannot be recorded stops nothing: it is logged.
    """
    stack = ExitStack()
    if folder is not None:
        now = datetime.now(NEW_YORK)
        try:
            files.make_folder(folder)
            name = f"wire-{now:%Y%m%dT%H%M%S}-{command}-{os.getpid()}.jsonl"
            stack.enter_context(recorded_wire(folder / name, mode))
        except (OSError, UsageError) as error:
            log.warning("the wire is not recorded: %s", error)
    try:
        yield
    finally:
        try:
            stack.close()
        except OSError as error:
            log.warning("the recorded wire may not be whole: %s", error)


def read_wire(path: Path) -> WireRecord:
    """A recorded wire, or all of a folder. Raises UsageError for what cannot be read or is something else."""
    try:
        names = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        records = []
        for name in names:
            with os.fdopen(open_regular(name, Trust.ANYBODY), encoding="utf-8") as file:
                records.append(read_record(file))
        return joined(records)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
