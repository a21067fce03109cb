"""The wire of a connection: recorded without names, judged, and played back to another client."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from actions import enter, playing, settings
from harness import Stage, fault
from relay import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT = "SIM7654321"


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path, account=ACCOUNT) as made:
        settings(made, max_spreads_per_day=1)
        yield made


def messages(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()[1:]]


def facts(stage: Stage, path: Path, code: int = 0) -> dict[str, dict[str, Any]]:
    done = stage.run("doctor", "--facts", str(path))
    assert done.code == code, done.err
    return {fact["name"]: fact for fact in done["facts"]}


@contextmanager
def played(file: Path) -> Iterator[int]:
    """The recording on a port of its own, as fast as it can."""
    command = [
        sys.executable,
        "-m",
        "spxarb.sim",
        "--port",
        "0",
        "--speed",
        "0",
        "--json",
        "--wire",
        str(file),
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, "--end-with-input"], stdin=pipe, stdout=pipe) as process:
        yield json.loads(process.stdout.readline())["port"]
        process.stdin.close()
        assert process.wait(20) == 0


def test_a_recorded_wire_is_private_names_nobody_and_changes_nothing_at_the_broker(stage):
    enter(stage)
    before = stage.sim.control.book()
    file = stage.folder / "wire.jsonl"
    done = stage.run("record", "--wire", str(file), "--seconds", "1.5", "--every", "1")
    assert (done.code, done["ended_by"], done["rows"], done["connections"]) == (0, "time", None, 1)
    rows = messages(file)
    assert (len(rows), stat.S_IMODE(file.stat().st_mode)) == (done["messages"], 0o600)
    assert stage.sim.control.book() == before
    text = file.read_text()
    assert ACCOUNT not in text
    assert "SIM0000001" in text
    assert {row["name"] for row in rows if row["dir"] == "out"} & {"placeOrder", "cancelOrder"} == set()
    names = {row["name"] for row in rows if row["dir"] == "in"}
    assert {"greeting", "position", "openOrder", "execDetails", "completedOrder", "marketRule"} <= names
    perm_ids = {str(row["perm_id"]) for row in before["orders"]} - {"0", "None"}
    assert not {
        perm_id for perm_id in perm_ids if re.search(rf'"{perm_id}"', text) and int(perm_id) > 2_000_000
    }
    again = stage.run("record", "--wire", str(file), "--seconds", "1")
    assert (again.code, file.read_text() == text) == (2, True)


def test_quotes_and_wire_are_recorded_over_one_connection(stage):
    file, quotes = stage.folder / "wire.jsonl", stage.folder / "day.csv"
    done = stage.run(
        "record", "--wire", str(file), "--output", str(quotes), "--seconds", "1", "--strikes", "1"
    )
    assert (done.code, done["connections"]) == (0, 1)
    assert done["rows"] > 0
    assert {"tickPrice", "contractDetails"} <= {row["name"] for row in messages(file)}
    assert stage.run("record").code == 2  # neither was asked for


def test_a_day_of_commands_proves_what_is_assumed_of_the_gateway(stage):
    """By the simulated gateway, which does as is assumed; what it never does here is not seen."""
    folder = stage.folder / "wires"
    wired = {"SPXARB_WIRE_FOLDER": str(folder)}
    assert stage.run("enter", env=wired)["outcome"] == "entered"
    time.sleep(1.1)  # a list that is asked for within a second of a fill proves nothing
    assert stage.run("close-all", "--yes", env=wired)["flat"] is True
    found = facts(stage, folder)
    evidence = {name: fact["evidence"] for name, fact in found.items()}
    assert [name for name, word in evidence.items() if word == "contradicted"] == []
    seen = {name for name, word in evidence.items() if word == "seen"}
    assert seen >= {
        "server_version", "next_order_id", "spxw_ticks", "order_reference", "execution_reference", "acknowledged",
        "good_after_form", "good_after_waits", "cancel_answered", "what_if", "executions_whole", "commission",
    }  # fmt: skip
    assert (evidence["duplicate_client_id"], found["duplicate_client_id"]["what"]) == ("not seen", None)
    done = stage.run("doctor", "--facts", str(folder))
    assert (done["gateway"]["server_version"], done["gateway"]["mode"]) == (176, "sim")
    assert len(list(folder.iterdir())) == 2


def test_a_gateway_that_does_otherwise_is_told_with_exit_5(stage):
    stage.sim.control.script(
        [fault("no_reference", messages="execution", order_ref="spxarb:*:SPX:*", lasts="always")]
    )
    file = stage.folder / "wire.jsonl"
    wired = {"SPXARB_WIRE_FOLDER": str(stage.folder / "wires")}
    stage.run("enter", env=wired)
    found = facts(stage, stage.folder / "wires", code=5)
    assert found["execution_reference"]["evidence"] == "contradicted"
    assert not file.exists()


@pytest.mark.parametrize("place", ["a file", "read only"])
def test_a_wire_that_cannot_be_recorded_stops_no_exit(stage, place):
    enter(stage)
    folder = stage.folder / "wires"
    if place == "a file":
        folder.write_text("")
    stage.at("15:45")
    wired = {"SPXARB_WIRE_FOLDER": str(folder if place == "a file" else "/proc/wires")}
    done = stage.run("monitor", env=wired)
    assert (done.code, done["positions"][0]["action"]) == (0, "closed")
    assert stage.positions() == {}


@pytest.mark.parametrize("content", ["", "nothing\n", '{"format": 1}\n', "\xff"])
def test_what_is_no_recording_is_exit_2(stage, content):
    file = stage.folder / "x.jsonl"
    file.write_bytes(content.encode("latin-1"))
    assert stage.run("doctor", "--facts", str(file)).code == 2
    assert stage.run("doctor", "--facts", str(stage.folder / "absent")).code == 2
    assert stage.run("doctor", "--facts", str(file), "--margin").code == 2


def test_without_a_gateway_no_file_is_left(stage):
    stage.write_config(ib={"port": free_port()}, execution={"connect_timeout_seconds": 0.4})
    assert stage.run("record", "--wire", "wire.jsonl", "--seconds", "1").code == 4
    assert not (stage.folder / "wire.jsonl").exists()


def test_a_recording_that_is_played_back_answers_another_client_as_it_was(stage):
    folder = stage.folder / "wires"
    first = stage.run("enter", "--dry-run", env={"SPXARB_WIRE_FOLDER": str(folder)})
    assert first["would"] == "enter"
    (file,) = folder.iterdir()
    assert stage.run("stop").code == 0
    stage.database.rename(stage.folder / "first.db")
    with played(file) as port:
        stage.write_config(ib={"port": port})
        again = stage.run("enter", "--dry-run")
    assert (again.code, again["would"], again["legs"]) == (0, "enter", first["legs"])
    assert again["credit"] == first["credit"]
    with played(file) as port:
        stage.write_config(ib={"port": port})
        refused = stage.run("status")
    assert (refused.code, "Not in the recording" in refused.err) == (4, True)


def test_what_a_recorded_wire_makes_meaningless_is_refused_and_a_file_that_is_not_there_is_named(stage):
    done = stage.run("sim", "--wire", "no.jsonl", "--date", "2026-02-10", "--faults", "x.yaml", as_json=False)
    assert (done.code, "leave out --date, --faults" in done.err) == (2, True)
    done = stage.run("sim", "--wire", "no.jsonl", as_json=False)
    assert (done.code, "no.jsonl: No such file" in done.err) == (2, True)


def test_the_screen_of_a_recorded_wire_has_no_empty_lines(stage):
    done = stage.run("record", "--wire", "wire.jsonl", "--seconds", "1", as_json=False)
    assert (done.code, "messages" in done.out, "\u2013" in done.out) == (0, True, False)
