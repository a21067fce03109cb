"""Margin of the simulated account, by Regulation T and by portfolio."""

from dataclasses import replace

import pytest
from board import DAY, FAR_SPX, SPX, SPX_PUT, SPY, STOCK, TOMORROW, Board, Desk, at, codes, fills, statuses

from spxarb.sim.exchange import margin
from spxarb.sim.exchange.exchange import Exchange
from spxarb.sim.exchange.orders import Ticket
from spxarb.sim.market import pricing
from spxarb.sim.market.instruments import SPX_ID, SPY_ID, MarketQuote, option


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


def test_a_short_position_can_be_bought_back_whatever_the_margin():
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


def test_a_what_if_that_the_account_cannot_afford_has_a_warning():
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


def test_yesterdays_equity_stays_while_the_day_goes_on(desk):
    desk.order(SPY, "SELL", 10, 2.0)
    assert desk.value("PreviousDayEquityWithLoanValue") == 1_000_000 != desk.value("EquityWithLoanValue")


def test_what_expires_in_the_money_is_margined_as_the_shares_that_it_becomes(desk):
    """10 calls on 678, SPY at 680: 1,000 shares short, sold at 678, each to be margined with 30 %."""
    assert (desk.value("PostExpirationMargin"), desk.value("PostExpirationExcess")) == (0, 0)
    desk.order(SPY, "SELL", 10, 2.0)
    cash = desk.value("TotalCashValue")
    assert (desk.value("PostExpirationMargin"), desk.value("PostExpirationExcess")) == (0, cash)
    desk.board.show(SPY_ID, "10:00", MarketQuote(680.0, 680.0, 680.0, 1000, 1000))
    assert desk.value("PostExpirationMargin") == 0.30 * 680_000
    assert desk.value("PostExpirationExcess") == pytest.approx(cash + 678_000 - 680_000 - 204_000)
