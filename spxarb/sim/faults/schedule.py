"""What is to be done at a later market time, in the order in which it comes due."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_AT_ONCE = 1000
"""Deferred acts of one moment; a script that triggers itself continues a second later."""


@dataclass(order=True)
class _Due:
    moment: datetime
    number: int
    act: Callable[[], object] = field(compare=False)


class Schedule:
    """Deferred acts. Those of one moment run in the order in which they were scheduled."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Nothing is due; `now` gives the market time."""
        self._now = now
        self._due: list[_Due] = []
        self._count = count()

    def at(self, moment: datetime, act: Callable[[], object]) -> None:
        """Do `act` at `moment`."""
        heapq.heappush(self._due, _Due(moment, next(self._count), act))

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Do `act` after `seconds` of market time; with 0 once the present request is dealt with."""
        self.at(self._now() + timedelta(seconds=seconds), act)

    def moments(self, until: datetime) -> Iterator[datetime]:
        """The moments up to `until` at which something is due, as they come up."""
        while self._due and self._due[0].moment <= until:
            yield max(self._due[0].moment, self._now())

    def settle(self, *, everything: bool = False) -> None:
        """Do what is due by now, or everything that is left."""
        for _ in range(MAX_AT_ONCE):
            if not self._due or not (everything or self._due[0].moment <= self._now()):
                return
            heapq.heappop(self._due).act()
        if not everything:
            self._postpone()

    def _postpone(self) -> None:
        """Put what is still due off by a second."""
        while self._due and self._due[0].moment <= self._now():
            self.at(self._now() + timedelta(seconds=1), heapq.heappop(self._due).act)
