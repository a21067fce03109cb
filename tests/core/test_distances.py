"""How far an open spread is from its exits, and the least that it brings."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal

import pytest

from spxarb.core.contracts import Contract
from spxarb.core.distances import distances, worst_at_expiry
from spxarb.core.limits import Limits
from spxarb.core.model import NEW_YORK
from spxarb.core.records import Trade
from spxarb.core.sessions import session_times
from spxarb.core.trades import TradeState

DAY, HALF_DAY = date(2026, 2, 13), date(2026, 11, 27)
D = Decimal


def trade(**more: object) -> Trade:
    spx = Contract(1, "SPX", "OPT", trading_class="SPXW", expiry=DAY, strike=D(6800), right="C")
    spy = Contract(2, "SPY", "OPT", trading_class="SPY", expiry=DAY, strike=D(677), right="C")
    given = {"entry_credit": D("408.19"), "entry_filled": True, "ratio": D("10.03")}
    return Trade(1, DAY, TradeState.OPEN, "DU1", spx, spy, 1, 10, **given | more)


def found(*, day: date = DAY, exit_at: str = "15:45", now: str = "10:45", **more: object):
    early = {HALF_DAY}
    times = {"entry_time": time(9, 35), "entry_cutoff": time(10, 0)}
    timetable = session_times(day, early=early, exit_check_time=time.fromisoformat(exit_at), **times)
    moment = datetime.fromisoformat(f"{day}T{now}").replace(tzinfo=NEW_YORK)
    given = {"spy_price": D("680.25"), "pnl": D("-120.50")} | more
    return distances(trade(), Limits(), timetable, time.fromisoformat(exit_at), moment, **given)


def test_each_exit_has_its_limit_and_the_way_to_it():
    it = found()
    assert (it.assignment_at, it.to_assignment) == (D(687), D("6.75"))
    assert (it.loss_limit, it.to_loss_limit) == (D(500), D("379.50"))
    assert (f"{it.time_exit_at:%H:%M}", it.to_time_exit) == ("15:45", 5 * 3600)
    assert it.brought_forward is None


def test_what_is_beyond_its_limit_is_negative_and_a_time_that_is_over_is_no_time():
    it = found(spy_price=D(688), pnl=D(-600), now="15:50")
    assert (it.to_assignment, it.to_loss_limit, it.to_time_exit) == (D(-1), D(-100), 0)


def test_what_is_not_known_has_no_distance():
    it = found(spy_price=None, pnl=None)
    assert (it.to_assignment, it.to_loss_limit) == (None, None)
    assert it.assignment_at == D(687)


@pytest.mark.parametrize(
    ("day", "configured", "in_force", "why"),
    [
        (DAY, "15:30", "15:30", None),
        (DAY, "15:50", "15:45", "brought forward from 15:50: 15 minutes before the close at 16:00"),
        (HALF_DAY, "15:45", "12:45", "brought forward from 15:45: 15 minutes before the close at 13:00"),
        (HALF_DAY, "12:30", "12:30", None),
    ],
)
def test_a_time_exit_earlier_than_configured_says_why(day, configured, in_force, why):
    it = found(day=day, exit_at=configured)
    assert (f"{it.time_exit_at:%H:%M}", it.brought_forward) == (in_force, why)


def test_the_worst_case_is_that_of_the_strikes_and_the_fills():
    """K - r k = 6800 - 6790.31 = 9.69 points; 1000 / r of it are lost at S = K."""
    assert worst_at_expiry(trade()) == D("408.19") - (1000 / D("10.03") * D("9.69")).quantize(D("0.01"))


@pytest.mark.parametrize("unknown", [{"ratio": None}, {"entry_filled": False}, {"entry_credit": None}])
def test_without_a_whole_entry_or_its_ratio_no_worst_case_is_known(unknown):
    assert worst_at_expiry(trade(**unknown)) is None
