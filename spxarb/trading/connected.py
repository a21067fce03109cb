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
from spxarb.core.model import ZERO, BooksSeen, LegName, TradeStatus
from spxarb.core.orders import ABSENCE_SECONDS, Life, Track, said_over
from spxarb.core.records import held
from spxarb.core.sessions import next_trading_day
from spxarb.core.steps import Board
from spxarb.errors import RefusedError
from spxarb.trading import bookkeeping
from spxarb.trading.executor import Desk
from spxarb.trading.market_calendar import closures_around, timetable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from datetime import datetime

    from spxarb.core.model import Books, Execution
    from spxarb.core.records import Fill, Purpose, Trade
    from spxarb.core.sessions import TradingDay
    from spxarb.core.steps import Steps
    from spxarb.trading.context import Env


T = TypeVar("T")


class Work:
    """One job's connection. Make it by `connected`; then `reconcile` before deciding anything."""

    def __init__(self, env: Env, broker: Broker, *, dry_run: bool) -> None:
        self.env, self.broker, self.store, self.dry_run = env, broker, env.store, dry_run
        self.clock = env.clock = Clock(env.config.trading.mode, broker.books.time)
        self.desk = Desk(broker, env.store, env.fees, self.clock.now)
        self.books: Books = broker.books
        self.books_at = time.monotonic()
        self.findings = reconcile.Findings()

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @property
    def day(self) -> TradingDay | None:
        """Today's timetable, None on a day without trading."""
        return timetable(self.now.date(), self.env.config)

    def human_needed(self, why: str) -> None:
        """Note what the ledger and the broker cannot prove: no entry, and exit 6."""
        self.findings = replace(self.findings, unproven=(*self.findings.unproven, why))

    async def look(self) -> Books:
        """The broker's books as they are now, our executions among them taken into the ledger."""
        self.books, self.books_at = await self.broker.ask_books(), time.monotonic()
        if not self.dry_run:
            self.desk.remember_books(self.books)
        return self.books

    # --- boards ------------------------------------------------------------------------------

    def board(self, trade: Trade) -> Board:
        """What is known of a trade: holdings, orders whose end is not proven, the newest quotes."""
        fills = self.store.fills(trade.id)
        tracks = {track.ref: track for track in self.tracks(trade)}
        attempts: dict[tuple[LegName, Purpose], int] = {}
        for record in self.store.orders(trade.id):
            key = record.leg, record.purpose
            attempts[key] = max(attempts.get(key, 0), record.attempt)
        settled = self.store.settlements(trade.id)
        base = {
            leg: int(
                held((fill for fill in fills if fill.execution.order_ref not in tracks), leg)
                - sum(each.quantity for each in settled if each.leg is leg)
            )
            for leg in LegName
        }
        ids = trade.spx.con_id, trade.spy.con_id
        return Board(
            tag=self.store.tag,
            trade_id=trade.id,
            base=base,
            attempts=attempts,
            tracks=tracks,
            quotes={con_id: self.broker.quote(con_id) for con_id in ids},
            overnight={con_id: self.books.overnight(con_id) for con_id in ids},
            link_up=self.broker.link_up,
        )

    def tracks(self, trade: Trade) -> list[Track]:
        """The trade's orders whose end the ledger has not proven, with the fills that it knows."""
        fills = self.store.fills(trade.id)
        return [
            Track(
                ticket=record.ticket,
                leg=record.leg,
                purpose=record.purpose,
                attempt=record.attempt,
                life=Life.SAID_ENDED if said_over(record.status) else Life.INTENDED,
                acknowledged=bool(record.perm_id),
                perm_id=record.perm_id,
                overnight=record.overnight,
                order_id=record.order_id,
                limit=record.ticket.limit,
                executions=_executions_of(record.ref, fills),
            )
            for record in self.store.orders(trade.id)
            if not record.final
        ]

    async def drive(self, steps: Steps[T], board: Board, *, entering: bool = False) -> T:
        """Run a procedure; while entering, the ledger's word against entries stops it."""
        return await self.desk.run(steps, board, self.stop_reason if entering else None)

    def stop_reason(self) -> str | None:
        """Why entries are forbidden; None when they are not."""
        if self.store.is_trading():
            return None
        return self.store.trading_reason() or "trading was stopped"

    # --- reconciliation ----------------------------------------------------------------------

    async def reconcile(self) -> None:
        """Compare ledger and broker; mend what is proven, note the rest in `findings`.

        A dry run compares and writes nothing. Raises GatewayError when the broker does not answer.
        """
        new = self._missing_fills()
        estimated = self.store.estimated_fills()
        gone: list[str] = []
        repaired = [f"not in the ledger until now: {reconcile.describe(f.execution)}" for f in new]
        if not self.dry_run:
            self.desk.remember_books(self.books)
            self._lose_sight()
            gone = self._lost()
            await self._prove_orders()
            repaired += self._reopen()
            for trade in self._touched([*new, *estimated]):
                bookkeeping.refigure(self.store, trade)
        unproven, noticed = (*gone, *self._unproven()), tuple(self._noticed())
        self.findings = reconcile.Findings(tuple(repaired), unproven, noticed)
        if not self.dry_run:
            for sentence in noticed:
                self.env.alert(f"{sentence[0].upper()}{sentence[1:]}.")

    def _missing_fills(self) -> list[Fill]:
        known = self.store.known_exec_ids()
        fresh = [each for each in self.books.executions if each.exec_id not in known]
        return [fill for fill in map(self.desk.fill_of, fresh) if fill is not None]

    def _touched(self, fills: Iterable[Fill]) -> list[Trade]:
        ids = {fill.trade_id for fill in fills} | {trade.id for trade in self.store.open_trades()}
        return [self.store.trade(each) for each in sorted(ids)]

    def _lose_sight(self) -> None:
        """Give up orders of an earlier day whose end nobody saw: the broker tells of today alone.

        Nothing can come of them any more, but what came of them is not known: no absence proves anything.
        """
        told = {each.order_ref for each in self.books.executions}
        told |= {each.order_ref for each in (*self.books.open_orders, *self.books.completed_orders)}
        for record in self.store.unproven_orders():
            if record.created_at.date() >= self.books.time.date() or record.ref in told:
                continue
            why = (
                f"how order {record.ref} of {record.created_at:%Y-%m-%d} ended is not known, for the broker "
                f"tells of today alone: compare trade {record.trade_id} with the account's statement"
            )
            filled = sum(
                each.execution.quantity
                for each in self.store.fills(record.trade_id)
                if each.execution.order_ref == record.ref
            )
            self.store.finish_order(record.ref, bookkeeping.LOST_SIGHT, ZERO + filled, self.now, why)
            self.store.update_trade(record.trade_id, status=TradeStatus.ERROR, note=why)

    def _lost(self) -> list[str]:
        """Trades that cannot be proven any more, told on the first trading day after their own."""
        closed = closures_around(self.now.date(), self.env.config).closed
        return [
            trade.note
            for trade in self.store.open_trades()
            if bookkeeping.lost(self.store, trade)
            and self.now.date() <= next_trading_day(trade.expiry, closed=closed)
        ]

    def _reopen(self) -> list[str]:
        """A trade that was closed and of which an order lives after all is open again. Returns sentences."""
        told = []
        listed = {order.order_ref for order in self.books.open_orders}
        for record in self.store.unproven_orders():
            trade = self.store.trade(record.trade_id)
            if trade.is_open or record.ref not in listed:
                continue
            status = TradeStatus.ACTIVE if trade.entry_filled else TradeStatus.PENDING
            self.store.update_trade(trade.id, status=status)
            told.append(f"trade {trade.id} is open again: its order {record.ref} lives at the broker")
        return told

    async def _prove_orders(self) -> None:
        """Look for the end of every order that is not proven; what is not shown is looked for twice."""
        trades = {record.trade_id for record in self.store.unproven_orders()}
        tracks = [track for trade in sorted(trades) for track in self.tracks(self.store.trade(trade))]
        self._compare(tracks)
        if any(not (track.proven or track.listed) for track in tracks):
            await asyncio.sleep(ABSENCE_SECONDS)  # two looks must lie this far apart
            await self.look()
            self._compare(tracks)

    def _compare(self, tracks: Iterable[Track]) -> None:
        seen = BooksSeen(self.books, self.books_at, self.broker.link_epoch)
        for track in tracks:
            track.look(seen)
            self.desk.remember_end(track)

    def _unproven(self) -> list[str]:
        """What must not be believed: fills that vanished, positions in our name that nobody here opened."""
        today = self.books.time.date()
        open_trades = bookkeeping.open_trades(self.store)
        fills = [fill for trade in open_trades for fill in self.store.fills(trade.id)]
        lost = [
            f"in the ledger but not at the broker: {reconcile.describe(fill.execution)}"
            for fill in reconcile.lost_fills(fills, self.books, today)
        ]
        lost += [
            f"how order {record.ref} ended is not known, though its trade was closed"
            for record in self.store.unproven_orders()
            if not self.store.trade(record.trade_id).is_open
        ]
        return [*lost, *reconcile.strangers(self.books, self.store.tag, self._known_refs())]

    def _noticed(self) -> list[str]:
        """What others did to contracts of ours."""
        refs = self._known_refs()
        return [
            sentence
            for trade in bookkeeping.open_trades(self.store)
            for sentence in reconcile.closed_by_others(trade, self.store.fills(trade.id), self.books, refs)
        ]

    def _known_refs(self) -> set[str]:
        refs = {execution.order_ref for execution in self.books.executions}
        return {ref for ref in refs if self.store.order(ref) is not None}

    def sold_by_others(self, trade: Trade) -> bool:
        """See `core.reconcile.sold_by_others`."""
        since = trade.entry_time or self.books.time
        return reconcile.sold_by_others(trade, self.books, self._known_refs(), since)


def _executions_of(ref: str, fills: Iterable[Fill]) -> dict[str, Execution]:
    own = (fill.execution for fill in fills if fill.execution.order_ref == ref)
    return {execution.exec_id: execution for execution in own}


@asynccontextmanager
async def connected(env: Env, *, dry_run: bool = False, id_above: int = 0) -> AsyncIterator[Work]:
    """A connection with the right account, its clock compared. Raises GatewayError or RefusedError.

    An order of ours that may still live can only be changed by the client id that sent it, so that one is
    used while there is such an order. `id_above` is added to the client id: for one that only looks.
    """
    ib, execution = env.config.ib, env.config.execution
    owners = [record.client_id for record in env.store.unproven_orders()]
    client_id = owners[0] if owners and ib.client_id not in owners else ib.client_id
    client_id += id_above
    endpoint = Endpoint(ib.host, ib.port, client_id, ib.account, env.config.trading.mode)
    async with connect(
        endpoint,
        timeout=execution.connect_timeout_seconds,
        question_timeout=execution.question_timeout_seconds,
    ) as broker:
        if env.store.account is None and not dry_run:
            env.store.bind_account(broker.account)
        elif env.store.account not in {None, broker.account}:
            raise RefusedError(
                f"The ledger {env.config.database_path()} belongs to account {env.store.account}, "
                f"the gateway to {broker.account}",
                risk="Nothing was sent",
                mend="Use a ledger of its own for each account (storage.database)",
            )
        yield Work(env, broker, dry_run=dry_run)
