"""The life of one order: a table of states and news, and what is known of its fills.

What the broker says is news; only executions are fills (orderStatus is neither guaranteed nor ordered), and
only a look into the broker's books proves an end: `Cancelled` can be crossed by a fill, an error code can
stand beside a live order, an `Inactive` order can come back to life. An order that the broker had must appear
there; that it appears nowhere is an answer only for one that it never had, or said to be over. Sources:
IBKR's TWS API documentation on order states, and what users of the client libraries met (fills after 202,
10148 "state: Filled", 10349 and 399 on live orders).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from spxarb.core.broker_codes import CANCEL_REFUSALS, CANCELLATION, CHANGE_REFUSALS, REFUSALS
from spxarb.core.model import ZERO, latest_revisions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from spxarb.core.model import BrokerOrder, Execution, LegName, OrderTicket, SnapshotTaken
    from spxarb.core.records import Purpose


class OrderState(StrEnum):
    """Where an order stands. FILLED and ENDED are final; even then late news is taken."""

    INTENDED = "intended"  # committed to the ledger, not known to have been sent
    SENT = "sent"  # handed to the socket, no word yet
    LIVE = "live"  # the broker has it, and it may fill
    PENDING_CANCEL = "cancelling"  # its end was asked for; it may still fill
    REPORTED_DONE = "said ended"  # the broker said cancelled or refused; fills may be on their way
    FILLED = "filled"  # executions add up to the whole quantity
    ENDED = "ended"  # proven over with less than the whole quantity


FINAL = frozenset({OrderState.FILLED, OrderState.ENDED})


class OrderEvent(StrEnum):
    """What can happen to an order."""

    SENT = "sent"
    NOT_SENT = "not sent"
    NOTED = "noted"  # a warning, a doubtful code, a pending state: proves nothing
    WORKING = "working"
    FILLED_PARTLY = "filled partly"
    FILLED_WHOLLY = "filled wholly"
    CANCEL_SENT = "cancel sent"
    CANCEL_REFUSED = "cancel refused"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    SEEN_LIVE = "seen live"  # a look into the books shows it among the open orders
    SEEN_INACTIVE = "seen inactive"  # so listed there: it does not work, and can come back to life
    SEEN_ENDED = "seen ended"  # a look shows it completed, with all that was filled
    ABSENT_TWICE = "absent twice"  # two looks, 5 s apart, show it nowhere, and no word contradicts that


_BEFORE_THE_END: dict[OrderEvent, OrderState | None] = {
    OrderEvent.NOT_SENT: None,  # None: the state stays as it is
    OrderEvent.NOTED: None,
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
}

_FROM_OUTSIDE = (
    OrderEvent.NOT_SENT,
    OrderEvent.NOTED,
    OrderEvent.WORKING,
    OrderEvent.FILLED_PARTLY,
    OrderEvent.FILLED_WHOLLY,
    OrderEvent.CANCEL_REFUSED,
    OrderEvent.CANCELLED,
    OrderEvent.REFUSED,
)
_AFTER_THE_END: dict[OrderEvent, OrderState | None] = dict.fromkeys(_FROM_OUTSIDE)

TRANSITIONS: Mapping[OrderState, Mapping[OrderEvent, OrderState | None]] = {
    OrderState.INTENDED: {
        **_BEFORE_THE_END,
        OrderEvent.SENT: OrderState.SENT,
        OrderEvent.NOT_SENT: OrderState.ENDED,
    },
    OrderState.SENT: {
        **_BEFORE_THE_END,
        OrderEvent.NOT_SENT: OrderState.ENDED,
        OrderEvent.CANCEL_SENT: OrderState.PENDING_CANCEL,
    },
    OrderState.LIVE: {
        **_BEFORE_THE_END,
        OrderEvent.SENT: None,  # a change of its price
        OrderEvent.CANCEL_SENT: OrderState.PENDING_CANCEL,
        OrderEvent.ABSENT_TWICE: None,  # the broker had it: it must be somewhere
    },
    OrderState.PENDING_CANCEL: {
        **_BEFORE_THE_END,
        OrderEvent.CANCEL_SENT: None,  # asked for again
        OrderEvent.WORKING: None,  # a status from before the cancel
        OrderEvent.FILLED_PARTLY: None,
        OrderEvent.SEEN_LIVE: None,
        OrderEvent.SEEN_INACTIVE: None,
    },
    OrderState.REPORTED_DONE: {
        **_BEFORE_THE_END,
        OrderEvent.CANCEL_SENT: OrderState.PENDING_CANCEL,  # it is listed as Inactive
        OrderEvent.FILLED_PARTLY: None,  # it crossed the end; the rest is over all the same
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
"""State -> news -> next state; None: it stays. A missing pair cannot happen and is an error.

What comes from outside can come in every state. An order is sent only once, repriced only while it lives,
asked to end only while it may fill or come back to life; what is final is looked for no more.
"""

_WORDS_ON_IT = frozenset(
    {
        OrderEvent.WORKING,
        OrderEvent.FILLED_PARTLY,
        OrderEvent.FILLED_WHOLLY,
        OrderEvent.CANCELLED,
        OrderEvent.REFUSED,
        OrderEvent.SEEN_LIVE,
        OrderEvent.SEEN_INACTIVE,
    }
)
"""The broker has it, or had it a moment ago: only looks after that can prove it absent."""
_SIGNS_OF_LIFE = frozenset(
    {OrderEvent.WORKING, OrderEvent.FILLED_PARTLY, OrderEvent.SEEN_LIVE, OrderEvent.SEEN_INACTIVE}
)
"""The broker has it: from now on it must appear somewhere."""
_WORKING_STATUS = frozenset({"PreSubmitted", "Submitted"})
_CANCELLED_STATUS = frozenset({"Cancelled", "ApiCancelled"})

ABSENCE_SECONDS = 5.0
"""Between the two looks that prove an absence: orders appear late after the gateway's own link was lost."""


def event_of_status(status: str) -> OrderEvent:
    """What an orderStatus or openOrder state says. `Filled` proves nothing: executions do."""
    if status in _WORKING_STATUS:
        return OrderEvent.WORKING
    if status in _CANCELLED_STATUS:
        return OrderEvent.CANCELLED
    return OrderEvent.REFUSED if status == "Inactive" else OrderEvent.NOTED


def reported_done(status: str) -> bool:
    """Whether the last status that was heard says that the order is over: it may be wrong."""
    return event_of_status(status) in {OrderEvent.CANCELLED, OrderEvent.REFUSED}


def event_of_code(code: int, state: OrderState, *, changed: bool) -> OrderEvent:
    """What an error frame tied to an order says, given where the order stood.

    201, 110 and the like refuse an order; once its price was `changed` they may mean the change alone. A code
    that is in no table proves nothing.
    """
    if code in CANCEL_REFUSALS:
        return OrderEvent.CANCEL_REFUSED
    if code == CANCELLATION:
        return OrderEvent.CANCELLED
    if code in REFUSALS and not changed and state not in FINAL:
        return OrderEvent.REFUSED
    return OrderEvent.NOTED


@dataclass(slots=True)
class Track:
    """One order followed through its life: what was asked, what was heard, what was filled."""

    ticket: OrderTicket
    leg: LegName
    purpose: Purpose
    attempt: int
    state: OrderState = OrderState.INTENDED
    perm_id: int = 0
    order_id: int = 0
    limit: Decimal | None = None
    executions: dict[str, Execution] = field(default_factory=dict)  # by exec id
    reported_filled: Decimal = ZERO  # the most that any status claimed
    words: list[str] = field(default_factory=list)  # error and warning texts, oldest first
    refusal: str = ""  # the words with which the broker ended it, or why it was not sent
    cancel_asked: bool = False
    absent_since: tuple[float, int] | None = None  # first look of a row that showed it nowhere; its link
    absent: bool = False  # that it appeared nowhere is all that proves its end
    listed: bool = False  # the last look showed it among the open orders
    acknowledged: bool = False  # the broker had it, by its own word
    overnight: Decimal | None = (
        None  # `BrokerSnapshot.overnight` of its contract when it was made; None: unknown
    )
    changed: bool = False  # another price was sent for it
    change_refused: bool = False

    @property
    def ref(self) -> str:
        return self.ticket.order_ref

    @property
    def filled(self) -> Decimal:
        """Contracts filled, by executions alone."""
        return sum((each.quantity for each in latest_revisions(self.executions.values())), start=ZERO)

    @property
    def remaining(self) -> Decimal:
        return max(self.ticket.quantity - self.filled, ZERO)

    @property
    def final(self) -> bool:
        """Nothing more can come of it, unless a status told of fills that no execution has shown."""
        return self.state in FINAL

    @property
    def over(self) -> bool:
        """The broker said that it is over, or it is proven."""
        return self.final or self.state is OrderState.REPORTED_DONE

    @property
    def reported_whole(self) -> bool:
        """A status claims that all of it is filled."""
        return self.reported_filled >= self.ticket.quantity

    @property
    def fills_missing(self) -> bool:
        """A status told of fills that no execution has shown yet. What a correction took back was shown."""
        shown: dict[str, Decimal] = {}
        for each in self.executions.values():
            shown[each.family] = max(each.quantity, shown.get(each.family, ZERO))
        return self.reported_filled > sum(shown.values(), start=ZERO)

    @property
    def cancellable(self) -> bool:
        """Its end can be asked for: it may fill as far as we know, and the broker has, or gets, its id.

        Not while it is only intended: whose id it has nobody knows. One that was said to be over is left
        alone, unless the books list it still: an Inactive order can come back to life.
        """
        lives = (
            self.state in {OrderState.SENT, OrderState.LIVE, OrderState.PENDING_CANCEL}
            and not self.reported_whole
        )
        return lives or (self.state is OrderState.REPORTED_DONE and self.listed)

    @property
    def proven(self) -> bool:
        """It is over, and all its fills are known: only then may another order follow it."""
        return self.final and not self.fills_missing

    @property
    def average_price(self) -> Decimal | None:
        """Dollars or points, weighted by contracts; None when nothing is filled."""
        fills = latest_revisions(self.executions.values())
        total = sum((each.quantity for each in fills), start=ZERO)
        return sum((e.quantity * e.price for e in fills), start=ZERO) / total if total else None

    def apply(self, event: OrderEvent) -> None:
        """Move along the table. KeyError: news that cannot happen in this state.

        After a word on it, its absence must be proven anew.
        """
        following = TRANSITIONS[self.state][event] or self.state
        if following is not self.state or event in _WORDS_ON_IT:
            self.absent_since = None
        self.acknowledged = self.acknowledged or event in _SIGNS_OF_LIFE
        self.cancel_asked = self.cancel_asked or event is OrderEvent.CANCEL_SENT
        self.state = following

    def reprice(self, limit: Decimal) -> None:
        """Another price goes out for it. KeyError: it does not live, so nothing may be sent."""
        if self.state is not OrderState.LIVE:
            raise KeyError(self.state)
        self.apply(OrderEvent.SENT)
        self.limit, self.changed = limit, True

    def on_execution(self, execution: Execution) -> None:
        """Count a fill or a correction; the same one twice counts once."""
        if self.executions.get(execution.exec_id) == execution:
            return
        self.executions[execution.exec_id] = execution
        self.perm_id = self.perm_id or execution.perm_id
        self.apply(OrderEvent.FILLED_PARTLY if self.remaining else OrderEvent.FILLED_WHOLLY)

    def on_status(self, status: str, filled: Decimal | None, perm_id: int = 0) -> None:
        """Take a status of the wire."""
        self.perm_id = self.perm_id or perm_id
        self._claim(status, filled)
        self.apply(event_of_status(status))

    def _claim(self, status: str, filled: Decimal | None) -> None:
        whole = self.ticket.quantity + ZERO
        if filled is None:
            filled = whole if status == "Filled" else ZERO
        self.reported_filled = max(self.reported_filled, min(filled, whole))

    def on_message(self, code: int, text: str) -> None:
        """Take an error or warning frame."""
        self.words.append(f"{code} {text}")
        if code in REFUSALS or (code == CANCELLATION and not self.cancel_asked):
            self.refusal = self.words[-1]
        refused = code in CHANGE_REFUSALS or (self.changed and code in REFUSALS)
        self.change_refused = self.change_refused or refused
        self.apply(event_of_code(code, self.state, changed=self.changed))

    def on_not_sent(self, why: str) -> None:
        """It, or a change of it, never reached the socket."""
        self.words.append(why)
        self.refusal = why
        self.apply(OrderEvent.NOT_SENT)

    def on_snapshot(self, seen: SnapshotTaken) -> None:
        """Compare with the broker's books; proves life, or an end."""
        for execution in seen.snapshot.executions:
            if self.matches_execution(execution):
                self.on_execution(execution)
        if not self.remaining:
            self.apply(OrderEvent.FILLED_WHOLLY)
            return
        found = next(filter(self._is_open, seen.snapshot.open_orders), None)
        self.listed = found is not None
        if found is None:
            self._seek_end(seen)
            return
        self.perm_id = self.perm_id or found.perm_id
        self._claim(found.status, found.filled)
        inactive = event_of_status(found.status) is OrderEvent.REFUSED
        self.apply(OrderEvent.SEEN_INACTIVE if inactive else OrderEvent.SEEN_LIVE)

    def _seek_end(self, seen: SnapshotTaken) -> None:
        """Not among the open orders: over when it is completed with all its fills, else only absent."""
        done = next((order for order in seen.snapshot.completed_orders if self._is(order)), None)
        if done is not None:
            self._claim(done.status, done.filled)
        if self.fills_missing or self.final:
            return
        if done is not None and done.filled is not None:
            self.apply(OrderEvent.SEEN_ENDED)
        elif done is None and self._must_be_somewhere(seen):
            self.absent_since = None
        elif self.absent_since is None or self.absent_since[1] != seen.epoch:
            self.absent_since = (seen.at, seen.epoch)
        elif seen.at - self.absent_since[0] >= ABSENCE_SECONDS:
            self.absent = done is None
            self.apply(OrderEvent.ABSENT_TWICE)

    def _must_be_somewhere(self, seen: SnapshotTaken) -> bool:
        """Whether that it appears nowhere says more of the books than of the order.

        The broker had it and never said that it is over; or the account's position moved its way, and no
        execution of anybody tells why.
        """
        if self.acknowledged and self.state is not OrderState.REPORTED_DONE:
            return True
        if self.overnight is None:
            return False
        moved = seen.snapshot.overnight(self.ticket.contract.con_id) - self.overnight
        return moved * self.ticket.side.sign > 0

    def _is_open(self, order: BrokerOrder) -> bool:
        return self._is(order) and event_of_status(order.status) is not OrderEvent.CANCELLED

    def _is(self, order: BrokerOrder) -> bool:
        return order.order_ref == self.ref or (bool(self.perm_id) and order.perm_id == self.perm_id)

    def matches_execution(self, execution: Execution) -> bool:
        """Whether the execution is of this order: by reference, or by permId where the reference is empty."""
        if execution.order_ref:
            return execution.order_ref == self.ref
        return bool(self.perm_id) and execution.perm_id == self.perm_id


def diagram() -> str:
    """The table as Mermaid text, for the documentation."""
    lines = ["stateDiagram-v2", "    [*] --> intended"]
    for state, row in TRANSITIONS.items():
        targets: dict[OrderState, list[str]] = {}
        for event, following in row.items():
            if following is not None and following is not state:
                targets.setdefault(following, []).append(event.value)
        for following, causes in targets.items():
            lines.append(f"    {_node(state)} --> {_node(following)}: {', '.join(causes)}")
    return "\n".join(lines) + "\n"


def _node(state: OrderState) -> str:
    return state.value.replace(" ", "_")
