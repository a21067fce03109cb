"""`close-all`: close every position that spxarb owns, now, and stop trading."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from spxarb.core.model import ExitReason
from spxarb.errors import Exit, LockedError
from spxarb.lock import terminate_holder
from spxarb.trading import bookkeeping, recovery, settlement
from spxarb.trading.context import GRACE_SECONDS
from spxarb.trading.escalation import escalated
from spxarb.trading.exits import Left, TradeLook, is_due, leave, look_at, nothing_trades, position

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from spxarb.core.result import Result
    from spxarb.trading.connected import Work
    from spxarb.trading.context import Env

YIELD_SECONDS = 20.0
"""How long another job may take to make way before it is ended."""
REASON = "close-all"


def run(env: Env, *, dry_run: bool) -> Result:
    """Forbid entries first, so that a working `enter` makes way; then close until the broker shows flat.

    A job that holds the lock and does not make way is ended, and what it left is reconciled. Raises
    HumanNeededError when anything is open and, for whatever reason, cannot be closed.
    """
    if dry_run:
        return _quiet(env, dry_run=True) or env.in_time(_close(env, dry_run=True))
    env.store.set_trading(False, REASON, env.now())
    with escalated(env, everything=True), _locked(env):
        return _quiet(env, dry_run=False) or env.in_time(_close(env, dry_run=False))


def _quiet(env: Env, *, dry_run: bool) -> Result | None:
    """The result when there is nothing to close, else None."""
    if not bookkeeping.all_quiet(env.store, env.now().date()):
        return None
    now = env.now()
    data: dict[str, object] = {"positions": [], "flat": True, "asked_broker": False}
    _record(env, data, now, dry_run=dry_run)
    if not dry_run:
        bookkeeping.refresh_state(env.store, now.date(), now, bookkeeping.pnl_of_day(env.store, now.date()))
    off = "" if dry_run else "; trading is off"
    told = f"Nothing is open in the ledger {env.config.database_path()}{off}. The broker was not asked."
    return env.result(data, at=now, notes=[told])


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
    from spxarb.trading.connected import connected  # noqa: PLC0415 -- ib_insync comes with it

    async with connected(env, dry_run=dry_run) as work:
        await work.reconcile()
        trades = bookkeeping.open_trades(work.store)
        looks = await look_at(work, [trade for trade in trades if not nothing_trades(work, trade)])
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
    reason = ExitReason.ENTRY_UNWOUND if recovery.entry_interrupted(trade) else ExitReason.EMERGENCY
    purpose = recovery.PURPOSES[reason]
    return await leave(work, trade, reason, purpose)


def _result(work: Work, outcomes: list[tuple[TradeLook, Left]], told: list[str]) -> Result:
    env, store = work.env, work.store
    positions = []
    for look, left in outcomes:
        trade = store.trade(look.trade.id)
        shown = position(look, left, trade.exit_reason)
        shown["status"] = trade.status
        positions.append(shown)
    failed = [left.why for _, left in outcomes if left.failed]
    data: dict[str, object] = {
        "positions": positions,
        "asked_broker": True,
        "flat": not (bookkeeping.open_trades(store) or work.findings.unproven),
        "reconciliation": list(work.findings.all),
    }
    _record(env, data, work.now, dry_run=work.dry_run)
    if not work.dry_run:
        today = work.now.date()
        bookkeeping.refresh_state(store, today, work.now, bookkeeping.pnl_known(store, today))
    sentences = [*failed, *work.findings.unproven]
    error = " ".join(f"{each[0].upper()}{each[1:]}." for each in sentences) or None
    if error:
        off = "" if work.dry_run else "Trading is off. "
        error += f" {off}Look at the broker now, then run close-all again."
    notes = [*told, *(left.why for _, left in outcomes if left.why and not left.failed)]
    code = Exit.HUMAN if error else Exit.DONE
    return env.result(data, at=work.now, exit_code=code, error=error, notes=notes)


def _record(env: Env, data: dict[str, object], at: datetime, *, dry_run: bool) -> None:
    env.store.add_decision(
        env.run_id, env.command, at, dry_run=dry_run, outcome=None, would=None, payload=data
    )
