"""One row an execution for the tax return."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from closed_spreads import CLOSE, LEAVE, OPEN, a_fill, a_trade, fills_of, pnl_of
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.model import LegName, Side, dec
from spxarb.core.order_words import Purpose
from spxarb.core.records import Settlement
from spxarb.core.tax import TaxEvent, tax_rows, tax_totals


def rows_of(fills, settlements=()):
    return tax_rows(a_trade(), fills, settlements, CLOSE)


def test_every_execution_is_a_row_and_spx_alone_is_of_section_1256():
    rows = rows_of(fills_of())
    assert [(row.leg, row.side, row.section_1256) for row in rows] == [
        ("SPX", "BUY", True),
        ("SPY", "SELL", False),
        ("SPY", "BUY", False),
        ("SPX", "SELL", True),
    ]
    assert [row.proceeds for row in rows] == [-1820, 2240, -800, 560]
    assert {row.event for row in rows} == {TaxEvent.EXECUTION}


def test_a_leg_is_realized_where_it_is_closed_with_the_fees_of_both_sides():
    """SPX: 560 - 1820 - 2 x 5.82; SPY: 2240 - 800 - 2 x 5.82."""
    rows = rows_of(fills_of())
    assert [row.realized_pnl for row in rows] == [None, None, dec("1428.36"), dec("-1271.64")]


def test_times_are_new_yorks_and_utcs():
    (row, *_) = rows_of(fills_of())
    assert row.time == OPEN
    assert datetime.fromisoformat(row.time_utc) == OPEN
    assert datetime.fromisoformat(row.time_utc).tzinfo == UTC


def test_parts_are_closed_first_in_first_out_to_the_cent():
    """Bought 10 SPY back in three parts: the opening fee of 5.82 is shared out, the last takes the rest."""
    fills = [
        a_fill(LegName.SPY, Purpose.ENTRY, Side.SELL, 10, "2.24", OPEN),
        *[a_fill(LegName.SPY, Purpose.EXIT, Side.BUY, number, "1.00", LEAVE, "1.00") for number in (3, 3, 4)],
    ]
    rows = rows_of(fills)
    assert [row.realized_pnl for row in rows[1:]] == [dec("369.25"), dec("369.26"), dec("492.67")]
    assert sum(row.realized_pnl for row in rows[1:]) == pnl_of(fills)


def test_a_leg_that_expired_is_realized_by_its_settlement_at_the_close():
    settled = Settlement(1, LegName.SPX, dec(1), dec("6800.5"), dec(550), "official SPX close", LEAVE)
    (*_, row) = rows_of(fills_of()[:3], [settled])
    assert (row.event, row.side, row.quantity, row.exec_id, row.commission) == (
        "settlement",
        "SELL",
        1,
        None,
        0,
    )
    assert (row.time, row.realized_pnl, row.provisional) == (CLOSE, 550 - 1820 - dec("5.82"), True)


def test_what_closes_more_than_was_open_realizes_nothing_known():
    (row,) = rows_of([a_fill(LegName.SPY, Purpose.EXIT, Side.BUY, 10, "1.00", LEAVE)])
    assert row.realized_pnl is None


def test_the_totals_split_section_1256_at_60_to_40():
    totals = tax_totals(rows_of(fills_of()))
    assert (totals.section_1256, totals.other) == (dec("-1271.64"), dec("1428.36"))
    assert (totals.long_term, totals.short_term) == (dec("-762.98"), dec("-508.66"))
    assert totals.total == dec("156.72")


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
    st.decimals("0", "9", places=3),
)
def test_what_is_realized_of_a_closed_leg_is_all_of_its_cash(opened, closed, fee):
    """Whatever the parts; of the contracts that both sides have."""
    count = min(sum(opened), sum(closed))

    def parts(sizes, purpose, side, at):
        left = count
        for size in sizes:
            if left:
                yield a_fill(LegName.SPY, purpose, side, min(size, left), "1.23", at, str(fee))
                left -= min(size, left)

    fills = [
        *parts(opened, Purpose.ENTRY, Side.SELL, OPEN),
        *parts(closed, Purpose.EXIT, Side.BUY, LEAVE),
    ]
    realized = sum(row.realized_pnl or 0 for row in rows_of(fills))
    assert realized == pytest.approx(pnl_of(fills), abs=dec("0.000001"))
