"""What was found of the set-up so far: a line for each part, with its verdict and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spxarb.core.results.doctor import DoctorLine
from spxarb.core.sentences import sentence, upper_first
from spxarb.errors import Exit, as_failure

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from spxarb.config.load import Config


@dataclass
class SetUp:
    """What was found so far. `account` and `last_what_if` are what the ledger says; None where it is new.

    `now`: the market's time, once a gateway has told it.
    """

    config: Config | None = None
    lines: list[DoctorLine] = field(default_factory=list)
    account: str | None = None
    last_what_if: datetime | None = None
    now: datetime | None = None
    net_liquidation: Decimal | None = None
    """Of the connected account, dollars; None: not told."""
    bitten: list[tuple[str, str]] = field(default_factory=list)
    """When and how the broker answered earlier orders because of a setting of the API."""

    def passed(self, name: str, message: str, mend: str = "") -> None:
        self.lines.append(
            DoctorLine(name, ok=True, verdict="passed", message=sentence(message), mend=_mend(mend))
        )

    def unchecked(self, name: str, message: str, mend: str = "") -> None:
        """It could not be checked, or it stops nothing that a job must do."""
        self.lines.append(
            DoctorLine(name, ok=None, verdict="warning", message=sentence(message), mend=_mend(mend))
        )

    def failed(self, name: str, message: str, mend: str, code: Exit = Exit.REFUSED) -> None:
        self.lines.append(
            DoctorLine(
                name,
                ok=False,
                verdict="failed",
                message=sentence(message),
                mend=_mend(mend),
                exit_code=int(code),
            )
        )

    def failed_by(self, name: str, error: Exception) -> None:
        failure = as_failure(error)
        self.failed(
            name, failure.what, failure.mend or "Read the message and run this again", failure.exit_code
        )


def _mend(text: str) -> str | None:
    return upper_first(text).rstrip(".") or None
