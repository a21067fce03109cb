"""A process that has imported the program and forks one child for each command that the tests ask for.

``python tests/scenarios/warm_parent.py FD spxarb``: who asks connects to the listening socket FD, as
`tests/scenarios/warm_starts.py` does, and it serves until its standard input ends. A child is a process like one that
was started anew: its own pid, words, environment, folder and streams, and the program's own way in and out; it has
only been spared the imports. How it ended is told to who asked for it.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import gc
import inspect
import json
import logging
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from contextlib import nullcontext, redirect_stdout, suppress
from datetime import date, timedelta
from functools import cache
from importlib import import_module
from importlib.abc import SourceLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from fewer_pages import Place, fill_holes, gather, in_large_pages, noted
from warm_starts import CLOCK, CODE_BYTES, MODULES, SET_LATER, FilesUpTo, limits, sets_clock, user

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.machinery import ModuleSpec

    from spxarb.sim.market.instruments import Instrument
    from spxarb.sim.market.market import SyntheticDay

MOST_BYTES = 1 << 20
PR_SET_DUMPABLE = 4
"""prctl(2)."""
NAMES = list(inspect.signature(subprocess.Popen._execute_child).parameters)[1:]  # type: ignore[attr-defined]
SENDERS = tuple([sys.executable, "-P", "-m", module] for module in ("spxarb.notify", "spxarb.ping"))
"""What the program starts of itself to tell others."""
programs: dict[str, tuple[ModuleSpec, Any]] = {}
"""By module: where ``python -m`` finds what it runs, and the code of it."""
DAY, REGIMES = date(2026, 2, 10), ("rich-spy", "quiet")
"""The day that most scenarios play: its calendar and prices are drawn once for all gateways."""
PARSED_WITH = ("spxarb.cli.commands", "typer._adapters", "typer._click.decorators")
"""What reads a command line; the parser imports half of it only once there are words."""
USED_WITHIN_FUNCTIONS = (
    ("", "_strptime"),
    ("", "apprise.plugins.custom_json"),
    ("", "encodings.ascii"),
    ("", "encodings.idna"),
    ("", "encodings.unicode_escape"),
    ("", "logging.handlers"),
    ("", "rich.box"),
    ("", "rich.live"),
    ("", "rich.panel"),
    ("", "rich.table"),
    ("holidays", "holidays.financial.ny_stock_exchange"),
    ("ib_insync", "ib_insync.objects"),
    ("ib_insync", "ib_insync.order"),
    ("platformdirs", "platformdirs.unix"),
    ("sqlite_utils", "sqlite_utils.db"),
)
"""What the program imports only once it runs: within which library's block of `spxarb/imports.py`, and what."""


def imported() -> None:
    """Import what any command may need, in the program's own way: see `spxarb/imports.py`."""
    from spxarb.imports import trimmed

    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    with trimmed("pydantic"):
        for module in PARSED_WITH:
            import_module(module)
    import spxarb

    for found in pkgutil.walk_packages(spxarb.__path__, "spxarb."):
        if not found.name.endswith("__main__"):
            import_module(found.name)
    for library, name in USED_WITHIN_FUNCTIONS:
        with trimmed(library, but=name) if library else nullcontext():
            import_module(name)
    import spxarb.sim.__main__  # what it needs, and for practice
    from spxarb.cli.commands import VERBS, tree
    from spxarb.config.schema import SECTIONS
    from spxarb.sim.market.market import SyntheticDay

    for verb in VERBS:
        tree([verb])
    for section in SECTIONS.values():
        section.model_rebuild()  # what checks its values, which is else built by the first that is set
    for regime in REGIMES:
        day = SyntheticDay(DAY, regime=regime)
        for call in _near_the_money(day):
            day.quote(call.con_id, day.close - timedelta(seconds=1))


def _near_the_money(day: SyntheticDay) -> list[Instrument]:
    """The calls that most scenarios hold until the day is over."""
    from spxarb.sim.market.instruments import SPX_ID, SPY_ID

    found = []
    for trading_class, index, far in (("SPXW", SPX_ID, 10), ("SPY", SPY_ID, 1)):
        price = day.quote(index, day.open + timedelta(minutes=5)).last or 0.0
        symbol = "SPY" if index == SPY_ID else "SPX"
        calls = day.find(symbol, "OPT", day.day, right="C", trading_class=trading_class)
        found += [call for call in calls if call.strike is not None and abs(call.strike - price) <= far]
    return found


PRACTICE = (*("enter", "monitor", "status", "close-all --yes") * 2, *("settle", "report", "status") * 2)
"""Commands of one day, that of `DAY`."""
CONFIGURATION = """
ib: {{port: {port}}}
trading: {{mode: sim}}
storage: {{database: {folder}/trading.db}}
logging: {{console: false}}
"""


def practise(*, note: bool = False) -> tuple[list[int], set[Place]]:
    """Run a day's commands in this process: what Python and the libraries make of a program while it runs is made then.

    (Specialized code, compiled patterns, the exchange's calendar.) Nothing else of it may stay; what does is undone
    here, and `tests/scenarios/test_warm_starts.py` looks for more. Their exit codes: on a machine that is too busy
    for one of them the others have been practice enough. With `note` also the functions that ran, here and in the
    gateway.
    """
    from spxarb import logs
    from spxarb.trading import run_lines

    environment, loggers, ran = dict(os.environ), _loggers(), set[Place]()
    told, tells = os.pipe()
    gateway = os.fork()
    if gateway == 0:
        os.dup2(tells, 1)
        os.closerange(3, 256)
        with noted(ran) if note else nullcontext():
            _be_gateway()
        print("", json.dumps([*ran]), sep="\n", flush=True)
        os._exit(0)
    os.close(tells)
    with os.fdopen(told) as said:
        port = json.loads(said.readline())["port"]
        with noted(ran) if note else nullcontext():
            codes = _run_commands(port, [*dict.fromkeys(PRACTICE)] if note else PRACTICE)
        os.kill(gateway, signal.SIGTERM)
        ran.update(map(tuple, json.loads(said.readlines()[-1])))
    os.waitpid(gateway, 0)
    os.environ.clear()
    os.environ.update(environment)
    logs._accounts.clear()
    run_lines._last.clear()
    tempfile.tempdir = tempfile._name_sequence = None  # type: ignore[attr-defined]
    for logger in _loggers():
        handlers, level = loggers.get(logger, ([], logging.NOTSET))
        logger.handlers[:] = handlers
        logger.setLevel(level)
    return codes, ran


def practise_as_gateway() -> None:
    """Be the gateway of such a day: as `practise`, for what the scenarios' gateways run."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    told, tells = os.pipe()
    commands = os.fork()
    if commands == 0:
        try:
            os.close(tells)
            with os.fdopen(told) as said:
                _run_commands(json.loads(said.readline())["port"], PRACTICE)
        finally:
            os.kill(os.getppid(), signal.SIGTERM)
            os._exit(0)
    os.close(told)
    with os.fdopen(tells, "w") as says, redirect_stdout(says):
        _be_gateway()
    os.waitpid(commands, 0)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _be_gateway() -> None:
    """Say on standard output where it listens, and serve until SIGTERM."""
    from spxarb.sim.__main__ import main as run_gateway

    day = ["--date", DAY.isoformat(), "--regime", REGIMES[0], "--at", "09:35", "--speed", "0"]
    run_gateway([*day, "--port", "0", "--json"])


def _run_commands(port: int, commands: Iterable[str]) -> list[int]:
    from spxarb.cli.commands import main as run_command

    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        file = Path(folder) / "config.yaml"
        file.write_text(CONFIGURATION.format(port=port, folder=folder))
        file.chmod(0o600)
        os.environ.clear()
        os.environ.update(HOME=folder, SPXARB_WAIT_SCALE="0.1")
        with redirect_stdout(nowhere):
            return [run_command(["--config", str(file), *words.split(), "--json"]) for words in commands]


def _loggers() -> dict[logging.Logger, tuple[list[logging.Handler], int]]:
    found = [logging.root, *logging.root.manager.loggerDict.values()]
    return {
        logger: ([*logger.handlers], logger.level) for logger in found if isinstance(logger, logging.Logger)
    }


def find_programs() -> None:
    """What ``python -m`` runs of each module, found once."""
    for name in (*MODULES, *(words[-1] for words in SENDERS)):
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = find_spec(f"{name}.__main__")
        assert spec is not None
        assert isinstance(spec.loader, SourceLoader)
        programs[name] = spec, spec.loader.get_code(spec.name)


class Clock:
    """The clock as a child can set it forward for itself: see `tests/scenarios/clock/sitecustomize.py`."""

    def __init__(self) -> None:
        spec = spec_from_file_location("sitecustomize", CLOCK / "sitecustomize.py")
        assert spec is not None
        assert spec.loader is not None
        self._module = module_from_spec(spec)
        spec.loader.exec_module(self._module)
        self._seen = self._module.seen_by()

    @property
    def is_set(self) -> bool:
        return time.time is not self._module.real_time

    def become_set(self, place: int) -> None:
        """Be as a Python is that found this file on its path, at this place, before it imported anything."""
        sys.path.insert(place, str(CLOCK))
        sys.modules["sitecustomize"] = self._module
        self._module.set_as_asked(self._seen)


@cache
def clock() -> Clock:
    """It is made once all is imported."""
    return Clock()


def _run(name: str) -> None:
    """As ``python -m`` does."""
    spec, code = programs[name]
    main = types.ModuleType("__main__")
    vars(main).update(__file__=spec.origin, __cached__=spec.cached, __loader__=spec.loader)
    vars(main).update(__package__=spec.parent, __spec__=spec)
    sys.modules["__main__"] = main
    sys.argv[0] = str(spec.origin)
    exec(code, vars(main))


class Served:
    """Who asks for children, and who waits for the end of one."""

    def __init__(self, listens: socket.socket) -> None:
        self._listens = listens
        self._selector = selectors.DefaultSelector()
        self._waiting: dict[int, int] = {}
        """By child: where to tell how it ended."""
        self._told, tells = socket.socketpair()
        for end in (self._told, tells):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
        self._tells = tells
        for source in (0, listens, self._told):
            self._selector.register(source, selectors.EVENT_READ)
        self._greeting = json.dumps({"limits": limits(), "user": user()}).encode()

    def serve(self) -> dict[str, Any] | None:
        """Fork children until the tests hang up: None then; in a child what it is to be."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == 0:
                    return None
                if key.fileobj is self._told:
                    self._told.recv(4096)
                    self._tell_of_ends()
                elif key.fileobj is self._listens:
                    asker, _ = self._listens.accept()
                    with suppress(OSError):  # who asks may be gone already
                        asker.sendall(self._greeting)
                    self._selector.register(asker, selectors.EVENT_READ)
                elif isinstance(key.fileobj, socket.socket):
                    order = self._asked(key.fileobj)
                    if order is not None:
                        return order

    def _asked(self, asker: socket.socket) -> dict[str, Any] | None:
        """Fork a child, and tell its pid; in it what it is to be."""
        message, given = b"", list[int]()
        with suppress(ConnectionError):  # who asked was killed
            message, given, _, _ = socket.recv_fds(asker, MOST_BYTES, 4)
        if not message:
            self._selector.unregister(asker)
            asker.close()
            return None
        *streams, ended = given
        child = os.fork()
        if child == 0:
            self._leave()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            os.closerange(3, 256)
            return dict(json.loads(message))
        self._waiting[child] = ended
        for stream in streams:
            os.close(stream)
        with suppress(OSError):
            asker.sendall(f"{child}\n".encode())
        return None

    def _leave(self) -> None:
        """In a child: nothing of this stays open."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sources = [key.fileobj for key in self._selector.get_map().values()]
        self._selector.close()
        for source in (*sources, self._tells):
            if isinstance(source, socket.socket):
                source.close()
        for ended in self._waiting.values():
            os.close(ended)

    def _tell_of_ends(self) -> None:
        """While who waits is told, the process id is still the child's."""
        looked = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with suppress(ChildProcessError):
            while (end := os.waitid(os.P_ALL, 0, looked)) is not None:
                code = end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
                ended = self._waiting.pop(end.si_pid)
                with suppress(OSError):
                    os.write(ended, code.to_bytes(CODE_BYTES, "little", signed=True))
                os.close(ended)
                os.waitpid(end.si_pid, 0)


def become(order: dict[str, Any]) -> None:
    """Run the words of a request, in its folder and environment, as Python would."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    sys.dont_write_bytecode = bool(os.environ.get(SET_LATER))
    os.chdir(order["folder"])
    if order["session"]:
        os.setsid()
    if order["user"] is not None:
        _become_user(*order["user"])
    if order["files_up_to"] is not None:
        FilesUpTo(order["files_up_to"])()
    kind, what, *words = order["words"]
    if order["safe"]:
        del sys.path[0]
    elif not sys.flags.safe_path:
        sys.path[0] = "" if kind == "-c" else order["folder"]
    if sets_clock(os.environ):
        clock().become_set(place=0 if order["safe"] or sys.flags.safe_path else 1)
    sys.argv[:] = [kind if kind == "-c" else what, *words]
    with suppress(ValueError, OSError):
        sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())  # type: ignore[union-attr]
    if kind == "-c":
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    else:
        _run(what)


def _become_user(user: int, group: int, groups: list[int]) -> None:
    """As Popen does it. What /proc tells of the process is that user's too, as it is after a start."""
    os.setgroups(groups)
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1)


class Hot(subprocess.Popen):  # type: ignore[type-arg]
    """A Popen within a child: what sends alerts and pings is forked from the child itself, which has imported it already.

    It is a process as one started anew: a child of the job, with its own environment, folder, streams and session;
    of the job's memory it keeps nothing open, no thread, no handler and no lock.
    """

    def _execute_child(self, *arguments: Any) -> None:
        given = dict(zip(NAMES, arguments, strict=True))
        if list(given["args"]) not in SENDERS or clock().is_set:  # a sender's own clock is not set
            super()._execute_child(*arguments)  # type: ignore[misc]
            return
        ends = [given[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")]
        up, tells = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            if given["start_new_session"]:
                os.setsid()
            os.close(tells)
            _become_another(given, [ends[0], ends[3], ends[5]])
        os.close(tells)
        os.read(up, 1)  # as after an exec: it leads its session by now
        os.close(up)
        self._child_created = True
        self._close_pipe_fds(*ends)  # type: ignore[attr-defined]


def _become_another(given: dict[str, Any], streams: list[int]) -> NoReturn:
    """From a fork of a job, with the job's stack still above: never return."""
    code = 1
    try:
        for number, stream in enumerate(streams):
            if stream != -1:
                os.dup2(stream, number)
        os.closerange(3, 256)
        signal.set_wakeup_fd(-1)
        asyncio._set_running_loop(None)
        for logger in (logging.root, *logging.root.manager.loggerDict.values()):
            if isinstance(logger, logging.Logger):
                logger.handlers.clear()
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            number = ("stdin", "stdout", "stderr").index(name)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
        become(
            {
                "environment": dict(given["env"]),
                "folder": os.fspath(given["cwd"] or Path.cwd()),
                "session": False,
                "safe": True,
                "user": None,
                "files_up_to": None,
                "words": list(given["args"][2:]),
            }
        )
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)


def main() -> NoReturn:
    """Serve, or in a child be what was asked for."""
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C ends the tests, which then hang up
    listens = socket.socket(fileno=int(sys.argv[1]))
    imported()
    _, ran = practise(note=True)
    gather(ran)
    practise()
    practise_as_gateway()
    find_programs()
    clock()
    gc.collect()
    fill_holes()
    in_large_pages()
    gc.freeze()
    served = Served(listens)
    order = served.serve()
    if order is None:
        os._exit(0)
    subprocess.Popen = Hot  # type: ignore[misc]
    end = SystemExit()
    try:
        become(order)
    except SystemExit as asked:
        end = asked
    if end.code is None or isinstance(end.code, int):
        end_process(end.code or 0)
    raise end


def end_process(code: int) -> NoReturn:
    """As Python ends, but that nothing is freed: to look at every object would copy what the parent has of it."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            code = code or 120  # as Python says it
    os._exit(code)


if __name__ == "__main__":
    main()
