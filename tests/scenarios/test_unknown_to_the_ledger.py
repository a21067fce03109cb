"""What the ledger does not know: an account that shows more, another ledger, a time that only the gateway told."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from actions import enter, playing, settings, tomorrow, wait_until
from harness import Done, fault, withheld
from relay import free_port

from spxarb.sim.api.wire import Ask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

VERBS = {
    "enter": ("enter",),
    "monitor": ("monitor",),
    "settle": ("settle",),
    "close-all": ("close-all", "--yes"),
    "status": ("status",),
    "status --offline": ("status", "--offline"),
    "report": ("report",),
    "start": ("start",),
    "stop": ("stop",),
    "ack": ("ack",),
}


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        settings(made, max_spreads_per_day=2, broker_side_failsafe=False)
        yield made


def gone(stage: Stage) -> None:
    """Nobody listens at the gateway's port any more."""
    stage.write_config(ib={"port": free_port()}, execution={"connect_timeout_seconds": 0.4})


# --- the daily look -----------------------------------------------------------------------------------


def test_monitor_asks_the_account_once_a_day_though_nothing_is_open(stage):
    assert stage.run("monitor")["notes"] == []
    asked = len(stage.sim.control.book()["fills"])
    gone(stage)
    quiet = stage.run("monitor")
    assert (quiet.code, quiet["notes"], asked) == (0, ["Nothing is open."], 0)
    (row,) = stage.sql("SELECT count(account_seen) AS looks FROM runs")
    assert row == {"looks": 1}


def test_without_a_gateway_the_daily_look_is_exit_4_and_no_alert(stage):
    gone(stage)
    done = stage.run("monitor")
    assert (done.code, "Nothing listens" in done.err) == (4, True)
    assert stage.sql("SELECT value FROM meta WHERE key = 'alerts'") == []
    assert stage.run("monitor").code == 4


@pytest.mark.parametrize(
    "verb", [("status",), ("monitor", "--dry-run"), ("enter", "--dry-run"), ("report",)], ids=" ".join
)
def test_what_only_looks_does_not_count_as_the_look_of_the_day(stage, verb):
    stage.run(*verb)
    gone(stage)
    assert stage.run("monitor").code == 4


@pytest.mark.parametrize(
    "verb", [("enter",), ("settle",), ("close-all", "--yes"), ("monitor",)], ids=" ".join
)
def test_every_job_that_may_act_counts_as_the_look_of_the_day(stage, verb):
    stage.at("10:30")
    stage.run(*verb)
    gone(stage)
    assert stage.run("monitor").code == 0


def a_deleted_ledger(stage: Stage) -> None:
    for file in stage.folder.glob("trading.*"):
        file.unlink()


def a_copy_of_the_morning(stage: Stage) -> None:
    shutil.copy(stage.folder / "morning.copy", stage.database)
    for file in stage.folder.glob("trading.db-*"):
        file.unlink()


def keep_a_copy(stage: Stage) -> None:
    """Of the ledger as it is in the morning, once the account has been seen."""
    assert stage.run("monitor").code == 0
    with (
        closing(sqlite3.connect(stage.database)) as db,
        closing(sqlite3.connect(stage.folder / "morning.copy")) as copy,
    ):
        db.backup(copy)


@pytest.mark.parametrize("loss", [a_deleted_ledger, a_copy_of_the_morning])
@pytest.mark.parametrize("verb", ["monitor", "close-all", "enter", "status"])
def test_a_spread_that_the_ledger_lost_is_named(stage, verb, loss):
    keep_a_copy(stage)
    enter(stage)
    loss(stage)
    done = stage.run(*VERBS[verb])
    assert done.code == 6, done.err
    assert "knows nothing of" in done["error"]
    if verb == "close-all":
        assert (done["flat"], done["asked_broker"]) == (False, True)
    if verb != "status":
        assert stage.run("monitor").code == 6  # it stays a matter
    tomorrow(stage)


def test_a_live_order_that_the_ledger_lost_is_named(stage):
    """The fail-safe rests, and the ledger is new."""
    settings(stage, max_spreads_per_day=2, broker_side_failsafe=True)
    enter(stage)
    a_deleted_ledger(stage)
    done = stage.run("monitor")
    assert done.code == 6
    assert "live order" in done["error"]
    assert ":SPY:f1" in done["error"]


def test_a_spread_of_the_day_that_is_over_and_lost_is_named_and_its_number_is_not_given_again(stage):
    keep_a_copy(stage)
    enter(stage)
    assert stage.run("close-all", "--yes")["flat"] is True
    a_copy_of_the_morning(stage)
    done = stage.run("monitor")
    assert (done.code, ":1:SPX:e1" in done["error"]) == (6, True)
    (matter,) = stage.run("ack")["matters"]
    assert stage.run("ack", str(matter["id"])).code == 0
    assert enter(stage)["trade_id"] == 2


# --- what the gateway told ------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [("enter", "--dry-run"), ("monitor", "--dry-run")], ids=" ".join)
def test_an_exit_that_is_due_by_the_newest_time_told_is_6_without_a_gateway(stage, verb):
    enter(stage)
    stage.at("15:45:05")
    stage.run(*verb)
    gone(stage)
    done = stage.run("monitor")
    assert (done.code, "exit of trade 1 is due" in done["error"]) == (6, True)


def test_a_time_that_was_told_before_the_gateway_fell_silent_counts(stage):
    enter(stage)
    stage.write_config(execution={"question_timeout_seconds": 0.5})
    stage.at("15:45:05")
    stage.sim.control.script(
        [withheld(Ask.POSITIONS), fault("ignore", requests=["positions"], lasts="always")]
    )
    assert stage.run("enter", "--dry-run").code == 4
    gone(stage)
    assert stage.run("monitor").code == 6


def test_an_exit_that_is_not_due_yet_is_4_without_a_gateway(stage):
    enter(stage)
    stage.at("15:44:59")
    assert stage.run("enter", "--dry-run").code == 0
    gone(stage)
    assert stage.run("monitor").code == 4


# --- status compares ------------------------------------------------------------------------------------


def test_status_says_where_account_and_ledger_differ(stage):
    enter(stage)
    same = stage.run("status")
    assert (same.code, same["reconciliation"]) == (0, [])
    (row,) = stage.sql("SELECT con_id FROM orders WHERE leg = 'SPY'")
    stage.sim.control.script([fault("foreign_fill", side="BUY", quantity=10, con_id=row["con_id"])])
    done = stage.run("status")
    assert done.code == 6
    assert any("thers closed 10 short SPY calls" in sentence for sentence in done["reconciliation"])
    text = stage.run("status", as_json=False)
    assert "Differences between ledger and broker" in text.out
    assert stage.sql("SELECT * FROM matters") == []  # it reads only


def test_status_knows_a_fill_that_no_job_has_seen_yet(tmp_path):
    """The fail-safe has bought SPY back meanwhile: that is no difference, only not in the ledger yet."""
    with playing(tmp_path) as stage:
        settings(stage, broker_side_failsafe=True)
        enter(stage)
        stage.at("15:55")
        wait_until(
            lambda: (
                ("SPY", stage.sql("SELECT spy_strike FROM trades")[0]["spy_strike"]) not in stage.positions()
            )
        )
        done = stage.run("status")
        assert all("not in the ledger yet" in sentence for sentence in done["reconciliation"])
        assert done["reconciliation"] != []
        assert done.code == 0, done.err


# --- a calendar that was edited in the day --------------------------------------------------------------


@pytest.mark.parametrize("edit", [{"closed": ["2026-02-10"]}, {"early_close": ["2026-02-10"]}], ids=str)
def test_a_calendar_edited_in_the_day_changes_nothing_for_an_open_spread(stage, edit):
    enter(stage)
    stage.write_config(calendar=edit)
    stage.at("13:30")
    assert stage.run("monitor")["positions"][0]["action"] == "held"
    assert stage.run("status")["status"]["open_positions"] == 1
    assert stage.run("settle")["trades"] == [] or stage.sql("SELECT status FROM trades") == [
        {"status": "ACTIVE"}
    ]
    assert stage.sql("SELECT * FROM settlements") == []
    stage.at("15:45")
    done = stage.run("monitor")
    assert (done.code, done["positions"][0]["exit_reason"], done["positions"][0]["action"]) == (
        0,
        "TIME",
        "closed",
    )
    assert stage.positions() == {}
    stage.at("16:06")
    settled = stage.run("settle", "--date", "2026-02-10")
    assert (settled.code, settled["summary"]["date"], settled["summary"]["trades_count"]) == (
        0,
        "2026-02-10",
        1,
    )


@pytest.mark.parametrize("edit", [{"closed": ["2026-02-10"]}, {"early_close": ["2026-02-10"]}], ids=str)
def test_close_all_sells_live_calls_and_settles_none_whatever_the_calendar_says(stage, edit):
    enter(stage)
    stage.write_config(calendar=edit)
    stage.at("13:30")
    done = stage.run("close-all", "--yes")
    assert (done.code, done["flat"], done["positions"][0]["action"]) == (0, True, "closed")
    assert stage.sql("SELECT * FROM settlements") == []


# --- a configuration without settings -------------------------------------------------------------------

HOLLOW = ["", "\n\n", "# nothing\n", "---\n", "null\n", "~\n", "--- # a\n...\n"]


@pytest.mark.parametrize("text", [*HOLLOW, "- a\n"])
def test_a_named_file_without_a_setting_is_an_invalid_configuration(stage, text):
    stage.config.write_text(text)
    done = stage.run("monitor")
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert ("no setting" in done.err) or ("expected sections" in done.err)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in {"monitor", "close-all"}])
def test_every_verb_refuses_it_while_a_spread_is_open(stage, verb):
    enter(stage)
    stage.config.write_text("# all gone\n")
    assert stage.run(*VERBS[verb]).code == 3


def in_folder(stage: Stage, *words: str) -> Done:
    """A command that finds `./config.yaml` in the working folder, named by nobody; its ledger has the default place."""
    env = stage.environment(STATE_DIRECTORY=str(stage.folder / "state"))
    env.pop("SPXARB_WAIT_SCALE", None)
    line = [sys.executable, "-m", "spxarb", *words, "--json"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=stage.folder, env=env)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("verb", ["monitor", "close-all"])
def test_an_exit_goes_on_with_the_configuration_stored_with_the_trade(stage, verb):
    """Whether the file was named or found; what is not flat when it should be is 6."""
    state = {"STATE_DIRECTORY": str(stage.folder / "state")}
    stage.write_config(storage={"database": None})
    assert stage.run("enter", env=state)["outcome"] == "entered"
    stage.config.write_text("")
    stage.at("15:46")
    stage.sim.control.script([fault("hold_fills", lasts="always")])
    done = in_folder(stage, *VERBS[verb])
    stage.sim.control.script()
    assert (done.code, done["positions"][0]["action"]) == (6, "failed"), done.err
    assert not any("defaults are in force" in note for note in done["notes"])
    done = stage.run(*VERBS[verb], env=state) if verb == "monitor" else in_folder(stage, *VERBS[verb])
    assert (done.code, done["positions"][0]["action"], stage.positions()) == (3, "closed", {}), done.err


@pytest.mark.parametrize("verb", ["report", "stop", "monitor", "close-all"])
def test_a_trade_that_cannot_be_read_may_be_open_when_the_configuration_is_lost(stage, verb):
    """A found file without a setting is then none that can be gone on with in silence."""
    stage.write_config(storage={"database": None})
    assert stage.run("enter", env={"STATE_DIRECTORY": str(stage.folder / "state")})["outcome"] == "entered"
    with closing(sqlite3.connect(stage.folder / "state" / "sim" / "trading.db")) as db, db:
        db.execute("UPDATE trades SET spy_contract = '?'")
    stage.config.write_text("# to be filled in\n")
    done = in_folder(stage, *VERBS.get(verb, (verb,)))
    assert done.code == (3 if verb in {"report", "stop"} else 6), done.err


def test_a_file_that_was_only_found_is_as_good_as_none_until_a_trade_is_open(stage):
    """`./config.yaml` in the working folder, named by nobody."""
    state = str(stage.folder / "state")
    stage.write_config(storage={"database": None})
    text = stage.config.read_text()
    stage.config.write_text("# to be filled in\n")

    def report() -> tuple[int, str]:
        done = in_folder(stage, "report")
        return done.code, done.out + done.err

    code, told = report()
    assert (code, "holds no setting: the defaults are in force" in " ".join(told.split())) == (0, True)
    stage.config.write_text(text)
    assert stage.run("enter", env={"STATE_DIRECTORY": state})["outcome"] == "entered"
    stage.config.write_text("# to be filled in\n")
    code, told = report()
    assert (code, "it holds no setting" in told) == (3, True)


# --- another ledger ---------------------------------------------------------------------------------------


@pytest.fixture
def moved(stage) -> Stage:
    """A spread is open in sim's ledger of the state folder; the configuration says paper by now."""
    stage.settings["storage"] = {"database": None}
    stage.write_config()
    state = {"STATE_DIRECTORY": str(stage.folder / "state")}
    assert stage.run("enter", env=state)["outcome"] == "entered"
    stage.write_config(
        trading={"mode": "paper"}, ib={"port": free_port()}, execution={"connect_timeout_seconds": 0.4}
    )
    return stage


def other(stage: Stage, verb: str):
    return stage.run(*VERBS[verb], env={"STATE_DIRECTORY": str(stage.folder / "state")})


@pytest.mark.parametrize("verb", list(VERBS))
def test_open_trades_of_another_modes_ledger_are_named_by_every_verb(moved, verb):
    done = other(moved, verb)
    where = str(moved.folder / "state" / "sim" / "trading.db")
    told = " ".join([done["error"] or "", *done["notes"]])
    assert where in told
    assert "open trades (1)" in told
    acting = verb in {"enter", "monitor", "settle", "close-all"}
    assert done.code == (6 if acting else 4 if verb == "status" else 0)


def test_what_is_not_due_there_is_told_and_no_more(moved):
    path = moved.folder / "state" / "sim" / "trading.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE trades SET limits = replace(limits, '2026-02-10', '2035-01-03')")
    done = other(moved, "monitor")
    assert (done.code, "open trades (1)" in " ".join(done["notes"])) == (4, True)


def test_another_ledger_that_cannot_be_read_is_told_and_stops_nothing(moved):
    path = moved.folder / "state" / "sim" / "trading.db"
    for log in path.parent.glob("trading.db-*"):
        log.unlink()
    path.write_bytes(path.read_bytes()[:2000] + b"\xff" * 3000)
    before = path.read_bytes()
    done = other(moved, "report")
    assert (done.code, "cannot be read" in " ".join(done["notes"])) == (0, True)
    assert path.read_bytes() == before


def test_a_ledger_that_another_database_replaced_is_told(stage):
    enter(stage)
    stage.write_config(storage={"database": str(stage.folder / "new.db")})
    done = stage.run("report")
    assert "open trades (1)" in " ".join(done["notes"])
    stage.at("15:46")
    assert stage.run("monitor").code == 6


def test_a_copy_of_this_ledger_is_no_other_ledger(stage):
    enter(stage)
    with (
        closing(sqlite3.connect(stage.database)) as db,
        closing(sqlite3.connect(stage.folder / "copy.db")) as copy,
    ):
        db.backup(copy)
    assert stage.run("report")["notes"] == []


def test_the_ledger_of_another_mode_at_the_same_place_is_6_where_an_exit_is_due_there(stage):
    enter(stage)
    stage.write_config(trading={"mode": "paper"})
    done = stage.run("monitor")
    assert done.code == 6
    assert "belongs to mode sim" in done["error"]
