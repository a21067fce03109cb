"""What people see: a Result as a screen, as JSON or as CSV. Alone in the program may print.

`cli/layout.py` makes lines of the terminal's width; rich colours them on a terminal and is imported there
alone. All text is text, never markup: a broker's words can neither colour nor hide anything. Missing is a
dash, never 0.
"""

from __future__ import annotations

import io
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from spxarb import files
from spxarb.cli.shapes import MINUS, as_csv, as_json
from spxarb.core.printable import ERROR_MOST, from_outside

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console, Group

    from spxarb.cli.blocks import Block
    from spxarb.core.result import Result

PIPE_WIDTH = 160
"""Columns of a table where the output is no terminal and COLUMNS says nothing."""
NARROWEST, PLAIN_TERMINAL, WIDEST = 40, 80, 500
"""Columns at the least and at the most, whatever COLUMNS says; and those of a terminal that does not tell."""
SIGNAL_SECONDS = 0.25
"""How often a question looks whether a signal has come."""
UNBOUNDED = 1_000_000
RICH_VARIABLES = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""They tell rich to colour what goes into a pipe."""

TIMED = frozenset({"enter", "monitor", "settle", "watchdog", "send-alerts"})
"""Commands that timers start: none of them may hang in its answer, for nobody is there to go on reading."""
TAKEN_SECONDS = 10.0
"""How long such an answer may take to be written, at the most."""


# --- printing -------------------------------------------------------------------------------------


def show(result: Result, *, json: bool = False, full: bool = False) -> int:
    """Print the result to stdout (tables, or the JSON object), its error as one line to stderr.

    On a terminal as far as it has room for it, all of it where that is wanted (`full`).
    Returns the exit code. A reader who left early (a broken pipe) changes nothing; any other failure to
    write is told on stderr, and the exit code is then not 0.
    """
    told = ""
    if result.error or result.exit_code:
        told = result.error or f"ended with exit code {result.exit_code}; look at `spxarb status`."
    if json:
        text = as_json(result, indent=2 if is_terminal(sys.stdout) else None) + "\n"
    elif full or not is_terminal(sys.stdout):
        from spxarb.cli.screens import screen  # noqa: PLC0415 -- an object for a program is not drawn

        text = drawn(screen(result))
    else:
        from spxarb.cli.screens import brief_error  # noqa: PLC0415 -- likewise

        told = brief_error(result) or told
        text = drawn(_for_the_terminal(result, told))
    unwritten = _write_in_time(text) if result.command in TIMED else write(text)
    if told:
        complain(told, result.command)
    return result.exit_code or _unwritten(unwritten, result.command)


def _for_the_terminal(result: Result, told: str) -> list[Block]:
    """What its height has room for beside the line on stderr and the prompt."""
    from spxarb.cli.folding import LEAST_HEIGHT  # noqa: PLC0415 -- likewise
    from spxarb.cli.layout import wrapped  # noqa: PLC0415 -- likewise
    from spxarb.cli.screens import fitted, screen  # noqa: PLC0415 -- likewise

    with suppress(OSError, ValueError):
        rows = max(os.get_terminal_size(sys.stdout.fileno()).lines, LEAST_HEIGHT)
        width = screen_width()
        line = f"spxarb {result.command}: {told}" if told and is_terminal(sys.stderr) else ""
        return fitted(result, width, rows - 1 - (len(wrapped(line, width)) if line else 0))
    return screen(result)


def show_csv(result: Result, table: str, output: Path | None, *, quiet: bool = False) -> int:
    """Print one table of a report as CSV to stdout, or write it to `output`, readable by its owner alone.

    Returns the exit code; a job that failed gives no CSV, and `quiet` leaves it to others to tell why. What
    the table lacks, a row that cannot be read, say, is told on stderr.
    Raises OSError when `output` cannot be written.
    """
    if result.exit_code:
        if not quiet:
            complain(result.error or "the report could not be made.", result.command)
        return result.exit_code
    text = as_csv(result, table)
    for note in () if quiet else result.notes:
        complain(note, result.command)
    if output is None:
        return _unwritten(write(text), result.command)
    files.write_whole(output, text)
    return 0


def show_page(result: Result, output: Path | None, *, quiet: bool = False) -> int:
    """Write a report as one page of HTML to stdout, or to `output`, readable by its owner alone.

    Returns the exit code; a job that failed gives no page, and `quiet` leaves it to others to tell why.
    Raises OSError when `output` cannot be written.
    """
    from spxarb.cli.report_page import page  # noqa: PLC0415 -- only a page needs it

    if result.exit_code:
        if not quiet:
            complain(result.error or "the report could not be made.", result.command)
        return result.exit_code
    if output is None:
        return _unwritten(write(page(result)), result.command)
    files.write_whole(output, page(result))
    return 0


def show_text(text: str, command: str) -> int:
    """A text as it is, to stdout. Returns the exit code."""
    return _unwritten(write(text), command)


def say(line: str, *, stderr: bool = False) -> None:
    """One line of progress to stdout, or to stderr where stdout belongs to JSON; no word of it is broken."""
    from spxarb.cli.layout import clean, with_minus, wrapped  # noqa: PLC0415 -- likewise

    stream, text = sys.stderr if stderr else sys.stdout, clean(line)
    text = text if stderr else with_minus(text)  # an error is the same words in JSON, log and here
    if is_terminal(stream):
        text = "\n".join(wrapped(text, screen_width(stream)))
    write(text + "\n", stderr=stderr)


def complain(sentence: str, command: str = "") -> None:
    """The one line on stderr that every exit but 0 has."""
    line = f"spxarb {command}".rstrip() + ": " + from_outside(sentence, ERROR_MOST)
    line += f" ({trouble})" if (trouble := _of_the_log()) else ""
    if "JOURNAL_STREAM" in os.environ:
        from spxarb import logs  # noqa: PLC0415 -- only a job of systemd's needs it

        line = logs.for_the_journal(line) if logs.stderr_is_the_journal() else line
    say(line, stderr=True)


def _of_the_log() -> str:
    """What is wrong with the log and not told yet; who has opened none imports nothing for that."""
    logs = sys.modules.get("spxarb.logs")
    return "" if logs is None else str(logs.trouble())


def last_word(code: int) -> int:
    """Of a command that was done, what is wrong with its log; one that failed has its one line. The code."""
    if (trouble := _of_the_log()) and not code:
        say(f"spxarb: {trouble}", stderr=True)
    return code


def show_before_asking(blocks: Sequence[Block]) -> None:
    """What a human should know before a question, on stderr: stdout stays untouched."""
    from spxarb.cli.layout import lines, text_of  # noqa: PLC0415 -- likewise

    told = lines(blocks, screen_width(sys.stderr))
    write("".join(f"{text_of(line)}\n" for line in told), stderr=True)


def ask(question: str, *, word: str = "") -> bool | None:
    """Whether somebody at the terminal says yes, by typing exactly `word` where there is one.

    None where nobody can answer. Raises KeyboardInterrupt for Ctrl-C. stdout stays untouched.
    """
    if not can_answer():
        return None
    from spxarb.cli.layout import wrapped  # noqa: PLC0415 -- likewise

    how = f"Type {word}: " if word else "[y/N] "
    asked = "\n".join(wrapped(f"{question} {how}".rstrip(), screen_width(sys.stderr) - 1))
    try:
        write(f"{asked} ", stderr=True)
        while not select.select([sys.stdin], [], [], SIGNAL_SECONDS)[0]:
            pass  # a signal that comes just before a blocking read would wait for the answer
        line = sys.stdin.readline()
        if not line.endswith("\n") and is_terminal(sys.stderr):  # Ctrl-D ends no line on the screen
            write("\n", stderr=True)
        answer = line.rstrip("\r\n")
    except UnicodeDecodeError:
        return False
    except KeyboardInterrupt:
        write("\n", stderr=True)
        raise
    return answer == word if word else answer.strip().lower() in {"y", "yes"}


def can_answer() -> bool:
    """Whether somebody sits at a terminal."""
    return is_terminal(sys.stdin)


def write(text: str, *, stderr: bool = False) -> str:
    """Write to stdout, or to stderr. Returns why that failed, empty when it did not or nobody reads.

    What one of them cannot take never goes to the other: stdout may belong to a program.
    """
    stream = sys.stderr if stderr else sys.stdout
    if stream is None:  # how Python tells that the descriptor was closed at the start
        return "it is closed"
    encoding = stream.encoding or "utf-8"
    if stderr and _has_descriptor(stream):
        from spxarb.logs import write_to_stderr  # noqa: PLC0415 -- --help does not need it

        write_to_stderr(_encodable(text, encoding))
        return ""
    try:
        stream.write(_encodable(text, encoding))
        stream.flush()
    except OSError as error:
        forget(stream)
        return "" if isinstance(error, BrokenPipeError) else error.strerror or str(error)
    return ""


def _encodable(text: str, encoding: str) -> str:
    """The text as far as the stream's encoding has it: a sign is lost in none."""
    try:
        MINUS.encode(encoding)
    except UnicodeEncodeError:
        text = text.replace(MINUS, "-")
    return text.encode(encoding, "replace").decode(encoding)


def _write_in_time(text: str) -> str:
    """As `write` to stdout, and given up where that takes nothing: the next firing waits for this process.

    By the descriptor, in a thread of its own: Python would keep the stream locked, and its end wait for that.
    """
    stream = sys.stdout
    if stream is None or not _has_descriptor(stream):
        return write(text)
    from spxarb.logs import write_to  # noqa: PLC0415 -- --help does not need it

    try:
        stream.flush()
        taken = write_to(stream.fileno(), text.encode(stream.encoding or "utf-8", "replace"), TAKEN_SECONDS)
    except OSError as error:
        forget(stream)
        return "" if isinstance(error, BrokenPipeError) else error.strerror or str(error)
    if not taken:
        forget(stream)
    return "" if taken else f"it took nothing for {TAKEN_SECONDS:.0f} s"


def _has_descriptor(stream: TextIO) -> bool:
    try:
        stream.fileno()
    except (OSError, ValueError):
        return False
    return True


def _unwritten(why: str, command: str) -> int:
    if why:
        complain(f"the result could not be written to stdout: {why}.", command)
    return 1 if why else 0


def forget(stream: TextIO) -> None:
    """Let what is still buffered go nowhere, or the interpreter complains when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


# --- rich -----------------------------------------------------------------------------------------


class _Sheet(io.StringIO):
    """Takes what rich draws for stdout, so that writing, and its failures, stay with `write`."""

    encoding = property(lambda _: getattr(sys.stdout, "encoding", None) or "utf-8")

    def isatty(self) -> bool:
        return is_terminal(sys.stdout)


def screen_width(stream: TextIO | None = None) -> int:
    """Columns to draw for on stdout, or on `stream`: COLUMNS, else the terminal's, else those of a pipe."""
    if told := _told_columns():
        return told
    stream = stream or sys.stdout
    if not is_terminal(stream):
        return PIPE_WIDTH
    with suppress(OSError, ValueError):
        return max(os.get_terminal_size(stream.fileno()).columns or PLAIN_TERMINAL, NARROWEST)
    return PLAIN_TERMINAL


def _told_columns() -> int:
    """Those that COLUMNS asks for, within bounds; 0 where it says nothing that is a number of columns."""
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and len(told) <= len(str(WIDEST)) and int(told):
        return min(max(int(told), NARROWEST), WIDEST)
    return 0


def console(file: TextIO) -> Console:
    """As wide as `screen_width` says; one for a terminal follows it when it is resized."""
    from rich.console import Console  # noqa: PLC0415 -- only where it is drawn

    # It would read these itself, and fail at a number beyond all bounds.
    environ = {name: text for name, text in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    wide = _told_columns() or (None if is_terminal(file) else PIPE_WIDTH)
    return Console(file=file, markup=False, highlight=False, emoji=False, width=wide, _environ=environ)


def drawn(blocks: Sequence[Block]) -> str:
    """The blocks as stdout wants them: coloured on a terminal, else plain."""
    if not blocks:
        return ""
    from spxarb.cli.layout import lines, text_of  # noqa: PLC0415 -- likewise

    plain = not is_terminal(sys.stdout) and not any(os.environ.get(name) for name in RICH_VARIABLES)
    if plain:
        return "".join(
            f"{text_of(line)}\n" for block in blocks for line in lines([block], _plain_width(block))
        )
    sheet = _Sheet()
    console(sheet).print(group(blocks))
    return sheet.getvalue()


def _plain_width(block: Block) -> int:
    """Columns for a block that no terminal shows: for `grep` a line that hangs stays one, however long."""
    from spxarb.cli.blocks import Hanging  # noqa: PLC0415 -- likewise

    return UNBOUNDED if isinstance(block, Hanging) and not _told_columns() else screen_width()


def group(blocks: Sequence[Block], width: int | None = None) -> Group:
    """The lines as rich prints them: each as it is, coloured; for so many columns, else for stdout's."""
    from rich.console import Group  # noqa: PLC0415 -- only where it is drawn
    from rich.text import Text  # noqa: PLC0415 -- likewise

    from spxarb.cli.layout import lines  # noqa: PLC0415 -- likewise

    drawn = lines(blocks, width or screen_width())
    return Group(*(Text.assemble(*line, no_wrap=True, overflow="ignore", end="\n") for line in drawn))
