"""What starts jobs on this machine, behind one face: systemd's units, or launchd's agents on macOS."""

from __future__ import annotations

import getpass
import pwd
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from spxarb.core.agents import LABEL
from spxarb.core.firings import JOBS, next_firings
from spxarb.core.results.timers import TimerRow
from spxarb.core.units import STATE_FOLDER
from spxarb.errors import RefusedError
from spxarb.trading import launchd, timers
from spxarb.trading.systemctl import Manager, Systemctl, moment
from spxarb.trading.unit_values import USER, program, times_of_config, values_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from spxarb.config.load import Config
    from spxarb.core.units import UnitValues
    from spxarb.trading.timers import UnitFile

FIRINGS_SHOWN = 3
LINGER = Path("/var/lib/systemd/linger")
"""Where systemd-logind remembers whose manager runs without a login."""


class Scheduler(Protocol):
    """`program`: what it is told by; `folder`: where its files are."""

    @property
    def name(self) -> str: ...
    @property
    def program(self) -> str: ...
    @property
    def folder(self) -> Path: ...

    def is_there(self) -> bool: ...
    def look(self) -> list[UnitFile]: ...
    def install(self, files: Sequence[UnitFile], *, force: bool) -> None: ...
    def remove(self, files: Sequence[UnitFile], *, force: bool) -> list[UnitFile]: ...
    def disagreements(self, files: Sequence[UnitFile]) -> list[str]: ...

    def rows(self, files: Sequence[UnitFile], now: datetime, *, ask: bool) -> tuple[TimerRow, ...]:
        """Each timer; `ask`: with what the scheduler itself knows of it."""

    def notes(self, *, refuse: bool) -> list[str]:
        """What is to be known before its files are installed. Raises RefusedError, if it may."""


@dataclass(frozen=True)
class Systemd:
    """The machine's manager, or a user's own (`values.user` is None)."""

    config: Config
    values: UnitValues
    folder: Path
    name: str = "systemd"
    program: str = "systemctl"

    @property
    def _user(self) -> bool:
        return self.values.user is None

    def is_there(self) -> bool:
        return Systemctl(user=self._user).is_there()

    def look(self) -> list[UnitFile]:
        return timers.look(self.folder, self.values)

    def install(self, files: Sequence[UnitFile], *, force: bool) -> None:
        timers.install(self.folder, files, user=self._user, force=force)

    def remove(self, files: Sequence[UnitFile], *, force: bool) -> list[UnitFile]:
        return timers.remove(self.folder, files, user=self._user, force=force)

    def disagreements(self, files: Sequence[UnitFile]) -> list[str]:
        return timers.disagreements(files, self.values)

    def rows(self, files: Sequence[UnitFile], now: datetime, *, ask: bool) -> tuple[TimerRow, ...]:
        there = {file.name for file in files if file.text is not None}
        shown = Systemctl(user=self._user).show(timers.TIMERS) if ask else {}
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
                    due=tuple(next_firings(job.name, self.values.times, now, FIRINGS_SHOWN)),
                )
            )
        return tuple(rows)

    def notes(self, *, refuse: bool) -> list[str]:
        return [*_user_notes(self.values, refuse=refuse), *_ledger_notes(self.config, self.values)]


@dataclass(frozen=True)
class Launchd:
    """The agents of this user's login session."""

    config: Config
    folder: Path
    name: str = "launchd"
    program: str = "launchctl"

    def is_there(self) -> bool:
        return Manager(self.program).is_there()

    def look(self) -> list[UnitFile]:
        return launchd.look(self.folder, self.config)

    def install(self, files: Sequence[UnitFile], *, force: bool) -> None:
        launchd.install(self.folder, files, force=force)

    def remove(self, files: Sequence[UnitFile], *, force: bool) -> list[UnitFile]:
        return launchd.remove(self.folder, files, force=force)

    def disagreements(self, files: Sequence[UnitFile]) -> list[str]:
        return launchd.disagreements(files)

    def rows(self, files: Sequence[UnitFile], now: datetime, *, ask: bool) -> tuple[TimerRow, ...]:
        there, times = {file.name for file in files if file.text is not None}, times_of_config(self.config)
        rows = []
        for job in launchd.AGENT_JOBS:
            loaded = launchd.is_loaded(job.name) if ask else None
            rows.append(
                TimerRow(
                    f"{LABEL}{job.name}",
                    f"spxarb {job.verb}",
                    installed=f"{LABEL}{job.name}.plist" in there,
                    enabled=loaded,
                    active=loaded,
                    due=tuple(next_firings(job.name, times, now, FIRINGS_SHOWN)),
                )
            )
        return tuple(rows)

    def notes(self, *, refuse: bool) -> list[str]:  # noqa: ARG002 -- as the other has it
        return ["They run while you are logged in, and the Mac is awake. No real Mac has run them."]


def scheduler_of(
    config: Config, platform: str, *, user: bool, run_as: str | None = None, gateway: str | None = None
) -> Scheduler:
    """What starts jobs on such a platform (`sys.platform`); on macOS always the user's own.

    `run_as`, `gateway`: None for what is installed, else what is usual. Raises RefusedError, also for a path
    that would be more than one word, or one line, of the file that names it.
    """
    for path in (config.source, program(), Path(sys.prefix)):
        if path is not None and not str(path.absolute()).isprintable():
            raise RefusedError(
                f"No scheduler can be told of {path}: a line break or another character that cannot be seen "
                "is in it",
                risk="Nothing was installed",
                mend="Rename the file or the folder",
            )
    if platform == "darwin":
        return Launchd(config, launchd.agent_folder())
    folder = timers.unit_folder(user=user)
    whom = None if user else run_as or timers.installed_user(folder) or USER
    after = timers.installed_gateway(folder) if gateway is None else gateway
    return Systemd(config, values_of(config, user=whom, gateway_unit=after), folder)


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
