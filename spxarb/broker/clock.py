"""Market time: the system's clock checked against the gateway's; in sim mode the gateway's alone.

Deadlines are not market time: they run on the machine's monotonic clock.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from spxarb.core.model import NEW_YORK

if TYPE_CHECKING:
    from spxarb.broker.broker import Broker

MAX_SECONDS_APART = 5.0
"""System and gateway may differ by this much; reqCurrentTime answers in whole seconds."""


class Clock:
    """Market time during one connection, New York."""

    def __init__(self, mode: str, gateway_time: datetime) -> None:
        """`gateway_time`: the gateway's clock when the connection was made."""
        self.mode = mode
        self._gateway_time, self._read_at = gateway_time, time.monotonic()
        self.doubt = "" if mode == "sim" else _disagreement(gateway_time)
        """How far the two clocks are apart, in words; empty when they agree."""

    async def ask(self, broker: Broker) -> datetime:
        """Read the gateway's clock again, then `now`. Raises GatewayError when it does not answer."""
        self._gateway_time, self._read_at = await broker.server_time(), time.monotonic()
        return self.now()

    def now(self) -> datetime:
        """Sim: the gateway's clock as last read. Else the system's, or the gateway's where they disagree."""
        if self.mode == "sim":
            return self._gateway_time
        if self.doubt:  # an exit still needs the right time, and the gateway's is the exchange's
            return self._gateway_time + timedelta(seconds=time.monotonic() - self._read_at)
        return datetime.now(NEW_YORK)


def _disagreement(gateway_time: datetime) -> str:
    system = datetime.now(NEW_YORK)
    seconds = (system - gateway_time).total_seconds()
    if abs(seconds) <= MAX_SECONDS_APART:
        return ""
    return (
        f"this machine's clock shows {system:%Y-%m-%d %H:%M:%S} New York time, the gateway's "
        f"{gateway_time:%Y-%m-%d %H:%M:%S}: {abs(seconds):.0f} s apart"
    )
