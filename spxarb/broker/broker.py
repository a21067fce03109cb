"""The broker as a job sees it: questions answered within a deadline, orders sent once, events as they come.

A job connects, does one thing and disconnects. What this module returns are the frozen nouns of `core.model`.
An answer is what the gateway sent to that question over a link that stayed up, or a GatewayError: silence is
never an empty list. Nothing that changes anything at the broker is sent twice.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from spxarb.broker import convert
from spxarb.broker.chains import Chain, OddDetails, by_strike, wanted
from spxarb.broker.connect import open_wire
from spxarb.broker.frames import ib_contract, ib_query
from spxarb.broker.lists import AccountLists, ask_time, together
from spxarb.broker.questions import RefusalError, Rows
from spxarb.core.broker_codes import NO_SUCH_CONTRACT
from spxarb.core.broker_words import Message, data_taken, told
from spxarb.core.contracts import Quote, TickRule
from spxarb.core.masking import quoted
from spxarb.errors import GatewayError, RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from datetime import date, datetime, tzinfo
    from decimal import Decimal

    from spxarb.broker.convert import ContractDetails
    from spxarb.broker.times import ClockReading
    from spxarb.broker.wire import Wire
    from spxarb.core.broker_books import BrokerSnapshot, OrderTicket
    from spxarb.core.contracts import Contract
    from spxarb.core.margin import AccountValues, MarginAnswer
    from spxarb.core.order_events import BrokerEvent
    from spxarb.core.sessions import TradingHours

T = TypeVar("T")

LONGEST_HISTORY = 365
"""Days; longer durations are asked for in years (IBKR, historical data limitations)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Address of the gateway, our client id, and the account, mode and user that are expected there."""

    host: str
    port: int
    client_id: int
    account: str | None
    mode: Literal["paper", "live", "sim"]
    user: str | None = None


class Broker(AccountLists):
    """An open connection to the right account; made by `connect`."""

    def __init__(self, wire: Wire, account: str, question_timeout: float) -> None:
        super().__init__(wire, account, question_timeout)
        self._rules: dict[int, TickRule] = {}
        self._described: dict[int, ContractDetails] = {}
        self.initial_snapshot: BrokerSnapshot
        """The account as it was when the connection was made."""

    @property
    def client_id(self) -> int:
        return self._wire.client_id

    @property
    def server_version(self) -> int:
        """Of the API, as the gateway and this client have agreed on it."""
        return self._wire.server_version

    @property
    def events(self) -> asyncio.Queue[BrokerEvent]:
        """Order updates, fills, commissions, order messages, link changes, quotes, as they come."""
        return self._wire.events

    @property
    def clock_reading(self) -> ClockReading:
        """The newest reading of the gateway's clock."""
        assert self._wire.clock_reading is not None  # the first snapshot asked for it
        return self._wire.clock_reading

    @property
    def link_up(self) -> bool:
        """Our socket and the gateway's own link to IB are both up."""
        return self._wire.link.up

    @property
    def link_epoch(self) -> int:
        """Changes whenever the link is lost: the same value before and after means that it stayed up."""
        return self._wire.link.epoch

    @property
    def notices(self) -> list[str]:
        """Sentences for a human, oldest first: the gateway's messages, and what was odd in its data."""
        return self._wire.notices

    @property
    def messages(self) -> list[Message]:
        """What the gateway said of nothing that we asked or sent, such as of the account, oldest first."""
        return self._wire.messages

    @property
    def zones(self) -> set[tzinfo | None]:
        """Time zones that the gateway may live in; None: one that is not known."""
        return self._wire.zones

    def data_refusal(self, con_id: int) -> str:
        """The gateway's code and words where it refuses the data of a watched contract, else empty."""
        line = self._wire.feed.line(con_id)
        return line.refused if line else ""

    def data_taken(self) -> str:
        """A phrase about a session elsewhere that takes our market data; empty for none."""
        return data_taken(self._wire.feed.taken())

    def farm_trouble(self) -> str:
        """What the gateway last said of a broken farm that SPX or SPY may come from; empty for none."""
        return self._wire.farms.trouble()

    def data_trouble(self) -> str:
        """What makes every quote doubtful, phrases: a session elsewhere, a broken farm; empty for none."""
        return "; ".join(filter(None, [self.data_taken(), self.farm_trouble()]))

    # --- questions: each within the question timeout, else GatewayError -------------------------

    async def account_values(self) -> AccountValues:
        """Net liquidation, cash and margin of our account; None where the gateway sent no number."""
        req_id, tags = self._wire.new_question(), ",".join((*convert.ACCOUNT_TAGS, "$LEDGER:ALL"))
        rows = await self._wire.ask(
            req_id,
            "account values",
            lambda c: c.reqAccountSummary(req_id, "All", tags),
            self._deadline,
            by=Rows.SUMMARY,
        )
        self._wire.end_summary(req_id)
        return self._values(row[4:7] for row in rows if row[3] == self.account)

    async def margin_values(self) -> AccountValues:
        """As `account_values`, with the equity of the day before and what is projected after expiration.

        A summary does not tell these two, so account updates are asked.
        """
        req_id = self._wire.new_question()
        rows = await self._wire.ask(
            req_id,
            "account updates",
            lambda c: c.reqAccountUpdatesMulti(req_id, self.account, "", False),
            self._deadline,
            by=Rows.UPDATES,
        )
        self._wire.end_account_updates(req_id)
        return self._values(row[5:8] for row in rows if row[3] == self.account)

    def _values(self, rows: Iterable[Sequence[str]]) -> AccountValues:
        values, notice = convert.account_values(self.account, rows)
        self._notice(notice)
        return values

    def _notice(self, text: str) -> None:
        if text:
            self._wire.notice(text)

    # --- contracts -----------------------------------------------------------------------------

    async def underlyings(self) -> tuple[Contract, Contract]:
        """The SPX index and SPY as the gateway qualifies them; GatewayError when it does not."""
        spx, spy = await together(
            self._one(symbol="SPX", secType="IND", exchange="CBOE", currency="USD"),
            self._one(symbol="SPY", secType="STK", exchange="SMART", primaryExchange="ARCA", currency="USD"),
        )
        return convert.contract(spx), convert.contract(spy)

    async def contract(self, con_id: int) -> Contract:
        """The contract of that id on SMART, with its tick sizes; GatewayError when it is not known."""
        details = await self._one(conId=con_id, exchange="SMART")
        rule = convert.market_rule(details)
        if rule is None:
            raise self._no_tick_sizes()
        rules, failed = await self._tick_rules([rule])
        if rule in failed:
            raise failed[rule]
        return convert.contract(details, rules[rule])

    async def option_chain(
        self,
        symbol: str,
        trading_class: str,
        expiry: date,
        right: Literal["C", "P"] = "C",
        strike: Decimal | None = None,
    ) -> Chain:
        """The listed options of one class, expiry and right, with tick sizes; of one strike, or of all.

        One contract-details question with the strike open. reqSecDefOptParams would be cheaper and wrong: it
        returns the cross product of expiries and strikes, many of which are not listed.
        """
        day = f"{expiry:%Y%m%d}"
        query = ib_query(
            symbol=symbol,
            secType="OPT",
            exchange="SMART",
            currency="USD",
            lastTradeDateOrContractMonth=day,
            strike=float(strike or 0),
            right=right,
            multiplier="100",
            tradingClass=trading_class,
        )
        found = await self._details(query, f"{trading_class} options of {expiry}")
        odd = [row for row in found if isinstance(row, OddDetails)]
        rows = wanted(found, trading_class, expiry, right)
        ids = set(map(convert.market_rule, rows))
        if ids == {None} and strike is None:
            raise self._no_tick_sizes()
        rules, failed = await self._tick_rules(ids)
        contracts, doubts = by_strike(rows, odd, rules, failed)
        if failed and not contracts and strike is None:  # nothing is left: that is no odd row
            raise next(iter(failed.values()))
        if not rows:
            return Chain((), None, doubts)
        session, doubt = convert.session(rows[0], expiry)
        self._notice(doubt)
        for at, why in sorted(doubts.items()):
            self._notice(f"{trading_class} {expiry} {at:f} {right}: {why}")
        return Chain(contracts, session, doubts)

    async def _one(self, **attributes: Any) -> ContractDetails:
        name = " ".join(str(value) for value in attributes.values())
        rows = await self._details(ib_query(**attributes), name)
        found = [row for row in rows if not isinstance(row, OddDetails)]
        for odd in (row for row in rows if isinstance(row, OddDetails)):
            what = f"A contract cannot be read ({odd.why})"
            raise GatewayError(f"{what}, in answer to the request for {name}")
        if len({d.contract.conId for d in found if d.contract}) != 1:
            raise GatewayError(
                f"The gateway at {self._wire.link.where} lists {len(found)} contracts for {name}, not one",
                mend="Check the account's market data and trading permissions",
            )
        self._described |= {d.contract.conId: d for d in found if d.contract}
        return found[0]

    def hours(self, con_id: int, on: date) -> TradingHours | None:
        """The hours on a day of a contract that `underlyings` or `contract` has asked for; None: not told."""
        details = self._described.get(con_id)
        return None if details is None else convert.session(details, on)[0]

    async def _details(self, query: Any, name: str) -> list[ContractDetails | OddDetails]:
        req_id = self._wire.new_question()
        try:
            return await self._wire.ask(
                req_id, name, lambda c: c.reqContractDetails(req_id, query), self._deadline, by=Rows.CONTRACTS
            )
        except RefusalError as refusal:
            if refusal.code == NO_SUCH_CONTRACT:
                return []
            raise

    async def _tick_rules(
        self, ids: Iterable[int | None]
    ) -> tuple[Mapping[int, TickRule], Mapping[int, GatewayError]]:
        """Tick sizes by market rule id, and why others are not known; each is asked once a connection.

        They come from the market rule because minTick of SPXW is 0.05 at every price, while 0.05 is refused
        with 110 from 3.00 up (ib_async issue 55).
        """
        new = sorted({rule for rule in ids if rule is not None} - self._rules.keys())
        answers = dict(zip(new, await together(*map(self._tick_rule, new)), strict=True))
        self._rules |= {rule: found for rule, found in answers.items() if not isinstance(found, GatewayError)}
        return self._rules, {rule: no for rule, no in answers.items() if isinstance(no, GatewayError)}

    def _no_tick_sizes(self) -> GatewayError:
        return GatewayError(
            f"The gateway at {self._wire.link.where} sent no market rule (tick sizes) for a contract",
            mend="Try again; if this persists, restart the Gateway",
        )

    async def _tick_rule(self, rule: int) -> TickRule | GatewayError:
        """A market rule, or why it is not known: that concerns the contracts that name it, and no other."""
        try:
            rows: list[TickRule] = await self._wire.ask(
                ("market rule", rule), f"market rule {rule}", lambda c: c.reqMarketRule(rule), self._deadline
            )
        except GatewayError as error:
            return error
        return rows[0]

    async def daily_closes(self, contract: Contract, days: int) -> dict[date, Decimal]:
        """Closes of regular trading by day, from so many days ago to now; a day without a bar is left out.

        Of a day that is not over, or only just, it is the last trade so far. Raises GatewayError when the
        gateway refuses or does not answer.
        """
        req_id = self._wire.new_question()
        duration = f"{min(days, LONGEST_HISTORY)} D"
        rows: list[dict[date, Decimal]] = await self._wire.ask(
            req_id,
            f"daily bars of {contract}",
            lambda c: c.reqHistoricalData(
                req_id, ib_contract(contract), "", duration, "1 day", "TRADES", True, 1, False, []
            ),
            self._deadline,
            by=Rows.BARS,
        )
        return rows[0]

    # --- quotes --------------------------------------------------------------------------------

    def watch(self, contracts: Iterable[Contract]) -> None:
        """Start streaming live quotes; a contract that streams already is not subscribed again."""
        self._wire.link.require("no quotes")
        for contract in contracts:
            self._wire.watch(contract)

    def accept_delayed(self) -> None:
        """Take delayed quotes where the account has no live ones; to be said before the first `watch`."""
        self._wire.accept_delayed = True

    def quote(self, con_id: int) -> Quote:
        """The latest quote of a watched contract."""
        line = self._wire.feed.line(con_id)
        return line.quote() if line else Quote()

    async def quotes(
        self,
        contracts: Sequence[Contract],
        timeout: float,  # noqa: ASYNC109 (its end is an answer, not an error)
        enough: Callable[[Contract, Quote], bool] | None = None,
    ) -> dict[int, Quote]:
        """Quotes by contract id, as soon as each is `enough` (default: two-sided; the index: a last price).

        After `timeout` seconds, the quotes as they are. A contract whose data is refused is not waited for
        (its notice says why). Raises GatewayError when the link is lost.
        """
        self.watch(contracts)
        satisfied = enough or _complete
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not all(self._refused(c) or satisfied(c, self.quote(c.con_id)) for c in contracts):
                    self._wire.quotes_moved.clear()
                    await self._wire.quotes_moved.wait()
                    self._wire.link.require("no quotes")
        self._wire.link.require("no quotes")
        return {c.con_id: self.quote(c.con_id) for c in contracts}

    def _refused(self, contract: Contract) -> bool:
        line = self._wire.feed.line(contract.con_id)
        return bool(line and line.refused)

    # --- orders --------------------------------------------------------------------------------

    def next_order_id(self) -> int:
        """Reserve an order id, above every one that this client id has used (a lower one is refused: 103)."""
        return self._wire.next_order_id()

    @property
    def told_order_id(self) -> int | None:
        """The next valid order id that the gateway told when this connection was made; None: it told none."""
        return self._wire.told_order_id

    def skip_order_ids(self, used: int) -> None:
        """Hand out no order id up to `used`: the ledger may hold ids that never reached the gateway."""
        self._wire.seen_order_id(used)

    def place(self, ticket: OrderTicket, order_id: int) -> None:
        """Send the order once; under the id of a live order this changes its price or quantity.

        Returns before the gateway answers: see `events`. GatewayError: the link is down and nothing was sent.
        """
        self._wire.place(ticket, order_id, self.account)

    def follow(self, order_ref: str, order_id: int) -> None:
        """Report events of an order that an earlier connection sent under its reference."""
        self._wire.follow(order_ref, order_id)

    def cancel(self, order_id: int) -> None:
        """Send one cancel for an order of this client id: see `events`. GatewayError: nothing was sent."""
        self._wire.cancel(order_id)

    async def what_if(self, ticket: OrderTicket) -> MarginAnswer:
        """What the order would do to the margin, dollars; it is not placed.

        None where the gateway sent no number, a refusal is in `rejected`. Raises GatewayError on silence.
        """
        # Two openOrder frames may come, the first with every margin unset (ib_insync issue 380): the second
        # is waited for up to the deadline, and without it the first is the answer.
        order_id = self.next_order_id()
        try:
            rows: list[MarginAnswer] = await self._wire.ask(
                order_id,
                "the what-if order",
                lambda _: self._wire.place(ticket, order_id, self.account, what_if=True),
                self._deadline,
                by=Rows.WHAT_IF,
                accept_partial=True,
            )
        except RefusalError as refusal:
            return convert.no_margin(told([Message(refusal.code, refusal.text)]))
        return rows[-1]


def _complete(contract: Contract, quote: Quote) -> bool:
    return quote.last is not None if contract.sec_type == "IND" else quote.two_sided


# --- connecting -----------------------------------------------------------------------------------


@asynccontextmanager
async def connect(
    endpoint: Endpoint,
    *,
    timeout: float = 10.0,  # noqa: ASYNC109 (of the logon alone)
    question_timeout: float = 10.0,
    client_id_patience: float = 0.0,
    on_time: Callable[[datetime], None] | None = None,
) -> AsyncIterator[Broker]:
    """Connect, check the account against the mode, take a snapshot; disconnect cleanly at the end.

    `timeout` (seconds) bounds the logon with its retries, `question_timeout` every question after it. A
    client id in use is tried again for `client_id_patience` seconds, if that is longer than `timeout`.
    `on_time` is called with every time that the gateway tells, whatever comes of the rest. Raises
    RefusedError when account and mode disagree (nothing was requested then), GatewayError otherwise.
    """
    async with log_on(
        endpoint, timeout=timeout, question_timeout=question_timeout, client_id_patience=client_id_patience
    ) as broker:
        broker.on_time = on_time
        broker.initial_snapshot = await broker.snapshot()
        yield broker


@asynccontextmanager
async def log_on(
    endpoint: Endpoint,
    *,
    timeout: float = 10.0,  # noqa: ASYNC109 (likewise)
    question_timeout: float = 10.0,
    client_id_patience: float = 0.0,
) -> AsyncIterator[Broker]:
    """As `connect`, and nothing is asked yet: there is no initial snapshot."""
    async with _logged_on(endpoint, timeout, client_id_patience) as (wire, account):
        yield Broker(wire, account, question_timeout)


async def gateway_time(endpoint: Endpoint, timeout: float = 10.0) -> datetime:  # noqa: ASYNC109
    """The gateway's clock, New York, by a connection of its own. Raises as `connect` does."""
    async with _logged_on(endpoint, timeout) as (wire, _):
        return await ask_time(wire, timeout)


@asynccontextmanager
async def _logged_on(
    endpoint: Endpoint, deadline: float, client_id_patience: float = 0.0
) -> AsyncIterator[tuple[Wire, str]]:
    if endpoint.mode == "live" and not endpoint.account:
        raise RefusedError("Live mode requires a named account", mend="Set ib.account")
    wire = await open_wire(
        endpoint.host, endpoint.port, endpoint.client_id, deadline, client_id_patience, endpoint.user
    )
    try:
        yield wire, chosen_account(endpoint, wire.accounts)
    finally:
        await wire.close()


def chosen_account(endpoint: Endpoint, managed: Sequence[str]) -> str:
    """The account to trade, of those that the gateway manages; RefusedError when it does not fit the mode."""
    where, names = f"{endpoint.host}:{endpoint.port}", ", ".join(map(quoted, managed))
    if endpoint.account:
        if endpoint.account not in managed:
            raise RefusedError(
                f"The gateway at {where} manages {names}, "
                f"not the configured account {quoted(endpoint.account)}",
                mend="Set ib.account, or log the Gateway in as the right user",
            )
        account = endpoint.account
    elif len(managed) == 1:
        account = managed[0]
    else:
        raise RefusedError(f"The gateway at {where} manages {names}", mend="Name one of them in ib.account")
    # Paper accounts begin with D (DU, or DF for advisors), live ones with U or F, the simulator's with SIM.
    kind = "sim" if account.startswith("SIM") else "paper" if account.startswith("D") else "live"
    if kind != endpoint.mode:
        raise RefusedError(
            f"Account {quoted(account)} at {where} is a {kind} account, and trading.mode is {endpoint.mode}",
            risk="Nothing was sent",
            mend="Connect to the right port (4002 paper, 4001 live) or set trading.mode",
        )
    return account
