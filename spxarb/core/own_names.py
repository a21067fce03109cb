"""The names of the files that belong to a ledger and to a log: one rule for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOG_COPIES = 5
"""Older logs that are kept beside the log."""
LOCK, MARK, ALARMS = ".lock", ".seen", ".watchdog"
"""What the program keeps beside a ledger, after the ledger's own name."""
BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database while it is open, after the database's own name."""


def lock_of(database: Path) -> Path:
    """The lock of all jobs that work on a ledger: `trading.db.lock`."""
    return database.with_name(f"{database.name}{LOCK}")


def old_lock_of(database: Path) -> Path | None:
    """What earlier versions called it: `trading.lock`. None where that is the ledger itself."""
    old = database.with_suffix(LOCK)
    return None if old in {database, lock_of(database)} else old


def mark_of(database: Path) -> Path:
    """The file that names the newest look at the account: `trading.db.seen`."""
    return database.with_name(f"{database.name}{MARK}")


def alarms_of(database: Path) -> Path:
    """The file that names what the watchdog told, and when: `trading.db.watchdog`."""
    return database.with_name(f"{database.name}{ALARMS}")


def beside(database: Path) -> list[Path]:
    """What SQLite may keep beside a database."""
    return [database.with_name(database.name + suffix) for suffix in BESIDE]


def older_logs(log: Path) -> list[Path]:
    """`trading.log.1` and so on, the newest first."""
    return [log.with_name(name) for name in older_names(log.name)]


def older_names(log: str) -> list[str]:
    """Likewise, of the log's name or of its whole path."""
    return [f"{log}.{number}" for number in range(1, LOG_COPIES + 1)]


def ledgers_beside(path: Path) -> list[Path]:
    """The ledgers, if there are such, beside which the program makes a file of this name."""
    endings = (LOCK, MARK, ALARMS, *BESIDE)
    return [path.with_name(path.name.removesuffix(end)) for end in endings if path.name[1:].endswith(end)]
