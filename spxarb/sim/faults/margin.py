"""Faults of margin: an account kept in another currency, what-ifs that are refused or come too soon."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from spxarb.sim.api.wire import UNSET_DOUBLE, Ask, Say, frame
from spxarb.sim.faults.kinds import FaultKind, Hook, Parameter
from spxarb.sim.faults.messages import is_what_if, request_id

if TYPE_CHECKING:
    from spxarb.sim.faults.kinds import ActiveFault, ClientRequest, OutgoingMessage

_VALUES = {Say.ACCOUNT_VALUE: 2, Say.ACCOUNT_MULTI: 5, Say.ACCOUNT_SUMMARY: 4}
"""Where account messages hold the tag; its value and its currency follow."""
_WHAT_IF, _MARGINS, _CURRENCY = 93, range(95, 104), 107
"""The whatIf flag, the nine margins and the commission's currency of openOrder."""
_REFUSED = (
    "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED.<br><br>IN ORDER TO OBTAIN THE DESIRED POSITION YOUR "
    "<b>PREVIOUS DAY EQUITY WITH LOAN VALUE</b> [50000.00 USD] MUST EXCEED THE INITIAL MARGIN [163000.00 USD]"
)


def base_currency(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Write the account's values, and a what-if's, in the money that the account is kept in."""
    if message.number in _VALUES:
        return _account_row(fault, message, _VALUES[Say(message.number)])
    if message.number == Say.OPEN_ORDER and message.fields[_WHAT_IF] == "1":
        return _preview(fault, message)
    return False


def _account_row(fault: ActiveFault, message: OutgoingMessage, place: int) -> bool:
    tag, value, currency = message.fields[place : place + 3]
    if currency not in {"USD", "BASE"}:
        return False
    code, rate = fault.args["currency"], fault.args["rate"]
    values = list(message.fields)
    if tag == "ExchangeRate":
        # As a gateway was seen to list them: each currency that is held, its own, and BASE.
        own = [*values[: place + 1], "1.00", code, *values[place + 3 :]]
        held = fault.args["rate_told"] or currency == "BASE"
        dollars = [*values[: place + 1], "1.00" if currency == "BASE" else str(rate), *values[place + 2 :]]
        message.out = [frame(*own)] * (currency == "USD") + [frame(*dollars)] * held
        return True
    values[place + 1] = _times(value, rate)
    values[place + 2] = "BASE" if fault.args["labelled"] == "base" else code
    message.rewrite(values)
    return True


def _times(text: str, rate: float) -> str:
    """An amount in the other currency; what is unset stays so."""
    return text if text in {"", UNSET_DOUBLE} else f"{float(text) * rate:.2f}"


def _preview(fault: ActiveFault, message: OutgoingMessage) -> bool:
    if fault.args["what_if"] == "dollars":
        return False
    values = list(message.fields)
    for place in _MARGINS:
        values[place] = _times(values[place], fault.args["rate"])
    values[_CURRENCY] = "" if fault.args["labelled"] == "base" else fault.args["currency"]
    message.rewrite(values)
    return True


def what_if_refused(fault: ActiveFault, request: ClientRequest) -> bool:
    """Answer a what-if with an error."""
    if request.number != Ask.PLACE_ORDER or not is_what_if(request):
        return False
    request.session.error(request_id(request), fault.args["code"], fault.args["text"])
    request.refused = True
    return True


def what_if_pacing(fault: ActiveFault, request: ClientRequest) -> bool:
    """Do not answer a what-if that comes too soon after another."""
    if request.number != Ask.PLACE_ORDER or not is_what_if(request):
        return False
    now = fault.gateway.now
    last: datetime | None = fault.memory.get("last")
    fault.memory["last"] = now
    if last is None or now - last >= timedelta(seconds=fault.args["seconds"]):
        return False
    request.refused = True
    return True


KINDS = (
    FaultKind(
        *("base_currency", "The account is kept in another currency than the dollar."),
        {Hook.MESSAGE: base_currency},
        (
            Parameter("currency", "text", "JPY", "its code"),
            Parameter("rate", "number", 150.0, "of that currency for a dollar"),
            Parameter("labelled", "text", "own", "by its code, or BASE", ("own", "base")),
            Parameter("rate_told", "flag", default=True, says="the dollar's rate is among the values"),
            Parameter("what_if", "text", "own", "the money of a what-if's margins", ("own", "dollars")),
        ),
        lasting=True,
    ),
    FaultKind(
        *("what_if_refused", "A what-if is refused."),
        {Hook.REQUEST: what_if_refused},
        (
            Parameter("code", "natural", 201, "of the error"),
            Parameter("text", "text", _REFUSED, "of the error, with its HTML"),
        ),
        lasting=True,
    ),
    FaultKind(
        *("what_if_pacing", "A what-if too soon after another is not answered."),
        {Hook.REQUEST: what_if_pacing},
        (Parameter("seconds", "seconds", 60.0, "of market time between two"),),
        lasting=True,
    ),
)
