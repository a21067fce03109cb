"""The crontab starts each verb when New York says so, all the year, whatever the machine's zone and its cron.

Nothing waits: cron's fields are evaluated for every minute of a year, and the real shell says once for each
weekday and minute of New York what a line starts then.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from spxarb.config.load import Config
from spxarb.core import budgets
from spxarb.core.firings import JOBS, TimerTimes, firings
from spxarb.core.model import NEW_YORK
from spxarb.trading.market_calendar import timetable
from tests.announced import sessions

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "crontab.example").read_text(encoding="utf-8")
CRON_LINE = re.compile(r"^([\d*]\S*) (\S+) (\S+) (\S+) (\S+) (.+)$", re.MULTILINE)
STAMP = "$(TZ=America/New_York date +%u-%H%M)"
VERBS = {job.verb: job.name for job in JOBS}
YEAR = 2026
ZONES = ("UTC", "Europe/Berlin", "America/New_York")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
pytestmark = pytest.mark.outside


@dataclass(frozen=True)
class CronLine:
    """A line of a crontab: which minutes, hours, days, months and weekdays (0: Sunday) it names."""

    fields: tuple[frozenset[int], ...]
    wild: bool
    """Whether its minute or its hour begins with a star: cron then runs it by the clock alone."""
    command: str

    def fires(self, local: datetime) -> bool:
        """Whether it runs at this minute of the machine's clock, as crontab(5) has it."""
        minutes, hours, days, months, weekdays = self.fields
        return (
            local.minute in minutes
            and local.hour in hours
            and local.day in days
            and local.month in months
            and local.isoweekday() % 7 in weekdays
        )


def field_of(text: str, first: int, last: int) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        begin, _, end = (f"{first}-{last}" if span == "*" else span).partition("-")
        found |= set(range(int(begin), int(end or begin) + 1, int(step or 1)))
    return frozenset(found)


@cache
def cron_lines(text: str = TEXT) -> tuple[CronLine, ...]:
    limits = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
    return tuple(
        CronLine(
            tuple(field_of(part, *limit) for part, limit in zip(match.groups()[:5], limits, strict=True)),
            match[1].startswith("*") or match[2].startswith("*"),
            match[6].replace(r"\%", "%"),
        )
        for match in CRON_LINE.finditer(text)
    )


@cache
def started_at() -> dict[tuple[int, str], str]:
    """(line, stamp) -> the verb that the line's command starts, by the real shell, for a whole week of stamps."""
    stamps = [f"{d}-{h:02}{m:02}" for d in range(1, 8) for h in range(24) for m in range(60)]
    jobs = "\n".join(
        f"line={number}; {line.command.replace(STAMP, '$stamp')}" for number, line in enumerate(cron_lines())
    )
    script = (
        'once() { shift; "$@"; }; ONCE=once; HOME=/nowhere\n'
        'spxarb() { echo "$line $stamp $1" >&3; }\n'
        f"run() {{\n{jobs}\n}}\n"
        "for stamp in $STAMPS; do run; done 3>&1\n"
    )
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", script],
        env={"STAMPS": " ".join(stamps), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = {}
    for told in done.stdout.splitlines():
        line, stamp, verb = told.split()
        found[int(line), stamp] = verb
    return found


def by_each_minute(lines: tuple[CronLine, ...], zone: str, first: datetime, last: datetime):
    """(line, moment in UTC) as FreeBSD's and macOS's cron runs them: by the clock of each minute that comes."""
    here, now = ZoneInfo(zone), first
    while now < last:
        local = now.astimezone(here)
        yield from ((number, now) for number, line in enumerate(lines) if line.fires(local))
        now += MINUTE


def by_virtual_time(lines: tuple[CronLine, ...], zone: str, first: datetime, last: datetime):
    """(line, moment in UTC) as the cron of Debian and cronie runs them, which knows that clocks are changed.

    Lines with a star go by the clock. Of the others, what an hour that is left out would have run is made up for
    at once, and in an hour that comes again nothing runs twice (cron(8), "clock changes of less than 3 hours").
    """
    here, now = ZoneInfo(zone), first
    virtual = now.astimezone(here).replace(tzinfo=None) - MINUTE
    while now < last:
        local = now.astimezone(here).replace(tzinfo=None)
        yield from ((number, now) for number, line in enumerate(lines) if line.wild and line.fires(local))
        while virtual < local:
            virtual += MINUTE
            tame = ((n, now) for n, line in enumerate(lines) if not line.wild and line.fires(virtual))
            yield from tame
        now += MINUTE


@cache
def fired(zone: str) -> dict[str, list[datetime]]:
    """verb -> every moment of the year, New York time, at which the crontab starts it on a machine in this zone.

    An hour of UTC at a time: all five fields but the minute are the same in it, and so is the distance of clocks.
    """
    here, now = ZoneInfo(zone), datetime(YEAR, 1, 1, 5, tzinfo=UTC)
    found: dict[str, list[datetime]] = {verb: [] for verb in VERBS}
    of_hour: dict[str, list[tuple[int, int, str]]] = {}
    for (number, stamp), verb in started_at().items():
        of_hour.setdefault(stamp[:4], []).append((int(stamp[4:]), number, verb))
    while now < datetime(YEAR + 1, 1, 1, 5, tzinfo=UTC):
        local, there = now.astimezone(here), now.astimezone(NEW_YORK)
        assert local.minute == there.minute == 0
        runs = [line.fires(local.replace(minute=min(line.fields[0]))) for line in cron_lines()]
        for minute, number, verb in sorted(of_hour.get(f"{there:%u-%H}", [])):
            if runs[number] and minute in cron_lines()[number].fields[0]:
                found[verb].append(there.replace(minute=minute))
        now += HOUR
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_the_crontab_fires_as_the_units_do_on_every_day_of_a_year(zone):
    days = [date(YEAR, 1, 1) + timedelta(days=n) for n in range(365)]
    wanted = {
        verb: [
            datetime.combine(day, at, NEW_YORK)
            for day in days
            if day.weekday() < 5
            for at in firings(name, TimerTimes())
        ]
        for verb, name in VERBS.items()
    }
    assert fired(zone) == wanted


@pytest.mark.parametrize("zone", ZONES)
def test_each_day_gets_exactly_its_entries_exits_and_settlement(zone):
    """What the verbs do of it by the program's calendar, against the exchange's own announcements."""
    announced = sessions(YEAR)
    early = [end for _, end in announced.values() if f"{end.astimezone(NEW_YORK):%H}" == "13"]
    assert (len(announced), len(early)) == (251, 2)
    by_verb, config = fired(zone), Config()
    hours = {day: timetable(day, config) for day in {at.date() for at in by_verb["monitor"]}}

    def of(verb: str) -> dict[date, list[datetime]]:
        found: dict[date, list[datetime]] = {}
        for at in by_verb[verb]:
            if hours[at.date()] is not None:  # a holiday: the verb does nothing
                found.setdefault(at.date(), []).append(at)
        return found

    entries, monitors, settles = of("enter"), of("monitor"), of("settle")
    assert set(entries) == set(monitors) == set(settles) == set(announced)
    for day, (opens, closes) in announced.items():
        chances = [at for at in entries[day] if hours[day].in_entry_window(at)]
        assert chances == [opens + n * MINUTE for n in range(5, 30, 5)], day
        looks = Counter(monitors[day])
        assert set(looks.values()) == {1}, day
        assert looks[opens - 5 * MINUTE] == 1, day
        exits = [at for at in monitors[day] if hours[day].exit_at <= at <= hours[day].spy_until]
        assert exits == [closes + n * MINUTE for n in range(-15, 16)], day
        held = [at for at in monitors[day] if opens + 10 * MINUTE <= at <= closes]
        assert max(later - at for at, later in pairwise(held)) == 5 * MINUTE, day
        (first, *_) = [at for at in settles[day] if at >= hours[day].settle_at]
        assert first == closes + 5 * MINUTE, day
        assert settles[day][0] == opens - 30 * MINUTE, day


CHANGES = {"UTC": [], "Europe/Berlin": [(3, 29), (10, 25)], "America/New_York": [(3, 8), (11, 1)]}


@pytest.mark.parametrize("cron", [by_each_minute, by_virtual_time])
@pytest.mark.parametrize("zone", ZONES[1:])
def test_every_cron_runs_the_lines_by_the_clock_around_the_hour_left_out_and_the_hour_repeated(cron, zone):
    """From the Friday before each change to the Monday after it, minute by minute."""
    for month, day in CHANGES[zone]:
        first = datetime(YEAR, month, day, tzinfo=UTC) - timedelta(days=2)
        last = first + timedelta(days=4)
        ran = Counter(
            (number, at)
            for number, at in cron(cron_lines(), zone, first, last)
            if (number, f"{at.astimezone(NEW_YORK):%u-%H%M}") in started_at()
        )
        wanted = {
            datetime.combine(at.date(), clock, NEW_YORK).astimezone(UTC)
            for at in (first, last - timedelta(days=1))
            for clock in firings("enter", TimerTimes())
        }
        starts = {
            at for number, at in ran if started_at()[number, f"{at.astimezone(NEW_YORK):%u-%H%M}"] == "enter"
        }
        assert starts == wanted
        assert set(ran.values()) == {1}


@pytest.mark.parametrize("cron", [by_each_minute, by_virtual_time])
def test_a_line_with_a_fixed_hour_would_be_an_hour_off_for_weeks(cron):
    """Why no line names an hour: Berlin's summer begins three weeks after New York's."""
    (line,) = cron_lines("35 15 * * 1-5 spxarb enter\n")
    first = datetime(YEAR, 3, 6, tzinfo=UTC)
    found = cron((line,), "Europe/Berlin", first, first + timedelta(days=25))
    assert {f"{at.astimezone(NEW_YORK):%H%M}" for _, at in found} == {"0935", "1035"}


def test_each_line_asks_new_yorks_clock_and_hides_percent_signs_from_cron():
    assert set(started_at().values()) == set(VERBS)
    assert len(cron_lines()) == 6
    for match in CRON_LINE.finditer(TEXT):
        assert re.fullmatch(r"\*(/\d+)?", match[1])
        assert match.groups()[1:5] == ("*",) * 4
        assert not re.search(r"(?<!\\)%", match[6]), "cron would cut the command here"
        assert len(match[0]) < 998, "cron takes no longer line"
    assert all(STAMP in line.command for line in cron_lines())


@pytest.mark.parametrize(
    "zone", ["Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Chatham"]
)
def test_zones_with_odd_minutes_fire_at_the_same_moments(zone):
    here = ZoneInfo(zone)
    for day in (date(YEAR, 7, 6), date(YEAR, 12, 7)):
        for verb, name in VERBS.items():
            for clock in firings(name, TimerTimes()):
                at = datetime.combine(day, clock, NEW_YORK)
                lines = [n for n, line in enumerate(cron_lines()) if line.fires(at.astimezone(here))]
                assert [started_at().get((n, f"{at:%u-%H%M}")) for n in lines].count(verb) == 1


def test_the_shells_own_date_gives_the_stamp_that_the_crontab_compares():
    done = subprocess.run(
        ["/bin/sh", "-c", "TZ=America/New_York date -d 2026-07-06T13:35Z +%u-%H%M"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("this date knows no -d")
    assert done.stdout.strip() == "1-0935"


def once_forms() -> list[str]:
    return re.findall(r"^#?ONCE=(.+)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("form", once_forms(), ids=lambda form: form.partition(" ")[0])
def test_a_job_that_hangs_is_not_started_again_and_one_that_ended_is(form, tmp_path):
    """The first hangs: the second ends at once, and does not run; when the first is gone the third runs."""
    if shutil.which(form.partition(" ")[0]) is None or ("flock" in form and shutil.which("flock") is None):
        pytest.skip(f"{form.partition(' ')[0]} is not here")
    line = '$ONCE "$HOME/.spxarb-monitor.lock" '
    environment = {"ONCE": form, "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}

    def call(command: str) -> list[str]:
        return ["/bin/sh", "-c", line + command]

    with subprocess.Popen(
        call("/bin/sh -c 'echo $$; exec sleep 60'"), env=environment, stdout=subprocess.PIPE, text=True
    ) as first:
        number = int(first.stdout.readline())
        second = subprocess.run(
            call("echo ran"), env=environment, check=False, capture_output=True, text=True, timeout=10
        )
        assert second.stdout == ""
        subprocess.run(["/bin/kill", "-9", str(number)], check=True)
        first.wait(10)
    third = subprocess.run(
        call("echo ran"), env=environment, check=False, capture_output=True, text=True, timeout=10
    )
    assert (third.stdout, third.returncode) == ("ran\n", 0), third.stderr


def test_a_job_is_ended_no_sooner_than_by_its_unit():
    killed, ended = map(int, re.search(r"timeout -k (\d+) (\d+) flock -n", TEXT).groups())
    execution, most = Config().execution, Config().trading.max_spreads_per_day
    assert ended >= max(budgets.start_seconds(verb, execution, most) for verb in VERBS)
    assert killed >= max(map(budgets.stop_seconds, VERBS))
