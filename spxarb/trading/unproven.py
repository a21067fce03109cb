"""What the broker's lists show that the ledger cannot prove, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core import reconcile
from spxarb.trading import bookkeeping

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from spxarb.core.broker_books import BrokerSnapshot
    from spxarb.ledger.ledger import Ledger


def unproven(ledger: Ledger, snapshot: BrokerSnapshot, client_ids: Collection[int], today: date) -> list[str]:
    """Fills that vanished, rows that cannot be read, holdings and orders that this ledger never opened."""
    open_trades = bookkeeping.open_trades(ledger)
    fills = [fill for trade in open_trades for fill in ledger.fills.of_trade(trade.id)]
    sentences = [
        f"in the ledger but not at the broker: {reconcile.describe(fill.execution)}"
        for fill in reconcile.lost_fills(fills, snapshot, snapshot.time.date())
    ]
    sentences += [*_unreadable(ledger, snapshot, client_ids, today), *ledger.trades.unreadable_open()]
    known = known_refs(ledger, snapshot)
    sentences += reconcile.unknown_holdings(snapshot, ledger.tag, known)
    return [*sentences, *reconcile.unknown_orders(snapshot, ledger.tag, known)]


def known_refs(ledger: Ledger, snapshot: BrokerSnapshot) -> set[str]:
    """References of the day's executions and orders that belong to orders in this ledger."""
    refs = {execution.order_ref for execution in snapshot.executions}
    refs |= {order.order_ref for order in snapshot.listed_orders}
    return ledger.orders.known(refs)


def _unreadable(
    ledger: Ledger, snapshot: BrokerSnapshot, client_ids: Collection[int], today: date
) -> list[str]:
    """Rows of the broker's lists that cannot be read and may be ours."""
    trades = [*ledger.trades.open(), *ledger.trades.of_day(today)]
    con_ids = {leg.con_id for trade in trades for leg in (trade.spx, trade.spy)}
    return [str(row) for row in snapshot.unreadable if row.may_be_ours(con_ids, client_ids)]
