"""What a terminal has room for: a screen's parts leave it, the least needed first, until the rest fits whole.

No sentence and no number is cut: a part goes whole or in its short form, a table by whole rows, and the last
line names what left and the option that shows it. Elsewhere than on a terminal everything is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from spxarb.cli.blocks import WARN, Grid, Hanging, Line, Part
from spxarb.cli.layout import columns_of, lines
from spxarb.core.sentences import to_clause

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spxarb.cli.blocks import Block

LEAST_HEIGHT = 24
"""Lines of the smallest terminal that is drawn for; the prompt takes one."""
ALL = "--full"


def whole(blocks: Iterable[Block]) -> list[Block]:
    """Every block, those of parts too."""
    return [one for block in blocks for one in (block.blocks if isinstance(block, Part) else [block])]


def folded(blocks: Sequence[Block], width: int, height: int, *, gap: str = "\n") -> list[Block]:
    """The blocks as far as `height` lines of `width` columns have room for them.

    `gap` stands before the line that names what left.
    """
    short = [_on_one_line(block, width) for block in blocks]
    cut = [one for one, block in zip(short, blocks, strict=True) if one != block]
    screen = _Screen(width, height, short, shortened=bool(cut), gap=gap)
    if screen.fits():
        return screen.blocks()
    order = sorted((part for part in short if isinstance(part, Part)), key=lambda part: -part.leaves)
    for number, part in enumerate(order):
        screen.leave(part)
        if screen.fits():
            for earlier in reversed(order[:number]):  # what the last one made room for comes back
                screen.come_back(earlier)
            break
    return screen.blocks()


def _on_one_line(block: Block, width: int) -> Block:
    if isinstance(block, Part):
        shorter = tuple(_on_one_line(one, width) for one in block.blocks)
        return block if shorter == block.blocks else replace(block, blocks=shorter)
    if not (isinstance(block, Hanging) and block.one_line):
        return block
    return replace(block, text=to_clause(block.text, width - columns_of(block.head)))


@dataclass
class _Screen:
    """What is shown in place of each part so far, and the names of those that left."""

    width: int
    height: int
    all: list[Block]
    shortened: bool = False
    gap: str = "\n"
    shown: dict[int, Sequence[Block]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    def blocks(self) -> list[Block]:
        found: list[Block] = []
        for place, block in enumerate(self.all):
            found += self.shown.get(place, whole([block]))
        return [*found, *self._end()]

    def fits(self) -> bool:
        return len(lines(self.blocks(), self.width)) <= self.height

    def _end(self) -> list[Block]:
        """What left, and how to see it."""
        if self.left:
            return [Line(f"{self.gap}Not shown: {', '.join(self.left)}. With {ALL} everything is.", WARN)]
        return [Line(f"Lines are shortened. With {ALL} they are whole.")] if self.shortened else []

    def leave(self, part: Part) -> None:
        """Rows of a table that can give up some, as few as it takes; else the part, or its short form."""
        place = next(number for number, block in enumerate(self.all) if block is part)
        brief = part.brief if part.brief is not None else part.blocks
        if part.rows_leave is None or part.brief is not None:
            self.shown[place] = brief or ()
            self.left.append(part.name)
        if part.rows_leave is not None and not self.fits():
            self._drop_rows(place, part, brief)

    def come_back(self, part: Part) -> None:
        """Show the part whole again, if there is room for it."""
        place = next(number for number, block in enumerate(self.all) if block is part)
        before = dict(self.shown), list(self.left)
        self.shown.pop(place, None)
        self.left = [name for name in self.left if name.partition(" (")[0] != part.name.partition(" (")[0]]
        if not self.fits():
            self.shown, self.left = before

    def _drop_rows(self, place: int, part: Part, brief: Sequence[Block]) -> None:
        """Of the table, or of the blocks where there is none."""
        table = next((block for block in brief if isinstance(block, Grid)), None)
        rows: Sequence[object] = brief if table is None else table.rows
        before = list(self.left)
        for kept in range(len(rows) - 1, 0, -1):
            gone = len(rows) - kept
            some = slice(gone, None) if part.rows_leave == "first" else slice(kept)
            if table is None:
                self.shown[place] = brief[some]
            else:
                fewer = replace(table, rows=table.rows[some])
                self.shown[place] = [fewer if block is table else block for block in brief]
            which = "earlier" if part.rows_leave == "first" else "more"
            named = [name for name in before if name != part.name]
            self.left = [*named, f"{part.name} ({gone} {which})"]
            if self.fits():
                return
