"""The log: a file beside the ledger, readable only by its owner, and stderr. Never stdout.

A log that cannot be written never stops a job, and never delays one: each place has a thread of its own that
writes, and a queue before it that holds so many lines and no more. What does not fit is counted and left out.
The threads write through the descriptor alone: Python takes a lock for its own streams, and at its exit it
would wait for a thread that hangs with one.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from spxarb.core.model import NEW_YORK

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from spxarb.config.load import Config

FILE_BYTES = 5_000_000
FILE_COPIES = 5
QUEUED_LINES = 2000
"""Lines that wait for one place at the most; the next ones are left out and counted."""
FLUSH_SECONDS = 2.0
"""How long the end of a command waits for what is queued, and for its one line on stderr."""
LINE = "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"
# Kept off the console: what matters of their messages spxarb reports itself, once.
LIBRARIES = ("ib_insync", "eventkit", "asyncio", "apprise")

_ours: list[_Queued] = []


def setup(config: Config, *, makes_file: bool = True) -> str | None:
    """Log as configured, replacing what an earlier call set up. Returns None, or why there is no log file.

    A command that only reads makes none (`makes_file`): it goes on with the one that is there.
    """
    shutdown()
    secrets = [config.notify_url.get_secret_value()] if config.notify_url else []
    problem = None
    if config.logging.console:
        _add(_Console(), secrets).addFilter(_not_a_library)
    path = config.log_path()
    if config.logging.file and (makes_file or path.is_file()):
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _add(_File(path), secrets)
        except OSError as error:
            problem = f"No log file: {path}: {error.strerror or error}"
    root = logging.getLogger()
    root.setLevel(config.logging.level)
    # ib_insync logs every byte of the wire at DEBUG: account numbers and positions belong on nobody's disk.
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
    if problem:
        logging.getLogger("spxarb").warning(problem)
    return problem


def flush(seconds: float = FLUSH_SECONDS) -> bool:
    """Wait until all that was logged is written, `seconds` at the most; whether it was."""
    deadline = time.monotonic() + seconds
    return all(handler.wait(deadline - time.monotonic()) for handler in _ours)


def shutdown() -> None:
    """Close what `setup` opened, once what is queued is written; a place that hangs is left behind."""
    flush()
    while _ours:
        handler = _ours.pop()
        logging.getLogger().removeHandler(handler)
        handler.close()


def write_traceback(error: BaseException) -> None:
    """The traceback of a bug into the log's file, and not to stderr, which has one line for it."""
    fault = (type(error), error, error.__traceback__)
    record = logging.LogRecord("spxarb", logging.ERROR, __file__, 0, "a bug", None, fault)
    for handler in _ours:
        if isinstance(handler.place, _File):
            handler.handle(record)


def write_to_stderr(text: str, seconds: float = FLUSH_SECONDS) -> None:
    """Write to stderr, and wait `seconds` at the most: a terminal that is held (Ctrl-S) holds no command."""
    writer = threading.Thread(target=_Console().write, args=(text,), daemon=True)
    writer.start()
    writer.join(seconds)


class _Place(Protocol):
    """Where lines go; `write` is called by one thread only, and may hang. Raises OSError."""

    name: str

    def write(self, text: str) -> None: ...

    def close(self) -> None: ...


class _Console:
    """stderr as it is now, not as it was at set-up; a closed one is no error."""

    name = "stderr"

    def write(self, text: str) -> None:
        stream = sys.stderr
        with suppress(OSError, ValueError, AttributeError):
            try:
                handle = stream.fileno()
            except (OSError, ValueError):  # no file: a test's
                stream.write(text)
                return
            _write_all(handle, text)

    def close(self) -> None:
        """It is not ours."""


class _File:
    """A file of mode 0600 that is rotated; opened so that a FIFO which nobody reads cannot hold it."""

    def __init__(self, path: Path) -> None:
        self.name, self._path = str(path), path
        self._handle = self._open()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        handle = os.open(self._path, flags, 0o600)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            with suppress(OSError):  # another user's file, which this one may write
                os.fchmod(handle, 0o600)
        return handle

    def write(self, text: str) -> None:
        if os.fstat(self._handle).st_size + len(text) > FILE_BYTES:
            self._rotate()
        _write_all(self._handle, text)

    def _rotate(self) -> None:
        """`trading.log` becomes `trading.log.1`, and so on; the oldest is dropped."""
        for number in range(FILE_COPIES - 1, 0, -1):
            with suppress(FileNotFoundError):
                self._copy(number).replace(self._copy(number + 1))
        self._path.replace(self._copy(1))
        os.close(self._handle)
        self._handle = self._open()

    def _copy(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def close(self) -> None:
        os.close(self._handle)


def _write_all(handle: int, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(handle, data) :]


class _Queued(logging.Handler):
    """Lines for one place: made here, written by its thread."""

    def __init__(self, place: _Place) -> None:
        super().__init__()
        self.place = place
        self._lines: deque[str] = deque()
        self._changed = threading.Condition()
        self._busy = self._closed = self._failed = False
        self._left_out = 0
        self._thread = threading.Thread(target=self._work, name=f"log {place.name}", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line; it is left out when the queue is full."""
        try:
            line = self.format(record) + "\n"
        except Exception as error:  # noqa: BLE001 -- a record with wrong arguments stops no job
            line = f"a record of {record.name} cannot be shown: {error}\n"
        with self._changed:
            if len(self._lines) >= QUEUED_LINES:
                self._left_out += 1
            else:
                self._lines.append(line)
                self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until everything is written, `seconds` at the most; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._lines or self._busy), max(seconds, 0.0))

    def close(self) -> None:
        """No line after this one; the place is closed by its thread, once that is free."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(0.1)
        super().close()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    break
                text = self._lines.popleft()
                if self._left_out:
                    text += f"{self._left_out} lines are left out: {self.place.name} was too slow\n"
                    self._left_out = 0
                self._busy = True
            try:
                self.place.write(text)
            except OSError:
                self._tell()
            with self._changed:
                self._busy = False
                self._changed.notify_all()
        with suppress(OSError):
            self.place.close()

    def _tell(self) -> None:
        """Only the first failure to write is told, on stderr."""
        if not self._failed:
            self._failed = True
            _Console().write(f"spxarb: the log {self.place.name} cannot be written\n")


class _Lines(logging.Formatter):
    """One line per record (and its traceback), in New York time, without secrets."""

    def __init__(self, secrets: Collection[str]) -> None:
        super().__init__(LINE)
        self.secrets = tuple(secrets)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 -- the library's signature
        return datetime.fromtimestamp(record.created, NEW_YORK).isoformat(timespec="milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def _add(place: _Place, secrets: Collection[str]) -> _Queued:
    handler = _Queued(place)
    handler.setFormatter(_Lines(secrets))
    logging.getLogger().addHandler(handler)
    _ours.append(handler)
    return handler


def _not_a_library(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] not in LIBRARIES
