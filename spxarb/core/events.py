"""One event of a day, as it is told: when, what, a sentence, its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

Row = Mapping[str, Any]
"""A row as the ledger stores it."""


class EventKind(StrEnum):
    """What kind of event it is."""

    RUN = "run"
    """A command ran, or ended badly."""
    ACCOUNT = "account"
    """What the account held after the close."""
    MARK = "mark"
    """An open spread, or the day, marked to the market."""
    ORDER = "order"
    """An order before it was sent, and what became of it."""
    FILL = "fill"
    TRADE = "trade"
    """A trade was opened or closed."""
    SETTLEMENT = "settlement"
    MATTER = "matter"
    """Something needed a human, was resolved or acknowledged."""
    DECISION = "decision"
    VETO = "veto"
    """A check that stopped an entry, or a limit exceeded, after which the day has no more."""
    DIFFERENCE = "difference"
    """Ledger and broker disagreed."""
    NOTE = "note"
    """What a command said beside its decision."""
    ALERT = "alert"


@dataclass(frozen=True)
class Explained:
    """One event of a day."""

    at: Annotated[str, datetime]
    """The market's time."""
    what: EventKind
    text: str
    """A sentence."""
    figures: Mapping[str, object]
    """Its numbers, dollars where nothing else is said, and what it is about."""


def usd(value: float | None) -> str:
    """A price or an amount: `$26.00`."""
    if value is None:
        return "an unknown price"
    return f"{'-' if value < 0 else ''}${abs(value):,.2f}"


def signed(value: float | None) -> str:
    """A result: `+$408.19`."""
    return "unknown" if value is None else f"{'-' if value < 0 else '+'}${abs(value):,.2f}"


def number(value: float | None) -> str:
    """A count, a strike or an index without needless zeros: `10`, `6,719.6`."""
    return "unknown" if value is None else f"{value:,.2f}".rstrip("0").rstrip(".")


def side(price: float | None) -> str:
    """A bid, an ask or a price; `none` where there is none."""
    return "none" if price is None else f"{price:,.2f}"


def count(quantity: float | None, noun: str) -> str:
    """`1 trade`, `10 calls`."""
    return f"{number(quantity)} {noun}{'' if quantity == 1 else 's'}"


def picked(row: Row, *names: str) -> dict[str, Any]:
    """The figures of these names, as far as the row has them."""
    return {name: row[name] for name in names if name in row}
