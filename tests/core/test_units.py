"""The units: what is shipped is what is rendered, systemd finds nothing wrong, and nothing stands open."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from spxarb import children, notify
from spxarb.config.load import Config
from spxarb.core import budgets, failed_unit
from spxarb.core.firings import JOBS, TimerTimes
from spxarb.core.units import SENDING, DefaultWaits, UnitValues, is_ours, is_unchanged, render_units, word
from tools.docs import units

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "systemd"
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze here")
SERVICES = sorted(path.name for path in FOLDER.glob("*.service"))
OF_JOBS = [f"spxarb-{job.name}.service" for job in JOBS]


def shipped(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def test_the_shipped_units_are_exactly_what_is_rendered_for_the_defaults():
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == units.files()


def test_the_defaults_of_the_units_are_those_of_the_configuration():
    config, waits = Config(), DefaultWaits()
    assert {name: getattr(config.execution, name) for name in DefaultWaits.__slots__} == {
        name: getattr(waits, name) for name in DefaultWaits.__slots__
    }
    assert TimerTimes() == TimerTimes(
        config.trading.entry_time, config.trading.entry_cutoff, config.trading.exit_check_time
    )
    assert UnitValues().max_spreads_per_day == config.trading.max_spreads_per_day


@needs_systemd
def test_systemd_finds_nothing_wrong_in_any_unit(tmp_path):
    program = tmp_path / "a folder" / "spx%arb"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    values = UnitValues(program=str(program), config="/etc/spx arb/50%.yaml", writable=("/srv/$HOME/a b",))
    rendered = render_units(values) | {"ib-gateway.service": shipped("ib-gateway.service")}
    for name, text in rendered.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [str(ANALYZE), "verify", *(str(tmp_path / name) for name in rendered)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_the_exposure_of_every_service_is_low(name):
    """0.9 where the network is this machine; 1.1 where alerts or IB's servers must be reached."""
    done = subprocess.run(
        [str(ANALYZE), "security", "--offline=true", "--threshold=15", str(FOLDER / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    exposure = float(re.findall(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)[0])
    assert exposure <= (
        0.9 if name in {f"spxarb-{verb}.service" for verb in ("enter", "monitor", "settle")} else 1.2
    )


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_each_restriction_by_name(name):
    lines = shipped(name).splitlines()
    wanted = [
        "CapabilityBoundingSet=",
        "AmbientCapabilities=",
        "PrivateUsers=yes",
        "PrivateDevices=yes",
        "PrivateTmp=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "ProtectProc=invisible",
        "ProcSubset=pid",
        "ProtectKernelLogs=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelTunables=yes",
        "ProtectControlGroups=yes",
        "ProtectClock=yes",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "RestrictNamespaces=yes",
        "NoNewPrivileges=yes",
        "LimitCORE=0",
    ]
    assert [line for line in wanted if line not in lines] == []
    assert "SystemCallFilter=@system-service" in lines
    assert "SystemCallFilter=~@privileged @resources @obsolete" in lines
    if name.startswith("spxarb-"):
        assert "MemoryDenyWriteExecute=yes" in lines
        assert any(line.startswith("NoExecPaths=/ -/run -/tmp -/var/tmp -/dev/shm %") for line in lines)
        (code,) = [line.removeprefix("ExecPaths=") for line in lines if line.startswith("ExecPaths=")]
        assert f"BindReadOnlyPaths={code}" in lines


def test_the_files_of_secrets_are_read_by_systemd_for_the_units_that_send_alone():
    found = render_units(UnitValues(secrets={"notify-urls": "/etc/spx arb/50%/urls"}))
    for job in JOBS:
        lines = found[f"spxarb-{job.name}.service"].splitlines()
        sends = job.name in SENDING
        assert ("LoadCredential=notify-urls:/etc/spx arb/50%%/urls" in lines) is sends
        assert ("#LoadCredential=smtp-password:/etc/spxarb/smtp-password" in lines) is sends


@pytest.mark.parametrize("name", OF_JOBS)
def test_every_job_runs_once_as_its_own_user_without_the_environment_of_others(name):
    lines = shipped(name).splitlines()
    assert {"Type=oneshot", "User=spxarb", "StateDirectory=spxarb", "StateDirectoryMode=0700"} <= set(lines)
    assert any(line.startswith("Environment=") and "PYTHONSAFEPATH=1" in line for line in lines)
    assert any(line.startswith("UnsetEnvironment=") and "PYTHONPATH" in line for line in lines)
    assert any(
        line.startswith("After=network-online.target") and "ib-gateway.service" in line for line in lines
    )
    assert "OnFailure=spxarb-failed@%n.service" in lines


def test_trading_reaches_this_machine_alone_and_leaves_alerts_to_the_unit_that_may_reach_more():
    for verb in ("enter", "monitor", "settle"):
        text = shipped(f"spxarb-{verb}.service")
        assert "IPAddressDeny=any\nIPAddressAllow=localhost\n" in text
        assert "Environment=SPXARB_ALERTS=outbox" in text
        assert "OnSuccess=spxarb-alerts.service" in text
        assert "OnFailure=spxarb-alerts.service" in text
    assert "IPAddressAllow=any" in shipped("spxarb-alerts.service")


def test_addresses_and_users_of_the_configuration_stand_in_the_units():
    values = UnitValues(
        user="trader", gateway_hosts=("10.1.2.3",), alert_hosts=("192.0.2.7",), gateway_unit=""
    )
    rendered = render_units(values)
    assert "IPAddressAllow=localhost 10.1.2.3\n" in rendered["spxarb-enter.service"]
    assert "IPAddressDeny=any\nIPAddressAllow=localhost 192.0.2.7\n" in rendered["spxarb-alerts.service"]
    assert "User=trader\n" in rendered["spxarb-watchdog.service"]
    assert "ib-gateway" not in rendered["spxarb-enter.service"]


def test_a_users_own_units_ask_for_nothing_that_his_manager_may_not_do():
    for name, text in render_units(UnitValues(user=None)).items():
        assert not re.search(
            r"^(User|Protect\w+|Private\w+|IPAddress\w+|StateDirectory)=", text, re.MULTILINE
        ), name
        assert "network-online.target" not in text


@pytest.mark.parametrize("verb", ["enter", "monitor", "settle"])
@pytest.mark.parametrize(
    "changes", [{}, {"lock_timeout_seconds": 0.0}, {"order_timeout_seconds": 600.0}], ids=str
)
def test_a_unit_waits_longer_than_its_verb_may_take(verb, changes):
    waits = Config().execution.model_copy(update=changes)
    text = render_units(UnitValues(waits=waits))[f"spxarb-{verb}.service"]
    start, stop = (
        int(re.findall(rf"^{key}=(\d+)$", text, re.MULTILINE)[0])
        for key in ("TimeoutStartSec", "TimeoutStopSec")
    )
    for open_trades in range(5):  # two of today, two that wait for their settlement
        job = budgets.longest(waits, open_trades)
        assert start > budgets.lock_wait(waits, job) + budgets.budget(verb, job) + notify.DEADLINE_SECONDS
    undo = budgets.UNDO_SECONDS if verb == "enter" else 0
    assert stop > undo + notify.DEADLINE_SECONDS + children.KILLED_SECONDS


def test_a_change_by_hand_is_seen_by_the_digest_and_a_file_of_others_is_none_of_ours():
    text = render_units(UnitValues())["spxarb-enter.timer"]
    assert (is_ours(text), is_unchanged(text)) == (True, True)
    changed = text.replace("09:35..55/5", "09:35")
    assert (is_ours(changed), is_unchanged(changed)) == (True, False)
    assert (is_ours("[Timer]\n"), is_unchanged("[Timer]\n")) == (False, False)


@pytest.mark.parametrize(
    ("text", "written"),
    [("/opt/a", "/opt/a"), ("/a b", '"/a b"'), ("/50%", "/50%%"), ("/a$b", '"/a$$b"'), ('/a"b', '"/a\\"b"')],
)
def test_a_word_keeps_its_letters(text, written):
    assert word(text) == written


# --- the notifier -------------------------------------------------------------------------------------


class Tools:
    """What the notifier finds on the machine: programs that write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.told = folder, folder / "told"
        (folder / "bin").mkdir()
        for name in ("sh", "uname", "find", "cat"):
            (folder / "bin" / name).symlink_to(str(shutil.which(name)))
        (folder / "run").mkdir()

    def add(self, name: str, script: str) -> None:
        program = self.folder / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def fail(self, *, credentials: bool = False) -> str:
        """The notifier's script as systemd would run it for spxarb-enter.service; what it prints."""
        text = render_units(UnitValues())["spxarb-failed@.service"]
        command = text.split("ExecStart=/bin/sh -c '")[1].split("' sh %i\n")[0]
        script = command.replace("\\\n", " ").replace("$$", "$").replace("%%", "%")
        given = {"CREDENTIALS_DIRECTORY": str(self.folder)} if credentials else {}
        done = subprocess.run(
            ["/bin/sh", "-c", script, "sh", "spxarb-enter.service"],
            env={
                "PATH": str(self.folder / "bin"),
                "RUNTIME_DIRECTORY": str(self.folder / "run"),
                "MAIL_TO": "root",
                "MONITOR_SERVICE_RESULT": "exit-code",
                "MONITOR_EXIT_STATUS": "203",
                **given,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def tools(tmp_path):
    return Tools(tmp_path)


def test_the_notifier_tells_the_journal_where_the_machine_has_nothing_else(tools):
    out = tools.fail()
    assert out.startswith("<2>spxarb: spxarb-enter.service failed on ")
    assert "exit-code 203" in out
    assert "told nobody" in out
    assert "told nobody" in tools.fail(), "it tries again: nobody has heard of it"


def test_the_notifier_tells_terminals_mail_and_addresses_once_an_hour(tools):
    tools.add("who", "echo root tty1")
    tools.add("wall", f'echo "wall: $1" >>{tools.told}')
    tools.add("curl", f'{{ echo "curl: $*"; cat; }} >>{tools.told}')
    (tools.folder / "failed-urls").write_text("https://push.example/s3cret\n\nhttps://other.example/x")
    out = tools.fail(credentials=True)
    assert "told by terminals address address mail" in out
    told = tools.told.read_text()
    assert "url = https://push.example/s3cret" in told
    assert "url = https://other.example/x" in told
    assert "Subject: spxarb-enter.service failed" in told
    calls = [line for line in told.splitlines() if line.startswith("curl:")]
    assert not any("s3cret" in line for line in calls), "no address stands in a list of processes"
    assert "told by" not in tools.fail(credentials=True)
    assert tools.told.read_text() == told


def test_a_terminal_that_nobody_is_at_tells_nobody(tools):
    tools.add("who", "true")
    tools.add("wall", "true")  # as util-linux's: it succeeds also where nobody is logged in
    assert "told nobody" in tools.fail()


def test_the_script_can_stand_in_a_unit():
    script = " ".join(failed_unit.FAILED_SCRIPT)
    assert "'" not in script
    assert "\\" not in script
