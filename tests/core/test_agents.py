"""launchd's agents: each verb at its New York minutes and at no others, wherever the Mac is."""

from __future__ import annotations

import plistlib
import subprocess
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from spxarb.core.agents import (
    AgentJob,
    AgentValues,
    is_ours,
    is_unchanged,
    load_steps,
    render_agents,
    show_step,
    unload_steps,
)
from spxarb.core.model import NEW_YORK


def each_minute(first: str, last: str, step: int = 1) -> tuple[time, ...]:
    at, until = (datetime.combine(date(2026, 1, 5), time.fromisoformat(text)) for text in (first, last))
    return tuple(
        (at + timedelta(minutes=n)).time() for n in range(0, int((until - at).seconds / 60) + 1, step)
    )


ENTER = AgentJob("enter", "enter", each_minute("09:35", "09:55", 5))
MONITOR = AgentJob(
    "monitor",
    "monitor",
    (
        time(9, 25),
        *each_minute("09:40", "16:00", 5),
        *each_minute("12:45", "13:15"),
        *each_minute("15:45", "16:15"),
    ),
)
SETTLE = AgentJob("settle", "settle", (time(9), time(13, 5), time(16, 5)), persistent=True)
WATCHDOG = AgentJob("watchdog", "watchdog", each_minute("09:30", "16:20", 5))
JOBS = (ENTER, MONITOR, SETTLE, WATCHDOG)
ZONES = [
    "UTC",
    "America/New_York",
    "America/St_Johns",
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
]


def agent(job: AgentJob, folder="/Users/me/.local/state/spxarb", **values) -> dict:
    (text,) = render_agents([job], AgentValues("/usr/local/bin/spxarb", str(folder), **values)).values()
    return plistlib.loads(text.encode())


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
@pytest.mark.parametrize("zone", ZONES)
def test_an_agent_fires_at_every_minute_of_its_verb_in_every_zone_all_the_year(job, zone):
    """launchd compares the local minute of the hour."""
    minutes = {interval["Minute"] for interval in agent(job)["StartCalendarInterval"]}
    missed = []
    for offset in range(366):
        day = date(2026, 1, 1) + timedelta(days=offset)
        for at in set(job.times):
            moment = datetime.combine(day, at, NEW_YORK).astimezone(UTC).astimezone(ZoneInfo(zone))
            if moment.minute not in minutes:
                missed.append(moment)
    assert missed == []


def test_an_agent_of_few_minutes_does_not_fire_every_minute():
    fired = {job.name: len(agent(job)["StartCalendarInterval"]) for job in JOBS}
    assert fired == {"enter": 12, "monitor": 60, "settle": 8, "watchdog": 12}


# --- the lines of sh: New York's clock decides ----------------------------------------------------------


@pytest.fixture
def fired(tmp_path):
    """What the agent starts when New York's clock says so: the real shell, with a `date` and a program of ours."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "date").write_text('#!/bin/sh\n[ "$TZ $1" = "America/New_York +%u%Y%m%d%H%M" ] && echo "$NOW"\n')
    (tools / "spxarb").write_text('#!/bin/sh\necho "$@" >>"$0.calls"; echo why >&2; exit "${CODE:-0}"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)

    def start(job: AgentJob, moment: datetime, **more: str) -> str:
        calls = tools / "spxarb.calls"
        calls.unlink(missing_ok=True)
        made = agent(job, tmp_path)
        shell, flag, script, name, _, *words = made["ProgramArguments"]
        environment = made["EnvironmentVariables"] | {"NOW": f"{moment:%u%Y%m%d%H%M}", **more}
        environment["PATH"] = f"{tools}:{environment['PATH']}"
        subprocess.run(
            [shell, flag, script, name, str(tools / "spxarb"), *words],
            env=environment,
            check=False,
            cwd=tmp_path,
            timeout=20,
        )
        return calls.read_text().strip() if calls.exists() else ""

    return start


FRIDAY, SATURDAY = date(2026, 3, 6), date(2026, 3, 7)


def at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock)


@pytest.mark.parametrize("job", [ENTER, MONITOR, WATCHDOG], ids=lambda job: job.name)
def test_the_verb_is_started_at_its_minutes_and_at_no_others(fired, job):
    around = {
        (at(FRIDAY, clock) + timedelta(minutes=by)).time() for clock in job.times[:12] for by in (-1, 0, 1)
    }
    around |= {time(0, 0), time(16, 15), time(16, 16), time(16, 20), time(16, 21), time(21, 35), time(23, 59)}
    started = {clock for clock in around if fired(job, at(FRIDAY, clock)) == job.verb}
    assert started == around & set(job.times)
    assert not any(fired(job, at(SATURDAY, clock)) for clock in job.times[:3])


def test_a_settle_that_the_mac_slept_through_is_made_up_for_once(fired):
    moments = [
        time(8, 50),
        time(9, 0),
        time(9, 5),
        time(12, 50),
        time(13, 5),
        time(16, 0),
        time(18, 20),
        time(18, 30),
    ]
    assert [f"{clock:%H:%M}" for clock in moments if fired(SETTLE, at(FRIDAY, clock))] == [
        "09:00",
        "13:05",
        "18:20",
    ]
    assert fired(SETTLE, at(SATURDAY, time(9))) == ""
    assert fired(SETTLE, at(FRIDAY + timedelta(days=3), time(9, 15))) == "settle"


@pytest.mark.parametrize("text", ["", "rubbish", "2026030609 00", "-1", "9" * 30])
def test_a_stamp_that_cannot_be_read_is_none(fired, tmp_path, text):
    (tmp_path / "launchd-settle.ran").write_text(text)
    assert fired(SETTLE, at(FRIDAY, time(16, 5))) == "settle"
    assert (tmp_path / "launchd-settle.ran").read_text() == "202603061605\n"


def test_what_the_verb_says_on_stderr_is_kept_and_does_not_grow_for_ever(fired, tmp_path):
    log = tmp_path / "launchd-enter.log"
    fired(ENTER, at(FRIDAY, time(9, 35)), CODE="4")
    assert log.read_text() == "why\n"
    log.write_text("x" * 2_000_000)
    fired(ENTER, at(FRIDAY, time(9, 40)))
    assert log.read_text() == "why\n"
    assert log.with_name("launchd-enter.log.1").stat().st_size == 2_000_000


def test_no_file_that_cannot_be_written_keeps_a_verb_from_running(fired, tmp_path):
    for name in ("launchd-settle.ran", "launchd-settle.log", "launchd-enter.log"):
        (tmp_path / name).mkdir()
    assert fired(ENTER, at(FRIDAY, time(9, 35))) == "enter"
    moments = (time(16, 0), time(16, 5), time(16, 15))
    assert [fired(SETTLE, at(FRIDAY, clock)) for clock in moments] == ["", "settle", ""]
    (tmp_path / "launchd-enter.log").rmdir()
    home = str(tmp_path / "not" / "there" / "yet")
    assert fired(ENTER, at(FRIDAY, time(9, 35)), LOG=f"{home}/launchd-enter.log") == "enter"
    assert (tmp_path / "not/there/yet/launchd-enter.log").read_text() == "why\n"


# --- the file -------------------------------------------------------------------------------------------


def test_the_program_its_configuration_and_odd_letters_arrive_whole():
    made = agent(ENTER, config='/Users/me/a & b/<"$x">.yaml')
    assert made["Label"] == "spxarb.enter"
    assert made["ProgramArguments"][4:] == [
        "/usr/local/bin/spxarb",
        "--config",
        '/Users/me/a & b/<"$x">.yaml',
        "enter",
    ]
    assert (made["Umask"], made["ExitTimeOut"], made["RunAtLoad"]) == (0o077, 90, False)


def test_a_change_by_hand_is_seen():
    ((name, text),) = render_agents([ENTER], AgentValues("/x/spxarb", "/x")).items()
    assert name == "spxarb.enter.plist"
    assert (is_ours(text), is_unchanged(text)) == (True, True)
    changed = text.replace("0935", "0936")
    assert (is_ours(changed), is_unchanged(changed)) == (True, False)
    foreign = plistlib.dumps({"Label": "spxarb.enter"}).decode()
    assert (is_ours(foreign), is_unchanged(foreign)) == (False, False)


def test_launchd_knows_no_seconds_so_a_verb_comes_at_the_next_minute():
    made = agent(AgentJob("enter", "enter", (time(9, 35, 30), time(9, 59, 1))))
    assert made["EnvironmentVariables"]["TIMES"] == "0936 1000"
    assert {0, 36} <= {interval["Minute"] for interval in made["StartCalendarInterval"]}


def test_launchctl_is_told_to_read_an_agent_anew_in_the_users_own_session():
    path = "/Users/me/Library/LaunchAgents/spxarb.enter.plist"
    assert load_steps(path, 501) == [
        ("bootout", "gui/501/spxarb.enter"),
        ("enable", "gui/501/spxarb.enter"),
        ("bootstrap", "gui/501", path),
    ]
    assert unload_steps("spxarb.enter", 501) == [("bootout", "gui/501/spxarb.enter")]
    assert show_step("spxarb.enter", 501) == ("print", "gui/501/spxarb.enter")
