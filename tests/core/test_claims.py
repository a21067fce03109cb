"""What the strategy's document promises, beside what was measured."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.claims import ClaimVerdict, claims, risk_of_ruin
from spxarb.core.model import dec

NAMES = [
    "win rate",
    "average profit a trade",
    "average win",
    "average loss",
    "trades a day",
    "P&L a year",
    "risk of ruin",
]
OPEN, HOLDS, FAILS = ClaimVerdict.OPEN, ClaimVerdict.HOLDS, ClaimVerdict.FAILS


def of(pnls, *, daily=None, counts=None, capital=50_000):
    """By name; without days of their own a trade a day."""
    results = [dec(str(pnl)) for pnl in pnls]
    days = results if daily is None else [dec(str(pnl)) for pnl in daily]
    found = claims(results, days, [1] * len(days) if counts is None else counts, dec(capital))
    return {claim.name: claim for claim in found}


def verdicts(found):
    return [found[name].verdict for name in NAMES]


def test_without_a_trade_every_claim_is_open():
    found = of([])
    assert list(found) == NAMES
    assert verdicts(found) == [OPEN] * 7
    assert {claim.measured for claim in found.values()} == {None}


@pytest.mark.parametrize("pnls", [[600], [600, -200], [600] * 9 + [-200], [-200] * 5])
def test_a_few_trades_prove_nothing_of_dollars(pnls):
    found = of(pnls)
    for name in ("average profit a trade", "average win", "average loss", "P&L a year", "risk of ruin"):
        assert found[name].verdict is OPEN, name


def test_the_measured_figures_stand_beside_the_claims():
    found = of([600, 600, -200, 100])
    assert found["win rate"].measured == dec("0.75")
    assert found["average profit a trade"].measured == 275
    assert found["average win"].measured == dec("433.33")
    assert found["average loss"].measured == -200
    assert found["trades a day"].measured == 1
    assert found["P&L a year"].measured == 275 * 252


def test_a_strategy_as_promised_is_told_so_in_time():
    """88 of 100 won, $700 each, $150 lost, for eight years of days."""
    pnls = ([700] * 22 + [-150] * 3) * 80
    found = of(pnls)
    assert found["win rate"].verdict is HOLDS
    assert found["average profit a trade"].verdict is HOLDS
    assert found["trades a day"].verdict is OPEN, "one a day is the edge of what is claimed"
    assert (found["P&L a year"].verdict, found["risk of ruin"].verdict) == (HOLDS, HOLDS)


def test_a_losing_strategy_is_told_so():
    dice = random.Random(1)
    pnls = [round(dice.gauss(-100, 300), 2) for _ in range(120)]
    found = of(pnls)
    for name in ("win rate", "average profit a trade", "P&L a year"):
        assert found[name].verdict is FAILS, name


def test_a_win_rate_can_be_told_false_after_a_dozen_losses():
    assert of([-10] * 12)["win rate"].verdict is FAILS


def test_days_without_a_trade_refute_one_to_two_trades_a_day():
    found = of([], daily=[0] * 30, counts=[0] * 30)
    assert (found["trades a day"].measured, found["trades a day"].verdict) == (0, FAILS)


def test_the_yearly_claim_is_of_the_capital():
    """252 to 806 % of it: what suffices on $50,000 does not on $500,000."""
    pnls = [700, 500] * 300
    assert of(pnls)["P&L a year"].verdict is HOLDS
    found = of(pnls, capital=500_000)["P&L a year"]
    assert (found.claimed_low, found.claimed_high, found.verdict) == (1_260_000, 4_030_000, FAILS)


@pytest.mark.parametrize(
    ("mean", "deviation", "capital", "risk"),
    [
        (0, 3000, 50_000, 0.2937),  # twice Phi(-50,000 / (3,000 x 15.8745))
        (-300, 0, 50_000, 1),
        (500, 0, 50_000, 0),
        (-300, 10, 50_000, 1),
        (0, 1, 1_000_000, 0),
    ],
)
def test_the_risk_of_ruin_is_that_of_a_first_passage_within_a_year(mean, deviation, capital, risk):
    assert float(risk_of_ruin(dec(mean), dec(deviation), dec(capital))) == pytest.approx(risk, abs=0.0002)


def test_the_risk_of_ruin_is_what_a_simulation_of_days_finds():
    """Mean -50, deviation 1,000, $20,000: paths of 252 days; seen once a day they miss a few passages."""
    dice = random.Random(2)
    ruined = 0
    for _ in range(2000):
        total = 0.0
        for _ in range(252):
            total += dice.gauss(-50, 1000)
            if total <= -20_000:
                ruined += 1
                break
    assert float(risk_of_ruin(dec(-50), dec(1000), dec(20_000))) == pytest.approx(ruined / 2000, abs=0.05)


@given(st.integers(-3000, 3000), st.integers(1, 5000), st.integers(1, 500_000))
def test_the_risk_of_ruin_is_a_probability_and_falls_with_the_mean_and_the_capital(mean, deviation, capital):
    def risk(one, of_capital):
        return risk_of_ruin(dec(one), dec(deviation), dec(of_capital))

    here = risk(mean, capital)
    assert 0 <= here <= 1
    assert risk(mean + 100, capital) <= here
    assert risk(mean, capital + 1000) <= here


@given(st.lists(st.decimals("-2000", "2000", places=2), max_size=80))
def test_a_verdict_follows_from_its_interval(pnls):
    for claim in of(pnls).values():
        if claim.verdict is OPEN or claim.name == "risk of ruin":
            continue
        assert (claim.low >= claim.claimed_low) == (claim.verdict is HOLDS)
        assert (claim.high < claim.claimed_low) == (claim.verdict is FAILS)


def test_days_without_a_trade_prove_no_small_risk_of_ruin():
    """One trade in a year of quiet days: the deviation that they show is that of not trading."""
    found = of([76], daily=[76] + [0] * 311, counts=[1] + [0] * 311)["risk of ruin"]
    assert (found.measured, found.verdict) == (0, OPEN)
    assert found.high > dec("0.01")


def test_a_day_beyond_what_is_supposed_leaves_the_risk_of_ruin_open():
    assert of([700, -150] * 600 + [-10_001])["risk of ruin"].verdict is OPEN


def test_a_risk_of_ruin_that_is_large_is_told_so():
    found = of([-300] * 300)["risk of ruin"]
    assert (found.verdict, found.low) == (FAILS, 1)
