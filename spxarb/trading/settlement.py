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
from spxarb.core.broker_books import latest_revisions
from spxarb.core.exits import settlement_cash
from spxarb.core.matters import MatterKind, NewMatter
from spxarb.core.model import ZERO, ExitReason, LegName
from spxarb.core.records import Settlement, held
from spxarb.core.sessions import next_trading_day
from spxarb.core.settlement import OFFICIAL_AFTER, ClosingPrice, believable
from spxarb.core.stages import Stage
from spxarb.core.trades import TradeEvent, TradeState
from spxarb.trading import bookkeeping, matters
from spxarb.trading.assignment import doubt_about_shares, expect_shares, shares_came, spy_shares
from spxarb.trading.closing_prices import closing_prices
from spxarb.trading.market_calendar import closures_around, timetable, timetable_of
from spxarb.trading.settlement_stages import described, left_by_executions, record_stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from spxarb.core.records import Trade
    from spxarb.trading.closing_prices import Closes
    from spxarb.trading.connected import ConnectedJob

PATIENCE_DAYS = 2
"""For how many trading days an official close may stay out before a human hears of it."""


@dataclass(frozen=True, slots=True)
class _Expired:
    """A trade whose calls trade no more. Contracts are signed, short negative.

    `held`: what its own executions, and what others are known to have taken, leave. `shown`: what of it the
    account still shows. `taken`: whether others took any. `orders`: those whose end is not proven.
    `stages`: by which each leg is settled.
    """

    trade: Trade
    held: Mapping[LegName, Decimal]
    shown: Mapping[LegName, Decimal]
    orders: Sequence[str]
    settled: Mapping[LegName, Settlement]
    stages: Mapping[LegName, Stage]
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
    closes = await closing_prices(job, [expired.trade for expired in todo])
    today = job.now.date()
    if any(expired.trade.expiry == today for expired in todo):
        known = {leg: close.price for leg in LegName if (close := closes.of(leg, today)) is not None}
        job.ledger.days.add_closes(today, job.broker.account, known)
    notes = [note for expired in todo for note in _settle(job, expired, closes)]
    _summarize(job, [expired.trade for expired in todo])
    return [*notes, *closes.notes]


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
        stages={row.leg: row.stage for row in job.ledger.settlements.figures(trade.id)},
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


def _settle(job: ConnectedJob, expired: _Expired, closes: Closes) -> list[str]:
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
        left, at = left_by_executions(ledger, trade, job.now)
        bookkeeping.closed(ledger, left, ExitReason.EXPIRATION, at, note=_note(trade))
        return [f"trade {trade.id} is closed: nothing of it was held at the close"]
    rows = _settlements(job, expired, closes)
    if rows is None:
        bookkeeping.move(ledger, trade, TradeEvent.SESSION_OVER, note="its closing prices are not known")
        return []
    trade = bookkeeping.move(ledger, trade, TradeEvent.SESSION_OVER, note=_note(trade))
    ledger.settlements.replace(trade.id, [row for row, _ in rows])
    figures = [record_stage(ledger, row, stage) for row, stage in rows]
    spy = next((row for row, _ in rows if row.leg is LegName.SPY), None)
    expect_shares(job, trade, spy)
    if expired.taken:  # what others paid or got for it, the ledger cannot know
        bookkeeping.ended_by_others(
            ledger, _as_expired(job, trade), ExitReason.EXPIRATION, job.now, expired.taken
        )
    elif expired.held[LegName.SPY]:
        bookkeeping.settled_provisionally(ledger, _as_expired(job, trade), job.now)
    else:
        bookkeeping.settled_provisionally(ledger, *left_by_executions(ledger, trade, job.now))
    return [f"trade {trade.id}: {described(figure)}" for figure in figures]


def _note(trade: Trade) -> str:
    """The trade's note without what it was waiting for: that is known by now."""
    return "" if trade.state is TradeState.EXPIRED or trade.state.is_unproven else trade.note


def _settlements(
    job: ConnectedJob, expired: _Expired, closes: Closes
) -> list[tuple[Settlement, Stage]] | None:
    """A settlement for each leg that is held, and its stage; None while a closing price is not known."""
    trade, rows = expired.trade, []
    evening = job.ledger.days.closes(trade.expiry, job.broker.account)
    for leg, quantity in expired.held.items():
        known = expired.settled.get(leg)
        if not quantity:
            continue
        if known is not None and known.quantity == quantity:
            rows.append((known, expired.stages.get(leg, Stage.LAST_PRINT)))
            continue
        close = closes.of(leg, trade.expiry)
        if close is None and (price := evening[leg]) is not None:
            close = ClosingPrice(price, Stage.LAST_PRINT, f"{leg} price of that evening")
        row = None if close is None else _settled_at(job, trade, leg, quantity, close)
        if row is None or close is None:
            return None
        rows.append((row, close.stage))
    return rows


def _settled_at(
    job: ConnectedJob, trade: Trade, leg: LegName, quantity: Decimal, close: ClosingPrice
) -> Settlement | None:
    """What so many calls bring at a closing price; None without a strike."""
    contract = trade.contract(leg)
    if contract.strike is None:
        return None
    cash = settlement_cash(leg, quantity, contract.strike, close.price, contract.multiplier) + ZERO
    return Settlement(trade.id, leg, quantity, close.price, cash, close.source, job.now)


def _as_expired(job: ConnectedJob, trade: Trade) -> Trade:
    """The trade without the reason of an exit that was due and traded nothing: it expired."""
    sums = bookkeeping.pnl_of_trade(job.ledger, trade)
    if sums.spy_exit_price is None and sums.spx_exit_price is None and not trade.residual:
        return replace(trade, exit_reason=None)
    return trade


def _summarize(job: ConnectedJob, trades: Iterable[Trade]) -> None:
    """Rewrite the daily summaries of the days of these trades."""
    for day in sorted({trade.trade_date for trade in trades}):
        bookkeeping.summarize(job.ledger, day)


# --- the official close, and the next trading day -----------------------------------------------------


async def finalize(job: ConnectedJob) -> list[str]:
    """Restate settlements at the official close, and prove those of earlier days. Returns sentences.

    What a human must look at is kept as a matter, and stays provisional.
    """
    trades = job.ledger.trades.provisional()
    waiting = [trade for trade in trades if _official_is_due(job, trade) or _can_be_proven(job, trade)]
    if not waiting:
        return []
    closes = await closing_prices(job, [trade for trade in waiting if _lacks_official(job, trade)])
    notes = [note for trade in waiting for note in _restate(job, trade, closes)]
    for trade in waiting:
        if _can_be_proven(job, trade):
            notes += _prove(job, trade)
    _summarize(job, waiting)
    return [*notes, *closes.notes]


def _lacks_official(job: ConnectedJob, trade: Trade) -> list[LegName]:
    """Legs that are settled at a last print still."""
    later = {row.leg for row in job.ledger.settlements.figures(trade.id) if row.stage is not Stage.LAST_PRINT}
    rows = job.ledger.settlements.of_trade(trade.id)
    return [row.leg for row in rows if row.provisional and row.leg not in later]


def _official_is_due(job: ConnectedJob, trade: Trade) -> bool:
    due = timetable_of(trade, job.context.config).close + OFFICIAL_AFTER
    return job.now >= due and bool(_lacks_official(job, trade))


def _can_be_proven(job: ConnectedJob, trade: Trade) -> bool:
    """Whether the next trading day has opened: assigned shares are in the account before that."""
    day = timetable(_trading_day_after(job, trade.expiry), job.context.config)
    return day is not None and job.now >= day.open


def shares_in_doubt(job: ConnectedJob) -> list[NewMatter]:
    """Shares that expired calls may have become, for a job that only looks; `finalize` keeps them."""
    found = []
    for trade in [*bookkeeping.open_trades(job.ledger), *job.ledger.trades.provisional()]:
        if not _can_be_proven(job, trade):
            continue
        rows = job.ledger.settlements.of_trade(trade.id)
        spy = next((row for row in rows if row.leg is LegName.SPY), None)
        quantity = held(job.ledger.fills.of_trade(trade.id), LegName.SPY) if spy is None else spy.quantity
        price = None if spy is None else spy.price
        if quantity and (doubt := doubt_about_shares(job, trade, quantity, price)):
            found.append(NewMatter(MatterKind.SHARES.key(trade.id), doubt, trade.id))
    return found


def _trading_day_after(job: ConnectedJob, day: date, count: int = 1) -> date:
    for _ in range(count):
        day = next_trading_day(day, closed=closures_around(day, job.context.config).closed)
    return day


def _restate(job: ConnectedJob, trade: Trade, closes: Closes) -> list[str]:
    """Settle at the official close what was settled at a last print. Returns sentences."""
    notes, wanting = [], _lacks_official(job, trade)
    for row in job.ledger.settlements.of_trade(trade.id):
        close = closes.of(row.leg, trade.expiry)
        if row.leg not in wanting or close is None or close.stage is not Stage.OFFICIAL:
            continue
        if not believable(close.price, row.price) and _contradicts(job, trade, row, close):
            continue
        settled = _settled_at(job, trade, row.leg, row.quantity, close)
        if settled is None:
            continue
        figure = record_stage(job.ledger, settled, Stage.OFFICIAL)
        notes.append(f"trade {trade.id}: {described(figure)}")
        if row.leg is LegName.SPY:
            expect_shares(job, trade, settled)
    if notes:
        bookkeeping.update_pnl(job.ledger, trade)
    return notes


def _contradicts(job: ConnectedJob, trade: Trade, row: Settlement, close: ClosingPrice) -> bool:
    """Whether a human has yet to say that so different an official close is right."""
    text = (
        f"trade {trade.id}: {row.leg} closed at {close.price:f} by the {close.source}, and at {row.price:f} "
        f"by the {row.source}: compare with the statement; acknowledged, the official close counts"
    )
    finding = NewMatter(_contradiction(trade, row.leg), text, trade.id)
    return matters.needs_human(job.ledger, finding, job.now)


def _contradiction(trade: Trade, leg: LegName) -> str:
    """The key of the matter that two closes of one leg contradict each other."""
    return MatterKind.SETTLEMENT.key(f"{trade.id}:{leg}")


def _prove(job: ConnectedJob, trade: Trade) -> list[str]:
    """Make the settlement final, if no shares came of it and its official closes are known."""
    rows = job.ledger.settlements.of_trade(trade.id)
    spy = next((row for row in rows if row.leg is LegName.SPY), None)
    if shares_came(job, trade, spy):
        return []
    if (missing := _lacks_official(job, trade)) and _is_waited_for(job, trade, missing):
        legs = " and ".join(missing)
        return [f"trade {trade.id}: the official close of {legs} on {trade.expiry} is not known yet"]
    for row in rows:
        job.ledger.settlements.record(replace(row, provisional=False))
    bookkeeping.move(job.ledger, trade, TradeEvent.SETTLEMENT_PROVEN)
    return [f"trade {trade.id}: its settlement is final"]


def _is_waited_for(job: ConnectedJob, trade: Trade, missing: Sequence[LegName]) -> bool:
    """Whether official closes may still come; after days, whether no human has said that none will."""
    contradicted = {_contradiction(trade, leg) for leg in missing}
    if any(matter.key in contradicted for matter in job.ledger.matters.open()):
        return True
    if job.now.date() <= _trading_day_after(job, trade.expiry, PATIENCE_DAYS):
        return True
    text = (
        f"trade {trade.id}: the broker does not tell the official close of {' and '.join(missing)} on "
        f"{trade.expiry}: compare with the statement; acknowledged, its last print counts"
    )
    finding = NewMatter(MatterKind.SETTLEMENT.key(f"{trade.id}:not told"), text, trade.id)
    return matters.needs_human(job.ledger, finding, job.now)
