"""What `monitor` answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.results.job import RunsOfDayResult

if TYPE_CHECKING:
    from spxarb.core.results.positions import ManagedPosition


@dataclass(frozen=True, kw_only=True)
class MonitorResult(RunsOfDayResult):
    """The open spreads, and what was done with each."""

    positions: tuple[ManagedPosition, ...] = ()
    asked_broker: bool = False
    """Whether the broker was asked: only then do no differences mean that there are none."""
    reconciliation: tuple[str, ...] = ()
    """Differences found between ledger and broker, a sentence each; empty when there were none."""
