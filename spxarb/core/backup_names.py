"""Names of backups: whose ledger, of when; and which of them are old enough to go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SUFFIX = ".tar.gz"
_NAME = re.compile(r"spxarb-(paper|live|sim)-([0-9a-f]{6})-(\d{8})T(\d{6})(?:-\d+)?\.tar\.gz")


@dataclass(frozen=True, slots=True)
class BackupName:
    """What the name of a backup says. `tag` tells its ledger from every other; `day` is New York's."""

    mode: str
    tag: str
    day: date
    clock: str


def backup_name(mode: str, tag: str, at: datetime, number: int = 1) -> str:
    """`spxarb-paper-3fa2c1-20260213T160512.tar.gz`; from the second of one second on with a number."""
    extra = f"-{number}" if number > 1 else ""
    return f"spxarb-{mode}-{tag}-{at:%Y%m%dT%H%M%S}{extra}{SUFFIX}"


def read_name(name: str) -> BackupName | None:
    """None for a file that is no backup by its name."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    try:
        day = datetime.strptime(found[3], "%Y%m%d").date()  # noqa: DTZ007 -- a day has no zone
    except ValueError:
        return None
    return BackupName(found[1], found[2], day, found[4])


def _of_ledger(names: Iterable[str], mode: str, tag: str) -> list[tuple[BackupName, str]]:
    """The backups of one ledger, the oldest first."""
    read = ((read_name(name), name) for name in names)
    own = [(known, name) for known, name in read if known and (known.mode, known.tag) == (mode, tag)]
    return sorted(own, key=lambda pair: (pair[0].day, pair[0].clock, pair[1]))


def of_day(names: Iterable[str], mode: str, tag: str, day: date, since: time = time.min) -> list[str]:
    """The backups of one ledger that were made on that day, at or after a time of it."""
    after = f"{since:%H%M%S}"
    return [name for known, name in _of_ledger(names, mode, tag) if known.day == day and known.clock >= after]


def too_old(names: Iterable[str], mode: str, tag: str, today: date, keep_days: int) -> list[str]:
    """The backups of one ledger that are older than `keep_days` days; never the newest one."""
    oldest_kept = today - timedelta(days=keep_days)
    return [name for known, name in _of_ledger(names, mode, tag)[:-1] if known.day < oldest_kept]
