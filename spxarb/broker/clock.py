"""Market time: the system's clock checked against the gateway's; in sim mode the gateway's alone.

Deadlines are not market time: they run on the machine's monotonic clock.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from spxarb.core.model import NEW_YORK

if TYPE_CHECKING:
    from spxarb.broker.broker import Broker
    from spxarb.broker.times import ClockReading

MAX_SECONDS_APART = 5.0
"""System and gateway may differ by this much; reqCurrentTime answers in whole seconds."""


class Clock:
    """Market time during one connection, New York."""

    def __init__(self, mode: str, reading: ClockReading) -> None:
        """`reading`: the gateway's clock when the connection was made."""
        self.mode = mode
        self._reading = reading
        self.doubt = "" if mode == "sim" else _disagreement(reading)
        """How far the two clocks are apart, in words; empty when they agree."""

    async def ask(self, broker: Broker) -> datetime:
        """Read the gateway's clock again, then `now`. Raises GatewayError when it does not answer."""
        await broker.server_time()
        self._reading = broker.clock_reading
        return self.now()

    def now(self) -> datetime:
        """Sim: the gateway's clock as last read. Else the system's, or the gateway's where they disagree."""
        if self.mode == "sim":
            return self._reading.gateway
        if self.doubt:  # an exit still needs the right time, and the gateway's is the exchange's
            return self._reading.now()
        return datetime.now(NEW_YORK)


def _disagreement(reading: ClockReading) -> str:
    seconds = abs(reading.apart.total_seconds())
    if seconds <= MAX_SECONDS_APART:
        return ""
    return (
        f"this machine's clock shows {reading.answered:%Y-%m-%d %H:%M:%S} New York time, the gateway's "
        f"{reading.gateway:%Y-%m-%d %H:%M:%S}: {seconds:.0f} s apart"
    )
