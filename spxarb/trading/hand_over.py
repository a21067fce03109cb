"""A human takes a trade: every order of ours is ended with proof, then its figures follow the account.

The intent comes first: once `handed_over_at` is in the ledger no order of the trade can be written down any
more, so none is sent, whatever a job meant to do. What is left is to cancel and to prove; any later job goes
on with that.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from spxarb import logs
from spxarb.core.account import BY_OTHERS
from spxarb.core.matters import MatterKind
from spxarb.core.model import ZERO, ExitReason, LegName
from spxarb.core.order_words import Purpose
from spxarb.core.records import AtHandOver
from spxarb.core.results.actions import Action
from spxarb.core.sentences import lower_first, sentence, upper_first
from spxarb.core.steps import finish_all
from spxarb.core.trades import TradeEvent
from spxarb.errors import GatewayError, SpxarbError, as_failure
from spxarb.trading import bookkeeping
from spxarb.trading.exits import GONE, nothing_trades

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spxarb.core.records import OrderRecord, Trade
    from spxarb.core.tracking import TrackedOrder
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.marks import MarkedTrade


def begin(job: ConnectedJob, trade: Trade) -> Trade:
    """Write down that a human takes the trade, with what others had done in its contracts by then."""
    con_ids = {trade.spx.con_id, trade.spy.con_id}
    index = job.executor.own_orders()
    others = [row for row in job.snapshot.executions if index.of_execution(row) is None]
    then = AtHandOver(
        {leg: _gone(job, trade, leg) for leg in LegName},
        frozenset(row.family for row in others if row.con_id in con_ids),
    )
    return bookkeeping.move(
        job.ledger,
        trade,
        TradeEvent.HAND_OVER_BEGUN,
        handed_over_at=job.now,
        at_hand_over=then,
        exit_reason=None,
        note="",
    )


def _gone(job: ConnectedJob, trade: Trade, leg: LegName) -> int:
    """Contracts of the leg, signed as held, that others took: they are nobody's to hand over.

    What one look at the account misses, and no execution explains, may be a hole in its list.
    """
    if not job.hidden(trade):
        return job.gone(trade, leg)
    taken = (finding for finding in job.differences(trade) if finding.kind in BY_OTHERS)
    return sum(finding.quantity for finding in taken if finding.leg is leg) * (
        1 if leg is LegName.SPX else -1
    )


async def end_orders(job: ConnectedJob, trade: Trade) -> list[TrackedOrder]:
    """Cancel every order of a trade that a human took, with proof; what they filled counts.

    Returns those whose end is not proven: they may still trade, a human is needed, a later job tries again.
    """
    if job.tracks(trade):
        trade = bookkeeping.move(job.ledger, trade, TradeEvent.NOT_PROVEN)
    spread = job.spread(trade)
    left = await job.drive(finish_all(spread), spread)
    trade = bookkeeping.update_pnl(job.ledger, job.ledger.trades.get(trade.id))
    if left:
        why = may_still_trade(trade, [job.ledger.orders.find(order.ref) for order in left])
        bookkeeping.move(job.ledger, trade, TradeEvent.NOT_PROVEN, note=why)
        job.human_needed(why)
        return left
    if trade.state.is_unproven:
        bookkeeping.move(job.ledger, trade, TradeEvent.ORDERS_ENDED, note="")
    with suppress(SpxarbError):  # nothing of ours needs to rest for it any more
        how = f"trade {trade.id} was handed over"
        job.ledger.matters.resolve(MatterKind.FAILSAFE.key(trade.id), how, job.now)
    return []


def may_still_trade(trade: Trade, records: Iterable[OrderRecord | None]) -> str:
    """Which orders of the trade are not proven over, and what they may still do, in words."""
    found = [record for record in records if record is not None]
    names = "; ".join(
        f"{'the fail-safe' if record.purpose is Purpose.FAILSAFE else 'order'} {record.ref} may still "
        f"{record.ticket.side.lower()} {record.ticket.quantity} {record.leg} calls"
        for record in found
    )
    return f"trade {trade.id} is being handed over, and how its orders ended is not known: {names}"


async def complete(job: ConnectedJob) -> list[str]:
    """Go on with every hand-over that is not complete, and close what humans have closed. Sentences.

    Whatever fails is that trade's failure, and stops nothing else.
    """
    notes: list[str] = []
    trades = [trade for trade in job.ledger.trades.open() if trade.handed_over and trade.state.in_sight]
    for trade in trades:
        try:
            begun = trade.state.is_unproven or job.tracks(trade)
            if begun and not await end_orders(job, trade):
                notes.append(f"trade {trade.id} is handed over: no order of ours works in it any more")
            notes += conclude(job, trade)
        except Exception as error:  # noqa: BLE001 -- as in recovery: other trades must be looked after
            if not isinstance(error, SpxarbError):
                logs.write_traceback(error)
            failure = lower_first(as_failure(error).what)
            job.human_needed(f"the hand-over of trade {trade.id} is not complete: {failure}")
            if isinstance(error, GatewayError):
                break
    return notes


def conclude(job: ConnectedJob, trade: Trade) -> list[str]:
    """Close a trade of which its human has left nothing, by his executions. Sentences.

    Only where ledger and account agree; what was gone before he took it, or is gone without an execution,
    leaves the result unknown.
    """
    ledger = job.ledger
    trade = bookkeeping.update_pnl(ledger, ledger.trades.get(trade.id))
    fills = ledger.fills.of_trade(trade.id)
    sums = bookkeeping.pnl_of_trade(ledger, trade)
    gone = {leg: job.gone(trade, leg) for leg in LegName}
    left = sums.spx_held - gone[LegName.SPX], sums.spy_held - gone[LegName.SPY]
    doubts = [finding for finding in job.differences(trade) if finding.kind not in GONE]
    if not trade.is_open or trade.state.is_unproven or any(left) or job.hidden(trade) or doubts:
        return []
    last = max((fill.execution.time for fill in fills if fill.purpose is Purpose.BY_HAND), default=job.now)
    if any(gone.values()):
        why = "; ".join(finding.text for finding in job.differences(trade))
        bookkeeping.ended_by_others(ledger, trade, ExitReason.HANDED_OVER, last, why)
        return [f"trade {trade.id}, handed over, is closed, and what others took of it leaves no result"]
    closed = bookkeeping.closed(ledger, trade, ExitReason.HANDED_OVER, last)
    return [f"trade {trade.id}, handed over, is closed by hand: {closed.final_pnl:+,.2f} dollars"]


# --- an open one, as jobs see it ----------------------------------------------------------------------


def looked_after(job: ConnectedJob, marked: MarkedTrade) -> tuple[Action, str]:
    """What became of an open trade that a human took: closed by his executions, else held. And a sentence."""
    trade = marked.trade
    if not job.dry_run and (notes := conclude(job, trade)):
        return Action.CLOSED, upper_first(notes[0])
    text = f"Trade {trade.id} is handed over, and yours to close"
    if nothing_trades(job, trade):
        text = f"{text}: its calls no longer trade; `spxarb settle` will settle them"
    return Action.HELD, text


def informed(job: ConnectedJob, marked: MarkedTrade, due: ExitReason | None) -> str:
    """What the human of an open trade should know of it, in words; empty for nothing.

    `due`: why spxarb would exit it; here it is information. A leg without its hedge, and a loss beyond the
    limit, alert him once.
    """
    trade, limits = marked.trade, job.context.exit_limits(marked.trade)
    covered = trade.spy_contracts * max(marked.spx_held, ZERO) // trade.spx_contracts
    naked = max(-marked.spy_held - covered, ZERO)
    loss = -marked.pnl if due and marked.pnl is not None else ZERO  # else a second look denied it
    facts = {
        "naked": f"it is short {naked:.0f} SPY calls without their hedge" if naked else "",
        "loss": f"it loses {loss:,.2f} dollars" if loss > limits.max_position_loss else "",
    }
    for name, fact in facts.items():
        _tell_once(job, trade, name, f"trade {trade.id} is handed over, and {fact}" if fact else "")
    return "; ".join(filter(None, [f"{due} is due" if due else "", *facts.values()]))


def _tell_once(job: ConnectedJob, trade: Trade, name: str, text: str) -> None:
    """Alert a human of something that is his to decide; not again while it stays so. Empty: it is not so."""
    if job.dry_run:
        return
    matters, key = job.ledger.matters, MatterKind.BY_HAND.key(f"{name}:{trade.id}")
    with job.context.beside():
        if not text:
            matters.resolve(key, "it is not so any more", job.now)
        elif (matter := matters.raise_(key, text, trade.id, job.now)).is_open:
            matters.acknowledge(matter.id, "told once: the trade is handed over", job.now)
            job.context.alert(sentence(text))
