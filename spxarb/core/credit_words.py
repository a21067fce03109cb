"""What a credit is worth, in sentences that hold in every sign and size of it.

Dollars for the whole spread. The edge is the net credit less what these strikes are worth by the SPXW mids
(`core/payoff.py`): fair is the net credit less the edge, a credit or a debit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.sentences import lower_first, usd

if TYPE_CHECKING:
    from decimal import Decimal


def compared_with_fair(net: Decimal, edge: Decimal) -> str:
    """How the credit, net of commissions, compares with what is fair for these strikes; no full stop."""
    offered, fair = _offered(net), _fair(net - edge)
    if edge == 0:
        return f"{offered} is just what is fair for these strikes"
    return f"{offered} is {usd(abs(edge))} {'better' if edge > 0 else 'worse'} than {fair}"


def edge_sentence(net: Decimal | None, edge: Decimal | None) -> str:
    """Whether the credit is a gain or the price of a risk; empty where the edge is not known."""
    if edge is None:
        return ""
    head = "Edge" if edge > 0 else "No edge"
    if net is None:
        return f"{head}: {usd(edge)}."
    return f"{head}: {lower_first(compared_with_fair(net, edge))}."


def _offered(net: Decimal) -> str:
    if net == 0:
        return "An entry for nothing"
    return f"The credit of {usd(net)}" if net > 0 else f"The debit of {usd(-net)}"


def _fair(value: Decimal) -> str:
    if value == 0:
        return "nothing, which is fair for these strikes"
    kind = f"credit of {usd(value)}" if value > 0 else f"debit of {usd(-value)}"
    return f"the {kind} that is fair for these strikes"
