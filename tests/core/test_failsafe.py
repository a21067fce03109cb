"""The fail-safe as a decision: when it becomes active, for how many calls, which of those resting is right."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from spxarb.core.contracts import Contract
from spxarb.core.failsafe import active_from, failsafes, may_be_short, right_one
from spxarb.core.model import NEW_YORK, LegName, Side
from spxarb.core.order_words import Purpose
from spxarb.core.steps import SpreadState

SPY_CALL = Contract(2, "SPY", "OPT", strike=Decimal(694), right="C", multiplier=100)
CLOSE = datetime(2026, 2, 10, 16, tzinfo=NEW_YORK)


def clock(text: str) -> datetime:
    hour, minute, *second = map(int, text.split(":"))
    return CLOSE.replace(hour=hour, minute=minute, second=second[0] if second else 0)


@pytest.mark.parametrize(
    ("placed", "active"),
    [
        ("09:36", "15:50"),
        ("15:44", "15:50"),
        ("15:46", "15:52"),
        ("15:51:20", "15:57:20"),
        ("15:53", "15:58"),
        ("15:57:59", "15:58"),
    ],
)
def test_it_is_active_ten_minutes_before_the_close_or_once_the_next_monitor_had_its_turn(placed, active):
    assert active_from(clock(placed), CLOSE) == clock(active)


@pytest.mark.parametrize("placed", ["15:58", "15:59:30"])
def test_in_the_last_two_minutes_it_is_active_at_once(placed):
    assert active_from(clock(placed), CLOSE) is None


def spread(held: int) -> SpreadState:
    return SpreadState("4f1c", 1, base={LegName.SPX: 1, LegName.SPY: held})


def working(state: SpreadState, side: Side, quantity: int, purpose: Purpose) -> str:
    return state.new_order(SPY_CALL, LegName.SPY, side, quantity, None, purpose).ref


def test_an_unproven_sale_may_have_sold_and_an_unproven_buy_back_may_not_have_bought():
    state = spread(-4)
    working(state, Side.SELL, 6, Purpose.ENTRY)
    working(state, Side.BUY, 4, Purpose.EXIT)
    working(state, Side.BUY, 4, Purpose.FAILSAFE)
    assert may_be_short(state) == 10
    assert may_be_short(state, covered=6) == 4


def test_nothing_is_short_while_calls_are_held():
    assert may_be_short(spread(3)) == 0


def test_the_one_that_rests_for_just_what_is_short_is_right_and_no_other():
    state = spread(-10)
    first, second = (working(state, Side.BUY, 10, Purpose.FAILSAFE) for _ in range(2))
    assert [order.ref for order in failsafes(state)] == [first, second]
    assert right_one(state, 10, {}) is None
    assert right_one(state, 10, {first: 4}) is None
    found = right_one(state, 10, {first: 4, second: 10})
    assert found is not None
    assert found.ref == second
    assert right_one(state, 0, {second: 0}) is None
