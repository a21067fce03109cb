"""Contracts as the broker qualifies them, and their quotes; None is a price that nobody has told."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from spxarb.core.model import CENT, ZERO

if TYPE_CHECKING:
    from datetime import date, datetime

    from spxarb.core.greeks import Greeks


@dataclass(frozen=True, slots=True)
class TickRule:
    """Market-rule rows `(low edge, increment)`, ascending: the increment holds from its edge up."""

    rows: tuple[tuple[Decimal, Decimal], ...]

    def increment(self, price: Decimal) -> Decimal:
        """The legal step at `price`."""
        step = self.rows[0][1]
        for edge, inc in self.rows:
            if price >= edge:
                step = inc
        return step

    def legal(self, price: Decimal) -> bool:
        return price > 0 and price % self.increment(price) == 0

    def down(self, price: Decimal) -> Decimal:
        """The highest legal price at or below `price` (0 when there is none)."""
        step = self.increment(price)
        return max(price // step * step, ZERO)

    def up(self, price: Decimal) -> Decimal:
        """The lowest legal price at or above `price`."""
        low = self.down(price)
        return low if low == price and low > 0 else self.above(price)

    def above(self, price: Decimal) -> Decimal:
        """The lowest legal price above `price`."""
        low = self.down(price)
        return low + self.increment(low)

    def below(self, price: Decimal) -> Decimal:
        """The highest legal price below `price` (0 when there is none)."""
        low = self.down(price)
        if low < price:
            return low
        # At an edge the step below the edge is the smaller one.
        step = self.increment(price - min(inc for _, inc in self.rows))
        return max(price - step, ZERO)

    @property
    def lowest(self) -> Decimal:
        """The lowest legal price, dollars."""
        return self.rows[0][1]


PENNY = TickRule(((ZERO, CENT),))


SPX_OPTION_TICKS = TickRule(((ZERO, Decimal("0.05")), (Decimal(3), Decimal("0.10"))))


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract as the broker qualified it."""

    con_id: int
    symbol: str
    sec_type: str  # IND | STK | OPT
    exchange: str = "SMART"
    currency: str = "USD"
    trading_class: str = ""
    local_symbol: str = ""
    expiry: date | None = None
    strike: Decimal | None = None
    right: str | None = None  # C | P
    multiplier: int = 1
    ticks: TickRule = PENNY

    def __str__(self) -> str:
        if self.sec_type != "OPT":
            return self.symbol
        kind = {"C": "call", "P": "put"}.get(self.right or "", "?")
        return f"{self.trading_class} {self.expiry} {(self.strike or ZERO).normalize():f} {kind}"


@dataclass(frozen=True, slots=True)
class Quote:
    """One line of market data. None: never seen, or withdrawn (the wire's -1 and size 0)."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    close: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    greeks: Greeks | None = None  # of the gateway's model
    halted: bool = False
    data_type: int | None = None  # 1 live, 2 frozen, 3 delayed, 4 delayed-frozen
    received: float | None = None  # monotonic seconds of the newest tick of any kind
    priced: float | None = None  # of the newest bid or ask, or their sizes; of an index its last price
    bid_told: bool = False  # the broker has sent something of the bid, be it only -1
    no_bid: bool = False  # the broker has sent a bid of 0: nobody bids. Of -1 nothing is known
    no_size: tuple[str, ...] = ()  # sides ("bid", "ask") that have a price and a size of 0: withdrawn
    last_time: datetime | None = None  # when `last` was traded, or the index computed

    @property
    def mid(self) -> Decimal | None:
        if self.bid is None or self.ask is None:
            return None
        return (self.bid + self.ask) / 2

    @property
    def width(self) -> Decimal | None:
        return None if self.bid is None or self.ask is None else self.ask - self.bid

    @property
    def two_sided(self) -> bool:
        return self.bid is not None and self.ask is not None and self.bid > 0

    @property
    def crossed(self) -> bool:
        return self.bid is not None and self.ask is not None and self.bid > self.ask
