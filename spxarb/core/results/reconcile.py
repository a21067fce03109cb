"""What `reconcile` answers: ledger and statement compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Self

from spxarb.core.result import Result
from spxarb.core.statement import StatementKind
from spxarb.core.statement_findings import Claim

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.statement import Statement
    from spxarb.core.statement_findings import StatementComparison, StatementDifference

KindText = Annotated[str, StatementKind]
ClaimText = Annotated[str, Claim]


@dataclass(frozen=True)
class StatementRead:
    """The statement that was read; all null where none could be."""

    source: str | None = None
    """The file, or the Flex web service."""
    kind: StatementKind | None = None
    account: str | None = None
    since: date | None = None
    until: date | None = None
    generated: datetime | None = None
    sections: tuple[str, ...] = ()

    @classmethod
    def of(cls, statement: Statement, source: str) -> Self:
        return cls(
            source,
            statement.kind,
            statement.account,
            statement.since,
            statement.until,
            statement.generated,
            statement.sections,
        )


@dataclass(frozen=True)
class Agreement:
    """How much of both is the same, to the cent."""

    trades: int = 0
    """Of the statement's days in the ledger."""
    executions: int = 0
    commissions: int = 0
    settlements: int = 0
    exercises: int = 0
    """SPY legs that expired worthless by the statement."""

    @classmethod
    def of(cls, trades: int, found: StatementComparison) -> Self:
        counts = (found.agreed[claim] for claim in Claim)
        return cls(trades, *counts)


@dataclass(frozen=True)
class DifferenceRow:
    """One difference. Dollars, or contracts of an execution or assignment."""

    claim: Claim
    trade_id: int | None
    text: str
    ledger: Decimal | None
    statement: Decimal | None
    can_be_supplied: bool
    """Whether `--supply` writes what the statement says."""
    needs_human: bool

    @classmethod
    def of(cls, row: StatementDifference) -> Self:
        return cls(
            row.claim,
            row.trade_id,
            row.text,
            row.ledger,
            row.statement,
            row.can_be_supplied,
            row.needs_human,
        )


@dataclass(frozen=True, kw_only=True)
class ReconcileResult(Result):
    """Ledger and statement compared to the cent."""

    statement: StatementRead = field(default_factory=StatementRead)
    agreed: Agreement = field(default_factory=Agreement)
    differences: tuple[DifferenceRow, ...] = ()
    """Those that are left, after what was supplied."""
    unchecked: tuple[str, ...] = ()
    """What this statement cannot tell: sections and fields that it lacks, rows that cannot be read."""
    supplied: tuple[str, ...] = ()
    """What was written into the ledger."""
