"""What people see: a Result as rich tables, as JSON or as CSV. Alone in the program may print.

rich is imported where a table is first drawn, so that a timer's `--json` never pays for it. All text enters
tables as text, never as markup: a broker's words can neither colour nor hide anything. Missing is a dash,
never 0.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from spxarb.cli.blocks import HEAD, Beside, Block, Cell, Fitted, Grid, Hanging, Line, Pairs
from spxarb.cli.screens import screen
from spxarb.cli.shapes import as_csv, as_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.console import Console, ConsoleOptions, Group, RenderableType
    from rich.table import Table
    from rich.text import Text

    from spxarb.core.result import Result

PIPE_WIDTH = 160
"""Columns of a table where the output is no terminal and COLUMNS says nothing."""
RICH_VARIABLES = ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE")
"""They tell rich to draw for something else than a pipe of PIPE_WIDTH columns."""


# --- printing -------------------------------------------------------------------------------------


def show(result: Result, *, json: bool = False) -> int:
    """Print the result to stdout (tables, or the JSON object), its error as one line to stderr.

    Returns the exit code. A reader who left early (a broken pipe) changes nothing; any other failure to
    write is told on stderr, and the exit code is then not 0.
    """
    if json:
        unwritten = write(as_json(result, indent=2 if is_terminal(sys.stdout) else None) + "\n")
    else:
        unwritten = write(drawn(screen(result)))
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
    """One line of progress to stdout, or to stderr where stdout belongs to JSON."""
    write(_clean(line) + "\n", sys.stderr if stderr else sys.stdout)


def complain(sentence: str, command: str = "") -> None:
    """The one line on stderr that every exit but 0 has."""
    line = f"spxarb {command}".rstrip() + ": " + " ".join(sentence.split())
    if "JOURNAL_STREAM" in os.environ:
        from spxarb import logs  # noqa: PLC0415 -- only a job of systemd's needs it

        line = logs.for_the_journal(line) if logs.stderr_is_the_journal() else line
    say(line, stderr=True)


def ask(question: str) -> bool | None:
    """Whether somebody at the terminal says yes; None where nobody can. stdout stays untouched."""
    if not is_terminal(sys.stdin):
        return None
    with suppress(KeyboardInterrupt):
        write(f"{question} [y/N] ", sys.stderr)
        return sys.stdin.readline().strip().lower() in {"y", "yes"}
    return False


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
        forget(stream)
        return "" if isinstance(error, BrokenPipeError) else error.strerror or str(error)
    return ""


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


def console(file: TextIO) -> Console:
    from rich.console import Console  # noqa: PLC0415 -- only where it is drawn

    wide = None if is_terminal(sys.stdout) or os.environ.get("COLUMNS") else PIPE_WIDTH
    return Console(file=file, markup=False, highlight=False, emoji=False, width=wide)


def drawn(blocks: Sequence[Block]) -> str:
    """The blocks as stdout wants them: coloured on a terminal, else plain and without trailing blanks."""
    if not blocks:
        return ""
    if (text := _plain(blocks)) is not None:
        return text
    sheet = _Sheet()
    paper = console(sheet)
    paper.print(group(blocks))
    text = sheet.getvalue()
    return text if paper.is_terminal else "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def _plain(blocks: Sequence[Block]) -> str | None:
    """What rich would make of lines and empty tables, where it neither colours nor wraps; else None."""
    if is_terminal(sys.stdout) or any(os.environ.get(name) for name in RICH_VARIABLES):
        return None
    lines: list[str] = []
    whole: list[str] = []
    for block in blocks:
        match block:
            case Line():
                lines += _clean(block.text).split("\n")
            case Hanging():
                lines.append(_clean(block.head + block.text))
                whole.append(lines[-1])
            case Grid() if not block.rows:
                lines += _clean(_empty(block)).split("\n")
            case _:
                return None
    # A character is at most two columns wide. For `grep` a line that hangs stays one, however long.
    if any(len(line) > PIPE_WIDTH // 2 for line in lines if line not in whole):
        return None
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _empty(grid: Grid) -> str:
    return f"\n{grid.title}: none"


def group(blocks: Sequence[Block]) -> Group:
    from rich.console import Group  # noqa: PLC0415 -- only where it is drawn

    return Group(*map(_block, blocks))


def _block(block: Block) -> RenderableType:
    match block:
        case Line():
            return _text((block.text, block.style))
        case Hanging():
            return _hanging(block)
        case Grid():
            return _grid(block)
        case Pairs():
            return _pairs(block)
        case Beside():
            from rich.columns import Columns  # noqa: PLC0415 -- only where it is drawn

            return Columns(map(_pairs, block.blocks), padding=(1, 4))
        case Fitted():
            return _AsDrawn(block)


class _AsDrawn:
    """A block that makes its own lines, once the width is known; rich neither wraps nor cuts them."""

    def __init__(self, block: Fitted) -> None:
        self._block = block

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Text]:
        from rich.text import Text  # noqa: PLC0415 -- only where it is drawn

        for parts in self._block.draw(options.max_width):
            line = Text(no_wrap=True, overflow="ignore")
            for cell in parts:
                text, style = (cell, "") if isinstance(cell, str) else cell
                line.append(_clean(text), style)
            yield line


def _text(cell: Cell) -> Text:
    from rich.text import Text  # noqa: PLC0415 -- only where it is drawn

    text, style = (cell, "") if isinstance(cell, str) else cell
    return Text(_clean(text), style=style, overflow="fold")


def _hanging(line: Hanging) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415 -- only where it is drawn

    table = Table.grid()
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_row(_text(line.head), _text((line.text, line.style)))
    return table


def _grid(grid: Grid) -> RenderableType:
    from rich import box  # noqa: PLC0415 -- only where it is drawn
    from rich.table import Table  # noqa: PLC0415 -- likewise

    if not grid.rows:
        return _text(_empty(grid))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in grid.columns:
        table.add_column(name.lstrip(">"), justify="right" if name.startswith(">") else "left")
    for row in grid.rows:
        table.add_row(*map(_text, row))
    return _under(f"\n{grid.title}", table)


def _pairs(pairs: Pairs) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415 -- only where it is drawn

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    for name, cell in pairs.rows:
        table.add_row(_text(name), _text(cell))
    return _under(pairs.title, table) if pairs.title else table


def _under(title: str, table: Table) -> Group:
    """A table under its title, which may be wider."""
    from rich.console import Group  # noqa: PLC0415 -- only where it is drawn

    return Group(_text((title, HEAD)), table)


def _clean(text: str) -> str:
    """Without control characters, that could move the cursor or hide text; a line break stays."""
    return "".join(each if each.isprintable() or each == "\n" else "?" for each in text)
