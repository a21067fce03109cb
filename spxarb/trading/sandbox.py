"""A ledger that is only looked at, by a job that is no command of the user's on it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from spxarb.config.load import Config
from spxarb.ledger.ledger import Ledger
from spxarb.trading.context import JobContext

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def looking_at(ledger: Path, command: str, mode: str) -> Iterator[JobContext]:
    """The surroundings of a job that reads this ledger, with the defaults for all else."""
    config = Config.model_validate({"trading": {"mode": mode}, "storage": {"database": str(ledger)}})
    with Ledger.open(ledger, mode=mode, read_only=True) as opened:
        yield JobContext(command, config, opened, 0)
