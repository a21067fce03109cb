"""What a list of results proves, and what it does not: win rate, expectancy, drawdown, tail.

What cannot be known is None and never 0. Money is dollars a trade, rates are fractions of one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING

from spxarb.core.model import ZERO, cents
from spxarb.core.performance import DayResult, deepest_fall, length, sharpe, sortino

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FEW_TRADES = 30
"""Below this number no result is called significant."""

TAIL_TRADES = 20
"""With fewer trades the worst 5 % is less than one of them."""

NO_DAY = DayResult(date.min, ZERO, 0)

Interval = tuple[Decimal | None, Decimal | None]

_Z = Decimal("1.959964")  # the normal distribution's two-sided 95 % point
_RATE = Decimal("0.0001")

# Student's two-sided 95 % points for 1 to 30 degrees of freedom, then some (any table of the t distribution).
_STUDENT_TO_30 = """
    12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262 2.228
    2.201 2.179 2.160 2.145 2.131 2.120 2.110 2.101 2.093 2.086
    2.080 2.074 2.069 2.064 2.060 2.056 2.052 2.048 2.045 2.042
"""
_STUDENT: dict[int, Decimal] = {
    **{freedom: Decimal(text) for freedom, text in enumerate(_STUDENT_TO_30.split(), start=1)},
    40: Decimal("2.021"),
    60: Decimal("2.000"),
    120: Decimal("1.980"),
}


@dataclass(frozen=True)
class Statistics:
    """The closed trades' net results, dollars a trade; rates are parts of one, intervals at 95 %."""

    trades: int | None = None
    wins: int | None = None
    losses: int | None = None
    unknown: int | None = None
    """Trades whose result only the account's statement knows: neither won nor lost, in no other figure."""
    win_rate: Decimal | None = None
    """Wins of all closed trades; one at exactly 0 is no win."""
    win_rate_low: Decimal | None = None
    """Wilson's interval."""
    win_rate_high: Decimal | None = None
    expectancy: Decimal | None = None
    """The mean."""
    expectancy_low: Decimal | None = None
    """Student's t interval; null with fewer than two trades."""
    expectancy_high: Decimal | None = None
    median: Decimal | None = None
    best: Decimal | None = None
    worst: Decimal | None = None
    total: Decimal | None = None
    profit_factor: Decimal | None = None
    """Dollars won for each dollar lost; null without a loss."""
    max_drawdown: Decimal | None = None
    """The deepest fall of the running total over closed trades from its highest point, which may be 0."""
    worst_5pct_mean: Decimal | None = None
    """Null with fewer than 20 trades."""
    average_win: Decimal | None = None
    average_loss: Decimal | None = None
    days: int | None = None
    """Trading days of the period; the figures of days rest on them, a day without a trade counting as 0."""
    days_traded: int | None = None
    average_day: Decimal | None = None
    best_day: Decimal | None = None
    best_day_on: date | None = None
    worst_day: Decimal | None = None
    worst_day_on: date | None = None
    drawdown_began: date | None = None
    """Of `max_drawdown`, the day of the highest total; null: the total fell from its beginning at 0."""
    drawdown_low: date | None = None
    """The day of the lowest total after it; null without a drawdown."""
    drawdown_over: date | None = None
    """The day on which the total was as high again; null: not yet."""
    drawdown_days: int | None = None
    """Trading days from its beginning until it was over, or the period's last; null without a drawdown."""
    sharpe: Decimal | None = None
    """Of daily P&L, yearly."""
    sortino: Decimal | None = None
    """Of daily P&L, yearly; null without a losing day."""
    edge_trades: int | None = None
    """Trades whose edge at entry is known: the next two figures are theirs."""
    average_edge: Decimal | None = None
    average_realized: Decimal | None = None
    note: str | None = None
    """What so many trades prove, in a sentence."""


def statistics(
    pnls: Sequence[Decimal], edges: Sequence[Decimal | None] = (), *, unknown: int = 0
) -> Statistics:
    """The figures of `report`, from the trades' net results in the order in which they ended, dollars.

    `edges` are the same trades' edges at entry, None where unknown; `unknown` counts the trades beside these
    whose result nobody here knows. Intervals are at 95 %: Wilson's for the
    win rate, Student's t for the expectancy. ValueError: `edges` of another length.
    """
    wins = sum(1 for pnl in pnls if pnl > 0)
    rate_low, rate_high = win_rate_interval(wins, len(pnls))
    mean_low, mean_high = expectancy_interval(pnls)
    known = _known_edges(pnls, edges)
    return Statistics(
        trades=len(pnls),
        wins=wins,
        losses=sum(1 for pnl in pnls if pnl < 0),
        unknown=unknown,
        win_rate=(Decimal(wins) / len(pnls)).quantize(_RATE) if pnls else None,
        win_rate_low=rate_low,
        win_rate_high=rate_high,
        expectancy=_cents_or_none(_mean(pnls)),
        expectancy_low=mean_low,
        expectancy_high=mean_high,
        median=_median(pnls),
        best=max(pnls, default=None),
        worst=min(pnls, default=None),
        total=sum(pnls, start=ZERO) if pnls else None,
        profit_factor=profit_factor(pnls),
        max_drawdown=max_drawdown(_running(pnls)) if pnls else None,
        worst_5pct_mean=worst_mean(pnls),
        average_win=_cents_or_none(_mean([pnl for pnl in pnls if pnl > 0])),
        average_loss=_cents_or_none(_mean([pnl for pnl in pnls if pnl < 0])),
        edge_trades=len(known),
        average_edge=_cents_or_none(_mean([edge for edge, _ in known])),
        average_realized=_cents_or_none(_mean([pnl for _, pnl in known])),
        note=significance_note(len(pnls), (mean_low, mean_high)),
    )


def with_days(
    figures: Statistics, results: Sequence[tuple[date, Decimal]], daily: Sequence[DayResult]
) -> Statistics:
    """The figures with those of days.

    `results`: the closed trades' days and net results in the order in which they ended, dollars; `daily`: the
    trading days of the period whose results are all known.
    """
    pnls = [day.net_pnl for day in daily]
    best, worst = max(daily, key=_net, default=NO_DAY), min(daily, key=_net, default=NO_DAY)
    fall = deepest_fall(results)
    return replace(
        figures,
        days=len(daily),
        days_traded=sum(1 for day in daily if day.trades),
        average_day=_cents_or_none(_mean(pnls)),
        best_day=best.net_pnl if daily else None,
        best_day_on=best.day if daily else None,
        worst_day=worst.net_pnl if daily else None,
        worst_day_on=worst.day if daily else None,
        drawdown_began=fall.began,
        drawdown_low=fall.low,
        drawdown_over=fall.over,
        drawdown_days=length(fall, [day.day for day in daily]),
        sharpe=sharpe(pnls),
        sortino=sortino(pnls),
    )


def _net(day: DayResult) -> Decimal:
    return day.net_pnl


def win_rate_interval(wins: int, trades: int) -> Interval:
    """Wilson's score interval at 95 % of `wins` out of `trades`, parts of one (E. B. Wilson, 1927)."""
    if not trades:
        return None, None
    count, rate, square = Decimal(trades), Decimal(wins) / trades, _Z * _Z
    centre = rate + square / (2 * count)
    reach = _Z * (rate * (1 - rate) / count + square / (4 * count * count)).sqrt()
    scale = 1 + square / count
    low, high = (centre - reach) / scale, (centre + reach) / scale
    return max(low, ZERO).quantize(_RATE), min(high, Decimal(1)).quantize(_RATE)


def expectancy_interval(pnls: Sequence[Decimal]) -> Interval:
    """Student's t interval at 95 % for the mean result, dollars a trade; None with fewer than two.

    Between two rows of the table the wider one counts. It supposes results that do not depend on each
    other and are not too lopsided: with few trades and a long tail of losses it is too narrow.
    """
    mean = _mean(pnls)
    if mean is None or len(pnls) < 2:
        return None, None
    freedom = len(pnls) - 1
    variance = sum(((pnl - mean) ** 2 for pnl in pnls), start=ZERO) / freedom
    factor = _STUDENT[max(row for row in _STUDENT if row <= freedom)]
    reach = factor * (variance / len(pnls)).sqrt()
    return cents(mean - reach), cents(mean + reach)


def profit_factor(pnls: Sequence[Decimal]) -> Decimal | None:
    """Dollars won for each dollar lost; None without a loss."""
    lost = -sum((pnl for pnl in pnls if pnl < 0), start=ZERO)
    won = sum((pnl for pnl in pnls if pnl > 0), start=ZERO)
    return (won / lost).quantize(_RATE) if lost else None


def max_drawdown(curve: Iterable[Decimal]) -> Decimal:
    """The deepest fall of a cumulated result from its highest point so far, dollars, never negative.

    The curve starts at 0, whether or not it says so.
    """
    peak = deepest = ZERO
    for value in curve:
        peak = max(peak, value)
        deepest = max(deepest, peak - value)
    return deepest


def worst_mean(pnls: Sequence[Decimal]) -> Decimal | None:
    """The mean of the worst 5 % of the results, dollars; None with fewer than 20 trades."""
    if len(pnls) < TAIL_TRADES:
        return None
    return _cents_or_none(_mean(sorted(pnls)[: ceil(len(pnls) / TAIL_TRADES)]))


def significance_note(trades: int, expectancy: Interval) -> str:
    """One sentence on what so many trades and this interval of the expectancy prove."""
    count = f"{trades} trade" if trades == 1 else f"{trades} trades"
    low, high = expectancy
    if not trades:
        return "There is no finished trade: nothing is known yet."
    if trades < FEW_TRADES or low is None or high is None:
        return f"With {count} nothing is proven: chance alone can bring such a result."
    if low > 0:
        return f"Over {count} the mean is above zero by more than chance explains, if days stay alike."
    if high < 0:
        return f"Over {count} the mean is below zero by more than chance explains: the spread loses money."
    return f"Over {count} the mean cannot be distinguished from zero: no edge is proven."


def _known_edges(pnls: Sequence[Decimal], edges: Sequence[Decimal | None]) -> list[tuple[Decimal, Decimal]]:
    """The edge at entry and what came of it, of each trade whose edge is known."""
    pairs = zip(edges, pnls, strict=True) if edges else ()
    return [(edge, pnl) for edge, pnl in pairs if edge is not None]


def _running(pnls: Sequence[Decimal]) -> list[Decimal]:
    curve: list[Decimal] = []
    for pnl in pnls:
        curve.append((curve[-1] if curve else ZERO) + pnl)
    return curve


def _mean(values: Sequence[Decimal]) -> Decimal | None:
    return sum(values, start=ZERO) / len(values) if values else None


def _median(values: Sequence[Decimal]) -> Decimal | None:
    if not values:
        return None
    ordered, middle = sorted(values), len(values) // 2
    if len(values) % 2:
        return ordered[middle]
    return cents((ordered[middle - 1] + ordered[middle]) / 2)


def _cents_or_none(value: Decimal | None) -> Decimal | None:
    return None if value is None else cents(value)
