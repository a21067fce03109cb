"""A crontab of spxarb's own kind, compared with the configuration: whether it starts each job when it must.

A line fires often and asks New York's clock: see crontab.example. Lines of another kind fire by a clock that
is not known here, and nothing is said of them.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from spxarb.core.firings import TimerTimes, firings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import time

COMPARED = ("enter", "monitor", "settle")
_LINE = re.compile(
    r"^\s*(?P<minutes>\*(?:/(?P<step>\d+))?)\s+\*\s+\*\s+\*\s+\*\s.*%u-\\?%H\\?%M.*?;;\s*(?P<patterns>[^)]+)\)"
    r".*?\bspxarb\b(?:\s+-\S+(?:[= ]\S+)?)*\s+(?P<verb>[a-z-]+)"
)
A_WEEKDAY = 2


def disagreements(lines: Iterable[str], times: TimerTimes) -> list[str]:
    """Sentences about jobs that the lines start too rarely for the configuration; too often does no harm."""
    found = [match for line in lines if (match := _LINE.search(line))]
    sentences = []
    for verb in COMPARED:
        own = [match for match in found if match["verb"] == verb]
        missed = [clock for clock in firings(verb, times) if not any(_fires(match, clock) for match in own)]
        if own and missed:
            more = f" and {len(missed) - 1} more" if len(missed) > 1 else ""
            sentences.append(
                f"The crontab does not start {verb} at {missed[0]:%H:%M}{more}, as the configuration wants."
            )
    return sentences


def _fires(line: re.Match[str], clock: time) -> bool:
    stamp = f"{A_WEEKDAY}-{clock:%H%M}"
    due = clock.minute % int(line["step"] or 1) == 0
    return due and any(fnmatchcase(stamp, pattern.strip()) for pattern in line["patterns"].split("|"))
