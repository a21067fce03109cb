"""`start` and `stop`: allow or forbid new entries. Exits go on in both.

No lock is needed: it is one write, and an `enter` at work looks at it between two steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.printable import from_outside
from spxarb.core.results.switch import SwitchResult

if TYPE_CHECKING:
    from spxarb.trading.context import JobContext


def run(context: JobContext, *, on: bool, reason: str | None) -> SwitchResult:
    """Set the switch; to set it again changes nothing but the reason."""
    reason = from_outside(reason) if reason else None
    context.ledger.state.set_trading(on, reason, context.now())
    return context.finish(SwitchResult(*context.head(), is_trading=on, reason=reason), decided=True)
