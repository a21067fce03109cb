"""`status` on the screen, of one look or live: trouble first, then its panels (`cli/status_panels.py`).

For any width from 80 columns, and short enough for 24 lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from spxarb.cli import status_panels as panels
from spxarb.cli.blocks import BAD, DASH, HEAD, WARN, Fitted, Line, Part, moment, words
from spxarb.cli.lines import beside, flow, prose
from spxarb.core.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spxarb.cli.blocks import Block
    from spxarb.cli.lines import Parts
    from spxarb.core.results.status import SessionResult, StatusResult


def status(result: StatusResult) -> list[Block]:
    """The screen of one look; with the tables of `--risk`, if they were asked for."""
    from spxarb.cli import risk_screens  # noqa: PLC0415 -- no other command needs it

    return [
        Fitted(lambda width: [*headline(result, width), *trouble(result, width), *upper(result, width)]),
        *risk_screens.risk(result),
        Fitted(lambda width: panels.trades(result, width)),
    ]


def in_parts(result: StatusResult) -> list[Block]:
    """As `status` with its notes, for a terminal that has no room for all; what `--risk` asked for stays."""
    from spxarb.cli import risk_screens  # noqa: PLC0415 -- no other command needs it

    asked = bool(result.risk.stress)

    def panel(name: str, draw: Callable[[int], list[Parts]], leaves: int) -> Part:
        return Part(name, (Fitted(draw),), leaves + 6 * asked)

    risk = risk_screens.risk(result)
    shown = panel("open positions", lambda width: panels.positions(result, width), 0)
    trades = Part(
        "recent trades" if asked else "older trades",
        (Fitted(lambda width: panels.trades(result, width)),),
        leaves=10,
        brief=() if asked else (Fitted(lambda width: panels.trades(result, width)[:2]),),
    )
    return [
        Fitted(lambda width: [*headline(result, width), *trouble(result, width)]),
        panel("system", lambda width: panels.system(result, width, paths=False), 1),
        Part("ledger and configuration", (Fitted(lambda width: panels.paths_of(result, width)),), leaves=12),
        panel("account, daily P&L and prices", lambda width: middle(result, width), 2),
        shown if asked else Fitted(lambda width: panels.positions(result, width)),
        *([Part("greeks of each call", (risk[0],), leaves=3)] if risk else []),
        *risk[1:],
        trades,
        *([Part("notes", (Line("\n".join(result.notes)),), leaves=11)] if result.notes else []),
    ]


def headline(result: StatusResult, width: int) -> list[Parts]:
    """Command, mode and time; the session's hours where the day is an ordinary one."""
    first = f"status · {words(result.mode)} · {moment(result.at, '%a %Y-%m-%d %H:%M:%S ET')}"
    session = result.session
    if session.open is None or not _ordinary(session):
        return [[(first, HEAD)], *prose(session_line(session), width, WARN if session.doubt else "")]
    hours = f"session {moment(session.open, '%H:%M')}-{moment(session.close, '%H:%M')}"
    return flow([(first, HEAD), hours], width)


def _ordinary(session: SessionResult) -> bool:
    return not (session.half_day or session.why or session.doubt)


def session_line(session: SessionResult) -> str:
    """The day's session in one sentence."""
    day = f"{session.day:%a %Y-%m-%d}" if session.day else DASH
    why = f" ({session.why})" if session.why else ""
    doubt = f" {session.doubt}." if session.doubt else ""
    if session.open is None:
        return f"No session on {day}{why}.{doubt}" if session.day else DASH
    kind = "half-day" if session.half_day else "session"
    clock = {
        name: moment(getattr(session, name), "%H:%M") for name in ("open", "close", "exit_at", "settle_at")
    }
    return (
        f"{day}: {kind} {clock['open']}-{clock['close']}{why}, time exit {clock['exit_at']}, "
        f"settlement {clock['settle_at']}.{doubt}"
    )


def trouble(result: StatusResult, width: int, *, told: str = "") -> list[Parts]:
    """What needs a human and where ledger and broker differ, each once; without what `told` has said."""
    lines: list[Parts] = []
    known = told.casefold()
    if result.data_trouble:
        lines += prose(result.data_trouble, width, WARN)
    for matter in result.matters:
        if matter.text.casefold() not in known:
            since = f"since {panels.when(datetime.fromisoformat(matter.since), result.at)}"
            text = (
                f"NEEDS A HUMAN: {sentence(matter.text)} Matter {matter.id} {since}: spxarb ack {matter.id}."
            )
            lines += prose(text, width, BAD)
        known += f"\n{matter.text.casefold()}"
    for difference in result.reconciliation:
        if difference.casefold() not in known:
            lines += prose(f"Differences between ledger and broker: {sentence(difference)}", width, WARN)
    return lines


def upper(result: StatusResult, width: int, *, paths: bool = True) -> list[Parts]:
    """All panels but the trades."""
    return [
        *panels.system(result, width, paths=paths),
        *middle(result, width),
        *panels.positions(result, width),
    ]


def middle(result: StatusResult, width: int) -> list[Parts]:
    """Account, Daily P&L and Market Prices, next to each other where that fits."""
    return beside([panels.account(result), panels.day(result, width), panels.market(result, width)], width)


# --- the live screen --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frame:
    """What a live screen has room for."""

    width: int
    height: int


def live(result: StatusResult, frame: Frame, chart: Sequence[str] = ()) -> list[Parts]:
    """The whole screen of a look, at most `frame.height` lines: trouble first, then the panels.

    What leaves first where there is no room: the chart, older trades, notes, the paths. `chart`: its lines.
    """
    width = frame.width
    error = prose(result.error, width, BAD) if result.error else []
    top = [*headline(result, width), *error, *trouble(result, width, told=result.error or "")]
    notes = [line for note in result.notes for line in prose(note, width, WARN)]
    for paths, most in ((True, panels.TRADES_SHOWN), (True, 4), (False, 4), (False, 1)):
        body = [*top, *upper(result, width, paths=paths), *panels.trades(result, width, most)]
        if len(body) <= frame.height:
            return _filled(body, notes, chart, frame.height)
    body = [*top, *panels.positions(result, width), *upper(result, width, paths=False)]
    return _with_end(_once(body), frame.height)


def _filled(body: list[Parts], notes: list[Parts], chart: Sequence[str], height: int) -> list[Parts]:
    """With the notes and the chart, as far as there is room for them whole."""
    if len(body) + len(notes) <= height:
        body = [*body, *notes]
    elif notes and len(body) < height:
        body = [*body, [(f"{len(notes)} lines of notes: a taller window shows them", WARN)]]
    drawn: list[Parts] = [[line] for line in chart]
    return [*body, *drawn] if len(body) + len(drawn) <= height else body


def _once(lines: Iterable[Parts]) -> list[Parts]:
    """The lines, none of them a second time."""
    seen: list[Parts] = []
    for line in lines:
        if line not in seen:
            seen.append(line)
    return seen


def _with_end(lines: list[Parts], height: int) -> list[Parts]:
    if len(lines) <= height:
        return lines
    left = len(lines) - height + 1
    return [*lines[: height - 1], [(f"{left} lines more: make the window taller", WARN)]]
