"""The state of trading: whether entries are allowed, and the figures of the day for users' own SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spxarb.ledger.rows import to_moment, to_real

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from spxarb.ledger.file import LedgerFile


class TradingState:
    """The one row of `system_state`. What counts for a day begins anew with a new date in New York."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def is_trading(self) -> bool:
        """Whether new entries are allowed."""
        return bool(self.row()["is_trading"])

    def trading_reason(self) -> str:
        """Why they were last allowed or forbidden, as given; '' for no reason."""
        return str(self.row()["trading_reason"])

    def row(self) -> dict[str, Any]:
        """The row as stored."""
        (row,) = self._file.rows("SELECT * FROM system_state")
        return row

    def set_trading(self, on: bool, reason: str | None, at: datetime) -> None:
        """Allow or forbid new entries."""
        self._update(at, is_trading=int(on), trading_reason=reason or "", trading_set_at=to_moment(at))

    def refresh(
        self, at: datetime, open_positions: int, daily_pnl: Decimal | None, trades_today: int
    ) -> None:
        """The figures after a job; `daily_pnl` dollars, None where unknown."""
        pnl = None if daily_pnl is None else to_real(daily_pnl)
        self._update(at, open_positions=open_positions, daily_pnl=pnl, trades_today=trades_today)

    def count_error(self, at: datetime) -> None:
        """One more command of the day that failed."""
        with self._file.joined():
            self._update(at)
            self._file.execute("UPDATE system_state SET errors_today = errors_today + 1")

    def _update(self, at: datetime, **columns: object) -> None:
        moment = to_moment(at)
        with self._file.joined():
            if str(self.row()["last_updated"] or "")[:10] != moment[:10]:
                columns = {"daily_pnl": None, "trades_today": 0, "errors_today": 0} | columns
            self._file.update("system_state", {**columns, "last_updated": moment}, id=1)
