"""What `doctor` answers: each part of the set-up, whether it is in order, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from spxarb.core.result import Result
from spxarb.core.results.going_live import LiveReadiness

if TYPE_CHECKING:
    from decimal import Decimal

    from spxarb.core.gateway_claims import Sighting


NOT_LOOKED_AT = "Not looked at, because of what failed before."


@dataclass(frozen=True)
class DoctorLine:
    """One part of the set-up."""

    name: str
    ok: bool | None
    """Null: it was not checked, or it stops nothing but is worth knowing."""
    verdict: Literal["passed", "warning", "failed"]
    """The same in a word: true is `passed`, null `warning`, false `failed`."""
    message: str
    mend: str | None = None
    """What to do about it; null when nothing is to be done."""
    exit_code: int = 0
    """What this line alone ends the command with."""

    @property
    def looked_at(self) -> bool:
        return self.message != NOT_LOOKED_AT


@dataclass(frozen=True)
class MarginFigures:
    """The initial margin of one part of the spread, dollars."""

    part: str
    """`short`: the SPY calls alone; `long`: the SPX calls alone; `both`."""
    contracts: str
    broker: Decimal | None
    """By the broker's what-if; null where it was refused or, for both legs at once, cannot be asked."""
    refused: str | None
    """The broker's words when it would refuse the order."""
    reg_t: Decimal | None
    """By the rules of Regulation T (FINRA 4210)."""
    portfolio: Decimal | None
    """By a portfolio scan from -8 to +6 %, at least $37.50 a contract."""


@dataclass(frozen=True)
class DoctorMargin:
    """Margin for this very position, dollars; all null unless `--margin` was given and could be asked."""

    asked: bool = False
    currency: str | None = None
    """What the account is kept in."""
    equity_with_loan: Decimal | None = None
    previous_day_equity: Decimal | None = None
    available_funds: Decimal | None = None
    initial_margin: Decimal | None = None
    """Of what the account holds already."""
    post_expiration_margin: Decimal | None = None
    post_expiration_excess: Decimal | None = None
    rules: str | None = None
    """`reg-t` or `portfolio`: which of them the broker's answer is like."""
    if_assigned: Decimal | None = None
    """Maintenance margin of the shares short that the SPY calls become when they are assigned."""
    parts: tuple[MarginFigures, ...] = ()
    explained: tuple[str, ...] = ()
    """The figures in sentences."""


@dataclass(frozen=True)
class GatewayFact:
    """What a recorded wire says of one thing that is assumed of gateways."""

    name: str
    claim: str
    evidence: Sighting
    what: str | None
    """The first piece of evidence; null when none was seen."""
    times: int
    """How many pieces of evidence say so."""
    why: str
    """What of spxarb rests on it."""


@dataclass(frozen=True)
class RecordedGateway:
    """The gateway of a recorded wire; all null without `--facts`."""

    file: str | None = None
    server_version: int | None = None
    """Of its API, as agreed on."""
    started: str | None = None
    """When the recording began."""
    mode: str | None = None
    messages: int | None = None
    connections: int | None = None


@dataclass(frozen=True, kw_only=True)
class DoctorResult(Result):
    """The whole set-up, part by part."""

    checks: tuple[DoctorLine, ...] = ()
    margin: DoctorMargin = field(default_factory=DoctorMargin)
    gateway: RecordedGateway = field(default_factory=RecordedGateway)
    facts: tuple[GatewayFact, ...] = ()
    """With `--facts`: every claim, judged."""
    going_live: LiveReadiness = field(default_factory=LiveReadiness)
    """What paper has shown of what a live entry waits for."""
