"""Faults of orders and their cancels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import Ask
from spxarb.sim.exchange.interventions import told
from spxarb.sim.exchange.orders import OrderChanged, OrderError
from spxarb.sim.faults.kinds import Kind, Parameter, Place
from spxarb.sim.faults.messages import request_id

if TYPE_CHECKING:
    from spxarb.sim.exchange.orders import Event, Order
    from spxarb.sim.faults.kinds import Call, News, Run, Verdict

TEXTS = {
    103: "Duplicate order id",
    104: "Cannot modify a filled order.",
    105: "Order being modified does not match original order",
    109: "The price specified would cross the percentage constraint",
    110: "The price does not conform to the minimum price variation for this contract.",
    136: "This order cannot be cancelled.",
    161: "Cancel attempted when order is not in a cancellable state.",
    163: "The following order would violate the precautionary percentage constraint",
    202: "Order Canceled - reason:",
    203: "The security is not available or allowed for this account.",
    383: "The following order size exceeds the size limit.",
    399: "Order Message: Warning: your order will not be placed at the exchange until the next session",
    404: "Shares for this order are not immediately available for short sale; it is held.",
    2109: "Order Event Warning: Attribute 'Outside Regular Trading Hours' is ignored.",
    2137: "Cross Side Warning",
    10147: "OrderId that needs to be cancelled is not found.",
    10148: "OrderId that needs to be cancelled cannot be cancelled, state: Filled.",
    10349: "Order TIF was set to DAY based on order preset.",
}
_MARGIN = (
    "YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH LOAN VALUE "
    "MUST EXCEED THE INITIAL MARGIN"
)


def _text(code: int) -> str:
    return TEXTS.get(code, "made up by the script of faults")


def _order(call: Call) -> Order | None:
    """The order that a placeOrder or cancelOrder is about, when it is in the book."""
    order = call.subject.order if call.subject else None
    return call.session.gateway.exchange.order(*order) if order else None


def _is_what_if(call: Call) -> bool:
    return len(call.values) > 85 and call.values[85] == "1"


def refuse_order(run: Run, call: Call) -> bool:
    """Answer a new order with an error, and place it not."""
    if call.number != Ask.PLACE_ORDER or _order(call) is not None or _is_what_if(call):
        return False
    code = run.args["code"]
    call.session.error(request_id(call), code, _text(code))
    call.refused = True
    return True


def refuse_change(run: Run, call: Call) -> bool:
    """Answer a modification with an error; the old order lives on."""
    order = _order(call)
    if call.number != Ask.PLACE_ORDER or order is None or not order.live:
        return False
    code = run.args["code"]
    call.session.error(request_id(call), code, _text(code))
    call.refused = True
    return True


def refuse_cancel(run: Run, call: Call) -> bool:
    """Answer a cancel with an error; the order lives on."""
    if call.number != Ask.CANCEL_ORDER:
        return False
    code = run.args["code"]
    call.session.error(request_id(call), code, _text(code))
    call.refused = True
    return True


def slow_cancel(run: Run, call: Call) -> bool:
    """Say PendingCancel and cancel later; until then the order may fill."""
    order = _order(call)
    if call.number != Ask.CANCEL_ORDER or order is None or not order.live:
        return False
    session, number, values = call.session, call.number, call.values
    session.send(layouts.order_status(replace(order.state(), status="PendingCancel")))
    call.refused = True
    run.trouble.later(run.args["seconds"], lambda: session.perform(number, values))
    return True


def fill_instead_of_cancel(run: Run, call: Call) -> bool:
    """Answer a cancel with 10148, state Filled; the fill follows."""
    order = _order(call)
    if call.number != Ask.CANCEL_ORDER or order is None or order.status != "Submitted":
        return False
    call.session.error(request_id(call), 10148, _text(10148))
    call.refused = order.sealed = True
    _fill_later(run, order, 0)
    return True


def fill_after_cancel(run: Run, call: Call) -> bool:
    """Let the cancel be confirmed; a fill that crossed it follows."""
    order = _order(call)
    if call.number != Ask.CANCEL_ORDER or order is None or order.status != "Submitted":
        return False
    call.after.append(lambda: _fill_later(run, order, run.args["quantity"]))
    return True


def _fill_later(run: Run, order: Order, quantity: int) -> None:
    gateway = run.trouble.gateway
    wanted = quantity or None
    run.trouble.later(run.args["seconds"], lambda: gateway.publish(gateway.exchange.force(order, wanted)))


def _is_cancelled(event: Event) -> bool:
    return isinstance(event, OrderChanged) and event.state.status == "Cancelled"


def silent_cancel(_: Run, news: News) -> bool:
    """Leave out the status of a cancelled order: only 202 comes."""
    kept = [each for each in news.events if not _is_cancelled(each)]
    found = len(kept) < len(news.events)
    news.events = kept
    return found


def reject(run: Run, verdict: Verdict) -> bool:
    """Turn a new order away with 201."""
    if not verdict.new:
        return False
    verdict.why = run.args["reason"]
    verdict.status = "Cancelled" if run.args["status"] == "none" else run.args["status"]
    verdict.told = run.args["status"] != "none"
    return True


def margin_reject(_: Run, verdict: Verdict) -> bool:
    """Turn an order away for want of margin."""
    verdict.why, verdict.status = _MARGIN, "Inactive"
    return True


def inactive(run: Run, verdict: Verdict) -> bool:
    """Make a new order Inactive; later it lives."""
    if not verdict.new:
        return False
    verdict.why, verdict.status = "held by the broker", "Inactive"
    verdict.dormant, verdict.code = True, None
    ticket, gateway = verdict.ticket, run.trouble.gateway

    def wake() -> None:
        order = gateway.exchange.order(ticket.client_id, ticket.order_id)
        if order is not None and gateway.exchange.revive(order):
            gateway.publish(told(order))
            gateway.publish(gateway.exchange.advance(gateway.now))

    run.trouble.later(run.args["seconds"], wake)
    return True


def order_warning(run: Run) -> bool:
    """Say a warning about a live order; it lives on."""
    order = run.trouble.order_of(run, live=True)
    if order is None:
        return False
    code, ticket = run.args["code"], order.ticket
    run.trouble.gateway.publish([OrderError(ticket.client_id, ticket.order_id, code, _text(code))])
    return True


def _code(default: int, says: str) -> Parameter:
    return Parameter("code", "natural", default, says)


_SECONDS = Parameter("seconds", "seconds", 0.0, "until the fill")
_QUANTITY = Parameter("quantity", "natural", 0, "contracts of it; 0: all that is left")

KINDS = (
    Kind(
        *("refuse_order", "A new order is answered with an error and not placed."),
        {Place.REQUEST: refuse_order},
        (_code(110, "110 on a good price, 103, 109, 163, 201, 203, 383, …"),),
    ),
    Kind(
        *("refuse_change", "A modification is answered with an error; the old order lives on."),
        {Place.REQUEST: refuse_change},
        (_code(105, "104, 105, 110, …"),),
    ),
    Kind(
        *("refuse_cancel", "The cancel of a live order is answered with an error; it lives on."),
        {Place.REQUEST: refuse_cancel},
        (_code(10147, "10147, 10148, 136, 161, …"),),
    ),
    Kind(
        *("slow_cancel", "PendingCancel; the order is cancelled later and may fill until then."),
        {Place.REQUEST: slow_cancel},
        (Parameter("seconds", "seconds", 5.0, "until it is cancelled"),),
    ),
    Kind(
        *("fill_instead_of_cancel", "A cancel of a working order is answered with 10148, and it fills."),
        {Place.REQUEST: fill_instead_of_cancel},
        (_SECONDS,),
    ),
    Kind(
        *("fill_after_cancel", "The cancel of a working order is confirmed (202); then it fills."),
        {Place.REQUEST: fill_after_cancel},
        (_SECONDS, _QUANTITY),
    ),
    Kind(*("silent_cancel", "A cancelled order gets 202 and no orderStatus."), {Place.NEWS: silent_cancel}),
    Kind(
        *("reject", "201: a new order is turned away."),
        {Place.ACCEPT: reject},
        (
            Parameter("reason", "text", "made up by the script of faults", "in words"),
            Parameter(
                *("status", "text", "Inactive", "told with it; none: the error alone"),
                ("Inactive", "Cancelled", "none"),
            ),
        ),
    ),
    Kind(*("margin_reject", "201 for want of margin, and Inactive."), {Place.ACCEPT: margin_reject}),
    Kind(
        *("inactive", "A new order is Inactive, and later comes to life."),
        {Place.ACCEPT: inactive},
        (Parameter("seconds", "seconds", 10.0, "until it lives"),),
    ),
    Kind(
        *("order_warning", "A warning about a live order, which lives on."),
        {Place.NOW: order_warning},
        (_code(399, "399, 404, 110, 161, 202, 2109, 2137, 10349, …"),),
    ),
)
