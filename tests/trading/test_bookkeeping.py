"""The rows of a trade: one writer of its state, figures from fills and settlements alone."""

from __future__ import annotations

import re
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from samples import record

from spxarb.core.broker_books import Execution
from spxarb.core.contracts import Contract
from spxarb.core.model import NEW_YORK, ExitReason, LegName, Side
from spxarb.core.order_words import Purpose
from spxarb.core.records import Fill, Trade
from spxarb.core.trades import TradeEvent, TradeState
from spxarb.ledger.ledger import Ledger
from spxarb.trading import bookkeeping

D = Decimal
DAY = date(2026, 2, 10)
NOON = datetime(2026, 2, 10, 12, tzinfo=NEW_YORK)
SPX = Contract(1, "SPX", "OPT", trading_class="SPXW", expiry=DAY, strike=D(6665), right="C", multiplier=100)
SPY = Contract(2, "SPY", "OPT", trading_class="SPY", expiry=DAY, strike=D(665), right="C", multiplier=100)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "trading.db", mode="paper") as opened:
        yield opened


@pytest.fixture
def trade(ledger):
    """Entered: 1 SPX bought at 20, 10 SPY sold at 2.5, one dollar commission each."""
    made = ledger.trades.create(Trade(0, DAY, TradeState.ENTERING, "DU1", SPX, SPY, 1, 10))
    trade_fill(ledger, made, "1.01", LegName.SPX, Side.BUY, 1, "20")
    trade_fill(ledger, made, "2.01", LegName.SPY, Side.SELL, 10, "2.5")
    return bookkeeping.opened(ledger, made, NOON)


def trade_fill(ledger, trade, exec_id, leg, side, quantity, price, purpose=Purpose.ENTRY):
    contract = trade.contract(leg)
    execution = Execution(
        exec_id, f"spxarb:4f1c:{trade.id}:{leg}:{purpose}1", 1, 1, 9, contract.con_id, contract.symbol, side,
        D(quantity), D(price), NOON, "DU1", commission=D(1),
    )  # fmt: skip
    record(ledger, Fill(execution, trade.id, leg, purpose, D(1), commission_estimated=False))


def test_no_other_code_changes_the_state_of_a_trade():
    root = Path(sys.modules["spxarb"].__file__).parent
    writers = {
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        if re.search(r"trades\.move\(", file.read_text(encoding="utf-8"))
    }
    assert writers == {"trading/bookkeeping.py"}


def test_an_event_that_cannot_happen_changes_nothing(ledger, trade):
    with pytest.raises(ValueError, match="a trade that is open cannot be settlement proven"):
        bookkeeping.move(ledger, trade, TradeEvent.SETTLEMENT_PROVEN, note="x")
    assert ledger.trades.get(trade.id) == trade


def test_the_state_that_counts_is_the_ledgers_not_the_callers(ledger, trade):
    bookkeeping.exit_begun(ledger, trade, ExitReason.TIME)
    assert bookkeeping.still_held(ledger, trade, "SPY could not be closed").state is TradeState.EXITING


def test_a_closed_trade_has_its_result_and_a_reason_given_earlier_stays(ledger, trade):
    exiting = bookkeeping.exit_begun(ledger, trade, ExitReason.TIME)
    trade_fill(ledger, trade, "3.01", LegName.SPY, Side.BUY, 10, "1", Purpose.EXIT)
    trade_fill(ledger, trade, "4.01", LegName.SPX, Side.SELL, 1, "10", Purpose.EXIT)
    closed = bookkeeping.closed(ledger, exiting, ExitReason.EMERGENCY, NOON)
    assert (closed.state, closed.exit_reason, closed.exit_time) == (TradeState.CLOSED, ExitReason.TIME, NOON)
    assert (closed.entry_credit, closed.exit_cost, closed.final_pnl) == (D(498), D(2), D(496))


def test_a_late_fill_makes_a_closed_trade_open_again(ledger, trade):
    trade_fill(ledger, trade, "3.01", LegName.SPY, Side.BUY, 10, "1", Purpose.EXIT)
    trade_fill(ledger, trade, "4.01", LegName.SPX, Side.SELL, 1, "10", Purpose.EXIT)
    closed = bookkeeping.closed(ledger, trade, ExitReason.TIME, NOON)
    trade_fill(ledger, trade, "5.01", LegName.SPY, Side.BUY, 10, "1", Purpose.FAILSAFE)
    again = bookkeeping.update_pnl(ledger, closed)
    assert (again.state, again.final_pnl) == (TradeState.EXITING, None)


def test_a_trade_that_others_ended_has_no_result_and_stays_over(ledger, trade):
    taken = bookkeeping.move(ledger, trade, TradeEvent.TAKEN_BY_OTHERS)
    assert (bookkeeping.update_pnl(ledger, taken).state, taken.final_pnl) == (TradeState.UNKNOWN, None)


def test_doubt_about_an_entry_is_told_from_doubt_about_an_exit(ledger, trade):
    entering = ledger.trades.create(Trade(0, DAY, TradeState.ENTERING, "DU1", SPX, SPY, 1, 10))
    assert bookkeeping.not_proven(ledger, entering, "why").state is TradeState.ENTRY_UNPROVEN
    assert bookkeeping.not_proven(ledger, trade, "why").state is TradeState.UNPROVEN


def test_spx_left_to_settlement_is_an_exit_at_its_hour_and_not_again_when_it_settles(ledger, trade):
    trade_fill(ledger, trade, "3.01", LegName.SPY, Side.BUY, 10, "1", Purpose.EXIT)
    left = bookkeeping.left_to_settlement(ledger, trade, ExitReason.TIME, NOON)
    assert (left.state, left.status, left.residual) == (TradeState.RESIDUAL, "ACTIVE", (LegName.SPX,))
    later = NOON.replace(hour=16, minute=5)
    expired = bookkeeping.move(ledger, left, TradeEvent.SESSION_OVER)
    settled = bookkeeping.settled_provisionally(ledger, expired, later)
    assert (settled.state, settled.exit_time, settled.exit_reason) == (
        TradeState.PROVISIONAL,
        NOON,
        ExitReason.TIME,
    )


def test_a_correction_that_came_after_the_figures_were_written_opens_the_trade_again(ledger, trade):
    """The job that heard of it had written its last figure: the next one to look brings the row up to date."""
    trade_fill(ledger, trade, "3.01", LegName.SPY, Side.BUY, 10, "1", Purpose.EXIT)
    trade_fill(ledger, trade, "4.01", LegName.SPX, Side.SELL, 1, "10", Purpose.EXIT)
    bookkeeping.closed(ledger, trade, ExitReason.TIME, NOON)
    trade_fill(ledger, trade, "2.02", LegName.SPY, Side.SELL, 0, "2.5")
    bookkeeping.refresh_figures(ledger)
    again = ledger.trades.get(trade.id)
    assert (again.state, again.final_pnl) == (TradeState.EXITING, None)


@pytest.mark.parametrize("proven", [False, True])
def test_calls_that_are_found_not_to_have_expired_so_have_no_reason_and_time_of_it(ledger, trade, proven):
    """Executions that show late leave another number held, or none: why it is over will be told anew."""
    expired = bookkeeping.move(ledger, trade, TradeEvent.SESSION_OVER)
    settled = bookkeeping.settled_provisionally(ledger, expired, NOON)
    if proven:
        settled = bookkeeping.move(ledger, settled, TradeEvent.SETTLEMENT_PROVEN)
    assert (settled.exit_reason, settled.exit_time) == (ExitReason.EXPIRATION, NOON)
    again = bookkeeping.move(ledger, settled, TradeEvent.HELD)
    assert (again.state, again.exit_reason, again.exit_time) == (TradeState.EXPIRED, None, None)


def test_a_settled_remainder_that_is_found_held_keeps_why_its_exit_was_begun(ledger, trade):
    left = bookkeeping.left_to_settlement(ledger, trade, ExitReason.TIME, NOON)
    expired = bookkeeping.move(ledger, left, TradeEvent.SESSION_OVER)
    settled = bookkeeping.settled_provisionally(ledger, expired, NOON.replace(hour=16))
    again = bookkeeping.move(ledger, settled, TradeEvent.HELD)
    assert (again.state, again.exit_reason, again.exit_time) == (TradeState.EXPIRED, ExitReason.TIME, NOON)
