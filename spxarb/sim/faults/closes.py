"""Faults of closing prices: the official close, trades after hours, old closes, daily bars that lag."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from spxarb.sim.api import layouts
from spxarb.sim.api.wire import Say, frame
from spxarb.sim.faults.kinds import REQUIRED, FaultKind, Hook, Parameter
from spxarb.sim.market.trading_days import NEW_YORK, previous_day

if TYPE_CHECKING:
    from spxarb.sim.faults.kinds import ActiveFault, OutgoingMessage, QuoteView

_DAY, _VALUES_OF_A_BAR = 8, 8
"""A daily bar is dated by the day alone, `20260210`; each bar has so many fields."""
_BARS = 4
"""Where historicalData holds the number of its bars; they follow."""

_EXPIRY = 6
"""The expiry in a position."""


def _is_underlying(fault: ActiveFault, view: QuoteView) -> bool:
    item = view.stream.instrument
    return item.sec_type != "OPT" and fault.args["symbol"] in {"", item.symbol}


def official_close(fault: ActiveFault) -> bool:
    """Let options settle at another price than the last print."""
    fault.gateway.exchange.official[fault.args["symbol"]] = fault.args["by"]
    return True


def official_is_last(fault: ActiveFault) -> bool:
    """Let them settle at the last print again."""
    fault.gateway.exchange.official.pop(fault.args["symbol"], None)
    return True


def official_tick(fault: ActiveFault, view: QuoteView) -> bool:
    """On a later day tick 9 is the official close."""
    day = fault.gateway.market.day
    if not _is_underlying(fault, view) or view.moment.astimezone(NEW_YORK).date() <= day:
        return False
    by = fault.args["by"]
    view.changes.append(
        lambda quote: quote if quote.close is None else replace(quote, close=round(quote.close + by, 4))
    )
    return True


def after_hours(fault: ActiveFault, view: QuoteView) -> bool:
    """Show SPY's trades after the close as its last price."""
    if view.stream.instrument.sec_type != "STK" or view.moment < fault.gateway.market.close:
        return False
    by = fault.args["by"]
    view.changes.append(
        lambda quote: quote if quote.last is None else replace(quote, last=round(quote.last + by, 4))
    )
    return True


def old_close(fault: ActiveFault, view: QuoteView) -> bool:
    """Show the close of the session before as tick 9, on a later day too."""
    market, item = fault.gateway.market, view.stream.instrument
    if item.sec_type == "OPT":
        return False
    before = market.quote(item.con_id, market.open).close
    view.changes.append(lambda quote: replace(quote, close=before))
    return True


def late_bars(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """Leave the day's own bar out of daily bars."""
    if message.number != Say.HISTORICAL_DATA:
        return False
    head, rows = message.fields[:_BARS], message.fields[_BARS + 1 :]
    if not rows or len(rows[0]) != _DAY:
        return False
    if fault.args["form"] == "none":
        text = "Historical Market Data Service error message:HMDS query returned no data"
        message.out = [layouts.error(message.session.version, int(head[1]), 162, text)]
        return True
    row = rows[-_VALUES_OF_A_BAR:]
    before = previous_day(date(int(row[0][:4]), int(row[0][4:6]), int(row[0][6:])))
    message.out = [frame(*head, 1, f"{before:%Y%m%d}", *row[1:])]
    return True


def expired_gone(fault: ActiveFault, message: OutgoingMessage) -> bool:
    """List no option whose last day is over, though it may still become shares."""
    if message.number != Say.POSITION or not message.fields[_EXPIRY]:
        return False
    market = fault.gateway.market
    if message.fields[_EXPIRY] > f"{market.day:%Y%m%d}" or fault.gateway.now < market.close:
        return False
    message.out = []
    return True


_SYMBOL = Parameter("symbol", "text", "SPX", "whose", ("SPX", "SPY"))

KINDS = (
    FaultKind(
        *(
            "official_close",
            "The official close is not the last print: in what settles, later in daily bars and tick 9.",
        ),
        {Hook.NOW: official_close, Hook.QUOTE: official_tick, Hook.END: official_is_last},
        (Parameter("by", "number", REQUIRED, "by how much, dollars or points"), _SYMBOL),
        lasting=True,
        everywhere=True,
    ),
    FaultKind(
        *("after_hours", "SPY trades on after the close, and that is its last price."),
        {Hook.QUOTE: after_hours},
        (Parameter("by", "number", REQUIRED, "how far from the last regular print, dollars"),),
        lasting=True,
    ),
    FaultKind(
        *("old_close", "Tick 9 is the close of the session before, on the days after too."),
        {Hook.QUOTE: old_close},
        lasting=True,
    ),
    FaultKind(
        *("late_bars", "Daily bars do not have the day yet."),
        {Hook.MESSAGE: late_bars},
        (Parameter("form", "text", "before", "the day before instead; 162", ("before", "none")),),
        lasting=True,
    ),
    FaultKind(
        *("expired_gone", "Options vanish from the positions at the close of their last day."),
        {Hook.MESSAGE: expired_gone},
        lasting=True,
    ),
)
