"""A synthetic day: a seeded index path, the fund beside it, and option quotes computed from both.

Options are worth Black-Scholes values without interest, with a mild smile, on a clock that runs with the
day's variance. Quotes are a pure function of time: the same seed, contract and moment give the same quote.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from math import log, sqrt
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from spxarb.sim.market import pricing, ticks
from spxarb.sim.market.hours import stops
from spxarb.sim.market.instruments import SPX_ID, SPY_ID, Catalogue, Instrument, MarketQuote, option
from spxarb.sim.market.path import RATIO, Path
from spxarb.sim.market.pricing import TRADING_DAYS
from spxarb.sim.market.regimes import regime as regime_named
from spxarb.sim.market.trading_days import (
    NEW_YORK,
    OPTIONS_LATER,
    check_open,
    closing,
    next_day,
    opening,
    third_friday,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date, datetime

PREMIUM = 1.05
"""Options are priced at this multiple of the path's volatility."""
STRIKE_RANGE = 0.07
"""Strikes are listed up to this fraction around the previous close."""
MEETING_SECONDS = 10
"""How often resting orders meet the market while the clock jumps."""
_MASK = (1 << 64) - 1


@lru_cache(maxsize=4)
def drawn(date: date, seed: int, regime: str) -> Path:
    """What all contracts of a day share, drawn once a process; nothing changes it afterwards."""
    seconds = int((closing(date) - opening(date)).total_seconds())
    return Path(regime_named(regime), Random(f"{date}/{seed}/{regime}"), seconds)  # noqa: S311  a market


@lru_cache(maxsize=4)
def listed(date: date, previous: float, fall: float) -> Catalogue:
    """The contracts of a day; nothing changes them afterwards."""
    return Catalogue(_options(date, previous, fall))


class Traded(NamedTuple):
    """What was traded in a contract until a minute; the names are those of `MarketQuote`."""

    last: float | None = None
    last_size: int = 0
    volume: int = 0
    high: float | None = None
    low: float | None = None
    open: float | None = None


class OptionOfDay(NamedTuple):
    """An option, and what of its quotes does not depend on the moment."""

    item: Instrument
    state: int
    """Where its pseudo-random numbers begin; see `_mixed`."""
    days_after: float
    """Trading days until expiry, beyond today."""
    traded: list[Traded]
    """What was traded until each minute, as far as asked for."""


class Conditions(NamedTuple):
    """What all options of an underlying and expiry share at one second."""

    under: float
    days: float
    """Trading days until expiry, on a clock that runs with the day's variance."""
    root: float
    """The square root of the years until expiry."""
    yearly: float
    """The volatility, without the smile."""


@lru_cache(maxsize=4)
def options_of(*_: object) -> dict[int, OptionOfDay]:
    """Of a date, seed and regime: the options that were asked for, by id."""
    return {}


class SyntheticDay:
    """A synthetic trading day. Conforms to `instruments.Market`."""

    def __init__(self, date: date, seed: int = 7, regime: str = "quiet") -> None:
        """Draw the day. Raises ValueError for a closed day and for an unknown regime."""
        check_open(date)
        self._regime = regime_named(regime)
        self.day = date
        self.open, self.close = opening(date), closing(date)
        self._seconds = int((self.close - self.open).total_seconds())
        self._seed = seed
        self._path = drawn(date, seed, regime)
        fall = -self._regime.slide[2] if self._regime.slide else 0.0
        self._catalogue = listed(date, self._path.previous, fall)
        self._options = options_of(date, seed, regime)
        self._conditions = lru_cache(maxsize=1024)(self._conditions_at)
        self._quote = lru_cache(maxsize=2048)(self._quote_at)  # bars and clients ask for the same ones again
        self.description = f"synthetic day {date}, regime {regime}, seed {seed}: {self._regime.sentence}"

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

    def moments(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Every 10 s of the session in (after, until]."""
        first = max(0, int((after - self.open).total_seconds()) // MEETING_SECONDS + 1)
        end = min(until, self.close + OPTIONS_LATER)
        for number in range(first, int((end - self.open).total_seconds()) // MEETING_SECONDS + 1):
            yield self.open + timedelta(seconds=number * MEETING_SECONDS)

    def quote(self, con_id: int, moment: datetime) -> MarketQuote:
        """The quote at a moment: before the open only the previous close, after trading only the last price.

        On a later day this day's last price is the previous close.
        """
        instrument = self._catalogue.by_con_id(con_id)
        if instrument is None:
            raise KeyError(con_id)
        since = int((moment - self.open).total_seconds() // 1)
        second = min(since, self._seconds)
        trades = since >= 0 and moment < self._stop(instrument)
        quote = self._quote(instrument, second, trades=trades)
        if instrument.sec_type != "OPT" and moment.astimezone(NEW_YORK).date() > self.day:
            return replace(quote, close=quote.last)
        return quote

    def _quote_at(self, item: Instrument, second: int, *, trades: bool) -> MarketQuote:
        if item.con_id == SPX_ID:
            return self._index(second)
        if item.con_id == SPY_ID:
            return self._stock(second, trades=trades)
        return self._option(item, second, trades=trades)

    def _stop(self, item: Instrument) -> datetime:
        """When trading in a contract ends today; AM-settled options had their last trade the day before."""
        over = item.expiry is not None and item.expiry < self.day
        return self.open if over else stops(item, self.day)

    def _halted(self, second: int) -> bool:
        begin, minutes = self._regime.halt or (0, 0)
        return begin * 60 <= second < (begin + minutes) * 60

    def _index(self, second: int) -> MarketQuote:
        path = self._path
        if second < 0:
            return MarketQuote(last=path.previous, close=path.previous)
        return MarketQuote(
            last=path.prints.at(second),
            high=path.prints.high(second),
            low=path.prints.low(second),
            open=path.prints.first,
            close=path.previous,
            halted=self._halted(second),
        )

    def _stock(self, second: int, *, trades: bool) -> MarketQuote:
        path = self._path
        if second < 0:
            return MarketQuote(last=path.spy_previous, close=path.spy_previous)
        exact = path.spy[second]
        state = _mixed(_mixed(self._seed & _MASK, SPY_ID), second)
        shown = trades and not self._halted(second)
        bid = int(exact * 100) / 100
        return MarketQuote(
            bid=bid if shown else None,
            ask=round(bid + 0.01, 2) if shown else None,
            last=round(exact, 2),
            bid_size=_draw(state, 1, 300, 3000) if shown else 0,
            ask_size=_draw(state, 2, 300, 3000) if shown else 0,
            last_size=100,
            volume=int(8e7 * path.passed[second]),
            high=path.spy_prints.high(second),
            low=path.spy_prints.low(second),
            open=path.spy_prints.first,
            close=path.spy_previous,
            halted=self._halted(second),
        )

    def _conditions_at(self, second: int, symbol: str, days_after: float) -> Conditions:
        path = self._path
        stirred = self._regime.slide is not None and second >= self._regime.slide[0] * 60
        days = 1 - path.passed[second] + days_after
        return Conditions(
            under=(path.spx if symbol == "SPX" else path.spy)[second],
            days=days,
            root=sqrt(days / TRADING_DAYS),
            yearly=path.volatility * PREMIUM * (2 if stirred else 1),
        )

    def _worth(self, item: Instrument, second: int, under: float, deviation: float) -> float:
        worth = pricing.value(under, item.strike, deviation, item.right)
        if self._regime.richness and item.symbol == "SPY" and item.right == "C":
            worth += self._regime.richness * (1 - second / self._seconds)
        return worth

    def _option(self, item: Instrument, second: int, *, trades: bool) -> MarketQuote:
        if second < 0:
            return MarketQuote()
        option = self._options.get(item.con_id)
        if option is None:
            state = _mixed(self._seed & _MASK, item.con_id)
            option = self._options[item.con_id] = OptionOfDay(item, state, _days_after(self.day, item), [])
        seen = self._trades_until(option, second // 60)
        if not trades or self._halted(second):
            return MarketQuote(**seen._asdict(), halted=self._halted(second))
        under, days, root, yearly = self._conditions(second, item.symbol, option.days_after)
        volatility = _smiling(yearly, root, item.strike, under)
        deviation = volatility * root
        bid, ask = _sides(option, second, under, self._worth(item, second, under, deviation))
        slopes = pricing.slopes(under, item.strike, volatility, days)
        least, most = (10, 60) if item.symbol == "SPX" else self._regime.sizes
        state = _mixed(option.state, second // 5)
        return MarketQuote(
            bid=bid,
            ask=ask,
            bid_size=_draw(state, 1, least, most) if bid else 0,
            ask_size=_draw(state, 2, least, most),
            **seen._asdict(),
            iv=round(volatility, 4),
            delta=round(pricing.delta(under, item.strike, deviation, item.right), 4),
            gamma=round(slopes.gamma, 6),
            vega=round(slopes.vega, 4),
            theta=round(slopes.theta, 4),
        )

    def _trades_until(self, option: OptionOfDay, minute: int) -> Traded:
        """Last, open, high, low, volume: one trade per minute, at bid or ask; without a bid there is none."""
        seen = option.traded
        while len(seen) <= minute:
            seen.append(self._trade(option, len(seen), seen[-1] if seen else Traded()))
        return seen[minute]

    def _trade(self, option: OptionOfDay, minute: int, before: Traded) -> Traded:
        item, second = option.item, min(minute * 60, self._seconds)
        under, _, root, yearly = self._conditions(second, item.symbol, option.days_after)
        deviation = _smiling(yearly, root, item.strike, under) * root
        bid, ask = _sides(option, second, under, self._worth(item, second, under, deviation))
        if bid is None or self._halted(second):
            return before
        state = _mixed(option.state, minute)
        price = bid if _share(state, 4) < 0.5 else ask
        return Traded(
            price,
            1,
            before.volume + _draw(state, 5, 1, 200),
            price if before.high is None else max(before.high, price),
            price if before.low is None else min(before.low, price),
            price if before.open is None else before.open,
        )


def _smiling(yearly: float, root: float, strike: float, under: float) -> float:
    """A year's volatility, with the smile."""
    without_smile = yearly * root
    if without_smile > 0:
        far = max(-4.0, min(4.0, log(strike / under) / without_smile))
        yearly *= 1 - 0.04 * far + 0.015 * far * far
    return yearly


def _sides(option: OptionOfDay, second: int, under: float, worth: float) -> tuple[float | None, float]:
    """Bid and ask: the value less and plus half the width, moved outward to legal prices."""
    item = option.item
    index = item.symbol == "SPX"
    least, most, flat, share = (0.08, 0.18, 0.02, 0.08) if index else (0.004, 0.014, 0.002, 0.05)
    drawn = least + (most - least) * _share(_mixed(option.state, second // 10), 3)
    half = min(drawn / 2, flat + share * worth) + 0.002 * max(0.0, item.intrinsic(under) - under * 0.003)
    rule = item.market_rule_id
    bid = ticks.at_or_below(rule, worth - half)
    return bid or None, ticks.at_or_above(rule, worth + half)


def _mixed(state: int, part: int) -> int:
    """The state of a pseudo-random number with one more part in it: the contract, the time, a salt."""
    state = ((state ^ part) * 0x9E3779B97F4A7C15) & _MASK
    return state ^ state >> 29


def _share(state: int, salt: int) -> float:
    """A pseudo-random number from 0 to 1, the same for the same seed and parts."""
    return ((_mixed(state, salt) * 0xBF58476D1CE4E5B9 & _MASK) >> 11) * 2.0**-53


def _draw(state: int, salt: int, least: int, most: int) -> int:
    return least + int(_share(state, salt) * (most - least + 1))


def _days_after(day: date, item: Instrument) -> float:
    """Trading days until expiry, beyond today; the night before an AM settlement counts 0.25."""
    if item.trading_class == "SPX":
        return 0.25
    return 0.0 if item.expiry == day else 1.0


def _options(day: date, spx: float, fall: float) -> Iterable[Instrument]:
    """Today's and the next trading day's SPXW and SPY options, and AM-settled SPX ones of either day."""
    low, high = spx * (1 - STRIKE_RANGE - fall), spx * (1 + STRIKE_RANGE)
    for expiry in (day, next_day(day)):
        yield from _chain("SPXW", expiry, low, high, 5)
        yield from _chain("SPY", expiry, low / RATIO, high / RATIO, 1)
        if expiry == third_friday(expiry.year, expiry.month):
            yield from _chain("SPX", expiry, low, high, 5)


def _chain(trading_class: str, expiry: date, low: float, high: float, step: int) -> Iterator[Instrument]:
    for number in range(round(low / step), round(high / step) + 1):
        for right in ("C", "P"):
            yield option(trading_class, expiry, float(number * step), right)
