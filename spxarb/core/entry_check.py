"""One check of an entry, as it was answered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One entry check. `ok` None: it could not be evaluated, or need not be."""

    name: str
    ok: bool | None
    value: object
    limit: object
    message: str
