"""Exchange closures: the NYSE calendar of the `holidays` package plus the configured dates.

SPX and SPY options follow the NYSE's days and its 13:00 closes. An unscheduled closure that the package does
not know yet goes into `calendar.closed`; an entry also compares the calendar with the broker's own hours.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from spxarb.core.sessions import (
    SATURDAY,
    STORED_TIMETABLE,
    TradingDay,
    day_from_stored,
    session_times,
    trading_day,
)
from spxarb.imports import trimmed

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from spxarb.config.schema import Sections
    from spxarb.core.records import Trade


class DaySession(NamedTuple):
    """What a day is at the exchange: its timetable, None without one, and why it is not an ordinary day."""

    day: date
    hours: TradingDay | None
    why: str


class Closures(NamedTuple):
    """`closed`: days without a session; `early`: days that close at 13:00 New York time."""

    closed: frozenset[date]
    early: frozenset[date]


def closures(*years: int, closed: Collection[date] = (), early: Collection[date] = ()) -> Closures:
    """All closures of `years`, with additional `closed` and `early` days; `closed` wins over `early`."""
    known = [_exchange_year(year) for year in years]
    shut = frozenset(closed).union(*(year.closed for year in known))
    short = frozenset(early).union(*(year.early for year in known))
    return Closures(shut, short - shut)


def closures_around(day: date, config: Sections) -> Closures:
    """The closures of the year of `day` and the years before and after, with the configured ones."""
    years = (day.year - 1, day.year, day.year + 1)
    return closures(*years, closed=config.calendar.closed, early=config.calendar.early_close)


def timetable(day: date, config: Sections) -> TradingDay | None:
    """The timetable of `day` at the configured times; None when the exchange is closed."""
    calendar, times = config.calendar, config.trading
    known = closures(day.year, closed=calendar.closed, early=calendar.early_close)
    return trading_day(
        day,
        closed=known.closed,
        early=known.early,
        entry_time=times.entry_time,
        entry_cutoff=times.entry_cutoff,
        exit_check_time=times.exit_check_time,
    )


def session_on(day: date, config: Sections) -> DaySession:
    """The session of `day`; `why` is empty on an ordinary day."""
    hours = timetable(day, config)
    if hours is not None and not hours.early:
        return DaySession(day, hours, "")
    if hours is None and day.weekday() >= SATURDAY:
        return DaySession(day, None, f"{day:%A}")
    known = _exchange()(years=day.year, categories=("half_day",) if hours else ("public",))
    key = "early_close" if hours else "closed"
    name = str(known.get(day, "")).partition(" (")[0] or f"calendar.{key} in the configuration"
    return DaySession(day, hours, name)


def timetable_of(trade: Trade, config: Sections) -> TradingDay:
    """The timetable by which a trade is exited: the one that was stored at its entry.

    What the calendar or the configuration says by now must not make an exit that is due never due. Without
    a stored one (the trade is of an older version) the times in force at its entry, on a day without holiday.
    """
    with suppress(KeyError, TypeError, ValueError):
        stored = day_from_stored(trade.limits[STORED_TIMETABLE])
        if stored.day == trade.expiry:
            return stored
    times = config.trading
    with suppress(KeyError, TypeError, ValueError):
        times = times.model_validate(trade.limits["trading"])
    early = closures(trade.expiry.year, early=config.calendar.early_close).early
    return session_times(
        trade.expiry,
        early=early,
        entry_time=times.entry_time,
        entry_cutoff=times.entry_cutoff,
        exit_check_time=times.exit_check_time,
    )


@lru_cache(maxsize=32)
def _exchange_year(year: int) -> Closures:
    exchange = _exchange()
    full, half = exchange(years=year), exchange(years=year, categories=("half_day",))
    return Closures(frozenset(full), frozenset(half))


@lru_cache(maxsize=1)
def _exchange() -> Any:
    """The package's NYSE."""
    with trimmed("holidays"):
        from holidays.financial.ny_stock_exchange import NewYorkStockExchange  # noqa: PLC0415

    return NewYorkStockExchange
