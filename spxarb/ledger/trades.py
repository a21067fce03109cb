"""Trades, and the marks of an open one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from spxarb.core.model import TradeStatus
from spxarb.core.sentences import lower_first
from spxarb.core.trades import TradeState
from spxarb.errors import RefusedError
from spxarb.ledger.rows import (
    day_range,
    fill_from_row,
    mark_from_row,
    mark_to_row,
    readable,
    settlement_from_row,
    trade_columns,
    trade_from_row,
    trade_to_row,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spxarb.core.records import Mark, Trade
    from spxarb.ledger.file import LedgerFile


PARTS = {"executions": fill_from_row, "settlements": settlement_from_row}
"""Without any of these rows a trade is not known: what is held of it."""
MEND_ROW = "Set the value right in the ledger, or `spxarb restore FILE` a backup"


@dataclass(frozen=True, slots=True)
class UnreadableTrade:
    """A trade of which a row cannot be read, and why. `settled`: closed for good, so nothing waits for it.

    `in_part`: it is an order that its name tells enough of: the trade is left when that is due all the same.
    """

    id: int
    why: str
    settled: bool
    in_part: bool = False

    def __str__(self) -> str:
        if self.in_part:
            return f"An order of trade {self.id} cannot be read in full: {lower_first(self.why)}"
        return f"Trade {self.id} cannot be read: {lower_first(self.why)}"


DAY = "substr(trade_date, 1, 10)"
OF_DAYS = f"({DAY} BETWEEN ? AND ? OR {DAY} IS NOT date(trade_date))"
"""What cannot be read as a day may be any: such a row is named wherever days are asked for."""


class Trades:
    """The tables `trades` and `marks`."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file
        self.unreadable: dict[int, UnreadableTrade] = {}
        """What no trade could be made of so far, by id: the others are given all the same."""
        self.in_part: dict[int, UnreadableTrade] = {}
        """Trades that are given though an order of theirs cannot be read in full, by id."""
        self.met: dict[int, UnreadableTrade] = {}
        """Those of either kind that were not closed for good when met, by id; they may be whole by now."""
        self.misspelt: dict[int, str] = {}
        """Sentences, by id, about a status that is not the word of the trade's state, which counts."""
        self._whole: set[int] = set()
        self._version = -1

    def create(self, trade: Trade) -> Trade:
        """The trade with the id that the ledger gave it; the id it came with does not matter."""
        return self.get(self._file.insert("trades", trade_to_row(trade)))

    def skip_ids(self, up_to: int) -> None:
        """Give the ids up to this one to no new trade."""
        with self._file.joined():
            last = self._file.value("SELECT seq FROM sqlite_sequence WHERE name = 'trades'")
            if last is None and up_to:
                self._file.insert("sqlite_sequence", {"name": "trades", "seq": up_to})
            elif last is not None and up_to > last:
                self._file.update("sqlite_sequence", {"seq": up_to}, name="trades")

    def next_id(self, trade_id: int) -> bool:
        """Give the next trade this id; False where it, or a higher one, was given before."""
        last = self._file.value("SELECT seq FROM sqlite_sequence WHERE name = 'trades'") or 0
        if last >= trade_id:
            return False
        self.skip_ids(trade_id - 1)
        return True

    def knows(self, trade_id: int | None) -> bool:
        """Whether there is a trade of this number, readable or not."""
        return bool(self._file.rows("SELECT 1 FROM trades WHERE id = ?", trade_id))

    def get(self, trade_id: int) -> Trade:
        """Raises KeyError when there is none, RefusedError when it cannot be read."""
        trades = self._trades("WHERE id = ?", trade_id)
        if not trades and trade_id in self.unreadable:
            raise RefusedError(str(self.unreadable[trade_id]), mend=MEND_ROW)
        if not trades:
            raise KeyError(f"The ledger has no trade {trade_id}")
        return trades[0]

    def open(self) -> list[Trade]:
        """Every trade that is not CLOSED: something of it may still be held or working."""
        return [trade for trade in self._trades("WHERE status <> 'CLOSED' ORDER BY id") if trade.is_open]

    def unreadable_open(self) -> list[str]:
        """Sentences about trades that may be open and cannot be read, or not in full."""
        self.open()
        found = (*self.unreadable.values(), *self.in_part.values())
        return [str(row) for row in found if not row.settled]

    def unreadable_settled(self) -> list[str]:
        """As `unreadable_open`, about trades that are closed for good."""
        return [str(row) for row in (*self.unreadable.values(), *self.in_part.values()) if row.settled]

    def of_day(self, day: date) -> list[Trade]:
        return self.between(day, day)

    def between(self, since: date | None = None, until: date | None = None) -> list[Trade]:
        """By id; both days inclusive, None: without an end. A row without a day is of every day."""
        return self._trades(f"WHERE {OF_DAYS} ORDER BY id", *day_range(since, until))

    def newest(self, most: int) -> list[Trade]:
        """The last trades of any day, newest first."""
        return self._trades("ORDER BY trade_date DESC, id DESC LIMIT ?", most)

    def provisional(self) -> list[Trade]:
        """Trades whose settlement a later day has yet to prove."""
        return self._trades("WHERE state = ? ORDER BY id", TradeState.PROVISIONAL.value)

    def with_estimates(self) -> list[Trade]:
        """Trades with executions whose row still counts an estimated commission."""
        return self._trades(
            "WHERE commissions_estimated = 1 AND id IN (SELECT trade_id FROM executions) ORDER BY id"
        )

    def handed_over(self, day: date) -> list[Trade]:
        """The day's trades that a human took, whatever became of them, in the order of their hand-over."""
        return self._trades(
            f"WHERE handed_over_at IS NOT NULL AND {DAY} = ? ORDER BY handed_over_at, id", day.isoformat()
        )

    def last_day(self) -> date | None:
        """The newest trade's day, None without any trade."""
        day = self._file.value(f"SELECT max({DAY}) FROM trades WHERE {DAY} IS date(trade_date)")  # noqa: S608
        return None if day is None else date.fromisoformat(day)

    def count_filled(self, day: date) -> int:
        """How many of the day's trades had any execution: each counts toward the day's maximum."""
        count = self._file.value(
            f"SELECT count(*) FROM trades WHERE {DAY} = ? AND id IN (SELECT trade_id FROM executions)",  # noqa: S608
            day.isoformat(),
        )
        return int(count)

    def update(self, trade_id: int, **columns: object) -> Trade:
        """Give fields of a trade new values, of the core's types. The trade as it is then.

        Raises TypeError for a name that is no field (`id` and `state` are none: see `move`), KeyError when
        there is no such trade.
        """
        if fixed := {"id", "state"} & columns.keys():
            raise TypeError(f"A trade's {' and '.join(sorted(fixed))} cannot be updated")
        return self._update(trade_id, columns)

    def move(self, trade_id: int, state: TradeState, **columns: object) -> Trade:
        """Give a trade another state, and fields new values with it: for `bookkeeping.move` alone.

        Raises as `update`.
        """
        if "id" in columns:
            raise TypeError("A trade's id cannot be updated")
        return self._update(trade_id, {**columns, "state": state})

    def _update(self, trade_id: int, columns: Mapping[str, object]) -> Trade:
        with self._file.joined():
            if columns:
                self._file.update("trades", trade_columns(columns), id=trade_id)
            return self.get(trade_id)

    def add_mark(self, mark: Mark) -> None:
        self._file.insert("marks", mark_to_row(mark))

    def marks(self, trade_id: int) -> list[Mark]:
        """In the order in which they were taken."""
        rows = self._file.rows("SELECT * FROM marks WHERE trade_id = ? ORDER BY id", trade_id)
        return [mark_from_row(row) for row in rows]

    def rows(self, since: date | None = None, until: date | None = None) -> list[dict[str, object]]:
        """The rows as stored, for reports, oldest first, JSON opened; both days inclusive."""
        rows = self._file.rows(
            f"SELECT * FROM trades WHERE {OF_DAYS} ORDER BY trade_date, id",  # noqa: S608 -- our own words
            *day_range(since, until),
        )
        return [readable(row) for row in rows]

    def _trades(self, which: str, *values: object) -> list[Trade]:
        """Without the rows that cannot be read, which are kept for `unreadable`."""
        rows = self._file.rows(f"SELECT * FROM trades {which}", *values)  # noqa: S608 -- our own words
        trades = []
        if (version := self._file.changed_by_others()) != self._version:
            self._whole, self._version = set(), version
        for row in rows:
            done = row["status"] == TradeStatus.CLOSED.value and not row["provisional"]
            try:
                trade = trade_from_row(row)
                self._require_whole(trade.id, settled=done)
                trades.append(trade)
                if row["status"] != trade.status:
                    why = f"Trade {trade.id}: its status {row['status']!r} is read as {trade.status}."
                    self.misspelt[trade.id] = why
            except RefusedError as error:
                self.unreadable[row["id"]] = self._seen(UnreadableTrade(row["id"], error.what, settled=done))
        return trades

    def _seen(self, row: UnreadableTrade) -> UnreadableTrade:
        if not row.settled:
            self.met.setdefault(row.id, row)
        return row

    def _require_whole(self, trade_id: int, *, settled: bool) -> None:
        """Raise RefusedError unless all of the trade's rows can be read; what we write ourselves can.

        Of an order its name is enough.
        """
        if trade_id in self._whole:
            return
        from spxarb.ledger.in_part import read_order  # noqa: PLC0415 -- only a row brings it

        for table, read in PARTS.items():
            for row in self._file.rows(f"SELECT * FROM {table} WHERE trade_id = ?", trade_id):  # noqa: S608
                read(row)
        orders = self._file.rows("SELECT * FROM orders WHERE trade_id = ? ORDER BY rowid", trade_id)
        reasons = [why for row in orders if (why := read_order(self._file, row).why)]
        self.unreadable.pop(trade_id, None)
        if reasons:
            self.in_part[trade_id] = self._seen(UnreadableTrade(trade_id, reasons[0], settled, in_part=True))
        else:
            self._whole.add(trade_id)
            self.in_part.pop(trade_id, None)
