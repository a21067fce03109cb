"""Faults of quotes. Clients are shown wrong quotes; orders still meet the true market, except in a halt."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.sim.api.streams import NO_QUOTE
from spxarb.sim.api.wire import Ask
from spxarb.sim.faults.connections import freeze, nothing_fills
from spxarb.sim.faults.kinds import REQUIRED, FaultKind, Hook, Parameter

if TYPE_CHECKING:
    from spxarb.sim.faults.kinds import ActiveFault, ClientRequest, QuoteView
    from spxarb.sim.market.instruments import MarketQuote


def missing_quotes(fault: ActiveFault, view: QuoteView) -> bool:
    """Show no bid, no ask, or neither."""
    sides = ("bid", "ask") if fault.args["side"] == "both" else (fault.args["side"],)
    price = 0.0 if fault.args["form"] == "zero" else NO_QUOTE

    def hide(quote: MarketQuote) -> MarketQuote:
        for side in sides:
            quote = (
                replace(quote, bid=price, bid_size=0)
                if side == "bid"
                else replace(quote, ask=price, ask_size=0)
            )
        return quote

    view.changes.append(hide)
    return True


def wrong_tick(fault: ActiveFault, view: QuoteView) -> bool:
    """Show a price that was never there."""
    names = ("bid", "ask", "last") if fault.args["side"] == "all" else (fault.args["side"],)
    by = fault.args["by"]

    def shift(quote: MarketQuote) -> MarketQuote:
        shown = {name: getattr(quote, name) for name in names}
        moved = {name: max(0.01, round(price + by, 4)) for name, price in shown.items() if price is not None}
        return replace(quote, **moved)

    view.changes.append(shift)
    return True


def crossed(fault: ActiveFault, view: QuoteView) -> bool:
    """Show a bid above the ask."""
    step = fault.args["by"] or view.stream.instrument.min_tick

    def cross(quote: MarketQuote) -> MarketQuote:
        if quote.bid is None or quote.ask is None:
            return quote
        return replace(quote, bid=round(quote.ask + step, 4))

    view.changes.append(cross)
    return True


def old_last(fault: ActiveFault, view: QuoteView) -> bool:
    """Say of the last price that it was made some time ago."""
    view.last_age = fault.args["seconds"]
    return True


def zero_size(fault: ActiveFault, view: QuoteView) -> bool:
    """Show a price for which nothing can be traded."""
    side = fault.args["side"]

    def empty(quote: MarketQuote) -> MarketQuote:
        bid_size = quote.bid_size if side == "ask" else 0
        return replace(quote, bid_size=bid_size, ask_size=quote.ask_size if side == "bid" else 0)

    view.changes.append(empty)
    return True


def delayed(fault: ActiveFault, view: QuoteView) -> bool:
    """Show delayed quotes; the first ones of a line come with 10167."""
    view.kind = int(fault.args["type"])
    if view.kind in {3, 4}:
        opening = fault.gateway.market.open
        view.moment = max(view.moment - timedelta(minutes=fault.args["minutes"]), min(opening, view.moment))
        if fault.args["told"]:
            text = "Requested market data is not subscribed. Displaying delayed market data."
            _notify_once(fault, view, 10167, text)
    return True


def competing(fault: ActiveFault, view: QuoteView) -> bool:
    """Show nothing; each line gets 10197 once."""
    view.silent = True
    _notify_once(fault, view, 10197, "No market data during competing live session")
    return True


def _notify_once(fault: ActiveFault, view: QuoteView, code: int, text: str) -> None:
    notified: set[tuple[int, int]] = fault.memory.setdefault("notified", set())
    line = id(view.session), view.stream.request
    if line not in notified:
        notified.add(line)
        view.session.error(view.stream.request, code, text)


def halted(fault: ActiveFault, view: QuoteView) -> bool:
    """Mark trading as halted."""
    if view.stream.instrument.sec_type == "IND":
        return False
    view.changes.append(lambda quote: replace(quote, halted=True))
    if not fault.args["quotes"]:
        view.changes.append(lambda quote: replace(quote, bid=NO_QUOTE, ask=NO_QUOTE, bid_size=0, ask_size=0))
    return True


_NOT_COMPUTED = {"absent": (None, None), "not_computed": (-1.0, -2.0), "unset": (1.7976931348623157e308,) * 2}
"""Of each form a volatility, and every other figure of a computation."""


def no_greeks(fault: ActiveFault, view: QuoteView) -> bool:
    """Leave out the option computations, or send them without figures."""
    if view.stream.instrument.sec_type != "OPT":
        return False
    volatility, slope = _NOT_COMPUTED[fault.args["form"]]
    slopes = dict.fromkeys(("delta", "gamma", "vega", "theta"), slope)
    view.changes.append(lambda quote: replace(quote, iv=volatility, **slopes))
    return True


def no_data(fault: ActiveFault, request: ClientRequest) -> bool:
    """Refuse a market data line."""
    if request.number != Ask.MARKET_DATA:
        return False
    line = int(request.values[2]) if len(request.values) > 2 and request.values[2].isdigit() else -1
    request.session.error(line, fault.args["code"], "Requested market data is not subscribed.")
    request.refused = True
    return True


def unsubscribed(fault: ActiveFault, request: ClientRequest) -> bool:
    """Refuse a line with 354 to a client that takes live data only."""
    if request.session.market_data_type in {3, 4}:
        return False
    return no_data(fault, request)


def delayed_instead(fault: ActiveFault, view: QuoteView) -> bool:
    """Show delayed quotes to a client that takes them."""
    return view.session.market_data_type in {3, 4} and delayed(fault, view)


KINDS = (
    FaultKind(
        *("no_quotes", "Bid, ask or both are missing."),
        {Hook.QUOTE: missing_quotes},
        (
            Parameter("side", "text", "both", "which is missing", ("both", "bid", "ask")),
            Parameter("form", "text", "none", "price -1 or price 0, size 0", ("none", "zero")),
        ),
        lasting=True,
    ),
    FaultKind(
        *("wrong_tick", "A price is wrong; the right one follows."),
        {Hook.QUOTE: wrong_tick},
        (
            Parameter("by", "number", REQUIRED, "by how much, dollars or points; below 0: too low"),
            Parameter("side", "text", "all", "which price", ("all", "bid", "ask", "last")),
        ),
        lasting=True,
    ),
    FaultKind(
        *("crossed", "The bid is above the ask (a crossed market)."),
        {Hook.QUOTE: crossed},
        (Parameter("by", "number", 0.0, "how much; 0: a tick"),),
        lasting=True,
    ),
    FaultKind(*("stale", "Quotes do not change."), {Hook.QUOTE: freeze}, lasting=True),
    FaultKind(
        *("old_last", "The time of the last price (tick 45) is old."),
        {Hook.QUOTE: old_last},
        (Parameter("seconds", "seconds", 60.0, "how old"),),
        lasting=True,
    ),
    FaultKind(
        *("zero_size", "A price is shown with a size of 0."),
        {Hook.QUOTE: zero_size},
        (Parameter("side", "text", "both", "which", ("both", "bid", "ask")),),
        lasting=True,
    ),
    FaultKind(
        *("delayed", "Market data is delayed: 10167, type 3, tick ids 66 and following."),
        {Hook.QUOTE: delayed},
        (
            Parameter("type", "text", "3", "2 frozen, 3 delayed, 4 both", ("2", "3", "4")),
            Parameter("minutes", "natural", 15, "how old"),
            Parameter("told", "flag", default=True, says="10167 is sent"),
        ),
        lasting=True,
    ),
    FaultKind(
        *(
            "unsubscribed",
            "The account has no live data: 354, or delayed quotes to a client that takes them.",
        ),
        {Hook.REQUEST: unsubscribed, Hook.QUOTE: delayed_instead},
        (
            Parameter("type", "text", "3", "of the quotes: 3 delayed, 4 frozen too", ("3", "4")),
            Parameter("minutes", "natural", 15, "how old they are"),
            Parameter("told", "flag", default=True, says="10167 is sent"),
            Parameter("code", "natural", 354, "of the refusal"),
        ),
        lasting=True,
    ),
    FaultKind(
        *("competing_session", "10197 on every line; no ticks until the end."),
        {Hook.QUOTE: competing},
        lasting=True,
    ),
    FaultKind(
        *("halted", "Trading is halted (tick 49 is 1); nothing fills."),
        {Hook.QUOTE: halted, Hook.FILL: nothing_fills},
        (Parameter("quotes", "flag", default=True, says="bid and ask are still shown"),),
        lasting=True,
    ),
    FaultKind(
        *("no_greeks", "The option computations (ticks 10 to 13) are missing, or hold no figures."),
        {Hook.QUOTE: no_greeks},
        (
            Parameter(
                *("form", "text", "absent", "not sent; -1 and -2; 1.797…E308"),
                ("absent", "not_computed", "unset"),
            ),
        ),
        lasting=True,
    ),
    FaultKind(
        *("no_data", "Market data lines are refused."),
        {Hook.REQUEST: no_data},
        (Parameter("code", "natural", 354, "354, 10168, 10186, …"),),
        lasting=True,
    ),
)
