"""What a gateway may send: how long, how many, how much; past a bound it is broken or hostile, and dropped.

A real gateway stays far below every bound, on a busy account and in an all-day recording too. A dropped link
is a lost link: what was asked is unanswered, exit 4, or 6 where an exit is due.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from spxarb.core.printable import from_outside, is_plain
from spxarb.core.unreadable import UnreadableRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_FRAME = 1 << 20
"""Bytes of one message; the longest real ones, a year of daily bars, have some 30,000."""
MAX_FIELDS = 5_000
"""Fields of one message: ib_insync's decoder copies the rest of a list at each of its entries."""
MAX_FIELD = 300
MAX_LONG_FIELD = 8_192
"""Characters of a field; of texts, lists of accounts and the hours of a contract more."""
LONG_FIELDS = frozenset({"4", "5", "10", "15", "101"})
BURST_BYTES = 32 << 20
BYTES_PER_SECOND = 1 << 20
BURST_MESSAGES = 100_000
MESSAGES_PER_SECOND = 3_000
"""So much at once, and so much a second for as long as it likes: a hundred streams of quotes need a tenth.

The rows of an answer are not counted: it has bounds of its own, and a large account is asked for its lists
again and again while an exit is under way.
"""
MAX_ROWS = 20_000
MAX_ANSWER_BYTES = 24 << 20
"""Rows of one answer, and what they take as it is estimated by `FrameSplitter.size`."""
MAX_UNREADABLE = 1_000
"""Rows of one answer that cannot be read."""
FIELDS_LOGGED = 40
_FIELD_BYTES = 64


class TooMuchError(Exception):
    """The gateway went past a bound; the text says what it did, a verb first"""


@dataclass(frozen=True, slots=True)
class Bound:
    """How many of one kind a connection may bring."""

    most: int
    words: str


ORDER_EVENTS = Bound(5_000, "messages about orders")
LINK_CHANGES = Bound(1_000, "changes of its link to IB")
COMMISSIONS = Bound(20_000, "commission reports")
"""Of executions that had none yet, or another: each list of executions brings the others again."""
MESSAGES = Bound(5_000, "error messages")
UNREADABLE = Bound(5_000, "messages that cannot be read")
LOGGED = Bound(100, "messages in the log")


class Allowance:
    """How many of each kind one connection has brought."""

    def __init__(self) -> None:
        self._seen: Counter[Bound] = Counter()

    def count(self, bound: Bound, number: int = 1) -> None:
        """Raises TooMuchError past the bound."""
        self._seen[bound] += number
        if self._seen[bound] > bound.most:
            raise TooMuchError(f"sent more than {bound.most:,} {bound.words}")

    def within(self, bound: Bound) -> bool:
        """As `count`, of what is left out past the bound."""
        self._seen[bound] += 1
        return self._seen[bound] <= bound.most


class Answer:
    """The rows of one answer, within bounds."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._bytes = self._unreadable = 0

    def add(self, row: Any, size: int, name: str) -> None:
        """Raises TooMuchError for a row too many; `size` in bytes."""
        self._bytes += size
        self._unreadable += isinstance(row, UnreadableRow)
        if len(self.rows) >= MAX_ROWS or self._bytes > MAX_ANSWER_BYTES:
            raise TooMuchError(f"sent {len(self.rows):,} rows and no end in answer to the request for {name}")
        if self._unreadable > MAX_UNREADABLE:
            raise TooMuchError(
                f"sent more than {MAX_UNREADABLE:,} unreadable rows in answer to the request for {name}"
            )
        self.rows.append(row)


class FrameSplitter:
    """Bytes cut anywhere, back into frames. Nothing longer than a frame is ever kept."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._data = bytearray()
        self._clock = clock
        self._bytes, self._messages, self._at = float(BURST_BYTES), float(BURST_MESSAGES), clock()
        self._length = 0
        self.size = 0
        """What the fields of the frame at hand take in memory, bytes, as an estimate."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The whole frames by now, with their lengths before them. Raises TooMuchError."""
        self._spend(len(data))
        self._data += data
        start, end = 0, len(self._data)
        try:
            while end - start >= 4:
                (length,) = struct.unpack_from(">I", self._data, start)
                if length > MAX_FRAME:
                    raise TooMuchError(f"announced a message of {length:,} bytes")
                if end - start < 4 + length:
                    return
                frame = bytes(self._data[start : start + 4 + length])
                start += 4 + length
                fields = frame.count(b"\0", 4)
                if fields > MAX_FIELDS:
                    raise TooMuchError(f"sent a message of {fields:,} fields")
                self.size, self._length = length + fields * _FIELD_BYTES, 4 + length
                self._messages -= 1
                if self._messages < 0:
                    raise TooMuchError(f"sent more than {BURST_MESSAGES:,} messages without a pause")
                yield frame
        finally:
            del self._data[:start]

    def asked_for(self) -> None:
        """The frame at hand belongs to an answer, whose own bounds hold."""
        self._messages += 1
        self._bytes += self._length
        self._length = 0

    def _spend(self, number: int) -> None:
        now = self._clock()
        seconds, self._at = now - self._at, now
        self._messages = min(self._messages + seconds * MESSAGES_PER_SECOND, BURST_MESSAGES)
        self._bytes = min(self._bytes + seconds * BYTES_PER_SECOND, BURST_BYTES) - number
        if self._bytes < 0:
            raise TooMuchError(f"sent more than {BURST_BYTES >> 20} MB without a pause")


def clean_fields(fields: list[str]) -> list[str]:
    """A message's fields without what cannot be seen, and none longer than any that is of use."""
    most = MAX_LONG_FIELD if fields[:1] and fields[0] in LONG_FIELDS else MAX_FIELD
    if is_plain("".join(fields), most):  # as most messages are: a chain of options has thousands of fields
        return fields
    return [text if is_plain(text, most) else from_outside(text, most, words=False) for text in fields]
