"""`timers`: what starts the jobs on this machine, installed, removed or looked at.

It needs neither ledger nor broker. On macOS the scheduler is launchd, elsewhere systemd.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from spxarb.config.load import invalid, load, read
from spxarb.core.model import NEW_YORK
from spxarb.core.results.timers import TimersResult, UnitRow, UnitState
from spxarb.errors import RefusedError
from spxarb.trading.schedulers import scheduler_of
from spxarb.trading.systemctl import NO_SYSTEMD
from spxarb.trading.timers import action_of

if TYPE_CHECKING:
    from pathlib import Path

    from spxarb.trading.schedulers import Scheduler


@dataclass(frozen=True)
class TimersRequest:
    """What is wanted. `run_as`, `gateway`: None for what is installed, else what is usual."""

    action: Literal["install", "remove", "status"]
    user: bool = False
    dry_run: bool = False
    force: bool = False
    run_as: str | None = None
    gateway: str | None = None


def run(config_file: Path | None, wanted: TimersRequest, platform: str = sys.platform) -> TimersResult:
    """Do what is wanted.

    Raises ConfigError (`install`); RefusedError without a scheduler, for files that were changed by hand, and
    for what fails on the way, with what was done before.
    """
    config = load(config_file) if wanted.action == "install" else read(config_file).config
    scheduler = scheduler_of(config, platform, user=wanted.user, run_as=wanted.run_as, gateway=wanted.gateway)
    if not (wanted.dry_run or scheduler.is_there()):
        what = f"There is no {scheduler.program} here, so {scheduler.name} starts nothing"
        raise RefusedError(what, mend=NO_SYSTEMD)
    found = TimersResult(
        "timers",
        datetime.now(NEW_YORK),
        config.trading.mode,
        action=wanted.action,
        scheduler=scheduler.name,
        user=wanted.user or platform == "darwin",
        dry_run=wanted.dry_run,
        folder=str(scheduler.folder),
    )
    match wanted.action:
        case "install":
            return _install(found, wanted, scheduler)
        case "remove":
            return _remove(found, wanted, scheduler)
        case _:
            return _status(found, config_file, scheduler)


def _install(found: TimersResult, wanted: TimersRequest, scheduler: Scheduler) -> TimersResult:
    notes, files = scheduler.notes(refuse=not wanted.dry_run), scheduler.look()
    units = [
        UnitRow(
            str(file.path),
            file.state,
            action_of(file, force=wanted.force),
            None if file.state is UnitState.CURRENT else file.wanted,
        )
        for file in files
    ]
    kept = [file.name for file in files if file.is_kept and not wanted.force]
    if wanted.dry_run and kept:
        names = ", ".join(kept)
        notes.append(f"Without --force nothing would be written: {names} was changed, or is not spxarb's.")
    if not wanted.dry_run:
        scheduler.install(files, force=wanted.force)
        files = scheduler.look()
    rows = scheduler.rows(files, found.at, ask=not wanted.dry_run)
    return replace(found, timers=rows, units=tuple(units), notes=tuple(notes))


def _remove(found: TimersResult, wanted: TimersRequest, scheduler: Scheduler) -> TimersResult:
    files = scheduler.look()
    there = [file for file in files if file.text is not None]
    if wanted.dry_run:
        kept = (UnitState.FOREIGN,) if wanted.force else (UnitState.FOREIGN, UnitState.CHANGED)
        left = [file for file in there if file.state in kept]
    else:
        left = scheduler.remove(files, force=wanted.force)
        files = scheduler.look()
    units = [UnitRow(str(file.path), file.state, "kept" if file in left else "removed") for file in there]
    notes = [] if there else ["Nothing of spxarb is installed here."]
    if left:
        notes.append(
            f"Not removed: {', '.join(file.name for file in left)}. What was changed by hand goes with "
            "--force; what spxarb has not written stays."
        )
    rows = scheduler.rows(files, found.at, ask=not wanted.dry_run)
    return replace(found, timers=rows, units=tuple(units), notes=tuple(notes))


def _status(found: TimersResult, config_file: Path | None, scheduler: Scheduler) -> TimersResult:
    reading, files, notes = read(config_file), scheduler.look(), []
    stopping = reading.stopping()
    error = invalid(reading.sources.file, stopping) if stopping else None
    if any(file.state is UnitState.OTHER for file in files):
        own = " --user" if found.user and found.scheduler == "systemd" else ""
        notes.append(f"`spxarb timers install{own}` writes anew what is of another configuration or version.")
    return replace(
        found,
        timers=scheduler.rows(files, found.at, ask=True),
        units=tuple(UnitRow(str(file.path), file.state) for file in files),
        disagreements=() if error else tuple(scheduler.disagreements(files)),
        notes=tuple(notes),
        exit_code=error.exit_code if error else 0,
        error=str(error) if error else None,
    )
