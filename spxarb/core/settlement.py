"""How expired calls settle, in three stages, each with its source and what it changed.

The last print of regular trading is provisional: on 2025-04-30 SPX stopped at 5560.83 on the screen and
settled at 5569.06, 823 dollars a contract. The official close is known minutes later. The cash that the
account's statement shows is final: the API reports neither a cash settlement nor an assignment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from spxarb.core.model import CENT, LegName
from spxarb.core.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from spxarb.core.contracts import Quote
    from spxarb.core.records import Settlement

OFFICIAL_AFTER = timedelta(minutes=45)
"""From the close until a daily bar is taken for official: SPX's appears by 16:30 (traders' reports)."""
NEAR = Decimal("0.0015")
"""How far official close and last print have differed, as a part of the price: 8.23 of 5560.83, see above."""
FARTHEST = Decimal("0.01")
"""Beyond this part of the price an official close is another price, not a correction of the last print."""
LIVE, FROZEN = 1, 2


@dataclass(frozen=True, slots=True)
class SettlementFigure:
    """What one stage says of one leg that expired. Contracts signed, short negative; `cash` dollars to us.

    `price` is the underlying's, None where the stage tells only cash. `difference`: dollars by which the cash
    differs from that of the stage before; None in the first.
    """

    trade_id: int
    leg: LegName
    stage: Stage
    quantity: Decimal
    price: Decimal | None
    cash: Decimal
    source: str
    at: datetime
    difference: Decimal | None = None


def figure_of(settlement: Settlement, stage: Stage) -> SettlementFigure:
    """The figure that a settlement at this stage is."""
    row = settlement
    return SettlementFigure(
        row.trade_id, row.leg, stage, row.quantity, row.price, row.cash, row.source, row.at
    )


def with_difference(figure: SettlementFigure, known: Iterable[SettlementFigure]) -> SettlementFigure:
    """The figure beside the newest stage before its own, of the same leg; `known` are those of its trade."""
    before = [row for row in known if row.leg is figure.leg and row.stage.number < figure.stage.number]
    if not before:
        return replace(figure, difference=None)
    newest = max(before, key=lambda row: row.stage.number)
    return replace(figure, difference=figure.cash - newest.cash)


# --- closing prices ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClosingPrice:
    """What an underlying closed at, dollars or index points, and how good that is."""

    price: Decimal
    stage: Stage
    source: str


@dataclass(frozen=True, slots=True)
class CloseView:
    """What one look shows of an underlying's close on `day`.

    `closed_at`: the end of the day's regular trading. `bar`: the close of the day's own daily bar of regular
    hours. `close_is_of`: the session whose close tick 9 is now, None where it is not sure.
    """

    leg: LegName
    day: date
    now: datetime
    closed_at: datetime
    bar: Decimal | None
    quote: Quote
    close_is_of: date | None


def closing_price(view: CloseView) -> ClosingPrice | None:
    """The best that is known of the close; None: nothing is, for no delayed or after-hours price stands in.

    A daily bar is the last print of regular trading until the official close is in it. Tick 9 is the close of
    the session before on a trading day; on a Saturday or holiday it can be a day older (ib_insync issue 321).
    The last price of the index is a regular one; that of SPY is of the trading after hours.
    """
    quote, name = view.quote, view.leg
    if view.now < view.closed_at:
        return None
    if view.bar is not None:
        stage = Stage.OFFICIAL if view.now >= view.closed_at + OFFICIAL_AFTER else Stage.LAST_PRINT
        return ClosingPrice(view.bar, stage, f"{name} daily bar of {view.day}, regular hours")
    if view.close_is_of == view.day and quote.close is not None and quote.data_type == LIVE:
        return ClosingPrice(quote.close, Stage.OFFICIAL, f"{name} previous close")
    regular = name is LegName.SPX and view.now.date() == view.day and quote.data_type in {LIVE, FROZEN}
    if regular and quote.last is not None:
        return ClosingPrice(quote.last, Stage.LAST_PRINT, f"{name} last price")
    return None


def believable(official: Decimal, last: Decimal | None) -> bool:
    """Whether an official close may stand for the same close as the last print."""
    return last is None or abs(official - last) <= last * FARTHEST


# --- what becomes of SPY calls ----------------------------------------------------------------------


class Outlook(StrEnum):
    """What is to be expected of SPY calls that were held at the close of their last day."""

    WORTHLESS = "worthless"
    DOUBTFUL = "doubtful"
    EXERCISED = "exercised"


def fate_of_calls(price: Decimal, strike: Decimal, reach: Decimal) -> Outlook:
    """What becomes of calls with the underlying's close at `price`; `reach` as by `reach_of`, dollars.

    Calls a cent in the money are exercised by themselves (OCC), but holders decide until an hour and a half
    after the close, by prices after hours: calls near the strike may end either way.
    """
    if abs(price - strike) <= reach:
        return Outlook.DOUBTFUL
    return Outlook.EXERCISED if price > strike else Outlook.WORTHLESS


def reach_of(price: Decimal, figures: Iterable[SettlementFigure]) -> Decimal:
    """Within how many dollars of the strike a close at `price` decides nothing: what it may still move.

    As far as official close and last print are known to have differed, and where this ledger's own `figures`
    show more, so far.
    """
    prices: dict[tuple[int, LegName], dict[Stage, Decimal]] = {}
    for row in figures:
        if row.price is not None:
            prices.setdefault((row.trade_id, row.leg), {})[row.stage] = row.price
    seen = [
        abs(known[Stage.OFFICIAL] - known[Stage.LAST_PRINT]) / known[Stage.LAST_PRINT]
        for known in prices.values()
        if {Stage.OFFICIAL, Stage.LAST_PRINT} <= known.keys() and known[Stage.LAST_PRINT]
    ]
    return (price * max([NEAR, *seen])).quantize(CENT)
