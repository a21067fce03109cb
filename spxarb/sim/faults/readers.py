"""Readers of the values in a script: each gives the value, or raises ValueError with what it should be."""

from __future__ import annotations

import datetime as dt
import difflib
import math
import re
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from spxarb.sim.api.wire import VERSION_REQUEST, Ask, Say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REQUESTS: Mapping[str, int] = {"greeting": VERSION_REQUEST, **{ask.name.lower(): int(ask) for ask in Ask}}
MESSAGES: Mapping[str, int] = {say.name.lower(): int(say) for say in Say}
MAX_SECONDS = 7 * 86400.0
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


def _number(value: object, lowest: float, highest: float, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(name)
    if not lowest <= value <= highest:
        raise ValueError(f"{name} from {lowest:g} to {highest:g}")
    return float(value)


def seconds(value: object) -> float:
    """Market seconds, not negative."""
    return _number(value, 0, MAX_SECONDS, "a number of seconds")


def signed_seconds(value: object) -> float:
    """Seconds, negative ones too."""
    return _number(value, -MAX_SECONDS, MAX_SECONDS, "a number of seconds")


def number(value: object) -> float:
    """A price or a difference of prices."""
    return _number(value, -1e6, 1e6, "a number")


def share(value: object) -> float:
    """A probability."""
    return _number(value, 0, 1, "a probability")


def integer(value: object) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1 << 31:
        raise ValueError("a whole number")
    return value


def count(value: object) -> int:
    """A whole number from 1 on."""
    if integer(value) < 1:
        raise ValueError("a whole number from 1 on")
    return integer(value)


def natural(value: object) -> int:
    """A whole number from 0 on."""
    if integer(value) < 0:
        raise ValueError("a whole number from 0 on")
    return integer(value)


def counts(value: object) -> list[int]:
    """One or several whole numbers from 1 on."""
    values = value if isinstance(value, list | tuple) else [value]
    if not values:
        raise ValueError("a list of whole numbers from 1 on")
    return [count(item) for item in values]


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004  one kind of problem for all readers
    return value


def text(value: object) -> str:
    """A text; a number is read as one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("a text")  # noqa: TRY004  one kind of problem for all readers
    return str(value)


def fields(value: object) -> list[str]:
    """The fields of a message."""
    if not isinstance(value, list | tuple) or not value or not str(value[0]).isdigit():
        raise ValueError("a list of fields that begins with a message id")
    return [text(item) for item in value]


def time(value: object) -> dt.time:
    """A time of the simulated day."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        hint = ""
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 86400:
            hint = "; put it in quotes, YAML takes 10:30 for a number"
        raise ValueError(f'a time of day such as "09:41" or "09:41:30"{hint}')
    return dt.time(int(match[1]), int(match[2]), int(match[3] or 0))


def zone(value: object) -> str:
    """The IANA name of a time zone."""
    try:
        return ZoneInfo(text(value)).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("the IANA name of a time zone") from None


def _id(value: object, names: Mapping[str, int], kind: str) -> int:
    if isinstance(value, str) and value.lower() in names:
        return names[value.lower()]
    if isinstance(value, int) and not isinstance(value, bool) and value in names.values():
        return value
    close = difflib.get_close_matches(str(value), names, 1, 0.5)
    raise ValueError(f"the name or number of a {kind}{f' (did you mean {close[0]}?)' if close else ''}")


def request_number(value: object) -> int:
    """A request by its name or number."""
    return _id(value, REQUESTS, "request")


def message_number(value: object) -> int:
    """A message by its name or number."""
    return _id(value, MESSAGES, "message")


def requests(value: object) -> list[int]:
    """One or several requests."""
    return [request_number(item) for item in (value if isinstance(value, list | tuple) else [value])]


def messages(value: object) -> list[int]:
    """One or several messages."""
    return [message_number(item) for item in (value if isinstance(value, list | tuple) else [value])]


READERS: Mapping[str, Callable[[object], object]] = {
    "seconds": seconds,
    "signed_seconds": signed_seconds,
    "number": number,
    "share": share,
    "integer": integer,
    "count": count,
    "natural": natural,
    "counts": counts,
    "flag": flag,
    "text": text,
    "fields": fields,
    "time": time,
    "zone": zone,
    "request": request_number,
    "message": message_number,
    "requests": requests,
    "messages": messages,
}
