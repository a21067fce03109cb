"""Whatever goes wrong: the contract's exit code, one line that helps, a whole JSON object, nothing lost."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from actions import dump, enter, lonely, playing, settings
from contract import DAY, SHAPES, assert_whole
from harness import Done, fault, read_object, withheld
from relay import free_port, half_a_handshake, hang_up, listening, say_nothing, speak_http

from spxarb.sim.api.wire import Ask, Say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness import Stage

HURRY = {"connect_timeout_seconds": 5, "question_timeout_seconds": 0.5, "quote_timeout_seconds": 1}
NOBODY_THERE = {"connect_timeout_seconds": 0.4}
PATIENCE = 15.0
"""More seconds than any command here may take with these time-outs."""
VERBS: dict[str, tuple[str, ...]] = {
    "enter": ("enter",),
    "monitor": ("monitor",),
    "settle": ("settle",),
    "close-all": ("close-all", "--yes"),
    "status": ("status",),
    "report": ("report",),
    "start": ("start",),
    "stop": ("stop",),
}
CONNECTING = ("enter", "monitor", "settle", "close-all", "status")


def run(stage: Stage, verb: str, *more: str, **options: Any) -> Done:
    """One command, in bounded time."""
    began = time.monotonic()
    done = stage.run(*VERBS[verb], *more, **options)
    assert time.monotonic() - began < PATIENCE, f"{verb} took its time"
    return done


def assert_told(done: Done, code: int, verb: str, *words: str) -> None:
    """The exit code, one line on stderr that says what, risk and mend, and the same in a whole object."""
    assert done.code == code, (done.code, done.err, done.out)
    assert done.err.startswith(f"spxarb {verb}: "), done.err
    assert done.err.count("\n") == 1, done.err
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err
    assert_whole(done.json, SHAPES[verb])
    assert (done["command"], done["exit_code"]) == (verb, code)
    assert f"spxarb {verb}: {done['error']}\n" == done.err


# --- a ledger with an open spread, made once ----------------------------------------------------------


@pytest.fixture(scope="module")
def ledger(tmp_path_factory) -> Path:
    """A ledger with one spread, entered at 9:35; to be copied."""
    with playing(tmp_path_factory.mktemp("ledger")) as stage:
        settings(stage, broker_side_failsafe=False)
        enter(stage)
    return stage.database


def holding(
    folder: Path,
    ledger: Path,
    port: int,
    mode: str = "sim",
    *,
    due: bool = False,
    execution: dict[str, Any] | None = None,
) -> Stage:
    """A stage with a copy of that ledger; made into one of `mode`, its spread overdue or far from it."""
    stage = lonely(folder, port, mode)
    stage.write_config(trading={"mode": mode}, execution=dict(execution or NOBODY_THERE))
    shutil.copy(ledger, stage.database)
    account = {"sim": "SIM0000001", "paper": "DU0000001"}[mode]
    with closing(sqlite3.connect(stage.database)) as db, db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'mode'", [mode])
        db.execute("UPDATE meta SET value = ? WHERE key = 'account'", [account])
        if mode == "paper" and not due:
            for leg in ("spx", "spy"):
                db.execute(
                    f"UPDATE trades SET {leg}_contract = replace({leg}_contract, ?, '2035-01-03')", [DAY]
                )
    return stage


# --- the configuration --------------------------------------------------------------------------------

WRONG = """\
ib: {port: "4002", client_id: -1}
trading:
  mode: papper
  max_spred_per_day: 2
  min_ratio: 11
risk_managment: {max_daily_loss: 1000}
execution: {order_timeout_seconds: soon}
"""


@pytest.mark.parametrize("verb", ["enter", "report"])
def test_every_problem_of_a_configuration_is_named_at_once_with_the_near_miss(tmp_path, verb):
    stage = lonely(tmp_path, free_port())
    stage.config.write_text(WRONG)
    done = run(stage, verb)
    assert_told(
        done,
        3,
        verb,
        *('"4002"' if '"4002"' in done.err else "'4002'", "ib.port", "from 1 to 65535"),
        "ib.client_id",
        *("trading.mode", "papper", "did you mean paper?"),
        *("trading.max_spred_per_day", "max_spreads_per_day"),
        "risk_managment",
        *("execution.order_timeout_seconds", "soon"),
    )
    assert done["mode"] is None
    assert not stage.database.exists()


def test_a_configuration_that_is_not_there_is_told(tmp_path):
    stage = lonely(tmp_path, free_port())
    stage.config.unlink()
    assert_told(run(stage, "monitor"), 3, "monitor", "config.yaml", "does not exist")


def test_a_folder_is_no_configuration(tmp_path):
    stage = lonely(tmp_path, free_port())
    stage.config.unlink()
    stage.config.mkdir()
    assert_told(run(stage, "monitor"), 3, "monitor", "config.yaml", "cannot be read")


@pytest.mark.parametrize("text", ["trading: [1, 2", "- a\n- b\n", "\x00\x01", "trading: paper\n"])
def test_what_is_no_yaml_of_sections_is_told(tmp_path, text):
    stage = lonely(tmp_path, free_port())
    stage.config.write_text(text)
    assert_told(run(stage, "enter"), 3, "enter", "config.yaml")


def test_a_wrong_environment_variable_is_named(tmp_path):
    stage = lonely(tmp_path, free_port())
    done = run(stage, "monitor", env={"IB_PORT": "fourthousand"})
    assert_told(done, 3, "monitor", "IB_PORT", "fourthousand")


def test_live_must_name_its_account(tmp_path):
    stage = lonely(tmp_path, free_port())
    stage.write_config(trading={"mode": "live"})
    assert_told(run(stage, "monitor"), 3, "monitor", "ib.account")


@pytest.mark.parametrize(
    "words", [("entre",), ("enter", "--dryrun"), ("report", "--table", "weeks"), ("--jsn",)]
)
def test_wrong_use_is_exit_2_one_line_and_no_object(tmp_path, words):
    stage = lonely(tmp_path, free_port())
    done = stage.run(*words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert not stage.database.exists()


# --- a configuration that broke while a spread is open -------------------------------------------------


@pytest.fixture
def open_spread(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as stage:
        settings(stage, broker_side_failsafe=False, max_position_loss=150)
        enter(stage)
        yield stage


BREAKS: dict[str, Callable[[str], str]] = {
    "unknown key": lambda text: text + "tradng: {mode: sim}\n",
    "wrong value": lambda text: text.replace("mode: sim", "mode: simm"),
    "no YAML": lambda text: text + "trading: [unclosed\n  - {\n",
    "wrong limits": lambda text: text.replace("max_position_loss: 150", "max_position_loss: -1"),
}


def test_a_broken_configuration_strands_no_spread(open_spread):
    """Held by the limits of its entry; what is wrong with the file is told each time."""
    stage = open_spread
    stage.at("09:40")
    sound = stage.config.read_text()
    for breaks in BREAKS.values():
        stage.config.write_text(breaks(sound))
        held = run(stage, "monitor")
        assert_told(held, 3, "monitor", "limits stored with the trade")
        assert [p["action"] for p in held["positions"]] == ["held"]
        assert -150 < held["positions"][0]["current_pnl"] < -50
        assert held["mode"] == "sim"
    assert_told(run(stage, "enter"), 3, "enter")
    stage.at("15:45")
    left = run(stage, "monitor")
    assert_told(left, 3, "monitor")
    assert [(p["action"], p["exit_reason"]) for p in left["positions"]] == [("closed", "TIME")]
    assert stage.positions() == {}
    assert_told(run(stage, "monitor"), 3, "monitor")


def test_close_all_goes_on_with_a_broken_configuration_too(open_spread):
    stage = open_spread
    stage.config.write_text(BREAKS["unknown key"](stage.config.read_text()))
    done = run(stage, "close-all")
    assert_told(done, 3, "close-all", "tradng")
    assert (done["flat"], stage.positions()) == (True, {})


def test_the_stored_limits_close_what_they_close(tmp_path):
    with playing(tmp_path) as stage:
        settings(stage, max_position_loss=50)
        enter(stage)
        stage.config.write_text(
            stage.config.read_text().replace("max_position_loss: 50", "max_position_loss: no")
        )
        stage.at("09:40")
        done = run(stage, "monitor")
        assert_told(done, 3, "monitor", "max_position_loss")
        assert [p["exit_reason"] for p in done["positions"]] == ["LOSS_LIMIT"]


def test_a_broken_configuration_without_a_gateway_tells_both(tmp_path, ledger):
    stage = holding(tmp_path, ledger, free_port())
    stage.config.write_text(BREAKS["unknown key"](stage.config.read_text()))
    assert_told(run(stage, "monitor"), 4, "monitor", "Nothing listens", "tradng")
    assert_told(run(stage, "close-all"), 6, "close-all", "nothing listens", "tradng")


# --- no gateway, or none that talks ---------------------------------------------------------------------


@pytest.mark.parametrize("verb", CONNECTING)
def test_without_a_gateway_nothing_is_at_risk_that_was_not_before(tmp_path, ledger, verb):
    stage = holding(tmp_path, ledger, free_port())
    before = dump(stage, "system_state")
    done = run(stage, verb)
    assert_told(
        done, 6 if verb == "close-all" else 4, verb, "othing listens at 127.0.0.1", "Start the IB Gateway"
    )
    assert dump(stage, "system_state") == before
    if verb == "status":  # it only reads
        assert stage.sql("SELECT count(*) AS failed FROM runs WHERE exit_code <> 0") == [{"failed": 0}]
        return
    assert stage.sql("SELECT exit_code FROM runs ORDER BY id DESC LIMIT 1") == [{"exit_code": done.code}]
    (state,) = stage.sql("SELECT errors_today, last_updated FROM system_state")
    assert (state["errors_today"], state["last_updated"][:10]) == (1, DAY)


@pytest.mark.parametrize(
    ("verb", "behave"),
    [
        ("monitor", say_nothing),
        ("monitor", hang_up),
        ("monitor", half_a_handshake),
        ("monitor", speak_http),
        ("close-all", say_nothing),
    ],
)
def test_what_only_seems_to_be_a_gateway_is_unmasked_in_time(tmp_path, ledger, verb, behave):
    with listening(behave) as (port, seen):
        stage = holding(tmp_path, ledger, port, "paper")
        before = dump(stage, "system_state")
        done = run(stage, verb)
        assert seen
    assert_told(done, 6 if verb == "close-all" else 4, verb, f"127.0.0.1:{port}")
    assert dump(stage, "system_state") == before


@pytest.fixture(scope="module")
def hurried(tmp_path_factory) -> Iterator[Stage]:
    """An open spread, a gateway that can be silenced, and short time-outs."""
    with playing(tmp_path_factory.mktemp("hurried")) as stage:
        stage.settings["execution"] = {**HURRY, "broker_side_failsafe": False}
        stage.write_config()
        enter(stage)
        stage.at("09:36")
        yield stage
        stage.settings.clear()
        stage.write_config()
        assert stage.run("monitor").code == 0, "nothing of all that has hurt"


BOOKS = (
    Say.CURRENT_TIME,
    Say.EXECUTIONS_END,
    Say.OPEN_ORDERS_END,
    Say.POSITIONS_END,
)
SILENCES = [
    *[("monitor", message) for message in BOOKS],
    *[
        ("enter", message)
        for message in (
            Say.POSITIONS_END,
            Say.CONTRACT_DETAILS_END,
            Say.MARKET_RULE,
            Say.OPEN_ORDER,
        )
    ],
    ("enter", (Say.ACCOUNT_MULTI_END, Say.ACCOUNT_SUMMARY_END)),  # the second stands in for the first
    ("settle", Say.EXECUTIONS_END),
    ("status", Say.POSITIONS_END),
    ("status", Say.ACCOUNT_SUMMARY_END),
    ("status", Say.CONTRACT_DETAILS_END),
]


OF_THE_MARGIN = [("enter", Say.OPEN_ORDER), ("enter", (Say.ACCOUNT_MULTI_END, Say.ACCOUNT_SUMMARY_END))]


@pytest.mark.parametrize(("verb", "message"), SILENCES)
def test_a_question_without_an_answer_is_exit_4_in_time_and_never_an_empty_answer(hurried, verb, message):
    """Where all but the margin was answered, that much is a decision, and kept."""
    before, book = dump(hurried, "system_state", "decisions"), hurried.sim.control.book()
    made = hurried.sql("SELECT max(id) AS newest FROM decisions")[0]["newest"] or 0
    hurried.sim.control.script([withheld(*(message if isinstance(message, tuple) else (message,)))])
    try:
        done = run(hurried, verb)
    finally:
        hurried.sim.control.script()
    assert_told(done, 4, verb, "did not answer", "Try again")
    assert hurried.sim.control.book() == book
    assert dump(hurried, "system_state", "decisions") == before
    kept = [json.loads(row["checks"]) for row in hurried.sql("SELECT * FROM decisions WHERE id > ?", made)]
    assert len(kept) == ((verb, message) in OF_THE_MARGIN)
    for checks in kept:
        margin = checks[-1]
        assert (margin["name"], margin["ok"]) == ("margin", None)
        assert "did not answer" in margin["message"]
        assert all(check["ok"] for check in checks[:-1])


@pytest.mark.parametrize("message", [Say.EXECUTIONS_END, Say.POSITIONS_END])
def test_silence_while_an_exit_is_due_is_an_alarm(tmp_path, message):
    with playing(tmp_path) as stage:
        enter(stage)
        stage.settings["execution"] = HURRY
        stage.write_config()
        stage.at("15:45")
        stage.sim.control.script([withheld(message)])
        before = dump(stage, "system_state")
        done = run(stage, "monitor")
        assert_told(done, 6, "monitor", "exit of trade 1 is due", "did not answer")
        assert dump(stage, "system_state") == before
        assert_told(run(stage, "close-all"), 6, "close-all", "did not answer")
        stage.sim.control.script()
        stage.settings.clear()
        stage.write_config()
        done = stage.run("monitor")
        assert (done.code, stage.positions()) == (0, {}), done.err


def test_a_link_that_is_cut_while_the_margin_is_asked_has_bought_nothing(tmp_path):
    with playing(tmp_path) as stage:
        stage.sim.control.script([fault("close", requests=Ask.PLACE_ORDER, point="unanswered")])
        assert_told(run(stage, "enter"), 4, "enter", "was lost")
        assert stage.sim.control.book()["orders"] == []
        assert stage.sql("SELECT * FROM trades") == []
        enter(stage)


def test_a_read_only_gateway_is_told_as_such(hurried):
    hurried.sim.control.script(["read_only"])
    try:
        assert_told(run(hurried, "enter"), 4, "enter", "Read-Only API")
        assert_told(run(hurried, "monitor"), 4, "monitor", "Read-Only API")
    finally:
        hurried.sim.control.script()


# --- an exit is due and there is no way to it -------------------------------------------------------------


@pytest.mark.parametrize(("verb", "due", "code"), [
    ("monitor", True, 6), ("monitor", False, 4), ("settle", True, 6), ("settle", False, 4), ("enter", True, 6),
    ("close-all", False, 6), ("status", True, 4),
])  # fmt: skip
def test_without_a_gateway_a_due_exit_is_an_alarm(tmp_path, ledger, verb, due, code):
    stage = holding(tmp_path, ledger, free_port(), "paper", due=due)
    trade = "Trade 1" if verb == "close-all" else "exit of trade 1"
    words = (trade, "`spxarb monitor` tries again") if code == 6 else ()
    assert_told(run(stage, verb), code, verb, "othing listens", *words)


def test_a_dry_run_raises_no_alarm(tmp_path, ledger):
    stage = holding(tmp_path, ledger, free_port(), "paper", due=True)
    assert_told(run(stage, "monitor", "--dry-run"), 4, "monitor")


def test_the_wrong_account_does_not_hide_that_an_exit_is_due(tmp_path, ledger):
    with playing(tmp_path) as stage:
        other = holding(tmp_path, ledger, stage.sim.port, "paper", due=True, execution=HURRY)
        assert_told(run(other, "monitor"), 6, "monitor", "SIM0000001", "exit of trade 1 is due")
        assert_told(run(other, "close-all"), 6, "close-all", "SIM0000001")
        assert stage.sim.control.book()["orders"] == []


def test_an_entry_that_was_cut_off_is_an_alarm_whatever_the_clock_says(tmp_path, ledger):
    stage = holding(tmp_path, ledger, free_port())
    with closing(sqlite3.connect(stage.database)) as db, db:
        db.execute("UPDATE trades SET status = 'PENDING', state = 'entering', entry_filled = 0")
    for verb in ("monitor", "enter"):
        assert_told(run(stage, verb), 6, verb, "half open")


# --- accounts ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gateway(tmp_path_factory) -> Iterator[Stage]:
    with playing(tmp_path_factory.mktemp("gateway")) as stage:
        stage.settings["execution"] = HURRY
        yield stage


def beside(gateway: Stage, folder: Path, **sections: dict[str, Any]) -> Stage:
    """Another stage at the same gateway."""
    stage = lonely(folder, gateway.sim.port)
    stage.settings = {"execution": HURRY}
    stage.write_config(**sections)
    return stage


@pytest.mark.parametrize(
    ("verb", "trading", "account", "said"),
    [
        ("enter", "paper", None, "is a sim account, and trading.mode is paper"),
        ("status", "paper", None, "is a sim account, and trading.mode is paper"),
        ("enter", "live", "SIM0000001", "is a sim account, and trading.mode is live"),
        ("enter", "live", "U1234567", "not the configured account U1234567"),
        ("enter", "sim", "SIM9999999", "not the configured account SIM9999999"),
        ("settle", "sim", "SIM9999999", "not the configured account SIM9999999"),
    ],
)
def test_an_account_that_does_not_fit_its_mode_is_refused_and_nothing_is_sent(
    gateway, tmp_path, verb, trading, account, said
):
    """A dry run of enter, because outside of its hours the verb itself does not even connect."""
    stage = beside(gateway, tmp_path, trading={"mode": trading}, ib={"account": account})
    words = ["--dry-run"] if verb == "enter" else []
    assert_told(run(stage, verb, *words), 5, verb, said)
    assert gateway.sim.control.book()["orders"] == []
    if verb == "status":
        assert not stage.database.exists()
    else:
        assert stage.sql("SELECT * FROM meta WHERE key = 'account'") == []


def test_paper_is_not_simulated(tmp_path):
    with playing(tmp_path, account="DU1234567") as stage:
        assert_told(run(stage, "enter"), 5, "enter", "DU1234567", "trading.mode is sim")


def test_clocks_that_disagree_stop_an_entry(tmp_path):
    with playing(tmp_path, account="DU1234567") as stage:
        stage.write_config(trading={"mode": "paper"})
        done = run(stage, "enter", "--dry-run")
        assert_told(done, 5, "enter", "s apart", "clock")
        assert stage.sim.control.book()["orders"] == []


def test_clocks_that_disagree_stop_no_exit_which_goes_by_the_gateways(tmp_path, ledger):
    """By this machine's clock the spread is overdue. Its fills are not the broker's: that is told as well."""
    with playing(tmp_path, account="DU0000001", at="09:40") as stage:
        other = holding(tmp_path, ledger, stage.sim.port, "paper", due=True, execution={})
        done = run(other, "monitor")
        assert_told(done, 6, "monitor", "n the ledger but not at the broker", "bought 1 SPX", "sold 10 SPY")
        assert [position["action"] for position in done["positions"]] == ["held"]
        assert len(done["reconciliation"]) == 4  # two fills, and two legs that the account does not hold
        assert run(other, "monitor", "--dry-run").code == 6


def test_a_ledger_belongs_to_one_account(gateway, tmp_path, ledger):
    stage = beside(gateway, tmp_path, trading={"mode": "sim"})
    shutil.copy(ledger, stage.database)
    with closing(sqlite3.connect(stage.database)) as db, db:
        db.execute("UPDATE meta SET value = 'SIM7777777' WHERE key = 'account'")
        db.execute("UPDATE trades SET status = 'CLOSED'")
    assert_told(run(stage, "enter"), 5, "enter", "SIM7777777", "SIM0000001")


# --- ledgers ------------------------------------------------------------------------------------------------


def damaged(path: Path, ledger: Path) -> None:
    data = bytearray(ledger.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)


def newer(path: Path, ledger: Path) -> None:
    shutil.copy(ledger, path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
        db.execute("PRAGMA journal_mode = DELETE")


def foreign(path: Path, _: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE recipes (name TEXT)")


LEDGERS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "a folder": (lambda path, _: path.mkdir(), "it is a folder"),
    "noise": (lambda path, _: path.write_bytes(os.urandom(9000)), "damaged"),
    "damaged": (damaged, "damaged"),
    "cut short": (lambda path, ledger: path.write_bytes(ledger.read_bytes()[:5000]), "damaged"),
    "newer": (newer, "newer spxarb"),
    "foreign": (foreign, "not a ledger of spxarb"),
    "of another mode": (lambda path, ledger: shutil.copy(ledger, path), "belongs to mode sim, not to paper"),
}


@pytest.mark.parametrize("kind", LEDGERS)
def test_a_ledger_that_cannot_be_used_is_refused_and_left_as_it_is(tmp_path, ledger, kind):
    make, said = LEDGERS[kind]
    stage = lonely(tmp_path, free_port())
    make(stage.database, ledger)
    before = stage.database.is_file() and stage.database.read_bytes()
    verb = "close-all" if kind in {"damaged", "newer"} else "monitor"
    done = run(stage, verb)
    # What is open there can be read of two kinds alone, and it is long overdue.
    assert_told(done, 6 if kind in {"newer", "of another mode"} else 5, verb, str(stage.database), said)
    assert done["mode"] == "paper"
    assert (stage.database.is_file() and stage.database.read_bytes()) == before


def humbly(stage: Stage, *words: str) -> Done:
    """A command run by a user without special rights: this one, or `nobody` where this one is root."""
    options: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody").pw_uid
        for path in (stage.folder, *stage.folder.iterdir()):
            os.chown(path, nobody, nobody)
        options = {"user": nobody, "group": nobody, "extra_groups": []}
    environment = stage.environment(PYTHONDONTWRITEBYTECODE="1")
    libraries = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    _, *arguments = stage.command(*words)
    for python, more in ((sys.executable, {}), (f"/usr/bin/python3.{sys.version_info.minor}", libraries)):
        with suppress(OSError):  # root's own Python is not everybody's
            done = subprocess.run(
                [python, *arguments], capture_output=True, text=True, timeout=30, check=False, cwd=stage.folder,
                env={**environment, **more}, **options,
            )  # fmt: skip
            if "No module named" not in done.stderr:
                return Done(done.returncode, done.stdout, done.stderr)
    pytest.skip("another user may not run this program")


@pytest.fixture
def humble(ledger) -> Iterator[Stage]:
    """A folder that any user may enter."""
    with tempfile.TemporaryDirectory() as name:
        stage = lonely(Path(name), free_port(), "sim")
        stage.write_config(
            trading={"mode": "sim"}, execution=NOBODY_THERE, logging={"console": False, "file": False}
        )
        shutil.copy(ledger, stage.database)
        yield stage


def test_a_configuration_that_may_not_be_read_is_told_and_the_ledger_beside_it_looked_after(humble):
    humble.config.chmod(0o000)
    told = "Nothing listens", "config.yaml", "cannot be read"
    assert_told(humbly(humble, "monitor"), 4, "monitor", *told)  # a spread is open: the broker is asked of it
    humble.database.unlink()
    assert_told(humbly(humble, "monitor"), 3, "monitor", *told[1:])


@pytest.mark.parametrize(("what", "mode"), [("trading.db", 0o444), (".", 0o500)])
def test_a_ledger_that_may_not_be_written_is_refused(humble, what, mode):
    (humble.folder / what).chmod(mode)
    assert_told(humbly(humble, "monitor"), 5, "monitor", "trading.db", "cannot be used", "the right to write")


# --- the lock ------------------------------------------------------------------------------------------------


@contextmanager
def lock_held(path: Path) -> Iterator[None]:
    """As a job that works holds it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("verb", ["enter", "monitor", "settle"])
def test_a_lock_that_is_not_given_up_in_time_is_exit_7(tmp_path, ledger, verb):
    stage = holding(tmp_path, ledger, free_port())
    stage.write_config(trading={"mode": "sim"}, execution={**NOBODY_THERE, "lock_timeout_seconds": 0.5})
    with lock_held(tmp_path / "trading.db.lock"):
        began = time.monotonic()
        done = run(stage, verb)
        assert time.monotonic() - began >= 0.5
    assert_told(done, 7, verb, "Another spxarb job holds the lock", "run this again")


def test_waiting_for_the_lock_while_an_exit_is_due_is_an_alarm(tmp_path, ledger):
    stage = holding(tmp_path, ledger, free_port(), "paper", due=True)
    stage.write_config(trading={"mode": "paper"}, execution={**NOBODY_THERE, "lock_timeout_seconds": 0})
    with lock_held(tmp_path / "trading.db.lock"):
        assert_told(run(stage, "monitor"), 6, "monitor", "holds the lock", "exit of trade 1 is due")


def test_what_changes_no_position_needs_no_lock(tmp_path, ledger):
    stage = holding(tmp_path, ledger, free_port())
    with lock_held(tmp_path / "trading.db.lock"):
        for words in (("stop",), ("start",), ("report",), ("status", "--offline")):
            assert stage.run(*words).code == 0


HOLDER = """
import sys, time
from pathlib import Path
from spxarb.lock import job_lock
with job_lock(Path(sys.argv[1]), command="spxarb monitor", timeout=1):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_of_a_job_that_died_is_no_lock(tmp_path, ledger):
    stage = holding(tmp_path, ledger, free_port())
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "trading.db.lock")], stdout=subprocess.PIPE, text=True
    ) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "held\n"
        job.kill()
    assert "spxarb monitor" in (tmp_path / "trading.db.lock").read_text()
    assert_told(run(stage, "monitor"), 4, "monitor", "Nothing listens")


# --- Ctrl-C --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "code"), [("monitor", 130), ("close-all", 6), ("status", 130)])
def test_ctrl_c_before_anything_is_sent_ends_in_one_line_a_whole_object_and_a_run_with_that_code(
    tmp_path, ledger, verb, code
):
    """`close-all` leaves open what it was to close."""
    with listening(say_nothing) as (port, seen):
        stage = holding(tmp_path, ledger, port)
        stage.write_config(trading={"mode": "sim"}, execution={"connect_timeout_seconds": 30})
        before = dump(stage, "system_state")
        job = stage.start(*VERBS[verb])
        while not seen:
            assert job.poll() is None
            time.sleep(0.02)
        job.send_signal(signal.SIGINT)
        out, err = job.communicate(timeout=PATIENCE)
    assert job.returncode == code, err
    assert (err.count("\n"), "Traceback" in err) == (1, False), err
    assert err.startswith(f"spxarb {verb}: interrupted")
    found = read_object(out)
    assert_whole(found, SHAPES[verb])
    assert found["exit_code"] == code
    (row,) = stage.sql("SELECT exit_code, ended_at IS NOT NULL AS ended FROM runs ORDER BY id DESC LIMIT 1")
    assert row == {"exit_code": 0 if verb == "status" else code, "ended": 1}, "status leaves no run"
    assert dump(stage, "system_state") == before
