"""Text from outside: what is left of it can be read, in one line, and has an end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spxarb.broker.convert import number, plain_text
from spxarb.core.printable import (
    MOST,
    from_outside,
    lines_from_outside,
    log_line,
    log_lines,
    quoted_back,
    unescaped,
)


@pytest.mark.parametrize(
    "text", ["Caf\u00e9 \u2013 5 \u20ac", "\u00a3 \u00a5 \u20bf", "\u7f8e\u80a1", "\u05e9\u05dc\u05d5\u05dd", "M\u00fcnchen \u201eja\u201c", "\U0001f600"]
)  # fmt: skip
def test_what_people_write_stays(text):
    assert from_outside(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\nb\r\nc\td\x0be\u2028f\u2029g\x85h", "a b c d e f g h"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07x\x1b]8;;http://a\x1b\\link", "xlink"),
        ("\x1b]0;never ends", "0;never ends"),
        ("\x1bPq#0\x1b\\x", "x"),
        ("a\x00b\x07c\x08d\x7fe", "abcde"),
        ("\u202eevil\u2066\u2069\u200e\u200f\u061c", "evil"),
        ("a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg\u3164h\u115fi\ufe0fj\u2800k", "abcdefghijk"),
        ("\ud83d\udc00 \ue000", ""),
        ("   ", ""),
    ],
)
def test_what_steers_hides_or_forges_does_not(text, left):
    assert from_outside(text) == left


@given(st.text(alphabet=st.characters(), max_size=2000), st.integers(10, 600), st.booleans())
def test_whatever_comes_is_one_printable_line_of_bounded_length(text, most, words):
    found = from_outside(text, most, words=words)
    assert found.isprintable()
    assert len(found) <= most
    assert from_outside(found, most, words=words) == found
    found.encode()


def test_lines_stay_lines_and_nothing_in_them_steers():
    assert lines_from_outside("a  b\r\n\x1b[2Jc\rd\u202e\udcff\n\te") == "a  b\nc\nd\n e"
    assert lines_from_outside("x" * 50_000 + "\ny", 100) == "x" * 99 + "\u2026\ny"


def test_a_megabyte_is_cut_with_a_mark():
    assert from_outside("x" * 1_000_000) == "x" * (MOST - 1) + "\u2026"


def test_the_brokers_escapes_are_letters_first_and_judged_then():
    assert (
        plain_text("M\\u00fcde\\u000aERROR \\u001b[31m\\u202ered &#8238;&#10;x<br>y")
        == "M\u00fcde ERROR red x y"
    )
    assert unescaped("\\ud83d\\ude00 \\ud83d") == "\U0001f600 \ufffd"
    assert len(plain_text("x" * 900_000)) == MOST


def test_a_record_of_the_log_is_one_line_and_a_traceback_forges_none():
    assert log_line("a\n2026 ERROR forged\x1b[31m") == "a 2026 ERROR forged"
    assert len(log_line("x" * 1_000_000)) == 4_000
    assert log_lines("Traceback\n  File\nValueError: a\r2026 ERROR forged\x1b[31m") == (
        "  Traceback\n    File\n  ValueError: a\n  2026 ERROR forged"
    )


@pytest.mark.parametrize("text", ["1e-999999", "-1e-999999", "1e-31"])
def test_a_number_too_small_to_be_one_is_nothing(text):
    assert number(text) == 0
    assert f"{number(text):f}" == "0"


def test_nothing_endless_of_a_command_line_is_quoted_back():
    told = quoted_back(f"No such command '{'x' * 20_000}'. `spxarb --help` tells more.")
    assert told == f"No such command '{'x' * 59}… `spxarb --help` tells more."
    assert len(quoted_back("a b " * 20_000)) <= 1000
    path = "/" + "folder/" * 40
    assert quoted_back(f"{path} is no file.") == f"{path} is no file."
