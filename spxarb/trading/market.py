"""The market that an entry is decided on: underlyings, today's chains, calls at the money, their quotes.

SPX is what call and put of the strikes around the money say (`core/parity`); the print of the index is only
held against it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from spxarb.core.entry_view import NO_QUOTE, EntryMarket, Evidence
from spxarb.core.parity import NO_PUT, PARITY_STRIKES, Pair, parity_price
from spxarb.core.payoff import interpolate
from spxarb.core.strategy import nearest_strike, nearest_strikes, strike_doubt, underlying_price
from spxarb.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date

    from spxarb.broker.broker import Broker
    from spxarb.broker.chains import Chain
    from spxarb.core.contracts import Contract, Quote
    from spxarb.core.parity import ParityPrice
    from spxarb.core.sessions import TradingDay, TradingHours

AROUND_SECONDS = 1.0
"""How long to wait for quotes of the other strikes around the money, once the calls have theirs."""
ROUGH_RATIO = Decimal(10)
"""SPX / SPY, near enough to find strikes while the index has no print."""
STEPS = {"SPX": Decimal(5), "SPY": Decimal(1)}
"""Between two strikes at the money (Cboe contract specifications)."""
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


@dataclass(frozen=True, slots=True)
class Listed:
    """What can be quoted: the underlyings, today's calls, and the puts around the money by strike.

    `no_puts` says why a strike there has none. `first_spx` (the print) and `first_spy` are the underlyings as
    they stood when it was asked.
    """

    spx: Contract
    spy: Contract
    spx_chain: Chain
    spy_chain: Chain
    around: tuple[Contract, ...]
    puts: dict[Decimal, Contract]
    no_puts: dict[Decimal, str]
    first_spx: Decimal | None
    first_spy: Decimal | None


@dataclass(frozen=True, slots=True)
class LookSettings:
    """How long quotes are waited for, seconds, what parity may rest on, and what was measured before.

    `max_age` is seconds, `max_uncertainty` index points. `latest_ratio` and `recent_ratio`: SPX / SPY as
    measured in earlier runs.
    """

    timeout: float
    max_age: float
    max_uncertainty: Decimal
    latest_ratio: Decimal | None = None
    recent_ratio: Decimal | None = None


async def listed(broker: Broker, day: date, timeout: float) -> Listed:  # noqa: ASYNC109 -- its end is an answer
    """The contracts of an entry on `day`, asked in parallel; quotes of all that it needs begin to stream.

    Raises GatewayError when the gateway does not answer.
    """
    under, spx_chain, spy_chain = await asyncio.gather(
        underlyings(broker, timeout),
        broker.option_chain("SPX", "SPXW", day),
        broker.option_chain("SPY", "SPY", day),
    )
    guess = under.spx_price or (under.spy_price * ROUGH_RATIO if under.spy_price else None)
    around = nearest_strikes(spx_chain.contracts, guess, PARITY_STRIKES)
    spy_call = _at_the_money(spy_chain, under.spy_price)
    broker.watch([*around, *([spy_call] if spy_call else [])])
    puts, no_puts = await _puts(broker, around, day)
    broker.watch(puts.values())
    first = under.spx_quote.last, under.spy_price
    return Listed(under.spx, under.spy, spx_chain, spy_chain, tuple(around), puts, no_puts, *first)


async def _puts(
    broker: Broker, calls: Iterable[Contract], day: date
) -> tuple[dict[Decimal, Contract], dict[Decimal, str]]:
    """The puts beside these calls, and why a strike has none: a question for each strike, in parallel.

    A question that fails spoils its own strike; whether the link is lost shows at the next one.
    """
    strikes = [call.strike for call in calls if call.strike is not None]
    puts = await asyncio.gather(*(_put(broker, day, strike) for strike in strikes))
    found = dict(zip(strikes, puts, strict=True))
    return (
        {strike: put for strike, put in found.items() if not isinstance(put, str)},
        {strike: why for strike, why in found.items() if isinstance(why, str)},
    )


async def _put(broker: Broker, day: date, strike: Decimal) -> Contract | str:
    """The put of one strike, or why there is none."""
    try:
        chain = await broker.option_chain("SPX", "SPXW", day, "P", strike)
    except GatewayError as error:
        return f"its put is not known ({error})"
    if chain.contracts:
        return chain.contracts[0]
    doubt = chain.doubts.get(strike)
    return f"its put is left out: {doubt}" if doubt else NO_PUT


async def entry_market(
    broker: Broker, lines: Listed, timetable: TradingDay | None, settings: LookSettings
) -> EntryMarket:
    """One look at the market. Raises GatewayError when the link is lost.

    The price by parity chooses the calls. When the last quote has come, everything is read again at once, the
    underlyings too.
    """
    spx_call, spy_call = _nearest(broker, lines, settings)
    main = [call for call in (spx_call, spy_call) if call is not None]
    await broker.quotes([lines.spx, lines.spy, *main], settings.timeout)
    await broker.quotes([*lines.around, *lines.puts.values()], AROUND_SECONDS)
    spx_call, spy_call = _nearest(broker, lines, settings)
    beside = _neighbours(lines.spx_chain.contracts, _equivalent(broker, lines, settings, spy_call))
    late = [call for call in (spx_call, spy_call) if call is not None and call not in main]
    await broker.quotes(late, settings.timeout)
    await broker.quotes(beside, AROUND_SECONDS)
    return _read(broker, lines, timetable, settings, (spx_call, spy_call))


def read_again(
    broker: Broker,
    lines: Listed,
    timetable: TradingDay | None,
    settings: LookSettings,
    seen: EntryMarket,
) -> EntryMarket:
    """The market of the same calls at the quotes of now; nothing is waited for."""
    return _read(broker, lines, timetable, settings, (seen.spx_call, seen.spy_call))


def _read(
    broker: Broker,
    lines: Listed,
    timetable: TradingDay | None,
    settings: LookSettings,
    calls: tuple[Contract | None, Contract | None],
) -> EntryMarket:
    """Every quote as it is now."""
    spx_call, spy_call = calls
    parity, spx_price, spy_price = _prices(broker, lines, settings)
    target = _equivalent(broker, lines, settings, spy_call)
    beside = _neighbours(lines.spx_chain.contracts, target)
    widths = [broker.quote(call.con_id).width for call in beside]
    return EntryMarket(
        spx_price=spx_price,
        spy_price=spy_price,
        spx_call=spx_call,
        spy_call=spy_call,
        spx_index_quote=broker.quote(lines.spx.con_id),
        spy_stock_quote=broker.quote(lines.spy.con_id),
        spx_quote=_quote(broker, spx_call),
        spy_quote=_quote(broker, spy_call),
        spx_equivalent_mid=_mid_between(broker, beside, target),
        equivalent_uncertainty=max((width for width in widths if width is not None), default=Decimal(0)) / 2,
        evidence=Evidence(
            parity,
            time.monotonic(),
            lines.first_spx,
            lines.first_spy,
            settings.latest_ratio,
            settings.recent_ratio,
        ),
        strike_doubts=tuple(
            doubt
            for symbol, chain, price in (
                ("SPX", lines.spx_chain, spx_price),
                ("SPY", lines.spy_chain, spy_price),
            )
            if (doubt := strike_doubt(symbol, chain.contracts, chain.doubts, price, STEPS[symbol]))
        ),
        calendar_doubt=calendar_doubt(timetable, lines.spx_chain.session, lines.spy_chain.session),
        spy_hours=lines.spy_chain.session,
    )


def _prices(
    broker: Broker, lines: Listed, settings: LookSettings
) -> tuple[ParityPrice, Decimal | None, Decimal | None]:
    """SPX by parity, the price of SPX that is believed, the price of SPY; as quoted now."""
    pairs = (
        Pair(
            call.strike,
            broker.quote(call.con_id),
            broker.quote(put.con_id) if put else None,
            lines.no_puts.get(call.strike, NO_PUT),
        )
        for call in lines.around
        if call.strike is not None
        for put in [lines.puts.get(call.strike)]
    )
    parity = parity_price(pairs, time.monotonic(), settings.max_age, settings.max_uncertainty)
    spx_price = parity.price or underlying_price(broker.quote(lines.spx.con_id))
    return parity, spx_price, underlying_price(broker.quote(lines.spy.con_id))


def _nearest(
    broker: Broker, lines: Listed, settings: LookSettings
) -> tuple[Contract | None, Contract | None]:
    """The calls at the money by the prices as they are now."""
    _, spx_price, spy_price = _prices(broker, lines, settings)
    return _at_the_money(lines.spx_chain, spx_price), _at_the_money(lines.spy_chain, spy_price)


def _equivalent(
    broker: Broker, lines: Listed, settings: LookSettings, spy_call: Contract | None
) -> Decimal | None:
    """Where on the axis of SPX the SPY call is struck: ratio x strike."""
    _, spx_price, spy_price = _prices(broker, lines, settings)
    if not spx_price or not spy_price or spy_call is None or spy_call.strike is None:
        return None
    return spx_price / spy_price * spy_call.strike


def _quote(broker: Broker, contract: Contract | None) -> Quote:
    return broker.quote(contract.con_id) if contract else NO_QUOTE


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
