"""Times of the wire: the gateway's clock, zones by all their names, and the moment of a fill.

A gateway writes the time of an execution in a zone of its own choice, which need not be the connection's:
`US/Eastern` beside "Central European Standard Time", `MET`, `SGT`, `JST`, names of Windows, some with broken
encoding, or the dash form, which is UTC.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from spxarb.core.model import NEW_YORK

AHEAD = timedelta(hours=1)
"""A fill cannot be later than now; so far ahead, its zone is not what its name says."""
JUST_NOW = timedelta(minutes=10)
"""A fill that is reported as it happens is not older than this."""

# IANA zone -> what else it is called: abbreviations (zoneinfo does not know CDT, and takes EST literally, an
# hour off in summer), the long names of Java (the Gateway is a Java program) and of Windows (Unicode CLDR,
# windowsZones.xml). IST is left out: it is India's, Israel's and Ireland's.
_ALIASES = {
    "America/New_York": "EST, EDT, EST5EDT, Eastern Standard Time, Eastern Daylight Time, Eastern Time",
    "America/Chicago": "CST, CDT, CST6CDT, Central Standard Time, Central Daylight Time, Central Time",
    "America/Denver": "MST, MDT, MST7MDT, Mountain Standard Time, Mountain Daylight Time, Mountain Time",
    "America/Los_Angeles": "PST, PDT, PST8PDT, Pacific Standard Time, Pacific Daylight Time, Pacific Time",
    "America/Indiana/Indianapolis": "US Eastern Standard Time",
    "America/Phoenix": "US Mountain Standard Time",
    "America/Halifax": "AST, ADT, Atlantic Standard Time, Atlantic Daylight Time",
    "America/Sao_Paulo": "BRT, E. South America Standard Time, Brasilia Time",
    "UTC": "UTC, GMT, Z, Coordinated Universal Time, Greenwich Mean Time",
    "Europe/London": "BST, GMT Standard Time, British Summer Time",
    "Europe/Lisbon": "WET, WEST, Western European Time, Western European Standard Time, "
    "Western European Summer Time",
    "Europe/Berlin": "CET, CEST, MET, MEST, W. Europe Standard Time, Romance Standard Time, "
    "Central Europe Standard Time, Central European Time, Central European Standard Time, "
    "Central European Summer Time, Middle Europe Time, Middle Europe Summer Time",
    "Europe/Athens": "EET, EEST, GTB Standard Time, FLE Standard Time, E. Europe Standard Time, "
    "Eastern European Time, Eastern European Standard Time, Eastern European Summer Time",
    "Europe/Moscow": "MSK, Russian Standard Time, Moscow Standard Time",
    "Europe/Istanbul": "TRT, Turkey Standard Time, Turkey Time",
    "Asia/Jerusalem": "Israel Standard Time, Israel Daylight Time",
    "Asia/Dubai": "GST, Arabian Standard Time, Gulf Standard Time",
    "Asia/Kolkata": "India Standard Time",
    "Asia/Singapore": "SGT, Singapore Time, Singapore Standard Time, Malay Peninsula Standard Time",
    "Asia/Hong_Kong": "HKT, HKST, Hong Kong Time, Hong Kong Standard Time",
    "Asia/Shanghai": "China Standard Time, China Time",
    "Asia/Taipei": "Taipei Standard Time, Taipei Time",
    "Asia/Tokyo": "JST, Tokyo Standard Time, Japan Standard Time, Japan Time",
    "Asia/Seoul": "KST, Korea Standard Time, Korean Standard Time, Korean Time",
    "Australia/Sydney": "AEST, AEDT, AUS Eastern Standard Time, Australian Eastern Standard Time, "
    "Australian Eastern Daylight Time",
    "Pacific/Auckland": "NZST, NZDT, New Zealand Standard Time, New Zealand Daylight Time",
}
_ZONES = {name.strip().casefold(): iana for iana, names in _ALIASES.items() for name in names.split(",")}
_OFFSET = re.compile(r"(?:GMT|UTC)?([+-])(\d\d?)(?::?(\d\d))?", re.IGNORECASE)


def zone(name: str) -> tzinfo | None:
    """The zone named `US/Central`, `MET`, `Tokyo Standard Time`, `EST (Eastern Standard Time)`, `GMT+08:00`.

    None when it is not known.
    """
    words = name.split()
    if not words:
        return None
    whole, first = " ".join(words), words[0]
    known = _ZONES.get(whole.casefold())
    # One word, or one with its explanation; the first word of a longer name says nothing by itself.
    if known is None and (len(words) == 1 or words[1].startswith("(")):
        known = _ZONES.get(first.casefold(), first)
    if offset := _OFFSET.fullmatch(whole):
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        return timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes))
    try:
        return ZoneInfo(known) if known else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def execution_time(text: str, heard: datetime, *, live: bool = False) -> tuple[datetime, str]:
    """The time of a fill in New York, and why it is in doubt ('' when it is not).

    `heard`: the gateway's clock as the fill was received. `live`: it is reported as it happens. Forms:
    `20250708 02:35:00 US/Eastern`; `20250708-02:35:00`, which is UTC; `20250708  02:35:00` without a zone,
    taken as New York's where that can be. A fill whose time cannot be read, whose zone is not known, or whose
    time cannot be, is stamped when it was heard: a fill with a doubtful time is better than none.
    """
    heard = heard.astimezone(NEW_YORK)
    stamped = "so it carries the time when it was heard"
    found = re.fullmatch(r"(\d{8})(-| +)(\d\d:\d\d:\d\d)(?: +(.*))?", text.strip(), re.DOTALL)
    naive = _naive(found[1] + found[3]) if found else None
    if found is None or naive is None:
        return heard, f"execution time {text!r} cannot be read, {stamped}"
    name = found[4] or ""
    known = UTC if found[2] == "-" else zone(name) if name else NEW_YORK
    when = None if known is None else _in_new_york(naive, known)
    if when is None:
        return heard, f"execution time {text!r} is in a time zone that is not known, {stamped}"
    if when > heard + AHEAD:
        return heard, f"execution time {text!r} is later than the gateway's clock, {stamped}"
    if name or found[2] == "-" or (live and when >= heard - JUST_NOW):
        return when, ""
    if live or when.date() != heard.date():
        return heard, f"execution time {text!r} has no time zone and is not New York's, {stamped}"
    return when, f"execution time {text!r} has no time zone: taken as New York time"


@lru_cache(maxsize=4096)
def _naive(text: str) -> datetime | None:
    """None for a time that does not exist. Each look at the books tells the same executions again."""
    try:
        return datetime.strptime(text, "%Y%m%d%H:%M:%S")  # noqa: DTZ007 -- the zone stands beside it
    except ValueError:
        return None


def _in_new_york(naive: datetime, known: tzinfo) -> datetime | None:
    """None for a time at the edge of the calendar, which no other zone can show."""
    try:
        return naive.replace(tzinfo=known).astimezone(NEW_YORK)
    except OverflowError:
        return None


def zone_named(text: str) -> set[tzinfo | None]:
    """The zone that a time of the wire names, None for one that is not known; empty where it names none."""
    found = re.match(r"\d{8} +\d\d:\d\d:\d\d +(.+)", text.strip(), re.DOTALL)
    return {zone(found[1])} if found else set()


@dataclass(frozen=True, slots=True)
class ClockReading:
    """One answer to reqCurrentTime: the gateway's clock, and this machine's as it was asked and answered.

    All in New York time. The gateway read its clock somewhere in between: an answer that took seconds on the
    wire is late, not wrong. `monotonic`: seconds, when it was asked.
    """

    gateway: datetime
    asked: datetime
    answered: datetime
    monotonic: float = field(default_factory=time.monotonic)

    @property
    def apart(self) -> timedelta:
        """How far the two clocks are apart at the least; negative when the gateway's is ahead."""
        if self.gateway < self.asked:
            return self.asked - self.gateway
        return min(self.answered - self.gateway, timedelta(0))

    def now(self) -> datetime:
        """The gateway's clock now, by this machine's monotonic one; rather late than early."""
        return self.gateway + timedelta(seconds=time.monotonic() - self.monotonic)
