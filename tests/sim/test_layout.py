"""How the simulated gateway is built: no circles, no two classes of one name, every module in the document."""

import ast
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SIM = ROOT / "spxarb" / "sim"
DOCUMENT = ROOT / "docs" / "simulated-gateway.md"


def module_of(file):
    """`spxarb/sim/api/wire.py` is `api.wire`."""
    return ".".join(file.relative_to(SIM).with_suffix("").parts)


FILES = {module_of(file): file for file in sorted(SIM.rglob("*.py")) if file.name != "__init__.py"}

ORDER = (
    "token",
    "yaml_file",
    "control",
    "market",
    "exchange",
    "api",
    "faults",
    "gateway",
    "controller",
    "wire_replay",
    "server",
    "__main__",
)
"""Every folder knows only those before it, and all know `control`."""


def imports(source, modules):
    """The modules of the simulator that a source imports, wherever the import stands: for types too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports are not followed here"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found |= {name.removeprefix("spxarb.sim.") for name in names} & modules
    return found


def room_of(module):
    """A module's folder; a module outside of the folders is a room of its own."""
    return module.partition(".")[0]


def circle(graph):
    """The nodes of a circle, in order; empty when there is none."""
    done, way = set(), []

    def visit(node):
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        way.append(node)
        for target in sorted(graph.get(node, ())):
            if found := visit(target):
                return found
        way.pop()
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := visit(node))), [])


@cache
def modules():
    return {name: imports(file.read_text(), set(FILES)) for name, file in FILES.items()}


@cache
def rooms():
    found = defaultdict(set)
    for name, targets in modules().items():
        found[room_of(name)] |= {room_of(target) for target in targets} - {room_of(name)}
    return found


def test_no_module_imports_itself_by_way_of_others():
    assert circle(modules()) == []


def test_no_folder_imports_itself_by_way_of_others():
    assert circle(rooms()) == []
    assert set(rooms()) == set(ORDER)


def test_the_market_is_at_the_bottom_and_every_folder_knows_only_those_below():
    for room, targets in rooms().items():
        below = set(ORDER[: ORDER.index(room)])
        assert targets - {"control"} <= below, room
    assert rooms()["control"] == {"token", "yaml_file"}
    assert rooms()["token"] == rooms()["yaml_file"] == set()


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, ["b", "c", "b"]),
        ({"a": {"a"}}, ["a", "a"]),
        ({"a": {"b", "c"}, "b": {"c"}, "c": set()}, []),
    ],
)
def test_a_circle_would_be_found(graph, found):
    assert circle(graph) == found


def test_an_import_for_the_type_checker_or_within_a_function_counts():
    source = """
if TYPE_CHECKING:
    from spxarb.sim.api.session import Session
def late():
    from spxarb.sim.market import ticks
"""
    assert imports(source, {"api.session", "market.ticks", "market.path"}) == {"api.session", "market.ticks"}


def test_no_class_shares_its_name_with_another_class_of_the_package():
    names = Counter()
    ours = set()
    for file in (ROOT / "spxarb").rglob("*.py"):
        classes = [
            node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ClassDef)
        ]
        names.update(classes)
        ours |= set(classes) if file.is_relative_to(SIM) else set()
    assert sorted(name for name in ours if names[name] > 1) == []


def test_the_document_says_what_every_module_does():
    table = DOCUMENT.read_text().split("\n## How it is built\n")[1].split("\n## ")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([\w/]+)`", row)]
    assert sorted(named) == sorted(name.replace(".", "/") for name in FILES)
