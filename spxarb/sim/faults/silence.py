"""Orders that the gateway has received and nobody hears of for a while.

Source: the log of a TWS in which an order was first heard of 53 s after it was sent, and filled, while three
later ones passed it; the link was whole and no error came.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.sim.api.wire import Ask
from spxarb.sim.faults.kinds import FaultKind, Hook, Parameter
from spxarb.sim.faults.messages import is_what_if, request_id
from spxarb.sim.faults.texts import text_of

if TYPE_CHECKING:
    from datetime import datetime

    from spxarb.sim.faults.kinds import ActiveFault, ClientRequest

    Waiting = dict[tuple[int, int], datetime]


def silent_order(fault: ActiveFault, request: ClientRequest) -> bool:
    """Let a new order reach the exchange late; changes and cancels of it meanwhile are not answered."""
    key = request.session.client_id, request_id(request)
    waiting: Waiting = fault.memory.setdefault("waiting", {})
    if request.number == Ask.CANCEL_ORDER and key in waiting:
        _cancel(fault, request, waiting[key])
    elif request.number != Ask.PLACE_ORDER or is_what_if(request) or key[1] <= 0:
        return False
    elif key in waiting:
        _perform_at(fault, request, waiting[key])
    elif fault.gateway.exchange.orders.find(*key) is not None:
        return False
    else:
        # The gateway has it: the next valid id is higher, and lower ids that come later are accepted.
        fault.gateway.exchange.orders.note_id(*key)
        waiting[key] = fault.gateway.now + timedelta(seconds=fault.args["seconds"])
        fault.schedule.at(waiting[key], lambda: waiting.pop(key))
        _perform_at(fault, request, waiting[key])
    request.refused = True
    return True


def _perform_at(fault: ActiveFault, request: ClientRequest, moment: datetime) -> None:
    """Let a request take effect at `moment`, after those of that moment that came before it."""
    session, number, values = request.session, request.number, request.values
    fault.schedule.at(moment, lambda: session.perform(number, values))


def _cancel(fault: ActiveFault, request: ClientRequest, arrival: datetime) -> None:
    if fault.args["cancel"] == "unknown":
        request.session.error(request_id(request), 10147, text_of(10147))
    elif fault.args["cancel"] == "late":
        _perform_at(fault, request, arrival)


KINDS = (
    FaultKind(
        *("silent_order", "A new order reaches the exchange late, without a word until then."),
        {Hook.REQUEST: silent_order},
        (
            Parameter("seconds", "seconds", 53.0, "how late; later orders pass it, changes wait behind it"),
            Parameter(
                *("cancel", "text", "unanswered", "a cancel meanwhile: lost; 10147; takes effect behind it"),
                ("unanswered", "unknown", "late"),
            ),
        ),
        lasting=True,
    ),
)
