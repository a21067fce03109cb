"""The crontab starts each verb when New York says so, whatever the server's zone."""

from __future__ import annotations

import re
import subprocess
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from spxarb.core.firings import TimerTimes, firings
from spxarb.core.model import NEW_YORK

ROOT = Path(__file__).parent.parent
SUMMER, WINTER = date(2026, 7, 6), date(2026, 12, 7)  # Mondays
VERBS = ("enter", "monitor", "settle", "watchdog")
CRON_LINE = re.compile(r"^(\S+) (\S+) (\S+) (\S+) (\S+) (.+)$")


def wanted(verb: str, monday: date) -> list[datetime]:
    """Whenever its timer fires by default, Monday to Friday, New York time."""
    days = (monday + timedelta(days=offset) for offset in range(5))
    return [datetime.combine(day, clock, NEW_YORK) for day in days for clock in firings(verb, TimerTimes())]


def cron_lines() -> list[str]:
    text = (ROOT / "crontab.example").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("*")]


def shell_of(line: str) -> str:
    """The line's command, run in the minutes at which cron wakes it up."""
    command = CRON_LINE.match(line)[6].replace(r"\%", "%")
    return f'case "$stamp" in *[05]) {command};; esac' if line.startswith("*/5 ") else command


@pytest.fixture(scope="module")
def commands_by_stamp() -> dict[str, list[str]]:
    """What the crontab's commands start for each New York stamp (weekday-HHMM) of a week.

    The real shell runs the real lines; only `date` and `spxarb` are stood in for, by functions of the shell.
    """
    stamps = [f"{d}-{h:02}{m:02}" for d in range(1, 8) for h in range(24) for m in range(60)]
    jobs = "\n".join(shell_of(line) for line in cron_lines())
    script = (
        'date() { [ "$TZ $1" = "America/New_York +%u-%H%M" ] && echo "$stamp"; }\n'
        'spxarb() { echo "$stamp $1" >&3; }\n'
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
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        stamp, verb = line.split()
        found.setdefault(verb, []).append(stamp)
    return found


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("monday", [SUMMER, WINTER])
def test_the_crontab_starts_each_verb_at_its_minutes_and_at_no_others(commands_by_stamp, verb, monday):
    assert commands_by_stamp[verb] == [moment.strftime("%u-%H%M") for moment in wanted(verb, monday)]


@pytest.mark.parametrize(
    "zone", ["UTC", "Asia/Tokyo", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns"]
)
@pytest.mark.parametrize("monday", [SUMMER, WINTER])
def test_cron_wakes_up_for_every_minute_that_matters_in_any_server_zone(zone, monday):
    here = ZoneInfo(zone)
    for verb in VERBS:
        (line,) = [line for line in cron_lines() if f"spxarb {verb} " in line]
        step = 5 if line.startswith("*/5 ") else 1
        assert all(moment.astimezone(here).minute % step == 0 for moment in wanted(verb, monday))


def test_every_crontab_line_wakes_up_often_and_hides_percent_signs_from_cron():
    assert len(cron_lines()) == len(VERBS)
    for line in cron_lines():
        minute, hour, day, month, weekday, command = CRON_LINE.match(line).groups()
        assert minute in {"*", "*/5"}
        assert (hour, day, month, weekday) == ("*", "*", "*", "*")
        assert not re.search(r"(?<!\\)%", command), "cron would cut the command here"


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
