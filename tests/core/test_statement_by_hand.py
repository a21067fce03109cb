"""What a human traded of trades that he took, compared with the statement: one execution, whatever shares it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from spxarb.core.broker_books import Execution
from spxarb.core.by_hand import brokers_id
from spxarb.core.identity import OrderIndex
from spxarb.core.model import LegName, Side
from spxarb.core.order_words import FillSource, Purpose
from spxarb.core.records import AtHandOver, Fill, OrderRecord, Trade
from spxarb.core.statement import option_name
from spxarb.core.statement_check import compare_statement
from spxarb.core.statement_findings import Claim, StatementComparison, TradeBook
from tests.core.test_statement_check import (
    AT,
    COVER,
    DAY,
    ENTRY,
    FOLLOWING,
    ORDERS,
    SPX,
    SPY,
    TAG,
    TRADE,
    book,
    booking,
    statement,
    texts,
)

if TYPE_CHECKING:
    from spxarb.core.statement import Booking, Statement

D = Decimal
TAKEN = replace(TRADE, handed_over_at=AT + timedelta(hours=2))
NOON = AT + timedelta(hours=3)
OVER = tuple(replace(record, status="Filled", final=True) for record in ORDERS)


def by_hand(
    leg: LegName, exec_id: str, quantity: int, price: str, paid: str, *, trade: Trade = TAKEN
) -> Fill:
    side = Side.BUY if leg is LegName.SPY else Side.SELL
    execution = Execution(
        exec_id, "", 0, 0, 77, trade.contract(leg).con_id, str(leg), side, D(quantity), D(price), NOON, "DU1",
        commission=D(paid),
    )  # fmt: skip
    return Fill(execution, trade.id, leg, Purpose.BY_HAND, D(paid), commission_estimated=False)


BOUGHT_BACK = by_hand(LegName.SPY, "0002.a.01.01", 10, "6.88", "10.08")
SOLD = by_hand(LegName.SPX, "0002.b.01.01", 1, "68.60", "1.64")
HIS = (BOUGHT_BACK, SOLD)


def compare(told: Statement, *books: TradeBook) -> StatementComparison:
    return compare_statement(told, books, OrderIndex(OVER), TAG, FOLLOWING)


def taken(*fills: Fill, trade: Trade = TAKEN, orders: tuple[OrderRecord, ...] = OVER) -> TradeBook:
    return replace(book(*fills, trade=trade), orders=orders if trade.id == TRADE.id else ())


def day(*more: Booking) -> Statement:
    return statement(*map(booking, ENTRY), *more)


@pytest.mark.parametrize("known", ["{}", "{}.01"], ids=["as the API's", "without the last group"])
@pytest.mark.parametrize("change", [{}, {"perm_id": 0}, {"order_ref": "manual"}, {"con_id": 0}])
def test_what_a_human_traded_and_the_ledger_has_agrees(known, change):
    rows = [replace(booking(row, **change), option=name(row)) for row in HIS]
    if known == "{}.01":
        rows = [
            replace(row, execution=replace(row.execution, exec_id=row.execution.exec_id[:-3])) for row in rows
        ]
    found = compare(day(*rows), taken(*ENTRY, *HIS))
    assert (texts(found), found.fills, found.commissions) == ([], [], {})
    assert (found.agreed[Claim.EXECUTION], found.agreed[Claim.COMMISSION]) == (5, 5)


def name(row: Fill) -> str:
    return option_name(SPY if row.leg is LegName.SPY else SPX)


def two_trades() -> tuple[TradeBook, TradeBook, Fill]:
    """He bought 15 of the 20 SPY calls in one execution: 10 count to the first trade, 5 to the second."""
    second = replace(TAKEN, id=8, handed_over_at=TAKEN.handed_over_at + timedelta(minutes=1))
    entry = [
        replace(
            fill,
            trade_id=8,
            execution=replace(fill.execution, exec_id=f"8{fill.execution.exec_id}", order_ref=""),
        )
        for fill in ENTRY
    ]
    whole = by_hand(LegName.SPY, "0002.a.01.01", 15, "6.88", "15.12")
    shares = [
        replace(whole, execution=replace(whole.execution, quantity=D(10)), commission=D("10.08")),
        replace(
            whole,
            trade_id=8,
            execution=replace(whole.execution, quantity=D(5), exec_id="8:0002.a.01.01"),
            commission=D("5.04"),
        ),
    ]
    return taken(*ENTRY, shares[0]), taken(*entry, shares[1], trade=second), whole


def of_his(found: StatementComparison) -> list[str]:
    """Differences about what he traded; the second trade's own executions are not told here."""
    return [text for text in texts(found) if "0002.a" in text or "6.88" in text]


def test_an_execution_that_two_trades_share_is_compared_as_the_one_that_it_is():
    first, second, whole = two_trades()
    found = compare(day(booking(whole)), first, second)
    assert (of_his(found), found.fills, found.commissions) == ([], [], {})
    dearer = compare(day(booking(whole, commission=D("30.24"))), first, second)
    assert dearer.commissions == {"0002.a.01.01": D("20.16"), "8:0002.a.01.01": D("10.08")}
    assert len(of_his(dearer)) == 1


def test_an_execution_that_two_trades_share_is_supplied_in_the_same_shares():
    first, second, whole = two_trades()
    books = [
        replace(one, fills=[fill for fill in one.fills if fill.purpose is not Purpose.BY_HAND])
        for one in (second, first)
    ]
    found = compare(day(booking(whole)), *books)
    told = {
        (fill.trade_id, fill.execution.exec_id, fill.execution.quantity, fill.commission)
        for fill in found.fills
    }
    assert told == {(7, "0002.a.01.01", 10, D("10.08")), (8, "8:0002.a.01.01", 5, D("5.04"))}


@pytest.mark.parametrize("change", [{"price": D("6.90")}, {"side": Side.SELL}])
def test_the_same_execution_with_another_price_or_side_needs_a_human(change):
    found = compare(day(booking(BOUGHT_BACK, **change), booking(SOLD)), taken(*ENTRY, *HIS))
    assert [(row.needs_human, row.can_be_supplied) for row in found.differences] == [(True, False)]
    assert found.fills == []


def test_a_later_revision_and_a_bust_are_supplied():
    revised = compare(
        day(booking(BOUGHT_BACK, exec_id="0002.a.01.02", price=D("6.90")), booking(SOLD)), taken(*ENTRY, *HIS)
    )
    assert [(row.execution.exec_id, row.execution.price) for row in revised.fills] == [
        ("0002.a.01.02", D("6.90"))
    ]
    cancel = replace(
        booking(BOUGHT_BACK, exec_id="", commission=D("-10.08")), cancels="a2", transaction_id="9"
    )
    first = replace(booking(BOUGHT_BACK), trade_id="a2")
    busted = compare(day(first, cancel, booking(SOLD)), taken(*ENTRY, *HIS))
    assert [(row.execution.exec_id, row.execution.quantity) for row in busted.fills] == [("0002.a.01.02", 0)]


def test_an_execution_by_hand_that_the_statement_does_not_have_needs_a_human():
    found = compare(day(booking(SOLD)), taken(*ENTRY, *HIS))
    (difference,) = found.differences
    assert (difference.needs_human, difference.can_be_supplied) == (True, False)
    assert "0002.a.01.01" in difference.text


def test_what_a_human_traded_unseen_is_supplied_as_far_as_the_trade_held():
    more = by_hand(LegName.SPY, "0002.c.01.01", 3, "6.88", "3.00")
    later = replace(more, execution=replace(more.execution, time=NOON + timedelta(minutes=1)))
    told = day(*map(booking, HIS), booking(later, order_ref="mine"))
    found = compare(told, taken(*ENTRY))
    assert [(row.needs_human, row.can_be_supplied) for row in found.differences] == [(True, True)] * 2
    supplied = {brokers_id(row.execution.exec_id): row for row in found.fills}
    assert supplied == {
        row.execution.exec_id: replace(row, source=FillSource.STATEMENT, execution=row.execution)
        for row in HIS
    }
    again = compare(told, taken(*ENTRY, *found.fills))
    assert (again.differences, again.fills) == ([], [])


@pytest.mark.parametrize(
    "trade",
    [
        TRADE,
        replace(TAKEN, handed_over_at=NOON + timedelta(minutes=1)),
        replace(TAKEN, at_hand_over=AtHandOver(seen=frozenset({"0002.a.01", "0002.b.01"}))),
    ],
    ids=["never handed over", "before the hand-over", "seen at the hand-over"],
)
@pytest.mark.parametrize("cut", [None, -3], ids=["whole ids", "without the last group"])
def test_other_executions_of_others_are_no_difference(trade, cut):
    rows = [booking(row, exec_id=row.execution.exec_id[:cut]) for row in HIS]
    found = compare(day(*rows), taken(*ENTRY, trade=trade))
    assert (texts(found), found.fills) == ([], [])


def test_one_that_names_no_order_and_may_be_the_fail_safes_is_named_and_not_supplied():
    lost = tuple(replace(row, perm_id=0, final=False) if row.ref == COVER.ref else row for row in OVER)
    stray = booking(BOUGHT_BACK)
    found = compare_statement(day(stray), [taken(*ENTRY, orders=lost)], OrderIndex(lost), TAG, FOLLOWING)
    assert [(row.needs_human, row.can_be_supplied) for row in found.differences] == [(True, False)]
    assert found.fills == []


def test_without_its_commission_it_is_named_and_not_supplied():
    found = compare(day(booking(SOLD, commission=None)), taken(*ENTRY))
    assert ([row.can_be_supplied for row in found.differences], found.fills) == ([False], [])


def test_the_days_before_are_left_alone():
    other = statement(since=DAY + timedelta(1), until=DAY + timedelta(1))
    assert texts(compare(other, taken(*ENTRY, *HIS))) == []
