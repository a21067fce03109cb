"""What `status --risk` adds: the greeks of each call, and the stress table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.cli.blocks import DASH, Block, Columns, Line, grid, money, words

if TYPE_CHECKING:
    from decimal import Decimal

    from spxarb.core.results.status import StatusResult
    from spxarb.core.risk import LegGreeks, StressRow


def _slope(value: float | None, places: int = 2) -> str:
    """A greek with its sign."""
    return DASH if value is None else f"{value:+,.{places}f}"


def _percent(value: Decimal | float) -> str:
    return f"{float(value):+g} %" if value else "none"


_LEG_GREEKS: Columns[LegGreeks] = (
    (">trade", lambda leg: words(leg.trade_id)),
    ("leg", lambda leg: words(leg.symbol)),
    (">contracts", lambda leg: f"{float(leg.contracts):+g}"),
    (">volatility", lambda leg: DASH if leg.volatility is None else f"{leg.volatility:.1%}"),
    (">delta", lambda leg: _slope(leg.delta, 4)),
    (">gamma", lambda leg: _slope(leg.gamma, 5)),
    (">theta", lambda leg: _slope(leg.theta, 3)),
    (">vega", lambda leg: _slope(leg.vega, 4)),
)
_STRESS: Columns[StressRow] = (
    (">move", lambda row: _percent(row.move)),
    (">SPX", lambda row: _price(row.spx_price)),
    (">SPY", lambda row: _price(row.spy_price)),
    (">vol -15 %", lambda row: money(row.pnl_volatility_down)),
    (">vol as now", lambda row: money(row.pnl)),
    (">vol +15 %", lambda row: money(row.pnl_volatility_up)),
    (">at expiry", lambda row: money(row.pnl_at_expiry)),
)


def _price(value: Decimal | None) -> str:
    return DASH if value is None else f"{value:,.2f}"


def risk(result: StatusResult) -> list[Block]:
    """What `--risk` adds."""
    if not result.risk.stress:
        return []
    return [
        grid("Greeks of one call, for 1 of its underlying", _LEG_GREEKS, result.risk.legs),
        grid("P&L of all that is open if SPX and SPY move: at once, at expiry", _STRESS, result.risk.stress),
        Line("At once: at quotes as wide as now. Volatility is shocked by 15 % of itself."),
    ]
