"""Open spreads: what they are worth now, and the exit of one until the broker shows it flat."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.core.account import Break
from spxarb.core.execution import ClosePlan, Ending, closing
from spxarb.core.exits import closing_cost, current_pnl
from spxarb.core.model import LegName, Quote
from spxarb.core.records import Mark, Purpose
from spxarb.core.results.positions import Action
from spxarb.core.strategy import underlying_price
from spxarb.core.trades import TradeState
from spxarb.errors import GatewayError
from spxarb.trading import bookkeeping
from spxarb.trading.market_calendar import timetable_of
from spxarb.trading.settlement import has_expired

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.model import BrokerSnapshot, Contract, ExitReason
    from spxarb.core.records import Trade
    from spxarb.trading.connected import ConnectedJob

log = logging.getLogger(__name__)

POSITION_CHECKS = 5
POSITION_PAUSE_SECONDS = 1.0
"""How often, and how far apart, positions are compared with executions: they may lag behind a fill."""
SPY_LATE_SESSION = timedelta(minutes=15)
"""SPY options trade until 16:15 in some series, perhaps on their last day too: an exit tries, at no cost."""


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


@dataclass(frozen=True, slots=True)
class ExitResult:
    """How the exit of a spread ended, and why it ended so."""

    action: Action
    residual: tuple[LegName, ...] = ()
    why: str = ""

    @property
    def failed(self) -> bool:
        return self.action is Action.FAILED


KEPT = ExitResult(Action.HELD)


# --- marks --------------------------------------------------------------------------------------------


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


# --- exits --------------------------------------------------------------------------------------------


async def exit_trade(
    job: ConnectedJob, trade: Trade, reason: ExitReason, purpose: Purpose = Purpose.EXIT
) -> ExitResult:
    """Close what is held of a trade, see it flat at the broker, record the result.

    An exit once begun is carried on by later jobs: its reason is in the ledger before its first order.
    """
    if purpose is Purpose.EXIT:
        trade = bookkeeping.exit_begun(job.ledger, trade, reason)
    before = job.snapshot
    spread = job.spread(trade)
    if spread.held(LegName.SPY) and nothing_trades(job, trade):
        waits = trade.note if trade.state is TradeState.EXPIRED else ""
        return _incomplete(job, trade, waits or "its calls no longer trade; `spxarb settle` will settle them")
    job.broker.watch([trade.spx, trade.spy])
    plan = ClosePlan(trade.spx, trade.spy, job.context.tactics, purpose, not has_expired(job, trade))
    outcome = await job.drive(closing(spread, plan), spread)
    trade = bookkeeping.update_pnl(job.ledger, job.ledger.trades.get(trade.id))
    doubt = ""
    if outcome.ending in {Ending.FLAT, Ending.RESIDUAL}:
        legs = tuple(LegName) if outcome.ending is Ending.FLAT else (LegName.SPY,)
        doubt = await _why_not_flat(job, trade, before, legs)
    if doubt or outcome.ending in {Ending.INCOMPLETE, Ending.UNPROVEN}:
        proven = not doubt and outcome.ending is Ending.INCOMPLETE
        return _incomplete(job, trade, doubt or outcome.why, proven=proven)
    if outcome.ending is Ending.RESIDUAL:
        bookkeeping.left_to_settlement(job.ledger, trade, reason, job.now)
        return ExitResult(Action.CLOSED, (LegName.SPX,), outcome.why)
    if gone := _gone(job, trade):
        bookkeeping.ended_by_others(job.ledger, trade, reason, job.now, gone)
        return ExitResult(Action.CLOSED, why=gone)
    note = "" if purpose is Purpose.EXIT else trade.note  # what an entry came to is worth keeping
    bookkeeping.closed(job.ledger, trade, reason, job.now, note=note)
    return ExitResult(Action.CLOSED)


def _gone(job: ConnectedJob, trade: Trade) -> str:
    """What of the trade others ended, in words; empty when all that it held was traded by spxarb."""
    if not (job.gone(trade, LegName.SPX) or job.gone(trade, LegName.SPY)):
        return ""
    kinds = {Break.LIQUIDATED, Break.TAKEN, Break.MISSING}
    return "; ".join(finding.text for finding in job.differences(trade) if finding.kind in kinds)


def _incomplete(job: ConnectedJob, trade: Trade, why: str, *, proven: bool = True) -> ExitResult:
    """Record that contracts are still held; where it is not `proven` how many, the trade is an error."""
    if proven:
        bookkeeping.still_held(job.ledger, trade, why)
    else:
        bookkeeping.not_proven(job.ledger, trade, why)
    return ExitResult(Action.FAILED, why=f"Trade {trade.id}: {why}")


def not_proven(job: ConnectedJob, trade: Trade) -> ExitResult:
    """Record that orders of the trade are not proven done: no other may follow them."""
    open_orders = ", ".join(track.ref for track in job.tracks(trade))
    return _incomplete(job, trade, f"how order {open_orders} ended is not known", proven=False)


def nothing_trades(job: ConnectedJob, trade: Trade) -> bool:
    """Whether the last session is over for both calls; SPY's may trade a little longer than SPX's."""
    return job.now >= timetable_of(trade, job.context.config).close + SPY_LATE_SESSION


async def _why_not_flat(
    job: ConnectedJob, trade: Trade, before: BrokerSnapshot, legs: Sequence[LegName]
) -> str:
    """Why the broker does not show the legs flat; empty when it does."""
    why = ""
    for turn in range(POSITION_CHECKS):
        if turn:
            await job.context.waits.sleep(POSITION_PAUSE_SECONDS)
        try:
            await job.take_snapshot()
        except GatewayError as error:
            return f"its executions close it, but the broker has not confirmed it flat: {error}"
        sums = bookkeeping.pnl_of_trade(job.ledger, trade)
        held = {
            LegName.SPX: sums.spx_held - job.gone(trade, LegName.SPX),
            LegName.SPY: sums.spy_held - job.gone(trade, LegName.SPY),
        }
        if still := [leg for leg in legs if held[leg]]:
            return f"{', '.join(still)} still held"
        # A position is the account's, not only ours: compared is its change, which the day's executions, ours
        # and others', must add up to. It may lag; in published TWS logs it even precedes the execution.
        changes = [_unexplained_change(before, job.snapshot, trade.contract(leg)) for leg in legs]
        why = "; ".join(filter(None, changes))
        if not why:
            return ""
    return why


def _unexplained_change(before: BrokerSnapshot, after: BrokerSnapshot, contract: Contract) -> str:
    """How far the position moved without executions, in words; empty when they explain it."""
    start, end = (snapshot.overnight(contract.con_id) for snapshot in (before, after))
    if start == end:
        return ""
    return f"the broker's position in {contract} differs by {end - start:+f} from its executions"
