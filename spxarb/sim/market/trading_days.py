"""When the market is open: NYSE days and half-days, third Fridays, and hours as the gateway writes them.

Source: the NYSE calendar of the `holidays` package, full closures and 13:00 closes.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
OPEN, CLOSE, EARLY_CLOSE, OPTIONS_CLOSE = time(9, 30), time(16), time(13), time(16, 15)
EARLY_OPTIONS_CLOSE = time(13, 15)
OPTIONS_LATER = timedelta(minutes=15)
"""How much longer than the stock market most options trade; see `hours`."""
_DAYS_SHOWN = 7


@lru_cache(maxsize=16)
def _year(year: int) -> tuple[frozenset[date], frozenset[date]]:
    """Full closures and half-days of a year."""
    import holidays  # noqa: PLC0415  costs 0.05 s; not every use of a market needs it

    full = holidays.financial_holidays("NYSE", years=year)
    half = holidays.financial_holidays("NYSE", years=year, categories=("half_day",))
    return frozenset(full), frozenset(half)


def is_open(day: date) -> bool:
    """True when the exchange has a session on `day`."""
    return day.weekday() < 5 and day not in _year(day.year)[0]


def next_day(day: date) -> date:
    """The first trading day after `day`."""
    day += timedelta(days=1)
    while not is_open(day):
        day += timedelta(days=1)
    return day


def previous_day(day: date) -> date:
    """The last trading day before `day`."""
    day -= timedelta(days=1)
    while not is_open(day):
        day -= timedelta(days=1)
    return day


def opening(day: date) -> datetime:
    """09:30 in New York."""
    return datetime.combine(day, OPEN, NEW_YORK)


@lru_cache(maxsize=64)
def closing(day: date) -> datetime:
    """16:00 in New York, 13:00 on a half-day."""
    return datetime.combine(day, EARLY_CLOSE if day in _year(day.year)[1] else CLOSE, NEW_YORK)


def third_friday(year: int, month: int) -> date:
    """The day on which AM-settled SPX options of a month settle: the trading day before when it is closed."""
    first = date(year, month, 1)
    friday = first + timedelta(days=(4 - first.weekday()) % 7 + 14)
    return friday if is_open(friday) else previous_day(friday)


def check_open(day: date) -> None:
    """Raises ValueError with one line when the exchange is closed on `day`."""
    if not is_open(day):
        raise ValueError(f"the exchange is closed on {day:%A} {day}; choose a trading day")


@lru_cache(maxsize=64)
def hours_text(day: date, zone: ZoneInfo, start: time, end: time) -> str:
    """Sessions of a week from `day` as the gateway writes them, in `zone`.

    `start` and `end` are New York times of an ordinary day; what ends at 16:15 ends at 13:15 on a half-day
    ("1:15 p.m. for eligible options", NYSE), all else at 13:00.
    """
    days = (day + timedelta(days=n) for n in range(_DAYS_SHOWN))
    return ";".join(_session(day, zone, start, end) for day in days)


def _session(day: date, zone: ZoneInfo, start: time, end: time) -> str:
    if not is_open(day):
        return f"{day:%Y%m%d}:CLOSED"
    if closing(day).time() == EARLY_CLOSE:
        end = EARLY_OPTIONS_CLOSE if end == OPTIONS_CLOSE else EARLY_CLOSE
    edges = (datetime.combine(day, edge, NEW_YORK).astimezone(zone) for edge in (start, end))
    return "-".join(f"{moment:%Y%m%d:%H%M}" for moment in edges)
