"""What the broker keeps: orders, executions, positions, and a snapshot of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.core.model import ZERO, Side

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.contracts import Contract
    from spxarb.core.unreadable import UnreadableRow


@dataclass(frozen=True, slots=True)
class OrderTicket:
    """An order as it is sent; committed to the ledger before that.

    `limit` None is a market order. `good_after` delays activation (aware datetime).
    """

    order_ref: str
    contract: Contract
    side: Side
    quantity: int
    limit: Decimal | None
    tif: str = "DAY"
    good_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker lists it, open or completed. `order_id` is 0 in completed orders."""

    order_ref: str
    order_id: int
    client_id: int
    perm_id: int
    con_id: int
    symbol: str
    side: Side
    quantity: Decimal
    limit: Decimal | None
    status: str  # the wire's own word
    filled: Decimal | None = None
    account: str = ""
    completed_status: str = ""

    @property
    def key(self) -> tuple[int, int, int, str]:
        return (self.perm_id, self.client_id, self.order_id, self.order_ref)


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill. A correction comes under the same `exec_id` but for its last dotted group.

    Such as `0000e0d5.6554b4d5.01.01`, corrected by `0000e0d5.6554b4d5.01.02` (IBKR, TWS API, execId).
    """

    exec_id: str
    order_ref: str
    order_id: int
    client_id: int
    perm_id: int
    con_id: int
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    time: datetime
    account: str = ""
    sec_type: str = "OPT"
    commission: Decimal | None = None  # dollars, None until reported
    liquidation: bool = False  # IB closed the position itself (the execution's liquidation flag)
    time_doubt: str = ""  # why `time` may be wrong, in words

    @property
    def family(self) -> str:
        """What all corrections of one execution share."""
        return self.exec_id.rpartition(".")[0] or self.exec_id

    @property
    def revision(self) -> str:
        """The last dotted group of its id: `01`, or `02` and up for a correction."""
        return self.exec_id.rpartition(".")[2]

    @property
    def revision_rank(self) -> tuple[int, str]:
        """What revisions are ordered by: as numbers, decimal or hexadecimal, with or without leading zeros.

        IB's other groups are hexadecimal and nobody has recorded a tenth correction, so neither is assumed.
        """
        digits = self.revision.lstrip("0").lower()
        return len(digits), digits


def latest_revisions(executions: Iterable[Execution]) -> list[Execution]:
    """One execution a family, its latest correction, in whatever order they come.

    Corrections replace, they never add. Of one revision listed twice the later row stands.
    """
    newest: dict[str, Execution] = {}
    for execution in executions:
        family = execution.family
        known = newest.get(family)
        if known is None or execution.revision_rank >= known.revision_rank:
            newest[family] = execution
    return list(newest.values())


@dataclass(frozen=True, slots=True)
class Position:
    account: str
    con_id: int
    symbol: str
    sec_type: str
    quantity: Decimal
    average_cost: Decimal | None = None
    expiry: date | None = None
    strike: Decimal | None = None
    right: str | None = None
    trading_class: str = ""


@dataclass(frozen=True, slots=True)
class BrokerSnapshot:
    """What the broker holds: its answers of one moment, asked in parallel.

    `completed_orders` is None when that list did not come: it is evidence, and nothing waits for it.
    `unreadable`: rows of these lists that cannot be read. `listed_since`: how far back the executions go;
    None: to the midnight of New York.
    """

    time: datetime
    executions: tuple[Execution, ...]
    open_orders: tuple[BrokerOrder, ...]
    completed_orders: tuple[BrokerOrder, ...] | None
    positions: tuple[Position, ...]
    unreadable: tuple[UnreadableRow, ...] = ()
    listed_since: datetime | None = None

    @property
    def todays_executions(self) -> list[Execution]:
        """The executions of New York's day: a gateway in another zone lists some of the day before too."""
        return [row for row in self.executions if row.time.date() == self.time.date()]

    def reaches(self, moment: datetime) -> bool:
        """Whether the list of executions must have one of that moment."""
        return moment.date() == self.time.date() and not (self.listed_since and moment < self.listed_since)

    @property
    def listed_orders(self) -> tuple[BrokerOrder, ...]:
        """Open and completed orders, as far as they are known."""
        return (*self.open_orders, *(self.completed_orders or ()))

    def overnight(self, con_id: int) -> Decimal:
        """The account's contracts before today's executions, anybody's: the same figure all day long.

        It moves only while the position shows a fill that the list of executions does not, or the other way
        round: the position row of a fill comes before its execution.
        """
        position = sum((row.quantity for row in self.positions if row.con_id == con_id), start=ZERO)
        executions = latest_revisions(row for row in self.todays_executions if row.con_id == con_id)
        return position - sum((row.quantity * row.side.sign for row in executions), start=ZERO)
