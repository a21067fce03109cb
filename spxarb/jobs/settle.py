"""`settle`: after the close, reconcile, settle, write the day's summary."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.core.sentences import sentence
from spxarb.errors import Exit, UsageError
from spxarb.trading import bookkeeping, recovery, settlement
from spxarb.trading.escalation import escalated
from spxarb.trading.market_calendar import timetable

if TYPE_CHECKING:
    from datetime import date, datetime

    from spxarb.core.result import Result
    from spxarb.trading.context import JobContext

LONGEST_CLOSURE_DAYS = 10


def run(context: JobContext, *, day: date | None) -> Result:
    """Settle what has expired, write the summary of `day` (default: the latest trading day).

    Raises UsageError for a day without trading or one that has not begun; GatewayError, RefusedError,
    LockedError, and HumanNeededError when a trade is open that must not be.
    """
    with escalated(context), context.locked():
        if (
            bookkeeping.all_quiet(context.ledger, context.now().date())
            and context.config.trading.mode != "sim"
        ):
            now = context.now()
            return _result(context, _the_day(context, day, now), now, [], [])
        return context.in_time(_settle(context, day))


async def _settle(context: JobContext, day: date | None) -> Result:
    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- ib_insync comes with it

    async with connect_job(context) as job:
        day = _the_day(context, day, job.now)
        await job.reconcile()
        told = await recovery.recover_entries(job)
        told += await settlement.finalize(job)
        told += await settlement.settle_expired(job)
        waiting = bookkeeping.open_trades(job.ledger)
        told += [f"trade {trade.id} is still open: settle again after its close" for trade in waiting]
        return _result(context, day, job.now, told, list(job.findings.unproven))


def _the_day(context: JobContext, asked: date | None, now: datetime) -> date:
    """The day whose summary is wanted: a trading day that has begun. Raises UsageError for another."""
    if asked is None:
        return _latest(context, now)
    hours = timetable(asked, context.config)
    if hours is None:
        raise UsageError(f"{asked} is no trading day; nothing was changed. Name another day with --date")
    if now < hours.open:
        raise UsageError(f"{asked} has not begun at {now:%Y-%m-%d %H:%M}; nothing was changed")
    return asked


def _over(context: JobContext, day: date, now: datetime) -> bool:
    """Whether the day's session is behind us."""
    hours = timetable(day, context.config)
    return hours is None or now >= hours.close


def _latest(context: JobContext, now: datetime) -> date:
    """The last day with trading hours that have begun."""
    day = now.date()
    for _ in range(LONGEST_CLOSURE_DAYS):
        hours = timetable(day, context.config)
        if hours is not None and now >= hours.open:
            return day
        day -= timedelta(days=1)
    return now.date()


def _result(context: JobContext, day: date, now: datetime, told: list[str], unproven: list[str]) -> Result:
    ledger = context.ledger
    bookkeeping.summarize(ledger, day)
    trades = ledger.trades.of_day(day)
    bookkeeping.refresh_state(ledger, now.date(), now, bookkeeping.pnl_known(ledger, now.date()))
    data: dict[str, object] = {
        "trades": ledger.trades.rows(day, day),
        "summary": next(iter(ledger.days.summary_rows(day, day)), None),
        "provisional": bookkeeping.is_provisional(trades) or not _over(context, day, now),
    }
    error = " ".join(map(sentence, unproven))
    if error:
        error += " Look at the account at the broker."
    code = Exit.HUMAN if error else Exit.DONE
    return context.result(data, at=now, exit_code=code, error=error or None, notes=told)
