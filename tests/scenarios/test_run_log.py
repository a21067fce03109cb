"""The log of a day: what `log` lists, what stands in the file and in the journal, and what never does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from actions import enter, playing
from harness import fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

ACCOUNT = "SIM0000001"


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        yield made


def lines(stage: Stage, *words: str) -> list[str]:
    """Lines of the log file that hold all of these, as `grep` finds them."""
    text = (stage.folder / "trading.log").read_text()
    return [line for line in text.splitlines() if all(word in line for word in words)]


def test_a_day_is_a_line_a_command_and_the_file_tells_start_decision_and_end(stage):
    stage.write_config(trading={"min_entry_credit": 500})
    assert stage.run("enter")["outcome"] == "skipped"
    stage.write_config()
    enter(stage)
    stage.at("15:45")
    assert stage.run("monitor").code == 0
    stage.at("16:05")
    net = stage.run("settle")["summary"]["net_pnl"]
    listed = [
        "09:35 enter    skipped: credit $408.19 < $500.00 (16 of 17 passed)",
        "09:35 enter    entered: trade 1, credit $408.19, worst case $408.19",
        f"15:45 monitor  closed trade 1 (TIME), P&L +${net:,.2f}",
        f"16:05 settle   final: 1 trade, net ${net:,.2f}, commissions $23.53",
    ]
    shown = stage.run("log", as_json=False).out.splitlines()[2:]
    assert [line for line in shown if not line.startswith(" ")] == listed, "below them stands what never ran"
    assert [entry["brief"] for entry in stage.run("log")["entries"]] == [line[15:] for line in listed]
    told = [re.sub(r"^\S+ (\w+) \d+ spxarb\.run: ", r"\1 ", line) for line in lines(stage, "Entry Routine")]
    assert [re.sub(r"started: .* \(run", "started (run", line) for line in told] == [
        "INFO enter: Entry Routine started (run 1, mode sim)",
        "INFO enter: Entry Routine decided: skipped: credit $408.19 < $500.00 (16 of 17 passed)",
        "INFO enter: Entry Routine ended with exit code 0",
        "INFO enter: Entry Routine started (run 2, mode sim)",
        "INFO enter: Entry Routine decided: entered: trade 1, credit $408.19, worst case $408.19",
        "INFO enter: Entry Routine ended with exit code 0",
    ]
    assert len(lines(stage, "settle: End of Day Routine decided: final: 1 trade, net $")) == 1
    assert lines(stage, "ERROR") == lines(stage, "WARNING") == []
    assert len(lines(stage, "the broker reports 202")) == 1  # of the fail-safe, which the exit has cancelled
    fills = [line.partition("order ")[2] for line in lines(stage, "filled ", " at ")]
    assert len(fills) == len(set(fills)) == 4
    assert lines(stage, ACCOUNT) == []


def test_every_exit_but_0_leaves_an_error_line(stage):
    stage.run("monitor")
    stage.write_config(ib={"port": 1}, execution={"connect_timeout_seconds": 0.2})
    codes = [stage.run("enter").code, stage.run("doctor").code]
    stage.write_config(trading={"mode": "paper"})
    codes.append(stage.run("monitor").code)
    stage.write_config(trading={"max_ratio": "ten"})
    codes.append(stage.run("settle").code)
    stage.write_config()
    codes += [stage.run("enter", "--bogus").code, stage.run("settle", "--date", "2026-02-14").code]
    assert codes == [4, 4, 5, 3, 2, 2]
    found = [
        re.findall(r"run: (\S+): .*ended with exit code (\d)", line)[0] for line in lines(stage, "ERROR")
    ]
    assert found == [
        *(("enter", "4"), ("doctor", "4"), ("monitor", "5")),
        *(("settle", "3"), ("enter", "2"), ("settle", "2")),
    ]


def test_a_command_that_is_interrupted_leaves_an_error_line(stage):
    stage.sim.control.script([fault("withhold", messages=["positions_end"], lasts="always")])
    process = stage.start("monitor")
    while not lines_of(stage):
        pass
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert "ended with exit code 143: interrupted by SIGTERM" in lines(stage, "ERROR")[0]


def lines_of(stage: Stage) -> list[str]:
    return lines(stage, "started") if (stage.folder / "trading.log").exists() else []


def test_the_log_as_json_is_an_object_a_line_without_an_account(stage):
    stage.write_config(logging={"format": "json"}, ib={"account": "SIM0000002"})
    assert stage.run("monitor").code == 5
    found = [json.loads(line) for line in (stage.folder / "trading.log").read_text().splitlines()]
    assert {tuple(record) for record in found} == {("at", "level", "process", "logger", "message")}
    assert (found[0]["level"], found[-1]["level"]) == ("INFO", "ERROR")
    assert "SIM***001" in found[-1]["message"]
    assert not re.search(r"SIM\d", json.dumps(found))


@pytest.mark.parametrize("form", ["text", "json"])
def test_under_systemd_each_line_on_stderr_has_its_priority(stage, form):
    stage.write_config(
        logging={"console": True, "format": form}, ib={"port": 1}, execution={"connect_timeout_seconds": 0.2}
    )
    reader, writer = os.pipe()
    found = os.fstat(writer)
    env = stage.environment(JOURNAL_STREAM=f"{found.st_dev}:{found.st_ino}")
    done = subprocess.run(stage.command("enter"), stderr=writer, stdout=subprocess.PIPE, check=False, env=env)
    os.close(writer)
    with os.fdopen(reader) as stream:
        told = stream.read().splitlines()
    assert done.returncode == 4
    assert [line[:3] for line in told] == ["<6>", "<3>", "<3>"]
    assert told[-1].startswith("<3>spxarb enter: Nothing listens at 127.0.0.1:1.")
    if form == "text":
        assert told[1].startswith("<3>ERROR spxarb.run: enter: Entry Routine ended with exit code 4: Nothing")
    else:
        assert json.loads(told[1][3:])["level"] == "ERROR"


def test_at_a_terminal_stderr_has_the_one_line_of_a_failure(stage):
    stage.write_config(logging={"console": True}, ib={"port": 1}, execution={"connect_timeout_seconds": 0.2})
    done = stage.run("enter", env={"JOURNAL_STREAM": "1:2"})
    assert (done.code, done.err.count("\n")) == (4, 1)


def test_a_log_that_logrotate_has_moved_goes_on_in_a_new_file(stage):
    assert stage.run("monitor").code == 0
    (stage.folder / "trading.log").rename(stage.folder / "trading.log.old")
    assert stage.run("monitor").code == 0
    assert len(lines(stage, "ended with exit code 0")) == 1


def test_who_only_reads_makes_no_log(tmp_path):
    with playing(tmp_path) as stage:
        assert stage.run("log").code == 0
        assert sorted(path.name for path in stage.folder.iterdir()) == ["config.yaml"]
