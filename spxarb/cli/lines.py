"""Lines of styled cells for a screen of a given width: columns, panels side by side, text that flows.

Nothing is ever cut: what does not fit goes to the next line, between words or between items. Only a word
that is longer than a whole line, such as a path, is broken.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from spxarb.cli.blocks import HEAD
from spxarb.cli.layout import columns_of, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spxarb.cli.blocks import Cell

Parts = list["Cell"]
"""One line: its cells, one after another."""

GAP = 2


def text_of(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def style_of(cell: Cell) -> str:
    return "" if isinstance(cell, str) else cell[1]


def width_of(parts: Sequence[Cell]) -> int:
    return sum(columns_of(text_of(cell)) for cell in parts)


def padded(parts: Parts, width: int) -> Parts:
    return [*parts, " " * (width - width_of(parts))]


def prose(text: str, width: int, style: str = "", *, indent: str = "") -> list[Parts]:
    """A text, wrapped between words."""
    made = wrapped(" ".join(text.split()), width - len(indent))
    return [[(indent + line, style)] for line in made]


def flow(items: Iterable[Cell | Parts], width: int, indent: int = 0) -> list[Parts]:
    """Items two blanks apart, on as many lines as they need; all lines but the first are indented.

    A cell that no line can hold is wrapped.
    """
    lines: list[Parts] = []
    for item in items:
        for parts in _whole(item, width - indent):
            if lines and width_of(lines[-1]) + GAP + width_of(parts) <= width:
                lines[-1] += [" " * GAP, *parts]
            else:
                lines.append([" " * indent, *parts] if lines else [*parts])
    return lines


def _whole(item: Cell | Parts, width: int) -> list[Parts]:
    """The item as it is, or the lines that it takes."""
    if isinstance(item, list):
        return [item]
    return [[(line, style_of(item))] for line in wrapped(text_of(item), width)]


def title(text: str) -> Parts:
    return [(text, HEAD)]


def pairs(rows: Sequence[tuple[str, Cell]], width: int = 0) -> list[Parts]:
    """Names and their values, the values aligned to the right; at least so wide."""
    names = max(len(name) for name, _ in rows)
    values = max(len(text_of(value)) for _, value in rows)
    values = max(values, width - names - 1)
    return [
        [(name.ljust(names + 1), "dim"), " " * (values - len(text_of(value))), value] for name, value in rows
    ]


def beside(panels: Sequence[list[Parts]], width: int, gap: int = 3) -> list[Parts]:
    """Panels next to each other while the width allows, else one below the other; spread over the width."""
    widths = [max(map(width_of, panel)) for panel in panels]
    spare = width - sum(widths) - gap * (len(panels) - 1)
    if spare < 0 and len(panels) > 1:
        return [*beside(panels[:-1], width, gap), *panels[-1]]
    between = " " * (gap + (spare // (len(panels) - 1) if len(panels) > 1 else 0))
    lines: list[Parts] = []
    for row in zip_longest(*panels, fillvalue=[]):
        line: Parts = []
        for parts, wide in zip(row, widths, strict=True):
            line += [*([between] if line else []), *padded(list(parts), wide)]
        lines.append(line)
    return lines


def in_columns(cells: Sequence[Parts], width: int) -> list[Parts]:
    """Short lines of one width, as many beside each other as fit; read from left to right."""
    if not cells:
        return []
    wide = max(map(width_of, cells))
    columns = max((width + GAP) // (wide + GAP), 1)
    return [
        [part for cell in cells[start : start + columns] for part in (*padded(cell, wide), " " * GAP)]
        for start in range(0, len(cells), columns)
    ]
