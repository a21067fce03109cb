"""A matter for a human stays one, in every command that connects, until it is resolved or acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from actions import enter, lonely, playing, seen_today, settings, tomorrow
from relay import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness import Stage


@pytest.fixture
def lost(tmp_path: Path) -> Iterator[Stage]:
    """The fail-safe bought SPY back at 15:50, and no command ran that afternoon."""
    with playing(tmp_path) as stage:
        enter(stage)
        tomorrow(stage)
        assert stage.run("monitor").code == 6
        yield stage


def test_a_trade_lost_from_sight_is_a_matter_in_every_command_however_many_days_pass(lost):
    lost.sim.control.advance(3 * 24 * 3600)
    for words in (("monitor",), ("settle",), ("enter",), ("status",), ("close-all", "--yes")):
        done = lost.run(*words)
        assert done.code == 6, (words, done.err)
        assert "compare trade 1 with the account's statement" in done.err, words
    assert lost.sql("SELECT state, status, final_pnl FROM trades") == [
        {"state": "lost", "status": "ERROR", "final_pnl": None}
    ]


def test_what_the_screens_show_of_it(lost):
    for words in (("status", "--offline"), ("report",), ("ack",)):
        done = lost.run(*words)
        assert done.code == 0, "it does not connect"
        (matter,) = done["matters"]
        assert (matter["key"], matter["trade_id"]) == ("lost:1", 1)
        assert "compare trade 1" in " ".join(lost.run(*words, as_json=False).out.split())
    statistics = lost.run("report")["statistics"]
    assert (statistics["trades"], statistics["wins"], statistics["losses"], statistics["unknown"]) == (
        0,
        0,
        0,
        1,
    )


def test_an_acknowledgement_ends_it_for_good(lost):
    (matter,) = lost.run("ack")["matters"]
    done = lost.run("ack", str(matter["id"]), "--note", "booked by hand")
    assert (done.code, done["acknowledged"], done["matters"]) == (0, matter["id"], [])
    (row,) = lost.sql("SELECT * FROM matters")
    assert (row["note"], row["resolved_at"]) == ("booked by hand", None)
    assert row["acknowledged_at"] is not None
    for _ in range(2):
        assert lost.run("monitor").code == 0
    assert lost.run("report")["statistics"]["unknown"] == 1
    assert [row["acknowledged_at"] is None for row in lost.sql("SELECT * FROM matters")] == [False]


def test_what_is_not_open_cannot_be_acknowledged(lost):
    for words in (("99",), ("1",), ("one",)):
        if words == ("1",):
            assert lost.run("ack", "1").code == 0
        done = lost.run("ack", *words)
        assert (done.code, done.out) == (2, "")
    assert "none is" in lost.run("ack", "1").err


def test_the_open_ones_are_named_to_who_asks_for_another(lost):
    done = lost.run("ack", "99")
    assert (done.code, "open: 1" in done.err) == (2, True)


def test_without_matters_there_is_nothing_to_list_and_no_gateway_is_needed(tmp_path):
    stage = lonely(tmp_path, free_port())
    seen_today(stage)
    done = stage.run("ack")
    assert (done.code, done["acknowledged"], done["matters"]) == (0, None, [])
    assert stage.run("ack", "--note", "x").code == 2
    assert stage.run("monitor").code == 0


def test_calls_that_are_still_there_after_the_close_are_resolved_by_evidence_alone(tmp_path):
    with playing(tmp_path, "crash", seed=9) as stage:
        settings(stage, min_entry_credit=-1000, broker_side_failsafe=False)
        enter(stage)
        stage.at("16:05")
        assert stage.run("settle").code == 6
        (matter,) = stage.sql("SELECT key, resolved_at FROM matters")
        assert matter == {"key": "expired:1", "resolved_at": None}
        stage.at("18:00")
        assert stage.run("settle").code == 0
        (matter,) = stage.sql("SELECT resolved_at, resolution FROM matters")
        assert matter["resolution"] == "the trade is provisional"


def test_without_a_ledger_nothing_is_made_and_it_is_said_where_none_is(tmp_path):
    stage = lonely(tmp_path, free_port())
    files = sorted(path.name for path in tmp_path.iterdir())
    listed = stage.run("ack")
    assert (listed.code, listed["matters"]) == (0, [])
    assert f"There is no ledger at {stage.database}" in listed["notes"][0]
    for code, *words in ((5, "ack", "3"), (5, "ack", "3", "--note", "x"), (2, "hand-over", "3")):
        done = stage.run(*words)
        assert (done.code, done.err.count("\n")) == (code, 1)
        assert f"There is no ledger at {stage.database}, so no " in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == files
