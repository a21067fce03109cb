"""The conversation by ib_insync or ib_async, whose name is the only argument: unmodified, through its `IB`."""

from __future__ import annotations

import asyncio
import importlib
import sys

import pipe

asyncio.set_event_loop(asyncio.new_event_loop())  # the older library asks for one while it is imported
lib = importlib.import_module(sys.argv[1])


class Driver:
    """One client; every method is a request of the script."""

    def __init__(self):
        self.ib = lib.IB()
        self.told = []
        self.tickers = {}
        self.orders = {}
        self.refused = asyncio.Event()
        self.ib.errorEvent += self.on_error

    def on_error(self, request, code, text, contract):
        self.told.append([request, code, text])
        if code == 321:
            self.refused.set()

    async def connect(self, port, client_id):
        await self.ib.connectAsync("127.0.0.1", port, clientId=client_id, timeout=5)
        return {
            "version": self.ib.client.serverVersion(),
            "accounts": self.ib.managedAccounts(),
            **self.known(),
        }

    def known(self):
        fills = [self.fill(fill) for fill in self.ib.fills()]
        return {
            "values": self.values(self.ib.accountValues()),
            "positions": self.ib.positions(),
            "fills": fills,
        }

    @staticmethod
    def values(rows):
        return {row.tag: row.value for row in rows if row.currency in {"", "USD"} and not row.modelCode}

    async def disconnect(self):
        self.ib.disconnect()
        await asyncio.sleep(0)

    async def time(self):
        return await self.ib.reqCurrentTimeAsync()

    async def errors(self):
        await self.time()
        told, self.told = self.told, []
        return told

    async def details(self, contract):
        return await self.ib.reqContractDetailsAsync(lib.Contract(**contract))

    async def chains(self, *asked):
        return await self.unless_refused(self.ib.reqSecDefOptParamsAsync(*asked))

    async def unless_refused(self, answer):
        """The answer, or nothing once 321 has come, which ib_async takes for a warning and waits on."""
        self.refused.clear()
        asked, refused = asyncio.ensure_future(answer), asyncio.ensure_future(self.refused.wait())
        await asyncio.wait({asked, refused}, return_when=asyncio.FIRST_COMPLETED)
        refused.cancel()
        return asked.result() if asked.done() else []

    async def rule(self, number):
        return [[step.lowEdge, step.increment] for step in await self.ib.reqMarketRuleAsync(number)]

    async def symbols(self, pattern):
        return await self.ib.reqMatchingSymbolsAsync(pattern)

    async def data_type(self, number):
        self.ib.reqMarketDataType(number)

    async def watch(self, contract):
        given = lib.Contract(**contract)
        self.tickers[contract["conId"]] = given, self.ib.reqMktData(given)

    async def snapshot(self, contract):
        (ticker,) = await self.ib.reqTickersAsync(lib.Contract(**contract))
        return self.quote_of(ticker)

    async def quote(self, con_id):
        await self.time()
        return self.quote_of(self.tickers[con_id][1])

    @staticmethod
    def quote_of(ticker):
        names = "bid", "bidSize", "ask", "askSize", "last", "volume", "high", "low", "open", "close", "halted"
        greeks = {"model": ticker.modelGreeks, "bidGreeks": ticker.bidGreeks, "askGreeks": ticker.askGreeks}
        return {name: getattr(ticker, name) for name in names} | greeks | {"dataType": ticker.marketDataType}

    async def unwatch(self, con_id):
        self.ib.cancelMktData(self.tickers.pop(con_id)[0])

    async def bars(self, contract, end, duration, size, what, format_date):
        return await self.unless_refused(
            self.ib.reqHistoricalDataAsync(
                lib.Contract(**contract), end, duration, size, what, useRTH=True, formatDate=format_date
            )
        )

    async def schedule(self, contract, days):
        return await self.ib.reqHistoricalScheduleAsync(lib.Contract(**contract), days)

    async def growing_bars(self, contract, size, what):
        self.growing = await self.ib.reqHistoricalDataAsync(
            lib.Contract(**contract), "", "1 D", size, what, useRTH=True, formatDate=2, keepUpToDate=True
        )
        return self.growing

    async def grown_bars(self):
        await self.time()
        return self.growing

    async def cancel_bars(self):
        self.ib.cancelHistoricalData(self.growing)

    async def pnl(self, account):
        (row,) = self.ib.pnl(account) or [self.ib.reqPnL(account)]
        await self.time()
        return {"daily": row.dailyPnL, "unrealized": row.unrealizedPnL, "realized": row.realizedPnL}

    async def cancel_pnl(self, account):
        self.ib.cancelPnL(account)

    async def pnl_single(self, account, con_id):
        row = self.ib.reqPnLSingle(account, "", con_id)
        await self.time()
        self.ib.cancelPnLSingle(account, "", con_id)
        return {
            "position": row.position,
            "unrealized": row.unrealizedPnL,
            "realized": row.realizedPnL,
            "value": row.value,
        }

    async def summary(self):
        return self.values(await self.ib.accountSummaryAsync())

    async def multi(self, account):
        await self.ib.reqAccountUpdatesMultiAsync(account)
        return self.values(self.ib.accountValues())

    async def account(self):
        await self.time()
        return {"values": self.values(self.ib.accountValues()), "portfolio": self.ib.portfolio()}

    async def positions(self):
        return await self.ib.reqPositionsAsync()

    async def what_if(self, contract, order):
        return await self.ib.whatIfOrderAsync(lib.Contract(**contract), lib.Order(**order))

    async def place(self, contract, order):
        made = lib.Order(**order)
        trade = self.ib.placeOrder(lib.Contract(**contract), made)
        self.orders[made.orderId] = trade
        return await self.order(made.orderId)

    async def order(self, order_id):
        await self.time()
        trade = self.orders[order_id]
        status = {
            name: getattr(trade.orderStatus, name)
            for name in ("status", "filled", "remaining", "avgFillPrice")
        }
        fills = [self.fill(fill) for fill in trade.fills]
        return {"orderId": order_id, "permId": trade.order.permId, **status, "fills": fills}

    async def modify(self, order_id, limit):
        trade = self.orders[order_id]
        trade.order.lmtPrice = limit
        self.ib.placeOrder(trade.contract, trade.order)
        return await self.order(order_id)

    async def cancel(self, order_id):
        self.ib.cancelOrder(self.orders[order_id].order)
        return await self.order(order_id)

    async def global_cancel(self):
        self.ib.reqGlobalCancel()

    @staticmethod
    def listed(trades):
        return [{"contract": t.contract, "order": t.order, "status": t.orderStatus.status} for t in trades]

    async def open_orders(self):
        return self.listed(await self.ib.reqOpenOrdersAsync())

    async def all_open_orders(self):
        return self.listed(await self.ib.reqAllOpenOrdersAsync())

    async def completed_orders(self):
        return self.listed(await self.ib.reqCompletedOrdersAsync(False))

    async def executions(self, asked):
        fills = await self.ib.reqExecutionsAsync(lib.ExecutionFilter(**asked))
        return [self.fill(fill) for fill in fills]

    def fill(self, fill):
        known = next(
            known_fill
            for known_fill in self.ib.fills()
            if known_fill.execution.execId == fill.execution.execId
        )
        report = known.commissionReport  # what is asked for again comes without it
        paid = {"commission": report.commission, "realized": report.realizedPNL} if report.execId else {}
        return {"contract": fill.contract, **pipe.plain(fill.execution), **paid}


async def converse():
    driver = Driver()
    while (request := await asyncio.to_thread(pipe.read)) is not None:
        if request["do"] == "faults":
            pipe.answer(pipe.faults)
        else:
            method = getattr(driver, request["do"])
            pipe.answer(pipe.plain(await asyncio.wait_for(method(*request["with"]), 8)))


pipe.listen()
try:
    asyncio.run(converse())
except BaseException as error:  # noqa: BLE001 -- whatever it is, the test must hear of it
    pipe.end(error)
