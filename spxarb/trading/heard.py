"""What the broker said during a connection, carried to where a human reads it: results, ledger, alerts."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from spxarb.core.broker_codes import CANCELLATION
from spxarb.core.broker_words import told
from spxarb.core.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spxarb.broker.broker import Broker
    from spxarb.core.broker_words import Message
    from spxarb.trading.executor import OrderExecutor


class Heard:
    """The broker's words over one connection; it can be asked after the connection has ended, too."""

    def __init__(self, broker: Broker, executor: OrderExecutor, *, record: bool) -> None:
        """`record`: what nobody waited for goes into the ledger; a job that only looks keeps the words."""
        self._broker, self._executor, self._record = broker, executor, record

    def warnings(self) -> list[Message]:
        """Those about the margin or the liquidation of the account, oldest first."""
        return [message for message in self._broker.messages if message.warns_of(self._broker.account)]

    def notes(self) -> list[str]:
        """Everything else that the broker said, in sentences: of each order, and of nothing in particular."""
        self._take_the_rest()
        account = self._broker.account
        general = [m for m in self._broker.messages if not m.warns_of(account)]
        words = {ref: self._worth_telling(ref) for ref in self._executor.said}
        return [
            *(sentence(f"the broker said: {told([message])}") for message in general),
            *(sentence(f"the broker said of order {ref}: {told(m)}") for ref, m in words.items() if m),
            *(sentence(text) for text in self._executor.doubts),
        ]

    def about(self, refs: Iterable[str]) -> list[Message]:
        """What may explain why these orders did not do what they should."""
        self._take_the_rest()
        return [
            message
            for ref in refs
            for message in self._executor.said.get(ref, ())
            if message.explains(cancelled_by_us=ref in self._executor.cancelled)
        ]

    def _worth_telling(self, ref: str) -> list[Message]:
        """All but the confirmation of our own cancel."""
        ours = ref in self._executor.cancelled
        return [m for m in self._executor.said[ref] if not (ours and m.code == CANCELLATION)]

    def _take_the_rest(self) -> None:
        """Take the events that came after the last procedure had ended."""
        with suppress(asyncio.QueueEmpty):
            while True:
                self._executor.take(self._broker.events.get_nowait(), record=self._record)
