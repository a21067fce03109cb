"""A job with a connection: broker, ledger and clock together, reconciled before anything is decided."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from spxarb.broker.broker import Broker, Endpoint, connect
from spxarb.broker.clock import Clock
from spxarb.core import account, moved, reconcile
from spxarb.core.broker_books import latest_revisions
from spxarb.core.matters import MatterKind, NewMatter
from spxarb.core.model import LegName
from spxarb.core.order_events import SnapshotTaken
from spxarb.core.orders import ABSENCE_SECONDS
from spxarb.core.records import held
from spxarb.core.steps import SpreadState
from spxarb.core.trades import TradeEvent, TradeState
from spxarb.core.unreadable import POSITIONS
from spxarb.errors import GatewayError, RefusedError
from spxarb.trading import bookkeeping, matters, old_orders
from spxarb.trading.context import READ_ONLY_CLIENT_ID_OFFSET
from spxarb.trading.executor import OrderExecutor
from spxarb.trading.heard import Heard
from spxarb.trading.market_calendar import timetable, timetable_of
from spxarb.trading.order_tracks import tracks_of
from spxarb.trading.replay import replay
from spxarb.trading.unproven import known_refs
from spxarb.trading.unproven import unproven as unproven_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Sequence
    from datetime import datetime

    from spxarb.core.broker_books import BrokerSnapshot
    from spxarb.core.contracts import Contract
    from spxarb.core.order_words import Purpose
    from spxarb.core.pnl import TradePnl
    from spxarb.core.records import Fill, OrderRecord, Trade
    from spxarb.core.sessions import TradingDay
    from spxarb.core.steps import Steps
    from spxarb.core.tracking import TrackedOrder
    from spxarb.trading.context import JobContext

T = TypeVar("T")
FEE_SECONDS, FEE_PAUSE_SECONDS = 3.0, 0.5
"""How long, and how often, commissions that are not reported yet are asked for."""
ACCOUNT_CHECKS, ACCOUNT_PAUSE_SECONDS = 3, 1.0
"""How often, and how far apart, ledger and account are compared before a difference counts: rows may lag."""
A_LOOK = timedelta(minutes=1)
"""Two jobs this far apart have looked at the account each for itself."""


class ConnectedJob:
    """One job's connection. Made by `connect_job`; call `reconcile` before deciding anything."""

    def __init__(self, context: JobContext, broker: Broker, *, dry_run: bool) -> None:
        self.context, self.broker, self.ledger, self.dry_run = context, broker, context.ledger, dry_run
        self.clock = context.clock = Clock(context.config.trading.mode, broker.clock_reading)
        self.executor = OrderExecutor(
            broker, context.ledger, context.fees, self.clock.now, context.waits, context.note_sent
        )
        self.heard = context.heard = Heard(broker, self.executor, record=not dry_run)
        self.snapshot: BrokerSnapshot = self.executor.own(broker.initial_snapshot)
        self.snapshot_at = context.waits.now()
        self.findings = reconcile.Findings()
        self.comparison = account.Comparison()
        self.underlyings: tuple[Contract, ...] = ()
        """SPX and SPY, once they have been asked for."""
        self.worthless: set[int] = set()
        """SPX calls, by contract id, that two looks have shown to be worth nothing."""
        self._compared_after = 0
        """How many orders, changes and cancels had gone out when ledger and account were compared last."""

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
        self.snapshot, self.snapshot_at = await self.executor.snapshot(), self.context.waits.now()
        if not self.dry_run:
            self.executor.record_snapshot(self.snapshot)
        return self.snapshot

    # --- the state of a spread ---------------------------------------------------------------

    def spread(self, trade: Trade) -> SpreadState:
        """What is known of a trade: contracts held, orders not proven done, the latest quotes.

        Contracts that the account holds no more are not held: no order trades them a second time.
        """
        fills, records = self.ledger.fills.of_trade(trade.id), self.ledger.orders.of_trade(trade.id)
        tracks = {track.ref: track for track in self._tracks(fills, records)}
        attempts: dict[tuple[LegName, Purpose], int] = {}
        for record in records:
            key = record.leg, record.purpose
            attempts[key] = max(attempts.get(key, 0), record.attempt)
        settled = self.ledger.settlements.of_trade(trade.id)
        base = {
            leg: int(
                held((fill for fill in fills if fill.execution.order_ref not in tracks), leg)
                - sum(settlement.quantity for settlement in settled if settlement.leg is leg)
            )
            - self._not_held(trade, leg, tracks.values())
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
            legs={trade.contract(leg).con_id: leg for leg in LegName},
            known_executions=frozenset(row.exec_id for row in self.snapshot.executions),
        )

    def tracks(self, trade: Trade) -> list[TrackedOrder]:
        """The trade's orders that are not proven done, with their fills in the ledger."""
        return self._tracks(self.ledger.fills.of_trade(trade.id), self.ledger.orders.of_trade(trade.id))

    def _tracks(self, fills: Sequence[Fill], records: Iterable[OrderRecord]) -> list[TrackedOrder]:
        tracks = tracks_of(self.ledger, fills, records, self.broker.client_id, self.snapshot.open_orders)
        self.executor.follow(tracks)
        return tracks

    async def drive(self, steps: Steps[T], spread: SpreadState, *, entering: bool = False) -> T:
        """Run a procedure; while entering, a stop of trading in the ledger stops it."""
        return await self.executor.run(steps, spread, self.stop_reason if entering else None)

    def stop_reason(self) -> str | None:
        """Why entries are forbidden; None when they are not."""
        if self.context.stopping:
            return self.context.stopping
        if self.ledger.state.is_trading():
            return self.account_warning() or None
        return self.ledger.state.trading_reason() or "trading was stopped"

    def account_warning(self) -> str:
        """What the broker warns of the account, unless a human has acknowledged it; empty for nothing."""
        warnings = [matters.of_warning(message, self.now) for message in self.heard.warnings()]
        return "; ".join(finding.text for finding in matters.not_acknowledged(self.ledger, warnings))

    # --- reconciliation ----------------------------------------------------------------------

    async def reconcile(self) -> None:
        """Compare ledger and broker: repair what is proven, put the rest into `findings`.

        A dry run compares and writes nothing. Raises GatewayError when the broker does not answer.
        """
        if not self.dry_run:
            with self.context.beside():
                await replay(self.context, self.executor, self.snapshot, self.day)
        new = self._missing_fills()
        estimated = self.ledger.fills.estimated()
        what = "not in the ledger yet" if self.dry_run else "added to the ledger"
        repaired = [f"{what}: {reconcile.describe(fill.execution)}" for fill in new]
        if not self.dry_run:
            beside, unread = self.context.beside, set(self.ledger.trades.unreadable)
            with beside():
                self.executor.record_snapshot(self.snapshot)
            self.ledger.trades.open()
            repaired += [
                f"trade {trade_id} can be read again: its executions are those that the broker lists"
                for trade_id in sorted(unread - self.ledger.trades.unreadable.keys())
            ]
            with beside():
                old_orders.give_up_old_orders(self.ledger, self.snapshot, self.now)
            with beside():
                await self._prove_orders()
            with beside():
                repaired += [*old_orders.reopen(self.ledger, self.snapshot), *self._open_again()]
            for trade_id in self._open_or_filled([*new, *estimated]):
                with beside():
                    bookkeeping.refresh_figures(self.ledger, [self.ledger.trades.get(trade_id)])
            with beside():
                bookkeeping.refresh_figures(self.ledger)
        await self.compare()
        if not self.dry_run:
            with self.context.beside():
                await self._prove_closing_orders()
        self.findings = reconcile.Findings(tuple(repaired), self._kept_differences())
        if not self.dry_run:
            with self.context.beside():
                self.ledger.looks.add(self.context.run_id, self.now)

    def _kept_differences(self) -> tuple[str, ...]:
        """What ledger and account differ in now, in sentences, kept as matters for a human."""
        found = self._differences()
        if self.dry_run:
            found = matters.not_acknowledged(self.ledger, found)
        else:
            with self.context.beside():
                found = matters.compared(self.ledger, found, self.now)
        return tuple(finding.text for finding in found)

    # --- the account against the ledger ------------------------------------------------------

    async def compare(self) -> tuple[account.Finding, ...]:
        """Whether the account bears the ledger out; what may only lag counts when it is seen again.

        Raises GatewayError when the broker does not answer.
        """
        self._compared_after = self.executor.acted
        for _ in range(ACCOUNT_CHECKS - 1):
            self.comparison = self._compared()
            if not self.comparison.may_lag:
                return self.comparison.findings
            await self.context.waits.sleep(ACCOUNT_PAUSE_SECONDS)
            await self.take_snapshot()
        self.comparison = self._compared()
        return self.comparison.findings

    async def doubt_about(self, trade: Trade, *, but: Collection[account.Break] = ()) -> str:
        """Why the account, looked at anew, does not bear the trade out, in words; empty when it does.

        Without that, no final state is written. `but`: what may differ all the same.
        """
        try:
            await self.take_snapshot()
            await self.compare()
        except GatewayError as error:
            return f"ledger and account could not be compared after its last order: {error.what}"
        return "; ".join(finding.text for finding in self.differences(trade) if finding.kind not in but)

    async def verify(self) -> None:
        """Compare ledger and account again, once the last order has gone out; called last in every job.

        What differs is kept as a matter and told with the result. Where nothing was sent, the comparison that
        came first stands.
        """
        if not self.executor.acted:
            return
        if self._compared_after != self.executor.acted:
            try:
                await self.take_snapshot()
                await self.compare()
            except GatewayError as error:
                why = "Ledger and account could not be compared after the last order"
                self.context.failures.append(GatewayError(f"{why}: {error.what}", mend=error.mend))
                return
        new = [text for text in self._kept_differences() if text not in self.findings.unproven]
        self.findings = replace(self.findings, unproven=(*self.findings.unproven, *new))

    def _differences(self) -> list[NewMatter]:
        """What ledger and account differ in, as matters: what others took is one until a human says so."""
        client_ids = {self.broker.client_id, self.context.config.ib.client_id}
        unproven = unproven_in(self.ledger, self.snapshot, client_ids, self.now.date())
        found = [NewMatter(MatterKind.ACCOUNT.key(text), text) for text in unproven]
        return found + [
            NewMatter(matters.key_of(finding), finding.text, finding.trade_id)
            for finding in self.comparison.findings
        ]

    def _compared(self) -> account.Comparison:
        index = self.executor.own_orders(self._not_written())
        today, open_trades = self.snapshot.time.date(), bookkeeping.open_trades(self.ledger)
        of_today = self.ledger.trades.of_day(today)  # a settled call may be listed still
        own, executions = [], []
        for trade in self._comparable([*open_trades, *of_today]):
            fills = self.ledger.fills.of_trade(trade.id)
            own.append(self._own(trade, fills))
            executions += [fill.execution for fill in fills]
        found = account.compare(own, self.snapshot, index)
        over = [self._own(trade, settled=False) for trade in of_today if self._expired(trade)]
        ended = account.after_the_close(over, self.snapshot, index)
        found = account.Comparison((*found.findings, *ended.findings), {**found.lost, **ended.lost})
        records = self.ledger.orders.since(today)
        listed = account.known_fills(records, [*executions, *self.snapshot.executions])
        untold = account.untold_fills(records, listed, self.snapshot, index)
        return replace(found, findings=(*found.findings, *untold))

    def _comparable(self, trades: Iterable[Trade]) -> list[Trade]:
        """Each of the trades, once, of which the account may still hold calls that trade.

        A position row of ours that cannot be read says nothing of what is held: no exit is capped by it.
        """
        hidden = {row.con_id for row in self.snapshot.unreadable if row.list == POSITIONS}
        return [
            trade
            for _, trade in sorted({trade.id: trade for trade in trades}.items())
            if not (self._expired(trade) or {trade.spx.con_id, trade.spy.con_id} & hidden)
        ]

    def _expired(self, trade: Trade) -> bool:
        return self.now >= timetable_of(trade, self.context.config).close

    def _own(
        self, trade: Trade, known: Sequence[Fill] | None = None, *, settled: bool = True
    ) -> account.OwnTrade:
        """`known`: its fills in the ledger, where they have just been read."""
        from spxarb.core.pnl import trade_pnl  # noqa: PLC0415 -- only a trade needs it

        fills = self._fills_of(trade, self.ledger.fills.of_trade(trade.id) if known is None else known)
        pnl = trade_pnl(trade, fills, self.ledger.settlements.of_trade(trade.id) if settled else ())
        spx, spy = (self._own_leg(trade, leg, pnl) for leg in LegName)
        # Once the fail-safe has bought SPY back, as it should, the SPX call stands alone by our own doing.
        bought_back = any(not fill.purpose.opens for fill in fills)
        whole = trade.state is TradeState.OPEN and not bought_back
        contracts = trade.spx_contracts, trade.spy_contracts
        return account.OwnTrade(spx, spy, *contracts, whole, handed_over=trade.handed_over)

    def _fills_of(self, trade: Trade, known: Sequence[Fill]) -> list[Fill]:
        """The trade's fills; in a dry run with those that it may not add to the ledger."""
        new = [fill for fill in self._not_written() if fill.trade_id == trade.id]
        standing = latest_revisions(fill.execution for fill in (*known, *new))
        ids = {execution.exec_id for execution in standing}
        return [fill for fill in (*known, *new) if fill.execution.exec_id in ids]

    def _not_written(self) -> list[Fill]:
        """The fills that a dry run may not add to the ledger."""
        return self._missing_fills() if self.dry_run else []

    def _own_leg(self, trade: Trade, leg: LegName, pnl: TradePnl) -> account.OwnLeg:
        contract = trade.contract(leg)
        first = self.ledger.orders.first_in(contract.con_id, trade.expiry)
        overnight = first.overnight if first else None
        held_now = pnl.spx_held if leg is LegName.SPX else pnl.spy_held
        return account.OwnLeg(trade.id, leg, contract, int(held_now), overnight)

    def still_there(self) -> list[str]:
        """What the newest snapshot shows of our calls, in words: none of them is what flat means.

        An order of ours that the ledger has lost may still open a position: it counts too.
        """
        of_today = self.ledger.trades.of_day(self.snapshot.time.date())
        trades = {trade.id: trade for trade in (*self.ledger.trades.open(), *of_today)}
        own = [self._own(trade) for trade in trades.values()]
        shown = account.not_flat(own, self.snapshot, self.executor.own_orders())
        unknown = self.snapshot, self.ledger.tag, known_refs(self.ledger, self.snapshot)
        return [*shown, *reconcile.unknown_contracts(*unknown), *reconcile.lost_live_orders(*unknown)]

    def gone(self, trade: Trade, leg: LegName) -> int:
        """Contracts of a leg, signed, that the ledger holds and the account does not."""
        return self.comparison.gone(trade.id, leg)

    def _not_held(self, trade: Trade, leg: LegName, tracks: Iterable[TrackedOrder]) -> int:
        """As `gone`, without what an order of ours may have closed whose execution is still on its way."""
        gone, back = self.gone(trade, leg), self.awaited(trade, leg, tracks)
        return gone - back if gone > 0 else gone + back

    def awaited(self, trade: Trade, leg: LegName, tracks: Iterable[TrackedOrder]) -> int:
        """Contracts of a leg, unsigned, that are missing and that an order of ours may have closed."""
        return moved.awaited(trade, leg, self.differences(trade), tracks, self.now)

    def hidden(self, trade: Trade) -> int:
        """Contracts that the account does not show, that no execution explains, and only this job misses.

        A list of positions can have a hole in it. Until another job, a minute later or more, misses them too,
        nothing is built on that: no hedge is sold, no fail-safe is ended.
        """
        unresolved = self.ledger.matters.unresolved()
        seen = {matter.key for matter in unresolved if self.now - matter.since >= A_LOOK}
        missing = [finding for finding in self.differences(trade) if finding.kind is account.Break.MISSING]
        return sum(finding.quantity for finding in missing if matters.key_of(finding) not in seen)

    def _open_again(self) -> list[str]:
        """Open again the trades that were taken for ended by others, and that the account shows."""
        index, today = self.executor.own_orders(), self.ledger.trades.of_day(self.snapshot.time.date())
        ended = [trade for trade in today if trade.state is TradeState.UNKNOWN]
        again = [trade for trade in ended if account.still_there([self._own(trade)], self.snapshot, index)]
        for trade in again:
            bookkeeping.move(self.ledger, trade, TradeEvent.HELD)
        return [f"trade {trade.id} is open again: the account shows its calls" for trade in again]

    def differences(self, trade: Trade) -> list[account.Finding]:
        """What the newest comparison found of the trade."""
        return [finding for finding in self.comparison.findings if finding.trade_id == trade.id]

    def _missing_fills(self) -> list[Fill]:
        """Executions of our orders, or by hand in trades handed over, that are not in the ledger yet."""
        known = self.ledger.fills.exec_ids()
        new = (execution for execution in self.snapshot.executions if execution.exec_id not in known)
        ours = [fill for fill in map(self.executor.fill_of, new) if fill is not None]
        by_hand = self.executor.by_hand(self.snapshot)
        return [*ours, *(fill for fill in by_hand if fill.execution.exec_id not in known)]

    def _open_or_filled(self, fills: Iterable[Fill]) -> list[int]:
        """The ids of open trades and of those of the fills: their figures may have changed."""
        ids = {fill.trade_id for fill in fills} | {trade.id for trade in self.ledger.trades.open()}
        return sorted(ids - self.ledger.trades.unreadable.keys())

    async def reported_fees(self, *, whatever_is_open: bool = False) -> None:
        """Wait a little for the commissions of the day that the broker has not reported yet.

        A report may come seconds after its execution, also in an answer to the request for executions. While
        a trade is open the next job asks again anyway, unless it is the day's last: `whatever_is_open`.
        """
        ledger, end = self.ledger, self.context.waits.now() + FEE_SECONDS
        if self.dry_run or (bookkeeping.open_trades(ledger) and not whatever_is_open):
            return
        with suppress(GatewayError):  # what was done is done; a fee is asked for again
            while ledger.fills.estimated(self.now.date()) and self.context.waits.now() < end:
                await self.context.waits.sleep(FEE_PAUSE_SECONDS)
                await self.take_snapshot()

    async def _prove_orders(self) -> None:
        """Prove the end of every order that has none yet; one listed nowhere needs two snapshots.

        One that the broker never spoke of is not waited for here: see `TrackedOrder.on_next_id`, and what its
        own trade does about it.
        """
        trades = {record.trade_id for record in self.ledger.orders.unproven()}
        trades -= self.ledger.trades.unreadable.keys()
        tracks = [track for trade in sorted(trades) for track in self.tracks(self.ledger.trades.get(trade))]
        self._show(tracks)
        if any(not (track.proven or track.listed or track.silent) for track in tracks):
            # Absence in two snapshots this far apart is proof.
            await self.context.waits.sleep(ABSENCE_SECONDS)
            await self.take_snapshot()
            self._show(tracks)

    def _show(self, tracks: Iterable[TrackedOrder]) -> None:
        seen = SnapshotTaken(self.snapshot, self.snapshot_at, self.broker.link_epoch)
        for track in tracks:
            track.on_snapshot(seen)
            if self.counts_receipts and self.broker.told_order_id is not None:
                track.on_next_id(self.broker.told_order_id)
            self.executor.record_end(track)

    async def _prove_closing_orders(self) -> None:
        """Prove the end of closing orders beside which contracts went missing: see `moved.said_over`."""
        tracks = [
            track
            for trade in self.ledger.trades.open()
            if not self.hidden(trade)
            for track in moved.said_over(self.tracks(trade), self.differences(trade))
        ]
        for track in tracks:
            track.overnight = self.snapshot.overnight(track.ticket.contract.con_id)
        self._show(tracks)
        if any(not track.proven for track in tracks):
            await self.context.waits.sleep(ABSENCE_SECONDS)
            await self.take_snapshot()
            self._show(tracks)

    @property
    def counts_receipts(self) -> bool:
        """Whether the gateway's next order id says what it has received. Of a real one nobody has seen it.

        Where it does, an entry in doubt is looked at over a new connection before any other order is sent.
        """
        return self.context.config.trading.mode == "sim"


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
    owners = [record.client_id for record in context.ledger.orders.unproven() if record.client_id >= 0]
    client_id = owners[0] if owners and ib.client_id not in owners else ib.client_id
    client_id += client_id_offset or (READ_ONLY_CLIENT_ID_OFFSET if dry_run else 0)
    endpoint = Endpoint(ib.host, ib.port, client_id, ib.account, context.config.trading.mode, ib.gateway_user)
    async with connect(
        endpoint,
        timeout=execution.connect_timeout_seconds,
        question_timeout=execution.question_timeout_seconds,
        client_id_patience=0.0 if dry_run else context.client_id_patience,
        on_time=context.hear_time,
    ) as broker:
        bound = context.ledger.account
        if bound is None and not dry_run:
            context.ledger.bind_account(broker.account)
        elif bound not in {None, broker.account}:
            raise RefusedError(
                f"The ledger {context.config.database_path()} belongs to account {bound}, "
                f"and the gateway trades account {broker.account}",
                risk="Nothing was sent",
                mend="Use a separate ledger for each account (storage.database)",
            )
        yield ConnectedJob(context, broker, dry_run=dry_run)
