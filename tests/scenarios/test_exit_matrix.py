"""Whatever fails while an exit is due, before the job or in the middle of an order, a human hears of it once.

Each trouble meets `monitor` and `close-all`, before the job begins and once the gateway has the exit's first
order. Once the trouble is over, the next `monitor` finishes what was left, and every law holds.
"""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from actions import enter, held_terminal, playing, settings, tapped
from crash import broken_laws
from harness import Done, fault, withheld
from relay import listening
from sink import ALARMS_ALONE, drip, listening_sink, refuse, variables
from test_bad_input import humbly

from spxarb.sim.api.wire import Ask, Say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from harness import Stage
    from sink import Sink

    Trouble = Callable[[Stage, int], AbstractContextManager[None]]

VERBS = {"monitor": ("monitor",), "close-all": ("close-all", "--yes")}
BEFORE, AMID = "before the job", "amid an order"


@dataclass
class Held:
    """An open spread, its exit by time due; what the account had in cash before it."""

    stage: Stage
    cash: float


@pytest.fixture
def held(tmp_path) -> Iterator[Held]:
    with playing(tmp_path) as stage:
        stage.settings["notifications"] = ALARMS_ALONE
        stage.settings["trading"] = {"max_spreads_per_day": 1}
        stage.settings["execution"] = {"question_timeout_seconds": 2, "quote_timeout_seconds": 1}
        stage.write_config()
        cash = stage.cash()
        enter(stage)
        stage.at("15:45")
        yield Held(stage, cash)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening_sink() as server:
        yield server


def ran(stage: Stage, process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=110)
    done = Done(process.returncode, out, err)
    assert "Traceback" not in done.err
    if done.out:
        assert done["exit_code"] == done.code
    return done


def started(stage: Stage, verb: str, env: dict[str, str], **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        stage.command(*VERBS[verb]),
        stdout=subprocess.PIPE,
        stderr=options.pop("stderr", subprocess.PIPE),
        text=True,
        cwd=stage.folder,
        env=stage.environment(**env),
        **options,
    )


def exit_amid(stage: Stage, verb: str, moment: str, trouble: Trouble, env: dict[str, str]) -> Done:
    """The verb, run while the trouble lasts: from before it, or from its first order until it ends."""
    if moment == BEFORE:
        with trouble(stage, 0):
            return ran(stage, started(stage, verb, env))
    with tapped(stage, hold_at=Ask.PLACE_ORDER) as tap:
        process = started(stage, verb, env)
        assert tap.held.wait(30)
        with trouble(stage, process.pid):
            tap.let_go()
            return ran(stage, process)


def assert_finished_by_the_next(held: Held) -> None:
    """The trouble is over: the next `monitor` leaves nothing, and every law holds."""
    stage = held.stage
    stage.sim.control.script()
    done = stage.run("monitor")
    assert stage.positions() == {}, (done.code, done.err)
    assert done.code == 0, done.err
    assert broken_laws(stage, held.cash) == []


# --- the ledger -----------------------------------------------------------------------------------------


@contextmanager
def locked(stage: Stage, _: int) -> Iterator[None]:
    """Another program keeps a write open: the ledger can be read and not written."""
    with closing(sqlite3.connect(stage.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def full(_: Stage, pid: int) -> Iterator[None]:
    """No file of the job's can grow any more."""
    known = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, known[1]))
    try:
        yield
    finally:
        if not pid:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, known)


@contextmanager
def refused_by(table: str, stage: Stage, _: int, what: str = "INSERT ON") -> Iterator[None]:
    """No row can be added to one table, or changed in it."""
    with closing(sqlite3.connect(stage.database, timeout=10)) as db, db:
        db.execute(f"CREATE TRIGGER full BEFORE {what} {table} BEGIN SELECT RAISE(ABORT, 'full'); END")
    yield
    with closing(sqlite3.connect(stage.database, timeout=10)) as db, db:
        db.execute("DROP TRIGGER full")


@contextmanager
def rewritten(change: str, back: str, stage: Stage, _: int) -> Iterator[None]:
    """Something else has written a value that cannot be read; the human sets it right afterwards."""
    with closing(sqlite3.connect(stage.database, timeout=10)) as db, db:
        assert db.execute(change).rowcount
    yield
    with closing(sqlite3.connect(stage.database, timeout=10)) as db, db:
        db.execute(back)


def value(table: str, column: str, where: str) -> Trouble:
    """A value that no reader understands, in place of what stood there."""
    keep = f"'?' || {column}"
    return partial(
        rewritten,
        f"UPDATE {table} SET {column} = {keep} WHERE {where}",
        f"UPDATE {table} SET {column} = substr({column}, 2) WHERE {column} LIKE '?%'",
    )


LEDGER: dict[str, Trouble] = {
    "locked": locked,
    "full": full,
    "its trade unreadable": value("trades", "spx_contract", "id = 1"),
    "an order of it unreadable": value("orders", "created_at", "order_ref LIKE '%SPX:e1'"),
    "a fill of it unreadable": value("executions", "time", "leg = 'SPX'"),
}


@pytest.mark.parametrize("moment", [BEFORE, AMID])
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("trouble", LEDGER)
def test_a_ledger_that_cannot_be_used_is_one_alarm_and_the_next_run_finishes(
    held, sink, trouble, verb, moment
):
    done = exit_amid(held.stage, verb, moment, LEDGER[trouble], sink.variables)
    assert (done.code, len(sink.alerts)) == (6, 1), (done.err, sink.alerts)
    assert "rade 1" in sink.alerts[0]
    assert_finished_by_the_next(held)


RECORDS = ("runs", "decisions", "marks", "day_marks", "executions", "order_steps", "matters")


@pytest.mark.parametrize("moment", [BEFORE, AMID])
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("table", RECORDS)
def test_what_cannot_be_recorded_beside_an_intent_stops_no_exit(held, sink, table, verb, moment):
    done = exit_amid(held.stage, verb, moment, partial(refused_by, table), sink.variables)
    intents = table == "order_steps" or (table == "runs" and moment == BEFORE)
    if not intents:
        assert held.stage.positions() == {}, done.err
    if done.code or held.stage.positions():
        assert (done.code, len(sink.alerts)) == (6, 1), (done.err, sink.alerts)
    assert_finished_by_the_next(held)


CHANGED = ("runs", "orders", "trades", "executions", "matters", "system_state")


@pytest.mark.parametrize(("verb", "moment"), [("monitor", BEFORE), ("close-all", AMID)])
@pytest.mark.parametrize("table", CHANGED)
def test_a_row_that_cannot_be_changed_is_one_alarm_or_stops_no_exit(held, sink, table, verb, moment):
    """The state of the trade and of its orders belong to the intent; what is beside them stops nothing."""
    trouble = partial(refused_by, table, what="UPDATE ON")
    done = exit_amid(held.stage, verb, moment, trouble, sink.variables)
    if table in {"runs", "executions", "matters"}:
        assert held.stage.positions() == {}, done.err
    if done.code or held.stage.positions():
        assert (done.code, len(sink.alerts)) == (6, 1), (done.err, sink.alerts)
    assert_finished_by_the_next(held)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("what", "mode"), [("trading.db", 0o444), (".", 0o555)], ids=["file", "folder"])
def test_a_ledger_that_may_only_be_read_is_an_alarm_while_an_exit_is_due(verb, what, mode):
    with tempfile.TemporaryDirectory() as folder, playing(Path(folder)) as stage:
        settings(stage, max_spreads_per_day=1, broker_side_failsafe=False)
        stage.write_config(logging={"console": False, "file": False})
        enter(stage)
        stage.at("15:46")
        (stage.folder / what).chmod(mode)
        done = humbly(stage, *VERBS[verb])
        assert (done.code, len(stage.positions())) == (6, 2), done.err
        assert "the right to write" in done.err
        (stage.folder / what).chmod(0o700)


# --- the broker's lists -----------------------------------------------------------------------------------


@contextmanager
def scripted(entries: list[dict[str, Any]], stage: Stage, _: int) -> Iterator[None]:
    stage.sim.control.script(entries)
    yield
    stage.sim.control.script()


def refused(request: str) -> dict[str, Any]:
    return fault("refuse", when={"request": request}, requests=[request]) | {"times": "always"}


NEEDED = {
    "positions without an end": [withheld(Say.POSITIONS_END)],
    "open orders without an end": [withheld(Say.OPEN_ORDERS_END)],
    "executions without an end": [withheld(Say.EXECUTIONS_END)],
    "open orders refused": [refused("all_open_orders")],
    "executions refused": [refused("executions")],
}
NOT_NEEDED = {
    "completed orders without an end": [withheld(Say.COMPLETED_ORDERS_END)],
    "completed orders refused": [refused("completed_orders")],
}


@pytest.mark.parametrize("moment", [BEFORE, AMID])
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("trouble", NEEDED)
def test_a_list_that_an_exit_needs_and_does_not_get_is_one_alarm(held, sink, trouble, verb, moment):
    """In the middle of an order the fills are enough to finish, but not to call it flat."""
    done = exit_amid(held.stage, verb, moment, partial(scripted, NEEDED[trouble]), sink.variables)
    assert (done.code, len(sink.alerts)) == (6, 1), (done.err, sink.alerts)
    assert "rade 1" in sink.alerts[0]
    assert len(held.stage.positions()) == (2 if moment == BEFORE else 0), done.err
    assert_finished_by_the_next(held)


@pytest.mark.parametrize("moment", [BEFORE, AMID])
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("trouble", NOT_NEEDED)
def test_completed_orders_are_evidence_and_no_precondition(held, sink, trouble, verb, moment):
    done = exit_amid(held.stage, verb, moment, partial(scripted, NOT_NEEDED[trouble]), sink.variables)
    assert (done.code, sink.alerts, held.stage.positions()) == (0, [], {}), done.err
    assert_finished_by_the_next(held)


# --- the log, and who is told ------------------------------------------------------------------------------


def log_is_a_folder(stage: Stage) -> None:
    stage.folder.joinpath("trading.log").unlink()
    stage.folder.joinpath("trading.log").mkdir()


def log_is_full(stage: Stage) -> None:
    stage.folder.joinpath("trading.log").unlink()
    stage.folder.joinpath("trading.log").symlink_to("/dev/full")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("spoil", [log_is_a_folder, log_is_full])
def test_a_log_that_cannot_be_written_stops_no_exit(held, spoil, verb):
    spoil(held.stage)
    done = ran(held.stage, started(held.stage, verb, {}))
    assert (done.code, held.stage.positions()) == (0, {}), done.err
    assert_finished_by_the_next(held)


@pytest.mark.parametrize("verb", VERBS)
def test_a_terminal_that_is_held_stops_no_exit(held, verb):
    """Ctrl-S: stderr takes nothing more, and the log goes there too."""
    held.stage.write_config(logging={"console": True, "level": "DEBUG"})
    with held_terminal() as terminal:
        process = started(held.stage, verb, {}, stderr=terminal)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, held.stage.positions()) == (0, {}), out


SINKS = {"drips a byte a second": drip, "refuses": refuse}


@pytest.mark.parametrize(("how", "verb"), list(zip(SINKS, VERBS, strict=True)))
def test_an_alert_that_does_not_go_out_changes_nothing(held, how, verb):
    """The exit is done before the alert is sent, and the command ends."""
    with listening(SINKS[how]) as (port, seen):
        done = exit_amid(held.stage, verb, BEFORE, partial(refused_by, "decisions"), variables(port))
    assert (done.code, held.stage.positions(), len(seen)) == (6, {}, 1), done.err
    assert_finished_by_the_next(held)


def test_without_anybody_to_send_an_alert_to_the_exit_is_done_all_the_same(held):
    env = {"EMAIL_ENABLED": "true", "SPXARB_NOTIFY_URL": "no-such-way://at.all"}
    done = exit_amid(held.stage, "monitor", BEFORE, partial(refused_by, "decisions"), env)
    assert (done.code, held.stage.positions()) == (6, {}), done.err
    assert_finished_by_the_next(held)


# --- another trade -----------------------------------------------------------------------------------------


def clone(db: sqlite3.Connection, table: str, where: str, **changed: object) -> None:
    """Another row of the table, as one that is there, but for these columns."""
    names = [row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[1] not in {*changed, "id"}]
    new = ", ".join((*names, *changed))
    marks = ", ".join("?" * len(changed))
    db.execute(
        f"INSERT INTO {table} ({new}) SELECT {', '.join(names)}, {marks} FROM {table} WHERE {where} LIMIT 1",
        tuple(changed.values()),
    )


OF_ANOTHER = {
    "order": ("orders", {"order_ref": "spxarb:0:2:SPX:e1", "order_id": 9001, "created_at": "yesterday"}),
    "fill": ("executions", {"exec_id": "other.01", "family": "other", "price": "dear"}),
}


@pytest.mark.parametrize("state", ["open", "closed"])
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("row", OF_ANOTHER)
def test_a_row_of_another_trade_that_cannot_be_read_stops_no_exit(held, sink, row, verb, state):
    """Of an open trade it is an alarm, for that trade cannot be exited; of a closed one it is named."""
    table, changed = OF_ANOTHER[row]
    status = {"open": "ACTIVE", "closed": "CLOSED"}[state]
    with closing(sqlite3.connect(held.stage.database)) as db, db:
        clone(db, "trades", "id = 1", status=status, state=state)
        clone(db, table, "leg = 'SPX'", trade_id=2, **changed)
    done = ran(held.stage, started(held.stage, verb, sink.variables))
    assert held.stage.positions() == {}, done.err
    assert [(p["trade_id"], p["action"]) for p in done["positions"]] == [(1, "closed")]
    told = (6, 1) if state == "open" else (0, 0)
    assert (done.code, len(sink.alerts)) == told, done.err
    if state == "open":
        assert "rade 2 cannot be read" in sink.alerts[0]
