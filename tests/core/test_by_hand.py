"""What a human traded of a trade that he took: at most what it held, in the order in which it came."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.broker_books import Execution
from spxarb.core.by_hand import TakenLeg, counted, not_counted
from spxarb.core.model import NEW_YORK, LegName, Side
from spxarb.core.order_words import Purpose
from spxarb.core.records import Fill

NOON = datetime(2026, 2, 10, 12, 0, tzinfo=NEW_YORK)
SHORT = TakenLeg(1, LegName.SPY, 7, -10, NOON)
LONG = TakenLeg(1, LegName.SPX, 8, 1, NOON)


def execution(number, quantity, side=Side.BUY, *, con_id=7, minutes=None, revision=1, ref=""):
    return Execution(
        exec_id=f"0000e0d5.{number}.01.{revision:02d}",
        order_ref=ref,
        order_id=0,
        client_id=0,
        perm_id=900 + number,
        con_id=con_id,
        symbol="SPY",
        side=side,
        quantity=Decimal(quantity),
        price=Decimal("1.20"),
        time=NOON + timedelta(minutes=number if minutes is None else minutes),
    )


def parts(legs, rows):
    return [(one.leg.trade_id, one.exec_id, int(one.quantity)) for one in counted(legs, rows)]


def fills(legs, rows):
    return [
        Fill(
            replace(one.execution, exec_id=one.exec_id, quantity=one.quantity),
            one.leg.trade_id,
            one.leg.leg,
            Purpose.BY_HAND,
            Decimal(0),
            commission_estimated=False,
        )
        for one in counted(legs, rows)
    ]


def test_each_part_that_he_closes_counts_and_what_goes_beyond_is_his_own():
    rows = [execution(1, 4), execution(2, 9), execution(3, 5)]
    assert parts([SHORT], rows) == [(1, "0000e0d5.1.01.01", 4), (1, "0000e0d5.2.01.01", 6)]


def test_what_he_sells_back_opens_the_trade_again_as_far_as_he_had_closed_it():
    rows = [execution(1, 4), execution(2, 7, Side.SELL), execution(3, 10)]
    assert [quantity for *_, quantity in parts([SHORT], rows)] == [4, 4, 10]


def test_what_he_adds_to_a_whole_trade_is_his_own():
    assert parts([SHORT], [execution(1, 10, Side.SELL)]) == []


def test_a_long_leg_is_closed_by_sales():
    rows = [execution(1, 1, con_id=8), execution(2, 2, Side.SELL, con_id=8)]
    assert parts([LONG], rows) == [(1, "0000e0d5.2.01.01", 1)]


def test_what_others_did_before_the_hand_over_and_orders_in_spxarbs_name_are_not_his():
    seen = replace(SHORT, seen=frozenset({"0000e0d5.1.01"}))
    rows = [execution(1, 4), execution(2, 3, ref="spxarb:beef:1:SPY:x1"), execution(3, 2)]
    rows += [execution(4, 5, minutes=-1)]  # older than the hand-over, and told only after it
    assert parts([seen], rows) == [(1, "0000e0d5.3.01.01", 2)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_of_the_list_does_not_matter_the_time_does(order):
    rows = [execution(1, 4), execution(2, 9), execution(3, 5)]
    assert parts([SHORT], [rows[number] for number in order]) == parts([SHORT], rows)


def test_an_execution_that_was_undone_counts_no_more_and_says_so():
    known = replace(SHORT, counted=frozenset({"0000e0d5.1.01"}))
    rows = [execution(1, 4), execution(1, 0, revision=2)]
    assert parts([known], rows) == [(1, "0000e0d5.1.01.02", 0)]


def test_one_purchase_closes_two_trades_in_the_order_of_their_hand_over():
    """Each has its share under an id of its own, which stays the same when more comes to be known."""
    legs = [replace(SHORT, trade_id=2), SHORT]
    assert parts(legs, [execution(5, 15)]) == [(2, "0000e0d5.5.01.01", 10), (1, "1:0000e0d5.5.01.01", 5)]
    both = [replace(leg, counted=frozenset({"0000e0d5.5.01"})) for leg in legs]
    assert parts(both, [execution(5, 15), execution(1, 10)]) == [
        (2, "0000e0d5.1.01.01", 10),
        (2, "0000e0d5.5.01.01", 0),
        (1, "1:0000e0d5.5.01.01", 10),
    ]


def test_shares_that_the_list_no_longer_reaches_count_as_the_one_execution_that_they_were():
    legs = [SHORT, replace(SHORT, trade_id=2)]
    rows = [execution(1, 15)]
    again = [fill.execution for fill in fills(legs, rows)]
    assert len(again) == 2
    assert parts(legs, again) == parts(legs, rows)


rows_of_a_day = st.lists(
    st.tuples(st.integers(0, 15), st.sampled_from(Side), st.integers(0, 5)), max_size=8
).map(lambda found: [execution(n, q, side, minutes=m) for n, (q, side, m) in enumerate(found, 1)])


@given(rows=rows_of_a_day)
def test_a_trade_never_holds_more_than_when_it_was_taken_nor_the_other_way_round(rows):
    held = SHORT.held
    for one in counted([SHORT], rows):
        held += int(one.quantity) * one.execution.side.sign
        assert SHORT.held <= held <= 0


@given(rows=rows_of_a_day)
def test_every_contract_counts_once_to_a_trade_or_to_nobody(rows):
    legs = [SHORT, replace(SHORT, trade_id=2, held=-4)]
    left = {row.exec_id: row.quantity for row in not_counted(rows, fills(legs, rows))}
    for row in rows:
        own = [one.quantity for one in counted(legs, rows) if one.execution.exec_id == row.exec_id]
        assert sum(own) + left.get(row.exec_id, 0) == row.quantity
