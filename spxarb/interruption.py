"""Ctrl-C, SIGTERM and SIGHUP: each ends a command in its own way, so that its end is written down.

Outside an event loop a signal raises `Interrupted` where the program stands. Inside one it is handed to the
job that runs there, which ends by itself. Once a command has its result, signals change nothing any more.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C; what systemd, `kill` and `close-all` send; a terminal or an SSH session that was lost."""
SHELL_BASE = 128
"""A shell's exit code for a command that a signal ended is this and the signal's number."""


class Interrupted(KeyboardInterrupt):
    """A signal ended the command."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """The shell's number for it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return SHELL_BASE + self.number

    @property
    def cause(self) -> str:
        """What ended the command, in words."""
        return "Ctrl-C" if self.number == signal.SIGINT else signal.Signals(self.number).name


def of(error: KeyboardInterrupt) -> Interrupted:
    """The interruption with its number; Python's own is Ctrl-C."""
    return error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)


BROKEN_OFF = RuntimeError, AssertionError
"""How the library tells of a lock of its own that a signal left half taken (threading.py, of Python)."""


def behind(error: BaseException) -> Interrupted | None:
    """The signal that the error is, or amid which a lock of the library broke off; None for any other error.

    A signal raises wherever the program stands, so in `Thread.start` too: that its lock is then not released
    is no bug. Whatever else fails amid a signal keeps its own name.
    """
    if isinstance(error, KeyboardInterrupt):
        return of(error)
    seen, context = set[int](), error.__context__ if isinstance(error, BROKEN_OFF) else None
    while context is not None and id(context) not in seen:
        if isinstance(context, KeyboardInterrupt):
            return of(context)
        seen.add(id(context))
        context = context.__context__
    return None


class _State:
    """What is known of the signals of this process."""

    def __init__(self) -> None:
        self.first: Interrupted | None = None
        self.listener: Callable[[], bool] | None = None
        self.over = False


_state = _State()


def received() -> Interrupted | None:
    """The first signal since the command began; None: there was none."""
    return _state.first


def begin() -> None:
    """A command begins: forget what ended the one before it in this process."""
    _state.first, _state.listener, _state.over = None, None, False


def end() -> None:
    """The command has its result: what it still writes down and tells is bounded; no signal cuts it off."""
    _state.over = True


@contextmanager
def handled() -> Iterator[None]:
    """Signals are handled as this module says; one that was ignored before (`nohup`) stays ignored."""
    before = {}
    with suppress(ValueError):  # not the main thread: its signals are somebody else's
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _on_signal)
    begin()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def heard_by(listener: Callable[[], bool]) -> Iterator[None]:
    """While the block runs an event loop, signals are told to `listener`: False means that it ends nothing.

    It is called in the signal handler, on the main thread. What it ends nothing for is raised there.
    """
    _state.listener = listener
    try:
        yield
    finally:
        _state.listener = None


def _on_signal(number: int, _: FrameType | None) -> None:
    if _state.over:
        return
    _state.first = _state.first or Interrupted(number)
    if _state.listener is None or not _state.listener():
        raise _state.first
