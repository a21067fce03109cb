"""Run as root, a command becomes the user to whom the ledger belongs, before it opens anything.

A lock or a log that root leaves in that user's folder would keep his own jobs out, and an exit with them. Who
it is, the first of these says that is not root's: the configuration that `--config` or SPXARB_CONFIG names
(nothing of another user is read as root), the ledger's folder, the ledger. Of a folder that is not there yet,
the one above it counts. Where all of it is root's, the command stays root's.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import spxarb
from spxarb.channels import files_of_secrets
from spxarb.config.load import Config, read, read_already
from spxarb.config.paths import user_path
from spxarb.config.trusted import Trust, keep, pass_on, take_over
from spxarb.config.variables import CONFIG_VARIABLE, CREDENTIALS_VARIABLE
from spxarb.errors import ConfigError, RefusedError
from spxarb.files import user_name

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = 0
PASSED = "SPXARB_PASSED_ON"
"""What a program that takes another's place is told by it: the sentence, and open files."""
told = ""
"""What this process has become, for its log."""


@dataclass(frozen=True, slots=True)
class Became:
    """What a process has become: a sentence, empty where nothing changed.

    `again`: it must be started again, for what it has loaded of the program it can read no more of.
    """

    told: str = ""
    again: bool = False


def become_owner(config_file: Path | None) -> Became:
    """Become the ledger's owner for good.

    Only for root. Raises RefusedError where that is not possible; nothing was opened for writing then.
    """
    global told  # noqa: PLW0603 -- a process becomes one user
    became = _become_owner(config_file)
    told = became.told
    return became


def passed_on() -> dict[str, str]:
    """What the same program, started in this one's place, must know; its environment."""
    return {**os.environ, PASSED: json.dumps({"told": told, "files": pass_on()})}


def go_on_as_owner() -> None:
    """Take what root has passed on to the user whom this process has become."""
    global told  # noqa: PLW0603 -- likewise
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        passed = json.loads(os.environ.pop(PASSED))
        told = str(passed["told"])
        take_over(passed["files"])


def _become_owner(config_file: Path | None) -> Became:
    read_already.clear()
    named = str(config_file or os.environ.get(CONFIG_VARIABLE, "").strip())
    if named and (uid := _owner(user_path(named).absolute())):
        _keep_credentials()
        return _become(uid, "the configuration", user_path(named).absolute())
    with suppress(ConfigError):
        reading = read(config_file)
        found = [file for file in (reading.sources.file, reading.sources.env_file) if file is not None]
        if any(_owner(file) != ROOT for file in found):
            return Became()  # nobody named it: what another user left in a folder moves root nowhere
        ledger = reading.config.database_path().absolute()
        folder = next((parent for parent in ledger.parents if parent.exists()), Path("/"))
        for place, what in ((folder, "the state folder"), (ledger, "the ledger")):
            if uid := _owner(place):
                _keep(found, reading.sources.file, named=bool(named))
                _keep_what_it_names(reading.config)
                became = _become(uid, what, place)
                if not became.again:
                    _must_be_the_same(config_file, ledger)
                return became
        read_already[config_file] = reading
    return Became()


def _owner(path: Path) -> int:
    """Who owns a file; root's where there is none."""
    with suppress(OSError):
        return path.stat().st_uid
    return ROOT


def _keep(files: list[Path], config: Path | None, *, named: bool) -> None:
    """What root has read stays known: the user may have another home, and need not be able to read it."""
    if config is not None and not named:
        os.environ[CONFIG_VARIABLE] = str(config.absolute())
    for file in files:
        with suppress(OSError):
            keep(file, Trust.NAMED if named and file == config else Trust.FOUND)


def _keep_what_it_names(config: Config) -> None:
    """Secrets of the alerts and black-out dates, which root may have for himself: else no alert went out.

    What cannot be kept is told where it is read.
    """
    blackout = config.trading.blackout_file
    for path in (*files_of_secrets(config), *([blackout] if blackout else [])):
        with suppress(OSError):
            keep(path, Trust.NAMED)


def _keep_credentials() -> None:
    """What systemd gave root, of whose configuration nothing is read; what that names is its owner's."""
    folder = os.environ.get(CREDENTIALS_VARIABLE, "").strip()
    if folder:
        _keep_what_it_names(Config(credentials=Path(folder)))


def _become(uid: int, what: str, place: Path) -> Became:
    """Groups, group and user, for good. Raises RefusedError."""
    what = f"{what} {place}"
    name, group, home = _of(uid, place)
    before = os.getgroups()
    try:
        os.setgroups(os.getgrouplist(name, group) if name else [group])
        os.setegid(group)
        os.seteuid(uid)  # on trial: this can be taken back
    except OSError as error:
        with suppress(OSError):
            _back(before)
        raise _cannot(uid, what, f"root cannot become that user here ({error.strerror})") from None
    hidden = next(_hidden_from_us(), None)
    groups = os.getgroups()
    if hidden:
        _back(before)
        if not _starts(uid, group, groups):
            raise _cannot(uid, what, f"that user may not read the program itself ({hidden})")
    else:
        os.seteuid(ROOT)
    os.setgroups(groups)
    os.setgid(group)
    os.setuid(uid)
    _go_home(uid, home)
    os.environ.update({"USER": name, "LOGNAME": name} if name else {})
    return Became(f"{what} belongs to {user_name(uid)}: running as that user, not as root", bool(hidden))


def _back(groups: list[int]) -> None:
    os.seteuid(ROOT)
    os.setegid(ROOT)
    os.setgroups(groups)


def _of(uid: int, place: Path) -> tuple[str, int, str]:
    """Name, group and home of a user; without an entry in the system's list the group of what is his."""
    import pwd  # noqa: PLC0415 -- only root needs it

    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return "", place.stat().st_gid, ""
    return entry.pw_name, entry.pw_gid, entry.pw_dir


def _hidden_from_us() -> Iterator[Path]:
    """What of the program this user cannot read: it is loaded bit by bit."""
    for module in (
        spxarb,
        os,
        sys.modules["pydantic"],
    ):  # ours, Python's, what was installed
        place = Path(str(module.__file__))
        if not os.access(place, os.R_OK, effective_ids=True):
            yield place


def _starts(uid: int, group: int, groups: list[int]) -> bool:
    """Whether the program starts as that user: his Python may find the same library in another place."""
    import subprocess  # noqa: PLC0415 -- only root needs it

    words = [sys.executable, "-P", "-c", "import asyncio, sqlite3, pydantic, spxarb.cli.commands"]
    try:
        done = subprocess.run(  # noqa: S603 -- the words are these
            words, user=uid, group=group, extra_groups=groups, cwd="/", capture_output=True, check=False
        )
    except OSError:
        return False
    return not done.returncode


def _go_home(uid: int, home: str) -> None:
    """$HOME is the user's, and the working folder one that he can read: else what is there cannot be told."""
    if not os.access(".", os.R_OK | os.X_OK):
        os.chdir("/")
    if _owner(Path(os.environ.get("HOME", "/"))) != uid:
        os.environ.pop("HOME", None)
        if home:
            os.environ["HOME"] = home


def _must_be_the_same(config_file: Path | None, ledger: Path) -> None:
    """Raises RefusedError where that user's configuration, or home, names another ledger."""
    try:
        found = read(config_file).config.database_path().absolute()
    except ConfigError:
        return
    if found != ledger:
        raise RefusedError(
            f"Root reads of the ledger {ledger}, and its owner of {found}",
            risk="Nothing was opened",
            mend="Run this as the ledger's owner, or give that user the right to read the configuration",
        )


def _cannot(uid: int, what: str, why: str) -> RefusedError:
    name = user_name(uid)
    return RefusedError(
        f"{what[0].upper()}{what[1:]} belongs to {name}, and {why}",
        risk="Nothing was opened",
        mend=f"Run this as {name}: what root leaves there would keep {name} out",
    )
