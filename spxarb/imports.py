"""Libraries without the parts of them that nothing here uses; the one place that touches `sys.modules`.

A command's start is paid some eighty times a day, and most of it is imports of imports: numpy for array
operators, click and dateutil for a command line that is not ours, every country's holidays. `LEFT_OUT` names
them, library by library. `tests/test_startup.py` fails when a row has become useless or wrong, because the
library has moved: then take the row out, or set it right.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What stays out while one library is imported. A module that is loaded already is left as it is.

    `entered`: packages whose modules are imported without the package's own `__init__`, a parent first.
    `later`: modules that are imported when one of their names is first used, and not before.
    `absent`: optional modules that the library does without, as if they were not installed.
    """

    entered: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


LEFT_OUT = {
    # The decoder names the class Wrapper in an annotation, which brings the tickers; eventkit needs numpy
    # for its array operators alone.
    "ib_insync": LeftOut(entered=("ib_insync",), later=("ib_insync.wrapper", "numpy")),
    # numpy and pandas only tell it which of their numbers are REAL; the others belong to its own command
    # line, its plugins and its full-text search.
    "sqlite_utils": LeftOut(
        entered=("sqlite_utils",),
        later=("click", "dateutil", "sqlite_fts4", "sqlite_utils.plugins"),
        absent=("numpy", "pandas"),
    ),
    # Asked for one exchange, it imports every country of the world.
    "holidays": LeftOut(entered=("holidays", "holidays.financial"), later=("dateutil.parser",)),
    # It asks the metadata of every installed package for plugins; `__main__` wants none.
    "pydantic": LeftOut(later=("importlib.metadata",)),
    # Files are read here, never written, and by the loader in Python.
    "yaml": LeftOut(entered=("yaml",)),
}


@contextmanager
def trimmed(library: str) -> Iterator[None]:
    """In the block, imports of `library` do without what `LEFT_OUT` names.

    Within it import from the library's modules (`from yaml.loader import SafeLoader`), not from the library.
    What is put in the place of a module is gone at the end of the block: others get the real one.
    """
    left_out = LEFT_OUT[library]
    ours: dict[str, ModuleType | None] = {}

    def put(name: str, module: ModuleType | None) -> None:
        if name not in sys.modules:
            ours[name] = sys.modules[name] = module  # type: ignore[assignment]

    for name in left_out.absent:
        put(name, None)
    for name in left_out.later:
        put(name, _Later(name))
    for name in left_out.entered:
        put(name, _entered(name))
    try:
        yield
    finally:
        for name, module in ours.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _entered(name: str) -> ModuleType:
    """The package's folder without the package's code."""
    spec = find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"No package named {name!r}", name=name)
    package = ModuleType(name)
    package.__path__ = list(spec.submodule_search_locations)
    return package


class _Later(ModuleType):
    """Stands in for a module. What is taken from it is a placeholder; using that imports the module.

    (importlib's LazyLoader loads at the second import of the name already, and for `from name import ...`.)
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system looks for these
            raise AttributeError(name)
        placeholder = _Placeholder(self, name)
        return placeholder if sys.modules.get(self.__name__) is self else placeholder.real()


class _Placeholder:
    """One name of a module that is not imported yet."""

    def __init__(self, stand_in: ModuleType, name: str) -> None:
        self._stand_in, self._name = stand_in, name

    def real(self) -> Any:
        module = self._stand_in.__name__
        if sys.modules.get(module) is self._stand_in:
            del sys.modules[module]
        found = import_module(module)
        if not hasattr(found, self._name):  # a module of a package
            return import_module(f"{module}.{self._name}")
        return getattr(found, self._name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.real()(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real(), name)
