"""Prices while leaving: one wrong, late or missing tick exits nothing and values nothing; no exit waits for better ones.

The rich-spy day at 11:00: SPX is 54 points above the strike of the call that is held.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from actions import enter, moving, playing, settings
from harness import fault
from sink import ALARMS_ALONE, Sink, listening_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Done, Stage

SPX_CALLS = {"symbol": "SPX", "sec_type": "OPT"}
SPY_CALLS = {"symbol": "SPY", "sec_type": "OPT"}
SPY = {"symbol": "SPY", "sec_type": "STK"}
SPX = {"symbol": "SPX", "sec_type": "IND"}
PATIENT = {"SPXARB_WAIT_SCALE": "0.5"}
"""The second look comes 1.5 s after the first: later than a fault that lasts for a second."""
HELD = {("SPXW", 6665.0): 1, ("SPY", 665.0): -10}


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    """11:00, a spread is open, its limits far away."""
    with playing(tmp_path) as made:
        made.settings["notifications"] = ALARMS_ALONE
        made.write_config()
        enter(made)
        made.at("11:00")
        yield made


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening_sink() as server:
        yield server


def con_ids(stage: Stage, trade: int = 1) -> dict[str, int]:
    (row,) = stage.sql("SELECT spx_contract, spy_contract FROM trades WHERE id = ?", trade)
    return {leg: json.loads(row[f"{leg}_contract"])["con_id"] for leg in ("spx", "spy")}


def told(done: Done) -> tuple[Any, ...]:
    (position,) = done["positions"]
    return done.code, position["action"], position["exit_reason"]


def sales_of_spx(stage: Stage) -> list[float | None]:
    orders = stage.sim.control.book()["orders"]
    return [row["limit"] for row in orders if (row["symbol"], row["side"]) == ("SPX", "SELL")]


# --- a bid that is missing -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["none", "zero"])
def test_a_missing_bid_of_a_call_in_the_money_is_no_loss_and_a_human_hears_of_it(stage, sink, form):
    """At a bid of nothing the spread would have lost 5,600 dollars."""
    stage.sim.control.script([fault("no_quotes", side="bid", form=form, when=SPX_CALLS)])
    done = stage.run("monitor", env=sink.variables)
    assert told(done) == (0, "held", None), done.err
    assert done["positions"][0]["current_pnl"] is None
    assert stage.positions() == HELD
    (alert,) = sink.alerts
    assert "a quote is missing, so its loss limit cannot be checked" in alert


@pytest.mark.parametrize("verb", [("monitor",), ("close-all", "--yes")])
@pytest.mark.parametrize("form", ["none", "zero"])
def test_a_call_in_the_money_whose_bid_is_missing_leaves_at_the_market_and_a_human_hears_of_it(
    stage, form, verb
):
    stage.at("15:45")
    stage.sim.control.script([fault("no_quotes", side="bid", form=form, when=SPX_CALLS)])
    done = stage.run(*verb)
    assert told(done)[:2] == (6, "closed"), done.err
    assert "closed while quotes were missing" in done.err
    assert (stage.positions(), sales_of_spx(stage)) == ({}, [None])
    fill = stage.sim.control.book()["fills"][-1]
    assert (fill["symbol"], fill["side"], fill["price"] > 20) == ("SPX", "SLD", True)


def test_without_the_price_of_spx_the_ask_says_that_a_call_is_worth_something(stage):
    stage.at("15:45")
    stage.sim.control.script(
        [
            fault("no_quotes", side="bid", form="zero", when=SPX_CALLS),
            fault("no_data", when={**SPX, "request": "market_data"}, lasts="always"),
        ]
    )
    assert told(stage.run("monitor")) == (6, "closed", "TIME")
    assert sales_of_spx(stage) == [None]


def test_a_call_in_the_money_without_a_bid_is_never_left_to_settlement_where_market_orders_are_not_allowed(
    stage,
):
    stage.write_config(execution={"market_exit": False})
    stage.at("15:45")
    stage.sim.control.script([fault("no_quotes", side="bid", form="zero", when=SPX_CALLS)])
    done = stage.run("monitor")
    assert told(done) == (6, "failed", "TIME")
    assert (stage.positions(), sales_of_spx(stage)) == ({("SPXW", 6665.0): 1}, [])
    stage.sim.control.script()
    assert told(stage.run("monitor")) == (0, "closed", "TIME")
    assert stage.positions() == {}


@pytest.mark.parametrize(("form", "code", "pnl_known"), [("zero", 0, True), ("none", 6, False)])
def test_a_call_far_out_of_the_money_without_a_bid_is_left_to_settlement(tmp_path, form, code, pnl_known):
    """A bid of -1 has no value: the result is not known, and a human checks what came of it."""
    with playing(tmp_path, "crash", seed=9) as stage:
        settings(stage, min_entry_credit=-1000)
        enter(stage)
        stage.at("15:45")
        stage.sim.control.script([fault("no_quotes", side="bid", form=form, when=SPX_CALLS)])
        done = stage.run("monitor")
        (position,) = done["positions"]
        assert told(done) == (code, "closed", "TIME"), done.err
        assert (position["residual"], position["current_pnl"] is not None) == (["SPX"], pnl_known)
        assert sales_of_spx(stage) == [0.05]


def test_a_bid_that_is_missing_for_a_second_is_waited_for(stage):
    stage.write_config(execution={"quote_timeout_seconds": 3})
    with moving(stage):
        stage.sim.control.script([fault("no_quotes", side="bid", when={**SPX_CALLS, "at": "11:00"}, lasts=1)])
        done = stage.run("monitor", env=PATIENT)
    assert told(done) == (0, "held", None)
    assert done["positions"][0]["current_pnl"] is not None


# --- one wrong tick ------------------------------------------------------------------------------------

SPIKES = {
    "the ask of SPY": ("LOSS_LIMIT", fault("wrong_tick", by=2, side="ask", when=SPY_CALLS)),
    "the bid of SPX": ("LOSS_LIMIT", fault("wrong_tick", by=-30, side="bid", when=SPX_CALLS)),
    "SPY itself": ("ASSIGNMENT_RISK", fault("wrong_tick", by=10, when=SPY)),
}


@pytest.mark.parametrize("what", SPIKES)
def test_a_wrong_price_of_one_second_exits_nothing(stage, what):
    reason, spike = SPIKES[what]
    fired = {**spike, "when": {**spike["when"], "request": "market_data"}, "for": 1}
    with moving(stage):
        stage.sim.control.script([fired])
        done = stage.run("monitor", env=PATIENT)
    assert told(done) == (0, "held", None), done.err
    assert any(f"showed {reason}, the next did not" in note for note in done["notes"]), done["notes"]
    assert stage.positions() == HELD


@pytest.mark.parametrize("what", SPIKES)
def test_what_two_looks_show_is_left(stage, what):
    reason, price = SPIKES[what]
    stage.sim.control.script([price])
    assert told(stage.run("monitor")) == (0, "closed", reason)
    assert stage.positions() == {}


def test_a_loss_whose_second_look_shows_no_quote_is_left_and_a_human_hears_of_it(stage):
    reason, loss = SPIKES["the ask of SPY"]
    gone = fault("no_quotes", when={**SPY_CALLS, "request": "market_data"}, lasts="always", after=1)
    with moving(stage):
        stage.sim.control.script([loss, gone])
        done = stage.run("monitor", env=PATIENT)
    assert told(done) == (6, "closed", reason), done.err
    assert "closed while quotes were missing" in done.err
    assert stage.positions() == {}


# --- prices that are not live --------------------------------------------------------------------------

NOT_LIVE = {
    "delayed prices of the SPX call": fault("delayed", when=SPX_CALLS),
    "frozen prices of the SPY call": fault("delayed", type="2", when=SPY_CALLS),
    "delayed prices of SPX": fault("delayed", when=SPX),
    "halted prices of SPY": fault("halted", when=SPY),
}


def test_without_a_price_of_spy_a_human_hears_that_its_threshold_is_blind(stage, sink):
    """Every trade would be left at this threshold."""
    settings(stage, assignment_risk_threshold=1, max_position_loss=5000, max_daily_loss=5000)
    stage.sim.control.script([fault("no_data", when={**SPY, "request": "market_data"}, lasts="always")])
    done = stage.run("monitor", env=sink.variables)
    assert told(done) == (0, "held", None), done.err
    words = "Trade 1 was looked at without a price of SPY, so its assignment threshold cannot be relied on"
    assert [words in alert for alert in sink.alerts] == [True]
    assert any(words in note for note in done["notes"])
    assert any(words in note for note in stage.run("status")["notes"])


@pytest.mark.parametrize("words", NOT_LIVE)
def test_prices_that_are_not_live_are_used_and_told_and_stop_no_exit(stage, sink, words):
    stage.sim.control.script([NOT_LIVE[words]])
    stage.at("15:44:59")
    done = stage.run("monitor", env=sink.variables)
    assert told(done) == (0, "held", None), done.err
    assert done["positions"][0]["current_pnl"] is not None
    assert any(words in note for note in done["notes"]), done["notes"]
    assert [words in alert for alert in sink.alerts] == [True]
    stage.at("15:45")
    done = stage.run("monitor")
    assert told(done) == (0, "closed", "TIME"), done.err
    assert any(words in note for note in done["notes"]), done["notes"]
    assert stage.positions() == {}


@pytest.mark.parametrize("verb", [("monitor",), ("close-all", "--yes")])
def test_an_account_that_has_lost_its_live_data_leaves_by_delayed_prices_and_enters_by_none(stage, verb):
    stage.sim.control.script(["unsubscribed"])
    stage.at("15:45")
    done = stage.run(*verb)
    assert told(done)[:2] == (0, "closed"), done.err
    assert any("delayed prices of the SPX call, the SPY call, SPX, SPY" in note for note in done["notes"])
    assert stage.positions() == {}
    checks = {check["name"]: check["ok"] for check in stage.run("enter", "--dry-run")["checks"]}
    assert checks["market_data"] is False


def test_a_loss_by_delayed_prices_is_left(stage):
    stage.sim.control.script([fault("delayed", minutes=0, when=SPY_CALLS), SPIKES["the ask of SPY"][1]])
    done = stage.run("close-all", "--yes", "--dry-run")
    assert any("delayed prices of the SPY call" in note for note in done["notes"]), done["notes"]
    assert told(stage.run("monitor")) == (0, "closed", "LOSS_LIMIT")


def test_an_exit_into_a_halt_is_tried_and_a_human_hears_of_it(stage):
    stage.sim.control.script([fault("halted", when=SPY_CALLS)])
    stage.at("15:45")
    done = stage.run("monitor")
    assert told(done) == (6, "failed", "TIME")
    assert any("halted prices of the SPY call" in note for note in done["notes"]), done["notes"]
    stage.sim.control.script()
    assert (told(stage.run("monitor"))[:2], stage.positions()) == ((0, "closed"), {})


# --- two trades, and the quote of one is missing -------------------------------------------------------


@pytest.fixture
def two(stage) -> Stage:
    """11:00, two spreads at different strikes."""
    settings(stage, max_spreads_per_day=2, entry_cutoff="11:30")
    enter(stage)
    settings(stage, max_position_loss=5000, max_daily_loss=1000)
    assert len(stage.positions()) == 4
    return stage


def test_a_missing_quote_of_one_trade_hides_no_loss_of_the_day_that_is_known_without_it(two, sink):
    lost = fault("wrong_tick", by=2, side="ask", when={"con_id": con_ids(two)["spy"]})
    blind = fault("no_quotes", side="bid", when={"con_id": con_ids(two, 2)["spx"]})
    two.sim.control.script([lost, blind])
    done = two.run("monitor", env=sink.variables)
    assert [(p["action"], p["exit_reason"]) for p in done["positions"]] == [("closed", "DAILY_LOSS")] * 2
    assert (done.code, two.positions()) == (6, {}), done.err


def test_what_is_not_known_is_no_loss_and_a_human_hears_that_the_limit_is_checked_on_a_part(two, sink):
    blind = fault("no_quotes", side="ask", when={"con_id": con_ids(two, 2)["spy"]})
    two.sim.control.script([blind])
    done = two.run("monitor", env=sink.variables)
    assert [(p["action"], p["current_pnl"] is None) for p in done["positions"]] == [
        ("held", False),
        ("held", True),
    ]
    assert done.code == 0
    (alert,) = sink.alerts
    assert "The day's loss limit is checked without trade 2" in alert
