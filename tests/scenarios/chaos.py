"""A seeded bad day: random faults, kills, double and late fires, concurrent jobs; the laws must hold all the same.

`make chaos` plays days until it is told to stop; `make chaos SEED=17 DAYS=1` repeats one. What a seed decides
is what is done and when; what the machine's scheduler makes of two processes at once is its own.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

from crash import broken_laws
from stage import Stage

from spxarb.core.model import NEW_YORK
from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    import subprocess

DAY = "2026-02-10"
REGIMES = ("rich-spy", "quiet", "trend-up", "trend-down", "crash", "pin")
EXPECTED = {0, 3, 4, 5, 6, 7}
"""Exit codes that a bad day may bring; 1 is a bug, 2 wrong use."""
QUESTIONS = (49, 52, 53, 55, 62, 64, 93, 102)
"""Messages that end an answer: withheld, the question stays open."""
ORDER_NEWS = (3, 5, 11, 59)
"""What tells of an order: status, open order, execution, commission."""


@dataclass
class Day:
    """One bad day: its stage, its dice, what was done."""

    stage: Stage
    dice: random.Random
    log: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.log.append(f"{self.stage.sim.control.time():%H:%M:%S} {text}")


def play(seed: int, folder: Path) -> Day:
    """Play one day. What broke is in `problems`; empty when every law held."""
    dice = random.Random(seed)
    options: dict[str, Any] = {"date": DAY, "seed": dice.randrange(1000), "regime": dice.choice(REGIMES)}
    with RunningSim(at="09:34:30", speed=0, **options) as sim:
        stage = Stage(folder, sim)
        stage.settings = {
            "trading": {
                "mode": "sim",
                "max_spreads_per_day": dice.choice((1, 2, 3)),
                "min_entry_credit": dice.choice((-100_000, -300, 0, 400)),
                "max_strike_distance_spx": 10,
                "max_spx_spread": 5,
                "max_spy_spread": 1,
            },
            "risk_management": {"max_position_loss": dice.choice((50, 200, 500)), "max_daily_loss": 1000},
            "execution": {
                "order_timeout_seconds": 0.6,
                "exit_rung_seconds": 0.3,
                "quote_timeout_seconds": 1.5,
                "question_timeout_seconds": 1.5,
                "connect_timeout_seconds": 3,
                "lock_timeout_seconds": 20,
                "broker_side_failsafe": dice.random() < 0.7,
            },
        }
        stage.write_config()
        day = Day(stage, dice)
        day.note(f"seed {seed}: {options}, {stage.settings}")
        cash = stage.cash()
        _morning_and_afternoon(day)
        _evening(day, cash)
        return day


def _morning_and_afternoon(day: Day) -> None:
    """From the entry window to the time exit, with whatever the dice bring."""
    clock = datetime.fromisoformat(f"{DAY}T09:35:00").replace(tzinfo=NEW_YORK)
    end = clock.replace(hour=15, minute=44)
    while clock < end:
        day.stage.sim.control.set_time(clock)
        in_window = clock.hour == 9
        _step(day, in_window)
        minutes = day.dice.choice((1, 2, 5)) if in_window else day.dice.choice((5, 20, 45, 90))
        clock = min(end, clock + timedelta(minutes=minutes, seconds=day.dice.randrange(0, 30)))


def _step(day: Day, in_window: bool) -> None:
    """One firing: perhaps two jobs at once, perhaps a fault, perhaps a kill."""
    verbs = ["enter", "enter", "monitor"] if in_window else ["monitor", "monitor", "monitor", "enter"]
    verbs += [day.dice.choice(("close-all", "stop", "start", "status", "monitor"))]
    jobs = [_words(day.dice.choice(verbs)) for _ in range(day.dice.choice((1, 1, 1, 2, 2, 3)))]
    fault = _fault(day.dice) if day.dice.random() < 0.4 else {}
    if fault:
        day.stage.sim.control.faults(**fault)
    running = [(words, day.stage.start(*words)) for words in jobs]
    killed = _perhaps_kill(day, running)
    if day.dice.random() < 0.2:
        time.sleep(day.dice.random() * 0.5)
        day.stage.sim.control.drop()
        day.note("every connection was cut")
    if fault and day.dice.random() < 0.5:
        time.sleep(day.dice.random())
        day.stage.sim.control.faults()
    for words, process in running:
        may_be_ended = bool(killed) or any(words[0] == "close-all" for words in jobs)
        _end(day, words, process, may_be_ended)
    day.stage.sim.control.faults()
    day.note(f"{jobs} with {fault or 'no fault'}{', killed ' + str(killed) if killed else ''}")


def _words(verb: str) -> tuple[str, ...]:
    return (verb, "--yes") if verb == "close-all" else (verb,)


def _fault(dice: random.Random) -> dict[str, Any]:
    return dice.choice(
        (
            {"suppress": [dice.choice(QUESTIONS)]},
            {"suppress": [dice.choice(ORDER_NEWS)]},
            {"suppress": list(ORDER_NEWS)},
            {"mute": True},
            {"no_quotes": True},
            {"data_type": 3},
            {"read_only": True},
            {"cut": dice.choice(("before_request", "before_answer")), "cut_id": dice.choice((3, 4, 5, 7, 61, 16))},
            {"cut": dice.choice(("before_message", "after_message")), "cut_id": dice.choice((*ORDER_NEWS, 53, 62))},
        )
    )


def _perhaps_kill(day: Day, running: list[tuple[tuple[str, ...], subprocess.Popen[str]]]) -> list[str]:
    if day.dice.random() > 0.35:
        return []
    words, process = day.dice.choice(running)
    time.sleep(0.25 + day.dice.random() * 1.2)
    if process.poll() is None:
        process.kill()
        return [words[0]]
    return []


def _end(day: Day, words: tuple[str, ...], process: subprocess.Popen[str], may_be_ended: bool) -> None:
    """Wait for a job. `close-all` may end others by SIGTERM, another `close-all` among them."""
    try:
        _, err = process.communicate(timeout=120)
    except Exception:  # noqa: BLE001 -- whatever it is, the wait had no end
        process.kill()
        process.communicate()
        day.problems.append(f"{words} did not end within 120 s")
        return
    ended = process.returncode in {-9, -15} and may_be_ended
    if process.returncode not in EXPECTED and not ended:
        day.problems.append(f"{words} ended with {process.returncode}: {err.strip()[-600:]}")


def _evening(day: Day, cash: float) -> None:
    """Nothing is wrong any more: the time exit, its repetition, settlement; then the laws."""
    control = day.stage.sim.control
    control.faults()
    moments = ("15:45", "15:46", "15:51", "16:05")
    for moment in moments:
        day.stage.at(moment)
        verb = "settle" if moment == "16:05" else "monitor"
        done = day.stage.run(verb, timeout=150)
        day.note(f"{verb}: exit {done.code} {done.err.strip()[-300:]}")
        if done.code:
            day.problems.append(f"{moment} {verb} ended with {done.code}: {done.err.strip()[-600:]}")
    day.problems += broken_laws(day.stage, cash)
    day.problems += [f"left at the broker: {each}" for each in day.stage.positions().items()]
    open_rows = day.stage.sql("SELECT id, status, note FROM trades WHERE status <> 'CLOSED'")
    day.problems += [f"trade still open: {row}" for row in open_rows]


def main() -> int:
    """Play days one after the other. Exit 1 after the first that breaks a law, with its story."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seed", type=int, default=None, help="first seed (default: by the clock)")
    words.add_argument("--days", type=int, default=0, help="how many days; 0: until Ctrl-C")
    given = words.parse_args()
    seed = int(time.time()) % 1_000_000 if given.seed is None else given.seed
    played = 0
    while not given.days or played < given.days:
        with tempfile.TemporaryDirectory() as folder:
            day = play(seed, Path(folder))
        played += 1
        if day.problems:
            print("\n".join(day.log))
            print(f"seed {seed} broke: " + "\n  ".join(day.problems))
            return 1
        print(f"seed {seed}: {len(day.log)} steps, all laws held")
        seed += 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
