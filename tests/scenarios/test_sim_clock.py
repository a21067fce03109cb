"""`sim set-time` and `sim step`: the clock of a gateway in another terminal, moved by a command."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading

import pytest
from jsonschema import Draft202012Validator

from spxarb.jobs.sim import happened
from spxarb.sim.control import RunningSim
from tools.docs.schemas import schema


def spxarb(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spxarb", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def sim():
    with RunningSim(date="2026-02-10", at="09:35", speed=0) as running:
        yield running


def test_the_clock_goes_where_it_is_told_and_never_back(sim):
    control = "--control", sim.control_port
    moves = {
        ("set-time", "09:40"): "09:40:00",
        ("set-time", "2026-02-10T09:41:30"): "09:41:30",
        ("set-time", "2026-02-10 14:42:00+00:00"): "09:42:00",
        ("step",): "09:43:00",
        ("step", "90"): "09:44:30",
        ("step", "30s"): "09:45:00",
        ("step", "5m"): "09:50:00",
        ("step", "0.5h"): "10:20:00",
        ("set-time", "15:45"): "15:45:00",
    }
    for words, clock in moves.items():
        done = spxarb("sim", *words, *control)
        assert (done.returncode, done.stderr) == (0, ""), words
        assert f" to {clock}; nothing happened in the account." in " ".join(done.stdout.split()), words
        assert f"{sim.control.time():%H:%M:%S}" == clock
    back = spxarb("sim", "set-time", "09:35", *control)
    assert (back.returncode, back.stdout) == (2, "")
    assert "shows 2026-02-10 15:45:00 and never goes back" in back.stderr
    told = spxarb("sim", "step", "1m", *control, "--json")
    found = json.loads(told.stdout)
    Draft202012Validator(schema("sim")).validate(found)
    assert (found["time"], found["control_port"]) == ("2026-02-10T15:46:00-05:00", sim.control_port)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("set-time", "11:00"), 2, "--control PORT"),
        (("set-time", "--control", "4011"), 2, "set-time wants a New York time"),
        (("set-time", "noon", "--control", "sim"), 2, "'noon' is no time such as 15:45"),
        (("set-time", "12:01+05:00", "--control", "sim"), 2, "'12:01+05:00' is no time such as 15:45"),
        (("set-time", "9999-12-31T23:59", "--control", "sim"), 2, "the gateway plays no such time"),
        (("set-time", "25:00", "--control", "1"), 2, "'25:00' is no time such as 15:45"),
        (("step", "999999999999h", "--control", "sim"), 2, "no calendar reaches 999999999999h further"),
        (("step", "99999999h", "--control", "sim"), 2, "no calendar reaches 99999999h further"),
        (("step", "5m", "--control", "sim", "--speed", "3"), 2, "--speed is for a gateway that starts"),
        (("step", "a while", "--control", "sim"), 2, "'a while' is no duration such as 90"),
        (("step", "-5", "--control", "sim"), 2, "-5"),
        (("step", "--control", "1"), 4, "No simulated gateway answers at the control port 127.0.0.1:1"),
        (("step", "--control", "client"), 4, "Name the control port that `spxarb sim` printed"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_moves_nothing(sim, words, code, said):
    before = sim.control.time()
    ports = {"sim": sim.control_port, "client": sim.port}
    done = spxarb("sim", *(ports.get(word, word) for word in words))
    assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert said in done.stderr
    assert sim.control.time() == before


def test_a_gateway_that_refuses_is_not_said_to_be_gone():
    """Its token was lost, or another user started it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def refuse():
            stranger, _ = listener.accept()
            with stranger:
                stranger.recv(1 << 16)
                stranger.sendall(b'{"ok": false, "error": "the first request has the token"}\n')

        threading.Thread(target=refuse, daemon=True).start()
        done = spxarb("sim", "step", "--control", port)
    assert done.returncode == 4
    assert f"What answers at the control port 127.0.0.1:{port} refused: the first request has" in done.stderr


CALL = {"con_id": 1, "symbol": "SPY", "sec_type": "OPT", "trading_class": "SPY", "expiry": "20260210", "strike": 665.0, "right": "C"}  # fmt: skip
STOCK = {"con_id": 2, "symbol": "SPY", "sec_type": "STK", "trading_class": "SPY", "expiry": "", "strike": 0, "right": ""}  # fmt: skip


def test_what_a_moved_clock_brought_is_a_line_an_event():
    """A fail-safe that fired, an order that expired, calls that became shares; what was there is no event."""
    short = {**CALL, "quantity": -20}
    rests = {**CALL, "perm_id": 7, "side": "BUY", "quantity": 10, "status": "PreSubmitted", "order_ref": "f1"}
    fill = {**CALL, "exec_id": "a", "side": "BOT", "shares": 10, "price": 2.57, "order_ref": "f1", "time": "2026-02-10T15:50:00-05:00"}  # fmt: skip
    before = {"fills": [{**fill, "exec_id": "old"}], "orders": [rests], "positions": [short]}
    assert [*happened(before, before)] == []
    filled = {"fills": [*before["fills"], fill], "orders": [{**rests, "status": "Filled"}], "positions": [{**CALL, "quantity": -10}]}  # fmt: skip
    assert [*happened(before, filled)] == ["15:50:00 bought 10 SPY 2026-02-10 665 call at $2.57 (f1)"]
    ended = {
        **before,
        "orders": [{**rests, "status": "Cancelled"}],
        "positions": [{**STOCK, "quantity": -2000}],
    }
    assert [*happened(before, ended)] == [
        "order to BUY 10 SPY 2026-02-10 665 call is Cancelled (f1)",
        "SPY 2026-02-10 665 call: -20 became 0 without a trade (settlement, exercise or assignment)",
        "SPY: 0 became -2000 without a trade (settlement, exercise or assignment)",
    ]
