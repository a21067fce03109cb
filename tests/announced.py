"""The sessions of the New York Stock Exchange as it announced them: a calendar that shares nothing with the program's."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")

# https://www.nyse.com/markets/hours-calendars; 2025-01-09, a day of mourning, was unscheduled.
CLOSED = {
    2025: "01-01 01-09 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25",
    2026: "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25",
    2027: "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24",
    2028: "01-17 02-21 04-14 05-29 06-19 07-04 09-04 11-23 12-25",
}
EARLY = {2025: "07-03 11-28 12-24", 2026: "11-27 12-24", 2027: "11-26", 2028: "07-03 11-24"}


def days(year: int, text: str) -> set[date]:
    """The days of a year of the tables."""
    return {date.fromisoformat(f"{year}-{day}") for day in text.split()}


def sessions(year: int) -> dict[date, tuple[datetime, datetime]]:
    """Each session's open and close in UTC: 9:30 to 16:00 there, to 13:00 on an early day."""
    closed, early = days(year, CLOSED[year]), days(year, EARLY[year])
    found = {}
    day = date(year, 1, 1)
    while day.year == year:
        if day.weekday() < 5 and day not in closed:
            ends = (time(9, 30), time(13 if day in early else 16))
            opens, closes = (datetime.combine(day, at, NEW_YORK).astimezone(UTC) for at in ends)
            found[day] = (opens, closes)
        day += timedelta(days=1)
    return found
