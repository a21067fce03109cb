"""What `watchdog` answers: what is open, who looked after it last, and what it shouts at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.result import Result

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class AlarmRow:
    """One alarm."""

    trouble: str
    """Its name: the same trouble is told once an hour."""
    text: str
    told: bool | None
    """Whether a human was told now; null: he was told within the hour, or alerts are off."""


@dataclass(frozen=True, kw_only=True)
class WatchdogResult(Result):
    """Whether somebody looks after what is open."""

    ledger: str | None = None
    """The ledger that was looked at."""
    ledger_read: bool | None = None
    """False: it could not be read; null: there is none."""
    watching: bool | None = None
    """Whether SPY's options trade now, so that a `monitor` must have succeeded lately."""
    open: tuple[str, ...] | None = None
    """What is open by the ledger: trades, orders, matters; null where that is not known."""
    last_monitor: datetime | None = None
    """When a `monitor` (or `close-all`) last succeeded; null: never, or not known."""
    last_settle: datetime | None = None
    """When a `settle` last succeeded; null likewise."""
    minutes: int | None = None
    """`watchdog.minutes`: how long there may be none."""
    alarms: tuple[AlarmRow, ...] = ()
