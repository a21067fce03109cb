"""What is said beside the price of SPX by which an open spread is looked at."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from spxarb.core.contracts import Contract, Quote
from spxarb.core.records import Trade
from spxarb.core.trades import TradeState
from spxarb.trading.marks import MarkedTrade, print_in_doubt

D = Decimal
DAY = date(2026, 2, 10)
SPX, SPY = (Contract(n, symbol, "OPT", expiry=DAY) for n, symbol in ((1, "SPX"), (2, "SPY")))


def marked(*, spx: str | None, spy: str | None, ratio: str | None) -> MarkedTrade:
    trade = Trade(1, DAY, TradeState.OPEN, "DU1", SPX, SPY, 1, 10, ratio=ratio and D(ratio))
    prices = spx and D(spx), spy and D(spy)
    return MarkedTrade(trade, D(1), D(-10), *prices, Quote(), Quote(), None, None, None)


@pytest.mark.parametrize("spx", ["6805.01", "6794.99"])
def test_a_print_of_spx_far_from_what_spy_says_is_told_with_both_figures(spx):
    (note,) = print_in_doubt([marked(spx=spx, spy="680", ratio="10")], D(5))
    assert note == (
        f"Trade 1 is looked at by the print of SPX, {D(spx):,.2f}, which is 5.01 points from its ratio at entry "
        "times SPY, 6,800.00: its risk and its distance from the strike may be as wrong."
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
def test_a_print_that_is_near_or_cannot_be_compared_is_not_doubted(spx, spy, ratio):
    assert print_in_doubt([marked(spx=spx, spy=spy, ratio=ratio)], D(5)) == []
