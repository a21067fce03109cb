"""Every fact comes back as it was written, and is stored in plain SQL types."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import DAY, NOW, D, a_trade, record

from spxarb.core.broker_books import Execution, OrderTicket
from spxarb.core.contracts import PENNY, Contract, TickRule
from spxarb.core.model import NEW_YORK, ExitReason, LegName, Side
from spxarb.core.order_words import Purpose
from spxarb.core.records import Fill, OrderRecord, Trade
from spxarb.core.trades import TradeState
from tests.effort import examples


def test_a_trade_is_stored_in_plain_sql_types(ledger, path):
    ledger.trades.create(
        a_trade(
            entry_credit=D("412.35"),
            entry_time=NOW,
            entry_filled=True,
            state=TradeState.OPEN,
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
        "2026-02-13 09:35:00", 683.12, 683.0, 6835.0, 412.35, "2026-02-13T09:35:00-05:00", 1, "TIME", None, "ACTIVE",
    )  # fmt: skip


def test_every_time_is_written_with_new_yorks_offset(ledger):
    summer = datetime(2026, 7, 1, 13, 35, tzinfo=UTC)
    trade = ledger.trades.create(a_trade(entry_time=summer))
    assert ledger.trades.rows()[0]["entry_time"] == "2026-07-01T09:35:00-04:00"
    assert trade.entry_time == summer
    assert trade.entry_time.tzinfo is NEW_YORK


def test_what_is_no_number_or_has_no_time_zone_is_not_stored(ledger):
    for wrong in (D("NaN"), D("Infinity"), D("1E+400"), D("1E+16")):
        with pytest.raises(ValueError, match="cannot be stored"):
            ledger.trades.create(a_trade(entry_credit=wrong))
    with pytest.raises(ValueError, match="no time zone"):
        ledger.trades.create(a_trade(entry_time=datetime(2026, 2, 13, 9, 35)))
    assert ledger.trades.between() == []


def test_a_quotient_without_end_keeps_eight_decimals(ledger):
    trade = ledger.trades.create(a_trade(ratio=D("6834.12") / D("683.27")))
    assert trade.ratio == D("10.00207824")
    assert ledger.trades.update(trade.id, ratio=trade.ratio) == trade


def test_text_that_is_no_utf8_stops_no_record(ledger):
    trade = ledger.trades.create(a_trade(note="half a letter \udcc3", limits={"\udcc3": "\udcc3"}))
    assert trade.note == "half a letter \\udcc3"
    ledger.state.set_trading(False, "\udcc3", NOW)
    assert ledger.trades.update(trade.id, note="\udcc3").note == "\\udcc3"


def test_report_rows_open_their_json(ledger):
    ledger.trades.create(a_trade(limits={"max": 1}, residual=(LegName.SPX,)))
    (row,) = ledger.trades.rows(DAY, DAY)
    assert row["limits"] == {"max": 1}
    assert row["residual"] == ["SPX"]
    assert row["spx_contract"]["strike"] == "6835"
    assert row["entry_credit"] is None
    assert PENNY.rows[0][1] == D(row["spy_contract"]["ticks"][0][1])


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
    state=st.sampled_from(TradeState),
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
    overnight=st.none() | numbers,
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
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def emptied(ledger, *tables):
    with ledger.write():
        ledger._file._db.execute("DROP TRIGGER IF EXISTS order_steps_remain")
        for table in tables:
            ledger._file._db.execute(f"DELETE FROM {table}")


@roundtrip
@given(trade=trades)
def test_a_trade_comes_back_exactly(ledger, trade):
    stored = ledger.trades.create(trade)
    assert stored == dataclasses.replace(trade, id=stored.id)
    assert ledger.trades.get(stored.id) == stored


@roundtrip
@given(
    old=trades, new=trades, names=st.sets(st.sampled_from([f.name for f in dataclasses.fields(Trade)][1:]))
)
def test_an_update_changes_these_fields_and_no_other(ledger, old, new, names):
    stored = ledger.trades.create(old)
    changes = {name: getattr(new, name) for name in names - {"state"}}
    changed = ledger.trades.update(stored.id, **changes)
    assert changed == dataclasses.replace(stored, **changes)
    assert ledger.trades.get(stored.id) == changed


@roundtrip
@given(record=records)
def test_an_order_comes_back_exactly(ledger, record):
    emptied(ledger, "order_steps", "orders", "trades")
    ledger._file._db.execute("DELETE FROM sqlite_sequence")
    assert ledger.trades.create(a_trade()).id == 1
    ledger.orders.intend(record)
    assert ledger.orders.find(record.ref) == record
    assert ledger.orders.of_trade(1) == [record]
    assert ledger.orders.unproven() == ([] if record.final else [record])


@roundtrip
@given(fill=fills)
def test_an_execution_comes_back_exactly(ledger, fill):
    emptied(ledger, "executions", "orders", "trades")
    ledger._file._db.execute("DELETE FROM sqlite_sequence")
    assert ledger.trades.create(a_trade()).id == 1
    assert record(ledger, fill)
    assert not record(ledger, fill)
    assert ledger.fills.of_trade(1) == [fill]
    day = fill.execution.time.date()
    assert [row["exec_id"] for row in ledger.fills.rows(day, day)] == [fill.execution.exec_id]
    assert ledger.fills.exec_ids() == {fill.execution.exec_id}
