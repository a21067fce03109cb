"""What `status` and `doctor` answer of the gate from paper to live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from spxarb.core.going_live import Advice, Requirement


@dataclass(frozen=True)
class LiveGateResult:
    """Whether live entries are let through by what paper has shown; all null where nobody asked."""

    state: Literal["open", "shut"] | None = None
    """Null in mode sim, and in `status` of mode paper."""
    text: str | None = None
    """What keeps it shut, or what it is open by."""


@dataclass(frozen=True)
class LiveReadiness(LiveGateResult):
    """The same with each requirement, and the advice of the strategy's document."""

    requirements: tuple[Requirement, ...] = ()
    advice: tuple[Advice, ...] = ()
