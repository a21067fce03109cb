"""What a human hears of a day by mail, what waits when nobody takes it, and what nobody ran."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from actions import enter, lonely, playing, tomorrow
from harness import fault
from mail_server import mail_server
from sink import listening_sink, variables

from spxarb.core.brief import dollars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

MINUTES = timedelta(minutes=1)


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        made.settings["trading"] = {"max_spreads_per_day": 1}
        made.write_config()
        yield made


def mail_to(stage: Stage, port: int, **more: object) -> None:
    smtp = {"smtp_host": "127.0.0.1", "smtp_port": port}
    stage.settings["notifications"] = {
        "email_enabled": True,
        "email_address": "me@example.com",
        **smtp,
        **more,
    }
    stage.write_config()


def later(stage: Stage, minutes: int = 5) -> None:
    stage.sim.control.set_time(stage.sim.control.time() + minutes * MINUTES)


def outbox(stage: Stage) -> list[tuple[str, str]]:
    return [(row["kind"], row["key"]) for row in stage.sql("SELECT kind, key FROM outbox ORDER BY id")]


def test_a_day_by_mail_entry_exit_and_summary_a_mail_a_run_and_nothing_twice(stage):
    with mail_server() as box:
        mail_to(stage, box.port)
        enter(stage)
        stage.at("15:45")
        assert stage.run("monitor").code == 0
        assert stage.run("monitor").code == 0
        stage.at("16:05")
        assert stage.run("settle").code == 0
        assert stage.run("settle").code == 0
    assert [mail["Subject"] for mail in box.mails] == [
        "spxarb enter: a spread was entered",
        "spxarb monitor: a spread was exited",
        "spxarb settle: the day",
    ]
    entered, exited, summary = box.bodies
    assert entered.startswith("Entered: trade 1, credit $")
    assert exited.startswith("Exited trade 1 (TIME), P&L $")
    assert summary.startswith(f"{stage.day}: final: 1 trade, net $")
    sent = stage.sql("SELECT sent_to, failure FROM alerts")
    assert sent == [{"sent_to": "me@example.com", "failure": None}] * 3


def test_each_kind_can_be_off(stage):
    with mail_server() as box:
        mail_to(stage, box.port, entry=False, exit=False, daily_summary=False)
        enter(stage)
        stage.at("15:45")
        assert stage.run("monitor").code == 0
        stage.at("16:05")
        assert stage.run("settle").code == 0
        mail_to(stage, box.port, error=False, human_needed=False)
        stage.write_config(ib={"port": 1}, execution={"connect_timeout_seconds": 0.2})
        assert stage.run("enter").code == 4
    assert box.mails == []


def test_an_entry_that_a_fault_prevents_is_told_once_an_hour_and_one_that_the_market_prevents_is_not(stage):
    with listening_sink() as sink:
        stage.write_config(trading={"min_entry_credit": 5000})
        assert stage.run("enter", env=sink.variables)["outcome"] == "skipped"
        assert sink.alerts == []
        stage.write_config()
        stage.sim.control.script([fault("delayed", lasts="always")])
        assert stage.run("enter", env=sink.variables)["outcome"] == "skipped"
        later(stage)
        assert stage.run("enter", env=sink.variables)["outcome"] == "skipped"
    (alert,) = sink.alerts
    assert alert.startswith("Skipped: ")


@pytest.mark.parametrize("way", ["nobody listens", "it refuses"])
def test_what_did_not_go_out_is_sent_by_the_next_job_and_the_job_is_none_the_worse(stage, way):
    with mail_server() as refusing, mail_server() as box:
        refusing.refusing = True
        mail_to(stage, refusing.port if way == "it refuses" else 1)
        enter(stage)
        assert outbox(stage) == [("entry", "entry 1")]
        (row,) = stage.sql("SELECT failure, attempts, ways FROM outbox")
        assert (row["attempts"], json.loads(row["ways"])) == (1, ["me@example.com"])
        later(stage, 30)
        assert stage.run("monitor").code == 0
        assert stage.sql("SELECT attempts FROM outbox") == [{"attempts": 2}]
        mail_to(stage, box.port)
        later(stage)
        assert stage.run("monitor").code == 0
        later(stage, 7)  # by hand: no timer is as uneven
        assert stage.run("monitor").code == 0
    (body,) = box.bodies
    assert body.startswith("Not sent at ")
    assert ": Entered: trade 1, credit $" in body
    assert outbox(stage) == []


def test_only_the_way_that_failed_is_tried_again(stage, tmp_path):
    with listening_sink() as sink, mail_server() as box:
        (tmp_path / "urls").write_text(f"json://127.0.0.1:{sink.server_address[1]}/\n")
        (tmp_path / "urls").chmod(0o600)
        mail_to(stage, 1, urls_file=str(tmp_path / "urls"))
        enter(stage)
        mail_to(stage, box.port, urls_file=str(tmp_path / "urls"))
        later(stage)
        assert stage.run("monitor").code == 0
    assert (len(sink.alerts), len(box.mails)) == (1, 1)


def test_an_outbox_that_is_full_or_cannot_be_written_hides_no_alarm(stage):
    mail_to(stage, 1, entry=False)
    enter(stage)
    with closing(sqlite3.connect(stage.database)) as db, db:
        for number in range(60):
            row = (f"day {number}", "daily_summary", "x", "2999-01-01T00:00:00-05:00", '["me@example.com"]')
            db.execute(
                "INSERT INTO outbox (key, kind, text, created_at, ways, attempts, tried_at, failure)"
                " VALUES (?, ?, ?, ?, ?, 1, '', '')",
                row,
            )
    (spx,) = stage.sql("SELECT con_id FROM orders WHERE leg = 'SPX'")
    stage.sim.control.script([fault("foreign_position", side="SELL", quantity=1, con_id=spx["con_id"])])
    assert stage.run("monitor").code == 6
    kinds = [kind for kind, _ in outbox(stage)]
    assert (len(kinds), kinds.count("human_needed")) == (50, 1)
    with closing(sqlite3.connect(stage.database)) as db, db:
        db.execute("DELETE FROM meta WHERE key = 'alerts'")
        db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    with mail_server() as box:
        mail_to(stage, box.port)
        assert stage.run("monitor").code == 6
    assert [mail["Subject"] for mail in box.mails] == ["spxarb monitor: a human is needed now"]


def test_what_waited_for_a_week_is_told_no_more(stage):
    mail_to(stage, 1)
    enter(stage)
    with closing(sqlite3.connect(stage.database)) as db, db:
        db.execute("UPDATE outbox SET created_at = '2020-01-01T00:00:00-05:00'")
    with mail_server() as box:
        mail_to(stage, box.port)
        assert stage.run("monitor").code == 0
    assert (box.mails, outbox(stage)) == ([], [])
    assert "never sent, and too old by now: Entered: trade 1" in (stage.folder / "trading.log").read_text()


def test_a_job_that_fails_or_cannot_begin_is_told_once_an_hour(tmp_path):
    with listening_sink() as sink:
        stage = lonely(tmp_path, 1)
        env = variables(sink.server_address[1])
        assert [stage.run("monitor", env=env).code for _ in range(2)] == [4, 4]
        (first,) = sink.alerts
        assert first.startswith("Nothing listens at 127.0.0.1:1.")
        stage.write_config(trading={"max_ratio": "ten"})
        assert [stage.run("enter", env=env).code for _ in range(2)] == [3, 3]
        _, second = sink.alerts
        assert "trading.max_ratio" in second
        assert stage.run("status", "--offline", env=env).code == 3
        assert len(sink.alerts) == 2


def test_a_run_that_was_missed_is_told_once_by_the_next_command(stage):
    with listening_sink() as sink:
        enter(stage)
        stage.at("15:45")
        assert stage.run("monitor", env=sink.variables).code == 0
        sink.alerts.clear()
        tomorrow(stage, 10, 30)
        done = stage.run("monitor", env=sink.variables)
        yesterday = stage.day - timedelta(days=1)
        settle = f"settle did not run on {yesterday}: it was due at 16:05."
        missed = f"enter did not run on {stage.day}: it was due from 09:35 to 10:00."
        assert (done.code, [note for note in done["notes"] if "did not run" in note]) == (0, [missed, settle])
        (alert,) = sink.alerts
        assert alert.splitlines() == [missed, settle]
        later(stage)
        assert [note for note in stage.run("monitor")["notes"] if "did not run" in note] == []
        assert len(sink.alerts) == 1
    log = (stage.folder / "trading.log").read_text()
    assert log.count(settle) == 1


def test_a_timers_monitor_that_paused_while_a_spread_was_open_is_told(stage):
    enter(stage)
    for clock in ("09:40", "09:45"):
        stage.at(clock)
        assert stage.run("monitor").code == 0
    stage.at("10:30")
    (told,) = stage.run("monitor")["notes"]
    gap = "monitor did not run from 09:50 to 10:25 (8 times)"
    assert told == f"{gap} on {stage.day}, while a spread was open."


def test_no_secret_is_in_a_ledger_a_log_or_an_argument(stage, tmp_path):
    (tmp_path / "password").write_text("open sesame")
    (tmp_path / "password").chmod(0o600)
    mail_to(stage, 1, smtp_user="me", smtp_password_file=str(tmp_path / "password"))
    env = {"SPXARB_NOTIFY_URL": "json://user:swordfish@127.0.0.1:1/tokentoken"}
    assert stage.run("enter", env=env)["outcome"] == "entered"
    assert len(outbox(stage)) == 1
    for path in stage.folder.glob("trading.*"):
        data = path.read_bytes()
        assert [word for word in (b"sesame", b"swordfish", b"tokentoken") if word in data] == [], path


def test_the_same_trouble_of_other_commands_is_told_once_and_a_dry_run_tells_none(tmp_path):
    with listening_sink() as sink:
        stage = lonely(tmp_path, 1)
        env = variables(sink.server_address[1])
        assert stage.run("enter", "--dry-run", env=env).code == 4
        assert sink.alerts == []
        assert stage.sql("SELECT * FROM meta WHERE key = 'alerts'") == stage.sql("SELECT * FROM alerts") == []
        assert [stage.run(verb, env=env).code for verb in ("monitor", "settle")] == [4, 4]
    (alert,) = sink.alerts
    assert alert.startswith("Nothing listens at 127.0.0.1:1.")


def test_where_one_of_two_troubles_is_dealt_with_the_other_is_not_told_again(stage):
    enter(stage)
    leg = {row["leg"]: row["con_id"] for row in stage.sql("SELECT leg, con_id FROM orders")}
    by_hand = [("SPY", "BUY", 3), ("SPX", "SELL", 1)]
    stage.sim.control.script(
        [fault("foreign_position", side=side, quantity=n, con_id=leg[name]) for name, side, n in by_hand]
    )
    with listening_sink() as sink:
        assert stage.run("monitor", env=sink.variables).code == 6
        first, *_ = stage.sql("SELECT id FROM matters WHERE acknowledged_at IS NULL ORDER BY id")
        assert stage.run("ack", str(first["id"]), env=sink.variables).code == 0
        assert stage.run("monitor", env=sink.variables).code == 6
    assert len(sink.alerts) == 1


def test_an_exit_is_told_with_its_result_by_its_fills_and_trouble_comes_first(stage):
    gone = fault("no_quotes", when={"symbol": "SPX", "request": "market_data"}, lasts="always")
    with listening_sink() as sink:
        enter(stage)
        stage.at("15:45")
        stage.sim.control.script([gone])
        done = stage.run("monitor", env=sink.variables)
    (row,) = stage.sql("SELECT final_pnl FROM trades")
    (position,) = done["positions"]
    assert (position["current_pnl"], position["final_pnl"]) == (None, row["final_pnl"])
    (alert,) = sink.alerts
    trouble, told = alert.splitlines()
    assert (trouble, told) == (done["error"], f"Exited trade 1 (TIME), P&L {dollars(row['final_pnl'])}.")
    assert told[:-1].partition("P&L ")[2] in stage.run("log", as_json=False).out
