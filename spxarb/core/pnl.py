"""The result of a trade and of a day: facts from executions, commission reports and settlements.

Dollars, exact to the cent. No quote enters here.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from spxarb.core.broker_books import latest_revisions
from spxarb.core.model import ZERO, LegName, cents
from spxarb.core.order_words import Purpose
from spxarb.core.records import held
from spxarb.core.statistics import max_drawdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from spxarb.core.records import Fill, Settlement, Trade

_PRICE = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class TradePnl:
    """What a trade's executions add up to.

    `entry_credit` is net of the entry's commissions; `exit_cost` is positive when paid and holds the exit's
    commissions and any settlement; `final_pnl = entry_credit - exit_cost`, final only once nothing is held.
    Prices are averages by quantity, None when nothing traded; held contracts are signed, short negative.
    """

    entry_credit: Decimal
    exit_cost: Decimal
    final_pnl: Decimal
    commissions: Decimal
    commissions_estimated: bool
    spy_entry_price: Decimal | None
    spx_entry_price: Decimal | None
    spy_exit_price: Decimal | None
    spx_exit_price: Decimal | None
    spy_held: Decimal
    spx_held: Decimal

    @property
    def exit_cash(self) -> Decimal:
        """Dollars that the exit has brought so far, negative when paid."""
        return -self.exit_cost

    @property
    def flat(self) -> bool:
        """Whether executions and settlements leave no contract of either leg."""
        return self.spy_held == 0 and self.spx_held == 0


@dataclass(frozen=True, slots=True)
class DaySummary:
    """A row of `daily_summary`, dollars. A sum is None while a trade in it has no result yet."""

    date: date
    trades_count: int
    winning_trades: int
    losing_trades: int
    total_pnl: Decimal | None
    total_commissions: Decimal | None
    net_pnl: Decimal | None
    max_drawdown: Decimal


def trade_pnl(trade: Trade, fills: Iterable[Fill], settlements: Iterable[Settlement] = ()) -> TradePnl:
    """The result of `trade` from its own fills and settlements, in whatever order they come.

    Fills and settlements of other trades do not count; of an execution and its corrections only the latest
    does. A settled leg is no longer held.
    """
    own = _latest([fill for fill in fills if fill.trade_id == trade.id])
    settled = [row for row in settlements if row.trade_id == trade.id]
    opening = [fill for fill in own if fill.purpose.opens]
    closing = [fill for fill in own if not fill.purpose.opens]
    entry_credit = cents(_net_cash(trade, opening))
    exit_cost = cents(-_net_cash(trade, closing) - _cash_settled(settled))
    return TradePnl(
        entry_credit=entry_credit,
        exit_cost=exit_cost,
        final_pnl=entry_credit - exit_cost,
        commissions=cents(sum((fill.commission for fill in own), start=ZERO)),
        commissions_estimated=any(fill.commission_estimated for fill in own),
        spy_entry_price=_average_price(_entries(opening), LegName.SPY),
        spx_entry_price=_average_price(_entries(opening), LegName.SPX),
        spy_exit_price=_average_price(closing, LegName.SPY),
        spx_exit_price=_average_price(closing, LegName.SPX),
        spy_held=_still_held(own, settled, LegName.SPY),
        spx_held=_still_held(own, settled, LegName.SPX),
    )


def traded(trade: Trade) -> bool:
    """Whether any order of the trade was filled: it then counts among the day's trades.

    An entry of which nothing was filled has neither commissions nor credit.
    """
    return trade.entry_filled or any((trade.commissions, trade.entry_credit, trade.exit_cost))


def day_summary(day: date, trades: Sequence[Trade], curve: Sequence[Decimal] = ()) -> DaySummary:
    """The day's row from the trades of `day` and its curve of net P&L, dollars, oldest first.

    The curve starts at 0 and ends at the day's net P&L, whether or not it says so. Trades of other days,
    and those of which nothing was filled, do not count.
    """
    counted = [trade for trade in trades if trade.trade_date == day and traded(trade)]
    results = [trade.final_pnl for trade in counted]
    net = _sum_or_none(results)
    commissions = _sum_or_none([trade.commissions for trade in counted])
    return DaySummary(
        date=day,
        trades_count=len(counted),
        winning_trades=sum(1 for pnl in results if pnl is not None and pnl > 0),
        losing_trades=sum(1 for pnl in results if pnl is not None and pnl < 0),
        total_pnl=None if net is None or commissions is None else net + commissions,
        total_commissions=commissions,
        net_pnl=net,
        max_drawdown=max_drawdown([*curve, *([] if net is None else [net])]),
    )


def _latest(fills: Sequence[Fill]) -> list[Fill]:
    """One fill for each execution: its latest correction."""
    by_id = {fill.execution.exec_id: fill for fill in fills}
    return [by_id[row.exec_id] for row in latest_revisions(fill.execution for fill in by_id.values())]


def _entries(fills: Iterable[Fill]) -> list[Fill]:
    """The entry's fills, without those that unwound it."""
    return [fill for fill in fills if fill.purpose is Purpose.ENTRY]


def _net_cash(trade: Trade, fills: Iterable[Fill]) -> Decimal:
    """Dollars that fills brought: sales less purchases less commissions."""
    return sum(
        (
            -fill.signed_quantity * fill.execution.price * trade.contract(fill.leg).multiplier
            - fill.commission
            for fill in fills
        ),
        start=ZERO,
    )


def _cash_settled(settlements: Iterable[Settlement]) -> Decimal:
    return sum((row.cash for row in settlements), start=ZERO)


def _average_price(fills: Iterable[Fill], leg: LegName) -> Decimal | None:
    """The price of a leg's fills, weighted by quantity, to the millionth; None when there are none."""
    own = [fill.execution for fill in fills if fill.leg is leg]
    quantity = sum((row.quantity for row in own), start=ZERO)
    if not quantity:
        return None
    return (sum((row.price * row.quantity for row in own), start=ZERO) / quantity).quantize(_PRICE)


def _still_held(fills: Iterable[Fill], settlements: Iterable[Settlement], leg: LegName) -> Decimal:
    settled = sum((row.quantity for row in settlements if row.leg is leg), start=ZERO)
    return held(fills, leg) - settled


def _sum_or_none(values: Sequence[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, start=ZERO) if len(known) == len(values) else None
