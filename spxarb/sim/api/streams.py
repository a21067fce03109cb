"""Market data lines: a quote as ticks, and after that only what changed.

Tick ids and the order at the start follow a live option's line: 81, 58, bid, ask, last, volume, high, low,
close, open, 45, 32/33, then the computations 10 to 13. No quote is price -1 with size 0, an option without
a bid beside an ask price 0 with size 0: a gateway may send either (IBKR, EWrapper.tickPrice).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.sim.api.wire import Say, frame

if TYPE_CHECKING:
    from datetime import datetime

    from spxarb.sim.market.instruments import Instrument, MarketQuote

BID_SIZE, BID, ASK, ASK_SIZE, LAST, LAST_SIZE, HIGH, LOW, VOLUME, CLOSE, OPEN = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    14,
)
LAST_TIME, BID_EXCHANGE, ASK_EXCHANGE, HALTED = 45, 32, 33, 49
BID_OPTION, ASK_OPTION, LAST_OPTION, MODEL_OPTION = 10, 11, 12, 13
LIVE, FROZEN = 1, 2
_DELAYED = {
    BID: 66,
    ASK: 67,
    LAST: 68,
    BID_SIZE: 69,
    ASK_SIZE: 70,
    LAST_SIZE: 71,
    HIGH: 72,
    LOW: 73,
    VOLUME: 74,
}
_DELAYED |= {
    CLOSE: 75,
    OPEN: 76,
    LAST_TIME: 88,
    BID_OPTION: 80,
    ASK_OPTION: 81,
    LAST_OPTION: 82,
    MODEL_OPTION: 83,
}


NO_QUOTE = -1.0
"""A price of the wire: nothing is known of a bid or an ask. An option that nobody bids for has a bid of 0."""


@dataclass(frozen=True)
class ShownQuote:
    """What a line shows: a quote, the moment at which it was true, and its market data type (1 to 4)."""

    quote: MarketQuote
    moment: datetime
    kind: int
    last_age: timedelta = timedelta()
    """How long before that moment the last price was made."""


class Stream:
    """One market data line of one client."""

    def __init__(self, request: int, instrument: Instrument) -> None:
        """A line for `instrument` under the ticker id `request`; nothing sent yet."""
        self.request = request
        self.instrument = instrument
        self._kind: int | None = None
        self._sent: MarketQuote | None = None

    def start(self) -> bytes:
        """tickReqParams: the tick size, the id of an exchange map (not served), snapshot permissions."""
        return frame(Say.TICK_PARAMETERS, self.request, self.instrument.min_tick, "9c0001", 3)

    def update(self, shown: ShownQuote, under: float | None) -> list[bytes]:
        """The ticks, a frame each, that lead from the quote sent last to this one; empty without a change.

        `under` is the underlying's price for the option computations.
        """
        quote, now = shown.quote, shown.moment - shown.last_age
        if quote.bid is None and quote.ask is not None and self.instrument.sec_type == "OPT":
            quote = replace(quote, bid=0.0)
        ticks: list[bytes] = []
        if shown.kind != self._kind:
            ticks.append(frame(Say.MARKET_DATA_TYPE, 1, self.request, shown.kind))
            self._kind, self._sent = shown.kind, None
        before = self._sent
        if before is None or before != quote:
            bid = (before.bid, before.bid_size) if before else None
            ask = (before.ask, before.ask_size) if before else None
            ticks += self._side(BID, BID_SIZE, quote.bid, quote.bid_size, bid)
            ticks += self._side(ASK, ASK_SIZE, quote.ask, quote.ask_size, ask)
            ticks += self._last(quote, before, now)
            ticks += self._day(quote, before)
            if self.instrument.sec_type == "OPT":
                ticks += self._computations(quote, before, under)
            self._sent = quote
        return ticks

    def _id(self, tick: int) -> int:
        return _DELAYED.get(tick, tick) if self._kind in {3, 4} else tick

    def _price(self, tick: int, price: float | None, size: int | None = 0) -> bytes:
        missing = price is None or price < 0
        text = NO_QUOTE if price is None else price
        attributes = 1 if tick in {BID, ASK} and not missing else 0
        return frame(
            Say.TICK_PRICE, 6, self.request, self._id(tick), text, 0 if missing else size, attributes
        )

    def _size(self, tick: int, size: int) -> bytes:
        return frame(Say.TICK_SIZE, 6, self.request, self._id(tick), size)

    def _side(
        self,
        tick: int,
        size_tick: int,
        price: float | None,
        size: int,
        before: tuple[float | None, int] | None,
    ) -> list[bytes]:
        """Bid or ask. An index has none: it is never sent one."""
        if self.instrument.sec_type == "IND":
            return []
        size = 0 if price is None or price <= 0 else size
        if before is None or before[0] != price:
            return [self._price(tick, price, size), self._size(size_tick, size)]
        return [self._size(size_tick, size)] if before[1] != size and price is not None else []

    def _last(self, quote: MarketQuote, before: MarketQuote | None, now: datetime) -> list[bytes]:
        if quote.last is None or (before and (before.last, before.volume) == (quote.last, quote.volume)):
            return []
        size = 0 if self.instrument.sec_type == "IND" else quote.last_size
        ticks = [self._price(LAST, quote.last, size), self._size(LAST_SIZE, size)]
        return [
            *ticks,
            frame(Say.TICK_STRING, 6, self.request, self._id(LAST_TIME), str(int(now.timestamp()))),
        ]

    def _day(self, quote: MarketQuote, before: MarketQuote | None) -> list[bytes]:
        """Volume, high, low, close, open; the halt flag; at the start also the exchanges."""
        ticks: list[bytes] = []
        if self.instrument.sec_type != "IND" and (before is None or before.volume != quote.volume):
            ticks.append(self._size(VOLUME, quote.volume))
        for tick, name in ((HIGH, "high"), (LOW, "low"), (CLOSE, "close"), (OPEN, "open")):
            price = getattr(quote, name)
            if price is not None and (before is None or getattr(before, name) != price):
                ticks.append(self._price(tick, price))
        if before is None and self.instrument.sec_type != "IND":
            ticks.append(frame(Say.TICK_STRING, 6, self.request, BID_EXCHANGE, "C"))
            ticks.append(frame(Say.TICK_STRING, 6, self.request, ASK_EXCHANGE, "C"))
        if before is None or before.halted != quote.halted:
            ticks.append(frame(Say.TICK_GENERIC, 6, self.request, HALTED, float(quote.halted)))
        return ticks

    def _computations(
        self, quote: MarketQuote, before: MarketQuote | None, under: float | None
    ) -> list[bytes]:
        """Bid, ask, last and model computations."""
        if quote.iv is None and quote.delta is None:
            return []
        model = (
            None
            if quote.bid is None or quote.ask is None or min(quote.bid, quote.ask) <= 0
            else (quote.bid + quote.ask) / 2
        )
        rows = (
            (BID_OPTION, quote.bid, before and before.bid),
            (ASK_OPTION, quote.ask, before and before.ask),
            (LAST_OPTION, quote.last, before and before.last),
            (MODEL_OPTION, model, None),
        )
        return [
            self._computation(tick, quote, price, under)
            for tick, price, old in rows
            if price is not None and price > 0 and (tick == MODEL_OPTION or price != old)
        ]

    def _computation(self, tick: int, quote: MarketQuote, price: float, under: float | None) -> bytes:
        """One tickOptionComputation: -1 and -2 stand for what is not computed."""
        return frame(
            Say.TICK_OPTION,
            self.request,
            self._id(tick),
            0,
            -1.0 if quote.iv is None else quote.iv,
            -2.0 if quote.delta is None else quote.delta,
            price,
            0.0,
            *(-2.0 if slope is None else slope for slope in (quote.gamma, quote.vega, quote.theta)),
            -1.0 if under is None else under,
        )
