"""Matters for a human: what a job found and cannot set right. One stays until it is resolved or acknowledged.

Some are resolved by evidence: a later job sees that the order ended, that the account agrees again. Of others
no evidence can come, and only a human who has looked ends them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class MatterKind(StrEnum):
    """What a matter is about; its key is `<kind>:<subject>`."""

    ORDER = "order"  # how an order ended is not known; an acknowledgement ends the order
    UNPROVEN = "unproven"  # what is held of a trade is not known
    ENTRY = "entry"  # an entry is neither whole nor undone
    EXIT = "exit"  # an exit is not complete
    EXPIRED = "expired"  # calls have expired, and what became of them is not known
    ACCOUNT = "account"  # ledger and account disagree
    ASSIGNMENT = "assignment"  # SPY calls ended near or in the money: they may become shares overnight
    SHARES = "shares"  # shares may have been assigned
    SETTLEMENT = "settlement"  # figures of a settlement contradict each other, or do not come
    FAILSAFE = "failsafe"  # no buy-back rests at the broker for exactly what a trade is short
    TAKEN = "taken"  # others traded contracts of ours
    WARNING = "warning"  # the broker warns of the account: its margin, a liquidation
    HAND_OVER = "hand-over"  # a hand-over is not complete
    BY_HAND = "by-hand"  # told once of a trade that a human took; never open
    LOST = "lost"  # the broker no longer lists what an order did

    @property
    def needs_acknowledgement(self) -> bool:
        """Whether no evidence of a later day can resolve it."""
        return self in {
            MatterKind.SHARES,
            MatterKind.SETTLEMENT,
            MatterKind.TAKEN,
            MatterKind.WARNING,
            MatterKind.LOST,
        }

    @property
    def follows_from_the_ledger(self) -> bool:
        """Whether the states of trades and orders alone say that it stands."""
        settlements = {MatterKind.ASSIGNMENT, MatterKind.SHARES, MatterKind.SETTLEMENT}
        others = {MatterKind.ACCOUNT, MatterKind.FAILSAFE, MatterKind.TAKEN}
        return self not in settlements | others | {MatterKind.WARNING, MatterKind.BY_HAND}

    def key(self, subject: object) -> str:
        """The key of a matter of this kind; `subject`: a trade's id, an order's reference, a text."""
        return f"{self}:{subject}"


@dataclass(frozen=True, slots=True)
class NewMatter:
    """Something that needs a human; `text` is a sentence without its full stop."""

    key: str
    text: str
    trade_id: int | None = None


@dataclass(frozen=True, slots=True)
class Matter:
    """One matter as the ledger keeps it. `alerted_to`: by which way the last alert about it went."""

    id: int
    key: str
    trade_id: int | None
    text: str
    since: datetime
    last_seen: datetime
    alerted_at: datetime | None = None
    alerted_to: str | None = None
    resolved_at: datetime | None = None
    resolution: str | None = None
    acknowledged_at: datetime | None = None
    note: str | None = None

    @property
    def kind(self) -> MatterKind | None:
        """None for a kind that another version of the program wrote."""
        word = self.key.partition(":")[0]
        return MatterKind(word) if word in MatterKind.__members__.values() else None

    @property
    def subject(self) -> str:
        return self.key.partition(":")[2]

    @property
    def is_open(self) -> bool:
        """Whether it is neither resolved nor acknowledged."""
        return self.resolved_at is None and self.acknowledged_at is None
