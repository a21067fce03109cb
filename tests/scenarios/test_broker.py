"""The broker and the simulated gateway over a real socket: one synthetic day, its clock standing still."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from spxarb.broker.broker import Broker, Endpoint, connect, gateway_time
from spxarb.core.broker_books import OrderTicket
from spxarb.core.contracts import Contract, Quote
from spxarb.core.model import NEW_YORK, Side
from spxarb.core.order_events import CommissionReport, FillReport, OrderMessage, OrderUpdate, QuoteUpdate
from spxarb.core.sessions import TradingHours
from spxarb.errors import GatewayError, RefusedError
from spxarb.sim.control import RunningSim

DAY = date(2026, 11, 24)
AT = datetime(2026, 11, 24, 9, 40, tzinfo=NEW_YORK)
_client_ids = itertools.count(11)
_refs = itertools.count(1)


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningSim]:
    with RunningSim(date=str(DAY), at="09:40", speed=0) as running:
        yield running


def endpoint(gateway: RunningSim, mode: str = "sim", client_id: int | None = None) -> Endpoint:
    return Endpoint("127.0.0.1", gateway.port, client_id or next(_client_ids), None, mode)


def session(
    gateway: RunningSim, steps: Callable[[Broker], Awaitable[None]], client_id: int | None = None
) -> None:
    async def main() -> None:
        async with connect(endpoint(gateway, client_id=client_id), timeout=5, question_timeout=5) as broker:
            await steps(broker)

    asyncio.run(main())


def ticket(
    contract: Contract, side: Side, quantity: int, limit: Decimal | None, **more: object
) -> OrderTicket:
    return OrderTicket(f"spxarb:test:{next(_refs)}", contract, side, quantity, limit, **more)


async def near_the_money(broker: Broker, symbol: str = "SPX", trading_class: str = "SPXW") -> Contract:
    spx, spy = await broker.underlyings()
    under = spx if symbol == "SPX" else spy
    last = (await broker.quotes([under], 5))[under.con_id].last
    chain = await broker.option_chain(symbol, trading_class, DAY)
    return min(chain.contracts, key=lambda c: abs(c.strike - last))


async def until(broker: Broker, wanted: Callable[[object], bool], seconds: float = 5) -> list[object]:
    """Events up to the first that is wanted, quotes left out."""
    seen = []
    async with asyncio.timeout(seconds):
        while not (seen and wanted(seen[-1])):
            event = await broker.events.get()
            if not isinstance(event, QuoteUpdate):
                seen.append(event)
    return seen


def is_status(order_id: int, *words: str) -> Callable[[object], bool]:
    return lambda e: isinstance(e, OrderUpdate) and e.order_id == order_id and e.status in words


# --- what there is -----------------------------------------------------------------------------------


def test_a_connection_knows_account_clock_and_books(gateway):
    async def steps(broker: Broker) -> None:
        assert broker.account.startswith("SIM")
        assert broker.link_up
        assert broker.initial_snapshot.time == AT

    session(gateway, steps)


def test_the_clock_is_the_gateways(gateway):
    assert asyncio.run(gateway_time(endpoint(gateway), 5)) == AT == gateway.control.time()


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_a_simulated_account_is_refused_by_the_other_modes(gateway, mode):
    with pytest.raises(RefusedError):
        asyncio.run(gateway_time(endpoint(gateway, mode), 5))


def test_the_underlyings_are_qualified(gateway):
    async def steps(broker: Broker) -> None:
        spx, spy = await broker.underlyings()
        assert (spx.con_id, spx.symbol, spx.sec_type, spx.exchange) == (416904, "SPX", "IND", "CBOE")
        assert (spy.con_id, spy.symbol, spy.sec_type) == (756733, "SPY", "STK")

    session(gateway, steps)


def test_todays_spxw_chain_has_every_five_points_the_tiered_steps_and_the_regular_session(gateway):
    async def steps(broker: Broker) -> None:
        chain = await broker.option_chain("SPX", "SPXW", DAY)
        strikes = [c.strike for c in chain.contracts]
        assert strikes == sorted(set(strikes))
        assert {b - a for a, b in itertools.pairwise(strikes)} == {5}
        assert {(c.trading_class, c.expiry, c.right, c.multiplier) for c in chain.contracts} == {
            ("SPXW", DAY, "C", 100)
        }
        ticks = chain.contracts[0].ticks
        assert (ticks.increment(Decimal("2.95")), ticks.increment(Decimal(3))) == (
            Decimal("0.05"),
            Decimal("0.1"),
        )
        nine_thirty = datetime(2026, 11, 24, 9, 30, tzinfo=NEW_YORK)
        assert chain.session == TradingHours(
            DAY, nine_thirty, nine_thirty.replace(hour=16, minute=0), nine_thirty.replace(hour=16, minute=0)
        )

    session(gateway, steps)


def test_todays_spy_chain_steps_by_the_penny(gateway):
    async def steps(broker: Broker) -> None:
        chain = await broker.option_chain("SPY", "SPY", DAY)
        assert {b.strike - a.strike for a, b in itertools.pairwise(chain.contracts)} == {1}
        assert {c.ticks.increment(Decimal(5)) for c in chain.contracts} == {Decimal("0.01")}
        assert chain.session.open == datetime(2026, 11, 24, 9, 30, tzinfo=NEW_YORK)

    session(gateway, steps)


def test_a_day_without_options_is_an_empty_chain(gateway):
    async def steps(broker: Broker) -> None:
        assert (await broker.option_chain("SPX", "SPXW", date(2026, 11, 22))).contracts == ()

    session(gateway, steps)


def test_a_contract_is_found_again_by_its_id_with_its_steps(gateway):
    async def steps(broker: Broker) -> None:
        call = await near_the_money(broker)
        assert await broker.contract(call.con_id) == call
        with pytest.raises(GatewayError, match="lists 0 contracts"):
            await broker.contract(1)

    session(gateway, steps)


def test_quotes_come_with_two_sides_and_are_live(gateway):
    async def steps(broker: Broker) -> None:
        spx, spy = await broker.underlyings()
        call = await near_the_money(broker)
        quotes = await broker.quotes([spx, spy, call], 5)
        assert (quotes[spx.con_id].bid, quotes[spx.con_id].ask) == (None, None)
        assert quotes[spx.con_id].last > 1000
        for contract in (spy, call):
            quote = quotes[contract.con_id]
            assert quote.two_sided
            assert quote.bid < quote.ask
            assert contract.ticks.legal(quote.bid)
            assert quote.data_type == 1

    session(gateway, steps)


def test_account_values_are_dollars(gateway):
    async def steps(broker: Broker) -> None:
        values = await broker.account_values()
        assert values.account_id == broker.account
        assert values.net_liquidation > 0
        assert None not in (
            values.total_cash,
            values.available_funds,
            values.buying_power,
            values.initial_margin,
        )

    session(gateway, steps)


# --- orders ------------------------------------------------------------------------------------------


def test_an_order_at_the_ask_fills_and_the_books_show_it(gateway):
    async def steps(broker: Broker) -> None:
        call = await near_the_money(broker)
        ask = (await broker.quotes([call], 5))[call.con_id].ask
        buy, order_id = ticket(call, Side.BUY, 1, ask), broker.next_order_id()
        broker.place(buy, order_id)
        seen = await until(broker, lambda e: isinstance(e, CommissionReport))
        fill = next(e.execution for e in seen if isinstance(e, FillReport))
        assert (fill.order_ref, fill.order_id, fill.con_id) == (buy.order_ref, order_id, call.con_id)
        assert (fill.side, fill.quantity, fill.price, fill.time) == (Side.BUY, 1, ask, AT)
        assert (seen[-1].exec_id, seen[-1].commission) == (fill.exec_id, Decimal("1.64"))

        snapshot = await broker.snapshot()
        listed = next(e for e in snapshot.executions if e.exec_id == fill.exec_id)
        assert listed.commission == Decimal("1.64")
        assert [p.quantity for p in snapshot.positions if p.con_id == call.con_id] == [1]
        assert all(o.order_ref != buy.order_ref for o in snapshot.open_orders)
        assert [(o.status, o.filled) for o in snapshot.completed_orders if o.order_ref == buy.order_ref] == [
            ("Filled", 1)
        ]

    session(gateway, steps)


def test_a_resting_order_is_seen_by_others_changed_and_cancelled_by_its_own(gateway):
    async def steps(broker: Broker) -> None:
        call = await near_the_money(broker)
        rest, order_id = ticket(call, Side.BUY, 1, Decimal("0.05")), broker.next_order_id()
        broker.place(rest, order_id)
        await until(broker, is_status(order_id, "Submitted"))
        async with connect(endpoint(gateway), question_timeout=5) as other:
            (seen,) = (o for o in other.initial_snapshot.open_orders if o.order_ref == rest.order_ref)
            assert (seen.order_id, seen.client_id, seen.limit) == (
                order_id,
                broker.client_id,
                Decimal("0.05"),
            )
            assert (seen.status, seen.filled, seen.quantity) == ("Submitted", 0, 1)

        broker.place(OrderTicket(rest.order_ref, call, Side.BUY, 1, Decimal("0.10")), order_id)
        await broker.server_time()
        (changed,) = (o for o in await broker.open_orders() if o.order_ref == rest.order_ref)
        assert (changed.order_id, changed.limit) == (order_id, Decimal("0.10"))

        broker.cancel(order_id)
        await until(broker, is_status(order_id, "Cancelled"))
        snapshot = await broker.snapshot()
        assert all(o.order_ref != rest.order_ref for o in snapshot.open_orders)
        assert [o.status for o in snapshot.completed_orders if o.order_ref == rest.order_ref] == ["Cancelled"]

    session(gateway, steps)


def test_an_order_outlives_its_connection_and_is_cancelled_by_the_same_client_id(gateway):
    placed: list[int] = []

    async def leave(broker: Broker) -> None:
        call = await near_the_money(broker)
        placed.append(broker.next_order_id())
        broker.place(ticket(call, Side.BUY, 1, Decimal("0.05")), placed[0])  # and off at once

    async def come_back(broker: Broker) -> None:
        assert [o.order_id for o in broker.initial_snapshot.open_orders if o.client_id == 99] == placed
        assert broker.next_order_id() > placed[0]
        broker.cancel(placed[0])
        await until(broker, is_status(placed[0], "Cancelled"))

    session(gateway, leave, client_id=99)
    session(gateway, come_back, client_id=99)


def test_a_price_off_the_step_is_refused_with_a_message_and_no_order(gateway):
    async def steps(broker: Broker) -> None:
        call = await near_the_money(broker)
        bad, order_id = ticket(call, Side.BUY, 1, Decimal("3.05")), broker.next_order_id()
        broker.place(bad, order_id)
        seen = await until(broker, lambda e: isinstance(e, OrderMessage))
        assert (seen[-1].order_ref, seen[-1].code) == (bad.order_ref, 110)
        assert all(o.order_ref != bad.order_ref for o in await broker.open_orders())

    session(gateway, steps)


def test_a_delayed_order_waits_for_its_time(gateway):
    async def steps(broker: Broker) -> None:
        call = await near_the_money(broker)
        ask = (await broker.quotes([call], 5))[call.con_id].ask
        order_id = broker.next_order_id()
        later = AT + timedelta(hours=6)
        broker.place(ticket(call, Side.BUY, 1, ask + 20, good_after=later), order_id)
        await until(broker, is_status(order_id, "PreSubmitted"))
        assert any(o.order_id == order_id for o in await broker.open_orders())
        broker.cancel(order_id)
        await until(broker, is_status(order_id, "Cancelled"))

    session(gateway, steps)


def test_a_what_if_tells_the_margin_and_places_nothing(gateway):
    async def steps(broker: Broker) -> None:
        before = await broker.snapshot()
        call = await near_the_money(broker, "SPY", "SPY")
        bid = (await broker.quotes([call], 5))[call.con_id].bid
        answer = await broker.what_if(ticket(call, Side.SELL, 10, bid))
        assert answer.rejected == ""
        assert answer.initial_change > 0
        assert answer.equity_with_loan_after > 0
        after = await broker.snapshot()
        assert (after.open_orders, after.executions) == (before.open_orders, before.executions)

    session(gateway, steps)


def test_a_client_id_in_use_is_refused_by_name(gateway):
    async def steps(broker: Broker) -> None:
        with pytest.raises(GatewayError, match=f"Client id {broker.client_id} is already in use"):
            await gateway_time(endpoint(gateway, client_id=broker.client_id), 0.8)
        assert await broker.server_time() == AT

    session(gateway, steps)


# --- time goes on, and the gateway goes away -----------------------------------------------------------


def test_a_clock_that_moves_brings_new_quotes_and_a_worthless_option_has_an_ask_but_no_bid():
    with RunningSim(date=str(DAY), at="15:00", speed=0) as gateway:

        async def steps(broker: Broker) -> None:
            call = (await broker.option_chain("SPX", "SPXW", DAY)).contracts[-1]
            await broker.quotes([call], 5, enough=lambda _, q: q.ask is not None)
            await asyncio.to_thread(gateway.control.advance, 3500)

            def worthless(_: Contract, quote: Quote) -> bool:
                return quote.ask is not None and quote.bid is None

            quote = (await broker.quotes([call], 5, enough=worthless))[call.con_id]
            assert worthless(call, quote)
            assert await broker.server_time() == AT.replace(hour=15, minute=58, second=20)

        session(gateway, steps)


def test_a_gateway_that_dies_is_a_lost_link_and_no_answer():
    with RunningSim(date=str(DAY), at="09:40", speed=0) as gateway:

        async def steps(broker: Broker) -> None:
            gateway.control.stop()
            (change,) = await until(broker, lambda _: True)
            assert (change.up, broker.link_up) == (False, False)
            with pytest.raises(GatewayError, match="was lost"):
                await broker.positions()

        session(gateway, steps)
