"""Prices that can be believed: what stops an entry, by name, value and limit, and what a human is told of open spreads.

The rich-spy day at 9:35: SPX by parity is 6667.20, its print 6667.16; at the money are 6665 and 665.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from actions import check_of, enter, failed, moving, playing, settings
from harness import Stage, fault
from sink import listening_sink

from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Done

SPX = {"symbol": "SPX", "sec_type": "IND"}
SPY = {"symbol": "SPY", "sec_type": "STK"}
SPX_OPTIONS = {"symbol": "SPX", "sec_type": "OPT"}
SPY_OPTIONS = {"symbol": "SPY", "sec_type": "OPT"}
BROKEN, BACK = "Market data farm connection is broken:", "Market data farm connection is OK:"


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    """9:35 on a day that would be entered; here it is only looked at."""
    with playing(tmp_path_factory.mktemp("prices")) as made:
        yield made


def look(stage: Stage, *faults: dict[str, Any], env: dict[str, str] | None = None, **prices: float) -> Done:
    """A dry run of `enter` with these faults, and these limits in the section `prices`."""
    stage.write_config(prices=prices)
    stage.sim.control.script(list(faults))
    done = stage.run("enter", "--dry-run", env=env)
    stage.sim.control.script()
    assert done.code == 0, done.err
    return done


def screen_of(stage: Stage, *faults: dict[str, Any]) -> str:
    """What `look` shows to people."""
    stage.write_config()
    stage.sim.control.script(list(faults))
    done = stage.run("enter", "--dry-run", as_json=False)
    stage.sim.control.script()
    assert done.code == 0, done.err
    return done.out


def says(done: Done, name: str, words: str) -> None:
    """The check says no, or that it does not know, in these words."""
    check = check_of(done, name)
    assert check["ok"] is not True
    assert words in check["message"], check


# --- nobody streams prices to us ----------------------------------------------------------------------------


def test_a_session_elsewhere_that_takes_the_data_is_named_first_and_in_words(stage):
    done = look(stage, fault("competing_session", lasts="always"))
    why = "nother live session of this user has the market data, log out there (the gateway said 10197 No market"
    assert check_of(done, "market_data")["message"].startswith("A" + why)
    shown = " ".join(screen_of(stage, fault("competing_session", lasts="always")).split())
    assert f"Dry run: no entry: a{why}" in shown
    done = look(stage)
    assert (done["would"], failed(done)) == ("enter", []), "once that session has ended"


def test_a_session_elsewhere_is_named_by_who_watches_a_spread_too(tmp_path):
    with playing(tmp_path) as stage:
        enter(stage)
        stage.sim.control.script([fault("competing_session", lasts="always")])
        taken = "Another live session of this user has the market data, log out there"
        status, watched = stage.run("status"), stage.run("monitor")
        assert status["data_trouble"].startswith(taken)
        assert sum(note.startswith(taken) for note in watched["notes"]) == 1
        stage.sim.control.script()
        assert stage.run("status")["data_trouble"] is None


# --- SPX is not the last print ------------------------------------------------------------------------------


def test_a_print_that_is_wrong_and_old_is_told_and_strikes_and_risk_rest_on_parity(stage):
    sound = look(stage)
    assert (sound["would"], failed(sound)) == ("enter", [])
    done = look(
        stage, fault("wrong_tick", by=10, side="last", when=SPX), fault("old_last", seconds=60, when=SPX)
    )
    assert (done["would"], failed(done)) == ("skip", ["quote_age", "index_price"])
    says(done, "index_price", "is 6667.15 within 0.25; the index print is 10.01 away, more than 2")
    says(done, "quote_age", "SPX index is 60 s old, more than 15")
    assert check_of(done, "index_price")["value"]["print"] == 10.01
    assert (done["prices"]["spx"], done["prices"]["spx_print"]) == (6667.15, 6677.16)
    assert (done["prices"]["spx_source"], done["prices"]["ratio_measured"]) == ("parity", False)
    assert done["legs"] == sound["legs"]
    for figure, uncertainty in (
        ("strike_mismatch_points", "mismatch_uncertainty"),
        ("edge", "edge_uncertainty"),
    ):
        assert abs(done["risk"][figure] - sound["risk"][figure]) <= sound["risk"][uncertainty]
    assert done["risk"]["mismatch_uncertainty"] == pytest.approx(0.30, abs=0.01)


def test_a_first_print_ten_points_high_and_corrected_enters_nothing_that_the_right_print_would_not(tmp_path):
    """A quiet day, on which the wrong print alone would have promised more than 400 dollars."""
    with playing(tmp_path, "quiet", seed=11) as stage, moving(stage):
        first = {**SPX, "request": "market_data"}
        stage.sim.control.script([fault("wrong_tick", by=10, side="last", when=first, lasts=0.3)])
        done = stage.run("enter")
        assert (done.code, done["outcome"]) == (0, "skipped"), done.err
        assert {"index_price", "underlying_drift"} & set(failed(done))
        assert done["prices"]["spx_source"] == "parity"
        assert done["credit"]["net"] < 400
        assert stage.sim.control.book()["orders"] == []


def test_too_few_strikes_give_no_price_and_each_says_why(stage):
    done = look(stage, fault("delayed", minutes=0, when=SPX_OPTIONS))
    says(done, "index_price", "6665: call data is delayed, not live; put data is delayed, not live")
    assert (done["prices"]["spx_source"], done["prices"]["spx"]) == ("index", 6667.16)
    assert done["prices"]["spx_uncertainty"] is None
    assert done["risk"]["mismatch_uncertainty"] is None
    assert check_of(done, "ratio_drift")["ok"] is None


def test_spx_is_held_against_the_ratio_measured_before(stage):
    """SPY shown a dollar too high: ten points on the axis of SPX, 15 basis points of the ratio."""
    assert look(stage)["prices"]["ratio_measured"] is True
    stage.at("09:35:01")
    done = look(stage, fault("wrong_tick", by=1, when=SPY))
    says(done, "index_price", "the ratio last measured x SPY is")
    says(done, "ratio_drift", "basis points from the 10.02")
    assert (done["prices"]["ratio_measured"], done["prices"]["ratio_jumped"]) == (False, True)
    stage.at("09:35:02")
    again = look(stage, fault("wrong_tick", by=1, when=SPY))
    assert {"index_price", "ratio_drift"} <= set(failed(again))
    assert look(stage)["would"] == "enter"


def test_on_an_empty_ledger_spy_is_held_against_the_last_closes(tmp_path):
    with playing(tmp_path) as stage:
        done = look(stage, fault("wrong_tick", by=1, when=SPY))
        assert (
            {"ratio_drift", "index_price"}
            <= set(failed(done))
            <= {"ratio_drift", "index_price", "net_credit"}
        )
        says(done, "ratio_drift", "basis points from the 10.0300 of the last closes")
        done = look(stage, fault("wrong_tick", by=0.6, when=SPY))
        says(done, "index_price", "the ratio of the last closes x SPY is")
        assert "ratio_drift" not in failed(done)


def test_a_wide_quote_of_spy_stock_is_no_price_to_hold_spx_against(stage):
    done = look(stage, fault("wrong_tick", by=-1.4, side="bid", when=SPY))
    says(done, "index_price", "the mismatch of the strikes may be off by")
    assert check_of(done, "index_price")["value"]["mismatch"] > 2


# --- quotes ----------------------------------------------------------------------------------------------------


def test_each_quote_is_live_has_size_and_is_not_halted_and_what_it_lacks_is_named(stage):
    done = look(
        stage,
        fault("zero_size", side="bid", when=SPY_OPTIONS),
        fault("halted", when=SPY),
        fault("crossed", by=0.2, when=SPX_OPTIONS),
    )
    assert {"market_data", "halted", "spx_spread"} <= set(failed(done))
    message = check_of(done, "market_data")["message"]
    for words in ("SPY stock is halted", "SPX call is crossed (bid", "SPY call has no bid (its size is 0)"):
        assert words in message
    assert check_of(done, "halted")["value"] == 1
    assert "SPY 665 is not quoted: no bid (its size is 0)" in check_of(done, "strikes")["message"]
    says(done, "index_price", "6665: call is crossed")


def test_ages_distances_and_credit_have_their_limits(stage):
    done = look(stage, max_quote_age_seconds=0.001, max_legs_apart_seconds=1e-9, max_unexplained_credit=100)
    assert {"quote_age", "credit_plausible"} <= set(failed(done))
    says(done, "index_price", "call quote is 0.")
    done = look(stage, fault("wrong_tick", by=1, when=SPY_OPTIONS))
    assert failed(done) == ["credit_plausible"]
    says(done, "credit_plausible", "first a fault of the data")


# --- contracts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["double", "unreadable", "multiplier", "no_rule", "unknown_rule"])
def test_an_odd_row_spoils_its_own_strike_and_no_other(stage, form):
    away = [
        fault("odd_contract", strike=6690, form=form),
        fault("odd_contract", strike=670, symbol="SPY", form=form),
    ]
    assert look(stage, *away)["would"] == "enter"


def test_a_strike_at_the_money_that_is_missing_or_doubled_is_named_with_its_reason(stage):
    done = look(
        stage,
        fault("odd_contract", strike=6665),
        fault("odd_contract", strike=665, symbol="SPY", form="missing"),
    )
    says(done, "strikes", "SPX 6665 is left out: 2 contracts have this strike; SPY 665 is not listed")
    assert done["would"] == "skip"
    done = look(stage, fault("odd_contract", strike=6670, right="P", form="missing"))
    assert done["would"] == "enter"
    assert "parity of 4 strikes" in check_of(done, "index_price")["message"]


def test_a_call_whose_tick_sizes_the_gateway_does_not_tell_spoils_its_own_strike_and_says_why(stage):
    """The request for its market rule is answered by nothing that names it; every other strike has its own."""
    for symbol, strike, row in (("SPX", 6665, "SPX 6665"), ("SPY", 665, "SPY 665")):
        done = look(stage, fault("odd_contract", strike=strike, symbol=symbol, form="unknown_rule"))
        says(done, "strikes", f"{row} is left out: its market rule (tick sizes) is not known (")
        assert done["would"] == "skip"


def test_a_put_that_is_odd_or_cannot_be_asked_spoils_its_own_strike_and_says_why(stage):
    """Of the five puts around the money one is refused, and the row of others is odd: too few are left."""
    puts = [
        fault("odd_contract", strike=strike, right="P", form=form)
        for strike, form in ((6655, "no_rule"), (6660, "double"), (6665, "no_rule"), (6670, "unreadable"))
    ]
    assert look(stage, puts[2])["would"] == "enter"
    refused = fault(
        "refuse", code=322, text="Error processing request", when={"request": "contract_details", "nth": 9}
    )
    done = look(stage, refused)
    assert (done["would"], failed(done)) == ("enter", [])
    assert "parity of 4 strikes" in check_of(done, "index_price")["message"]
    done = look(stage, *puts)
    for words in (
        "6660: its put is left out: 2 contracts have this strike",
        "6665: its put is left out: the gateway sent no market rule (tick sizes) for it",
        "6670: its put is left out: its row cannot be read",
    ):
        says(done, "index_price", words)


def test_on_a_third_friday_the_class_is_spxw_and_the_expiry_today(tmp_path):
    """SPX options settled at that day's open are listed too; they had their last trade the day before."""
    with RunningSim(date="2026-02-20", regime="rich-spy", at="09:35", speed=0) as sim:
        stage = Stage(tmp_path, sim)
        stage.write_config(trading={"min_entry_credit": -1000})
        done = enter(stage)
    legs = {(leg["trading_class"], leg["expiration"], leg["right"]) for leg in done["legs"]}
    assert legs == {("SPXW", "2026-02-20", "C"), ("SPY", "2026-02-20", "C")}


# --- farms -----------------------------------------------------------------------------------------------------------


def flap(farm: str, *, back: bool) -> list[dict[str, Any]]:
    """2103 of a farm after the logon, and 2104 at once where it comes back."""
    when = {"request": "contract_details"}
    messages = [fault("error", code=2103, text=BROKEN + farm, when=when)]
    return [*messages, *([fault("error", code=2104, text=BACK + farm, when=when, after=0)] if back else [])]


def test_a_farm_that_is_back_or_serves_another_market_stops_nothing_and_one_that_is_broken_does(stage):
    assert look(stage, *flap("jfarm", back=False), *flap("usopt", back=True))["would"] == "enter"
    done = look(stage, *flap("usopt", back=False))
    assert failed(done) == ["market_data"]
    says(done, "market_data", "2103 Market data farm connection is broken:usopt")


# --- the second look -----------------------------------------------------------------------------------------------------


def test_the_second_look_must_allow_it_too(tmp_path):
    with playing(tmp_path) as stage, moving(stage):
        halt = fault("halted", when={"request": "current_time", "nth": 2}, lasts="always")
        stage.sim.control.script([halt])
        done = stage.run("enter", env={"SPXARB_WAIT_SCALE": "0.5"})
        assert (done.code, done["outcome"], done["would"]) == (0, "skipped", "skip"), done.err
        assert {"market_data", "halted", "second_look"} <= set(failed(done))
        says(done, "second_look", "A second look 3 s later does not: it says no by market_data, halted")
        assert stage.sim.control.book()["orders"] == []


def test_a_dry_run_looks_once_and_says_so(stage):
    done = look(stage)
    assert (done["would"], failed(done)) == ("enter", [])
    says(
        done,
        "second_look",
        "A dry run looks once; an entry looks again 3 s later, and both looks must allow it.",
    )


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (fault("halted", lasts="always"), "halted"),
        (fault("delayed", minutes=15, lasts="always"), "market_data"),
    ],
    ids=["halted", "delayed"],
)
def test_quotes_that_turn_bad_while_the_margin_is_asked_buy_nothing(tmp_path, broken, words):
    with playing(tmp_path) as stage, moving(stage):
        slow = fault("delay", seconds=1.5, when={"message": "open_order"}, lasts="always")
        stage.sim.control.script([{**broken, "when": {"request": "place_order"}}, slow])
        done = stage.run("enter")
        assert (done.code, done["outcome"], done["would"]) == (0, "skipped", "skip"), done.err
        says(done, "second_look", "After the margin was asked the quotes say no by")
        assert words in check_of(done, "second_look")["value"]
        assert stage.sql("SELECT * FROM trades") == []
        assert (stage.positions(), stage.sim.control.book()["orders"]) == ({}, [])


# --- while a spread is open ----------------------------------------------------------------------------------------------


def test_what_the_prices_of_an_open_spread_are_worth_stands_in_marks_status_and_results(tmp_path):
    """SPY is above its threshold by live prices, and below it by those of 90 minutes ago."""
    with playing(tmp_path) as stage, listening_sink() as sink:
        enter(stage)
        stage.at("11:00")
        settings(stage, assignment_risk_threshold=1, max_position_loss=5000, max_daily_loss=5000)
        stage.sim.control.script(
            [fault("delayed", minutes=90, when=SPY), fault("old_last", seconds=40, when=SPX)]
        )
        done = stage.run("monitor", env=sink.variables)
        (position,) = done["positions"]
        assert (done.code, position["action"]) == (0, "held"), done.err
        (told,) = sink.alerts
        assert (
            "old prices of SPX; delayed prices of SPY, so its assignment threshold cannot be relied on"
            in told
        )
        states = {state["of"]: (state["data"], state["halted"]) for state in position["prices"]}
        assert states == {
            "SPX": ("live", False),
            "SPY": ("delayed", False),
            "the SPX call": ("live", False),
            "the SPY call": ("live", False),
        }
        ages = {state["of"]: state["age_seconds"] for state in position["prices"]}
        assert ages["SPX"] >= 40
        assert all(age < 10 for of, age in ages.items() if of != "SPX")
        (mark,) = stage.sql("SELECT states FROM marks")
        assert json.loads(mark["states"]) == position["prices"]
        stage.sim.control.script([fault("halted", when=SPY)])
        status = stage.run("status")
        halted = [state["of"] for state in status["market_prices"] if state["halted"]]
        assert (halted, [p["of"] for p in status["prices"][0]["prices"] if p["halted"]]) == (
            ["SPY"],
            ["SPY"],
        )
        assert any(
            "halted prices of SPY, so its assignment threshold cannot be relied on" in note
            for note in status["notes"]
        )
        stage.sim.control.script()
        assert stage.run("monitor")["positions"][0]["exit_reason"] == "ASSIGNMENT_RISK"
