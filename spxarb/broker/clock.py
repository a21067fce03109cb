"""What time it is: the system's clock, compared with the gateway's; in the sim mode the gateway's alone.

Deadlines do not belong here: they run on the machine's monotonic clock.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from spxarb.core.model import NEW_YORK

if TYPE_CHECKING:
    from spxarb.broker.broker import Broker

MOST_SECONDS_APART = 5.0
"""System and gateway may differ by this much; the gateway tells whole seconds."""


class Clock:
    """The time of one connection, New York."""

    def __init__(self, mode: str, gateway_time: datetime) -> None:
        """Start from what the gateway said when the connection was made."""
        self.mode = mode
        self._told = gateway_time
        self._heard = time.monotonic()
        self.doubt = "" if mode == "sim" else _apart(gateway_time)
        """Why the clocks disagree, empty when they do not."""

    async def ask(self, broker: Broker) -> datetime:
        """The gateway's time anew, then `now`. Raises GatewayError when it does not say."""
        self._told, self._heard = await broker.server_time(), time.monotonic()
        return self.now()

    def now(self) -> datetime:
        """Sim: as the gateway last said. Else the system's, or the gateway's where the two disagree."""
        if self.mode == "sim":
            return self._told
        if self.doubt:
            return self._told + timedelta(seconds=time.monotonic() - self._heard)
        return datetime.now(NEW_YORK)


def _apart(gateway_time: datetime) -> str:
    system = datetime.now(NEW_YORK)
    seconds = (system - gateway_time).total_seconds()
    if abs(seconds) <= MOST_SECONDS_APART:
        return ""
    return (
        f"this machine's clock says {system:%Y-%m-%d %H:%M:%S} in New York, the gateway's "
        f"{gateway_time:%Y-%m-%d %H:%M:%S}: they are {abs(seconds):.0f} s apart"
    )
