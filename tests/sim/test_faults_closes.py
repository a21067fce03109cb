"""Faults of closing prices, seen on the wire."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache

import pytest
from clients import SPX, Client, errors
from faulty import claims

from spxarb.sim.exchange.exchange import Exchange
from spxarb.sim.exchange.orders import Ticket
from spxarb.sim.faults.script import read_script
from spxarb.sim.gateway import Gateway
from spxarb.sim.market.instruments import SPX_ID, SPY_ID
from spxarb.sim.market.market import SyntheticDay
from spxarb.sim.market.trading_days import NEW_YORK

SPY = (str(SPY_ID), "", "", "", "", "", "", "", "", "", "", "")
CLOSE = datetime(2026, 2, 10, 16, tzinfo=NEW_YORK)
TOMORROW = CLOSE + timedelta(hours=18)


@cache
def day():
    return SyntheticDay(date(2026, 2, 10))


@pytest.fixture
def play():
    """A gateway at a moment of a synthetic day, with a script."""

    def start(moment, *entries):
        gateway = Gateway(day(), Exchange(day()), "SIM0000001", CLOSE.replace(hour=9, minute=40))
        gateway.faults.play(read_script(list(entries), 0))
        gateway.advance(moment)
        return gateway

    return start


def truth(con_id):
    return day().quote(con_id, CLOSE).last


def bars(gateway, contract=SPX):
    """Day and close of each daily bar; or the errors."""
    sent = Client(gateway, 10 + len(gateway.connections)).ask(
        20, 9, *contract, 0, "", "1 day", "3 D", 1, "TRADES", 1, 0, ""
    )
    found = [fields for fields in sent if fields[0] == "17"]
    if not found:
        return errors(sent)
    rows = found[0][5:]
    return [(rows[at], float(rows[at + 4])) for at in range(0, 8 * int(found[0][4]), 8)]


def price(gateway, tick, contract=SPX):
    """The price of a tick of a new line; None where it is not sent."""
    client_id = 10 + len(gateway.connections)
    sent = Client(gateway, client_id).ask(1, 11, 9, *contract, 0, "", 0, 0, "")
    found = [float(fields[4]) for fields in sent if fields[0] == "1" and fields[3] == str(tick)]
    return found[-1] if found else None


def test_a_daily_bar_ends_at_the_last_print_and_from_twenty_past_at_the_official_close(play):
    entry = {"what": {"official_close": {"by": 8.23}}, "for": "always"}
    assert bars(play(CLOSE, entry)) == [("20260210", truth(SPX_ID))]
    assert bars(play(CLOSE + timedelta(minutes=19), entry)) == [("20260210", truth(SPX_ID))]
    assert bars(play(CLOSE + timedelta(minutes=20), entry)) == [
        ("20260210", pytest.approx(truth(SPX_ID) + 8.23))
    ]
    assert bars(play(TOMORROW, entry), SPY) == [("20260210", truth(SPY_ID))]


@claims("official_close")
def test_options_settle_at_the_official_close_and_tick_9_shows_it_the_next_day(play):
    call = next(
        item
        for item in day().find("SPX", "OPT", date(2026, 2, 10), None, "C", "SPXW")
        if item.strike > truth(SPX_ID)
    )
    entry = {"what": {"official_close": {"by": 20}}, "for": "always"}
    gateway = play(CLOSE.replace(hour=10), entry)
    gateway.publish(gateway.exchange.submit(Ticket(1, 1, call, "BUY", 1, limit=Decimal(200))))
    before = gateway.exchange.account_values()["TotalCashValue"]
    gateway.advance(CLOSE + timedelta(minutes=5))
    brought = float(gateway.exchange.account_values()["TotalCashValue"]) - float(before)
    assert brought == pytest.approx(100 * (truth(SPX_ID) + 20 - call.strike), abs=0.01)
    assert price(gateway, 4) == truth(SPX_ID)
    gateway.advance(TOMORROW)
    assert price(gateway, 9) == pytest.approx(truth(SPX_ID) + 20)
    gateway.faults.play(read_script([], 0))
    assert price(gateway, 9) == truth(SPX_ID)


@claims("after_hours")
def test_spy_trades_on_after_the_close(play):
    entry = {"what": {"after_hours": {"by": -2.5}}, "for": "always"}
    assert price(play(CLOSE - timedelta(seconds=1), entry), 4, SPY) == pytest.approx(truth(SPY_ID), abs=0.1)
    evening = play(CLOSE + timedelta(hours=1), entry)
    assert price(evening, 4, SPY) == pytest.approx(truth(SPY_ID) - 2.5)
    assert price(evening, 4) == truth(SPX_ID)
    assert bars(evening, SPY) == [("20260210", truth(SPY_ID))], "bars are of regular hours"


@claims("old_close")
def test_tick_9_is_a_session_older_than_it_should_be(play):
    before = day().quote(SPX_ID, day().open).close
    assert price(play(TOMORROW, {"what": "old_close", "for": "always"}), 9) == before
    assert price(play(TOMORROW), 9) == truth(SPX_ID) != before


@claims("late_bars")
def test_daily_bars_do_not_have_the_day(play):
    evening = CLOSE + timedelta(hours=1)
    (found,) = bars(play(evening, {"what": "late_bars", "for": "always"}))
    assert found[0] == "20260209"
    none = {"what": {"late_bars": {"form": "none"}}, "for": "always"}
    assert bars(play(evening, none)) == [(9, 162)]


@claims("expired_gone")
def test_expired_options_vanish_from_the_positions_at_the_close(play):
    call = next(
        item for item in day().find("SPY", "OPT", date(2026, 2, 10), None, "C", "SPY") if item.strike == 660
    )
    gateway = play(CLOSE.replace(hour=10), {"what": "expired_gone", "for": "always"})
    gateway.publish(gateway.exchange.submit(Ticket(1, 1, call, "BUY", 1, limit=Decimal(200))))

    def listed():
        return [
            fields[3]
            for fields in Client(gateway, 10 + len(gateway.connections)).ask(61, 1)
            if fields[0] == "61"
        ]

    assert listed() == [str(call.con_id)]
    gateway.advance(CLOSE)
    assert listed() == []
    assert gateway.exchange.holding(call).quantity == 1, "it may become shares all the same"
