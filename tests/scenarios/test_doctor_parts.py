"""`doctor`, part by part: what is staged is found, with its verdict and how to mend it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from actions import enter, lonely, playing, settings
from harness import fault
from relay import free_port
from sink import listening_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Done, Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    with playing(tmp_path_factory.mktemp("doctor")) as made:
        settings(made, broker_side_failsafe=False)
        enter(made)
        yield made


def line(done: Done, name: str) -> dict[str, Any]:
    (found,) = [line for line in done["checks"] if line["name"] == name]
    return found


def of(done: Done, verdict: str) -> set[str]:
    return {line["name"] for line in done["checks"] if line["verdict"] == verdict}


AT_WORK = {"request": "positions"}
"""Once a client is connected, and before it looks at anything but the account's lists."""
USUAL = {"alerts", "timers", "permissions"}
"""What is a warning in every scenario here."""


@pytest.mark.parametrize(
    ("trouble", "verdict", "names", "message", "mend"),
    [
        (
            fault("farm_lost", when=AT_WORK),
            "warning",
            {"login"},
            "data farm is broken: 2103",
            "run this again",
        ),
        (fault("link_lost", lasts="always"), "failed", {"api"}, "lost", ""),
        (fault("disclaimer"), "failed", {"api"}, "10141", "accept the paper trading disclaimer"),
        (fault("read_only", lasts="always"), "failed", {"api"}, "321", "Read-Only API"),
        (
            fault("error", code=2139, when=AT_WORK),
            "failed",
            {"api"},
            "2139",
            "accept the paper trading disclaimer",
        ),
        (
            fault("line_limit", lines=3),
            "failed",
            {"market_data_spy_call", "market_data_lines"},
            "101",
            "Quote Booster",
        ),
        (fault("gateway_zone", zone="Asia/Tokyo"), "warning", {"auto_restart"}, "09:45 in New York", "night"),
        (fault("base_currency"), "warning", {"balance"}, "base currency JPY", "dollars"),
        (fault("unset_account"), "warning", {"balance"}, "no net liquidation", "TWS"),
    ],
    ids=lambda value: next(iter(value["what"])) if isinstance(value, dict) else "",
)
def test_what_is_wrong_at_the_gateway_is_found_by_its_name_and_told_how_to_mend(
    stage, trouble, verdict, names, message, mend
):
    stage.sim.control.script([trouble])
    try:
        done = stage.run("doctor")
    finally:
        stage.sim.control.script()
    found = of(done, verdict) - USUAL
    assert names <= found, (found, done["checks"])
    if names != {"api"}:
        assert names == found
    told = line(done, min(names))
    assert message in told["message"]
    assert mend in (told["mend"] or "")
    assert bool(done.code) == (verdict == "failed")


def test_no_account_number_is_told_and_the_mode_and_the_money_are(stage):
    done = stage.run("doctor")
    assert "SIM0000001" not in line(done, "account")["message"]
    assert line(done, "account")["message"] == "SIM***001 fits mode sim."
    assert "nothing leaves this machine" in line(done, "mode")["message"]
    assert "base currency USD" in line(done, "balance")["message"]
    assert of(done, "warning") == USUAL
    assert {line["ok"] for line in done["checks"] if line["verdict"] == "passed"} == {True}
    assert "SPX 6665 call is live: " in line(done, "market_data_spx_call")["message"]


def test_a_blank_in_the_accounts_name_is_seen(stage):
    stage.write_config(ib={"account": "SIM0000001 "})
    try:
        for words in (("monitor",), ("doctor",)):
            done = stage.run(*words)
            assert done.code == 5
            assert "manages SIM0000001, not the configured account 'SIM0000001 '" in done.err
    finally:
        settings(stage, broker_side_failsafe=False)


def test_whoever_may_read_or_change_the_files_is_told_and_nothing_is_changed(stage):
    stage.run("monitor")
    names = sorted(path.name for path in stage.folder.iterdir())
    (stage.folder / ".env").write_text("TWS_USERID=me\n")
    stage.database.chmod(0o644)
    before = stage.database.read_bytes()
    done = stage.run("doctor")
    told = line(done, "files")
    assert (done.code, told["verdict"]) == (0, "warning")
    for mend in (
        f"chmod 0600 {stage.database}",
        f"chmod 0640 {stage.folder}/.env",
    ):
        assert mend in told["mend"]
    assert "TWS_USERID" in line(done, "settings")["message"]
    assert (stage.database.stat().st_mode & 0o777, stage.database.read_bytes()) == (0o644, before)
    (stage.folder / ".env").unlink()
    assert sorted(path.name for path in stage.folder.iterdir()) == names, (
        "nothing was made, nothing left behind"
    )
    stage.config.chmod(0o666)
    done = stage.run("doctor")
    assert (done.code, f"`chmod go-w {stage.config}`" in done.err) == (3, True)
    stage.config.chmod(0o644)


def test_both_values_of_a_setting_are_named_and_which_of_them_wins(stage):
    """By `doctor` and by `enter`; an exit time that is moved is told with them."""
    (stage.folder / ".env").write_text("MIN_ENTRY_CREDIT=450\n")
    settings(stage, min_entry_credit=400, exit_check_time="15:55")
    try:
        said = [
            f"trading.min_entry_credit is 450 by MIN_ENTRY_CREDIT in {stage.folder}/.env, which wins over 400 in",
            "trading.exit_check_time 15:55 is less than 15 minutes before the close: the time exit is at 15:45.",
        ]
        told = stage.run("doctor")
        entered = stage.run("enter", "--dry-run")
        for words in said:
            assert words in line(told, "settings")["message"]
            assert words in " ".join(entered["notes"])
        assert (line(told, "settings")["verdict"], told.code) == ("warning", 0)
        assert said[1] in stage.run("monitor")["notes"]
        assert any(check["limit"] == 450 for check in entered["checks"] if check["name"] == "net_credit")
    finally:
        (stage.folder / ".env").unlink()
        settings(stage, broker_side_failsafe=False)


def test_a_wrong_dashboard_stops_no_job_and_is_told(stage):
    stage.write_config(dashboard={"port": 99999})
    try:
        assert stage.run("monitor").code == 0
        assert "dashboard.port" in line(stage.run("doctor"), "settings")["message"]
    finally:
        settings(stage, broker_side_failsafe=False)


def test_what_the_gateway_refused_before_because_of_a_setting_is_remembered(stage):
    with closing(sqlite3.connect(stage.database)) as db, db:
        db.execute(
            "INSERT INTO order_steps (order_ref, at, step, detail) "
            "SELECT order_ref, '2026-02-10T09:35:01-05:00', 'message', '451 total value limit' FROM orders LIMIT 1"
        )
    told = line(stage.run("doctor"), "presets")
    assert told["verdict"] == "warning"
    assert "2026-02-10T09:35:01: 451 total value limit" in told["message"]
    assert "Precautions" in told["mend"]


def test_a_reference_that_leads_nowhere_and_a_damaged_page_are_found(tmp_path, stage):
    lone = lonely(tmp_path, free_port(), "sim")
    lone.write_config(trading={"mode": "sim"}, execution={"connect_timeout_seconds": 0.4})
    with closing(sqlite3.connect(stage.database)) as db:
        db.execute("VACUUM INTO ?", [str(lone.database)])
    with closing(sqlite3.connect(lone.database)) as db, db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("UPDATE orders SET trade_id = 77")
    told = line(lone.run("doctor"), "integrity")
    assert told["verdict"] == "failed"
    assert "of orders refers to a row of trades that is not there" in told["message"]
    assert "backup" in told["mend"]


def test_an_alert_is_sent_when_it_is_asked_for_and_one_that_cannot_be_is_failed(tmp_path):
    lone = lonely(tmp_path, free_port())
    lone.write_config(execution={"connect_timeout_seconds": 0.4})
    with listening_sink() as sink:
        assert "--send-test" in line(lone.run("doctor", env=sink.variables), "alerts")["mend"]
        assert sink.alerts == []
        told = line(lone.run("doctor", "--send-test", env=sink.variables), "alerts")
        assert (told["verdict"], len(sink.alerts)) == ("passed", 1)
        assert "test" in sink.alerts[0]
        variables = sink.variables
    done = lone.run("doctor", "--send-test", env=variables)
    assert line(done, "alerts")["verdict"] == "failed"
    assert done.code == 5
    assert not lone.database.exists()
