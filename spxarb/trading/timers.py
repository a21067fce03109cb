"""The scheduler's units on this machine: looked at, compared with the configuration, installed, removed.

A file is ours by its first line, and unchanged by its digest. What was changed by hand, or is not ours, is
never written over or removed unless that is asked for, and then it is kept beside itself.
"""

from __future__ import annotations

import os
import re
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spxarb import files as opener
from spxarb.config.paths import user_path
from spxarb.core.budgets import start_seconds
from spxarb.core.firings import JOBS, times_of
from spxarb.core.results.timers import UnitState
from spxarb.core.units import GATEWAY_UNIT, is_ours, is_unchanged, render_units
from spxarb.errors import RefusedError
from spxarb.trading.systemctl import Systemctl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import time

    from spxarb.core.units import UnitValues

SYSTEM_FOLDER = Path("/etc/systemd/system")
TIMERS = tuple(f"spxarb-{job.name}.timer" for job in JOBS)
UNIT_MODE = 0o644
KEPT_ENDING = ".bak"
LARGEST = 256 * 1024
"""Letters of a file that may be a unit."""


@dataclass(frozen=True, slots=True)
class UnitFile:
    """One unit: where it is or would be, what stands in it (None: there is none), what should."""

    name: str
    path: Path
    text: str | None
    wanted: str
    state: UnitState

    @property
    def is_kept(self) -> bool:
        """Whether it is not written over without being asked."""
        return self.state in {UnitState.CHANGED, UnitState.FOREIGN}


def unit_folder(*, user: bool) -> Path:
    """Where the manager's own administrator puts units. Raises RefusedError for a user without a home."""
    if not user:
        return SYSTEM_FOLDER
    named = os.environ.get("XDG_CONFIG_HOME", "")
    folder = (Path(named) if named.startswith("/") else user_path("~/.config")) / "systemd/user"
    if not folder.is_absolute():
        raise RefusedError("This user has no home folder for units of his own", mend="Set $HOME")
    return folder


def look(folder: Path, values: UnitValues) -> list[UnitFile]:
    """Every unit of ours as it is in the folder, beside what it should be."""
    return compared(folder, render_units(values), is_ours, is_unchanged)


def compared(
    folder: Path, wanted: Mapping[str, str], ours: Callable[[str], bool], unchanged: Callable[[str], bool]
) -> list[UnitFile]:
    """Files of a scheduler, as they are; `ours`, `unchanged`: by what a text says of itself."""
    return [_look_at(folder / name, text, ours, unchanged) for name, text in wanted.items()]


def _look_at(
    path: Path, wanted: str, ours: Callable[[str], bool], unchanged: Callable[[str], bool]
) -> UnitFile:
    text = _text_of(path)
    if text is None:
        state = UnitState.ABSENT
    elif text == wanted and not path.is_symlink():
        state = UnitState.CURRENT
    elif path.is_symlink() or not ours(text):
        state = UnitState.FOREIGN
    else:
        state = UnitState.OTHER if unchanged(text) else UnitState.CHANGED
    return UnitFile(path.name, path, text, wanted, state)


def _text_of(path: Path) -> str | None:
    """What stands there; empty for what cannot be read, None where there is nothing."""
    if not path.is_symlink() and not path.exists():
        return None
    try:
        if not path.is_file():  # a masked unit is a link to /dev/null
            return ""
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(LARGEST)
    except OSError:
        return ""


# --- what an installed unit says of itself ------------------------------------------------------------


def installed_user(folder: Path) -> str | None:
    """Whom the installed services run as; None: there are none."""
    return _said(folder, r"^User=(\S+)$")


def installed_gateway(folder: Path) -> str:
    """The gateway's unit after which the installed services start; without any the usual one."""
    found = _said(folder, r"^After=network-online\.target time-sync\.target ?(\S*)$")
    return GATEWAY_UNIT if found is None else found


def _said(folder: Path, pattern: str) -> str | None:
    text = _text_of(folder / f"spxarb-{JOBS[0].name}.service") or ""
    found = re.search(pattern, text, re.MULTILINE) if is_ours(text) else None
    return found[1] if found else None


# --- disagreements ------------------------------------------------------------------------------------


def disagreements(files: Sequence[UnitFile], values: UnitValues) -> list[str]:
    """Where the installed units are not what the configuration in force wants, in sentences.

    None where nothing is installed: then nothing can disagree.
    """
    if all(file.text is None for file in files):
        return []
    return [sentence for file in files for sentence in _disagreements_of(file, values)]


def _disagreements_of(file: UnitFile, values: UnitValues) -> Iterator[str]:
    if file.text is None:
        yield f"{file.name} is not installed, and others are."
        return
    if file.state is UnitState.CURRENT:
        return
    by_hand = file.state is UnitState.CHANGED
    job = next((job for job in JOBS if file.name.startswith(f"spxarb-{job.name}.")), None)
    told = []
    if job is not None and file.name.endswith(".timer"):
        told = list(_other_times(file))
    elif job is not None:
        told = list(_other_command(file, values)) + list(_too_short(file, job.verb, values))
    yield from told
    if file.state is UnitState.FOREIGN:
        yield f"{file.path} was not written by spxarb."
    elif by_hand and not told:
        yield f"{file.path} was changed by hand."


def _other_times(file: UnitFile) -> Iterator[str]:
    said, wanted = (_values(text, "OnCalendar") for text in (file.text or "", file.wanted))
    if sorted(said) == sorted(wanted):
        return
    own, others = times_of(wanted), times_of(said)
    if others is None or own is None:
        at = ", ".join(said) or "no time"
        yield f"{file.name} fires at {at}, and the configuration wants {span(own)}."
    elif own != others:
        yield f"{file.name} fires {span(others)}, and the configuration wants {span(own)}."


def span(times: Sequence[time] | None) -> str:
    """`09:35 to 09:55, 5 times`."""
    if not times:
        return "never"
    ends = [f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}" for at in (times[0], times[-1])]
    return ends[0] if len(times) == 1 else f"{ends[0]} to {ends[1]}, {len(times)} times a day"


def _other_command(file: UnitFile, values: UnitValues) -> Iterator[str]:
    (said, *_), (wanted, *_) = (
        [_words(line) for line in _values(text, "ExecStart")] or [[]]
        for text in (file.text or "", file.wanted)
    )
    if not said:
        yield f"{file.name} starts nothing."
    elif said[-1] != wanted[-1]:
        yield f"{file.name} starts `{' '.join(said)}`, and not {wanted[-1]}."
    elif Path(said[0]).resolve() != Path(values.program).resolve():
        yield f"{file.name} starts {said[0]}, and this is {values.program}."
    elif "--config" in said and said[said.index("--config") + 1] != values.config:
        other = said[said.index("--config") + 1]
        yield f"{file.name} reads {other}, and the configuration in force is {values.config or 'no file'}."


def _too_short(file: UnitFile, verb: str, values: UnitValues) -> Iterator[str]:
    need = start_seconds(verb, values.waits, values.max_spreads_per_day)
    for text in _values(file.text or "", "TimeoutStartSec"):
        if text.isdigit() and 0 < int(text) < need:
            yield f"{file.name} ends {verb} after {text} s, and it may take {need} s by the configuration."


def _values(text: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def _words(line: str) -> list[str]:
    with suppress(ValueError):
        return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line)]
    return line.split()


# --- to install and to remove -------------------------------------------------------------------------


def action_of(file: UnitFile, *, force: bool) -> str:
    """What `install` does with the file."""
    if file.state is UnitState.CURRENT:
        return "unchanged"
    if file.is_kept:
        return f"replaced, the old kept as {file.name}{KEPT_ENDING}" if force else "kept"
    return "written" if file.text is None else "replaced"


def install(folder: Path, files: Iterable[UnitFile], *, user: bool, force: bool) -> None:
    """Write the units, have the manager read them, enable and start the timers.

    Raises RefusedError: for a file that was changed by hand, before anything is written; for what cannot be
    written; for a step of systemctl, with what was done before it.
    """
    write(folder, files, force=force)
    _steps([("daemon-reload",), ("enable", "--now", *TIMERS)], f"The units are in {folder}", user=user)


def write(folder: Path, files: Iterable[UnitFile], *, force: bool) -> None:
    """Write what is not as it should be. Raises RefusedError, for a kept file before anything is written."""
    files = list(files)
    kept = [file for file in files if file.is_kept]
    if kept and not force:
        raise RefusedError(
            f"{_reason(kept)}; nothing was written",
            mend="Bring your change into a drop-in (`systemctl edit UNIT`) and use --force: the old file is "
            f"kept as {KEPT_ENDING}",
        )
    _write_all(folder, [file for file in files if file.state is not UnitState.CURRENT])


def _reason(files: Sequence[UnitFile]) -> str:
    changed = [str(file.path) for file in files if file.state is UnitState.CHANGED]
    foreign = [str(file.path) for file in files if file.state is UnitState.FOREIGN]
    parts = [
        f"{', '.join(changed)} {'was' if len(changed) == 1 else 'were'} changed by hand" if changed else "",
        f"{', '.join(foreign)} {'is' if len(foreign) == 1 else 'are'} not spxarb's" if foreign else "",
    ]
    return "; ".join(filter(None, parts))


def _write_all(folder: Path, units: Iterable[UnitFile]) -> None:
    try:
        opener.make_folder(folder, mode=0o755)
        for file in units:
            if file.is_kept:
                opener.rename(file.path, file.path.with_name(file.name + KEPT_ENDING))
            opener.write_whole(file.path, file.wanted, mode=UNIT_MODE)
    except OSError as error:
        raise _not_possible(error, folder) from error


def remove(folder: Path, files: Iterable[UnitFile], *, user: bool, force: bool) -> list[UnitFile]:
    """Stop and disable our timers, and take away our files; those that are not removed.

    A timer that was changed by hand is stopped, and its file stays. Raises RefusedError likewise.
    """
    files = list(files)
    ours = ours_of(files)
    gone = [file for file in ours if force or not file.is_kept]
    stopping = [file.name for file in ours if file.name in TIMERS]
    if stopping:
        _steps([("disable", "--now", *stopping)], "Nothing was removed", user=user)
    take_away(folder, gone)
    if gone:
        _steps([("daemon-reload",)], f"The units are gone from {folder}", user=user)
    return [file for file in files if file.text is not None and file not in gone]


def ours_of(files: Iterable[UnitFile]) -> list[UnitFile]:
    """Those that spxarb has written, whether or not they were changed since."""
    return [file for file in files if file.text is not None and file.state is not UnitState.FOREIGN]


def take_away(folder: Path, files: Iterable[UnitFile]) -> None:
    """Remove the files. Raises RefusedError."""
    try:
        for file in files:
            file.path.unlink(missing_ok=True)
    except OSError as error:
        raise _not_possible(error, folder) from error


def _steps(steps: Sequence[tuple[str, ...]], before: str, *, user: bool) -> None:
    manager, done = Systemctl(user=user), [before]
    for step in steps:
        try:
            manager.tell(*step)
        except RefusedError as error:
            raise RefusedError(
                f"{error.what}. {'; '.join(done)}",
                risk="The timers may not run as they should",
                mend=error.mend or "Mend what systemctl says, and run this again",
            ) from error
        done.append(f"`{step[0]}` was done")


def _not_possible(error: OSError, folder: Path) -> RefusedError:
    mend = "Run it with sudo, or with --user for timers of your own" if folder == SYSTEM_FOLDER else ""
    where = error.filename or folder
    return RefusedError(f"{where} cannot be written: {error.strerror}", mend=mend)
