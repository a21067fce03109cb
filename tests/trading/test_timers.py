"""`timers`: what it writes, what it never writes over, what it says; systemctl is the world outside."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spxarb.cli import commands
from spxarb.config.load import load
from spxarb.core.firings import JOBS
from spxarb.core.units import UnitValues, render_units
from spxarb.errors import RefusedError
from spxarb.jobs import timers as verb
from spxarb.trading.schedulers import scheduler_of
from spxarb.trading.set_up_found import SetUp
from spxarb.trading.set_up_machine import look_at_timers
from spxarb.trading.timers import TIMERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from spxarb.core.results.timers import TimersResult

pytestmark = pytest.mark.outside
SHOWN = """\
Id={name}
LoadState=loaded
ActiveState=active
UnitFileState=enabled
LastTriggerUSec=Wed 2026-11-25 14:55:00 UTC
NextElapseUSecRealtime=Fri 2026-11-27 14:35:00 UTC
"""


class Machine:
    """A user's own folders, and a systemctl that writes down what it is told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.calls = folder, folder / "calls"
        self.units = folder / "config/systemd/user"
        self.config = folder / "config.yaml"
        self.config.write_text("trading: {mode: paper}\n")
        self.bin = folder / "bin"
        self.bin.mkdir()
        self._monkeypatch = monkeypatch
        for name, value in {"HOME": folder, "XDG_CONFIG_HOME": folder / "config", "PATH": self.bin}.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.delenv("SPXARB_CONFIG", raising=False)
        monkeypatch.chdir(folder)

    def systemctl(self, *, fails_at: str = "", named: str = "systemctl") -> None:
        shown = "\n".join(SHOWN.format(name=name) for name in TIMERS)
        (self.folder / "shown").write_text(shown)
        program = self.bin / named
        program.write_text(
            "#!/bin/sh\n"
            f'echo "$*" >>{self.calls}\n'
            f'case "$*" in *"{fails_at or "nothing at all"}"*) echo "Failed: a bus" >&2; exit 1;; esac\n'
            'case "$*" in *is-active*) echo active;; esac\n'
            f'case "$*" in *" show "*) while read -r line; do echo "$line"; done <{self.folder}/shown;; esac\n'
        )
        program.chmod(0o755)

    def told(self) -> list[str]:
        return [line for line in self._lines() if " show " not in line and "is-active" not in line]

    def _lines(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def configure(self, text: str) -> None:
        self.config.write_text(f"trading: {{mode: paper, {text}}}\n")

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.units.iterdir()} if self.units.exists() else {}


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    made = Machine(tmp_path, monkeypatch)
    made.systemctl()
    return made


@pytest.fixture
def spxarb(machine, capsys) -> Callable[..., tuple[int, dict, str]]:
    """Run the command line in this process: (exit code, object, stderr)."""

    def run(*words: str) -> tuple[int, dict, str]:
        code = commands.main(["--config", str(machine.config), "timers", *words, "--json"])
        out, err = capsys.readouterr()
        return code, json.loads(out), err

    return run


@pytest.mark.parametrize("letters", ["\nExecStartPre=sh", "\x1b[2J", "\udcff", "\u202e"], ids=ascii)
def test_a_path_that_no_unit_can_name_in_one_line_is_refused(machine, letters):
    folder = machine.folder / f"a{letters}"
    folder.mkdir()
    config = machine.config.rename(folder / "config.yaml")
    for platform in ("linux", "darwin"):
        with pytest.raises(RefusedError, match="No scheduler can be told of"):
            scheduler_of(load(config), platform, user=True)
    found = SetUp()
    found.config = load(config)
    look_at_timers(found)


def test_a_dry_run_shows_what_would_be_written_and_when_it_fires_and_touches_nothing(machine, spxarb):
    code, shown, _ = spxarb("install", "--user", "--dry-run")
    assert code == 0
    texts = {Path(unit["path"]).name: unit["text"] for unit in shown["units"]}
    assert len(texts) == 11
    assert "OnCalendar=Mon..Fri *-*-* 09:35..55/5:00 America/New_York" in texts["spxarb-enter.timer"]
    assert all(len(timer["due"]) == 3 for timer in shown["timers"])
    assert not machine.units.exists()
    assert not machine.calls.exists()


def test_install_writes_every_unit_and_has_systemd_read_enable_and_start_the_timers(machine, spxarb):
    before = os.umask(0o077)
    try:
        code, shown, _ = spxarb("install", "--user")
    finally:
        os.umask(before)
    assert code == 0
    assert machine.told() == ["--user daemon-reload", f"--user enable --now {' '.join(TIMERS)}"]
    assert sorted(machine.files()) == sorted(render_units(UnitValues()))
    for path in machine.units.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert f"--config {machine.config} monitor" in (machine.units / "spxarb-monitor.service").read_text()
    assert [timer["enabled"] for timer in shown["timers"]] == [True] * len(JOBS)
    assert shown["timers"][0]["next"] == "2026-11-27T09:35:00-05:00"
    code, shown, _ = spxarb("status", "--user")
    assert (code, shown["disagreements"]) == (0, [])
    assert {unit["state"] for unit in shown["units"]} == {"current"}


def test_the_firings_are_those_of_the_configuration_in_force_and_status_says_where_they_are_not(
    machine, spxarb
):
    spxarb("install", "--user")
    machine.configure('entry_time: "09:45", entry_cutoff: "10:20"')
    code, shown, _ = spxarb("status", "--user")
    assert code == 0
    (told,) = shown["disagreements"]
    assert told.startswith("spxarb-enter.timer fires 09:35 to 09:55, 5 times a day, and the ")
    assert told.endswith(" wants 09:45 to 10:15, 7 times a day.")
    spxarb("install", "--user")
    assert "09:45..55/5" in (machine.units / "spxarb-enter.timer").read_text()
    assert spxarb("status", "--user")[1]["disagreements"] == []


def test_doctor_says_the_same_of_the_timers(machine, spxarb):
    def line() -> tuple[str, str, str | None]:
        found = SetUp(load(machine.config))
        look_at_timers(found)
        return found.lines[0].verdict, found.lines[0].message, found.lines[0].mend

    spxarb("install", "--user")
    assert line()[0] == "passed"
    assert "fire as configured" in line()[1]
    machine.configure('exit_check_time: "15:30"')
    assert line()[:2] == ("warning", " ".join(spxarb("status", "--user")[1]["disagreements"]))
    assert "timers install" in (line()[2] or "")
    machine.configure("")
    (machine.units / "spxarb-watchdog.timer").unlink()
    assert line()[1] == "spxarb-watchdog.timer is not installed, and others are."


def test_longer_waits_in_the_configuration_are_told_as_time_outs_that_are_too_short(machine, spxarb):
    spxarb("install", "--user")
    machine.config.write_text("execution: {order_timeout_seconds: 600}\n")
    told = " ".join(spxarb("status", "--user")[1]["disagreements"])
    for name in ("enter", "monitor", "settle"):
        assert f"spxarb-{name}.service ends {name} after " in told
    assert "watchdog" not in told


def test_a_unit_that_was_changed_by_hand_is_not_written_over_and_nothing_else_is(machine, spxarb):
    spxarb("install", "--user")
    changed = machine.units / "spxarb-enter.timer"
    changed.write_text(changed.read_text() + "RandomizedDelaySec=9\n")
    before = machine.files()
    machine.configure('entry_time: "09:45"')
    code, shown, err = spxarb("install", "--user")
    assert code == 5
    assert f"{changed} was changed by hand" in shown["error"]
    assert "--force" in err
    assert machine.files() == before
    assert any("changed by hand" in unit["state"] for unit in spxarb("status", "--user")[1]["units"])
    assert spxarb("install", "--user", "--force")[0] == 0
    assert (machine.units / "spxarb-enter.timer.bak").read_bytes() == before["spxarb-enter.timer"]
    assert "09:45" in changed.read_text()


@pytest.mark.parametrize("what", ["a file of others", "a masked unit"])
def test_what_is_not_ours_is_neither_written_over_nor_removed(machine, spxarb, what):
    machine.units.mkdir(parents=True)
    foreign = machine.units / "spxarb-enter.timer"
    foreign.write_text("[Timer]\nOnCalendar=hourly\n") if what == "a file of others" else foreign.symlink_to(
        "/dev/null"
    )
    code, shown, _ = spxarb("install", "--user")
    assert code == 5
    assert f"{foreign} is not spxarb's" in shown["error"]
    assert machine.told() == []
    assert spxarb("remove", "--user")[0] == 0
    assert os.path.lexists(foreign)


def test_remove_stops_the_timers_and_takes_away_our_files_alone(machine, spxarb):
    spxarb("install", "--user")
    (machine.units / "other.timer").write_text("[Timer]\n")
    kept = machine.units / "spxarb-settle.timer"
    kept.write_text(kept.read_text() + "# mine\n")
    before = machine.files()
    assert spxarb("remove", "--user", "--dry-run")[0] == 0
    assert machine.files() == before
    code, shown, _ = spxarb("remove", "--user")
    assert code == 0
    assert sorted(machine.files()) == ["other.timer", "spxarb-settle.timer"]
    stopped, reloaded = machine.told()[2:]
    assert stopped.startswith("--user disable --now ")
    assert set(stopped.split()[3:]) == set(TIMERS)
    assert reloaded == "--user daemon-reload"
    assert "spxarb-settle.timer" in " ".join(shown["notes"])
    assert spxarb("remove", "--user", "--force")[0] == 0
    assert sorted(machine.files()) == ["other.timer"]


@pytest.mark.parametrize("step", ["daemon-reload", "enable"])
def test_a_step_of_systemctl_that_fails_is_named_with_what_was_done_before(machine, spxarb, step):
    machine.systemctl(fails_at=step)
    code, shown, _ = spxarb("install", "--user")
    assert code == 5
    assert f"`systemctl --user {step}" in shown["error"]
    assert "Failed: a bus" in shown["error"]
    assert f"The units are in {machine.units}" in shown["error"]
    assert ("`daemon-reload` was done" in shown["error"]) == (step == "enable")


@pytest.mark.parametrize("action", ["install", "remove", "status"])
def test_without_systemd_it_says_so_and_names_what_does_the_same(machine, spxarb, action):
    (machine.bin / "systemctl").unlink()
    code, shown, err = spxarb(action, "--user")
    assert code == 5
    assert "There is no systemctl here" in shown["error"]
    assert "crontab.example" in err
    assert spxarb("install", "--user", "--dry-run")[0] == 0


def test_an_invalid_configuration_installs_nothing_and_is_told_by_status(machine, spxarb):
    machine.config.write_text("trading: {entry_time: nine}\n")
    assert spxarb("install", "--user")[0] == 3
    assert machine.files() == {}
    code, shown, _ = spxarb("status", "--user")
    assert code == 3
    assert len(shown["timers"]) == len(JOBS)
    assert spxarb("remove", "--user")[0] == 0


def test_the_machines_units_run_as_the_named_user_after_the_named_gateway(spxarb):
    code, shown, _ = spxarb("install", "--dry-run", "--as", "trader", "--gateway", "tws.service")
    assert code == 0
    texts = {Path(unit["path"]).name: unit["text"] or "" for unit in shown["units"]}
    assert shown["folder"] == "/etc/systemd/system"
    assert "User=trader\n" in texts["spxarb-enter.service"]
    assert "time-sync.target tws.service\n" in texts["spxarb-enter.service"]
    assert any("There is no user trader" in note for note in shown["notes"])
    assert any(
        "The units keep the ledger at /var/lib/spxarb/paper/trading.db" in note for note in shown["notes"]
    )


def test_files_elsewhere_and_a_gateway_elsewhere_are_let_through_and_nothing_more(machine, spxarb):
    machine.config.write_text(
        "ib: {host: 10.0.0.7}\nstorage: {database: /srv/books/trading.db}\nbackup: {folder: /srv/copies}\n"
        "notifications: {email_enabled: true, email_address: 'me@example.com, b@example.com', "
        "smtp_host: 192.0.2.9}\n"
    )
    texts = {Path(unit["path"]).name: unit["text"] for unit in spxarb("install", "--dry-run")[1]["units"]}
    assert "ReadWritePaths=/srv/books\nReadWritePaths=/srv/copies\n" in texts["spxarb-settle.service"]
    assert "IPAddressAllow=localhost 10.0.0.7\n" in texts["spxarb-monitor.service"]
    assert "IPAddressAllow=localhost 192.0.2.9\n" in texts["spxarb-alerts.service"]
    assert "Environment=MAIL_TO=me@example.com\n" in texts["spxarb-failed@.service"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_the_rendered_units_of_this_machine_are_clean_and_closed(machine, spxarb, monkeypatch):
    """The program lies in a folder that is hidden from units here, so it is shown to them."""
    analyze = shutil.which("systemd-analyze", path=os.defpath)
    _, shown, _ = spxarb("install", "--dry-run", "--as", "root")
    folder = machine.folder / "rendered"
    folder.mkdir()
    for unit in shown["units"]:
        (folder / Path(unit["path"]).name).write_text(unit["text"])
    monkeypatch.setenv("PATH", os.defpath)
    done = subprocess.run(
        [str(analyze), "verify", *map(str, sorted(folder.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for service in folder.glob("*.service"):
        done = subprocess.run(
            [str(analyze), "security", "--offline=true", "--threshold=15", str(service)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def on_a_mac(machine: Machine, action: str, **more: bool) -> TimersResult:
    return verb.run(machine.config, verb.TimersRequest(action, **more), platform="darwin")


def test_on_macos_the_same_command_writes_launchds_agents_and_has_launchd_read_them(machine):
    agents = machine.folder / "Library/LaunchAgents"
    shown = on_a_mac(machine, "install", dry_run=True)
    assert (shown.scheduler, shown.folder, len(shown.units)) == ("launchd", str(agents), 4)
    assert not agents.exists()
    with pytest.raises(RefusedError, match="There is no launchctl here"):
        on_a_mac(machine, "install")
    machine.systemctl(named="launchctl")
    assert [row.installed for row in on_a_mac(machine, "install").timers] == [True] * 4
    assert [line.split()[0] for line in machine.told()[:3]] == ["bootout", "enable", "bootstrap"]
    assert on_a_mac(machine, "status").disagreements == ()
    machine.configure('entry_time: "09:45"')
    (told,) = on_a_mac(machine, "status").disagreements
    assert told.startswith("spxarb.enter.plist fires 09:35 to 09:55, 5 times a day, and the ")
    assert told.endswith(" wants 09:45 to 09:55, 3 times a day.")
    found = SetUp(load(machine.config))
    look_at_timers(found, "darwin")
    assert (found.lines[0].verdict, found.lines[0].message) == ("warning", told)
    changed = agents / "spxarb.settle.plist"
    changed.write_text(changed.read_text().replace("1605", "1606"))
    with pytest.raises(RefusedError, match="changed by hand"):
        on_a_mac(machine, "install")
    on_a_mac(machine, "remove")
    assert [path.name for path in agents.iterdir()] == ["spxarb.settle.plist"]


def test_a_step_of_launchctl_that_fails_is_named(machine):
    machine.systemctl(named="launchctl", fails_at="bootstrap")
    with pytest.raises(RefusedError, match=r"`launchctl bootstrap .*0 of 4 were loaded"):
        on_a_mac(machine, "install")


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--dry-run"),
        ("remove", "--as", "me"),
        ("install", "--user", "--as", "me"),
        ("install", "--as", "a\nUser=root"),
        ("install", "--gateway", "a b"),
        ("explode",),
    ],
)
def test_words_that_mean_nothing_together_are_wrong_use(machine, capsys, words):
    assert commands.main(["timers", *words]) == 2
    assert capsys.readouterr().out == ""
