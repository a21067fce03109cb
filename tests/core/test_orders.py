"""The life of one order: what every piece of news makes of every state, and what proves an end."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.broker_codes import CANCEL_REFUSALS, CANCELLATION, CHANGE_REFUSALS, REFUSALS, WARNINGS
from spxarb.core.model import (
    NEW_YORK,
    BrokerOrder,
    BrokerSnapshot,
    Contract,
    Execution,
    LegName,
    OrderTicket,
    Position,
    Side,
    SnapshotTaken,
)
from spxarb.core.orders import (
    ABSENCE_SECONDS,
    TRANSITIONS,
    OrderEvent,
    OrderState,
    Track,
    diagram,
    event_of_code,
    event_of_status,
)
from spxarb.core.records import Purpose
from tools.docs import order_life

NOON = datetime(2026, 11, 24, 12, tzinfo=NEW_YORK)
SPY = Contract(7, "SPY", "OPT", trading_class="SPY", multiplier=100)
REF = "spxarb:4f1c:12:SPY:e1"
PERM = 900


def order(quantity=10, state=OrderState.SENT, **more):
    ticket = OrderTicket(REF, SPY, Side.SELL, quantity, Decimal("2.35"))
    return Track(ticket, LegName.SPY, Purpose.ENTRY, 1, state=state, **more)


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


def snapshot(at=0.0, epoch=1, executions=(), open_orders=(), completed=()):
    return SnapshotTaken(
        BrokerSnapshot(NOON, tuple(executions), tuple(open_orders), tuple(completed), ()), at, epoch
    )


# --- the table ------------------------------------------------------------------------------------

TABLE = """
news           | intended   | sent       | live       | cancelling | said ended | filled | ended
sent           | sent       | -          | =          | -          | -          | -      | -
not sent       | ended      | ended      | =          | =          | =          | =      | =
noted          | =          | =          | =          | =          | =          | =      | =
working        | live       | live       | =          | =          | live       | =      | live
filled partly  | live       | live       | =          | =          | =          | ended  | =
filled wholly  | filled     | filled     | filled     | filled     | filled     | =      | filled
cancel sent    | -          | cancelling | cancelling | =          | cancelling | -      | -
cancel refused | =          | =          | =          | =          | =          | =      | =
cancelled      | said ended | said ended | said ended | said ended | =          | =      | =
refused        | said ended | said ended | said ended | said ended | =          | =      | =
seen live      | live       | live       | =          | =          | live       | -      | live
seen inactive  | said ended | said ended | said ended | =          | =          | -      | said ended
seen ended     | ended      | ended      | ended      | ended      | ended      | -      | -
absent twice   | ended      | ended      | =          | ended      | ended      | -      | -
"""
"""`=` it stays, `-` cannot happen: an order is sent once and repriced only while it lives, its end is asked
for only while it may fill or come back to life, and what is final is looked for no more."""

HEAD, *LINES = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]
CELLS = {
    (OrderState(state), OrderEvent(line[0])): cell
    for line in LINES
    for state, cell in zip(HEAD[1:], line[1:], strict=True)
}
POSSIBLE = {pair: cell for pair, cell in CELLS.items() if cell != "-"}
IMPOSSIBLE = [pair for pair, cell in CELLS.items() if cell == "-"]
FROM_THE_BROKER = set(OrderEvent) - {
    OrderEvent.SENT,
    OrderEvent.CANCEL_SENT,
    OrderEvent.SEEN_LIVE,
    OrderEvent.SEEN_INACTIVE,
    OrderEvent.SEEN_ENDED,
    OrderEvent.ABSENT_TWICE,
}


def test_the_table_above_covers_every_state_and_every_news():
    assert set(CELLS) == set(product(OrderState, OrderEvent))
    assert set(TRANSITIONS) == set(OrderState)


@pytest.mark.parametrize(("pair", "cell"), POSSIBLE.items(), ids=str)
def test_news_that_can_happen_leads_where_it_must(pair, cell):
    state, event = pair
    track = order(state=state)
    track.apply(event)
    assert track.state == (state if cell == "=" else OrderState(cell))


@pytest.mark.parametrize(("state", "event"), IMPOSSIBLE, ids=str)
def test_news_that_cannot_happen_is_an_error(state, event):
    with pytest.raises(KeyError):
        order(state=state).apply(event)


def test_whatever_the_broker_says_can_happen_in_every_state():
    assert not [pair for pair in IMPOSSIBLE if pair[1] in FROM_THE_BROKER]


def test_only_the_books_executions_and_what_was_never_sent_end_an_order():
    ending = {
        event
        for (state, event), cell in POSSIBLE.items()
        if cell in {"filled", "ended"} and state is not OrderState.FILLED
    }
    assert ending == {
        OrderEvent.FILLED_WHOLLY,
        OrderEvent.SEEN_ENDED,
        OrderEvent.ABSENT_TWICE,
        OrderEvent.NOT_SENT,
    }


# --- words and codes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "event"),
    [
        ("PreSubmitted", OrderEvent.WORKING),
        ("Submitted", OrderEvent.WORKING),
        ("Cancelled", OrderEvent.CANCELLED),
        ("ApiCancelled", OrderEvent.CANCELLED),
        ("Inactive", OrderEvent.REFUSED),
        ("Filled", OrderEvent.NOTED),
        ("PendingSubmit", OrderEvent.NOTED),
        ("ApiPending", OrderEvent.NOTED),
        ("PendingCancel", OrderEvent.NOTED),
        ("PreCancelled", OrderEvent.NOTED),
        ("WarnState", OrderEvent.NOTED),
        ("", OrderEvent.NOTED),
    ],
)
def test_a_status_means(status, event):
    assert event_of_status(status) is event


@pytest.mark.parametrize("code", [10349, 399, 404, 2102, 2109, 2137, 2148, 165, 492, 10167, 10233])
@pytest.mark.parametrize("state", OrderState)
def test_a_warning_never_ends_an_order(code, state):
    track = order(state=state)
    track.on_message(code, "a warning")
    assert track.state is state
    assert not track.change_refused


@pytest.mark.parametrize("code", [104, 105])
@pytest.mark.parametrize("state", OrderState)
def test_a_refused_change_says_nothing_of_the_order(code, state):
    track = order(state=state)
    track.on_message(code, "not changed")
    assert track.state is state
    assert track.change_refused


@pytest.mark.parametrize("code", [135, 136, 161, 10147, 10148])
@pytest.mark.parametrize("state", OrderState)
def test_a_refused_cancel_proves_no_end(code, state):
    track = order(state=state)
    track.on_message(code, "OrderId 1 that needs to be cancelled cannot be cancelled, state: Filled")
    assert track.state is state


@pytest.mark.parametrize(
    "state", [OrderState.INTENDED, OrderState.SENT, OrderState.LIVE, OrderState.PENDING_CANCEL]
)
def test_202_is_the_word_of_an_end_and_no_proof(state):
    track = order(state=state)
    track.on_message(202, "Order Canceled - reason:")
    assert track.state is OrderState.REPORTED_DONE
    assert track.over
    assert not track.proven


@pytest.mark.parametrize("code", sorted(REFUSALS))
@pytest.mark.parametrize(
    "state", [OrderState.INTENDED, OrderState.SENT, OrderState.LIVE, OrderState.PENDING_CANCEL]
)
def test_a_refusal_ends_an_order_that_was_never_changed(code, state):
    """201 may come before any status, or after PreSubmitted, and no status need follow it."""
    track = order(state=state)
    track.on_message(code, "Order rejected - reason:")
    assert track.state is OrderState.REPORTED_DONE
    assert not track.proven


@pytest.mark.parametrize("code", sorted(REFUSALS))
@pytest.mark.parametrize("state", [OrderState.LIVE, OrderState.PENDING_CANCEL])
def test_the_same_refusal_after_a_change_refuses_the_change_alone(code, state):
    track = order(state=OrderState.LIVE)
    track.reprice(Decimal("2.34"))
    track.state = state
    track.on_message(code, "the change does not please")
    assert track.state is state
    assert track.change_refused


@pytest.mark.parametrize("state", [OrderState.FILLED, OrderState.ENDED])
@pytest.mark.parametrize("code", [110, 201, 202])
def test_a_refusal_of_an_order_that_is_over_changes_nothing(state, code):
    track = order(state=state)
    track.on_message(code, "too late")
    assert track.state is state


@pytest.mark.parametrize("code", [1, 99, 354, 507, 9999, 10197, 10500, 20000])
@pytest.mark.parametrize("state", OrderState)
def test_a_code_that_nobody_knows_proves_nothing(code, state):
    track = order(state=state)
    track.on_message(code, "?")
    assert track.state is state


def test_no_code_means_two_things():
    groups = [WARNINGS, CANCEL_REFUSALS, CHANGE_REFUSALS, REFUSALS, {CANCELLATION}]
    assert sum(map(len, groups)) == len(frozenset().union(*groups))


def test_every_code_of_the_wire_has_a_meaning_in_every_state():
    for code, state in product(range(-1, 11000), OrderState):
        assert (state, event_of_code(code, state, changed=False)) in POSSIBLE
        assert (state, event_of_code(code, state, changed=True)) in POSSIBLE


def test_the_words_of_the_broker_are_kept_in_their_order():
    track = order()
    track.on_message(399, "held until the opening")
    track.on_message(201, "no margin")
    assert track.words == ["399 held until the opening", "201 no margin"]


# --- a change of price ----------------------------------------------------------------------------


@pytest.mark.parametrize("state", [state for state in OrderState if state is not OrderState.LIVE])
def test_a_price_is_changed_only_while_the_order_lives(state):
    """Sent to an order that is over it would be refused; to one that never arrived it would be a new order."""
    track = order(state=state)
    with pytest.raises(KeyError):
        track.reprice(Decimal("2.34"))
    assert track.limit is None


def test_a_change_of_price_leaves_the_ticket_as_it_was_committed():
    track = order(state=OrderState.LIVE)
    track.reprice(Decimal("2.30"))
    assert (track.ticket.limit, track.limit) == (Decimal("2.35"), Decimal("2.30"))


# --- fills ----------------------------------------------------------------------------------------


def test_only_executions_are_fills():
    track = order()
    track.on_status("Filled", Decimal(10))
    assert track.filled == 0
    assert track.fills_missing
    assert not track.final


def test_a_fill_may_come_before_any_status():
    track = order()
    track.on_execution(execution(4))
    assert (track.state, track.filled, track.remaining) == (OrderState.LIVE, 4, 6)
    track.on_execution(execution(6, "00.7.2.01"))
    assert (track.state, track.filled, track.remaining) == (OrderState.FILLED, 10, 0)
    assert track.proven


def test_a_status_filled_waits_for_its_execution():
    track = order()
    track.on_status("Submitted", Decimal(0))
    track.on_status("Filled", Decimal(10))
    track.on_execution(execution(10))
    track.on_status("Filled", Decimal(10))
    assert (track.state, track.fills_missing) == (OrderState.FILLED, False)


def test_a_status_filled_without_a_number_means_all_of_it():
    track = order()
    track.on_status("Filled", None)
    assert track.reported_filled == 10


def test_a_status_that_claims_more_than_was_asked_for_is_taken_as_all_of_it():
    track = order()
    track.on_status("Submitted", Decimal(12))
    assert track.reported_filled == 10


def test_the_same_execution_told_twice_counts_once():
    track = order()
    for _ in range(3):
        track.on_execution(execution(4))
    track.on_execution(execution(4, commission=Decimal("2.60")))
    assert track.filled == 4


def test_a_fill_after_cancelled_counts_and_the_order_stays_over():
    track = order(state=OrderState.PENDING_CANCEL)
    track.on_status("Cancelled", Decimal(0))
    track.on_execution(execution(3))
    assert (track.state, track.filled) == (OrderState.REPORTED_DONE, 3)


def test_a_whole_fill_after_cancelled_is_a_fill():
    track = order(state=OrderState.REPORTED_DONE)
    track.on_execution(execution(10))
    assert track.state is OrderState.FILLED


def test_a_late_fill_counts_even_after_the_end_was_proven():
    track = order(state=OrderState.ENDED)
    track.on_execution(execution(4))
    assert (track.state, track.filled) == (OrderState.ENDED, 4)


def test_a_correction_replaces_what_it_corrects():
    track = order()
    track.on_execution(execution(10))
    track.on_execution(execution(8, "00.7.1.02"))
    assert track.filled == 8
    assert track.state is OrderState.ENDED


def test_a_correction_with_less_leaves_no_fill_missing():
    """The status told of ten, and ten were seen: that two of them were taken back is no gap."""
    track = order()
    track.on_status("Filled", Decimal(10))
    track.on_execution(execution(10))
    track.on_execution(execution(8, "00.7.1.02"))
    assert not track.fills_missing
    assert track.proven


def test_a_correction_with_less_makes_up_for_no_other_fill():
    track = order()
    track.on_execution(execution(6))
    track.on_execution(execution(5, "00.7.1.02"))
    track.on_status("Submitted", Decimal(8))
    assert track.fills_missing
    track.on_execution(execution(2, "00.7.2.01"))
    assert not track.fills_missing


def test_a_correction_with_more_may_complete_the_order():
    track = order()
    track.on_execution(execution(8))
    track.on_execution(execution(10, "00.7.1.02"))
    assert (track.state, track.filled) == (OrderState.FILLED, 10)


def test_a_correction_that_comes_before_what_it_corrects_still_replaces_it():
    track = order()
    track.on_execution(execution(8, "00.7.1.02"))
    track.on_execution(execution(10))
    assert track.filled == 8


def test_a_correction_of_the_price_moves_the_average():
    track = order()
    track.on_execution(execution(5, price="2.00"))
    track.on_execution(execution(5, "00.7.2.01", price="3.00"))
    track.on_execution(execution(5, "00.7.2.02", price="4.00"))
    assert track.average_price == 3
    assert order().average_price is None


def test_an_execution_is_ours_by_its_reference_or_without_one_by_its_perm_id():
    track = order()
    assert track.matches_execution(execution())
    assert not track.matches_execution(execution(ref="spxarb:4f1c:12:SPY:e2"))
    assert not track.matches_execution(execution(ref=""))
    track.perm_id = PERM
    assert track.matches_execution(execution(ref=""))
    assert not track.matches_execution(execution(ref="by hand"))


# --- looks ----------------------------------------------------------------------------------------


def test_a_look_shows_a_live_order():
    track = order(state=OrderState.INTENDED)
    track.on_snapshot(snapshot(open_orders=[listed("PreSubmitted")]))
    assert (track.state, track.perm_id) == (OrderState.LIVE, PERM)


def test_a_look_finds_an_order_by_its_perm_id_where_the_reference_is_missing():
    track = order(perm_id=PERM)
    track.on_snapshot(snapshot(open_orders=[listed(ref="")]))
    assert track.state is OrderState.LIVE


def test_a_look_counts_executions_before_it_judges():
    track = order()
    track.on_snapshot(snapshot(executions=[execution(10)]))
    assert track.state is OrderState.FILLED
    assert track.proven


def test_an_order_whose_fills_were_all_known_is_filled_at_the_first_look():
    """A crash came between the last fill and the note that the order is over."""
    track = order(state=OrderState.INTENDED, executions={"00.7.1.01": execution(10)})
    track.on_snapshot(snapshot(executions=[execution(10)]))
    assert track.proven


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
    track = order(state=state)
    track.on_snapshot(snapshot(executions=[execution(3)], completed=[listed("Cancelled", 3)]))
    assert (track.state, track.filled, track.proven) == (OrderState.ENDED, 3, True)


def test_a_completed_order_that_tells_of_a_fill_not_shown_proves_nothing_yet():
    track = order(state=OrderState.REPORTED_DONE)
    track.on_snapshot(snapshot(completed=[listed("Cancelled", 3)]))
    assert not track.final
    track.on_snapshot(snapshot(5, executions=[execution(3)], completed=[listed("Cancelled", 3)]))
    assert track.proven


def test_a_completed_order_with_status_filled_waits_for_its_executions():
    track = order(state=OrderState.LIVE)
    track.on_snapshot(snapshot(completed=[listed("Filled", None)]))
    assert not track.final
    assert track.fills_missing


def test_a_completed_order_that_does_not_say_what_was_filled_proves_nothing_alone():
    """Its executions may have been listed before its last fill."""
    track = order(state=OrderState.REPORTED_DONE)
    track.on_snapshot(snapshot(0, completed=[listed("Cancelled", None)]))
    assert not track.final
    track.on_snapshot(snapshot(5, completed=[listed("Cancelled", None)]))
    assert track.proven


@pytest.mark.parametrize(
    "state", [OrderState.INTENDED, OrderState.SENT, OrderState.PENDING_CANCEL, OrderState.REPORTED_DONE]
)
def test_absence_is_proven_by_two_looks_five_seconds_apart(state):
    """Also after the word Cancelled: a fill can cross it, and completed orders lag."""
    track = order(state=state)
    track.on_snapshot(snapshot(0.0))
    assert not track.final
    track.on_snapshot(snapshot(ABSENCE_SECONDS - 0.1))
    assert not track.final
    track.on_snapshot(snapshot(ABSENCE_SECONDS))
    assert track.proven


@pytest.mark.parametrize(
    "word",
    [
        lambda track: track.on_status("Submitted", Decimal(0), PERM),
        lambda track: track.on_execution(execution(3)),
        lambda track: track.on_snapshot(snapshot(open_orders=[listed()])),
    ],
    ids=["a status", "a fill", "a look"],
)
@pytest.mark.parametrize("asked", [False, True], ids=["left alone", "asked to end"])
def test_an_order_that_the_broker_had_is_not_over_because_it_is_nowhere(word, asked):
    """Books whose rows were lost look like books without it; it must be shown completed, or said to be over."""
    track = order(state=OrderState.SENT)
    word(track)
    if asked:
        track.apply(OrderEvent.CANCEL_SENT)
    for at in (0.0, 9.0, 18.0):
        track.on_snapshot(snapshot(at))
    assert not track.final
    if track.filled:
        track.on_snapshot(snapshot(27.0, completed=[listed("Cancelled", 3)]))
    else:
        track.on_status("Cancelled", Decimal(0))
        track.on_snapshot(snapshot(27.0))
        track.on_snapshot(snapshot(36.0))
    assert track.proven


@pytest.mark.parametrize(
    ("before", "after", "proven"),
    [(0, 0, True), (0, -10, False), (-5, -5, True), (-5, -15, False), (0, 10, True), (None, -10, True)],
)
def test_an_order_is_not_absent_while_the_position_moved_its_way(before, after, proven):
    """Nobody's execution tells why: one may be missing. What moved the other way is not its doing."""
    track = order(state=OrderState.SENT)
    track.overnight = None if before is None else Decimal(before)
    held = (Position("DU1", 7, "SPY", "OPT", Decimal(after)),)
    for at in (0.0, 9.0):
        track.on_snapshot(SnapshotTaken(BrokerSnapshot(NOON, (), (), (), held), at, 1))
    assert track.proven is proven


def test_two_looks_over_different_links_prove_no_absence():
    """What was sent while the gateway's own link was lost appears later."""
    track = order()
    track.on_snapshot(snapshot(0.0, epoch=1))
    track.on_snapshot(snapshot(9.0, epoch=2))
    assert not track.final
    track.on_snapshot(snapshot(14.0, epoch=2))
    assert track.proven


@pytest.mark.parametrize(
    "sign",
    [
        lambda track: track.on_status("Inactive", Decimal(0)),
        lambda track: track.on_status("Cancelled", Decimal(0)),
    ],
    ids=["a refusal", "a cancel"],
)
def test_a_word_of_its_end_between_two_looks_begins_the_proof_anew(sign):
    track = order()
    track.on_snapshot(snapshot(0.0))
    sign(track)
    track.on_snapshot(snapshot(6.0))
    assert not track.final
    track.on_snapshot(snapshot(11.0))
    assert track.proven


def test_another_word_of_its_end_begins_the_proof_anew():
    """Inactive, then Cancelled: it had come back to life in between, and a fill may cross the second end."""
    track = order()
    track.on_status("Inactive", Decimal(0))
    track.on_snapshot(snapshot(1.0))
    track.on_status("Cancelled", Decimal(0))
    track.on_snapshot(snapshot(6.0))
    assert not track.final
    track.on_snapshot(snapshot(11.0))
    assert track.proven


def test_the_fill_of_a_lagging_completed_order_is_never_lost():
    track = order(state=OrderState.PENDING_CANCEL)
    track.on_status("Cancelled", Decimal(0))
    track.on_snapshot(snapshot(0.0))
    track.on_snapshot(snapshot(5.0, executions=[execution(2)]))
    assert not track.final, "a fill came to light, so the proof begins anew"
    track.on_snapshot(snapshot(10.0, executions=[execution(2)], completed=[listed("Cancelled", 2)]))
    assert (track.proven, track.filled) == (True, 2)


@pytest.mark.parametrize("state", [OrderState.SENT, OrderState.REPORTED_DONE, OrderState.ENDED])
@pytest.mark.parametrize("status", ["PendingSubmit", "PreSubmitted", "Submitted"])
def test_what_is_listed_among_the_open_orders_may_still_fill(state, status):
    track = order(state=state)
    track.on_snapshot(snapshot(open_orders=[listed(status)]))
    assert track.state is OrderState.LIVE
    assert track.cancellable


@pytest.mark.parametrize("state", [state for state in OrderState if state is not OrderState.FILLED])
def test_an_inactive_order_is_not_over_while_it_is_listed(state):
    """It can come back to life; its price is not changed, and its end is asked for."""
    track = order(state=state)
    track.on_snapshot(snapshot(0.0, open_orders=[listed("Inactive")]))
    track.on_snapshot(snapshot(9.0, open_orders=[listed("Inactive")]))
    assert track.state in {OrderState.REPORTED_DONE, OrderState.PENDING_CANCEL}
    assert track.cancellable
    track.on_snapshot(snapshot(10.0))
    assert not track.final
    track.on_snapshot(snapshot(15.0, completed=[listed("Cancelled", 0)]))
    assert track.proven


@pytest.mark.parametrize(
    "state", [OrderState.INTENDED, OrderState.REPORTED_DONE, OrderState.FILLED, OrderState.ENDED]
)
def test_the_end_is_not_asked_for_where_nothing_is_to_be_ended(state):
    assert not order(state=state).cancellable


def test_the_end_of_what_is_said_to_be_filled_is_not_asked_for():
    track = order(state=OrderState.LIVE)
    track.on_status("Filled", Decimal(10))
    assert not track.cancellable


def test_an_order_that_is_being_cancelled_and_still_listed_is_being_cancelled():
    track = order(state=OrderState.PENDING_CANCEL)
    track.on_snapshot(snapshot(open_orders=[listed("PendingCancel")]))
    assert track.state is OrderState.PENDING_CANCEL


def test_an_inactive_order_that_comes_back_to_life_lives():
    track = order()
    track.on_status("Inactive", Decimal(0))
    assert track.over
    track.on_status("Submitted", Decimal(0))
    assert track.state is OrderState.LIVE


def test_an_order_that_was_not_over_after_all_lives_again():
    track = order(state=OrderState.ENDED)
    track.on_status("Submitted", Decimal(0))
    assert not track.final


def test_a_filled_order_that_is_still_listed_stays_filled():
    track = order()
    track.on_snapshot(snapshot(executions=[execution(10)], open_orders=[listed("Submitted")]))
    assert track.state is OrderState.FILLED


def test_books_of_other_orders_say_nothing_of_this_one_but_that_it_is_absent():
    track = order()
    other = "spxarb:4f1c:12:SPY:x1"
    seen = snapshot(
        executions=[execution(10, ref=other)],
        open_orders=[listed(ref=other, perm_id=1)],
        completed=[listed("Cancelled", ref="", perm_id=0)],
    )
    track.on_snapshot(seen)
    assert (track.state, track.filled) == (OrderState.SENT, 0)


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
some_news = st.one_of(
    st.builds(lambda s, f: ("status", s, f), st.sampled_from(STATUSES), st.none() | st.integers(0, 12)),
    st.builds(lambda code: ("code", code), st.sampled_from(CODES)),
    st.builds(lambda each: ("execution", each), some_executions),
    st.builds(
        lambda at, epoch, fills, live, done: ("look", snapshot(at, epoch, fills, live, done)),
        st.floats(0, 30),
        st.integers(1, 2),
        st.lists(some_executions, max_size=2),
        st.lists(some_listings, max_size=1),
        st.lists(some_listings, max_size=1),
    ),
    st.just(("not sent",)),
)


def tell(track, event):
    match event:
        case "status", status, filled:
            track.on_status(status, None if filled is None else Decimal(filled))
        case "code", code:
            track.on_message(code, "words")
        case "execution", each:
            track.on_execution(each)
        case "look", seen:
            track.on_snapshot(seen)
        case _:
            track.apply(OrderEvent.NOT_SENT)


@given(
    st.sampled_from([state for state in OrderState if state is not OrderState.FILLED]),
    st.lists(some_news, max_size=12),
)
def test_no_news_in_any_state_and_order_is_an_error_and_fills_are_the_latest_revisions(state, many):
    track = order(state=state)
    told = {}
    for event in many:
        tell(track, event)
        executions = {
            "execution": event[1:2],
            "look": event[1].snapshot.executions if event[0] == "look" else (),
        }
        for each in executions.get(event[0], ()):
            told[each.exec_id] = each
        newest = {each.family: each for _, each in sorted(told.items())}
        assert track.filled == sum(each.quantity for each in newest.values())
        assert track.remaining >= 0
        if track.state is OrderState.FILLED:
            assert track.filled >= 10


@given(st.lists(some_news, max_size=12))
def test_news_told_twice_in_a_row_says_nothing_new(many):
    """But for looks: two of them at different moments prove more than one."""
    once, twice = order(), order()
    for event in many:
        for track in (once, twice, twice):
            tell(track, event)
    assert (once.state, once.filled, once.reported_filled) == (
        twice.state,
        twice.filled,
        twice.reported_filled,
    )


# --- the document ---------------------------------------------------------------------------------


def test_the_diagram_shows_every_change_of_state():
    arrows = [line for line in diagram().splitlines() if "-->" in line]
    shown = {
        (source.strip(), target, cause)
        for source, _, rest in (line.partition(" --> ") for line in arrows)
        for target, _, causes in [rest.partition(": ")]
        for cause in causes.split(", ")
    }
    wanted = {
        (state.value.replace(" ", "_"), cell.replace(" ", "_"), event.value)
        for (state, event), cell in POSSIBLE.items()
        if cell != "="
    }
    assert shown - {("[*]", "intended", "")} == wanted


def test_the_document_of_the_order_life_is_what_the_code_says():
    written = Path(__file__).parents[2] / "docs" / "order-life.md"
    assert written.read_text(encoding="utf-8") == order_life.order_life(), (
        "run: python -m tools.docs.order_life"
    )


def test_the_document_tells_of_every_news_and_every_code(tmp_path):
    order_life.write(tmp_path)
    text = (tmp_path / "docs" / "order-life.md").read_text(encoding="utf-8")
    for event in OrderEvent:
        assert f"| {event.value} |" in text
    for code in CANCEL_REFUSALS | CHANGE_REFUSALS | {CANCELLATION, 104, 110, 201, 399, 404, 10349}:
        assert str(code) in text
