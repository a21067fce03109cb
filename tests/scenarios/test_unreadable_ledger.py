"""No ledger can be read while an exit may be due: the account is asked, nothing is sent, and a human hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from actions import enter, playing, settings
from harness import fault
from relay import free_port
from sink import listening_sink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness import Stage

VERBS = {"monitor": ("monitor",), "close-all": ("close-all", "--yes"), "settle": ("settle",)}


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        settings(made, max_spreads_per_day=1)
        yield made


def damaged(database: Path, keep: int = 0) -> None:
    """Only the first bytes of the file are what they were."""
    for log in database.parent.glob(f"{database.name}-*"):
        log.unlink()
    content = database.read_bytes()
    database.write_bytes(content[:keep] + b"\xff" * (len(content) - keep))


def replaced_by_a_folder(database: Path) -> None:
    damaged(database)
    database.unlink()
    database.mkdir()


SPOILERS = {
    "damaged": damaged,
    "damaged behind its first page": lambda database: damaged(database, 4096),
    "a folder": replaced_by_a_folder,
}


@pytest.mark.parametrize("spoil", SPOILERS)
def test_calls_of_ours_in_the_account_need_a_human_and_are_left_as_they_are(stage, spoil):
    enter(stage)
    SPOILERS[spoil](stage.database)
    orders = len(stage.sim.control.book()["orders"])
    stage.at("15:46")
    with listening_sink() as sink:
        for number, verb in enumerate(("monitor", "close-all"), start=1):
            done = stage.run(*VERBS[verb], env=sink.variables)
            assert (done.code, len(sink.alerts)) == (6, number), done.err
            assert "+1 SPXW 6665 call; -10 SPY 665 call; a live order spxarb:" in sink.alerts[-1]
        assert (
            stage.run("settle", env=sink.variables).code == 5
        )  # it exits nothing, and tells what is damaged
    assert (len(stage.sim.control.book()["orders"]), len(stage.positions())) == (orders, 2)


def test_calls_without_our_reference_are_ours_for_all_that_is_known(stage):
    """The executions lack it, and no order rests: they expire today, and that is enough to look at them."""
    stage.write_config(execution={"broker_side_failsafe": False})
    stage.sim.control.script([fault("no_reference", lasts="always")])
    enter(stage)
    damaged(stage.database)
    done = stage.run("monitor")
    assert (done.code, "-10 SPY 665 call" in done.err) == (6, True), done.err


def test_an_account_without_such_calls_is_a_refusal_and_so_is_one_that_cannot_be_asked(stage):
    stage.run("monitor")
    damaged(stage.database)
    with listening_sink() as sink:
        done = stage.run("monitor", env=sink.variables)
        assert (done.code, "could not be asked" in done.err, len(sink.alerts)) == (5, False, 1), done.err
        stage.write_config(ib={"port": free_port()}, execution={"connect_timeout_seconds": 0.4})
        done = stage.run("close-all", "--yes", env=sink.variables)
        assert (done.code, len(sink.alerts)) == (5, 2), done.err
    assert "Whether calls are held is not known, for the account could not be asked" in done.err
