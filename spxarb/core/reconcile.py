"""Ledger and broker compared: what differs, in sentences; what can be proven, and what cannot.

Ours are the orders that carry our reference, and of a position what our own executions add up to. Everything
else is foreign, even in the same contract. Corrections of executions replace, they never add.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spxarb.core.broker_books import latest_revisions
from spxarb.core.by_hand import brokers_id
from spxarb.core.model import ZERO, Side
from spxarb.core.order_words import PREFIX, FillSource
from spxarb.core.records import order_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.broker_books import BrokerSnapshot, Execution, Position
    from spxarb.core.records import Fill


_OWN = "this ledger's name"
COMPARE = "Compare the account at the broker with `spxarb report --csv --table executions`"
OLDER = (
    "If an older copy of the ledger was put in its place, `spxarb restore FILE` with that copy, and the "
    "broker is asked for what it lacks"
)


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
    whose = f"order {execution.order_ref}" if execution.order_ref.startswith(PREFIX) else "by hand"
    return f"{did} {what} ({whose})"


def lost_fills(fills: Iterable[Fill], snapshot: BrokerSnapshot, day: date) -> list[Fill]:
    """Fills of `day` in the ledger that the broker's list of the same day does not have.

    The list holds every execution since the gateway's midnight, so such a fill was taken back, or there never
    was one. An earlier one proves nothing: in Hong Kong the day begins at 11:00 in New York.
    """
    if snapshot.time.date() != day:
        return []
    known = {execution.family for execution in snapshot.executions}
    return [fill for fill in fills if not _is_listed(fill, known) and snapshot.reaches(fill.execution.time)]


def _is_listed(fill: Fill, families: Collection[str]) -> bool:
    """Whether one of these families is the fill's; a statement's id may lack the last group."""
    short = fill.source is FillSource.STATEMENT and brokers_id(fill.execution.exec_id) in families
    return short or brokers_id(fill.execution.family) in families


def completed(snapshot: BrokerSnapshot, fills: Iterable[Fill]) -> BrokerSnapshot:
    """The snapshot with the fills of its day that its list of executions does not reach back to.

    A fill whose time is in doubt keeps the time that the ledger has: it was heard earlier.
    """
    known = list(fills)
    times = {fill.execution.exec_id: fill.execution.time for fill in known}
    rows = [
        replace(row, time=times[row.exec_id]) if row.time_doubt and row.exec_id in times else row
        for row in snapshot.executions
    ]
    listed, day = {row.family for row in rows}, snapshot.time.date()
    earlier = [
        fill.execution
        for fill in known
        if not _is_listed(fill, listed)
        and fill.execution.time.date() == day
        and not snapshot.reaches(fill.execution.time)
    ]
    return replace(snapshot, executions=(*earlier, *rows))


def unknown_holdings(snapshot: BrokerSnapshot, tag: str, known_refs: Collection[str]) -> list[str]:
    """As `unknown_contracts`, in sentences."""
    found = unknown_contracts(snapshot, tag, known_refs)
    return [f"the broker shows {contract}, which this ledger knows nothing of" for contract in found]


def unknown_contracts(snapshot: BrokerSnapshot, tag: str, known_refs: Collection[str]) -> list[str]:
    """Contracts held by orders in spxarb's name that this ledger never sent, in words.

    They belong to another ledger, or to one that was lost. What adds up to nothing is not named, nor what
    others have closed since by their executions.
    """
    net: defaultdict[tuple[int, str], Decimal] = defaultdict(lambda: ZERO)
    since: dict[int, datetime] = {}
    rows = sorted(latest_revisions(snapshot.executions), key=lambda row: row.time)
    for execution in rows:
        if _is_unknown(execution.order_ref, known_refs):
            whose = _whose(execution.order_ref, tag)
            key = execution.con_id, f"{execution.symbol} contract {execution.con_id} in {whose}"
            net[key] += _signed(execution)
            since.setdefault(execution.con_id, execution.time)
    by_others: defaultdict[int, Decimal] = defaultdict(lambda: ZERO)
    for execution in rows:
        opened = since.get(execution.con_id)
        if opened is not None and execution.time >= opened and not execution.order_ref.startswith(PREFIX):
            by_others[execution.con_id] += _signed(execution)
    for key, quantity in net.items():
        closed = min(abs(quantity), max(-by_others[key[0]] * (1 if quantity > 0 else -1), ZERO))
        net[key] -= closed if quantity > 0 else -closed
        by_others[key[0]] += closed if quantity > 0 else -closed
    return [f"{quantity.normalize():+f} of {contract}" for (_, contract), quantity in net.items() if quantity]


def lost_live_orders(snapshot: BrokerSnapshot, tag: str, known_refs: Collection[str]) -> list[str]:
    """Live orders in this ledger's own name that it knows nothing of, in words: they may still fill."""
    names = {order.order_ref: order_name(order.order_ref) for order in snapshot.open_orders}
    own = sorted(ref for ref, name in names.items() if name is not None and name.tag == tag)
    return [f"a live order {ref}, which may still fill" for ref in own if ref not in known_refs]


def unknown_orders(snapshot: BrokerSnapshot, tag: str, known_refs: Collection[str]) -> list[str]:
    """Orders in spxarb's name that this ledger never sent, where `unknown_holdings` is silent.

    Those that are live; those that filled by the list of completed orders, of which no execution is listed;
    and those in this ledger's own name that add up to nothing: it has lost what it knew.
    """
    unknown = [order for order in snapshot.listed_orders if _is_unknown(order.order_ref, known_refs)]
    live = {order.order_ref: order for order in snapshot.open_orders}
    executed = {execution.order_ref for execution in snapshot.executions}
    sentences = [
        f"the broker has a live order {order.order_ref} in {_whose(order.order_ref, tag)}, which this ledger "
        "knows nothing of"
        for order in unknown
        if order is live.get(order.order_ref)
    ]
    sentences += [
        f"the broker shows order {order.order_ref} in {_whose(order.order_ref, tag)} as filled, which this "
        "ledger knows nothing of"
        for order in unknown
        if order.order_ref not in live and order.filled and order.order_ref not in executed
    ]
    lost = {
        execution.order_ref: None
        for execution in latest_revisions(snapshot.executions)
        if _is_unknown(execution.order_ref, known_refs)
        and _whose(execution.order_ref, tag) == _OWN
        and execution.quantity
    }
    if lost and not unknown_holdings(snapshot, tag, known_refs):
        orders = ", ".join(sorted(lost))
        sentences.append(
            f"the broker shows executions of {orders} in {_OWN}, which this ledger knows nothing of"
        )
    return sentences


def mend_of(differences: Iterable[str], *, first: str = COMPARE) -> str:
    """What a human should do about these differences, and where they tell of an older ledger, what helps."""
    older = any(_OWN in text for text in differences)
    return ". ".join([first, *([OLDER] if older else [])])


def may_be_ours(snapshot: BrokerSnapshot) -> list[str]:
    """What the account shows that spxarb may have opened, in words: for when no ledger can say what is ours.

    Contracts that orders in spxarb's name traded today, calls on SPX and SPY that expire today, and live
    orders in spxarb's name.
    """
    named = {row.con_id for row in snapshot.executions if row.order_ref.startswith(PREFIX)}
    today = snapshot.time.date()
    held = [
        f"{row.quantity.normalize():+f} {row.trading_class or row.symbol} {_strike(row)}"
        for row in snapshot.positions
        if row.quantity and (row.con_id in named or _is_of_the_day(row, today))
    ]
    live = [order.order_ref for order in snapshot.open_orders if order.order_ref.startswith(PREFIX)]
    return held + [f"a live order {ref}" for ref in live]


def _is_of_the_day(row: Position, today: date) -> bool:
    return (row.symbol in {"SPX", "SPY"}) and (row.sec_type, row.right, row.expiry) == ("OPT", "C", today)


def _strike(row: Position) -> str:
    return f"{row.strike.normalize():f} call" if row.strike is not None else f"contract {row.con_id}"


def _is_unknown(ref: str, known_refs: Collection[str]) -> bool:
    return ref.startswith(PREFIX) and ref not in known_refs


def _whose(ref: str, tag: str) -> str:
    name = order_name(ref)
    return _OWN if name and name.tag == tag else "another ledger's name"


def _signed(execution: Execution) -> Decimal:
    """Contracts: bought positive, sold negative, busted zero."""
    return execution.quantity * execution.side.sign
