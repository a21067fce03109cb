"""Days: the worst of them, the drawdown and its length, Sharpe and Sortino."""

from __future__ import annotations

import statistics as reference
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.model import dec
from spxarb.core.performance import DayResult, by_day, deepest_fall, length, sharpe, sortino
from spxarb.core.statistics import max_drawdown, statistics, with_days

MONDAY = date(2026, 2, 9)
DAYS = [MONDAY + timedelta(days=number) for number in range(5)]
results = st.lists(st.decimals("-2000", "2000", places=2), max_size=40)


def of(*pnls):
    return [dec(str(pnl)) for pnl in pnls]


def dated(*pnls):
    return list(zip(DAYS, of(*pnls), strict=False))


def test_a_fall_begins_at_the_highest_total_and_is_over_when_the_total_is_as_high_again():
    """Totals 100, 40, -20, 60, 110: 120 below Monday, over on Friday."""
    fall = deepest_fall(dated(100, -60, -60, 80, 50))
    assert (fall.depth, fall.began, fall.low, fall.over) == (120, DAYS[0], DAYS[2], DAYS[4])
    assert length(fall, DAYS) == 4


def test_a_total_that_falls_from_the_start_falls_from_0_and_lasts_to_the_end():
    fall = deepest_fall(dated(-50, -50, 20, 0, 0))
    assert (fall.depth, fall.began, fall.low, fall.over) == (100, None, DAYS[1], None)
    assert length(fall, DAYS) == 5


def test_a_new_high_does_not_end_a_fall_that_was_over_before():
    """The first fall, of 50, was over on Wednesday; the second is of 10 only."""
    fall = deepest_fall(dated(60, -50, 50, 30, -10))
    assert (fall.depth, fall.over) == (50, DAYS[2])


def test_a_fall_begins_on_the_last_day_of_its_highest_total():
    fall = deepest_fall(dated(100, 0, -60, 10, 0))
    assert (fall.began, fall.low) == (DAYS[1], DAYS[2])
    assert length(fall, DAYS) == 3


def test_who_never_loses_has_no_drawdown():
    fall = deepest_fall(dated(10, 0, 5))
    assert (fall.depth, fall.low, length(fall, DAYS)) == (0, None, None)


@given(results)
def test_the_depth_is_the_one_definition_of_drawdown(pnls):
    days = [MONDAY + timedelta(days=number) for number in range(len(pnls))]
    curve, total = [], dec(0)
    for pnl in pnls:
        total += pnl
        curve.append(total)
    fall = deepest_fall(list(zip(days, pnls, strict=True)))
    assert fall.depth == max_drawdown(curve)
    if fall.low is not None:
        assert (fall.began or date.min) < fall.low <= (fall.over or date.max)
        assert 1 <= length(fall, days) <= len(days)


def test_a_day_is_the_sum_of_its_trades_and_a_day_without_one_is_0():
    found = by_day([(DAYS[0], dec(10)), (DAYS[0], dec("-4.5")), (DAYS[2], dec(1))], DAYS[:3])
    assert found == [
        DayResult(DAYS[0], dec("5.5"), 2),
        DayResult(DAYS[1], dec(0), 0),
        DayResult(DAYS[2], dec(1), 1),
    ]


def test_sharpe_is_mean_over_deviation_of_days_by_the_root_of_252():
    """1, 2, 3: mean 2, deviation 1: 2 x 15.8745."""
    assert sharpe(of(1, 2, 3)) == dec("31.75")


def test_sortino_divides_by_the_losing_days_alone():
    """3, -1, 1: mean 1, the mean square of losses 1/3: 1.7321 x 15.8745."""
    assert sortino(of(3, -1, 1)) == dec("27.50")


@pytest.mark.parametrize("pnls", [(), (5,), (5, 5)])
def test_without_two_days_that_differ_there_is_no_sharpe(pnls):
    assert sharpe(of(*pnls)) is None


@pytest.mark.parametrize("pnls", [(), (-5,), (5, 3)])
def test_without_two_days_and_a_loss_there_is_no_sortino(pnls):
    assert sortino(of(*pnls)) is None


@given(st.lists(st.decimals("-2000", "2000", places=2), min_size=2, max_size=60))
def test_sharpe_is_that_of_the_reference(pnls):
    deviation = reference.stdev(pnls)
    if deviation:
        assert float(sharpe(pnls)) == pytest.approx(
            float(reference.mean(pnls)) / float(deviation) * 252**0.5, abs=0.006
        )


def test_the_statistics_name_best_and_worst_day_with_their_dates():
    daily = [DayResult(DAYS[0], dec(10), 1), DayResult(DAYS[1], dec(0), 0), DayResult(DAYS[2], dec(-30), 2)]
    figures = with_days(
        statistics(of(10, -20, -10)), [*dated(10)[:1], (DAYS[2], dec(-20)), (DAYS[2], dec(-10))], daily
    )
    assert (figures.days, figures.days_traded, figures.average_day) == (3, 2, dec("-6.67"))
    assert (figures.best_day, figures.best_day_on) == (10, DAYS[0])
    assert (figures.worst_day, figures.worst_day_on) == (-30, DAYS[2])
    assert (figures.max_drawdown, figures.drawdown_low, figures.drawdown_over) == (30, DAYS[2], None)
    assert (figures.average_win, figures.average_loss) == (10, -15)


def test_without_days_there_is_no_best_and_no_worst():
    figures = with_days(statistics([]), [], [])
    assert (figures.days, figures.worst_day, figures.worst_day_on, figures.sharpe) == (0, None, None, None)


@given(results)
def test_days_and_trades_have_the_same_total(pnls):
    days = [MONDAY + timedelta(days=number // 2) for number in range(len(pnls))]
    daily = by_day(list(zip(days, pnls, strict=True)), DAYS)
    assert sum(day.net_pnl for day in daily) == sum(pnls)
    assert sum(day.trades for day in daily) == len(pnls)
