"""launchd's agents as text, for macOS: each verb at its New York minutes, whatever the machine's zone.

launchd knows local time alone, and no zone's changes. So an agent fires at every local minute at which it may
be due, hour by hour, also on the days of a change; a few lines of sh ask New York's clock and are over in
milliseconds unless it is due. The verbs could be fired at any time and decide all by themselves, but that is
dear: `monitor` would connect for its first look at the account at midnight, while the Gateway restarts, and
each firing would be a run in the ledger. So sh decides weekday and minute, and the verb what it alone knows:
the window of entries, holidays, half-days, what is open.

What a Mac sleeps through is fired once when it wakes: what is not made up for is then not due any more, and
what is persistent runs if it has not run since it was due. launchd never starts a job that still runs. It has
no `OnFailure=`: who watches from outside is told by a ping that does not come.

Format and behaviour: launchd.plist(5). No Mac has run these.
"""

from __future__ import annotations

import hashlib
import plistlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import time

LABEL = "spxarb."
MARK = "<!-- Written by spxarb. Unchanged since then, while its digest is "
EXIT_SECONDS = 90
"""How long launchd waits between SIGTERM and SIGKILL: an interrupted entry is undone before."""
LOG_KILOBYTES = 1024
QUARTERS = (0, 15, 30, 45)
"""How far a zone's minutes may be from New York's: all are whole quarters of an hour (tz database)."""
SCRIPT = """\
now="$(TZ=America/New_York date +%u%Y%m%d%H%M)"
case "$now" in [67]*) exit 0;; esac
today="${now#?}"
exact=
case " $TIMES " in *" ${now#?????????} "*) exact=yes;; esac
mkdir -p -m 700 "${LOG%/*}" 2>/dev/null
if [ -n "$STAMP" ] && { true >>"$STAMP"; } 2>/dev/null; then
  due=0
  for at in $TIMES; do
    if [ "${today%????}$at" -le "$today" ]; then due="${today%????}$at"; fi
  done
  last="$(cat "$STAMP")"
  case "$last" in ""|*[!0-9]*|?????????????*) last=0;; esac
  if [ "$last" -ge "$due" ]; then exit 0; fi
  echo "$today" >"$STAMP"
elif [ -z "$exact" ]; then
  exit 0
fi
if [ -n "$(find "$LOG" -size +%KILOBYTES%k 2>/dev/null)" ]; then mv -f "$LOG" "$LOG.1"; fi
{ true >>"$LOG"; } 2>/dev/null || LOG=/dev/null
unset TIMES STAMP
exec "$@" >/dev/null 2>>"$LOG"
""".replace("%KILOBYTES%", str(LOG_KILOBYTES))
"""`$TIMES`: HHMM in New York. `$STAMP`: where a persistent job writes down that it ran, else empty; where it
cannot be written it runs at its minutes alone. No file that cannot be written keeps a verb from running."""


@dataclass(frozen=True, slots=True)
class AgentJob:
    """A verb and its New York times of a weekday; `persistent`: one that is missed is made up for that day.

    launchd knows minutes: a time with seconds is that of the next one.
    """

    name: str
    verb: str
    times: tuple[time, ...]
    persistent: bool = False


@dataclass(frozen=True, slots=True)
class AgentValues:
    """What of the machine stands in the agents.

    `config`: the file that every command is given; None: it looks in its usual places. `folder`: where the
    jobs' stderr and their stamps are, a folder of the user's own; made where it is missing.
    """

    program: str
    folder: str
    config: str | None = None


def render_agents(jobs: Sequence[AgentJob], values: AgentValues) -> dict[str, str]:
    """Every agent by its file's name, each with the digest by which a change by hand is seen."""
    return {f"{LABEL}{job.name}.plist": sealed(_agent(job, values)) for job in jobs}


def _agent(job: AgentJob, values: AgentValues) -> str:
    times = sorted({_whole(at) for at in job.times})
    config = ["--config", values.config] if values.config else []
    minutes = sorted({(at.minute + quarter) % 60 for at in times for quarter in QUARTERS})
    agent = {
        "Label": f"{LABEL}{job.name}",
        "ProgramArguments": ["/bin/sh", "-c", SCRIPT, "sh", values.program, *config, job.verb],
        "StartCalendarInterval": [{"Minute": minute} for minute in minutes],
        "EnvironmentVariables": {
            "TIMES": " ".join(f"{at:%H%M}" for at in times),
            "STAMP": f"{values.folder}/launchd-{job.name}.ran" if job.persistent else "",
            "LOG": f"{values.folder}/launchd-{job.name}.log",
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
            "PYTHONSAFEPATH": "1",
            "PYTHONNOUSERSITE": "1",
        },
        "WorkingDirectory": "/",  # one that is always there, and where only root puts a config.yaml
        "StandardOutPath": "/dev/null",
        "StandardErrorPath": "/dev/null",
        "Umask": 0o077,
        "ExitTimeOut": EXIT_SECONDS,
        "ProcessType": "Interactive",  # every other kind is slowed down
        "RunAtLoad": False,
    }
    return plistlib.dumps(agent, sort_keys=False).decode()


def _whole(at: time) -> time:
    """The time as launchd knows it, the next full minute."""
    if at.second or at.microsecond:
        at = (datetime.combine(date.min, at.replace(second=0, microsecond=0)) + timedelta(minutes=1)).time()
    return at


# --- the digest -------------------------------------------------------------------------------------


def sealed(text: str) -> str:
    """The property list with its own digest as a comment in its second line."""
    first, _, rest = text.partition("\n")
    return f"{first}\n{MARK}{_digest(text)}. -->\n{rest}"


def is_ours(text: str) -> bool:
    """Whether spxarb has written the file, as it is or before it was changed."""
    return text.partition("\n")[2].startswith(MARK)


def is_unchanged(text: str) -> bool:
    """Whether the file is as spxarb wrote it, whatever version and configuration that was."""
    first, _, rest = text.partition("\n")
    second, _, body = rest.partition("\n")
    return second == f"{MARK}{_digest(f'{first}{chr(10)}{body}')}. -->"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# --- launchctl(1) -----------------------------------------------------------------------------------


def load_steps(path: str, user: int) -> list[tuple[str, ...]]:
    """What has launchd read the agent at `path` anew, in the login session of the user with this number.

    The first step fails where it was not loaded, which is no failure.
    """
    label = path.rpartition("/")[2].removesuffix(".plist")
    return [*unload_steps(label, user), ("enable", f"gui/{user}/{label}"), ("bootstrap", f"gui/{user}", path)]


def unload_steps(label: str, user: int) -> list[tuple[str, ...]]:
    """What ends the agent, and a job of its that runs: by SIGTERM, and after EXIT_SECONDS by SIGKILL."""
    return [("bootout", f"gui/{user}/{label}")]


def show_step(label: str, user: int) -> tuple[str, ...]:
    """What shows whether launchd knows the agent, and its last exit code: fails where it does not."""
    return ("print", f"gui/{user}/{label}")
