"""What the clock brings about at the simulated exchange: expiry, settlement, assignment."""

import time
from datetime import date, timedelta
from decimal import Decimal

import pytest
from board import DAY, MONTHLY, SPX, SPY, SPY_PUT, STOCK, Board, Desk, at, fills, kinds

from spxarb.sim.exchange.exchange import Exchange
from spxarb.sim.exchange.orders import PositionChanged, Ticket
from spxarb.sim.market.instruments import SPX_ID, SPY_ID, MarketQuote
from spxarb.sim.market.market import SyntheticDay
from spxarb.sim.market.trading_days import NEW_YORK


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


def test_one_leap_over_the_day_does_everything_in_order(desk):
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


def played(market, steps, *tickets):
    """These orders at 10:00, and the time until 16:30 in so many steps."""
    exchange = Exchange(market)
    exchange.advance(at("10:00"))
    for ticket in tickets:
        exchange.submit(ticket)
    for step in range(1, steps + 1):
        exchange.advance(at("10:00") + timedelta(minutes=390 * step // steps))
    return exchange


def test_a_leap_and_many_steps_have_the_same_result():
    """Steps on the market's own moments: more steps would only give a resting order more chances."""
    market = SyntheticDay(DAY, 11)
    item = min(market.find("SPX", "OPT", DAY, right="C"), key=lambda i: abs(i.strike - 6800))
    resting = Ticket(1, 1, item, "BUY", 1, "LMT", round(market.quote(item.con_id, at("10:00")).bid - 3, 1))
    leap, steps = (played(market, steps, resting) for steps in (1, 60))
    assert [(f.time, f.price) for f in leap.fills()] == [(f.time, f.price) for f in steps.fills()]
    assert leap.account_values()["TotalCashValue"] == steps.account_values()["TotalCashValue"]


def test_an_order_that_sleeps_through_a_leap_wakes_and_fills_when_it_does_by_steps():
    market = SyntheticDay(DAY, 11)
    call = min(market.find("SPY", "OPT", DAY, right="C"), key=lambda item: abs(item.strike - 680))
    sold = Ticket(1, 1, call, "SELL", 1, "MKT")
    sleeping = Ticket(1, 2, call, "BUY", 1, "MKT", good_after=at("15:50"))
    leap, steps = (played(market, steps, sold, sleeping) for steps in (1, 390))
    assert [fill.time for fill in leap.fills()] == [at("10:00"), at("15:50")]
    assert leap.fills() == steps.fills()
    assert leap.account_values() == steps.account_values()
    assert leap.completed_orders() == steps.completed_orders()


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


def test_the_daily_profit_starts_again_at_midnight():
    desk = settled(6812.34, 678.0, (SPX, "BUY", 1))
    desk.exchange.advance(at("18:00"))
    assert desk.exchange.pnl()[0] == pytest.approx(1234 - 2021.64)
    desk.exchange.advance(at("01:00", date(2026, 11, 25)))
    assert desk.exchange.pnl()[0] == 0


def test_times_in_any_zone_are_the_same_moment(desk):
    desk.order(limit=21.0, good_after=at("15:40").astimezone(tz=None))
    (fill,) = fills(desk.exchange.advance(at("15:41").astimezone(tz=None)))
    assert (fill.time, desk.exchange.now.tzinfo) == (at("15:40"), NEW_YORK)
