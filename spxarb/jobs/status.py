"""`status`: account, market, positions and the day so far. Reads only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.core.model import ZERO, TradeStatus
from spxarb.core.results.positions import PositionResult
from spxarb.core.results.rows import MatterRow
from spxarb.core.results.status import (
    AccountResult,
    MarketResult,
    PerformanceResult,
    PositionPrices,
    StatusResult,
    SystemResult,
    TradeResult,
)
from spxarb.errors import GatewayError
from spxarb.trading import bookkeeping
from spxarb.trading.context import READ_ONLY_CLIENT_ID_OFFSET
from spxarb.trading.escalation import human_needed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.price_state import PriceState
    from spxarb.core.records import Trade
    from spxarb.trading.context import JobContext

    Marks = Mapping[int, tuple[Decimal | None, Sequence[PriceState]]]
    """By trade: what closing it now would make of it, dollars, and what those prices are worth."""


UNMARKED: tuple[None, tuple[()]] = (None, ())


def run(context: JobContext, *, offline: bool) -> StatusResult:
    """What the broker and the ledger say now, and where they differ (exit 6).

    Without a gateway: what the ledger says, and exit 4.
    """
    if offline:
        return context.finish(_offline(context))
    try:
        return context.in_time(_online(context))
    except GatewayError as error:
        return context.finish(_offline(context), errors=[error])


async def _online(context: JobContext) -> StatusResult:
    import asyncio  # noqa: PLC0415 -- only a connection needs it

    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- ib_insync comes with it
    from spxarb.trading.failsafe import missing  # noqa: PLC0415
    from spxarb.trading.market import underlyings  # noqa: PLC0415
    from spxarb.trading.marks import enough, mark_trades, not_live, price_states  # noqa: PLC0415

    async with connect_job(context, dry_run=True, client_id_offset=READ_ONLY_CLIENT_ID_OFFSET) as job:
        timeout = context.config.execution.quote_timeout_seconds
        await job.reconcile()
        trades = job.ledger.trades.open()
        account, under = await asyncio.gather(
            job.broker.account_values(), underlyings(job.broker, timeout, enough)
        )
        marked_trades = await mark_trades(job, trades)
        spx, spy = under.spx_price, under.spy_price
        told = not_live(marked_trades)
        told += [note for trade in bookkeeping.open_trades(job.ledger) for note in missing(job, trade)]
        shown = _status(
            context,
            job.now,
            job.now.date(),
            {marked.trade.id: (marked.pnl, marked.states) for marked in marked_trades},
            AccountResult.of(account),
            MarketResult(spy, spx, spx / spy if spx and spy else None),
            connected=True,
        )
        errors = human_needed(
            job.findings.unproven,
            mend="Compare the account at the broker with `spxarb report --csv --table executions`",
        )
        status = replace(
            shown,
            notes=(*shown.notes, *told),
            reconciliation=job.findings.all,
            market_prices=price_states(job, ((under.spx, "SPX"), (under.spy, "SPY"))),
        )
        return context.finish(status, errors=errors)


def _offline(context: JobContext) -> StatusResult:
    """From the ledger alone; the newest marks stand for the market."""
    now = context.now()
    day = now.date()
    if context.config.trading.mode == "sim":  # its days are not the machine's
        day = context.ledger.trades.last_day() or day
    marks: Marks = {trade.id: _last_mark(context, trade) for trade in context.ledger.trades.open()}
    return _status(context, now, day, marks, AccountResult(), MarketResult(), connected=False)


def _last_mark(context: JobContext, trade: Trade) -> tuple[Decimal | None, Sequence[PriceState]]:
    marks = context.ledger.trades.marks(trade.id)
    return (marks[-1].pnl, marks[-1].states) if marks else (None, ())


def _status(
    context: JobContext,
    now: datetime,
    day: date,
    marks: Marks,
    account: AccountResult,
    market: MarketResult,
    *,
    connected: bool,
) -> StatusResult:
    """The ledger's part beside the broker's; `marks`: by trade dollars, None where not known, and prices."""
    ledger = context.ledger
    trades, open_trades = ledger.trades.of_day(day), ledger.trades.open()
    filled = ledger.trades.count_filled(day)
    return StatusResult(
        *context.head(now),
        status=SystemResult(ledger.state.is_trading(), connected, len(open_trades), filled),
        account=account,
        market=market,
        positions=tuple(PositionResult.of(trade, marks.get(trade.id, UNMARKED)[0]) for trade in open_trades),
        prices=tuple(PositionPrices(trade_id, tuple(prices)) for trade_id, (_, prices) in marks.items()),
        trades=tuple(map(TradeResult.of, trades)),
        performance=_performance(
            realized=bookkeeping.realized(trades),
            unrealized=_sum_known({trade_id: pnl for trade_id, (pnl, _) in marks.items()}),
            limit=context.limits.max_daily_loss,
            trades_count=filled,
            active=sum(1 for trade in open_trades if trade.status is TradeStatus.ACTIVE),
        ),
        matters=tuple(map(MatterRow.of, ledger.matters.open_rows())),
    )


def _sum_known(open_pnl: Mapping[int, Decimal | None]) -> Decimal | None:
    """Dollars of all open trades; None while one of them is not known."""
    known = [pnl for pnl in open_pnl.values() if pnl is not None]
    return sum(known, start=ZERO) if len(known) == len(open_pnl) else None


def _performance(
    *, realized: Decimal, unrealized: Decimal | None, limit: Decimal, trades_count: int, active: int
) -> PerformanceResult:
    total = None if unrealized is None else realized + unrealized
    return PerformanceResult(
        daily_realized_pnl=realized,
        unrealized_pnl=unrealized,
        total_pnl=total,
        max_daily_loss=limit,
        risk_breached=None if total is None else -total > limit,
        trades_count=trades_count,
        active_positions=active,
    )
