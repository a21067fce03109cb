"""The watchdog's look at its own ledger and at those beside it, whatever state they are in. Reads only."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spxarb import logs
from spxarb.config.load import MODES, ledger_candidates, other_places
from spxarb.core.own_names import mark_of
from spxarb.core.sentences import sentence
from spxarb.core.watching import Alarm
from spxarb.errors import ConfigError, HumanNeededError, RefusedError, SpxarbError
from spxarb.ledger.elsewhere import has_readable_trades, other_ledgers
from spxarb.ledger.ledger import Ledger
from spxarb.trading.other_ledgers import told_of
from spxarb.trading.watched import Watched, holder_words, watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from spxarb.config.load import Config

UNREADABLE = "ledger"
"""The trouble of a ledger that cannot be read."""
MEND = "Look at the timers (`spxarb doctor`) and at the account; `spxarb monitor` now"


@dataclass
class Seen:
    """What a look came to. `errors`: with their exit codes; `daily`: troubles told once a day."""

    path: Path
    tag: str = ""
    found: Watched | None = None
    exists: bool = True
    alarms: list[Alarm] = field(default_factory=list)
    daily: set[str] = field(default_factory=set)
    errors: list[SpxarbError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def look_around(
    config: Config, config_file: Path | None, problem: ConfigError | None, machine: datetime
) -> Seen:
    """The ledger, and the others; `problem`: why the configuration is invalid. `machine`: its time.

    Raises ConfigError where no place of a ledger is known.
    """
    path = _ledger_of(config, config_file, problem)
    seen = _look(config, path, machine, any_mode=problem is not None)
    if problem is not None:
        seen.errors.append(problem)
    _look_elsewhere(seen, config, machine)
    return seen


@contextmanager
def logging_as(config: Config) -> Iterator[None]:
    """Log within the block as configured, into a file that is there already."""
    logs.setup(config, makes_file=False)
    try:
        yield
    finally:
        logs.shutdown()


def _ledger_of(config: Config, config_file: Path | None, problem: ConfigError | None) -> Path:
    """Where the ledger is: with an invalid configuration, the likeliest place where there is one.

    Raises ConfigError where no place is known.
    """
    if problem is None:
        return config.database_path().absolute()
    places = ledger_candidates(config_file)
    if not places:
        raise problem
    with suppress(SpxarbError):
        return next((path for path in places if Ledger.exists(path)), places[0]).absolute()
    return places[0].absolute()


def _look(config: Config, path: Path, machine: datetime, *, any_mode: bool) -> Seen:
    """The command's own ledger."""
    seen = Seen(path)
    try:
        if not Ledger.exists(path):
            _missing(seen)
            return seen
        with _opened(config, path, any_mode=any_mode) as ledger:
            seen.tag = ledger.tag
            seen.found = watched(ledger, config, machine)
            seen.notes += [ledger.note] if ledger.note else []
            at_work = holder_words(ledger)
            for alarm in seen.found.alarms:
                more = f" {at_work}." if at_work and alarm.trouble == "monitor" else ""
                seen.alarms.append(Alarm(alarm.trouble, f"{alarm.text}{more} {sentence(MEND)}"))
    except Exception as error:  # noqa: BLE001 -- what cannot be read may be open, whatever keeps it from us
        _unreadable(seen, error)
    return seen


def _opened(config: Config, path: Path, *, any_mode: bool) -> Ledger:
    """To read. `any_mode`: the configuration is broken, so its mode may be what is wrong there.

    Raises RefusedError.
    """
    modes = [config.trading.mode, *(MODES if any_mode else ())]
    for mode in modes[:-1]:
        with suppress(RefusedError):
            return Ledger.open(path, mode=mode, read_only=True)
    return Ledger.open(path, mode=modes[-1], read_only=True)


def _missing(seen: Seen) -> None:
    """No ledger: nothing was ever traded, unless there was one."""
    seen.exists = False
    if any(mark.exists() for mark in (mark_of(seen.path), seen.path.with_suffix(".seen"))):
        text = f"The ledger {seen.path} is gone: whether a position is open is not known."
        mend = "Put it back, or `spxarb restore FILE` a backup, and look at the account at the broker"
        seen.alarms.append(Alarm(UNREADABLE, f"{text} {sentence(mend)}"))
    else:
        seen.notes.append(f"There is no ledger at {seen.path}: nothing was traded with it.")


def _unreadable(seen: Seen, error: Exception) -> None:
    """Unknown is not empty; but another way of reading may show that nothing is open in it."""
    why = str(error) if isinstance(error, SpxarbError) else f"{type(error).__name__}: {error}"
    failure = error if isinstance(error, SpxarbError) else RefusedError(why)
    others = other_ledgers([seen.path])
    if not others and isinstance(error, RefusedError) and has_readable_trades(seen.path):
        seen.errors.append(failure)  # of a newer version, and nothing is open in it
        return
    ids = ", ".join(str(trade) for other in others for trade in other.trades)
    what = f"trades {ids} are open in it" if ids else "whether a position is open is not known"
    text = f"The ledger cannot be read, and {what}. {why}"
    seen.alarms.append(Alarm(UNREADABLE, text))


def _look_elsewhere(seen: Seen, config: Config, machine: datetime) -> None:
    """Ledgers of other modes, and those beside: named once a day, an alarm where an exit is due there."""
    with suppress(ConfigError):
        now = max(machine, seen.found.now) if seen.found else machine
        for other in other_ledgers(other_places(config), but=seen.path, tag=seen.tag):
            told = told_of(other, now, watches=True)
            if isinstance(told, HumanNeededError):
                trouble = f"other {other.path}"
                seen.alarms.append(Alarm(trouble, str(told)))
                seen.daily.add(trouble)
            else:
                seen.notes.append(str(told))
