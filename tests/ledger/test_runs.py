"""Every command leaves a run, with its end, its failure and its decision."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from samples import NOW, D

from spxarb.core.entry_check import Check


def test_a_run_is_kept_with_its_end(ledger):
    run = ledger.runs.begin("enter", ["--dry-run", "--json"], NOW)
    (row,) = ledger._file.rows("SELECT * FROM runs")
    assert (row["arguments"], row["ended_at"], row["exit_code"]) == ('["--dry-run", "--json"]', None, None)
    ledger.runs.end(run, NOW + timedelta(seconds=3), 4, "no gateway")
    (row,) = ledger._file.rows("SELECT * FROM runs")
    assert (row["ended_at"], row["exit_code"], row["error"]) == ("2026-02-13T09:35:03-05:00", 4, "no gateway")


def test_failures_are_counted_for_their_new_york_date(ledger):
    late = NOW.replace(hour=23)
    for exit_code in (0, 4, 2, 6, 0):
        ledger.runs.end(ledger.runs.begin("monitor", ["--json"], NOW), late, exit_code, None)
    assert ledger.state.row()["errors_today"] == 2
    ledger.state.refresh(late, 0, D(0), 1)
    assert ledger.state.row()["errors_today"] == 2
    tomorrow = late + timedelta(hours=2)
    ledger.runs.end(ledger.runs.begin("enter", [], tomorrow), tomorrow, 5, "refused")
    assert ledger.state.row()["errors_today"] == 1
    ledger.state.refresh(tomorrow + timedelta(days=1), 0, D(0), 0)
    assert ledger.state.row()["errors_today"] == 0


def test_a_decision_is_kept_with_every_check(ledger):
    payload = {
        "checks": [
            Check("net_credit", False, D("388.2"), D(400), "too small"),
            Check("margin", None, None, None, ""),
        ],
        "prices": {"spy": D("683.12"), "spx": None, "ratio": float("nan")},
        "at": NOW,
        "trade_id": None,
    }
    run = ledger.runs.begin("enter", [], NOW)
    number = ledger.runs.add_decision(
        run, "enter", NOW, dry_run=True, outcome="dry_run", would="skip", payload=payload
    )
    (row,) = ledger._file.rows("SELECT * FROM decisions")
    assert (row["id"], row["run_id"], row["command"], row["at"]) == (
        number, run, "enter", "2026-02-13T09:35:00-05:00",
    )  # fmt: skip
    assert (row["dry_run"], row["outcome"], row["would"]) == (1, "dry_run", "skip")
    checks = json.loads(row["checks"])
    assert checks[0] == {
        "name": "net_credit",
        "ok": False,
        "value": 388.2,
        "limit": 400,
        "message": "too small",
    }
    assert checks[1]["ok"] is None
    assert json.loads(row["payload"]) == {
        "prices": {"spy": 683.12, "spx": None, "ratio": None},
        "at": "2026-02-13T09:35:00-05:00",
        "trade_id": None,
    }


MEASURED, JUMPED, UNKNOWN = (True, False), (False, True), (False, False)


@pytest.mark.parametrize(
    ("decisions", "found"),
    [
        ([], []),
        ([(0, "10.03", MEASURED), (0, "10.02", MEASURED)], ["10.02", "10.03"]),
        # A wrong price on the same day, however often it comes
        ([(0, "10.03", MEASURED), *[(0, "10.04", JUMPED)] * 50], ["10.03"]),
        ([(1, "10.03", MEASURED), *[(0, "10.04", JUMPED)] * 9, (0, "9", UNKNOWN)], ["10.03"]),
        # It was gone again that day
        ([(1, "10.04", JUMPED), (1, "10.03", MEASURED), (1, "10.04", JUMPED)], ["10.03"]),
        # A dividend: the whole day shows the new value, and the old one is past
        ([(2, "10.00", MEASURED), (1, "10.03", JUMPED)], ["10.03"]),
        ([(2, "10.00", MEASURED), (1, "10.03", JUMPED), (0, "10.04", MEASURED)], ["10.04", "10.03"]),
        ([(9, "10.03", MEASURED)], []),
    ],
)
def test_a_ratio_that_jumped_is_a_reference_from_the_next_day_on(ledger, decisions, found):
    for days, ratio, (measured, jumped) in decisions:
        prices = {"ratio": D(ratio), "ratio_measured": measured, "ratio_jumped": jumped}
        at = NOW - timedelta(days=days, minutes=1)
        ledger.runs.add_decision(
            None, "enter", at, dry_run=False, outcome="skipped", would="skip", payload={"prices": prices}
        )
    assert ledger.runs.measured_ratios(NOW) == [D(ratio) for ratio in found]
