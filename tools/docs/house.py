"""The house in one picture and in figures, and what each of its files does: read from the source itself.

``python -m tools.docs.house`` writes the pictures in ``docs/architecture.md``, between their marks, and
``docs/files.md``. ``python -m tools.docs.house --figures [REVISION]`` prints the figures of the working tree
or of a git revision.

A room is a folder or a single file of a package; an arrow is an import between two rooms, those for the type
checker included. Each room stands one floor above the highest that it points at. An arrow that runs up is
one of those without which no room would reach itself.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.docs.imports import (
    PACKAGE,
    all_imports,
    circles,
    components,
    graph,
    revision,
    within,
    working_tree,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.docs.imports import Graph, Modules

PICTURES = {"house": PACKAGE, "simulated gateway": f"{PACKAGE}.sim"}
"""The marks in the document, and the package that is drawn between them."""
ARCHITECTURE, FILES = Path("docs") / "architecture.md", Path("docs") / "files.md"
_FILES_INTRO = """\
# Every file and what it does

Written from the files' own first sentences by `python -m tools.docs.house`. How the rooms stand to each
other is in [architecture.md](architecture.md).
"""


@dataclass(frozen=True)
class House:
    """The rooms of one package and the arrows between them.

    `folders`: the rooms that are packages. `circles`: modules, not rooms, that import each other.
    """

    arrows: Graph
    folders: frozenset[str]
    circles: Sequence[Sequence[str]]

    @property
    def arrows_up(self) -> list[tuple[str, str]]:
        """The fewest arrows, found one by one, without which no room reaches itself."""
        left = {room: set(targets) for room, targets in self.arrows.items()}
        found = []
        while knots := circles(left):
            candidates = [(start, end) for knot in knots for start in knot for end in left[start] & set(knot)]
            start, end = min(candidates, key=lambda arrow: (_knotted(_without(left, *arrow)), arrow))
            left[start].discard(end)
            found.append((start, end))
        return found

    @property
    def floors(self) -> dict[str, int]:
        """Each room's floor, 1 at the bottom; arrows that run up do not count."""
        downward = self.arrows
        for arrow in self.arrows_up:
            downward = _without(downward, *arrow)
        found: dict[str, int] = {}
        for (room,) in components(downward):
            found[room] = 1 + max((found[below] for below in downward[room]), default=0)
        return found

    def figures(self) -> str:
        """One line for people."""
        parts = [
            f"{_count(len(self.arrows), 'room')} on {_count(max(self.floors.values(), default=0), 'floor')}",
            _count(sum(map(len, self.arrows.values())), "arrow"),
            f"{_count(len(self.arrows_up), 'arrow')} up",
            _count(len(self.circles), "circle"),
        ]
        return ", ".join(parts)


def house(modules: Modules, package: str = PACKAGE) -> House:
    """The house of one package; the package's own file, for everybody, is no room."""
    inside = {name: module for name, module in modules.items() if name.startswith(f"{package}.")}
    own = [one for one in within(modules, all_imports(inside)) if one.of in inside]
    rooms = {name: name.removeprefix(f"{package}.").partition(".")[0] for name in inside}
    return House(
        graph(sorted(set(rooms.values())), ((rooms[one.by], rooms[one.of]) for one in own)),
        frozenset(
            rooms[name] for name, module in inside.items() if module.path.count("/") > package.count(".") + 1
        ),
        circles(graph(inside, ((one.by, one.of) for one in own))),
    )


def _without(arrows: Mapping[str, set[str]], start: str, end: str) -> Graph:
    return {room: targets - {end} if room == start else set(targets) for room, targets in arrows.items()}


def _knotted(arrows: Graph) -> int:
    return sum(map(len, circles(arrows)))


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


# --- the picture ----------------------------------------------------------------------------------


def picture(seen: House) -> str:
    """The house as a Mermaid diagram; an arrow that a longer way replaces is left out."""
    floors = seen.floors
    order = sorted(floors, key=lambda room: (-floors[room], room))
    nodes = [f'    {_id(room)}["{_label(seen, room)}"]\n' for room in order]
    arrows = [
        f"    {_id(room)} --> {_id(target)}\n"
        for room in order
        for target in sorted(_direct(seen.arrows, room))
    ]
    return "".join(["```mermaid\nflowchart TD\n", *nodes, *arrows, "```\n"])


def _label(seen: House, room: str) -> str:
    return f"{room}/" if room in seen.folders else f"{room}.py"


def _id(room: str) -> str:
    return f"room_{room.strip('_')}"


def _direct(arrows: Graph, room: str) -> set[str]:
    """The rooms that nothing between leads to already; those in a circle with the room are all kept."""
    return {
        target
        for target in arrows[room]
        if not any(
            target in _reached(arrows, between) and room not in _reached(arrows, between)
            for between in arrows[room] - {target}
        )
    }


def _reached(arrows: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = arrows[waiting.pop()] - found
        found |= fresh
        waiting += fresh
    return found


def with_pictures(text: str, modules: Modules) -> str:
    """A document with its pictures as the imports are now. Raises ValueError when a mark is missing."""
    for name, package in PICTURES.items():
        seen = house(modules, package)
        new = f"<!-- {name} -->\n{picture(seen)}\n{seen.figures().capitalize()}.\n<!-- end of {name} -->\n"
        parts = re.split(rf"<!-- {name} -->\n.*?<!-- end of {name} -->\n", text, flags=re.DOTALL)
        if len(parts) != 2:
            raise ValueError(f"{name!r} is marked {len(parts) - 1} times")
        text = new.join(parts)
    return text


# --- the files ------------------------------------------------------------------------------------


def files(modules: Modules) -> str:
    """The text of `docs/files.md`: a table for each package, the first sentence of each file."""
    parts = [_FILES_INTRO]
    packages = [module for module in modules.values() if module.is_package]
    for package in packages:
        members = [
            module for module in modules.values() if module.package == package.name and not module.is_package
        ]
        heading = package.path.removesuffix("__init__.py")
        parts += [f"\n## {heading}\n\n{_first_sentence(package.text)}\n\n| file | does |\n|---|---|\n"]
        parts += [
            f"| `{one.path.removeprefix(heading)}` | {_first_sentence(one.text)} |\n" for one in members
        ]
    return "".join(parts)


def _first_sentence(source: str) -> str:
    """Of the module's docstring, on one line."""
    before_the_imports = source.partition("\nfrom __future__ import ")[0]
    paragraph = (ast.get_docstring(ast.parse(before_the_imports)) or "").partition("\n\n")[0]
    text = " ".join(paragraph.replace("``", "`").split())
    found = re.match(r".*?[.](?=\s+[A-Z`]|$)", text)
    return (found[0] if found else text).replace("|", r"\|")


# --- the command ----------------------------------------------------------------------------------


def write(root: Path) -> None:
    """Write both documents below `root`, the project's root."""
    modules = working_tree(root)
    architecture = root / ARCHITECTURE
    architecture.write_text(
        with_pictures(architecture.read_text(encoding="utf-8"), modules), encoding="utf-8"
    )
    (root / FILES).write_text(files(modules), encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.docs.house", description=__doc__)
    parser.add_argument("--figures", nargs="?", const="", metavar="REVISION", help="print figures only")
    given = parser.parse_args(arguments)
    root = Path.cwd()
    if given.figures is None:
        write(root)
        return
    modules = revision(root, given.figures) if given.figures else working_tree(root)
    seen = house(modules)
    lines = [seen.figures()]
    lines += [f"  up: {start} -> {end}" for start, end in seen.arrows_up]
    lines += [f"  circle: {', '.join(circle)}" for circle in seen.circles]
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main(sys.argv[1:])
