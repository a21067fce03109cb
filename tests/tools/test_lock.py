"""The lock file belongs to pyproject.toml, and the check says when it does not."""

from __future__ import annotations

import copy
import re
import tomllib

import pytest

from tests.markdown import README, ROOT, blocks
from tools import lock

PROJECT = tomllib.loads((ROOT / lock.PROJECT).read_text())
TEXT = (ROOT / lock.LOCK).read_text()


def test_the_lock_of_the_project_is_fresh_and_every_line_has_a_version_and_hashes():
    assert lock.problems(PROJECT, TEXT) == []
    pins = [*lock.pins(TEXT)]
    assert len(pins) > 25
    assert all(pin.version and pin.hashes for pin in pins)


def changed(section, key, value):
    project = copy.deepcopy(PROJECT)
    project[section][key] = value
    return project


@pytest.mark.parametrize(
    ("project", "told"),
    [
        (
            changed("project", "dependencies", [*PROJECT["project"]["dependencies"], "lxml"]),
            "lxml is missing",
        ),
        (changed("project", "dependencies", ["rich>=99"]), "is outside of >=99"),
        (changed("build-system", "requires", ["setuptools>=999"]), "setuptools"),
        (changed("project", "requires-python", ">=3.12,<3.15"), "asks for something else"),
        (changed("tool", "uv", {"environments": ["sys_platform == 'linux'"]}), "asks for something else"),
    ],
)
def test_a_change_of_what_the_project_asks_for_makes_the_lock_stale(project, told):
    assert told in "; ".join(lock.problems(project, TEXT))


def test_what_does_not_decide_what_is_installed_leaves_it_fresh():
    assert lock.problems(changed("project", "description", "something else"), TEXT) == []


@pytest.mark.parametrize(
    ("pattern", "instead", "told"),
    [
        (r"^rich==\S+", "rich==1.0", "rich 1.0 is outside of"),
        (r"^rich==\S+", "rich>=14", "rich has no exact version"),
        (r"--hash=sha256:\S{8}", "--hash=sha256:00000000", "changed by hand"),
        (r"(^annotated-doc==.*?)(?: \\\n    --hash\S+)+", r"\1", "annotated-doc has no hash"),
        (r"^tzdata==.*?(?=^\S)", "", "tzdata is missing on linux, Python 3.11"),
        (
            r"(^tzdata==\S+) ; .*? \\$",
            r"\1 ; sys_platform == 'linux' " + "\\\\",
            "tzdata is missing on darwin",
        ),
        (r"^# input sha256: .*$", "", "asks for something else"),
    ],
)
def test_a_lock_that_was_changed_by_hand_is_refused_with_the_reason(pattern, instead, told):
    text, count = re.subn(pattern, instead, TEXT, count=1, flags=re.MULTILINE | re.DOTALL)
    if pattern.endswith("\\\\$"):
        text, count = re.subn(pattern, instead, TEXT, count=1, flags=re.MULTILINE)
    assert count == 1
    assert told in "; ".join(lock.problems(PROJECT, text))


def test_what_is_written_is_fresh_by_its_own_check():
    lines = TEXT.split("\n", 5)[5]
    assert lock.problems(PROJECT, lock.written(PROJECT, lines)) == []


def test_the_calendar_is_pinned_exactly():
    (calendar,) = [asked for asked in PROJECT["project"]["dependencies"] if asked.startswith("holidays")]
    assert re.fullmatch(r"holidays==[\d.]+", calendar)


def test_the_readme_installs_a_server_from_the_lock_and_fetches_nothing_without_a_hash():
    (install,) = [block for block in blocks(README, "sh") if "useradd" in block]
    pip = [line for line in install.splitlines() if "pip install" in line]
    assert pip == [
        "sudo /opt/spxarb/bin/pip install --require-hashes -r requirements.lock",
        "sudo /opt/spxarb/bin/pip install --no-deps --no-build-isolation .",
    ]
    assert any(pin.requirement.name == "setuptools" for pin in lock.pins(TEXT))
