"""Phrases made into sentences."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.sentences import beside, lower_first, plain_beside, sentence, upper_first, usd


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("others sold SPX calls", "Others sold SPX calls."),
        ("Others sold SPX calls.", "Others sold SPX calls."),
        (" the index halted.. ", "The index halted."),
        ("the ledger holds +1; was it closed by hand?", "The ledger holds +1; was it closed by hand?"),
        ("look now!", "Look now!"),
        ("10 of 10 filled", "10 of 10 filled."),
        ("", ""),
        (".", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_and_ends_once(text, wanted):
    assert sentence(text) == wanted


@given(st.text())
def test_a_sentence_stays_the_sentence_that_it_is(text):
    assert sentence(sentence(text)) == sentence(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The broker does not tell", "the broker does not tell"),
        ("A bug", "a bug"),
        ("SPX is halted", "SPX is halted"),
        ("IB liquidated", "IB liquidated"),
        ("already", "already"),
        ("", ""),
    ],
)
def test_a_phrase_within_a_sentence_begins_small_unless_it_begins_with_a_name(text, wanted):
    assert lower_first(text) == wanted


def test_a_capital_is_put_in_front_and_nothing_else_is_changed():
    assert [upper_first("trade 3: SPX"), upper_first("")] == ["Trade 3: SPX", ""]


@given(st.decimals(-10_000, 10_000, places=9), st.decimals(-10_000, 10_000, places=2), st.integers(0, 4))
def test_a_number_beside_its_limit_is_never_rounded_across_it(value, limit, places):
    shown = Decimal(beside(value, limit, places))
    assert (shown > limit, shown < limit) == (value > limit, value < limit)
    assert abs(shown - value) <= Decimal(1) / 2 / 10**places


def test_a_number_beside_its_limit_is_as_short_as_it_may_be():
    assert [beside(10.04, 10, 0), beside(12.4, 10, 0), beside(Decimal("10.05004"), Decimal("10.05"), 4)] == [
        *("10.04", "12", "10.05004")
    ]
    assert [plain_beside(Decimal("2.000001"), Decimal(2)), plain_beside(Decimal("0.50"), Decimal(2))] == [
        *("2.000001", "0.5")
    ]


def test_an_amount_that_rounds_to_nothing_has_no_sign():
    amounts = "-0.001", "-0.00", "0", "-0.01", "-1234.5"
    assert [usd(Decimal(amount)) for amount in amounts] == ["$0.00", "$0.00", "$0.00", "-$0.01", "-$1,234.50"]
