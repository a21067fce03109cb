"""The broker's own statement of an account, as values: what it books, pays and says of expired options.

It knows what the API no longer tells: executions of earlier days, cash settlements, assignments. It books an
execution once, each correction of it again, and cancels in rows of their own. Quantities here are unsigned;
`spxarb.broker.flex` reads the file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from spxarb.core.model import NEW_YORK, ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from spxarb.core.broker_books import Execution
    from spxarb.core.contracts import Contract

CONFIRMED_AFTER = timedelta(minutes=15)
"""An execution stands in trade confirmations within 5 to 10 minutes (IBKR, Flex Web Service)."""
BOOKED_WITHIN = timedelta(days=7)
"""After calls have expired their cash can be booked on another business day, after a long weekend too."""
DAY_IS_OVER = time(17)
"""New York. By then every order of ours is filled or gone: SPY options trade until 16:15."""


class StatementKind(StrEnum):
    """Which of the two flex queries it came from."""

    ACTIVITY = "activity"  # whole days, made after the close
    CONFIRMATIONS = "confirmations"  # executions alone, minutes after them


class Fate(StrEnum):
    """What the section of exercises, assignments and expirations says became of options."""

    EXERCISED = "exercised"
    ASSIGNED = "assigned"
    EXPIRED = "expired worthless"
    SETTLED = "settled in cash"


@dataclass(frozen=True, slots=True)
class Booking:
    """One row that books an execution, corrects one, or cancels one.

    Its `execution` has the broker's permanent order id, and as commission what was paid, taxes too: dollars,
    negative for a rebate, None where the statement does not say. `trade_id` is the same for an execution and
    its corrections. `cancels`: the trade id of what a cancel takes back; such a row has no execution id.
    """

    execution: Execution
    option: str
    trade_id: str = ""
    transaction_id: str = ""
    cancels: str = ""


@dataclass(frozen=True, slots=True)
class UnreadRow:
    """A row of an execution that cannot be read, with what could be read of it; `gap`: as `Statement.gaps`
    tells it, `why`: the reason alone, a phrase.
    """

    exec_id: str
    order_ref: str
    perm_id: int
    con_id: int
    why: str
    gap: str

    def may_be_of(self, order_ref: str, perm_id: int, con_id: int) -> bool:
        """Whether it may be an execution of this order: it names it, or it names none in its contract."""
        if self.order_ref:
            return self.order_ref == order_ref
        if self.perm_id and perm_id:
            return self.perm_id == perm_id
        return self.con_id in {0, con_id}


@dataclass(frozen=True, slots=True)
class Booked:
    """One execution after all its corrections and cancels.

    `paid` is the sum over all its rows, dollars: a correction books the difference (seen: -1.3666 for two
    contracts, then +0.3333 with the correction to one).
    """

    execution: Execution
    paid: Decimal | None
    option: str


@dataclass(frozen=True, slots=True)
class CashLine:
    """Dollars that a cash settlement of options brought, negative when paid; for the whole account."""

    con_id: int
    option: str
    day: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class OptionEvent:
    """What became of so many contracts at expiry; `proceeds`: dollars, where a cash settlement names them."""

    con_id: int
    option: str
    fate: Fate
    quantity: Decimal
    day: date
    proceeds: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """One account's statement of the days from `since` to `until`.

    A section that the file does not have is None. `gaps`: in words, what of its rows could not be read, and
    which fields they lack; `unread`: those rows of executions.
    """

    account: str
    kind: StatementKind
    since: date
    until: date
    generated: datetime | None = None
    bookings: tuple[Booking, ...] | None = None
    cash: tuple[CashLine, ...] | None = None
    events: tuple[OptionEvent, ...] | None = None
    gaps: tuple[str, ...] = ()
    unread: tuple[UnreadRow, ...] = ()

    @property
    def complete_until(self) -> datetime:
        """Up to when it shows every execution. A day's activity is in it once the day is over."""
        end, made = datetime.combine(self.until, time.max, NEW_YORK), self.generated
        if made is None:
            return end
        if self.kind is StatementKind.CONFIRMATIONS:
            return min(end, made - CONFIRMED_AFTER)
        if made.time() >= DAY_IS_OVER:
            return min(end, datetime.combine(made.date(), time.max, NEW_YORK))
        return min(end, datetime.combine(made.date(), time.min, NEW_YORK) - timedelta(seconds=1))

    def covers(self, moment: datetime) -> bool:
        """Whether it must show an execution of that moment."""
        return self.since <= moment.date() and moment <= self.complete_until

    def covers_day(self, day: date) -> bool:
        """Whether it must show every execution of that day."""
        return self.covers(datetime.combine(day, DAY_IS_OVER, NEW_YORK))

    @property
    def sections(self) -> tuple[str, ...]:
        """What it has, in the words of the flex query."""
        parts = {"Trades": self.bookings, "Statement of Funds": self.cash, "Option EAE": self.events}
        return tuple(name for name, rows in parts.items() if rows is not None)


Named = TypeVar("Named", CashLine, OptionEvent)
Part = TypeVar("Part")


def option_name(contract: Contract) -> str:
    """The OCC symbol of an option without its blanks, such as `SPXW260213C06945000`; empty for no option."""
    if contract.expiry is None or contract.strike is None or contract.right is None:
        return ""
    strike = int(contract.strike * 1000)
    return f"{contract.trading_class}{contract.expiry:%y%m%d}{contract.right}{strike:08d}"


def with_contract_ids(statement: Statement, contracts: Iterable[Contract]) -> Statement:
    """The statement with contract ids where it names an option by its symbol alone."""
    ids = {option_name(contract): contract.con_id for contract in contracts}
    bookings, cash, events = statement.bookings, statement.cash, statement.events
    return replace(
        statement,
        bookings=None if bookings is None else tuple(_identified(row, ids) for row in bookings),
        cash=None if cash is None else tuple(_numbered(row, ids) for row in cash),
        events=None if events is None else tuple(_numbered(row, ids) for row in events),
    )


def _identified(row: Booking, ids: Mapping[str, int]) -> Booking:
    con_id = row.execution.con_id or ids.get(row.option, 0)
    return replace(row, execution=replace(row.execution, con_id=con_id))


def _numbered(row: Named, ids: Mapping[str, int]) -> Named:
    return replace(row, con_id=row.con_id or ids.get(row.option, 0))


def booked(bookings: Sequence[Booking]) -> tuple[list[Booked], list[Booking]]:
    """Every execution once, and the cancels of executions that the statement does not have.

    A cancel leaves the rest of its family: as many bookings as cancels add up to nothing, else the newest
    revision stands. A row that is listed twice (the same transaction) counts once.
    """
    families: dict[str, list[Booking]] = {}
    cancels: list[Booking] = []
    for row in _once(bookings):
        if row.cancels:
            cancels.append(row)
        else:
            families.setdefault(row.execution.family, []).append(row)
    by_trade = {row.trade_id: family for family, rows in families.items() for row in rows if row.trade_id}
    taken: dict[str, list[Booking]] = {}
    orphans = []
    for row in cancels:
        family = by_trade.get(row.cancels)
        if family is None:
            orphans.append(row)
        else:
            taken.setdefault(family, []).append(row)
    return [_standing(rows, taken.get(family, [])) for family, rows in families.items()], orphans


def _standing(rows: Sequence[Booking], cancels: Sequence[Booking]) -> Booked:
    last = rows[0]
    for row in rows[1:]:
        if row.execution.revision_rank >= last.execution.revision_rank:
            last = row
    costs = [row.execution.commission for row in (*rows, *cancels)]
    known = [cost for cost in costs if cost is not None]
    paid = sum(known, start=ZERO) if len(known) == len(costs) else None
    execution = replace(last.execution, commission=paid)
    if len(cancels) >= len(rows):
        execution = replace(execution, quantity=ZERO)
    return Booked(execution, paid, last.option)


def _once(bookings: Iterable[Booking]) -> list[Booking]:
    """Each row once: by its transaction and execution, or where it names no transaction as a whole."""
    named = {
        (row.transaction_id, row.execution.exec_id, row.cancels) if row.transaction_id else row: row
        for row in bookings
    }
    return list(named.values())


def merged(statements: Sequence[Statement]) -> Statement:
    """One statement of the same account's parts: a query broken out by day has one for each.

    A section that a part lacks is missing: of that part's days nothing would be known.
    """
    first = statements[0]
    return replace(
        first,
        since=min(part.since for part in statements),
        until=max(part.until for part in statements),
        generated=max((part.generated for part in statements if part.generated), default=None),
        bookings=_joined([part.bookings for part in statements]),
        cash=_joined([part.cash for part in statements]),
        events=_joined([part.events for part in statements]),
        gaps=tuple(dict.fromkeys(gap for part in statements for gap in part.gaps)),
        unread=tuple(row for part in statements for row in part.unread),
    )


def _joined(sections: Sequence[tuple[Part, ...] | None]) -> tuple[Part, ...] | None:
    rows: list[Part] = []
    for section in sections:
        if section is None:
            return None
        rows += section
    return tuple(rows)
