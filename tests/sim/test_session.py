"""A session of the simulated gateway without a socket: bytes in, frames out."""

import json
import signal
import socket
import struct
import subprocess
import sys
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from clients import CALL, SPX, UNSET, Client, errors, kinds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spxarb.sim.api.dispatch import HANDLERS
from spxarb.sim.api.wire import frame, frames_in, prefixed
from spxarb.sim.exchange.exchange import Exchange
from spxarb.sim.gateway import Gateway
from spxarb.sim.market.recorded import RecordedDay
from spxarb.sim.server import MarketClock, check_loopback
from tests.effort import examples

NEW_YORK = ZoneInfo("America/New_York")
DAY = """\
t,kind,symbol,expiry,strike,right,bid,ask,last,src
2026-01-29 09:30:00-05:00,und,SPX,,,,,,6970.5,x
2026-01-29 09:30:00-05:00,und,SPY,,,,695.1,695.12,695.11,x
2026-01-29 09:30:00-05:00,opt,SPX,2026-01-29,6975,C,17.5,17.8,,x
2026-01-29 09:41:00-05:00,opt,SPX,2026-01-29,6975,C,16.4,16.6,,x
2026-01-29 09:42:00-05:00,opt,SPX,2026-01-29,6975,C,16.4,16.6,,x
2026-01-29 09:43:00-05:00,opt,SPX,2026-01-29,6975,C,0,0.05,,x
"""


def at(clock):
    return datetime.combine(date(2026, 1, 29), datetime.strptime(clock, "%H:%M").time(), NEW_YORK)


@pytest.fixture
def gateway(tmp_path):
    file = tmp_path / "day.csv"
    file.write_text(DAY)
    market = RecordedDay(file)
    return Gateway(market, Exchange(market), "SIM0000001", at("09:40"))


def test_nothing_but_the_version_is_said_before_start_api(gateway):
    client = Client(gateway)
    assert [fields[0] for fields in client.greeting] == ["176"]
    assert len(client.greeting[0]) == 2
    assert kinds(client.welcome) == [15, 9, 4, 4, 4]
    assert client.welcome[0] == ["15", "1", "SIM0000001"]
    assert [code for _, code in errors(client.welcome)] == [2104, 2106, 2158]


@pytest.mark.parametrize(
    "greeting", [b"API\0" + prefixed(b"v100..156"), b"HTTP", b"API\0" + prefixed(b"x..y")]
)
def test_a_client_without_a_common_version_is_disconnected_in_silence(gateway, greeting):
    session = gateway.connect()
    session.receive_data(greeting)
    assert (session.closed, session.data_to_send()) == (True, b"")


def test_a_request_before_start_api_ends_the_connection(gateway):
    session = gateway.connect()
    session.receive_data(b"API\0" + prefixed(b"v157..176"))
    session.data_to_send()
    session.receive_data(frame(61, 1))
    assert (session.closed, session.data_to_send()) == (True, b"")


def test_a_second_client_with_the_same_id_gets_326_and_the_end(gateway):
    first, second = Client(gateway, 4), Client(gateway, 4)
    assert errors(second.welcome) == [(-1, 326)]
    assert (second.session.closed, first.session.closed) == (True, False)
    first.session.close()
    assert kinds(Client(gateway, 4).welcome) == [15, 9, 4, 4, 4]


@pytest.mark.parametrize(
    ("version", "details", "opened", "complete", "failure"),
    [(157, 39, 128, 96, 5), (158, 39, 128, 96, 5), (160, 39, 130, 96, 5), (162, 39, 131, 96, 5),
     (163, 40, 131, 96, 5), (164, 40, 131, 96, 5), (166, 40, 131, 96, 6), (170, 40, 136, 101, 6),
     (176, 40, 136, 101, 6)],
)  # fmt: skip
def test_frames_have_the_length_of_their_version(gateway, version, details, opened, complete, failure):
    client = Client(gateway, version=version)
    issuer = ("",) if version >= 176 else ()
    (found, end) = client.ask(9, 8, 1, *CALL, 0, "", "", *issuer)
    assert (len(found), end) == (details, ["52", "1", "1"])
    order = client.place(1)
    assert [len(fields) for fields in order if fields[0] == "5"] == [opened]
    assert [len(fields) for fields in order if fields[0] == "3"] == [12]
    client.ask(4, 1, 1, *(("",) if version >= 169 else ()))
    (done, end) = client.ask(99, 0)
    assert (done[0], len(done), end) == ("101", complete, ["102"])
    assert {len(fields) for fields in client.welcome if fields[0] == "4"} == {failure}


def test_a_fill_is_reported_in_the_order_of_the_real_gateway(gateway):
    client = Client(gateway)
    client.ask(61, 1)
    sent = client.place(1, "SELL", "17.5")
    assert kinds(sent)[:2] == [5, 3]
    (execution,) = [fields for fields in sent if fields[0] == "11"]
    (commission,) = [fields for fields in sent if fields[0] == "59"]
    (position,) = [fields for fields in sent if fields[0] == "61"]
    assert (len(execution), execution[1:3], execution[15]) == (
        31,
        ["-1", "1"],
        "20260129 09:40:00 America/New_York",
    )
    assert execution[18:20] == ["SLD", "1"]
    assert (commission[2], commission[3:7]) == (execution[14], ["1.64", "USD", UNSET, UNSET])
    assert (len(position), position[14]) == (16, "-1")
    final = [fields for fields in sent if fields[0] == "3"][-1]
    assert final[2:6] == ["Filled", "1", "0", "17.5"]
    assert kinds(sent).index(11) < kinds(sent).index(59)


def test_an_order_is_reported_to_its_owner_and_a_position_to_every_subscriber(gateway):
    owner, other = Client(gateway, 1), Client(gateway, 2)
    other.ask(61, 1)
    owner.place(1, "SELL", "17.5")
    assert kinds(other.read()) == [61]
    assert kinds(other.ask(16, 1)) == [53]
    assert kinds(other.ask(7, 3, 9, 0, "", "", "", "", "", "")) == [11, 59, 55]


def test_an_order_id_cannot_be_used_twice_even_by_a_new_connection(gateway):
    client = Client(gateway)
    client.place(5)
    client.ask(4, 1, 5, "")
    client.session.close()
    again = Client(gateway)
    assert again.welcome[1] == ["9", "1", "6"]
    assert errors(again.place(5)) == [(5, 103)]


def test_quotes_are_sent_when_they_change_and_not_when_they_do_not(gateway):
    client = Client(gateway)
    first = client.ask(1, 11, 7, *CALL, 0, "", 0, 0, "")
    assert kinds(first)[:2] == [81, 58]
    assert next(f for f in first if f[0] == "1")[:5] == ["1", "6", "7", "1", "17.5"]
    gateway.advance(at("09:41"))
    changed = {tuple(f[3:5]) for f in client.read() if f[0] == "1"}
    assert {("1", "16.4"), ("2", "16.6")} <= changed
    gateway.advance(at("09:42"))
    assert [f for f in client.read() if f[0] in {"1", "58", "81"}] == []
    gateway.advance(at("09:43"))
    gone = [f for f in client.read() if f[0] == "1" and f[3] == "1"]
    assert [f[4:6] for f in gone] == [["0.0", "0"]]
    client.ask(2, 2, 7)
    gateway.advance(at("09:44"))
    assert client.read() == []


def test_a_line_for_the_index_never_has_a_bid_or_ask(gateway):
    client = Client(gateway)
    ticks = client.ask(1, 11, 7, *SPX, 0, "", 0, 0, "")
    assert {f[3] for f in ticks if f[0] == "1"} & {"1", "2"} == set()
    assert ["1", "6", "7", "4", "6970.5", "0", "0"] in ticks


def test_requests_about_what_is_not_there_get_their_codes(gateway):
    client = Client(gateway)
    nothing = ("0", "XYZ", *CALL[2:])
    assert errors(client.ask(9, 8, 1, *nothing, 0, "", "", "")) == [(1, 200)]
    assert errors(client.ask(1, 11, 2, *nothing, 0, "", 0, 0, "")) == [(2, 200)]
    assert errors(client.ask(2, 2, 99)) == [(99, 300)]
    assert errors(client.ask(4, 1, 99, "")) == [(99, 10147)]
    assert errors(client.ask(91, 123456)) == [(-1, 321)]
    assert errors(client.ask(78, 3, "SPX", "", "IND", 0)) == [(3, 321)]
    assert errors(client.ask(20, 4, *CALL, 0, "", "7 mins", "1 D", 1, "TRADES", 1, 0, "")) == [(4, 321)]
    assert errors(client.ask(25, 1, 4)) == [(4, 366)]
    assert errors(client.ask(6, 2, 1, "U999")) == [(-1, 321)]
    assert errors(client.ask(7, 3, 5, 0, "", "yesterday", "", "", "", "")) == [(5, 320)]
    assert errors(client.ask(15, 1, 1)) == [(-1, 327)]
    client.ask(1, 11, 7, *CALL, 0, "", 0, 0, "")
    assert errors(client.ask(1, 11, 7, *CALL, 0, "", 0, 0, "")) == [(7, 102)]


def test_sessions_are_in_the_contracts_zone_and_only_for_versions_that_can_read_them(gateway):
    asked = ("", "1 day", "2 D", 1, "SCHEDULE", 1, 0, "")
    (sent,) = Client(gateway, 1).ask(20, 4, *CALL, 0, *asked)
    days = [
        "20260128-08:30:00",
        "20260128-15:00:00",
        "20260128",
        "20260129-08:30:00",
        "20260129-15:00:00",
        "20260129",
    ]
    assert sent == ["106", "4", days[0], days[4], "US/Central", "2", *days]
    old = Client(gateway, 2, version=157)
    assert errors(old.ask(20, 4, *CALL, 0, *asked)) == [(4, 321)]
    for wrong in (
        ("", "1 min", "2 D", 1),
        ("", "1 day", "2 S", 1),
        ("", "1 day", "2 D", 0),
        ("", "1 day", "99 Y", 1),
    ):
        answer = Client(gateway, 3).ask(20, 4, *CALL, 0, *wrong, "SCHEDULE", 1, 0, "")
        assert errors(answer) == [(4, 321)]
        gateway.sessions[-1].close()


def test_a_third_account_summary_is_refused(gateway):
    client = Client(gateway)
    for request in (1, 2):
        answer = client.ask(62, 1, request, "All", "NetLiquidation")
        assert kinds(answer) == [63, 64]
    assert errors(client.ask(62, 1, 3, "All", "NetLiquidation")) == [(3, 322)]
    client.ask(63, 1, 1)
    assert kinds(client.ask(62, 1, 3, "All", "NetLiquidation")) == [63, 64]


def test_what_cannot_be_read_is_answered_and_the_connection_stays_open(gateway):
    client = Client(gateway)
    assert errors(client.ask("rubbish")) == [(-1, 320)]
    assert errors(client.ask(9999, 1, 5)) == [(5, 320)]
    assert errors(client.ask(3, 12, 0)) == [(12, 320)]
    assert errors(client.ask(9, 8, 6)) == [(6, 320)]
    client.session.receive_data(prefixed(b""))
    assert errors(client.read()) == [(-1, 320)]
    assert kinds(client.ask(49, 1)) == [49]


def test_an_impossible_length_is_answered_and_ends_the_connection(gateway):
    client = Client(gateway)
    client.session.receive_data(struct.pack(">I", 1 << 31))
    assert (errors(client.read()), client.session.closed) == ([(-1, 320)], True)


@settings(
    max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_random_bytes_never_break_a_session(gateway, chunks):
    fresh, ready = gateway.connect(), Client(gateway, client_id=77).session
    for chunk in chunks:
        fresh.receive_data(chunk)
        ready.receive_data(chunk)
    list(frames_in(ready.data_to_send()))
    ready.close()


@settings(
    max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(sorted(HANDLERS)),
    st.lists(
        st.sampled_from(
            ["", "0", "1", "-1", "7", "SPX", "OPT", "20260129", "6975", "C", "1e999", "x" * 50, "é"]
        ),
        max_size=110,
    ),
)
def test_random_fields_of_every_request_get_frames_that_clients_can_split(gateway, number, fields):
    client = Client(gateway, client_id=78)
    for answer in client.ask(int(number), *fields):
        assert int(answer[0]) > 0
    assert kinds(client.ask(49, 1)) == [49]
    client.session.close()


PROPER = [
    (1, 11, 7, *CALL, 0, "", 0, 0, ""),
    (9, 8, 7, *CALL, 0, "", "", ""),
    (20, 7, *CALL, 0, "", "1 min", "1 D", 1, "BID_ASK", 1, 1, ""),
    (20, 7, *CALL, 0, "20260129-14:50:00", "1 day", "2 D", 1, "SCHEDULE", 1, 0, ""),
    (78, 7, "SPX", "", "IND", 416904),
    (7, 3, 7, 0, "", "20260129-14:40:00", "SPX", "OPT", "", "BUY"),
    (62, 1, 7, "All", "NetLiquidation,$LEDGER:ALL"),
    (76, 1, 7, "SIM0000001", "", 0),
    (94, 7, "SIM0000001", "", 416904),
    (81, 7, "SP"),
    (4, 1, 7, ""),
]
JUNK = st.sampled_from(
    ["", "0", "-1", "1e999", "nan", "99999999999999999999", "SPX", "20261301", "é", "x" * 300, "1 D"]
)


@settings(
    max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(PROPER), st.integers(157, 176), st.dictionaries(st.integers(1, 25), JUNK, max_size=3))
def test_a_proper_request_with_some_fields_spoiled_is_answered_at_every_version(
    gateway, request_, version, spoiled
):
    client = Client(gateway, client_id=79, version=version)
    fields = [spoiled.get(place, field) for place, field in enumerate(request_)]
    for answer in client.ask(*fields):
        assert int(answer[0]) > 0
        assert answer[0] != "4" or len(answer) == (6 if client.session.version >= 166 else 5)
    assert kinds(client.ask(49, 1)) == [49]
    client.session.close()


def test_the_clock_never_goes_back(gateway):
    with pytest.raises(ValueError, match="cannot go back"):
        gateway.advance(at("09:39"))


def test_a_clock_runs_at_its_speed_and_can_stand_still():
    machine = [100.0]
    clock = MarketClock(at("09:30"), 60, lambda: machine[0])
    machine[0] += 2
    assert clock.now() == at("09:32")
    clock.set_speed(0)
    machine[0] += 50
    assert clock.now() == at("09:32")
    clock.set(at("09:40"))
    clock.set_speed(1)
    machine[0] += 1.5
    assert clock.now() == at("09:40") + timedelta(seconds=1.5)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_is_taken(host):
    check_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "", "192.168.1.5", "example.com"])
def test_any_other_address_is_refused(host):
    with pytest.raises(ValueError, match="loopback only"):
        check_loopback(host)


def test_a_gateway_ends_in_silence_whoever_is_connected():
    """A client, a control at rest and a control that reads no answer: none of them delays or spoils the end."""
    command = [
        sys.executable,
        "-m",
        "spxarb.sim",
        "--json",
        "--port",
        "0",
        "--speed",
        "0",
        "--date",
        "2026-01-29",
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe) as process:
        try:
            sent = json.loads(process.stdout.readline())
            client, idle, deaf = (
                socket.create_connection(("127.0.0.1", sent[port]))
                for port in ("port", "control_port", "control_port")
            )
            with client, idle, deaf:
                client.sendall(b"API\0" + prefixed(b"v157..176"))
                assert client.recv(100)
                shown = f'"token": "{sent["control_token"]}"'
                idle.sendall(f'{{"op": "time", {shown}}}\n'.encode())
                assert idle.recv(1000)
                deaf.sendall(f'{{"op": "book", {shown}}}\n'.encode())
                assert deaf.recv(1)
                deaf.setblocking(False)
                try:
                    while True:
                        deaf.send(b'{"op": "book"}\n' * 1000)
                except BlockingIOError:
                    pass
                process.send_signal(signal.SIGTERM)
                assert process.communicate(timeout=20) == (b"", b"")
        finally:
            process.kill()
    assert process.returncode == 0
