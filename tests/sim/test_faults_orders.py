"""Faults of orders, fills and quotes, seen on the wire."""

import pytest
from clients import UNSET, Client, errors, kinds
from faulty import (
    CALL,
    SPY_CALL,
    at,
    buy,
    cancel,
    claims,
    commissions,
    executions,
    later,
    positions,
    prices,
    rest,
    statuses,
    ticks,
    watch,
)

from spxarb.sim.exchange.exchange import Exchange
from spxarb.sim.faults.script import read_script
from spxarb.sim.gateway import Gateway
from spxarb.sim.market.market import SyntheticDay

# --- orders ------------------------------------------------------------------------------------------------


@claims("refuse_order")
def test_a_good_order_is_not_placed(sim):
    gateway = sim(
        {"what": "refuse_order"},
        {"when": {"request": "place_order", "nth": 3}, "what": {"refuse_order": {"code": 103}}},
    )
    client = Client(gateway)
    assert 110 not in [code for _, code in errors(client.place(8, what_if=1))]
    assert errors(rest(client, 1)) == [(1, 110)]
    assert errors(rest(client, 2)) == [(2, 103)]
    assert kinds(rest(client, 3)) == [5, 3]


@claims("refuse_change")
@pytest.mark.parametrize("code", [104, 105, 110])
def test_a_change_is_refused_and_the_old_order_stays_live(sim, code):
    gateway = sim({"what": {"refuse_change": {"code": code}}})
    client = Client(gateway)
    rest(client)
    assert errors(client.place(1, "BUY", "11.0")) == [(1, code)]
    assert [state.ticket.limit for state in gateway.exchange.open_orders(1)] == [10.0]


@claims("refuse_cancel")
@pytest.mark.parametrize("code", [10147, 161])
def test_a_cancel_is_refused_and_the_order_stays_live(sim, code):
    gateway = sim({"what": {"refuse_cancel": {"code": code}}})
    client = Client(gateway)
    rest(client)
    assert (errors(cancel(client, 1)), len(gateway.exchange.open_orders(1))) == ([(1, code)], 1)


@claims("slow_cancel")
def test_a_cancel_is_slow_and_the_order_may_fill(sim):
    gateway = sim({"what": {"slow_cancel": {"seconds": 5}}})
    client = Client(gateway)
    rest(client)
    assert statuses(cancel(client, 1)) == ["PendingCancel"]
    assert len(gateway.exchange.open_orders(1)) == 1
    assert statuses(later(gateway, 5, client)) == ["Cancelled"]


@claims("fill_instead_of_cancel", "fill_after_cancel")
def test_a_fill_crosses_a_cancel(sim):
    gateway = sim({"what": {"fill_instead_of_cancel": {"seconds": 2}}})
    client = Client(gateway)
    rest(client)
    assert errors(cancel(client, 1)) == errors(cancel(client, 1)) == [(1, 10148)]
    assert errors(client.place(1, "BUY", "11.0")) == [(1, 104)]
    sent = later(gateway, 2, client)
    assert (statuses(sent)[-1], executions(sent)[0][1:], positions(client).popitem()[1]) == (
        "Filled",
        ("1", 10.0),
        1.0,
    )

    gateway = sim({"what": {"fill_after_cancel": {"seconds": 2, "quantity": 1}}})
    client = Client(gateway)
    rest(client, quantity=3)
    sent = cancel(client, 1)
    assert (statuses(sent), errors(sent)) == (["Cancelled"], [(1, 202)])
    sent = later(gateway, 2, client)
    assert (statuses(sent), executions(sent)[0][1]) == (["Cancelled"], "1")
    assert (gateway.exchange.open_orders(None), positions(client).popitem()[1]) == ([], 1.0)


@claims("fill_instead_of_cancel", "fill_after_cancel")
def test_no_fill_crosses_the_cancel_of_an_order_that_did_not_work_yet(sim):
    client = Client(sim({"what": "fill_after_cancel"}, {"what": "fill_instead_of_cancel"}))
    rest(client, after="20260129 15:50:00 US/Eastern")
    sent = cancel(client, 1)
    assert (statuses(sent), executions(sent)) == (["Cancelled"], [])


@claims("silent_cancel")
def test_a_cancelled_order_gets_no_status(sim):
    client = Client(sim({"what": "silent_cancel"}))
    rest(client)
    sent = cancel(client, 1)
    assert (statuses(sent), errors(sent)) == ([], [(1, 202)])


@claims("reject")
@pytest.mark.parametrize(
    ("status", "sent"), [("Inactive", ["Inactive"]), ("Cancelled", ["Cancelled"]), ("none", [])]
)
def test_an_order_is_rejected(sim, status, sent):
    gateway = sim({"what": {"reject": {"status": status, "reason": "so"}}})
    client = Client(gateway)
    received = rest(client)
    assert (errors(received), statuses(received), gateway.exchange.open_orders(None)) == (
        [(1, 201)],
        sent,
        [],
    )
    assert statuses(rest(client, 2)) == ["Submitted"]


@claims("margin_reject")
def test_an_order_is_rejected_for_margin(sim):
    client = Client(sim({"when": {"symbol": "SPY"}, "what": "margin_reject"}))
    assert statuses(rest(client)) == ["Submitted"]
    sent = client.place(2, "SELL", "3.0", contract=SPY_CALL)
    assert (errors(sent), statuses(sent)) == ([(2, 201)], ["Inactive"])
    assert any("INITIAL MARGIN" in fields[4] for fields in sent if fields[0] == "4")


@claims("inactive")
def test_an_inactive_order_becomes_live(sim):
    gateway = sim({"what": {"inactive": {"seconds": 5}}, "times": 1})
    client = Client(gateway)
    sent = buy(client)
    assert (statuses(sent), errors(sent), len(gateway.exchange.open_orders(1))) == (["Inactive"], [], 1)
    sent = later(gateway, 5, client)
    assert (statuses(sent)[-1], executions(sent)[0][1]) == ("Filled", "1")
    gateway = sim({"what": {"inactive": {"seconds": 5}}})
    client = Client(gateway)
    buy(client)
    assert statuses(cancel(client, 1)) == ["Cancelled"]
    assert statuses(later(gateway, 5, client)) == []


@claims("order_warning")
@pytest.mark.parametrize("code", [399, 404, 2109, 10349, 110, 161, 202])
def test_a_warning_about_a_live_order_changes_nothing(sim, code):
    gateway = sim({"when": {"order_ref": "r*"}, "what": {"order_warning": {"code": code}}})
    client = Client(gateway)
    sent = rest(client)
    assert (kinds(sent), errors(sent)) == ([5, 3, 4], [(1, code)])
    assert len(gateway.exchange.open_orders(1)) == 1


# --- fills -------------------------------------------------------------------------------------------------


@claims("hold_fills")
def test_orders_are_accepted_and_do_not_match_for_a_while(sim):
    gateway = sim({"what": "hold_fills", "for": 30})
    client = Client(gateway)
    assert statuses(buy(client)) == ["Submitted"]
    assert executions(later(gateway, 29, client)) == []
    assert [price for *_, price in executions(later(gateway, 1, client))] == [17.8]


@claims("hold_fills")
def test_the_order_that_fired_a_fault_is_the_one_concerned(sim):
    client = Client(sim({"when": {"request": "place_order", "nth": 2}, "what": "hold_fills"}))
    assert [len(executions(buy(client, number))) for number in (1, 2, 3)] == [1, 0, 1]


@claims("partial_fills")
def test_orders_fill_in_portions(sim):
    gateway = sim({"what": {"partial_fills": {"sizes": [1, 2], "pause_seconds": 5}}})
    client = Client(gateway)
    assert [shares for _, shares, _ in executions(buy(client, quantity=5))] == ["1"]
    assert executions(later(gateway, 4, client)) == []
    sent = later(gateway, 11, client)
    assert [shares for _, shares, _ in executions(sent)] == ["2", "2"]
    assert statuses(sent)[-1] == "Filled"
    gateway = sim({"what": {"partial_fills": {"sizes": [1], "rest": False}}})
    client = Client(gateway)
    buy(client, quantity=2)
    assert executions(later(gateway, 59, client)) == []


def order_of_news(frames):
    return [f"{fields[0]} {fields[94] if fields[0] == '5' else fields[2] if fields[0] == '3' else ''}".strip()
            for fields in frames if fields[0] in {"3", "5", "11"}]  # fmt: skip


@claims("status_first", "status_only", "execution_first", "execution_only")
def test_the_messages_about_a_fill_come_in_another_order(sim):
    usual = order_of_news(buy(Client(sim())))
    assert usual.index("11") < usual.index("3 Filled")
    sent = order_of_news(buy(Client(sim({"what": "status_first"}))))
    assert (sent.index("3 Filled") < sent.index("11"), sorted(sent)) == (True, sorted(usual))
    sent = buy(Client(sim({"what": "status_only"})))
    assert ("3 Filled" in order_of_news(sent), executions(sent), 59 in kinds(sent)) == (True, [], False)
    sent = order_of_news(buy(Client(sim({"what": "execution_first"}))))
    assert (sent[0], sorted(sent)) == ("11", sorted(usual))
    assert order_of_news(buy(Client(sim({"what": "execution_only"})))) == ["11"]


@claims("late_commission", "no_commission", "unset_commission", "commission_twice")
def test_commissions_are_late_missing_unset_or_empty_first(sim):
    (usual,) = commissions(buy(Client(sim())))
    gateway = sim({"what": {"late_commission": {"seconds": 4}}})
    client = Client(gateway)
    assert (commissions(buy(client)), commissions(later(gateway, 4, client))) == ([], [usual])
    client = Client(sim({"what": "no_commission"}))
    assert commissions(buy(client)) == commissions(client.ask(7, 3, 1, 0, "", "", "", "", "", "")) == []
    assert commissions(buy(Client(sim({"what": "unset_commission"})))) == [UNSET]
    assert commissions(buy(Client(sim({"what": "commission_twice"})))) == [UNSET, usual]
    gateway = sim({"what": {"commission_twice": {"seconds": 3, "form": "zero"}}})
    client = Client(gateway)
    assert (commissions(buy(client)), commissions(later(gateway, 3, client))) == (["0.0"], [usual])


@claims("commission_after_list")
def test_the_commissions_of_a_list_come_after_its_end(sim):
    client = Client(sim({"what": "commission_after_list"}))
    assert len(commissions(buy(client))) == 1
    assert kinds(client.ask(7, 3, 1, 0, "", "", "", "", "", "")) == [11, 55, 59]


@claims("correction")
def test_an_execution_is_corrected(sim):
    gateway = sim(
        {"when": {"message": "execution"}, "what": {"correction": {"price_change": -0.5}}, "after_seconds": 3}
    )
    client = Client(gateway)
    ((first, *_),) = executions(buy(client))
    cash = gateway.exchange.account_values()["TotalCashValue"]
    ((second, shares, price),) = executions(later(gateway, 3, client))
    assert (first[:-2], first[-2:], second[-2:]) == (second[:-2], "01", "02")
    assert (shares, price) == ("1", 17.3)
    assert float(gateway.exchange.account_values()["TotalCashValue"]) == float(cash) + 50
    assert [row[0] for row in executions(client.ask(7, 3, 1, 0, "", "", "", "", "", ""))] == [first, second]
    assert [fill.exec_id for fill in gateway.exchange.fills()] == [second]


@claims("correction")
def test_a_correction_of_the_quantity_changes_the_position(sim):
    what = {"correction": {"quantity": 2, "listed": "corrected"}}
    gateway = sim({"when": {"message": "execution"}, "what": what})
    client = Client(gateway)
    sent = buy(client, quantity=3)
    assert [row[1:] for row in executions(sent)] == [("3", 17.8), ("2", 17.8)]
    assert list(positions(client).values()) == [2.0]
    assert len(executions(client.ask(7, 3, 1, 0, "", "", "", "", "", ""))) == 1


@claims("bust")
def test_an_execution_is_undone(sim):
    gateway = sim({"when": {"message": "execution"}, "what": "bust", "after_seconds": 1})
    client = Client(gateway)
    client.ask(61, 1)
    buy(client)
    sent = later(gateway, 1, client)
    assert [row[1] for row in executions(sent)] == ["0"]
    assert positions(client) == {}
    assert float(gateway.exchange.account_values()["TotalCashValue"]) == 1_000_000


@claims("foreign_order", "foreign_fill", "foreign_position")
def test_others_trade_the_same_contract(sim):
    gateway = sim({"when": {"request": "place_order"}, "what": "foreign_order"})
    client = Client(gateway)
    assert kinds(rest(client)) == [5, 3]
    assert [fields[9] for fields in client.ask(16, 1) if fields[0] == "3"] == ["1", "99"]
    assert [fields[9] for fields in client.ask(5, 1) if fields[0] == "3"] == ["1"]

    gateway = sim({"when": {"request": "place_order"}, "what": {"foreign_fill": {"quantity": 2}}})
    client = Client(gateway)
    rest(client)
    assert list(positions(client).values()) == [2.0]
    assert [fields[22] for fields in client.ask(7, 3, 1, 0, "", "", "", "", "", "") if fields[0] == "11"] == [
        "99"
    ]
    gateway = sim(
        {"when": {"request": "place_order"}, "what": {"foreign_fill": {"side": "SELL", "told": True}}}
    )
    sent = buy(Client(gateway))
    assert [fields[22] for fields in sent if fields[0] == "11"] == ["1", "99"]

    gateway = sim(
        {"when": {"message": "execution"}, "what": {"foreign_position": {"side": "SELL", "quantity": 3}}}
    )
    client = Client(gateway)
    buy(client)
    assert list(positions(client).values()) == [-2.0]
    assert len(gateway.exchange.fills()) == 1


# --- quotes ------------------------------------------------------------------------------------------------


@claims("no_quotes")
def test_there_is_no_bid_no_ask_or_neither(sim):
    shown = prices(watch(Client(sim({"what": "no_quotes"}))))
    assert (shown[1], shown[2]) == ((-1.0, "0"), (-1.0, "0"))
    shown = prices(watch(Client(sim({"what": {"no_quotes": {"side": "ask", "form": "zero"}}}))))
    assert (shown[1][0], shown[2]) == (17.5, (0.0, "0"))
    gateway = sim({"when": {"symbol": "SPY"}, "what": "no_quotes", "for": 5})
    client = Client(gateway)
    assert prices(watch(client))[1][0] == 17.5
    assert prices(watch(client, 2, SPY_CALL))[1] == (-1.0, "0")
    assert prices(later(gateway, 5, client))[1][0] == 2.05


@claims("wrong_tick", "no_quotes")
def test_a_wrong_price_of_one_contract_lasts_for_seconds_and_the_right_one_follows(sim):
    call = con_id(sim(), CALL)
    wrong = {"when": {"con_id": call}, "what": {"wrong_tick": {"by": 10, "side": "ask"}}, "for": 2}
    missing = {"when": {"con_id": con_id(sim(), SPY_CALL)}, "what": {"no_quotes": {"side": "bid"}}}
    gateway = sim(wrong, missing)
    client = Client(gateway)
    shown = ticks(watch(client))
    assert (shown[1], shown[2]) == (17.5, 27.8)
    shown = ticks(watch(client, 2, SPY_CALL))
    assert (shown[1], shown[2]) == (-1.0, 2.06)
    assert ticks(later(gateway, 2, client))[2] == 17.8


def con_id(gateway, contract):
    """The number of the contract that these fields describe."""
    (found,) = gateway.market.find(
        contract[1], "OPT", strike=float(contract[4]), right="C", trading_class=contract[11]
    )
    return found.con_id


@claims("crossed")
def test_the_bid_is_above_the_ask(sim):
    shown = ticks(watch(Client(sim({"what": "crossed"}))))
    assert (shown[1], shown[2]) == (17.85, 17.8)


@claims("stale")
def test_quotes_do_not_change(sim):
    gateway = sim({"when": {"at": "09:40:30"}, "what": "stale", "for": 60})
    client = Client(gateway)
    watch(client)
    assert ticks(later(gateway, 80, client)) == {}
    assert ticks(watch(client, 2))[2] == 17.8
    assert ticks(later(gateway, 10, client))[2] == 16.6


@claims("old_last")
def test_the_last_price_says_that_it_is_old(sim):
    stock = ("0", "SPY", "STK", "", "0.0", "", "", "SMART", "ARCA", "USD", "", "")
    frames = watch(Client(sim({"what": {"old_last": {"seconds": 90}}})), contract=stock)
    (told,) = [int(fields[4]) for fields in frames if fields[0] == "46" and fields[3] == "45"]
    assert told == int(at("09:40").timestamp()) - 90


@claims("zero_size")
@pytest.mark.parametrize(
    ("side", "sizes"), [("both", ["0", "0"]), ("bid", ["0", "50"]), ("ask", ["50", "0"])]
)
def test_a_price_is_shown_with_a_size_of_nothing(sim, side, sizes):
    frames = watch(Client(sim({"what": {"zero_size": {"side": side}}})))
    shown = ticks(frames)
    assert (shown[1], shown[2]) == (17.5, 17.8)
    assert [fields[5] for fields in frames if fields[0] == "1" and fields[3] in {"1", "2"}] == sizes


@claims("odd_contract")
@pytest.mark.parametrize("form", ["double", "missing", "unreadable", "multiplier", "no_rule"])
def test_one_strike_is_listed_oddly_and_the_others_as_they_are(sim, form):
    client = Client(sim({"what": {"odd_contract": {"strike": 6975, "form": form}}}))
    rows = [fields for fields in client.ask(9, 8, 1, *CALL, 0, "", "", "") if fields[0] == "10"]
    ids, multipliers = [fields[12] for fields in rows], [fields[14] for fields in rows]
    assert len(rows) == len(set(ids)) == {"double": 2, "missing": 0}.get(form, 1)
    assert [fields[13] for fields in rows] == (["n/a"] if form == "unreadable" else ["0.05"] * len(rows))
    assert multipliers == (["10"] if form == "multiplier" else ["100"] * len(rows))
    assert [fields[34] for fields in rows] == (["239,239"] if form != "no_rule" else [""]) * len(rows)
    spy = client.ask(9, 8, 2, *SPY_CALL, 0, "", "", "")
    assert [fields[14] for fields in spy if fields[0] == "10"] == ["100"]


@claims("delayed")
def test_data_is_delayed_from_a_moment_on(sim):
    gateway = sim({"when": {"at": "09:41:30"}, "what": "delayed"})
    client = Client(gateway)
    assert 1 in ticks(watch(client))
    later(gateway, 60, client)
    sent = later(gateway, 60, client)
    assert errors(sent) == [(1, 10167)]
    assert [fields[3] for fields in sent if fields[0] == "58"] == ["3"]
    assert (ticks(sent)[66], 1 in ticks(sent)) == (17.5, False)
    assert errors(watch(client, 2, SPY_CALL)) == [(2, 10167)]


@claims("delayed", "no_quotes")
def test_data_is_marked_as_delayed_without_being_old_or_announced(sim):
    gateway = sim({"what": {"delayed": {"minutes": 0, "told": False}}})
    client = Client(gateway)
    gateway.advance(at("09:41"))
    shown = watch(client)
    assert (errors(shown), ticks(shown)[66], ticks(shown)[67]) == ([], 16.4, 16.6)
    assert ["58", "1", "1", "3"] in shown
    shown = watch(Client(sim("no_quotes", {"what": {"delayed": {"told": False}}})))
    assert ["1", "6", "1", "66", "-1.0", "0", "0"] in shown


@claims("unsubscribed")
def test_an_account_without_live_data_gets_delayed_data_where_its_client_takes_it(sim):
    gateway = sim("unsubscribed")
    client = Client(gateway)
    sent = watch(client)
    assert (errors(sent), ticks(sent)) == ([(1, 354)], {})
    client.ask(59, 1, 3)
    sent = watch(client, 2)
    assert (errors(sent), ticks(sent)[66], 1 in ticks(sent)) == ([(2, 10167)], 17.5, False)


@claims("competing_session")
def test_a_competing_session_stops_the_data_and_ends(sim):
    gateway = sim({"when": {"at": "09:40:30"}, "what": "competing_session", "for": 60})
    client = Client(gateway)
    watch(client)
    sent = later(gateway, 70, client)
    assert (errors(sent), ticks(sent)) == ([(1, 10197)], {})
    sent = watch(client, 2, SPY_CALL)
    assert (errors(sent), ticks(sent)) == ([(2, 10197)], {})
    assert errors(later(gateway, 10, client)) == []
    assert {int(fields[2]) for fields in later(gateway, 60, client) if fields[0] == "1"} == {1, 2}


@claims("halted")
def test_in_a_halt_the_line_says_so_and_nothing_fills(sim):
    gateway = sim({"what": {"halted": {"quotes": False}}, "for": 5})
    client = Client(gateway)
    shown = ticks(watch(client))
    assert (shown[49], shown[1]) == (1.0, -1.0)
    assert executions(buy(client)) == []
    sent = later(gateway, 5, client)
    assert (ticks(sent)[49], ticks(sent)[1], len(executions(sent))) == (0.0, 17.5, 1)


@claims("no_data")
def test_lines_are_refused(sim):
    client = Client(sim({"what": "no_data", "for": 5}))
    assert errors(watch(client, 3)) == [(3, 354)]


def computations(frames):
    """(tick id, volatility, delta) of every option computation."""
    return [(int(fields[2]), float(fields[4]), float(fields[5])) for fields in frames if fields[0] == "21"]


@claims("no_greeks")
def test_greeks_are_missing_and_come_again():
    """A recorded day has none: this one is made up."""
    day = at("09:40").date()
    market = SyntheticDay(day)
    call = market.find("SPY", "OPT", day, None, "C")[0]
    gateway = Gateway(market, Exchange(market), "SIM0000001", at("09:40"))
    gateway.faults.play(read_script([{"what": "no_greeks", "for": 5}]))
    client = Client(gateway)
    shown = watch(client, 1, ("0", "SPY", "OPT", f"{day:%Y%m%d}", call.strike, *SPY_CALL[5:]))
    assert computations(shown) == []
    assert ticks(shown)[1] > 0
    assert {found[0] for found in computations(later(gateway, 30, client))} >= {10, 11, 13}


@claims("no_greeks")
@pytest.mark.parametrize(
    ("form", "figures"), [("not_computed", (-1, -2)), ("unset", (float(UNSET), float(UNSET)))]
)
def test_greeks_that_are_not_computed_say_so(sim, form, figures):
    shown = computations(watch(Client(sim({"what": {"no_greeks": {"form": form}}}))))
    assert {figures} == {found[1:] for found in shown}
    assert 13 in {found[0] for found in shown}
