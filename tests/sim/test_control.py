"""The control port of a simulated gateway: steered by the user who started it, and by nobody else."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from spxarb.sim import token
from spxarb.sim.control import Control, ControlError, RunningSim
from spxarb.sim.server import MAX_CLIENTS, MAX_CONTROLS, MAX_LINE


@pytest.fixture(scope="module")
def sim():
    with RunningSim(date="2026-02-10", at="09:35", speed=0) as running:
        yield running


def said(sim, data):
    """All that the control port answers to these bytes before it ends the connection, within 5 s."""
    with socket.create_connection(("127.0.0.1", sim.control_port), timeout=5) as stranger:
        answer = b""
        try:
            stranger.sendall(data)
            while more := stranger.recv(1 << 16):
                answer += more
        except ConnectionError:
            pass
        return answer


def with_token(sim, **request):
    shown = {**request, "token": token.kept("127.0.0.1", sim.control_port)}
    return json.dumps(shown).encode() + b"\n"


@pytest.mark.parametrize(
    "line",
    [
        b'{"op": "stop"}',
        b'{"op": "stop", "token": ""}',
        b'{"op": "stop", "token": "5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f"}',
        b'{"op": "stop", "token": null}',
        b'{"op": "stop", "token": ["a"]}',
        '{"op": "stop", "token": "\u00e9\ud83d\ude00"}'.encode("utf-16", "surrogatepass")
        .decode("utf-16")
        .encode(),
        b'["stop"]',
        b"stop",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"op": ' * 100_000,
        b'{"op": "time", "more": "' + b"x" * MAX_LINE,
        b'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n\r\n{"op": "stop"}',
    ],
    ids=lambda line: repr(line[:30]),
)
def test_what_is_no_request_with_the_token_ends_the_connection_and_nothing_else(sim, line):
    answer = said(sim, line + b"\n" + b'{"op": "stop"}\n' * 3)
    assert answer.count(b"\n") <= 1
    assert b'"ok": true' not in answer
    assert sim.control.time().hour == 9


def test_one_connection_shows_the_token_once(sim):
    with socket.create_connection(("127.0.0.1", sim.control_port), timeout=5) as ours:
        ours.sendall(with_token(sim, op="time") + b'{"op": "time"}\n')
        answers = ours.makefile("rb")
        assert all(json.loads(answers.readline())["ok"] for _ in range(2))
        ours.sendall(b"[" * 100_000 + b'\n{"op": "stop"}\n')
        assert json.loads(answers.readline()) == {"ok": False, "error": "a request is a JSON object"}
        assert answers.readline() == b""
    assert sim.control.time().hour == 9


@pytest.mark.parametrize("file", ["/etc/passwd", "/dev/zero", "nowhere.yaml"])
def test_no_file_is_read_for_a_request(sim, file):
    with socket.create_connection(("127.0.0.1", sim.control_port), timeout=5) as ours:
        ours.sendall(with_token(sim, op="script", file=file))
        answer = json.loads(ours.makefile("rb").readline())
    assert answer == {"ok": False, "error": "no file is read for a request: send its entries"}


def test_a_script_in_a_file_is_read_by_whoever_sends_it(sim, tmp_path):
    script = tmp_path / "faults.yaml"
    script.write_text("- what: {clock_off: {seconds: 60}}\n")
    sim.control.script(script)
    assert [one["fault"] for one in sim.control.fired()] == ["clock_off"]
    sim.control.script()
    script.write_text("- " * 600_000)
    with pytest.raises(ControlError, match="longer than 1,048,576 bytes"):
        sim.control.script(script)


def test_the_token_is_told_at_the_start_and_kept_for_its_user_alone(tmp_path):
    command = [sys.executable, "-m", "spxarb", "sim", "--port", "0", "--speed", "0", "--date", "2026-02-10"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "HOME": str(tmp_path)}
    ) as process:
        try:
            where, told = process.stdout.readline(), process.stdout.readline()
            port = int(where.split("control 127.0.0.1:")[1].split(",")[0])
            shown = told.removeprefix("control token ").strip()
            assert shown == token.kept("127.0.0.1", port) == token.kept("localhost", port)
            (path,) = [
                one for one in (folder / f"127.0.0.1-{port}" for folder in token._folders()) if one.exists()
            ]
            assert [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)] == [0o600, 0o700]
            with Control(port, token=shown) as steering:
                assert steering.time().hour == 9
            with Control(port) as steering:
                steering.stop()
            assert process.wait(10) == 0
            assert not path.exists()
        finally:
            process.kill()


def test_a_token_that_another_user_could_have_written_is_not_shown_to_anybody(tmp_path, monkeypatch):
    folder = tmp_path / "tokens"
    monkeypatch.setattr(token, "_folders", lambda: [folder])
    path = token.keep("127.0.0.1", 4011, "5f" * 16)
    assert token.kept("127.0.0.1", 4011) == "5f" * 16
    path.chmod(0o640)
    assert token.kept("127.0.0.1", 4011) == ""
    path.chmod(0o600)
    folder.chmod(0o770)
    assert (token.kept("127.0.0.1", 4011), token.keep("127.0.0.1", 4012, "a")) == ("", None)
    folder.chmod(0o700)
    path.rename(folder / "elsewhere")
    path.symlink_to(folder / "elsewhere")
    assert token.kept("127.0.0.1", 4011) == ""


def test_what_a_killed_gateway_left_goes_at_the_next_start_and_no_link_is_followed(tmp_path, monkeypatch):
    folder = tmp_path / "tokens"
    monkeypatch.setattr(token, "_folders", lambda: [folder])
    with socket.create_server(("127.0.0.1", 0)) as living, socket.create_server(("127.0.0.1", 0)) as killed:
        ports = [one.getsockname()[1] for one in (living, killed)]
        kept, left = [token.keep("127.0.0.1", port, "5f" * 16) for port in ports]
        killed.close()
        (tmp_path / "precious").write_text("mine")
        planted = folder / "127.0.0.1-4013"
        planted.symlink_to(tmp_path / "precious")
        path = token.keep("127.0.0.1", 4013, "6e" * 16)
    assert (kept.exists(), left.exists()) == (True, False)
    assert (path, path.read_text(), path.is_symlink()) == (planted, "6e" * 16, False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (tmp_path / "precious").read_text() == "mine"


def test_the_clock_of_a_gateway_of_somebody_else_is_not_moved(sim):
    held = [one for folder in token._folders() for one in folder.glob(f"127.0.0.1-{sim.control_port}")]
    away = held[0].rename(held[0].with_name(f"{held[0].name}.away"))
    try:
        command = [sys.executable, "-m", "spxarb", "sim", "step", "--control", str(sim.control_port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stdout) == (4, "")
        assert "the first request has the token that the gateway told when it started" in done.stderr
        assert sim.control.time().hour == 9
    finally:
        away.rename(held[0])


@pytest.mark.parametrize(("port", "most"), [("port", MAX_CLIENTS), ("control_port", MAX_CONTROLS)])
def test_so_many_at_once_and_no_more(port, most):
    with RunningSim(date="2026-02-10", at="09:35", speed=0) as sim, ExitStack() as stack:
        where = ("127.0.0.1", getattr(sim, port))
        many = [stack.enter_context(socket.create_connection(where, timeout=1)) for _ in range(most + 20)]
        time.sleep(0.3)
        cut = 0
        for one in many:
            one.setblocking(False)
            try:
                cut += one.recv(1) == b""
            except ConnectionError:
                cut += 1
            except BlockingIOError:
                pass
        assert 20 <= cut <= 21
        assert sim.control.time().hour == 9


def woken(process):
    """How often the main thread of a process has slept and been woken."""
    words = Path(f"/proc/{process}/status").read_text().split()
    return int(words[words.index("voluntary_ctxt_switches:") + 1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system counts no wake-ups in /proc")
def test_a_clock_that_stands_still_wakes_nobody_and_one_that_is_set_going_does(sim):
    process = sim._process.pid
    for speed in (0, 60, 0):
        sim.control.speed(speed)
        before, moment = woken(process), sim.control.time()
        until = time.monotonic() + 10
        if speed:
            while woken(process) < before + 20 and time.monotonic() < until:
                time.sleep(0.05)
            assert woken(process) >= before + 20
            assert sim.control.time() > moment
        else:
            time.sleep(0.3)  # what was under way when it was stopped
            before = woken(process)
            time.sleep(1)
            assert woken(process) == before
