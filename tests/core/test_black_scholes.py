"""Black-Scholes within the day: textbook figures, round trips, and no number where there is none."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spxarb.core.black_scholes import (
    DAYS_A_YEAR,
    LEAST_DEVIATION,
    MINUTES_A_YEAR,
    call_value,
    greeks,
    implied_volatility,
    years_of,
)

UNDERS = st.floats(100, 10_000)
MONEYNESS = st.floats(0.9, 1.1)
VOLATILITIES = st.floats(0.03, 3.0)
MINUTES = st.floats(1, 390)


def test_a_call_at_the_money_is_worth_what_the_textbook_says():
    """At the money without interest: S (2 N(s/2) - 1), with s = 0.2 x sqrt(0.25) = 0.1 that is 3.98776."""
    assert call_value(100, 100, 0.20, 0.25) == pytest.approx(3.98776, abs=1e-5)


def test_the_textbooks_greeks_are_met():
    """d1 = 0.05; n(d1) = 0.398444, N(d1) = 0.519939."""
    found = greeks(100, 100, 0.20, 0.25)
    assert found is not None
    assert found.delta == pytest.approx(0.519939, abs=1e-6)
    assert found.gamma == pytest.approx(0.0398444, abs=1e-7)
    assert found.vega == pytest.approx(0.199222, abs=1e-6)
    assert found.theta == pytest.approx(-7.96888 / 365, abs=1e-6)
    assert found.volatility == 0.20


def test_a_minute_is_a_calendar_minute_and_what_is_over_is_nothing():
    assert years_of(365 * 24 * 60) == 1
    assert years_of(0) == years_of(-5) == 0


@given(UNDERS, MONEYNESS, VOLATILITIES, MINUTES)
def test_the_volatility_of_a_value_gives_that_value_again(under, moneyness, volatility, minutes):
    strike, years = under * moneyness, years_of(minutes)
    price = call_value(under, strike, volatility, years)
    assume(max(under - strike, 0) < price < under)
    found = implied_volatility(price, under, strike, years)
    assume(found is not None or price - max(under - strike, 0) > 1e-9)
    assert found is not None
    assert call_value(under, strike, found, years) == pytest.approx(price, abs=1e-9 * under)


@given(UNDERS, st.floats(-0.5, 0.5), VOLATILITIES, MINUTES)
def test_near_the_money_the_volatility_itself_comes_back(under, deviations, volatility, minutes):
    """To a thousandth of a volatility point, from the last minute to the whole day."""
    years = years_of(minutes)
    strike = under * (1 + deviations * volatility * years**0.5)
    found = implied_volatility(call_value(under, strike, volatility, years), under, strike, years)
    assert found == pytest.approx(volatility, abs=1e-5)


@pytest.mark.parametrize(("strike", "price"), [(6600, 200.5), (7000, 0.05), (6500, 300.05)])
def test_a_mid_far_from_the_money_has_its_volatility(strike, price):
    """In the money the time value of half an index point, out of it one tick."""
    years = years_of(360)
    found = implied_volatility(price, 6800, strike, years)
    assert found is not None
    assert call_value(6800, strike, found, years) == pytest.approx(price, abs=1e-7)


@pytest.mark.parametrize(
    ("price", "under", "strike", "years"),
    [
        (99.99, 6800, 6700, years_of(60)),  # below the intrinsic value
        (100, 6800, 6700, years_of(60)),  # at it
        (0, 6800, 6900, years_of(60)),
        (-1, 6800, 6900, years_of(60)),
        (6800, 6800, 6700, years_of(60)),  # as dear as the index
        (20, 6800, 6800, 0),  # no time left
        (20, 6800, 6800, years_of(-1)),
        (20, 0, 6800, years_of(60)),
        (20, 6800, 0, years_of(60)),
        (nan, 6800, 6800, years_of(60)),
        (inf, 6800, 6800, years_of(60)),
        (20, nan, 6800, years_of(60)),
    ],
)
def test_where_no_volatility_explains_a_price_there_is_none(price, under, strike, years):
    assert implied_volatility(price, under, strike, years) is None


@pytest.mark.parametrize(("volatility", "years"), [(0.15, 0.0), (0.0, 0.001), (-0.1, 0.001)])
def test_without_time_or_volatility_there_are_no_greeks_and_the_value_is_the_intrinsic_one(volatility, years):
    assert greeks(6810, 6800, volatility, years) is None
    assert call_value(6810, 6800, max(volatility, 0), years) == 10
    assert call_value(6790, 6800, max(volatility, 0), years) == 0


@given(UNDERS, MONEYNESS, VOLATILITIES, MINUTES)
def test_greeks_are_the_slopes_of_the_value_in_the_units_that_they_are_told_in(
    under, moneyness, volatility, minutes
):
    strike, years = under * moneyness, years_of(minutes)
    deviation = volatility * years**0.5
    assume(deviation > 0.001)
    found = greeks(under, strike, volatility, years)
    assert found is not None
    step = under * deviation / 1000
    up, level, down = (call_value(under + move, strike, volatility, years) for move in (step, 0, -step))
    assert found.delta == pytest.approx((up - down) / (2 * step), abs=1e-5)
    assert found.gamma * step == pytest.approx((up - 2 * level + down) / step, abs=1e-5)
    wider = call_value(under, strike, volatility * 1.001, years)
    narrower = call_value(under, strike, volatility * 0.999, years)
    assert found.vega == pytest.approx((wider - narrower) / (0.2 * volatility), abs=1e-6 * under, rel=1e-4)
    later = call_value(under, strike, volatility, years * 0.999)
    earlier = call_value(under, strike, volatility, years * 1.001)
    days = 0.002 * years * DAYS_A_YEAR
    assert found.theta * days == pytest.approx(later - earlier, abs=1e-8 * under)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(-1e7, 1e7), st.floats(0, 1e6), st.floats(0, 1e4))
def test_no_number_makes_it_raise(under, strike, price, minutes, volatility):
    years = years_of(minutes)
    found = implied_volatility(price, under, strike, years)
    assert found is None or found * years**0.5 >= LEAST_DEVIATION
    assert call_value(under, strike, volatility, years) >= max(under - strike, 0)
    slopes = greeks(under, strike, volatility, years)
    assert slopes is None or 0 <= slopes.delta <= 1


def test_a_year_has_the_minutes_of_its_days():
    assert MINUTES_A_YEAR == 525_600
