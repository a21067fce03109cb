"""The lists of the account that a snapshot is made of: orders, executions, positions.

A row that cannot be read is kept as such, beside the others. The list of completed orders is evidence, no
precondition: the Gateway is known to leave that request unanswered while another client's is pending
(ib_insync issues 224 and 355), so it is waited for a moment only.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from spxarb.broker.convert import StatusRow
from spxarb.broker.frames import every_execution
from spxarb.broker.questions import TIME, Rows
from spxarb.broker.times import ClockReading
from spxarb.core.broker_books import BrokerSnapshot
from spxarb.core.model import NEW_YORK
from spxarb.core.unreadable import COMPLETED_ORDERS, EXECUTIONS, OPEN_ORDERS, POSITIONS, UnreadableRow
from spxarb.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from datetime import tzinfo

    from spxarb.broker.wire import Wire
    from spxarb.core.broker_books import BrokerOrder, Execution, Position

COMPLETED_SECONDS = 3.0
"""How long a snapshot waits for completed orders; at most a quarter of the question timeout."""
_ENDED = frozenset({"Filled", "Cancelled", "ApiCancelled"})


class AccountLists:
    """The questions about one account over one connection. Each is answered within the timeout, in seconds.

    A method that takes `unreadable` adds to it what it cannot read. Each raises GatewayError when there is no
    answer.
    """

    def __init__(self, wire: Wire, account: str, question_timeout: float) -> None:
        self._wire = wire
        self._deadline = question_timeout
        self._completed_patience = min(COMPLETED_SECONDS, question_timeout / 4)
        self.account = account
        self.on_time: Callable[[datetime], None] | None = None
        """Called with every time that the gateway tells."""

    async def snapshot(self) -> BrokerSnapshot:
        """Time, executions, open and completed orders and positions, requested in parallel."""
        unreadable: list[UnreadableRow] = []
        (time, open_orders, executions), completed, positions = await together(
            self._time_then_orders_and_executions(unreadable),
            self._completed_if_answered(unreadable),
            self.positions(unreadable),
        )
        since = listed_since(self._wire.zones, time, executions)
        return BrokerSnapshot(time, executions, open_orders, completed, positions, tuple(unreadable), since)

    async def _time_then_orders_and_executions(
        self, unreadable: list[UnreadableRow]
    ) -> tuple[datetime, tuple[BrokerOrder, ...], tuple[Execution, ...]]:
        # "Download open orders on connection" (the default) makes the gateway send an openOrderEnd by itself
        # just after the logon. Asking for the time first lets that one pass: it must not be taken for ours.
        time = await self.server_time()
        # Executions after open orders: an order that filled in between is missing there and shows its fills
        # here. The other way round it would be in neither list.
        open_orders, executions = await together(self.open_orders(unreadable), self.executions(unreadable))
        return time, open_orders, executions

    async def _completed_if_answered(self, unreadable: list[UnreadableRow]) -> tuple[BrokerOrder, ...] | None:
        """Completed orders; None when they were refused, or did not come in time."""
        try:
            return await self.completed_orders(unreadable, self._completed_patience)
        except GatewayError as error:
            self._wire.link.require("no answer to the request for completed orders")
            self._wire.notice(f"completed orders are not known: {error.what}")
            return None

    async def server_time(self) -> datetime:
        """The gateway's clock, New York; whole seconds, as reqCurrentTime answers."""
        time = await ask_time(self._wire, self._deadline)
        if self.on_time is not None:
            self.on_time(time)
        return time

    async def executions(self, unreadable: list[UnreadableRow] | None = None) -> tuple[Execution, ...]:
        """Today's executions of all clients in our account; a correction is a row of its own.

        "Today" begins at midnight of the gateway's time zone (ib_insync issue 483). Commission is in dollars,
        None until its report has arrived.
        """
        req_id = self._wire.new_question()
        self._wire.commissions.list_begins()
        rows: list[Execution] = _readable(
            await self._wire.ask(
                req_id,
                EXECUTIONS,
                lambda c: c.reqExecutions(req_id, every_execution()),
                self._deadline,
                by=Rows.FILLS,
            ),
            unreadable,
        )
        ours = (row for row in rows if self._is_ours(row.account))
        return tuple(replace(row, commission=self._wire.commissions.get(row.exec_id)) for row in ours)

    async def open_orders(self, unreadable: list[UnreadableRow] | None = None) -> tuple[BrokerOrder, ...]:
        """Every live order of the account, of all clients and by hand, with its latest status.

        The answer is openOrder and orderStatus frames mixed; quantity filled stands only in orderStatus.
        """
        rows: list[BrokerOrder | StatusRow] = _readable(
            await self._wire.ask(OPEN_ORDERS, OPEN_ORDERS, lambda c: c.reqAllOpenOrders(), self._deadline),
            unreadable,
        )
        orders: dict[tuple[int, int, int], BrokerOrder] = {}
        for row in rows:
            # Orders placed by hand all have order id 0 (negative once bound): only permId tells them apart.
            key = (row.client_id, row.order_id, 0 if row.order_id > 0 else row.perm_id)
            if not isinstance(row, StatusRow):
                filled = orders[key].filled if key in orders else row.filled
                orders[key] = replace(row, filled=filled)
            elif key in orders:
                orders[key] = replace(orders[key], status=row.status, filled=row.filled)
        live = (order for order in orders.values() if order.status not in _ENDED)
        return tuple(order for order in live if self._is_ours(order.account))

    async def completed_orders(
        self,
        unreadable: list[UnreadableRow] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (reported in words, not as a TimeoutError)
    ) -> tuple[BrokerOrder, ...]:
        """Filled, cancelled and rejected orders of all clients.

        completedOrder frames carry neither order id nor client id (both are 0 here): identify by orderRef or
        permId. The list may be late, and may hold orders of an earlier day.
        """
        seconds = self._deadline if timeout is None else timeout
        rows: list[BrokerOrder] = _readable(
            await self._wire.ask(
                COMPLETED_ORDERS, COMPLETED_ORDERS, lambda c: c.reqCompletedOrders(False), seconds
            ),
            unreadable,
        )
        return tuple(replace(row, order_id=0, client_id=0) for row in rows if self._is_ours(row.account))

    async def positions(self, unreadable: list[UnreadableRow] | None = None) -> tuple[Position, ...]:
        """All open positions of our account, whoever traded them."""
        rows: list[Position] = _readable(
            await self._wire.ask(POSITIONS, POSITIONS, lambda c: c.reqPositions(), self._deadline), unreadable
        )
        self._wire.end_positions()
        # The subscription may send a contract twice while it fills; the last row counts, and 0 means closed.
        latest = {row.con_id: row for row in rows if row.account == self.account}
        return tuple(row for row in latest.values() if row.quantity)

    def _is_ours(self, account: str) -> bool:
        return account in {self.account, ""}


def _readable(rows: list[Any], unreadable: list[UnreadableRow] | None) -> list[Any]:
    """The rows without those that cannot be read, which are added to `unreadable`."""
    if unreadable is not None:
        unreadable += [row for row in rows if isinstance(row, UnreadableRow)]
    return [row for row in rows if not isinstance(row, UnreadableRow)]


async def together(*questions: Coroutine[Any, Any, Any]) -> list[Any]:
    """The answers to all questions; the first failure cancels the rest and is raised."""
    tasks = [asyncio.create_task(question) for question in questions]
    if not tasks:
        return []
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = [task for task in tasks if task.done() and task.exception()]
        return [task.result() for task in failed or tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def ask_time(wire: Wire, deadline: float) -> datetime:
    """The gateway's clock, New York. Raises GatewayError without an answer within `deadline` seconds."""
    asked: list[tuple[datetime, float]] = []

    def send(client: Any) -> None:
        asked.append((datetime.now(NEW_YORK), monotonic()))
        client.reqCurrentTime()

    rows: list[tuple[datetime, datetime]] = await wire.ask(TIME, TIME, send, deadline)
    gateway, answered = rows[0]
    wire.clock_reading = ClockReading(gateway, asked[0][0], answered, asked[0][1])
    return gateway


def listed_since(zones: Iterable[tzinfo | None], time: datetime, executions: Iterable[Execution]) -> datetime:
    """How far back a list of executions goes that was asked for at `time`.

    It starts at the gateway's own midnight (ib_insync issue 483). Of the `zones` that it may live in the
    latest midnight counts. With none, or one that is not known (None), the list proves nothing from before
    its own first row.
    """
    midnights = [_midnight(time.astimezone(zone)).astimezone(NEW_YORK) if zone else time for zone in zones]
    firsts = [row.time for row in executions if not row.time_doubt]
    return min([max(midnights, default=time), *firsts])


def _midnight(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0)
