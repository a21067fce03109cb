"""The life of one order: what every piece of news makes of every state, and what proves an end."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.model import (
    NEW_YORK,
    Books,
    BooksSeen,
    BrokerOrder,
    Contract,
    Execution,
    LegName,
    OrderTicket,
    Position,
    Side,
)
from spxarb.core.orders import (
    ABSENCE_SECONDS,
    CANCEL_REFUSALS,
    CANCELLATION,
    CHANGE_REFUSALS,
    REFUSALS,
    TRANSITIONS,
    WARNINGS,
    Life,
    News,
    Track,
    diagram,
    news_of_code,
    news_of_status,
)
from spxarb.core.records import Purpose
from tools.docs import order_life

NOON = datetime(2026, 11, 24, 12, tzinfo=NEW_YORK)
SPY = Contract(7, "SPY", "OPT", trading_class="SPY", multiplier=100)
REF = "spxarb:4f1c:12:SPY:e1"
PERM = 900


def order(quantity=10, life=Life.SENT, **more):
    ticket = OrderTicket(REF, SPY, Side.SELL, quantity, Decimal("2.35"))
    return Track(ticket, LegName.SPY, Purpose.ENTRY, 1, life=life, **more)


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


def books(at=0.0, epoch=1, executions=(), open_orders=(), completed=()):
    return BooksSeen(Books(NOON, tuple(executions), tuple(open_orders), tuple(completed), ()), at, epoch)


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
    (Life(life), News(line[0])): cell for line in LINES for life, cell in zip(HEAD[1:], line[1:], strict=True)
}
POSSIBLE = {pair: cell for pair, cell in CELLS.items() if cell != "-"}
IMPOSSIBLE = [pair for pair, cell in CELLS.items() if cell == "-"]
FROM_THE_BROKER = set(News) - {
    News.SENT,
    News.CANCEL_SENT,
    News.SEEN_LIVE,
    News.SEEN_INACTIVE,
    News.SEEN_ENDED,
    News.ABSENT_TWICE,
}


def test_the_table_above_covers_every_state_and_every_news():
    assert set(CELLS) == set(product(Life, News))
    assert set(TRANSITIONS) == set(Life)


@pytest.mark.parametrize(("pair", "cell"), POSSIBLE.items(), ids=str)
def test_news_that_can_happen_leads_where_it_must(pair, cell):
    life, news = pair
    track = order(life=life)
    track.hear(news)
    assert track.life == (life if cell == "=" else Life(cell))


@pytest.mark.parametrize(("life", "news"), IMPOSSIBLE, ids=str)
def test_news_that_cannot_happen_is_an_error(life, news):
    with pytest.raises(KeyError):
        order(life=life).hear(news)


def test_whatever_the_broker_says_can_happen_in_every_state():
    assert not [pair for pair in IMPOSSIBLE if pair[1] in FROM_THE_BROKER]


def test_only_the_books_executions_and_what_was_never_sent_end_an_order():
    ending = {
        news
        for (life, news), cell in POSSIBLE.items()
        if cell in {"filled", "ended"} and life is not Life.FILLED
    }
    assert ending == {News.FILLED_WHOLLY, News.SEEN_ENDED, News.ABSENT_TWICE, News.NOT_SENT}


# --- words and codes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "news"),
    [
        ("PreSubmitted", News.WORKING),
        ("Submitted", News.WORKING),
        ("Cancelled", News.CANCELLED),
        ("ApiCancelled", News.CANCELLED),
        ("Inactive", News.REFUSED),
        ("Filled", News.NOTED),
        ("PendingSubmit", News.NOTED),
        ("ApiPending", News.NOTED),
        ("PendingCancel", News.NOTED),
        ("PreCancelled", News.NOTED),
        ("WarnState", News.NOTED),
        ("", News.NOTED),
    ],
)
def test_a_status_means(status, news):
    assert news_of_status(status) is news


@pytest.mark.parametrize("code", [10349, 399, 404, 2102, 2109, 2137, 2148, 165, 492, 10167, 10233])
@pytest.mark.parametrize("life", Life)
def test_a_warning_never_ends_an_order(code, life):
    track = order(life=life)
    track.hear_code(code, "a warning")
    assert track.life is life
    assert not track.change_refused


@pytest.mark.parametrize("code", [104, 105])
@pytest.mark.parametrize("life", Life)
def test_a_refused_change_says_nothing_of_the_order(code, life):
    track = order(life=life)
    track.hear_code(code, "not changed")
    assert track.life is life
    assert track.change_refused


@pytest.mark.parametrize("code", [135, 136, 161, 10147, 10148])
@pytest.mark.parametrize("life", Life)
def test_a_refused_cancel_proves_no_end(code, life):
    track = order(life=life)
    track.hear_code(code, "OrderId 1 that needs to be cancelled cannot be cancelled, state: Filled")
    assert track.life is life


@pytest.mark.parametrize("life", [Life.INTENDED, Life.SENT, Life.LIVE, Life.CANCELLING])
def test_202_is_the_word_of_an_end_and_no_proof(life):
    track = order(life=life)
    track.hear_code(202, "Order Canceled - reason:")
    assert track.life is Life.SAID_ENDED
    assert track.over
    assert not track.proven


@pytest.mark.parametrize("code", sorted(REFUSALS))
@pytest.mark.parametrize("life", [Life.INTENDED, Life.SENT, Life.LIVE, Life.CANCELLING])
def test_a_refusal_ends_an_order_that_was_never_changed(code, life):
    """201 may come before any status, or after PreSubmitted, and no status need follow it."""
    track = order(life=life)
    track.hear_code(code, "Order rejected - reason:")
    assert track.life is Life.SAID_ENDED
    assert not track.proven


@pytest.mark.parametrize("code", sorted(REFUSALS))
@pytest.mark.parametrize("life", [Life.LIVE, Life.CANCELLING])
def test_the_same_refusal_after_a_change_refuses_the_change_alone(code, life):
    track = order(life=Life.LIVE)
    track.reprice(Decimal("2.34"))
    track.life = life
    track.hear_code(code, "the change does not please")
    assert track.life is life
    assert track.change_refused


@pytest.mark.parametrize("life", [Life.FILLED, Life.ENDED])
@pytest.mark.parametrize("code", [110, 201, 202])
def test_a_refusal_of_an_order_that_is_over_changes_nothing(life, code):
    track = order(life=life)
    track.hear_code(code, "too late")
    assert track.life is life


@pytest.mark.parametrize("code", [1, 99, 354, 507, 9999, 10197, 10500, 20000])
@pytest.mark.parametrize("life", Life)
def test_a_code_that_nobody_knows_proves_nothing(code, life):
    track = order(life=life)
    track.hear_code(code, "?")
    assert track.life is life


def test_no_code_means_two_things():
    groups = [WARNINGS, CANCEL_REFUSALS, CHANGE_REFUSALS, REFUSALS, {CANCELLATION}]
    assert sum(map(len, groups)) == len(frozenset().union(*groups))


def test_every_code_of_the_wire_has_a_meaning_in_every_state():
    for code, life in product(range(-1, 11000), Life):
        assert (life, news_of_code(code, life, changed=False)) in POSSIBLE
        assert (life, news_of_code(code, life, changed=True)) in POSSIBLE


def test_the_words_of_the_broker_are_kept_in_their_order():
    track = order()
    track.hear_code(399, "held until the opening")
    track.hear_code(201, "no margin")
    assert track.words == ["399 held until the opening", "201 no margin"]


# --- a change of price ----------------------------------------------------------------------------


@pytest.mark.parametrize("life", [life for life in Life if life is not Life.LIVE])
def test_a_price_is_changed_only_while_the_order_lives(life):
    """Sent to an order that is over it would be refused; to one that never arrived it would be a new order."""
    track = order(life=life)
    with pytest.raises(KeyError):
        track.reprice(Decimal("2.34"))
    assert track.limit is None


def test_a_change_of_price_leaves_the_ticket_as_it_was_committed():
    track = order(life=Life.LIVE)
    track.reprice(Decimal("2.30"))
    assert (track.ticket.limit, track.limit) == (Decimal("2.35"), Decimal("2.30"))


# --- fills ----------------------------------------------------------------------------------------


def test_only_executions_are_fills():
    track = order()
    track.hear_status("Filled", Decimal(10))
    assert track.filled == 0
    assert track.fills_missing
    assert not track.final


def test_a_fill_may_come_before_any_status():
    track = order()
    track.hear_execution(execution(4))
    assert (track.life, track.filled, track.remaining) == (Life.LIVE, 4, 6)
    track.hear_execution(execution(6, "00.7.2.01"))
    assert (track.life, track.filled, track.remaining) == (Life.FILLED, 10, 0)
    assert track.proven


def test_a_status_filled_waits_for_its_execution():
    track = order()
    track.hear_status("Submitted", Decimal(0))
    track.hear_status("Filled", Decimal(10))
    track.hear_execution(execution(10))
    track.hear_status("Filled", Decimal(10))
    assert (track.life, track.fills_missing) == (Life.FILLED, False)


def test_a_status_filled_without_a_number_means_all_of_it():
    track = order()
    track.hear_status("Filled", None)
    assert track.said_filled == 10


def test_a_status_that_claims_more_than_was_asked_for_is_taken_as_all_of_it():
    track = order()
    track.hear_status("Submitted", Decimal(12))
    assert track.said_filled == 10


def test_the_same_execution_told_twice_counts_once():
    track = order()
    for _ in range(3):
        track.hear_execution(execution(4))
    track.hear_execution(execution(4, commission=Decimal("2.60")))
    assert track.filled == 4


def test_a_fill_after_cancelled_counts_and_the_order_stays_over():
    track = order(life=Life.CANCELLING)
    track.hear_status("Cancelled", Decimal(0))
    track.hear_execution(execution(3))
    assert (track.life, track.filled) == (Life.SAID_ENDED, 3)


def test_a_whole_fill_after_cancelled_is_a_fill():
    track = order(life=Life.SAID_ENDED)
    track.hear_execution(execution(10))
    assert track.life is Life.FILLED


def test_a_late_fill_counts_even_after_the_end_was_proven():
    track = order(life=Life.ENDED)
    track.hear_execution(execution(4))
    assert (track.life, track.filled) == (Life.ENDED, 4)


def test_a_correction_replaces_what_it_corrects():
    track = order()
    track.hear_execution(execution(10))
    track.hear_execution(execution(8, "00.7.1.02"))
    assert track.filled == 8
    assert track.life is Life.ENDED


def test_a_correction_with_less_leaves_no_fill_missing():
    """The status told of ten, and ten were seen: that two of them were taken back is no gap."""
    track = order()
    track.hear_status("Filled", Decimal(10))
    track.hear_execution(execution(10))
    track.hear_execution(execution(8, "00.7.1.02"))
    assert not track.fills_missing
    assert track.proven


def test_a_correction_with_less_makes_up_for_no_other_fill():
    track = order()
    track.hear_execution(execution(6))
    track.hear_execution(execution(5, "00.7.1.02"))
    track.hear_status("Submitted", Decimal(8))
    assert track.fills_missing
    track.hear_execution(execution(2, "00.7.2.01"))
    assert not track.fills_missing


def test_a_correction_with_more_may_complete_the_order():
    track = order()
    track.hear_execution(execution(8))
    track.hear_execution(execution(10, "00.7.1.02"))
    assert (track.life, track.filled) == (Life.FILLED, 10)


def test_a_correction_that_comes_before_what_it_corrects_still_replaces_it():
    track = order()
    track.hear_execution(execution(8, "00.7.1.02"))
    track.hear_execution(execution(10))
    assert track.filled == 8


def test_a_correction_of_the_price_moves_the_average():
    track = order()
    track.hear_execution(execution(5, price="2.00"))
    track.hear_execution(execution(5, "00.7.2.01", price="3.00"))
    track.hear_execution(execution(5, "00.7.2.02", price="4.00"))
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
    track = order(life=Life.INTENDED)
    track.look(books(open_orders=[listed("PreSubmitted")]))
    assert (track.life, track.perm_id) == (Life.LIVE, PERM)


def test_a_look_finds_an_order_by_its_perm_id_where_the_reference_is_missing():
    track = order(perm_id=PERM)
    track.look(books(open_orders=[listed(ref="")]))
    assert track.life is Life.LIVE


def test_a_look_counts_executions_before_it_judges():
    track = order()
    track.look(books(executions=[execution(10)]))
    assert track.life is Life.FILLED
    assert track.proven


def test_an_order_whose_fills_were_all_known_is_filled_at_the_first_look():
    """A crash came between the last fill and the note that the order is over."""
    track = order(life=Life.INTENDED, executions={"00.7.1.01": execution(10)})
    track.look(books(executions=[execution(10)]))
    assert track.proven


@pytest.mark.parametrize("life", [Life.INTENDED, Life.SENT, Life.LIVE, Life.CANCELLING, Life.SAID_ENDED])
def test_a_completed_order_is_over_with_its_executions(life):
    track = order(life=life)
    track.look(books(executions=[execution(3)], completed=[listed("Cancelled", 3)]))
    assert (track.life, track.filled, track.proven) == (Life.ENDED, 3, True)


def test_a_completed_order_that_tells_of_a_fill_not_shown_proves_nothing_yet():
    track = order(life=Life.SAID_ENDED)
    track.look(books(completed=[listed("Cancelled", 3)]))
    assert not track.final
    track.look(books(5, executions=[execution(3)], completed=[listed("Cancelled", 3)]))
    assert track.proven


def test_a_completed_order_with_status_filled_waits_for_its_executions():
    track = order(life=Life.LIVE)
    track.look(books(completed=[listed("Filled", None)]))
    assert not track.final
    assert track.fills_missing


def test_a_completed_order_that_does_not_say_what_was_filled_proves_nothing_alone():
    """Its executions may have been listed before its last fill."""
    track = order(life=Life.SAID_ENDED)
    track.look(books(0, completed=[listed("Cancelled", None)]))
    assert not track.final
    track.look(books(5, completed=[listed("Cancelled", None)]))
    assert track.proven


@pytest.mark.parametrize("life", [Life.INTENDED, Life.SENT, Life.CANCELLING, Life.SAID_ENDED])
def test_absence_is_proven_by_two_looks_five_seconds_apart(life):
    """Also after the word Cancelled: a fill can cross it, and completed orders lag."""
    track = order(life=life)
    track.look(books(0.0))
    assert not track.final
    track.look(books(ABSENCE_SECONDS - 0.1))
    assert not track.final
    track.look(books(ABSENCE_SECONDS))
    assert track.proven


@pytest.mark.parametrize(
    "word",
    [
        lambda track: track.hear_status("Submitted", Decimal(0), PERM),
        lambda track: track.hear_execution(execution(3)),
        lambda track: track.look(books(open_orders=[listed()])),
    ],
    ids=["a status", "a fill", "a look"],
)
@pytest.mark.parametrize("asked", [False, True], ids=["left alone", "asked to end"])
def test_an_order_that_the_broker_had_is_not_over_because_it_is_nowhere(word, asked):
    """Books whose rows were lost look like books without it; it must be shown completed, or said to be over."""
    track = order(life=Life.SENT)
    word(track)
    if asked:
        track.hear(News.CANCEL_SENT)
    for at in (0.0, 9.0, 18.0):
        track.look(books(at))
    assert not track.final
    if track.filled:
        track.look(books(27.0, completed=[listed("Cancelled", 3)]))
    else:
        track.hear_status("Cancelled", Decimal(0))
        track.look(books(27.0))
        track.look(books(36.0))
    assert track.proven


@pytest.mark.parametrize(
    ("before", "after", "proven"),
    [(0, 0, True), (0, -10, False), (-5, -5, True), (-5, -15, False), (0, 10, True), (None, -10, True)],
)
def test_an_order_is_not_absent_while_the_position_moved_its_way(before, after, proven):
    """Nobody's execution tells why: one may be missing. What moved the other way is not its doing."""
    track = order(life=Life.SENT)
    track.overnight = None if before is None else Decimal(before)
    held = (Position("DU1", 7, "SPY", "OPT", Decimal(after)),)
    for at in (0.0, 9.0):
        track.look(BooksSeen(Books(NOON, (), (), (), held), at, 1))
    assert track.proven is proven


def test_two_looks_over_different_links_prove_no_absence():
    """What was sent while the gateway's own link was lost appears later."""
    track = order()
    track.look(books(0.0, epoch=1))
    track.look(books(9.0, epoch=2))
    assert not track.final
    track.look(books(14.0, epoch=2))
    assert track.proven


@pytest.mark.parametrize(
    "sign",
    [
        lambda track: track.hear_status("Inactive", Decimal(0)),
        lambda track: track.hear_status("Cancelled", Decimal(0)),
    ],
    ids=["a refusal", "a cancel"],
)
def test_a_word_of_its_end_between_two_looks_begins_the_proof_anew(sign):
    track = order()
    track.look(books(0.0))
    sign(track)
    track.look(books(6.0))
    assert not track.final
    track.look(books(11.0))
    assert track.proven


def test_another_word_of_its_end_begins_the_proof_anew():
    """Inactive, then Cancelled: it had come back to life in between, and a fill may cross the second end."""
    track = order()
    track.hear_status("Inactive", Decimal(0))
    track.look(books(1.0))
    track.hear_status("Cancelled", Decimal(0))
    track.look(books(6.0))
    assert not track.final
    track.look(books(11.0))
    assert track.proven


def test_the_fill_of_a_lagging_completed_order_is_never_lost():
    track = order(life=Life.CANCELLING)
    track.hear_status("Cancelled", Decimal(0))
    track.look(books(0.0))
    track.look(books(5.0, executions=[execution(2)]))
    assert not track.final, "a fill came to light, so the proof begins anew"
    track.look(books(10.0, executions=[execution(2)], completed=[listed("Cancelled", 2)]))
    assert (track.proven, track.filled) == (True, 2)


@pytest.mark.parametrize("life", [Life.SENT, Life.SAID_ENDED, Life.ENDED])
@pytest.mark.parametrize("status", ["PendingSubmit", "PreSubmitted", "Submitted"])
def test_what_is_listed_among_the_open_orders_may_still_fill(life, status):
    track = order(life=life)
    track.look(books(open_orders=[listed(status)]))
    assert track.life is Life.LIVE
    assert track.cancellable


@pytest.mark.parametrize("life", [life for life in Life if life is not Life.FILLED])
def test_an_inactive_order_is_not_over_while_it_is_listed(life):
    """It can come back to life; its price is not changed, and its end is asked for."""
    track = order(life=life)
    track.look(books(0.0, open_orders=[listed("Inactive")]))
    track.look(books(9.0, open_orders=[listed("Inactive")]))
    assert track.life in {Life.SAID_ENDED, Life.CANCELLING}
    assert track.cancellable
    track.look(books(10.0))
    assert not track.final
    track.look(books(15.0, completed=[listed("Cancelled", 0)]))
    assert track.proven


@pytest.mark.parametrize("life", [Life.INTENDED, Life.SAID_ENDED, Life.FILLED, Life.ENDED])
def test_the_end_is_not_asked_for_where_nothing_is_to_be_ended(life):
    assert not order(life=life).cancellable


def test_the_end_of_what_is_said_to_be_filled_is_not_asked_for():
    track = order(life=Life.LIVE)
    track.hear_status("Filled", Decimal(10))
    assert not track.cancellable


def test_an_order_that_is_being_cancelled_and_still_listed_is_being_cancelled():
    track = order(life=Life.CANCELLING)
    track.look(books(open_orders=[listed("PendingCancel")]))
    assert track.life is Life.CANCELLING


def test_an_inactive_order_that_comes_back_to_life_lives():
    track = order()
    track.hear_status("Inactive", Decimal(0))
    assert track.over
    track.hear_status("Submitted", Decimal(0))
    assert track.life is Life.LIVE


def test_an_order_that_was_not_over_after_all_lives_again():
    track = order(life=Life.ENDED)
    track.hear_status("Submitted", Decimal(0))
    assert not track.final


def test_a_filled_order_that_is_still_listed_stays_filled():
    track = order()
    track.look(books(executions=[execution(10)], open_orders=[listed("Submitted")]))
    assert track.life is Life.FILLED


def test_books_of_other_orders_say_nothing_of_this_one_but_that_it_is_absent():
    track = order()
    other = "spxarb:4f1c:12:SPY:x1"
    seen = books(
        executions=[execution(10, ref=other)],
        open_orders=[listed(ref=other, perm_id=1)],
        completed=[listed("Cancelled", ref="", perm_id=0)],
    )
    track.look(seen)
    assert (track.life, track.filled) == (Life.SENT, 0)


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
        lambda at, epoch, fills, live, done: ("look", books(at, epoch, fills, live, done)),
        st.floats(0, 30),
        st.integers(1, 2),
        st.lists(some_executions, max_size=2),
        st.lists(some_listings, max_size=1),
        st.lists(some_listings, max_size=1),
    ),
    st.just(("not sent",)),
)


def tell(track, news):
    match news:
        case "status", status, filled:
            track.hear_status(status, None if filled is None else Decimal(filled))
        case "code", code:
            track.hear_code(code, "words")
        case "execution", each:
            track.hear_execution(each)
        case "look", seen:
            track.look(seen)
        case _:
            track.hear(News.NOT_SENT)


@given(st.sampled_from([life for life in Life if life is not Life.FILLED]), st.lists(some_news, max_size=12))
def test_no_news_in_any_state_and_order_is_an_error_and_fills_are_the_latest_revisions(life, many):
    track = order(life=life)
    told = {}
    for news in many:
        tell(track, news)
        executions = {"execution": news[1:2], "look": news[1].books.executions if news[0] == "look" else ()}
        for each in executions.get(news[0], ()):
            told[each.exec_id] = each
        newest = {each.family: each for _, each in sorted(told.items())}
        assert track.filled == sum(each.quantity for each in newest.values())
        assert track.remaining >= 0
        if track.life is Life.FILLED:
            assert track.filled >= 10


@given(st.lists(some_news, max_size=12))
def test_news_told_twice_in_a_row_says_nothing_new(many):
    """But for looks: two of them at different moments prove more than one."""
    once, twice = order(), order()
    for news in many:
        for track in (once, twice, twice):
            tell(track, news)
    assert (once.life, once.filled, once.said_filled) == (twice.life, twice.filled, twice.said_filled)


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
        (life.value.replace(" ", "_"), cell.replace(" ", "_"), news.value)
        for (life, news), cell in POSSIBLE.items()
        if cell != "="
    }
    assert shown - {("[*]", "intended", "")} == wanted


def test_the_document_of_the_order_life_is_what_the_code_says():
    written = Path(__file__).parents[2] / "docs" / "order-life.md"
    assert written.read_text(encoding="utf-8") == order_life.order_life(), "run: python -m tools.docs.order_life"


def test_the_document_tells_of_every_news_and_every_code(tmp_path):
    order_life.write(tmp_path)
    text = (tmp_path / "docs" / "order-life.md").read_text(encoding="utf-8")
    for news in News:
        assert f"| {news.value} |" in text
    for code in CANCEL_REFUSALS | CHANGE_REFUSALS | {CANCELLATION, 104, 110, 201, 399, 404, 10349}:
        assert str(code) in text
