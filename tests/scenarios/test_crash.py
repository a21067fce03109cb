"""A process killed at any moment: ledger and broker agree afterwards, and no leg is naked at any time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from crash import Point, broken_laws, count_points, kill_at, wipe
from stage import Stage

from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    from collections.abc import Iterator

STRIDE = int(os.environ.get("SPXARB_CRASH_STRIDE", "17"))
"""Every how-many-th point is tried; 1 tries all."""
OFFSET = int(os.environ.get("SPXARB_CRASH_OFFSET", "0"))


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    with RunningSim(date="2026-02-10", regime="rich-spy", at="09:35", speed=0) as sim:
        made = Stage(tmp_path_factory.mktemp("crash"), sim)
        made.settings["trading"] = {
            "mode": "sim",
            "max_spreads_per_day": 1,
            "min_entry_credit": -100_000,
            "max_strike_distance_spx": 10,
            "max_spx_spread": 5,
            "entry_cutoff": "15:00",
        }
        made.write_config()
        yield made


def points(stage: Stage, *words: str) -> list[Point]:
    messages, commits = count_points(stage, *words)
    assert messages > 10
    assert commits > 3
    every = [
        Point(kind, number, moment)
        for kind, count in (("message", messages), ("commit", commits))
        for number in range(1, count + 1)
        for moment in ("before", "after")
    ]
    return every[OFFSET % STRIDE :: STRIDE]


def expect(stage: Stage, cash: float, point: Point, *words: str) -> None:
    stage.sim.control.advance(2)  # what was taken from the displayed sizes is there again
    done = stage.run(*words)
    assert done.code == 0, f"{point}: {words[0]} ended with {done.code}: {done.err}"
    assert broken_laws(stage, cash) == [], f"{point}, then {words[0]}"


def flatten(stage: Stage, cash: float, point: Point) -> None:
    expect(stage, cash, point, "close-all", "--yes")
    assert stage.positions() == {}, point


@pytest.mark.timeout(3000)
def test_enter_killed_anywhere_is_mended_by_monitor_and_never_repeated(stage):
    wipe(stage)
    cash = stage.cash()
    every = points(stage, "enter")
    flatten(stage, cash, every[0])
    for point in every:
        wipe(stage)
        cash = stage.cash()
        kill_at(stage, point, "enter")
        expect(stage, cash, point, "monitor")
        expect(stage, cash, point, "enter")
        flatten(stage, cash, point)


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("words", [("monitor",), ("close-all", "--yes")])
def test_an_exit_killed_anywhere_is_finished_by_the_next_run(stage, words):
    stage.settings["risk_management"] = {"max_position_loss": 0}
    wipe(stage)
    cash = stage.cash()
    expect(stage, cash, None, "enter")
    every = points(stage, *words)
    for point in every:
        wipe(stage)
        stage.settings["risk_management"] = {"max_position_loss": 500}
        stage.write_config()
        cash = stage.cash()
        expect(stage, cash, point, "enter")
        stage.settings["risk_management"] = {"max_position_loss": 0}
        stage.write_config()
        kill_at(stage, point, *words)
        expect(stage, cash, point, "monitor")
        expect(stage, cash, point, "enter")
        flatten(stage, cash, point)
    stage.settings["risk_management"] = {"max_position_loss": 500}
    stage.write_config()
