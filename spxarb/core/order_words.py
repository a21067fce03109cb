"""The words of our orders: why one was sent, who told of its fills, and what proves its end least."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

PREFIX = "spxarb:"
ABSENT = "absent"
"""Status of an order that was missing from two snapshots: the weakest proof that it is over."""
BY_STATEMENT = "by statement"
"""Status of an order whose end the account's statement shows."""
ACKNOWLEDGED = "acknowledged"
"""Status of an order that is over by the word of a human who has looked."""
CLOCKS_APART = timedelta(seconds=10)
"""An execution may seem this much older than what it followed: two clocks, and whole seconds on the wire."""


class Purpose(StrEnum):
    """Why an order was sent; the letter stands in its reference."""

    ENTRY = "e"
    UNWIND = "u"  # undoes an entry: its cash belongs to the entry
    EXIT = "x"
    FAILSAFE = "f"  # the resting buy-back of the short leg
    BY_HAND = "h"  # of no order of ours: what a human traded of a trade that he took

    @property
    def opens(self) -> bool:
        """Whether its cash counts to the entry credit, else to the exit cost."""
        return self in {Purpose.ENTRY, Purpose.UNWIND}


class FillSource(StrEnum):
    """Who told of an execution."""

    API = "api"  # the gateway
    STATEMENT = "statement"  # the account's statement, for what the gateway no longer lists
