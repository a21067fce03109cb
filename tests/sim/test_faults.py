"""Every fault of the table, seen on the wire; their combinations, their repetition, and nonsense."""

import contextlib
import socket
import struct
from datetime import date, datetime, timedelta
from pathlib import Path
from time import process_time
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_session import CALL, SPX, UNSET, Client, errors, kinds

from spxarb.sim.api.wire import FrameReader, frame, frames_in, prefixed
from spxarb.sim.control import ControlError, RunningSim
from spxarb.sim.exchange.exchange import Exchange
from spxarb.sim.faults.file import read_file
from spxarb.sim.faults.kinds import REQUIRED
from spxarb.sim.faults.readers import MESSAGES, REQUESTS
from spxarb.sim.faults.script import ScriptError, read_script
from spxarb.sim.faults.table import FAULTS, GROUPS
from spxarb.sim.gateway import Gateway
from spxarb.sim.market.market import SyntheticDay
from spxarb.sim.market.recorded import RecordedDay
from tools.docs import faults

NEW_YORK = ZoneInfo("America/New_York")
ROOT = Path(__file__).parents[2]
DAY = """\
t,kind,symbol,expiry,strike,right,bid,ask,last,src
2026-01-29 09:30:00-05:00,und,SPX,,,,,,6970.5,x
2026-01-29 09:30:00-05:00,und,SPY,,,,695.1,695.12,695.11,x
2026-01-29 09:30:00-05:00,opt,SPX,2026-01-29,6975,C,17.5,17.8,,x
2026-01-29 09:30:00-05:00,opt,SPY,2026-01-29,695,C,2.05,2.06,,x
2026-01-29 09:41:00-05:00,opt,SPX,2026-01-29,6975,C,16.4,16.6,,x
2026-01-29 09:41:00-05:00,opt,SPY,2026-01-29,695,C,1.95,1.96,,x
2026-01-29 09:42:00-05:00,opt,SPX,2026-01-29,6975,C,16.5,16.7,,x
"""
SPY_CALL = ("0", "SPY", "OPT", "20260129", "695.0", "C", "100", "SMART", "", "USD", "", "SPY")
CLAIMED = {}


def at(clock):
    form = "%H:%M:%S" if clock.count(":") == 2 else "%H:%M"
    return datetime.combine(date(2026, 1, 29), datetime.strptime(clock, form).time(), NEW_YORK)


def new_gateway(tmp_path, *entries, seed=0):
    file = tmp_path / "day.csv"
    file.write_text(DAY)
    market = RecordedDay(file)
    gateway = Gateway(market, Exchange(market), "SIM0000001", at("09:40"))
    gateway.faults.play(read_script(list(entries), seed))
    return gateway


@pytest.fixture
def sim(tmp_path):
    """A gateway at 09:40 with a script."""
    return lambda *entries, seed=0: new_gateway(tmp_path, *entries, seed=seed)


def claims(*names):
    """A test that shows these faults on the wire."""

    def mark(test):
        for name in names:
            assert name in FAULTS
            CLAIMED[name] = test
        return test

    return mark


def later(gateway, seconds, *clients):
    """Let the time pass; what each client was sent."""
    gateway.advance(gateway.now + timedelta(seconds=seconds))
    read = [client.read() for client in clients]
    return read[0] if len(read) == 1 else read


def statuses(frames):
    return [fields[2] for fields in frames if fields[0] == "3"]


def executions(frames):
    """(id, shares, price) of every execution."""
    return [(fields[14], fields[19], float(fields[20])) for fields in frames if fields[0] == "11"]


def watch(client, request=1, contract=CALL, snapshot=0):
    return client.ask(1, 11, request, *contract, 0, "", snapshot, 0, "")


def ticks(frames):
    """Tick id -> price or value, of the frames in order."""
    return {int(fields[3]): float(fields[4]) for fields in frames if fields[0] in {"1", "45"}}


def cancel(client, order_id):
    return client.ask(4, 1, order_id, "")


def positions(client):
    return {fields[12]: float(fields[14]) for fields in client.ask(61, 1) if fields[0] == "61"}


def buy(client, order_id=1, **terms):
    """An order that fills at once, at 17.8."""
    return client.place(order_id, "BUY", "17.8", **terms)


def rest(client, order_id=1, **terms):
    """An order that rests."""
    return client.place(order_id, "BUY", "10.0", **terms)


def details(client):
    return client.ask(9, 8, 1, *CALL, 0, "", "", "")[0]


# --- the table ----------------------------------------------------------------------------------------------


def test_every_fault_of_the_table_is_shown_by_a_test():
    assert set(CLAIMED) == set(FAULTS)
    assert sum(len(kinds) for kinds in GROUPS.values()) == len(FAULTS)


@pytest.mark.parametrize("kind", FAULTS.values(), ids=FAULTS)
def test_every_fault_says_what_it_is_and_its_defaults_are_allowed(kind):
    assert kind.says.endswith(".")
    assert kind.acts
    given = {each.name: each.default for each in kind.parameters if each.default not in {None, REQUIRED, ""}}
    wanted = {"seconds": 1, "fields": [9, 1, 5], "code": 399, "sizes": [1]}
    given |= {each.name: wanted[each.name] for each in kind.parameters if each.required}
    when = {"message": "error"} if kind.needs_message else {"request": "ids"} if kind.needs_request else {}
    (entry,) = read_script([{"when": when, "what": {kind.name: given}}]).entries
    assert entry.kind is kind
    for each in kind.parameters:
        assert each.says, each.name


def test_the_document_has_the_table_as_it_is():
    text = (ROOT / faults.DOCUMENT).read_text()
    assert text == faults.replaced(text)
    assert all(f"| `{name}` |" in text for name in FAULTS)


def test_the_script_in_the_document_is_one():
    text = (ROOT / faults.DOCUMENT).read_text()
    block = text.split("```yml\n")[1].split("```")[0]
    assert len(read_script(yaml.safe_load(block)).entries) == 6


# --- connections --------------------------------------------------------------------------------------------


@claims("silent_accept")
def test_a_connection_is_taken_and_nothing_is_said(sim):
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
    ("entry", "told", "placed"),
    [
        ({"when": {"request": "place_order"}, "what": "close"}, [], 0),
        ({"when": {"request": "place_order"}, "what": {"close": {"point": "unanswered"}}}, [], 1),
        ({"when": {"request": 3}, "what": {"close": {"point": "after"}}}, [5, 3], 1),
        ({"when": {"message": "order_status"}, "what": "close"}, [5], 1),
        ({"when": {"message": 3}, "what": {"close": {"point": "after"}}}, [5, 3], 1),
    ],
)
def test_the_end_comes_around_an_order(sim, entry, told, placed):
    gateway = sim(entry)
    client = Client(gateway)
    assert (kinds(rest(client)), client.session.closed) == (told, True)
    assert len(gateway.exchange.open_orders(None)) == placed
    assert not Client(gateway).session.closed


@claims("close")
def test_the_end_comes_after_start_api_or_at_a_time(sim):
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
def test_a_restart_cuts_all_and_turns_away(sim):
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
def test_what_a_client_sends_lies_unread(sim):
    gateway = sim({"when": {"request": "ids"}, "what": "stop_reading", "for": 5})
    client, other = Client(gateway), Client(gateway, 2)
    client.ask(8, 1, 1)
    assert (rest(client), kinds(other.ask(8, 1, 1))) == ([], [9])
    assert kinds(later(gateway, 5, client)) == [5, 3]


@claims("stop_reading")
def test_while_nothing_is_read_nobody_notices_that_a_client_has_gone(sim):
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
def test_messages_come_many_at_once(sim):
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
    told = later(gateway, 45, client)  # 09:41:15: the market has come to order 1, and nobody hears of it
    assert (ticks(told), executions(told)) == ({}, [])
    told = later(gateway, 15, client)
    assert (-1, code) in errors(told)
    assert [price for *_, price in executions(told)] == [16.6, 16.6]
    assert len(client.session.streams) == lines
    assert (ticks(told).get(2) == 16.6) is not lost


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
    told = later(gateway, 65, client)
    assert (errors(told), ticks(told)) == ([(-1, 2103)], {})
    told = later(gateway, 25, client)
    assert (errors(told), ticks(told)[2]) == ([(-1, 2104)], 16.6)


@claims("rate_limit")
def test_too_fast_a_client_is_told_and_cut(sim):
    gateway = sim({"when": {"request": "ids", "nth": 2}, "what": "rate_limit"})
    client, other = Client(gateway), Client(gateway, 2)
    client.ask(8, 1, 1)
    told = client.ask(8, 1, 1)
    assert (errors(told), client.session.closed, other.session.closed) == ([(-1, 100)], True, False)


@claims("read_only")
def test_read_only_refuses_orders_and_their_lists(sim):
    gateway = sim({"what": "read_only", "for": 5})
    client = Client(gateway)
    assert errors(rest(client, 4)) == [(4, 321)]
    assert errors(client.ask(5, 1)) == errors(client.ask(99, 0)) == [(-1, 321)]
    assert kinds(client.ask(61, 1)) == [62]
    later(gateway, 5)
    assert kinds(rest(client, 4)) == [5, 3]


@claims("unsolicited_orders")
def test_open_orders_are_told_on_connecting(sim):
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


# --- messages -----------------------------------------------------------------------------------------------


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
    told = client.welcome if question[0] == 71 else client.ask(*question)
    assert MESSAGES[message] not in kinds(told)
    if question[0] != 71:
        assert MESSAGES[message] in kinds(client.ask(*question)) or question[0] in {1, 6}


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
def test_an_error_is_said_about_anything(sim):
    gateway = sim(
        {"when": {"at": "09:40:05"}, "what": {"error": {"code": 1100}}},
        {"when": {"request": "place_order"}, "what": {"error": {"code": 10349, "id": "order"}}},
    )
    client = Client(gateway)
    assert errors(rest(client, 9)) == [(9, 10349)]
    assert errors(later(gateway, 5, client)) == [(-1, 1100)]


@claims("say")
def test_any_message_is_said(sim):
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


# --- values -------------------------------------------------------------------------------------------------


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
def test_executions_have_another_form_of_time(sim, form, time):
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
        told = client.ask(9, 8, 1, *CALL, 0, "", "", *([""] if version == 176 else []))[0]
        assert told[place].startswith(begins), form
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
def test_lists_leave_the_youngest_out(sim):
    gateway = sim({"what": {"late_executions": {"seconds": 5}}}, {"what": {"late_completed": {"seconds": 5}}})
    client = Client(gateway)
    assert 59 in kinds(buy(client))
    question = (7, 3, 1, 0, "", "", "", "", "", "")
    assert (kinds(client.ask(*question)), kinds(client.ask(99, 0))) == ([55], [102])
    later(gateway, 5, client)
    assert (kinds(client.ask(*question)), kinds(client.ask(99, 0))) == ([11, 59, 55], [101, 102])


# --- orders -------------------------------------------------------------------------------------------------


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
def test_a_change_is_refused_and_the_old_order_lives(sim, code):
    gateway = sim({"what": {"refuse_change": {"code": code}}})
    client = Client(gateway)
    rest(client)
    assert errors(client.place(1, "BUY", "11.0")) == [(1, code)]
    assert [state.ticket.limit for state in gateway.exchange.open_orders(1)] == [10.0]


@claims("refuse_cancel")
@pytest.mark.parametrize("code", [10147, 161])
def test_a_cancel_is_refused_and_the_order_lives(sim, code):
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
    told = later(gateway, 2, client)
    assert (statuses(told)[-1], executions(told)[0][1:], positions(client).popitem()[1]) == (
        "Filled",
        ("1", 10.0),
        1.0,
    )

    gateway = sim({"what": {"fill_after_cancel": {"seconds": 2, "quantity": 1}}})
    client = Client(gateway)
    rest(client, quantity=3)
    told = cancel(client, 1)
    assert (statuses(told), errors(told)) == (["Cancelled"], [(1, 202)])
    told = later(gateway, 2, client)
    assert (statuses(told), executions(told)[0][1]) == (["Cancelled"], "1")
    assert (gateway.exchange.open_orders(None), positions(client).popitem()[1]) == ([], 1.0)


@claims("fill_instead_of_cancel", "fill_after_cancel")
def test_no_fill_crosses_the_cancel_of_an_order_that_did_not_work_yet(sim):
    client = Client(sim({"what": "fill_after_cancel"}, {"what": "fill_instead_of_cancel"}))
    rest(client, after="20260129 15:50:00 US/Eastern")
    told = cancel(client, 1)
    assert (statuses(told), executions(told)) == (["Cancelled"], [])


@claims("silent_cancel")
def test_a_cancelled_order_gets_no_status(sim):
    client = Client(sim({"what": "silent_cancel"}))
    rest(client)
    told = cancel(client, 1)
    assert (statuses(told), errors(told)) == ([], [(1, 202)])


@claims("reject")
@pytest.mark.parametrize(
    ("status", "told"), [("Inactive", ["Inactive"]), ("Cancelled", ["Cancelled"]), ("none", [])]
)
def test_an_order_is_rejected(sim, status, told):
    gateway = sim({"what": {"reject": {"status": status, "reason": "so"}}})
    client = Client(gateway)
    heard = rest(client)
    assert (errors(heard), statuses(heard), gateway.exchange.open_orders(None)) == ([(1, 201)], told, [])
    assert statuses(rest(client, 2)) == ["Submitted"]


@claims("margin_reject")
def test_an_order_is_rejected_for_margin(sim):
    client = Client(sim({"when": {"symbol": "SPY"}, "what": "margin_reject"}))
    assert statuses(rest(client)) == ["Submitted"]
    told = client.place(2, "SELL", "3.0", contract=SPY_CALL)
    assert (errors(told), statuses(told)) == ([(2, 201)], ["Inactive"])
    assert any("INITIAL MARGIN" in fields[4] for fields in told if fields[0] == "4")


@claims("inactive")
def test_an_inactive_order_comes_to_life(sim):
    gateway = sim({"what": {"inactive": {"seconds": 5}}, "times": 1})
    client = Client(gateway)
    told = buy(client)
    assert (statuses(told), errors(told), len(gateway.exchange.open_orders(1))) == (["Inactive"], [], 1)
    told = later(gateway, 5, client)
    assert (statuses(told)[-1], executions(told)[0][1]) == ("Filled", "1")
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
    told = rest(client)
    assert (kinds(told), errors(told)) == ([5, 3, 4], [(1, code)])
    assert len(gateway.exchange.open_orders(1)) == 1


# --- fills --------------------------------------------------------------------------------------------------


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
    told = later(gateway, 11, client)
    assert [shares for _, shares, _ in executions(told)] == ["2", "2"]
    assert statuses(told)[-1] == "Filled"
    gateway = sim({"what": {"partial_fills": {"sizes": [1], "rest": False}}})
    client = Client(gateway)
    buy(client, quantity=2)
    assert executions(later(gateway, 59, client)) == []


def order_of_news(frames):
    return [f"{fields[0]} {fields[94] if fields[0] == '5' else fields[2] if fields[0] == '3' else ''}".strip()
            for fields in frames if fields[0] in {"3", "5", "11"}]  # fmt: skip


@claims("status_first", "status_only", "execution_first", "execution_only")
def test_the_news_of_a_fill_come_in_another_order(sim):
    usual = order_of_news(buy(Client(sim())))
    assert usual.index("11") < usual.index("3 Filled")
    told = order_of_news(buy(Client(sim({"what": "status_first"}))))
    assert (told.index("3 Filled") < told.index("11"), sorted(told)) == (True, sorted(usual))
    told = buy(Client(sim({"what": "status_only"})))
    assert ("3 Filled" in order_of_news(told), executions(told), 59 in kinds(told)) == (True, [], False)
    told = order_of_news(buy(Client(sim({"what": "execution_first"}))))
    assert (told[0], sorted(told)) == ("11", sorted(usual))
    assert order_of_news(buy(Client(sim({"what": "execution_only"})))) == ["11"]


def commissions(frames):
    return [fields[3] for fields in frames if fields[0] == "59"]


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
    told = buy(client, quantity=3)
    assert [row[1:] for row in executions(told)] == [("3", 17.8), ("2", 17.8)]
    assert list(positions(client).values()) == [2.0]
    assert len(executions(client.ask(7, 3, 1, 0, "", "", "", "", "", ""))) == 1


@claims("bust")
def test_an_execution_is_undone(sim):
    gateway = sim({"when": {"message": "execution"}, "what": "bust", "after_seconds": 1})
    client = Client(gateway)
    client.ask(61, 1)
    buy(client)
    told = later(gateway, 1, client)
    assert [row[1] for row in executions(told)] == ["0"]
    assert positions(client) == {}
    assert float(gateway.exchange.account_values()["TotalCashValue"]) == 1_000_000


@claims("foreign_order", "foreign_fill", "foreign_position")
def test_others_act_in_the_very_same_contract(sim):
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
    told = buy(Client(gateway))
    assert [fields[22] for fields in told if fields[0] == "11"] == ["1", "99"]

    gateway = sim(
        {"when": {"message": "execution"}, "what": {"foreign_position": {"side": "SELL", "quantity": 3}}}
    )
    client = Client(gateway)
    buy(client)
    assert list(positions(client).values()) == [-2.0]
    assert len(gateway.exchange.fills()) == 1


# --- quotes -------------------------------------------------------------------------------------------------


def prices(frames):
    return {int(fields[3]): (float(fields[4]), fields[5]) for fields in frames if fields[0] == "1"}


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


@claims("crossed")
def test_the_bid_is_above_the_ask(sim):
    shown = ticks(watch(Client(sim({"what": "crossed"}))))
    assert (shown[1], shown[2]) == (17.85, 17.8)


@claims("stale")
def test_quotes_stand_still(sim):
    gateway = sim({"when": {"at": "09:40:30"}, "what": "stale", "for": 60})
    client = Client(gateway)
    watch(client)
    assert ticks(later(gateway, 80, client)) == {}
    assert ticks(watch(client, 2))[2] == 17.8
    assert ticks(later(gateway, 10, client))[2] == 16.6


@claims("delayed")
def test_data_is_delayed_from_a_moment_on(sim):
    gateway = sim({"when": {"at": "09:41:30"}, "what": "delayed"})
    client = Client(gateway)
    assert 1 in ticks(watch(client))
    later(gateway, 60, client)
    told = later(gateway, 60, client)
    assert errors(told) == [(1, 10167)]
    assert [fields[3] for fields in told if fields[0] == "58"] == ["3"]
    assert (ticks(told)[66], 1 in ticks(told)) == (17.5, False)
    assert errors(watch(client, 2, SPY_CALL)) == [(2, 10167)]


@claims("competing_session")
def test_a_competing_session_stops_the_data_and_ends(sim):
    gateway = sim({"when": {"at": "09:40:30"}, "what": "competing_session", "for": 60})
    client = Client(gateway)
    watch(client)
    told = later(gateway, 70, client)
    assert (errors(told), ticks(told)) == ([(1, 10197)], {})
    told = watch(client, 2, SPY_CALL)
    assert (errors(told), ticks(told)) == ([(2, 10197)], {})
    assert errors(later(gateway, 10, client)) == []
    assert {int(fields[2]) for fields in later(gateway, 60, client) if fields[0] == "1"} == {1, 2}


@claims("halted")
def test_a_halt_is_told_and_nothing_fills(sim):
    gateway = sim({"what": {"halted": {"quotes": False}}, "for": 5})
    client = Client(gateway)
    shown = ticks(watch(client))
    assert (shown[49], shown[1]) == (1.0, -1.0)
    assert executions(buy(client)) == []
    told = later(gateway, 5, client)
    assert (ticks(told)[49], ticks(told)[1], len(executions(told))) == (0.0, 17.5, 1)


@claims("no_data")
def test_lines_are_refused(sim):
    client = Client(sim({"what": "no_data", "for": 5}))
    assert errors(watch(client, 3)) == [(3, 354)]


# --- scripts ------------------------------------------------------------------------------------------------


def test_faults_combine(sim):
    """A fill that is partial, told late, its commission twice and unset, its status three times."""
    gateway = sim(
        {"what": {"partial_fills": {"sizes": [1], "pause_seconds": 10}}},
        {"what": {"delay": {"seconds": 2, "messages": "execution"}}, "for": 60},
        {"what": {"duplicate": {"messages": "commission"}}, "for": 60},
        {"what": "unset_commission"},
    )
    client = Client(gateway)
    told = buy(client, quantity=2)
    assert (executions(told), commissions(told)) == ([], [UNSET, UNSET])
    assert [shares for _, shares, _ in executions(later(gateway, 2, client))] == ["1"]
    assert [shares for _, shares, _ in executions(later(gateway, 10, client))] == ["1"]


def test_a_kept_order_is_held_and_its_execution_corrected_afterwards(sim):
    gateway = sim(
        {"what": "link_lost", "for": 10},
        {"what": "hold_fills", "for": 20},
        {"when": {"message": "execution"}, "what": {"correction": {"price_change": 0.1}}},
    )
    client = Client(gateway)
    assert buy(client) == []
    assert statuses(later(gateway, 10, client)) == ["Submitted"]
    assert [price for *_, price in executions(later(gateway, 10, client))] == [17.8, 17.9]


def test_stopped_writing_is_not_let_out_by_a_shorter_delay(sim):
    gateway = sim(
        {"what": "stop_writing", "for": 20}, {"what": {"delay": {"seconds": 1, "messages": 3}}, "for": 20}
    )
    client = Client(gateway)
    rest(client)
    assert later(gateway, 5, client) == []


def test_times_nth_chance_and_delays_are_kept(sim):
    gateway = sim({"when": {"request": "ids", "nth": 2}, "what": "ignore", "times": 2})
    client = Client(gateway)
    assert [len(client.ask(8, 1, 1)) for _ in range(4)] == [1, 0, 0, 1]
    gateway = sim({"when": {"request": "ids"}, "what": "ignore", "times": "always"})
    assert Client(gateway).ask(8, 1, 1) == []
    gateway = sim(
        {"when": {"request": "ids", "at": "09:41", "client_id": 2}, "what": "ignore", "times": "always"}
    )
    client, other = Client(gateway), Client(gateway, 2)
    assert [len(each.ask(8, 1, 1)) for each in (client, other)] == [1, 1]
    later(gateway, 60, client, other)
    assert [len(each.ask(8, 1, 1)) for each in (client, other)] == [1, 0]


def heard(tmp_path, seed):
    """What a client hears of a script full of chances."""
    gateway = new_gateway(
        tmp_path,
        {"when": {"message": "order_status"}, "what": "duplicate", "chance": 0.5, "times": "always"},
        {"when": {"request": "place_order"}, "what": {"reject": {}}, "chance": 0.4, "times": "always"},
        {"when": {"message": "execution"}, "what": {"correction": {}}, "chance": 0.4, "times": "always"},
        seed=seed,
    )
    client = Client(gateway)
    return [buy(client, number) for number in range(1, 12)] + [gateway.faults.fired]


def test_the_same_seed_repeats_and_another_does_not(tmp_path):
    assert heard(tmp_path, 3) == heard(tmp_path, 3)
    assert heard(tmp_path, 3) != heard(tmp_path, 4)


def test_a_new_script_ends_the_old_one(sim):
    gateway = sim({"what": "link_lost"}, {"what": "stop_writing"})
    client = Client(gateway)
    buy(client)
    gateway.faults.play(read_script([]))
    told = client.read()
    assert (15 in kinds(told), (-1, 1102) in errors(told), statuses(told)[-1]) == (True, True, "Filled")
    assert kinds(rest(client, 2)) == [5, 3]


def test_what_has_not_begun_does_not_begin_after_its_script(sim):
    gateway = sim(
        {"what": "stop_writing", "after_seconds": 5}, {"what": {"error": {"code": 1}}, "after_seconds": 5}
    )
    gateway.faults.play(read_script([]))
    client = Client(gateway)
    later(gateway, 10, client)
    assert kinds(rest(client)) == [5, 3]


def test_who_connects_while_the_link_is_lost_is_told(sim):
    assert (-1, 2110) in errors(Client(sim({"what": "link_lost"})).welcome)


def test_others_trade_a_contract_by_its_number(sim):
    gateway = sim({"what": {"foreign_fill": {"con_id": 756733, "side": "SELL"}}})
    assert positions(Client(gateway)) == {"SPY": -1.0}


def test_what_fired_is_known(sim):
    gateway = sim({"what": "stale"}, {"when": {"request": "ids"}, "what": "ignore"})
    Client(gateway).ask(8, 1, 1)
    assert [(one.entry, one.fault) for one in gateway.faults.fired] == [(1, "stale"), (2, "ignore")]


def test_a_script_that_goes_in_circles_comes_to_an_end(sim):
    gateway = sim({"when": {"message": "error"}, "what": {"error": {"code": 1}}, "times": "always"})
    client = Client(gateway)
    later(gateway, 3600, client)
    assert len(gateway.faults.fired) == 1000


def test_every_problem_of_a_script_is_told_at_once():
    with pytest.raises(ScriptError) as caught:
        read_script(
            [
                {"what": "hold_fill"},
                {"when": {"request": "place_ordr"}, "what": "ignore"},
                {"when": {"at": 38490}, "what": {"partial_fills": {"sises": [1]}}},
                {"what": "delay", "chance": 2},
                {"what": {"exec_time": {"form": "unknwn"}}, "fr": 3},
                {"what": "bust", "for": 3, "times": 2},
                {"what": {"a": 1, "b": 2}},
                7,
            ]
        )
    problems = caught.value.problems
    assert [text.split(":")[0] for text in problems] == [
        f"entry {n}" for n in (1, 2, 3, 3, 3, 4, 4, 4, 5, 5, 6, 6, 7, 8)
    ]
    text = str(caught.value)
    for part in ("unknown fault 'hold_fill' (did you mean hold_fills?)", "'place_ordr' is not the name or number of a request",
                 "(did you mean place_order?)", "put it in quotes", "parameter 'sises' is unknown (did you mean sizes?)",
                 "sizes is missing", "seconds is missing", "chance: 2 is not a probability from 0 to 1",
                 "'unknwn' is none of", "(did you mean unknown?)", "key 'fr' is unknown (did you mean for?)", "no duration"):  # fmt: skip
        assert part in text, part


@pytest.mark.parametrize(
    "plain", ["x", 7, {"fault": []}, {"seed": "a", "faults": []}, {"faults": 3}, [[]], [None]]
)
def test_what_is_no_script_is_refused(plain):
    with pytest.raises(ScriptError):
        read_script(plain)


def test_a_file_is_read_and_its_problems_name_it(tmp_path):
    file = tmp_path / "faults.yaml"
    file.write_text(
        "seed: 4\nfaults:\n- what: stale\n  for: 3\n- when: {at: '10:30'}\n  what: {no_quotes: {side: ask}}\n"
    )
    script = read_file(file)
    assert (script.seed, [entry.kind.name for entry in script.entries]) == (4, ["stale", "no_quotes"])
    assert read_script(None).entries == ()
    for text, problem in (
        ("- what: stal\n", "entry 1"),
        ("{", "not YAML"),
        ("- when: {at: 10:30}\n  what: stale", "quotes"),
    ):
        file.write_text(text)
        with pytest.raises(ScriptError, match=problem) as caught:
            read_file(file)
        assert str(file) in str(caught.value)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScriptError, match="not YAML"):
        read_file(file)


# --- nonsense -----------------------------------------------------------------------------------------------

VALUES = {
    "seconds": st.sampled_from([0, 0.5, 3, 100]), "signed_seconds": st.sampled_from([-5, 0, 7.5]),
    "number": st.sampled_from([-1, 0, 0.05, 17.8]), "natural": st.integers(0, 20000), "count": st.integers(1, 4),
    "counts": st.lists(st.integers(1, 3), min_size=1, max_size=3), "flag": st.booleans(),
    "text": st.sampled_from(["", "order", "-1", "x"]), "fields": st.lists(st.integers(0, 110), min_size=1, max_size=9),
    "messages": st.lists(st.sampled_from(sorted(MESSAGES)), min_size=1, max_size=3),
    "requests": st.lists(st.sampled_from(sorted(REQUESTS)), min_size=1, max_size=3),
}  # fmt: skip


@st.composite
def entries(draw):
    kind = FAULTS[draw(st.sampled_from(sorted(FAULTS)))]
    args = {}
    for each in kind.parameters:
        if each.required or draw(st.booleans()):
            args[each.name] = draw(st.sampled_from(each.choices) if each.choices else VALUES[each.type])
    for name, needed in (("messages", kind.needs_message), ("requests", kind.needs_request)):
        if needed:
            args[name] = draw(VALUES[name])
    when = draw(
        st.sampled_from([{}, {"at": "09:40:03"}, {"symbol": "SPX"}, {"order_ref": "r*"}, {"side": "BUY"}])
        | st.sampled_from(sorted(REQUESTS)).map(lambda name: {"request": name})
        | st.sampled_from(["execution", "order_status", "open_order", "error", "commission"]).map(
            lambda name: {"message": name}
        )
    )
    entry = {"when": when, "what": {kind.name: args}}
    entry |= draw(st.sampled_from([{}, {"chance": 0.5}, {"after_seconds": 1}]))
    if set(map(str, kind.acts)) != {"at once"}:
        entry |= draw(st.sampled_from([{}, {"for": 2}]))
    if set(when) & {"request", "message"}:
        entry |= draw(st.sampled_from([{}, {"times": 3}, {"times": "always"}]))
    return entry


WORDS = st.sampled_from(["", "0", "1", "5", "-1", "x", "416904", "SPX", "17.8", "BUY"])
NONSENSE = st.lists(WORDS, max_size=30)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(entries(), max_size=6),
    st.integers(0, 99),
    st.lists(st.tuples(st.integers(0, 110), NONSENSE), max_size=12),
    st.data(),
)
def test_no_script_and_no_bytes_break_the_gateway(market, script, seed, requests, data):
    gateway = Gateway(market, Exchange(market), "SIM0000001", at("09:40"))
    gateway.faults.play(read_script(script, seed))
    client, other = Client(gateway), Client(gateway, 2)
    buy(client), rest(client, 2), client.place(1, "BUY", "17.9"), cancel(client, 2), watch(client), buy(other)
    client.place(3, "SELL", "16.5", contract=SPY_CALL, quantity=2)
    for number, words in requests:
        client.session.receive_data(frame(number, *words))
        for piece in gateway.faults.pieces(client.session, client.session.data_to_send()):
            assert piece
        if data.draw(st.booleans()):
            gateway.advance(gateway.now + timedelta(seconds=1))
    client.session.receive_data(data.draw(st.binary(max_size=40)))
    gateway.advance(at("09:42"))
    gateway.faults.play(read_script([]))
    for session in (client.session, other.session, *gateway.sessions):
        left = session.data_to_send()
        assert whole(left)
        assert all(fields for fields in frames_in(left))
    assert kinds(Client(gateway, 77).welcome)[:2] == [15, 9]
    values = gateway.exchange.account_values()
    assert abs(float(values["TotalCashValue"])) < 1e9


@pytest.fixture
def market(tmp_path):
    file = tmp_path / "day.csv"
    file.write_text(DAY)
    return RecordedDay(file)


def whole(data):
    """True when `data` ends with the end of a frame."""
    at_byte = 0
    while at_byte < len(data):
        (length,) = struct.unpack_from(">I", data, at_byte)
        at_byte += 4 + length
    return at_byte == len(data)


# --- in its own process -------------------------------------------------------------------------------------


def hello(port, *requests):
    """Connect over a socket, ask, read until the gateway is silent or gone: the fields of each frame."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link.sendall(b"API\0" + prefixed(b"v100..176"))
        reader, heard = FrameReader(), []
        link.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            while data := link.recv(65536):
                reader.feed(data)
                while (payload := reader.payload()) is not None:
                    if not heard:
                        link.sendall(b"".join(frame(*fields) for fields in ((71, 2, 1, ""), *requests)))
                    heard.append(payload.decode().split("\0")[:-1])
    return heard


def test_scripts_come_from_a_file_from_python_and_through_the_control(tmp_path):
    file = tmp_path / "faults.yaml"
    file.write_text("- what: {withhold: {messages: next_valid_id}}\n- what: split\n")
    with RunningSim(faults=file, date="2026-02-10", at="09:40", speed=0) as sim:
        assert kinds(hello(sim.port)[1:])[:2] == [15, 4]
        assert kinds(hello(sim.port)[1:])[:2] == [15, 9]
        sim.control.script([{"what": {"clock_off": {"seconds": 60}}}])
        (told,) = [fields[2] for fields in hello(sim.port, (49, 1)) if fields[0] == "49"]
        assert int(told) == int(sim.control.time().timestamp()) + 60
        assert [(one["entry"], one["fault"]) for one in sim.control.fired()] == [(1, "clock_off")]
        with pytest.raises(ControlError, match=r"entry 1.*did you mean stale.*; entry 2"):
            sim.control.script([{"what": "stal"}, {"what": 3}])
        assert len(sim.control.fired()) == 1
        sim.control.script()
        assert (
            int(next(fields[2] for fields in hello(sim.port, (49, 1)) if fields[0] == "49")) == int(told) - 60
        )
    with RunningSim(faults=[{"what": "restart"}], date="2026-02-10", speed=0) as sim:
        assert hello(sim.port) == []
    file.write_text("- what: stal\n")
    for script in (file, [{"what": "stal"}], tmp_path / "none.yaml"):
        with (
            pytest.raises(ControlError, match=r"stale|No such file"),
            RunningSim(faults=script, date="2026-02-10"),
        ):
            pass


def test_a_whole_day_with_faults_passes_in_a_moment(tmp_path):
    """Nobody waits for the clock: a day with orders, halts and lost links takes seconds, and repeats exactly."""
    entries = [
        {"what": {"partial_fills": {"sizes": [1], "pause_seconds": 600}}},
        {"when": {"at": "11:00"}, "what": "link_lost", "for": 60},
        {"when": {"at": "13:00"}, "what": "halted", "for": 900},
        {"when": {"message": "execution"}, "what": "correction", "chance": 0.5, "times": "always"},
    ]

    def played():
        market = SyntheticDay(date(2026, 2, 10), 7, "quiet")
        gateway = Gateway(market, Exchange(market), "SIM0000001", market.open)
        gateway.faults.play(read_script(entries, 5))
        client = Client(gateway)
        option = ("0", "SPX", "OPT", "20260210", "6760.0", "C", "100", "SMART", "", "USD", "", "SPXW")
        watch(client, 1, option)
        heard = client.place(1, "BUY", "90.0", contract=option, quantity=20)
        for hour in range(10, 17):
            gateway.advance(market.open.replace(hour=hour, minute=5))
            heard += client.read()
        return heard

    began = process_time()
    heard = played()
    assert process_time() - began < 10
    assert {"4", "11", "59"} <= {fields[0] for fields in heard}
    assert {(-1, 1100), (-1, 1102)} <= set(errors(heard))
    assert heard == played()
