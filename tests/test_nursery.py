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
