"""The command line: words, their mistakes, and exit codes whatever a job does."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from spxarb import __version__, errors, interruption, logs
from spxarb.cli import calls, commands
from spxarb.config.load import load
from spxarb.core.model import NEW_YORK
from spxarb.core.plain import plain
from spxarb.core.result import RESULT_TYPES, result_type
from spxarb.core.results.monitor import MonitorResult
from tools.docs.commands import commands as commands_document
from tools.docs.schemas import schema, schemas

ROOT = Path(__file__).parents[2]
VERBS = [
    "enter",
    "monitor",
    "settle",
    "close-all",
    "start",
    "stop",
    "status",
    "report",
    "log",
    "reconcile",
    "doctor",
    "config",
    "ack",
    "hand-over",
    "backup",
    "restore",
    "timers",
    "send-alerts",
    "watchdog",
    "record",
    "sim",
    "demo",
]
AT = datetime(2026, 2, 13, 9, 41, 5, tzinfo=NEW_YORK)


@pytest.fixture
def spxarb(capsys):
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def run(*words: str) -> tuple[int, str, str]:
        code = commands.main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def process(*words: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "spxarb", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


# --- words ----------------------------------------------------------------------------------------


def test_every_command_of_the_contract_exists_with_help_and_json(spxarb):
    verbs = commands.tree().commands
    assert list(verbs) == VERBS
    for verb in VERBS:
        code, out, err = spxarb(verb, "--help")
        assert (code, err) == (0, "")
        assert out.startswith(f"Usage: spxarb {verb} ")
        assert "--json" in out


def test_the_version_is_the_packages(spxarb):
    assert spxarb("--version") == (0, f"spxarb {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["entr"], "enter"),
        (["closeall"], "close-all"),
        (["enter", "--dry-rnu"], "Did you mean --dry-run?"),
        (["report", "--sinse", "2026-02-13"], "Did you mean --since?"),
        (["--dry-run", "enter"], "after the command"),
        (["enter", "now"], "now"),
        (["stop", "--reason"], "--reason"),
        (["settle", "--date", "13.2.2026"], "2026-02-13"),
        (["settle", "--date", "2026-02-30"], "2026-02-30"),
        (["report", "--since", "2026-02-14", "--until", "2026-02-13"], "after --until"),
        (["report", "--output", "x.csv"], "--csv"),
        (["report", "--table", "days"], "--csv"),
        (["report", "--csv", "--table", "week"], "days"),
        (["report", "--csv", "--json"], "--output"),
        (["status", "--watch", "--json"], "--json"),
        (["sim", "--port", "65536"], "65535"),
        (["sim", "--speed", "fast"], "--speed"),
    ],
)
def test_a_mistake_is_exit_2_and_one_line_that_helps(spxarb, words, said):
    code, out, err = spxarb(*words)
    assert (code, out) == (2, "")
    assert err.startswith("spxarb: ")
    assert err.count("\n") == 1
    assert said in err


def test_close_all_asks_and_where_nobody_can_answer_nothing_is_done(tmp_path):
    done = process("close-all", "--json", stdin=subprocess.DEVNULL, cwd=tmp_path, env=lonely(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "Add --yes" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04", "yes\n", "YES!\n", "\udcff\n", "Ctrl-C"])
def test_close_all_takes_anything_but_yes_in_capitals_for_no(tmp_path, answer):
    master, slave = pty.openpty()
    try:
        running = subprocess.Popen(
            [sys.executable, "-m", "spxarb", "close-all"],
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=lonely(tmp_path),
        )
        asked = b""
        while not asked.endswith(b"Type YES: "):
            asked += os.read(running.stderr.fileno(), 1000)
        if answer == "Ctrl-C":
            running.send_signal(signal.SIGINT)
        else:
            os.write(master, answer.encode(errors="surrogateescape"))
        out, err = running.communicate(timeout=60)
    finally:
        os.close(master)
        os.close(slave)
    assert asked.endswith(b"now, and stop trading? Type YES: ")
    if answer == "Ctrl-C":
        assert (running.returncode, out) == (130, b"")
        assert err == b"\nspxarb close-all: interrupted by Ctrl-C; nothing was changed.\n"
    else:
        assert (running.returncode, out) == (2, b"")
        assert err == b"spxarb: not confirmed; nothing was changed.\n"
    assert list(tmp_path.iterdir()) == []


def lonely(folder: Path) -> dict[str, str]:
    """An environment in which nothing of this machine's is found."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "HOME": str(folder), "STATE_DIRECTORY": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


# --- what a job does, and what becomes of it ------------------------------------------------------


def call(command: str = "monitor", *, as_json: bool = False) -> calls.Call:
    return calls.Call(command, None, as_json, (command,))


def run(job, capsys, **options) -> tuple[int, str, str]:
    code = calls.run(call(**options), job, sandbox=True)
    out, err = capsys.readouterr()
    return code, out, err


FAILURES = [failure for failure in errors.SpxarbError.__subclasses__() if failure is not errors.UsageError]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_is_its_exit_code_one_line_and_a_whole_object(capsys, failure):
    def job(_):
        raise failure("It broke", risk="Nothing is at risk", mend="Mend\nit")

    code, out, err = run(job, capsys, as_json=True)
    assert code == failure.exit_code
    assert err == "spxarb monitor: It broke. Nothing is at risk. Mend it.\n"
    found = json.loads(out)
    assert (found["exit_code"], found["error"]) == (code, "It broke. Nothing is at risk. Mend it.")
    assert found["positions"] == []


def test_a_bug_is_exit_1_with_its_place_in_one_line_and_its_traceback_in_the_log_alone(capsys, tmp_path):
    def job(_):
        raise ZeroDivisionError("first\nsecond")

    logs.setup(load(environ={"SPXARB_DATABASE": str(tmp_path / "trading.db")}))
    try:
        code, out, err = run(job, capsys, as_json=True)
    finally:
        logs.shutdown()
    assert code == 1
    assert err.count("\n") == 1
    assert "ZeroDivisionError: first second (" in err
    assert json.loads(out)["exit_code"] == 1
    assert "Traceback (most recent call last)" in (tmp_path / "trading.log").read_text()


def test_wrong_use_that_a_job_finds_is_no_result(capsys):
    def job(_):
        raise errors.UsageError("that day is not over")

    with pytest.raises(errors.UsageError):
        calls.run(call(), job, sandbox=True)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("ended", "code", "word"),
    [
        (KeyboardInterrupt(), 130, "Ctrl-C"),
        (interruption.Interrupted(2), 130, "Ctrl-C"),
        (interruption.Interrupted(15), 143, "SIGTERM"),
        (interruption.Interrupted(1), 129, "SIGHUP"),
    ],
)
def test_a_job_that_a_signal_ended_before_it_sent_anything_has_the_shells_code_and_one_line(
    capsys, ended, code, word
):
    def job(_):
        raise ended

    found, out, err = run(job, capsys, as_json=True)
    assert found == json.loads(out)["exit_code"] == code
    assert err == f"spxarb monitor: interrupted by {word}; nothing is at risk that was not before.\n"


def test_a_result_survives_a_failure_of_tidying_up_and_the_worse_code_wins():
    done = MonitorResult("monitor", AT, "paper", 6, "A leg is alone.", reconciliation=("a difference",))
    both = calls._failed(call(), errors.RefusedError("The ledger is full"), "paper", done)
    assert (both.exit_code, both.error) == (6, "A leg is alone. The ledger is full.")
    assert both.own() == done.own()


def test_a_good_result_is_exit_0_and_silence_on_stderr(capsys):
    code, out, err = run(lambda _: MonitorResult("monitor", AT, "paper"), capsys)
    assert (code, err) == (0, "")
    assert out.startswith("monitor · paper")


def test_a_server_that_cannot_start_is_wrong_use():
    def serve(_):
        raise OSError(98, "Address already in use")

    with pytest.raises(errors.UsageError, match="Address already in use"):
        calls.serve_until_stopped(call("sim"), serve)


def test_a_server_that_dies_later_is_a_bug_after_its_one_object(capsys):
    @dataclass(frozen=True)
    class Listening:
        host: str = "127.0.0.1"
        port: int = 1
        control_port: int = 2
        market: str = "a day"

    def serve(announce):
        announce(Listening())
        raise ValueError("no quotes")

    assert calls.serve_until_stopped(call("sim", as_json=True), serve) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["port"] == 1
    assert "no quotes" in err
    assert err.count("\n") == 1


# --- processes ------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from spxarb.cli.commands import main; main(['enter', '--help']); "
        "print([m for m in ('rich', 'ib_insync', 'sqlite_utils', 'holidays', 'apprise', 'asyncio') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_installed_command_and_the_module_are_the_same():
    script = Path(sys.executable).with_name("spxarb")
    if not script.exists():
        pytest.skip("the package is not installed")
    installed = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert installed.stdout == process("--version").stdout


def test_a_reader_of_help_who_leaves_early_hears_nothing():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "spxarb", "--help"],
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    assert done.stderr == b""


def test_the_simulated_gateway_tells_where_it_listens_and_ends_on_ctrl_c(tmp_path):
    pytest.importorskip("spxarb.sim.exchange.exchange", reason="the simulated exchange is not there")
    words = ["sim", "--json", "--port", "0", "--date", "2026-02-13", "--speed", "0"]
    running = subprocess.Popen(
        [sys.executable, "-m", "spxarb", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=lonely(tmp_path),
    )
    found = json.loads(running.stdout.readline())
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (found["command"], found["mode"], found["exit_code"], found["host"]) == (
        "sim",
        "sim",
        0,
        "127.0.0.1",
    )
    assert found["port"] > 0
    assert found["control_port"] > 0
    assert (running.returncode, out, err) == (0, "", "")


# --- documents ------------------------------------------------------------------------------------


def test_the_command_reference_is_the_one_that_the_parser_writes():
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == commands_document(), "write it anew: python -m tools.docs.commands"


def test_every_command_has_its_result_and_every_result_its_command():
    assert list(RESULT_TYPES) == list(commands.tree().commands)


def test_the_schemas_are_the_ones_that_the_result_types_write():
    written = {file.stem: file.read_text(encoding="utf-8") for file in (ROOT / "docs" / "json").iterdir()}
    assert written == schemas(), "write them anew: python -m tools.docs.schemas"


@pytest.mark.parametrize("command", RESULT_TYPES)
def test_every_key_of_every_object_is_described(command):
    whole = schema(command)
    for name, one in {command: whole, **whole.get("$defs", {})}.items():
        assert one["description"], name
        for key, kind in one["properties"].items():
            assert kind.get("description"), (
                f"{name}.{key}: a sentence below it, or in tools/docs/json_words.py"
            )


@pytest.mark.parametrize("command", RESULT_TYPES)
def test_a_result_without_any_figure_is_as_its_schema_says_and_a_key_too_few_or_too_many_is_not(command):
    Draft202012Validator.check_schema(schema(command))
    fits = Draft202012Validator(schema(command)).is_valid
    found = plain(result_type(command)(command, AT, None))
    assert fits(found)
    assert not fits({**found, "more": None})
    for key in found:
        assert not fits({name: value for name, value in found.items() if name != key}), key


def test_every_option_has_a_sentence_in_the_reference_and_in_help(spxarb):
    for verb, command in commands.tree().commands.items():
        _, text, _ = spxarb(verb, "--help")
        for option in command.params:
            assert option.help, f"{verb} {option.name}"
            name = option.opts[0] if option.opts[0].startswith("-") else option.metavar
            assert name in text


def test_the_exit_codes_are_all_documented_in_order():
    text = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    documented = [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    signals = [interruption.Interrupted(number).exit_code for number in sorted(interruption.SIGNALS)]
    assert documented == [*map(int, errors.Exit), *signals]
