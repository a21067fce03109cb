"""How far an open spread is from each of its exits. Pure.

The limits are those of `core/exits.py`: assignment risk by SPY's price, the loss by what closing costs now,
the clock. What is not known is None and never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.model import cents
from spxarb.core.payoff import Structure, worst_case

if TYPE_CHECKING:
    from datetime import datetime, time
    from decimal import Decimal

    from spxarb.core.limits import Limits
    from spxarb.core.records import Trade
    from spxarb.core.sessions import TradingDay


@dataclass(frozen=True)
class ExitDistances:
    """How far a spread is from each of its exits; a distance that is negative or 0 seconds is reached."""

    assignment_at: Decimal | None
    """Dollars of SPY above which the exit for assignment risk is due."""
    to_assignment: Decimal | None
    """Dollars of SPY from its price to there."""
    loss_limit: Decimal
    """Dollars that the spread may lose (`max_position_loss`)."""
    to_loss_limit: Decimal | None
    """Dollars of P&L from now to there."""
    time_exit_at: datetime
    """When the exit by time is due: the time in force."""
    to_time_exit: float
    """Seconds from now to there."""
    brought_forward: str | None
    """Why that is earlier than the configured `exit_check_time`; null where it is not."""


def distances(
    trade: Trade,
    limits: Limits,
    day: TradingDay,
    configured_exit: time,
    now: datetime,
    *,
    spy_price: Decimal | None,
    pnl: Decimal | None,
) -> ExitDistances:
    """`day`: the trade's own timetable; `configured_exit`: `trading.exit_check_time` as of its entry."""
    strike = trade.spy.strike
    assignment_at = None if strike is None else strike + limits.assignment_risk_threshold
    return ExitDistances(
        assignment_at=assignment_at,
        to_assignment=None if assignment_at is None or spy_price is None else assignment_at - spy_price,
        loss_limit=limits.max_position_loss,
        to_loss_limit=None if pnl is None else limits.max_position_loss + pnl,
        time_exit_at=day.exit_at,
        to_time_exit=max((day.exit_at - now).total_seconds(), 0.0),
        brought_forward=brought_forward(day, configured_exit),
    )


def brought_forward(day: TradingDay, configured: time) -> str | None:
    """Why the exit by time is earlier than configured; None where it is not."""
    if day.exit_at.time() >= configured:
        return None
    return f"brought forward from {configured:%H:%M}: 15 minutes before the close at {day.close:%H:%M}"


def worst_at_expiry(trade: Trade) -> Decimal | None:
    """The least that the spread brings if it is held, by its strikes, its ratio and its fills, dollars.

    None while the entry is not whole, or where its ratio was not measured.
    """
    spx, spy = trade.spx.strike, trade.spy.strike
    if not trade.entry_filled or trade.entry_credit is None or None in {spx, spy, trade.ratio}:
        return None
    assert spx is not None
    assert spy is not None
    assert trade.ratio is not None
    held = Structure(spx, spy, trade.ratio, trade.spx_contracts, trade.spy_contracts)
    return cents(worst_case(held, trade.entry_credit))
