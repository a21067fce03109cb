"""The ledger's file: made safely, opened only when ours and whole, one writer at a time, nothing half."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from spxarb.errors import Exit, RefusedError
from spxarb.ledger import opening, schema
from spxarb.ledger.ledger import Ledger

NOBODY = 65534


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "paper" / "trading.db"


@pytest.fixture
def ledger(path):
    """A ledger with a trade's worth of facts in it, closed."""
    with Ledger.open(path, mode="paper") as store:
        store.state.set_trading(False, "as found", store_time())
    return path


def store_time():
    from spxarb.ledger.rows import from_moment

    return from_moment("2026-02-13T09:35:00-05:00")


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def contents(path):
    """The file and what SQLite keeps beside it, but for the shared memory, which holds no facts."""
    beside = sorted(path.parent.glob(f"{path.name}*"))
    return {file.name: file.read_bytes() for file in beside if not file.name.endswith("-shm")}


def refused(path, *words, mode="paper", read_only=False):
    """Opening is refused with exit code 5, in one line that names the file and says these words."""
    with pytest.raises(RefusedError) as caught:
        Ledger.open(path, mode=mode, read_only=read_only)
    line = str(caught.value)
    assert caught.value.exit_code is Exit.REFUSED
    assert "\n" not in line
    assert path.name in line
    assert caught.value.mend
    for word in words:
        assert word in line
    return line


def python(code, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


@contextmanager
def running(code, *arguments, **options):
    """A real process, killed at the end if it has not gone by itself."""
    process = python(code, *arguments, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


# --- making it --------------------------------------------------------------------------------------


def test_a_new_ledger_is_for_its_owner_only_whatever_the_umask(path):
    code = """
import os, stat, sys
from pathlib import Path
from spxarb.ledger.ledger import Ledger
os.umask(0)
path = Path(sys.argv[1])
with Ledger.open(path, mode="paper") as store:
    store.state.lower_flag("any")
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


def test_a_ledger_that_others_could_read_is_closed_to_them(ledger):
    ledger.chmod(0o664)
    with Ledger.open(ledger, mode="paper") as store:
        store.state.lower_flag("any")
        assert mode_of(ledger) == 0o600
        assert mode_of(ledger.with_name("trading.db-wal")) == 0o600


def test_a_folder_that_was_there_keeps_its_rights(tmp_path):
    tmp_path.chmod(0o755)
    Ledger.open(tmp_path / "trading.db", mode="paper").close()
    assert mode_of(tmp_path) == 0o755


def test_it_is_in_wal_mode_with_full_synchronisation_foreign_keys_and_a_bounded_wait(path):
    with Ledger.open(path, mode="paper") as store:
        pragma = {
            name: store._file._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10000}


def test_the_tag_is_made_once_and_tells_ledgers_apart(path, tmp_path):
    with Ledger.open(path, mode="paper") as store:
        tag = store.tag
    with Ledger.open(path, mode="paper") as store:
        assert store.tag == tag
    with Ledger.open(tmp_path / "other.db", mode="paper") as store:
        assert store.tag != tag
    assert len(tag) == 6
    assert set(tag) <= set("0123456789abcdef")


def test_reading_an_absent_ledger_makes_nothing_and_finds_it_empty(path):
    assert not Ledger.exists(path)
    with Ledger.open(path, mode="live", read_only=True) as store:
        assert store._file.value("SELECT value FROM meta WHERE key = 'mode'") == "live"
        assert store.trades.open() == []
        assert not store.state.is_trading()
        with pytest.raises(RuntimeError, match="for reading"):
            store.state.lower_flag("any")
    assert not path.parent.parent.exists()


def test_many_jobs_may_make_it_at_the_same_moment(path):
    code = """
import sys
from pathlib import Path
from spxarb.ledger.ledger import Ledger
sys.stdin.read()
with Ledger.open(Path(sys.argv[1]), mode="paper") as store:
    store.runs.begin("status", [], store_time())
    print(store.tag)
""".replace("store_time()", "__import__('datetime').datetime.now().astimezone()")
    jobs = [python(code, path) for _ in range(6)]
    for job in jobs:
        job.stdin.close()
        job.stdin = None
    tags = {job.communicate(timeout=60)[0].strip() for job in jobs}
    assert [job.returncode for job in jobs] == [0] * 6
    assert len(tags) == 1
    with Ledger.open(path, mode="paper", read_only=True) as store:
        assert store._file.value("SELECT count(*) FROM runs") == 6
        assert store._file.value("SELECT count(*) FROM system_state") == 1


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
    with running(code, path) as process:
        assert process.communicate(timeout=60)[0] == "fine\n"


# --- mode and account -------------------------------------------------------------------------------


def test_a_ledger_is_for_one_mode(ledger):
    before = contents(ledger)
    refused(ledger, "belongs to mode paper, not to live", mode="live")
    refused(ledger, "belongs to mode paper, not to live", mode="live", read_only=True)
    assert contents(ledger)[ledger.name] == before[ledger.name]


@pytest.mark.parametrize(("mode", "trading"), [("paper", 1), ("sim", 1), ("live", 0)])
def test_a_live_ledger_does_not_trade_until_start(path, mode, trading):
    with Ledger.open(path, mode=mode) as store:
        assert store._file.value("SELECT value FROM meta WHERE key = 'mode'") == mode
        assert store.state.is_trading() is bool(trading)
        assert store._file.rows("SELECT id, is_trading FROM system_state") == [
            {"id": 1, "is_trading": trading}
        ]


def test_a_ledger_is_for_one_account(path):
    with Ledger.open(path, mode="paper") as store:
        assert store.account is None
        store.bind_account("DU1")
        store.bind_account("DU1")
    with (
        Ledger.open(path, mode="paper") as store,
        pytest.raises(RefusedError, match="belongs to account DU1"),
    ):
        store.bind_account("DU2")
    with Ledger.open(path, mode="paper", read_only=True) as store:
        store.bind_account("DU1")
        with pytest.raises(RefusedError, match="not to DU2"):
            store.bind_account("DU2")


def test_of_two_accounts_at_once_the_first_one_stays(path):
    with Ledger.open(path, mode="paper") as one, Ledger.open(path, mode="paper") as two:
        one.bind_account("DU1")
        with pytest.raises(RefusedError):
            two.bind_account("DU2")
        assert two.account == "DU1"


def test_reading_does_not_bind(path):
    Ledger.open(path, mode="paper").close()
    with Ledger.open(path, mode="paper", read_only=True) as store:
        store.bind_account("DU1")
        assert store.account is None


# --- what is refused --------------------------------------------------------------------------------


def test_a_folder_a_link_and_a_pipe_are_no_ledger(ledger, tmp_path):
    folder = tmp_path / "folder.db"
    folder.mkdir()
    refused(folder, "it is a folder")
    link = tmp_path / "link.db"
    link.symlink_to(ledger)
    refused(link, "it is a symbolic link")
    dangling = tmp_path / "dangling.db"
    dangling.symlink_to(tmp_path / "nowhere")
    refused(dangling, "it is a symbolic link", read_only=True)
    pipe = tmp_path / "pipe.db"
    os.mkfifo(pipe)
    refused(pipe, "no plain file")


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
    refused(path, "no ledger of spxarb")
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
def test_a_damaged_ledger_is_refused_and_not_changed(ledger, damage, read_only):
    damage(ledger)
    before = ledger.read_bytes()
    refused(ledger, "damaged", "restore", read_only=read_only)
    assert ledger.read_bytes() == before


def test_a_damaged_ledger_keeps_the_log_that_a_crash_left_beside_it(ledger, tmp_path):
    crashed = tmp_path / "crashed" / "trading.db"
    crashed.parent.mkdir()
    with Ledger.open(ledger, mode="paper") as store:
        store.state.raise_flag("close-all", "", store_time())
        for file in ledger.parent.iterdir():
            shutil.copy(file, crashed.parent)
    assert crashed.with_name("trading.db-wal").stat().st_size > 0
    damage_middle(crashed)
    before = contents(crashed)
    refused(crashed, "damaged")
    assert contents(crashed) == before


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("lost", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_log_without_its_ledger_is_not_thrown_away(ledger, tmp_path, lost, read_only):
    left = tmp_path / "left" / "trading.db"
    left.parent.mkdir()
    with Ledger.open(ledger, mode="paper") as store:
        store.state.raise_flag("close-all", "", store_time())
        for file in ledger.parent.iterdir():
            shutil.copy(file, left.parent)
    lost(left)
    before = contents(left)
    refused(left, "trading.db-wal", "holds data", read_only=read_only)
    assert contents(left) == before


def test_an_empty_file_becomes_a_ledger(path):
    path.parent.mkdir(parents=True)
    path.touch(0o644)
    with Ledger.open(path, mode="paper") as store:
        assert store.trades.open() == []
    assert mode_of(path) == 0o600


@pytest.mark.parametrize("read_only", [False, True])
def test_a_ledger_of_a_newer_program_is_refused_and_not_changed(ledger, read_only):
    with closing(sqlite3.connect(ledger)) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
        db.commit()
    before = ledger.read_bytes()
    refused(ledger, "newer spxarb", "version 99", read_only=read_only)
    assert ledger.read_bytes() == before


@contextmanager
def as_nobody():
    """As a user who owns nothing here; for any but root the file's own rights do."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public():
    """A folder that everybody may look into."""
    folder = Path(tempfile.mkdtemp(prefix="spxarb-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_ledger_that_this_user_may_not_write_is_refused_and_can_be_read(public):
    path = public / "trading.db"
    with Ledger.open(path, mode="paper") as store:
        store.state.raise_flag("close-all", "why not", store_time())
    path.chmod(0o444)
    public.chmod(0o555)
    before = path.read_bytes()
    with as_nobody():
        refused(path, "may not write", "right to write")
        with Ledger.open(path, mode="paper", read_only=True) as store:
            assert store.state.flag("close-all") == "why not"
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


def test_a_ledger_that_another_program_keeps_locked_is_refused_in_time(ledger, monkeypatch):
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.3)
    with (
        Ledger.open(ledger, mode="paper") as store,
        closing(sqlite3.connect(ledger, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RefusedError, match="locked") as caught:
            store.state.lower_flag("any")
        assert "\n" not in str(caught.value)
        assert store.state.flag("any") is None  # reading goes on
        other.execute("ROLLBACK")
        store.state.lower_flag("any")


def test_an_exclusive_lock_by_another_program_is_refused_in_time(ledger, monkeypatch):
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.3)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE system_state SET trading_reason = 'mine'")
        refused(ledger, "locked")


def test_a_ledger_in_the_making_is_waited_for(path):
    """SQLite does not wait by itself for one who is about to write a file that is not yet in WAL mode."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.3, other.execute, ["ROLLBACK"])
        timer.start()
        Ledger.open(path, mode="paper").close()
        timer.join()


def test_a_full_disk_is_told_and_undoes_the_whole_transaction(path):
    with Ledger.open(path, mode="paper") as store:
        pages = store._file._db.execute("PRAGMA page_count").fetchone()[0]
        store._file._db.execute(f"PRAGMA max_page_count = {pages + 4}")

        def fill():
            with store.write():
                store.state.raise_flag("first", "", store_time())
                store.state.raise_flag("second", "x" * 100_000, store_time())

        with pytest.raises(RefusedError, match="disk is full") as caught:
            fill()
        assert "\n" not in str(caught.value)
        assert store.state.flag("first") is None


# --- transactions -----------------------------------------------------------------------------------


def test_a_transaction_is_all_or_nothing(path):
    with Ledger.open(path, mode="paper") as store:

        def fail_half_way():
            with store.write():
                store.state.raise_flag("close-all", "", store_time())
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_half_way()
        assert store.state.flag("close-all") is None
        with store.write():
            store.state.raise_flag("one", "", store_time())
            store.state.raise_flag("two", "", store_time())
        assert (store.state.flag("one"), store.state.flag("two")) == ("", "")


def test_nothing_of_a_transaction_is_seen_before_its_end(path):
    with Ledger.open(path, mode="paper") as store, Ledger.open(path, mode="paper") as reader:
        with store.write():
            store.state.raise_flag("close-all", "", store_time())
            assert reader.state.flag("close-all") is None
        assert reader.state.flag("close-all") == ""


def test_transactions_do_not_nest(path):
    with Ledger.open(path, mode="paper") as store:
        with store.write():
            with pytest.raises(RuntimeError, match="open already"), store.write():
                raise AssertionError
            store.state.raise_flag("close-all", "", store_time())
        assert store.state.flag("close-all") == ""


def test_a_mistake_of_ours_is_no_refusal(path):
    with Ledger.open(path, mode="paper") as store:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            store._file.rows("SELECT * FROM nowhere")
        with pytest.raises(sqlite3.IntegrityError):
            store._file.insert("settlements", {"trade_id": 1})


def test_two_writers_wait_for_each_other_and_both_succeed(path):
    code = """
import sys
from datetime import datetime
from pathlib import Path
from spxarb.ledger.ledger import Ledger
now = datetime.now().astimezone()
with Ledger.open(Path(sys.argv[1]), mode="paper") as store:
    for number in range(40):
        with store.write():
            count = int(store.state.flag("count") or 0)
            store.runs.begin("status", [], now)
            store.state.raise_flag("count", str(count + 1), now)
"""
    Ledger.open(path, mode="paper").close()
    jobs = [python(code, path) for _ in range(3)]
    for job in jobs:
        job.communicate(timeout=60)
    assert [job.returncode for job in jobs] == [0, 0, 0]
    with Ledger.open(path, mode="paper") as store:
        assert store.state.flag("count") == "120"
        assert store._file.value("SELECT count(*) FROM runs") == 120


def test_a_writer_waits_for_a_slow_one(path):
    code = """
import sys
from datetime import datetime
from pathlib import Path
from spxarb.ledger.ledger import Ledger
with Ledger.open(Path(sys.argv[1]), mode="paper") as store:
    print("opened", flush=True)
    store.state.raise_flag("waited", "", datetime.now().astimezone())
"""
    with Ledger.open(path, mode="paper") as store:
        with running(code, path) as other:
            with store.write():
                assert other.stdout.readline() == "opened\n"
                with pytest.raises(subprocess.TimeoutExpired):
                    other.wait(timeout=0.3)
                store.state.raise_flag("slow", "", store_time())
            assert other.wait(timeout=30) == 0
        assert (store.state.flag("slow"), store.state.flag("waited")) == ("", "")


def test_a_process_killed_in_the_middle_leaves_nothing_half(path):
    code = """
import sys
from datetime import datetime
from pathlib import Path
from spxarb.ledger.ledger import Ledger
now = datetime.now().astimezone()
with Ledger.open(Path(sys.argv[1]), mode="paper") as store:
    store.state.raise_flag("before", "", now)
    with store.write():
        store.runs.begin("enter", [], now)
        store.state.raise_flag("half", "", now)
        print("in", flush=True)
        sys.stdin.read()
"""
    with running(code, path) as process:
        assert process.stdout.readline() == "in\n"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    with Ledger.open(path, mode="paper") as store:
        assert store.state.flag("before") == ""
        assert store.state.flag("half") is None
        assert store._file.value("SELECT count(*) FROM runs") == 0


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
    with Ledger.open(path, mode="paper") as store:
        assert store.state.is_trading()
        assert store._file.value("PRAGMA integrity_check") == "ok"


# --- versions ---------------------------------------------------------------------------------------


def add_column(db):
    db.execute("ALTER TABLE trades ADD COLUMN colour TEXT NOT NULL DEFAULT 'green'")


def add_table(db):
    db.execute("CREATE TABLE colours (name TEXT)")


def fail(db):
    db.execute("CREATE TABLE halves (name TEXT)")
    raise ZeroDivisionError


@pytest.fixture
def newer(monkeypatch):
    """A program that knows more versions of the tables."""

    def grow(*migrations):
        monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, *migrations])

    return grow


def backups(path):
    return sorted(path.parent.glob(f"{path.name}.v*.bak"))


@pytest.mark.parametrize("read_only", [False, True])
def test_an_older_ledger_is_copied_once_and_then_brought_up_to_date(ledger, newer, read_only):
    old = schema.newest_version()
    newer(add_column, add_table)
    with Ledger.open(ledger, mode="paper", read_only=read_only) as store:
        assert store.state.trading_reason() == "as found"
        assert store._file.rows("SELECT colour FROM trades") == []
        assert store._file.rows("SELECT name FROM colours") == []
        assert store._file.value("SELECT value FROM meta WHERE key = 'schema_version'") == str(old + 2)
    (backup,) = backups(ledger)
    assert f".v{old}-" in backup.name
    assert mode_of(backup) == 0o600
    with closing(sqlite3.connect(backup)) as db:
        assert db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == (str(old),)
        assert db.execute("SELECT trading_reason FROM system_state").fetchone() == ("as found",)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    Ledger.open(ledger, mode="paper").close()
    assert backups(ledger) == [backup]


def test_the_copy_holds_what_only_the_log_of_a_crash_has(ledger, tmp_path, newer):
    crashed = tmp_path / "crashed" / "trading.db"
    crashed.parent.mkdir()
    with Ledger.open(ledger, mode="paper") as store:
        store.state.raise_flag("close-all", "only in the log", store_time())
        for file in ledger.parent.iterdir():
            shutil.copy(file, crashed.parent)
    newer(add_table)
    with Ledger.open(crashed, mode="paper") as store:
        assert store.state.flag("close-all") == "only in the log"
    with closing(sqlite3.connect(backups(crashed)[0])) as db:
        assert db.execute("SELECT reason FROM flags").fetchone() == ("only in the log",)


def test_a_new_ledger_needs_no_copy(path, newer):
    newer(add_table)
    with Ledger.open(path, mode="paper") as store:
        assert store._file.rows("SELECT name FROM colours") == []
    assert backups(path) == []


def test_a_migration_that_fails_leaves_the_version_before_it(ledger, newer):
    newer(add_table, fail)
    with pytest.raises(ZeroDivisionError):
        Ledger.open(ledger, mode="paper")
    assert len(backups(ledger)) == 1
    with closing(sqlite3.connect(ledger)) as db:
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
        version = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    assert "colours" in names
    assert "halves" not in names
    assert version == (str(schema.newest_version() - 1),)


def test_a_migration_that_fails_at_every_start_does_not_fill_the_disk_with_copies(ledger, newer):
    newer(fail)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            Ledger.open(ledger, mode="paper")
    assert backups(ledger) == []


def test_without_a_copy_there_is_no_migration(ledger, newer, monkeypatch):
    def no_room(path):
        raise OSError(28, "No space left on device")

    newer(add_table)
    monkeypatch.setattr(schema, "new_file", no_room)
    refused(ledger, "no backup could be made", "No space left")
    with closing(sqlite3.connect(ledger)) as db:
        assert db.execute("SELECT name FROM sqlite_master WHERE name = 'colours'").fetchone() is None


def test_an_older_ledger_that_may_not_be_written_is_refused(public, newer):
    path = public / "trading.db"
    Ledger.open(path, mode="paper").close()
    path.chmod(0o444)
    public.chmod(0o555)
    newer(add_table)
    with as_nobody():
        refused(path, "older spxarb", read_only=True)


def test_jobs_that_start_together_after_an_upgrade_migrate_once(ledger):
    code = """
import sys, time
from pathlib import Path
from spxarb.ledger import schema
from spxarb.ledger.ledger import Ledger
def slowly(db):
    db.execute("CREATE TABLE colours (name TEXT)")
    time.sleep(0.2)
schema.MIGRATIONS.append(slowly)
sys.stdin.read()
Ledger.open(Path(sys.argv[1]), mode="paper").close()
"""
    jobs = [python(code, ledger) for _ in range(4)]
    for job in jobs:
        job.stdin.close()
        job.stdin = None
    for job in jobs:
        job.communicate(timeout=60)
    assert [job.returncode for job in jobs] == [0] * 4
    assert len(backups(ledger)) == 1


def test_a_copy_is_whole_private_and_replaces_nothing(ledger, tmp_path):
    target = tmp_path / "copy.db"
    with Ledger.open(ledger, mode="paper") as store:
        store.state.raise_flag("close-all", "in the log still", store_time())
        schema.copy_to(ledger, target)
        with pytest.raises(FileExistsError):
            schema.copy_to(ledger, target)
    assert mode_of(target) == 0o600
    with Ledger.open(target, mode="paper") as copy:
        assert copy.state.flag("close-all") == "in the log still"
