"""Mismatch, worst case, break-even and edge: the algebra of long SPX calls against short SPY calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from spxarb.core.model import dec
from spxarb.core.payoff import (
    Structure,
    best_case,
    break_even,
    edge,
    interpolate,
    mismatch,
    payoff,
    worst_case,
)

if TYPE_CHECKING:
    from decimal import Decimal

TINY = dec("1e-15")  # 28 digits, numbers up to a million

ratios = st.decimals("9.5", "10.5", places=5)
spy_strikes = st.integers(200, 1500).map(dec)
gaps = st.integers(-8, 8).map(lambda steps: dec(5) * steps)
net_credits = st.decimals("-3000", "3000", places=2)


@st.composite
def structures(draw, most_spx=1, spy=(10, 10)):
    spy_strike, ratio = draw(spy_strikes), draw(ratios)
    spx_strike = round(spy_strike * ratio / 5) * dec(5) + draw(gaps)
    return Structure(spx_strike, spy_strike, ratio, draw(st.integers(1, most_spx)), draw(st.integers(*spy)))


hedged = structures().filter(lambda structure: structure.ratio >= 10)
any_size = structures(most_spx=3, spy=(1, 30))


def grid(structure: Structure) -> list[Decimal]:
    """Settlements from 0 to 20 % above the higher strike, and the kinks."""
    top = max(structure.spx_strike, structure.spx_equivalent_strike) * dec("1.2")
    steps = [top * step / 400 for step in range(401)]
    return sorted([*steps, structure.spx_strike, structure.spx_equivalent_strike])


# --- the worked examples ------------------------------------------------------------------------


def test_nearest_strikes_with_the_short_one_lower_are_a_bear_call_spread():
    """S = 6795.2, K = 6795, k = 677: M = +4.7, credit 198, fair 233, edge -35, worst -269."""
    ratio = dec("10.03")
    spread = Structure(dec(6795), dec(677), ratio)
    assert round(spread.mismatch, 1) == dec("4.7")
    assert worst_case(spread, dec(198)) == dec(198) - 1000 / ratio * spread.mismatch
    assert worst_case(spread, dec(198)) == pytest.approx(dec(-269), abs=dec(1))


def test_two_perfect_strikes_have_almost_no_mismatch_though_ten_times_one_misses_the_other_by_20():
    """S = 6800, K = 6800, k = 678, r = 10.03: M = -0.34, and a debit of 72 is its own floor."""
    spread = Structure(dec(6800), dec(678), dec("10.03"))
    assert spread.mismatch == dec("-0.34")
    assert worst_case(spread, dec(-72)) == -72


def test_a_credit_of_448_is_bought_with_a_possible_loss_of_518():
    """S = 6797.4, K = 6800, k = 677 at r = 10.03: M = 9.7."""
    spread = Structure(dec(6800), dec(677), dec("10.03"))
    assert round(spread.mismatch, 1) == dec("9.7")
    assert worst_case(spread, dec(448)) == pytest.approx(dec(-518), abs=dec(1))


def test_the_break_even_of_a_bear_call_spread_is_where_the_credit_is_used_up():
    """S* = r k + C r / 1000 = 6790.31 + 448 x 0.01003."""
    spread = Structure(dec(6800), dec(677), dec("10.03"))
    assert break_even(spread, dec(448)) == pytest.approx(dec("6794.80344"), abs=TINY)


def test_the_edge_is_the_credit_less_the_worth_of_the_mismatch():
    """198 - (1000 / 10.03) x 20.40 + 100 x 18.00."""
    spread = Structure(dec(6795), dec(677), dec("10.03"))
    assert edge(dec(198), spread, dec("20.40"), dec("18.00")).quantize(dec("0.01")) == dec("-35.90")


def test_between_two_listed_strikes_the_mid_is_read_from_the_line():
    listed = [(dec(6795), dec("18.00")), (dec(6785), dec("23.40")), (dec(6790), dec("20.60"))]
    assert interpolate(listed, dec("6790.31")) == dec("20.4388")


# --- what holds always --------------------------------------------------------------------------


@given(spy_strikes, ratios, gaps)
def test_the_mismatch_is_not_ten_strikes_less_one(spy_strike, ratio, gap):
    """M = -m - (r - 10) k with m = 10 k - K."""
    spx_strike = 10 * spy_strike + gap
    naive = 10 * spy_strike - spx_strike
    assert mismatch(spx_strike, spy_strike, ratio) == -naive - (ratio - 10) * spy_strike


@given(any_size, net_credits, st.decimals("0", "20000", places=2))
def test_the_payoff_is_the_credit_and_the_intrinsic_values_of_both_legs(spread, credit, settlement):
    long = 100 * spread.spx_contracts * max(settlement - spread.spx_strike, dec(0))
    short = 100 * spread.spy_contracts * max(settlement / spread.ratio - spread.spy_strike, dec(0))
    assert payoff(settlement, spread, credit) == pytest.approx(credit + long - short, abs=dec("1e-12"))


@given(any_size, net_credits)
def test_the_worst_case_is_the_least_payoff_over_all_settlements(spread, credit):
    least = min(payoff(point, spread, credit) for point in grid(spread))
    assert worst_case(spread, credit) == least


@given(any_size, net_credits)
def test_the_best_case_is_the_greatest_payoff_over_all_settlements(spread, credit):
    assert best_case(spread, credit) == max(payoff(point, spread, credit) for point in grid(spread))


@given(hedged, net_credits, st.decimals("0", "1000000", places=0))
def test_with_no_more_short_than_long_nothing_is_worse_at_any_settlement(spread, credit, settlement):
    assert payoff(settlement, spread, credit) >= worst_case(spread, credit) - dec("1e-12")


@given(hedged, net_credits)
def test_hedged_the_worst_case_is_the_credit_less_the_mismatch_if_that_is_positive(spread, credit):
    cost = 1000 / spread.ratio * max(spread.mismatch, dec(0))
    assert worst_case(spread, credit) == pytest.approx(credit - cost, abs=dec("1e-12"))


def test_with_more_short_than_long_the_worst_case_looks_20_percent_above_the_higher_strike():
    """r = 9.9, r k = 6801.3: up there, at 8161.56, SPX brings 136,156 and SPY costs 137,400."""
    spread = Structure(dec(6800), dec(687), dec("9.9"))
    assert worst_case(spread, dec(0)) == payoff(dec("8161.56"), spread, dec(0))
    assert worst_case(spread, dec(0)) == pytest.approx(dec(136_156 - 137_400), abs=dec("1e-12"))


@given(any_size, net_credits)
@example(Structure(dec(6800), dec(680), dec(10)), dec(0))
def test_the_break_even_is_a_zero_of_the_payoff(spread, credit):
    found = break_even(spread, credit)
    assume(found is not None)
    assert payoff(found, spread, credit) == pytest.approx(dec(0), abs=dec("1e-12"))


@given(any_size, net_credits)
def test_the_break_even_is_missing_only_where_the_payoff_keeps_its_sign(spread, credit):
    signs = {payoff(point, spread, credit) > 0 for point in grid(spread)}
    if len(signs) == 2:
        assert break_even(spread, credit) is not None
    if break_even(spread, credit) is None:
        assert len(signs) == 1


@given(any_size, net_credits)
def test_below_the_break_even_the_payoff_keeps_its_sign(spread, credit):
    found = break_even(spread, credit)
    assume(found is not None)
    before = [payoff(point, spread, credit) for point in grid(spread) if point < found - TINY]
    assert all(value > 0 for value in before) or all(value < 0 for value in before) or credit == 0


def test_without_credit_the_break_even_is_where_the_lower_strike_ends_the_zero():
    assert break_even(Structure(dec(6800), dec(677), dec(10)), dec(0)) == 6770


def test_a_spread_that_is_zero_everywhere_has_no_break_even():
    assert break_even(Structure(dec(6800), dec(680), dec(10)), dec(0)) is None


@given(
    structures(),
    st.decimals("0.01", "60", places=2),
    st.decimals("0.05", "60", places=2),
    st.decimals("0", "2", places=2),
    st.decimals("0", "40", places=2),
    st.decimals("0.01", "60", places=3),
)
def test_the_edge_is_the_same_by_the_formula_in_prices(spread, spy_bid, spx_mid, half, fees, at_rk):
    """1000 b - (1000 / r) c - 100 (ask - mid) - fees."""
    ask = spx_mid + half
    credit = 1000 * spy_bid - 100 * ask - fees
    by_prices = 1000 * spy_bid - 1000 / spread.ratio * at_rk - 100 * (ask - spx_mid) - fees
    assert edge(credit, spread, at_rk, spx_mid) == pytest.approx(by_prices, abs=dec("1e-12"))


# --- interpolation ------------------------------------------------------------------------------


@given(st.decimals("-3", "3", places=2), st.decimals("0", "100", places=2), st.decimals("0", "50", places=2))
def test_on_a_straight_line_every_point_is_read_exactly(slope, start, point):
    listed = [(dec(strike), start + slope * strike) for strike in range(0, 55, 5)]
    assert interpolate(listed, point) == start + slope * point


@pytest.mark.parametrize("point", ["6784.99", "6800.01"])
def test_nothing_is_read_beyond_the_listed_strikes(point):
    assert interpolate([(dec(6785), dec(23)), (dec(6800), dec(16))], dec(point)) is None


@pytest.mark.parametrize("missing", [6790, 6795])
def test_a_missing_neighbour_is_not_replaced_by_a_farther_strike(missing):
    mids = {6785: dec(23), 6790: dec(20), 6795: dec(18), 6800: dec(16)} | {missing: None}
    assert interpolate([(dec(strike), mid) for strike, mid in mids.items()], dec(6792)) is None


def test_at_a_listed_strike_its_own_mid_counts_alone():
    listed = [(dec(6785), None), (dec(6790), dec("20.60")), (dec(6795), None)]
    assert interpolate(listed, dec(6790)) == dec("20.60")
    assert interpolate(listed, dec(6785)) is None


def test_of_an_empty_chain_nothing_is_read():
    assert interpolate([], dec(6790)) is None
