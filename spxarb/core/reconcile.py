"""Ledger and broker compared: what differs, in sentences; what can be proven, and what cannot.

Ours are the orders that carry our reference, and of a position what our own executions add up to. All else
is foreign, also in the very same contract, and never counted here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.model import ZERO, LegName, Side
from spxarb.core.records import PREFIX, held, order_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.model import BrokerSnapshot, Execution
    from spxarb.core.records import Fill, Trade


@dataclass(frozen=True, slots=True)
class Findings:
    """Differences in sentences. `repaired` were proven and mended, `noticed` are others' doing, `unproven`
    need a human.
    """

    repaired: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.repaired, *self.noticed, *self.unproven)


def describe(execution: Execution) -> str:
    """An execution in a few words."""
    did = "bought" if execution.side is Side.BUY else "sold"
    what = f"{execution.quantity.normalize():f} {execution.symbol} at {execution.price:f}"
    return f"{did} {what} (order {execution.order_ref})"


def lost_fills(fills: Iterable[Fill], snapshot: BrokerSnapshot, day: date) -> list[Fill]:
    """Fills of `day` in the ledger of which the broker's list of the same day knows nothing.

    The list holds every execution since midnight in New York, so such a fill was taken back, or was never.
    """
    if snapshot.time.date() != day:
        return []
    known = {execution.family for execution in snapshot.executions}
    todays = (fill for fill in fills if fill.execution.time.date() == day)
    return [fill for fill in todays if fill.execution.family not in known]


def unknown_holdings(snapshot: BrokerSnapshot, tag: str, known_refs: Collection[str]) -> list[str]:
    """Contracts that orders in our name hold, which this ledger has never sent; sentences.

    They stem from another ledger, or from one that was lost. What adds up to nothing is nobody's concern.
    """
    net: defaultdict[tuple[int, str], Decimal] = defaultdict(lambda: ZERO)
    newest = {execution.family: execution for execution in snapshot.executions}
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


def closed_by_others(
    trade: Trade, fills: Iterable[Fill], snapshot: BrokerSnapshot, known_refs: Collection[str]
) -> list[str]:
    """Legs of which the account holds less than our own executions add up to, because others traded them.

    Perhaps somebody closed them by hand. They stay ours all the same, and will be left: sentences, no more.
    """
    told = []
    own = list(fills)
    for leg in LegName:
        con_id, ours = trade.contract(leg).con_id, held(own, leg)
        account = sum((p.quantity for p in snapshot.positions if p.con_id == con_id), start=ZERO)
        foreign = any(
            each.con_id == con_id and each.order_ref not in known_refs and each.side.sign * ours < 0
            for each in snapshot.executions
        )
        if foreign and account * ours < ours * ours:
            told.append(
                f"others traded {trade.contract(leg)} of trade {trade.id}: the account holds {account:+.0f}, "
                f"the ledger {ours:+.0f}; spxarb will close its own all the same: was it closed by hand?"
            )
    return told


def sold_by_others(
    trade: Trade, snapshot: BrokerSnapshot, known_refs: Collection[str], since: datetime
) -> bool:
    """Whether selling our long SPX calls would leave the account short, because others sold some since.

    Somebody may have closed the position by hand. Who it was cannot be told from a net position, so this
    one sale is left to a human; buying SPY back is never held up.
    """
    con_id = trade.spx.con_id
    position = next((p.quantity for p in snapshot.positions if p.con_id == con_id), ZERO)
    foreign = sum(
        (
            execution.quantity * execution.side.sign
            for execution in snapshot.executions
            if execution.con_id == con_id
            and execution.order_ref not in known_refs
            and execution.time >= since
        ),
        start=ZERO,
    )
    return foreign < 0 and position < trade.spx_contracts
