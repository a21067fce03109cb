"""The exchange and the account behind the gateway: orders in, events out, settlement at its time.

Orders are known by client and order id. Nothing is forgotten: what a client sees does not depend on when it
connects.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from itertools import chain
from typing import TYPE_CHECKING

from spxarb.sim.exchange import settlement, statement
from spxarb.sim.exchange.account import Account
from spxarb.sim.exchange.executions import ExecutionLog
from spxarb.sim.exchange.interventions import Interventions
from spxarb.sim.exchange.ledger import AccountLedger
from spxarb.sim.exchange.matching import Matcher
from spxarb.sim.exchange.order_book import OrderBook
from spxarb.sim.exchange.orders import CANCELLED_BY_CLIENT, Event, Order, OrderChanged, OrderError, dec
from spxarb.sim.market import hours
from spxarb.sim.market.trading_days import NEW_YORK, OPTIONS_LATER, closing, opening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from spxarb.sim.exchange.interventions import OrderInterceptor, Rejection
    from spxarb.sim.exchange.orders import ExecutionReport, Holding, OrderSnapshot, Ticket, WhatIf
    from spxarb.sim.market.instruments import Instrument, Market

MAX_QUANTITY = 100_000
"""Contracts of one order; also what keeps all sums far inside the precision of decimals."""
MAX_CASH = 1e12
BOTH_SIDES = ("off", "active", "all")
"""Which resting orders forbid one on the other side of the same option: none, those that work, or also
those that are still inactive until their good-after time."""
DEFAULT_BOTH_SIDES = "off"
Events = list[Event]
_ON_BOTH_SIDES = "Cannot have open orders on both sides of the same US Option contract in the same account"


class Exchange:
    """One account's orders and positions in one market. Time comes from outside and only goes forward.

    Every method that changes something gives the events, in the order in which clients are sent them.
    Its parts: `orders` holds every order, `executions` the day's executions, the matcher fills, the ledger
    has cash and positions, the account values them; `interventions` is what a fault may change.
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
        ValueError for unknown margin rules and for cash that is not a finite sum.
        """
        if not -MAX_CASH < cash < MAX_CASH:
            raise ValueError(f"cash {cash} is not a sum of dollars")
        ids = (market.day.toordinal() * 1009 + seed) & 0xFFFFFFFF
        self.now = datetime.combine(market.day, time(0), NEW_YORK)
        self.interceptor: OrderInterceptor | None = None
        self.both_sides = DEFAULT_BOTH_SIDES
        self.official: dict[str, float] = {}
        """By symbol: how far the official close lies from the last print, points or dollars."""
        self.orders = OrderBook(ids)
        self.executions = ExecutionLog(ids)
        self._market = market
        self._ledger = AccountLedger(dec(cash))
        self._account = Account(account, market, self._ledger, margin)
        self._matcher = Matcher(market, self._ledger, self.executions)
        self.interventions = Interventions(
            market, self._ledger, self.orders, self.executions, self._matcher, lambda: self.now
        )

    # --- what clients ask -------------------------------------------------------------------------------

    def next_order_id(self, client_id: int) -> int:
        """The lowest id above all that this client has used."""
        return self.orders.next_order_id(client_id)

    def open_orders(self, client_id: int | None) -> list[OrderSnapshot]:
        """Live orders, of one client or with None of all, oldest first."""
        return self.orders.open(client_id)

    def completed_orders(self, since: datetime | None = None) -> list[OrderSnapshot]:
        """Filled, cancelled and rejected orders that ended at or after `since`, oldest first."""
        return self.orders.completed(since)

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
    ) -> list[ExecutionReport]:
        """Executions that pass the filter, oldest first; 0, '' and None pass everything.

        With `corrected` also those that a correction has replaced.
        """
        return [
            fill
            for fill in (self.executions.listed() if corrected else self.executions.current)
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

    def statement(
        self,
        kind: str = "activity",
        since: date | None = None,
        until: date | None = None,
        *,
        references: bool = True,
    ) -> str:
        """The account's statement of these days as Flex XML: `activity` or `confirms`.

        Without days that of today; an activity statement has today only once the close is an hour old. Raises
        ValueError for an unknown kind, and for a day that it does not have yet.
        """
        return statement.write(
            statement.StatementBooks(self._account.name, self.executions, self._ledger.expiries),
            statement.StatementWanted(kind, since, until, self.now, references),
        )

    def pnl(self) -> tuple[float, float, float]:
        """Dollars: profit of the day, unrealized, realized."""
        return self._account.pnl(self.now)

    def what_if(self, ticket: Ticket) -> WhatIf:
        """What an order that `validate` passes would do to margin and equity; nothing is placed."""
        return self._account.what_if(ticket, self.now)

    def validate(self, ticket: Ticket) -> OrderError | None:
        """What is wrong with an order whatever the account holds: price, size, an expired contract."""
        if not ticket.priced:
            text = "The price does not conform to the minimum price variation for this contract."
            return _error(ticket, 110, text)
        if ticket.quantity > MAX_QUANTITY:
            return _error(ticket, 383, f"The order size exceeds the size limit of {MAX_QUANTITY}.")
        ends = self._end_of(ticket)
        if ends is not None and ends <= self.now:
            return _error(ticket, 201, "Order rejected - reason:the contract does not trade any more")
        return None

    def both_sides_error(self, ticket: Ticket) -> OrderError | None:
        """The error that an order gets for resting orders on the other side of its option; None for none.

        A regulatory rule of the broker, for US options in one account, whoever sent the orders.
        """
        if self.both_sides == "off" or ticket.instrument.sec_type != "OPT":
            return None
        opposing = self.orders.opposing(ticket)
        if self.both_sides == "active":
            opposing = [order for order in opposing if order.live and not self._waits(order)]
        return _error(ticket, 201, f"Order rejected - reason:{_ON_BOTH_SIDES}") if opposing else None

    # --- orders -----------------------------------------------------------------------------------------

    def submit(self, ticket: Ticket) -> Events:
        """A new order, or a change of the live one with the same id of the same client."""
        client, number = ticket.client_id, ticket.order_id
        known = self.orders.find(client, number)
        if known is not None:
            return self._modify(known, ticket)
        if number <= 0:
            return [_error(ticket, 103, "Duplicate order id")]
        self.orders.note_id(client, number)
        wrong = self.validate(ticket)
        if wrong is not None:
            return [wrong]
        order = Order(ticket, self.orders.next_perm_id(), "PendingSubmit", self._end_of(ticket))
        self.orders.add(order)
        return self._start(order)

    def _start(self, order: Order) -> Events:
        """Let an accepted order work, wait for its time, or be rejected for lack of margin."""
        ticket = order.ticket
        if not ticket.transmit:
            return [OrderChanged(order.snapshot())]
        new, order.status = order.status == "PendingSubmit", "PreSubmitted"
        rejection = self.interceptor.rejection(ticket, new=new) if self.interceptor else None
        if rejection is not None:
            return self._reject(order, rejection)
        both_sides = self.both_sides_error(ticket) if new else None
        if both_sides is not None:
            order.status, order.why, order.completed_at = "Inactive", _ON_BOTH_SIDES, self.now
            return [both_sides, OrderChanged(order.snapshot())]
        shortfall = self._account.refusal(replace(ticket, quantity=order.remaining), self.now)
        if shortfall:
            order.status, order.why, order.completed_at = "Inactive", shortfall, self.now
            rejected = _error(ticket, 201, f"Order rejected - reason:{shortfall}")
            return [rejected, OrderChanged(order.snapshot())]
        if self._works(order):
            return self._meet(order, report=True)
        if ticket.tif == "IOC" and not self._waits(order):
            return [OrderChanged(order.snapshot()), *self._end(order, "the exchange is closed")]
        events: Events = [OrderChanged(order.snapshot())]
        return events if self._waits(order) else [*events, self._held(ticket)]

    def _reject(self, order: Order, rejection: Rejection) -> Events:
        """Turn an order away as the interceptor wants it."""
        order.status, order.why, order.dormant = rejection.status, rejection.why, rejection.dormant
        order.completed_at = None if rejection.dormant else self.now
        ticket = order.ticket
        text = f"Order rejected - reason:{rejection.why}"
        errors: Events = [] if rejection.code is None else [_error(ticket, rejection.code, text)]
        status: Events = [OrderChanged(order.snapshot())] if rejection.sends_status else []
        return [*status, *errors, *status] if rejection.status_first else [*errors, *status]

    def _modify(self, order: Order, ticket: Ticket) -> Events:
        """Change price, quantity or time in force of a live order, which keeps its old ones on an error.

        Lack of margin ends it, as it would a new order.
        """
        if not order.live or order.sealed:
            if order.sealed or order.status == "Filled":
                return [_error(ticket, 104, "Cannot modify a filled order.")]
            return [_error(ticket, 103, "Duplicate order id")]
        if ticket.terms != order.ticket.terms or ticket.quantity <= order.filled:
            return [_error(ticket, 105, "Order being modified does not match original order")]
        wrong = self.validate(ticket)
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
        order = self.orders.find(client_id, order_id)
        name = f"OrderId {order_id} that needs to be cancelled"
        if order is None:
            return [OrderError(asking, order_id, 10147, f"{name} is not found.")]
        if order.sealed or not (order.live or order.dormant):
            text = f"{name} cannot be cancelled, state: {'Filled' if order.sealed else order.status}."
            return [OrderError(asking, order_id, 10148, text)]
        return self._end(order, CANCELLED_BY_CLIENT)

    def _end(self, order: Order, why: str) -> Events:
        order.status, order.why, order.completed_at, order.dormant = "Cancelled", why, self.now, False
        return [OrderChanged(order.snapshot()), _error(order.ticket, 202, f"Order Canceled - reason:{why}")]

    def _meet(self, order: Order, *, report: bool) -> Events:
        """Bring a working order to the market; with `report` its state is an event even if nothing fills."""
        count, price = self._matcher.offer(order.ticket, order.remaining, self.now)
        if count and self.interceptor is not None:
            count = self.interceptor.fillable(order, count, self.now)
        if not count and order.status != "Submitted":
            order.status, report = "Submitted", True
        events: Events = [OrderChanged(order.snapshot())] if report else []
        if count:
            events += self._matcher.fill(order, count, price, self.now)
        if order.live and order.ticket.tif == "IOC":
            events += self._end(order, "Immediate or cancel")
        return events

    # --- time -------------------------------------------------------------------------------------------

    def advance(self, now: datetime) -> Events:
        """Let time pass until `now`: orders start, fill and expire and options settle, each at its moment."""
        now, events = now.astimezone(NEW_YORK), Events()
        for landmark in chain(self._landmarks(now), (now,)):
            events += self._work_until(landmark)
            events += self._come_to(landmark)
        return events

    def _work_until(self, landmark: datetime) -> Events:
        """Let orders meet the market until `landmark`, while one works: none begins to in between."""
        events = Events()
        for moment in self._market.moments(self.now, landmark):
            if moment == landmark or not any(map(self._works, self.orders.live())):
                break
            events += self._come_to(moment)
        return events

    def _come_to(self, moment: datetime) -> Events:
        """Let it be `moment`."""
        events = Events()
        if moment.date() != self.now.date():
            self._account.new_day(moment)
        self.now = moment
        for order in self.orders.live():
            events += self._pass_time(order)
        return events + settlement.settle(self._market, self._ledger, moment, self.official)

    def _landmarks(self, until: datetime) -> Iterator[datetime]:
        """The moments after now and up to `until` at which something is due by the clock, in order.

        Days on which nothing is left to happen are passed over.
        """
        after, day = self.now, self.now.date()
        waiting = {
            order.ticket.good_after.astimezone(NEW_YORK)
            for order in self.orders.live()
            if order.ticket.good_after
        }
        while day <= until.date() and (self.orders.live() or self._ledger.holds_options):
            close = closing(day)
            due = {datetime.combine(day, time(0), NEW_YORK), opening(day), close, close + OPTIONS_LATER}
            due |= settlement.landmarks(day) | {moment for moment in waiting if moment.date() == day}
            yield from sorted(moment for moment in due if after < moment <= until)
            day += timedelta(days=1)

    def _pass_time(self, order: Order) -> Events:
        if order.ends is not None and self.now >= order.ends and not order.sealed:
            return self._end(order, "the time in force has ended")
        return self._meet(order, report=False) if self._works(order) else []

    def _waits(self, order: Order) -> bool:
        """True while the order is inactive until its good-after time."""
        return order.ticket.good_after is not None and order.ticket.good_after > self.now

    def _works(self, order: Order) -> bool:
        """True when an order may fill: transmitted, its good-after time reached, its instrument open."""
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


def _error(ticket: Ticket, code: int, text: str) -> OrderError:
    return OrderError(ticket.client_id, ticket.order_id, code, text)
