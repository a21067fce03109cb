"""Writing a recorded day: rows of quotes in batches, each on disk before the next.

A batch is one write of whole lines and an fsync; in a csv.gz it is a gzip member of its own, so a kill leaves
a readable file. A file begun earlier on the same day is continued, after a torn end is cut off. The simulated
gateway plays it back.
"""

from __future__ import annotations

import csv
import fcntl
import gzip
import io
import os
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Self

from spxarb import files
from spxarb.core.model import NEW_YORK
from spxarb.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal
    from pathlib import Path

    from spxarb.core.contracts import Contract, Quote

COLUMNS = ("t", "kind", "symbol", "expiry", "strike", "right", "bid", "ask", "last", "src")
SUFFIXES = (".csv", ".csv.gz")
_HEADER = ",".join(COLUMNS).encode() + b"\n"
_SOURCE = {2: "-frozen", 3: "-delayed", 4: "-delayed-frozen"}
Row = tuple[str, ...]


def line_of(contract: Contract, quote: Quote, source: str) -> Row | None:
    """The columns after the time; None before the first tick.

    A missing side stays empty. Where both are missing the bid is 0 ("no bid"), because the playback would
    derive a bid and an ask from a last price alone. The index has a last price only.
    """
    index, option = contract.sec_type == "IND", contract.sec_type == "OPT"
    bid, ask = (None, None) if index else (quote.bid, quote.ask)
    if quote.received is None or (index and quote.last is None):
        return None
    prices = [_text(bid), _text(ask), _text(quote.last)]
    if not index and bid is None and ask is None:
        prices[0] = "0"
    terms = (f"{contract.expiry}", _text(contract.strike), contract.right or "") if option else ("", "", "")
    kind = "opt" if option else "und"
    return (kind, contract.symbol, *terms, *prices, source + _SOURCE.get(quote.data_type or 1, ""))


def _text(number: Decimal | None) -> str:
    return "" if number is None else f"{number.normalize():f}"


class Recording:
    """The open file of one day, used by one process at a time."""

    def __init__(self, path: Path, now: datetime) -> None:
        """Create the file, or continue one of the same day. `now`: aware.

        Raises UsageError for a path that cannot be written, RefusedError for a file that is no recording, of
        another day, or being written by another process.
        """
        self._path, self.rows = path, 0
        self._packed = path.name.endswith(".gz")
        try:
            self._handle = files.open_to_write(path, append=True, read=True)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None
        try:
            self._take(now)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._handle)

    def write(self, moment: datetime, lines: Sequence[Row]) -> None:
        """Append one batch of rows at `moment`, to the second, and fsync. RefusedError: the disk is full."""
        time = moment.replace(microsecond=0).isoformat(sep=" ")
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows((time, *line) for line in lines)
        self._append(text.getvalue().encode())
        self.rows += len(lines)

    def _append(self, data: bytes) -> None:
        packed = memoryview(gzip.compress(data) if self._packed else data)
        size = os.fstat(self._handle).st_size
        try:
            while packed:
                packed = packed[os.write(self._handle, packed) :]
            os.fsync(self._handle)
        except OSError as error:
            os.ftruncate(self._handle, size)
            raise RefusedError(
                f"{self._path} can no longer be written: {error.strerror}",
                risk="What was recorded so far is intact",
            ) from None

    def _take(self, now: datetime) -> None:
        """Lock the file, check what it holds already and cut a torn end off."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RefusedError(f"Another process is recording into {self._path}") from None
        raw = self._path.read_bytes()
        end = raw.rfind(b"\n") + 1
        text, end = _whole_members(raw) if self._packed else (raw[:end], end)
        torn_header = not self._packed and _HEADER.startswith(raw)
        if raw and not text.startswith(_HEADER) and not torn_header:
            raise self._foreign("it is not a recording")
        self._check_day(text, now)
        os.ftruncate(self._handle, end)
        if not text:
            self._append(_HEADER)

    def _check_day(self, text: bytes, now: datetime) -> None:
        lines = text.splitlines()[1:]
        if not lines:
            return
        try:
            newest = datetime.fromisoformat(lines[-1].partition(b",")[0].decode()).astimezone(NEW_YORK)
        except ValueError:
            raise self._foreign("its last row has no time") from None
        if newest.date() != now.astimezone(NEW_YORK).date():
            raise self._foreign(f"it is of {newest.date()}")
        if newest > now:
            raise self._foreign(f"its last row is of {newest:%H:%M:%S}, and it is {now:%H:%M:%S} now")

    def _foreign(self, why: str) -> RefusedError:
        return RefusedError(
            f"{self._path} was not touched: {why}", mend="Name a file that does not exist yet (--output)"
        )


def check_name(path: Path) -> None:
    """Raises UsageError unless the file name has a known suffix."""
    if not path.name.endswith(SUFFIXES):
        raise UsageError(f"--output {path.name} must end in {' or '.join(SUFFIXES)}")


def _whole_members(raw: bytes) -> tuple[bytes, int]:
    """The text of the complete gzip members at the start, and where they end, bytes."""
    parts, end = [], 0
    while end < len(raw):
        member = zlib.decompressobj(wbits=31)
        try:
            text = member.decompress(raw[end:])
        except zlib.error:
            break
        if not member.eof:
            break
        parts.append(text)
        end = len(raw) - len(member.unused_data)
    return b"".join(parts), end
