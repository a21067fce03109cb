"""Under systemd what trades reaches no other host: its alerts wait in the ledger, and another process sends them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from actions import enter, playing
from mail_server import mail_server
from sink import Receiver, listening_sink, variables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

IN_OUTBOX = {"SPXARB_ALERTS": "outbox"}


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        made.settings["trading"] = {"max_spreads_per_day": 1}
        made.write_config()
        yield made


def mail_to(stage: Stage, port: int) -> None:
    stage.settings["notifications"] = {
        "email_enabled": True,
        "email_address": "me@example.com",
        "smtp_host": "127.0.0.1",
        "smtp_port": port,
    }
    stage.write_config()


def waiting(stage: Stage) -> list[str]:
    return [row["kind"] for row in stage.sql("SELECT kind FROM outbox ORDER BY id")]


def test_a_day_whose_jobs_send_nothing_is_told_whole_by_the_sender_once_and_what_fails_is_tried_again(stage):
    with mail_server() as box:
        mail_to(stage, box.port)
        assert stage.run("send-alerts")["waited"] == 0, "there is no ledger yet"
        assert stage.run("enter", env=IN_OUTBOX)["outcome"] == "entered"
        stage.at("13:05")
        assert stage.run("settle", env=IN_OUTBOX).code == 0  # the firing that is for half-days
        stage.at("15:45")
        assert stage.run("monitor", env=IN_OUTBOX).code == 0
        assert stage.run("monitor", env=IN_OUTBOX).code == 0
        assert box.mails == []
        assert waiting(stage) == ["entry", "exit"]
        mail_to(stage, 1)  # nobody listens
        failed = stage.run("send-alerts")
        assert (failed.code, failed["sent"]) == (5, None)
        assert "2 of 2 alerts could not be sent" in failed["error"]
        assert waiting(stage) == ["entry", "exit"]
        mail_to(stage, box.port)
        done = stage.run("send-alerts")
        assert (done["waited"], done["sent"], waiting(stage)) == (2, 2, [])
        assert stage.run("send-alerts")["waited"] == 0
    (mail,) = box.mails
    assert mail["Subject"] == "spxarb: a spread was exited"
    (body,) = box.bodies
    assert "Entered: trade 1, credit $" in body
    assert "Exited trade 1 (TIME)" in body
    assert "Not sent" not in body, "it was left to the sender, and nothing failed"


def test_an_alert_that_comes_while_others_are_sent_is_sent_too_and_is_no_failure(stage):
    class LeavesAnother(Receiver):
        def do_POST(self) -> None:  # noqa: N802 -- the name of http.server
            with closing(sqlite3.connect(stage.database)) as db, db:
                db.execute(
                    "INSERT OR IGNORE INTO outbox (key, kind, text, created_at, ways, attempts, tried_at, failure) SELECT "
                    "'another', kind, text, created_at, ways, attempts, tried_at, failure FROM outbox "
                    "WHERE (SELECT count(*) FROM outbox) = 1 AND ? = 0 LIMIT 1",
                    (len(self.server.alerts),),
                )
            super().do_POST()

    assert stage.run("enter", env=IN_OUTBOX | variables(1))["outcome"] == "entered"
    with listening_sink() as sink:
        sink.RequestHandlerClass = LeavesAnother
        done = stage.run("send-alerts", env=sink.variables)
        assert (done.code, done["waited"], done["sent"]) == (0, 2, 2), done["error"]
    assert len(sink.alerts) == 2
    assert waiting(stage) == []


def test_what_needs_a_human_has_its_own_subject_and_another_word_for_the_sender_is_a_mistake(stage):
    with mail_server() as box:
        mail_to(stage, box.port)
        enter(stage)
        stage.write_config(ib={"port": 1}, execution={"connect_timeout_seconds": 0.2})
        assert stage.run("close-all", "--yes", env=IN_OUTBOX).code == 6
        before = len(box.mails)
        assert stage.run("send-alerts")["sent"] == 1
        assert len(box.mails) == before + 1
        assert stage.run("enter", env={"SPXARB_ALERTS": "mail"}).code == 3
    assert box.mails[before]["Subject"] == "spxarb: a human is needed now"
