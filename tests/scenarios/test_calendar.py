"""The day's session, by the calendar and by the broker's own hours, wherever the machine is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from actions import check_of, enter, settings
from harness import Stage, fault

from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    from pathlib import Path

ZONES = ("UTC", "America/New_York", "Asia/Tokyo")


def stage_of(folder: Path, sim: RunningSim) -> Stage:
    stage = Stage(folder, sim, {"execution": {"quote_timeout_seconds": 1}})
    settings(stage, broker_side_failsafe=False)
    return stage


@pytest.mark.parametrize(("day", "offset"), [("2026-03-09", "-04:00"), ("2026-11-02", "-05:00")])
def test_the_first_session_after_a_clock_change_is_new_yorks_wherever_the_machine_is(tmp_path, day, offset):
    """The Mondays after both changes: the window, the exit and the settlement move with New York."""
    with RunningSim(date=day, regime="rich-spy", at="09:35", speed=0) as sim:
        stage = stage_of(tmp_path, sim)
        shown = [stage.run("status", env={"TZ": zone})["session"] for zone in ZONES]
        assert shown[0] == shown[1] == shown[2]
        times = {name: text[11:] for name, text in shown[0].items() if isinstance(text, str) and "T" in text}
        assert times == {
            "open": f"09:30:00{offset}",
            "entry_open": f"09:35:00{offset}",
            "entry_cutoff": f"10:00:00{offset}",
            "exit_at": f"15:45:00{offset}",
            "close": f"16:00:00{offset}",
            "settle_at": f"16:05:00{offset}",
        }
        assert (shown[0]["half_day"], shown[0]["why"], shown[0]["doubt"]) == (False, None, None)
        for zone in ZONES:
            done = stage.run("enter", "--dry-run", env={"TZ": zone})
            assert check_of(done, "time_window")["ok"] is True


def test_a_half_day_is_traded_three_hours_earlier_and_spy_until_its_own_hours_end(tmp_path):
    """The day after Thanksgiving. Nobody exits at 12:45; SPY calls trade until 13:15, and are bought back."""
    with RunningSim(date="2026-11-27", regime="rich-spy", at="09:35", speed=0) as sim:
        stage = stage_of(tmp_path, sim)
        enter(stage)
        session = stage.run("status")["session"]
        assert (session["half_day"], session["why"]) == (True, "Day after Thanksgiving Day")
        assert [session[name][11:16] for name in ("close", "exit_at", "settle_at")] == [
            "13:00",
            "12:45",
            "13:05",
        ]
        screen = stage.run("status", as_json=False).out
        assert (
            "half-day 09:30-13:00 (Day after Thanksgiving Day), time exit 12:45, settlement 13:05" in screen
        )
        stage.at("12:46")
        due = stage.run("monitor", "--dry-run")["positions"][0]
        assert (due["action"], due["exit_reason"]) == ("would_close", "TIME")
        stage.at("13:05")
        assert stage.run("settle").code == 6
        stage.at("13:14")
        done = stage.run("close-all", "--yes")
        assert (done.code, done["flat"]) == (0, True), done.err
        assert stage.sql("SELECT 1 FROM executions WHERE leg = 'SPY' AND side = 'BUY'")


def test_hours_of_the_broker_that_disagree_are_told_before_and_while_a_spread_is_open(tmp_path):
    """The exchange has decided to close at 13:00, and no calendar knows it yet."""
    with RunningSim(date="2026-02-10", regime="rich-spy", at="09:35", speed=0) as sim:
        stage = stage_of(tmp_path, sim)
        early = fault("wrong_hours", form="half_day", lasts="always")
        sim.control.script([early])
        done = stage.run("enter")
        assert (done.code, done["outcome"]) == (0, "skipped")
        told = "The calendar closes today at 16:00, and the broker's hours are 09:30 to 13:00"
        assert told in check_of(done, "time_window")["message"]
        sim.control.script([])
        enter(stage)
        quiet = stage.run("monitor")
        assert (quiet.code, [note for note in quiet["notes"] if "hours" in note]) == (0, [])
        sim.control.script([early])
        done = stage.run("monitor")
        assert done.code == 0
        assert any(told in note and "run `spxarb close-all`" in note for note in done["notes"])
        status = stage.run("status")
        assert status["session"]["doubt"] == told
        assert told in stage.run("status", as_json=False).out


def test_a_day_without_a_session_is_named_and_nothing_settles_on_it(tmp_path):
    """The holiday after a weekend, and a closure that only the configuration knows."""
    with RunningSim(date="2026-02-13", regime="rich-spy", at="09:35", speed=0) as sim:
        stage = stage_of(tmp_path, sim)
        stage.write_config(calendar={"closed": ["2026-02-17"]})
        friday = stage.at("10:00")
        whys = {}
        for days in (1, 3, 4):
            sim.control.set_time(friday + timedelta(days=days))
            session = stage.run("status")["session"]
            assert session["open"] is None
            whys[session["day"]] = session["why"]
        assert whys == {
            "2026-02-14": "Saturday",
            "2026-02-16": "Washington's Birthday",
            "2026-02-17": "calendar.closed in the configuration",
        }
        done = stage.run("settle", "--date", "2026-02-16")
        assert done.code == 2
        assert "is no trading day; nothing was changed" in done.err
        assert "No session on Tue 2026-02-17 (calendar.closed" in stage.run("status", as_json=False).out
