"""What every command answers: frozen, already decided, not yet shown.

A command's own fields are in `core/results/`, a class each. The JSON object, its schema, the screen and the
columns of the CSV tables are all made from these classes, so that a key is named once. An object is never
None, its fields may be: what is not known is None and never 0.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from spxarb.core.printable import ERROR_MOST, from_outside

if TYPE_CHECKING:
    from datetime import datetime

Mode = Literal["paper", "live", "sim"]

RESULT_TYPES = {
    "enter": "enter:EnterResult",
    "monitor": "monitor:MonitorResult",
    "settle": "settle:SettleResult",
    "close-all": "close_all:CloseAllResult",
    "start": "switch:SwitchResult",
    "stop": "switch:SwitchResult",
    "status": "status:StatusResult",
    "report": "report:ReportResult",
    "log": "log:LogResult",
    "reconcile": "reconcile:ReconcileResult",
    "doctor": "doctor:DoctorResult",
    "config": "config:ConfigResult",
    "ack": "ack:AckResult",
    "hand-over": "hand_over:HandOverResult",
    "backup": "backup:BackupResult",
    "restore": "backup:RestoreResult",
    "timers": "timers:TimersResult",
    "send-alerts": "send_alerts:SendAlertsResult",
    "watchdog": "watchdog:WatchdogResult",
    "record": "record:RecordResult",
    "sim": "sim:SimResult",
    "demo": "report:DemoResult",
}
"""Module and class of each command's result; imported when needed, for a class costs a millisecond."""


@dataclass(frozen=True)
class Result:
    """What every command says of itself."""

    command: str
    at: datetime
    """When the result was made: the market's time, or the machine's where no job could begin."""
    mode: Mode | None
    """The trading mode; null when no configuration could be read."""
    exit_code: int = 0
    """See exit-codes.md."""
    error: str | None = None
    """What happened, what is at risk and what to do next: the one line on stderr. Null when all is well."""
    notes: tuple[str, ...] = ()
    """Sentences for people: what was done or noticed beside the command's own fields."""

    def __post_init__(self) -> None:
        """It may quote the broker, a file or the command line."""
        if self.error:
            object.__setattr__(self, "error", from_outside(self.error, ERROR_MOST))

    def own(self) -> dict[str, object]:
        """The command's own fields by name, without the common ones."""
        common = Result.__dataclass_fields__.keys()
        return {part.name: getattr(self, part.name) for part in fields(self) if part.name not in common}


def result_type(command: str) -> type[Result]:
    """The class of a command's result. Raises KeyError for a word that is no command."""
    module, _, name = RESULT_TYPES[command].partition(":")
    found: type[Result] = getattr(import_module(f"spxarb.core.results.{module}"), name)
    return found
