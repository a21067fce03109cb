"""Faults of connections, messages and their values, seen on the wire."""

import pytest
from clients import CALL, SPX, UNSET, Client, errors, kinds
from faulty import (
    at,
    buy,
    cancel,
    claims,
    details,
    executions,
    later,
    positions,
    rest,
    statuses,
    ticks,
    watch,
)

from spxarb.sim.api.wire import frame, prefixed
from spxarb.sim.faults.readers import MESSAGES
from spxarb.sim.faults.script import read_script

# --- connections -------------------------------------------------------------------------------------------


@claims("silent_accept")
def test_a_connection_is_accepted_and_nothing_is_sent(sim):
    gateway = sim({"what": "silent_accept", "for": 10})
    session = gateway.connect()
    session.receive_data(b"API\0" + prefixed(b"v100..176"))
    assert (session.data_to_send(), session.closed) == (b"", False)
    gateway.advance(at("09:40:10"))
    assert kinds(Client(gateway).welcome)[:2] == [15, 9]


@claims("client_id_taken")
def test_a_client_id_is_taken_once(sim):
    gateway = sim({"what": "client_id_taken"})
    client = Client(gateway)
    assert (errors(client.welcome), client.session.closed) == ([(-1, 326)], True)
    assert kinds(Client(gateway).welcome)[:2] == [15, 9]


@claims("close")
@pytest.mark.parametrize(
    ("entry", "sent", "placed"),
    [
        ({"when": {"request": "place_order"}, "what": "close"}, [], 0),
        ({"when": {"request": "place_order"}, "what": {"close": {"point": "unanswered"}}}, [], 1),
        ({"when": {"request": 3}, "what": {"close": {"point": "after"}}}, [5, 3], 1),
        ({"when": {"message": "order_status"}, "what": "close"}, [5], 1),
        ({"when": {"message": 3}, "what": {"close": {"point": "after"}}}, [5, 3], 1),
    ],
)
def test_a_connection_ends_around_an_order(sim, entry, sent, placed):
    gateway = sim(entry)
    client = Client(gateway)
    assert (kinds(rest(client)), client.session.closed) == (sent, True)
    assert len(gateway.exchange.open_orders(None)) == placed
    assert not Client(gateway).session.closed


@claims("close")
def test_a_connection_ends_at_start_api_or_at_a_time(sim):
    gateway = sim(
        {"when": {"request": "start_api"}, "what": "close"}, {"when": {"at": "09:41"}, "what": "close"}
    )
    client = Client(gateway)
    assert (client.welcome, client.session.closed) == ([], True)
    second = Client(gateway)
    later(gateway, 61, second)
    assert second.session.closed
    assert not Client(gateway).session.closed


@claims("restart")
def test_a_restart_ends_every_connection_and_refuses_new_ones(sim):
    gateway = sim({"when": {"at": "09:41"}, "what": "restart", "for": 60})
    client = Client(gateway)
    later(gateway, 60, client)
    assert client.session.closed
    session = gateway.connect()
    session.receive_data(b"API\0" + prefixed(b"v100..176"))
    assert (session.data_to_send(), session.closed) == (b"", True)
    gateway.advance(at("09:42"))
    assert kinds(Client(gateway).welcome)[:2] == [15, 9]


@claims("stop_reading")
def test_what_a_client_sends_is_not_read(sim):
    gateway = sim({"when": {"request": "ids"}, "what": "stop_reading", "for": 5})
    client, other = Client(gateway), Client(gateway, 2)
    client.ask(8, 1, 1)
    assert (rest(client), kinds(other.ask(8, 1, 1))) == ([], [9])
    assert kinds(later(gateway, 5, client)) == [5, 3]


@claims("stop_reading")
def test_while_nothing_is_read_a_disconnect_goes_unnoticed(sim):
    gateway = sim({"when": {"request": "ids"}, "what": "stop_reading", "for": 5})
    client = Client(gateway)
    client.ask(8, 1, 1), rest(client)
    client.session.end()
    assert errors(Client(gateway).welcome) == [(-1, 326)]
    later(gateway, 5)
    assert len(gateway.exchange.open_orders(1)) == 1
    assert kinds(Client(gateway).welcome)[:2] == [15, 9]


@claims("stop_writing")
def test_what_is_to_be_sent_waits_or_is_lost(sim):
    gateway = sim({"when": {"request": "ids"}, "what": "stop_writing", "for": 5})
    client = Client(gateway)
    assert (client.ask(8, 1, 1), rest(client)) == ([], [])
    assert kinds(later(gateway, 5, client)) == [9, 5, 3]
    gateway = sim({"when": {"request": "ids"}, "what": {"stop_writing": {"lost": True}}, "for": 5})
    client = Client(gateway)
    client.ask(8, 1, 1)
    assert (rest(client), later(gateway, 5, client)) == ([], [])
    assert kinds(client.ask(8, 1, 1)) == [9]


@claims("split")
def test_bytes_are_written_in_pieces(sim):
    gateway = sim(
        {"what": "split"}, {"when": {"client_id": 2}, "what": {"split": {"size": 9, "random": True}}}
    )
    session = Client(gateway).session
    data = frame(9, 1, 5) * 20
    assert gateway.faults.pieces(session, data) == [bytes([byte]) for byte in data]
    gateway = sim({"what": {"split": {"size": 9, "random": True}}})
    pieces = gateway.faults.pieces(session, data)
    assert b"".join(pieces) == data
    assert {len(piece) for piece in pieces} <= set(range(1, 10))
    assert gateway.faults.pieces(session, b"") == []


@claims("coalesce")
def test_messages_are_gathered_and_sent_together(sim):
    gateway = sim({"when": {"request": "ids"}, "what": {"coalesce": {"seconds": 2}}})
    client = Client(gateway)
    assert (client.ask(8, 1, 1), rest(client), later(gateway, 1, client)) == ([], [], [])
    client.ask(61, 1)
    assert kinds(later(gateway, 1, client)) == [9, 5, 3, 62]


@claims("link_lost")
@pytest.mark.parametrize(("lost", "code", "lines"), [(False, 1102, 1), (True, 1101, 0)])
def test_a_lost_link_keeps_orders_and_freezes_quotes(sim, lost, code, lines):
    gateway = sim({"when": {"at": "09:40:30"}, "what": {"link_lost": {"data_lost": lost}}, "for": 60})
    client = Client(gateway)
    watch(client, 7)
    client.place(1, "BUY", "16.7")
    assert errors(later(gateway, 30, client)) == [(-1, 1100)]
    assert client.place(2, "BUY", "17.8") == []
    sent = later(gateway, 45, client)  # 09:41:15: the market has come to order 1, and nobody hears of it
    assert (ticks(sent), executions(sent)) == ({}, [])
    sent = later(gateway, 15, client)
    assert (-1, code) in errors(sent)
    assert [price for *_, price in executions(sent)] == [16.6, 16.6]
    assert len(client.session.streams) == lines
    assert (ticks(sent).get(2) == 16.6) is not lost


@claims("link_lost")
def test_a_kept_order_is_placed_though_its_client_has_gone(sim):
    gateway = sim({"what": "link_lost", "for": 5})
    client = Client(gateway)
    rest(client)
    client.session.close()
    assert gateway.exchange.open_orders(None) == []
    later(gateway, 5)
    assert [state.ticket.order_id for state in gateway.exchange.open_orders(1)] == [1]
    gateway = sim({"what": {"link_lost": {"orders": "lost"}}, "for": 5})
    rest(Client(gateway))
    later(gateway, 5)
    assert gateway.exchange.open_orders(None) == []


@claims("farm_lost")
def test_a_lost_farm_freezes_quotes(sim):
    gateway = sim({"when": {"at": "09:40:30"}, "what": "farm_lost", "for": 60})
    client = Client(gateway)
    watch(client)
    sent = later(gateway, 65, client)
    assert (errors(sent), ticks(sent)) == ([(-1, 2103)], {})
    sent = later(gateway, 25, client)
    assert (errors(sent), ticks(sent)[2]) == ([(-1, 2104)], 16.6)


def test_a_lost_farm_of_another_market_freezes_nothing(sim):
    gateway = sim({"when": {"at": "09:40:30"}, "what": {"farm_lost": {"farm": "jfarm"}}, "for": 60})
    client = Client(gateway)
    watch(client)
    sent = later(gateway, 65, client)
    assert (errors(sent), ticks(sent)[2]) == ([(-1, 2103)], 16.6)


@claims("rate_limit")
def test_a_client_that_sends_too_fast_gets_100_and_is_cut(sim):
    gateway = sim({"when": {"request": "ids", "nth": 2}, "what": "rate_limit"})
    client, other = Client(gateway), Client(gateway, 2)
    client.ask(8, 1, 1)
    sent = client.ask(8, 1, 1)
    assert (errors(sent), client.session.closed, other.session.closed) == ([(-1, 100)], True, False)


@claims("read_only")
def test_read_only_refuses_orders_and_their_lists(sim):
    gateway = sim({"what": "read_only", "for": 5})
    client = Client(gateway)
    assert errors(rest(client, 4)) == [(4, 321)]
    assert errors(client.ask(5, 1)) == errors(client.ask(99, 0)) == [(-1, 321)]
    assert kinds(client.ask(61, 1)) == [62]
    later(gateway, 5)
    assert kinds(rest(client, 4)) == [5, 3]


@claims("disclaimer")
def test_a_disclaimer_blocks_questions_the_logon_or_orders_alone(sim):
    client = Client(sim({"what": "disclaimer"}))
    assert kinds(client.welcome)[:2] == [15, 9]
    assert errors(client.welcome)[-1] == (-1, 10141)
    assert errors(client.ask(61, 1)) == [(-1, 10141)]
    assert errors(rest(client, 4)) == [(4, 10141)]
    client = Client(sim({"what": {"disclaimer": {"scope": "logon"}}}))
    assert (kinds(client.welcome), errors(client.welcome)) == ([4], [(-1, 10141)])
    client = Client(sim({"what": {"disclaimer": {"scope": "orders"}}}))
    assert kinds(client.ask(61, 1)) == [62]
    assert errors(rest(client, 4)) == [(4, 10141)]


@claims("unsolicited_orders")
def test_open_orders_are_sent_unasked_on_connecting(sim):
    gateway = sim({"what": "unsolicited_orders"})
    first = Client(gateway)
    rest(first, ref="mine")
    first.session.close()
    assert kinds(Client(gateway).welcome) == [15, 9, 4, 4, 4, 5, 3, 53]
    assert kinds(Client(gateway, 2).welcome) == [15, 9, 4, 4, 4, 53]


@claims("next_id_jump")
def test_the_next_order_id_jumps(sim):
    gateway = sim({"when": {"request": "ids"}, "what": {"next_id_jump": {"by": 50, "told": True}}})
    client = Client(gateway)
    assert client.ask(8, 1, 1) == [["9", "1", "1"], ["9", "1", "51"]]
    assert client.ask(8, 1, 1) == [["9", "1", "51"]]


@claims("clock_off")
def test_the_clock_is_off(sim):
    client = Client(sim({"what": {"clock_off": {"seconds": -90}}}))
    assert client.ask(49, 1) == [["49", "1", str(int(at("09:38:30").timestamp()))]]


# --- messages ----------------------------------------------------------------------------------------------


@claims("withhold")
@pytest.mark.parametrize(
    ("message", "question"),
    [("positions_end", (61, 1)), ("open_orders_end", (5, 1)), ("completed_orders_end", (99, 0)),
     ("executions_end", (7, 3, 1, 0, "", "", "", "", "", "")), ("account_end", (6, 2, 1, "SIM0000001")),
     ("account_multi_end", (76, 1, 1, "SIM0000001", "", 0)), ("account_summary_end", (62, 1, 1, "All", "NetLiquidation")),
     ("contract_details_end", (9, 8, 1, *CALL, 0, "", "", "")), ("option_chains_end", (78, 1, "SPX", "", "IND", 416904)),
     ("snapshot_end", (1, 11, 1, *CALL, 0, "", 1, 0, "")), ("market_rule", (91, 239)), ("current_time", (49, 1)),
     ("next_valid_id", (71, 2, 5, "")), ("managed_accounts", (71, 2, 5, ""))],
)  # fmt: skip
def test_an_end_is_missing(sim, message, question):
    gateway = sim({"what": {"withhold": {"messages": message}}})
    client = Client(gateway)
    sent = client.welcome if question[0] == 71 else client.ask(*question)
    assert MESSAGES[message] not in kinds(sent)
    if question[0] != 71:
        assert MESSAGES[message] in kinds(client.ask(*question)) or question[0] in {1, 6}


@claims("withhold")
def test_for_always_messages_are_withheld_until_the_script_ends(sim):
    gateway = sim({"what": {"withhold": {"messages": ["positions_end", 53]}}, "for": "always"})
    client = Client(gateway)
    for _ in range(2):
        assert (client.ask(61, 1), client.ask(5, 1)) == ([], [])
    later(gateway, 3600)
    assert client.ask(61, 1) == []
    gateway.faults.play(read_script([]))
    assert kinds(client.ask(61, 1)) == [62]


@claims("close")
def test_for_always_every_connection_ends_at_its_first_order(sim):
    gateway = sim({"what": {"close": {"requests": "place_order"}}, "for": "always"})
    for _ in range(2):
        client = Client(gateway)
        assert (rest(client), client.session.closed) == ([], True)


@claims("delay")
def test_an_acknowledgement_is_late_and_overtaken(sim):
    gateway = sim(
        {"when": {"request": "place_order"}, "what": {"delay": {"seconds": 3, "messages": [3, 5]}}, "for": 1}
    )
    client = Client(gateway)
    assert (rest(client), kinds(rest(client, 2))) == ([], [5, 3])
    assert statuses(later(gateway, 2, client)) == []
    assert kinds(later(gateway, 1, client)) == [5, 3]


@claims("delay")
def test_the_end_of_an_answer_never_comes_before_its_rows(sim):
    gateway = sim(
        {"when": {"at": "09:40:01"}, "what": {"delay": {"seconds": 3, "messages": "open_order"}}, "for": 60}
    )
    client = Client(gateway)
    rest(client)
    later(gateway, 1, client)
    assert kinds(client.ask(5, 1)) == [3]
    assert kinds(later(gateway, 3, client)) == [5, 53]
    assert kinds(Client(gateway, 2).ask(5, 1)) == [53]


@claims("duplicate")
def test_a_status_comes_more_than_once(sim):
    entry = {"when": {"message": "order_status"}, "what": {"duplicate": {"copies": 2}}}
    client = Client(sim(entry))
    assert kinds(rest(client)) == [5, 3, 3, 3]
    assert kinds(rest(client, 2)) == [5, 3]


@claims("ignore")
def test_an_order_or_a_cancel_is_lost(sim):
    gateway = sim(
        {"when": {"request": "place_order"}, "what": "ignore"},
        {"when": {"request": "cancel_order"}, "what": "ignore"},
    )
    client = Client(gateway)
    assert (rest(client), kinds(rest(client, 2))) == ([], [5, 3])
    assert cancel(client, 2) == []
    assert statuses(cancel(client, 2)) == ["Cancelled"]


@claims("unanswered")
def test_an_order_takes_effect_without_a_word(sim):
    gateway = sim({"when": {"request": "place_order"}, "what": "unanswered"})
    assert rest(Client(gateway)) == []
    assert len(gateway.exchange.open_orders(1)) == 1


@claims("late_request")
def test_a_request_takes_effect_late(sim):
    gateway = sim({"when": {"request": "cancel_order"}, "what": {"late_request": {"seconds": 4}}})
    client = Client(gateway)
    rest(client)
    assert cancel(client, 1) == []
    client.session.close()
    later(gateway, 4)
    assert gateway.exchange.open_orders(None) == []


@claims("refuse")
def test_a_request_is_refused_under_its_id(sim):
    what = {"refuse": {"code": 200, "text": "no"}}
    client = Client(sim({"when": {"request": "contract_details"}, "what": what, "times": 2}))
    for _ in range(2):
        assert errors(client.ask(9, 8, 31, *CALL, 0, "", "", "")) == [(31, 200)]
    assert details(client)[0] == "10"


@claims("error")
def test_an_error_is_sent_about_anything(sim):
    gateway = sim(
        {"when": {"at": "09:40:05"}, "what": {"error": {"code": 1100}}},
        {"when": {"request": "place_order"}, "what": {"error": {"code": 10349, "id": "order"}}},
    )
    client = Client(gateway)
    assert errors(rest(client, 9)) == [(9, 10349)]
    assert errors(later(gateway, 5, client)) == [(-1, 1100)]


@claims("say")
def test_any_message_is_sent(sim):
    client = Client(sim({"when": {"request": "ids"}, "what": {"say": {"fields": [58, 1, 7, 3]}}}))
    assert client.ask(8, 1, 1) == [["9", "1", "1"], ["58", "1", "7", "3"]]


@claims("slow_snapshot")
def test_a_snapshot_ends_after_11_seconds(sim):
    gateway = sim({"what": "slow_snapshot"})
    client = Client(gateway)
    assert 57 not in kinds(watch(client, snapshot=1))
    assert 57 not in kinds(later(gateway, 10, client))
    assert 57 in kinds(later(gateway, 1, client))


@claims("line_limit")
def test_no_more_lines_than_a_number(sim):
    client = Client(sim({"what": {"line_limit": {"lines": 1}}}))
    assert 58 in kinds(watch(client, 1))
    assert errors(watch(client, 2, SPX)) == [(2, 101)]


# --- values ------------------------------------------------------------------------------------------------


@claims("unset_account")
def test_account_values_are_unset(sim):
    client = Client(sim({"what": "unset_account", "for": 5}))
    for question, tag, value in (((6, 2, 1, "SIM0000001"), 2, 3), ((76, 1, 1, "SIM0000001", "", 0), 5, 6),
                                 ((62, 1, 1, "All", "NetLiquidation"), 4, 5)):  # fmt: skip
        rows = {row[tag]: row[value] for row in client.ask(*question) if row[0] in {"6", "73", "63"}}
        assert rows["NetLiquidation"] == UNSET
        assert rows.get("AccountReady", "true") == "true"
    client = Client(sim({"what": {"unset_account": {"tag": "InitMarginReq", "form": "empty"}}}))
    rows = {row[2]: row[3] for row in client.ask(6, 2, 1, "SIM0000001") if row[0] == "6"}
    assert (rows["InitMarginReq"], rows["NetLiquidation"]) == ("", "1000000.00")


@claims("unset_pnl")
def test_profit_and_loss_are_unset(sim):
    client = Client(sim({"what": "unset_pnl"}))
    assert client.ask(92, 5, "SIM0000001", "") == [["94", "5", UNSET, UNSET, UNSET]]


def margins(frames):
    return [fields[95:104] for fields in frames if fields[0] == "5"]


@claims("what_if_unset_first", "what_if_unset", "what_if_never")
def test_a_what_if_has_no_margins_at_first_or_at_all(sim):
    first, second = margins(Client(sim({"what": "what_if_unset_first"})).place(1, what_if=1))
    assert (first, UNSET in second) == ([UNSET] * 9, False)
    assert margins(Client(sim({"what": "what_if_unset"})).place(1, what_if=1)) == [[UNSET] * 9]
    assert margins(Client(sim({"what": {"what_if_unset": {"form": "empty"}}})).place(1, what_if=1)) == [
        [""] * 9
    ]
    client = Client(sim({"what": "what_if_never"}))
    assert client.place(1, what_if=1) == []
    assert kinds(rest(client)) == [5, 3]


@claims("exec_time")
@pytest.mark.parametrize(
    ("form", "time"),
    [("unknown", "20260129 09:40:00 Nowhere/Special"), ("local", "20260129  09:40:00"), ("utc", "20260129-14:40:00"),
     ("est", "20260129 09:40:00 EST"), ("eastern", "20260129 09:40:00 US/Eastern"), ("empty", "")],
)  # fmt: skip
def test_execution_times_have_another_format(sim, form, time):
    client = Client(sim({"what": {"exec_time": {"form": form}}}))
    assert [fields[15] for fields in buy(client) if fields[0] == "11"] == [time]


@claims("wrong_hours")
@pytest.mark.parametrize("version", [157, 176])
def test_trading_hours_disagree(sim, version):
    place = 27 if version == 176 else 29
    for form, begins in (
        ("closed", "20260129:CLOSED;"),
        ("half_day", "20260129:0830-20260129:1200;"),
        ("missing", "20260130"),
    ):
        client = Client(sim({"what": {"wrong_hours": {"form": form}}}), version=version)
        sent = client.ask(9, 8, 1, *CALL, 0, "", "", *([""] if version == 176 else []))[0]
        assert sent[place].startswith(begins), form
    assert details(Client(sim({"what": {"wrong_hours": {"form": "empty"}}})))[26:28] == ["", ""]


@claims("zero_positions")
def test_positions_of_nothing_are_listed(sim):
    client = Client(sim({"what": "zero_positions"}))
    assert list(positions(client).values()) == [0.0]
    rest(client)
    assert list(positions(client).values()) == [0.0]
    buy(client, 2)
    assert list(positions(client).values()) == [1.0]


@claims("late_executions", "late_completed")
def test_lists_leave_recent_executions_and_orders_out(sim):
    gateway = sim({"what": {"late_executions": {"seconds": 5}}}, {"what": {"late_completed": {"seconds": 5}}})
    client = Client(gateway)
    assert 59 in kinds(buy(client))
    question = (7, 3, 1, 0, "", "", "", "", "", "")
    assert (kinds(client.ask(*question)), kinds(client.ask(99, 0))) == ([55], [102])
    later(gateway, 5, client)
    assert (kinds(client.ask(*question)), kinds(client.ask(99, 0))) == ([11, 59, 55], [101, 102])
