"""Bytes of the TWS text protocol: frames in and out, fields in and out. No socket, no market, no clock.

A frame is a 4-byte big-endian length and a payload; a payload is text fields, each ended by NUL (also the
last one). The very first bytes of a client, API and NUL, have no length in front. Numbers are decimal text,
booleans ``0``/``1``, "unset" is empty or one of the UNSET texts (server versions 157 to 176).
"""

from __future__ import annotations

import math
import struct
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

GREETING = b"API\0"
VERSION_REQUEST = 0
"""The number under which the version range, a client's first frame, counts as a request: it has none."""
MIN_VERSION = 157
MAX_VERSION = 176
MAX_FRAME = 1 << 20
"""Longest payload accepted from a client, bytes: far above any request, far below a memory problem."""

UNSET_DOUBLE = "1.7976931348623157E308"
UNSET_INTEGER = "2147483647"
UNSET_LONG = "9223372036854775807"
NOT_A_REQUEST = -1
"""The request id of a message that answers no request."""

Value = str | int | float | bool | None


class Ask(IntEnum):
    """Message ids that a client sends."""

    MARKET_DATA = 1
    CANCEL_MARKET_DATA = 2
    PLACE_ORDER = 3
    CANCEL_ORDER = 4
    OPEN_ORDERS = 5
    ACCOUNT_UPDATES = 6
    EXECUTIONS = 7
    IDS = 8
    CONTRACT_DETAILS = 9
    SERVER_LOG_LEVEL = 14
    AUTO_OPEN_ORDERS = 15
    ALL_OPEN_ORDERS = 16
    MANAGED_ACCOUNTS = 17
    HISTORICAL_DATA = 20
    CANCEL_HISTORICAL_DATA = 25
    CURRENT_TIME = 49
    GLOBAL_CANCEL = 58
    MARKET_DATA_TYPE = 59
    POSITIONS = 61
    ACCOUNT_SUMMARY = 62
    CANCEL_ACCOUNT_SUMMARY = 63
    CANCEL_POSITIONS = 64
    START_API = 71
    ACCOUNT_UPDATES_MULTI = 76
    CANCEL_ACCOUNT_UPDATES_MULTI = 77
    OPTION_CHAINS = 78
    MATCHING_SYMBOLS = 81
    MARKET_RULE = 91
    PNL = 92
    CANCEL_PNL = 93
    PNL_SINGLE = 94
    CANCEL_PNL_SINGLE = 95
    COMPLETED_ORDERS = 99


class Say(IntEnum):
    """Message ids that the gateway sends."""

    TICK_PRICE = 1
    TICK_SIZE = 2
    ORDER_STATUS = 3
    ERROR = 4
    OPEN_ORDER = 5
    ACCOUNT_VALUE = 6
    PORTFOLIO = 7
    ACCOUNT_TIME = 8
    NEXT_VALID_ID = 9
    CONTRACT_DETAILS = 10
    EXECUTION = 11
    MANAGED_ACCOUNTS = 15
    HISTORICAL_DATA = 17
    TICK_OPTION = 21
    TICK_GENERIC = 45
    TICK_STRING = 46
    CURRENT_TIME = 49
    CONTRACT_DETAILS_END = 52
    OPEN_ORDERS_END = 53
    ACCOUNT_END = 54
    EXECUTIONS_END = 55
    SNAPSHOT_END = 57
    MARKET_DATA_TYPE = 58
    COMMISSION = 59
    POSITION = 61
    POSITIONS_END = 62
    ACCOUNT_SUMMARY = 63
    ACCOUNT_SUMMARY_END = 64
    ACCOUNT_MULTI = 73
    ACCOUNT_MULTI_END = 74
    OPTION_CHAIN = 75
    OPTION_CHAINS_END = 76
    SYMBOL_SAMPLES = 79
    TICK_PARAMETERS = 81
    HISTORICAL_UPDATE = 90
    MARKET_RULE = 93
    PNL = 94
    PNL_SINGLE = 95
    COMPLETED_ORDER = 101
    COMPLETED_ORDERS_END = 102
    HISTORICAL_SCHEDULE = 106


class WireError(ValueError):
    """Bytes or fields that do not follow the protocol; the text names them."""


def field_text(value: Value) -> str:
    r"""One value as the text of its field: None is empty, booleans are 0/1, other characters become \uXXXX.

    The escapes are those of the real server since version 153; a NUL inside a text would end its field and is
    dropped.
    """
    if isinstance(value, str):  # as most are
        return value if value.isascii() and "\0" not in value else _escaped(value)
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else UNSET_DOUBLE
    return str(int(value))  # a boolean is the int 0 or 1, a message id its number


def _escaped(value: str) -> str:
    units = struct.unpack(f">{len(value.encode('utf-16-be')) // 2}H", value.encode("utf-16-be"))
    return "".join(chr(unit) if unit < 128 else f"\\u{unit:04x}" for unit in units if unit)


def prefixed(payload: bytes) -> bytes:
    """A payload with its length in front."""
    return struct.pack(">I", len(payload)) + payload


def fields_of(values: Iterable[Value]) -> bytes:
    """These fields as they stand in a frame, each with its end."""
    return "\0".join([*map(field_text, values), ""]).encode("ascii")


def frame(*values: Value) -> bytes:
    """A whole frame of these fields, ready for the socket."""
    return prefixed(fields_of(values))


def message_id(whole: bytes) -> int:
    """The message id of one frame that `frame` made (the version frame's first field is the version)."""
    return int(whole[4 : whole.index(0, 4)])


class Fields:
    """A cursor over the fields of one request; every reader is given the name of its field, for errors."""

    def __init__(self, values: Sequence[str]) -> None:
        """Read from the first of `values`."""
        self._values = values
        self._next = 0

    def text(self, name: str) -> str:
        """The next field as it stands. Raises WireError when there is none."""
        if self._next >= len(self._values):
            raise WireError(f"field {self._next} ({name}) is missing")
        value = self._values[self._next]
        self._next += 1
        return value

    def skip(self, count: int) -> None:
        """Pass over fields that this gateway does not use."""
        for _ in range(count):
            self.text("unused")

    def number(self, name: str) -> float | None:
        """The next field as a number, None when empty or unset. Raises WireError for anything else."""
        value = self.text(name)
        if value in {"", "Infinite"}:  # the latter is how ib_insync writes infinity
            return None
        try:
            number = float(value)
        except ValueError:
            raise WireError(f"{name} is not a number: {value[:40]!r}") from None
        if math.isnan(number):
            raise WireError(f"{name} is not a number: {value[:40]!r}")
        return None if abs(number) >= 1e300 else number

    def integer(self, name: str) -> int | None:
        """The next field as a whole number that fits 64 bits, None when empty or unset."""
        value = self.text(name)
        if not value or value in {UNSET_INTEGER, UNSET_LONG}:
            return None
        try:
            number = int(value)
        except ValueError:
            raise WireError(f"{name} is not a whole number: {value[:40]!r}") from None
        if abs(number) >= 1 << 63:
            raise WireError(f"{name} does not fit 64 bits")
        return number

    def must_integer(self, name: str) -> int:
        """As `integer`, but the field must not be empty."""
        number = self.integer(name)
        if number is None:
            raise WireError(f"{name} is empty")
        return number

    def flag(self, name: str) -> bool:
        """The next field as a boolean: 1/true or 0/false/empty."""
        value = self.text(name)
        if value in {"", "0", "false", "False"}:
            return False
        if value in {"1", "true", "True"}:
            return True
        raise WireError(f"{name} is neither 0 nor 1: {value[:40]!r}")

    def count(self, name: str, limit: int = 1000) -> int:
        """The next field as the number of repeated groups that follow."""
        number = self.integer(name) or 0
        if not 0 <= number <= limit:
            raise WireError(f"{name} is out of range: {number}")
        return number


class FrameReader:
    """Puts a byte stream, cut anywhere, back into payloads."""

    def __init__(self) -> None:
        """Start with nothing received."""
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes from the socket."""
        self._buffer += data

    def raw(self, count: int) -> bytes | None:
        """The next `count` bytes outside any frame, or None while they have not all come."""
        if len(self._buffer) < count:
            return None
        head = bytes(self._buffer[:count])
        del self._buffer[:count]
        return head

    def payload(self) -> bytes | None:
        """The next whole payload, or None. Raises WireError for an impossible length: the stream is lost."""
        if len(self._buffer) < 4:
            return None
        (length,) = struct.unpack_from(">I", self._buffer)
        if length > MAX_FRAME:
            raise WireError(f"a frame of {length} bytes; at most {MAX_FRAME} are accepted")
        if len(self._buffer) < 4 + length:
            return None
        payload = bytes(self._buffer[4 : 4 + length])
        del self._buffer[: 4 + length]
        return payload


def split_fields(payload: bytes) -> list[str]:
    """The fields of a payload. A last field without its NUL counts too."""
    values = payload.decode("utf-8", errors="replace").split("\0")
    if values[-1] == "":
        values.pop()
    return values


def frames_in(data: bytes) -> Iterator[list[str]]:
    """All whole frames in `data` as lists of fields, for tools and tests that read what was sent."""
    reader = FrameReader()
    reader.feed(data)
    while (payload := reader.payload()) is not None:
        yield split_fields(payload)


def negotiate(greeting: str) -> int | None:
    """The version to speak with a client that offers ``vMIN..MAX``: min(176, MAX); None when there is none.

    158 is never chosen: the client libraries disagree on the field that it introduced.
    Raises WireError when the text is no version range.
    """
    versions = greeting.split(" ", 1)[0].removeprefix("v").split("..")
    try:
        low, high = int(versions[0]), int(versions[-1])
    except ValueError:
        raise WireError(f"not a version range: {greeting[:40]!r}") from None
    version = min(MAX_VERSION, high)
    if version == 158:
        version = 157
    return version if version >= max(low, MIN_VERSION) else None
