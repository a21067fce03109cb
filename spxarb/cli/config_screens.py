"""What `config` shows: the files, every setting by sections, what is wrong; or an example as it is."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from spxarb.cli.blocks import BAD, DASH, Block, Cell, Grid, Line, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spxarb.core.results.config import ConfigResult, SettingRow

SOURCES = {
    "default": "default",
    "yaml": "YAML file",
    "dotenv": ".env",
    "environment": "environment",
    "option": "option",
}
COLUMNS = ("setting", "value", "from")


def config(result: ConfigResult) -> list[Block]:
    if result.example is not None:
        return [Line(result.example.rstrip("\n"))]
    found = result.files
    rows: list[list[Cell]] = [
        ["configuration", found.configuration or "none was found: defaults (paper)"],
        [".env", found.env or DASH],
        ["ledger", found.database or DASH],
        ["log", found.log or DASH],
    ]
    told = [problem for problem in result.problems if not any(map(_starts(problem), result.notes))]
    return [
        Grid("Files", ("file", "path"), rows),
        *_settings(result.settings),
        *([Line("\n" + "\n".join(told), BAD)] if told else []),
    ]


def _settings(settings: Sequence[SettingRow]) -> list[Block]:
    """By sections; where there is no room for all, those that are not as they come."""
    if not settings:
        return []
    sections = tuple(_section(name, list(rows)) for name, rows in groupby(settings, _section_of))
    chosen = [row for row in settings if row.source != "default" or row.problem]
    rows: list[list[Cell]] = [[row.key, _value(row), _source(row)] for row in chosen]
    brief = (Grid(f"Set, of {len(settings)} settings", COLUMNS, rows),) if rows else ()
    return [Part("the settings at their defaults", sections, brief=brief, rows_leave="last")]


def _starts(text: str) -> Callable[[str], bool]:
    return lambda note: note.startswith(text)


def _section_of(row: SettingRow) -> str:
    return row.key.partition(".")[0] if "." in row.key else "environment only"


def _section(name: str, settings: list[SettingRow]) -> Grid:
    rows: list[list[Cell]] = [
        [row.key.partition(".")[2] or row.key, _value(row), _source(row)] for row in settings
    ]
    return Grid(name, COLUMNS, rows)


def _value(row: SettingRow) -> Cell:
    match row.value:
        case None:
            text = DASH
        case bool(answer):
            text = str(answer).lower()
        case float(number):
            text = f"{number:.10g}"
        case list(items):
            text = ", ".join(map(str, items)) or DASH
        case other:
            text = str(other)
    return (text, BAD) if row.problem else text


def _source(row: SettingRow) -> Cell:
    if row.source == "default":
        return "default", "dim"
    if row.source == "yaml":
        line = (row.place or "").rpartition("(line ")[2].rstrip(")")
        return f"YAML file, line {line}" if line.isdigit() else "YAML file"
    return f"{(row.place or '').partition(' in ')[0]}, {SOURCES[row.source]}"
