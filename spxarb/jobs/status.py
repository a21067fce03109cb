"""`status`: account, market, positions and the day so far. Reads only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from spxarb.core.model import ZERO, TradeStatus
from spxarb.errors import Exit, GatewayError
from spxarb.trading import bookkeeping
from spxarb.trading.context import LOOKERS_ID_ABOVE

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from spxarb.core.records import Trade
    from spxarb.core.result import Result
    from spxarb.trading.context import Env


def run(env: Env, *, offline: bool) -> Result:
    """What the broker and the ledger say now. Without a gateway: what the ledger says, and exit 4."""
    if offline:
        return _offline(env)
    try:
        return env.in_time(_online(env))
    except GatewayError as error:
        return _offline(env, error)


async def _online(env: Env) -> Result:
    from spxarb.trading.connected import connected  # noqa: PLC0415 -- ib_insync comes with it
    from spxarb.trading.exits import enough, look_at  # noqa: PLC0415
    from spxarb.trading.market import underlyings  # noqa: PLC0415

    async with connected(env, dry_run=True, id_above=LOOKERS_ID_ABOVE) as work:
        timeout = env.config.execution.quote_timeout_seconds
        trades = work.store.open_trades()
        account, under = await asyncio.gather(
            work.broker.account_values(), underlyings(work.broker, timeout, enough)
        )
        looks = await look_at(work, trades)
        spx, spy = under.spx_price, under.spy_price
        data = _data(env, work.now.date(), {look.trade.id: look.pnl for look in looks}, connected=True)
        data["account"] = account
        data["market"] = {"spy_price": spy, "spx_price": spx, "ratio": spx / spy if spx and spy else None}
        return env.result(data, at=work.now)


def _offline(env: Env, error: GatewayError | None = None) -> Result:
    """From the ledger alone; the newest marks stand for the market."""
    now = env.now()
    day = now.date()
    if env.config.trading.mode == "sim":  # its days are not the machine's
        day = env.store.last_trade_date() or day
    marks = {trade.id: _last_mark(env, trade) for trade in env.store.open_trades()}
    data = _data(env, day, marks, connected=False)
    if error is None:
        return env.result(data, at=now)
    return env.result(data, at=now, exit_code=Exit.GATEWAY, error=str(error))


def _last_mark(env: Env, trade: Trade) -> Decimal | None:
    marks = env.store.marks(trade.id)
    return marks[-1].pnl if marks else None


def _data(
    env: Env, day: date, open_pnl: dict[int, Decimal | None], *, connected: bool
) -> dict[str, object]:
    store = env.store
    trades, open_trades = store.trades_of(day), store.open_trades()
    realized = bookkeeping.realized(trades)
    unknown = None in open_pnl.values()
    known = (pnl for pnl in open_pnl.values() if pnl is not None)
    unrealized = None if unknown else sum(known, start=ZERO)
    total = None if unrealized is None else realized + unrealized
    limit = env.limits.max_daily_loss
    return {
        "status": {
            "is_trading": store.is_trading(),
            "is_connected": connected,
            "open_positions": len(open_trades),
            "trades_today": store.trades_with_fills(day),
        },
        "positions": [_position(trade, open_pnl.get(trade.id)) for trade in open_trades],
        "trades": [_trade(trade) for trade in trades],
        "performance": {
            "daily_realized_pnl": realized,
            "unrealized_pnl": unrealized,
            "total_pnl": total,
            "max_daily_loss": limit,
            "risk_breached": None if total is None else -total > limit,
            "trades_count": store.trades_with_fills(day),
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
