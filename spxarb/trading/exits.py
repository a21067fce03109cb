"""Open spreads looked at: what they are worth now, why one must be left, and how that goes."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.core.execution import ClosePlan, Ending, closing
from spxarb.core.exits import closing_cost, current_pnl
from spxarb.core.model import LegName, Quote, TradeStatus
from spxarb.core.records import Mark, Purpose
from spxarb.core.strategy import underlying_price
from spxarb.errors import GatewayError
from spxarb.trading import bookkeeping
from spxarb.trading.market_calendar import timetable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.model import Books, Contract, ExitReason
    from spxarb.core.records import Trade
    from spxarb.trading.connected import Work

log = logging.getLogger(__name__)

POSITION_LOOKS = 5
POSITION_PAUSE_SECONDS = 1.0
"""How often, and how far apart, positions are compared with executions: they may lag behind."""
SPY_TRADES_LONGER = timedelta(minutes=15)
"""After the close of the stock market, on the last day too; nothing depends on it, an exit tries it."""


@dataclass(frozen=True, slots=True)
class TradeLook:
    """One open trade and its prices now; None where not known. `held` are signed contracts."""

    trade: Trade
    spx_held: Decimal
    spy_held: Decimal
    spx_price: Decimal | None
    spy_price: Decimal | None
    spx_quote: Quote
    spy_quote: Quote
    pnl: Decimal | None

    @property
    def flat(self) -> bool:
        return not self.spx_held and not self.spy_held

    def mark(self, at: datetime) -> Mark:
        spy, spx = self.spy_quote, self.spx_quote
        prices = self.spy_price, self.spx_price, spy.bid, spy.ask, spx.bid, spx.ask
        return Mark(self.trade.id, at, *prices, self.pnl)


@dataclass(frozen=True, slots=True)
class Left:
    """How leaving a spread ended: `action` as in the JSON object, and why not otherwise."""

    action: str
    residual: tuple[LegName, ...] = ()
    why: str = ""

    @property
    def failed(self) -> bool:
        return self.action == "failed"


HELD = Left("held")


def position(look: TradeLook, left: Left = HELD, reason: ExitReason | None = None) -> dict[str, object]:
    """The JSON object of one position."""
    trade = look.trade
    return {
        "trade_id": trade.id,
        "entry_time": trade.entry_time,
        "spy_strike": trade.spy.strike,
        "spx_strike": trade.spx.strike,
        "entry_credit": trade.entry_credit,
        "current_pnl": look.pnl,
        "status": trade.status,
        "exit_reason": reason or trade.exit_reason,
        "action": left.action,
        "residual": list(left.residual or trade.residual),
    }


# --- looking ------------------------------------------------------------------------------------------


async def look_at(work: Work, trades: Sequence[Trade]) -> list[TradeLook]:
    """Prices and results of the trades now, waiting a bounded time for quotes.

    The underlyings' prices are None when the broker does not name the contracts: no exit waits for that.
    """
    if not trades:
        return []
    under: tuple[Contract, ...] = ()
    try:
        under = await work.broker.underlyings()
    except GatewayError as error:
        log.warning("the prices of SPX and SPY are not known: %s", error)
    legs = {leg.con_id: leg for trade in trades for leg in (trade.spx, trade.spy)}
    timeout = work.env.config.execution.quote_timeout_seconds
    await work.broker.quotes([*under, *legs.values()], timeout, enough)
    spx, spy = [underlying_price(work.broker.quote(each.con_id)) for each in under] or (None, None)
    return [look_now(work, trade, spx, spy) for trade in trades]


def enough(contract: Contract, quote: Quote) -> bool:
    """To look at a spread, an ask is enough where the broker has said that there is no bid."""
    if contract.sec_type != "OPT":
        return underlying_price(quote) is not None
    return quote.ask is not None and (quote.bid is not None or quote.bid_told)


def look_now(
    work: Work, trade: Trade, spx_price: Decimal | None = None, spy_price: Decimal | None = None
) -> TradeLook:
    """The trade by the quotes that are there already."""
    sums = bookkeeping.figures_of(work.store, trade)
    spx, spy = work.broker.quote(trade.spx.con_id), work.broker.quote(trade.spy.con_id)
    cost = closing_cost(spy, spx, -sums.spy_held, sums.spx_held, work.env.fees)
    pnl = current_pnl(sums.entry_credit, sums.exit_cash, cost)
    return TradeLook(trade, sums.spx_held, sums.spy_held, spx_price, spy_price, spx, spy, pnl)


async def pnl_of_open(work: Work) -> list[Decimal | None]:
    """What closing each open trade now would make of it, dollars; None where that is not known."""
    return [look.pnl for look in await look_at(work, bookkeeping.open_trades(work.store))]


# --- leaving ------------------------------------------------------------------------------------------


async def leave(work: Work, trade: Trade, reason: ExitReason, purpose: Purpose = Purpose.EXIT) -> Left:
    """Close what is held of a trade, see it flat at the broker, write the result into the ledger.

    An exit that was begun stays one: its reason is in the ledger before its first order.
    """
    if purpose is Purpose.EXIT and trade.exit_reason is None:
        trade = work.store.update_trade(trade.id, exit_reason=reason)
    before = work.books
    board = work.board(trade)
    if board.held(LegName.SPY) and nothing_trades(work, trade):
        return _not_left(work, trade, "its calls trade no more; `spxarb settle` settles them")
    work.broker.watch([trade.spx, trade.spy])
    blocked = board.held(LegName.SPX) > 0 and work.sold_by_others(trade)
    if blocked:
        work.human_needed(
            f"others sold SPX calls of trade {trade.id} meanwhile, so ours are not sold: look at the account"
        )
    spx_trades = not blocked and not _has_closed(work, trade)
    plan = ClosePlan(trade.spx, trade.spy, work.env.tactics, purpose, spx_trades)
    outcome = await work.drive(closing(board, plan), board)
    trade = bookkeeping.refigure(work.store, work.store.trade(trade.id))
    doubt = ""
    if outcome.ending in {Ending.FLAT, Ending.RESIDUAL}:
        legs = tuple(LegName) if outcome.ending is Ending.FLAT else (LegName.SPY,)
        doubt = await _not_seen_flat(work, trade, before, legs)
    if doubt or outcome.ending in {Ending.LEFT, Ending.DOUBT}:
        proven = not doubt and outcome.ending is Ending.LEFT
        return _not_left(work, trade, doubt or outcome.why, proven=proven)
    if outcome.ending is Ending.RESIDUAL:
        bookkeeping.left_to_settlement(work.store, trade, reason, work.now)
        return Left("closed", (LegName.SPX,), outcome.why)
    note = "" if purpose is Purpose.EXIT else trade.note  # what an entry came to is worth keeping
    bookkeeping.closed(work.store, trade, reason, work.now, note=note)
    return Left("closed")


def _not_left(work: Work, trade: Trade, why: str, *, proven: bool = True) -> Left:
    """Something is held still, or it is not `proven` what is: the trade is then an error."""
    entered = TradeStatus.ACTIVE if trade.entry_filled else TradeStatus.PENDING
    work.store.update_trade(trade.id, note=why, status=entered if proven else TradeStatus.ERROR)
    return Left("failed", why=f"Trade {trade.id}: {why}")


def not_proven(work: Work, trade: Trade) -> Left:
    """No order may follow one whose end is not proven."""
    open_orders = ", ".join(track.ref for track in work.tracks(trade))
    return _not_left(work, trade, f"how order {open_orders} ended is not known", proven=False)


def nothing_trades(work: Work, trade: Trade) -> bool:
    """Whether the last session is over for good; SPY calls trade a little longer than SPX calls."""
    day = timetable(trade.expiry, work.env.config)
    return day is None or work.now >= day.close + SPY_TRADES_LONGER


def _has_closed(work: Work, trade: Trade) -> bool:
    """Whether the SPX calls can be traded no more: they end with the session of their last day."""
    day = timetable(trade.expiry, work.env.config)
    return day is None or work.now >= day.close


async def _not_seen_flat(work: Work, trade: Trade, before: Books, legs: Sequence[LegName]) -> str:
    """Why the broker does not show the legs flat; empty when it does.

    Positions are the account's and not only ours, so they are compared by their change: it must be what all
    executions since then add up to. They may lag behind a fill for a moment.
    """
    why = ""
    for turn in range(POSITION_LOOKS):
        if turn:
            await asyncio.sleep(POSITION_PAUSE_SECONDS)
        try:
            await work.look()
        except GatewayError as error:
            return f"closed by its executions, but not seen flat at the broker: {error}"
        sums = bookkeeping.figures_of(work.store, trade)
        held = {LegName.SPX: sums.spx_held, LegName.SPY: sums.spy_held}
        if still := [leg for leg in legs if held[leg]]:
            return f"{', '.join(still)} is held after all"
        moved = [_moved_otherwise(before, work.books, trade.contract(leg)) for leg in legs]
        why = "; ".join(filter(None, moved))
        if not why:
            return ""
    return why


def _moved_otherwise(before: Books, after: Books, contract: Contract) -> str:
    start, end = (books.overnight(contract.con_id) for books in (before, after))
    if start == end:
        return ""
    return f"the broker's position in {contract} is {end - start:+f} off what its executions add up to"


def is_due(trade: Trade) -> bool:
    """Whether the trade can still be left: it is open and not only waiting for its settlement."""
    return trade.status is not TradeStatus.CLOSED and not trade.residual
