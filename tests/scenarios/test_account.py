"""The account decides: what the ledger holds is believed only as far as the account bears it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from actions import enter, live_orders, playing, settings
from harness import fault
from sink import listening_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Stage

SPX, SPY = {"sec_type": "OPT", "symbol": "SPX"}, {"sec_type": "OPT", "symbol": "SPY"}


@pytest.fixture
def held(tmp_path) -> Iterator[Stage]:
    """One spread, entered at 09:35, held at noon; no fail-safe that would act beside the claims."""
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1, broker_side_failsafe=False)
        enter(stage)
        stage.at("12:00")
        yield stage


def calls(stage: Stage) -> dict[str, float]:
    """What the account holds of each class of calls."""
    return {name: quantity for (name, _), quantity in stage.positions().items()}


def others(stage: Stage, what: str, con: str, side: str, quantity: int) -> None:
    """Somebody else trades our contract, or a position of it moves with no execution to tell why."""
    contract = stage.sql(f"SELECT con_id FROM orders WHERE leg = '{con.upper()}'")[0]["con_id"]
    stage.sim.control.script([fault(what, side=side, quantity=quantity, con_id=contract)])


def our_orders(stage: Stage) -> int:
    return len([row for row in stage.sim.control.book()["orders"] if row["order_ref"].startswith("spxarb:")])


def test_calls_that_others_bought_back_are_not_bought_again_and_spx_is_sold_at_once(held):
    """IB, or the owner, buys the ten SPY calls back at noon: the rest of the spread goes, and a human hears."""
    others(held, "foreign_fill", "spy", "BUY", 10)
    done = held.run("monitor")
    assert done.code == 6
    assert calls(held) == {}
    assert [position["exit_reason"] for position in done["positions"]] == ["EMERGENCY"]
    assert "Others closed 10 short SPY calls of trade 1" in done["error"]


@pytest.mark.parametrize("failsafe", [True, False])
def test_a_spread_of_which_others_closed_both_legs_is_over_at_once_and_has_no_result(tmp_path, failsafe):
    """Both legs closed by hand without a hand-over: nothing is traded, and the fail-safe is ended."""
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1, broker_side_failsafe=failsafe)
        enter(stage)
        stage.at("12:00")
        others(stage, "foreign_fill", "spy", "BUY", 10)
        others(stage, "foreign_fill", "spx", "SELL", 1)
        stage.sim.control.script()
        sent = our_orders(stage)
        stage.at("12:01")
        done = stage.run("monitor")
        assert (done.code, calls(stage), our_orders(stage), live_orders(stage)) == (6, {}, sent, [])
        (row,) = stage.sql("SELECT state, exit_reason, exit_time, final_pnl FROM trades")
        assert (row["state"], row["exit_reason"], row["final_pnl"]) == ("unknown", "EMERGENCY", None)
        assert row["exit_time"] == "2026-02-10T12:01:00-05:00"
        assert stage.run("status")["status"]["open_positions"] == 0


def test_a_part_that_others_bought_back_stays_theirs_when_the_exit_is_due(held):
    others(held, "foreign_fill", "spy", "BUY", 4)
    done = held.run("monitor")
    assert (done.code, [position["action"] for position in done["positions"]]) == (6, ["held"])
    held.at("15:46")
    assert held.run("monitor").code == 6
    assert calls(held) == {}


def test_spx_that_others_sold_leaves_spy_naked_and_it_is_bought_back_at_once(held):
    others(held, "foreign_fill", "spx", "SELL", 1)
    done = held.run("monitor")
    assert done.code == 6
    assert calls(held) == {}
    assert "Others closed 1 long SPX call of trade 1" in done["error"]


@pytest.mark.parametrize("verb", [("monitor",), ("close-all", "--yes")], ids=" ".join)
def test_an_account_that_is_flat_without_an_execution_is_not_traded(held, verb):
    others(held, "foreign_position", "spy", "BUY", 10)
    others(held, "foreign_position", "spx", "SELL", 1)
    assert calls(held) == {}
    sent = our_orders(held)
    held.at("15:46")
    done = held.run(*verb)
    assert done.code == 6
    assert (calls(held), our_orders(held)) == ({}, sent)
    assert "no execution says why" in done["error"]


def test_the_owners_own_contracts_of_the_same_strike_stay_his(tmp_path):
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=2, broker_side_failsafe=False)
        enter(stage)
        others(stage, "foreign_fill", "spy", "BUY", 3)
        others(stage, "foreign_fill", "spy", "SELL", 5)
        stage.at("15:46")
        assert stage.run("monitor").code == 0
        assert calls(stage) == {"SPY": -2}


@pytest.mark.parametrize(
    "rest",
    [{}, {"perm_id": "zero"}, {"order_ref": "spxarb:*:x*"}],
    ids=["all", "no permanent id", "exits only"],
)
def test_executions_without_our_reference_are_ours_by_their_ids(tmp_path, rest):
    """The spread is entered, held and closed as if every execution carried its reference."""
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1, broker_side_failsafe=False)
        stage.sim.control.script([fault("no_reference", lasts="always", **rest)])
        done = enter(stage)
        assert done["credit"]["net"] == stage.sql("SELECT entry_credit FROM trades")[0]["entry_credit"] != 0
        stage.at("15:46")
        assert stage.run("monitor").code == 0
        assert calls(stage) == {}


@pytest.mark.parametrize("verb", [("monitor",), ("close-all", "--yes")], ids=lambda words: words[0])
@pytest.mark.parametrize(("symbol", "what"), [("SPX", "1 long SPX call"), ("SPY", "10 short SPY calls")])
def test_a_liquidation_by_ib_is_named_and_the_rest_of_the_spread_is_closed_at_once(held, symbol, what, verb):
    """IB's executions: order id -1, client id 0, no reference, liquidation flag 1."""
    held.sim.control.script([fault("liquidation", symbol=symbol)])
    done = held.run(*verb)
    assert done.code == 6
    assert calls(held) == {}
    assert f"IB liquidated {what} of trade 1" in done["error"]


def test_a_sale_that_was_refused_and_is_held_all_the_same_keeps_its_hedge(tmp_path):
    """201 for the SPY sale, and the account is short ten calls: SPX stays, entries stop, a human hears."""
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1, broker_side_failsafe=False)
        stage.sim.control.script(
            [fault("rejected_but_held", when={"request": "place_order", "order_ref": "spxarb:*:SPY:e1"})]
        )
        done = stage.run("enter")
        assert (done.code, done["outcome"]) == (6, "aborted")
        assert calls(stage) == {"SPXW": 1, "SPY": -10}
        shut = stage.run("close-all", "--yes")
        assert (shut.code, shut["flat"], shut["asked_broker"]) == (6, False, True)


@pytest.mark.parametrize(
    ("busted", "left", "told"),
    [
        ("SPX", {"SPY": -10}, "is short 10 SPY calls without their hedge"),
        ("SPY", {"SPXW": 1}, "holds 1 long SPX call and nothing is short against it"),
    ],
)
def test_a_leg_whose_fill_was_busted_leaves_the_other_alone_and_a_human_hears_of_it(held, busted, left, told):
    """Nobody else traded and nothing is missing: the rest is closed at once, and it is exit 6 all the same."""
    held.sim.control.script([fault("bust", when={"message": "execution", "symbol": busted})])
    held.run("status")  # its question for executions sets the correction off
    assert calls(held) == left
    done = held.run("monitor")
    assert (done.code, calls(held)) == (6, {})
    assert told in done["error"]


def test_what_others_took_stays_a_matter_until_a_human_acknowledges_it(held):
    """Days may pass: it is in the ledger, and each command tells it again."""
    others(held, "foreign_fill", "spy", "BUY", 10)
    assert held.run("monitor").code == 6
    held.at("15:46")
    assert held.run("monitor").code == 6
    (matter,) = held.run("ack")["matters"]
    assert "thers closed 10 short SPY calls" in matter["text"]
    assert held.run("ack", str(matter["id"])).code == 0
    assert held.run("monitor").code == 0


@pytest.mark.parametrize("point", ["unanswered", "after"])
def test_an_entry_that_is_whole_by_the_second_connection_is_entered(tmp_path, point):
    """The socket dies right after the SPY order was taken, and it fills."""
    when = {"request": "place_order", "symbol": "SPY", "sec_type": "OPT", "nth": 2}
    with playing(tmp_path) as stage:
        stage.sim.control.script([fault("close", when=when, point=point)])
        done = stage.run("enter")
        assert (done.code, done["outcome"], calls(stage)) == (0, "entered", {"SPXW": 1, "SPY": -10}), done.err
        assert stage.run("monitor").code == 0


@pytest.mark.parametrize("verb", [("monitor",), ("close-all", "--yes")], ids=lambda words: words[0])
def test_of_a_leg_that_lost_a_part_without_a_word_the_rest_is_guarded_and_leaves_when_due(guarded, verb):
    """Three of ten SPY calls vanish, no execution tells why: the fail-safe is cut to seven, the exit buys seven."""
    others(guarded, "foreign_position", "spy", "BUY", 3)
    for clock in ("12:01", "12:04"):
        guarded.at(clock)
        assert guarded.run("monitor").code == 6
    orders = guarded.sim.control.book()["orders"]
    (resting,) = [row for row in orders if row["order_ref"] in live_orders(guarded)]
    assert (resting["side"], resting["quantity"], calls(guarded)) == ("BUY", 7, {"SPXW": 1, "SPY": -7})
    guarded.at("15:46")
    done = guarded.run(*verb)
    assert (done.code, calls(guarded), live_orders(guarded)) == (6, {}, []), done.err


@pytest.mark.parametrize("verb", [("monitor",), ("close-all", "--yes")], ids=lambda words: words[0])
@pytest.mark.parametrize("gone", [3, 10])
def test_an_active_fail_safe_is_ended_when_its_calls_vanish_and_the_next_job_buys_what_is_left(
    tmp_path, verb, gone
):
    """It may have filled unseen, or not: what the account still shows is short either way, and no more."""
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1)
        vanish = fault("foreign_position", when={"at": "15:50:40"}, side="BUY", quantity=gone, symbol="SPY")
        held_up = fault("hold_fills", when={"order_ref": "spxarb:*:SPY:f*"}, lasts="always")
        stage.sim.control.script([held_up, vanish])
        enter(stage)
        stage.at("15:51")
        assert stage.run(*verb).code == 6
        assert [ref for ref in live_orders(stage) if ref.endswith(":f1")] == []
        stage.at("15:52:30")
        done = stage.run(*verb)
        assert (done.code, calls(stage), live_orders(stage)) == (6, {}, []), done.err


def test_calls_that_the_account_holds_the_other_way_with_no_execution_need_a_human_in_every_verb(held):
    """Nothing of ours is left, and the account shows three long SPY calls that nobody traded."""
    assert held.run("close-all", "--yes").code == 0
    others(held, "foreign_position", "spy", "BUY", 3)
    for verb in (("monitor",), ("close-all", "--yes"), ("enter",), ("settle",), ("status",)):
        done = held.run(*verb)
        assert (done.code, "3 long SPY calls fewer than the account shows" in done.err) == (6, True), verb
    assert calls(held) == {"SPY": 3}


# --- a hole in the list of positions, and others' trades at bad moments ---------------------------------------


def hide(stage: Stage, *symbols: str) -> None:
    """The account does not show these calls, and no execution tells why: as a list with a hole in it."""
    stage.sim.control.script([fault("foreign_position", symbol=symbol, flat=True) for symbol in symbols])
    stage.sim.control.script()


def show(stage: Stage, *symbols: str) -> None:
    """It shows them again."""
    rows = {row["leg"]: row["con_id"] for row in stage.sql("SELECT leg, con_id FROM orders")}
    moves = {"SPX": ("BUY", 1), "SPY": ("SELL", 10)}
    stage.sim.control.script(
        [
            fault("foreign_position", side=moves[symbol][0], quantity=moves[symbol][1], con_id=rows[symbol])
            for symbol in symbols
        ]
    )
    stage.sim.control.script()


@pytest.fixture
def guarded(tmp_path) -> Iterator[Stage]:
    """One spread with its fail-safe, at noon."""
    with playing(tmp_path) as stage:
        settings(stage, max_spreads_per_day=1)
        enter(stage)
        stage.at("12:00")
        yield stage


@pytest.mark.parametrize("symbols", [("SPY",), ("SPY", "SPX")], ids="+".join)
def test_a_hole_in_the_list_of_positions_sells_no_hedge_and_ends_no_fail_safe(guarded, symbols):
    hide(guarded, *symbols)
    assert guarded.run("monitor").code == 6
    show(guarded, *symbols)
    assert calls(guarded) == {"SPXW": 1, "SPY": -10}
    assert any(ref.endswith(":f1") for ref in live_orders(guarded))
    assert guarded.run("monitor").code == 0


@pytest.mark.parametrize("symbols", [("SPY",), ("SPY", "SPX")], ids="+".join)
@pytest.mark.parametrize("verb", [("monitor",), ("close-all", "--yes")], ids=lambda words: words[0])
def test_an_exit_that_meets_a_hole_in_the_list_is_done_when_the_rows_are_back(guarded, verb, symbols):
    guarded.at("15:46")
    hide(guarded, *symbols)
    assert guarded.run(*verb).code == 6
    show(guarded, *symbols)
    assert calls(guarded) == {"SPXW": 1, "SPY": -10}
    guarded.at("15:46:20")
    guarded.run("monitor")
    assert calls(guarded) == {}


def test_what_two_jobs_miss_is_gone(held):
    """The second look, minutes later, misses the SPY calls too: SPX is sold, and nothing is bought."""
    hide(held, "SPY")
    assert held.run("monitor").code == 6
    assert calls(held) == {"SPXW": 1}
    held.at("12:05")
    assert held.run("monitor").code == 6
    assert calls(held) == {}


def owner_buys(stage: Stage, quantity: int = 10) -> dict:
    """The owner buys as many of the SPY calls as our order does, just as it comes."""
    contract = stage.sql("SELECT con_id FROM orders WHERE leg = 'SPY'")[0]["con_id"]
    when = {"request": "place_order", "order_ref": "spxarb:*:SPY:x1"}
    return fault("foreign_fill", when=when, side="BUY", quantity=quantity, con_id=contract)


@pytest.mark.parametrize("verb", [("monitor",), ("close-all", "--yes")], ids=lambda words: words[0])
def test_what_the_owner_buys_back_while_the_exit_works_is_not_bought_twice(held, verb):
    held.at("15:46")
    held.sim.control.script([fault("hold_fills", when={"symbol": "SPY"}, lasts="always"), owner_buys(held)])
    done = held.run(*verb)
    held.sim.control.script()
    assert (done.code, calls(held)) == (6, {}), done.err
    assert "thers closed 10 short SPY calls of trade 1" in done["error"]


def test_what_was_bought_twice_because_both_filled_at_once_is_told(held):
    held.at("15:46")
    held.sim.control.script([owner_buys(held)])
    done = held.run("monitor")
    assert (done.code, calls(held)) == (6, {"SPY": 10}), done.err
    assert held.run("monitor").code == 6


@pytest.mark.parametrize(("con", "side"), [("spx", "SELL"), ("spy", "BUY")])
@pytest.mark.parametrize("what", ["foreign_fill", "liquidation"])
def test_what_others_closed_before_the_close_is_not_settled_after_it(held, what, con, side):
    """No job runs between: at 15:55 they trade, and `settle` finds it in the list of executions."""
    held.at("15:55")
    quantity = 1 if con == "spx" else 10
    if what == "liquidation":
        symbol = con.upper()
        held.sim.control.script([fault("liquidation", symbol=symbol)])
    else:
        others(held, what, con, side, quantity)
    held.sim.control.advance(1)
    held.at("16:06")
    done = held.run("settle")
    assert done.code == 6, done.out
    settled = {row["leg"] for row in held.sql("SELECT leg FROM settlements")}
    assert con.upper() not in settled


def test_the_ledger_says_when_and_to_whom_a_matter_was_told(held):
    others(held, "foreign_fill", "spy", "BUY", 4)
    with listening_sink() as sink:
        assert held.run("monitor", env=sink.variables).code == 6
    (row,) = held.sql("SELECT alerted_at, alerted_to FROM matters WHERE key LIKE 'taken:%'")
    assert (bool(row["alerted_at"]), row["alerted_to"]) == (True, "json")


def test_a_buy_back_whose_execution_is_late_is_neither_repeated_nor_sold_again(held):
    """The position row comes first, its execution minutes later: two jobs see the calls gone, and nothing why."""
    held.at("15:46")
    held.sim.control.script([fault("position_first", when={"symbol": "SPY"}, seconds=120, lasts="always")])
    for _ in range(2):
        assert held.run("monitor").code == 6
        assert calls(held) == {"SPXW": 1}
    held.sim.control.advance(180)
    held.sim.control.script()
    held.run("monitor")
    assert calls(held) == {}
    book = held.sim.control.book()["orders"]
    assert sorted(row["side"] for row in book if ":SPY:" in row["order_ref"] and row["filled"]) == [
        "BUY",
        "SELL",
    ]


@pytest.mark.parametrize("verb", [("close-all", "--yes"), ("settle",)], ids=lambda words: words[0])
def test_a_bust_after_the_trade_was_closed_opens_it_again(held, verb):
    """The exchange takes back the sale of the SPY calls: those that were bought back are held."""
    held.at("15:46")
    assert held.run("monitor").code == 0
    held.sim.control.script([fault("bust", when={"message": "execution", "symbol": "SPY", "side": "SELL"})])
    held.run("status")
    held.sim.control.script()
    assert calls(held) == {"SPY": 10}
    if verb[0] == "settle":
        held.at("16:06")
    done = held.run(*verb)
    if verb[0] == "settle":
        assert done.code == 6
    else:
        assert (calls(held), done["flat"]) == ({}, True)


@pytest.mark.parametrize(
    "verb", [("monitor",), ("close-all", "--yes"), ("settle",)], ids=lambda words: words[0]
)
@pytest.mark.parametrize("quantity", [10, 3])
def test_calls_that_the_owner_and_the_fail_safe_both_bought_back_are_told_and_leave_no_result(
    guarded, verb, quantity
):
    """He buys at 15:49, the fail-safe at 15:50, for nothing ran in between: the account holds calls the other way."""
    guarded.at("15:49")
    others(guarded, "foreign_fill", "spy", "BUY", quantity)
    guarded.at("15:50:05")
    guarded.at("16:06" if verb == ("settle",) else "15:52")
    done = guarded.run(*verb)
    assert (done.code, calls(guarded)) == (6, {"SPY": quantity}), done.out
    words = f"thers closed {quantity} short SPY calls of trade 1 while its own orders did"
    assert words in done["error"]
    if verb[0] == "close-all":
        assert done["flat"] is False
    (row,) = guarded.sql("SELECT state, status, final_pnl FROM trades")
    assert (row["state"], row["status"], row["final_pnl"]) == ("unknown", "CLOSED", None)
    again = guarded.run("monitor")
    assert (again.code, guarded.sql("SELECT state FROM trades")[0]["state"]) == (6, "unknown")
    assert guarded.run("status").code == 6


@pytest.mark.parametrize("quantity", [10, 4])
def test_calls_that_the_owner_bought_back_after_they_were_settled_leave_no_result(held, quantity):
    """SPY calls trade until 16:15; `settle` at 16:05 took them for expired."""
    held.sim.control.script([fault("expired_gone")])
    held.at("15:59")
    contract = held.sql("SELECT con_id FROM orders WHERE leg = 'SPY'")[0]["con_id"]
    late = fault("late_executions", seconds=600)
    hand = fault("foreign_fill", side="BUY", quantity=quantity, con_id=contract)
    held.sim.control.script([fault("expired_gone"), late, hand])
    held.at("16:06")
    held.run("settle")
    held.at("16:12")
    done = held.run("settle")
    assert done.code == 6
    assert f"thers closed {quantity} short SPY calls of trade 1" in done["error"]
    assert held.sql("SELECT final_pnl FROM trades")[0]["final_pnl"] is None
