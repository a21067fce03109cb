"""What a dashboard tells of ledger, configuration, lock and timetable: no connection is needed for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.firings import SETTLE_MORNING
from spxarb.core.last_runs import in_words
from spxarb.core.model import LegName
from spxarb.core.order_words import Purpose
from spxarb.core.results.going_live import LiveGateResult
from spxarb.core.results.status import (
    FailsafeResult,
    LastPrices,
    LockResult,
    PathsResult,
    PnlPoint,
    PositionExits,
    RoutineResult,
)
from spxarb.core.routines import ROUTINES, missed, next_due
from spxarb.core.sessions import next_trading_day
from spxarb.trading.ledger_lock import holder_of
from spxarb.trading.market_calendar import closures_around, timetable, timetable_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime, time
    from decimal import Decimal

    from spxarb.core.records import Mark, OrderRecord, Trade
    from spxarb.trading.context import JobContext


def going_live(context: JobContext) -> LiveGateResult:
    """Whether entries of mode live are let through by what paper has shown; nothing in other modes."""
    gate = context.live_gate
    if gate is None:
        return LiveGateResult()
    return LiveGateResult("open" if gate.is_open else "shut", gate.line())


def routines(context: JobContext, now: datetime) -> tuple[RoutineResult, ...]:
    """Each timed command: what its newest run said, and when the next is due."""
    from spxarb.core.run_gaps import run_moment  # noqa: PLC0415 -- only who looks back needs it
    from spxarb.trading.recorded_runs import first_use  # noqa: PLC0415 -- likewise

    config, today = context.config, now.date()
    day = timetable(today, config)
    later = timetable(next_trading_day(today, closed=closures_around(today, config).closed), config)
    assert later is not None  # it is a trading day
    watched = bool(context.ledger.trades.open())
    unsettled = watched or bool(context.ledger.trades.provisional())
    since = first_use(context.ledger)
    found = []
    for command in ROUTINES:
        last = context.ledger.history.last_run(command)
        wet = context.ledger.history.last_run(command, dry_runs=False)
        ran = None if wet is None else run_moment(wet[0])
        late = missed(command, now, day, ran) if watched or command == "settle" else None
        if late is not None and (since is None or late < since):
            late = None
        if late is not None and command == "settle" and late.time() == SETTLE_MORNING and not unsettled:
            late = None
        run = {} if last is None else {**last[0], "said": in_words(*last), "moment": run_moment(last[0])}
        found.append(
            RoutineResult(
                command=command,
                last_run=run.get("moment"),
                said=run.get("said"),
                exit_code=run.get("exit_code"),
                error=run.get("error"),
                next_due=next_due(command, now, day, later),
                missed=late if command != "enter" else None,
            )
        )
    return tuple(found)


def lock_holder(context: JobContext) -> LockResult:
    """Who holds the lock of all jobs; the lock itself is not touched."""
    found = holder_of(context.config.database_path())
    return LockResult() if found is None else LockResult(found.pid, found.command, found.since)


def paths(context: JobContext) -> PathsResult:
    config = context.config
    ledger = config.database_path().absolute()
    source = config.source
    return PathsResult(
        ledger=str(ledger),
        ledger_exists=ledger.is_file(),
        configuration=None if source is None else str(source.absolute()),
        log=str(config.log_path().absolute()) if config.logging.file else None,
    )


def pnl_line(context: JobContext, day: date) -> tuple[PnlPoint, ...]:
    """The day's net P&L as its jobs marked it."""
    return tuple(PnlPoint(at, pnl) for at, pnl in context.ledger.days.marks(day))


def last_prices(marks: Iterable[Mark]) -> LastPrices:
    """The prices of the newest of these marks."""
    newest = max(marks, key=lambda mark: mark.at, default=None)
    if newest is None:
        return LastPrices()
    return LastPrices(newest.at, newest.spx, newest.spy, newest.states)


# --- exits ------------------------------------------------------------------------------------------


def exits_of(
    context: JobContext,
    trade: Trade,
    now: datetime,
    *,
    as_of: datetime | None,
    spy_price: Decimal | None,
    pnl: Decimal | None,
    at_broker: tuple[int, int] | None,
) -> PositionExits:
    """How far the trade is from its exits; `at_broker`: as `failsafe.at_broker` says, None: nobody asked."""
    from spxarb.core.distances import distances  # noqa: PLC0415 -- only an open trade needs it

    found = None
    if trade.can_exit:
        found = distances(
            trade,
            context.exit_limits(trade),
            timetable_of(trade, context.config),
            _configured_exit(context, trade),
            now,
            spy_price=spy_price,
            pnl=pnl,
        )
    return PositionExits(trade.id, as_of, found, _failsafe(context, trade, at_broker))


def _configured_exit(context: JobContext, trade: Trade) -> time:
    """`trading.exit_check_time` as it was at the trade's entry, else as it is."""
    times = context.config.trading
    try:
        return type(times).model_validate(trade.limits["trading"]).exit_check_time
    except (KeyError, TypeError, ValueError):
        return times.exit_check_time


def _failsafe(context: JobContext, trade: Trade, at_broker: tuple[int, int] | None) -> FailsafeResult:
    order = _newest_failsafe(context, trade)
    enabled = context.config.execution.broker_side_failsafe and not trade.handed_over
    return FailsafeResult(
        wanted=bool(at_broker[0]) if at_broker else enabled and LegName.SPX not in trade.residual,
        resting=at_broker[1] if at_broker else None,
        sent=None if order is None else int(order.ticket.quantity),
        active_from=None if order is None else order.ticket.good_after,
        order_ref=None if order is None else order.ref,
    )


def _newest_failsafe(context: JobContext, trade: Trade) -> OrderRecord | None:
    """The newest buy-back that is not proven over, as the ledger has it."""
    orders = [
        order
        for order in context.ledger.orders.of_trade(trade.id)
        if order.purpose is Purpose.FAILSAFE and not order.final
    ]
    return orders[-1] if orders else None
