"""What a screen is made of: lines, tables, pairs as plain values, and values as cells. The view draws them.

Missing is a dash, never 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeVar

from spxarb.core.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

T = TypeVar("T")

DASH = "–"  # noqa: RUF001 -- a dash is what is meant
BARS = "▁▂▃▄▅▆▇█"
GOOD, BAD, WARN, HEAD = "green", "bold red", "yellow", "bold"
"""Good, bad, unknown: nothing else has a colour."""

_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")

Cell = str | tuple[str, str]
"""A text, or a text and its style."""


@dataclass(frozen=True)
class Line:
    """One line, or several, of text."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and their values one after the other, in as few lines as they need."""

    facts: Sequence[tuple[str, Cell]]


@dataclass(frozen=True)
class Hanging:
    """A line whose text goes on below itself, and not below its head, where the width does not suffice."""

    head: str
    text: str
    style: str = ""
    one_line: bool = False
    """On a terminal it takes one line, as far as whole clauses of its text fit it."""


@dataclass(frozen=True)
class Grid:
    """A table; a > before a column's name aligns it to the right, a ? leaves it out where it says nothing.

    A left-aligned column of long texts is wrapped between words, any other never. What is too wide for the
    terminal stands below the row (`cli/layout.py`), so the first columns are those that count.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Pairs:
    """Names and their values."""

    title: str
    rows: Sequence[tuple[str, Cell]]


@dataclass(frozen=True)
class Beside:
    """Blocks next to each other, as many as the width allows."""

    blocks: tuple[Pairs, ...]


@dataclass(frozen=True)
class Fitted:
    """Lines made for the columns at hand, each of one or more cells: they are drawn as they are."""

    draw: Callable[[int], Sequence[Sequence[Cell]]]


@dataclass(frozen=True)
class Part:
    """Blocks that a terminal may have no room for; then the last line names them by `name`.

    Those with the greatest `leaves` leave first. `brief`: what is shown in their place, None: there is no
    such form. `rows_leave`: from which end rows of their table leave, where that is enough.
    """

    name: str
    blocks: tuple[Block, ...]
    leaves: int = 0
    brief: tuple[Block, ...] | None = ()
    rows_leave: Literal["first", "last"] | None = None


Block = Line | Hanging | Facts | Grid | Pairs | Beside | Fitted | Part


# --- cells ----------------------------------------------------------------------------------------


def money(value: Decimal | float | None) -> Cell:
    """A result in dollars, with its sign: gains are good, losses bad."""
    if value is None:
        return DASH
    rounded = round(float(value), 2)
    if not rounded:
        return "$0.00"
    return (f"+${rounded:,.2f}", GOOD) if rounded > 0 else (f"-${-rounded:,.2f}", BAD)


def dollars(value: Decimal | float | None) -> str:
    """Dollars and cents that are neither good nor bad by themselves: a credit, a cost, a balance."""
    if value is None:
        return DASH
    rounded = round(float(value), 2)
    return f"-${-rounded:,.2f}" if rounded < 0 else f"${abs(rounded):,.2f}"


def amount(value: Decimal | float | None, places: int = 2) -> str:
    """A number that is no dollars, or of which everybody knows it: index points, a quote."""
    return DASH if value is None else f"{float(value):,.{places}f}"


def words(value: object) -> str:
    """Any value in few words."""
    match plain(value):
        case None | "":
            return DASH
        case bool(answer):
            return "yes" if answer else "no"
        case float(number):
            return f"{number:.4f}".rstrip("0").rstrip(".")
        case list(items):
            return ", ".join(map(words, items)) or DASH
        case dict(items):
            return ", ".join(f"{key} {words(item)}" for key, item in items.items()) or DASH
        case found:
            text = str(found)
            return moment(text) if _ISO_TIME.match(text) else text


def moment(value: datetime | str | None, form: str = "%m-%d %H:%M:%S") -> str:
    """A time, or its ISO 8601 text, in New York and shorter."""
    try:
        return datetime.fromisoformat(plain(value)).strftime(form) if value else DASH
    except ValueError:
        return str(value)


def sparkline(values: Sequence[float]) -> str:
    """One bar a value, from the least to the greatest."""
    low = min(values)
    step = (max(values) - low) / (len(BARS) - 1) or 1.0
    return "".join(BARS[round((value - low) / step)] for value in values)


Columns = tuple[tuple[str, Callable[[T], Cell]], ...]
"""Of each column its head, and what it says of an item."""


def grid(title: str, columns: Columns[T], items: Iterable[T]) -> Grid:
    rows = [[cell(item) for _, cell in columns] for item in items]
    return Grid(title, tuple(head for head, _ in columns), rows)
