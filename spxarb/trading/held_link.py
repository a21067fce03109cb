"""One connection held over many looks: for a screen that is drawn again and again. It sends no order."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Self, TypeVar

from spxarb.broker.connect import quiet_library
from spxarb.errors import GatewayError, SpxarbError
from spxarb.trading.connected import ConnectedJob, connect_job
from spxarb.trading.context import READ_ONLY_CLIENT_ID_OFFSET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from spxarb.broker.broker import Broker
    from spxarb.trading.context import JobContext

T = TypeVar("T")


class HeldLink:
    """A connection that is made when it is needed, kept, and made anew once it was lost.

    The event loop stands still between `look` and `wait` alone, so that quotes arrive when they come.
    """

    def __init__(self) -> None:
        logging.getLogger().addHandler(logging.NullHandler())  # between two looks nothing is logged to stderr
        self._runner = asyncio.Runner()
        self._stack: AsyncExitStack | None = None
        self._broker: Broker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):  # whoever leaves does not wait for the gateway
            self._runner.run(self._drop())
        self._runner.close()

    def look(self, context: JobContext, job: Callable[[ConnectedJob], Awaitable[T]]) -> T:
        """Do the job over the connection, as new as over a new one. Raises GatewayError, RefusedError.

        After any of these the connection is given up: the next look makes another.
        """
        return context.in_time(self._look(context, job), self._runner.run)

    def wait(self, seconds: float) -> None:
        """Let so much time pass; what the gateway sends meanwhile is taken in."""
        self._runner.run(asyncio.sleep(seconds))

    async def _look(self, context: JobContext, job: Callable[[ConnectedJob], Awaitable[T]]) -> T:
        try:
            return await job(await self._connected(context))
        except (SpxarbError, asyncio.CancelledError):
            await self._drop()
            raise

    async def _connected(self, context: JobContext) -> ConnectedJob:
        if self._broker is not None and self._broker.link_up:
            quiet_library()  # every command's set-up of the log makes it talk again
            said, account = self._broker.messages, self._broker.account
            said[:] = [message for message in said if message.warns_of(account)]  # the rest was told once
            # The time, orders, executions and positions of now, as over a new connection.
            self._broker.initial_snapshot = await self._broker.snapshot()
            return ConnectedJob(context, self._broker, dry_run=True)
        await self._drop()
        self._stack = AsyncExitStack()
        made = connect_job(context, dry_run=True, client_id_offset=READ_ONLY_CLIENT_ID_OFFSET)
        job = await self._stack.enter_async_context(made)
        self._broker = job.broker
        return job

    async def _drop(self) -> None:
        stack, self._stack, self._broker = self._stack, None, None
        if stack is not None:
            with suppress(GatewayError, OSError):
                await stack.aclose()
