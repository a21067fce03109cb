"""What `record` answers: what was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from spxarb.core.result import Result

if TYPE_CHECKING:
    from datetime import datetime


class RecordingEnd(StrEnum):
    """Why a recording ended."""

    CLOSE = "close"
    TIME = "time"
    INTERRUPTED = "interrupted"
    GATEWAY = "gateway"


@dataclass(frozen=True, kw_only=True)
class RecordResult(Result):
    """What was recorded."""

    file: str | None = None
    rows: int | None = None
    lines: int | None = None
    """Market data lines: contracts recorded."""
    left_out: int | None = None
    """Contracts beyond the account's market data lines."""
    first: datetime | None = None
    """Time of the first row."""
    last: datetime | None = None
    """Time of the newest row."""
    ended_by: RecordingEnd | None = None
    reconnects: int | None = None
    wire: str | None = None
    """The file of the recorded wire; null without `--wire`."""
    messages: int | None = None
    """Messages in it."""
    connections: int | None = None
    """Connections in it."""
