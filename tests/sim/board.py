"""A market whose quotes a test writes itself, and an exchange upon it."""

from bisect import bisect_right
from datetime import date, datetime
from decimal import Decimal

from spxarb.sim.exchange.exchange import Exchange
from spxarb.sim.exchange.orders import Filled, OrderChanged, OrderError, Ticket
from spxarb.sim.market.instruments import SPX_ID, SPY_ID, Catalogue, MarketQuote, option, spy_stock
from spxarb.sim.market.trading_days import NEW_YORK, closing, opening

DAY = date(2026, 11, 24)
SPX = option("SPXW", DAY, 6800, "C")
FAR_SPX = option("SPXW", DAY, 6850, "C")
SPX_PUT = option("SPXW", DAY, 6800, "P")
SPY = option("SPY", DAY, 678, "C")
SPY_PUT = option("SPY", DAY, 678, "P")
TOMORROW = option("SPXW", date(2026, 11, 25), 6800, "C")
MONTHLY = option("SPX", date(2026, 11, 25), 6800, "C")
STOCK = spy_stock()
ALL = (SPX, FAR_SPX, SPX_PUT, SPY, SPY_PUT, TOMORROW, MONTHLY)


def at(clock, on=DAY):
    form = "%H:%M:%S" if clock.count(":") == 2 else "%H:%M"
    return datetime.combine(on, datetime.strptime(clock, form).time(), NEW_YORK)


class Board:
    """A market whose quotes a test writes on a board: each holds until the next one."""

    def __init__(self, day=DAY):
        self.day, self.open, self.close = day, opening(day), closing(day)
        self.description = "a board"
        self._catalogue = Catalogue(ALL)
        self._seen = {}
        self.show(SPX_ID, "00:00", MarketQuote(last=6800.0))
        self.show(SPY_ID, "00:00", MarketQuote(677.99, 678.01, 678.0, 1000, 1000))
        for item in ALL:
            self.show(item.con_id, "00:00", MarketQuote(2.00, 2.05, 2.0, 40, 40))
        self.show(SPX.con_id, "00:00", MarketQuote(20.0, 20.2, 20.1, 40, 40))
        self.instruments = lambda: self._catalogue.all
        self.by_con_id, self.find = self._catalogue.by_con_id, self._catalogue.find

    def show(self, item, clock, quote):
        con_id = getattr(item, "con_id", item)
        self._seen.setdefault(con_id, []).append((at(clock), quote))
        self._seen[con_id].sort(key=lambda entry: entry[0])

    def quote(self, con_id, moment):
        seen = self._seen[con_id]
        return seen[bisect_right([t for t, _ in seen], moment) - 1][1]

    def moments(self, after, until):
        times = sorted({t for seen in self._seen.values() for t, _ in seen})
        return iter([t for t in times if after < t <= until])


class Desk:
    """An exchange at 10:00 with a board, and short words for orders."""

    def __init__(self, clock="10:00", board=None, **options):
        self.board = board or Board()
        self.exchange = Exchange(self.board, **options)
        self.exchange.advance(at(clock))
        self.ids = 0

    def order(self, item=SPX, side="BUY", quantity=1, limit=None, *, order_id=None, client=1, **more):
        if order_id is None:
            self.ids += 1
            order_id = self.ids
        kind = "MKT" if limit is None else "LMT"
        return self.exchange.submit(Ticket(client, order_id, item, side, quantity, kind, limit, **more))

    def state(self, order_id=1, client=1):
        states = [*self.exchange.open_orders(None), *self.exchange.completed_orders()]
        return next(s for s in states if (s.ticket.client_id, s.ticket.order_id) == (client, order_id))

    def held(self, item):
        holding = self.exchange.holding(item)
        return holding.quantity if holding else 0

    @property
    def cash(self):
        return Decimal(self.exchange.account_values()["TotalCashValue"])

    def value(self, tag):
        return float(self.exchange.account_values()[tag])


def kinds(events):
    return [type(event).__name__ for event in events]


def statuses(events):
    return [event.state.status for event in events if isinstance(event, OrderChanged)]


def codes(events):
    return [event.code for event in events if isinstance(event, OrderError)]


def fills(events):
    return [event.fill for event in events if isinstance(event, Filled)]
