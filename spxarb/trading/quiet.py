"""Whether a command can end without a connection: nothing is open, and nothing can be learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.sessions import look_is_due
from spxarb.trading.bookkeeping import open_trades

if TYPE_CHECKING:
    from datetime import datetime

    from spxarb.trading.context import JobContext


def all_quiet(context: JobContext, now: datetime) -> bool:
    """Nothing is open and nothing can be learned: no need to connect.

    Every order is proven done, no settlement is provisional, no commission of the day is estimated, no matter
    for a human is open. An order proven done only by its absence is checked again until its day is over. And
    the account was compared today by a job that may act: a ledger that lost its memory knows of nothing open.
    """
    ledger, today = context.ledger, now.date()
    unsure = ledger.orders.unproven() or ledger.orders.absent(today) or ledger.fills.estimated(today)
    doubt = ledger.trades.unreadable_open() or ledger.matters.open()
    if open_trades(ledger) or unsure or ledger.trades.provisional() or doubt:
        return False
    last = ledger.looks.last()
    if last is None or last.date() != today:
        return False
    return not ledger.trades.count_filled(today) or _seen_lately(context, last, now)


def _seen_lately(context: JobContext, last: datetime, now: datetime) -> bool:
    """Whether the account was seen lately enough for a day that traded: executions may be corrected yet.

    In the sim mode the time is known no better than from the newest look, so that there is none yet.
    """
    from spxarb.trading.market_calendar import timetable_of  # noqa: PLC0415 -- only a day that traded needs it

    if context.config.trading.mode == "sim":
        return False
    trades = context.ledger.trades.of_day(now.date())
    return not any(look_is_due(timetable_of(trade, context.config), last, now) for trade in trades)
