"""`monitor`: reconcile, mark, exit what must be exited."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from spxarb.core.strategy import ExitView, exit_signal
from spxarb.errors import Exit, GatewayError, HumanNeededError
from spxarb.jobs import bookkeeping, repair, settlement
from spxarb.jobs.positions import HELD, Left, TradeLook, is_due, leave, look_at, position
from spxarb.market_calendar import timetable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from spxarb.core.model import ExitReason
    from spxarb.jobs.env import Env
    from spxarb.jobs.result import Result
    from spxarb.jobs.work import Work

    Outcomes = list[tuple[TradeLook, ExitReason | None, Left]]


def run(env: Env, *, dry_run: bool) -> Result:
    """Look after everything that is open; with nothing open there is nothing to connect for.

    Raises GatewayError, RefusedError, LockedError, and HumanNeededError when an exit that is due by the
    clock cannot even be tried.
    """
    if dry_run:
        return asyncio.run(_monitor(env, dry_run=True))
    with env.locked():
        if repair.all_quiet(env.store):
            return env.result({"positions": [], "reconciliation": []}, notes=["Nothing is open."])
        try:
            return asyncio.run(_monitor(env, dry_run=False))
        except GatewayError as error:
            raise _or_human(env, error) from error


def _or_human(env: Env, error: GatewayError) -> GatewayError | HumanNeededError:
    """An unreachable gateway is an alarm when an exit is due, or an entry was cut off."""
    now = env.now()
    for trade in env.store.open_trades():
        day = timetable(trade.expiry, env.config)
        due = day is not None and now >= day.exit_at and env.config.trading.mode != "sim"
        if repair.cut_off(trade) or (is_due(trade) and due):
            what = "may be half open" if repair.cut_off(trade) else "is due to be left"
            return HumanNeededError(
                f"Trade {trade.id} {what}, and {error.what}",
                risk="Its calls may still be held",
                mend=error.mend or "Look at the broker now; `spxarb monitor` tries again",
            )
    return error


async def _monitor(env: Env, *, dry_run: bool) -> Result:
    from spxarb.jobs.work import connected  # noqa: PLC0415 -- ib_insync comes with it

    async with connected(env, dry_run=dry_run) as work:
        await work.reconcile()
        told = [] if dry_run else await _tidy(work)
        trades = [trade for trade in work.store.open_trades() if not repair.cut_off(trade)]
        looks = await look_at(work, trades)
        await work.clock.ask(work.broker)
        total = _daily_pnl(work, looks)
        outcomes: Outcomes = [await _consider(work, look, total) for look in looks]
        if not dry_run:
            _mark(work, looks, total)
        return _result(work, outcomes, told)


async def _tidy(work: Work) -> list[str]:
    """What is proven and need not wait: cut-off entries, settlements of earlier days, lost fills."""
    told = await repair.repair(work)
    told += await settlement.finalize(work)
    if any(trade.expiry < work.now.date() for trade in work.store.open_trades()):
        told += await settlement.settle_expired(work)
    return told


def _daily_pnl(work: Work, looks: Sequence[TradeLook]) -> Decimal | None:
    trades = work.store.trades_of(work.now.date())
    return bookkeeping.daily_pnl(trades, [look.pnl for look in looks])


async def _consider(
    work: Work, look: TradeLook, total: Decimal | None
) -> tuple[TradeLook, ExitReason | None, Left]:
    """Hold or leave one spread."""
    trade = look.trade
    if not is_due(trade):
        return look, None, Left("closed", trade.residual)
    view = ExitView(
        now=work.now,
        day=timetable(trade.expiry, work.env.config),
        spy_price=look.spy_price,
        spy_strike=trade.spy.strike,
        pnl=look.pnl,
        daily_pnl=total,
    )
    reason = exit_signal(view, work.env.exit_limits(trade))
    if reason is None:
        return look, None, HELD
    if work.dry_run:
        return look, reason, Left("would_close")
    return look, reason, await leave(work, trade, reason)


def _mark(work: Work, looks: Sequence[TradeLook], total: Decimal | None) -> None:
    """Keep what was seen, for the day's drawdown and the report."""
    for look in looks:
        work.store.add_mark(look.mark(work.now))
    today = work.now.date()
    if total is not None:
        work.store.add_day_mark(today, work.now, total)
    bookkeeping.refresh_state(work.store, today, work.now, total)


def _result(work: Work, outcomes: Outcomes, told: Sequence[str]) -> Result:
    env, store = work.env, work.store
    positions = []
    for look, reason, left in outcomes:
        shown = position(look, left, reason)
        shown["status"] = store.trade(look.trade.id).status
        positions.append(shown)
    errors = _errors(work, outcomes)
    data: dict[str, object] = {"positions": positions, "reconciliation": list(work.findings.all)}
    store.add_decision(
        env.run_id,
        env.command,
        work.now,
        dry_run=work.dry_run,
        outcome=None,
        would=None,
        payload=data,
    )
    code = Exit.HUMAN if errors else Exit.DONE
    alerts = _alerts(outcomes)
    for alert in alerts:
        env.alert(alert)
    notes = [*told, *alerts, *(left.why for _, _, left in outcomes if left.why and not left.failed)]
    return env.result(data, at=work.now, exit_code=code, error=" ".join(errors) or None, notes=notes)


def _errors(work: Work, outcomes: Outcomes) -> list[str]:
    """Whatever needs a human now, a sentence each."""
    found = [f"{each[0].upper()}{each[1:]}." for each in work.findings.unproven]
    failed = [left.why for _, _, left in outcomes if left.failed]
    found += [f"{why}. Look at the broker now; `spxarb close-all` tries again." for why in failed]
    return found


def _alerts(outcomes: Outcomes) -> list[str]:
    """What a human should hear though it is no emergency."""
    return [
        f"The result of trade {look.trade.id} is not known, because a quote is missing: its loss limit is blind."
        for look, reason, _ in outcomes
        if look.pnl is None and reason is None and is_due(look.trade)
    ]
