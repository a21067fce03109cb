"""What real gateways were seen to do, played by scripts and read over a real socket."""

import pytest
from clients import errors, kinds
from faulty import SPY_CALL, at, buy, cancel, claims, commissions, executions, positions, rest, statuses


def after(sim, seconds, client):
    """Let the time pass; what the client was sent."""
    sim.control.advance(seconds)
    return client.read()


def listed(client):
    """The rows of an answer to reqExecutions."""
    return client.ask(7, 3, 1, 0, "", "", "", "", "", "")


def completed(client):
    """(status, completedStatus, completedTime) of every completed order."""
    return [(row[77], row[95], row[94]) for row in client.ask(99, 0) if row[0] == "101"]


def execution(frames):
    """Order id, client id, liquidation flag, side, quantity and reference of every execution."""
    return [(row[2], row[22], row[23], row[18], row[19], row[26]) for row in frames if row[0] == "11"]


# --- the broker's own acts -----------------------------------------------------------------------------------


@claims("liquidation")
def test_the_broker_liquidates_a_position_in_parts_under_order_id_minus_1(live):
    what = {
        "liquidation": {"symbol": "SPX", "quantity": 3, "sizes": [1, 1], "pause_seconds": 2, "told": True}
    }
    sim = live({"when": {"at": "09:40:10"}, "what": what})
    client = sim.client()
    buy(client, quantity=5)
    client.ask(61, 1)
    sent = after(sim, 10, client)
    assert execution(sent) == [("-1", "0", "1", "SLD", "1", "")]
    assert [row[14] for row in sent if row[0] == "61"] == ["4"]
    sent = after(sim, 4, client)
    assert execution(sent) == [("-1", "0", "1", "SLD", "1", "")] * 2
    row = [row for row in sent if row[0] == "11"][-1]
    assert (int(row[21]) > 0, row[24], float(row[20])) == (True, "3", 17.5)
    assert (statuses(sent), len(commissions(sent)), list(positions(client).values())) == ([], 2, [2.0])
    assert execution(listed(client))[1:] == execution(sent)[:1] * 3


@claims("liquidation")
def test_the_broker_liquidates_now_and_tells_nobody_but_client_0(live):
    sim = live()
    client, master = sim.client(), sim.client(0)
    client.place(1, "SELL", "2.05", contract=SPY_CALL)
    sim.control.script([{"what": "liquidation"}])
    assert (execution(client.read()), positions(client)) == ([], {})
    assert execution(master.read()) == [("-1", "0", "1", "BOT", "1", "")]


@claims("foreign_position")
def test_the_account_goes_flat_or_holds_more_and_no_execution_says_why(live):
    sim = live({"when": {"at": "09:40:05"}, "what": {"foreign_position": {"flat": True}}})
    client = sim.client()
    buy(client, quantity=2)
    client.place(2, "SELL", "2.05", contract=SPY_CALL, quantity=3)
    sent = after(sim, 5, client)
    assert (executions(sent), positions(client)) == ([], {})
    sim.control.script([{"what": {"foreign_position": {"quantity": 4, "side": "SELL"}}}])
    assert (list(positions(client).values()), len(execution(listed(client)))) == ([-4.0], 2)


@claims("foreign_position")
def test_one_position_vanishes_and_the_other_stays(live):
    sim = live()
    client = sim.client()
    buy(client)
    client.place(2, "SELL", "2.05", contract=SPY_CALL)
    sim.control.script([{"what": {"foreign_position": {"flat": True, "symbol": "SPY"}}}])
    assert list(positions(client)) == ["SPXW  260129C06975000"]


@claims("error")
def test_the_account_is_warned_of_a_liquidation(live):
    sim = live(
        {"when": {"at": "09:40:05"}, "what": {"error": {"code": 2148}}},
        {"when": {"at": "09:40:05"}, "what": {"error": {"code": 10141, "text": "Haftungsausschluß"}}},
    )
    sent = after(sim, 5, sim.client())
    assert errors(sent) == [(-1, 2148), (-1, 10141)]
    assert sent[0][4].startswith("URGENT")
    assert sent[1][4] == "Haftungsausschlu\\u00df"


# --- references ----------------------------------------------------------------------------------------------


@claims("no_reference")
def test_messages_come_without_the_reference_and_executions_without_the_permanent_id(live):
    client = live({"what": {"no_reference": {"perm_id": "zero"}}}).client()
    sent = buy(client, ref="mine")
    for frames in (sent, listed(client)):
        (row,) = [row for row in frames if row[0] == "11"]
        assert (row[2], row[21], row[22], row[26]) == ("1", "0", "1", "")
    assert {row[23] for row in sent if row[0] == "5"} == {""}
    assert [row[22] for row in client.ask(99, 0) if row[0] == "101"] == [""]


@claims("no_reference")
def test_only_the_executions_of_some_orders_come_without_the_reference(live):
    what = {"no_reference": {"messages": "execution", "order_ref": "*:X:*"}}
    client = live({"what": what}).client()
    sent = [*buy(client, 1, ref="t1:E:1"), *buy(client, 2, ref="t1:X:1")]
    assert [(row[2], row[26], row[21] != "0") for row in sent if row[0] == "11"] == [
        ("1", "t1:E:1", True),
        ("2", "", True),
    ]
    assert {row[23] for row in sent if row[0] == "5"} == {"t1:E:1", "t1:X:1"}


# --- refusals ------------------------------------------------------------------------------------------------


@claims("rejected_but_held", "reject")
@pytest.mark.parametrize(
    ("sequence", "order"), [("status_first", [5, 3, 4, 5, 3]), ("error_first", [4, 5, 3])]
)
def test_an_order_is_rejected_and_held_all_the_same(live, sequence, order):
    sim = live({"what": {"rejected_but_held": {"sequence": sequence, "seconds": 2}}})
    client = sim.client()
    sent = buy(client, quantity=2)
    assert (kinds(sent), set(statuses(sent)), errors(sent)) == (order, {"Inactive"}, [(1, 201)])
    assert (completed(client)[0][0], positions(client)) == ("Cancelled", {})
    sent = after(sim, 2, client)
    assert (executions(sent), executions(listed(client)), list(positions(client).values())) == ([], [], [2.0])


@claims("margin_reject")
def test_a_rejection_for_margin_is_inactive_before_and_after_the_error(live):
    client = live({"what": {"margin_reject": {"sequence": "status_first"}}}).client()
    sent = rest(client)
    assert (kinds(sent), statuses(sent)) == ([5, 3, 4, 5, 3], ["Inactive", "Inactive"])


@claims("reject", "refuse_order")
@pytest.mark.parametrize("code", [451, 478, 2139, 383])
def test_an_order_is_refused_with_any_code_and_text(live, code):
    text = "Überschreitet das Limit.<br>Bitte prüfen"
    sim = live(
        {"when": {"symbol": "SPX"}, "what": {"refuse_order": {"code": code, "text": text}}},
        {"when": {"symbol": "SPY"}, "what": {"reject": {"code": code, "reason": text}}},
    )
    client = sim.client()
    sent = rest(client)
    assert (kinds(sent), errors(sent)) == ([4], [(1, code)])
    assert sent[0][4] == "\\u00dcberschreitet das Limit.<br>Bitte pr\\u00fcfen"
    sent = client.place(2, "BUY", "1.0", contract=SPY_CALL)
    assert (kinds(sent), errors(sent), statuses(sent)) == ([4, 5, 3], [(2, code)], ["Inactive"])
    assert sent[0][4].endswith("<br>Bitte pr\\u00fcfen")


def test_completed_orders_are_listed_as_cancelled_with_the_reason_lost(live):
    sim = live({"when": {"symbol": "SPY"}, "what": "reject"})
    client = sim.client()
    buy(client, 1)
    rest(client, 2)
    cancel(client, 2)
    assert statuses(client.place(3, "BUY", "1.0", contract=SPY_CALL)) == ["Inactive"]
    client.place(4, "BUY", "10.0", tif="IOC")
    ended = "20260129 09:40:00 US/Eastern"
    assert completed(client) == [
        ("Filled", "Filled Size: 1", ended),
        ("Cancelled", "Cancelled by Trader", ended),
        ("Cancelled", "Cancelled by System:\n", ended),
        ("Cancelled", "Cancelled by System:\n", ended),
    ]


# --- orders on both sides ------------------------------------------------------------------------------------

SLEEPING = "20260129 15:58:00 US/Eastern"


@claims("both_sides")
def test_an_option_has_no_open_orders_on_both_sides(live):
    sim = live({"what": {"both_sides": {"rule": "all"}}})
    client, other = sim.client(), sim.client(2)
    rest(client)
    for number, terms in ((1, {}), (2, {"what_if": 1})):
        sent = other.place(number, "SELL", "17.5", **terms)
        assert errors(sent) == [(number, 201)]
        assert "both sides of the same US Option contract" in sent[0][4]
    assert statuses(other.place(3, "BUY", "9.0")) == ["Submitted"]
    assert statuses(other.place(4, "SELL", "3.0", contract=SPY_CALL)) == ["Submitted"]
    assert errors(other.place(5, "BUY", "1.0", contract=SPY_CALL)) == [(5, 201)]
    cancel(client, 1), cancel(other, 3)
    assert statuses(other.place(6, "SELL", "17.5"))[-1] == "Filled"


@claims("both_sides")
@pytest.mark.parametrize(("rule", "code"), [("all", [(2, 201)]), ("active", []), ("off", [])])
def test_an_order_inactive_until_its_time_counts_or_does_not(live, rule, code):
    client = live({"what": {"both_sides": {"rule": rule}}}).client()
    rest(client, after=SLEEPING)
    assert errors(client.place(2, "SELL", "17.5")) == code


# --- silence -------------------------------------------------------------------------------------------------


@claims("silent_order")
@pytest.mark.parametrize("seconds", [8, 12, 30, 53, 120])
def test_an_order_is_silent_and_fills_after_later_ones(live, seconds):
    sim = live({"when": {"request": "place_order"}, "what": {"silent_order": {"seconds": seconds}}})
    client = sim.client()
    assert buy(client, 35) == []
    assert statuses(buy(client, 36))[-1] == "Filled"
    assert kinds(client.ask(16, 1)) == [53]
    assert client.ask(8, 1, 1) == [["9", "1", "37"]]
    assert after(sim, seconds - 1, client) == []
    sent = after(sim, 1, client)
    assert (errors(sent), statuses(sent)[-1], len(executions(sent))) == ([], "Filled", 1)


@claims("silent_order")
@pytest.mark.parametrize(("cancel_is", "answer"), [("unanswered", []), ("unknown", [(1, 10147)])])
def test_a_silent_order_is_cancelled_without_effect_and_fills_all_the_same(live, cancel_is, answer):
    sim = live(
        {"when": {"request": "place_order"}, "what": {"silent_order": {"seconds": 30, "cancel": cancel_is}}}
    )
    client = sim.client()
    buy(client)
    assert errors(cancel(client, 1)) == answer
    client.close()
    sim.control.advance(31)
    assert [row[2] for row in execution(listed(sim.client(2)))] == ["0"]


@claims("silent_order")
def test_changes_and_cancels_wait_behind_a_silent_order(live):
    sim = live(
        {"when": {"request": "place_order"}, "what": {"silent_order": {"seconds": 12, "cancel": "late"}}}
    )
    client = sim.client()
    assert (rest(client), client.place(1, "BUY", "11.0"), cancel(client, 1)) == ([], [], [])
    sent = after(sim, 12, client)
    assert [row[16] for row in sent if row[0] == "5"] == ["10.0", "11.0", "11.0"]
    assert (statuses(sent), errors(sent)) == (["Submitted", "Submitted", "Cancelled"], [(1, 202)])


@claims("silent_order")
def test_an_id_is_spent_by_its_order_alone(live):
    client = live().client()
    assert [statuses(rest(client, number)) for number in (7, 5)] == [["Submitted"], ["Submitted"]]
    cancel(client, 5)
    assert errors(rest(client, 5)) == [(5, 103)]


# --- time ----------------------------------------------------------------------------------------------------


def times(frames):
    return [row[15] for row in frames if row[0] == "11"]


@claims("gateway_zone")
@pytest.mark.parametrize(
    ("where", "written"),
    [
        ({"zone": "US/Eastern"}, "20260129 09:40:00 US/Eastern"),
        ({"zone": "US/Central"}, "20260129 08:40:00 US/Central"),
        ({"zone": "Europe/Berlin", "written": "Central European Standard Time"}, "20260129 15:40:00 Central European Standard Time"),
        ({"zone": "Europe/Berlin", "written": "Mitteleurop\ufffdische Zeit"}, "20260129 15:40:00 Mitteleurop\\ufffdische Zeit"),
        ({"zone": "Europe/Berlin", "written": "MET"}, "20260129 15:40:00 MET"),
        ({"zone": "Asia/Singapore", "written": "SGT"}, "20260129 22:40:00 SGT"),
        ({"zone": "Asia/Tokyo", "written": "JST"}, "20260129 23:40:00 JST"),
        ({"zone": "Asia/Tokyo", "form": "bare"}, "20260129  23:40:00"),
        ({"zone": "Asia/Tokyo", "form": "dash"}, "20260129-14:40:00"),
    ],
)  # fmt: skip
def test_executions_have_the_time_of_the_gateways_zone(live, where, written):
    client = live({"what": {"gateway_zone": where}}).client()
    assert times(buy(client)) == times(listed(client)) == [written]


@claims("gateway_zone")
@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("Asia/Tokyo", "10:00"),
        ("Asia/Hong_Kong", "11:00"),
        ("Europe/Berlin", "18:00"),
        ("America/New_York", None),
    ],
)
def test_executions_are_listed_from_the_midnight_of_the_gateways_zone(live, zone, midnight):
    sim = live({"what": {"gateway_zone": {"zone": zone}}})
    client = sim.client()
    buy(client)
    sim.control.set_time(at(midnight or "23:59"))
    assert len(times(listed(client))) == (0 if midnight else 1)


# --- lists ---------------------------------------------------------------------------------------------------


@claims("foreign_rows")
def test_lists_have_odd_rows_of_others(live):
    client = live({"what": "foreign_rows"}).client()
    orders = client.ask(16, 1)
    assert {"SSHORT", ""} <= {row[13] for row in orders if row[0] == "5"}
    assert {"1.7976931348623157E308", "0.3721", ""} <= {row[14] for row in orders if row[0] == "5"}
    assert {"-7", "0"} == {row[1] for row in orders if row[0] == "3"}
    assert ("", "BAG") in {(row[2], row[4]) for row in orders if row[0] == "5"}
    assert "PASSV REL" in {row[15] for row in orders if row[0] == "5"}
    assert kinds(client.ask(5, 1)) == [53]
    for answer, kind, place in ((client.ask(99, 0), "101", 12), (listed(client), "11", 18)):
        assert {"SSHORT", "", "SELL" if kind == "101" else "SLD"} == {
            row[place] for row in answer if row[0] == kind
        }
    assert {row[14] for row in client.ask(61, 1) if row[0] == "61"} >= {
        "-100",
        "0.3721",
        "",
        "1.7976931348623157E308",
    }


@claims("foreign_rows")
def test_one_odd_row_alone_is_listed(live):
    client = live({"what": {"foreign_rows": {"form": "fraction"}}}).client()
    assert [row[19] for row in listed(client) if row[0] == "11"] == ["0.3721"]


@claims("ignore")
@pytest.mark.parametrize(
    ("name", "question"), [("completed_orders", (99, 0)), ("executions", (7, 3, 1, 0, *[""] * 6))]
)
def test_a_list_never_comes(live, name, question):
    client = live({"what": {"ignore": {"requests": name}}, "for": "always"}).client()
    buy(client)
    assert client.ask(*question) == []


@claims("late_executions", "status_only")
def test_an_order_is_filled_and_its_executions_are_never_listed(live):
    client = live("status_only", {"what": {"late_executions": {"seconds": 604800}}}).client()
    sent = buy(client)
    assert (statuses(sent)[-1], executions(sent), kinds(listed(client))) == ("Filled", [], [55])
    assert list(positions(client).values()) == [1.0]


@claims("late_positions")
def test_positions_lag_behind_executions(live):
    sim = live({"what": {"late_positions": {"seconds": 3}}})
    client = sim.client()
    assert positions(client) == {}
    sent = buy(client)
    assert (len(executions(sent)), kinds(client.ask(61, 1))) == (1, [62])
    assert [row[14] for row in after(sim, 3, client) if row[0] == "61"] == ["1"]
    client.place(2, "SELL", "17.5")
    assert list(positions(client).values()) == [1.0]
    assert [row[14] for row in after(sim, 3, client) if row[0] == "61"] == ["0"]
    assert positions(client) == {}


@claims("position_first")
def test_the_position_comes_before_the_execution(live):
    sim = live({"what": {"position_first": {"seconds": 2}}})
    client = sim.client()
    client.ask(61, 1)
    sent = buy(client)
    assert ([row[14] for row in sent if row[0] == "61"], executions(sent), commissions(sent)) == (
        ["1", "1"],
        [],
        [],
    )
    assert (kinds(listed(client)), kinds(client.ask(16, 1)), list(positions(client).values())) == (
        [55],
        [53],
        [1.0],
    )
    sent = after(sim, 2, client)
    assert (statuses(sent)[-1], len(executions(sent)), len(commissions(sent))) == ("Filled", 1, 1)
    assert kinds(listed(client)) == [11, 59, 55]

    client = live({"what": "position_first"}).client()
    client.ask(61, 1)
    order = [kind for kind in kinds(buy(client)) if kind in {11, 61}]
    assert order == [61, 11, 61]


# --- commissions ---------------------------------------------------------------------------------------------


@claims("late_commission")
@pytest.mark.parametrize("seconds", [0.3, 10])
def test_a_commission_is_late_and_a_list_does_not_wait_for_it(live, seconds):
    sim = live({"what": {"late_commission": {"seconds": seconds}}})
    client, other = sim.client(), sim.client(2)
    assert commissions(buy(client)) == []
    assert (kinds(listed(client)), kinds(listed(other))) == ([11, 55], [11, 55])
    sim.control.advance(seconds)
    assert (len(commissions(client.read())), len(commissions(other.read()))) == (1, 1)
    assert kinds(listed(client)) == [11, 59, 55]


@claims("no_commission")
def test_a_commission_comes_only_at_the_next_connection(live):
    client = (sim := live({"what": {"no_commission": {"until": "reconnect"}}})).client()
    assert (commissions(buy(client)), kinds(listed(client))) == ([], [11, 55])
    assert commissions(after(sim, 60, client)) == []
    assert kinds(listed(sim.client(2))) == [11, 59, 55]


@claims("correction")
def test_a_corrected_execution_keeps_its_commission(live):
    what = {"correction": {"price": 17.7, "commission": "once"}}
    sim = live({"when": {"message": "execution"}, "what": what, "after_seconds": 1})
    client = sim.client()
    ((first, *_),) = executions(buy(client))
    sent = after(sim, 1, client)
    assert ([price for *_, price in executions(sent)], commissions(sent)) == ([17.7], [])
    rows = listed(client)
    assert [row[14] for row in rows if row[0] == "11"] == [first, f"{first[:-2]}02"]
    assert {row[2] for row in rows if row[0] == "59"} == {first}
