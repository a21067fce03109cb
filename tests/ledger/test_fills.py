"""Executions count once, corrections replace them, reported commissions replace estimates."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import DAY, D, a_fill, a_trade, record

from spxarb.core.order_words import FillSource, Purpose
from tests.effort import examples


def test_an_execution_counts_once_however_often_it_comes(ledger):
    trade = ledger.trades.create(a_trade())
    assert record(ledger, a_fill(trade))
    assert not record(ledger, a_fill(trade))
    assert len(ledger.fills.of_trade(trade.id)) == 1


def test_a_correction_replaces_and_never_adds(ledger):
    trade = ledger.trades.create(a_trade())
    record(ledger, a_fill(trade, "0001.01.01", price=D("17.9")))
    record(ledger, a_fill(trade, "0001.02.01", price=D("17.8")))
    assert record(ledger, a_fill(trade, "0001.01.02", price=D("17.7")))
    assert [fill.execution.price for fill in ledger.fills.of_trade(trade.id)] == [D("17.8"), D("17.7")]
    assert not record(ledger, a_fill(trade, "0001.01.01", price=D("17.9")))
    assert [row["exec_id"] for row in ledger.fills.rows()] == ["0001.02.01", "0001.01.02"]
    assert len(ledger.fills.rows(DAY, DAY)) == 2
    assert ledger.fills.rows(until=DAY - timedelta(days=1)) == []
    assert ledger.fills.exec_ids() == {"0001.01.01", "0001.02.01", "0001.01.02"}


def test_a_correction_that_comes_first_still_stands(ledger):
    trade = ledger.trades.create(a_trade())
    record(ledger, a_fill(trade, "0001.01.02", price=D("17.7")))
    assert record(ledger, a_fill(trade, "0001.01.01", price=D("17.9")))
    assert [fill.execution.exec_id for fill in ledger.fills.of_trade(trade.id)] == ["0001.01.02"]


def test_a_reported_commission_replaces_an_estimate_and_never_the_other_way(ledger):
    trade = ledger.trades.create(a_trade())
    assert record(ledger, a_fill(trade, commission="1.30", estimated=True))
    assert ledger.fills.estimated() == ledger.fills.of_trade(trade.id)
    assert record(ledger, a_fill(trade, commission="1.40", estimated=True))
    assert ledger.fills.record_commission("0001.01.01", D("1.2345"))
    assert not record(ledger, a_fill(trade, commission="1.30", estimated=True))
    (fill,) = ledger.fills.of_trade(trade.id)
    assert (fill.commission, fill.commission_estimated, fill.execution.commission) == (
        D("1.2345"),
        False,
        D("1.2345"),
    )
    assert not ledger.fills.record_commission("0001.01.01", D("1.2345"))
    assert ledger.fills.record_commission("0001.01.01", D("1.25"))  # the broker thought again
    assert ledger.fills.estimated() == []
    assert not ledger.fills.record_commission("0009.01.01", D(1))


def test_an_order_number_that_was_missing_is_filled_in(ledger):
    trade = ledger.trades.create(a_trade())
    record(ledger, a_fill(trade, perm_id=0))
    assert record(ledger, a_fill(trade, perm_id=9))
    assert not record(ledger, a_fill(trade, perm_id=0))
    assert ledger.fills.of_trade(trade.id)[0].execution.perm_id == 9


@settings(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_the_order_of_the_news_the_same_fills_stand(ledger, data):
    """Each execution comes live (estimated) and from a question (reported), corrected or not, repeated or not."""
    trade = ledger.trades.create(a_trade())
    news = [
        a_fill(
            trade,
            f"{trade.id}.{family}.{revision}",
            commission=commission,
            estimated=estimated,
            price=D(price),
        )
        for family in ("01", "02")
        for revision, price in (("01", "17.9"), ("02", "17.8"), ("03", "17.7"))
        for commission, estimated in (("1.30", True), ("1.25", False))
    ]
    order = data.draw(st.permutations(news))
    repeated = data.draw(st.lists(st.sampled_from(news), max_size=5))
    for fill in [*order, *repeated]:
        record(ledger, fill)
    assert not any(record(ledger, fill) for fill in news)
    assert {
        (fill.execution.exec_id, fill.execution.price, fill.commission)
        for fill in ledger.fills.of_trade(trade.id)
    } == {(f"{trade.id}.{family}.03", D("17.7"), D("1.25")) for family in ("01", "02")}


@pytest.mark.parametrize("purpose", [Purpose.ENTRY, Purpose.BY_HAND])
@pytest.mark.parametrize("revision", ["01", "02"])
@pytest.mark.parametrize("share", ["", "2:"])
@pytest.mark.parametrize("first", ["statement", "api"])
def test_the_row_of_a_statement_that_left_out_the_last_group_is_no_second_execution(
    ledger, purpose, revision, share, first
):
    trade = ledger.trades.create(a_trade())
    short = replace(
        a_fill(trade, f"{share}0001.a.01", commission="1.31"), purpose=purpose, source=FillSource.STATEMENT
    )
    whole = replace(a_fill(trade, f"{share}0001.a.01.{revision}", estimated=True), purpose=purpose)
    rows = [short, whole] if first == "statement" else [whole, short]
    for fill in (*rows, *rows):
        record(ledger, fill)
    assert [fill.execution.exec_id for fill in ledger.fills.of_trade(trade.id)] == [whole.execution.exec_id]
    assert ledger.fills.reported_fee(whole.execution.family) == D("1.31")


def test_an_execution_that_the_api_named_in_fewer_groups_is_one_of_its_own(ledger):
    trade = ledger.trades.create(a_trade())
    for exec_id in ("0001.a.01", "0001.a.01.01"):
        record(ledger, a_fill(trade, exec_id))
    assert len(ledger.fills.of_trade(trade.id)) == 2
