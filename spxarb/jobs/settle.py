"""`settle`: after the close, reconcile, settle, write the day's summary."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import time, timedelta
from typing import TYPE_CHECKING

from spxarb.core.results.report_rows import DayRow, SettlementRow, TradeRow
from spxarb.core.results.rows import readable_rows
from spxarb.core.results.settle import SettleResult
from spxarb.errors import GatewayError, HumanNeededError, RefusedError, UsageError
from spxarb.trading import bookkeeping, hand_over, recovery, settlement
from spxarb.trading.escalation import escalated, human_needed
from spxarb.trading.market_calendar import timetable, timetable_of
from spxarb.trading.quiet import all_quiet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from spxarb.core.sessions import TradingDay
    from spxarb.trading.context import JobContext

LONGEST_CLOSURE_DAYS = 10


def run(context: JobContext, *, day: date | None) -> SettleResult:
    """Settle what has expired, write the summary of `day` (default: the latest trading day).

    Raises UsageError for a day without trading or one that has not begun; GatewayError, RefusedError,
    LockedError, and HumanNeededError when a trade is open that must not be.
    """
    try:
        with escalated(context), context.locked():
            now = context.now()
            if context.config.trading.mode != "sim" and all_quiet(context, now):
                result = _finish(context, _the_day(context, day, now), now)
            else:
                result = context.in_time(_settle(context, day))
    except (GatewayError, RefusedError, HumanNeededError):
        _daily_backup(context, failed=True)  # a day in trouble is one to keep
        raise
    file, told = _daily_backup(context)
    return replace(result, backup=file, notes=(*result.notes, *filter(None, [told])))


def _daily_backup(context: JobContext, *, failed: bool = False) -> tuple[str | None, str]:
    """The day's backup: its file, and what to tell. Whatever comes of it, what was settled is settled.

    Of a day with a session it is made after its close alone, unless this run failed.
    """
    from spxarb.trading.backups import daily_backup  # noqa: PLC0415 -- only this verb needs it

    now, close = context.now(), time.min
    with suppress(Exception):  # then one is made at once
        if (hours := _hours(context, now.date())) is not None:
            if now < hours.close and not failed:
                return None, ""
            close = hours.close.time()
    file, told = daily_backup(context.config, context.ledger, now, close)
    if told and file is None:
        context.alert(told)
    return (None if file is None else str(file)), told


async def _settle(context: JobContext, day: date | None) -> SettleResult:
    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- ib_insync comes with it

    async with connect_job(context) as job:
        day = _the_day(context, day, job.now)
        await job.reconcile()
        notes = [*await recovery.recover_entries(job), *await hand_over.complete(job)]
        await job.reported_fees(whatever_is_open=True)
        notes += await settlement.settle_expired(job)
        notes += await settlement.finalize(job)
        waiting = [
            trade for trade in bookkeeping.open_trades(job.ledger) if not settlement.has_expired(job, trade)
        ]
        notes += [f"trade {trade.id} is still open: settle again after its close" for trade in waiting]
        await job.verify()
        return _finish(context, day, job.now, notes, job.findings.unproven)


def _the_day(context: JobContext, asked: date | None, now: datetime) -> date:
    """The day whose summary is wanted: a trading day that has begun. Raises UsageError for another."""
    if asked is None:
        return _latest(context, now)
    hours = _hours(context, asked)
    if hours is None:
        raise UsageError(f"{asked} is no trading day; nothing was changed. Name another day with --date")
    if now < hours.open:
        raise UsageError(f"{asked} has not begun at {now:%Y-%m-%d %H:%M}; nothing was changed")
    return asked


def _hours(context: JobContext, day: date) -> TradingDay | None:
    """The day's timetable: the one stored with a trade of that day, whatever the calendar says by now."""
    for trade in context.ledger.trades.of_day(day):
        return timetable_of(trade, context.config)
    return timetable(day, context.config)


def _is_over(context: JobContext, day: date, now: datetime) -> bool:
    """Whether the day's session is over."""
    hours = _hours(context, day)
    return hours is None or now >= hours.close


def _latest(context: JobContext, now: datetime) -> date:
    """The last day with trading hours that have begun."""
    day = now.date()
    for _ in range(LONGEST_CLOSURE_DAYS):
        hours = _hours(context, day)
        if hours is not None and now >= hours.open:
            return day
        day -= timedelta(days=1)
    return now.date()


def _finish(
    context: JobContext, day: date, now: datetime, notes: Sequence[str] = (), unproven: Sequence[str] = ()
) -> SettleResult:
    ledger = context.ledger
    bookkeeping.summarize(ledger, day)
    days, no_days = readable_rows(DayRow, ledger.days.summary_rows(day, day), "The summary")
    trades, no_trades = readable_rows(TradeRow, ledger.trades.rows(day, day), "Trade")
    figures = ledger.settlements.figure_rows(day, day)
    settlements, no_settlements = readable_rows(SettlementRow, figures, "The settlement")
    over = _is_over(context, day, now)
    result = SettleResult(
        *context.head(now),
        trades=trades,
        settlements=settlements,
        summary=days[0] if days else DayRow(),
        provisional=bookkeeping.is_provisional(ledger.trades.of_day(day)) or not over,
        session_over=over,
    )
    return context.finish(
        result,
        errors=human_needed(unproven, mend="Look at the account at the broker"),
        notes=[*notes, *no_trades, *no_days, *no_settlements],
        decided=True,
        daily_pnl=lambda: bookkeeping.pnl_known(ledger, now.date()),
    )
