"""Ledger and broker compared: which fills vanished, which holdings nobody here opened, who else traded ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest

from spxarb.core.broker_books import BrokerSnapshot, Execution, Position, latest_revisions
from spxarb.core.contracts import Contract
from spxarb.core.model import NEW_YORK, LegName, Side
from spxarb.core.order_words import FillSource, Purpose
from spxarb.core.reconcile import (
    Findings,
    completed,
    describe,
    lost_fills,
    may_be_ours,
    unknown_holdings,
)
from spxarb.core.records import Fill, Trade
from spxarb.core.trades import TradeState

DAY = date(2026, 2, 10)
ENTERED = datetime(2026, 2, 10, 9, 36, tzinfo=NEW_YORK)
LATER = ENTERED + timedelta(hours=4)
SPX = Contract(
    1, "SPX", "OPT", trading_class="SPXW", expiry=DAY, strike=Decimal(6940), right="C", multiplier=100
)
SPY = Contract(
    2, "SPY", "OPT", trading_class="SPY", expiry=DAY, strike=Decimal(694), right="C", multiplier=100
)
TRADE = Trade(7, DAY, TradeState.OPEN, "DU1", SPX, SPY, 1, 10)
TAG = "4f1c"
BOUGHT, SOLD = f"spxarb:{TAG}:7:SPX:e1", f"spxarb:{TAG}:7:SPY:e1"
OURS = {BOUGHT, SOLD}


def execution(exec_id, side, quantity, *, contract=SPX, ref="", time=LATER, price="17.90"):
    """`exec_id` as IB forms it: the last dotted group counts the corrections."""
    return Execution(
        exec_id=exec_id,
        order_ref=ref,
        order_id=1,
        client_id=1,
        perm_id=900,
        con_id=contract.con_id,
        symbol=contract.symbol,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        time=time,
    )


def bought(exec_id, quantity, **more):
    return execution(exec_id, Side.BUY, quantity, **more)


def sold(exec_id, quantity, **more):
    return execution(exec_id, Side.SELL, quantity, **more)


OWN = (
    bought("0000e0d5.6554b4d5.01.01", 1, ref=BOUGHT, time=ENTERED),
    sold("0000e0d5.6554b4d6.01.01", 10, contract=SPY, ref=SOLD, time=ENTERED, price="2.30"),
)
OWN_FILLS = (
    Fill(OWN[0], 7, LegName.SPX, Purpose.ENTRY, Decimal("1.28"), commission_estimated=False),
    Fill(OWN[1], 7, LegName.SPY, Purpose.ENTRY, Decimal("10.25"), commission_estimated=False),
)


def snapshot(*others, spx=1, spy=-10, own=OWN, time=LATER):
    positions = [
        Position("DU1", contract.con_id, contract.symbol, "OPT", Decimal(held))
        for contract, held in ((SPX, spx), (SPY, spy))
        if held
    ]
    return BrokerSnapshot(time, (*own, *others), (), (), tuple(positions))


def in_every_order(*rows):
    """The same executions in every order in which the broker may list them."""
    return list(permutations(rows))


# --- corrections --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("01", "02"),
        ("09", "10"),
        ("9", "10"),
        ("99", "100"),
        ("01", "2"),
        ("0a", "0b"),
        ("09", "0a"),
        ("0f", "10"),
    ],
)
@pytest.mark.parametrize("swapped", [False, True], ids=["in order", "late first"])
def test_the_latest_correction_stands_however_its_number_is_written(earlier, later, swapped):
    """IB writes two digits; a tenth correction, one without a leading zero or in hexadecimal is later all the same."""
    rows = [sold(f"0000e0d5.6554b4d5.01.{earlier}", 2), sold(f"0000e0d5.6554b4d5.01.{later}", 1)]
    (stands,) = latest_revisions(rows[::-1] if swapped else rows)
    assert stands.quantity == 1


def test_the_same_correction_listed_twice_stands_as_it_was_listed_last():
    rows = [
        sold("0000e0d5.6554b4d5.01.01", 2, price="1.00"),
        sold("0000e0d5.6554b4d5.01.01", 2, price="1.10"),
    ]
    assert [row.price for row in latest_revisions(rows)] == [Decimal("1.10")]


def test_executions_that_differ_before_the_last_group_are_different_executions():
    rows = [sold("0000e0d5.6554b4d5.01.01", 2), sold("0000e0d5.6554b4d5.02.01", 1)]
    assert latest_revisions(rows) == rows


# --- findings -----------------------------------------------------------------------------------------


def test_findings_are_listed_with_what_needs_a_human_last():
    findings = Findings(repaired=("a",), unproven=("b",))
    assert findings.all == ("a", "b")
    assert Findings().all == ()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (bought("1.01", "1.0", ref=BOUGHT), f"bought 1 SPX at 17.90 (order {BOUGHT})"),
        (sold("1.01", 10, contract=SPY, ref=SOLD, price="2.3"), f"sold 10 SPY at 2.3 (order {SOLD})"),
    ],
)
def test_an_execution_is_described_with_its_side_quantity_price_and_order(row, words):
    assert describe(row) == words


# --- fills that vanished ------------------------------------------------------------------------------


def test_a_fill_that_the_broker_does_not_list_any_more_is_lost():
    assert lost_fills(OWN_FILLS, snapshot(own=OWN[:1]), DAY) == [OWN_FILLS[1]]


def test_fills_that_the_broker_lists_are_not_lost():
    assert lost_fills(OWN_FILLS, snapshot(), DAY) == []


def test_a_fill_that_the_broker_lists_as_a_correction_is_not_lost():
    """Even one that was busted: its correction says zero, and that is an answer."""
    corrected = bought("0000e0d5.6554b4d5.01.02", 0, ref=BOUGHT, time=ENTERED)
    assert lost_fills(OWN_FILLS, snapshot(own=(corrected, OWN[1])), DAY) == []


@pytest.mark.parametrize("source", FillSource)
def test_a_fill_of_a_statement_is_listed_under_its_id_with_one_group_more(source):
    short = [
        replace(fill, source=source, execution=replace(fill.execution, exec_id=fill.execution.exec_id[:-3]))
        for fill in OWN_FILLS
    ]
    of_statement = source is FillSource.STATEMENT
    assert lost_fills(short, snapshot(), DAY) == ([] if of_statement else short)


def test_fills_of_another_day_are_not_missed_in_a_list_of_one_day():
    yesterday = bought("0000e0d5.6554b4d5.01.01", 1, ref=BOUGHT, time=ENTERED - timedelta(days=1))
    fill = Fill(yesterday, 6, LegName.SPX, Purpose.ENTRY, Decimal(1), commission_estimated=False)
    assert lost_fills([fill], snapshot(own=()), DAY) == []


def test_a_list_of_another_day_proves_nothing():
    assert lost_fills(OWN_FILLS, snapshot(own=(), time=LATER + timedelta(days=1)), DAY) == []


@pytest.mark.parametrize(("since", "missed"), [(-1, 2), (0, 2), (1, 0)])
def test_a_fill_from_before_the_gateways_midnight_is_not_missed(since, missed):
    """Hours after both were filled, at the same moment, or before, the list begins."""
    begins = max(fill.execution.time for fill in OWN_FILLS) + timedelta(hours=since)
    if since <= 0:
        begins = min(fill.execution.time for fill in OWN_FILLS) + timedelta(hours=since)
    late = replace(snapshot(own=()), listed_since=begins)
    assert len(lost_fills(OWN_FILLS, late, DAY)) == missed


def test_fills_from_before_the_list_are_part_of_the_day_all_the_same():
    late = replace(snapshot(own=()), listed_since=LATER)
    whole = completed(late, OWN_FILLS)
    assert {row.exec_id for row in whole.executions} >= {row.exec_id for row in OWN}
    assert completed(whole, OWN_FILLS) == whole


def test_a_fill_that_the_list_should_have_is_not_made_up():
    assert completed(snapshot(own=()), OWN_FILLS) == snapshot(own=())


# --- holdings that this ledger does not know ----------------------------------------------------------


def unknown(*rows):
    return unknown_holdings(snapshot(*rows), TAG, OURS)


def test_what_orders_in_our_name_hold_unknown_to_this_ledger_is_named():
    (sentence,) = unknown(bought("1.01", 1, ref=f"spxarb:{TAG}:3:SPX:e1"))
    assert sentence == (
        "the broker shows +1 of SPX contract 1 in this ledger's name, which this ledger knows nothing of"
    )


def test_what_another_ledger_holds_is_named_as_such():
    (sentence,) = unknown(sold("1.01", 10, contract=SPY, ref="spxarb:beef:3:SPY:e1"))
    assert sentence == (
        "the broker shows -10 of SPY contract 2 in another ledger's name, which this ledger knows nothing of"
    )


def test_a_reference_that_begins_as_ours_and_cannot_be_read_is_another_ledgers():
    (sentence,) = unknown(bought("1.01", 1, ref="spxarb:broken"))
    assert "+1 of SPX contract 1 in another ledger's name" in sentence


def test_known_orders_orders_of_others_and_what_adds_up_to_nothing_are_not_named():
    assert unknown() == []
    assert unknown(sold("1.01", 5, ref="by hand"), sold("2.01", 5)) == []
    assert (
        unknown(
            bought("1.01", 1, ref=f"spxarb:{TAG}:3:SPX:e1"), sold("2.01", 1, ref=f"spxarb:{TAG}:3:SPX:x1")
        )
        == []
    )


@pytest.mark.parametrize(("by_hand", "left"), [(10, None), (7, "-3"), (12, None)])
def test_what_a_human_has_closed_of_them_is_not_named(by_hand, left):
    """The first of them, before, was his own: it closed nothing."""
    rows = [
        bought("1.01", 5, contract=SPY, ref=""),
        sold("2.01", 10, contract=SPY, ref="spxarb:beef:3:SPY:e1"),
        bought("3.01", by_hand, contract=SPY, ref=""),
    ]
    rows = [replace(row, time=row.time + timedelta(minutes=n)) for n, row in enumerate(rows)]
    found = [sentence.partition(" of ")[0] for sentence in unknown(*rows)]
    assert found == ([f"the broker shows {left}"] if left else [])


def test_holdings_of_two_contracts_and_two_ledgers_are_named_apart():
    sentences = unknown(
        bought("1.01", 1, ref=f"spxarb:{TAG}:3:SPX:e1"),
        sold("2.01", 10, contract=SPY, ref=f"spxarb:{TAG}:3:SPY:e1"),
        bought("3.01", 2, ref="spxarb:beef:3:SPX:e1"),
    )
    assert [sentence.split(", which")[0] for sentence in sentences] == [
        "the broker shows +1 of SPX contract 1 in this ledger's name",
        "the broker shows -10 of SPY contract 2 in this ledger's name",
        "the broker shows +2 of SPX contract 1 in another ledger's name",
    ]


@pytest.mark.parametrize(
    "rows",
    in_every_order(
        bought("0000e0d5.77.01.01", 3, ref=f"spxarb:{TAG}:3:SPX:e1"),
        bought("0000e0d5.77.01.02", 2, ref=f"spxarb:{TAG}:3:SPX:e1"),
        bought("0000e0d5.77.01.10", 1, ref=f"spxarb:{TAG}:3:SPX:e1"),
    ),
)
def test_the_latest_correction_counts_whatever_the_order_of_the_list(rows):
    (sentence,) = unknown(*rows)
    assert sentence.startswith("the broker shows +1 of SPX contract 1")


@pytest.mark.parametrize(
    "rows",
    in_every_order(
        bought("0000e0d5.77.01.01", 1, ref=f"spxarb:{TAG}:3:SPX:e1"),
        bought("0000e0d5.77.01.02", 0, ref=f"spxarb:{TAG}:3:SPX:e1"),
    ),
)
def test_what_was_busted_holds_nothing(rows):
    assert unknown(*rows) == []


@pytest.mark.parametrize(
    ("symbol", "right", "expiry", "quantity", "named", "shown"),
    [
        ("SPY", "C", DAY, -10, False, True),
        ("SPX", "C", DAY, 1, False, True),
        ("SPY", "C", DAY, 0, True, False),  # traded away
        ("SPY", "P", DAY, -10, False, False),
        ("QQQ", "C", DAY, -10, False, False),
        ("SPY", "C", date(2026, 3, 20), -10, False, False),
        ("SPY", "C", date(2026, 3, 20), -10, True, True),
    ],
)
def test_without_a_ledger_calls_of_the_day_and_what_our_orders_traded_may_be_ours(
    symbol, right, expiry, quantity, named, shown
):
    ref = "spxarb:4f1c:1:SPY:e1" if named else "own"
    row = Position("DU1", SPY.con_id, symbol, "OPT", Decimal(quantity), expiry=expiry, right=right)
    fills = (sold("1.01", 10, contract=SPY, ref=ref),)
    assert bool(may_be_ours(BrokerSnapshot(LATER, fills, (), (), (row,)))) is shown
