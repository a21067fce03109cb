"""Libraries without the parts of them that nothing here uses; the one place that touches `sys.modules`.

A command's start is paid some eighty times a day, and most of it is imports of imports: numpy for array
operators, click and dateutil for a command line that is not ours, every country's holidays, patterns that
are never matched. `LEFT_OUT` names them, library by library. `tests/test_startup.py` fails when a row has
become useless or wrong, because the library has moved: then take the row out, or set it right.
"""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec, module_from_spec
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
    `patterns`: its regular expressions are compiled when they are first used.
    """

    entered: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    patterns: bool = False


LEFT_OUT = {
    # Orders are needed where there are any; tickers, which the decoder's annotations bring, never; numpy for
    # eventkit's array operators alone.
    "ib_insync": LeftOut(
        entered=("ib_insync",),
        later=("ib_insync.objects", "ib_insync.order", "ib_insync.wrapper", "numpy"),
    ),
    # numpy and pandas only tell it which of their numbers are REAL; the others belong to its own command
    # line, its plugins and its full-text search.
    "sqlite_utils": LeftOut(
        entered=("sqlite_utils",),
        later=(
            "click",
            "dateutil",
            "sqlite_fts4",
            "sqlite_utils.create_table_parser",
            "sqlite_utils.plugins",
        ),
        absent=("numpy", "pandas"),
        patterns=True,
    ),
    # Asked for one exchange, it imports every country of the world.
    "holidays": LeftOut(entered=("holidays", "holidays.financial"), later=("dateutil.parser",)),
    # It asks the metadata of every installed package for plugins; `__main__` wants none.
    "pydantic": LeftOut(later=("importlib.metadata",)),
    # It is asked for one folder: what reads `user-dirs.dirs`, or looks for an Android, is not needed.
    "platformdirs": LeftOut(entered=("platformdirs",), patterns=True),
    # At every press of the tabulator it would clean help texts of a markup that ours do not have.
    "typer": LeftOut(absent=("rich",)),
    # Files are read here, never written, and by the loader in Python.
    "yaml": LeftOut(entered=("yaml",), patterns=True),
}


_trimming: list[str] = []
"""The libraries in whose blocks we are, the innermost last."""
_compile = re.compile


@contextmanager
def trimmed(library: str, *, but: str = "") -> Iterator[None]:
    """In the block, imports of `library` do without what `LEFT_OUT` names, the module `but` excepted.

    Within it import from the library's modules (`from yaml.loader import SafeLoader`), not from the library.
    Others get the real modules: what stands in for one is gone at the end of the block, and a package that
    was entered becomes whole when something else is wanted of it.
    """
    ours: dict[str, ModuleType | None] = {}
    _trimming.append(library)
    try:
        for name, module in _replacements(library, but):
            ours[name] = sys.modules[name] = module  # type: ignore[assignment]
        for name in LEFT_OUT[library].entered:
            _enter(name)
        if LEFT_OUT[library].patterns:
            re.compile = _Pattern  # type: ignore[assignment]
        yield
    finally:
        _trimming.pop()
        re.compile = _compile
        for name, module in ours.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _replacements(library: str, but: str) -> Iterator[tuple[str, ModuleType | None]]:
    """What takes the place of each module; those that are loaded already keep theirs."""
    left_out = LEFT_OUT[library]
    for name in left_out.absent:
        if name not in sys.modules:
            yield name, None
    for name in left_out.later:
        if name not in sys.modules and name != but:
            yield name, _Later(name, library)


def _enter(name: str) -> None:
    """Put a package in its place whose own code has not run."""
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.modules[name] = package = module_from_spec(spec)
    package.__class__ = _Entered
    above, _, last = name.rpartition(".")
    if above:
        setattr(sys.modules[above], last, package)


class _Entered(ModuleType):
    """A package whose own code runs when something is wanted of it that it does not have yet."""

    def __getattr__(self, name: str) -> Any:
        if any(self.__name__ in LEFT_OUT[library].entered for library in _trimming):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} yet", name=name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__ is not None and self.__spec__.loader is not None  # noqa: PT018
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


class _Later(ModuleType):
    """Stands in for a module. What is taken from it is a placeholder; using that imports the module.

    (importlib's LazyLoader loads at the second import of the name already, and for `from name import ...`.)
    """

    def __init__(self, name: str, library: str) -> None:
        super().__init__(name)
        self._library = library

    def _real(self) -> ModuleType:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        with trimmed(self._library, but=self.__name__):
            return import_module(self.__name__)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system looks for these
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            return _Placeholder(self, name)
        return _taken(self._real(), name)


def _taken(module: ModuleType, name: str) -> Any:
    """As `from module import name` finds it: an attribute, else a module of the package. AttributeError."""
    if not hasattr(module, name) and hasattr(module, "__path__"):
        with suppress(ModuleNotFoundError):
            return import_module(f"{module.__name__}.{name}")
    return getattr(module, name)


class _Placeholder:
    """One name of a module that is not imported yet."""

    def __init__(self, stand_in: _Later, name: str) -> None:
        self._stand_in, self._name = stand_in, name

    @cached_property
    def _real(self) -> Any:
        return _taken(self._stand_in._real(), self._name)  # noqa: SLF001 -- two halves of one thing

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._real(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __or__(self, other: object) -> Any:
        """In an annotation, which nobody evaluates further."""
        return Any

    __ror__ = __or__


class _Pattern:
    """A regular expression that is compiled when it is first used; flags as `re.compile` takes them."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._pattern, self._flags = pattern, flags

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return _compile(self._pattern, self._flags)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compiled, name)
