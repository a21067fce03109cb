"""Contracts, their quotes, and what a market must provide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from spxarb.sim.market.ticks import PENNY, SPX_OPTIONS
from spxarb.sim.market.trading_days import CLOSE, OPEN, OPTIONS_CLOSE, hours_text, previous_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

SPX_ID, SPY_ID = 416904, 756733
"""The real contract ids of the index and of the fund."""
_GRIDS = {"SPXW": 5.0, "SPX": 5.0, "SPY": 0.5}
"""Strike grid of the option classes."""
_MOST_STRIKES = 1 << 12
_EPOCH = date(2000, 1, 1).toordinal()


@dataclass(frozen=True)
class Instrument:
    """One contract. `multiplier` is shares (index: dollars a point) per contract, 0 where there is none.

    `expiry` is the last trade date, as the gateway names it; AM-settled options settle at the open of
    `settles`, the trading day after. `strike` is index points or dollars, 0 when it is no option.
    """

    con_id: int
    symbol: str
    sec_type: str
    exchange: str
    local_symbol: str
    trading_class: str
    long_name: str
    min_tick: float
    market_rule_id: int
    valid_exchanges: str
    time_zone: str
    expiry: date | None = None
    settles: date | None = None
    strike: float = 0.0
    right: str = ""
    multiplier: int = 0
    primary_exchange: str = ""
    under_con_id: int = 0
    currency: str = "USD"

    def __hash__(self) -> int:
        """Contracts with the same terms have the same id."""
        return self.con_id

    @property
    def shares(self) -> int:
        """What a price is multiplied by to get dollars per contract."""
        return self.multiplier or 1

    def intrinsic(self, under: float) -> float:
        """The exercise value with the underlying at `under`, in the strike's unit."""
        gain = under - self.strike if self.right == "C" else self.strike - under
        return round(gain, 4) if gain > 0 else 0.0


@dataclass(frozen=True)
class MarketQuote:
    """The market in one contract at one moment. None means "there is none", never 0; sizes are contracts.

    `iv` is the yearly volatility (0.15 is 15 %), `delta` per share, `gamma` its change per point, `vega` per
    percent of volatility, `theta` per trading day. `halted`: trading is suspended.
    """

    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    bid_size: int = 0
    ask_size: int = 0
    last_size: int = 0
    volume: int = 0
    high: float | None = None
    low: float | None = None
    close: float | None = None
    open: float | None = None
    iv: float | None = None
    delta: float | None = None
    gamma: float | None = None
    vega: float | None = None
    theta: float | None = None
    halted: bool = False


class Market(Protocol):
    """One trading day: a pure function of time. Moments are aware."""

    @property
    def day(self) -> date:
        """The date."""

    @property
    def open(self) -> datetime:
        """The opening, New York."""

    @property
    def close(self) -> datetime:
        """The close of the stock market, New York."""

    @property
    def description(self) -> str:
        """One line: what this market is, and what in it is made up."""

    def instruments(self) -> Sequence[Instrument]:
        """Every contract: index and stock first, options by class, expiry, strike, right."""

    def by_con_id(self, con_id: int) -> Instrument | None:
        """The contract with this id, None when there is none."""

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

    def quote(self, con_id: int, moment: datetime) -> MarketQuote:
        """The quote at a moment. Raises KeyError for an unknown contract."""

    def moments(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The moments in (after, until] at which resting orders meet the market."""


def spx_index() -> Instrument:
    """The S&P 500 index: quoted by a last price only, not traded."""
    return Instrument(
        SPX_ID, "SPX", "IND", "CBOE", "SPX", "SPX", "S&P 500 Stock Index", 0.01, PENNY, "CBOE", "US/Central"
    )


def spy_stock() -> Instrument:
    """The fund, a stock."""
    return Instrument(
        SPY_ID, "SPY", "STK", "SMART", "SPY", "SPY", "SPDR S&P 500 ETF TRUST", 0.01, PENNY, "SMART,ARCA",
        "US/Eastern", primary_exchange="ARCA",
    )  # fmt: skip


def option(trading_class: str, expiry: date, strike: float, right: str) -> Instrument:
    """A listed option. `expiry` is the date in its OSI symbol; class SPX stops trading the day before.

    Raises ValueError for an unknown class or right, or a strike off the grid (5 points, 0.50 dollars).
    """
    if trading_class not in _GRIDS or right not in {"C", "P"}:
        raise ValueError(f"no option: class {trading_class!r} (SPXW, SPX, SPY), right {right!r} (C, P)")
    grid = _GRIDS[trading_class]
    number = round(strike / grid) if 0 < strike < grid * _MOST_STRIKES else 0
    if not number or number * grid != strike:
        raise ValueError(f"strike {strike:g} is not on the grid of {grid:g} of class {trading_class}")
    series = _series(trading_class, expiry)
    return Instrument(
        con_id=series.con_id | number << 1 | (right == "P"),
        local_symbol=f"{series.name}{right}{round(strike * 1000):08d}",
        strike=float(strike),
        right=right,
        **series.terms,
    )


class _Series(NamedTuple):
    """What the options of a class and expiry share: the first parts of id and name, and terms in full."""

    con_id: int
    name: str
    terms: dict[str, Any]


@lru_cache(maxsize=64)
def _series(trading_class: str, expiry: date) -> _Series:
    """An id is the same on every day and in every market: the contract's terms packed into 31 bits."""
    days = (expiry.toordinal() - _EPOCH) % (1 << 15)
    index = trading_class != "SPY"
    terms = {
        "symbol": "SPX" if index else "SPY",
        "sec_type": "OPT",
        "exchange": "SMART",
        "trading_class": trading_class,
        "long_name": "S&P 500 Stock Index" if index else "SPDR S&P 500 ETF TRUST",
        # of SPX options a lie at 3.00 and above: the market rule says 0.10
        "min_tick": 0.05 if index else 0.01,
        "market_rule_id": SPX_OPTIONS if index else PENNY,
        "valid_exchanges": "SMART,CBOE",
        "time_zone": "US/Central" if index else "US/Eastern",
        "expiry": previous_day(expiry) if trading_class == "SPX" else expiry,
        "settles": expiry,
        "multiplier": 100,
        "under_con_id": SPX_ID if index else SPY_ID,
    }
    first = 1 << 30 | days << 15 | list(_GRIDS).index(trading_class) << 13
    return _Series(first, f"{trading_class:<6}{expiry:%y%m%d}", terms)


def session_hours(instrument: Instrument, day: date) -> tuple[str, str]:
    """Trading hours and liquid hours of a week from `day`, in the instrument's own zone.

    SPX options show 15:15 Chicago time also on the day they expire, though a PM-settled one stops at 15:00.
    """
    zone = ZoneInfo(instrument.time_zone)
    liquid = hours_text(day, zone, OPEN, CLOSE)
    if instrument.sec_type == "STK":
        return hours_text(day, zone, time(4), time(20)), liquid
    if instrument.sec_type == "IND":
        return liquid, liquid
    later = hours_text(day, zone, OPEN, OPTIONS_CLOSE)
    return later, later if instrument.symbol == "SPX" else liquid


class Catalogue:
    """The contracts of a market, by id and by description."""

    def __init__(self, options: Iterable[Instrument]) -> None:
        """The index, the stock, and these options."""
        ordered = sorted(options, key=lambda o: (o.trading_class, o.settles or date.min, o.strike, o.right))
        self.all: tuple[Instrument, ...] = (spx_index(), spy_stock(), *ordered)
        self._by_id = {item.con_id: item for item in self.all}
        self._by_expiry: dict[tuple[str, str, date | None], list[Instrument]] = {}
        """The contracts that fit symbol, kind and expiry."""
        for item in self.all:
            for expiry in {None, item.expiry}:
                self._by_expiry.setdefault((item.symbol, item.sec_type, expiry), []).append(item)

    def by_con_id(self, con_id: int) -> Instrument | None:
        """The contract with this id, None when there is none."""
        return self._by_id.get(con_id)

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
        if symbol and sec_type:
            found = self._by_expiry.get((symbol, sec_type, expiry), [])
        else:
            found = [
                item
                for item in self.all
                if symbol in {"", item.symbol}
                and sec_type in {"", item.sec_type}
                and expiry in {None, item.expiry}
            ]
        return [
            item
            for item in found
            if (strike is None or item.strike == strike)
            and (right is None or item.right == right)
            and (not trading_class or item.trading_class == trading_class)
        ]
