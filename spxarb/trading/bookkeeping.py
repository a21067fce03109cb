"""What becomes of a trade's row when something happened to it. Facts come from fills and settlements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.model import ZERO, LegName, TradeStatus
from spxarb.core.pnl import day_summary, trade_pnl

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.model import ExitReason
    from spxarb.core.pnl import DaySummary, TradePnl
    from spxarb.core.records import Trade
    from spxarb.ledger.ledger import Ledger


def pnl_of_trade(ledger: Ledger, trade: Trade) -> TradePnl:
    return trade_pnl(trade, ledger.fills.of_trade(trade.id), ledger.settlements.of_trade(trade.id))


def update_pnl(ledger: Ledger, trade: Trade) -> Trade:
    """Write what the trade's fills and settlements add up to into its row.

    A trade that was closed and of which contracts are held after all, by a late fill, is open again.
    """
    sums = pnl_of_trade(ledger, trade)
    closed = trade.status is TradeStatus.CLOSED
    left_anything = closed or sums.exit_cost or sums.spy_exit_price or sums.spx_exit_price
    reopened: dict[str, object] = {"status": TradeStatus.ACTIVE} if closed and not sums.flat else {}
    return ledger.trades.update(
        trade.id,
        entry_credit=sums.entry_credit,
        exit_cost=sums.exit_cost if left_anything else None,
        final_pnl=sums.final_pnl if closed and sums.flat else None,
        commissions=sums.commissions,
        commissions_estimated=sums.commissions_estimated,
        spy_exit_price=sums.spy_exit_price,
        spx_exit_price=sums.spx_exit_price,
        **reopened,
    )


LOST_SIGHT = "lost sight"
"""Status of an order of an earlier day whose end nobody saw: the broker tells of one day alone."""


def lost(ledger: Ledger, trade: Trade) -> bool:
    """Whether what became of the trade cannot be known here any more; its calls have long expired."""
    if trade.status is not TradeStatus.ERROR:
        return False
    return any(record.status == LOST_SIGHT for record in ledger.orders.of_trade(trade.id))


def open_trades(ledger: Ledger) -> list[Trade]:
    """The trades of which something may still be held, and for which something can still be done."""
    return [trade for trade in ledger.trades.open() if not lost(ledger, trade)]


def all_quiet(ledger: Ledger, today: date) -> bool:
    """Nothing is open, every order is proven over, no settlement is provisional: no need to connect.

    An order that was nowhere to be seen is looked for again until its day is over.
    """
    unsure = ledger.orders.unproven() or ledger.orders.absent(today)
    return not (open_trades(ledger) or unsure or ledger.trades.provisional())


def opened(ledger: Ledger, trade: Trade, at: datetime) -> Trade:
    """Both legs are filled."""
    entered = max((fill.execution.time for fill in ledger.fills.of_trade(trade.id)), default=at)
    updated = ledger.trades.update(trade.id, status=TradeStatus.ACTIVE, entry_filled=True, entry_time=entered)
    return update_pnl(ledger, updated)


def closed(ledger: Ledger, trade: Trade, reason: ExitReason, at: datetime, **more: object) -> Trade:
    """Nothing of the trade is held any more. A reason given earlier stays: it says why the trade was left."""
    updated = ledger.trades.update(
        trade.id,
        status=TradeStatus.CLOSED,
        exit_reason=trade.exit_reason or reason,
        exit_time=trade.exit_time if trade.residual else at,
        **more,
    )
    return update_pnl(ledger, updated)


def left_to_settlement(ledger: Ledger, trade: Trade, reason: ExitReason, at: datetime) -> Trade:
    """SPY is bought back; the SPX call stays until it settles in cash."""
    updated = ledger.trades.update(trade.id, exit_reason=reason, exit_time=at, residual=(LegName.SPX,))
    return update_pnl(ledger, updated)


def realized(trades: Iterable[Trade]) -> Decimal:
    """Dollars of the closed trades."""
    return sum((trade.final_pnl for trade in trades if trade.final_pnl is not None), start=ZERO)


def pnl_of_day(ledger: Ledger, day: date, open_pnl: Iterable[Decimal | None] = ()) -> Decimal | None:
    """The day's net result, dollars: its closed trades and what closing the open ones would make of them.

    None when the result of an open one is not known.
    """
    unrealized = list(open_pnl)
    known = [each for each in unrealized if each is not None]
    return (
        None if len(known) < len(unrealized) else realized(ledger.trades.of_day(day)) + sum(known, start=ZERO)
    )


def pnl_known(ledger: Ledger, day: date) -> Decimal | None:
    """As `pnl_of_day` without a look at the market: the newest marks say what open trades are worth."""
    marks = (ledger.trades.marks(trade.id) for trade in ledger.trades.open())
    return pnl_of_day(ledger, day, [each[-1].pnl if each else None for each in marks])


def refresh_state(ledger: Ledger, day: date, at: datetime, pnl: Decimal | None) -> None:
    """The one row of `system_state` after a job."""
    ledger.state.refresh(at, len(ledger.trades.open()), pnl, ledger.trades.count_filled(day))


def summarize(ledger: Ledger, day: date) -> DaySummary:
    """Write the day's row of `daily_summary` anew; provisional while any of its trades is."""
    curve, trades = [pnl for _, pnl in ledger.days.marks(day)], ledger.trades.of_day(day)
    summary = day_summary(day, trades, curve)
    row = {name: getattr(summary, name) for name in summary.__dataclass_fields__}
    ledger.days.write_summary({**row, "provisional": is_provisional(trades)})
    return summary


def is_provisional(trades: Iterable[Trade]) -> bool:
    """Whether a later look may still change what the trades add up to."""
    return any(trade.provisional or trade.is_open for trade in trades)
