"""`monitor`: reconcile, mark, exit what must be exited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.exits import ExitView, exit_signal
from spxarb.core.model import ExitReason
from spxarb.errors import Exit
from spxarb.trading import bookkeeping, recovery
from spxarb.trading.escalation import escalated
from spxarb.trading.exits import HELD, Left, TradeLook, is_due, leave, look_at, position
from spxarb.trading.market_calendar import timetable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.result import Result
    from spxarb.trading.connected import Work
    from spxarb.trading.context import Env

    Outcomes = list[tuple[TradeLook, ExitReason | None, Left]]


def run(env: Env, *, dry_run: bool) -> Result:
    """Look after everything that is open; with nothing open there is nothing to connect for.

    Raises GatewayError, RefusedError, LockedError, and HumanNeededError when an exit that is due cannot even
    be tried.
    """
    if dry_run:
        return _quiet(env, dry_run=True) or env.in_time(_monitor(env, dry_run=True))
    with escalated(env), env.locked():
        return _quiet(env, dry_run=False) or env.in_time(_monitor(env, dry_run=False))


def _quiet(env: Env, *, dry_run: bool) -> Result | None:
    """The result when there is nothing to look after, else None."""
    if not bookkeeping.all_quiet(env.store, env.now().date()):
        return None
    now = env.now()
    data: dict[str, object] = {"positions": [], "reconciliation": []}
    if dry_run:
        _record(env, data, now, dry_run=True)
    else:
        bookkeeping.refresh_state(env.store, now.date(), now, bookkeeping.pnl_of_day(env.store, now.date()))
    return env.result(data, at=now, notes=["Nothing is open."])


async def _monitor(env: Env, *, dry_run: bool) -> Result:
    from spxarb.trading.connected import connected  # noqa: PLC0415 -- ib_insync comes with it

    async with connected(env, dry_run=dry_run) as work:
        await work.reconcile()
        told = [] if dry_run else await recovery.recover(work)
        looks = await look_at(work, bookkeeping.open_trades(work.store))
        await work.clock.ask(work.broker)
        total = _daily_pnl(work, looks)
        if not dry_run:
            _mark(work, looks, total)
        outcomes: Outcomes = [await _consider(work, look, total) for look in looks]
        if not dry_run:
            _refresh(work, outcomes)
        return _result(work, outcomes, told)


def _daily_pnl(work: Work, looks: Sequence[TradeLook]) -> Decimal | None:
    return bookkeeping.pnl_of_day(work.store, work.now.date(), [look.pnl for look in looks])


async def _consider(
    work: Work, look: TradeLook, total: Decimal | None
) -> tuple[TradeLook, ExitReason | None, Left]:
    """Hold or leave one spread."""
    trade = look.trade
    if not is_due(trade):
        return look, None, Left("closed", trade.residual)
    if recovery.entry_interrupted(trade):  # in a dry run not tried, else tried and not achieved
        left = Left("would_close") if work.dry_run else Left("failed", why=f"Trade {trade.id}: {trade.note}")
        return look, ExitReason.ENTRY_UNWOUND, left
    reason = _reason(work, look, total)
    if reason is None:
        return look, None, HELD
    if work.dry_run:
        return look, reason, Left("would_close")
    return look, reason, await leave(work, trade, reason)


def _reason(work: Work, look: TradeLook, total: Decimal | None) -> ExitReason | None:
    """Why the spread must be left now; an exit that was begun is gone on with."""
    trade = look.trade
    if trade.exit_reason is not None:
        return trade.exit_reason
    view = ExitView(
        now=work.now,
        day=timetable(trade.expiry, work.env.config),
        spy_price=look.spy_price,
        spy_strike=trade.spy.strike,
        pnl=look.pnl,
        daily_pnl=total,
    )
    return exit_signal(view, work.env.exit_limits(trade))


def _mark(work: Work, looks: Sequence[TradeLook], total: Decimal | None) -> None:
    """Keep what was seen, for the day's drawdown and the report."""
    for look in looks:
        work.store.add_mark(look.mark(work.now))
    if total is not None:
        work.store.add_day_mark(work.now.date(), work.now, total)


def _refresh(work: Work, outcomes: Outcomes) -> None:
    """The state after what was done: a closed trade counts with its result, an open one with its look."""
    today = work.now.date()
    still = [look.pnl for look, _, _ in outcomes if work.store.trade(look.trade.id).is_open]
    total = bookkeeping.pnl_of_day(work.store, today, still)
    bookkeeping.refresh_state(work.store, today, work.now, total)


def _result(work: Work, outcomes: Outcomes, told: Sequence[str]) -> Result:
    env, store = work.env, work.store
    positions = []
    for look, reason, left in outcomes:
        shown = position(look, left, reason)
        shown["status"] = store.trade(look.trade.id).status
        positions.append(shown)
    data: dict[str, object] = {"positions": positions, "reconciliation": list(work.findings.all)}
    _record(env, data, work.now, dry_run=work.dry_run)
    errors, alerts = _errors(work, outcomes), _alerts(outcomes)
    for alert in alerts:
        env.alert(alert)
    code = Exit.HUMAN if errors else Exit.DONE
    notes = [*told, *alerts, *(left.why for _, _, left in outcomes if left.why and not left.failed)]
    return env.result(data, at=work.now, exit_code=code, error=" ".join(errors) or None, notes=notes)


def _record(env: Env, data: dict[str, object], at: datetime, *, dry_run: bool) -> None:
    env.store.add_decision(
        env.run_id, env.command, at, dry_run=dry_run, outcome=None, would=None, payload=data
    )


def _errors(work: Work, outcomes: Outcomes) -> list[str]:
    """Whatever needs a human now, a sentence each."""
    begun = [(reason, left) for _, reason, left in outcomes if left.failed]
    failed = [left.why for reason, left in begun if reason is not ExitReason.ENTRY_UNWOUND]  # told already
    found = [f"{each[0].upper()}{each[1:]}." for each in work.findings.unproven]
    if found:
        found.append("Compare the account at the broker with `spxarb report --csv --table executions`.")
    found += [f"{why}. Look at the broker now; `spxarb close-all` tries again." for why in failed]
    found += [
        f"Trade {look.trade.id} was left without quotes, because they are missing: look at its fills."
        for look, reason, left in outcomes
        if left.action == "closed" and look.pnl is None and reason not in {None, ExitReason.EXPIRATION}
    ]
    return found


def _alerts(outcomes: Outcomes) -> list[str]:
    """What a human should hear though it is no emergency."""
    return [
        f"The result of trade {look.trade.id} is not known, for a quote is missing: its loss limit is blind."
        for look, reason, _ in outcomes
        if look.pnl is None and reason is None and is_due(look.trade)
    ]
