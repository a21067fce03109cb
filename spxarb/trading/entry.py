"""Deciding on an entry: the market looked at, every check made, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING

from spxarb.core.checks import SECOND_LOOK
from spxarb.core.entry_view import NO_MARKET, EntryView
from spxarb.core.margin import margin_not_asked
from spxarb.core.market_checks import Ratio, measured_ratio, time_not_told, unanswered
from spxarb.core.model import LegName
from spxarb.core.results.enter import EnterResult, EntryCredit, EntryLeg, EntryPrices, Verdict
from spxarb.core.sentences import upper_first
from spxarb.core.strategy import (
    Credit,
    allowed,
    entry_checks,
    quoted_credit,
    risk_of,
    second_look,
    second_look_left_out,
    second_look_not_needed,
)
from spxarb.trading import bookkeeping
from spxarb.trading.day_record import day_record
from spxarb.trading.market import Listed, LookSettings, entry_market, listed
from spxarb.trading.market_calendar import timetable
from spxarb.trading.marks import mark_trades
from spxarb.trading.quiet import all_quiet

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.entry_check import Check
    from spxarb.core.entry_view import EntryMarket
    from spxarb.core.pnl import TradePnl
    from spxarb.core.records import Trade
    from spxarb.core.results.enter import EntryOutcome
    from spxarb.errors import GatewayError
    from spxarb.ledger.ledger import Ledger
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.context import JobContext


@dataclass(frozen=True, slots=True)
class Decision:
    """What was seen, and what the checks say of it; `lines` and `settings` are what it was seen by.

    `looked_once`: a dry run's, which does not wait for a second look.
    """

    view: EntryView
    checks: tuple[Check, ...]
    credit: Credit | None
    lines: Listed | None = None
    settings: LookSettings | None = None
    looked_once: bool = False

    @property
    def would(self) -> Verdict:
        made = [check for check in self.checks if not (self.looked_once and check.name == SECOND_LOOK)]
        return Verdict.ENTER if allowed(made, with_margin=False) else Verdict.SKIP


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a decision; `notes` are sentences on what was repaired before.

    `error`: the broker did not answer, and nothing was sent.
    """

    decision: Decision
    outcome: EntryOutcome
    trade_id: int | None = None
    why: str = ""
    notes: list[str] = field(default_factory=list)
    error: GatewayError | None = None


# --- deciding -------------------------------------------------------------------------------------


def decide_offline(context: JobContext) -> Decision | None:
    """A decision by ledger and calendar alone, where they forbid an entry and nothing is open; else None.

    In the sim mode only the gateway knows the time, so it is always asked.
    """
    ledger, now = context.ledger, context.now()
    today = now.date()
    if context.config.trading.mode == "sim" or not all_quiet(context, now):
        return None
    view = EntryView(
        now=now,
        day=timetable(today, context.config),
        trading_enabled=ledger.state.is_trading(),
        trading_reason=ledger.state.trading_reason(),
        trades_today=ledger.trades.count_filled(today),
        unfinished="",
        daily_pnl=bookkeeping.pnl_of_day(ledger, today),
        asked_broker=False,
        record=day_record(context, today),
        gate=context.gate_check,
    )
    checks = entry_checks(view, context.limits, context.fees, context.price_limits)
    if all(check.ok is not False for check in checks):
        return None
    return Decision(
        view, (*checks, second_look_not_needed(), margin_not_asked("no order is considered")), None
    )


def decide_unanswered(context: JobContext) -> Decision:
    """What the checks say by calendar and ledger alone, because the gateway did not answer."""
    ledger, now, today = context.ledger, context.now(), context.now().date()
    trades = bookkeeping.open_trades(ledger)
    view = EntryView(
        now=now,
        day=timetable(today, context.config),
        trading_enabled=ledger.state.is_trading(),
        trading_reason=ledger.state.trading_reason(),
        trades_today=ledger.trades.count_filled(today),
        unfinished=_unfinished_by(ledger),
        daily_pnl=bookkeeping.pnl_of_day(ledger, today, [None for _ in trades]),
        asked_broker=False,
        record=day_record(context, today),
        gate=context.gate_check,
    )
    checks = unanswered(entry_checks(view, context.limits, context.fees, context.price_limits))
    if context.config.trading.mode == "sim" and context.clock is None:
        checks = time_not_told(checks)
    return Decision(
        view, (*checks, second_look_not_needed(), margin_not_asked("the gateway did not answer")), None
    )


async def decide(job: ConnectedJob) -> Decision:
    """Look at the market and evaluate every check but the margin.

    Where the first look allows an entry, a second one some seconds later must allow the same one. A dry run
    sends nothing, and looks once.
    """
    why = "a dry run sends no what-if order" if job.dry_run else "another check failed already"
    lines, settings = await _lines(job)
    first = await _look(job, lines, settings)
    if not allowed(first.checks, with_margin=False):
        return replace(first, checks=(*first.checks, second_look_not_needed(), margin_not_asked(why)))
    seconds = job.context.price_limits.second_look_seconds
    if job.dry_run:
        once = (*first.checks, second_look_left_out(seconds), margin_not_asked(why))
        return replace(first, checks=once, looked_once=True)
    await job.context.waits.sleep(seconds)
    second = await _look(job, lines, settings)
    agreed = second_look(first.view, second.view, second.checks, seconds)
    return replace(second, checks=(*second.checks, agreed, margin_not_asked(why)))


async def _lines(job: ConnectedJob) -> tuple[Listed | None, LookSettings]:
    """The market data lines of this decision, None on a closed day, and what each look is told."""
    timeout = job.context.config.execution.quote_timeout_seconds
    ratios, limits = job.ledger.runs.measured_ratios(job.now), job.context.price_limits
    settings = LookSettings(
        timeout=timeout,
        max_age=limits.max_quote_age_seconds,
        max_uncertainty=limits.max_index_difference,
        latest_ratio=ratios[0] if ratios else None,
        recent_ratio=median(ratios) if ratios else None,
    )
    return None if job.day is None else await listed(job.broker, job.now.date(), timeout), settings


async def _look(job: ConnectedJob, lines: Listed | None, settings: LookSettings) -> Decision:
    """One look at the market and the ledger, and what its checks say."""
    context, ledger = job.context, job.ledger
    today, market = job.now.date(), NO_MARKET
    marked_trades = await mark_trades(
        job, bookkeeping.open_trades(ledger)
    )  # it may wait: the market comes last
    if lines is not None:
        market = await entry_market(job.broker, lines, job.day, settings)
    now = await job.clock.ask(job.broker)
    pnl = bookkeeping.pnl_of_day(ledger, today, [marked.pnl for marked in marked_trades])
    view = EntryView(
        now=now,
        day=job.day,
        trading_enabled=ledger.state.is_trading(),
        trading_reason=ledger.state.trading_reason(),
        trades_today=ledger.trades.count_filled(today),
        unfinished=_unfinished(job),
        daily_pnl=pnl,
        asked_broker=lines is not None,
        market_doubt=job.broker.data_trouble(),
        market=market,
        record=day_record(context, today, marked_trades),
        gate=context.gate_check,
    )
    checks = entry_checks(view, context.limits, context.fees, context.price_limits)
    return Decision(view, checks, quoted_credit(market, context.limits, context.fees), lines, settings)


def _unfinished(job: ConnectedJob) -> str:
    """Why an earlier trade, or the account, forbids another; empty when all is in order."""
    if warning := job.account_warning():
        return upper_first(warning)
    if job.ledger.looks.restored() and not job.dry_run:
        return "The ledger was restored, and the account has not been compared with it since"
    if job.findings.unproven:
        return f"Ledger and broker disagree: {job.findings.unproven[0]}"
    if job.snapshot.completed_orders is None:
        return "The broker's completed orders are not known"
    return _unfinished_by(job.ledger)


def _unfinished_by(ledger: Ledger) -> str:
    """As `_unfinished`, as far as the ledger alone knows."""
    for unread in ledger.trades.unreadable.values():
        return str(unread)
    for matter in ledger.matters.open():
        return f"A matter for a human is open: {matter.text}"
    for trade in bookkeeping.open_trades(ledger):
        if trade.state.entry_interrupted or trade.state.is_unproven:
            return f"Trade {trade.id} is {trade.status.lower()}: {trade.note or 'not in order'}"
    return ""


# --- reporting ------------------------------------------------------------------------------------


def entry_result(
    context: JobContext,
    decision: Decision,
    outcome: EntryOutcome | None,
    at: datetime,
    trade: Trade | None = None,
) -> EnterResult:
    """What was decided, and what it came to; `trade`: the one that was begun."""
    market = decision.view.market
    pnl = bookkeeping.pnl_of_trade(context.ledger, trade) if trade else None
    credit = decision.credit
    if pnl is not None and trade is not None and not trade.state.entry_interrupted:
        credit = Credit(pnl.entry_credit + pnl.commissions, pnl.commissions, pnl.entry_credit)
    return EnterResult(
        *context.head(at),
        outcome=outcome,
        would=decision.would,
        checks=decision.checks,
        prices=_prices(context, decision.view),
        legs=_legs(context, market, pnl),
        credit=EntryCredit.of(credit),
        risk=risk_of(market, context.limits, credit),
        trade_id=trade.id if trade else None,
    )


def _prices(context: JobContext, view: EntryView) -> EntryPrices:
    market = view.market
    ratio = measured_ratio(view, context.price_limits)
    return EntryPrices(
        market.spy_price,
        market.spx_price,
        market.ratio,
        spx_source=market.source,
        spx_uncertainty=market.spx_uncertainty,
        spx_print=market.spx_index_quote.last,
        ratio_measured=ratio is Ratio.MEASURED if view.asked_broker else None,
        ratio_jumped=ratio is Ratio.JUMPED if view.asked_broker else None,
    )


def _legs(context: JobContext, market: EntryMarket, pnl: TradePnl | None) -> tuple[EntryLeg, ...]:
    if not (market.spx_call or market.spy_call):
        return ()
    spx_price: Decimal | None = pnl.spx_entry_price if pnl else None
    spy_price: Decimal | None = pnl.spy_entry_price if pnl else None
    quantities = context.limits.spx_contracts_per_spread, context.limits.spy_contracts_per_spread
    return (
        EntryLeg.of(LegName.SPX, market.spx_call, market.spx_quote, quantities[0], spx_price),
        EntryLeg.of(LegName.SPY, market.spy_call, market.spy_quote, quantities[1], spy_price),
    )
