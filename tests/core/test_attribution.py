"""Where a trade's P&L came from."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from closed_spreads import CLOSE, LEAVE, OPEN, a_fill, a_mark, a_trade, an_order, fills_of, pnl_of
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.attribution import TOTAL, analyse, attribution
from spxarb.core.black_scholes import call_value, years_of
from spxarb.core.model import (
    LegName,
    Side,
    dec,
)
from spxarb.core.order_words import Purpose
from spxarb.core.trades import TradeState


def found(trade=None, fills=None, marks=None, orders=None, *, settled=False):
    fills = fills_of() if fills is None else fills
    return analyse(
        trade or a_trade(pnl_of(fills)),
        fills,
        [a_mark()] if marks is None else marks,
        [an_order()] if orders is None else orders,
        CLOSE,
        settled=settled,
    )


def together(parts):
    return sum(getattr(parts, name) for name in TOTAL)


def test_fills_at_the_touch_have_no_slippage_and_pay_half_of_each_width():
    """Half widths: 0.20 and 0.10 of SPX, 10 x 0.01 twice of SPY, times 100."""
    analysis = found()
    assert (analysis.entry_slippage, analysis.exit_slippage) == (0, 0)
    assert analysis.parts.width == -(20 + 10 + 10 + 10)
    assert analysis.parts.fees == dec("-23.28")


def test_a_fill_worse_than_the_touch_is_slippage_and_a_better_one_gains():
    """SPX one tick dearer: -10; SPY a cent worse: -10. At the exit SPY a cent better: +10."""
    analysis = found(fills=fills_of(spx_in="18.30", spy_in="2.23", spy_out="0.79"))
    assert (analysis.entry_slippage, analysis.exit_slippage) == (-20, 10)
    assert analysis.parts.slippage == -10


@given(
    st.decimals("6700", "6890", places=2),
    st.decimals("0", "90", places=2),
    st.decimals("0", "12", places=2),
    st.decimals("0.01", "90", places=2),
)
def test_the_parts_add_up_to_the_result_to_the_cent(spx, bid, spy_out, width):
    fills = fills_of(spx_out=str(bid), spy_out=str(spy_out))
    mark = a_mark(spx=str(spx), bid=str(bid), ask=str(bid + width))
    analysis = found(a_trade(pnl_of(fills)), fills, [mark])
    if analysis.not_attributed is None:
        assert together(analysis.parts) == analysis.net_pnl == pnl_of(fills)
        parts = analysis.parts
        of_it = parts.mismatch_underlying + parts.mismatch_time + parts.mismatch_volatility
        assert of_it == parts.mismatch


def valued(spot, volatility, at, strike):
    return call_value(spot, strike, volatility, years_of((CLOSE - at).total_seconds() / 60))


def test_what_the_market_did_to_the_mismatch_is_its_change_of_value_by_black_scholes():
    """A day of 12 % throughout: quotes are made of the model, so all else is nothing."""
    start, end, level = 6795.2, 6830.0, 10.03 * 677
    at_k = [valued(start, 0.12, OPEN, 6795), valued(end, 0.12, LEAVE, 6795)]
    at_rk = [valued(start, 0.12, OPEN, level), valued(end, 0.12, LEAVE, level)]
    quotes = [dec(round(value, 4)) for value in at_k]
    spy = [dec(round(value / 10.03, 6)) for value in at_rk]
    trade = a_trade(spx_price=dec(str(start)), spx_entry_bid=quotes[0], spx_entry_ask=quotes[0])
    trade = replace(trade, spy_entry_bid=spy[0], spy_entry_ask=spy[0])
    fills = fills_of(*map(str, (quotes[0], spy[0], spy[1], quotes[1])))
    mark = a_mark(
        spx=str(end), bid=str(quotes[1]), ask=str(quotes[1]), spy_bid=str(spy[1]), spy_ask=str(spy[1])
    )
    analysis = found(replace(trade, final_pnl=pnl_of(fills)), fills, [mark])
    expected = 100 * ((at_k[1] - at_k[0]) - (at_rk[1] - at_rk[0]))
    assert float(analysis.parts.mismatch) == pytest.approx(expected, abs=1)
    assert float(analysis.parts.mismatch_volatility) == pytest.approx(0, abs=1)
    rest = (100 - 1000 / 10.03) * (at_rk[1] - at_rk[0])
    parts = analysis.parts
    assert float(parts.underlying + parts.time + parts.volatility) == pytest.approx(rest, abs=1)
    assert float(parts.pricing) == pytest.approx(0, abs=3)
    assert (parts.width, parts.slippage) == (0, 0)


@pytest.mark.parametrize(
    ("fields", "more", "why"),
    [
        ({}, {"marks": []}, "no mark just before the exit"),
        ({}, {"marks": [a_mark(LEAVE - timedelta(minutes=11))]}, "no mark just before the exit"),
        ({}, {"marks": [a_mark(LEAVE + timedelta(minutes=1))]}, "no mark just before the exit"),
        ({}, {"marks": [a_mark(bid=None)]}, "a quote is missing"),
        ({"spx_entry_bid": None}, {}, "a quote is missing"),
        ({}, {"settled": True}, "settled in cash"),
        ({"state": TradeState.OPEN}, {}, "open"),
        ({"state": TradeState.UNKNOWN}, {}, "its result is not known"),
        ({"state": TradeState.UNWOUND}, {}, "the entry was undone"),
        ({}, {"fills": []}, "nothing was filled"),
    ],
)
def test_without_quotes_at_both_ends_the_parts_are_unknown_and_never_0(fields, more, why):
    analysis = found(a_trade(**fields), **more)
    assert analysis.not_attributed == why
    assert set(vars(analysis.parts).values()) == {None}


def test_the_last_mark_before_the_exits_first_order_counts():
    marks = [a_mark(LEAVE - timedelta(minutes=5), bid="9.00", ask="9.20"), a_mark()]
    assert found(marks=marks).exit_slippage == 0
    assert found(marks=marks[:1]).exit_slippage == -340


def test_a_trade_that_a_human_closed_is_marked_and_not_attributed():
    fills = [*fills_of()[:2], a_fill(LegName.SPY, Purpose.BY_HAND, Side.BUY, 10, "0.8", LEAVE)]
    analysis = found(fills=fills)
    assert (analysis.by_hand, analysis.not_attributed) == (True, "closed by hand")
    assert analysis.exit_slippage is None
    assert analysis.net_pnl is not None


def test_the_sums_are_over_what_can_be_attributed_and_the_rest_is_named():
    whole, open_trade = found(), found(a_trade(state=TradeState.OPEN))
    settled = found(settled=True)
    sums = attribution([whole, settled, open_trade])
    assert (sums.trades, sums.net_pnl, sums.others, sums.others_pnl) == (1, whole.net_pnl, 1, settled.net_pnl)
    assert together(sums.parts) == sums.net_pnl
    assert sums.entry_slippage_trades == 3


def test_of_nothing_nothing_is_attributed():
    sums = attribution([])
    assert (sums.trades, sums.net_pnl, sums.others_pnl, sums.entry_slippage) == (0, None, None, None)
    assert set(vars(sums.parts).values()) == {None}
