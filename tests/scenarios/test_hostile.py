"""A gateway that lies: bounded memory, an end in time by a code that says so, one line, a whole ledger."""

from __future__ import annotations

import json
import struct

import pytest
from big_account import big_account
from hostile import EXPECTED, FORGED, MOST_MEMORY, Hostile, attack, measured, packed, victim
from relay import listening

GREETING = packed(176, "20260210 15:45:00 EST")
SEEDS = range(2)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with victim(tmp_path_factory.mktemp("hostile")) as made:
        yield made


def against(stage, behave, words=("close-all", "--yes")):
    """A command, and how it ended, where every client is treated so."""
    with listening(behave) as (port, _):
        stage.write_config(ib={"port": port}, execution={"connect_timeout_seconds": 10})
        code, seconds, memory, out, err = measured(stage, words)
    assert memory < MOST_MEMORY
    assert seconds < 30
    assert err.count(b"\n") == 1
    return code, err.decode(), out.decode()


def without_end(first, more):
    """Greets, says the first, and more without end."""

    def behave(client):
        client.recv(1 << 16)
        client.sendall(GREETING)
        client.recv(1 << 16)
        client.sendall(first)
        number = 0
        while True:
            number += 1
            client.sendall(more(number))

    return behave


def test_a_message_of_two_gigabytes_ends_the_link_at_once(stage):
    zeros = bytes(1 << 20)
    code, err, _ = against(stage, without_end(struct.pack(">I", (1 << 31) - 1), lambda _: zeros))
    assert code == 6
    assert "the gateway announced a message of 2,147,483,647 bytes, and was cut off" in err
    assert len(err) < 700


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (lambda n: packed(3, n, f"Sub{n}", 0, 1, 0, n, 0, 0, 1, "", 0) * 100, "5,000 messages about orders"),
        (lambda n: packed(4, 2, -1, 2000 + n, f"{n}{'x' * 900_000}", ""), "32 MB without a pause"),
    ],
    ids=["order messages", "notices"],
)
def test_messages_without_end_end_the_link(stage, more, words):
    code, err, _ = against(stage, without_end(b"", more))
    assert (code, f"the gateway sent more than {words}, and was cut off" in err) == (6, True), err
    assert len(err) < 700
    assert (stage.folder / "trading.log").stat().st_size < 1_000_000


def test_what_a_gateway_says_forges_no_line_and_steers_no_terminal(stage):
    """Neither by letters nor by escapes of letters; what people write stays."""
    escaped = "Caf\\u00e9 \\u2013 5 \\u20ac\\u001b[31m\\u000a\\u202e\\ud83d\\ud83d\\ude00 &#27;[2J&#10;ERROR"
    notices = b"".join(
        packed(4, 2, -1, 321 + n, text, "") for n, text in enumerate((FORGED, escaped, "\u7f8e\u80a1 \u00fc" + FORGED * 9000))
    )  # fmt: skip

    def behave(client):
        client.recv(1 << 16)
        client.sendall(GREETING)
        client.recv(1 << 16)
        client.sendall(notices + packed(15, 1, "SIM0000001" + FORGED) + packed(9, 1, 1))
        while client.recv(1 << 16):
            pass

    for level in ("INFO", "DEBUG"):
        with listening(behave) as (port, _):
            haste = {"connect_timeout_seconds": 1, "question_timeout_seconds": 1}
            stage.write_config(ib={"port": port}, logging={"level": level, "console": True}, execution=haste)
            code, _, _, out, err = measured(stage, ("monitor", "--json"))
        log = (stage.folder / "trading.log").read_text()
        text = f"{log}{out.decode()}{err.decode()}"
        assert code in EXPECTED
        assert all(letter.isprintable() or letter == "\n" for letter in text)
        assert "\\u001b" not in text
        assert "\\u202e" not in text
        assert not [
            line for line in text.splitlines() if line.startswith("2026-02-10T15:45:00.000-05:00 ERROR 1 ")
        ]
        assert "Caf\u00e9 \u2013 5 \u20ac" in log
        assert "\U0001f600" in log
        assert max(map(len, log.splitlines())) < 4200


def test_a_reason_is_one_line_of_what_can_be_read_and_not_without_end(stage):
    reason = f"Caf\u00e9 \u2013 \u20ac{FORGED}" + "x" * 100_000
    done = stage.run("stop", "--reason", reason)
    kept = done["reason"]
    assert (done.code, kept.isprintable(), len(kept)) == (0, True, 500)
    assert kept.startswith("Caf\u00e9 \u2013 \u20ac 2026-02-10")
    (row,) = stage.sql("SELECT * FROM system_state")
    assert kept in row.values()
    (run,) = stage.sql("SELECT arguments FROM runs WHERE command = 'stop'")
    assert all(word.isprintable() and len(word) <= 500 for word in json.loads(run["arguments"]))
    screen = stage.run("stop", "--reason", reason, as_json=False)
    assert all(letter.isprintable() or letter == "\n" for letter in screen.out + screen.err)
    log = (stage.folder / "trading.log").read_text()
    assert all(letter.isprintable() or letter == "\n" for letter in log)
    assert max(map(len, log.splitlines())) < 4200
    stage.run("start")


@pytest.mark.parametrize("words", [
    ("report", "--csv", "--output", f"/nowhere/{FORGED}.csv"),
    ("reconcile", "--statement", f"/nowhere/{FORGED}.xml"),
    ("enter", f"--{FORGED}"),
    (FORGED,),
    ("settle", "--date", FORGED),
    ("log", "--day", FORGED),
], ids=lambda words: words[0][:9].strip())  # fmt: skip
def test_a_word_of_the_command_line_is_quoted_in_one_line_that_steers_nothing(stage, words):
    done = stage.run(*words, as_json=False)
    assert done.code
    assert done.err.count("\n") == 1
    assert all(letter.isprintable() or letter == "\n" for letter in done.out + done.err)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_gateway_that_lies_by_seed_is_survived(stage, seed):
    ended = attack(stage, seed)
    assert ended.problems == [], ended


def test_the_lies_are_told(stage):
    """Nothing is proven by a gateway whose attacks never leave it."""
    hostile = Hostile(stage.sim.port, 1)
    with hostile.listening():
        stage.write_config(ib={"port": hostile.port})
        stage.run("close-all", "--yes")
    assert hostile.did


@pytest.mark.timeout(300)
def test_an_honest_account_of_thousands_of_rows_is_within_every_bound(tmp_path):
    """Reports that come late, while a command only looks, are read and go into no ledger."""
    with victim(tmp_path) as stage, big_account(stage.sim.port, late=True) as port:
        stage.write_config(ib={"port": port}, execution={"question_timeout_seconds": 20})
        for words in (("status",), ("monitor",)):
            code, _, memory, _, err = measured(stage, words)
            assert (code, err) == (0, b"")
            assert memory < MOST_MEMORY
        assert stage.positions() == {}
