"""A job with a connection: broker, ledger and clock together, reconciled before anything is decided."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from spxarb.broker.broker import Broker, Endpoint, connect
from spxarb.broker.clock import Clock
from spxarb.core import reconcile
from spxarb.core.model import ZERO, LegName, SnapshotTaken, TradeStatus
from spxarb.core.orders import ABSENCE_SECONDS, OrderState, Presence, reported_done
from spxarb.core.records import held
from spxarb.core.sentences import sentence
from spxarb.core.sessions import next_trading_day
from spxarb.core.steps import SpreadState
from spxarb.core.tracking import TrackedOrder
from spxarb.errors import RefusedError
from spxarb.trading import bookkeeping
from spxarb.trading.executor import OrderExecutor
from spxarb.trading.market_calendar import closures_around, timetable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from datetime import datetime

    from spxarb.core.model import BrokerSnapshot, Execution
    from spxarb.core.records import Fill, Purpose, Trade
    from spxarb.core.sessions import TradingDay
    from spxarb.core.steps import Steps
    from spxarb.trading.context import JobContext


T = TypeVar("T")


class ConnectedJob:
    """One job's connection. Make it by `connected`; then `reconcile` before deciding anything."""

    def __init__(self, context: JobContext, broker: Broker, *, dry_run: bool) -> None:
        self.context, self.broker, self.ledger, self.dry_run = context, broker, context.ledger, dry_run
        self.clock = context.clock = Clock(context.config.trading.mode, broker.initial_snapshot.time)
        self.executor = OrderExecutor(broker, context.ledger, context.fees, self.clock.now)
        self.snapshot: BrokerSnapshot = broker.initial_snapshot
        self.snapshot_at = time.monotonic()
        self.findings = reconcile.Findings()

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @property
    def day(self) -> TradingDay | None:
        """Today's timetable, None on a day without trading."""
        return timetable(self.now.date(), self.context.config)

    def human_needed(self, why: str) -> None:
        """Note what the ledger and the broker cannot prove: no entry, and exit 6."""
        self.findings = replace(self.findings, unproven=(*self.findings.unproven, why))

    async def take_snapshot(self) -> BrokerSnapshot:
        """The broker's books as they are now, our executions among them taken into the ledger."""
        self.snapshot, self.snapshot_at = await self.broker.snapshot(), time.monotonic()
        if not self.dry_run:
            self.executor.record_snapshot(self.snapshot)
        return self.snapshot

    # --- boards ------------------------------------------------------------------------------

    def spread(self, trade: Trade) -> SpreadState:
        """What is known of a trade: holdings, orders whose end is not proven, the newest quotes."""
        fills = self.ledger.fills.of_trade(trade.id)
        tracks = {track.ref: track for track in self.tracks(trade)}
        attempts: dict[tuple[LegName, Purpose], int] = {}
        for record in self.ledger.orders.of_trade(trade.id):
            key = record.leg, record.purpose
            attempts[key] = max(attempts.get(key, 0), record.attempt)
        settled = self.ledger.settlements.of_trade(trade.id)
        base = {
            leg: int(
                held((fill for fill in fills if fill.execution.order_ref not in tracks), leg)
                - sum(each.quantity for each in settled if each.leg is leg)
            )
            for leg in LegName
        }
        ids = trade.spx.con_id, trade.spy.con_id
        return SpreadState(
            tag=self.ledger.tag,
            trade_id=trade.id,
            base=base,
            attempts=attempts,
            orders=tracks,
            quotes={con_id: self.broker.quote(con_id) for con_id in ids},
            overnight={con_id: self.snapshot.overnight(con_id) for con_id in ids},
            link_up=self.broker.link_up,
        )

    def tracks(self, trade: Trade) -> list[TrackedOrder]:
        """The trade's orders whose end the ledger has not proven, with the fills that it knows."""
        fills = self.ledger.fills.of_trade(trade.id)
        return [
            TrackedOrder(
                ticket=record.ticket,
                leg=record.leg,
                purpose=record.purpose,
                attempt=record.attempt,
                state=OrderState.REPORTED_DONE if reported_done(record.status) else OrderState.INTENDED,
                presence=Presence.ACKNOWLEDGED if record.perm_id else Presence.UNHEARD,
                perm_id=record.perm_id,
                overnight=record.overnight,
                order_id=record.order_id,
                limit=record.ticket.limit,
                executions=_executions_of(record.ref, fills),
            )
            for record in self.ledger.orders.of_trade(trade.id)
            if not record.final
        ]

    async def drive(self, steps: Steps[T], spread: SpreadState, *, entering: bool = False) -> T:
        """Run a procedure; while entering, the ledger's word against entries stops it."""
        return await self.executor.run(steps, spread, self.stop_reason if entering else None)

    def stop_reason(self) -> str | None:
        """Why entries are forbidden; None when they are not."""
        if self.ledger.state.is_trading():
            return None
        return self.ledger.state.trading_reason() or "trading was stopped"

    # --- reconciliation ----------------------------------------------------------------------

    async def reconcile(self) -> None:
        """Compare ledger and broker; mend what is proven, note the rest in `findings`.

        A dry run compares and writes nothing. Raises GatewayError when the broker does not answer.
        """
        new = self._missing_fills()
        estimated = self.ledger.fills.estimated()
        gone: list[str] = []
        repaired = [f"not in the ledger until now: {reconcile.describe(f.execution)}" for f in new]
        if not self.dry_run:
            self.executor.record_snapshot(self.snapshot)
            self._lose_sight()
            gone = self._lost()
            await self._prove_orders()
            repaired += self._reopen()
            for trade in self._touched([*new, *estimated]):
                bookkeeping.update_pnl(self.ledger, trade)
        unproven, noticed = (*gone, *self._unproven()), tuple(self._noticed())
        self.findings = reconcile.Findings(tuple(repaired), unproven, noticed)
        if not self.dry_run:
            for text in noticed:
                self.context.alert(sentence(text))

    def _missing_fills(self) -> list[Fill]:
        known = self.ledger.fills.exec_ids()
        fresh = [each for each in self.snapshot.executions if each.exec_id not in known]
        return [fill for fill in map(self.executor.fill_of, fresh) if fill is not None]

    def _touched(self, fills: Iterable[Fill]) -> list[Trade]:
        ids = {fill.trade_id for fill in fills} | {trade.id for trade in self.ledger.trades.open()}
        return [self.ledger.trades.get(each) for each in sorted(ids)]

    def _lose_sight(self) -> None:
        """Give up orders of an earlier day whose end nobody saw: the broker tells of today alone.

        Nothing can come of them any more, but what came of them is not known: no absence proves anything.
        """
        told = {each.order_ref for each in self.snapshot.executions}
        told |= {each.order_ref for each in (*self.snapshot.open_orders, *self.snapshot.completed_orders)}
        for record in self.ledger.orders.unproven():
            if record.created_at.date() >= self.snapshot.time.date() or record.ref in told:
                continue
            why = (
                f"how order {record.ref} of {record.created_at:%Y-%m-%d} ended is not known, for the broker "
                f"tells of today alone: compare trade {record.trade_id} with the account's statement"
            )
            filled = sum(
                each.execution.quantity
                for each in self.ledger.fills.of_trade(record.trade_id)
                if each.execution.order_ref == record.ref
            )
            self.ledger.orders.finish(record.ref, bookkeeping.LOST_SIGHT, ZERO + filled, self.now, why)
            self.ledger.trades.update(record.trade_id, status=TradeStatus.ERROR, note=why)

    def _lost(self) -> list[str]:
        """Trades that cannot be proven any more, told on the first trading day after their own."""
        closed = closures_around(self.now.date(), self.context.config).closed
        return [
            trade.note
            for trade in self.ledger.trades.open()
            if bookkeeping.lost(self.ledger, trade)
            and self.now.date() <= next_trading_day(trade.expiry, closed=closed)
        ]

    def _reopen(self) -> list[str]:
        """A trade that was closed and of which an order lives after all is open again. Returns sentences."""
        told = []
        listed = {order.order_ref for order in self.snapshot.open_orders}
        for record in self.ledger.orders.unproven():
            trade = self.ledger.trades.get(record.trade_id)
            if trade.is_open or record.ref not in listed:
                continue
            status = TradeStatus.ACTIVE if trade.entry_filled else TradeStatus.PENDING
            self.ledger.trades.update(trade.id, status=status)
            told.append(f"trade {trade.id} is open again: its order {record.ref} lives at the broker")
        return told

    async def _prove_orders(self) -> None:
        """Look for the end of every order that is not proven; what is not shown is looked for twice."""
        trades = {record.trade_id for record in self.ledger.orders.unproven()}
        tracks = [track for trade in sorted(trades) for track in self.tracks(self.ledger.trades.get(trade))]
        self._compare(tracks)
        if any(not (track.proven or track.listed) for track in tracks):
            await asyncio.sleep(ABSENCE_SECONDS)  # two looks must lie this far apart
            await self.take_snapshot()
            self._compare(tracks)

    def _compare(self, tracks: Iterable[TrackedOrder]) -> None:
        seen = SnapshotTaken(self.snapshot, self.snapshot_at, self.broker.link_epoch)
        for track in tracks:
            track.on_snapshot(seen)
            self.executor.record_end(track)

    def _unproven(self) -> list[str]:
        """What must not be believed: fills that vanished, positions in our name that nobody here opened."""
        today = self.snapshot.time.date()
        open_trades = bookkeeping.open_trades(self.ledger)
        fills = [fill for trade in open_trades for fill in self.ledger.fills.of_trade(trade.id)]
        lost = [
            f"in the ledger but not at the broker: {reconcile.describe(fill.execution)}"
            for fill in reconcile.lost_fills(fills, self.snapshot, today)
        ]
        lost += [
            f"how order {record.ref} ended is not known, though its trade was closed"
            for record in self.ledger.orders.unproven()
            if not self.ledger.trades.get(record.trade_id).is_open
        ]
        return [*lost, *reconcile.unknown_holdings(self.snapshot, self.ledger.tag, self._known_refs())]

    def _noticed(self) -> list[str]:
        """What others did to contracts of ours."""
        refs = self._known_refs()
        return [
            text
            for trade in bookkeeping.open_trades(self.ledger)
            for text in reconcile.closed_by_others(
                trade, self.ledger.fills.of_trade(trade.id), self.snapshot, refs
            )
        ]

    def _known_refs(self) -> set[str]:
        refs = {execution.order_ref for execution in self.snapshot.executions}
        return {ref for ref in refs if self.ledger.orders.find(ref) is not None}

    def sold_by_others(self, trade: Trade) -> bool:
        """See `core.reconcile.sold_by_others`."""
        since = trade.entry_time or self.snapshot.time
        return reconcile.sold_by_others(trade, self.snapshot, self._known_refs(), since)


def _executions_of(ref: str, fills: Iterable[Fill]) -> dict[str, Execution]:
    own = (fill.execution for fill in fills if fill.execution.order_ref == ref)
    return {execution.exec_id: execution for execution in own}


@asynccontextmanager
async def connect_job(
    context: JobContext, *, dry_run: bool = False, client_id_offset: int = 0
) -> AsyncIterator[ConnectedJob]:
    """A connection with the right account, its clock compared. Raises GatewayError or RefusedError.

    An order of ours that may still live can only be changed by the client id that sent it, so that one is
    used while there is such an order. `client_id_offset` is added to the client id: for one that only looks.
    """
    ib, execution = context.config.ib, context.config.execution
    owners = [record.client_id for record in context.ledger.orders.unproven()]
    client_id = owners[0] if owners and ib.client_id not in owners else ib.client_id
    client_id += client_id_offset
    endpoint = Endpoint(ib.host, ib.port, client_id, ib.account, context.config.trading.mode)
    async with connect(
        endpoint,
        timeout=execution.connect_timeout_seconds,
        question_timeout=execution.question_timeout_seconds,
    ) as broker:
        if context.ledger.account is None and not dry_run:
            context.ledger.bind_account(broker.account)
        elif context.ledger.account not in {None, broker.account}:
            raise RefusedError(
                f"The ledger {context.config.database_path()} belongs to account {context.ledger.account}, "
                f"the gateway to {broker.account}",
                risk="Nothing was sent",
                mend="Use a ledger of its own for each account (storage.database)",
            )
        yield ConnectedJob(context, broker, dry_run=dry_run)
