"""Ledger and broker compared: what differs, in sentences; what can be proven, and what cannot.

Ours are the orders that carry our reference, and of a position what our own executions add up to. All else
is foreign, also in the very same contract, and never counted here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.book import PREFIX, order_name
from spxarb.core.model import ZERO, Side

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.book import Fill, Trade
    from spxarb.core.model import Books, Execution


@dataclass(frozen=True, slots=True)
class Findings:
    """Differences in sentences. `repaired` were proven and mended; `unproven` need a human."""

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


def lost_fills(fills: Iterable[Fill], books: Books, day: date) -> list[Fill]:
    """Fills of `day` in the ledger of which the broker's list of the same day knows nothing.

    The list holds every execution since midnight in New York, so such a fill was taken back, or was never.
    """
    if books.time.date() != day:
        return []
    known = {execution.family for execution in books.executions}
    todays = (fill for fill in fills if fill.execution.time.date() == day)
    return [fill for fill in todays if fill.execution.family not in known]


def strangers(books: Books, tag: str, known_refs: Collection[str]) -> list[str]:
    """Contracts that orders in our name hold, which this ledger has never sent; sentences.

    They stem from another ledger, or from one that was lost. What adds up to nothing is nobody's concern.
    """
    net: defaultdict[tuple[int, str], Decimal] = defaultdict(lambda: ZERO)
    newest = {execution.family: execution for execution in books.executions}
    for execution in newest.values():
        if execution.order_ref.startswith(PREFIX) and execution.order_ref not in known_refs:
            name = order_name(execution.order_ref)
            whose = "this ledger's name" if name and name.tag == tag else "another ledger's name"
            key = execution.con_id, f"{execution.symbol} contract {execution.con_id} in {whose}"
            net[key] += execution.quantity * execution.side.sign
    return [
        f"the broker shows {amount.normalize():+f} of {words}, which this ledger knows nothing of"
        for (_, words), amount in net.items()
        if amount
    ]


def sold_by_others(trade: Trade, books: Books, known_refs: Collection[str], since: datetime) -> bool:
    """Whether selling our long SPX calls would leave the account short, because others sold some since.

    Somebody may have closed the position by hand. Who it was cannot be told from a net position, so this
    one sale is left to a human; buying SPY back is never held up.
    """
    con_id = trade.spx.con_id
    position = next((p.quantity for p in books.positions if p.con_id == con_id), ZERO)
    foreign = sum(
        (
            execution.quantity * execution.side.sign
            for execution in books.executions
            if execution.con_id == con_id
            and execution.order_ref not in known_refs
            and execution.time >= since
        ),
        start=ZERO,
    )
    return foreign < 0 and position < trade.spx_contracts
