"""Intervals that may be looked at after every trade: confidence sequences at 95 %.

An ordinary 95 % interval is right at one look that was planned beforehand. Who looks after every trade, and
believes the first look that pleases, is wrong far more often. These hold at all looks together: with 95 %
probability the truth is in every one of them, so that a verdict may be drawn as soon as it shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import lgamma, log, log1p, sqrt
from typing import TYPE_CHECKING

from spxarb.core.model import cents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ALPHA = 0.05
"""How often a sequence may ever miss the truth."""
LARGEST_STAKE = 0.9
"""Of a capital: what is bet on one result can never lose all of it."""
_HALVINGS = 40
_RATE = Decimal("0.0001")

Sequence95 = tuple[Decimal | None, Decimal | None]
"""Both ends of an interval; None where nothing is known yet."""


def rate_sequence(hits: float | Decimal, trials: int) -> Sequence95:
    """The confidence sequence of a rate: `hits` of `trials`, parts of one.

    The likelihood ratio of the data under all rates, mixed evenly, against one rate p is a martingale if p is
    the truth, and exceeds 1 / alpha with a probability of at most alpha, ever (Ville's inequality): what
    exceeds it is excluded. H. Robbins, Annals of Mathematical Statistics 41 (1970), equation 17; Howard,
    Ramdas, McAuliffe and Sekhon, Annals of Statistics 49 (2021). For results between 0 and 1 that are not
    only 0 and 1, of which `hits` is the sum, it is a supermartingale: the ratio is convex in each result.
    """
    if not trials:
        return None, None
    won = float(hits)
    lost = trials - won
    mixed = lgamma(won + 1) + lgamma(lost + 1) - lgamma(trials + 2)

    def excluded(rate: float) -> bool:
        likelihood = (won * log(rate) if won else 0.0) + (lost * log(1 - rate) if lost else 0.0)
        return mixed - likelihood >= -log(ALPHA)

    seen = won / trials
    low = _edge(excluded, 0.0, seen) if won else 0.0
    high = _edge(excluded, 1.0, seen) if lost else 1.0
    return Decimal(low).quantize(_RATE), Decimal(high).quantize(_RATE)


def _edge(excluded: Callable[[float], bool], outer: float, inner: float) -> float:
    """Where exclusion begins on the way from `inner`, which is not excluded, to `outer`, which is."""
    for _ in range(_HALVINGS):
        middle = (outer + inner) / 2
        if middle in {outer, inner}:
            break
        if excluded(middle):
            outer = middle
        else:
            inner = middle
    return outer


@dataclass(frozen=True)
class Supposed:
    """What a result is supposed to be at most and at least, dollars, and where it may be cut off beforehand.

    The lower end of a mean rests on `least`, the upper one on `most`. On the other side a cut only makes the
    interval wider in the end, but is much the sooner narrow: what is cut off cannot make a mean less.
    """

    least: Decimal
    most: Decimal
    cut_below: Decimal
    """For the upper end a loss counts as this at most."""
    cut_above: Decimal
    """For the lower end a win counts as this at most."""

    def times(self, number: int) -> Supposed:
        """Of a sum of so many results."""
        return Supposed(*(end * number for end in (self.least, self.most, self.cut_below, self.cut_above)))


def mean_sequence(results: Sequence[Decimal], supposed: Supposed) -> Sequence95:
    """The confidence sequence of a mean, dollars; an end is None where a result was beyond what it supposes.

    No distribution is supposed, nor that results are independent of each other: only their ends. A normal, or
    an asymptotic, interval misses a rare large loss that has not been seen yet; this one does not.
    """
    if not results:
        return None, None
    low = high = None
    if min(results) >= supposed.least:
        cut = [min(result, supposed.cut_above) for result in results]
        low = _lower(cut, supposed.least, supposed.cut_above)
    if max(results) <= supposed.most:
        mirrored = [-max(result, supposed.cut_below) for result in results]
        high = -_lower(mirrored, -supposed.most, -supposed.cut_below)
    return low, high


def _lower(results: Sequence[Decimal], least: Decimal, most: Decimal) -> Decimal:
    """The lower end of the mean of results between `least` and `most`, at half of alpha.

    Who bets on every result being above m, with stakes that he chooses from the results before it, has a
    capital that is a supermartingale if the mean is m or less: a mean at which it came to 2 / alpha is
    excluded. I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting",
    Journal of the Royal Statistical Society B 86 (2024), section 4; stakes by their equation 26.
    """
    span = float(most - least)
    if not span:
        return cents(least)
    values = [float(result - least) / span for result in results]
    stakes = _stakes(values)
    wanted = log(2 / ALPHA)

    def excluded(mean: float) -> bool:
        pairs = zip(stakes, values, strict=True)
        return sum(log1p(stake * (value - mean)) for stake, value in pairs) >= wanted

    seen = sum(values) / len(values)
    low = _edge(excluded, 0.0, seen) if excluded(0.0) else 0.0
    return cents(least + Decimal(str(low * span)))


def _stakes(values: Sequence[float]) -> list[float]:
    """The stake on each value, parts of one, from those before it."""
    stakes, total, squares = [], 0.5, 0.25
    for number, value in enumerate(values, start=1):
        variance = squares / number
        stakes.append(min(sqrt(2 * log(2 / ALPHA) / (variance * number * log(number + 1))), LARGEST_STAKE))
        total += value
        squares += (value - total / (number + 1)) ** 2
    return stakes
