"""The rows of a trade, of a day and of the system's state. Figures come from fills and settlements alone."""

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
    """What the trade's fills and settlements add up to."""
    return trade_pnl(trade, ledger.fills.of_trade(trade.id), ledger.settlements.of_trade(trade.id))


def update_pnl(ledger: Ledger, trade: Trade) -> Trade:
    """Write the figures of the trade's fills and settlements into its row.

    A closed trade that holds contracts after all, by a late fill, is open again.
    """
    sums = pnl_of_trade(ledger, trade)
    closed = trade.status is TradeStatus.CLOSED
    exit_begun = closed or sums.exit_cost or sums.spy_exit_price or sums.spx_exit_price
    reopened: dict[str, object] = {"status": TradeStatus.ACTIVE} if closed and not sums.flat else {}
    return ledger.trades.update(
        trade.id,
        entry_credit=sums.entry_credit,
        exit_cost=sums.exit_cost if exit_begun else None,
        final_pnl=sums.final_pnl if closed and sums.flat else None,
        commissions=sums.commissions,
        commissions_estimated=sums.commissions_estimated,
        spy_exit_price=sums.spy_exit_price,
        spx_exit_price=sums.spx_exit_price,
        **reopened,
    )


LOST_SIGHT = "lost sight"
"""Status of an order of an earlier day whose end was never seen: the broker lists today's executions only."""


def outcome_unknown(ledger: Ledger, trade: Trade) -> bool:
    """Whether it can no longer be known here how the trade ended: only the account's statement shows it."""
    if trade.status is not TradeStatus.ERROR:
        return False
    return any(record.status == LOST_SIGHT for record in ledger.orders.of_trade(trade.id))


def open_trades(ledger: Ledger) -> list[Trade]:
    """The open trades, except those whose outcome can no longer be known here."""
    return [trade for trade in ledger.trades.open() if not outcome_unknown(ledger, trade)]


def all_quiet(ledger: Ledger, today: date) -> bool:
    """Nothing is open, every order is proven done, no settlement is provisional: no need to connect.

    An order proven done only by its absence is checked again until its day is over.
    """
    unsure = ledger.orders.unproven() or ledger.orders.absent(today)
    return not (open_trades(ledger) or unsure or ledger.trades.provisional())


def opened(ledger: Ledger, trade: Trade, at: datetime) -> Trade:
    """Both legs are filled: the trade is active since its last fill."""
    entered = max((fill.execution.time for fill in ledger.fills.of_trade(trade.id)), default=at)
    updated = ledger.trades.update(trade.id, status=TradeStatus.ACTIVE, entry_filled=True, entry_time=entered)
    return update_pnl(ledger, updated)


def closed(ledger: Ledger, trade: Trade, reason: ExitReason, at: datetime, **more: object) -> Trade:
    """Nothing of the trade is held any more. A reason given earlier stays: it is why the exit was begun."""
    updated = ledger.trades.update(
        trade.id,
        status=TradeStatus.CLOSED,
        exit_reason=trade.exit_reason or reason,
        exit_time=trade.exit_time if trade.residual else at,
        **more,
    )
    return update_pnl(ledger, updated)


def left_to_settlement(ledger: Ledger, trade: Trade, reason: ExitReason, at: datetime) -> Trade:
    """SPY is bought back; the SPX call is left to cash settlement."""
    updated = ledger.trades.update(trade.id, exit_reason=reason, exit_time=at, residual=(LegName.SPX,))
    return update_pnl(ledger, updated)


def realized(trades: Iterable[Trade]) -> Decimal:
    """Net result of the closed trades, dollars."""
    return sum((trade.final_pnl for trade in trades if trade.final_pnl is not None), start=ZERO)


def pnl_of_day(ledger: Ledger, day: date, open_pnl: Iterable[Decimal | None] = ()) -> Decimal | None:
    """The day's net result, dollars: its closed trades and the open ones at what closing them costs now.

    None when the result of an open one is not known.
    """
    total = realized(ledger.trades.of_day(day))
    for pnl in open_pnl:
        if pnl is None:
            return None
        total += pnl
    return total


def pnl_known(ledger: Ledger, day: date) -> Decimal | None:
    """As `pnl_of_day`, with each open trade at its newest mark instead of at current quotes."""
    marks_of_open = (ledger.trades.marks(trade.id) for trade in ledger.trades.open())
    return pnl_of_day(ledger, day, [marks[-1].pnl if marks else None for marks in marks_of_open])


def refresh_state(ledger: Ledger, day: date, at: datetime, pnl: Decimal | None) -> None:
    """Update the one row of `system_state` after a job; `pnl` is the day's, dollars."""
    ledger.state.refresh(at, len(ledger.trades.open()), pnl, ledger.trades.count_filled(day))


def summarize(ledger: Ledger, day: date) -> DaySummary:
    """Rewrite the day's row of `daily_summary`; it is provisional while any of its trades is."""
    curve, trades = [pnl for _, pnl in ledger.days.marks(day)], ledger.trades.of_day(day)
    summary = day_summary(day, trades, curve)
    row = {name: getattr(summary, name) for name in summary.__dataclass_fields__}
    ledger.days.write_summary({**row, "provisional": is_provisional(trades)})
    return summary


def is_provisional(trades: Iterable[Trade]) -> bool:
    """Whether the result of the trades may still change."""
    return any(trade.provisional or trade.is_open for trade in trades)
