"""A seeded bad day: random faults, kills, double and late fires, concurrent jobs; the laws must hold all the same.

`make chaos` plays days until it is told to stop; `make chaos SEED=17 DAYS=1` repeats one. With `--fault NAME`
(or `--fault all`) short days are played in which an entry, a look and an exit meet just this fault of the
gateway's table. What a seed decides is what is done and when; what the machine's scheduler makes of two processes at once is its own.
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

from crash import broken_laws, laws_though_others_moved
from harness import WAIT_SCALE, Stage, fault, withheld
from told import HUMAN, LOOKERS, untold
from warm_starts import warm

from spxarb.core.model import NEW_YORK
from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

Entry = dict[str, Any]
DAY = "2026-02-10"
REGIMES = ("rich-spy", "quiet", "trend-up", "trend-down", "crash", "pin")
EXPECTED = {0, 3, 4, 5, 6, 7}
"""Exit codes that a bad day may bring; 1 is a bug, 2 wrong use."""
QUESTIONS = (49, 52, 53, 55, 62, 64, 93, 102)
"""Messages that end an answer: withheld, the question stays open."""
ORDER_NEWS = (3, 5, 11, 59)
"""What tells of an order: status, open order, execution, commission."""
ENDS = (
    "positions_end",
    "open_orders_end",
    "completed_orders_end",
    "executions_end",
    "account_end",
    "account_multi_end",
)
WELCOME = (
    "next_valid_id",
    "managed_accounts",
    "current_time",
    "contract_details_end",
    "option_chains_end",
    "market_rule",
)
NEWS = ("order_status", "open_order", "execution", "commission", "error")
QUESTIONS_ASKED = (
    "open_orders",
    "all_open_orders",
    "completed_orders",
    "executions",
    "positions",
    "current_time",
)
ACTS = ("place_order", "cancel_order")

SEQUENCES = ("error_first", "status_first")
ZONES = (
    {"zone": "US/Eastern"},
    {"zone": "US/Central"},
    {"zone": "Europe/Berlin", "written": "Central European Standard Time"},
    {"zone": "Europe/Berlin", "written": "Mitteleurop\ufffdische Zeit"},
    {"zone": "Europe/Berlin", "written": "MET"},
    {"zone": "Asia/Singapore", "written": "SGT"},
    {"zone": "Asia/Tokyo", "written": "JST"},
    {"zone": "Asia/Hong_Kong", "form": "dash"},
)
"""Where a gateway may run, and how it writes that."""


def _at_message(dice: random.Random, names: tuple[str, ...] = NEWS) -> dict[str, Any]:
    return {"message": dice.choice(names), "nth": dice.choice((1, 1, 2, 3))}


def _at_request(dice: random.Random, names: tuple[str, ...] = ACTS) -> dict[str, Any]:
    return {"request": dice.choice(names), "nth": dice.choice((1, 1, 1, 2, 3))}


SCRIPTS: dict[str, Callable[[random.Random], Entry]] = {
    "silent_accept": lambda d: fault("silent_accept", lasts=d.choice((1, 5))),
    "client_id_taken": lambda d: fault("client_id_taken"),
    "close": lambda d: d.choice((
        fault("close", when=_at_request(d, (*ACTS, *QUESTIONS_ASKED, "start_api")), point=d.choice(("before", "unanswered", "after"))),
        fault("close", when=_at_message(d), point=d.choice(("before", "after"))),
    )),
    "restart": lambda d: fault("restart", lasts=d.choice((1, 5))),
    "stop_reading": lambda d: fault("stop_reading", when=_at_request(d), lasts=d.choice((1, 3))),
    "stop_writing": lambda d: fault("stop_writing", when=_at_request(d), lasts=d.choice((1, 3, 600)), lost=d.random() < 0.5),
    "split": lambda d: fault("split", size=d.choice((1, 7, 100)), random=True),
    "coalesce": lambda d: fault("coalesce", seconds=d.choice((0.2, 0.8))),
    "link_lost": lambda d: fault("link_lost", when=d.choice(({}, _at_request(d))), data_lost=d.random() < 0.5, lasts=d.choice((2, 6))),
    "farm_lost": lambda d: fault("farm_lost", lasts=d.choice((2, 10))),
    "rate_limit": lambda d: fault("rate_limit", when=_at_request(d, (*ACTS, *QUESTIONS_ASKED)), close=d.random() < 0.7),
    "read_only": lambda d: fault("read_only"),
    "unsolicited_orders": lambda d: fault("unsolicited_orders"),
    "disclaimer": lambda d: fault("disclaimer", scope=d.choice(("questions", "logon", "orders")), lasts=d.choice((1, 5))),
    "commission_after_list": lambda d: fault("commission_after_list"),
    "next_id_jump": lambda d: fault("next_id_jump", by=d.choice((1, 500)), told=d.random() < 0.5, when=d.choice(({}, _at_request(d)))),
    "clock_off": lambda d: fault("clock_off", seconds=d.choice((-300, -3, 2, 90))),
    "withhold": lambda d: fault("withhold", messages=d.choice((*ENDS, *WELCOME, *NEWS)), lasts=d.choice((1, 600))),
    "delay": lambda d: fault("delay", messages=d.sample(NEWS, d.choice((1, 2, 4))), seconds=d.choice((0.2, 0.8, 3)), lasts=600),
    "duplicate": lambda d: fault("duplicate", messages=list(NEWS[:4]), copies=d.choice((1, 2)), lasts=600),
    "ignore": lambda d: fault("ignore", when=_at_request(d)),
    "unanswered": lambda d: fault("unanswered", when=_at_request(d)),
    "late_request": lambda d: fault("late_request", when=_at_request(d), seconds=d.choice((0.3, 1, 3))),
    "refuse": lambda d: fault("refuse", when=_at_request(d, QUESTIONS_ASKED), code=d.choice((321, 322, 504))),
    "error": lambda d: fault("error", code=d.choice((2104, 2119, 10197, 502, 1300, 2148, 10141)), when=_at_request(d)),
    "say": lambda d: fault("say", fields=d.choice(([4, 2, -1, 2110, "x", ""], [9, 1, 7], [99, 1], [58, 1, 3, 3])), when=_at_request(d)),
    "slow_snapshot": lambda d: fault("slow_snapshot"),
    "line_limit": lambda d: fault("line_limit", lines=d.choice((0, 1, 2))),
    "unset_account": lambda d: fault("unset_account", form=d.choice(("unset", "empty"))),
    "unset_pnl": lambda d: fault("unset_pnl"),
    "what_if_unset_first": lambda d: fault("what_if_unset_first"),
    "what_if_unset": lambda d: fault("what_if_unset", form=d.choice(("unset", "empty"))),
    "what_if_never": lambda d: fault("what_if_never"),
    "what_if_refused": lambda d: fault("what_if_refused"),
    "what_if_pacing": lambda d: fault("what_if_pacing"),
    "base_currency": lambda d: fault("base_currency", labelled=d.choice(("own", "base")), what_if=d.choice(("own", "dollars")), rate_told=d.choice((True, False))),
    "exec_time": lambda d: fault("exec_time", form=d.choice(("unknown", "local", "utc", "est", "eastern", "empty"))),
    "gateway_zone": lambda d: fault("gateway_zone", **d.choice(ZONES)),
    "no_reference": lambda d: fault("no_reference", order_ref=d.choice(("", "", "spxarb:*:x*")), perm_id=d.choice(("kept", "zero"))),
    "wrong_hours": lambda d: fault("wrong_hours", form=d.choice(("half_day", "closed", "missing", "empty"))),
    "zero_positions": lambda d: fault("zero_positions"),
    "late_executions": lambda d: fault("late_executions", seconds=d.choice((1, 3))),
    "late_completed": lambda d: fault("late_completed", seconds=d.choice((1, 4))),
    "refuse_order": lambda d: fault("refuse_order", when=_at_request(d, ACTS[:1]), code=d.choice((103, 109, 110, 201, 203, 383, 321, 451, 478, 2139))),
    "refuse_change": lambda d: fault("refuse_change", code=d.choice((104, 105, 110))),
    "refuse_cancel": lambda d: fault("refuse_cancel", code=d.choice((136, 161, 10147, 10148))),
    "slow_cancel": lambda d: fault("slow_cancel", seconds=d.choice((0.5, 2, 4))),
    "fill_instead_of_cancel": lambda d: fault("fill_instead_of_cancel", seconds=d.choice((0, 0.3, 1.5))),
    # our waits are a tenth here: 0.3 s is three seconds after the word that an order is over
    "fill_after_cancel": lambda d: fault("fill_after_cancel", seconds=d.choice((0, 0.05, 0.3)), quantity=d.choice((0, 0, 3))),
    "silent_cancel": lambda d: fault("silent_cancel"),
    "reject": lambda d: fault("reject", when=d.choice(({}, _at_request(d, ACTS[:1]))), status=d.choice(("Inactive", "Cancelled", "none")),
                        sequence=d.choice(SEQUENCES)),
    "margin_reject": lambda d: fault("margin_reject", when={"symbol": d.choice(("SPX", "SPY"))}, sequence=d.choice(SEQUENCES)),
    "silent_order": lambda d: fault("silent_order", when=d.choice((_at_request(d, ACTS[:1]), {"symbol": d.choice(("SPX", "SPY"))})),
                                 seconds=d.choice((8, 12, 30, 53, 120)), cancel=d.choice(("unanswered", "unknown", "late"))),
    "both_sides": lambda d: fault("both_sides", rule=d.choice(("all", "active", "off"))),
    "inactive": lambda d: fault("inactive", seconds=d.choice((0.3, 1, 3))),
    "order_warning": lambda d: fault("order_warning", when=_at_request(d, ACTS[:1]), code=d.choice((399, 404, 2109, 10349, 110, 161, 202, 2137))),
    "hold_fills": lambda d: fault("hold_fills", lasts=d.choice((0.5, 2, 600)), when=d.choice(({}, {"symbol": d.choice(("SPX", "SPY"))}))),
    "partial_fills": lambda d: fault("partial_fills", sizes=d.choice(([1], [3], [2, 4], [9])), pause_seconds=d.choice((0.2, 1, 4)),
                                  rest=d.random() < 0.6),
    "status_first": lambda d: fault("status_first", lasts=600),
    "status_only": lambda d: fault("status_only", lasts=d.choice((1, 600))),
    "execution_first": lambda d: fault("execution_first", lasts=600),
    "execution_only": lambda d: fault("execution_only", lasts=600),
    "late_commission": lambda d: fault("late_commission", seconds=d.choice((0.3, 3, 10))),
    "no_commission": lambda d: fault("no_commission", until=d.choice(("never", "reconnect"))),
    "unset_commission": lambda d: fault("unset_commission", form=d.choice(("unset", "zero"))),
    "commission_twice": lambda d: fault("commission_twice", seconds=d.choice((0, 0.5)), form=d.choice(("unset", "zero"))),
    "correction": lambda d: fault("correction", when={"message": "execution"}, after=d.choice((0, 0.5, 2)), listed=d.choice(("both", "corrected")),
                               commission=d.choice(("again", "once")), price_change=d.choice((-0.1, 0.1))),
    "bust": lambda d: fault("bust", when={"message": "execution", "symbol": "SPY", "side": "SELL"}, after=d.choice((0, 0.5)),
                         listed=d.choice(("both", "corrected"))),
    "foreign_order": lambda d: fault("foreign_order", when=_at_request(d, ACTS[:1]), side="SELL", quantity=d.choice((1, 10))),
    "foreign_fill": lambda d: fault("foreign_fill", when=_at_message(d, ("execution",)), side=d.choice(("BUY", "SELL")), told=d.random() < 0.4),
    "foreign_position": lambda d: fault("foreign_position", when=d.choice(({}, _at_request(d, ACTS[:1]))), symbol=d.choice(("SPX", "SPY")), flat=True),
    "liquidation": lambda d: fault("liquidation", when=d.choice(({}, _at_request(d, ACTS[:1]))), symbol=d.choice(("SPX", "SPY"))),
    "rejected_but_held": lambda d: fault("rejected_but_held", when=_at_request(d, ACTS[:1]), sequence=d.choice(SEQUENCES)),
    "foreign_rows": lambda d: fault("foreign_rows", form=d.choice(("all", "short", "unset", "order_type", "combo", "fraction", "empty", "negative_id"))),
    "late_positions": lambda d: fault("late_positions", seconds=d.choice((0.3, 1, 3))),
    "position_first": lambda d: fault("position_first", seconds=d.choice((0, 0.3, 1, 3))),
    "no_quotes": lambda d: fault("no_quotes", side=d.choice(("both", "bid", "ask")), form=d.choice(("none", "zero")), lasts=d.choice((1, 600)),
                              when=d.choice(({}, {"symbol": "SPY"}, {"symbol": "SPX", "sec_type": "OPT"}))),
    "wrong_tick": lambda d: fault("wrong_tick", by=d.choice((-30, -1, 1, 10)), side=d.choice(("all", "bid", "ask", "last")), lasts=d.choice((1, 600)),
                               when=d.choice(({}, {"symbol": "SPY"}, {"symbol": "SPX", "sec_type": "OPT"}))),
    "unsubscribed": lambda d: fault("unsubscribed", lasts=d.choice((1, 600))),
    "zero_size": lambda d: fault("zero_size", side=d.choice(("both", "bid", "ask")), lasts=d.choice((1, 600))),
    "old_last": lambda d: fault("old_last", seconds=d.choice((5.0, 60.0)), lasts=d.choice((1, 600))),
    "no_greeks": lambda d: fault("no_greeks", form=d.choice(("absent", "not_computed", "unset")), lasts=600),
    "odd_contract": lambda d: fault(
        "odd_contract",
        form=d.choice(("double", "missing", "unreadable", "multiplier")),
        strike=d.choice((6660, 6665, 6670)),
        lasts=d.choice((1, 600)),
    ),
    "crossed": lambda d: fault("crossed", lasts=d.choice((1, 600))),
    "stale": lambda d: fault("stale", when=d.choice(({}, _at_request(d)))),
    "delayed": lambda d: fault("delayed", type=d.choice(("2", "3", "4"))),
    "competing_session": lambda d: fault("competing_session", lasts=d.choice((2, 600)), when=d.choice(({}, _at_request(d)))),
    "halted": lambda d: fault("halted", quotes=d.random() < 0.5, lasts=d.choice((1, 600))),
    "no_data": lambda d: fault("no_data", lasts=d.choice((1, 600))),
    "official_close": lambda d: fault("official_close", by=d.choice((-9, 0.5, 9)), symbol=d.choice(("SPX", "SPY"))),
    "after_hours": lambda d: fault("after_hours", by=d.choice((-2, 2))),
    "old_close": lambda d: fault("old_close"),
    "late_bars": lambda d: fault("late_bars", form=d.choice(("before", "none"))),
    "expired_gone": lambda d: fault("expired_gone"),
}  # fmt: skip
"""How the dice script each fault of the gateway's table."""
NEED_RESTING = {
    *(
        "fill_instead_of_cancel",
        "fill_after_cancel",
        "slow_cancel",
        "silent_cancel",
        "refuse_cancel",
        "refuse_change",
    ),
    *("order_warning", "inactive", "late_request", "ignore", "unanswered"),
}
AFTER_A_LOOK = {"bust", "correction"}
"""Faults that answer a look: the job that asked has its answer before they come."""
MOVING = {"foreign_position", "liquidation", "rejected_but_held"}
"""Faults after which the account moved and no order of ours did it: a human has to hear of it, and may have to act."""


@dataclass
class Day:
    """One bad day: its stage, its dice, what was done."""

    stage: Stage
    dice: random.Random
    log: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    moved: bool = False
    """Something of MOVING has happened."""

    def note(self, text: str) -> None:
        self.log.append(f"{self.stage.sim.control.time():%H:%M:%S} {text}")


def play(seed: int, folder: Path, fault: str = "") -> Day:
    """Play one day. What broke is in `problems`; empty when every law held. With `fault` a short day of it."""
    dice = random.Random(f"{seed}/{fault}" if fault else seed)
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
        if fault:
            _short_day(day, fault)
        else:
            _morning_and_afternoon(day)
        _evening(day, cash)
        return day


def entries(name: str, dice: random.Random) -> list[Entry]:
    """A fault as the dice script it. What befalls cancels and changes wants orders that rest."""
    if name in NEED_RESTING and dice.random() < 0.8:
        symbol = dice.choice(("SPX", "SPY"))
        resting = fault("hold_fills", when={"symbol": symbol}, lasts=dice.choice((1, 600))) | {
            "times": "always"
        }
        return [resting, SCRIPTS[name](dice)]
    return [SCRIPTS[name](dice)]


def _short_day(day: Day, fault: str) -> None:
    """Enter, look and leave, each with the fault or, by the dice, without."""
    day.stage.settings["trading"] |= {"min_entry_credit": -100_000, "max_spreads_per_day": 2}
    day.stage.write_config()
    for clock, *words in (
        ("09:36", "enter"),
        ("09:40", "enter"),
        ("09:44", "monitor"),
        ("10:10", "close-all", "--yes"),
    ):
        day.stage.at(clock)
        wrong = {"script": entries(fault, day.dice)} if day.dice.random() < 0.8 else {}
        _wrong(day, wrong)
        _end(day, tuple(words), day.stage.start(*words), may_be_ended=False)
        day.note(f"{words} with {wrong}, fired {_right(day)}")


def _morning_and_afternoon(day: Day) -> None:
    """From the entry window to the time exit, with whatever the dice bring."""
    clock = datetime.fromisoformat(f"{DAY}T09:35:00").replace(tzinfo=NEW_YORK)
    end = clock.replace(hour=15, minute=40)
    while clock < end:
        day.stage.sim.control.set_time(max(clock, day.stage.sim.control.time()))
        in_window = clock.hour == 9
        _step(day, in_window)
        minutes = day.dice.choice((1, 2, 5)) if in_window else day.dice.choice((5, 20, 45, 90))
        clock = min(end, clock + timedelta(minutes=minutes, seconds=day.dice.randrange(0, 30)))


def _step(day: Day, in_window: bool) -> None:
    """One firing: perhaps two jobs at once, perhaps a fault, perhaps a kill."""
    verbs = ["enter", "enter", "monitor"] if in_window else ["monitor", "monitor", "monitor", "enter"]
    verbs += [day.dice.choice(("close-all", "stop", "start", "status", "monitor"))]
    jobs = [_words(day.dice.choice(verbs)) for _ in range(day.dice.choice((1, 1, 1, 2, 2, 3)))]
    fault = _fault(day.dice) if day.dice.random() < 0.6 else {}
    _wrong(day, fault)
    running = [(words, day.stage.start(*words)) for words in jobs]
    killed = _perhaps_kill(day, running)
    if day.dice.random() < 0.2:
        time.sleep(day.dice.random() * 0.5)
        day.stage.sim.control.drop()
        day.note("every connection was cut")
    fired = []
    if fault and day.dice.random() < 0.3:
        time.sleep(day.dice.random() * 4)
        fired = _right(day)
    for words, process in running:
        may_be_ended = bool(killed) or any(words[0] == "close-all" for words in jobs)
        _end(day, words, process, may_be_ended)
    fired = _right(day) or fired
    if not killed and any(words[0] in LOOKERS for words in jobs):
        day.problems += _untold(day, fired)
    day.note(f"{jobs} with {fault or 'no fault'}, fired {fired}{', killed ' + str(killed) if killed else ''}")


def _untold(day: Day, fired: list[str]) -> list[str]:
    """What a human was not told. A trade that was corrected after the last look of all is told by the next one."""
    found = untold(day.stage)
    if found and AFTER_A_LOOK & set(fired):
        day.note(f"looked again, for {found}")
        day.stage.run("monitor")
        found = untold(day.stage)
    return [f"{day.stage.sim.control.time():%H:%M:%S} {sentence}" for sentence in found]


def _wrong(day: Day, fault: dict[str, Any]) -> None:
    """Let the gateway do wrong. A script counts market seconds: the clock runs while it is played."""
    control = day.stage.sim.control
    if "script" in fault:
        # How long the gateway is silent of an order is told in the seconds of the program's own waits.
        silent = any("silent_order" in entry["what"] for entry in fault["script"])
        control.speed(1 / float(WAIT_SCALE) if silent else 1)
        control.script(fault["script"], seed=day.dice.randrange(1000))
    elif fault:
        control.script([fault["crude"]])


def _right(day: Day) -> list[str]:
    """Nothing is wrong any more: what was held back is sent, the clock stands still. Gives what fired."""
    control = day.stage.sim.control
    fired = sorted({firing["fault"] for firing in control.fired()})
    day.moved = day.moved or bool(MOVING & set(fired))
    control.script()
    control.speed(0)
    return fired


def _words(verb: str) -> tuple[str, ...]:
    return (verb, "--yes") if verb == "close-all" else (verb,)


def _fault(dice: random.Random) -> dict[str, Any]:
    """Mostly one or two entries of a script, now and then a crude fault while the clock stands still."""
    if dice.random() < 0.75:
        names = dice.sample(sorted(SCRIPTS), dice.choice((1, 1, 2, 3)))
        return {"script": [entry for name in names for entry in entries(name, dice)]}
    crude = dice.choice(
        (
            withheld(dice.choice(QUESTIONS)),
            withheld(dice.choice(ORDER_NEWS)),
            withheld(*ORDER_NEWS),
            fault("stop_writing", lost=True),
            fault("no_quotes"),
            fault("delayed", minutes=0),
            fault("read_only"),
            fault(
                "close",
                point=dice.choice(("before", "unanswered")),
                requests=dice.choice((3, 4, 5, 7, 61, 16)),
            ),
            fault(
                "close", point=dice.choice(("before", "after")), messages=dice.choice((*ORDER_NEWS, 53, 62))
            ),
        )
    )
    return {"crude": crude}


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
    ended = process.returncode in {-9, -15, 143} and may_be_ended
    if process.returncode not in EXPECTED and not ended:
        day.problems.append(f"{words} ended with {process.returncode}: {err.strip()[-600:]}")


def _evening(day: Day, cash: float) -> None:
    """Nothing is wrong any more: the time exit, its repetition, settlement; then the laws."""
    _right(day)
    others = _close_others(day)
    moments = ("15:45", "15:46", "15:51", "16:05")
    for moment in moments:
        day.stage.at(moment)
        verb = "settle" if moment == "16:05" else "monitor"
        done = day.stage.run(verb, timeout=150)
        day.note(f"{verb}: exit {done.code} {done.err.strip()[-300:]}")
        day.moved = day.moved or _was_taken_from(day)
        if done.code and not (day.moved and done.code == HUMAN and _matters(day)):
            day.problems.append(f"{moment} {verb} ended with {done.code}: {done.err.strip()[-600:]}")
    if day.moved:
        day.problems += laws_though_others_moved(day.stage)
        if _matters(day):  # the rest is a human's
            return
    else:
        day.problems += broken_laws(day.stage, cash + others)
    day.problems += [f"left at the broker: {position}" for position in day.stage.positions().items()]
    open_rows = day.stage.sql("SELECT id, status, note FROM trades WHERE status <> 'CLOSED'")
    day.problems += [f"trade still open: {row}" for row in open_rows]


def _matters(day: Day) -> list[dict[str, Any]]:
    """What a human has not dealt with yet."""
    return day.stage.sql("SELECT * FROM matters WHERE resolved_at IS NULL AND acknowledged_at IS NULL")


def _was_taken_from(day: Day) -> bool:
    """Whether others traded against what we held: that is told until a human has dealt with it."""
    taken = [matter for matter in _matters(day) if matter["key"].startswith("taken:")]
    return bool(taken) and bool(_of_others(day))


def _close_others(day: Day) -> float:
    """Somebody else closes what he holds in our contracts; what he gained or lost, dollars."""
    control = day.stage.sim.control
    held: dict[int, int] = {}
    for fill in _of_others(day):
        held[fill["con_id"]] = held.get(fill["con_id"], 0) + fill["shares"] * (
            1 if fill["side"] == "BOT" else -1
        )
    control.script(
        [
            fault("foreign_fill", con_id=con_id, side="SELL" if count > 0 else "BUY", quantity=abs(count))
            for con_id, count in held.items()
            if count
        ]
    )
    control.script()
    return sum(
        (-1 if fill["side"] == "BOT" else 1) * fill["shares"] * fill["price"] * 100 - fill["commission"]
        for fill in _of_others(day)
    )


def _of_others(day: Day) -> list[dict[str, Any]]:
    return [
        fill for fill in day.stage.sim.control.book()["fills"] if not fill["order_ref"].startswith("spxarb:")
    ]


def main() -> int:
    """Play days one after the other. Exit 1 after the first that breaks a law, with its story."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seed", type=int, default=None, help="first seed (default: by the clock)")
    words.add_argument("--days", type=int, default=0, help="how many days; 0: until Ctrl-C")
    words.add_argument(
        "--fault", choices=("all", *SCRIPTS), help="short days of this fault, or of each in turn"
    )
    given = words.parse_args()
    if given.fault:
        names = sorted(SCRIPTS) if given.fault == "all" else [given.fault]
        return max(_one(given.seed or 0, name) for name in names)
    seed = int(time.time()) % 1_000_000 if given.seed is None else given.seed
    played = 0
    while not given.days or played < given.days:
        if _one(seed):
            return 1
        played += 1
        seed += 1
    return 0


def _one(seed: int, fault: str = "") -> int:
    """Play one day and tell of it; 1 when it broke a law."""
    with tempfile.TemporaryDirectory() as folder:
        day = play(seed, Path(folder), fault)
    name = f"seed {seed} {fault}".strip()
    if day.problems:
        print("\n".join(day.log))
        print(f"{name} broke: " + "\n  ".join(day.problems), flush=True)
        return 1
    print(f"{name}: {len(day.log)} steps, all laws held", flush=True)
    return 0


if __name__ == "__main__":
    with warm():
        sys.exit(main())
