"""What a gateway does wrong on purpose, so that its clients can be watched while it does."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum

from spxarb.sim.api.wire import Ask

ORDERLY = frozenset(
    {
        Ask.PLACE_ORDER,
        Ask.CANCEL_ORDER,
        Ask.GLOBAL_CANCEL,
        Ask.OPEN_ORDERS,
        Ask.ALL_OPEN_ORDERS,
        Ask.AUTO_OPEN_ORDERS,
        Ask.COMPLETED_ORDERS,
    }
)
"""The requests that a Read-Only gateway refuses with 321."""


class Cut(StrEnum):
    """When a connection ends, relative to a request or a message of the id in `Faults.cut_id`."""

    BEFORE_REQUEST = "before_request"
    """As the request arrives: it never takes effect."""
    BEFORE_ANSWER = "before_answer"
    """Once the request has taken effect, before a word of the answer."""
    BEFORE_MESSAGE = "before_message"
    """Instead of sending the message."""
    AFTER_MESSAGE = "after_message"
    """With the message as the last one."""


@dataclass
class Faults:
    """The faults in force. A cut happens once, to the first connection that it fits, and is over."""

    mute: bool = False
    """Nothing more is sent; the links stay up: a half-open connection."""
    suppress: frozenset[int] = frozenset()
    """Ids of messages that are never sent."""
    read_only: bool = False
    """The gateway's Read-Only API setting: orders and their lists are refused with 321."""
    no_quotes: bool = False
    """No contract has a bid or an ask."""
    data_type: int = 1
    """Market data type of every line: 1 live, 2 frozen, 3 delayed, 4 delayed and frozen."""
    cut: Cut | None = None
    cut_id: int = 0
    _spent: bool = field(default=False, repr=False)

    @classmethod
    def parse(cls, wanted: dict[str, object]) -> Faults:
        """Faults from plain values. Raises ValueError for an unknown name or value."""
        names = {item.name for item in fields(cls) if not item.name.startswith("_")}
        unknown = sorted(set(wanted) - names)
        if unknown:
            raise ValueError(f"unknown fault {unknown[0]!r}; known: {', '.join(sorted(names))}")
        values: dict[str, object] = dict(wanted)
        if "cut" in wanted:
            values["cut"] = None if wanted["cut"] is None else Cut(str(wanted["cut"]))
        suppressed = wanted.get("suppress", ())
        if not isinstance(suppressed, list | tuple) or not all(isinstance(item, int) for item in suppressed):
            raise ValueError("suppress is a list of message ids")
        values["suppress"] = frozenset(suppressed)
        if wanted.get("data_type", 1) not in {1, 2, 3, 4}:
            raise ValueError("data_type is 1, 2, 3 or 4")
        return cls(**values)  # type: ignore[arg-type]

    def cuts(self, when: Cut, number: int) -> bool:
        """True the first time that the cut in force is this one."""
        if self._spent or self.cut is not when or self.cut_id != number:
            return False
        self._spent = True
        return True
