"""Views for people: readable columns, New York's time in one form, today as New York counts it."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import pytest
from samples import DAY, NOW, D, a_fill, a_trade, an_order, record

from spxarb.core.model import NEW_YORK, ExitReason, LegName
from spxarb.core.trades import TradeState
from spxarb.ledger.ledger import Ledger
from spxarb.ledger.views import VIEWS, new_york


def rows(ledger, sql):
    return ledger._file.rows(sql)


def one(ledger, view):
    (row,) = rows(ledger, f"SELECT * FROM {view}")
    return row


# --- today ----------------------------------------------------------------------------------------


def test_new_yorks_time_is_right_at_every_hour_around_each_clock_change_and_new_year():
    moments = []
    for year in range(2024, 2036):
        for month, day in ((1, 1), (3, 7), (7, 4), (10, 31)):
            start = datetime(year, month, day, tzinfo=UTC)
            moments += [start + timedelta(minutes=30 * half) for half in range(9 * 48)]
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE moments (utc TEXT)")
        db.executemany(
            "INSERT INTO moments VALUES (?)", [(f"{moment:%Y-%m-%d %H:%M:%S}",) for moment in moments]
        )
        found = [text for (text,) in db.execute(f"SELECT {new_york('utc')} FROM moments")]
    assert found == [f"{moment.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}" for moment in moments]


def test_today_is_new_yorks_also_when_it_is_tomorrow_in_utc(ledger):
    before = datetime.now(NEW_YORK).date()
    today = one(ledger, "v_today")["today"]
    assert before.isoformat() <= today <= datetime.now(NEW_YORK).date().isoformat()


def test_in_the_simulator_today_is_the_gateways_day(tmp_path):
    with Ledger.open(tmp_path / "sim.db", mode="sim") as ledger:
        for moment in (NOW - timedelta(days=30), NOW):
            run = ledger.runs.begin("enter", [], datetime.now(NEW_YORK))
            ledger._file.update("runs", {"market_time": moment.isoformat()}, id=run)
        ledger.runs.begin("log", [], datetime.now(NEW_YORK))
        ledger.trades.create(a_trade(entry_time=NOW))
        ledger.trades.create(a_trade(trade_date=DAY - timedelta(days=1)))
        assert one(ledger, "v_today") == {"today": DAY.isoformat(), "now": "2026-02-13 09:35:00"}
        found = rows(ledger, "SELECT id FROM trades WHERE date(trade_date) = (SELECT today FROM v_today)")
        assert [row["id"] for row in found] == [1]


# --- the rows -------------------------------------------------------------------------------------


def test_a_trade_reads_like_a_blotter(ledger):
    trade = ledger.trades.create(
        a_trade(
            entry_time=NOW,
            state=TradeState.CLOSED,
            entry_credit=D("408.191"),
            exit_cost=D("-408.28"),
            final_pnl=D("816.47"),
            commissions=D("23.53"),
            exit_time=NOW + timedelta(minutes=370, seconds=20),
            exit_reason=ExitReason.TIME,
            strike_mismatch=D("-4.6612"),
        )
    )
    record(ledger, a_fill(trade, "1.01", price=D("26.1")))
    record(ledger, a_fill(trade, "2.01", price=D("26.3")))
    row = one(ledger, "v_trades")
    assert (row["trade_date"], row["entered_at"], row["exited_at"]) == (
        "2026-02-13 09:35:00", "2026-02-13 09:35:00", "2026-02-13 15:45:20",
    )  # fmt: skip
    assert (row["minutes_held"], row["exit_reason"], row["result"]) == (370, "TIME", "won")
    assert (row["spx_entry_price"], row["spy_entry_price"]) == (26.2, None)
    assert (row["entry_credit"], row["final_pnl"], row["mismatch_points"]) == (408.19, 816.47, -4.66)
    assert (row["commissions_estimated"], row["provisional"]) == ("yes", "no")


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"state": TradeState.OPEN}, "open"),
        ({"state": TradeState.CLOSED, "final_pnl": D("-1.00")}, "lost"),
        ({"state": TradeState.CLOSED, "final_pnl": D(0)}, "even"),
        ({"state": TradeState.CLOSED}, "unknown"),
    ],
)
def test_what_a_trade_came_to_is_one_word_and_unknown_is_not_even(ledger, fields, result):
    ledger.trades.create(a_trade(**fields))
    assert one(ledger, "v_trades")["result"] == result


def test_a_day_has_its_weekday_its_attempts_and_the_result_so_far(ledger):
    for ago, net in ((0, "-100.5"), (1, "30.25"), (2, None)):
        day = DAY - timedelta(days=ago)
        ledger.days.write_summary({"date": day, "trades_count": 1, "net_pnl": net and D(net)})
    for dry_run in (False, False, True):
        ledger.runs.add_decision(
            None, "enter", NOW, dry_run=dry_run, outcome="skipped", would="skip", payload={}
        )
    found = rows(
        ledger, "SELECT date, weekday, attempts, net_pnl, net_pnl_so_far FROM v_days ORDER BY date DESC"
    )
    assert [tuple(row.values()) for row in found] == [
        ("2026-02-13", "Friday", 2, -100.5, -70.25),
        ("2026-02-12", "Thursday", 0, 30.25, 30.25),
        ("2026-02-11", "Wednesday", 0, None, None),
    ]


def test_a_decision_says_in_columns_why_there_was_no_entry(ledger):
    checks = [
        {"name": "strikes", "ok": True, "message": "6835 and 683"},
        {"name": "net_credit", "ok": False, "message": "-41.80 is below 400.00"},
        {"name": "spx_spread", "ok": False, "message": "0.60 is above 0.50"},
        {"name": "margin", "ok": None, "message": "not asked"},
    ]
    payload = {
        "checks": checks,
        "credit": {"net": D("-41.80")},
        "risk": {"edge": D("12.345")},
        "trade_id": None,
    }
    run = ledger.runs.begin("enter", [], NOW)
    ledger.runs.end(run, NOW, 0, None)
    ledger.runs.add_decision(
        run, "enter", NOW, dry_run=True, outcome="dry_run", would="skip", payload=payload
    )
    row = one(ledger, "v_decisions")
    assert (row["at"], row["command"], row["dry_run"], row["would"]) == (
        "2026-02-13 09:35:00",
        "enter",
        "yes",
        "skip",
    )
    assert (row["net_credit"], row["edge"], row["trade_id"]) == (-41.8, 12.35, None)
    assert (row["checks_passed"], row["checks_failed"], row["exit_code"]) == (1, 2, 0)
    assert row["failed"] == "net_credit, spx_spread"
    assert row["why"] == "-41.80 is below 400.00; 0.60 is above 0.50"


def test_a_decision_that_something_else_spoilt_hides_no_other(ledger):
    for outcome in ("skipped", "entered"):
        ledger.runs.add_decision(None, "enter", NOW, dry_run=False, outcome=outcome, would=None, payload={})
    ledger._file.execute("UPDATE decisions SET payload = '{', checks = 'none' WHERE id = 1")
    assert [row["outcome"] for row in rows(ledger, "SELECT * FROM v_decisions")] == ["entered", "skipped"], (
        "the newest first"
    )


def test_an_order_has_its_contract_and_its_fills_beside_it(ledger):
    trade = ledger.trades.create(a_trade())
    ledger.orders.intend(an_order(trade))
    ledger.orders.intend(an_order(trade, 2, leg=LegName.SPY))
    for exec_id, quantity, price in (("1.01", 1, "17.9"), ("2.01", 3, "17.7"), ("2.02", 3, "17.5")):
        record(ledger, a_fill(trade, exec_id, quantity=D(quantity), price=D(price), commission="1.30"))
    filled, unfilled = rows(ledger, "SELECT * FROM v_orders ORDER BY sent_at, order_id")
    assert (filled["contract"], filled["purpose"], filled["side"]) == (
        "SPXW 2026-02-13 6835 C",
        "entry",
        "BUY",
    )
    assert (filled["type"], filled["limit_price"]) == ("limit", 17.9)
    assert (filled["filled"], filled["average_price"], filled["commission"]) == (4, 17.6, 2.6)
    assert (filled["sent_at"], filled["filled_at"], filled["final"]) == (
        "2026-02-13 09:35:00", "2026-02-13 09:35:00", "no",
    )  # fmt: skip
    assert (unfilled["filled"], unfilled["average_price"]) == (None, None)


def test_every_time_has_one_form_in_winter_and_in_summer(ledger):
    """A column of times of two offsets is no column of times to pandas."""
    for day in (date(2026, 3, 6), date(2026, 3, 9)):
        at = datetime(day.year, day.month, day.day, 9, 35, 0, 123456, tzinfo=NEW_YORK)
        trade = ledger.trades.create(a_trade(trade_date=day, entry_time=at, exit_time=at))
        ledger.orders.intend(an_order(trade, trade.id, created_at=at))
        ledger.runs.add_decision(
            None, "enter", at, dry_run=False, outcome="skipped", would="skip", payload={}
        )
    for view, column in (("v_trades", "entered_at"), ("v_decisions", "at"), ("v_orders", "sent_at")):
        found = [row[column] for row in rows(ledger, f"SELECT {column} FROM {view} ORDER BY 1")]
        assert found == ["2026-03-06 09:35:00", "2026-03-09 09:35:00"], view
    for view in VIEWS:
        for row in rows(ledger, f"SELECT * FROM {view}"):
            assert not [text for text in row.values() if re.search(r"\dT\d", str(text))], view


def test_trades_of_one_day_are_in_the_order_of_their_entries(ledger):
    for minute in (40, 35, 55):
        ledger.trades.create(a_trade(entry_time=NOW.replace(minute=minute)))
    found = rows(ledger, f"SELECT id FROM trades WHERE date(trade_date) = '{DAY}' ORDER BY trade_date DESC")
    assert [row["id"] for row in found] == [3, 1, 2]
    assert [trade.id for trade in ledger.trades.of_day(DAY)] == [1, 2, 3]
    assert ledger.trades.last_day() == DAY
    assert ledger.trades.between(DAY + timedelta(days=1)) == []
    assert [row["trade_date"] for row in ledger.trades.rows(DAY, DAY)] == ["2026-02-13"] * 3, "a report's day"
