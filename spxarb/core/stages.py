"""The stages of a settlement: whose figure stands for what a leg has brought."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Which figure of a settlement it is, from the first to the last."""

    LAST_PRINT = "last print"
    OFFICIAL = "official close"
    STATEMENT = "statement"

    @property
    def number(self) -> int:
        """Their order; a later stage replaces an earlier one."""
        return list(Stage).index(self)
