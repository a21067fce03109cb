"""What executions cost, as the gateway reported it over one connection, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal


class Commissions:
    """By execution id, dollars. Every list of executions brings the reports of all its rows again.

    They come with the rows or after them, and carry no request id.
    """

    def __init__(self) -> None:
        self._known: dict[str, Decimal | None] = {}
        self._due: set[str] = set()
        self._live: set[str] = set()

    def get(self, exec_id: str) -> Decimal | None:
        return self._known.get(exec_id)

    def list_begins(self) -> None:
        """What is not reported for an older list is waited for no more."""
        self._due.clear()

    def listed(self, exec_id: str) -> None:
        """A row of a list: a report of it is part of the answer."""
        self._due.add(exec_id)

    def live(self, exec_id: str) -> None:
        """A fill as it happens."""
        self._live.add(exec_id)

    def is_live(self, exec_id: str) -> bool:
        return exec_id in self._live

    def is_due(self, exec_id: str) -> bool:
        """Whether a report belongs to a row of the list; the first of each alone."""
        due = exec_id in self._due
        self._due.discard(exec_id)
        return due

    def learn(self, exec_id: str, commission: Decimal | None) -> bool:
        """Keep a report; False where it says what was known."""
        known = exec_id in self._known and self._known[exec_id] == commission
        self._known[exec_id] = commission
        return not known
