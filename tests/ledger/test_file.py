"""One writer at a time, and nothing of a transaction that did not end."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from contextlib import closing

import pytest
from disk import python, running
from samples import NOW, commands

from spxarb.errors import RefusedError
from spxarb.ledger import opening
from spxarb.ledger.ledger import Ledger
from spxarb.ledger.opening import patience


def test_a_transaction_is_all_or_nothing(path):
    with Ledger.open(path, mode="paper") as ledger:

        def fail_half_way():
            with ledger.write():
                ledger.runs.begin("close-all", [], NOW)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_half_way()
        assert commands(ledger) == []
        with ledger.write():
            ledger.runs.begin("one", [], NOW)
            ledger.runs.begin("two", [], NOW)
        assert commands(ledger) == ["one", "two"]


def test_nothing_of_a_transaction_is_seen_before_its_end(path):
    with Ledger.open(path, mode="paper") as ledger, Ledger.open(path, mode="paper") as reader:
        with ledger.write():
            ledger.runs.begin("close-all", [], NOW)
            assert commands(reader) == []
        assert commands(reader) == ["close-all"]


def test_transactions_do_not_nest(path):
    with Ledger.open(path, mode="paper") as ledger:
        with ledger.write():
            with pytest.raises(RuntimeError, match="open already"), ledger.write():
                raise AssertionError
            ledger.runs.begin("close-all", [], NOW)
        assert commands(ledger) == ["close-all"]


def test_a_mistake_of_ours_is_no_refusal(path):
    with Ledger.open(path, mode="paper") as ledger:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            ledger._file.rows("SELECT * FROM nowhere")
        with pytest.raises(sqlite3.IntegrityError):
            ledger._file.insert("settlements", {"trade_id": 1})


def test_two_writers_wait_for_each_other_and_both_succeed(path):
    code = """
import sys
from datetime import datetime
from pathlib import Path
from spxarb.ledger.ledger import Ledger
now = datetime.now().astimezone()
with Ledger.open(Path(sys.argv[1]), mode="paper") as ledger:
    for number in range(40):
        with ledger.write():
            count = ledger.state.row()["open_positions"]
            ledger.runs.begin("status", [], now)
            ledger.state.refresh(now, count + 1, None, 0)
"""
    Ledger.open(path, mode="paper").close()
    jobs = [python(code, path) for _ in range(3)]
    for job in jobs:
        job.communicate(timeout=60)
    assert [job.returncode for job in jobs] == [0, 0, 0]
    with Ledger.open(path, mode="paper") as ledger:
        assert ledger.state.row()["open_positions"] == 120
        assert commands(ledger) == ["status"] * 120


def test_a_writer_waits_for_a_slow_one(path):
    code = """
import sys
from datetime import datetime
from pathlib import Path
from spxarb.ledger.ledger import Ledger
with Ledger.open(Path(sys.argv[1]), mode="paper") as ledger:
    print("opened", flush=True)
    ledger.runs.begin("waited", [], datetime.now().astimezone())
"""
    with Ledger.open(path, mode="paper") as ledger:
        with running(code, path) as other:
            with ledger.write():
                assert other.stdout.readline() == "opened\n"
                with pytest.raises(subprocess.TimeoutExpired):
                    other.wait(timeout=0.3)
                ledger.runs.begin("slow", [], NOW)
            assert other.wait(timeout=30) == 0
        assert commands(ledger) == ["slow", "waited"]


def test_a_process_killed_in_the_middle_leaves_nothing_half(path):
    code = """
import sys
from datetime import datetime
from pathlib import Path
from spxarb.ledger.ledger import Ledger
now = datetime.now().astimezone()
with Ledger.open(Path(sys.argv[1]), mode="paper") as ledger:
    ledger.runs.begin("before", [], now)
    with ledger.write():
        ledger.runs.begin("half", [], now)
        ledger.state.set_trading(False, "half", now)
        print("in", flush=True)
        sys.stdin.read()
"""
    with running(code, path) as process:
        assert process.stdout.readline() == "in\n"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    with Ledger.open(path, mode="paper") as ledger:
        assert commands(ledger) == ["before"]
        assert ledger.state.trading_reason() == ""


def test_a_ledger_that_another_program_keeps_locked_is_refused_in_time(existing, monkeypatch):
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.3)
    with (
        Ledger.open(existing, mode="paper") as ledger,
        closing(sqlite3.connect(existing, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RefusedError, match="locked") as caught:
            ledger.runs.begin("monitor", [], NOW)
        assert "\n" not in str(caught.value)
        assert commands(ledger) == []  # reading goes on
        other.execute("ROLLBACK")
        ledger.runs.begin("monitor", [], NOW)


def test_a_ledger_of_another_program_is_waited_for_no_longer_than_is_said(existing):
    with closing(sqlite3.connect(existing, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with (
            patience(0),
            pytest.raises(RefusedError, match="kept it locked for 0 seconds"),
            Ledger.open(existing, mode="paper", read_only=True),
        ):
            pass


def test_a_full_disk_is_told_and_undoes_the_whole_transaction(path):
    with Ledger.open(path, mode="paper") as ledger:
        pages = ledger._file._db.execute("PRAGMA page_count").fetchone()[0]
        ledger._file._db.execute(f"PRAGMA max_page_count = {pages + 4}")

        def fill():
            with ledger.write():
                ledger.runs.begin("first", [], NOW)
                ledger.runs.begin("second", ["x" * 100_000], NOW)

        with pytest.raises(RefusedError, match="disk is full") as caught:
            fill()
        assert "\n" not in str(caught.value)
        assert commands(ledger) == []
