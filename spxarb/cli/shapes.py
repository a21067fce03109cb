"""A result as text for programs: the JSON object of every command, and the CSV tables of `report`.

Every key is a field of the command's result (`core/results/`), so all of them are always there. Prints
nothing.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

from spxarb.core.plain import plain
from spxarb.core.printable import lines_from_outside

if TYPE_CHECKING:
    from spxarb.core.result import Result


_NEW_YORK = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?-0[45]:00")
"""A moment in New York, with the offset of its season."""
MINUS = "\N{MINUS SIGN}"
FORMULA = ("=", "+", "-", "@", "\t", "\n")
"""What a formula begins with."""


def as_json(result: Result, *, indent: int | None = None) -> str:
    """The result as one JSON object in ASCII, which no terminal's or pipe's encoding can spoil."""
    return json.dumps(_printable(plain(result)), indent=indent, allow_nan=False)


def _printable(value: Any) -> Any:
    """A text may hold the name of a file, which may hold anything: whoever prints it is not steered by it."""
    match value:
        case str():
            return lines_from_outside(value)
        case dict():
            return {lines_from_outside(key): _printable(item) for key, item in value.items()}
        case list():
            return [_printable(item) for item in value]
        case _:
            return value


def as_csv(result: Result, table: str) -> str:
    """One of a report's tables (`core/results/report.py`) with a header, also when it has no rows.

    Null is an empty field; what has parts is JSON; no text is a formula. Times are New York's without an
    offset, as in the ledger's views: of two offsets no program makes one column of times.
    """
    from spxarb.core.results.report import TABLES  # noqa: PLC0415 -- only a report needs it

    text = io.StringIO()
    writer = csv.DictWriter(text, TABLES[table].columns(), lineterminator="\n")
    writer.writeheader()
    for row in getattr(result, table):
        writer.writerow({column: _field(value) for column, value in plain(row).items()})
    return text.getvalue()


def _field(value: Any) -> object:
    """A text that a spreadsheet would take for a formula begins with an apostrophe (OWASP, CSV injection).

    A carriage return ends a row for most readers, and Python's writer leaves it without quotes: it becomes a
    line break.
    """
    if isinstance(value, list | dict):
        return json.dumps(value)
    if not isinstance(value, str):
        return value
    if moment := _NEW_YORK.fullmatch(value):
        return " ".join(moment.groups())
    text = lines_from_outside(value)
    return f"'{text}" if text.startswith(FORMULA) else text
