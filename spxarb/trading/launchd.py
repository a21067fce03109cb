"""launchd's agents on a Mac: looked at, compared with the configuration, installed, removed.

They are the user's own: a Mac that trades has a login session, for the Gateway wants one too. No Mac has run
this.
"""

from __future__ import annotations

import os
import plistlib
from datetime import time
from typing import TYPE_CHECKING
from xml.parsers.expat import ExpatError

from spxarb.config.load import state_folder
from spxarb.config.paths import user_path
from spxarb.core.agents import (
    LABEL,
    AgentJob,
    AgentValues,
    is_ours,
    is_unchanged,
    load_steps,
    render_agents,
    show_step,
    unload_steps,
)
from spxarb.core.firings import JOBS, firings
from spxarb.core.results.timers import UnitState
from spxarb.core.units import SENDER
from spxarb.errors import RefusedError
from spxarb.trading.systemctl import Manager
from spxarb.trading.timers import compared, ours_of, span, take_away, write
from spxarb.trading.unit_values import program, times_of_config

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from spxarb.config.load import Config
    from spxarb.trading.timers import UnitFile

AGENT_JOBS = tuple(job for job in JOBS if job.name != SENDER)
"""Without restrictions of the network each job sends its own alerts."""


def agent_folder() -> Path:
    """Where a user's agents are. Raises RefusedError for a user without a home."""
    folder = user_path("~/Library/LaunchAgents")
    if not folder.is_absolute():
        raise RefusedError("This user has no home folder for agents of his own", mend="Set $HOME")
    return folder


def look(folder: Path, config: Config) -> list[UnitFile]:
    """Every agent of ours as it is in the folder, beside what it should be."""
    times = times_of_config(config)
    jobs = [AgentJob(job.name, job.verb, firings(job.name, times), job.persistent) for job in AGENT_JOBS]
    values = AgentValues(
        program=str(program()),
        folder=str(state_folder(config.state_directory)),
        config=str(config.source.absolute()) if config.source else None,
    )
    return compared(folder, render_agents(jobs, values), is_ours, is_unchanged)


def disagreements(files: Sequence[UnitFile]) -> list[str]:
    """Where the installed agents are not what the configuration in force wants, in sentences."""
    if all(file.text is None for file in files):
        return []
    return [sentence for file in files for sentence in _disagreements_of(file)]


def _disagreements_of(file: UnitFile) -> Iterator[str]:
    match file.state:
        case UnitState.ABSENT:
            yield f"{file.name} is not installed, and others are."
        case UnitState.FOREIGN:
            yield f"{file.path} was not written by spxarb."
        case UnitState.CHANGED | UnitState.OTHER:
            said, wanted = _times(file.text or ""), _times(file.wanted)
            if said != wanted:
                yield f"{file.name} fires {span(said)}, and the configuration wants {span(wanted)}."
            else:
                yield f"{file.path} is {file.state.value}."


def _times(text: str) -> list[time]:
    """When an agent's command is started; none for a text that is no such agent."""
    try:
        words = plistlib.loads(text.encode())["EnvironmentVariables"]["TIMES"].split()
        return [time(int(word[:2]), int(word[2:])) for word in words]
    except (ExpatError, KeyError, TypeError, ValueError, AttributeError):
        return []


def install(folder: Path, files: Iterable[UnitFile], *, force: bool) -> None:
    """Write the agents and have launchd read them. Raises RefusedError as `timers.install` does."""
    files = list(files)
    write(folder, files, force=force)
    manager = Manager("launchctl")
    for done, file in enumerate(files):
        for step in load_steps(str(file.path), os.getuid()):
            _tell(manager, step, f"The agents are in {folder}, and {done} of {len(files)} were loaded")


def remove(folder: Path, files: Iterable[UnitFile], *, force: bool) -> list[UnitFile]:
    """Unload our agents and take away our files; those that are not removed. Raises RefusedError."""
    files = list(files)
    ours, manager = ours_of(files), Manager("launchctl")
    for file in ours:
        for step in unload_steps(_label(file), os.getuid()):
            _tell(manager, step, "Nothing was removed")
    gone = [file for file in ours if force or not file.is_kept]
    take_away(folder, gone)
    return [file for file in files if file.text is not None and file not in gone]


def _tell(manager: Manager, step: tuple[str, ...], before: str) -> None:
    """One step; to end what is not loaded fails, and is no failure."""
    try:
        manager.tell(*step)
    except RefusedError as error:
        if step[0] != "bootout":
            raise RefusedError(
                f"{error.what}. {before}", risk="The jobs may not run as they should", mend=error.mend
            ) from error


def is_loaded(name: str) -> bool:
    """Whether launchd knows the agent of this job."""
    return Manager("launchctl").asked(*show_step(f"{LABEL}{name}", os.getuid()))


def _label(file: UnitFile) -> str:
    return file.name.removesuffix(".plist")
