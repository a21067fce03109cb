"""A spread that was entered and exited, made of values: trade, fills, mark and order."""

from __future__ import annotations

from datetime import date, datetime

from spxarb.core.broker_books import Execution, OrderTicket
from spxarb.core.contracts import SPX_OPTION_TICKS, Contract
from spxarb.core.model import NEW_YORK, ExitReason, LegName, Side, dec
from spxarb.core.order_words import Purpose
from spxarb.core.records import Fill, Mark, OrderRecord, Trade
from spxarb.core.trades import TradeState

DAY = date(2026, 2, 13)
OPEN, LEAVE, CLOSE = (
    datetime(2026, 2, 13, *clock, tzinfo=NEW_YORK) for clock in ((9, 36), (15, 45), (16, 0))
)
SPX = Contract(
    1, "SPX", "OPT", trading_class="SPXW", expiry=DAY, strike=dec(6795), right="C", multiplier=100,
    ticks=SPX_OPTION_TICKS,
)  # fmt: skip
SPY = Contract(2, "SPY", "OPT", trading_class="SPY", expiry=DAY, strike=dec(677), right="C", multiplier=100)


def a_trade(pnl="-253.28", **fields):
    """Sold 10 SPY at 2.24 of 2.24 to 2.26, bought SPX at 18.20 of 17.80 to 18.20; r 10.03: M = 4.69 points."""
    given = {
        "state": TradeState.CLOSED,
        "spx_price": dec("6795.20"),
        "spy_price": dec("677.49"),
        "spx_entry_bid": dec("17.80"),
        "spx_entry_ask": dec("18.20"),
        "spy_entry_bid": dec("2.24"),
        "spy_entry_ask": dec("2.26"),
        "ratio": dec("10.03"),
        "entry_time": OPEN,
        "exit_time": LEAVE,
        "exit_reason": ExitReason.TIME,
        "final_pnl": dec(pnl),
        "commissions": dec("23.28"),
    }
    fixed = {"id": 1, "trade_date": DAY, "account": "DU1", "spx": SPX, "spy": SPY}
    return Trade(**{**fixed, "spx_contracts": 1, "spy_contracts": 10, **given, **fields})


def a_fill(leg, purpose, side, quantity, price, at, commission="5.82"):
    contract = SPX if leg is LegName.SPX else SPY
    execution = Execution(
        f"{leg}{purpose}.01", "ref", 1, 1, 1, contract.con_id, str(leg), side, dec(quantity), dec(price), at
    )
    return Fill(execution, 1, leg, purpose, dec(commission), commission_estimated=False)


def fills_of(spx_in="18.20", spy_in="2.24", spy_out="0.80", spx_out="5.60"):
    """By default at the touch each."""
    return [
        a_fill(LegName.SPX, Purpose.ENTRY, Side.BUY, 1, spx_in, OPEN),
        a_fill(LegName.SPY, Purpose.ENTRY, Side.SELL, 10, spy_in, OPEN),
        a_fill(LegName.SPY, Purpose.EXIT, Side.BUY, 10, spy_out, LEAVE),
        a_fill(LegName.SPX, Purpose.EXIT, Side.SELL, 1, spx_out, LEAVE),
    ]


def a_mark(at=LEAVE, spx="6799.00", bid="5.60", ask="5.80", spy_bid="0.78", spy_ask="0.80"):
    numbers = [None if text is None else dec(text) for text in (spx, spy_bid, spy_ask, bid, ask)]
    return Mark(1, at, dec("677.87"), numbers[0], *numbers[1:], None)


def an_order(at=LEAVE):
    ticket = OrderTicket("ref", SPY, Side.BUY, 10, dec("0.80"))
    return OrderRecord(ticket, 1, LegName.SPY, Purpose.EXIT, 1, 1, 1, at)


def pnl_of(fills):
    cash = sum(-fill.signed_quantity * fill.execution.price * 100 for fill in fills)
    return cash - sum(fill.commission for fill in fills)
