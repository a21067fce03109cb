"""What a spread is worth at expiry, and how much of its credit is edge: closed formulas.

S is SPX at the settlement, K the SPX strike (long calls), k the SPY strike (short calls), r the measured
ratio SPX / SPY, taken as constant until the settlement. 100 q (S/r - k)+ of the SPY calls is written as
(100 q / r) (S - r k)+, so that both legs live on one axis, index points. Source: the algebra of a long call
against a short one; all dollars are for the whole spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from spxarb.core.fees import OPTION_MULTIPLIER
from spxarb.core.model import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable

FARTHEST = Decimal("1.2")
"""Settlements are considered up to this multiple of the higher strike."""


@dataclass(frozen=True, slots=True)
class Structure:
    """Strikes as listed (index points; dollars of SPY), the ratio SPX / SPY, contracts unsigned."""

    spx_strike: Decimal
    spy_strike: Decimal
    ratio: Decimal
    spx_contracts: int = 1
    spy_contracts: int = 10

    @property
    def spx_equivalent_strike(self) -> Decimal:
        """Where the short SPY calls begin to cost: r k, index points."""
        return self.ratio * self.spy_strike

    @property
    def mismatch(self) -> Decimal:
        """M = K - r k, index points; positive: the short strike lies lower, a bear call spread."""
        return mismatch(self.spx_strike, self.spy_strike, self.ratio)

    @property
    def long_slope(self) -> Decimal:
        """Dollars that one index point in the money brings on the SPX calls."""
        return Decimal(OPTION_MULTIPLIER * self.spx_contracts)

    @property
    def short_slope(self) -> Decimal:
        """Dollars that one index point in the money costs on the SPY calls."""
        return OPTION_MULTIPLIER * self.spy_contracts / self.ratio

    @property
    def kinks(self) -> tuple[Decimal, ...]:
        """The settlements between which the payoff is a straight line, ascending, with both ends."""
        lower, higher = sorted((self.spx_strike, self.spx_equivalent_strike))
        return (ZERO, lower, higher, higher * FARTHEST)


def mismatch(spx_strike: Decimal, spy_strike: Decimal, ratio: Decimal) -> Decimal:
    """M = K - r k, index points.

    Not K - 10 k: at r = 10.03 the perfect strikes 6800 and 678 have M = -0.34, but K - 10 k = 20.
    """
    return spx_strike - ratio * spy_strike


def payoff(settlement: Decimal, structure: Structure, credit: Decimal) -> Decimal:
    """Dollars at expiry: C + 100 q_spx (S - K)+ - (100 q_spy / r) (S - r k)+.

    `settlement` is SPX, index points; `credit` the entry's net credit, dollars.
    """
    gained = structure.long_slope * max(settlement - structure.spx_strike, ZERO)
    owed = structure.short_slope * max(settlement - structure.spx_equivalent_strike, ZERO)
    return credit + gained - owed


def worst_case(structure: Structure, credit: Decimal) -> Decimal:
    """The least payoff at expiry, dollars.

    With at least as much notional long as short (q_spx >= q_spy / r) it is the true minimum over all
    settlements S >= 0: for M > 0 and r >= 10 that is C - (1000 / r) M, reached at S = K. With more short
    than long the loss has no floor as S grows; the least payoff from 0 to 20 % above the higher strike is
    then returned. Exit costs, a change of r and assignment come on top.
    """
    return min(payoff(point, structure, credit) for point in structure.kinks)


def best_case(structure: Structure, credit: Decimal) -> Decimal:
    """The greatest payoff at expiry, dollars, from S = 0 to 20 % above the higher strike.

    With more notional long than short it has no ceiling as S grows, hence the end of the range.
    """
    return max(payoff(point, structure, credit) for point in structure.kinks)


def break_even(structure: Structure, credit: Decimal) -> Decimal | None:
    """The lowest settlement at which the payoff crosses zero, index points; None when there is none.

    Searched from S = 0 to 20 % above the higher strike. For M > 0 and a credit below (1000 / r) M it is
    r k + C r / 1000. Where the payoff is zero from S = 0 on (no credit), it is the point where that ends.
    """
    for left, right in pairwise(structure.kinks):
        at_left, at_right = payoff(left, structure, credit), payoff(right, structure, credit)
        if at_left == 0 and at_right != 0:
            return left
        if at_left != 0 and at_right == 0:
            return right
        if at_left * at_right < 0:
            return left + (right - left) * at_left / (at_left - at_right)
    return None


def edge(credit_net: Decimal, structure: Structure, spx_equivalent_mid: Decimal, spx_mid: Decimal) -> Decimal:
    """The credit less what the mismatch is worth, dollars: C - (100 q_spy / r) c(r k) + 100 q_spx c(K).

    `spx_equivalent_mid` is the mid of an SPX call struck at r k, read between its listed neighbours,
    `spx_mid` the mid of the SPX call bought. For 10 : 1 the same as
    1000 bid_SPY - (1000 / r) c(r k) - 100 (ask_SPX - mid_SPX) - fees. In a fair market it is minus the half
    spreads and fees; an entry with an edge of 0 or less is paid for its risk, and no more.
    """
    owed = structure.short_slope * spx_equivalent_mid
    return credit_net - owed + structure.long_slope * spx_mid


def interpolate(strikes_and_mids: Iterable[tuple[Decimal, Decimal | None]], point: Decimal) -> Decimal | None:
    """The mid at `point`, on the straight line between the two neighbouring listed strikes.

    At a listed strike it is that strike's own. None when `point` is not bracketed or a mid is missing: no
    farther strike is taken in its place.
    """
    listed = sorted(strikes_and_mids, key=lambda pair: pair[0])
    below = [pair for pair in listed if pair[0] <= point]
    above = [pair for pair in listed if pair[0] >= point]
    if not below or not above:
        return None
    (low, low_mid), (high, high_mid) = below[-1], above[0]
    if low_mid is None or high_mid is None:
        return None
    if low == high:
        return low_mid
    return low_mid + (high_mid - low_mid) * (point - low) / (high - low)
