"""A recorded day: quotes from a file, each valid until the next one of its contract."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from bisect import bisect_right
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from spxarb.sim.market import ticks
from spxarb.sim.market.hours import stops
from spxarb.sim.market.instruments import SPX_ID, SPY_ID, Catalogue, Instrument, MarketQuote, option
from spxarb.sim.market.trading_days import NEW_YORK, check_open, closing, opening

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

COLUMNS = ["t", "kind", "symbol", "expiry", "strike", "right", "bid", "ask", "last", "src"]
SIZE = 50
"""Contracts or shares shown at every bid and ask: the files hold no sizes."""
_OPTION_CLASSES = {"SPX": "SPXW", "SPY": "SPY"}


class _Row(NamedTuple):
    bid: float | None
    ask: float | None
    last: float | None


Rows = dict[Instrument, list[tuple[float, _Row]]]
"""Rows by contract, each with its time in unix seconds."""


class RecordedDay:
    """A market that plays a csv or csv.gz file of one day. Conforms to `instruments.Market`.

    A row with bid or ask is shown as it is, moved outward to legal prices. A bid of 0 is no bid. One with a
    last price only has neither, for nobody knows what was bid; with `trust_last` it is shown with a bid one
    step below and an ask one step above that price.

    The files hold no closes of the day before: the first prices of SPX and SPY stand for them.
    """

    def __init__(self, path: Path, *, trust_last: bool = False) -> None:
        """Read the file. Raises ValueError naming the file and line, or why it cannot be read."""
        self._trust_last = trust_last
        rows, times = _read(path)
        self._times = times
        self.day = datetime.fromtimestamp(times[0], NEW_YORK).date()
        try:
            check_open(self.day)
        except ValueError as problem:
            raise ValueError(f"{path}: {problem}") from None
        self.open, self.close = opening(self.day), closing(self.day)
        self._catalogue = Catalogue(item for item in rows if item.sec_type == "OPT")
        self._rows = {
            item.con_id: ([time for time, _ in seen], [row for _, row in seen]) for item, seen in rows.items()
        }
        self._stops = {item.con_id: stops(item, self.day).timestamp() for item in self._catalogue.all}
        self._cache: dict[tuple[int, int], MarketQuote] = {}
        self.description = _describe(path.name, self.day, rows, trust_last=trust_last)

    def instruments(self) -> Sequence[Instrument]:
        """Every contract."""
        return self._catalogue.all

    def by_con_id(self, con_id: int) -> Instrument | None:
        """The contract with this id, None when there is none."""
        return self._catalogue.by_con_id(con_id)

    def find(
        self,
        symbol: str,
        sec_type: str,
        expiry: date | None = None,
        strike: float | None = None,
        right: str | None = None,
        trading_class: str = "",
    ) -> list[Instrument]:
        """The contracts that fit; '' and None fit everything."""
        return self._catalogue.find(symbol, sec_type, expiry, strike, right, trading_class)

    def quote(self, con_id: int, moment: datetime) -> MarketQuote:
        """The newest row at or before `moment`: nothing before the first, after the end only a last price."""
        instrument = self._catalogue.by_con_id(con_id)
        if instrument is None:
            raise KeyError(con_id)
        if con_id not in self._rows:
            return MarketQuote()
        quote = self._quote(instrument, moment)
        if con_id not in {SPX_ID, SPY_ID}:
            return quote
        later = moment.astimezone(NEW_YORK).date() > self.day
        return replace(quote, close=self._rows[con_id][1][-1 if later else 0].last)

    def _quote(self, instrument: Instrument, moment: datetime) -> MarketQuote:
        con_id, at = instrument.con_id, moment.timestamp()
        times, rows = self._rows[con_id]
        place = bisect_right(times, at) - 1
        if place < 0:
            return MarketQuote()
        if at >= self._stops[con_id]:
            return MarketQuote(last=rows[place].last)
        quote = self._cache.get((con_id, place))
        if quote is None:
            quote = self._cache[con_id, place] = _shown(instrument, rows[place], trust_last=self._trust_last)
        return quote

    def moments(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The times of the rows in (after, until]."""
        first, last = (bisect_right(self._times, moment.timestamp()) for moment in (after, until))
        for stamp in self._times[first:last]:
            yield datetime.fromtimestamp(stamp, NEW_YORK)


def _describe(name: str, day: date, rows: Rows, *, trust_last: bool) -> str:
    """One line: what was recorded and what is made up."""
    count = sum(map(len, rows.values()))
    shown = [(item, row) for item, seen in rows.items() if item.con_id != SPX_ID for _, row in seen]
    bare = sum(row.bid is None and row.ask is None for _, row in shown)
    moved = sum(_off_grid(item.market_rule_id, row) for item, row in shown)
    how = "shown as one step to each side" if trust_last else "shown without bid and ask (see --trust-last)"
    sides = f"{bare} have only a last price, {how}; " if bare else ""
    moves = f"{moved} are moved outward to legal prices; " if moved else ""
    return f"recorded day {day} from {name}, {count} rows; {sides}{moves}displayed sizes are made up"


def _off_grid(rule: int, row: _Row) -> bool:
    return any(price and not ticks.is_legal(rule, price) for price in (row.bid, row.ask))


def _shown(instrument: Instrument, row: _Row, *, trust_last: bool) -> MarketQuote:
    """A row as a quote."""
    if instrument.con_id == SPX_ID:
        return MarketQuote(last=row.last)
    rule, bid, ask = instrument.market_rule_id, row.bid, row.ask
    if bid is None and ask is None and trust_last:
        last = row.last or 0.0
        bid, ask = ticks.below(rule, last), ticks.above(rule, last)
    bid = None if bid is None else ticks.at_or_below(rule, bid) or None
    ask = ticks.at_or_above(rule, ask) if ask else None
    return MarketQuote(
        bid=bid,
        ask=ask,
        last=row.last,
        bid_size=SIZE if bid else 0,
        ask_size=SIZE if ask else 0,
        last_size=1 if row.last is not None else 0,
    )


def _read(path: Path) -> tuple[Rows, list[float]]:
    """Rows by contract in the order of time, and the distinct times (unix seconds)."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as problem:
        raise ValueError(f"{path}: cannot be read: {problem}") from None
    lines = csv.reader(io.StringIO(text))
    header = next(lines, [])
    if header != COLUMNS:
        raise ValueError(f"{path}, line 1: the columns are {','.join(header)!r}, not {','.join(COLUMNS)!r}")
    reader = _RowReader()
    while True:
        try:
            fields = next(lines)
            if fields:
                reader.take(fields)
        except StopIteration:
            break
        except (ValueError, csv.Error) as problem:
            raise ValueError(f"{path}, line {lines.line_num}: {problem}") from None
    if not reader.rows:
        raise ValueError(f"{path}: no rows")
    for seen in reader.rows.values():
        seen.sort(key=lambda item: item[0])
    return reader.rows, sorted(set(reader.times.values()))


class _RowReader:
    """Rows as they come; times and contracts, which repeat, are read once."""

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.times: dict[str, float] = {}
        self._lists: dict[tuple[str, ...], list[tuple[float, _Row]]] = {}
        self._day: date | None = None

    def take(self, fields: list[str]) -> None:
        """One row. Raises ValueError with what is wrong."""
        if len(fields) != len(COLUMNS):
            raise ValueError(f"{len(fields)} fields, not {len(COLUMNS)}")
        moment = self.times.get(fields[0])
        if moment is None:
            moment = self._time(fields[0])
        what = tuple(fields[1:6])
        seen = self._lists.get(what)
        if seen is None:
            seen = self._lists[what] = self.rows.setdefault(_contract(*what), [])
        bid, ask, last = fields[6:9]
        row = _Row(_price("bid", bid), _price("ask", ask), _price("last", last))
        if row.bid is None and row.ask is None and row.last is None:
            raise ValueError("neither bid nor ask nor last")
        seen.append((moment, row))

    def _time(self, text: str) -> float:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"t is not a time: {text!r}") from None
        if moment.tzinfo is None:
            raise ValueError(f"t has no offset: {text!r}")
        day = moment.astimezone(NEW_YORK).date()
        if self._day is None:
            self._day = day
        if day != self._day:
            raise ValueError(f"t is on {day}, the rows before it on {self._day}")
        self.times[text] = moment.timestamp()
        return self.times[text]


def _price(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        price = float(text)
    except ValueError:
        raise ValueError(f"{name} is not a number: {text!r}") from None
    if not 0 <= price < 1e6:
        raise ValueError(f"{name} is no price: {text!r}")
    return price


def _contract(kind: str, symbol: str, expiry: str, strike: str, right: str) -> Instrument:
    """The contract of a row. Raises ValueError with what is wrong."""
    if symbol not in _OPTION_CLASSES:
        raise ValueError(f"symbol {symbol!r} is neither SPX nor SPY")
    if kind == "und":
        found = Catalogue(()).by_con_id(SPX_ID if symbol == "SPX" else SPY_ID)
        if found is not None:
            return found
    if kind != "opt":
        raise ValueError(f"kind {kind!r} is neither und nor opt")
    try:
        day, level = date.fromisoformat(expiry), float(strike)
    except ValueError:
        raise ValueError(f"not an expiry and a strike: {expiry!r}, {strike!r}") from None
    return option(_OPTION_CLASSES[symbol], day, level, right)
