"""When a command of a timer pings: at its start, once its configuration is known, and when all is done."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from spxarb import logs
from spxarb.config.watching import masked_url
from spxarb.core.masking import masked_accounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spxarb.config.load import Config
    from spxarb.ping import Pings

log = logging.getLogger("spxarb.ping")

_running: list[_Running] = []
"""Of the command that this process is: none, or one."""


class _Running:
    def __init__(self, command: str, config: Config, url: str, pings: Pings) -> None:
        self.command, self.config, self.url, self.pings = command, config, url, pings
        self.began = time.monotonic()


def begin(command: str, config: Config, arguments: Sequence[str]) -> None:
    """Tell that the command starts; it waits for nothing. A dry run is no timer's, and pings nobody."""
    url = config.ping.url_of(command)
    if url is None or _running or "--dry-run" in arguments:
        return
    with suppress(Exception):  # nothing of this stops a job
        from spxarb.ping import Pings  # noqa: PLC0415 -- only who pings needs it

        _running.append(_Running(command, config, url, Pings(url, config.ping.deadline_seconds)))


def end(exit_code: int, text: str | None) -> None:
    """Tell how it has ended; what does not arrive is one line in the log, and nothing else."""
    if not _running:
        return
    found = _running.pop()
    took = time.monotonic() - found.began
    said = f": {masked_accounts(_clean(text, found.config), found.config.ib.account)}" if text else ""
    problem = "a bug in spxarb"
    with suppress(Exception):
        problem = found.pings.end(
            exit_code, f"spxarb {found.command}: exit {exit_code} after {took:.1f} s{said}"
        )
    if problem:
        with suppress(Exception):
            _note(found, problem)


def _clean(text: str, config: Config) -> str:
    for secret in logs.secrets_of(config):
        text = text.replace(secret, "***")
    return text


def _note(found: _Running, problem: str) -> None:
    """One line into a log that is there; the terminal is spared."""
    quiet = found.config.logging.model_copy(update={"console": False})
    logs.setup(found.config.model_copy(update={"logging": quiet}), makes_file=False)
    try:
        log.warning("%s: the ping to %s failed: %s", found.command, masked_url(found.url), problem)
    finally:
        logs.shutdown()
