"""The unmodified ib_insync against the simulated gateway: own process, real socket, both wire layouts."""

import asyncio
import math
import socket
from contextlib import asynccontextmanager, closing
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from spxarb.cli.commands import tree
from spxarb.sim.__main__ import parser
from spxarb.sim.control import Control, ControlError, RunningSim

if True:  # ib_insync asks for an event loop while it is imported
    _loop = asyncio.new_event_loop()
    asyncio.set_event_loop(_loop)
    from ib_insync import IB, Contract, ExecutionFilter, Index, LimitOrder, MarketOrder, Option, Stock

    asyncio.set_event_loop(None)
    _loop.close()

NEW_YORK = ZoneInfo("America/New_York")
DAY = """\
t,kind,symbol,expiry,strike,right,bid,ask,last,src
2026-01-29 09:30:00-05:00,und,SPX,,,,,,6970.5,x
2026-01-29 09:30:00-05:00,und,SPY,,,,695.1,695.12,695.11,x
2026-01-29 09:30:00-05:00,opt,SPX,2026-01-29,6975,C,17.5,17.8,,x
2026-01-29 09:30:00-05:00,opt,SPX,2026-01-29,6980,C,14.9,15.2,,x
2026-01-29 09:30:00-05:00,opt,SPY,2026-01-29,695,C,2.05,2.06,,x
2026-01-29 09:41:00-05:00,opt,SPX,2026-01-29,6975,C,16.4,16.6,,x
2026-01-29 09:41:00-05:00,opt,SPY,2026-01-29,695,C,1.95,1.96,,x
2026-01-29 15:59:00-05:00,und,SPX,,,,,,6969.01,x
2026-01-29 15:59:00-05:00,und,SPY,,,,694.03,694.05,694.04,x
"""
SPXW = {"symbol": "SPX", "lastTradeDateOrContractMonth": "20260129", "right": "C", "exchange": "SMART"}
VERSIONS = pytest.mark.parametrize("version", [157, 176])


def at(clock):
    return datetime.combine(date(2026, 1, 29), datetime.strptime(clock, "%H:%M").time(), NEW_YORK)


@pytest.fixture
def sim(tmp_path):
    """A gateway at 09:40 of a recorded day whose clock stands still."""
    file = tmp_path / "day.csv"
    file.write_text(DAY)
    with RunningSim(day=file, at="09:40", speed=0) as running:
        yield running


@asynccontextmanager
async def client(sim, client_id=1, version=176, **options):
    ib = IB()
    ib.client.MaxClientVersion = version
    ib.errors = []
    ib.errorEvent += lambda request, code, text, contract: ib.errors.append(code)
    await ib.connectAsync("127.0.0.1", sim.port, clientId=client_id, timeout=5, **options)
    try:
        yield ib
    finally:
        ib.disconnect()
        await asyncio.sleep(0)


async def until(condition, seconds=5):
    async def wait():
        while not condition():  # noqa: ASYNC110  the library's state has no event for everything
            await asyncio.sleep(0.005)

    await asyncio.wait_for(wait(), seconds)


def run(story):
    asyncio.run(asyncio.wait_for(story, 30))


async def call(ib, strike=6975.0, **kind):
    described = {"tradingClass": "SPXW", **SPXW, **kind}
    (contract,) = await ib.qualifyContractsAsync(Option(strike=strike, **described))
    return contract


@VERSIONS
def test_a_client_connects_learns_contracts_and_sees_quotes(sim, version):
    async def story():
        async with client(sim, version=version) as ib:
            assert (ib.client.serverVersion(), ib.managedAccounts()) == (version, ["SIM0000001"])
            assert (await ib.reqCurrentTimeAsync()).astimezone(NEW_YORK) == at("09:40")
            (details,) = await ib.reqContractDetailsAsync(Option(strike=6975.0, tradingClass="SPXW", **SPXW))
            contract = details.contract
            assert (contract.conId > 0, contract.multiplier, contract.localSymbol) == (
                True,
                "100",
                "SPXW  260129C06975000",
            )
            assert (details.minTick, details.underConId, details.underSymbol) == (0.05, 416904, "SPX")
            rule = dict(
                zip(details.validExchanges.split(","), details.marketRuleIds.split(","), strict=True)
            )["SMART"]
            assert [(r.lowEdge, r.increment) for r in await ib.reqMarketRuleAsync(int(rule))] == [
                (0.0, 0.05),
                (3.0, 0.1),
            ]
            ticker = ib.reqMktData(contract)
            await until(lambda: ticker.ask == 17.8)
            assert (ticker.bid, ticker.marketDataType, ticker.bidSize > 0, ticker.halted) == (
                17.5,
                1,
                True,
                0,
            )
            sim.control.set_time(at("09:41"))
            await until(lambda: ticker.ask == 16.6)
            assert ticker.bid == 16.4
            ib.cancelMktData(contract)
            assert not [code for code in ib.errors if not 2100 <= code < 2200]

    run(story())


@VERSIONS
def test_an_order_fills_with_execution_commission_position_and_reference(sim, version):
    async def story():
        async with client(sim, version=version) as ib:
            contract = await call(ib)
            order = LimitOrder("SELL", 1, 17.5, tif="DAY", account="SIM0000001", orderRef="leg-1")
            trade = ib.placeOrder(contract, order)
            await until(lambda: trade.fills and trade.fills[0].commissionReport.execId)
            await until(lambda: trade.orderStatus.status == "Filled")
            (fill,) = trade.fills
            assert (fill.execution.price, fill.execution.shares, fill.execution.side) == (17.5, 1.0, "SLD")
            assert (fill.execution.orderRef, fill.execution.time.astimezone(NEW_YORK)) == (
                "leg-1",
                at("09:40"),
            )
            assert fill.commissionReport.commission == 1.64
            assert (trade.order.permId, trade.orderStatus.avgFillPrice) == (fill.execution.permId, 17.5)
            await until(ib.positions)
            (position,) = ib.positions()
            assert (position.contract.conId, position.position) == (contract.conId, -1.0)
            assert position.avgCost == pytest.approx(1750 - 1.64)
        book = sim.control.book()
        assert [(o["status"], o["order_ref"], o["commission"]) for o in book["orders"]] == [
            ("Filled", "leg-1", 1.64)
        ]
        assert book["cash"] == pytest.approx(1_000_000 + 1750 - 1.64)

    run(story())


@VERSIONS
def test_a_resting_order_is_changed_and_then_cancelled(sim, version):
    async def story():
        async with client(sim, version=version) as ib:
            contract = await call(ib)
            order = LimitOrder("BUY", 1, 10.0, tif="DAY")
            trade = ib.placeOrder(contract, order)
            await until(lambda: trade.orderStatus.status == "Submitted")
            order.lmtPrice = 10.5
            ib.placeOrder(contract, order)
            await until(lambda: "Modified" in [entry.message for entry in trade.log])
            (open_trade,) = await ib.reqOpenOrdersAsync()
            assert (open_trade.order.lmtPrice, open_trade.order.permId) == (10.5, trade.order.permId)
            ib.cancelOrder(order)
            await until(lambda: trade.orderStatus.status == "Cancelled")
            await until(lambda: 202 in ib.errors)
            (done,) = await ib.reqCompletedOrdersAsync(apiOnly=False)
            assert (done.orderStatus.status, done.order.permId) == ("Cancelled", trade.order.permId)

    run(story())


@VERSIONS
def test_a_what_if_shows_margin_and_places_nothing(sim, version):
    async def story():
        async with client(sim, version=version) as ib:
            contract = await call(ib)
            state = await ib.whatIfOrderAsync(contract, LimitOrder("SELL", 1, 17.5, tif="DAY"))
            before, change, after = (
                float(getattr(state, f"initMargin{name}")) for name in ("Before", "Change", "After")
            )
            assert (before, change, after) == (0.0, after, pytest.approx(before + change))
            assert change > 50_000
            assert (state.commission, state.commissionCurrency) == (1.64, "USD")
            assert await ib.reqAllOpenOrdersAsync() == []
        assert sim.control.book()["orders"] == []

    run(story())


@VERSIONS
def test_the_book_outlives_the_connection(sim, version):
    async def story():
        async with client(sim, version=version) as ib:
            contract = await call(ib)
            trade = ib.placeOrder(contract, LimitOrder("BUY", 1, 16.6, tif="DAY", orderRef="rest"))
            await until(lambda: trade.orderStatus.status == "Submitted")
            order_id = trade.order.orderId
        sim.control.set_time(at("09:41"))
        async with client(sim, version=version) as ib:
            assert [p.position for p in ib.positions()] == [1.0]
            (fill,) = ib.fills()
            assert (fill.execution.orderRef, fill.execution.orderId, fill.execution.price) == (
                "rest",
                order_id,
                16.6,
            )
            assert fill.commissionReport.commission == 1.64
            assert [t.orderStatus.status for t in ib.trades()] == ["Filled"]
            assert ib.client.getReqId() > order_id

    run(story())


@VERSIONS
def test_values_of_the_account_are_told(sim, version):
    async def story():
        async with client(sim, version=version) as ib:
            values = {v.tag: v.value for v in ib.accountValues() if v.currency in ("", "USD")}
            assert float(values["NetLiquidation"]) == 1_000_000
            assert {"AvailableFunds", "ExcessLiquidity", "InitMarginReq", "BuyingPower"} <= set(values)
            summary = await ib.accountSummaryAsync()
            assert {v.tag: v.value for v in summary}["TotalCashValue"] == values["TotalCashValue"]
            pnl = ib.reqPnL("SIM0000001")
            await until(lambda: not math.isnan(pnl.dailyPnL))
            contract = await call(ib)
            ib.placeOrder(contract, MarketOrder("SELL", 1, tif="DAY"))
            await until(ib.portfolio)
            assert ib.portfolio()[0].position == -1
            await until(lambda: pnl.dailyPnL < 0)

    run(story())


@VERSIONS
def test_chains_name_days_and_strikes(sim, version):
    async def story():
        async with client(sim, version=version) as ib:
            chains = await ib.reqSecDefOptParamsAsync("SPX", "", "IND", 416904)
            smart = [c for c in chains if c.exchange == "SMART" and c.tradingClass == "SPXW"]
            assert [("20260129" in c.expirations, c.strikes) for c in smart] == [(True, [6975.0, 6980.0])]
            assert await ib.reqSecDefOptParamsAsync("SPX", "SMART", "IND", 416904) == []
            whole = await ib.reqContractDetailsAsync(Option(strike=0.0, tradingClass="SPXW", **SPXW))
            assert [d.contract.strike for d in whole] == [6975.0, 6980.0]
            (under,) = await ib.qualifyContractsAsync(Index("SPX", "CBOE", "USD"))
            (etf,) = await ib.qualifyContractsAsync(Stock("SPY", "SMART", "USD"))
            assert (under.conId, etf.conId) == (416904, 756733)

    run(story())


@VERSIONS
def test_bars_end_at_the_clock(sim, version):
    async def story():
        async with client(sim, version=version) as ib:
            contract = await call(ib)
            bars = await ib.reqHistoricalDataAsync(
                contract, "", "1 D", "1 min", "MIDPOINT", useRTH=True, formatDate=2
            )
            assert [bar.date.astimezone(NEW_YORK) for bar in (bars[0], bars[-1])] == [
                at("09:30"),
                at("09:39"),
            ]
            assert {bar.close for bar in bars} == {17.65}
            (day,) = await ib.reqHistoricalDataAsync(
                Stock("SPY", "SMART", "USD"), "", "1 D", "1 day", "TRADES", True
            )
            assert (day.date, day.close) == (date(2026, 1, 29), 695.11)

    run(story())


def test_two_clients_cannot_share_an_id_and_the_first_lives_on(sim):
    async def story():
        async with client(sim, client_id=3) as first:
            second = IB()
            codes = []
            second.errorEvent += lambda request, code, text, contract: codes.append(code)
            with pytest.raises((TimeoutError, ConnectionError)):
                await second.connectAsync("127.0.0.1", sim.port, clientId=3, timeout=0.5)
            assert codes == [326]
            assert await first.reqCurrentTimeAsync()
        async with client(sim, client_id=3):
            pass

    run(story())


def test_orders_belong_to_their_client_but_show_to_all(sim):
    async def story():
        async with client(sim, client_id=1) as one, client(sim, client_id=2) as two:
            contract = await call(one)
            trade = one.placeOrder(contract, LimitOrder("BUY", 1, 10.0, tif="DAY"))
            await until(lambda: trade.orderStatus.status == "Submitted")
            assert await two.reqOpenOrdersAsync() == []
            (seen,) = await two.reqAllOpenOrdersAsync()
            assert (seen.order.clientId, seen.order.permId) == (1, trade.order.permId)
            two.client.cancelOrder(trade.order.orderId)
            await until(lambda: 10147 in two.errors)
            assert trade.orderStatus.status == "Submitted"
            two.reqGlobalCancel()
            await until(lambda: trade.orderStatus.status == "Cancelled")

    run(story())


def test_executions_are_filtered(sim):
    async def story():
        async with client(sim) as ib:
            spx, spy = await call(ib), await call(ib, 695.0, symbol="SPY", tradingClass="SPY")
            trades = [
                ib.placeOrder(spx, MarketOrder("SELL", 1, tif="DAY")),
                ib.placeOrder(spy, MarketOrder("BUY", 10, tif="DAY")),
            ]
            await until(lambda: all(trade.orderStatus.status == "Filled" for trade in trades))
            for wanted, symbols in (
                (ExecutionFilter(), ["SPX", "SPY"]),
                (ExecutionFilter(symbol="SPY"), ["SPY"]),
                (ExecutionFilter(side="SELL"), ["SPX"]),
                (ExecutionFilter(clientId=9), []),
                (ExecutionFilter(time="20260129-14:40:00"), ["SPX", "SPY"]),
                (ExecutionFilter(time="20260129 09:40:01 America/New_York"), []),
            ):
                assert [f.contract.symbol for f in await ib.reqExecutionsAsync(wanted)] == symbols

    run(story())


@pytest.mark.parametrize(
    ("contract", "order", "code"),
    [
        ({}, LimitOrder("BUY", 1, 10.03, tif="DAY"), 110),
        ({}, LimitOrder("BUY", 0, 10.0, tif="DAY"), 434),
        ({}, LimitOrder("BUY", 1.5, 10.0, tif="DAY"), 10318),
        ({}, LimitOrder("BUY", 1, 10.0, tif="DAY", account="DU1"), 321),
        ({}, LimitOrder("BUY", 1, 10.0, tif="FOK"), 321),
        ({}, LimitOrder("BUY", 1, 10.0, tif="DAY", goodAfterTime="soon"), 343),
        ({"strike": 7000.0}, LimitOrder("BUY", 1, 10.0, tif="DAY"), 200),
        (
            {"secType": "IND", "strike": 0.0, "right": "", "lastTradeDateOrContractMonth": ""},
            MarketOrder("BUY", 1, tif="DAY"),
            201,
        ),
        ({"secType": "BAG"}, MarketOrder("BUY", 1, tif="DAY"), 201),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_with_its_code(sim, contract, order, code):
    async def story():
        async with client(sim) as ib:
            described = {
                "secType": "OPT",
                "currency": "USD",
                "strike": 6975.0,
                "tradingClass": "SPXW",
                **SPXW,
                **contract,
            }
            if described["secType"] == "IND":
                described |= {"tradingClass": "", "exchange": "CBOE"}
            ib.placeOrder(Contract(**described), order)
            await until(lambda: code in ib.errors)
        assert sim.control.book()["fills"] == []

    run(story())


def test_a_snapshot_ends(sim):
    async def story():
        async with client(sim) as ib:
            (ticker,) = await ib.reqTickersAsync(await call(ib))
            assert (ticker.bid, ticker.ask) == (17.5, 17.8)

    run(story())


def test_the_index_has_a_last_price_and_never_a_quote(sim):
    async def story():
        async with client(sim) as ib:
            ticker = ib.reqMktData(Index("SPX", "CBOE", "USD"))
            await until(lambda: ticker.last == 6970.5)
            assert [math.isnan(price) for price in (ticker.bid, ticker.ask)] == [True, True]

    run(story())


def test_a_whole_day_can_be_jumped_through_and_options_settle(sim):
    async def story():
        async with client(sim) as ib:
            trade = ib.placeOrder(await call(ib), MarketOrder("SELL", 1, tif="DAY"))
            await until(lambda: trade.orderStatus.status == "Filled")
            sim.control.set_time(at("16:30"))
            await until(lambda: not ib.positions())
        book = sim.control.book()
        assert book["positions"] == []
        assert book["cash"] == pytest.approx(1_000_000 + 1750 - 1.64)

    run(story())


def test_random_bytes_leave_the_gateway_alive(sim):
    for garbage in (
        b"\x00" * 64,
        b"API\0\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        b"API\0\x00\x00\x00\x04v1..",
    ):
        with closing(socket.create_connection(("127.0.0.1", sim.port), timeout=5)) as link:
            link.sendall(garbage)
            link.shutdown(socket.SHUT_WR)
            assert link.recv(100) == b""

    async def story():
        async with client(sim) as ib:
            assert await ib.reqCurrentTimeAsync()

    run(story())


def test_a_cut_link_is_noticed_and_the_order_lives_on(sim):
    async def story():
        async with client(sim) as ib:
            contract = await call(ib)
            sim.control.script(
                [{"when": {"request": "place_order"}, "what": {"close": {"point": "unanswered"}}}]
            )
            ib.placeOrder(contract, LimitOrder("SELL", 1, 17.5, tif="DAY", orderRef="unseen"))
            await until(lambda: not ib.isConnected())
        async with client(sim) as ib:
            assert [fill.execution.orderRef for fill in ib.fills()] == ["unseen"]
            sim.control.drop()
            await until(lambda: not ib.isConnected())

    run(story())


def test_a_mute_gateway_and_its_words_reach_the_client_as_from_a_real_one(sim):
    async def story():
        async with client(sim) as ib:
            sim.control.say(
                4, 2, -1, 1100, "Connectivity between IBKR and Trader Workstation has been lost.", ""
            )
            await until(lambda: 1100 in ib.errors)
            sim.control.script([{"what": {"stop_writing": {"lost": True}}}])
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ib.reqCurrentTimeAsync(), 0.2)
            sim.control.script()
            assert ib.isConnected()
            assert await ib.reqCurrentTimeAsync()

    run(story())


def test_the_control_says_what_it_does_not_understand(sim):
    for line, words in (
        ({"op": "sing"}, "unknown op 'sing'"),
        ({"op": "set_time", "time": "2026-01-29T09:30:00-05:00"}, "cannot go back"),
        ({"op": "set_time", "time": "2026-01-29T09:50:00"}, "without offset"),
        ({"op": "set_time"}, "time"),
        ({"op": "advance", "seconds": "x"}, "x"),
    ):
        with pytest.raises(ControlError, match=words):
            sim.control.ask(**line)
    assert sim.control.time() == at("09:40")
    assert sim.control.advance(30) == at("09:40") + timedelta(seconds=30)


def test_a_running_clock_runs(sim):
    with Control(sim.control_port) as other:
        other.speed(600)
        start = other.time()
        while other.time() < start + timedelta(seconds=60):
            pass
        other.speed(0)
        assert other.time() == other.time()


def test_a_gateway_that_cannot_start_says_why(tmp_path):
    with pytest.raises(ControlError, match=r"nothing\.csv"), RunningSim(day=tmp_path / "nothing.csv"):
        pass
    with pytest.raises(ControlError, match="loopback only"), RunningSim(host="0.0.0.0"):
        pass


# --- synthetic days, seen by a client -----------------------------------------------------------------

DATE = date(2026, 11, 24)


def on(clock, day=DATE):
    return datetime.combine(day, datetime.strptime(clock, "%H:%M").time(), NEW_YORK)


async def at_the_money(ib, symbol, trading_class, day=DATE, below=0.0):
    """The call with the strike nearest to the underlying, or `below` it."""
    under = Index("SPX", "CBOE", "USD") if symbol == "SPX" else Stock("SPY", "SMART", "USD")
    ticker = ib.reqMktData(under)
    await until(lambda: not math.isnan(ticker.last))
    step = 5 if symbol == "SPX" else 1
    strike = round((ticker.last - below) / step) * step
    (contract,) = await ib.qualifyContractsAsync(
        Option(symbol, f"{day:%Y%m%d}", strike, "C", "SMART", tradingClass=trading_class)
    )
    return contract


def test_an_order_larger_than_the_display_fills_in_parts_with_one_minimum_commission():
    async def story(sim):
        async with client(sim) as ib:
            trade = ib.placeOrder(
                await at_the_money(ib, "SPY", "SPY"), MarketOrder("SELL", 10, tif="DAY", orderRef="leg")
            )
            await until(lambda: trade.fills)
            assert 0 < trade.filled() < 10
            assert trade.orderStatus.status == "Submitted"
            while trade.orderStatus.status != "Filled":
                sim.control.advance(1)
                await asyncio.sleep(0.02)
            await until(lambda: all(fill.commissionReport.execId for fill in trade.fills))
            assert sum(fill.execution.shares for fill in trade.fills) == 10
            assert 9.9 < sum(fill.commissionReport.commission for fill in trade.fills) < 10.3
            assert len({fill.execution.execId for fill in trade.fills}) == len(trade.fills) > 2

    with RunningSim(date=str(DATE), regime="thin", at="09:40", speed=0) as sim:
        run(story(sim))


def test_an_order_before_the_open_lives_with_a_warning_and_works_at_the_open():
    async def story(sim):
        async with client(sim) as ib:
            contract = Option("SPX", "20261124", 6800, "C", "SMART", tradingClass="SPXW")
            await ib.qualifyContractsAsync(contract)
            trade = ib.placeOrder(contract, MarketOrder("BUY", 1, tif="DAY"))
            await until(lambda: 399 in ib.errors)
            assert trade.orderStatus.status == "PreSubmitted"
            sim.control.set_time(on("09:31"))
            await until(lambda: trade.orderStatus.status == "Filled")
            assert trade.fills[0].execution.time.astimezone(NEW_YORK) == on("09:30")

    with RunningSim(date=str(DATE), at="09:00", speed=0) as sim:
        run(story(sim))


def test_a_halt_is_told_and_over_again():
    async def story(sim):
        async with client(sim) as ib:
            ticker = ib.reqMktData(Stock("SPY", "SMART", "USD"))
            await until(lambda: ticker.bid > 0)
            assert ticker.halted == 0
            sim.control.set_time(on("10:35"))
            await until(lambda: ticker.halted == 1)
            assert (ticker.bid, ticker.bidSize) == (-1, 0)
            sim.control.set_time(on("10:46"))
            await until(lambda: ticker.halted == 0 and ticker.bid > 0)

    with RunningSim(date=str(DATE), regime="halt", at="09:40", speed=0) as sim:
        run(story(sim))


def test_a_short_spy_call_in_the_money_is_short_stock_the_next_morning():
    async def story(sim):
        async with client(sim) as ib:
            trade = ib.placeOrder(
                await at_the_money(ib, "SPY", "SPY", below=20), MarketOrder("SELL", 10, tif="DAY")
            )
            await until(lambda: trade.orderStatus.status == "Filled")
            sim.control.set_time(on("16:30"))
            held = [(p.contract.secType, p.position) for p in await ib.reqPositionsAsync()]
            assert held == [("OPT", -10.0)]
            sim.control.set_time(on("08:00", date(2026, 11, 25)))
            await until(
                lambda: [(p.contract.secType, p.position) for p in ib.positions()] == [("STK", -1000.0)]
            )
            assert await ib.reqExecutionsAsync() == []
            assert await ib.reqCompletedOrdersAsync(apiOnly=False) == []

    with RunningSim(date=str(DATE), at="09:40", speed=0) as sim:
        run(story(sim))


def test_an_index_option_without_its_class_is_ambiguous_before_the_third_friday():
    async def story(sim):
        async with client(sim) as ib:
            named = {
                "symbol": "SPX",
                "lastTradeDateOrContractMonth": "20261217",
                "strike": 6800,
                "right": "C",
                "exchange": "SMART",
            }
            found = await ib.reqContractDetailsAsync(Option(**named))
            told = sorted(
                (d.contract.tradingClass, d.contract.localSymbol, d.realExpirationDate) for d in found
            )
            assert told == [
                ("SPX", "SPX   261218C06800000", "20261218"),
                ("SPXW", "SPXW  261217C06800000", "20261217"),
            ]
            assert len(await ib.qualifyContractsAsync(Option(**named, tradingClass="SPXW"))) == 1

    with RunningSim(date="2026-12-17", at="09:40", speed=0) as sim:
        run(story(sim))


def test_a_margin_reject_is_an_error_and_an_order_that_is_not_live():
    async def story(sim):
        async with client(sim) as ib:
            trade = ib.placeOrder(await at_the_money(ib, "SPY", "SPY"), MarketOrder("SELL", 10, tif="DAY"))
            await until(lambda: 201 in ib.errors)
            await until(lambda: trade.orderStatus.status == "Inactive")
            assert await ib.reqAllOpenOrdersAsync() == []
            assert await ib.reqPositionsAsync() == []
        assert [order["status"] for order in sim.control.book()["orders"]] == ["Inactive"]

    with RunningSim(date=str(DATE), at="09:40", speed=0, cash=50_000) as sim:
        run(story(sim))


def test_the_program_of_its_own_has_the_options_of_the_command():
    command = {
        name
        for option in tree(["sim"]).commands["sim"].params
        for name in option.opts
        if name.startswith("-")
    }
    own = {name for action in parser()._actions for name in action.option_strings}
    assert own - {"--end-with-input", "-h", "--help"} == command - {"--config", "--help"}
    assert not parser().allow_abbrev


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"date": "2026-11-26"}, "the exchange is closed on Thursday 2026-11-26; choose a trading day"),
        ({"regime": "wild"}, "unknown regime 'wild'; known: quiet"),
        ({"at": "noon"}, "not a time of day: 'noon'"),
        ({"speed": -1}, "speed -1.0 is not between"),
        ({"cash": "nan"}, "cash nan is not a sum of dollars"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_line(options, words):
    with pytest.raises(ControlError) as problem, RunningSim(**options):
        pass
    assert str(problem.value).startswith(f"the simulated gateway did not start: {words}")
    assert "\n" not in str(problem.value)
