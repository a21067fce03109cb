"""Intervals that hold at every look together."""

from __future__ import annotations

import random
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.model import dec
from spxarb.core.sequential import Supposed, mean_sequence, rate_sequence

counts = st.integers(1, 400).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


def test_without_trials_nothing_is_known():
    assert rate_sequence(0, 0) == (None, None)


@pytest.mark.parametrize(("hits", "low", "high"), [(1, "0.025", "1"), (0, "0", "0.975")])
def test_of_one_trial_a_rate_is_excluded_at_one_fortieth(hits, low, high):
    """The rates' mixture gives one hit the probability 1/2; rate p gives it p: excluded below 1/40."""
    assert rate_sequence(hits, 1) == (dec(low), dec(high))


def test_of_two_hits_rates_below_the_root_of_a_sixtieth_are_excluded():
    """Mixture 1/3 against p squared: 20 p^2 = 1/3, p = 0.1291."""
    assert rate_sequence(2, 2) == (dec("0.1291"), 1)


@given(counts)
def test_the_rate_seen_lies_between_both_ends_and_the_mirror_image_has_the_mirror_interval(count):
    hits, trials = count
    low, high = rate_sequence(hits, trials)
    assert 0 <= low <= dec(hits) / trials <= high <= 1
    mirrored = rate_sequence(trials - hits, trials)
    assert mirrored[0] == pytest.approx(1 - high, abs=dec("0.0001"))
    assert mirrored[1] == pytest.approx(1 - low, abs=dec("0.0001"))


@given(counts)
def test_a_sequence_for_every_look_is_wider_than_wilsons_interval_for_one(count):
    from spxarb.core.statistics import win_rate_interval

    low, high = rate_sequence(*count)
    wilson = win_rate_interval(*count)
    assert low <= wilson[0] + dec("0.001")
    assert high >= wilson[1] - dec("0.001")


def test_who_looks_after_every_trade_is_misled_in_at_most_one_of_twenty_histories():
    """200 histories of 200 trades at a true rate of 85 %: a 95 % interval for one look misleads far more."""
    dice = random.Random(3)
    misled = 0
    for _ in range(200):
        hits = 0
        for trials in range(1, 201):
            hits += dice.random() < 0.85
            low, high = rate_sequence(hits, trials) if trials % 5 == 0 else (0, 1)
            if not low <= dec("0.85") <= high:
                misled += 1
                break
    assert misled <= 10


TRADE = Supposed(dec(-5000), dec(2000), dec(-1000), dec(1500))
UNIT = Supposed(dec(0), dec(100), dec(0), dec(100))


def test_without_results_no_mean_is_known():
    assert mean_sequence([], TRADE) == (None, None)


def test_one_result_excludes_nothing():
    """A stake is at most 0.9, and 1.9 times the capital is less than 40 times."""
    assert mean_sequence([dec(600)], TRADE) == (-5000, 2000)


def test_six_results_at_the_top_exclude_a_mean_at_which_the_capital_is_forty_times():
    """Each bet is 0.9 at most: (1 + 0.9 (1 - m))^6 = 40 at m = 0.0562 of the span, were all stakes 0.9."""
    low, high = mean_sequence([dec(100)] * 6, UNIT)
    stakes = [0.9] * 6
    assert low == pytest.approx(dec("5.62"), abs=dec("0.01"))
    assert high == 100
    assert prod(1 + stake * (1 - float(low) / 100) for stake in stakes) == pytest.approx(40, abs=0.05)


def test_a_result_beyond_what_is_supposed_leaves_no_end_on_its_side():
    wins = [dec(600)] * 40
    assert mean_sequence([*wins, dec("-5000.01")], TRADE)[0] is None
    assert mean_sequence([*wins, dec("-5000.01")], TRADE)[1] is not None
    assert mean_sequence([*wins, dec("2000.01")], TRADE)[1] is None


@given(st.lists(st.decimals("-4000", "2000", places=2), min_size=1, max_size=80))
def test_the_mean_seen_lies_between_both_ends_but_for_what_was_cut_off(results):
    low, high = mean_sequence(results, TRADE)
    mean = sum(results) / len(results)
    assert -5000 <= low <= mean + dec("0.01")
    assert mean - dec("0.01") <= high <= 2000


def misled(results_of, mean):
    """In how many of 100 histories of 250 trades an end was wrong at one of four looks."""
    found = 0
    for _ in range(100):
        results = [results_of() for _ in range(250)]
        for trades in (10, 40, 120, 250):
            low, high = mean_sequence(results[:trades], TRADE)
            if not low <= mean <= high:
                found += 1
                break
    return found


def test_a_mean_with_a_long_tail_of_losses_misleads_in_at_most_one_of_twenty_histories():
    """Wins of 400 at 94 %, losses of 2,000 to 5,000: the true mean is 166, and many histories see no loss."""
    dice = random.Random(4)

    def result():
        return dec(400) if dice.random() < 0.94 else dec(round(-dice.uniform(2000, 5000), 2))

    assert misled(result, dec(166)) <= 5


def test_a_losing_mean_is_told_from_500_within_fifty_trades():
    dice = random.Random(5)
    results = [dec(round(dice.gauss(-100, 300), 2)) for _ in range(50)]
    assert mean_sequence(results, TRADE)[1] < 500


def test_a_mean_of_700_is_told_from_500_within_two_years():
    dice = random.Random(6)
    results = [dec(round(dice.gauss(700, 200), 2)) for _ in range(500)]
    assert mean_sequence(results, TRADE)[0] >= 500
