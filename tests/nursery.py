"""Workers that need not import and collect the tests once more: forked by a process that has collected them.

Ten workers that each import, compile and collect all tests take a core a minute. A run by many workers
(`pytest -n 10`) has one process collect the tests first, ``python tests/nursery.py FD spxarb ARGUMENT...``, and each
worker is forked by it, and goes on with what was collected if it is asked for the same. A module that could not be
imported stays behind empty, and a worker would take it for one without tests: then each worker imports all itself. All
else is as in `tests/scenarios/warm_starts.py`.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

SCENARIOS = str(Path(__file__).with_name("scenarios"))
if __name__ == "__main__":
    sys.path.insert(0, SCENARIOS)

import pytest  # noqa: E402
from warm_starts import Parent, Warm, possible, start  # noqa: E402 -- it lies there

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MANY = 3
"""Of fewer workers each has a core for itself: they are up as soon without this."""
UNBUFFERED = ["-u", "-c"]
"""The options of the interpreter with which xdist starts a worker."""
DECIDES_WHAT_IS_COLLECTED = (
    "collect_in_virtualenv",
    "confcutdir",
    "doctestglob",
    "doctestmodules",
    "ignore",
    "ignore_glob",
    "importmode",
    "inifilename",
    "keepduplicates",
    "noconftest",
    "override_ini",
    "pyargs",
    "rootdir",
)
"""Options of pytest that must be the worker's own as well, for it to take what was collected."""


@contextmanager
def nursed(arguments: Sequence[str], workers: int) -> Iterator[None]:
    """Until its end a worker that is started is forked by a process that has collected what `arguments` name."""
    if workers < MANY or not possible():
        yield
        return
    try:
        parent = Parent(start(Path(__file__), *arguments))
    except (OSError, RuntimeError) as error:
        sys.stderr.write(f"each worker imports the tests itself: {error}\n")
        yield
        return

    class Worker(Warm):
        """A Popen of a worker."""

        def _forked(self, given: dict[str, Any]) -> tuple[Parent, list[str]] | None:
            interpreter, *words = map(os.fspath, given["args"])
            if interpreter != sys.executable or words[:2] != UNBUFFERED:
                return None
            return parent, words[1:]

    cold = subprocess.Popen
    subprocess.Popen = Worker  # type: ignore[misc]
    try:
        yield
    finally:
        subprocess.Popen = cold  # type: ignore[misc]


class Collected:
    """A plugin that keeps what was collected, for the workers to come."""

    def __init__(self) -> None:
        self._session: pytest.Session | None = None
        self._items: list[pytest.Item] = []
        self._nodes: dict[pytest.Item | pytest.Collector, None] = {}
        self.whole = True
        """Nothing was broken, or skipped itself, while it was collected."""

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.whole = self.whole and report.passed

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        self._session, self._items = session, [*items]
        self._nodes = dict.fromkeys(node for item in items for node in item.listchain())

    def give_to_worker(self) -> None:
        """In a worker's process: the session that it makes next is this one, if it would collect the same."""
        anew = pytest.Session.from_config

        def from_config(config: pytest.Config) -> pytest.Session:
            pytest.Session.from_config = anew  # type: ignore[method-assign]
            kept = self._session
            if kept is None or _asked(kept.config) != _asked(config):
                return anew(config)
            return self._given(kept, config)

        pytest.Session.from_config = from_config  # type: ignore[method-assign, assignment]

    def _given(self, session: pytest.Session, config: pytest.Config) -> pytest.Session:
        """The session begun anew for another configuration, with its nodes and fixtures, and nothing run."""
        fixtures, modules = session._fixturemanager, session.config.pluginmanager._dirpath2confmods
        session.__init__(config)  # type: ignore[misc] -- it is the key of its nodes and of their fixtures
        for node in self._nodes:
            node.config = config

        def perform_collect(*_: object, **__: object) -> list[pytest.Item]:
            for folder in modules:
                config.pluginmanager._loadconftestmodules(
                    folder,
                    config.getoption("importmode"),
                    config.rootpath,
                    consider_namespace_packages=config.getini("consider_namespace_packages"),
                )
            fixtures.config, session._fixturemanager = config, fixtures  # which the session's start made anew
            session.items = [*self._items]
            config.hook.pytest_collection_modifyitems(session=session, config=config, items=session.items)
            config.hook.pytest_collection_finish(session=session)
            session.testscollected = len(session.items)
            return session.items

        session.perform_collect = perform_collect  # type: ignore[method-assign, assignment]
        return session


def _asked(config: pytest.Config) -> list[object]:
    """What decides what is collected."""
    options = [getattr(config.option, name, None) for name in DECIDES_WHAT_IS_COLLECTED]
    plugins = [plugin for plugin in config.option.plugins or [] if not plugin.startswith("no:")]
    return [config.args, plugins, *options]


def _collected(arguments: list[str]) -> Collected:
    """Import and collect all tests, in pytest's own way; what is wrong with them is told by the workers."""
    kept = Collected()
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        words = ["--collect-only", "-qq", "-p", "no:cacheprovider", *arguments]
        code = pytest.main(words, plugins=[kept])
    kept.whole = kept.whole and code in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    gc.disable()
    gc.collect()
    gc.freeze()
    return kept


def main() -> NoReturn:
    """Collect, then serve; in a child be a worker."""
    from warm_parent import Served, become, end_process

    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C ends the run, which then hangs up
    kept = _collected(sys.argv[3:])
    if not kept.whole:
        end_process(1)
    order = Served(socket.socket(fileno=int(sys.argv[1]))).serve()
    if order is not None:
        kept.give_to_worker()
        become(order)
    end_process(0)


if __name__ == "__main__":
    main()
