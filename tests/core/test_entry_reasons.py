"""Why nothing was entered."""

from __future__ import annotations

import json
from datetime import date, datetime

import pytest

from spxarb.core.entry_reasons import DayRuns, attempts_of, quiet_days, skip_reasons
from spxarb.core.model import NEW_YORK, dec

DAY = date(2026, 2, 13)


def a_row(*failed, minute=35, outcome="skipped", net=-41.8, dry_run=0, unanswered=(), day=13):
    checks = [{"name": name, "ok": False} for name in failed] + [
        {"name": name, "ok": None} for name in unanswered
    ]
    return {
        "id": 1,
        "command": "enter",
        "at": datetime(2026, 2, day, 9, minute, tzinfo=NEW_YORK).isoformat(),
        "dry_run": dry_run,
        "outcome": outcome,
        "would": "skip",
        "checks": json.dumps([*checks, {"name": "margin", "ok": None}, {"name": "strikes", "ok": True}]),
        "payload": json.dumps({"credit": {"net": net}}),
    }


def why(rows=(), runs=None):
    attempts, _ = attempts_of(rows)
    (quiet,) = quiet_days([DAY], set(), attempts, {} if runs is None else {DAY: runs})
    return quiet.why


def test_each_check_is_counted_with_how_often_it_alone_stopped_an_attempt():
    rows = [
        a_row("net_credit"),
        a_row("net_credit", "spy_spread", minute=40),
        a_row("net_credit", day=12),
    ]
    attempts, unread = attempts_of(rows)
    found = [(skip.reason, skip.attempts, skip.alone, skip.days) for skip in skip_reasons(attempts)]
    assert found == [("net_credit", 3, 2, 2), ("spy_spread", 1, 0, 1)]
    assert unread == []


def test_a_dry_run_is_no_attempt():
    assert attempts_of([a_row("net_credit", dry_run=1)]) == ([], [])


def test_checks_without_an_answer_count_where_none_failed_but_those_asked_last_never():
    (attempt,), _ = attempts_of([a_row(unanswered=("market_data",))])
    assert attempt.stopped_by == ("market_data",)
    (attempt,), _ = attempts_of([a_row("net_credit", unanswered=("market_data",))])
    assert attempt.stopped_by == ("net_credit",)


def test_an_entry_that_was_undone_and_an_attempt_without_a_decision_have_reasons_of_their_own():
    attempts, _ = attempts_of([a_row(outcome="aborted"), a_row(outcome=None), a_row(outcome="entered")])
    assert [attempt.stopped_by for attempt in attempts] == [("entry undone",), ("no decision",), ()]


@pytest.mark.parametrize("broken", [{"checks": "{"}, {"at": "yesterday"}, {"payload": "["}])
def test_a_decision_that_cannot_be_read_is_named_and_hides_no_other(broken):
    attempts, unread = attempts_of([a_row("net_credit") | broken, a_row("strikes")])
    assert [attempt.stopped_by for attempt in attempts] == [("strikes",)]
    assert unread == ["Decision 1 is left out: it cannot be read."]


def test_a_day_with_a_trade_is_not_quiet():
    assert quiet_days([DAY], {DAY}, [], {}) == ()


def test_a_quiet_day_tells_its_attempts_what_stopped_them_and_the_best_credit():
    rows = [
        a_row("net_credit", net=net, minute=35 + 5 * place) for place, net in enumerate((-41.8, 120.25, 10))
    ]
    assert why(rows) == "3 attempts, stopped by net credit (3); best credit $120.25."
    (quiet,) = quiet_days([DAY], set(), attempts_of(rows)[0], {})
    assert (quiet.attempts, quiet.reasons, quiet.best_credit) == (3, ("net_credit",), dec("120.25"))


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (None, "No command ran."),
        (DayRuns(others=3), "Enter did not run."),
        (DayRuns(enters=1), "Enter came to no decision."),
        (
            DayRuns(enters=1, errors=["The gateway did not answer."]),
            "Enter failed: the gateway did not answer.",
        ),
        (
            DayRuns(others=1, stop="The day has lost $1,200.00"),
            "Entries were stopped: the day has lost $1,200.00; enter did not run.",
        ),
    ],
)
def test_without_an_attempt_what_ran_is_told(runs, said):
    assert why(runs=runs) == said


def test_a_credit_that_was_not_seen_is_null():
    (quiet,) = quiet_days([DAY], set(), attempts_of([a_row("market_data", net=None)])[0], {})
    assert quiet.best_credit is None
    assert "credit" not in quiet.why
