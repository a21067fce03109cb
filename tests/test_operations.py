"""The guide for who runs it: every alarm of the code is in it, and its commands are those that work."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from warm_starts import DECIDES_A_START, warm

from spxarb.broker import connect
from spxarb.config.load import load
from spxarb.core.matters import MatterKind
from spxarb.core.notices import NoticeKind
from spxarb.sim.control import RunningSim
from spxarb.trading.matters import _BY_STATE
from tests.markdown import DOCS, README, ROOT, blocks, table, text_of, words

GUIDE = DOCS / "operations.md"
WORDS = " ".join(text_of(GUIDE).split())

# --- alarms -------------------------------------------------------------------------------------------

RAISERS = {
    "HumanNeededError": 0,
    "NewMatter": 1,
    "Finding": 4,
    "human_needed": 0,
    "alert": 0,
    "_tell_once": 3,
}
"""What makes an alarm, and which argument is its sentence."""
FEWEST_WORDS = 3
OF_THE_WATCHDOG = (
    "No `monitor` has succeeded for",
    "The ledger cannot be read, and",
    "is gone: whether a position is",
)
"""Pieces of sentences that are put together in more than one step."""


def literal(node: ast.expr, assigned: dict[str, list[ast.expr]]) -> list[str]:
    """The sentences that an expression may come to; a value within one is NUL."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)]
    if isinstance(node, ast.IfExp):
        return [*literal(node.body, assigned), *literal(node.orelse, assigned)]
    if isinstance(node, ast.Name):
        return [text for value in assigned.get(node.id, []) for text in literal(value, {})]
    if isinstance(node, ast.Call) and node.args:
        return literal(node.args[0], assigned)
    return []


def alarms_of(source: str) -> set[str]:
    """The longest fixed piece of each alarm's sentence."""
    if not any(name in source for name in RAISERS):
        return set()
    found = set()
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        assigned: dict[str, list[ast.expr]] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                assigned.setdefault(node.targets[0].id, []).append(node.value)
        for node in ast.walk(function):
            name = getattr(
                getattr(node, "func", None), "id", getattr(getattr(node, "func", None), "attr", None)
            )
            if isinstance(node, ast.Call) and name in RAISERS and len(node.args) > RAISERS[name]:
                found |= {
                    max(text.split("\0"), key=len) for text in literal(node.args[RAISERS[name]], assigned)
                }
    return {" ".join(text.split()).strip(" .,;:()") for text in found if len(text.split()) >= FEWEST_WORDS}


def every_alarm() -> set[str]:
    files = [path for path in (ROOT / "spxarb").rglob("*.py") if "sim" not in path.parts]
    return {*OF_THE_WATCHDOG, *(text for _, text in _BY_STATE.values())}.union(
        *(alarms_of(text_of(p)) for p in files)
    )


def test_every_alarm_of_the_code_is_in_the_guide_with_what_to_do():
    alarms = every_alarm()
    assert len(alarms) > 35
    rows = " ".join(" ".join(row[0] for row in body) for body in tables_of_alarms())
    assert sorted(alarm for alarm in alarms if alarm not in rows) == []


def tables_of_alarms() -> list[list[list[str]]]:
    found = re.findall(r"^\| alarm \|.*\n\|[-|]+\|\n((?:\|.*\|\n)+)", text_of(GUIDE), re.MULTILINE)
    return [[[cell.strip() for cell in row.split("|")[1:-1]] for row in body.splitlines()] for body in found]


def test_an_alarm_that_the_guide_lacks_would_be_found():
    source = 'def f(job, trade):\n    text = f"trade {trade.id} stands on its head again"\n    job.human_needed(text)\n'
    assert alarms_of(source) == {"stands on its head again"}
    assert "stands on its head again" not in WORDS


def test_every_kind_of_alert_is_in_the_guide():
    kinds = [words(row[0])[0] for row in table(GUIDE, "kind")]
    assert sorted(kinds) == sorted(NoticeKind)


def test_every_kind_of_matter_is_raised_by_an_alarm_of_the_guide():
    """A new kind wants a sentence here: read where it is raised, and add its piece."""
    sentence = {
        "order": "how order … ended is not known",
        "unproven": "what is held of it is not known",
        "entry": "its entry is neither whole nor undone",
        "exit": "its exit is not complete",
        "expired": "its calls have expired",
        "account": "and no execution says why",
        "assignment": "SPY calls ended … their strike",
        "shares": "spxarb trades no shares",
        "settlement": "acknowledged, the official close counts",
        "failsafe": "has no buy-back resting at the broker",
        "taken": "others closed …",
        "warning": "the broker warns of the account",
        "hand-over": "its hand-over is not complete",
        "by-hand": "is handed over, and …",
        "lost": "is lost and was not rebuilt after a restore",
    }
    assert sentence.keys() == set(MatterKind)
    assert [text for text in sentence.values() if text not in WORDS] == []


def test_the_reasons_of_a_failed_connection_are_found_by_their_words():
    source = text_of(Path(connect.__file__))
    for text in (
        "Nothing listens at",
        "closed it at once",
        "but sent nothing",
        "is already in use at the gateway",
    ):
        assert text in source
        assert text in WORDS


@pytest.mark.parametrize(
    "quoted", ["Failed to connect to IB Gateway", "Order timeout", "Connection refused to localhost:5000"]
)
def test_the_errors_of_the_strategys_document_stand_there_word_for_word(quoted):
    assert f'"{quoted}"' in WORDS


# --- tuning -------------------------------------------------------------------------------------------

TUNINGS = [
    "limit orders",
    "trade 9:45 to 15:30",
    "skip when the SPX width is over $0.50",
    "min_entry_credit $500+",
    "ratio 9.97\N{EN DASH}10.03",
    "assignment threshold $8",
    "max_spreads_per_day 1",
    "max_daily_loss $500",
    "max_position_loss $300",
]


def test_the_nine_tunings_are_there_by_name_with_their_price_and_a_setting_that_is_accepted(tmp_path):
    rows = table(GUIDE, "tuning")
    assert [row[0] for row in rows] == TUNINGS
    assert all(len(row[2].split()) > 8 for row in rows)
    (whole,) = [block for block in blocks(DOCS / "architecture.md", "yaml") if "min_ratio: 9.97" in block]
    together = load(written(tmp_path / "all.yaml", yaml.safe_load(whole)), environ={})
    for number, row in enumerate(rows):
        settings = dict(setting.split(": ", 1) for setting in words(row[1]))
        for key, value in settings.items():
            section, name = key.split(".")
            one = written(tmp_path / f"{number}.yaml", {section: {name: yaml.safe_load(value)}})
            in_force = getattr(getattr(load(one, environ={}), section), name)
            assert in_force == getattr(getattr(together, section), name), key


def written(path: Path, settings: object) -> Path:
    path.write_text(yaml.safe_dump(settings))
    return path


def test_the_price_of_the_ratio_names_the_usual_one():
    (price,) = [row[2] for row in table(GUIDE, "tuning") if row[0].startswith("ratio")]
    assert "10.03" in price
    assert "`tracking_ratio`" in price


# --- installing ---------------------------------------------------------------------------------------


def test_a_fresh_debian_is_installed_as_the_readme_says():
    (readme,) = [block for block in blocks(README, "sh") if "useradd" in block]
    (guide,) = [block for block in blocks(GUIDE, "sh") if "useradd" in block]
    assert guide.endswith(readme)


def test_a_mac_gets_the_locked_libraries_too():
    (guide,) = [block for block in blocks(GUIDE, "sh") if "brew" in block]
    assert "pip install --require-hashes -r requirements.lock" in guide
    assert "pip install --no-deps --no-build-isolation ." in guide


# --- security -----------------------------------------------------------------------------------------

SECURITY = DOCS / "security.md"


def test_every_promise_of_security_names_its_tests():
    """That each test exists, tests/test_docs.py checks for every document."""
    promised = re.findall(
        r"^\| promise \| proof \|\n\|[-|]+\|\n((?:\|.*\|\n)+)", text_of(SECURITY), re.MULTILINE
    )
    rows = [row for body in promised for row in body.splitlines()]
    assert len(rows) > 15
    assert [row for row in rows if not re.search(r"`tests/[\w/]+\.py`: `test_\w+`", row)] == []
    for who in ("root", "other users", "the Gateway", "the network", "files", "the libraries"):
        assert any(row[0].startswith(who) for row in table(SECURITY, "who")), who


def test_how_to_report_names_no_address_that_nobody_has():
    assert not re.search(r"[\w.+-]+@[\w-]+\.\w+", text_of(ROOT / "SECURITY.md"))


# --- its commands -------------------------------------------------------------------------------------

OF_THE_MACHINE = {"timers", "--version"}
"""What looks at this machine alone, or at none."""


def lines_to_run() -> list[str]:
    """Each `spxarb` line of the daily and weekly checks and of the upgrade, in order."""
    chosen = [
        block for block in blocks(GUIDE, "sh") if re.match(r"spxarb (status|doctor|stop|monitor|--v)", block)
    ]
    lines = [line.partition(" #")[0].strip() for block in chosen for line in block.splitlines()]
    return [line for line in lines if line.split()[1] not in OF_THE_MACHINE and "--send-test" not in line]


@pytest.mark.outside
@pytest.mark.timeout(180)
def test_the_checks_and_the_upgrade_run_as_they_are_written(tmp_path):
    lines = lines_to_run()
    assert {line.split()[1] for line in lines} >= {
        "status",
        "log",
        "ack",
        "doctor",
        "report",
        "backup",
        "restore",
    }
    kept = {name: text for name, text in os.environ.items() if name.startswith(DECIDES_A_START)}
    environment = {**kept, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def run(line: str) -> subprocess.CompletedProcess[str]:
        given = [sys.executable, "-m", "spxarb", *shlex.split(line)[1:]]
        return subprocess.run(
            given, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment, timeout=60
        )

    with warm(), RunningSim(date="2026-02-10", regime="rich-spy", at="09:35", speed=0) as sim:
        settings = {
            "ib": {"port": sim.port},
            "trading": {"mode": "sim"},
            "storage": {"database": "state/trading.db"},
            "logging": {"console": False},
        }
        written(tmp_path / "config.yaml", settings)
        done = run("spxarb enter")
        assert (done.returncode, "Entered" in done.stdout) == (0, True), done.stderr
        for line in lines:
            copies = sorted((tmp_path / "state" / "backups").glob("*.tar.gz"))
            done = run(line.replace("FILE", str(copies[-1])) if "FILE" in line else line)
            assert done.returncode == 0, f"{line}: {done.stderr}"
