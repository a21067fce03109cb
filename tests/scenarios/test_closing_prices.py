"""What a spread that is held over the close brought: by which price, how final, and whether shares may come."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from actions import enter, playing, settings
from harness import Stage, fault

from spxarb.sim.control import RunningSim
from spxarb.sim.market.instruments import SPX_ID, SPY_ID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GONE = fault("expired_gone", lasts="always")
"""The account shows expired calls no more, whatever they may still become."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A spread is open, no fail-safe rests at the broker."""
    with playing(tmp_path) as stage:
        settings(stage, broker_side_failsafe=False)
        enter(stage)
        yield stage


def strike(stage: Stage, leg: str = "spy") -> float:
    return stage.sql(f"SELECT {leg}_strike AS strike FROM trades")[0]["strike"]


def last_print(stage: Stage, con_id: int) -> float:
    """Of the day's regular trading, by the simulator's own tape."""
    return stage.sim.control.quote(con_id)["last"]


def figures(stage: Stage, leg: str = "SPX") -> list[tuple[str, float, float | None]]:
    rows = stage.sql("SELECT * FROM settlement_stages WHERE leg = ? ORDER BY rowid", leg)
    return [(row["stage"], row["price"], row["difference"]) for row in rows]


def spy_closes_at(stage: Stage, distance: float, *more: dict[str, object]) -> None:
    """SPY's official close lies so far above the strike of the short calls; the clock is set to the close."""
    stage.at("16:00")
    by = round(strike(stage) + distance - last_print(stage, SPY_ID), 4)
    close = fault("official_close", by=by, symbol="SPY", lasts="always")
    stage.sim.control.script([GONE, close, *more])


def next_morning(stage: Stage) -> None:
    stage.sim.control.set_time(stage.at("23:00").replace(hour=9, minute=40) + timedelta(days=1))


@pytest.mark.parametrize("disguise", ["after hours", "delayed"])
def test_calls_that_end_in_the_money_are_told_whatever_the_last_price_shows(stage, disguise):
    """Official close 1.81 above the strike, the price on the screen below it: 1,000 shares are short at 4:00."""
    spy_closes_at(stage, 1.81)
    below = fault("after_hours", by=round(strike(stage) - 1.2 - last_print(stage, SPY_ID), 2), lasts="always")
    old = fault("delayed", told=False, lasts="always")
    spy_closes_at(stage, 1.81, below, *([old] if disguise == "delayed" else []))
    stage.at("18:00")
    done = stage.run("settle")
    assert done.code == 6
    assert "calls ended 1.81 above their strike" in done.err
    assert "so they will be assigned overnight: -1000 SPY shares" in done.err
    assert [(stage_, price) for stage_, price, _ in figures(stage, "SPY")] == [
        ("official close", pytest.approx(strike(stage) + 1.81))
    ]
    (spy,) = stage.sql("SELECT cash FROM settlements WHERE leg = 'SPY'")
    assert spy["cash"] == -1810
    assert done["provisional"] is True
    assert stage.run("status").code == 6
    next_morning(stage)
    done = stage.run("monitor")
    assert done.code == 6
    for words in ("changed by -1000 shares", "Either buy 1000 SPY", "or keep the shares"):
        assert words in done.err
    keys = {row["key"] for row in stage.sql("SELECT key FROM matters WHERE resolved_at IS NULL")}
    assert keys == {"shares:1"}, "what was expected has come, and is one matter"


@pytest.mark.parametrize(("distance", "where"), [(-0.6, "0.60 below"), (0.4, "0.40 above")])
def test_calls_that_end_near_their_strike_may_be_assigned_until_the_morning_shows(stage, distance, where):
    spy_closes_at(stage, distance)
    stage.at("18:00")
    for _ in range(2):
        done = stage.run("settle")
        assert done.code == 6
        assert f"calls ended {where} their strike" in done.err
        assert "they may be assigned overnight: -1000 SPY shares" in done.err
        assert "Holders decide until 17:30; you may buy 1000 SPY shares" in done.err
    next_morning(stage)
    done = stage.run("monitor")
    (trade,) = stage.sql("SELECT state FROM trades")
    if distance < 0:
        assert (done.code, trade["state"]) == (0, "settled")
        assert stage.sql("SELECT id FROM matters WHERE resolved_at IS NULL") == []
    else:
        assert (done.code, trade["state"]) == (6, "provisional")
        assert "changed by -1000 shares" in done.err


def test_calls_that_end_far_out_of_the_money_are_no_alarm(stage):
    spy_closes_at(stage, -2.5)
    stage.at("18:00")
    done = stage.run("settle")
    assert (done.code, done["provisional"]) == (0, True), done.err
    assert [row["cash"] for row in stage.sql("SELECT cash FROM settlements WHERE leg = 'SPY'")] == [0]


def test_both_legs_go_from_the_last_print_to_the_official_close_each_with_its_difference(stage):
    """Settled at 16:05, restated that evening, proven the next morning; the cash is the broker's to the cent."""
    stage.at("16:00")
    spx, spy = last_print(stage, SPX_ID), last_print(stage, SPY_ID)
    out = round(strike(stage) - 3 - spy, 2)
    up = fault("official_close", by=8.23, lasts="always")
    stage.sim.control.script([GONE, up, fault("official_close", by=out, symbol="SPY", lasts="always")])
    stage.at("16:05")
    assert stage.run("settle").code == 6, "by its last print SPY ends in the money"
    assert figures(stage) == [("last print", spx, None)]
    assert figures(stage, "SPY") == [("last print", spy, None)]
    before = stage.sql("SELECT final_pnl FROM trades")[0]["final_pnl"]
    stage.at("17:00")
    done = stage.run("settle")
    assert (done.code, done["provisional"]) == (6, True), done.err
    restated = pytest.approx(spx + 8.23)
    assert figures(stage)[1:] == [("official close", restated, pytest.approx(823))]
    lost = round((spy - strike(stage)) * 1000, 2)
    assert figures(stage, "SPY")[1:] == [("official close", pytest.approx(spy + out), pytest.approx(lost))]
    assert any("+823.00 dollars against the figure before" in note for note in done["notes"])
    assert stage.run("settle")["notes"] == [], "restated once"
    next_morning(stage)
    shown = [(row["leg"], row["stage"]) for row in done["settlements"]]
    assert shown == [(leg, name) for leg in ("SPX", "SPY") for name in ("last print", "official close")]
    after = stage.sql("SELECT final_pnl FROM trades")[0]["final_pnl"]
    assert after == pytest.approx(before + 823 + lost)
    assert stage.run("monitor").code == 0
    (trade,) = stage.sql("SELECT state, final_pnl FROM trades")
    assert (trade["state"], trade["final_pnl"]) == ("settled", after)
    assert stage.cash() == pytest.approx(1_000_000 + after, abs=1e-6)


@pytest.mark.parametrize("form", ["before", "none"])
def test_without_a_bar_of_the_day_no_price_after_hours_settles_spy(stage, form):
    """SPX settles at its last price; SPY waits, and a human hears of it."""
    stage.sim.control.script([GONE, fault("late_bars", form=form, lasts="always")])
    stage.at("16:05")
    done = stage.run("settle")
    assert done.code == 6
    assert "its closing prices are not known" in done.err
    assert stage.sql("SELECT * FROM settlements") == []
    if form == "none":
        assert any("daily bars of SPY" in note for note in done["notes"])
    stage.at("17:00")
    stage.sim.control.script([GONE])
    assert stage.run("settle").code == 6  # in the money
    assert [name for name, *_ in figures(stage, "SPY")] == ["official close"]


def test_tick_9_is_the_official_close_on_a_trading_day_and_no_other(tmp_path):
    """A Friday's settlement without daily bars, over a Saturday and a holiday, on which tick 9 is Thursday's."""
    with RunningSim(date="2026-02-13", regime="crash", seed=9, at="09:35", speed=0) as sim:
        stage = Stage(tmp_path, sim, {"execution": {"quote_timeout_seconds": 1}})
        settings(stage, min_entry_credit=-1000, broker_side_failsafe=False)
        enter(stage)
        stage.at("16:05")
        assert stage.run("settle").code == 6, "the account still shows the calls"
        official = last_print(stage, SPX_ID)
        no_bars = fault("late_bars", form="none", lasts="always")
        sim.control.script([GONE, no_bars, fault("old_close", lasts="always")])
        evening = stage.at("16:05")
        for days in (1, 3):
            sim.control.set_time(evening.replace(hour=10) + timedelta(days=days))
            done = stage.run("settle")
            assert (done.code, done["provisional"]) == (0, True), done.err
            assert figures(stage) == [("last print", official, None)]
            assert stage.sql("SELECT state FROM trades") == [{"state": "provisional"}]
        sim.control.script([GONE, no_bars])
        sim.control.set_time(evening.replace(hour=9, minute=45) + timedelta(days=4))
        assert stage.run("monitor").code == 0
        assert figures(stage)[1:] == [("official close", official, 0)]
        assert stage.sql("SELECT state FROM trades") == [{"state": "settled"}]


def open_matters(stage: Stage) -> list[dict[str, object]]:
    return stage.run("ack")["matters"]


def test_an_official_close_far_from_the_last_print_counts_once_a_human_says_so(stage):
    """A hundred index points apart: one of the two is of something else."""
    stage.sim.control.script([GONE, fault("official_close", by=100, lasts="always")])
    stage.at("16:05")
    assert stage.run("settle").code == 6, "SPY ended in the money"
    stage.at("17:00")
    for _ in range(2):
        done = stage.run("settle")
        assert (done.code, len(figures(stage))) == (6, 1)
        assert "acknowledged, the official close counts" in done.err
    (matter,) = [row for row in open_matters(stage) if str(row["key"]).startswith("settlement:")]
    stage.run("ack", str(matter["id"]))
    stage.run("settle")
    assert figures(stage)[1:] == [("official close", pytest.approx(figures(stage)[0][1] + 100), 10_000)]


def test_an_official_close_that_never_comes_is_a_matter_after_two_trading_days(tmp_path):
    """The calls are worthless by far; without any bar the last print counts once a human says so."""
    with playing(tmp_path, "crash", seed=9) as stage:
        settings(stage, min_entry_credit=-1000, broker_side_failsafe=False)
        enter(stage)
        stage.at("16:05")
        assert stage.run("settle").code == 6  # the account still shows the calls
        no_bars = [fault("late_bars", form="none", lasts="always"), fault("no_data", lasts="always")]
        stage.sim.control.script([GONE, *no_bars])
        evening = stage.at("18:00")
        assert stage.run("settle").code == 0
        for days, code in ((1, 0), (2, 0), (3, 6)):
            stage.sim.control.set_time(evening.replace(hour=10) + timedelta(days=days))
            done = stage.run("monitor")
            assert done.code == code, done.err
            assert stage.sql("SELECT state FROM trades") == [{"state": "provisional"}]
            told = "does not tell" if code else "is not known yet"
            assert told in (done.err or " ".join(done["notes"]))
        (matter,) = open_matters(stage)
        stage.run("ack", str(matter["id"]))
        assert stage.run("monitor").code == 0
        assert stage.sql("SELECT state FROM trades") == [{"state": "settled"}]
