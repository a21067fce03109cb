"""`monitor`: reconcile, mark, exit what must be exited.

Most of the day nothing is open: what looks after open trades is imported where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.model import ExitReason
from spxarb.core.results.actions import Action
from spxarb.core.results.monitor import MonitorResult
from spxarb.trading import bookkeeping
from spxarb.trading.escalation import escalated, human_needed
from spxarb.trading.quiet import all_quiet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from spxarb.core.results.positions import ManagedPosition
    from spxarb.errors import HumanNeededError
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.context import JobContext
    from spxarb.trading.managing import Managed


def run(context: JobContext, *, dry_run: bool) -> MonitorResult:
    """Look after everything that is open; with nothing open there is nothing to connect for.

    Raises GatewayError, RefusedError, LockedError, and HumanNeededError when an exit that is due cannot even
    be tried.
    """
    if dry_run:
        return _quiet(context, dry_run=True) or context.in_time(_monitor(context, dry_run=True))
    with escalated(context), context.locked():
        return _quiet(context, dry_run=False) or context.in_time(_monitor(context, dry_run=False))


def _quiet(context: JobContext, *, dry_run: bool) -> MonitorResult | None:
    """The result when there is nothing to look after, else None."""
    now = context.now()
    if not all_quiet(context, now):
        return None
    return context.finish(
        MonitorResult(*context.head(now)),
        notes=[f"Nothing is open in the ledger {context.config.database_path()}; the broker was not asked."],
        decided=dry_run,
        dry_run=dry_run,
        daily_pnl=lambda: bookkeeping.pnl_of_day(context.ledger, now.date()),
    )


async def _monitor(context: JobContext, *, dry_run: bool) -> MonitorResult:
    from spxarb.trading import hand_over, recovery  # noqa: PLC0415
    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- ib_insync comes with it
    from spxarb.trading.failsafe import keep_failsafes  # noqa: PLC0415
    from spxarb.trading.managing import manage_open  # noqa: PLC0415
    from spxarb.trading.margin import deficit_after_expiration  # noqa: PLC0415

    async with connect_job(context, dry_run=dry_run) as job:
        job.broker.accept_delayed()
        await job.reconcile()
        notes = [] if dry_run else await recovery.recover_entries(job)
        managed = await manage_open(job, of_today=True)
        kept = [one.marked.trade for one in managed if one.reason is None]  # an exit looks after its own
        notes += await keep_failsafes(job, kept)
        notes += [] if dry_run else await hand_over.complete(job)
        notes += [] if dry_run else await recovery.settle_earlier_days(job)  # in no exit's way
        managed += await manage_open(job, of_today=False)
        await job.reported_fees()
        await job.verify()
        deficits = await deficit_after_expiration(job)  # asked last: nothing rests on it
        return _finish(job, managed, notes, deficits)


# --- the result -----------------------------------------------------------------------------------


def _finish(
    job: ConnectedJob, managed: Sequence[Managed], notes: Sequence[str], deficits: Sequence[str]
) -> MonitorResult:
    from spxarb.trading.managing import worth_hearing  # noqa: PLC0415

    context, ledger = job.context, job.ledger
    alerts = [*worth_hearing(job, managed), *deficits]
    for alert in alerts:
        context.alert(alert)

    def daily_pnl() -> Decimal | None:
        """A trade that was closed counts with its result, an open one as it was marked."""
        still = [one.marked.pnl for one in managed if ledger.trades.get(one.marked.trade.id).is_open]
        return bookkeeping.pnl_of_day(ledger, job.now.date(), still)

    return context.finish(
        MonitorResult(
            *context.head(job.now),
            positions=tuple(_position(job, one) for one in managed),
            asked_broker=True,
            reconciliation=job.findings.all,
        ),
        errors=_errors(job, managed),
        notes=[
            *notes,
            *alerts,
            *(one.note for one in managed),
            *(one.exited.why for one in managed if not one.exited.failed),
        ],
        decided=True,
        dry_run=job.dry_run,
        daily_pnl=daily_pnl,
    )


def _position(job: ConnectedJob, one: Managed) -> ManagedPosition:
    from spxarb.core.results.positions import ManagedPosition  # noqa: PLC0415

    trade = job.ledger.trades.get(one.marked.trade.id)
    return ManagedPosition.managed(
        trade, one.marked.pnl, one.exited.action, one.reason, one.exited.residual, one.marked.states
    )


def _errors(job: ConnectedJob, managed: Sequence[Managed]) -> list[HumanNeededError]:
    """Whatever needs a human now."""
    from spxarb.core.reconcile import mend_of  # noqa: PLC0415
    from spxarb.trading.marks import closed_unseen  # noqa: PLC0415

    failed = [  # an entry that could not be unwound is among the findings
        one.exited.why for one in managed if one.exited.failed and one.reason is not ExitReason.ENTRY_UNWOUND
    ]
    unseen = [
        closed_unseen(one.marked)
        for one in managed
        if one.exited.action is Action.CLOSED
        and one.marked.quote_missing
        and one.reason not in {None, ExitReason.EXPIRATION}
    ]
    return [
        *human_needed(
            job.findings.unproven,
            mend=mend_of(job.findings.unproven),
        ),
        *human_needed(failed, mend="Look at the broker now; `spxarb close-all` tries again"),
        *unseen,
    ]
