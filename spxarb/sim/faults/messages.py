"""Faults of single requests and messages: lost, late, sent twice, refused, or changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spxarb.sim.api.wire import NOT_A_REQUEST, Ask, Say, frame
from spxarb.sim.faults.kinds import REQUIRED, FaultKind, Hook, Parameter
from spxarb.sim.faults.texts import text_of
from spxarb.sim.faults.times import KINDS as OF_TIME
from spxarb.sim.faults.values import KINDS as OF_VALUES

if TYPE_CHECKING:
    from spxarb.sim.faults.kinds import ActiveFault, ClientRequest, OutgoingMessage

_UNVERSIONED = {Ask.PLACE_ORDER, Ask.HISTORICAL_DATA, Ask.OPTION_CHAINS, Ask.MATCHING_SYMBOLS}
_UNVERSIONED |= {Ask.PNL, Ask.CANCEL_PNL, Ask.PNL_SINGLE, Ask.CANCEL_PNL_SINGLE}
_NUMBERED = _UNVERSIONED | {
    *(Ask.MARKET_DATA, Ask.CANCEL_MARKET_DATA, Ask.CANCEL_ORDER, Ask.EXECUTIONS, Ask.CONTRACT_DETAILS),
    *(Ask.ACCOUNT_SUMMARY, Ask.ACCOUNT_UPDATES_MULTI),
}


def request_id(request: ClientRequest) -> int:
    """The id that an error about a request carries; -1 when the request has none."""
    if request.number not in _NUMBERED:
        return NOT_A_REQUEST
    place = 1 if request.number in _UNVERSIONED else 2
    text = request.values[place] if place < len(request.values) else ""
    return int(text) if re.fullmatch(r"-?\d{1,18}", text) else NOT_A_REQUEST


def is_what_if(request: ClientRequest) -> bool:
    """True for a placeOrder that only asks for its margin."""
    return len(request.values) > 85 and request.values[85] == "1"


def withhold(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Never send it."""
    if not fault.wants(message.number, "messages"):
        return False
    message.out = []
    return True


def delay(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Send it later; what comes after overtakes it."""
    if not fault.wants(message.number, "messages"):
        return False
    message.wait(fault.args["seconds"])
    return True


def duplicate(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Send it more than once."""
    if not fault.wants(message.number, "messages"):
        return False
    message.out = message.out * (1 + fault.args["copies"])
    return True


def ignore(fault: ActiveFault, request: ClientRequest) -> bool:
    """Drop the request."""
    if not fault.wants(request.number, "requests"):
        return False
    request.refused = True
    return True


def unanswered(fault: ActiveFault, request: ClientRequest) -> bool:
    """Let it take effect and drop the answer."""
    if not fault.wants(request.number, "requests"):
        return False
    request.unanswered = True
    return True


def late_request(fault: ActiveFault, request: ClientRequest) -> bool:
    """Let it take effect later."""
    if not fault.wants(request.number, "requests"):
        return False
    session, number, values = request.session, request.number, request.values
    request.refused = True
    if number == Ask.PLACE_ORDER and request_id(request) > 0:  # the gateway has it: its next id is higher
        fault.gateway.exchange.orders.note_id(session.client_id, request_id(request))
    fault.later(fault.args["seconds"], lambda: session.perform(number, values))
    return True


def refuse(fault: ActiveFault, request: ClientRequest) -> bool:
    """Answer with an error instead."""
    if not fault.wants(request.number, "requests"):
        return False
    request.session.error(request_id(request), fault.args["code"], fault.args["text"])
    request.refused = True
    return True


def error(fault: ActiveFault) -> bool:
    """Send an error or notice."""
    order = fault.order() if fault.args["id"] == "order" else None
    given = fault.args["id"]
    number = order.ticket.order_id if order else int(given) if re.fullmatch(r"-?\d{1,9}", given) else -1
    for session in fault.audience():
        session.error(number, fault.args["code"], text_of(fault.args["code"], fault.args["text"]))
    return True


def say(fault: ActiveFault) -> bool:
    """Send a message as it is."""
    for session in fault.audience():
        session.put(frame(*fault.args["fields"]))
    return True


def slow_snapshot(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Send the end of a snapshot late."""
    if message.number != Say.SNAPSHOT_END:
        return False
    message.wait(fault.args["seconds"])
    return True


def line_limit(fault: ActiveFault, request: ClientRequest) -> bool:
    """Refuse market data lines beyond a number."""
    if request.number != Ask.MARKET_DATA or len(request.session.streams) < fault.args["lines"]:
        return False
    request.session.error(request_id(request), 101, "Max number of tickers has been reached")
    request.refused = True
    return True


_MESSAGES = Parameter("messages", "messages", None, "which; without it the one in `when`")
_REQUESTS = Parameter("requests", "requests", None, "which; without it the one in `when`")
_SECONDS = Parameter("seconds", "seconds", REQUIRED, "how much later")

KINDS = (
    FaultKind(
        *("withhold", "A message is never sent: an end marker, nextValidId, an execution, any."),
        {Hook.MESSAGE: withhold},
        (_MESSAGES,),
        needs_message=True,
    ),
    FaultKind(
        *("delay", "A message is sent late; others overtake it, but not the end marker of its answer."),
        {Hook.MESSAGE: delay},
        (_SECONDS, _MESSAGES),
        needs_message=True,
    ),
    FaultKind(
        *("duplicate", "A message is sent more than once."),
        {Hook.MESSAGE: duplicate},
        (Parameter("copies", "count", 1, "how many more times"), _MESSAGES),
        needs_message=True,
    ),
    FaultKind(
        *("ignore", "A request is lost: an order, a cancel, a question. No answer comes."),
        {Hook.REQUEST: ignore},
        (_REQUESTS,),
        needs_request=True,
    ),
    FaultKind(
        *("unanswered", "A request takes effect, and its answer is lost."),
        {Hook.REQUEST: unanswered},
        (_REQUESTS,),
        needs_request=True,
    ),
    FaultKind(
        *("late_request", "A request takes effect late, even if its client has gone."),
        {Hook.REQUEST: late_request},
        (_SECONDS, _REQUESTS),
        needs_request=True,
    ),
    FaultKind(
        *("refuse", "A request is answered with an error and takes no effect."),
        {Hook.REQUEST: refuse},
        (
            Parameter("code", "natural", 321, "of the error"),
            Parameter("text", "text", "Error validating request", "of the error"),
            _REQUESTS,
        ),
        needs_request=True,
    ),
    FaultKind(
        *("error", "An error or notice without a cause."),
        {Hook.NOW: error},
        (
            Parameter("code", "natural", REQUIRED, "of the error"),
            Parameter("text", "text", "", "of the error; without it the usual one of this code"),
            Parameter("id", "text", "-1", "request or order id; `order`: that of the one in `when`"),
        ),
    ),
    FaultKind(
        *("say", "Any message, field by field."),
        {Hook.NOW: say},
        (Parameter("fields", "fields", REQUIRED, "the message id and what follows it"),),
    ),
    FaultKind(
        *("slow_snapshot", "The end of a market data snapshot is late."),
        {Hook.MESSAGE: slow_snapshot},
        (Parameter("seconds", "seconds", 11.0, "how late"),),
        lasting=True,
    ),
    FaultKind(
        *("line_limit", "More market data lines than a limit are refused with 101."),
        {Hook.REQUEST: line_limit},
        (Parameter("lines", "natural", 0, "the limit"),),
        lasting=True,
    ),
    *OF_VALUES,
    *OF_TIME,
)
