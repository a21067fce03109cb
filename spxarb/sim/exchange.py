"""The order book, fills, account and settlement behind the gateway.

A limit order fills at the touch when that is as good as its limit, at most what is displayed there; the rest
waits. A display that was taken is full again in the next second. Orders are known by client and order id.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from heapq import merge
from itertools import chain
from typing import TYPE_CHECKING

from . import settlement
from .account import Account
from .instruments import stops
from .ledger import Ledger
from .orders import (
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
from .ticks import is_legal
from .trading_days import NEW_YORK, closing, is_open, opening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .instruments import Instrument, Market

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

Events = list[Event]


class Exchange:
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
        """An account with `cash` dollars at midnight of the market's day. Raises ValueError: unknown rules.

        `seed` goes into permanent and execution ids, so that they are the same in every run.
        """
        self.now = datetime.combine(market.day, time(0), NEW_YORK)
        self._market = market
        self._ledger = Ledger(dec(cash))
        self._account = Account(account, market, self._ledger, margin)
        self._orders: dict[tuple[int, int], Order] = {}
        self._fills: list[Fill] = []
        self._placed: dict[int, int] = {}
        self._seen: dict[int, int] = {}
        self._taken: dict[tuple[int, str], tuple[int, int]] = {}
        self._ids = (market.day.toordinal() * 1009 + seed) & 0xFFFFFFFF

    # --- what clients ask -------------------------------------------------------------------------------

    def next_order_id(self, client_id: int) -> int:
        """The lowest id above all that this client has used."""
        return self._seen.get(client_id, 0) + 1

    def open_orders(self, client_id: int | None) -> list[OrderState]:
        """Live orders, of one client or with None of all, oldest first."""
        return [o.state() for o in self._live() if client_id in {None, o.ticket.client_id}]

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
    ) -> list[Fill]:
        """Executions that pass the filter, oldest first; 0, '' and None pass everything."""
        return [
            fill
            for fill in self._fills
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
        """What an order would do to margin and equity; nothing is placed."""
        return self._account.what_if(ticket, self.now)

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
        if not _priced(ticket):
            return [_error(ticket, 110, _BAD_PRICE)]
        ends = self._end_of(ticket)
        if ends is not None and ends <= self.now:
            return [_error(ticket, 201, "Order rejected - reason:the contract does not trade any more")]
        self._placed[client] = number
        status = "PreSubmitted" if ticket.transmit else "PendingSubmit"
        order = Order(ticket, self._perm_id(len(self._orders) + 1), status, ends)
        self._orders[client, number] = order
        return self._start(order)

    def _start(self, order: Order) -> Events:
        """Let an accepted order work, wait for its time, or be rejected for want of margin."""
        ticket = order.ticket
        if not ticket.transmit:
            return [OrderChanged(order.state())]
        order.status = "PreSubmitted"
        wanting = self._account.refusal(replace(ticket, quantity=order.remaining), self.now)
        if wanting:
            return self._reject(order, wanting)
        if not self._works(order):
            events: Events = [OrderChanged(order.state())]
            if ticket.good_after is None or ticket.good_after <= self.now:
                events.append(_error(ticket, 399, self._held(ticket.instrument)))
            return events
        return self._meet(order, news=True)

    def _modify(self, order: Order, ticket: Ticket) -> Events:
        """Change price, quantity or time in force of a live order."""
        if not order.live:
            if order.status == "Filled":
                return [_error(ticket, 104, "Cannot modify a filled order.")]
            return [_error(ticket, 103, "Duplicate order id")]
        if _terms(ticket) != _terms(order.ticket) or ticket.quantity <= order.filled:
            return [_error(ticket, 105, "Order being modified does not match original order")]
        if not _priced(ticket):
            return [_error(ticket, 110, _BAD_PRICE)]
        old, new = order.ticket, ticket
        order.ticket = replace(
            old, quantity=new.quantity, limit=new.limit, tif=new.tif, transmit=old.transmit or new.transmit
        )
        if new.tif != old.tif:
            order.ends = self._end_of(order.ticket)
        return self._start(order)

    def cancel(self, client_id: int, order_id: int, asking: int) -> Events:
        """Cancel an order of `client_id`; errors go to the client `asking`."""
        order = self._orders.get((client_id, order_id))
        name = f"OrderId {order_id} that needs to be cancelled"
        if order is None:
            return [OrderError(asking, order_id, 10147, f"{name} is not found.")]
        if not order.live:
            text = f"{name} cannot be cancelled, state: {order.status}."
            return [OrderError(asking, order_id, 10148, text)]
        return self._end(order, "Cancelled by Trader")

    def _end(self, order: Order, why: str) -> Events:
        order.status, order.why, order.completed_at = "Cancelled", why, self.now
        return [OrderChanged(order.state()), _error(order.ticket, 202, f"Order Canceled - reason:{why}")]

    def _reject(self, order: Order, why: str) -> Events:
        order.status, order.why, order.completed_at = "Inactive", why, self.now
        return [_error(order.ticket, 201, f"Order rejected - reason:{why}"), OrderChanged(order.state())]

    # --- matching ---------------------------------------------------------------------------------------

    def _meet(self, order: Order, *, news: bool) -> Events:
        """Bring a working order to the market; `news`: tell of the order also when nothing fills."""
        events: Events = []
        count, price = self._offer(order)
        if not count:
            changed = order.status != "Submitted"
            order.status = "Submitted"
            if news or changed:
                events.append(OrderChanged(order.state()))
        elif news:
            events.append(OrderChanged(order.state()))
        if count:
            events += self._fill(order, count, price)
        if order.live and order.ticket.tif == "IOC":
            events += self._end(order, "Immediate or cancel")
        return events

    def _offer(self, order: Order) -> tuple[int, float]:
        """Contracts that can be had at once, and their price."""
        ticket = order.ticket
        quote = self._market.quote(ticket.instrument.con_id, self.now)
        buys = ticket.side == "BUY"
        touch, size = (quote.ask, quote.ask_size) if buys else (quote.bid, quote.bid_size)
        if touch is None or not _reaches(ticket, touch):
            return 0, 0.0
        second, taken = self._taken.get((ticket.instrument.con_id, ticket.side), (0, 0))
        if second == int(self.now.timestamp()):
            size -= taken
        return min(order.remaining, max(0, size)), touch

    def _fill(self, order: Order, count: int, price: float) -> Events:
        """Execute: book it, tell the execution, the order, its costs, the position."""
        ticket, instrument, exact = order.ticket, order.ticket.instrument, dec(price)
        self._take(ticket, count)
        costs = order.tally.charge(instrument, ticket.side, count, exact)
        gain = self._ledger.trade(instrument, ticket.sign * count, exact, costs)
        order.filled += count
        order.notional += exact * count
        order.last_price = price
        done = not order.remaining
        order.status = "Filled" if done else "Submitted"
        order.completed_at = self.now if done else None
        number = len(self._fills) + 1
        fill = Fill(
            ticket=ticket,
            perm_id=order.perm_id,
            exec_id=f"{self._ids:08x}.{number * 2654435761 & 0xFFFFFFFF:08x}.01.01",
            time=self.now,
            exchange="ARCA" if instrument.sec_type == "STK" else "CBOE",
            shares=count,
            price=price,
            cum_qty=order.filled,
            avg_price=order.avg_price,
            commission=float(costs),
            realized_pnl=None if gain is None else float(gain),
        )
        self._fills.append(fill)
        events: Events = [Filled(fill), OrderChanged(order.state())]
        order.commission = order.tally.charged
        if done:
            events.append(OrderChanged(order.state()))
        return [*events, Commission(fill), PositionChanged(instrument)]

    def _take(self, ticket: Ticket, count: int) -> None:
        key, now = (ticket.instrument.con_id, ticket.side), int(self.now.timestamp())
        second, taken = self._taken.get(key, (0, 0))
        self._taken[key] = now, count + (taken if second == now else 0)

    # --- time -------------------------------------------------------------------------------------------

    def advance(self, now: datetime) -> Events:
        """Let the time pass until `now`: orders start, fill and expire, options settle, each in its turn."""
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
        """The moments up to `until` at which something is due whatever the market does, in order."""
        day = self.now.date()
        while day <= until.date():
            close = closing(day)
            due = {datetime.combine(day, time(0), NEW_YORK), opening(day), *settlement.landmarks(day)}
            due |= {close, close + timedelta(minutes=15)}
            due |= {o.ticket.good_after for o in self._live() if o.ticket.good_after is not None}
            yield from sorted(moment for moment in due if moment.date() == day and self.now < moment <= until)
            day += timedelta(days=1)

    def _pass_time(self, order: Order) -> Events:
        if order.ends is not None and self.now >= order.ends:
            return self._end(order, "the time in force has ended")
        if not order.ticket.transmit or not self._works(order):
            return []
        return self._meet(order, news=False)

    def _live(self) -> list[Order]:
        return [order for order in self._orders.values() if order.live]

    def _works(self, order: Order) -> bool:
        """True when an order's time has come and its instrument trades."""
        ticket, day = order.ticket, self.now.date()
        if ticket.good_after is not None and ticket.good_after > self.now:
            return False
        if not is_open(day):
            return False
        return opening(day) <= self.now < stops(ticket.instrument, day, closing(day))

    def _end_of(self, ticket: Ticket) -> datetime | None:
        """When an order expires: the end of its first session, or of the contract when it is good till cancelled.

        A moment that has passed: the contract does not trade any more. None: never.
        """
        expiry = ticket.instrument.expiry
        if ticket.tif == "GTC":
            return None if expiry is None else stops(ticket.instrument, expiry, closing(expiry))
        begins = max(self.now, ticket.good_after or self.now)
        day = begins.astimezone(NEW_YORK).date()
        while expiry is None or day <= expiry:
            end = stops(ticket.instrument, day, closing(day))
            if is_open(day) and end > begins:
                return end
            day += timedelta(days=1)
        return self.now

    def _held(self, instrument: Instrument) -> str:
        """The notice about an order outside the session."""
        day = self.now.date()
        while not is_open(day) or opening(day) <= self.now:
            day += timedelta(days=1)
        symbol = instrument.local_symbol
        return (
            f"Order Message: {symbol} Warning: your order will not be placed at the exchange until "
            f"{opening(day):%Y-%m-%d %H:%M:%S} US/Eastern"
        )

    def _perm_id(self, number: int) -> int:
        return 1_000_000_000 + self._ids % 10_000 * 100_000 + number


_BAD_PRICE = "The price does not conform to the minimum price variation for this contract."


def _error(ticket: Ticket, code: int, text: str) -> OrderError:
    return OrderError(ticket.client_id, ticket.order_id, code, text)


def _priced(ticket: Ticket) -> bool:
    """True for a market order and for a limit on the grid."""
    return ticket.limit is None or is_legal(ticket.instrument.market_rule_id, ticket.limit)


def _terms(ticket: Ticket) -> tuple[object, ...]:
    """What a modification must leave as it is."""
    t = ticket
    return t.instrument, t.side, t.order_type, t.order_ref, t.account, t.good_after


def _reaches(ticket: Ticket, touch: float) -> bool:
    """True when an order may trade at `touch`."""
    if ticket.limit is None:
        return True
    return touch <= ticket.limit if ticket.side == "BUY" else touch >= ticket.limit
