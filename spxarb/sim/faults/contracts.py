"""Faults of what the gateway lists: a strike twice, not at all, or in a row that cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import Say, frame
from spxarb.sim.faults.kinds import REQUIRED, FaultKind, Hook, Parameter

if TYPE_CHECKING:
    from spxarb.sim.faults.kinds import ActiveFault, OutgoingMessage

_SYMBOL, _STRIKE, _RIGHT, _CON_ID, _MIN_TICK, _MULTIPLIER, _RULES = 2, 5, 6, 12, 13, 14, 34
"""Where contractDetails hold them from the size rules on; before that all stand one place later."""
FORMS = "double", "missing", "unreadable", "multiplier", "no_rule", "unknown_rule"
_OTHER_ID = 1 << 29
"""Added to the id of a contract to make that of its double."""
_NO_SUCH_RULE = "4711"
"""A market rule that the gateway does not know: the request for it gets a 321 that names no request."""


def odd_contract(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Change the row of one strike."""
    if message.number != Say.CONTRACT_DETAILS:
        return False
    old = 0 if message.session.version >= layouts.SIZE_RULES else 1
    values = list(message.fields)
    asked = fault.args["symbol"], fault.args["strike"], fault.args["right"]
    if not values[_STRIKE + old] or asked != (
        values[_SYMBOL + old],
        float(values[_STRIKE + old]),
        values[_RIGHT + old],
    ):
        return False
    form = fault.args["form"]
    if form == "missing":
        message.out = []
    elif form == "double":
        values[_CON_ID + old] = str(int(values[_CON_ID + old]) - _OTHER_ID)
        message.out = [*message.out, frame(*values)]
    elif form == "unreadable":
        values[_MIN_TICK + old] = "n/a"
        message.rewrite(values)
    elif form in {"no_rule", "unknown_rule"}:
        values[_RULES + old + old] = "" if form == "no_rule" else _NO_SUCH_RULE
        message.rewrite(values)
    else:
        values[_MULTIPLIER + old + old] = "10"
        message.rewrite(values)
    return True


KINDS = (
    FaultKind(
        *("odd_contract", "One strike of the option chain is listed twice, not at all, or oddly."),
        {Hook.MESSAGE: odd_contract},
        (
            Parameter("form", "text", "double", "what is odd", FORMS),
            Parameter("symbol", "text", "SPX", "of the underlying", ("SPX", "SPY")),
            Parameter("strike", "number", REQUIRED, "its strike"),
            Parameter("right", "text", "C", "call or put", ("C", "P")),
        ),
        lasting=True,
    ),
)
