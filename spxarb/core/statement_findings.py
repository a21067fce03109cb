"""What a comparison of ledger and statement found, and the rules that its parts share."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from spxarb.core.broker_books import Execution
    from spxarb.core.model import LegName
    from spxarb.core.records import Fill, OrderRecord, Settlement, Trade
    from spxarb.core.statement import Statement


class Claim(StrEnum):
    """What is compared."""

    EXECUTION = "execution"
    COMMISSION = "commission"
    SETTLEMENT = "settlement"
    EXERCISE = "exercise"


@dataclass(frozen=True, slots=True)
class StatementDifference:
    """One difference; `ledger` and `statement` are its figures where it has any, dollars or contracts.

    `can_be_supplied`: what the statement says can be written into the ledger. `needs_human`: False where the
    ledger's figure is known to be an estimate, or a human has dealt with it.
    """

    claim: Claim
    trade_id: int | None
    text: str
    ledger: Decimal | None = None
    statement: Decimal | None = None
    can_be_supplied: bool = False
    needs_human: bool = True


@dataclass(frozen=True, slots=True)
class SettledLeg:
    """What the statement says of a leg that expired: `cash` dollars for `quantity` contracts, signed."""

    trade_id: int
    leg: LegName
    quantity: Decimal
    cash: Decimal
    how: str


@dataclass(frozen=True, slots=True)
class TradeBook:
    """One trade as the ledger has it: its orders, the fills that stand, its settlements."""

    trade: Trade
    orders: Sequence[OrderRecord]
    fills: Sequence[Fill]
    settlements: Sequence[Settlement]


@dataclass
class StatementComparison:
    """What was found. `agreed` counts what both say alike; `unchecked`: what this statement cannot tell.

    To be supplied: `fills` that the ledger lacks, `commissions` by execution id, `settled` legs, and `ends`,
    what orders filled whose day the statement shows whole.
    """

    differences: list[StatementDifference] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    agreed: dict[Claim, int] = field(default_factory=lambda: dict.fromkeys(Claim, 0))
    fills: list[Fill] = field(default_factory=list)
    commissions: dict[str, Decimal] = field(default_factory=dict)
    settled: list[SettledLeg] = field(default_factory=list)
    ends: dict[str, Decimal] = field(default_factory=dict)
    assigned: dict[int, Decimal] = field(default_factory=dict)
    """Trade -> SPY calls of it that were assigned."""

    def differs(self, claim: Claim, trade_id: int | None, text: str, **more: object) -> None:
        self.differences.append(StatementDifference(claim, trade_id, text, **more))  # type: ignore[arg-type]

    def agrees(self, claim: Claim) -> None:
        self.agreed[claim] += 1


def same_execution(ours: Execution, theirs: Execution) -> bool:
    """One execution by both ids. Flex has been seen to leave out the last group of the API's id."""
    if ours.family == theirs.family:
        return True
    return same_id(ours, theirs.exec_id) or ours.exec_id == theirs.family


def same_id(ours: Execution, exec_id: str) -> bool:
    """Whether the statement names our execution by this id, with or without the last group."""
    return exec_id in {ours.family, ours.exec_id}


def without_it(statement: Statement, ours: Execution, found: StatementComparison) -> str:
    """Why the statement does not confirm our execution: it has no row of it, or none that can be read.

    What is told here is not told as unchecked a second time.
    """
    row = next((row for row in statement.unread if same_id(ours, row.exec_id)), None)
    if row is None:
        return f"the statement does not have execution {ours.exec_id}"
    found.unchecked = [gap for gap in found.unchecked if gap != row.gap]
    return f"the statement's row of execution {ours.exec_id} cannot be read: {row.why}"


def with_supplied(fills: Iterable[Fill], supplied: Iterable[Fill], trade_id: int) -> list[Fill]:
    """The trade's fills with those that are to be supplied, each execution once, in its newest revision."""
    newest = {fill.execution.family: fill for fill in fills}
    newest |= {fill.execution.family: fill for fill in supplied if fill.trade_id == trade_id}
    return list(newest.values())
