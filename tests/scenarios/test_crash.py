"""A process killed at any moment: ledger and broker agree afterwards, and no leg is naked at any time."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from actions import enter
from crash import Point, broken_laws, count_points, kill_at
from harness import WAIT_SCALE, Stage, fault

from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STRIDE = int(os.environ.get("SPXARB_CRASH_STRIDE", "37"))
"""Every how-many-th point is tried; 1 tries all."""
OFFSET = int(os.environ.get("SPXARB_CRASH_OFFSET", "0"))
Script = list[dict[str, Any]]
AT_ONCE: Script = []
IN_PARTS = [{"what": {"partial_fills": {"sizes": [1, 4], "pause_seconds": 0.4}}, "for": 600}]
LATE = [{"what": "hold_fills", "when": {"request": "place_order", "nth": 2}, "for": 1.0}]
SPY_NEVER = [{"what": "hold_fills", "when": {"symbol": "SPY"}, "for": 600}]
SILENT: Script = []
MARKETS = {"at once": AT_ONCE, "in parts": IN_PARTS, "late": LATE, "SPY never": SPY_NEVER, "silent": SILENT}
"""How orders fill: an order that rests is repriced, one that does not fill is undone. An exit always fills."""
DELAYS = (8, 12, 30, 53, 120)
"""Seconds for which a gateway says nothing of the first order of a leg; 53 were seen of a real one."""
ANSWERS = ("unknown", "late", "unanswered")
"""What a cancel meanwhile comes to."""
ALL_IN = timedelta(minutes=3)
"""After this long whatever the gateway was silent about has arrived."""
MOST_ENTRIES = 100
"""In one day, by the configuration."""
PARTS = 1 if STRIDE > 1 else 8
"""Into so many tests the points of one kind are shared out where all of them are tried, for several workers."""
KINDS = [("message", "commit")] if STRIDE > 1 else [("message",), ("commit",)]
"""Each on a day of its own: all points together are more than a day's entries."""


@contextmanager
def playing(folder: Path) -> Iterator[Stage]:
    """A standing market in which any spread is entered."""
    folder.mkdir(exist_ok=True)
    with RunningSim(date="2026-02-10", regime="rich-spy", at="09:45", speed=0) as sim:
        made = Stage(folder, sim)
        made.settings["trading"] = {
            "mode": "sim",
            "max_spreads_per_day": 1,
            "min_entry_credit": -100_000,
            "max_strike_distance_spx": 10,
            "max_spx_spread": 5,
            "entry_cutoff": "15:00",
        }
        made.settings["prices"] = {"second_look_seconds": 0.01}  # before another strike is the nearest
        made.settings["execution"] = {"order_timeout_seconds": 0.7, "exit_rung_seconds": 0.4}
        made.write_config()
        yield made


@contextmanager
def market(stage: Stage, name: str, number: int = 0) -> Iterator[None]:
    """Orders fill so while the block runs. Silence differs from point to point; its clock and our waits run fast."""
    control = stage.sim.control
    control.speed(1 / float(WAIT_SCALE) if name == "silent" else 1)
    control.script(silence(number) if name == "silent" else MARKETS[name])
    try:
        yield
    finally:
        if name == "silent":
            control.set_time(control.time() + ALL_IN)
        control.script()
        control.speed(0)


def silence(number: int) -> Script:
    leg = ("SPY", "SPX")[number % 2]
    return [
        fault(
            "silent_order",
            when={"request": "place_order", "order_ref": f"spxarb:*:{leg}:[ex]1"},
            seconds=DELAYS[number % len(DELAYS)],
            cancel=ANSWERS[number % len(ANSWERS)],
        )
    ]


each_part = pytest.mark.parametrize("part", range(PARTS), ids=lambda part: f"part {part + 1} of {PARTS}")


def points(stage: Stage, name: str, *words: str, part: int | None = None) -> list[Point]:
    """The points of a command to try; those of one of the PARTS where it is given."""
    with market(stage, name):
        messages, commits = count_points(stage, *words)
    assert messages > 10
    assert commits > 3
    every = [
        Point(kind, number, moment)
        for kind, count in (("message", messages), ("commit", commits))
        for number in range(1, count + 1)
        for moment in ("before", "after")
    ]
    stride = STRIDE * 2 - 1 if name == "silent" else STRIDE  # these take as long as the silence
    tried = every[(OFFSET + 7 * list(MARKETS).index(name)) % STRIDE :: stride]
    return tried if part is None else tried[part::PARTS]


def expect(stage: Stage, cash: float, point: Point | None, *words: str) -> None:
    stage.sim.control.advance(2)  # what was taken from the displayed sizes is there again
    done = stage.run(*words)
    assert done.code == 0, f"{point}: {words[0]} ended with {done.code}: {done.err}"
    assert broken_laws(stage, cash) == [], f"{point}, then {words[0]}"


def flatten(stage: Stage, cash: float, point: Point | None) -> None:
    expect(stage, cash, point, "close-all", "--yes")
    assert stage.positions() == {}, point


@pytest.mark.timeout(3000)
@each_part
@pytest.mark.parametrize("name", MARKETS)
def test_enter_killed_anywhere_is_mended_by_monitor_and_never_repeated(tmp_path, name, part):
    with playing(tmp_path / "undisturbed") as stage:
        cash = stage.cash()
        every = points(stage, name, "enter", part=part)
        flatten(stage, cash, None)
    for number, point in enumerate(every, start=OFFSET + part):
        with playing(tmp_path / str(number)) as stage:
            cash = stage.cash()
            with market(stage, name, number):
                kill_at(stage, point, "enter")
            expect(stage, cash, point, "monitor")
            expect(stage, cash, point, "enter")
            flatten(stage, cash, point)
    print(f"{len(every)} kills of enter, orders fill {name}: all mended")


@contextmanager
def due(folder: Path) -> Iterator[tuple[Stage, float]]:
    """A spread whose exit is due at once, and the cash before it."""
    with playing(folder) as stage:
        cash = stage.cash()
        enter(stage)
        assert broken_laws(stage, cash) == []
        stage.settings["risk_management"] = {"max_position_loss": 0}
        stage.write_config()
        yield stage, cash


@pytest.mark.timeout(3000)
@each_part
@pytest.mark.parametrize("name", ["at once", "in parts", "late", "silent"])
@pytest.mark.parametrize("words", [("monitor",), ("close-all", "--yes")], ids=" ".join)
def test_an_exit_killed_anywhere_is_finished_by_the_next_run(tmp_path, words, name, part):
    with due(tmp_path / "undisturbed") as (stage, _):
        every = points(stage, name, *words, part=part)
    for number, point in enumerate(every, start=OFFSET + part):
        with due(tmp_path / str(number)) as (stage, cash):
            with market(stage, name, number):
                kill_at(stage, point, *words)
            expect(stage, cash, point, "monitor")
            expect(stage, cash, point, "enter")
            flatten(stage, cash, point)
    print(f"{len(every)} kills of {words[0]}, orders fill {name}: all mended")


def close_by_hand(stage: Stage) -> None:
    """The human closes both legs, as in TWS."""
    for leg, side, quantity in (("SPY", "BUY", 10), ("SPX", "SELL", 1)):
        contract = stage.sql("SELECT con_id FROM orders WHERE leg = ? ORDER BY rowid DESC", leg)[0]["con_id"]
        fill = {"foreign_fill": {"side": side, "quantity": quantity, "con_id": contract}}
        stage.sim.control.script([{"what": fill}])
        stage.sim.control.script()


def orders_of(stage: Stage, trade: int) -> dict[str, str]:
    """Every order of a trade that the broker got, and its status."""
    tag = stage.sql("SELECT value FROM meta WHERE key = 'tag'")[0]["value"]
    rows, start = stage.sim.control.book()["orders"], f"spxarb:{tag}:{trade}:"
    return {row["order_ref"]: row["status"] for row in rows if row["order_ref"].startswith(start)}


def limits(stage: Stage, loss: int) -> None:
    stage.settings["risk_management"] = {"max_position_loss": loss, "max_daily_loss": 1_000_000}
    stage.write_config()


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kinds", KINDS, ids="+".join)
def test_a_hand_over_killed_anywhere_is_completed_by_the_next_run_and_nothing_trades_it_again(
    tmp_path, kinds
):
    """Once it is written down, `monitor` ends our orders; before that the trade is ours, with its fail-safe.

    All in one ledger: to another one, calls that were closed by hand would look as if they were still held.
    """
    with playing(tmp_path) as stage:
        _hand_overs(stage, kinds)


def _hand_overs(stage: Stage, kinds: tuple[str, ...]) -> None:
    stage.settings["trading"]["max_spreads_per_day"] = MOST_ENTRIES
    limits(stage, 500)
    cash = stage.cash()
    expect(stage, cash, None, "enter")
    every = [point for point in points(stage, "at once", "hand-over", "1") if point.kind in kinds]
    close_by_hand(stage)
    expect(stage, cash, None, "monitor")
    for trade, point in enumerate(every, 2):
        expect(stage, cash, point, "enter")
        sent = orders_of(stage, trade).keys()
        kill_at(stage, point, "hand-over", str(trade))
        expect(stage, cash, point, "monitor")
        (row,) = stage.sql("SELECT * FROM trades WHERE id = ?", trade)
        his = row["handed_over_at"] is not None
        rests = set(orders_of(stage, trade).values()) - {"Filled", "Cancelled"}
        assert (row["state"], bool(rests)) == (("handed over", False) if his else ("open", True)), (
            point,
            row,
        )
        expect(stage, cash, point, "hand-over", str(trade))
        limits(stage, 0)
        expect(stage, cash, point, "monitor")
        assert set(orders_of(stage, trade).values()) == {"Filled", "Cancelled"}, point
        assert len(stage.positions()) == 2, point
        close_by_hand(stage)
        expect(stage, cash, point, "monitor")  # the account has changed by what the ledger says, to the cent
        limits(stage, 500)
        (row,) = stage.sql("SELECT state, exit_reason FROM trades WHERE id = ?", trade)
        assert row == {"state": "closed", "exit_reason": "HANDED_OVER"}, point
        assert (orders_of(stage, trade).keys(), stage.positions()) == (sent, {}), point
    print(f"{len(every)} kills of hand-over: all mended")
