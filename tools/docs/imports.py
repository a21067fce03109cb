"""Who imports whom: read from the source text of a package, without running any of it."""

from __future__ import annotations

import ast
import io
import subprocess
import tarfile
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

PACKAGE = "spxarb"


class Module(NamedTuple):
    """One file. `path` is relative to the project's root, with slashes; `text` its source."""

    name: str
    path: str
    text: str

    @property
    def is_package(self) -> bool:
        return self.path.endswith("/__init__.py")

    @property
    def package(self) -> str:
        """What a relative import in it counts from."""
        return self.name if self.is_package else self.name.rpartition(".")[0]


class Import(NamedTuple):
    """One import: by whom, of what, as dotted names. `for_types`: only for the type checker."""

    by: str
    of: str
    for_types: bool


Modules = dict[str, Module]


def working_tree(root: Path) -> Modules:
    """The package's modules as they are on disk, by dotted name."""
    files = sorted((root / PACKAGE).rglob("*.py"))
    return _by_name((file.relative_to(root).as_posix(), file.read_text(encoding="utf-8")) for file in files)


def revision(root: Path, name: str) -> Modules:
    """The package's modules at a git revision. Raises CalledProcessError when there is no such revision."""
    command = ["git", "-C", str(root), "archive", "--format=tar", name, PACKAGE]
    archive = subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603 -- git alone
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return _by_name(
            (member.name, file.read().decode())
            for member in tar.getmembers()
            if member.name.endswith(".py") and (file := tar.extractfile(member)) is not None
        )


def _by_name(texts: Iterable[tuple[str, str]]) -> Modules:
    modules = (Module(_dotted(path), path, text) for path, text in texts)
    return {module.name: module for module in modules}


def _dotted(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def all_imports(modules: Modules) -> list[Import]:
    """Every import of every module, wherever it stands in the file."""
    return [found for module in modules.values() for found in _imports_of(module, modules)]


def _imports_of(module: Module, modules: Modules) -> Iterator[Import]:
    for node, for_types in outline(module.text).imports:
        for of in _imported(module, node, modules):
            yield Import(module.name, of, for_types)


class Outline(NamedTuple):
    """Of one file, wherever it stands: each import, and whether it is only for the type checker; classes."""

    imports: list[tuple[ast.Import | ast.ImportFrom, bool]]
    classes: list[str]


@cache
def outline(text: str) -> Outline:
    """What a file's text imports and defines; each text is parsed once."""
    found = list(_statements(ast.parse(text)))
    guarded = {
        node
        for branch in found
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for statement in branch.body
        for node in ast.walk(statement)
    }
    return Outline(
        [(node, node in guarded) for node in found if isinstance(node, ast.Import | ast.ImportFrom)],
        [node.name for node in found if isinstance(node, ast.ClassDef)],
    )


def _statements(block: ast.AST) -> Iterator[ast.AST]:
    """Every statement of a file, of whatever depth, and what holds statements; no expression."""
    for name in _BLOCKS:
        for inner in getattr(block, name, ()):
            if isinstance(inner, _HOLDERS):
                yield inner
                yield from _statements(inner)


_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_HOLDERS = (ast.stmt, ast.ExceptHandler, ast.match_case)


def _imported(module: Module, node: ast.Import | ast.ImportFrom, modules: Modules) -> list[str]:
    """What one statement imports; `from package import module` is an import of the module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    parents = module.package.split(".")
    above = parents[: len(parents) - node.level + 1] if node.level else []
    base = ".".join([*above, *([node.module] if node.module else [])])
    parts = [f"{base}.{alias.name}" for alias in node.names]
    found = [part for part in parts if part in modules]
    return found + ([base] if len(found) < len(parts) else [])


def within(modules: Modules, found: Iterable[Import]) -> list[Import]:
    """The imports of the package's own modules."""
    return [one for one in found if one.of in modules]


Graph = dict[str, set[str]]


def graph(nodes: Iterable[str], arrows: Iterable[tuple[str, str]]) -> Graph:
    """Who points at whom; a node that points at itself does not."""
    found: Graph = {node: set() for node in nodes}
    for start, end in arrows:
        if start != end:
            found[start].add(end)
    return found


def components(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Nodes that reach each other, together; those that are pointed at come first (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for following in sorted(arrows[node]):
            if following not in index:
                visit(following)
                low[node] = min(low[node], low[following])
            elif following in stack:
                low[node] = min(low[node], index[following])
        if low[node] == index[node]:
            start = stack.index(node)
            found.append(sorted(stack[start:]))
            del stack[start:]

    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return found


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that import each other, directly or by way of others."""
    return [group for group in components(arrows) if len(group) > 1]
