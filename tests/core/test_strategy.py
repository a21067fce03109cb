"""What may be entered, at which prices, and what must be exited."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.config.schema import PricesSettings, RiskManagementSettings, TradingSettings
from spxarb.core.checks import ENTRY_CHECKS
from spxarb.core.contracts import PENNY, SPX_OPTION_TICKS, Contract, Quote, TickRule
from spxarb.core.entry_check import Check
from spxarb.core.entry_view import NO_QUOTE, EntryMarket, EntryView, Evidence
from spxarb.core.exits import ExitView, closing_cost, current_pnl, exit_signal, settlement_cash
from spxarb.core.fees import FeeSchedule
from spxarb.core.limits import Limits, PriceLimits
from spxarb.core.margin import margin_not_asked
from spxarb.core.model import NEW_YORK, ExitReason, LegName, dec
from spxarb.core.parity import ParityPrice
from spxarb.core.sentences import sentence
from spxarb.core.sessions import trading_day
from spxarb.core.strategy import (
    Risk,
    allowed,
    entry_checks,
    nearest_strike,
    risk_of,
    spread_credit,
    spx_price_cap,
    spy_price_floor,
    structure_of,
    underlying_price,
)

FEES = FeeSchedule()
LIMITS = Limits()
TODAY = date(2026, 11, 24)
HALF_DAY = date(2026, 11, 27)


def timetable(day=TODAY):
    found = trading_day(
        day,
        closed=(),
        early=(HALF_DAY,),
        entry_time=time(9, 35),
        entry_cutoff=time(10, 0),
        exit_check_time=time(15, 45),
    )
    assert found is not None
    return found


def at(clock, day=TODAY):
    return datetime.combine(day, time.fromisoformat(clock), NEW_YORK)


def quote(bid, ask, **more):
    sides = {"bid": None if bid is None else dec(bid), "ask": None if ask is None else dec(ask)}
    return Quote(**{"data_type": 1, "received": 99.5, "priced": 99.5, **sides, **more})


def call(symbol, strike, con_id=1):
    return Contract(con_id, symbol, "OPT", expiry=TODAY, strike=dec(strike), right="C", multiplier=100)


# At 09:36: SPX 6800.34, SPY 677.99 / 678.01, so r = 10.03; SPXW 6800 call at 18.00, SPY 678 call at 2.30.
MARKET = EntryMarket(
    spx_price=dec("6800.34"),
    spy_price=dec(678),
    spx_call=call("SPX", 6800),
    spy_call=call("SPY", 678, 2),
    spx_quote=quote("17.80", "18.00"),
    spy_quote=quote("2.30", "2.32"),
    spx_index_quote=Quote(last=dec("6800.34"), data_type=1, received=99.5, priced=99.5),
    spy_stock_quote=quote("677.99", "678.01"),
    spx_equivalent_mid=dec("22.40"),
    equivalent_uncertainty=dec("0.10"),
    evidence=Evidence(
        parity=ParityPrice(dec("6800.34"), dec("0.20"), (dec(6795), dec(6800), dec(6805))),
        looked_at=100.0,
        first_spx=dec("6800.20"),
        first_spy=dec(678),
        latest_ratio=dec("10.031"),
        recent_ratio=dec("10.029"),
    ),
)
GOOD = EntryView(
    now=at("09:36:00"),
    day=timetable(),
    trading_enabled=True,
    trading_reason="",
    trades_today=0,
    unfinished="",
    daily_pnl=dec(0),
    market=MARKET,
)
# 10 x 230 - 1800 = 500, less 11.80.

NAMES = list(ENTRY_CHECKS)


def check(name, view=GOOD, limits=LIMITS) -> Check:
    return {check.name: check for check in entry_checks(view, limits, FEES)}[name]


def but(view=GOOD, **changes):
    """The view with something changed in it or in its market."""
    of_market = {name: changes.pop(name) for name in [*changes] if name in EntryMarket.__dataclass_fields__}
    return replace(view, market=replace(view.market, **of_market), **changes)


def changed(name, **changes) -> Check:
    """One check of the good view with something changed in it."""
    return check(name, but(**changes))


# --- settings -----------------------------------------------------------------------------------


def test_the_limits_are_named_as_in_the_configuration_and_have_its_defaults():
    configured = TradingSettings().model_dump() | RiskManagementSettings().model_dump()
    for field in fields(Limits):
        assert getattr(LIMITS, field.name) == configured[field.name], field.name
    assert PriceLimits(**PricesSettings().model_dump()) == PriceLimits()


# --- what to trade ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "strike"), [("6797.49", 6795), ("6797.51", 6800), ("9999", 6800), ("1", 6790)]
)
def test_the_nearest_listed_strike_is_taken(price, strike):
    listed = [call("SPX", strike, strike) for strike in (6800, 6790, 6795)]
    assert nearest_strike(listed, dec(price)).strike == strike


def test_of_two_equally_near_strikes_the_lower_one_is_taken():
    listed = [call("SPX", strike, strike) for strike in (6800, 6795)]
    assert nearest_strike(listed, dec("6797.5")).strike == 6795
    assert nearest_strike(listed[::-1], dec("6797.5")).strike == 6795


def test_without_listed_strikes_there_is_none():
    assert nearest_strike([], dec(6800)) is None
    assert nearest_strike([replace(call("SPX", 1), strike=None)], dec(6800)) is None


@given(st.lists(st.integers(1, 300), min_size=1), st.decimals("0", "1500", places=2), st.randoms())
def test_no_listed_strike_is_nearer_whatever_their_order(steps, price, random):
    listed = [call("SPX", 5 * step, step) for step in steps]
    found = nearest_strike(listed, price)
    random.shuffle(listed)
    assert nearest_strike(listed, price) == found
    assert all(abs(found.strike - price) <= abs(strike.strike - price) for strike in listed)


@pytest.mark.parametrize(
    ("given_quote", "price"),
    [
        (quote("677.70", "677.72", last=dec(600)), "677.71"),
        (quote(None, "677.72", last=dec("677.60")), "677.60"),
        (quote("677.74", "677.72", last=dec("677.60")), "677.60"),
        (Quote(last=dec("6797.40")), "6797.40"),
    ],
)
def test_an_underlying_costs_the_middle_of_a_sound_quote_else_its_last_trade(given_quote, price):
    assert underlying_price(given_quote) == dec(price)


def test_an_underlying_without_a_quote_has_no_price():
    assert underlying_price(NO_QUOTE) is None
    assert underlying_price(Quote(last=dec(0), close=dec(677))) is None


def test_the_credit_is_the_sale_less_the_purchase_less_the_fees():
    credit = spread_credit(dec("17.90"), dec("2.05"), LIMITS, FEES)
    assert (credit.gross, credit.commissions, credit.net) == (dec(260), dec("11.79"), dec("248.21"))


# --- price limits -------------------------------------------------------------------------------

spy_prices = st.integers(1, 4000).map(lambda cents: dec(cents) / 100)
spx_prices = st.integers(1, 1000).map(lambda step: dec(step) / 10)
minimums = st.decimals("-500", "1500", places=2)
schedules = st.sampled_from(
    [
        FEES,
        FeeSchedule(spy_exchange=dec("-0.80")),
        FeeSchedule(spx_exchange=dec(0), spx_exchange_low_premium=dec(9)),
        FeeSchedule(spy_sec_rate=dec("0.4")),
    ]
)
sizes = st.sampled_from([(1, 10), (2, 20), (1, 9), (3, 1)])
rules = st.sampled_from([PENNY, SPX_OPTION_TICKS, TickRule(((dec(0), dec("0.05")),))])


def limits_of(least, size):
    return Limits(min_entry_credit=least, spx_contracts_per_spread=size[0], spy_contracts_per_spread=size[1])


def test_the_spx_price_goes_up_to_the_last_tick_that_leaves_400():
    """SPY at 2.05: 16.30 leaves 408.21, 16.40 leaves 398.21."""
    assert spx_price_cap(dec("2.05"), LIMITS, FEES, SPX_OPTION_TICKS) == dec("16.30")


def test_the_spy_price_goes_down_to_the_last_cent_that_leaves_400():
    """SPX filled at 17.90: 2.21 leaves 408.20, 2.20 leaves 398.20."""
    assert spy_price_floor(dec("17.90"), LIMITS, FEES, PENNY) == dec("2.21")


def test_there_is_no_spx_price_when_the_spy_bid_alone_brings_too_little():
    assert spx_price_cap(dec("0.40"), LIMITS, FEES, SPX_OPTION_TICKS) is None


def test_a_price_that_leaves_exactly_the_minimum_is_still_taken():
    exactly = limits_of(dec("408.20"), (1, 10))
    assert spy_price_floor(dec("17.90"), exactly, FEES, PENNY) == dec("2.21")
    exactly = limits_of(dec("408.21"), (1, 10))
    assert spx_price_cap(dec("2.05"), exactly, FEES, SPX_OPTION_TICKS) == dec("16.30")


def test_a_debit_that_is_allowed_lets_spy_go_at_its_lowest_price():
    assert spy_price_floor(dec("0.05"), limits_of(dec(-500), (1, 10)), FEES, PENNY) == dec("0.01")


def test_there_is_no_spy_price_when_the_sec_fee_takes_everything():
    assert spy_price_floor(dec(1), LIMITS, FeeSchedule(spy_sec_rate=dec(1)), PENNY) is None


@given(spy_prices, minimums, sizes, schedules, rules)
def test_the_spx_cap_leaves_the_minimum_and_one_tick_more_does_not(bid, least, size, fees, ticks):
    limits = limits_of(least, size)
    cap = spx_price_cap(bid, limits, fees, ticks)
    beyond = ticks.lowest if cap is None else ticks.above(cap)
    if cap is not None:
        assert ticks.legal(cap)
        assert spread_credit(cap, bid, limits, fees).net >= least
    assert spread_credit(beyond, bid, limits, fees).net < least


@given(spx_prices, minimums, sizes, schedules, rules)
def test_the_spy_floor_leaves_the_minimum_and_one_tick_less_does_not(fill, least, size, fees, ticks):
    limits = limits_of(least, size)
    floor = spy_price_floor(fill, limits, fees, ticks)
    assert ticks.legal(floor)
    assert spread_credit(fill, floor, limits, fees).net >= least
    below = ticks.below(floor)
    assert below == 0 or spread_credit(fill, below, limits, fees).net < least


# --- entry checks -------------------------------------------------------------------------------


def test_a_good_moment_passes_every_check_and_an_entry_is_allowed():
    checks = entry_checks(GOOD, LIMITS, FEES)
    assert [check.name for check in checks] == NAMES
    assert [check.name for check in checks if check.ok is not True] == []
    assert allowed(checks, with_margin=False)


def test_each_check_says_what_it_found_in_one_sentence():
    assert [check.message for check in entry_checks(GOOD, LIMITS, FEES)] == [
        "It is 09:36:00 in New York, inside the entry window 09:35-10:00.",
        "Trading is allowed.",
        "0 of at most 2 spreads were opened today.",
        "The day's net result is $0.00, within the loss limit of $1,000.00.",
        "All four quotes are live, complete and in order.",
        "Nothing is halted.",
        "The oldest price is 0.5 s old.",
        "The quotes of the two calls are 0.0 s apart, within 5.",
        (
            "SPX by put-call parity of 3 strikes is 6800.34 within 0.2; the index print is 0 away, within 2; "
            "the ratio last measured x SPY is 0.678 away, within 5; "
            "the mismatch of the strikes may be off by 0.30, within 2."
        ),
        "While this was decided SPX moved 0.14 points and SPY $0 (0.0 points of SPX), within 3 points.",
        (
            "The nearest SPX strike is 0.34 from the price, within 2.5; "
            "the nearest SPY strike is 0 from the price, within 0.5."
        ),
        "SPX / SPY is 10.0300, within 9.95 to 10.05.",
        "SPX / SPY is 1.0 basis points from the 10.0290 measured lately, within 10.",
        "The SPX call is $0.20 wide, within $0.50.",
        "The SPY call is $0.02 wide, within $0.05.",
        "The spread would bring $488.20 net of $11.80 commissions, at least $400.00.",
        (
            "The credit of $488.20 is $44.90 better than the credit of $443.30 that is fair for these strikes, "
            "within $750.00."
        ),
    ]


@pytest.mark.parametrize(
    ("clock", "ok"),
    [("09:34:59", False), ("09:35:00", True), ("09:59:59", True), ("10:00:00", False), ("15:00:00", False)],
)
def test_the_entry_window_holds_its_start_and_not_its_end(clock, ok):
    found = changed("time_window", now=at(clock))
    assert (found.ok, found.value, found.limit) == (ok, clock, "09:35-10:00")


def test_the_window_is_new_yorks_wherever_the_clock_stands():
    found = changed("time_window", now=datetime(2026, 11, 24, 14, 36, tzinfo=UTC))
    assert (found.ok, found.value) == (True, "09:36:00")


def test_on_a_closed_day_the_window_says_so():
    found = changed("time_window", day=None, now=at("09:36", date(2026, 11, 26)))
    assert (found.ok, found.message) == (False, "The exchange is closed on 2026-11-26.")


def test_another_days_timetable_opens_no_window():
    assert changed("time_window", day=timetable(date(2026, 11, 25))).ok is False


def test_a_doubt_about_the_calendar_closes_the_window_and_is_told():
    found = changed("time_window", calendar_doubt="the broker's hours end at 13:00")
    assert found.ok is False
    assert found.message.startswith("The broker's hours end at 13:00. It is 09:36:00")


def test_where_trading_is_stopped_the_reason_is_told():
    found = changed("trading_enabled", trading_enabled=False, trading_reason="holidays")
    assert (found.ok, found.value, found.message) == (False, False, "Trading is stopped: holidays.")


def test_an_earlier_trade_that_is_not_in_order_forbids_an_entry():
    found = changed("trading_enabled", unfinished="trade 7 is not proven flat")
    assert (found.ok, found.message) == (False, "Trade 7 is not proven flat.")


@pytest.mark.parametrize(("done", "ok"), [(0, True), (1, True), (2, False), (3, False)])
def test_fewer_than_the_most_spreads_may_have_been_opened(done, ok):
    found = changed("max_trades", trades_today=done)
    assert (found.ok, found.value, found.limit) == (ok, done, 2)


@pytest.mark.parametrize(
    ("pnl", "ok", "loss"),
    [("250", True, 0), ("-999.99", True, "999.99"), ("-1000", True, 1000), ("-1000.01", False, "1000.01")],
)
def test_only_a_loss_beyond_the_daily_limit_forbids_an_entry(pnl, ok, loss):
    found = changed("daily_loss", daily_pnl=dec(pnl))
    assert (found.ok, found.value, found.limit) == (ok, dec(loss), 1000)


def test_a_loss_reads_as_a_negative_result():
    found = changed("daily_loss", daily_pnl=dec("-1234.5"))
    assert found.message == "The day's net result is -$1,234.50, beyond the loss limit of $1,000.00."


def test_a_day_whose_result_is_unknown_allows_no_entry():
    found = changed("daily_loss", daily_pnl=None)
    assert (found.ok, found.value) == (None, None)


@pytest.mark.parametrize(
    ("field", "bad", "words"),
    [
        ("spx_index_quote", Quote(data_type=1), "SPX index has no last price"),
        ("spx_index_quote", Quote(last=dec(0), data_type=1), "SPX index has no last price"),
        ("spx_index_quote", Quote(last=dec(6797), data_type=3), "SPX index data is delayed, not live"),
        ("spx_index_quote", Quote(last=dec(6797)), "SPX index data is of an unknown kind, not live"),
        ("spy_stock_quote", quote(None, "677.72"), "SPY stock has no bid"),
        ("spy_stock_quote", quote("677.70", None), "SPY stock has no ask"),
        ("spy_stock_quote", quote("677.74", "677.72"), "SPY stock is crossed (bid 677.74 above ask 677.72)"),
        ("spy_stock_quote", quote("677.70", "677.72", halted=True), "SPY stock is halted"),
        ("spx_quote", quote("0", "18.00"), "SPX call has no bid"),
        ("spx_quote", quote("17.80", "18.00", data_type=2), "SPX call data is frozen, not live"),
        ("spy_quote", quote(None, None), "SPY call has no bid and no ask"),
        ("spy_quote", quote("2.30", "2.32", data_type=4), "SPY call data is delayed and frozen, not live"),
        ("spx_quote", quote("0", None), "SPX call has no bid and no ask"),
        ("spx_call", None, "no SPX call was found"),
        ("market_doubt", "the SPX index stands still", "the SPX index stands still"),
    ],
)
def test_every_fault_of_the_market_data_is_told_and_forbids_an_entry(field, bad, words):
    found = changed("market_data", **{field: bad})
    assert (found.ok, found.value, found.limit) == (False, 1, 0)
    assert found.message == sentence(words)


def test_all_faults_are_listed_at_once():
    found = changed("market_data", spy_quote=quote(None, "2.32", data_type=3), spx_call=None)
    assert found.value == 3
    assert found.message == (
        "No SPX call was found; SPY call data is delayed, not live; SPY call has no bid."
    )


@pytest.mark.parametrize(
    ("spx", "spy", "ok"),
    [
        ("6797.50", "677.50", True),
        ("6797.49", "678", False),
        ("6800", "677.49", False),
        ("6802.5", "678.5", True),
    ],
)
def test_both_strikes_lie_within_their_distance_of_the_price(spx, spy, ok):
    assert changed("strikes", spx_price=dec(spx), spy_price=dec(spy)).ok is ok


def test_both_distances_are_told():
    found = check("strikes")
    assert found.value == {"spx": dec("0.34"), "spy": dec(0)}
    assert found.limit == {"spx": dec("2.5"), "spy": dec("0.5")}


def test_a_strike_that_is_missing_is_no_pass_and_does_not_hide_one_that_is_too_far():
    assert changed("strikes", spx_price=dec(6800), spy_call=None).ok is None
    assert changed("strikes", spx_price=dec(6810), spy_call=None).ok is False


@pytest.mark.parametrize(
    ("spx", "ok"), [("9949.99", False), ("9950", True), ("10050", True), ("10050.01", False)]
)
def test_the_ratio_may_reach_both_its_ends(spx, ok):
    found = changed("tracking_ratio", spx_price=dec(spx), spy_price=dec(1000))
    assert (found.ok, found.limit) == (ok, (dec("9.95"), dec("10.05")))
    assert found.value == dec(spx) / 1000


@pytest.mark.parametrize("missing", ["spx_price", "spy_price"])
def test_without_a_price_there_is_no_ratio(missing):
    assert changed("tracking_ratio", **{missing: None}).ok is None
    assert changed("tracking_ratio", **{missing: dec(0)}).ok is None


@pytest.mark.parametrize(
    ("name", "field", "bid", "ask", "ok"),
    [
        ("spx_spread", "spx_quote", "17.50", "18.00", True),
        ("spx_spread", "spx_quote", "17.40", "18.00", False),
        ("spy_spread", "spy_quote", "2.30", "2.35", True),
        ("spy_spread", "spy_quote", "2.30", "2.36", False),
        ("spy_spread", "spy_quote", "2.36", "2.30", False),
        ("spy_spread", "spy_quote", "2.30", "2.30", True),
        ("spy_spread", "spy_quote", "0", "0.02", None),
        ("spy_spread", "spy_quote", None, "0.02", None),
        ("spx_spread", "spx_quote", "17.50", None, None),
    ],
)
def test_a_call_may_be_as_wide_as_its_limit_and_crossed_or_one_sided_is_no_pass(name, field, bid, ask, ok):
    assert changed(name, **{field: quote(bid, ask)}).ok is ok


def test_the_credit_may_be_exactly_the_minimum():
    least = check("net_credit").value
    assert least == dec("488.20")
    assert check("net_credit", limits=replace(LIMITS, min_entry_credit=least)).ok is True
    assert check("net_credit", limits=replace(LIMITS, min_entry_credit=least + dec("0.01"))).ok is False


@pytest.mark.parametrize(
    "missing",
    [
        {"spx_quote": quote("17.80", None)},
        {"spx_quote": quote(None, "0")},
        {"spy_quote": quote(None, "2.32")},
        {"spy_quote": quote("0", "2.32")},
    ],
)
def test_without_the_spx_ask_or_the_spy_bid_there_is_no_credit(missing):
    found = changed("net_credit", **missing)
    assert (found.ok, found.value) == (None, None)


def test_where_the_market_was_not_asked_its_checks_say_so_and_none_passes():
    checks = entry_checks(replace(GOOD, asked_broker=False, now=at("12:00")), LIMITS, FEES)
    market = [check for check in checks if check.name in NAMES[4:]]
    assert len(market) == len(NAMES) - 4
    assert {(check.ok, check.value) for check in market} == {(None, None)}
    assert {check.message for check in market} == {
        "The market was not asked, because nothing can be entered now."
    }
    assert checks[0].ok is False


def test_no_check_is_left_out_for_anothers_sake():
    """Nothing known, nothing allowed: each check still answers, and none says yes to the market."""
    nothing = EntryView(
        at("12:00"), None, False, "", 9, "a trade is open", None, EntryMarket(calendar_doubt="hours unknown")
    )
    checks = entry_checks(nothing, LIMITS, FEES)
    assert [check.name for check in checks] == NAMES
    assert all(check.ok is not True and check.message for check in checks)


worse = st.sampled_from(
    [
        {"now": at("09:34:59")},
        {"day": None},
        {"calendar_doubt": "unknown"},
        {"trading_enabled": False},
        {"trades_today": 2},
        {"unfinished": "trade 1 is open"},
        {"daily_pnl": None},
        {"daily_pnl": dec(-1001)},
        {"spx_price": None},
        {"spy_price": None},
        {"spx_call": None},
        {"spy_call": None},
        {"spx_quote": NO_QUOTE},
        {"spy_quote": NO_QUOTE},
        {"spx_index_quote": NO_QUOTE},
        {"spy_stock_quote": NO_QUOTE},
        {"asked_broker": False},
        {"market_doubt": "stale"},
    ]
)


@given(st.lists(worse, min_size=1, max_size=6))
def test_one_doubt_is_enough_to_allow_no_entry(doubts):
    view = GOOD
    for doubt in doubts:
        view = but(view, **doubt)
    assert not allowed(entry_checks(view, LIMITS, FEES), with_margin=False)


prices = st.none() | st.decimals("-1", "30", places=2)
any_quote = st.builds(
    Quote,
    bid=prices,
    ask=prices,
    last=prices,
    halted=st.booleans(),
    data_type=st.none() | st.integers(0, 4),
    received=st.none() | st.floats(80, 100),
    priced=st.none() | st.floats(80, 100),
)


@given(any_quote, any_quote, any_quote, any_quote, st.booleans())
def test_whatever_the_quotes_every_check_answers_and_an_entry_needs_all_four_sound(
    spx, spy, index, stock, asked
):
    view = but(
        spx_quote=spx,
        spy_quote=spy,
        spx_index_quote=index,
        spy_stock_quote=stock,
        spx_price=underlying_price(index),
        spy_price=underlying_price(stock),
        asked_broker=asked,
    )
    checks = entry_checks(view, LIMITS, FEES)
    assert [check.name for check in checks] == NAMES
    if allowed(checks, with_margin=False):
        assert asked
        assert all(quote.data_type == 1 and not quote.halted for quote in (spx, spy, index, stock))
        assert all(0 < quote.bid <= quote.ask for quote in (spx, spy, stock))
        assert index.last > 0


# --- allowed ------------------------------------------------------------------------------------

PASSED = tuple(Check(name, True, None, None, "") for name in NAMES)
MARGIN_YES = Check("margin", True, None, None, "")


def test_with_margin_an_entry_needs_the_margins_yes_as_well():
    assert allowed((*PASSED, MARGIN_YES), with_margin=True)
    assert not allowed(PASSED, with_margin=True)
    assert not allowed((*PASSED, margin_not_asked("late")), with_margin=True)
    assert allowed((*PASSED, margin_not_asked("late")), with_margin=False)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answered", [False, None])
def test_one_check_that_is_not_a_yes_forbids_the_entry(name, answered):
    checks = [replace(check, ok=answered) if check.name == name else check for check in PASSED]
    assert not allowed([*checks, MARGIN_YES], with_margin=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_check_that_was_not_made_forbids_the_entry(name):
    assert not allowed([check for check in PASSED if check.name != name], with_margin=False)


def test_a_check_that_nobody_knows_must_pass_too():
    assert not allowed([*PASSED, Check("new", None, None, None, "")], with_margin=False)


# --- risk ---------------------------------------------------------------------------------------


def test_the_risk_beside_a_credit_is_that_of_the_strikes_and_the_ratio():
    """r = 10.03 exactly: rk = 677 x 10.03 = 6790.31, M = 9.69; C = 448."""
    market = replace(MARKET, spx_price=dec("6790.31"), spy_price=dec(677), spy_call=call("SPY", 677))
    credit = replace(spread_credit(dec(18), dec(2), LIMITS, FEES), net=dec(448))
    found = risk_of(market, LIMITS, credit)
    assert found.strike_mismatch_points == dec("9.69")
    assert found.worst_case == dec("-518.10")
    assert found.edge == dec("4.70")  # 448 - 99.7009 x 22.40 + 100 x 17.90
    assert found.break_even == pytest.approx(dec("6794.80344"))


def test_without_the_equivalent_mid_there_is_no_edge_but_a_worst_case():
    credit = spread_credit(dec(18), dec("2.30"), LIMITS, FEES)
    found = risk_of(replace(MARKET, spx_equivalent_mid=None), LIMITS, credit)
    assert found.edge is None
    assert found.worst_case is not None


def test_without_a_credit_only_the_mismatch_is_known():
    found = risk_of(MARKET, LIMITS, None)
    assert found.strike_mismatch_points == dec("-0.34")
    assert (found.edge, found.worst_case, found.break_even) == (None, None, None)


@pytest.mark.parametrize("missing", ["spx_price", "spy_price", "spx_call", "spy_call"])
def test_without_a_strike_or_a_price_no_risk_is_known(missing):
    market = replace(MARKET, **{missing: None})
    assert structure_of(market, LIMITS) is None
    assert risk_of(market, LIMITS, spread_credit(dec(18), dec(2), LIMITS, FEES)) == Risk()


# --- exits --------------------------------------------------------------------------------------

CALM = ExitView(at("11:00"), timetable(), dec(677), dec(677), dec(50), dec(50))


def signal(limits=LIMITS, **more):
    return exit_signal(replace(CALM, **more), limits)


def test_a_calm_spread_is_held():
    assert signal() is None


@pytest.mark.parametrize(("spy", "reason"), [("687.00", None), ("687.01", ExitReason.ASSIGNMENT_RISK)])
def test_more_than_ten_dollars_above_the_strike_is_a_risk_of_assignment(spy, reason):
    assert signal(spy_price=dec(spy)) is reason


@pytest.mark.parametrize(
    ("clock", "reason"),
    [
        ("15:44:59", None),
        ("15:45:00", ExitReason.TIME),
        ("15:59:59", ExitReason.TIME),
        ("16:00:00", ExitReason.EXPIRATION),
    ],
)
def test_time_exits_from_a_quarter_to_the_close_and_the_close_is_expiration(clock, reason):
    assert signal(now=at(clock)) is reason


@pytest.mark.parametrize(
    ("clock", "reason"),
    [("12:44:59", None), ("12:45:00", ExitReason.TIME), ("13:00:00", ExitReason.EXPIRATION)],
)
def test_on_a_half_day_both_come_three_hours_earlier(clock, reason):
    assert signal(day=timetable(HALF_DAY), now=at(clock, HALF_DAY)) is reason


def test_the_morning_after_its_expiry_a_spread_is_expired():
    assert signal(now=at("09:00", date(2026, 11, 25))) is ExitReason.EXPIRATION


@pytest.mark.parametrize(("pnl", "reason"), [("-500", None), ("-500.01", ExitReason.LOSS_LIMIT)])
def test_a_loss_beyond_the_positions_limit_exits_and_at_the_limit_not(pnl, reason):
    assert signal(pnl=dec(pnl)) is reason


@pytest.mark.parametrize(("pnl", "reason"), [("-1000", None), ("-1000.01", ExitReason.DAILY_LOSS)])
def test_a_loss_beyond_the_days_limit_exits_and_at_the_limit_not(pnl, reason):
    assert signal(daily_pnl=dec(pnl)) is reason


def test_the_days_loss_exits_only_where_emergency_exits_are_on():
    assert signal(replace(LIMITS, emergency_exit_enabled=False), daily_pnl=dec(-5000)) is None


WORST = {"spy_price": dec(700), "pnl": dec(-900), "daily_pnl": dec(-5000)}


def test_the_first_reason_in_order_is_named():
    """Assignment risk, time, loss, expiration, the day's loss."""
    late, over = at("15:50"), at("16:10")
    calmer = {"spy_price": dec(677)}
    assert signal(now=late, **WORST) is ExitReason.ASSIGNMENT_RISK
    assert signal(now=late, **(WORST | calmer)) is ExitReason.TIME
    assert signal(now=over, **(WORST | calmer)) is ExitReason.LOSS_LIMIT
    assert signal(now=over, daily_pnl=dec(-5000)) is ExitReason.EXPIRATION


def test_what_is_unknown_gives_no_reason():
    assert exit_signal(ExitView(at("11:00"), None, None, None, None, None), LIMITS) is None


@given(
    st.sampled_from([at("11:00"), at("15:50"), at("16:10")]),
    st.none() | st.sampled_from([dec(677), dec(700)]),
    st.none() | st.sampled_from([dec(-900), dec(10)]),
    st.none() | st.sampled_from([dec(-5000), dec(10)]),
    st.sets(st.sampled_from(["spy_price", "spy_strike", "pnl", "daily_pnl"])),
)
def test_forgetting_a_value_never_invents_a_reason_nor_hides_another(now, spy, pnl, daily, forgotten):
    """What remains known decides alone: the answer with a value unknown is that with a harmless one."""
    known = replace(CALM, now=now, spy_price=spy, pnl=pnl, daily_pnl=daily)
    unknown = replace(known, **dict.fromkeys(forgotten))
    harmless = {"spy_price": dec(0), "spy_strike": dec(9999), "pnl": dec(0), "daily_pnl": dec(0)}
    assert exit_signal(unknown, LIMITS) is exit_signal(
        replace(known, **{name: harmless[name] for name in forgotten}), LIMITS
    )


# --- what closing costs -------------------------------------------------------------------------


def cost(spy, spx, short=10, long=1, *, worthless=False):
    return closing_cost(spy, spx, dec(short), dec(long), FEES, spx_worthless=worthless)


def test_closing_buys_spy_at_the_ask_and_sells_spx_at_the_bid_and_pays_for_both():
    """1100 + 10.08 - 820 + 1.64."""
    assert cost(quote("1.08", "1.10"), quote("8.20", "8.40")) == dec("291.72")


def test_an_spx_call_that_two_looks_show_to_be_worthless_counts_as_0_and_costs_no_order():
    nobody = quote(None, "0.05", bid_told=True, no_bid=True)
    assert cost(quote("0.01", "0.02"), nobody, worthless=True) == dec("20") + dec("10.08")
    assert cost(quote("0.01", "0.02"), nobody) is None


def test_a_bid_of_minus_one_is_no_price_whatever_else_is_known():
    assert cost(quote("0.01", "0.02"), quote(None, "0.05", bid_told=True), worthless=True) is None


def test_an_spx_bid_that_was_not_told_yet_is_unknown_and_not_zero():
    assert cost(quote("0.01", "0.02"), quote(None, "0.05")) is None


def test_even_the_lowest_spx_bid_is_money():
    """100 x 0.05 less 1.55 of fees at a low premium."""
    assert cost(NO_QUOTE, quote("0.05", "0.10"), short=0) == dec("-3.45")


@pytest.mark.parametrize(
    ("spy", "spx"),
    [
        (quote("1.08", None), quote("8.20", "8.40")),
        (quote(None, None), quote("8.20", "8.40")),
        (quote("1.08", "0"), quote("8.20", "8.40")),
        (quote("1.08", "1.10"), quote(None, None, bid_told=True)),
        (quote("1.08", "1.10"), quote(None, "0", bid_told=True)),
        (quote("1.08", "1.10"), quote("0", None)),
    ],
)
def test_any_other_missing_side_leaves_the_cost_unknown(spy, spx):
    assert cost(spy, spx) is None


def test_a_missing_spy_bid_and_a_missing_spx_ask_do_not_matter():
    assert cost(quote(None, "1.10"), quote("8.20", None)) == dec("291.72")


def test_a_leg_that_is_not_held_needs_no_quote():
    assert cost(NO_QUOTE, quote("8.20", "8.40"), short=0) == dec("-818.36")
    assert cost(quote("1.08", "1.10"), NO_QUOTE, long=0) == dec("1110.08")
    assert cost(NO_QUOTE, NO_QUOTE, short=0, long=0) == 0


def test_a_leg_held_the_wrong_way_round_is_not_priced():
    assert cost(quote("1.08", "1.10"), quote("8.20", "8.40"), short=-1) is None
    assert cost(quote("1.08", "1.10"), quote("8.20", "8.40"), long=-1) is None


def test_the_spread_of_the_market_never_stops_an_exit_from_being_priced():
    assert cost(quote("0.10", "9.00", halted=True, data_type=3), quote("0.05", "50")) is not None


def test_the_current_result_is_the_credit_and_the_exits_cash_less_what_closing_costs():
    assert current_pnl(dec("441.20"), dec("-333.00"), dec("-50")) == dec("158.20")


def test_the_current_result_is_unknown_while_a_part_of_it_is():
    assert current_pnl(None, dec(0), dec(10)) is None
    assert current_pnl(dec(400), dec(0), None) is None


# --- settlement ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leg", "quantity", "strike", "close", "cash"),
    [
        (LegName.SPX, 1, "6795", "6801.37", "637"),
        (LegName.SPX, 1, "6795", "6795", "0"),
        (LegName.SPX, 1, "6795", "6700", "0"),
        (LegName.SPY, -10, "677", "678.12", "-1120"),
        (LegName.SPY, -10, "677", "676.99", "0"),
        (LegName.SPY, -3, "677", "677.01", "-3"),
    ],
)
def test_a_call_pays_its_intrinsic_value_and_a_short_one_owes_it(leg, quantity, strike, close, cash):
    assert settlement_cash(leg, dec(quantity), dec(strike), dec(close)) == Decimal(cash)


@given(st.timedeltas(timedelta(0), timedelta(hours=23)))
def test_an_entry_is_allowed_at_no_moment_outside_its_window(since_midnight):
    now = at("00:00") + since_midnight
    view = replace(GOOD, now=now)
    assert allowed(entry_checks(view, LIMITS, FEES), with_margin=False) is timetable().in_entry_window(now)
