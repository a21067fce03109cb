"""No path of the program is another one's, and nothing that is no file of its own is written to; exits go on."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from actions import enter, lonely, playing
from relay import free_port

from spxarb.core.own_names import lock_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

EXITS = {"monitor": ("monitor",), "close-all": ("close-all", "--yes")}


@pytest.fixture
def stage(tmp_path) -> Stage:
    """A ledger with a day in it; nothing listens at its port."""
    made = lonely(tmp_path, free_port())
    assert made.run("stop").code == 0
    return made


@pytest.fixture
def held(tmp_path) -> Iterator[Stage]:
    """One spread is open."""
    with playing(tmp_path) as made:
        enter(made)
        yield made


def content(stage: Stage, *but: str) -> dict[str, bytes]:
    """Every file but the log, which may say what was refused."""
    files = (
        file for file in stage.folder.iterdir() if file.is_file() and file.name not in {"trading.log", *but}
    )
    return {file.name: file.read_bytes() for file in files}


# --- two paths, one file ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "key", "named", "other"),
    [
        ("logging", "path", "trading.db", "storage.database"),
        ("logging", "path", "./x/../trading.db", "storage.database"),
        ("logging", "path", "Trading.DB", "storage.database"),
        ("logging", "path", "trading.db-wal", "the wal file of storage.database"),
        ("logging", "path", "trading.db.lock", "the lock of storage.database"),
        ("logging", "path", "trading.db.watchdog", "the watchdog's file of storage.database"),
        ("logging", "path", "config.yaml", "the configuration's"),
        ("logging", "path", ".env", "the configuration's"),
        ("logging", "path", "dates.csv", "trading.blackout_file"),
        ("trading", "blackout_file", "trading.db", "storage.database"),
        ("backup", "folder", "trading.db", "storage.database"),
        ("storage", "database", "config.yaml", "the configuration's"),
        ("storage", "database", "trading.log", "logging.path"),
        ("storage", "database", "trading.log.3", "an older log"),
    ],
)
def test_two_paths_that_are_one_file_are_an_invalid_configuration_that_names_both(
    stage, section, key, named, other
):
    (stage.folder / ".env").write_text("")
    (stage.folder / "dates.csv").write_text("")
    stage.write_config(
        **{
            "trading": {"mode": "paper", "blackout_file": "dates.csv"},
            section: {key: named, **MODE.get(section, {})},
        }
    )
    before = content(stage)
    for verb in (("enter",), ("report",), ("monitor",), ("config",)):
        done = stage.run(*verb)
        assert done.code == 3, (verb, done.err)
        assert f"{section}.{key}" in done.err
        assert other in done.err
        assert "are one file" in done.err
    assert content(stage) == before


MODE = {"trading": {"mode": "paper"}}


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_nor_by_a_link(stage, link):
    link(stage.database, stage.folder / "alias.log")
    stage.write_config(trading={"mode": "paper"}, logging={"path": "alias.log"})
    done = stage.run("monitor")
    assert (done.code, "logging.path" in done.err, "storage.database" in done.err) == (3, True, True)
    assert stage.database.read_bytes().startswith(b"SQLite format 3")


def test_the_ledger_of_another_mode_is_nobodys_log(stage):
    place = stage.folder / "state" / "live"
    place.mkdir(parents=True)
    (place / "trading.db").write_bytes(b"SQLite format 3\0rows")
    stage.write_config(trading={"mode": "paper"}, logging={"path": str(place / "trading.db")})
    done = stage.run("stop", env={"STATE_DIRECTORY": str(stage.folder / "state")})
    assert (done.code, "another mode's ledger" in done.err) == (3, True)
    assert stage.run("stop").code == 0, "where nothing says that it is one, the log is without a file"
    assert (place / "trading.db").read_bytes() == b"SQLite format 3\0rows"


@pytest.mark.parametrize("verb", EXITS)
@pytest.mark.parametrize("named", ["trading.db", "trading.db.lock", "config.yaml"])
def test_an_exit_goes_on_and_the_file_stays_what_it_is(held, verb, named):
    held.write_config(logging={"path": named, "console": False})
    settings = held.config.read_bytes()
    held.at("15:46")
    done = held.run(*EXITS[verb])
    assert (done.code, done["positions"][0]["action"], held.positions()) == (3, "closed", {}), done.err
    assert "are one file" in done.err
    assert held.sql("SELECT status FROM trades") == [{"status": "CLOSED"}]
    assert held.config.read_bytes() == settings


@pytest.mark.parametrize("ending", [".lock", ".seen", "-wal"])
def test_no_ledger_is_made_of_what_lies_beside_another(tmp_path, ending):
    """It would be no lock any more, and every exit of the ledger beside it would stop."""
    with playing(tmp_path) as stage:
        enter(stage)
        stage.write_config(storage={"database": f"{stage.database}{ending}"})
        assert stage.run("enter").code == 3
        stage.at("15:46")
        done = stage.run("monitor")
        assert (done.code, done["positions"][0]["action"], stage.positions()) == (3, "closed", {}), done.err
        assert f"a file that spxarb keeps beside the ledger {stage.database}" in done.err


def test_a_ledger_may_have_the_name_of_a_lock(tmp_path):
    """Its lock is called after the whole name, so that it never is the ledger."""
    with playing(tmp_path) as stage:
        ledger = tmp_path / "ledger.lock"
        stage.write_config(storage={"database": str(ledger)})
        enter(stage)
        stage.at("15:46")
        assert stage.run("monitor")["positions"][0]["action"] == "closed"
        assert ledger.read_bytes().startswith(b"SQLite format 3")
        assert lock_of(ledger).exists()


@pytest.mark.parametrize(
    "words",
    [
        ("report", "--csv", "--output"),
        ("report", "--html"),
        ("backup", "--output"),
        ("record", "--wire"),
        ("record", "--output"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("name", ["trading.db", ".env", "config.yaml", "./none/../TRADING.LOG"])
def test_no_output_takes_the_place_of_a_file_of_the_program(stage, words, name):
    before = content(stage, "trading.db")
    done = stage.run(*words, name)
    assert (done.code, done.out) == (2, ""), done.err
    assert "spxarb itself needs" in done.err
    assert content(stage, "trading.db") == before
    assert stage.database.read_bytes().startswith(b"SQLite format 3")


# --- what is no file of ours --------------------------------------------------------------------------


@pytest.mark.parametrize("verb", EXITS)
@pytest.mark.parametrize("what", ["pipe", "link", "database", "folder", "hard link"])
def test_whatever_is_in_the_logs_place_no_exit_waits_and_one_line_says_so(held, verb, what):
    log, victim = held.folder / "other.log", held.folder / "victim"
    victim.write_text("precious")
    match what:
        case "pipe":
            os.mkfifo(log)
        case "link":
            log.symlink_to(victim)
        case "database":
            log.write_bytes(b"SQLite format 3\0rows")
        case "folder":
            log.mkdir()
        case _:
            os.link(victim, log)
    held.write_config(logging={"path": str(log)})
    held.at("15:46")
    done = held.run(*EXITS[verb])
    assert (done.code, done["positions"][0]["action"], held.positions()) == (0, "closed", {}), done.err
    assert done.err.count("\n") == 1, done.err
    assert done.err.startswith(f"spxarb: No log file: {log}: it is ") or "hard link" in done.err
    assert victim.read_text() == "precious"
    if what == "database":
        assert log.read_bytes() == b"SQLite format 3\0rows"


def test_a_device_as_the_log_keeps_its_mode(stage):
    before = os.stat("/dev/null").st_mode  # noqa: PTH116 -- the device
    stage.write_config(trading={"mode": "paper"}, logging={"path": "/dev/null"})
    assert stage.run("stop").err == ""
    assert os.stat("/dev/null").st_mode == before  # noqa: PTH116 -- likewise
    stage.write_config(trading={"mode": "paper"}, logging={"path": "/dev/stderr"})
    assert "stop: started" in stage.run("stop").err
    for name in ("/dev/stdout", "/proc/self/fd/1", "/dev/fd/3"):  # one JSON object is on stdout, nothing else
        stage.write_config(trading={"mode": "paper"}, logging={"path": name})
        done = stage.run("stop")
        assert (done.code, done["exit_code"]) == (0, 0)
        assert f"No log file: {name}: of the streams only /dev/stderr can be the log" in done.err


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("what", ["pipe", "link"])
@pytest.mark.timeout(60)
def test_nothing_beside_the_ledger_is_followed_or_waited_for(stage, suffix, what):
    beside, victim = stage.folder / f"trading.db{suffix}", stage.folder / "victim"
    victim.write_text("precious")
    beside.unlink(missing_ok=True)
    if what == "pipe":
        os.mkfifo(beside)
    else:
        beside.symlink_to(victim)
    done = stage.run("stop")
    assert (done.code, f"trading.db{suffix} beside it: it is " in done.err) == (5, True), done.err
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("verb", ["stop", "report"])
def test_a_log_of_writes_that_a_stranger_put_beside_the_ledger_is_none_of_its(stage, verb):
    """SQLite would take what it holds for the ledger's own."""
    if os.geteuid() != 0:
        pytest.skip("LOUD: only root can give a file away, so a planted one cannot be staged here")
    beside = stage.folder / "trading.db-wal"
    beside.write_bytes(b"pages of a stranger")
    os.chown(beside, 48_271, 48_271)
    done = stage.run(verb)
    assert (done.code, "trading.db-wal beside it: it belongs to user 48271" in done.err) == (5, True), (
        done.err
    )
    assert beside.read_bytes() == b"pages of a stranger"


@pytest.mark.parametrize("what", [b"SQLite format 3\0rows", b"notes of somebody\n"])
def test_a_lock_that_is_none_is_refused_and_stays(stage, what):
    lock_of(stage.database).write_bytes(what)
    done = stage.run("monitor")
    assert (done.code, "it is not a lock of spxarb" in done.err) == (5, True), done.err
    assert lock_of(stage.database).read_bytes() == what


def test_a_folder_where_others_may_write_is_warned_of(stage):
    state = stage.folder / "state"
    state.mkdir()
    state.chmod(0o777)
    database = {"database": str(state / "trading.db")}
    stage.write_config(trading={"mode": "paper"}, logging={"console": True}, storage=database)
    done = stage.run("stop")
    assert (done.code, f"Other users may write in the state folder {state}" in done.err) == (0, True)
    state.chmod(0o700)
    assert "Other users" not in stage.run("stop").err


# --- a job of an earlier version ----------------------------------------------------------------------


def test_a_job_of_an_earlier_version_is_waited_for_and_its_lock_taken_too(stage):
    """It holds `trading.lock`; a new installation makes no such file."""
    from spxarb.lock import job_lock

    old = stage.folder / "trading.lock"
    assert not old.exists()
    stage.write_config(trading={"mode": "paper"}, execution={"lock_timeout_seconds": 0.3})
    with job_lock(old, command="spxarb enter", timeout=1):
        done = stage.run("monitor")
        assert (done.code, "`spxarb enter`" in done.err) == (7, True), done.err
        assert stage.run("status", "--offline")["lock"]["command"] == "spxarb enter"
    assert stage.run("monitor").code == 4
    assert stat.S_IMODE(lock_of(stage.database).stat().st_mode) == 0o600
    old.write_text("somebody's notes\n")
    assert stage.run("monitor").code == 4, "what is no lock was never one"
    assert old.read_text() == "somebody's notes\n"
