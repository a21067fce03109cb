"""What scenarios do again and again: play a day, enter, look into the ledger and the broker's book."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import entered
from contract import DAY
from harness import Done, Stage
from relay import Tap

from spxarb.core.model import NEW_YORK
from spxarb.ledger.ledger import Ledger
from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def playing(
    folder: Path, regime: str = "rich-spy", at: str = "09:35", *, date: str = DAY, **more: Any
) -> Iterator[Stage]:
    """A standing clock on a synthetic day; it moves when a test says so."""
    with RunningSim(date=date, regime=regime, at=at, speed=0, **more) as sim:
        stage = Stage(folder, sim, {"execution": {"quote_timeout_seconds": 1}})
        stage.write_config()
        yield stage


@contextmanager
def moving(stage: Stage) -> Iterator[None]:
    """The gateway's clock moves, so that what lasts for seconds ends."""
    stage.sim.control.speed(1)
    try:
        yield
    finally:
        stage.sim.control.speed(0)


@contextmanager
def held_terminal() -> Iterator[int]:
    """As after Ctrl-S: a pipe that takes nothing more; its writing end."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    try:
        yield writer
    finally:
        os.close(writer)
        os.close(reader)


def settings(stage: Stage, **more: Any) -> None:
    """The configuration with these keys, each put into its section."""
    homes = {
        "max_position_loss": "risk_management",
        "max_daily_loss": "risk_management",
        "emergency_exit_enabled": "risk_management",
        "worst_case_within_daily_loss": "risk_management",
        "max_losses_per_day": "risk_management",
        "max_failed_jobs_per_day": "risk_management",
        "broker_side_failsafe": "execution",
        "order_timeout_seconds": "execution",
        "exit_rung_seconds": "execution",
    }
    sections: dict[str, dict[str, Any]] = {}
    for key, value in more.items():
        sections.setdefault(homes.get(key, "trading"), {})[key] = value
    stage.write_config(**sections)


def enter(stage: Stage) -> Done:
    """A spread is open, as `enter` opens it; what another scenario did in the same way is not done anew."""
    done = entered.enter(stage)
    assert (done.code, done["outcome"]) == (0, "entered"), done.out + done.err
    return done


def failed(done: Done) -> list[str]:
    return [check["name"] for check in done["checks"] if check["ok"] is False]


def check_of(done: Done, name: str) -> dict[str, Any]:
    (found,) = [check for check in done["checks"] if check["name"] == name]
    return found


def live_orders(stage: Stage) -> list[str]:
    ended = {"Filled", "Cancelled", "Inactive"}
    return [row["order_ref"] for row in stage.sim.control.book()["orders"] if row["status"] not in ended]


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Look again and again until it is true; fails when the time is over."""
    end = monotonic() + seconds
    while not true():
        assert monotonic() < end, "it never came true"
        sleep(0.05)


def tomorrow(stage: Stage, hour: int = 9, minute: int = 40) -> None:
    moment = stage.at("16:30") + timedelta(days=1)
    stage.sim.control.set_time(moment.replace(hour=hour, minute=minute))


def dump(stage: Stage, *but: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of the ledger, without the tables named, and without what every command writes.

    That is its run, and the day up to which missed runs were told.
    """
    with closing(sqlite3.connect(stage.database)) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        left_out = {"runs", "sqlite_sequence", *but}
        found = {
            name: db.execute(f"SELECT * FROM {name}").fetchall() for name in names if name not in left_out
        }
        return {**found, "meta": [row for row in found.get("meta", []) if row[0] != "missed"]}


@contextmanager
def tapped(stage: Stage, hold_at: int | None = None) -> Iterator[Tap]:
    """The commands' way to the gateway leads through a tap."""
    with Tap(stage.sim.port, hold_at) as tap:
        text = stage.config.read_text()
        stage.config.write_text(text.replace(f"port: {stage.sim.port}", f"port: {tap.port}"))
        yield tap
        stage.config.write_text(text)


def seen_today(stage: Stage) -> None:
    """The ledger as a job leaves it that found nothing open and saw the account today."""
    now = datetime.now(NEW_YORK)
    with Ledger.open(stage.database, mode=stage.mode) as ledger:
        ledger.looks.add(ledger.runs.begin("monitor", [], now), now)


def lonely(folder: Path, port: int, mode: str = "paper") -> Stage:
    """A stage without a gateway."""
    sim = RunningSim()
    sim.port = port
    stage = Stage(folder, sim)
    stage.write_config(trading={"mode": mode}, execution={"connect_timeout_seconds": 0.4})
    return stage
