"""The log: a file beside the ledger, readable only by its owner, and stderr. Never stdout.

A log that cannot be written never stops a job: one line on stderr says so, and the job continues.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import datetime
from io import FileIO, TextIOWrapper
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, TextIO

from spxarb.core.model import NEW_YORK

if TYPE_CHECKING:
    from collections.abc import Collection

    from spxarb.config.load import Config

FILE_BYTES = 5_000_000
FILE_COPIES = 5
LINE = "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"
# Kept off the console: what matters of their messages spxarb reports itself, once.
LIBRARIES = ("ib_insync", "eventkit", "asyncio", "apprise")

_ours: list[logging.Handler] = []


def setup(config: Config) -> str | None:
    """Log as configured, replacing what an earlier call set up. Returns None, or why there is no log file."""
    shutdown()
    secrets = [config.notify_url.get_secret_value()] if config.notify_url else []
    problem = None
    if config.logging.console:
        _add(_Console(), secrets).addFilter(_not_a_library)
    if config.logging.file:
        path = config.log_path()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _add(_File(path, maxBytes=FILE_BYTES, backupCount=FILE_COPIES, encoding="utf-8"), secrets)
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


def shutdown() -> None:
    """Close what `setup` opened."""
    while _ours:
        handler = _ours.pop()
        logging.getLogger().removeHandler(handler)
        handler.close()


def write_traceback(error: BaseException) -> None:
    """The traceback of a bug into the log's file, and not to stderr, which has one line for it."""
    fault = (type(error), error, error.__traceback__)
    record = logging.LogRecord("spxarb", logging.ERROR, __file__, 0, "a bug", None, fault)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)


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


class _Console(logging.StreamHandler[TextIO]):
    """stderr as it is now, not as it was at set-up; a closed one is no error."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 -- the library's name
        """Nothing to do: there is nowhere to report it."""


class _File(RotatingFileHandler):
    """A rotating file of mode 0600; only the first failure to write is reported, on stderr."""

    failed = False

    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fchmod(handle, 0o600)
        return TextIOWrapper(FileIO(handle, "a"), encoding="utf-8", line_buffering=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 -- the library's signature
        if not self.failed:
            self.failed = True
            sys.stderr.write(f"spxarb: the log {self.baseFilename} cannot be written\n")


def _add(handler: logging.Handler, secrets: Collection[str]) -> logging.Handler:
    handler.setFormatter(_Lines(secrets))
    logging.getLogger().addHandler(handler)
    _ours.append(handler)
    return handler


def _not_a_library(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] not in LIBRARIES
