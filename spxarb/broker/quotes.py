"""Market data lines: ticks in, frozen quotes out; without ib_insync and without a socket.

The gateway sends prices and sizes separately, -1 or 0 where there is no quote, and turns a live stream into a
delayed one when an entitlement lapses: tick ids from 66 up, or a marketDataType frame, show that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from spxarb.broker.convert import number
from spxarb.core import broker_codes
from spxarb.core.contracts import Contract, Quote
from spxarb.core.greeks import Greeks
from spxarb.core.model import NEW_YORK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

# Tick ids, live and delayed (IBKR API documentation, "Available Tick Types").
_PRICES = {1: "bid", 2: "ask", 4: "last", 9: "close", 66: "bid", 67: "ask", 68: "last", 75: "close"}
_SIZES = {0: "bid", 3: "ask", 69: "bid", 70: "ask"}
_SIDES = frozenset({0, 1, 2, 3, 66, 67, 69, 70})
_LASTS = frozenset({4, 68})
_SIZE_OF_PRICE = {1: 0, 2: 3, 66: 69, 67: 70}
# The model's computations, live and delayed: those of bid, ask and last jump with a wide quote.
_MODEL = {13, 83}
NOT_COMPUTED = -2
_HALTED = {49, 90}
_LAST_TIMES = {45, 88}
_DELAYED = frozenset({66, 67, 68, 69, 70, 75, 80, 81, 82, 83, 88, 90})

_NO_REFUSALS = broker_codes.DATA_ADVISORIES | broker_codes.SYSTEM_WARNINGS


@dataclass(slots=True)
class MarketDataLine:
    """One contract's stream of ticks. A side is None until its first tick and when it was withdrawn."""

    contract: Contract
    prices: dict[str, Decimal | None] = field(default_factory=dict)
    sizes: dict[str, Decimal | None] = field(default_factory=dict)
    greeks: Greeks | None = None
    no_bid: bool = False  # the newest bid was 0
    halted: bool = False
    last_time: datetime | None = None
    data_type: int | None = None
    received: float | None = None  # monotonic seconds of the newest tick of any kind
    priced: float | None = None  # and of the newest of its price
    refused: str = ""  # the gateway's words when it refuses the data
    taken: str = ""  # its words while a live session elsewhere has the data; until the next tick

    def quote(self) -> Quote:
        return Quote(
            bid=self._side("bid"),
            ask=self._side("ask"),
            last=self.prices.get("last"),
            close=self.prices.get("close"),
            bid_size=self.sizes.get("bid"),
            ask_size=self.sizes.get("ask"),
            greeks=self.greeks,
            halted=self.halted,
            data_type=self.data_type,
            received=self.received,
            priced=self.priced,
            bid_told="bid" in self.prices or "bid" in self.sizes,
            no_bid=self.no_bid,
            no_size=tuple(name for name in ("bid", "ask") if self.prices.get(name) and self._empty(name)),
            last_time=self.last_time,
        )

    def _side(self, name: str) -> Decimal | None:
        return None if self._empty(name) else self.prices.get(name)

    def _empty(self, name: str) -> bool:
        # Size 0 withdraws the price beside it, whatever that is (IBKR: "a price of -1 or 0 with a size of 0
        # indicates there are no bids or offers"). A size that has not come yet withdraws nothing.
        return name in self.sizes and self.sizes[name] is None

    def blank(self) -> None:
        """Forget all prices: they are not current any more."""
        self.prices.clear()
        self.sizes.clear()
        self.greeks, self.no_bid = None, False
        self.received = self.priced = self.last_time = None


class Feed:
    """The market data lines of one connection, by request id; collects those that moved."""

    def __init__(self) -> None:
        self._lines: dict[int, MarketDataLine] = {}
        self._ids: dict[int, int] = {}
        self._moved: dict[int, None] = {}

    def add(self, req_id: int, contract: Contract) -> None:
        """Start the contract's line, or replace it by a blank one."""
        old = self._ids.pop(contract.con_id, None)
        if old is not None:
            del self._lines[old]
        self._ids[contract.con_id] = req_id
        self._lines[req_id] = MarketDataLine(contract)

    def __contains__(self, con_id: int) -> bool:
        return con_id in self._ids

    def contracts(self) -> list[Contract]:
        return [line.contract for line in self._lines.values()]

    def line(self, con_id: int) -> MarketDataLine | None:
        req_id = self._ids.get(con_id)
        return None if req_id is None else self._lines[req_id]

    def moved(self) -> Iterator[MarketDataLine]:
        """The lines that changed since the last call."""
        moved, self._moved = self._moved, {}
        return (self._lines[req_id] for req_id in moved if req_id in self._lines)

    # --- frames as they are on the wire; `now` is monotonic seconds -----------------------------

    def price(self, fields: Sequence[str], now: float) -> None:
        """`1|6|reqId|tickType|price|size|attributes|`."""
        kind = int(fields[3])
        name = _PRICES.get(kind)
        line = self._touch(fields[2], kind, now)
        if not line or not name:
            return
        value = number(fields[4])
        # An option's bid of 0 is no price: nobody pays nothing. The gateway sends 0 as well as -1 where there
        # is none (IBKR, EWrapper.tickPrice: "no data for this field currently available"). A 0 may mean that
        # nobody bids; -1 says nothing.
        line.prices[name] = value if value is not None and value > 0 else None
        if name == "bid":
            line.no_bid = value == 0
        if kind in _SIZE_OF_PRICE:
            line.sizes[name] = number(fields[5]) or None

    def size(self, fields: Sequence[str], now: float) -> None:
        """`2|6|reqId|tickType|size|`."""
        kind = int(fields[3])
        line = self._touch(fields[2], kind, now)
        if line and kind in _SIZES:
            line.sizes[_SIZES[kind]] = number(fields[4]) or None

    def greeks(self, fields: Sequence[str], now: float) -> None:
        """`21|reqId|tickType|attribute|impliedVol|delta|optPrice|pvDividend|gamma|vega|theta|undPrice|`.

        "Not computed" is -1 for a volatility, -2 for delta, gamma, vega and theta (IBKR,
        EWrapper.tickOptionComputation), or unset. Slopes of which one is missing are none: what was computed
        before is of another price.
        """
        kind = int(fields[2])
        line = self._touch(fields[1], kind, now)
        if line and kind in _MODEL:
            line.greeks = _greeks(*(number(fields[place]) for place in (4, 5, 8, 9, 10)))

    def generic(self, fields: Sequence[str], now: float) -> None:
        """`45|6|reqId|tickType|value|`: ticks 49 and 90 are the halt flag (-1 unknown, 0 no, 1, 2 yes)."""
        line = self._touch(fields[2], int(fields[3]), now)
        if line and int(fields[3]) in _HALTED:
            line.halted = (number(fields[4]) or 0) > 0

    def text(self, fields: Sequence[str], now: float) -> None:
        """`46|6|reqId|tickType|value|`: ticks 45 and 88 are when the last price was made, unix seconds."""
        line = self._touch(fields[2], int(fields[3]), now)
        seconds = number(fields[4]) if int(fields[3]) in _LAST_TIMES else None
        if line and seconds:
            line.last_time = datetime.fromtimestamp(int(seconds), NEW_YORK)

    def data_type(self, fields: Sequence[str]) -> None:
        """`58|1|reqId|type|`: 1 live, 2 frozen, 3 delayed, 4 delayed-frozen."""
        line = self._lines.get(int(fields[2]))
        if line:
            line.data_type = int(fields[3])
            self._moved[int(fields[2])] = None

    def error(self, req_id: int, code: int, text: str) -> MarketDataLine | None:
        """Take an error frame and return its line; None when no line has that id. Stopped data is blanked."""
        line = self._lines.get(req_id)
        if line is None:
            return None
        if code == broker_codes.SHOWS_DELAYED and line.data_type in {None, 1}:
            line.data_type = 3
        if code not in _NO_REFUSALS:
            line.blank()
            # 10197: a live session elsewhere has taken the data and the prices freeze; when that session ends
            # the stream resumes by itself. Any other refusal is final.
            taken = code == broker_codes.COMPETING_SESSION
            line.refused, line.taken = ("", f"{code} {text}") if taken else (f"{code} {text}", "")
        self._moved[req_id] = None
        return line

    def taken(self) -> str:
        """The gateway's words where a live session elsewhere has the data of a line; empty where none has."""
        return next((line.taken for line in self._lines.values() if line.taken), "")

    def _touch(self, req_id: str, kind: int, now: float) -> MarketDataLine | None:
        line = self._lines.get(int(req_id))
        if line:
            # No tick of a bid or ask carries the exchange's time: arrival is all that is known of its age.
            line.received, line.taken = now, ""
            if kind in (_LASTS if line.contract.sec_type == "IND" else _SIDES):
                line.priced = now
            if kind in _DELAYED and line.data_type in {None, 1}:
                line.data_type = 3
            self._moved[int(req_id)] = None
        return line


def _greeks(
    volatility: Decimal | None,
    delta: Decimal | None,
    gamma: Decimal | None,
    vega: Decimal | None,
    theta: Decimal | None,
) -> Greeks | None:
    """The model's slopes of a call or put. A gamma or vega is never negative, and -2 is no theta."""
    if delta is None or gamma is None or vega is None or theta is None:
        return None
    if abs(delta) > 1 or gamma < 0 or vega < 0 or theta == NOT_COMPUTED:
        return None
    known = volatility is not None and volatility > 0
    return Greeks(
        float(delta), float(gamma), float(theta), float(vega), float(volatility or 0) if known else None
    )
