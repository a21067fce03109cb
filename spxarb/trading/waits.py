"""The clock of the program's own waits: real seconds, or against the simulated gateway fewer for each.

Proofs take time: two snapshots five seconds apart, a cancel that is given five. `SPXARB_WAIT_SCALE` lets this
whole clock run faster, so that nothing is proven by less: what is compared with it is compared as ever. What
the configuration says in seconds stays in real ones. Refused in every mode but sim (`config/load.py`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WaitClock:
    """`scale`: real seconds for each second of this clock, above 0 and at most 1."""

    scale: float = 1.0

    def now(self) -> float:
        """Monotonic seconds of this clock."""
        return time.monotonic() / self.scale

    def real(self, seconds: float) -> float:
        """So many seconds of this clock, in real ones."""
        return seconds * self.scale

    def own(self, seconds: float) -> float:
        """So many real seconds, in those of this clock."""
        return seconds / self.scale

    async def sleep(self, seconds: float) -> None:
        import asyncio  # noqa: PLC0415 -- only a connection needs it

        await asyncio.sleep(self.real(seconds))
