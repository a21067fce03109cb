"""The rows of a trade, of a day and of the system's state. Figures come from fills and settlements alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from spxarb.core.model import ZERO, ExitReason, LegName
from spxarb.core.trades import TradeEvent, TradeState, following

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.pnl import DaySummary, TradePnl
    from spxarb.core.records import Trade
    from spxarb.ledger.ledger import Ledger

log = logging.getLogger(__name__)


def pnl_of_trade(ledger: Ledger, trade: Trade) -> TradePnl:
    """What the trade's fills and settlements add up to."""
    from spxarb.core.pnl import trade_pnl  # noqa: PLC0415 -- only a trade needs it

    return trade_pnl(trade, ledger.fills.of_trade(trade.id), ledger.settlements.of_trade(trade.id))


def move(ledger: Ledger, trade: Trade, event: TradeEvent, **facts: object) -> Trade:
    """Take the trade to the state that follows, its figures and `facts` (fields of a Trade) with it.

    The one place that changes a trade's state. Raises ValueError for an event that cannot happen then.
    """
    known = ledger.trades.get(trade.id)
    if event is TradeEvent.HELD and known.handed_over:
        event = TradeEvent.HELD_BY_HAND
    state = following(known.state, event)
    if state is not known.state:
        log.info("trade %s: %s, so %s", trade.id, event, state)
    residual: dict[str, object] = {}
    if event is TradeEvent.RESIDUAL_LEFT:
        residual = {"residual": (LegName.SPX,)}
    elif event in {TradeEvent.HELD, TradeEvent.HELD_BY_HAND, TradeEvent.HAND_OVER_BEGUN}:
        residual = {"residual": ()}
        if state is TradeState.EXPIRED:
            ledger.settlements.replace(known.id, ())  # what is held is what the executions say
            if not known.is_open and known.exit_reason is ExitReason.EXPIRATION:
                facts = {"exit_reason": None, "exit_time": None, **facts}  # as is why it is over
    figures = _figures(state, pnl_of_trade(ledger, known))
    return ledger.trades.move(trade.id, state, **figures, **residual, **facts)


def update_pnl(ledger: Ledger, trade: Trade) -> Trade:
    """Write the figures of the trade's fills and settlements into its row.

    A trade that was over and holds contracts after all, by a late fill, is open again.
    """
    known, sums = ledger.trades.get(trade.id), pnl_of_trade(ledger, trade)
    if not known.is_open and known.state.result_known and not sums.flat:
        return move(ledger, known, TradeEvent.HELD)
    return ledger.trades.update(trade.id, **_figures(known.state, sums))


def _figures(state: TradeState, sums: TradePnl) -> dict[str, object]:
    """The columns that fills and settlements say, of a trade in this state."""
    over = not state.is_open
    exit_begun = over or sums.exit_cost or sums.spy_exit_price or sums.spx_exit_price
    return {
        "entry_credit": sums.entry_credit,
        "exit_cost": sums.exit_cost if exit_begun else None,
        "final_pnl": sums.final_pnl if over and state.result_known and sums.flat else None,
        "commissions": sums.commissions,
        "commissions_estimated": sums.commissions_estimated,
        "spy_exit_price": sums.spy_exit_price,
        "spx_exit_price": sums.spx_exit_price,
    }


LOST_SIGHT = "lost sight"
"""Status of an order of an earlier day whose end was never seen: the broker lists today's executions only."""


def open_trades(ledger: Ledger) -> list[Trade]:
    """The open trades, except those whose outcome can no longer be known here."""
    return [trade for trade in ledger.trades.open() if trade.state.in_sight]


def may_be_held(ledger: Ledger, day: date) -> list[Trade]:
    """The open trades of which the account may still hold calls on `day`.

    Those that were lost from sight, or whose calls expired before, wait for their result and hold nothing.
    """
    return [trade for trade in open_trades(ledger) if trade.expiry >= day]


def refresh_figures(ledger: Ledger, trades: Iterable[Trade] = ()) -> None:
    """Bring the rows of trades, and of their days, up to the executions and commissions known by now.

    Those that count an estimate; those of the newest day, whose executions may have been corrected since
    their figures were written; and `trades`.
    """
    last = ledger.trades.last_day()
    newest = [] if last is None else [trade for trade in ledger.trades.of_day(last) if not trade.is_open]
    known = {trade.id: trade for trade in (*ledger.trades.with_estimates(), *newest, *trades)}
    days = {trade.trade_date for trade in known.values() if update_pnl(ledger, trade) != trade}
    for day in sorted(days):
        if ledger.days.summary_rows(day, day):
            summarize(ledger, day)


def opened(ledger: Ledger, trade: Trade, at: datetime) -> Trade:
    """Both legs are filled: the trade is open since its last fill."""
    entered = max((fill.execution.time for fill in ledger.fills.of_trade(trade.id)), default=at)
    return move(ledger, trade, TradeEvent.ENTRY_FILLED, entry_filled=True, entry_time=entered)


def exit_begun(ledger: Ledger, trade: Trade, reason: ExitReason) -> Trade:
    """An exit is about to send its first order. A reason given earlier stays."""
    return move(ledger, trade, TradeEvent.EXIT_BEGUN, exit_reason=trade.exit_reason or reason)


def closed(ledger: Ledger, trade: Trade, reason: ExitReason, at: datetime, **more: object) -> Trade:
    """Nothing of the trade is held any more. A reason given earlier stays: it is why the exit was begun."""
    return move(ledger, trade, TradeEvent.FLAT, **_exit_facts(trade, reason, at), **more)


def ended_by_others(ledger: Ledger, trade: Trade, reason: ExitReason, at: datetime, why: str) -> Trade:
    """Nothing of the trade is held any more, and not all of it was traded by spxarb: no result is known."""
    return move(ledger, trade, TradeEvent.TAKEN_BY_OTHERS, note=why, **_exit_facts(trade, reason, at))


def left_to_settlement(ledger: Ledger, trade: Trade, reason: ExitReason, at: datetime) -> Trade:
    """SPY is bought back; the SPX call is left to cash settlement."""
    return move(ledger, trade, TradeEvent.RESIDUAL_LEFT, **_exit_facts(trade, reason, at))


def settled_provisionally(ledger: Ledger, trade: Trade, at: datetime) -> Trade:
    """Every call that was held has its cash, by the last print. Keeps why and when the rest was left."""
    facts = _exit_facts(trade, ExitReason.EXPIRATION, at)
    return move(ledger, trade, TradeEvent.PROVISIONALLY_SETTLED, **facts)


def still_held(ledger: Ledger, trade: Trade, why: str) -> Trade:
    """Contracts of the trade are proven to be held still; `why` is a sentence without a full stop."""
    return move(ledger, trade, TradeEvent.HELD, note=why)


def not_proven(ledger: Ledger, trade: Trade, why: str) -> Trade:
    """How an order ended, or what is held, cannot be shown; `why` is a sentence without a full stop."""
    return move(ledger, trade, TradeEvent.NOT_PROVEN, note=why)


def _exit_facts(trade: Trade, reason: ExitReason, at: datetime) -> dict[str, object]:
    """Why and when it was left. What was given earlier stays: the call left to settlement is not an exit."""
    return {
        "exit_reason": trade.exit_reason or reason,
        "exit_time": (trade.exit_time or at) if trade.residual else at,
    }


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


def pnl_certain(ledger: Ledger, day: date, certain: Iterable[Decimal | None]) -> Decimal:
    """As `pnl_of_day`, of what is known alone: an open trade of which nothing is known counts as 0."""
    return sum((pnl for pnl in certain if pnl is not None), start=realized(ledger.trades.of_day(day)))


def pnl_known(ledger: Ledger, day: date) -> Decimal | None:
    """As `pnl_of_day`, with each open trade at its newest mark instead of at current quotes."""
    marks_of_open = (ledger.trades.marks(trade.id) for trade in ledger.trades.open())
    return pnl_of_day(ledger, day, [marks[-1].pnl if marks else None for marks in marks_of_open])


def refresh_state(
    ledger: Ledger, day: date, at: datetime, pnl: Decimal | None, max_daily_loss: Decimal
) -> None:
    """Update the one row of `system_state` after a job; `pnl` is the day's, dollars.

    A day whose closed trades have lost more than the limit has no more entries.
    """
    ledger.state.refresh(at, len(ledger.trades.open()), pnl, ledger.trades.count_filled(day))
    lost = -realized(ledger.trades.of_day(day))
    if lost > max_daily_loss:
        stop_entries(ledger, day, at, lost, max_daily_loss)


def stop_entries(ledger: Ledger, day: date, at: datetime, lost: Decimal, max_daily_loss: Decimal) -> None:
    """The day has lost more than its limit, dollars: nothing more is entered on it, whatever it makes yet."""
    ledger.stops.add(day, at, f"the day had lost ${lost:,.2f}, more than its limit of ${max_daily_loss:,.2f}")


def summarize(ledger: Ledger, day: date) -> DaySummary:
    """Rewrite the day's row of `daily_summary`; it is provisional while any of its trades is."""
    from spxarb.core.pnl import day_summary  # noqa: PLC0415 -- only a day's end needs it

    curve, trades = [pnl for _, pnl in ledger.days.marks(day)], ledger.trades.of_day(day)
    summary = day_summary(day, trades, curve)
    row = {name: getattr(summary, name) for name in summary.__dataclass_fields__}
    ledger.days.write_summary({**row, "provisional": is_provisional(trades)})
    return summary


def is_provisional(trades: Iterable[Trade]) -> bool:
    """Whether the result of the trades may still change."""
    return any(trade.state.is_provisional or trade.is_open for trade in trades)
