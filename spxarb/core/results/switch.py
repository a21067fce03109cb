"""What `start` and `stop` answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from spxarb.core.result import Result
from spxarb.core.trading_state import TradingResult


@dataclass(frozen=True, kw_only=True)
class SwitchResult(Result):
    """Whether new entries are allowed from now on."""

    is_trading: bool | None = None
    """Null when the switch could not be set."""
    reason: str | None = None
    """As given with `--reason`."""
    trading: TradingResult = field(default_factory=TradingResult)
    """The state that follows, with what goes on beside it: a limit of the day may forbid what is allowed."""
