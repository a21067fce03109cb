"""The day before SPY goes ex-dividend, by the rule."""

from __future__ import annotations

from datetime import date

import pytest

from spxarb.core.dividends import ex_date_after, expected_ex_dates

JUNETEENTH = date(2026, 6, 19)


def test_the_ex_dates_are_third_fridays():
    found = expected_ex_dates(2025, closed=())
    assert found == (date(2025, 3, 21), date(2025, 6, 20), date(2025, 9, 19), date(2025, 12, 19))


def test_where_that_friday_is_a_holiday_both_neighbours_may_be_it():
    found = expected_ex_dates(2026, closed={JUNETEENTH})
    assert found == tuple(date(2026, *day) for day in ((3, 20), (6, 18), (6, 22), (9, 18), (12, 18)))


@pytest.mark.parametrize(
    ("day", "following"),
    [
        (date(2026, 3, 19), date(2026, 3, 20)),
        (date(2026, 3, 18), None),
        (date(2026, 3, 20), None),
        (date(2026, 6, 17), date(2026, 6, 18)),
        (date(2026, 6, 18), date(2026, 6, 22)),
    ],
)
def test_the_evening_before_is_told_from_every_other(day, following):
    assert ex_date_after(day, closed={JUNETEENTH}) == following
