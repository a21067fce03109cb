"""What is shown of a value that not everybody should read, or that cannot be seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.core.masks import masked_account, quoted


@pytest.mark.parametrize(
    ("account", "shown"),
    [("DU1234567", "DU*****67"), ("U7654321", "U7****21"), ("U12", "U**"), ("", ""), ("DU1234", "D*****")],
)
def test_an_account_number_keeps_its_kind_and_its_end(account, shown):
    assert masked_account(account) == shown


@given(st.text(min_size=2))
def test_no_account_number_is_shown_whole(account):
    assert masked_account(account) != account or set(account[1:]) == {"*"}
    assert len(masked_account(account)) == len(account)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("DU1", "DU1"), ("DU1 ", "'DU1 '"), ("D U1", "'D U1'"), ("DU1\u200b", "'DU1\\u200b'"), ("", "''")],
)
def test_a_name_is_quoted_where_a_part_of_it_is_not_seen(name, shown):
    assert quoted(name) == shown
