"""A copied entry is the entry: what the account, the ledger and the next commands say does not tell them apart."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import entered
import pytest
from actions import dump, moving, playing, settings, tapped
from harness import fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness import Stage


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Path:
    """An empty one, for this test alone."""
    folder = tmp_path / "entries"
    folder.mkdir()
    monkeypatch.setattr(entered, "shelf", [folder])
    return folder


@pytest.fixture
def commands(monkeypatch) -> list[tuple[str, ...]]:
    """The commands that were really run."""
    from harness import Stage

    run, ran = Stage.run, []

    def counted(stage: Stage, *words: str, **more: object):
        ran.append(words)
        return run(stage, *words, **more)

    monkeypatch.setattr(Stage, "run", counted)
    return ran


@contextmanager
def another(folder: Path, name: str, **more: object) -> Iterator[Stage]:
    (folder / name).mkdir()
    with playing(folder / name, **more) as stage:
        yield stage


AGES = re.compile(r'"(age_seconds|(SPX|SPY) (index|stock|call))": \d+\.\d{1,3}\b')
"""How old a quote was is of the machine's clock, not of the market's."""
ITS_OWN = ("decisions", "meta")
"""Tables in which that stands as well."""


def all_that_is_said(stage: Stage, said: object) -> str:
    """Without what tells one stage from another: folder, ports, the ledger's random tag."""
    (tag,) = stage.sql("SELECT value FROM meta WHERE key = 'tag'")
    text = repr(said).replace(str(stage.folder), "FOLDER").replace(tag["value"], "TAG")
    return AGES.sub("AGE", re.sub(rf'"port": {stage.sim.port}\b', "PORT", text))


def test_a_copy_goes_on_as_the_entry_does(tmp_path, shelf, commands):
    """Leave, settle, report: the same words, rows and orders, under the same ids."""
    ends = []
    with another(tmp_path, "run") as first, another(tmp_path, "copy") as second:
        assert entered.enter(first) == entered.enter(second)
        assert commands == [("enter",)]
        for stage in (first, second):
            stage.at("15:45")
            closed = stage.run("monitor")
            stage.at("16:45")
            results = [closed, stage.run("settle"), stage.run("report"), stage.run("status")]
            assert [result.code for result in results] == [0, 0, 0, 0]
            words = [result.out for result in results]
            ends.append(all_that_is_said(stage, [words, dump(stage), stage.sim.control.book()]))
    assert ends[0] == ends[1]


def test_a_copy_is_what_the_command_leaves_on_such_a_stage(tmp_path, shelf, commands):
    found = []
    with (
        another(tmp_path, "kept") as kept,
        another(tmp_path, "copy") as copy,
        another(tmp_path, "run") as run,
    ):
        entered.enter(kept)
        entered.enter(copy)
        run.run("enter")
        assert commands == [("enter",)] * 2
        for stage in (kept, copy, run):
            files = sorted((path.name, path.stat().st_mode) for path in stage.folder.rglob("*"))
            decided = [
                [(check["name"], check["ok"]) for check in json.loads(row["checks"])]
                for row in stage.sql("SELECT checks FROM decisions")
            ]
            run_rows = stage.sql("SELECT command, arguments, exit_code, account_seen, market_time FROM runs")
            rest = [files, decided, run_rows, stage.sim.control.book()]
            found.append(all_that_is_said(stage, [dump(stage, *ITS_OWN), *rest]))
    assert found[1] == found[0]
    assert found[2] == found[0]


@contextmanager
def a_script(stage: Stage) -> Iterator[None]:
    stage.sim.control.script([fault("stale")])
    yield


@contextmanager
def a_script_that_is_over(stage: Stage) -> Iterator[None]:
    stage.sim.control.script([fault("stale")])
    stage.sim.control.script()
    yield


@contextmanager
def anothers_contracts(stage: Stage) -> Iterator[None]:
    stage.sim.control.script([fault("foreign_fill", side="BUY", quantity=1, con_id=756733)])
    yield


@contextmanager
def a_ledger(stage: Stage) -> Iterator[None]:
    stage.run("stop")
    yield


@contextmanager
def another_file(stage: Stage) -> Iterator[None]:
    (stage.folder / ".env").touch(mode=0o600)
    yield


@contextmanager
def a_tap(stage: Stage) -> Iterator[None]:
    with tapped(stage):
        yield


DISTURBED = (a_script, a_script_that_is_over, anothers_contracts, a_ledger, another_file, a_tap, moving)


@pytest.mark.parametrize("disturbed", DISTURBED, ids=lambda one: one.__name__)
def test_where_anything_is_odd_the_command_itself_runs(tmp_path, shelf, commands, disturbed):
    with another(tmp_path, "first") as first, another(tmp_path, "odd") as odd:
        entered.enter(first)
        with disturbed(odd):
            entered.enter(odd)
    assert commands.count(("enter",)) == 2


@pytest.mark.parametrize(
    ("more", "set_to"),
    [
        ({"at": "09:36"}, {}),
        ({"regime": "quiet"}, {"min_entry_credit": -100_000}),
        ({"seed": 8}, {}),
        ({"cash": 900_000}, {}),
        ({}, {"max_spreads_per_day": 1}),
    ],
    ids=str,
)
def test_another_market_clock_or_configuration_has_an_entry_of_its_own(
    tmp_path, shelf, commands, more, set_to
):
    with another(tmp_path, "first") as first, another(tmp_path, "second", **more) as second:
        entered.enter(first)
        settings(second, **set_to)
        entered.enter(second)
    assert commands == [("enter",)] * 2


def test_another_environment_has_an_entry_of_its_own(tmp_path, shelf, commands, monkeypatch):
    with another(tmp_path, "first") as first, another(tmp_path, "second") as second:
        entered.enter(first)
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        entered.enter(second)
    assert commands == [("enter",)] * 2


def test_an_entry_that_was_not_made_is_not_kept(tmp_path, shelf):
    with another(tmp_path, "first") as stage:
        settings(stage, min_entry_credit=50_000)
        assert entered.enter(stage)["outcome"] == "skipped"
    assert [*shelf.iterdir()] == []


def test_what_is_kept_and_does_not_fit_the_stage_is_no_entry(tmp_path, shelf):
    """The book must be what it was, to the last id."""
    with another(tmp_path, "first") as first, another(tmp_path, "second") as second:
        entered.enter(first)
        (kept,) = shelf.iterdir()
        text = (kept / "entry").read_bytes()
        (kept / "entry").write_bytes(text.replace(b":SPX:e1", b":SPX:e2", 1))
        with pytest.raises(AssertionError, match="is not the one that this stage gets"):
            entered.enter(second)
