"""Margin before an entry and in the afternoon: in the account's money, seldom asked, in the broker's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from actions import check_of, enter, playing, settings
from harness import fault
from sink import ALARMS_ALONE, Sink, listening_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        made.settings["notifications"] = ALARMS_ALONE
        settings(made, broker_side_failsafe=False)
        yield made


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening_sink() as server:
        yield server


def kept_in_yen(stage: Stage, *more: dict, **how: object) -> None:
    stage.sim.control.script([fault("base_currency", currency="JPY", rate=150, **how), *more])


def test_an_account_kept_in_yen_enters_and_is_shown_in_dollars(stage):
    """Whatever the broker calls its money; where it cannot be told apart, the check names it."""
    kept_in_yen(stage, what_if="dollars", rate_told=False)
    margin = check_of(stage.run("enter"), "margin")
    assert (margin["ok"], margin["value"]) == (None, None)
    assert "The account is kept in JPY, and it is not certain in which currency" in margin["message"]
    kept_in_yen(stage)
    margin = check_of(enter(stage), "margin")
    assert 100_000 < margin["value"] < margin["limit"] == 1_000_000
    assert "JPY ($1,000,000.00)" in margin["message"]
    shown = stage.run("status")
    assert 900_000 < shown["account"]["net_liquidation"] < 1_100_000
    assert "The account is kept in JPY; a dollar is 150 of it." in shown["notes"]
    kept_in_yen(stage, labelled="base", rate_told=False)
    assert stage.run("status")["account"]["net_liquidation"] is None


def test_a_margin_in_yen_that_is_too_much_is_refused_in_yen(tmp_path):
    with playing(tmp_path, cash=100_000) as stage:
        kept_in_yen(stage, labelled="base")
        done = stage.run("enter")
        margin = check_of(done, "margin")
        assert (done["outcome"], margin["ok"], margin["limit"]) == ("skipped", False, 100_000)
        assert "more than the available 15,000,000.00 BASE ($100,000.00)" in margin["message"]
        assert "the broker tests the equity of the day before" in margin["message"]


def test_a_refusal_of_the_what_if_is_told_in_its_own_words_without_html(stage):
    stage.sim.control.script([fault("what_if_refused")])
    done = stage.run("enter")
    margin = check_of(done, "margin")
    assert (done["outcome"], margin["ok"], stage.positions()) == ("skipped", False, {})
    assert "201 Order rejected" in margin["message"]
    assert "YOUR PREVIOUS DAY EQUITY WITH LOAN VALUE [50000.00 USD] MUST EXCEED" in margin["message"]
    assert "<" not in margin["message"]


def test_account_updates_that_do_not_come_leave_what_a_summary_says(stage):
    stage.settings["execution"] = {"question_timeout_seconds": 1}
    settings(stage)
    stage.sim.control.script([fault("withhold", messages=["account_multi_end"], lasts="always")])
    assert check_of(enter(stage), "margin")["ok"] is True


def test_what_ifs_are_a_minute_apart(stage):
    """The second is not sent within the minute, whatever the first has shown; a minute later it is."""
    stage.settings["execution"] = {"what_if_pause_seconds": 60, "question_timeout_seconds": 1}
    settings(stage)
    stage.sim.control.script([fault("what_if_unset", lasts=20), fault("what_if_pacing", seconds=60)])
    assert "did not say what margin" in check_of(stage.run("enter"), "margin")["message"]
    stage.at("09:35:30")
    done = stage.run("enter")
    assert (done.code, done["outcome"], done["would"]) == (0, "skipped", "enter")
    assert "try again in 30 s" in check_of(done, "margin")["message"]
    stage.at("09:36:00")
    enter(stage)


def test_a_deficit_after_expiration_is_an_alarm_in_the_afternoon(tmp_path, sink):
    """SPY is above the strike, and the account could not carry 1,000 shares short."""
    with playing(tmp_path, regime="gap", cash=190_000) as stage:
        settings(
            stage,
            min_entry_credit=-1000,
            broker_side_failsafe=False,
            assignment_risk_threshold=50,
            max_position_loss=100000,
            max_daily_loss=100000,
        )
        enter(stage)
        for clock, alarmed in (("11:59", False), ("12:00", True)):
            stage.at(clock)
            done = stage.run("monitor", env=sink.variables)
            assert (done.code, [p["action"] for p in done["positions"]]) == (0, ["held"])
            assert (
                any("after expiration the broker projects a deficit" in n.lower() for n in done["notes"])
                is alarmed
            )
        (alert,) = sink.alerts
        assert "the broker may liquidate before the close while trade 1 is open" in alert
