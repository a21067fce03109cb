"""Open spreads at current quotes: what each is worth now."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.exits import SECOND_LOOK_SECONDS, closing_cost, current_pnl, worthless
from spxarb.core.model import LegName
from spxarb.core.price_state import SPX, SPX_CALL, SPY, SPY_CALL, PriceState, blind, price_state, told
from spxarb.core.records import Mark
from spxarb.core.sentences import sentence
from spxarb.core.strategy import underlying_price
from spxarb.errors import GatewayError, HumanNeededError
from spxarb.trading import bookkeeping

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.contracts import Contract, Quote
    from spxarb.core.greeks import PositionGreeks
    from spxarb.core.records import Trade
    from spxarb.trading.connected import ConnectedJob

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MarkedTrade:
    """One open trade at current quotes; None where not known. Contracts held are signed, `pnl` is dollars.

    `cost` is what closing it costs now, dollars. With contracts that others took away there is no `pnl`.
    `certain`, dollars, is the result as far as it is known: where SPY is closed and the price of the SPX call
    is missing, what was paid and received so far. `booked`: that, whatever is still held. `states` are what
    its prices are worth, `doubts` a phrase on those that are none of now, `blind` the limits resting on such.
    """

    trade: Trade
    spx_held: Decimal
    spy_held: Decimal
    spx_price: Decimal | None
    spy_price: Decimal | None
    spx_quote: Quote
    spy_quote: Quote
    cost: Decimal | None
    pnl: Decimal | None
    certain: Decimal | None
    booked: Decimal | None = None
    states: tuple[PriceState, ...] = ()
    doubts: str = ""
    blind: tuple[str, ...] = ()

    @property
    def quote_missing(self) -> bool:
        """Whether a quote that closing needs is not known, so that no loss limit can be checked."""
        return self.cost is None

    @property
    def flat(self) -> bool:
        return not self.spx_held and not self.spy_held

    def mark(self, at: datetime, greeks: PositionGreeks, spy_iv: float | None, spx_iv: float | None) -> Mark:
        spy, spx = self.spy_quote, self.spx_quote
        prices = self.spy_price, self.spx_price, spy.bid, spy.ask, spx.bid, spx.ask
        return Mark(self.trade.id, at, *prices, self.pnl, greeks, spy_iv, spx_iv, self.states)


async def mark_trades(job: ConnectedJob, trades: Sequence[Trade]) -> list[MarkedTrade]:
    """The trades at current quotes, which are awaited for `quote_timeout_seconds` at most.

    The underlyings' prices are None when the gateway does not qualify SPX and SPY: no exit waits for that. An
    SPX call that looks worthless is looked at a second time.
    """
    if not trades:
        return []
    if not job.underlyings:
        try:
            job.underlyings = await job.broker.underlyings()
        except GatewayError as error:
            log.warning("the prices of SPX and SPY are not known: %s", error)
    marked_trades = await look_at(job, trades)
    once = {marked.trade.spx.con_id for marked in marked_trades if _looks_worthless(marked)}
    if not once - job.worthless:
        return marked_trades
    again = await second_look(job, trades)
    job.worthless |= {
        marked.trade.spx.con_id
        for marked in again
        if marked.trade.spx.con_id in once and _looks_worthless(marked)
    }
    return [mark_trade(job, trade) for trade in trades]


async def look_at(job: ConnectedJob, trades: Sequence[Trade]) -> list[MarkedTrade]:
    """One look at the quotes. Raises GatewayError when the link is lost."""
    legs = {leg.con_id: leg for trade in trades for leg in (trade.spx, trade.spy)}
    timeout = job.context.config.execution.quote_timeout_seconds
    await job.broker.quotes([*job.underlyings, *legs.values()], timeout, enough)
    return [mark_trade(job, trade) for trade in trades]


async def second_look(job: ConnectedJob, trades: Sequence[Trade]) -> list[MarkedTrade]:
    """Another look some seconds later; none when the link is lost: what follows will say so."""
    await job.context.waits.sleep(SECOND_LOOK_SECONDS)
    try:
        return await look_at(job, trades)
    except GatewayError as error:
        log.warning("the quotes cannot be looked at a second time: %s", error)
        return []


def enough(contract: Contract, quote: Quote) -> bool:
    """Whether the quote is enough to mark a spread: of an option the ask, and a bid or word of none.

    Nothing is sold at SPY's bid, so any word of it will do; of SPX a bid of -1 is no word, and is waited on.
    """
    if contract.sec_type != "OPT":
        return underlying_price(quote) is not None
    told = quote.bid_told if contract.symbol == "SPY" else quote.no_bid
    return quote.ask is not None and (quote.bid is not None or told)


def mark_trade(job: ConnectedJob, trade: Trade) -> MarkedTrade:
    """The trade at the quotes received so far."""
    sums = bookkeeping.pnl_of_trade(job.ledger, trade)
    gone = {leg: job.gone(trade, leg) for leg in LegName}
    spx_held, spy_held = sums.spx_held - gone[LegName.SPX], sums.spy_held - gone[LegName.SPY]
    spx, spy = job.broker.quote(trade.spx.con_id), job.broker.quote(trade.spy.con_id)
    prices = [underlying_price(job.broker.quote(contract.con_id)) for contract in job.underlyings]
    spx_price, spy_price = prices or (None, None)
    nothing = trade.spx.con_id in job.worthless and worthless(spx, trade.spx, spx_price)
    cost = closing_cost(spy, spx, -spy_held, spx_held, job.context.fees, spx_worthless=nothing)
    whole = not any(gone.values())  # else part of the result is unknown
    pnl = current_pnl(sums.entry_credit, sums.exit_cash, cost) if whole else None
    states = _states(job, trade, spx_held, spy_held)
    max_age = job.context.config.prices.max_quote_age_seconds
    booked = sums.entry_credit + sums.exit_cash if whole else None
    so_far = None if spy_held else booked
    return MarkedTrade(
        *(trade, spx_held, spy_held, spx_price, spy_price, spx, spy, cost, pnl),
        certain=so_far if pnl is None else pnl,
        booked=booked,
        states=states,
        doubts=told(states, max_age),
        blind=tuple(blind(states, max_age)),
    )


def _looks_worthless(marked: MarkedTrade) -> bool:
    """Whether the SPX call that is held is worth nothing by this one look."""
    return marked.spx_held > 0 and worthless(marked.spx_quote, marked.trade.spx, marked.spx_price)


def _states(job: ConnectedJob, trade: Trade, spx_held: Decimal, spy_held: Decimal) -> tuple[PriceState, ...]:
    """What the prices of the legs that are held, and of the underlyings, are worth."""
    legs = [(trade.spx, SPX_CALL)] * bool(spx_held) + [(trade.spy, SPY_CALL)] * bool(spy_held)
    under = [(contract, contract.symbol) for contract in job.underlyings]
    unqualified = () if under else tuple(PriceState(of, None, False, None) for of in (SPX, SPY))
    return (*price_states(job, [*legs, *under]), *unqualified)


def price_states(job: ConnectedJob, names: Iterable[tuple[Contract, str]]) -> tuple[PriceState, ...]:
    """What the prices of these contracts are worth now, each under its name."""
    looked_at, day = time.monotonic(), job.day
    now = job.now if day is not None and job.now < day.close else None
    quotes = [(name, contract, job.broker.quote(contract.con_id)) for contract, name in names]
    return tuple(
        price_state(name, quote, looked_at, now, priced=contract.sec_type == "OPT" or _has_price(quote))
        for name, contract, quote in quotes
    )


def _has_price(quote: Quote) -> bool:
    return underlying_price(quote) is not None


def closed_unseen(marked: MarkedTrade) -> HumanNeededError:
    """The trade is closed, and nobody knows whether its prices were fair."""
    return HumanNeededError(
        f"Trade {marked.trade.id} was closed while quotes were missing", mend="Check its fill prices"
    )


def data_trouble(
    job: ConnectedJob, marked_trades: Iterable[MarkedTrade], prices: Iterable[PriceState] = ()
) -> list[str]:
    """What the gateway said of prices that are missing or in doubt: a session elsewhere, a broken farm.

    One sentence; none while every price is of now.
    """
    max_age = job.context.price_limits.max_quote_age_seconds
    doubtful = any(marked.doubts or marked.quote_missing for marked in marked_trades)
    doubtful = doubtful or any(price.doubts(max_age) for price in prices)
    trouble = job.broker.data_trouble() if doubtful else ""
    return [sentence(trouble)] if trouble else []


def not_live(marked_trades: Iterable[MarkedTrade]) -> list[str]:
    """Sentences about prices that were used though they are not live: no exit waits for better ones."""
    return [
        f"Trade {marked.trade.id} was looked at {marked.doubts}{_blind(marked)}."
        for marked in marked_trades
        if marked.doubts
    ]


def print_in_doubt(marked_trades: Iterable[MarkedTrade], most: Decimal) -> list[str]:
    """Sentences about a print of SPX that is more than `most` index points from what SPY says.

    The index may lag its market. Of an open trade no chain is asked, so no parity says better.
    """
    notes = []
    for marked in marked_trades:
        spx, spy, ratio = marked.spx_price, marked.spy_price, marked.trade.ratio
        if spx is None or spy is None or ratio is None or abs(spx - ratio * spy) <= most:
            continue
        apart = f"{abs(spx - ratio * spy):,.2f} points from its ratio at entry times SPY, {ratio * spy:,.2f}"
        notes.append(
            f"Trade {marked.trade.id} is looked at by the print of SPX, {spx:,.2f}, which is {apart}: its "
            "risk and its distance from the strike may be as wrong."
        )
    return notes


def _blind(marked: MarkedTrade) -> str:
    """Which limits a trade that is held does not watch by such prices."""
    if not marked.blind:
        return ""
    return f", so its {' and its '.join(marked.blind)} cannot be relied on"
