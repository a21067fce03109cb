"""The configured numbers that decisions need, named as in the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Limits:
    """Sections `trading` and `risk_management`.

    Dollars for the whole spread, but: `max_*_spread` and `max_strike_distance_spy` dollars a share (SPX:
    index points), `assignment_risk_threshold` dollars of SPY above its strike, ratios SPX / SPY.
    """

    max_spreads_per_day: int = 2
    min_entry_credit: Decimal = Decimal(400)
    assignment_risk_threshold: Decimal = Decimal(10)
    spy_contracts_per_spread: int = 10
    spx_contracts_per_spread: int = 1
    min_ratio: Decimal = Decimal("9.95")
    max_ratio: Decimal = Decimal("10.05")
    max_spx_spread: Decimal = Decimal("0.50")
    max_spy_spread: Decimal = Decimal("0.05")
    max_strike_distance_spx: Decimal = Decimal("2.5")
    max_strike_distance_spy: Decimal = Decimal("0.5")
    max_daily_loss: Decimal = Decimal(1000)
    max_position_loss: Decimal = Decimal(500)
    emergency_exit_enabled: bool = True
    worst_case_within_daily_loss: bool = True
    max_losses_per_day: int | None = None
    max_failed_jobs_per_day: int | None = 10
    margin_reserve_factor: Decimal = Decimal("1.2")


@dataclass(frozen=True, slots=True)
class PriceLimits:
    """Section `prices`: what a price must be to be believed.

    Ages in seconds; differences and drift of the underlying in index points, the drift of the ratio in basis
    points, the credit in dollars for the whole spread.
    """

    max_quote_age_seconds: float = 10
    max_index_age_seconds: float = 15
    max_legs_apart_seconds: float = 5
    max_index_difference: Decimal = Decimal(2)
    max_ratio_difference: Decimal = Decimal(5)
    max_ratio_drift: Decimal = Decimal(10)
    max_underlying_drift: Decimal = Decimal(3)
    max_unexplained_credit: Decimal = Decimal(750)
    second_look_seconds: float = 3
