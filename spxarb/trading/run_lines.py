"""What the log file holds of every command: that it began, what it decided, how it ended.

A command that ends with another code than 0 leaves an ERROR line, wherever it failed, so that
`grep ERROR trading.log` finds them all; `grep "Entry Routine" trading.log` finds every attempt to enter. The
terminal is spared these lines: what it needs is on the screen. The journal has them.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from spxarb import logs
from spxarb.config.load import salvage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spxarb.config.load import Config
    from spxarb.core.result import Result
    from spxarb.errors import SpxarbError

ROUTINES = {
    "enter": "Entry Routine",
    "monitor": "Monitoring Routine",
    "settle": "End of Day Routine",
    "close-all": "Emergency Close All",
}
"""The names that the strategy's document has for the jobs, and its users look for."""

log = logging.getLogger("spxarb.run")
_last: dict[str, tuple[int, str | None]] = {}
"""How each command of this process ended: one that goes on (`status --watch`) tells only what changes."""


def began(command: str, config: Config, run_id: int, arguments: Sequence[str]) -> None:
    """The command's first line."""
    if command not in _last:
        run = f"run {run_id}, " if run_id else ""
        words = " ".join(["spxarb", *arguments])
        _write(logging.INFO, f"{_name(command)} started: {words} ({run}mode {config.trading.mode})")


def decided(command: str, fields: Mapping[str, object], *, dry_run: bool) -> None:
    """The line of what it decided; whatever fails here stops nothing."""
    with suppress(Exception):
        from spxarb.core.brief import brief_of  # noqa: PLC0415 -- only a decision needs it

        _write(logging.INFO, f"{_name(command)} decided: {brief_of(command, fields, dry_run=dry_run)}")


def ended(result: Result) -> None:
    """The command's last line: an ERROR unless it ended with 0."""
    code, command = int(result.exit_code), result.command
    if _last.get(command) == (code, result.error):
        return
    _last[command] = (code, result.error)
    why = f": {result.error}" if result.error else ""
    _write(logging.ERROR if code else logging.INFO, f"{_name(command)} ended with exit code {code}{why}")


def refused(command: str, failure: SpxarbError) -> None:
    """The last line of a command that could not even begin."""
    code, error = int(failure.exit_code), str(failure)
    _last[command] = (code, error)
    _write(logging.ERROR, f"{_name(command)} ended with exit code {code}: {error}")


def ended_outside(command: str, exit_code: int, error: str, config_file: Path | None) -> None:
    """The ERROR line of a command that failed where no log was open: before its job, or without one.

    It goes into a log that is there already, or whose place the configuration names: a command that did
    nothing makes no folder and no file at a place that nobody asked for. Never raises.
    """
    if _last.get(command, (0, ""))[0] == exit_code:
        return
    with suppress(Exception):
        config = salvage(config_file)
        quiet = config.logging.model_copy(update={"console": False})
        named = config.logging.path or config.storage.database
        makes_file = command in ROUTINES and named is not None and named.parent.is_dir()
        logs.setup(config.model_copy(update={"logging": quiet}), makes_file=makes_file)
        try:
            what = f"{_name(command)} " if command else ""
            _write(logging.ERROR, f"{what}ended with exit code {exit_code}: {error}")
        finally:
            logs.shutdown()


def _name(command: str) -> str:
    routine = ROUTINES.get(command)
    return f"{command}: {routine}" if routine else f"{command}:"


def _write(level: int, text: str) -> None:
    log.log(level, "%s", text, extra={logs.FILE_ALONE: True})
