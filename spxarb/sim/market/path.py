"""The path of a synthetic index through one day, second by second, and its distance from the fund."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate, islice, pairwise
from math import cos, exp, log, sin, sqrt, tau
from operator import mul, truediv
from typing import TYPE_CHECKING

from spxarb.sim.market.pricing import TRADING_DAYS, variance_share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from spxarb.sim.market.regimes import Regime

RATIO, RATIO_DEVIATION, RATIO_MEMORY = 10.030, 0.0007, 900.0
"""SPX / SPY: mean, standard deviation within a day, seconds of memory. Measured on 2026 quotes."""
PIN_SECONDS, PIN_PULL, PIN_CALM = 90 * 60, 1 / 30.0, 0.3
"""When before the close a pin begins, its pull per second, and the fraction of volatility that remains."""
STRIKE_STEP = 5.0
_BLOCK = 60
"""Seconds that are looked through at once for a record."""


class Path:
    """What all contracts of a day share; index i of every array is second i after the open."""

    def __init__(self, regime: Regime, random: Random, seconds: int) -> None:
        """Draw a path of `seconds` steps."""
        self.volatility = random.uniform(*regime.volatility)
        self.previous = round(6800 + random.uniform(-150, 150), 2)
        overnight = random.gauss(0, 0.002) if regime.overnight is None else regime.overnight
        normals = _normals(random)
        self.passed = _passed(seconds)
        self.spx = _walk(regime, normals, self.previous * (1 + overnight), self.volatility, seconds)
        self.ratio = _ratios(normals, seconds)
        self.spy = array("d", map(truediv, self.spx, self.ratio))
        self.prints = Prints(_lagging(self.spx, self.previous, regime.stale * 60))
        self.spy_prints = Prints(self.spy)
        self.spy_previous = round(self.previous / RATIO, 2)


class Prints:
    """Prices as printed, with two decimals. They are rounded when asked for: few of a day's are."""

    def __init__(self, prices: array[float]) -> None:
        """Look for the highest and the lowest ones so far; rounding changes nothing in their order."""
        self._prices = prices
        self._highs, self._lows = _records(prices, max), _records(prices, min)
        self.first = round(prices[0], 2)

    def at(self, second: int) -> float:
        """The price at a second."""
        return round(self._prices[second], 2)

    def high(self, second: int) -> float:
        """The highest price until a second, its own included."""
        seconds, prices = self._highs
        return prices[bisect_right(seconds, second) - 1]

    def low(self, second: int) -> float:
        """The lowest price until a second, its own included."""
        seconds, prices = self._lows
        return prices[bisect_right(seconds, second) - 1]


def _records(prices: array[float], best: Callable[..., float]) -> tuple[list[int], list[float]]:
    """The seconds with a better price than all before, and these prices, with two decimals."""
    record, seconds, records = prices[0], [0], [round(prices[0], 2)]
    for begin in range(0, len(prices), _BLOCK):
        block = prices[begin : begin + _BLOCK]
        if best(record, best(block)) == record:  # as in most blocks
            continue
        for second, price in enumerate(block, begin):
            if best(record, price) != record:
                record = price
                seconds.append(second)
                records.append(round(price, 2))
    return seconds, records


def _normals(random: Random) -> Iterator[float]:
    """What `random.gauss(0, 1)` gives again and again, in less time: a day needs 47,000 of them.

    Box and Muller's pairs, from the same draws as in Python's own.
    """
    left, draw = random.gauss_next, random.random  # type: ignore[attr-defined]
    if left is not None:
        yield left
    while True:
        angle = draw() * tau
        radius = sqrt(-2.0 * log(1.0 - draw()))
        yield cos(angle) * radius
        yield sin(angle) * radius


def _walk(
    regime: Regime, normals: Iterator[float], start: float, volatility: float, seconds: int
) -> array[float]:
    """Prices of the index: `seconds` + 1 of them."""
    steps = _steps(regime, normals, volatility / sqrt(TRADING_DAYS), seconds)
    levels = list(accumulate(steps, initial=log(start)))
    if regime.pin:
        _pin(levels, steps)
    path = array("d", map(exp, levels))
    path[0] = start
    return _arrives(path, regime.drift) if regime.drift else path


def _steps(regime: Regime, normals: Iterator[float], daily: float, seconds: int) -> list[float]:
    """What each second adds to the log price, but for a pin; `daily` is the day's standard deviation."""
    deviations = [daily * deviation for deviation in _deviations(seconds)]
    halted = _halted(regime)
    del deviations[halted.start : halted.stop]  # nothing is drawn for these seconds
    steps = list(map(mul, deviations, normals))
    still = [0.0] * len(halted)
    steps[halted.start : halted.start] = still
    if regime.slide:
        stirred = regime.slide[0] * 60
        steps[stirred:] = [step * 2 for step in steps[stirred:]]
    for i, move in _moves(regime).items():
        steps[i] += move
    if regime.drift:
        drift = regime.drift / seconds
        steps = [step + drift for step in steps]
    steps[halted.start : halted.stop] = still
    return steps


def _pin(levels: list[float], steps: list[float]) -> None:
    """Draw the last levels to a strike. No regime has moves or halts besides."""
    begin = len(steps) - PIN_SECONDS
    level = levels[begin]
    target = log(STRIKE_STEP * round(exp(level) / STRIKE_STEP))
    for i in range(begin, len(steps)):
        level += PIN_CALM * steps[i] + (target - level) * PIN_PULL
        levels[i + 1] = level


def _arrives(path: array[float], drift: float) -> array[float]:
    """The path, bent in proportion to the variance passed, so that it ends `drift` from its start."""
    passed = _passed(len(path) - 1)
    astray = log(path[-1] / path[0]) - log(1 + drift)
    return array("d", [price * exp(-astray * share) for price, share in zip(path, passed, strict=True)])


@lru_cache(maxsize=4)
def _passed(seconds: int) -> array[float]:
    """The fraction of the day's variance that has passed at each second."""
    return array("d", [variance_share(i / seconds) for i in range(seconds + 1)])


@lru_cache(maxsize=4)
def _deviations(seconds: int) -> array[float]:
    """The standard deviation of each second as a fraction of the day's."""
    return array("d", (sqrt(after - before) for before, after in pairwise(_passed(seconds))))


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
    ratios = [RATIO + off]
    ratios += [RATIO + (off := keep * off + shock * normal) for normal in islice(normals, seconds)]
    return array("d", ratios)


def _lagging(spx: array[float], previous: float, stale: int) -> array[float]:
    """What the index print follows: a stale one catches up with the market in `stale` seconds."""
    prices = spx[:]
    for i in range(stale):
        prices[i] += (previous - spx[i]) * (1 - i / stale) ** 2
    return prices
