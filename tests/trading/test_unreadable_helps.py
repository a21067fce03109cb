"""What is only a help to a command, and cannot be read or written, stops no command and raises no alarm."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from spxarb.config.load import Config
from spxarb.core.model import NEW_YORK
from spxarb.ledger.ledger import Ledger
from spxarb.trading import alerts, missed_runs
from spxarb.trading.archive import LEDGER, LOG
from spxarb.trading.backups import make_backup
from spxarb.trading.context import JobContext
from spxarb.trading.wire_file import wire_in_folder

NOW = datetime(2026, 2, 11, 12, 0, tzinfo=NEW_YORK)
EARLIER = datetime(2026, 2, 6, 9, 40, tzinfo=NEW_YORK)


@pytest.fixture
def path(tmp_path):
    """A ledger with an old run, and one of now."""
    path = tmp_path / "trading.db"
    with Ledger.open(path, mode="paper") as ledger:
        ledger.runs.begin("enter", [], EARLIER)
        ledger.looks.add(ledger.runs.begin("monitor", [], NOW), NOW)
    return path


def spoil(path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE runs SET arguments = 'x'",
        "UPDATE runs SET arguments = '3' WHERE id = 1",
        "UPDATE runs SET started_at = 'x'",
        "UPDATE runs SET started_at = '2026-02-06T09:40:00' WHERE id = 1",
        "UPDATE runs SET market_time = 'x'",
        "INSERT INTO meta(key, value) VALUES ('missed', 'x')",
        "INSERT INTO meta(key, value) VALUES ('missed', '[1]')",
    ],
)
def test_the_search_for_missed_runs_stops_at_no_row(path, sql):
    spoil(path, sql)
    with Ledger.open(path, mode="paper") as ledger:
        missed_runs.new(ledger, Config(), ("monitor", 2), NOW, [])


def test_a_time_that_cannot_be_read_is_not_known(path):
    spoil(path, "UPDATE runs SET account_seen = 'x', market_time = 'x', what_if_at = 'x'")
    spoil(path, "UPDATE system_state SET last_updated = 'x'")
    with Ledger.open(path, mode="paper") as ledger:
        assert (ledger.looks.last(), ledger.looks.heard(), ledger.runs.last_what_if()) == (None, None, None)


def test_a_simulated_time_that_cannot_be_read_stops_no_command(tmp_path):
    path = tmp_path / "sim.db"
    with Ledger.open(path, mode="sim") as ledger:
        ledger.runs.begin("monitor", [], NOW)
    spoil(path, "UPDATE system_state SET last_updated = 'x'")
    config = Config()
    config = config.model_copy(update={"trading": config.trading.model_copy(update={"mode": "sim"})})
    with Ledger.open(path, mode="sim") as ledger:
        assert JobContext("monitor", config, ledger, 0).now().tzinfo is not None


def test_a_ledger_that_says_badly_when_it_was_restored_was_restored_all_the_same(path):
    spoil(path, "INSERT INTO meta(key, value) VALUES ('restored_at', 'x')")
    with Ledger.open(path, mode="paper") as ledger:
        assert ledger.looks.restored()
        assert ledger.looks.last() is None
        (told,) = ledger.looks.warning()
        assert told.startswith("The ledger was restored, and what it lacks was not asked of the broker yet")


def test_a_pipe_in_the_place_of_the_mark_is_not_waited_for(path):
    with Ledger.open(path, mode="paper") as ledger:
        ledger.looks.mark.unlink()
        os.mkfifo(ledger.looks.mark)
        ledger.looks.add(ledger.runs.begin("monitor", [], NOW), NOW)
        assert ledger.looks.last() is None


def test_a_recorded_wire_that_vanishes_ends_no_command(tmp_path):
    with wire_in_folder(tmp_path, "monitor", "sim"):
        (file,) = tmp_path.iterdir()
        file.unlink()


def test_an_alert_that_fails_by_a_bug_raises_nothing(monkeypatch):
    asked = list[Config]()

    def broken(config: Config) -> list[object]:
        asked.append(config)
        raise RuntimeError("a bug")

    monkeypatch.setattr(alerts, "channels", broken)
    config = Config()
    told = config.notifications.model_copy(update={"email_enabled": True})
    notice = alerts.human_needed("Look at the broker")
    alerts.send(config.model_copy(update={"notifications": told}), None, ("monitor", 6), [notice])
    assert asked


@pytest.mark.timeout(20)
@pytest.mark.parametrize("place", ["a pipe", "/dev/full"])
def test_a_log_that_is_no_file_is_in_no_backup(path, place):
    log = Path(place)
    if place == "a pipe":
        log = path.with_name("pipe")
        os.mkfifo(log)
    config = Config()
    updates = {
        "logging": config.logging.model_copy(update={"path": log}),
        "storage": config.storage.model_copy(update={"database": path}),
    }
    made = make_backup(config.model_copy(update=updates), NOW)
    assert LEDGER in made.manifest.files
    assert LOG not in made.manifest.files
