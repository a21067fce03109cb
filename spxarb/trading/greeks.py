"""The risk of the open spreads at the quotes received: what `core/risk.py` wants to know of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.black_scholes import years_of
from spxarb.core.dividends import ex_date_after
from spxarb.core.model import LegName
from spxarb.core.risk import HeldSpread, call_of, leg_greeks, position_greeks
from spxarb.trading.market_calendar import closures_around, timetable_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from spxarb.config.schema import Sections
    from spxarb.core.records import Mark, Trade
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.marks import MarkedTrade


def spread_of(job: ConnectedJob, marked: MarkedTrade) -> HeldSpread:
    """The spread as it is held and quoted, with the time that its calls have left until the close."""
    trade = marked.trade
    left = timetable_of(trade, job.context.config).close - job.now
    return HeldSpread(
        trade_id=trade.id,
        spx=call_of(marked.spx_held, trade.spx.strike, marked.spx_price, marked.spx_quote),
        spy=call_of(marked.spy_held, trade.spy.strike, marked.spy_price, marked.spy_quote),
        years=years_of(left.total_seconds() / 60),
        pnl=marked.pnl,
        booked=marked.booked,
    )


def at_risk(trade: Trade, now: datetime, config: Sections) -> bool:
    """Whether its calls still trade, and the broker tells what is held of it."""
    return trade.state.in_sight and now < timetable_of(trade, config).close


def dividend_note(job: ConnectedJob, spreads: Sequence[HeldSpread]) -> list[str]:
    """A sentence where short SPY calls may owe a dividend tomorrow; none on other days."""
    closed = closures_around(job.now.date(), job.context.config).closed
    ex_date = ex_date_after(job.now.date(), closed=closed)
    if ex_date is None or not any(spread.spy.contracts < 0 for spread in spreads):
        return []
    owed = "calls that are left short and assigned tonight owe the dividend"
    return [f"SPY is expected to go ex-dividend on {ex_date}: {owed}."]


def mark_of(job: ConnectedJob, marked: MarkedTrade) -> Mark:
    """What the ledger keeps of one look at a spread."""
    spread = spread_of(job, marked)
    _, legs = leg_greeks(spread)
    volatility = {name: leg.volatility for name, leg in legs.items()}
    return marked.mark(
        job.now, position_greeks(spread), volatility.get(LegName.SPY), volatility.get(LegName.SPX)
    )
