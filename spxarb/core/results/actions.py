"""What a job may do with an open spread."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What was done with a spread."""

    HELD = "held"
    CLOSED = "closed"
    WOULD_CLOSE = "would_close"
    FAILED = "failed"
