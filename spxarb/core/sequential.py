"""Intervals that may be looked at after every trade: confidence sequences at 95 %.

An ordinary 95 % interval is right at one look that was planned beforehand. Who looks after every trade, and
believes the first look that pleases, is wrong far more often. These hold at all looks together: with 95 %
probability the truth is in every one of them, so that a verdict may be drawn as soon as it shows.
"""

from __future__ import annotations

from decimal import Decimal
from math import inf, lgamma, log, sqrt
from typing import TYPE_CHECKING

from spxarb.core.model import cents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ALPHA = 0.05
"""How often a sequence may ever miss the truth."""
FEWEST = 30
"""With fewer results the sequence for a mean of dollars, which is asymptotic, is not believed."""
TUNED_FOR = 250
"""Results, about a year of them, at which the sequence for a mean is narrowest."""
_HALVINGS = 60
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


def mean_sequence(results: Sequence[Decimal]) -> Sequence95:
    """The confidence sequence of a mean, dollars; None with fewer than 30 results.

    Asymptotic: it supposes no distribution, and comes true as results become many, the more slowly the longer
    their tail. Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and
    asymptotic confidence sequences", Annals of Statistics 52 (2024), theorem 2.2, with rho by their rule.
    """
    count = len(results)
    if count < FEWEST:
        return None, None
    values = [float(result) for result in results]
    mean = sum(values) / count
    deviation = sqrt(sum((value - mean) ** 2 for value in values) / count)
    rho = sqrt((-2 * log(ALPHA) + log(-2 * log(ALPHA) + 1)) / TUNED_FOR)
    spread = count * rho * rho
    reach = deviation * sqrt(2 * (spread + 1) / (count * spread) * log(sqrt(spread + 1) / ALPHA))
    if reach == inf:
        return None, None
    return cents(Decimal(str(mean - reach))), cents(Decimal(str(mean + reach)))
