"""Where orders meet the market: what can be had at the touch, and the execution of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.exchange.orders import Commission, Fill, Filled, OrderChanged, PositionChanged, dec

if TYPE_CHECKING:
    from datetime import datetime

    from spxarb.sim.exchange.ledger import Ledger
    from spxarb.sim.exchange.orders import Event, Order, Ticket
    from spxarb.sim.market.instruments import Market

_SPREAD_IDS = 2654435761
"""Odd, so that a running number times this is a different 32-bit number each time."""


class Matcher:
    """Fills orders from the displayed quotes and books the fills.

    Fills happen at the touch and never take more than is displayed there; what was taken is displayed again
    in the next second.
    """

    def __init__(self, market: Market, ledger: Ledger, ids: int) -> None:
        """Execution ids begin with `ids`."""
        self.fills: list[Fill] = []
        self._market = market
        self._ledger = ledger
        self._ids = ids
        self._taken: dict[tuple[int, str], tuple[int, int]] = {}

    def offer(self, ticket: Ticket, wanted: int, now: datetime) -> tuple[int, float]:
        """Contracts that a ticket can have at once, at most `wanted`, and their price."""
        quote = self._market.quote(ticket.instrument.con_id, now)
        buys = ticket.side == "BUY"
        touch, size = (quote.ask, quote.ask_size) if buys else (quote.bid, quote.bid_size)
        if touch is None or not ticket.reaches(touch):
            return 0, 0.0
        return min(wanted, max(0, size - self._gone(ticket, now))), touch

    def _gone(self, ticket: Ticket, now: datetime) -> int:
        """Contracts of the display that were taken in this second."""
        second, taken = self._taken.get((ticket.instrument.con_id, ticket.side), (0, 0))
        return taken if second == int(now.timestamp()) else 0

    def fill(self, order: Order, count: int, price: float, now: datetime) -> list[Event]:
        """Execute: the news are the execution, the order, its costs, the position."""
        ticket, exact = order.ticket, dec(price)
        instrument = ticket.instrument
        gone = self._gone(ticket, now) + count
        self._taken[instrument.con_id, ticket.side] = int(now.timestamp()), gone
        costs = order.tally.charge(instrument, ticket.side, count, exact)
        gain = self._ledger.trade(instrument, ticket.sign * count, exact, costs)
        order.filled += count
        order.notional += exact * count
        order.last_price = price
        done = order.remaining == 0
        order.status = "Filled" if done else "Submitted"
        order.completed_at = now if done else None
        made = Fill(
            ticket=ticket,
            perm_id=order.perm_id,
            exec_id=self._exec_id(),
            time=now,
            exchange="ARCA" if instrument.sec_type == "STK" else "CBOE",
            shares=count,
            price=price,
            cum_qty=order.filled,
            avg_price=order.avg_price,
            commission=float(costs),
            realized_pnl=None if gain is None else float(gain),
        )
        self.fills.append(made)
        events: list[Event] = [Filled(made), OrderChanged(order.state())]
        order.commission = order.tally.charged
        if done:
            events.append(OrderChanged(order.state()))
        return [*events, Commission(made), PositionChanged(instrument)]

    def _exec_id(self) -> str:
        """Four groups with dots between, as the real ones; a correction would count up the last."""
        number = len(self.fills) + 1
        return f"{self._ids:08x}.{number * _SPREAD_IDS & 0xFFFFFFFF:08x}.01.01"
