"""Ledger and broker compared: what differs, in sentences; what can be proven, and what cannot.

Ours are the orders that carry our reference, and of a position what our own executions add up to. Everything
else is foreign, even in the same contract. Corrections of executions replace, they never add.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.model import ZERO, Side, latest_revisions
from spxarb.core.records import PREFIX, order_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date
    from decimal import Decimal

    from spxarb.core.model import BrokerSnapshot, Execution
    from spxarb.core.records import Fill


@dataclass(frozen=True, slots=True)
class Findings:
    """Differences in sentences: `repaired` in the ledger by proof; what is `unproven` needs a human."""

    repaired: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.repaired, *self.unproven)


def describe(execution: Execution) -> str:
    """An execution in a few words."""
    did = "bought" if execution.side is Side.BUY else "sold"
    what = f"{execution.quantity.normalize():f} {execution.symbol} at {execution.price:f}"
    return f"{did} {what} (order {execution.order_ref})"


def lost_fills(fills: Iterable[Fill], snapshot: BrokerSnapshot, day: date) -> list[Fill]:
    """Fills of `day` in the ledger that the broker's list of the same day does not have.

    The list holds every execution since midnight, so such a fill was taken back, or there never was one.
    """
    if snapshot.time.date() != day:
        return []
    known = {execution.family for execution in snapshot.executions}
    todays = (fill for fill in fills if fill.execution.time.date() == day)
    return [fill for fill in todays if fill.execution.family not in known]


def unknown_holdings(snapshot: BrokerSnapshot, tag: str, known_refs: Collection[str]) -> list[str]:
    """Contracts held by orders in spxarb's name that this ledger never sent; one sentence each.

    They belong to another ledger, or to one that was lost. Orders that add up to nothing are not named.
    """
    net: defaultdict[tuple[int, str], Decimal] = defaultdict(lambda: ZERO)
    for execution in latest_revisions(snapshot.executions):
        if execution.order_ref.startswith(PREFIX) and execution.order_ref not in known_refs:
            name = order_name(execution.order_ref)
            whose = "this ledger's name" if name and name.tag == tag else "another ledger's name"
            key = execution.con_id, f"{execution.symbol} contract {execution.con_id} in {whose}"
            net[key] += _signed(execution)
    return [
        f"the broker shows {quantity.normalize():+f} of {contract}, which this ledger knows nothing of"
        for (_, contract), quantity in net.items()
        if quantity
    ]


def _signed(execution: Execution) -> Decimal:
    """Contracts: bought positive, sold negative, busted zero."""
    return execution.quantity * execution.side.sign
