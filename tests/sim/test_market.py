"""Synthetic days of the simulated gateway: contracts, calendar, quotes, regimes."""

import itertools
import math
import time
from datetime import date, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spxarb.sim.market import hours, instruments, path, pricing, ticks, trading_days
from spxarb.sim.market.instruments import SPX_ID, SPY_ID, option, session_hours
from spxarb.sim.market.market import SyntheticDay
from spxarb.sim.market.regimes import REGIMES, RICHNESS
from spxarb.sim.market.trading_days import NEW_YORK
from tests.effort import examples

DAY = date(2026, 11, 24)
HALF_DAY = date(2026, 11, 27)
FIRINGS = [f"09:{minute}" for minute in (35, 40, 45, 50, 55)]
FEES = 13.0
_days = {}


def day(regime="quiet", seed=7, on=DAY):
    """A day, drawn once for all tests."""
    if (regime, seed, on) not in _days:
        _days[regime, seed, on] = SyntheticDay(on, seed, regime)
    return _days[regime, seed, on]


def at(clock, on=DAY):
    return datetime.combine(on, datetime.strptime(clock, "%H:%M").time(), NEW_YORK)


def calls(market, trading_class):
    symbol = "SPY" if trading_class == "SPY" else "SPX"
    return market.find(symbol, "OPT", market.day, right="C", trading_class=trading_class)


def nearest(market, trading_class, moment):
    under = market.quote(SPY_ID if trading_class == "SPY" else SPX_ID, moment).last
    return min(calls(market, trading_class), key=lambda item: abs(item.strike - under))


# --- calendar and contracts ---------------------------------------------------------------------------


@pytest.mark.parametrize("closed", [date(2026, 11, 26), date(2026, 11, 28), date(2026, 7, 3)])
def test_a_closed_day_is_refused_in_one_line(closed):
    with pytest.raises(ValueError, match=f"the exchange is closed on .* {closed}; choose a trading day"):
        SyntheticDay(closed)


def test_an_unknown_regime_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"unknown regime 'wild'; known: quiet, trend-up, .*rich-spy"):
        SyntheticDay(DAY, 7, "wild")


def test_a_half_day_closes_at_13_and_everything_with_it():
    market = day(on=HALF_DAY)
    assert market.close == at("13:00", HALF_DAY)
    spx, spy = nearest(market, "SPXW", at("12:59", HALF_DAY)), nearest(market, "SPY", at("12:59", HALF_DAY))
    assert market.quote(spx.con_id, at("12:59", HALF_DAY)).ask is not None
    assert market.quote(spx.con_id, at("13:00", HALF_DAY)).ask is None
    assert market.quote(spy.con_id, at("13:14", HALF_DAY)).ask is not None
    assert market.quote(spy.con_id, at("13:15", HALF_DAY)).ask is None


def test_hours_are_in_the_zone_of_the_product_with_closed_and_short_days():
    spxw, spy = option("SPXW", DAY, 6800, "C"), option("SPY", DAY, 680, "C")
    trading, liquid = session_hours(spxw, DAY)
    assert liquid.split(";")[:5] == [
        "20261124:0830-20261124:1515",
        "20261125:0830-20261125:1515",
        "20261126:CLOSED",
        "20261127:0830-20261127:1215",  # until 13:15 in New York, as they trade
        "20261128:CLOSED",
    ]
    assert trading == liquid
    assert session_hours(spy, DAY)[0].startswith("20261124:0930-20261124:1615;")
    assert session_hours(spy, DAY)[1].startswith("20261124:0930-20261124:1600;")
    assert session_hours(instruments.spy_stock(), DAY)[0].startswith("20261124:0400-20261124:2000;")
    assert session_hours(instruments.spx_index(), DAY)[1].startswith("20261124:0830-20261124:1500;")


def test_third_fridays_move_before_a_holiday():
    assert trading_days.third_friday(2026, 12) == date(2026, 12, 18)
    assert trading_days.third_friday(2026, 6) == date(2026, 6, 18)


def test_weekly_options_stop_at_the_close_and_the_others_a_quarter_later():
    spxw, spy, monthly = (
        option("SPXW", DAY, 6800, "C"),
        option("SPY", DAY, 680, "C"),
        option("SPX", DAY, 6800, "C"),
    )
    assert hours.stops(spxw, DAY) == at("16:00")
    assert hours.stops(spy, DAY) == at("16:15")
    assert [hours.trades(spxw, at(clock)) for clock in ("09:29", "09:30", "15:59", "16:00")] == [
        False,
        True,
        True,
        False,
    ]
    assert hours.session_end(spxw, at("16:00")) is None
    assert monthly.expiry == date(2026, 11, 23)
    assert not hours.trades(monthly, at("10:00"))


def test_contract_ids_name_the_contract_whatever_market_lists_it():
    listed = [
        item for on in (DAY, date(2026, 11, 25), date(2026, 12, 18)) for item in day(on=on).instruments()
    ]
    by_id = {item.con_id: item for item in listed}
    assert len(by_id) == len(set(listed))
    assert all(0 < con_id < 1 << 31 for con_id in by_id)
    assert (by_id[416904].symbol, by_id[756733].symbol) == ("SPX", "SPY")


@pytest.mark.parametrize(
    ("trading_class", "strike", "right", "name"),
    [("SPXW", 6800, "C", "SPXW  261124C06800000"), ("SPY", 680, "P", "SPY   261124P00680000")],
)
def test_local_symbols_are_osi_symbols(trading_class, strike, right, name):
    assert option(trading_class, DAY, strike, right).local_symbol == name


@pytest.mark.parametrize(
    ("trading_class", "strike", "right"),
    [("SPXW", 6801, "C"), ("SPY", 680.25, "C"), ("NDX", 5, "C"), ("SPY", 680, "X"), ("SPY", 0, "C")],
)
def test_an_option_that_cannot_exist_is_refused(trading_class, strike, right):
    with pytest.raises(ValueError):
        option(trading_class, DAY, strike, right)


def test_todays_chains_have_every_strike_and_tomorrow_is_listed_as_well():
    market = day()
    for trading_class, step in (("SPXW", 5), ("SPY", 1)):
        strikes = [item.strike for item in calls(market, trading_class)]
        assert {b - a for a, b in itertools.pairwise(strikes)} == {step}
    tomorrow = market.find("SPX", "OPT", date(2026, 11, 25), right="C")
    assert {item.trading_class for item in tomorrow} == {"SPXW"}
    today, later = (market.find("SPX", "OPT", on, 6800.0, "C")[0] for on in (DAY, date(2026, 11, 25)))
    assert market.quote(later.con_id, at("10:00")).bid > market.quote(today.con_id, at("10:00")).ask


def test_am_settled_options_share_their_last_trade_date_with_weeklies():
    """On 2026-12-17 an SPX option without a trading class is ambiguous; the monthly one says the 18th."""
    market = day(on=date(2026, 12, 17))
    found = market.find("SPX", "OPT", date(2026, 12, 17), 6800.0, "C")
    assert sorted(item.local_symbol for item in found) == ["SPX   261218C06800000", "SPXW  261217C06800000"]
    assert len({item.con_id for item in found}) == 2


def test_am_settled_options_are_listed_but_not_traded_on_the_third_friday():
    market = day(on=date(2026, 12, 18))
    (monthly,) = market.find("SPX", "OPT", None, 6800.0, "C", "SPX")
    assert monthly.settles == date(2026, 12, 18)
    quote = market.quote(monthly.con_id, at("10:00", date(2026, 12, 18)))
    assert (quote.bid, quote.ask) == (None, None)


# --- prices -------------------------------------------------------------------------------------------


@given(st.sampled_from(sorted(ticks.MARKET_RULES)), st.floats(0, 9999, allow_nan=False))
def test_rounding_outward_gives_the_neighbours_on_the_grid(rule, price):
    low, high = ticks.at_or_below(rule, price), ticks.at_or_above(rule, price)
    assert low <= price + 1e-6
    assert high >= price - 1e-6
    assert high - low < 0.1 + 1e-9 or low == 0
    assert ticks.is_legal(rule, high)
    assert low == 0 or ticks.is_legal(rule, low)
    assert ticks.above(rule, high) > high
    assert ticks.below(rule, low) < low or low == 0


@pytest.mark.parametrize(
    ("price", "lower", "upper"), [(3.0, 2.95, 3.1), (2.95, 2.9, 3.0), (17.8, 17.7, 17.9), (0.05, 0.0, 0.1)]
)
def test_the_step_of_spx_options_widens_at_three_dollars(price, lower, upper):
    assert (ticks.below(ticks.SPX_OPTIONS, price), ticks.above(ticks.SPX_OPTIONS, price)) == (lower, upper)


@pytest.mark.parametrize(
    ("price", "legal"),
    [(3.05, False), (3.1, True), (2.95, True), (0, False), (-1, False), (1e9, False), (float("nan"), False)],
)
def test_a_price_between_the_steps_is_not_legal(price, legal):
    assert ticks.is_legal(ticks.SPX_OPTIONS, price) is legal


@given(st.floats(5000, 8000), st.floats(5000, 8000), st.floats(0, 0.05))
def test_calls_and_puts_are_in_parity(under, strike, deviation):
    call, put = (pricing.value(under, strike, deviation, right) for right in "CP")
    assert call - put == pytest.approx(under - strike, abs=1e-6)
    assert min(call, put) >= 0


@given(st.floats(6500, 7500), st.floats(6500, 7500), st.floats(0.1, 0.6), st.floats(0.2, 2))
def test_gamma_vega_and_theta_are_the_slopes_of_delta_and_value(under, strike, yearly, days):
    def deviation(volatility, left):
        return volatility * math.sqrt(left / pricing.TRADING_DAYS)

    def value(volatility=yearly, left=days):
        return pricing.value(under, strike, deviation(volatility, left), "C")

    up, down = (pricing.delta(under + step, strike, deviation(yearly, days), "C") for step in (0.5, -0.5))
    found = pricing.slopes(under, strike, yearly, days)
    assert found.gamma == pytest.approx(up - down, abs=1e-4)
    assert found.vega == pytest.approx((value(yearly + 0.0005) - value(yearly - 0.0005)) * 10, abs=1e-2)
    assert found.theta == pytest.approx(-(value(left=days + 0.005) - value(left=days - 0.005)) * 100, abs=0.5)


def test_what_has_expired_has_no_slopes():
    assert pricing.slopes(7000, 7000, 0.2, 0) == (0, 0, 0)


def test_variance_passes_from_none_to_all_and_fastest_at_both_ends():
    shares = [pricing.variance_share(i / 13) for i in range(14)]
    steps = [b - a for a, b in itertools.pairwise(shares)]
    assert (shares[0], shares[-1]) == (0, pytest.approx(1))
    assert steps[0] == pytest.approx(steps[-1])
    assert min(steps) == steps[6]
    assert steps[0] > 2 * steps[6]


# --- quotes -------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_day_and_another_seed_another():
    one, again, other = day(), SyntheticDay(DAY, 7, "quiet"), day(seed=8)
    call = nearest(one, "SPXW", at("11:00")).con_id
    moments = [at("15:00"), at("09:31"), at("11:00")]
    assert [one.quote(call, m) for m in moments] == [again.quote(call, m) for m in reversed(moments)][::-1]
    assert one.quote(SPX_ID, at("11:00")) != other.quote(SPX_ID, at("11:00"))


@pytest.mark.parametrize("regime", sorted(REGIMES))
@pytest.mark.parametrize("clock", ["09:31", "10:20", "12:00", "15:45", "15:59"])
def test_quotes_are_legal_and_two_sided_or_without_a_bid(regime, clock):
    market = day(regime)
    for item in market.instruments()[2::11]:
        quote = market.quote(item.con_id, at(clock))
        assert ticks.is_legal(item.market_rule_id, quote.ask)
        if quote.bid is not None:
            assert ticks.is_legal(item.market_rule_id, quote.bid)
            assert quote.bid < quote.ask
            assert quote.bid_size > 0


@pytest.mark.parametrize("seed", range(5))
def test_at_the_money_spreads_are_those_of_the_real_market(seed):
    market = day(seed=seed)
    for clock in (*FIRINGS, "12:00", "15:00", "15:45"):
        spx, spy = (
            market.quote(nearest(market, name, at(clock)).con_id, at(clock)) for name in ("SPXW", "SPY")
        )
        assert 0.05 <= round(spx.ask - spx.bid, 2) <= 0.40
        assert 0.01 <= round(spy.ask - spy.bid, 2) <= 0.03


def test_deep_in_the_money_spreads_are_wider():
    market = day()
    strikes = calls(market, "SPXW")
    deep, near = (
        market.quote(item.con_id, at("10:00")) for item in (strikes[0], nearest(market, "SPXW", at("10:00")))
    )
    assert deep.ask - deep.bid > 2 * (near.ask - near.bid)


def test_a_worthless_option_has_an_ask_of_one_step_and_no_bid():
    market = day()
    for trading_class, step in (("SPXW", 0.05), ("SPY", 0.01)):
        quote = market.quote(calls(market, trading_class)[-1].con_id, at("15:45"))
        assert (quote.bid, quote.ask, quote.bid_size) == (None, step, 0)


def test_calls_are_worth_less_the_higher_the_strike():
    market = day()
    for trading_class in ("SPXW", "SPY"):
        quotes = [market.quote(item.con_id, at("13:00")) for item in calls(market, trading_class)]
        assert all(low.ask >= high.ask - 0.11 for low, high in itertools.pairwise(quotes))


def test_the_fund_is_a_tenth_of_the_index_as_measured():
    market = day()
    ratios = []
    for minute in range(390):
        moment = at("09:30") + timedelta(minutes=minute)
        ratios.append(market.quote(SPX_ID, moment).last / market.quote(SPY_ID, moment).last)
    mean = sum(ratios) / len(ratios)
    assert mean == pytest.approx(10.03, abs=0.003)
    assert 0.0002 < (sum((r - mean) ** 2 for r in ratios) / len(ratios)) ** 0.5 < 0.0012


def test_day_figures_grow_and_hold_the_last_price():
    market = day()
    call = nearest(market, "SPXW", at("10:00")).con_id
    for con_id in (SPX_ID, SPY_ID, call):
        seen = [market.quote(con_id, at("09:30") + timedelta(minutes=7 * i)) for i in range(55)]
        for before, after in itertools.pairwise(seen):
            assert after.volume >= before.volume
            assert after.high >= before.high
            assert after.low <= before.low
        assert all(quote.low <= quote.last <= quote.high for quote in seen)
        assert {quote.open for quote in seen} == {seen[0].open}


def test_before_the_open_and_after_the_end_nothing_is_quoted():
    market = day()
    call = nearest(market, "SPXW", at("10:00")).con_id
    for con_id, moment in (
        (call, at("09:29")),
        (call, at("16:00")),
        (SPY_ID, at("09:00")),
        (SPY_ID, at("17:00")),
        (SPX_ID, at("11:00")),
    ):
        quote = market.quote(con_id, moment)
        assert (quote.bid, quote.ask) == (None, None)
    assert market.quote(SPX_ID, at("09:00")).last == market.quote(SPX_ID, at("12:00")).close
    assert market.quote(SPX_ID, at("18:00")).last == market.quote(SPX_ID, at("16:00")).last


def test_an_unknown_contract_is_an_error():
    with pytest.raises(KeyError):
        day().quote(1, at("10:00"))


def test_a_quote_costs_microseconds():
    market = day()
    call = nearest(market, "SPXW", at("10:00")).con_id
    start = time.process_time()
    for second in range(2000):
        market.quote(call, at("09:30") + timedelta(seconds=second))
    assert time.process_time() - start < 1.0


# --- regimes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("regime", sorted(REGIMES))
def test_a_description_says_that_the_day_is_synthetic(regime):
    text = day(regime).description
    assert text.startswith(f"synthetic day 2026-11-24, regime {regime}, seed 7: ")
    assert "\n" not in text


def index(market, clock):
    return market.quote(SPX_ID, at(clock)).last


@pytest.mark.parametrize(
    ("regime", "start", "end", "low", "high"),
    [
        ("crash", "10:45", "11:05", -0.06, -0.025),
        ("gap", "10:59", "11:00", 0.010, 0.014),
        ("halt", "10:00", "10:30", -0.085, -0.055),
    ],
)
def test_violent_regimes_move_as_far_as_described(regime, start, end, low, high):
    for seed in range(3):
        market = day(regime, seed)
        assert low < index(market, end) / index(market, start) - 1 < high


def test_trends_go_as_far_as_described_whatever_the_seed():
    for regime, drift in (("trend-up", 0.012), ("trend-down", -0.012)):
        for seed in range(20):
            market = day(regime, seed)
            assert index(market, "16:00") / index(market, "09:30") - 1 == pytest.approx(drift, abs=1e-5)
            assert index(market, "12:00") != pytest.approx(
                index(market, "09:30") * (1 + drift / 2), abs=0.005
            )


def test_a_halt_takes_all_quotes_away_and_says_so():
    market = day("halt")
    for item in (
        nearest(market, "SPXW", at("10:31")),
        nearest(market, "SPY", at("10:31")),
        market.by_con_id(SPY_ID),
    ):
        during, after = market.quote(item.con_id, at("10:31")), market.quote(item.con_id, at("10:45"))
        assert (during.bid, during.ask, during.halted) == (None, None, True)
        assert (after.ask is not None, after.halted) == (True, False)
    assert index(market, "10:31") == index(market, "10:44")


def test_a_pinned_day_ends_near_a_strike():
    misses = [abs(index(day("pin", seed), "16:00") % 5 - 2.5) for seed in range(12)]
    assert sum(miss > 1.0 for miss in misses) >= 9


def test_a_stale_print_lags_at_the_open_and_has_caught_up_after_ten_minutes():
    market = day("stale-open")

    def gap(clock):
        return market.quote(SPX_ID, at(clock)).last / market.quote(SPY_ID, at(clock)).last - 10.03

    assert gap("09:31") < -0.03
    assert gap("09:35") < -0.01
    assert abs(gap("09:41")) < 0.004


def test_a_thin_market_shows_less_than_ten_spy_contracts():
    market = day("thin")
    assert market.quote(nearest(market, "SPY", at("10:00")).con_id, at("10:00")).bid_size <= 4
    quiet = day()
    assert quiet.quote(nearest(quiet, "SPY", at("10:00")).con_id, at("10:00")).bid_size >= 60


# --- the made-up richness -----------------------------------------------------------------------------


def credit(market, clock):
    """Net credit in dollars of the nearest-strike spread at the touch, after estimated fees; None: a check fails."""
    spx_last, spy_last = (market.quote(con_id, at(clock)).last for con_id in (SPX_ID, SPY_ID))
    spx_call, spy_call = nearest(market, "SPXW", at(clock)), nearest(market, "SPY", at(clock))
    spx, spy = (market.quote(item.con_id, at(clock)) for item in (spx_call, spy_call))
    assert abs(spx_call.strike - spx_last) <= 2.5
    assert abs(spy_call.strike - spy_last) <= 0.5
    assert spx.ask - spx.bid <= 0.50
    assert spy.ask - spy.bid <= 0.05
    assert 9.95 <= spx_last / spy_last <= 10.05
    return 1000 * spy.bid - 100 * spx.ask - FEES


def test_the_richness_is_stated_in_dollars_and_called_made_up():
    text = day("rich-spy").description
    assert f"${RICHNESS:.2f}" in text
    assert "made up" in text


def test_a_rich_day_lets_one_of_five_attempts_collect_four_hundred_dollars():
    found = [max(credit(day("rich-spy", seed), clock) for clock in FIRINGS) >= 400 for seed in range(20)]
    assert found[7]
    assert all(found)


def test_a_fair_day_never_collects_four_hundred_dollars():
    assert max(credit(day("quiet", seed), clock) for clock in FIRINGS for seed in range(20)) < 400


def test_the_richness_is_as_described_and_fades_to_nothing():
    rich, fair = SyntheticDay(DAY, 7, "rich-spy"), SyntheticDay(DAY, 7, "rich-spy")
    fair._regime = REGIMES["quiet"]
    call = nearest(rich, "SPY", at("09:30")).con_id
    for clock, share in (("09:30", 1.0), ("12:45", 0.5), ("15:59", 0.0)):
        more = rich.quote(call, at(clock)).ask - fair.quote(call, at(clock)).ask
        assert more == pytest.approx(share * RICHNESS, abs=0.02)


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 23400), st.integers(0, 23400))
def test_moments_lie_between_their_ends_and_in_order(first, second):
    market = day()
    after, until = (market.open + timedelta(seconds=s) for s in sorted((first, second)))
    found = list(market.moments(after, until))
    assert found == sorted(found)
    assert all(after < moment <= until for moment in found)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_path_is_made_of_what_python_itself_would_draw(before):
    ours, theirs = Random(7), Random(7)
    for random in (ours, theirs):
        for _ in range(before):  # the second of a pair may be left
            random.gauss(0, 1)
    assert list(itertools.islice(path._normals(ours), 1001)) == [theirs.gauss(0, 1) for _ in range(1001)]


def test_what_draws_to_a_strike_does_nothing_else():
    """The last hours of such a day are drawn as if there were no slide, jump, halt or drift."""
    pinned = [regime for regime in REGIMES.values() if regime.pin]
    assert pinned
    assert not any(regime.slide or regime.jump or regime.halt or regime.drift for regime in pinned)
