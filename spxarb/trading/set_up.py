"""The set-up of this machine, part by part: configuration, ledger, lock. Nothing is written."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from spxarb.config.load import load
from spxarb.config.variables import CONFIG_VARIABLE
from spxarb.core.model import NEW_YORK
from spxarb.core.results.doctor import DoctorLine
from spxarb.core.sentences import sentence, upper_first
from spxarb.errors import ConfigError, Exit, SpxarbError, as_failure
from spxarb.ledger.ledger import Ledger
from spxarb.ledger.opening import writable
from spxarb.lock import holder
from spxarb.trading.day_record import blackout_on

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from spxarb.config.load import Config

MEND_MATTER = "Look at the account; once it is dealt with, `spxarb ack ID`"
HUNG = timedelta(hours=1)
"""No job works so long: one that has held the lock longer hangs."""


@dataclass
class SetUp:
    """What was found so far. `account` and `last_what_if` are what the ledger says; None where it is new.

    `now`: the market's time, once a gateway has told it.
    """

    config: Config | None = None
    lines: list[DoctorLine] = field(default_factory=list)
    account: str | None = None
    last_what_if: datetime | None = None
    now: datetime | None = None

    def passed(self, name: str, message: str, mend: str = "") -> None:
        self.lines.append(DoctorLine(name, ok=True, message=sentence(message), mend=_mend(mend)))

    def unchecked(self, name: str, message: str, mend: str = "") -> None:
        """It could not be checked, or it stops nothing that a job must do."""
        self.lines.append(DoctorLine(name, ok=None, message=sentence(message), mend=_mend(mend)))

    def failed(self, name: str, message: str, mend: str, code: Exit = Exit.REFUSED) -> None:
        line = DoctorLine(name, ok=False, message=sentence(message), mend=_mend(mend), exit_code=int(code))
        self.lines.append(line)

    def failed_by(self, name: str, error: Exception) -> None:
        failure = as_failure(error)
        self.failed(
            name, failure.what, failure.mend or "Read the message and run this again", failure.exit_code
        )


def _mend(text: str) -> str | None:
    return upper_first(text).rstrip(".") or None


def look_at_machine(config_file: Path | None) -> SetUp:
    """Configuration, ledger and lock; without a valid configuration nothing else can be found."""
    found = SetUp()
    try:
        found.config = load(config_file)
    except ConfigError as error:
        found.failed_by("configuration", error)
        return found
    _tell_source(found, found.config, config_file)
    _look_at_ledger(found, found.config)
    _look_at_lock(found, found.config.database_path().with_suffix(".lock"))
    return found


def _tell_source(found: SetUp, config: Config, named: Path | None) -> None:
    if config.source is None:
        message = "no file was found, so every setting is its default (paper) or from the environment"
        found.passed("configuration", message, "copy config.example.yaml to config.yaml to change settings")
        return
    by = "--config" if named else CONFIG_VARIABLE if os.environ.get(CONFIG_VARIABLE) else "its default place"
    where = f"{config.source}, found by {by}; mode {config.trading.mode}"
    hollow = " It holds no setting: the defaults are in force." if config.hollow else ""
    found.passed("configuration", f"{where}.{hollow}")


# --- the ledger -----------------------------------------------------------------------------------


def _look_at_ledger(found: SetUp, config: Config) -> None:
    path, mode = config.database_path(), config.trading.mode
    try:
        if not Ledger.exists(path):
            _look_at_place(found, path)
            return
        with Ledger.open(path, mode=mode, read_only=True) as ledger:
            _look_into(found, config, ledger)
    except SpxarbError as error:
        found.failed_by("ledger", error)


def _look_at_place(found: SetUp, path: Path) -> None:
    """Where the first job will make the ledger."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        found.passed("ledger", f"there is none yet; the first job makes it at {path}")
    else:
        found.failed(
            "ledger",
            f"there is none yet, and this user may not write in {folder}",
            "give this user the right to write there, or set storage.database",
        )


def _look_into(found: SetUp, config: Config, ledger: Ledger) -> None:
    path = config.database_path()
    found.account, found.last_what_if = ledger.account, ledger.runs.last_what_if()
    trades = len(ledger.trades.open())
    whose = f"of account {ledger.account}" if ledger.account else "of no account yet"
    message = f"{path}, mode {config.trading.mode}, {whose}, {trades} open trades"
    open_to = stat.S_IMODE(path.stat().st_mode)
    if not writable(path):
        mend = "give this user the right to write the file and its folder"
        found.failed("ledger", f"{message}; this user may not write it", mend)
    elif open_to & 0o077:
        found.passed("ledger", f"{message}; others may read it ({open_to:o})", f"chmod 600 {path}")
    else:
        found.passed("ledger", message)
    heard = ledger.looks.heard() if config.trading.mode == "sim" else None
    _look_at_entries(found, config, ledger, (heard or datetime.now(NEW_YORK)).date())
    unread = [*ledger.trades.unreadable_open(), *sorted(ledger.matters.unread)]
    matters = [matter.text for matter in ledger.matters.open()]
    if matters or unread:
        text = "; ".join([*matters, *unread])
        found.failed("matters", f"a human is needed: {text}", MEND_MATTER, Exit.HUMAN)
    else:
        found.passed("matters", "no matter for a human is open")


def _look_at_entries(found: SetUp, config: Config, ledger: Ledger, day: date) -> None:
    """Whether anything but the market forbids entries now; a human may have wanted it so."""
    state, risk = ledger.state, config.risk_management
    most, failed = risk.max_failed_jobs_per_day, ledger.runs.failed_jobs(day)
    blackout = blackout_on(config.trading.blackout_file, day)
    if "cannot be read" in blackout:
        found.failed("entries", blackout, "mend trading.blackout_file: lines such as `2026-03-18, FOMC`")
    elif not state.is_trading():
        why = f": {state.trading_reason()}" if state.trading_reason() else ""
        found.unchecked("entries", f"new entries are stopped{why}", "`spxarb start` allows them")
    elif most is not None and failed >= most:
        found.unchecked("entries", f"{failed} jobs failed today", "look at the log, then `spxarb start`")
    elif why := ledger.stops.reason(day) or blackout:
        found.unchecked("entries", f"no more entries today: {why}", "they go on with the next trading day")
    else:
        found.passed("entries", "new entries are allowed")


# --- the lock -------------------------------------------------------------------------------------


def _look_at_lock(found: SetUp, path: Path) -> None:
    who = holder(path)
    if path.exists() and not os.access(path, os.W_OK, effective_ids=True):
        found.failed("lock", f"this user may not write {path}", f"give this user the file: chown {path}")
    elif who is None:
        found.passed("lock", "no job holds it")
    elif _since(who.since) > HUNG:
        mend = f"look at process {who.pid}; `spxarb close-all` ends a job that hangs"
        found.failed("lock", f"{who} has held it for more than an hour", mend, Exit.LOCKED)
    else:
        found.passed("lock", f"{who} holds it and works")


def _since(moment: str) -> timedelta:
    with suppress(ValueError, TypeError):
        return datetime.now(NEW_YORK) - datetime.fromisoformat(moment)
    return timedelta(0)
