"""What one look at the prices is worth, and what two are."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.contracts import SPX_OPTION_TICKS, Contract, Quote
from spxarb.core.exits import (
    CHEAP_TICKS,
    SEEN_TWICE,
    ExitView,
    confirmed_signal,
    exit_reasons,
    exit_signal,
    needs_second_look,
    worthless,
)
from spxarb.core.limits import Limits
from spxarb.core.model import NEW_YORK, ExitReason
from spxarb.core.sessions import TradingDay

CALL = Contract(61, "SPX", "OPT", strike=Decimal(6000), right="C", ticks=SPX_OPTION_TICKS)
OUT, AT, IN = Decimal("5999.99"), Decimal(6000), Decimal(6054)
LIMITS = Limits()
NOON = datetime(2026, 11, 24, 12, tzinfo=NEW_YORK)


def day() -> TradingDay:
    clock = {"open": 9, "exit_at": 15, "close": 16}
    names = {name: NOON.replace(hour=hour) for name, hour in clock.items()}
    rest = {name: NOON for name in TradingDay.__dataclass_fields__ if name not in {*names, "day"}}
    return TradingDay(**{**rest, **names, "day": date(2026, 11, 24), "early": False})


NOTHING_DUE = ExitView(NOON, day(), Decimal(600), Decimal(600), Decimal(100), Decimal(100))


def no_bid(ask, form="zero"):
    """The forms of the wire: a bid of 0, a bid of -1, nothing yet."""
    told = {"zero": {"bid_told": True, "no_bid": True}, "none": {"bid_told": True}, "nothing yet": {}}
    return Quote(ask=None if ask is None else Decimal(ask), **told[form])


# --- worthless -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "ask", "price", "is_worthless"),
    [
        ("zero", "0.05", OUT, True),
        ("zero", "1.00", OUT, True),
        ("zero", "18.00", OUT, True),
        ("zero", "0.15", None, True),
        ("zero", "0.20", None, False),
        ("zero", "0.05", AT, False),
        ("zero", "0.05", IN, False),
        ("zero", "54.30", IN, False),
        ("zero", None, OUT, False),
        ("none", "0.15", OUT, True),
        ("none", "0.20", OUT, False),
        ("none", "0.05", None, False),
        ("none", "0.05", IN, False),
        ("nothing yet", "0.05", OUT, False),
        ("nothing yet", "0.05", None, False),
    ],
)
def test_a_call_is_worthless_only_by_its_bid_its_ask_and_the_price_of_spx_together(
    form, ask, price, is_worthless
):
    assert worthless(no_bid(ask, form), CALL, price) is is_worthless


prices = st.none() | st.decimals(1, 9000, places=2)
quotes = st.builds(
    Quote,
    bid=st.none() | st.decimals("0.05", 100, places=2),
    ask=st.none() | st.decimals(0, 100, places=2),
    bid_told=st.booleans(),
    no_bid=st.booleans(),
    halted=st.booleans(),
    data_type=st.sampled_from([None, 1, 2, 3, 4]),
)


@given(quotes, prices)
def test_a_call_that_somebody_bids_for_that_nobody_offers_or_that_is_in_the_money_is_not_worthless(
    quote, price
):
    if not worthless(quote, CALL, price):
        return
    assert quote.bid is None
    assert quote.ask > 0
    assert price is None or price < CALL.strike
    assert quote.no_bid or quote.ask <= CHEAP_TICKS * CALL.ticks.lowest


@given(quotes)
def test_forgetting_the_price_of_spx_makes_no_call_worthless(quote):
    """That is not so out of the money, where it makes fewer so."""
    assert not worthless(quote, CALL, None) or worthless(quote, CALL, OUT)


# --- two looks -----------------------------------------------------------------------------------

money = st.none() | st.sampled_from([Decimal(-5000), Decimal(-600), Decimal(-500), Decimal(10)])
views = st.builds(
    lambda hour, spy, pnl, daily: replace(
        NOTHING_DUE, now=NOON.replace(hour=hour), spy_price=spy, pnl=pnl, daily_pnl=daily
    ),
    st.sampled_from([12, 15, 16]),
    st.none() | st.sampled_from([Decimal(600), Decimal(611)]),
    money,
    money,
)


@given(views, views)
def test_what_only_prices_ask_for_takes_two_looks_and_the_clock_takes_one(first, second):
    due = confirmed_signal(first, second, LIMITS)
    if due in SEEN_TWICE:
        assert due in exit_reasons(first, LIMITS)
    clock = [reason for reason in exit_reasons(second, LIMITS) if reason not in SEEN_TWICE]
    assert due is not None or not clock


@given(views)
def test_two_looks_alike_say_what_one_says(view):
    assert confirmed_signal(view, view, LIMITS) is exit_signal(view, LIMITS)


@given(views)
def test_a_second_look_that_shows_nothing_leaves_the_first_as_it_is(view):
    blind = replace(view, spy_price=None, pnl=None, daily_pnl=None)
    assert confirmed_signal(view, blind, LIMITS) is exit_signal(view, LIMITS)


@pytest.mark.parametrize(
    ("spike", "reason"),
    [
        ({"pnl": Decimal(-600)}, ExitReason.LOSS_LIMIT),
        ({"daily_pnl": Decimal(-5000)}, ExitReason.DAILY_LOSS),
        ({"spy_price": Decimal(611)}, ExitReason.ASSIGNMENT_RISK),
    ],
)
def test_a_spike_in_either_look_alone_is_no_reason(spike, reason):
    seen = replace(NOTHING_DUE, **spike)
    assert exit_signal(seen, LIMITS) is reason
    assert confirmed_signal(seen, NOTHING_DUE, LIMITS) is None
    assert confirmed_signal(NOTHING_DUE, seen, LIMITS) is None
    assert confirmed_signal(seen, seen, LIMITS) is reason


def test_two_spikes_of_different_kinds_are_no_reason():
    loss = replace(NOTHING_DUE, pnl=Decimal(-600))
    risk = replace(NOTHING_DUE, spy_price=Decimal(611))
    assert confirmed_signal(loss, risk, LIMITS) is None


@given(views)
def test_nothing_is_looked_at_again_that_the_clock_has_decided(view):
    reasons = exit_reasons(view, LIMITS)
    assert needs_second_look(reasons) is (bool(reasons) and view.now.hour == 12)
