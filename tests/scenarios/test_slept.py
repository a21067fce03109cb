"""A machine that slept: each later run tells what its day is missing, once, whatever started the runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from actions import enter, playing
from sink import listening_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Done, Stage


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        yield made


def gaps(done: Done) -> list[str]:
    return [note for note in done["notes"] if "did not run" in note]


def test_asleep_over_noon_with_a_spread_open_is_told_once_after_a_single_monitor(stage):
    """One monitor before it slept shows no timer's pace; the enters of the morning do."""
    with listening_sink() as sink:
        for clock in ("09:35", "09:39", "09:43"):
            stage.at(clock)
            stage.run("enter")
        stage.at("09:44")
        assert gaps(stage.run("monitor")) == []
        stage.at("13:00")
        (told,) = gaps(stage.run("monitor", env=sink.variables))
        gap = "monitor did not run from 09:50 to 12:55 (38 times)"
        assert told == f"{gap} on {stage.day}, while a spread was open."
        assert len([alert for alert in sink.alerts if told in alert]) == 1
        stage.at("13:05")
        assert gaps(stage.run("monitor", env=sink.variables)) == []


def test_where_only_enter_is_scheduled_the_missing_monitor_is_told_within_the_entry_window(stage):
    found = []
    for clock in ("09:35", "09:40", "09:45", "09:50", "09:55"):
        stage.at(clock)
        found += gaps(stage.run("enter"))
    assert found == [
        f"monitor did not run from 09:40 to 09:45 (2 times) on {stage.day}, while a spread was open."
    ]


def test_a_first_day_by_hand_misses_nothing_that_is_told_and_a_later_one_is_told_once(stage):
    enter(stage)
    for clock in ("11:00", "12:30"):
        stage.at(clock)
        assert gaps(stage.run("monitor")) == []
    with closing(sqlite3.connect(stage.database)) as db, db:
        earlier = (stage.day - timedelta(days=1)).isoformat()
        db.execute("UPDATE runs SET market_time = ? || substr(market_time, 11) WHERE id = 1", (earlier,))
    found = []
    for clock in ("13:40", "14:50"):
        stage.at(clock)
        found += [note for note in gaps(stage.run("monitor")) if note.startswith("monitor did not run from")]
    day = f"on {stage.day}, while a spread was open."
    assert found == [f"monitor did not run from 09:25 to 10:55 (17 times) {day}"]
