"""The lock: one job at a time, released by death, and the way past a job that hangs."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from spxarb import lock
from spxarb.errors import Exit, LockedError, RefusedError
from spxarb.lock import Holder, holder, job_lock, process_start, terminate_holder

HOLD = """
import signal, sys, time
from pathlib import Path
{ignore}
from spxarb.lock import job_lock
with job_lock(Path(sys.argv[1]), command="enter", timeout=5):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_job(path, *, ignore_term=False):
    """A real process that holds the lock until its stdin is closed."""
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if ignore_term else ""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(ignore=ignore), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(timeout=10)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "trading.db.lock"


def held(path) -> bool:
    try:
        with job_lock(path, command="probe", timeout=0):
            return False
    except LockedError:
        return True


def test_the_holder_is_named_while_the_lock_is_held_and_forgotten_after(path):
    with job_lock(path, command="monitor", timeout=1):
        found = holder(path)
        assert found is not None
        assert (found.pid, found.command) == (os.getpid(), "monitor")
        assert found.started == process_start(os.getpid())
    assert holder(path) is None
    assert not held(path)


def test_the_lock_is_readable_by_its_owner_alone_in_a_folder_of_its_owner_alone(path):
    with job_lock(path, command="monitor", timeout=1):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_second_job_gives_up_in_time_and_names_the_first(path):
    with another_job(path) as first:
        with pytest.raises(LockedError) as caught, job_lock(path, command="monitor", timeout=0.12):
            pass
        assert caught.value.exit_code == Exit.LOCKED
        assert f"`enter` (process {first.pid}" in str(caught.value)


def test_two_locks_exclude_each_other_within_one_process_too(path):
    with job_lock(path, command="a", timeout=0):
        assert held(path)


def test_a_waiting_job_goes_on_as_soon_as_the_holder_has_finished(path):
    waits: list[Holder | None] = []
    with another_job(path) as first:

        def on_wait(who):
            waits.append(who)
            threading.Timer(0.12, first.stdin.close).start()

        with job_lock(path, command="monitor", timeout=10, on_wait=on_wait):
            assert holder(path).command == "monitor"
    assert [who.pid for who in waits] == [first.pid]


def test_without_a_wait_nobody_is_told_of_one(path):
    with job_lock(path, command="monitor", timeout=0, on_wait=lambda _: pytest.fail("there was no wait")):
        assert holder(path).command == "monitor"


def test_a_killed_holder_leaves_no_lock_behind_though_its_signature_stays(path):
    with another_job(path) as first:
        first.send_signal(signal.SIGKILL)
        first.wait(timeout=10)
        assert json.loads(path.read_text())["pid"] == first.pid
        assert holder(path) is None
        assert not held(path)


def test_a_child_that_outlives_its_parent_does_not_keep_the_lock(path):
    with job_lock(path, command="monitor", timeout=0):
        child = subprocess.Popen(["sleep", "30"], close_fds=False)
    try:
        assert not held(path)
    finally:
        child.kill()
        child.wait()


def test_the_lock_is_freed_when_the_job_fails(path):
    def fail():
        with job_lock(path, command="monitor", timeout=0):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not held(path)


def test_a_removed_lock_file_does_not_let_a_waiting_job_lock_a_nameless_one(path):
    waiting, entered = threading.Event(), threading.Event()

    def second():
        with job_lock(path, command="second", timeout=10, on_wait=lambda _: waiting.set()):
            if json.loads(path.read_text())["command"] == "second":
                entered.set()

    with job_lock(path, command="first", timeout=0):
        thread = threading.Thread(target=second, daemon=True)
        thread.start()
        assert waiting.wait(10)
        path.rename(path.with_name("old"))
    thread.join(10)
    assert entered.is_set()


def test_a_lock_on_a_file_that_was_replaced_meanwhile_is_no_lock(path):
    path.parent.mkdir()
    handle = lock._open(path)
    try:
        assert lock._still_there(handle, path)
        path.unlink()
        assert not lock._still_there(handle, path)
        path.write_text("")
        assert not lock._still_there(handle, path)
    finally:
        os.close(handle)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"pid": 1}',
        '{"pid": "x", "command": 1, "since": 2, "started": 3}',
        "\x00\x00",
        '{"pid": 1, "c',
    ],
)
def test_rubbish_in_the_file_names_nobody_and_locks_nobody_out(path, text):
    path.parent.mkdir()
    path.write_text(text)
    assert holder(path) is None
    assert not held(path)


@pytest.mark.parametrize("content", [b"SQLite format 3\0rows", b"[]", b"null", b"notes\n", b"\0\xff"])
def test_a_file_that_is_no_lock_is_refused_and_stays_as_it_is(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with (
        pytest.raises(RefusedError, match="it is not a lock of spxarb"),
        job_lock(path, command="x", timeout=0),
    ):
        pass
    assert path.read_bytes() == content


def test_a_reused_process_id_is_not_taken_for_the_holder(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"pid": os.getpid(), "command": "enter", "since": "", "started": 1}))
    assert holder(path) is None
    assert terminate_holder(path, 0) is None


def test_a_place_that_cannot_hold_a_lock_is_refused(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    for place in (blocked / "trading.db.lock", tmp_path):
        with pytest.raises(RefusedError) as caught, job_lock(place, command="x", timeout=0):
            pass
        assert str(place) in str(caught.value)


def test_a_symbolic_link_is_not_followed(path, tmp_path):
    path.parent.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)
    with pytest.raises(RefusedError), job_lock(path, command="x", timeout=0):
        pass
    assert victim.read_text() == "precious"


# --- panic passes ----------------------------------------------------------------------------------


def test_a_holder_that_obeys_is_ended_by_sigterm(path):
    with another_job(path) as first:
        ended = terminate_holder(path, grace=10)
        assert ended is not None
        assert ended.pid == first.pid
        assert first.wait(timeout=10) == -signal.SIGTERM
        assert not held(path)


def test_a_holder_that_does_not_obey_is_killed_after_the_grace(path):
    with another_job(path, ignore_term=True) as first:
        assert terminate_holder(path, grace=0.05).pid == first.pid
        assert first.wait(timeout=10) == -signal.SIGKILL
        assert not held(path)


def test_where_nobody_holds_the_lock_nobody_is_ended(path):
    assert terminate_holder(path, 0) is None
    with job_lock(path, command="x", timeout=0):
        pass
    assert terminate_holder(path, 0) is None


def test_a_process_that_is_not_spxarb_is_never_touched(path):
    path.parent.mkdir()
    stranger = subprocess.Popen(["sleep", "30"])
    try:
        signature = {
            "pid": stranger.pid,
            "command": "enter",
            "since": "now",
            "started": process_start(stranger.pid),
        }
        path.write_text(json.dumps(signature))
        with pytest.raises(LockedError, match="was not terminated: it is not spxarb"):
            terminate_holder(path, 0)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_holder_whose_start_is_unknown_is_never_touched(path):
    with another_job(path) as first:
        signature = json.loads(path.read_text()) | {"started": None}
        path.write_text(json.dumps(signature))
        with pytest.raises(LockedError, match="start time does not match"):
            terminate_holder(path, 0)
        assert first.poll() is None


def test_a_job_does_not_end_itself(path):
    with job_lock(path, command="close-all", timeout=0), pytest.raises(LockedError, match="this job itself"):
        terminate_holder(path, 0)


def test_a_disk_that_takes_no_signature_keeps_nobody_from_the_lock(path, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with job_lock(path, command="spxarb monitor", timeout=0):
        assert holder(path) is None
        with pytest.raises(LockedError), job_lock(path, command="spxarb enter", timeout=0):
            pass
