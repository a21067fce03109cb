"""What `settle` answers: the day's trades and its summary."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spxarb.core.results.job import RunsOfDayResult
from spxarb.core.results.report_rows import DayRow

if TYPE_CHECKING:
    from spxarb.core.results.report_rows import SettlementRow, TradeRow


@dataclass(frozen=True, kw_only=True)
class SettleResult(RunsOfDayResult):
    """A day after its close."""

    trades: tuple[TradeRow, ...] = ()
    """The trades of the day."""
    settlements: tuple[SettlementRow, ...] = ()
    """What each stage says of the legs that expired, by leg, the first stage first."""
    summary: DayRow = field(default_factory=DayRow)
    provisional: bool = True
    """Whether a later look may change the figures: true until shown otherwise."""
    session_over: bool | None = None
    """Whether the day's session was over; null where it came to no summary."""
    backup: str | None = None
    """The day's backup; null when none was made, and the notes say why."""
