"""The ledger's contents: the promised tables, and every fact comes back as it was written."""

from __future__ import annotations

import dataclasses
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spxarb.cli import shapes
from spxarb.core.model import (
    NEW_YORK,
    PENNY,
    SPX_OPTION_TICKS,
    Check,
    Contract,
    Execution,
    ExitReason,
    LegName,
    OrderTicket,
    Side,
    TickRule,
    TradeStatus,
)
from spxarb.core.records import Fill, Mark, OrderRecord, Purpose, Settlement, Trade
from spxarb.ledger.ledger import Ledger

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


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trading.db"


@pytest.fixture
def store(path):
    with Ledger.open(path, mode="paper") as opened:
        yield opened


def a_trade(**fields):
    given = {"trade_date": DAY, "status": TradeStatus.PENDING, "account": "DU1", "spx": SPX, "spy": SPY}
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


def columns(store, table):
    return [row["name"] for row in store._file.rows(f"PRAGMA table_info({table})")]


# --- the promised tables ------------------------------------------------------------------------------


TRADES = (
    "id, trade_date, spy_price, spx_price, spy_strike, spx_strike, spy_entry_bid, spy_entry_ask, "
    "spx_entry_bid, spx_entry_ask, entry_credit, entry_time, entry_filled, spy_exit_price, spx_exit_price, "
    "exit_cost, exit_time, exit_reason, final_pnl, commissions, status"
)
DAYS = "id, date, trades_count, winning_trades, losing_trades, total_pnl, total_commissions, net_pnl, max_drawdown"
STATE = "id, last_updated, is_trading, open_positions, daily_pnl, trades_today, errors_today"


@pytest.mark.parametrize(
    ("table", "promised"), [("trades", TRADES), ("daily_summary", DAYS), ("system_state", STATE)]
)
def test_the_promised_columns_come_first_in_their_order(store, table, promised):
    names = promised.split(", ")
    assert columns(store, table)[: len(names)] == names


def test_reports_begin_with_the_columns_that_the_csv_promises(store):
    trade = store.trades.create(a_trade())
    store.fills.record(a_fill(trade))
    store.days.write_summary({"date": DAY})
    for rows, promised in (
        (store.trades.rows(DAY, DAY), shapes.TRADE_COLUMNS),
        (store.days.summary_rows(DAY, DAY), shapes.DAY_COLUMNS),
        (store.fills.rows(DAY, DAY), shapes.EXECUTION_COLUMNS),
    ):
        assert tuple(rows[0])[: len(promised)] == promised


def test_users_own_statements_work(store, path):
    today = datetime.now(UTC).date()
    store.trades.create(a_trade(trade_date=today, entry_credit=D("412.35")))
    store.trades.create(a_trade(trade_date=today - timedelta(days=2)))
    for ago in range(12):
        store.days.write_summary(
            {"date": today - timedelta(days=ago), "trades_count": 1, "total_pnl": D("40.5"), "net_pnl": D(30)}
        )
    with closing(sqlite3.connect(path)) as db:
        trades = db.execute(
            "SELECT * FROM trades WHERE date(trade_date) = date('now') ORDER BY trade_date DESC;"
        ).fetchall()
        days = db.execute(
            "SELECT date, trades_count, total_pnl, net_pnl FROM daily_summary ORDER BY date DESC LIMIT 10;"
        ).fetchall()
    assert [row[0] for row in trades] == [1]
    assert trades[0][1] == today.isoformat()
    assert len(days) == 10
    assert days[0] == (today.isoformat(), 1, 40.5, 30.0)


def test_a_trade_is_stored_in_plain_sql_types(store, path):
    store.trades.create(
        a_trade(
            entry_credit=D("412.35"),
            entry_time=NOW,
            entry_filled=True,
            status=TradeStatus.ACTIVE,
            spy_price=D("683.12"),
            exit_reason=ExitReason.TIME,
        )
    )
    with closing(sqlite3.connect(path)) as db:
        row = db.execute(
            "SELECT trade_date, spy_price, spy_strike, spx_strike, entry_credit, entry_time, entry_filled, "
            "exit_reason, final_pnl, status FROM trades"
        ).fetchone()
    assert row == (
        "2026-02-13", 683.12, 683.0, 6835.0, 412.35, "2026-02-13T09:35:00-05:00", 1, "TIME", None, "ACTIVE",
    )  # fmt: skip


def test_every_time_is_written_with_new_yorks_offset(store):
    summer = datetime(2026, 7, 1, 13, 35, tzinfo=UTC)
    trade = store.trades.create(a_trade(entry_time=summer))
    assert store.trades.rows()[0]["entry_time"] == "2026-07-01T09:35:00-04:00"
    assert trade.entry_time == summer
    assert trade.entry_time.tzinfo is NEW_YORK


def test_what_is_no_number_or_has_no_time_zone_is_not_stored(store):
    for wrong in (D("NaN"), D("Infinity"), D("1E+400"), D("1E+16")):
        with pytest.raises(ValueError, match="cannot be stored"):
            store.trades.create(a_trade(entry_credit=wrong))
    with pytest.raises(ValueError, match="no time zone"):
        store.trades.create(a_trade(entry_time=datetime(2026, 2, 13, 9, 35)))
    assert store.trades.between() == []


# --- everything comes back ----------------------------------------------------------------------------

numbers = st.decimals(min_value=-1_000_000, max_value=1_000_000, places=4, allow_nan=False)
ratios = st.decimals(min_value=0, max_value=20, places=8, allow_nan=False)
moments = st.datetimes(
    min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1), timezones=st.just(NEW_YORK)
).filter(lambda moment: moment.astimezone(UTC).astimezone(NEW_YORK) == moment)
days = st.dates(date(2020, 1, 1), date(2040, 1, 1))
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
counts = st.integers(0, 2**53)
plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
tick_rules = st.lists(
    st.tuples(st.decimals(0, 100, places=2), st.decimals("0.01", 5, places=4)), min_size=1, max_size=3
).map(lambda rows: TickRule(tuple(rows)))
contracts = st.builds(
    Contract,
    con_id=counts,
    symbol=words,
    sec_type=st.sampled_from(["OPT", "STK", "IND"]),
    exchange=words,
    currency=words,
    trading_class=words,
    local_symbol=words,
    expiry=st.none() | days,
    strike=st.none() | st.decimals(min_value=0, max_value=100_000),
    right=st.none() | st.sampled_from("CP"),
    multiplier=st.integers(1, 1000),
    ticks=tick_rules,
)
trades = st.builds(
    Trade,
    id=counts,
    trade_date=days,
    status=st.sampled_from(TradeStatus),
    account=words,
    spx=contracts,
    spy=contracts,
    spx_contracts=counts,
    spy_contracts=counts,
    **{
        field.name: st.none() | numbers
        for field in dataclasses.fields(Trade)
        if field.type == "Decimal | None" and field.name != "ratio"
    },
    entry_time=st.none() | moments,
    entry_filled=st.booleans(),
    exit_time=st.none() | moments,
    exit_reason=st.none() | st.sampled_from(ExitReason),
    commissions_estimated=st.booleans(),
    provisional=st.booleans(),
    residual=st.lists(st.sampled_from(LegName), unique=True).map(tuple),
    ratio=st.none() | ratios,
    limits=st.dictionaries(words, plain_values, max_size=3),
    note=words,
)
tickets = st.builds(
    OrderTicket,
    order_ref=words,
    contract=contracts,
    side=st.sampled_from(Side),
    quantity=counts,
    limit=st.none() | numbers,
    tif=words,
    good_after=st.none() | moments,
)
records = st.builds(
    OrderRecord,
    ticket=tickets,
    trade_id=st.just(1),
    leg=st.sampled_from(LegName),
    purpose=st.sampled_from(Purpose),
    attempt=counts,
    client_id=counts,
    order_id=counts,
    created_at=moments,
    perm_id=counts,
    status=words,
    final=st.booleans(),
    filled=st.none() | numbers,
)
executions = st.builds(
    Execution,
    exec_id=words,
    order_ref=words,
    order_id=counts,
    client_id=counts,
    perm_id=counts,
    con_id=counts,
    symbol=words,
    side=st.sampled_from(Side),
    quantity=numbers,
    price=numbers,
    time=moments,
    account=words,
    sec_type=words,
)
fills = st.builds(
    lambda execution, leg, purpose, commission, estimated: Fill(
        dataclasses.replace(execution, commission=None if estimated else commission),
        1,
        leg,
        purpose,
        commission,
        estimated,
    ),
    executions,
    st.sampled_from(LegName),
    st.sampled_from(Purpose),
    numbers,
    st.booleans(),
)
roundtrip = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def emptied(store, *tables):
    with store.write():
        store._file._db.execute("DROP TRIGGER IF EXISTS order_steps_remain")
        for table in tables:
            store._file._db.execute(f"DELETE FROM {table}")


@roundtrip
@given(trade=trades)
def test_a_trade_comes_back_exactly(store, trade):
    stored = store.trades.create(trade)
    assert stored == dataclasses.replace(trade, id=stored.id)
    assert store.trades.get(stored.id) == stored


@roundtrip
@given(
    old=trades, new=trades, names=st.sets(st.sampled_from([f.name for f in dataclasses.fields(Trade)][1:]))
)
def test_an_update_changes_these_fields_and_no_other(store, old, new, names):
    stored = store.trades.create(old)
    changes = {name: getattr(new, name) for name in names}
    changed = store.trades.update(stored.id, **changes)
    assert changed == dataclasses.replace(stored, **changes)
    assert store.trades.get(stored.id) == changed


@roundtrip
@given(record=records)
def test_an_order_comes_back_exactly(store, record):
    emptied(store, "order_steps", "orders", "trades")
    store._file._db.execute("DELETE FROM sqlite_sequence")
    assert store.trades.create(a_trade()).id == 1
    store.orders.intend(record)
    assert store.orders.find(record.ref) == record
    assert store.orders.of_trade(1) == [record]
    assert store.orders.of_id(record.client_id, record.order_id) == record
    assert store.orders.unproven() == ([] if record.final else [record])


@roundtrip
@given(fill=fills)
def test_an_execution_comes_back_exactly(store, fill):
    emptied(store, "executions", "trades")
    store._file._db.execute("DELETE FROM sqlite_sequence")
    assert store.trades.create(a_trade()).id == 1
    assert store.fills.record(fill)
    assert not store.fills.record(fill)
    assert store.fills.of_trade(1) == [fill]
    assert store.fills.of_day(fill.execution.time.date()) == [fill]
    assert store.fills.exec_ids() == {fill.execution.exec_id}


def test_a_quotient_without_end_keeps_eight_decimals(store):
    trade = store.trades.create(a_trade(ratio=D("6834.12") / D("683.27")))
    assert trade.ratio == D("10.00207824")
    assert store.trades.update(trade.id, ratio=trade.ratio) == trade


def test_text_that_is_no_utf8_stops_no_record(store):
    trade = store.trades.create(a_trade(note="half a letter \udcc3", limits={"\udcc3": "\udcc3"}))
    assert trade.note == "half a letter \\udcc3"
    store.state.set_trading(False, "\udcc3", NOW)
    assert store.trades.update(trade.id, note="\udcc3").note == "\\udcc3"


# --- trades -------------------------------------------------------------------------------------------


def test_a_trades_id_is_never_given_twice(store):
    assert [store.trades.create(a_trade(id=7)).id for _ in range(2)] == [1, 2]
    store._file._db.execute("DELETE FROM trades WHERE id = 2")
    assert store.trades.create(a_trade()).id == 3


def test_open_trades_are_all_that_are_not_closed(store):
    for status in TradeStatus:
        store.trades.create(a_trade(status=status))
    assert [trade.status for trade in store.trades.open()] == ["PENDING", "ACTIVE", "ERROR"]


def test_trades_are_found_by_day(store):
    assert store.trades.last_day() is None
    for day in (11, 13, 12, 13):
        store.trades.create(a_trade(trade_date=DAY.replace(day=day), provisional=day == 12))
    assert [trade.id for trade in store.trades.of_day(DAY)] == [2, 4]
    assert [trade.id for trade in store.trades.between(DAY.replace(day=12), DAY)] == [2, 3, 4]
    assert [trade.id for trade in store.trades.between()] == [1, 2, 3, 4]
    assert [row["id"] for row in store.trades.rows(until=DAY.replace(day=12))] == [1, 3]
    assert [trade.id for trade in store.trades.provisional()] == [3]
    assert store.trades.last_day() == DAY


def test_an_update_of_what_there_is_not_is_a_mistake(store):
    trade = store.trades.create(a_trade())
    for wrong in ({"entry_kredit": D(1)}, {"id": 2}, {"spy_strike": D(683)}):
        with pytest.raises(TypeError):
            store.trades.update(trade.id, **wrong)
    with pytest.raises(KeyError):
        store.trades.update(99, note="x")
    with pytest.raises(KeyError):
        store.trades.get(99)
    assert store.trades.update(trade.id) == trade


def test_a_new_contract_brings_its_strike(store):
    trade = store.trades.create(a_trade())
    store.trades.update(trade.id, spy=dataclasses.replace(SPY, strike=D(684)))
    assert store.trades.rows()[0]["spy_strike"] == 684.0
    assert store.trades.rows()[0]["spx_strike"] == 6835.0


def test_any_fill_counts_a_trade_once_toward_the_days_maximum(store):
    filled, unfilled, yesterday = (
        store.trades.create(a_trade(trade_date=day)) for day in (DAY, DAY, DAY - timedelta(days=1))
    )
    store.fills.record(a_fill(filled, "1.01"))
    store.fills.record(a_fill(filled, "2.01"))
    store.fills.record(a_fill(yesterday, "3.01"))
    assert store.trades.count_filled(DAY) == 1
    assert store.fills.of_trade(unfilled.id) == []


# --- orders -------------------------------------------------------------------------------------------


def test_an_intent_survives_a_kill_right_after_it(path):
    code = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_ledger import a_trade, an_order
from spxarb.ledger.ledger import Ledger
store = Ledger.open(Path(sys.argv[1]), mode="paper")
store.orders.intend(an_order(store.trades.create(a_trade())))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, path, __file__.rpartition("/")[0]], check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    with Ledger.open(path, mode="paper") as store:
        (trade,) = store.trades.open()
        assert store.orders.unproven() == [an_order(trade)]
        assert [step["step"] for step in store.orders.steps(an_order(trade).ref)] == ["intent"]


def test_an_intent_within_a_transaction_is_refused_because_it_would_not_be_on_disk(store):
    trade = store.trades.create(a_trade())
    with store.write(), pytest.raises(RuntimeError):
        store.orders.intend(an_order(trade))
    assert store.orders.of_trade(trade.id) == []


def test_a_reference_and_an_order_id_are_used_once(store):
    trade = store.trades.create(a_trade())
    store.orders.intend(an_order(trade, 1))
    with pytest.raises(sqlite3.IntegrityError):
        store.orders.intend(an_order(trade, 1, order_id=2))
    with pytest.raises(sqlite3.IntegrityError):
        store.orders.intend(an_order(trade, 2, order_id=1))
    store.orders.intend(an_order(trade, 2, order_id=1, client_id=2))
    assert len(store.orders.of_trade(trade.id)) == 2
    assert len(store.orders.steps(an_order(trade, 2).ref)) == 1


def test_an_order_needs_its_trade(store):
    with pytest.raises(sqlite3.IntegrityError):
        store.orders.intend(an_order(a_trade(id=5)))


def test_the_life_of_an_order_is_kept_step_by_step(store):
    trade = store.trades.create(a_trade())
    record = an_order(trade)
    ref = record.ref
    store.orders.intend(record)
    store.orders.seen(ref, "PreSubmitted", at=NOW)
    store.orders.seen(ref, "Submitted", 77, NOW)
    store.orders.seen(ref, "Submitted", 77, NOW)  # said before
    store.orders.reprice(ref, D("17.8"), NOW + timedelta(seconds=30))
    store.orders.add_step(ref, "cancel", NOW + timedelta(seconds=60), "time is over")
    store.orders.finish(ref, "Cancelled", D(0), NOW + timedelta(seconds=61), "completed orders")
    after = store.orders.find(ref)
    assert after == dataclasses.replace(
        record,
        ticket=dataclasses.replace(record.ticket, limit=D("17.8")),
        perm_id=77, status="Cancelled", final=True, filled=D(0),
    )  # fmt: skip
    steps = store.orders.steps(ref)
    assert [step["step"] for step in steps] == ["intent", "status", "status", "reprice", "cancel", "final"]
    assert [step["limit_price"] for step in steps] == [17.9, None, None, 17.8, None, None]
    assert steps[-1]["detail"] == "Cancelled, 0 filled: completed orders"
    assert steps[-1]["at"] == "2026-02-13T09:36:01-05:00"


def test_late_news_of_a_final_order_is_kept_and_proves_nothing(store):
    record = an_order(store.trades.create(a_trade()))
    store.orders.intend(record)
    store.orders.finish(record.ref, "Filled", D(1), NOW, "execution")
    store.orders.seen(record.ref, "Submitted", 77)
    known = store.orders.find(record.ref)
    assert (known.status, known.final, known.perm_id) == ("Filled", True, 77)
    assert store.orders.steps(record.ref)[-1] == {
        "at": None,
        "step": "status",
        "limit_price": None,
        "detail": "Submitted",
    }
    store.orders.finish(record.ref, "Filled", D(2), NOW, "a later execution")
    assert store.orders.find(record.ref).filled == 2


def test_an_order_that_was_taken_for_over_can_live_again(store):
    record = an_order(store.trades.create(a_trade()))
    store.orders.intend(record)
    store.orders.finish(record.ref, "absent", D(0), NOW, "two looks")
    assert (store.orders.absent(NOW.date()), store.orders.unproven()) == ([store.orders.find(record.ref)], [])
    assert store.orders.absent(NOW.date() + timedelta(days=1)) == []
    store.orders.revive(record.ref, "Submitted", NOW)
    assert (store.orders.absent(NOW.date()), store.orders.unproven()) == ([], [store.orders.find(record.ref)])
    assert store.orders.find(record.ref).filled is None
    assert store.orders.steps(record.ref)[-1]["step"] == "revived"


def test_steps_are_never_changed_or_removed(store):
    record = an_order(store.trades.create(a_trade()))
    store.orders.intend(record)
    for statement in ("UPDATE order_steps SET step = 'x'", "DELETE FROM order_steps"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store._file._db.execute(statement)


def test_news_of_an_unknown_order_is_a_mistake(store):
    for call in (
        lambda: store.orders.reprice("spxarb:no", D(1), NOW),
        lambda: store.orders.seen("spxarb:no", "Filled"),
        lambda: store.orders.finish("spxarb:no", "Filled", D(1), NOW, ""),
    ):
        with pytest.raises(KeyError):
            call()
    with pytest.raises(sqlite3.IntegrityError):
        store.orders.add_step("spxarb:no", "cancel", NOW)
    assert store.orders.find("spxarb:no") is None
    assert store.orders.of_id(1, 1) is None
    assert store._file.rows("SELECT * FROM order_steps") == []


def test_attempts_and_order_ids_go_on_from_the_highest(store):
    trade = store.trades.create(a_trade())
    assert store.orders.next_attempt(trade.id, LegName.SPX, Purpose.ENTRY) == 1
    assert store.orders.highest_id(1) == 0
    store.orders.intend(an_order(trade, 3, order_id=41))
    store.orders.intend(an_order(trade, 1, purpose=Purpose.EXIT, order_id=50, client_id=2))
    assert store.orders.next_attempt(trade.id, LegName.SPX, Purpose.ENTRY) == 4
    assert store.orders.next_attempt(trade.id, LegName.SPX, Purpose.EXIT) == 2
    assert store.orders.next_attempt(trade.id, LegName.SPY, Purpose.ENTRY) == 1
    assert store.orders.next_attempt(trade.id + 1, LegName.SPX, Purpose.ENTRY) == 1
    assert (store.orders.highest_id(1), store.orders.highest_id(2)) == (41, 50)


# --- executions ---------------------------------------------------------------------------------------


def test_an_execution_counts_once_however_often_it_comes(store):
    trade = store.trades.create(a_trade())
    assert store.fills.record(a_fill(trade))
    assert not store.fills.record(a_fill(trade))
    assert len(store.fills.of_trade(trade.id)) == 1


def test_a_correction_replaces_and_never_adds(store):
    trade = store.trades.create(a_trade())
    store.fills.record(a_fill(trade, "0001.01.01", price=D("17.9")))
    store.fills.record(a_fill(trade, "0001.02.01", price=D("17.8")))
    assert store.fills.record(a_fill(trade, "0001.01.02", price=D("17.7")))
    assert [fill.execution.price for fill in store.fills.of_trade(trade.id)] == [D("17.8"), D("17.7")]
    assert not store.fills.record(a_fill(trade, "0001.01.01", price=D("17.9")))
    assert [row["exec_id"] for row in store.fills.rows()] == ["0001.02.01", "0001.01.02"]
    assert len(store.fills.of_day(DAY)) == 2
    assert store.fills.exec_ids() == {"0001.01.01", "0001.02.01", "0001.01.02"}


def test_a_correction_that_comes_first_still_stands(store):
    trade = store.trades.create(a_trade())
    store.fills.record(a_fill(trade, "0001.01.02", price=D("17.7")))
    assert store.fills.record(a_fill(trade, "0001.01.01", price=D("17.9")))
    assert [fill.execution.exec_id for fill in store.fills.of_trade(trade.id)] == ["0001.01.02"]


def test_a_reported_commission_replaces_an_estimate_and_never_the_other_way(store):
    trade = store.trades.create(a_trade())
    assert store.fills.record(a_fill(trade, commission="1.30", estimated=True))
    assert store.fills.estimated() == store.fills.of_trade(trade.id)
    assert store.fills.record(a_fill(trade, commission="1.40", estimated=True))
    assert store.fills.record_commission("0001.01.01", D("1.2345"))
    assert not store.fills.record(a_fill(trade, commission="1.30", estimated=True))
    (fill,) = store.fills.of_trade(trade.id)
    assert (fill.commission, fill.commission_estimated, fill.execution.commission) == (
        D("1.2345"),
        False,
        D("1.2345"),
    )
    assert not store.fills.record_commission("0001.01.01", D("1.2345"))
    assert store.fills.record_commission("0001.01.01", D("1.25"))  # the broker thought again
    assert store.fills.estimated() == []
    assert not store.fills.record_commission("0009.01.01", D(1))


def test_an_order_number_that_was_missing_is_filled_in(store):
    trade = store.trades.create(a_trade())
    store.fills.record(a_fill(trade, perm_id=0))
    assert store.fills.record(a_fill(trade, perm_id=9))
    assert not store.fills.record(a_fill(trade, perm_id=0))
    assert store.fills.of_trade(trade.id)[0].execution.perm_id == 9


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_the_order_of_the_news_the_same_fills_stand(store, data):
    """Each execution comes live (estimated) and from a question (reported), corrected or not, repeated or not."""
    trade = store.trades.create(a_trade())
    news = [
        a_fill(
            trade,
            f"{trade.id}.{family}.{revision}",
            commission=commission,
            estimated=estimated,
            price=D(price),
        )
        for family in ("01", "02")
        for revision, price in (("01", "17.9"), ("02", "17.8"), ("03", "17.7"))
        for commission, estimated in (("1.30", True), ("1.25", False))
    ]
    order = data.draw(st.permutations(news))
    repeated = data.draw(st.lists(st.sampled_from(news), max_size=5))
    for fill in [*order, *repeated]:
        store.fills.record(fill)
    assert not any(store.fills.record(fill) for fill in news)
    assert {
        (fill.execution.exec_id, fill.execution.price, fill.commission)
        for fill in store.fills.of_trade(trade.id)
    } == {(f"{trade.id}.{family}.03", D("17.7"), D("1.25")) for family in ("01", "02")}


# --- settlements, marks, baselines --------------------------------------------------------------------


def test_a_final_settlement_replaces_a_provisional_one_and_never_the_other_way(store):
    trade = store.trades.create(a_trade())
    first = Settlement(trade.id, LegName.SPX, D(1), D("6840.12"), D("512.00"), "last price", NOW)
    final = dataclasses.replace(first, price=D("6840.20"), cash=D("520.00"), provisional=False)
    other = dataclasses.replace(first, leg=LegName.SPY, quantity=D(-10))
    assert store.settlements.record(first)
    assert not store.settlements.record(first)
    assert store.settlements.record(other)
    assert store.settlements.record(final)
    assert not store.settlements.record(first)
    assert store.settlements.of_trade(trade.id) == [final, other]
    assert store.settlements.of_trade(99) == []


def test_marks_come_back_in_their_order(store):
    trade = store.trades.create(a_trade())
    seen = Mark(trade.id, NOW, D("683.1"), None, D("1.5"), D("1.52"), None, D("15.2"), None)
    later = dataclasses.replace(seen, at=NOW + timedelta(minutes=5), pnl=D("-12.35"))
    store.trades.add_mark(seen)
    store.trades.add_mark(later)
    assert store.trades.marks(trade.id) == [seen, later]
    store.days.add_mark(DAY, NOW, D("-5.25"))
    store.days.add_mark(DAY, NOW, D("0.1"))
    assert store.days.marks(DAY) == [(NOW, D("-5.25")), (NOW, D("0.1"))]
    assert store.days.marks(DAY + timedelta(days=1)) == []


def test_the_baseline_is_the_newest_one_of_an_earlier_day_and_of_this_account(store):
    for day, account, shares in ((10, "DU1", 5), (12, "DU1", 7), (12, "DU2", 9), (13, "DU1", 100)):
        store.days.set_baseline(DAY.replace(day=day), account, D(shares), NOW)
    store.days.set_baseline(DAY.replace(day=12), "DU1", D("8.5"), NOW)
    assert store.days.baseline_before(DAY, "DU1") == (DAY.replace(day=12), D("8.5"))
    assert store.days.baseline_before(DAY.replace(day=10), "DU1") is None
    assert store.days.baseline(DAY, "DU1") == 100
    assert store.days.baseline(DAY, "DU2") is None


# --- state, runs, flags, decisions, days --------------------------------------------------------------


def test_trading_is_switched_with_its_reason(store):
    assert store.state.is_trading()
    assert store.state.trading_reason() == ""
    store.state.set_trading(False, "holiday", NOW)
    assert not store.state.is_trading()
    assert store.state.trading_reason() == "holiday"
    store.state.set_trading(True, None, NOW)
    assert store.state.is_trading()
    assert store.state.trading_reason() == ""


def test_the_state_is_one_row_with_the_days_figures(store):
    store.state.refresh(NOW, 1, D("-12.5"), 2)
    state = store.state.row()
    assert [state[name] for name in STATE.split(", ")] == [1, "2026-02-13T09:35:00-05:00", 1, 1, -12.5, 2, 0]
    store.state.refresh(NOW, 1, None, 2)
    assert store.state.row()["daily_pnl"] is None
    with pytest.raises(sqlite3.IntegrityError):
        store._file.insert("system_state", {"id": 2, "is_trading": 1})


def test_failures_are_counted_for_their_new_york_date(store):
    late = NOW.replace(hour=23)
    for exit_code in (0, 4, 2, 6, 0):
        store.runs.end(store.runs.begin("monitor", ["--json"], NOW), late, exit_code, None)
    assert store.state.row()["errors_today"] == 2
    store.state.refresh(late, 0, D(0), 1)
    assert store.state.row()["errors_today"] == 2
    tomorrow = late + timedelta(hours=2)
    store.runs.end(store.runs.begin("enter", [], tomorrow), tomorrow, 5, "refused")
    assert store.state.row()["errors_today"] == 1
    store.state.refresh(tomorrow + timedelta(days=1), 0, D(0), 0)
    assert store.state.row()["errors_today"] == 0


def test_what_counted_for_a_day_does_not_outlive_it(store):
    store.state.refresh(NOW, 1, D(10), 2)
    store.state.set_trading(False, "", NOW + timedelta(days=1))
    state = store.state.row()
    assert (state["trades_today"], state["daily_pnl"], state["open_positions"]) == (0, None, 1)


def test_a_run_is_kept_with_its_end(store):
    run = store.runs.begin("enter", ["--dry-run", "--json"], NOW)
    (row,) = store._file.rows("SELECT * FROM runs")
    assert (row["arguments"], row["ended_at"], row["exit_code"]) == ('["--dry-run", "--json"]', None, None)
    store.runs.end(run, NOW + timedelta(seconds=3), 4, "no gateway")
    (row,) = store._file.rows("SELECT * FROM runs")
    assert (row["ended_at"], row["exit_code"], row["error"]) == ("2026-02-13T09:35:03-05:00", 4, "no gateway")


def test_a_flag_is_seen_by_others_until_it_is_lowered(store, path):
    with Ledger.open(path, mode="paper", read_only=True) as other:
        assert other.state.flag("close-all") is None
        store.state.raise_flag("close-all", None, NOW)
        assert other.state.flag("close-all") == ""
        store.state.raise_flag("close-all", "panic", NOW)
        assert other.state.flag("close-all") == "panic"
        assert other.state.flag("stop") is None
        store.state.lower_flag("close-all")
        store.state.lower_flag("close-all")
        assert other.state.flag("close-all") is None


def test_a_decision_is_kept_with_every_check(store):
    payload = {
        "checks": [
            Check("net_credit", False, D("388.2"), D(400), "too small"),
            Check("margin", None, None, None, ""),
        ],
        "prices": {"spy": D("683.12"), "spx": None, "ratio": float("nan")},
        "at": NOW,
        "trade_id": None,
    }
    run = store.runs.begin("enter", [], NOW)
    number = store.runs.add_decision(
        run, "enter", NOW, dry_run=True, outcome="dry_run", would="skip", payload=payload
    )
    (row,) = store.runs.decisions(DAY)
    assert (row["id"], row["run_id"], row["dry_run"], row["outcome"], row["would"]) == (
        number,
        run,
        1,
        "dry_run",
        "skip",
    )
    assert row["checks"][0] == {
        "name": "net_credit",
        "ok": False,
        "value": 388.2,
        "limit": 400,
        "message": "too small",
    }
    assert row["checks"][1]["ok"] is None
    assert row["payload"] == {
        "prices": {"spy": 683.12, "spx": None, "ratio": None},
        "at": "2026-02-13T09:35:00-05:00",
        "trade_id": None,
    }
    assert store.runs.decisions(DAY + timedelta(days=1)) == []


def test_a_day_has_one_summary(store):
    assert store.days.summary(DAY) is None
    figures = {
        "trades_count": 2, "winning_trades": 1, "losing_trades": 1, "total_pnl": D("40.35"),
        "total_commissions": D("52.1"), "net_pnl": D("-11.75"), "max_drawdown": D(30), "provisional": True,
    }  # fmt: skip
    store.days.write_summary({"date": DAY, **figures})
    assert store.days.summary(DAY) == {"id": 1, "date": DAY, **figures}
    store.days.write_summary({"date": "2026-02-13", "net_pnl": D("-10.00"), "provisional": False})
    assert store.days.summary(DAY) == {
        "id": 1,
        "date": DAY,
        **figures,
        "net_pnl": D(-10),
        "provisional": False,
    }
    store.days.write_summary({"date": DAY - timedelta(days=1)})
    assert [day["date"].day for day in store.days.summaries()] == [12, 13]
    assert [row["date"] for row in store.days.summary_rows(DAY, DAY)] == ["2026-02-13"]
    with pytest.raises(TypeError):
        store.days.write_summary({"date": DAY, "profit": D(1)})
    with pytest.raises(KeyError):
        store.days.write_summary({"net_pnl": D(1)})


def test_report_rows_open_their_json(store):
    store.trades.create(a_trade(limits={"max": 1}, residual=(LegName.SPX,)))
    (row,) = store.trades.rows(DAY, DAY)
    assert row["limits"] == {"max": 1}
    assert row["residual"] == ["SPX"]
    assert row["spx_contract"]["strike"] == "6835"
    assert row["entry_credit"] is None
    assert PENNY.rows[0][1] == D(row["spy_contract"]["ticks"][0][1])


def test_methods_that_write_join_the_open_transaction(store):
    def several():
        with store.write():
            trade = store.trades.create(a_trade())
            store.fills.record(a_fill(trade))
            store.trades.update(trade.id, note="x")
            store.state.refresh(NOW, 1, None, 1)
            store.bind_account("DU1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        several()
    assert store.trades.between() == []
    assert store.fills.rows() == []
    assert store.account is None
    assert store.state.row()["open_positions"] == 0
