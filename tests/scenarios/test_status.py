"""`status`, and the other commands that only read: what they answer at once, and that they leave no trace."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from actions import enter, playing, settings, tapped, wait_until
from harness import Stage, withheld
from relay import free_port

from spxarb.core.own_names import lock_of
from spxarb.lock import job_lock
from spxarb.sim.api.wire import Ask, Say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NARROW = {"COLUMNS": "80"}


@pytest.fixture(scope="module")
def day(tmp_path_factory) -> Iterator[Stage]:
    """A spread is open at 11:41; the monitor came last at 11:30, and a second entry found no credit."""
    with playing(tmp_path_factory.mktemp("status")) as stage:
        enter(stage)
        stage.at("09:50")
        settings(stage, min_entry_credit=5000)
        stage.run("enter")
        for clock in ("10:00", "11:30"):
            stage.at(clock)
            stage.run("monitor")
        stage.at("11:41")
        yield stage


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def screen(stage: Stage, *words: str, env: dict[str, str] = NARROW) -> str:
    done = stage.run("status", *words, as_json=False, env=env)
    assert max(map(len, done.out.splitlines())) <= int(env["COLUMNS"])
    return done.out


# --- no trace ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("status",), ("status", "--offline"), ("report",), ("log",)], ids=" ".join)
def test_without_a_ledger_a_reading_command_says_so_with_its_path_and_makes_no_file(tmp_path, words):
    with playing(tmp_path) as stage:
        ledger = tmp_path / "not" / "there" / "trading.db"
        stage.write_config(storage={"database": str(ledger)})
        before = files(tmp_path)
        done = stage.run(*words)
        assert done.code == 0
        assert any(f"There is no ledger at {ledger}" in note for note in done["notes"])
        assert (
            f"There is no ledger at {ledger}" in stage.run(*words, as_json=False, env={"COLUMNS": "200"}).out
        )
        assert files(tmp_path) == before


def test_reading_commands_leave_ledger_and_folder_as_they_are_and_only_add_to_the_log(day):
    log = day.folder / "trading.log"
    before = files(day.folder)
    for words in (("status",), ("status", "--offline"), ("report",), ("log",), ("status", "--risk")):
        assert day.run(*words).code == 0
        after = files(day.folder)
        assert after[log].startswith(before[log])
        assert {**after, log: b""} == {**before, log: b""}


def test_a_reading_command_that_finds_a_matter_alerts_nobody_else(day):
    (number,) = [row["n"] for row in day.sql("SELECT count(*) AS n FROM alerts")]
    day.sim.control.script([withheld(Say.POSITION)])
    try:
        assert day.run("status").code == 6
    finally:
        day.sim.control.script([])
    assert day.sql("SELECT count(*) AS n FROM alerts") == [{"n": number}]


# --- one glance -------------------------------------------------------------------------------------


def test_what_the_last_run_of_each_command_said_and_when_the_next_is_due(day):
    done = day.run("status")
    routines = {row["command"]: row for row in done["routines"]}
    assert {name: (row["last_run"] or "")[11:16] for name, row in routines.items()} == {
        "enter": "09:50",
        "monitor": "11:30",
        "settle": "",
    }
    assert routines["enter"]["said"].startswith("skipped: credit $")
    assert "< $5,000.00 (" in routines["enter"]["said"]
    assert routines["monitor"]["said"] == "1 held"
    due = {name: row["next_due"][:16] for name, row in routines.items()}
    assert due == {
        "enter": "2026-02-11T09:35",
        "monitor": "2026-02-10T11:45",
        "settle": "2026-02-10T16:05",
    }
    assert routines["monitor"]["missed"][11:16] == "11:35"
    out = screen(day)
    assert "monitor  11:30 1 held  DID NOT RUN at 11:35  next 11:45" in out
    assert "settle   never ran  next 16:05" in out


def test_each_exit_has_its_distance_and_the_buy_back_at_the_broker_is_seen(day):
    done = day.run("status")
    (position,), (exits,) = done["positions"], done["exits"]
    distances = exits["distances"]
    threshold = position["spy_strike"] + 10
    assert distances["assignment_at"] == threshold
    assert distances["to_assignment"] == pytest.approx(threshold - done["market"]["spy_price"])
    assert distances["to_loss_limit"] == pytest.approx(500 + position["current_pnl"])
    assert (distances["time_exit_at"][11:16], distances["to_time_exit"]) == ("15:45", 4 * 3600 + 4 * 60)
    assert distances["brought_forward"] is None
    assert (exits["failsafe"]["wanted"], exits["failsafe"]["resting"]) == (True, 10)
    assert exits["failsafe"]["active_from"][11:16] == "15:50"
    (row,) = day.sql("SELECT strike_mismatch, entry_credit, worst_case FROM trades")
    assert position["strike_mismatch_points"] == row["strike_mismatch"]
    assert position["worst_case"] <= row["entry_credit"]
    out = screen(day)
    for told in (
        f"exits: assignment ${distances['to_assignment']:.2f} ({threshold:.2f})",
        f"loss ${distances['to_loss_limit']:,.2f}",
        "time 4 h 04 min (15:45)",
        "fail-safe 10 from 15:50",
        f"mismatch {position['strike_mismatch_points']:+.2f}".replace("-", "−"),
    ):
        assert told in out


def test_the_account_is_masked_on_the_screen_and_whole_in_json(day):
    assert day.run("status")["account"]["account_id"] == "SIM0000001"
    out = screen(day)
    assert "SIM0000001" not in out
    assert f"connected  127.0.0.1:{day.sim.port}  account SIM***001  sim" in out
    assert str(day.database) in day.run("status", as_json=False, env={"COLUMNS": "200"}).out


def test_stopped_says_why_by_whom_and_since_when(day):
    assert day.run("status")["trading"]["state"] == "ACTIVE"
    day.run("stop", "--reason", "FOMC day")
    day.run("close-all", "--dry-run")  # it sets no flag
    trading = day.run("status")["trading"]
    assert (trading["state"], trading["reason"], trading["by"]) == ("STOPPED", "FOMC day", "spxarb stop")
    assert "trading  STOPPED  since 11:" in screen(day)
    assert "by spxarb stop  FOMC day" in screen(day)
    day.run("start")
    assert "trading  ACTIVE  lock free" in screen(day)


def test_the_holder_of_the_lock_is_named(day):
    lock = lock_of(day.database)
    with job_lock(lock, command="spxarb monitor", timeout=5):
        assert day.run("status")["lock"]["pid"] == os.getpid()
        assert f"lock     `spxarb monitor`  process {os.getpid()}" in screen(day)
    assert day.run("status")["lock"]["pid"] is None


def test_offline_shows_the_newest_marks_with_their_age_and_asks_nobody(day):
    with tapped(day) as tap:
        done = day.run("status", "--offline")
        out = screen(day, "--offline")
    assert tap.connections == 0
    assert done["exits"][0]["as_of"][11:16] == "11:30"
    assert done["last_prices"]["at"][11:16] == "11:30"
    assert done["exits"][0]["failsafe"]["resting"] is None
    assert done["exits"][0]["failsafe"]["sent"] == 10
    assert "gateway  not asked" in out
    assert "Open Positions  marked 11:30" in out


def test_greeks_leave_the_screen_and_not_the_object_where_the_configuration_says_so(day):
    assert "Δ" in screen(day)
    text = day.config.read_text()
    day.config.write_text(text + "dashboard: {show_greeks: false}\n")
    try:
        assert "Δ" not in screen(day)
        assert day.run("status")["positions"][0]["greeks"]["delta"] is not None
    finally:
        day.config.write_text(text)


def test_an_entry_that_is_neither_whole_nor_undone_is_not_shown_as_plain_pending(tmp_path):
    with playing(tmp_path) as stage:
        enter(stage)
        with sqlite3.connect(stage.database) as db:
            db.execute("UPDATE trades SET state = 'entering', status = 'PENDING', entry_filled = 0")
        db.close()
        (position,) = stage.run("status")["positions"]
        assert (position["status"], position["needs_human"]) == ("PENDING", True)
        for words in ((), ("--offline",)):
            out = screen(stage, *words)
            assert "#1 PENDING: NEEDS A HUMAN" in out
            assert "Its entry is neither whole nor undone." in out


def test_on_a_short_day_the_time_in_force_is_shown_with_the_reason(tmp_path):
    with playing(tmp_path, date="2026-11-27") as stage:
        enter(stage)
        stage.at("10:00")
        done = stage.run("status")
        distances = done["exits"][0]["distances"]
        assert (distances["time_exit_at"][11:16], distances["to_time_exit"]) == ("12:45", 2 * 3600 + 45 * 60)
        why = "brought forward from 15:45: 15 minutes before the close at 13:00"
        assert distances["brought_forward"] == why
        out = screen(stage)
        assert why in out
        assert "half-day 09:30-13:00" in out
        assert {row["command"]: row["next_due"][11:16] for row in done["routines"]}["settle"] == "13:05"


def test_recent_trades_are_of_any_day_with_what_became_of_them(tmp_path):
    with playing(tmp_path) as stage:
        enter(stage)
        stage.at("15:45")
        stage.run("monitor")
        with sqlite3.connect(stage.database) as db:
            db.execute("UPDATE trades SET trade_date = '2026-02-09'")
        db.close()
        done = stage.run("status")
        assert [(row["id"], row["trade_date"], row["exit_reason"]) for row in done["trades"]] == [
            (1, "2026-02-09", "TIME")
        ]
        assert done["performance"]["trades_count"] == 0
        assert "02-09 #1 TIME" in screen(stage)


# --- the live screen --------------------------------------------------------------------------------


@contextmanager
def watching(stage: Stage, *words: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """`status --watch` into a file, and a function that tells what has been drawn so far."""
    target = stage.folder / "drawn.txt"
    with target.open("w") as file:
        running = subprocess.Popen(
            stage.command("status", "--watch", *words, as_json=False),
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            cwd=stage.folder,
            env=stage.environment(**NARROW),
        )
    try:
        yield running, target.read_text
    finally:
        running.kill()
        running.communicate()


def frames(text: str) -> int:
    return text.count("System Status")


def test_a_watch_holds_one_connection_and_asks_anew_at_every_look(day):
    text = day.config.read_text()
    with tapped(day) as tap:
        day.config.write_text(day.config.read_text() + "dashboard: {refresh_interval_seconds: 0.2}\n")
        with watching(day) as (running, drawn):
            wait_until(lambda: frames(drawn()) >= 4)
            running.send_signal(signal.SIGINT)
            _, err = running.communicate(timeout=30)
    day.config.write_text(text)
    assert (running.returncode, err) == (0, "")
    assert tap.connections == 1
    asked = [int(fields[0]) for fields in tap.requests]
    assert asked.count(Ask.POSITIONS) >= 4
    assert not tap.asked & {Ask.PLACE_ORDER, Ask.CANCEL_ORDER}


def test_a_watch_tells_that_the_gateway_went_away_and_goes_on_when_it_is_back(day):
    text = day.config.read_text()
    gone = text.replace(f"port: {day.sim.port}", f"port: {free_port()}")
    pace = "dashboard: {refresh_interval_seconds: 0.2}\n"
    day.config.write_text(text + pace)
    try:
        with watching(day) as (running, drawn):
            wait_until(lambda: "gateway  connected" in drawn())
            day.config.write_text(gone + pace)
            day.sim.control.drop()
            wait_until(lambda: "NOT CONNECTED" in drawn(), 60)
            told = drawn()
            first = told.rindex("status · sim")
            assert told.index("Nothing listens", first) < told.index("System Status", first)
            day.config.write_text(text + pace)
            wait_until(lambda: "gateway  connected" in drawn()[first:], 60)
            running.send_signal(signal.SIGINT)
            _, err = running.communicate(timeout=30)
    finally:
        day.config.write_text(text)
    assert (running.returncode, err) == (0, "")
