"""Drawings of a report: from numbers to SVG."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.cli.report_charts import bins, calendar, equity_curve, histogram, round_steps
from spxarb.core.model import dec
from spxarb.core.performance import DayResult

MONDAY = date(2026, 2, 9)
amounts = st.lists(st.decimals("-5000", "5000", places=2), min_size=1, max_size=60)


def days_of(*pnls):
    return [
        DayResult(MONDAY + timedelta(days=number), dec(str(pnl)), 1 if pnl else 0)
        for number, pnl in enumerate(pnls)
    ]


def titles(svg):
    return [element.text for element in ET.fromstring(svg).iter("title")]


@pytest.mark.parametrize(
    ("low", "high", "steps"),
    [
        (0, 0, [0, 1]),
        (-3, 7, [-4, -2, 0, 2, 4, 6, 8]),
        (0, 1000, [0, 200, 400, 600, 800, 1000]),
        (5, 5, [5, 6]),
    ],
)
def test_an_axis_has_round_numbers_that_hold_its_range(low, high, steps):
    assert round_steps(low, high) == pytest.approx(steps)


def test_of_nothing_nothing_is_drawn():
    assert (equity_curve([]), histogram([]), calendar([])) == ("", "", "")


def test_the_curve_begins_at_0_and_its_title_tells_the_end():
    svg = equity_curve(days_of(100, -250.5))
    assert titles(svg) == ["Running total of net P&L over 2 trading days: -$150.50"]
    (points,) = re.findall(r'<polyline points="([^"]+)"', svg)
    heights = [float(point.split(",")[1]) for point in points.split()]
    assert len(heights) == 3
    assert heights[1] < heights[0] < heights[2], "down is more"


@given(amounts)
def test_every_trade_is_in_one_bar_and_no_bar_mixes_gains_and_losses(pnls):
    bars = bins([float(pnl) for pnl in pnls])
    assert sum(count for _, _, count in bars) == len(pnls)
    assert len(bars) <= 27
    for low, high, _ in bars:
        assert low >= 0 or high <= 1e-9


@given(amounts)
def test_a_drawing_is_well_formed_and_nothing_lies_outside(pnls):
    for svg in (equity_curve(days_of(*pnls)), histogram(pnls), calendar(days_of(*pnls))):
        root = ET.fromstring(svg)
        width, height = map(float, root.get("viewBox").split()[2:])
        for element in root.iter():
            for name, limit in (("x", width), ("x2", width), ("y", height), ("y2", height)):
                if element.get(name):
                    assert -1 <= float(element.get(name)) <= limit + 1


def test_each_day_of_the_calendar_tells_its_result():
    """A Saturday has no cell: the exchange is closed."""
    told = titles(calendar(days_of(10, 0, -5, 0, 0, 7)))[1:]
    assert told == [
        "2026-02-09: $10.00, 1 trade",
        "2026-02-10: no trade",
        "2026-02-11: -$5.00, 1 trade",
        "2026-02-12: no trade",
        "2026-02-13: no trade",
    ]
