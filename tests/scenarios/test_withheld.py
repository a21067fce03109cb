"""Every wait ends: with any one kind of message withheld for ever, each verb ends in time, with the right code."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from actions import enter
from crash import broken_laws
from harness import Stage, withheld

from spxarb.sim.api.wire import Say
from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY = [
    (verb, kind)
    for verb in ("enter", "monitor", "close-all", "settle", "status", "enter --dry-run")
    for kind in Say
]
STRIDE = int(os.environ.get("SPXARB_WITHHELD_STRIDE", "23"))
"""Every how-many-th pair is tried; 1 tries all."""
BUDGET_SECONDS = 60
"""Far above the sum of all waits with this stage's short timeouts; without an end it would be minutes."""
BOOKS = {Say.EXECUTION, Say.POSITION}
"""Rows without which the account does not show what the ledger says: to look alone finds that, and is 6."""
HURRY = {
    "connect_timeout_seconds": 1.5,
    "question_timeout_seconds": 1,
    "quote_timeout_seconds": 1,
    "order_timeout_seconds": 0.5,
    "exit_rung_seconds": 0.3,
}


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with RunningSim(date="2026-02-10", regime="rich-spy", at="09:35", speed=0) as sim:
        made = Stage(tmp_path, sim)
        made.settings = {
            "execution": HURRY,
            "trading": {
                "mode": "sim",
                "max_spreads_per_day": 1,
                "min_entry_credit": -100_000,
                "max_strike_distance_spx": 10,
                "max_spx_spread": 5,
                "entry_cutoff": "15:00",
            },
        }
        yield made


def limits(stage: Stage, loss: float) -> None:
    stage.settings["risk_management"] = {"max_position_loss": loss}
    stage.write_config()


def words(verb: str) -> list[str]:
    return [*verb.split(), "--yes"] if verb == "close-all" else verb.split()


@pytest.mark.parametrize(("verb", "kind"), EVERY[::STRIDE], ids=lambda part: getattr(part, "name", part))
def test_a_withheld_message_ends_no_wait_but_the_verb(stage, verb, kind):
    """An exit that is due and not achieved is 6, whatever is still unanswered is 4; then all is mended.

    `status` sends nothing: an exit that is due is no failure of it.
    """
    cash = stage.cash()
    limits(stage, 500)
    if verb != "enter":
        enter(stage)
    limits(stage, 0)  # the exit is due at once
    stage.sim.control.script([withheld(kind)])
    began = time.monotonic()
    try:
        done = stage.run(*words(verb), timeout=2 * BUDGET_SECONDS)
    finally:
        stage.sim.control.script()
    seconds = time.monotonic() - began
    stage.sim.control.advance(2)
    mended = stage.run("close-all", "--yes")
    assert (mended.code, stage.positions()) == (0, {}), mended.err
    assert broken_laws(stage, cash) == []
    assert seconds < BUDGET_SECONDS, done.err
    looks = {6} if kind in BOOKS else {0, 4}
    assert done.code in (looks if verb == "status" else {0, 4, 6}), done.err
    assert done.json["exit_code"] == done.code
