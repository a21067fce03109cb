"""What `close-all` answers, and what it tells before it asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.results.job import RunsOfDayResult

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.results.positions import ManagedPosition


@dataclass(frozen=True, kw_only=True)
class CloseAllResult(RunsOfDayResult):
    """Every spread that was open, and whether anything of ours is left."""

    positions: tuple[ManagedPosition, ...] = ()
    flat: bool | None = None
    """Whether nothing of ours is held any more; null when that could not be found out."""
    asked_broker: bool = False
    reconciliation: tuple[str, ...] = ()
    """Differences found between ledger and broker, a sentence each; empty when there were none."""


@dataclass(frozen=True)
class OpenSpread:
    """An open spread as the ledger has it; dollars, strikes as in `PositionResult`."""

    trade_id: int
    spx_strike: Decimal | None
    spy_strike: Decimal | None
    entry_credit: Decimal | None
    pnl: Decimal | None
    """Of the newest mark; null where there is none, or where a price was missing in it."""
    marked_at: datetime | None
    age_seconds: float | None
    """Of that mark, by the clock of the command; null without one."""
    left_alone: str
    """Why `close-all` will not trade it, a phrase; empty where it will."""


@dataclass(frozen=True)
class ClosingPreview:
    """What `close-all` tells before it asks: by configuration and ledger alone, nobody was asked."""

    mode: str
    account: str | None
    ledger: str
    spreads: tuple[OpenSpread, ...]
    way: str
    """How it will leave, a phrase."""
    doubt: str = ""
    """Why the ledger could not be read, or what is wrong with the configuration; empty for nothing."""
