"""The published margin rules for one spread, by figures worked out by hand."""

from __future__ import annotations

import pytest

from spxarb.core.margin_rules import (
    ChargedCall,
    explained,
    if_assigned,
    portfolio,
    reg_t,
    rules_like,
)
from spxarb.core.model import dec

SHORT = ChargedCall("SPY", -10, dec(678), dec("2.50"), dec(678))
LONG = ChargedCall("SPX", 1, dec(6800), dec("25.00"), dec(6800))


def moved(call: ChargedCall, underlying: str) -> ChargedCall:
    return ChargedCall(call.symbol, call.contracts, call.strike, call.mid, dec(underlying))


def test_regulation_t_wants_premium_and_a_fifth_and_the_index_covers_nothing():
    """1,000 x (2.50 + 0.20 x 678) = 138,100."""
    assert reg_t([SHORT]) == reg_t([SHORT, LONG]) == 138_100
    assert reg_t([LONG]) == 0


@pytest.mark.parametrize(
    ("underlying", "required"),
    [("668", 2500 + 133_600 - 10_000), ("600", 2500 + 60_000), ("700", 2500 + 140_000)],
)
def test_what_is_out_of_the_money_counts_down_to_a_tenth(underlying, required):
    assert reg_t([moved(SHORT, underlying)]) == required


def test_portfolio_margin_is_the_worst_of_the_scan_with_a_minimum_a_contract():
    """At +6 % ten calls on 678 are worth 40.68 each: 40,680 less the 2,500 received."""
    assert portfolio([SHORT]) == pytest.approx(dec(38_180), abs=1)
    assert portfolio([LONG]) == pytest.approx(dec(2_500), abs=1)
    assert portfolio([SHORT, LONG]) == dec("412.50")


def test_a_call_without_time_value_and_one_that_is_free_are_margined_too():
    deep = ChargedCall("SPY", -10, dec(600), dec(78), dec(678))
    assert portfolio([deep]) == pytest.approx(dec(40_680), abs=1)
    assert portfolio([ChargedCall("SPY", -1, dec(700), dec(0), dec(678))]) == pytest.approx(dec(1868), abs=1)


@pytest.mark.parametrize(
    ("change", "rules"),
    [("135000", "reg-t"), ("104000", "reg-t"), ("40000", "portfolio"), ("55000", "portfolio"), ("0", None), (None, None)],
)  # fmt: skip
def test_the_brokers_figure_shows_its_rules(change, rules):
    assert rules_like(None if change is None else dec(change), [SHORT]) == rules


def test_assigned_shares_are_margined_with_thirty_percent():
    assert if_assigned(SHORT) == dec(203_400)


@pytest.mark.parametrize(("equity", "sentences"), [("50000", 4), ("110000", 3), (None, 3)])
def test_it_is_explained_by_figures(equity, sentences):
    told = explained(SHORT, LONG, None if equity is None else dec(equity))
    assert len(told) == sentences
    for figure in ("$138,100.00", "$2,500.00", "$412.50", "1000 shares short", "$678,000.00", "$203,400.00"):
        assert figure in " ".join(told)
