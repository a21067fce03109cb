"""The exit of one open spread, until the broker shows it flat."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spxarb import logs
from spxarb.core.account import Break
from spxarb.core.broker_words import with_words
from spxarb.core.execution import ClosePlan, Ending, closing
from spxarb.core.model import LegName
from spxarb.core.order_words import Purpose
from spxarb.core.results.actions import Action
from spxarb.core.sentences import lower_first, sentence
from spxarb.core.trades import TradeState
from spxarb.errors import GatewayError, SpxarbError, as_failure
from spxarb.trading import bookkeeping
from spxarb.trading.failsafe import keep_failsafe
from spxarb.trading.market_calendar import timetable_of
from spxarb.trading.settlement import has_expired

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spxarb.core.broker_books import BrokerSnapshot
    from spxarb.core.contracts import Contract
    from spxarb.core.model import ExitReason
    from spxarb.core.records import Trade
    from spxarb.trading.connected import ConnectedJob

log = logging.getLogger(__name__)

POSITION_CHECKS = 5
POSITION_PAUSE_SECONDS = 1.0
"""How often, and how far apart, positions are compared with executions: they may lag behind a fill."""
RESTORE_SECONDS = 20.0
"""How long an exit that was cut off may take to leave a fail-safe at the broker."""
GONE = frozenset({Break.LIQUIDATED, Break.TAKEN, Break.MISSING})
"""What the account holds no more is over, though not by our orders."""


@dataclass(frozen=True, slots=True)
class ExitResult:
    """How the exit of a spread ended, and why it ended so."""

    action: Action
    residual: tuple[LegName, ...] = ()
    why: str = ""

    @property
    def failed(self) -> bool:
        return self.action is Action.FAILED


KEPT = ExitResult(Action.HELD)


async def exit_trade(
    job: ConnectedJob, trade: Trade, reason: ExitReason, purpose: Purpose = Purpose.EXIT
) -> ExitResult:
    """Close what is held of a trade, see it flat at the broker, record the result.

    An exit once begun is carried on by later jobs: its reason is in the ledger before its first order. It has
    ended the fail-safe; where SPY calls may be short after it, another is left at the broker, for nothing of
    ours may ever run again.
    """
    try:
        result = await _exit(job, trade, reason, purpose)
    except BaseException:  # an end of the command's time, or Ctrl-C, too
        with suppress(TimeoutError):
            async with asyncio.timeout(RESTORE_SECONDS):
                await keep_failsafe(job, trade, last_resort=True)
        raise
    if not result.failed:
        return result
    notes = await keep_failsafe(job, trade, last_resort=True)
    return replace(result, why=" ".join([sentence(result.why), *notes]))


async def exit_alone(
    job: ConnectedJob, trade: Trade, reason: ExitReason, purpose: Purpose = Purpose.EXIT
) -> ExitResult:
    """As `exit_trade`; whatever fails is this trade's failure, and no other trade waits for it."""
    try:
        return await exit_trade(job, trade, reason, purpose)
    except Exception as error:  # noqa: BLE001 -- the exit of the next trade must be tried all the same
        if not isinstance(error, SpxarbError):
            logs.write_traceback(error)
        why = f"The exit of trade {trade.id} failed: {lower_first(as_failure(error).what)}"
        return ExitResult(Action.FAILED, why=why)


async def _exit(job: ConnectedJob, trade: Trade, reason: ExitReason, purpose: Purpose) -> ExitResult:
    if purpose is Purpose.EXIT:
        trade = bookkeeping.exit_begun(job.ledger, trade, reason)
    before = job.snapshot
    spread = job.spread(trade)
    if spread.held(LegName.SPY) and nothing_trades(job, trade):
        waits = trade.note if trade.state is TradeState.EXPIRED else ""
        return _incomplete(job, trade, waits or "its calls no longer trade; `spxarb settle` will settle them")
    index = job.underlyings[0] if job.underlyings else None
    job.broker.watch([trade.spx, trade.spy, *job.underlyings[:1]])
    if index is not None:
        spread.quotes[index.con_id] = job.broker.quote(index.con_id)
    trades = not (has_expired(job, trade) or job.hidden(trade))
    plan = ClosePlan(trade.spx, trade.spy, job.context.tactics, purpose, trades, index)
    outcome = await job.drive(closing(spread, plan), spread)
    trade = bookkeeping.update_pnl(job.ledger, job.ledger.trades.get(trade.id))
    doubt = ""
    if outcome.ending in {Ending.FLAT, Ending.RESIDUAL}:
        legs = tuple(LegName) if outcome.ending is Ending.FLAT else (LegName.SPY,)
        doubt = await _why_not_flat(job, trade, before, legs) or await job.doubt_about(trade, but=GONE)
    if not doubt and job.hidden(trade):
        doubt = f"{_gone(job, trade)}: nothing is sold ahead of it until another look shows the same"
    if doubt or outcome.ending in {Ending.INCOMPLETE, Ending.UNPROVEN}:
        proven = not doubt and outcome.ending is Ending.INCOMPLETE
        return _incomplete(job, trade, doubt or outcome.why, proven=proven)
    if outcome.ending is Ending.RESIDUAL:
        bookkeeping.left_to_settlement(job.ledger, trade, reason, job.now)
        return ExitResult(Action.CLOSED, (LegName.SPX,), outcome.why)
    if gone := _gone(job, trade):
        bookkeeping.ended_by_others(job.ledger, trade, reason, job.now, gone)
        return ExitResult(Action.CLOSED, why=gone)
    note = "" if purpose is Purpose.EXIT else trade.note  # what an entry came to is worth keeping
    bookkeeping.closed(job.ledger, trade, reason, job.now, note=note)
    return ExitResult(Action.CLOSED)


def _gone(job: ConnectedJob, trade: Trade) -> str:
    """What of the trade others ended, in words; empty when all that it held was traded by spxarb alone."""
    return "; ".join(finding.text for finding in job.differences(trade) if finding.kind in GONE)


def _incomplete(job: ConnectedJob, trade: Trade, why: str, *, proven: bool = True) -> ExitResult:
    """Record that contracts are still held; where it is not `proven` how many, the trade is an error.

    The broker's words on its orders stand beside the reason: they may be all that tells a human what to do.
    """
    why = with_words(why, job.heard.about(record.ref for record in job.ledger.orders.of_trade(trade.id)))
    if proven:
        bookkeeping.still_held(job.ledger, trade, why)
    else:
        bookkeeping.not_proven(job.ledger, trade, why)
    return ExitResult(Action.FAILED, why=f"Trade {trade.id}: {why}")


def not_proven(job: ConnectedJob, trade: Trade) -> ExitResult:
    """Record that orders of the trade are not proven done: no other may follow them."""
    open_orders = ", ".join(track.ref for track in job.tracks(trade))
    return _incomplete(job, trade, f"how order {open_orders} ended is not known", proven=False)


def nothing_trades(job: ConnectedJob, trade: Trade) -> bool:
    """Whether the last session is over for both calls; SPY's may trade a little longer than SPX's."""
    return job.now >= timetable_of(trade, job.context.config).spy_until


async def _why_not_flat(
    job: ConnectedJob, trade: Trade, before: BrokerSnapshot, legs: Sequence[LegName]
) -> str:
    """Why the broker does not show the legs flat; empty when it does."""
    why = ""
    for turn in range(POSITION_CHECKS):
        if turn:
            await job.context.waits.sleep(POSITION_PAUSE_SECONDS)
        try:
            await job.take_snapshot()
        except GatewayError as error:
            return f"its executions close it, but the broker has not confirmed it flat: {error}"
        sums = bookkeeping.pnl_of_trade(job.ledger, trade)
        held = {
            LegName.SPX: sums.spx_held - job.gone(trade, LegName.SPX),
            LegName.SPY: sums.spy_held - job.gone(trade, LegName.SPY),
        }
        if still := [leg for leg in legs if held[leg]]:
            return f"{', '.join(still)} still held"
        # A position is the account's, not only ours: compared is its change, which the day's executions, ours
        # and others', must add up to. It may lag; in published TWS logs it even precedes the execution.
        changes = [_unexplained_change(before, job.snapshot, trade.contract(leg)) for leg in legs]
        why = "; ".join(filter(None, changes))
        if not why:
            return ""
    return why


def _unexplained_change(before: BrokerSnapshot, after: BrokerSnapshot, contract: Contract) -> str:
    """How far the position moved without executions, in words; empty when they explain it."""
    start, end = (snapshot.overnight(contract.con_id) for snapshot in (before, after))
    if start == end:
        return ""
    return f"the broker's position in {contract} differs by {end - start:+f} from its executions"
