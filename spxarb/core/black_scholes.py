"""Black-Scholes for calls that expire today: value, implied volatility, greeks. Without interest.

Within the day interest and dividends are nothing: a dividend goes ex at an opening, when today's calls are
gone or not yet traded. So an American call (SPY) is worth no less alive than exercised, and is valued as a
European one (SPX). Time is calendar minutes until the close as a share of a year, volatility is yearly (0.15
is 15 %).
Formulas: Hull, Options, Futures, and Other Derivatives, "The Black-Scholes-Merton model" and "The Greek
letters", with an interest rate of 0.
"""

from __future__ import annotations

from math import erfc, exp, inf, isfinite, log, pi, sqrt

from spxarb.core.greeks import Greeks

DAYS_A_YEAR = 365
MINUTES_A_YEAR = DAYS_A_YEAR * 24 * 60
VOLATILITY_POINT = 0.01
"""One volatility point: vega is the change of a value for it."""
LEAST_DEVIATION, GREATEST_DEVIATION = 1e-9, 20.0
"""Between these standard deviations of the log price until expiry a volatility is looked for."""
HALVINGS = 100
"""More than a bracket of doubles can be halved and still shrink."""


def years_of(minutes: float) -> float:
    """Calendar minutes as a share of a year; 0 where none are left."""
    return max(minutes, 0.0) / MINUTES_A_YEAR


def call_value(under: float, strike: float, volatility: float, years: float) -> float:
    """What a call is worth, in the unit of `under` and `strike`; without time its intrinsic value."""
    deviation = volatility * sqrt(years)
    return _intrinsic(under, strike) + _time_value(under, strike, deviation)


def implied_volatility(price: float, under: float, strike: float, years: float) -> float | None:
    """The yearly volatility at which a call is worth `price`; None where no volatility explains it.

    There is none at or below the intrinsic value, at or above the underlying, and without time left. What is
    solved is the time value, which is that of the option out of the money: deep in the money no digits are
    lost. It grows with the volatility, so that halving a bracket ends at the one root.
    """
    if not all(map(isfinite, (price, under, strike, years))) or min(under, strike, years) <= 0:
        return None
    wanted = price - _intrinsic(under, strike)
    if wanted <= 0 or price >= under:
        return None
    low, high = LEAST_DEVIATION, GREATEST_DEVIATION
    if not _time_value(under, strike, low) <= wanted <= _time_value(under, strike, high):
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _time_value(under, strike, middle) < wanted else (low, middle)
    return (low + high) / 2 / sqrt(years)


def greeks(under: float, strike: float, volatility: float, years: float) -> Greeks | None:
    """The slopes of a call; None without time or volatility, where they jump."""
    deviation = volatility * sqrt(years)
    if deviation < LEAST_DEVIATION or min(under, strike) <= 0:
        return None
    d1 = _log_ratio(under, strike) / deviation + deviation / 2
    density = exp(-d1 * d1 / 2) / sqrt(2 * pi)
    return Greeks(
        delta=_normal(d1),
        gamma=density / under / deviation,
        theta=-under * density * volatility / (2 * sqrt(years)) / DAYS_A_YEAR,
        vega=under * density * sqrt(years) * VOLATILITY_POINT,
        volatility=volatility,
    )


def _log_ratio(under: float, strike: float) -> float:
    """log(under / strike), also where the quotient is too small or too large for a double."""
    ratio = under / strike
    return log(ratio) if 0 < ratio < inf else log(under) - log(strike)


def _intrinsic(under: float, strike: float) -> float:
    return max(under - strike, 0.0)


def _time_value(under: float, strike: float, deviation: float) -> float:
    """What a call is worth beyond its intrinsic value: by put-call parity the option out of the money."""
    if deviation <= 0 or min(under, strike) <= 0:
        return 0.0
    d1 = _log_ratio(under, strike) / deviation + deviation / 2
    d2 = d1 - deviation
    if under > strike:
        return max(strike * _normal(-d2) - under * _normal(-d1), 0.0)
    return max(under * _normal(d1) - strike * _normal(d2), 0.0)


def _normal(x: float) -> float:
    """The standard normal distribution function, exact in its tails."""
    return 0.5 * erfc(-x / sqrt(2.0))
