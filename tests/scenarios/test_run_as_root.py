"""Run as root in another user's state folder, a command becomes that user first, so that nobody is locked out."""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from actions import lonely
from harness import Done
from relay import free_port
from sink import listening_sink
from warm_starts import closed_to_others

from spxarb.core.own_names import lock_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness import Stage

TRADER, STRANGER = 54321, 54322
VERBS = [
    ("monitor",),
    ("close-all", "--yes"),
    ("stop",),
    ("status", "--offline"),
    ("doctor",),
    ("ack",),
    ("settle",),
]


OPENED = """
set -e
layers=$1 closed=$2; shift 2
mount -t tmpfs tmpfs "$layers"
number=0
for folder in $closed; do
    number=$((number + 1))
    mkdir "$layers/$number.upper" "$layers/$number.work"
    mount -t overlay -o "lowerdir=$folder,upperdir=$layers/$number.upper,workdir=$layers/$number.work" overlay "$folder"
    chmod o+rx "$folder"
done
exec "$@"
"""
"""Run a command where some folders of root's are open to all: in mounts of its own, so that nothing outside changes."""


@functools.cache
def opened() -> tuple[str, ...]:
    """What stands before a command, so that other users can run the program wherever it is."""
    closed = closed_to_others()
    if not closed:
        return ()
    layers = tempfile.mkdtemp(prefix="spxarb-layers-")
    atexit.register(os.rmdir, layers)
    apart = ("unshare", "--mount", "--propagation", "private", "sh", "-c", OPENED, "sh")
    return (*apart, layers, " ".join(closed))


def run(stage: Stage, *words: str, before: Sequence[str] = (), **options: Any) -> Done:
    """A command; where folders had to be opened another user may not see what makes a virtual environment of one."""
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} if opened() else {}
    done = subprocess.run(
        [*opened(), *before, sys.executable, "-m", "spxarb", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=stage.folder,
        env=stage.environment(PYTHONDONTWRITEBYTECODE="1", **path),
        **options,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def as_trader(stage: Stage, *words: str) -> Done:
    if not opened():
        return run(stage, *words, user=TRADER, group=TRADER, extra_groups=[])
    become = ("setpriv", f"--reuid={TRADER}", f"--regid={TRADER}", "--clear-groups", "--")
    return run(stage, *words, before=become)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Root's configuration; the state folder is the trader's."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root can become another user")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        made = lonely(folder, free_port())
        state = folder / "state"
        state.mkdir(mode=0o700)
        os.chown(state, TRADER, TRADER)
        made.write_config(
            trading={"mode": "paper"},
            storage={"database": str(state / "trading.db")},
            execution={"connect_timeout_seconds": 0.4},
        )
        try:
            done = as_trader(made, "--version")
        except OSError as error:
            pytest.skip(f"NOT TESTED: {error}")
        if done.code:
            pytest.skip(
                f"NOT TESTED: another user cannot run {sys.executable} here: {done.err.strip()[-200:]}"
            )
        yield made


def owners(folder: Path) -> set[int]:
    return {file.stat().st_uid for file in (folder, *folder.iterdir())}


def test_every_verb_becomes_the_owner_and_locks_nobody_out(stage):
    state = stage.folder / "state"
    for verb in VERBS:
        done = run(stage, *verb)
        told = f"the state folder {state} belongs to user {TRADER}: running as that user, not as root"
        assert told in done.err.splitlines()[0], (verb, done.err)
        assert owners(state) == {TRADER}, verb
    codes = [as_trader(stage, *verb).code for verb in VERBS[:3]]
    assert codes == [4, 4, 0], "nothing listens, and nothing is locked"


@pytest.mark.parametrize("named", [True, False])
def test_what_only_root_may_read_is_known_to_the_owner_too(stage, named):
    """Also where the program is started again as the owner, for he finds its libraries in another place."""
    own = stage.folder / "own"
    own.mkdir(mode=0o700)
    stage.config.rename(own / "config.yaml")
    (own / ".env").write_text("MIN_ENTRY_CREDIT=432\n")
    for file in own.iterdir():
        file.chmod(0o600)
    words = ("--config", str(own / "config.yaml")) if named else ()
    done = run(replace(stage, folder=own), *words, "config", "--json")
    assert done.code == 0, done.err
    values = {setting["key"]: setting["value"] for setting in done.json["settings"]}
    assert values["storage.database"] == str(stage.folder / "state" / "trading.db")
    assert values["trading.min_entry_credit"] == 432
    done = run(replace(stage, folder=own), *words, "close-all", "--yes")
    assert (done.code, "Nothing listens" in done.err) == (4, True), done.err
    assert owners(stage.folder / "state") == {TRADER}
    log = (stage.folder / "state" / "trading.log").read_text(encoding="utf-8")
    assert log.count("running as that user, not as root") == 1


def test_alerts_go_out_also_where_only_root_may_read_their_addresses(stage, monkeypatch):
    """From the configuration's own file, and from what systemd gave root; what is never read is told."""
    own = stage.folder / "own"
    own.mkdir(mode=0o700)
    with listening_sink() as sink:
        urls, given = own / "urls", own / "notify-urls"
        urls.write_text(sink.variables["SPXARB_NOTIFY_URL"])
        urls.chmod(0o600)
        settings = {"storage": {"database": str(stage.folder / "state" / "trading.db")}}
        settings |= {"trading": {"mode": "paper", "blackout_file": str(own / "dates.csv")}}
        (own / "dates.csv").write_text("2035-01-03, FOMC\n")
        told = {"notifications": {"email_enabled": True, "urls_file": str(urls)}}
        stage.write_config(**settings, **told)
        assert run(stage, "monitor").code == 4
        assert len(sink.alerts) == 1
        assert "dates.csv" not in run(stage, "doctor").out
        stage.write_config(**settings, notifications={"email_enabled": True})
        urls.rename(given)
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(own))
        done = run(stage, "doctor", "--send-test")
        assert len(sink.alerts) == 2, done.out
    assert f"{given} cannot be read: Permission denied" in as_trader(stage, "doctor", "--json").out


def test_a_named_configuration_of_another_user_makes_the_command_his(stage):
    """Before it is read: nothing of another user is read as root."""
    place = stage.folder / "theirs"
    place.mkdir(mode=0o700)
    (place / "config.yaml").write_text(
        f"storage: {{database: {place / 'trading.db'}}}\ntrading: {{mode: paper}}\n"
    )
    for file in (place, place / "config.yaml"):
        os.chown(file, STRANGER, STRANGER)
    for words in (("stop", "--config", "theirs/config.yaml"), ("--config", "theirs/config.yaml", "stop")):
        done = run(stage, *words)
        assert (
            done.code,
            f"the configuration {place / 'config.yaml'} belongs to user {STRANGER}" in done.err,
        ) == (0, True)
    assert owners(place) == {STRANGER}


def test_what_another_user_left_in_the_working_folder_moves_root_nowhere(stage):
    """A planted `.env` or `config.yaml` that names that user's ledger: root does not become that user for it."""
    place = stage.folder / "shared"
    place.mkdir()
    place.chmod(0o777)
    for name, text in (
        (".env", f"SPXARB_DATABASE={stage.folder / 'state' / 'trading.db'}\n"),
        ("config.yaml", ""),
    ):
        (place / name).write_text(text or f"storage: {{database: {stage.folder / 'state' / 'trading.db'}}}\n")
        os.chown(place / name, TRADER, TRADER)
    done = run(replace(stage, folder=place), "status", "--offline")
    assert "running as" not in done.err
    assert list((stage.folder / "state").iterdir()) == []


def test_where_everything_is_roots_it_stays_root(stage):
    stage.write_config(
        trading={"mode": "paper"}, storage={"database": str(stage.folder / "own" / "trading.db")}
    )
    done = run(stage, "stop")
    assert (done.code, done.err) == (0, "")
    assert owners(stage.folder / "own") == {0}


def test_a_folder_that_is_not_there_yet_belongs_to_who_owns_the_one_above(stage):
    ledger = stage.folder / "state" / "paper" / "trading.db"
    stage.write_config(trading={"mode": "paper"}, storage={"database": str(ledger)})
    assert run(stage, "stop").code == 0
    assert owners(ledger.parent) == {TRADER}


def test_where_it_cannot_become_that_user_nothing_is_opened(stage):
    """In a container in which that user does not exist: root in a name space of its own."""
    before = ["unshare", "--user", "--map-root-user", "--"]
    if subprocess.run([*before, "true"], check=False, capture_output=True).returncode:
        pytest.skip("NOT TESTED: no name space of users can be made here")
    done = run(stage, "monitor", before=before)
    assert done.code == 5
    assert done.err.count("\n") == 1, done.err
    assert "root cannot become that user here" in done.err
    assert "Nothing was opened" in done.err
    assert list((stage.folder / "state").iterdir()) == []


def test_what_root_left_there_earlier_is_told_with_how_to_mend_it(stage):
    state = stage.folder / "state"
    assert as_trader(stage, "stop").code == 0
    os.chown(state / "trading.log", 0, 0)
    done = as_trader(stage, "stop")
    assert (done.code, done.err.count("\n")) == (0, 1)
    assert f"No log file: {state / 'trading.log'}: it belongs to root, not to user {TRADER}" in done.err
    told = as_trader(stage, "doctor", "--json").out
    assert f"{state / 'trading.log'} belongs to root, so no job of this user can use it" in told
    assert f"`chown {TRADER} {state / 'trading.log'}`" in told
    lock = lock_of(state / "trading.db")
    lock.write_text("")
    lock.chmod(0o600)
    os.chown(lock, 0, 0)
    done = as_trader(stage, "monitor")
    assert done.code == 5
    for words in (f"The lock {lock} cannot be used: it belongs to root, not to user {TRADER}", "chown"):
        assert words in done.err
    os.chown(state / "trading.db", 0, 0)
    done = as_trader(stage, "stop")
    assert (done.code, "it belongs to root" in done.err, "chown" in done.err) == (5, True, True), done.err
