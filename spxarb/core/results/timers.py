"""What `timers` answers: each timer, each file, and where they disagree with the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from spxarb.core.result import Result

if TYPE_CHECKING:
    from datetime import datetime


class UnitState(StrEnum):
    """What a file of the scheduler is, compared with what the configuration in force makes of it."""

    ABSENT = "absent"
    CURRENT = "current"
    OTHER = "of another configuration or version"
    CHANGED = "changed by hand"
    FOREIGN = "not spxarb's"


@dataclass(frozen=True)
class TimerRow:
    """One timer."""

    name: str
    """As the scheduler calls it."""
    starts: str
    """The command that it starts."""
    installed: bool
    """Whether its file is there."""
    enabled: bool | None = None
    """Whether it is started with the machine; null where the scheduler was not asked or does not say."""
    active: bool | None = None
    """Whether it waits for its next firing now; null likewise."""
    last: datetime | None = None
    """When it fired last, by the scheduler."""
    next: datetime | None = None
    """When it fires next, by the scheduler."""
    due: tuple[datetime, ...] = ()
    """The next firings by the configuration in force."""


@dataclass(frozen=True)
class UnitRow:
    """One file of the scheduler."""

    path: str
    """Where it is, or would be."""
    state: UnitState
    """What it was found to be."""
    action: str | None = None
    """What was done with it, or in a dry run would be; null where it was only looked at."""
    text: str | None = None
    """What was written into it, or would be; null where nothing is."""


@dataclass(frozen=True, kw_only=True)
class TimersResult(Result):
    """The timers of this machine's scheduler."""

    action: str | None = None
    """`install`, `remove` or `status`."""
    scheduler: str | None = None
    """`systemd`, or `launchd` on macOS."""
    user: bool | None = None
    """Whether they are the user's own, and not the machine's."""
    dry_run: bool | None = None
    """Whether nothing was touched, because it was only to be shown."""
    folder: str | None = None
    """Where the files are."""
    timers: tuple[TimerRow, ...] = ()
    """Each timer, in the order of the day."""
    units: tuple[UnitRow, ...] = ()
    """Each file, as it was found."""
    disagreements: tuple[str, ...] = ()
    """Where what is installed is not what the configuration in force wants, in sentences."""
