"""What the underlyings closed at, asked of the broker: daily bars of regular hours, else quotes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.core.contracts import Quote
from spxarb.core.model import LegName
from spxarb.core.sentences import sentence
from spxarb.core.sessions import previous_trading_day
from spxarb.core.settlement import CloseView, closing_price
from spxarb.errors import GatewayError
from spxarb.trading.market import underlyings
from spxarb.trading.market_calendar import closures_around, timetable, timetable_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from spxarb.core.contracts import Contract
    from spxarb.core.records import Trade
    from spxarb.core.settlement import ClosingPrice
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.market import Underlyings


@dataclass(frozen=True, slots=True)
class Closes:
    """Closing prices by leg and day; what is not in it is not known. `notes`: why not, in sentences."""

    prices: Mapping[tuple[LegName, date], ClosingPrice]
    notes: tuple[str, ...] = ()

    def of(self, leg: LegName, day: date) -> ClosingPrice | None:
        return self.prices.get((leg, day))


async def closing_prices(job: ConnectedJob, trades: Sequence[Trade]) -> Closes:
    """The closes of the last days of these trades, as far as they are known by now.

    Without daily bars (the broker refuses them, or is silent) quotes are asked. Raises GatewayError when the
    link is lost.
    """
    ends = {trade.expiry: timetable_of(trade, job.context.config).close for trade in trades}
    if not ends:
        return Closes({})
    contracts = dict(zip(LegName, await job.broker.underlyings(), strict=True))
    days = (job.now.date() - min(ends)).days + 2
    answers = await asyncio.gather(*(_bars(job, contract, days) for contract in contracts.values()))
    bars = dict(zip(LegName, answers, strict=True))
    quotes = dict.fromkeys(LegName, Quote())
    if any(day not in bars[leg].closes for leg in LegName for day in ends):
        under = await _quotes(job)
        quotes = {LegName.SPX: under.spx_quote, LegName.SPY: under.spy_quote}
    views = [
        CloseView(leg, day, job.now, end, bars[leg].closes.get(day), quotes[leg], _session_before(job))
        for leg in LegName
        for day, end in ends.items()
    ]
    known = {(view.leg, view.day): price for view in views if (price := closing_price(view)) is not None}
    return Closes(known, tuple(answer.why for answer in answers if answer.why))


@dataclass(frozen=True, slots=True)
class _Bars:
    """Daily closes by day, or why there are none."""

    closes: Mapping[date, Decimal]
    why: str = ""


async def _bars(job: ConnectedJob, contract: Contract, days: int) -> _Bars:
    try:
        return _Bars(await job.broker.daily_closes(contract, days))
    except GatewayError as error:
        if not job.broker.link_up:
            raise
        return _Bars({}, sentence(error.what))


async def _quotes(job: ConnectedJob) -> Underlyings:
    """SPX and SPY; a last price is enough, for there are no quotes after the close."""
    timeout = job.context.config.execution.quote_timeout_seconds
    return await underlyings(job.broker, timeout, lambda _, quote: quote.last is not None)


def _session_before(job: ConnectedJob) -> date | None:
    """The session whose close tick 9 is: the one before today's, once that has begun; None: not sure."""
    today, config = job.now.date(), job.context.config
    hours = timetable(today, config)
    if hours is None or job.now < hours.open + timedelta(minutes=1):
        return None
    return previous_trading_day(today, closed=closures_around(today, config).closed)
