"""`ib.gateway_user`: whose program answers at the port is seen before a byte is sent; and a host that is not here."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys

import pytest
from actions import enter, playing
from relay import listening

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the owner of a socket")
ME = pwd.getpwuid(os.getuid()).pw_name
OTHER = next(one.pw_name for one in pwd.getpwall() if one.pw_uid not in {os.getuid(), 0, 65534})
LISTEN_AS = """
import os, socket, sys
os.setgroups([]), os.setuid(int(sys.argv[1]))
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
client, _ = listener.accept()
print(client.recv(100), flush=True)
"""


@pytest.fixture
def stage(tmp_path):
    """A spread that is open and not due."""
    with playing(tmp_path) as made:
        enter(made)
        made.at("11:00")
        yield made


def test_the_users_own_gateway_is_traded_with_and_anothers_is_not(stage):
    for user in (ME, str(os.getuid())):
        stage.write_config(ib={"gateway_user": user})
        assert stage.run("monitor").code == 0
    stage.write_config(ib={"gateway_user": OTHER})
    for words in (("monitor",), ("enter",), ("status",), ("settle",)):
        done = stage.run(*words)
        assert done.code == 5, (words, done.err)
        assert (
            f"A program of user {ME} answers at 127.0.0.1:{stage.sim.port}, not of ib.gateway_user {OTHER}"
            in done.err
        )
        assert done.err.count("\n") == 1
    (line,) = [one for one in stage.run("doctor")["checks"] if one["name"] == "gateway"]
    assert (line["verdict"], line["exit_code"]) == ("failed", 5)
    stage.at("15:45")
    due = stage.run("close-all", "--yes")
    assert (due.code, len(stage.positions())) == (6, 2), due.err
    stage.write_config(ib={"gateway_user": ME})
    assert (stage.run("monitor").code, stage.positions()) == (0, {})


def test_nothing_is_sent_to_a_strangers_program_and_nothing_of_it_is_believed(stage):
    heard = []

    def greet(client):
        client.sendall(b"\0\0\0\x1f176\x0020260210 09:35:00 EST\x00")
        heard.append(client.recv(1 << 16))

    with listening(greet) as (port, _):
        stage.write_config(ib={"port": port, "gateway_user": OTHER})
        done = stage.run("monitor")
    assert (done.code, set(heard)) == (5, {b""}), done.err


def test_who_speaks_first_is_no_gateway(stage):
    with listening(lambda client: client.sendall(b"\0\0\0\x1f176\x0020260210 09:35:00 EST\x00" * 2)) as (
        port,
        _,
    ):
        stage.write_config(ib={"port": port, "gateway_user": ME})
        done = stage.run("monitor")
    assert (done.code, "spoke before it was spoken to" in done.err) == (4, True), done.err


def test_a_user_who_does_not_exist_is_refused_with_the_reason(stage):
    stage.write_config(ib={"gateway_user": "nobody-of-that-name"})
    done = stage.run("monitor")
    assert (done.code, "There is no user 'nobody-of-that-name' on this machine" in done.err) == (5, True)


def test_a_program_that_never_accepts_belongs_to_nobody(stage):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        stage.write_config(ib={"port": deaf.getsockname()[1], "gateway_user": ME})
        done = stage.run("monitor")
    assert done.code == 5
    assert "cannot be known (no program of this machine has accepted it in 2 s)" in done.err


@pytest.mark.skipif(os.getuid() != 0, reason="only root can listen as somebody else")
def test_another_user_who_takes_the_port_gets_not_one_byte(stage):
    owner = pwd.getpwnam(OTHER).pw_uid
    command = [sys.executable, "-S", "-c", LISTEN_AS, str(owner)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stdout.readline())
            stage.write_config(ib={"port": port, "gateway_user": ME})
            done = stage.run("monitor")
            assert done.code == 5
            assert (
                f"A program of user {OTHER} answers at 127.0.0.1:{port}, not of ib.gateway_user {ME}"
                in done.err
            )
            assert process.stdout.readline() == "b''\n"
        finally:
            process.send_signal(signal.SIGKILL)


def test_doctor_warns_of_a_host_that_is_not_this_machine(stage):
    stage.write_config(ib={"host": "192.0.2.1", "port": 4002}, execution={"connect_timeout_seconds": 1})
    (line,) = [one for one in stage.run("doctor")["checks"] if one["name"] == "host"]
    assert line["verdict"] == "warning"
    assert line["message"].startswith(
        "ib.host 192.0.2.1 is no loopback address: whoever is on the way reads and"
    )
    stage.write_config(ib={"host": "127.0.0.1", "port": stage.sim.port})
    assert not [one for one in stage.run("doctor")["checks"] if one["name"] == "host"]
