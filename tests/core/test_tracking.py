"""One order followed through its life: what every message of the broker does to it, and what proves its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.broker_books import BrokerOrder, BrokerSnapshot, Execution, OrderTicket, Position
from spxarb.core.broker_codes import REFUSALS
from spxarb.core.contracts import Contract
from spxarb.core.model import NEW_YORK, LegName, Side
from spxarb.core.order_events import SnapshotTaken
from spxarb.core.order_words import Purpose
from spxarb.core.orders import (
    ABSENCE_SECONDS,
    FIRST_ABSENCE,
    PRESENCE_TRANSITIONS,
    SILENCE_SECONDS,
    TRANSITIONS,
    CancelState,
    ChangeState,
    OrderEvent,
    OrderState,
    Presence,
    PresenceEvent,
)
from spxarb.core.tracking import TrackedOrder
from spxarb.core.unreadable import UnreadableRow

NOON = datetime(2026, 11, 24, 12, tzinfo=NEW_YORK)
SPY = Contract(7, "SPY", "OPT", trading_class="SPY", multiplier=100)
REF = "spxarb:4f1c:12:SPY:e1"
PERM = 900


def tracked(quantity=10, state=OrderState.SENT, **more):
    ticket = OrderTicket(REF, SPY, Side.SELL, quantity, Decimal("2.35"))
    return TrackedOrder(ticket, LegName.SPY, Purpose.ENTRY, 1, state=state, **more)


def purchase(state=OrderState.SENT, **more):
    ticket = OrderTicket(REF, SPY, Side.BUY, 10, Decimal("2.35"))
    return TrackedOrder(ticket, LegName.SPY, Purpose.EXIT, 1, state=state, **more)


def execution(quantity=10, exec_id="00.7.1.01", ref=REF, price="2.35", **more):
    numbers = {"quantity": Decimal(quantity), "price": Decimal(price), "perm_id": PERM}
    fixed = {"order_id": 1, "client_id": 1, "con_id": 7, "symbol": "SPY", "side": Side.SELL, "time": NOON}
    return Execution(exec_id=exec_id, order_ref=ref, **{**fixed, **numbers, **more})


def listed(status="Submitted", filled=0, ref=REF, perm_id=PERM):
    return BrokerOrder(
        order_ref=ref,
        order_id=1,
        client_id=1,
        perm_id=perm_id,
        con_id=7,
        symbol="SPY",
        side=Side.SELL,
        quantity=Decimal(10),
        limit=Decimal("2.35"),
        status=status,
        filled=None if filled is None else Decimal(filled),
    )


def snapshot(at=0.0, epoch=1, executions=(), open_orders=(), completed=(), unreadable=()):
    """`completed` None: the broker did not answer for that list."""
    known = None if completed is None else tuple(completed)
    return SnapshotTaken(
        BrokerSnapshot(NOON, tuple(executions), tuple(open_orders), known, (), tuple(unreadable)), at, epoch
    )


# --- its machines ---------------------------------------------------------------------------------


NOT_YET_OVER = [state for state in Presence if state not in {Presence.ABSENT, Presence.COMPLETED}]


@pytest.mark.parametrize("presence", NOT_YET_OVER)
@pytest.mark.parametrize("state", OrderState)
def test_an_event_moves_the_order_along_its_table_or_is_an_error(state, presence):
    for event in OrderEvent:
        order = tracked(state=state, presence=presence)
        if event in TRANSITIONS[state]:
            order.apply(event)
            assert order.state is TRANSITIONS[state][event], event
        else:
            with pytest.raises(KeyError):
                order.apply(event)


@pytest.mark.parametrize("presence", Presence)
@pytest.mark.parametrize(
    ("event", "leads_to"),
    [
        (OrderEvent.WORKING, PresenceEvent.ACKNOWLEDGED),
        (OrderEvent.FILLED_PARTLY, PresenceEvent.ACKNOWLEDGED),
        (OrderEvent.FILLED_WHOLLY, PresenceEvent.ACKNOWLEDGED),
        (OrderEvent.CANCELLED, PresenceEvent.SPOKEN_OF),
        (OrderEvent.REFUSED, PresenceEvent.SPOKEN_OF),
        (OrderEvent.SPOKEN_OF, PresenceEvent.SPOKEN_OF),
        (OrderEvent.SEEN_LIVE, PresenceEvent.LISTED),
        (OrderEvent.SEEN_INACTIVE, PresenceEvent.LISTED),
    ],
)
def test_what_the_broker_says_of_an_order_says_something_of_its_presence(event, leads_to, presence):
    order = tracked(state=OrderState.ENDED, presence=presence)
    order.apply(event)
    assert order.presence is PRESENCE_TRANSITIONS[presence][leads_to]


@pytest.mark.parametrize("presence", NOT_YET_OVER)
@pytest.mark.parametrize("event", [OrderEvent.NOTED, OrderEvent.NOT_SENT, OrderEvent.CANCEL_REFUSED])
def test_what_proves_nothing_says_nothing_of_its_presence(event, presence):
    order = tracked(state=OrderState.LIVE, presence=presence)
    order.apply(event)
    assert order.presence is presence


@pytest.mark.parametrize("presence", sorted(FIRST_ABSENCE))
def test_a_cancel_does_not_restart_the_proof_of_absence(presence):
    order = tracked(presence=presence)
    order.apply(OrderEvent.CANCEL_SENT)
    order.apply(OrderEvent.CANCEL_SENT)
    assert order.presence is presence


def test_what_is_sent_again_is_looked_for_anew():
    order = tracked()
    order.on_snapshot(snapshot(0.0))
    assert order.presence is Presence.SILENT_ONCE
    order.reprice(Decimal("2.34"))
    assert order.presence is Presence.UNHEARD


# --- codes ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [10349, 399, 404, 2102, 2109, 2137, 2148, 165, 492, 10167, 10233])
@pytest.mark.parametrize("state", OrderState)
def test_a_warning_never_ends_an_order(code, state):
    order = tracked(state=state)
    order.on_message(code, "a warning")
    assert order.state is state
    assert order.change is not ChangeState.REFUSED


@pytest.mark.parametrize("code", [104, 105])
@pytest.mark.parametrize("state", OrderState)
def test_a_refused_change_says_nothing_of_the_order(code, state):
    order = tracked(state=state)
    order.on_message(code, "not changed")
    assert order.state is state
    assert order.change is ChangeState.REFUSED


@pytest.mark.parametrize("code", [135, 136, 161, 10147, 10148])
@pytest.mark.parametrize("state", OrderState)
def test_a_refused_cancel_proves_no_end(code, state):
    order = tracked(state=state)
    order.on_message(code, "OrderId 1 that needs to be cancelled cannot be cancelled, state: Filled")
    assert order.state is state


@pytest.mark.parametrize(
    "state", [OrderState.INTENDED, OrderState.SENT, OrderState.LIVE, OrderState.PENDING_CANCEL]
)
def test_202_reports_an_end_and_proves_none(state):
    order = tracked(state=state)
    order.on_message(202, "Order Canceled - reason:")
    assert order.state is OrderState.REPORTED_DONE
    assert order.over
    assert not order.proven


@pytest.mark.parametrize("code", sorted(REFUSALS))
@pytest.mark.parametrize(
    "state", [OrderState.INTENDED, OrderState.SENT, OrderState.LIVE, OrderState.PENDING_CANCEL]
)
def test_a_refusal_ends_an_order_that_was_never_changed(code, state):
    """201 may come before any status, or after PreSubmitted, and no status need follow it."""
    order = tracked(state=state)
    order.on_message(code, "Order rejected - reason:")
    assert order.state is OrderState.REPORTED_DONE
    assert not order.proven


@pytest.mark.parametrize("code", sorted(REFUSALS))
@pytest.mark.parametrize("state", [OrderState.LIVE, OrderState.PENDING_CANCEL])
def test_the_same_refusal_after_a_change_refuses_the_change_alone(code, state):
    order = tracked(state=OrderState.LIVE)
    order.reprice(Decimal("2.34"))
    order.state = state
    order.on_message(code, "the change does not please")
    assert order.state is state
    assert order.change is ChangeState.REFUSED


@pytest.mark.parametrize("state", [OrderState.FILLED, OrderState.ENDED])
@pytest.mark.parametrize("code", [110, 201, 202])
def test_a_refusal_of_an_order_that_is_over_changes_nothing(state, code):
    order = tracked(state=state)
    order.on_message(code, "too late")
    assert order.state is state


@pytest.mark.parametrize("code", [1, 99, 354, 507, 9999, 10197, 10500, 20000])
@pytest.mark.parametrize("state", OrderState)
def test_a_code_that_nobody_knows_proves_nothing(code, state):
    order = tracked(state=state)
    order.on_message(code, "?")
    assert order.state is state


def test_the_messages_of_the_broker_are_kept_in_their_order():
    order = tracked()
    order.on_message(399, "held until the opening")
    order.on_message(201, "no margin")
    assert order.messages == ["399 held until the opening", "201 no margin"]


# --- a change of price ----------------------------------------------------------------------------


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("state", [state for state in OrderState if state is not OrderState.LIVE])
def test_a_price_is_changed_only_while_the_order_lives_or_is_unheard_of(state, heard):
    """Sent to an order that is over it would be refused."""
    order = tracked(state=state, presence=Presence.ACKNOWLEDGED if heard else Presence.UNHEARD)
    if state is OrderState.SENT and not heard:
        order.reprice(Decimal("2.34"))
        assert (order.limit, order.changed) == (Decimal("2.34"), True)
        return
    with pytest.raises(KeyError):
        order.reprice(Decimal("2.34"))
    assert order.limit is None


def test_an_order_of_an_earlier_run_goes_out_again_only_under_its_own_id_and_client():
    assert tracked(state=OrderState.INTENDED, order_id=4).resendable
    assert not tracked(state=OrderState.INTENDED, order_id=0).resendable
    assert not tracked(state=OrderState.INTENDED, order_id=4, own_client=False).resendable
    assert not tracked(state=OrderState.INTENDED, order_id=4, change=ChangeState.REFUSED).resendable
    assert not tracked(state=OrderState.SENT, order_id=4).resendable
    assert not tracked(state=OrderState.INTENDED, order_id=4, presence=Presence.ACKNOWLEDGED).resendable


def test_what_was_sent_again_and_did_not_reach_the_socket_may_be_live_all_the_same():
    order = tracked()
    order.reprice(Decimal("2.34"))
    order.on_not_sent("the link is down")
    assert order.state is OrderState.SENT


def test_a_change_of_price_leaves_the_ticket_as_it_was_committed():
    order = tracked(state=OrderState.LIVE)
    order.reprice(Decimal("2.30"))
    assert (order.ticket.limit, order.limit) == (Decimal("2.35"), Decimal("2.30"))


# --- fills ----------------------------------------------------------------------------------------


def test_only_executions_are_fills():
    order = tracked()
    order.on_status("Filled", Decimal(10))
    assert order.filled == 0
    assert order.fills_missing
    assert not order.final


def test_a_fill_may_come_before_any_status():
    order = tracked()
    order.on_execution(execution(4))
    assert (order.state, order.filled, order.remaining) == (OrderState.LIVE, 4, 6)
    order.on_execution(execution(6, "00.7.2.01"))
    assert (order.state, order.filled, order.remaining) == (OrderState.FILLED, 10, 0)
    assert order.proven


def test_a_status_filled_waits_for_its_execution():
    order = tracked()
    order.on_status("Submitted", Decimal(0))
    order.on_status("Filled", Decimal(10))
    order.on_execution(execution(10))
    order.on_status("Filled", Decimal(10))
    assert (order.state, order.fills_missing) == (OrderState.FILLED, False)


def test_a_status_filled_without_a_number_means_all_of_it():
    order = tracked()
    order.on_status("Filled", None)
    assert order.reported_filled == 10


def test_a_status_that_claims_more_than_was_asked_for_is_taken_as_all_of_it():
    order = tracked()
    order.on_status("Submitted", Decimal(12))
    assert order.reported_filled == 10


def test_the_same_execution_twice_counts_once():
    order = tracked()
    for _ in range(3):
        order.on_execution(execution(4))
    order.on_execution(execution(4, commission=Decimal("2.60")))
    assert order.filled == 4


def test_a_fill_after_cancelled_counts_and_the_order_stays_over():
    order = tracked(state=OrderState.PENDING_CANCEL)
    order.on_status("Cancelled", Decimal(0))
    order.on_execution(execution(3))
    assert (order.state, order.filled) == (OrderState.REPORTED_DONE, 3)


def test_a_whole_fill_after_cancelled_is_a_fill():
    order = tracked(state=OrderState.REPORTED_DONE)
    order.on_execution(execution(10))
    assert order.state is OrderState.FILLED


def test_a_late_fill_counts_even_after_the_end_was_proven():
    order = tracked(state=OrderState.ENDED)
    order.on_execution(execution(4))
    assert (order.state, order.filled) == (OrderState.ENDED, 4)


def test_a_correction_replaces_what_it_corrects():
    order = tracked()
    order.on_execution(execution(10))
    order.on_execution(execution(8, "00.7.1.02"))
    assert order.filled == 8
    assert order.state is OrderState.ENDED


def test_a_correction_with_less_leaves_no_fill_missing():
    """The status claimed ten, and ten were seen: that two of them were taken back is no gap."""
    order = tracked()
    order.on_status("Filled", Decimal(10))
    order.on_execution(execution(10))
    order.on_execution(execution(8, "00.7.1.02"))
    assert not order.fills_missing
    assert order.proven


def test_a_correction_with_less_makes_up_for_no_other_fill():
    order = tracked()
    order.on_execution(execution(6))
    order.on_execution(execution(5, "00.7.1.02"))
    order.on_status("Submitted", Decimal(8))
    assert order.fills_missing
    order.on_execution(execution(2, "00.7.2.01"))
    assert not order.fills_missing


def test_a_correction_with_more_may_complete_the_order():
    order = tracked()
    order.on_execution(execution(8))
    order.on_execution(execution(10, "00.7.1.02"))
    assert (order.state, order.filled) == (OrderState.FILLED, 10)


def test_a_correction_that_comes_before_what_it_corrects_still_replaces_it():
    order = tracked()
    order.on_execution(execution(8, "00.7.1.02"))
    order.on_execution(execution(10))
    assert order.filled == 8


def test_a_correction_of_the_price_moves_the_average():
    order = tracked()
    order.on_execution(execution(5, price="2.00"))
    order.on_execution(execution(5, "00.7.2.01", price="3.00"))
    order.on_execution(execution(5, "00.7.2.02", price="4.00"))
    assert order.average_price == 3
    assert tracked().average_price is None


def test_an_execution_is_ours_by_its_reference_or_without_one_by_its_perm_id():
    order = tracked()
    assert order.matches_execution(execution())
    assert not order.matches_execution(execution(ref="spxarb:4f1c:12:SPY:e2"))
    assert not order.matches_execution(execution(ref=""))
    order.perm_id = PERM
    assert order.matches_execution(execution(ref=""))
    assert not order.matches_execution(execution(ref="by hand"))


# --- snapshots ----------------------------------------------------------------------------------------


def test_a_snapshot_shows_a_live_order():
    order = tracked(state=OrderState.INTENDED)
    order.on_snapshot(snapshot(open_orders=[listed("PreSubmitted")]))
    assert (order.state, order.perm_id) == (OrderState.LIVE, PERM)


def test_a_snapshot_finds_an_order_by_its_perm_id_where_the_reference_is_missing():
    order = tracked(perm_id=PERM)
    order.on_snapshot(snapshot(open_orders=[listed(ref="")]))
    assert order.state is OrderState.LIVE


def test_the_executions_of_a_snapshot_count_before_its_orders():
    order = tracked()
    order.on_snapshot(snapshot(executions=[execution(10)]))
    assert order.state is OrderState.FILLED
    assert order.proven


def test_an_order_whose_fills_were_all_known_is_filled_at_the_first_snapshot():
    """A crash came between the last fill and the note that the order is over."""
    order = tracked(state=OrderState.INTENDED, executions={"00.7.1.01": execution(10)})
    order.on_snapshot(snapshot(executions=[execution(10)]))
    assert order.proven


@pytest.mark.parametrize(
    "state",
    [
        OrderState.INTENDED,
        OrderState.SENT,
        OrderState.LIVE,
        OrderState.PENDING_CANCEL,
        OrderState.REPORTED_DONE,
    ],
)
def test_a_completed_order_is_over_with_its_executions(state):
    order = tracked(state=state)
    order.on_snapshot(snapshot(executions=[execution(3)], completed=[listed("Cancelled", 3)]))
    assert (order.state, order.filled, order.proven) == (OrderState.ENDED, 3, True)


def test_a_completed_order_that_claims_a_fill_not_shown_proves_nothing_yet():
    order = tracked(state=OrderState.REPORTED_DONE)
    order.on_snapshot(snapshot(completed=[listed("Cancelled", 3)]))
    assert not order.final
    order.on_snapshot(snapshot(5, executions=[execution(3)], completed=[listed("Cancelled", 3)]))
    assert order.proven


def test_a_completed_order_with_status_filled_waits_for_its_executions():
    order = tracked(state=OrderState.LIVE)
    order.on_snapshot(snapshot(completed=[listed("Filled", None)]))
    assert not order.final
    assert order.fills_missing


def test_a_completed_order_that_does_not_say_what_was_filled_proves_nothing_alone():
    """Its executions may have been listed before its last fill."""
    order = tracked(state=OrderState.REPORTED_DONE)
    order.on_snapshot(snapshot(0, completed=[listed("Cancelled", None)]))
    assert not order.final
    order.on_snapshot(snapshot(5, completed=[listed("Cancelled", None)]))
    assert order.proven


def test_absence_of_what_was_said_to_be_over_is_proven_by_two_snapshots_five_seconds_apart():
    """Also after the status Cancelled: a fill can cross it, and completed orders lag."""
    order = tracked(state=OrderState.REPORTED_DONE)
    order.on_snapshot(snapshot(0.0))
    assert not order.final
    order.on_snapshot(snapshot(ABSENCE_SECONDS - 0.1))
    assert not order.final
    order.on_snapshot(snapshot(ABSENCE_SECONDS))
    assert order.proven


@pytest.mark.parametrize("said", ["not found", "refused", "unanswered"])
@pytest.mark.parametrize("state", [OrderState.INTENDED, OrderState.SENT, OrderState.PENDING_CANCEL])
def test_silence_ends_only_a_purchase_after_minutes_and_a_cancel_that_was_not_found(state, said):
    for bought, code in product((False, True), (10147, 135)):
        order = purchase(state=state) if bought else tracked(state=state)
        order.on_snapshot(snapshot(0.0))
        order.apply(OrderEvent.CANCEL_SENT)
        if said != "unanswered":
            order.on_message(code if said == "not found" else 161, "words")
        order.on_snapshot(snapshot(SILENCE_SECONDS - 0.1))
        assert not order.final
        order.on_snapshot(snapshot(SILENCE_SECONDS))
        assert order.proven is (bought and said == "not found")


@pytest.mark.parametrize(("made", "seconds"), [("purchase", ABSENCE_SECONDS), ("sale", SILENCE_SECONDS)])
def test_a_code_that_we_do_not_know_ends_an_order_only_with_a_cancel_that_was_not_found(made, seconds):
    for found in (False, True):
        order = purchase() if made == "purchase" else tracked()
        order.on_message(4711, "words that nobody knows")
        assert order.doubted
        order.on_snapshot(snapshot(0.0))
        order.apply(OrderEvent.CANCEL_SENT)
        if not found:
            order.on_message(10147, "not found")
        order.on_snapshot(snapshot(seconds - 0.1))
        assert not order.final
        order.on_snapshot(snapshot(seconds))
        assert order.proven is not found
        assert order.refusal == "4711 words that nobody knows"


@pytest.mark.parametrize("by", ["reprice", "replay"])
def test_a_cancel_from_before_it_was_sent_again_proves_nothing_of_it(by):
    order = purchase(state=OrderState.INTENDED, order_id=4)
    order.replay([("intent", ""), ("cancel", ""), ("message", "10147 not found")])
    assert order.cancel is CancelState.NOT_FOUND
    if by == "reprice":
        order.reprice(Decimal("2.36"))
    else:
        order.replay([("reprice", "")])
    for at in (0.0, 2 * SILENCE_SECONDS):
        order.on_snapshot(snapshot(at))
    assert not order.final


@pytest.mark.parametrize(
    ("code", "presence"),
    [
        (103, Presence.ACKNOWLEDGED),
        (104, Presence.ACKNOWLEDGED),
        (110, Presence.SPOKEN_OF),
        (201, Presence.SPOKEN_OF),
    ],
)
def test_a_refusal_of_what_was_sent_again_is_word_of_the_order(code, presence):
    order = tracked()
    order.reprice(Decimal("2.34"))
    order.on_message(code, "no")
    assert (order.presence, order.state) == (presence, OrderState.SENT)


@pytest.mark.parametrize(
    ("next_id", "more", "over"),
    [
        (4, {}, True),
        (3, {}, True),
        (5, {}, False),
        (4, {"own_client": False}, False),
        (4, {"presence": Presence.ACKNOWLEDGED}, False),
        (4, {"presence": Presence.SPOKEN_OF}, True),
        (4, {"state": OrderState.REPORTED_DONE}, False),
    ],
)
def test_the_gateway_never_got_an_order_whose_id_is_not_below_its_next_one(next_id, more, over):
    order = tracked(order_id=4, **{"state": OrderState.INTENDED, **more})
    order.on_next_id(next_id)
    assert order.proven is over


def test_an_id_under_which_another_order_stands_says_nothing_of_ours():
    order = purchase(state=OrderState.INTENDED, client_id=1, order_id=1)
    others = replace(listed(ref="somebody else"), perm_id=77)
    for at in (0.0, 300.0):
        order.on_snapshot(snapshot(at, open_orders=[others]))
        assert not order.cancellable
    assert not order.final


def test_what_the_ledger_kept_of_an_order_is_known_to_the_next_run():
    order = tracked(state=OrderState.INTENDED, order_id=4)
    order.replay([("intent", ""), ("message", "201 Order rejected - reason:margin")])
    assert (order.state, order.refusal) == (OrderState.REPORTED_DONE, "201 Order rejected - reason:margin")
    order = tracked(state=OrderState.INTENDED, order_id=4)
    order.replay([("intent", ""), ("reprice", ""), ("message", "110 no variation"), ("cancel", "")])
    assert order.change is ChangeState.REFUSED
    assert (order.state, order.cancel) == (OrderState.INTENDED, CancelState.SENT)


@pytest.mark.parametrize(
    "sign",
    [
        lambda order: order.on_status("Submitted", Decimal(0), PERM),
        lambda order: order.on_execution(execution(3)),
        lambda order: order.on_snapshot(snapshot(open_orders=[listed()])),
    ],
    ids=["a status", "a fill", "a snapshot"],
)
@pytest.mark.parametrize("asked", [False, True], ids=["left alone", "asked to end"])
def test_an_order_that_the_broker_had_is_not_over_because_it_is_nowhere(sign, asked):
    """Lists that lost a row look like lists without it: it must be shown completed, or reported done."""
    order = tracked(state=OrderState.SENT)
    sign(order)
    if asked:
        order.apply(OrderEvent.CANCEL_SENT)
    for at in (0.0, 9.0, 18.0):
        order.on_snapshot(snapshot(at))
    assert not order.final
    if order.filled:
        order.on_snapshot(snapshot(27.0, completed=[listed("Cancelled", 3)]))
    else:
        order.on_status("Cancelled", Decimal(0))
        order.on_snapshot(snapshot(27.0))
        order.on_snapshot(snapshot(36.0))
    assert order.proven


@pytest.mark.parametrize(
    ("before", "after", "proven"),
    [(0, 0, True), (0, -10, False), (-5, -5, True), (-5, -15, False), (0, 10, True), (None, -10, True)],
)
def test_an_order_is_not_absent_while_the_position_moved_its_way(before, after, proven):
    """No execution explains it: one may be missing. What moved the other way is not its doing."""
    order = tracked(state=OrderState.REPORTED_DONE)
    order.overnight = None if before is None else Decimal(before)
    held = (Position("DU1", 7, "SPY", "OPT", Decimal(after)),)
    for at in (0.0, 9.0):
        order.on_snapshot(SnapshotTaken(BrokerSnapshot(NOON, (), (), (), held), at, 1))
    assert order.proven is proven


@pytest.mark.parametrize(("minutes", "proven"), [(1, True), (0, False), (-1, False)])
def test_what_moved_while_an_order_slept_is_not_its_doing(minutes, proven):
    """It was cancelled before it came to life: the broker's word, nothing filled, is the end of it."""
    order = tracked(state=OrderState.REPORTED_DONE)
    order.ticket = replace(order.ticket, good_after=NOON + timedelta(minutes=minutes))
    order.overnight = Decimal(0)
    held = (Position("DU1", 7, "SPY", "OPT", Decimal(-3)),)
    seen = BrokerSnapshot(NOON, (), (), (listed("Cancelled"),), held)
    order.on_snapshot(SnapshotTaken(seen, 0.0, 1))
    assert order.proven is proven


def test_without_the_list_of_completed_orders_an_order_that_nobody_heard_of_is_not_over():
    order = tracked(state=OrderState.SENT)
    for at in (0, 5, 600):
        order.on_snapshot(snapshot(at, completed=None))
        assert not order.over


def test_without_that_list_an_order_that_the_broker_called_over_is_over_after_two_snapshots():
    order = tracked(state=OrderState.REPORTED_DONE, presence=Presence.ACKNOWLEDGED)
    order.on_snapshot(snapshot(0, completed=None))
    assert not order.proven
    order.on_snapshot(snapshot(5, completed=None))
    assert order.proven


@pytest.mark.parametrize(
    ("row", "hides"),
    [
        (UnreadableRow("open orders", ("5",), "?", con_id=265598), False),
        (UnreadableRow("open orders", ("5",), "?", con_id=7), True),
        (UnreadableRow("open orders", ("5",), "?"), True),
        (UnreadableRow("open orders", ("5", "BAG"), "?"), False),
        (UnreadableRow("open orders", ("5",), "?", order_ref=REF), True),
        (UnreadableRow("open orders", ("5",), "?", order_ref="spxarb:beef:9:SPY:x9", con_id=7), False),
        (UnreadableRow("executions", ("11",), "?", con_id=7), True),
        (UnreadableRow("completed orders", ("101",), "?", con_id=7), False),
        (UnreadableRow("order statuses", ("3",), "?"), False),
    ],
)
def test_an_order_is_not_absent_while_it_may_be_in_a_row_that_cannot_be_read(row, hides):
    order = tracked(state=OrderState.REPORTED_DONE)
    for at in (0, 5):
        order.on_snapshot(snapshot(at, unreadable=[row]))
    assert order.proven is not hides


def test_two_snapshots_over_different_links_prove_no_absence():
    """What was sent while the gateway's own link was lost appears later."""
    order = tracked(state=OrderState.REPORTED_DONE)
    order.on_snapshot(snapshot(0.0, epoch=1))
    order.on_snapshot(snapshot(9.0, epoch=2))
    assert not order.final
    order.on_snapshot(snapshot(14.0, epoch=2))
    assert order.proven


@pytest.mark.parametrize(
    "sign",
    [
        lambda order: order.on_status("Inactive", Decimal(0)),
        lambda order: order.on_status("Cancelled", Decimal(0)),
    ],
    ids=["a refusal", "a cancel"],
)
def test_a_report_of_its_end_between_two_snapshots_restarts_the_proof(sign):
    order = tracked()
    order.on_snapshot(snapshot(0.0))
    sign(order)
    order.on_snapshot(snapshot(6.0))
    assert not order.final
    order.on_snapshot(snapshot(11.0))
    assert order.proven


def test_another_report_of_its_end_restarts_the_proof():
    """Inactive, then Cancelled: it had come back to life in between, and a fill may cross the second end."""
    order = tracked()
    order.on_status("Inactive", Decimal(0))
    order.on_snapshot(snapshot(1.0))
    order.on_status("Cancelled", Decimal(0))
    order.on_snapshot(snapshot(6.0))
    assert not order.final
    order.on_snapshot(snapshot(11.0))
    assert order.proven


def test_the_fill_of_a_lagging_completed_order_is_never_lost():
    order = tracked(state=OrderState.PENDING_CANCEL)
    order.on_status("Cancelled", Decimal(0))
    order.on_snapshot(snapshot(0.0))
    order.on_snapshot(snapshot(5.0, executions=[execution(2)]))
    assert not order.final, "a fill came to light, so the proof begins anew"
    order.on_snapshot(snapshot(10.0, executions=[execution(2)], completed=[listed("Cancelled", 2)]))
    assert (order.proven, order.filled) == (True, 2)


@pytest.mark.parametrize("state", [OrderState.SENT, OrderState.REPORTED_DONE, OrderState.ENDED])
@pytest.mark.parametrize("status", ["PendingSubmit", "PreSubmitted", "Submitted"])
def test_what_is_listed_among_the_open_orders_may_still_fill(state, status):
    order = tracked(state=state)
    order.on_snapshot(snapshot(open_orders=[listed(status)]))
    assert order.state is OrderState.LIVE
    assert order.cancellable


@pytest.mark.parametrize("state", [state for state in OrderState if state is not OrderState.FILLED])
def test_an_inactive_order_is_not_over_while_it_is_listed(state):
    """It can come back to life; its price is not changed, and its end is asked for."""
    order = tracked(state=state)
    order.on_snapshot(snapshot(0.0, open_orders=[listed("Inactive")]))
    order.on_snapshot(snapshot(9.0, open_orders=[listed("Inactive")]))
    assert order.state in {OrderState.REPORTED_DONE, OrderState.PENDING_CANCEL}
    assert order.cancellable
    order.on_snapshot(snapshot(10.0))
    assert not order.final
    order.on_snapshot(snapshot(15.0, completed=[listed("Cancelled", 0)]))
    assert order.proven


@pytest.mark.parametrize(
    "state", [OrderState.INTENDED, OrderState.REPORTED_DONE, OrderState.FILLED, OrderState.ENDED]
)
def test_the_end_is_not_asked_for_where_nothing_is_to_be_ended(state):
    assert not tracked(state=state).cancellable


def test_the_end_of_what_is_said_to_be_filled_is_not_asked_for():
    order = tracked(state=OrderState.LIVE)
    order.on_status("Filled", Decimal(10))
    assert not order.cancellable


def test_an_order_that_is_being_cancelled_and_still_listed_is_being_cancelled():
    order = tracked(state=OrderState.PENDING_CANCEL)
    order.on_snapshot(snapshot(open_orders=[listed("PendingCancel")]))
    assert order.state is OrderState.PENDING_CANCEL


def test_an_inactive_order_that_comes_back_to_life_lives():
    order = tracked()
    order.on_status("Inactive", Decimal(0))
    assert order.over
    order.on_status("Submitted", Decimal(0))
    assert order.state is OrderState.LIVE


def test_an_order_that_was_not_over_after_all_lives_again():
    order = tracked(state=OrderState.ENDED)
    order.on_status("Submitted", Decimal(0))
    assert not order.final


def test_a_filled_order_that_is_still_listed_stays_filled():
    order = tracked()
    order.on_snapshot(snapshot(executions=[execution(10)], open_orders=[listed("Submitted")]))
    assert order.state is OrderState.FILLED


def test_a_snapshot_of_other_orders_says_of_this_one_only_that_it_is_missing():
    order = tracked()
    other = "spxarb:4f1c:12:SPY:x1"
    seen = snapshot(
        executions=[execution(10, ref=other)],
        open_orders=[listed(ref=other, perm_id=1)],
        completed=[listed("Cancelled", ref="", perm_id=0)],
    )
    order.on_snapshot(seen)
    assert (order.state, order.filled) == (OrderState.SENT, 0)


# --- presence -------------------------------------------------------------------------------------


def test_a_purchase_that_nobody_has_heard_of_comes_to_be_absent():
    order = purchase()
    assert order.presence is Presence.UNHEARD
    order.on_snapshot(snapshot(0.0))
    assert (order.presence, order.absent) == (Presence.SILENT_ONCE, False)
    order.apply(OrderEvent.CANCEL_SENT)
    order.on_message(10147, "not found")
    order.on_snapshot(snapshot(SILENCE_SECONDS))
    assert (order.presence, order.absent) == (Presence.ABSENT, True)


def test_an_order_that_the_broker_had_and_said_is_over_is_gone_before_it_is_absent():
    order = tracked()
    order.on_status("Submitted", Decimal(0), PERM)
    order.on_status("Cancelled", Decimal(0))
    assert order.presence is Presence.ACKNOWLEDGED
    order.on_snapshot(snapshot(0.0))
    assert order.presence is Presence.GONE_ONCE
    order.on_snapshot(snapshot(ABSENCE_SECONDS))
    assert order.absent


def test_an_order_that_is_over_because_it_is_listed_as_completed_is_not_absent():
    order = tracked()
    order.on_snapshot(snapshot(completed=[listed("Cancelled", 0)]))
    assert (order.presence, order.proven, order.absent) == (Presence.COMPLETED, True, False)


def test_nor_is_one_that_is_listed_there_twice_without_a_count():
    order = tracked(state=OrderState.REPORTED_DONE)
    order.on_snapshot(snapshot(0.0, completed=[listed("Cancelled", None)]))
    order.on_snapshot(snapshot(5.0, completed=[listed("Cancelled", None)]))
    assert (order.presence, order.proven, order.absent) == (Presence.COMPLETED, True, False)


def test_what_the_second_snapshot_shows_decides_how_it_ended():
    order = tracked(state=OrderState.REPORTED_DONE)
    order.on_snapshot(snapshot(0.0))
    order.on_snapshot(snapshot(5.0, completed=[listed("Cancelled", None)]))
    assert (order.presence, order.proven) == (Presence.COMPLETED, True)


def test_a_live_order_is_not_over_because_a_row_without_a_count_says_so():
    order = tracked()
    order.on_status("Submitted", Decimal(0), PERM)
    for at in (0.0, 5.0, 10.0):
        order.on_snapshot(snapshot(at, completed=[listed("Cancelled", None)]))
    assert (order.state, order.presence) == (OrderState.LIVE, Presence.ACKNOWLEDGED)


def test_an_order_that_was_absent_and_is_listed_again_is_absent_no_more():
    order = tracked()
    order.on_message(201, "refused")
    order.on_snapshot(snapshot(0.0))
    order.on_snapshot(snapshot(5.0))
    assert order.absent
    order.on_snapshot(snapshot(6.0, open_orders=[listed()]))
    assert (order.state, order.listed, order.absent) == (OrderState.LIVE, True, False)
    order.on_snapshot(snapshot(7.0, completed=[listed("Cancelled", 0)]))
    assert (order.proven, order.absent) == (True, False)


def test_an_order_is_listed_until_a_snapshot_shows_it_no_more():
    order = tracked()
    order.on_snapshot(snapshot(0.0, open_orders=[listed("Inactive")]))
    order.on_status("Cancelled", Decimal(0))
    assert order.listed
    assert order.cancellable
    order.on_snapshot(snapshot(1.0))
    assert not order.listed


# --- changes and cancels --------------------------------------------------------------------------


def test_a_change_that_was_refused_is_followed_by_no_other():
    order = tracked(state=OrderState.LIVE)
    order.reprice(Decimal("2.34"))
    assert order.change is ChangeState.SENT
    order.on_message(104, "Cannot modify a filled order")
    with pytest.raises(KeyError):
        order.reprice(Decimal("2.33"))
    assert order.limit == Decimal("2.34")


def test_a_cancel_that_was_refused_can_be_sent_again():
    order = tracked(state=OrderState.LIVE)
    order.apply(OrderEvent.CANCEL_SENT)
    order.on_message(161, "Cancel attempted when order is not in a cancellable state")
    assert (order.cancel, order.state) == (CancelState.REFUSED, OrderState.PENDING_CANCEL)
    order.apply(OrderEvent.CANCEL_SENT)
    assert order.cancel is CancelState.SENT


def test_a_cancel_refused_for_the_orders_state_is_word_from_the_broker_and_not_found_is_none():
    order = tracked()
    order.apply(OrderEvent.CANCEL_SENT)
    order.on_message(10147, "OrderId 1 that needs to be cancelled is not found.")
    assert (order.cancel, order.silent) == (CancelState.NOT_FOUND, True)
    order.on_message(10148, "OrderId 1 that needs to be cancelled cannot be cancelled, state: Filled.")
    assert not order.silent


def test_a_cancellation_that_nobody_here_asked_for_is_the_brokers_refusal():
    order = tracked(state=OrderState.LIVE)
    order.on_message(202, "Order Canceled - reason:Exchange is closed.")
    assert order.refusal == "202 Order Canceled - reason:Exchange is closed."


@pytest.mark.parametrize("refused_first", [False, True])
def test_a_cancellation_that_was_asked_for_is_none(refused_first):
    order = tracked(state=OrderState.LIVE)
    order.apply(OrderEvent.CANCEL_SENT)
    if refused_first:
        order.on_message(161, "Cancel attempted when order is not in a cancellable state")
    order.on_message(202, "Order Canceled - reason:")
    assert order.refusal == ""


# --- anything at all ------------------------------------------------------------------------------

STATUSES = [
    "PendingSubmit",
    "PreSubmitted",
    "Submitted",
    "PendingCancel",
    "Cancelled",
    "Filled",
    "Inactive",
    "",
]
CODES = [10349, 399, 404, 2109, 104, 105, 110, 161, 10147, 10148, 201, 202, 321, 4711]
some_executions = st.builds(
    lambda group, revision, quantity: execution(quantity, f"00.7.{group}.0{revision}"),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 6),
)
some_listings = st.builds(listed, st.sampled_from(STATUSES), st.none() | st.integers(0, 10))
some_events = st.one_of(
    st.builds(lambda s, f: ("status", s, f), st.sampled_from(STATUSES), st.none() | st.integers(0, 12)),
    st.builds(lambda code: ("code", code), st.sampled_from(CODES)),
    st.builds(lambda fill: ("execution", fill), some_executions),
    st.builds(
        lambda at, epoch, fills, live, done: ("snapshot", snapshot(at, epoch, fills, live, done)),
        st.floats(0, 30),
        st.integers(1, 2),
        st.lists(some_executions, max_size=2),
        st.lists(some_listings, max_size=1),
        st.lists(some_listings, max_size=1),
    ),
    st.just(("not sent",)),
)


def take(order, event):
    match event:
        case "status", status, filled:
            order.on_status(status, None if filled is None else Decimal(filled))
        case "code", code:
            order.on_message(code, "text")
        case "execution", fill:
            order.on_execution(fill)
        case "snapshot", seen:
            order.on_snapshot(seen)
        case _:
            order.apply(OrderEvent.NOT_SENT)


@given(
    st.sampled_from([state for state in OrderState if state is not OrderState.FILLED]),
    st.lists(some_events, max_size=12),
)
def test_no_event_in_any_state_and_order_is_an_error_and_fills_are_the_latest_revisions(state, many):
    order = tracked(state=state)
    shown = {}
    for event in many:
        take(order, event)
        executions = {
            "execution": event[1:2],
            "snapshot": event[1].snapshot.executions if event[0] == "snapshot" else (),
        }
        for fill in executions.get(event[0], ()):
            shown[fill.exec_id] = fill
        newest = {fill.family: fill for _, fill in sorted(shown.items())}
        assert order.filled == sum(fill.quantity for fill in newest.values())
        assert order.remaining >= 0
        assert order.final or order.presence in NOT_YET_OVER
        if order.state is OrderState.FILLED:
            assert order.filled >= 10


@given(st.lists(some_events, max_size=12))
def test_an_event_that_comes_twice_in_a_row_says_nothing_new(many):
    """But for snapshots: two of them at different moments prove more than one."""
    once, twice = tracked(), tracked()
    for event in many:
        for order in (once, twice, twice):
            take(order, event)
    assert (once.state, once.filled, once.reported_filled) == (
        twice.state,
        twice.filled,
        twice.reported_filled,
    )
