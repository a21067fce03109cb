"""The broker's own words on an order or the account reach whoever must read them, known code or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from actions import check_of, enter, playing, settings
from harness import fault
from sink import ALARMS_ALONE, Sink, listening_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

NO_LUCK = "The moon is in the wrong house."
WARNING = {"error": {"code": 2148}}
URGENT = "liquidation of positions may commence"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening_sink() as server:
        yield server


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        made.settings["notifications"] = ALARMS_ALONE
        settings(made, broker_side_failsafe=False)
        yield made


def refused(stage: Stage, code: int, text: str) -> None:
    """Every new order is answered with that error, and with nothing else."""
    stage.sim.control.script([fault("refuse_order", code=code, text=text, lasts="always")])


def warned(stage: Stage, when: str) -> None:
    """The gateway says 2148 to every connection that asks for this."""
    stage.sim.control.script([{"when": {"request": when}, "what": WARNING, "times": "always"}])


# --- orders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "text", "advice"),
    [
        (201, "Order rejected - reason: no<br>such luck", ""),
        (383, "The following order size exceeds the size limit.", "Precautions"),
        (451, "The following order value exceeds the total value limit.", "Precautions"),
        (478, "Parameters in this request conflict", ""),
        (2139, "Paper trading has not been acknowledged", "accept the paper trading disclaimer"),
        (10141, "Paper trading disclaimer must first be accepted", "accept the paper trading disclaimer"),
        (4711, NO_LUCK, ""),
    ],
)
def test_an_entry_that_is_refused_says_so_in_the_brokers_words(stage, sink, code, text, advice):
    """Whatever the code: in the result, in the trade's note, and in the one alert."""
    refused(stage, code, text)
    done = stage.run("enter", env=sink.variables)
    assert (done.code, done["outcome"]) == (0, "aborted")
    words = f"{code} {text.replace('<br>', ' ').rstrip('.')}"
    (note,) = stage.sql("SELECT note FROM trades")
    (alert,) = sink.alerts
    for told in (" ".join(done["notes"]), note["note"], alert):
        assert words in told
        assert advice in told
        assert ".." not in told


@pytest.mark.parametrize("code", [451, 4711, 10141])
@pytest.mark.parametrize("verb", [("monitor",), ("close-all", "--yes")], ids=" ".join)
def test_an_exit_that_is_refused_says_so_in_the_brokers_words(stage, sink, verb, code):
    enter(stage)
    stage.at("15:46")
    refused(stage, code, NO_LUCK)
    done = stage.run(*verb, env=sink.variables)
    assert done.code == 6
    (note,) = stage.sql("SELECT note FROM trades")
    (alert,) = sink.alerts
    for told in (done["error"], done.err, note["note"], alert):
        assert f"{code} {NO_LUCK[:-1]}" in told


def test_the_sale_of_spy_that_is_refused_is_told_beside_what_was_undone(stage):
    sale = {"request": "place_order", "order_ref": "spxarb:*:SPY:e*"}
    stage.sim.control.script([fault("refuse_order", code=4711, text=NO_LUCK, when=sale)])
    done = stage.run("enter")
    assert done["outcome"] == "aborted"
    assert f"4711 {NO_LUCK[:-1]}" in " ".join(done["notes"])


def test_a_warning_beside_an_order_that_fills_is_a_note_and_no_alert(stage, sink):
    stage.sim.control.script(
        [{"when": {"message": "execution"}, "what": {"error": {"code": 399, "id": "order", "text": NO_LUCK}}}]
    )
    done = stage.run("enter", env=sink.variables)
    assert (done.code, done["outcome"], sink.alerts) == (0, "entered", [])
    assert any(f"399 {NO_LUCK[:-1]}" in note for note in done["notes"])


def test_the_words_stand_in_the_ledger_order_by_order(stage):
    refused(stage, 4711, NO_LUCK)
    stage.run("enter")
    steps = stage.sql("SELECT * FROM order_steps WHERE step = 'message'")
    assert any(f"4711 {NO_LUCK}" in str(step) for step in steps)


# --- the account ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["start_api", "all_open_orders", "contract_details"])
def test_a_warning_of_liquidation_stops_an_entry_and_is_told_once(stage, sink, when):
    """Law 14: it stays a matter until a human says so, and he is called once for the same words of a day."""
    warned(stage, when)
    done = stage.run("enter", env=sink.variables)
    assert (done.code, done["outcome"]) == (6, "skipped")
    check = check_of(done, "trading_enabled")
    assert (check["ok"], "2148 URGENT" in check["message"]) == (False, True)
    assert (URGENT in done["error"], stage.positions()) == (True, {})
    for clock in ("09:40", "09:45"):
        stage.at(clock)
        assert stage.run("monitor", env=sink.variables).code == 6
    assert stage.run("enter", env=sink.variables)["outcome"] == "skipped"
    (alert,) = sink.alerts
    assert URGENT in alert
    (matter,) = stage.run("ack")["matters"]
    assert stage.run("ack", str(matter["id"])).code == 0
    assert stage.run("enter", env=sink.variables)["outcome"] == "entered"
    assert len(sink.alerts) == 1


def test_a_warning_while_an_entry_works_ends_it_flat(stage):
    stage.sim.control.script(
        [
            {"when": {"request": "place_order", "order_ref": "spxarb:*:SPX:e*"}, "what": WARNING},
            fault("hold_fills", lasts="always"),
        ]
    )
    done = stage.run("enter")
    assert (done.code, done["outcome"], stage.positions()) == (6, "aborted", {})
    assert URGENT in done["error"]
    assert URGENT in stage.sql("SELECT note FROM trades")[0]["note"]


@pytest.mark.parametrize("verb", ["monitor", "settle", "close-all"])
def test_whichever_job_hears_the_warning_tells_it(stage, sink, verb):
    enter(stage)
    stage.at("15:46")
    if verb == "settle":
        assert stage.run("monitor").code == 0
        stage.at("16:06")
    warned(stage, "all_open_orders")
    done = stage.run(verb, *(["--yes"] if verb == "close-all" else []), env=sink.variables)
    assert (done.code, URGENT in done["error"], stage.positions()) == (6, True, {})
    (alert,) = sink.alerts
    assert URGENT in alert


def test_a_look_tells_the_warning_and_keeps_nothing(stage):
    warned(stage, "positions")
    for words in (("enter", "--dry-run"), ("monitor", "--dry-run"), ("status",)):
        if words[0] == "monitor":
            stage.sim.control.script([])
            enter(stage)
            warned(stage, "positions")
        done = stage.run(*words)
        assert (done.code, URGENT in done["error"]) == (6, True), words
        assert stage.sql("SELECT * FROM matters") == []


@pytest.mark.parametrize(
    ("code", "text", "counts"),
    [
        (2148, "DRINGEND: Ihr Eigenkapital reicht nicht.", True),
        (2159, "Margin deficiency: your account is subject to liquidation.", True),
        (4712, "URGENT: something nobody has heard of", True),
        (2148, "URGENT: equity is insufficient. Account: U7654321", False),
        (4713, "The cafeteria closes at noon.", False),
        (2103, "Market data farm connection is broken: urgent", False),
    ],
)
def test_what_warns_of_our_account_is_told_from_what_does_not(stage, code, text, counts):
    said = {"error": {"code": code, "text": text}}
    stage.sim.control.script([{"when": {"request": "positions"}, "what": said, "times": "always"}])
    done = stage.run("close-all", "--yes")
    assert done.code == (6 if counts else 0)
    told = " ".join([done["error"] or "", *done["notes"]])
    assert (f"{code} {text.rstrip('.')}" in told) is (code != 2103)


# --- a gateway that is blocked ----------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["questions", "logon"])
@pytest.mark.parametrize("verb", [("enter",), ("close-all", "--yes"), ("status",)], ids=" ".join)
def test_a_disclaimer_that_is_not_accepted_is_told_with_what_to_do(stage, verb, scope):
    stage.settings["execution"] = {"connect_timeout_seconds": 2, "question_timeout_seconds": 2}
    settings(stage)
    stage.sim.control.script([fault("disclaimer", scope=scope, lasts="always")])
    done = stage.run(*verb)
    assert done.code == 4
    assert "blocks the API: 10141" in done["error"]
    assert "accept the paper trading disclaimer" in done["error"]


def test_a_disclaimer_that_blocks_orders_is_told_before_anything_is_bought(stage):
    stage.sim.control.script([fault("disclaimer", scope="orders", lasts="always")])
    done = stage.run("enter")
    assert done["outcome"] == "skipped"
    assert "accept the paper trading disclaimer" in check_of(done, "margin")["message"]


def test_a_disclaimer_in_the_way_of_an_exit_is_a_matter_for_a_human(stage):
    enter(stage)
    stage.at("15:46")
    assert stage.run("enter", "--dry-run").code == 0  # so that the time is known
    stage.settings["execution"] = {"connect_timeout_seconds": 2, "question_timeout_seconds": 2}
    settings(stage)
    stage.sim.control.script([fault("disclaimer", lasts="always")])
    done = stage.run("monitor")
    assert (done.code, "blocks the API: 10141" in done["error"]) == (6, True)
