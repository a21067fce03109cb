"""The ledger: what was traded, sent, filled and paid, in one SQLite file for one mode and account.

The only memory between two commands. Every fact that money depends on is here before it is acted upon:
an order is on disk before it is sent (`intend`), an execution is kept as the broker told it.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from spxarb.core.model import latest_revisions
from spxarb.core.records import ABSENT
from spxarb.ledger.housekeeping import Housekeeping, span
from spxarb.ledger.rows import (
    fill_from_row,
    fill_to_row,
    mark_from_row,
    mark_to_row,
    order_from_row,
    order_to_row,
    readable,
    settlement_from_row,
    settlement_to_row,
    to_moment,
    to_real,
    trade_from_row,
    trade_row,
    trade_to_row,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from spxarb.core.model import LegName
    from spxarb.core.records import Fill, Mark, OrderRecord, Purpose, Settlement, Trade

__all__ = ["Ledger"]


class Ledger(Housekeeping):
    """An open ledger. Close it, or use it as a context manager.

    A method that writes joins the open `write()`, or makes a transaction of its own. Days are New York's;
    money is dollars.
    """

    # --- trades ---------------------------------------------------------------------------------------

    def create_trade(self, trade: Trade) -> Trade:
        """The trade with the id that the ledger gave it; the id it came with does not matter."""
        return self.trade(self._insert("trades", trade_to_row(trade)))

    def trade(self, trade_id: int) -> Trade:
        """Raises KeyError when there is none."""
        found = self._trades("WHERE id = ?", trade_id)
        if not found:
            raise KeyError(f"The ledger has no trade {trade_id}")
        return found[0]

    def open_trades(self) -> list[Trade]:
        """Every trade that is not CLOSED: something of it may still be held or working."""
        return self._trades("WHERE status <> 'CLOSED' ORDER BY id")

    def trades_of(self, day: date) -> list[Trade]:
        return self.trades_between(day, day)

    def trades_between(self, since: date | None = None, until: date | None = None) -> list[Trade]:
        """By id; both days inclusive, None: without an end."""
        return self._trades("WHERE trade_date BETWEEN ? AND ? ORDER BY id", *span(since, until))

    def update_trade(self, trade_id: int, **columns: object) -> Trade:
        """Give fields of a trade new values, of the core's types. The trade as it is then.

        Raises TypeError for a name that is no field (`id` is none), KeyError when there is no such trade.
        """
        if "id" in columns:
            raise TypeError("A trade keeps its id")
        with self._writing():
            if columns:
                self._change("trades", trade_row(columns), id=trade_id)
            return self.trade(trade_id)

    def trades_with_fills(self, day: date) -> int:
        """How many of the day's trades had any execution: each counts toward the day's maximum."""
        count = self._value(
            "SELECT count(*) FROM trades WHERE trade_date = ? AND id IN (SELECT trade_id FROM executions)",
            day.isoformat(),
        )
        return int(count)

    def provisional_trades(self) -> list[Trade]:
        """Trades whose settlement the next morning has yet to prove."""
        return self._trades("WHERE provisional = 1 ORDER BY id")

    def last_trade_date(self) -> date | None:
        day = self._value("SELECT max(trade_date) FROM trades")
        return None if day is None else date.fromisoformat(day)

    def _trades(self, which: str, *values: object) -> list[Trade]:
        return [trade_from_row(row) for row in self._rows(f"SELECT * FROM trades {which}", *values)]  # noqa: S608

    # --- orders ---------------------------------------------------------------------------------------

    def intend(self, record: OrderRecord) -> None:
        """Commit an order before it is sent: on return it is on disk.

        Raises RuntimeError inside a `write()`, where it would not be, and sqlite3.IntegrityError for a
        reference, or a client's order id, that is there already.
        """
        with self.write():
            self._insert("orders", order_to_row(record))
            self._step(record.ref, "intent", record.created_at, record.ticket.limit)

    def reprice(self, ref: str, limit: Decimal | None, at: datetime) -> None:
        """A new limit, dollars (None: a market order), before it is sent under the same order id."""
        with self._writing():
            self._change("orders", {"limit_price": None if limit is None else to_real(limit)}, order_ref=ref)
            self._step(ref, "reprice", at, limit)

    def note_step(self, ref: str, step: str, at: datetime, detail: str = "") -> None:
        """Anything else that happened to an order; steps are never changed or removed."""
        self._step(ref, step, at, None, detail)

    def order_seen(self, ref: str, status: str, perm_id: int = 0, at: datetime | None = None) -> None:
        """What the broker says of it, in the wire's word. A final order keeps the status that proved it."""
        with self._writing():
            known = self._known(ref)
            row: dict[str, object] = {}
            if perm_id and perm_id != known.perm_id:
                row["perm_id"] = perm_id
            if status != known.status and not known.final:
                row["status"] = status
            if row:
                self._change("orders", row, order_ref=ref)
            if row or status != known.status:
                self._step(ref, "status", at, None, status)

    def finish_order(self, ref: str, status: str, filled: Decimal, at: datetime, proof: str) -> None:
        """Nothing more can come of it: `filled` contracts, and how the broker proved it."""
        with self._writing():
            row = {"status": status, "final": 1, "filled": to_real(filled)}
            self._change("orders", row, order_ref=ref)
            self._step(ref, "final", at, None, f"{status}, {filled} filled: {proof}")

    def revive_order(self, ref: str, status: str, at: datetime) -> None:
        """It was taken for over and is not: its end must be proven anew."""
        with self._writing():
            self._change("orders", {"status": status, "final": 0, "filled": None}, order_ref=ref)
            self._step(ref, "revived", at, None, status)

    def orders(self, trade_id: int) -> list[OrderRecord]:
        """Oldest first."""
        return self._orders("WHERE trade_id = ? ORDER BY rowid", trade_id)

    def order(self, ref: str) -> OrderRecord | None:
        return next(iter(self._orders("WHERE order_ref = ?", ref)), None)

    def order_by_id(self, client_id: int, order_id: int) -> OrderRecord | None:
        """The newest one of that client under that id."""
        found = self._orders(
            "WHERE client_id = ? AND order_id = ? ORDER BY rowid DESC LIMIT 1", client_id, order_id
        )
        return next(iter(found), None)

    def unproven_orders(self) -> list[OrderRecord]:
        """Orders that the broker has not yet proven final, oldest first."""
        return self._orders("WHERE final = 0 ORDER BY rowid")

    def absent_orders(self, day: date) -> list[OrderRecord]:
        """Orders of `day` of which nothing but their absence proves that they are over."""
        found = self._orders("WHERE status = ? AND final = 1 ORDER BY rowid", ABSENT)
        return [record for record in found if record.created_at.date() == day]

    def order_steps(self, ref: str) -> list[dict[str, Any]]:
        """The order's life, oldest first, as stored: at, step, limit_price, detail."""
        return self._rows(
            "SELECT at, step, limit_price, detail FROM order_steps WHERE order_ref = ? ORDER BY id", ref
        )

    def next_attempt(self, trade_id: int, leg: LegName, purpose: Purpose) -> int:
        """The number of the next order of its kind, from 1."""
        last = self._value(
            "SELECT max(attempt) FROM orders WHERE trade_id = ? AND leg = ? AND purpose = ?",
            trade_id,
            str(leg),
            str(purpose),
        )
        return int(last or 0) + 1

    def highest_order_id(self, client_id: int) -> int:
        """The highest order id that this client ever used, 0 for none."""
        return int(self._value("SELECT max(order_id) FROM orders WHERE client_id = ?", client_id) or 0)

    def _orders(self, which: str, *values: object) -> list[OrderRecord]:
        return [order_from_row(row) for row in self._rows(f"SELECT * FROM orders {which}", *values)]  # noqa: S608

    def _known(self, ref: str) -> OrderRecord:
        found = self.order(ref)
        if found is None:
            raise KeyError(f"The ledger has no order {ref}")
        return found

    def _step(
        self, ref: str, step: str, at: datetime | None, limit: Decimal | None, detail: str = ""
    ) -> None:
        row = {
            "order_ref": ref,
            "at": None if at is None else to_moment(at),
            "step": step,
            "limit_price": None if limit is None else to_real(limit),
            "detail": detail,
        }
        self._insert("order_steps", row)

    # --- executions -----------------------------------------------------------------------------------

    def record_fill(self, fill: Fill) -> bool:
        """Keep an execution; whether that changed anything. The same one may come any number of times.

        A correction supersedes its family's earlier executions, in whatever order they come. An estimated
        commission never replaces a reported one.
        """
        execution = fill.execution
        with self._writing():
            known = self._fills("WHERE exec_id = ?", execution.exec_id)
            if not known:
                self._insert("executions", fill_to_row(fill))
                self._supersede(execution.family)
                return True
            row: dict[str, object] = {}
            if execution.perm_id and not known[0].execution.perm_id:
                row["perm_id"] = execution.perm_id
            if known[0].commission_estimated or not fill.commission_estimated:
                row |= _commission_change(known[0], fill.commission, estimated=fill.commission_estimated)
            if row:
                self._change("executions", row, exec_id=execution.exec_id)
            return bool(row)

    def record_commission(self, exec_id: str, commission: Decimal) -> bool:
        """The commission as reported, dollars; False when the execution is not known, or said so already."""
        with self._writing():
            known = self._fills("WHERE exec_id = ?", exec_id)
            row = _commission_change(known[0], commission, estimated=False) if known else {}
            if row:
                self._change("executions", row, exec_id=exec_id)
            return bool(row)

    def fills(self, trade_id: int) -> list[Fill]:
        """The trade's executions that stand, corrected ones left out, oldest first."""
        return self._fills("WHERE trade_id = ? AND superseded = 0 ORDER BY time, rowid", trade_id)

    def fills_of_day(self, day: date) -> list[Fill]:
        """The executions of a day (by their own time) that stand, oldest first."""
        return self._fills(
            "WHERE substr(time, 1, 10) = ? AND superseded = 0 ORDER BY time, rowid", day.isoformat()
        )

    def known_exec_ids(self) -> set[str]:
        """Every execution ever kept, superseded ones too."""
        return {str(row["exec_id"]) for row in self._rows("SELECT exec_id FROM executions")}

    def estimated_fills(self) -> list[Fill]:
        """Executions that stand and whose commission the broker has not reported."""
        return self._fills("WHERE commission_estimated = 1 AND superseded = 0 ORDER BY time, rowid")

    def _supersede(self, family: str) -> None:
        """Only the latest revision of the family stands."""
        fills = self._fills("WHERE family = ?", family)
        (stands,) = latest_revisions(fill.execution for fill in fills)
        self._db.execute(
            "UPDATE executions SET superseded = (exec_id <> ?) WHERE family = ?", [stands.exec_id, family]
        )

    def _fills(self, which: str, *values: object) -> list[Fill]:
        return [fill_from_row(row) for row in self._rows(f"SELECT * FROM executions {which}", *values)]  # noqa: S608

    # --- settlements and marks ------------------------------------------------------------------------

    def record_settlement(self, s: Settlement) -> bool:
        """One a trade and leg; whether that changed anything. A provisional one never replaces a final."""
        with self._writing():
            known = {each.leg: each for each in self.settlements(s.trade_id)}.get(s.leg)
            if known is not None and s.provisional and not known.provisional:
                return False
            self._put("settlements", settlement_to_row(s), "trade_id", "leg")
            return s != known

    def settlements(self, trade_id: int) -> list[Settlement]:
        rows = self._rows("SELECT * FROM settlements WHERE trade_id = ? ORDER BY leg", trade_id)
        return [settlement_from_row(row) for row in rows]

    def add_mark(self, mark: Mark) -> None:
        self._insert("marks", mark_to_row(mark))

    def marks(self, trade_id: int) -> list[Mark]:
        """In the order in which they were taken."""
        rows = self._rows("SELECT * FROM marks WHERE trade_id = ? ORDER BY id", trade_id)
        return [mark_from_row(row) for row in rows]

    # --- rows for reports -----------------------------------------------------------------------------

    def trade_rows(self, since: date | None = None, until: date | None = None) -> list[dict[str, object]]:
        """The rows of `trades` as stored, oldest first, JSON opened; both days inclusive."""
        rows = self._rows(
            "SELECT * FROM trades WHERE trade_date BETWEEN ? AND ? ORDER BY trade_date, id",
            *span(since, until),
        )
        return [readable(row) for row in rows]

    def execution_rows(self, since: date | None = None, until: date | None = None) -> list[dict[str, object]]:
        """The rows of `executions` that stand, as stored, oldest first; both days inclusive."""
        return self._rows(
            "SELECT * FROM executions WHERE superseded = 0 AND substr(time, 1, 10) BETWEEN ? AND ? "
            "ORDER BY time, rowid",
            *span(since, until),
        )


def _commission_change(known: Fill, commission: Decimal, *, estimated: bool) -> dict[str, object]:
    """The columns that change, none when the ledger says so already."""
    new, old = to_real(commission), to_real(known.commission)
    if (new, estimated) == (old, known.commission_estimated):
        return {}
    return {"commission": new, "commission_estimated": int(estimated)}
