"""`status`: account, market, positions and the day so far. Reads only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from spxarb.core.model import ZERO, TradeStatus
from spxarb.errors import Exit, GatewayError
from spxarb.trading import bookkeeping
from spxarb.trading.context import READ_ONLY_CLIENT_ID_OFFSET

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from spxarb.core.records import Trade
    from spxarb.core.result import Result
    from spxarb.trading.context import JobContext


def run(context: JobContext, *, offline: bool) -> Result:
    """What the broker and the ledger say now. Without a gateway: what the ledger says, and exit 4."""
    if offline:
        return _offline(context)
    try:
        return context.in_time(_online(context))
    except GatewayError as error:
        return _offline(context, error)


async def _online(context: JobContext) -> Result:
    from spxarb.trading.connected import connect_job  # noqa: PLC0415 -- ib_insync comes with it
    from spxarb.trading.exits import enough, mark_trades  # noqa: PLC0415
    from spxarb.trading.market import underlyings  # noqa: PLC0415

    async with connect_job(context, dry_run=True, client_id_offset=READ_ONLY_CLIENT_ID_OFFSET) as job:
        timeout = context.config.execution.quote_timeout_seconds
        trades = job.ledger.trades.open()
        account, under = await asyncio.gather(
            job.broker.account_values(), underlyings(job.broker, timeout, enough)
        )
        marked_trades = await mark_trades(job, trades)
        spx, spy = under.spx_price, under.spy_price
        data = _data(
            context,
            job.now.date(),
            {marked.trade.id: marked.pnl for marked in marked_trades},
            connect_job=True,
        )
        data["account"] = account
        data["market"] = {"spy_price": spy, "spx_price": spx, "ratio": spx / spy if spx and spy else None}
        return context.result(data, at=job.now)


def _offline(context: JobContext, error: GatewayError | None = None) -> Result:
    """From the ledger alone; the newest marks stand for the market."""
    now = context.now()
    day = now.date()
    if context.config.trading.mode == "sim":  # its days are not the machine's
        day = context.ledger.trades.last_day() or day
    marks = {trade.id: _last_mark(context, trade) for trade in context.ledger.trades.open()}
    data = _data(context, day, marks, connect_job=False)
    if error is None:
        return context.result(data, at=now)
    return context.result(data, at=now, exit_code=Exit.GATEWAY, error=str(error))


def _last_mark(context: JobContext, trade: Trade) -> Decimal | None:
    marks = context.ledger.trades.marks(trade.id)
    return marks[-1].pnl if marks else None


def _data(
    context: JobContext, day: date, open_pnl: dict[int, Decimal | None], *, connect_job: bool
) -> dict[str, object]:
    ledger = context.ledger
    trades, open_trades = ledger.trades.of_day(day), ledger.trades.open()
    realized = bookkeeping.realized(trades)
    unknown = None in open_pnl.values()
    known = (pnl for pnl in open_pnl.values() if pnl is not None)
    unrealized = None if unknown else sum(known, start=ZERO)
    total = None if unrealized is None else realized + unrealized
    limit = context.limits.max_daily_loss
    return {
        "status": {
            "is_trading": ledger.state.is_trading(),
            "is_connected": connect_job,
            "open_positions": len(open_trades),
            "trades_today": ledger.trades.count_filled(day),
        },
        "positions": [_position(trade, open_pnl.get(trade.id)) for trade in open_trades],
        "trades": [_trade(trade) for trade in trades],
        "performance": {
            "daily_realized_pnl": realized,
            "unrealized_pnl": unrealized,
            "total_pnl": total,
            "max_daily_loss": limit,
            "risk_breached": None if total is None else -total > limit,
            "trades_count": ledger.trades.count_filled(day),
            "active_positions": sum(1 for trade in open_trades if trade.status is TradeStatus.ACTIVE),
        },
    }


def _position(trade: Trade, pnl: Decimal | None) -> dict[str, object]:
    return {
        "trade_id": trade.id,
        "entry_time": trade.entry_time,
        "spy_strike": trade.spy.strike,
        "spx_strike": trade.spx.strike,
        "entry_credit": trade.entry_credit,
        "current_pnl": pnl,
        "status": trade.status,
    }


def _trade(trade: Trade) -> dict[str, object]:
    return {
        "id": trade.id,
        "trade_date": trade.trade_date,
        "entry_credit": trade.entry_credit,
        "final_pnl": trade.final_pnl,
        "exit_reason": trade.exit_reason,
        "status": trade.status,
    }
