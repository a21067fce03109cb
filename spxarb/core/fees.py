"""What one order costs in fees, estimated; used until the broker reports the real commissions.

Components and rates: IBKR's published per-contract commission with its minimum per order, and the fees that
it passes through (Cboe, OCC, ORF, CAT, FINRA TAF, SEC section 31). Index options are free of TAF, CAT and
SEC fees; TAF and SEC fees fall on sales only.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from spxarb.core.model import CENT, ZERO, Side

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spxarb.core.records import Fill

OPTION_MULTIPLIER = 100
"""Dollars for one point of premium of one contract, SPX and SPY alike (Cboe and OCC specifications)."""

LOW_PREMIUM = Decimal("1.00")
"""Below this premium Cboe charges less for an SPX contract."""


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """The configuration's section `fees`: dollars per contract unless said otherwise.

    `commission_minimum` is dollars per order, `spy_sec_rate` a part of the premium sold.
    """

    commission_per_contract: Decimal = Decimal("0.65")
    commission_minimum: Decimal = Decimal("1.00")
    spx_exchange: Decimal = Decimal("0.58")
    spx_exchange_low_premium: Decimal = Decimal("0.49")
    spy_exchange: Decimal = Decimal("0.30")
    orf: Decimal = Decimal("0.028")
    occ: Decimal = Decimal("0.025")
    spy_cat: Decimal = Decimal("0.005")
    spy_taf: Decimal = Decimal("0.003")
    spy_sec_rate: Decimal = Decimal("0.0000206")


@dataclass(frozen=True, slots=True)
class FeeComparison:
    """Fees that the schedule expected beside those reported, of executions with both. Dollars.

    `difference` is what was reported beyond the estimate; None while nothing can be compared. `waiting`:
    executions whose fee is not reported.
    """

    executions: int = 0
    estimated: Decimal | None = None
    reported: Decimal | None = None
    difference: Decimal | None = None
    waiting: int = 0


def compare_fees(fills: Iterable[Fill]) -> FeeComparison:
    """How far the estimates of these executions were from what the broker reported."""
    every = list(fills)
    both = [
        (fill.commission_estimate, fill.commission)
        for fill in every
        if fill.commission_estimate is not None and not fill.commission_estimated
    ]
    waiting = sum(1 for fill in every if fill.commission_estimated)
    if not both:
        return FeeComparison(waiting=waiting)
    estimated, reported = (sum(column, start=ZERO) for column in zip(*both, strict=True))
    return FeeComparison(len(both), estimated, reported, reported - estimated, waiting)


def order_fees(
    schedule: FeeSchedule, symbol: str, side: Side, quantity: int | Decimal, price: Decimal
) -> Decimal:
    """Dollars for one order of `quantity` contracts, all filled at `price` (dollars a share, or points).

    Each component is rounded half up to the cent, then they are summed. No contracts, no fees.
    ValueError: another symbol than SPX or SPY, or a negative quantity.
    """
    if symbol not in {"SPX", "SPY"}:
        raise ValueError(f"no fees are known for {symbol!r}")
    if quantity < 0:
        raise ValueError(f"an order of {quantity} contracts has no fees")
    if quantity == 0:
        return ZERO
    contracts = Decimal(quantity)
    commission = max(schedule.commission_per_contract * contracts, schedule.commission_minimum)
    passed_through = (
        _spx_fees(schedule, contracts, price)
        if symbol == "SPX"
        else _spy_fees(schedule, side, contracts, price)
    )
    common = (schedule.orf * contracts, schedule.occ * contracts)
    return _sum_of_cents((commission, *passed_through, *common))


def commission_share(
    schedule: FeeSchedule,
    symbol: str,
    side: Side,
    filled_before: int | Decimal,
    quantity: int | Decimal,
    price: Decimal,
) -> Decimal:
    """Dollars estimated for one execution of `quantity` contracts of an order with `filled_before` so far.

    The order's fees with this execution less those without it: the minimum per order then counts once, in
    the first execution, and at one price the shares add up to `order_fees` of the whole.
    """
    before = Decimal(filled_before)
    return order_fees(schedule, symbol, side, before + Decimal(quantity), price) - order_fees(
        schedule, symbol, side, before, price
    )


def _spx_fees(schedule: FeeSchedule, contracts: Decimal, price: Decimal) -> tuple[Decimal, ...]:
    rate = schedule.spx_exchange_low_premium if price < LOW_PREMIUM else schedule.spx_exchange
    return (rate * contracts,)


def _spy_fees(schedule: FeeSchedule, side: Side, contracts: Decimal, price: Decimal) -> tuple[Decimal, ...]:
    always = (schedule.spy_exchange * contracts, schedule.spy_cat * contracts)
    if side is Side.BUY:
        return always
    premium = price * contracts * OPTION_MULTIPLIER
    return (*always, schedule.spy_taf * contracts, schedule.spy_sec_rate * premium)


def _sum_of_cents(parts: Iterable[Decimal]) -> Decimal:
    return sum((part.quantize(CENT, ROUND_HALF_UP) for part in parts), start=ZERO)
