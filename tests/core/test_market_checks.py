"""Prices that can be believed: each veto by name, value and limit; at its limit, beyond it, and where nothing is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.contracts import Contract, Quote
from spxarb.core.entry_view import NO_QUOTE, EntryMarket, EntryView, Evidence, PriceSource
from spxarb.core.fees import FeeSchedule
from spxarb.core.limits import Limits, PriceLimits
from spxarb.core.market_checks import (
    Ratio,
    halted,
    index_price,
    legs_apart,
    market_data,
    measured_ratio,
    quote_age,
    ratio_drift,
    strikes,
    underlying_drift,
    width,
)
from spxarb.core.model import NEW_YORK, LegName, dec
from spxarb.core.parity import ParityPrice
from spxarb.core.strategy import (
    Credit,
    allowed,
    contract_fault,
    entry_checks,
    nearest_strikes,
    risk_of,
    second_look,
    second_look_left_out,
    second_look_not_needed,
    strike_doubt,
)

LIMITS = PriceLimits()
NOW = datetime(2026, 11, 24, 9, 36, tzinfo=NEW_YORK)


def quote(bid, ask, **more):
    return Quote(
        **{"bid": dec(bid), "ask": dec(ask), "data_type": 1, "received": 99.0, "priced": 99.0, **more}
    )


def call(symbol, strike):
    return Contract(1, symbol, "OPT", strike=dec(strike), right="C", multiplier=100)


MARKET = EntryMarket(
    spx_price=dec("6800.34"),
    spy_price=dec(678),
    spx_call=call("SPX", 6800),
    spy_call=call("SPY", 678),
    spx_quote=quote("17.80", "18.00"),
    spy_quote=quote("2.30", "2.32"),
    spx_index_quote=Quote(last=dec("6800.30"), data_type=1, received=99.0, priced=99.0),
    spy_stock_quote=quote("677.99", "678.01"),
    spx_equivalent_mid=dec("22.40"),
    equivalent_uncertainty=dec("0.10"),
    evidence=Evidence(
        parity=ParityPrice(dec("6800.34"), dec("0.20"), (dec(6795), dec(6800), dec(6805))),
        looked_at=100.0,
        first_spx=dec("6800.30"),
        first_spy=dec(678),
        latest_ratio=dec("10.03"),
        recent_ratio=dec("10.03"),
    ),
)
VIEW = EntryView(NOW, None, True, "", 0, "", dec(0), MARKET)


def but(**changes):
    """The view with something changed in its market or the evidence."""
    evidence = {name: changes.pop(name) for name in [*changes] if name in Evidence.__dataclass_fields__}
    market = replace(MARKET, evidence=replace(MARKET.evidence, **evidence), **changes)
    return replace(VIEW, market=market)


def parity(price, uncertainty="0.20"):
    return ParityPrice(dec(price), dec(uncertainty), (dec(6795), dec(6800), dec(6805)))


NO_PARITY = ParityPrice(None, None, (), ("6800: put has no bid",))
PRICE_CHECKS = {
    "halted": halted,
    "quote_age": lambda view: quote_age(view, LIMITS),
    "legs_apart": lambda view: legs_apart(view, LIMITS),
    "index_price": lambda view: index_price(view, LIMITS),
    "underlying_drift": lambda view: underlying_drift(view, LIMITS),
    "ratio_drift": lambda view: ratio_drift(view, LIMITS),
}


@pytest.mark.parametrize("name", PRICE_CHECKS)
def test_a_good_moment_passes_and_where_nobody_asked_or_nothing_is_known_nothing_does(name):
    check = PRICE_CHECKS[name]
    assert (check(VIEW).name, check(VIEW).ok) == (name, True)
    unasked = check(replace(VIEW, asked_broker=False))
    assert (unasked.ok, unasked.value) == (None, None)
    assert check(replace(VIEW, market=EntryMarket())).ok is None


# --- halted, age, apart ---------------------------------------------------------------------------

QUOTES = ("spx_index_quote", "spy_stock_quote", "spx_quote", "spy_quote")


@pytest.mark.parametrize("field", QUOTES)
def test_anything_that_is_halted_is_named(field):
    found = halted(but(**{field: replace(getattr(MARKET, field), halted=True)}))
    assert (found.ok, found.value, found.limit) == (False, 1, 0)


@pytest.mark.parametrize("field", QUOTES)
@pytest.mark.parametrize(("seconds", "ok"), [(0, True), (10, True), (10.1, False), (None, None)])
def test_every_quote_may_be_as_old_as_its_limit(field, seconds, ok):
    priced = None if seconds is None else 100.0 - seconds
    view = but(**{field: replace(getattr(MARKET, field), priced=priced)})
    limits = replace(LIMITS, max_index_age_seconds=10)
    assert quote_age(view, limits).ok is ok


@pytest.mark.parametrize(("seconds", "ok"), [(0, True), (15, True), (16, False), (3600, False), (-2, True)])
def test_the_index_is_as_old_as_its_own_time_says_however_fresh_its_tick(seconds, ok):
    last = replace(MARKET.spx_index_quote, last_time=NOW - timedelta(seconds=seconds))
    found = quote_age(but(spx_index_quote=last), LIMITS)
    assert (found.ok, found.value["SPX index"]) == (ok, max(seconds, 1))
    assert found.limit["SPX index"] == 15


def test_one_old_quote_is_a_no_though_another_is_not_known():
    old = replace(MARKET.spy_quote, priced=10.0)
    found = quote_age(but(spy_quote=old, spx_quote=NO_QUOTE), LIMITS)
    assert (found.ok, found.message) == (False, "SPY call is 90 s old, more than 10.")


@pytest.mark.parametrize(
    ("spx", "spy", "ok"), [(95, 100, True), (100, 95, True), (94.9, 100, False), (100, None, None)]
)
def test_the_calls_may_be_quoted_as_far_apart_as_the_limit(spx, spy, ok):
    view = but(
        spx_quote=replace(MARKET.spx_quote, priced=spx), spy_quote=replace(MARKET.spy_quote, priced=spy)
    )
    assert legs_apart(view, LIMITS).ok is ok


# --- SPX is not the last print -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "ok"), [("6802.30", True), ("6798.30", True), ("6802.31", False), ("6790.30", False)]
)
def test_parity_and_print_may_differ_by_the_limit(price, ok):
    found = index_price(but(parity=parity(price), latest_ratio=None), LIMITS)
    assert (found.ok, found.value["print"]) == (ok, abs(dec(price) - dec("6800.30")))
    assert found.limit == {"uncertainty": 2, "mismatch": 2, "print": 2, "ratio": 5}


def test_a_first_print_ten_points_high_is_told_with_both_figures():
    found = index_price(but(spx_index_quote=replace(MARKET.spx_index_quote, last=dec("6810.34"))), LIMITS)
    assert found.ok is False
    assert (
        "parity of 3 strikes is 6800.34 within 0.2; the index print is 10 away, more than 2" in found.message
    )


@pytest.mark.parametrize(
    ("ratio", "ok"), [("10.0373", True), ("10.0374", False), ("10.0226", False), (None, True)]
)
def test_the_ratio_last_measured_times_spy_is_held_against_it(ratio, ok):
    latest = None if ratio is None else dec(ratio)
    assert index_price(but(latest_ratio=latest), LIMITS).ok is ok


@pytest.mark.parametrize(
    ("close", "ok"), [("678.05", True), ("677.55", True), ("677.50", False), ("678.55", False), (None, True)]
)
def test_where_no_ratio_was_measured_that_of_the_last_closes_is_held_against_it(close, ok):
    """6800.34 of SPX closed beside SPY; 678.00 is quoted now."""
    index = replace(MARKET.spx_index_quote, close=dec("6800.34"))
    stock = replace(MARKET.spy_stock_quote, close=dec(close) if close else None)
    found = index_price(but(spx_index_quote=index, spy_stock_quote=stock, latest_ratio=None), LIMITS)
    assert (found.ok, "of the last closes" in found.message) == (ok, close is not None)


def test_a_print_that_is_missing_is_no_agreement_and_one_difference_is_a_no_all_the_same():
    bare = Quote(data_type=1, received=99.0, priced=99.0)
    assert index_price(but(spx_index_quote=bare), LIMITS).ok is None
    assert index_price(but(spx_index_quote=bare, latest_ratio=dec("10.1")), LIMITS).ok is False


@pytest.mark.parametrize(
    ("bid", "ok"), [("677.99", True), ("677.66", True), ("677.60", False), ("676.60", False), (None, None)]
)
def test_a_wide_quote_of_the_stock_hides_a_wrong_ratio(bid, ok):
    """At 0.35 wide r x strike is known within 0.20 + 10.03 x 0.175."""
    stock = replace(MARKET.spy_stock_quote, bid=dec(bid) if bid else None)
    found = index_price(but(spy_stock_quote=stock, latest_ratio=None), LIMITS)
    assert found.ok is ok
    if bid == "677.60":
        assert found.value["mismatch"] == pytest.approx(dec("2.256"), abs=dec("0.001"))
        assert "the mismatch of the strikes may be off by 2.26, more than 2" in found.message


def test_without_parity_the_check_says_of_each_strike_why():
    found = index_price(but(parity=NO_PARITY), LIMITS)
    assert (found.ok, found.value) == (None, None)
    assert found.message == "SPX by put-call parity is not known (6800: put has no bid)."


def test_the_price_says_where_it_comes_from():
    assert (MARKET.source, MARKET.spx_uncertainty) == (PriceSource.PARITY, dec("0.20"))
    assert but(parity=NO_PARITY).market.source is PriceSource.INDEX
    assert but(spx_price=None).market.source is None


# --- drift -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spx", "spy", "ok"),
    [
        ("6803.30", 678, True),
        ("6803.31", 678, False),
        ("6797.29", 678, False),
        ("6800.30", "678.29", True),
        ("6800.30", "678.30", False),
    ],
)
def test_either_underlying_may_move_by_the_limit_while_it_is_decided(spx, spy, ok):
    assert underlying_drift(but(first_spx=dec(spx), first_spy=dec(spy)), LIMITS).ok is ok


@pytest.mark.parametrize("field", ["first_spx", "first_spy", "spx_price", "spy_price"])
def test_a_move_that_is_not_known_is_no_standstill(field):
    assert underlying_drift(but(**{field: None}), LIMITS).ok is None


@pytest.mark.parametrize(
    ("recent", "ok"), [("10.04", True), ("10.0401", False), ("10.02", True), ("10.0199", False)]
)
def test_the_ratio_may_drift_by_ten_basis_points(recent, ok):
    assert ratio_drift(but(recent_ratio=dec(recent)), LIMITS).ok is ok


@pytest.mark.parametrize(
    ("spx", "spy", "ok", "measured"),
    [
        ("6770.25", 675, True, Ratio.MEASURED),
        ("6773.50", 675, True, Ratio.MEASURED),
        ("6777.00", 675, True, Ratio.JUMPED),
        ("6777.10", 675, False, Ratio.JUMPED),
        (None, 675, None, Ratio.JUMPED),
        ("6770.25", None, None, Ratio.JUMPED),
        (0, 675, None, Ratio.JUMPED),
    ],
)
def test_a_first_measurement_is_held_against_the_last_closes(spx, spy, ok, measured):
    """Ten basis points of the ratio, and five points of SPX, which are fewer."""
    view = but(
        recent_ratio=None,
        latest_ratio=None,
        spx_index_quote=replace(MARKET.spx_index_quote, close=None if spx is None else dec(spx)),
        spy_stock_quote=replace(MARKET.spy_stock_quote, close=None if spy is None else dec(spy)),
    )
    found = ratio_drift(view, LIMITS)
    assert found.ok is ok
    assert ("of the last closes" in found.message) is (ok is not None)
    assert measured_ratio(view, LIMITS) is measured


def test_a_print_measures_no_ratio():
    assert ratio_drift(but(parity=NO_PARITY), LIMITS).ok is None
    assert ratio_drift(but(spy_price=None), LIMITS).ok is None


def test_a_ratio_is_measured_only_where_every_check_of_the_underlyings_believes_it():
    assert measured_ratio(VIEW, LIMITS) is Ratio.MEASURED
    for changes in (
        {"parity": NO_PARITY},
        {"parity": parity(6790)},
        {"first_spy": dec("678.31")},
        {"first_spx": None},
        {"spy_stock_quote": quote("677.50", "678.50")},
        {"spx_index_quote": Quote(data_type=1, received=99.0, priced=99.0)},
    ):
        assert measured_ratio(but(**changes), LIMITS) is Ratio.UNKNOWN, changes
    assert measured_ratio(replace(VIEW, asked_broker=False), LIMITS) is Ratio.UNKNOWN


@pytest.mark.parametrize("field", ["latest_ratio", "recent_ratio"])
def test_a_sound_ratio_that_is_not_the_one_of_lately_has_jumped(field):
    """SPY went ex dividend, or is shown a dollar wrong: 18 points from the ratio of yesterday."""
    assert measured_ratio(but(**{field: dec("10.003")}), LIMITS) is Ratio.JUMPED


# --- strikes ------------------------------------------------------------------------------------------------


def test_a_strike_at_the_money_that_is_missing_is_named_with_its_reason():
    listed = [call("SPX", strike) for strike in (6790, 6795, 6805)]
    doubts = {dec(6800): "2 contracts have this strike", dec(6700): "2 contracts have this strike"}
    assert strike_doubt("SPX", listed, doubts, dec("6800.34"), dec(5)) == (
        "SPX 6800 is left out: 2 contracts have this strike"
    )
    assert strike_doubt("SPX", listed, {}, dec("6800.34"), dec(5)) == "SPX 6800 is not listed"
    assert strike_doubt("SPX", listed, doubts, dec("6796"), dec(5)) == ""
    assert strike_doubt("SPX", listed, doubts, None, dec(5)) == ""


def test_the_check_names_what_is_not_listed_and_what_is_not_quoted():
    limits = Limits()
    found = strikes(but(spx_call=call("SPX", 6805), strike_doubts=("SPX 6800 is not listed",)), limits)
    assert (found.ok, found.message.partition("; SPX 6800 is not listed")[1] != "") == (False, True)
    found = strikes(but(spy_quote=Quote(ask=dec(2), no_size=("bid",))), limits)
    assert found.message.endswith("SPY 678 is not quoted: no bid (its size is 0).")


@given(
    st.sets(st.integers(1300, 1400), max_size=12),
    st.none() | st.decimals("6400", "7100", places=1),
    st.integers(0, 6),
)
def test_the_strikes_around_a_price_are_the_nearest_ones_in_their_order(steps, price, count):
    listed = [call("SPX", 5 * step) for step in sorted(steps)]
    found = [one.strike for one in nearest_strikes(listed, price, count)]
    assert found == sorted(found)
    if price is None:
        assert found == []
        return
    assert len(found) == min(count, len(listed))
    others = {one.strike for one in listed} - set(found)
    assert all(abs(near - price) <= abs(far - price) for near in found for far in others)


TODAY = NOW.date()
SPXW = Contract(
    1, "SPX", "OPT", trading_class="SPXW", expiry=TODAY, strike=dec(6800), right="C", multiplier=100
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"trading_class": "SPX"}, "its trading class is SPX, not SPXW"),
        ({"trading_class": "SPY"}, "its trading class is SPY, not SPXW"),
        ({"right": "P"}, "its right is P, not C"),
        ({"expiry": TODAY + timedelta(days=1)}, "its expiry is 2026-11-25, not 2026-11-24"),
        ({"expiry": None}, "its expiry is None, not 2026-11-24"),
        ({"multiplier": 10}, "its multiplier is 10, not 100"),
    ],
)
def test_only_a_call_of_ours_that_expires_today_is_opened(changes, words):
    assert contract_fault(replace(SPXW, **changes), LegName.SPX, TODAY).endswith(words)
    assert bool(contract_fault(replace(SPXW, **changes), LegName.SPX, TODAY)) is bool(words)
    assert contract_fault(replace(SPXW, trading_class="SPY"), LegName.SPY, TODAY) == ""


# --- a credit that nothing explains ----------------------------------------------------------------------------


def plausible(view, **limits):
    checks = entry_checks(view, Limits(), FeeSchedule(), replace(LIMITS, **limits))
    return next(check for check in checks if check.name == "credit_plausible")


def test_a_credit_beyond_mismatch_and_model_is_first_a_fault_of_the_data():
    """The credit is 488.20 (10 x 230 - 1800 less 11.80), of which a mismatch of -0.34 explains 443.30."""
    found = plausible(VIEW)
    assert (found.ok, found.value, found.limit) == (True, dec("44.90"), 750)
    assert plausible(VIEW, max_unexplained_credit=dec("44.90")).ok is True
    assert plausible(VIEW, max_unexplained_credit=dec("44.89")).ok is False
    dear = plausible(but(spy_quote=quote("3.30", "3.32")))
    assert dear.ok is False
    assert dear.message.endswith(", more than $750.00: first a fault of the data.")


def test_a_credit_that_cannot_be_explained_for_want_of_quotes_is_no_yes():
    assert plausible(but(spx_equivalent_mid=None)).ok is None
    assert plausible(but(spy_quote=NO_QUOTE)).ok is None
    assert plausible(replace(VIEW, asked_broker=False)).value is None


# --- the second look -----------------------------------------------------------------------------------------------


def test_the_second_look_must_allow_the_same_calls():
    good = [check for name in PRICE_CHECKS if (check := PRICE_CHECKS[name](VIEW))]
    assert second_look(VIEW, VIEW, good, 3).ok is True
    found = second_look(VIEW, but(spx_call=call("SPX", 6805)), good, 3)
    assert (found.ok, found.message) == (
        False,
        "A second look 3 s later does not: the nearest SPX strike was 6800 and is 6805.",
    )


@pytest.mark.parametrize("ok", [False, None])
def test_a_check_that_the_second_look_does_not_pass_forbids_the_entry_by_its_name(ok):
    again = [replace(PRICE_CHECKS["halted"](VIEW), ok=ok)]
    found = second_look(VIEW, VIEW, again, 3)
    assert (found.ok, found.value) == (False, ["halted"])
    assert not allowed([found], with_margin=False)


def test_a_second_look_that_was_not_needed_allows_nothing():
    assert not allowed([second_look_not_needed()], with_margin=False)


def test_a_second_look_that_a_dry_run_left_out_allows_nothing_by_itself():
    assert not allowed([second_look_left_out(3)], with_margin=False)
    assert "looks again 3 s later" in second_look_left_out(3).message


# --- the figures beside a credit -------------------------------------------------------------------------------------


def test_the_figures_beside_a_credit_carry_the_widths_that_they_rest_on():
    credit = Credit(dec(500), dec("11.80"), dec("488.20"))
    risk = risk_of(MARKET, Limits(), credit)
    assert risk.strike_mismatch_points == dec("6800") - dec("6800.34") / 678 * 678
    # SPX within 0.20, SPY within a cent, which is 10.03 times as much on the axis of SPX
    assert risk.mismatch_uncertainty == pytest.approx(
        Decimal("0.20") + Decimal("10.03") * Decimal("0.01"), rel=Decimal("1e-4")
    )
    # 10 SPY calls by 0.10 points, one SPX call by half of its width
    assert risk.edge_uncertainty == dec("19.97")
    assert risk.worst_case_uncertainty == 0  # the short strike is the higher one by more than what is open
    lower = replace(MARKET, spx_call=call("SPX", 6805))
    assert risk_of(lower, Limits(), credit).worst_case_uncertainty == pytest.approx(
        Decimal("29.94"), abs=Decimal("0.02")
    )


def test_figures_that_rest_on_a_print_tell_no_uncertainty():
    risk = risk_of(but(parity=NO_PARITY).market, Limits(), Credit(dec(500), dec(12), dec(488)))
    assert risk.edge is not None
    assert (risk.mismatch_uncertainty, risk.edge_uncertainty, risk.worst_case_uncertainty) == (
        None,
        None,
        None,
    )


@given(st.decimals("-2", "2", places=2), st.decimals("-0.05", "0.05", places=3), st.integers(-3, 3))
def test_the_true_mismatch_lies_within_its_uncertainty(spx_error, spy_error, steps):
    """Where SPX is within its own uncertainty and SPY between bid and ask."""
    strike = 6800 + 5 * steps
    market = but(
        parity=parity("6800.34", uncertainty=2),
        spx_call=call("SPX", strike),
        spy_stock_quote=quote("677.95", "678.05"),
    ).market
    risk = risk_of(market, Limits(), None)
    true = strike - (dec("6800.34") + spx_error) / (678 + spy_error) * 678
    assert abs(true - risk.strike_mismatch_points) <= risk.mismatch_uncertainty * Decimal("1.001")


def test_a_limit_of_less_than_whole_cents_is_told_as_it_is():
    check = width("spy_spread", "SPY", VIEW, quote("3.02", "3.04"), dec("0.015"))
    assert (check.ok, check.message) == (False, "The SPY call is $0.02 wide, more than $0.015.")


@pytest.mark.parametrize(
    ("price", "in_data", "in_strikes"),
    [
        (None, "no SPX call without a SPX price", "SPX has no price"),
        (dec("6800.34"), "no SPX call was found", "SPX has no listed call"),
    ],
)
def test_a_call_that_is_missing_for_want_of_a_price_is_told_as_that(price, in_data, in_strikes):
    view = replace(VIEW, market=replace(MARKET, spx_call=None, spx_price=price))
    assert in_data in market_data(view).message[0].lower() + market_data(view).message[1:]
    assert in_strikes in strikes(view, Limits()).message
