"""What the market looks like to a job: underlyings, today's chains, the calls at the money, their quotes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.core.model import Quote
from spxarb.core.payoff import interpolate
from spxarb.core.strategy import EntryMarket, nearest_strike, underlying_price

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date
    from decimal import Decimal

    from spxarb.broker.broker import Broker, Chain
    from spxarb.core.model import Contract, TradingHours
    from spxarb.core.sessions import TradingDay

NEIGHBOUR_SECONDS = 1.0
"""How long to wait for the quotes beside the money: they only tell the edge."""
CLOSE_TOLERANCE = timedelta(minutes=15)
"""Index options of other expiries trade a quarter of an hour longer; a feed may tell their hours."""


@dataclass(frozen=True, slots=True)
class Underlyings:
    """The index and the stock with their latest quotes."""

    spx: Contract
    spy: Contract
    spx_quote: Quote
    spy_quote: Quote

    @property
    def spx_price(self) -> Decimal | None:
        return underlying_price(self.spx_quote)

    @property
    def spy_price(self) -> Decimal | None:
        return underlying_price(self.spy_quote)


async def underlyings(
    broker: Broker,
    timeout: float,  # noqa: ASYNC109 -- its end is an answer
    enough: Callable[[Contract, Quote], bool] | None = None,
) -> Underlyings:
    """SPX and SPY and what they cost now, waiting at most `timeout` seconds for quotes that are `enough`."""
    spx, spy = await broker.underlyings()
    quotes = await broker.quotes([spx, spy], timeout, enough)
    return Underlyings(spx, spy, quotes[spx.con_id], quotes[spy.con_id])


async def entry_market(
    broker: Broker,
    day: date,
    timetable: TradingDay | None,
    timeout: float,  # noqa: ASYNC109 -- its end is an answer
) -> EntryMarket:
    """Everything an entry is decided by, asked in parallel; quotes are awaited at most `timeout` seconds."""
    under, spx_chain, spy_chain = await asyncio.gather(
        underlyings(broker, timeout),
        broker.option_chain("SPX", "SPXW", day),
        broker.option_chain("SPY", "SPY", day),
    )
    spx_call = _at_the_money(spx_chain, under.spx_price)
    spy_call = _at_the_money(spy_chain, under.spy_price)
    ratio = under.spx_price / under.spy_price if under.spx_price and under.spy_price else None
    target = ratio * spy_call.strike if ratio and spy_call and spy_call.strike else None
    beside = _neighbours(spx_chain.contracts, target)
    calls = [call for call in (spx_call, spy_call) if call is not None]
    broker.watch([*calls, *beside])
    if calls:
        await broker.quotes([under.spx, under.spy, *calls], timeout)
    if beside:
        await broker.quotes(beside, NEIGHBOUR_SECONDS)
    return EntryMarket(
        spx_price=under.spx_price,
        spy_price=under.spy_price,
        spx_index_quote=broker.quote(under.spx.con_id),
        spy_stock_quote=broker.quote(under.spy.con_id),
        spx_call=spx_call,
        spy_call=spy_call,
        spx_quote=broker.quote(spx_call.con_id) if spx_call else Quote(),
        spy_quote=broker.quote(spy_call.con_id) if spy_call else Quote(),
        spx_equivalent_mid=_mid_between(broker, beside, target),
        calendar_doubt=calendar_doubt(timetable, spx_chain.session, spy_chain.session),
    )


def _at_the_money(chain: Chain, price: Decimal | None) -> Contract | None:
    return None if price is None else nearest_strike(chain.contracts, price)


def _neighbours(contracts: Sequence[Contract], target: Decimal | None) -> list[Contract]:
    """The listed strikes on both sides of `target`, or the one that is struck just there."""
    if target is None:
        return []
    listed = [each for each in contracts if each.strike is not None]
    below = [each for each in listed if each.strike is not None and each.strike <= target]
    above = [each for each in listed if each.strike is not None and each.strike > target]
    return [*below[-1:], *above[:1]]


def _mid_between(broker: Broker, beside: Sequence[Contract], target: Decimal | None) -> Decimal | None:
    if target is None:
        return None
    known = ((each.strike, broker.quote(each.con_id).mid) for each in beside if each.strike is not None)
    return interpolate(known, target)


def calendar_doubt(timetable: TradingDay | None, *sessions: TradingHours | None) -> str:
    """Why our calendar and the broker's liquid hours do not agree; empty when they do.

    Hours that the broker does not tell are no agreement: no entry then.
    """
    if timetable is None:
        return ""
    for session in sessions:
        if session is None:
            return "The broker does not tell today's trading hours"
        if session.close is None or session.open is None:
            return f"The broker says that {timetable.day} is no trading day"
        late = session.close - timetable.close
        if session.open > timetable.open or not timedelta(0) <= late <= CLOSE_TOLERANCE:
            return (
                f"The calendar says that today ends at {timetable.close:%H:%M}, the broker's hours are "
                f"{session.open:%H:%M} to {session.close:%H:%M}"
            )
    return ""
