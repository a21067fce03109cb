"""What one order costs in fees."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.config.schema import FeesSettings
from spxarb.core.broker_books import Execution
from spxarb.core.fees import FeeComparison, FeeSchedule, commission_share, compare_fees, order_fees
from spxarb.core.model import NEW_YORK, LegName, Side, dec
from spxarb.core.order_words import Purpose
from spxarb.core.records import Fill

FEES = FeeSchedule()
sides = st.sampled_from(Side)
symbols = st.sampled_from(["SPX", "SPY"])
prices = st.decimals("0.01", "300", places=2)
contracts = st.integers(1, 60)


def test_the_schedule_is_the_configurations_section_by_name_and_default():
    assert asdict(FEES) == FeesSettings().model_dump()


def test_one_spx_call_at_17_90_costs_the_minimum_commission_and_three_fees():
    """1.00 minimum + 0.58 Cboe + 0.028 ORF + 0.025 OCC, each to the cent."""
    assert order_fees(FEES, "SPX", Side.BUY, 1, dec("17.90")) == dec("1.64")


def test_ten_spy_calls_sold_at_2_05_cost_seven_components():
    """6.50 + 3.00 exchange + 0.28 ORF + 0.25 OCC + 0.05 CAT + 0.03 TAF + 0.04 SEC."""
    assert order_fees(FEES, "SPY", Side.SELL, 10, dec("2.05")) == dec("10.15")


def test_a_purchase_of_spy_pays_neither_taf_nor_sec():
    assert order_fees(FEES, "SPY", Side.BUY, 10, dec("2.05")) == dec("10.08")


def test_spx_costs_the_same_on_both_sides():
    assert order_fees(FEES, "SPX", Side.SELL, 1, dec("17.90")) == dec("1.64")


@pytest.mark.parametrize(("price", "fee"), [("0.05", "1.55"), ("0.95", "1.55"), ("1.00", "1.64")])
def test_spx_below_one_dollar_pays_the_lower_exchange_fee(price, fee):
    assert order_fees(FEES, "SPX", Side.SELL, 1, dec(price)) == dec(fee)


def test_the_minimum_is_for_the_order_and_not_for_each_contract():
    """3 x 0.65 = 1.95 is above the minimum of 1.00; 3 x 0.58, 3 x 0.028, 3 x 0.025."""
    assert order_fees(FEES, "SPX", Side.BUY, 3, dec(20)) == dec("1.95") + dec("1.74") + dec("0.08") + dec(
        "0.08"
    )


def test_half_a_cent_rounds_up():
    """CAT of one contract is 0.005 and counts as a cent."""
    schedule = FeeSchedule(*[dec(0)] * 7, spy_cat=dec("0.005"), spy_taf=dec(0), spy_sec_rate=dec(0))
    assert order_fees(schedule, "SPY", Side.BUY, 1, dec(2)) == dec("0.01")


def test_no_contracts_cost_nothing():
    assert order_fees(FEES, "SPY", Side.BUY, 0, dec(2)) == 0


def test_a_rebate_makes_the_order_cheaper():
    rebate = FeeSchedule(spy_exchange=dec("-0.25"))
    dearer = order_fees(FEES, "SPY", Side.BUY, 10, dec(2))
    assert order_fees(rebate, "SPY", Side.BUY, 10, dec(2)) == dearer - dec("5.50")


@pytest.mark.parametrize(("symbol", "quantity"), [("XSP", 1), ("SPXW", 1), ("SPX", -1)])
def test_what_has_no_known_fees_is_refused(symbol, quantity):
    with pytest.raises(ValueError, match="fees"):
        order_fees(FEES, symbol, Side.BUY, quantity, dec(2))


def test_the_minimum_falls_on_the_first_execution_only():
    first = commission_share(FEES, "SPX", Side.BUY, 0, 1, dec(20))
    second = commission_share(FEES, "SPX", Side.BUY, 1, 1, dec(20))
    assert (first, second) == (dec("1.64"), dec("0.93"))  # commissions of 1.00, then 0.30: 2 x 0.65 in all


@given(symbols, sides, prices, st.lists(st.integers(1, 12), min_size=1, max_size=8))
def test_the_shares_of_partial_executions_add_up_to_the_whole_order(symbol, side, price, parts):
    done, total = 0, dec(0)
    for part in parts:
        total += commission_share(FEES, symbol, side, done, part, price)
        done += part
    assert total == order_fees(FEES, symbol, side, done, price)


@given(symbols, sides, prices, contracts)
def test_fees_are_whole_cents_and_never_below_the_minimum(symbol, side, price, quantity):
    fees = order_fees(FEES, symbol, side, quantity, price)
    assert fees == fees.quantize(dec("0.01"))
    assert fees >= FEES.commission_minimum


@given(symbols, sides, prices, contracts)
def test_more_contracts_never_cost_less(symbol, side, price, quantity):
    one_more = order_fees(FEES, symbol, side, quantity + 1, price)
    assert one_more >= order_fees(FEES, symbol, side, quantity, price)


def fill(commission, estimate, *, waiting=False):
    at = datetime(2026, 2, 10, 9, 35, tzinfo=NEW_YORK)
    row = Execution("1.01", "", 1, 1, 1, 1, "SPX", Side.BUY, dec(1), dec(20), at)
    kept = None if estimate is None else dec(estimate)
    return Fill(row, 1, LegName.SPX, Purpose.ENTRY, dec(commission), waiting, kept)


def test_only_executions_with_an_estimate_and_a_reported_fee_are_compared():
    fills = [
        fill("1.30", "1.64"),
        fill("9.10", "8.00"),
        fill("2.00", None),
        fill("1.64", "1.64", waiting=True),
    ]
    assert compare_fees(fills) == FeeComparison(2, dec("9.64"), dec("10.40"), dec("0.76"), waiting=1)


def test_without_anything_to_compare_there_is_no_difference_and_not_0():
    assert compare_fees([]) == FeeComparison()
    assert compare_fees([fill("1.64", "1.64", waiting=True)]) == FeeComparison(waiting=1)
