"""The set-up of this machine beside configuration and ledger: program, files, disk, timers, alerts."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
from contextlib import suppress
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from spxarb import files, notify
from spxarb.core import crontab
from spxarb.core.model import NEW_YORK
from spxarb.core.own_names import lock_of
from spxarb.errors import SpxarbError
from spxarb.trading.schedulers import scheduler_of
from spxarb.trading.timers import TIMERS
from spxarb.trading.unit_values import times_of_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spxarb.config.load import Config
    from spxarb.trading.set_up_found import SetUp

OTHERS_READ, OTHERS_WRITE = 0o044, 0o022
PRIVATE_FILE, GROUP_READS, PRIVATE_FOLDER = 0o600, 0o640, 0o700
FULL_BYTES, SCARCE_BYTES = 50_000_000, 1_000_000_000
"""Free bytes below which the ledger and its copies do not fit, and below which it is time to look."""
CRON_PLACES = ("/etc/crontab", "/etc/cron.d")
ASK_SECONDS = 5.0
"""How long another program may take to answer."""
MEND_TIMERS = (
    "`sudo spxarb timers install`, or use crontab.example, which is in the package's folder `examples` too"
)
RENEW_TIMERS = "`spxarb timers install` writes them anew; `spxarb timers` shows each"
TEST_TITLE = "spxarb doctor: a test"
TEST_TEXT = "This is a test: alerts of spxarb arrive here."
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*\(?([^;)]*)\)?\s*(?:;(.*))?$")
_BOUND = re.compile(r"(>=|<=|<|>|==)\s*([\d.]+)")


# --- the program ----------------------------------------------------------------------------------


def look_at_program(found: SetUp) -> None:
    """Python and the libraries, against what the package asks for."""
    version = platform.python_version()
    wanted, needed = _asked_for()
    here = f"Python {version} at {sys.executable}"
    if _fits(version, wanted):
        found.passed("python", here)
    else:
        found.failed("python", f"{here} is not {wanted}", "install spxarb with a Python of that range")
    if not needed:
        mend = "install it as a package: `pip install spxarb`, or `make setup` in its folder"
        found.unchecked("dependencies", "spxarb is not installed as a package here", mend)
        return
    wrong = list(_wrong_dependencies(needed))
    if wrong:
        found.failed("dependencies", "; ".join(wrong), "install spxarb again in its own virtual environment")
    else:
        found.passed("dependencies", f"all {len(needed)} are installed in the versions that are asked for")


def _asked_for() -> tuple[str, list[tuple[str, str]]]:
    """The range of Python, and each library with its range; none where the package is not installed."""
    try:
        own = metadata.metadata("spxarb")
    except metadata.PackageNotFoundError:
        return "", []
    parts = [found for text in own.get_all("Requires-Dist") or [] if (found := _REQUIREMENT.match(text))]
    needed = [(part[1], part[2].strip()) for part in parts if "extra" not in (part[3] or "")]
    return str((own.get_all("Requires-Python") or [""])[0]), needed


def _wrong_dependencies(needed: list[tuple[str, str]]) -> Iterator[str]:
    for name, wanted in needed:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield f"{name} is missing"
            continue
        if not _fits(version, wanted):
            yield f"{name} {version} is not {wanted}"


def _fits(version: str, wanted: str) -> bool:
    """Whether a version lies in a range such as `>=0.9.86,<0.10`; what is no such bound does not matter."""
    mine = _numbers(version)
    compare = {
        ">=": lambda a, b: a >= b,
        "<=": lambda a, b: a <= b,
        "<": lambda a, b: a < b,
        ">": lambda a, b: a > b,
        "==": lambda a, b: a == b,
    }
    return all(compare[sign](mine, _numbers(bound)) for sign, bound in _BOUND.findall(wanted))


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, without zeros at its end."""
    found = re.match(r"[\d.]+", version)
    numbers = [int(part) for part in (found[0] if found else "").split(".") if part]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


# --- files ----------------------------------------------------------------------------------------


def look_at_files(found: SetUp, config: Config) -> None:
    """Who may read and write the files that are there: settings, ledger, log, lock, and their folder."""
    notes, mends = [], []
    for path, most, why in _files(config):
        mode = _mode(path)
        if mode is not None and mode & ~most & 0o777:
            notes.append(f"{path} has mode {mode:04o}, so others may {why}")
            mends.append(f"chmod {most:04o} {path}")
        if most in {PRIVATE_FILE, PRIVATE_FOLDER} and (owner := _other_owner(path)):
            notes.append(f"{path} belongs to {owner}, so no job of this user can use it")
            mends.append(f"chown {files.user_name(os.geteuid()).removeprefix('user ')} {path}")
    if notes:
        found.unchecked("files", "; ".join(notes), "; ".join(f"`{mend}`" for mend in mends))
    else:
        found.passed("files", f"no other user may read or change what is in {config.database_path().parent}")


def _files(config: Config) -> Iterator[tuple[Path, int, str]]:
    """Each file, the most that its mode may allow, and what others could do if it allowed more."""
    database = config.database_path()
    if config.source is not None:
        yield config.source.absolute(), 0o777 & ~OTHERS_WRITE, "change every limit"
    if config.env_file is not None:
        yield config.env_file.absolute(), GROUP_READS, "read its secrets or change settings"
    yield database.parent, PRIVATE_FOLDER, "list the ledger's folder"
    for path in (database, lock_of(database), config.log_path()):
        yield path, PRIVATE_FILE, "read or change it"


def _other_owner(path: Path) -> str:
    """The name of another user to whom the file belongs; empty where it is this user's, or not there."""
    with suppress(OSError):
        uid = path.lstat().st_uid
        return files.user_name(uid) if uid != os.geteuid() else ""
    return ""


def _mode(path: Path) -> int | None:
    with suppress(OSError):
        return stat.S_IMODE(path.stat().st_mode)
    return None


def look_at_disk(found: SetUp, config: Config) -> None:
    """Whether the ledger and the log can grow."""
    for path in dict.fromkeys([config.database_path().absolute(), config.log_path().absolute()]):
        folder = next((parent for parent in path.parents if parent.is_dir()), Path("/"))
        try:
            free, read_only = shutil.disk_usage(folder).free, os.statvfs(folder).f_flag & os.ST_RDONLY
        except OSError as error:
            found.failed("disk", f"{folder} cannot be looked at: {error.strerror}", "look at the disk")
            return
        if read_only:
            found.failed(
                "disk", f"{folder} is on a file system that is mounted read-only", "mount it writable"
            )
            return
        if free < FULL_BYTES:
            found.failed(
                "disk", f"{free / 1e6:,.0f} MB are free at {folder}", "free some space: a job needs it"
            )
            return
        if free < SCARCE_BYTES:
            found.unchecked("disk", f"only {free / 1e6:,.0f} MB are free at {folder}", "free some space")
            return
    found.passed("disk", f"{free / 1e9:,.1f} GB are free at {folder}")


# --- timers and alerts ----------------------------------------------------------------------------


def look_at_timers(found: SetUp, platform: str = sys.platform) -> None:
    """What starts the jobs, as far as this user can see it: timers of systemd, else cron.

    Timers that are not as the configuration in force wants them stop nothing, and are told. `platform`: on
    macOS it is launchd.
    """
    if platform == "darwin" and (wrong := _disagreements(found.config, platform, user=True)):
        found.unchecked("timers", " ".join(wrong), RENEW_TIMERS)
        return
    if platform == "darwin" and (agents := _agents(found.config)):
        found.passed("timers", f"{', '.join(agents)} are loaded, and fire as configured")
        return
    active = [timer for timer in TIMERS if _answer("systemctl", "is-active", timer) == "active"]
    own = [timer for timer in TIMERS if _answer("systemctl", "--user", "is-active", timer) == "active"]
    timers = sorted({*active, *own})
    if wrong := _disagreements(found.config, platform, user=bool(own)):
        found.unchecked("timers", " ".join(wrong), RENEW_TIMERS)
        return
    if len(timers) == len(TIMERS):
        found.passed("timers", f"{', '.join(timers)} are active, and fire as configured")
        return
    if lines := [line for line in _cron_lines() if "spxarb" in line and not line.lstrip().startswith("#")]:
        missing = [verb for verb in ("enter", "monitor", "settle") if not any(verb in line for line in lines)]
        config = found.config
        if rare := crontab.disagreements(lines, times_of_config(config)) if config is not None else []:
            found.unchecked("timers", " ".join(rare), "change its patterns as crontab.example says")
        elif not missing:
            found.passed("timers", "cron starts enter, monitor and settle")
        else:
            what = f"cron starts spxarb, but not {' and '.join(missing)}"
            found.unchecked("timers", what, "compare the crontab with crontab.example")
        return
    if timers:
        idle = ", ".join(timer for timer in TIMERS if timer not in timers)
        found.unchecked("timers", f"not active: {idle}", f"`systemctl enable --now {idle.replace(',', '')}`")
    else:
        what = "no timer of systemd and no line of cron starts spxarb here: no job runs by itself"
        found.unchecked("timers", what, MEND_TIMERS)


def _agents(config: Config | None) -> list[str]:
    """The agents of launchd, where all are installed and loaded; else none."""
    if config is None:
        return []
    with suppress(SpxarbError, OSError):
        scheduler = scheduler_of(config, "darwin", user=True)
        rows = scheduler.rows(scheduler.look(), datetime.now(NEW_YORK), ask=True)
        return [row.name for row in rows] if all(row.installed and row.active for row in rows) else []
    return []


def _disagreements(config: Config | None, platform: str, *, user: bool) -> list[str]:
    """Where the installed units are not as the configuration wants them; none where none are installed."""
    if config is None:
        return []
    with suppress(SpxarbError, OSError):
        scheduler = scheduler_of(config, platform, user=user)
        return scheduler.disagreements(scheduler.look())
    return []


def _cron_lines() -> Iterator[str]:
    """The user's crontab, and those of the system that can be read."""
    yield from _answer("crontab", "-l").splitlines()
    for place in map(Path, CRON_PLACES):
        with suppress(OSError):
            for file in sorted(place.iterdir()) if place.is_dir() else [place]:
                if file.is_file():
                    yield from file.read_text(encoding="utf-8", errors="replace").splitlines()


def _answer(*words: str) -> str:
    """What another program prints; empty where it is not there, fails, or takes too long."""
    program = shutil.which(words[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 -- the words are those above
            [program, *words[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if not done.returncode else ""


def look_at_alerts(found: SetUp, config: Config, *, send_test: bool) -> None:
    """Whether a human would hear of trouble; `send_test`: by an alert that is really sent."""
    if not config.notifications.email_enabled:
        what = "alerts are off: nobody hears when a human is needed"
        mend = "set notifications.email_enabled and email_address (or SPXARB_NOTIFY_URL)"
        found.unchecked("alerts", what, mend)
    elif not send_test and (problems := notify.problems(config)):
        what, hidden = "; ".join(problems), os.strerror(errno.EACCES)
        if all(problem.endswith(hidden) for problem in problems):
            found.unchecked(
                "alerts", what, "where systemd hands that file to the timers' sender, this is right"
            )
        else:
            found.failed("alerts", what, "mend the file, and send a test (`spxarb doctor --send-test`)")
    elif not send_test:
        found.passed("alerts", f"they go to {notify.way(config)}", "`spxarb doctor --send-test` sends one")
    elif failure := notify.send(config, TEST_TITLE, TEST_TEXT):
        found.failed("alerts", failure, "mend the address or the way there, and send another test")
    else:
        found.passed("alerts", f"a test was sent to {notify.way(config)}: see that it has arrived")
