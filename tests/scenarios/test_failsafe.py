"""If the machine dies with short calls: a sleeping buy-back rests at the broker, and never trades twice."""

from __future__ import annotations

import asyncio
import signal
import socket
import sqlite3
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from actions import enter, wait_until
from crash import broken_laws
from harness import Stage, fault, withheld

from spxarb.broker.broker import Endpoint, connect
from spxarb.core.broker_books import OrderTicket
from spxarb.core.model import Side
from spxarb.sim.api.wire import Say, frame, prefixed
from spxarb.sim.control import RunningSim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Done

ALIVE = {"Submitted", "PreSubmitted", "PendingSubmit"}


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with RunningSim(date="2026-02-10", regime="rich-spy", at="09:35", speed=0) as sim:
        made = Stage(tmp_path, sim)
        made.settings["trading"] = {"mode": "sim", "max_spreads_per_day": 1}
        made.write_config()
        yield made


def orders(stage: Stage, purpose: str) -> list[dict]:
    """Ours of a purpose: e entry, x exit, f fail-safe."""
    return [o for o in stage.sim.control.book()["orders"] if f":SPY:{purpose}" in o["order_ref"]]


def bought_back(stage: Stage) -> float:
    fills = stage.sim.control.book()["fills"]
    return sum(f["shares"] for f in fills if f["symbol"] == "SPY" and f["side"] == "BOT")


def test_an_entry_leaves_a_buy_back_of_all_its_short_calls_asleep_at_the_broker(stage):
    assert stage.run("enter")["outcome"] == "entered"
    (order,) = orders(stage, "f")
    assert (order["side"], order["quantity"], order["order_type"], order["status"]) == (
        "BUY",
        10,
        "MKT",
        "PreSubmitted",
    )
    (row,) = stage.sql("SELECT good_after, final FROM orders WHERE purpose = 'f'")
    assert (row["good_after"], row["final"]) == ("2026-02-10T15:50:00-05:00", 0)
    stage.at("15:44")
    assert orders(stage, "f")[0]["status"] == "PreSubmitted"


def test_with_the_machine_dead_the_short_calls_are_gone_before_the_close_and_the_next_monitor_knows(stage):
    cash = stage.cash()
    enter(stage)
    stage.at("15:55")  # nothing of ours has run since
    held = stage.positions()
    assert not [quantity for quantity in held.values() if quantity < 0]
    done = stage.run("monitor")
    (position,) = done["positions"]
    assert (done.code, position["exit_reason"], position["status"]) == (0, "TIME", "CLOSED"), done.err
    assert any(":SPY:f1" in told for told in done["reconciliation"])
    assert (stage.positions(), bought_back(stage)) == ({}, 10)
    assert broken_laws(stage, cash) == []


def test_an_exit_in_time_ends_the_sleeping_order_before_it_buys(stage):
    cash = stage.cash()
    enter(stage)
    stage.at("15:45")
    assert stage.run("monitor").code == 0
    assert {o["status"] for o in orders(stage, "f")} == {"Cancelled"}
    steps = stage.sql("SELECT order_ref, step FROM order_steps ORDER BY id")
    names = [
        (row["order_ref"].rpartition(":")[2], row["step"]) for row in steps if ":SPY:" in row["order_ref"]
    ]
    assert names.index(("f1", "cancel")) < names.index(("f1", "final")) < names.index(("x1", "intent"))
    stage.at("15:55")
    assert (bought_back(stage), stage.positions()) == (10, {})
    assert broken_laws(stage, cash) == []


def test_close_all_leaves_no_sleeping_order_behind(stage):
    enter(stage)
    assert stage.run("close-all", "--yes")["flat"] is True
    assert not [o for o in stage.sim.control.book()["orders"] if o["status"] in ALIVE]
    stage.at("15:55")
    assert bought_back(stage) == 10


def test_it_can_be_switched_off(stage):
    stage.settings["execution"] = {"broker_side_failsafe": False}
    stage.write_config()
    assert stage.run("enter")["outcome"] == "entered"
    assert orders(stage, "f") == []


def test_no_buy_back_is_left_for_an_entry_that_was_undone(stage):
    stage.sim.control.script([withheld(3, 5, 11, 59)])
    stage.run("enter")
    stage.sim.control.script()
    stage.sim.control.advance(2)
    stage.run("monitor")
    stage.run("close-all", "--yes")
    assert stage.positions() == {}
    assert not [o for o in stage.sim.control.book()["orders"] if o["status"] in ALIVE]


ROWS = [3, 5, 11, 59]
"""What tells of orders and fills; withheld, the lists of orders and executions come empty, but come."""
UNSEEN = ["order_status", "open_order", "execution", "commission", "completed_order"]


def test_a_sleeping_order_that_empty_lists_do_not_show_is_not_taken_for_over(stage):
    """Else the exit buys the calls back, and it buys them once more at 15:50."""
    cash = stage.cash()
    enter(stage)
    stage.at("15:45")
    stage.sim.control.script([withheld(*ROWS)])
    done = stage.run("monitor", timeout=120)
    assert (done.code, done["positions"][0]["action"], orders(stage, "x")) == (6, "failed", [])
    assert ":SPY:f1 ended is not known" in done.err
    stage.sim.control.script()
    done = stage.run("monitor")
    assert (done.code, done["positions"][0]["action"]) == (0, "closed"), done.err
    stage.at("15:55")
    assert (stage.positions(), bought_back(stage)) == ({}, 10)
    assert broken_laws(stage, cash) == []


def test_an_entry_that_filled_unseen_is_not_taken_for_nothing_and_is_undone_when_it_shows(stage):
    """Only the account's position tells of it, for the rows of every list are lost."""
    cash = stage.cash()
    stage.settings["execution"] = {"order_timeout_seconds": 1, "max_retry_attempts": 0}
    stage.write_config()
    silence = {
        "what": {"withhold": {"messages": UNSEEN}},
        "when": {"request": "place_order", "nth": 2},
        "for": 600,
    }
    stage.sim.control.script([silence])  # the first order was a question for the margin
    done = stage.run("enter", timeout=120)
    assert (done.code, list(stage.positions().values())) == (6, [1]), done.err
    stage.sim.control.script()
    done = stage.run("monitor")
    assert (done.code, stage.positions()) == (0, {}), done.err
    assert broken_laws(stage, cash) == []


@pytest.mark.parametrize("status", ["ACTIVE", "CLOSED"])
def test_an_order_that_lives_after_it_was_taken_for_over_is_followed_again(stage, status):
    """It is open at the broker, whatever proved its end: its trade is open again, and is left."""
    cash = stage.cash()
    enter(stage)
    with closing(sqlite3.connect(stage.database)) as ledger, ledger:
        ledger.execute("UPDATE orders SET final = 1, filled = 0, status = 'absent' WHERE purpose = 'f'")
        state = "open" if status == "ACTIVE" else "closed"
        ledger.execute("UPDATE trades SET status = ?, state = ?", [status, state])
    done = stage.run("monitor")
    told = [line for line in done["reconciliation"] if "is open again" in line]
    closed = status == "CLOSED"  # a human hears of an exit that was believed to be complete
    assert (done.code, bool(told)) == (6 if closed else 0, closed), done.err
    assert stage.sql("SELECT final FROM orders WHERE purpose = 'f'") == [{"final": 0}]
    assert stage.sql("SELECT status FROM trades") == [{"status": "ACTIVE"}]
    stage.at("15:45")
    assert stage.run("monitor").code == 0
    stage.at("15:55")
    assert (stage.positions(), bought_back(stage)) == ({}, 10)
    assert broken_laws(stage, cash) == []


# --- always one, for exactly what is short ------------------------------------------------------------------


def resting(stage: Stage) -> list[tuple[str, int]]:
    """The fail-safes alive at the broker: trade and number, contracts still to buy."""
    alive = [o for o in orders(stage, "f") if o["status"] in ALIVE]
    return [(":".join(o["order_ref"].split(":")[2::2]), o["quantity"] - o["filled"]) for o in alive]


def cancelled_by_others(stage: Stage) -> None:
    """The owner cancels everything in TWS."""
    with socket.create_connection(("127.0.0.1", stage.sim.port)) as other:
        other.sendall(b"API\0" + prefixed(b"v157..176"))
        other.recv(1 << 16)
        other.sendall(frame(71, 2, 77, "") + frame(58, 1))
        wait_until(lambda: not resting(stage))


def changed_by_others(stage: Stage, quantity: int) -> None:
    """The owner changes how many the resting order buys."""
    (row,) = stage.sql("SELECT * FROM orders WHERE purpose = 'f'")

    async def change() -> None:
        async with connect(Endpoint("127.0.0.1", stage.sim.port, row["client_id"], None, "sim")) as broker:
            contract, moment = await broker.contract(row["con_id"]), datetime.fromisoformat(row["good_after"])
            ticket = OrderTicket(row["order_ref"], contract, Side.BUY, quantity, None, good_after=moment)
            broker.place(ticket, row["order_id"])
            await broker.snapshot()

    asyncio.run(change())


def others_trade(stage: Stage, side: str, quantity: int) -> None:
    contract = stage.sql("SELECT con_id FROM orders WHERE leg = 'SPY'")[0]["con_id"]
    stage.sim.control.script([fault("foreign_fill", side=side, quantity=quantity, con_id=contract)])


def at_noon(stage: Stage) -> None:
    enter(stage)
    stage.at("12:00")


def the_machine_dies(stage: Stage) -> None:
    """Nothing of ours runs any more, and the gateway is well again, until just before the close."""
    stage.sim.control.script()
    stage.at("15:59:30")


def short(stage: Stage) -> dict[tuple[str, float | None], float]:
    return {name: quantity for name, quantity in stage.positions().items() if quantity < 0}


def test_a_fail_safe_that_others_cancelled_is_placed_again_by_the_next_monitor(stage):
    at_noon(stage)
    cancelled_by_others(stage)
    for look in (("monitor", "--dry-run"), ("status",)):
        assert "does not rest at the broker" in " ".join(stage.run(*look)["notes"])
        assert resting(stage) == []
    done = stage.run("monitor")
    assert (done.code, resting(stage)) == (0, [("1:f2", 10)]), done.err
    assert "active from 15:50 on; the one before did not rest" in " ".join(done["notes"])
    assert stage.run("monitor")["notes"] == []
    the_machine_dies(stage)
    assert (short(stage), bought_back(stage)) == ({}, 10)


def test_enter_too_places_a_missing_fail_safe_again(stage):
    enter(stage)
    cancelled_by_others(stage)
    assert (stage.run("enter").code, resting(stage)) == (0, [("1:f2", 10)])


@pytest.mark.parametrize("quantity", [4, 14], ids=["less", "more"])
def test_a_fail_safe_for_another_quantity_is_replaced_by_one_for_what_is_short(stage, quantity):
    at_noon(stage)
    changed_by_others(stage, quantity)
    assert resting(stage) == [("1:f1", quantity)]
    done = stage.run("monitor")
    assert (done.code, resting(stage)) == (0, [("1:f2", 10)]), done.err
    the_machine_dies(stage)
    assert (short(stage), bought_back(stage)) == ({}, 10)


def test_what_others_bought_back_is_not_bought_by_the_fail_safe_too(stage):
    at_noon(stage)
    others_trade(stage, "BUY", 4)
    assert (stage.run("monitor").code, resting(stage)) == (6, [("1:f2", 6)])
    the_machine_dies(stage)
    assert [quantity for (name, _), quantity in stage.positions().items() if name == "SPY"] == []


def test_a_fail_safe_is_ended_when_others_bought_everything_back(stage):
    at_noon(stage)
    others_trade(stage, "BUY", 10)
    assert (stage.run("monitor").code, resting(stage), stage.positions()) == (6, [], {})


def test_a_dry_run_leaves_a_fail_safe_for_too_many_as_it_is(stage):
    at_noon(stage)
    changed_by_others(stage, 14)
    assert "rests for 14" in " ".join(stage.run("monitor", "--dry-run")["notes"])
    assert resting(stage) == [("1:f1", 14)]


# --- it cannot be placed ------------------------------------------------------------------------------------

FIRST = {"request": "place_order", "order_ref": "spxarb:*:SPY:f1"}


def test_a_fail_safe_that_is_refused_is_a_matter_for_a_human_until_one_rests(stage):
    stage.sim.control.script([fault("refuse_order", when=FIRST, code=201, text="no such thing")])
    done = stage.run("enter")
    assert (done.code, done["outcome"], resting(stage)) == (6, "entered", [])
    assert "trade 1 has no buy-back resting at the broker for exactly its 10 short SPY calls" in done.err
    assert "no such thing" in done.err
    look = stage.run("status")
    assert (look.code, [matter["trade_id"] for matter in look["matters"]]) == (6, [1])
    done = stage.run("monitor")
    assert (done.code, resting(stage)) == (0, [("1:f2", 10)]), done.err
    assert stage.run("ack")["matters"] == []


def test_an_acknowledged_lack_of_a_fail_safe_is_tried_again_and_told_no_more(stage):
    any_one = {"request": "place_order", "order_ref": "spxarb:*:SPY:f*"}
    stage.sim.control.script([{**fault("refuse_order", when=any_one, code=201), "times": "always"}])
    assert stage.run("enter").code == 6
    assert stage.run("monitor").code == 6
    (matter,) = stage.run("ack")["matters"]
    stage.run("ack", str(matter["id"]))
    done = stage.run("monitor")
    assert (done.code, resting(stage), len(orders(stage, "f"))) == (0, [], 0), done.err
    stage.sim.control.script()
    stage.run("monitor")
    assert [number for number, _ in resting(stage)] == ["1:f4"]


def test_calls_that_were_sold_unseen_have_their_fail_safe_and_none_are_sold_for_what_it_bought(stage):
    """201 for the sale, and the account is short ten calls: no execution ever tells of it."""
    sale = {"request": "place_order", "order_ref": "spxarb:*:SPY:e1"}
    stage.sim.control.script([fault("rejected_but_held", when=sale)])
    assert stage.run("enter", timeout=200).code == 6
    assert (sum(short(stage).values()), [quantity for _, quantity in resting(stage)]) == (-10, [10])
    stage.sim.control.script()
    stage.at("15:52")
    assert (short(stage), bought_back(stage)) == ({}, 10)
    assert stage.run("monitor", timeout=200).code == 6
    stage.at("15:59:30")
    assert (short(stage), bought_back(stage)) == ({}, 10)


@pytest.mark.parametrize("what", ["ignore", "unanswered"])
def test_a_fail_safe_that_nobody_answers_is_told_and_never_doubled(stage, what):
    stage.sim.control.script([fault(what, when=FIRST)])
    done = stage.run("enter")
    assert (done.code, done["outcome"]) == (0, "entered"), done.err
    assert "has not answered" in " ".join(done["notes"])
    arrived = what == "unanswered"
    assert resting(stage) == ([("1:f1", 10)] if arrived else [])
    later = stage.run("monitor")
    assert later.code == (0 if arrived else 6), later.err
    assert resting(stage) == [("1:f1" if arrived else "1:f2", 10)]
    assert stage.run("monitor").code == 0
    the_machine_dies(stage)
    assert (short(stage), bought_back(stage)) == ({}, 10)


# --- an exit fails, and the machine dies --------------------------------------------------------------------

EXIT_OF_SPY = {"request": "place_order", "order_ref": "spxarb:*:SPY:x*"}
TROUBLES = {
    "refused": [{**fault("refuse_order", when=EXIT_OF_SPY, code=201), "times": "always"}],
    "not filled": [fault("hold_fills", lasts="always")],
    "no quotes": [fault("no_quotes", when={"symbol": "SPY"}, lasts="always")],
    "lists that do not show": [withheld(*ROWS)],
    "lists that stop coming": [
        {
            "when": {"request": "cancel_order"},
            "what": {"withhold": {"messages": [*ROWS, Say.OPEN_ORDERS_END]}},
            "for": "always",
        }
    ],
    "lost on the way": [{**fault("ignore", when=EXIT_OF_SPY), "times": "always"}],
}
VERBS = {"monitor": ("monitor",), "close-all": ("close-all", "--yes")}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_after_an_exit_that_failed_a_fail_safe_rests_and_buys_the_calls_back(stage, trouble, verb):
    hurry = {"quote_timeout_seconds": 1, "question_timeout_seconds": 1}
    stage.settings["execution"] = {**hurry, "market_exit": trouble != "no quotes"}
    stage.write_config()
    enter(stage)
    stage.at("15:46")
    stage.sim.control.script(TROUBLES[trouble])
    done = stage.run(*VERBS[verb], timeout=200)
    # Without the lists `close-all` cannot even say at its end what the account holds.
    mute = (trouble, verb) == ("lists that stop coming", "close-all")
    actions = [position["action"] for position in done["positions"]]
    assert (done.code, actions) == (6, [] if mute else ["failed"]), done.err
    silent = trouble == "lists that do not show"
    told = (
        "was sent, and the broker has not answered" if silent else "rests at the broker, active from 15:52 on"
    )
    assert mute or told in done.err
    the_machine_dies(stage)
    assert short(stage) == {}


def test_a_fail_safe_after_a_failed_exit_gives_way_to_the_next_exit(stage):
    cash = stage.cash()
    enter(stage)
    stage.at("15:46")
    stage.sim.control.script(TROUBLES["refused"])
    assert stage.run("monitor", timeout=200).code == 6
    assert [number for number, _ in resting(stage)] == ["1:f2"]
    assert (
        stage.sql("SELECT good_after FROM orders ORDER BY rowid DESC LIMIT 1")[0]["good_after"][11:16]
        == "15:52"
    )
    stage.sim.control.script()
    stage.at("15:50")
    done = stage.run("monitor")
    assert (done.code, done["positions"][0]["action"], resting(stage)) == (0, "closed", []), done.err
    stage.at("15:59")
    assert (stage.positions(), bought_back(stage)) == ({}, 10)
    assert broken_laws(stage, cash) == []


def test_an_exit_that_is_interrupted_leaves_a_fail_safe(stage):
    """Ctrl-C while the exit works its order: the resting one was cancelled for it."""
    enter(stage)
    stage.at("15:46")
    stage.sim.control.script(TROUBLES["not filled"])
    process = stage.start("monitor")
    wait_until(lambda: bool(orders(stage, "x")))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert [number for number, _ in resting(stage)] == ["1:f2"]
    the_machine_dies(stage)
    assert short(stage) == {}


# --- two spreads --------------------------------------------------------------------------------------------


@pytest.fixture
def two(stage) -> Stage:
    """Two spreads at the same strikes."""
    stage.settings["trading"] = {"mode": "sim", "max_spreads_per_day": 2}
    stage.write_config()
    enter(stage)
    stage.at("09:36")
    enter(stage)
    assert resting(stage) == [("1:f1", 10), ("2:f1", 10)]
    return stage


@pytest.mark.parametrize("verb", VERBS)
def test_an_exit_that_fails_stops_no_other_and_leaves_no_spread_without_its_fail_safe(two, verb):
    two.at("15:46")
    first = {"request": "place_order", "order_ref": "spxarb:*:1:SPY:x*"}
    two.sim.control.script([{**fault("refuse_order", when=first, code=201), "times": "always"}])
    done = two.run(*VERBS[verb], timeout=200)
    assert [position["action"] for position in done["positions"]] == ["failed", "closed"], done.err
    assert (done.code, resting(two), sum(short(two).values())) == (6, [("1:f2", 10)], -10)
    the_machine_dies(two)
    assert short(two) == {}


@pytest.mark.parametrize("verb", VERBS)
def test_an_exit_that_breaks_off_in_the_middle_stops_no_other(two, verb):
    """The ledger refuses the order of the first trade, once its fail-safe is cancelled."""
    with closing(sqlite3.connect(two.database)) as ledger, ledger:
        ledger.execute(
            "CREATE TRIGGER full BEFORE INSERT ON orders WHEN NEW.trade_id = 1 AND NEW.purpose = 'x' "
            "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    two.at("15:46")
    done = two.run(*VERBS[verb], timeout=200)
    assert [position["action"] for position in done["positions"]] == ["failed", "closed"], done.err
    assert (done.code, resting(two), sum(short(two).values())) == (6, [("1:f2", 10)], -10)
    assert "The exit of trade 1 failed" in done.err
    the_machine_dies(two)
    assert short(two) == {}


# --- no orders on both sides of a call ----------------------------------------------------------------------


def second_enter(stage: Stage, *script: dict) -> Done:
    stage.settings["trading"] = {"mode": "sim", "max_spreads_per_day": 2}
    stage.write_config()
    enter(stage)
    stage.at("09:36")
    stage.sim.control.script(script)
    return stage.run("enter")


def test_where_a_resting_buy_back_forbids_a_sale_the_second_spread_is_refused_before_anything_is_bought(
    stage,
):
    done = second_enter(stage, fault("both_sides", rule="all", lasts="always"))
    assert (done.code, done["outcome"], done["would"]) == (0, "skipped", "enter")
    margin = done["checks"][-1]
    assert (margin["name"], margin["ok"]) == ("margin", False)
    assert "Cannot have open orders on both sides of the same US Option contract" in margin["message"]
    assert ":1:SPY:f1 rests on the other side of the same call" in margin["message"]
    assert (len(stage.sim.control.book()["fills"]), resting(stage)) == (2, [("1:f1", 10)])


def test_where_only_working_orders_count_the_second_spread_opens(stage):
    done = second_enter(stage, fault("both_sides", rule="active", lasts="always"))
    assert (done.code, done["outcome"], resting(stage)) == (0, "entered", [("1:f1", 10), ("2:f1", 10)])


def test_a_second_sale_that_only_the_broker_refuses_has_its_hedge_sold_again(stage):
    """The what-if had passed; the first spread keeps its fail-safe."""
    sale = {"request": "place_order", "order_ref": "spxarb:*:2:SPX:e1"}
    done = second_enter(stage, fault("both_sides", when=sale, rule="all", lasts="always"))
    assert (done.code, done["outcome"], resting(stage)) == (0, "aborted", [("1:f1", 10)]), done.err
    assert sorted(stage.positions().values()) == [-10, 1]
    assert "both sides of the same US Option contract" in " ".join(done["notes"])


@pytest.mark.parametrize("verb", VERBS)
def test_the_rule_stands_in_no_exits_way(stage, verb):
    enter(stage)
    stage.sim.control.script([fault("both_sides", rule="all", lasts="always")])
    stage.at("15:46")
    assert (stage.run(*VERBS[verb]).code, stage.positions(), resting(stage)) == (0, {}, [])


# --- a fill that is heard after the settlement -----------------------------------------------------------------


@pytest.mark.parametrize("settled_before", [False, True], ids=["waited for", "settled by a human's word"])
def test_a_fill_that_is_heard_after_the_close_is_why_and_when_the_trade_was_left(stage, settled_before):
    """At 15:50 it bought all ten back; who looks before 16:10 hears nothing of it."""
    before = stage.cash()
    enter(stage)
    stage.at("15:48")
    unheard = [fault(what, seconds=1200, lasts="always") for what in ("late_executions", "late_completed")]
    stage.sim.control.script(unheard)
    stage.at("16:06")
    assert stage.run("settle").code == 6
    if settled_before:
        (order,) = stage.sql("SELECT id FROM matters WHERE key LIKE 'order:%'")
        assert stage.run("ack", str(order["id"])).code == 0
        stage.run("settle")
        (row,) = stage.sql("SELECT state, exit_reason FROM trades")
        assert (row["state"], row["exit_reason"]) == ("provisional", "EXPIRATION")
    stage.at("16:12")
    done = stage.run("settle")
    assert done.code == 0, done.err
    (row,) = stage.sql("SELECT * FROM trades")
    assert (row["state"], row["exit_reason"]) == ("provisional", "TIME")
    assert (row["exit_time"], row["spy_exit_price"]) == ("2026-02-10T15:50:00-05:00", 2.51)
    assert row["note"] in {None, ""}
    assert row["final_pnl"] == pytest.approx(stage.cash() - before)
    assert {leg["leg"] for leg in stage.sql("SELECT leg FROM settlements")} == {"SPX"}
