"""What `start` and `stop` answer."""

from __future__ import annotations

from dataclasses import dataclass

from spxarb.core.result import Result


@dataclass(frozen=True, kw_only=True)
class SwitchResult(Result):
    """Whether new entries are allowed from now on."""

    is_trading: bool | None = None
    """Null when the switch could not be set."""
    reason: str | None = None
    """As given with `--reason`."""
