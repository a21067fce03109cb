"""`watchdog`: does anybody look after what is open? It needs neither the broker nor a writable ledger.

It opens the ledger to read, writes nothing into it and takes no lock, so that no job that hangs can silence
it. What it cannot read it takes for open: unknown is not empty.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from spxarb.config.load import invalid, read
from spxarb.core.model import NEW_YORK
from spxarb.core.results.watchdog import WatchdogResult
from spxarb.core.sentences import sentence
from spxarb.errors import Exit, worst
from spxarb.trading import pings
from spxarb.trading.alarms_told import tell
from spxarb.trading.watchdog_look import logging_as, look_around

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spxarb.config.load import Config
    from spxarb.trading.watchdog_look import Seen

log = logging.getLogger(__name__)


def run(config_file: Path | None, arguments: Sequence[str]) -> WatchdogResult:
    """Look, and shout where nobody looks after what is open: exit 6, and an alert.

    An invalid configuration is exit 3, and its ledger is looked for all the same. Raises ConfigError where
    that leads to no ledger.
    """
    reading = read(config_file)
    config, stopping = reading.config, reading.stopping()
    pings.begin("watchdog", config, arguments)
    machine = datetime.now(NEW_YORK)
    problem = invalid(reading.sources.file, stopping) if stopping else None
    with logging_as(config):
        seen = look_around(config, config_file, problem, machine)
        return _result(seen, config, machine)


def _result(seen: Seen, config: Config, machine: datetime) -> WatchdogResult:
    for alarm in seen.alarms:
        log.warning("%s", alarm.text)
    rows, why = tell(config, seen.path, seen.alarms, seen.daily, machine)
    notes = [*seen.notes, *([sentence(why)] if why else [])]
    code = worst(*(error.exit_code for error in seen.errors))
    found = seen.found
    now = found.now if found else machine
    session = found.session if found else None
    told = [alarm.text for alarm in seen.alarms] + [str(error) for error in seen.errors]
    return WatchdogResult(
        "watchdog",
        now,
        config.trading.mode,
        exit_code=worst(code, Exit.HUMAN) if seen.alarms else code,
        error=" ".join(dict.fromkeys(told)) or None,
        notes=tuple(notes),
        ledger=str(seen.path),
        ledger_read=None if not seen.exists else found is not None,
        watching=None if found is None else session is not None and session.open <= now <= session.spy_until,
        open=None if found is None else tuple(thing.what for thing in found.things),
        last_monitor=found.last_monitor if found else None,
        last_settle=found.last_settle if found else None,
        minutes=config.watchdog.minutes,
        alarms=rows,
    )
