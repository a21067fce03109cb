"""Phrases made into sentences: one way to begin and to end them, for messages, alerts and checks."""

from __future__ import annotations

import re
from decimal import Decimal

MOST_PLACES = 12
MORE = " [more]"
"""Stands where a sentence goes on that is told elsewhere."""
_CLAUSE_END = re.compile(r"[;:,.]? \(|[;,.:] ")
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


def to_clause(text: str, most: int) -> str:
    """The text, or as many whole clauses of it as `most` letters hold; where that is none, whole words."""
    if len(text) <= most:
        return text
    ends = [found.start() for found in _CLAUSE_END.finditer(text) if found.start() <= most]
    if ends and ends[-1] >= most // 4:
        return text[: ends[-1]]
    words = text[: max(most - len(MORE), 0) + 1].rsplit(" ", 1)[0].rstrip(" ,;:.(")
    return f"{words}{MORE}"


def usd(value: Decimal) -> str:
    """Dollars and cents; what rounds to nothing has no sign."""
    text = f"{abs(value):,.2f}"
    return f"-${text}" if value < 0 and text.strip("0.") else f"${text}"


def usd_limit(value: Decimal) -> str:
    """As `usd`, of a configured limit: one of less than whole cents is not rounded."""
    return usd(value) if value == round(value, 2) else f"${plain(value)}"


def plain(value: Decimal | None) -> str:
    """A number without trailing zeros or an exponent."""
    if value is None:
        return "none"
    return _bare(f"{value.quantize(Decimal('0.0001')):f}")


def beside(value: Decimal | float, limit: Decimal | float, places: int = 1) -> str:
    """A number as it stands in a sentence with its limit: rounded to `places`, to more where the rounded
    number would be on another side of the limit than the number itself.
    """
    exact, most = Decimal(str(value)), Decimal(str(limit))
    while places < MOST_PLACES and _order(round(exact, places), most) != _order(exact, most):
        places += 1
    return f"{exact:.{places}f}"


def plain_beside(value: Decimal, limit: Decimal) -> str:
    """As `plain`, on its own side of the limit that stands in the same sentence."""
    return _bare(beside(value, limit, 4))


def _order(one: Decimal, other: Decimal) -> int:
    return (one > other) - (one < other)


def _bare(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
