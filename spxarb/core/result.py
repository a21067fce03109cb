"""What every job returns: frozen, already decided, not yet shown. Only the view turns it into text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Result:
    """The outcome of one command.

    `data` holds exactly the command's keys of the JSON object (`positions`, `flat`, ...): plain values,
    and `Decimal`, `date`, `datetime` and enums, which the view converts. `mode` is None when no
    configuration could be read. `error` is the one line for stderr; `notes` are sentences for people.
    """

    command: str
    at: datetime
    mode: str | None
    data: dict[str, object] = field(default_factory=dict)
    exit_code: int = 0
    error: str | None = None
    notes: tuple[str, ...] = ()
