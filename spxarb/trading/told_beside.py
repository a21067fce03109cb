"""Which troubles were told lately, kept in a file of its own: for who must not need a ledger to tell them.

The file lies beside the ledger, else in a folder of this user's for running programs, else in the one for
temporary files: what bounds an alarm must not fail with the disk that the alarm is about. Where none of them
can be written, nothing is remembered, and each run tells.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import time
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from spxarb import files
from spxarb.core.own_names import alarms_of

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_SECONDS = 30.0
"""How long another run that tells now is waited for: its sending has a deadline of its own."""
LARGEST = 64 * 1024
FORGOTTEN = timedelta(days=2)


class Told:
    """Trouble -> when it was told, within the block of `told_lately`."""

    def __init__(self, known: dict[str, str]) -> None:
        self.known = known
        self.changed = False

    def is_new(self, trouble: str, now: datetime, silence: timedelta) -> bool:
        """Whether it was not told within `silence` before `now`; a time that lies ahead counts as none."""
        try:
            age = now - datetime.fromisoformat(self.known[trouble])
        except (KeyError, TypeError, ValueError):
            return True
        return not timedelta(0) <= age < silence

    def add(self, trouble: str, now: datetime) -> None:
        self.known[trouble] = now.isoformat()
        self.changed = True


@contextmanager
def told_lately(ledger: Path, now: datetime) -> Iterator[Told]:
    """What was told of this ledger; what the block adds is kept. Never raises of itself."""
    handle = next((found for path in _places(ledger) if (found := _open(path)) is not None), None)
    if handle is None:
        yield Told({})
        return
    try:
        told = Told(_read(handle))
        yield told
        if told.changed:
            _write(handle, {key: at for key, at in told.known.items() if not _is_old(at, now)})
    finally:
        with suppress(OSError):
            os.close(handle)


def _places(ledger: Path) -> list[Path]:
    """Where the file may lie, the best first."""
    absolute = ledger.absolute()
    mark = hashlib.sha256(os.fsencode(absolute)).hexdigest()[:16]
    name = f"spxarb-watchdog-{os.geteuid()}-{mark}"
    folders = [os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0], os.environ.get("XDG_RUNTIME_DIR")]
    with suppress(OSError):
        folders.append(tempfile.gettempdir())
    return [alarms_of(absolute), *(Path(folder) / name for folder in folders if folder)]


def _open(path: Path) -> int | None:
    """The file, ours alone and locked; None where that cannot be had."""
    try:
        handle = files.open_to_write(path, read=True)
    except OSError:
        return None
    if _lock(handle):
        return handle
    os.close(handle)
    return None


def _lock(handle: int) -> bool:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if not isinstance(error, BlockingIOError) or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def _read(handle: int) -> dict[str, str]:
    with suppress(OSError, ValueError, AttributeError):
        text = os.pread(handle, LARGEST, 0).decode()
        return {str(name): str(at) for name, at in json.loads(text or "{}").items()}
    return {}


def _write(handle: int, known: dict[str, str]) -> None:
    with suppress(OSError):
        data = json.dumps(known).encode()
        os.ftruncate(handle, 0)
        os.pwrite(handle, data, 0)


def _is_old(at: str, now: datetime) -> bool:
    try:
        return now - datetime.fromisoformat(at) > FORGOTTEN
    except (TypeError, ValueError):
        return True
