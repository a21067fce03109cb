"""`ack`: a matter for a human is dealt with; without one, which are open. Nothing is sent to the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.printable import from_outside
from spxarb.core.results.ack import AckResult
from spxarb.core.results.rows import MatterRow, readable_rows
from spxarb.core.sentences import sentence
from spxarb.errors import RefusedError
from spxarb.trading import matters
from spxarb.trading.opening import without_ledger

if TYPE_CHECKING:
    from spxarb.trading.context import JobContext


def run(context: JobContext, *, matter_id: int | None, note: str | None) -> AckResult:
    """Acknowledge one matter, or list the open ones.

    Raises UsageError for a matter that is not open, RefusedError where there is no ledger to hold it,
    LockedError while another job works.
    """
    notes = []
    if matter_id is not None:
        if why := without_ledger(context, f"no matter {matter_id}"):
            raise RefusedError(why, mend="`spxarb config` shows which ledger this configuration names")
        with context.locked():
            note = from_outside(note) if note else None
            matter = matters.acknowledge(context.ledger, matter_id, note, context.now())
        notes.append(f"Acknowledged {matter.id}: {sentence(matter.text)}")
    rows, unread = readable_rows(MatterRow, context.ledger.matters.open_rows(), "Matter")
    return context.finish(
        AckResult(*context.head(), acknowledged=matter_id, matters=rows),
        notes=[*notes, *unread],
    )
