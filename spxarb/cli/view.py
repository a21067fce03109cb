"""What people see: a Result as a screen, as JSON or as CSV. Alone in the program may print.

`cli/layout.py` makes lines of the terminal's width; rich colours them on a terminal and is imported there
alone. All text is text, never markup: a broker's words can neither colour nor hide anything. Missing is a
dash, never 0.
"""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from spxarb.cli.blocks import BAD, Block, Line
from spxarb.cli.layout import clean, lines, text_of, wrapped
from spxarb.cli.screens import screen
from spxarb.cli.shapes import as_csv, as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rich.console import Console, Group

    from spxarb.core.result import Result

PIPE_WIDTH = 160
"""Columns of a table where the output is no terminal and COLUMNS says nothing."""
PLAIN_TERMINAL = 80
"""Columns of a terminal that does not tell."""
SIGNAL_SECONDS = 0.25
"""How often a question looks whether a signal has come."""
LEAST_WIDTH = 40
"""Nothing is drawn for less."""
RICH_VARIABLES = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""They tell rich to colour what goes into a pipe."""


# --- printing -------------------------------------------------------------------------------------


def show(result: Result, *, json: bool = False) -> int:
    """Print the result to stdout (tables, or the JSON object), its error as one line to stderr.

    Returns the exit code. A reader who left early (a broken pipe) changes nothing; any other failure to
    write is told on stderr, and the exit code is then not 0.
    """
    if json:
        unwritten = write(as_json(result, indent=2 if _is_terminal(sys.stdout) else None) + "\n")
    else:
        unwritten = write(_drawn(screen(result)))
    if result.error or result.exit_code:
        told = result.error or f"ended with exit code {result.exit_code}; look at `spxarb status`."
        complain(told, result.command)
    return result.exit_code or _unwritten(unwritten, result.command)


def show_csv(result: Result, table: str, output: Path | None, *, quiet: bool = False) -> int:
    """Print one table of a report as CSV to stdout, or write it to `output`, readable by its owner alone.

    Returns the exit code; a job that failed gives no CSV, and `quiet` leaves it to others to tell why.
    Raises OSError when `output` cannot be written.
    """
    if result.exit_code:
        if not quiet:
            complain(result.error or "the report could not be made.", result.command)
        return result.exit_code
    text = as_csv(result, table)
    if output is None:
        return _unwritten(write(text), result.command)
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            os.fchmod(handle, 0o600)
        file.write(text)
    return 0


def say(line: str, *, stderr: bool = False) -> None:
    """One line of progress to stdout, or to stderr where stdout belongs to JSON; no word of it is broken."""
    stream, text = sys.stderr if stderr else sys.stdout, clean(line)
    if _is_terminal(stream):
        text = "\n".join(wrapped(text, screen_width(stream)))
    write(text + "\n", stream)


def complain(sentence: str, command: str = "") -> None:
    """The one line on stderr that every exit but 0 has."""
    say(f"spxarb {command}".rstrip() + ": " + " ".join(sentence.split()), stderr=True)


def show_before_asking(blocks: Sequence[Block]) -> None:
    """What a human should know before a question, on stderr: stdout stays untouched."""
    drawn = lines(blocks, screen_width(sys.stderr))
    write("".join(f"{text_of(line)}\n" for line in drawn), sys.stderr)


def ask(question: str, *, word: str = "") -> bool | None:
    """Whether somebody at the terminal says yes, by typing exactly `word` where there is one.

    None where nobody can answer. Raises KeyboardInterrupt for Ctrl-C. stdout stays untouched.
    """
    if not can_answer():
        return None
    how = f"Type {word} to go on: " if word else "[y/N] "
    asked = "\n".join(wrapped(f"{question} {how}".rstrip(), screen_width(sys.stderr) - 1))
    try:
        write(f"{asked} ", sys.stderr)
        while not select.select([sys.stdin], [], [], SIGNAL_SECONDS)[0]:
            pass  # a signal that comes just before a blocking read would wait for the answer
        answer = sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        return False
    except KeyboardInterrupt:
        write("\n", sys.stderr)
        raise
    return answer == word if word else answer.strip().lower() in {"y", "yes"}


def can_answer() -> bool:
    """Whether somebody sits at a terminal."""
    return _is_terminal(sys.stdin)


def write(text: str, stream: TextIO | None = None) -> str:
    """Write to stdout, or to `stream`. Returns why that failed, empty when it did not or nobody reads."""
    stream = stream or sys.stdout
    if stream is None:  # how Python tells that the descriptor was closed at the start
        return "it is closed"
    encoding = stream.encoding or "utf-8"
    if stream is sys.stderr and _has_descriptor(stream):
        from spxarb.logs import write_to_stderr  # noqa: PLC0415 -- --help does not need it

        write_to_stderr(text.encode(encoding, "replace").decode(encoding))
        return ""
    try:
        stream.write(text.encode(encoding, "replace").decode(encoding))
        stream.flush()
    except OSError as error:
        _forget(stream)
        return "" if isinstance(error, BrokenPipeError) else error.strerror or str(error)
    return ""


def _has_descriptor(stream: TextIO) -> bool:
    try:
        stream.fileno()
    except (OSError, ValueError):
        return False
    return True


def watch(frame: Callable[[], tuple[Result, float]]) -> int:
    """Draw `frame` until Ctrl-C: its result, then the seconds until the next. Returns the exit code.

    A first frame that failed is shown as any other failure; a later one is shown in place, and the watch
    goes on.
    """
    result, seconds = frame()
    if result.exit_code:
        return show(result)
    with suppress(KeyboardInterrupt):
        if not _is_terminal(sys.stdout):
            while not write(_drawn(_frame(result))):
                time.sleep(seconds)
                result, seconds = frame()
            return 1
        from rich.live import Live  # noqa: PLC0415 -- only where it is drawn

        with Live(console=_console(sys.stdout), screen=True, auto_refresh=False) as live:
            while True:
                live.update(_group(_frame(result)), refresh=True)
                time.sleep(seconds)
                result, seconds = frame()
    write(_drawn(screen(result)))
    return 0


def _unwritten(why: str, command: str) -> int:
    if why:
        complain(f"the result could not be written to stdout: {why}.", command)
    return 1 if why else 0


def _forget(stream: TextIO) -> None:
    """Let what is still buffered go nowhere, or the interpreter complains when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


# --- rich -----------------------------------------------------------------------------------------


class _Sheet(io.StringIO):
    """Takes what rich draws for stdout, so that writing, and its failures, stay with `write`."""

    encoding = property(lambda _: getattr(sys.stdout, "encoding", None) or "utf-8")

    def isatty(self) -> bool:
        return _is_terminal(sys.stdout)


def screen_width(stream: TextIO | None = None) -> int:
    """Columns to draw for on stdout, or on `stream`: COLUMNS, else the terminal's, else those of a pipe."""
    stream = stream or sys.stdout
    told = os.environ.get("COLUMNS", "")
    wide = int(told) if told.isdecimal() and len(told) < len("100000") else 0
    if not wide and stream is not None and _is_terminal(stream):
        with suppress(OSError, ValueError):
            wide = os.get_terminal_size(stream.fileno()).columns
        wide = wide or PLAIN_TERMINAL
    return max(wide or PIPE_WIDTH, LEAST_WIDTH)


def _console(file: TextIO) -> Console:
    from rich.console import Console  # noqa: PLC0415 -- only where it is drawn

    return Console(file=file, markup=False, highlight=False, emoji=False, width=screen_width())


def _drawn(blocks: Sequence[Block]) -> str:
    """The blocks as stdout wants them: coloured on a terminal, else plain."""
    if not blocks:
        return ""
    plain = not _is_terminal(sys.stdout) and not any(os.environ.get(name) for name in RICH_VARIABLES)
    if plain:
        return "".join(f"{text_of(line)}\n" for line in lines(blocks, screen_width()))
    sheet = _Sheet()
    _console(sheet).print(_group(blocks))
    return sheet.getvalue()


def _group(blocks: Sequence[Block]) -> Group:
    """The lines as rich prints them: each as it is, coloured."""
    from rich.console import Group  # noqa: PLC0415 -- only where it is drawn
    from rich.text import Text  # noqa: PLC0415 -- likewise

    drawn = lines(blocks, screen_width())
    return Group(*(Text.assemble(*line, no_wrap=True, overflow="ignore", end="\n") for line in drawn))


def _frame(result: Result) -> list[Block]:
    """A screen of its own: the error, if any, below the rest."""
    return [*screen(result), *([Line(f"\n{result.error}", BAD)] if result.error else [])]
