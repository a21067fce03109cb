"""What margin needs, what the account has, and in which money each is told."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from spxarb.core.margin import (
    AccountValues,
    MarginAnswer,
    after_expiration,
    in_money_of,
    margin_check,
    margin_not_asked,
    too_soon,
)
from spxarb.core.model import NEW_YORK, dec

YEN = dec("150")
NOW = datetime(2026, 2, 10, 9, 35, tzinfo=NEW_YORK)


def account(funds: str | None = "100000", currency: str = "USD", **more):
    rate = {"USD": dec(1), "JPY": YEN}.get(currency)
    amount = None if funds is None else dec(funds)
    return AccountValues("SIM1", available_funds=amount, currency=currency, **{"per_dollar": rate, **more})


def answer(change: str | None = "50000", **more):
    told = dict.fromkeys(("maintenance_change", "equity_with_loan_after", "initial_after", "commission"))
    return MarginAnswer(**{"initial_change": None if change is None else dec(change), **told, **more})


# --- in dollars ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("funds", "ok"), [("60000.00", True), ("59999.99", False), ("1000000", True)])
def test_the_available_funds_carry_the_margin_with_a_reserve(funds, ok):
    found = margin_check(answer(), account(funds), dec("1.2"))
    assert (found.name, found.ok, found.value, found.limit) == ("margin", ok, 60000, dec(funds))
    assert "needs $60,000.00 of margin with a reserve (factor 1.2)" in found.message


def test_a_refusal_by_the_broker_is_told_in_its_words():
    found = margin_check(answer(None, rejected="Equity too low."), account())
    assert (found.ok, found.message) == (False, "The broker would refuse the order: Equity too low.")


def test_a_refusal_counts_though_a_margin_was_told():
    assert margin_check(answer("1", rejected="No permission"), account()).ok is False


@pytest.mark.parametrize(
    ("what", "funds"), [(None, "50000"), (answer(None), "50000"), (answer(), None), (None, None)]
)
def test_a_margin_that_nobody_told_is_no_pass(what, funds):
    assert margin_check(what, account(funds)).ok is None


def test_a_change_that_is_not_told_is_margin_after_less_margin_before():
    told = answer(None, initial_after=dec(150), initial_before=dec(50))
    assert margin_check(told, account()).value == 120
    assert margin_check(answer(None, initial_after=dec(150)), account()).ok is None


def test_an_account_under_water_after_the_order_is_no_pass_though_funds_suffice():
    told = answer("1", equity_with_loan_after=dec(50000), initial_after=dec(50001))
    assert margin_check(told, account("60000")).ok is False


def test_an_order_that_frees_margin_does_not_lift_an_overdrawn_account():
    assert margin_check(answer("-5000"), account("-1")).ok is False


@pytest.mark.parametrize(
    ("yesterday", "ok"), [("70000", True), ("69999.99", False), ("0", False), (None, True)]
)
def test_the_equity_of_the_day_before_carries_all_margin_too(yesterday, ok):
    """10,000 of margin before the order, 60,000 for it."""
    equity = None if yesterday is None else dec(yesterday)
    found = margin_check(answer(initial_before=dec(10000)), account(previous_day_equity=equity))
    assert found.ok is ok
    assert ("tests the equity of the day before" in found.message) is not ok


@pytest.mark.parametrize(("excess", "ok"), [("-0.01", False), ("0", True), ("5000", True), (None, True)])
def test_a_deficit_after_expiration_is_no_pass(excess, ok):
    projected = None if excess is None else dec(excess)
    found = margin_check(answer(), account(post_expiration_excess=projected))
    assert (found.ok, "deficit of $0.01" in found.message) == (ok, not ok)


EQUITY, PROJECTED = "the equity of the day before", "what is projected after expiration"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, f"did not tell {EQUITY} nor {PROJECTED}, so that was not tested."),
        ({"previous_day_equity": dec(10**6)}, f"did not tell {PROJECTED}, so"),
        ({"post_expiration_excess": dec(0)}, f"did not tell {EQUITY}, so"),
        ({"previous_day_equity": dec(10**6), "post_expiration_excess": dec(0)}, ""),
    ],
)
def test_what_the_broker_did_not_tell_is_named_and_decides_nothing(told, words):
    found = margin_check(answer(), account(**told))
    assert (found.ok, words in found.message, "did not tell" in found.message) == (True, True, bool(words))


def test_a_warning_is_told_and_decides_nothing():
    found = margin_check(answer(warning="Your order may be rejected"), account())
    assert (found.ok, found.message.endswith("The broker warns: Your order may be rejected.")) == (True, True)


# --- in other money --------------------------------------------------------------------------------------


def test_margin_in_yen_is_compared_with_funds_in_yen_and_shown_in_dollars():
    """135,730 dollars of margin are 20,359,500 yen: no reason to skip with a million dollars."""
    funds = account("150000000", "JPY", equity_with_loan=dec("150000000"))
    told = answer("20359500", equity_with_loan_before=dec("150000000"), currency="JPY")
    found = margin_check(told, funds)
    assert (found.ok, found.value, found.limit) == (True, 162876, 1000000)
    assert "24,431,400.00 JPY ($162,876.00)" in found.message


@pytest.mark.parametrize("word", ["JPY", "USD", "", "EUR"])
def test_the_equity_shows_the_money_of_an_answer_whatever_word_came_with_its_commission(word):
    kept = account("150000000", "JPY", equity_with_loan=dec("150000000"))
    own = answer("20359500", equity_with_loan_before=dec("149500000"), currency=word)
    dollars = answer("135730", equity_with_loan_before=dec("1000000"), currency=word)
    assert in_money_of(own, kept) == own
    assert in_money_of(dollars, kept).initial_change == 20359500
    assert margin_check(dollars, kept).value == margin_check(own, kept).value == 162876


@pytest.mark.parametrize(
    ("word", "before", "equity", "rate"),
    [
        ("USD", None, "150000000", YEN),
        ("", None, "150000000", YEN),
        ("JPY", "777", "150000000", YEN),
        ("USD", "1000000", "150000000", None),
        ("USD", "1000000", None, YEN),
    ],
)
def test_an_answer_of_uncertain_money_is_refused_by_name(word, before, equity, rate):
    kept = account("1", "JPY", equity_with_loan=None if equity is None else dec(equity), per_dollar=rate)
    told = answer(equity_with_loan_before=None if before is None else dec(before), currency=word)
    found = margin_check(told, kept)
    assert (found.ok, found.value) == (None, None)
    assert "The account is kept in JPY, and it is not certain in which currency" in found.message


def test_without_a_rate_money_of_one_currency_is_compared_and_no_dollars_are_shown():
    kept = account("150000000", "JPY", equity_with_loan=dec("150000000"), per_dollar=None)
    found = margin_check(answer("20359500", equity_with_loan_before=dec("150000000")), kept)
    assert (found.ok, found.value, found.limit) == (True, None, None)
    assert "24,431,400.00 JPY of margin" in found.message
    assert "$" not in found.message
    assert kept.in_dollars.available_funds is None


# --- seldom ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ago", "soon"), [(0, True), (59, True), (60, False), (3600, False), (-5, False)])
def test_what_ifs_lie_a_minute_apart(ago, soon):
    why = too_soon(NOW - timedelta(seconds=ago), NOW, 60)
    assert bool(why) is soon
    assert too_soon(None, NOW, 60) == too_soon(NOW, NOW, 0) == ""


def test_margin_that_was_not_asked_says_why():
    found = margin_not_asked("other checks failed.")
    assert (found.name, found.ok, found.message) == (
        "margin",
        None,
        "Margin was not asked: other checks failed.",
    )


def test_a_deficit_after_expiration_is_told_with_its_margin():
    deep = account(post_expiration_excess=dec(-500), post_expiration_margin=dec(204000))
    assert after_expiration(deep) == (
        "after expiration the broker projects a deficit of $500.00 (margin $204,000.00)"
    )
    assert after_expiration(account(post_expiration_excess=dec(0))) == after_expiration(account()) == ""
