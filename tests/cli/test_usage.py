"""Habits of a shell: help that shows how, completion, the manual page, words that were nearly right."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spxarb import errors
from spxarb.cli import commands, usage
from spxarb.imports import LEFT_OUT
from spxarb.sim.market.regimes import REGIMES
from tools.docs import manual

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def spxarb(capsys):
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def run(*words: str) -> tuple[int, str, str]:
        code = commands.main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return run


# --- help -----------------------------------------------------------------------------------------


def test_the_command_alone_shows_its_help_and_is_wrong_use_all_the_same(spxarb):
    code, out, err = spxarb()
    assert (code, err) == (2, "spxarb: name a command, such as `spxarb status`.\n")
    assert out == spxarb("--help")[1]
    for verb in commands.tree().commands:
        assert re.search(rf"^  {verb} ", out, re.MULTILINE)


@pytest.mark.parametrize("verb", commands.tree().commands)
def test_the_help_of_each_command_has_an_example_and_its_exit_codes(spxarb, verb):
    _, out, _ = spxarb(verb, "--help")
    head, _, examples = out.partition("Examples:\n")
    assert f"  spxarb {verb}" in examples, "write its examples into cli/usage.py"
    codes = re.findall(r"^    (\d)  \S", examples.partition("Exit codes:\n")[2], re.MULTILINE)
    assert [int(code) for code in codes] == [code for code, _ in usage.codes_of(verb)]
    assert codes[:3] == ["0", "1", "2"]
    assert head.startswith(f"Usage: spxarb {verb} ")


def test_help_fits_80_columns_and_cuts_no_sentence_short(spxarb):
    for words in ((), *((verb,) for verb in commands.tree().commands)):
        _, out, _ = spxarb(*words, "--help")
        assert not [line for line in out.splitlines() if len(line) > 80], words
        assert not [line for line in out.splitlines()[1:] if line.endswith("...")], words


def test_every_exit_code_has_its_meaning_in_help():
    assert sorted({0, *usage.MEANINGS}) == sorted(map(int, errors.Exit))


# --- near misses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("stauts", "No such command 'stauts'. Did you mean status?"),
        ("closeall", "Did you mean close-all?"),
        ("close_all", "Did you mean close-all?"),
        ("close", "Did you mean close-all?"),
        ("flatten", "Did you mean close-all?"),
        ("halt", "Did you mean stop?"),
        ("resume", "Did you mean start?"),
        ("positions", "Did you mean status?"),
        ("help", "Did you mean --help?"),
        ("enter --dry", "Did you mean --dry-run?"),
        ("enter --DRY_RUN", "Did you mean --dry-run?"),
        ("enter dry-run", "Did you mean --dry-run?"),
        ("monitor --watch", "No such option: --watch. It belongs to `spxarb status`."),
        ("--json status", "It stands after the command: spxarb COMMAND --json."),
        ("report --csv --table day", "Did you mean days?"),
        ("sim --margin regt", "Did you mean reg-t?"),
        ("sim --regime quite", "did you mean quiet?"),
        ("sim set_time 11:00", "Did you mean set-time?"),
        ("report --csv -", "Did you mean --output -?"),
        ("sim --speed fast", "Input should be a valid number."),
    ],
)
def test_a_near_miss_is_named(spxarb, words, said):
    code, out, err = spxarb(*words.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.parametrize("words", ["xyzzy", "report --zz9 5", "enter --zz"])
def test_what_is_like_nothing_is_given_no_wrong_hint(spxarb, words):
    code, _, err = spxarb(*words.split())
    assert code == 2
    assert "Did you mean" not in err


# --- completion -----------------------------------------------------------------------------------


def asked(shell: str, line: str) -> str:
    """What the program answers when a shell asks what the line's last word may become."""
    given = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
    }
    environment = {**os.environ, **given[shell], commands.COMPLETION: f"complete_{shell}"}
    done = subprocess.run(
        [sys.executable, "-m", "spxarb"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )
    assert done.stderr == ""
    return done.stdout


def test_commands_options_and_values_are_completed():
    assert asked("bash", "spxarb re").split() == ["report", "reconcile", "restore", "record"]
    assert asked("bash", "spxarb enter --dr").split() == ["--dry-run"]
    assert asked("bash", "spxarb report --csv --table ").split()[:2] == ["trades", "days"]
    assert asked("bash", "spxarb sim --margin p").split() == ["portfolio"]
    assert asked("bash", "spxarb sim --regime ").split() == [*REGIMES]
    assert asked("bash", "spxarb sim --regime tr").split() == ["trend-up", "trend-down"]
    assert '"pin":"in the last 90 minutes' in asked("zsh", "spxarb sim --regime p")
    assert '"stop":"Forbid new entries; exits go on."' in asked("zsh", "spxarb st")
    assert asked("zsh", "spxarb --config ").strip() == "_files"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_with_the_script_that_the_program_gives():
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = (
        "source <(_SPXARB_COMPLETE=source_bash spxarb); COMP_WORDS=(spxarb clo); COMP_CWORD=1; "
        '_spxarb_completion spxarb; echo "${COMPREPLY[@]}"; complete -p spxarb'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment,
    )
    assert done.stdout.splitlines()[0] == "close-all"
    assert "-F _spxarb_completion spxarb" in done.stdout


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here: its completion was not tried")
def test_zsh_completes_live_with_the_script_that_the_program_gives(tmp_path):
    """In a real zsh, on a terminal of its own: the Tab key is pressed."""
    (tmp_path / ".zshrc").write_text(
        "PS1='ready> '; autoload -Uz compinit; compinit -D\n"
        "source <(_SPXARB_COMPLETE=source_zsh spxarb)\nzstyle ':completion:*' list-prompt ''\n"
    )
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ZDOTDIR": str(tmp_path),
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "COLUMNS": "200",
    }
    terminal, side = pty.openpty()
    shell = subprocess.Popen(
        ["zsh", "-i"], stdin=side, stdout=side, stderr=side, env=environment, start_new_session=True
    )
    os.close(side)
    try:
        seen = typed(terminal, "", "ready> ")
        for keys, wanted in (("spxarb clo\t", "close-all"), ("spxarb sim --regime ri\t", "rich-spy")):
            seen = typed(terminal, keys, wanted)
            assert wanted in seen, seen
            typed(terminal, "\x15", "")  # the line is taken back
    finally:
        shell.kill()
        shell.wait()
        os.close(terminal)


def typed(terminal: int, keys: str, wanted: str, seconds: float = 30) -> str:
    """Type keys; what the terminal shows until `wanted` stands there, or nothing comes any more."""
    os.write(terminal, keys.encode())
    seen, end = "", time.monotonic() + (seconds if wanted else 0.2)
    while time.monotonic() < end and not (wanted and wanted in seen):
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 4096).decode(errors="replace")
    return seen


def test_completion_loads_no_more_than_the_parser():
    environment = {**os.environ, "_TYPER_COMPLETE_ARGS": "spxarb st", commands.COMPLETION: "complete_zsh"}
    command = [sys.executable, "-X", "importtime", "-m", "spxarb"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in loaded
    assert {"rich", "pydantic_core", "ib_insync", "sqlite_utils", "holidays", "asyncio"} & loaded <= {
        "pydantic_core"
    }
    assert "rich" in LEFT_OUT["typer"].absent


# --- the manual page ------------------------------------------------------------------------------


def test_the_manual_page_is_the_one_that_the_parser_writes():
    assert (ROOT / manual.PAGE).read_text(encoding="utf-8") == manual.page(), "python -m tools.docs.manual"


@pytest.mark.parametrize("checker", ["mandoc -T lint -W warning", "groff -man -ww -z"])
def test_the_manual_page_has_no_fault_that_its_readers_know(checker):
    program, *options = checker.split()
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here")
    done = subprocess.run(
        [program, *options, ROOT / manual.PAGE], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)
