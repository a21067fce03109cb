"""Run as root, a command becomes the user to whom the ledger belongs, before anything is opened."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from spxarb.cli import view
from spxarb.cli.calls import refused
from spxarb.cli.options import config_named
from spxarb.cli.usage import USAGE
from spxarb.errors import SpxarbError

PASSED = "SPXARB_PASSED_ON"
"""As in `trading/owner.py`, which only root loads."""
WITHOUT_LEDGER = frozenset({"demo", "sim", "timers"})
"""Commands that open no ledger; `timers` writes the machine's units, which are root's."""
WITHOUT_JOB = frozenset({"--help", "-h", "--version", "--example"})


def begin_as_owner(words: list[str], command: str) -> int | None:
    """Become the ledger's owner, for root alone; the exit code where that cannot be. Names paths in full."""
    if PASSED in os.environ:
        _go_on()
    if (
        os.geteuid() != 0
        or command not in USAGE
        or command in WITHOUT_LEDGER
        or not WITHOUT_JOB.isdisjoint(words)
    ):
        return None
    from spxarb import logs  # noqa: F401, PLC0415 -- to say what became of it, where nothing can be loaded then
    from spxarb.trading.owner import become_owner, passed_on  # noqa: PLC0415 -- only root needs it

    _in_full(words)
    try:
        became = become_owner(config_named(words))
    except SpxarbError as error:
        return view.show(refused(command, error), json="--json" in words)
    if became.told:
        view.complain(became.told)
    if became.again:
        os.execve(  # noqa: S606 -- ourselves
            sys.executable, [sys.executable, "-P", "-m", "spxarb", *words], passed_on()
        )
    return None


def _go_on() -> None:
    """What root's process has read, for the one that took its place."""
    if os.geteuid() == 0:
        del os.environ[PASSED]
        return
    from spxarb.trading.owner import go_on_as_owner  # noqa: PLC0415 -- seldom

    go_on_as_owner()


def _in_full(words: list[str]) -> None:
    """`--config` with its whole path: the working folder may be one that the user cannot enter."""
    for place, word in enumerate(words):
        if word == "--config" and place + 1 < len(words):
            words[place + 1] = _whole(words[place + 1])
        elif word.startswith("--config="):
            words[place] = f"--config={_whole(word.partition('=')[2])}"


def _whole(path: str) -> str:
    return path if path.startswith("~") or not path else str(Path(path).absolute())
