"""An order of which a value cannot be read: the rest of it, and what its name and its trade say.

Its reference names trade, leg and purpose, and the trade's row has contract and quantity. With what the
broker lists and the account holds, that is enough to leave the spread. A lost order id is 0.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, time
from typing import TYPE_CHECKING, Any

from spxarb.core.broker_books import OrderTicket
from spxarb.core.model import NEW_YORK, LegName, Side, dec
from spxarb.core.order_words import Purpose
from spxarb.core.records import OrderName, OrderRecord, order_name
from spxarb.errors import RefusedError
from spxarb.ledger.rows import ORDER, TICKET, TRADE, from_row, order_from_row, to_moment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from spxarb.ledger.file import LedgerFile
    from spxarb.ledger.rows import Column, Row


UNREAD_CLIENT = -1
"""Where the client id is lost: no client has it."""


@dataclass(frozen=True, slots=True)
class OrderRead:
    """An order as far as its row can be read; `why` not in full, empty when it can."""

    record: OrderRecord
    why: str = ""


def read_order(file: LedgerFile, row: Mapping[str, Any]) -> OrderRead:
    """Raises RefusedError where not even its name and its trade's row say what it is."""
    try:
        return OrderRead(order_from_row(row))
    except RefusedError as error:
        name = order_name(str(row["order_ref"]))
        if name is None or name.tag != file.tag or str(name.trade_id) != str(row["trade_id"]):
            raise
        return OrderRead(_by_its_name(file, row, name), error.what)


def _by_its_name(file: LedgerFile, row: Mapping[str, Any], name: OrderName) -> OrderRecord:
    (trade,) = file.rows("SELECT * FROM trades WHERE id = ?", name.trade_id) or ({},)
    known = from_row({field: TRADE[field] for field in ("trade_date", "spx", "spy")}, trade)
    known |= from_row({field: TRADE[field] for field in ("spx_contracts", "spy_contracts")}, trade)
    leg = "spx" if name.leg is LegName.SPX else "spy"
    opens = name.purpose is Purpose.ENTRY
    ticket: Row = {
        "order_ref": str(name),
        "contract": known[leg],
        "side": Side.BUY if (name.leg is LegName.SPX) is opens else Side.SELL,
        "quantity": known[f"{leg}_contracts"],
        "limit": None,
    }
    order: Row = {
        "trade_id": name.trade_id,
        "leg": name.leg,
        "purpose": name.purpose,
        "attempt": name.attempt,
        "client_id": UNREAD_CLIENT,
        "order_id": 0,
        "created_at": TRADE["entry_time"].get(_entered(trade)),
    }
    ticket |= _readable(TICKET, row)
    order |= _readable(ORDER, row)
    if row["overnight"] is not None:
        order.setdefault("overnight", _overnight(file, row))
    return OrderRecord(ticket=OrderTicket(**ticket), **order)


def _entered(trade: Mapping[str, Any]) -> object:
    """When the trade was entered, as stored; the beginning of its day where that cannot be read."""
    with suppress(RefusedError):
        if from_row({"at": TRADE["entry_time"]}, trade)["at"] is not None:
            return trade["entry_time"]
    day = from_row({"day": TRADE["trade_date"]}, trade)["day"]
    return to_moment(datetime.combine(day, time(), NEW_YORK))


def _overnight(file: LedgerFile, row: Mapping[str, Any]) -> Decimal | None:
    """What the account held in the contract before, by another order of the trade: it is the same all day."""
    others = "SELECT overnight FROM orders WHERE trade_id = ? AND con_id = ? AND order_ref <> ?"
    for other in file.rows(others, row["trade_id"], row["con_id"], row["order_ref"]):
        found = _readable({"overnight": ORDER["overnight"]}, other)
        if found:
            return dec(found["overnight"])
    return None


def _readable(columns: Mapping[str, Column], row: Mapping[str, Any]) -> Row:
    """The values that can be read; what is NULL keeps its default."""
    found: Row = {}
    for field, column in columns.items():
        with suppress(RefusedError):
            value = from_row({field: column}, row)[field]
            if value is not None:
                found[field] = value
    return found
