"""Closing prices, the fate of SPY calls, and the figures of a settlement."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.contracts import Quote
from spxarb.core.model import NEW_YORK, LegName
from spxarb.core.settlement import (
    NEAR,
    OFFICIAL_AFTER,
    CloseView,
    Outlook,
    SettlementFigure,
    believable,
    closing_price,
    fate_of_calls,
    reach_of,
    with_difference,
)
from spxarb.core.stages import Stage

D = Decimal
DAY = date(2026, 2, 10)
CLOSE = datetime(2026, 2, 10, 16, tzinfo=NEW_YORK)
BAR, LAST, TICK9 = D("679.81"), D("677.40"), D("679.80")
MOMENTS = {
    "before the close": CLOSE - timedelta(seconds=1),
    "at the close": CLOSE,
    "before the official one": CLOSE + OFFICIAL_AFTER - timedelta(seconds=1),
    "in the evening": CLOSE + timedelta(hours=2),
    "the next morning": CLOSE + timedelta(hours=18),
}
OFFICIAL_BY_NOW = {"in the evening", "the next morning"}


def expected(leg, when, bar, kind, last, tick9_is_of):
    """The rules in words, one after the other."""
    if when == "before the close":
        return None
    if bar:
        return BAR, Stage.OFFICIAL if when in OFFICIAL_BY_NOW else Stage.LAST_PRINT
    if tick9_is_of == DAY and kind == 1:
        return TICK9, Stage.OFFICIAL
    if leg is LegName.SPX and when != "the next morning" and kind in {1, 2} and last:
        return LAST, Stage.LAST_PRINT
    return None


@pytest.mark.parametrize("leg", LegName)
@pytest.mark.parametrize("when", MOMENTS)
def test_a_close_is_a_regular_print_or_the_official_one_and_no_other_price(leg, when):
    """All of: a daily bar or none, every kind of market data, a last price or none, three meanings of tick 9."""
    others = (None, DAY, DAY - timedelta(days=1))
    for bar, kind, last, tick9_is_of in product((True, False), (None, 1, 2, 3, 4), (True, False), others):
        quote = Quote(last=LAST if last else None, close=TICK9, data_type=kind)
        view = CloseView(leg, DAY, MOMENTS[when], CLOSE, BAR if bar else None, quote, tick9_is_of)
        found = closing_price(view)
        wanted = expected(leg, when, bar, kind, last, tick9_is_of)
        assert (found and (found.price, found.stage)) == wanted, view


@pytest.mark.parametrize(
    ("price", "fate"),
    [
        ("676.98", Outlook.WORTHLESS),
        ("676.99", Outlook.DOUBTFUL),
        ("678.00", Outlook.DOUBTFUL),
        ("679.01", Outlook.DOUBTFUL),
        ("679.02", Outlook.EXERCISED),
        ("679.81", Outlook.EXERCISED),
    ],
)
def test_calls_near_their_strike_may_end_either_way(price, fate):
    assert fate_of_calls(D(price), D(678), D("1.01")) is fate


prices = st.decimals("1", "9000", places=2)


@given(prices, prices, st.decimals("0", "20", places=2))
def test_no_call_in_the_money_is_ever_taken_for_worthless(price, strike, reach):
    assert (fate_of_calls(price, strike, reach) is Outlook.WORTHLESS) == (price < strike - reach)


def figure(stage, price, *, trade=1, leg=LegName.SPX, cash=0):
    return SettlementFigure(trade, leg, stage, D(1), D(price), D(cash), "a source", CLOSE)


def test_near_is_as_far_as_official_close_and_last_print_are_known_to_have_differed():
    """8.23 points of 5560.83 on 2025-04-30; of SPY at 678 that is a dollar."""
    assert D("8.23") / D("5560.83") < NEAR < D("8.4") / D("5560.83")
    assert reach_of(D(678), []) == D("1.02")


def test_a_larger_difference_in_the_ledger_widens_what_is_near():
    wide = [figure(Stage.LAST_PRINT, 5000), figure(Stage.OFFICIAL, 5020)]
    small = [figure(Stage.LAST_PRINT, 5000, trade=2), figure(Stage.OFFICIAL, 5001, trade=2)]
    of_two = [figure(Stage.LAST_PRINT, 5000, trade=3), figure(Stage.OFFICIAL, 6000, trade=4)]
    assert reach_of(D(500), [*small, *wide]) == D("2.00")
    assert reach_of(D(500), small) == D("0.75")
    assert reach_of(D(500), of_two) == D("0.75"), "closes of two trades say nothing of each other"


@pytest.mark.parametrize(("official", "fits"), [("6868.68", True), ("6868.69", False), ("6732.67", False)])
def test_an_official_close_more_than_a_percent_away_is_another_price(official, fits):
    assert believable(D(official), D("6800.68")) is fits
    assert believable(D(official), None)


def test_a_difference_is_to_the_newest_stage_before():
    last, official = figure(Stage.LAST_PRINT, 1, cash=500), figure(Stage.OFFICIAL, 1, cash=1323)
    other = figure(Stage.OFFICIAL, 1, leg=LegName.SPY, cash=-9)
    statement = figure(Stage.STATEMENT, 1, cash=1320)
    assert with_difference(last, [official, statement]).difference is None
    assert with_difference(official, [last]).difference == 823
    assert with_difference(statement, [official, other, last]).difference == -3
    assert with_difference(statement, [last]).difference == 820
