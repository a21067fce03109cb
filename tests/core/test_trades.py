"""The life of a trade, over the full product of states and events."""

from __future__ import annotations

from pathlib import Path

import pytest

from spxarb.core.model import TradeStatus
from spxarb.core.trades import TRANSITIONS, TradeEvent, TradeState, following
from tools.docs import trade_life

S, E = TradeState, TradeEvent
OPEN_STATES = [state for state in S if state.is_open]
ENDED = [state for state in S if not state.is_open]
each_state = pytest.mark.parametrize("state", S)


@each_state
def test_every_pair_leads_somewhere_or_is_an_error(state):
    for event in E:
        if event in TRANSITIONS[state]:
            assert isinstance(following(state, event), TradeState), event
        else:
            with pytest.raises(ValueError, match="cannot be"):
                following(state, event)


@each_state
def test_an_open_trade_ends_only_by_what_shows_that_nothing_is_held(state):
    """Not by a date, not by an intent, not by an attempt."""
    ends = {event for event in TRANSITIONS[state] if state.is_open and not following(state, event).is_open}
    assert ends <= {E.FLAT, E.PROVISIONALLY_SETTLED, E.TAKEN_BY_OTHERS}


@each_state
def test_only_an_entry_that_both_legs_filled_becomes_open(state):
    if state is not S.OPEN:
        opens = {event for event in TRANSITIONS[state] if following(state, event) is S.OPEN}
        assert opens <= {E.ENTRY_FILLED}


@each_state
def test_an_entry_that_was_interrupted_has_no_exit_of_its_own(state):
    if state.entry_interrupted:
        leads_to = {following(state, event) for event in TRANSITIONS[state]}
        assert leads_to.isdisjoint({S.EXITING, S.CLOSED, S.UNPROVEN})


@pytest.mark.parametrize("state", ENDED)
def test_contracts_of_an_ended_trade_that_show_late_make_it_open_again(state):
    assert following(state, E.HELD).is_open
    assert following(state, E.HELD).can_exit


@pytest.mark.parametrize("state", [state for state in OPEN_STATES if state is not S.LOST])
def test_doubt_can_befall_every_trade_in_sight(state):
    assert following(state, E.NOT_PROVEN).is_unproven


@pytest.mark.parametrize("state", S)
def test_sight_of_every_trade_can_be_lost(state):
    assert following(state, E.SIGHT_LOST) is S.LOST


@pytest.mark.parametrize("state", [state for state in S if state.can_exit])
def test_however_an_exit_goes_the_table_has_a_row_for_it(state):
    outcomes = {E.HELD, E.FLAT, E.RESIDUAL_LEFT, E.NOT_PROVEN}
    begun = set() if state.entry_interrupted else {E.EXIT_BEGUN}
    assert outcomes | begun <= TRANSITIONS[state].keys()


def test_nothing_is_settled_before_its_session_is_over_and_its_orders_are_proven():
    assert [state for state in S if E.PROVISIONALLY_SETTLED in TRANSITIONS[state]] == [
        S.EXPIRED,
        S.PROVISIONAL,
    ]


def test_a_settlement_is_provisional_first_and_only_a_later_proof_ends_it():
    assert [state for state in S if E.SETTLEMENT_PROVEN in TRANSITIONS[state]] == [S.PROVISIONAL, S.SETTLED]


def test_an_exit_that_was_begun_is_not_forgotten_by_doubt():
    assert following(following(S.EXITING, E.NOT_PROVEN), E.HELD) is S.EXITING
    assert following(S.UNPROVEN, E.EXIT_BEGUN) is S.UNPROVEN


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (S.ENTERING, TradeStatus.PENDING),
        (S.ENTRY_UNPROVEN, TradeStatus.ERROR),
        (S.OPEN, TradeStatus.ACTIVE),
        (S.EXITING, TradeStatus.ACTIVE),
        (S.HANDING_OVER, TradeStatus.ERROR),
        (S.HANDED_OVER, TradeStatus.ACTIVE),
        (S.RESIDUAL, TradeStatus.ACTIVE),
        (S.EXPIRED, TradeStatus.ACTIVE),
        (S.UNPROVEN, TradeStatus.ERROR),
        (S.LOST, TradeStatus.ERROR),
        (S.PROVISIONAL, TradeStatus.CLOSED),
        (S.SETTLED, TradeStatus.CLOSED),
        (S.CLOSED, TradeStatus.CLOSED),
        (S.UNWOUND, TradeStatus.CLOSED),
        (S.UNKNOWN, TradeStatus.CLOSED),
    ],
)
def test_the_ledgers_four_words_are_derived_from_the_state(state, status):
    assert state.status is status


@pytest.mark.parametrize(
    ("question", "yes"),
    [
        ("entry_interrupted", {S.ENTERING, S.ENTRY_UNPROVEN}),
        ("can_exit", {S.ENTERING, S.ENTRY_UNPROVEN, S.OPEN, S.EXITING, S.EXPIRED, S.UNPROVEN}),
        ("is_unproven", {S.ENTRY_UNPROVEN, S.UNPROVEN, S.HANDING_OVER}),
        ("is_provisional", {S.PROVISIONAL}),
    ],
)
def test_what_jobs_ask_of_a_trade_is_answered_by_its_state(question, yes):
    assert {state for state in S if getattr(state, question)} == yes


@pytest.mark.parametrize("event", E)
@pytest.mark.parametrize("state", [S.HANDING_OVER, S.HANDED_OVER])
def test_a_trade_that_a_human_took_has_no_exit_of_ours(state, event):
    """Not while he holds it, and what shows late of one that is over makes it his again."""
    if event in TRANSITIONS[state]:
        after = following(state, event)
        assert after not in {S.OPEN, S.EXITING, S.RESIDUAL, S.ENTERING}
        if not after.is_open and after is not S.LOST:
            assert following(after, E.HELD_BY_HAND) in {S.HANDED_OVER, S.EXPIRED}


def test_it_is_his_only_once_our_orders_are_over_and_not_while_its_entry_is_open():
    into = {
        (state, event) for state in S for event, after in TRANSITIONS[state].items() if after is S.HANDED_OVER
    }
    assert {event for _, event in into} == {E.ORDERS_ENDED, E.HELD_BY_HAND}
    assert {state for state in S if state.can_be_handed_over} == {
        *(S.OPEN, S.EXITING, S.RESIDUAL, S.EXPIRED, S.UNPROVEN)
    }


def test_the_result_of_a_trade_that_others_ended_or_that_is_out_of_sight_is_not_known():
    assert {state for state in S if not state.result_known} == {S.LOST, S.UNKNOWN}


def test_every_state_can_be_reached_from_the_first():
    reached, todo = set(), [S.ENTERING]
    while todo:
        state = todo.pop()
        if state not in reached:
            reached.add(state)
            todo += TRANSITIONS[state].values()
    assert reached == set(S)


def test_the_document_of_a_trades_life_is_what_the_code_says():
    written = Path(__file__).resolve().parents[2] / "docs" / "trade-life.md"
    assert written.read_text(encoding="utf-8") == trade_life.trade_life(), (
        "run: python -m tools.docs.trade_life"
    )
