"""Historical bars, made from the market's own quotes: no bar looks beyond the clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from spxarb.sim.api.layouts import wire_time
from spxarb.sim.api.requests import read_time
from spxarb.sim.api.wire import Say, frame
from spxarb.sim.market.trading_days import NEW_YORK, closing, is_open, opening, previous_day

if TYPE_CHECKING:
    from spxarb.sim.api.requests import HistoryRequest
    from spxarb.sim.api.wire import Value
    from spxarb.sim.market.instruments import Instrument, Market, MarketQuote

MAX_BARS = 2000
A_DAY = 86400
OFFICIAL_AFTER = timedelta(minutes=20)
"""From the close until the official one is in the daily bar: minutes, sometimes half an hour (Cboe)."""
SCHEDULES, ZONED_TIMES = 165, 174
"""From these server versions on, sessions can be asked for, and times carry their zone."""
_UNITS = {"sec": 1, "secs": 1, "min": 60, "mins": 60, "hour": 3600, "hours": 3600, "day": 86400}
_SIZES = {1, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400, 28800, 86400}
_KINDS = {"TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK"}


@dataclass(frozen=True)
class Plan:
    """A request resolved: `start` and `end` lie inside the market's day, `bar` is in seconds."""

    start: datetime
    end: datetime
    bar: int
    what: str
    epoch: bool


@dataclass(frozen=True)
class Bar:
    """One bar; for BID_ASK open and close are the mean bid and ask, low and high the extreme ones."""

    time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: int
    average: float

    def date_text(self, plan: Plan, version: int) -> str:
        """The bar's time as the client asked for it."""
        if plan.bar == A_DAY:
            return f"{self.time:%Y%m%d}"
        if plan.epoch:
            return str(int(self.time.timestamp()))
        return (
            wire_time(self.time)
            if version >= ZONED_TIMES
            else f"{self.time.astimezone(NEW_YORK):%Y%m%d  %H:%M:%S}"
        )

    def fields(self, plan: Plan, version: int) -> list[Value]:
        """The 8 fields of a bar: date, open, high, low, close, volume, average, count (unknown: -1)."""
        date = self.date_text(plan, version)
        return [date, self.open, self.high, self.low, self.close, self.volume, self.average, -1]


def plan(asked: HistoryRequest, market: Market, now: datetime) -> Plan:
    """The window and bar size of a request. Raises ValueError with the cause when it makes no sense."""
    if asked.what.upper() not in _KINDS:
        raise ValueError(f"whatToShow {asked.what!r} is not one of {', '.join(sorted(_KINDS))}")
    if asked.keep_up_to_date and asked.end:
        raise ValueError("keepUpToDate wants an empty end time")
    bar = _seconds(asked.bar_size, _UNITS, "bar size")
    if bar not in _SIZES:
        raise ValueError(f"bar size {asked.bar_size!r} is not offered")
    days = {"S": 1, "D": 86400, "W": 7 * 86400, "M": 31 * 86400, "Y": 366 * 86400}
    duration = _seconds(asked.duration, days, "duration")
    end = min(read_time(asked.end).astimezone(NEW_YORK) if asked.end else now, now, market.close)
    start = (
        market.open
        if asked.duration.strip()[-1] != "S"
        else max(market.open, end - timedelta(seconds=duration))
    )
    if (end - start).total_seconds() / bar > MAX_BARS:
        raise ValueError(f"more than {MAX_BARS} bars; ask for larger ones or a shorter duration")
    return Plan(start, end, bar, asked.what.upper(), epoch=asked.format_date == 2)


def schedule(asked: HistoryRequest, instrument: Instrument, market: Market, now: datetime) -> list[Value]:
    """The regular sessions of as many trading days as asked for, in the instrument's own zone, oldest first.

    Fields: start, end, zone, count, and each session's start, end and date. Raises ValueError with the cause
    when the request makes no sense.
    """
    if asked.bar_size.strip() != "1 day" or not asked.regular_hours or asked.keep_up_to_date:
        raise ValueError("SCHEDULE wants bars of 1 day, regular hours, and no updates")
    count = _seconds(asked.duration, {"D": 1, "W": 5, "M": 21, "Y": 252}, "duration")
    if count > MAX_BARS:
        raise ValueError(f"more than {MAX_BARS} sessions; ask for a shorter duration")
    end = read_time(asked.end).astimezone(NEW_YORK) if asked.end else now
    day = min(end, market.close).date()
    days = [day if is_open(day) else previous_day(day)]
    while len(days) < count:
        days.append(previous_day(days[-1]))
    zone = ZoneInfo(instrument.time_zone)
    rows = [
        (*(f"{edge.astimezone(zone):%Y%m%d-%H:%M:%S}" for edge in (opening(d), closing(d))), f"{d:%Y%m%d}")
        for d in reversed(days)
    ]
    return [rows[0][0], rows[-1][1], instrument.time_zone, len(rows), *(text for row in rows for text in row)]


def _seconds(text: str, units: dict[str, int], name: str) -> int:
    count, _, unit = text.strip().partition(" ")
    if not count.isascii() or not count.isdigit() or len(count) > 6 or unit not in units or int(count) == 0:
        raise ValueError(f"{name} {text!r} is not a count and one of {', '.join(units)}")
    return int(count) * units[unit]


def bars(market: Market, instrument: Instrument, plan: Plan, now: datetime) -> list[Bar]:
    """The bars of the plan's window that begin before `now`, oldest first; those without a price left out."""
    size = timedelta(seconds=plan.bar)
    skipped = int((plan.start - market.open) / size)
    time, end = market.open + skipped * size, min(plan.end, now)
    made = []
    while time < end:
        bar = _bar(market, instrument, plan, time, min(time + size, end))
        if bar is not None:
            made.append(bar)
        time += size
    return made


def with_official_close(days: list[Bar], market: Market, by: float, now: datetime) -> list[Bar]:
    """Daily bars: from a while after the close on, the last one ends at the official close."""
    if not by or not days or now < market.close + OFFICIAL_AFTER:
        return days
    last, close = days[-1], round(days[-1].close + by, 4)
    return [
        *days[:-1],
        replace(last, close=close, high=max(last.high, close), low=min(last.low, close)),
    ]


def _bar(market: Market, instrument: Instrument, plan: Plan, start: datetime, end: datetime) -> Bar | None:
    """One bar from samples of the quote, a quarter of the bar apart (1 to 60 seconds), both ends included."""
    step = timedelta(seconds=min(60.0, max(1.0, plan.bar / 4)))
    moments = [start + step * i for i in range(int((end - start) / step) + 1)]
    if moments[-1] < end:
        moments.append(end)
    quotes = [market.quote(instrument.con_id, moment) for moment in moments]
    if plan.what == "BID_ASK":
        bids = [quote.bid for quote in quotes if quote.bid is not None]
        asks = [quote.ask for quote in quotes if quote.ask is not None]
        if not bids or not asks:
            return None
        bid, ask = _mean(bids), _mean(asks)
        return Bar(start, bid, max(asks), min(bids), ask, -1, _mean([bid, ask]))
    prices = [price for quote in quotes if (price := _price(quote, plan.what)) is not None]
    if not prices:
        return None
    volume = quotes[-1].volume - quotes[0].volume if plan.what == "TRADES" else -1
    return Bar(start, prices[0], max(prices), min(prices), prices[-1], volume, _mean(prices))


def _price(quote: MarketQuote, what: str) -> float | None:
    if what == "TRADES":
        return quote.last
    if what == "BID":
        return quote.bid
    if what == "ASK":
        return quote.ask
    return None if quote.bid is None or quote.ask is None else round((quote.bid + quote.ask) / 2, 4)


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 4)


class HistoryStream:
    """Bars that keep up to date: the newest one is sent again whenever it changes."""

    def __init__(self, request: int, instrument: Instrument, plan: Plan) -> None:
        """Continue after the bars of `plan`."""
        self._request = request
        self._instrument = instrument
        self._plan = plan
        self._from = plan.end
        self._sent: Bar | None = None

    def update(self, market: Market, now: datetime, version: int) -> list[bytes]:
        """HistoricalDataUpdate frames for the bars since the last call."""
        end = min(now, market.close)
        plan = Plan(self._from, end, self._plan.bar, self._plan.what, self._plan.epoch)
        out: list[bytes] = []
        for bar in bars(market, self._instrument, plan, end)[-MAX_BARS:]:
            if bar != self._sent:
                out.append(self._frame(bar, version))
                self._sent = bar
        self._from = max(self._from, end)
        return out

    def _frame(self, bar: Bar, version: int) -> bytes:
        """Message 90: count, date, open, close, high, low, average, volume, in this order."""
        prices = bar.open, bar.close, bar.high, bar.low, bar.average
        date = bar.date_text(self._plan, version)
        return frame(Say.HISTORICAL_UPDATE, self._request, -1, date, *prices, bar.volume)
