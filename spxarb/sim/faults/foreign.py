"""What others do in the same account: their orders and trades, and rows of theirs that are hard to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import NOT_A_REQUEST
from spxarb.sim.exchange.orders import Ticket
from spxarb.sim.faults.kinds import FaultKind, Hook, Parameter
from spxarb.sim.faults.odd_rows import KINDS as OF_ODD_ROWS

if TYPE_CHECKING:
    from spxarb.sim.api.session import SharedGateway
    from spxarb.sim.faults.kinds import ActiveFault
    from spxarb.sim.market.instruments import Instrument

OTHER = 99
"""The client id of someone else."""
FAR = 9_999.0
"""A limit at which nobody buys."""


def _contract(fault: ActiveFault) -> Instrument | None:
    """The contract concerned: by its id, or that of the order, the newest order, a position."""
    gateway = fault.gateway
    if fault.args["con_id"]:
        return gateway.market.by_con_id(fault.args["con_id"])
    if fault.subject is not None and fault.subject.con_id:
        return gateway.market.by_con_id(fault.subject.con_id)
    order = fault.order()
    if order is not None:
        return order.ticket.instrument
    held = gateway.exchange.interventions.held()
    return held[-1] if held else None


def _foreign(fault: ActiveFault, limit: float) -> Ticket | None:
    item = _contract(fault)
    if item is None or item.sec_type == "IND":
        return None
    gateway = fault.gateway
    return Ticket(
        client_id=OTHER,
        order_id=gateway.exchange.next_order_id(OTHER),
        instrument=item,
        side=fault.args["side"],
        quantity=fault.args["quantity"],
        limit=limit or (item.min_tick if fault.args["side"] == "BUY" else FAR),
        order_ref=fault.args["order_ref"],
        account=gateway.account,
    )


def _submit(gateway: SharedGateway, ticket: Ticket) -> None:
    """Place someone else's order. The rule about both sides of an option is for the orders of clients."""
    exchange = gateway.exchange
    rule, exchange.both_sides = exchange.both_sides, "off"
    gateway.publish(exchange.submit(ticket))
    exchange.both_sides = rule


def foreign_order(fault: ActiveFault) -> bool:
    """Place someone else's order in the same contract, at a price where it does not fill."""
    ticket = _foreign(fault, fault.args["limit"])
    if ticket is None:
        return False
    _submit(fault.gateway, ticket)
    return True


def foreign_fill(fault: ActiveFault) -> bool:
    """Let someone else trade in the same contract."""
    ticket, gateway = _foreign(fault, 0.0), fault.gateway
    if ticket is None:
        return False
    exchange = gateway.exchange
    _submit(gateway, ticket)
    order = exchange.orders.find(ticket.client_id, ticket.order_id)
    if order is not None and order.live:
        price = exchange.interventions.touch(ticket)
        gateway.publish(exchange.interventions.force_fill(order, price=price))
    fills = exchange.fills(client_id=OTHER) if order is not None and fault.args["told"] else []
    for fill in (fill for fill in fills if order and fill.perm_id == order.perm_id):
        for session in list(gateway.sessions):
            session.send(layouts.execution(NOT_A_REQUEST, fill), layouts.commission_report(fill))
    return True


_SIDE = Parameter("side", "text", "BUY", "of the other trader", ("BUY", "SELL"))
_MANY = Parameter("quantity", "count", 1, "contracts")
_CON_ID = Parameter("con_id", "natural", 0, "contract; 0: that of the order in `when`, or of the newest")
_REF = Parameter("order_ref", "text", "manual", "of the other trader's order")

KINDS = (
    FaultKind(
        *("foreign_order", "Someone else's order rests in the same contract."),
        {Hook.NOW: foreign_order},
        (_SIDE, _MANY, Parameter("limit", "number", 0.0, "its price; 0: out of reach"), _REF, _CON_ID),
    ),
    FaultKind(
        *("foreign_fill", "Someone else trades the same contract."),
        {Hook.NOW: foreign_fill},
        (
            *(_SIDE, _MANY, _REF, _CON_ID),
            Parameter("told", "flag", default=False, says="sent to everyone, as to a master client"),
        ),
    ),
    *OF_ODD_ROWS,
)
