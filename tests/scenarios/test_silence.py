"""Silence is no end: orders of which the broker says nothing for a while are live until they are proven over.

The gateway's clock runs ten times as fast here, and so do the program's own waits.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from actions import enter, playing, settings
from harness import fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Done, Stage

FAST = 10.0
MID_STRIKE = "09:45"
"""SPX is at a strike then, so that the clock may run fast and the second look finds the same calls."""
ENTRY = {"SPX": 1, "SPY": 2}
"""Which order of an entry in a symbol's calls opens it: of SPY a what-if comes first."""
CASES = [(12, "unanswered"), (53, "unknown"), (53, "late"), (119, "unknown")]
"""Seconds of silence, 53 were seen of a real gateway; and what a cancel meanwhile comes to."""


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1, min_entry_credit=-100_000)
        stage.at(MID_STRIKE)
        yield stage


def silent(symbol: str, seconds: float, cancel: str = "unknown", nth: int = 1) -> dict[str, Any]:
    """The n-th order in this symbol's calls, a what-if counts, is silent for so many seconds of the gateway."""
    when = {"request": "place_order", "symbol": symbol, "sec_type": "OPT", "nth": nth}
    return fault("silent_order", when=when, seconds=seconds, cancel=cancel)


def lost(symbol: str, nth: int = 1) -> dict[str, Any]:
    """From the n-th order in this symbol's calls on, none arrives at the gateway; a what-if counts."""
    when = {"request": "place_order", "symbol": symbol, "sec_type": "OPT", "nth": nth}
    return fault("ignore", when=when, requests=["place_order"], lasts="always")


def run_fast(
    stage: Stage, entry: dict[str, Any] | list[dict[str, Any]], *words: str, minutes: int = 3
) -> Done:
    """One command while the gateway does wrong; minutes later whatever it was silent about has arrived."""
    control = stage.sim.control
    control.script(entry if isinstance(entry, list) else [entry])
    control.speed(FAST)
    done = stage.run(*words)
    control.speed(0)
    control.set_time(control.time() + timedelta(minutes=minutes))
    control.script()
    return done


def calls(stage: Stage) -> dict[str, float]:
    return {name: quantity for (name, _), quantity in stage.positions().items()}


def sent(stage: Stage, leg: str) -> list[str]:
    """The short names of a leg's orders, the fail-safe aside."""
    refs = [row["order_ref"].split(":") for row in stage.sql("SELECT order_ref FROM orders ORDER BY rowid")]
    return [ref[4] for ref in refs if ref[3] == leg and not ref[4].startswith("f")]


def filled(stage: Stage) -> dict[str, float]:
    """Contracts filled by leg and purpose, by the broker's own book."""
    sums: dict[str, float] = {}
    for row in stage.sim.control.book()["orders"]:
        if row["filled"]:
            leg, name = row["order_ref"].split(":")[3:]
            key = f"{leg}:{name if name == 'e1' else name[0]}"
            sums[key] = sums.get(key, 0) + row["filled"]
    return sums


@pytest.mark.parametrize(("seconds", "cancel"), CASES)
@pytest.mark.parametrize("symbol", ["SPX", "SPY"])
def test_an_entry_goes_on_when_its_silent_order_is_heard_of(stage, symbol, seconds, cancel):
    """Whatever became of it, what the account holds is what the ledger says, and the hedge was never sold."""
    done = run_fast(stage, silent(symbol, seconds, cancel, ENTRY[symbol]), "enter")
    assert sent(stage, symbol).count("e1") == 1, [check for check in done["checks"] if check["ok"] is False]
    assert len(sent(stage, symbol)) <= 2, "the order itself, and what undoes it"
    held = calls(stage)
    assert held in ({"SPXW": 1, "SPY": -10}, {}), (done["outcome"], done["error"])
    assert done["outcome"] == ("entered" if held else "aborted")
    assert done.code == 0, done["error"]
    assert stage.run("monitor").code == 0


@pytest.mark.parametrize(
    ("verb", "seconds"),
    [(("close-all", "--yes"), 53), (("monitor",), 12), (("monitor",), 119)],
    ids=["close-all 53", "monitor 12", "monitor 119"],
)
@pytest.mark.parametrize("symbol", ["SPX", "SPY"])
def test_an_exit_buys_and_sells_nothing_twice_beside_a_silent_order(stage, symbol, seconds, verb):
    enter(stage)
    stage.at("15:45:10")
    done = run_fast(stage, silent(symbol, seconds), *verb)
    again = stage.run("close-all", "--yes")
    assert (calls(stage), again["flat"]) == ({}, True)
    assert filled(stage) == {"SPY:e1": 10, "SPX:e1": 1, "SPY:x": 10, "SPX:x": 1}
    assert done.code in {0, 6}
    assert (done.code == 6) is bool(done["error"])


@pytest.mark.parametrize("seconds", [53, 120])
@pytest.mark.parametrize("verb", [("close-all", "--yes"), ("monitor",)], ids=lambda words: words[0])
def test_two_buy_backs_that_are_both_silent_buy_what_is_short_and_no_more(stage, verb, seconds):
    """The first, and whatever follows it: as close-all saw it of a gateway that acknowledged both 53 s late."""
    enter(stage)
    stage.at("15:45:10")
    orders = [
        fault(
            "silent_order",
            when={"request": "place_order", "order_ref": f"spxarb:*:SPY:x{number}"},
            seconds=seconds,
            cancel="unknown",
        )
        for number in (1, 2)
    ]
    done = run_fast(stage, orders, *verb)
    assert stage.positions().get(("SPY", 665.0), 0) <= 0, done.err
    again = stage.run("close-all", "--yes")
    assert (calls(stage), again["flat"]) == ({}, True), again.err
    assert filled(stage) == {"SPY:e1": 10, "SPX:e1": 1, "SPY:x": 10, "SPX:x": 1}


def test_a_sale_that_nobody_hears_of_keeps_its_hedge_and_a_fail_safe_for_what_may_be_short(stage):
    """It is there after all, a quarter of an hour later: by then the spread is whole."""
    done = run_fast(stage, silent("SPY", 900, nth=ENTRY["SPY"]), "enter", minutes=20)
    assert done.code == 6
    assert calls(stage) == {"SPXW": 1, "SPY": -10}
    found = stage.run("monitor")
    assert calls(stage) == {"SPXW": 1, "SPY": -10}
    assert found.code in {0, 6}
    assert stage.run("monitor").code == 0


@pytest.mark.parametrize("symbol", ["SPX", "SPY"])
def test_an_entry_whose_orders_never_arrive_comes_to_nothing(stage, symbol):
    done = run_fast(stage, lost(symbol, nth=ENTRY[symbol]), "enter")
    stage.run("monitor")
    assert calls(stage) == {}
    last = stage.run("monitor")
    assert (last.code, stage.sql("SELECT status FROM trades")) == (0, [{"status": "CLOSED"}])
    assert done.code in {0, 6}


@pytest.mark.parametrize("symbol", ["SPX", "SPY"])
def test_an_exit_whose_order_never_arrives_is_completed(stage, symbol):
    enter(stage)
    stage.at("15:45:10")
    done = run_fast(stage, lost(symbol), "monitor")
    if symbol == "SPY":  # a purchase: absence over minutes ends it
        assert (done.code, sent(stage, "SPY")) == (0, ["e1", "x1", "x2"])
    else:
        assert (done.code, calls(stage)) == (6, {"SPXW": 1})
        assert stage.run("monitor")["positions"][0]["action"] == "closed"
    assert calls(stage) == {}
