"""After the close: what expired is settled, provisionally; the next morning proves it, or shows shares.

SPXW calls settle in cash at the official SPX close. SPY calls deliver shares: whoever holds them decides
after the close, and an assignment shows only as the overnight change of the SPY stock position.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.core.exits import settlement_cash
from spxarb.core.model import ZERO, ExitReason, LegName, TradeStatus
from spxarb.core.records import Settlement
from spxarb.core.sessions import next_trading_day, previous_trading_day
from spxarb.trading import bookkeeping
from spxarb.trading.market import underlyings
from spxarb.trading.market_calendar import closures_around, timetable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from decimal import Decimal

    from spxarb.core.model import BrokerSnapshot, Quote
    from spxarb.core.records import Trade
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.market import Underlyings

RESTATE_WITHIN = 100
"""An official close may restate a provisional price only within one part in so many: a sanity bound."""


def has_expired(job: ConnectedJob, trade: Trade) -> bool:
    """Whether the last session of the trade's calls is over."""
    day = timetable(trade.expiry, job.context.config)
    return job.now.date() > trade.expiry or day is None or job.now >= day.close


async def settle_expired(job: ConnectedJob) -> list[str]:
    """Settle every open trade whose calls have expired. Returns sentences; troubles are in the findings."""
    expired = [trade for trade in bookkeeping.open_trades(job.ledger) if has_expired(job, trade)]
    if not expired:
        return []
    under = await _closing_prices(job)
    told = []
    for trade in expired:
        prices = {
            LegName.SPX: _close_of(job, trade.expiry, under.spx_quote),
            LegName.SPY: _close_of(job, trade.expiry, under.spy_quote),
        }
        told += _settle(job, trade, prices)
    job.ledger.days.set_baseline(job.now.date(), job.broker.account, spy_shares(job.snapshot), job.now)
    _summarize(job, expired)
    return told


async def _closing_prices(job: ConnectedJob) -> Underlyings:
    """SPX and SPY; their last trade is enough, for after the close nobody quotes."""
    timeout = job.context.config.execution.quote_timeout_seconds
    return await underlyings(job.broker, timeout, lambda _, quote: quote.last is not None)


def _summarize(job: ConnectedJob, trades: Iterable[Trade]) -> None:
    """The days of these trades have other figures now."""
    for day in sorted({trade.trade_date for trade in trades}):
        bookkeeping.summarize(job.ledger, day)


def _close_of(job: ConnectedJob, expiry: date, quote: Quote) -> Decimal | None:
    """The underlying's closing price of `expiry`: today's last trade, or the close of the day before."""
    today = job.now.date()
    if expiry == today:
        return quote.last
    closed = closures_around(today, job.context.config).closed
    return quote.close if expiry == previous_trading_day(today, closed=closed) else None


def _settle(job: ConnectedJob, trade: Trade, prices: dict[LegName, Decimal | None]) -> list[str]:
    """Settle what is held of one trade; close its row when every leg has its figure."""
    sums = bookkeeping.pnl_of_trade(job.ledger, trade)
    told: list[str] = []
    for leg, quantity in ((LegName.SPX, sums.spx_held), (LegName.SPY, sums.spy_held)):
        price, strike = prices[leg], trade.contract(leg).strike
        if not quantity:
            continue
        if price is None or strike is None:
            job.human_needed(f"trade {trade.id} is not settled: the closing price of {leg} is not known")
            return told
        cash = settlement_cash(leg, quantity, strike, price, trade.contract(leg).multiplier) + ZERO
        source = f"{leg} last trade after the close"
        job.ledger.settlements.record(
            Settlement(trade.id, leg, quantity, price, cash, source, job.now, provisional=True)
        )
        told.append(
            f"trade {trade.id}: {quantity:+.0f} {leg} calls settled at {price:f} for {cash:+,.2f} dollars"
        )
        if leg is LegName.SPY and cash:
            job.human_needed(
                f"trade {trade.id} went into its expiry with {abs(quantity):.0f} "
                f"{'short' if quantity < 0 else 'long'} SPY calls in the money: shares will be "
                f"{'assigned' if quantity < 0 else 'bought'} overnight (about {quantity * 100:+.0f} SPY)"
            )
    if told and sums.spy_exit_price is None and sums.spx_exit_price is None:  # no exit came to anything
        trade = replace(trade, exit_reason=None)
    settled = bool(told) or trade.provisional
    bookkeeping.closed(job.ledger, trade, ExitReason.EXPIRATION, job.now, provisional=settled)
    return told


def spy_shares(snapshot: BrokerSnapshot) -> Decimal:
    """The account's SPY stock, shares; short negative."""
    rows = (each for each in snapshot.positions if each.symbol == "SPY" and each.sec_type == "STK")
    return sum((each.quantity for each in rows), start=ZERO)


async def finalize(job: ConnectedJob) -> list[str]:
    """On a later day: settlements become final, or assigned shares are told. Returns sentences."""
    waiting = [trade for trade in job.ledger.trades.provisional() if trade.expiry < job.now.date()]
    if not waiting:
        return []
    under = await _closing_prices(job)
    told = [_finalize(job, trade, under.spx_quote) for trade in waiting]
    _summarize(job, waiting)
    return told


def _finalize(job: ConnectedJob, trade: Trade, spx_quote: Quote) -> str:
    settlements = job.ledger.settlements.of_trade(trade.id)
    if any(each.leg is LegName.SPY for each in settlements):
        change = spy_shares(job.snapshot) - (
            job.ledger.days.baseline(trade.expiry, job.broker.account) or ZERO
        )
        if change and not _told_for_a_day(job, trade):
            why = f"trade {trade.id} ended with short SPY calls and SPY stock changed by {change:+.0f} shares"
            job.human_needed(f"{why}: assigned shares are yours to close")
            return why
    official = _close_of(job, trade.expiry, spx_quote)
    for each in settlements:
        job.ledger.settlements.record(_final(trade, each, official))
    trade = job.ledger.trades.update(trade.id, provisional=False)
    if trade.status is TradeStatus.CLOSED:
        bookkeeping.update_pnl(job.ledger, trade)
    return f"trade {trade.id}: its settlement is final"


def _told_for_a_day(job: ConnectedJob, trade: Trade) -> bool:
    """Whether the day that shows assigned shares is over; what becomes of them is no part of the trade."""
    closed = closures_around(trade.expiry, job.context.config).closed
    return job.now.date() > next_trading_day(trade.expiry, closed=closed)


def _final(trade: Trade, settlement: Settlement, official: Decimal | None) -> Settlement:
    """The settlement without the doubt, at the official SPX close where that is known by now."""
    price, strike = settlement.price, trade.spx.strike
    near = official is not None and abs(official - price) * RESTATE_WITHIN < price
    if settlement.leg is not LegName.SPX or official is None or not near or strike is None:
        return replace(settlement, provisional=False)
    cash = settlement_cash(LegName.SPX, settlement.quantity, strike, official, trade.spx.multiplier)
    return replace(settlement, price=official, cash=cash, source="official SPX close", provisional=False)
