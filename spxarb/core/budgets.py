"""How long each command may take at the most: its own deadlines, and those that the system's manager keeps.

Every wait of a job has an end, and they add up to its budget. A unit's time-outs lie just above it: they are
for a process that hangs anyway, and must never end a job that still works.
"""

from __future__ import annotations

from typing import Protocol

PROOF_SECONDS = 300.0
"""How long the ends of one spread's orders may take to be proven: a silent one is waited for two minutes."""
LOCK_MARGIN = 1.1
"""How much longer than the longest job a job waits for the lock."""
CLIENT_ID_SHARE = 0.5
"""How much of that time an exit may add to wait for its client id."""
UNDO_SECONDS = 60.0
"""How long an interrupted entry may take to undo what it began: the manager kills only after that."""
TELLING_SECONDS = 60.0
"""The end of a command, after its budget: the alert with its deadline, the day's backup, the log."""
MARGIN_SECONDS = 15.0
"""How much later than a command's own deadline the manager ends it."""
WATCHDOG_SECONDS = 60.0
"""The watchdog and the sending of what waits: they read the ledger, and need neither lock nor broker."""
EXITS = frozenset({"monitor", "close-all"})
"""Verbs that exit positions."""
WAITING = frozenset({"enter", "monitor", "settle", "close-all", "hand-over"})
"""Verbs that wait for the lock and for the broker."""


class Waits(Protocol):
    """The waits of the section `execution`, seconds."""

    @property
    def order_timeout_seconds(self) -> float: ...
    @property
    def max_retry_attempts(self) -> int: ...
    @property
    def quote_timeout_seconds(self) -> float: ...
    @property
    def connect_timeout_seconds(self) -> float: ...
    @property
    def question_timeout_seconds(self) -> float: ...
    @property
    def exit_rungs(self) -> int: ...
    @property
    def exit_rung_seconds(self) -> float: ...
    @property
    def lock_timeout_seconds(self) -> float | None: ...


def longest(waits: Waits, open_trades: int, proof: float = PROOF_SECONDS) -> float:
    """Every wait that a command may meet, added up generously, in seconds."""
    working = (1 + waits.max_retry_attempts) * waits.order_timeout_seconds
    leaving = waits.exit_rungs * waits.exit_rung_seconds + waits.order_timeout_seconds
    questions = (
        waits.connect_timeout_seconds + 12 * waits.question_timeout_seconds + 6 * waits.quote_timeout_seconds
    )
    return 2 * questions + 2 * working + (2 + open_trades) * (2 * leaving + proof)


def lock_wait(waits: Waits, longest_job: float) -> float:
    """Seconds to wait for another job: `execution.lock_timeout_seconds`, else longer than any may take."""
    configured = waits.lock_timeout_seconds
    return longest_job * (1 + CLIENT_ID_SHARE) * LOCK_MARGIN if configured is None else configured


def budget(verb: str, longest_job: float) -> float:
    """Seconds that the verb may work: an exit may wait for its client id as well."""
    return longest_job * (1 + CLIENT_ID_SHARE) if verb in EXITS else longest_job


def start_seconds(verb: str, waits: Waits, max_spreads_per_day: int) -> int:
    """After how many seconds the verb hangs for certain: its wait for the lock, its budget and its end.

    With twice the spreads of a day open: those of the day before may still wait for their settlement.
    """
    if verb not in WAITING:
        return int(WATCHDOG_SECONDS + TELLING_SECONDS + MARGIN_SECONDS)
    job = longest(waits, 2 * max_spreads_per_day)
    return int(lock_wait(waits, job) + budget(verb, job) + TELLING_SECONDS + MARGIN_SECONDS)


def stop_seconds(verb: str) -> int:
    """How many seconds after SIGTERM a manager may kill the verb: an entry undoes what it began first."""
    undoing = UNDO_SECONDS if verb == "enter" else 0.0
    return int(undoing + TELLING_SECONDS + MARGIN_SECONDS)
