"""A process that is forked by the warm parent is like one that was started anew, or it is started anew."""

from __future__ import annotations

import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from actions import lonely
from relay import free_port
from warm_starts import CLOCK, FilesUpTo, Parent, scripts, start

from spxarb.core.model import NEW_YORK

TELLS = """
import json, os, signal, sys, time
print(json.dumps({
    "words": sys.argv, "folder": os.getcwd(), "path": sys.path[0], "mine": os.environ.get("MINE"),
    "home": os.environ.get("HOME"), "zone": time.tzname[0], "heard": sys.stdin.read(), "name": __name__,
    "open": sorted(map(int, os.listdir("/proc/self/fd")))[:3], "beside": len(os.listdir("/proc/self/fd")),
    "signals": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)],
    "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "encoding": sys.stdout.encoding, "session": os.getsid(0) == os.getpid(),
}))
print("and this", file=sys.stderr)
sys.exit(7)
"""
WHOSE = """
import json, os, resource, sys
print(json.dumps({
    "user": os.getresuid(), "group": os.getresgid(), "groups": os.getgroups(), "bytes": sys.dont_write_bytecode,
    "owns": os.stat("/proc/self/fd").st_uid, "files": resource.getrlimit(resource.RLIMIT_FSIZE),
    "sees": os.access("/proc/self/environ", os.R_OK), "status": [
        line for line in open("/proc/self/status") if line.startswith("Cap")],
}))
"""
IMPORTED = "import sys; print('spxarb.jobs.enter' in sys.modules)"
SLEEPS = "import time; print('up', flush=True); time.sleep(60)"
ENDS = "import sys; sys.exit(int(sys.argv[1]))"
SENDS = """
import os, subprocess, sys
from spxarb.channels import Channel
from spxarb.notify import deliver
class Seen(subprocess.Popen):
    def __init__(self, *words, **options):
        super().__init__(*words, **options)
        parent = open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()[1]
        print("a child of the job:", int(parent) == os.getpid(), "of a session of its own:", os.getsid(self.pid) == self.pid)
subprocess.Popen = Seen
print(deliver([Channel("sink", {"url": "json://127.0.0.1:9/"})], "title", {"sink": "text"}))
print(type(Seen.__mro__[1]._execute_child).__name__, len(os.listdir("/proc/self/fd")))
"""
PRACTISES = """
import json, logging, os, signal, sys, threading, types
import warm_parent

CACHES = {("re", "_cache"), ("_strptime", "_regex_cache"), ("encodings", "_cache"), ("logging", "_handlerList"),
          ("asyncio.coroutines", "_iscoroutine_typecache"), ("platform", "_sys_version_cache")}

def state():
    found = {"environment": str(dict(os.environ)), "folder": os.getcwd(), "open": len(os.listdir("/proc/self/fd")),
             "signals": str([signal.getsignal(number) for number in range(1, 32)]),
             "threads": str(threading.enumerate())}
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger) and (logger.handlers or logger.level):
            found[f"log {logger.name}"] = str((logger.handlers, logger.level))
    for name, module in list(sys.modules.items()):
        for key, value in list(vars(module).items()) if isinstance(module, types.ModuleType) else ():
            if (name, key) in CACHES or name == "__main__":
                continue
            found[f"{name} {key}"] = seen(value)
            if isinstance(value, type) and str(value.__module__).startswith("spxarb"):
                found |= {f"{name} {key}.{part}": seen(own) for part, own in list(vars(value).items())}
    return found

def seen(value):
    if isinstance(value, (list, set, dict)):
        return type(value).__name__, len(value)
    return repr(value) if isinstance(value, (str, int, float, tuple, frozenset, type(None))) else id(value)

warm_parent.imported()
before = state()
codes, _ = warm_parent.practise()
warm_parent.practise_as_gateway()
after = state()
print(set(codes), file=sys.stderr)
print(json.dumps([key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]))
"""
AHEAD_HOURS = -7000
HOURS = """
import json, os, subprocess, sys, time
import datetime as module
from datetime import UTC, date, datetime
import ib_insync.decoder, requests.sessions, spxarb.lock, spxarb.logs, spxarb.trading.context

def ahead(seconds):
    return round((seconds - time.clock_gettime(time.CLOCK_REALTIME)) / 3600)

seen = module, ib_insync.decoder, spxarb.lock, spxarb.logs, spxarb.trading.context
shown = {one.__name__: one.datetime for one in seen}
seconds = time.time(), requests.sessions.preferred_clock(), datetime.today().timestamp()
made, aware = datetime.fromtimestamp(0, UTC) - module.timedelta(1), datetime.now(UTC)
match aware.astimezone():
    case datetime():
        matched = True
child = "import time, datetime; print(time.time(), datetime.datetime.now().timestamp())"
told = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout
print(json.dumps({
    "local": {name: ahead(one.now().timestamp()) for name, one in shown.items()},
    "aware": {name: ahead(one.now(UTC).timestamp()) for name, one in shown.items()},
    "seconds": [*map(ahead, seconds)],
    "one": [one is datetime for one in shown.values()], "name": [datetime.__module__, datetime.__name__],
    "is": [isinstance(one, datetime) for one in (made, aware, datetime(1, 1, 1), date(1, 1, 1))],
    "types": [type(one).__name__ for one in (
        aware, made, datetime(1, 1, 1), datetime.fromisoformat("2026-02-10"),
        datetime.strptime("2026", "%Y"), module.datetime.combine(date(1, 1, 1), module.time()))],
    "matched": matched, "path": sys.path, "file": sys.modules["sitecustomize"].__file__,
    "environment": {name: os.environ.get(name) for name in ("PYTHONPATH", "MACHINE_CLOCK_AHEAD")},
    "child": [ahead(float(text)) for text in told.split()],
}))
"""
REAL = """
import gc, sitecustomize as set_by, sys, types
gc.unfreeze()
modules = {id(vars(one)): name for name, one in sys.modules.items() if isinstance(one, types.ModuleType)}
METHODS = {"now", "utcnow", "today", "fromtimestamp", "utcfromtimestamp"}

def kept(one, path):
    for part in gc.get_referents(one):
        tells = isinstance(part, types.BuiltinMethodType) and part.__self__ is set_by.real_datetime
        shows = part is set_by.real_datetime and id(one) in modules
        if part is set_by.real_time or shows or tells and part.__name__ in METHODS:
            print(modules.get(id(one)) or [type(one), *map(type, path)])
        elif not gc.is_tracked(part) and isinstance(part, (tuple, list, dict)):
            kept(part, [*path, one])

for one in gc.get_objects():
    if one is not globals():
        kept(one, [])
"""
FORKS = """
import os, subprocess, sys
forked, fork = [], os.fork
os.fork = lambda: forked.append("forked") or fork()
for module in ("spxarb.notify", "spxarb.ping"):
    with subprocess.Popen([sys.executable, "-P", "-m", module], stdin=subprocess.PIPE, env={}) as process:
        process.kill()
print(*forked)
"""
scripts.update({TELLS, SLEEPS, IMPORTED, ENDS, SENDS, WHOSE, HOURS, REAL, FORKS})
TOLD_APART = "# another text, which is not known and so is started anew\n"


def words(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def is_warm(**options: object) -> bool:
    done = subprocess.run(words(IMPORTED), capture_output=True, text=True, check=True, **options)  # type: ignore[call-overload]
    return bool(done.stdout == "True\n")


@pytest.fixture(autouse=True)
def _only_where_there_is_a_warm_parent() -> None:
    if not is_warm():
        pytest.skip("starts are cold here: COLD_STARTS, or another system than Linux")


@pytest.mark.parametrize("session", [False, True])
def test_a_warm_process_is_what_a_cold_one_is(tmp_path: Path, session):
    options = {
        "input": "read me\n",
        "capture_output": True,
        "text": True,
        "cwd": tmp_path,
        "env": {"MINE": "ü", "TZ": "Asia/Tokyo", "PATH": os.environ["PATH"], **python_variables()},
        "start_new_session": session,
    }
    warm, cold = (
        subprocess.run([*words(script), "--a word", "ü"], check=False, **options)
        for script in (TELLS, TOLD_APART + TELLS)
    )
    assert json.loads(warm.stdout) == json.loads(cold.stdout)
    assert (warm.returncode, warm.stderr) == (cold.returncode, cold.stderr) == (7, "and this\n")


NOBODY = {"user": 54321, "group": 54322, "extra_groups": []}


@pytest.mark.parametrize("other", [{}, NOBODY], ids=["itself", "another user"])
@pytest.mark.parametrize("size", [None, 20_000])
def test_a_warm_process_is_whose_a_cold_one_is_and_may_what_it_may(other, size):
    if other and os.geteuid():
        pytest.skip("only root can start a process as another user")
    options = {**other, "cwd": "/", "preexec_fn": size and FilesUpTo(size)}
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    warm, cold = (
        subprocess.run(words(script), capture_output=True, text=True, check=True, env=environment, **options)
        for script in (WHOSE, TOLD_APART + WHOSE)
    )
    assert warm.stdout == cold.stdout
    assert is_warm(**options, env=environment)
    assert json.loads(warm.stdout)["user"][1] == other.get("user", os.geteuid())
    assert (json.loads(warm.stdout)["files"][0] == size) is (size is not None)


def test_the_parents_own_practice_leaves_nothing_behind_but_caches(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "IB_PORT": "1"}
    done = subprocess.run(
        words(PRACTISES), capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    assert (done.returncode, json.loads(done.stdout or "0"), done.stderr) == (0, [], "{0}\n")


def test_alerts_of_a_warm_process_are_sent_by_a_process_as_those_of_a_cold_one(tmp_path):
    warm, cold = (
        subprocess.run(words(script), capture_output=True, text=True, check=True, cwd=tmp_path).stdout
        for script in (SENDS, TOLD_APART + SENDS)
    )
    assert warm == cold
    assert "a child of the job: True of a session of its own: True" in warm
    assert "Connection error" in warm


# --- with a clock that is set ------------------------------------------------------------------------------


def set_clock(hours: float = AHEAD_HOURS, path: object = CLOCK) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(path), "MACHINE_CLOCK_AHEAD": str(hours * 3600)}


def printed(script: str, **options: Any) -> str:
    done = subprocess.run(words(script), capture_output=True, text=True, check=True, **options)
    assert done.stderr == ""
    return done.stdout


def test_the_clock_of_a_warm_process_is_set_as_that_of_a_cold_one(tmp_path):
    options = {"cwd": tmp_path, "env": {**set_clock(), "TZ": "UTC"}}
    assert is_warm(**options)
    warm, cold = (json.loads(printed(script, **options)) for script in (HOURS, TOLD_APART + HOURS))
    assert warm == cold
    told = [*warm["seconds"], *warm["child"], *warm["local"].values(), *warm["aware"].values()]
    assert told == [AHEAD_HOURS] * 15
    assert (warm["one"], warm["is"]) == ([True] * 5, [True, True, True, False])
    assert (warm["path"][1], warm["file"]) == (str(CLOCK), str(CLOCK / "sitecustomize.py"))


def test_nothing_in_a_warm_process_keeps_the_clock_that_is_not_set(tmp_path):
    """But the C code, and what sets it."""
    kept = printed(REAL, cwd=tmp_path, env=set_clock()).split("\n")
    assert sorted(set(kept)) == ["", "_datetime", "sitecustomize"]


def test_a_sender_of_a_warm_process_has_the_machines_own_clock_as_one_of_a_cold_process(tmp_path):
    assert printed(FORKS, cwd=tmp_path, env=set_clock()) == "\n"
    assert printed(FORKS, cwd=tmp_path) == "forked forked\n"


def test_commands_under_a_set_clock_say_the_same_warm_as_cold(tmp_path):
    noon = datetime(2026, 2, 8, 12, tzinfo=NEW_YORK)  # of a Sunday: nothing is due within the hour
    clock = set_clock((noon - datetime.now(NEW_YORK)) / timedelta(hours=1))
    told = []
    for folder, options in ((tmp_path / "warm", {}), (tmp_path / "cold", {"preexec_fn": os.getpid})):
        folder.mkdir()
        stage = lonely(folder, free_port())
        said = ""
        for verb in (("stop", "--reason", "a look"), ("status", "--offline")):
            done = subprocess.run(
                stage.command(*verb),
                capture_output=True,
                text=True,
                check=True,
                cwd=folder,
                env=stage.environment(**clock),
                **options,
            )
            said += done.stdout + done.stderr
        lines = (folder / "trading.log").read_text().splitlines()
        assert {line[:12] for line in lines} == {"2026-02-08T1"}
        assert len(re.findall(r'"(?:at|since)": "2026-02-08T1', said)) == 4
        said = re.sub(r"T1\d:\d\d:\d\d\.\d+-05:00|\"port\": \d+", "", said)
        told.append((said.replace(str(folder), ""), len(lines)))
    assert told[0] == told[1]


def test_with_another_path_than_the_clock_alone_a_process_is_started_anew(tmp_path, monkeypatch):
    copy = tmp_path / "clock"
    shutil.copytree(CLOCK, copy)
    (tmp_path / "link").symlink_to(CLOCK)
    for path in (
        copy,
        tmp_path / "link",
        f"{CLOCK}/",
        f"{CLOCK}{os.pathsep}{tmp_path}",
        f"{CLOCK}{os.pathsep}",
        "",
    ):
        assert not is_warm(env=set_clock(path=path)), path
    assert not is_warm(env={**set_clock(), "PYTHONUTF8": "1"})
    assert is_warm(env=set_clock())
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert not is_warm(env=set_clock())


def python_variables() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name.startswith(("PYTHON", "LC_", "LANG"))}


def test_a_warm_process_can_be_waited_for_and_killed_as_a_child():
    with subprocess.Popen(words(SLEEPS), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
        process.kill()
        assert process.wait(timeout=30) == -signal.SIGKILL
        assert process.poll() == -signal.SIGKILL


def test_each_of_many_that_end_at_once_is_told_to_who_waits_for_it():
    many = [subprocess.Popen([*words(ENDS), str(code)]) for code in range(40)]
    with ThreadPoolExecutor(40) as threads:
        twice = [threads.submit(process.wait, 30) for process in (*many, *many)]
        assert [one.result() for one in twice] == [*range(40), *range(40)]


def test_a_module_is_run_with_its_words_as_a_cold_one_is():
    words = [sys.executable, "-m", "spxarb", "repot"]
    warm, cold = (
        subprocess.run(words, capture_output=True, text=True, check=False, **options)
        for options in ({}, {"preexec_fn": os.getpid})
    )
    assert (warm.returncode, warm.stdout, warm.stderr) == (cold.returncode, cold.stdout, cold.stderr)
    assert warm.returncode == 2
    assert "report" in warm.stderr
    assert "Traceback" not in warm.stderr


def test_what_a_fork_cannot_give_is_started_anew(tmp_path):
    assert not is_warm(preexec_fn=os.getpid)
    assert not is_warm(env=dict(os.environ, PYTHONUTF8="1"))
    assert not is_warm(pass_fds=[1])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        assert not is_warm()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(FileNotFoundError):
        subprocess.run(words(IMPORTED), check=False, cwd=tmp_path / "nowhere")
    assert is_warm()


def test_one_who_is_killed_before_he_was_answered_ends_the_parent_for_nobody_else(tmp_path):
    """As the workers of a run that is interrupted: a reset, where others end."""
    address = start(Path(__file__).parents[1] / "nursery.py", str(tmp_path))  # which is up sooner
    for seconds in (0, 60):  # before he was greeted; when he was, and has not read it
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as killed:
            killed.connect(address)
            select.select([killed], [], [], seconds)
    parent = Parent(address)
    order = {"words": ["-c", ENDS, "7"], "environment": dict(os.environ), "folder": "/", "session": False}
    _, ended = parent.child({**order, "safe": False, "user": None, "files_up_to": None}, [0, 1, 2])
    assert int.from_bytes(os.read(ended, 4), "little", signed=True) == 7
    os.close(ended)
