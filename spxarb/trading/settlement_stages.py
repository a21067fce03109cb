"""The stages of a settlement as they become known: each is kept, and the newest is what the trade brought."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.core.matters import MatterKind
from spxarb.core.model import ExitReason, LegName
from spxarb.core.order_words import Purpose
from spxarb.core.records import Settlement, held
from spxarb.core.sessions import STORED_TIMETABLE, day_from_stored
from spxarb.core.settlement import figure_of
from spxarb.core.stages import Stage
from spxarb.core.trades import TradeEvent, TradeState
from spxarb.trading import bookkeeping

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.records import Trade
    from spxarb.core.settlement import SettlementFigure
    from spxarb.ledger.ledger import Ledger

SETTLED_STATES = frozenset({TradeState.EXPIRED, TradeState.PROVISIONAL, TradeState.SETTLED})


def record_stage(ledger: Ledger, settlement: Settlement, stage: Stage) -> SettlementFigure:
    """Keep a settlement, and as which stage it is known. Its figure, with its difference."""
    ledger.settlements.record(settlement)
    return ledger.settlements.add_figure(figure_of(settlement, stage))


def settled_by_statement(
    ledger: Ledger,
    trade: Trade,
    leg: LegName,
    cash: Decimal,
    *,
    source: str,
    at: datetime,
    price: Decimal | None = None,
) -> str:
    """The third stage: the account's statement says what a leg that expired brought. Returns a sentence.

    `cash`: dollars to us, negative from us, of all contracts of this leg that the trade's executions leave
    held (the line of StatementOfFunds; 0 for SPY calls that expired worthless). Not for SPY calls that were
    assigned: they became shares. `source`: which statement and line, in words; `at`: the line's time.
    `price`: the settlement price, if told.

    The leg's settlement is final at this cash, whatever stage stood before, and trade and day are summed up
    anew; once each leg of the trade is final, the trade is SETTLED. Calling it again changes nothing. A trade
    lost from sight is given its executions first. Raises ValueError for a trade whose calls have not expired
    by then, or of which orders are not proven, and for a leg of which nothing was held.
    """
    quantity = held(ledger.fills.of_trade(trade.id), leg)
    if not quantity:
        raise ValueError(f"trade {trade.id} held no {leg} calls when they expired")
    trade = ledger.trades.get(trade.id)
    if trade.state not in SETTLED_STATES:
        if trade.state.is_unproven or not trade.is_open or trade.expiry > at.date():
            raise ValueError(f"trade {trade.id} is {trade.state}: it has no settlement")
        trade = bookkeeping.move(ledger, trade, TradeEvent.SESSION_OVER, note="")
    row = Settlement(trade.id, leg, quantity, price, cash, source, at, provisional=False)
    figure = record_stage(ledger, row, Stage.STATEMENT)
    _answered(ledger, trade, leg, at)
    _conclude(ledger, trade, at)
    bookkeeping.summarize(ledger, trade.trade_date)
    return f"trade {trade.id}: {described(figure)}"


def _answered(ledger: Ledger, trade: Trade, leg: LegName, at: datetime) -> None:
    """What was in doubt about the leg's settlement is not any more; shares stay a matter for a human."""
    keys = [MatterKind.SETTLEMENT.key(f"{trade.id}:{subject}") for subject in (leg, "not told")]
    if leg is LegName.SPY:
        keys.append(MatterKind.ASSIGNMENT.key(trade.id))
    for key in keys:
        ledger.matters.resolve(key, "the statement says what it brought", at)


def _conclude(ledger: Ledger, trade: Trade, at: datetime) -> None:
    """Bring the trade to where its settlements say that it stands."""
    if not bookkeeping.pnl_of_trade(ledger, trade).flat:
        bookkeeping.update_pnl(ledger, trade)
        return
    if trade.state is TradeState.EXPIRED:
        ended = at
        if not held(ledger.fills.of_trade(trade.id), LegName.SPY):
            trade, ended = left_by_executions(ledger, trade, at)
        trade = bookkeeping.settled_provisionally(ledger, trade, ended)
    if any(row.provisional for row in ledger.settlements.of_trade(trade.id)):
        bookkeeping.update_pnl(ledger, trade)
    else:
        bookkeeping.move(ledger, trade, TradeEvent.SETTLEMENT_PROVEN)


def left_by_executions(ledger: Ledger, trade: Trade, now: datetime) -> tuple[Trade, datetime]:
    """The trade with why its SPY calls were bought back, and when: by its executions, however late heard.

    What the fail-safe, or an exit whose reason was given up, bought back before the close was left by time.
    """
    fills = ledger.fills.of_trade(trade.id)
    last = max((fill.execution.time for fill in fills if fill.purpose is not Purpose.ENTRY), default=None)
    at = last or now
    if trade.handed_over:
        return replace(trade, exit_reason=ExitReason.HANDED_OVER), at
    if trade.state.entry_interrupted:
        return replace(trade, exit_reason=ExitReason.ENTRY_UNWOUND), at
    if trade.exit_reason not in {None, ExitReason.EXPIRATION}:
        return trade, at
    in_time = last is not None and last < _close(trade, now)
    reason = ExitReason.TIME if in_time else ExitReason.EXPIRATION
    return replace(trade, exit_reason=reason, exit_time=at), at


def _close(trade: Trade, otherwise: datetime) -> datetime:
    """The close of the trade's last session by the timetable stored with it."""
    with suppress(KeyError, TypeError, ValueError):
        return day_from_stored(trade.limits[STORED_TIMETABLE]).close
    return otherwise


def described(figure: SettlementFigure) -> str:
    """What a stage says, in words."""
    at = "" if figure.price is None else f" at {figure.price:f}"
    changed = ""
    if figure.difference is not None:
        changed = f", {figure.difference:+,.2f} dollars against the figure before"
    return (
        f"{figure.quantity:+.0f} {figure.leg} calls settled{at} for {figure.cash:+,.2f} dollars by the "
        f"{figure.stage} ({figure.source}){changed}"
    )
