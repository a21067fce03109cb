"""Executions are kept whatever the gateway says of their time, and fees are asked for until they are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from actions import enter, playing, settings, tomorrow
from harness import fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with playing(tmp_path) as made:
        settings(made, max_spreads_per_day=1, broker_side_failsafe=False)
        yield made


def times(stage: Stage) -> list[str]:
    return [row["time"][11:16] for row in stage.sql("SELECT time FROM executions ORDER BY rowid")]


@pytest.mark.parametrize(
    ("zone", "written", "form"),
    [
        ("Asia/Hong_Kong", "HKT", "named"),
        ("Asia/Hong_Kong", "Hongkong Zeit", "named"),
        ("Asia/Singapore", "SGT", "dash"),
        ("Asia/Tokyo", "", "bare"),
        ("Europe/Berlin", "Mitteleurop\\xe4ische Zeit", "named"),
        ("Europe/Berlin", "Central European Standard Time", "bare"),
    ],
)
def test_a_day_beside_a_gateway_in_another_zone_is_a_day_like_any_other(stage, zone, written, form):
    """From its midnight on, 11:00 here in Hong Kong, its list has lost the morning's fills: none is missed."""
    stage.sim.control.script([fault("gateway_zone", zone=zone, written=written, form=form, lasts="always")])
    enter(stage)
    assert times(stage) == ["09:35", "09:35"]
    for clock in ("09:55", "11:05", "13:00"):
        stage.at(clock)
        done = stage.run("monitor")
        assert (done.code, done["reconciliation"], done["positions"][0]["action"]) == (0, [], "held"), clock
    stage.at("15:46")
    assert stage.run("monitor").code == 0
    assert (stage.positions(), times(stage)[2:]) == ({}, ["15:46", "15:46"])
    stage.at("16:06")
    assert stage.run("settle").code == 0
    shut = stage.run("close-all", "--yes")
    assert (shut.code, shut["flat"]) == (0, True)


def test_a_fill_that_is_taken_back_is_missed_where_the_list_reaches_back_to_it(stage):
    """The other side: in New York, and in the afternoon in Hong Kong, a fill that vanishes is exit 6."""
    enter(stage)
    stage.at("13:00")
    stage.sim.control.script([fault("late_executions", seconds=604_800, lasts="always")])
    done = stage.run("monitor")
    assert done.code == 6
    assert any("in the ledger but not at the broker" in line for line in done["reconciliation"])


@pytest.mark.parametrize("form", ["unknown", "empty"])
def test_a_fill_whose_time_is_not_known_is_kept_as_heard_and_flagged(stage, form):
    """A note, and a line in the ledger; no matter for a human."""
    stage.sim.control.script(
        [fault("exec_time", form=form, zone="Mitteleurop\\xe4ische Zeit", lasts="always")]
    )
    done = enter(stage)
    assert any("it carries the time when it was heard" in note for note in done["notes"])
    assert times(stage) == ["09:35", "09:35"]
    assert stage.sql("SELECT 1 FROM order_steps WHERE detail LIKE '%when it was heard%'")
    stage.at("12:00")
    later = stage.run("monitor")
    assert (later.code, later["reconciliation"], later["notes"]) == (0, [], [])
    assert times(stage) == ["09:35", "09:35"]


# --- fees -----------------------------------------------------------------------------------------------


def estimates(stage: Stage) -> tuple[int, int]:
    """How many executions, and how many trades, count an estimated fee."""
    counted = (
        "SELECT count(*) AS n FROM executions WHERE commission_estimated AND NOT superseded",
        "SELECT count(*) AS n FROM trades WHERE commissions_estimated",
    )
    executions, trades = (stage.sql(text)[0]["n"] for text in counted)
    return executions, trades


def assert_fees_are_the_brokers(stage: Stage) -> None:
    """Executions, trade, day and report: all have what the broker took."""
    fees = sum(fill["commission"] for fill in stage.sim.control.book()["fills"])
    assert estimates(stage) == (0, 0)
    (trade,) = stage.sql("SELECT * FROM trades")
    (day,) = stage.sql("SELECT * FROM daily_summary")
    report = stage.run("report")
    for total in (
        sum(row["commission"] for row in stage.sql("SELECT commission FROM executions")),
        trade["commissions"],
        day["total_commissions"],
        report["trades"][0]["commissions"],
        report["days"][0]["total_commissions"],
    ):
        assert total == pytest.approx(fees, abs=1e-6)
    assert day["net_pnl"] == trade["final_pnl"]
    assert stage.cash() == pytest.approx(1_000_000 + trade["final_pnl"], abs=1e-6)


def assert_estimates_are_kept(stage: Stage, estimated: float) -> None:
    """The report has both, and by how much they differ; so has each execution."""
    report = stage.run("report")
    reported = report["trades"][0]["commissions"]
    fees = report["fees"]
    assert (fees["executions"], fees["waiting"]) == (4, 0)
    assert (fees["estimated"], fees["reported"]) == (pytest.approx(estimated), pytest.approx(reported))
    assert fees["difference"] == pytest.approx(reported - estimated)
    assert abs(fees["difference"]) > 5, "the schedule was configured far too dear"
    assert sum(row["commission_estimate"] for row in report["executions"]) == pytest.approx(estimated)
    assert "Fees of 4 executions, estimated and reported" in stage.run("report", as_json=False).out


@pytest.fixture
def closed(stage) -> Stage:
    """A spread that was closed without any fee reported; the estimates are far from the fees."""
    stage.write_config(trading={"min_entry_credit": 100}, fees={"commission_per_contract": 1})
    stage.sim.control.script([fault("no_commission", lasts="always")])
    enter(stage)
    stage.at("15:46")
    assert stage.run("monitor").code == 0
    assert estimates(stage) == (4, 1)
    return stage


@pytest.mark.parametrize("verb", [("monitor",), ("settle",), ("close-all", "--yes")], ids=" ".join)
def test_fees_that_are_reported_later_replace_the_estimates_in_whatever_job_comes_next(closed, verb):
    closed.at("16:06")
    assert closed.run("settle").code == 0
    assert estimates(closed) == (4, 1)
    closed.sim.control.script([])
    closed.at("16:10")
    before = closed.run("report")
    assert before["fees"] == {
        "executions": 0, "estimated": None, "reported": None, "difference": None, "waiting": 4,
    }  # fmt: skip
    assert closed.run(*verb).code == 0
    assert_fees_are_the_brokers(closed)
    assert_estimates_are_kept(closed, before["trades"][0]["commissions"])


def test_a_fee_that_comes_after_the_list_that_was_asked_for_is_taken_too(closed):
    """Reports may come seconds after the end of the answer."""
    closed.at("16:06")
    closed.sim.control.script([fault("commission_after_list", lasts="always")])
    assert closed.run("settle").code == 0
    assert_fees_are_the_brokers(closed)


def test_fees_that_never_come_are_asked_for_until_their_day_is_over(closed):
    closed.at("16:06")
    assert closed.run("settle").code == 0
    assert not any("Nothing is open" in note for note in closed.run("monitor")["notes"])
    tomorrow(closed)
    done = closed.run("monitor")
    assert (done.code, estimates(closed)) == (0, (4, 1))
    done = closed.run("monitor")
    assert (done.code, done["asked_broker"], estimates(closed)) == (0, False, (4, 1))
