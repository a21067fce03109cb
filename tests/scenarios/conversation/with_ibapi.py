"""The conversation by IBKR's own ibapi, of 2020 and of today; the argument is the highest version it offers.

Stricter than the library: a frame with fields that its decoder leaves unread is a fault too.
"""

from __future__ import annotations

import inspect
import sys
import threading
import time
from datetime import datetime
from zoneinfo import ZoneInfo

import ibapi.client
import pipe
from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.decoder import Decoder
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.wrapper import EWrapper

try:
    from ibapi.order_cancel import OrderCancel
except ImportError:
    OrderCancel = None

SECONDS = 8.0
CLIENT_ERRORS = range(500, 600)
PRICES = {1: "bid", 2: "ask", 4: "last", 6: "high", 7: "low", 9: "close", 14: "open"}
PRICES.update({66: "bid", 67: "ask", 68: "last", 72: "high", 73: "low", 75: "close", 76: "open"})
SIZES = {0: "bidSize", 3: "askSize", 8: "volume", 69: "bidSize", 70: "askSize", 74: "volume"}
GREEKS = {10: "bidGreeks", 11: "askGreeks", 13: "model", 80: "bidGreeks", 81: "askGreeks", 83: "model"}


class App(EWrapper, EClient):
    """The client, with what it heard as (callback, arguments by name)."""

    def __init__(self):
        EClient.__init__(self, self)
        self.heard = []
        self.news = threading.Condition()

    def note(self, name, values):
        with self.news:
            self.heard.append((name, values))
            if name == "error" and values["errorCode"] in CLIENT_ERRORS:
                pipe.faults.append(f"client error {values['errorCode']}: {values['errorString']}")
            self.news.notify_all()


def _recorder(name, method):
    signature = inspect.signature(method)

    def callback(self, *args, **kwargs):
        bound = signature.bind(self, *args, **kwargs).arguments
        self.note(name, {key: value for key, value in bound.items() if key != "self"})

    return callback


for _name, _method in inspect.getmembers(EWrapper, inspect.isfunction):
    if not _name.startswith("_") and not _name.endswith("ProtoBuf"):
        setattr(App, _name, _recorder(_name, _method))


def _exact(read):
    def checked(decoder, fields):
        read(decoder, fields)
        rest = list(fields)
        if rest:
            pipe.faults.append(f"{read.__name__} leaves {len(rest)} fields unread: {rest[:5]}")

    return checked


for _info in Decoder.msgId2handleInfo.values():
    if _info.processMeth is not None:
        _info.processMeth = _exact(_info.processMeth)


def made(kind, values):
    """A Contract, Order or filter with these attributes, every one of which must exist."""
    thing = kind()
    for name, value in values.items():
        if not hasattr(thing, name):
            raise AttributeError(name)
        setattr(thing, name, value)
    return thing


class Driver:
    """One client; every method is a request of the script."""

    def __init__(self):
        self.app = App()
        self.lines = {}
        self.told = 0
        self.next_id = 0
        self.account_pnl = 0

    # --- what was heard

    def wait(self, condition):
        """The first true value of `condition`, tried at each news. Raises TimeoutError."""
        end = time.monotonic() + SECONDS
        with self.app.news:
            while True:
                value = condition()
                if value:
                    return value
                if not self.app.news.wait(end - time.monotonic()):
                    raise TimeoutError([name for name, _ in self.app.heard[-5:]])

    def all(self, name, since=0, **wanted):
        """Arguments of a callback heard since then, where `wanted` fits."""
        return [
            values
            for heard, values in self.app.heard[since:]
            if heard == name and all(values[key] == value for key, value in wanted.items())
        ]

    def asked(self, send, end, row=None, **wanted):
        """Send, wait for the end, and give the rows between."""
        since = len(self.app.heard)
        send()
        self.wait(lambda: self.all(end, since, **wanted) or self.refused(since, wanted))
        return self.all(row or end, since, **wanted) if row else self.all(end, since, **wanted)

    def refused(self, since, wanted):
        return bool(wanted) and any(e["reqId"] == wanted.get("reqId") for e in self.all("error", since))

    def new_id(self):
        self.next_id += 1
        return self.next_id - 1

    # --- the requests of the script

    def connect(self, port, client_id):
        threading.excepthook = lambda event: pipe.faults.append(f"the reader died: {event.exc_value!r}")
        self.app.connect("127.0.0.1", port, client_id)
        threading.Thread(target=self.app.run, daemon=True).start()
        self.wait(lambda: self.all("nextValidId") and self.all("managedAccounts"))
        accounts = [part for part in self.all("managedAccounts")[0]["accountsList"].split(",") if part]
        self.next_id = self.all("nextValidId")[0]["orderId"]
        positions = self.positions()
        self.open_orders()
        self.completed_orders()
        values = self.updates(accounts[0])["values"]
        self.multi(accounts[0])
        fills = self.executions({})
        version = self.app.serverVersion()
        return {
            "version": version,
            "accounts": accounts,
            "values": values,
            "positions": positions,
            "fills": fills,
        }

    def disconnect(self):
        self.app.disconnect()

    def time(self):
        (row,) = self.asked(self.app.reqCurrentTime, "currentTime")
        return datetime.fromtimestamp(row["time"]).astimezone()

    def errors(self):
        self.time()
        rows, self.told = self.all("error", self.told), len(self.app.heard)
        return [[row["reqId"], row["errorCode"], row["errorString"]] for row in rows]

    def details(self, contract):
        number, given = self.new_id(), made(Contract, contract)
        rows = self.asked(
            lambda: self.app.reqContractDetails(number, given),
            "contractDetailsEnd",
            "contractDetails",
            reqId=number,
        )
        return [row["contractDetails"] for row in rows]

    def chains(self, *asked):
        number, end = self.new_id(), "securityDefinitionOptionParameterEnd"
        send = lambda: self.app.reqSecDefOptParams(number, *asked)  # noqa: E731
        return self.asked(send, end, "securityDefinitionOptionParameter", reqId=number)

    def rule(self, number):
        (row,) = self.asked(lambda: self.app.reqMarketRule(number), "marketRule", marketRuleId=number)
        return [[step.lowEdge, step.increment] for step in row["priceIncrements"]]

    def symbols(self, pattern):
        number = self.new_id()
        (row,) = self.asked(
            lambda: self.app.reqMatchingSymbols(number, pattern), "symbolSamples", reqId=number
        )
        return row["contractDescriptions"]

    def data_type(self, number):
        self.app.reqMarketDataType(number)

    def watch(self, contract):
        number = self.lines[contract["conId"]] = self.new_id()
        self.app.reqMktData(number, made(Contract, contract), "", False, False, [])

    def snapshot(self, contract):
        number, given = self.new_id(), made(Contract, contract)
        self.asked(
            lambda: self.app.reqMktData(number, given, "", True, False, []), "tickSnapshotEnd", reqId=number
        )
        return self.quote_of(number)

    def quote(self, con_id):
        self.time()
        return self.quote_of(self.lines[con_id])

    def quote_of(self, number):
        found = dict.fromkeys(("model", "bidGreeks", "askGreeks"))
        for name, values in self.app.heard:
            if values.get("reqId") != number:
                continue
            if name == "tickPrice" and values["tickType"] in PRICES:
                found[PRICES[values["tickType"]]] = values["price"]
            elif name == "tickSize" and values["tickType"] in SIZES:
                found[SIZES[values["tickType"]]] = values["size"]
            elif name == "tickOptionComputation" and values["tickType"] in GREEKS:
                found[GREEKS[values["tickType"]]] = {**values, "impliedVol": values["impliedVol"]}
            elif name == "tickGeneric" and values["tickType"] == 49:
                found["halted"] = values["value"]
            elif name == "marketDataType":
                found["dataType"] = values["marketDataType"]
        return found

    def unwatch(self, con_id):
        self.app.cancelMktData(self.lines.pop(con_id))

    def bars(self, contract, end, duration, size, what, format_date):
        number, given = self.new_id(), made(Contract, contract)
        send = lambda: self.app.reqHistoricalData(  # noqa: E731
            number, given, end, duration, size, what, 1, format_date, False, []
        )
        rows = self.asked(send, "historicalDataEnd", "historicalData", reqId=number)
        return [self.bar(row["bar"]) for row in rows]

    def schedule(self, contract, days):
        number, given = self.new_id(), made(Contract, contract)
        send = lambda: self.app.reqHistoricalData(  # noqa: E731
            number, given, "", f"{days} D", "1 day", "SCHEDULE", 1, 1, False, []
        )
        (row,) = self.asked(send, "historicalSchedule", reqId=number)
        return row

    @staticmethod
    def bar(bar):
        """Epoch seconds as a time, as the other clients read them."""
        text = bar.date
        if len(text) > 8:
            seconds = text.isdigit() and int(text)
            text = datetime.fromtimestamp(seconds).astimezone() if seconds else moment(text)
        return {
            "date": pipe.plain(text),
            "open": bar.open,
            "high": bar.high,
            "low": bar.low,
            "close": bar.close,
        }

    def growing_bars(self, contract, size, what):
        self.growing, given = self.new_id(), made(Contract, contract)
        send = lambda: self.app.reqHistoricalData(  # noqa: E731
            self.growing, given, "", "1 D", size, what, 1, 2, True, []
        )
        rows = self.asked(send, "historicalDataEnd", "historicalData", reqId=self.growing)
        return [self.bar(row["bar"]) for row in rows]

    def grown_bars(self):
        self.time()
        rows = self.all("historicalData", reqId=self.growing) + self.all(
            "historicalDataUpdate", reqId=self.growing
        )
        found = [self.bar(row["bar"]) for row in rows]
        return list({bar["date"]: bar for bar in found}.values())

    def cancel_bars(self):
        self.app.cancelHistoricalData(self.growing)

    def pnl(self, account):
        if not self.account_pnl:
            self.account_pnl = self.new_id()
            self.app.reqPnL(self.account_pnl, account, "")
        self.time()
        row = self.all("pnl", reqId=self.account_pnl)[-1]
        return {"daily": row["dailyPnL"], "unrealized": row["unrealizedPnL"], "realized": row["realizedPnL"]}

    def cancel_pnl(self, account):
        self.app.cancelPnL(self.account_pnl)

    def pnl_single(self, account, con_id):
        number, since = self.new_id(), len(self.app.heard)
        self.app.reqPnLSingle(number, account, "", con_id)
        self.time()
        self.app.cancelPnLSingle(number)
        row = (self.all("pnlSingle", since, reqId=number) or [{}])[-1]
        names = {
            "position": "pos",
            "unrealized": "unrealizedPnL",
            "realized": "realizedPnL",
            "value": "value",
        }
        return {name: row.get(given) for name, given in names.items()}

    def summary(self):
        number = self.new_id()
        tags = "AccountType,NetLiquidation,TotalCashValue,BuyingPower,$LEDGER:ALL"
        send = lambda: self.app.reqAccountSummary(number, "All", tags)  # noqa: E731
        rows = self.asked(send, "accountSummaryEnd", "accountSummary", reqId=number)
        self.app.cancelAccountSummary(number)
        return {row["tag"]: row["value"] for row in rows}

    def multi(self, account):
        number = self.new_id()
        send = lambda: self.app.reqAccountUpdatesMulti(number, account, "", False)  # noqa: E731
        rows = self.asked(send, "accountUpdateMultiEnd", "accountUpdateMulti", reqId=number)
        self.app.cancelAccountUpdatesMulti(number)
        return {row["key"]: row["value"] for row in rows}

    def updates(self, account):
        self.asked(lambda: self.app.reqAccountUpdates(True, account), "accountDownloadEnd")
        return self.account()

    def account(self):
        self.time()
        values = {
            row["key"]: row["val"] for row in self.all("updateAccountValue") if row["currency"] in {"", "USD"}
        }
        rows = {row["contract"].conId: row for row in self.all("updatePortfolio")}
        return {"values": values, "portfolio": list(rows.values())}

    def positions(self):
        rows = self.asked(self.app.reqPositions, "positionEnd", "position")
        return [
            {"contract": row["contract"], "position": row["position"], "avgCost": row["avgCost"]}
            for row in rows
        ]

    def what_if(self, contract, order):
        number, given = self.new_id(), made(Contract, contract)
        asked = made(Order, {**order, "whatIf": True})
        rows = self.asked(lambda: self.app.placeOrder(number, given, asked), "openOrder", orderId=number)
        state = dict(vars(rows[-1]["orderState"]))
        return {**state, "commission": state.get("commissionAndFees", state.get("commission"))}

    def place(self, contract, order):
        number = self.new_id()
        self.lines[f"order {number}"] = made(Contract, contract), made(Order, order)
        self.app.placeOrder(number, *self.lines[f"order {number}"])
        return self.order(number)

    def order(self, order_id):
        self.time()
        rows = self.all("orderStatus", orderId=order_id)
        last = (
            rows[-1] if rows else dict.fromkeys(("status", "permId", "filled", "remaining", "avgFillPrice"))
        )
        names = "permId", "status", "filled", "remaining", "avgFillPrice"
        fills = [row for row in self.all("execDetails", reqId=-1) if row["execution"].orderId == order_id]
        return {
            "orderId": order_id,
            **{name: last[name] for name in names},
            "fills": [self.fill(row) for row in fills],
        }

    def modify(self, order_id, limit):
        contract, order = self.lines[f"order {order_id}"]
        order.lmtPrice = limit
        self.app.placeOrder(order_id, contract, order)
        return self.order(order_id)

    def cancel(self, order_id):
        self.app.cancelOrder(order_id, *([OrderCancel()] if OrderCancel else []))
        return self.order(order_id)

    def global_cancel(self):
        self.app.reqGlobalCancel(*([OrderCancel()] if OrderCancel else []))

    def listed(self, send, end, row):
        rows = self.asked(send, end, row)
        return [
            {"contract": r["contract"], "order": r["order"], "status": r["orderState"].status} for r in rows
        ]

    def open_orders(self):
        return self.listed(self.app.reqOpenOrders, "openOrderEnd", "openOrder")

    def all_open_orders(self):
        return self.listed(self.app.reqAllOpenOrders, "openOrderEnd", "openOrder")

    def completed_orders(self):
        return self.listed(lambda: self.app.reqCompletedOrders(False), "completedOrdersEnd", "completedOrder")

    def executions(self, asked):
        number, given = self.new_id(), made(ExecutionFilter, asked)
        rows = self.asked(
            lambda: self.app.reqExecutions(number, given), "execDetailsEnd", "execDetails", reqId=number
        )
        return [self.fill(row) for row in rows]

    def fill(self, row):
        execution = dict(vars(row["execution"]))
        execution["time"] = pipe.plain(moment(execution["time"]))
        reports = [r for name in ("commissionReport", "commissionAndFeesReport") for r in self.all(name)]
        paid = {}
        for report in (next(iter(values.values())) for values in reports):
            if report.execId == execution["execId"]:
                commission = getattr(report, "commissionAndFees", None) or getattr(report, "commission", None)
                paid = {"commission": commission, "realized": report.realizedPNL}
        return {"contract": row["contract"], **execution, **paid}


def moment(text):
    """A time of the wire, with its zone, or in New York's."""
    clock, _, zone = (
        text.replace("  ", " ").rpartition(" ") if text.count("/") else (text, "", "America/New_York")
    )
    return datetime.strptime(clock.replace("  ", " "), "%Y%m%d %H:%M:%S").replace(tzinfo=ZoneInfo(zone))


def converse():
    driver = Driver()
    while True:
        request = pipe.read()
        if request is None:
            return
        if request["do"] == "faults":
            pipe.answer(pipe.faults)
        else:
            pipe.answer(pipe.plain(getattr(driver, request["do"])(*request["with"])))


pipe.listen()
ibapi.client.MAX_CLIENT_VER = int(sys.argv[1])
try:
    converse()
except BaseException as error:  # noqa: BLE001 -- whatever it is, the test must hear of it
    pipe.end(error)
