"""What `report` says on the screen."""
# ruff: noqa: RUF001 -- a dash is what is shown

from __future__ import annotations

from datetime import date, datetime

import pytest

from spxarb.cli.blocks import Grid, Line, Pairs
from spxarb.cli.report_screens import alike, between, drawdown, fallen, figure, percent, report
from spxarb.core.claims import Unit, claims
from spxarb.core.entry_reasons import QuietDay
from spxarb.core.model import NEW_YORK, dec
from spxarb.core.performance import DayResult
from spxarb.core.results.report import ReportResult
from spxarb.core.statistics import Statistics, statistics, with_days

AT = datetime(2026, 2, 13, 9, 41, 5, tzinfo=NEW_YORK)


def result(**fields):
    return ReportResult("report", AT, "paper", **fields)


@pytest.mark.parametrize(
    ("rate", "shown"),
    [
        ("0.5", "50.0 %"),
        ("1", "100.0 %"),
        ("0", "0.0 %"),
        ("0.0004", "< 0.1 %"),
        ("0.8549", "85.5 %"),
        (None, "–"),
    ],
)
def test_a_rate_is_shown_as_a_percentage(rate, shown):
    assert percent(None if rate is None else dec(rate)) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        ("-12345.67", Unit.DOLLARS, "-$12,346"),
        ("126000", Unit.DOLLARS, "$126K"),
        ("-2520000", Unit.DOLLARS, "-$2,520K"),
        ("1.5", Unit.TRADES, "1.50"),
        ("0.85", Unit.RATE, "85.0 %"),
        (None, Unit.DOLLARS, "–"),
    ],
)
def test_a_figure_of_a_claim_is_short(value, unit, shown):
    assert figure(None if value is None else dec(value), unit) == shown


def test_an_interval_with_one_end_unknown_is_none():
    assert between(None, dec(5), Unit.DOLLARS) == "–"


def test_days_that_follow_each_other_for_the_same_reason_are_one_line():
    whys = ["No command ran.", "No command ran.", "Enter did not run.", "No command ran."]
    days = [QuietDay(date(2026, 2, 9 + number), 0, (), None, why) for number, why in enumerate(whys)]
    assert alike(days) == [
        ("2026-02-09 to 2026-02-10", "No command ran."),
        ("2026-02-11", "Enter did not run."),
        ("2026-02-12", "No command ran."),
    ]


def test_a_drawdown_has_depth_and_length():
    figures = Statistics(
        max_drawdown=dec(340),
        drawdown_low=date(2026, 2, 11),
        drawdown_days=12,
        drawdown_over=date(2026, 2, 20),
    )
    assert drawdown(figures) == "$340.00, 12 trading days"
    assert fallen(figures) == "the beginning, 2026-02-11, 2026-02-20"
    assert fallen(Statistics()) == "–"
    assert drawdown(Statistics(max_drawdown=dec(0))) == "$0.00"
    assert drawdown(Statistics()) == "–"


def test_a_report_of_nothing_can_be_drawn_and_says_so():
    texts = [block.text for block in report(result(statistics=statistics([]))) if isinstance(block, Line)]
    assert texts[0] == "no day · 0 trading days · 0 closed trades"
    assert texts[1] == "There is no finished trade: nothing is known yet."


def test_the_longest_figures_fit_eighty_columns():
    """Six digits before the point everywhere, a claim's interval in thousands."""
    pnls = [dec("-123456.78"), dec("234567.89")] * 20
    days = [DayResult(date(2026, 2, 9), pnl, 1) for pnl in pnls]
    figures = with_days(statistics(pnls), [(date(2026, 2, 9), pnl) for pnl in pnls], days)
    found = claims(pnls, pnls, [1] * 40, dec(50_000))
    for block in report(result(statistics=figures, claims=found)):
        if isinstance(block, Grid):
            assert width_of(block) <= 80, block.title
        if isinstance(block, Pairs):
            assert max(len(name) + len(text_of(cell)) for name, cell in block.rows) <= 78, block.title


def text_of(cell):
    return cell if isinstance(cell, str) else cell[0]


def width_of(block):
    rows = [block.columns, *block.rows]
    widths = [
        max(len(text_of(row[place]).lstrip(">")) for row in rows) for place in range(len(block.columns))
    ]
    return sum(widths) + 3 * (len(widths) - 1)
