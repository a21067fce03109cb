"""What is said of a credit is true in every sign and size of it."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.credit_words import compared_with_fair, edge_sentence
from spxarb.core.model import cents

MONEY = st.decimals(-9999, 9999, places=2, allow_nan=False)
AMOUNTS = tuple(map(Decimal, ("-1234.50", "-41.80", "0", "0.01", "408.19", "650.58", "9876.54")))


def worth(said: str) -> Decimal:
    """The number behind `credit of $408.19`, `debit of $41.80` or nothing at all."""
    found = re.search(r"(credit|debit) of \$([\d,]+\.\d\d)", said)
    if found is None:
        assert "nothing" in said
        return Decimal(0)
    figure = Decimal(found[2].replace(",", ""))
    assert figure > 0
    return figure if found[1] == "credit" else -figure


def check(net: Decimal, edge: Decimal) -> None:
    """Read the sentence as a reader would, and hold it against the figures."""
    said = compared_with_fair(net, edge)
    if edge == 0:
        assert worth(said) == net
        assert "just what is fair" in said
        return
    offered, fair = re.split(r" (?:better|worse) than ", said)
    offered, _, difference = offered.partition(" is $")
    assert worth(offered) == net
    assert worth(fair) == net - edge
    assert Decimal(difference.replace(",", "")) == abs(edge)
    assert ("better" in said) is (net > net - edge)


@pytest.mark.parametrize(("net", "edge"), list(product(AMOUNTS, AMOUNTS)))
def test_the_sentence_holds_for_every_sign_of_credit_and_edge(net, edge):
    check(net, edge)


@given(MONEY, MONEY)
def test_the_sentence_holds_for_any_sum(net, edge):
    check(cents(net), cents(edge))


@pytest.mark.parametrize(
    ("net", "edge", "said"),
    [
        (
            "408.19",
            "650.58",
            (
                "Edge: the credit of $408.19 is $650.58 better than the debit of $242.39 that is fair for "
                "these strikes."
            ),
        ),
        (
            "-41.80",
            "-7.25",
            (
                "No edge: the debit of $41.80 is $7.25 worse than the debit of $34.55 that is fair for "
                "these strikes."
            ),
        ),
        ("0", "0", "No edge: an entry for nothing is just what is fair for these strikes."),
    ],
)
def test_the_sentences_are_those_of_a_trader(net, edge, said):
    assert edge_sentence(Decimal(net), Decimal(edge)) == said


def test_without_an_edge_nothing_is_said_and_without_a_credit_only_the_edge():
    assert edge_sentence(Decimal(400), None) == ""
    assert edge_sentence(None, Decimal(12)) == "Edge: $12.00."
