"""A job that was due and never ran: noticed by the next command, told once.

Due is what the timetable says of the newest trading day for which a job's time is over: `enter` in the entry
window, `monitor` during the session, `settle` after the close. A ledger that was not in use before that time
missed nothing. The calendar is asked only where a run seems to be missing.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from spxarb.core.firings import MORNING_LOOK
from spxarb.core.run_gaps import run_moment
from spxarb.core.sessions import CLOSE, EARLY_CLOSE, SATURDAY
from spxarb.trading import day_runs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date

    from spxarb.config.load import Config
    from spxarb.core.events import Row
    from spxarb.core.records import Trade
    from spxarb.core.run_gaps import MissingRuns
    from spxarb.core.sessions import TradingDay
    from spxarb.ledger.ledger import Ledger

log = logging.getLogger(__name__)

MARGIN = timedelta(minutes=5)
"""So much earlier or later a run counts as the one that was due."""
PATIENCE = timedelta(minutes=30)
"""So long after its time `settle` may still come: a server that starts late."""
CADENCE = timedelta(minutes=6)
"""Two runs of `monitor` no further apart are a timer's."""
EVEN = timedelta(seconds=30)
"""Three runs of a command whose two pauses differ by no more than that are a timer's too."""
LOOK_BACK_DAYS = 8
TELLING = timedelta(minutes=10)
"""So long after its time a run that is missing is told: two of a timer's."""


class _Run(NamedTuple):
    command: str
    at: datetime


def new(
    ledger: Ledger, config: Config, run: tuple[str, int], now: datetime, held: Collection[Trade]
) -> list[str]:
    """Sentences about missed runs that no command has told yet; they are remembered as told.

    `run`: this command and its id; `held`: the trades that were open when it began.
    Raises RefusedError when the ledger cannot be written or read.
    """
    runs, told = _runs(ledger, config, run, now), ledger.runs.missed_told()
    oldest = ledger.runs.first()
    since = None if oldest is None else _moment(config, oldest)
    found: dict[str, str] = {}
    sentences = []
    for job in ("enter", "monitor", "settle"):
        day = _missed_day(config, job, runs, now, since)
        if day is not None and told.get(job) != day.day.isoformat():
            found[job] = day.day.isoformat()
            sentences.append(f"{job} did not run on {day.day}: it was due {_due_words(job, day)}.")
    for gap in _gaps_of_today(ledger, config, runs, now, since, spread_open=bool(held)):
        key, first, today = f"gap {gap.command}", gap.first.isoformat(), gap.first.date().isoformat()
        seen = max(told.get(key, ""), found.get(key, ""))
        if seen >= first or today in {told.get(gap.command), found.get(gap.command)}:
            continue
        found[key] = first
        if gap.command == "enter":
            found["enter"] = today
        while_open = ", while a spread was open" if gap.command == "monitor" and held else ""
        sentences.append(f"{gap} on {today}{while_open}.")
    if found:
        ledger.runs.remember_missed(told | found)
        for text in sentences:
            log.warning("%s", text)
    return sentences


def _runs(ledger: Ledger, config: Config, run: tuple[str, int], now: datetime) -> list[_Run]:
    """The jobs of the last days by the market's clock, this command at `now`; dry runs do not count."""
    rows = ledger.runs.of_jobs(now - timedelta(days=LOOK_BACK_DAYS))
    moments = [(row["command"], _moment(config, row)) for row in rows if row["id"] != run[1]]
    return [*(_Run(command, at) for command, at in moments if at is not None), _Run(run[0], now)]


def _moment(config: Config, row: Row) -> datetime | None:
    """When the run began by the market's clock; None for one that does not count, or cannot be read.

    A simulated day is not the machine's: a run that was told no time there has none.
    """
    if config.trading.mode == "sim" and row["market_time"] is None:
        return None
    try:
        at = run_moment(row)
        return None if at.tzinfo is None or "--dry-run" in json.loads(row["arguments"]) else at
    except (TypeError, ValueError):
        return None


def _missed_day(
    config: Config, job: str, runs: list[_Run], now: datetime, since: datetime | None
) -> TradingDay | None:
    """The newest day for which the job's time is over, where it did not run; None where it did.

    `since`: the ledger's first run.
    """
    times = config.trading
    begin, end = {
        "enter": (times.entry_time, times.entry_cutoff),
        "monitor": (times.entry_time, CLOSE),
        "settle": (EARLY_CLOSE, time(16, 35)),
    }[job]
    last = _last_weekday(now, end)
    if since is None or _ran(job, runs, last, begin):
        return None
    if since.date() > last or (since.date() == last and since.time() >= end):
        return None  # not in use then
    from spxarb.trading.market_calendar import timetable  # noqa: PLC0415 -- only where a run seems missing

    for back in range(LOOK_BACK_DAYS):
        day = timetable(now.date() - timedelta(days=back), config)
        if day is None or now < _over(job, day):
            continue
        in_use = since < _begins(job, day)
        return day if in_use and not any(_serves(job, run, day) for run in runs) else None
    return None


def _last_weekday(now: datetime, usual: time) -> date:
    """The newest weekday for which the job's usual time is over."""
    day = now.date() if now.time() >= usual else now.date() - timedelta(days=1)
    while day.weekday() >= SATURDAY:
        day -= timedelta(days=1)
    return day


def _ran(job: str, runs: Iterable[_Run], day: date, begin: time) -> bool:
    """Whether it ran on that day, not before its time: then no calendar is asked."""
    return any(
        run.command == job and run.at.date() == day and (run.at + MARGIN).time() >= begin for run in runs
    )


def _begins(job: str, day: TradingDay) -> datetime:
    return {"enter": day.entry_open, "monitor": day.entry_open, "settle": day.settle_at}[job]


def _over(job: str, day: TradingDay) -> datetime:
    return {"enter": day.entry_cutoff, "monitor": day.close, "settle": day.settle_at + PATIENCE}[job]


def _serves(job: str, run: _Run, day: TradingDay) -> bool:
    """Whether this run is one that was due on that day; a settle later on makes up for a missed one."""
    if run.command != job:
        return False
    if job == "settle":
        return run.at >= day.settle_at - MARGIN
    return _begins(job, day) - MARGIN <= run.at <= _over(job, day) + MARGIN


def _due_words(job: str, day: TradingDay) -> str:
    if job == "enter":
        return f"from {day.entry_open:%H:%M} to {day.entry_cutoff:%H:%M}"
    return f"at {day.settle_at:%H:%M}" if job == "settle" else f"until {day.close:%H:%M}"


def _gaps_of_today(
    ledger: Ledger,
    config: Config,
    runs: list[_Run],
    now: datetime,
    since: datetime | None,
    *,
    spread_open: bool,
) -> list[MissingRuns]:
    """The stretches of today worth telling at once, oldest first.

    `enter` from its first time on, in a ledger of an earlier day. `monitor` where a timer is seen at work;
    where none is, and a spread is open, the day's first stretch, and not on the ledger's first day: who runs
    it by hand knows when not.
    """
    if now.time() < MORNING_LOOK or now.weekday() >= SATURDAY:
        return []
    missing, _ = day_runs.of_day(ledger, config, now.date(), now)
    earlier = since is not None and since.date() < now.date()
    found = []
    for gap in missing:
        if gap.first + TELLING > now:
            continue
        if gap.command == "enter" and earlier and gap.first.time() == config.trading.entry_time:
            found.append(gap)
        if gap.command == "monitor" and (_by_timer(runs, gap.first) or _evenly(runs)):
            found.append(gap)
        elif gap.command == "monitor" and earlier and spread_open and not _told_today(ledger, gap):
            found.append(gap)
            break
    return found


def _told_today(ledger: Ledger, gap: MissingRuns) -> bool:
    told = ledger.runs.missed_told().get(f"gap {gap.command}", "")
    return told[:10] == gap.first.date().isoformat()


def _by_timer(runs: list[_Run], before: datetime) -> bool:
    """Whether two runs of `monitor` in a row before that time were as far apart as a timer's."""
    moments = [run.at for run in runs[:-1] if run.command == "monitor" and run.at < before]
    return any(timedelta(0) < later - at <= CADENCE for at, later in pairwise(moments))


def _evenly(runs: list[_Run]) -> bool:
    """Whether three runs in a row of a command that is due often were evenly apart, as no hand has it."""
    for command in ("enter", "monitor"):
        moments = [run.at for run in runs if run.command == command]
        pauses = [later - at for at, later in pairwise(moments)]
        if any(
            timedelta(0) < pause <= CADENCE and abs(after - pause) <= EVEN
            for pause, after in pairwise(pauses)
        ):
            return True
    return False
