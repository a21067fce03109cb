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
from tests import not_linux

HOLD = """
import os, select, signal, sys
from pathlib import Path
from spxarb import lock
{before}
with lock.job_lock(Path(sys.argv[1]), command="enter", timeout=5):
    print("held", flush=True)
    while not select.select([sys.stdin], [], [], 0.1)[0]:  # of a signal just before a wait Python tells after it
        pass
"""
IGNORES = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
LETS_GO = "signal.signal(signal.SIGTERM, lambda *_: os.close(lock._HELD.pop()))"

OPENED = "file = open(path)"
FLOCKED = "file = open(path, 'a'); fcntl.flock(file, fcntl.LOCK_EX)"
READS = "file = open(path); fcntl.lockf(file, fcntl.LOCK_SH)"
EDITS = "file = open(path, 'r+'); fcntl.lockf(file, fcntl.LOCK_EX)"
INHERITED = (
    FLOCKED
    + """
if os.fork():
    os._exit(0)
"""
)
"""What strangers do with a lock file; the last is a child that has the lock of its parent."""


@contextmanager
def running(code, path, *words, hidden=()):
    """A real process that says when it is ready, and stays until its stdin is closed."""
    process = subprocess.Popen(
        [*hidden, sys.executable, "-c", code, str(path), *words],
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


def another_job(path, before=""):
    """A real process that holds the lock."""
    return running(HOLD.format(before=before), path)


def stranger(what, path):
    """A process with the program's name in its command line that does something with the file."""
    path.parent.mkdir(exist_ok=True)
    path.touch()
    code = f"import fcntl, os, sys\npath = sys.argv[1]\n{what}\nprint('held', flush=True)\nsys.stdin.read()"
    return running(code, path, "notes-on-spxarb.md")


def sign(path, pid, started):
    """Write down who holds the lock; whether he does is another matter."""
    signature = {"pid": pid, "command": "spxarb enter", "since": "now", "started": started}
    path.write_text(json.dumps(signature))


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
    with another_job(path, IGNORES) as first:
        assert terminate_holder(path, grace=0.05).pid == first.pid
        assert first.wait(timeout=10) == -signal.SIGKILL
        assert not held(path)


def test_where_nobody_holds_the_lock_nobody_is_ended(path):
    assert terminate_holder(path, 0) is None
    with job_lock(path, command="x", timeout=0):
        pass
    assert terminate_holder(path, 0) is None


def test_a_holder_that_is_stopped_is_killed_after_the_grace(path):
    with another_job(path, "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))") as first:
        first.send_signal(signal.SIGSTOP)
        assert terminate_holder(path, grace=0.05).pid == first.pid
        assert first.wait(timeout=10) == -signal.SIGKILL
        assert not held(path)


def test_a_holder_that_lets_go_is_left_to_end_by_itself(path):
    """It may be telling a human: only the lock was in the way."""
    with another_job(path, LETS_GO) as first:
        assert terminate_holder(path, grace=10).pid == first.pid
        assert not held(path)
        assert first.poll() is None


def test_a_zombie_holds_nothing(path):
    with another_job(path) as first:
        first.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
        assert holder(path) is None
        assert terminate_holder(path, 0) is None
        assert not held(path)


# --- the kernel's word -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "{", "\x00\xff", "[" * 100_000, '{"pid": 1, "command": "init", "since": "", "started": 1}']
)
def test_a_holder_is_proven_by_its_lock_whatever_the_text_says(path, text):
    with another_job(path) as first:
        path.write_text(text)
        assert holder(path) == Holder(first.pid, "spxarb", "", process_start(first.pid))
        assert str(holder(path)) == f"`spxarb` (process {first.pid})"
        assert terminate_holder(path, 10).pid == first.pid
        assert first.wait(timeout=10) == -signal.SIGTERM


def test_a_holder_whose_start_is_unknown_is_proven_by_its_lock(path):
    with another_job(path) as first:
        sign(path, first.pid, None)
        assert holder(path).command == "spxarb enter"
        assert terminate_holder(path, 10).pid == first.pid


def test_a_holder_that_no_record_lock_names_is_proven_by_its_flock_and_its_start(path):
    """One that took none."""
    with stranger(FLOCKED, path) as first:
        sign(path, first.pid, 1)
        with pytest.raises(LockedError, match="nothing was signalled"):
            terminate_holder(path, 0)
        sign(path, first.pid, process_start(first.pid))
        assert holder(path).command == "spxarb enter"
        assert terminate_holder(path, 10).pid == first.pid
        assert first.wait(timeout=10) == -signal.SIGTERM


@pytest.mark.parametrize("what", [READS, EDITS], ids=["a reader", "an editor"])
def test_a_program_that_locks_the_file_in_its_own_way_hides_no_holder(path, what):
    """The record lock is beside the file then, as on systems where the flock itself is in its way."""
    with stranger(what, path) as other:
        with another_job(path) as first:
            assert holder(path).pid == first.pid
            assert holder(path).command == "enter"
            assert terminate_holder(path, 10).pid == first.pid
            assert first.wait(timeout=10) == -signal.SIGTERM
        assert not held(path)
        assert other.poll() is None
    assert stat.S_IMODE(path.with_name("trading.db.lock.holder").stat().st_mode) == 0o600


def test_the_holder_of_a_file_that_had_the_name_before_is_not_that_of_the_lock(path):
    with stranger(READS, path), another_job(path) as first:
        path.rename(path.with_name("old"))
        with stranger(FLOCKED, path) as second:
            assert holder(path) is None
            with pytest.raises(LockedError, match="nothing was signalled"):
                terminate_holder(path, 0)
            assert (first.poll(), second.poll()) == (None, None)


def test_asking_who_holds_the_lock_does_not_undo_the_holders_own_proof(path):
    """A record lock is gone with any descriptor of the file that its process closes."""
    code = HOLD.replace(
        'print("held"', 'lock.holder(Path(sys.argv[1])); lock._free(Path(sys.argv[1])); print("held"'
    )
    with running(code.format(before=""), path) as first:
        path.write_text("")
        assert holder(path).pid == first.pid


# --- without /proc and pidfds ------------------------------------------------------------------------

CLOSER = """
import sys
from pathlib import Path
from spxarb.errors import LockedError
from spxarb.lock import terminate_holder
{after}
try:
    print(terminate_holder(Path(sys.argv[1]), 0.2))
except LockedError as error:
    print(error)
"""


def terminated_elsewhere(path, after="") -> str:
    """What `terminate_holder` says where Linux is hidden from it."""
    not_linux.required()
    command = [*not_linux.BEFORE, sys.executable, "-c", CLOSER.format(after=after), str(path)]
    environment = {**os.environ, **not_linux.ENVIRONMENT}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("before", "number"), [("", signal.SIGTERM), (IGNORES, signal.SIGKILL)], ids=["obeys", "does not"]
)
@pytest.mark.parametrize("other", [OPENED, READS], ids=["its own record lock", "one beside it"])
def test_a_holder_is_proven_and_ended_without_proc_and_pidfds(path, before, number, other):
    with stranger(other, path) as reader:
        with another_job(path, before) as first:
            assert terminated_elsewhere(path).startswith(f"`enter` (process {first.pid}, since ")
            assert first.wait(timeout=10) == -number
        assert terminated_elsewhere(path) == "None\n"
        assert reader.poll() is None


def test_a_stranger_is_not_signalled_without_proc_and_pidfds(path):
    with stranger(FLOCKED, path) as other:
        for started in (process_start(other.pid), None):
            sign(path, other.pid, started)
            assert "nothing was signalled" in terminated_elsewhere(path)
        assert other.poll() is None


def test_where_the_system_names_no_holder_nothing_is_signalled_and_the_line_says_so(path):
    with another_job(path) as first:
        said = terminated_elsewhere(path, after="sys.platform = 'sunos5'")
        assert said.count("\n") == 1
        assert f"The lock {path} is held by a process that is not proven" in said
        assert "nothing was signalled" in said
        assert first.poll() is None


OF_ITS_OWN = ("unshare", "--pid", "--fork", "--kill-child", "--")
NAMESAKE = """
import os, sys, time
from pathlib import Path
try:
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(int(sys.argv[2]) - 1))
except OSError as error:
    sys.exit(f"NOT RUN: {error}")
namesake = os.fork()
if not namesake:
    time.sleep(60)
"""
"""Another process with the id of the holder, in a namespace that has its own ids and the /proc of the machine."""


@pytest.mark.skipif(os.getuid() != 0, reason="only root has a namespace of processes without one of users")
def test_a_namesake_in_another_namespace_of_processes_is_not_signalled(path):
    code = NAMESAKE + CLOSER.format(after="") + "print(os.waitpid(namesake, os.WNOHANG), namesake)"
    with another_job(path) as first:
        command = [*OF_ITS_OWN, sys.executable, "-c", code, str(path), str(first.pid)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(
                f"NOT RUN: this machine gives nobody a namespace of processes ({done.stderr.strip()})"
            )
        assert "nothing was signalled" in done.stdout
        assert done.stdout.endswith(f"(0, 0) {first.pid}\n")
        assert first.poll() is None


# --- strangers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [OPENED, READS, EDITS], ids=["has it open", "reads it", "edits it"])
def test_a_stranger_who_does_not_hold_the_lock_is_never_signalled(path, what):
    with stranger(what, path) as other:
        for named in (other.pid, os.getppid(), 2**31 - 1):
            sign(path, named, process_start(named))
            assert holder(path) is None
            assert terminate_holder(path, 0) is None
        with another_job(path) as first:
            sign(path, other.pid, process_start(other.pid))
            assert terminate_holder(path, 10).pid == first.pid
        assert other.poll() is None


@pytest.mark.parametrize("what", [FLOCKED, INHERITED], ids=["locks it", "has inherited it"])
def test_a_stranger_who_locks_the_file_himself_is_not_signalled_and_a_line_says_so(path, what):
    keeps_its_id = "\nopen(path + '.pid', 'w').write(str(os.getpid()))"
    with stranger(OPENED, path) as named, stranger(what + keeps_its_id, path):
        other = int(path.with_name("trading.db.lock.pid").read_text())
        signatures = [(named.pid, process_start(named.pid)), (other, 1), (other, None)]
        if what is INHERITED:
            signatures.append((other, process_start(other)))
        for signature in signatures:
            sign(path, *signature)
            with pytest.raises(LockedError) as caught:
                terminate_holder(path, 0)
            assert "\n" not in str(caught.value)
            assert f"The lock {path} is held by a process that is not proven" in str(caught.value)
            assert "nothing was signalled" in str(caught.value)
        assert held(path)
        assert named.poll() is None
        assert process_start(other) is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT RUN: only root can start a holder of another user")
def test_a_holder_of_another_user_is_never_signalled(path):
    become = "os.setgid(65534); os.setuid(65534)"
    with running(HOLD.format(before="").replace("    print", f"    {become}\n    print"), path) as first:
        with pytest.raises(LockedError, match="it belongs to another user"):
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
        assert holder(path) == Holder(os.getpid(), "spxarb", "", process_start(os.getpid()))
        with pytest.raises(LockedError), job_lock(path, command="spxarb enter", timeout=0):
            pass
