"""Faults of orders and their cancels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import Ask
from spxarb.sim.exchange.exchange import BOTH_SIDES, DEFAULT_BOTH_SIDES
from spxarb.sim.exchange.orders import OrderChanged, OrderError
from spxarb.sim.faults.kinds import FaultKind, Hook, Parameter
from spxarb.sim.faults.messages import is_what_if, request_id
from spxarb.sim.faults.silence import KINDS as OF_SILENCE
from spxarb.sim.faults.texts import text_of

if TYPE_CHECKING:
    from spxarb.sim.exchange.interventions import Rejection
    from spxarb.sim.exchange.orders import Event, Order
    from spxarb.sim.faults.kinds import ActiveFault, ClientRequest, OrderUpdates

_MARGIN = (
    "YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH LOAN VALUE "
    "MUST EXCEED THE INITIAL MARGIN"
)


def _order(request: ClientRequest) -> Order | None:
    """The order that a placeOrder or cancelOrder is about, when it is in the book."""
    order = request.subject.order if request.subject else None
    return request.session.gateway.exchange.orders.find(*order) if order else None


def refuse_order(fault: ActiveFault, request: ClientRequest) -> bool:
    """Answer a new order with an error and do not place it."""
    if request.number != Ask.PLACE_ORDER or _order(request) is not None or is_what_if(request):
        return False
    code = fault.args["code"]
    request.session.error(request_id(request), code, text_of(code, fault.args["text"]))
    request.refused = True
    return True


def refuse_change(fault: ActiveFault, request: ClientRequest) -> bool:
    """Answer a modification with an error; the old order stays live."""
    order = _order(request)
    if request.number != Ask.PLACE_ORDER or order is None or not order.live:
        return False
    code = fault.args["code"]
    request.session.error(request_id(request), code, text_of(code))
    request.refused = True
    return True


def refuse_cancel(fault: ActiveFault, request: ClientRequest) -> bool:
    """Answer a cancel with an error; the order stays live."""
    if request.number != Ask.CANCEL_ORDER:
        return False
    code = fault.args["code"]
    request.session.error(request_id(request), code, text_of(code))
    request.refused = True
    return True


def slow_cancel(fault: ActiveFault, request: ClientRequest) -> bool:
    """Send PendingCancel and cancel later; until then the order may fill."""
    order = _order(request)
    if request.number != Ask.CANCEL_ORDER or order is None or not order.live:
        return False
    session, number, values = request.session, request.number, request.values
    session.send(layouts.order_status(replace(order.snapshot(), status="PendingCancel")))
    request.refused = True
    fault.later(fault.args["seconds"], lambda: session.perform(number, values))
    return True


def fill_instead_of_cancel(fault: ActiveFault, request: ClientRequest) -> bool:
    """Answer a cancel with 10148, state Filled; the fill follows."""
    order = _order(request)
    if request.number != Ask.CANCEL_ORDER or order is None or order.status != "Submitted":
        return False
    request.session.error(request_id(request), 10148, text_of(10148))
    request.refused = order.sealed = True
    _fill_later(fault, order, 0)
    return True


def fill_after_cancel(fault: ActiveFault, request: ClientRequest) -> bool:
    """Confirm the cancel; a fill that crossed it follows."""
    order = _order(request)
    if request.number != Ask.CANCEL_ORDER or order is None or order.status != "Submitted":
        return False
    request.after.append(lambda: _fill_later(fault, order, fault.args["quantity"]))
    return True


def _fill_later(fault: ActiveFault, order: Order, quantity: int) -> None:
    gateway = fault.gateway
    wanted = quantity or None
    fault.later(
        fault.args["seconds"],
        lambda: gateway.publish(gateway.exchange.interventions.force_fill(order, wanted)),
    )


def _is_cancelled(event: Event) -> bool:
    return isinstance(event, OrderChanged) and event.state.status == "Cancelled"


def silent_cancel(_: ActiveFault, updates: OrderUpdates) -> bool:
    """Leave out the orderStatus of a cancelled order: only 202 comes."""
    kept = [event for event in updates.events if not _is_cancelled(event)]
    found = len(kept) < len(updates.events)
    updates.events = kept
    return found


def reject(fault: ActiveFault, rejection: Rejection) -> bool:
    """Turn a new order away, by default with 201."""
    if not rejection.new:
        return False
    rejection.why, rejection.code = fault.args["reason"], fault.args["code"]
    rejection.status_first = fault.args["sequence"] == "status_first"
    rejection.status = "Cancelled" if fault.args["status"] == "none" else fault.args["status"]
    rejection.sends_status = fault.args["status"] != "none"
    return True


def rejected_but_held(fault: ActiveFault, rejection: Rejection) -> bool:
    """Turn a new order away as `reject` does; its position appears all the same, without an execution."""
    if not reject(fault, rejection):
        return False
    ticket, gateway = rejection.ticket, fault.gateway
    quantity = ticket.sign * min(fault.args["quantity"] or ticket.quantity, ticket.quantity)

    def appear() -> None:
        interventions = gateway.exchange.interventions
        gateway.publish(interventions.transfer(ticket.instrument, quantity, interventions.touch(ticket)))

    fault.later(fault.args["seconds"], appear)
    return True


def margin_reject(fault: ActiveFault, rejection: Rejection) -> bool:
    """Turn an order away for lack of margin."""
    rejection.why, rejection.status = _MARGIN, "Inactive"
    rejection.status_first = fault.args["sequence"] == "status_first"
    return True


def inactive(fault: ActiveFault, rejection: Rejection) -> bool:
    """Make a new order Inactive; it becomes live later."""
    if not rejection.new:
        return False
    rejection.why, rejection.status = "held by the broker", "Inactive"
    rejection.dormant, rejection.code = True, None
    ticket, gateway = rejection.ticket, fault.gateway

    def wake() -> None:
        order = gateway.exchange.orders.find(ticket.client_id, ticket.order_id)
        if order is not None and gateway.exchange.interventions.revive(order):
            gateway.publish([OrderChanged(order.snapshot())])
            gateway.publish(gateway.exchange.advance(gateway.now))

    fault.later(fault.args["seconds"], wake)
    return True


def set_both_sides(fault: ActiveFault) -> bool:
    """Say which resting orders forbid one on the other side of the same option."""
    fault.gateway.exchange.both_sides = fault.args["rule"]
    return True


def reset_both_sides(fault: ActiveFault) -> bool:
    """Apply the usual rule again: none."""
    fault.gateway.exchange.both_sides = DEFAULT_BOTH_SIDES
    return True


def order_warning(fault: ActiveFault) -> bool:
    """Send a warning about a live order, which stays live."""
    order = fault.order(live=True)
    if order is None:
        return False
    code, ticket = fault.args["code"], order.ticket
    fault.gateway.publish([OrderError(ticket.client_id, ticket.order_id, code, text_of(code))])
    return True


def _code(default: int, says: str) -> Parameter:
    return Parameter("code", "natural", default, says)


_SECONDS = Parameter("seconds", "seconds", 0.0, "until the fill")
_QUANTITY = Parameter("quantity", "natural", 0, "contracts; 0: all that remain")
_SEQUENCE = Parameter(
    *("sequence", "text", "error_first", "201, then the status; or the status, 201 and the status again"),
    ("error_first", "status_first"),
)
_REJECTION = (
    Parameter("reason", "text", "made up by the script of faults", "in words"),
    Parameter(
        *("status", "text", "Inactive", "sent with it; none: the error alone"),
        ("Inactive", "Cancelled", "none"),
    ),
    _code(201, "of the error"),
    _SEQUENCE,
)

KINDS = (
    FaultKind(
        *("refuse_order", "A new order is answered with an error and not placed."),
        {Hook.REQUEST: refuse_order},
        (
            _code(110, "110 on a good price, 103, 109, 163, 201, 203, 383, 451, 478, 2139, …"),
            Parameter("text", "text", "", "of the error; without it the usual one of this code"),
        ),
    ),
    FaultKind(
        *("refuse_change", "A modification is answered with an error; the old order stays live."),
        {Hook.REQUEST: refuse_change},
        (_code(105, "104, 105, 110, …"),),
    ),
    FaultKind(
        *("refuse_cancel", "A cancel is answered with an error; the order stays live."),
        {Hook.REQUEST: refuse_cancel},
        (_code(10147, "10147, 10148, 136, 161, …"),),
    ),
    FaultKind(
        *("slow_cancel", "PendingCancel: the order is cancelled later, and may fill until then."),
        {Hook.REQUEST: slow_cancel},
        (Parameter("seconds", "seconds", 5.0, "until it is cancelled"),),
    ),
    FaultKind(
        *("fill_instead_of_cancel", "The cancel of a working order is answered with 10148; the order fills."),
        {Hook.REQUEST: fill_instead_of_cancel},
        (_SECONDS,),
    ),
    FaultKind(
        *("fill_after_cancel", "The cancel of a working order is confirmed (202); then the order fills."),
        {Hook.REQUEST: fill_after_cancel},
        (_SECONDS, _QUANTITY),
    ),
    FaultKind(
        *("silent_cancel", "A cancelled order gets 202 and no orderStatus."), {Hook.UPDATES: silent_cancel}
    ),
    FaultKind(
        *("reject", "A new order is rejected with 201 or another code."),
        {Hook.ACCEPT: reject},
        _REJECTION,
    ),
    FaultKind(
        *("rejected_but_held", "A new order is rejected, and its position appears without an execution."),
        {Hook.ACCEPT: rejected_but_held},
        (
            *_REJECTION,
            Parameter("quantity", "natural", 0, "contracts that appear; 0: all"),
            Parameter("seconds", "seconds", 0.0, "until they appear"),
        ),
    ),
    FaultKind(
        *("margin_reject", "An order is rejected with 201 for lack of margin, Inactive."),
        {Hook.ACCEPT: margin_reject},
        (_SEQUENCE,),
    ),
    FaultKind(
        *("both_sides", "An order is refused with 201 while one rests on the other side of its option."),
        {Hook.NOW: set_both_sides, Hook.END: reset_both_sides},
        (
            Parameter(
                "rule", "text", "all", "which resting orders count: none; those that work; all", BOTH_SIDES
            ),
        ),
        lasting=True,
        everywhere=True,
    ),
    FaultKind(
        *("inactive", "A new order is Inactive at first and becomes live later."),
        {Hook.ACCEPT: inactive},
        (Parameter("seconds", "seconds", 10.0, "until it is live"),),
    ),
    FaultKind(
        *("order_warning", "A warning about a live order, which stays live."),
        {Hook.NOW: order_warning},
        (_code(399, "399, 404, 110, 161, 202, 2109, 2137, 10349, …"),),
    ),
    *OF_SILENCE,
)
