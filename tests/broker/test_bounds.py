"""What a gateway may send, against a real socket: past each bound the link ends, and one sentence says which."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from itertools import count

import pytest
from big_account import big_account
from hostile import FORGED, packed
from hypothesis import given
from hypothesis import strategies as st
from relay import listening

from spxarb.broker.bounds import (
    BURST_BYTES,
    BYTES_PER_SECOND,
    MAX_FIELD,
    MAX_FRAME,
    Answer,
    FrameSplitter,
    TooMuchError,
    clean_fields,
)
from spxarb.broker.broker import Endpoint, connect
from spxarb.core.unreadable import UnreadableRow
from spxarb.errors import GatewayError
from spxarb.sim.control import RunningSim

GREETING = packed(176, "20260210 15:45:00 EST")
LOGON = packed(15, 1, "SIM1") + packed(9, 1, 1)


def ended(behave):
    """How an attempt to connect and to take a snapshot ended."""

    async def attempt(port):
        async with connect(Endpoint("127.0.0.1", port, 1, None, "sim"), timeout=20, question_timeout=20):
            pass

    with listening(behave) as (port, _), pytest.raises(GatewayError) as found:
        asyncio.run(attempt(port))
    return str(found.value)


def talking(frames, greeting=GREETING + LOGON):
    """Greets, and says these frames once it has been asked something, until nobody listens."""

    def behave(client):
        client.recv(1 << 16)
        client.sendall(greeting)
        client.recv(1 << 16)
        with suppress(OSError):
            for frame in frames():
                client.sendall(frame)
            while client.recv(1 << 16):
                pass

    return behave


EXECUTION = (
    *("CBOE", "USD", "x", "SPXW", "e.{n}", "20260210 15:44:00 US/Eastern", "SIM1", "CBOE", "BOT", "1", "17.9", "99"),
    *("1", "0", "1", "17.9", "spxarb:1", "", "", "", "1"),
)  # fmt: skip


def execution(n, request):
    return packed(
        11,
        request,
        41,
        7,
        "SPX",
        "OPT",
        "20260210",
        "6975",
        "C",
        "100",
        *(one.format(n=n) for one in EXECUTION),
    )


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (lambda n: packed(3, n, "Submitted", 0, 1, 0, n, 0, 0, 1, "", 0), "more than 5,000 messages about orders"),
        (lambda n: packed(4, 2, n, 399, f"order message {n}", ""), "more than 5,000 error messages"),
        (lambda n: packed(59, 1, f"e.{n}", 1.5, "USD", 0, 0, 0), "more than 20,000 commission reports"),
        (lambda n: execution(n, -1), "more than 5,000 messages about orders"),
        (lambda n: packed(4, 2, -1, 1101 + n % 2, f"link {n}", ""), "more than 1,000 changes of its link to IB"),
        (lambda n: packed(4, 2, -1, 2000 + n % 90, f"{n}", ""), "more than 5,000 error messages"),
        (lambda n: packed(3, n, "Submitted", 0, 1, 0, n, 0, 0, 2, "", 0) * 1000, "more than 100,000 messages without a pause"),
        (lambda n: packed("x", n), "more than 5,000 messages that cannot be read"),
        (lambda _: bytes(4), "more than 5,000 messages that cannot be read"),
        (lambda n: packed(61, 3, "SIM1", n, "A" * 99, "STK", "", 0, "", "", "X", "USD", "A", "A", 1, 1), "20,000 rows and no end in answer to the request for positions"),
        (lambda n: packed(10, *range(100_000)), "sent a message of 100,001 fields"),
        (lambda n: packed(990, 1, f"{n}{'x' * 900_000}"), "more than 32 MB without a pause"),
        (lambda n: packed(1, 6, 1_000_000_003, 1, 17.9, 1, "x" * 200_000), "more than 32 MB without a pause"),
        (lambda _: struct.pack(">I", MAX_FRAME + 1), "announced a message of 1,048,577 bytes"),
        (lambda _: b"\xff\xff\xff\xff", "announced a message of 4,294,967,295 bytes"),
    ],
    ids=["statuses", "order messages", "commissions", "executions", "link", "notices", "others", "rubbish", "empty", "rows", "fields", "unknown", "ticks", "a byte too long", "4 GB"],
)  # fmt: skip
def test_past_a_bound_the_link_ends(frame, words):
    def frames():
        for first in count(0, 50):
            yield b"".join(frame(first + n) for n in range(50 if len(frame(0)) < 2000 else 1))

    assert (
        f"the gateway {'sent ' if words.startswith(('more', '20')) else ''}{words}, and was cut off"
        in ended(talking(frames))
    )


@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "announced a message of 1,213,486,160 bytes"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "announced a message of 369,295,618 bytes"),
        (packed(9999, "20260210 15:45:00 EST"), "agreed on version 9999 of the API, which was not offered"),
        (packed(177, "20260210 15:45:00 EST"), "agreed on version 177 of the API, which was not offered"),
        (packed(-1, "20260210 15:45:00 EST"), "began with what is no greeting of an IB Gateway"),
        (packed("9" * 5000, "20260210 15:45:00 EST"), "began with what is no greeting of an IB Gateway"),
        (packed("1_7", "20260210 15:45:00 EST"), "began with what is no greeting of an IB Gateway"),
        (
            packed("\u0661\u0667\u0666", "20260210 15:45:00 EST"),
            "began with what is no greeting of an IB Gateway",
        ),
        (packed(176), "began with what is no greeting of an IB Gateway"),
        (packed(176, "20260210 15:45:00 EST", "more"), "began with what is no greeting of an IB Gateway"),
        (bytes(4), "began with what is no greeting of an IB Gateway"),
        (packed(4, 2, -1, 502, FORGED, ""), "began with what is no greeting of an IB Gateway"),
        (packed(*range(9000)), "sent a message of 9,000 fields"),
    ],
)
def test_a_greeting_that_is_none_ends_the_link_before_anything_is_asked(greeting, words):
    asked = []

    def behave(client):
        client.recv(1 << 16)
        client.sendall(greeting)
        with suppress(OSError):
            asked.append(client.recv(1 << 16))

    assert f"the gateway {words}, and was cut off" in ended(behave)
    assert set(asked) <= {b""}


def test_a_message_of_the_logon_that_cannot_be_read_is_no_end_of_it():
    """As before: what is odd beside the accounts and the first order id stops no exit."""
    odd = packed(9, 1, "abc") + packed(9) + packed(15) + packed("") + packed("x", 1)
    unanswered = talking(lambda: [packed(4, 2, -1, 1100, "over", "")], GREETING + odd + LOGON)
    assert "1100 over" in ended(unanswered)


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 30))
def test_frames_come_back_whole_however_they_are_cut(payloads, step):
    data = b"".join(len(one).to_bytes(4, "big") + one for one in payloads)
    splitter = FrameSplitter(lambda: 0.0)
    found = [frame for at in range(0, len(data), step) for frame in splitter.feed(data[at : at + step])]
    assert [frame[4:] for frame in found] == payloads


@pytest.mark.parametrize(
    ("row", "size", "most", "words"),
    [
        (UnreadableRow("positions", ("61",), "half"), 10, 1_000, "more than 1,000 unreadable rows"),
        ("a row", 10 << 20, 2, "2 rows and no end"),
        ("a row", 10, 20_000, "20,000 rows and no end"),
    ],
    ids=["unreadable", "long", "many"],
)
def test_an_answer_has_an_end(row, size, most, words):
    answer = Answer()
    for _ in range(most):
        answer.add(row, size, "positions")
    with pytest.raises(TooMuchError, match=f"sent {words} in answer to the request for positions"):
        answer.add(row, size, "positions")


def test_a_stream_that_a_recording_of_a_whole_day_needs_never_ends():
    now = [0.0]
    splitter = FrameSplitter(lambda: now[0])
    frame = packed(990, "x" * 1000)
    for _ in range(5000):
        now[0] += len(frame) / BYTES_PER_SECOND
        list(splitter.feed(frame))
    with pytest.raises(TooMuchError, match="32 MB without a pause"):
        list(splitter.feed(bytes(BURST_BYTES + 1)))


def test_fields_are_cleaned_and_names_keep_their_blanks():
    fields = ["3", "SPXW  260210C06975000", "Caf\u00e9", f"a{FORGED}", "x" * 9000]
    assert clean_fields(fields)[:3] == fields[:3]
    assert clean_fields(fields)[3].isprintable()
    assert len(clean_fields(fields)[4]) == MAX_FIELD


def test_a_large_account_is_asked_for_its_lists_as_often_as_an_exit_wants_them():
    """The rows of answers and the reports that come with them use up nothing, before the end or after it."""
    account = {"positions": 200, "executions": 3_000, "late": True}

    async def looks(port):
        endpoint = Endpoint("127.0.0.1", port, 1, None, "sim")
        async with connect(endpoint, timeout=20, question_timeout=20) as broker:
            found = [len((await broker.snapshot()).executions) for _ in range(8)]
            return found, broker.events.qsize()

    with RunningSim(date="2026-02-10", at="09:35", speed=0) as sim, big_account(sim.port, **account) as port:
        found, waiting = asyncio.run(looks(port))
    assert found == [3_000] * 8
    assert waiting <= 3_000


def test_what_belongs_to_an_answer_uses_up_nothing():
    splitter = FrameSplitter(clock=lambda: 0.0)
    frame = packed(61, "x" * (MAX_FRAME // 2))
    for _ in range(3 * BURST_BYTES // len(frame)):
        for _ in splitter.feed(frame):
            splitter.asked_for()
    unasked = frame * (1 + BURST_BYTES // len(frame))
    with pytest.raises(TooMuchError):
        list(splitter.feed(unasked))
