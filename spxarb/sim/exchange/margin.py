"""Margin requirements, dollars: strategy-based (Regulation T) and portfolio margin.

Sources: Cboe/FINRA 4210 for naked options (premium + max(15 % broad index, else 20 %, of the underlying less
what it is out of the money; 10 %)); spreads only within one underlying, so SPX never covers SPY; portfolio
margin nets S&P 500 products over moves of -8 % to +6 %, at least 37.50 a contract (SEC 34-46576). Stock: half
its value at first, 25 % (short 30 %) later, under portfolio margin the scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.sim.market import pricing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spxarb.sim.market.instruments import Instrument

    Rules = Callable[[Sequence["Exposure"]], tuple[float, float]]

INDEX_RATE, STOCK_RATE, LEAST_RATE = 0.15, 0.20, 0.10
SCAN = tuple(-0.08 + 0.01 * step for step in range(15))
LEAST_PER_CONTRACT = 37.50


@dataclass(frozen=True)
class Exposure:
    """A position as margin sees it: `mark` per share (or point), `deviation` until expiry for revaluation."""

    instrument: Instrument
    quantity: int
    mark: float
    under: float
    deviation: float


def reg_t(exposures: Sequence[Exposure]) -> tuple[float, float]:
    """Initial and maintenance requirement, calls and puts of each underlying on their own."""
    initial = maintenance = 0.0
    for exposure in exposures:
        if exposure.instrument.sec_type == "STK":
            worth = abs(exposure.quantity * exposure.mark)
            initial += 0.5 * worth
            maintenance += (0.25 if exposure.quantity > 0 else 0.30) * worth
    for symbol in ("SPX", "SPY"):
        for right in ("C", "P"):
            same = [e for e in exposures if e.instrument.symbol == symbol]
            legs = [e for e in same if e.instrument.right == right]
            shares = sum(e.quantity for e in same if e.instrument.sec_type == "STK")
            covered = max(0, shares if right == "C" else -shares) // 100
            required = _shorts(legs, covered)
            initial, maintenance = initial + required, maintenance + required
    return initial, maintenance


def _shorts(legs: list[Exposure], covered: int) -> float:
    """Shorts of one underlying and right: those covered by shares, those paired with longs, the naked rest.

    A pair needs a long that expires no earlier; it requires the distance of the strikes.
    """
    sign = 1 if legs and legs[0].instrument.right == "C" else -1
    ordered = sorted(legs, key=lambda leg: sign * leg.instrument.strike)
    free = {leg.instrument.con_id: leg.quantity for leg in legs if leg.quantity > 0}
    required = 0.0
    for short in (leg for leg in ordered if leg.quantity < 0):
        alone = max(0, -short.quantity - covered)
        covered = max(0, covered + short.quantity)
        for long in (leg for leg in ordered if leg.quantity > 0 and _outlives(leg, short)):
            apart = max(0.0, sign * (long.instrument.strike - short.instrument.strike)) * 100
            if apart < naked(short):
                pairs = min(alone, free[long.instrument.con_id])
                free[long.instrument.con_id] -= pairs
                alone -= pairs
                required += pairs * apart
        required += alone * naked(short)
    return required


def _outlives(long: Exposure, short: Exposure) -> bool:
    first, second = long.instrument.settles, short.instrument.settles
    return first is not None and second is not None and first >= second


def naked(exposure: Exposure) -> float:
    """The requirement of one naked short option, dollars."""
    option = exposure.instrument
    rate = INDEX_RATE if option.symbol == "SPX" else STOCK_RATE
    sign = 1 if option.right == "C" else -1
    out_of_the_money = max(0.0, sign * (option.strike - exposure.under))
    least = LEAST_RATE * (exposure.under if option.right == "C" else option.strike)
    return (exposure.mark + max(rate * exposure.under - out_of_the_money, least)) * option.multiplier


def portfolio(exposures: Sequence[Exposure]) -> tuple[float, float]:
    """The worst loss of the whole class over the scan; initial and maintenance are the same."""
    contracts = sum(abs(e.quantity) for e in exposures if e.instrument.sec_type == "OPT")
    worst = max((-sum(_change(e, move) for e in exposures) for move in SCAN), default=0.0)
    required = max(worst, contracts * LEAST_PER_CONTRACT)
    return required, required


def _change(exposure: Exposure, move: float) -> float:
    """The gain of a position, dollars, when the underlying moves at once by the fraction `move`."""
    item, under = exposure.instrument, exposure.under
    if item.sec_type == "STK":
        return exposure.quantity * exposure.mark * move
    now, then = (
        pricing.value(level, item.strike, exposure.deviation, item.right)
        for level in (under, under * (1 + move))
    )
    return exposure.quantity * item.multiplier * (then - now)


RULES: dict[str, Rules] = {"reg-t": reg_t, "portfolio": portfolio}
