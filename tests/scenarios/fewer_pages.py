"""What the warm parent has lies on few pages: after a fork each page on which anything is written is copied first.

What Python writes while it runs (counts of references, and in the code itself what it finds out about it) is everywhere.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import types
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Place = tuple[str, str, int, str]
"""Of a function: its file, its name, its first line, and the names of its variables: `dataclass` has no file for its own."""
LARGE, MADV_COLLAPSE = 1 << 21, 25
"""Bytes of a large page; madvise(2)'s advice to make one at once, since Linux 6.1."""
SURELY_ABOVE = 20
"""So many in a row that each lie above all others: no hole is left."""
left: list[types.CodeType] = []
"""Code that has been laid elsewhere: where it was there would be holes."""


@contextmanager
def noted(ran: set[Place]) -> Iterator[None]:
    """The functions that run meanwhile, in threads too."""
    seen: dict[int, types.CodeType] = {}

    def note(frame: types.FrameType, event: str, _: object) -> None:
        if event == "call":
            seen[id(frame.f_code)] = frame.f_code

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        ran.update(map(place_of, seen.values()))


def place_of(code: types.CodeType) -> Place:
    return code.co_filename, code.co_qualname, code.co_firstlineno, " ".join(code.co_varnames)


def gather(ran: set[Place]) -> None:
    """Lay the code of these functions side by side."""
    moved: dict[int, types.CodeType] = {}

    def copy(code: types.CodeType) -> types.CodeType:
        if id(code) not in moved:
            inner = [copy(part) if isinstance(part, types.CodeType) else part for part in code.co_consts]
            moved[id(code)] = code.replace(co_consts=tuple(inner))
        return moved[id(code)]

    fill_holes()
    for function in gc.get_objects():
        if isinstance(function, types.FunctionType) and place_of(function.__code__) in ran:
            left.append(function.__code__)
            function.__code__ = copy(function.__code__)


def fill_holes() -> None:
    """Take the free places between what is there: what a child makes then lies together, above it.

    Else it is strewn over some 600 pages of the parent, each of which has to be copied.
    """
    library = ctypes.CDLL(None)
    library.malloc.argtypes, library.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    for size in (*(1 << power for power in range(16, 4, -1)), 24):
        highest = above = 0
        while above < SURELY_ABOVE:
            place = library.malloc(size) or 0
            above = above + 1 if place > highest else 0
            highest = max(highest, place)


def in_large_pages() -> None:
    """Move what the parent has into pages of 2 MiB, where Linux can: a fork copies one entry for each, not 512."""
    library = ctypes.CDLL(None)
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, rights, _, _, _, *name = line.split(maxsplit=5)
        if rights == "rw-p" and name in ([], ["[heap]"]):
            begins, ends = (int(address, 16) for address in place.split("-"))
            for address in range(-(-begins // LARGE) * LARGE, ends // LARGE * LARGE, LARGE):
                library.madvise(address, LARGE, MADV_COLLAPSE)
