"""What humans traded of trades that they took, compared with the statement.

The broker's execution is one, whatever trades share it: its shares are added up. How much of it counts to
each trade is what `spxarb.core.by_hand` says of the statement's executions and of those of the ledger alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spxarb.core.by_hand import brokers_id, counted, taken_legs
from spxarb.core.model import CENT, ZERO, cents
from spxarb.core.order_words import FillSource, Purpose
from spxarb.core.reconcile import describe
from spxarb.core.records import Fill
from spxarb.core.statement_findings import Claim, same_execution, with_supplied, without_it

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from spxarb.core.broker_books import Execution
    from spxarb.core.by_hand import Counted, TakenLeg
    from spxarb.core.model import LegName
    from spxarb.core.statement import Booked, Statement
    from spxarb.core.statement_findings import StatementComparison, TradeBook


def compare_by_hand(
    statement: Statement,
    books: Sequence[TradeBook],
    rows: Sequence[Booked],
    found: StatementComparison,
    may_be_ours: Callable[[Execution], bool],
) -> None:
    """Compare the executions of others, `rows`, as far as they count to trades that were handed over.

    `may_be_ours`: whether one that the ledger does not have may be of an order of ours all the same.
    """
    _ByHand(statement, books, found, may_be_ours).compare(rows)


class _ByHand:
    """One comparison. An execution is found by its family at the broker."""

    def __init__(
        self,
        statement: Statement,
        books: Sequence[TradeBook],
        found: StatementComparison,
        may_be_ours: Callable[[Execution], bool],
    ) -> None:
        self._statement, self._found, self._may_be_ours = statement, found, may_be_ours
        self._known: dict[str, list[Fill]] = {}
        for fill in sorted((fill for book in books for fill in book.fills), key=lambda f: f.execution.time):
            if fill.purpose is Purpose.BY_HAND:
                self._known.setdefault(brokers_id(fill.execution.family), []).append(fill)
        taken = [(book.trade.handed_over_at, book.trade.id, book) for book in books]
        self._legs: list[TakenLeg] = [
            leg
            for _, _, book in sorted(
                ((since, number, book) for since, number, book in taken if since is not None),
                key=lambda row: row[:2],
            )
            for leg in taken_legs(book.trade, with_supplied(book.fills, found.fills, book.trade.id))
        ]

    def compare(self, rows: Sequence[Booked]) -> None:
        contracts = {leg.con_id for leg in self._legs}
        named = [self._named(row) for row in rows if row.execution.con_id in contracts]
        told = {row.execution.family: row for row in named}
        order = [family for family in self._known if family in told]  # of one second, as they were counted
        order += [family for family in told if family not in self._known]
        others = [told[family].execution for family in order]
        unlisted = [fill for family, fills in self._known.items() if family not in told for fill in fills]
        others = [*(fill.execution for fill in unlisted), *others]
        parts: dict[str, list[Counted]] = {}
        for one in counted(self._legs, others):
            parts.setdefault(brokers_id(one.execution.family), []).append(one)
        for family in dict.fromkeys((*self._known, *order)):
            self._execution(told.get(family), self._known.get(family, []), parts.get(family, []))

    def _named(self, row: Booked) -> Booked:
        """The row under the id and at the time by which the ledger knows its execution."""
        theirs = row.execution
        for fills in self._known.values():
            ours = replace(fills[0].execution, exec_id=brokers_id(fills[0].execution.exec_id))
            if not same_execution(ours, theirs):
                continue
            own = theirs.exec_id if theirs.family == ours.family else ours.exec_id
            execution = replace(theirs, exec_id=own, time=ours.time)
            busted = not theirs.quantity and any(fill.execution.quantity for fill in fills)
            if busted and execution.revision_rank <= ours.revision_rank:
                number = int(ours.revision) + 1 if ours.revision.isdigit() else 99
                execution = replace(execution, exec_id=f"{ours.family}.{number:02d}")
            return replace(row, execution=execution)
        if any(theirs.exec_id in leg.seen for leg in self._legs):  # its id lacks the last group
            return replace(row, execution=replace(theirs, exec_id=f"{theirs.exec_id}.01"))
        return row

    def _execution(self, row: Booked | None, fills: Sequence[Fill], parts: Sequence[Counted]) -> None:
        ours = {(fill.trade_id, fill.leg): fill for fill in fills}
        if row is None and self._statement.covers(fills[0].execution.time):
            for fill in fills:
                self._unconfirmed(fill)
            return
        shares = [(_share(one), one) for one in parts]
        changed = [(share, one) for share, one in shares if _differs(share, ours.get(_key(one)))]
        for share, one in changed:
            self._changed(row, share, one, ours.get(_key(one)))
        if row is not None and fills and not changed:
            self._found.agrees(Claim.EXECUTION)
            self._commission(row, ours, parts)

    def _changed(self, row: Booked | None, share: Execution, one: Counted, known: Fill | None) -> None:
        trade_id, whole = one.leg.trade_id, one.execution
        paid = one.execution.commission if row is None else row.paid
        if known is None:
            text = (
                f"the statement shows that trade {trade_id} {describe(share)}, which the ledger does not have"
            )
        else:
            now = f"{share.quantity.normalize():f} at {share.price:f}" if share.quantity else "none of it"
            text = (
                f"trade {trade_id} {describe(known.execution)} by the ledger; "
                f"by the statement {now} counts to it"
            )
        contradicts = known is not None and (
            known.execution.exec_id == share.exec_id
            and (known.execution.side, known.execution.price) != (share.side, share.price)
        )
        if known is None and self._may_be_ours(whole):
            text = f"{text}: it names no order, and may be of one whose end is not known"
            contradicts = True
        commission = _part(paid, share.quantity, whole.quantity)
        supplied = commission is not None and not contradicts
        if commission is not None and supplied:
            self._found.fills.append(
                Fill(
                    replace(share, commission=commission),
                    trade_id,
                    one.leg.leg,
                    Purpose.BY_HAND,
                    commission,
                    commission_estimated=False,
                    source=FillSource.STATEMENT,
                )
            )
        self._found.differs(
            Claim.EXECUTION,
            trade_id,
            text if commission is not None else f"{text}, and its commission is not told",
            ledger=known.execution.quantity if known else None,
            statement=share.quantity,
            can_be_supplied=supplied,
        )

    def _commission(
        self, row: Booked, ours: Mapping[tuple[int, LegName], Fill], parts: Sequence[Counted]
    ) -> None:
        """What was paid for the shares, all added up; each is supplied with its part."""
        shares = {_key(one): _part(row.paid, one.quantity, one.execution.quantity) for one in parts}
        paid = {key: part for key, part in shares.items() if part is not None and key in ours}
        if not paid:
            return
        known = sum((ours[key].commission for key in paid), start=ZERO)
        told = sum(paid.values(), start=ZERO)
        estimated = any(ours[key].commission_estimated for key in paid)
        apart = abs(told - known) >= CENT
        if apart or estimated:
            self._found.commissions |= {ours[key].execution.exec_id: part for key, part in paid.items()}
        if not apart:
            self._found.agrees(Claim.COMMISSION)
            return
        word = "estimated at" if estimated else "recorded as"
        trades = " and ".join(dict.fromkeys(str(trade_id) for trade_id, _ in paid))
        self._found.differs(
            Claim.COMMISSION,
            parts[0].leg.trade_id,
            f"the commission of execution {row.execution.exec_id} by hand of trade {trades} is {word} "
            f"{known:.2f} dollars; the statement has {told:.2f}",
            ledger=known,
            statement=told,
            can_be_supplied=True,
            needs_human=not estimated,
        )

    def _unconfirmed(self, fill: Fill) -> None:
        execution = fill.execution
        if execution.quantity:
            theirs = replace(execution, exec_id=brokers_id(execution.exec_id))
            text = without_it(self._statement, theirs, self._found)
            self._found.differs(
                Claim.EXECUTION,
                fill.trade_id,
                f"trade {fill.trade_id} {describe(execution)} by the ledger; {text}",
                ledger=execution.quantity,
            )


def _key(one: Counted) -> tuple[int, LegName]:
    return one.leg.trade_id, one.leg.leg


def _share(one: Counted) -> Execution:
    """What counts to one leg, under its id in the ledger."""
    return replace(one.execution, exec_id=one.exec_id, quantity=one.quantity, symbol=str(one.leg.leg))


def _differs(share: Execution, known: Fill | None) -> bool:
    if known is None:
        return bool(share.quantity)
    ours = known.execution
    if not share.quantity and not ours.quantity:
        return False
    return (ours.side, ours.quantity, ours.price) != (share.side, share.quantity, share.price)


def _part(paid: Decimal | None, quantity: Decimal, whole: Decimal) -> Decimal | None:
    """The share's part of what was paid, dollars; None where that is not told."""
    if not quantity:
        return ZERO
    return None if paid is None else cents(paid * quantity / whole)
