"""`settle`: after the close, reconcile, settle, write the day's summary."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.errors import Exit, UsageError
from spxarb.trading import bookkeeping, recovery, settlement
from spxarb.trading.escalation import escalated
from spxarb.trading.market_calendar import timetable

if TYPE_CHECKING:
    from datetime import date, datetime

    from spxarb.core.result import Result
    from spxarb.trading.context import Env

LONGEST_CLOSURE_DAYS = 10


def run(env: Env, *, day: date | None) -> Result:
    """Settle what has expired, write the summary of `day` (default: the latest trading day).

    Raises UsageError for a day without trading or one that has not begun; GatewayError, RefusedError,
    LockedError, and HumanNeededError when a trade is open that must not be.
    """
    with escalated(env), env.locked():
        if bookkeeping.all_quiet(env.store, env.now().date()) and env.config.trading.mode != "sim":
            now = env.now()
            return _result(env, _the_day(env, day, now), now, [], [])
        return env.in_time(_settle(env, day))


async def _settle(env: Env, day: date | None) -> Result:
    from spxarb.trading.connected import connected  # noqa: PLC0415 -- ib_insync comes with it

    async with connected(env) as work:
        day = _the_day(env, day, work.now)
        await work.reconcile()
        told = await recovery.recover_entries(work)
        told += await settlement.finalize(work)
        told += await settlement.settle_expired(work)
        waiting = bookkeeping.open_trades(work.store)
        told += [f"trade {trade.id} is still open: settle again after its close" for trade in waiting]
        return _result(env, day, work.now, told, list(work.findings.unproven))


def _the_day(env: Env, asked: date | None, now: datetime) -> date:
    """The day whose summary is wanted: a trading day that has begun. Raises UsageError for another."""
    if asked is None:
        return _latest(env, now)
    hours = timetable(asked, env.config)
    if hours is None:
        raise UsageError(f"{asked} is no trading day; nothing was changed. Name another day with --date")
    if now < hours.open:
        raise UsageError(f"{asked} has not begun at {now:%Y-%m-%d %H:%M}; nothing was changed")
    return asked


def _over(env: Env, day: date, now: datetime) -> bool:
    """Whether the day's session is behind us."""
    hours = timetable(day, env.config)
    return hours is None or now >= hours.close


def _latest(env: Env, now: datetime) -> date:
    """The last day with trading hours that have begun."""
    day = now.date()
    for _ in range(LONGEST_CLOSURE_DAYS):
        hours = timetable(day, env.config)
        if hours is not None and now >= hours.open:
            return day
        day -= timedelta(days=1)
    return now.date()


def _result(env: Env, day: date, now: datetime, told: list[str], unproven: list[str]) -> Result:
    store = env.store
    bookkeeping.summarize(store, day)
    trades = store.trades_of(day)
    bookkeeping.refresh_state(store, now.date(), now, bookkeeping.pnl_known(store, now.date()))
    data: dict[str, object] = {
        "trades": store.trade_rows(day, day),
        "summary": next(iter(store.summary_rows(day, day)), None),
        "provisional": bookkeeping.is_provisional(trades) or not _over(env, day, now),
    }
    error = " ".join(f"{each[0].upper()}{each[1:]}." for each in unproven)
    if error:
        error += " Look at the account at the broker."
    code = Exit.HUMAN if error else Exit.DONE
    return env.result(data, at=now, exit_code=code, error=error or None, notes=told)
