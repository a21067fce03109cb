"""What the newest run of a command came to, in a few words."""

from __future__ import annotations

import json

import pytest

from spxarb.core.last_runs import in_words
from spxarb.core.masking import masked


def decided(
    command: str, *, dry_run: int = 0, outcome: str | None = None, would: str = "", checks=(), **payload
):
    return {
        "at": "2026-02-13T09:35:00-05:00", "command": command, "dry_run": dry_run, "outcome": outcome,
        "would": would, "checks": json.dumps(list(checks)), "payload": json.dumps(payload),
    }  # fmt: skip


def check(name: str, ok: bool | None, value: object = None, limit: object = None) -> dict[str, object]:
    return {"name": name, "ok": ok, "value": value, "limit": limit, "message": "words"}


THIN = [check("time_window", True), check("net_credit", False, -41.8, 400.0), check("margin", None)]
RUN = {"exit_code": 0}


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        (None, "nothing to do"),
        (decided("enter", outcome="skipped", would="skip", checks=THIN), "skipped: credit -$41.80 < $400.00 (1 of 2 passed)"),
        (
            decided("enter", outcome="skipped", would="skip", checks=[check("time_window", False)]),
            "skipped: outside the entry window (0 of 1 passed)",
        ),
        *(
            (decided("enter", outcome="skipped", would="skip", checks=[check(*failed)]), f"skipped: {said} (0 of 1 passed)")
            for failed, said in (
                (("time_window", False, "09:40:00", "09:35-10:00"), "no entries on this date"),
                (("time_window", False, "10:00:00", "09:35-10:00"), "outside the entry window"),
                (("daily_loss", False, 93.53, 100.0), "the day's limits"),
                (("daily_loss", False, 100.01, 100.0), "the day's loss limit"),
                (("trading_enabled", False, True, True), "not all is in order"),
                (("trading_enabled", False, False, True), "entries are stopped"),
                (("spx_spread", False, -1.0, 0.5), "SPX crossed"),
                (("spy_spread", False, 0.06, 0.05), "SPY too wide"),
            )
        ),
        (
            decided("enter", outcome="skipped", would="skip", checks=[check("net_credit", None), check("margin", None)]),
            "skipped: net credit not known",
        ),
        (
            decided("enter", dry_run=1, outcome="dry_run", would="skip", checks=THIN),
            "dry run: skipped: credit -$41.80 < $400.00 (1 of 2 passed)",
        ),
        (decided("enter", dry_run=1, outcome="dry_run", would="enter"), "dry run: would enter"),
        (decided("monitor", dry_run=1, positions=[{"action": "would_close"}] * 2), "dry run: 2 would close"),
        (
            decided("enter", outcome="entered", would="enter", trade_id=7, credit={"net": 1408.19}),
            "entered trade 7, credit $1,408.19",
        ),
        (decided("enter", outcome="aborted", would="enter"), "begun and undone"),
        (decided("monitor", positions=[{"action": "held"}, {"action": "closed"}]), "1 held, 1 closed"),
        (decided("monitor", positions=[]), "nothing open"),
        (decided("settle", provisional=True, summary={"net_pnl": -1041.8}), "provisional, net -$1,041.80"),
        (decided("settle", provisional=False, summary={"net_pnl": None}), "final"),
        ({**decided("enter"), "payload": "{"}, "its decision cannot be read"),
    ],
)  # fmt: skip
def test_a_run_that_ended_well_says_what_it_decided(decision, words):
    assert in_words(RUN, decision) == words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "has not ended"),
        (4, "gateway not reached"),
        (6, "NEEDS A HUMAN"),
        (143, "ended with exit code 143"),
    ],
)
def test_another_end_comes_before_what_was_decided(code, words):
    assert in_words({"exit_code": code}, decided("enter", outcome="entered", trade_id=7)) == words


@pytest.mark.parametrize(
    ("account", "shown"),
    [
        ("DU1234567", "DU***567"),
        ("U1234567", "U***567"),
        ("SIM0000001", "SIM***001"),
        ("DU12", "DU***"),
        ("", "***"),
    ],
)
def test_of_an_account_number_its_letters_and_its_end_are_shown(account, shown):
    assert masked(account) == shown
