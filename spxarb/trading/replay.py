"""What a restored ledger lost, replayed from the broker's lists: trades and orders sent since the copy.

An order reference names the ledger, the trade, the leg and the purpose, so the executions of the day say what
was traded. Only a ledger that was restored takes them for its own: any other with the same name is a copy
that somebody else works with. What does not add up to one whole entry is left alone and told.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from spxarb.core.broker_books import OrderTicket, latest_revisions
from spxarb.core.failsafe import active_from
from spxarb.core.matters import MatterKind, NewMatter
from spxarb.core.model import ZERO, ExitReason, LegName
from spxarb.core.order_words import Purpose
from spxarb.core.records import OrderRecord, Trade, order_name
from spxarb.core.sessions import STORED_TIMETABLE, stored_day
from spxarb.core.trades import TradeState
from spxarb.trading import bookkeeping, matters, old_orders
from spxarb.trading.market_calendar import timetable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from spxarb.core.broker_books import BrokerOrder, BrokerSnapshot, Execution
    from spxarb.core.contracts import Contract
    from spxarb.core.records import OrderName
    from spxarb.core.sessions import TradingDay
    from spxarb.ledger.ledger import Ledger
    from spxarb.trading.context import JobContext
    from spxarb.trading.executor import OrderExecutor

log = logging.getLogger(__name__)
REPLAYED = "rebuilt from the broker's executions after a restore"


@dataclass(frozen=True, slots=True)
class LostOrder:
    """An order in this ledger's name that it does not know: its rows in the broker's lists."""

    name: OrderName
    fills: tuple[Execution, ...]
    listed: tuple[BrokerOrder, ...]

    @property
    def rows(self) -> list[Execution | BrokerOrder]:
        """Never empty."""
        return [*self.listed, *self.fills]

    @property
    def con_id(self) -> int:
        return self.rows[0].con_id

    @property
    def filled(self) -> Decimal:
        """Contracts, signed."""
        return sum((fill.quantity * fill.side.sign for fill in self.fills), start=ZERO)

    @property
    def quantity(self) -> int:
        """Contracts that it was for; of one that no list shows any more, what it filled."""
        return int(max((row.quantity for row in self.listed), default=abs(self.filled)))

    @property
    def unfilled(self) -> bool:
        """Whether it is over and nothing of it was filled; of such a one the lists tell no number."""
        return not self.fills and self.order_id <= 0

    @property
    def order_id(self) -> int:
        return max(row.order_id for row in self.rows)


def lost_orders(snapshot: BrokerSnapshot, tag: str, unknown: set[str]) -> dict[int, list[LostOrder]]:
    """Those of the `unknown` references that are in the name of the ledger `tag`, by trade."""
    fills: defaultdict[str, list[Execution]] = defaultdict(list)
    listed: defaultdict[str, list[BrokerOrder]] = defaultdict(list)
    for fill in latest_revisions(snapshot.executions):
        fills[fill.order_ref].append(fill)
    for order in snapshot.listed_orders:
        listed[order.order_ref].append(order)
    found: dict[int, list[LostOrder]] = defaultdict(list)
    for ref in sorted(unknown):
        name = order_name(ref)
        if name is not None and name.tag == tag:
            found[name.trade_id].append(LostOrder(name, tuple(fills[ref]), tuple(listed[ref])))
    return dict(sorted(found.items()))


def why_not(orders: Sequence[LostOrder], wanted: dict[LegName, int], known: Trade | None) -> str:
    """Why a trade cannot be replayed from these orders; empty when it can.

    `wanted`: contracts of a whole entry, signed; `known`: the trade, where the ledger has it.
    """
    by_leg = {leg: [order for order in orders if order.name.leg is leg] for leg in LegName}
    for leg, own in by_leg.items():
        ids = {order.con_id for order in own}
        if known is not None:
            ids |= {known.contract(leg).con_id}
        if len(ids) != 1:
            return f"it has orders in {len(ids)} {leg} contracts"
        if any(order.fills and order.order_id <= 0 for order in own):
            return f"the number of an order of its {leg} leg is not told"
        if any(row.filled and not order.fills for order in own for row in order.listed):
            return f"an order of its {leg} leg filled, and its executions are not listed"
        entered = sum((order.filled for order in own if order.name.purpose.opens), start=ZERO)
        if known is None and entered not in {ZERO, wanted[leg]}:
            return f"its entry came to {entered:f} {leg} calls, and {wanted[leg]} make a whole one"
    return ""


async def replay(
    context: JobContext, executor: OrderExecutor, snapshot: BrokerSnapshot, day: TradingDay | None
) -> None:
    """Give a restored ledger the trades and orders that it lost; numbers of others are not given again.

    Raises GatewayError when the broker does not tell a contract.
    """
    ledger = executor.ledger
    unknown = _unknown_refs(ledger, snapshot)
    if ledger.looks.restored():
        if day is not None:
            trades = {trade.id: trade for trade in (*ledger.trades.open(), *ledger.trades.of_day(day.day))}
            for trade_id, orders in lost_orders(snapshot, ledger.tag, unknown).items():
                trade = trades.get(trade_id)
                if why := why_not(orders, _wanted(context), trade):
                    _left_alone(executor, snapshot, trade_id, orders, why)
                    continue
                contracts = {order.con_id: await executor.broker.contract(order.con_id) for order in orders}
                _Replay(context, executor, snapshot, day).run(trade_id, trade, orders, contracts)
        _days_without_lists(context, executor)
        ledger.looks.note_replayed()
        unknown = _unknown_refs(ledger, snapshot)
    old_orders.skip_lost_trades(ledger, unknown)


def _left_alone(
    executor: OrderExecutor, snapshot: BrokerSnapshot, trade_id: int, orders: Sequence[LostOrder], why: str
) -> None:
    """A trade that cannot be replayed is a matter for a human: tomorrow no list shows it any more."""
    log.warning("trade %s was not replayed: %s", trade_id, why)
    live = {order.order_ref for order in snapshot.open_orders}
    if any(order.fills or str(order.name) in live for order in orders):
        which = f"trade {trade_id} of {snapshot.time:%Y-%m-%d}"
        text = f"{which} is lost and was not rebuilt after a restore: {why}"
        finding = NewMatter(MatterKind.LOST.key(which), text)
        matters.needs_human(executor.ledger, finding, executor.now())


def _days_without_lists(context: JobContext, executor: OrderExecutor) -> None:
    """What was traded between the copy and today no broker lists any more: a human must look."""
    now, copied = executor.now(), executor.ledger.looks.copied()
    if copied is None:
        return
    copied = copied.astimezone(now.tzinfo)
    days = ((copied + timedelta(days=ahead)).date() for ahead in range((now.date() - copied.date()).days))
    hours = (timetable(day, context.config) for day in days)
    if any(session is not None and session.close > copied for session in hours):
        text = (
            f"the ledger was restored from a copy of {copied:%Y-%m-%d %H:%M}, and what was traded from then "
            "to the day before the restore is in none of the broker's lists: compare the account's positions "
            "and its statement (`spxarb reconcile --statement FILE`)"
        )
        key = MatterKind.LOST.key(f"since {copied:%Y-%m-%d %H:%M}")
        matters.needs_human(executor.ledger, NewMatter(key, text), now)


def _unknown_refs(ledger: Ledger, snapshot: BrokerSnapshot) -> set[str]:
    refs = {execution.order_ref for execution in snapshot.executions}
    refs |= {order.order_ref for order in snapshot.listed_orders}
    return refs - ledger.orders.known(refs)


def _wanted(context: JobContext) -> dict[LegName, int]:
    limits = context.limits
    return {LegName.SPX: limits.spx_contracts_per_spread, LegName.SPY: -limits.spy_contracts_per_spread}


class _Replay:
    """One job's replay."""

    def __init__(
        self, context: JobContext, executor: OrderExecutor, snapshot: BrokerSnapshot, day: TradingDay
    ) -> None:
        self._context, self._executor, self._snapshot, self._day = context, executor, snapshot, day
        self._ledger = executor.ledger

    def run(
        self,
        trade_id: int,
        trade: Trade | None,
        orders: Sequence[LostOrder],
        contracts: dict[int, Contract],
    ) -> None:
        """Write the trade, its orders and their fills."""
        if trade is None:
            trade = self._create(trade_id, orders, contracts)
            if trade is None:
                return
        for order in orders:
            record = self._record(trade, order, contracts[order.con_id])
            self._ledger.orders.intend(record)
            self._ledger.orders.add_step(record.ref, "replayed", self._executor.now(), REPLAYED)
            if order.unfilled:
                why = "the broker's list of completed orders"
                self._ledger.orders.finish(record.ref, order.listed[0].status, ZERO, record.created_at, why)
        self._executor.record_snapshot(self._snapshot)
        self._exit_begun(trade, orders)
        self._context.alert(f"Trade {trade.id} was {REPLAYED}: look at `spxarb status`.")

    def _create(
        self, trade_id: int, orders: Sequence[LostOrder], contracts: dict[int, Contract]
    ) -> Trade | None:
        """The trade under its own number; None where that one is given already."""
        legs = {order.name.leg: contracts[order.con_id] for order in orders}
        first = min((fill.time for order in orders for fill in order.fills), default=self._executor.now())
        limits = self._context.limits
        new = Trade(
            id=0,
            trade_date=self._day.day,
            state=TradeState.ENTERING,
            account=self._executor.broker.account,
            spx=legs[LegName.SPX],
            spy=legs[LegName.SPY],
            spx_contracts=limits.spx_contracts_per_spread,
            spy_contracts=limits.spy_contracts_per_spread,
            entry_time=first,
            limits=self._context.config.limits() | {STORED_TIMETABLE: stored_day(self._day)},
            note=REPLAYED,
        )
        with self._ledger.write():
            if not self._ledger.trades.next_id(trade_id):
                log.warning("trade %s was not replayed: its number is given already", trade_id)
                return None
            return self._ledger.trades.create(new)

    def _record(self, trade: Trade, order: LostOrder, contract: Contract) -> OrderRecord:
        row = order.rows[0]
        resting = order.name.purpose is Purpose.FAILSAFE
        now = self._executor.now()
        ticket = OrderTicket(
            str(order.name),
            contract,
            row.side,
            order.quantity,
            order.listed[0].limit if order.listed else None,
            good_after=active_from(now, self._day.close) if resting else None,
        )
        return OrderRecord(
            ticket,
            trade.id,
            order.name.leg,
            order.name.purpose,
            order.name.attempt,
            client_id=max(line.client_id for line in order.rows),
            order_id=order.order_id,
            created_at=min((fill.time for fill in order.fills), default=now),
            perm_id=row.perm_id,
            overnight=self._snapshot.overnight(order.con_id),
        )

    def _exit_begun(self, trade: Trade, orders: Sequence[LostOrder]) -> None:
        """Where its exit had begun the trade goes on with it; why it was begun only the lost ledger knew."""
        exits = [fill for order in orders if not order.name.purpose.opens for fill in order.fills]
        if not exits:
            return
        at = min(fill.time for fill in exits)
        reason = ExitReason.TIME if at >= self._day.exit_at else ExitReason.EMERGENCY
        known = self._ledger.trades.get(trade.id)
        if known.state is TradeState.ENTERING:
            known = bookkeeping.opened(self._ledger, known, at)
        if known.state is TradeState.OPEN:
            bookkeeping.exit_begun(self._ledger, known, reason)
