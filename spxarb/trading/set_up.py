"""The set-up of this machine, part by part: configuration, ledger, lock. Nothing is written."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from spxarb.config.load import invalid, read
from spxarb.config.variables import CONFIG_VARIABLE
from spxarb.core.broker_codes import BITING
from spxarb.core.model import NEW_YORK
from spxarb.core.own_names import lock_of
from spxarb.core.trading_state import BLACKOUT, DAILY_LOSS, FAILED_JOBS
from spxarb.errors import Exit, SpxarbError
from spxarb.ledger.integrity import faults, is_older, messages_of_orders
from spxarb.ledger.ledger import Ledger
from spxarb.ledger.opening import writable
from spxarb.trading.day_record import blackout_on
from spxarb.trading.entries_state import today_of, trading_state
from spxarb.trading.ledger_lock import holder_of
from spxarb.trading.set_up_found import SetUp
from spxarb.trading.set_up_machine import (
    look_at_alerts,
    look_at_disk,
    look_at_files,
    look_at_program,
    look_at_timers,
)

if TYPE_CHECKING:
    from pathlib import Path

    from spxarb.config.load import Config, Reading

MEND_MATTER = "Look at the account; once it is dealt with, `spxarb ack ID`"
HUNG = timedelta(hours=1)
"""No job works so long: one that has held the lock longer hangs."""


def look_at_machine(config_file: Path | None, *, send_test: bool = False) -> SetUp:
    """Program, configuration, files, ledger, lock, timers, alerts; `send_test`: an alert is really sent.

    Without a valid configuration nothing that depends on it can be found.
    """
    found = SetUp()
    look_at_program(found)
    reading = read(config_file)
    if stopping := reading.stopping():
        found.failed_by("configuration", invalid(reading.sources.file, stopping))
    else:
        found.config = config = reading.config
        _tell_source(found, config, config_file)
        _tell_settings(found, reading)
        look_at_files(found, config)
        _look_at_ledger(found, config)
        _look_at_lock(found, config.database_path())
        look_at_disk(found, config)
        look_at_alerts(found, config, send_test=send_test)
    look_at_timers(found)
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


def _tell_settings(found: SetUp, reading: Reading) -> None:
    """What is set twice, is not as it was set, or sets nothing."""
    config, foreign = reading.config, ", ".join(reading.sources.foreign)
    told = [*config.overruled, *config.advice]
    if foreign:
        told.append(
            f"{reading.sources.env_file} holds names that are not spxarb's, and are not read: {foreign}."
        )
    if told:
        mend = "set each value in one place; `spxarb config` shows where every one comes from"
        found.unchecked("settings", " ".join(told), mend)
    else:
        message = "no value is set in two places, and all are in force as they were set"
        found.passed("settings", message, "`spxarb config` shows each with its source")


# --- the ledger -----------------------------------------------------------------------------------


def _look_at_ledger(found: SetUp, config: Config) -> None:
    path, mode = config.database_path().absolute(), config.trading.mode
    try:
        if not Ledger.exists(path):
            _look_at_place(found, path)
            return
        older = is_older(path, mode)
        _look_at_pages(found, path)
        if older:
            mend = "the next job brings it up to date"
            found.unchecked("ledger", f"{path} was made by an older spxarb", mend)
            return
        with Ledger.look(path, mode=mode) as ledger:
            _look_into(found, config, ledger)
    except SpxarbError as error:
        found.failed_by("ledger", error)


def _look_at_pages(found: SetUp, path: Path) -> None:
    """The whole file, page by page and reference by reference."""
    if wrong := faults(path):
        mend = "keep the file as it is, and restore a backup"
        found.failed("integrity", f"the ledger {path} is damaged: {'; '.join(wrong)}", mend)
    else:
        size = path.stat().st_size / 1e6
        found.passed("integrity", f"every page and every reference of the ledger is whole ({size:,.1f} MB)")


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
    found.bitten = messages_of_orders(path, BITING)
    whose = f"of account {ledger.account}" if ledger.account else "of no account yet"
    message = f"{path}, mode {config.trading.mode}, {whose}, {trades} open trade{'' if trades == 1 else 's'}"
    if not writable(path):
        mend = "give this user the right to write the file and its folder"
        found.failed("ledger", f"{message}; this user may not write it", mend)
    else:
        found.passed("ledger", message)
    _look_at_entries(found, config, ledger)
    unread = [*ledger.trades.unreadable_open(), *sorted(ledger.matters.unread)]
    matters = [matter.text for matter in ledger.matters.open()]
    if matters or unread:
        text = "; ".join([*matters, *unread])
        found.failed("matters", f"a human is needed: {text}", MEND_MATTER, Exit.HUMAN)
    else:
        found.passed("matters", "no matter for a human is open")


def _look_at_entries(found: SetUp, config: Config, ledger: Ledger) -> None:
    """Whether anything but the market forbids entries now; a human may have wanted it so."""
    day = today_of(ledger, config)
    unread = blackout_on(config.trading.blackout_file, day)
    if "cannot be read" in unread:
        found.failed("entries", unread, "mend trading.blackout_file: lines such as `2026-03-18, FOMC`")
        return
    state = trading_state(ledger, config, day)
    named = " ".join(filter(None, [state.state, state.details]))
    told = f"{state.reason or 'no reason was given'} ({named})"
    if state.state == "ACTIVE":
        found.passed("entries", f"new entries are allowed ({named})")
    elif state.by == FAILED_JOBS:
        found.unchecked("entries", told, "look at the log, then `spxarb start`")
    elif state.by in {DAILY_LOSS, BLACKOUT}:
        what = f"no more entries today: {told.removeprefix('for today: ')}"
        found.unchecked("entries", what, "they go on with the next trading day")
    else:
        found.unchecked("entries", f"new entries are stopped: {told}", "`spxarb start` allows them")


# --- the lock -------------------------------------------------------------------------------------


def _look_at_lock(found: SetUp, database: Path) -> None:
    path, who = lock_of(database), holder_of(database)
    if path.exists() and not path.is_file():
        found.failed("lock", f"{path} is not a regular file", "move it away: the first job makes the lock")
    elif path.exists() and not os.access(path, os.W_OK, effective_ids=True):
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
