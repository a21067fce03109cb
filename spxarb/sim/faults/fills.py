"""Faults of fills, executions and commissions, and other people's trades in the same contracts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import NOT_A_REQUEST, UNSET_DOUBLE, Say, frame
from spxarb.sim.exchange.interventions import Correction
from spxarb.sim.exchange.orders import Commission, Filled, OrderChanged, Ticket
from spxarb.sim.faults.connections import nothing_fills
from spxarb.sim.faults.kinds import REQUIRED, FaultKind, Hook, Parameter

if TYPE_CHECKING:
    from spxarb.sim.exchange.orders import Event, ExecutionReport
    from spxarb.sim.faults.kinds import ActiveFault, Offer, OrderUpdates, OutgoingMessage
    from spxarb.sim.market.instruments import Instrument

OTHER = 99
"""The client id of someone else."""
FAR = 9_999.0
"""A limit at which nobody buys."""


def partial_fills(fault: ActiveFault, offer: Offer) -> bool:
    """Let an order fill in portions, with a pause after each."""
    ticket = offer.order.ticket
    key = f"{ticket.client_id}/{ticket.order_id}"
    portion, wait_until = fault.memory.get(key, (0, offer.now))
    sizes = fault.args["sizes"]
    if offer.now < wait_until:
        offer.count = 0
        return True
    if portion < len(sizes):
        offer.count = min(offer.count, sizes[portion])
    elif not fault.args["rest"]:
        offer.count = 0
        return True
    if offer.count:
        pause = fault.args["pause_seconds"]
        fault.memory[key] = portion + 1, offer.now + timedelta(seconds=pause)
        fault.later(pause, lambda: None)  # so that the clock stops there and the next portion fills
    return True


def _is_filled(event: object) -> bool:
    return isinstance(event, OrderChanged) and event.state.status == "Filled"


def status_first(_: ActiveFault, updates: OrderUpdates) -> bool:
    """Send Filled before the execution."""
    at = next((i for i, event in enumerate(updates.events) if isinstance(event, Filled)), None)
    filled = [event for event in updates.events if _is_filled(event)]
    if at is None or not filled:
        return False
    rest = [event for event in updates.events if not _is_filled(event)]
    updates.events = [*rest[:at], *filled, *rest[at:]]
    return True


def status_only(_: ActiveFault, updates: OrderUpdates) -> bool:
    """Send Filled without an execution."""
    kept: list[Event] = [event for event in updates.events if not isinstance(event, Filled | Commission)]
    found = len(kept) < len(updates.events)
    updates.events = kept
    return found


def execution_first(_: ActiveFault, updates: OrderUpdates) -> bool:
    """Send the execution before the order is acknowledged."""
    fills: list[Event] = [event for event in updates.events if isinstance(event, Filled)]
    if not fills:
        return False
    rest = [event for event in updates.events if not isinstance(event, Filled)]
    updates.events = [*fills, *rest]
    return True


def execution_only(_: ActiveFault, updates: OrderUpdates) -> bool:
    """Send the execution and no status of the order."""
    if not any(isinstance(event, Filled) for event in updates.events):
        return False
    updates.events = [event for event in updates.events if not isinstance(event, OrderChanged)]
    return True


def late_commission(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Hold the commission back."""
    if message.number != Say.COMMISSION:
        return False
    message.wait(fault.args["seconds"])
    return True


def no_commission(_: ActiveFault, message: OutgoingMessage) -> bool:
    """Send no commission."""
    if message.number != Say.COMMISSION:
        return False
    message.out = []
    return True


def _without_numbers(fault: ActiveFault, message: OutgoingMessage) -> list[str]:
    """The fields of a report without its numbers."""
    values = list(message.fields)
    values[3], values[5] = UNSET_DOUBLE if fault.args["form"] == "unset" else "0.0", UNSET_DOUBLE
    return values


def unset_commission(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Unset a commission."""
    if message.number != Say.COMMISSION:
        return False
    message.rewrite(_without_numbers(fault, message))
    return True


def commission_twice(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Send an empty commission before the real one."""
    if message.number != Say.COMMISSION:
        return False
    message.session.put(frame(*_without_numbers(fault, message)))
    message.wait(fault.args["seconds"])
    return True


def correction(fault: ActiveFault) -> bool:
    """Correct an execution."""
    fill = _fill(fault)
    if fill is None:
        return False
    tick = fill.ticket.instrument.min_tick
    change = fault.args["price_change"]
    price = fault.args["price"] or fill.price + (change if change is not None else tick)
    if fault.args["quantity"] and change is None:
        price = fault.args["price"] or fill.price
    shares = fault.args["quantity"] or fill.shares
    return _correct(fault, fill, shares, max(0.0, round(price, 6)))


def bust(fault: ActiveFault) -> bool:
    """Undo an execution."""
    fill = _fill(fault)
    return fill is not None and _correct(fault, fill, 0, fill.price)


def _fill(fault: ActiveFault) -> ExecutionReport | None:
    """The execution that fired a fault; else the newest one that fits."""
    exchange = fault.gateway.exchange
    if fault.exec_id:
        return exchange.executions.find(fault.exec_id)
    order = fault.order()
    fills = [fill for fill in exchange.fills() if order is not None and fill.perm_id == order.perm_id]
    return fills[-1] if fills else None


def _correct(fault: ActiveFault, fill: ExecutionReport, shares: int, price: float) -> bool:
    gateway = fault.gateway
    wanted = Correction(fill, shares, price, list_both=fault.args["listed"] == "both")
    gateway.publish(gateway.exchange.interventions.correct(wanted))
    return True


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


def foreign_order(fault: ActiveFault) -> bool:
    """Place someone else's order in the same contract, at a price where it does not fill."""
    ticket = _foreign(fault, fault.args["limit"])
    if ticket is None:
        return False
    fault.gateway.publish(fault.gateway.exchange.submit(ticket))
    return True


def foreign_fill(fault: ActiveFault) -> bool:
    """Let someone else trade in the same contract."""
    ticket, gateway = _foreign(fault, 0.0), fault.gateway
    if ticket is None:
        return False
    exchange = gateway.exchange
    gateway.publish(exchange.submit(ticket))
    order = exchange.orders.find(ticket.client_id, ticket.order_id)
    if order is not None and order.live:
        price = exchange.interventions.touch(ticket)
        gateway.publish(exchange.interventions.force_fill(order, price=price))
    fills = exchange.fills(client_id=OTHER) if order is not None and fault.args["told"] else []
    for fill in (fill for fill in fills if order and fill.perm_id == order.perm_id):
        for session in list(gateway.sessions):
            session.send(layouts.execution(NOT_A_REQUEST, fill), layouts.commission_report(fill))
    return True


def foreign_position(fault: ActiveFault) -> bool:
    """Let a position appear that no execution explains."""
    item, gateway = _contract(fault), fault.gateway
    if item is None:
        return False
    quantity = fault.args["quantity"] * (1 if fault.args["side"] == "BUY" else -1)
    quote = gateway.market.quote(item.con_id, gateway.now)
    price = quote.last or quote.bid or item.min_tick
    gateway.publish(gateway.exchange.interventions.transfer(item, quantity, price))
    return True


_LASTING_FORM = Parameter("form", "text", "unset", "1.797…E308, or 0", ("unset", "zero"))
_LISTED = Parameter("listed", "text", "both", "executions that are listed afterwards", ("both", "corrected"))
_SIDE = Parameter("side", "text", "BUY", "of the other trader", ("BUY", "SELL"))
_MANY = Parameter("quantity", "count", 1, "contracts")
_CON_ID = Parameter("con_id", "natural", 0, "contract; 0: that of the order in `when`, or of the newest")
_REF = Parameter("order_ref", "text", "manual", "of the other trader's order")

KINDS = (
    FaultKind(
        *("hold_fills", "Orders are accepted and do not fill until the end."),
        {Hook.FILL: nothing_fills},
        lasting=True,
    ),
    FaultKind(
        *("partial_fills", "Orders fill in portions."),
        {Hook.FILL: partial_fills},
        (
            Parameter("sizes", "counts", REQUIRED, "contracts in each portion"),
            Parameter("pause_seconds", "seconds", 1.0, "after each portion"),
            Parameter("rest", "flag", default=True, says="the rest fills after them"),
        ),
        lasting=True,
    ),
    FaultKind(*("status_first", "Filled is sent before the execution."), {Hook.UPDATES: status_first}),
    FaultKind(*("status_only", "Filled is sent, and no execution."), {Hook.UPDATES: status_only}),
    FaultKind(
        *("execution_first", "The execution is sent before openOrder."), {Hook.UPDATES: execution_first}
    ),
    FaultKind(*("execution_only", "The execution is sent, and no status."), {Hook.UPDATES: execution_only}),
    FaultKind(
        *("late_commission", "Commissions come late."),
        {Hook.MESSAGE: late_commission},
        (Parameter("seconds", "seconds", 5.0, "how late"),),
        lasting=True,
    ),
    FaultKind(*("no_commission", "Commissions never come."), {Hook.MESSAGE: no_commission}, lasting=True),
    FaultKind(
        *("unset_commission", "Commissions are unset."),
        {Hook.MESSAGE: unset_commission},
        (_LASTING_FORM,),
        lasting=True,
    ),
    FaultKind(
        *("commission_twice", "An empty commission comes before the real one."),
        {Hook.MESSAGE: commission_twice},
        (Parameter("seconds", "seconds", 0.0, "between them"), _LASTING_FORM),
        lasting=True,
    ),
    FaultKind(
        *("correction", "An execution is corrected: the same id with the next ending."),
        {Hook.NOW: correction},
        (
            Parameter("price", "number", None, "the right price"),
            Parameter("price_change", "number", None, "or by how much it differs; default one tick"),
            Parameter("quantity", "count", None, "the right quantity"),
            _LISTED,
        ),
    ),
    FaultKind(
        *("bust", "An execution is undone: corrected to 0 contracts."),
        {Hook.NOW: bust},
        (_LISTED,),
    ),
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
    FaultKind(
        *("foreign_position", "A position in the same contract appears that no execution explains."),
        {Hook.NOW: foreign_position},
        (_SIDE, _MANY, _CON_ID),
    ),
)
