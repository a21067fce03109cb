"""The set-up at the gateway, part by part: what it is, what it allows, what it shows."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spxarb.broker.broker import Endpoint, log_on
from spxarb.broker.clock import Clock
from spxarb.config.rules import is_loopback
from spxarb.core.quality import LIVE
from spxarb.core.results.doctor import NOT_LOOKED_AT, DoctorMargin
from spxarb.core.sessions import next_trading_day
from spxarb.core.strategy import nearest_strike, underlying_price
from spxarb.errors import GatewayError, RefusedError, SpxarbError, StrangerError
from spxarb.trading.context import READ_ONLY_CLIENT_ID_OFFSET
from spxarb.trading.margin import what_if_pause
from spxarb.trading.market import calendar_doubt
from spxarb.trading.market_calendar import closures_around, timetable
from spxarb.trading.set_up_account import tell_account, tell_api, tell_balance, tell_login, tell_restart
from spxarb.trading.set_up_margin import margin_of_spread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from spxarb.broker.broker import Broker
    from spxarb.broker.chains import Chain
    from spxarb.config.load import Config
    from spxarb.core.contracts import Contract, Quote
    from spxarb.core.sessions import TradingDay
    from spxarb.trading.set_up_found import SetUp

PARTS = (
    *("gateway", "account", "mode", "login", "api", "balance", "clock", "calendar", "market_data_spx"),
    *("market_data_spy", "contracts", "market_data_spx_call", "market_data_spy_call", "market_data_lines"),
    "auto_restart",
)
"""In the order in which they are looked at; what an earlier failure keeps from being looked at is said so."""
_KINDS = {2: "frozen", 3: "delayed", 4: "delayed and frozen"}
_SUBSCRIBE = (
    "subscribe to it in Client Portal (OPRA, Cboe Streaming Market Indexes, NYSE Arca), share it with the "
    "paper account, and log no second session in"
)
"""What each stream needs: IBKR, market data subscriptions for the API."""
_LOG_OUT = "log out of the other session (TWS, Gateway, Client Portal or mobile), and run this again"
_FREE_LINES = "close other programs and watch lists of this login, or book more lines (Quote Booster)"
_BESIDE = "run spxarb on the Gateway's machine, or reach it by a tunnel (ssh -L) that ends on this one"
"""The API has neither encryption nor a password."""
LINES = 4
"""SPX, SPY, and a call of each."""


class GatewayLook:
    """One connection, and what was found over it. `calls`: the SPX and the SPY call at the money, if any."""

    def __init__(self, found: SetUp, config: Config, broker: Broker) -> None:
        self._found, self._config, self.broker = found, config, broker
        self.now: datetime | None = None
        self.calls: dict[str, Contract] = {}
        self.under: dict[str, Quote] = {}
        self.watched: tuple[Contract, ...] = ()

    @property
    def _day(self) -> TradingDay | None:
        assert self.now is not None  # the clock is looked at first
        return timetable(self.now.date(), self._config)

    @property
    def is_open(self) -> bool:
        """Whether the regular session is on."""
        return self._day is not None and self.now is not None and self._day.open <= self.now < self._day.close

    async def look(self) -> None:
        """Everything that a connection shows."""
        with self._part("api"):
            await self.broker.snapshot()
            tell_api(self._found, self.broker)
        with self._part("balance"):
            tell_balance(self._found, await self.broker.account_values())
        with self._part("clock"):
            await self._look_at_clock()
        tell_login(self._found, self.broker)
        if self.now is None:
            return
        chains = await self._chains()
        self._look_at_calendar(chains)
        with self._part("market_data_spx", "market_data_spy"):
            await self._look_at_quotes()
        if chains is not None:
            self._look_at_contracts(chains)
            with self._part("market_data_spx_call", "market_data_spy_call"):
                await self._look_at_calls()
        self._look_at_lines()
        tell_restart(self._found, self.broker.zones, self.now)

    @contextmanager
    def _part(self, *names: str) -> Iterator[None]:
        """What fails in the block is the finding of these parts."""
        try:
            yield
        except SpxarbError as error:
            for name in names:
                self._found.failed_by(name, error)

    async def _look_at_clock(self) -> None:
        await self.broker.server_time()
        clock = Clock(self._config.trading.mode, self.broker.clock_reading)
        self.now = self._found.now = clock.now()
        if clock.doubt:
            self._found.failed(
                "clock", clock.doubt, "set this machine's clock (timedatectl), or the gateway's"
            )
        elif self._config.trading.mode == "sim":
            self._found.passed("clock", f"{self.now:%Y-%m-%d %H:%M:%S} in New York, by the simulated gateway")
        else:
            apart = abs(self.broker.clock_reading.apart.total_seconds())
            self._found.passed(
                "clock", f"{self.now:%H:%M:%S} in New York; the gateway's is {apart:.1f} s apart"
            )

    async def _chains(self) -> tuple[Chain, Chain] | None:
        """Today's SPXW and SPY calls; None where there need be none, or they were not told."""
        if self._day is None:
            return None
        today = self._day.day
        try:
            return (
                await self.broker.option_chain("SPX", "SPXW", today),
                await self.broker.option_chain("SPY", "SPY", today),
            )
        except SpxarbError as error:
            self._found.failed_by("contracts", error)
            return None

    def _look_at_calendar(self, chains: tuple[Chain, Chain] | None) -> None:
        day, now = self._day, self.now
        assert now is not None
        if day is None:
            coming = next_trading_day(now.date(), closed=closures_around(now.date(), self._config).closed)
            self._found.passed("calendar", f"the exchange is closed today; the next session is on {coming}")
            return
        told = (
            f"today's session is {day.open:%H:%M} to {day.close:%H:%M} in New York, entries from "
            f"{day.entry_open:%H:%M} to {day.entry_cutoff:%H:%M}, exit by {day.exit_at:%H:%M}"
        )
        listed = [chain.session for chain in chains or () if chain.contracts]
        if doubt := calendar_doubt(day, *listed) if listed else "":
            mend = "compare with the exchange's calendar, then set calendar.closed or calendar.early_close"
            self._found.failed("calendar", doubt, mend)
        else:
            self._found.passed("calendar", told)

    async def _look_at_quotes(self) -> None:
        self.watched = spx, spy = await self.broker.underlyings()
        timeout = self._config.execution.quote_timeout_seconds
        quotes = await self.broker.quotes([spx, spy], timeout)
        for contract in (spx, spy):
            quote = self.under[contract.symbol] = quotes[contract.con_id]
            price = underlying_price(quote)
            shown = "" if price is None else f"{price:f}"
            self._look_at_quote(f"market_data_{contract.symbol.lower()}", contract, quote, shown)

    async def _look_at_calls(self) -> None:
        """The two calls at the money: with the underlyings, the lines that an entry needs."""
        timeout = self._config.execution.quote_timeout_seconds
        quotes = await self.broker.quotes(list(self.calls.values()), timeout) if self.calls else {}
        for symbol in ("SPX", "SPY"):
            name = f"market_data_{symbol.lower()}_call"
            if (call := self.calls.get(symbol)) is None:
                what = f"no call of {symbol} is at the money while its price is not known"
                self._found.unchecked(name, what, "run this in trading hours")
                continue
            quote = quotes[call.con_id]
            two_sided = quote.bid is not None and quote.ask is not None
            shown = f"{quote.bid:.2f} to {quote.ask:.2f}" if two_sided else ""
            self._look_at_quote(name, call, quote, shown)

    def _look_at_lines(self) -> None:
        """Whether the lines of an entry were all served; how many more there are no request tells."""
        lines = [contract.con_id for contract in (*self.watched, *self.calls.values())]
        refused = [text for con_id in lines if (text := self.broker.data_refusal(con_id)).startswith("101 ")]
        left = "how many are left the API does not tell, only error 101 that none is (100 without boosters)"
        if refused:
            what = f"{len(refused)} of the {len(lines)} lines that an entry needs were refused: {refused[0]}"
            self._found.failed("market_data_lines", what, _FREE_LINES)
        elif len(lines) < LINES:
            what = f"{len(lines)} of the {LINES} lines that an entry needs were asked for"
            self._found.unchecked("market_data_lines", what, "run this in trading hours")
        else:
            self._found.passed(
                "market_data_lines", f"the {LINES} lines that an entry needs were served; {left}"
            )

    def _look_at_quote(self, name: str, contract: Contract, quote: Quote, price: str) -> None:
        refused = self.broker.data_refusal(contract.con_id)
        of = f"{contract.symbol} {contract.strike:f} call" if contract.strike is not None else contract.symbol
        if refused:
            mend = _FREE_LINES if refused.startswith("101 ") else _SUBSCRIBE
            self._found.failed(name, f"{of} is refused: {refused}", mend)
        elif not price and (taken := self.broker.data_taken()):
            self._found.failed(name, f"no price of {of} came: {taken}", _LOG_OUT)
        elif quote.data_type in _KINDS:
            what = f"{of} is {_KINDS[quote.data_type]}, not live"
            self._found.failed(name, f"{what}, so nothing can be entered", _SUBSCRIBE)
        elif price:
            kind = "live" if quote.data_type == LIVE else "without a word on its kind"
            self._found.passed(name, f"{of} is {kind}: {price}")
        elif self.is_open:
            self._found.failed(name, f"no price of {of} came", _SUBSCRIBE)
        else:
            self._found.unchecked(
                name, f"no price of {of} came; the session is not on", "run this while it is"
            )

    def _look_at_contracts(self, chains: tuple[Chain, Chain]) -> None:
        told = []
        for symbol, chain in zip(("SPX", "SPY"), chains, strict=True):
            if not chain.contracts:
                mend = "ask for options permission in Client Portal; where it is granted, restart the gateway"
                self._found.failed("contracts", f"no {symbol} calls that expire today are listed", mend)
                return
            price = underlying_price(self.under[symbol]) if symbol in self.under else None
            call = nearest_strike(chain.contracts, price) if price is not None else None
            at_the_money = f", {call.strike:f} at the money" if call and call.strike is not None else ""
            told.append(f"{len(chain.contracts)} {symbol} calls expire today{at_the_money}")
            if call is not None:
                self.calls[symbol] = call
        self._found.passed("contracts", "; ".join(told))


async def look_at_gateway(found: SetUp, config: Config, *, margin: bool) -> DoctorMargin:
    """Connect, and look at everything; what could not be looked at is told.

    `margin`: with what-if orders of the spread at the money. Nothing is raised for what is found.
    """
    ib, execution = config.ib, config.execution
    client_id = ib.client_id + READ_ONLY_CLIENT_ID_OFFSET
    endpoint = Endpoint(ib.host, ib.port, client_id, ib.account, config.trading.mode, ib.gateway_user)
    answer, where = DoctorMargin(), f"{ib.host}:{ib.port}"
    if not is_loopback(ib.host):
        what = f"ib.host {ib.host} is no loopback address: whoever is on the way reads and forges the API"
        found.unchecked("host", what, _BESIDE)
    try:
        async with (
            asyncio.timeout(_budget(config)),
            log_on(
                endpoint,
                timeout=execution.connect_timeout_seconds,
                question_timeout=execution.question_timeout_seconds,
            ) as broker,
        ):
            found.passed("gateway", f"it answers at {where}")
            tell_account(found, broker.account, config.trading.mode)
            look = GatewayLook(found, config, broker)
            await look.look()
            if margin:
                answer = await margin_of_spread(found, config, broker, look.calls, look.under)
    except StrangerError as error:
        found.failed_by("gateway", error)
    except RefusedError as error:
        found.passed("gateway", f"it answers at {where}")
        found.failed_by("account", error)
    except (GatewayError, TimeoutError) as error:
        slow = GatewayError(f"the gateway at {where} answers too slowly", mend="Restart the gateway")
        found.failed_by("gateway", slow if isinstance(error, TimeoutError) else error)
    known = {line.name for line in found.lines}
    for name in (*PARTS, *(("margin",) if margin else ())):
        if name not in known:
            found.unchecked(name, NOT_LOOKED_AT, "mend that first")
    if "permissions" not in known:
        message = "whether this account may sell uncovered calls (options level 4) shows only a what-if"
        found.unchecked("permissions", message, "run `spxarb doctor --margin` in trading hours")
    return answer


def _budget(config: Config) -> float:
    """Every wait that a look may meet, added up generously, in seconds."""
    e = config.execution
    waits = e.connect_timeout_seconds + 15 * e.question_timeout_seconds + 3 * e.quote_timeout_seconds
    return waits + 3 * what_if_pause(config)
