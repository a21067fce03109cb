"""What a list of days shows: the worst of them, the drawdown and its length, Sharpe and Sortino.

Money is dollars. Every trading day of the period counts, one without a trade as 0: who does not trade earns
nothing on that day. A day with a trade of unknown result, or with one that is open, is in no figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date  # noqa: TC003 -- `get_type_hints` reads it
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

from spxarb.core.model import ZERO

if TYPE_CHECKING:
    from collections.abc import Sequence

YEAR_DAYS = 252
"""Trading days of a year."""
_RATIO = Decimal("0.01")


@dataclass(frozen=True)
class DayResult:
    """The net P&L of one trading day, dollars."""

    day: date
    net_pnl: Decimal
    trades: int


@dataclass(frozen=True)
class Fall:
    """The deepest fall of the running total from its highest point, which may be its beginning at 0.

    `began` is the day of that highest point, None: the beginning; `low` the day of the lowest one after it,
    `over` the day on which the total was as high again, None: not yet.
    """

    depth: Decimal
    began: date | None
    low: date | None
    over: date | None


def deepest_fall(results: Sequence[tuple[date, Decimal]]) -> Fall:
    """Of the results in the order in which they came, each with its day; of two equally deep the first."""
    total = peak = ZERO
    peak_day: date | None = None
    worst = Fall(ZERO, None, None, None)
    worst_peak = ZERO
    for day, pnl in results:
        total += pnl
        if worst.low is not None and worst.over is None and total >= worst_peak:
            worst = Fall(worst.depth, worst.began, worst.low, day)
        if total >= peak:
            peak, peak_day = total, day
        elif peak - total > worst.depth:
            worst, worst_peak = Fall(peak - total, peak_day, day, None), peak
    return worst


def length(fall: Fall, days: Sequence[date]) -> int | None:
    """Of these trading days how many the fall lasted: after its beginning, until it was over or the last."""
    if fall.low is None:
        return None
    return sum(1 for day in days if _after(day, fall.began) and (fall.over is None or day <= fall.over))


def _after(day: date, began: date | None) -> bool:
    return began is None or day > began


def by_day(results: Sequence[tuple[date, Decimal]], days: Sequence[date]) -> list[DayResult]:
    """The results of each day, and 0 for those of `days` without any, in order."""
    empty = [(day, None) for day in days]
    ordered = sorted([*results, *empty], key=lambda item: item[0])
    found = []
    for day, group in groupby(ordered, key=lambda item: item[0]):
        pnls = [pnl for _, pnl in group if pnl is not None]
        found.append(DayResult(day, sum(pnls, start=ZERO), len(pnls)))
    return found


def sharpe(pnls: Sequence[Decimal]) -> Decimal | None:
    """Mean over standard deviation of daily P&L, times the root of 252; None where it is not defined.

    In dollars and without a riskless rate, which money that is margin for some hours does not forgo.
    """
    if len(pnls) < 2:
        return None
    mean = sum(pnls, start=ZERO) / len(pnls)
    variance = sum(((pnl - mean) ** 2 for pnl in pnls), start=ZERO) / (len(pnls) - 1)
    return _yearly(mean, variance)


def sortino(pnls: Sequence[Decimal]) -> Decimal | None:
    """As `sharpe`, over the root of the mean square of the losing days; None without one.

    F. Sortino and L. Price, Journal of Investing 3 (1994), with a target of 0.
    """
    if len(pnls) < 2:
        return None
    mean = sum(pnls, start=ZERO) / len(pnls)
    return _yearly(mean, sum((min(pnl, ZERO) ** 2 for pnl in pnls), start=ZERO) / len(pnls))


def _yearly(mean: Decimal, variance: Decimal) -> Decimal | None:
    if not variance:
        return None
    return (mean / variance.sqrt() * Decimal(YEAR_DAYS).sqrt()).quantize(_RATIO)
