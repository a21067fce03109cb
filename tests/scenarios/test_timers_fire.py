"""The timers really fire: systemd runs the jobs through a day under their full hardening, and tells of failures.

The machine of each test is booted for it (`machine.py`). A drop-in makes the timers fire every few seconds; what
a job does is decided by the clock of the simulated gateway, which the test moves.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import yaml
from actions import wait_until
from contract import DAY
from harness import read_object
from machine import HERE, Machine, booted, unfit
from machine_boot import GROUP

from spxarb.core.firings import JOBS
from spxarb.core.units import SENDING

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY = {"enter": "*:*:0/6", "monitor": "*:*:2/6", "settle": "*:*:4/6"}
"""When each timer fires instead: so often that a day is soon over, and hardly two at once."""
CAP_SYS_MODULE, CAP_SYS_TIME = 16, 25
"""linux/capability.h."""
NEVER = "2099-01-01"
CONTROL = "4011"
PYTHON = "/opt/spxarb/bin/python"
INTERPRETER = f"python{sys.version_info.major}.{sys.version_info.minor}"
STATE = "/var/lib/spxarb"
TIMERS = [f"spxarb-{job.name}.timer" for job in JOBS]
CONFIG_FILE = "/etc/spxarb/config.yaml"
LEDGER = f"{STATE}/sim/trading.db"
SECRET = "/etc/spxarb/notify-urls"
"""Root's alone: systemd hands it to the unit that sends alerts, and to no other."""
GATEWAY = f"""\
[Unit]
Description=The simulated gateway
[Service]
ExecStart=/usr/local/bin/spxarb sim --date {DAY} --regime rich-spy --at 09:40 --speed 0 --control {CONTROL}
"""
CONFIG = {
    "trading": {"mode": "sim", "max_spreads_per_day": 1},
    "execution": {"order_timeout_seconds": 1, "exit_rung_seconds": 0.5, "quote_timeout_seconds": 1},
    "notifications": {"email_enabled": True, "urls_file": SECRET},
}
LISTENER = """\
from http.server import BaseHTTPRequestHandler, HTTPServer
class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        print("heard:", self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
HTTPServer(("127.0.0.1", 8025), Receiver).serve_forever()
"""
"""What is sent to it, it tells the journal."""
ROWS = """\
import contextlib, json, sqlite3, sys, time
ledger, text, seconds = sys.argv[1:]
end, found = time.monotonic() + float(seconds), []
while True:
    with contextlib.suppress(sqlite3.OperationalError):
        with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            found = [dict(row) for row in db.execute(text)]
    if found or time.monotonic() >= end:
        break
    time.sleep(0.1)
print(json.dumps(found))
"""
"""Rows of a ledger, once there are some; none where within these seconds neither it nor such rows are there."""
AS_OWNER = ("setpriv", "--reuid=spxarb", "--regid=spxarb", "--clear-groups")


@pytest.fixture(scope="module")
def bootable(tmp_path_factory: pytest.TempPathFactory) -> None:
    if why := unfit(tmp_path_factory.mktemp("trial")):
        pytest.skip(f"NOT TESTED: no systemd can be booted here, so nobody sees the timers fire: {why}")


@pytest.fixture
def machine(bootable: None, tmp_path: Path) -> Iterator[Machine]:
    """One that has just booted."""
    with booted(tmp_path / "machine") as machine:
        yield machine


@pytest.fixture(scope="module")
def installed(bootable: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One with the timers installed, which fire when a test says so."""
    with booted(tmp_path_factory.mktemp("installed") / "machine") as machine:
        prepare(machine)
        for timer in TIMERS:
            fire(machine, timer, NEVER)
        spxarb(machine, "timers", "install")
        yield machine


# --- steps --------------------------------------------------------------------------------------------


def prepare(machine: Machine) -> None:
    """The user and the configuration, and no long waits."""
    machine.run("useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", "spxarb")
    machine.run("install", "-d", "-m", "0750", "-g", "spxarb", "/etc/spxarb")
    configure(machine, CONFIG)
    machine.write(SECRET, "json://127.0.0.1:8025/\n", 0o600)
    for verb in EVERY:
        drop_in(machine, f"spxarb-{verb}.service", "[Service]\nEnvironment=SPXARB_WAIT_SCALE=0.1\n")


def configure(machine: Machine, config: dict[str, Any]) -> None:
    """The configuration as the README says: written by root alone, read by the services' user."""
    machine.write(CONFIG_FILE, yaml.safe_dump(config), 0o640)
    machine.run("chown", "root:spxarb", CONFIG_FILE)


def spxarb(machine: Machine, *words: str, check: bool = True) -> dict[str, Any]:
    """What a command prints as JSON, run as root with the machine's configuration."""
    done = machine.run("spxarb", "--config", CONFIG_FILE, *words, "--json", check=check)
    return read_object(done.stdout)


def drop_in(machine: Machine, unit: str, text: str) -> None:
    machine.write(f"/etc/systemd/system/{unit}.d/test.conf", text)


def fire(machine: Machine, timer: str, when: str) -> None:
    """The timer shall fire then instead, once systemd has read it."""
    drop_in(machine, timer, f"[Timer]\nOnCalendar=\nOnCalendar={when}\n")


def start_gateway(machine: Machine) -> None:
    machine.write("/etc/systemd/system/gateway.service", GATEWAY)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "gateway")
    machine.wait("the gateway listens", lambda: machine.journal("--unit=gateway", "--grep=listening on"))


def at(machine: Machine, clock: str) -> None:
    """Move the gateway's clock to this time of its day."""
    machine.run("spxarb", "sim", "set-time", clock, "--control", CONTROL)


def rows(machine: Machine, text: str, seconds: float = 0) -> list[dict[str, Any]]:
    """Rows of the ledger, read by its owner; looked for again and again for so long, in one process."""
    look = (PYTHON, "-I", "-c", ROWS, LEDGER, text, str(seconds))
    return list(json.loads(machine.run(*AS_OWNER, *look, timeout=seconds + 60).stdout))


def await_rows(machine: Machine, what: str, text: str) -> None:
    machine.wait(what, lambda: rows(machine, text, machine.PATIENCE))


def ended(verb: str) -> str:
    return f"SELECT * FROM runs WHERE command = '{verb}' AND exit_code = 0"


# --- the machine itself -------------------------------------------------------------------------------


def processes_of(space: int) -> list[int]:
    """Who lives in this PID namespace; one that is dead and that nobody has waited for lives no more."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            inside = entry.name.isdigit() and (entry / "ns/pid").stat().st_ino == space
            if inside and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(int(entry.name))
    return found


def groups(folder: Path) -> set[str]:
    """The names of the control groups of machines, and what is below them."""
    script = f"mount -t cgroup2 cgroup2 {folder} && cd {folder} && find . -path '*{GROUP}*'"
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def mounts_and_settings(folder: Path) -> tuple[object, ...]:
    """What a machine that leaks would change of the one below."""
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(folder) in line]
    settings = [Path("/proc/sys", name).read_text() for name in ("fs/nr_open", "kernel/core_pattern")]
    return mounts, settings, socket.gethostname(), Path("/etc/machine-id").exists(), Path("/dev/null").stat()


def test_a_machine_changes_nothing_below_it_and_ends_with_its_test(bootable, tmp_path):
    before = mounts_and_settings(tmp_path)
    with ExitStack() as stack:
        old = [stack.enter_context(tempfile.NamedTemporaryFile(dir=place)) for place in ("/tmp", "/var/tmp")]
        for file in old:
            os.utime(file.name, (0, 0))
        machine = stack.enter_context(booted(tmp_path / "machine"))
        space = machine.process_space
        assert len(processes_of(space)) >= 2, "systemd and its journal"
        assert any(f"{GROUP}{machine.keeper}" in group for group in groups(tmp_path))
        assert not any(machine.path(file.name).exists() for file in old)
        machine.run("systemd-tmpfiles", "--create", "--remove", "--clean", "--boot", check=False)
        machine.run("hostname", "another")
        machine.run("touch", "/etc/made-inside", "/tmp/made-inside", "/root/made-inside", "/usr/made-inside")
        same = Path("/proc/sys/fs/nr_open").read_text().strip()
        assert machine.run("sysctl", "--write", f"fs.nr_open={same}", check=False).returncode != 0
        capabilities = int(machine.run("grep", "CapBnd", "/proc/1/status").stdout.split()[1], 16)
        assert not capabilities & (1 << CAP_SYS_TIME | 1 << CAP_SYS_MODULE)
        assert all(Path(file.name).exists() for file in old), "the cleaning inside emptied the one below"
    assert processes_of(space) == []
    assert not any(f"{GROUP}{machine.keeper}" in group for group in groups(tmp_path))
    assert mounts_and_settings(tmp_path) == before
    made = [f"/{place}/made-inside" for place in ("etc", "tmp", "root", "usr")]
    assert not any(Path(path).exists() for path in made)


@pytest.mark.parametrize("victim", ["the test", "the keeper"])
def test_nothing_of_a_machine_lives_on_when_its_test_or_its_keeper_is_killed(bootable, tmp_path, victim):
    script = (
        f"import sys, time; sys.path[:0] = {sys.path!r}\n"
        "from pathlib import Path; from machine import booted\n"
        f"with booted(Path({str(tmp_path / 'machine')!r})) as machine:\n"
        "    print(machine.keeper, machine.process_space, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as test:
        assert test.stdout is not None
        keeper, space = map(int, test.stdout.readline().split())
        assert processes_of(space)
        os.kill(test.pid if victim == "the test" else keeper, signal.SIGKILL)
        wait_until(lambda: not processes_of(space))
        test.kill()
    left = lambda: [group for group in groups(tmp_path) if f"{GROUP}{keeper}" in group]  # noqa: E731
    if victim == "the keeper":
        with booted(tmp_path / "the next"):  # which clears away what the killed one could not
            pass
    wait_until(lambda: not left())


def service(machine: Machine, name: str, program: str) -> None:
    """Start a service with this program."""
    machine.write(f"/usr/local/lib/{name}.py", program)
    unit = f"[Service]\nExecStart={PYTHON} -I /usr/local/lib/{name}.py\n"
    machine.write(f"/etc/systemd/system/{name}.service", unit)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", name)


# --- a day --------------------------------------------------------------------------------------------


def test_the_timers_trade_a_day_under_the_full_hardening(machine):
    prepare(machine)
    for verb, when in EVERY.items():
        fire(machine, f"spxarb-{verb}.timer", when)
    start_gateway(machine)
    service(machine, "listener", LISTENER)
    spxarb(machine, "timers", "install")
    await_rows(machine, "entered", "SELECT * FROM trades WHERE status = 'ACTIVE'")
    at(machine, "15:45")
    await_rows(machine, "exited", "SELECT * FROM trades WHERE status = 'CLOSED'")
    at(machine, "16:05")
    await_rows(machine, "settled", f"{ended('settle')} AND market_time LIKE '{DAY}T16:05%'")
    machine.run("systemctl", "stop", *TIMERS)
    machine.run("systemctl", "start", "spxarb-watchdog", "spxarb-alerts")  # they end well, or this fails
    (trade,) = rows(machine, "SELECT * FROM trades")
    assert (trade["exit_reason"], trade["final_pnl"], trade["entry_credit"]) == ("TIME", 626.47, 698.19)
    (day,) = rows(machine, "SELECT * FROM daily_summary")
    assert (day["trades_count"], day["net_pnl"]) == (1, 626.47)
    for verb in EVERY:
        assert rows(machine, ended(verb)), f"{verb} never ended well"
    assert_files_are_the_owners_alone(machine)
    assert_the_journal_has_the_day(machine)
    for alert in ("Entered: trade 1", "Exited trade 1"):
        heard = ("--unit=listener", f"--grep=heard.*{alert}")
        machine.wait(
            "the unit that has the secret sends the alert", lambda heard=heard: machine.journal(*heard)
        )


def assert_files_are_the_owners_alone(machine: Machine) -> None:
    for line in machine.run("find", STATE, "-printf", "%y %m %u %p\n").stdout.splitlines():
        kind, mode, user, path = line.split(" ", 3)
        assert (mode, user) == ("700" if kind == "d" else "600", "spxarb"), path


def assert_the_journal_has_the_day(machine: Machine) -> None:
    """Each line of a unit's log with the unit, the identifier and the priority that its level has."""
    for verb, told in {
        "enter": "Entry Routine decided: entered: trade 1",
        "monitor": "Monitoring Routine decided: closed trade 1 (TIME), P&L +$626.47",
        "settle": "1 trade, net $626.47, commissions $23.53",
    }.items():
        entries = machine.journal(f"--unit=spxarb-{verb}.service", "--identifier=spxarb")
        (entry, *_) = [entry for entry in entries if told in entry["MESSAGE"]]
        assert (entry["PRIORITY"], entry["_UID"] != "0") == ("6", True), entry
        assert not [entry for entry in entries if entry["MESSAGE"].startswith("<")], "its priority is in it"


# --- what is installed --------------------------------------------------------------------------------


def test_timers_and_doctor_know_what_is_installed_and_where_the_configuration_differs(installed):
    status = spxarb(installed, "timers")
    assert {unit["state"] for unit in status["units"]} == {"current"}
    assert status["disagreements"] == []
    assert [row["name"] for row in status["timers"]] == TIMERS
    assert all(row["enabled"] and row["active"] for row in status["timers"])
    assert timers_by_doctor(installed)["ok"] is True
    later = {**CONFIG["trading"], "entry_time": "09:50"}
    configure(installed, {**CONFIG, "trading": later})
    (told,) = spxarb(installed, "timers")["disagreements"]
    found = timers_by_doctor(installed)
    configure(installed, CONFIG)
    assert "fires 09:35 to 09:55" in told, told
    assert (found["ok"], told in found["message"]) == (None, True), found


def test_a_program_in_a_home_runs_too_and_nothing_else_of_the_home_is_seen(installed):
    """As with pipx: the environment of somebody whose home no other user may enter."""
    home, program = "/home/trader", "/home/trader/venv/bin/spxarb"
    for command in (
        f"mkdir --mode=0700 --parents {home} && touch {home}/diary",
        f"cp --archive --one-file-system /opt/spxarb {home}/venv",
        f"mount --bind /opt/spxarb/dependencies {home}/venv/dependencies",
        f"sed --in-place 's:/opt/spxarb:{home}/venv:' {program} {home}/venv/lib/*/site-packages/*.pth",
        "mv /usr/local/bin/spxarb /usr/local/bin/spxarb.away",
        f"{program} --config {CONFIG_FILE} timers install",
    ):
        installed.run("sh", "-c", command)
    installed.run("systemctl", "start", "spxarb-monitor", check=False)
    told = installed.journal("--unit=spxarb-monitor", f"_EXE=/opt/python/bin/{INTERPRETER}")
    assert any("Nothing listens at 127.0.0.1:4002" in entry["MESSAGE"] for entry in told)
    assert confined(installed, "spxarb-monitor.service", f"/usr/bin/ls {home}") == "venv"
    installed.run("mv", "/usr/local/bin/spxarb.away", "/usr/local/bin/spxarb")
    spxarb(installed, "timers", "install")


def timers_by_doctor(machine: Machine) -> dict[str, Any]:
    checks = spxarb(machine, "doctor", check=False)["checks"]
    (found,) = [row for row in checks if row["name"] == "timers"]
    return dict(found)


# --- what was missed ----------------------------------------------------------------------------------


def test_a_missed_settlement_is_made_up_for_and_a_missed_entry_is_not(installed):
    before = {verb: last_run(installed, verb) for verb in EVERY}
    earlier = datetime.now(UTC) - timedelta(hours=2)
    for verb in EVERY:
        fire(installed, f"spxarb-{verb}.timer", f"*-*-* {earlier:%H:%M}:00 UTC")
        installed.run("touch", "--date=3 days ago", f"/var/lib/systemd/timers/stamp-spxarb-{verb}.timer")
    timers = [f"spxarb-{verb}.timer" for verb in EVERY]
    installed.run("systemctl", "daemon-reload")
    installed.run("systemctl", "restart", *timers)
    installed.wait("settle starts", lambda: last_run(installed, "settle") != before["settle"])
    for timer in timers:
        fire(installed, timer, NEVER)
    installed.run("systemctl", "daemon-reload")
    for verb in ("enter", "monitor"):
        assert last_run(installed, verb) == before[verb]


def last_run(machine: Machine, verb: str) -> str:
    """What names the last start of the service by its timer or by hand."""
    return machine.run("systemctl", "show", "--value", "--property=InvocationID", f"spxarb-{verb}").stdout


# --- what a service cannot do, and who hears that one failed ------------------------------------------


MAY = {"write its state": "done", "write /tmp": "done", "reach the gateway": "ECONNREFUSED"}
"""What a service needs; nothing listens there in this test."""
MUST_NOT = {
    "write /etc": {"EROFS"},
    "write /usr/local/bin": {"EROFS", "EACCES"},
    "write /opt/spxarb": {"EROFS", "EACCES"},
    "write /var/lib": {"EROFS"},
    "list /root": {"EACCES"},
    "list /home": {"EACCES"},
    "read /etc/shadow": {"EACCES"},
    "see PID 1": {"ENOENT"},
    "read the kernel's symbols": {"ENOENT"},
    "open the console": {"ENOENT"},
    "make memory that is written and run": {"EPERM"},
    "run a program of its state": {"EACCES"},
    "run a program of /tmp": {"EACCES"},
    "make a program set-user-id": {"EPERM"},
    "mount": {"EPERM"},
    "make a user namespace": {"EPERM"},
    "set the host name": {"EPERM"},
    "change its personality": {"EPERM"},
    "run in real time": {"EPERM"},
    "open a packet socket": {"EAFNOSUPPORT"},
    "open a netlink socket": {"EAFNOSUPPORT"},
    "reach another host": {"EPERM", "ETIMEDOUT"},
}
"""What no service may, and the errors that stop it. A packet to another host is dropped."""
CONFINEMENT = {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2", "Umask": "0077"}
"""Of /proc/PID/status; of Seccomp 2 is a filter."""
CONFINED = "/usr/local/lib/confined.py"


def confined(machine: Machine, unit: str, command: str) -> str:
    """What this command tells the journal in the place of that of this unit, under the same restrictions."""
    text = machine.path(f"/etc/systemd/system/{unit}").read_text(encoding="utf-8")
    text = re.sub(r"^On(Failure|Success)=.*$", "", text, flags=re.MULTILINE)
    text, found = re.subn(r"^ExecStart=(.*\\\n)*.*$", f"ExecStart={command}", text, flags=re.MULTILINE)
    assert found == 1
    name = f"confined-{uuid4().hex}.service"
    machine.write(f"/etc/systemd/system/{name}", text)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", name)
    return "\n".join(entry["MESSAGE"] for entry in machine.journal(f"--unit={name}") if entry["_UID"] != "0")


@pytest.mark.parametrize("job", [job.name for job in JOBS])
def test_a_service_can_do_its_work_and_nothing_else(installed, job):
    installed.run("ip", "address", "replace", "192.0.2.1/32", "dev", "lo")
    installed.write(CONFINED, (HERE / "confined.py").read_text(encoding="utf-8"))
    free = json.loads(installed.run(PYTHON, "-I", CONFINED, "reach another host").stdout)
    assert free["tries"] == {"reach another host": "ECONNREFUSED"}, "it could be reached"
    seen = json.loads(confined(installed, f"spxarb-{job}.service", f"{PYTHON} -I {CONFINED}"))
    assert {what: seen["tries"].pop(what) for what in MAY} == MAY
    if job in SENDING:  # alerts go to hosts that are not known here
        assert seen["tries"].pop("reach another host") == "ECONNREFUSED"
    assert {what: how for what, how in seen["tries"].items() if how not in MUST_NOT[what]} == {}
    assert "0" not in seen["status"].pop("Uid").split()
    assert seen["status"] == CONFINEMENT
    assert written_and_run(seen["places"]) <= {"/dev/pts"}


def written_and_run(places: dict[str, str]) -> set[str]:
    """The mounts where something may be written and run: with what is written a service would be another."""
    options = {place: set(words.split(",")) for place, words in places.items()}
    return {place for place, words in options.items() if "rw" in words and "noexec" not in words}


def test_the_notifier_runs_nothing_from_where_it_may_write(installed):
    told = confined(installed, "spxarb-failed@.service", "/usr/bin/cat /proc/self/mountinfo")
    places = {line.split()[4]: line.split()[5] for line in told.splitlines()}
    assert "/usr" in places
    assert written_and_run(places) <= {"/dev/pts"}


# --- who hears of a failure ---------------------------------------------------------------------------


TERMINAL = """\
import os, struct
reads, writes = os.openpty()
line = os.ttyname(writes).removeprefix("/dev/").encode()
entry = struct.pack("hi32s4s32s256s", 7, os.getpid(), line, b"t", b"root", b"")  # USER_PROCESS, see utmp(5)
open("/run/utmp", "wb").write(entry.ljust(384, b"\\0"))
while True:
    for text in os.read(reads, 4096).decode().splitlines():
        print("seen:", text, flush=True)
"""
"""Somebody who is logged in, with a terminal that shows what is written to it."""


def test_who_is_to_hear_of_a_failure_hears_it_also_when_the_program_cannot_start(installed):
    machine = installed
    machine.write("/etc/spxarb/failed-urls", "http://127.0.0.1:8025/secret\n", 0o600)
    credential = "[Service]\nLoadCredential=failed-urls:/etc/spxarb/failed-urls\n"
    drop_in(machine, "spxarb-failed@.service", credential)
    service(machine, "listener", LISTENER)
    machine.run("systemctl", "start", "spxarb-monitor", check=False)  # there is no gateway
    told(machine, "spxarb-monitor.service", "exit-code 4", "address")
    service(machine, "terminal", TERMINAL)
    machine.run("mv", PYTHON, f"{PYTHON}.away")
    machine.run("systemctl", "start", "spxarb-enter", check=False)
    machine.run("mv", f"{PYTHON}.away", PYTHON)
    told(machine, "spxarb-enter.service", "exit-code 203", "terminals address")
    shown = ("--unit=terminal", "--grep=seen: .*spxarb-enter.service failed")
    machine.wait("a terminal shows it", lambda: machine.journal(*shown))


def told(machine: Machine, unit: str, why: str, by: str) -> None:
    """The journal has the failure at the priority of what is critical, and the address got it."""
    words = f"--unit=spxarb-failed@{unit}.service"
    (entry, *_) = machine.wait("it is told", lambda: machine.journal(words, f"--grep={unit} failed"))
    assert (why in entry["MESSAGE"], entry["PRIORITY"]) == (True, "2"), entry["MESSAGE"]
    heard = ("--unit=listener", f"--grep=heard.*{unit}.*{why}")
    machine.wait("the address was told", lambda: machine.journal(*heard))
    machine.wait("what was told", lambda: machine.journal(words, f"--grep=told by {by}"))
