"""The file is made safely, and opened only when it is ours and whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from disk import as_nobody, contents, mode_of, python, refused, running
from samples import NOW, commands

from spxarb.errors import RefusedError
from spxarb.ledger import opening
from spxarb.ledger.copies import put_in_place, sealed
from spxarb.ledger.ledger import Ledger


def test_a_new_ledger_is_for_its_owner_only_whatever_the_umask(path):
    code = """
import os, stat, sys
from datetime import datetime
from pathlib import Path
from spxarb.ledger.ledger import Ledger
os.umask(0)
path = Path(sys.argv[1])
with Ledger.open(path, mode="paper") as ledger:
    ledger.state.set_trading(True, None, datetime.now().astimezone())
    for file in sorted(path.parent.iterdir()):
        print(file.name, oct(stat.S_IMODE(file.stat().st_mode)))
    for folder in (path.parent, path.parent.parent):
        print("folder", oct(stat.S_IMODE(folder.stat().st_mode)))
"""
    with running(code, path) as process:
        said, _ = process.communicate(timeout=60)
    assert said.splitlines() == [
        "trading.db 0o600",
        "trading.db-shm 0o600",
        "trading.db-wal 0o600",
        "folder 0o700",
        "folder 0o700",
    ]


def test_a_ledger_that_others_could_read_is_closed_to_them(existing):
    existing.chmod(0o664)
    with Ledger.open(existing, mode="paper") as ledger:
        ledger.runs.begin("monitor", [], NOW)
        assert mode_of(existing) == 0o600
        assert mode_of(existing.with_name("trading.db-wal")) == 0o600


def test_a_folder_that_was_there_keeps_its_rights(tmp_path):
    tmp_path.chmod(0o755)
    Ledger.open(tmp_path / "trading.db", mode="paper").close()
    assert mode_of(tmp_path) == 0o755


def test_it_is_in_wal_mode_with_full_synchronisation_foreign_keys_and_a_bounded_wait(path):
    with Ledger.open(path, mode="paper") as ledger:
        pragma = {
            name: ledger._file._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "fullfsync", "foreign_keys", "busy_timeout")
        }
    assert pragma == {
        "journal_mode": "wal",
        "synchronous": 2,
        "fullfsync": 1,
        "foreign_keys": 1,
        "busy_timeout": 10000,
    }


def test_reading_an_absent_ledger_makes_nothing_and_finds_it_empty(path):
    assert not Ledger.exists(path)
    with Ledger.open(path, mode="live", read_only=True) as ledger:
        assert ledger._file.value("SELECT value FROM meta WHERE key = 'mode'") == "live"
        assert ledger.trades.open() == []
        assert not ledger.state.is_trading()
        with pytest.raises(RuntimeError, match="for reading"):
            ledger.runs.begin("monitor", [], NOW)
    assert not path.parent.parent.exists()


def test_many_jobs_may_make_it_at_the_same_moment(path):
    code = """
import sys
from datetime import datetime
from pathlib import Path
from spxarb.ledger.ledger import Ledger
sys.stdin.read()
with Ledger.open(Path(sys.argv[1]), mode="paper") as ledger:
    ledger.runs.begin("status", [], datetime.now().astimezone())
    print(ledger.tag)
"""
    jobs = [python(code, path) for _ in range(6)]
    for job in jobs:
        job.stdin.close()
        job.stdin = None
    tags = {job.communicate(timeout=60)[0].strip() for job in jobs}
    assert [job.returncode for job in jobs] == [0] * 6
    assert len(tags) == 1
    with Ledger.open(path, mode="paper", read_only=True) as ledger:
        assert commands(ledger) == ["status"] * 6
        assert ledger._file.value("SELECT count(*) FROM system_state") == 1


@pytest.mark.parametrize("spared", range(1, 40, 3))
def test_a_process_killed_while_it_makes_the_ledger_leaves_none_or_a_whole_one(path, spared):
    """It dies by its own hand after so many of SQLite's steps; the next one goes on from there."""
    code = """
import os, signal, sys
from pathlib import Path
from sqlite_utils.db import Database
from spxarb.ledger.ledger import Ledger
spared = int(sys.argv[2])
real = Database.execute
def execute(self, *arguments):
    global spared
    spared -= 1
    if spared < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, *arguments)
Database.execute = execute
Ledger.open(Path(sys.argv[1]), mode="paper")
"""
    with running(code, path, spared) as process:
        process.wait(timeout=30)
    with Ledger.open(path, mode="paper") as ledger:
        assert ledger.state.is_trading()
        assert ledger._file.value("PRAGMA integrity_check") == "ok"


def test_a_ledger_that_another_job_makes_amid_a_look_is_none_yet_or_a_whole_one(path, monkeypatch):
    path.parent.mkdir(parents=True, mode=0o700)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = WAL")
    read_meta = opening.schema.read_meta

    def made_meanwhile(db):
        monkeypatch.undo()
        found = read_meta(db)
        Ledger.open(path, mode="paper").close()
        return found

    monkeypatch.setattr(opening.schema, "read_meta", made_meanwhile)
    with Ledger.open(path, mode="paper") as ledger:
        assert ledger.trades.open() == []


def test_a_ledger_in_the_making_is_waited_for(path):
    """SQLite does not wait by itself for one who is about to write a file that is not yet in WAL mode."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.3, other.execute, ["ROLLBACK"])
        timer.start()
        Ledger.open(path, mode="paper").close()
        assert not other.in_transaction
        timer.join()


def test_numpy_is_not_imported_for_its_sake_and_can_be_imported_after(path):
    code = """
import sys
from pathlib import Path
from spxarb.ledger.ledger import Ledger
Ledger.open(Path(sys.argv[1]), mode="paper").close()
assert not {"numpy", "pandas", "ib_insync"} & set(sys.modules), "imported"
try:
    import numpy
except ModuleNotFoundError as error:
    assert error.name == "numpy"
print("fine")
"""
    with running(code, path, cold=True) as process:
        assert process.communicate(timeout=60)[0] == "fine\n"


def test_a_folder_a_link_and_a_pipe_are_no_ledger(existing, tmp_path):
    folder = tmp_path / "folder.db"
    folder.mkdir()
    refused(folder, "it is a folder")
    link = tmp_path / "link.db"
    link.symlink_to(existing)
    refused(link, "it is a symbolic link")
    dangling = tmp_path / "dangling.db"
    dangling.symlink_to(tmp_path / "nowhere")
    refused(dangling, "it is a symbolic link", read_only=True)
    pipe = tmp_path / "pipe.db"
    os.mkfifo(pipe)
    refused(pipe, "not a regular file")


def test_a_place_where_nothing_can_be_made_is_told(tmp_path):
    refused(Path("/proc/spxarb-test/trading.db"), "cannot be used")
    file = tmp_path / "file"
    file.write_text("")
    refused(file / "trading.db", "Not a directory")


def test_a_text_file_is_no_ledger_and_stays_as_it_is(path):
    path.parent.mkdir(parents=True)
    path.write_text("my notes\n" * 100)
    refused(path, "damaged", "not a database", "restore")
    assert path.read_text() == "my notes\n" * 100


@pytest.mark.parametrize(
    "table", ["notes (text)", "meta (version)", "meta (key, value)", "trades (id, trade_date)"]
)
def test_another_programs_database_is_no_ledger_and_stays_as_it_is(path, table):
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"CREATE TABLE {table}")
    before = contents(path)
    refused(path, "not a ledger of spxarb")
    assert contents(path)[path.name] == before[path.name]


def damage_middle(path):
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 200] = b"\xa5" * 200
    path.write_bytes(data)


def damage_head(path):
    data = bytearray(path.read_bytes())
    data[:100] = bytes(100)
    path.write_bytes(data)


def damage_end(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // 4096 * 4096)


@pytest.mark.parametrize("damage", [damage_middle, damage_head, damage_end])
@pytest.mark.parametrize("read_only", [False, True])
def test_a_damaged_ledger_is_refused_and_not_changed(existing, damage, read_only):
    damage(existing)
    before = existing.read_bytes()
    refused(existing, "damaged", "restore", read_only=read_only)
    assert existing.read_bytes() == before


def test_a_damaged_ledger_keeps_the_log_that_a_crash_left_beside_it(existing, tmp_path):
    crashed = tmp_path / "crashed" / "trading.db"
    crashed.parent.mkdir()
    with Ledger.open(existing, mode="paper") as ledger:
        ledger.runs.begin("close-all", [], NOW)
        for file in existing.parent.iterdir():
            shutil.copy(file, crashed.parent)
    assert crashed.with_name("trading.db-wal").stat().st_size > 0
    damage_middle(crashed)
    before = contents(crashed)
    refused(crashed, "damaged")
    assert contents(crashed) == before


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("lost", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_log_without_its_ledger_is_not_thrown_away(existing, tmp_path, lost, read_only):
    left = tmp_path / "left" / "trading.db"
    left.parent.mkdir()
    with Ledger.open(existing, mode="paper") as ledger:
        ledger.runs.begin("close-all", [], NOW)
        for file in existing.parent.iterdir():
            shutil.copy(file, left.parent)
    lost(left)
    before = contents(left)
    refused(left, "trading.db-wal", "holds data", read_only=read_only)
    assert contents(left) == before


def test_an_empty_file_becomes_a_ledger(path):
    path.parent.mkdir(parents=True)
    path.touch(0o644)
    with Ledger.open(path, mode="paper") as ledger:
        assert ledger.trades.open() == []
    assert mode_of(path) == 0o600


@pytest.mark.parametrize("read_only", [False, True])
def test_a_ledger_of_a_newer_program_is_refused_and_not_changed(existing, read_only):
    with closing(sqlite3.connect(existing)) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
        db.commit()
    before = existing.read_bytes()
    refused(existing, "newer spxarb", "version 99", read_only=read_only)
    assert existing.read_bytes() == before


def test_a_ledger_that_this_user_may_not_write_is_refused_and_can_be_read(public):
    path = public / "trading.db"
    with Ledger.open(path, mode="paper") as ledger:
        ledger.runs.begin("close-all", [], NOW)
    path.chmod(0o444)
    public.chmod(0o555)
    before = path.read_bytes()
    with as_nobody():
        refused(path, "may not write", "belongs to root", "Run this as its owner")
        with Ledger.open(path, mode="paper", read_only=True) as ledger:
            assert commands(ledger) == ["close-all"]
    assert path.read_bytes() == before
    assert [file.name for file in public.iterdir()] == ["trading.db"]


def test_a_ledger_in_a_folder_that_this_user_may_not_write_is_refused(public):
    path = public / "trading.db"
    Ledger.open(path, mode="paper").close()
    path.chmod(0o666)
    public.chmod(0o555)
    with as_nobody():
        refused(path, "may not write")


def test_a_ledger_that_cannot_be_read_or_seen_is_refused(public):
    path = public / "closed" / "trading.db"
    Ledger.open(path, mode="paper").close()
    path.chmod(0o000)
    path.parent.chmod(0o555)
    with as_nobody():
        refused(path, read_only=True)
    path.parent.chmod(0o000)
    with as_nobody():
        refused(path, "Permission denied")
        refused(path, "Permission denied", read_only=True)
        with pytest.raises(RefusedError):
            Ledger.exists(path)
    path.parent.chmod(0o755)


def test_a_folder_where_this_user_may_make_nothing_is_refused(public):
    public.chmod(0o555)
    with as_nobody():
        refused(public / "new" / "trading.db", "Permission denied")


def test_an_exclusive_lock_by_another_program_is_refused_in_time(existing, monkeypatch):
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.3)
    with closing(sqlite3.connect(existing, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE system_state SET trading_reason = 'mine'")
        refused(existing, "locked")


def test_one_that_waits_while_the_file_is_replaced_opens_the_new_one(tmp_path):
    path, other = tmp_path / "trading.db", tmp_path / "other.db"
    for file, reason in ((path, "old"), (other, "new")):
        with Ledger.open(file, mode="paper") as ledger:
            ledger.state.set_trading(False, reason, NOW)
    with sealed(other):
        pass
    opened = []

    def stop() -> None:
        with Ledger.open(path, mode="paper") as ledger:
            opened.append(ledger.state.trading_reason())

    waiting = threading.Thread(target=stop)
    with sealed(path):
        waiting.start()
        time.sleep(0.3)
        put_in_place(other, path, tmp_path / "aside.db")
    waiting.join()
    assert opened == ["new"]
