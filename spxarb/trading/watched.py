"""What the watchdog sees of a ledger: what is open in it, and which jobs ran. Reads only."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from spxarb.core.model import NEW_YORK
from spxarb.core.trades import TradeState
from spxarb.core.watching import LOOKING_AFTER, Alarm, OpenThing, alarms, last_success, session_of
from spxarb.ledger.rows import known_moment
from spxarb.trading.market_calendar import timetable, timetable_of
from spxarb.trading.recorded_runs import recorded_runs

if TYPE_CHECKING:
    from spxarb.config.load import Config
    from spxarb.core.sessions import TradingDay
    from spxarb.ledger.ledger import Ledger

log = logging.getLogger(__name__)

LOOK_BACK = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class Watched:
    """One ledger as it is. `now`: the market's time as far as it is known; `session`: today's, None: none."""

    now: datetime
    session: TradingDay | None
    things: tuple[OpenThing, ...]
    last_monitor: datetime | None
    last_settle: datetime | None
    alarms: tuple[Alarm, ...]


def watched(ledger: Ledger, config: Config, machine: datetime) -> Watched:
    """Look. Raises RefusedError when the ledger cannot be read."""
    now = market_time(ledger, config, machine)
    things = _open_things(ledger, config)
    days = [thing.hours.open for thing in things if thing.hours is not None]
    runs = recorded_runs(ledger, config.trading.mode, min([now - LOOK_BACK, *days]))
    session = session_of(timetable(now.date(), config), things, now.date())
    patience = timedelta(minutes=config.watchdog.minutes)
    return Watched(
        now,
        session,
        things,
        last_success(runs, LOOKING_AFTER),
        last_success(runs, ["settle"]),
        alarms(things, runs, session, now, patience=patience),
    )


def market_time(ledger: Ledger, config: Config, machine: datetime) -> datetime:
    """The machine's time; of a simulated day the last that its gateway told, and what has passed since then.

    The gateway is not asked. It is supposed to run as fast as the machine since the command that heard it.
    """
    if config.trading.mode != "sim":
        return machine
    heard, ended = ledger.looks.heard_and_ended()
    if heard is None:
        return machine
    return heard + max(machine - ended, timedelta(0)) if ended is not None else heard


def _open_things(ledger: Ledger, config: Config) -> tuple[OpenThing, ...]:
    trades = [trade for trade in ledger.trades.open() if trade.state is not TradeState.LOST]
    found = []
    for trade in trades:
        by_hand = " (handed over: yours to close)" if trade.handed_over else ""
        found.append(OpenThing(f"trade {trade.id}{by_hand}", trade.entry_time, timetable_of(trade, config)))
    known = {trade.id for trade in trades}
    for order in ledger.orders.unproven():
        if order.trade_id not in known:
            known.add(order.trade_id)
            found.append(OpenThing(f"an order of trade {order.trade_id}", order.created_at))
    found += [OpenThing(f"matter {matter.id}", matter.since) for matter in ledger.matters.open()]
    unread = [*ledger.trades.unreadable_open(), *ledger.matters.unread]
    found += [OpenThing("a row that cannot be read")] * bool(unread)
    return tuple(found)


def holder_words(ledger: Ledger) -> str:
    """What runs now, as the ledger has it; empty where it does not say."""
    with suppress(Exception):
        last = ledger.history.last_run("monitor")
        if last is not None and last[0]["exit_code"] is None:
            began = known_moment(last[0]["started_at"])
            return f"One began at {began.astimezone(NEW_YORK):%H:%M} and has not ended" if began else ""
    return ""
