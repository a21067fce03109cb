"""Faults of quotes. What clients see is wrong; orders still meet the true market, except in a halt."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.sim.api.wire import Ask
from spxarb.sim.faults.connections import freeze, nothing_fills
from spxarb.sim.faults.kinds import Kind, Parameter, Place

if TYPE_CHECKING:
    from spxarb.sim.faults.kinds import Call, Look, Run
    from spxarb.sim.market.instruments import Quote


def missing_quotes(run: Run, look: Look) -> bool:
    """Show no bid, no ask, or neither."""
    sides = ("bid", "ask") if run.args["side"] == "both" else (run.args["side"],)
    price = 0.0 if run.args["form"] == "zero" else None
    gone = dict.fromkeys(sides, price) | {f"{side}_size": 0 for side in sides}
    look.changes.append(lambda quote: replace(quote, **gone))
    return True


def crossed(run: Run, look: Look) -> bool:
    """Show a bid above the ask."""
    step = run.args["by"] or look.stream.instrument.min_tick

    def cross(quote: Quote) -> Quote:
        if quote.bid is None or quote.ask is None:
            return quote
        return replace(quote, bid=round(quote.ask + step, 4))

    look.changes.append(cross)
    return True


def delayed(run: Run, look: Look) -> bool:
    """Show delayed quotes; the first time 10167 says so."""
    look.kind = int(run.args["type"])
    if look.kind in {3, 4}:
        begins = run.trouble.gateway.market.open
        look.moment = max(look.moment - timedelta(minutes=run.args["minutes"]), min(begins, look.moment))
        text = "Requested market data is not subscribed. Displaying delayed market data."
        _say_once(run, look, 10167, text)
    return True


def competing(run: Run, look: Look) -> bool:
    """Show nothing any more; the first time 10197 says so."""
    look.silent = True
    _say_once(run, look, 10197, "No market data during competing live session")
    return True


def _say_once(run: Run, look: Look, code: int, text: str) -> None:
    said: set[tuple[int, int]] = run.memory.setdefault("said", set())
    line = id(look.session), look.stream.request
    if line not in said:
        said.add(line)
        look.session.error(look.stream.request, code, text)


def halted(run: Run, look: Look) -> bool:
    """Say that trading is halted."""
    if look.stream.instrument.sec_type == "IND":
        return False
    look.changes.append(lambda quote: replace(quote, halted=True))
    if not run.args["quotes"]:
        look.changes.append(lambda quote: replace(quote, bid=None, ask=None, bid_size=0, ask_size=0))
    return True


def no_data(run: Run, call: Call) -> bool:
    """Refuse a market data line."""
    if call.number != Ask.MARKET_DATA:
        return False
    line = int(call.values[2]) if len(call.values) > 2 and call.values[2].isdigit() else -1
    call.session.error(line, run.args["code"], "Requested market data is not subscribed.")
    call.refused = True
    return True


KINDS = (
    Kind(
        *("no_quotes", "There is no bid, no ask, or neither."),
        {Place.QUOTE: missing_quotes},
        (
            Parameter("side", "text", "both", "which is missing", ("both", "bid", "ask")),
            Parameter("form", "text", "none", "-1 with size 0, or 0 with size 0", ("none", "zero")),
        ),
        lasting=True,
    ),
    Kind(
        *("crossed", "The bid is above the ask."),
        {Place.QUOTE: crossed},
        (Parameter("by", "number", 0.0, "how much; 0: a tick"),),
        lasting=True,
    ),
    Kind(*("stale", "Quotes do not change any more."), {Place.QUOTE: freeze}, lasting=True),
    Kind(
        *("delayed", "Market data is delayed: 10167, type 3, ids 66 and following."),
        {Place.QUOTE: delayed},
        (
            Parameter("type", "text", "3", "2 frozen, 3 delayed, 4 both", ("2", "3", "4")),
            Parameter("minutes", "natural", 15, "how old"),
        ),
        lasting=True,
    ),
    Kind(
        *("competing_session", "10197 on every line; no ticks until the end."),
        {Place.QUOTE: competing},
        lasting=True,
    ),
    Kind(
        *("halted", "Halted (tick 49 is 1); nothing fills."),
        {Place.QUOTE: halted, Place.FILL: nothing_fills},
        (Parameter("quotes", "flag", default=True, says="bid and ask are still shown"),),
        lasting=True,
    ),
    Kind(
        *("no_data", "Market data lines are refused."),
        {Place.REQUEST: no_data},
        (Parameter("code", "natural", 354, "354, 10168, 10186, …"),),
        lasting=True,
    ),
)
