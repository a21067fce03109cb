"""What needs a human: what the ledger itself says, what a comparison finds, and what ends it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from spxarb.core.broker_books import OrderTicket
from spxarb.core.contracts import Contract
from spxarb.core.matters import MatterKind, NewMatter
from spxarb.core.model import NEW_YORK, ExitReason, LegName, Side
from spxarb.core.order_words import Purpose
from spxarb.core.records import OrderRecord, Trade
from spxarb.core.trades import TradeEvent, TradeState
from spxarb.errors import UsageError
from spxarb.ledger.ledger import Ledger
from spxarb.trading import bookkeeping, matters

D = Decimal
DAY = date(2026, 2, 10)
NOW = datetime(2026, 2, 10, 12, tzinfo=NEW_YORK)
LATER = NOW + timedelta(minutes=5)
SPX = Contract(1, "SPX", "OPT", trading_class="SPXW", expiry=DAY, strike=D(6665), right="C", multiplier=100)
SPY = Contract(2, "SPY", "OPT", trading_class="SPY", expiry=DAY, strike=D(665), right="C", multiplier=100)
REF = "spxarb:4f1c:1:SPY:x1"


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "trading.db", mode="paper") as opened:
        yield opened


@pytest.fixture
def trade(ledger):
    made = ledger.trades.create(Trade(0, DAY, TradeState.ENTERING, "DU1", SPX, SPY, 1, 10))
    return bookkeeping.opened(ledger, made, NOW)


def keys(ledger):
    return [matter.key for matter in ledger.matters.open()]


def send(ledger, trade):
    ticket = OrderTicket(REF, SPY, Side.BUY, 10, D(2))
    ledger.orders.intend(OrderRecord(ticket, trade.id, LegName.SPY, Purpose.EXIT, 1, 1, 1, NOW))


def test_an_open_spread_is_no_matter(ledger, trade):
    matters.review(ledger, NOW)
    assert keys(ledger) == []
    assert matters.not_told(ledger, []) == []


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (TradeEvent.EXIT_BEGUN, "exit:1"),
        (TradeEvent.NOT_PROVEN, "unproven:1"),
        (TradeEvent.SESSION_OVER, "expired:1"),
        (TradeEvent.SIGHT_LOST, "lost:1"),
    ],
)
def test_a_state_in_which_no_job_may_leave_a_trade_is_a_matter(ledger, trade, event, key):
    bookkeeping.move(ledger, trade, event, note="why")
    matters.review(ledger, NOW)
    (matter,) = ledger.matters.open()
    assert (matter.key, matter.text, matter.trade_id) == (key, "trade 1: why", trade.id)


def test_an_order_without_a_proven_end_is_the_matter_and_not_its_trade(ledger, trade):
    send(ledger, trade)
    bookkeeping.not_proven(ledger, trade, "x")
    matters.review(ledger, NOW)
    assert keys(ledger) == [f"order:{REF}"]


def test_an_acknowledgement_ends_an_order_with_what_its_executions_show(ledger, trade):
    send(ledger, trade)
    bookkeeping.not_proven(ledger, trade, "x")
    matters.review(ledger, NOW)
    (matter,) = ledger.matters.open()
    matters.acknowledge(ledger, matter.id, "cancelled in TWS", LATER)
    record = ledger.orders.find(REF)
    assert (record.status, record.final, record.filled) == ("acknowledged", True, 0)
    matters.review(ledger, LATER)
    assert keys(ledger) == ["unproven:1"], "what is held is for the next job to prove"
    assert {found.key: found.resolution for found in ledger.matters.unresolved()} == {"unproven:1": None}


def test_a_matter_that_the_ledger_no_longer_says_is_resolved_and_says_how(ledger, trade):
    exiting = bookkeeping.exit_begun(ledger, trade, ExitReason.TIME)
    matters.review(ledger, NOW)
    bookkeeping.closed(ledger, exiting, ExitReason.TIME, LATER)
    matters.review(ledger, LATER)
    assert keys(ledger) == []
    (row,) = ledger._file.rows("SELECT resolution FROM matters")
    assert row["resolution"] == "the trade is closed"


def test_no_evidence_resolves_a_trade_that_was_lost_from_sight(ledger, trade):
    bookkeeping.move(ledger, trade, TradeEvent.SIGHT_LOST, note="why")
    for day in range(5):
        matters.review(ledger, NOW + timedelta(days=day))
    assert keys(ledger) == ["lost:1"]


def test_what_a_comparison_does_not_find_again_is_resolved(ledger):
    first, second = (NewMatter(MatterKind.ACCOUNT.key(text), text) for text in ("one call more", "two less"))
    assert matters.compared(ledger, [first, second], NOW) == [first, second]
    assert matters.compared(ledger, [second], LATER) == [second]
    assert keys(ledger) == ["account:two less"]
    ledger.matters.raise_(MatterKind.SHARES.key(1), "compare", None, NOW)
    assert matters.compared(ledger, [], LATER) == []
    assert keys(ledger) == ["shares:1"], "that is for a human alone"


def test_what_is_acknowledged_is_no_finding_while_it_lasts(ledger):
    found = NewMatter("account:x", "x")
    matters.compared(ledger, [found], NOW)
    (matter,) = ledger.matters.open()
    matters.acknowledge(ledger, matter.id, None, NOW)
    assert matters.compared(ledger, [found], LATER) == []
    assert matters.compared(ledger, [], LATER) == []
    assert matters.compared(ledger, [found], LATER) == [found], "it has come back"


def test_a_matter_that_the_job_told_is_not_told_twice(ledger):
    ledger.matters.raise_("expired:1", "trade 1: the account still shows calls", None, NOW)
    ledger.matters.raise_("lost:2", "compare trade 2", None, NOW)
    (error,) = matters.not_told(ledger, ["Trade 1: the account still shows calls. Look."])
    assert "ompare trade 2" in str(error)
    assert "still shows" not in str(error)
    assert "open: 2" in str(error)


def test_one_that_is_not_open_cannot_be_acknowledged_and_the_open_ones_are_named(ledger):
    with pytest.raises(UsageError, match="no matter 7 is open; none is"):
        matters.acknowledge(ledger, 7, None, NOW)
    ledger.matters.raise_("lost:2", "x", None, NOW)
    with pytest.raises(UsageError, match="open: 1"):
        matters.acknowledge(ledger, 7, None, NOW)


SETTLEMENTS = [MatterKind.ASSIGNMENT.key(1), MatterKind.SETTLEMENT.key("1:SPY")]


@pytest.mark.parametrize(
    ("event", "left"),
    [
        (TradeEvent.FLAT, []),
        (TradeEvent.SESSION_OVER, SETTLEMENTS),
        (TradeEvent.TAKEN_BY_OTHERS, SETTLEMENTS),
    ],
)
def test_what_a_settlement_raised_is_over_once_executions_show_that_nothing_was_held(
    ledger, trade, event, left
):
    """They may show after it. Shares, and what others took, stay for a human."""
    others = [MatterKind.SHARES.key(1), MatterKind.TAKEN.key(1)]
    for key in (*SETTLEMENTS, *others):
        matters.needs_human(ledger, NewMatter(key, f"{key} is in doubt", 1), NOW)
    bookkeeping.move(ledger, trade, event)
    matters.review(ledger, LATER)
    assert [key for key in keys(ledger) if not key.startswith("expired")] == [*left, *others]
