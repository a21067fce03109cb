"""Costs and cash of the simulated account, exact to the cent."""

import random
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

import pytest
from board import (
    MONTHLY,
    SPX,
    SPX_PUT,
    SPY,
    STOCK,
    TOMORROW,
    Board,
    Desk,
    at,
    fills,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spxarb.sim.exchange import fees
from spxarb.sim.exchange.orders import Commission
from spxarb.sim.market.instruments import SPX_ID, SPY_ID, MarketQuote
from tests.effort import examples


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


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


@lru_cache(maxsize=None, typed=True)
def exact(number):
    """As it prints; most numbers of a day are asked again after each step."""
    return Decimal(str(number))


@lru_cache(maxsize=None, typed=True)
def in_whole_cents(number):
    return exact(number).as_tuple().exponent >= -2


def _balanced(desk):
    holdings, values, filled = (
        desk.exchange.positions(),
        desk.exchange.account_values(),
        desk.exchange.fills(),
    )
    costs = sum(exact(round(h.avg_cost * h.quantity, 2)) for h in holdings)
    realized = sum(exact(h.realized) for h in holdings)
    assert Decimal(values["TotalCashValue"]) + costs - realized == Decimal(1_000_000)
    assert float(values["RealizedPnL"]) == float(realized)
    gains = [f.realized_pnl for f in filled if f.realized_pnl is not None]
    assert all(map(in_whole_cents, (*gains, *(h.realized for h in holdings))))
    fills = defaultdict(list)
    for fill in filled:
        fills[fill.ticket.order_id].append(fill)
    for state in (*desk.exchange.open_orders(None), *desk.exchange.completed_orders()):
        own = fills[state.ticket.order_id]
        assert sum([f.shares for f in own]) == state.filled
        assert state.filled + state.remaining == state.ticket.quantity
        assert (state.status == "Filled") == (state.remaining == 0)
        paid = sum([exact(f.commission) for f in own], Decimal(0))
        assert paid == (Decimal(0) if state.commission is None else exact(state.commission))


def test_cash_is_what_the_executions_add_up_to(desk):
    for side, limit in (("BUY", 20.2), ("SELL", 20.0), ("SELL", 20.0), ("BUY", 20.2)) * 5:
        desk.order(side=side, limit=limit)
    spent = sum(
        (1 if f.side == "BOT" else -1) * Decimal(str(f.price)) * f.shares * 100 + Decimal(str(f.commission))
        for f in desk.exchange.fills()
    )
    assert desk.cash == 1_000_000 - spent
