"""A recorded wire: redacted so that nobody is named and all still fits together, and read back as written."""

from __future__ import annotations

import pytest

from spxarb.core.wire_record import (
    Redaction,
    WireMessage,
    as_line,
    header,
    joined,
    name_of,
    read_record,
)

STARTED = "2026-02-13T09:30:00-05:00"


def test_an_account_stands_for_another_of_its_kind_wherever_it_occurs():
    redaction = Redaction()
    assert redaction.redacted("managedAccounts", ["15", "1", "DU7654321,DF1234567,"]) == (
        "15",
        "1",
        "DU0000001,DF0000002,",
    )
    assert redaction.redacted("position", ["61", "3", "DU7654321", "416904"])[2:] == ("DU0000001", "416904")
    said = redaction.redacted(
        "error", ["4", "2", "-1", "2148", "URGENT: Account: DU7654321 and U5555555.", ""]
    )
    assert said[4] == "URGENT: Account: DU0000001 and U0000003."
    assert redaction.redacted("openOrder", ["5", "1", "99.0/DU7654321/1"])[2] == "99.0/DU0000001/1"


def test_an_account_with_a_name_of_its_own_is_redacted_too():
    redaction = Redaction()
    redaction.redacted("managedAccounts", ["15", "1", "family-trust"])
    assert redaction.redacted("accountSummary", ["63", "1", "9", "family-trust"])[3] == "family0000001"


def test_ids_of_ib_stand_for_others_and_the_same_stays_the_same():
    redaction = Redaction()
    order = [
        "5",
        *[""] * 22,
        "spxarb:abc123:1:SPX:e1",
        "1",
        "2126726143",
        "0",
        "0",
        "0",
        "",
        "2126726143.0/X/1",
    ]
    found = redaction.redacted("openOrder", order)
    assert (found[23], found[25], found[30]) == ("spxarb:abc123:1:SPX:e1", "1000001", "1000001.0/X/1")
    status = redaction.redacted("orderStatus", ["3", "7", "Filled", "1", "0", "8.3", "2126726143"])
    assert status[6] == "1000001"
    execution = [
        "11",
        "-1",
        *[""] * 12,
        "00025b46.63f8f39c.01.01",
        *[""] * 6,
        "2126726143",
        *[""] * 4,
        "my own",
    ]
    first = redaction.redacted("execDetails", execution)
    corrected = redaction.redacted(
        "execDetails", [*execution[:14], "00025b46.63f8f39c.01.02", *execution[15:]]
    )
    assert (first[14], corrected[14], first[21], first[26]) == ("1.01", "1.02", "1000001", "other-1")
    assert redaction.redacted("commissionReport", ["59", "1", "00025b46.63f8f39c.01.01"])[2] == "1.01"


def test_what_is_written_is_read_back():
    row = WireMessage(1.25, "in", "error", ("4", "2", "-1", "2104", "farm \u00e9", ""), 2)
    record = read_record([header(STARTED, "1.0", "paper"), as_line(row)])
    assert (record.messages, record.mode, record.torn) == ((row,), "paper", False)


def test_a_last_line_that_was_cut_off_is_left_out_and_one_in_the_middle_is_told():
    row = as_line(WireMessage(1.0, "out", "reqPositions", ("61", "1")))
    torn = read_record([header(STARTED, "1", "sim"), row, row[:20]])
    assert (len(torn.messages), torn.torn) == (1, True)
    with pytest.raises(ValueError, match="line 2"):
        read_record([header(STARTED, "1", "sim"), row[:20], row])


@pytest.mark.parametrize("lines", [[], ["nothing\n"], ["{}\n"], ['{"format": 99}\n'], ["[]\n"], ["1\n"]])
def test_what_is_no_recording_is_refused(lines):
    with pytest.raises(ValueError, match="no recording"):
        read_record(lines)


def test_files_of_several_commands_become_one_recording_in_the_order_of_time():
    row = WireMessage(1.0, "in", "nextValidId", ("9", "1", "5"))
    later = read_record([header("2026-02-13T10:00:00-05:00", "1", "sim"), as_line(row)])
    first = read_record([header(STARTED, "1", "sim"), as_line(row)])
    messages = joined([later, first]).messages
    assert [(m.seconds, m.connection, m.file) for m in messages] == [(1.0, 1, 1), (1801.0, 2, 2)]
    with pytest.raises(ValueError, match="no recording"):
        joined([])


def test_a_message_without_a_known_id_keeps_its_number():
    assert [name_of("in", fields) for fields in (["11"], ["999"], [""], [])] == ["execDetails", "999", "", ""]
