"""What `send-alerts` answers."""

from __future__ import annotations

from dataclasses import dataclass

from spxarb.core.result import Result


@dataclass(frozen=True, kw_only=True)
class SendAlertsResult(Result):
    """The alerts that waited in the ledger, and what became of them."""

    waited: int | None = None
    """How many; null where the ledger could not be read."""
    sent: int | None = None
    """How many of them went out by every way, or were too old and are dropped."""
