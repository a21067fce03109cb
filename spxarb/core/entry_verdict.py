"""The verdict on an entry in words: why there is none, how many checks passed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from spxarb.core.checks import MARGIN, SECOND_LOOK, out_of_window
from spxarb.core.model import dec
from spxarb.core.sentences import lower_first, usd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spxarb.core.entry_check import Check

ASKED_LAST = frozenset({SECOND_LOOK, MARGIN})
"""Checks that are not asked for once another one has failed: of these silence is no reason."""
WINDOW = "time_window"


@dataclass(frozen=True)
class SortedChecks:
    """An entry's checks by their answers, each part in their own order."""

    passed: tuple[Check, ...]
    failed: tuple[Check, ...]
    unknown: tuple[Check, ...]

    @classmethod
    def of(cls, checks: Iterable[Check]) -> SortedChecks:
        listed = tuple(checks)
        passed, failed, unknown = (
            tuple(check for check in listed if check.ok is answer) for answer in (True, False, None)
        )
        return cls(passed, failed, unknown)

    @property
    def against(self) -> tuple[Check, ...]:
        """What speaks against an entry: what failed; where nothing did, what should have been answered."""
        return self.failed or tuple(check for check in self.unknown if check.name not in ASKED_LAST)

    @property
    def outside_window(self) -> Check | None:
        """The check of the entry window, where it failed by the time of day and by nothing else."""
        found = (check for check in self.failed if check.name == WINDOW)
        return next((check for check in found if _by_time_alone(check)), None)

    def counted(self) -> str:
        """`16 of 17 checks passed`, of those that were evaluated; and how many were not."""
        evaluated = len(self.passed) + len(self.failed)
        if not evaluated:
            return "No check was evaluated"
        rest = f", {len(self.unknown)} not evaluated" if self.unknown else ""
        return f"{len(self.passed)} of {evaluated} checks passed{rest}"


def _by_time_alone(check: Check) -> bool:
    others = len(check.message.rstrip(".").split(". ")) - 1
    return not others and out_of_window(check.value, check.limit)


def why_not(against: Iterable[Check]) -> str:
    """The first reason in words, and how many more there are; empty without any. No full stop."""
    reasons = [reason(check) for check in against]
    others = len(reasons) - 1
    rest = f", and {others} more {'reasons' if others > 1 else 'reason'}" if others > 0 else ""
    return f"{reasons[0]}{rest}" if reasons else ""


def reason(check: Check) -> str:
    """Why this check does not pass, a phrase."""
    value, limit = check.value, check.limit
    if (
        check.name == "net_credit"
        and isinstance(value, int | float | Decimal)
        and isinstance(limit, int | float | Decimal)
    ):
        return f"credit {usd(dec(value))}, at least {usd(dec(limit))} wanted"
    first = check.message.strip().split(". ")[0].rstrip(".")
    return lower_first(first) or check.name
