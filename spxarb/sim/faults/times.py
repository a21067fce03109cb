"""Faults of time: the zone of the gateway, and the form in which it writes the times of executions."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from spxarb.sim.api.wire import Say
from spxarb.sim.faults.kinds import REQUIRED, FaultKind, Hook, Parameter
from spxarb.sim.market.trading_days import NEW_YORK

if TYPE_CHECKING:
    from datetime import datetime

    from spxarb.sim.faults.kinds import ActiveFault, OutgoingMessage


def _time_of(fault: ActiveFault, message: OutgoingMessage) -> datetime | None:
    """When an execution was; None for another message."""
    if message.number != Say.EXECUTION:
        return None
    fill = fault.gateway.exchange.executions.find_listed(message.fields[14])
    return fill.time if fill is not None else None


def _write(message: OutgoingMessage, text: str) -> bool:
    """Put another time into an execution."""
    values = list(message.fields)
    values[15] = text
    message.rewrite(values)
    return True


def exec_time(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Write the times of executions in another format."""
    local = _time_of(fault, message)
    if local is None:
        return False
    utc, standard = local.astimezone(UTC), local.astimezone(UTC) - timedelta(hours=5)
    forms = {
        "unknown": f"{local:%Y%m%d %H:%M:%S} {fault.args['zone']}",
        "local": f"{local:%Y%m%d  %H:%M:%S}",
        "utc": f"{utc:%Y%m%d-%H:%M:%S}",
        "est": f"{standard:%Y%m%d %H:%M:%S} EST",
        "eastern": f"{local:%Y%m%d %H:%M:%S} US/Eastern",
        "empty": "",
    }
    return _write(message, forms[fault.args["form"]])


def set_zone(fault: ActiveFault) -> bool:
    """Put the gateway into its zone: the day of its executions begins at midnight there."""
    fault.gateway.zone = ZoneInfo(fault.args["zone"])
    fault.gateway.zone_name = fault.args["written"]
    return True


def leave_zone(fault: ActiveFault) -> bool:
    """Put the gateway back to New York."""
    fault.gateway.zone, fault.gateway.zone_name = NEW_YORK, ""
    return True


def execution_in_zone(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Write the times of executions in the gateway's zone."""
    moment = _time_of(fault, message)
    if moment is None:
        return False
    local, name = moment.astimezone(ZoneInfo(fault.args["zone"])), fault.args["written"]
    forms = {
        "named": f"{local:%Y%m%d %H:%M:%S} {name or fault.args['zone']}",
        "bare": f"{local:%Y%m%d  %H:%M:%S}",
        "dash": f"{moment.astimezone(UTC):%Y%m%d-%H:%M:%S}",
    }
    return _write(message, forms[fault.args["form"]])


KINDS = (
    FaultKind(
        *("exec_time", "Execution times have another format."),
        {Hook.MESSAGE: exec_time},
        (
            Parameter(
                *("form", "text", "unknown", "an unknown zone; no zone; UTC; EST; US/Eastern; empty"),
                ("unknown", "local", "utc", "est", "eastern", "empty"),
            ),
            Parameter("zone", "text", "Nowhere/Special", "the unknown zone"),
        ),
        lasting=True,
    ),
    FaultKind(
        *("gateway_zone", "The gateway lives in another zone: its executions' times and its midnight."),
        {Hook.NOW: set_zone, Hook.MESSAGE: execution_in_zone, Hook.END: leave_zone},
        (
            Parameter("zone", "zone", REQUIRED, "an IANA name, such as Asia/Tokyo"),
            Parameter("written", "text", "", "its name as the gateway writes it, such as JST"),
            Parameter(
                *("form", "text", "named", "with the zone; without it; in UTC with a dash"),
                ("named", "bare", "dash"),
            ),
        ),
        lasting=True,
        everywhere=True,
    ),
)
