"""Open spreads at current quotes: what each is worth now."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.exits import closing_cost, current_pnl
from spxarb.core.model import LegName, Quote
from spxarb.core.records import Mark
from spxarb.core.strategy import underlying_price
from spxarb.errors import GatewayError
from spxarb.trading import bookkeeping

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.model import Contract
    from spxarb.core.records import Trade
    from spxarb.trading.connected import ConnectedJob

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MarkedTrade:
    """One open trade at current quotes; None where not known. Contracts held are signed, `pnl` is dollars.

    `cost` is what closing it costs now, dollars. With contracts that others took away there is no `pnl`.
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

    @property
    def quote_missing(self) -> bool:
        """Whether a quote that closing needs is not known, so that no loss limit can be checked."""
        return self.cost is None

    @property
    def flat(self) -> bool:
        return not self.spx_held and not self.spy_held

    def mark(self, at: datetime) -> Mark:
        spy, spx = self.spy_quote, self.spx_quote
        prices = self.spy_price, self.spx_price, spy.bid, spy.ask, spx.bid, spx.ask
        return Mark(self.trade.id, at, *prices, self.pnl)


async def mark_trades(job: ConnectedJob, trades: Sequence[Trade]) -> list[MarkedTrade]:
    """The trades at current quotes, which are awaited for `quote_timeout_seconds` at most.

    The underlyings' prices are None when the gateway does not qualify SPX and SPY: no exit waits for that.
    """
    if not trades:
        return []
    under: tuple[Contract, ...] = ()
    try:
        under = await job.broker.underlyings()
    except GatewayError as error:
        log.warning("the prices of SPX and SPY are not known: %s", error)
    legs = {leg.con_id: leg for trade in trades for leg in (trade.spx, trade.spy)}
    timeout = job.context.config.execution.quote_timeout_seconds
    await job.broker.quotes([*under, *legs.values()], timeout, enough)
    prices = [underlying_price(job.broker.quote(contract.con_id)) for contract in under]
    spx, spy = prices or (None, None)
    return [mark_trade(job, trade, spx, spy) for trade in trades]


def enough(contract: Contract, quote: Quote) -> bool:
    """Whether the quote is enough to mark a spread: of an option the ask, and a bid or word of none."""
    if contract.sec_type != "OPT":
        return underlying_price(quote) is not None
    return quote.ask is not None and (quote.bid is not None or quote.bid_told)


def mark_trade(
    job: ConnectedJob, trade: Trade, spx_price: Decimal | None = None, spy_price: Decimal | None = None
) -> MarkedTrade:
    """The trade at the quotes received so far."""
    sums = bookkeeping.pnl_of_trade(job.ledger, trade)
    spx_held = sums.spx_held - job.gone(trade, LegName.SPX)
    spy_held = sums.spy_held - job.gone(trade, LegName.SPY)
    spx, spy = job.broker.quote(trade.spx.con_id), job.broker.quote(trade.spy.con_id)
    cost = closing_cost(spy, spx, -spy_held, spx_held, job.context.fees)
    complete = not (
        job.gone(trade, LegName.SPX) or job.gone(trade, LegName.SPY)
    )  # else part of it is unknown
    pnl = current_pnl(sums.entry_credit, sums.exit_cash, cost) if complete else None
    return MarkedTrade(trade, spx_held, spy_held, spx_price, spy_price, spx, spy, cost, pnl)


async def pnl_of_open(job: ConnectedJob) -> list[Decimal | None]:
    """The result of each open trade if it were closed now, dollars; None where not known."""
    return [marked.pnl for marked in await mark_trades(job, bookkeeping.open_trades(job.ledger))]
