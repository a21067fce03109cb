"""Expired calls: settled provisionally after the close, proven or shown to be assigned the next morning.

SPXW calls settle in cash at the official SPX close. SPY calls deliver shares: their holders may exercise
after the close, and the API sends no event for an assignment. It shows only as the overnight change of the
SPY stock position (ib_async issue 93).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.core.exits import settlement_cash
from spxarb.core.model import ZERO, ExitReason, LegName
from spxarb.core.records import Settlement
from spxarb.core.sessions import next_trading_day, previous_trading_day
from spxarb.core.trades import TradeEvent
from spxarb.trading import bookkeeping
from spxarb.trading.market import underlyings
from spxarb.trading.market_calendar import closures_around, timetable_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from decimal import Decimal

    from spxarb.core.model import BrokerSnapshot, Quote
    from spxarb.core.records import Trade
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.market import Underlyings

RESTATE_WITHIN = 100
"""The official close replaces a provisional price only if it is within 1/100 of it: a sanity bound.

It does differ: on 2025-04-30 SPX stopped at 5560.83 on screen and settled at 5569.06.
"""


def has_expired(job: ConnectedJob, trade: Trade) -> bool:
    """Whether the last session of the trade's calls is over."""
    return job.now >= timetable_of(trade, job.context.config).close


async def settle_expired(job: ConnectedJob) -> list[str]:
    """Settle every open trade whose calls have expired. Returns sentences; problems go into the findings."""
    expired = [trade for trade in bookkeeping.open_trades(job.ledger) if has_expired(job, trade)]
    if not expired:
        return []
    under = await _closing_prices(job)
    notes = []
    for trade in expired:
        prices = {
            LegName.SPX: _close_of(job, trade.expiry, under.spx_quote),
            LegName.SPY: _close_of(job, trade.expiry, under.spy_quote),
        }
        notes += _settle(job, trade, prices)
    job.ledger.days.set_baseline(job.now.date(), job.broker.account, spy_shares(job.snapshot), job.now)
    _summarize(job, expired)
    return notes


async def _closing_prices(job: ConnectedJob) -> Underlyings:
    """SPX and SPY; a last price is enough, for there are no quotes after the close."""
    timeout = job.context.config.execution.quote_timeout_seconds
    return await underlyings(job.broker, timeout, lambda _, quote: quote.last is not None)


def _summarize(job: ConnectedJob, trades: Iterable[Trade]) -> None:
    """Rewrite the daily summaries of the days of these trades."""
    for day in sorted({trade.trade_date for trade in trades}):
        bookkeeping.summarize(job.ledger, day)


def _close_of(job: ConnectedJob, expiry: date, quote: Quote) -> Decimal | None:
    """The underlying's close on `expiry`: today's last price or the previous close; None: neither fits."""
    today = job.now.date()
    if expiry == today:
        return quote.last
    closed = closures_around(today, job.context.config).closed
    # Tick 9 (close) is the previous session's on a trading day; on a Saturday or holiday it can be a day
    # older (ib_insync issue 321).
    return quote.close if expiry == previous_trading_day(today, closed=closed) else None


def _settle(job: ConnectedJob, trade: Trade, prices: dict[LegName, Decimal | None]) -> list[str]:
    """Settle what is held of one trade and close it; it stays open while a closing price is missing."""
    sums = bookkeeping.pnl_of_trade(job.ledger, trade)
    notes: list[str] = []
    for leg, quantity in ((LegName.SPX, sums.spx_held), (LegName.SPY, sums.spy_held)):
        price, strike = prices[leg], trade.contract(leg).strike
        if not quantity:
            continue
        if price is None or strike is None:
            job.human_needed(f"trade {trade.id} is not settled: the closing price of {leg} is not known")
            return notes
        cash = settlement_cash(leg, quantity, strike, price, trade.contract(leg).multiplier) + ZERO
        source = f"{leg} last trade after the close"
        job.ledger.settlements.record(
            Settlement(trade.id, leg, quantity, price, cash, source, job.now, provisional=True)
        )
        notes.append(
            f"trade {trade.id}: {quantity:+.0f} {leg} calls settled at {price:f} for {cash:+,.2f} dollars"
        )
        if leg is LegName.SPY and cash:
            job.human_needed(
                f"trade {trade.id} expired with {abs(quantity):.0f} "
                f"{'short' if quantity < 0 else 'long'} SPY calls in the money: shares will be "
                f"{'assigned' if quantity < 0 else 'bought'} overnight (about {quantity * 100:+.0f} SPY)"
            )
    if (
        notes and sums.spy_exit_price is None and sums.spx_exit_price is None
    ):  # an exit was due, nothing filled
        trade = replace(trade, exit_reason=None)
    if notes:
        trade = bookkeeping.move(job.ledger, trade, TradeEvent.SESSION_OVER)
        bookkeeping.settled_provisionally(job.ledger, trade, job.now)
    else:
        bookkeeping.closed(job.ledger, trade, ExitReason.EXPIRATION, job.now)
    return notes


def spy_shares(snapshot: BrokerSnapshot) -> Decimal:
    """The account's SPY stock, shares; short negative."""
    stock = (row.quantity for row in snapshot.positions if (row.symbol, row.sec_type) == ("SPY", "STK"))
    return sum(stock, start=ZERO)


async def finalize(job: ConnectedJob) -> list[str]:
    """On a later day make settlements final, or report assigned shares. Returns sentences."""
    waiting = [trade for trade in job.ledger.trades.provisional() if trade.expiry < job.now.date()]
    if not waiting:
        return []
    under = await _closing_prices(job)
    notes = [_finalize(job, trade, under.spx_quote) for trade in waiting]
    _summarize(job, waiting)
    return notes


def _finalize(job: ConnectedJob, trade: Trade, spx_quote: Quote) -> str:
    settlements = job.ledger.settlements.of_trade(trade.id)
    if any(settlement.leg is LegName.SPY for settlement in settlements):
        change = spy_shares(job.snapshot) - (
            job.ledger.days.baseline(trade.expiry, job.broker.account) or ZERO
        )
        if change and not _next_day_over(job, trade):
            why = (
                f"trade {trade.id} expired with SPY calls open, and SPY stock changed by {change:+.0f} shares"
            )
            job.human_needed(f"{why}: spxarb does not close assigned shares")
            return why
    official = _close_of(job, trade.expiry, spx_quote)
    for settlement in settlements:
        job.ledger.settlements.record(_final(trade, settlement, official))
    bookkeeping.move(job.ledger, trade, TradeEvent.SETTLEMENT_PROVEN)
    return f"trade {trade.id}: its settlement is final"


def _next_day_over(job: ConnectedJob, trade: Trade) -> bool:
    """Whether the trading day after expiry is over; what happens to the shares later is not the trade's."""
    closed = closures_around(trade.expiry, job.context.config).closed
    return job.now.date() > next_trading_day(trade.expiry, closed=closed)


def _final(trade: Trade, settlement: Settlement, official: Decimal | None) -> Settlement:
    """The settlement made final, at the official SPX close where it is known by now."""
    price, strike = settlement.price, trade.spx.strike
    near = official is not None and abs(official - price) * RESTATE_WITHIN < price
    if settlement.leg is not LegName.SPX or official is None or not near or strike is None:
        return replace(settlement, provisional=False)
    cash = settlement_cash(LegName.SPX, settlement.quantity, strike, official, trade.spx.multiplier)
    return replace(settlement, price=official, cash=cash, source="official SPX close", provisional=False)
