"""What a fault may do to the exchange: hold back fills, turn orders away, force, correct and transfer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from spxarb.sim.exchange.orders import (
    LIQUIDATION_ID,
    Commission,
    Filled,
    Order,
    OrderChanged,
    PositionChanged,
    Ticket,
    dec,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from spxarb.sim.exchange.executions import ExecutionLog
    from spxarb.sim.exchange.ledger import AccountLedger
    from spxarb.sim.exchange.matching import Matcher
    from spxarb.sim.exchange.order_book import OrderBook
    from spxarb.sim.exchange.orders import Event, ExecutionReport
    from spxarb.sim.market.instruments import Instrument, Market


@dataclass
class Rejection:
    """Why and how an order is turned away: the state it takes, the error and status that its client gets."""

    ticket: Ticket
    new: bool
    """False: a live order is being changed."""
    why: str = ""
    status: str = "Inactive"
    code: int | None = 201
    """None: no error is sent."""
    sends_status: bool = True
    """False: no orderStatus is sent, the error only."""
    status_first: bool = False
    """True: the status is sent before the error, and again after it."""
    dormant: bool = False
    """True: it may become live later."""


@dataclass(frozen=True)
class Correction:
    """What an execution should have been; 0 shares undo it."""

    fill: ExecutionReport
    shares: int
    price: float
    list_both: bool
    """True: reqExecutions lists the corrected execution too."""
    reports_commission: bool = True
    """False: the commission stays reported under the id of the corrected execution alone."""


class OrderInterceptor(Protocol):
    """Stands between an order and the market: may limit its fills, or turn it away."""

    def fillable(self, order: Order, count: int, now: datetime) -> int:
        """How many of the `count` contracts that could fill now may do so."""

    def rejection(self, ticket: Ticket, *, new: bool) -> Rejection | None:
        """How an order is turned away; None when it is accepted."""


class Interventions:
    """Changes to orders, executions and positions that no client asked for. Each gives the events."""

    def __init__(
        self,
        market: Market,
        ledger: AccountLedger,
        orders: OrderBook,
        executions: ExecutionLog,
        matcher: Matcher,
        now: Callable[[], datetime],
    ) -> None:
        """Act on these parts of an exchange; `now` is its time."""
        self._market = market
        self._ledger = ledger
        self._orders = orders
        self._executions = executions
        self._matcher = matcher
        self._now = now

    def touch(self, ticket: Ticket) -> float:
        """A price at which an order could trade: the market's, else its own limit."""
        quote = self._market.quote(ticket.instrument.con_id, self._now())
        touch = quote.ask if ticket.side == "BUY" else quote.bid
        return touch or ticket.limit or quote.last or ticket.instrument.min_tick

    def force_fill(self, order: Order, count: int | None = None, price: float | None = None) -> list[Event]:
        """Fill an order whatever its state: without `count` the whole rest, without `price` at its limit.

        A market order fills at the touch. The rest of a cancelled order stays cancelled.
        """
        order.sealed = False
        count = order.remaining if count is None else min(count, order.remaining)
        if count <= 0:
            return []
        paid = price or order.ticket.limit or self.touch(order.ticket)
        ended = None if order.live or count == order.remaining else (order.status, order.completed_at)
        events = self._matcher.fill(order, count, paid, self._now())
        if ended is None:
            return events
        order.status, order.completed_at = ended
        return [
            OrderChanged(order.snapshot()) if isinstance(event, OrderChanged) else event for event in events
        ]

    def revive(self, order: Order) -> bool:
        """Make a dormant order live; it works from the next moment on. False when it is not dormant."""
        if not order.dormant:
            return False
        order.dormant, order.status, order.why, order.completed_at = False, "PreSubmitted", "", None
        return True

    def correct(self, wanted: Correction) -> list[Event]:
        """Undo an execution and book it as it should have been, unless it is no longer current."""
        old = wanted.fill
        order = self._orders.find(old.ticket.client_id, old.ticket.order_id)
        if old not in self._executions.current or order is None or not (old.shares or wanted.shares):
            return []
        gain = self._rebook(wanted)
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
            realized_pnl=gain,
            commission_id="" if wanted.reports_commission else old.commission_id or old.exec_id,
        )
        self._executions.supersede(old, new, list_both=wanted.list_both)
        reported: list[Event] = [Commission(new)] if wanted.reports_commission else []
        return [Filled(new), *reported, PositionChanged(old.ticket.instrument)]

    def _rebook(self, wanted: Correction) -> float | None:
        """Cash and position as if the execution had been right at once; the realized gain, dollars."""
        old = wanted.fill
        sign, item, costs = old.ticket.sign, old.ticket.instrument, dec(old.commission)
        if old.shares:
            self._ledger.trade(item, -sign * old.shares, dec(old.price), -costs)
        if not wanted.shares:
            return None
        gain = self._ledger.trade(item, sign * wanted.shares, dec(wanted.price), costs)
        return None if gain is None else float(gain)

    def quantity(self, instrument: Instrument) -> int:
        """Contracts or shares held, negative when short."""
        return self._ledger.quantity(instrument)

    def transfer(self, instrument: Instrument, quantity: int, price: float) -> list[Event]:
        """Book a position that no execution explains; `quantity` is negative to take away."""
        self._ledger.trade(instrument, quantity, dec(price), dec(0.0))
        return [PositionChanged(instrument)]

    def liquidation(self, instrument: Instrument, quantity: int, account: str) -> Order | None:
        """The broker's own order to close a position, all of it with quantity 0; None when none is held.

        `liquidate` fills it. It is in no list of orders: real ones show only in their executions, under
        order id -1 and client id 0.
        """
        held = self._ledger.quantity(instrument)
        if not held:
            return None
        side, size = "SELL" if held > 0 else "BUY", abs(held)
        size = min(size, quantity or size)
        ticket = Ticket(0, LIQUIDATION_ID, instrument, side, size, "MKT", account=account)
        return Order(ticket, self._orders.next_perm_id(), "Submitted", None)

    def liquidate(self, order: Order, count: int) -> list[Event]:
        """Fill `count` contracts of a liquidation at the touch, at most what is still held on its side."""
        held = -order.ticket.sign * self._ledger.quantity(order.ticket.instrument)
        events = self.force_fill(order, min(count, max(0, held)), self.touch(order.ticket))
        return [event for event in events if not isinstance(event, OrderChanged)]

    def held(self) -> list[Instrument]:
        """Instruments in which there is a position, newest last."""
        return [position.instrument for position in self._ledger.positions.values() if position.quantity]
