"""What `sim` answers once it listens."""

from __future__ import annotations

from dataclasses import dataclass

from spxarb.core.result import Result


@dataclass(frozen=True, kw_only=True)
class SimResult(Result):
    """Where the simulated gateway listens."""

    host: str | None = None
    port: int | None = None
    """For clients of the API."""
    control_port: int | None = None
    market: str | None = None
    """The day that it plays, in words."""
