"""Trading days and the day's timetable: pure functions of a date, the closures and the configured times.

The exchange's regular session is 09:30-16:00 in New York, on an early close 09:30-13:00 (NYSE, Cboe). The
closures are arguments; `spxarb.trading.market_calendar` knows them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from spxarb.core.model import NEW_YORK

if TYPE_CHECKING:
    from collections.abc import Collection

OPEN = time(9, 30)
CLOSE = time(16, 0)
EARLY_CLOSE = time(13, 0)
SPY_OPTIONS_LATER = timedelta(minutes=15)
"""How much longer than the stock market SPY options trade where nothing else is told: 16:15, or 13:15."""
LAST_EXIT_BEFORE_CLOSE = timedelta(minutes=15)
SETTLE_AFTER_CLOSE = timedelta(minutes=5)
SATURDAY = 5
LONGEST_CLOSURE_DAYS = 60  # beyond this a list of closures is nonsense, not a calendar


@dataclass(frozen=True, slots=True)
class TradingHours:
    """A contract's own hours on one day, as the broker tells them; None: closed.

    `open` and `close` are of its liquid hours; `until` is the end of all its trading, None: not told.
    """

    day: date
    open: datetime | None
    close: datetime | None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TradingDay:
    """One day's timetable, aware datetimes in New York.

    The entry window is [entry_open, entry_cutoff); exits by time are due from `exit_at`; the provisional
    settlement from `settle_at`. SPX calls that expire trade until `close`, SPY's until `spy_until`.
    """

    day: date
    open: datetime
    close: datetime
    entry_open: datetime
    entry_cutoff: datetime
    exit_at: datetime
    settle_at: datetime
    early: bool
    spy_until: datetime

    def in_entry_window(self, now: datetime) -> bool:
        """Whether `now` (aware, any zone) lies in [entry_open, entry_cutoff)."""
        return self.entry_open <= now < self.entry_cutoff


LOOK_AGAIN = timedelta(minutes=30)
"""How long a look at the account is enough on a day that traded: exchanges take trades back for hours."""
LAST_CHANCE = timedelta(minutes=6)
"""The last look before the close: monitors come every five minutes, and what it finds must still trade."""


def look_is_due(day: TradingDay, last: datetime, now: datetime) -> bool:
    """Whether the account is looked at again on a day whose trades are over; `last` was the newest look.

    Every half hour; and at the exit time, shortly before the close and after it, if `last` was before that.
    """
    moments = (day.exit_at, day.close - LAST_CHANCE, day.close)
    return now - last >= LOOK_AGAIN or any(last < moment <= now for moment in moments)


STORED_TIMETABLE = "timetable"
"""Under which key a trade's `limits` hold the timetable of its day."""


def stored_day(day: TradingDay) -> dict[str, object]:
    """The timetable in JSON's types; `day_from_stored` reads it back."""
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in ((name, getattr(day, name)) for name in TradingDay.__dataclass_fields__)
    }


def day_from_stored(values: Any) -> TradingDay:
    """The timetable that was stored. Raises KeyError, TypeError or ValueError when it is none."""
    moments = {
        name: datetime.fromisoformat(values[name]).astimezone(NEW_YORK)
        for name in TradingDay.__dataclass_fields__
        if name not in {"day", "early"} and (name in values or name != "spy_until")
    }
    moments.setdefault("spy_until", moments["close"] + SPY_OPTIONS_LATER)  # not stored by older versions
    return TradingDay(day=date.fromisoformat(values["day"]), early=bool(values["early"]), **moments)


def with_hours(day: TradingDay, spy: TradingHours | None) -> TradingDay:
    """The timetable with the end of the SPY calls' trading as their own hours tell it."""
    if spy is None or spy.until is None or spy.day != day.day:
        return day
    return replace(day, spy_until=spy.until)


def is_trading_day(day: date, *, closed: Collection[date]) -> bool:
    """Whether the exchange opens on `day`: a weekday that is not in `closed`."""
    return day.weekday() < SATURDAY and day not in closed


def trading_day(
    day: date,
    *,
    closed: Collection[date],
    early: Collection[date],
    entry_time: time,
    entry_cutoff: time,
    exit_check_time: time,
) -> TradingDay | None:
    """The timetable of `day`, None when the exchange is closed (weekends too).

    An exit by time is never later than 15 minutes before the close, whatever `exit_check_time` says, and
    no entry window reaches beyond it.
    """
    if not is_trading_day(day, closed=closed):
        return None
    times = {"entry_time": entry_time, "entry_cutoff": entry_cutoff, "exit_check_time": exit_check_time}
    return session_times(day, early=early, **times)


def session_times(
    day: date, *, early: Collection[date], entry_time: time, entry_cutoff: time, exit_check_time: time
) -> TradingDay:
    """As `trading_day`, for a day that is known to be one."""
    short = day in early
    close = _at(day, EARLY_CLOSE if short else CLOSE)
    exit_at = min(_at(day, exit_check_time), close - LAST_EXIT_BEFORE_CLOSE)
    return TradingDay(
        day=day,
        open=_at(day, OPEN),
        close=close,
        entry_open=_at(day, entry_time),
        entry_cutoff=min(_at(day, entry_cutoff), exit_at),
        exit_at=exit_at,
        settle_at=close + SETTLE_AFTER_CLOSE,
        early=short,
        spy_until=close + SPY_OPTIONS_LATER,
    )


def next_trading_day(day: date, *, closed: Collection[date]) -> date:
    """The first trading day after `day`. ValueError: none within 60 days."""
    return _step(day, timedelta(days=1), closed)


def previous_trading_day(day: date, *, closed: Collection[date]) -> date:
    """The last trading day before `day`. ValueError: none within 60 days."""
    return _step(day, timedelta(days=-1), closed)


def _step(day: date, step: timedelta, closed: Collection[date]) -> date:
    for count in range(1, LONGEST_CLOSURE_DAYS + 1):
        found = day + count * step
        if is_trading_day(found, closed=closed):
            return found
    direction = "after" if step > timedelta(0) else "before"
    raise ValueError(f"no trading day within {LONGEST_CLOSURE_DAYS} days {direction} {day}")


def _at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, NEW_YORK)
