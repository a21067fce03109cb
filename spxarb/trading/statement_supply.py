"""What the account's statement shows and the ledger lacks, written into the ledger with its source.

Executions of a trade lost from sight, commissions, the ends of its orders, the cash of its settlement. One
trade is written in one transaction, and matters that a statement resolves are resolved by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spxarb.core.identity import OrderIndex
from spxarb.core.matters import MatterKind, NewMatter
from spxarb.core.model import ExitReason, LegName, cents
from spxarb.core.order_words import BY_STATEMENT, Purpose
from spxarb.core.reconcile import describe
from spxarb.core.records import held
from spxarb.core.sentences import upper_first
from spxarb.core.statement import BOOKED_WITHIN
from spxarb.core.statement_check import compare_statement
from spxarb.core.statement_findings import Claim, TradeBook
from spxarb.core.trades import TradeEvent, TradeState
from spxarb.trading import bookkeeping, matters
from spxarb.trading.settlement_stages import SETTLED_STATES, settled_by_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime
    from decimal import Decimal

    from spxarb.core.records import Fill, Trade
    from spxarb.core.statement import Statement
    from spxarb.core.statement_findings import SettledLeg, StatementComparison
    from spxarb.ledger.ledger import Ledger


def compare_with_ledger(
    ledger: Ledger, statement: Statement, following: Callable[[date], date]
) -> tuple[int, StatementComparison]:
    """How many trades the ledger has of the statement's days, and the comparison with them.

    Trades of the days before are there for their settlements, which may be booked later. `following`: the
    trading day after a day.
    """
    trades = _trades_of(ledger, statement)
    books = [
        TradeBook(
            trade,
            ledger.orders.of_trade(trade.id),
            ledger.fills.of_trade(trade.id),
            ledger.settlements.of_trade(trade.id),
        )
        for trade in trades
    ]
    orders = OrderIndex(ledger.orders.since(statement.since - BOOKED_WITHIN))
    own_days = [trade for trade in trades if trade.trade_date >= statement.since]
    return len(own_days), compare_statement(statement, books, orders, ledger.tag, following)


def _trades_of(ledger: Ledger, statement: Statement) -> list[Trade]:
    return ledger.trades.between(statement.since - BOOKED_WITHIN, statement.until)


def supply(ledger: Ledger, statement: Statement, found: StatementComparison, at: datetime) -> list[str]:
    """Write what the ledger lacks. Returns sentences about what was written.

    Raises RefusedError when the ledger cannot be written; the trades before are whole then.
    """
    source = f"the account's statement of {statement.since} to {statement.until}"
    told: list[str] = []
    for trade in _trades_of(ledger, statement):
        with ledger.write():
            told += _Supplier(ledger, statement, found, trade, source, at).supply()
    matters.review(ledger, at)
    return [upper_first(text) for text in told]


class _Supplier:
    """One trade and what the statement says of it."""

    def __init__(
        self,
        ledger: Ledger,
        statement: Statement,
        found: StatementComparison,
        trade: Trade,
        source: str,
        at: datetime,
    ) -> None:
        self._ledger, self._statement, self._found = ledger, statement, found
        self._trade, self._source, self._at = trade, source, at
        self._told: list[str] = []

    def supply(self) -> list[str]:
        fills = [fill for fill in self._found.fills if fill.trade_id == self._trade.id]
        for fill in fills:
            self._record(fill)
        changed = self._commissions() | bool(fills)
        changed |= self._ends({fill.execution.order_ref for fill in fills})
        if self._trade.state is TradeState.LOST:
            self._found_again()
        elif any(fill.purpose is Purpose.BY_HAND for fill in fills):
            self._traded_by_hand()
        elif changed:
            bookkeeping.update_pnl(self._ledger, self._trade)
        for settled in self._found.settled:
            if settled.trade_id == self._trade.id:
                self._settle(settled)
        self._shares()
        if changed or self._told:
            bookkeeping.summarize(self._ledger, self._trade.trade_date)
        return self._told

    def _record(self, fill: Fill) -> None:
        by_hand = fill.purpose is Purpose.BY_HAND  # how much of it counts may change
        if self._ledger.fills.recount(fill) if by_hand else self._ledger.fills.record(fill):
            text = f"trade {fill.trade_id} {describe(fill.execution)}, by {self._source}"
            self._step(fill, text)
            self._told.append(text)

    def _step(self, fill: Fill, text: str) -> None:
        """A word in the life of the execution's order, where it is one of ours."""
        if fill.purpose is not Purpose.BY_HAND:
            self._ledger.orders.add_step(fill.execution.order_ref, "statement", self._at, text)

    def _commissions(self) -> bool:
        changed = False
        for fill in self._ledger.fills.of_trade(self._trade.id):
            paid = self._found.commissions.get(fill.execution.exec_id)
            if paid is None or not self._ledger.fills.record_commission(fill.execution.exec_id, paid):
                continue
            changed = True
            text = f"commission {fill.commission:.4f} replaced by {paid:.4f}, by {self._source}"
            self._step(fill, text)
            if cents(paid) != cents(fill.commission):
                self._told.append(
                    f"trade {self._trade.id}: commission {cents(fill.commission)} of execution "
                    f"{fill.execution.exec_id} is {cents(paid)}"
                )
        return changed

    def _ends(self, supplied: set[str]) -> bool:
        """Orders whose end is not known, or that filled more than was known: the statement shows it."""
        changed = False
        for record in self._ledger.orders.of_trade(self._trade.id):
            filled = self._found.ends.get(record.ref)
            unknown = not record.final or record.status == bookkeeping.LOST_SIGHT
            if filled is None or not (unknown or record.ref in supplied):
                continue
            self._ledger.orders.finish(record.ref, BY_STATEMENT, filled, self._at, self._source)
            self._told.append(f"order {record.ref} is over: {filled.normalize():f} filled")
            changed = True
        return changed

    # --- a trade that its human traded -----------------------------------------------------------------

    def _traded_by_hand(self) -> None:
        """Figures of a trade whose human traded it unseen: what he had closed was never settled.

        One whose last session is over is closed by his executions, or settled anew from what they leave.
        """
        ledger, trade = self._ledger, self._ledger.trades.get(self._trade.id)
        if trade.state is not TradeState.EXPIRED and trade.state not in SETTLED_STATES:
            bookkeeping.update_pnl(ledger, trade)
            return
        reason = None if trade.exit_reason is ExitReason.EXPIRATION else trade.exit_reason
        trade = bookkeeping.move(ledger, trade, TradeEvent.HELD, exit_reason=reason, exit_time=None)
        fills = ledger.fills.of_trade(trade.id)
        self._no_shares(fills)
        orders_over = all(record.final for record in ledger.orders.of_trade(trade.id))
        if orders_over and not any(held(fills, leg) for leg in LegName):
            last = max(fill.execution.time for fill in fills)
            bookkeeping.closed(ledger, trade, ExitReason.HANDED_OVER, last, note="")
            self._told.append(f"trade {trade.id}, handed over, is closed by hand")

    def _no_shares(self, fills: Sequence[Fill]) -> None:
        """Of calls that were all bought back no shares come, whoever bought them."""
        if not held(fills, LegName.SPY):
            by = " by hand" if self._trade.handed_over else ""
            how = f"{self._source}: its SPY calls were bought back{by}"
            for kind in (MatterKind.SHARES, MatterKind.ASSIGNMENT):
                self._ledger.matters.resolve(kind.key(self._trade.id), how, self._at)

    # --- a trade that was lost from sight -------------------------------------------------------------

    def _found_again(self) -> None:
        """Figures and state of a trade that was lost from sight, once all of its orders are accounted for."""
        ledger, trade = self._ledger, self._trade
        orders = ledger.orders.of_trade(trade.id)
        lost = [record.ref for record in orders if record.status == bookkeeping.LOST_SIGHT]
        if lost or self._doubts():
            bookkeeping.update_pnl(ledger, trade)
            return
        fills = ledger.fills.of_trade(trade.id)
        entered = all(_entered(fills, leg) >= trade.wanted(leg) for leg in LegName)
        ledger.trades.update(trade.id, entry_filled=entered)
        self._no_shares(fills)
        if any(held(fills, leg) for leg in LegName):
            if not self._settled_legs(fills):
                bookkeeping.update_pnl(ledger, trade)
                return
            bookkeeping.move(ledger, trade, TradeEvent.SESSION_OVER, note="")
        else:
            reason = ExitReason.TIME if entered else ExitReason.ENTRY_UNWOUND
            if trade.handed_over:
                reason = ExitReason.HANDED_OVER
            ended = max((fill.execution.time for fill in fills), default=self._at)
            bookkeeping.closed(ledger, ledger.trades.get(trade.id), reason, ended, note="")
        how = f"{self._source} supplied what its orders did"
        ledger.matters.resolve(MatterKind.LOST.key(trade.id), how, self._at)
        self._told.append(f"trade {trade.id} is in sight again: {how}")

    def _doubts(self) -> bool:
        """Whether ledger and statement contradict each other about an execution of the trade."""
        return any(
            row.trade_id == self._trade.id and row.claim is Claim.EXECUTION and not row.can_be_supplied
            for row in self._found.differences
        )

    def _settled_legs(self, fills: Sequence[Fill]) -> bool:
        """Whether the statement says what each leg that was held brought, or that it was assigned."""
        told = {row.leg for row in self._found.settled if row.trade_id == self._trade.id}
        if self._trade.id in self._found.assigned:
            told.add(LegName.SPY)
        return all(leg in told for leg in LegName if held(fills, leg))

    # --- settlements ---------------------------------------------------------------------------------

    def _settle(self, settled: SettledLeg) -> None:
        """The leg is settled for good at the statement's cash."""
        ledger = self._ledger
        trade = ledger.trades.get(self._trade.id)
        known = {row.leg: row for row in ledger.settlements.of_trade(trade.id)}.get(settled.leg)
        same = known is not None and (known.quantity, cents(known.cash)) == (settled.quantity, settled.cash)
        if (same and known is not None and not known.provisional) or held(
            ledger.fills.of_trade(trade.id), settled.leg
        ) != settled.quantity:
            return
        if trade.state is TradeState.LOST or (not trade.is_open and trade.state not in SETTLED_STATES):
            return
        if any(not record.final for record in ledger.orders.of_trade(trade.id)):
            return
        if self._when().date() < trade.expiry:
            return
        if trade.state.is_unproven:
            trade = bookkeeping.move(ledger, trade, TradeEvent.SESSION_OVER, note="")
        self._told.append(
            settled_by_statement(
                ledger,
                trade,
                settled.leg,
                settled.cash,
                source=f"{settled.how} of {self._statement.until}",
                at=self._when(),
                price=_price(trade, settled),
            )
        )

    def _when(self) -> datetime:
        generated = self._statement.generated
        return self._at if generated is None else min(generated, self._at)

    def _shares(self) -> None:
        """Shares of the trade's SPY calls: none, by the statement, or for a human."""
        trade = self._ledger.trades.get(self._trade.id)
        key = MatterKind.SHARES.key(trade.id)
        worthless = any(
            row.trade_id == trade.id and row.leg is LegName.SPY and not row.cash
            for row in self._found.settled
        )
        if trade.id in self._found.assigned and trade.state is not TradeState.SETTLED:
            text = next(
                row.text
                for row in self._found.differences
                if row.trade_id == trade.id and row.claim is Claim.EXERCISE
            )
            finding = NewMatter(key, f"{text}: spxarb trades no shares", trade.id)
            matters.needs_human(self._ledger, finding, self._at)
        elif worthless and self._ledger.matters.resolve(
            key, f"{self._source}: its SPY calls expired worthless", self._at
        ):
            self._told.append(f"trade {trade.id}: no shares were assigned")


def _entered(fills: Sequence[Fill], leg: LegName) -> Decimal:
    """Contracts of the leg that the entry's own orders traded."""
    return abs(held([fill for fill in fills if fill.purpose is Purpose.ENTRY], leg))


def _price(trade: Trade, settled: SettledLeg) -> Decimal | None:
    """The settlement price that the cash implies; None where the calls paid nothing."""
    contract = trade.contract(settled.leg)
    if not settled.cash or contract.strike is None:
        return None
    return contract.strike + settled.cash / (settled.quantity * contract.multiplier)
