"""Faults of fills, executions and commissions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.sim.api.wire import UNSET_DOUBLE, Say, frame
from spxarb.sim.exchange.interventions import Correction
from spxarb.sim.exchange.orders import Commission, Filled, OrderChanged
from spxarb.sim.faults.connections import nothing_fills
from spxarb.sim.faults.kinds import REQUIRED, FaultKind, Hook, Parameter

if TYPE_CHECKING:
    from spxarb.sim.api.session import Session
    from spxarb.sim.exchange.orders import Event, ExecutionReport
    from spxarb.sim.faults.kinds import ActiveFault, Offer, OrderUpdates, OutgoingMessage


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
    """Send a commission so long after its execution, once; a list of executions does not wait for it."""
    if message.number != Say.COMMISSION:
        return False
    fill = fault.gateway.exchange.executions.find_listed(message.fields[2])
    age = 0.0 if fill is None else (fault.gateway.now - fill.time).total_seconds()
    if age >= fault.args["seconds"]:
        return False
    promised: set[tuple[Session, str]] = fault.memory.setdefault("promised", set())
    session, frames, message.out = message.session, message.out, []
    key = session, message.fields[2]
    if key not in promised:
        promised.add(key)
        fault.later(fault.args["seconds"] - age, lambda: session.put(*frames))
    return True


def commission_after_list(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Send the commissions of a list of executions after the end of the list."""
    listed: dict[tuple[Session, str], None] = fault.memory.setdefault("listed", {})
    held: dict[Session, list[bytes]] = fault.memory.setdefault("held", {})
    session, fields = message.session, message.fields
    if message.number == Say.EXECUTION and fields[1] != "-1":
        listed[session, fields[14]] = None
    elif message.number == Say.COMMISSION and (session, fields[2]) in listed:
        del listed[session, fields[2]]
        held.setdefault(session, []).extend(message.out)
        message.out = []
    elif message.number == Say.EXECUTIONS_END:
        message.out = [*message.out, *held.pop(session, [])]
    else:
        return False
    return True


def note_clients(fault: ActiveFault, updates: OrderUpdates) -> bool:
    """Remember who was connected when a commission became known."""
    present: dict[str, list[Session]] = fault.memory.setdefault("present", {})
    found = [event.fill.exec_id for event in updates.events if isinstance(event, Commission)]
    present.update({exec_id: list(fault.gateway.sessions) for exec_id in found})
    return bool(found)


def no_commission(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Send no commission, or none on the connections that there were at its execution."""
    if message.number != Say.COMMISSION:
        return False
    present = fault.memory.get("present", {}).get(message.fields[2], [])
    if fault.args["until"] == "reconnect" and message.session not in present:
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
    wanted = Correction(
        fill,
        shares,
        price,
        list_both=fault.args["listed"] == "both",
        reports_commission=fault.args["commission"] == "again",
    )
    gateway.publish(gateway.exchange.interventions.correct(wanted))
    return True


_LASTING_FORM = Parameter("form", "text", "unset", "1.797…E308, or 0", ("unset", "zero"))
_COMMISSION = Parameter(
    *("commission", "text", "again", "reported for the new id too, or only for the old"), ("again", "once")
)
_LISTED = Parameter("listed", "text", "both", "executions that are listed afterwards", ("both", "corrected"))

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
        (Parameter("seconds", "seconds", 5.0, "how long after the execution, live and in lists"),),
        lasting=True,
    ),
    FaultKind(
        *("commission_after_list", "The commissions of a list of executions come after its end."),
        {Hook.MESSAGE: commission_after_list},
        lasting=True,
    ),
    FaultKind(
        *("no_commission", "Commissions never come, or only at the next connection."),
        {Hook.UPDATES: note_clients, Hook.MESSAGE: no_commission},
        (Parameter("until", "text", "never", "when they come", ("never", "reconnect")),),
        lasting=True,
    ),
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
            *(_LISTED, _COMMISSION),
        ),
    ),
    FaultKind(
        *("bust", "An execution is undone: corrected to 0 contracts."),
        {Hook.NOW: bust},
        (_LISTED, _COMMISSION),
    ),
)
