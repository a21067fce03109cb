"""`timers`: what starts the jobs on this machine, installed, removed or looked at.

It needs neither ledger nor broker. On macOS the scheduler is launchd.
"""

from __future__ import annotations

import getpass
import pwd
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spxarb.config.load import invalid, load, read
from spxarb.core.firings import JOBS, next_firings
from spxarb.core.model import NEW_YORK
from spxarb.core.results.timers import TimerRow, TimersResult, UnitRow, UnitState
from spxarb.core.units import STATE_FOLDER
from spxarb.errors import RefusedError
from spxarb.trading import timers
from spxarb.trading.systemctl import NO_SYSTEMD, Systemctl, moment
from spxarb.trading.unit_values import USER, values_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spxarb.config.load import Config
    from spxarb.core.units import UnitValues
    from spxarb.trading.timers import UnitFile

FIRINGS_SHOWN = 3
LINGER = Path("/var/lib/systemd/linger")
"""Where systemd-logind remembers whose manager runs without a login."""


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

    Raises ConfigError (`install`); RefusedError without systemd, for files that were changed by hand, and for
    what fails on the way, with what was done before.
    """
    if platform == "darwin":
        raise RefusedError("This version installs no launchd agents", mend=NO_SYSTEMD)
    config = load(config_file) if wanted.action == "install" else read(config_file).config
    if not (wanted.dry_run or Systemctl.is_there()):
        raise RefusedError("There is no systemctl here, so there are no timers of systemd", mend=NO_SYSTEMD)
    folder = timers.unit_folder(user=wanted.user)
    values = values_of(
        config,
        user=None if wanted.user else wanted.run_as or timers.installed_user(folder) or USER,
        gateway_unit=timers.installed_gateway(folder) if wanted.gateway is None else wanted.gateway,
    )
    files = timers.look(folder, values)
    found = TimersResult(
        "timers",
        datetime.now(NEW_YORK),
        config.trading.mode,
        action=wanted.action,
        scheduler="systemd",
        user=wanted.user,
        dry_run=wanted.dry_run,
        folder=str(folder),
    )
    match wanted.action:
        case "install":
            return _install(found, wanted, config, folder, files, values)
        case "remove":
            return _remove(found, wanted, folder, files, values)
        case _:
            return _status(found, config_file, wanted, files, values)


def _install(
    found: TimersResult,
    wanted: TimersRequest,
    config: Config,
    folder: Path,
    files: Sequence[UnitFile],
    values: UnitValues,
) -> TimersResult:
    notes = [*_user_notes(values, refuse=not wanted.dry_run), *_ledger_notes(config, values)]
    units = [
        UnitRow(
            str(file.path),
            file.state,
            timers.action_of(file, force=wanted.force),
            None if file.state is UnitState.CURRENT else file.wanted,
        )
        for file in files
    ]
    if wanted.dry_run:
        kept = [file.name for file in files if file.is_kept and not wanted.force]
        if kept:
            notes.append(
                f"Without --force nothing would be written: {', '.join(kept)} was changed by hand, or is not "
                "spxarb's."
            )
    else:
        timers.install(folder, files, user=wanted.user, force=wanted.force)
        files = timers.look(folder, values)
    rows = _rows(files, values, found.at, wanted)
    return replace(found, timers=rows, units=tuple(units), notes=tuple(notes))


def _remove(
    found: TimersResult,
    wanted: TimersRequest,
    folder: Path,
    files: Sequence[UnitFile],
    values: UnitValues,
) -> TimersResult:
    there = [file for file in files if file.text is not None]
    if wanted.dry_run:
        left = [
            file for file in there if file.state is UnitState.FOREIGN or (file.is_kept and not wanted.force)
        ]
    else:
        left = timers.remove(folder, files, user=wanted.user, force=wanted.force)
    units = [UnitRow(str(file.path), file.state, "kept" if file in left else "removed") for file in there]
    notes = [] if there else ["No unit of spxarb is installed here."]
    if left:
        notes.append(
            f"Not removed: {', '.join(file.name for file in left)}. What was changed by hand goes with "
            "--force; what spxarb has not written stays."
        )
    rows = _rows(files if wanted.dry_run else timers.look(folder, values), values, found.at, wanted)
    return replace(found, timers=rows, units=tuple(units), notes=tuple(notes))


def _status(
    found: TimersResult,
    config_file: Path | None,
    wanted: TimersRequest,
    files: Sequence[UnitFile],
    values: UnitValues,
) -> TimersResult:
    reading, notes = read(config_file), []
    stopping = reading.stopping()
    error = invalid(reading.sources.file, stopping) if stopping else None
    if any(file.state is UnitState.OTHER for file in files):
        notes.append("`spxarb timers install` writes units of another configuration or version anew.")
    return replace(
        found,
        timers=_rows(files, values, found.at, wanted),
        units=tuple(UnitRow(str(file.path), file.state) for file in files),
        disagreements=() if error else tuple(timers.disagreements(files, values)),
        notes=tuple(notes),
        exit_code=error.exit_code if error else 0,
        error=str(error) if error else None,
    )


def _rows(
    files: Sequence[UnitFile], values: UnitValues, now: datetime, wanted: TimersRequest
) -> tuple[TimerRow, ...]:
    """Each timer; a dry run asks the manager nothing."""
    there = {file.name for file in files if file.text is not None}
    shown = {} if wanted.dry_run else Systemctl(user=wanted.user).show(timers.TIMERS)
    rows = []
    for job in JOBS:
        name = f"spxarb-{job.name}.timer"
        said = shown.get(name, {})
        enabled, active = said.get("UnitFileState"), said.get("ActiveState")
        rows.append(
            TimerRow(
                name,
                f"spxarb {job.verb}",
                installed=name in there,
                enabled=enabled.startswith("enabled") if enabled else None,
                active=active == "active" if active else None,
                last=moment(said.get("LastTriggerUSec")),
                next=moment(said.get("NextElapseUSecRealtime")),
                due=tuple(next_firings(job.name, values.times, now, FIRINGS_SHOWN)),
            )
        )
    return tuple(rows)


def _user_notes(values: UnitValues, *, refuse: bool) -> list[str]:
    """What is to be known of whom the units run as. Raises RefusedError for a user that there is not."""
    if values.user is None:
        name = ""
        with suppress(OSError, KeyError, ImportError):
            name = getpass.getuser()
        if name and not (LINGER / name).exists():
            return [f"They run only while you are logged in, unless: `sudo loginctl enable-linger {name}`."]
        return []
    try:
        pwd.getpwnam(values.user)
    except KeyError:
        what = f"There is no user {values.user}, whom the units run as"
        mend = (
            f"`sudo useradd --system --user-group --shell /usr/sbin/nologin {values.user}`, or --as another"
        )
        if refuse:
            raise RefusedError(what, mend=mend) from None
        return [f"{what}: {mend}."]
    return []


def _ledger_notes(config: Config, values: UnitValues) -> list[str]:
    """Where the units keep the ledger, if a command by hand keeps it elsewhere."""
    if values.user is None or config.storage.database is not None:
        return []
    theirs = Path(STATE_FOLDER) / config.trading.mode / config.database_path().name
    if config.database_path() == theirs:
        return []
    where = f"The units keep the ledger at {theirs}, and commands by hand at {config.database_path()}"
    return [f"{where}: STATE_DIRECTORY={STATE_FOLDER} in .env gives both the same."]
