"""What `sim` answers once it listens, or once its clock was moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.result import Result

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class SimResult(Result):
    """Where the simulated gateway listens; of `set-time` and `step`, what its clock shows then."""

    host: str | None = None
    port: int | None = None
    """For clients of the API."""
    control_port: int | None = None
    """For `sim set-time`, `sim step` and the control protocol."""
    control_token: str | None = None
    """What the first request to the control port shows; this user's `sim set-time` and `sim step` find it."""
    market: str | None = None
    """The day that it plays, in words."""
    time: datetime | None = None
    """The market's time, after the clock was moved."""
    was: datetime | None = None
    """The market's time before that."""
    events: tuple[str, ...] = ()
    """What happened in the account meanwhile, a line each: fills, ends of orders, settlements."""
