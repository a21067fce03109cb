"""`watchdog`: it shouts when something is open and nobody looks after it, whatever state the ledger is in."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from actions import playing
from dead_man import dead_man
from relay import free_port
from sink import listening_sink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness import Done, Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    """A spread that was opened at 09:36; the last that its ledger heard is 10:30, and no monitor ran."""
    with playing(tmp_path_factory.mktemp("watchdog")) as made:
        made.settings["trading"] = {"max_spreads_per_day": 1}
        made.write_config()
        made.at("09:36")
        assert made.run("enter")["outcome"] == "entered"
        made.at("10:30")
        assert made.run("enter")["outcome"] == "skipped"
        yield made


@pytest.fixture
def copy(stage, tmp_path) -> Stage:
    """The same ledger in a folder of its own, without a gateway: nothing here may need one."""
    for name in ("trading.db", "trading.db.seen"):
        shutil.copy(stage.folder / name, tmp_path / name)
    made = type(stage)(tmp_path, stage.sim, {"ib": {"port": free_port()}})
    made.write_config()
    return made


def troubles(done: Done) -> list[str]:
    return [alarm["trouble"] for alarm in done["alarms"]]


def set_runs(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql, values)


def test_an_open_spread_without_a_monitor_is_shouted_at_once_an_hour_and_nothing_is_written(copy):
    before = {path.name: path.read_bytes() for path in copy.folder.glob("trading.*")}
    with listening_sink() as sink:
        first, second = (copy.run("watchdog", env=sink.variables) for _ in range(2))
        assert (first.code, troubles(first), first["open"]) == (6, ["monitor"], ["trade 1"])
        assert first["alarms"][0]["text"].startswith("No `monitor` ever succeeded, and trade 1 is open")
        assert (first["watching"], first["last_monitor"], first["minutes"]) == (True, None, 10)
        assert (first["alarms"][0]["told"], second["alarms"][0]["told"]) == (True, None)
        assert second.code == 6
        (alert,) = sink.alerts
        memory = copy.folder / "trading.db.watchdog"
        told = json.loads(memory.read_text())
        memory.write_text(json.dumps(dict.fromkeys(told, "2020-01-01T10:00:00-05:00")))
        assert copy.run("watchdog", env=sink.variables)["alarms"][0]["told"] is True
        assert len(sink.alerts) == 2
    assert alert.startswith("No `monitor` ever succeeded")
    assert "SIM0000001" not in alert
    assert {name: (copy.folder / name).read_bytes() for name in before} == before


def test_a_monitor_that_succeeded_a_stop_and_a_closed_trade_end_it(copy):
    set_runs(copy.database, "UPDATE runs SET command = 'monitor' WHERE id = 2")
    done = copy.run("watchdog")
    assert (done.code, troubles(done), done["last_monitor"][11:16]) == (0, [], "10:30")
    set_runs(copy.database, "UPDATE runs SET exit_code = 4")
    assert troubles(copy.run("watchdog")) == ["monitor"]
    assert copy.run("stop").code == 0
    assert troubles(copy.run("watchdog")) == ["monitor"]
    set_runs(copy.database, "UPDATE trades SET status = 'CLOSED', state = 'closed'")
    set_runs(copy.database, "UPDATE orders SET final = 1")
    quiet = copy.run("watchdog")
    assert (quiet.code, quiet["open"], quiet.err) == (0, [], "")


def test_a_missing_ledger_is_quiet_and_one_that_vanished_is_not(copy):
    copy.database.unlink()
    gone = copy.run("watchdog")
    assert (gone.code, troubles(gone), gone["ledger_read"]) == (6, ["ledger"], None)
    copy.database.with_name("trading.db.seen").unlink()
    never = copy.run("watchdog")
    assert (never.code, never["alarms"], never["open"]) == (0, [], None)
    assert not copy.database.exists()


@pytest.mark.parametrize("state", ["damaged", "locked", "a folder", "newer"])
def test_a_ledger_that_cannot_be_read_is_taken_for_open(copy, state):
    held = None
    match state:
        case "damaged":
            copy.database.write_bytes(copy.database.read_bytes()[:5000] + b"\0" * 9000)
        case "locked":
            held = sqlite3.connect(copy.database, isolation_level=None)
            held.execute("PRAGMA locking_mode = EXCLUSIVE")
            held.execute("BEGIN EXCLUSIVE")
        case "a folder":
            copy.database.unlink()
            copy.database.mkdir()
        case "newer":
            set_runs(copy.database, "UPDATE meta SET value = '9999' WHERE key = 'schema_version'")
    with listening_sink() as sink:
        done = copy.run("watchdog", env=sink.variables)
        if held is None:  # that one is waited for
            assert copy.run("watchdog", env=sink.variables).code == 6
        assert (done.code, troubles(done)) == (6, ["ledger"])
        (alert,) = sink.alerts
    told = "trades 1 are open in it" if state == "newer" else "whether a position is open is not known"
    assert alert.startswith(f"The ledger cannot be read, and {told}.")
    if held is not None:
        held.close()


def test_where_the_folder_cannot_be_written_repeats_are_bounded_all_the_same(copy, tmp_path_factory):
    """A folder in the file's place stands for every reason why it cannot be made, also to root."""
    copy.database.with_name("trading.db.watchdog").mkdir()
    runtime = tmp_path_factory.mktemp("runtime")
    with listening_sink() as sink:
        env = {**sink.variables, "XDG_RUNTIME_DIR": str(runtime), "RUNTIME_DIRECTORY": ""}
        assert [copy.run("watchdog", env=env).code for _ in range(2)] == [6, 6]
        assert len(sink.alerts) == 1
    (memory,) = runtime.iterdir()
    assert memory.stat().st_mode & 0o777 == 0o600


def test_an_alert_that_did_not_go_out_is_sent_by_the_next_run(copy):
    dead = {"EMAIL_ENABLED": "true", "SPXARB_NOTIFY_URL": f"json://127.0.0.1:{free_port()}/"}
    assert copy.run("watchdog", env=dead)["alarms"][0]["told"] is False
    with listening_sink() as sink:
        assert copy.run("watchdog", env=sink.variables)["alarms"][0]["told"] is True
        assert len(sink.alerts) == 1


def test_a_broken_configuration_hides_no_alarm(copy):
    copy.write_config(trading={"max_ratio": "ten"})
    done = copy.run("watchdog")
    assert (done.code, troubles(done)) == (6, ["monitor"])
    assert "trading.max_ratio" in done.err
    set_runs(copy.database, "UPDATE runs SET command = 'monitor'")
    assert copy.run("watchdog").code == 3


def test_the_minutes_are_configured(copy):
    copy.write_config(watchdog={"minutes": 120})
    assert copy.run("watchdog").code == 0


def test_an_expired_spread_that_was_never_settled_is_told_the_day_after(copy):
    set_runs(copy.database, "UPDATE runs SET market_time = replace(market_time, 'T10:30', 'T16:40')")
    done = copy.run("watchdog")
    assert (done.code, [trouble.split(" 2026")[0] for trouble in troubles(done)]) == (6, ["settle trade 1"])
    assert done["watching"] is False


def test_ledgers_of_another_mode_are_named(copy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("state")
    (folder / "sim").mkdir()
    shutil.copy(copy.database, folder / "sim" / "trading.db")
    done = copy.run(
        "watchdog",
        env={
            "STATE_DIRECTORY": str(folder),
            "SPXARB_DATABASE": str(folder / "x.db"),
            "TRADING_MODE": "paper",
        },
    )
    told = " ".join([*done["notes"], done.err])
    assert f"{folder}/sim/trading.db of mode sim has open trades (1)" in told
    assert done.code in {0, 6}  # by the machine's date, which the simulated day may be before


def test_it_pings_with_its_exit_code(copy):
    with dead_man() as service:
        copy.write_config(ping={"url": service.url})
        assert copy.run("watchdog").code == 6
        assert service.paths == ["start", "6"]


@pytest.mark.skipif(not os.access("/proc/self/exe", os.R_OK), reason="no /proc here")
def test_it_loads_nothing_of_the_broker(copy):
    done = copy.run("watchdog", env={"PYTHONVERBOSE": "1"})
    assert "import 'ib_insync'" not in done.err


def test_the_runs_that_are_missing_or_failed_stand_in_log_and_status(copy):
    set_runs(copy.database, "UPDATE runs SET exit_code = 4 WHERE id = 2")
    log, status = copy.run("log"), copy.run("status", "--offline")
    missing = [(gap["command"], gap["first"][11:16], gap["last"][11:16]) for gap in log["missing_runs"]]
    assert missing == [("enter", "09:40", "09:55"), ("monitor", "09:40", "10:25")]
    assert status["missing_runs"] == log["missing_runs"]
    (failing,) = log["failing_runs"]
    assert (failing["command"], failing["times"], failing["last_success"][11:16]) == ("enter", 1, "09:36")
    shown = copy.run("log", as_json=False).out
    assert "monitor did not run from 09:40 to 10:25 (10 times)." in shown
    assert "enter ran once from 10:30 on, without success since 09:36." in shown
