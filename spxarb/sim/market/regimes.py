"""Kinds of synthetic days: what distinguishes them, in numbers and in one sentence."""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class Regime:
    """What distinguishes a kind of day.

    Moves are fractions (0.01 is 1 %), times are minutes from the open. `volatility`: the range of the yearly
    volatility that a seed draws from. `drift` is the whole day's, `overnight` is the first print against the
    previous close, `slide` is (from, how long, move), `jump` (at, move); `halt` (from, how long) suspends all
    trading. `pin`: drawn to a strike at the end of the day. `stale`: how long the index print lags behind the
    market. `richness`: dollars by which every SPY call is quoted above its value at the open, falling evenly
    to 0 at the close. `sizes`: the least and most contracts displayed in SPY options.
    """

    sentence: str
    volatility: tuple[float, float] = (0.12, 0.20)
    drift: float = 0.0
    overnight: float | None = None
    slide: tuple[int, int, float] | None = None
    jump: tuple[int, float] | None = None
    halt: tuple[int, int] | None = None
    pin: bool = False
    stale: int = 0
    richness: float = 0.0
    sizes: tuple[int, int] = (60, 400)


RICHNESS = 0.70
"""Dollars a share; large enough that of five attempts from 09:35 to 09:55 nearly always one finds $400."""

REGIMES: dict[str, Regime] = {
    "quiet": Regime("a random walk at low volatility, no edge in it", volatility=(0.12, 0.14)),
    "trend-up": Regime("a random walk that climbs 1.2 % over the day", drift=0.012),
    "trend-down": Regime("a random walk that loses 1.2 % over the day", drift=-0.012),
    "crash": Regime("falls 4 % within 20 minutes from 10:45 on; volatility doubles", slide=(75, 20, -0.04)),
    "gap": Regime("jumps up 1.2 % within one second at 11:00", jump=(90, 0.012)),
    "halt": Regime(
        "falls 7.1 % from 10:00 to 10:30 and is halted for 15 minutes: no quotes",
        slide=(30, 30, -0.071),
        halt=(60, 15),
    ),
    "pin": Regime("in the last 90 minutes the index is drawn to the nearest SPX strike", pin=True),
    "rich-spy": Regime(
        f"every SPY call is quoted ${RICHNESS:.2f} above its value at the open, falling evenly to $0 at the "
        "close; this richness is made up so that the strategy finds a credit, no market offers it",
        volatility=(0.12, 0.16),
        richness=RICHNESS,
    ),
    "stale-open": Regime(
        "opens 0.6 % higher, and for 10 minutes the index print lags behind while the options do not",
        overnight=0.006,
        stale=10,
    ),
    "thin": Regime(
        "as quiet, but SPY options show only 1 to 4 contracts", volatility=(0.12, 0.14), sizes=(1, 4)
    ),
}


def regime(name: str) -> Regime:
    """The regime of a name. Raises ValueError with the known names."""
    if name not in REGIMES:
        near = difflib.get_close_matches(name, REGIMES, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"unknown regime {name!r}; known: {', '.join(REGIMES)}{meant}")
    return REGIMES[name]
