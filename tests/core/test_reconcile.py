"""Ledger and broker compared: which fills vanished, which holdings nobody here opened, who else traded ours."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.model import (
    NEW_YORK,
    BrokerSnapshot,
    Contract,
    Execution,
    LegName,
    Position,
    Side,
    latest_revisions,
)
from spxarb.core.reconcile import (
    Findings,
    closed_by_others,
    describe,
    lost_fills,
    sold_by_others,
    unknown_holdings,
)
from spxarb.core.records import Fill, Purpose, Trade
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
    findings = Findings(repaired=("a",), unproven=("b",), noticed=("c",))
    assert findings.all == ("a", "c", "b")
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


def test_fills_of_another_day_are_not_missed_in_a_list_of_one_day():
    yesterday = bought("0000e0d5.6554b4d5.01.01", 1, ref=BOUGHT, time=ENTERED - timedelta(days=1))
    fill = Fill(yesterday, 6, LegName.SPX, Purpose.ENTRY, Decimal(1), commission_estimated=False)
    assert lost_fills([fill], snapshot(own=()), DAY) == []


def test_a_list_of_another_day_proves_nothing():
    assert lost_fills(OWN_FILLS, snapshot(own=(), time=LATER + timedelta(days=1)), DAY) == []


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


# --- legs that others traded --------------------------------------------------------------------------


def closed(*others, spx=1, spy=-10, own=OWN_FILLS):
    return closed_by_others(TRADE, own, snapshot(*others, spx=spx, spy=spy), OURS)


def test_a_leg_that_others_closed_in_part_is_named_with_both_counts():
    (sentence,) = closed(bought("1.01", 4, contract=SPY), spy=-6)
    assert sentence.startswith(f"others traded {SPY} of trade 7: the account holds -6, the ledger -10;")


def test_a_leg_that_others_closed_whole_is_named():
    (sentence,) = closed(sold("1.01", 1), spx=0)
    assert sentence.startswith(f"others traded {SPX} of trade 7: the account holds +0, the ledger +1;")


def test_both_legs_closed_by_others_are_both_named():
    assert len(closed(sold("1.01", 1), bought("2.01", 10, contract=SPY), spx=0, spy=0)) == 2


def test_a_position_that_is_short_of_ours_without_any_trade_of_others_is_not_their_doing():
    assert closed(spx=0) == []


def test_others_that_traded_beside_us_took_nothing_away():
    """They opened and closed their own: the account still holds ours."""
    assert closed(sold("1.01", 2), bought("2.01", 2), spx=1) == []
    assert closed(bought("1.01", 2), spx=3) == []


def test_others_that_traded_our_way_did_not_close_ours():
    assert closed(bought("1.01", 1), spx=0) == []


def test_a_leg_that_we_do_not_hold_is_not_closed_by_anybody():
    assert closed(sold("1.01", 1), spx=0, own=OWN_FILLS[1:]) == []


@pytest.mark.parametrize("others", in_every_order(sold("1.01.01", 1), sold("1.01.02", 0)))
def test_a_busted_trade_of_others_closed_nothing(others):
    assert closed(*others, spx=0) == []


@pytest.mark.parametrize("others", in_every_order(bought("1.01.01", 1), sold("1.01.02", 1)))
def test_a_corrected_trade_of_others_counts_with_the_side_of_its_correction(others):
    assert len(closed(*others, spx=0)) == 1


# --- SPX that others sold -----------------------------------------------------------------------------


def others_sold(*others, spx, since=ENTERED):
    return sold_by_others(TRADE, snapshot(*others, spx=spx), OURS, since)


def test_others_that_sold_our_calls_hold_our_sale_up():
    assert others_sold(sold("1.01", 1), spx=0)


def test_nobody_sold_anything():
    assert not others_sold(spx=1)
    assert not others_sold(spx=0)


def test_others_that_sold_calls_of_their_own_do_not_hold_our_sale_up():
    assert not others_sold(sold("1.01", 1), spx=1)


def test_others_that_bought_back_what_they_sold_do_not_hold_our_sale_up():
    assert not others_sold(sold("1.01", 1), bought("2.01", 1), spx=0)


def test_our_own_sales_are_not_others():
    assert not others_sold(sold("1.01", 1, ref=SOLD), spx=0)


def test_sales_of_another_contract_are_none_of_ours():
    assert not others_sold(sold("1.01", 1, contract=SPY), spx=0)


def test_sales_before_our_entry_took_nothing_of_ours():
    before = ENTERED - timedelta(minutes=1)
    assert not others_sold(sold("1.01", 1, time=before), spx=0)
    assert others_sold(sold("1.01", 1, time=ENTERED), spx=0)


@pytest.mark.parametrize(
    "others", in_every_order(bought("1.01.01", 2), bought("1.01.02", 0), sold("2.01.01", 1))
)
def test_a_purchase_of_others_that_was_busted_makes_up_for_no_sale(others):
    assert others_sold(*others, spx=0)


@pytest.mark.parametrize(
    "others", in_every_order(sold("1.01.01", 2), sold("1.01.02", 1), bought("2.01.01", 1))
)
def test_a_sale_of_others_that_was_corrected_and_bought_back_is_undone(others):
    assert not others_sold(*others, spx=0)


@pytest.mark.parametrize("others", in_every_order(sold("1.01.9", 1), sold("1.01.10", 0)))
def test_a_sale_of_others_that_the_tenth_correction_busted_is_none(others):
    assert not others_sold(*others, spx=0)


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from(["01", "02", "09", "10"]), st.integers(-2, 2)),
        unique_by=lambda row: row[:2],
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_only_the_latest_corrections_decide_whether_others_sold(rows, rng):
    """Quantities signed: bought positive, sold negative, busted zero."""
    executions = [
        execution(f"e.{family}.{revision}", Side.BUY if count > 0 else Side.SELL, abs(count))
        for family, revision, count in rows
    ]
    standing = {
        family: count for family, revision, count in sorted(rows, key=lambda row: (row[0], int(row[1])))
    }
    rng.shuffle(executions)
    assert others_sold(*executions, spx=0) is (sum(standing.values()) < 0)
