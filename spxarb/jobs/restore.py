"""`restore`: the ledger put back from a backup or a plain copy, or with `--check` only proven whole.

It needs no usable ledger: that there is none is why it is asked for. Nothing is sent to the broker; the next
command that connects compares the account with the restored ledger before anything is entered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.config.load import load
from spxarb.errors import SpxarbError
from spxarb.trading.ledger_lock import ledger_lock
from spxarb.trading.restoring import Restoring

if TYPE_CHECKING:
    from pathlib import Path

    from spxarb.core.results.backup import RestoreResult

LOCK_SECONDS = 20.0
"""How long it waits for a job that works: it is no timer's verb, and a human can call it again."""


def run(config_file: Path | None, file: Path, *, check: bool, force: bool) -> RestoreResult:
    """Put the copy `file` in the place of the ledger; `check`: restore it elsewhere and compare its digest.

    `force`: over a ledger with open trades. Raises RefusedError for a copy that is damaged or another's and
    for open trades, LockedError while another job works, ConfigError.
    """
    config = load(config_file)
    try:
        restoring = Restoring(config, file)
        with restoring.logged():
            if check:
                return restoring.check()
            with ledger_lock(config.database_path(), command="spxarb restore", timeout=LOCK_SECONDS):
                return restoring.restore(force=force)
    except SpxarbError as error:
        error.mode = config.trading.mode
        raise
