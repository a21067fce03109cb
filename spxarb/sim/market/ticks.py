"""Legal prices: the steps of the market rules, and the nearest legal price above or below.

A rule is a row of (low edge, step): from that price on, the step applies. Steps are whole cents; all is
computed in cents, so that no float rounds a price off its grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

Rule = Sequence[tuple[float, float]]

MAX_PRICE = 1e6
PENNY, SPX_OPTIONS = 26, 239
"""Ids of the market rules that the instruments name."""
MARKET_RULES: dict[int, Rule] = {PENNY: ((0.0, 0.01),), SPX_OPTIONS: ((0.0, 0.05), (3.0, 0.1))}
"""Price steps by rule id. Source: Cboe SPX options specification; Penny Interval Program for SPY."""


_IN_CENTS = {
    rule: [(round(edge * 100), round(size * 100)) for edge, size in reversed(steps)]
    for rule, steps in MARKET_RULES.items()
}


def _step(rule: int, cents: int) -> int:
    """The step at a price, both in cents."""
    for edge, size in _IN_CENTS[rule]:
        if cents >= edge:
            return size
    return 1


def is_legal(rule: int, price: float) -> bool:
    """True when an order may name this price: positive, below a million, on the grid."""
    if not 0 < price < MAX_PRICE:
        return False
    cents = round(price * 100)
    return abs(price * 100 - cents) < 1e-6 and cents % _step(rule, cents) == 0


def at_or_below(rule: int, price: float) -> float:
    """The highest legal price that is not above `price`; 0 when there is none."""
    cents = floor(price * 100 + 1e-6)
    return max(0, cents - cents % _step(rule, cents)) / 100


def at_or_above(rule: int, price: float) -> float:
    """The lowest legal price that is not below `price`, at least one step."""
    cents = max(1, ceil(price * 100 - 1e-6))
    cents += -cents % _step(rule, cents)
    return cents / 100


def below(rule: int, price: float) -> float:
    """The highest legal price below `price`; 0 when there is none."""
    return at_or_below(rule, price - 0.005)


def above(rule: int, price: float) -> float:
    """The lowest legal price above `price`."""
    return at_or_above(rule, price + 0.005)
