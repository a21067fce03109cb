"""How a command begins: configuration, log, ledger and its row among the runs, whatever state they are in.

What cannot be opened or written is no reason to be silent: with an exit due it is an alarm.
"""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from spxarb import logs
from spxarb.config.load import (
    MODES,
    Config,
    ledger_candidates,
    load,
    other_places,
    read,
    salvage,
    without_settings,
)
from spxarb.config.own_paths import DATABASE_KEY
from spxarb.config.refused import ledgers_beside_file
from spxarb.config.trusted import is_ours_alone
from spxarb.core.budgets import EXITS
from spxarb.core.model import NEW_YORK
from spxarb.errors import ConfigError, HumanNeededError, RefusedError, SpxarbError, as_failure
from spxarb.files import descriptors
from spxarb.ledger.elsewhere import other_ledgers
from spxarb.ledger.ledger import Ledger
from spxarb.ledger.opening import require_opened
from spxarb.trading import owner, run_lines
from spxarb.trading.context import GRACE_SECONDS, READERS, WRITERS, JobContext
from spxarb.trading.ledger_lock import terminate_holder_of
from spxarb.trading.limits_in_force import stored_config
from spxarb.trading.own_files import shared_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from spxarb.ledger.elsewhere import OtherLedger

log = logging.getLogger(__name__)

OF_A_LEDGER = frozenset({"ack", "hand-over"})
"""Verbs about what a ledger holds: without one they have nothing to do, and make none."""


@contextmanager
def job_context(command: str, config_file: Path | None, arguments: Sequence[str]) -> Iterator[JobContext]:
    """The surroundings of one command, and its row among the runs, however it ends: unless it only reads.

    Raises ConfigError when the configuration is invalid, but for verbs that leave positions while there are
    any; RefusedError when the ledger cannot be used.
    """
    try:
        config, problem = configuration(command, config_file)
    except ConfigError as error:
        if alarm := _alarm_of_refusal(command, config_file, error, arguments):
            raise alarm from error
        if not _is_dry(arguments):
            _tell_refusal(command, config_file, error)
        raise
    _begin_pings(command, config, arguments)
    os.umask(0o077)
    reads = command in READERS or _nothing_to_look_into(command, config)
    logs.setup(config, makes_file=not reads)
    _tell_surroundings(config)
    try:
        with ExitStack() as stack:
            try:
                ledger = stack.enter_context(_ledger(config, read_only=reads))
                context = JobContext(command, config, ledger, 0, problem, dry_run=_is_dry(arguments))
                logs.hide_account(ledger.account)
                for sentence in ledger.orphans:
                    log.warning("%s", sentence)
                if not reads:
                    context.run_id = _begin(context, arguments)
                run_lines.began(command, config, context.run_id, arguments)
                context.open_at_start = tuple(ledger.trades.open())
                with context.beside():
                    context.elsewhere = _elsewhere(config, ledger)
            except Exception as error:
                alarm = _alarm(command, config, error, dry_run=_is_dry(arguments))
                run_lines.refused(command, alarm or as_failure(error))
                if alarm is None:
                    raise
                raise alarm from error
            if config.wire_folder is not None:
                from spxarb.trading.wire_file import wire_in_folder  # noqa: PLC0415 -- seldom wanted

                stack.enter_context(wire_in_folder(config.wire_folder, command, config.trading.mode))
            yield context
    except SpxarbError as error:
        error.mode = config.trading.mode
        raise
    finally:
        logs.shutdown()


def _nothing_to_look_into(command: str, config: Config) -> bool:
    """Whether the command is about what the ledger holds, and there is none: then it makes none either."""
    with suppress(RefusedError):  # what cannot be seen is told where it is opened
        return command in OF_A_LEDGER and not Ledger.exists(config.database_path())
    return False


def without_ledger(context: JobContext, what: str) -> str:
    """Why there is no `what`, where there is no ledger to hold it: such a command has no run. Else empty."""
    if context.run_id:
        return ""
    return f"There is no ledger at {context.config.database_path()}, so {what}; nothing was changed"


def _tell_surroundings(config: Config) -> None:
    """What the log says of the configuration, of the user, and of the folder that the ledger is in."""
    for text in (*config.overruled, *config.advice):
        log.info("%s", text)
    if owner.told:
        log.info("%s", owner.told, extra={logs.FILE_ALONE: True})
    if warning := shared_folder(config.database_path().absolute().parent):
        log.warning("%s", warning)


def _alarm_of_refusal(
    command: str, config_file: Path | None, error: ConfigError, arguments: Sequence[str]
) -> SpxarbError | None:
    """What needs a human when an exit has no configuration, and no ledger with which to go on without one.

    Whether something is open and due is looked for also in ledgers that others can have written. None where
    nothing shows that, and the ledger can be read.
    """
    if command not in EXITS:
        return None
    from spxarb.core.sentences import lower_first  # noqa: PLC0415 -- an exit seldom has no configuration

    alarm: SpxarbError | None = None
    config = Config()
    with suppress(Exception):  # what went wrong first is what is told
        reading = read(config_file)
        config = reading.config
        named_well = not any(DATABASE_KEY in str(problem) for problem in reading.problems)
        if named_well and (unread := _unreadable(config.database_path())):
            unread.what = f"{error.what}, and {lower_first(unread.what)}"
            alarm = _alarm_by_account(config, unread) or unread
    with suppress(Exception):
        sources = read(config_file).sources
        beside = ledgers_beside_file(sources.file) if sources.unread else []
        doubted = [place for place in (*sources.ledgers, *beside) if not is_ours_alone(place)]
        alarm = alarm or _alarm_by_doubted(command, doubted, error)
    if alarm is not None:
        from spxarb.core.notices import human_needed  # noqa: PLC0415 -- only an alert needs it
        from spxarb.trading import alerts  # noqa: PLC0415 -- likewise

        _begin_pings(command, config, arguments)
        alerts.send(config, None, (command, int(alarm.exit_code)), [human_needed(str(alarm))])
    return alarm


def _unreadable(path: Path) -> RefusedError | None:
    """Why a ledger cannot be read, whatever its mode; None where it can, or where there is none."""
    first: RefusedError | None = None
    for mode in MODES:
        try:
            Ledger.open(path, mode=mode, read_only=True).close()
        except RefusedError as error:
            first = first or error
        else:
            return None
    return first


def _alarm_by_doubted(command: str, places: Sequence[Path], error: ConfigError) -> SpxarbError | None:
    """What needs a human by ledgers with which no exit goes on; None where nothing is due there."""
    now = datetime.now(NEW_YORK)
    for found in other_ledgers(places):
        if found.trades and (command == "close-all" or found.is_due(now)):
            return HumanNeededError(
                f"{error.what}, and the ledger {found.path}, where trade {found.trades[0]} is open, may have "
                "been written by others: nothing was closed",
                risk="Its calls may still be held",
                mend=f"Look at the broker now. {error.mend}, or, if what that ledger says is true, "
                f"`chmod 600 {found.path}`",
            )
    return None


def _tell_refusal(command: str, config_file: Path | None, error: ConfigError) -> None:
    """Whatever fails in telling: what went wrong first is what is told."""
    with suppress(Exception):
        config = salvage(config_file)
        _begin_pings(command, config, ())
        if config.notifications.email_enabled:
            from spxarb.trading import alerts  # noqa: PLC0415 -- only an alert needs it

            alerts.refused(command, config, error)


def _begin_pings(command: str, config: Config, arguments: Sequence[str]) -> None:
    if config.ping.url_of(command):
        from spxarb.trading import pings  # noqa: PLC0415 -- only who pings needs it

        pings.begin(command, config, arguments)


def _elsewhere(config: Config, ledger: Ledger) -> list[OtherLedger]:
    own = config.database_path().absolute()
    return other_ledgers(other_places(config), but=own, tag=ledger.tag)


def _ledger(config: Config, *, read_only: bool = False) -> Ledger:
    return Ledger.open(config.database_path(), mode=config.trading.mode, read_only=read_only)


def _is_dry(arguments: Sequence[str]) -> bool:
    return "--dry-run" in arguments


def _alarm(command: str, config: Config, error: Exception, *, dry_run: bool) -> SpxarbError | None:
    """What needs a human when a command cannot write its ledger; None where no exit is due.

    Nothing may be sent whose intent cannot be stored, so all that is left is to look and to tell a human. The
    verbs that exit positions tell one too where the ledger cannot even be read, and then ask the account what
    it shows.
    """
    if command not in WRITERS:
        return None
    from spxarb.trading import alerts  # noqa: PLC0415 -- only an alert needs it
    from spxarb.trading.escalation import alarm_of  # noqa: PLC0415 -- likewise

    alarm: SpxarbError | None = None
    readable = False
    # Whatever fails in looking: what went wrong first is what is told.
    with suppress(Exception), _ledger(config, read_only=True) as book:
        book.trades.open()
        readable = True
        context = JobContext(command, config, book, 0)
        alarm = alarm_of(context, error, everything=command == "close-all")
    if alarm is None:
        alarm = _alarm_elsewhere(config, error)
    if alarm is None and command in EXITS and not readable:
        alarm = _alarm_by_account(config, error)
    failure = alarm or as_failure(error)
    if alarm is not None or (command in EXITS and not readable):
        from spxarb.core.notices import human_needed  # noqa: PLC0415 -- likewise

        alerts.send(config, None, (command, int(failure.exit_code)), [human_needed(str(failure))])
    elif not dry_run:
        alerts.refused(command, config, failure)
    return alarm


def _alarm_elsewhere(config: Config, error: Exception) -> SpxarbError | None:
    """What needs a human in the ledger that could not be used, or in another; None where no exit is due.

    By the machine's clock, which is not that of a simulated day.
    """
    with suppress(Exception):
        now, simulated = datetime.now(NEW_YORK), config.trading.mode == "sim"
        for other in other_ledgers([config.database_path().absolute(), *other_places(config)]):
            if other.is_due(now) and not (simulated and other.mode == "sim"):
                failure = as_failure(error)
                return HumanNeededError(
                    f"{failure.what}, and an exit is due there ({other.path}, mode {other.mode})",
                    risk="Its calls may still be held, and nothing looks after them",
                    mend=failure.mend,
                )
    return None


def _alarm_by_account(config: Config, error: Exception) -> SpxarbError | None:
    """What the account says where no ledger can be read; None where even that question fails by a bug."""
    with suppress(Exception):
        from spxarb.trading.blind import alarm_by_account  # noqa: PLC0415 -- ib_insync comes with it

        return alarm_by_account(config, error)
    return None


def _begin(context: JobContext, arguments: Sequence[str]) -> int:
    """The command's row among the runs.

    A job that hangs in the middle of a write locks the ledger itself: `close-all` then ends it, before
    anything else. Raises RefusedError when the ledger stays locked.
    """
    begin = partial(context.ledger.runs.begin, context.command, list(arguments))
    if context.command != "close-all":
        return begin(context.now())
    with suppress(RefusedError):
        return begin(context.now())
    with suppress(RefusedError):
        return begin(context.now())
    terminate_holder_of(context.config.database_path(), GRACE_SECONDS)
    return begin(context.now())


def configuration(command: str, config_file: Path | None) -> tuple[Config, str]:
    """The configuration in force; with an invalid one, that of the oldest open trade, and what is wrong.

    A file that was found and holds no setting is as good as none, unless a trade is open: then one is lost.
    """
    try:
        config = load(config_file, verb=command)
        if not config.hollow:
            return config, ""
        stored = _stored_configuration(config_file)
        if stored is None:
            return config, ""
        error = without_settings(config)
        if command not in EXITS:
            raise error
    except ConfigError as invalid:
        if command not in EXITS:
            raise
        stored, error = _stored_configuration(config_file), invalid
        if stored is None:
            raise
    return stored, str(error)


def _stored_configuration(config_file: Path | None) -> Config | None:
    """The configuration that was in force when the oldest open trade was entered; None: nothing is open."""
    base = salvage(config_file)
    for path in ledger_candidates(config_file):
        with suppress(RefusedError):  # what cannot be used hides no other
            stored = _stored_in(path, base) if Ledger.exists(path) else None
            if stored is not None:
                return stored
    return None


def _stored_in(path: Path, base: Config) -> Config | None:
    """As `_stored_configuration`, of one ledger, whose mode is not known.

    What cannot be read may be open: then all that is known is the ledger and its mode.
    """
    here = base.model_copy(update={"storage": base.storage.model_copy(update={"database": path.absolute()})})
    before = descriptors()
    for mode in MODES:
        with suppress(RefusedError), Ledger.open(path, mode=mode, read_only=True) as ledger:
            trades = ledger.trades.open()
            require_opened(path, before)
            if trades:
                return stored_config(trades[0], here)
            if ledger.trades.unreadable_open():
                return here.model_copy(update={"trading": here.trading.model_copy(update={"mode": mode})})
            return None
    return None
