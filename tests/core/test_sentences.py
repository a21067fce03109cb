"""Phrases made into sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.sentences import lower_first, sentence, upper_first


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
