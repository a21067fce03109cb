"""`start` and `stop`: allow or forbid new entries. Exits go on in both.

No lock is needed: it is one write, and an `enter` that works meanwhile looks at it between two steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spxarb.core.result import Result
    from spxarb.trading.context import JobContext


def run(context: JobContext, *, on: bool, reason: str | None) -> Result:
    """Set the switch; again the same changes nothing."""
    context.ledger.state.set_trading(on, reason, context.now())
    return context.result({"is_trading": on, "reason": reason})
