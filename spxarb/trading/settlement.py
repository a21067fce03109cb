"""Expired calls: settled provisionally after the close, proven or shown to be assigned on a later day.

SPXW calls settle in cash at the official SPX close. SPY calls deliver shares: their holders may exercise
after the close, and the API sends no event for an assignment. It shows only as the overnight change of the
SPY stock position (ib_async issue 93).

Evidence moves a trade here, no date does. It waits until every order of it is proven and until the account
shows no SPY call of it any more. Its settlements are made anew from what its executions leave held, so that
settling again changes nothing, and a fill that shows late replaces the settlement of its contracts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spxarb.core.account import BY_OTHERS
from spxarb.core.exits import settlement_cash
from spxarb.core.matters import MatterKind, NewMatter
from spxarb.core.model import ZERO, ExitReason, LegName, latest_revisions
from spxarb.core.records import Settlement, held
from spxarb.core.sessions import next_trading_day, previous_trading_day
from spxarb.core.trades import TradeEvent, TradeState
from spxarb.trading import bookkeeping, matters
from spxarb.trading.market import underlyings
from spxarb.trading.market_calendar import closures_around, timetable, timetable_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class _Expired:
    """A trade whose calls trade no more. Contracts are signed, short negative.

    `held`: what its own executions, and what others are known to have taken, leave. `shown`: what of it the
    account still shows. `taken`: whether others took any. `orders`: those whose end is not proven.
    """

    trade: Trade
    held: Mapping[LegName, Decimal]
    shown: Mapping[LegName, Decimal]
    orders: Sequence[str]
    settled: Mapping[LegName, Settlement]
    taken: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether its settlements are those of exactly what was held."""
        quantities = {leg: row.quantity for leg, row in self.settled.items()}
        return not self.trade.is_open and quantities == {leg: q for leg, q in self.held.items() if q}

    @property
    def waits_for(self) -> str:
        """Why it cannot be settled yet, whatever the prices; empty when it can."""
        if self.orders:
            return f"how order {', '.join(self.orders)} ended is not known"
        if calls := self.shown[LegName.SPY]:
            kind, fate = ("short", "assigned") if calls < 0 else ("long", "exercised")
            return (
                f"the account still shows {abs(calls):.0f} {kind} SPY calls after the close: they may be "
                f"{fate} overnight"
            )
        if (calls := self.shown[LegName.SPX]) and not self.held[LegName.SPX]:
            return (
                f"the account shows {calls:+.0f} SPX calls after the close that its executions do not leave"
            )
        return ""


def has_expired(job: ConnectedJob, trade: Trade) -> bool:
    """Whether the last session of the trade's calls is over."""
    return job.now >= timetable_of(trade, job.context.config).close


# --- after the close --------------------------------------------------------------------------------


async def settle_expired(job: ConnectedJob) -> list[str]:
    """Settle every trade whose calls have expired, as far as it can be shown what was held.

    Returns sentences. What cannot be settled stays open, with the reason in its note.
    """
    trades = [*bookkeeping.open_trades(job.ledger), *job.ledger.trades.provisional()]
    trades = [trade for trade in trades if has_expired(job, trade)]
    if any(trade.expiry == job.now.date() for trade in trades):
        job.ledger.days.add_baseline(job.now.date(), job.broker.account, spy_shares(job.snapshot), job.now)
    todo = [expired for expired in (_expired(job, trade) for trade in trades) if not _in_order(expired)]
    if not todo:
        return []
    under = await _closing_prices(job)
    today = job.now.date()
    if any(expired.trade.expiry == today for expired in todo):
        closes = {leg: _close_of(job, today, quote) for leg, quote in _quotes(under).items()}
        job.ledger.days.add_closes(today, job.broker.account, closes)
    notes = [note for expired in todo for note in _settle(job, expired, under)]
    _summarize(job, [expired.trade for expired in todo])
    return notes


def _in_order(expired: _Expired) -> bool:
    return expired.is_settled and not expired.waits_for


def _expired(job: ConnectedJob, trade: Trade) -> _Expired:
    fills = job.ledger.fills.of_trade(trade.id)
    return _Expired(
        trade=trade,
        held={leg: held(fills, leg) - job.gone(trade, leg) for leg in LegName},
        shown={leg: shown(job, trade, leg) for leg in LegName},
        orders=[record.ref for record in job.ledger.orders.of_trade(trade.id) if not record.final],
        settled={row.leg: row for row in job.ledger.settlements.of_trade(trade.id)},
        taken="; ".join(finding.text for finding in job.differences(trade) if finding.kind in BY_OTHERS),
    )


def shown(job: ConnectedJob, trade: Trade, leg: LegName) -> Decimal:
    """Contracts of the leg that the account still shows and that may be this trade's; short negative.

    What it held before our first order there, and what others traded there today, is not.
    """
    con_id = trade.contract(leg).con_id
    position = sum((row.quantity for row in job.snapshot.positions if row.con_id == con_id), start=ZERO)
    orders = (record for record in job.ledger.orders.of_trade(trade.id) if record.leg is leg)
    before = next((record.overnight for record in orders if record.overnight is not None), ZERO)
    rows = latest_revisions(row for row in job.snapshot.todays_executions if row.con_id == con_id)
    others = (row for row in rows if job.executor.fill_of(row) is None)
    ours = position - before - sum((row.quantity * row.side.sign for row in others), start=ZERO)
    if position * ours <= 0:
        return ZERO
    return min(position, ours, key=abs)


def _settle(job: ConnectedJob, expired: _Expired, under: Underlyings) -> list[str]:
    """Settle one trade anew from what is held, or say what it waits for. Returns sentences."""
    ledger, trade = job.ledger, expired.trade
    if not trade.is_open:
        trade = bookkeeping.move(ledger, trade, TradeEvent.HELD)
    if expired.orders:
        bookkeeping.not_proven(ledger, trade, expired.waits_for)
        return []
    if why := expired.waits_for:
        bookkeeping.move(ledger, trade, TradeEvent.SESSION_OVER, note=why)
        return []
    if not any(expired.held.values()) and not expired.taken:
        reason = ExitReason.ENTRY_UNWOUND if trade.state.entry_interrupted else ExitReason.EXPIRATION
        bookkeeping.closed(ledger, trade, reason, job.now)
        return [f"trade {trade.id} is closed: nothing of it was held at the close"]
    rows = _settlements(job, expired, under)
    if rows is None:
        bookkeeping.move(ledger, trade, TradeEvent.SESSION_OVER, note="its closing prices are not known")
        return []
    waited = trade.state is TradeState.EXPIRED
    trade = bookkeeping.move(ledger, trade, TradeEvent.SESSION_OVER, note="" if waited else trade.note)
    ledger.settlements.replace(trade.id, rows)
    if expired.taken:  # what others paid or got for it, the ledger cannot know
        bookkeeping.ended_by_others(
            ledger, _as_expired(job, trade), ExitReason.EXPIRATION, job.now, expired.taken
        )
    else:
        bookkeeping.settled_provisionally(ledger, _as_expired(job, trade), job.now)
    return [
        f"trade {trade.id}: {row.quantity:+.0f} {row.leg} calls settled at {row.price:f} for "
        f"{row.cash:+,.2f} dollars"
        for row in rows
    ]


def _settlements(job: ConnectedJob, expired: _Expired, under: Underlyings) -> list[Settlement] | None:
    """A settlement for each leg that is held; None while a closing price is not known."""
    trade, rows = expired.trade, []
    quotes, closes = _quotes(under), job.ledger.days.closes(trade.expiry, job.broker.account)
    for leg, quantity in expired.held.items():
        known, strike = expired.settled.get(leg), trade.contract(leg).strike
        if not quantity:
            continue
        if known is not None and known.quantity == quantity:
            rows.append(known)
            continue
        price = _close_of(job, trade.expiry, quotes[leg]) or closes[leg]
        if price is None or strike is None:
            return None
        cash = settlement_cash(leg, quantity, strike, price, trade.contract(leg).multiplier) + ZERO
        rows.append(Settlement(trade.id, leg, quantity, price, cash, f"{leg} last trade", job.now))
    return rows


def _as_expired(job: ConnectedJob, trade: Trade) -> Trade:
    """The trade without the reason of an exit that was due and traded nothing: it expired."""
    sums = bookkeeping.pnl_of_trade(job.ledger, trade)
    if sums.spy_exit_price is None and sums.spx_exit_price is None and not trade.residual:
        return replace(trade, exit_reason=None)
    return trade


def _quotes(under: Underlyings) -> dict[LegName, Quote]:
    return {LegName.SPX: under.spx_quote, LegName.SPY: under.spy_quote}


async def _closing_prices(job: ConnectedJob) -> Underlyings:
    """SPX and SPY; a last price is enough, for there are no quotes after the close."""
    timeout = job.context.config.execution.quote_timeout_seconds
    return await underlyings(job.broker, timeout, lambda _, quote: quote.last is not None)


def _close_of(job: ConnectedJob, expiry: date, quote: Quote) -> Decimal | None:
    """The underlying's close on `expiry`: today's last price or the previous close; None: neither fits."""
    today = job.now.date()
    if expiry == today:
        return quote.last
    closed = closures_around(today, job.context.config).closed
    # Tick 9 (close) is the previous session's on a trading day; on a Saturday or holiday it can be a day
    # older (ib_insync issue 321).
    return quote.close if expiry == previous_trading_day(today, closed=closed) else None


def _summarize(job: ConnectedJob, trades: Iterable[Trade]) -> None:
    """Rewrite the daily summaries of the days of these trades."""
    for day in sorted({trade.trade_date for trade in trades}):
        bookkeeping.summarize(job.ledger, day)


# --- the next trading day ---------------------------------------------------------------------------


def spy_shares(snapshot: BrokerSnapshot) -> Decimal:
    """The account's SPY stock, shares; short negative."""
    stock = (row.quantity for row in snapshot.positions if (row.symbol, row.sec_type) == ("SPY", "STK"))
    return sum(stock, start=ZERO)


def spy_shares_overnight(snapshot: BrokerSnapshot) -> Decimal:
    """The account's SPY stock before the day's executions, shares; short negative."""
    rows = (row for row in snapshot.todays_executions if (row.symbol, row.sec_type) == ("SPY", "STK"))
    traded = (row.quantity * row.side.sign for row in latest_revisions(rows))
    return spy_shares(snapshot) - sum(traded, start=ZERO)


async def finalize(job: ConnectedJob) -> list[str]:
    """Prove the settlements of earlier days, or say what a human must look at. Returns sentences."""
    waiting = [trade for trade in job.ledger.trades.provisional() if _can_be_proven(job, trade)]
    if not waiting:
        return []
    under = await _closing_prices(job)
    notes = [note for trade in waiting for note in _finalize(job, trade, under.spx_quote)]
    _summarize(job, waiting)
    return notes


def _can_be_proven(job: ConnectedJob, trade: Trade) -> bool:
    """Whether the next trading day has opened: assigned shares are in the account before that."""
    closed = closures_around(trade.expiry, job.context.config).closed
    day = timetable(next_trading_day(trade.expiry, closed=closed), job.context.config)
    return day is not None and job.now >= day.open


def shares_in_doubt(job: ConnectedJob) -> list[NewMatter]:
    """Shares that expired calls may have become, for a job that only looks; `finalize` keeps them."""
    found = []
    for trade in [*bookkeeping.open_trades(job.ledger), *job.ledger.trades.provisional()]:
        if not _can_be_proven(job, trade):
            continue
        settled = {row.leg: row.quantity for row in job.ledger.settlements.of_trade(trade.id)}
        quantity = settled.get(LegName.SPY) or held(job.ledger.fills.of_trade(trade.id), LegName.SPY)
        if quantity and (doubt := _doubt_about_shares(job, trade, quantity)):
            found.append(NewMatter(MatterKind.SHARES.key(trade.id), doubt, trade.id))
    return found


def _finalize(job: ConnectedJob, trade: Trade, spx_quote: Quote) -> list[str]:
    settlements = job.ledger.settlements.of_trade(trade.id)
    spy = next((row for row in settlements if row.leg is LegName.SPY), None)
    doubt = "" if spy is None else _doubt_about_shares(job, trade, spy.quantity)
    if doubt:
        finding = NewMatter(MatterKind.SHARES.key(trade.id), doubt, trade.id)
        if matters.needs_human(job.ledger, finding, job.now):
            return []
    official = _close_of(job, trade.expiry, spx_quote)
    for settlement in settlements:
        job.ledger.settlements.record(_final(trade, settlement, official))
    bookkeeping.move(job.ledger, trade, TradeEvent.SETTLEMENT_PROVEN)
    return [f"trade {trade.id}: its settlement is final"]


def _doubt_about_shares(job: ConnectedJob, trade: Trade, quantity: Decimal) -> str:
    """Why shares of expired SPY calls, signed, may have been assigned; empty when the account shows none."""
    calls = f"trade {trade.id} expired with {abs(quantity):.0f} SPY calls open"
    baseline = job.ledger.days.baseline(trade.expiry, job.broker.account)
    if baseline is None:
        return (
            f"{calls}, and how many SPY shares the account held that evening is not known: compare with the "
            "statement whether shares were assigned"
        )
    change = spy_shares_overnight(job.snapshot) - baseline
    if not change:
        return ""
    return (
        f"{calls}, and the account's SPY stock has changed by {change:+.0f} shares since: compare with the "
        "statement whether they were assigned; spxarb trades no shares"
    )


def _final(trade: Trade, settlement: Settlement, official: Decimal | None) -> Settlement:
    """The settlement made final, at the official SPX close where it is known by now."""
    price, strike = settlement.price, trade.spx.strike
    near = official is not None and abs(official - price) * RESTATE_WITHIN < price
    if settlement.leg is not LegName.SPX or official is None or not near or strike is None:
        return replace(settlement, provisional=False)
    cash = settlement_cash(LegName.SPX, settlement.quantity, strike, official, trade.spx.multiplier)
    return replace(settlement, price=official, cash=cash, source="official SPX close", provisional=False)
