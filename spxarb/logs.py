"""The log: a file beside the ledger, readable only by its owner, and stderr. Never stdout.

One line a record (a traceback follows its own), as text or as JSON, without secrets and without a full
account number. Where stderr is systemd's journal, each line begins with its priority as sd-daemon(3) wants
it. The file is rotated here; where something else has moved or removed it (logrotate), the next line goes
into a new one.

A log that cannot be written never stops a job, and never delays one: each place has a thread of its own that
writes, and a queue before it that holds so many lines and no more. What does not fit is counted and left out.
The threads write through the descriptor alone: Python takes a lock for its own streams, and at its exit it
would wait for a thread that hangs with one.
"""

from __future__ import annotations

import _thread
import json
import logging
import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from spxarb import files
from spxarb.core.masking import masked_accounts, masked_addresses
from spxarb.core.model import NEW_YORK
from spxarb.core.own_names import older_logs
from spxarb.core.printable import log_line, log_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from spxarb.config.load import Config

FILE_BYTES = 5_000_000
QUEUED_LINES = 2000
"""Lines that wait for one place at the most; the next ones are left out and counted."""
FLUSH_SECONDS = 2.0
"""How long the end of a command waits for what is queued, and for its one line on stderr."""
LINE = "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"
JOURNAL_LINE = "%(levelname)s %(name)s: %(message)s"
"""The journal knows time and process by itself."""
PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""From which level on a line has which priority of syslog(3); 7 is debug."""
FILE_ALONE = "file_alone"
"""The mark of a record for the file and the journal, and not for a terminal."""
# Kept off the console: what matters of their messages spxarb reports itself, once.
STDERR = 2
LIBRARIES = ("ib_insync", "eventkit", "asyncio", "apprise")

_ours: list[_Queued] = []
_troubles: list[str] = []
_kept: set[str] = set()
_accounts: set[str] = set()
"""Accounts that were met and may look like none."""
_NOWHERE = logging.NullHandler()
"""Without any handler Python would write warnings to stderr, where nothing is to be logged."""


def setup(config: Config, *, makes_file: bool = True) -> str | None:
    """Log as configured, replacing what an earlier call set up. Returns None, or why there is no log file.

    A command that only reads makes none (`makes_file`): it goes on with the one that is there. What is no
    log, or not ours, is refused (`spxarb/files.py`): the job goes on without a file, and says so once.
    """
    shutdown()
    clean = _Clean(secrets_of(config), config.ib.account)
    problem = None
    if config.logging.console:
        journal = stderr_is_the_journal()
        handler = _add(_Console(), _lines(config, clean, journal=journal))
        handler.addFilter(_not_a_library)
        if not journal:
            handler.addFilter(_not_for_the_file_alone)
    path = config.log_path()
    try:
        if config.logging.file and (makes_file or path.is_file()):
            files.make_folder(path.parent)
            _add(_File(path), _lines(config, clean))
    except (OSError, ValueError, RuntimeError) as error:  # a text that is no path; no thread to be had
        why = getattr(error, "strerror", None) or error
        problem = ". ".join(filter(None, [f"No log file: {path}: {why}", getattr(error, "mend", "")]))
    root = logging.getLogger()
    root.addHandler(_NOWHERE)  # added twice, it is there once
    root.setLevel(config.logging.level)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
    if problem:
        _keep(problem)
        logging.getLogger("spxarb").warning(problem, extra={FILE_ALONE: True})
    return problem


def trouble() -> str:
    """What is wrong with the log, a phrase, the first time that it is asked; empty for nothing.

    It is for the end of the command: beside a failure it stands in the failure's one line.
    """
    told, _troubles[:] = "; ".join(_troubles), []
    return told


def hide_account(account: str | None) -> None:
    """Let no line from now on show this account in full."""
    if account:
        _accounts.add(account)


def _keep(problem: str) -> None:
    """Have it told at the end of the command, once for a process."""
    if problem not in _kept:
        _kept.add(problem)
        _troubles.append(problem)


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


def secrets_of(config: Config) -> list[str]:
    """What the configuration holds that nothing may show: addresses of alerts and pings, and their parts."""
    pings = config.ping.secrets()
    if config.notify_url is None:
        return pings
    from spxarb.channels import secret_parts  # noqa: PLC0415 -- only a secret needs it

    urls = config.notify_url.get_secret_value().split()
    return [*pings, *(part for url in urls for part in secret_parts(url))]


def stderr_is_the_journal() -> bool:
    """Whether stderr goes to systemd's journal: it names device and inode in $JOURNAL_STREAM."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    with suppress(OSError, ValueError, AttributeError):
        found = os.fstat(sys.stderr.fileno())
        return (int(device), int(inode)) == (found.st_dev, found.st_ino)
    return False


def for_the_journal(line: str) -> str:
    """The one line of a command that failed as the journal should have it: an error, without a secret."""
    return f"<3>{masked_accounts(masked_addresses(line))}"


def write_to_stderr(text: str, seconds: float = FLUSH_SECONDS) -> None:
    """Write to stderr, and wait `seconds` at the most: a terminal that is held (Ctrl-S) holds no command."""
    _in_thread(lambda: _Console().write(text), seconds)


def write_to(handle: int, data: bytes, seconds: float) -> bool:
    """Write to a descriptor, and wait `seconds` at the most: whether it took all. Raises OSError.

    What it does not take stays with a thread that ends with the process.
    """
    failures: list[OSError] = []

    def write() -> None:
        try:
            _write_bytes(handle, data)
        except OSError as error:
            failures.append(error)

    done = _in_thread(write, seconds)
    if failures:
        raise failures[0]
    return done


def _in_thread(work: Callable[[], None], seconds: float) -> bool:
    """Do the work in a thread, and wait `seconds` at the most: whether it is done.

    With the interpreter's own lock: a signal may raise anywhere, and amid `Thread.start` or `join` that
    leaves a lock of the library half taken, so that a RuntimeError hides the signal.
    """
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            work()
        finally:
            done.release()

    _thread.start_new_thread(run, ())
    return done.acquire(timeout=seconds)


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
    """A file of ours that is rotated, or an allowed device, which is not."""

    def __init__(self, path: Path) -> None:
        self.name, self._path = str(path), path
        self._device = False
        self._handle = self._open()

    def _open(self) -> int:
        """A descriptor. Raises OSError, also for what holds no lines of a log (a database), or stdout."""
        if files.stream_of(self._path) not in {None, STDERR}:  # a result's, the broker's or the ledger's
            raise files.FileRefusedError("of the streams only /dev/stderr can be the log")
        if (stream := files.open_stream(self._path)) is not None:
            self._device = True
            return stream
        handle = files.open_to_write(self._path, append=True, read=True)
        if why := files.not_text(files.head_of(handle)):
            os.close(handle)
            raise files.FileRefusedError(why)
        return handle

    def write(self, text: str) -> None:
        if self._device:
            pass
        elif self._moved():
            self._reopen()
        elif os.fstat(self._handle).st_size + len(text) > FILE_BYTES:
            self._rotate()
        _write_all(self._handle, text)

    def _moved(self) -> bool:
        """Whether the name stands for another file by now, or for none: another process, or logrotate."""
        try:
            named, ours = self._path.lstat(), os.fstat(self._handle)
        except OSError:
            return True
        return (named.st_dev, named.st_ino) != (ours.st_dev, ours.st_ino)

    def _reopen(self) -> None:
        """Where that fails, lines go on into the file that is open."""
        with suppress(OSError):
            new = self._open()
            os.close(self._handle)
            self._handle = new

    def _rotate(self) -> None:
        """`trading.log` becomes `trading.log.1`, and so on; the oldest is dropped.

        The old descriptor is closed once there is a new one: its number may be another file's at once, and
        no line of a log may go into a ledger or to a broker. What cannot be moved goes on as it is.
        """
        with suppress(OSError):
            copies = older_logs(self._path)
            for copy in copies:
                self._must_be_a_log(copy)
            for newer, older in reversed(list(pairwise(copies))):
                with suppress(FileNotFoundError):
                    files.rename(newer, older)
            files.rename(self._path, copies[0])
        self._reopen()

    @staticmethod
    def _must_be_a_log(copy: Path) -> None:
        """Raises OSError where another file has the name of an older log: it is neither moved nor dropped."""
        files.check_kind(copy)
        if files.is_database(copy):
            raise files.FileRefusedError("it is a database")

    def close(self) -> None:
        os.close(self._handle)


def _write_all(handle: int, text: str) -> None:
    _write_bytes(handle, text.encode("utf-8", "backslashreplace"))


def _write_bytes(handle: int, data: bytes) -> None:
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
            except Exception:  # noqa: BLE001 -- the next line may go, and nobody waits for this one
                self._tell()
            with self._changed:
                self._busy = False
                self._changed.notify_all()
        with suppress(OSError):
            self.place.close()

    def _tell(self) -> None:
        """Only the first failure to write is told, and not over and over by a command that goes on."""
        if not self._failed:
            self._failed = True
            _keep(f"the log {self.place.name} cannot be written")


class _Clean:
    """Takes secrets, account numbers and all but scheme and host of addresses out of a text."""

    def __init__(self, secrets: Collection[str], account: str | None) -> None:
        self._secrets, self._account = tuple(secrets), account

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return masked_accounts(masked_addresses(text), self._account, *_accounts)


class _Lines(logging.Formatter):
    """One line a record, in New York time; the lines of a traceback follow it."""

    def __init__(self, clean: _Clean, form: str = LINE) -> None:
        super().__init__(form)
        self.clean = clean

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 -- the library's signature
        return datetime.fromtimestamp(record.created, NEW_YORK).isoformat(timespec="milliseconds")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- likewise
        # After what is secret is gone: a half of it would not be known again.
        record.message = log_line(self.clean(record.message))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 -- likewise
        return log_lines(self.clean(super().formatException(ei)))

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # a handler that is not ours may have kept the traceback there as it was
        return self.clean(super().format(record))


class _JsonLines(_Lines):
    """One JSON object a record; a traceback is one of its values."""

    def format(self, record: logging.LogRecord) -> str:
        values = {
            "at": self.formatTime(record),
            "level": record.levelname,
            "process": record.process,
            "logger": record.name,
            "message": log_line(self.clean(record.getMessage())),
        }
        if record.exc_info:
            values["traceback"] = self.clean(self.formatException(record.exc_info))
        return json.dumps(values, ensure_ascii=False)


class _JournalLines(logging.Formatter):
    """Each line of another form's records with its priority before it: `<3>ERROR ...`."""

    def __init__(self, lines: _Lines) -> None:
        super().__init__()
        self._lines = lines

    def format(self, record: logging.LogRecord) -> str:
        number = next((number for level, number in PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{number}>{line}" for line in self._lines.format(record).splitlines())


def _lines(config: Config, clean: _Clean, *, journal: bool = False) -> logging.Formatter:
    """Records as `logging.format` wants them."""
    as_json = config.logging.format == "json"
    if not journal:
        return _JsonLines(clean) if as_json else _Lines(clean)
    return _JournalLines(_JsonLines(clean) if as_json else _Lines(clean, JOURNAL_LINE))


def _add(place: _Place, form: logging.Formatter) -> _Queued:
    handler = _Queued(place)
    handler.addFilter(_no_detail_of_a_library)
    handler.setFormatter(form)
    logging.getLogger().addHandler(handler)
    _ours.append(handler)
    return handler


def _no_detail_of_a_library(record: logging.LogRecord) -> bool:
    """What libraries log at DEBUG is what they send and receive: accounts, positions, tokens in URLs."""
    return record.levelno >= logging.INFO or record.name.partition(".")[0] == "spxarb"


def _not_a_library(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] not in LIBRARIES


def _not_for_the_file_alone(record: logging.LogRecord) -> bool:
    return not getattr(record, FILE_ALONE, False)
