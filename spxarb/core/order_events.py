"""What happens while an order works: the frames of the broker, deadlines, snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from spxarb.core.broker_books import BrokerSnapshot, Execution
    from spxarb.core.contracts import Quote


@dataclass(frozen=True, slots=True)
class QuoteUpdate:
    con_id: int
    quote: Quote


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """An orderStatus or openOrder frame, its status as on the wire; None where the frame had no number."""

    order_ref: str
    order_id: int
    status: str
    filled: Decimal | None = None
    remaining: Decimal | None = None
    perm_id: int = 0


@dataclass(frozen=True, slots=True)
class FillReport:
    execution: Execution


@dataclass(frozen=True, slots=True)
class CommissionReport:
    exec_id: str
    commission: Decimal | None


@dataclass(frozen=True, slots=True)
class OrderMessage:
    """An error or warning frame tied to an order. See `broker_codes` for what a code proves."""

    order_ref: str
    order_id: int
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class LinkChange:
    """`up` False: the link is down, the socket (code 0) or the gateway's own to IB (`broker_codes`)."""

    up: bool
    code: int
    text: str
    data_lost: bool = False


@dataclass(frozen=True, slots=True)
class Timer:
    """A deadline that a procedure had set has passed."""

    name: str


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Entries were forbidden meanwhile: `stop` or `close-all` was run."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class NotSent:
    """An order, or a change of one, that never reached the socket because the link was down."""

    order_ref: str
    why: str


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """A snapshot over a link that stayed whole (`epoch` names it); `at` is monotonic seconds."""

    snapshot: BrokerSnapshot
    at: float = 0.0
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class SnapshotFailed:
    """A snapshot that the broker did not answer in time, or during which the link was lost."""

    why: str


BrokerEvent = QuoteUpdate | OrderUpdate | FillReport | CommissionReport | OrderMessage | LinkChange


Event = BrokerEvent | Timer | StopRequested | NotSent | SnapshotTaken | SnapshotFailed
