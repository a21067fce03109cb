"""Greeks, of one call and of a whole spread, and where they are from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Greeks:
    """The slopes of one call's value, each in dollars a share (SPY) or index points (SPX).

    `delta` is for 1 of the underlying, `gamma` the change of delta for it, `theta` for a calendar day at the
    present rate, `vega` for one volatility point. `volatility` is the yearly one behind them.
    """

    delta: float
    gamma: float
    theta: float
    vega: float
    volatility: float | None = None


class GreekSource(StrEnum):
    """Where greeks are from."""

    GATEWAY = "gateway"
    """The model ticks of the broker."""
    OWN = "black-scholes"
    """Our own, from the mids of the quotes."""


@dataclass(frozen=True)
class PositionGreeks:
    """What an open spread makes or loses, dollars over both legs; null where not known."""

    source: GreekSource | None = None
    """`gateway`: the broker's model ticks; `black-scholes`: our own, where one of those is missing."""
    delta: float | None = None
    """For one index point, SPY moving along by 1 / ratio."""
    gamma: float | None = None
    """The change of delta for one index point."""
    theta: float | None = None
    """For one calendar day at the present rate; the calls have only a part of one left."""
    vega: float | None = None
    """For one volatility point of both legs."""


UNKNOWN_GREEKS = PositionGreeks()
