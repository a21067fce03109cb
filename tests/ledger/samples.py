"""Trades, orders and fills for the tests of the ledger, and two things that only tests read from it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from spxarb.core.broker_books import Execution, OrderTicket
from spxarb.core.contracts import SPX_OPTION_TICKS, Contract
from spxarb.core.model import NEW_YORK, LegName, Side
from spxarb.core.order_words import Purpose
from spxarb.core.records import Fill, OrderRecord, Trade
from spxarb.core.trades import TradeState
from spxarb.ledger.rows import order_to_row

D = Decimal
DAY = date(2026, 2, 13)
NOW = datetime(2026, 2, 13, 9, 35, tzinfo=NEW_YORK)
SPX = Contract(
    700001, "SPX", "OPT", trading_class="SPXW", expiry=DAY, strike=D(6835), right="C", multiplier=100,
    ticks=SPX_OPTION_TICKS,
)  # fmt: skip
SPY = Contract(
    700002, "SPY", "OPT", trading_class="SPY", expiry=DAY, strike=D(683), right="C", multiplier=100
)


def a_trade(**fields):
    given = {"trade_date": DAY, "state": TradeState.ENTERING, "account": "DU1", "spx": SPX, "spy": SPY}
    return Trade(**{"id": 0, "spx_contracts": 1, "spy_contracts": 10} | given | fields)


def an_order(trade, number=1, *, leg=LegName.SPX, purpose=Purpose.ENTRY, **fields):
    ticket = OrderTicket(
        f"spxarb:4f1c:{trade.id}:{leg}:{purpose}{number}", trade.contract(leg), Side.BUY, 1, D("17.9")
    )
    given = {"client_id": 1, "order_id": number, "created_at": NOW, "ticket": ticket}
    return OrderRecord(
        **{"trade_id": trade.id, "leg": leg, "purpose": purpose, "attempt": number} | given | fields
    )


def a_fill(trade, exec_id="0001.01.01", *, commission="1.30", estimated=False, **execution):
    given = {
        "order_ref": f"spxarb:4f1c:{trade.id}:SPX:e1", "order_id": 1, "client_id": 1, "perm_id": 9,
        "con_id": SPX.con_id, "symbol": "SPX", "side": Side.BUY, "quantity": D(1), "price": D("17.9"),
        "time": NOW, "account": "DU1", "commission": None if estimated else D(commission),
    }  # fmt: skip
    return Fill(
        Execution(exec_id, **given | execution),
        trade.id,
        LegName.SPX,
        Purpose.ENTRY,
        D(commission),
        estimated,
    )


def record(ledger, fill):
    """Record the execution, its order before it: none of ours fills an order that is not in the ledger."""
    execution = fill.execution
    known = ledger._file.rows("SELECT 1 FROM orders WHERE order_ref = ?", execution.order_ref)
    if fill.purpose is not Purpose.BY_HAND and not known:
        contract = ledger.trades.get(fill.trade_id).contract(fill.leg)
        ticket = OrderTicket(execution.order_ref, contract, execution.side, 1, None)
        order = OrderRecord(
            ticket, fill.trade_id, fill.leg, fill.purpose, 1, 1, 0, execution.time, final=True
        )
        ledger._file.insert("orders", order_to_row(order))
    return ledger.fills.record(fill)


def steps_of(ledger, ref):
    """The life of an order, oldest first, as stored."""
    return ledger._file.rows(
        "SELECT at, step, limit_price, detail FROM order_steps WHERE order_ref = ? ORDER BY id", ref
    )


def commands(ledger):
    """The command of every run, oldest first."""
    return [row["command"] for row in ledger._file.rows("SELECT command FROM runs ORDER BY id")]
