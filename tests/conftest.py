"""For all tests: properties are judged by what they find, not by how fast a busy machine finds it."""

from __future__ import annotations

import gc
import inspect
import os
import signal
import socket
import subprocess
from contextlib import nullcontext
from functools import cache, cached_property
from itertools import groupby, islice, zip_longest
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from entered import shelf
from hypothesis import settings
from warm_starts import ADDRESS, possible, start, warm

from tests import effort  # noqa: F401 -- it registers the profiles
from tests.nursery import MANY, nursed

if TYPE_CHECKING:
    from collections.abc import Generator

TESTS = Path(__file__).parent
OUTSIDE = {
    "RunningSim",
    "create_server",
    "fork",
    "multiprocessing",
    "open_connection",
    "socket",
    "start_server",
    "subprocess",
}
"""A test that uses one of these names, itself or by its fixtures and helpers, starts processes or opens sockets."""
DOORS: tuple[tuple[Any, str], ...] = (
    (subprocess.Popen, "__init__"),
    (os, "fork"),
    (os, "posix_spawn"),
    (os, "system"),
    (socket.socket, "bind"),
    (socket.socket, "connect"),
    (socket.socket, "connect_ex"),
    (socket.socket, "sendto"),
)
"""The ways to a process, and to a socket that others can reach: closed to every test that is not `outside`."""

WARM = {"ledger", "scenarios", "sim", "trading"}
"""Folders whose tests may fork the program's processes from a parent that has imported it: `scenarios/warm_starts.py`."""

WAITING = {
    "test_chaos.py",
    "test_crash.py",
    "test_entry_matrix.py",
    "test_exit_matrix.py",
    "test_failsafe.py",
    "test_not_linux.py",
    "test_silence.py",
    "test_two_at_once.py",
    "test_withheld.py",
}
"""Files of which a test waits for up to half a minute, with a stage of its own."""

COLLECTED = 10_000, 50, 100
"""Thresholds of the garbage collector, each far above Python's own: a run makes little that only it can free."""

os.environ.pop("COLUMNS", None)  # tables are as wide as for everybody, whatever terminal the tests run in
settings.load_profile("project")
gc.disable()  # until all tests are collected: what is made meanwhile stays

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as under nohup: every child would ignore Ctrl-C too
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _entries_are_kept(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """For all workers together: see `scenarios/entered.py`."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "entries"
    folder.mkdir(mode=0o700, exist_ok=True)
    shelf.append(folder)
    yield
    shelf.clear()


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Generator[None, object, object]:
    """Of a run by many workers: start the warm parent for them while they collect, and let them be forked."""
    options = session.config.option
    workers = getattr(options, "numprocesses", None) or 0
    if workers and options.markexpr != "not outside" and possible():
        os.environ[ADDRESS] = start()
    with nursed(session.config.args, workers):
        return (yield)


# --- tests that start processes or open sockets ---------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    known: dict[int, bool] = {}
    for item in items:
        fixtures = getattr(item, "_fixtureinfo", None)
        used = (
            [fixture.func for found in fixtures.name2fixturedefs.values() for fixture in found]
            if fixtures
            else []
        )
        reaches_out = any(_reaches_out(function, known) for function in (getattr(item, "obj", None), *used))
        if "scenarios" in item.path.parts or reaches_out:
            item.add_marker("outside")
    if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
        items[:] = _dealt(items, workers)


def _dealt(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The tests in an order in which some workers wait while others have work for the machine.

    `--dist worksteal` gives each worker an equal run of the list, and who has done its own takes from the ends of
    others' runs: where those are the short tests, nobody waits for the last one. Of many workers one has no test that
    may wait: it uses the machine while all others do.
    """
    outside = [item for item in items if item.get_closest_marker("outside")]
    waiting = [item for item in outside if item.path.name in WAITING]
    among = workers - 1 if workers >= MANY else workers
    files: list[list[list[pytest.Item]]] = [[] for _ in range(among)]
    for _, file in groupby(
        (item for item in outside if item.path.name not in WAITING), lambda item: item.path
    ):
        min(files, key=lambda hand: sum(map(len, hand))).append([*file])
    hands = [
        _woven(waiting[number::among], files[number], waits_first=number % 2 == 0) for number in range(among)
    ]
    hands += [[] for _ in range(workers - among)]
    rest = iter(item for item in items if not item.get_closest_marker("outside"))
    share = max(*map(len, hands), -(-len(items) // workers))
    return [item for hand in hands for item in (*hand, *islice(rest, share - len(hand)))] + list(rest)


def _woven(
    waiting: list[pytest.Item], files: list[list[pytest.Item]], *, waits_first: bool
) -> list[pytest.Item]:
    """Some that wait between one file and the next: a file's own tests stay together, for what they share."""
    runs = len(files) or 1
    parts = [waiting[number::runs] for number in range(runs)]
    pairs = zip_longest(parts, files, fillvalue=list[pytest.Item]())
    return [item for part, file in pairs for item in ((*part, *file) if waits_first else (*file, *part))]


def _reaches_out(thing: object, known: dict[int, bool]) -> bool:
    """Whether a function or class of the tests uses one of the names in OUTSIDE, by others of theirs included."""
    if isinstance(thing, cached_property):
        thing = thing.func
    if isinstance(thing, MethodType):
        thing = thing.__func__
    if not isinstance(thing, FunctionType | type):
        return False
    if id(thing) not in known:
        known[id(thing)] = False  # while it is looked at, for those that call each other
        known[id(thing)] = _looked_into(thing, known)
    return known[id(thing)]


def _looked_into(thing: FunctionType | type, known: dict[int, bool]) -> bool:
    if isinstance(thing, type):
        serves = any(base.__module__ == "socketserver" for base in thing.__mro__)
        return serves or any(_reaches_out(member, known) for member in vars(thing).values())
    inner = inspect.unwrap(getattr(getattr(thing, "hypothesis", None), "inner_test", thing))
    if inner is not thing:
        return _reaches_out(inner, known)
    if not _lies_in_tests(thing.__code__.co_filename):
        return False
    names = _names(thing.__code__)
    helpers = (thing.__globals__[name] for name in names if name in thing.__globals__)
    return bool(names & OUTSIDE) or any(_reaches_out(helper, known) for helper in helpers)


@cache
def _lies_in_tests(file: str) -> bool:
    return TESTS in Path(file).parents


def _names(code: CodeType) -> set[str]:
    inner = [_names(part) for part in code.co_consts if isinstance(part, CodeType)]
    return set(code.co_names).union(*inner)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(*COLLECTED)
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """So that a test in the fast loop which belongs outside of it fails, and says so."""
    if item.get_closest_marker("outside"):
        with warm() if WARM & set(item.path.parts) else nullcontext():
            return (yield)
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in DOORS:
            patch.setattr(owner, name, _closed)
        return (yield)


def _closed(*_: object, **__: object) -> NoReturn:
    raise RuntimeError(
        "this test starts a process or opens a socket, and tests/conftest.py cannot see it: mark it `outside`"
    )
