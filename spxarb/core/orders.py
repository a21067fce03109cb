"""What can happen to one order: four machines, each a table of states and events, and the wire's words.

1. `OrderState`: where the order stands, from intended to filled or ended.
2. `Presence`: what the broker's lists have shown of it; this is how an absence is proven.
3. `ChangeState`: whether another price was sent for it, and whether that was refused.
4. `CancelState`: whether its cancel was sent, and whether that was refused.

Each table is state -> event -> next state, and a missing pair is an error. `tracking.TrackedOrder` takes one
order through all four; `docs/order-life.md` is written from the tables.

Only executions are fills: orderStatus is neither guaranteed nor ordered (IBKR, TWS API, order submission).
Only the broker's lists prove an end: a fill can cross `Cancelled`, an `Inactive` order can come back to life
(ib_insync#363), and many codes stand beside a live order (10349: ib_async#191; see `broker_codes`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from spxarb.core.broker_codes import CANCEL_REFUSALS, CANCELLATION, HARMLESS, REFUSALS

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)
if TYPE_CHECKING:
    Table = Mapping[S, Mapping[E, S]]

ABSENCE_SECONDS = 5.0
"""Between the two snapshots that prove an absence: after the gateway's own link was lost orders appear late.

Enough for an order that the broker said is over, and for a purchase that it spoke of with a code that we do
not know.
"""
SILENCE_SECONDS = 120.0
"""Between the two snapshots that end an order of which the broker never said a word.

One gateway acknowledged an order 53 s after it was sent, over a whole link and after later orders
(vjsworld/IBKR-0DTE-SPX-Options-Turtle, logs/2025-10-22.txt). So silence is no end, and this long an absence
only one that can be borne: of a purchase, which can cost no more than its premium if it fills all the same,
and only beside a cancel that was answered with "not found". A sale that the broker spoke of with a code that
we do not know takes as long. Such an order (`records.ABSENT`) is looked for again at every job until its day
ends.
"""


# --- 1: where the order stands --------------------------------------------------------------------


class OrderState(StrEnum):
    """Where an order stands. FILLED and ENDED are final; even then late events are taken."""

    INTENDED = "intended"  # committed to the ledger, not known to have been sent
    SENT = "sent"  # handed to the socket, not acknowledged
    LIVE = "live"  # the broker has it, and it may fill
    PENDING_CANCEL = "pending cancel"  # its cancel was sent; it may still fill
    REPORTED_DONE = "reported done"  # the broker said cancelled or refused; fills may be on their way
    FILLED = "filled"  # executions add up to the whole quantity
    ENDED = "ended"  # proven over with less than the whole quantity


FINAL = frozenset({OrderState.FILLED, OrderState.ENDED})


class OrderEvent(StrEnum):
    """What can happen to an order."""

    SENT = "sent"
    NOT_SENT = "not sent"
    NOTED = "noted"  # a warning, a pending status: proves nothing
    SPOKEN_OF = "spoken of"  # a code that we do not know: proves nothing, but its end is looked for at once
    WORKING = "working"
    FILLED_PARTLY = "filled partly"
    FILLED_WHOLLY = "filled wholly"
    CANCEL_SENT = "cancel sent"
    CANCEL_REFUSED = "cancel refused"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    SEEN_LIVE = "seen live"  # a snapshot has it among the open orders
    SEEN_INACTIVE = "seen inactive"  # there, but Inactive: it does not work, and can come back to life
    SEEN_ENDED = "seen ended"  # a snapshot has it completed, with everything that was filled
    ABSENT_TWICE = "absent twice"  # its `Presence` came to ABSENT, or to COMPLETED without a count
    NEVER_ARRIVED = "never arrived"  # the gateway's next order id is not above its own


_BEFORE_THE_END: dict[OrderEvent, OrderState | None] = {
    OrderEvent.NOT_SENT: None,  # None: the state stays as it is
    OrderEvent.NOTED: None,
    OrderEvent.SPOKEN_OF: None,
    OrderEvent.WORKING: OrderState.LIVE,
    OrderEvent.FILLED_PARTLY: OrderState.LIVE,
    OrderEvent.FILLED_WHOLLY: OrderState.FILLED,
    OrderEvent.CANCEL_REFUSED: None,
    OrderEvent.CANCELLED: OrderState.REPORTED_DONE,
    OrderEvent.REFUSED: OrderState.REPORTED_DONE,
    OrderEvent.SEEN_LIVE: OrderState.LIVE,
    OrderEvent.SEEN_INACTIVE: OrderState.REPORTED_DONE,
    OrderEvent.SEEN_ENDED: OrderState.ENDED,
    OrderEvent.ABSENT_TWICE: OrderState.ENDED,
    OrderEvent.NEVER_ARRIVED: OrderState.ENDED,
}

_AFTER_THE_END: dict[OrderEvent, OrderState | None] = dict.fromkeys(
    (
        OrderEvent.NOT_SENT,
        OrderEvent.NOTED,
        OrderEvent.SPOKEN_OF,
        OrderEvent.WORKING,
        OrderEvent.FILLED_PARTLY,
        OrderEvent.FILLED_WHOLLY,
        OrderEvent.CANCEL_REFUSED,
        OrderEvent.CANCELLED,
        OrderEvent.REFUSED,
    )
)

_CHANGES: dict[OrderState, dict[OrderEvent, OrderState | None]] = {
    OrderState.INTENDED: {
        **_BEFORE_THE_END,
        OrderEvent.SENT: OrderState.SENT,
        OrderEvent.NOT_SENT: OrderState.ENDED,
        OrderEvent.CANCEL_SENT: OrderState.PENDING_CANCEL,  # an earlier run may have sent it
    },
    OrderState.SENT: {
        **_BEFORE_THE_END,
        OrderEvent.SENT: None,  # again, under its own id: a second arrival is a change, or is refused
        OrderEvent.NOT_SENT: OrderState.ENDED,
        OrderEvent.CANCEL_SENT: OrderState.PENDING_CANCEL,
    },
    OrderState.LIVE: {
        **_BEFORE_THE_END,
        OrderEvent.SENT: None,  # another price for it
        OrderEvent.CANCEL_SENT: OrderState.PENDING_CANCEL,
        OrderEvent.ABSENT_TWICE: None,  # the broker had it: it must be somewhere
        OrderEvent.NEVER_ARRIVED: None,
    },
    OrderState.PENDING_CANCEL: {
        **_BEFORE_THE_END,
        OrderEvent.CANCEL_SENT: None,  # once more
        OrderEvent.WORKING: None,  # a status from before the cancel
        OrderEvent.FILLED_PARTLY: None,
        OrderEvent.SEEN_LIVE: None,
        OrderEvent.SEEN_INACTIVE: None,
    },
    OrderState.REPORTED_DONE: {
        **_BEFORE_THE_END,
        OrderEvent.CANCEL_SENT: OrderState.PENDING_CANCEL,  # it is listed as Inactive
        OrderEvent.FILLED_PARTLY: None,  # the fill crossed the end; the rest is over all the same
        OrderEvent.NEVER_ARRIVED: None,  # the broker has spoken of it
    },
    OrderState.FILLED: {
        **_AFTER_THE_END,
        OrderEvent.FILLED_PARTLY: OrderState.ENDED,  # a correction took contracts away
    },
    OrderState.ENDED: {
        **_AFTER_THE_END,
        OrderEvent.WORKING: OrderState.LIVE,  # not over after all: what was built on that is checked again
        OrderEvent.SEEN_LIVE: OrderState.LIVE,
        OrderEvent.SEEN_INACTIVE: OrderState.REPORTED_DONE,
        OrderEvent.FILLED_WHOLLY: OrderState.FILLED,
    },
}

TRANSITIONS: Table[OrderState, OrderEvent] = {
    state: {event: state if target is None else target for event, target in row.items()}
    for state, row in _CHANGES.items()
}
"""What comes from outside can come in every state. An order is sent again, under its own id, only while it is
live or nobody has heard of it; cancelled only while it may fill or come back to life; a final order is not
looked for any more.
"""


# --- 2: what the broker's lists have shown of it --------------------------------------------------


class Presence(StrEnum):
    """What the broker's lists have shown of an order, and what the broker said of it in between.

    An order that the broker had must be listed somewhere: to be shown nowhere proves something only of one
    that the broker itself spoke of as over, and, after minutes, of one that it never spoke of.
    """

    UNHEARD = "unheard"  # not a word of it: perhaps it never arrived, perhaps it is late
    SPOKEN_OF = "spoken of"  # never acknowledged; said to be over, or named by a code that we do not know
    ACKNOWLEDGED = "acknowledged"  # the broker has it, or had it
    LISTED = "listed"  # the last snapshot had it among the open orders
    SILENT_ONCE = "silent once"  # not a word of it, and missing from one snapshot
    ABSENT_ONCE = "absent once"  # spoken of, never acknowledged, and missing from one snapshot
    GONE_ONCE = "gone once"  # acknowledged, said to be over, and missing from one snapshot
    ABSENT = "absent"  # missing from two snapshots: over, by the weakest proof
    COMPLETED = "completed"  # listed as completed: over


class PresenceEvent(StrEnum):
    """What bears on that. AGAIN: long enough after the first such snapshot, over one link.

    That is `ABSENCE_SECONDS`, and `SILENCE_SECONDS` for an order of which nobody has heard.
    """

    ACKNOWLEDGED = "acknowledged"  # a working status, or an execution
    SPOKEN_OF = "spoken of"  # the broker said that it is over, or what we do not know: count anew from here
    RESTARTED = "restarted"  # its state changed: count anew from here
    LISTED = "listed"  # a snapshot has it among the open orders
    COMPLETED = "completed"  # a snapshot has it completed, with everything that was filled
    UNCOUNTED = "uncounted"  # completed, and the row does not say how much was filled
    UNCOUNTED_AGAIN = "uncounted again"
    MISSING = "missing"  # in no list
    MISSING_AGAIN = "missing again"
    INCONCLUSIVE = "inconclusive"  # not open, and that proves nothing: see `TrackedOrder`


_ANY_TIME = {
    PresenceEvent.ACKNOWLEDGED: Presence.ACKNOWLEDGED,
    PresenceEvent.LISTED: Presence.LISTED,
}


def _looked_for(
    before: Presence, once: Presence, *, again: bool, spoken_of: Presence
) -> dict[PresenceEvent, Presence]:
    """What can happen to an order that is not listed: `once` is what a first snapshot without it makes of it.

    `again`: that snapshot was taken. `spoken_of`: what word of it from the broker makes of it.
    """
    row = {
        **_ANY_TIME,
        PresenceEvent.SPOKEN_OF: spoken_of,
        PresenceEvent.RESTARTED: before,
        PresenceEvent.COMPLETED: Presence.COMPLETED,
        PresenceEvent.UNCOUNTED: once,
        PresenceEvent.MISSING: once,
        PresenceEvent.INCONCLUSIVE: before,
    }
    if again:
        row[PresenceEvent.UNCOUNTED_AGAIN] = Presence.COMPLETED
        row[PresenceEvent.MISSING_AGAIN] = Presence.ABSENT
    return row


_UNHEARD = Presence.UNHEARD, Presence.SILENT_ONCE
_SPOKEN_OF = Presence.SPOKEN_OF, Presence.ABSENT_ONCE
_ACKNOWLEDGED = Presence.ACKNOWLEDGED, Presence.GONE_ONCE

PRESENCE_TRANSITIONS: Table[Presence, PresenceEvent] = {
    Presence.UNHEARD: _looked_for(*_UNHEARD, again=False, spoken_of=Presence.SPOKEN_OF),
    Presence.SPOKEN_OF: _looked_for(*_SPOKEN_OF, again=False, spoken_of=Presence.SPOKEN_OF),
    Presence.ACKNOWLEDGED: _looked_for(*_ACKNOWLEDGED, again=False, spoken_of=Presence.ACKNOWLEDGED),
    Presence.LISTED: {
        PresenceEvent.ACKNOWLEDGED: Presence.LISTED,  # only the next snapshot takes it off the list
        PresenceEvent.SPOKEN_OF: Presence.LISTED,
        PresenceEvent.RESTARTED: Presence.LISTED,
        PresenceEvent.LISTED: Presence.LISTED,
        PresenceEvent.COMPLETED: Presence.COMPLETED,
        PresenceEvent.UNCOUNTED: Presence.GONE_ONCE,
        PresenceEvent.MISSING: Presence.GONE_ONCE,
        PresenceEvent.INCONCLUSIVE: Presence.ACKNOWLEDGED,
    },
    Presence.SILENT_ONCE: _looked_for(*_UNHEARD, again=True, spoken_of=Presence.SPOKEN_OF),
    Presence.ABSENT_ONCE: _looked_for(*_SPOKEN_OF, again=True, spoken_of=Presence.SPOKEN_OF),
    Presence.GONE_ONCE: _looked_for(*_ACKNOWLEDGED, again=True, spoken_of=Presence.ACKNOWLEDGED),
    Presence.ABSENT: {
        **_ANY_TIME,
        PresenceEvent.SPOKEN_OF: Presence.ABSENT,
        PresenceEvent.RESTARTED: Presence.ABSENT,
        PresenceEvent.INCONCLUSIVE: Presence.ABSENT,
    },
    Presence.COMPLETED: {
        **_ANY_TIME,
        PresenceEvent.SPOKEN_OF: Presence.COMPLETED,
        PresenceEvent.RESTARTED: Presence.COMPLETED,
        PresenceEvent.INCONCLUSIVE: Presence.COMPLETED,
    },
}
"""What the broker says can come in every state. The second snapshot of a proof needs a first; what is proven
over is not proven over once more.
"""

SAID_OF_PRESENCE: Mapping[OrderEvent, PresenceEvent] = {
    OrderEvent.WORKING: PresenceEvent.ACKNOWLEDGED,
    OrderEvent.FILLED_PARTLY: PresenceEvent.ACKNOWLEDGED,
    OrderEvent.FILLED_WHOLLY: PresenceEvent.ACKNOWLEDGED,
    OrderEvent.CANCELLED: PresenceEvent.SPOKEN_OF,
    OrderEvent.REFUSED: PresenceEvent.SPOKEN_OF,
    OrderEvent.SPOKEN_OF: PresenceEvent.SPOKEN_OF,
    OrderEvent.SEEN_LIVE: PresenceEvent.LISTED,
    OrderEvent.SEEN_INACTIVE: PresenceEvent.LISTED,
    OrderEvent.SEEN_ENDED: PresenceEvent.COMPLETED,
}
"""What an order's event says of its presence. Any other restarts the proof when it changes the state."""

SILENT = frozenset({Presence.UNHEARD, Presence.SILENT_ONCE})
NEVER_ACKNOWLEDGED = SILENT | {Presence.SPOKEN_OF, Presence.ABSENT_ONCE}
FIRST_ABSENCE = frozenset({Presence.SILENT_ONCE, Presence.ABSENT_ONCE, Presence.GONE_ONCE})
HAD_BY_THE_BROKER = frozenset({Presence.ACKNOWLEDGED, Presence.LISTED, Presence.GONE_ONCE})


# --- 3: another price for it ----------------------------------------------------------------------


class ChangeState(StrEnum):
    """Whether another price was sent for an order. There is no echo to wait for: many changes get none."""

    UNCHANGED = "unchanged"
    SENT = "change sent"  # from now on a refusal may mean the change alone
    REFUSED = "change refused"  # no other is sent


class ChangeEvent(StrEnum):
    SENT = "change sent"
    REFUSED = "change refused"


CHANGE_TRANSITIONS: Table[ChangeState, ChangeEvent] = {
    ChangeState.UNCHANGED: {
        ChangeEvent.SENT: ChangeState.SENT,
        ChangeEvent.REFUSED: ChangeState.REFUSED,  # of a change that an earlier run sent
    },
    ChangeState.SENT: {ChangeEvent.SENT: ChangeState.SENT, ChangeEvent.REFUSED: ChangeState.REFUSED},
    ChangeState.REFUSED: {ChangeEvent.REFUSED: ChangeState.REFUSED},
}
"""After a refusal no other change is sent: the broker has said that it does not want one."""


# --- 4: its cancel --------------------------------------------------------------------------------


class CancelState(StrEnum):
    """Whether the cancel of an order was sent. That it came to its end is said by `OrderState`."""

    NOT_SENT = "not sent"  # a cancellation is then the broker's own doing
    SENT = "cancel sent"
    REFUSED = "cancel refused"  # often because it is filled
    NOT_FOUND = "not found"  # the broker knows no such order, or no longer: proves nothing by itself


class CancelEvent(StrEnum):
    SENT = "cancel sent"
    REFUSED = "cancel refused"
    NOT_FOUND = "not found"
    ORDER_SENT_AGAIN = "order sent again"  # what a cancel before that came to says nothing of it


_ANSWERED = {
    CancelEvent.ORDER_SENT_AGAIN: CancelState.NOT_SENT,
    CancelEvent.SENT: CancelState.SENT,
    CancelEvent.REFUSED: CancelState.REFUSED,
    CancelEvent.NOT_FOUND: CancelState.NOT_FOUND,
}
CANCEL_TRANSITIONS: Table[CancelState, CancelEvent] = {
    CancelState.NOT_SENT: {
        CancelEvent.SENT: CancelState.SENT,
        CancelEvent.REFUSED: CancelState.NOT_SENT,  # of a cancel that an earlier run sent
        CancelEvent.NOT_FOUND: CancelState.NOT_SENT,
        CancelEvent.ORDER_SENT_AGAIN: CancelState.NOT_SENT,
    },
    CancelState.SENT: _ANSWERED,
    CancelState.REFUSED: _ANSWERED,
    CancelState.NOT_FOUND: {**_ANSWERED, CancelEvent.SENT: CancelState.NOT_FOUND},  # asked again, to be sure
}


# --- the wire's words -----------------------------------------------------------------------------

_WORKING_STATUS = frozenset({"PreSubmitted", "Submitted"})
_CANCELLED_STATUS = frozenset({"Cancelled", "ApiCancelled"})


def event_of_status(status: str) -> OrderEvent:
    """What an orderStatus or openOrder status says. `Filled` proves nothing: executions do."""
    if status in _WORKING_STATUS:
        return OrderEvent.WORKING
    if status in _CANCELLED_STATUS:
        return OrderEvent.CANCELLED
    return OrderEvent.REFUSED if status == "Inactive" else OrderEvent.NOTED


def reported_done(status: str) -> bool:
    """Whether a status says that the order is over, which may be wrong."""
    return event_of_status(status) in {OrderEvent.CANCELLED, OrderEvent.REFUSED}


def event_of_code(code: int, state: OrderState, *, changed: bool) -> OrderEvent:
    """What an error frame tied to an order says, given where the order stands.

    201, 110 and the like refuse an order; once it was `changed` they may mean the change alone. A code that
    is in no group of `broker_codes` proves nothing, but it may be the only word that ever comes.
    """
    if code in CANCEL_REFUSALS:
        return OrderEvent.CANCEL_REFUSED
    if code == CANCELLATION:
        return OrderEvent.CANCELLED
    if code in REFUSALS:
        return OrderEvent.NOTED if changed or state in FINAL else OrderEvent.REFUSED
    return OrderEvent.NOTED if code in HARMLESS else OrderEvent.SPOKEN_OF


# --- the tables as drawings -----------------------------------------------------------------------


def diagram(table: Table[S, E]) -> str:
    """A table as Mermaid text, its first state the initial one; events that change nothing are left out."""
    lines = ["stateDiagram-v2", f"    [*] --> {_node(next(iter(table)))}"]
    for state, row in table.items():
        causes: dict[S, list[str]] = {}
        for event, target in row.items():
            if target is not state:
                causes.setdefault(target, []).append(event.value)
        lines += [
            f"    {_node(state)} --> {_node(target)}: {', '.join(events)}"
            for target, events in causes.items()
        ]
    return "\n".join(lines) + "\n"


def _node(state: StrEnum) -> str:
    return state.value.replace(" ", "_")
