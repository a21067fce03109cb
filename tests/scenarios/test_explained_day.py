"""A day looked back on: every mark, decision, veto, order, fill, alert and matter of it is told, in order, with its figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from actions import dump, enter, playing, tomorrow
from contract import DAY
from sink import listening_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Done, Stage

WARNING = [{"when": {"request": "positions"}, "what": {"error": {"code": 2148}}, "times": "always"}]


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    """A dry run, an entry, a look, an entry that is skipped, a warning of liquidation, an exit, the evening."""
    with playing(tmp_path_factory.mktemp("day")) as made, listening_sink() as sink:
        made.run("enter", "--dry-run")
        enter(made)
        made.at("11:00")
        made.run("monitor")
        made.at("11:05")
        assert made.run("enter")["outcome"] == "skipped"
        made.at("14:00")
        made.sim.control.script(WARNING)
        assert made.run("monitor", env=sink.variables).code == 6
        made.sim.control.script([])
        assert made.run("ack", "1", "--note", "funds were added").code == 0
        made.at("15:45")
        made.run("monitor")
        made.at("16:05")
        made.run("settle")
        made.run("stop", "--reason", "enough for today")
        tomorrow(made)
        made.run("monitor", "--dry-run")
        yield made


@pytest.fixture(scope="module")
def told(stage) -> Done:
    return stage.run("report", "--day", DAY, "--explain")


def events(told: Done, what: str, **figures: Any) -> list[dict[str, Any]]:
    """The events of that kind with these figures."""
    return [
        event
        for event in told["explanation"]
        if event["what"] == what and figures.items() <= event["figures"].items()
    ]


def test_every_row_of_the_day_is_told(stage, told):
    day = "substr(at, 1, 10) = ?"
    for row in stage.sql(f"SELECT * FROM marks WHERE {day}", DAY):
        (event,) = events(told, "mark", trade_id=row["trade_id"], pnl=row["pnl"], delta=row["delta"])
        assert event["at"] == row["at"]
    for row in stage.sql(f"SELECT * FROM day_marks WHERE {day}", DAY):
        assert row["at"] in {event["at"] for event in events(told, "mark", net_pnl=row["net_pnl"])}
    decisions = stage.sql(f"SELECT * FROM decisions WHERE {day}", DAY)
    assert len(events(told, "decision")) == len(decisions) == 8
    vetoes = [check for row in decisions for check in json.loads(row["checks"]) if check["ok"] is False]
    assert {check["name"] for check in vetoes} == {"time_window", "net_credit"}
    for check in vetoes:
        (event,) = events(told, "veto", check=check["name"], value=check["value"], limit=check["limit"])
        assert check["message"] in event["text"]
    orders = stage.sql("SELECT * FROM orders")
    for row in orders:
        (event,) = events(told, "order", order_ref=row["order_ref"], step="intent", quantity=row["quantity"])
        assert len(events(told, "order", order_ref=row["order_ref"], step="final")) == 1
    executions = stage.sql("SELECT * FROM executions")
    for row in executions:
        (event,) = events(told, "fill", exec_id=row["exec_id"], commission=row["commission"])
        assert f"${row['price']:.2f}" in event["text"]
    assert (len(orders), len(executions)) == (5, 4)
    (row,) = stage.sql("SELECT * FROM alerts")
    (alert,) = events(told, "alert", title=row["title"])
    assert (alert["text"], row["failure"]) == (f"Alert to json: {' '.join(row['text'].split())}", None)
    assert "liquidation" in alert["text"]
    (matter,) = stage.sql("SELECT * FROM matters")
    raised, acknowledged = events(told, "matter", id=matter["id"])
    assert (raised["text"], raised["at"]) == (f"Matter 1 for a human: T{matter['text'][1:]}", matter["since"])
    assert acknowledged["text"] == "Matter 1 was acknowledged: Funds were added."
    runs = {run["id"] for run in stage.sql("SELECT id FROM runs WHERE substr(market_time, 1, 10) = ?", DAY)}
    assert runs <= {event["figures"]["run_id"] for event in events(told, "run")}
    trade = stage.sql("SELECT * FROM trades")[0]
    assert [event["figures"]["entry_credit"] for event in events(told, "trade")] == [
        trade["entry_credit"]
    ] * 2


def test_the_day_is_told_in_order_cause_before_effect(told):
    explanation = told["explanation"]
    times = [event["at"] for event in explanation]
    assert times == sorted(times)
    assert {time[:10] for time in times} == {DAY}, "the next morning is another day"
    entry = [
        (event["what"], event["text"].partition(" at ")[0].partition(":")[0])
        for event in explanation
        if event["at"][11:16] == "09:35" and event["figures"].get("step") != "status"
    ]
    assert entry == [
        ("run", "enter --dry-run ran"),
        ("decision", "Dry run"),
        ("run", "enter ran"),
        ("order", "Buy 1 SPXW 6665 call"),
        ("fill", "Bought 1 SPXW 6665 call"),
        ("order", "trade 1 SPX e1"),
        ("order", "Sell 10 SPY 665 calls"),
        ("fill", "Sold 10 SPY 665 calls"),
        ("order", "trade 1 SPY e1"),
        ("order", "Buy 10 SPY 665 calls"),
        ("trade", "Trade 1 is open"),
        ("decision", "Every check passed"),
    ]


def test_it_says_why_in_dollars_as_a_trader_would(stage, told):
    trade = stage.sql("SELECT * FROM trades")[0]
    screen = " ".join(stage.run("report", "--day", DAY, "--explain", as_json=False).out.split())
    for sentence in (
        f"Every check passed: entered trade 1 for a credit of +${trade['entry_credit']:.2f}",
        f"seen: SPX {trade['spx_price']:,.2f}, SPY {trade['spy_price']:.2f}, SPX 6,665 call",
        "monitor: held trade 1, marked at +$306.47.",
        "No entry: time_window, net_credit; the credit would have been +$",
        "net_credit: The spread would bring $",
        "Buy 10 SPY 665 calls at the market, inactive until 15:50 as fail-safe (trade 1 SPY f1).",
        "monitor ended with exit code 6:",
        "monitor: closed trade 1 because of TIME",
        f"result +${trade['final_pnl']:.2f}.",
        "settle: 2026-02-10 has 1 trade and a net result of",
        "New entries are forbidden: enough for today.",
    ):
        assert sentence in screen, sentence


def test_the_log_has_a_line_a_command_in_order_with_its_outcome_and_exit_code(stage):
    done = stage.run("log", "--day", DAY)
    lines = [
        (entry["at"][11:16], entry["command"], entry["outcome"], entry["exit_code"])
        for entry in done["entries"]
    ]
    assert lines == [
        ("09:35", "enter", "dry_run", 0),
        ("09:35", "enter", "entered", 0),
        ("11:00", "monitor", "1 held", 0),
        ("11:05", "enter", "skipped", 0),
        ("14:00", "monitor", "1 held", 6),
        ("14:00", "ack", "nothing to decide", 0),
        ("15:45", "monitor", "1 closed", 0),
        ("16:05", "settle", "final", 0),
        ("16:05", "stop", "forbidden", 0),
    ]
    entered, skipped = done["entries"][1], done["entries"][3]
    assert entered["figures"]["net"] == stage.sql("SELECT entry_credit FROM trades")[0]["entry_credit"]
    assert "net_credit: The spread would bring" in skipped["text"]
    assert "liquidation" in done["entries"][4]["error"]
    assert stage.run("log", "--day", DAY, "-n", "2")["entries"] == done["entries"][-2:]
    assert "15:45 monitor  closed trade 1 (TIME), P&L +$" in stage.run("log", "--day", DAY, as_json=False).out


def test_without_a_day_the_log_is_that_of_the_latest(stage):
    done = stage.run("log")
    assert (done["day"], done["entries"][0]["command"]) == ("2026-02-11", "monitor")


def test_the_log_writes_nothing_and_makes_no_ledger(stage, tmp_path):
    before = dump(stage), stage.sql("SELECT count(*) AS runs FROM runs")
    assert stage.run("log").code == 0
    assert before == (dump(stage), stage.sql("SELECT count(*) AS runs FROM runs"))
    absent = stage.run("log", env={"SPXARB_DATABASE": str(tmp_path / "absent.db")})
    assert (absent["day"], absent["entries"]) == (None, [])
    assert list(tmp_path.glob("absent*")) == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("report", "--explain"), "name it with --day"),
        (("report", "--day", DAY, "--explain", "--csv"), "not as CSV"),
        (("report", "--day", DAY, "--since", DAY), "leave out --since"),
        (("log", "-n", "0"), "-n"),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_way_to_ask(stage, words, why):
    done = stage.run(*words, as_json=False)
    assert (done.code, why in done.err) == (2, True), done.err
