"""The price of SPX by which an open spread is looked at, and what is said beside it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from spxarb.core.contracts import Contract, Quote
from spxarb.core.records import Trade
from spxarb.core.trades import TradeState
from spxarb.trading.marks import MarkedTrade, borne_out, print_in_doubt

D = Decimal
DAY = date(2026, 2, 10)
SPX, SPY = (Contract(n, symbol, "OPT", expiry=DAY) for n, symbol in ((1, "SPX"), (2, "SPY")))


def marked(*, spx: str | None, spy: str | None, ratio: str | None) -> MarkedTrade:
    trade = Trade(1, DAY, TradeState.OPEN, "DU1", SPX, SPY, 1, 10, ratio=ratio and D(ratio))
    printed, spy_price = spx and D(spx), spy and D(spy)
    price = borne_out(trade, printed, spy_price, D(5))
    return MarkedTrade(
        trade, D(1), D(-10), price, spy_price, Quote(), Quote(), None, None, None, spx_print=printed
    )


@pytest.mark.parametrize("spx", ["6805.01", "6794.99"])
def test_where_spy_does_not_bear_the_print_of_spx_out_its_ratio_times_spy_counts_and_both_are_told(spx):
    doubted = marked(spx=spx, spy="680", ratio="10")
    assert doubted.spx_price == 6800
    (note,) = print_in_doubt([doubted])
    assert note == (
        f"Trade 1: the print of SPX, {D(spx):,.2f}, is 5.01 points from its ratio at entry times SPY, 6,800.00, "
        "which counts instead."
    )


@pytest.mark.parametrize(
    ("spx", "spy", "ratio"),
    [
        ("6805", "680", "10"),
        ("6795", "680", "10"),
        (None, "680", "10"),
        ("6900", None, "10"),
        ("6900", "680", None),
    ],
)
def test_a_print_that_is_near_or_cannot_be_compared_counts(spx, spy, ratio):
    believed = marked(spx=spx, spy=spy, ratio=ratio)
    assert (believed.spx_price, print_in_doubt([believed])) == (spx and D(spx), [])
