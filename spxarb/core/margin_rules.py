"""What margin one spread needs by the published rules: a broker's answer is understood beside it. Pure.

Regulation T: an uncovered call needs its premium and 20 % of the underlying less what it is out of the money,
at least 10 % (FINRA 4210); a call on SPX covers none on SPY; a long call needs none, and has no loan value.
Portfolio margin: the worst loss of both together over moves of -8 to +6 %, at least $37.50 a contract (SEC
34-46576). Brokers ask for more where they like.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import erf, exp, log, pi, sqrt
from typing import TYPE_CHECKING

from spxarb.core.fees import OPTION_MULTIPLIER
from spxarb.core.model import ZERO, cents
from spxarb.core.sentences import usd

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARE, LEAST_SHARE = Decimal("0.20"), Decimal("0.10")
SCAN = tuple(step / 100 for step in range(-8, 7))
LEAST_PER_CONTRACT = Decimal("37.50")
SHORT_STOCK = Decimal("0.30")
"""Maintenance margin of shares sold short, of their value."""
OPENS, RESTRICTS = Decimal(110_000), Decimal(100_000)
"""What IBKR wants of equity to open portfolio margin, and below what it restricts it."""
HALVINGS = 60


@dataclass(frozen=True, slots=True)
class ChargedCall:
    """Calls of one series: contracts signed, prices in dollars a share or index points."""

    symbol: str
    contracts: int
    strike: Decimal
    mid: Decimal
    underlying: Decimal

    def __str__(self) -> str:
        side = "short" if self.contracts < 0 else "long"
        return f"{side} {abs(self.contracts)} {self.symbol} {self.strike:f} C"


def reg_t(calls: Sequence[ChargedCall]) -> Decimal:
    """Initial margin by Regulation T, dollars: every short call uncovered."""
    return cents(sum((_uncovered(call) for call in calls if call.contracts < 0), start=ZERO))


def _uncovered(call: ChargedCall) -> Decimal:
    out_of_the_money = max(call.strike - call.underlying, ZERO)
    share = max(SHARE * call.underlying - out_of_the_money, LEAST_SHARE * call.underlying)
    return -call.contracts * OPTION_MULTIPLIER * (call.mid + share)


def portfolio(calls: Sequence[ChargedCall]) -> Decimal:
    """Initial margin by a portfolio scan of both underlyings moving alike, dollars."""
    contracts = sum(abs(call.contracts) for call in calls)
    worst = max(-sum(_gain(call, move) for call in calls) for move in SCAN)
    return max(cents(Decimal(str(max(worst, 0.0)))), contracts * LEAST_PER_CONTRACT)


def _gain(call: ChargedCall, move: float) -> float:
    """Dollars that the calls gain when the underlying moves at once by that fraction."""
    price, strike, mid = float(call.underlying), float(call.strike), float(call.mid)
    deviation = _deviation(price, strike, mid)
    then = _value(price * (1 + move), strike, deviation)
    return call.contracts * OPTION_MULTIPLIER * (then - mid)


def _value(price: float, strike: float, deviation: float) -> float:
    """A call by Bachelier's formula; `deviation`: of the price until expiry, in its own units."""
    if deviation <= 0:
        return max(price - strike, 0.0)
    d = (price - strike) / deviation
    return (price - strike) * (1 + erf(d / sqrt(2))) / 2 + deviation * exp(-d * d / 2) / sqrt(2 * pi)


def _deviation(price: float, strike: float, mid: float) -> float:
    """The deviation at which a call is worth its mid; 0 where that has no time value."""
    low, high = 0.0, price
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _value(price, strike, middle) > mid else (middle, high)
    return low


def rules_like(change: Decimal | None, calls: Sequence[ChargedCall]) -> str | None:
    """Which rules the broker's margin for these calls is like; None where it is like neither."""
    if change is None or change <= 0:
        return None
    found = {"reg-t": reg_t(calls), "portfolio": portfolio(calls)}
    distances = {name: abs(log(change / figure)) for name, figure in found.items() if figure > 0}
    return min(distances, key=lambda name: distances[name]) if distances else None


def if_assigned(short: ChargedCall) -> Decimal:
    """Maintenance margin of the shares that the short calls become, dollars."""
    return cents(SHORT_STOCK * -short.contracts * OPTION_MULTIPLIER * short.underlying)


def explained(short: ChargedCall, long: ChargedCall, equity: Decimal | None) -> tuple[str, ...]:
    """Regulation T and portfolio margin for this very position, in sentences; `equity` in dollars."""
    contracts, shares = -short.contracts, -short.contracts * OPTION_MULTIPLIER
    premium = cents(long.mid * long.contracts * OPTION_MULTIPLIER)
    by_regulation = (
        f"Regulation T: no SPX call covers a SPY call, so {contracts} SPY calls are uncovered. Their premium "
        f"of {short.mid:f} and 20 % of {short.underlying:.2f}, less what they are out of the money, are "
        f"{usd(reg_t([short]))} for {shares} shares. The SPX call changes nothing: its premium of "
        f"{usd(premium)} is paid in full and has no loan value."
    )
    by_portfolio = (
        "Portfolio margin: both legs are one class. The worst of moves from -8 to +6 % is "
        f"{usd(portfolio([short, long]))}, and {usd(portfolio([short]))} for the SPY calls alone. IBKR opens "
        f"it from {usd(OPENS)} of equity and restricts it below {usd(RESTRICTS)}."
    )
    afterwards = (
        f"After expiration: SPY calls that are assigned are {shares} shares short, worth "
        f"{usd(cents(shares * short.underlying))}. 30 % of that, {usd(if_assigned(short))}, must be there "
        "overnight, when the SPX call has become cash."
    )
    small = equity is not None and equity < OPENS
    too_small = [
        f"With {usd(equity or ZERO)} of equity, portfolio margin is not open to this account."
    ] * small
    return (by_regulation, by_portfolio, afterwards, *too_small)
