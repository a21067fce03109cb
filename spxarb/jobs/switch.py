"""`start` and `stop`: allow or forbid new entries. Exits go on in both.

No lock is needed: it is one write, and an `enter` at work looks at it between two steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.printable import from_outside
from spxarb.core.results.switch import SwitchResult
from spxarb.core.trading_state import TradingResult

if TYPE_CHECKING:
    from spxarb.trading.context import JobContext


def run(context: JobContext, *, on: bool, reason: str | None) -> SwitchResult:
    """Set the switch; to set it again changes nothing but the reason."""
    reason = from_outside(reason) if reason else None
    context.ledger.state.set_trading(on, reason, context.now())
    result = SwitchResult(*context.head(), is_trading=on, reason=reason, trading=_state(context))
    return context.finish(result, decided=True)


def _state(context: JobContext) -> TradingResult:
    """What the switch has come to: a limit of the day may forbid what it allows.

    The switch is set by now: what fails in looking is told beside it.
    """
    from spxarb.trading import entries_state  # noqa: PLC0415 -- no other command of this kind needs it

    found = [TradingResult()]
    with context.beside():
        found.append(entries_state.trading_state(context.ledger, context.config, context.now().date()))
    return found[-1]
