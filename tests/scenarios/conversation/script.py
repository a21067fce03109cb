"""One conversation with the simulated gateway, in steps with what must come back: the same for every client.

`talk.NAME(..)` has the client do it and gives its answer as JSON; `sim.control` moves the market's clock. The
day is the Thursday before a third Friday: AM-settled SPX options have their last trade on it, beside SPXW.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

DAY, FRIDAY, AT = "2026-02-19", "20260220", "09:40"
TODAY, ACCOUNT = "20260219", "SIM0000001"
NEW_YORK = ZoneInfo("America/New_York")
START = datetime(2026, 2, 19, 9, 40, tzinfo=NEW_YORK)
SPX = {"symbol": "SPX", "secType": "IND", "exchange": "CBOE", "currency": "USD"}
SPY = {"symbol": "SPY", "secType": "STK", "exchange": "SMART", "primaryExchange": "ARCA", "currency": "USD"}
CALL = {"secType": "OPT", "exchange": "SMART", "currency": "USD", "right": "C", "multiplier": "100"}
SPXW = {**CALL, "symbol": "SPX", "tradingClass": "SPXW", "lastTradeDateOrContractMonth": TODAY}
SPY_CALL = {**CALL, "symbol": "SPY", "tradingClass": "SPY", "lastTradeDateOrContractMonth": TODAY}
FARMS = {2104, 2106, 2158}


def moment(text):
    return datetime.fromisoformat(text).astimezone(NEW_YORK)


def codes(talk):
    """The codes of the errors told since the last call."""
    return [code for _, code, _ in talk.errors()]


def bare(contract):
    """What a client sends to mean this contract."""
    names = "conId", "symbol", "secType", "lastTradeDateOrContractMonth", "strike", "right", "multiplier"
    given = {name: contract[name] for name in (*names, "currency", "localSymbol", "tradingClass")}
    return {**given, "conId": int(given["conId"]), "exchange": "SMART"}


def at_the_money(talk, described, level):
    """The call of the chain nearest to the level."""
    chain = talk.details(described)
    return bare(min(chain, key=lambda d: abs(d["contract"]["strike"] - level))["contract"])


def converse(talk, sim):
    """Every chapter, in turn."""
    connects(talk, sim)
    learns_contracts(talk)
    learns_chains(talk)
    spx, spy = sees_quotes(talk, sim)
    asks_for_bars(talk, sim, spx)
    sees_the_account(talk)
    asks_for_margin(talk, spx)
    trades(talk, sim, spx, spy)
    looks_back(talk, spx, spy)
    ends_orders(talk, spx, spy)
    assert talk.faults() == []
    talk.disconnect()


def connects(talk, sim):
    told = talk.connect(sim.port, 7)
    assert (told["version"], told["accounts"]) == (talk.version, [ACCOUNT])
    assert float(told["values"]["NetLiquidation"]) == 1_000_000
    assert (told["values"]["AccountReady"], told["positions"], told["fills"]) == ("true", [], [])
    assert moment(talk.time()) == START
    assert set(codes(talk)) == FARMS


def learns_contracts(talk):
    (index,) = talk.details(SPX)
    assert (index["contract"]["conId"], index["contract"]["exchange"]) == (416904, "CBOE")
    (stock,) = talk.details(SPY)
    assert (stock["contract"]["conId"], stock["contract"]["primaryExchange"]) == (756733, "ARCA")
    assert (stock["stockType"], stock["minTick"]) == ("ETF", 0.01)
    chain = talk.details(SPXW)
    one = chain[len(chain) // 2]
    contract = one["contract"]
    assert len({d["contract"]["conId"] for d in chain}) == len(chain) > 100
    assert {d["contract"]["strike"] % 5 for d in chain} == {0}
    assert contract["localSymbol"] == f"SPXW  260219C{round(contract['strike'] * 1000):08d}"
    assert (contract["multiplier"], contract["lastTradeDateOrContractMonth"]) == ("100", TODAY)
    assert (one["underConId"], one["underSymbol"], one["underSecType"]) == (416904, "SPX", "IND")
    assert (one["minTick"], one["realExpirationDate"], one["contractMonth"]) == (0.05, TODAY, "202602")
    assert (one["timeZoneId"], one["longName"]) == ("US/Central", "S&P 500 Stock Index")
    assert "20260219:0830-20260219:1515" in one["liquidHours"].split(";")
    if talk.version >= 164:
        assert (one["minSize"], one["sizeIncrement"]) == (1, 1)
    rules = dict(zip(one["validExchanges"].split(","), one["marketRuleIds"].split(","), strict=True))
    assert talk.rule(int(rules["SMART"])) == [[0, 0.05], [3, 0.1]]
    settled_at_the_open(talk, contract["strike"])
    found = {d["contract"]["symbol"]: d for d in talk.symbols("SP")}
    assert {"SPX", "SPY"} <= set(found)
    assert "OPT" in found["SPX"]["derivativeSecTypes"]
    assert talk.details({**SPXW, "symbol": "XYZ"}) == []
    assert codes(talk) == [200]


def settled_at_the_open(talk, strike):
    """Without its class a call of the third Friday is ambiguous: its last trade is on Thursday."""
    both = talk.details({**SPXW, "tradingClass": "", "strike": strike})
    assert {d["contract"]["tradingClass"] for d in both} == {"SPX", "SPXW"}
    (morning,) = (d for d in both if d["contract"]["tradingClass"] == "SPX")
    assert morning["contract"]["lastTradeDateOrContractMonth"] == TODAY
    assert morning["contract"]["localSymbol"].startswith("SPX   260220C")
    assert morning["realExpirationDate"] == FRIDAY


def learns_chains(talk):
    """An exchange named for an index gives no chain; without one each exchange and class has its own."""
    chains = {(c["exchange"], c["tradingClass"]): c for c in talk.chains("SPX", "", "IND", 416904)}
    assert set(chains) == {(venue, kind) for venue in ("SMART", "CBOE") for kind in ("SPX", "SPXW")}
    weekly = chains["SMART", "SPXW"]
    assert ({TODAY, FRIDAY} <= set(weekly["expirations"]), weekly["multiplier"]) == (True, "100")
    assert {strike % 5 for strike in weekly["strikes"]} == {0}
    assert [c["tradingClass"] for c in talk.chains("SPY", "", "STK", 756733) if c["exchange"] == "SMART"] == [
        "SPY"
    ]
    assert talk.chains("SPX", "SMART", "IND", 416904) == []
    assert codes(talk) == []
    assert talk.chains("SPX", "", "IND", 0) == []
    assert codes(talk) == [321]


def sees_quotes(talk, sim):
    """Streams of the index, the fund and two options; a snapshot; the clock moves and so do they."""
    talk.data_type(1)
    for contract in ({**SPX, "conId": 416904}, {**SPY, "conId": 756733}):
        talk.watch(contract)
    index, fund = talk.quote(416904), talk.quote(756733)
    assert (index.get("bid"), index.get("ask"), index["dataType"]) == (None, None, 1)
    assert index["low"] <= index["last"] <= index["high"]
    assert (fund["bid"] < fund["ask"], fund["bidSize"] > 0, fund["volume"] > 0) == (True, True, True)
    spx, spy = at_the_money(talk, SPXW, index["last"]), at_the_money(talk, SPY_CALL, fund["last"])
    for contract in (spx, spy):
        talk.watch(contract)
        quote = talk.quote(contract["conId"])
        assert (0 < quote["bid"] < quote["ask"], quote["askSize"] > 0, quote["halted"]) == (True, True, 0)
        for greeks in (quote["model"], quote["bidGreeks"], quote["askGreeks"]):
            assert (0.2 < greeks["delta"] < 0.8, 0.02 < greeks["impliedVol"] < 2) == (True, True)
            assert (greeks["gamma"] > 0, greeks["vega"] > 0, greeks["theta"] < 0) == (True, True, True)
        assert quote["model"]["undPrice"] in {index["last"], fund["last"]}
        once = talk.snapshot(contract)
        assert [once[side] for side in ("bid", "ask")] == [quote[side] for side in ("bid", "ask")]
    before = talk.quote(416904)["last"]
    sim.control.set_time(START + timedelta(minutes=5))
    assert talk.quote(416904)["last"] != before
    told = sim.control.quote(spx["conId"])
    assert [talk.quote(spx["conId"])[side] for side in ("bid", "ask")] == [told["bid"], told["ask"]]
    delayed_for_a_while(talk, sim, spx)
    for contract in (416904, 756733, spx["conId"], spy["conId"]):
        talk.unwatch(contract)
    assert codes(talk) == []
    return spx, spy


def delayed_for_a_while(talk, sim, spx):
    """Lapsed entitlements turn a line delayed; the ticks have other ids and fill the same fields."""
    sim.control.script([{"what": {"delayed": {"minutes": 0, "told": False}}}])
    assert talk.quote(spx["conId"])["dataType"] == 3
    sim.control.script()
    assert talk.quote(spx["conId"])["dataType"] == 1


def asks_for_bars(talk, sim, spx):
    now = sim.control.time()
    for what in ("TRADES", "BID_ASK", "MIDPOINT"):
        for format_date in (1, 2):
            bars = talk.bars(spx, "", "1 D", "1 min", what, format_date)
            assert [moment(bar["date"]) for bar in (bars[0], bars[-1])] == [
                now.replace(hour=9, minute=30),
                now - timedelta(minutes=1),
            ]
            assert all(0 < bar["low"] <= bar["close"] <= bar["high"] for bar in bars)
    (day,) = talk.bars({**SPY, "conId": 756733}, "", "1 D", "1 day", "TRADES", 1)
    assert day["date"] == TODAY
    if talk.version >= 165:
        told = talk.schedule({**SPY, "conId": 756733}, 3)
        days = [
            (session["startDateTime"], session["endDateTime"], session["refDate"])
            for session in told["sessions"]
        ]
        assert days == [(f"{d}-09:30:00", f"{d}-16:00:00", d) for d in ("20260217", "20260218", TODAY)]
        assert (told["timeZone"], told["startDateTime"]) == ("US/Eastern", "20260217-09:30:00")
    grown = talk.growing_bars(spx, "1 min", "MIDPOINT")
    sim.control.advance(120)
    assert len(talk.grown_bars()) > len(grown)
    talk.cancel_bars()
    assert set(codes(talk)) <= {162, 366}
    assert talk.bars(spx, "", "1 D", "7 mins", "TRADES", 1) == []
    assert codes(talk) == [321]


def sees_the_account(talk):
    values = talk.multi(ACCOUNT)
    assert {"NetLiquidation", "AvailableFunds", "BuyingPower", "InitMarginReq", "Cushion"} <= set(values)
    assert float(talk.summary()["TotalCashValue"]) == 1_000_000
    assert talk.pnl(ACCOUNT) == {"daily": 0, "unrealized": 0, "realized": 0}
    assert (talk.positions(), talk.account()["portfolio"]) == ([], [])
    assert codes(talk) == []


def asks_for_margin(talk, spx):
    state = talk.what_if(
        spx, {"action": "SELL", "totalQuantity": 1, "orderType": "LMT", "lmtPrice": 1.0, "tif": "DAY"}
    )
    before, change, after = (float(state[f"initMargin{name}"]) for name in ("Before", "Change", "After"))
    assert (before, change > 10_000, after) == (0, True, change)
    assert (state["status"], state["commission"] > 0) == ("PreSubmitted", True)
    assert talk.all_open_orders() == []


def order(action, quantity, limit=None, ref=""):
    kind = {"orderType": "MKT"} if limit is None else {"orderType": "LMT", "lmtPrice": limit}
    return {
        "action": action,
        "totalQuantity": quantity,
        **kind,
        "tif": "DAY",
        "account": ACCOUNT,
        "orderRef": ref,
    }


def trades(talk, sim, spx, spy):
    """A resting order changed until it fills; a market order; both in the book, the account and the stream."""
    rest = talk.place(spx, order("BUY", 1, 0.5, "long"))
    assert (rest["status"], rest["filled"], rest["remaining"], rest["fills"]) == ("Submitted", 0, 1, [])
    (shown,) = talk.open_orders()
    assert (shown["order"]["permId"], shown["order"]["lmtPrice"]) == (rest["permId"], 0.5)
    assert [
        shown["order"][name] for name in ("orderRef", "tif", "action", "account", "clientId", "orderId")
    ] == ["long", "DAY", "BUY", ACCOUNT, 7, rest["orderId"]]
    assert [shown["contract"][name] for name in ("conId", "right", "strike")] == [
        spx["conId"],
        "C",
        spx["strike"],
    ]
    assert (shown["status"], shown["order"]["parentId"], shown["order"]["outsideRth"]) == (
        "Submitted",
        0,
        False,
    )
    ask = sim.control.quote(spx["conId"])["ask"]
    bought = talk.modify(rest["orderId"], ask)
    assert (bought["status"], bought["permId"], bought["avgFillPrice"]) == ("Filled", rest["permId"], ask)
    (fill,) = bought["fills"]
    assert (fill["price"], fill["shares"], fill["side"], fill["orderRef"]) == (ask, 1, "BOT", "long")
    assert (moment(fill["time"]), fill["acctNumber"], fill["cumQty"]) == (sim.control.time(), ACCOUNT, 1)
    assert (fill["commission"] > 1, fill["permId"]) == (True, rest["permId"])
    assert re.fullmatch(r"[0-9a-f]+\.[0-9a-f]+\.\d\d\.\d\d", fill["execId"])
    sold = talk.place(spy, order("SELL", 10, ref="short"))
    assert (sold["status"], sold["filled"], {f["side"] for f in sold["fills"]}) == ("Filled", 10, {"SLD"})
    assert [code for code in codes(talk) if code not in {2104, 2106, 2158}] == []
    holds_both(talk, spx, spy, fill)


def holds_both(talk, spx, spy, fill):
    held = {row["contract"]["conId"]: row for row in talk.positions()}
    assert {con_id: row["position"] for con_id, row in held.items()} == {spx["conId"]: 1, spy["conId"]: -10}
    assert abs(held[spx["conId"]]["avgCost"] - (fill["price"] * 100 + fill["commission"])) < 1e-6
    rows = {row["contract"]["conId"]: row for row in talk.account()["portfolio"]}
    assert {con_id: row["position"] for con_id, row in rows.items()} == {spx["conId"]: 1, spy["conId"]: -10}
    assert rows[spy["conId"]]["marketPrice"] > 0
    assert float(talk.account()["values"]["InitMarginReq"]) > 0
    one = talk.pnl_single(ACCOUNT, spx["conId"])
    assert (one["position"], one["value"] > 0) == (1, True)
    assert talk.pnl_single(ACCOUNT, 1)["position"] in {None, 0}
    assert talk.pnl(ACCOUNT)["daily"] < 0
    talk.cancel_pnl(ACCOUNT)


def looks_back(talk, spx, spy):
    """Executions by filter, each with its commission; what is done is listed as done."""
    for asked, symbols in (
        ({}, {"SPX", "SPY"}),
        ({"symbol": "SPY"}, {"SPY"}),
        ({"side": "BUY"}, {"SPX"}),
        ({"clientId": 7}, {"SPX", "SPY"}),
        ({"clientId": 9}, set()),
        ({"time": "20260219-14:40:00"}, {"SPX", "SPY"}),
        ({"time": "20260219 15:59:00 America/New_York"}, set()),
    ):
        fills = talk.executions(asked)
        assert {fill["contract"]["symbol"] for fill in fills} == symbols, asked
        assert all(fill["commission"] > 0 for fill in fills)
    done = {row["order"]["orderRef"]: row for row in talk.completed_orders()}
    assert {ref: row["status"] for ref, row in done.items()} == {"long": "Filled", "short": "Filled"}
    assert (done["long"]["contract"]["conId"], done["short"]["contract"]["conId"]) == (
        spx["conId"],
        spy["conId"],
    )
    assert (done["short"]["order"]["totalQuantity"], done["short"]["order"]["filledQuantity"]) == (10, 10)
    assert codes(talk) == []


def ends_orders(talk, spx, spy):
    """One by its id, the rest by the global cancel; a refused one says why."""
    first, second = (talk.place(spx, order("BUY", 1, price, ref)) for price, ref in ((0.5, "a"), (0.6, "b")))
    third = talk.place(spy, order("BUY", 2, 0.01, "c"))
    assert [row["order"]["orderRef"] for row in talk.all_open_orders()] == ["a", "b", "c"]
    assert talk.cancel(first["orderId"])["status"] == "Cancelled"
    talk.global_cancel()
    assert [talk.order(placed["orderId"])["status"] for placed in (second, third)] == [
        "Cancelled",
        "Cancelled",
    ]
    assert talk.all_open_orders() == []
    assert codes(talk) == [202, 202, 202]
    refused = talk.place(spx, order("BUY", 1, 0.53, "d"))
    assert (refused["fills"], codes(talk)) == ([], [110])
    assert {row["order"]["orderRef"] for row in talk.completed_orders()} == {"long", "short", "a", "b", "c"}
