"""What a human traded of a trade that he took: which executions count to it, and how much of each.

After a hand-over the figures follow the account. Executions of others in its contracts, from then on, close
the trade as far as it holds anything, and open it again as far as it did hold: what goes beyond is his own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spxarb.core.broker_books import latest_revisions
from spxarb.core.model import ZERO, LegName
from spxarb.core.order_words import CLOCKS_APART, PREFIX, Purpose
from spxarb.core.records import AtHandOver, held

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.broker_books import Execution
    from spxarb.core.records import Fill, Trade


@dataclass(frozen=True, slots=True)
class TakenLeg:
    """One leg of a trade that a human took. `held`: contracts then, signed, short negative.

    `since`: when he took it. `seen`: families of executions that are not his, whatever their time; `counted`:
    those that count to the leg so far.
    """

    trade_id: int
    leg: LegName
    con_id: int
    held: int
    since: datetime
    seen: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Counted:
    """So many contracts of an execution count to a leg; under `exec_id` they stand in the ledger."""

    leg: TakenLeg
    exec_id: str
    execution: Execution
    quantity: Decimal


def taken_legs(trade: Trade, fills: Sequence[Fill]) -> list[TakenLeg]:
    """The legs of a trade that was handed over, as our own executions and those of others left them.

    None of one that was not.
    """
    since, then = trade.handed_over_at, trade.at_hand_over or AtHandOver()
    if since is None:
        return []
    own = [fill for fill in fills if fill.purpose is not Purpose.BY_HAND]
    his = [fill for fill in fills if fill.purpose is Purpose.BY_HAND]
    return [
        TakenLeg(
            trade.id,
            leg,
            trade.contract(leg).con_id,
            int(held(own, leg)) - then.gone.get(leg, 0),
            since,
            then.seen,
            frozenset(brokers_id(fill.execution.family) for fill in his if fill.leg is leg),
        )
        for leg in LegName
    ]


def counted(legs: Iterable[TakenLeg], others: Iterable[Execution]) -> list[Counted]:
    """How the executions of `others` count to the legs, given in the order in which they were handed over.

    An execution that counted before and counts no more (it was corrected, or an older one came late) is among
    them with 0 contracts.
    """
    found: list[Counted] = []
    rows = _whole(sorted(latest_revisions(others), key=lambda row: row.time))
    his = [row for row in rows if not row.order_ref.startswith(PREFIX)]  # else another ledger's
    by_contract: dict[int, list[TakenLeg]] = {}
    for leg in legs:
        by_contract.setdefault(leg.con_id, []).append(leg)
    for con_id, sharing in by_contract.items():
        found += _of_contract(sharing, [row for row in his if row.con_id == con_id])
    return found


def _of_contract(legs: Sequence[TakenLeg], rows: Iterable[Execution]) -> list[Counted]:
    left = {leg.trade_id: abs(leg.held) for leg in legs}
    found = []
    for row in rows:
        free = row.quantity
        for leg in legs:
            if brokers_id(row.family) in leg.seen or row.time < leg.since - CLOCKS_APART:
                continue
            closes = row.side.sign * leg.held < 0
            room = left[leg.trade_id] if closes else abs(leg.held) - left[leg.trade_id]
            quantity = min(free, ZERO + room)
            left[leg.trade_id] += int(-quantity if closes else quantity)
            free -= quantity
            if quantity or brokers_id(row.family) in leg.counted:
                found.append(Counted(leg, _id_for(leg, legs, row), row, quantity))
    return found


def _whole(rows: Iterable[Execution]) -> list[Execution]:
    """Each execution once: one that the broker's list does not reach comes from the ledger, in its shares."""
    found: dict[str, Execution] = {}
    for row in rows:
        own = brokers_id(row.exec_id)
        known = found.get(own)
        if known is not None:
            fees = row.commission, known.commission
            whole = None if fees[0] is None or fees[1] is None else fees[0] + fees[1]
            found[own] = replace(known, quantity=row.quantity + known.quantity, commission=whole)
        else:
            found[own] = replace(row, exec_id=own)
    return list(found.values())


def _id_for(leg: TakenLeg, legs: Sequence[TakenLeg], row: Execution) -> str:
    """The execution's id in the ledger: one for each trade that has a share of it, and always the same."""
    return row.exec_id if leg is legs[0] else f"{leg.trade_id}:{row.exec_id}"


def brokers_id(exec_id: str) -> str:
    """The broker's own id of an execution, or of a family of them, from the one in the ledger."""
    return exec_id.rpartition(":")[2]


def not_counted(rows: Iterable[Execution], fills: Iterable[Fill]) -> list[Execution]:
    """The executions of others without what counts to a trade by these fills; whole ones are left out."""
    counts: dict[str, Decimal] = {}
    for fill in fills:
        own = brokers_id(fill.execution.exec_id)
        counts[own] = counts.get(own, ZERO) + fill.execution.quantity
    found = []
    for row in rows:
        own = brokers_id(row.exec_id)
        part = min(row.quantity, counts.get(own, ZERO))
        counts[own] = counts.get(own, ZERO) - part
        if part < row.quantity:
            found.append(replace(row, quantity=row.quantity - part))
    return found
