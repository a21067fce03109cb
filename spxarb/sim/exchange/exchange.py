"""The order book, the account and settlement behind the gateway.

Orders are known by client and order id. The book never forgets: what a client sees does not depend on when
it connects.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from heapq import merge
from itertools import chain
from typing import TYPE_CHECKING

from spxarb.sim.exchange import settlement
from spxarb.sim.exchange.account import Account
from spxarb.sim.exchange.interventions import Interventions
from spxarb.sim.exchange.ledger import Ledger
from spxarb.sim.exchange.matching import Matcher
from spxarb.sim.exchange.orders import (
    Commission,
    Event,
    Fill,
    Filled,
    Holding,
    Order,
    OrderChanged,
    OrderError,
    OrderState,
    PositionChanged,
    Ticket,
    WhatIf,
    dec,
)
from spxarb.sim.market import hours
from spxarb.sim.market.trading_days import NEW_YORK, OPTIONS_LATER, closing, opening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spxarb.sim.faults.kinds import Verdict
    from spxarb.sim.market.instruments import Instrument, Market

__all__ = [
    "Commission",
    "Event",
    "Exchange",
    "Fill",
    "Filled",
    "Holding",
    "OrderChanged",
    "OrderError",
    "OrderState",
    "PositionChanged",
    "Ticket",
    "WhatIf",
]

MAX_QUANTITY = 100_000
"""Contracts of one order; also what keeps all sums far inside the precision of decimals."""
MAX_CASH = 1e12
Events = list[Event]


class Exchange(Interventions):
    """One account's orders and positions in one market. Time comes from outside and only goes forward.

    Every method that changes something gives the news about it, in the order in which clients hear them.
    """

    def __init__(
        self,
        market: Market,
        *,
        account: str = "SIM0000001",
        cash: float = 1_000_000.0,
        margin: str = "reg-t",
        seed: int = 7,
    ) -> None:
        """An account with `cash` dollars at midnight of the market's day.

        `seed` goes into permanent and execution ids, so that they are the same in every run. Raises
        ValueError for unknown rules and for a sum that is none.
        """
        if not -MAX_CASH < cash < MAX_CASH:
            raise ValueError(f"cash {cash} is not a sum of dollars")
        self.now = datetime.combine(market.day, time(0), NEW_YORK)
        self._market = market
        self._ledger = Ledger(dec(cash))
        self._account = Account(account, market, self._ledger, margin)
        self._orders: dict[tuple[int, int], Order] = {}
        self._placed: dict[int, int] = {}
        self._seen: dict[int, int] = {}
        self._superseded: dict[str, Fill] = {}
        self._ids = (market.day.toordinal() * 1009 + seed) & 0xFFFFFFFF
        self._matcher = Matcher(market, self._ledger, self._ids)

    # --- what clients ask -------------------------------------------------------------------------------

    def next_order_id(self, client_id: int) -> int:
        """The lowest id above all that this client has used."""
        return max(self._seen.get(client_id, 0), self.id_floor) + 1

    def open_orders(self, client_id: int | None) -> list[OrderState]:
        """Live orders, of one client or with None of all, oldest first."""
        listed = (order for order in self._orders.values() if order.live or order.dormant)
        return [o.state() for o in listed if client_id in {None, o.ticket.client_id}]

    def completed_orders(self, since: datetime | None = None) -> list[OrderState]:
        """Filled, cancelled and rejected orders that ended at or after `since`, oldest first."""
        done = (order for order in self._orders.values() if order.completed_at is not None)
        return [o.state() for o in done if since is None or o.completed_at is None or o.completed_at >= since]

    def fills(
        self,
        client_id: int = 0,
        account: str = "",
        since: datetime | None = None,
        symbol: str = "",
        sec_type: str = "",
        exchange: str = "",
        side: str = "",
        *,
        corrected: bool = False,
    ) -> list[Fill]:
        """Executions that pass the filter, oldest first; 0, '' and None pass everything.

        Those that were corrected since are given only with `corrected`.
        """
        return [
            fill
            for fill in (self.all_executions() if corrected else self._matcher.fills)
            if client_id in {0, fill.ticket.client_id}
            and account in {"", self._account.name}
            and (since is None or fill.time >= since)
            and symbol in {"", fill.ticket.instrument.symbol}
            and sec_type in {"", fill.ticket.instrument.sec_type}
            and exchange in {"", "SMART", fill.exchange}
            and side in {"", fill.side}
        ]

    def positions(self) -> list[Holding]:
        """Every position, those closed with quantity 0."""
        return self._account.holdings(self.now)

    def holding(self, instrument: Instrument) -> Holding | None:
        """The position in one instrument; None when there never was one."""
        return self._account.holding(instrument, self.now)

    def account_values(self) -> dict[str, str]:
        """The account values by their tags."""
        return self._account.values(self.now)

    def pnl(self) -> tuple[float, float, float]:
        """Dollars: profit of the day, unrealized, realized."""
        return self._account.pnl(self.now)

    def what_if(self, ticket: Ticket) -> WhatIf:
        """What an order would do to margin and equity; nothing is placed. Only for one without `fault`."""
        return self._account.what_if(ticket, self.now)

    def fault(self, ticket: Ticket) -> OrderError | None:
        """What is wrong with an order whatever the account holds: price, size, or a contract that is gone."""
        if not ticket.priced:
            text = "The price does not conform to the minimum price variation for this contract."
            return _error(ticket, 110, text)
        if ticket.quantity > MAX_QUANTITY:
            return _error(ticket, 383, f"The order size exceeds the size limit of {MAX_QUANTITY}.")
        ends = self._end_of(ticket)
        if ends is not None and ends <= self.now:
            return _error(ticket, 201, "Order rejected - reason:the contract does not trade any more")
        return None

    # --- orders -----------------------------------------------------------------------------------------

    def submit(self, ticket: Ticket) -> Events:
        """A new order, or a change of the live one with the same id of the same client."""
        client, number = ticket.client_id, ticket.order_id
        known = self._orders.get((client, number))
        if known is not None:
            return self._modify(known, ticket)
        if number <= self._placed.get(client, 0):
            return [_error(ticket, 103, "Duplicate order id")]
        self._seen[client] = max(number, self._seen.get(client, 0))
        wrong = self.fault(ticket)
        if wrong is not None:
            return [wrong]
        self._placed[client] = number
        order = Order(ticket, self._perm_id(), "PendingSubmit", self._end_of(ticket))
        self._orders[client, number] = order
        return self._start(order)

    def _start(self, order: Order) -> Events:
        """Let an accepted order work, wait for its time, or be rejected for want of margin."""
        ticket = order.ticket
        if not ticket.transmit:
            return [OrderChanged(order.state())]
        new, order.status = order.status == "PendingSubmit", "PreSubmitted"
        verdict = self.fate.verdict(ticket, new=new) if self.fate else None
        if verdict is not None:
            return self._reject(order, verdict)
        wanting = self._account.refusal(replace(ticket, quantity=order.remaining), self.now)
        if wanting:
            order.status, order.why, order.completed_at = "Inactive", wanting, self.now
            rejected = _error(ticket, 201, f"Order rejected - reason:{wanting}")
            return [rejected, OrderChanged(order.state())]
        if self._works(order):
            return self._meet(order, news=True)
        if ticket.tif == "IOC" and not self._waits(order):
            return [OrderChanged(order.state()), *self._end(order, "the exchange is closed")]
        events: Events = [OrderChanged(order.state())]
        return events if self._waits(order) else [*events, self._held(ticket)]

    def _reject(self, order: Order, verdict: Verdict) -> Events:
        """Turn an order away as fate wants it."""
        order.status, order.why, order.dormant = verdict.status, verdict.why, verdict.dormant
        order.completed_at = None if verdict.dormant else self.now
        ticket = order.ticket
        text = f"Order rejected - reason:{verdict.why}"
        said: Events = [] if verdict.code is None else [_error(ticket, verdict.code, text)]
        return [*said, OrderChanged(order.state())] if verdict.told else said

    def _modify(self, order: Order, ticket: Ticket) -> Events:
        """Change price, quantity or time in force of a live order, which keeps its old ones on an error.

        Want of margin ends it, as it would a new order.
        """
        if not order.live or order.sealed:
            if order.sealed or order.status == "Filled":
                return [_error(ticket, 104, "Cannot modify a filled order.")]
            return [_error(ticket, 103, "Duplicate order id")]
        if ticket.terms != order.ticket.terms or ticket.quantity <= order.filled:
            return [_error(ticket, 105, "Order being modified does not match original order")]
        wrong = self.fault(ticket)
        if wrong is not None:
            return [wrong]
        old, new = order.ticket, ticket
        order.ticket = replace(
            old, quantity=new.quantity, limit=new.limit, tif=new.tif, transmit=old.transmit or new.transmit
        )
        order.ends = self._end_of(order.ticket)
        return self._start(order)

    def cancel(self, client_id: int, order_id: int, asking: int) -> Events:
        """Cancel an order of `client_id`; errors go to the client `asking`."""
        order = self._orders.get((client_id, order_id))
        name = f"OrderId {order_id} that needs to be cancelled"
        if order is None:
            return [OrderError(asking, order_id, 10147, f"{name} is not found.")]
        if order.sealed or not (order.live or order.dormant):
            text = f"{name} cannot be cancelled, state: {'Filled' if order.sealed else order.status}."
            return [OrderError(asking, order_id, 10148, text)]
        return self._end(order, "Cancelled by Trader")

    def _end(self, order: Order, why: str) -> Events:
        order.status, order.why, order.completed_at, order.dormant = "Cancelled", why, self.now, False
        return [OrderChanged(order.state()), _error(order.ticket, 202, f"Order Canceled - reason:{why}")]

    def _meet(self, order: Order, *, news: bool) -> Events:
        """Bring a working order to the market; with `news` tell of the order also when nothing fills."""
        count, price = self._matcher.offer(order.ticket, order.remaining, self.now)
        if count and self.fate is not None:
            count = self.fate.allowed(order, count, self.now)
        if not count and order.status != "Submitted":
            order.status, news = "Submitted", True
        events: Events = [OrderChanged(order.state())] if news else []
        if count:
            events += self._matcher.fill(order, count, price, self.now)
        if order.live and order.ticket.tif == "IOC":
            events += self._end(order, "Immediate or cancel")
        return events

    # --- time -------------------------------------------------------------------------------------------

    def advance(self, now: datetime) -> Events:
        """Let the time pass until `now`: orders start, fill and expire, options settle, each in its turn."""
        now = now.astimezone(NEW_YORK)
        events: Events = []
        working = self._market.moments(self.now, now) if self._live() else iter(())
        for moment in chain(merge(working, self._landmarks(now)), (now,)):
            if moment.date() != self.now.date():
                self._account.new_day(moment)
            self.now = moment
            for order in self._live():
                events += self._pass_time(order)
            events += settlement.settle(self._market, self._ledger, moment)
        return events

    def _landmarks(self, until: datetime) -> Iterator[datetime]:
        """The moments after now and up to `until` at which something is due by the clock, in order.

        Days on which nothing is left to happen are passed over.
        """
        after, day = self.now, self.now.date()
        waiting = {o.ticket.good_after.astimezone(NEW_YORK) for o in self._live() if o.ticket.good_after}
        while day <= until.date() and (self._live() or self._ledger.holds_options):
            close = closing(day)
            due = {datetime.combine(day, time(0), NEW_YORK), opening(day), close, close + OPTIONS_LATER}
            due |= settlement.landmarks(day) | {moment for moment in waiting if moment.date() == day}
            yield from sorted(moment for moment in due if after < moment <= until)
            day += timedelta(days=1)

    def _pass_time(self, order: Order) -> Events:
        if order.ends is not None and self.now >= order.ends and not order.sealed:
            return self._end(order, "the time in force has ended")
        return self._meet(order, news=False) if self._works(order) else []

    def _live(self) -> list[Order]:
        return [order for order in self._orders.values() if order.live]

    def _waits(self, order: Order) -> bool:
        """True until the order's own time has come."""
        return order.ticket.good_after is not None and order.ticket.good_after > self.now

    def _works(self, order: Order) -> bool:
        """True when an order may fill: it was sent, its time has come, its instrument trades."""
        sent = order.ticket.transmit and not order.sealed and not self._waits(order)
        return sent and hours.trades(order.ticket.instrument, self.now)

    def _end_of(self, ticket: Ticket) -> datetime | None:
        """When an order expires: with its first session, or with the contract when it is good till cancelled.

        A moment that has come: the contract does not trade any more. None: never, as a stock.
        """
        instrument = ticket.instrument
        if ticket.tif == "GTC":
            return hours.stops(instrument, instrument.expiry) if instrument.expiry else None
        begins = max(self.now, ticket.good_after or self.now)
        return hours.session_end(instrument, begins) or self.now

    def _held(self, ticket: Ticket) -> OrderError:
        """The notice about an order outside the session."""
        opens = f"{hours.next_opening(self.now):%Y-%m-%d %H:%M:%S} US/Eastern"
        text = f"your order will not be placed at the exchange until {opens}"
        return _error(ticket, 399, f"Order Message: {ticket.instrument.local_symbol} Warning: {text}")

    def _perm_id(self) -> int:
        return 1_000_000_000 + self._ids % 10_000 * 100_000 + len(self._orders) + 1


def _error(ticket: Ticket, code: int, text: str) -> OrderError:
    return OrderError(ticket.client_id, ticket.order_id, code, text)
