"""Whose is an execution or an order: the one place that decides it.

Ours are the orders that this ledger sent. A row of the broker is matched by its reference; where it carries
none, by its permanent id; where that is not known, by client id and order id with the contract, the side and
the day. References are missing from some executions of real gateways (node-ib#110, nautilus_trader#4970).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.core.by_hand import not_counted
from spxarb.core.order_words import CLOCKS_APART

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from spxarb.core.broker_books import BrokerOrder, BrokerSnapshot, Execution
    from spxarb.core.records import Fill, OrderRecord


class OrderIndex:
    """The ledger's orders, to be found by what the broker says of them."""

    def __init__(self, records: Iterable[OrderRecord], by_hand: Iterable[Fill] = ()) -> None:
        """`records`, oldest first: of several with the same id the newest is meant.

        `by_hand`: what humans traded of trades that they took: it counts to those, and is nobody else's.
        """
        known = list(records)
        self._by_hand = tuple(by_hand)
        self._by_ref = {record.ref: record for record in known}
        self._by_perm_id = {record.perm_id: record for record in known if record.perm_id}
        self._by_order_id = {(record.client_id, record.order_id): record for record in known}

    def of_execution(self, execution: Execution) -> OrderRecord | None:
        """The order that was filled; None when it is not one of ours."""
        record = self._found(execution, execution.time.date())
        if record is None:
            return None
        by_ids_alone = not execution.order_ref and record.perm_id != execution.perm_id
        if by_ids_alone and execution.time < record.created_at - CLOCKS_APART:
            return None  # filled before ours was made: order ids begin anew when a gateway is reset
        return record

    def of_others(self, executions: Iterable[Execution]) -> list[Execution]:
        """Those that are not ours, as far as they count to no trade that a human took."""
        others = (row for row in executions if self.of_execution(row) is None)
        return not_counted(others, self._by_hand)

    def of_order(self, order: BrokerOrder, day: date) -> OrderRecord | None:
        """The order of ours that the broker lists on `day`; None when it is not one of ours."""
        return self._found(order, day)

    def named(self, execution: Execution) -> Execution:
        """The execution with the reference of its order, where it came without one and is ours."""
        record = None if execution.order_ref else self.of_execution(execution)
        return execution if record is None else replace(execution, order_ref=record.ref)

    def named_snapshot(self, snapshot: BrokerSnapshot) -> BrokerSnapshot:
        """The snapshot with the reference on every row of ours: after this, references alone decide."""
        day, completed = snapshot.time.date(), snapshot.completed_orders
        if completed is not None:
            completed = tuple(self._named_order(order, day) for order in completed)
        return replace(
            snapshot,
            executions=tuple(self.named(execution) for execution in snapshot.executions),
            open_orders=tuple(self._named_order(order, day) for order in snapshot.open_orders),
            completed_orders=completed,
        )

    def _named_order(self, order: BrokerOrder, day: date) -> BrokerOrder:
        record = None if order.order_ref else self.of_order(order, day)
        return order if record is None else replace(order, order_ref=record.ref)

    def _found(self, row: Execution | BrokerOrder, day: date) -> OrderRecord | None:
        if row.order_ref:
            record = self._by_ref.get(row.order_ref)
        else:
            record = self._by_perm_id.get(row.perm_id) or self._by_ids(row, day)
        if (
            record is None
            or record.ticket.contract.con_id != row.con_id
            or record.ticket.side is not row.side
        ):
            return None
        return record

    def _by_ids(self, row: Execution | BrokerOrder, day: date) -> OrderRecord | None:
        """By client id and order id, which are unique for a client and a day.

        Manual orders have order id 0, a liquidation by IB -1 under client id 0: neither is ever ours.
        """
        if row.order_id <= 0:
            return None
        record = self._by_order_id.get((row.client_id, row.order_id))
        if record is None or record.created_at.date() != day:
            return None
        contradicted = record.perm_id and row.perm_id and record.perm_id != row.perm_id
        return None if contradicted else record
