"""What spxarb starts of itself runs nobody else's code, gets no variable that it does not need, and lives apart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from actions import lonely
from relay import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(sys.executable).with_name("spxarb")
PLANTED = (
    *("spxarb/__init__.py", "spxarb/__main__.py", "spxarb/sim/__init__.py", "spxarb/notify.py"),
    *("sqlite3.py", "typing.py", "json.py", "socket.py", "yaml.py", "sitecustomize.py", "usercustomize.py"),
)


@pytest.fixture
def planted(tmp_path) -> Path:
    """A folder of somebody who waits for another to call spxarb in it."""
    folder = tmp_path / "planted"
    for name in PLANTED:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write(__file__ + '\\n')\n")
    (folder / ".env").write_text("IB_PORT=1\n")
    (folder / "config.yaml").write_text("ib: {port: 1}\n")
    return folder


def assert_nothing_ran(tmp_path: Path) -> None:
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def program() -> str:
    if not PROGRAM.exists():
        pytest.skip(f"LOUD: {PROGRAM} is not installed, so the command itself cannot be tried")
    return str(PROGRAM)


@pytest.fixture
def demo(planted) -> Iterator[subprocess.Popen[str]]:
    """A demonstration that was called in the planted folder; it is not waited for to its end."""
    secrets = {"SPXARB_NOTIFY_URL": "json://127.0.0.1:9/hush", "IB_PORT": "7", "MY_OWN_SECRET": "hush"}
    running = subprocess.Popen(
        [program(), "demo"],
        cwd=planted,
        env={**os.environ, **secrets},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGINT)
        running.communicate(timeout=30)


def children_of(pid: int) -> list[int]:
    with suppress(OSError):
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    return []


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="LOUD: no /proc to look into a process")
def test_a_demonstration_runs_nothing_of_the_folder_in_which_it_was_called(demo, planted, tmp_path):
    assert demo.stdout is not None
    seen: dict[str, tuple[str, set[str], int, list[str]]] = {}
    ended = time.monotonic() + 60
    while len(seen) < 2 and time.monotonic() < ended and demo.poll() is None:
        for child in children_of(demo.pid):
            with suppress(OSError):
                place = Path(f"/proc/{child}")
                words = place.joinpath("cmdline").read_text().split("\0")
                names = {text.partition("=")[0] for text in place.joinpath("environ").read_text().split("\0")}
                folder = str((place / "cwd").readlink())
                if "-m" in words:
                    mode = Path(folder).stat().st_mode & 0o777
                    seen[words[words.index("-m") + 1]] = (folder, names - {""}, mode, words)
    assert set(seen) == {"spxarb", "spxarb.sim"}, (seen, demo.poll())
    for folder, names, mode, words in seen.values():
        assert words[1] == "-P"
        assert Path(folder) != planted
        assert mode == 0o700
        assert not names & {"SPXARB_NOTIFY_URL", "IB_PORT", "MY_OWN_SECRET"}
        assert "hush" not in " ".join(words)
    while "entered trade" not in (line := demo.stdout.readline()):
        assert line, "it ended without an entry"
    assert_nothing_ran(tmp_path)


def test_the_process_that_sends_an_alert_runs_nothing_of_it_either(planted, tmp_path):
    """The probe stands in the process's own place: what it may import, and where it is, it writes down."""
    code = (
        "import json, subprocess, sys\n"
        "from spxarb import children\n"
        "with children.private_folder() as folder:\n"
        "    look = 'import json, os, sys, sqlite3, typing, yaml, spxarb; '\n"
        "    look += 'print(json.dumps([sys.path, os.getcwd(), os.stat(\".\").st_mode & 0o777, sorted(os.environ)]))'\n"
        "    words = [*children.python('x')[:2], '-c', look]\n"
        "    print(subprocess.run(words, capture_output=True, text=True, check=True, cwd=folder,\n"
        "        env=children.environment()).stdout)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=planted,
        env={**os.environ, "MY_OWN_SECRET": "hush", "SPXARB_NOTIFY_URL": "json://127.0.0.1:9/hush"},
    )
    path, folder, mode, names = json.loads(done.stdout)
    assert str(planted) not in path
    assert "" not in path
    assert (mode, folder == str(planted), Path(folder).exists()) == (0o700, False, False)
    assert not {"MY_OWN_SECRET", "SPXARB_NOTIFY_URL"} & set(names)
    assert_nothing_ran(tmp_path)


def test_an_alert_of_a_command_called_there_goes_out_and_runs_nothing_of_it(planted, tmp_path):
    stage = lonely(tmp_path, free_port())
    stage.write_config(
        notifications={"email_enabled": True, "email_address": "me@example.com", "smtp_host": "127.0.0.1"}
        | {"smtp_port": free_port()}
    )
    done = subprocess.run(
        [program(), "--config", str(stage.config), "doctor", "--send-test", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=planted,
        env=stage.environment(),
        timeout=60,
    )
    assert "Connection refused" in done.stdout
    assert_nothing_ran(tmp_path)
