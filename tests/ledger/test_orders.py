"""An order is on disk before it is sent, and its life is kept step by step."""

from __future__ import annotations

import dataclasses
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from samples import NOW, D, a_trade, an_order, steps_of

from spxarb.core.order_words import Purpose
from spxarb.core.trades import TradeState
from spxarb.errors import RefusedError
from spxarb.ledger.ledger import Ledger


def test_an_intent_survives_a_kill_right_after_it(path):
    code = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from samples import a_trade, an_order
from spxarb.ledger.ledger import Ledger
ledger = Ledger.open(Path(sys.argv[1]), mode="paper")
ledger.orders.intend(an_order(ledger.trades.create(a_trade())))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code, path, Path(__file__).parent], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    with Ledger.open(path, mode="paper") as ledger:
        (trade,) = ledger.trades.open()
        assert ledger.orders.unproven() == [an_order(trade)]
        assert [step["step"] for step in steps_of(ledger, an_order(trade).ref)] == ["intent"]


def test_an_order_whose_row_cannot_be_read_is_known_all_the_same(ledger, path):
    """Else its holdings would be told as another's that this ledger knows nothing of."""
    trade = ledger.trades.create(a_trade())
    ledger.orders.intend(an_order(trade))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE orders SET limit_price = 'x'")
    ref, other = an_order(trade).ref, "spxarb:4f1c:99:SPX:e1"
    assert ledger.orders.known({ref, other}) == {ref}


def test_many_orders_are_found_at_once(ledger, path):
    trade = ledger.trades.create(a_trade())
    ledger.orders.intend(an_order(trade))
    record, strangers = an_order(trade), [f"stranger {number}" for number in range(1200)]
    assert ledger.orders.with_refs([*strangers[:9], record.ref]) == [record]
    assert ledger.orders.with_refs(()) == []
    assert ledger.orders.known([*strangers, record.ref]) == {record.ref}
    assert ledger.orders.known(()) == set()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE orders SET purpose = 'x', limit_price = 'y', order_ref = 'of nobody'")
    assert ledger.orders.with_refs([record.ref, "of nobody"]) == []
    assert len(ledger.orders.unread) == 1


def test_an_intent_within_a_transaction_is_refused_because_it_would_not_be_on_disk(ledger):
    trade = ledger.trades.create(a_trade())
    with ledger.write(), pytest.raises(RuntimeError):
        ledger.orders.intend(an_order(trade))
    assert ledger.orders.of_trade(trade.id) == []


def test_no_order_of_a_trade_that_a_human_took_gets_into_the_ledger_whoever_asks(ledger):
    """Nor a new price of one that is there: what is not written down is not sent."""
    trade = ledger.trades.create(a_trade(state=TradeState.OPEN))
    ledger.orders.intend(an_order(trade, 1))
    ledger.trades.update(trade.id, handed_over_at=NOW)
    with pytest.raises(RefusedError, match="was handed over, so no order of it may be sent"):
        ledger.orders.intend(an_order(trade, 2, order_id=2))
    with pytest.raises(RefusedError, match="was handed over"):
        ledger.orders.reprice(an_order(trade, 1).ref, D(20), NOW)
    assert ledger.orders.of_trade(trade.id) == [an_order(trade, 1)]


def test_a_reference_and_an_order_id_are_used_once(ledger):
    trade = ledger.trades.create(a_trade())
    ledger.orders.intend(an_order(trade, 1))
    with pytest.raises(sqlite3.IntegrityError):
        ledger.orders.intend(an_order(trade, 1, order_id=2))
    with pytest.raises(sqlite3.IntegrityError):
        ledger.orders.intend(an_order(trade, 2, order_id=1))
    ledger.orders.intend(an_order(trade, 2, order_id=1, client_id=2))
    assert len(ledger.orders.of_trade(trade.id)) == 2
    assert len(steps_of(ledger, an_order(trade, 2).ref)) == 1


def test_an_order_needs_its_trade(ledger):
    with pytest.raises(sqlite3.IntegrityError):
        ledger.orders.intend(an_order(a_trade(id=5)))


def test_the_life_of_an_order_is_kept_step_by_step(ledger):
    trade = ledger.trades.create(a_trade())
    record = an_order(trade)
    ref = record.ref
    ledger.orders.intend(record)
    ledger.orders.seen(ref, "PreSubmitted", at=NOW)
    ledger.orders.seen(ref, "Submitted", 77, NOW)
    ledger.orders.seen(ref, "Submitted", 77, NOW)  # said before
    ledger.orders.reprice(ref, D("17.8"), NOW + timedelta(seconds=30))
    ledger.orders.add_step(ref, "cancel", NOW + timedelta(seconds=60), "time is over")
    ledger.orders.finish(ref, "Cancelled", D(0), NOW + timedelta(seconds=61), "completed orders")
    after = ledger.orders.find(ref)
    assert after == dataclasses.replace(
        record,
        ticket=dataclasses.replace(record.ticket, limit=D("17.8")),
        perm_id=77, status="Cancelled", final=True, filled=D(0),
    )  # fmt: skip
    steps = steps_of(ledger, ref)
    assert [step["step"] for step in steps] == ["intent", "status", "status", "reprice", "cancel", "final"]
    assert [step["limit_price"] for step in steps] == [17.9, None, None, 17.8, None, None]
    assert steps[-1]["detail"] == "Cancelled, 0 filled: completed orders"
    assert steps[-1]["at"] == "2026-02-13T09:36:01-05:00"


def test_late_news_of_a_final_order_is_kept_and_proves_nothing(ledger):
    record = an_order(ledger.trades.create(a_trade()))
    ledger.orders.intend(record)
    ledger.orders.finish(record.ref, "Filled", D(1), NOW, "execution")
    ledger.orders.seen(record.ref, "Submitted", 77)
    known = ledger.orders.find(record.ref)
    assert (known.status, known.final, known.perm_id) == ("Filled", True, 77)
    assert steps_of(ledger, record.ref)[-1] == {
        "at": None,
        "step": "status",
        "limit_price": None,
        "detail": "Submitted",
    }
    ledger.orders.finish(record.ref, "Filled", D(2), NOW, "a later execution")
    assert ledger.orders.find(record.ref).filled == 2


def test_an_order_that_was_taken_for_over_can_live_again(ledger):
    record = an_order(ledger.trades.create(a_trade()))
    ledger.orders.intend(record)
    ledger.orders.finish(record.ref, "absent", D(0), NOW, "two looks")
    assert (ledger.orders.absent(NOW.date()), ledger.orders.unproven()) == (
        [ledger.orders.find(record.ref)],
        [],
    )
    assert ledger.orders.absent(NOW.date() + timedelta(days=1)) == []
    ledger.orders.revive(record.ref, "Submitted", NOW)
    assert (ledger.orders.absent(NOW.date()), ledger.orders.unproven()) == (
        [],
        [ledger.orders.find(record.ref)],
    )
    assert ledger.orders.find(record.ref).filled is None
    assert steps_of(ledger, record.ref)[-1]["step"] == "revived"


def test_steps_are_never_changed_or_removed(ledger):
    record = an_order(ledger.trades.create(a_trade()))
    ledger.orders.intend(record)
    for statement in ("UPDATE order_steps SET step = 'x'", "DELETE FROM order_steps"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            ledger._file._db.execute(statement)


def test_news_of_an_unknown_order_is_a_mistake(ledger):
    for call in (
        lambda: ledger.orders.reprice("spxarb:no", D(1), NOW),
        lambda: ledger.orders.seen("spxarb:no", "Filled"),
        lambda: ledger.orders.finish("spxarb:no", "Filled", D(1), NOW, ""),
    ):
        with pytest.raises(KeyError):
            call()
    with pytest.raises(sqlite3.IntegrityError):
        ledger.orders.add_step("spxarb:no", "cancel", NOW)
    assert ledger.orders.find("spxarb:no") is None
    assert ledger._file.rows("SELECT * FROM order_steps") == []


def test_the_highest_order_id_is_a_clients_own(ledger):
    trade = ledger.trades.create(a_trade())
    assert ledger.orders.highest_id(1) == 0
    ledger.orders.intend(an_order(trade, 3, order_id=41))
    ledger.orders.intend(an_order(trade, 1, order_id=7))
    ledger.orders.intend(an_order(trade, 1, purpose=Purpose.EXIT, order_id=50, client_id=2))
    assert (ledger.orders.highest_id(1), ledger.orders.highest_id(2)) == (41, 50)
