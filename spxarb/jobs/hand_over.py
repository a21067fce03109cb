"""`hand-over`: the human takes a trade: its orders are cancelled with proof, and spxarb trades it no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.model import LegName
from spxarb.core.reconcile import mend_of
from spxarb.core.results.hand_over import EndedOrder, HandedLeg, HandOverResult
from spxarb.errors import RefusedError, UsageError
from spxarb.trading import bookkeeping
from spxarb.trading.escalation import escalated, human_needed
from spxarb.trading.opening import without_ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spxarb.core.records import OrderRecord, Trade
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.context import JobContext


def run(context: JobContext, *, trade_id: int) -> HandOverResult:
    """Hand the trade over; again, when that was begun, and say so when it is done.

    Raises UsageError for a trade that is not open, RefusedError for one that is not entered yet, or of which
    the broker tells nothing any more; GatewayError, LockedError. Then nothing was changed.
    """
    if why := without_ledger(context, f"no trade {trade_id}"):
        raise UsageError(f"The ledger has no trade {trade_id}; none is open. {why}")
    with escalated(context), context.locked():
        if not context.ledger.looks.restored() or context.ledger.trades.knows(trade_id):
            _require_takeable(context, trade_id)  # else the broker's lists may tell of it
        return context.in_time(_hand_over(context, trade_id))


async def _hand_over(context: JobContext, trade_id: int) -> HandOverResult:
    from spxarb.trading import hand_over, recovery  # noqa: PLC0415 -- ib_insync comes with a connection
    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- likewise

    async with connect_job(context) as job:
        await job.reconcile()
        if context.ledger.trades.knows(trade_id):  # one that was lost is rebuilt as an entry
            with context.beside():
                recovery.opened_if_whole(job, context.ledger.trades.get(trade_id))
        trade = _require_takeable(context, trade_id)  # what the broker tells may have closed it
        notes = []
        if trade.handed_over:
            notes.append(f"Trade {trade_id} was handed over at {trade.handed_over_at:%Y-%m-%d %H:%M:%S}.")
        else:
            trade = hand_over.begin(job, trade)
        ours = [record for record in job.ledger.orders.of_trade(trade_id) if not record.final]
        if ours or trade.state.is_unproven:
            await hand_over.end_orders(job, trade)
        notes += hand_over.conclude(job, trade)
        await job.verify()
        return _finish(job, trade_id, ours, notes)


def _require_takeable(context: JobContext, trade_id: int) -> Trade:
    """The trade, if a human can take it or has taken it and it is still open.

    Raises UsageError and RefusedError.
    """
    try:
        trade = context.ledger.trades.get(trade_id)
    except KeyError:
        ids = ", ".join(str(trade.id) for trade in bookkeeping.open_trades(context.ledger))
        raise UsageError(
            f"The ledger has no trade {trade_id}; {f'open: {ids}' if ids else 'none is open'}"
        ) from None
    if not trade.is_open:
        whose = "handed over, and is closed by now" if trade.handed_over else "closed"
        raise UsageError(f"Trade {trade_id} was {whose}: there is nothing to hand over")
    if trade.state.entry_interrupted:
        raise RefusedError(
            f"The entry of trade {trade_id} is not complete: it cannot be handed over",
            risk="A leg may be without its hedge",
            mend="Run `spxarb monitor`, which completes or undoes its entry; then hand over what is left",
        )
    if not trade.state.in_sight:
        raise RefusedError(
            f"How the orders of trade {trade_id} ended is not known, and the broker tells no more of them",
            risk="Nothing was changed",
            mend="Compare it with the account's statement; nothing of spxarb trades it",
        )
    return trade


def _finish(
    job: ConnectedJob, trade_id: int, ours: Sequence[OrderRecord], notes: Sequence[str]
) -> HandOverResult:
    ledger, trade = job.ledger, job.ledger.trades.get(trade_id)
    sums = bookkeeping.pnl_of_trade(ledger, trade)
    held = {LegName.SPX: sums.spx_held, LegName.SPY: sums.spy_held}
    ended = [record for record in ledger.orders.of_trade(trade_id) if record.ref in {r.ref for r in ours}]
    result = HandOverResult(
        *job.context.head(job.now),
        trade_id=trade_id,
        status=trade.status,
        handed_over_at=trade.handed_over_at,
        complete=not trade.state.is_unproven,
        legs=tuple(
            HandedLeg.of(leg, trade.contract(leg), int(held[leg]) - job.gone(trade, leg)) for leg in LegName
        ),
        orders=tuple(
            EndedOrder(r.ref, r.ticket.side, r.leg, r.ticket.quantity, r.filled, r.final) for r in ended
        ),
        reconciliation=job.findings.all,
    )
    return job.context.finish(
        result,
        errors=human_needed(job.findings.unproven, mend=_mend(trade, job.findings.unproven)),
        notes=[*_told(trade, ended), *notes],
        decided=True,
        daily_pnl=lambda: bookkeeping.pnl_known(ledger, job.now.date()),
    )


def _mend(trade: Trade, differences: Sequence[str]) -> str:
    if trade.state.is_unproven:
        return f"Cancel it in TWS by its Order Ref., then run `spxarb hand-over {trade.id}` again"
    return mend_of(differences)


def _told(trade: Trade, ended: Sequence[OrderRecord]) -> list[str]:
    """What happened to our orders, and whose the trade is now, in sentences."""
    notes = [
        f"Order {record.ref} filled {record.filled:.0f} of {record.ticket.quantity} before its cancel."
        for record in ended
        if record.final and record.filled
    ]
    if trade.is_open and not trade.state.is_unproven:
        notes.append(
            f"Trade {trade.id} is yours: nothing of spxarb trades it again. Close both legs by the close: "
            "your executions become its exit."
        )
    return notes
