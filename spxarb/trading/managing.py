"""Looking after open spreads: hold or exit each.

What the clock says, or an exit that was begun, is obeyed at once. What only prices say is looked at twice.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spxarb.core.account import BY_OTHERS, UNHEDGED, Break
from spxarb.core.exits import (
    ExitView,
    confirmed_signal,
    day_breached,
    exit_reasons,
    exit_signal,
    needs_second_look,
)
from spxarb.core.model import ExitReason
from spxarb.core.order_words import Purpose
from spxarb.core.results.actions import Action
from spxarb.errors import GatewayError
from spxarb.trading import bookkeeping, hand_over
from spxarb.trading.exits import KEPT, ExitResult, exit_alone
from spxarb.trading.greeks import mark_of
from spxarb.trading.market import calendar_doubt
from spxarb.trading.market_calendar import timetable_of
from spxarb.trading.marks import data_trouble, mark_trades, not_live, second_look
from spxarb.trading.settlement import has_expired

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from spxarb.core.records import Trade
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.marks import MarkedTrade


@dataclass(frozen=True, slots=True)
class Managed:
    """One open spread: as it was marked, why it had to be exited (None: it is held), and what came of it.

    `note`: what else is to be told of it, a sentence without a full stop.
    """

    marked: MarkedTrade
    reason: ExitReason | None
    exited: ExitResult
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Decided:
    """One open spread, and what the looks at it say."""

    marked: MarkedTrade
    reason: ExitReason | None
    note: str = ""


async def manage_open(job: ConnectedJob, *, of_today: bool) -> list[Managed]:
    """Mark every open spread, decide, keep what was seen, then hold or exit each.

    `of_today`: those whose calls trade today, or later; else those of earlier days.
    """
    today, trades = job.now.date(), bookkeeping.open_trades(job.ledger)
    trades = [trade for trade in trades if (trade.expiry >= today) is of_today]
    if not trades:
        return []
    marked_trades = await mark_trades(job, trades)
    with suppress(GatewayError):  # the time that the connection began with is enough to leave
        await job.clock.ask(job.broker)
    decided = await _decide(job, marked_trades)
    if not job.dry_run:
        _mark(job, [one.marked for one in decided])
    return [await _manage(job, one) for one in decided]


async def _manage(job: ConnectedJob, one: _Decided) -> Managed:
    """Hold or exit one spread."""
    marked, trade = one.marked, one.marked.trade
    if trade.handed_over:
        action, note = hand_over.looked_after(job, marked)
        if action is Action.HELD and (known := hand_over.informed(job, marked, one.reason)):
            note = f"{note}: {known}"
        return Managed(marked, None, ExitResult(action), note)
    if not trade.can_exit:
        return Managed(marked, None, ExitResult(Action.CLOSED, trade.residual))
    if trade.state.entry_interrupted:  # in a dry run not tried, else tried and not achieved
        exited = ExitResult(Action.FAILED, why=f"Trade {trade.id}: {trade.note}")
        due = job.now >= timetable_of(trade, job.context.config).exit_at or _unhedged(job, trade)
        if job.dry_run:
            exited = ExitResult(Action.WOULD_CLOSE)
        elif due and not has_expired(job, trade):  # whatever it is in doubt about, it must not be held longer
            exited = await exit_alone(job, trade, ExitReason.ENTRY_UNWOUND, Purpose.UNWIND)
        return Managed(marked, ExitReason.ENTRY_UNWOUND, exited)
    if one.reason is None:
        return Managed(marked, None, KEPT, one.note)
    exited = ExitResult(Action.WOULD_CLOSE) if job.dry_run else await exit_alone(job, trade, one.reason)
    return Managed(marked, one.reason, exited, one.note)


# --- decisions ----------------------------------------------------------------------------------------


async def _decide(job: ConnectedJob, marked_trades: Sequence[MarkedTrade]) -> list[_Decided]:
    """What is to be done with each spread. Where only prices ask for an exit, they are looked at again."""
    trades = {one.trade.id: one.trade for one in marked_trades}
    first = _views(job, marked_trades)
    doubtful = {
        trade_id
        for trade_id, view in first.items()
        if needs_second_look(exit_reasons(view, job.context.exit_limits(trades[trade_id])))
    }
    if not doubtful and not _breach_to_confirm(job, trades, first):
        return [_Decided(marked, _reason(job, marked, first)) for marked in marked_trades]
    again = {one.trade.id: one for one in await second_look(job, [one.trade for one in marked_trades])}
    later = [_merged(marked, again.get(marked.trade.id)) for marked in marked_trades]
    second = _views(job, later)
    _keep_breach(job, trades, first, second)
    decided = []
    for marked in later:
        trade = marked.trade
        reason, note = _reason(job, marked, first, second), ""
        if reason is None and trade.id in doubtful:
            seen = exit_signal(first[trade.id], job.context.exit_limits(trade))
            note = f"Trade {trade.id}: one look at the prices showed {seen}, the next did not, so it is held"
        decided.append(_Decided(marked, reason, note))
    return decided


def _breached(job: ConnectedJob, trades: dict[int, Trade], views: dict[int, ExitView]) -> Decimal | None:
    """What the day has lost, dollars, where that is more than its limit; None where it is not."""
    for trade_id, view in views.items():
        if day_breached(view, job.context.exit_limits(trades[trade_id])) and view.daily_pnl is not None:
            return -view.daily_pnl
    return None


def _breach_to_confirm(job: ConnectedJob, trades: dict[int, Trade], views: dict[int, ExitView]) -> bool:
    """Whether one look shows a breach of the day's limit that nothing is exited for, and nobody has kept.

    It stops the day's entries once it is seen twice; an exit that is due for another reason does not wait.
    """
    due = any(exit_signal(view, job.context.exit_limits(trades[key])) for key, view in views.items())
    if due or _breached(job, trades, views) is None:
        return False
    return not job.ledger.stops.reason(job.now.date())


def _keep_breach(
    job: ConnectedJob, trades: dict[int, Trade], first: dict[int, ExitView], second: dict[int, ExitView]
) -> None:
    """A loss of the day beyond its limit that two looks have shown ends the day's entries."""
    lost = _breached(job, trades, second)
    if job.dry_run or lost is None or _breached(job, trades, first) is None:
        return
    most = job.context.exit_limits(next(iter(trades.values()))).max_daily_loss
    with job.context.beside():
        bookkeeping.stop_entries(job.ledger, job.now.date(), job.now, lost, most)


def _reason(
    job: ConnectedJob,
    marked: MarkedTrade,
    first: dict[int, ExitView],
    second: dict[int, ExitView] | None = None,
) -> ExitReason | None:
    """Why the spread must be exited now; an exit that was begun is continued."""
    trade = marked.trade
    if trade.id not in first:
        return trade.exit_reason
    limits = job.context.exit_limits(trade)
    if second is None:
        due = exit_signal(first[trade.id], limits)
    else:
        due = confirmed_signal(first[trade.id], second[trade.id], limits)
    return (
        ExitReason.EMERGENCY if due is None and (_unhedged(job, trade) or _taken_whole(job, marked)) else due
    )


def _unhedged(job: ConnectedJob, trade: Trade) -> bool:
    """Whether a leg is without the other. SPX is not alone because the account hides SPY from one look."""
    kinds = {finding.kind for finding in job.differences(trade)} & UNHEDGED
    return bool(kinds - {Break.ALONE}) or (bool(kinds) and not job.hidden(trade))


def _taken_whole(job: ConnectedJob, marked: MarkedTrade) -> bool:
    """Whether others closed all that was held of a spread, by their executions: it is over."""
    found = job.differences(marked.trade)
    by_others = bool(found) and all(finding.kind in BY_OTHERS for finding in found)
    return by_others and not (marked.spx_held or marked.spy_held)


def _views(job: ConnectedJob, marked_trades: Sequence[MarkedTrade]) -> dict[int, ExitView]:
    """What one look shows of each spread of which it decides, by trade.

    The day's loss is that of what is known: a quote that is missing hides no loss that is there without it.
    """
    certain = bookkeeping.pnl_certain(job.ledger, job.now.date(), [one.certain for one in marked_trades])
    return {
        one.trade.id: ExitView(
            now=job.now,
            day=timetable_of(one.trade, job.context.config),
            spy_price=one.spy_price,
            spy_strike=one.trade.spy.strike,
            pnl=one.pnl,
            daily_pnl=certain,
        )
        for one in marked_trades
        if one.trade.handed_over
        or (one.trade.exit_reason is None and one.trade.can_exit and not one.trade.state.entry_interrupted)
    }


def _merged(first: MarkedTrade, second: MarkedTrade | None) -> MarkedTrade:
    """The second look; what it does not show is as the first has shown it (see `confirmed_signal`)."""
    if second is None:
        return first
    return replace(
        second,
        pnl=first.pnl if second.pnl is None else second.pnl,
        certain=first.certain if second.pnl is None and first.pnl is not None else second.certain,
    )


def _mark(job: ConnectedJob, marked_trades: Sequence[MarkedTrade]) -> None:
    """Keep what was seen, for the day's drawdown and the report."""
    for marked in marked_trades:
        with job.context.beside():
            job.ledger.trades.add_mark(mark_of(job, marked))
    total = bookkeeping.pnl_of_day(job.ledger, job.now.date(), [marked.pnl for marked in marked_trades])
    if total is not None:
        with job.context.beside():
            job.ledger.days.add_mark(job.now.date(), job.now, total)


# --- what a human should hear -------------------------------------------------------------------------


def worth_hearing(job: ConnectedJob, managed: Sequence[Managed]) -> list[str]:
    """What a human should hear though it is no emergency, in sentences."""
    watched = [one for one in managed if one.marked.trade.can_exit]
    blind = [
        f"Trade {one.marked.trade.id}: a quote is missing, so its loss limit cannot be checked."
        for one in watched
        if one.marked.quote_missing and one.reason is None
    ]
    unknown = [
        f"trade {one.marked.trade.id}" for one in watched if one.marked.pnl is None and one.reason is None
    ]
    known = [one for one in managed if one.marked.certain is not None]
    realised = bookkeeping.realized(job.ledger.trades.of_day(job.now.date()))
    if unknown and (known or realised) and job.context.limits.emergency_exit_enabled:
        without = ", ".join(unknown)
        blind.append(f"The day's loss limit is checked without {without}: what it makes is not known.")
    return [
        *blind,
        *_breach_held(job, watched),
        *data_trouble(job, [one.marked for one in watched]),
        *not_live(one.marked for one in watched),
        *_other_hours(job, watched),
    ]


def _breach_held(job: ConnectedJob, watched: Sequence[Managed]) -> list[str]:
    """That the day is beyond its limit while spreads are held, for the emergency exit is off."""
    breach = job.ledger.stops.reason(job.now.date())
    held = ", ".join(
        f"trade {one.marked.trade.id}"
        for one in watched
        if one.reason is None and not job.context.exit_limits(one.marked.trade).emergency_exit_enabled
    )
    if not breach or not held:
        return []
    off = "risk_management.emergency_exit_enabled is off"
    return [f"Entries are stopped for today: {breach}. It is {held} that stays open, for {off}."]


def _other_hours(job: ConnectedJob, watched: Sequence[Managed]) -> list[str]:
    """Where the broker's hours of SPY are not those of the exit by time: the exchange may close early."""
    if not watched or not job.underlyings:
        return []
    told = job.broker.hours(job.underlyings[1].con_id, job.now.date())
    days = {timetable_of(one.marked.trade, job.context.config) for one in watched}
    doubts = {day.exit_at: calendar_doubt(day, told) for day in days if told and day.day == told.day}
    return [
        f"{doubt}: the exit by time is due at {exit_at:%H:%M}; if that is too late, run `spxarb close-all`."
        for exit_at, doubt in doubts.items()
        if doubt
    ]
