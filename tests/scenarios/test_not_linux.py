"""Every verb where the system has neither /proc nor pidfds, as on macOS."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from harness import Stage
from test_two_at_once import an_enter_that_waits_for_its_fill

from spxarb.cli.commands import tree
from spxarb.sim.control import RunningSim
from tests import not_linux

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60


@dataclass
class Elsewhere(Stage):
    """A stage whose commands see neither /proc nor pidfds."""

    def command(self, *words: str, as_json: bool = True) -> list[str]:
        return [*not_linux.BEFORE, *super().command(*words, as_json=as_json)]

    def environment(self, **more: str) -> dict[str, str]:
        return super().environment(**not_linux.ENVIRONMENT, **more)


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    not_linux.required()
    with RunningSim(date="2026-02-10", regime="rich-spy", at="09:35", speed=0) as sim:
        made = Elsewhere(tmp_path, sim)
        made.settings["execution"] = {"exit_rung_seconds": 0.5}
        made.write_config()
        yield made


# A day in this order, and what comes of it; a verb without a line here is called without words.
DAY = {
    "config": (("config",), 0),
    "doctor": (("doctor",), 0),
    "stop": (("stop", "--reason", "a look"), 0),
    "start": (("start",), 0),
    "enter": (("enter",), 0),
    "monitor": (("monitor",), 0),
    "status": (("status",), 0),
    "record": (("record", "--seconds", "1", "--every", "1", "--output", "quotes.csv"), 0),
    "backup": (("backup", "--output", "copy.tar.gz"), 0),
    "hand-over": (("hand-over", "1"), 0),
    "ack": (("ack",), 0),
    "close-all": (("close-all", "--yes"), 6),  # the trade is a human's now
    "settle": (("settle",), 0),
    "reconcile": (("reconcile",), 2),  # there is no statement
    "report": (("report",), 0),
    "log": (("log",), 0),
    "restore": (("restore", "copy.tar.gz", "--force"), 0),
}
PROGRAMS = {"demo", "sim"}
"""They go on until they are ended."""


def test_every_verb_works_there(stage):
    verbs = [*DAY, *(verb for verb in tree().commands if verb not in {*DAY, *PROGRAMS})]
    came = {}
    for verb in verbs:
        words, _ = DAY.get(verb, ((verb,), 0))
        done = stage.run(*words, as_json=False)
        assert "Traceback" not in done.err, verb
        assert done.code != 1, (verb, done.err)
        came[verb] = (done.code, done.err)
    assert {verb: came[verb] for verb, (_, code) in DAY.items() if came[verb][0] != code} == {}


@pytest.mark.parametrize(("program", "said"), [("demo", "09:35"), ("sim", "127.0.0.1")])
def test_the_programs_that_go_on_run_there(tmp_path, program, said):
    not_linux.required()
    environment = {**os.environ, **not_linux.ENVIRONMENT, "HOME": str(tmp_path)}
    words = [program] if program == "demo" else [program, "--port", "0"]
    process = subprocess.Popen(
        [*not_linux.BEFORE, sys.executable, "-m", "spxarb", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if said in line:
            break
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=SECONDS)
    assert said in lines[-1], lines
    assert "Traceback" not in rest


def test_close_all_ends_a_holder_that_hangs_there_too(stage):
    stage.write_config(execution={"order_timeout_seconds": 30, "exit_rung_seconds": 0.5})
    enter = an_enter_that_waits_for_its_fill(stage)
    enter.send_signal(signal.SIGSTOP)
    lock = stage.run("status", "--offline")["lock"]
    assert (lock["pid"], lock["command"]) == (enter.pid, "spxarb enter")
    began = time.monotonic()
    done = stage.run("close-all", "--yes")
    assert (done.code, done["flat"]) == (0, True), done.err
    assert time.monotonic() - began < 45
    assert enter.wait(timeout=SECONDS) in {-signal.SIGTERM, -signal.SIGKILL}
    enter.communicate()


def test_a_stranger_who_locks_the_file_is_not_signalled_and_close_all_says_so(stage):
    lock = stage.database.with_name("trading.db.lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        stranger = subprocess.Popen(["sleep", "60"], pass_fds=[file.fileno()])
    try:
        done = stage.run("close-all", "--yes")
        assert done.code == 7
        assert done.err.count("\n") == 1
        assert "is held by a process that is not proven" in done.err
        assert "nothing was signalled" in done.err
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
