"""Ledger and statement compared to the cent: what agrees, what differs, what the ledger lacks.

Pure. What the statement shows and the ledger lacks can be supplied: the comparison says what to write. What
both have and say differently is a matter for a human. Executions of others are left out, by `OrderIndex`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.core.by_hand import brokers_id
from spxarb.core.model import CENT, ZERO, LegName, cents
from spxarb.core.order_words import FillSource, Purpose
from spxarb.core.reconcile import describe
from spxarb.core.records import Fill, held, order_name
from spxarb.core.statement import Fate, booked, option_name, with_contract_ids
from spxarb.core.statement_by_hand import compare_by_hand
from spxarb.core.statement_findings import (
    Claim,
    SettledLeg,
    StatementComparison,
    TradeBook,
    same_execution,
    with_supplied,
    without_it,
)
from spxarb.core.trades import TradeState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from spxarb.core.broker_books import Execution
    from spxarb.core.identity import OrderIndex
    from spxarb.core.records import OrderRecord, Trade
    from spxarb.core.statement import Booked, Booking, Statement

UNREAD = "a row that may be of it cannot be read"


def compare_statement(
    statement: Statement,
    books: Sequence[TradeBook],
    orders: OrderIndex,
    tag: str,
    following: Callable[[date], date],
) -> StatementComparison:
    """Compare the statement with these trades. `orders`: all of the ledger's; `tag`: its own name.

    `following`: the trading day after a day: cash may be booked on it. It is asked only where it matters.
    """
    contracts = [book.trade.contract(leg) for book in books for leg in LegName]
    statement = with_contract_ids(statement, contracts)
    found = StatementComparison(unchecked=list(statement.gaps))
    if statement.bookings is None:
        found.unchecked.append("executions and commissions: the statement has no section Trades for them")
    else:
        _Executions(statement, books, orders, tag, found).compare(statement.bookings)
    _Settlements(statement, books, found, following).compare()
    return found


# --- executions and commissions --------------------------------------------------------------------


class _Executions:
    """One comparison of the executions."""

    def __init__(
        self,
        statement: Statement,
        books: Sequence[TradeBook],
        orders: OrderIndex,
        tag: str,
        found: StatementComparison,
    ) -> None:
        self._statement, self._books, self._orders = statement, books, orders
        self._tag, self._found = tag, found
        self._records = {record.ref: record for book in books for record in book.orders}
        fills = [fill for book in books for fill in book.fills]
        self._fills = [fill for fill in fills if fill.purpose is not Purpose.BY_HAND]
        self._by_hand = [
            replace(fill.execution, exec_id=brokers_id(fill.execution.exec_id))
            for fill in fills
            if fill.purpose is Purpose.BY_HAND
        ]
        self._filled: dict[str, Decimal] = dict.fromkeys(self._records, ZERO)
        self._lost = {book.trade.id for book in books if book.trade.state is TradeState.LOST}
        self._strays: list[Execution] = []
        """Executions that name no order: whose they are is not known."""

    def compare(self, bookings: Sequence[Booking]) -> None:
        standing, orphans = booked(bookings)
        seen: set[str] = set()
        others: list[Booked] = []
        for row in standing:
            if any(same_execution(execution, row.execution) for execution in self._by_hand):
                others.append(row)
                continue
            known = next(
                (fill for fill in self._fills if same_execution(fill.execution, row.execution)), None
            )
            record = self._record_of(row.execution, known)
            if record is None:
                self._name_unknown(row.execution)
                others.append(row)
                if row.execution.quantity and not row.execution.order_ref:
                    self._strays.append(row.execution)
                continue
            self._filled[record.ref] += row.execution.quantity
            if known is None:
                self._lacking(row, record)
            else:
                seen.add(known.execution.exec_id)
                self._compare(row, known)
        for cancel in orphans:
            self._name_orphan(cancel)
        for fill in self._fills:
            if fill.execution.exec_id not in seen:
                self._unconfirmed(fill)
        compare_by_hand(self._statement, self._books, others, self._found, self._may_be_ours)
        self._ends()

    def _record_of(self, execution: Execution, known: Fill | None) -> OrderRecord | None:
        """Ours by what the statement says of the order, else by the execution's own id."""
        record = self._orders.of_execution(execution)
        if record is None and known is not None and not execution.order_ref:
            return self._records.get(known.execution.order_ref)
        return self._records.get(record.ref) if record else None

    def _lacking(self, row: Booked, record: OrderRecord) -> None:
        execution = _as_ours(row.execution, record)
        if not execution.quantity:
            return
        text = f"the statement shows that trade {record.trade_id} {describe(execution)}"
        if row.paid is None:
            self._found.differs(Claim.EXECUTION, record.trade_id, f"{text}, without its commission")
            return
        self._found.fills.append(_fill(execution, record, row.paid))
        self._found.differs(
            Claim.EXECUTION,
            record.trade_id,
            f"{text}, which the ledger does not have",
            statement=execution.quantity,
            can_be_supplied=True,
        )

    def _compare(self, row: Booked, known: Fill) -> None:
        """The same execution in both: corrected since, another figure, or alike."""
        ours, theirs = known.execution, row.execution
        record = self._records[ours.order_ref]
        told = theirs.side, theirs.quantity, theirs.price
        both_busted = not ours.quantity and not theirs.quantity
        if (ours.side, ours.quantity, ours.price) != told and not both_busted:
            corrected = _corrected(ours, _as_ours(theirs, record))
            if corrected is not None:
                paid = known.commission if row.paid is None else row.paid
                self._found.fills.append(_fill(corrected, record, paid))
            now = f"{theirs.quantity.normalize():f} at {theirs.price:f}" if theirs.quantity else "cancelled"
            self._found.differs(
                Claim.EXECUTION,
                known.trade_id,
                f"trade {known.trade_id} {describe(ours)} by the ledger; the statement has it {now}",
                ledger=ours.quantity,
                statement=theirs.quantity,
                can_be_supplied=corrected is not None,
            )
            return
        self._found.agrees(Claim.EXECUTION)
        self._commission(row, known)

    def _commission(self, row: Booked, known: Fill) -> None:
        if row.paid is None:
            which = f"execution {known.execution.exec_id} of trade {known.trade_id}"
            self._found.unchecked.append(
                f"the commission of {which}: the statement does not tell it in dollars"
            )
            return
        apart = abs(row.paid - known.commission) >= CENT
        if apart or known.commission_estimated:
            self._found.commissions[known.execution.exec_id] = row.paid
        if not apart:
            self._found.agrees(Claim.COMMISSION)
        else:
            word = "estimated at" if known.commission_estimated else "recorded as"
            self._found.differs(
                Claim.COMMISSION,
                known.trade_id,
                f"the commission of execution {known.execution.exec_id} of trade {known.trade_id} is {word} "
                f"{known.commission:.2f} dollars; the statement has {row.paid:.2f}",
                ledger=known.commission,
                statement=row.paid,
                can_be_supplied=True,
                needs_human=not known.commission_estimated,
            )

    def _unconfirmed(self, fill: Fill) -> None:
        execution = fill.execution
        if not execution.quantity or not self._statement.covers(execution.time):
            return
        text = without_it(self._statement, execution, self._found)
        self._found.differs(
            Claim.EXECUTION,
            fill.trade_id,
            f"trade {fill.trade_id} {describe(execution)} by the ledger; {text}",
            ledger=execution.quantity,
        )

    def _name_unknown(self, execution: Execution) -> None:
        """An execution in this ledger's own name of which it knows nothing; those of others are left out."""
        name = order_name(execution.order_ref)
        if name is None or name.tag != self._tag or self._orders.of_execution(execution) is not None:
            return
        if execution.quantity:
            self._found.differs(
                Claim.EXECUTION,
                None,
                f"the statement shows an execution in this ledger's name, {describe(execution)}, of which "
                "the ledger knows nothing",
                statement=execution.quantity,
            )

    def _name_orphan(self, cancel: Booking) -> None:
        record = self._record_of(cancel.execution, None)
        if record is not None:
            self._found.differs(
                Claim.EXECUTION,
                record.trade_id,
                f"the statement cancels an execution of order {record.ref} (trade id {cancel.cancels}) that "
                "it does not show: fetch a statement that has its day too",
                statement=cancel.execution.quantity,
            )

    def _may_be_ours(self, execution: Execution) -> bool:
        """Whether an execution of nobody's may be of an order of ours whose end is not known."""
        return not execution.order_ref and any(
            _may_be_of(execution, record)
            and self._filled[ref] < record.ticket.quantity
            and (not record.final or record.trade_id in self._lost)
            for ref, record in self._records.items()
        )

    def _ends(self) -> None:
        """What each order filled, where the statement shows the whole of its day.

        An order that nobody ever heard of has no permanent id: only its reference tells what it filled.
        """
        for ref, record in self._records.items():
            if not self._statement.covers_day(record.created_at.date()):
                continue
            con_id = record.ticket.contract.con_id
            if any(row.may_be_of(ref, record.perm_id, con_id) for row in self._statement.unread):
                if not record.final or record.trade_id in self._lost:
                    self._found.unchecked.append(f"what order {ref} filled: {UNREAD}")
                continue
            may_be_its = any(_may_be_of(row, record) for row in self._strays)
            if not may_be_its or self._filled[ref] == record.ticket.quantity:
                self._found.ends[ref] = self._filled[ref]
            elif not record.final or record.trade_id in self._lost:
                self._found.unchecked.append(
                    f"what order {ref} filled: executions in its contract name no order. Choose the field "
                    "Order Reference in the flex query"
                )


def _may_be_of(stray: Execution, record: OrderRecord) -> bool:
    """Whether an execution that names no order may be this order's: no permanent id says otherwise."""
    same = (stray.con_id, stray.side) == (record.ticket.contract.con_id, record.ticket.side)
    return same and not (stray.perm_id and record.perm_id)


def _as_ours(execution: Execution, record: OrderRecord) -> Execution:
    """The statement's execution with what the ledger knows of its order."""
    return replace(
        execution,
        order_ref=record.ref,
        order_id=record.order_id,
        client_id=record.client_id,
        con_id=record.ticket.contract.con_id,
        symbol=record.ticket.contract.symbol,
        perm_id=execution.perm_id or record.perm_id,
    )


def _corrected(ours: Execution, theirs: Execution) -> Execution | None:
    """The statement's figures as a later revision of our execution; None: they contradict it."""
    if not theirs.quantity and theirs.revision_rank <= ours.revision_rank:
        number = int(ours.revision) + 1 if ours.revision.isdigit() else 99
        return replace(theirs, exec_id=f"{ours.family}.{number:02d}")
    return theirs if theirs.family == ours.family and theirs.revision_rank > ours.revision_rank else None


def _fill(execution: Execution, record: OrderRecord, paid: Decimal) -> Fill:
    return Fill(
        execution=replace(execution, commission=paid),
        trade_id=record.trade_id,
        leg=record.leg,
        purpose=record.purpose,
        commission=paid,
        commission_estimated=False,
        source=FillSource.STATEMENT,
    )


# --- settlements, exercises and assignments ----------------------------------------------------------


class _Settlements:
    """One comparison of what became of calls that were held at expiry.

    The statement's figures are the account's: where others held the same contract, ours are a share of them.
    """

    def __init__(
        self,
        statement: Statement,
        books: Sequence[TradeBook],
        found: StatementComparison,
        following: Callable[[date], date],
    ) -> None:
        self._statement, self._found, self._following = statement, found, following
        self._held = {
            (book.trade.id, leg): held(with_supplied(book.fills, found.fills, book.trade.id), leg)
            for book in books
            for leg in LegName
        }
        self._books = [book for book in books if self._is_told_of(book.trade)]

    def compare(self) -> None:
        for book in self._books:
            if book.trade.state is TradeState.UNKNOWN:
                self._found.unchecked.append(
                    f"the settlement of trade {book.trade.id}: others ended it, so not all of it was its own"
                )
                continue
            for leg in LegName:
                if quantity := self._held[book.trade.id, leg]:
                    self._leg(book, leg, quantity)

    def _is_told_of(self, trade: Trade) -> bool:
        """Whether its expiry lies in the statement's days, or before them and was booked in them."""
        if trade.expiry >= self._statement.since:
            return self._statement.covers_day(trade.expiry)
        contracts = {trade.contract(leg).con_id for leg in LegName}
        told = {line.con_id for line in self._statement.cash or ()}
        told |= {event.con_id for event in self._statement.events or ()}
        return not contracts.isdisjoint(told)

    def _leg(self, book: TradeBook, leg: LegName, quantity: Decimal) -> None:
        trade, con_id = book.trade, book.trade.contract(leg).con_id
        told = self._fates(con_id)
        assigned = min(told.get(Fate.ASSIGNED, ZERO), abs(quantity)) if leg is LegName.SPY else ZERO
        calls = f"{quantity:+.0f} {leg} calls of trade {trade.id} ({option_name(trade.contract(leg))})"
        if assigned:
            self._found.assigned[trade.id] = assigned
            self._found.differs(
                Claim.EXERCISE,
                trade.id,
                f"{assigned:.0f} of the {calls} were assigned, so the account sold "
                f"{assigned * trade.contract(leg).multiplier:.0f} shares at the strike",
                statement=assigned,
                needs_human=trade.state is not TradeState.SETTLED,
            )
            return
        cash = self._cash_of(leg, con_id, quantity, told)
        if cash is None:
            sections = {"Statement of Funds": self._statement.cash, "Option EAE": self._statement.events}
            lacking = " and no section ".join(name for name, rows in sections.items() if rows is None)
            why = (
                f"has no section {lacking}" if lacking else "shows neither their cash nor what became of them"
            )
            self._found.unchecked.append(f"the settlement of the {calls}: the statement {why}")
            self._not_shown(book, leg, calls)
            return
        if leg is LegName.SPY:
            self._found.agrees(Claim.EXERCISE)
        self._compare(book, SettledLeg(trade.id, leg, quantity, *cash), calls)

    def _not_shown(self, book: TradeBook, leg: LegName, calls: str) -> None:
        """A settlement of the ledger of which a statement says nothing that has its day and both sections.

        Cash can be booked on the next trading day: a human is needed once the statement has that day too.
        """
        known = next((row for row in book.settlements if row.leg is leg and row.quantity), None)
        sections = self._statement.cash, self._statement.events
        if known is None or None in sections or not self._statement.covers_day(book.trade.expiry):
            return
        booked_by = self._following(book.trade.expiry)
        self._found.differs(
            Claim.SETTLEMENT,
            book.trade.id,
            f"the {calls} are settled for {known.cash:+,.2f} dollars in the ledger; the statement of "
            f"{self._statement.since} to {self._statement.until} shows no settlement of them",
            ledger=known.cash,
            needs_human=self._statement.covers_day(booked_by),
        )

    def _fates(self, con_id: int) -> Mapping[Fate, Decimal]:
        """Contracts by what became of them, of the whole account."""
        fates: dict[Fate, Decimal] = {}
        for event in self._statement.events or ():
            if event.con_id == con_id:
                fates[event.fate] = fates.get(event.fate, ZERO) + event.quantity
        return fates

    def _cash_of(
        self, leg: LegName, con_id: int, quantity: Decimal, told: Mapping[Fate, Decimal]
    ) -> tuple[Decimal, str] | None:
        """Dollars that the leg brought and where the statement says so; None where it does not."""
        ended = sum((told.get(fate, ZERO) for fate in Fate if fate is not Fate.SETTLED), start=ZERO)
        lines = [line.amount for line in self._statement.cash or () if line.con_id == con_id]
        source = "cash line of the statement"
        if not lines:
            events = self._statement.events or ()
            lines = [row.proceeds for row in events if row.con_id == con_id and row.proceeds]
            source = "proceeds in the statement"
        if lines and leg is LegName.SPX:
            ours = sum((abs(q) for q in self._of_contract(con_id) if q * quantity > 0), start=ZERO)
            share = abs(quantity) / max(ended, ours)
            return cents(sum(lines, start=ZERO) * share), source
        if told.get(Fate.EXPIRED, ZERO) >= abs(quantity):
            return ZERO, "expired worthless by the statement"
        return None

    def _of_contract(self, con_id: int) -> Iterable[Decimal]:
        for book in self._books:
            for leg in LegName:
                if book.trade.contract(leg).con_id == con_id:
                    yield self._held[book.trade.id, leg]

    def _compare(self, book: TradeBook, settled: SettledLeg, calls: str) -> None:
        self._found.settled.append(settled)
        known = next((row for row in book.settlements if row.leg is settled.leg), None)
        if known is None:
            text = f"the {calls} brought {settled.cash:+,.2f} dollars, which the ledger does not have"
        elif known.quantity != settled.quantity:
            text = f"the {calls} are settled for {known.quantity:+.0f} contracts in the ledger"
        elif cents(known.cash) != settled.cash:
            text = (
                f"the {calls} brought {settled.cash:+,.2f} dollars by the statement and "
                f"{known.cash:+,.2f} by the ledger ({known.source})"
            )
        else:
            self._found.agrees(Claim.SETTLEMENT)
            return
        self._found.differs(
            Claim.SETTLEMENT,
            settled.trade_id,
            text,
            ledger=known.cash if known else None,
            statement=settled.cash,
            can_be_supplied=True,
        )
