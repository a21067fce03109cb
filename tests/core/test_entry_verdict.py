"""The verdict on an entry: reasons in words and dollars, checks counted as they were answered."""

from __future__ import annotations

from decimal import Decimal

import pytest

from spxarb.core.entry_check import Check
from spxarb.core.entry_verdict import SortedChecks, reason, why_not

OUTSIDE = Check(
    "time_window", False, "11:20:00", "09:35-10:00", "It is 11:20:00 in New York, outside the entry window."
)
POOR = Check("net_credit", False, Decimal("-41.80"), Decimal(400), "The spread would bring -$41.80.")
GOOD = Check("strikes", True, None, None, "Both are near.")
SILENT = Check("market_data", None, None, 0, "Nothing has come. Ask again.")
LAST = Check("margin", None, None, None, "Not asked: another check failed.")


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (POOR, "credit -$41.80, at least $400.00 wanted"),
        (Check("net_credit", False, 1234.5, 2000, ""), "credit $1,234.50, at least $2,000.00 wanted"),
        (Check("net_credit", None, None, 400, "The credit is not known."), "the credit is not known"),
        (OUTSIDE, "it is 11:20:00 in New York, outside the entry window"),
        (SILENT, "nothing has come"),
        (Check("halted", False, None, None, ""), "halted"),
    ],
)
def test_a_reason_is_a_phrase_and_no_identifier_where_there_are_words(check, said):
    assert reason(check) == said


def test_the_first_reason_stands_for_all_and_the_others_are_counted():
    assert why_not([POOR]) == "credit -$41.80, at least $400.00 wanted"
    assert why_not([POOR, OUTSIDE]) == "credit -$41.80, at least $400.00 wanted, and 1 more reason"
    assert why_not([POOR, OUTSIDE, SILENT]).endswith(", and 2 more reasons")
    assert why_not([]) == ""


def test_checks_are_counted_of_those_that_were_evaluated():
    assert SortedChecks.of([GOOD] * 10 + [POOR, LAST]).counted() == "10 of 11 checks passed, 1 not evaluated"
    assert SortedChecks.of([GOOD] * 19).counted() == "19 of 19 checks passed"
    assert SortedChecks.of([SILENT, LAST]).counted() == "No check was evaluated"


def test_silence_speaks_against_an_entry_only_where_nothing_failed_and_an_answer_was_due():
    assert SortedChecks.of([GOOD, SILENT, POOR, LAST]).against == (POOR,)
    assert SortedChecks.of([GOOD, SILENT, LAST]).against == (SILENT,)
    assert SortedChecks.of([GOOD, LAST]).against == ()


@pytest.mark.parametrize(
    ("value", "limit", "message", "alone"),
    [
        ("11:20:00", "09:35-10:00", "It is 11:20:00 in New York, outside the entry window.", True),
        ("10:00:00", "09:35-10:00", "It is 10:00:00 in New York, outside the entry window.", True),
        ("09:35:00", "09:35-10:00", "Blackout day: CPI. It is 09:35:00 in New York, inside.", False),
        ("11:20:00", "09:35-10:00", "It is 11:20:00 in New York, outside. Blackout day: CPI.", False),
        ("11:20:00", "closed", "The exchange is closed on 2026-02-14.", True),
    ],
)
def test_only_the_time_of_day_alone_lets_a_dry_run_say_what_it_would_do_but_for_the_time(
    value, limit, message, alone
):
    check = Check("time_window", False, value, limit, message)
    assert SortedChecks.of([check]).outside_window is (check if alone else None)
