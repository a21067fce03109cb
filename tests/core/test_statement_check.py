"""Ledger and statement compared to the cent: what agrees, what is lacking, what contradicts, what stays unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.broker_books import Execution, OrderTicket
from spxarb.core.contracts import Contract
from spxarb.core.identity import OrderIndex
from spxarb.core.model import NEW_YORK, LegName, Side
from spxarb.core.order_words import FillSource, Purpose
from spxarb.core.records import Fill, OrderRecord, Settlement, Trade
from spxarb.core.sessions import next_trading_day
from spxarb.core.statement import (
    Booking,
    CashLine,
    Fate,
    OptionEvent,
    Statement,
    StatementKind,
    UnreadRow,
    merged,
    option_name,
)
from spxarb.core.statement_check import UNREAD, compare_statement
from spxarb.core.statement_findings import Claim, TradeBook
from spxarb.core.trades import TradeState

D = Decimal
DAY = date(2026, 2, 13)
PRESIDENTS_DAY = date(2026, 2, 16)
FOLLOWING = partial(next_trading_day, closed=())
AT = datetime(2026, 2, 13, 9, 41, 5, tzinfo=NEW_YORK)
SPX = Contract(11, "SPX", "OPT", trading_class="SPXW", expiry=DAY, strike=D(6945), right="C", multiplier=100)
SPY = Contract(12, "SPY", "OPT", trading_class="SPY", expiry=DAY, strike=D(694), right="C", multiplier=100)
TRADE = Trade(7, DAY, TradeState.PROVISIONAL, "DU1", SPX, SPY, 1, 10)
TAG = "4f1c"


def order(leg: LegName, purpose: Purpose, side: Side, quantity: int, trade: Trade = TRADE) -> OrderRecord:
    ref = f"spxarb:{TAG}:{trade.id}:{leg}:{purpose}1"
    ticket = OrderTicket(ref, trade.contract(leg), side, quantity, D(1))
    number = 10 * trade.id + ["e", "u", "x", "f"].index(purpose) + 4 * (leg is LegName.SPY)
    return OrderRecord(
        ticket, trade.id, leg, purpose, 1, 1, number, AT - timedelta(seconds=5), perm_id=900 + number
    )


BUY_SPX = order(LegName.SPX, Purpose.ENTRY, Side.BUY, 1)
SELL_SPY = order(LegName.SPY, Purpose.ENTRY, Side.SELL, 10)
COVER = order(LegName.SPY, Purpose.FAILSAFE, Side.BUY, 10)
ORDERS = (BUY_SPX, SELL_SPY, COVER)


def fill(
    record: OrderRecord, exec_id: str, quantity: int, price: str, paid: str, *, estimated: bool = False
) -> Fill:
    execution = Execution(
        exec_id, record.ref, record.order_id, 1, record.perm_id, record.ticket.contract.con_id,
        record.ticket.contract.symbol, record.ticket.side, D(quantity), D(price), AT, "DU1",
        commission=None if estimated else D(paid),
    )  # fmt: skip
    return Fill(execution, record.trade_id, record.leg, record.purpose, D(paid), estimated)


BOUGHT = fill(BUY_SPX, "0001.a.01.01", 1, "17.90", "1.64")
SOLD = fill(SELL_SPY, "0001.b.01.01", 6, "2.30", "6.10"), fill(SELL_SPY, "0001.c.01.01", 4, "2.29", "4.02")
ENTRY = (BOUGHT, *SOLD)
COVERED = fill(COVER, "0001.d.01.01", 10, "0.05", "9.61")


def booking(row: Fill, **change: object) -> Booking:
    """As the statement has it: it knows the permanent id and, where asked for, the reference."""
    execution = replace(row.execution, order_id=0, client_id=0, commission=row.commission)
    execution = replace(execution, **change)
    return Booking(execution, "", trade_id=row.execution.exec_id[5], transaction_id=execution.exec_id)


def statement(*rows: Booking, **more: object) -> Statement:
    given = {
        "account": "DU1",
        "kind": StatementKind.ACTIVITY,
        "since": DAY,
        "until": DAY,
        "bookings": rows,
        "cash": (),
        "events": (),
    }
    return Statement(**given | more)


def book(*fills: Fill, trade: Trade = TRADE, settlements: tuple[Settlement, ...] = ()) -> TradeBook:
    return TradeBook(trade, [record for record in ORDERS if record.trade_id == trade.id], fills, settlements)


def compare(told: Statement, *books: TradeBook, closed=()):
    return compare_statement(told, books, OrderIndex(ORDERS), TAG, partial(FOLLOWING, closed=closed))


def texts(found) -> list[str]:
    return [row.text for row in found.differences]


# --- executions ---------------------------------------------------------------------------------------


def test_a_day_that_is_the_same_in_both_has_no_difference():
    found = compare(statement(*map(booking, [*ENTRY, COVERED])), book(*ENTRY, COVERED))
    assert found.differences == []
    assert found.agreed == {Claim.EXECUTION: 4, Claim.COMMISSION: 4, Claim.SETTLEMENT: 0, Claim.EXERCISE: 0}
    assert (found.fills, found.commissions) == ([], {})


@pytest.mark.parametrize(
    "change",
    [{}, {"order_ref": ""}, {"order_ref": "", "con_id": 0}, {"perm_id": 0}, {"order_ref": "", "perm_id": 0}],
    ids=["all", "no reference", "no reference nor contract id", "no permanent id", "neither"],
)
def test_an_execution_is_found_by_whatever_the_query_has_asked_for(change):
    rows = [replace(booking(row, **change), option=option_name(TRADE.contract(row.leg))) for row in ENTRY]
    found = compare(statement(*rows), book(*ENTRY))
    assert [row.claim for row in found.differences if row.claim is Claim.EXECUTION] == []
    assert found.agreed[Claim.EXECUTION] == 3


@pytest.mark.parametrize("theirs", ["0001.a.01", "0001.a.01.01", "0001.a.01.01.01"])
def test_an_id_without_the_last_group_or_with_one_more_is_the_same_execution(theirs):
    found = compare(statement(booking(BOUGHT, exec_id=theirs), *map(booking, SOLD)), book(*ENTRY))
    assert texts(found) == []


def test_what_the_ledger_lacks_can_be_supplied_with_the_statement_as_its_source():
    found = compare(statement(*map(booking, [*ENTRY, COVERED])), book(*ENTRY))
    (difference,) = found.differences
    assert difference.can_be_supplied
    assert "bought 10 SPY at 0.05" in difference.text
    (supplied,) = found.fills
    assert supplied == replace(COVERED, source=FillSource.STATEMENT, execution=supplied.execution)
    assert supplied.execution == replace(COVERED.execution, commission=D("9.61"))
    assert found.ends == {BUY_SPX.ref: D(1), SELL_SPY.ref: D(10), COVER.ref: D(10)}


def test_without_its_commission_an_execution_is_named_and_not_supplied():
    found = compare(statement(*map(booking, ENTRY), booking(COVERED, commission=None)), book(*ENTRY))
    assert (found.fills, [row.can_be_supplied for row in found.differences]) == ([], [False])


def test_an_execution_that_the_statement_does_not_have_is_a_difference_for_a_human():
    found = compare(statement(booking(BOUGHT), booking(SOLD[0])), book(*ENTRY))
    (difference,) = found.differences
    assert (difference.can_be_supplied, difference.needs_human) == (False, True)
    assert "0001.c.01.01" in difference.text


def test_a_row_that_cannot_be_read_proves_no_end_of_the_order_that_it_may_be_of():
    """COVER is lost from sight: nothing of it is in the statement but a row without a price."""
    row = UnreadRow("0001.d.01.01", COVER.ref, 0, 0, "tradePrice is empty", "a row cannot be read")
    told = statement(*map(booking, ENTRY), unread=(row,), gaps=(row.gap,))
    found = compare(told, book(*ENTRY, COVERED))
    (text,) = texts(found)
    assert text.endswith("the statement's row of execution 0001.d.01.01 cannot be read: tradePrice is empty")
    assert COVER.ref not in found.ends
    assert row.gap not in found.unchecked, "it is told once"
    unchecked = compare(told, book(*ENTRY)).unchecked
    assert unchecked[:2] == [row.gap, f"what order {COVER.ref} filled: {UNREAD}"]
    for other in ("another:order", ""):
        elsewhere = replace(row, order_ref=other, con_id=99)
        assert COVER.ref in compare(replace(told, unread=(elsewhere,)), book(*ENTRY)).ends


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"since": DAY + timedelta(1), "until": DAY + timedelta(1)}, False),
        ({"kind": StatementKind.CONFIRMATIONS, "generated": AT + timedelta(minutes=10)}, False),
        ({"kind": StatementKind.CONFIRMATIONS, "generated": AT + timedelta(minutes=20)}, True),
        ({"kind": StatementKind.ACTIVITY, "generated": None}, True),
        ({"kind": StatementKind.ACTIVITY, "generated": AT + timedelta(hours=3)}, False),
        ({"kind": StatementKind.ACTIVITY, "generated": AT + timedelta(hours=9)}, True),
        ({"kind": StatementKind.ACTIVITY, "generated": AT + timedelta(hours=18)}, True),
    ],
)
def test_a_statement_is_asked_only_for_what_it_must_have_by_then(told, shown):
    found = compare(statement(**told), book(*ENTRY))
    assert len(found.differences) == (3 if shown else 0)


@pytest.mark.parametrize("change", [{"quantity": D(2)}, {"price": D("17.80")}])
@pytest.mark.parametrize("revision", ["01", "02"])
def test_a_later_revision_is_supplied_and_the_same_one_with_other_figures_is_a_contradiction(
    change, revision
):
    told = statement(booking(BOUGHT, exec_id=f"0001.a.01.{revision}", **change), *map(booking, SOLD))
    found = compare(told, book(*ENTRY))
    (difference,) = found.differences
    assert difference.can_be_supplied is (revision == "02")
    assert [row.execution.exec_id for row in found.fills] == (["0001.a.01.02"] if revision == "02" else [])


def test_an_execution_that_was_busted_is_taken_back_by_a_revision_of_its_own():
    cancel = replace(booking(BOUGHT, exec_id="", commission=D("-1.64")), cancels="a", transaction_id="9")
    found = compare(statement(booking(BOUGHT), cancel, *map(booking, SOLD)), book(*ENTRY))
    (supplied,) = found.fills
    assert (supplied.execution.exec_id, supplied.execution.quantity, supplied.commission) == (
        "0001.a.01.02",
        0,
        0,
    )
    assert found.ends[BUY_SPX.ref] == 0


def test_a_bust_that_the_ledger_has_is_the_same_whatever_price_is_booked_with_it():
    busted = fill(BUY_SPX, "0001.a.01.02", 0, "0", "0")
    cancel = replace(booking(BOUGHT, exec_id="", commission=D("-1.64")), cancels="a", transaction_id="9")
    found = compare(statement(booking(BOUGHT), cancel, *map(booking, SOLD)), book(busted, *SOLD))
    assert (found.differences, found.fills) == ([], [])


def test_a_cancel_without_its_execution_is_named():
    cancel = replace(booking(BOUGHT, exec_id=""), cancels="77", transaction_id="9")
    found = compare(statement(cancel, *map(booking, ENTRY)), book(*ENTRY))
    assert "that it does not show" in texts(found)[0]


def test_executions_of_others_are_left_out_even_in_our_contract():
    others = (
        booking(COVERED, order_ref="another program", perm_id=5),
        booking(SOLD[0], exec_id="0001.z.01.01", order_ref="", perm_id=6),
    )
    assert texts(compare(statement(*map(booking, ENTRY), *others), book(*ENTRY))) == []


def test_an_execution_in_this_ledgers_name_that_it_knows_nothing_of_is_named():
    lost = booking(COVERED, order_ref=f"spxarb:{TAG}:9:SPY:f1", perm_id=5)
    other = booking(COVERED, exec_id="0001.e.01.01", order_ref="spxarb:9999:9:SPY:f1", perm_id=5)
    found = compare(statement(*map(booking, ENTRY), lost, other), book(*ENTRY))
    (text,) = texts(found)
    assert "knows nothing" in text


def test_without_a_section_of_trades_nothing_is_said_of_executions():
    found = compare(statement(bookings=None), book(*ENTRY, COVERED))
    assert found.differences == []
    assert "no section Trades" in found.unchecked[0]
    assert found.ends == {}


# --- commissions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ledger", "told", "differs"),
    [
        ("1.64", "1.64", False),
        ("1.64", "1.6412", False),
        ("1.64", "1.65", True),
        ("1.64", "1.6499", False),
        ("-0.20", "0.20", True),
    ],
)
@pytest.mark.parametrize("estimated", [False, True])
def test_a_commission_is_compared_to_the_cent_and_an_estimate_is_no_disagreement(
    ledger, told, differs, estimated
):
    ours = fill(BUY_SPX, "0001.a.01.01", 1, "17.90", ledger, estimated=estimated)
    found = compare(statement(booking(ours, commission=D(told)), *map(booking, SOLD)), book(ours, *SOLD))
    assert [row.claim for row in found.differences] == ([Claim.COMMISSION] if differs else [])
    assert [row.needs_human for row in found.differences] == ([not estimated] if differs else [])
    assert found.commissions == ({"0001.a.01.01": D(told)} if differs or estimated else {})


def test_a_commission_that_the_statement_does_not_tell_is_unchecked_and_named():
    found = compare(statement(booking(BOUGHT, commission=None), *map(booking, SOLD)), book(*ENTRY))
    assert found.differences == []
    (unchecked,) = [text for text in found.unchecked if text.startswith("the commission")]
    assert "execution 0001.a.01.01 of trade 7: the statement does not tell it" in unchecked


# --- settlements ----------------------------------------------------------------------------------------


def settled(cash: str, *, quantity: int = 1, leg: LegName = LegName.SPX) -> Settlement:
    return Settlement(7, leg, D(quantity), D(6957), D(cash), "last trade", AT)


def event(fate: Fate, quantity: int, contract: Contract = SPX, proceeds: str | None = None) -> OptionEvent:
    return OptionEvent(contract.con_id, "", fate, D(quantity), DAY, None if proceeds is None else D(proceeds))


def line(amount: str, contract: Contract = SPX) -> CashLine:
    return CashLine(contract.con_id, "", DAY, D(amount))


HELD = (BOUGHT, *SOLD, COVERED)
"""SPY is bought back; one SPX call is held at expiry."""


def compare_held(*settlements: Settlement, **more: object):
    return compare(statement(*map(booking, HELD), **more), book(*HELD, settlements=settlements))


@pytest.mark.parametrize(
    ("cash", "events"),
    [
        ((line("1250.40"),), (event(Fate.EXERCISED, 1),)),
        ((line("1250.40"),), ()),
        ((line("1250.40"),), None),
        ((), (event(Fate.EXERCISED, 1), event(Fate.SETTLED, 0, proceeds="1250.40"))),
        (None, (event(Fate.SETTLED, 1, proceeds="1250.40"),)),
        ((line("625.20"), line("625.20")), ()),
    ],
)
def test_a_cash_settlement_is_found_in_either_section(cash, events):
    found = compare_held(settled("1250.40"), cash=cash, events=events)
    assert (texts(found), found.agreed[Claim.SETTLEMENT]) == ([], 1)
    ((leg, quantity, paid),) = [(row.leg, row.quantity, row.cash) for row in found.settled]
    assert (leg, quantity, paid) == (LegName.SPX, 1, D("1250.40"))


def test_a_settlement_that_differs_by_a_cent_differs():
    found = compare_held(settled("1250.41"), cash=(line("1250.40"),))
    (difference,) = found.differences
    assert (difference.claim, difference.ledger, difference.statement) == (
        Claim.SETTLEMENT,
        D("1250.41"),
        D("1250.40"),
    )
    assert difference.can_be_supplied


def test_a_worthless_call_is_worth_nothing_by_its_expiration_and_not_by_silence():
    assert [row.cash for row in compare_held(events=(event(Fate.EXPIRED, 1),)).settled] == [0]
    silent = compare_held()
    assert silent.settled == []
    assert "shows neither" in silent.unchecked[0]


@pytest.mark.parametrize("lacking", ["cash", "events"])
def test_a_settlement_that_a_missing_section_would_tell_is_unchecked_and_the_section_is_named(lacking):
    found = compare_held(settled("0"), **{lacking: None})
    name = {"cash": "Statement of Funds", "events": "Option EAE"}[lacking]
    assert (found.differences, found.settled) == ([], [])
    assert f"no section {name}" in found.unchecked[0]


@pytest.mark.parametrize(("contracts", "share"), [(1, "1250.40"), (3, "416.80"), (None, "1250.40")])
def test_of_a_line_for_more_contracts_than_ours_we_have_our_share(contracts, share):
    events = () if contracts is None else (event(Fate.EXERCISED, contracts),)
    (row,) = compare_held(cash=(line("1250.40"),), events=events).settled
    assert row.cash == D(share)


def test_two_trades_of_one_contract_share_its_line():
    other = replace(TRADE, id=8)
    record = order(LegName.SPX, Purpose.ENTRY, Side.BUY, 1, other)
    more = fill(record, "0001.f.01.01", 1, "17.90", "1.64")
    books = book(*HELD), TradeBook(other, [record], [more], [])
    told = statement(
        *map(booking, [*HELD, more]), cash=(line("2500.80"),), events=(event(Fate.EXERCISED, 2),)
    )
    found = compare_statement(told, books, OrderIndex([*ORDERS, record]), TAG, FOLLOWING)
    assert [(row.trade_id, row.cash) for row in found.settled] == [(7, D("1250.40")), (8, D("1250.40"))]


@pytest.mark.parametrize("cash", [(), (line("1250.40"),)])
def test_cash_that_is_booked_on_a_later_day_is_that_of_the_day_before(cash):
    """A statement of the next day alone: it must have nothing of the day, and what it has counts."""
    day = DAY + timedelta(days=3)
    found = compare(
        statement(since=day, until=day, cash=cash), book(*HELD, settlements=(settled("1250.40"),))
    )
    assert (found.differences, found.unchecked, found.ends) == ([], [], {})
    assert [row.cash for row in found.settled] == [row.amount for row in cash]


def test_a_trade_that_is_not_over_by_then_is_not_asked_about():
    found = compare_held(
        cash=(line("1250.40"),), kind=StatementKind.CONFIRMATIONS, generated=AT + timedelta(hours=6)
    )
    assert (found.settled, found.unchecked) == ([], [])


def test_the_settlement_of_a_trade_that_others_ended_is_not_compared():
    told = statement(*map(booking, HELD), cash=(line("1250.40"),))
    found = compare(told, book(*HELD, trade=replace(TRADE, state=TradeState.UNKNOWN)))
    assert found.settled == []
    assert "others ended it" in found.unchecked[0]


# --- exercises and assignments ----------------------------------------------------------------------------


def test_calls_that_expired_worthless_are_worth_nothing():
    events = event(Fate.EXPIRED, 10, SPY), event(Fate.EXERCISED, 1)
    spx, spy = settled("1250.40"), settled("0", quantity=-10, leg=LegName.SPY)
    found = compare(
        statement(*map(booking, ENTRY), cash=(line("1250.40"),), events=events),
        book(*ENTRY, settlements=(spx, spy)),
    )
    assert (texts(found), found.assigned) == ([], {})
    assert (found.agreed[Claim.EXERCISE], found.agreed[Claim.SETTLEMENT]) == (1, 2)


@pytest.mark.parametrize(("state", "human"), [(TradeState.PROVISIONAL, True), (TradeState.SETTLED, False)])
@pytest.mark.parametrize(("assigned", "ours"), [(10, 10), (4, 4), (25, 10)])
def test_assigned_calls_are_named_until_a_human_has_dealt_with_them(assigned, ours, state, human):
    told = statement(
        *map(booking, ENTRY), events=(event(Fate.ASSIGNED, assigned, SPY), event(Fate.EXPIRED, 1))
    )
    found = compare(told, book(*ENTRY, trade=replace(TRADE, state=state)))
    (difference,) = [row for row in found.differences if row.claim is Claim.EXERCISE]
    assert (difference.statement, difference.needs_human, difference.can_be_supplied) == (
        D(ours),
        human,
        False,
    )
    assert f"sold {ours * 100} shares" in difference.text
    assert found.assigned == {7: D(ours)}
    assert [row.leg for row in found.settled] == [LegName.SPX], "assigned calls have no cash"


# --- properties -------------------------------------------------------------------------------------------

rows = st.lists(st.sampled_from([*ENTRY, COVERED]), unique=True)


@given(rows, rows, st.randoms())
def test_what_is_supplied_leaves_nothing_to_supply_and_the_order_of_rows_does_not_matter(
    ledger, told, random
):
    """After the supply the ledger has what the statement has, and only what it alone had differs."""
    bookings = [booking(row) for row in told]
    random.shuffle(bookings)
    found = compare(statement(*bookings), book(*ledger))
    assert {row.execution.exec_id for row in found.fills} == {
        row.execution.exec_id for row in set(told) - set(ledger)
    }
    again = compare(statement(*bookings), book(*ledger, *found.fills))
    assert again.fills == []
    assert len([row for row in again.differences if row.claim is Claim.EXECUTION]) == len(
        set(ledger) - set(told)
    )


@given(st.lists(st.sampled_from([*ENTRY, COVERED]), min_size=1))
def test_rows_that_repeat_count_once(told):
    assert compare(statement(*map(booking, told)), book(*set(told))).differences == []


def test_the_parts_of_a_statement_that_is_broken_out_by_day_are_one():
    first = statement(booking(BOUGHT))
    second = statement(booking(SOLD[0]), since=DAY + timedelta(1), until=DAY + timedelta(3))
    whole = merged([first, second])
    assert (whole.since, whole.until, len(whole.bookings)) == (DAY, DAY + timedelta(3), 2)
    assert merged([first, replace(second, cash=None)]).cash is None, "of one day nothing is known"


@pytest.mark.parametrize("days", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("lacking", [None, "cash", "events"])
@pytest.mark.parametrize(("closed", "booked_after"), [((), 3), ((PRESIDENTS_DAY,), 4)])
def test_a_settlement_of_which_a_whole_statement_says_nothing_is_a_difference(
    days, lacking, closed, booked_after
):
    """The day is a Friday: its cash may be booked on the next trading day, and then a human is needed."""
    settled = Settlement(7, LegName.SPX, D(1), D(6957), D(1200), "official close", AT)
    sections = {lacking: None} if lacking else {}
    told = statement(*map(booking, [*ENTRY, COVERED]), until=DAY + timedelta(days), **sections)
    found = compare(told, book(*ENTRY, COVERED, settlements=(settled,)), closed=closed)
    rows = [(row.claim, row.ledger, row.needs_human) for row in found.differences]
    assert rows == ([] if lacking else [(Claim.SETTLEMENT, D(1200), days >= booked_after)])
