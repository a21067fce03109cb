"""Whether entries are allowed on a day, as the ledger and the configuration have it: ACTIVE or STOPPED."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from spxarb.core.model import NEW_YORK
from spxarb.core.trading_state import EndOfEntries, Switch, TradingResult
from spxarb.core.trading_state import trading_state as decided
from spxarb.errors import RefusedError
from spxarb.ledger.rows import known_moment
from spxarb.trading.day_record import blackout_on

if TYPE_CHECKING:
    from datetime import date

    from spxarb.config.load import Config
    from spxarb.ledger.ledger import Ledger

SWITCHES = ("start", "stop", "close-all")
"""The commands that allow or forbid entries."""


def trading_state(ledger: Ledger, config: Config, day: date) -> TradingResult:
    """Whether entries are allowed on `day`, who said so last, and what goes on beside it."""
    trades = ledger.trades.open()
    return decided(
        _switch(ledger),
        failures=_failures(ledger, config, day),
        stopped_today=_stopped(ledger, day),
        blackout=blackout_on(config.trading.blackout_file, day),
        open_trades=len(trades),
        handed_over=sum(1 for trade in trades if trade.handed_over),
    )


def _switch(ledger: Ledger) -> Switch:
    row = ledger.state.row()
    since = known_moment(row["trading_set_at"])
    by = None
    if row["trading_set_at"]:
        with suppress(RefusedError):  # who set it is only a help
            switched = ledger.history.last_run(*SWITCHES, dry_runs=False)
            by = None if switched is None else f"spxarb {switched[0]['command']}"
    return Switch(bool(row["is_trading"]), str(row["trading_reason"] or ""), since, by)


def _failures(ledger: Ledger, config: Config, day: date) -> EndOfEntries | None:
    """The failed jobs of the day, where so many end its entries."""
    most = config.risk_management.max_failed_jobs_per_day
    found = [] if most is None else ledger.runs.failures(day)
    if most is None or len(found) < most:
        return None
    jobs = f"{len(found)} job{'' if len(found) == 1 else 's'} failed today"
    at = None if config.trading.mode == "sim" else found[most - 1]  # a simulated day is not the machine's
    return EndOfEntries(f"{jobs}; look at them, then `spxarb start`", at)


def _stopped(ledger: Ledger, day: date) -> EndOfEntries | None:
    reason = ledger.stops.reason(day)
    return EndOfEntries(reason) if reason else None


def today_of(ledger: Ledger, config: Config) -> date:
    """The market's day: of a simulated one the last that a gateway told."""
    heard = ledger.looks.heard() if config.trading.mode == "sim" else None
    return (heard or datetime.now(NEW_YORK)).date()
