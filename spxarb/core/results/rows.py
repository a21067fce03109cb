"""Rows of the ledger as they are shown: every column of the table, as stored; those of matters.

Days and moments are text, flags 0 or 1. `Annotated[str, ...]` names the type that the text is of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping  # noqa: TC003 -- `get_type_hints` reads them
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from spxarb.core.model import ExitReason, LegName, Side, TradeStatus
from spxarb.core.order_words import FillSource, Purpose
from spxarb.core.stages import Stage
from spxarb.core.trades import TradeState

DayText = Annotated[str, date]
TimeText = Annotated[str, datetime]
StatusText = Annotated[str, TradeStatus]
StateText = Annotated[str, TradeState]
ReasonText = Annotated[str, ExitReason]
LegText = Annotated[str, LegName]
SideText = Annotated[str, Side]
StageText = Annotated[str, Stage]
PurposeText = Annotated[str, Purpose]
SourceText = Annotated[str, FillSource]


@dataclass(frozen=True)
class Row:
    """A row of a table: a field a column, in the table's order."""

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        return tuple(cls.__dataclass_fields__)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """From a row as the ledger stores it. Raises KeyError when a column is missing."""
        return cls(**{name: row[name] for name in cls.columns()})


R = TypeVar("R", bound=Row)


def readable_rows(
    rows_of: type[R], rows: Iterable[Mapping[str, Any]], what: str
) -> tuple[tuple[R, ...], list[str]]:
    """The rows that hold what their table may hold, and a sentence for each other one; `what`: what a row is.

    A value that something else wrote there is no reason to show the rest of a row as if it could be believed.
    """
    good, left_out = [], []
    rows = list(rows)
    hints = get_type_hints(rows_of, include_extras=True) if rows else {}
    for row in rows:
        wrong = next((name for name, hint in hints.items() if not _fits(row[name], hint)), None)
        if wrong is None:
            good.append(rows_of.of(row))
        else:
            name = row[rows_of.columns()[0]]
            left_out.append(f"{what} {name} is left out: its {wrong} {row[wrong]!r} cannot be read.")
    return tuple(good), left_out


def _fits(value: object, hint: Any) -> bool:
    """Whether a value as stored is of the field's type: the text of a day, a moment or a word included."""
    origin = get_origin(hint)
    if origin in {Union, UnionType}:
        return any(_fits(value, one) for one in get_args(hint))
    if origin is Annotated:
        text, *kinds = get_args(hint)
        return _fits(value, text) and all(_reads_as(kind, str(value)) for kind in kinds)
    if origin is tuple:
        return isinstance(value, list | tuple) and all(_fits(item, get_args(hint)[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(value, origin or hint)


def _reads_as(kind: type[StrEnum | date], text: str) -> bool:
    try:
        read = kind(text) if issubclass(kind, StrEnum) else kind.fromisoformat(text)
    except ValueError:
        return False
    return not isinstance(read, datetime) or read.tzinfo is not None


@dataclass(frozen=True)
class MatterRow(Row):
    """A row of `matters`: something that needs a human."""

    id: int
    """For `spxarb ack`."""
    key: str
    """Its kind, a colon, and what it is about."""
    trade_id: int | None
    text: str
    since: TimeText
    last_seen: TimeText
    alerted_at: TimeText | None
    alerted_to: str | None
    resolved_at: TimeText | None
    resolution: str | None
    """By which evidence."""
    acknowledged_at: TimeText | None
    note: str | None
    """As given with the acknowledgement."""
