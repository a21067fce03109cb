"""A screen that is drawn again and again: `status --watch`. It ends when it is told to, or nobody reads it.

On a terminal it has a screen of its own, drawn over in place; the last one is left behind. Elsewhere one
frame follows the other.
"""

from __future__ import annotations

import select
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from spxarb.cli import view
from spxarb.cli.blocks import WARN, Fitted, Line
from spxarb.cli.charts import pnl_chart
from spxarb.cli.risk_screens import risk
from spxarb.cli.status_screens import Frame, live
from spxarb.errors import Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.live import Live

    from spxarb.cli.lines import Parts
    from spxarb.core.results.status import StatusResult

    Look = Callable[[], tuple[StatusResult, float]]
    Wait = Callable[[float], None]

LASTING = frozenset({Exit.DONE, Exit.GATEWAY, Exit.HUMAN})
"""How a look may end and the watch goes on: a gateway comes back, and a human who is needed must see it."""
POLL_SECONDS = 0.5
"""How soon it is noticed that nobody reads any more."""


def watch(look: Look, wait: Wait = time.sleep) -> int:
    """Draw what `look` sees, then wait the seconds that it gave, until a signal or the end of the reader.

    Returns the exit code. A first look that failed for another reason than the gateway's, or a human's, is
    shown as any other failure: the watch does not begin.
    """
    result, seconds = look()
    if result.exit_code not in LASTING:
        return view.show(result)
    try:
        if view.is_terminal(sys.stdout):
            _on_terminal(look, wait, result, seconds)
        else:
            _in_a_pipe(look, wait, result, seconds)
    except OSError:  # the terminal or the pipe is gone, and so is its reader
        view.forget(sys.stdout)
    return Exit.DONE


def _in_a_pipe(look: Look, wait: Wait, result: StatusResult, seconds: float) -> None:
    with suppress(KeyboardInterrupt):
        while True:
            _leave(result)
            if not _waited(wait, seconds):
                return
            result, seconds = look()


def _on_terminal(look: Look, wait: Wait, result: StatusResult, seconds: float) -> None:
    from rich.live import Live  # noqa: PLC0415 -- only where it is drawn

    with (
        suppress(KeyboardInterrupt),
        Live(console=view.console(sys.stdout), screen=True, auto_refresh=False) as on,
    ):
        while True:
            _draw(on, result)
            if not _waited(wait, seconds):
                break
            result, seconds = look()
    _leave(result)


def _leave(result: StatusResult) -> None:
    """Write the frame as lines that stay."""
    whole = Fitted(lambda width: _lines(result, width, None))
    sys.stdout.write(view.drawn([whole, *risk(result)]))
    sys.stdout.flush()


def _draw(on: Live, result: StatusResult) -> None:
    """The frame; below it the tables of `--risk`, where they have room as they are."""
    height, tables = on.console.size.height, risk(result)
    rows = len(on.console.render_lines(view.group(tables))) if tables else 0
    least = len(live(result, Frame(on.console.size.width, height)))
    if rows and least + rows > height:
        tables, rows = [Line("The tables of --risk: a taller window shows them.", WARN)], 1
    block = Fitted(lambda width: _lines(result, width, height - rows))
    on.update(view.group([block, *tables]), refresh=True)


def _lines(result: StatusResult, width: int, height: int | None) -> list[Parts]:
    """The frame; with the chart of the day where there is room for it."""
    tall = 1_000 if height is None else height
    plain = live(result, Frame(width, tall))
    if not result.show_pnl_chart:
        return plain
    chart = pnl_chart(result.pnl_line, width, tall - len(plain))
    return live(result, Frame(width, tall), chart) if chart else plain


def _waited(wait: Wait, seconds: float) -> bool:
    """Let the time pass; False as soon as nobody reads stdout any more."""
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        wait(max(min(left, POLL_SECONDS), 0.0))
        if _nobody_reads():
            view.forget(sys.stdout)
            return False
        if time.monotonic() >= end:
            return True


def _nobody_reads() -> bool:
    """Whether the other end of stdout, a pipe or a terminal, was closed."""
    with suppress(OSError, ValueError):
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    return False
