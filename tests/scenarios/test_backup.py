"""`backup` and `restore` as processes: whatever happens, the ledger is whole, and nothing is traded twice."""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tarfile
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from actions import dump, enter, live_orders, playing, settings, tomorrow, wait_until
from harness import Stage, fault
from relay import free_port

from spxarb.config.load import load
from spxarb.core.model import NEW_YORK
from spxarb.core.own_names import lock_of
from spxarb.errors import RefusedError
from spxarb.ledger.ledger import Ledger
from spxarb.lock import job_lock
from spxarb.trading.restoring import Restoring

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Done


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        settings(made, max_spreads_per_day=1)
        yield made


@pytest.fixture
def desk(tmp_path) -> Stage:
    """A ledger on the disk, and no gateway."""

    class NoGateway:
        port = free_port()

    made = Stage(tmp_path, NoGateway(), {"execution": {"connect_timeout_seconds": 0.4}})
    made.write_config(trading={"mode": "paper"})
    assert made.run("stop", "--reason", "first").code == 0
    return made


def backup(stage: Stage, *words: str) -> Path:
    done = stage.run("backup", *words)
    assert done.code == 0, done.err
    return Path(done["file"])


def digest_of(folder: Path) -> dict[str, str]:
    """Every file below, but the log, the lock, and what SQLite leaves beside a file that it cannot read."""
    left = {".log", ".lock", ".db-shm"}
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix not in left and file.stat().st_size
    }


def reason(stage: Stage) -> str:
    (row,) = stage.sql("SELECT trading_reason FROM system_state")
    return str(row["trading_reason"])


def scribble(stage: Stage) -> None:
    """Damage a page in the middle of the ledger."""
    with stage.database.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 2)


# --- making one -----------------------------------------------------------------------------------------


def test_a_backup_is_one_private_file_of_all_that_is_needed_without_secrets(desk):
    (desk.folder / ".env").write_text("SPXARB_NOTIFY_URL=json://127.0.0.1:1/hunter2\nMAX_DAILY_LOSS=900\n")
    done = desk.run("backup")
    file = Path(done["file"])
    assert done.code == 0
    assert done["contents"] == ["trading.db", "config.yaml", ".env", "trading.log"]
    assert done["left_out"] == ["SPXARB_NOTIFY_URL (.env)"]
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    assert done["bytes"] == file.stat().st_size
    with tarfile.open(file) as tar:
        assert {member.mode for member in tar} == {0o600}
        kept = {name: tar.extractfile(name).read() for name in tar.getnames()}
    assert b"hunter2" not in b"".join(kept.values())
    assert b"MAX_DAILY_LOSS=900" in kept[".env"]
    assert sorted(file.name for file in file.parent.iterdir()) == [file.name]  # nothing half done is left
    assert [row["command"] for row in desk.sql("SELECT command FROM runs")] == ["stop"]


WRITER = """
import sqlite3, sys
from datetime import datetime
from pathlib import Path
from spxarb.ledger.ledger import Ledger
from spxarb.core.model import NEW_YORK
with Ledger.open(Path(sys.argv[1]), mode="paper") as ledger:
    while True:
        with ledger.write():
            run = ledger.runs.begin("monitor", [], datetime.now(NEW_YORK))
            ledger.runs.end(run, datetime.now(NEW_YORK), 0, None)
"""


def test_backups_made_while_others_write_are_whole_and_hold_whole_transactions(desk):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(desk.database)]) for _ in range(2)]
    try:
        wait_until(lambda: desk.sql("SELECT count(*) AS n FROM runs")[0]["n"] > 50)
        files = [backup(desk) for _ in range(3)]
        assert all(writer.poll() is None for writer in writers)
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    counts = []
    for number, file in enumerate(files):
        copy = desk.folder / f"{number}.db"
        with tarfile.open(file) as tar:
            copy.write_bytes(tar.extractfile("trading.db").read())
        with closing(sqlite3.connect(copy)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert db.execute("SELECT count(*) FROM runs WHERE ended_at IS NULL").fetchone() == (0,)
            counts.append(db.execute("SELECT count(*) FROM runs").fetchone()[0])
        assert desk.run("restore", "--check", str(file))["digest_matches"] is True
    assert counts == sorted(set(counts)), "nobody wrote"


@pytest.mark.parametrize("damage", ["absent", "damaged", "no folder", "exists"])
def test_a_backup_that_cannot_be_made_leaves_nothing_behind(desk, damage):
    words, code = ["backup"], 5
    match damage:
        case "absent":
            desk.database.unlink()
        case "damaged":
            scribble(desk)
        case "no folder":
            (desk.folder / "backups").write_text("a file")
        case "exists":
            (desk.folder / "x.tar.gz").write_text("mine")
            words, code = ["backup", "--output", "x.tar.gz"], 2
    before = digest_of(desk.folder)
    done = desk.run(*words)
    assert (done.code, bool(done.err)) == (code, True)
    assert digest_of(desk.folder) == before


def test_a_full_disk_is_told_and_leaves_nothing_behind(desk):
    (desk.folder / "backups").mkdir(mode=0o700)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); import signal; "
    run = "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from spxarb.__main__ import main; raise SystemExit(main())"
    words = ["--config", str(desk.config), "backup", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv[1:] = {words!r}; {limit}{run}"],
        capture_output=True,
        text=True,
        check=False,
        env=desk.environment(),
        cwd=desk.folder,
    )
    assert done.returncode == 5, done.stderr
    assert list((desk.folder / "backups").iterdir()) == []


def test_backups_older_than_the_days_are_deleted_and_others_files_are_not(desk):
    first = backup(desk)
    old = [first.with_name(first.name.replace(first.name[-22:-14], day)) for day in ("20200101", "20200102")]
    for file in old:
        shutil.copy(first, file)
    (first.parent / "notes.txt").write_text("mine")
    done = desk.run("backup")
    assert done["deleted"] == [str(file) for file in old]
    assert {file.name for file in first.parent.iterdir()} == {
        first.name,
        Path(done["file"]).name,
        "notes.txt",
    }


# --- settle makes one a day -----------------------------------------------------------------------------


def test_settle_makes_one_backup_an_evening_and_its_verdict_never_hangs_on_it(stage):
    for clock in ("09:36", "13:05"):
        stage.at(clock)
        early = stage.run("settle")
        assert (early.code, early["backup"]) == (0, None)
    stage.at("16:06")
    first = stage.run("settle")
    assert (first.code, first["summary"]["date"]) == (0, stage.day.isoformat())
    assert Path(first["backup"]).exists()
    assert any("Backed up to" in note for note in first["notes"])
    again = stage.run("settle")
    assert again["backup"] == first["backup"]
    assert len(list(Path(first["backup"]).parent.iterdir())) == 1
    shutil.rmtree(Path(first["backup"]).parent)
    (stage.folder / "backups").write_text("a file")
    failed = stage.run("settle")
    assert (failed.code, failed["backup"], failed["summary"]) == (0, None, first["summary"])
    assert any("No backup was made today" in note for note in failed["notes"])
    stage.write_config(backup={"daily": False})
    assert stage.run("settle")["notes"] == []


def test_a_settle_that_fails_makes_its_backup_all_the_same(stage):
    assert stage.run("monitor").code == 0
    stage.at("16:06")
    stage.run("status")
    stage.write_config(ib={"port": free_port()}, execution={"connect_timeout_seconds": 0.4})
    assert stage.run("settle").code == 4
    assert len(list((stage.folder / "backups").iterdir())) == 1


# --- putting one back -----------------------------------------------------------------------------------


def copy_without_log(stage: Stage) -> Path:
    return Path(shutil.copy(stage.database, stage.folder / "copy.db"))


def copy_with_log(stage: Stage) -> Path:
    """As `cp trading.db*` takes it while somebody has the ledger open: the newest rows are in the log alone."""
    with Ledger.open(stage.database, mode=stage.mode) as ledger:
        ledger.state.set_trading(False, "in the log", datetime.now(NEW_YORK))
        for name in ("", "-wal"):
            shutil.copy(f"{stage.database}{name}", f"{stage.folder / 'copy.db'}{name}")
    return stage.folder / "copy.db"


@pytest.mark.parametrize("copy", [backup, copy_without_log, copy_with_log])
def test_a_ledger_comes_back_from_a_backup_and_from_a_plain_copy(desk, copy):
    file = copy(desk)
    there = reason(desk)
    assert desk.run("start").code == 0
    before = digest_of(desk.folder)
    kept = desk.database.read_bytes()
    done = desk.run("restore", str(file))
    assert (done.code, done["restored"]) == (0, True), done.err
    assert done["digest_matches"] is (True if copy is backup else None)
    assert reason(desk) == there
    assert Path(done["kept"]).read_bytes()[100:] == kept[100:]  # the header tells another journal mode
    assert (
        digest_of(desk.folder)[str(file.relative_to(desk.folder))]
        == before[str(file.relative_to(desk.folder))]
    )
    assert stat.S_IMODE(desk.database.stat().st_mode) == 0o600
    assert desk.run("log")["entries"][-1]["command"] == "restore"


@pytest.mark.parametrize("damage", [scribble, lambda stage: stage.database.unlink()], ids=["damaged", "gone"])
def test_a_ledger_that_is_damaged_or_gone_comes_back(desk, damage):
    file = backup(desk)
    damage(desk)
    done = desk.run("restore", str(file))
    assert (done.code, done["restored"], bool(done["kept"])) == (0, True, damage is scribble)
    assert desk.run("status", "--offline").code == 0
    assert reason(desk) == "first"


def test_what_was_stopped_since_the_backup_stays_stopped(desk):
    assert desk.run("start").code == 0
    file = backup(desk)
    assert desk.run("stop", "--reason", "holidays").code == 0
    assert desk.run("restore", str(file)).code == 0
    assert (desk.sql("SELECT is_trading FROM system_state"), reason(desk)) == (
        [{"is_trading": 0}],
        "holidays",
    )


def test_a_check_changes_nothing_at_all(desk):
    file = backup(desk)
    assert desk.run("start").code == 0
    before = digest_of(desk.folder)
    done = desk.run("restore", "--check", str(file))
    assert (done.code, done["check"], done["restored"]) == (0, True, False)
    assert (done["digest_matches"], done["same_as_ledger"], done["kept"]) == (True, False, None)
    assert digest_of(desk.folder) == before


def torn(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])


def turned(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    file.write_bytes(raw)


def swapped(file: Path) -> None:
    """The ledger in the archive is another one than the manifest says."""
    with tarfile.open(file) as tar:
        parts = [(member, tar.extractfile(member).read()) for member in tar]
    with tarfile.open(file, "w:gz") as tar:
        for member, content in parts:
            changed = content.replace(b"first", b"fIrst") if member.name == "trading.db" else content
            tar.addfile(member, io.BytesIO(changed))


def another(file: Path) -> None:
    """A tar with a path in it that leads elsewhere."""
    with tarfile.open(file, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../../evil"))


@pytest.mark.parametrize("damage", [torn, turned, swapped, another])
@pytest.mark.parametrize("words", [("restore",), ("restore", "--check")], ids=" ".join)
def test_a_backup_that_is_not_what_was_made_is_refused(desk, damage, words):
    file = backup(desk)
    damage(file)
    before = digest_of(desk.folder)
    done = desk.run(*words, str(file))
    assert (done.code, str(file) in done.err) == (5, True)
    assert digest_of(desk.folder) == before


def of_a_newer_version(db: sqlite3.Connection) -> None:
    db.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'")


def of_another_mode(db: sqlite3.Connection) -> None:
    db.execute("UPDATE meta SET value = 'live' WHERE key = 'mode'")


def of_another_account(db: sqlite3.Connection) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES ('account', 'DU2')")


def with_a_row_of_nothing(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("INSERT INTO marks (trade_id, at) VALUES (77, '2026-02-10T10:00:00-05:00')")


@pytest.mark.parametrize(
    "change", [of_a_newer_version, of_another_mode, of_another_account, with_a_row_of_nothing]
)
def test_the_ledger_of_others_is_refused(desk, change):
    with closing(sqlite3.connect(desk.database)) as db, db:
        of_another_account(db) if change is not of_another_account else None
        db.execute("UPDATE meta SET value = 'DU1' WHERE key = 'account'")
        db.execute("INSERT OR REPLACE INTO meta VALUES ('account', 'DU1')")
    file = copy_without_log(desk)
    with closing(sqlite3.connect(file)) as db, db:
        change(db)
    before = digest_of(desk.folder)
    for words in (("restore",), ("restore", "--check")):
        assert desk.run(*words, str(file)).code == 5
    assert digest_of(desk.folder) == before


@pytest.mark.parametrize("what", ["absent", "folder", "itself", "pipe", "text"])
def test_what_is_no_copy_is_refused(desk, what):
    path, code = desk.folder / "x", 2
    match what:
        case "folder":
            path.mkdir()
        case "itself":
            path = desk.database
        case "pipe":
            os.mkfifo(path)
        case "text":
            path.write_text("nothing")
            code = 5
    before = desk.database.read_bytes()
    assert desk.run("restore", str(path), timeout=20).code == code
    assert desk.database.read_bytes() == before


def test_nothing_is_replaced_under_a_program_that_has_the_ledger_open(desk):
    file = backup(desk)
    with closing(sqlite3.connect(desk.database)) as db:
        assert db.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        done = desk.run("restore", str(file))
        assert (done.code, "open" in done.err) == (5, True)
    assert desk.run("restore", str(file)).code == 0


def test_a_kill_at_any_moment_leaves_the_old_ledger_or_the_new_one(desk):
    file = backup(desk)
    assert desk.run("start").code == 0
    dice, seen = random.Random(7), set()
    for _ in range(8):
        process = desk.start("restore", str(file))
        time.sleep(dice.uniform(0.15, 0.6))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with closing(sqlite3.connect(desk.database)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            seen |= set(db.execute("SELECT mode FROM (SELECT value AS mode FROM meta WHERE key = 'mode')"))
    assert seen == {("paper",)}
    assert desk.run("restore", str(file))["restored"] is True
    assert desk.run("status", "--offline").code == 0


# --- over positions, and what the broker knows ----------------------------------------------------------


def test_a_ledger_with_open_trades_is_not_replaced_unless_it_is_forced(stage):
    file = backup(stage) if stage.run("monitor").code == 0 else None
    enter(stage)
    before = dump(stage)
    done = stage.run("restore", str(file))
    assert (done.code, "open trades (1)" in done.err) == (5, True)
    assert dump(stage) == before
    assert stage.run("restore", str(file), "--force")["restored"] is True


def restored_morning(stage: Stage) -> Done:
    """The ledger as it was before the day's entry."""
    done = stage.run("restore", str(stage.folder / "morning.tar.gz"), "--force")
    assert (done.code, done["restored"]) == (0, True), done.err
    return done


def keep_the_morning(stage: Stage) -> None:
    assert stage.run("monitor").code == 0
    backup(stage, "--output", "morning.tar.gz")


def test_a_spread_entered_after_the_backup_is_replayed_and_exited_when_it_is_due(stage):
    keep_the_morning(stage)
    enter(stage)
    (before,) = stage.sql("SELECT id, spx_strike, spy_strike, entry_credit, commissions FROM trades")
    orders = stage.sql("SELECT order_ref, con_id, side, quantity, client_id, order_id FROM orders ORDER BY 1")
    restored_morning(stage)
    assert stage.sql("SELECT * FROM trades") == []
    stage.at("12:00")
    assert stage.run("monitor", "--dry-run").code == 6  # it only looks: nothing is replayed
    done = stage.run("monitor")
    assert done.code == 0, done.err
    (position,) = done["positions"]
    assert (position["trade_id"], position["action"], position["status"]) == (1, "held", "ACTIVE")
    (after,) = stage.sql("SELECT id, spx_strike, spy_strike, entry_credit, commissions FROM trades")
    assert after == before
    replayed = "SELECT order_ref, con_id, side, quantity, client_id, order_id FROM orders ORDER BY 1"
    assert stage.sql(replayed) == orders
    stage.at("15:45")
    left = stage.run("monitor")
    assert (left.code, left["positions"][0]["action"]) == (0, "closed")
    assert stage.positions() == {}


def test_an_entry_after_a_restore_is_not_made_twice(stage):
    keep_the_morning(stage)
    enter(stage)
    held = stage.positions()
    restored_morning(stage)
    done = stage.run("enter")
    assert (done.code, done["outcome"]) == (0, "skipped"), done.err
    assert next(check for check in done["checks"] if check["name"] == "max_trades")["ok"] is False
    assert stage.positions() == held
    assert stage.sql("SELECT id, status FROM trades") == [{"id": 1, "status": "ACTIVE"}]


def test_a_spread_that_was_exited_after_the_backup_is_replayed_with_its_result(stage):
    keep_the_morning(stage)
    enter(stage)
    assert stage.run("close-all", "--yes")["flat"] is True
    assert stage.run("start").code == 0
    (before,) = stage.sql("SELECT entry_credit, exit_cost, final_pnl FROM trades")
    restored_morning(stage)
    assert stage.run("monitor").code == 0
    (after,) = stage.sql("SELECT entry_credit, exit_cost, final_pnl, status FROM trades")
    assert after == {**before, "status": "CLOSED"}
    assert stage.run("enter")["outcome"] == "skipped"


def test_an_exit_made_after_the_backup_is_replayed(stage):
    enter(stage)
    backup(stage, "--output", "morning.tar.gz")
    assert stage.run("close-all", "--yes")["flat"] is True
    (before,) = stage.sql("SELECT final_pnl FROM trades")
    assert stage.run("start").code == 0
    restored_morning(stage)
    assert stage.sql("SELECT status FROM trades") == [{"status": "ACTIVE"}]
    assert stage.run("monitor").code == 0
    assert stage.sql("SELECT status, final_pnl FROM trades") == [{"status": "CLOSED", **before}]
    assert stage.positions() == {}


def test_without_a_gateway_a_restored_ledger_does_not_say_that_nothing_is_open(stage):
    keep_the_morning(stage)
    enter(stage)
    restored_morning(stage)
    stage.write_config(ib={"port": free_port()}, execution={"connect_timeout_seconds": 0.4})
    done = stage.run("monitor")
    assert (done.code, "Nothing is open" in done.out) == (4, False)
    assert stage.run("enter").code == 4


def test_what_does_not_add_up_to_a_whole_entry_is_told_and_left_alone(stage):
    keep_the_morning(stage)
    enter(stage)
    restored_morning(stage)
    settings(stage, max_spreads_per_day=1, spy_contracts_per_spread=9)
    held = stage.positions()
    for _ in range(2):
        done = stage.run("monitor")
        assert (done.code, "knows nothing of" in done["error"]) == (6, True)
    assert stage.run("enter")["outcome"] == "skipped"
    assert (stage.sql("SELECT * FROM trades"), stage.positions()) == ([], held)
    tomorrow(stage)


def test_while_a_job_works_nothing_is_restored(desk):
    file = backup(desk)
    with job_lock(lock_of(desk.database), command="spxarb monitor", timeout=1):
        done = desk.run("restore", str(file), timeout=60)
    assert (done.code, "holds the lock" in done.err) == (7, True)


@pytest.mark.parametrize(
    ("clock", "verb", "status"),
    [("12:00", ("close-all", "--yes"), "CLOSED"), ("16:06", ("settle",), "ACTIVE")],
)
def test_every_job_that_may_act_replays_what_the_restored_ledger_lost(stage, clock, verb, status):
    settings(stage, max_spreads_per_day=1, broker_side_failsafe=False)
    keep_the_morning(stage)
    enter(stage)
    restored_morning(stage)
    stage.at(clock)
    looked = stage.run("status")
    assert (looked.code, stage.sql("SELECT * FROM trades")) == (6, [])  # it only looks
    assert any("restored at" in note for note in looked["notes"])
    done = stage.run(*verb)
    assert stage.sql("SELECT id, status FROM trades") == [{"id": 1, "status": status}], done.err
    if verb[0] == "close-all":
        assert (done.code, done["flat"], stage.positions()) == (0, True, {})
    assert not any("restored at" in note for note in stage.run("monitor")["notes"])


# --- what a restored ledger would forget ------------------------------------------------------------------


def test_a_hand_over_that_the_copy_does_not_know_can_be_made_again_before_anything_is_traded(stage):
    keep_the_morning(stage)
    enter(stage)
    assert stage.run("hand-over", "1").code == 0
    held = stage.positions()
    assert any("hand-over 1" in note for note in restored_morning(stage)["notes"])
    assert stage.run("hand-over", "7").code == 2
    assert restored_morning(stage)["restored"] is True
    assert stage.run("hand-over", "1").code == 0
    stage.at("15:45")
    stage.run("monitor")
    assert stage.positions() == held
    assert stage.sql("SELECT status FROM trades") == [{"status": "ACTIVE"}]


def test_a_whole_spread_that_close_all_finds_after_a_restore_is_exited_not_undone(stage):
    keep_the_morning(stage)
    enter(stage)
    restored_morning(stage)
    assert stage.run("close-all", "--yes")["flat"] is True
    (row,) = stage.sql("SELECT exit_reason, exit_cost IS NOT NULL AS has_cost FROM trades")
    assert row == {"exit_reason": "EMERGENCY", "has_cost": 1}


def test_days_of_which_no_list_tells_any_more_need_a_human_until_one_has_looked(stage):
    keep_the_morning(stage)
    enter(stage)
    tomorrow(stage)
    restored_morning(stage)
    for _ in range(2):
        done = stage.run("monitor")
        assert (done.code, "none of the broker's lists" in done["error"]) == (6, True)
    assert stage.run("ack", "1").code == 0
    assert stage.run("monitor").code == 0


def test_a_trade_that_could_not_be_rebuilt_is_told_on_the_next_day_too(stage):
    keep_the_morning(stage)
    enter(stage)
    restored_morning(stage)
    settings(stage, max_spreads_per_day=1, spy_contracts_per_spread=9)
    assert stage.run("monitor").code == 6
    tomorrow(stage)
    done = stage.run("monitor")
    assert (done.code, "trade 1 of 2026" in done["error"].casefold()) == (6, True)


def test_matters_and_stopped_days_of_the_old_ledger_stay(desk):
    file = backup(desk)
    now = datetime.now(NEW_YORK)
    with Ledger.open(desk.database, mode="paper") as ledger:
        ledger.matters.raise_("taken:spx", "others sold our call", None, now)
        ledger.stops.add(now.date(), now, "the daily loss limit was exceeded")
    done = desk.run("restore", str(file))
    assert any("matters" in note for note in done["notes"])
    with Ledger.open(desk.database, mode="paper", read_only=True) as ledger:
        assert [matter.text for matter in ledger.matters.open()] == ["others sold our call"]
        assert "daily loss limit" in ledger.stops.reason(now.date())


def test_a_working_order_that_the_restored_ledger_lost_is_not_called_flat(stage):
    keep_the_morning(stage)
    stage.sim.control.script([fault("hold_fills", lasts="always")])
    process = stage.start("enter")
    wait_until(lambda: bool(live_orders(stage)))
    process.kill()
    process.communicate()
    restored_morning(stage)
    done = stage.run("close-all", "--yes")
    assert (done.code, done["flat"]) == (6, False)
    assert stage.run("enter")["outcome"] == "skipped"


def test_entries_that_are_stopped_while_a_copy_is_restored_stay_stopped(desk):
    file = backup(desk)
    assert desk.run("start").code == 0

    class StoppedMeanwhile(Restoring):
        def _swapped(self, *rest):
            assert desk.run("stop", "--reason", "late").code == 0
            return super()._swapped(*rest)

    with pytest.raises(RefusedError, match="stopped"):
        StoppedMeanwhile(load(desk.config), file).restore(force=False)
    assert reason(desk) == "late"


def test_who_has_copied_an_older_ledger_over_his_own_is_told_of_restore_by_every_verb(tmp_path):
    with playing(tmp_path) as stage:
        assert stage.run("monitor").code == 0
        older = shutil.copy(stage.database, tmp_path / "older.db")
        enter(stage)
        shutil.copy(older, stage.database)
        for words in (("monitor",), ("enter",), ("status",), ("close-all", "--dry-run")):
            done = stage.run(*words)
            assert (done.code, done.err.count("\n")) == (6, 1), words
            assert "`spxarb restore FILE` with that copy" in done.err, words
        assert stage.run("restore", str(older)).code == 0
        assert [position["trade_id"] for position in stage.run("monitor")["positions"]] == [1]
