"""Every order of the account, by client and order id, from its first arrival on."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from spxarb.sim.exchange.orders import Order, OrderSnapshot, Ticket


class OrderBook:
    """The orders of all clients, and the ids that they have used. Nothing is ever removed."""

    def __init__(self, ids: int) -> None:
        """Permanent ids are counted from a number that `ids` decides."""
        self.id_floor = 0
        """No order id up to here is given out as the next valid one."""
        self._perm_ids = count(1_000_000_001 + ids % 10_000 * 100_000)
        self._orders: dict[tuple[int, int], Order] = {}
        self._highest_seen: dict[int, int] = {}

    # --- ids --------------------------------------------------------------------------------------------

    def next_order_id(self, client_id: int) -> int:
        """The lowest id above all that this client has used."""
        return max(self._highest_seen.get(client_id, 0), self.id_floor) + 1

    def next_perm_id(self) -> int:
        """A permanent id that no order has had."""
        return next(self._perm_ids)

    def note_id(self, client_id: int, order_id: int) -> None:
        """Remember an id that came with an order, accepted or not: the next valid one is higher.

        A lower id that comes later is accepted: real gateways judge ids as they receive them, and orders
        were seen to pass each other inside of them.
        """
        self._highest_seen[client_id] = max(order_id, self._highest_seen.get(client_id, 0))

    # --- orders -----------------------------------------------------------------------------------------

    def add(self, order: Order) -> None:
        """Take an accepted order in."""
        self._orders[order.ticket.client_id, order.ticket.order_id] = order

    def find(self, client_id: int, order_id: int) -> Order | None:
        """An order in whatever state; None when there never was one."""
        return self._orders.get((client_id, order_id))

    def live(self) -> list[Order]:
        """Orders that can still fill, oldest first."""
        return [order for order in self._orders.values() if order.live]

    def opposing(self, ticket: Ticket) -> list[Order]:
        """Transmitted orders of any client in the same instrument that can still fill on the other side."""
        return [
            order
            for order in self._orders.values()
            if (order.live or order.dormant)
            and order.ticket.transmit
            and order.ticket.instrument == ticket.instrument
            and order.ticket.side != ticket.side
        ]

    def all(self) -> list[OrderSnapshot]:
        """Every order ever placed, oldest first."""
        return [order.snapshot() for order in self._orders.values()]

    def open(self, client_id: int | None) -> list[OrderSnapshot]:
        """Live and dormant orders, of one client or with None of all, oldest first."""
        listed = (order for order in self._orders.values() if order.live or order.dormant)
        return [order.snapshot() for order in listed if client_id in {None, order.ticket.client_id}]

    def completed(self, since: datetime | None = None) -> list[OrderSnapshot]:
        """Filled, cancelled and rejected orders that ended at or after `since`, oldest first."""
        return [
            order.snapshot()
            for order in self._orders.values()
            if order.completed_at is not None and (since is None or order.completed_at >= since)
        ]
