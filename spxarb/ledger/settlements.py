"""Settlements: what a leg that expired brought or cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.ledger.rows import settlement_from_row, settlement_to_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spxarb.core.records import Settlement
    from spxarb.ledger.file import LedgerFile


class Settlements:
    """The table `settlements`: one row a trade and leg."""

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
        """Make these the settlements of the trade, in place of all that it had."""
        with self._file.joined():
            self._file.execute("DELETE FROM settlements WHERE trade_id = ?", trade_id)
            for settlement in settlements:
                self._file.insert("settlements", settlement_to_row(settlement))

    def of_trade(self, trade_id: int) -> list[Settlement]:
        rows = self._file.rows("SELECT * FROM settlements WHERE trade_id = ? ORDER BY leg", trade_id)
        return [settlement_from_row(row) for row in rows]
