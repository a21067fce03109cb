"""Ledger against account: who holds what, who took it, and how much of a leg may still be traded."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.account import (
    Break,
    OwnLeg,
    OwnTrade,
    after_the_close,
    compare,
    left_over,
    not_flat,
    still_there,
    untold_fills,
)
from spxarb.core.broker_books import BrokerOrder, BrokerSnapshot, Execution, OrderTicket, Position
from spxarb.core.contracts import Contract
from spxarb.core.identity import OrderIndex
from spxarb.core.model import NEW_YORK, LegName, Side
from spxarb.core.order_words import Purpose
from spxarb.core.records import OrderRecord

DAY = date(2026, 2, 10)
ENTERED = datetime(2026, 2, 10, 9, 36, tzinfo=NEW_YORK)
LATER = ENTERED + timedelta(hours=4)
SPX = Contract(
    1, "SPX", "OPT", trading_class="SPXW", expiry=DAY, strike=Decimal(6940), right="C", multiplier=100
)
SPY = Contract(
    2, "SPY", "OPT", trading_class="SPY", expiry=DAY, strike=Decimal(694), right="C", multiplier=100
)
ZERO = Decimal(0)


def order(number, leg, side, quantity, purpose=Purpose.ENTRY, trade=1):
    contract = SPX if leg is LegName.SPX else SPY
    ref = f"spxarb:4f1c:{trade}:{leg}:{purpose}{number}"
    ticket = OrderTicket(ref, contract, side, quantity, Decimal(1))
    return OrderRecord(ticket, trade, leg, purpose, number, 1, trade * 100 + number, ENTERED)


BOUGHT, SOLD = order(1, LegName.SPX, Side.BUY, 1), order(2, LegName.SPY, Side.SELL, 10)
ORDERS = OrderIndex([BOUGHT, SOLD])


def fill(contract, side, quantity, ref="", time=LATER, exec_id=None, **more):
    found = {"order_id": -1, "client_id": 0, "perm_id": 77} | more
    name = exec_id or f"{contract.con_id}{side}{quantity}{ref}{time:%H%M}.1.01.01"
    return Execution(
        exec_id=name,
        order_ref=ref,
        con_id=contract.con_id,
        symbol=contract.symbol,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(2),
        time=time,
        **found,
    )


OURS = (
    fill(SPX, Side.BUY, 1, BOUGHT.ref, ENTERED, order_id=101, client_id=1),
    fill(SPY, Side.SELL, 10, SOLD.ref, ENTERED, order_id=102, client_id=1),
)


def seen(spx=1, spy=-10, others=(), ours=OURS, opened=(), completed=()):
    positions = [
        Position("DU1", contract.con_id, contract.symbol, "OPT", Decimal(held))
        for contract, held in ((SPX, spx), (SPY, spy))
        if held
    ]
    return BrokerSnapshot(LATER, (*ours, *others), tuple(opened), tuple(completed), tuple(positions))


def leg(name, held, overnight=0, trade=1):
    contract = SPX if name is LegName.SPX else SPY
    return OwnLeg(trade, name, contract, held, None if overnight is None else Decimal(overnight))


def trade(spx=1, spy=-10, number=1, whole=True, spx_before=0, spy_before=0):
    return OwnTrade(
        leg(LegName.SPX, spx, spx_before, number),
        leg(LegName.SPY, spy, spy_before, number),
        1,
        10,
        whole,
    )


def kinds(found):
    return [(finding.kind, finding.leg, finding.quantity) for finding in found.findings]


def there(found, number=1, spx=1, spy=-10):
    """Contracts that may still be traded: what the trade holds less what is gone, unsigned."""
    return spx - found.gone(number, LegName.SPX), -(spy - found.gone(number, LegName.SPY))


def test_an_account_that_holds_what_the_ledger_says_is_no_finding():
    found = compare([trade()], seen(), ORDERS)
    assert (kinds(found), there(found)) == ([], (1, 10))


def test_a_liquidation_of_spx_is_named_and_leaves_spy_naked():
    """IB's own executions: order id -1, client id 0, no reference, the liquidation flag."""
    sold = fill(SPX, Side.SELL, 1, liquidation=True)
    found = compare([trade()], seen(spx=0, others=[sold]), ORDERS)
    assert kinds(found) == [(Break.LIQUIDATED, LegName.SPX, 1), (Break.NAKED, LegName.SPY, 10)]
    assert there(found) == (0, 10)
    assert found.findings[0].text.startswith("IB liquidated 1 long SPX call of trade 1")


def test_a_liquidation_in_parts_adds_up():
    parts = [fill(SPY, Side.BUY, n, time=LATER + timedelta(minutes=n), liquidation=True) for n in (3, 4)]
    found = compare([trade()], seen(spy=-3, others=parts), ORDERS)
    assert (kinds(found), there(found)) == ([(Break.LIQUIDATED, LegName.SPY, 7)], (1, 3))


def test_spy_bought_back_by_others_leaves_spx_alone_and_nothing_to_buy():
    bought = fill(SPY, Side.BUY, 10)
    found = compare([trade()], seen(spy=0, others=[bought]), ORDERS)
    assert kinds(found) == [(Break.TAKEN, LegName.SPY, 10), (Break.ALONE, LegName.SPX, 1)]
    assert there(found) == (1, 0)


def test_a_flat_account_without_an_execution_is_missing_and_may_be_late():
    found = compare([trade()], seen(spx=0, spy=0), ORDERS)
    assert kinds(found) == [(Break.MISSING, LegName.SPX, 1), (Break.MISSING, LegName.SPY, 10)]
    assert there(found) == (0, 0)
    assert found.may_lag


def test_a_correction_of_a_foreign_execution_replaces_it():
    first = fill(SPY, Side.BUY, 10, exec_id="f.1.01.01")
    busted = replace(first, exec_id="f.1.01.02", quantity=ZERO)
    found = compare([trade()], seen(others=[busted, first]), ORDERS)
    assert (kinds(found), there(found)) == ([], (1, 10))


def test_a_position_that_came_without_an_execution_is_unexplained():
    """A sale that was refused (201), and the account is short all the same."""
    found = compare([trade(spx=1, spy=0, whole=False)], seen(ours=OURS[:1]), ORDERS)
    assert kinds(found) == [(Break.UNEXPLAINED, LegName.SPY, 10)]
    assert there(found, spy=0) == (1, 0)


def test_the_owners_contracts_of_the_same_strike_stay_his():
    before = compare([trade(spx_before=3, spy_before=-5)], seen(spx=4, spy=-15), ORDERS)
    assert (kinds(before), there(before)) == ([], (1, 10))
    fewer = compare(
        [trade(spx_before=3, spy_before=-5)],
        seen(spx=3, spy=-15, others=[fill(SPX, Side.SELL, 1)]),
        ORDERS,
    )
    assert there(fewer) == (0, 10)


def test_what_the_owner_adds_after_us_is_his():
    more = [fill(SPX, Side.BUY, 2), fill(SPY, Side.SELL, 4)]
    found = compare([trade()], seen(spx=3, spy=-14, others=more), ORDERS)
    assert (kinds(found), there(found)) == ([], (1, 10))


def test_two_trades_of_one_contract_are_compared_together_and_the_older_keeps_what_is_there():
    spx = order(1, LegName.SPX, Side.BUY, 1, trade=2), order(2, LegName.SPY, Side.SELL, 10, trade=2)
    second = (
        fill(SPX, Side.BUY, 1, spx[0].ref, order_id=201, client_id=1),
        fill(SPY, Side.SELL, 10, spx[1].ref, order_id=202, client_id=1),
    )
    orders = OrderIndex([BOUGHT, SOLD, *spx])
    taken = fill(SPY, Side.BUY, 4, time=LATER + timedelta(minutes=1))
    found = compare(
        [trade(), trade(number=2)], seen(spx=2, spy=-16, ours=(*OURS, *second), others=[taken]), orders
    )
    assert kinds(found) == [(Break.TAKEN, LegName.SPY, 4)]
    assert [finding.trade_id for finding in found.findings] == [2]
    assert (there(found), there(found, 2)) == ((1, 10), (1, 6))


def test_executions_of_others_before_our_first_order_took_nothing_of_ours():
    early = fill(SPY, Side.BUY, 10, time=ENTERED - timedelta(minutes=5))
    found = compare([trade()], seen(spy=0, others=[early]), ORDERS)
    assert (kinds(found), there(found)) == ([], (1, 10))


def test_a_short_leg_beyond_its_hedge_by_the_ledger_alone_is_naked():
    found = compare([trade(spx=0)], seen(spx=0, ours=OURS[1:]), ORDERS)
    assert kinds(found) == [(Break.NAKED, LegName.SPY, 10)]


def test_a_trade_that_is_being_left_or_waits_for_its_settlement_has_no_leg_alone():
    done = (OURS[0], OURS[1], fill(SPY, Side.BUY, 10, "", order_id=9))
    found = compare([trade(spy=0, whole=False)], seen(spy=0, ours=done), ORDERS)
    assert Break.ALONE not in {finding.kind for finding in found.findings}


def test_an_unknown_beginning_counts_as_nothing_held_before():
    found = compare([trade(spx_before=None, spy_before=None)], seen(spx=0), ORDERS)
    assert (Break.MISSING, LegName.SPX, 1) in kinds(found)
    assert there(found) == (0, 10)


@pytest.mark.parametrize(("filled", "known", "count"), [(10, 4, 1), (10, 10, 0), (0, 10, 0), (None, 0, 0)])
def test_an_order_that_filled_more_than_its_executions_is_untold(filled, known, count):
    row = BrokerOrder(
        SOLD.ref,
        0,
        1,
        0,
        2,
        "SPY",
        Side.SELL,
        Decimal(10),
        None,
        "Filled",
        None if filled is None else Decimal(filled),
    )
    found = untold_fills([BOUGHT, SOLD], {SOLD.ref: Decimal(known)}, seen(completed=[row]), ORDERS)
    assert [(finding.kind, finding.quantity) for finding in found] == [
        (Break.UNTOLD, filled - known if count else 0)
    ] * count


quantities = st.integers(-25, 25)


@given(
    spx=quantities,
    spy=quantities,
    held_spx=st.integers(0, 2),
    held_spy=st.integers(-20, 0),
    before=quantities,
)
def test_no_leg_may_be_traded_beyond_what_is_ours_and_still_there(spx, spy, held_spx, held_spy, before):
    """Whatever the account shows: between nothing and what the ledger holds, in its own direction only."""
    found = compare([trade(held_spx, held_spy, spy_before=before)], seen(spx, spy), ORDERS)
    long, short = there(found, spx=held_spx, spy=held_spy)
    assert 0 <= long <= min(held_spx, max(spx, 0))
    assert 0 <= short <= min(-held_spy, max(before - spy, 0))


@given(taken=st.integers(0, 10), bought=st.integers(0, 10))
def test_what_executions_explain_and_what_they_do_not_add_up_to_what_is_gone(taken, bought):
    others = [fill(SPY, Side.BUY, bought)] if bought else []
    found = compare([trade()], seen(spy=-10 + taken, others=others), ORDERS)
    lost = [
        f.quantity for f in found.findings if f.kind in {Break.TAKEN, Break.MISSING} and f.leg is LegName.SPY
    ]
    assert sum(lost) == taken
    assert there(found)[1] == 10 - taken


CORRECTED = (
    pytest.param(
        [("a.01", Side.BUY, 2), ("a.02", Side.BUY, 0), ("b.01", Side.SELL, 1)], 1, id="busted, then sold"
    ),
    pytest.param(
        [("a.01", Side.SELL, 1), ("a.02", Side.SELL, 2), ("b.01", Side.BUY, 2)], 0, id="bought back"
    ),
    pytest.param([("a.01", Side.SELL, 1), ("a.02", Side.SELL, 0)], 0, id="a sale that was busted"),
    pytest.param([("a.9", Side.SELL, 1), ("a.10", Side.SELL, 0)], 0, id="the tenth correction"),
    pytest.param([("a.9", Side.SELL, 0), ("a.10", Side.SELL, 1)], 1, id="the tenth correction sells"),
)


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
@pytest.mark.parametrize(("rows", "taken"), CORRECTED)
def test_corrections_of_others_executions_replace_and_never_add(rows, taken, backwards):
    """Whatever the order in which they are listed: only the latest correction says who took what."""
    listed = [fill(SPX, side, quantity, exec_id=name) for name, side, quantity in rows]
    found = compare([trade()], seen(spx=1 - taken, others=listed[::-1] if backwards else listed), ORDERS)
    assert [f.quantity for f in found.findings if f.kind is Break.TAKEN] == [1] * taken
    assert there(found) == (1 - taken, 10)


# --- more closed than was held ------------------------------------------------------------------------

BACK = fill(SPY, Side.BUY, 20, "spxarb:4f1c:1:SPY:f1")


@pytest.mark.parametrize(("position", "gone"), [(10, 0), (4, 6), (0, 10), (-3, 10)])
def test_calls_bought_back_twice_are_sold_again_only_as_far_as_the_account_has_them(position, gone):
    """Else an order that should close calls that are not there would sell naked ones."""
    found = compare([trade(spx=0, spy=10, whole=False)], seen(0, position, ours=(*OURS, BACK)), ORDERS)
    assert found.gone(1, LegName.SPY) == gone
    assert any(finding.kind is Break.MISSING for finding in found.findings) is bool(gone)


def test_calls_that_one_trade_bought_back_twice_do_not_look_like_those_of_another_taken_away():
    both = [trade(spx=0, spy=10, whole=False), trade(number=2)]
    found = compare(both, seen(1, 0, ours=(*OURS, BACK)), ORDERS)
    assert (found.gone(1, LegName.SPY), found.gone(2, LegName.SPY)) == (0, 0)


@pytest.mark.parametrize(
    ("held", "account", "shown"),
    [
        (10, 10, ["10 long SPY calls"]),  # the sale was taken back, the buy-back stands
        (10, 15, ["10 long SPY calls"]),  # the owner holds five more
        (10, 4, ["4 long SPY calls"]),
        (10, 0, []),
        (0, 10, []),
        (-10, -10, ["10 short SPY calls"]),
    ],
)
def test_what_was_closed_beyond_the_leg_is_there_too(held, account, shown):
    found = still_there([trade(0, held)], seen(0, account), ORDERS)
    assert [words.partition(" (")[0] for words in found] == shown


@pytest.mark.parametrize(
    ("held", "before", "account", "bought_by_others", "told"),
    [
        (0, 0, 10, 0, ["10 long SPY calls"]),
        (0, 0, -10, 0, ["10 short SPY calls"]),
        (0, -3, -3, 0, []),  # the owner's own
        (0, 0, 5, 5, []),
        (0, 0, 0, 0, []),
        (-10, 0, -10, 0, []),  # the trade waits for them itself
    ],
)
def test_after_the_close_calls_that_no_execution_leaves_are_told(
    held, before, account, bought_by_others, told
):
    others = [fill(SPY, Side.BUY, bought_by_others)] if bought_by_others else []
    found = left_over([trade(0, held, spy_before=before)], seen(0, account, others), ORDERS)
    assert [f.text.removeprefix("the account shows ").partition(" after")[0] for f in found.findings] == told


BOUGHT_BACK = order(1, LegName.SPY, Side.BUY, 10, Purpose.FAILSAFE)
AFTER_US = timedelta(seconds=30)


@pytest.mark.parametrize(
    ("quantity", "apart", "told"),
    [(10, -AFTER_US, 10), (3, -AFTER_US, 3), (10, AFTER_US, 10), (10, timedelta(minutes=2), 0)],
    ids=["all, before ours", "three of ten", "just after ours", "minutes later: his own"],
)
def test_calls_that_we_and_others_both_bought_back_are_told_and_are_not_flat(quantity, apart, told):
    ours = fill(SPY, Side.BUY, 10, BOUGHT_BACK.ref, LATER, order_id=103, client_id=1)
    his = fill(SPY, Side.BUY, quantity, time=LATER + apart, exec_id="9.1.01.01")
    account, index = seen(0, quantity, [his], (*OURS, ours)), OrderIndex([BOUGHT, SOLD, BOUGHT_BACK])
    closed = [trade(0, 0, whole=False)]
    expected = [(Break.TAKEN, LegName.SPY, told)] if told else []
    assert kinds(compare(closed, account, index)) == expected
    assert kinds(after_the_close([trade(1, 0, whole=False)], account, index)) == expected
    shown = not_flat(closed, account, index)
    assert [text.partition(" (")[0] for text in shown] == ([f"{told} long SPY calls"] if told else [])


@pytest.mark.parametrize(
    ("account", "bought_by_others", "left"), [(3, 0, 3), (3, 2, 1), (3, 3, 0), (3, 5, 0), (0, 0, 0)]
)
def test_calls_on_the_other_side_that_nobody_bought_are_not_flat(account, bought_by_others, left):
    """We bought ten back, and three of them were gone before without a word: three are held long."""
    ours = fill(SPY, Side.BUY, 10, BOUGHT_BACK.ref, LATER, order_id=103, client_id=1)
    his = [fill(SPY, Side.BUY, bought_by_others, time=LATER + timedelta(minutes=5), exec_id="9.1.01.01")]
    index = OrderIndex([BOUGHT, SOLD, BOUGHT_BACK])
    book = seen(0, account, his if bought_by_others else [], (*OURS, ours))
    shown = not_flat([trade(0, 0, whole=False)], book, index)
    assert [text.partition(" (")[0] for text in shown] == (
        [f"{left} long SPY calls"] if left > 1 else ["1 long SPY call"] if left else []
    )
