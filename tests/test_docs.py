"""What the documents say is so: links, commands, keys, tables, examples, names in the code."""

from __future__ import annotations

import ast
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING

import pytest
import yaml
from relay import free_port

from spxarb.cli.commands import WRONG_USE, tree
from spxarb.config.load import load
from spxarb.config.schema import SECTIONS, every_key
from spxarb.config.variables import (
    ALERTS_VARIABLE,
    CONFIG_VARIABLE,
    ENVIRONMENT,
    FLEX_QUERY_VARIABLE,
    FLEX_TOKEN_VARIABLE,
    NOTIFY_VARIABLE,
    WAIT_VARIABLE,
    WIRE_VARIABLE,
)
from spxarb.core.checks import ENTRY_CHECKS, MARGIN, SECOND_LOOK
from spxarb.core.model import ExitReason
from spxarb.ledger.ledger import Ledger
from spxarb.sim import control
from spxarb.sim.__main__ import parser as sim_parser
from spxarb.sim.control import RunningSim
from spxarb.sim.faults.script import read_script
from spxarb.sim.faults.table import FAULTS
from spxarb.sim.market.recorded import RecordedDay
from spxarb.sim.market.regimes import REGIMES
from tests.markdown import DOCS, DOCUMENTS, README, ROOT, anchors, blocks, prose, spans, table, text_of, words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMANDS = tree()
BY_NAME = {"ids": lambda path: path.name}

every_document = pytest.mark.parametrize("document", DOCUMENTS, **BY_NAME)


# --- links --------------------------------------------------------------------------------------------


@every_document
def test_every_relative_link_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), f"{document.name}: {target}"
        assert not anchor or anchor in anchors(path), f"{document.name}: {target}"


# --- commands -----------------------------------------------------------------------------------------


def command_lines(document: Path) -> list[str]:
    """Every `spxarb ...` of a document, in shell blocks and in the text; forms such as COMMAND left out."""
    shell = [line.strip() for block in blocks(document, "sh") for line in block.splitlines()]
    units = [line.partition("=")[2] for block in blocks(document, "ini") for line in block.splitlines()]
    found = [line.removeprefix("/usr/local/bin/") for line in (*shell, *units, *spans(document))]
    return [
        line for line in found if line.startswith("spxarb ") and not re.search(r"COMMAND|\[|…|\.\.\.", line)
    ]


def parse(line: str) -> None:
    """Let the real parser read the words. Raises its usage error for any that it does not know."""
    given = shlex.split(line.partition(" | ")[0], comments=True)[1:]
    root = COMMANDS
    if given[:1] == ["--config"]:
        given = given[2:]
    if given in ([], ["--version"], ["--help"], ["--install-completion"], ["--show-completion"]):
        return
    verb, *rest = given
    assert verb in root.commands, f"{line!r}: there is no command {verb!r}"
    root.commands[verb].make_context(verb, [word for word in rest if word != "--help"])


@every_document
def test_every_command_line_is_one_that_the_parser_takes(document):
    for line in command_lines(document):
        parse(line)


def test_the_documents_hold_what_is_tried_here():
    """Else the claims about every command, piece of configuration and query would claim nothing."""
    assert len(command_lines(README)) > 20
    assert any(line.startswith("spxarb sim --") for line in command_lines(DOCS / "simulated-gateway.md"))
    assert blocks(README, "yaml")
    assert blocks(DOCS / "ledger.md", "sql")


def test_the_readme_shows_every_verb_of_the_day():
    shown = {shlex.split(line, comments=True)[1] for line in command_lines(README)}
    assert shown >= tree().commands.keys() - {"demo"}


@pytest.mark.parametrize(
    "wrong", ["spxarb entr", "spxarb enter --dryrun", "spxarb sim --port many", "spxarb report extra"]
)
def test_a_command_line_that_does_not_exist_would_be_found(wrong):
    with pytest.raises((AssertionError, WRONG_USE)):
        parse(wrong)


@every_document
def test_the_gateway_as_a_program_takes_the_same_options(document):
    for line in command_lines(document):
        verb, *given = shlex.split(line, comments=True)[1:] or [""]
        if verb == "sim" and not {"--help", "set-time", "step"} & {*given}:
            assert sim_parser().parse_args(given), line


@every_document
def test_every_target_of_make_exists(document):
    makefile = (ROOT / "Makefile").read_text()
    for line in [*spans(document), *"\n".join(blocks(document, "sh")).splitlines()]:
        if found := re.fullmatch(r"make (\w+)", line.strip()):
            assert re.search(rf"^{found[1]}:", makefile, re.MULTILINE), line


def test_pre_commit_runs_the_lint_of_make_and_nothing_else():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    (recipe,) = re.findall(r"^lint: setup\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe == "".join(f"\t@{hook['entry'].replace('.venv/bin', '$(BIN)')}\n" for hook in hooks)


# --- configuration ------------------------------------------------------------------------------------


@every_document
def test_every_configuration_key_that_is_named_exists(document):
    for span in spans(document):
        key = span.partition(":")[0]
        is_file = re.search(r"\.(db|log|lock|seen|watchdog|py)$", key)
        if re.fullmatch(r"[a-z_]+\.[a-z_]+", key) and key.partition(".")[0] in SECTIONS and not is_file:
            assert key in every_key(), f"{document.name}: {span}"


@every_document
def test_every_piece_of_configuration_is_accepted(document, tmp_path):
    inline = [span for span in spans(document) if re.fullmatch(rf"({'|'.join(SECTIONS)}): \{{.*\}}", span)]
    for number, piece in enumerate([*blocks(document, "yaml"), *inline]):
        file = tmp_path / f"{number}.yaml"
        file.write_text(piece)
        load(file, environ={})


@every_document
def test_every_environment_variable_that_is_named_is_read(document):
    own = {CONFIG_VARIABLE, NOTIFY_VARIABLE, WAIT_VARIABLE, WIRE_VARIABLE}
    own |= {ALERTS_VARIABLE, FLEX_TOKEN_VARIABLE, FLEX_QUERY_VARIABLE}
    known = {*ENVIRONMENT, *own}
    for name in re.findall(r"\b(?:SPXARB|IB)_[A-Z_]+\b", text_of(document)):
        assert name in known, f"{document.name}: {name}"


# --- the ledger ---------------------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "trading.db"
    Ledger.open(path, mode="sim").close()
    with closing(sqlite3.connect(path)) as db:
        yield db


def test_the_document_of_the_ledger_has_every_table_and_view_with_every_column(ledger):
    documented = {}
    for name, body in re.findall(
        r"^## (\w+)\n(.*?)(?=^## )", text_of(DOCS / "ledger.md"), re.MULTILINE | re.DOTALL
    ):
        rows = re.findall(r"^\| (`.*?) \|", body, re.MULTILINE)
        if rows:
            documented[name] = [column for cell in rows for column in words(cell)]
    tables = [
        name for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
    ]
    real = {
        name: [row[1] for row in ledger.execute(f"PRAGMA table_xinfo({name})")]
        for name in tables
        if not name.startswith("sqlite_")
    }
    assert documented.keys() == real.keys()
    for name, columns in real.items():
        assert sorted(documented[name]) == sorted(columns), name


@every_document
def test_every_query_runs_on_a_ledger(document, ledger):
    for block in blocks(document, "sql"):
        for statement in filter(str.strip, block.split(";")):
            ledger.execute(statement).fetchall()


# --- the strategy -------------------------------------------------------------------------------------


def test_the_document_of_the_strategy_has_every_check_in_order_and_every_reason_to_leave():
    checks = [words(row[0])[0] for row in table(DOCS / "strategy.md", "check")]
    assert checks == [*ENTRY_CHECKS, SECOND_LOOK, MARGIN]
    reasons = {words(row[0])[0] for row in table(DOCS / "strategy.md", "reason")}
    assert reasons == set(ExitReason) - {ExitReason.ENTRY_UNWOUND}


# --- the simulated gateway ----------------------------------------------------------------------------

GATEWAY = DOCS / "simulated-gateway.md"


def test_the_document_of_the_gateway_has_every_regime_every_request_and_only_real_faults():
    faults = [name for row in table(GATEWAY, "fault") for name in words(row[0])]
    assert faults
    assert set(faults) <= set(FAULTS)
    regimes = [name for row in table(GATEWAY, "regime") for name in words(row[0])]
    assert sorted(regimes) == sorted(REGIMES)
    ops = r'\{"op": "(\w+)"'
    assert set(re.findall(ops, text_of(GATEWAY))) == set(re.findall(ops, control.__doc__ or ""))


def test_the_recorded_day_in_the_document_can_be_played(tmp_path):
    (example,) = [block for block in blocks(GATEWAY, "") if block.startswith("t,kind")]
    file = tmp_path / "mine.csv"
    file.write_text(example)
    assert f"{len(example.splitlines()) - 1} rows" in RecordedDay(file).description


def python(source: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=False, cwd=folder, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_client_in_the_document_prints_what_the_document_says(tmp_path):
    (client,) = [block for block in blocks(GATEWAY, "python") if "ib_insync" in block]
    (printed,) = [block for block in blocks(GATEWAY, "") if block.startswith("SIM0000001")]
    with RunningSim(date="2026-02-10", regime="quiet", at="09:35", speed=0) as sim:
        assert python(client.replace("4010", str(sim.port)), tmp_path) == printed


@every_document
def test_the_gateway_as_a_process_of_its_own_runs_as_in_the_document(document, tmp_path):
    for example in blocks(document, "python"):
        if "RunningSim" in example:
            assert python(example, tmp_path)


@every_document
def test_every_script_of_faults_is_accepted(document):
    for script in blocks(document, "yml"):
        assert read_script(yaml.safe_load(script)).entries


# --- trying it by hand --------------------------------------------------------------------------------


@pytest.fixture
def newcomer(tmp_path):
    """An empty folder of somebody who has nothing but the installed command: folder, environment."""
    command, folder = tmp_path / "bin" / "spxarb", tmp_path / "new"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m spxarb "$@"\n')
    command.chmod(0o755)
    folder.mkdir()
    return folder, {"PATH": f"{command.parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)}


@contextmanager
def first_terminal(line: str, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """The gateway as the document starts it, until the block ends."""
    running = subprocess.Popen(
        shlex.split(line), cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout.readline().startswith("listening on 127.0.0.1:")
        yield
    finally:
        running.terminate()
        running.communicate(timeout=60)


@pytest.mark.timeout(180)
def test_the_day_by_hand_goes_from_an_empty_folder_as_the_readme_says(newcomer):
    folder, environment = newcomer
    client, control_port = str(free_port()), str(free_port())
    (settings,) = [block for block in blocks(README, "yaml") if "mode: sim" in block]
    (session,) = [block for block in blocks(README, "sh") if "spxarb sim set-time" in block]
    (start,) = [
        line
        for block in blocks(README, "sh")
        for line in block.splitlines()
        if line.startswith("spxarb sim --")
    ]
    (queries,) = [block for block in blocks(README, "sql") if "v_today" in block]

    def mine(text: str) -> str:
        return text.replace("4010", client).replace("4011", control_port)

    (folder / "config.yaml").write_text(mine(settings))
    with first_terminal(mine(start), folder, environment):
        done = subprocess.run(
            ["bash", "-e", "-c", mine(session)],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        with control.Control(int(control_port)) as steering:
            assert [position["quantity"] for position in steering.book()["positions"]] == []
    for said in ("Dry run: would enter", "Entered: trade 1", "held", "TIME", "1 trade"):
        assert said in done.stdout, said
    with closing(sqlite3.connect(folder / "sandbox" / "trading.db")) as db:
        today, days = (db.execute(query).fetchall() for query in queries.split(";")[:2])
    assert (len(today), len(days)) == (1, 1)
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "sandbox"}, "nothing else was left"


# --- names in the code --------------------------------------------------------------------------------


@cache
def defined_in(path: Path) -> set[str]:
    """The functions, classes, attributes and variables that a file defines, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(text_of(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@every_document
def test_every_file_and_every_name_in_it_that_is_mentioned_exists(document):
    """Of the form `tests/test_x.py`: `one_name`, `another`."""
    pattern = r"`((?:spxarb|tools|tests|benchmarks|systemd|docs)/[\w./-]+)`(:(?:\s+`\w+`,?)+)?"
    for path, names in re.findall(pattern, prose(document)):
        assert (ROOT / path).exists(), f"{document.name}: {path}"
        missing = set(words(names)) - defined_in(ROOT / path) if names else set()
        assert missing == set(), f"{document.name}: {path}"


@every_document
def test_a_term_is_linked_to_the_glossary_where_a_reader_meets_it(document):
    linked = re.findall(r"glossary\.md#([\w-]+)", text_of(document))
    assert len(linked) == len(set(linked)), "once, at the first place"
    assert linked or document.name not in {"README.md", "strategy.md", "exit-codes.md"}


def test_every_row_of_the_schedule_names_tests_that_exist():
    rows = [line for line in (ROOT / "docs/scheduling.md").read_text().splitlines() if line.startswith("| ")][
        1:
    ]
    for row in rows:
        seen = row.split("|")[3]
        named = [part for part in re.findall(r"`([^`]+)`", seen) if part != "tests/scenarios"]
        assert named, row
        source = ""
        for name in named:
            if name.endswith(".py"):
                path = ROOT / (name if "/" in name else f"tests/scenarios/{name}")
                source = path.read_text(encoding="utf-8")
            else:
                assert f"def {name}(" in source, name
