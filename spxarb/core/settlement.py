"""How expired calls settle, in three stages, each with its source and what it changed.

The last print of regular trading is provisional: on 2025-04-30 SPX stopped at 5560.83 on the screen and
settled at 5569.06, 823 dollars a contract. The official close is known minutes later. The cash that the
account's statement shows is final: the API reports neither a cash settlement nor an assignment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from decimal import Decimal

    from spxarb.core.model import LegName
    from spxarb.core.records import Settlement


class Stage(StrEnum):
    """Which figure of a settlement it is, from the first to the last."""

    LAST_PRINT = "last print"
    OFFICIAL = "official close"
    STATEMENT = "statement"

    @property
    def number(self) -> int:
        """Their order; a later stage replaces an earlier one."""
        return list(Stage).index(self)


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
