"""Limits of a day: what is lost, what could be lost, what failed, and dates without entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from actions import check_of, enter, failed, playing, settings, tomorrow
from contract import DAY
from harness import fault
from sink import listening_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

RICH = {"max_position_loss": 5000, "broker_side_failsafe": False}


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        settings(made, **RICH)
        yield made


def stops(stage: Stage) -> list[tuple[str, str]]:
    return [(row["date"], row["reason"]) for row in stage.sql("SELECT * FROM entry_stops")]


def test_a_breach_closes_all_and_ends_the_days_entries_whatever_the_day_makes_yet(stage):
    enter(stage), enter(stage)
    stage.at("09:40")
    settings(stage, **RICH, max_daily_loss=50)
    done = stage.run("monitor")
    closed = [(position["exit_reason"], position["action"]) for position in done["positions"]]
    assert (closed, stage.positions()) == ([("DAILY_LOSS", "closed")] * 2, {})
    settings(stage, **RICH, max_spreads_per_day=5, max_daily_loss=100_000)
    skipped = stage.run("enter")
    assert (skipped["outcome"], failed(skipped)) == ("skipped", ["daily_loss"])
    ((day, reason),) = stops(stage)
    assert (day, reason[:16], reason[-30:]) == (
        DAY,
        "the day had lost",
        ", more than its limit of $50.00"[1:],
    )
    assert (
        f"Entries are stopped for today: {reason} (at 09:40:00)" in check_of(skipped, "daily_loss")["message"]
    )
    assert any("Entries are stopped for today" in note for note in stage.run("status", "--offline")["notes"])
    (kept,) = stage.sql("SELECT checks FROM decisions WHERE command = 'enter' ORDER BY id DESC LIMIT 1")
    assert reason in kept["checks"]
    tomorrow(stage)
    assert check_of(stage.run("enter", "--dry-run"), "daily_loss")["ok"] is True


def test_without_the_emergency_exit_a_breach_ends_the_entries_alone(stage):
    enter(stage)
    stage.at("09:40")
    settings(stage, **RICH, max_daily_loss=50, emergency_exit_enabled=False)
    stage.run("monitor", "--dry-run")
    assert stops(stage) == []
    with listening_sink() as sink:
        done = stage.run("monitor", env=sink.variables)
    assert ([position["action"] for position in done["positions"]], done.code) == (["held"], 0)
    ((_, reason),) = stops(stage)
    (note,) = done["notes"]
    assert f"Entries are stopped for today: {reason}" in note
    assert "It is trade 1 that stays open, for risk_management.emergency_exit_enabled is off." in note
    (alert,) = stage.sql("SELECT text FROM alerts")
    assert note in alert["text"]
    settings(stage, **RICH)
    assert failed(stage.run("enter")) == ["daily_loss"]


def test_a_second_spread_must_fit_into_what_the_daily_limit_leaves(tmp_path):
    with playing(tmp_path, regime="quiet") as stage:
        cheap = {**RICH, "min_entry_credit": -1000}
        settings(stage, **cheap)
        worst = -enter(stage)["risk"]["worst_case"]
        (held,) = stage.run("status")["positions"]
        least = worst + max(worst, -held["current_pnl"])
        assert worst > 20
        settings(stage, **cheap, max_daily_loss=round(least - 1))
        skipped = stage.run("enter")
        assert failed(skipped) == ["daily_loss"]
        assert "another spread would at worst come to -$" in check_of(skipped, "daily_loss")["message"]
        settings(stage, **cheap, max_daily_loss=round(least - 1), worst_case_within_daily_loss=False)
        assert stage.run("enter", "--dry-run")["would"] == "enter"
        settings(stage, **cheap, max_daily_loss=round(least + 1))
        enter(stage)


def test_losses_and_a_spread_beyond_its_limit_stop_entries(stage):
    enter(stage)
    stage.at("09:40")
    settings(stage, **{**RICH, "max_position_loss": 50})
    beyond = stage.run("enter")
    assert failed(beyond) == ["daily_loss"]
    assert "Trade 1 has lost" in check_of(beyond, "daily_loss")["message"]
    assert stage.run("monitor")["positions"][0]["exit_reason"] == "LOSS_LIMIT"
    settings(stage, **RICH, max_losses_per_day=1)
    skipped = stage.run("enter")
    assert "1 spread lost money today" in check_of(skipped, "daily_loss")["message"]
    settings(stage, **RICH)
    enter(stage)


def test_failed_jobs_and_dates_without_entries_stop_entries_and_no_exit(stage):
    stage.sim.control.script([fault("read_only", lasts="always")])
    settings(stage, **RICH, max_failed_jobs_per_day=2, blackout_file="blackout.csv")
    assert [stage.run("enter").code, stage.run("monitor").code] == [4, 4]
    stage.sim.control.script([])
    done = stage.run("enter")
    assert (done.code, failed(done)) == (0, ["time_window", "trading_enabled"])
    assert "2 jobs failed today" in check_of(done, "trading_enabled")["message"]
    assert "blackout.csv cannot be read (No such file" in check_of(done, "time_window")["message"]
    assert stage.run("start").code == 0
    (stage.folder / "blackout.csv").write_text(f"date,reason\n{DAY},FOMC\n")
    done = stage.run("enter")
    assert failed(done) == ["time_window"]
    assert "Blackout day: FOMC." in check_of(done, "time_window")["message"]
    shown = stage.run("enter", as_json=False).out.splitlines()
    assert shown[1] == "No entry: blackout day: FOMC", "and not twice that there is none"
    (stage.folder / "blackout.csv").write_text("2026-02-11,FOMC\n")
    enter(stage)
    (stage.folder / "blackout.csv").write_text("nonsense\n")
    stage.at("15:45")
    assert stage.run("monitor")["positions"][0]["action"] == "closed"
