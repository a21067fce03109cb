"""What `timers` and `send-alerts` show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.cli.blocks import BAD, DASH, GOOD, WARN, Block, Cell, Columns, Line, Pairs, grid, moment
from spxarb.core.results.timers import UnitState

if TYPE_CHECKING:
    from datetime import datetime

    from spxarb.core.results.send_alerts import SendAlertsResult
    from spxarb.core.results.timers import TimerRow, TimersResult, UnitRow

_AT = "%a %m-%d %H:%M"
_DONE = {"install": "Installed, enabled and started.", "remove": "Stopped and removed."}


def timers(result: TimersResult) -> list[Block]:
    if result.action is None:
        return []
    blocks: list[Block] = [Pairs("", [("units", f"{result.folder} ({_whose(result)})")])]
    if result.dry_run:
        blocks.insert(0, Line("A dry run: nothing was touched.", WARN))
    elif result.units and result.action in _DONE:
        blocks.insert(0, Line(_DONE[result.action], GOOD))
    blocks.append(grid("Timers (New York)", _STATUS if result.action == "status" else _DUE, result.timers))
    told = [unit for unit in result.units if unit.action or unit.state is not UnitState.CURRENT]
    if result.action != "status" or any(unit.state is not UnitState.ABSENT for unit in result.units):
        blocks.append(grid("Units", _UNITS, told))
    blocks += [Line(f"{unit.path}:\n\n{unit.text}") for unit in told if unit.text and result.dry_run]
    blocks += [Line(text, BAD) for text in result.disagreements]
    if result.action == "status" and result.timers and not (told or result.disagreements):
        blocks.append(Line("They are as the configuration in force wants them.", GOOD))
    return blocks


def _whose(result: TimersResult) -> str:
    return f"{result.scheduler}, {'yours' if result.user else 'the machine'}"


def _state(row: TimerRow) -> Cell:
    if not row.installed:
        return "not installed", BAD
    if row.enabled is None and row.active is None:
        return DASH
    words = ["enabled" if row.enabled else "not enabled", "active" if row.active else "not active"]
    return ", ".join(words), GOOD if row.enabled and row.active else BAD


def _next(at: datetime | None) -> str:
    return moment(at, _AT)


_DUE: Columns[TimerRow] = (
    ("timer", lambda row: row.name),
    ("next", lambda row: _next(row.due[0]) if row.due else DASH),
    ("then", lambda row: ", ".join(f"{at:%H:%M}" for at in row.due[1:]) or DASH),
)
_STATUS: Columns[TimerRow] = (
    ("timer", lambda row: row.name),
    ("state", _state),
    ("last", lambda row: _next(row.last)),
    ("next", lambda row: _next(row.next)),
    ("wanted", lambda row: _next(row.due[0]) if row.due else DASH),
)
_UNITS: Columns[UnitRow] = (
    ("file", lambda unit: unit.path.rpartition("/")[2]),
    ("is", lambda unit: unit.state.value),
    ("?done", lambda unit: unit.action or DASH),
)


def send_alerts(result: SendAlertsResult) -> list[Block]:
    if result.waited is None:
        return []
    if not result.waited:
        return [Line("No alert waits.")]
    return [Line(f"{result.sent or 0} of {result.waited} alerts were sent.", GOOD)]
