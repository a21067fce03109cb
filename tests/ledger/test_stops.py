"""What ends the entries of a day stays in the ledger."""

from __future__ import annotations

from datetime import timedelta

import pytest
from samples import NOW

TODAY = NOW.date()


def test_the_first_reason_of_a_day_stays_and_the_next_day_has_none(ledger):
    ledger.stops.add(TODAY, NOW, "the day had lost $1,034.50")
    ledger.stops.add(TODAY, NOW + timedelta(hours=1), "the day had lost $2,000.00")
    assert ledger.stops.reason(TODAY) == f"the day had lost $1,034.50 (at {NOW:%H:%M:%S})"
    assert ledger.stops.reason(TODAY + timedelta(days=1)) == ""


def test_a_day_looked_back_on_has_its_stop(ledger):
    ledger.stops.add(TODAY, NOW, "the day had lost $1,034.50")
    (row,) = ledger.history.of_day(TODAY).entry_stops
    assert row["reason"] == "the day had lost $1,034.50"
    assert ledger.history.of_day(TODAY + timedelta(days=1)).entry_stops == []


@pytest.mark.parametrize(
    ("command", "exit_code", "counts"),
    [
        *((verb, code, True) for verb in ("enter", "monitor", "settle", "close-all") for code in (1, 4, 5)),
        *(("monitor", code, False) for code in (0, 2, 3, 6, 7, 130, 143)),
        *((verb, 4, False) for verb in ("status", "report", "start")),
    ],
)
def test_jobs_that_did_not_do_their_work_count_as_failed(ledger, command, exit_code, counts):
    ledger.runs.end(ledger.runs.begin(command, [], NOW), NOW, exit_code, None)
    assert ledger.runs.failed_jobs(TODAY) == int(counts)
    assert ledger.runs.failed_jobs(TODAY + timedelta(days=1)) == 0


def test_start_begins_the_count_of_failed_jobs_anew_and_a_running_job_is_none(ledger):
    for command, exit_code in (("monitor", 4), ("start", 4), ("monitor", 4), ("start", 0), ("enter", 5)):
        ledger.runs.end(ledger.runs.begin(command, [], NOW), NOW, exit_code, None)
    ledger.runs.begin("monitor", [], NOW)
    assert ledger.runs.failed_jobs(TODAY) == 1


def test_a_run_of_a_simulated_day_counts_for_the_day_that_its_gateway_told(ledger):
    run = ledger.runs.begin("monitor", [], NOW)
    ledger.looks.hear(run, NOW + timedelta(days=3))
    ledger.runs.end(run, NOW, 4, None)
    assert [ledger.runs.failed_jobs(TODAY + timedelta(days=ahead)) for ahead in (0, 3)] == [0, 1]


def test_the_last_what_if_is_remembered(ledger):
    assert ledger.runs.last_what_if() is None
    for later in (0, 5):
        ledger.runs.note_what_if(ledger.runs.begin("enter", [], NOW), NOW + timedelta(minutes=later))
    ledger.runs.begin("monitor", [], NOW)
    assert ledger.runs.last_what_if() == NOW + timedelta(minutes=5)
