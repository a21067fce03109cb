"""What no client asks of the exchange and happens all the same: acts of the script of faults on the book."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from spxarb.sim.exchange.orders import Commission, Filled, OrderChanged, PositionChanged, dec

if TYPE_CHECKING:
    from datetime import datetime

    from spxarb.sim.exchange.ledger import Ledger
    from spxarb.sim.exchange.matching import Matcher
    from spxarb.sim.exchange.orders import Event, Fill, Order, OrderState, Ticket
    from spxarb.sim.faults.kinds import Correction, Verdict
    from spxarb.sim.market.instruments import Instrument, Market


class Fate(Protocol):
    """Who may hold back, limit or reject what the exchange would do by itself."""

    def allowed(self, order: Order, count: int, now: datetime) -> int:
        """Contracts of the `count` that could fill which may."""

    def verdict(self, ticket: Ticket, *, new: bool) -> Verdict | None:
        """A rejection, or None."""


class Interventions:
    """The part of the exchange that faults reach into."""

    now: datetime
    fate: Fate | None = None
    id_floor: int = 0
    """No order id up to here is given out as the next valid one."""
    _market: Market
    _ledger: Ledger
    _orders: dict[tuple[int, int], Order]
    _matcher: Matcher
    _superseded: dict[str, Fill]
    """Executions that were corrected, by their ids, as long as they are listed."""

    def order(self, client_id: int, order_id: int) -> Order | None:
        """An order, whatever has become of it."""
        return self._orders.get((client_id, order_id))

    def newest(self) -> Order | None:
        """The order placed last."""
        return next(reversed(self._orders.values()), None)

    def all_orders(self) -> list[OrderState]:
        """Every order ever placed, oldest first."""
        return [order.state() for order in self._orders.values()]

    def execution(self, exec_id: str) -> Fill | None:
        """An execution by its id."""
        return next((fill for fill in self._matcher.fills if fill.exec_id == exec_id), None)

    def all_executions(self) -> list[Fill]:
        """Executions as they are listed: those that were corrected stand before their corrections."""
        listed: list[Fill] = []
        for fill in self._matcher.fills:
            old = self._superseded.get(fill.exec_id)
            while old is not None:
                listed.append(old)
                old = self._superseded.get(old.exec_id)
            listed.append(fill)
        return listed

    def touch(self, ticket: Ticket) -> float:
        """A price at which an order could trade: the market's, else its own limit."""
        quote = self._market.quote(ticket.instrument.con_id, self.now)
        touch = quote.ask if ticket.side == "BUY" else quote.bid
        return touch or ticket.limit or quote.last or ticket.instrument.min_tick

    def force(self, order: Order, count: int | None = None, price: float | None = None) -> list[Event]:
        """Fill an order whatever its state: all that is left of it, at its limit or the touch."""
        order.sealed = False
        count = order.remaining if count is None else min(count, order.remaining)
        if count <= 0:
            return []
        paid = price or order.ticket.limit or self.touch(order.ticket)
        ended = None if order.live or count == order.remaining else (order.status, order.completed_at)
        events = self._matcher.fill(order, count, paid, self.now)
        if ended is None:
            return events
        order.status, order.completed_at = ended  # what is left of a cancelled order stays cancelled
        return [OrderChanged(order.state()) if isinstance(each, OrderChanged) else each for each in events]

    def revive(self, order: Order) -> bool:
        """Let a dormant order live again; it works from the next moment on."""
        if not order.dormant:
            return False
        order.dormant, order.status, order.why, order.completed_at = False, "PreSubmitted", "", None
        return True

    def correct(self, wanted: Correction) -> list[Event]:
        """Undo an execution and book it as it should have been; 0 shares bust it. Gives the news."""
        old = wanted.fill
        fills = self._matcher.fills
        order = self._orders.get((old.ticket.client_id, old.ticket.order_id))
        if old not in fills or order is None or not (old.shares or wanted.shares):
            return []
        sign, item = old.ticket.sign, old.ticket.instrument
        costs = dec(old.commission)
        if old.shares:
            self._ledger.trade(item, -sign * old.shares, dec(old.price), -costs)
        gain = None
        if wanted.shares:
            gain = self._ledger.trade(item, sign * wanted.shares, dec(wanted.price), costs)
        order.filled += wanted.shares - old.shares
        order.notional += dec(wanted.price) * wanted.shares - dec(old.price) * old.shares
        order.last_price = wanted.price
        head, _, last = old.exec_id.rpartition(".")
        new = replace(
            old,
            exec_id=f"{head}.{int(last) + 1:02d}",
            shares=wanted.shares,
            price=wanted.price,
            cum_qty=order.filled,
            avg_price=order.avg_price,
            commission=old.commission if wanted.shares else 0.0,
            realized_pnl=None if gain is None else float(gain),
        )
        fills[fills.index(old)] = new
        if wanted.listed:
            self._superseded[new.exec_id] = old
        return [Filled(new), Commission(new), PositionChanged(item)]

    def transfer(self, instrument: Instrument, quantity: int, price: float) -> list[Event]:
        """A position that no execution of today explains."""
        self._ledger.trade(instrument, quantity, dec(price), dec(0.0))
        return [PositionChanged(instrument)]

    def held(self) -> list[Instrument]:
        """Instruments of which there is a position, newest last."""
        return [each.instrument for each in self._ledger.positions.values() if each.quantity]


def told(order: Order) -> list[Event]:
    """The news that an order stands as it stands."""
    return [OrderChanged(order.state())]
