"""The wire of the simulated gateway: framing, field texts, versions, layouts of requests."""

import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.sim.api.requests import read_place_order, read_query, read_time
from spxarb.sim.api.wire import (
    MAX_FRAME,
    Fields,
    FrameReader,
    WireError,
    field_text,
    frame,
    frames_in,
    negotiate,
    split_fields,
)

TEXTS = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=20)

# What ib_insync 0.9.86 sends for a one-lot limit order at 176, field by field.
PLACE_176 = (
    "900001|SPX|OPT|20261123|6000.0|C|100|SMART||USD|SPXW  261123C06000000|SPXW|||BUY|1|LMT|8.3||DAY||DU1234567|O|0"
    "|spxarb-1|1|0|0|0|0|0|0|0||0.0||||||||0||-1|0|||0|||0|0||0||||||0|||||0|||||||||||0|||0|0|||0||0|0|0|0|||||||0"
    "|||||||||0|0|0|0|||0|||"
)


def place_order(text):
    return Fields(text.removesuffix("|").split("|"))


def test_a_frame_is_its_length_and_nul_terminated_fields():
    assert frame(176, " 20261123 08:24:40 EST").hex(" ") == (
        "00 00 00 1b 31 37 36 00 20 32 30 32 36 31 31 32 33 20 30 38 3a 32 34 3a 34 30 20 45 53 54 00"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "1"),
        (False, "0"),
        (7, "7"),
        (0.1, "0.1"),
        (float("inf"), "1.7976931348623157E308"),
        ("a\0b", "ab"),
        ("café €", "caf\\u00e9 \\u20ac"),
        ("\U0001f600", "\\ud83d\\ude00"),
    ],
)
def test_a_value_becomes_the_text_that_clients_decode(value, text):
    assert field_text(value) == text


@given(
    st.lists(st.lists(TEXTS, min_size=1, max_size=8), max_size=8), st.lists(st.integers(1, 40), min_size=1)
)
def test_frames_survive_any_fragmentation(messages, cuts):
    stream = b"".join(frame(*message) for message in messages)
    reader, received, place, turn = FrameReader(), [], 0, 0
    while place < len(stream):
        size = cuts[turn % len(cuts)]
        reader.feed(stream[place : place + size])
        place, turn = place + size, turn + 1
        while (payload := reader.payload()) is not None:
            received.append(split_fields(payload))
    assert received == messages


def test_a_length_that_no_request_has_is_refused_at_once():
    reader = FrameReader()
    reader.feed(struct.pack(">I", MAX_FRAME + 1))
    with pytest.raises(WireError, match="a frame of 1048577 bytes"):
        reader.payload()


@pytest.mark.parametrize(
    ("greeting", "version"),
    [
        ("v157..176", 176),
        ("v157..178", 176),
        ("v100..226 +PACEAPI", 176),
        ("v100..157", 157),
        ("v100..158", 157),
        ("v100..163", 163),
        ("v100..156", None),
        ("v177..226", None),
        ("v158..158", None),
    ],
)
def test_the_version_is_the_highest_that_both_speak(greeting, version):
    assert negotiate(greeting) == version


@pytest.mark.parametrize("greeting", ["", "v", "GET / HTTP/1.1", "v1..x"])
def test_a_greeting_without_versions_is_refused(greeting):
    with pytest.raises(WireError):
        negotiate(greeting)


def test_the_fields_of_a_real_order_are_read_at_their_places():
    order = read_place_order(place_order(PLACE_176), 11)
    assert (order.action, order.quantity, order.order_type, order.limit, order.tif) == (
        "BUY",
        1.0,
        "LMT",
        8.3,
        "DAY",
    )
    assert (order.order_ref, order.transmit, order.what_if) == ("spxarb-1", True, False)
    assert (order.query.con_id, order.query.strike, order.query.trading_class) == (900001, 6000.0, "SPXW")
    assert order.echo["exemptCode"] == "-1"


def test_what_if_is_found_behind_optional_groups():
    fields = PLACE_176.removesuffix("|").split("|")
    assert fields[83] == "0"  # whatIf: field 85 of the frame
    fields[83] = "1"
    fields[81:82] = ["Adaptive", "1", "adaptivePriority", "Normal"]  # an algorithm and its parameter
    fields[80:81] = ["1", "5", "0.5", "10.0"]  # a delta-neutral contract
    fields[75:76] = ["D", "1.5"]  # a hedge type and its parameter
    fields[71:72] = ["0.1", "", "", "", "0", "", "", "0"]  # a scale increment
    fields[63:64] = ["None", "0", "", "", "", "?", "0", "0", ""]  # ib_insync returns this literal None
    assert read_place_order(Fields(fields), 11).what_if


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20260129-14:40:00", datetime(2026, 1, 29, 14, 40, tzinfo=UTC)),
        ("20260129 09:40:00 America/New_York", datetime(2026, 1, 29, 14, 40, tzinfo=UTC)),
        ("20260129  09:40:00", datetime(2026, 1, 29, 14, 40, tzinfo=UTC)),
        ("20260129 08:40:00 US/Central", datetime(2026, 1, 29, 14, 40, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_every_form_that_clients_send(text, moment):
    assert read_time(text) == moment


@pytest.mark.parametrize(
    "text", ["", "09:40", "20260199 09:40:00", "20260129 09:40:00 Nowhere/City", "20260129 09:40:00 ../x"]
)
def test_a_time_that_is_none_is_named(text):
    with pytest.raises(WireError, match="not a date and time"):
        read_time(text)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (Fields.must_integer, "1.5"),
        (Fields.must_integer, ""),
        (Fields.must_integer, "9" * 30),
        (Fields.number, "nan"),
        (Fields.number, "one"),
        (Fields.flag, "maybe"),
        (Fields.count, "-1"),
        (Fields.count, "1000000"),
    ],
)
def test_a_field_of_nonsense_is_named(read, text):
    with pytest.raises(WireError, match="colour"):
        read(Fields([text]), "colour")


@pytest.mark.parametrize("text", ["", "1.7976931348623157E308", "1.7976931348623157e+308", "Infinite"])
def test_every_spelling_of_unset_is_no_number(text):
    assert Fields([text]).number("price") is None


def test_a_missing_field_is_named():
    with pytest.raises(WireError, match=r"field 1 \(symbol\) is missing"):
        read_query(Fields(["0"]))


def test_frames_in_reads_what_frame_wrote():
    assert list(frames_in(frame(4, 2, -1, 2104, "ok", "") + frame(9, 1, 5))) == [
        ["4", "2", "-1", "2104", "ok", ""],
        ["9", "1", "5"],
    ]
