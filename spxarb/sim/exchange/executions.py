"""The day's executions: the current ones, and those that a correction has replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spxarb.sim.exchange.orders import ExecutionReport

_SCATTER = 2654435761
"""Odd, so that a running number times this is a different 32-bit number each time."""


class ExecutionLog:
    """Executions, oldest first. A correction takes the place of the execution that it corrects."""

    def __init__(self, ids: int) -> None:
        """Execution ids begin with `ids`."""
        self.current: list[ExecutionReport] = []
        self._ids = ids
        self._superseded: dict[str, ExecutionReport] = {}
        """By the id of a correction, the execution that it replaced, where both are listed."""
        self._replaced: dict[str, ExecutionReport] = {}
        """Likewise, of every correction."""

    def next_id(self) -> str:
        """Four groups with dots between, as the real ones; a correction counts up the last."""
        number = len(self.current) + 1
        return f"{self._ids:08x}.{number * _SCATTER & 0xFFFFFFFF:08x}.01.01"

    def record(self, fill: ExecutionReport) -> None:
        """Add a new execution."""
        self.current.append(fill)

    def supersede(self, old: ExecutionReport, new: ExecutionReport, *, list_both: bool) -> None:
        """Put a correction in the place of an execution. Raises ValueError for one that is not current."""
        self.current[self.current.index(old)] = new
        self._replaced[new.exec_id] = old
        if list_both:
            self._superseded[new.exec_id] = old

    def revisions(self, fill: ExecutionReport) -> list[ExecutionReport]:
        """The execution and all that it replaced, oldest first."""
        found = [fill]
        while (old := self._replaced.get(found[0].exec_id)) is not None:
            found.insert(0, old)
        return found

    def find(self, exec_id: str) -> ExecutionReport | None:
        """The current execution with this id."""
        return next((fill for fill in self.current if fill.exec_id == exec_id), None)

    def find_listed(self, exec_id: str) -> ExecutionReport | None:
        """The execution with this id, also one that a correction has replaced, while it is listed."""
        return next((fill for fill in self.listed() if fill.exec_id == exec_id), None)

    def listed(self) -> list[ExecutionReport]:
        """As reqExecutions lists them: a corrected execution stands before its correction."""
        listed: list[ExecutionReport] = []
        for fill in self.current:
            old = self._superseded.get(fill.exec_id)
            while old is not None:
                listed.append(old)
                old = self._superseded.get(old.exec_id)
            listed.append(fill)
        return listed
