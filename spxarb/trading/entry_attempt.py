"""The orders of one entry: the margin asked, the market read once more, the spread opened, its row concluded.

Beside `entry.py`, since a dry run decides and needs none of it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.core.broker_words import with_words
from spxarb.core.checks import SECOND_LOOK
from spxarb.core.execution import Ending, OpenPlan, opening
from spxarb.core.margin import margin_not_told
from spxarb.core.model import ExitReason, LegName
from spxarb.core.records import Trade
from spxarb.core.results.enter import EntryOutcome, Verdict
from spxarb.core.sentences import sentence
from spxarb.core.sessions import STORED_TIMETABLE, stored_day, with_hours
from spxarb.core.strategy import contract_fault, once_more, risk_of, spx_price_cap, spy_price_floor
from spxarb.core.trades import TradeState
from spxarb.errors import GatewayError
from spxarb.trading import bookkeeping
from spxarb.trading.entry import Attempt
from spxarb.trading.failsafe import keep_failsafe
from spxarb.trading.margin import ask_margin
from spxarb.trading.market import read_again

if TYPE_CHECKING:
    from spxarb.core.entry_view import EntryMarket, EntryView
    from spxarb.core.execution import Outcome
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.context import JobContext
    from spxarb.trading.entry import Decision


def looked_at_again(job: ConnectedJob, decision: Decision) -> tuple[Decision, EntryMarket]:
    """The decision held against the quotes of now, without waiting, and the market as it is now.

    Asking for the margin takes its time; where a quote is not sound any more, the second look says no.
    """
    lines, settings, view = decision.lines, decision.settings, decision.view
    assert lines is not None and settings is not None  # noqa: PT018
    market = read_again(job.broker, lines, job.day, settings, view.market)
    now = replace(view, now=job.now, market=market, market_doubt=job.broker.data_trouble())
    limits = job.context.price_limits
    checks = tuple(
        once_more(check, now, limits) if check.name == SECOND_LOOK else check for check in decision.checks
    )
    return replace(decision, checks=checks), market


async def attempt(job: ConnectedJob, decision: Decision, notes: list[str]) -> Attempt:
    """Ask for the margin, then open the spread."""
    error: GatewayError | None = None
    try:
        margin = await ask_margin(job, decision.view.market)
    except GatewayError as silence:  # every other check is answered, and is kept
        margin, error = margin_not_told(silence.what), silence
    decision = replace(decision, checks=(*decision.checks[:-1], margin))
    if margin.ok is not True:
        return Attempt(decision, EntryOutcome.SKIPPED, notes=notes, error=error)
    if (stopped := job.stop_reason()) is not None:  # while the broker was asked
        why = f"Trading was stopped meanwhile: {stopped}"
        return Attempt(decision, EntryOutcome.SKIPPED, why=why, notes=notes)
    if why := not_to_be_opened(job, decision.view.market):
        return Attempt(decision, EntryOutcome.SKIPPED, why=why, notes=notes)
    decision, market = looked_at_again(job, decision)
    if decision.would is not Verdict.ENTER:
        return Attempt(decision, EntryOutcome.SKIPPED, notes=notes)
    trade = job.ledger.trades.create(new_trade(job, decision))
    spread = job.spread(trade)
    plan = open_plan(job.context, market)
    outcome = await job.drive(opening(spread, plan), spread, entering=True)
    outcome = in_the_brokers_words(job, trade, outcome)
    refused = job.heard.about(record.ref for record in job.ledger.orders.of_trade(trade.id))
    if refused and outcome.ending is not Ending.OPENED:
        job.context.alert(sentence(f"trade {trade.id} was not entered: {outcome.why}"))
    trade = await conclude(job, trade, outcome)
    if trade.state is TradeState.OPEN or not job.counts_receipts:
        notes = [*notes, *await keep_failsafe(job, trade)]  # also where it is not known what was sold
    if trade.state is not TradeState.OPEN:
        return Attempt(decision, EntryOutcome.ABORTED, trade.id, outcome.why, notes)
    return Attempt(decision, EntryOutcome.ENTERED, trade.id, outcome.why, notes)


def not_to_be_opened(job: ConnectedJob, market: EntryMarket) -> str:
    """Why the calls may not be traded, asserted before every entry's orders; empty for nothing."""
    legs = ((LegName.SPX, market.spx_call), (LegName.SPY, market.spy_call))
    found = [contract_fault(call, leg, job.now.date()) for leg, call in legs if call is not None]
    return "; ".join(filter(None, found))


def open_plan(context: JobContext, market: EntryMarket) -> OpenPlan:
    """The orders' limits, from the quotes that the checks passed."""
    limits, fees = context.limits, context.fees
    spx, spy = market.spx_call, market.spy_call
    assert spx is not None and spy is not None and market.spy_quote.bid is not None  # noqa: PT018
    ticks = spy.ticks
    return OpenPlan(
        spx=spx,
        spy=spy,
        spx_quantity=limits.spx_contracts_per_spread,
        spy_quantity=limits.spy_contracts_per_spread,
        spx_cap=spx_price_cap(market.spy_quote.bid, limits, fees, spx.ticks),
        spy_floor=lambda price: spy_price_floor(price, limits, fees, ticks),
        tactics=context.tactics,
    )


def new_trade(job: ConnectedJob, decision: Decision) -> Trade:
    """The trade as it goes into the ledger before its first order."""
    context, view, market = job.context, decision.view, decision.view.market
    assert market.spx_call is not None and market.spy_call is not None  # noqa: PT018
    risk = risk_of(market, context.limits, decision.credit)
    return Trade(
        id=0,
        trade_date=view.now.date(),
        state=TradeState.ENTERING,
        account=job.broker.account,
        spx=market.spx_call,
        spy=market.spy_call,
        spx_contracts=context.limits.spx_contracts_per_spread,
        spy_contracts=context.limits.spy_contracts_per_spread,
        spy_price=market.spy_price,
        spx_price=market.spx_price,
        spy_entry_bid=market.spy_quote.bid,
        spy_entry_ask=market.spy_quote.ask,
        spx_entry_bid=market.spx_quote.bid,
        spx_entry_ask=market.spx_quote.ask,
        entry_time=view.now,
        ratio=market.ratio,
        strike_mismatch=risk.strike_mismatch_points,
        edge=risk.edge,
        worst_case=risk.worst_case,
        limits=context.config.limits() | _stored_hours(view),
    )


def _stored_hours(view: EntryView) -> dict[str, object]:
    """The timetable by which the trade is exited, with the SPY calls' own hours as they were told."""
    if view.day is None:
        return {}
    return {STORED_TIMETABLE: stored_day(with_hours(view.day, view.market.spy_hours))}


def in_the_brokers_words(job: ConnectedJob, trade: Trade, outcome: Outcome) -> Outcome:
    """The outcome of an entry that was not made, with what the broker said of its orders."""
    if outcome.ending is Ending.OPENED:
        return outcome
    refs = [record.ref for record in job.ledger.orders.of_trade(trade.id)]
    return replace(outcome, why=with_words(outcome.why, job.heard.about(refs)))


async def conclude(job: ConnectedJob, trade: Trade, outcome: Outcome) -> Trade:
    """The trade's row after an entry was attempted."""
    doubt = await job.doubt_about(trade)
    with suppress(GatewayError):
        await job.clock.ask(job.broker)
    ledger, now = job.ledger, job.now
    if doubt:
        job.human_needed(doubt)
        return bookkeeping.not_proven(ledger, trade, doubt)
    if outcome.ending is Ending.OPENED:
        return bookkeeping.opened(ledger, trade, now)
    trade = ledger.trades.update(trade.id, note=outcome.why)
    if outcome.ending in {Ending.NOTHING, Ending.UNWOUND} and bookkeeping.pnl_of_trade(ledger, trade).flat:
        return bookkeeping.closed(ledger, trade, ExitReason.ENTRY_UNWOUND, now)
    if outcome.ending is Ending.RESIDUAL:
        return bookkeeping.left_to_settlement(ledger, trade, ExitReason.ENTRY_UNWOUND, now)
    return bookkeeping.update_pnl(ledger, trade)
