"""Orders: on disk before they are sent, and every step of their lives after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spxarb.core.order_words import ABSENT
from spxarb.errors import RefusedError
from spxarb.ledger.file import readable_only
from spxarb.ledger.rows import order_to_row, to_moment, to_real

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.records import OrderRecord
    from spxarb.ledger.file import LedgerFile


ASKED_AT_ONCE = 500
"""References in one statement: every SQLite takes 999 values."""
NO_DAY = "date(substr(created_at, 1, 10)) IS NULL"
"""What cannot be read as a day may be any."""


class Orders:
    """The tables `orders` and `order_steps`.

    An order of which a value cannot be read is read in part (`ledger/in_part.py`). Where even that is not
    possible it is left out of every list but that of its trade: it is that trade which then cannot be traded
    (`ledger/trades.py`), and no other.
    """

    def __init__(self, file: LedgerFile) -> None:
        self._file = file
        self.unread: set[str] = set()
        """Why orders could not be read so far."""

    def intend(self, record: OrderRecord) -> None:
        """Commit an order before it is sent: on return it is on disk.

        Raises RuntimeError inside a `write()`, where it would not be, RefusedError for a trade that a human
        took, and sqlite3.IntegrityError for a reference, or a client's order id, that is there already.
        """
        with self._file.write():
            self._refuse_handed_over(record.trade_id)
            self._file.insert("orders", order_to_row(record))
            self._step(record.ref, "intent", record.created_at, record.ticket.limit)

    def reprice(self, ref: str, limit: Decimal | None, at: datetime) -> None:
        """A new limit, dollars (None: a market order), before it is sent under the same order id.

        Raises RefusedError for an order of a trade that a human has taken: only cancels go out for those.
        """
        with self._file.joined():
            self._refuse_handed_over(self._file.value("SELECT trade_id FROM orders WHERE order_ref = ?", ref))
            price = None if limit is None else to_real(limit)
            self._file.update("orders", {"limit_price": price}, order_ref=ref)
            self._step(ref, "reprice", at, limit)

    def add_step(self, ref: str, step: str, at: datetime, detail: str = "") -> None:
        """Anything else that happened to an order; steps are never changed or removed."""
        self._step(ref, step, at, None, detail)

    def history(self, ref: str) -> list[tuple[str, str]]:
        """The steps of an order and their details, oldest first."""
        rows = self._file.rows("SELECT step, detail FROM order_steps WHERE order_ref = ? ORDER BY rowid", ref)
        return [(str(row["step"]), str(row["detail"] or "")) for row in rows]

    def seen(self, ref: str, status: str, perm_id: int = 0, at: datetime | None = None) -> None:
        """The order as the broker shows it, `status` in the wire's word.

        A final order keeps the status that proved it. Raises KeyError when there is no such order.
        """
        with self._file.joined():
            known = self.find(ref)
            if known is None:
                raise KeyError(f"The ledger has no order {ref}")
            row: dict[str, object] = {}
            if perm_id and perm_id != known.perm_id:
                row["perm_id"] = perm_id
            if status != known.status and not known.final:
                row["status"] = status
            if row:
                self._file.update("orders", row, order_ref=ref)
            if row or status != known.status:
                self._step(ref, "status", at, None, status)

    def finish(self, ref: str, status: str, filled: Decimal, at: datetime, proof: str) -> None:
        """Nothing more can come of it: `filled` contracts, and how the broker proved it."""
        with self._file.joined():
            row = {"status": status, "final": 1, "filled": to_real(filled)}
            self._file.update("orders", row, order_ref=ref)
            self._step(ref, "final", at, None, f"{status}, {filled} filled: {proof}")

    def revive(self, ref: str, status: str, at: datetime) -> None:
        """It was taken for final and is not: its end must be proven anew."""
        with self._file.joined():
            self._file.update("orders", {"status": status, "final": 0, "filled": None}, order_ref=ref)
            self._step(ref, "revived", at, None, status)

    def find(self, ref: str) -> OrderRecord | None:
        return next(iter(self._orders("WHERE order_ref = ?", ref)), None)

    def with_refs(self, refs: Collection[str]) -> list[OrderRecord]:
        """As `find`, of all that are here; not for more than a trade has."""
        return self._orders(f"WHERE order_ref IN ({_marks(refs)}) ORDER BY rowid", *refs) if refs else []

    def known(self, refs: Collection[str]) -> set[str]:
        """Those of which there is a row, also one that cannot be read."""
        wanted, found = list(refs), set[str]()
        for begin in range(0, len(wanted), ASKED_AT_ONCE):
            some = wanted[begin : begin + ASKED_AT_ONCE]
            which = f"SELECT order_ref FROM orders WHERE order_ref IN ({_marks(some)})"  # noqa: S608 -- likewise
            found |= {row["order_ref"] for row in self._file.rows(which, *some)}
        return found

    def of_trade(self, trade_id: int) -> list[OrderRecord]:
        """Oldest first. Raises RefusedError when one of them cannot be read."""
        rows = self._file.rows("SELECT * FROM orders WHERE trade_id = ? ORDER BY rowid", trade_id)
        return [self._read(row) for row in rows]

    def unproven(self) -> list[OrderRecord]:
        """Orders that the broker has not yet proven final, oldest first."""
        return self._orders("WHERE final = 0 ORDER BY rowid")

    def since(self, day: date) -> list[OrderRecord]:
        """Orders made on `day` or later, and older ones that are not proven final; oldest first."""
        return self._orders(
            f"WHERE substr(created_at, 1, 10) >= ? OR final = 0 OR {NO_DAY} ORDER BY rowid", day.isoformat()
        )

    def first_in(self, con_id: int, day: date) -> OrderRecord | None:
        """The first order of `day` in a contract, of whichever trade; None when there was none."""
        found = self._orders(
            f"WHERE con_id = ? AND (substr(created_at, 1, 10) = ? OR {NO_DAY}) ORDER BY rowid",
            con_id,
            day.isoformat(),
        )
        return next((record for record in found if record.created_at.date() == day), None)

    def absent(self, day: date) -> list[OrderRecord]:
        """Orders of `day` that nothing but their absence proves final."""
        orders = self._orders("WHERE status = ? AND final = 1 ORDER BY rowid", ABSENT)
        return [record for record in orders if record.created_at.date() == day]

    def highest_id(self, client_id: int) -> int:
        """The highest order id that this client ever used, 0 for none."""
        highest = "SELECT max(order_id) FROM orders WHERE client_id = ? AND typeof(order_id) = 'integer'"
        return int(self._file.value(highest, client_id) or 0)

    def _orders(self, which: str, *values: object) -> list[OrderRecord]:
        rows = self._file.rows(f"SELECT * FROM orders {which}", *values)  # noqa: S608 -- our own words
        return readable_only(rows, self._read, self.unread)

    def _read(self, row: Mapping[str, Any]) -> OrderRecord:
        from spxarb.ledger.in_part import read_order  # noqa: PLC0415 -- only a row brings it

        return read_order(self._file, row).record

    def _refuse_handed_over(self, trade_id: int) -> None:
        """The last door: whatever a job meant to do, no order of a trade that a human took passes here."""
        rows = self._file.rows("SELECT * FROM trades WHERE id = ?", trade_id)
        if rows and rows[0].get("handed_over_at") is not None:
            raise RefusedError(
                f"Trade {trade_id} was handed over, so no order of it may be sent", risk="Nothing was sent"
            )

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
        self._file.insert("order_steps", row)


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
