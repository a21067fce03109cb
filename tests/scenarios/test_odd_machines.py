"""A machine that lacks something: a home, a stream, space, the right to write. One line, the right code, nothing lost."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from actions import lonely
from harness import Done, read_object
from relay import free_port
from warm_starts import FilesUpTo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness import Stage

QUICK = {"connect_timeout_seconds": 0.4}
NOBODY = 54321
"""A user of whom the system knows nothing."""


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A folder that any user may enter; nothing listens at its port."""
    with tempfile.TemporaryDirectory() as name:
        made = lonely(Path(name), free_port())
        made.write_config(trading={"mode": "paper"}, execution=QUICK)
        yield made


def run(stage: Stage, *words: str, shell: str = "", before: Sequence[str] = (), **options: Any) -> Done:
    """One command without compiling anything; `shell`: what stands after it, such as a redirection."""
    command: list[str] = [*before, sys.executable, "-m", "spxarb", *words]
    if shell:
        command = ["/bin/sh", "-c", f'"$@" {shell}', "sh", *command]
    environment = stage.environment(PYTHONDONTWRITEBYTECODE="1", **options.pop("env", {}))
    environment = {name: text for name, text in environment.items() if text}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=stage.folder,
        env=environment,
        **options,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def one_line(done: Done, code: int, *words: str) -> None:
    assert done.code == code, (done.code, done.err, done.out)
    assert (done.err.count("\n"), "Traceback" in done.err) == (1, False), done.err
    for word in words:
        assert word in done.err


# --- streams ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("monitor",), ("close-all", "--yes"), ("doctor",), ("config",)])
def test_with_stderr_closed_nothing_but_the_object_is_on_stdout(stage, words):
    done = run(stage, *words, "--json", shell="2>&-")
    assert done.err == ""
    assert read_object(done.out)["exit_code"] == done.code
    assert done.out.count("\n") == 1


def test_with_stderr_closed_a_mistake_of_the_command_line_writes_nothing(stage):
    for words in (("entre",), ("close-all",), ("report", "--table", "days")):
        done = run(stage, *words, shell="2>&- <&-")
        assert (done.code, done.out, done.err) == (2, "", "")


def test_with_both_closed_the_exit_code_is_the_same_and_the_files_are_whole(stage):
    done = run(stage, "monitor", shell="<&- >&- 2>&-")
    assert (done.code, done.out, done.err) == (4, "", "")
    assert stage.sql("SELECT exit_code FROM runs") == [{"exit_code": 4}]
    assert stage.database.read_bytes()[:15] == b"SQLite format 3"
    assert "spxarb monitor:" not in (stage.folder / "trading.db.lock").read_text()
    one_line(
        run(stage, "status", "--offline", "--json", shell=">/dev/full"), 1, "could not be written to stdout"
    )


@pytest.mark.parametrize("columns", ["0", "00", "-5", "", "9" * 5000, "١٢", "1"])
def test_a_screen_is_drawn_whatever_columns_says(stage, columns):
    done = run(stage, "status", "--offline", env={"COLUMNS": columns})
    assert (done.code, done.err) == (0, "")
    assert "System" in done.out
    assert max(map(len, done.out.splitlines())) <= 500


# --- homes --------------------------------------------------------------------------------------------


@functools.cache
def _as_nobody() -> tuple[list[str], dict[str, Any]]:
    """What stands before a command, and how its process starts, so that it runs as a user whom the system does not know.

    In a name space of users of its own the same files stay readable; where that is not allowed root becomes that user.
    """
    ids = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--"]
    become: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    for before, options in ((ids, {}), ([], become)):
        command = [*before, sys.executable, "-c", "import os; print(os.geteuid())"]
        with suppress(OSError):
            told = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **options)
            if told.stdout.strip() == str(NOBODY):
                return before, options
    pytest.skip("this machine lets nobody run the program as a user whom the system does not know")


def stranger(stage: Stage, *words: str, **variables: str) -> Done:
    """A command of a user without a home and without an entry in the list of users."""
    before, options = _as_nobody()
    stage.folder.chmod(0o755)
    stage.config.chmod(0o644)
    if options:  # in a name space of its own it owns what this user owns
        os.chown(stage.folder, NOBODY, NOBODY)
    path = os.pathsep.join(filter(None, sys.path))
    return run(stage, *words, before=before, env={"HOME": "", "PYTHONPATH": path, **variables}, **options)


def test_without_a_home_the_ledgers_place_must_be_named_and_no_folder_is_made(stage):
    text = stage.config.read_text()
    stage.config.write_text(text[: text.index("storage:")] + "trading:\n  mode: paper\n")
    for words in (("monitor",), ("status", "--offline"), ("close-all", "--yes")):
        one_line(stranger(stage, *words), 3, "storage.database is not set", "no home folder")
    one_line(stranger(stage, "monitor", SPXARB_DATABASE="~/x.db"), 3, "SPXARB_DATABASE", "no home folder")
    assert [path.name for path in stage.folder.iterdir()] == ["config.yaml"]
    place = str(stage.folder / "state")
    assert stranger(stage, "monitor", STATE_DIRECTORY=place).code == 4
    assert (stage.folder / "state/paper/trading.db").exists()


# --- space and rights ---------------------------------------------------------------------------------


def test_without_space_for_the_ledger_a_job_refuses_and_the_next_one_goes_on(stage):
    done = run(stage, "monitor", preexec_fn=FilesUpTo(0))
    one_line(done, 5, "cannot be used", f"(the log {stage.folder / 'trading.log'} cannot be written)")
    one_line(run(stage, "monitor", preexec_fn=FilesUpTo(20_000)), 5, "cannot be used")
    assert run(stage, "monitor").code == 4
    before = stage.sql("SELECT * FROM runs")
    one_line(run(stage, "monitor", preexec_fn=FilesUpTo(4096)), 5, "cannot be used")
    one_line(run(stage, "stop", preexec_fn=FilesUpTo(4096)), 5, "cannot be used")
    assert stage.sql("SELECT * FROM runs") == before
    assert run(stage, "monitor").code == 4
    assert len(stage.sql("SELECT * FROM runs")) == len(before) + 1


@pytest.fixture
def mounted(stage) -> Iterator[Stage]:
    """The stage on a small file system of its own."""
    place = stage.folder / "disk"
    place.mkdir()
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    done = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(place)],
        check=False,
        capture_output=True,
    )
    if not done or done.returncode or unmount is None:
        pytest.skip("nothing can be mounted here")
    try:
        made = lonely(place, free_port())
        made.write_config(
            trading={"mode": "paper"}, execution=QUICK, logging={"console": False, "file": False}
        )
        yield made
    finally:
        subprocess.run([unmount, str(place)], check=True)


def test_a_full_disk_and_a_read_only_one_are_named(mounted):
    assert run(mounted, "monitor").code == 4
    filler = mounted.folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    one_line(run(mounted, "stop"), 5, "the disk is full", "Free some space")
    done = run(mounted, "doctor", "--json")
    (disk,) = [line for line in done["checks"] if line["name"] == "disk"]
    assert (disk["verdict"], "MB are free" in disk["message"]) == ("failed", True)
    filler.unlink()
    assert run(mounted, "stop").code == 0
    remount = [shutil.which("mount"), "-o", "remount,ro", str(mounted.folder)]
    if subprocess.run(remount, check=False, capture_output=True).returncode:
        pytest.skip("it cannot be made read-only here")
    one_line(
        run(mounted, "monitor", "--json"), 5, "its file system is mounted read-only", "Mount it writable"
    )
    done = run(mounted, "doctor", "--json")
    (disk,) = [line for line in done["checks"] if line["name"] == "disk"]
    assert "mounted read-only" in disk["message"]
    assert run(mounted, "log").code == run(mounted, "config").code == 0


# --- something else in a file's place -----------------------------------------------------------------


def test_a_pipe_or_a_folder_in_a_files_place_is_told_and_never_waited_for(stage):
    lock = stage.folder / "trading.db.lock"
    os.mkfifo(lock)
    one_line(run(stage, "monitor"), 5, "The lock", "it is not a regular file")
    assert "is not a regular file" in run(stage, "doctor").err
    lock.unlink()
    lock.mkdir()
    one_line(run(stage, "monitor"), 5, "The lock", "Is a directory")
    lock.rmdir()
    stage.database.unlink()
    os.mkfifo(stage.database)
    one_line(run(stage, "monitor"), 5, "it is not a regular file")
    stage.database.unlink()
    os.mkfifo(stage.folder / "dates.csv")
    stage.write_config(trading={"mode": "paper", "blackout_file": "dates.csv"}, execution=QUICK)
    assert run(stage, "monitor").code == 4
    assert "dates.csv cannot be read (it is not a regular file)" in run(stage, "doctor").err
