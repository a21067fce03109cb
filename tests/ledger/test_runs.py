"""Every command leaves a run, with its end, its failure and its decision."""

from __future__ import annotations

import json
from datetime import timedelta

from samples import NOW, D

from spxarb.core.model import (
    Check,
)


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
