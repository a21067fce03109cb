"""One order followed through its life: what was asked, what the broker said, what was filled.

`orders` has the four machines that run here, with their tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from spxarb.core.broker_books import latest_revisions
from spxarb.core.broker_codes import (
    CANCEL_ID_NOT_FOUND,
    CANCELLATION,
    CHANGE_REFUSALS,
    DUPLICATE_ORDER_ID,
    ORDER_NOT_FOUND,
    REFUSALS,
)
from spxarb.core.model import ZERO, Side
from spxarb.core.orders import (
    ABSENCE_SECONDS,
    CANCEL_TRANSITIONS,
    CHANGE_TRANSITIONS,
    FINAL,
    FIRST_ABSENCE,
    HAD_BY_THE_BROKER,
    NEVER_ACKNOWLEDGED,
    PRESENCE_TRANSITIONS,
    SAID_OF_PRESENCE,
    SILENCE_SECONDS,
    SILENT,
    TRANSITIONS,
    CancelEvent,
    CancelState,
    ChangeEvent,
    ChangeState,
    OrderEvent,
    OrderState,
    Presence,
    PresenceEvent,
    event_of_code,
    event_of_status,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from spxarb.core.broker_books import BrokerOrder, Execution, OrderTicket
    from spxarb.core.model import LegName
    from spxarb.core.order_events import SnapshotTaken
    from spxarb.core.order_words import Purpose


class _Moment(NamedTuple):
    """When a snapshot was taken, monotonic seconds, and over which link."""

    at: float
    epoch: int


_NEVER = _Moment(0.0, -1)


@dataclass(slots=True)
class TrackedOrder:
    """One order and the states of its four machines."""

    ticket: OrderTicket
    leg: LegName
    purpose: Purpose
    attempt: int
    state: OrderState = OrderState.INTENDED
    presence: Presence = Presence.UNHEARD
    change: ChangeState = ChangeState.UNCHANGED
    cancel: CancelState = CancelState.NOT_SENT
    perm_id: int = 0
    client_id: int = 0  # with `order_id`, under which it was sent; 0: not known
    order_id: int = 0
    own_client: bool = True  # this connection has that client id: no other can change or cancel it
    limit: Decimal | None = None  # the price sent last; `ticket` has the first
    executions: dict[str, Execution] = field(default_factory=dict)  # by exec id
    reported_filled: Decimal = ZERO  # the most that any status claimed
    messages: list[str] = field(default_factory=list)  # code and text of error frames, oldest first
    refusal: str = ""  # the words with which the broker ended it, or why it was not sent
    overnight: Decimal | None = None  # `BrokerSnapshot.overnight` of its contract when it was made
    _first_absence: _Moment = _NEVER  # what the two states of a first absence carry

    # --- what is known ----------------------------------------------------------------------------

    @property
    def ref(self) -> str:
        return self.ticket.order_ref

    @property
    def filled(self) -> Decimal:
        """Contracts filled, by executions alone."""
        if not self.executions:
            return ZERO
        return sum((fill.quantity for fill in latest_revisions(self.executions.values())), start=ZERO)

    @property
    def remaining(self) -> Decimal:
        return max(self.ticket.quantity - self.filled, ZERO)

    @property
    def average_price(self) -> Decimal | None:
        """Dollars or points, weighted by contracts; None when nothing is filled."""
        fills = latest_revisions(self.executions.values())
        total = sum((fill.quantity for fill in fills), start=ZERO)
        return sum((fill.quantity * fill.price for fill in fills), start=ZERO) / total if total else None

    @property
    def final(self) -> bool:
        """Nothing more can come of it, unless a status claimed fills that no execution has shown."""
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
        """A status claimed fills that no execution has shown yet. What a correction took back was shown."""
        if not self.reported_filled:
            return False
        shown: dict[str, Decimal] = {}
        for execution in self.executions.values():
            family = execution.family
            shown[family] = max(execution.quantity, shown.get(family, ZERO))
        return self.reported_filled > sum(shown.values(), start=ZERO)

    @property
    def proven(self) -> bool:
        """It is over, and all its fills are known: only then may another order follow it."""
        return self.final and not self.fills_missing

    @property
    def listed(self) -> bool:
        """The last snapshot had it among the open orders."""
        return self.presence is Presence.LISTED

    @property
    def absent(self) -> bool:
        """That two snapshots did not show it is all that proves its end."""
        return self.presence is Presence.ABSENT

    @property
    def silent(self) -> bool:
        """The broker never said a word of it: perhaps it never arrived, perhaps it is late, and live."""
        return not self.over and self.presence in SILENT

    @property
    def doubted(self) -> bool:
        """All that is heard of it is a code that we do not know: its end is looked for at once."""
        return self.presence is Presence.SPOKEN_OF and not self.over

    @property
    def waited_for(self) -> bool:
        """Whether minutes must go by before its absence can say anything: it may be late, and live.

        Nobody has heard of it; or it is a sale, and all that is heard of it is a code that we do not know.
        """
        spoken_of = self.presence in NEVER_ACKNOWLEDGED and not self.can_be_missed
        return not self.over and (self.presence in SILENT or spoken_of)

    @property
    def can_be_missed(self) -> bool:
        """Whether a long absence may end it though nobody ever heard of it: at the cost of premium at most.

        A purchase that fills all the same costs that; a sale would leave calls short without their hedge.
        """
        return self.ticket.side is Side.BUY

    @property
    def resendable(self) -> bool:
        """An earlier run may have sent it, nobody has heard of it, and this connection can send it again.

        It then keeps its order id: where the first did arrive, the second is a change of it or is refused.
        """
        if not self.own_client or not self.order_id or self.change is ChangeState.REFUSED:
            return False
        return self.silent and self.state is OrderState.INTENDED

    @property
    def changed(self) -> bool:
        """Another price was sent for it."""
        return self.change is not ChangeState.UNCHANGED

    @property
    def cancellable(self) -> bool:
        """A cancel makes sense: it may fill as far as we know, and the broker has, or will get, its id.

        While it is only intended, a snapshot must first have shown nobody else's order under that id. One
        that was reported done gets none, unless it is still listed: an Inactive order can come back to life.
        """
        may_fill = self.state in {OrderState.SENT, OrderState.LIVE, OrderState.PENDING_CANCEL}
        intended = self.state is OrderState.INTENDED and self.presence in FIRST_ABSENCE and self.own_client
        if (may_fill or (intended and self.order_id)) and not self.reported_whole:
            return True
        return self.state is OrderState.REPORTED_DONE and self.listed

    # --- what we do -------------------------------------------------------------------------------

    @property
    def repriceable(self) -> bool:
        """Another price may be sent for it: it is live, or nobody has heard of it and it keeps its id.

        Not after the broker refused a change, or said that all of it is filled.
        """
        may = self.state is OrderState.LIVE or (self.state is OrderState.SENT and self.silent)
        return may and self.change is not ChangeState.REFUSED and not self.reported_whole

    def reprice(self, limit: Decimal | None) -> None:
        """It goes out again under its own id, with another price or, where nobody has heard of it, the same.

        KeyError: it is neither live nor unheard of, or a change was refused: send nothing.
        """
        if not (self.repriceable or self.resendable):
            raise KeyError(self.state)
        self.change = CHANGE_TRANSITIONS[self.change][ChangeEvent.SENT]
        self.cancel = CANCEL_TRANSITIONS[self.cancel][CancelEvent.ORDER_SENT_AGAIN]
        self.apply(OrderEvent.SENT)
        self._see(PresenceEvent.RESTARTED)
        self.limit = limit

    def apply(self, event: OrderEvent) -> None:
        """Move all machines that the event concerns. KeyError: it cannot happen in this state."""
        before, self.state = self.state, TRANSITIONS[self.state][event]
        if event in SAID_OF_PRESENCE:
            self._see(SAID_OF_PRESENCE[event])
        elif self.state is not before and event not in {OrderEvent.ABSENT_TWICE, OrderEvent.CANCEL_SENT}:
            self._see(PresenceEvent.RESTARTED)
        if event is OrderEvent.CANCEL_SENT:
            self.cancel = CANCEL_TRANSITIONS[self.cancel][CancelEvent.SENT]

    def _see(self, event: PresenceEvent) -> None:
        self.presence = PRESENCE_TRANSITIONS[self.presence][event]

    # --- what the broker says ---------------------------------------------------------------------

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
        if perm_id:
            self._see(PresenceEvent.ACKNOWLEDGED)  # a permanent id is the broker's word, whatever the status
        self._claim(status, filled)
        self.apply(event_of_status(status))

    def _claim(self, status: str, filled: Decimal | None) -> None:
        whole = self.ticket.quantity + ZERO
        if filled is None:
            filled = whole if status == "Filled" else ZERO
        self.reported_filled = max(self.reported_filled, min(filled, whole))

    def on_message(self, code: int, text: str) -> None:
        """Take an error or warning frame."""
        self.messages.append(f"{code} {text}")
        by_the_broker = code == CANCELLATION and self.cancel is CancelState.NOT_SENT
        event = event_of_code(code, self.state, changed=self.changed)
        if event is OrderEvent.NOTED and code in REFUSALS | CHANGE_REFUSALS and self.silent:
            # It was sent again, and refused: as a change of what is there, or as the first that arrived.
            there = code in CHANGE_REFUSALS or code == DUPLICATE_ORDER_ID
            self._see(PresenceEvent.ACKNOWLEDGED if there else PresenceEvent.SPOKEN_OF)
        if code in REFUSALS or by_the_broker or (event is OrderEvent.SPOKEN_OF and not self.refusal):
            self.refusal = self.messages[-1]
        if code in CHANGE_REFUSALS or (self.changed and code in REFUSALS):
            self.change = CHANGE_TRANSITIONS[self.change][ChangeEvent.REFUSED]
        if event is OrderEvent.CANCEL_REFUSED:
            unknown = code in {ORDER_NOT_FOUND, CANCEL_ID_NOT_FOUND}
            said = CancelEvent.NOT_FOUND if unknown else CancelEvent.REFUSED
            self.cancel = CANCEL_TRANSITIONS[self.cancel][said]
            if not unknown:
                self._see(PresenceEvent.ACKNOWLEDGED)  # refused for its state: the broker has it, or had it
        self.apply(event)

    def on_not_sent(self, why: str) -> None:
        """It, or a change of it, never reached the socket."""
        self.messages.append(why)
        self.refusal = why
        self.apply(OrderEvent.NOTED if self.changed else OrderEvent.NOT_SENT)

    def on_next_id(self, order_id: int) -> None:
        """The gateway told a new connection of its client id the next valid order id.

        An order whose id is not below that never reached the gateway, which counts every id that it receives.
        """
        unknown = self.presence in NEVER_ACKNOWLEDGED and not self.over
        if unknown and self.own_client and self.order_id >= order_id:
            self.messages.append(f"the gateway never received it: its next order id is {order_id}")
            self.apply(OrderEvent.NEVER_ARRIVED)

    def replay(self, history: Iterable[tuple[str, str]]) -> None:
        """Take what the ledger knows of an order that an earlier run sent: its steps, oldest first.

        A step and its detail, as `ledger/orders.py` keeps them. The statuses are in the order's row.
        """
        for step, detail in history:
            if step == "reprice":
                self.change = CHANGE_TRANSITIONS[self.change].get(ChangeEvent.SENT, self.change)
                self.cancel = CANCEL_TRANSITIONS[self.cancel][CancelEvent.ORDER_SENT_AGAIN]
            elif step == "cancel":
                self.cancel = CANCEL_TRANSITIONS[self.cancel][CancelEvent.SENT]
            elif step == "message":
                code, _, text = detail.partition(" ")
                if code.lstrip("-").isdigit():
                    self.on_message(int(code), text)

    # --- what the broker's lists show -------------------------------------------------------------

    def on_snapshot(self, seen: SnapshotTaken) -> None:
        """Compare with what the broker holds; proves that it is live, or that it is over."""
        for execution in seen.snapshot.executions:
            if self.matches_execution(execution):
                self.on_execution(execution)
        if not self.remaining:
            self.apply(OrderEvent.FILLED_WHOLLY)
            return
        found = next(filter(self._is_open, seen.snapshot.open_orders), None)
        if found is None:
            self._on_missing(seen)
            return
        self.perm_id = self.perm_id or found.perm_id
        self._claim(found.status, found.filled)
        inactive = event_of_status(found.status) is OrderEvent.REFUSED
        self.apply(OrderEvent.SEEN_INACTIVE if inactive else OrderEvent.SEEN_LIVE)

    def _on_missing(self, seen: SnapshotTaken) -> None:
        """Not among the open orders: over when it is completed with all its fills, else perhaps absent."""
        done = next((order for order in seen.snapshot.completed_orders or () if self._is(order)), None)
        if done is not None:
            self._claim(done.status, done.filled)
        counted = done is not None and done.filled is not None
        if counted and not (self.fills_missing or self.final or self._moved(seen)):
            self.apply(OrderEvent.SEEN_ENDED)
        elif self._inconclusive(seen, done):
            self._see(PresenceEvent.INCONCLUSIVE)
        elif self._missed_again(seen, listed=done is not None):
            self._see(PresenceEvent.MISSING_AGAIN if done is None else PresenceEvent.UNCOUNTED_AGAIN)
            self.apply(OrderEvent.ABSENT_TWICE)
        else:
            self._see(PresenceEvent.MISSING if done is None else PresenceEvent.UNCOUNTED)

    def _inconclusive(self, seen: SnapshotTaken, done: BrokerOrder | None) -> bool:
        """Whether not being open proves nothing: fills are missing, or it may or must be somewhere else.

        It may be in a row that cannot be read, or in a list that did not come. A live order must be
        somewhere, and so must one that the broker had and never said is over: lists that lost a row look like
        lists without it. So must one whose position moved its way with no execution of anybody to explain it.
        """
        if self.final or self.fills_missing or self.state is OrderState.LIVE or self._moved(seen):
            return True
        if self._id_is_others(seen):
            return True
        con_id = self.ticket.contract.con_id
        if any(row.may_hide(self.ref, con_id) for row in seen.snapshot.unreadable):
            return True
        if done is not None:
            return False
        if seen.snapshot.completed_orders is None and self.state is not OrderState.REPORTED_DONE:
            return True  # it may have ended there, with fills: only what was said to be over needs no list
        return self.presence in HAD_BY_THE_BROKER and self.state is not OrderState.REPORTED_DONE

    def _id_is_others(self, seen: SnapshotTaken) -> bool:
        """Whether an order of somebody else stands under its id: then nothing is known of ours by that id."""
        key = self.client_id, self.order_id
        return all(key) and any(
            (row.client_id, row.order_id) == key and row.order_ref not in {"", self.ref}
            for row in seen.snapshot.open_orders
        )

    def _moved(self, seen: SnapshotTaken) -> bool:
        """Whether the position moved the order's way with no execution of anybody to explain it.

        The order may have filled, whatever was said of it: an order refused with 201 was seen held all the
        same, and a position row comes before its execution. One that still sleeps has filled nothing.
        """
        if self.overnight is None or self._sleeps(seen):
            return False
        moved = seen.snapshot.overnight(self.ticket.contract.con_id) - self.overnight
        return moved * self.ticket.side.sign > 0

    def _sleeps(self, seen: SnapshotTaken) -> bool:
        good_after = self.ticket.good_after
        return good_after is not None and seen.snapshot.time < good_after

    def _missed_again(self, seen: SnapshotTaken, *, listed: bool) -> bool:
        """Whether this is the second snapshot of a proof; else remember it where it is the first.

        `listed`: it is completed, without a count. Of an order that was never said to be over, both snapshots
        prove nothing unless its cancel was answered with "not found" beside them.
        """
        first = self._first_absence
        if self.presence not in FIRST_ABSENCE or first.epoch != seen.epoch:
            self._first_absence = _Moment(seen.at, seen.epoch)
            return False
        if listed or self.state is OrderState.REPORTED_DONE:
            return seen.at - first.at >= ABSENCE_SECONDS
        if self.cancel is not CancelState.NOT_FOUND or (self.silent and not self.can_be_missed):
            return False
        return seen.at - first.at >= (SILENCE_SECONDS if self.waited_for else ABSENCE_SECONDS)

    def _is_open(self, order: BrokerOrder) -> bool:
        return self._is(order) and event_of_status(order.status) is not OrderEvent.CANCELLED

    def _is(self, order: BrokerOrder) -> bool:
        return order.order_ref == self.ref or (bool(self.perm_id) and order.perm_id == self.perm_id)

    def matches_execution(self, execution: Execution) -> bool:
        """Whether the execution is of this order: by reference, or by permId where the reference is empty."""
        if execution.order_ref:
            return execution.order_ref == self.ref
        return bool(self.perm_id) and execution.perm_id == self.perm_id
