"""The exchange of the simulated gateway: order life, fills, costs, margin, settlement, exact money."""

import random
import time
from bisect import bisect_right
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spxarb.sim.exchange import fees, margin
from spxarb.sim.exchange.exchange import MAX_QUANTITY, Exchange
from spxarb.sim.exchange.orders import (
    Commission,
    Filled,
    OrderChanged,
    OrderError,
    PositionChanged,
    Ticket,
)
from spxarb.sim.market import pricing
from spxarb.sim.market.instruments import SPX_ID, SPY_ID, Catalogue, MarketQuote, option, spy_stock
from spxarb.sim.market.market import SyntheticDay
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


@pytest.fixture
def desk():
    return Desk()


# --- the life of an order -----------------------------------------------------------------------------


def test_an_order_at_the_touch_fills_at_once_and_the_news_come_in_the_order_of_the_real_gateway(desk):
    events = desk.order(limit=20.2, order_ref="leg-1")
    assert kinds(events) == [
        "OrderChanged",
        "Filled",
        "OrderChanged",
        "OrderChanged",
        "Commission",
        "PositionChanged",
    ]
    assert statuses(events) == ["PreSubmitted", "Filled", "Filled"]
    assert [e.state.commission for e in events if isinstance(e, OrderChanged)] == [None, None, 1.64]
    (fill,) = fills(events)
    assert (fill.price, fill.shares, fill.side, fill.time) == (20.2, 1, "BOT", at("10:00"))
    assert fill.ticket.order_ref == "leg-1"
    assert events[-1] == PositionChanged(SPX)


def test_a_limit_better_than_the_market_fills_at_the_market(desk):
    assert [f.price for f in fills(desk.order(limit=25.0))] == [20.2]
    assert [f.price for f in fills(desk.order(side="SELL", limit=15.0))] == [20.0]


def test_an_order_away_from_the_market_rests_until_the_market_comes(desk):
    desk.board.show(SPX, "10:05", MarketQuote(18.9, 19.0, 19.0, 40, 40))
    assert statuses(desk.order(limit=19.0)) == ["Submitted"]
    assert fills(desk.exchange.advance(at("10:04"))) == []
    (fill,) = fills(desk.exchange.advance(at("10:30")))
    assert (fill.price, fill.time) == (19.0, at("10:05"))


def test_a_market_order_fills_at_the_touch_and_waits_where_there_is_none(desk):
    assert [f.price for f in fills(desk.order())] == [20.2]
    desk.board.show(SPX, "10:01", MarketQuote(None, 20.4, 20.0, 0, 40))
    desk.board.show(SPX, "10:02", MarketQuote(19.5, 20.4, 20.0, 40, 40))
    desk.exchange.advance(at("10:01"))
    assert statuses(desk.order(side="SELL")) == ["Submitted"]
    (fill,) = fills(desk.exchange.advance(at("10:02")))
    assert fill.price == 19.5


def test_no_more_fills_than_is_displayed_and_the_rest_follows(desk):
    desk.board.show(SPY, "10:00", MarketQuote(2.00, 2.05, 2.0, 4, 7))
    events = desk.order(SPY, "SELL", 10, 2.00)
    assert [(f.shares, f.cum_qty) for f in fills(events)] == [(4, 4)]
    assert (desk.state().status, desk.state().filled, desk.state().remaining) == ("Submitted", 4, 6)
    assert fills(desk.exchange.advance(at("10:00"))) == []
    assert [f.cum_qty for f in fills(desk.exchange.advance(at("10:00:01")))] == [8]
    assert [f.cum_qty for f in fills(desk.exchange.advance(at("10:00:02")))] == [10]
    assert desk.state().status == "Filled"


def test_two_orders_cannot_take_the_same_display(desk):
    desk.board.show(SPY, "10:00", MarketQuote(2.00, 2.05, 2.0, 4, 7))
    assert (
        sum(f.shares for f in fills([*desk.order(SPY, "BUY", 5, 2.05), *desk.order(SPY, "BUY", 5, 2.05)]))
        == 7
    )


def test_what_an_ioc_order_does_not_get_at_once_is_cancelled(desk):
    desk.board.show(SPY, "10:00", MarketQuote(2.00, 2.05, 2.0, 4, 7))
    events = desk.order(SPY, "SELL", 10, 2.00, tif="IOC")
    assert (desk.state().status, desk.state().filled, codes(events)) == ("Cancelled", 4, [202])
    assert statuses(desk.order(SPY, "SELL", 1, 2.5, tif="IOC")) == ["Submitted", "Cancelled"]


def test_a_delayed_order_waits_for_its_time_then_matches(desk):
    events = desk.order(limit=21.0, good_after=at("15:40"))
    assert (statuses(events), codes(events)) == (["PreSubmitted"], [])
    assert desk.exchange.advance(at("15:39")) == []
    (fill,) = fills(desk.exchange.advance(at("16:30")))
    assert fill.time == at("15:40")


def test_an_order_delayed_to_tomorrow_ends_tomorrow(desk):
    morning = date(2026, 11, 25)
    desk.order(TOMORROW, limit=1.0, good_after=at("10:00", morning))
    assert desk.exchange.advance(at("09:59", morning)) == []
    desk.exchange.advance(at("18:00", morning))
    assert desk.state().completed_at == at("16:00", morning)


def test_an_order_before_the_open_is_held_with_a_notice_until_the_open():
    desk = Desk("08:00")
    events = desk.order(limit=21.0)
    assert (statuses(events), codes(events)) == (["PreSubmitted"], [399])
    assert "2026-11-24 09:30:00" in events[-1].text
    (fill,) = fills(desk.exchange.advance(at("12:00")))
    assert fill.time == at("09:30")


def test_an_ioc_order_before_the_open_is_cancelled():
    events = Desk("08:00").order(limit=21.0, tif="IOC")
    assert (statuses(events), codes(events)) == (["PreSubmitted", "Cancelled"], [202])


@pytest.mark.parametrize(
    ("item", "tif", "ends"),
    [
        (SPX, "DAY", "16:00"),
        (SPY, "DAY", "16:15"),
        (STOCK, "DAY", "16:00"),
        (TOMORROW, "DAY", "16:15"),
        (SPX, "GTC", "16:00"),
    ],
)
def test_an_order_ends_with_the_last_trade_of_its_session(desk, item, tif, ends):
    desk.order(item, limit=0.05, tif=tif)
    events = desk.exchange.advance(at("20:00"))
    assert (statuses(events), codes(events)) == (["Cancelled"], [202])
    assert desk.state().completed_at == at(ends)


def test_an_order_good_till_cancelled_outlives_the_day(desk):
    desk.order(TOMORROW, limit=0.05, tif="GTC")
    assert desk.exchange.advance(at("09:00", date(2026, 11, 25))) == []
    assert statuses(desk.exchange.advance(at("17:00", date(2026, 11, 25)))) == ["Cancelled"]


def test_half_days_end_orders_early():
    half = date(2026, 11, 27)
    market = SyntheticDay(half)
    exchange = Exchange(market)
    exchange.advance(at("10:00", half))
    for number, symbol in ((1, "SPX"), (2, "SPY")):
        item = market.find(symbol, "OPT", half, right="C")[0]
        exchange.submit(Ticket(1, number, item, "BUY", 1, "LMT", 0.05))
    exchange.advance(at("14:00", half))
    assert [s.completed_at for s in exchange.completed_orders()] == [at("13:00", half), at("13:15", half)]


def test_a_contract_that_has_had_its_last_trade_is_refused(desk):
    desk.exchange.advance(at("16:00"))
    assert codes(desk.order(limit=1.0)) == codes(desk.order(limit=1.0, tif="GTC")) == [201]
    assert codes(desk.order(MONTHLY, limit=1.0)) == []
    desk.exchange.advance(at("16:15"))
    assert codes(desk.order(MONTHLY, limit=1.0)) == [201]


def test_an_order_that_is_not_transmitted_waits_for_its_client(desk):
    assert statuses(desk.order(limit=21.0, transmit=False, order_id=1)) == ["PendingSubmit"]
    assert desk.exchange.advance(at("10:30")) == []
    assert statuses(desk.order(limit=21.0, order_id=1))[-1] == "Filled"


def test_a_cancel_ends_a_live_order_with_its_status_first(desk):
    desk.order(limit=1.0)
    events = desk.exchange.cancel(1, 1, 1)
    assert (kinds(events), statuses(events), codes(events)) == (
        ["OrderChanged", "OrderError"],
        ["Cancelled"],
        [202],
    )
    assert desk.exchange.open_orders(None) == []


def test_a_cancel_of_what_is_unknown_or_over_says_so_to_who_asked(desk):
    desk.order(limit=21.0)
    desk.order(limit=1.0)
    desk.exchange.cancel(1, 2, 1)
    answers = [desk.exchange.cancel(1, number, 5)[0] for number in (99, 1, 2)]
    assert [(a.client_id, a.code) for a in answers] == [(5, 10147), (5, 10148), (5, 10148)]
    assert [a.text.rsplit(": ", 1)[-1] for a in answers[1:]] == ["Filled.", "Cancelled."]


def test_orders_belong_to_their_client(desk):
    desk.order(limit=1.0, client=1)
    desk.order(limit=1.0, client=2)
    assert [s.ticket.client_id for s in desk.exchange.open_orders(None)] == [1, 2]
    assert [s.ticket.client_id for s in desk.exchange.open_orders(2)] == [2]
    assert codes(desk.exchange.cancel(3, 1, 3)) == [10147]


def test_an_order_id_is_used_once_and_only_upwards(desk):
    desk.order(limit=1.0, order_id=5)
    assert codes(desk.order(limit=1.0, order_id=4)) == [103]
    assert codes(desk.order(limit=1.0, order_id=0)) == [103]
    assert codes(desk.order(limit=1.0, order_id=4, client=2)) == []
    desk.exchange.cancel(1, 5, 1)
    assert codes(desk.order(limit=1.0, order_id=5)) == [103]
    assert (
        desk.exchange.next_order_id(1),
        desk.exchange.next_order_id(2),
        desk.exchange.next_order_id(3),
    ) == (6, 5, 1)


def test_an_order_that_was_not_placed_may_be_mended_under_its_id(desk):
    assert codes(desk.order(limit=20.25, order_id=3)) == [110]
    assert desk.exchange.next_order_id(1) == 4
    assert codes(desk.order(limit=20.2, order_id=3)) == []


def test_a_price_off_the_step_places_nothing_and_changes_nothing(desk):
    assert codes(desk.order(limit=3.05)) == [110]
    assert desk.exchange.open_orders(None) == []
    desk.order(limit=3.10, order_id=9)
    assert codes(desk.order(limit=3.15, order_id=9)) == [110]
    assert desk.state(9).ticket.limit == 3.10


def test_a_size_beyond_all_reason_is_refused(desk):
    assert codes(desk.order(quantity=MAX_QUANTITY + 1, limit=0.05)) == [383]


def test_a_live_order_can_change_price_quantity_and_time_in_force(desk):
    desk.order(limit=1.0, order_id=1, order_ref="leg")
    perm_id = desk.state().perm_id
    desk.order(limit=1.1, quantity=2, tif="GTC", order_id=1, order_ref="leg")
    state = desk.state()
    assert (state.ticket.limit, state.ticket.quantity, state.ticket.tif, state.perm_id) == (
        1.1,
        2,
        "GTC",
        perm_id,
    )
    events = desk.order(limit=20.2, quantity=2, order_id=1, order_ref="leg")
    assert [f.shares for f in fills(events)] == [2]
    assert len(desk.exchange.completed_orders()) == 1


@pytest.mark.parametrize(
    "change",
    [{"side": "SELL"}, {"item": SPY}, {"order_ref": "other"}, {"good_after": at("15:00")}, {"limit": None}],
)
def test_anything_else_cannot_be_changed(desk, change):
    desk.order(limit=1.0, order_id=1)
    assert codes(desk.order(**{"limit": 1.0, "order_id": 1, **change})) == [105]
    assert (desk.state().status, desk.state().ticket.side) == ("Submitted", "BUY")


def test_a_filled_order_cannot_be_changed_nor_shrunk_below_its_fills(desk):
    desk.order(limit=20.2, order_id=1)
    assert codes(desk.order(limit=20.3, order_id=1)) == [104]
    desk.board.show(SPY, "10:00", MarketQuote(2.00, 2.05, 2.0, 4, 7))
    desk.order(SPY, "SELL", 10, 2.00, order_id=2)
    assert codes(desk.order(SPY, "SELL", 4, 2.00, order_id=2)) == [105]


def test_the_book_is_the_same_whoever_looks_and_however_often(desk):
    desk.order(limit=20.2, order_ref="a")
    desk.order(limit=1.0, order_ref="b")
    book = (
        desk.exchange.open_orders(None),
        desk.exchange.completed_orders(),
        desk.exchange.fills(),
        desk.exchange.positions(),
    )
    desk.exchange.advance(at("10:00"))
    assert book == (
        desk.exchange.open_orders(None),
        desk.exchange.completed_orders(),
        desk.exchange.fills(),
        desk.exchange.positions(),
    )
    assert [s.ticket.order_ref for s in (*book[0], *book[1])] == ["b", "a"]


def test_ids_are_unique_in_four_groups_and_the_same_in_every_run():
    seen = []
    for _ in range(2):
        desk = Desk(seed=3)
        for _ in range(3):
            desk.order(limit=20.2)
        seen.append([(f.exec_id, f.perm_id) for f in desk.exchange.fills()])
    assert seen[0] == seen[1]
    assert len({pair for run in seen for pair in run}) == 3
    assert all(len(exec_id.split(".")) == 4 and exec_id.endswith(".01") for exec_id, _ in seen[0])
    other = Desk(seed=4)
    other.order(limit=20.2)
    assert other.exchange.fills()[0].exec_id not in {exec_id for exec_id, _ in seen[0]}


def test_executions_can_be_asked_for_by_any_of_their_marks(desk):
    desk.order(limit=20.2, client=1)
    desk.exchange.advance(at("10:01"))
    desk.order(SPY, "SELL", 10, 2.0, client=2)
    ask = desk.exchange.fills
    for wanted, clients in (
        ({}, [1, 2]),
        ({"client_id": 2}, [2]),
        ({"account": "X"}, []),
        ({"since": at("10:00:30")}, [2]),
        ({"symbol": "SPX"}, [1]),
        ({"sec_type": "STK"}, []),
        ({"side": "SLD"}, [2]),
        ({"exchange": "CBOE"}, [1, 2]),
    ):
        assert [f.ticket.client_id for f in ask(**wanted)] == clients


# --- costs and cash -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "side", "quantity", "price", "dollars"),
    [
        (SPX, "BUY", 1, "20.2", "1.64"),  # 1.00 + 0.58 + 0.03 + 0.03
        (SPX, "SELL", 1, "20.2", "1.64"),
        (SPX, "BUY", 1, "0.95", "1.55"),  # the exchange takes 0.36 below a premium of 1.00
        (MONTHLY, "BUY", 1, "20.2", "1.51"),  # no surcharge for weeklies
        (SPY, "SELL", 10, "2.05", "10.15"),  # 6.50 + 3.00 + 0.28 + 0.25 + 0.05 + 0.03 + 0.04
        (SPY, "BUY", 10, "2.05", "10.08"),
        (SPY, "BUY", 1, "2.05", "1.37"),
        (STOCK, "BUY", 1000, "678.00", "5.00"),
        (STOCK, "SELL", 1000, "678.00", "18.97"),
    ],
)  # fmt: skip
def test_costs_are_those_of_the_fee_schedules(item, side, quantity, price, dollars):
    assert fees.estimate(item, side, quantity, Decimal(price)) == Decimal(dollars)


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.sampled_from([SPX, SPY]),
    st.sampled_from(["BUY", "SELL"]),
)
def test_partial_fills_cost_together_what_the_whole_order_costs(parts, item, side):
    tally, price = fees.Tally(), Decimal("2.05")
    charged = [tally.charge(item, side, part, price) for part in parts]
    assert sum(charged) == fees.estimate(item, side, sum(parts), price)


def test_every_execution_has_its_own_cost_report(desk):
    desk.board.show(SPY, "10:00", MarketQuote(2.00, 2.05, 2.0, 4, 7))
    events = [
        *desk.order(SPY, "SELL", 10, 2.00),
        *desk.exchange.advance(at("10:00:01")),
        *desk.exchange.advance(at("10:00:02")),
    ]
    reports = [event.fill for event in events if isinstance(event, Commission)]
    assert [r.shares for r in reports] == [4, 4, 2]
    whole = fees.estimate(SPY, "SELL", 10, Decimal("2.00"))
    assert sum(Decimal(str(r.commission)) for r in reports) == whole
    assert desk.state().commission == float(whole)


def test_cash_and_cost_of_a_position_hold_its_commissions(desk):
    desk.order(side="SELL", limit=20.0)
    assert desk.cash == 1_000_000 + 2000 - Decimal("1.64")
    assert desk.exchange.holding(SPX).avg_cost == pytest.approx(2000 - 1.64)


def test_a_gain_is_realized_only_by_what_closes_a_position(desk):
    opened = fills(desk.order(limit=20.2, quantity=2))
    closed = fills(desk.order(side="SELL", limit=20.0))
    assert opened[0].realized_pnl is None
    assert closed[0].realized_pnl == pytest.approx(2000 - 1.64 - (2020 + opened[0].commission / 2), abs=0.01)
    assert desk.exchange.pnl()[2] == closed[0].realized_pnl


def test_a_sale_through_zero_realizes_only_the_closed_part(desk):
    desk.order(SPY, "BUY", 3, 2.05)
    (fill,) = fills(desk.order(SPY, "SELL", 10, 2.00))
    assert desk.held(SPY) == -7
    cost, paid = (
        fees.estimate(SPY, "BUY", 3, Decimal("2.05")),
        fees.estimate(SPY, "SELL", 10, Decimal("2.00")),
    )
    share = fees.cents(paid * 3 / 10)
    assert Decimal(str(fill.realized_pnl)) == 600 - share - (615 + cost)
    assert desk.exchange.holding(SPY).avg_cost * -7 == pytest.approx(float(-1400 + paid - share))


SIDES, LIMITS = ["BUY", "SELL"], [None, None, 2.0, 2.05, 2.1, 20.0, 20.2, 677.0, 700.0]
ORDERS = st.tuples(
    st.just("order"),
    st.sampled_from([SPX, SPY, SPY, SPX_PUT, TOMORROW, STOCK]),
    st.sampled_from(SIDES),
    st.integers(1, 12),
    st.sampled_from(LIMITS),
    st.sampled_from(["DAY", "IOC", "GTC"]),
    st.one_of(st.none(), st.none(), st.none(), st.integers(1, 20)),
)
ACTIONS = st.one_of(
    ORDERS,
    ORDERS,
    st.tuples(st.just("cancel"), st.integers(1, 20)),
    st.tuples(st.just("wait"), st.sampled_from([0, 1, 1, 60, 1800, 7200])),
)


def busy_board():
    """Quotes with little on display, that move, lose their bids, and settle with both calls in the money."""
    board = Board()
    for item in (SPX, SPY, SPX_PUT, TOMORROW):
        board.show(item, "11:00", MarketQuote(1.95, 2.1, 2.0, 5, 3))
        board.show(item, "14:00", MarketQuote(None, 0.05, None, 0, 9))
    board.show(SPX_ID, "15:59", MarketQuote(last=6813.37))
    board.show(SPY_ID, "15:59", MarketQuote(679.29, 679.31, 679.3, 900, 900))
    return board


def play(desk, actions):
    """Do all that, with the books in balance after each step."""
    for action, *details in actions:
        if action == "order":
            item, side, quantity, limit, tif, number = details
            desk.order(item, side, quantity, limit, tif=tif, order_id=number)
        elif action == "cancel":
            desk.exchange.cancel(1, details[0], 1)
        else:
            desk.exchange.advance(desk.exchange.now + timedelta(seconds=details[0]))
        _balanced(desk)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ACTIONS, min_size=5, max_size=40), st.booleans())
def test_no_sequence_of_orders_makes_or_loses_a_cent(actions, to_the_next_morning):
    """Cash plus the cost of what is held, less what was realized, is always the cash of the beginning."""
    desk = Desk(board=busy_board())
    play(desk, actions)
    end = at("09:00", date(2026, 11, 25)) if to_the_next_morning else at("20:00")
    desk.exchange.advance(max(desk.exchange.now, end))
    _balanced(desk)
    assert desk.held(SPX) == desk.held(SPX_PUT) == 0
    if to_the_next_morning:
        assert desk.held(SPY) == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_long_busy_day_makes_or_loses_no_cent(seed):
    dice, desk = random.Random(seed), Desk(board=busy_board())
    for _ in range(200):
        item, limit = dice.choice([SPX, SPY, STOCK]), dice.choice(LIMITS)
        order = ("order", item, dice.choice(SIDES), dice.randint(1, 7), limit, "DAY", None)
        play(desk, [order, ("cancel", dice.randint(1, 200)), ("wait", dice.choice([0, 1, 60]))])
    assert sum(f.realized_pnl is not None for f in desk.exchange.fills()) > 30
    desk.exchange.advance(at("12:00", date(2026, 11, 25)))
    _balanced(desk)


def _balanced(desk):
    holdings = desk.exchange.positions()
    costs = sum(Decimal(str(round(h.avg_cost * h.quantity, 2))) for h in holdings)
    realized = sum(Decimal(str(h.realized)) for h in holdings)
    assert desk.cash + costs - realized == Decimal(1_000_000)
    assert desk.value("RealizedPnL") == float(realized)
    gains = [f.realized_pnl for f in desk.exchange.fills() if f.realized_pnl is not None]
    assert all(
        Decimal(str(gain)).as_tuple().exponent >= -2 for gain in (*gains, *(h.realized for h in holdings))
    )
    for state in (*desk.exchange.open_orders(None), *desk.exchange.completed_orders()):
        own = [f for f in desk.exchange.fills() if f.ticket.order_id == state.ticket.order_id]
        assert sum(f.shares for f in own) == state.filled
        assert state.filled + state.remaining == state.ticket.quantity
        assert (state.status == "Filled") == (state.remaining == 0)
        paid = sum((Decimal(str(f.commission)) for f in own), Decimal(0))
        assert paid == (Decimal(0) if state.commission is None else Decimal(str(state.commission)))


def test_cash_is_what_the_executions_add_up_to(desk):
    for side, limit in (("BUY", 20.2), ("SELL", 20.0), ("SELL", 20.0), ("BUY", 20.2)) * 5:
        desk.order(side=side, limit=limit)
    spent = sum(
        (1 if f.side == "BOT" else -1) * Decimal(str(f.price)) * f.shares * 100 + Decimal(str(f.commission))
        for f in desk.exchange.fills()
    )
    assert desk.cash == 1_000_000 - spent


# --- margin -------------------------------------------------------------------------------------------


def test_a_naked_call_needs_premium_and_a_share_of_the_underlying(desk):
    spx, spy = (desk.exchange.what_if(Ticket(1, 1, item, "SELL", 1, "LMT", 2.0)) for item in (FAR_SPX, SPY))
    assert spx.init_change == pytest.approx(100 * (2.025 + 0.15 * 6800 - 50))
    assert spy.init_change == pytest.approx(100 * (2.025 + 0.20 * 678))
    assert (spx.init_before, spx.init_after) == (0, spx.init_change)
    assert spx.elv_change == pytest.approx(200 - spx.commission)
    assert (spx.commission, spx.currency, spx.warning) == (1.64, "USD", "")


def test_a_naked_call_far_out_of_the_money_needs_at_least_a_tenth():
    far = option("SPXW", DAY, 7600, "C")
    assert margin.naked(margin.Exposure(far, -1, 0.05, 6800.0, 0.01)) == pytest.approx(100 * (0.05 + 680))
    put = option("SPXW", DAY, 6000, "P")
    assert margin.naked(margin.Exposure(put, -1, 0.05, 6800.0, 0.01)) == pytest.approx(100 * (0.05 + 600))


def test_under_reg_t_the_index_never_covers_the_fund():
    small = Desk(cash=50_000)
    small.order(limit=20.2)
    events = small.order(SPY, "SELL", 10, 2.0)
    assert (codes(events), statuses(events)) == ([201], ["Inactive"])
    assert "EQUITY WITH LOAN VALUE" in events[0].text
    assert small.exchange.open_orders(None) == []
    assert small.state(2).why
    assert small.held(SPY) == 0


def test_under_portfolio_margin_the_index_covers_the_fund_down_to_a_minimum():
    rich = Desk(cash=150_000, margin="portfolio")
    rich.order(limit=20.2)
    assert fills(rich.order(SPY, "SELL", 10, 2.0))
    assert 11 * 37.5 <= rich.value("InitMarginReq") < 5_000
    alone = Desk(cash=150_000, margin="portfolio")
    alone.order(SPY, "SELL", 10, 2.0)
    assert alone.value("InitMarginReq") > 30_000


def test_the_scan_covers_eight_percent_down_and_six_up():
    long_put = margin.Exposure(SPX_PUT, -1, 20.0, 6800.0, 0.01)
    worst = pricing.value(6800 * 0.92, 6800, 0.01, "P") - pricing.value(6800, 6800, 0.01, "P")
    assert margin.portfolio([long_put])[0] == pytest.approx(100 * worst)
    call = replace(long_put, instrument=SPX)
    worst = pricing.value(6800 * 1.06, 6800, 0.01, "C") - pricing.value(6800, 6800, 0.01, "C")
    assert margin.portfolio([call])[0] == pytest.approx(100 * worst)


def test_spreads_within_one_underlying_need_only_what_their_strikes_lie_apart():
    long, short = (
        margin.Exposure(item, count, 2.0, 6800.0, 0.01) for item, count in ((FAR_SPX, 1), (SPX, -1))
    )
    assert margin.reg_t([long, short]) == (5000, 5000)
    assert margin.reg_t([replace(long, quantity=-1), replace(short, quantity=1)]) == (0, 0)
    two = margin.reg_t([long, replace(short, quantity=-2)])[0]
    assert two == pytest.approx(5000 + margin.naked(short))
    other = replace(short, instrument=option("SPXW", DAY, 6810, "C"))
    assert margin.reg_t([long, short, other])[0] == pytest.approx(5000 + margin.naked(other))
    tomorrow = replace(short, instrument=TOMORROW)
    assert margin.reg_t([long, tomorrow])[0] == pytest.approx(margin.naked(tomorrow))


def test_shares_cover_short_calls_and_need_half_their_value():
    stock = margin.Exposure(STOCK, 1000, 678.0, 678.0, 0.0)
    call = margin.Exposure(SPY, -10, 2.0, 678.0, 0.01)
    assert margin.reg_t([stock, call]) == (339_000, 169_500)
    second = replace(call, instrument=option("SPY", DAY, 680, "C"))
    assert margin.reg_t([stock, call, second])[0] == pytest.approx(339_000 + 10 * margin.naked(second))
    assert margin.reg_t([replace(stock, quantity=-1000)]) == (339_000, pytest.approx(203_400))
    assert margin.reg_t([replace(stock, quantity=-1000), call])[0] > 339_000


def test_a_long_option_must_be_paid_in_cash():
    poor = Desk(cash=2_000)
    assert codes(poor.order(limit=20.2)) == [201]
    assert codes(poor.order(SPY, limit=2.05)) == []


def test_what_is_short_can_be_bought_back_whatever_the_margin():
    desk = Desk(cash=150_000)
    assert fills(desk.order(SPY, "SELL", 10, 2.0))
    desk.board.show(SPY, "10:30", MarketQuote(30.0, 31.0, 30.0, 40, 40))
    desk.board.show(SPY_ID, "10:30", MarketQuote(707.9, 708.1, 708.0, 900, 900))
    desk.exchange.advance(at("10:30"))
    assert desk.value("AvailableFunds") < 0
    assert codes(desk.order(SPX_PUT, limit=2.05)) == [201]
    assert fills(desk.order(SPY, "BUY", 10, 31.0))


def test_the_short_side_of_a_spread_can_be_bought_back_for_more_than_its_margin():
    desk = Desk(cash=10_000)
    desk.order(FAR_SPX, "BUY", 1, 2.05)
    assert fills(desk.order(SPX, "SELL", 1, 20.0))
    desk.board.show(SPX, "10:30", MarketQuote(149.0, 150.0, 150.0, 40, 40))
    desk.board.show(SPX_ID, "10:30", MarketQuote(last=6950.0))
    desk.exchange.advance(at("10:30"))
    assert fills(desk.order(SPX, "BUY", 1, 150.0))
    assert desk.cash < 0


def test_a_what_if_leaves_no_trace(desk):
    before = desk.exchange.account_values()
    desk.exchange.what_if(Ticket(1, 7, SPY, "SELL", 10, "LMT", 2.0, what_if=True))
    assert desk.exchange.account_values() == before
    assert (
        desk.exchange.open_orders(None),
        desk.exchange.completed_orders(),
        desk.exchange.next_order_id(1),
    ) == ([], [], 1)


def test_a_what_if_beyond_the_means_says_so_in_words():
    preview = Desk(cash=50_000).exchange.what_if(Ticket(1, 1, SPY, "SELL", 10, "LMT", 2.0))
    assert "EQUITY WITH LOAN VALUE" in preview.warning
    assert preview.init_after > preview.elv_after


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"margin": "none"}, "known: reg-t, portfolio"),
        ({"cash": float("nan")}, "not a sum"),
        ({"cash": 1e15}, "not a sum"),
    ],
)
def test_rules_and_sums_that_do_not_exist_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Exchange(Board(), **options)


def test_account_values_belong_together(desk):
    desk.order(SPY, "SELL", 10, 2.0)
    values = desk.exchange.account_values()
    tags = {
        "AccountType",
        "SettledCash",
        "FullInitMarginReq",
        "FullMaintMarginReq",
        "LookAheadInitMarginReq",
        "BuyingPower",
        "Cushion",
    }
    tags |= {
        "AccountReady",
        "AccountCode",
        "GrossPositionValue",
        "DayTradesRemaining",
        "UnrealizedPnL",
        "RealizedPnL",
        "Currency",
    }
    assert tags <= set(values)
    net, cash, funds = (desk.value(tag) for tag in ("NetLiquidation", "TotalCashValue", "AvailableFunds"))
    assert net == pytest.approx(cash - 10 * 100 * 2.025)
    assert funds == pytest.approx(desk.value("EquityWithLoanValue") - desk.value("InitMarginReq"))
    assert desk.value("GrossPositionValue") == pytest.approx(2025)
    daily, unrealized, realized = desk.exchange.pnl()
    assert daily == pytest.approx(unrealized + realized) == pytest.approx(net - 1_000_000)


# --- the clock, settlement, assignment ----------------------------------------------------------------


def settled(spx_close, spy_close, *orders):
    """A desk after the close at these prices, with the news from 15:59 on."""
    board = Board()
    board.show(SPX_ID, "15:59", MarketQuote(last=spx_close))
    board.show(SPY_ID, "15:59", MarketQuote(spy_close - 0.01, spy_close + 0.01, spy_close, 900, 900))
    desk = Desk(board=board)
    for item, side, quantity in orders:
        desk.order(item, side, quantity)
    desk.exchange.advance(at("15:59:30"))
    return desk


def test_weeklies_are_paid_in_cash_minutes_after_the_close_without_an_execution():
    desk = settled(6812.34, 678.0, (SPX, "BUY", 1))
    cash, executions = desk.cash, len(desk.exchange.fills())
    assert desk.exchange.advance(at("16:01")) == []
    assert desk.held(SPX) == 1
    assert desk.exchange.advance(at("16:05")) == [PositionChanged(SPX)]
    assert desk.held(SPX) == 0
    assert desk.cash - cash == Decimal("1234.00")
    assert len(desk.exchange.fills()) == executions


def test_a_short_weekly_in_the_money_costs_what_it_is_worth():
    desk = settled(6812.34, 678.0, (SPX, "SELL", 1))
    cash = desk.cash
    desk.exchange.advance(at("16:05"))
    assert desk.cash - cash == Decimal("-1234.00")


def test_am_settled_options_are_paid_from_the_next_open(desk):
    desk.order(MONTHLY, "BUY", 1)
    desk.board.show(SPX_ID, "12:00", MarketQuote(last=6805.0))
    desk.exchange.advance(at("09:29", date(2026, 11, 25)))
    cash = desk.cash
    assert desk.held(MONTHLY) == 1
    desk.exchange.advance(at("09:35", date(2026, 11, 25)))
    assert (desk.held(MONTHLY), desk.cash - cash) == (0, Decimal(500))


def test_spy_options_out_of_the_money_are_gone_in_the_evening():
    desk = settled(6800.0, 677.5, (SPY, "SELL", 10))
    cash = desk.cash
    desk.exchange.advance(at("17:00"))
    assert desk.held(SPY) == -10
    assert desk.exchange.advance(at("18:00")) == [PositionChanged(SPY)]
    assert (desk.held(SPY), desk.held(STOCK), desk.cash) == (0, 0, cash)


@pytest.mark.parametrize(
    ("item", "side", "close", "shares"),
    [
        (SPY, "SELL", 678.01, -1000),
        (SPY, "BUY", 678.01, 1000),
        (SPY_PUT, "SELL", 677.9, 1000),
        (SPY_PUT, "BUY", 677.9, -1000),
    ],
)
def test_spy_options_in_the_money_are_shares_the_next_morning(item, side, close, shares):
    desk = settled(6800.0, close, (item, side, 10))
    cash, executions = desk.cash, len(desk.exchange.fills())
    desk.exchange.advance(at("23:00"))
    assert (abs(desk.held(item)), desk.held(STOCK)) == (10, 0)
    events = desk.exchange.advance(at("04:30", date(2026, 11, 25)))
    assert events == [PositionChanged(item), PositionChanged(STOCK)]
    assert (desk.held(item), desk.held(STOCK)) == (0, shares)
    assert desk.cash - cash == -shares * 678
    assert desk.exchange.holding(STOCK).avg_cost == 678.0
    assert len(desk.exchange.fills()) == executions


def test_a_weekend_lies_between_expiry_and_delivery():
    friday = date(2026, 12, 4)
    market = SyntheticDay(friday, 7, "trend-up")
    exchange = Exchange(market)
    exchange.advance(at("10:00", friday))
    call = market.find("SPY", "OPT", friday, right="C")[0]
    exchange.submit(Ticket(1, 1, call, "SELL", 1, "MKT"))
    exchange.advance(at("12:00", date(2026, 12, 6)))
    assert exchange.holding(call).quantity == -1
    exchange.advance(at("05:00", date(2026, 12, 7)))
    assert exchange.holding(call).quantity == 0
    assert exchange.holding(market.by_con_id(SPY_ID)).quantity == -100


def test_one_leap_over_the_day_does_everything_in_its_turn(desk):
    """A fill at noon, an expiry at the close, the settlement after it, in this order."""
    desk.board.show(SPX, "12:00", MarketQuote(14.9, 15.0, 15.0, 40, 40))
    desk.board.show(SPX_ID, "15:59", MarketQuote(last=6820.0))
    desk.order(limit=15.0)
    desk.order(limit=1.0)
    events = desk.exchange.advance(at("18:00"))
    assert kinds(events) == [
        "Filled", "OrderChanged", "OrderChanged", "Commission", "PositionChanged",
        "OrderChanged", "OrderError", "PositionChanged",
    ]  # fmt: skip
    assert desk.cash == 1_000_000 - Decimal("1501.64") + 2000


def test_a_leap_and_many_steps_come_to_the_same():
    """Steps on the market's own moments: more steps would only give a resting order more chances."""
    market = SyntheticDay(DAY, 11)
    item = min(market.find("SPX", "OPT", DAY, right="C"), key=lambda i: abs(i.strike - 6800))
    ends = []
    for steps in (1, 60):
        exchange = Exchange(market)
        exchange.advance(at("10:00"))
        limit = round(market.quote(item.con_id, at("10:00")).bid - 3, 1)
        exchange.submit(Ticket(1, 1, item, "BUY", 1, "LMT", limit))
        for step in range(1, steps + 1):
            exchange.advance(at("10:00") + timedelta(minutes=390 * step // steps // 1))
        ends.append(
            ([(f.time, f.price) for f in exchange.fills()], exchange.account_values()["TotalCashValue"])
        )
    assert ends[0] == ends[1]


def test_a_whole_day_passes_in_well_under_a_second():
    market = SyntheticDay(DAY)
    item = market.find("SPX", "OPT", DAY, right="C")[0]
    for resting in (False, True):
        exchange = Exchange(market)
        exchange.advance(at("09:40"))
        if resting:
            exchange.submit(Ticket(1, 1, item, "BUY", 1, "LMT", 0.05))
        start = time.process_time()
        exchange.advance(at("18:00"))
        assert time.process_time() - start < 1.0


def test_years_in_which_nothing_happens_cost_nothing(desk):
    desk.order(SPY, "SELL", 10, 2.0)
    start = time.process_time()
    desk.exchange.advance(at("12:00", date(2046, 11, 23)))
    assert time.process_time() - start < 1.0
    assert (desk.held(SPY), desk.exchange.now.year) == (0, 2046)


def test_the_profit_of_the_day_begins_anew_at_midnight():
    desk = settled(6812.34, 678.0, (SPX, "BUY", 1))
    desk.exchange.advance(at("18:00"))
    assert desk.exchange.pnl()[0] == pytest.approx(1234 - 2021.64)
    desk.exchange.advance(at("01:00", date(2026, 11, 25)))
    assert desk.exchange.pnl()[0] == 0


def test_times_in_any_zone_are_the_same_moment(desk):
    desk.order(limit=21.0, good_after=at("15:40").astimezone(tz=None))
    (fill,) = fills(desk.exchange.advance(at("15:41").astimezone(tz=None)))
    assert (fill.time, desk.exchange.now.tzinfo) == (at("15:40"), NEW_YORK)
