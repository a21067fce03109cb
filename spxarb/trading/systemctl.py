"""The programs by which systemd and launchd are asked and told: the only door to what starts jobs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from spxarb.core.model import NEW_YORK
from spxarb.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECONDS = 30.0
"""How long it may take; to enable a timer waits for no job."""
_STAMP = re.compile(r"\w{3} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)? UTC")
_PROPERTIES = "Id,LoadState,ActiveState,UnitFileState,LastTriggerUSec,NextElapseUSecRealtime,DropInPaths"


class Manager:
    """A program that is told in words what to do, such as `systemctl --user`."""

    def __init__(self, *words: str) -> None:
        self._words = [*words]

    def is_there(self) -> bool:
        return shutil.which(self._words[0]) is not None

    def asked(self, *words: str) -> bool:
        """Whether it answers without failing."""
        try:
            return not self._run([*words], SECONDS).returncode
        except RefusedError:
            return False

    def tell(self, *words: str) -> None:
        """Have it do something. Raises RefusedError with its own words where it fails."""
        done = self._run([*words], SECONDS)
        if done.returncode:
            called = " ".join([*self._words, *words])
            said = " ".join((done.stderr or done.stdout).split()) or f"exit {done.returncode}"
            raise RefusedError(f"`{called}` failed: {said}")

    def _run(self, words: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
        """Raises RefusedError where it cannot be started, or does not come to its end."""
        program = shutil.which(self._words[0])
        called = " ".join([*self._words, *words])
        if program is None:
            raise RefusedError(f"There is no {self._words[0]} here", mend=NO_SYSTEMD)
        try:
            return subprocess.run(  # noqa: S603 -- words of ours
                [program, *self._words[1:], *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=seconds,
                check=False,
                env={**os.environ, "TZ": "UTC", "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"},
            )
        except subprocess.TimeoutExpired:
            raise RefusedError(f"`{called}` did not answer within {seconds:.0f} s") from None
        except OSError as error:
            raise RefusedError(f"`{called}` cannot be started: {error.strerror}") from error


class Systemctl(Manager):
    """`systemctl`, or `systemctl --user`."""

    def __init__(self, *, user: bool) -> None:
        super().__init__("systemctl", *(["--user"] if user else []))

    def show(self, units: Sequence[str]) -> dict[str, Mapping[str, str]]:
        """What the manager knows of the units, by their names; empty where it cannot be asked."""
        if not self.is_there():
            return {}
        try:
            done = self._run(["show", f"--property={_PROPERTIES}", *units], SECONDS)
        except RefusedError:
            return {}
        found: dict[str, Mapping[str, str]] = {}
        for block in done.stdout.split("\n\n") if not done.returncode else ():
            values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            if "Id" in values:
                found[values["Id"]] = values
        return found


NO_SYSTEMD = "crontab.example does the same"


def moment(text: str | None) -> datetime | None:
    """A time as systemctl prints it in UTC; None for one that there is none of."""
    found = _STAMP.fullmatch((text or "").strip())
    return datetime.fromisoformat(found[1]).replace(tzinfo=UTC).astimezone(NEW_YORK) if found else None
