"""No full account number leaves the program in writing, and nothing else is touched."""

from __future__ import annotations

import pytest

from spxarb.core.masking import masked_accounts, quoted


@pytest.mark.parametrize(
    ("account", "shown"),
    [
        ("U1234567", "U***567"),
        ("DU1234567", "DU***567"),
        ("DUM123456", "DUM***456"),
        ("DF7654321", "DF***321"),
        ("F7654321", "F***321"),
        ("I1234567", "I***567"),
        ("SIM0000001", "SIM***001"),
    ],
)
def test_an_account_keeps_its_kind_and_its_last_three_characters(account, shown):
    assert masked_accounts(f"Account {account}, not '{account}'.") == f"Account {shown}, not '{shown}'."


def test_a_configured_account_of_any_form_is_masked():
    assert masked_accounts("the account X9Y8Z7 is unknown", "X9Y8Z7") == "the account ***8Z7 is unknown"


@pytest.mark.parametrize(
    "text",
    [
        "SPXW  260210C06665000",
        "order spxarb:77d095:1:SPX:e1: filled 1 at 26",
        "EUR12345",
        "run 12345678",
        "SPY 665",
    ],
)
def test_contracts_orders_and_numbers_stay(text):
    assert masked_accounts(text) == text


@pytest.mark.parametrize(
    ("name", "shown"),
    [("DU1", "DU1"), ("DU1 ", "'DU1 '"), ("D U1", "'D U1'"), ("DU1\u200b", "'DU1\\u200b'"), ("", "''")],
)
def test_a_name_is_quoted_where_a_part_of_it_is_not_seen(name, shown):
    assert quoted(name) == shown
