"""Every example of every `--help` is typed as it stands, on one simulated day; what cannot run here says why."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from actions import playing
from contract import DAY
from relay import free_port

from spxarb.cli.usage import ROOT, USAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

MORNING = (
    *("spxarb doctor", "spxarb doctor --margin", "spxarb enter --dry-run", "spxarb enter", "spxarb status"),
    *("spxarb status --offline", "spxarb monitor --dry-run", "spxarb monitor", "spxarb close-all --dry-run"),
    *(
        "spxarb start",
        'spxarb stop --reason "CPI day"',
        "spxarb watchdog",
        "spxarb send-alerts",
        "spxarb ack",
    ),
    "spxarb close-all --yes",
)
EVENING = (
    *("spxarb settle", f"spxarb settle --date {DAY}", "spxarb log", f"spxarb log --day {DAY} -n 5"),
    *("spxarb report --since 2026-01-01", f"spxarb report --day {DAY} --explain"),
    *("spxarb report --csv --output trades.csv", "spxarb config", "spxarb config --example", "spxarb backup"),
    "spxarb reconcile --statement activity.xml",
    *(f"spxarb restore --check spxarb-{DAY}.tar.gz", f"spxarb restore spxarb-{DAY}.tar.gz"),
    *("spxarb timers install --dry-run", "spxarb timers"),
)
REFUSED = {
    "spxarb close-all": (2, "asks before it acts"),
    "spxarb reconcile --statement activity.xml --supply": (2, "asks before it acts"),
    'spxarb ack 3 --note "closed the shares"': (2, "no matter 3 is open"),
    "spxarb reconcile --fetch": (3, "Set SPXARB_FLEX_TOKEN"),
}
"""Examples that need a terminal, a matter, or a token of the broker: how they end without, and the words."""
LASTING = {
    "spxarb status --watch": "",
    "spxarb record --output morning.csv.gz --until 10:00": "10:00:30",
    f"spxarb record --output {DAY}.csv.gz": "16:00:30",
}
"""Those that go on, and the market's time at which they end by themselves; empty: by Ctrl-C."""
TAKEN = "spxarb hand-over 1"
SIMULATOR = (
    "spxarb sim --regime rich-spy --port 4010 --control 4011 --at 09:35 --speed 0",
    "spxarb sim set-time 15:45 --control 4011",
    "spxarb sim step 5m --control 4011",
)
ELSEWHERE = {
    "spxarb demo": "test_verbs.py plays it",
    "sudo spxarb --config /etc/spxarb/config.yaml timers install": "it is the machine's own",
}
FINDINGS = {"spxarb doctor": 6, "spxarb doctor --margin": 6, "spxarb timers": 6}
"""Examples that may end with another code than 0 on a machine that is not set up."""


def test_every_example_is_typed_here_or_says_why_not():
    shown = {line for usage in USAGE.values() for line, _ in usage.examples} | {line for line, _ in ROOT}
    here = {*MORNING, *EVENING, *REFUSED, *LASTING, TAKEN, *SIMULATOR, *ELSEWHERE}
    assert shown == here


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    with playing(tmp_path_factory.mktemp("examples")) as made:
        yield made


def started(stage: Stage, line: str) -> subprocess.Popen[str]:
    words = shlex.split(line)
    assert words[0] == "spxarb"
    environment = stage.environment(SPXARB_CONFIG=str(stage.config))
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=stage.folder,
        env=environment,
    )


def typed(stage: Stage, line: str) -> tuple[int, str, str]:
    process = started(stage, line)
    out, err = process.communicate(timeout=90)
    return process.returncode, out, err


def ends_well(stage: Stage, line: str) -> None:
    code, out, err = typed(stage, line)
    assert code == 0 or (line in FINDINGS and code not in {1, 2, 3}), (line, code, out, err)
    assert out or "--output" in line, line


def test_the_examples_of_a_day_work_in_the_order_of_a_day(stage):
    for line in MORNING:
        ends_well(stage, line)
    stage.at("16:06")
    ends_well(stage, "spxarb settle")
    stage.at("17:30")  # the broker makes its statement in the evening
    (stage.folder / "activity.xml").write_text(stage.sim.control.statement("activity"), encoding="utf-8")
    for line in EVENING:
        if "restore --check" in line:
            assert typed(stage, f"spxarb backup --output spxarb-{DAY}.tar.gz")[0] == 0
        ends_well(stage, line)
    assert (stage.folder / "trades.csv").read_text().startswith("id,trade_date,")
    for line, (code, said) in REFUSED.items():
        found, _, err = typed(stage, line)
        assert (found, said in err) == (code, True), (line, found, err)


def test_a_trade_is_taken_and_the_examples_that_go_on_end_by_the_clock_or_by_ctrl_c(tmp_path):
    with playing(tmp_path) as stage:
        ends_well(stage, "spxarb enter")
        ends_well(stage, TAKEN)
        for line, ends_at in LASTING.items():
            process = started(stage, line)
            assert process.stdout is not None
            if ends_at:
                while not list(tmp_path.glob("*.csv.gz*")) and process.poll() is None:
                    pass
                stage.at(ends_at)
            else:
                assert process.stdout.readline().startswith("status")
                process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=90)
            assert process.returncode == 0, (line, err)
            for file in tmp_path.glob("*.csv.gz"):
                file.unlink()


def test_the_examples_of_the_simulated_gateway_work_together(tmp_path):
    ports = {"4010": str(free_port()), "4011": str(free_port())}

    def on_free_ports(line: str) -> list[str]:
        return [sys.executable, "-m", *(ports.get(word, word) for word in shlex.split(line))]

    first, *others = SIMULATOR
    environment = {**os.environ, "HOME": str(tmp_path)}
    running = subprocess.Popen(on_free_ports(first), stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert running.stdout is not None
        assert running.stdout.readline()
        for line in others:
            done = subprocess.run(
                on_free_ports(line), capture_output=True, text=True, check=False, timeout=60, env=environment
            )
            assert done.returncode == 0, done.stderr
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
