"""The stages of a settlement: each is kept with its difference, and the newest is what the trade brought."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
from samples import record

from spxarb.core.broker_books import Execution
from spxarb.core.contracts import Contract
from spxarb.core.model import NEW_YORK, LegName, Side
from spxarb.core.order_words import Purpose
from spxarb.core.records import Fill, Settlement, Trade
from spxarb.core.stages import Stage
from spxarb.core.trades import TradeEvent, TradeState
from spxarb.ledger.ledger import Ledger
from spxarb.trading import bookkeeping
from spxarb.trading.settlement_stages import record_stage, settled_by_statement

D = Decimal
DAY = date(2026, 2, 10)
EVENING = datetime(2026, 2, 10, 16, 5, tzinfo=NEW_YORK)
LATER = datetime(2026, 2, 11, 3, 0, tzinfo=NEW_YORK)
SPX = Contract(1, "SPX", "OPT", trading_class="SPXW", expiry=DAY, strike=D(6665), right="C", multiplier=100)
SPY = Contract(2, "SPY", "OPT", trading_class="SPY", expiry=DAY, strike=D(680), right="C", multiplier=100)
LINE = "statement of 2026-02-10, StatementOfFunds"


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "trading.db", mode="paper") as opened:
        yield opened


def fill(ledger, trade, leg, side, quantity, price):
    contract = trade.contract(leg)
    execution = Execution(
        f"{leg}.01", f"spxarb:4f1c:{trade.id}:{leg}:e1", 1, 1, 9, contract.con_id, contract.symbol, side,
        D(quantity), D(price), EVENING.replace(hour=9), "DU1", commission=D(1),
    )  # fmt: skip
    record(ledger, Fill(execution, trade.id, leg, Purpose.ENTRY, D(1), commission_estimated=False))


@pytest.fixture
def trade(ledger):
    """Held to its expiry: 1 SPX bought at 20, 10 SPY sold at 2.5, one dollar commission each: +498."""
    made = ledger.trades.create(Trade(0, DAY, TradeState.ENTERING, "DU1", SPX, SPY, 1, 10))
    fill(ledger, made, LegName.SPX, Side.BUY, 1, "20")
    fill(ledger, made, LegName.SPY, Side.SELL, 10, "2.5")
    return bookkeeping.opened(ledger, made, EVENING.replace(hour=9))


@pytest.fixture
def provisional(ledger, trade):
    """Settled at the last print: SPX 6670 brings 500, the SPY calls are worthless."""
    trade = bookkeeping.move(ledger, trade, TradeEvent.SESSION_OVER)
    for leg, quantity, price, cash in ((LegName.SPX, 1, 6670, 500), (LegName.SPY, -10, 665, 0)):
        row = Settlement(trade.id, leg, D(quantity), D(price), D(cash), "last print", EVENING)
        record_stage(ledger, row, Stage.LAST_PRINT)
    return bookkeeping.settled_provisionally(ledger, trade, EVENING)


def figures(ledger, trade, leg=LegName.SPX):
    found = (row for row in ledger.settlements.figures(trade.id) if row.leg is leg)
    return [(str(row.stage), row.cash, row.difference) for row in found]


def test_each_stage_stands_with_the_dollars_by_which_it_differs_from_the_one_before(ledger, provisional):
    official = Settlement(provisional.id, LegName.SPX, D(1), D("6678.23"), D(1323), "daily bars", LATER)
    record_stage(ledger, official, Stage.OFFICIAL)
    text = settled_by_statement(ledger, provisional, LegName.SPX, D("1322.50"), source=LINE, at=LATER)
    assert figures(ledger, provisional) == [
        ("last print", D(500), None),
        ("official close", D(1323), D(823)),
        ("statement", D("1322.5"), D("-0.5")),
    ]
    assert "+1 SPX calls settled for +1,322.50 dollars by the statement" in text
    assert "-0.50 dollars against the figure before" in text


def test_a_trade_is_settled_once_the_statement_has_spoken_of_each_leg(ledger, provisional):
    settled_by_statement(ledger, provisional, LegName.SPX, D("1322.50"), source=LINE, at=LATER)
    waiting = ledger.trades.get(provisional.id)
    assert (waiting.state, waiting.final_pnl) == (TradeState.PROVISIONAL, D(498) + D("1322.50"))
    settled_by_statement(ledger, provisional, LegName.SPY, D(0), source=LINE, at=LATER)
    done = ledger.trades.get(provisional.id)
    assert (done.state, done.final_pnl) == (TradeState.SETTLED, D("1820.50"))
    (day,) = ledger.days.summary_rows()
    assert (day["net_pnl"], day["provisional"]) == (1820.5, 0)


def test_the_same_statement_twice_changes_nothing(ledger, provisional):
    words = [
        settled_by_statement(ledger, provisional, leg, D(cash), source=LINE, at=LATER)
        for leg, cash in 2 * ((LegName.SPX, "1322.50"), (LegName.SPY, "0"))
    ]
    assert words[:2] == words[2:]
    assert len(ledger.settlements.figures(provisional.id)) == 4


def test_a_statement_alone_settles_a_trade_of_which_no_job_ever_did(ledger, trade):
    settled_by_statement(ledger, trade, LegName.SPX, D(500), source=LINE, at=LATER)
    assert ledger.trades.get(trade.id).state is TradeState.EXPIRED
    settled_by_statement(ledger, trade, LegName.SPY, D(0), source=LINE, at=LATER)
    done = ledger.trades.get(trade.id)
    assert (done.state, done.final_pnl) == (TradeState.SETTLED, D(998))
    assert figures(ledger, trade) == [("statement", D(500), None)]


def test_no_later_look_replaces_what_the_statement_said(ledger, provisional):
    settled_by_statement(ledger, provisional, LegName.SPX, D("1322.50"), source=LINE, at=LATER)
    record_stage(
        ledger,
        Settlement(provisional.id, LegName.SPX, D(1), D(6670), D(500), "last print", LATER),
        Stage.LAST_PRINT,
    )
    (spx, _) = ledger.settlements.of_trade(provisional.id)
    assert (spx.cash, spx.provisional) == (D("1322.5"), False)


@pytest.mark.parametrize("event", [TradeEvent.NOT_PROVEN, TradeEvent.FLAT])
def test_a_trade_that_has_no_settlement_is_refused_by_name(ledger, trade, event):
    bookkeeping.move(ledger, trade, event)
    with pytest.raises(ValueError, match=r"trade 1 is .*: it has no settlement"):
        settled_by_statement(ledger, trade, LegName.SPX, D(500), source=LINE, at=LATER)


def test_nothing_settles_before_its_last_day_nor_where_nothing_was_held(ledger, trade):
    with pytest.raises(ValueError, match="trade 1 is open: it has no settlement"):
        settled_by_statement(ledger, trade, LegName.SPX, D(500), source=LINE, at=EVENING.replace(day=9))
    bare = ledger.trades.create(Trade(0, DAY, TradeState.ENTERING, "DU1", SPX, SPY, 1, 10))
    with pytest.raises(ValueError, match="held no SPX calls"):
        settled_by_statement(ledger, bare, LegName.SPX, D(500), source=LINE, at=LATER)


def test_a_day_looked_back_on_has_the_stages_that_became_known_on_it(ledger, provisional):
    official = Settlement(provisional.id, LegName.SPX, D(1), D("6678.23"), D(1323), "daily bars", LATER)
    record_stage(ledger, official, Stage.OFFICIAL)
    evening, morning = (ledger.history.of_day(at.date()).settlement_stages for at in (EVENING, LATER))
    assert [(row["leg"], row["stage"]) for row in evening] == [("SPX", "last print"), ("SPY", "last print")]
    assert [(row["leg"], row["difference"]) for row in morning] == [("SPX", 823.0)]
