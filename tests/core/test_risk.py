"""The risk of an open spread: dollars on one axis, one source for both legs, nothing where it is not known."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.black_scholes import call_value, years_of
from spxarb.core.contracts import Quote
from spxarb.core.greeks import Greeks, GreekSource, PositionGreeks
from spxarb.core.model import LegName, dec
from spxarb.core.risk import (
    HeldCall,
    HeldSpread,
    call_of,
    leg_rows,
    position_greeks,
    stress,
)

YEARS = years_of(360)
SPX, SPY = Decimal(6800), Decimal("677.97")


def spread(
    *, spx: Decimal = SPX, strike: int = 6800, volatility: float = 0.15, minutes: float = 360, **more
) -> HeldSpread:
    """One SPX call, ten SPY calls, each quoted at its value; r = 6800 / 677.97, closing now makes 350."""
    spy, years = spx * SPY / SPX, years_of(minutes)
    legs = [
        HeldCall(Decimal(count), Decimal(at), under, dec(call_value(float(under), at, volatility, years)))
        for count, at, under in ((1, strike, spx), (-10, 678, spy))
    ]
    return HeldSpread(1, *legs, years, **{"pnl": Decimal(350), "booked": Decimal(408), **more})


MODEL = {"spx": Greeks(0.5, 0.003, -16.0, 0.7, 0.11), "spy": Greeks(0.48, 0.031, -1.6, 0.07, 0.12)}


def with_models(held: HeldSpread, *legs: str) -> HeldSpread:
    return replace(held, **{leg: replace(getattr(held, leg), model=MODEL[leg]) for leg in legs})


# --- greeks ---------------------------------------------------------------------------------------


def test_the_gateways_greeks_are_dollars_over_both_legs_for_one_index_point():
    """r = 10.03: 100 x 0.5 - 1000 x 0.48 / r; gamma by r squared; theta and vega have no axis."""
    found = position_greeks(with_models(spread(), "spx", "spy"))
    r = 6800 / 677.97
    assert found.source == GreekSource.GATEWAY
    assert found.delta == pytest.approx(50 - 480 / r)
    assert found.gamma == pytest.approx(0.3 - 31 / r**2, abs=1e-6)
    assert found.theta == pytest.approx(-1600 + 1600)
    assert found.vega == pytest.approx(70 - 70)


@pytest.mark.parametrize("legs", [(), ("spx",), ("spy",)])
def test_where_one_leg_lacks_the_gateways_greeks_both_are_our_own(legs):
    held = with_models(spread(), *legs)
    assert position_greeks(held).source == GreekSource.OWN
    assert position_greeks(held) == position_greeks(spread())
    assert {row.source for row in leg_rows(held)} == {GreekSource.OWN}


def test_our_own_greeks_are_the_slopes_of_what_the_spread_is_worth():
    def worth(spx: float, volatility: float, years: float) -> float:
        spy = spx * float(SPY / SPX)
        return 100 * call_value(spx, 6800, volatility, years) - 1000 * call_value(spy, 678, volatility, years)

    found, at = position_greeks(spread()), (6800.0, 0.15, YEARS)
    assert found.delta == pytest.approx((worth(6800.1, *at[1:]) - worth(6799.9, *at[1:])) / 0.2, abs=1e-3)
    assert found.vega == pytest.approx(
        (worth(6800, 0.1505, YEARS) - worth(6800, 0.1495, YEARS)) / 0.1, abs=1e-3
    )
    day = 1 / 365
    assert found.theta == pytest.approx(
        (worth(6800, 0.15, YEARS - day / 1e4) - worth(6800, 0.15, YEARS + day / 1e4)) / 2 * 1e4, abs=0.01
    )


def test_each_leg_that_is_held_has_its_row():
    rows = {row.symbol: row for row in leg_rows(with_models(spread(), "spx", "spy"))}
    assert (rows[LegName.SPX].contracts, rows[LegName.SPY].contracts) == (1, -10)
    assert (rows[LegName.SPY].delta, rows[LegName.SPY].volatility) == (0.48, 0.12)


def test_a_leg_that_is_closed_has_no_risk():
    held = spread()
    alone = replace(held, spy=replace(held.spy, contracts=Decimal(0), mid=None))
    assert [row.symbol for row in leg_rows(alone)] == [LegName.SPX]
    assert position_greeks(alone).delta == pytest.approx(100 * leg_rows(alone)[0].delta)


def test_a_call_deep_in_the_money_takes_the_volatility_of_the_other_leg():
    """Its mid is below its intrinsic value: 40 points in the money at 39.90."""
    held = spread(spx=Decimal(6840))
    deep = replace(held, spx=replace(held.spx, mid=Decimal("39.9")))
    rows = {row.symbol: row for row in leg_rows(deep)}
    assert rows[LegName.SPX].volatility == pytest.approx(0.15, abs=1e-6)
    assert rows[LegName.SPX].delta == pytest.approx(leg_rows(held)[0].delta, abs=1e-6)


@pytest.mark.parametrize(("apart", "taken"), [("0.05", LegName.SPX), ("-0.05", LegName.SPY)])
def test_both_legs_have_one_volatility_that_of_the_leg_with_more_time_value(apart, taken):
    """Where each mid told its own, the net would be noise: five cents of SPY are half a point of SPX."""
    held = spread()
    told = replace(held, spy=replace(held.spy, mid=held.spy.mid - Decimal(apart)))
    rows = {row.symbol: row for row in leg_rows(told)}
    own = {LegName.SPX: told.spx.own_volatility(YEARS), LegName.SPY: told.spy.own_volatility(YEARS)}
    assert abs(own[LegName.SPX] - own[LegName.SPY]) > 0.002
    assert {row.volatility for row in rows.values()} == {own[taken]}
    assert position_greeks(told).vega == pytest.approx(position_greeks(held).vega, abs=0.05)


@pytest.mark.parametrize(
    "held",
    [
        spread(minutes=0),
        replace(spread(), spx=replace(spread().spx, under=None)),
        replace(spread(), spx=replace(spread().spx, mid=Decimal(0)), spy=replace(spread().spy, mid=None)),
    ],
    ids=["no time left", "no price of SPX", "no mids"],
)
def test_greeks_that_cannot_be_known_are_none(held):
    assert position_greeks(held) == PositionGreeks()
    assert {(row.source, row.delta, row.volatility) for row in leg_rows(held)} == {(None, None, None)}


def test_a_bid_of_nothing_beside_an_ask_is_a_mid_of_half_the_ask():
    quote = Quote(ask=Decimal("0.10"), no_bid=True, bid_told=True)
    assert call_of(Decimal(1), Decimal(6800), SPX, quote).mid == Decimal("0.05")
    assert call_of(Decimal(1), Decimal(6800), SPX, Quote(ask=Decimal("0.10"))).mid is None


# --- the stress table -----------------------------------------------------------------------------


def test_the_table_has_every_move_and_its_prices():
    rows = stress([spread()])
    assert [row.move for row in rows] == [Decimal(n) for n in ("-2", "-1", "-0.5", "0", "0.5", "1", "2")]
    assert [row.spx_price for row in rows][::6] == [Decimal("6664.00"), Decimal("6936.00")]
    assert rows[0].spy_price == Decimal("664.41")


def test_without_a_move_the_result_is_that_of_now():
    (row,) = [row for row in stress([spread()]) if row.move == 0]
    assert row.pnl == 350
    assert row.pnl_volatility_down != 350 != row.pnl_volatility_up


def test_a_shock_changes_the_result_by_what_both_legs_are_worth_then():
    (row,) = [row for row in stress([spread()]) if row.move == 1]
    spx, spy = 6868.0, 677.97 * 1.01
    before = 100 * call_value(6800, 6800, 0.15, YEARS) - 1000 * call_value(677.97, 678, 0.15, YEARS)
    after = 100 * call_value(spx, 6800, 0.1725, YEARS) - 1000 * call_value(spy, 678, 0.1725, YEARS)
    assert float(row.pnl_volatility_up) == pytest.approx(350 + after - before, abs=0.02)


def test_at_expiry_both_legs_are_worth_their_intrinsic_value():
    """Up 2 %: SPX 6936 pays 13,600, SPY 691.5294 costs 13,529.40; below both strikes the credit is kept."""
    rows = {row.move: row.pnl_at_expiry for row in stress([spread()])}
    assert rows[Decimal(-2)] == 408
    assert rows[Decimal(2)] == Decimal(408) + Decimal(13600) - Decimal("13529.40")


def test_open_spreads_are_stressed_together_and_an_unknown_one_makes_the_sum_unknown():
    one, other = spread(), replace(spread(strike=6805), trade_id=2, pnl=Decimal(100))
    both = stress([one, other])
    apart = [stress([held]) for held in (one, other)]
    assert [row.pnl for row in both] == [a.pnl + b.pnl for a, b in zip(*apart, strict=True)]
    blind = stress([one, replace(other, pnl=None, booked=None)])
    assert {(row.pnl, row.pnl_volatility_up, row.pnl_at_expiry) for row in blind} == {(None, None, None)}


def test_with_nothing_open_there_is_no_table():
    assert stress([]) == []


def test_without_any_volatility_only_the_result_at_expiry_is_known():
    rows = stress([spread(minutes=0)])
    assert {(row.pnl, row.pnl_volatility_down) for row in rows} == {(None, None)}
    assert None not in {row.pnl_at_expiry for row in rows}


PRICE = st.one_of(st.none(), st.decimals(0, 20_000, places=2))
CALLS = st.builds(HeldCall, st.integers(-20, 20).map(Decimal), st.decimals(0, 20_000, places=2), PRICE, PRICE)


@given(CALLS, CALLS, st.floats(0, 1), st.one_of(st.none(), st.decimals(-10_000, 10_000, places=2)))
def test_no_prices_make_it_raise(spx, spy, years, pnl):
    held = HeldSpread(1, spx, spy, years, pnl, pnl)
    position_greeks(held)
    leg_rows(held)
    assert len(stress([held])) == 7
