"""Settlements: what a leg that expired brought or cost, and each figure on the way to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.ledger.rows import (
    day_range,
    figure_from_row,
    figure_to_row,
    settlement_from_row,
    settlement_to_row,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from spxarb.core.records import Settlement
    from spxarb.core.settlement import SettlementFigure
    from spxarb.ledger.file import LedgerFile


class Settlements:
    """The tables `settlements`, a row a trade and leg, and `settlement_stages`, a row for each stage."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def record(self, settlement: Settlement) -> bool:
        """Keep it; whether that changed anything. A provisional one never replaces a final one."""
        with self._file.joined():
            legs = {known.leg: known for known in self.of_trade(settlement.trade_id)}
            known = legs.get(settlement.leg)
            if known is not None and settlement.provisional and not known.provisional:
                return False
            self._file.upsert("settlements", settlement_to_row(settlement), "trade_id", "leg")
            return settlement != known

    def replace(self, trade_id: int, settlements: Sequence[Settlement]) -> None:
        """Make these the settlements of the trade, in place of all that it had.

        Figures of another quantity than is settled now are of no settlement any more.
        """
        with self._file.joined():
            self._file.execute("DELETE FROM settlements WHERE trade_id = ?", trade_id)
            for settlement in settlements:
                self._file.insert("settlements", settlement_to_row(settlement))
            quantities = {row.leg: row.quantity for row in settlements}
            for figure in self.figures(trade_id):
                if quantities.get(figure.leg) != figure.quantity:
                    self._file.execute(
                        "DELETE FROM settlement_stages WHERE trade_id = ? AND leg = ?",
                        trade_id,
                        str(figure.leg),
                    )

    def of_trade(self, trade_id: int) -> list[Settlement]:
        rows = self._file.rows("SELECT * FROM settlements WHERE trade_id = ? ORDER BY leg", trade_id)
        return [settlement_from_row(row) for row in rows]

    # --- the stages ---------------------------------------------------------------------------

    def add_figure(self, figure: SettlementFigure) -> SettlementFigure:
        """Keep what a stage says of a leg, in place of what that stage said before; with its difference."""
        from spxarb.core.settlement import with_difference  # noqa: PLC0415 -- only a settlement needs it

        with self._file.joined():
            figure = with_difference(figure, self.figures(figure.trade_id))
            self._file.upsert("settlement_stages", figure_to_row(figure), "trade_id", "leg", "stage")
            return figure

    def figures(self, trade_id: int) -> list[SettlementFigure]:
        """By leg, each from the first stage to the last."""
        rows = self._file.rows("SELECT * FROM settlement_stages WHERE trade_id = ?", trade_id)
        return sorted(map(figure_from_row, rows), key=lambda row: (row.leg, row.stage.number))

    def all_figures(self) -> list[SettlementFigure]:
        """Of every trade."""
        return [figure_from_row(row) for row in self._file.rows("SELECT * FROM settlement_stages")]

    def figure_rows(self, since: date | None = None, until: date | None = None) -> list[dict[str, object]]:
        """As stored, for reports, of the trades of these days, oldest first; both days inclusive."""
        return self._file.rows(
            "SELECT settlement_stages.* FROM settlement_stages JOIN trades ON trades.id = trade_id "
            "WHERE substr(trade_date, 1, 10) BETWEEN ? AND ? "
            "ORDER BY trade_id, leg, at, settlement_stages.rowid",
            *day_range(since, until),
        )
