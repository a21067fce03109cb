"""The market that an entry is decided on: underlyings, today's chains, calls at the money, their quotes."""

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
    from spxarb.core.model import Contract
    from spxarb.core.sessions import TradingDay, TradingHours

NEIGHBOUR_SECONDS = 1.0
"""How long to wait for quotes of the neighbouring strikes: they only serve to estimate the edge."""
CLOSE_TOLERANCE = timedelta(minutes=15)
"""SPX options of other expiries trade 15 minutes longer, and the gateway may send their hours."""


@dataclass(frozen=True, slots=True)
class Underlyings:
    """SPX and SPY with their latest quotes."""

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
    """SPX and SPY with quotes, which are awaited until they are `enough`, at most `timeout` seconds.

    Raises GatewayError when the gateway does not qualify them, or the link is lost.
    """
    spx, spy = await broker.underlyings()
    quotes = await broker.quotes([spx, spy], timeout, enough)
    return Underlyings(spx, spy, quotes[spx.con_id], quotes[spy.con_id])


async def entry_market(
    broker: Broker,
    day: date,
    timetable: TradingDay | None,
    timeout: float,  # noqa: ASYNC109 -- its end is an answer
) -> EntryMarket:
    """The market for an entry on `day`, asked in parallel; quotes are awaited at most `timeout` seconds.

    Raises GatewayError when the gateway does not answer.
    """
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
        spy_hours=spy_chain.session,
    )


def _at_the_money(chain: Chain, price: Decimal | None) -> Contract | None:
    return None if price is None else nearest_strike(chain.contracts, price)


def _neighbours(contracts: Sequence[Contract], target: Decimal | None) -> list[Contract]:
    """The contracts struck next below (or at) and next above `target`; `contracts` ascend by strike."""
    if target is None:
        return []
    below = [contract for contract in contracts if contract.strike is not None and contract.strike <= target]
    above = [contract for contract in contracts if contract.strike is not None and contract.strike > target]
    return [*below[-1:], *above[:1]]


def _mid_between(broker: Broker, beside: Sequence[Contract], target: Decimal | None) -> Decimal | None:
    if target is None:
        return None
    mids = ((call.strike, broker.quote(call.con_id).mid) for call in beside if call.strike is not None)
    return interpolate(mids, target)


def calendar_doubt(timetable: TradingDay | None, *sessions: TradingHours | None) -> str:
    """How our calendar and the broker's liquid hours disagree; empty when they agree.

    Hours that the broker does not send are no agreement: no entry then.
    """
    if timetable is None:
        told = next((session for session in sessions if session and session.open), None)
        return f"The calendar knows no session on {told.day}, and the broker shows one" if told else ""
    for session in sessions:
        if session is None:
            return "The broker sends no trading hours for today"
        if session.close is None or session.open is None:
            return f"The broker shows no trading on {timetable.day}"
        late = session.close - timetable.close
        if session.open > timetable.open or not timedelta(0) <= late <= CLOSE_TOLERANCE:
            return (
                f"The calendar closes today at {timetable.close:%H:%M}, and the broker's hours are "
                f"{session.open:%H:%M} to {session.close:%H:%M}"
            )
    return ""
