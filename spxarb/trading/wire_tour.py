"""Every question that spxarb asks a gateway, so that a recording has the answers.

Reads only. What fails is part of what is recorded: it is noted, and the next question is asked.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from spxarb.core.strategy import nearest_strike, underlying_price
from spxarb.errors import SpxarbError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from spxarb.broker.broker import Broker

CLOSES_DAYS = 5


class WireTour:
    """One round of questions after another. `notes`: what failed, each once."""

    def __init__(self, broker: Broker, quote_timeout: float) -> None:
        self._broker, self._timeout = broker, quote_timeout
        self.notes: dict[str, None] = {}

    @contextmanager
    def _question(self, name: str) -> Iterator[None]:
        try:
            yield
        except SpxarbError as error:
            self.notes[f"{name}: {error}"] = None

    async def once(self, now: datetime) -> None:
        """What is asked once: contracts, tick sizes, closes, margin; and the lines that then stream."""
        with self._question("account values"):
            await self._broker.account_values()
        with self._question("account updates"):
            await self._broker.margin_values()
        with self._question("underlyings"):
            spx, spy = await self._broker.underlyings()
            quotes = await self._broker.quotes([spx, spy], self._timeout)
            with self._question("daily closes"):
                await self._broker.daily_closes(spx, CLOSES_DAYS)
            for contract, trading_class in ((spx, "SPXW"), (spy, "SPY")):
                with self._question(f"{trading_class} calls"):
                    chain = await self._broker.option_chain(contract.symbol, trading_class, now.date())
                    price = underlying_price(quotes[contract.con_id])
                    if price is not None and (call := nearest_strike(chain.contracts, price)) is not None:
                        self._broker.watch([call])

    async def again(self) -> None:
        """What changes: the account's positions, orders and executions."""
        with self._question("account"):
            await self._broker.snapshot()
