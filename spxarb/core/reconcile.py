"""Ledger and broker compared: what differs, in sentences; what can be proven, and what cannot.

Ours are the orders that carry our reference, and of a position what our own executions add up to. Everything
else is foreign, even in the same contract. Corrections of executions replace, they never add.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.model import ZERO, LegName, Side, latest_revisions
from spxarb.core.records import PREFIX, held, order_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.model import BrokerSnapshot, Execution
    from spxarb.core.records import Fill, Trade


@dataclass(frozen=True, slots=True)
class Findings:
    """Differences in sentences: `repaired` in the ledger by proof, `noticed` of others' trades, `unproven`.

    What is unproven needs a human.
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


def closed_by_others(
    trade: Trade, fills: Iterable[Fill], snapshot: BrokerSnapshot, known_refs: Collection[str]
) -> list[str]:
    """Legs that the account holds less of than our executions add up to, after others traded against them.

    Perhaps somebody closed them by hand. They count as ours all the same and will be closed: one sentence
    each, and nothing more.
    """
    sentences = []
    own = list(fills)
    for leg in LegName:
        con_id, ours = trade.contract(leg).con_id, held(own, leg)
        account = sum((row.quantity for row in snapshot.positions if row.con_id == con_id), start=ZERO)
        against = any(_signed(row) * ours < 0 for row in _foreign(con_id, snapshot, known_refs))
        if against and account * ours < ours * ours:
            sentences.append(
                f"others traded {trade.contract(leg)} of trade {trade.id}: the account holds {account:+.0f}, "
                f"the ledger {ours:+.0f}; spxarb will close its own all the same: was it closed by hand?"
            )
    return sentences


def sold_by_others(
    trade: Trade, snapshot: BrokerSnapshot, known_refs: Collection[str], since: datetime
) -> bool:
    """Whether selling our long SPX calls would leave the account short, because others sold some since.

    Somebody may have closed the position by hand. A net position does not say whose calls are left, so this
    one sale waits for a human; buying SPY back is never held up.
    """
    con_id = trade.spx.con_id
    position = next((row.quantity for row in snapshot.positions if row.con_id == con_id), ZERO)
    traded = [row for row in _foreign(con_id, snapshot, known_refs) if row.time >= since]
    return sum(map(_signed, traded), start=ZERO) < 0 and position < trade.spx_contracts


def _foreign(con_id: int, snapshot: BrokerSnapshot, known_refs: Collection[str]) -> list[Execution]:
    """Others' executions of the day in a contract, each as its latest correction has it."""
    rows = (row for row in snapshot.executions if row.con_id == con_id and row.order_ref not in known_refs)
    return latest_revisions(rows)


def _signed(execution: Execution) -> Decimal:
    """Contracts: bought positive, sold negative, busted zero."""
    return execution.quantity * execution.side.sign
