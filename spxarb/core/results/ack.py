"""What `ack` answers: the matters for a human that are still open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.result import Result

if TYPE_CHECKING:
    from spxarb.core.results.rows import MatterRow


@dataclass(frozen=True, kw_only=True)
class AckResult(Result):
    """The matters for a human."""

    acknowledged: int | None = None
    """The id of the one that was acknowledged; null when they were only listed."""
    matters: tuple[MatterRow, ...] = ()
    """Those that are open, oldest first."""
