"""Faults of the values in messages: unset numbers, foreign forms of time, hours that disagree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import UNSET_DOUBLE, Say, frame
from spxarb.sim.faults.kinds import Kind, Parameter, Place

if TYPE_CHECKING:
    from spxarb.sim.faults.kinds import Parcel, Run

_ACCOUNT = {Say.ACCOUNT_VALUE: (2, 3), Say.ACCOUNT_MULTI: (5, 6), Say.ACCOUNT_SUMMARY: (4, 5)}
"""Where account messages have their tag and their value."""
_WORDS = {"AccountReady", "AccountType", "AccountCode", "Currency", "DayTradesRemaining"}
_PNL = {Say.PNL: 2, Say.PNL_SINGLE: 3}
"""From which field on these messages hold money."""
_WHAT_IF, _MARGINS = 93, slice(95, 104)
"""The whatIf flag and the nine margins of openOrder."""
_PERM_ID = 23
"""The permanent id in completedOrder."""


def unset_account(run: Run, parcel: Parcel) -> bool:
    """Put unset in place of account values."""
    places = _ACCOUNT.get(Say(parcel.number)) if parcel.number in _ACCOUNT else None
    if places is None:
        return False
    tag, value = places
    wanted = run.args["tag"]
    if parcel.fields[tag] in _WORDS or (wanted and parcel.fields[tag] != wanted):
        return False
    values = list(parcel.fields)
    values[value] = UNSET_DOUBLE if run.args["form"] == "unset" else ""
    parcel.rewrite(values)
    return True


def unset_pnl(_: Run, parcel: Parcel) -> bool:
    """Put unset in place of profit and loss."""
    if parcel.number not in _PNL:
        return False
    start = _PNL[Say(parcel.number)]
    values = [*parcel.fields[:start], *(UNSET_DOUBLE for _ in parcel.fields[start:])]
    parcel.rewrite(values)
    return True


def _without_margins(parcel: Parcel, text: str) -> list[str]:
    values = list(parcel.fields)
    values[_MARGINS] = [text] * 9
    return values


def _is_preview(parcel: Parcel) -> bool:
    return parcel.number == Say.OPEN_ORDER and parcel.fields[_WHAT_IF] == "1"


def what_if_unset_first(_: Run, parcel: Parcel) -> bool:
    """Send an answer without margins before the real one."""
    if not _is_preview(parcel):
        return False
    parcel.out = [frame(*_without_margins(parcel, UNSET_DOUBLE)), *parcel.out]
    return True


def what_if_unset(run: Run, parcel: Parcel) -> bool:
    """Answer a what-if without margins."""
    if not _is_preview(parcel):
        return False
    parcel.rewrite(_without_margins(parcel, UNSET_DOUBLE if run.args["form"] == "unset" else ""))
    return True


def what_if_never(_: Run, parcel: Parcel) -> bool:
    """Leave a what-if without an answer."""
    if not _is_preview(parcel):
        return False
    parcel.out = []
    return True


def exec_time(run: Run, parcel: Parcel) -> bool:
    """Write the times of executions in another form."""
    if parcel.number != Say.EXECUTION:
        return False
    fill = run.trouble.gateway.exchange.execution(parcel.fields[14])
    if fill is None:
        return False
    local = fill.time
    utc, standard = local.astimezone(UTC), local.astimezone(UTC) - timedelta(hours=5)
    forms = {
        "unknown": f"{local:%Y%m%d %H:%M:%S} {run.args['zone']}",
        "local": f"{local:%Y%m%d  %H:%M:%S}",
        "utc": f"{utc:%Y%m%d-%H:%M:%S}",
        "est": f"{standard:%Y%m%d %H:%M:%S} EST",
        "eastern": f"{local:%Y%m%d %H:%M:%S} US/Eastern",
        "empty": "",
    }
    values = list(parcel.fields)
    values[15] = forms[run.args["form"]]
    parcel.rewrite(values)
    return True


def wrong_hours(run: Run, parcel: Parcel) -> bool:
    """Tell other trading hours of today."""
    if parcel.number != Say.CONTRACT_DETAILS:
        return False
    place = 26 if parcel.session.version >= layouts.SIZE_RULES else 28
    values = list(parcel.fields)
    day = run.trouble.gateway.now.date()
    for at in (place, place + 1):
        days = [one for one in values[at].split(";") if one and not one.startswith(f"{day:%Y%m%d}")]
        values[at] = ";".join([*_today(run.args["form"], day, values[place - 1]), *days])
        if run.args["form"] == "empty":
            values[at] = ""
    parcel.rewrite(values)
    return True


def _today(form: str, day: object, zone: str) -> list[str]:
    if form == "closed":
        return [f"{day:%Y%m%d}:CLOSED"]
    opens, closes = ("0830", "1200") if zone in {"US/Central", "America/Chicago"} else ("0930", "1300")
    return [f"{day:%Y%m%d}:{opens}-{day:%Y%m%d}:{closes}"] if form == "half_day" else []


def zero_positions(run: Run, parcel: Parcel) -> bool:
    """Before the end of the positions, name contracts of which there are none."""
    if parcel.number != Say.POSITIONS_END:
        return False
    gateway = run.trouble.gateway
    held = gateway.exchange.held()
    known = [state.ticket.instrument for state in gateway.exchange.all_orders()]
    items = known or list(gateway.market.find("SPY", "STK"))
    rows = [
        frame(Say.POSITION, 3, gateway.account, *layouts.contract_fields(item, exchange=""), 0, 0.0)
        for item in dict.fromkeys(items)
        if item not in held
    ]
    parcel.out = [*rows, *parcel.out]
    return True


def late_executions(run: Run, parcel: Parcel) -> bool:
    """Leave young executions out of the answers to reqExecutions."""
    hidden: set[str] = run.memory.setdefault("hidden", set())
    if parcel.number == Say.COMMISSION and parcel.fields[2] in hidden:
        hidden.discard(parcel.fields[2])
        parcel.out = []
        return True
    if parcel.number != Say.EXECUTION or parcel.fields[1] == "-1":
        return False
    fill = run.trouble.gateway.exchange.execution(parcel.fields[14])
    if fill is None or not _young(run, fill.time):
        return False
    hidden.add(fill.exec_id)
    parcel.out = []
    return True


def late_completed(run: Run, parcel: Parcel) -> bool:
    """Leave orders that ended just now out of the completed ones."""
    if parcel.number != Say.COMPLETED_ORDER:
        return False
    states = run.trouble.gateway.exchange.completed_orders()
    found = next((each for each in states if str(each.perm_id) == parcel.fields[_PERM_ID]), None)
    if found is None or found.completed_at is None or not _young(run, found.completed_at):
        return False
    parcel.out = []
    return True


def _young(run: Run, moment: datetime) -> bool:
    return bool((run.trouble.gateway.now - moment).total_seconds() < run.args["seconds"])


_FORM = Parameter("form", "text", "unset", "1.797…E308, or nothing", ("unset", "empty"))

KINDS = (
    Kind(
        *("unset_account", "Account values are unset."),
        {Place.MESSAGE: unset_account},
        (Parameter("tag", "text", "", "only this one"), _FORM),
        lasting=True,
    ),
    Kind(*("unset_pnl", "Profit and loss are unset."), {Place.MESSAGE: unset_pnl}, lasting=True),
    Kind(
        *("what_if_unset_first", "A what-if is answered without margins first, then with them."),
        {Place.MESSAGE: what_if_unset_first},
        lasting=True,
    ),
    Kind(
        *("what_if_unset", "A what-if is answered without margins."),
        {Place.MESSAGE: what_if_unset},
        (_FORM,),
        lasting=True,
    ),
    Kind(*("what_if_never", "A what-if is not answered."), {Place.MESSAGE: what_if_never}, lasting=True),
    Kind(
        *("exec_time", "Executions have their time in another form."),
        {Place.MESSAGE: exec_time},
        (
            Parameter(
                *("form", "text", "unknown", "zone that nobody knows; none; UTC; winter time; other name"),
                ("unknown", "local", "utc", "est", "eastern", "empty"),
            ),
            Parameter("zone", "text", "Nowhere/Special", "the unknown zone"),
        ),
        lasting=True,
    ),
    Kind(
        *("wrong_hours", "Contract details tell other trading hours of today."),
        {Place.MESSAGE: wrong_hours},
        (Parameter("form", "text", "half_day", "of the day", ("half_day", "closed", "missing", "empty")),),
        lasting=True,
    ),
    Kind(
        *("zero_positions", "Positions of 0 are listed too."),
        {Place.MESSAGE: zero_positions},
        lasting=True,
    ),
    Kind(
        *("late_executions", "Lists of executions leave the youngest out."),
        {Place.MESSAGE: late_executions},
        (Parameter("seconds", "seconds", 5.0, "how old they must be"),),
        lasting=True,
    ),
    Kind(
        *("late_completed", "Lists of completed orders leave the youngest out."),
        {Place.MESSAGE: late_completed},
        (Parameter("seconds", "seconds", 5.0, "how long ago they must have ended"),),
        lasting=True,
    ),
)
