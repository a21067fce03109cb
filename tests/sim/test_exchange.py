"""The life of an order at the simulated exchange: its fills, its changes, its end."""

from datetime import date

import pytest
from board import MONTHLY, SPX, SPY, STOCK, TOMORROW, Desk, at, codes, fills, kinds, statuses

from spxarb.sim.exchange.exchange import MAX_QUANTITY, Exchange
from spxarb.sim.exchange.orders import OrderChanged, PositionChanged, Ticket
from spxarb.sim.market.instruments import MarketQuote
from spxarb.sim.market.market import SyntheticDay


def test_an_order_at_the_touch_fills_at_once_with_events_in_the_order_of_the_real_gateway(desk):
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


def test_a_cancel_of_an_unknown_or_ended_order_is_refused_to_the_client_that_asked(desk):
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


def test_an_order_id_is_used_once_and_a_lower_one_that_comes_later_is_accepted(desk):
    desk.order(limit=1.0, order_id=5)
    assert statuses(desk.order(limit=1.0, order_id=4)) == ["Submitted"]
    assert desk.exchange.next_order_id(1) == 6
    assert codes(desk.order(limit=1.0, order_id=0)) == [103]
    assert codes(desk.order(limit=1.0, order_id=4, client=2)) == []
    desk.exchange.cancel(1, 5, 1)
    assert codes(desk.order(limit=1.0, order_id=5)) == [103]
    assert (
        desk.exchange.next_order_id(1),
        desk.exchange.next_order_id(2),
        desk.exchange.next_order_id(3),
    ) == (6, 5, 1)


def test_an_order_that_was_refused_may_be_corrected_under_its_id(desk):
    assert codes(desk.order(limit=20.25, order_id=3)) == [110]
    assert desk.exchange.next_order_id(1) == 4
    assert codes(desk.order(limit=20.2, order_id=3)) == []


def test_a_price_off_the_step_places_nothing_and_changes_nothing(desk):
    assert codes(desk.order(limit=3.05)) == [110]
    assert desk.exchange.open_orders(None) == []
    desk.order(limit=3.10, order_id=9)
    assert codes(desk.order(limit=3.15, order_id=9)) == [110]
    assert desk.state(9).ticket.limit == 3.10


def test_a_size_above_the_limit_is_refused(desk):
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


def test_the_book_is_the_same_for_every_client_however_often_it_is_asked(desk):
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


def test_executions_can_be_filtered_by_any_field(desk):
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
