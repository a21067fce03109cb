"""The path of a synthetic index through one day, second by second, and its distance from the fund."""

from __future__ import annotations

from array import array
from functools import lru_cache
from itertools import accumulate, islice, pairwise
from math import cos, exp, log, pi, sin, sqrt
from typing import TYPE_CHECKING

from spxarb.sim.market.pricing import TRADING_DAYS, variance_share

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from spxarb.sim.market.regimes import Regime

RATIO, RATIO_DEVIATION, RATIO_MEMORY = 10.030, 0.0007, 900.0
"""SPX / SPY: mean, standard deviation within a day, seconds of memory. Measured on 2026 quotes."""
PIN_SECONDS, PIN_PULL, PIN_CALM = 90 * 60, 1 / 30.0, 0.3
"""When before the close a pin begins, its pull per second, and the fraction of volatility that remains."""
STRIKE_STEP = 5.0


class Path:
    """What all contracts of a day share; index i of every array is second i after the open."""

    def __init__(self, regime: Regime, random: Random, seconds: int) -> None:
        """Draw a path of `seconds` steps."""
        self.volatility = random.uniform(*regime.volatility)
        self.previous = round(6800 + random.uniform(-150, 150), 2)
        overnight = random.gauss(0, 0.002) if regime.overnight is None else regime.overnight
        normals = _normals(random)
        self.spx = _walk(regime, normals, self.previous * (1 + overnight), self.volatility, seconds)
        self.ratio = _ratios(normals, seconds)
        self.prints = _prints(self.spx, self.previous, regime.stale * 60)
        self.highs, self.lows = _extremes(self.prints)
        self.spy = array("d", (price / r for price, r in zip(self.spx, self.ratio, strict=True)))
        self.spy_highs, self.spy_lows = _extremes(self.spy)
        self.spy_previous = round(self.previous / RATIO, 2)


def _extremes(prices: array[float]) -> tuple[array[float], array[float]]:
    """The highest and the lowest price so far, at each second."""
    return array("d", accumulate(prices, max)), array("d", accumulate(prices, min))


def _normals(random: Random) -> Iterator[float]:
    """What `random.gauss(0, 1)` gives again and again, in less time: a day needs 47,000 of them.

    Box and Muller's pairs, from the same draws as in Python's own.
    """
    left, draw = random.gauss_next, random.random  # type: ignore[attr-defined]
    if left is not None:
        yield left
    while True:
        angle = draw() * 2 * pi
        radius = sqrt(-2 * log(1 - draw()))
        yield cos(angle) * radius
        yield sin(angle) * radius


def _walk(
    regime: Regime, normals: Iterator[float], start: float, volatility: float, seconds: int
) -> array[float]:
    """Prices of the index: `seconds` + 1 of them."""
    daily = volatility / sqrt(TRADING_DAYS)
    moves = _moves(regime)
    halted = _halted(regime)
    pin_from = seconds - PIN_SECONDS if regime.pin else seconds + 1
    level, target = log(start), 0.0
    path = array("d", [start])
    stirred = regime.slide[0] * 60 if regime.slide else seconds + 1
    for i, deviation in enumerate(_deviations(seconds)):
        if i not in halted:
            step = daily * deviation * next(normals)
            if i >= stirred:
                step *= 2
            if i == pin_from:
                target = log(STRIKE_STEP * round(exp(level) / STRIKE_STEP))
            if i >= pin_from:
                step = PIN_CALM * step + (target - level) * PIN_PULL
            level += step + moves.get(i, 0.0) + regime.drift / seconds
        path.append(exp(level))
    return _arrives(path, regime.drift) if regime.drift else path


def _arrives(path: array[float], drift: float) -> array[float]:
    """The path, bent in proportion to the variance passed, so that it ends `drift` from its start."""
    seconds = len(path) - 1
    astray = log(path[-1] / path[0]) - log(1 + drift)
    return array("d", (price * exp(-astray * variance_share(i / seconds)) for i, price in enumerate(path)))


@lru_cache(maxsize=4)
def _deviations(seconds: int) -> array[float]:
    """The standard deviation of each second as a fraction of the day's."""
    shares = [variance_share(i / seconds) for i in range(seconds + 1)]
    return array("d", (sqrt(after - before) for before, after in pairwise(shares)))


def _moves(regime: Regime) -> dict[int, float]:
    """What a slide or jump adds to the log price in each second."""
    moves: dict[int, float] = {}
    if regime.slide:
        begin, minutes, size = regime.slide
        moves = {begin * 60 + i: log(1 + size) / (minutes * 60) for i in range(minutes * 60)}
    if regime.jump:
        at, size = regime.jump
        moves[at * 60 - 1] = log(1 + size)
    return moves


def _halted(regime: Regime) -> range:
    begin, minutes = regime.halt or (0, 0)
    return range(begin * 60, (begin + minutes) * 60)


def _ratios(normals: Iterator[float], seconds: int) -> array[float]:
    """SPX / SPY: reverts to its mean."""
    keep = exp(-1 / RATIO_MEMORY)
    shock = RATIO_DEVIATION * sqrt(1 - keep * keep)
    off = next(normals) * RATIO_DEVIATION
    ratios = array("d", [RATIO + off])
    for normal in islice(normals, seconds):
        off = keep * off + shock * normal
        ratios.append(RATIO + off)
    return ratios


def _prints(spx: array[float], previous: float, stale: int) -> array[float]:
    """The index as printed, with two decimals; a stale one catches up with the market in `stale` seconds."""
    prints = array("d", (round(price, 2) for price in spx))
    for i in range(stale):
        prints[i] = round(spx[i] + (previous - spx[i]) * (1 - i / stale) ** 2, 2)
    return prints
