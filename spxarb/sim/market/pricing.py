"""Option values without interest: Black-Scholes in total standard deviations, not in time.

`deviation` is the standard deviation of the log price until expiry, volatility times the square root of time,
so that a day with livelier and quieter hours needs no other clock.
"""

from __future__ import annotations

from math import erfc, exp, log, pi, sqrt
from typing import NamedTuple

TRADING_DAYS = 252
"""Trading days in a year, to turn a yearly volatility into a daily one."""
_ROOT_OF_2, _ROOT_OF_2_PI = sqrt(2.0), sqrt(2 * pi)


def normal(x: float) -> float:
    """The standard normal distribution function."""
    return 0.5 * erfc(-x / _ROOT_OF_2)


def value(under: float, strike: float, deviation: float, right: str) -> float:
    """The value of a European option, in the unit of `under` and `strike`."""
    call = max(0.0, under - strike)
    if deviation > 1e-9:
        d1 = log(under / strike) / deviation + deviation / 2
        call = max(call, under * normal(d1) - strike * normal(d1 - deviation))
    return call if right == "C" else max(0.0, call - under + strike)


def delta(under: float, strike: float, deviation: float, right: str) -> float:
    """The change of the value for a change of 1 of the underlying."""
    if deviation > 1e-9:
        call = normal(log(under / strike) / deviation + deviation / 2)
    else:
        call = 1.0 if under > strike else 0.0
    return call if right == "C" else call - 1.0


class Slopes(NamedTuple):
    """Gamma per point of the underlying, vega per percent of yearly volatility, theta per trading day."""

    gamma: float
    vega: float
    theta: float


def slopes(under: float, strike: float, yearly: float, days: float) -> Slopes:
    """Of a call or put; `yearly` is the volatility, `days` are the trading days until expiry."""
    root = sqrt(days / TRADING_DAYS) if days > 0 else 0.0
    deviation = yearly * root
    if deviation <= 1e-9:
        return Slopes(0.0, 0.0, 0.0)
    d1 = log(under / strike) / deviation + deviation / 2
    density = exp(-d1 * d1 / 2) / _ROOT_OF_2_PI
    theta = -under * density * yearly / (2 * root * TRADING_DAYS)
    return Slopes(density / (under * deviation), under * density * root / 100, theta)


def variance_share(elapsed: float) -> float:
    """The fraction of a day's variance that has passed by the fraction `elapsed` of its hours, both 0 to 1.

    The first and the last hours are the liveliest: variance per minute is 1 + 1.8·(2u - 1)², scaled.
    """
    u = min(1.0, max(0.0, elapsed))
    return (u + 0.3 * ((2 * u - 1) ** 3 + 1)) / 1.6
