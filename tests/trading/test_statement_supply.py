"""What a statement supplies: whatever the trade's state, its figures are the statement's, and once is enough."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from spxarb.core.broker_books import Execution, OrderTicket
from spxarb.core.contracts import Contract
from spxarb.core.matters import MatterKind
from spxarb.core.model import NEW_YORK, ExitReason, LegName, Side
from spxarb.core.order_words import BY_STATEMENT, Purpose
from spxarb.core.records import Fill, OrderRecord, Settlement, Trade
from spxarb.core.sessions import next_trading_day
from spxarb.core.statement import Booking, CashLine, Fate, OptionEvent, Statement, StatementKind
from spxarb.core.trades import TradeEvent, TradeState
from spxarb.ledger.ledger import Ledger
from spxarb.trading import bookkeeping, matters
from spxarb.trading.statement_supply import compare_with_ledger, supply

D, S, E = Decimal, TradeState, TradeEvent
FOLLOWING = partial(next_trading_day, closed=())
DAY = date(2026, 2, 13)
MORNING = datetime(2026, 2, 13, 9, 41, tzinfo=NEW_YORK)
EVENING = datetime(2026, 2, 13, 15, 50, tzinfo=NEW_YORK)
LATER = datetime(2026, 2, 17, 8, 0, tzinfo=NEW_YORK)
SPX = Contract(11, "SPX", "OPT", trading_class="SPXW", expiry=DAY, strike=D(6945), right="C", multiplier=100)
SPY = Contract(12, "SPY", "OPT", trading_class="SPY", expiry=DAY, strike=D(694), right="C", multiplier=100)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "trading.db", mode="paper") as opened:
        yield opened


def order(ledger, trade, leg, purpose, side, quantity):
    number = len(ledger.orders.of_trade(trade.id)) + 1
    ref = f"spxarb:{ledger.tag}:{trade.id}:{leg}:{purpose}{number}"
    ticket = OrderTicket(ref, trade.contract(leg), side, quantity, D(1))
    record = OrderRecord(
        ticket, trade.id, leg, purpose, number, 1, number, MORNING - timedelta(seconds=5), 900 + number
    )
    ledger.orders.intend(record)
    return record


def fill(record, exec_id, price, paid, at=MORNING):
    execution = Execution(
        exec_id, record.ref, record.order_id, 1, record.perm_id, record.ticket.contract.con_id,
        record.ticket.contract.symbol, record.ticket.side, D(record.ticket.quantity), D(price), at, "DU1", commission=D(paid),
    )  # fmt: skip
    return Fill(execution, record.trade_id, record.leg, record.purpose, D(paid), False)


@pytest.fixture
def trade(ledger):
    """1 SPX bought at 17.90, 10 SPY sold at 2.30, fees 11.74: a credit of 498.26."""
    made = ledger.trades.create(Trade(0, DAY, S.ENTERING, "DU1", SPX, SPY, 1, 10))
    bought = order(ledger, made, LegName.SPX, Purpose.ENTRY, Side.BUY, 1)
    sold = order(ledger, made, LegName.SPY, Purpose.ENTRY, Side.SELL, 10)
    for row in (fill(bought, "0001.a.01.01", "17.90", "1.64"), fill(sold, "0001.b.01.01", "2.30", "10.10")):
        ledger.fills.record(row)
        ledger.orders.finish(row.execution.order_ref, "Filled", row.execution.quantity, MORNING, "seen")
    return bookkeeping.opened(ledger, made, MORNING)


@pytest.fixture
def buy_back(ledger, trade):
    """The fail-safe that rested at the broker, and what it did there: bought 10 SPY at 0.05, fees 9.61."""
    record = order(ledger, trade, LegName.SPY, Purpose.FAILSAFE, Side.BUY, 10)
    return fill(record, "0001.d.01.01", "0.05", "9.61", EVENING)


@pytest.fixture
def lost(ledger, trade, buy_back):
    """The machine died after the entry: the next command could not know what the fail-safe did."""
    ref = buy_back.execution.order_ref
    ledger.orders.finish(ref, bookkeeping.LOST_SIGHT, D(0), LATER, "not listed")
    trade = bookkeeping.move(ledger, trade, E.SIGHT_LOST, note=f"how order {ref} ended is not known")
    matters.review(ledger, LATER)
    return trade


SETTLED_FOR = (CashLine(11, "", DAY, D("1250.40")),)


def statement(ledger, *more, cash=SETTLED_FOR, events=(), kind=StatementKind.ACTIVITY):
    known = [fill for trade in ledger.trades.between() for fill in ledger.fills.of_trade(trade.id)]
    rows = {fill.execution.exec_id: fill for fill in (*known, *more)}
    bookings = [
        Booking(
            replace(fill.execution, order_id=0, client_id=0, commission=fill.commission), "", exec_id, exec_id
        )
        for exec_id, fill in rows.items()
    ]
    made = datetime(2026, 2, 14, 4, tzinfo=NEW_YORK)
    return Statement("DU1", kind, DAY, DAY, made, tuple(bookings), cash, events)


def supplied(ledger, told, at=LATER):
    _, found = compare_with_ledger(ledger, told, FOLLOWING)
    return supply(ledger, told, found, at)


def state_of(ledger, trade):
    row = ledger.trades.get(trade.id)
    return row.state, row.final_pnl


# --- a trade that was lost from sight -----------------------------------------------------------------------

EVERYTHING = D("498.26") - D("59.61") + D("1250.40")


def test_a_lost_trade_is_settled_by_the_statement_that_has_everything(ledger, lost, buy_back):
    told = statement(ledger, buy_back)
    sentences = supplied(ledger, told)
    assert state_of(ledger, lost) == (S.SETTLED, EVERYTHING)
    assert len(sentences) == 4, sentences
    record = ledger.orders.find(buy_back.execution.order_ref)
    assert (record.status, record.filled) == (BY_STATEMENT, D(10))
    assert "statement" in [step for step, _ in ledger.orders.history(record.ref)]
    assert ledger.matters.unresolved() == []
    assert ledger.trades.get(lost.id).exit_reason is ExitReason.TIME


def test_of_a_lost_trade_whose_calls_were_bought_back_no_shares_came(ledger, lost, buy_back):
    ledger.matters.raise_(MatterKind.SHARES.key(lost.id), "shares may have been assigned", lost.id, LATER)
    supplied(ledger, statement(ledger, cash=()))
    assert MatterKind.SHARES in {matter.kind for matter in ledger.matters.unresolved()}
    supplied(ledger, statement(ledger, buy_back))
    assert ledger.matters.unresolved() == []


def test_supplying_twice_changes_nothing(ledger, lost, buy_back):
    told = statement(ledger, buy_back)
    supplied(ledger, told)
    before = list(ledger._file._db.conn.iterdump())
    assert supplied(ledger, told, LATER + timedelta(days=1)) == []
    assert list(ledger._file._db.conn.iterdump()) == before


def test_confirmations_supply_executions_and_the_trade_stays_lost_until_its_settlement_is_told(
    ledger, lost, buy_back
):
    confirmations = statement(ledger, buy_back, cash=None, events=None, kind=StatementKind.CONFIRMATIONS)
    supplied(ledger, confirmations)
    assert state_of(ledger, lost) == (S.LOST, None)
    assert [matter.kind for matter in ledger.matters.unresolved()] == [MatterKind.LOST]
    supplied(ledger, statement(ledger))
    assert state_of(ledger, lost) == (S.SETTLED, EVERYTHING)
    assert ledger.matters.unresolved() == []


def test_the_days_own_statement_and_the_cash_that_is_booked_a_day_later_settle_a_lost_trade(
    ledger, lost, buy_back
):
    supplied(ledger, statement(ledger, buy_back, cash=()))
    assert state_of(ledger, lost) == (S.LOST, None)
    later = date(2026, 2, 17)
    supplied(ledger, replace(statement(ledger), since=later, until=later, bookings=(), generated=LATER))
    assert state_of(ledger, lost) == (S.SETTLED, EVERYTHING)


def test_a_lost_order_that_the_statement_does_not_have_filled_nothing(ledger, lost):
    """The SPY calls expired worthless instead."""
    told = statement(ledger, events=(OptionEvent(12, "", Fate.EXPIRED, D(10), DAY),))
    supplied(ledger, told)
    assert state_of(ledger, lost) == (S.SETTLED, D("498.26") + D("1250.40"))
    (record,) = [row for row in ledger.orders.of_trade(lost.id) if row.purpose is Purpose.FAILSAFE]
    assert record.filled == 0


def test_an_execution_that_names_no_order_proves_nothing_about_one_that_nobody_heard_of(
    ledger, lost, buy_back
):
    """The order has no permanent id and the query gave no references: the purchase may be its own."""
    ref = buy_back.execution.order_ref
    unnamed = replace(buy_back, execution=replace(buy_back.execution, order_ref="", perm_id=77))
    told = statement(ledger, unnamed, events=(OptionEvent(12, "", Fate.EXPIRED, D(10), DAY),))
    assert compare_with_ledger(ledger, told, FOLLOWING)[1].ends[ref] == 0, (
        "by another permanent id it is another's"
    )
    ledger._file.execute("UPDATE orders SET perm_id = 0 WHERE order_ref = ?", ref)
    _, found = compare_with_ledger(ledger, told, FOLLOWING)
    assert [ref in text for text in found.unchecked] == [True]
    supplied(ledger, told)
    assert state_of(ledger, lost) == (S.LOST, None)
    assert ledger.orders.find(ref).status == bookkeeping.LOST_SIGHT


def test_a_contradiction_about_an_execution_leaves_the_trade_lost(ledger, lost, buy_back):
    told = statement(ledger, buy_back)
    bookings = [row for row in told.bookings if row.execution.exec_id != "0001.a.01.01"]
    supplied(ledger, replace(told, bookings=tuple(bookings)))
    assert state_of(ledger, lost) == (S.LOST, None)


def test_a_lost_trade_that_was_traded_away_is_closed_with_the_time_of_its_last_execution(
    ledger, lost, buy_back
):
    sold = order(ledger, lost, LegName.SPX, Purpose.EXIT, Side.SELL, 1)
    ledger.orders.finish(sold.ref, bookkeeping.LOST_SIGHT, D(0), LATER, "not listed")
    told = statement(ledger, buy_back, fill(sold, "0001.e.01.01", "12.00", "1.64", EVENING), cash=())
    supplied(ledger, told)
    row = ledger.trades.get(lost.id)
    assert (row.state, row.exit_time, row.exit_reason) == (S.CLOSED, EVENING, ExitReason.TIME)
    assert row.final_pnl == D("498.26") - D("59.61") + 1200 - D("1.64")


def test_assigned_calls_of_a_lost_trade_are_a_matter_and_its_cash_is_settled(ledger, lost):
    told = statement(ledger, events=(OptionEvent(12, "", Fate.ASSIGNED, D(10), DAY),))
    supplied(ledger, told)
    assert state_of(ledger, lost)[0] is S.EXPIRED
    assert [(row.leg, row.provisional) for row in ledger.settlements.of_trade(lost.id)] == [
        (LegName.SPX, False)
    ]
    assert MatterKind.SHARES in {matter.kind for matter in ledger.matters.unresolved()}


def test_a_ledger_that_fails_in_the_middle_has_nothing_of_the_trade(ledger, lost, buy_back):
    ledger._file.execute(
        "CREATE TRIGGER full BEFORE INSERT ON settlements BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    before = [row.execution.exec_id for row in ledger.fills.of_trade(lost.id)]
    with pytest.raises(Exception, match="full"):
        supplied(ledger, statement(ledger, buy_back))
    assert [row.execution.exec_id for row in ledger.fills.of_trade(lost.id)] == before
    assert state_of(ledger, lost) == (S.LOST, None)


# --- whatever the state ---------------------------------------------------------------------------------------

WAYS: dict[TradeState, list[TradeEvent]] = {
    S.OPEN: [],
    S.EXITING: [E.EXIT_BEGUN],
    S.RESIDUAL: [E.RESIDUAL_LEFT],
    S.EXPIRED: [E.SESSION_OVER],
    S.UNPROVEN: [E.NOT_PROVEN],
    S.LOST: [E.SIGHT_LOST],
    S.PROVISIONAL: [E.SESSION_OVER, E.PROVISIONALLY_SETTLED],
    S.SETTLED: [E.SESSION_OVER, E.PROVISIONALLY_SETTLED, E.SETTLEMENT_PROVEN],
    S.CLOSED: [E.FLAT],
    S.UNKNOWN: [E.TAKEN_BY_OTHERS],
}


@pytest.mark.parametrize("state", WAYS)
@pytest.mark.parametrize("known", [False, True], ids=["buy-back lacking", "buy-back known"])
def test_in_whatever_state_the_trade_is_its_figures_become_the_statements(
    ledger, trade, buy_back, state, known
):
    if known:
        ledger.fills.record(buy_back)
    for event in WAYS[state]:
        trade = bookkeeping.move(ledger, trade, event)
    told = statement(ledger, buy_back)
    supplied(ledger, told)
    found, pnl = state_of(ledger, trade)
    if state is S.UNKNOWN:
        assert (found, pnl) == (S.UNKNOWN, None), "others ended it: not all of it was its own"
    else:
        assert (found, pnl) == (S.SETTLED, EVERYTHING)
    _, again = compare_with_ledger(ledger, told, FOLLOWING)
    assert again.differences == []


def test_a_settlement_is_final_by_the_statement_and_keeps_the_price_that_its_cash_implies(
    ledger, trade, buy_back
):
    ledger.fills.record(buy_back)
    bookkeeping.move(ledger, trade, E.SESSION_OVER)
    ledger.settlements.record(
        Settlement(trade.id, LegName.SPX, D(1), D(6957), D(1200), "last print", EVENING)
    )
    bookkeeping.move(ledger, trade, E.PROVISIONALLY_SETTLED)
    supplied(ledger, statement(ledger))
    (row,) = ledger.settlements.of_trade(trade.id)
    assert (row.cash, row.price, row.provisional) == (D("1250.40"), D("6957.504"), False)
    (day,) = ledger.days.summary_rows()
    assert (day["net_pnl"], day["provisional"]) == (float(EVERYTHING), 0)


def test_no_shares_were_assigned_where_the_statement_shows_that_the_calls_expired(ledger, trade):
    bookkeeping.move(ledger, trade, E.SESSION_OVER)
    ledger.matters.raise_(MatterKind.SHARES.key(trade.id), "shares may have been assigned", trade.id, LATER)
    sentences = supplied(ledger, statement(ledger, events=(OptionEvent(12, "", Fate.EXPIRED, D(10), DAY),)))
    assert any("no shares were assigned" in text for text in sentences)
    assert ledger.matters.unresolved() == []


def test_a_commission_that_the_api_never_reported_is_replaced_with_a_word_in_the_orders_life(
    ledger, trade, buy_back
):
    estimated = replace(buy_back, commission=D("9.50"), commission_estimated=True)
    ledger.fills.record(estimated)
    supplied(ledger, statement(ledger, buy_back))
    (row,) = [fill for fill in ledger.fills.of_trade(trade.id) if fill.purpose is Purpose.FAILSAFE]
    assert (row.commission, row.commission_estimated) == (D("9.61"), False)
    assert any(
        "9.5" in detail
        for step, detail in ledger.orders.history(row.execution.order_ref)
        if step == "statement"
    )


# --- what its human traded unseen -------------------------------------------------------------------------

NOON = datetime(2026, 2, 13, 12, 0, tzinfo=NEW_YORK)


def by_hand(trade, leg, side, quantity, exec_id, price, paid):
    execution = Execution(
        exec_id, "", 0, 0, 77, trade.contract(leg).con_id, str(leg), side, D(quantity), D(price), NOON, "DU1",
        commission=D(paid),
    )  # fmt: skip
    return Fill(execution, trade.id, leg, Purpose.BY_HAND, D(paid), commission_estimated=False)


@pytest.mark.parametrize("state", [S.EXPIRED, S.LOST, S.PROVISIONAL, S.SETTLED])
@pytest.mark.parametrize("both", [True, False], ids=["both legs", "SPY alone"])
def test_what_a_human_traded_while_no_command_ran_becomes_the_exit(ledger, trade, state, both):
    """What was settled in its place was never settled: he had closed it."""
    ledger.trades.update(trade.id, handed_over_at=NOON - timedelta(hours=1))
    for event in WAYS[state]:
        if event is E.PROVISIONALLY_SETTLED:
            for leg, cash in ((LegName.SPX, "1200"), (LegName.SPY, "-200")):
                held = D(1) if leg is LegName.SPX else D(-10)
                ledger.settlements.record(
                    Settlement(trade.id, leg, held, D(6957), D(cash), "last print", EVENING)
                )
        bookkeeping.move(ledger, trade, event)
    ledger.matters.raise_(MatterKind.SHARES.key(trade.id), "shares may have been assigned", trade.id, LATER)
    his = [
        by_hand(trade, LegName.SPY, Side.BUY, 10, "0002.a.01.01", "2.00", "10.08"),
        by_hand(trade, LegName.SPX, Side.SELL, 1, "0002.b.01.01", "15.00", "1.64"),
    ][: 2 if both else 1]
    told = statement(ledger, *his, cash=() if both else SETTLED_FOR)
    supplied(ledger, told)
    left = D(1500) - D("1.64") if both else D("1250.40")
    ended = (S.CLOSED if both else S.SETTLED, D("498.26") - 2000 - D("10.08") + left)
    assert state_of(ledger, trade) == ended
    if both:
        row = ledger.trades.get(trade.id)
        assert (row.exit_reason, row.exit_time) == (ExitReason.HANDED_OVER, NOON)
        assert ledger.settlements.of_trade(trade.id) == []
    assert ledger.matters.unresolved() == []
    before = list(ledger._file._db.conn.iterdump())
    assert supplied(ledger, told, LATER + timedelta(days=1)) == []
    assert list(ledger._file._db.conn.iterdump()) == before
