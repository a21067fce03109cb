"""The broker's words: which a human must read, which explain a refusal, and what to do about them."""

import pytest

from spxarb.core.broker_words import Message, told, with_words

LIMIT = Message(451, "The following order value exceeds the total value limit.")
ODD = Message(4711, "The moon is in the wrong house.")
DISCLAIMER = Message(10141, "Paper trading disclaimer must first be accepted for API connection.")


@pytest.mark.parametrize(
    ("code", "text", "warns"),
    [
        (2148, "URGENT: liquidation of positions may commence. Account: U1234567", True),
        (2148, "URGENT: liquidation of positions may commence. Account: U7654321", False),
        (2148, "DRINGEND", True),
        (2160, "Your account has a margin deficiency", True),
        (9999, "Positions were liquidated", True),
        (9999, "Have a nice day", False),
        (2104, "Market data farm connection is OK: urgent", False),
        (1100, "Connectivity has been lost. URGENT", False),
    ],
)
def test_a_warning_of_the_account_is_known_by_its_code_or_by_its_words(code, text, warns):
    assert Message(code, text).warns_of("U1234567") is warns


@pytest.mark.parametrize(
    ("code", "ours", "explains"),
    [
        *(
            (code, ours, True)
            for code in (201, 110, 383, 451, 478, 2139, 4711, 10141)
            for ours in (True, False)
        ),
        *((code, ours, False) for code in (399, 2109, 10349, 10147, 10148, 104) for ours in (True, False)),
        (202, True, False),
        (202, False, True),
    ],
)
def test_what_was_said_of_an_order_explains_its_end_unless_it_answers_us_or_only_warns(code, ours, explains):
    assert Message(code, "text").explains(cancelled_by_us=ours) is explains


def test_a_reason_gets_the_brokers_words_once_and_what_to_do():
    why = with_words("SPX filled 0 of 1: not filled in time", [LIMIT, LIMIT, ODD])
    assert why.count("451 The following") == 1
    assert why.startswith("SPX filled 0 of 1: not filled in time; the broker said: 451 The following")
    assert "4711 The moon is in the wrong house" in why
    assert "Precautions" in why
    assert with_words(why, [LIMIT, ODD]) == why


def test_a_reason_that_has_the_words_gets_the_advice_alone():
    assert with_words(f"refused: {DISCLAIMER}", [DISCLAIMER]).endswith("and run this again")
    assert with_words("no reason", []) == "no reason"


def test_words_are_one_line_without_a_last_full_stop():
    assert told([ODD, ODD]) == "4711 The moon is in the wrong house"
    assert ".." not in told([LIMIT, ODD])
