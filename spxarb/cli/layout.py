"""From blocks to lines of a given width: nothing is cut, and no number, date or word is broken.

A table that is too wide for the terminal keeps as many columns as fit; the others stand below each row, by
their names. Only a word that is longer than a whole line, such as a path, is broken.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spxarb.cli.blocks import DASH, HEAD, Beside, Cell, Facts, Fitted, Grid, Hanging, Line, Pairs, Part
from spxarb.cli.shapes import MINUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spxarb.cli.blocks import Block

GAP = 2
"""Blanks between two columns."""
BETWEEN = 4
"""Blanks between blocks next to each other."""
INDENT = 2
"""How far that is indented which stands below a row."""
LONG = 24
"""A left-aligned column with a longer text in it is prose: it may be wrapped between its words."""
PROSE_LEAST = 40
"""Prose gets a column of its own where it has that many columns of the terminal; else it stands below."""
LABEL = "dim"
_NEGATIVE = re.compile(r"(?:(?<=[\s(=:,ΔΓΘν])|^)-(?=[$.\d])")
_WORD = re.compile(r" *[^ ]+")
KEPT = "\N{NO-BREAK SPACE}"
"""A blank at which no line is broken; shown as any other."""

Segment = tuple[str, str]
"""A text and its style."""
DrawnLine = list[Segment]


def lines(blocks: Iterable[Block], width: int) -> list[DrawnLine]:
    """Every line of these blocks, none of them wider than `width` columns of the terminal."""
    return [_signed(_trimmed(line)) for block in blocks for line in _block(block, width)]


def _signed(line: DrawnLine) -> DrawnLine:
    return [(with_minus(text), style) for text, style in line]


def with_minus(text: str) -> str:
    """The text as people read it: a number below 0 has a minus sign, which is no hyphen."""
    return _NEGATIVE.sub(MINUS, text) if "-" in text else text


def _trimmed(line: DrawnLine) -> DrawnLine:
    """Without blanks at its end."""
    while line and not line[-1][0].strip():
        line = line[:-1]
    return [*line[:-1], (line[-1][0].rstrip(), line[-1][1])] if line else []


def text_of(line: DrawnLine) -> str:
    """A line without its styles."""
    return "".join(text for text, _ in line)


def clean(text: str) -> str:
    """Without control characters, that could move the cursor or hide text; a line break stays."""
    return "".join(letter if letter.isprintable() or letter in {"\n", KEPT} else "?" for letter in text)


def columns_of(text: str) -> int:
    """How many columns of a terminal the text takes: a wide letter two, a combining one none."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of_letter, text))


def _columns_of_letter(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _block(block: Block, width: int) -> list[DrawnLine]:
    match block:
        case Line():
            return [[(line, block.style)] for line in wrapped(clean(block.text), width)]
        case Hanging():
            return _hanging(block, width)
        case Facts():
            return _facts(block.facts, width)
        case Grid():
            return _grid(block, width)
        case Pairs():
            return _pairs(block, width)
        case Beside():
            return _beside(block, width)
        case Part():
            return [line for one in block.blocks for line in _block(one, width)]
        case Fitted():
            return [[_cell(cell) for cell in cells] for cells in block.draw(width)]


def _hanging(block: Hanging, width: int) -> list[DrawnLine]:
    head = clean(block.head)
    room = max(width - columns_of(head), width // 2)
    parts = wrapped(clean(block.text), room)
    return [
        [(head if place == 0 else " " * (width - room), ""), (part, block.style)]
        for place, part in enumerate(parts)
    ]


# --- text -----------------------------------------------------------------------------------------


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines; one that goes on in another is indented as it was."""
    found: list[str] = []
    for line in text.split("\n"):
        if columns_of(line) <= width:
            found.append(line)
            continue
        indent = line[: len(line) - len(line.lstrip(" "))][: width // 2]
        found += [indent + part for part in _broken(_WORD.findall(line), width - len(indent))]
    return [line.replace(KEPT, " ") for line in found]


def _broken(words: Sequence[str], width: int) -> list[str]:
    """Lines of these words, each with the blanks before it; a line begins without them."""
    done, current = [], ""
    for word in words:
        blanks = word[: len(word) - len(word.lstrip(" "))]
        for place, part in enumerate(_folded(word.strip(" "), width)):
            longer = current + (blanks if place == 0 else " ") + part
            if current and columns_of(longer) > width:
                done.append(current)
                current = part
            else:
                current = longer if current else part
    return [*done, current]


def _folded(word: str, width: int) -> list[str]:
    """The word; one that no line can hold, in parts: a path after a slash, where there is one."""
    parts, start = list[str](), 0
    while room := _room(word, start, width):
        end = word.rfind("/", start + 1, start + room) + 1 or start + room
        parts.append(word[start:end])
        start = end
    return [*parts, word[start:]]


def _room(word: str, start: int, width: int) -> int:
    """How many letters from there fill a line, at least one; 0: all that are left fit into it."""
    used = 0
    for place in range(start, len(word)):
        used += columns_of(word[place])
        if used > width:
            return max(place - start, 1) if place > start or place + 1 < len(word) else 0
    return 0


def _cell(cell: Cell) -> Segment:
    text, style = (cell, "") if isinstance(cell, str) else cell
    return clean(text).replace("\n", " "), style


def _padded(segment: Segment, width: int, *, right: bool) -> DrawnLine:
    """The segment and the blanks that fill its column; blanks have no style."""
    blanks: Segment = (" " * (width - columns_of(segment[0])), "")
    return [blanks, segment] if right else [segment, blanks]


def _titled(title: str, body: list[DrawnLine], width: int) -> list[DrawnLine]:
    return [[(line, HEAD)] for line in wrapped(clean(title), width)] + body if title else body


# --- facts ----------------------------------------------------------------------------------------


def _facts(facts: Sequence[tuple[str, Cell]], width: int, indent: int = 0) -> list[DrawnLine]:
    """Names and values one after the other; a line ends between two of them."""
    done: list[DrawnLine] = []
    line: DrawnLine = []
    used = width
    for name, cell in facts:
        label, value = f"{clean(name)} " if name else "", _cell(cell)
        size = columns_of(label) + columns_of(value[0])
        if used + GAP + 1 + size > width:
            line, used = [(" " * indent, "")], indent
            done.append(line)
        else:
            line.append((" " * (GAP + 1), ""))
            used += GAP + 1
        if used + size > width:  # alone on its line, and still too long
            first, *rest = _broken(_WORD.findall(label + value[0]), width - used)
            line.append((first, value[1]))
            done += [[(" " * indent, ""), (part, value[1])] for part in rest]
            used = width
            continue
        line += [(label, LABEL), value]
        used += size
    return done


def _pairs(pairs: Pairs, width: int) -> list[DrawnLine]:
    """Names in one column, their values in the next."""
    rows = [((clean(name), LABEL), _cell(cell)) for name, cell in pairs.rows]
    names = max((columns_of(name[0]) for name, _ in rows), default=0)
    room = max(width - names - GAP, 1)
    values = [(wrapped(text, room), style) for _, (text, style) in rows]
    wide = max((columns_of(line) for parts, _ in values for line in parts), default=0)
    right = wide <= LONG
    body: list[DrawnLine] = []
    for (name, _), (parts, style) in zip(rows, values, strict=True):
        for place, part in enumerate(parts):
            head = name if place == 0 else ("", LABEL)
            gap: Segment = (" " * GAP, "")
            body.append([*_padded(head, names, right=False), gap, *_padded((part, style), wide, right=right)])
    return _titled(pairs.title, body, width)


def _beside(beside: Beside, width: int) -> list[DrawnLine]:
    """Pairs next to each other, as many as fit."""
    done: list[DrawnLine] = []
    group: list[tuple[int, list[DrawnLine]]] = []
    used = 0
    for pairs in beside.blocks:
        body = _pairs(pairs, width)
        size = max((_width(line) for line in body), default=0)
        if group and used + BETWEEN + size > width:
            done += [*_side_by_side(group), []]
            group, used = [], 0
        used += (BETWEEN if group else 0) + size
        group.append((size, body))
    return done + _side_by_side(group)


def _side_by_side(group: Sequence[tuple[int, list[DrawnLine]]]) -> list[DrawnLine]:
    done: list[DrawnLine] = []
    for place in range(max((len(body) for _, body in group), default=0)):
        line: DrawnLine = []
        for size, body in group:
            part = body[place] if place < len(body) else []
            line += [*part, (" " * (size - _width(part) + BETWEEN), "")]
        done.append(line)
    return done


def _width(line: DrawnLine) -> int:
    return sum(columns_of(text) for text, _ in line)


# --- tables ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """A column of a table: its head, its cells, and how they are set."""

    head: str
    cells: tuple[Segment, ...]
    right: bool
    optional: bool

    @property
    def natural(self) -> int:
        """As wide as the widest cell."""
        return max((columns_of(text) for text, _ in self.cells), default=0)

    @property
    def is_prose(self) -> bool:
        return not self.right and self.natural > LONG and any(" " in text for text, _ in self.cells)

    @property
    def least(self) -> int:
        """As narrow as it may be: the head between its words, and prose too."""
        head = max(map(columns_of, self.head.split()), default=0)
        return max(head, min(self.natural, PROSE_LEAST) if self.is_prose else self.natural)

    @property
    def full(self) -> int:
        return max(columns_of(self.head), self.natural)


def _columns(grid: Grid) -> list[_Column]:
    """The table's columns, without those that may be left out and say nothing."""
    found = []
    for place, head in enumerate(grid.columns):
        cells = tuple(_cell(row[place]) for row in grid.rows)
        column = _Column(clean(head.lstrip("?>")), cells, ">" in head[:2], head.startswith("?"))
        if not (column.optional and all(text in {"", DASH} for text, _ in cells)):
            found.append(column)
    return found


def _grid(grid: Grid, width: int) -> list[DrawnLine]:
    if not grid.rows:
        return _block(Line(f"\n{grid.title}: none"), width) if grid.title else []
    table, below = _columns(grid), []
    while len(table) > 1 and sum(column.least for column in table) + GAP * (len(table) - 1) > width:
        prose = [column for column in table[1:] if column.is_prose]
        moved = prose[-1] if prose else table[-1]
        table.remove(moved)
        below.append(moved)
    below = [column for column in _columns(grid) if column in below]
    widths = _widths(table, width)
    body = _heads(table, widths)
    for place in range(len(grid.rows)):
        body += _row(table, widths, place)
        body += _below(below, place, width)
    return [[], *_titled(grid.title, body, width)] if grid.title else body


def _widths(table: Sequence[_Column], width: int) -> list[int]:
    """As wide as they would like to be where that fits; else heads are wrapped, and prose gets the rest."""
    room = width - GAP * (len(table) - 1)
    if sum(column.full for column in table) <= room:
        return [column.full for column in table]
    widths = [column.least for column in table]
    if len(table) == 1:
        return [min(widths[0], room) if not table[0].is_prose else min(table[0].full, room)]
    for place, column in enumerate(table):
        wish = column.full if column.is_prose else max(column.least, min(column.full, LONG // 2))
        widths[place] += min(max(wish - widths[place], 0), max(room - sum(widths), 0))
    return widths


def _heads(table: Sequence[_Column], widths: Sequence[int]) -> list[DrawnLine]:
    """The heads, the last line of each just above the rule."""
    if not any(column.head for column in table):
        return []
    parts = [wrapped(column.head, size) for column, size in zip(table, widths, strict=True)]
    tall = max(map(len, parts))
    filled = [[""] * (tall - len(part)) + part for part in parts]
    rule: DrawnLine = [("─" * (sum(widths) + GAP * (len(widths) - 1)), LABEL)]
    return [*_set(table, widths, [[(text, HEAD) for text in part] for part in filled]), rule]


def _row(table: Sequence[_Column], widths: Sequence[int], place: int) -> list[DrawnLine]:
    cells = []
    for column, size in zip(table, widths, strict=True):
        text, style = column.cells[place]
        cells.append([(part, style) for part in wrapped(text, size)])
    tall = max(map(len, cells))
    return _set(table, widths, [cell + [("", "")] * (tall - len(cell)) for cell in cells])


def _set(
    table: Sequence[_Column], widths: Sequence[int], cells: Sequence[Sequence[Segment]]
) -> list[DrawnLine]:
    """Cells of equally many lines next to each other."""
    done: list[DrawnLine] = []
    for parts in zip(*cells, strict=True):
        line: DrawnLine = []
        for column, size, part in zip(table, widths, parts, strict=True):
            line += [*([(" " * GAP, "")] if line else []), *_padded(part, size, right=column.right)]
        done.append(line)
    return done


def _below(below: Sequence[_Column], place: int, width: int) -> list[DrawnLine]:
    """What stands below a row: values by their names on a line, prose on lines of its own."""
    short = [column for column in below if not column.is_prose]
    facts = [
        (column.head, column.cells[place])
        for column in short
        if not (column.optional and column.cells[place][0] in {"", DASH})
    ]
    done = _facts(facts, width, INDENT)
    for column in below:
        text, style = column.cells[place]
        if column.is_prose and text not in {"", DASH}:
            blank = " " * INDENT
            done += [[(blank, ""), (part, style)] for part in wrapped(text, width - INDENT)]
    return done
