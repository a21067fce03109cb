"""`enter`: one attempt to open one spread."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from spxarb.core.broker_codes import FARM_TROUBLE
from spxarb.core.execution import Ending, OpenPlan, opening
from spxarb.core.model import Check, ExitReason, OrderTicket, Side, TradeStatus
from spxarb.core.records import Trade
from spxarb.core.sentences import lower_first, upper_first
from spxarb.core.strategy import (
    NO_MARKET,
    Credit,
    EntryView,
    allowed,
    entry_checks,
    margin_check,
    margin_not_asked,
    quoted_credit,
    risk_of,
    spx_price_cap,
    spy_price_floor,
)
from spxarb.errors import Exit, GatewayError, HumanNeededError, RefusedError
from spxarb.trading import bookkeeping, recovery
from spxarb.trading.escalation import escalated
from spxarb.trading.exits import mark_trade, pnl_of_open
from spxarb.trading.failsafe import place_failsafe
from spxarb.trading.market import entry_market
from spxarb.trading.market_calendar import timetable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.execution import Outcome
    from spxarb.core.model import Contract, Quote
    from spxarb.core.result import Result
    from spxarb.core.strategy import EntryMarket
    from spxarb.trading.connected import ConnectedJob
    from spxarb.trading.context import JobContext

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Decision:
    """What was seen, what the checks say of it."""

    view: EntryView
    checks: tuple[Check, ...]
    credit: Credit | None

    @property
    def would(self) -> str:
        return "enter" if allowed(self.checks, with_margin=False) else "skip"


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What came of a decision; `told` are sentences on what was repaired before."""

    decision: _Decision
    outcome: str
    trade_id: int | None = None
    why: str = ""
    told: list[str] = field(default_factory=list)


def run(context: JobContext, *, dry_run: bool) -> Result:
    """Check everything, and enter when every check passes; a dry run only says what the checks say.

    Raises GatewayError, RefusedError, LockedError; a spread that is half done is no exception but exit 6.
    """
    if dry_run:
        return context.in_time(_enter(context, dry_run=True))
    with escalated(context), context.locked():
        return _nothing_to_enter(context) or context.in_time(_enter(context, dry_run=False))


# --- without a connection -------------------------------------------------------------------------


def _nothing_to_enter(context: JobContext) -> Result | None:
    """The result when the ledger and the calendar alone say no and nothing is open; else None.

    In the sim mode only the gateway knows the time, so it is always asked.
    """
    ledger, now = context.ledger, context.now()
    if context.config.trading.mode == "sim" or not bookkeeping.all_quiet(ledger, context.now().date()):
        return None
    today = now.date()
    view = EntryView(
        now=now,
        day=timetable(today, context.config),
        trading_enabled=ledger.state.is_trading(),
        trading_reason=ledger.state.trading_reason(),
        trades_today=ledger.trades.count_filled(today),
        unfinished="",
        daily_pnl=bookkeeping.pnl_of_day(ledger, today),
        asked_broker=False,
    )
    checks = entry_checks(view, context.limits, context.fees)
    if all(check.ok is not False for check in checks):
        return None
    decision = _Decision(view, (*checks, margin_not_asked("no order is considered")), None)
    attempt = _Attempt(decision, "skipped")
    data = _data(context, attempt, None)
    record(context, attempt, data, now, dry_run=False)
    bookkeeping.refresh_state(ledger, today, now, view.daily_pnl)
    return context.result(data, at=now)


# --- with a connection ----------------------------------------------------------------------------


async def _enter(context: JobContext, *, dry_run: bool) -> Result:
    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- ib_insync comes with it

    async with connect_job(context, dry_run=dry_run) as job:
        _require_one_clock(job)
        await job.reconcile()
        told = [] if dry_run else await recovery.recover(job)
        decision = await _decide(job)
        attempt = _Attempt(decision, "dry_run" if dry_run else "skipped", told=told)
        if not dry_run and decision.would == "enter":
            attempt = await _attempt(job, decision, told)
        if attempt.trade_id is None or not recovery.entry_interrupted(
            context.ledger.trades.get(attempt.trade_id)
        ):
            return _finished(job, attempt)
    return await _second_try(context, attempt)


def _require_one_clock(job: ConnectedJob) -> None:
    if job.clock.doubt:
        raise RefusedError(
            upper_first(job.clock.doubt),
            risk="Nothing was entered",
            mend="Set this machine's clock (timedatectl), or the gateway's",
        )


async def _second_try(context: JobContext, attempt: _Attempt) -> Result:
    """What was begun and is not whole is looked at over a fresh connection, and undone if it must be.

    Raises HumanNeededError when that fails too.
    """
    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- loaded already

    try:
        async with connect_job(context) as job:
            await job.reconcile()
            told = await recovery.recover_entries(job)
            return _finished(job, replace(attempt, told=[*attempt.told, *told]))
    except GatewayError as error:
        raise HumanNeededError(
            f"Trade {attempt.trade_id} was begun and is not whole ({attempt.why}), and {error}",
            risk="A leg may be without its hedge",
            mend="Look at the broker now; `spxarb monitor` tries again",
        ) from error


async def _decide(job: ConnectedJob) -> _Decision:
    """Look at the market and evaluate every check but the margin."""
    context, ledger = job.context, job.ledger
    today, day = job.now.date(), job.day
    market = NO_MARKET
    if day is not None:
        timeout = context.config.execution.quote_timeout_seconds
        market = await entry_market(job.broker, today, day, timeout)
    now = await job.clock.ask(job.broker)
    pnl = bookkeeping.pnl_of_day(ledger, today, await pnl_of_open(job))
    view = EntryView(
        now=now,
        day=day,
        trading_enabled=ledger.state.is_trading(),
        trading_reason=ledger.state.trading_reason(),
        trades_today=ledger.trades.count_filled(today),
        unfinished=_unfinished(job),
        daily_pnl=pnl,
        asked_broker=day is not None,
        market_doubt=_farm_trouble(job.broker.notices),
        market=market,
    )
    checks = entry_checks(view, context.limits, context.fees)
    why = "a dry run sends no what-if order" if job.dry_run else "another check failed already"
    return _Decision(
        view, (*checks, margin_not_asked(why)), quoted_credit(market, context.limits, context.fees)
    )


def _farm_trouble(notices: Iterable[str]) -> str:
    """What the gateway said of its market data during this connection, that makes quotes suspect."""
    codes = {str(code) for code in FARM_TROUBLE}
    return next((notice for notice in notices if notice.partition(" ")[0] in codes), "")


def _unfinished(job: ConnectedJob) -> str:
    """Why an earlier trade forbids another; empty when all is in order."""
    if job.findings.unproven:
        return f"Ledger and broker disagree: {job.findings.unproven[0]}"
    for trade in bookkeeping.open_trades(job.ledger):
        if trade.status in {TradeStatus.PENDING, TradeStatus.ERROR} and not trade.residual:
            return f"Trade {trade.id} is {trade.status.lower()}: {trade.note or 'not in order'}"
    return ""


async def _attempt(job: ConnectedJob, decision: _Decision, told: list[str]) -> _Attempt:
    """Ask for the margin, then open the spread."""
    margin = await _margin(job, decision.view.market)
    decision = replace(decision, checks=(*decision.checks[:-1], margin))
    if margin.ok is not True:
        return _Attempt(decision, "skipped", told=told)
    if (stopped := job.stop_reason()) is not None:  # while the broker was asked
        return _Attempt(decision, "skipped", why=f"Trading was stopped meanwhile: {stopped}", told=told)
    trade = job.ledger.trades.create(_new_trade(job, decision))
    spread = job.spread(trade)
    outcome = await job.drive(opening(spread, _plan(job.context, decision)), spread, entering=True)
    trade = await _conclude(job, trade, outcome)
    if trade.status is TradeStatus.ACTIVE:
        told = [*told, *await place_failsafe(job, trade)]
    entered = "entered" if trade.status is TradeStatus.ACTIVE else "aborted"
    return _Attempt(decision, entered, trade.id, outcome.why, told)


async def _margin(job: ConnectedJob, market: EntryMarket) -> Check:
    """By a what-if of the short leg, before anything is bought: each what-if sees only what is held."""
    assert market.spy_call is not None
    quantity = job.context.limits.spy_contracts_per_spread
    ref = f"spxarb:{job.ledger.tag}:what-if"
    ticket = OrderTicket(ref, market.spy_call, Side.SELL, quantity, market.spy_quote.bid)
    answer, account = await asyncio.gather(job.broker.what_if(ticket), job.broker.account_values())
    return margin_check(answer, account.available_funds)


def _plan(context: JobContext, decision: _Decision) -> OpenPlan:
    market, limits, fees = decision.view.market, context.limits, context.fees
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


def _new_trade(job: ConnectedJob, decision: _Decision) -> Trade:
    context, view, market = job.context, decision.view, decision.view.market
    assert market.spx_call is not None and market.spy_call is not None  # noqa: PT018
    risk = risk_of(market, context.limits, decision.credit)
    return Trade(
        id=0,
        trade_date=view.now.date(),
        status=TradeStatus.PENDING,
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
        limits=context.config.limits(),
    )


async def _conclude(job: ConnectedJob, trade: Trade, outcome: Outcome) -> Trade:
    """The trade's row after an entry was attempted."""
    try:
        await job.take_snapshot()
        await job.clock.ask(job.broker)
    except GatewayError as error:
        log.warning("trade %s could not be looked at again after its entry: %s", trade.id, error)
    ledger, now = job.ledger, job.now
    if outcome.ending is Ending.OPENED:
        return bookkeeping.opened(ledger, trade, now)
    trade = ledger.trades.update(trade.id, note=outcome.why)
    if outcome.ending in {Ending.NOTHING, Ending.UNWOUND} and bookkeeping.pnl_of_trade(ledger, trade).flat:
        return bookkeeping.closed(ledger, trade, ExitReason.ENTRY_UNWOUND, now)
    if outcome.ending is Ending.RESIDUAL:
        return bookkeeping.left_to_settlement(ledger, trade, ExitReason.ENTRY_UNWOUND, now)
    return bookkeeping.update_pnl(ledger, trade)


# --- the result -----------------------------------------------------------------------------------


def _finished(job: ConnectedJob, attempt: _Attempt) -> Result:
    """Record the decision, and tell what became of it."""
    context, ledger = job.context, job.ledger
    trade = None if attempt.trade_id is None else ledger.trades.get(attempt.trade_id)
    data = _data(context, attempt, trade)
    notes = [*attempt.told, *job.findings.all, *([attempt.why] if attempt.why else [])]
    error = _error(job, attempt, trade)
    code = Exit.HUMAN if error else Exit.DONE
    result = context.result(data, at=job.now, exit_code=code, error=error, notes=notes)
    record(context, attempt, data, job.now, dry_run=job.dry_run)
    if not job.dry_run:
        if doubt := attempt.decision.view.market.calendar_doubt:
            context.alert(f"No entry: {lower_first(doubt)}.")
        today = job.now.date()
        still = [mark_trade(job, each).pnl for each in bookkeeping.open_trades(ledger)]
        bookkeeping.refresh_state(ledger, today, job.now, bookkeeping.pnl_of_day(ledger, today, still))
    return result


def _error(job: ConnectedJob, attempt: _Attempt, trade: Trade | None) -> str | None:
    """What needs a human now; None when nothing does."""
    if trade is not None and recovery.entry_interrupted(trade):
        return (
            f"Trade {trade.id} is half done and could not be undone: {trade.note or attempt.why}. A leg may "
            "be without its hedge. Look at the broker now; `spxarb monitor` tries again."
        )
    if job.findings.unproven:
        return f"Ledger and broker disagree: {'; '.join(job.findings.unproven)}. Entries stay stopped."
    return None


def record(
    context: JobContext, attempt: _Attempt, data: dict[str, object], at: datetime, *, dry_run: bool
) -> None:
    """Keep the decision with all its reasons."""
    context.ledger.runs.add_decision(
        context.run_id,
        context.command,
        at,
        dry_run=dry_run,
        outcome=attempt.outcome,
        would=attempt.decision.would,
        payload=data,
    )


def _data(context: JobContext, attempt: _Attempt, trade: Trade | None) -> dict[str, object]:
    """The command's keys of the JSON object."""
    decision, market = attempt.decision, attempt.decision.view.market
    credit = decision.credit
    sums = bookkeeping.pnl_of_trade(context.ledger, trade) if trade else None
    if sums is not None and trade is not None and not recovery.entry_interrupted(trade):
        gross = sums.entry_credit + sums.commissions
        credit = Credit(gross, sums.commissions, sums.entry_credit)
    risk = risk_of(market, context.limits, credit)
    return {
        "outcome": attempt.outcome,
        "would": decision.would,
        "checks": list(decision.checks),
        "prices": {"spy": market.spy_price, "spx": market.spx_price, "ratio": market.ratio},
        "legs": [
            _leg(
                context,
                market.spx_call,
                Side.BUY,
                market.spx_quote,
                sums.spx_entry_price if sums else None,
            ),
            _leg(
                context,
                market.spy_call,
                Side.SELL,
                market.spy_quote,
                sums.spy_entry_price if sums else None,
            ),
        ]
        if market.spx_call or market.spy_call
        else [],
        "credit": {
            "gross": credit and credit.gross,
            "commissions": credit and credit.commissions,
            "net": credit and credit.net,
        },
        "risk": risk,
        "trade_id": attempt.trade_id,
    }


def _leg(
    context: JobContext, call: Contract | None, side: Side, quote: Quote, fill_price: Decimal | None
) -> dict[str, object]:
    limits = context.limits
    quantity = limits.spx_contracts_per_spread if side is Side.BUY else limits.spy_contracts_per_spread
    return {
        "symbol": "SPX" if side is Side.BUY else "SPY",
        "trading_class": call and call.trading_class,
        "expiration": call and call.expiry,
        "strike": call and call.strike,
        "right": call and call.right,
        "action": side,
        "quantity": quantity,
        "bid": quote.bid,
        "ask": quote.ask,
        "fill_price": fill_price,
    }
