"""`make setup` and `make clean` leave a virtual environment alone that they did not make; `make test` clears away."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.markdown import ROOT
from tests.memory import ROOM, roomy

pytestmark = [
    pytest.mark.outside,
    pytest.mark.skipif(shutil.which("make") is None, reason="no make here"),
]
PYTHON = """\
#!/bin/sh
echo "$@" >> "$(dirname "$0")/../called"
case "$*" in *version_info*) exit {unfit};; *) exit 0;; esac
"""
MAKES_ENVIRONMENTS = """\
#!/bin/sh
test "$1 $2" = "-m venv" && mkdir -p "$3/bin" && touch "$3/pyvenv.cfg" && cp "$0" "$3/bin/python"
exit 0
"""
"""An interpreter that makes an environment of itself; that a real one does so is what `make test` begins with."""
CHOSEN = """\
#!/bin/sh
case "$*" in
*version_info*) exit {unfit};;
*libpython*) exit {in_parts};;
"-m venv"*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && echo "{name}" >> chosen;;
esac
"""
HAS_UV = """\
#!/bin/sh
echo "$@" >> called
case "$*" in
*"pip config list") echo "{told}";;
*"--target .venv-uv"*) mkdir -p .venv-uv/bin
    {{ echo '#!/bin/sh'; echo 'echo uv "$@" >> called; exit {code}'; }} > .venv-uv/bin/uv
    chmod +x .venv-uv/bin/uv;;
esac
"""
WITHOUT_PIP = """\
#!/bin/sh
case "$0" in *.venv/bin/*) who=new;; *) who=base;; esac
echo "$who $*" >> called
case "$who $*" in
"base -m venv"*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python";;
"base -m pip"*) test {base} = 1 || exit 1;;
"new -m ensurepip") touch ensured;;
"new -m pip"*) test -e ensured || exit 1;;
esac
case "$*" in
*"pip config list") echo "{told}";;
*"--target .venv-uv"*) test {uv} = 1 || exit 1
    mkdir -p .venv-uv/bin
    printf '#!/bin/sh\necho uv "$@" >> called\n' > .venv-uv/bin/uv && chmod +x .venv-uv/bin/uv;;
esac
exit 0
"""
"""An interpreter that makes environments without pip; `base`: whether it has one of its own."""
ELSEWHERE = "global.index-url='https://packages.example/simple'"
TESTS = """\
#!/bin/sh
case "$0 $*" in
*/mypy*) exit {lint};;
*tests/memory.py) mkdir in-memory && echo "$PWD/in-memory";;
*--basetemp=*/in-memory/run*|*--hypothesis-profile=check*) exit {code};;
esac
"""


@pytest.fixture
def folder(tmp_path):
    """The project's Makefile, and nothing that it could install."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def make(folder, *words, python=sys.executable):
    command = ["make", "-C", folder, *words, f"PYTHON={python}"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def environment(folder, *, unfit=0):
    """A virtual environment of the user's, in which something of his lies."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(PYTHON.format(unfit=unfit))
    python.chmod(0o755)
    kept = folder / ".venv" / "mine"
    kept.touch()
    return kept


def test_an_environment_that_is_there_is_used_and_not_removed(folder):
    kept = environment(folder)
    for words in (["setup"], ["-B", "setup"], ["clean"]):
        done = make(folder, *words)
        assert (done.returncode, kept.exists()) == (0, True), done.stderr
    assert "-m pip install" in (folder / ".venv" / "called").read_text()
    assert "it stays" in done.stdout


def test_one_whose_python_does_not_fit_stays_and_the_line_says_what_to_do(folder):
    kept = environment(folder, unfit=1)
    done = make(folder, "setup")
    assert (done.returncode, kept.exists()) == (2, True)
    assert "make VENV=" in done.stderr


def test_a_link_to_an_environment_elsewhere_is_not_removed(folder):
    (folder / ".venv").symlink_to(folder / "gone")
    assert make(folder, "setup").returncode == 2
    assert (folder / ".venv").is_symlink()


def test_one_that_make_made_is_made_anew_and_removed(folder):
    kept = environment(folder)
    (folder / ".venv" / "made-by-make").touch()
    python = folder / "python"
    python.write_text(MAKES_ENVIRONMENTS)
    python.chmod(0o755)
    done = make(folder, "setup", python=python)
    assert (done.returncode, kept.exists()) == (0, False), done.stderr
    assert (folder / ".venv" / "ready").exists()
    assert (folder / ".venv" / "pyvenv.cfg").exists()
    assert make(folder, "clean").returncode == 0
    assert not (folder / ".venv").exists()


def test_a_name_with_blanks_is_refused_before_anything_is_removed(folder):
    for name in ("my", "dir"):
        (folder / name).mkdir()
    for words in (["VENV=my dir", "setup"], ["VENV=", "setup"], ["VENV=my dir", "clean"]):
        done = make(folder, *words)
        assert (done.returncode, "without blanks" in done.stderr) == (2, True), done.stderr
    assert (folder / "my").exists()
    assert (folder / "dir").exists()


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ({"a/python3.13": (0, 1), "a/python3.11": (0, 1)}, "a/python3.13"),
        ({"a/python3.13": (0, 1), "b/python3.11": (0, 0)}, "b/python3.11"),
        ({"a/python3.11": (0, 1), "b/python3.11": (0, 0)}, "b/python3.11"),
        ({"a/python3.12": (0, 0), "b/python3.13": (1, 0)}, "a/python3.12"),
        ({"a/python3.11": (0, 0), "b/python3.12": (0, 0)}, "b/python3.12"),
    ],
)
def test_of_the_interpreters_that_fit_one_in_one_piece_is_taken_first(folder, monkeypatch, pythons, chosen):
    for name, (unfit, in_parts) in pythons.items():
        python = folder / name
        python.parent.mkdir(exist_ok=True)
        python.write_text(CHOSEN.format(name=name, unfit=unfit, in_parts=in_parts))
        python.chmod(0o755)
    tools = folder / "tools"
    tools.mkdir()
    for tool in ("bash", "cp", "make", "mkdir", "rm", "sh", "touch"):
        (tools / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", f"{folder}/a:{folder}/b:{tools}")
    done = subprocess.run(
        ["make", "setup"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, (folder / "chosen").read_text()) == (0, f"{chosen}\n"), done.stderr


@pytest.mark.parametrize(
    ("told", "code", "by"),
    [
        ("", 0, ["uv"]),
        (ELSEWHERE.replace("index", "extra-index"), 0, ["uv"]),
        ("", 1, ["uv", "pip"]),
        (ELSEWHERE, 0, ["pip"]),
        ("global.no-index='true'", 0, ["pip"]),
        (":env:.index-url='https://packages.example/simple'", 0, ["pip"]),
    ],
)
def test_uv_installs_where_it_knows_the_index_and_pip_where_uv_cannot(folder, told, code, by):
    environment(folder)
    assert installers(folder, told=told, code=code) == by
    assert (folder / ".venv-uv").exists() == ("uv" in by)
    assert make(folder, "clean").returncode == 0
    assert not (folder / ".venv-uv").exists()


def test_once_pip_is_told_of_another_index_the_uv_that_is_there_installs_nothing_more(folder):
    environment(folder)
    assert installers(folder, told="", code=0) == ["uv"]
    assert installers(folder, told=ELSEWHERE, code=0) == ["pip"]


@pytest.mark.parametrize(
    ("base", "uv", "told", "steps"),
    [
        (1, 1, "", ["base gets uv", "uv puts pip", "uv installs"]),
        (0, 1, "", ["ensurepip", "new gets uv", "uv installs"]),
        (1, 0, "", ["base gets uv", "ensurepip", "newer pip", "pip installs"]),
        (0, 0, "", ["ensurepip", "new gets uv", "newer pip", "pip installs"]),
        (1, 1, ELSEWHERE, ["ensurepip", "newer pip", "pip installs"]),
    ],
)
def test_a_new_environment_gets_its_pip_in_the_quickest_way_that_there_is(folder, base, uv, told, steps):
    python = folder / "python"
    python.write_text(WITHOUT_PIP.format(base=base, uv=uv, told=told))
    python.chmod(0o755)
    done = make(folder, "setup", python=python)
    assert done.returncode == 0, done.stderr
    names = {
        ("base", "--target .venv-uv"): "base gets uv",
        ("new", "--target .venv-uv"): "new gets uv",
        ("new", "-m ensurepip"): "ensurepip",
        ("new", " pip>=25"): "newer pip",
        ("new", "-e .[dev]"): "pip installs",
        ("uv", "bin/python pip"): "uv puts pip",
        ("uv", "-e .[dev]"): "uv installs",
    }
    called = (folder / "called").read_text().splitlines()
    assert steps == [
        step
        for line in called
        for (who, what), step in names.items()
        if line.startswith(who) and what in line
    ]


def installers(folder, *, told, code):
    """Who was to install the project: `told` is what pip is configured with, `code` how uv ends."""
    (folder / "called").unlink(missing_ok=True)
    (folder / ".venv" / "bin" / "python").write_text(HAS_UV.format(told=told, code=code))
    assert make(folder, "-B", "setup").returncode == 0
    called = (folder / "called").read_text().splitlines()
    installs = [line for line in called if line.endswith("-e .[dev]")]
    return ["uv" if line.startswith("uv ") else "pip" for line in installs]


def make_test(folder, target="test", *, code=0, lint=0):
    """`make test`, or another target, where the tests and the lint end with these codes."""
    environment(folder)
    for name in ("python", "ruff", "mypy"):
        program = folder / ".venv" / "bin" / name
        program.write_text(TESTS.format(code=code, lint=lint))
        program.chmod(0o755)
    return make(folder, target)


@pytest.mark.parametrize("target", ["test", "check"])
@pytest.mark.parametrize(("code", "lint"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_it_passes_only_where_both_the_tests_and_the_lint_do(folder, target, code, lint):
    assert (make_test(folder, target, code=code, lint=lint).returncode == 0) == (code == lint == 0)


@pytest.mark.parametrize(("code", "kept"), [(0, False), (1, True), (2, False)])
def test_what_the_tests_wrote_in_memory_stays_there_only_when_one_failed(folder, code, kept):
    done = make_test(folder, code=code)
    assert (done.returncode == 0, (folder / "in-memory").exists()) == (code == 0, kept), done.stderr
    assert (f"what the failed tests wrote: {folder}/in-memory" in done.stdout) == kept


def test_a_place_without_room_is_not_taken(tmp_path):
    def told(kilobytes: int):
        path = tmp_path / "meminfo"
        path.write_text(f"MemTotal:  99999999 kB\nMemAvailable:  {kilobytes} kB\n")
        return path

    enough = 2 * ROOM // 1024
    assert not roomy(tmp_path, told(enough - 1))
    assert not roomy(tmp_path / "nowhere", told(enough))
    assert not roomy(tmp_path, tmp_path / "nothing")
    assert roomy(tmp_path, told(enough)) == (shutil.disk_usage(tmp_path).free >= ROOM)
