"""The fail-safe of a trade, kept true at the broker: one buy-back of SPY rests for exactly what is short.

Every working job that leaves a spread open looks at the broker's open orders and sets right what is not so,
also after an exit that failed. Where that is not possible a human is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb import logs
from spxarb.core.failsafe import active_from, failsafes, keep, may_be_short, right_one
from spxarb.core.matters import MatterKind, NewMatter
from spxarb.core.model import LegName
from spxarb.core.order_events import SnapshotTaken
from spxarb.core.order_words import Purpose
from spxarb.core.orders import OrderState
from spxarb.core.sentences import lower_first, sentence
from spxarb.errors import GatewayError, SpxarbError, as_failure
from spxarb.trading import matters
from spxarb.trading.market_calendar import timetable_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spxarb.core.failsafe import Kept
    from spxarb.core.records import Trade
    from spxarb.core.steps import SpreadState
    from spxarb.trading.connected import ConnectedJob


UNANSWERED = "unanswered"
"""The step of a fail-safe's life that says that it was sent, and that the broker did not answer in time."""


async def keep_failsafe(job: ConnectedJob, trade: Trade, *, last_resort: bool = False) -> list[str]:
    """Have one buy-back rest for exactly the SPY calls of the trade that may be short; none when none are.

    Returns what was done, in sentences; a dry run only says what is missing. What cannot be set right, or
    fails, needs a human: it becomes a finding of the job and is not raised, for it stops nothing else. A
    `last_resort` follows an exit that failed.
    """
    try:
        if trade.handed_over:  # `trading/hand_over.py` sees to it that none rests
            return []
        if job.dry_run:
            return missing(job, trade)
        return await _kept(job, job.ledger.trades.get(trade.id), last_resort=last_resort)
    except Exception as error:  # noqa: BLE001 -- whatever fails here must not end what else the job does
        if not isinstance(error, SpxarbError):
            logs.write_traceback(error)
        job.human_needed(
            f"whether trade {trade.id} has its buy-back resting at the broker is not known, because "
            f"{lower_first(as_failure(error).what)}"
        )
        return []


async def keep_failsafes(job: ConnectedJob, trades: Iterable[Trade]) -> list[str]:
    """As `keep_failsafe`, of several trades."""
    return [note for trade in trades for note in await keep_failsafe(job, trade)]


def missing(job: ConnectedJob, trade: Trade) -> list[str]:
    """A sentence when the trade should have a buy-back resting at the broker, and has not; sends nothing."""
    if trade.handed_over or not _enabled(job) or _too_late(job, trade):
        return []
    spread = job.spread(trade)
    wanted, rests = may_be_short(spread, _covered(job, trade)), _resting(job, spread)
    if not wanted or right_one(spread, wanted, rests):
        return []
    is_there = f"rests for {sum(rests.values())}" if rests else "does not rest at the broker"
    what = f"the buy-back of the {wanted} short SPY calls of trade {trade.id} {is_there}"
    return [sentence(f"{what}; `spxarb monitor` sets that right")]


def at_broker(job: ConnectedJob, trade: Trade) -> tuple[int, int]:
    """SPY calls of the trade for which a buy-back should rest, and for how many one does; sends nothing."""
    spread = job.spread(trade)
    idle = trade.handed_over or not _enabled(job) or _too_late(job, trade)
    return 0 if idle else may_be_short(spread, _covered(job, trade)), sum(_resting(job, spread).values())


def _enabled(job: ConnectedJob) -> bool:
    return job.context.config.execution.broker_side_failsafe


def _covered(job: ConnectedJob, trade: Trade) -> int:
    """Calls bought back by the ledger that the account does not show long: they covered an unproven sale."""
    return max(job.gone(trade, LegName.SPY), 0)


def _too_late(job: ConnectedJob, trade: Trade) -> bool:
    """After the close nothing is placed or cancelled: what is still there works until its own end."""
    return job.now >= timetable_of(trade, job.context.config).close


async def _kept(job: ConnectedJob, trade: Trade, *, last_resort: bool) -> list[str]:
    if _too_late(job, trade):
        _in_order(job, trade, "the session is over")
        return []
    if job.hidden(trade):
        return []  # what the account does not show to one look is no reason to end it
    spread = job.spread(trade)
    enabled, covered = _enabled(job), _covered(job, trade)
    if not failsafes(spread) and not (enabled and may_be_short(spread, covered)):
        _in_order(job, trade, "nothing is short")
        return []
    rests = _resting(job, spread)
    if failsafes(spread) and (last_resort or not right_one(spread, may_be_short(spread, covered), rests)):
        spread, rests = await _seen_again(job, trade, last_resort=last_resort)
    # As when the calls were sold: it is the same all day, and the list of executions may be empty by now.
    first = job.ledger.orders.first_in(trade.spy.con_id, trade.expiry)
    if first is not None and first.overnight is not None:
        spread.overnight[trade.spy.con_id] = first.overnight
    again = any(key[1] is Purpose.FAILSAFE for key in spread.attempts)
    lost = _never_answered(job, trade, rests)
    steps = keep(
        spread,
        trade.spy,
        active_from(job.now, timetable_of(trade, job.context.config).close),
        rests,
        covered=covered,
        enabled=enabled,
        last_resort=last_resort,
    )
    kept = await job.drive(steps, spread)
    if lost and kept.wanted:
        what = f"the buy-back of SPY of trade {trade.id} that was not answered ({lost})"
        job.human_needed(f"{what} does not rest at the broker")
    if kept.silent and kept.placed is not None:
        job.ledger.orders.add_step(kept.placed.ref, UNANSWERED, job.now)
    if kept.trouble:
        _needs_human(job, trade, kept)
    elif not kept.silent:
        _in_order(job, trade, "one rests for exactly what is short")
    return _told(job, trade, kept, again=again, last_resort=last_resort)


def _never_answered(job: ConnectedJob, trade: Trade, rests: Mapping[str, int]) -> str:
    """The reference of the newest fail-safe, if it was seen to be silent and is not at the broker either."""
    sent = [order for order in job.ledger.orders.of_trade(trade.id) if order.purpose is Purpose.FAILSAFE]
    if not sent or sent[-1].perm_id or sent[-1].ref in rests:
        return ""
    steps = [step for step, _ in job.ledger.orders.history(sent[-1].ref)]
    return sent[-1].ref if UNANSWERED in steps else ""


async def _seen_again(
    job: ConnectedJob, trade: Trade, *, last_resort: bool
) -> tuple[SpreadState, dict[str, int]]:
    """By a new snapshot: nothing is cancelled, and after an exit nothing believed, by an older one.

    After an exit that failed, a snapshot that does not come stops nothing: then none is known to rest.
    """
    try:
        await job.take_snapshot()
    except GatewayError:
        if not last_resort:
            raise
        return job.spread(trade), {}
    spread = job.spread(trade)
    return spread, _resting(job, spread)


def _resting(job: ConnectedJob, spread: SpreadState) -> dict[str, int]:
    """Contracts that each fail-safe still buys, by reference, as the newest snapshot lists it.

    The broker's figure, not the ledger's: others can change an order in TWS.
    """
    mine = failsafes(spread)
    seen = SnapshotTaken(job.snapshot, job.snapshot_at, job.broker.link_epoch)
    for order in mine:
        order.on_snapshot(seen)
    listed = {row.order_ref: row for row in job.snapshot.open_orders}
    return {
        order.ref: int(row.quantity - max(row.filled or 0, order.filled))
        for order in mine
        if order.state is OrderState.LIVE and (row := listed.get(order.ref)) is not None
    }


def _in_order(job: ConnectedJob, trade: Trade, how: str) -> None:
    key = MatterKind.FAILSAFE.key(trade.id)
    if any(matter.key == key for matter in job.ledger.matters.unresolved()):
        job.ledger.matters.resolve(key, how, job.now)


def _needs_human(job: ConnectedJob, trade: Trade, kept: Kept) -> None:
    """Keep it as a matter until a later look finds it in order, or a human acknowledges it."""
    if kept.wanted:
        calls = f"its {kept.wanted} short SPY calls"
        text = f"trade {trade.id} has no buy-back resting at the broker for exactly {calls}"
    else:
        text = f"trade {trade.id} may have a buy-back of SPY resting at the broker, and nothing is short"
    text = f"{text} ({kept.trouble.rstrip('.')})"
    matter = NewMatter(MatterKind.FAILSAFE.key(trade.id), text, trade.id)
    if matters.needs_human(job.ledger, matter, job.now):
        job.human_needed(text)


def _told(job: ConnectedJob, trade: Trade, kept: Kept, *, again: bool, last_resort: bool) -> list[str]:
    """What was done, for the result; a human hears of an order that is silent or had vanished."""
    if kept.placed is None or kept.trouble or not (kept.silent or again or last_resort):
        return []
    if kept.silent:
        note = f"the buy-back of SPY of trade {trade.id} was sent, and the broker has not answered"
    else:
        ticket = kept.placed.ticket
        since = "at once" if ticket.good_after is None else f"from {ticket.good_after:%H:%M} on"
        note = (
            f"a buy-back of {kept.wanted} SPY calls of trade {trade.id} rests at the broker, active {since}"
        )
        if not last_resort:
            note = f"{note}; the one before did not rest as it should"
    if kept.silent or not last_resort:
        job.context.alert(sentence(note))
    return [sentence(note)]
