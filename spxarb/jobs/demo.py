"""`demo`: a whole simulated trading day. The real verbs, as processes, in the timers' order, in a sandbox."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from spxarb import children, files
from spxarb.core.model import NEW_YORK, dec
from spxarb.core.results.report import DemoResult
from spxarb.core.sentences import usd
from spxarb.errors import Exit, SpxarbError
from spxarb.jobs import report
from spxarb.sim.control import ControlError, RunningSim
from spxarb.trading.sandbox import looking_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAY = date(2026, 2, 10)
REGIME = "rich-spy"
SEED = 7
FIVE_MINUTES = timedelta(minutes=5)
VERB_SECONDS = 120
CONFIG = """\
# The sandbox of one demonstration: the defaults, but for the simulated gateway and some haste.
ib: {{port: {port}}}
trading: {{mode: sim}}
execution: {{order_timeout_seconds: 2, exit_rung_seconds: 1}}
storage: {{database: {database}}}
logging: {{console: false}}
"""


@dataclass
class _Day:
    """The sandbox and what happened in it."""

    folder: Path
    sim: RunningSim
    say: Callable[[str], None]
    commands: int = 0
    entered: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    shown: str = ""

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def ledger(self) -> Path:
        return self.folder / "trading.db"


def run(progress: Callable[[str], None]) -> DemoResult:
    """Play the day and return the day's report. Raises SpxarbError when the gateway does not start."""
    began = time.monotonic()
    with files.private_folder("spxarb-demo-") as folder:
        sim = RunningSim(
            folder=str(folder),
            environment=children.environment(),
            date=str(DAY),
            seed=SEED,
            regime=REGIME,
            at="09:30",
            speed=0,
        )
        try:
            with sim:
                return _play(_Day(folder, sim, progress), began)
        except ControlError as error:
            raise SpxarbError(f"The simulated gateway failed: {error}") from error


def _play(day: _Day, began: float) -> DemoResult:
    text = CONFIG.format(port=day.sim.port, database=day.ledger)
    files.write_new(day.config, text)
    day.say(f"A simulated {DAY:%A}, {DAY}: {day.sim.market}.")
    day.say("The commands are the real ones, in the order of the timers; only the broker is made up.")
    for at, verb in timetable():
        day.sim.control.set_time(at)
        _tell(day, at, verb, _run(day, verb))
    _run(day, "report")
    return _result(day, time.monotonic() - began)


def _result(day: _Day, seconds: float) -> DemoResult:
    """The day's report, as `report` makes it from the sandbox's ledger."""
    with looking_at(day.ledger, "demo", "sim") as context:
        made = report.run(context)
    return DemoResult(
        "demo",
        made.at,
        "sim",
        exit_code=Exit.BUG if day.failures or not day.entered else Exit.DONE,
        error="; ".join(day.failures) or (None if day.entered else "no spread was entered"),
        notes=(
            f"{day.commands} commands in {seconds:.0f} s. This day's credit is made up: {day.sim.market}.",
            "With honest quotes there is mostly no entry: see README.md, what it earns.",
        ),
        **made.own(),  # type: ignore[arg-type]
    )


def timetable() -> Iterator[tuple[datetime, str]]:
    """When the timers fire, and what; two at the same minute run one after the other."""
    at = datetime.combine(DAY, datetime.min.time(), NEW_YORK).replace(hour=9, minute=35)
    end = at.replace(hour=16, minute=0)
    while at <= end:
        if (at.hour, at.minute) < (10, 0):
            yield at, "enter"
        if (at.hour, at.minute) >= (9, 40):
            yield at, "monitor"
        at += FIVE_MINUTES
    yield end.replace(minute=5), "settle"


def _run(day: _Day, verb: str) -> dict[str, Any]:
    """One verb as its own process; its JSON object."""
    done = subprocess.run(  # noqa: S603 -- our own command
        children.python("spxarb", "--config", str(day.config), verb, "--json"),
        capture_output=True,
        text=True,
        check=False,
        timeout=VERB_SECONDS,
        env=children.environment(),
        cwd=day.folder,
    )
    day.commands += 1
    if done.returncode:
        day.failures.append(f"{verb} ended with exit code {done.returncode}: {done.stderr.strip()}")
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise SpxarbError(f"`spxarb {verb}` gave no result: {done.stderr.strip()}") from None
    return answer


# --- progress ----------------------------------------------------------------------------------------


def _tell(day: _Day, at: datetime, verb: str, answer: dict[str, Any]) -> None:
    """A line for what is new: every entry attempt, every change of a position, every full hour."""
    line = {"enter": _enter_line, "monitor": _monitor_line, "settle": _settle_line}[verb](day, answer)
    if verb == "monitor" and line == day.shown and at.minute:
        return
    if verb == "monitor":
        day.shown = line
    day.say(f"{at:%H:%M}  {verb:<8} {line}")


def _enter_line(day: _Day, answer: dict[str, Any]) -> str:
    credit = answer["credit"]["net"]
    if answer["outcome"] == "entered":
        day.entered.append(answer["trade_id"])
        worst = _dollars(answer["risk"]["worst_case"])
        return f"entered trade {answer['trade_id']}: credit {_dollars(credit)}, worst case {worst}"
    failed = [check["name"] for check in answer["checks"] if check["ok"] is False]
    why = ", ".join(failed) or answer["error"] or "see the ledger"
    return f"{answer['outcome']}: {why} (credit {_dollars(credit)})"


def _monitor_line(_: _Day, answer: dict[str, Any]) -> str:
    if not answer["positions"]:
        return "nothing open"
    return "; ".join(
        f"trade {position['trade_id']} {position['action']}{_reason(position)}"
        + (f", {_dollars(position['current_pnl'])} now" if position["action"] == "held" else "")
        for position in answer["positions"]
    )


def _reason(position: dict[str, Any]) -> str:
    left = f", {'/'.join(position['residual'])} left to settlement" if position["residual"] else ""
    return f" ({position['exit_reason']}{left})" if position["exit_reason"] else ""


def _settle_line(_: _Day, answer: dict[str, Any]) -> str:
    summary = answer["summary"]
    state = ", provisional" if answer["provisional"] else ""
    return f"{summary['trades_count']} trades, net {_dollars(summary['net_pnl'])}{state}"


def _dollars(value: float | None) -> str:
    return "unknown" if value is None else usd(dec(value))
