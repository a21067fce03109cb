"""A job with a connection: broker, ledger and clock together, reconciled before anything is decided."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from spxarb.broker.broker import Broker, Endpoint, connect
from spxarb.broker.clock import Clock
from spxarb.core import reconcile
from spxarb.core.matters import Finding, MatterKind
from spxarb.core.model import ZERO, LegName, SnapshotTaken
from spxarb.core.orders import ABSENCE_SECONDS, OrderState, Presence, reported_done
from spxarb.core.records import held
from spxarb.core.sentences import sentence
from spxarb.core.steps import SpreadState
from spxarb.core.tracking import TrackedOrder
from spxarb.core.trades import TradeEvent
from spxarb.errors import RefusedError
from spxarb.trading import bookkeeping, matters
from spxarb.trading.context import READ_ONLY_CLIENT_ID_OFFSET
from spxarb.trading.executor import OrderExecutor
from spxarb.trading.market_calendar import timetable

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
    """One job's connection. Made by `connect_job`; call `reconcile` before deciding anything."""

    def __init__(self, context: JobContext, broker: Broker, *, dry_run: bool) -> None:
        self.context, self.broker, self.ledger, self.dry_run = context, broker, context.ledger, dry_run
        self.clock = context.clock = Clock(context.config.trading.mode, broker.initial_snapshot.time)
        self.executor = OrderExecutor(broker, context.ledger, context.fees, self.clock.now, context.waits)
        self.snapshot: BrokerSnapshot = broker.initial_snapshot
        self.snapshot_at = context.waits.now()
        self.findings = reconcile.Findings()

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @property
    def day(self) -> TradingDay | None:
        """Today's timetable; None when the exchange is closed."""
        return timetable(self.now.date(), self.context.config)

    def human_needed(self, why: str) -> None:
        """Add a finding that only a human can resolve: no entry, and exit 6."""
        self.findings = replace(self.findings, unproven=(*self.findings.unproven, why))

    async def take_snapshot(self) -> BrokerSnapshot:
        """A new snapshot of the account; our executions in it go into the ledger.

        Raises GatewayError when the broker does not answer.
        """
        self.snapshot, self.snapshot_at = await self.broker.snapshot(), self.context.waits.now()
        if not self.dry_run:
            self.executor.record_snapshot(self.snapshot)
        return self.snapshot

    # --- the state of a spread ---------------------------------------------------------------

    def spread(self, trade: Trade) -> SpreadState:
        """What is known of a trade: contracts held, orders not proven done, the latest quotes."""
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
                - sum(settlement.quantity for settlement in settled if settlement.leg is leg)
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
        """The trade's orders that are not proven done, with their fills in the ledger."""
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
        """Run a procedure; while entering, a stop of trading in the ledger stops it."""
        return await self.executor.run(steps, spread, self.stop_reason if entering else None)

    def stop_reason(self) -> str | None:
        """Why entries are forbidden; None when they are not."""
        if self.ledger.state.is_trading():
            return None
        return self.ledger.state.trading_reason() or "trading was stopped"

    # --- reconciliation ----------------------------------------------------------------------

    async def reconcile(self) -> None:
        """Compare ledger and broker: repair what is proven, put the rest into `findings`.

        A dry run compares and writes nothing. Raises GatewayError when the broker does not answer.
        """
        new = self._missing_fills()
        estimated = self.ledger.fills.estimated()
        repaired = [f"added to the ledger: {reconcile.describe(fill.execution)}" for fill in new]
        if not self.dry_run:
            self.executor.record_snapshot(self.snapshot)
            self._give_up_old_orders()
            await self._prove_orders()
            repaired += self._reopen()
            for trade in self._open_or_filled([*new, *estimated]):
                bookkeeping.update_pnl(self.ledger, trade)
            bookkeeping.replace_estimates(self.ledger)
        unproven, noticed = self._unproven(), tuple(self._trades_of_others())
        if not self.dry_run:
            found = [Finding(MatterKind.ACCOUNT.key(text), text) for text in unproven]
            unproven = [finding.text for finding in matters.compared(self.ledger, found, self.now)]
        self.findings = reconcile.Findings(tuple(repaired), tuple(unproven), noticed)
        if not self.dry_run:
            for text in noticed:
                self.context.alert(sentence(text))

    def _missing_fills(self) -> list[Fill]:
        """Executions of our orders that are not in the ledger yet."""
        known = self.ledger.fills.exec_ids()
        new = (execution for execution in self.snapshot.executions if execution.exec_id not in known)
        return [fill for fill in map(self.executor.fill_of, new) if fill is not None]

    def _open_or_filled(self, fills: Iterable[Fill]) -> list[Trade]:
        """The open trades and those of the fills: their figures may have changed."""
        ids = {fill.trade_id for fill in fills} | {trade.id for trade in self.ledger.trades.open()}
        return [self.ledger.trades.get(trade_id) for trade_id in sorted(ids)]

    def _give_up_old_orders(self) -> None:
        """Finish orders of an earlier day whose end was never seen, as lost from sight.

        They cannot fill any more (all are day orders), but whether they did is unknown: reqExecutions lists
        today's executions only, so their absence there proves nothing.
        """
        listed = {order.order_ref for order in self.snapshot.listed_orders}
        listed |= {execution.order_ref for execution in self.snapshot.executions}
        for record in self.ledger.orders.unproven():
            if record.created_at.date() >= self.snapshot.time.date() or record.ref in listed:
                continue
            why = (
                f"how order {record.ref} of {record.created_at:%Y-%m-%d} ended is not known, because the "
                f"broker lists today's executions only; compare trade {record.trade_id} with the account's "
                "statement"
            )
            filled = sum(
                fill.execution.quantity
                for fill in self.ledger.fills.of_trade(record.trade_id)
                if fill.execution.order_ref == record.ref
            )
            self.ledger.orders.finish(record.ref, bookkeeping.LOST_SIGHT, ZERO + filled, self.now, why)
            trade = self.ledger.trades.get(record.trade_id)
            bookkeeping.move(self.ledger, trade, TradeEvent.SIGHT_LOST, note=why)

    def _reopen(self) -> list[str]:
        """Reopen every closed trade that has a live order at the broker after all. Returns sentences."""
        notes = []
        listed = {order.order_ref for order in self.snapshot.open_orders}
        for record in self.ledger.orders.unproven():
            trade = self.ledger.trades.get(record.trade_id)
            if trade.is_open or record.ref not in listed:
                continue
            bookkeeping.move(self.ledger, trade, TradeEvent.HELD)
            notes.append(f"trade {trade.id} is open again: its order {record.ref} is live at the broker")
        return notes

    async def _prove_orders(self) -> None:
        """Prove the end of every order that has none yet; one listed nowhere needs two snapshots."""
        trades = {record.trade_id for record in self.ledger.orders.unproven()}
        tracks = [track for trade in sorted(trades) for track in self.tracks(self.ledger.trades.get(trade))]
        self._compare(tracks)
        if any(not (track.proven or track.listed) for track in tracks):
            # Absence in two snapshots this far apart is proof.
            await self.context.waits.sleep(ABSENCE_SECONDS)
            await self.take_snapshot()
            self._compare(tracks)

    def _compare(self, tracks: Iterable[TrackedOrder]) -> None:
        seen = SnapshotTaken(self.snapshot, self.snapshot_at, self.broker.link_epoch)
        for track in tracks:
            track.on_snapshot(seen)
            self.executor.record_end(track)

    def _unproven(self) -> list[str]:
        """Sentences about what cannot be proven: fills that vanished, holdings that we never opened."""
        today = self.snapshot.time.date()
        open_trades = bookkeeping.open_trades(self.ledger)
        fills = [fill for trade in open_trades for fill in self.ledger.fills.of_trade(trade.id)]
        sentences = [
            f"in the ledger but not at the broker: {reconcile.describe(fill.execution)}"
            for fill in reconcile.lost_fills(fills, self.snapshot, today)
        ]
        sentences += [*self._unreadable(), *self.ledger.trades.unreadable_open()]
        return [*sentences, *reconcile.unknown_holdings(self.snapshot, self.ledger.tag, self._known_refs())]

    def _unreadable(self) -> list[str]:
        """Sentences about rows of the broker's lists that cannot be read and may be ours."""
        trades = [*self.ledger.trades.open(), *self.ledger.trades.of_day(self.now.date())]
        con_ids = {leg.con_id for trade in trades for leg in (trade.spx, trade.spy)}
        client_ids = {self.broker.client_id, self.context.config.ib.client_id}
        return [str(row) for row in self.snapshot.unreadable if row.may_be_ours(con_ids, client_ids)]

    def _trades_of_others(self) -> list[str]:
        """Sentences about what others traded in our contracts."""
        refs = self._known_refs()
        return [
            text
            for trade in bookkeeping.open_trades(self.ledger)
            for text in reconcile.closed_by_others(
                trade, self.ledger.fills.of_trade(trade.id), self.snapshot, refs
            )
        ]

    def _known_refs(self) -> set[str]:
        """References of today's executions that belong to orders in this ledger."""
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
    """A connection to the right account, its clock compared. Raises GatewayError or RefusedError.

    `client_id_offset` is added to the client id, for a command that only reads beside a job that trades: a
    dry run never takes the id of that job.
    """
    ib, execution = context.config.ib, context.config.execution
    # Only the client id that sent an order can change or cancel it (others get 10147 or 135), so while an
    # order may be live its client id is used, whatever the configuration says by now.
    owners = [record.client_id for record in context.ledger.orders.unproven()]
    client_id = owners[0] if owners and ib.client_id not in owners else ib.client_id
    client_id += client_id_offset or (READ_ONLY_CLIENT_ID_OFFSET if dry_run else 0)
    endpoint = Endpoint(ib.host, ib.port, client_id, ib.account, context.config.trading.mode)
    async with connect(
        endpoint,
        timeout=execution.connect_timeout_seconds,
        question_timeout=execution.question_timeout_seconds,
        client_id_patience=0.0 if dry_run else context.client_id_patience,
    ) as broker:
        if context.ledger.account is None and not dry_run:
            context.ledger.bind_account(broker.account)
        elif context.ledger.account not in {None, broker.account}:
            raise RefusedError(
                f"The ledger {context.config.database_path()} belongs to account {context.ledger.account}, "
                f"and the gateway trades account {broker.account}",
                risk="Nothing was sent",
                mend="Use a separate ledger for each account (storage.database)",
            )
        yield ConnectedJob(context, broker, dry_run=dry_run)
