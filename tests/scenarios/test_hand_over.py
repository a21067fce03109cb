"""A human takes a trade: no order of ours is left in it, none is ever sent again, and its figures follow him."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from actions import enter, live_orders, playing, settings, tomorrow, wait_until
from harness import fault
from sink import listening_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Done, Stage

CANCEL = {"request": "cancel_order"}


@pytest.fixture
def held(tmp_path) -> Iterator[Stage]:
    """One spread with its fail-safe, at noon."""
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1)
        enter(stage)
        stage.at("12:00")
        yield stage


def by_hand(stage: Stage, leg: str, side: str, quantity: int, **more: Any) -> None:
    """The human, or somebody, trades the contract of our leg."""
    contract = stage.sql(f"SELECT con_id FROM orders WHERE leg = '{leg}'")[0]["con_id"]
    stage.sim.control.script([fault("foreign_fill", side=side, quantity=quantity, con_id=contract, **more)])
    stage.sim.control.script()
    stage.sim.control.advance(1)


def calls(stage: Stage) -> dict[str, float]:
    return {name: quantity for (name, _), quantity in stage.positions().items()}


def sent(stage: Stage) -> list[str]:
    """Every order of ours that the broker ever got."""
    return sorted(row["order_ref"] for row in stage.sim.control.book()["orders"] if ":" in row["order_ref"])


def trade(stage: Stage, number: int = 1) -> dict[str, Any]:
    return stage.sql("SELECT * FROM trades WHERE id = ?", number)[0]


def action(done: Done) -> str:
    (position,) = done["positions"]
    return position["action"]


def killed(stage: Stage, verb: str, order: str) -> None:
    """A command is killed while this order of it works, which fills nothing until the script is empty again."""
    settings(stage, max_spreads_per_day=1, order_timeout_seconds=60, exit_rung_seconds=60)
    when = {"request": "place_order", "order_ref": f"spxarb:*{order}*"}
    stage.sim.control.script([fault("hold_fills", when=when, lasts="always")])
    with stage.start(verb) as process:
        wait_until(lambda: any(order in ref for ref in live_orders(stage)), seconds=60)
        process.kill()
    settings(stage, max_spreads_per_day=1)


def test_a_trade_that_is_handed_over_is_the_humans_until_he_has_closed_it(held):
    """The fail-safe goes, no exit follows whatever is due, each part that he closes counts, and nothing beyond."""
    before, orders = held.cash(), sent(held)
    credit = trade(held)["entry_credit"]
    done = held.run("hand-over", "1")
    assert (done.code, done["status"], done["complete"]) == (0, "ACTIVE", True), done.err
    assert {leg["leg"]: leg["quantity"] for leg in done["legs"]} == {"SPX": 1, "SPY": -10}
    assert [(order["order_ref"][-2:], order["proven"]) for order in done["orders"]] == [("f1", True)]
    assert live_orders(held) == []

    again = held.run("hand-over", "1")
    assert (again.code, again["status"], again["orders"]) == (0, "ACTIVE", [])
    assert "was handed over at 2026-02-10 12:00:00" in " ".join(again["notes"])

    held.at("15:46")
    done = held.run("monitor")
    assert (done.code, action(done), calls(held)) == (0, "held", {"SPXW": 1, "SPY": -10}), done.err
    assert "yours to close: TIME is due" in " ".join(done["notes"])
    shut = held.run("close-all", "--yes")
    assert (shut.code, shut["flat"], action(shut)) == (6, False, "held"), shut.err
    assert (
        "Trade 1 is handed over, and yours to close. Trading is off. Close what is left of it"
        in shut["error"]
    )
    dry = held.run("close-all", "--dry-run")
    assert (dry.code, dry["flat"], action(dry)) == (0, False, "held"), dry.err

    by_hand(held, "SPY", "BUY", 4)
    peek = held.run("monitor", "--dry-run")
    assert (peek.code, "not in the ledger yet: bought 4 SPY" in " ".join(peek["reconciliation"])) == (0, True)
    assert (held.run("monitor").code, trade(held)["status"]) == (0, "ACTIVE")
    by_hand(held, "SPY", "BUY", 6)
    by_hand(held, "SPX", "SELL", 1)
    closing = held.cash() - before
    done = held.run("monitor")
    assert (done.code, action(done), done["positions"][0]["exit_reason"]) == (0, "closed", "HANDED_OVER")
    row = trade(held)
    assert row["final_pnl"] == pytest.approx(credit + closing)
    assert (row["status"], row["state"], row["commissions_estimated"]) == ("CLOSED", "closed", 0)
    assert None not in {row["spy_exit_price"], row["spx_exit_price"]}

    by_hand(held, "SPY", "BUY", 3)  # what he does afterwards is his own
    assert (held.run("monitor").code, trade(held)["final_pnl"]) == (0, row["final_pnl"])
    assert held.run("hand-over", "1").code == 2
    held.at("16:06")
    settled = held.run("settle")
    assert (settled.code, settled["summary"]["net_pnl"]) == (0, row["final_pnl"]), settled.err
    assert sent(held) == orders


def test_what_cannot_be_handed_over_is_refused_in_one_line_and_nothing_is_changed(tmp_path):
    """An unknown trade, one whose entry is not complete, one without a gateway, one that is closed."""
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1)
        unknown = stage.run("hand-over", "7")
        assert (unknown.code, unknown.out) == (2, "")
        assert "The ledger has no trade 7; none is open" in unknown.err
        enter(stage)
        stage.at("12:00")
        text = stage.config.read_text()
        stage.config.write_text(text.replace(f"port: {stage.sim.port}", "port: 1"))
        away = stage.run("hand-over", "1")
        stage.config.write_text(text)
        assert (away.code, away["handed_over_at"], away["complete"]) == (4, None, False)
        assert (trade(stage)["state"], len(live_orders(stage))) == ("open", 1)
        stage.run("close-all", "--yes")
        done = stage.run("hand-over", "1")
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "Trade 1 was closed: there is nothing to hand over" in done.err


def test_an_entry_that_is_not_complete_stays_ours(tmp_path):
    """Killed between the legs: a human is needed, and `monitor` is what ends it."""
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1)
        killed(stage, "enter", ":SPY:e")
        assert trade(stage)["status"] == "PENDING", trade(stage)
        done = stage.run("hand-over", "1")
        stage.sim.control.script()
        assert (done.code, trade(stage)["handed_over_at"]) == (6, None)
        assert "the entry of trade 1 is not complete: it cannot be handed over" in done.err
        assert stage.run("monitor").code == 0
        assert calls(stage) == {}


def test_a_fail_safe_whose_cancel_is_not_answered_needs_a_human_until_it_is_proven_over(held):
    """Nothing of ours trades the trade meanwhile, no entry is made beside it, and it is named."""
    settings(held, max_spreads_per_day=2)
    held.sim.control.script([fault("ignore", when=CANCEL, lasts="always")])
    done = held.run("hand-over", "1", timeout=150)
    assert (done.code, done["status"], done["complete"]) == (6, "ERROR", False)
    assert "may still buy 10 SPY calls" in done["error"]
    assert [(order["proven"], order["filled"]) for order in done["orders"]] == [(False, None)]
    held.at("15:46")
    for _ in range(2):
        assert held.run("monitor", timeout=150).code == 6
    assert calls(held) == {"SPXW": 1, "SPY": -10}
    held.sim.control.script()
    done = held.run("monitor")
    assert (done.code, action(done), live_orders(held)) == (0, "held", []), done.err
    assert "Trade 1 is handed over" in " ".join(done["notes"])
    assert (trade(held)["state"], held.run("ack")["matters"]) == ("handed over", [])


@pytest.mark.parametrize("how", ["fill_instead_of_cancel", "fill_after_cancel"])
def test_a_fail_safe_that_fills_while_it_is_cancelled_counts_and_spx_is_the_humans(held, how):
    hold = fault("hold_fills", when={"symbol": "SPY"}, lasts="always")
    held.sim.control.script([hold, fault(how, when=CANCEL)])
    held.at("15:51")  # it is active, and does not fill yet
    done = held.run("hand-over", "1")
    assert (done.code, calls(held)) == (0, {"SPXW": 1}), done.err
    assert {leg["leg"]: leg["quantity"] for leg in done["legs"]} == {"SPX": 1, "SPY": 0}
    held.sim.control.script()
    assert held.run("monitor").code == 0
    assert calls(held) == {"SPXW": 1}
    by_hand(held, "SPX", "SELL", 1)
    assert held.run("monitor").code == 0
    assert (trade(held)["status"], trade(held)["exit_reason"]) == ("CLOSED", "HANDED_OVER")


def test_an_exit_order_that_still_works_is_ended_before_the_trade_is_the_humans(held):
    """The exit was killed with its purchase at the broker: hand-over cancels it, and nothing goes on with it."""
    held.at("15:46")
    killed(held, "monitor", ":SPY:x")
    done = held.run("hand-over", "1")
    held.sim.control.script()
    assert (done.code, done["complete"], live_orders(held)) == (0, True, []), done.err
    orders = sent(held)
    held.sim.control.advance(60)
    done = held.run("monitor")
    assert (done.code, action(done), sent(held)) == (0, "held", orders), done.err
    assert calls(held) == {"SPXW": 1, "SPY": -10}


def test_a_leg_without_its_hedge_and_a_loss_are_the_humans_and_he_hears_of_each_once(held):
    assert held.run("hand-over", "1").code == 0
    by_hand(held, "SPX", "SELL", 1)
    settings(held, max_spreads_per_day=1, max_position_loss=0)
    held.at("15:46")
    with listening_sink() as sink:
        for _ in range(2):
            done = held.run("monitor", env=sink.variables)
            assert (done.code, action(done)) == (0, "held"), done.err
            assert "short 10 SPY calls without their hedge" in " ".join(done["notes"])
    (alert,) = sink.alerts
    assert "it is short 10 SPY calls without their hedge" in alert
    assert held.run("ack")["matters"] == []


def test_what_is_left_at_the_close_is_settled_and_watched_as_ours_would_be(held):
    """He closes four of ten. The rest is settled; short calls that stay in the account are exit 6 till they go."""
    assert held.run("hand-over", "1").code == 0
    by_hand(held, "SPY", "BUY", 4)
    held.at("16:06")
    orders = sent(held)
    done = held.run("settle")
    assert (done.code, trade(held)["state"]) == (6, "expired")
    assert "still shows 6 short SPY calls after the close" in done["error"]
    assert sent(held) == orders
    tomorrow(held)
    held.run("settle", "--date", "2026-02-10")
    assert trade(held)["status"] == "CLOSED"
    legs = {row["leg"]: row["quantity"] for row in held.sql("SELECT leg, quantity FROM settlements")}
    assert legs == {"SPX": 1, "SPY": -6}
    assert sent(held) == orders


def test_his_executions_that_show_after_the_settlement_close_the_trade_and_no_assignment_is_expected(held):
    assert held.run("hand-over", "1").code == 0
    held.at("15:58")
    by_hand(held, "SPY", "BUY", 10)
    by_hand(held, "SPX", "SELL", 1)
    held.at("16:20")
    late = fault("late_executions", seconds=86400, lasts="always")
    held.sim.control.script([late, fault("foreign_position", flat=True)])
    done = held.run("settle")
    assert (trade(held)["state"], trade(held)["exit_reason"]) == ("provisional", "EXPIRATION")
    assert "will be assigned overnight" in done.err
    held.sim.control.script()
    done = held.run("settle")
    assert done.code == 0, done.err
    after = trade(held)
    assert (after["state"], after["exit_reason"], after["exit_time"][11:16]) == (
        "closed",
        "HANDED_OVER",
        "15:58",
    )
    assert held.cash() == pytest.approx(1_000_000 + after["final_pnl"], abs=1e-6)
    assert held.sql("SELECT key FROM matters WHERE resolved_at IS NULL") == []


def test_what_others_took_before_the_hand_over_stays_the_matter_that_it_is(held):
    """Closed by hand without a hand-over: law 6. What the human closes afterwards counts, and no result is made up."""
    by_hand(held, "SPY", "BUY", 4)
    assert held.run("monitor").code == 6
    done = held.run("hand-over", "1")
    assert done.code == 6
    assert {leg["leg"]: leg["quantity"] for leg in done["legs"]} == {"SPX": 1, "SPY": -6}
    (matter,) = held.run("ack")["matters"]
    assert held.run("ack", str(matter["id"])).code == 0
    by_hand(held, "SPY", "BUY", 6)
    by_hand(held, "SPX", "SELL", 1)
    done = held.run("monitor")
    assert done.code == 0, done.err
    assert (trade(held)["state"], trade(held)["final_pnl"], calls(held)) == ("unknown", None, {})


def test_of_two_spreads_at_one_strike_only_one_is_handed_over(tmp_path):
    """The other keeps its fail-safe; one purchase of the human closes his, and its rest is told as others' doing."""
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=2)
        enter(stage)
        enter(stage)
        strikes = {row["spy_strike"] for row in stage.sql("SELECT spy_strike FROM trades")}
        assert len(strikes) == 1
        stage.at("12:00")
        assert stage.run("hand-over", "1").code == 0
        assert [ref.partition(":2:")[2] for ref in live_orders(stage)] == ["SPY:f1"]
        by_hand(stage, "SPY", "BUY", 10)
        by_hand(stage, "SPX", "SELL", 1)
        done = stage.run("monitor")
        assert (done.code, [one["action"] for one in done["positions"]]) == (0, ["closed", "held"]), done.err
        assert [ref.partition(":2:")[2] for ref in live_orders(stage)] == ["SPY:f1"]
        by_hand(stage, "SPY", "BUY", 3)
        done = stage.run("monitor")
        assert done.code == 6
        assert "thers closed 3 short SPY calls of trade 2" in done["error"]
        stage.at("15:46")
        stage.run("monitor")
        assert calls(stage) == {}


def test_one_purchase_closes_two_trades_that_the_human_took(tmp_path):
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=2)
        before = stage.cash()
        enter(stage)
        enter(stage)
        stage.at("12:00")
        for number in "21":
            assert stage.run("hand-over", number).code == 0
        by_hand(stage, "SPY", "BUY", 20)
        by_hand(stage, "SPX", "SELL", 2)
        done = stage.run("monitor")
        assert (done.code, [one["action"] for one in done["positions"]]) == (0, ["closed", "closed"]), (
            done.err
        )
        results = [row["final_pnl"] for row in stage.sql("SELECT final_pnl FROM trades")]
        assert sum(results) == pytest.approx(stage.cash() - before, abs=0.02)
        assert stage.run("monitor").code == 0


def test_a_correction_of_his_execution_opens_the_trade_for_him_and_not_for_us(held):
    assert held.run("hand-over", "1").code == 0
    by_hand(held, "SPY", "BUY", 10)
    by_hand(held, "SPX", "SELL", 1)
    held.at("15:46")
    assert (held.run("monitor").code, trade(held)["state"]) == (0, "closed")
    orders = sent(held)
    held.sim.control.script([fault("bust", when={"message": "execution", "symbol": "SPX", "side": "SELL"})])
    held.run("status")  # its question for executions sets the correction off
    assert calls(held) == {"SPXW": 1}
    done = held.run("close-all", "--yes")
    assert (done.code, trade(held)["state"], sent(held)) == (6, "handed over", orders), done.err
    assert trade(held)["final_pnl"] is None
