"""What a job does before its own work: bring to an end what is proven and need not wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.jobs import bookkeeping, repair, settlement

if TYPE_CHECKING:
    from spxarb.jobs.work import Work


async def tidy(work: Work) -> list[str]:
    """Entries that were cut off, settlements of earlier days. Returns what was done, in sentences."""
    told = await repair.repair(work)
    told += await settlement.finalize(work)
    if any(trade.expiry < work.now.date() for trade in bookkeeping.open_trades(work.store)):
        told += await settlement.settle_expired(work)
    return told
