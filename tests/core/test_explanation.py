"""A day's rows as events: their order, their words, and rows that something else has written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spxarb.core.explanation import DayRows, explain
from spxarb.core.runlog import log_entries

DAY = "2026-02-10"


def at(clock: str) -> str:
    return f"{DAY}T{clock}-05:00"


def run(number: int, clock: str, command: str = "monitor", **more: Any) -> dict[str, Any]:
    row = {"id": number, "command": command, "arguments": json.dumps([command]), "started_at": at(clock)}
    known = {"ended_at": at(clock), "exit_code": 0, "error": None, "market_time": None, "account_seen": None}
    return row | known | more


def decision(number: int, clock: str, command: str, run_id: int | None = 1, **more: Any) -> dict[str, Any]:
    row = {"id": number, "run_id": run_id, "command": command, "at": at(clock), "dry_run": 0, "outcome": None}
    return row | {"would": None, "checks": "[]", "payload": "{}"} | more


def payload(**fields: Any) -> str:
    return json.dumps(fields)


ORDER = {
    "order_ref": "spxarb:4f1c:1:SPX:e1",
    "trade_id": 1,
    "leg": "SPX",
    "purpose": "e",
    "side": "BUY",
    "quantity": 1,
    "good_after": None,
    "created_at": at("09:35:01.800000"),
    "contract": json.dumps({"trading_class": "SPXW", "symbol": "SPX", "strike": "6800", "right": "C"}),
}
FILL = {
    "exec_id": "a.01",
    "order_ref": ORDER["order_ref"],
    "trade_id": 1,
    "leg": "SPX",
    "side": "BUY",
    "quantity": 1.0,
    "price": 17.9,
    "commission": 1.64,
    "commission_estimated": 0,
    "superseded": 0,
    "time": at("09:35:01"),
}


def step(
    number: int, clock: str | None, kind: str, detail: str = "", limit: float | None = None
) -> dict[str, Any]:
    row = {"id": number, "order_ref": ORDER["order_ref"], "at": clock and at(clock), "step": kind}
    return row | {"detail": detail, "limit_price": limit}


def texts(**tables: Any) -> list[str]:
    return [event.text for event in explain(DAY, DayRows(**tables))]


# --- order ----------------------------------------------------------------------------------------


def test_a_fill_that_is_told_to_the_second_is_not_before_its_order():
    steps = [
        step(1, "09:35:01.800000", "intent", limit=17.9),
        step(2, "09:35:02.100000", "final", "filled, 1 filled: filled"),
    ]
    assert texts(orders=[ORDER], order_steps=steps, executions=[FILL]) == [
        "Buy 1 SPXW 6800 call at $17.90 or better to enter (trade 1 SPX e1).",
        "Bought 1 SPXW 6800 call at $17.90, commission $1.64 (trade 1 SPX e1).",
        "trade 1 SPX e1: it is over: filled, 1 filled.",
    ]


def test_a_status_that_is_told_again_and_again_is_told_once():
    told = ["PreSubmitted", "Submitted", "Submitted", "PreSubmitted"]
    steps = [step(number, "09:35:02", "status", word) for number, word in enumerate(told)]
    steps += [
        step(8, "09:35:03", "final", "filled, 1 filled: filled"),
        step(9, "09:35:03", "status", "Filled"),
    ]
    assert [text.partition(": ")[2] for text in texts(orders=[ORDER], order_steps=steps)] == [
        "PreSubmitted.",
        "Submitted.",
        "PreSubmitted.",
        "it is over: filled, 1 filled.",
    ]


def test_commands_of_the_same_instant_stand_one_after_the_other_each_with_its_decision():
    runs = [run(1, "09:35:00", "enter"), run(2, "09:35:00")]
    decisions = [
        decision(1, "09:35:00", "enter", 1, outcome="skipped"),
        decision(2, "09:35:00", "monitor", 2),
    ]
    alert = {
        "id": 1,
        "run_id": 2,
        "at": at("09:35:00"),
        "title": "t",
        "text": "x",
        "sent_to": "",
        "failure": "no way",
    }
    assert texts(runs=runs, decisions=decisions, alerts=[alert]) == [
        "enter ran: exit code 0.",
        "No entry: see the notes; the credit would have been unknown.",
        "monitor ran: exit code 0.",
        "monitor: nothing of ours is open.",
        "An alert did not go out (no way): x",
    ]


def test_what_failed_is_told_at_its_end_and_what_never_ended_says_so():
    failed = run(1, "09:35:00", ended_at=at("09:36:00"), exit_code=4, error="no gateway")
    killed = run(2, "09:37:00", "enter", ended_at=None, exit_code=None)
    assert texts(runs=[failed, killed]) == [
        "monitor ran: exit code 4.",
        "monitor ended with exit code 4: No gateway.",
        "enter ran: its end was not written down.",
    ]


def test_a_simulated_day_goes_by_the_time_that_its_gateway_told():
    """The machine's clock is months away."""
    simulated = run(
        1,
        "09:00:00",
        started_at="2026-11-25T21:58:26-05:00",
        market_time=at("09:40:00"),
        account_seen=at("09:39:00"),
    )
    (event,) = explain(DAY, DayRows(runs=[simulated]))
    assert event.at == at("09:39:00")
    assert explain("2026-11-25", DayRows(runs=[simulated])) == ()


def test_another_days_end_of_a_matter_is_another_days_event():
    matter = {
        "id": 3,
        "key": "lost:1",
        "trade_id": 1,
        "text": "look",
        "since": at("15:50:00"),
        "note": "done",
        "resolved_at": None,
        "resolution": None,
        "acknowledged_at": "2026-02-11T09:00:00-05:00",
    }
    assert texts(matters=[matter]) == ["Matter 3 for a human: Look."]
    (event,) = explain("2026-02-11", DayRows(matters=[matter]))
    assert event.text == "Matter 3 was acknowledged: Done."


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "detail", "limit", "said"),
    [
        ("reprice", "", 18.0, "limit moved to $18.00"),
        ("reprice", "", None, "now at the market"),
        ("cancel", "", None, "cancel sent"),
        ("message", "201 no margin", None, "the broker says 201 no margin"),
        ("final", "ended, 0 filled: 202 cancelled", None, "it is over: ended, 0 filled: 202 cancelled"),
        ("unanswered", "", None, "unanswered"),
    ],
)
def test_each_step_of_an_order_has_its_words(kind, detail, limit, said):
    found = texts(orders=[ORDER], order_steps=[step(1, "09:36:00", kind, detail, limit)])
    assert found == [f"trade 1 SPX e1: {said}."]


POSITION = {"trade_id": 1, "current_pnl": -612.5, "exit_reason": "LOSS_LIMIT", "residual": []}


@pytest.mark.parametrize(
    ("command", "dry_run", "fields", "said"),
    [
        ("monitor", 0, {"positions": [POSITION | {"action": "held"}]}, "held trade 1, marked at -$612.50"),
        (
            "monitor",
            0,
            {"positions": [POSITION | {"action": "failed"}]},
            "could not close trade 1 though LOSS_LIMIT was due",
        ),
        (
            "monitor",
            1,
            {"positions": [POSITION | {"action": "would_close"}]},
            "Dry run: would close trade 1 because of LOSS_LIMIT",
        ),
        (
            "monitor",
            0,
            {"positions": [POSITION | {"action": "closed", "residual": ["SPX"]}]},
            "closed trade 1 because of LOSS_LIMIT, marked at -$612.50; SPX left to cash settlement",
        ),
        (
            "close-all",
            0,
            {"positions": [], "flat": True},
            "nothing of ours is open and the broker shows flat",
        ),
        (
            "settle",
            0,
            {"provisional": True, "summary": {"date": DAY, "trades_count": 2, "net_pnl": -5}},
            "2 trades and a net result of -$5.00, provisional",
        ),
        ("start", 0, {"is_trading": True}, "New entries are allowed."),
        ("hand-over", 0, {"trade_id": 1, "complete": True}, "trade 1 is the human's, and no order of ours"),
        ("hand-over", 0, {"trade_id": 1, "complete": False}, "hand-over: that of trade 1 is not complete."),
        ("reconcile", 0, {"statement": "x.xml", "rows": [1]}, "reconcile: done."),
    ],
)
def test_each_decision_has_its_words(command, dry_run, fields, said):
    (text,) = texts(decisions=[decision(1, "10:00:00", command, dry_run=dry_run, payload=payload(**fields))])
    assert said in text


def test_what_differed_and_what_was_said_beside_it_stand_below_the_decision():
    fields = payload(positions=[], reconciliation=["one call is missing"], notes=["it is looked for"])
    events = explain(DAY, DayRows(decisions=[decision(1, "10:00:00", "monitor", payload=fields)]))
    assert [(event.what, event.text) for event in events][1:] == [
        ("difference", "monitor: One call is missing."),
        ("note", "monitor: It is looked for."),
    ]


def test_a_veto_has_its_value_and_its_limit_and_a_check_that_was_not_asked_is_none():
    checks = [
        {"name": "strikes", "ok": True, "value": 1, "limit": 2, "message": "near"},
        {"name": "daily_loss", "ok": None, "value": None, "limit": 1000, "message": "The day is not known."},
        {"name": "net_credit", "ok": False, "value": 312.4, "limit": 400, "message": "too little"},
        {"name": "margin", "ok": None, "value": None, "limit": None, "message": "not asked"},
    ]
    row = decision(1, "10:00:00", "enter", outcome="skipped", checks=json.dumps(checks))
    events = explain(DAY, DayRows(decisions=[row]))
    assert [(event.what, event.text) for event in events] == [
        ("decision", "No entry: daily_loss, net_credit; the credit would have been unknown."),
        ("veto", "daily_loss: The day is not known."),
        ("veto", "net_credit: Too little."),
    ]
    assert events[2].figures == {"check": "net_credit", "ok": False, "value": 312.4, "limit": 400}


@pytest.mark.parametrize(
    "broken", [{"payload": "{"}, {"checks": "nonsense"}, {"payload": "[]"}, {"checks": "{}"}]
)
def test_a_decision_that_cannot_be_read_hides_no_other(broken):
    rows = [
        decision(1, "10:00:00", "monitor", **broken),
        decision(2, "10:05:00", "start", payload=payload(is_trading=True)),
    ]
    assert texts(decisions=rows)[-1] == "New entries are allowed."
    assert len(texts(decisions=rows)) == 2


def test_an_order_whose_contract_cannot_be_read_is_told_by_its_leg():
    broken = ORDER | {"contract": "{}"}
    (text,) = texts(orders=[broken], order_steps=[step(1, "09:35:02", "intent")])
    assert text == "Buy 1 SPX call at the market to enter (trade 1 SPX e1)."


# --- the list of commands -------------------------------------------------------------------------


def test_a_hand_over_that_is_not_complete_is_not_listed_as_done():
    made = [
        decision(number, "10:00:00", "hand-over", payload=payload(trade_id=1, complete=complete))
        for number, complete in ((1, False), (2, True))
    ]
    entries = log_entries(DayRows(runs=[run(1, "10:00:00", "hand-over")], decisions=made))
    assert [entry.outcome for entry in entries] == ["not complete", "done"]


def test_what_a_human_traded_by_hand_is_told_with_its_trade():
    """Its order is none of ours: TWS gives it no reference, or one of his own."""
    by_hand = FILL | {"purpose": "h", "order_ref": ""}
    named = FILL | {"purpose": "h", "order_ref": "mine", "superseded": 1}
    unknown = FILL | {"purpose": "x", "order_ref": "", "trade_id": None}
    first, second, third = texts(executions=[by_hand, named, unknown])
    assert first.endswith("commission $1.64 (trade 1, by hand).")
    assert second.endswith("commission $1.64 (trade 1, by hand, order mine; corrected since).")
    assert third.endswith("commission $1.64.")


def test_each_stage_of_a_settlement_is_told_and_a_later_one_with_its_difference():
    """A statement may tell cash without a price."""
    first = {"trade_id": 1, "leg": "SPX", "stage": "last print", "quantity": 1.0, "price": 6841.5}
    first |= {"cash": 4150.0, "difference": None, "source": "SPX index", "at": at("16:05:00")}
    official = {"stage": "official close", "price": 6840.0, "cash": 4000.0, "difference": -150.0}
    official |= {"source": "daily bar", "at": at("18:00:00")}
    statement = {"stage": "statement", "price": None, "source": "line 7", "at": at("19:00:00")}
    stages = [first, first | official, first | official | statement]
    against = "-$150.00 against the figure before"
    assert texts(settlement_stages=stages) == [
        "Trade 1: +1 SPX calls settled at 6,841.5 for +$4,150.00 by the last print (SPX index).",
        f"Trade 1: +1 SPX calls settled at 6,840 for +$4,000.00 by the official close (daily bar), {against}.",
        f"Trade 1: +1 SPX calls settled for +$4,000.00 by the statement (line 7), {against}.",
    ]


def test_that_a_days_entries_ended_is_told_with_its_reason_and_its_time():
    stop = {"date": DAY, "at": at("11:30:00"), "reason": "the day had lost $1,034.50"}
    (event,) = explain(DAY, DayRows(entry_stops=[stop]))
    assert (event.what, event.at) == ("veto", stop["at"])
    assert event.text == "No more entries on 2026-02-10: the day had lost $1,034.50."
    assert event.figures == {"date": DAY, "reason": stop["reason"]}


def test_a_command_has_its_line_and_its_decision_is_in_it():
    rows = DayRows(
        runs=[
            run(1, "09:35:00", "stop"),
            run(2, "09:40:00", exit_code=6, error="look"),
            run(3, "09:45:00", ended_at=None, exit_code=None),
        ],
        decisions=[decision(1, "09:35:00", "stop", 1, payload=payload(is_trading=False, reason="rain"))],
    )
    found = [
        (entry.command, entry.outcome, entry.text, entry.exit_code, entry.error)
        for entry in log_entries(rows)
    ]
    assert found == [
        ("stop", "forbidden", "New entries are forbidden: rain.", 0, None),
        ("monitor", "failed", "", 6, "look"),
        ("monitor", "not ended", "", None, None),
    ]


def test_a_decision_whose_command_is_not_known_has_a_line_of_its_own():
    (entry,) = log_entries(DayRows(decisions=[decision(1, "10:00:00", "monitor", None)]))
    assert (entry.run_id, entry.exit_code, entry.outcome) == (None, None, "nothing open")
