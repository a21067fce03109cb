"""When SPY goes ex-dividend, as a rule: who is assigned on the evening before, and short, owes the dividend.

The rule is the third Friday of March, June, September and December. Where that is a holiday (2026-06-19), the
fund goes ex on a neighbouring day, and which one is known only when it is announced: both are named.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from spxarb.core.sessions import is_trading_day, next_trading_day, previous_trading_day

if TYPE_CHECKING:
    from collections.abc import Collection

MONTHS = (3, 6, 9, 12)
FRIDAY = 4


def expected_ex_dates(year: int, *, closed: Collection[date]) -> tuple[date, ...]:
    """The days of a year on which SPY is expected to go ex-dividend."""
    found: list[date] = []
    for month in MONTHS:
        day = third_friday(year, month)
        if is_trading_day(day, closed=closed):
            found.append(day)
        else:
            found += [previous_trading_day(day, closed=closed), next_trading_day(day, closed=closed)]
    return tuple(found)


def third_friday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(FRIDAY - first.weekday()) % 7 + 14)


def ex_date_after(day: date, *, closed: Collection[date]) -> date | None:
    """The next trading day, if SPY is expected to go ex-dividend on it."""
    following = next_trading_day(day, closed=closed)
    return following if following in expected_ex_dates(following.year, closed=closed) else None
