"""Orders of earlier jobs: given up when their day is over, or live though their trade was closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.model import ZERO
from spxarb.core.records import order_name
from spxarb.core.trades import TradeEvent
from spxarb.trading import bookkeeping

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from spxarb.core.broker_books import BrokerSnapshot
    from spxarb.ledger.ledger import Ledger


def give_up_old_orders(ledger: Ledger, snapshot: BrokerSnapshot, now: datetime) -> None:
    """Finish orders of an earlier day whose end was never seen, as lost from sight.

    They cannot fill any more (all are day orders), but whether they did is unknown: reqExecutions lists
    today's executions only, so their absence there proves nothing.
    """
    listed = {order.order_ref for order in snapshot.listed_orders}
    listed |= {execution.order_ref for execution in snapshot.executions}
    for record in ledger.orders.unproven():
        if record.created_at.date() >= snapshot.time.date() or record.ref in listed:
            continue
        if record.trade_id in ledger.trades.unreadable:
            continue
        why = (
            f"how order {record.ref} of {record.created_at:%Y-%m-%d} ended is not known, because the "
            f"broker lists today's executions only; compare trade {record.trade_id} with the account's "
            "statement (`spxarb reconcile`)"
        )
        filled = sum(
            fill.execution.quantity
            for fill in ledger.fills.of_trade(record.trade_id)
            if fill.execution.order_ref == record.ref
        )
        ledger.orders.finish(record.ref, bookkeeping.LOST_SIGHT, ZERO + filled, now, why)
        trade = ledger.trades.get(record.trade_id)
        bookkeeping.move(ledger, trade, TradeEvent.SIGHT_LOST, note=why)


def reopen(ledger: Ledger, snapshot: BrokerSnapshot) -> list[str]:
    """Reopen every closed trade that has a live order at the broker after all. Returns sentences."""
    notes = []
    listed = {order.order_ref for order in snapshot.open_orders}
    for record in ledger.orders.unproven():
        if record.trade_id in ledger.trades.unreadable:
            continue
        trade = ledger.trades.get(record.trade_id)
        if trade.is_open or record.ref not in listed:
            continue
        bookkeeping.move(ledger, trade, TradeEvent.HELD)
        notes.append(f"trade {trade.id} is open again: its order {record.ref} is live at the broker")
    return notes


def skip_lost_trades(ledger: Ledger, unknown_refs: Iterable[str]) -> None:
    """No trade gets the number of one that this ledger has lost: references would repeat."""
    names = [name for name in map(order_name, unknown_refs) if name and name.tag == ledger.tag]
    ledger.trades.skip_ids(max((name.trade_id for name in names), default=0))
