"""Workers that are forked by one process which has collected the tests: the same tests run, and fail, as without it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from warm_starts import possible

from tests.markdown import ROOT
from tests.nursery import MANY

needs_forks = pytest.mark.skipif(
    not possible(), reason="starts are cold here: COLD_STARTS, or another system than Linux"
)
ITSELF = "tests/test_nursery.py::test_this_worker_is_as_any_other_and_of_many_forked_by_who_has_collected"


@needs_forks
def test_this_worker_is_as_any_other_and_of_many_forked_by_who_has_collected():
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))
    if not count:
        pytest.skip("there are no workers in this run: the next test starts some")
    parent = Path(f"/proc/{os.getppid()}/cmdline").read_text().split("\0")
    assert (str(ROOT / "tests" / "nursery.py") in parent) is (count >= MANY), parent
    assert os.environ["PYTEST_XDIST_WORKER"].startswith("gw")
    assert (Path.cwd(), Path("/proc/self/fd/0").readlink()) == (ROOT, Path(os.devnull))


def pytest_by(workers: int, *files: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PYTEST_", "SPXARB_"))}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-m",
            "not outside",
            "-p",
            "no:cacheprovider",
            "-n",
            str(workers),
            *files,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=ROOT,
        env={**kept, **more},
    )


@needs_forks
@pytest.mark.outside
def test_two_workers_are_started_each_for_itself():
    done = pytest_by(MANY - 1, ITSELF)
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), (done.stdout, done.stderr)


@needs_forks
@pytest.mark.outside
def test_where_it_does_not_come_up_each_worker_is_started_for_itself(tmp_path):
    """A plugin that kills it: everything runs all the same."""
    (tmp_path / "plugin.py").write_text("import os, sys\nif 'nursery.py' in sys.argv[0]: os._exit(1)\n")
    done = pytest_by(MANY, "tests/core/test_run_gaps.py", PYTHONPATH=str(tmp_path), PYTEST_PLUGINS="plugin")
    assert "each worker imports the tests itself" in done.stderr
    assert (done.returncode, " passed" in done.stdout) == (0, True), done.stdout


@needs_forks
@pytest.mark.outside
def test_what_fails_is_told_as_ever(tmp_path):
    (tmp_path / "test_broken.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "test_wrong.py").write_text("def test_it():\n    assert 1 == 2\n")
    broken = pytest_by(MANY, tmp_path / "test_broken.py")
    assert "No module named 'nothing_of_that_name'" in broken.stdout, (broken.stdout, broken.stderr)
    wrong = pytest_by(MANY, ITSELF, tmp_path / "test_wrong.py")
    assert ("assert 1 == 2" in wrong.stdout, "1 failed, 1 passed" in wrong.stdout) == (True, True), (
        wrong.stdout
    )
    assert (broken.returncode, wrong.returncode) == (1, 1)


COLLECTED = """\
import os
import pytest

TAKEN = {taken}

@pytest.mark.parametrize("number", [1, 2])
def test_what_was_collected_is_this_workers_own(request, pytestconfig, tmp_path, made, number):
    assert pytestconfig.workerinput["workerid"] == os.environ["PYTEST_XDIST_WORKER"]
    assert {{node.config for node in request.node.listchain()}} == {{pytestconfig}} == {{request.session.config}}
    assert os.environ["PYTEST_XDIST_WORKER"] in str(tmp_path)
    assert made == (os.getpid(), "begun")
    assert ("perform_collect" in vars(request.session)) is TAKEN
"""
CONFTEST = """\
import os
import pytest

begun = []

def pytest_runtest_setup(item):
    item.stash_of_conftest = True

@pytest.fixture(scope="session", autouse=True)
def begin():
    begun.append("begun")
    yield
    begun.clear()

@pytest.fixture
def made(request):
    assert request.node.stash_of_conftest
    return os.getpid(), *begun
"""


@pytest.fixture
def tests(tmp_path):
    """Tests below a folder with a conftest of its own; a test passes if its worker was given what was collected."""
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "conftest.py").write_text(CONFTEST)
    (tmp_path / "below" / "test_taken.py").write_text(COLLECTED.format(taken=True))
    (tmp_path / "below" / "test_alone.py").write_text(COLLECTED.format(taken=False))
    return tmp_path


@needs_forks
@pytest.mark.outside
def test_each_worker_goes_on_with_what_was_collected_as_if_it_had_done_so_itself(tests):
    done = pytest_by(MANY, ITSELF, tests / "below" / "test_taken.py")
    assert (done.returncode, "3 passed" in done.stdout) == (0, True), done.stdout


@needs_forks
@pytest.mark.outside
@pytest.mark.parametrize("how", ["it ignores a file", "a module skips itself", "a module is broken"])
def test_what_is_not_collected_for_all_each_worker_collects_and_tells_itself(tests, how):
    ignored = [f"--ignore={tests / 'below' / 'test_taken.py'}"] if "ignores" in how else []
    broken = {
        "a module skips itself": "import pytest\npytest.skip('not here', allow_module_level=True)\n",
        "a module is broken": "import nothing_of_that_name\n",
    }
    (tests / "below" / "test_taken.py").write_text(broken.get(how, "def test_ignored():\n    assert False\n"))
    words = "-rs", "--continue-on-collection-errors", "-k", "workers_own or ignored", *ignored
    done = pytest_by(MANY, ITSELF.partition("::")[0], tests, *words)
    assert ("2 passed" in done.stdout, "failed" in done.stdout) == (True, False), done.stdout
    assert ("not here" in done.stdout, "nothing_of_that_name" in done.stdout) == (
        "skips" in how,
        "broken" in how,
    )
    assert done.returncode == ("broken" in how)
