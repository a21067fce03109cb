"""What the report says about a list of results."""

from __future__ import annotations

import statistics as reference

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.model import dec
from spxarb.core.statistics import (
    expectancy_interval,
    max_drawdown,
    statistics,
    win_rate_interval,
    worst_mean,
)

results = st.lists(st.decimals("-2000", "2000", places=2), max_size=60)


def of(*pnls):
    return [dec(str(pnl)) for pnl in pnls]


TEN = of(150, -80, 40, 0, -300, 220, 90, -10, 60, -45)


def test_ten_trades_are_counted_averaged_and_summed():
    """Wins 560, losses 435, one trade at zero."""
    found = statistics(TEN)
    assert (found.trades, found.wins, found.losses) == (10, 5, 4)
    assert (found.win_rate, found.total, found.expectancy) == (dec("0.5"), 125, dec("12.5"))
    assert (found.median, found.best, found.worst) == (20, 220, -300)
    assert found.profit_factor == dec("1.2874")


def test_the_drawdown_over_trades_falls_from_the_best_total_so_far():
    """Totals 150, 70, 110, 110, -190, ...: 340 below the first."""
    assert statistics(TEN).max_drawdown == 340


def test_without_trades_only_the_counts_are_known():
    found = vars(statistics([]))
    counts = {"trades", "wins", "losses", "unknown", "edge_trades"}
    assert all(found[name] == 0 for name in counts)
    assert all(found[name] is None for name in found.keys() - counts - {"note"})
    assert found["note"] == "There is no finished trade: nothing is known yet."


def test_a_trade_of_unknown_result_is_counted_beside_the_others_and_neither_won_nor_lost():
    found = statistics(of("99.5"), unknown=2)
    assert (found.trades, found.wins, found.losses, found.unknown) == (1, 1, 0, 2)


def test_one_trade_has_a_mean_but_no_interval_of_it():
    found = statistics(of("99.5"))
    assert (found.expectancy, found.median) == (dec("99.5"), dec("99.5"))
    assert (found.expectancy_low, found.expectancy_high) == (None, None)


def test_without_a_loss_there_is_no_profit_factor():
    assert statistics(of(10, 20)).profit_factor is None


def test_a_win_or_a_loss_of_cents_counts_as_one():
    found = statistics(of("0.50", "-0.25"))
    assert (found.wins, found.losses, found.profit_factor) == (1, 1, 2)


def test_without_a_win_the_profit_factor_is_zero():
    assert statistics(of(-10, -20)).profit_factor == 0


@pytest.mark.parametrize(
    ("wins", "trades", "low", "high"),
    [
        (5, 10, "0.2366", "0.7634"),
        (0, 10, "0", "0.2775"),
        (10, 10, "0.7225", "1"),
        (29, 100, "0.2101", "0.3854"),
    ],
)
def test_the_win_rates_interval_is_wilsons(wins, trades, low, high):
    assert win_rate_interval(wins, trades) == (dec(low), dec(high))


def test_the_expectancys_interval_is_students():
    """1, 2, 3: mean 2, deviation 1, t(2) = 4.303, 4.303 / sqrt 3 = 2.4843."""
    assert expectancy_interval(of(1, 2, 3)) == (dec("-0.48"), dec("4.48"))


def test_between_two_rows_of_students_table_the_wider_interval_counts():
    """36 trades have 35 degrees of freedom: the row of 30, 2.042, and not that of 40."""
    pnls = of(*[-1, 1] * 18)
    expected = 2.042 * reference.stdev([-1, 1] * 18) / 6
    assert float(expectancy_interval(pnls)[1]) == pytest.approx(expected, abs=0.005)


@given(st.lists(st.decimals("-2000", "2000", places=2), min_size=2, max_size=200))
def test_the_expectancys_interval_lies_evenly_about_the_mean(pnls):
    low, high = expectancy_interval(pnls)
    mean, deviation = reference.mean(pnls), reference.stdev(pnls)
    assert low + high == pytest.approx(2 * mean, abs=dec("0.02"))
    reach = (high - low) / 2
    assert dec("1.95") * deviation <= (reach + dec("0.01")) * dec(len(pnls)).sqrt()
    assert (reach - dec("0.01")) * dec(len(pnls)).sqrt() <= dec("12.71") * deviation


def test_the_tail_is_the_mean_of_the_worst_twentieth():
    """40 trades: the two worst, -500 and -300."""
    assert worst_mean(of(-500, *[10] * 38, -300)) == -400


def test_fewer_than_twenty_trades_have_no_tail():
    assert worst_mean(of(*[-10] * 19)) is None
    assert worst_mean(of(*[-10] * 20)) == -10


def test_the_edge_at_entry_stands_beside_what_came_of_it():
    """Only trades whose edge is known: -40 and -20 promised, 100 and -300 came."""
    found = statistics(of(100, 77, -300), [dec(-40), None, dec(-20)])
    assert (found.edge_trades, found.average_edge, found.average_realized) == (2, -30, -100)


def test_edges_of_other_trades_are_refused():
    with pytest.raises(ValueError):
        statistics(of(100, 77), [dec(-40)])


@pytest.mark.parametrize(
    ("pnls", "sentence"),
    [
        (of(500), "With 1 trade nothing is proven: chance alone can bring such a result."),
        (of(500, 600, 400), "With 3 trades nothing is proven: chance alone can bring such a result."),
        (of(*[1, -1] * 14, 1), "With 29 trades nothing is proven: chance alone can bring such a result."),
        (of(*[1, -1] * 15), "Over 30 trades the mean cannot be distinguished from zero: no edge is proven."),
        (of(*[0] * 30), "Over 30 trades the mean cannot be distinguished from zero: no edge is proven."),
        (
            of(*[100, -100] * 20),
            "Over 40 trades the mean cannot be distinguished from zero: no edge is proven.",
        ),
        (
            of(*[100, 90] * 20),
            "Over 40 trades the mean is above zero by more than chance explains, if days stay alike.",
        ),
        (
            of(*[-100, -90] * 20),
            "Over 40 trades the mean is below zero by more than chance explains: the spread loses money.",
        ),
    ],
)
def test_the_note_says_no_more_than_the_numbers_prove(pnls, sentence):
    assert statistics(pnls).note == sentence


@given(results)
def test_every_result_is_a_win_a_loss_or_zero_and_all_are_in_the_total(pnls):
    found = statistics(pnls)
    assert found.wins + found.losses + sum(1 for pnl in pnls if pnl == 0) == len(pnls)
    if pnls:
        assert found.total == sum(pnls)
        assert found.worst <= found.median <= found.best
        assert 0 <= found.win_rate_low <= found.win_rate <= found.win_rate_high <= 1
        assert abs(found.median - reference.median(pnls)) <= dec("0.005")


@given(results)
def test_the_drawdown_is_never_negative_and_at_least_the_loss_at_the_end(curve):
    assert max_drawdown(curve) >= max(dec(0), -curve[-1] if curve else dec(0))
