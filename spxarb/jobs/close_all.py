"""`close-all`: close every position that spxarb owns, now, and stop trading."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spxarb.core.model import ExitReason
from spxarb.errors import Exit, GatewayError, HumanNeededError, LockedError
from spxarb.jobs import bookkeeping, repair, settlement
from spxarb.jobs.positions import Left, TradeLook, is_due, leave, look_at, position
from spxarb.lock import terminate_holder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spxarb.jobs.env import Env
    from spxarb.jobs.result import Result
    from spxarb.jobs.work import Work

YIELD_SECONDS = 20.0
"""How long another job may take to make way before it is ended."""
GRACE_SECONDS = 3.0
REASON = "close-all"


def run(env: Env, *, dry_run: bool) -> Result:
    """Forbid entries first, so that a working `enter` makes way; then close until the broker shows flat.

    A job that holds the lock and does not make way is ended, and what it left is reconciled. Raises
    HumanNeededError when the gateway cannot be reached while anything may be open.
    """
    if dry_run:
        return asyncio.run(_close(env, dry_run=True))
    env.store.set_trading(False, REASON, env.now())
    with _locked(env):
        if repair.all_quiet(env.store):
            return env.result({"positions": [], "flat": True}, notes=["Nothing is open; trading is off."])
        try:
            return asyncio.run(_close(env, dry_run=False))
        except GatewayError as error:
            raise HumanNeededError(
                f"Nothing could be closed: {error.what}",
                risk="Calls may still be held; trading is off",
                mend=error.mend or "Close them at the broker, or run this again",
            ) from error


@contextmanager
def _locked(env: Env) -> Iterator[None]:
    try:
        with env.locked(YIELD_SECONDS):
            yield
            return
    except LockedError:
        if env.holds_lock:
            raise
    ended = terminate_holder(env.lock_path, GRACE_SECONDS)
    if ended is not None:
        env.alert(f"{ended} did not make way for close-all and was ended.")
    with env.locked(YIELD_SECONDS):
        yield


async def _close(env: Env, *, dry_run: bool) -> Result:
    from spxarb.jobs.work import connected  # noqa: PLC0415 -- ib_insync comes with it

    async with connected(env, dry_run=dry_run) as work:
        await work.reconcile()
        trades = work.store.open_trades()
        open_now = [trade for trade in trades if not settlement.has_expired(work, trade)]
        looks = await look_at(work, open_now)
        await work.clock.ask(work.broker)
        outcomes = [(look, await _leave(work, look)) for look in looks]
        told = [] if dry_run else await settlement.settle_expired(work)
        return _result(work, outcomes, told)


async def _leave(work: Work, look: TradeLook) -> Left:
    trade = look.trade
    if not is_due(trade):
        return Left("closed", trade.residual)
    if work.dry_run:
        return Left("would_close")
    reason = ExitReason.ENTRY_UNWOUND if repair.cut_off(trade) else ExitReason.EMERGENCY
    purpose = repair.PURPOSES[reason]
    return await leave(work, trade, reason, purpose)


def _result(work: Work, outcomes: list[tuple[TradeLook, Left]], told: list[str]) -> Result:
    env, store = work.env, work.store
    positions = []
    for look, left in outcomes:
        shown = position(look, left, store.trade(look.trade.id).exit_reason)
        shown["status"] = store.trade(look.trade.id).status
        positions.append(shown)
    failed = [left.why for _, left in outcomes if left.failed]
    flat = not work.dry_run and not store.open_trades()
    data: dict[str, object] = {
        "positions": positions,
        "flat": flat,
        "reconciliation": list(work.findings.all),
    }
    store.add_decision(
        env.run_id, env.command, work.now, dry_run=work.dry_run, outcome=None, would=None, payload=data
    )
    if not work.dry_run:
        today = work.now.date()
        bookkeeping.refresh_state(store, today, work.now, bookkeeping.daily_pnl(store.trades_of(today), []))
    sentences = [*failed, *work.findings.unproven]
    error = " ".join(f"{each[0].upper()}{each[1:]}." for each in sentences) or None
    if error:
        error += " Trading is off. Look at the broker now, then run close-all again."
    notes = [*told, *(left.why for _, left in outcomes if left.why and not left.failed)]
    code = Exit.HUMAN if error else Exit.DONE
    return env.result(data, at=work.now, exit_code=code, error=error, notes=notes)
