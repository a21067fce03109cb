"""`doctor`: the whole set-up looked at, each part with how to mend it; nothing is written, nothing traded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from actions import dump, enter, lonely, playing, settings
from contract import COMMON, assert_fits
from harness import fault
from relay import free_port

from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Done, Stage

PARTS = [
    *("python", "dependencies", "configuration", "settings", "files", "ledger", "lock", "disk", "alerts"),
    *("timers", "gateway", "account", "mode", "api", "balance", "clock", "login", "calendar"),
    *("market_data_spx", "market_data_spy", "contracts", "market_data_spx_call", "market_data_spy_call"),
    *("market_data_lines", "auto_restart", "permissions"),
]
OF_EVERY_MACHINE = [*PARTS[:2], "configuration", "timers"]


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        settings(made, broker_side_failsafe=False)
        yield made


def line(done: Done, name: str) -> dict[str, Any]:
    (found,) = [line for line in done["checks"] if line["name"] == name]
    return found


def failed(done: Done) -> list[str]:
    return [line["name"] for line in done["checks"] if line["ok"] is False]


def test_a_set_up_in_order_passes_and_nothing_is_made_or_sent(stage):
    stage.sim.control.script([{"when": {"request": "place_order"}, "what": "close", "times": "always"}])
    done = stage.run("doctor")
    assert_fits(done.json, COMMON | {"checks": [{"name": str, "ok": bool | None, "message": str}]})
    assert (done.code, failed(done), [line["name"] for line in done["checks"]]) == (0, [], PARTS)
    assert "--margin" in line(done, "permissions")["mend"]
    assert (done["margin"]["asked"], done["margin"]["parts"]) == (False, [])
    assert (stage.sim.control.fired(), [file.name for file in stage.folder.iterdir()]) == (
        [],
        ["config.yaml"],
    )
    shown = stage.run("doctor", as_json=False)
    assert "Today's session is 09:30 to 16:00" in " ".join(shown.out.split())


def test_margin_is_explained_by_the_brokers_figures_and_nothing_is_placed(stage):
    enter(stage)
    before, orders = dump(stage), len(stage.sim.control.book()["orders"])
    done = stage.run("doctor", "--margin")
    assert (done.code, line(done, "margin")["ok"], line(done, "permissions")["ok"]) == (0, True, True)
    told = done["margin"]
    short, long, both = told["parts"]
    assert told["rules"] == "reg-t"
    assert short["broker"] == pytest.approx(short["reg_t"], rel=0.01)
    assert (long["reg_t"], both["broker"], both["reg_t"]) == (0, None, short["reg_t"])
    assert both["portfolio"] < short["portfolio"] < short["reg_t"]
    assert told["available_funds"] < told["equity_with_loan"]
    assert told["post_expiration_excess"] is not None
    assert any("is like Regulation T" in sentence for sentence in told["explained"])
    assert (dump(stage), len(stage.sim.control.book()["orders"])) == (before, orders)
    assert line(done, "matters")["ok"] is True


def test_an_account_too_small_and_portfolio_margin_are_told_apart(tmp_path):
    with playing(tmp_path, margin="portfolio", cash=30_000) as stage:
        done = stage.run("doctor", "--margin")
        assert (done.code, failed(done), done["margin"]["rules"]) == (5, ["margin"], "portfolio")
        assert "portfolio margin" in line(done, "margin")["mend"]
        assert any("$30,000.00 of equity" in sentence for sentence in done["margin"]["explained"])
        stage.sim.control.script([fault("what_if_refused")])
        done = stage.run("doctor", "--margin")
        assert (done.code, failed(done)) == (5, ["margin", "permissions"])
        assert "MUST EXCEED THE INITIAL MARGIN" in done["margin"]["parts"][0]["refused"]
        assert "<" not in done["margin"]["parts"][0]["refused"]


def test_what_the_gateway_withholds_or_shows_wrong_is_failed_with_how_to_mend_it(stage):
    troubles = {
        "api": (fault("read_only", lasts="always"), 4, "Read-Only API"),
        "calendar": (fault("wrong_hours", form="half_day"), 5, "calendar.early_close"),
        "market_data_spx": (fault("delayed", when={"symbol": "SPX", "sec_type": "IND"}), 5, "Client Portal"),
    }
    for name, (trouble, code, mend) in troubles.items():
        stage.sim.control.script([trouble])
        done = stage.run("doctor")
        assert (done.code, failed(done)) == (code, [name]), done.err
        assert mend in line(done, name)["mend"]
        assert line(done, name)["mend"] in done["error"]


def test_what_is_wrong_on_this_machine_is_failed_with_how_to_mend_it(stage):
    settings(stage, blackout_file="none.csv")
    stage.run("monitor")
    done = stage.run("doctor")
    assert (done.code, failed(done)) == (5, ["entries"])
    settings(stage)
    stage.run("stop", "--reason", "holiday")
    done = stage.run("doctor")
    assert (done.code, line(done, "entries")["ok"], failed(done)) == (0, None, [])
    assert "stopped: holiday" in line(done, "entries")["message"]
    settings(stage, mode="paper")
    done = stage.run("doctor")
    assert (done.code, failed(done)) == (5, ["ledger", "account"])
    assert line(done, "contracts")["ok"] is None
    stage.database.write_bytes(b"no ledger" * 100)
    settings(stage)
    done = stage.run("doctor")
    assert (done.code, failed(done)) == (5, ["ledger"])
    stage.config.write_text("trading: {mode: papr, max_ratoi: 3}\n")
    done = stage.run("doctor")
    assert (done.code, failed(done), [line["name"] for line in done["checks"]]) == (
        3,
        ["configuration"],
        OF_EVERY_MACHINE,
    )
    assert done["mode"] is None
    assert "did you mean" in done["error"]


def test_a_matter_for_a_human_is_exit_6(stage):
    enter(stage)
    contract = stage.sql("SELECT con_id FROM orders WHERE leg = 'SPY'")[0]["con_id"]
    stage.sim.control.script([fault("foreign_fill", side="BUY", quantity=4, con_id=contract)])
    assert stage.run("monitor").code == 6
    done = stage.run("doctor")
    assert (done.code, failed(done)) == (6, ["matters"])
    assert "spxarb ack ID" in line(done, "matters")["mend"]


def test_a_gateway_that_is_not_there_and_one_of_another_time_are_told(tmp_path):
    lone = lonely(tmp_path, free_port())
    done = lone.run("doctor", "--margin")
    assert (done.code, failed(done)) == (4, ["gateway"])
    assert "Start the IB Gateway" in line(done, "gateway")["mend"]
    assert line(done, "margin")["ok"] is None
    shown = lone.run("doctor", as_json=False).out
    assert " not looked at.\n" in shown
    assert shown.count("because of what failed before") == 1
    with RunningSim(date="2026-02-10", at="09:35", speed=0, account="DU1234567") as sim:
        lone.sim = sim
        lone.write_config(trading={"mode": "paper"})
        done = lone.run("doctor")
        assert (done.code, failed(done)) == (5, ["clock"])
        assert "timedatectl" in line(done, "clock")["mend"]
