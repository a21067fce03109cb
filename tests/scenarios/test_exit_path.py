"""Nothing stands in an exit's way: what fails beside it is told, and the spread is closed all the same."""

from __future__ import annotations

import socket
import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from actions import enter, playing, settings
from harness import withheld
from sink import ALARMS_ALONE, listening_sink

from spxarb.sim.api.wire import FrameReader, Say, frame, split_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Done, Stage
    from sink import Sink

DUE = "15:45"
HURRY = {"question_timeout_seconds": 3, "quote_timeout_seconds": 1}


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    """An open spread, its exit by time due."""
    with playing(tmp_path) as made:
        made.settings["notifications"] = ALARMS_ALONE
        settings(made)
        made.settings["execution"] = HURRY
        made.write_config()
        enter(made)
        made.at(DUE)
        yield made


def close(stage: Stage, verb: str, **more: Any) -> Done:
    return stage.run(*{"monitor": ("monitor",), "close-all": ("close-all", "--yes")}[verb], **more)


# --- what the broker's lists hold beside ours --------------------------------------------------------


@contextmanager
def injected(stage: Stage, before: int, *rows: tuple[object, ...]) -> Iterator[None]:
    """The commands' way to the gateway, on which these frames come before each message of a kind.

    `{id}` in a row stands for the request id of that message.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    opened = [listener]

    def pump(source: socket.socket, target: socket.socket, *, inward: bool) -> None:
        reader = FrameReader()
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if not inward:
                    target.sendall(data)
                    continue
                reader.feed(data)
                while (payload := reader.payload()) is not None:
                    fields = split_fields(payload)
                    if fields[0] == str(int(before)):
                        for row in rows:
                            target.sendall(frame(*(fields[2] if v == "{id}" else v for v in row)))
                    target.sendall(len(payload).to_bytes(4, "big") + payload)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                gateway = socket.create_connection(("127.0.0.1", stage.sim.port))
                opened.extend((client, gateway))
                for source, target, inward in ((client, gateway, False), (gateway, client, True)):
                    threading.Thread(
                        target=pump, args=(source, target), kwargs={"inward": inward}, daemon=True
                    ).start()

    threading.Thread(target=accept, daemon=True).start()
    text = stage.config.read_text()
    port = listener.getsockname()[1]
    stage.config.write_text(text.replace(f"port: {stage.sim.port}", f"port: {port}"))
    try:
        yield
    finally:
        stage.config.write_text(text)
        for one in opened:
            one.close()


APPLE = ("AAPL", "STK", "", "0", "", "", "SMART", "USD", "AAPL", "NMS")
FOREIGN = {
    "an order": (Say.OPEN_ORDERS_END, (5, 9, 265598, *APPLE, "SSHORT", "100", "LMT", "200")),
    "a combination": (Say.OPEN_ORDERS_END, (5, 9, "", "SPX", "BAG", "", "", "", "", "SMART", "USD")),
    "a completed order": (Say.COMPLETED_ORDERS_END, (101, 265598, *APPLE, "SSHORT", "100")),
    "an execution": (
        Say.EXECUTIONS_END,
        (11, "{id}", 9, 265598, "AAPL", "STK", "", "0", "", "", "ARCA", "USD", "AAPL", "NMS", "e.1", "never"),
    ),
    "a position": (Say.POSITIONS_END, (61, 3, "SIM0000001", 265598, *APPLE, "many", "190")),
}


@pytest.mark.parametrize("verb", ["monitor", "close-all"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_row_of_others_that_cannot_be_read_stops_no_exit(stage, kind, verb):
    before, row = FOREIGN[kind]
    with injected(stage, before, row):
        done = close(stage, verb)
    assert (done.code, [p["action"] for p in done["positions"]]) == (0, ["closed"]), done.err
    assert stage.positions() == {}


def test_a_row_that_may_be_ours_and_cannot_be_read_stops_entries_and_no_exit(stage):
    (order,) = stage.sql("SELECT con_id FROM orders WHERE purpose = 'f'")
    ours = (5, 9, order["con_id"], "SPY", "OPT", "", "0", "C", "100", "SMART", "USD", "SPY", "SPY", "?", "1")
    with injected(stage, Say.OPEN_ORDERS_END, ours):
        checks = stage.run("enter", "--dry-run")["checks"]
        assert any("open orders cannot be read" in c["message"] for c in checks if c["ok"] is False)
        done = stage.run("monitor")
    assert (done.code, [p["action"] for p in done["positions"]]) == (6, ["closed"]), done.err
    assert any("open orders cannot be read" in line for line in done["reconciliation"])
    assert stage.positions() == {}


@pytest.mark.parametrize("verb", ["monitor", "close-all"])
@pytest.mark.parametrize(
    "trouble", [withheld(Say.COMPLETED_ORDERS_END), withheld(Say.COMPLETED_ORDERS_END, Say.COMPLETED_ORDER)]
)
def test_completed_orders_that_never_come_stop_no_exit(stage, trouble, verb):
    stage.sim.control.script([trouble])
    done = close(stage, verb)
    assert (done.code, [p["action"] for p in done["positions"]]) == (0, ["closed"]), done.err
    assert stage.positions() == {}


def test_without_the_list_of_completed_orders_nothing_is_entered(tmp_path):
    with playing(tmp_path) as stage:
        stage.settings["execution"] = HURRY
        stage.write_config()
        stage.sim.control.script([withheld(Say.COMPLETED_ORDERS_END)])
        done = stage.run("enter")
        assert (done.code, done["outcome"]) == (0, "skipped"), done.err
        assert any("completed orders are not known" in check["message"] for check in done["checks"])


# --- the client id ---------------------------------------------------------------------------------------


@contextmanager
def client_id_held(stage: Stage, client_id: int = 1) -> Iterator[socket.socket]:
    """Another program is connected under the client id."""
    with socket.create_connection(("127.0.0.1", stage.sim.port)) as other:
        other.sendall(b"API\0" + frame("v157..176"))
        other.recv(1 << 16)
        other.sendall(frame(71, 2, client_id, ""))
        other.recv(1 << 16)
        yield other


@pytest.mark.parametrize("verb", ["monitor", "close-all"])
def test_an_exit_waits_for_its_client_id_as_long_as_it_may_take(stage, verb):
    stage.settings["execution"] = {**HURRY, "connect_timeout_seconds": 2}
    stage.write_config()
    with client_id_held(stage) as other:
        threading.Timer(6, other.close).start()
        done = close(stage, verb)
    assert (done.code, stage.positions()) == (0, {}), done.err


def test_a_dry_run_and_a_look_take_no_client_id_from_an_exit(stage):
    with client_id_held(stage):
        for words in (
            ("monitor", "--dry-run"),
            ("close-all", "--dry-run"),
            ("enter", "--dry-run"),
            ("status",),
        ):
            done = stage.run(*words)
            assert done.code == 0, (words, done.err)


# --- a calendar or a configuration that was edited -------------------------------------------------------


@pytest.mark.parametrize("verb", ["monitor", "close-all"])
def test_a_day_that_the_calendar_calls_closed_by_now_is_still_exited(stage, verb):
    stage.write_config(calendar={"closed": [stage.day.isoformat()]})
    done = close(stage, verb)
    (position,) = done["positions"]
    assert (done.code, position["action"], stage.positions()) == (0, "closed", {}), done.err
    assert stage.sql("SELECT * FROM settlements") == []


def test_an_exit_goes_by_the_time_that_was_configured_at_its_entry(stage):
    stage.write_config(trading={"exit_check_time": "15:55"})
    done = stage.run("monitor")
    assert (done.code, done["positions"][0]["exit_reason"], stage.positions()) == (0, "TIME", {})


def test_a_trade_of_an_older_version_is_exited_at_its_configured_time(stage):
    with closing(sqlite3.connect(stage.database)) as db, db:
        db.execute("UPDATE trades SET limits = json_remove(limits, '$.timetable')")
    stage.write_config(calendar={"closed": [stage.day.isoformat()]}, trading={"exit_check_time": "15:55"})
    done = stage.run("monitor")
    assert (done.code, done["positions"][0]["exit_reason"], stage.positions()) == (0, "TIME", {})


# --- the ledger ------------------------------------------------------------------------------------------


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening_sink() as server:
        yield server


def assert_alarm(done: Done, sink: Sink, *words: str) -> None:
    """Exit code 6, one line, and exactly one alert of the same words."""
    assert done.code == 6, (done.code, done.err)
    assert done.err.count("\n") == 1, done.err
    (alert,) = sink.alerts
    for word in words:
        assert word in done.err
        assert word in alert


@pytest.mark.parametrize("verb", ["monitor", "close-all"])
def test_a_ledger_that_another_program_keeps_locked_is_an_alarm_while_an_exit_is_due(stage, sink, verb):
    with closing(sqlite3.connect(stage.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = close(stage, verb, env=sink.variables)
    assert_alarm(done, sink, "The exit of trade 1 is due", "locked")
    assert len(stage.positions()) == 2


@pytest.mark.parametrize("table", ["runs", "orders", "executions", "order_steps", "decisions", "marks"])
@pytest.mark.parametrize("verb", ["monitor", "close-all"])
def test_a_table_that_cannot_be_written_is_an_alarm_where_the_exit_is_not_done(stage, sink, verb, table):
    with closing(sqlite3.connect(stage.database)) as db, db:
        db.execute(
            f"CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    done = close(stage, verb, env=sink.variables)
    if stage.positions():
        assert_alarm(done, sink, "trade 1")
        if table == "orders":
            assert not [o for o in stage.sim.control.book()["orders"] if ":x" in o["order_ref"]]
    else:
        assert (done.code, len(sink.alerts)) in {(0, 0), (1, 1), (6, 1)}, (table, done.code, done.err)


@pytest.mark.parametrize("value", ["state = 'activ'", "entry_credit = '408,19'", "spx_contract = '{'"])
def test_an_open_trade_that_cannot_be_read_is_an_alarm_and_hides_no_other(stage, sink, value):
    with closing(sqlite3.connect(stage.database)) as db, db:
        columns = [r[1] for r in db.execute("PRAGMA table_info(trades)") if r[1] != "id"]
        names = ", ".join(columns)
        db.execute(f"INSERT INTO trades ({names}) SELECT {names} FROM trades WHERE id = 1")
        db.execute(f"UPDATE trades SET {value} WHERE id = 2")
    done = stage.run("monitor", env=sink.variables)
    assert_alarm(done, sink, "rade 2 cannot be read")
    assert [(p["trade_id"], p["action"]) for p in done["positions"]] == [(1, "closed")]
    assert stage.positions() == {}


SPOILT_ORDER = {
    "contract": "{",
    "side": "SHORT",
    "quantity": "many",
    "limit_price": "dear",
    "good_after": "later",
    "client_id": "x",
    "order_id": "y",
    "created_at": "yesterday",
    "perm_id": "p",
    "overnight": "?",
    "leg": "QQQ",
    "purpose": "z",
    "attempt": "1st",
}
SPOILT_FILL = {"price": "dear", "quantity": "ten", "side": "SHORT", "time": "noon", "commission": "c"}


def spoil(stage, table, changed):
    """None of these values of any row can be read; ids that must differ do."""
    with closing(sqlite3.connect(stage.database)) as db, db:
        for column, value in changed.items():
            db.execute(
                f"UPDATE {table} SET {column} = ? || CASE ? WHEN 'order_id' THEN rowid ELSE '' END",
                (value, column),
            )


@pytest.mark.parametrize("verb", ["monitor", "close-all"])
def test_a_trade_whose_orders_cannot_be_read_leaves_by_their_names_and_by_what_the_broker_shows(
    stage, sink, verb
):
    """Nothing but the references is left of any order: nothing is entered, both legs go once, one alarm."""
    spoil(stage, "orders", SPOILT_ORDER)
    assert stage.run("monitor", "--dry-run").code == 6
    done = close(stage, verb, env=sink.variables)
    assert_alarm(done, sink, "An order of trade 1 cannot be read in full")
    book = stage.sim.control.book()["orders"]
    assert (stage.positions(), [row for row in book if row["status"] in {"Submitted", "PreSubmitted"}]) == (
        {},
        [],
    )
    assert len([row for row in book if ":x" in row["order_ref"]]) == 2
    assert stage.run("monitor").code == 0
    assert stage.sql("SELECT status FROM trades") == [{"status": "CLOSED"}]


@pytest.mark.parametrize("verb", ["monitor", "close-all"])
def test_executions_that_cannot_be_read_are_those_that_the_broker_lists(stage, sink, verb):
    (before,) = stage.sql("SELECT entry_credit FROM trades")
    spoil(stage, "executions", SPOILT_FILL)
    done = close(stage, verb, env=sink.variables)
    assert_alarm(done, sink, "Trade 1 cannot be read")
    assert stage.positions() == {}
    assert done["reconciliation"] == [
        "trade 1 can be read again: its executions are those that the broker lists"
    ]
    assert stage.sql("SELECT entry_credit FROM trades") == [before]
    assert stage.run("monitor").code == 0


def test_a_closed_trade_that_cannot_be_read_is_named_and_stops_nothing(stage, sink):
    with closing(sqlite3.connect(stage.database)) as db, db:
        columns = [r[1] for r in db.execute("PRAGMA table_info(trades)") if r[1] != "id"]
        names = ", ".join(columns)
        db.execute(f"INSERT INTO trades ({names}) SELECT {names} FROM trades WHERE id = 1")
        db.execute("UPDATE trades SET status = 'CLOSED', state = 'closed', final_pnl = '408,19' WHERE id = 2")
    done = stage.run("monitor", as_json=False, env=sink.variables)
    assert (done.code, stage.positions(), sink.alerts) == (0, {}, []), done.err
    assert "rade 2 cannot be read" in done.out


def test_the_same_trouble_is_told_once_an_hour(stage, sink):
    stage.sim.control.script([withheld(Say.POSITIONS_END)])
    for _ in range(2):
        assert stage.run("monitor", env=sink.variables).code == 6
    assert len(sink.alerts) == 1
    assert "The exit of trade 1 is due" in sink.alerts[0]
