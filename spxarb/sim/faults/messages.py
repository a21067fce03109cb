"""Faults of single requests and messages: lost, late, twice, refused, or with other words in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spxarb.sim.api.wire import NOT_A_REQUEST, Ask, Say, frame
from spxarb.sim.faults.kinds import REQUIRED, Kind, Parameter, Place
from spxarb.sim.faults.values import KINDS as OF_VALUES

if TYPE_CHECKING:
    from spxarb.sim.faults.kinds import Call, Parcel, Run

_UNVERSIONED = {Ask.PLACE_ORDER, Ask.HISTORICAL_DATA, Ask.OPTION_CHAINS, Ask.MATCHING_SYMBOLS}
_UNVERSIONED |= {Ask.PNL, Ask.CANCEL_PNL, Ask.PNL_SINGLE, Ask.CANCEL_PNL_SINGLE}
_NUMBERED = _UNVERSIONED | {
    *(Ask.MARKET_DATA, Ask.CANCEL_MARKET_DATA, Ask.CANCEL_ORDER, Ask.EXECUTIONS, Ask.CONTRACT_DETAILS),
    *(Ask.ACCOUNT_SUMMARY, Ask.ACCOUNT_UPDATES_MULTI),
}


def request_id(call: Call) -> int:
    """The id under which an error about a request is told; -1 when it has none."""
    if call.number not in _NUMBERED:
        return NOT_A_REQUEST
    place = 1 if call.number in _UNVERSIONED else 2
    word = call.values[place] if place < len(call.values) else ""
    return int(word) if re.fullmatch(r"-?\d{1,18}", word) else NOT_A_REQUEST


def withhold(run: Run, parcel: Parcel) -> bool:
    """Send it never."""
    if not run.wants(parcel.number, "messages"):
        return False
    parcel.out = []
    return True


def delay(run: Run, parcel: Parcel) -> bool:
    """Send it later; what comes after overtakes it."""
    if not run.wants(parcel.number, "messages"):
        return False
    parcel.wait(run.args["seconds"])
    return True


def duplicate(run: Run, parcel: Parcel) -> bool:
    """Send it more than once."""
    if not run.wants(parcel.number, "messages"):
        return False
    parcel.out = parcel.out * (1 + run.args["copies"])
    return True


def ignore(run: Run, call: Call) -> bool:
    """Do nothing and say nothing."""
    if not run.wants(call.number, "requests"):
        return False
    call.refused = True
    return True


def unanswered(run: Run, call: Call) -> bool:
    """Do it and say nothing."""
    if not run.wants(call.number, "requests"):
        return False
    call.unanswered = True
    return True


def late_request(run: Run, call: Call) -> bool:
    """Do it later."""
    if not run.wants(call.number, "requests"):
        return False
    session, number, values = call.session, call.number, call.values
    call.refused = True
    run.trouble.later(run.args["seconds"], lambda: session.perform(number, values))
    return True


def refuse(run: Run, call: Call) -> bool:
    """Answer with an error."""
    if not run.wants(call.number, "requests"):
        return False
    call.session.error(request_id(call), run.args["code"], run.args["text"])
    call.refused = True
    return True


def error(run: Run) -> bool:
    """Say an error or notice."""
    order = run.trouble.order_of(run) if run.args["id"] == "order" else None
    given = run.args["id"]
    number = order.ticket.order_id if order else int(given) if re.fullmatch(r"-?\d{1,9}", given) else -1
    for session in run.trouble.audience(run):
        session.error(number, run.args["code"], run.args["text"])
    return True


def say(run: Run) -> bool:
    """Send a message as it is."""
    for session in run.trouble.audience(run):
        session.put(frame(*run.args["fields"]))
    return True


def slow_snapshot(run: Run, parcel: Parcel) -> bool:
    """Let a snapshot end late."""
    if parcel.number != Say.SNAPSHOT_END:
        return False
    parcel.wait(run.args["seconds"])
    return True


def line_limit(run: Run, call: Call) -> bool:
    """Refuse market data lines beyond a number."""
    if call.number != Ask.MARKET_DATA or len(call.session.streams) < run.args["lines"]:
        return False
    call.session.error(request_id(call), 101, "Max number of tickers has been reached")
    call.refused = True
    return True


_MESSAGES = Parameter("messages", "messages", None, "which; without it the one in `when`")
_REQUESTS = Parameter("requests", "requests", None, "which; without it the one in `when`")
_SECONDS = Parameter("seconds", "seconds", REQUIRED, "how much later")

KINDS = (
    Kind(
        *("withhold", "Never sends a message: an end marker, nextValidId, an execution, any."),
        {Place.MESSAGE: withhold},
        (_MESSAGES,),
        needs_message=True,
    ),
    Kind(
        *("delay", "Sends a message late; others overtake it, but not the end of its answer."),
        {Place.MESSAGE: delay},
        (_SECONDS, _MESSAGES),
        needs_message=True,
    ),
    Kind(
        *("duplicate", "Sends a message more than once."),
        {Place.MESSAGE: duplicate},
        (Parameter("copies", "count", 1, "how often more"), _MESSAGES),
        needs_message=True,
    ),
    Kind(
        *("ignore", "A request is lost: an order, a cancel, a question; no answer."),
        {Place.REQUEST: ignore},
        (_REQUESTS,),
        needs_request=True,
    ),
    Kind(
        *("unanswered", "A request takes effect, and nothing of its answer is sent."),
        {Place.REQUEST: unanswered},
        (_REQUESTS,),
        needs_request=True,
    ),
    Kind(
        *("late_request", "A request takes effect late, also when its client has gone."),
        {Place.REQUEST: late_request},
        (_SECONDS, _REQUESTS),
        needs_request=True,
    ),
    Kind(
        *("refuse", "A request is answered with an error and takes no effect."),
        {Place.REQUEST: refuse},
        (
            Parameter("code", "natural", 321, "of the error"),
            Parameter("text", "text", "Error validating request", "of the error"),
            _REQUESTS,
        ),
        needs_request=True,
    ),
    Kind(
        *("error", "Says an error or notice that nothing is behind."),
        {Place.NOW: error},
        (
            Parameter("code", "natural", REQUIRED, "of the error"),
            Parameter("text", "text", "made up by the script of faults", "of the error"),
            Parameter("id", "text", "-1", "about which request or order; `order`: the one in `when`"),
        ),
    ),
    Kind(
        *("say", "Sends any message."),
        {Place.NOW: say},
        (Parameter("fields", "fields", REQUIRED, "its fields, the id first"),),
    ),
    Kind(
        *("slow_snapshot", "Snapshots of market data end late."),
        {Place.MESSAGE: slow_snapshot},
        (Parameter("seconds", "seconds", 11.0, "how late"),),
        lasting=True,
    ),
    Kind(
        *("line_limit", "101: no more market data lines than a number."),
        {Place.REQUEST: line_limit},
        (Parameter("lines", "natural", 0, "how many there may be"),),
        lasting=True,
    ),
    *OF_VALUES,
)
