"""Faults of the values in messages: unset numbers, references left out, hours that disagree."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import UNSET_DOUBLE, Say, frame
from spxarb.sim.faults.kinds import FaultKind, Hook, Parameter

if TYPE_CHECKING:
    from datetime import datetime

    from spxarb.sim.faults.kinds import ActiveFault, OutgoingMessage

_ACCOUNT = {Say.ACCOUNT_VALUE: (2, 3), Say.ACCOUNT_MULTI: (5, 6), Say.ACCOUNT_SUMMARY: (4, 5)}
"""Where account messages hold tag and value."""
_WORDS = {"AccountReady", "AccountType", "AccountCode", "Currency", "DayTradesRemaining"}
_PNL = {Say.PNL: 2, Say.PNL_SINGLE: 3}
"""From which field on these messages hold dollars."""
_WHAT_IF, _MARGINS = 93, slice(95, 104)
"""The whatIf flag and the nine margins of openOrder."""
_PERM_ID = 23
"""The permanent id in completedOrder."""
_EXECUTION_PERM_ID = 21
_REFERENCE = {Say.EXECUTION: 26, Say.OPEN_ORDER: 23, Say.COMPLETED_ORDER: 22}
"""Where messages about an order hold its client's reference."""


def unset_account(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Unset account values."""
    places = _ACCOUNT.get(Say(message.number)) if message.number in _ACCOUNT else None
    if places is None:
        return False
    tag, value = places
    wanted = fault.args["tag"]
    if message.fields[tag] in _WORDS or (wanted and message.fields[tag] != wanted):
        return False
    values = list(message.fields)
    values[value] = UNSET_DOUBLE if fault.args["form"] == "unset" else ""
    message.rewrite(values)
    return True


def unset_pnl(_: ActiveFault, message: OutgoingMessage) -> bool:
    """Unset profit and loss."""
    if message.number not in _PNL:
        return False
    start = _PNL[Say(message.number)]
    values = [*message.fields[:start], *(UNSET_DOUBLE for _ in message.fields[start:])]
    message.rewrite(values)
    return True


def _without_margins(message: OutgoingMessage, text: str) -> list[str]:
    values = list(message.fields)
    values[_MARGINS] = [text] * 9
    return values


def _is_preview(message: OutgoingMessage) -> bool:
    return message.number == Say.OPEN_ORDER and message.fields[_WHAT_IF] == "1"


def what_if_unset_first(_: ActiveFault, message: OutgoingMessage) -> bool:
    """Send an answer without margins before the real one."""
    if not _is_preview(message):
        return False
    message.out = [frame(*_without_margins(message, UNSET_DOUBLE)), *message.out]
    return True


def what_if_unset(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Answer a what-if without margins."""
    if not _is_preview(message):
        return False
    message.rewrite(_without_margins(message, UNSET_DOUBLE if fault.args["form"] == "unset" else ""))
    return True


def what_if_never(_: ActiveFault, message: OutgoingMessage) -> bool:
    """Leave a what-if unanswered."""
    if not _is_preview(message):
        return False
    message.out = []
    return True


def wrong_hours(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Send other trading hours of today."""
    if message.number != Say.CONTRACT_DETAILS:
        return False
    place = 26 if message.session.version >= layouts.SIZE_RULES else 28
    values = list(message.fields)
    day = fault.gateway.now.date()
    for at in (place, place + 1):
        days = [one for one in values[at].split(";") if one and not one.startswith(f"{day:%Y%m%d}")]
        values[at] = ";".join([*_today(fault.args["form"], day, values[place - 1]), *days])
        if fault.args["form"] == "empty":
            values[at] = ""
    message.rewrite(values)
    return True


def _today(form: str, day: object, zone: str) -> list[str]:
    if form == "closed":
        return [f"{day:%Y%m%d}:CLOSED"]
    opens, closes = ("0830", "1200") if zone in {"US/Central", "America/Chicago"} else ("0930", "1300")
    return [f"{day:%Y%m%d}:{opens}-{day:%Y%m%d}:{closes}"] if form == "half_day" else []


def no_reference(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Leave the client's reference out, and out of executions also the permanent id."""
    wanted = fault.args["messages"]
    if message.number not in _REFERENCE or (wanted and message.number not in wanted):
        return False
    place = _REFERENCE[Say(message.number)]
    if fault.args["order_ref"] and not fnmatchcase(message.fields[place], fault.args["order_ref"]):
        return False
    values = list(message.fields)
    values[place] = ""
    if message.number == Say.EXECUTION and fault.args["perm_id"] == "zero":
        values[_EXECUTION_PERM_ID] = "0"
    message.rewrite(values)
    return True


def zero_positions(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Before the end marker, list positions of 0."""
    if message.number != Say.POSITIONS_END:
        return False
    gateway = fault.gateway
    held = gateway.exchange.interventions.held()
    known = [state.ticket.instrument for state in gateway.exchange.orders.all()]
    items = known or list(gateway.market.find("SPY", "STK"))
    rows = [
        frame(Say.POSITION, 3, gateway.account, *layouts.contract_fields(item, exchange=""), 0, 0.0)
        for item in dict.fromkeys(items)
        if item not in held
    ]
    message.out = [*rows, *message.out]
    return True


def late_executions(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Leave recent executions out of the answers to reqExecutions."""
    hidden: set[str] = fault.memory.setdefault("hidden", set())
    if message.number == Say.COMMISSION and message.fields[2] in hidden:
        hidden.discard(message.fields[2])
        message.out = []
        return True
    if message.number != Say.EXECUTION or message.fields[1] == "-1":
        return False
    fill = fault.gateway.exchange.executions.find_listed(message.fields[14])
    if fill is None or not _recent(fault, fill.time):
        return False
    hidden.add(fill.exec_id)
    message.out = []
    return True


def late_completed(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Leave orders that ended recently out of the completed ones."""
    if message.number != Say.COMPLETED_ORDER:
        return False
    states = fault.gateway.exchange.completed_orders()
    found = next((state for state in states if str(state.perm_id) == message.fields[_PERM_ID]), None)
    if found is None or found.completed_at is None or not _recent(fault, found.completed_at):
        return False
    message.out = []
    return True


def _recent(fault: ActiveFault, moment: datetime) -> bool:
    return bool((fault.gateway.now - moment).total_seconds() < fault.args["seconds"])


_FORM = Parameter("form", "text", "unset", "1.797…E308, or empty", ("unset", "empty"))

KINDS = (
    FaultKind(
        *("unset_account", "Account values are unset."),
        {Hook.MESSAGE: unset_account},
        (Parameter("tag", "text", "", "only this one"), _FORM),
        lasting=True,
    ),
    FaultKind(*("unset_pnl", "Profit and loss are unset."), {Hook.MESSAGE: unset_pnl}, lasting=True),
    FaultKind(
        *("what_if_unset_first", "A what-if is answered without margins first, then with them."),
        {Hook.MESSAGE: what_if_unset_first},
        lasting=True,
    ),
    FaultKind(
        *("what_if_unset", "A what-if is answered without margins."),
        {Hook.MESSAGE: what_if_unset},
        (_FORM,),
        lasting=True,
    ),
    FaultKind(*("what_if_never", "A what-if is not answered."), {Hook.MESSAGE: what_if_never}, lasting=True),
    FaultKind(
        *("wrong_hours", "Contract details have other trading hours of today."),
        {Hook.MESSAGE: wrong_hours},
        (
            Parameter(
                "form", "text", "half_day", "today's session", ("half_day", "closed", "missing", "empty")
            ),
        ),
        lasting=True,
    ),
    FaultKind(
        *("no_reference", "Messages about orders come without the client's reference."),
        {Hook.MESSAGE: no_reference},
        (
            Parameter("messages", "messages", None, "which of execution, open_order and completed_order"),
            Parameter("order_ref", "text", "", "only of orders with this reference; may contain `*`"),
            Parameter("perm_id", "text", "kept", "in executions", ("kept", "zero")),
        ),
        lasting=True,
    ),
    FaultKind(
        *("zero_positions", "Positions of 0 are listed too."),
        {Hook.MESSAGE: zero_positions},
        lasting=True,
    ),
    FaultKind(
        *("late_executions", "Lists of executions leave recent ones out."),
        {Hook.MESSAGE: late_executions},
        (Parameter("seconds", "seconds", 5.0, "how old an execution must be to be listed; 604800: none is"),),
        lasting=True,
    ),
    FaultKind(
        *("late_completed", "Lists of completed orders leave recent ones out."),
        {Hook.MESSAGE: late_completed},
        (Parameter("seconds", "seconds", 5.0, "how long ago an order must have ended to be listed"),),
        lasting=True,
    ),
)
