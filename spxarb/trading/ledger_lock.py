"""The lock of all jobs that work on one ledger, by its name and by the one that it had in earlier versions.

A job of an earlier version may still be at work when this one is installed: where its lock is there, that is
taken too. A ledger that this version has opened is refused by an earlier one, so no other can begin.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from spxarb.core.own_names import lock_of, old_lock_of
from spxarb.errors import RefusedError
from spxarb.lock import holder, job_lock, terminate_holder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spxarb.lock import Holder

log = logging.getLogger(__name__)


@contextmanager
def ledger_lock(database: Path, *, command: str, timeout: float) -> Iterator[None]:
    """Hold the lock of the ledger while the block runs. Raises as `job_lock` does."""
    deadline = time.monotonic() + timeout
    with ExitStack() as stack:
        stack.enter_context(job_lock(lock_of(database), command=command, timeout=timeout))
        old = old_lock_of(database)
        if old is not None and os.path.lexists(old):
            try:
                left = max(0.0, deadline - time.monotonic())
                stack.enter_context(job_lock(old, command=command, timeout=left))
            except RefusedError as error:  # no lock, or one that no job of this user could take either
                log.warning("%s", error.what)
        yield


def holder_of(database: Path) -> Holder | None:
    """Who holds the lock of the ledger; None when nobody does."""
    old = old_lock_of(database)
    return holder(lock_of(database)) or (None if old is None else holder(old))


def terminate_holder_of(database: Path, grace: float) -> list[Holder]:
    """Terminate the job that holds the lock, and one of an earlier version. Raises LockedError."""
    places = [lock_of(database), old_lock_of(database)]
    found = [terminate_holder(place, grace) for place in places if place is not None]
    return [ended for ended in found if ended is not None]
