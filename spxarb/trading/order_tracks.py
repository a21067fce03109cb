"""The orders that earlier jobs left unproven, as the ledger knows them: to be followed on from there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.core.orders import OrderState, Presence, reported_done
from spxarb.core.tracking import TrackedOrder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spxarb.core.broker_books import BrokerOrder, Execution
    from spxarb.core.records import Fill, OrderRecord
    from spxarb.ledger.ledger import Ledger


def tracks_of(
    ledger: Ledger,
    fills: Sequence[Fill],
    records: Iterable[OrderRecord],
    client_id: int,
    listed: Iterable[BrokerOrder] = (),
) -> list[TrackedOrder]:
    """Those of a trade's orders, `records`, that are not proven done, with their fills in the ledger.

    `client_id`: of this connection; only the one that sent an order can change or cancel it. `listed`: the
    broker's open orders, for ids that the ledger cannot tell.
    """
    rows = {row.order_ref: row for row in listed}
    unproven = [_with_ids(record, rows.get(record.ref)) for record in records if not record.final]
    return [_track(ledger, record, fills, client_id) for record in unproven]


def _with_ids(record: OrderRecord, row: BrokerOrder | None) -> OrderRecord:
    """The order under the ids that the broker lists, where the ledger's cannot be read."""
    if row is None or (record.order_id and record.client_id >= 0):
        return record
    return replace(record, client_id=row.client_id, order_id=row.order_id)


def _track(ledger: Ledger, record: OrderRecord, fills: Iterable[Fill], client_id: int) -> TrackedOrder:
    """An order as the ledger has it, with what was sent for it and what the broker said of it."""
    executions = _executions_of(record.ref, fills)
    perm_id = record.perm_id or next((row.perm_id for row in executions.values() if row.perm_id), 0)
    track = TrackedOrder(
        ticket=record.ticket,
        leg=record.leg,
        purpose=record.purpose,
        attempt=record.attempt,
        state=OrderState.REPORTED_DONE if reported_done(record.status) else OrderState.INTENDED,
        presence=Presence.ACKNOWLEDGED if perm_id or executions else Presence.UNHEARD,
        perm_id=perm_id,
        overnight=record.overnight,
        client_id=record.client_id,
        order_id=record.order_id,
        own_client=record.client_id == client_id,
        limit=record.ticket.limit,
        executions=executions,
    )
    track.replay(ledger.orders.history(record.ref))
    return track


def _executions_of(ref: str, fills: Iterable[Fill]) -> dict[str, Execution]:
    own = (fill.execution for fill in fills if fill.execution.order_ref == ref)
    return {execution.exec_id: execution for execution in own}
