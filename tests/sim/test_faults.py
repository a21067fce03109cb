"""Scripts of faults: the table, combinations of faults, their repetition, mistakes, nonsense, the process."""

import contextlib
import re
import socket
import struct
from datetime import date, timedelta
from pathlib import Path
from time import process_time

import pytest
import yaml
from clients import UNSET, Client, errors, kinds
from faulty import (
    DAY,
    SPY_CALL,
    at,
    buy,
    cancel,
    commissions,
    executions,
    later,
    new_gateway,
    positions,
    rest,
    statuses,
    watch,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from tests.effort import examples
from tools.docs import faults

ROOT = Path(__file__).parents[2]


# --- the table ---------------------------------------------------------------------------------------------


def test_every_fault_of_the_table_is_shown_by_a_test():
    sources = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    claimed = re.findall(r"^@claims\((.*)\)$", sources, re.MULTILINE)
    assert {name for names in claimed for name in re.findall(r'"(\w+)"', names)} == set(FAULTS)
    assert sum(len(kinds) for kinds in GROUPS.values()) == len(FAULTS)


@pytest.mark.parametrize("kind", FAULTS.values(), ids=FAULTS)
def test_every_fault_is_described_and_its_defaults_are_allowed(kind):
    assert kind.says.endswith(".")
    assert kind.acts
    given = {p.name: p.default for p in kind.parameters if p.default not in {None, REQUIRED, ""}}
    wanted = {
        "seconds": 1,
        "fields": [9, 1, 5],
        "code": 399,
        "sizes": [1],
        "zone": "Asia/Tokyo",
        "by": 1,
        "strike": 6975,
    }
    given |= {p.name: wanted[p.name] for p in kind.parameters if p.required}
    when = {"message": "error"} if kind.needs_message else {"request": "ids"} if kind.needs_request else {}
    (entry,) = read_script([{"when": when, "what": {kind.name: given}}]).entries
    assert entry.kind is kind
    for parameter in kind.parameters:
        assert parameter.says, parameter.name


def test_the_document_has_the_table_as_it_is():
    text = (ROOT / faults.DOCUMENT).read_text()
    assert text == faults.replaced(text)
    assert all(f"| `{name}` |" in text for name in FAULTS)


def test_the_script_in_the_document_is_one():
    text = (ROOT / faults.DOCUMENT).read_text()
    block = text.split("```yml\n")[1].split("```")[0]
    assert len(read_script(yaml.safe_load(block)).entries) == 6


# --- scripts -----------------------------------------------------------------------------------------------


def test_faults_combine(sim):
    """A fill that is partial, sent late, its commission twice and unset, its status three times."""
    gateway = sim(
        {"what": {"partial_fills": {"sizes": [1], "pause_seconds": 10}}},
        {"what": {"delay": {"seconds": 2, "messages": "execution"}}, "for": 60},
        {"what": {"duplicate": {"messages": "commission"}}, "for": 60},
        {"what": "unset_commission"},
    )
    client = Client(gateway)
    sent = buy(client, quantity=2)
    assert (executions(sent), commissions(sent)) == ([], [UNSET, UNSET])
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
    assert [len(one.ask(8, 1, 1)) for one in (client, other)] == [1, 1]
    later(gateway, 60, client, other)
    assert [len(one.ask(8, 1, 1)) for one in (client, other)] == [1, 0]


def received(tmp_path, seed):
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
    assert received(tmp_path, 3) == received(tmp_path, 3)
    assert received(tmp_path, 3) != received(tmp_path, 4)


def test_a_new_script_ends_the_old_one(sim):
    gateway = sim({"what": "link_lost"}, {"what": "stop_writing"})
    client = Client(gateway)
    buy(client)
    gateway.faults.play(read_script([]))
    sent = client.read()
    assert (15 in kinds(sent), (-1, 1102) in errors(sent), statuses(sent)[-1]) == (True, True, "Filled")
    assert kinds(rest(client, 2)) == [5, 3]


def test_what_has_not_begun_does_not_begin_after_its_script(sim):
    gateway = sim(
        {"what": "stop_writing", "after_seconds": 5}, {"what": {"error": {"code": 1}}, "after_seconds": 5}
    )
    gateway.faults.play(read_script([]))
    client = Client(gateway)
    later(gateway, 10, client)
    assert kinds(rest(client)) == [5, 3]


def test_a_client_that_connects_while_the_link_is_lost_gets_2110(sim):
    assert (-1, 2110) in errors(Client(sim({"what": "link_lost"})).welcome)


def test_others_trade_a_contract_by_its_number(sim):
    gateway = sim({"what": {"foreign_fill": {"con_id": 756733, "side": "SELL"}}})
    assert positions(Client(gateway)) == {"SPY": -1.0}


def test_firings_are_listed(sim):
    gateway = sim({"what": "stale"}, {"when": {"request": "ids"}, "what": "ignore"})
    Client(gateway).ask(8, 1, 1)
    assert [(one.entry, one.fault) for one in gateway.faults.fired] == [(1, "stale"), (2, "ignore")]


def test_a_script_that_triggers_itself_comes_to_an_end(sim):
    gateway = sim({"when": {"message": "error"}, "what": {"error": {"code": 1}}, "times": "always"})
    client = Client(gateway)
    later(gateway, 3600, client)
    assert len(gateway.faults.fired) == 1000


def test_a_script_is_refused_with_every_problem_at_once():
    with pytest.raises(ScriptError) as caught:
        read_script(
            [
                {"what": "hold_fill"},
                {"when": {"request": "place_ordr"}, "what": "ignore"},
                {"when": {"at": 38490}, "what": {"partial_fills": {"sises": [1]}}},
                {"what": "delay", "chance": 2},
                {"what": {"exec_time": {"form": "unknwn"}}, "fr": 3},
                {"what": "bust", "for": "always", "times": 2},
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
def test_anything_but_a_script_is_refused(plain):
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


# --- nonsense ----------------------------------------------------------------------------------------------


VALUES = {
    "seconds": st.sampled_from([0, 0.5, 3, 100]), "signed_seconds": st.sampled_from([-5, 0, 7.5]),
    "number": st.sampled_from([-1, 0, 0.05, 17.8]), "natural": st.integers(0, 20000), "count": st.integers(1, 4),
    "counts": st.lists(st.integers(1, 3), min_size=1, max_size=3), "flag": st.booleans(),
    "zone": st.sampled_from(["Asia/Tokyo", "UTC"]), "text": st.sampled_from(["", "order", "-1", "x"]), "fields": st.lists(st.integers(0, 110), min_size=1, max_size=9),
    "messages": st.lists(st.sampled_from(sorted(MESSAGES)), min_size=1, max_size=3),
    "requests": st.lists(st.sampled_from(sorted(REQUESTS)), min_size=1, max_size=3),
}  # fmt: skip


@st.composite
def entries(draw):
    kind = FAULTS[draw(st.sampled_from(sorted(FAULTS)))]
    args = {}
    for parameter in kind.parameters:
        if parameter.required or draw(st.booleans()):
            values = st.sampled_from(parameter.choices) if parameter.choices else VALUES[parameter.type]
            args[parameter.name] = draw(values)
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
        entry |= draw(st.sampled_from([{}, {"for": 2}, {"for": "always"}]))
    if set(when) & {"request", "message"}:
        entry |= draw(st.sampled_from([{}, {"times": 3}, {"times": "always"}]))
    return entry


WORDS = st.sampled_from(["", "0", "1", "5", "-1", "x", "416904", "SPX", "17.8", "BUY"])
NONSENSE = st.lists(WORDS, max_size=30)


@settings(
    max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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


# --- in its own process ------------------------------------------------------------------------------------


def hello(port, *requests):
    """Connect over a socket, ask, read until the gateway is silent or gone: the fields of each frame."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link.sendall(b"API\0" + prefixed(b"v100..176"))
        reader, received = FrameReader(), []
        link.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            while data := link.recv(65536):
                reader.feed(data)
                while (payload := reader.payload()) is not None:
                    if not received:
                        link.sendall(b"".join(frame(*fields) for fields in ((71, 2, 1, ""), *requests)))
                    received.append(payload.decode().split("\0")[:-1])
    return received


def test_scripts_come_from_a_file_from_python_and_through_the_control(tmp_path):
    file = tmp_path / "faults.yaml"
    file.write_text("- what: {withhold: {messages: next_valid_id}}\n- what: split\n")
    with RunningSim(faults=file, date="2026-02-10", at="09:40", speed=0) as sim:
        assert kinds(hello(sim.port)[1:])[:2] == [15, 4]
        assert kinds(hello(sim.port)[1:])[:2] == [15, 9]
        sim.control.script([{"what": {"clock_off": {"seconds": 60}}}])
        (sent,) = [fields[2] for fields in hello(sim.port, (49, 1)) if fields[0] == "49"]
        assert int(sent) == int(sim.control.time().timestamp()) + 60
        assert [(one["entry"], one["fault"]) for one in sim.control.fired()] == [(1, "clock_off")]
        with pytest.raises(ControlError, match=r"entry 1.*did you mean stale.*; entry 2"):
            sim.control.script([{"what": "stal"}, {"what": 3}])
        assert len(sim.control.fired()) == 1
        sim.control.script()
        assert (
            int(next(fields[2] for fields in hello(sim.port, (49, 1)) if fields[0] == "49")) == int(sent) - 60
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


def test_a_whole_day_with_faults_takes_seconds(tmp_path):
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
        received = client.place(1, "BUY", "90.0", contract=option, quantity=20)
        for hour in range(10, 17):
            gateway.advance(market.open.replace(hour=hour, minute=5))
            received += client.read()
        return received

    began = process_time()
    received = played()
    assert process_time() - began < 10
    assert {"4", "11", "59"} <= {fields[0] for fields in received}
    assert {(-1, 1100), (-1, 1102)} <= set(errors(received))
    assert received == played()
