"""Phrases made into sentences: one way to begin and to end them, for messages, alerts and checks."""

from __future__ import annotations

import re
from decimal import Decimal

_NUMBER = re.compile(r"(trade |\d{4}-\d\d-\d\d)?[\d.,:]*\d", re.IGNORECASE)
_LIST = re.compile(r"#(?:, #)+")
_END = re.compile(r"(?<=[.?!])\s+(?=\S)")


def sentence(text: str) -> str:
    """The text with a capital and one full stop. A question keeps its mark, an empty text stays empty."""
    stripped = text.strip()
    if not stripped.endswith(("?", "!")):
        stripped = stripped.rstrip(".")
        stripped += "." if stripped else ""
    return upper_first(stripped)


def upper_first(text: str) -> str:
    """The text with a capital at its beginning; the name of a setting or a file keeps its own."""
    first = text.split(maxsplit=1)[0].rstrip(".,:;") if text else ""
    if re.search(r"[._/]", first):
        return text
    return f"{text[:1].upper()}{text[1:]}"


def lower_first(text: str) -> str:
    """The text as it goes on after a comma or a colon; a name in capitals, such as SPX, stays one."""
    if text[1:2].isupper():
        return text
    return f"{text[:1].lower()}{text[1:]}"


def trouble_of(sentence: str) -> str:
    """The same for the same trouble: a price, a time or a number of seconds in it makes no other one.

    The number of a trade does.
    """
    return _LIST.sub("#", _NUMBER.sub(lambda found: found[0] if found[1] else "#", sentence))


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, in order."""
    return [part for part in _END.split(text) if part]


def usd(value: Decimal) -> str:
    """Dollars and cents."""
    return f"-${-value:,.2f}" if value < 0 else f"${value:,.2f}"


def plain(value: Decimal | None) -> str:
    """A number without trailing zeros or an exponent."""
    if value is None:
        return "none"
    text = f"{value.quantize(Decimal('0.0001')):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
