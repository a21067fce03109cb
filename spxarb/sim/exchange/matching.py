"""Where orders meet the market: what is available at the touch, and its execution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.exchange.orders import Commission, ExecutionReport, Filled, OrderChanged, PositionChanged, dec

if TYPE_CHECKING:
    from datetime import datetime

    from spxarb.sim.exchange.executions import ExecutionLog
    from spxarb.sim.exchange.ledger import AccountLedger
    from spxarb.sim.exchange.orders import Event, Order, Ticket
    from spxarb.sim.market.instruments import Market


class Matcher:
    """Fills orders from the displayed quotes and books the fills.

    Fills happen at the touch and never exceed the displayed size, which is replenished in the next second.
    """

    def __init__(self, market: Market, ledger: AccountLedger, executions: ExecutionLog) -> None:
        """Match at the quotes of `market`; book into `ledger` and `executions`."""
        self._market = market
        self._ledger = ledger
        self._executions = executions
        self._taken: dict[tuple[int, str], tuple[int, int]] = {}

    def offer(self, ticket: Ticket, wanted: int, now: datetime) -> tuple[int, float]:
        """How many contracts a ticket can fill at once, at most `wanted`, and their price."""
        quote = self._market.quote(ticket.instrument.con_id, now)
        buys = ticket.side == "BUY"
        touch, size = (quote.ask, quote.ask_size) if buys else (quote.bid, quote.bid_size)
        if touch is None or not ticket.reaches(touch):
            return 0, 0.0
        return min(wanted, max(0, size - self._gone(ticket, now))), touch

    def _gone(self, ticket: Ticket, now: datetime) -> int:
        """Contracts of the displayed size that were taken in this second."""
        second, taken = self._taken.get((ticket.instrument.con_id, ticket.side), (0, 0))
        return taken if second == int(now.timestamp()) else 0

    def fill(self, order: Order, count: int, price: float, now: datetime) -> list[Event]:
        """Execute: the events are the execution, the order, its commission, the position."""
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
        fill = ExecutionReport(
            ticket=ticket,
            perm_id=order.perm_id,
            exec_id=self._executions.next_id(),
            time=now,
            exchange="ARCA" if instrument.sec_type == "STK" else "CBOE",
            shares=count,
            price=price,
            cum_qty=order.filled,
            avg_price=order.avg_price,
            commission=float(costs),
            realized_pnl=None if gain is None else float(gain),
        )
        self._executions.record(fill)
        events: list[Event] = [Filled(fill), OrderChanged(order.snapshot())]
        order.commission = order.tally.charged
        if done:
            events.append(OrderChanged(order.snapshot()))
        return [*events, Commission(fill), PositionChanged(instrument)]
